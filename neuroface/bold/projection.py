"""Regress nuisance signals out of BOLD that is read volume by volume."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from neuroface import NeuroFaceError
from neuroface.bold.running import CONSTANT
from neuroface.bold.steady_state import SteadyState

import numpy as np
from scipy import linalg

BATCH = (
    32  # volumes per product: a product of single volumes would spend its time on reading the sums
)
VOXELS = 4096  # of a batch in float64: a megabyte, which fits the processor's cache
MIN_FREE = 10  # volumes that a run must have beyond its nuisance regressors


@dataclass(frozen=True)
class Cleaning:
    """What is taken from a run's BOLD before it is standardised.

    Parameters
    ----------
    nuisance : (n_volumes, k) float64, the constant first; None: nothing is subtracted.
    kept : (n_volumes,) bool, volumes that are not scrubbed. The others count neither for the fit
    nor for mean and SD.
    smoothing_mm : FWHM of the Gaussian that smooths the volumes first; None: not smoothed.
    removed : what is removed, in words. reason : why it is removed, or why nothing is.
    steady : the volumes before the steady state, which are not kept either; None: not looked for.
    """

    nuisance: np.ndarray | None
    kept: np.ndarray
    smoothing_mm: float | None = None
    removed: str = "nothing"
    reason: str = ""
    steady: SteadyState | None = None

    @property
    def removes(self) -> bool:
        """Whether anything but the mean of the kept volumes is subtracted."""
        return self.nuisance is not None and self.nuisance.shape[1] > 1

    @property
    def n_before(self) -> int:
        """Volumes before the steady state."""
        return 0 if self.steady is None else self.steady.n_before

    @property
    def n_scrubbed(self) -> int:
        """Volumes that are not kept, without those before the steady state."""
        steady = True if self.steady is None else self.steady.kept
        return int((~self.kept & steady).sum())

    @property
    def lost(self) -> str:
        """The volumes that are not kept, in words."""
        n = int((~self.kept).sum())
        if self.n_before:
            return f"{n} volumes that are scrubbed or before the steady state"
        return f"{n} scrubbed volumes"

    @cached_property
    def basis(self) -> np.ndarray:
        """(n_volumes, rank) orthonormal over the kept volumes, the constant first; 0 at scrubbed volumes.

        Raises
        ------
        NeuroFaceError
            If it leaves fewer than ``MIN_FREE`` volumes.
        """
        nuisance = np.ones((len(self.kept), 1)) if self.nuisance is None else self.nuisance
        basis = np.zeros_like(nuisance)
        basis[self.kept], rank = _orthonormal(nuisance[self.kept])
        n_kept = int(self.kept.sum())
        if n_kept - rank < MIN_FREE:
            raise NeuroFaceError(
                f"DENOISE takes {rank} nuisance regressors from {n_kept} volumes ({len(self.kept) - n_kept} are scrubbed): "
                f"nothing is left. Choose a strategy with fewer of them, or lower HIGH_PASS_HZ."
            )
        return basis[:, :rank]

    def keeps(self, first_volumes: np.ndarray, window_trs: int) -> np.ndarray:
        """Which windows (n,) bool touch no scrubbed volume. ``first_volumes`` : (n,), where they start."""
        scrubbed = np.concatenate([[0], np.cumsum(~self.kept)])
        first = np.asarray(first_volumes, dtype=np.int64)
        return (
            scrubbed[np.minimum(first + window_trs, len(self.kept))]
            == scrubbed[np.minimum(first, len(self.kept))]
        )


def drift_regressors(n_volumes: int, tr_s: float, high_pass_hz: float | None) -> np.ndarray:
    """(n_volumes, k): a constant, a linear trend, and cosines slower than ``high_pass_hz`` (None: no cosines).

    The cosines are those of SPM and of nilearn's ``create_cosine_drift``, whose import would take
    100 MB in each process.
    """
    volumes = np.arange(n_volumes)[:, None]
    slower = min(n_volumes - 1, int(2 * n_volumes * high_pass_hz * tr_s)) if high_pass_hz else 0
    cosines = np.cos(np.pi / n_volumes * (volumes + 0.5) * np.arange(1, slower + 1))
    return np.hstack([np.ones((n_volumes, 1)), volumes - (n_volumes - 1) / 2, cosines])


def _orthonormal(columns: np.ndarray) -> tuple[np.ndarray, int]:
    """Basis of the columns' span in as many columns, and its rank; those behind the rank are of no use.

    The first column stays the first direction. The others are compared by direction, so their units
    do not matter.
    """
    first = columns[:, :1] / np.linalg.norm(columns[:, 0])
    rest = columns[:, 1:] - first @ (first.T @ columns[:, 1:])
    length = np.linalg.norm(rest, axis=0)
    varies = length > 1e-10 * np.linalg.norm(columns[:, 1:], axis=0)
    if not varies.any():
        return np.hstack([first, np.zeros_like(rest)]), 1
    directions, triangle, _ = linalg.qr(
        rest[:, varies] / length[varies], mode="economic", pivoting=True
    )
    rank = int((np.abs(np.diag(triangle)) > 1e-8).sum())
    unused = np.zeros((len(columns), columns.shape[1] - 1 - rank))
    return np.hstack([first, directions[:, :rank], unused]), 1 + rank


class Projection:
    """Nuisance fit and SD of every voxel over volumes that arrive in parts; then cleans any volumes of the run.

    Memory holds sums, rank × n_voxels, not the run. Equals ``nilearn.signal.clean`` with
    detrending, ``filter="cosine"`` and the same confounds. Two differences: the SD divides by the
    number of volumes, nilearn's by one less; with scrubbed volumes the trend is linear in time,
    while nilearn 0.14's is linear over the volumes that are left, as if no time had passed between
    them.
    """

    def __init__(self, cleaning: Cleaning):
        self._basis, self._kept = cleaning.basis, cleaning.kept
        self.n, self._arrived = 0, 0
        self.first = np.empty(0)  # (n_voxels,) the first volume
        self._rows: list[int] = []  # numbers of the volumes in the batch
        self._centre_and_scale: tuple[np.ndarray, np.ndarray] | None = None

    def add(self, volumes: np.ndarray) -> None:
        """Add the run's next volumes (n, n_voxels)."""
        if self._arrived == 0:
            n_voxels = volumes.shape[1]
            self.first = volumes[0].astype(np.float32)
            self._batch = np.empty((BATCH, n_voxels), dtype=np.float32)
            self._products, self._squares = (
                np.zeros((self._basis.shape[1], n_voxels)),
                np.zeros(n_voxels),
            )
        self._centre_and_scale = None
        for volume in volumes:
            if self._kept[self._arrived]:
                np.subtract(volume, self.first, out=self._batch[len(self._rows)])
                self._rows.append(self._arrived)
            self._arrived += 1
            if len(self._rows) == BATCH:
                self._sum_up()

    def watch(self, parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield each part of a run (n, n_voxels) unchanged, and add it to the sums."""
        for volumes in parts:
            self.add(volumes)
            yield volumes

    def _sum_up(self) -> None:
        weights = np.ascontiguousarray(self._basis[self._rows].T)
        for start in range(0, self._batch.shape[1], VOXELS):
            voxels = slice(start, start + VOXELS)
            distance = self._batch[: len(self._rows), voxels].astype(np.float64)
            self._products[:, voxels] += weights @ distance
            self._squares[voxels] += np.einsum("tv,tv->v", distance, distance)
        self.n += len(self._rows)
        self._rows = []

    def centre_and_scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean of each voxel (n_voxels,), and 1 / SD of what is left of it: 0 where nothing is left."""
        if self._centre_and_scale is None:
            if self._rows:
                self._sum_up()
            total = self._squares / self.n
            explained = np.einsum("kv,kv->v", self._products, self._products) / self.n
            sd = np.sqrt(np.maximum(total - explained, 0))
            empty = sd <= CONSTANT * np.maximum(np.abs(self.first), np.sqrt(total))
            scale = np.where(empty, 0, 1 / np.where(empty, 1, sd))
            self._centre_and_scale = self.first + self._products[0] / np.sqrt(self.n), scale
        return self._centre_and_scale

    def clean(self, volumes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Volumes (n, n_voxels) of these ``numbers`` (n,) in the run, float64, without the nuisance; the mean stays."""
        self.centre_and_scale()
        return volumes - self._basis[numbers, 1:] @ self._products[1:]

    def standardize(self, volumes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """(n, n_voxels) float32: cleaned, mean 0, SD 1 over the kept volumes. Scrubbed and empty ones become 0."""
        centre, scale = self.centre_and_scale()
        cleaned = (self.clean(volumes, numbers) - centre) * scale
        cleaned[~self._kept[numbers]] = 0
        return cleaned.astype(np.float32)
