"""Face annotations, and the windows of BOLD that they label: the rules of the paper, in one place."""

import warnings
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from neuroface import NeuroFaceError

DAY_S = 86_400  # no film lasts so long: what lies beyond is not in seconds
ROUNDING_S = 1e-6  # sums of multiples of 0.2 s miss a value by far less, real annotations differ by far more


def read_1d(path: Path) -> np.ndarray:
    """NNDb annotation (AFNI ``.1D`` text): onset and duration in seconds of the film, a row per stretch with a face.

    Returns
    -------
    stretches : (n, 2) float64, onset_s and duration_s, sorted, overlaps merged.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")  # said better below
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


def read_events(path: Path, trial_types: tuple[str, ...]) -> np.ndarray:
    """Stretches of certain trial types in a BIDS ``events.tsv``; as :func:`read_1d`, (0, 2) if there are none."""
    try:
        events = pd.read_csv(path, sep="\t", na_values=["n/a"])
    except pd.errors.EmptyDataError:
        raise NeuroFaceError(f"{path} is empty. Put the run's events there, or remove the run.") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise NeuroFaceError(f"{path} is not a tab-separated table ({error}). Put the run's events there.") from None
    missing = {"onset", "duration", "trial_type"} - set(events.columns)
    if missing:
        raise NeuroFaceError(f"{path} lacks the column {sorted(missing)[0]!r}; it has {list(events.columns)}. Add it.")
    chosen = events[events["trial_type"].astype(str).isin(trial_types)]
    if chosen.empty:
        return np.empty((0, 2))
    try:
        rows = chosen[["onset", "duration"]].to_numpy(dtype=np.float64)
    except ValueError as error:
        raise NeuroFaceError(f"{path}: an onset or a duration is not a number ({error}). Correct the file.") from None
    return _checked(rows, path)


def read_stretches(path: Path, trial_types: tuple[str, ...]) -> np.ndarray:
    """Stretches (n, 2) of an annotation of either kind: ``.1D``, or ``events.tsv`` with these trial types."""
    return read_1d(path) if path.suffix == ".1D" else read_events(path, trial_types)


def _checked(rows: np.ndarray, path: Path) -> np.ndarray:
    if not len(rows):
        raise NeuroFaceError(f"{path} is empty: no stretch with a face. Put the film's annotation there.")
    bad = np.flatnonzero(~((rows >= 0) & (rows < DAY_S)).all(axis=1))  # NaN is not ≥ 0 either
    if len(bad):
        raise NeuroFaceError(
            f"{path}, row {bad[0] + 1}: {rows[bad[0]].tolist()} is not an onset and a duration ≥ 0 in seconds of the film. "
            f"Correct the file."
        )
    return merge_overlaps(rows)


def stretches_of(
    path: Path, face_types: tuple[str, ...], other_types: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Stretches with a face, and those that count as no face; None where that is all the rest."""
    others = None
    if other_types:  # type by type: a house block that follows a cat block is a stretch of its own
        others = np.concatenate([read_events(path, (kind,)) for kind in other_types])
    return read_stretches(path, face_types), others


