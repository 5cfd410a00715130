"""Similarity of a reconstruction and its frame: SSIM, PSNR and the correlation of pixels, by scikit-image and NumPy."""

from functools import cache

from film_encoding.losses import C1, C2, GAUSSIAN_PX

import numpy as np
from skimage.metrics import structural_similarity

SSIM_WINDOW = {
    "gaussian_weights": True,
    "sigma": 1.5,
    "use_sample_covariance": False,
}  # Wang et al. 2004, as in the loss
AT_ONCE = 64  # pairs of images
SMALLEST_ERROR = 1e-10  # two black frames are equal: 100 dB, not infinitely many


def as_shown(images: np.ndarray) -> np.ndarray:
    """What the decoder made, as a screen would show it: float32 in 0 … 1."""
    return np.clip(images.astype(np.float32), 0, 1)


def stretched(images: np.ndarray) -> np.ndarray:
    """Each image from its darkest to its brightest value; one colour everywhere becomes 0."""
    images = images.astype(np.float32)
    low, high = (f(images, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    return (images - low) / np.maximum(high - low, 1e-12)


def ssim(frame: np.ndarray, image: np.ndarray, full: bool = False):
    """Structural similarity of two images (height, width, 3) in 0 … 1; with ``full`` also the map (height, width, 3)."""
    return structural_similarity(
        frame, image, data_range=1.0, channel_axis=2, full=full, **SSIM_WINDOW
    )


def ssim_of_pairs(frames: np.ndarray, images: np.ndarray) -> np.ndarray:
    """:func:`ssim` of many pairs at once: (n,) of frames and images, both (n, height, width, 3) in 0 … 1.

    Local means are products with a matrix of the window for rows and one for columns; as in
    scikit-image, only places where the window lies inside the image count.
    """
    rows, columns = (_window(size) for size in frames.shape[1:3])
    out = np.empty(len(frames))
    for start in range(0, len(frames), AT_ONCE):
        here = slice(start, start + AT_ONCE)
        x, y = (
            np.ascontiguousarray(np.moveaxis(pictures[here], 3, 1), dtype=np.float32)
            for pictures in (frames, images)
        )
        local = rows @ np.stack([x, y, x * x, y * y, x * y]) @ columns.T
        mean_x, mean_y, square_x, square_y, product = local
        both = mean_x * mean_y
        squares = mean_x**2 + mean_y**2
        similar = (2 * both + C1) * (2 * (product - both) + C2)
        similar /= (squares + C1) * (square_x + square_y - squares + C2)
        out[here] = similar.mean(axis=(1, 2, 3), dtype=np.float64)
    return out


@cache
def _window(size: int) -> np.ndarray:
    """Gaussian means at all places where the window is inside: (size - GAUSSIAN_PX + 1, size) float32."""
    offset = np.arange(GAUSSIAN_PX) - GAUSSIAN_PX // 2
    weights = np.exp(-0.5 * (offset / SSIM_WINDOW["sigma"]) ** 2)
    n = size - GAUSSIAN_PX + 1
    window = np.zeros((n, size), dtype=np.float32)
    for place in range(n):
        window[place, place : place + GAUSSIAN_PX] = weights / weights.sum()
    return window


def image_scores(frames: np.ndarray, images: np.ndarray) -> dict[str, np.ndarray]:
    """Scores (n,) of images against frames, both (n, height, width, 3) in 0 … 1."""
    frames, images = frames.astype(np.float32), images.astype(np.float32)
    errors = np.mean((frames - images) ** 2, axis=(1, 2, 3), dtype=np.float64)
    return {
        "ssim": ssim_of_pairs(frames, images),
        "psnr_db": -10 * np.log10(np.maximum(errors, SMALLEST_ERROR)),
        "pixel_r": np.array([pixel_r(a, b) for a, b in zip(frames, images)]),
    }


def pixel_r(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r over pixels and colours; 0 where one of the two does not vary."""
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 0 else 0.0
