"""Which moment of a film a volume of a run carries: runs that overlap, and the delay of the response."""

from neuroface import NeuroFaceError
from neuroface.bold import ROUNDING_S, check_film_length, first_volume_s

import numpy as np


def run_number(run) -> int:
    """Number of a run (from 1) from the last part of its name in the data set, e.g. "movie-3" → 3."""
    number = run.run.rpartition("-")[2]
    if not number.isdigit() or int(number) < 1:
        raise NeuroFaceError(
            f"{run.bold} has no run number, so SEGMENTS cannot say which part of the film it shows. Rename or remove it."
        )
    return int(number)


def segment_of(run, n_volumes: int, segments: tuple[tuple[float, float], ...], tr_s: float) -> int:
    """Index of the segment that a run shows; its length must fit.

    Raises
    ------
    NeuroFaceError
        If the run's number has no segment; if it is longer than its segment; or if it is shorter
        and has exactly the length of another segment.
    """
    index, lengths = (
        run_number(run) - 1,
        [int((end - start) / tr_s + ROUNDING_S) for start, end in segments],
    )
    if index >= len(segments):
        raise NeuroFaceError(
            f"{run.bold} is run {index + 1}; SEGMENTS has {len(segments)} parts. Add its part."
        )
    if run.film:  # the run may be longer: FILM_EVENT says when it shows its part
        start, end = segments[index]
        check_film_length(
            run, n_volumes * tr_s, end - start, source=f"part {index + 1} of SEGMENTS"
        )
        return index
    fits = [number + 1 for number, length in enumerate(lengths) if length == n_volumes]
    if n_volumes > lengths[index] + 1 or (n_volumes < lengths[index] - 1 and fits):
        other = f" It has the length of part {fits[0]}." if fits else ""
        raise NeuroFaceError(
            f"{run.bold} has {n_volumes} volumes; part {index + 1} of SEGMENTS lasts {lengths[index]}.{other} Correct "
            f"SEGMENTS or TR_S, put the right file in its place, or leave this person out with EXCLUDE."
        )
    return index


def shown_volumes(run, n_volumes: int, cfg) -> int:
    """Number of a run's volumes from the beginning of its film on; all of them without FILM_EVENT."""
    return (
        n_volumes
        if run.film is None
        else n_volumes + int(np.floor(first_volume_s(run, n_volumes, cfg.TR_S) / cfg.TR_S))
    )


def moments_of_volumes(
    n_volumes: int,
    index: int,
    segments: tuple[tuple[float, float], ...],
    tr_s: float,
    lag_s: float,
    clock: str,
) -> np.ndarray:
    """The TR of the film whose label each volume of a run carries, (n_volumes,) int; −1: it shows nothing of its segment.

    Parameters
    ----------
    index : number of the run's segment. lag_s : the response to film second s is taken ``lag_s`` later.
    clock : "segments": volume t shows film second start + t · TR. "cumulated": it shows the second
        that it would show if the runs did not overlap (the published procedure).
    """
    start = segments[index][0]
    if clock == "cumulated":
        start = sum(
            int((end - begin) / tr_s + ROUNDING_S) * tr_s for begin, end in segments[:index]
        )
    since_start = np.arange(n_volumes) * tr_s - lag_s
    moment = np.floor((start + since_start) / tr_s + ROUNDING_S).astype(int)
    lasts_s = segments[index][1] - segments[index][0]
    return np.where((since_start >= -ROUNDING_S) & (since_start < lasts_s - ROUNDING_S), moment, -1)