def merge_overlaps(stretches: np.ndarray) -> np.ndarray:
    """Sort stretches and join those that overlap or touch: the face never left the screen.

    Parameters
    ----------
    stretches : (n, 2), onset_s and duration_s. NNDb has neither kind; its rows come back bit for bit.

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
    return np.array(merged)


def long_stretches(stretches: np.ndarray, min_s: float) -> np.ndarray:
    """Onsets (seconds) of the stretches that last strictly longer than ``min_s``."""
    return stretches[stretches[:, 1] > min_s, 0]


def long_gaps(stretches: np.ndarray, min_s: float) -> np.ndarray:
    """Onsets (seconds) of the gaps between stretches that last strictly longer than ``min_s``.

    The order of operations is the paper's code's: on a 0.2 s grid another order rounds other gaps across the limit.
    """
    onset, duration = stretches.T
    ends = onset[:-1] + duration[:-1]
    return ends[onset[1:] - ends > min_s]


def first_tr(onset_s: np.ndarray, tr_s: float, lag_s: float) -> np.ndarray:
    """BOLD volume at which the window of a stimulus onset starts: ``int(onset / TR + LAG)``, LAG in volumes.

    An onset that a rounding error puts just below a volume counts as on it; at TR 1 s this changes none of NNDb's.
    """
    return (np.asarray(onset_s) / tr_s + lag_s / tr_s + ROUNDING_S).astype(np.int64)


def stimulus_time_s(tr: np.ndarray, tr_s: float, lag_s: float, window_trs: int, at: float) -> np.ndarray:
    """Second of the film that the window starting at BOLD volume ``tr`` speaks for. The one place that removes the lag.

    Parameters
    ----------
    at : where in its window a prediction speaks: 0 its first second, 0.5 its middle, 1 its end.
    """
    return np.asarray(tr) * tr_s - lag_s + at * window_trs * tr_s


def on_screen(times_s: np.ndarray, stretches: np.ndarray) -> np.ndarray:
    """1 where a face is on the screen at ``times_s`` (onset ≤ t < onset + duration), else 0; int8."""
    if not len(stretches):
        return np.zeros(len(times_s), dtype=np.int8)
    onset, duration = stretches.T
    row = np.searchsorted(onset, times_s, side="right") - 1
    inside = (row >= 0) & (times_s < onset[row] + duration[row])
    return inside.astype(np.int8)


def window_table(
    faces: np.ndarray, others: np.ndarray | None, min_stretch_s: float, tr_s: float, lag_s: float
) -> pd.DataFrame:
    """Face and no-face windows of one run, before the class balance.

    Parameters
    ----------
    faces : (n, 2) stretches with a face.
    others : (m, 2) stretches that count as no face; None: the gaps between faces.

    Returns
    -------
    Columns label ("face" or "noface"), onset_s (film), first_tr (BOLD), sorted by onset.
    """
    face = long_stretches(faces, min_stretch_s)
    noface = long_gaps(faces, min_stretch_s) if others is None else long_stretches(others, min_stretch_s)
    table = pd.DataFrame(
        {"label": ["face"] * len(face) + ["noface"] * len(noface), "onset_s": np.concatenate([face, noface])}
    )
    table["first_tr"] = first_tr(table["onset_s"].to_numpy(), tr_s, lag_s)
    return table.sort_values("onset_s", kind="stable", ignore_index=True)


def balance(table: pd.DataFrame, seed: int, run_name: str) -> pd.DataFrame:
    """Draw the larger class of a run down to the smaller one.

    The draw depends on ``seed`` and the run's name alone, so neither the order of runs nor a resumed job changes it.
    """
    rng = np.random.default_rng([seed, zlib.crc32(run_name.encode())])
    rows = [np.flatnonzero(table["label"] == label) for label in ("face", "noface")]
    smaller = min(map(len, rows))
    keep = np.concatenate([np.sort(rng.choice(r, smaller, replace=False)) if len(r) > smaller else r for r in rows])
    return table.iloc[np.sort(keep)].reset_index(drop=True)


def read_censor(path: Path | None, n_volumes: int) -> np.ndarray:
    """Which TRs of the film a series of ``n_volumes`` has, from NNDb v2's ``*_censored_timepoints.1D``; None: all.

    The file has a 0 or 1 per TR. AFNI writes 1 where a TR is kept; a list that marks what was dropped instead is
    recognised by the number of volumes that are left.

    Returns
    -------
    kept : (n_trs,) bool, ``n_volumes`` of them True.
    """
    if path is None:
        return np.ones(n_volumes, dtype=bool)
    try:
        marks = np.loadtxt(path, ndmin=1)
    except ValueError as error:
        raise NeuroFaceError(f"{path}: expected a 0 or 1 per volume ({error}). Download it again.") from None
    if marks.ndim > 1 or not np.isin(marks, (0, 1)).all():
        raise NeuroFaceError(f"{path}: expected one column of 0 and 1. Download it again.")
    for kept in (marks == 1, marks == 0):
        if kept.sum() == n_volumes:
            return kept
    raise NeuroFaceError(
        f"{path} marks {int(marks.sum())} of {len(marks)} volumes, and the series has {n_volumes}: they do not belong "
        f"together. Download both again, or leave this person out with EXCLUDE."
    )


def whole_windows(kept: np.ndarray, window_trs: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a window may start so that it touches no gap and does not run past the end.

    Parameters
    ----------
    kept : (n_trs,) bool, the TRs that the series has; all True if none was censored.

    Returns
    -------
    first_tr, first_volume : (n,) each, the start on the film's clock and in the series, where dropped TRs are missing.
    """
    before = np.concatenate([[0], np.cumsum(kept)])  # volumes before each TR
    first_tr = np.flatnonzero(before[window_trs:] - before[:-window_trs] == window_trs)
    return first_tr, before[first_tr]


def cut_windows(volumes: Iterable[np.ndarray], first_volumes: np.ndarray, window_trs: int) -> Iterator[np.ndarray]:
    """Windows of a run, each as soon as its last volume is there; what no window needs is not kept.

    Parameters
    ----------
    volumes : the run's volumes in order, some at a time, (n, n_voxels) each (:func:`neuroface.bold.stream_masked`).
        All are taken, also those after the last window.
    first_volumes : where the windows start, in ascending order; they may overlap.

    Yields
    ------
    window : (n_voxels, window_trs) float32, in the order of ``first_volumes``.
    """
    waiting, begun, end = deque(np.asarray(first_volumes).tolist()), deque(), 0
    for chunk in volumes:
        start, end = end, end + len(chunk)
        while waiting and waiting[0] < end:
            begun.append((waiting.popleft(), np.empty((chunk.shape[1], window_trs), dtype=np.float32)))
        for first, window in begun:
            low, high = max(first, start), min(first + window_trs, end)
            window[:, low - first : high - first] = chunk[low - start : high - start].T
        while begun and begun[0][0] + window_trs <= end:
            yield begun.popleft()[1]
    if begun or waiting:
        raise ValueError(f"{len(begun) + len(waiting)} windows run past the run's {end} volumes")
