"""Pauses of a film: a series that joins the runs of a film lacks the seconds that were shown while the scanner had stopped.

NNDb version 2 joins the runs and does not correct its pauses; version 1 does. ``nndb_pauses.tsv``
has, for every person and run, the volume at which the run begins, and how far the film is ahead of
the volumes.
"""

from functools import cache
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.run import Run

import numpy as np
import pandas as pd

TABLE = Path(__file__).with_name("nndb_pauses.tsv")


@cache
def _table() -> pd.DataFrame:
    return pd.read_csv(TABLE, sep="\t", comment="#")


def pauses_of(subject: str, film: str) -> tuple[tuple[int, float], ...]:
    """(first volume, shift_s) of each run of a person who saw a film; () if the table does not list them.

    Volume v of a run shows second ``v · TR + shift_s`` of the film.
    """
    table = _table()
    runs = table[(table["subject"] == subject) & (table["film"] == film)]
    return tuple(
        (int(first), float(shift)) for first, shift in zip(runs["first_volume"], runs["shift_s"])
    )


def has_pauses(film: str) -> bool:
    """Whether the table lists any viewer of a film."""
    return bool((_table()["film"] == film).any())


def film_ahead_s(run: Run, n_volumes: int) -> np.ndarray | float:
    """How far the film is ahead of each volume's time in the series, in seconds: (n_volumes,); 0.0 without pauses."""
    if not run.pauses:
        return 0.0
    first, shift_s = (np.array(values) for values in zip(*run.pauses))
    return shift_s[np.searchsorted(first, np.arange(n_volumes), side="right") - 1]


def in_series_s(run: Run, film_s: np.ndarray, tr_s: float) -> np.ndarray:
    """Seconds of the film (n,) as seconds of the series; a moment that fell into a pause belongs to the run after it."""
    film_s = np.asarray(film_s, dtype=np.float64)
    if not run.pauses:
        return film_s
    first, shift_s = (np.array(values) for values in zip(*run.pauses))
    ends_s = first[1:] * tr_s + shift_s[:-1]  # of each run but the last, on the film's clock
    return film_s - shift_s[np.searchsorted(ends_s, film_s, side="right")]


def spans_break(run: Run, first_tr: np.ndarray, window_trs: int) -> np.ndarray:
    """Which windows (n,) bool begin in one run of a joined series and end in the next: minutes may lie between.

    Parameters
    ----------
    first_tr : (n,) volumes of the series at which the windows begin.
    """
    first_tr = np.asarray(first_tr)
    spans = np.zeros(len(first_tr), dtype=bool)
    for begins, _ in run.pauses[1:] if run.pauses else ():
        spans |= (first_tr < begins) & (begins < first_tr + window_trs)
    return spans


def describe_pauses(runs: list[Run]) -> list[str]:
    """Sentences on runs whose pauses are corrected, and on those of whom nothing is known; empty for other data sets."""
    moved = {run.subject: max(abs(shift) for _, shift in run.pauses) for run in runs if run.pauses}
    unknown = [run.subject for run in runs if run.pauses == () and run.joined]
    lines = []
    if moved:
        worst = max(moved, key=lambda person: moved[person])
        lines.append(
            f"Pauses of the film move the windows of {len(moved)} people by up to {moved[worst]:.2f} s ({worst}), by the "
            f"table {TABLE.name}."
        )
    if unknown:
        lines.append(
            f"Pauses of the film are not known for {', '.join(unknown)}: windows may be some seconds off."
        )
    return lines


def check_pauses(run: Run, n_volumes: int) -> None:
    """Raise if a series ends before the run that the table lists last."""
    if run.pauses and run.pauses[-1][0] >= n_volumes:
        raise NeuroFaceError(
            f"{run.bold} has {n_volumes} volumes, and {TABLE.name} says that its run {len(run.pauses)} begins at volume "
            f"{run.pauses[-1][0]}. Is it a whole series of NNDb version 2? Download it again, or leave {run.subject} out "
            f"with EXCLUDE."
        )
