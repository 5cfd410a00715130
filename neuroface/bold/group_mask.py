"""The group mask: voxels that nearly all people share, or a mask of the user's own."""

from itertools import groupby
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.images import check_grid, read_mask

import numpy as np


def shared_mask(runs: list, threshold: float, mask_file: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The group mask of some runs.

    Parameters
    ----------
    runs : of :class:`neuroface.bold.datasets.Run`, a person's runs one after another.
    threshold : a voxel belongs to the mask if more than this share of the people's masks hold it.
    mask_file : a mask in place of the people's own.

    Returns
    -------
    mask (x, y, z) bool, overlap (x, y, z) (share of people per voxel), affine (4, 4).

    Raises
    ------
    NeuroFaceError
        If someone has no mask, the masks lie on different grids, or no voxel is left.
    """
    without = sorted({run.subject for run in runs if not run.mask})
    if without and not mask_file:
        raise NeuroFaceError(f"{without[0]} has no brain mask. Add *_desc-brain_mask.nii.gz, or set MASK_FILE.")
    if mask_file:
        group, affine = read_mask(Path(mask_file))
        overlap = group
    else:
        overlap, affine = overlap_of_masks(runs)
        group = overlap > min(threshold, 1 - 1e-7)  # as nilearn's intersect_masks: 1 means everybody
    if not group.any():
        raise NeuroFaceError(
            f"No voxel lies in more than {threshold:.0%} of {len({run.subject for run in runs})} people's masks. Lower "
            f"MASK_THRESHOLD."
        )
    return group, overlap, affine


def overlap_of_masks(runs: list) -> tuple[np.ndarray, np.ndarray]:
    """Share of people (x, y, z) whose masks hold a voxel, and the affine; a person's mask is what all their runs share."""
    first, affine = read_mask(runs[0].mask)
    count, people = np.zeros(first.shape), 0
    for _, person in groupby(runs, key=lambda run: run.subject):
        own = True
        for file in dict.fromkeys(run.mask for run in person):
            mask, its_affine = read_mask(file)
            check_grid(file, mask.shape, its_affine, first.shape, affine)
            own = own & mask
        count, people = count + own, people + 1
    return count / people, affine
