"""Annotations of a film or run: which condition is present, from when, for how long.

To add a format, write a reader here that returns stretches (n, 2) of onset_s and duration_s, and
call it in :func:`read_stretches`.
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.trials import LONGEST_TRIAL_S, join_trials
from neuroface.pipeline import numbers, read_text_table

import numpy as np
import pandas as pd

DAY_S = 86_400  # no film is this long: larger values are not in seconds

ROUNDING_S = (
    1e-6  # far above the rounding errors of sums, far below differences between annotations
)
BORDER_S = 0.02  # onsets and durations with two decimals put the end of a stretch up to 0.015 s behind the next one's start


@dataclass(frozen=True)
class LabelEvents:
    """Events of each of the two conditions, and how they are read.

    Parameters
    ----------
    labels : the first and the second condition. events : condition → names of its events; () for
    the second: the gaps between the events of the first.
    column : column of ``events.tsv`` with the names.
    join_gap_s, longest_trial_s : which trials of ``events.tsv`` are one stretch
    (:func:`neuroface.bold.trials.join_trials`).
    """

    labels: tuple[str, str]
    events: Mapping[str, tuple[str, ...]]
    column: str = "trial_type"
    join_gap_s: float = 0.0
    longest_trial_s: float = LONGEST_TRIAL_S

    @property
    def names(self) -> tuple[str, ...]:
        """All events, those of the first condition first."""
        return tuple(name for label in self.labels for name in self.events[label])


def read_1d(path: Path) -> np.ndarray:
    """NNDb annotation (AFNI ``.1D`` text): onset and duration in seconds of the film, a row per stretch.

    Returns
    -------
    stretches : (n, 2) float64, onset_s and duration_s, sorted, overlaps merged.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")  # reported below
            rows = np.loadtxt(path, ndmin=2, dtype=np.float64)
    except ValueError as error:
        raise NeuroFaceError(
            f"{path}: expected two columns of numbers, onset and duration in seconds ({error}). Correct the file."
        ) from None
    if rows.size and rows.shape[1] != 2:
        raise NeuroFaceError(
            f"{path} has {rows.shape[1]} columns; expected two, onset and duration in seconds. Correct the file."
        )
    return _checked(rows.reshape(-1, 2), path)


def read_events(
    path: Path, trial_types: tuple[str, ...], column: str = "trial_type", join_gap_s: float = 0.0,
    longest_trial_s: float = LONGEST_TRIAL_S,
) -> np.ndarray:  # fmt: skip
    """Stretches of certain trial types in a BIDS ``events.tsv``; format of :func:`read_1d`, (0, 2) if there are none.

    An onset may be negative: BIDS counts from the first stored volume.

    Parameters
    ----------
    column : the column with the trial types.
    join_gap_s, longest_trial_s : which trials are one stretch
    (:func:`neuroface.bold.trials.join_trials`).

    Raises
    ------
    NeuroFaceError
        If the table cannot be read, or a chosen row has no onset ≥ −1 day or no duration ≥ 0; the
        file's line is named.
    """
    return merge_overlaps(
        _joined_rows(path, trial_types, column, join_gap_s, longest_trial_s)[:, :2]
    )


def _joined_rows(
    path: Path, trial_types: tuple[str, ...], column: str, gap_s: float, longest_s: float
) -> np.ndarray:
    """Rows (n, 3) of :func:`join_trials`, checked: onset_s, duration_s, number of trials."""
    events = _events_table(path, column)
    chosen = events[events[column].isin(trial_types)]
    if chosen.empty:
        return np.empty((0, 3))
    rows = np.stack([numbers(chosen, name, path) for name in ("onset", "duration")], axis=1)
    for line, (onset_s, duration_s) in zip(chosen.index, rows):
        if not (-DAY_S < onset_s < DAY_S and 0 <= duration_s < DAY_S):  # NaN is neither
            raise NeuroFaceError(
                f"{path}, line {line}: onset {onset_s:g} and duration {duration_s:g} of {chosen[column][line]!r} are not an "
                f"onset and a duration ≥ 0 in seconds. Correct the file."
            )
    onset_s, duration_s = (
        pd.to_numeric(events[name], errors="coerce") for name in ("onset", "duration")
    )
    table = pd.DataFrame(
        {"onset_s": onset_s, "duration_s": duration_s, "trial_type": events[column]}
    )
    return join_trials(table, trial_types, gap_s, longest_s)


def trial_types_of(path: Path, column: str = "trial_type") -> list[str]:
    """The trial types in a BIDS ``events.tsv``, each once, in the order in which they come."""
    return _events_table(path, column)[column].dropna().unique().tolist()


