"""Regions (spheres around published coordinates, NIfTI files) and the voxels in them."""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.images import read_mask
from neuroface.pipeline import numbers, read_text_table

import nibabel as nib
import numpy as np
import pandas as pd
from nilearn.image import resample_to_img

COLUMNS = ("roi", "hemisphere", "x_mm", "y_mm", "z_mm", "radius_mm", "source")


def read_rois(path: str | Path) -> pd.DataFrame:
    """The table of regions: columns roi, hemisphere, x_mm, y_mm, z_mm (MNI), radius_mm, source."""
    if not Path(path).is_file():
        raise NeuroFaceError(
            f"ROI_FILE = {path} is not there. Set it to a table with the columns {', '.join(COLUMNS)}."
        )
    table = read_text_table(Path(path), COLUMNS)
    if table.empty:
        raise NeuroFaceError(f"ROI_FILE = {path}: it names no region. Correct it.")
    for name in ("x_mm", "y_mm", "z_mm", "radius_mm"):
        table[name] = numbers(table, name, Path(path))
    bad = ~np.isfinite(table[["x_mm", "y_mm", "z_mm"]].to_numpy(float)).all(axis=1) | ~(
        table["radius_mm"] > 0
    )
    if bad.any():
        line = table.index[bad][0]
        raise NeuroFaceError(
            f"ROI_FILE = {path}, line {line}: it has no position or no radius in mm. Correct it."
        )
    return table.reset_index(drop=True)


def sphere_labels(points_mm: np.ndarray, rois: pd.DataFrame) -> np.ndarray:
    """The sphere in which each point lies.

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


def regions_in_mask(
    mask: np.ndarray, affine: np.ndarray, rois: pd.DataFrame | None, files: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """Voxels (n_voxels,) bool of every region, spheres first; a sphere may lie outside the mask.

    Parameters
    ----------
    rois : table of :func:`read_rois`; a voxel belongs to the nearest sphere. None: no spheres.
    files : the user's NIfTI regions.

    Returns
    -------
    {"left FFA": …, "my_region": …}
    """
    regions = {}
    if rois is not None:
        label = sphere_labels(voxel_positions_mm(mask, affine), rois)
        regions = {
            f"{row.hemisphere} {row.roi}": label == number
            for number, row in enumerate(rois.itertuples(), 1)
        }
    for file in files:
        name = Path(file).name.split(".nii")[0]
        if name in regions:
            raise NeuroFaceError(
                f"ROI_MASKS: {file}: there is a region {name!r} already. Rename one of the two."
            )
        regions[name] = read_region(Path(file), mask, affine)
    return regions


def read_region(path: Path, mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Read a NIfTI region (whole numbers, above 0 inside), resampled (nearest neighbour) to the mask: (n_voxels,) bool.

    Raises
    ------
    NeuroFaceError
        If the mask contains less than half of the region's volume: the region is then in another
        space, outside the mask, or smaller than a voxel.
    """
    try:
        region, own_affine = read_mask(path)
    except NeuroFaceError as error:  # the problem is the same as with a mask, the advice is not
        problem = str(error).split(". ")[0]
        raise NeuroFaceError(
            f"ROI_MASKS: {problem}. Threshold or repair it, or remove it from ROI_MASKS."
        ) from None
    source = nib.Nifti1Image(region.astype(np.uint8), own_affine)
    target = nib.Nifti1Image(mask.astype(np.uint8), affine)
    moved = resample_to_img(
        source, target, interpolation="nearest", force_resample=True, copy_header=True
    )
    voxels = np.asarray(moved.dataobj)[mask] > 0
    before_mm3 = region.sum() * abs(np.linalg.det(own_affine[:3, :3]))
    after_mm3 = voxels.sum() * abs(np.linalg.det(affine[:3, :3]))
    if not region.any() or after_mm3 < before_mm3 / 2:
        raise NeuroFaceError(
            f"ROI_MASKS: {path} covers {before_mm3:,.0f} mm³, of which the group mask holds {after_mm3:,.0f} mm³. Is it in "
            f"the space of the BOLD data? Transform it, or remove it from ROI_MASKS."
        )
    return voxels
