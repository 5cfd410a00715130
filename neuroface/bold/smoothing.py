"""Smooth volumes in space."""

import numpy as np
from scipy import ndimage

FWHM_PER_SD = np.sqrt(8 * np.log(2))


def smoothed_volumes(volumes: np.ndarray, affine: np.ndarray, fwhm_mm: float) -> np.ndarray:
    """Volumes (n, z, y, x) smoothed by a Gaussian, float32; equals ``nilearn.image.smooth_img``.

    Values that are not finite count as 0, so that they do not spread.

    Parameters
    ----------
    affine : (4, 4) of the series. fwhm_mm : full width at half maximum.
    """
    smooth = np.nan_to_num(volumes, nan=0.0, posinf=0.0, neginf=0.0).astype(np.float32)
    sd_voxels = fwhm_mm / FWHM_PER_SD / np.linalg.norm(affine[:3, :3], axis=0)  # along x, y, z
    for axis, sd in zip((3, 2, 1), sd_voxels):
        ndimage.gaussian_filter1d(smooth, sd, axis=axis, output=smooth)
    return smooth
