"""Windows of BOLD and their labels, by the rules of the paper."""

import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.annotations import ROUNDING_S, touches
from neuroface.bold.labels import Labels

import numpy as np
import pandas as pd

SAMPLE_COLUMNS = ["subject", "movie", "run", "label", "onset_s", "first_tr", "event", "stimulus"]


def long_stretches(stretches: np.ndarray, min_s: float) -> np.ndarray:
    """The stretches (m, 2), onset_s and duration_s, that last strictly longer than ``min_s``."""
    return stretches[stretches[:, 1] > min_s]


def long_gaps(stretches: np.ndarray, min_s: float) -> np.ndarray:
    """The gaps (m, 2), onset_s and duration_s, between stretches that last strictly longer than ``min_s``.

    The order of operations is that of the paper's code: on a 0.2 s grid, another order would round
    differently at the limit.
    """
    onset, duration = stretches.T
    ends = onset[:-1] + duration[:-1]
    gaps = np.stack([ends, onset[1:] - ends], axis=1)
    return gaps[gaps[:, 1] > min_s]


def first_tr(onset_s: np.ndarray, tr_s: float, lag_s: float) -> np.ndarray:
    """BOLD volume at which the window of a stimulus onset starts: ``int(onset / TR + LAG)``, LAG in volumes.

    An onset just below a volume because of rounding counts as on the volume; at a TR of 1 s this
    changes none in NNDb.
    """
    return np.floor(np.asarray(onset_s) / tr_s + lag_s / tr_s + ROUNDING_S).astype(np.int64)


def stimulus_time_s(
    tr: np.ndarray, tr_s: float, lag_s: float, window_trs: int, at: float
) -> np.ndarray:
    """Second of the film that the window from BOLD volume ``tr`` on predicts. Only this function removes the lag.

    Parameters
    ----------
    at : time in its window to which a prediction is assigned: 0 the first second, 0.5 the middle, 1
    the end.
    """
    return np.asarray(tr) * tr_s - lag_s + at * window_trs * tr_s


def window_table(
    first: np.ndarray,
    second: np.ndarray | None,
    labels: Labels,
    min_stretch_s: float,
    tr_s: float,
    lag_s: float,
) -> pd.DataFrame:
    """Windows of both conditions in one run, before the class balance.

    Parameters
    ----------
    first, second : (n, 2) stretches of both conditions; second None: the gaps between the stretches
    of the first.

    Returns
    -------
    Columns label, onset_s (film), duration_s (of the stretch), first_tr (BOLD), sorted by onset.
    """
    stretches = [
        long_stretches(first, min_stretch_s),
        long_gaps(first, min_stretch_s)
        if second is None
        else long_stretches(second, min_stretch_s),
    ]
    names = np.repeat(list(labels), [len(of_label) for of_label in stretches])
    onset_s, duration_s = np.concatenate(stretches).T
    table = pd.DataFrame(
        {"label": names.astype(object), "onset_s": onset_s, "duration_s": duration_s}
    )
    table["first_tr"] = first_tr(onset_s, tr_s, lag_s)
    return table.sort_values("onset_s", kind="stable", ignore_index=True)


def ambiguous_windows(
    table: pd.DataFrame,
    first: np.ndarray,
    second: np.ndarray | None,
    labels: Labels,
    window_s: float,
) -> np.ndarray:
    """Which windows of :func:`window_table` (n,) overlap a stretch of the other condition."""
    ambiguous = np.zeros(len(table), dtype=bool)
    if second is not None:
        for label, other in zip(labels, (second, first)):
            has_label = (table["label"] == label).to_numpy()
            ambiguous[has_label] = touches(table["onset_s"].to_numpy()[has_label], window_s, other)
    return ambiguous


def events_of(table: pd.DataFrame) -> pd.Series:
    """The event of each window, (n,) str: one moment of a film is one event for all its viewers.

    Stretches of one label belong to one event if they overlap by more than half of the longer one:
    logs of a film differ by milliseconds between people. The session in which somebody saw the film
    plays no part.

    Parameters
    ----------
    table : windows of all people; columns stimulus (the film, or the part of it that a run shows),
        label, onset_s, duration_s.
    """
    events = pd.Series(index=table.index, dtype=object)
    for (stimulus, label), windows in table.groupby(["stimulus", "label"], sort=False):
        first = None  # the earliest stretch of the event
        for row in windows.sort_values("onset_s", kind="stable").itertuples():
            if first is None or not _mostly_overlap(first, row):
                first = row
            events[row.Index] = f"{stimulus}_{label}_{first.onset_s:g}s"
    return events


def _mostly_overlap(earlier, later) -> bool:
    end_s = min(earlier.onset_s + earlier.duration_s, later.onset_s + later.duration_s)
    return end_s - later.onset_s > max(earlier.duration_s, later.duration_s) / 2


def stimuli_of(samples: pd.DataFrame) -> np.ndarray:
    """What the viewers of each window have in common, (n,) str: the column ``stimulus``, else movie and run."""
    if "stimulus" in samples:
        return samples["stimulus"].to_numpy(str)
    return (samples["movie"] + " " + samples["run"]).to_numpy(str)


