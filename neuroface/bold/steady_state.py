"""Volumes before the steady state: the first ones of a run, brighter than all others until the magnetisation has settled.

A few of them enlarge the SD of the whole run many times. fMRIPrep marks them in its table of
confounds; other series are judged by the rule of nipype, which fMRIPrep and MRIQC use, and by how
much the volumes exceed the noise of single voxels.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from neuroface.bold.images import open_header, stream_masked
from neuroface.bold.run import Run
from neuroface.pipeline import numbers, read_text_table

import numpy as np

N_FIRST = 50  # volumes that are compared, as in nipype's NonSteadyStateDetector
MIN_VOLUMES = 10  # a median of fewer is no measure of the rest
MIN_SCORE = 3.5  # modified z-score of the mean over voxels (Iglewicz & Hoaglin 1993), as in nipype
MIN_EXCESS = (
    1.0  # mean over voxels of the excess in SDs of the voxel: less hardly changes the SD of a run
)
N_VOXELS = 50_000  # of a volume are looked at
SD_PER_MAD = 1.4826
MARK = "non_steady_state_outlier"


@dataclass(frozen=True)
class SteadyState:
    """Which volumes of a run were measured in the steady state.

    Parameters
    ----------
    kept : (n_volumes,) bool. reason : how the others were found, in words; empty if there are none.
    """

    kept: np.ndarray
    reason: str = ""

    @property
    def n_before(self) -> int:
        """Number of volumes that were not."""
        return int((~self.kept).sum())


def steady_state(run: Run, n_volumes: int) -> SteadyState:
    """The steady state of a run: as its table of confounds marks it, else by the brightness of its first volumes.

    Raises
    ------
    NeuroFaceError
        As :func:`neuroface.bold.stream_masked`, and if the table marks with something else than
        numbers.
    """
    kept = np.ones(n_volumes, dtype=bool)
    if run.confounds and _has_marks(run.confounds):
        marks = _marked(run.confounds)
        if len(marks) == n_volumes:  # else the table is of another series
            return SteadyState(~marks, f"marked as {MARK} in {run.confounds.name}")
    stat = run.bold.stat()
    if n := _first_bright(run.bold, stat.st_size, stat.st_mtime_ns):
        kept[:n] = False
        return SteadyState(kept, "brighter than those that follow")
    return SteadyState(kept)


def count_bright(volumes: np.ndarray) -> int:
    """How many of the first volumes (n, n_voxels) are brighter than the others by both rules.

    nipype's rule: the mean over voxels lies more than ``MIN_SCORE`` modified z-scores from its
    median; only brighter volumes count here. In addition the excess, in SDs of each voxel, is more
    than ``MIN_EXCESS`` on average, so that a chance fluctuation of the mean, which is small, does
    not count.
    """
    if len(volumes) < MIN_VOLUMES:
        return 0
    mean = volumes.mean(axis=1)
    distance = mean - np.median(mean)
    scale = np.median(np.abs(distance))
    centre = np.median(volumes, axis=0)
    sd = SD_PER_MAD * np.median(np.abs(volumes - centre), axis=0)
    varies = sd > 0
    if scale == 0 or not varies.any():
        return 0
    excess = ((volumes[:, varies] - centre[varies]) / sd[varies]).mean(axis=1)
    bright = (0.6745 * distance / scale > MIN_SCORE) & (excess > MIN_EXCESS)
    return int(np.argmin(bright)) if not bright.all() else 0


@cache
def _first_bright(path: Path, size: int, changed_ns: int) -> int:
    """:func:`count_bright` of a series; size and time of change tell versions of a file apart."""
    return count_bright(_first_volumes(path))


def _first_volumes(path: Path) -> np.ndarray:
    """(at most N_FIRST, n_voxels) float64: voxels of the brain, by their brightness, out of a random sample of the grid."""
    image, shape = open_header(path)
    n = min(N_FIRST, shape[3])
    sample = np.zeros(int(np.prod(shape[:3])), dtype=bool)
    sample[np.random.default_rng(0).permutation(len(sample))[:N_VOXELS]] = True
    parts, read = [], 0
    for block in stream_masked(path, sample.reshape(shape[:3]), image.affine):
        parts.append(block)
        read += len(block)
        if read >= n:
            break
    volumes = np.concatenate(parts)[:n].astype(np.float64)
    volumes = volumes[:, np.isfinite(volumes).all(axis=0)]
    size = np.abs(volumes).mean(axis=0)
    return volumes[:, size > size.mean()] if volumes.size else volumes


def _has_marks(table: Path) -> bool:
    with open(table, encoding="utf-8-sig", errors="replace") as file:
        return MARK in file.readline()


def _marked(path: Path) -> np.ndarray:
    """(n_rows,) bool: volumes that any of fMRIPrep's columns marks with a 1."""
    table = read_text_table(path)
    names = [name for name in table.columns if name.startswith(MARK)]
    return np.any([numbers(table, name, path) == 1 for name in names], axis=0)