def event_names(run, column: str) -> list[str]:
    """Events that the tables of a run hold, each once; none of ``.1D`` files, whose names name the event."""
    tables = dict.fromkeys(path for _, path in run.annotations if path.suffix != ".1D")
    return sorted({name for path in tables for name in trial_types_of(path, column)})


def check_names(path: Path, wanted: tuple[str, ...], column: str = "trial_type") -> None:
    """Raise if a trial type differs from a wanted one only in case or blanks.

    Such rows would count as something else, and where gaps between events are windows, these would
    show what the rows name.
    """
    of_key = {_key(name): name for name in wanted}
    events = _events_table(path, column)
    for line, name in events[column].items():
        near = of_key.get(_key(name)) if name is not None and name not in wanted else None
        if near is not None:
            raise NeuroFaceError(
                f"{path}, line {line}: {column} {name!r} is nearly {near!r}. Write both alike, or name {name!r} as an event "
                f"of its own in the settings."
            )


def _key(name: str) -> str:
    return re.sub(r"\s+", "", name).casefold()


def _events_table(path: Path, column: str) -> pd.DataFrame:
    """An ``events.tsv`` with every cell as text; trial types that are whole numbers lose the ".0" that pandas adds."""
    events = read_text_table(path, ("onset", "duration", column))
    names = [_whole(name) for name in events[column]]
    return events.assign(**{column: pd.Series(names, index=events.index, dtype=object)})


def _whole(name: str | None) -> str | None:
    return None if name is None else re.sub(r"^(-?\d+)\.0+$", r"\1", name)


def read_stretches(
    files: list[tuple[str, Path]], column: str = "trial_type", join_gap_s: float = 0.0,
    longest_trial_s: float = LONGEST_TRIAL_S,
) -> np.ndarray:  # fmt: skip
    """Stretches (n, 2) of the named events, from files of any format; overlaps merged.

    Parameters
    ----------
    files : (name of an event, the file that holds it): ``.1D`` files hold one event each,
    ``events.tsv`` all of them. join_gap_s, longest_trial_s : which trials of ``events.tsv`` are one
    stretch, as in :func:`read_events`.
    """
    parts = [read_1d(path) for _, path in files if path.suffix == ".1D"]
    tables: dict[Path, tuple[str, ...]] = {}
    for name, path in files:
        if path.suffix != ".1D":
            tables[path] = (*tables.get(path, ()), name)
    joining = (column, join_gap_s, longest_trial_s)
    parts += [read_events(path, names, *joining) for path, names in tables.items()]
    return parts[0] if len(parts) == 1 else merge_overlaps(np.concatenate(parts))


def _checked(rows: np.ndarray, path: Path) -> np.ndarray:
    if not len(rows):
        raise NeuroFaceError(
            f"{path} is empty: it holds no stretch. Put the film's annotation there."
        )
    bad = np.flatnonzero(~((rows >= 0) & (rows < DAY_S)).all(axis=1))  # NaN is not ≥ 0 either
    if len(bad):
        raise NeuroFaceError(
            f"{path}, row {bad[0] + 1}: {rows[bad[0]].tolist()} is not an onset and a duration ≥ 0 in seconds of the film. "
            f"Correct the file."
        )
    if looks_like_ends(rows):
        raise NeuroFaceError(
            f"{path}: its second column looks like the end of each stretch, not its duration: read as durations, "
            f"{rows[0, 0]:g} s to {rows[:, 1].max():g} s and all stretches run into each other. Write onset and duration."
        )
    return merge_overlaps(rows)


def looks_like_ends(rows: np.ndarray) -> bool:
    """Whether the second column of rows (n, 2) holds ends: none is after the next onset, and as durations some overlap."""
    if len(rows) < 3:
        return False
    onset, second = rows[np.argsort(rows[:, 0], kind="stable")].T
    as_ends = (second > onset).all() and (second[:-1] <= onset[1:] + ROUNDING_S).all()
    return bool(as_ends and (onset[:-1] + second[:-1] > onset[1:] + ROUNDING_S).any())


def stretches_of_labels(run, conditions: LabelEvents) -> tuple[np.ndarray, np.ndarray | None]:
    """Stretches (n, 2) of both conditions in a run, on the clock of its film; None for the second if it has no events.

    Parameters
    ----------
    run : a :class:`neuroface.bold.run.Run`. conditions : which events give the conditions.
    """
    first, second = (
        [(name, run.annotation_of(name)) for name in conditions.events[label]]
        for label in conditions.labels
    )
    for path in dict.fromkeys(path for _, path in run.annotations if path.suffix != ".1D"):
        check_names(path, conditions.names, conditions.column)
    reading = (conditions.column, conditions.join_gap_s, conditions.longest_trial_s)
    # Event by event, so that a house block after a cat block is a separate stretch.
    others = [_of_film(read_stretches([named], *reading), run, named[1]) for named in second]
    files = dict.fromkeys(path for _, path in first)
    parts = [
        _of_film(read_stretches([n for n in first if n[1] == path], *reading), run, path)
        for path in files
    ]
    stretches = parts[0] if len(parts) == 1 else merge_overlaps(np.concatenate(parts))
    return stretches, np.concatenate(others) if others else None


