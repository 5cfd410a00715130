"""Share of a map in regions, compared with random regions of the same size; peaks of a map."""

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree


def random_regions(
    positions_mm: np.ndarray, n_voxels: int, n_regions: int, seed: int | list[int]
) -> np.ndarray:
    """Random regions of a given size: the ``n_voxels`` voxels nearest to a random voxel; (n_regions, n_voxels)."""
    centres = np.random.default_rng(seed).integers(len(positions_mm), size=n_regions)
    return cKDTree(positions_mm).query(positions_mm[centres], k=np.arange(1, n_voxels + 1))[1]


def shares(size: np.ndarray, voxels: np.ndarray) -> np.ndarray:
    """Share of each second's total that lies in the given voxels.

    Parameters
    ----------
    size : (n_people, n_voxels, n_trs), absolute attribution. voxels : (n_voxels,) bool, or
    (n_regions, n) indices.

    Returns
    -------
    (n_people, n_trs), or the mean over people (n_regions, n_trs).
    """
    total = size.sum(axis=1, dtype=np.float64)
    if voxels.ndim == 1:
        return size[:, voxels].sum(axis=1, dtype=np.float64) / total
    return (size / total[:, None]).mean(axis=0)[voxels].sum(axis=1)


def find_peaks(
    size: np.ndarray, positions_mm: np.ndarray, n: int, apart_mm: float
) -> list[tuple[int, int]]:
    """Voxel and second of the largest values above 0, no two nearer than ``apart_mm``; at most ``n``, largest first.

    Parameters
    ----------
    size : (n_voxels, n_trs).
    """
    second = size.argmax(axis=1)
    height = size.max(axis=1)
    peaks: list[tuple[int, int]] = []
    while len(peaks) < n and height.max() > 0:
        voxel = int(height.argmax())
        peaks.append((voxel, int(second[voxel])))
        height[np.linalg.norm(positions_mm - positions_mm[voxel], axis=1) < apart_mm] = 0
    return peaks


def nearest_region(position_mm: np.ndarray, rois: pd.DataFrame) -> tuple[str, float]:
    """Name of the sphere whose centre is nearest, and its distance in mm."""
    distance = np.linalg.norm(rois[["x_mm", "y_mm", "z_mm"]].to_numpy(float) - position_mm, axis=1)
    nearest = rois.iloc[int(distance.argmin())]
    return f"{nearest['hemisphere']} {nearest['roi']}", float(distance.min())
