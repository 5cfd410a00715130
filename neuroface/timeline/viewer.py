"""``viewer.html``: a film second by second, with what the model said, what was there, and where in the brain it looked."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from neuroface.bold import Labels
from neuroface.pipeline import atomic
from neuroface.timeline.clock import values_on

import jinja2
import numpy as np
import pandas as pd
from scipy.stats import t as student

TEMPLATE = Path(__file__).with_name("viewer.html.j2")
LEAST_PEOPLE = 3  # for an interval over people
N_MISSES, MISSES_APART_S = 10, 5.0


class FilmTracks(NamedTuple):
    """What the viewer shows of one film.

    Attributes
    ----------
    name : of the film. seconds : (n,) its clock. truth : (n,) 0 or 1, nan where it is not known.
    people : person → (n,) probability of the first label. windows : (onset in s, label) of each
        window that the models were trained on. regressors : name → (n,).
    pictures : (second, WebP) of the film, ascending; may be empty.
    """

    name: str
    seconds: np.ndarray
    truth: np.ndarray
    people: dict[str, np.ndarray]
    windows: list[tuple[float, str]]
    regressors: dict[str, np.ndarray]
    pictures: list[tuple[float, bytes]]


def tracks_of_film(
    name: str,
    tables: Mapping[str, pd.DataFrame],
    windows: list[tuple[float, str]],
    regressors: Mapping[str, pd.DataFrame],
    pictures: list[tuple[float, bytes]],
) -> FilmTracks:
    """Join the runs of all viewers of a film on one clock, that of the finest run.

    Parameters
    ----------
    tables : person → table of predictions (stimulus_time_s, probability, truth).
    regressors : person → table of film regressors, with the column stimulus_time_s; means over
        people are shown, each in SDs.
    """
    step = min(float(np.median(np.diff(table["stimulus_time_s"]))) for table in tables.values())
    end = max(table["stimulus_time_s"].iloc[-1] for table in tables.values())
    seconds = np.arange(0.0, end + step / 2, step)

    def on_clock(times_s: np.ndarray, values: np.ndarray) -> np.ndarray:
        return values_on(seconds, times_s, values, step)

    clocks = {person: table["stimulus_time_s"].to_numpy(float) for person, table in tables.items()}

    def mean_of(columns: list[np.ndarray]) -> np.ndarray:
        stacked = np.array(columns)
        known = np.isfinite(stacked)
        sums = np.where(known, stacked, 0).sum(axis=0)
        return np.where(known.any(axis=0), sums / np.maximum(known.sum(axis=0), 1), np.nan)

    names = dict.fromkeys(name for table in regressors.values() for name in table)
    names.pop("stimulus_time_s", None)
    shown = {}
    for column in names:
        values = mean_of(
            [
                on_clock(t["stimulus_time_s"].to_numpy(float), t[column].to_numpy(float))
                for t in regressors.values()
                if column in t
            ]
        )
        deviation = np.nanstd(values)
        if deviation > 0:
            shown[column] = (values - np.nanmean(values)) / deviation
    truths = [on_clock(clocks[p], t["truth"].to_numpy(float)) for p, t in tables.items()]
    return FilmTracks(
        name=name,
        seconds=seconds,
        truth=np.round(mean_of(truths)),
        people={
            p: on_clock(clocks[p], t["probability"].to_numpy(float)) for p, t in tables.items()
        },
        windows=windows,
        regressors=shown,
        pictures=pictures,
    )


def mean_and_limits(people: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (n,) over people, and its 95 % t interval; nan where fewer than :data:`LEAST_PEOPLE` are known."""
    values = np.array(people)
    known = np.isfinite(values)
    n = known.sum(axis=0)
    mean = np.where(known, values, 0).sum(axis=0) / np.maximum(n, 1)
    squares = np.where(known, (values - mean) ** 2, 0).sum(axis=0)
    error = np.sqrt(squares / np.maximum(n - 1, 1) / np.maximum(n, 1))
    half = np.where(n >= LEAST_PEOPLE, student.ppf(0.975, np.maximum(n - 1, 1)) * error, np.nan)
    return (
        np.where(n > 0, mean, np.nan),
        np.clip(mean - half, 0, 1),
        np.clip(mean + half, 0, 1),
    )


def worst_misses(
    seconds: np.ndarray, probability: np.ndarray, truth: np.ndarray
) -> list[tuple[float, float]]:
    """(Second, size of the error) of the largest errors, at least :data:`MISSES_APART_S` apart, the worst first."""
    error = np.abs(probability - truth)
    chosen: list[tuple[float, float]] = []
    for row in np.argsort(-np.nan_to_num(error, nan=-1.0), kind="stable"):
        if len(chosen) == N_MISSES or not error[row] >= 0.5:
            break
        if all(abs(seconds[row] - second) >= MISSES_APART_S for second, _ in chosen):
            chosen.append((float(seconds[row]), float(error[row])))
    return chosen


def write_viewer(
    target: Path,
    films: Sequence[FilmTracks],
    maps: Mapping[str, Sequence[bytes]],
    tr_s: float,
    labels: Labels,
    title: str,
    clock: str,
) -> None:
    """Write the page: one file that needs neither a server nor a network.

    Parameters
    ----------
    maps : label → a picture (WebP) of the group's attributions at each volume of a window; may be
        empty. tr_s : seconds between them.
    clock : whose seconds the films' clocks count: "film" or "run".
    """
    data = {
        "tr": tr_s,
        "films": [_as_json(film) for film in films],
        "maps": {
            label: [_base64(picture) for picture in pictures] for label, pictures in maps.items()
        },
        "titles": dict(zip(labels, labels.titles)),
        "clock": clock,
    }
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    page = environment.from_string(TEMPLATE.read_text()).render(
        title=title,
        singular=labels.singular,
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    )
    with atomic(target) as partial:
        partial.write_text(page)


def _as_json(film: FilmTracks) -> dict:
    mean, low, high = mean_and_limits(list(film.people.values()))
    return {
        "name": film.name,
        "seconds": _numbers(film.seconds, 3),
        "truth": _numbers(film.truth, 0),
        "mean": _numbers(mean, 3),
        "low": _numbers(low, 3),
        "high": _numbers(high, 3),
        "people": {person: _numbers(values, 3) for person, values in film.people.items()},
        "windows": [[round(onset, 3), label] for onset, label in film.windows],
        "regressors": {name: _numbers(values, 2) for name, values in film.regressors.items()},
        "pictures": [[round(second, 2), _base64(picture)] for second, picture in film.pictures],
        "misses": worst_misses(film.seconds, mean, film.truth),
    }


def _numbers(values: np.ndarray, digits: int) -> list[float | None]:
    return [round(float(value), digits) if np.isfinite(value) else None for value in values]


def _base64(picture: bytes) -> str:
    return base64.b64encode(picture).decode()
