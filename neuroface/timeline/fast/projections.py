"""Slide a linear or second-order classifier over a run: each volume is multiplied with all weights once.

The linear part of a logit is a convolution over time: the volume at place t of the window is
multiplied with the weights of place t. A volume's products with the weights of all places are
computed when it arrives; a window then adds one number per volume. The second-order part needs the
mean over the window of the products with its directions.
"""

from neuroface.pipeline import keras

import numpy as np


class ProjectionSliding:
    """Predictor for the networks of :mod:`neuroface.decoding.closed_form`. Interface as
    :class:`neuroface.timeline.fast.shared_sliding.SharedSliding`.

    Memory holds one batch of volumes and window_trs − 1 rows of products, whatever the run's
    length.
    """

    def __init__(self, model: keras.Model, batch: int):
        self.batch = batch
        self.n_voxels, self.window_trs = model.input_shape[1:3]
        layers = {layer.name: layer for layer in model.layers}
        weights, intercept = layers["logit"].get_weights()
        self._offsets = self._strengths = np.empty(0)
        directions = np.empty((self.n_voxels, 0), dtype=np.float32)
        if "directions" in layers:
            directions, self._offsets = layers["directions"].get_weights()
            self._strengths = weights[1:, 0].astype(np.float64)
            weights = weights[0, 0] * layers["linear_path"].get_weights()[0]
        linear = weights.reshape(self.n_voxels, self.window_trs)
        self._weights, self._intercept = (
            np.concatenate([linear, directions], axis=1),
            float(intercept[0]),
        )
        self.reset()

    def reset(self) -> None:
        """Forget all volumes: the next one is the first of a run."""
        self._products = np.empty((0, self._weights.shape[1]))

    def push(self, volumes: np.ndarray) -> np.ndarray:
        """Logits (n,) float64 of the windows that end with each of ``volumes`` (n, n_voxels); NaN before the first."""
        products = np.concatenate([self._products, (volumes @ self._weights).astype(np.float64)])
        self._products = (
            products[len(products) - self.window_trs + 1 :]
            if len(products) >= self.window_trs
            else products
        )
        logit = np.full(len(volumes), np.nan)
        n = len(products) - self.window_trs + 1
        if n > 0:
            linear = sum(products[place : place + n, place] for place in range(self.window_trs))
            sums = np.cumsum(
                np.concatenate([np.zeros((1, len(self._offsets))), products[:, self.window_trs :]]),
                axis=0,
            )
            means = (sums[self.window_trs :] - sums[: -self.window_trs]) / self.window_trs
            logit[len(volumes) - n :] = (
                linear + (means + self._offsets) ** 2 @ self._strengths + self._intercept
            )
        return logit
