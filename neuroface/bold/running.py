"""Mean and SD of every voxel over volumes that arrive in parts."""

from collections.abc import Iterable, Iterator

import numpy as np

CONSTANT = 1e-7  # an SD this small relative to the signal is a rounding error


class RunningStatistics:
    """Mean and SD per voxel, without storing the volumes.

    Sums are float64 and over differences from the first volume, so that they keep their precision
    if the signal is far from zero (Chan, Golub & LeVeque 1983, Am. Stat. 37:242). After all volumes
    of a run :meth:`standardize` gives their z-scores; a voxel that never changes gets 0.
    """

    def __init__(self):
        self.n, self.first = 0, np.empty(0)  # (n_voxels,) the first volume
        self.sum, self.squares = np.zeros(()), np.zeros(())

    def add(self, volumes: np.ndarray) -> None:
        """Add ``volumes`` (n, n_voxels)."""
        if self.n == 0:
            self.first = volumes[0].copy()
            self.sum, self.squares = np.zeros(self.first.shape), np.zeros(self.first.shape)
        for volume in volumes:  # one at a time stays in the processor's cache
            distance = np.subtract(volume, self.first, dtype=np.float64)
            self.sum += distance
            self.squares += np.square(distance, out=distance)
        self.n += len(volumes)

    def watch(self, parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield each part of a run (n, n_voxels) unchanged, and add it to the sums."""
        for volumes in parts:
            self.add(volumes)
            yield volumes

    def centre_and_scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Value to subtract from each voxel (n_voxels,), and factor to apply after that: 0 where it is constant."""
        shift = self.sum / self.n
        sd = np.sqrt(np.maximum(self.squares / self.n - shift**2, 0))
        constant = sd <= CONSTANT * np.abs(self.first)
        return self.first + shift, np.where(constant, 0, 1 / np.where(constant, 1, sd))

    def standardize(self, volumes: np.ndarray, numbers: np.ndarray | None = None) -> np.ndarray:
        """(n, n_voxels) float32, standardised by mean and SD of all volumes so far; constant voxels become 0.

        ``numbers`` : of the volumes in the run, as for :class:`neuroface.bold.Projection`; not
        needed here.
        """
        centre, scale = self.centre_and_scale()
        return ((volumes - centre) * scale).astype(np.float32)
