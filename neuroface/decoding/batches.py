"""Batches of windows for training, read from a memory map."""

from neuroface.decoding.batch_sizes import batch_bounds
from neuroface.pipeline import keras

import numpy as np


class WindowBatches(keras.utils.PyDataset):
    """Batches of windows read from a memory map, of sizes as by :func:`batch_bounds`: at most one batch in memory.

    Parameters
    ----------
    X : (n, n_voxels, window_trs) float32. y : (n,) 0 or 1. rows : indices of the windows to use.
    class_weight : {0: weight, 1: weight}, the sample weight of each window of that class.
    seed : shuffles the rows again for every pass over them; None keeps their order.
    voxel_order : (n_voxels,) a permutation of the voxels; None keeps their order.
    steps : number of batches that Keras takes as an epoch, whatever the number of windows; None:
    one pass over the rows.
    mixup : each window becomes a mean of two windows of its batch; the shares follow a Beta
        distribution with this parameter (Zhang et al. 2018, ICLR). Its label is their weighted
        mean, with the classes' weights too, so that both classes have the same total weight in the
        loss, as without mixup. 0: none.
    """

    def __init__(
        self,
        X,
        y,
        rows,
        batch_size: int,
        class_weight: dict[int, float],
        seed: int | None = None,
        voxel_order=None,
        steps: int | None = None,
        mixup: float = 0.0,
    ):
        super().__init__()
        self.X, self.y, self.rows = X, y, np.array(rows)
        self.batch_size, self.class_weight = batch_size, class_weight
        self.voxel_order, self.steps, self.mixup, self.seed = voxel_order, steps, mixup, seed
        self._bounds = batch_bounds(len(self.rows), batch_size)
        self._rng = None if seed is None else np.random.default_rng(seed)
        self._shuffled: list[np.ndarray] = []  # the order of the rows in each pass
        self._taken = 0  # batches of earlier epochs

    def __len__(self):
        return self.steps or self._per_pass

    def __getitem__(self, index):
        number, place = divmod(self._taken + index, self._per_pass)
        rows = np.sort(self._order(number)[self._bounds[place] : self._bounds[place + 1]])
        y = self.y[rows].astype(np.float32)[:, None]
        weight = np.where(y[:, 0] == 1, self.class_weight[1], self.class_weight[0]).astype(
            np.float32
        )
        if not self.mixup:
            return self.windows(rows), y, weight
        rng = np.random.default_rng([self.seed, number, place])
        partner, share = (
            rng.permutation(len(rows)),
            rng.beta(self.mixup, self.mixup, len(rows)).astype(np.float32),
        )
        of_first, of_second = share * weight, (1 - share) * weight[partner]
        mixed_weight = of_first + of_second
        mixed_y = (of_first * y[:, 0] + of_second * y[partner, 0]) / mixed_weight
        return self.mixed_windows(rows, partner, share), mixed_y[:, None], mixed_weight

    def windows(self, rows: np.ndarray) -> np.ndarray:
        """The network's input for these rows of X: (n, n_voxels, window_trs, 1)."""
        windows = self.X[rows] if self.voxel_order is None else self.X[rows][:, self.voxel_order]
        return windows[..., None]

    def mixed_windows(self, rows: np.ndarray, partner: np.ndarray, share: np.ndarray):
        """The input when each window is averaged with that of its ``partner`` in the batch."""
        windows, share = self.windows(rows), share[:, None, None, None]
        return share * windows + (1 - share) * windows[partner]

    def on_epoch_end(self):
        self._taken += len(self)

    @property
    def _per_pass(self) -> int:
        return len(self._bounds) - 1

    def _order(self, number: int) -> np.ndarray:
        while self._rng is not None and len(self._shuffled) <= number:
            self._rng.shuffle(self.rows)
            self._shuffled.append(self.rows.copy())
        return self._shuffled[number] if self._shuffled else self.rows
