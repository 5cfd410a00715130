"""Cut windows from a run and standardise them over the whole run, with only a few volumes in memory."""

from collections.abc import Iterator
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.images import stream_masked
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
) -> int:
    """Write a run's windows (n_windows, n_voxels, window_trs) float32 to the ``.npy`` file ``target``.

    Each window is written as soon as it is complete. Mean and SD are known after the last volume; the windows, not the
    run, are then standardised in the file. Memory does not grow with the length of the run.

    Parameters
    ----------
    path, mask, affine : as in :func:`neuroface.bold.images.stream_masked`.
    first_volumes : (n_windows,), where windows start, in ascending order.
    standardize : "zscore" (mean 0, SD 1 of each voxel over the run; 0 where it is constant) or "none".

    Returns
    -------
    Number of constant voxels; 0 if not standardised.

    Raises
    ------
    NeuroFaceError
        As :func:`neuroface.bold.images.stream_masked`, and if a volume is 0 in all voxels.
    """
    shape = (len(first_volumes), int(mask.sum()), window_trs)
    volumes, statistics = _none_lost(path, stream_masked(path, mask, affine)), RunningStatistics()
    with atomic(target) as partial, open(partial, "w+b") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        start = file.tell()
        for window in cut_windows(
            statistics.watch(volumes) if standardize == "zscore" else volumes, first_volumes, window_trs
        ):
            file.write(window.astype("<f4", copy=False))
        if standardize != "zscore":
            return 0
        mean, factor = statistics.centre_and_scale()
        window = np.empty(shape[1:], dtype="<f4")
        for position in range(start, start + shape[0] * window.nbytes, window.nbytes):
            file.seek(position)
            file.readinto(window)
            file.seek(position)
            file.write(((window - mean[:, None]) * factor[:, None]).astype("<f4"))
    return int((factor == 0).sum())


def _none_lost(path: Path, volumes: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Pass volumes (n, n_voxels) on; raise if a volume is 0 everywhere: it was lost in export or filled in."""
    start = 0
    for part in volumes:
        if not (there := part.any(axis=1)).all():
            raise NeuroFaceError(
                f"{path}: volume {start + int(there.argmin()) + 1} is 0 in all voxels of the mask. Export or download the "
                f"run again, or leave this person out with EXCLUDE."
            )
        start += len(part)
        yield part


def standardized_volumes(path: Path, mask: np.ndarray, affine: np.ndarray, n: int, standardize: str):
    """A run's volumes (n, n_voxels), ``n`` at a time, standardised as :func:`extract_windows` does.

    With "zscore" the file is read twice: mean and SD are known after the first reading.
    """
    volumes = stream_masked(path, mask, affine, n)
    if standardize == "none":
        return volumes
    statistics = RunningStatistics()
    for part in volumes:
        statistics.add(part)
    return map(statistics.standardize, stream_masked(path, mask, affine, n))