def joined_trials(
    runs: list, trial_types, column: str, join_gap_s: float,
    longest_trial_s: float = LONGEST_TRIAL_S,
) -> str:  # fmt: skip
    """A sentence on the trials that are joined to stretches in the ``events.tsv`` of some runs; empty if there are none.

    Parameters
    ----------
    runs : list of :class:`neuroface.bold.run.Run`. trial_types : types of the trials.
    column, join_gap_s, longest_trial_s : as for :func:`read_events`.
    """
    tables = dict.fromkeys(
        path for run in runs for _, path in run.annotations if path.suffix != ".1D"
    )
    reading = (tuple(trial_types), column, join_gap_s, longest_trial_s)
    rows = np.concatenate([np.empty((0, 3)), *(_joined_rows(path, *reading) for path in tables)])
    stretches = rows[rows[:, 2] > 1]
    if not len(stretches):
        return ""
    lengths_s = " to ".join(
        dict.fromkeys(f"{length:.4g}" for length in np.quantile(stretches[:, 1], [0, 1]))
    )
    return (
        f"{int(stretches[:, 2].sum()):,} trials with gaps of at most JOIN_GAP_S = {join_gap_s:g} s are joined to "
        f"{len(stretches):,} stretches of {lengths_s} s."
    )


def is_on_film_clock(path: Path) -> bool:
    """Whether an annotation counts from the film's beginning: those in ``stimuli/``; a run's own log counts from the run."""
    return path.parent.name == "stimuli" or path.suffix == ".1D"


def _of_film(stretches: np.ndarray, run, path: Path) -> np.ndarray:
    """Stretches (n, 2) on the film's clock, without what lies before the film or after it, by FILM_EVENT."""
    if run.film is None or not len(stretches):
        return stretches
    shift_s = 0.0 if is_on_film_clock(path) else run.film.onset_s
    onset_s, end_s = stretches[:, 0] - shift_s, stretches.sum(axis=1) - shift_s
    start_s, stop_s = np.clip(onset_s, 0, None), np.minimum(end_s, run.film.duration_s)
    is_whole = (start_s == onset_s) & (stop_s == end_s)
    lasts_s = np.where(is_whole, stretches[:, 1], stop_s - start_s)
    return np.stack([start_s, lasts_s], axis=1)[stop_s > start_s + ROUNDING_S]


def merge_overlaps(stretches: np.ndarray) -> np.ndarray:
    """Sort stretches and join those that overlap or touch, because nothing changes between them.

    Parameters
    ----------
    stretches : (n, 2), onset_s and duration_s. NNDb has no such rows, so its rows do not change.

    Returns
    -------
    (m, 2) with m ≤ n.
    """
    merged: list[list[float]] = []
    for onset, duration in stretches[np.argsort(stretches[:, 0], kind="stable")].tolist():
        if merged and onset <= merged[-1][0] + merged[-1][1] + ROUNDING_S:
            first = merged[-1][0]
            merged[-1][1] = max(merged[-1][1], onset + duration - first)
        else:
            merged.append([onset, duration])
    return np.array(merged, dtype=np.float64).reshape(-1, 2)


def on_screen(times_s: np.ndarray, stretches: np.ndarray) -> np.ndarray:
    """1 where a stretch is on at ``times_s`` (onset ≤ t < onset + duration), else 0; int8."""
    if not len(stretches):
        return np.zeros(len(times_s), dtype=np.int8)
    onset, duration = stretches.T
    row = np.searchsorted(onset, times_s, side="right") - 1
    inside = (row >= 0) & (times_s < onset[row] + duration[row])
    return inside.astype(np.int8)


def touches(start_s: np.ndarray, length_s: float, stretches: np.ndarray) -> np.ndarray:
    """Whether each interval of ``length_s`` from ``start_s`` (n,) overlaps any of the stretches (m, 2): (n,) bool.

    An overlap of less than ``BORDER_S`` is none.
    """
    onset, end = stretches[:, 0], stretches.sum(axis=1)
    starts_before_end = start_s[:, None] + BORDER_S < end[None]
    return (starts_before_end & (start_s[:, None] + length_s - BORDER_S > onset[None])).any(axis=1)
