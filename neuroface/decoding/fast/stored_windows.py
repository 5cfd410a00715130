"""All windows stored on a GPU if they fit: batches are gathered there, and only their row numbers are sent."""

from neuroface.decoding.batches import WindowBatches
from neuroface.decoding.model_cost import step_bytes
from neuroface.pipeline import gpu_bytes, keras

import numpy as np

SHARE = 0.9  # of the GPU's memory, for windows and training together


def windows_fit(X: np.ndarray, model: keras.Model, per_pass: int, n_jobs: int) -> bool:
    """Whether a GPU has room for X (n, n_voxels, window_trs) and a training pass, for each of ``n_jobs``."""
    return X.nbytes + step_bytes(model, per_pass) < SHARE * gpu_bytes() / n_jobs


def network_of_rows(network: keras.Model, stored: "StoredWindows") -> keras.Model:
    """The same network and weights with row numbers (n,) as input. Save ``network``: this one contains all windows."""
    rows = keras.Input((), dtype="int32", name="row")
    return keras.Model(rows, network(stored(rows)))


def network_of_mixed_rows(network: keras.Model, stored: "StoredWindows") -> keras.Model:
    """As :func:`network_of_rows` for means of two windows: inputs are two row numbers, and the share of the first one."""
    rows, partners = (keras.Input((), dtype="int32", name=name) for name in ("row", "partner"))
    share = keras.Input((), name="share")
    of_first = keras.layers.Reshape((1, 1, 1))(share)
    windows = stored(rows) * of_first + stored(partners) * (1.0 - of_first)
    return keras.Model([rows, partners, share], network(windows))


class RowBatches(WindowBatches):
    """The batches of :class:`neuroface.decoding.batches.WindowBatches`, as row numbers."""

    def windows(self, rows: np.ndarray) -> np.ndarray:
        return rows.astype(np.int32)

    def mixed_windows(self, rows: np.ndarray, partner: np.ndarray, share: np.ndarray):
        return self.windows(rows), self.windows(rows)[partner], share


class StoredWindows(keras.layers.Layer):
    """Row numbers (n,) → those windows of X, on the device (n, n_voxels, window_trs, 1).

    X is a variable, because JAX would compile a constant into the program.
    """

    def __init__(self, X: np.ndarray, voxel_order: np.ndarray | None = None):
        super().__init__(dtype="float32", trainable=False)
        self._X = self.add_weight(
            shape=X.shape, initializer=lambda shape, dtype: X, trainable=False, name="X"
        )
        self._voxel_order = voxel_order

    def call(self, rows):
        windows = keras.ops.take(self._X, rows, axis=0)
        if self._voxel_order is not None:
            windows = keras.ops.take(windows, self._voxel_order, axis=1)
        return windows[..., None]
