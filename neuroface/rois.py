"""Regions as spheres around published coordinates."""

from pathlib import Path

import numpy as np
import pandas as pd

from neuroface import NeuroFaceError

COLUMNS = ["roi", "hemisphere", "x_mm", "y_mm", "z_mm", "radius_mm", "source"]


def read_rois(path: Path) -> pd.DataFrame:
    """The table of regions: columns roi, hemisphere, x_mm, y_mm, z_mm (MNI), radius_mm, source."""
    if not Path(path).is_file():
        raise NeuroFaceError(f"ROI_FILE = {path} is not there. Set it to a table such as masks/face_rois.tsv.")
    try:
        table = pd.read_csv(path, sep="\t", dtype={"roi": str, "hemisphere": str})
    except ValueError as error:  # pandas' own errors and UnicodeDecodeError are ValueErrors
        raise NeuroFaceError(f"{path} is not a tab-separated table ({error}). Correct it, or ROI_FILE.") from None
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise NeuroFaceError(f"{path} lacks the column {missing[0]!r}; it has {list(table.columns)}. Add it.")
    numbers = table[["x_mm", "y_mm", "z_mm", "radius_mm"]].apply(pd.to_numeric, errors="coerce")
    bad = np.flatnonzero(~np.isfinite(numbers).all(axis=1) | (numbers["radius_mm"] <= 0))
    if table.empty or len(bad):
        row = f"row {bad[0] + 1} has no place or no radius in mm" if len(bad) else "it names no region"
        raise NeuroFaceError(f"ROI_FILE = {path}: {row}. Correct it.")
    return table


def sphere_labels(points_mm: np.ndarray, rois: pd.DataFrame) -> np.ndarray:
    """Which sphere each point lies in.

    Parameters
    ----------
    points_mm : (n_points, 3), MNI.
    rois : table of :func:`read_rois`.

    Returns
    -------
    (n_points,) int16: 0 outside, else 1 + the row of the nearest sphere that holds the point.
    """
    distance = np.stack(
        [
            np.linalg.norm(points_mm - row[["x_mm", "y_mm", "z_mm"]].to_numpy(float), axis=1)
            for _, row in rois.iterrows()
        ]
    )
    inside = distance <= rois["radius_mm"].to_numpy()[:, None]
    nearest = np.where(inside, distance, np.inf).argmin(axis=0)
    return np.where(inside.any(axis=0), nearest + 1, 0).astype(np.int16)


def voxel_positions_mm(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Centres (n_voxels, 3) of the mask's voxels in mm, in C order."""
    return np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
