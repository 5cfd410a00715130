"""Remove drift from volumes as they arrive, with the volumes so far only."""

from collections import deque

from neuroface.bold import drift_regressors

import numpy as np

CYCLES = 2  # of the slowest drift that is kept in memory
SLOWEST_HZ = 1 / 128  # where HIGH_PASS_HZ is None


class LiveCleaner:
    """Clean and standardise volumes as they arrive; interface as :class:`neuroface.timeline.follow.LiveStandardizer`.

    Each volume is cleaned once: a trend and the cosines of HIGH_PASS_HZ are fitted to the last
    volumes (two cycles of that frequency), including itself, and it is divided by the SD of what is
    left of them. The first ``baseline_trs`` volumes are held back until all of them are there, and
    cleaned together. Motion and other confounds are not known during a scan.

    Parameters
    ----------
    standardize : "zscore" or "none" (the mean stays).
    """

    def __init__(
        self,
        n_voxels: int,
        baseline_trs: int,
        tr_s: float,
        high_pass_hz: float | None,
        standardize: str,
    ):
        self._baseline_trs, self._tr_s, self._high_pass_hz = baseline_trs, tr_s, high_pass_hz
        self._standardize = standardize
        n_past = max(baseline_trs, round(CYCLES / (high_pass_hz or SLOWEST_HZ) / tr_s))
        self._past: deque[tuple[int, np.ndarray]] = deque(maxlen=n_past)
        self._n_arrived = 0
        self._waiting: list[int | None] = []  # volumes that are held back; None: missing
        self._last = np.zeros((1, n_voxels), dtype=np.float32)

    def push(self, volume: np.ndarray | None) -> np.ndarray:
        """Volumes (n, n_voxels) float32 that are ready: first none, then the whole baseline, then one per call.

        A missing volume (None) is replaced by the one before it, and does not count for the fit.
        """
        self._waiting.append(None if volume is None else self._n_arrived)
        if volume is not None:
            self._past.append((self._n_arrived, volume))
        self._n_arrived += 1
        if len(self._past) < self._baseline_trs:
            return np.empty((0, self._last.shape[1]), dtype=np.float32)
        cleaned = self._clean([number for number in self._waiting if number is not None])
        ready = []
        for number in self._waiting:
            self._last = self._last if number is None else next(cleaned)
            ready.append(self._last)
        self._waiting = []
        return np.concatenate(ready)

    def _clean(self, wanted: list[int]):
        """Yield these volumes, (1, n_voxels) each."""
        if not wanted:
            return
        numbers = np.array([number for number, _ in self._past])
        past = np.stack([volume for _, volume in self._past])
        first = past[0].copy()
        past -= first
        span = drift_regressors(numbers[-1] - numbers[0] + 1, self._tr_s, self._high_pass_hz)
        basis = np.linalg.qr(span[numbers - numbers[0]])[0].astype(np.float32)  # the constant first
        products = basis.T @ past
        left = np.einsum("tv,tv->v", past, past) - np.einsum("kv,kv->v", products, products)
        sd = np.sqrt(np.maximum(left, 0) / len(past))
        scale = np.where(sd > 1e-5 * np.maximum(np.abs(first), 1e-30), 1 / np.maximum(sd, 1e-30), 0)
        mean = first + products[0] * np.sign(basis[0, 0]) / np.sqrt(np.float32(len(past)))
        for row in np.searchsorted(numbers, wanted):
            volume = past[row] - basis[row] @ products
            yield (volume * scale if self._standardize == "zscore" else volume + mean)[None].astype(
                np.float32
            )