def balance(table: pd.DataFrame, labels: Labels, seed: int, run_name: str) -> pd.DataFrame:
    """Remove random windows of the larger class of a run until both classes are equal.

    The draw depends only on ``seed`` and the run's name, so neither the order of runs nor a resumed
    job changes it.
    """
    rng = np.random.default_rng([seed, zlib.crc32(run_name.encode())])
    rows = [np.flatnonzero(table["label"] == label) for label in labels]
    smaller = min(map(len, rows))
    keep = np.concatenate(
        [np.sort(rng.choice(r, smaller, replace=False)) if len(r) > smaller else r for r in rows]
    )
    return table.iloc[np.sort(keep)].reset_index(drop=True)


def read_censor(path: Path | None, n_volumes: int) -> np.ndarray:
    """Which TRs of the film a series of ``n_volumes`` has, from NNDb v2's ``*_censored_timepoints.1D``; None: all.

    The file has a 0 or 1 per TR. AFNI writes 1 for a kept TR; a file that marks dropped TRs instead
    is recognised by the number of volumes in the series. The published series have all TRs, also
    the marked ones (:func:`censored_volumes`).

    Returns
    -------
    kept : (n_trs,) bool, ``n_volumes`` of them True.
    """
    if path is None:
        return np.ones(n_volumes, dtype=bool)
    marks = _read_marks(path)
    for kept in (np.ones(len(marks), dtype=bool), marks, ~marks):
        if kept.sum() == n_volumes:
            return kept
    raise NeuroFaceError(
        f"{path} marks {int(marks.sum())} of {len(marks)} volumes, and the series has {n_volumes}: they do not belong "
        f"together. Download both again, or leave this person out with EXCLUDE."
    )


def censored_volumes(path: Path | None, n_volumes: int) -> np.ndarray:
    """Volumes (n_volumes,) bool of a series that its list of censored TRs marks, although the series has them.

    afni_proc.py writes zeros there (``-cenmode ZERO``); NNDb's ICA cleaning fills them with
    something.
    """
    marks = _read_marks(path) if path else np.ones(n_volumes, dtype=bool)
    return ~marks if len(marks) == n_volumes else np.zeros(n_volumes, dtype=bool)


def _read_marks(path: Path) -> np.ndarray:
    """(n_trs,) bool, the marks of a list of censored TRs."""
    try:
        marks = np.loadtxt(path, ndmin=1)
    except ValueError as error:
        raise NeuroFaceError(
            f"{path}: expected a 0 or 1 per volume ({error}). Download it again."
        ) from None
    if marks.ndim > 1 or not np.isin(marks, (0, 1)).all():
        raise NeuroFaceError(f"{path}: expected one column of 0 and 1. Download it again.")
    return marks == 1


def whole_windows(kept: np.ndarray, window_trs: int) -> tuple[np.ndarray, np.ndarray]:
    """Starts at which a window touches no gap and does not run past the end.

    Parameters
    ----------
    kept : (n_trs,) bool, the TRs that the series has; all True if none was censored.

    Returns
    -------
    first_tr, first_volume : (n,) each, the start in TRs of the film and in volumes of the series
    (no dropped TRs).
    """
    before = np.concatenate([[0], np.cumsum(kept)])  # volumes before each TR
    first_tr = np.flatnonzero(before[window_trs:] - before[:-window_trs] == window_trs)
    return first_tr, before[first_tr]


def cut_windows(
    volumes: Iterable[np.ndarray], first_volumes: np.ndarray, window_trs: int
) -> Iterator[np.ndarray]:
    """Yield each window of a run as soon as its last volume is there; keep no volume that no window needs.

    Parameters
    ----------
    volumes : the run's volumes in order, some at a time, (n, n_voxels) each
        (:func:`neuroface.bold.images.stream_masked`). All are read, also those after the last
        window.
    first_volumes : numbers of the volumes with which the windows start, in ascending order; they may overlap.

    Yields
    ------
    window : (n_voxels, window_trs) float32, in the order of ``first_volumes``.
    """
    waiting, end = deque(np.asarray(first_volumes).tolist()), 0
    begun: deque[tuple[int, np.ndarray]] = deque()
    for chunk in volumes:
        start, end = end, end + len(chunk)
        while waiting and waiting[0] < end:
            begun.append(
                (waiting.popleft(), np.empty((chunk.shape[1], window_trs), dtype=np.float32))
            )
        for first, window in begun:
            low, high = max(first, start), min(first + window_trs, end)
            window[:, low - first : high - first] = chunk[low - start : high - start].T
        while begun and begun[0][0] + window_trs <= end:
            yield begun.popleft()[1]
    if begun or waiting:
        raise ValueError(f"{len(begun) + len(waiting)} windows run past the run's {end} volumes")


def windows_file(folder: Path, subject: str, run_name: str) -> Path:
    """``<sub>/<sub>_task-<movie>[_run-<run>]_windows.npy``."""
    return folder / subject / f"{run_name}_windows.npy"
