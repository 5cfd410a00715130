"""Do a run, its film and its annotation have the same clock? Their lengths tell."""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import (
    Run,
    check_film_length,
    first_volume_s,
    in_series_s,
    is_on_film_clock,
    open_header,
    read_stretches,
    stretches_of_labels,
    window_table,
)  # fmt: skip
from neuroface.face_study.arguments import label_events
from neuroface.face_study.settings import FaceSettings
from neuroface.face_study.words import labels_of
from neuroface.pipeline import read_json

import numpy as np
import pandas as pd

NOT_SECONDS = 5  # an annotation this many times as long as its run is in frames or milliseconds, or of a film in parts
UNSEEN_S = 10.0  # an annotation that goes on for longer than this after the last volume is named


def check_clock(run: Run, n_volumes: int, cfg: FaceSettings) -> list[str]:
    """Compare the lengths of a run, its film and its annotation.

    Returns
    -------
    What is left out of the film or of the annotation, a line each.

    Raises
    ------
    NeuroFaceError
        If the annotation cannot be in seconds of this run's film, or as
        :func:`neuroface.bold.check_film_length`.
    """
    names = tuple(name for label in cfg.LABELS for name in cfg.LABEL_EVENTS[label])
    files = dict.fromkeys(run.annotation_of(name) for name in names)
    ends = {
        path: _last_s(path, [name for name in names if run.annotation_of(name) == path], cfg)
        for path in files
    }
    path = max(ends, key=lambda file: ends[file])
    last_s, run_s = ends[path], n_volumes * cfg.TR_S
    if last_s > NOT_SECONDS * run_s:
        raise NeuroFaceError(
            f"{path} goes on to second {last_s:,.0f}, and {run.bold} lasts {run_s:,.0f} s. Is the annotation in frames or "
            f"milliseconds, or of a film whose parts FILM_PARTS should name? It needs seconds of what the run shows."
        )
    if not is_on_film_clock(path) and run.film:
        last_s -= run.film.onset_s
    stated = [_stated_s(file) for file in files if is_on_film_clock(file)]
    film_s = max((length_s for length_s in stated if length_s), default=None)
    of_film_s = last_s if is_on_film_clock(path) else 0.0
    source = f"the annotation {path.name}"
    if cfg.DATASET == "bids":
        remarks = [check_film_length(run, run_s, film_s, of_film_s, source)]
    else:  # films of NNDb begin with their runs
        rest_s = run_s - film_s if film_s else 0.0
        after = f"its last {rest_s:.0f} s: its film ends at second {film_s or 0:.0f} by {source}"
        remarks = [after] if rest_s > UNSEEN_S else []
    seen_s = first_volume_s(run, n_volumes, cfg.TR_S) + run_s
    last_s = min(last_s, run.film.duration_s) if run.film else last_s
    if last_s > seen_s + UNSEEN_S:
        remarks.append(
            f"its annotation from second {seen_s:.0f} to {last_s:.0f}: the run ends before"
        )
    return [remark for remark in remarks if remark]


def early_windows(runs: list[Run], tables: list[pd.DataFrame], cfg: FaceSettings) -> str:
    """A sentence: by how many seconds windows begin before their onset + LAG_S, because they begin with a whole volume.

    Parameters
    ----------
    tables : windows of each run; columns onset_s (film) and first_tr.
    """
    early_s = [np.zeros(0)]
    for run, table in zip(runs, tables):
        first_s = first_volume_s(run, open_header(run.bold)[1][3], cfg.TR_S)
        onset_s = in_series_s(run, table["onset_s"], cfg.TR_S) - first_s
        early_s.append(np.asarray(onset_s + cfg.LAG_S - table["first_tr"] * cfg.TR_S, dtype=float))
    of_windows_s = np.concatenate(early_s)
    if not len(of_windows_s):
        return ""
    return f"Windows begin with a whole volume, on average {of_windows_s.mean():.2f} s before onset + LAG_S."


def _last_s(path: Path, names: list[str], cfg: FaceSettings) -> float:
    stretches = read_stretches([(name, path) for name in names], cfg.EVENT_COLUMN)
    return float(stretches.sum(axis=1).max(initial=0.0))


def _stated_s(annotation: Path) -> float | None:
    """Length of what script 0 annotated, by the sidecar beside an annotation; None without one."""
    sidecar = annotation.with_name(annotation.name.rpartition("_")[0] + "_events.json")
    return read_json(sidecar).get("LengthS") if sidecar.is_file() else None


def describe_annotations(runs: list[Run], cfg: FaceSettings) -> list[str]:
    """Where labels come from, if several annotations could give them: a line for each that is not used.

    Raises
    ------
    NeuroFaceError
        If an annotation of a whole film serves several runs of a person, which show parts of it.
    """
    _check_parts(runs, cfg)
    of_file: dict[Path, list[Run]] = {}
    for run in runs:
        for file in run.not_used:
            of_file.setdefault(file, []).append(run)
    return [
        f"{file} is not used: {_name(of[0])} gives the labels of {of[0].name}"
        + (f", and other files those of {len(of) - 1} further runs" if len(of) > 1 else "")
        for file, of in of_file.items()
    ]


def why_no_window(runs: list[Run], cfg: FaceSettings) -> str:
    """The message where no run gives a window: how long the stretches of both conditions are."""
    labels = labels_of(cfg)
    longest: dict[str, float] = {}
    for run in runs:
        table = window_table(
            *stretches_of_labels(run, label_events(cfg)), labels, -1.0, cfg.TR_S, cfg.LAG_S
        )
        for label, duration_s in table.groupby("label")["duration_s"].max().items():
            longest[label] = max(duration_s, longest.get(label, 0.0))
    lengths = " and ".join(
        f"{longest[label]:g} s for {label}" if label in longest else f"none for {label}"
        for label in labels
    )
    return (
        f"No run gives a window. Check LABEL_EVENTS, MIN_STRETCH_S and the annotations: the longest stretch is {lengths}; "
        f"it must be longer than MIN_STRETCH_S = {cfg.MIN_STRETCH_S:g} s, within the scan, and without the other condition."
    )


def _check_parts(runs: list[Run], cfg: FaceSettings) -> None:
    """Raise if one annotation in ``stimuli/`` serves runs of different numbers and goes on after one of them."""
    of_file: dict[tuple[str, Path], list[Run]] = {}
    for run in runs:
        for file in dict.fromkeys(file for _, file in run.annotations):
            if is_on_film_clock(file):
                of_file.setdefault((run.subject, file), []).append(run)
    for (_, file), of in of_file.items():
        if len({run.stimulus for run in of}) < 2:
            continue
        names = [
            name
            for label in cfg.LABELS
            for name in cfg.LABEL_EVENTS[label]
            if of[0].annotation_of(name) == file
        ]
        run_s = min(open_header(run.bold)[1][3] for run in of) * cfg.TR_S
        if (last_s := _last_s(file, names, cfg)) > run_s + UNSEEN_S:
            raise NeuroFaceError(
                f"{file} goes on to second {last_s:.0f} and serves {of[0].name} and {of[1].name}; the shorter one lasts "
                f"{run_s:.0f} s. Do they show parts of one film? Annotate the parts: name them in FILM_PARTS."
            )


def _name(run: Run) -> str:
    return " and ".join(dict.fromkeys(str(file) for _, file in run.annotations))
