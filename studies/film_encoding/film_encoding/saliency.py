"""Which voxels a reconstruction rests on: gradients of SSIM, and Integrated Gradients."""

from film_encoding.losses import ssim
from neuroface.pipeline import gradient_of, keras

import numpy as np


class SsimGradient:
    """SSIM of the decoder's frames, and its gradient with respect to the voxels; compiled once.

    As published the frames are not clipped to 0 … 1, or the gradient would vanish where they lie
    outside.
    """

    def __init__(self, decoder: keras.Model, batch: int):
        def total(voxels, frames):
            similar = ssim(frames, decoder(voxels, training=False))
            return keras.ops.sum(similar), similar

        self._compute, self.batch = gradient_of(total, decoder), batch

    def __call__(self, voxels: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of voxels (n, n_voxels) and frames (n, height, width, 3) in 0 … 1: SSIM (n,) and its gradient (n, n_voxels)."""
        similar, gradients = [], []
        for start in range(0, len(voxels), self.batch):
            n = len(voxels[start : start + self.batch])
            rows = np.minimum(
                np.arange(start, start + self.batch), len(voxels) - 1
            )  # the last batch keeps the shape
            value, gradient = self._compute(
                voxels[rows].astype(np.float32), frames[rows].astype(np.float32)
            )
            similar.append(np.asarray(value)[:n])
            gradients.append(np.asarray(gradient)[:n])
        return np.concatenate(similar), np.concatenate(gradients)


def integrated_gradients(
    gradient: SsimGradient, voxels: np.ndarray, frames: np.ndarray, baseline: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Integrated Gradients of SSIM from ``baseline`` (n_voxels,) to each volume, by the midpoint rule.

    After Sundararajan, Taly & Yan 2017 (ICML).

    Returns
    -------
    maps (n, n_voxels); gaps (n,): the sum of a map less what SSIM gains on the way, 0 with many
    steps.
    """
    move, total = voxels - baseline, np.zeros(voxels.shape)
    for step in range(steps):
        total += gradient(baseline + (step + 0.5) / steps * move, frames)[1]
    maps = total / steps * move
    gains = (
        gradient(voxels, frames)[0] - gradient(np.broadcast_to(baseline, voxels.shape), frames)[0]
    )
    return maps.astype(np.float32), maps.sum(axis=1) - gains
