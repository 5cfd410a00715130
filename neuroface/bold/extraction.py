"""Cut windows from a run and standardise them over the whole run, with only a few volumes in memory."""

from collections.abc import Iterator
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.images import stream_masked
from neuroface.bold.projection import Cleaning, Projection
from neuroface.bold.running import RunningStatistics
from neuroface.bold.windows import cut_windows
from neuroface.pipeline import atomic

import numpy as np


def extract_windows(
    target: Path,
    path: Path,
    mask: np.ndarray,
    affine: np.ndarray,
    first_volumes: np.ndarray,
    window_trs: int,
    standardize: str,
    cleaning: Cleaning | None = None,
) -> int:
    """Write a run's windows (n_windows, n_voxels, window_trs) float32 to the ``.npy`` file ``target``.

    Each window is written as soon as it is complete. Nuisance fit, mean and SD are known after the
    last volume; the windows, not the run, are then cleaned and standardised in the file. Memory
    does not grow with the length of the run.

    Parameters
    ----------
    path, mask, affine : as in :func:`neuroface.bold.images.stream_masked`.
    first_volumes : (n_windows,), where windows start, in ascending order.
    standardize : "zscore" (mean 0, SD 1 of each voxel over the run; 0 where it is constant) or
    "none".
    cleaning : what is removed from the run first (:func:`neuroface.bold.cleaning_of`); None: nothing.
        Windows must not touch scrubbed volumes (:meth:`Cleaning.keeps`).

    Returns
    -------
    Number of voxels without variance, before or after the cleaning; 0 if not standardised.

    Raises
    ------
    NeuroFaceError
        As :func:`neuroface.bold.images.stream_masked`, and if a volume is 0 in all voxels.
    """
    shape = (len(first_volumes), int(mask.sum()), window_trs)
    smoothing_mm = cleaning.smoothing_mm if cleaning else None
    expected = None if cleaning is None else cleaning.kept
    volumes = _none_lost(
        path, stream_masked(path, mask, affine, smoothing_mm=smoothing_mm), expected
    )
    statistics = statistics_of(cleaning, standardize)
    with atomic(target) as partial, open(partial, "w+b") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
        start = file.tell()
        for window in cut_windows(
            statistics.watch(volumes) if statistics else volumes, first_volumes, window_trs
        ):
            file.write(window.astype("<f4", copy=False))
        if statistics is None:
            return 0
        window = np.empty(shape[1:], dtype="<f4")
        finish = _finishing(statistics, standardize)
        for number, first in enumerate(first_volumes):
            position = start + number * window.nbytes
            file.seek(position)
            file.readinto(window)
            file.seek(position)
            file.write(
                np.ascontiguousarray(
                    finish(window, np.arange(first, first + window_trs)), dtype="<f4"
                )
            )
    return int((statistics.centre_and_scale()[1] == 0).sum()) if standardize == "zscore" else 0


def statistics_of(
    cleaning: Cleaning | None, standardize: str
) -> RunningStatistics | Projection | None:
    """What has to be summed over a run's volumes before they can be cleaned and standardised; None: nothing."""
    if cleaning is not None and cleaning.nuisance is not None:
        return Projection(cleaning)
    return RunningStatistics() if standardize == "zscore" else None


def _finishing(statistics: RunningStatistics | Projection, standardize: str):
    """Function of a window (n_voxels, window_trs) and the numbers (window_trs,) of its volumes: cleaned, standardised."""
    centre, scale = (values[:, None] for values in statistics.centre_and_scale())
    if isinstance(statistics, RunningStatistics):
        return lambda window, numbers: (window - centre) * scale
    if standardize == "zscore":
        return lambda window, numbers: (statistics.clean(window.T, numbers).T - centre) * scale
    return lambda window, numbers: statistics.clean(window.T, numbers).T


def _none_lost(
    path: Path, volumes: Iterator[np.ndarray], expected: np.ndarray | None
) -> Iterator[np.ndarray]:
    """Pass volumes (n, n_voxels) on; raise if a volume is 0 everywhere: it was lost in export or filled in.

    ``expected`` : (n_volumes,) bool, volumes that must not be; None: all.
    """
    start = 0
    for block in volumes:
        empty_by_list = False if expected is None else ~expected[start : start + len(block)]
        if not (there := block.any(axis=1) | empty_by_list).all():
            raise NeuroFaceError(
                f"{path}: volume {start + int(there.argmin()) + 1} is 0 in all voxels of the mask. Export or download the "
                f"run again, or leave this person out with EXCLUDE."
            )
        start += len(block)
        yield block


def standardized_volumes(
    path: Path,
    mask: np.ndarray,
    affine: np.ndarray,
    n: int,
    standardize: str,
    cleaning: Cleaning | None = None,
) -> Iterator[np.ndarray]:
    """A run's volumes (n, n_voxels), ``n`` at a time, cleaned and standardised as :func:`extract_windows` does.

    The file is read twice: nuisance fit, mean and SD are known after the first reading. With
    neither cleaning nor "zscore" it is read once. Scrubbed volumes are 0.
    """
    smoothing_mm = cleaning.smoothing_mm if cleaning else None
    statistics = statistics_of(cleaning, standardize)
    if statistics is None:
        return stream_masked(path, mask, affine, n, smoothing_mm)
    for block in stream_masked(path, mask, affine, smoothing_mm=smoothing_mm):
        statistics.add(block)
    again = stream_masked(path, mask, affine, n, smoothing_mm)
    if isinstance(statistics, RunningStatistics):
        return map(statistics.standardize, again)
    return _cleaned(again, statistics, standardize)


def _cleaned(
    volumes: Iterator[np.ndarray], statistics: Projection, standardize: str
) -> Iterator[np.ndarray]:
    start = 0
    for block in volumes:
        numbers = np.arange(start, start + len(block))
        start += len(block)
        if standardize == "zscore":
            yield statistics.standardize(block, numbers)
        else:
            yield statistics.clean(block, numbers).astype(np.float32)
