"""Similarity of a reconstruction and its frame: SSIM, PSNR and the correlation of pixels, by scikit-image and NumPy."""

import numpy as np
from skimage.metrics import structural_similarity

SSIM_WINDOW = {
    "gaussian_weights": True,
    "sigma": 1.5,
    "use_sample_covariance": False,
}  # Wang et al. 2004, as in the loss
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


def image_scores(frames: np.ndarray, images: np.ndarray) -> dict[str, np.ndarray]:
    """Scores (n,) of images against frames, both (n, height, width, 3) in 0 … 1."""
    frames, images = frames.astype(np.float32), images.astype(np.float32)
    pairs, errors = (
        list(zip(frames, images)),
        np.mean((frames - images) ** 2, axis=(1, 2, 3), dtype=np.float64),
    )
    return {
        "ssim": np.array([ssim(a, b) for a, b in pairs]),
        "psnr_db": -10 * np.log10(np.maximum(errors, SMALLEST_ERROR)),
        "pixel_r": np.array([pixel_r(a, b) for a, b in pairs]),
    }


def pixel_r(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r over pixels and colours; 0 where one of the two does not vary."""
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm > 0 else 0.0
