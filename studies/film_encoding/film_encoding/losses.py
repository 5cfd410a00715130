"""Losses of the network: patterns of voxels, and frames."""

from collections.abc import Callable
from functools import cache

from neuroface.pipeline import keras

import numpy as np

SMALL = 1e-8
GAUSSIAN_PX, GAUSSIAN_SD = 11, 1.5  # of SSIM (Wang et al. 2004, IEEE Trans. Image Process. 13:600)
C1, C2 = 0.01**2, 0.03**2  # for values in 0 … 1


def voxel_loss(mse_weight: float, cosine_weight: float) -> Callable:
    """Weighted mean squared error and 1 − cosine between measured and predicted patterns (n, n_voxels); (n,)."""

    def loss(measured, predicted):
        squared = keras.ops.mean(keras.ops.square(predicted - measured), axis=-1)
        return mse_weight * squared + cosine_weight * (1 - cosine(measured, predicted))

    return loss


def image_loss(weights: tuple[float, float, float], features: Callable) -> Callable:
    """Weighted perceptual distance, 1 − SSIM, and total variation.

    Parameters
    ----------
    features : images (n, height, width, 3) in 0 … 1 → list of feature maps (n, h, w, c).

    Returns
    -------
    function of frames (n, height, width, 3), 0 … 255, and images (n, k, height, width, 3) → (n,),
    means over the k.
    """

    def loss(frames, images):
        frames = keras.ops.cast(frames, "float32") / 255
        made = [images[:, which] for which in range(images.shape[1])]
        total = sum(
            weights[1] * (1 - ssim(frames, picture)) + weights[2] * total_variation(picture)
            for picture in made
        )
        if weights[0]:
            true = features(frames)
            total = total + weights[0] * sum(
                perceptual_distance(true, features(picture)) for picture in made
            )
        return total / len(made)

    return loss


def cosine(a, b):
    """Cosine along the last axis."""
    norms = keras.ops.sum(keras.ops.square(a), axis=-1) * keras.ops.sum(
        keras.ops.square(b), axis=-1
    )
    return keras.ops.sum(a * b, axis=-1) / keras.ops.sqrt(norms + SMALL)


def perceptual_distance(true: list, made: list):
    """Sum over feature maps of the mean over places of 1 − cosine of the features there; (n,)."""
    return sum(
        keras.ops.mean(1 - cosine(a, b), axis=(1, 2)) for a, b in zip(true, made, strict=True)
    )


def total_variation(images):
    """Sum of absolute differences between neighbours, by the number of values; (n,) of (n, height, width, 3)."""
    across = keras.ops.sum(keras.ops.abs(images[:, :, 1:] - images[:, :, :-1]), axis=(1, 2, 3))
    down = keras.ops.sum(keras.ops.abs(images[:, 1:] - images[:, :-1]), axis=(1, 2, 3))
    return (across + down) / float(np.prod(images.shape[1:]))


def ssim(a, b):
    """Structural similarity of images (n, height, width, 3) in 0 … 1, the mean over places and colours; (n,).

    scikit-image's ``structural_similarity`` with ``gaussian_weights=True, sigma=1.5,
    use_sample_covariance=False``, and the released code's.
    """
    return keras.ops.mean(ssim_map(a, b), axis=(1, 2, 3))


def ssim_map(a, b):
    """Structural similarity at every place where the Gaussian window lies inside the images: (n, h − 10, w − 10, 3)."""
    mean_a, mean_b = _blurred(a), _blurred(b)
    variance_a = _blurred(a * a) - mean_a * mean_a
    variance_b = _blurred(b * b) - mean_b * mean_b
    covariance = _blurred(a * b) - mean_a * mean_b
    similar = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    return similar / ((mean_a * mean_a + mean_b * mean_b + C1) * (variance_a + variance_b + C2))


def _blurred(images):
    """Gaussian means (n, h, w, 3): the filter is separable, so each axis is one multiplication with a band matrix."""
    down, across = _band_matrix(images.shape[1]), _band_matrix(images.shape[2])
    rows = keras.ops.einsum("nhwc,ih->niwc", images, down)
    return keras.ops.einsum("niwc,jw->nijc", rows, across)


@cache
def _band_matrix(n: int) -> np.ndarray:
    """(n − 10, n): every row the Gaussian at one place."""
    offset = np.arange(GAUSSIAN_PX) - GAUSSIAN_PX // 2
    weights = np.exp(-0.5 * (offset / GAUSSIAN_SD) ** 2)
    matrix = np.zeros((n - GAUSSIAN_PX + 1, n), dtype=np.float32)
    for row in range(len(matrix)):
        matrix[row, row : row + GAUSSIAN_PX] = weights / weights.sum()
    return matrix
