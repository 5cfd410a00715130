"""Mean and SD of every voxel over volumes that come one part after another."""

import numpy as np

CONSTANT = 1e-7  # as in neuroface.bold.zscore: an SD this small beside the largest value is rounding


class RunningStatistics:
    """Mean and SD per voxel, in float64, without the volumes they are of (Chan, Golub & LeVeque 1983, Am. Stat. 37:242).

    After all volumes of a run :meth:`standardize` gives what :func:`neuroface.bold.zscore` gives, to rounding.
    """

    def __init__(self, n_voxels: int):
        self.n = 0
        self.mean, self._squares = np.zeros(n_voxels), np.zeros(n_voxels)  # sum of squared distances from the mean
        self._largest = np.zeros(n_voxels)

    @property
    def sd(self) -> np.ndarray:
        return np.sqrt(self._squares / max(self.n, 1))

    def add(self, volumes: np.ndarray) -> None:
        """``volumes`` (n, n_voxels)."""
        part = volumes.astype(np.float64)
        mean = part.mean(axis=0)
        difference, total = mean - self.mean, self.n + len(part)
        self._squares += ((part - mean) ** 2).sum(axis=0) + difference**2 * (self.n * len(part) / total)
        self.mean += difference * (len(part) / total)
        self._largest = np.maximum(self._largest, np.abs(part).max(axis=0))
        self.n = total

    def standardize(self, volumes: np.ndarray) -> np.ndarray:
        """(n, n_voxels) float32 at mean 0, SD 1 of the volumes added so far; voxels that never changed become 0."""
        sd = self.sd
        flat = sd <= CONSTANT * self._largest
        return np.where(flat, 0, (volumes - self.mean) / np.where(flat, 1, sd)).astype(np.float32)
