"""The group mask: voxels that nearly all people share, or a mask of the user's own."""

from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from neuroface import NeuroFaceError
from neuroface.bold.images import check_grid, count_places, has_places, open_header, read_mask
from neuroface.bold.nifti import write_nifti
from neuroface.bold.own_masks import with_computed_masks
from neuroface.bold.places import off_grid
from neuroface.pipeline import Section, read_table, save_figure, write_table

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

OVERLAP_FIGURE = "mask_overlap.png"
N_SLICES = 8  # in the picture of the masks' overlap


class GroupMask(NamedTuple):
    """The group mask.

    Parameters
    ----------
    mask : (x, y, z) bool. overlap : (x, y, z), share of people per voxel. affine : (4, 4).
    costs : person → voxels that the group has not because of this person's mask; empty with a mask
    of the user's own.
    """

    mask: np.ndarray
    overlap: np.ndarray
    affine: np.ndarray
    costs: dict[str, int]


def make_group_mask(
    stage, runs: list, threshold: float, mask_file: str | None
) -> tuple[np.ndarray, np.ndarray, str]:
    """Write ``group_mask.nii.gz`` (x, y, z) uint8, ``mask_overlap.nii.gz`` float32, its figure and ``mask_costs.tsv``.

    People whose masks cost the group 1 % of its voxels or more are named among what is left out.

    Parameters
    ----------
    stage : a :class:`neuroface.pipeline.Stage`. runs, threshold, mask_file : as in
    :func:`shared_mask`.

    Returns
    -------
    mask (x, y, z) bool, affine (4, 4), and a sentence on masks that were computed (may be empty).
    """
    target, costs = stage.folder / "group_mask.nii.gz", stage.folder / "mask_costs.tsv"
    runs, computed = with_computed_masks(stage, runs, mask_file)
    if computed:
        print(f"  {computed}")

    def make(target):
        group = shared_mask(runs, threshold, mask_file)
        write_table(
            costs,
            pd.DataFrame(
                list(group.costs.items()), columns=["subject", "voxels_lost_by_this_mask"]
            ),
        )
        write_nifti(
            stage.folder / "mask_overlap.nii.gz", group.overlap.astype(np.float32), group.affine
        )
        if not mask_file and min(group.mask.shape) > 1:  # parcels have no slices
            plot_overlap(group.overlap, group.mask, stage.folder / OVERLAP_FIGURE)
        write_nifti(target, group.mask.astype(np.uint8), group.affine)

    stage.each(make, [target], "masks", lambda target: (target, costs))
    mask, affine = read_mask(target)
    voxels_lost = dict(read_table(costs).itertuples(index=False))
    for subject, why in describe_costs(voxels_lost, int(mask.sum())):
        stage.leave_out(subject, why)
    return mask, affine, computed


def shared_mask(runs: list, threshold: float, mask_file: str | None) -> GroupMask:
    """The group mask of some runs.

    Parameters
    ----------
    runs : list of :class:`neuroface.bold.run.Run`, a person's runs one after another.
    threshold : a voxel belongs to the mask if more than this share of the people's masks hold it.
    mask_file : a mask in place of the people's own.

    Raises
    ------
    NeuroFaceError
        If someone has no mask, the masks lie on different grids, or no voxel is left.
    """
    without = sorted({run.subject for run in runs if not run.mask})
    if without and not mask_file:
        raise NeuroFaceError(
            f"{without[0]} has no brain mask. Add *_desc-brain_mask.nii.gz, or set MASK_FILE."
        )
    threshold = min(threshold, 1 - 1e-7)  # as nilearn's intersect_masks: 1 means everybody
    if mask_file:
        group, affine = read_mask(Path(mask_file))
        check_mask_file(Path(mask_file), group, affine, runs[0].bold)
        return GroupMask(group, group, affine, {})
    overlap, affine, people = overlap_of_masks(runs)
    group = overlap > threshold
    if not group.any():
        raise NeuroFaceError(
            f"No voxel lies in more than {threshold:.0%} of {len(people)} people's masks. Lower MASK_THRESHOLD."
        )
    return GroupMask(group, overlap, affine, costs_of_people(overlap, people, threshold))


def overlap_of_masks(runs: list) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Share of people (x, y, z) whose masks hold a voxel, the affine, and each person's mask as packed bits.

    A person's mask is what the masks of all their runs share.
    """
    first, affine = read_mask(runs[0].mask)
    count, people = np.zeros(first.shape), {}
    for subject, person in groupby(runs, key=lambda run: run.subject):
        own = np.ones(first.shape, dtype=bool)
        for file in dict.fromkeys(run.mask for run in person):
            mask, its_affine = read_mask(file)
            check_grid(file, mask.shape, its_affine, first.shape, affine)
            own = own & mask
        count += own
        people[subject] = np.packbits(own)
    return count / len(people), affine, people


def costs_of_people(
    overlap: np.ndarray, people: dict[str, np.ndarray], threshold: float
) -> dict[str, int]:
    """Person → voxels that would be in the group mask without this person, and are not.

    Parameters
    ----------
    overlap, people : of :func:`overlap_of_masks`. threshold : share of people.
    """
    n, count = len(people), np.rint(overlap.ravel() * len(people))
    if n == 1:
        return {}
    lacking = ~(overlap.ravel() > threshold)
    costs = {}
    for subject, packed in people.items():
        own = np.unpackbits(packed, count=overlap.size)
        costs[subject] = int(np.count_nonzero(lacking & ((count - own) / (n - 1) > threshold)))
    return costs


def describe_costs(costs: dict[str, int], n_voxels: int) -> list[tuple[str, str]]:
    """People whose masks cost the group 1 % of its voxels or more: (person, what it costs), the costliest first."""
    large = {subject: n for subject, n in costs.items() if n >= 0.01 * n_voxels}
    return [
        (subject, f"its mask costs the group {n:,} voxels; the group mask has {n_voxels:,}")
        for subject, n in sorted(large.items(), key=lambda item: -item[1])
    ]


def check_mask_file(path: Path, mask: np.ndarray, affine: np.ndarray, bold: Path) -> None:
    """Raise, with the command that mends it, if a ``mask`` (x, y, z) of the user's own is not on the grid of the BOLD."""
    (image, its_shape), shape = open_header(bold), mask.shape
    if has_places(bold):
        if its_shape[:3] != shape:
            raise NeuroFaceError(
                f"MASK_FILE = {path} does not have the parcels or vertices of {bold.name}. Name a file of the same kind "
                f"with the same places."
            )
        n_places = int(off_grid(mask, count_places(bold)).sum())
        if n_places < mask.sum():
            raise NeuroFaceError(
                f"MASK_FILE = {path}: {int(mask.sum()):,} voxels, {n_places:,} of which are parcels or vertices of "
                f"{bold.name}; the others are gaps of the grid. Make the mask without them."
            )
    try:
        check_grid(bold, its_shape, image.affine, shape, affine)
    except NeuroFaceError as error:
        resample = (
            f"from nilearn.image import index_img, resample_to_img; resample_to_img({str(path)!r}, "
            f"index_img({str(bold)!r}, 0), interpolation='nearest').to_filename('mask_on_bold.nii.gz')"
        )
        raise NeuroFaceError(
            f"MASK_FILE = {path} is not on the grid of the BOLD: {str(error).split('. Resample')[0]}. If both are in the "
            f'same space, run: python -c "{resample}"   and set MASK_FILE = "mask_on_bold.nii.gz".'
        ) from None


def describe_overlap(section: Section, folder: Path) -> None:
    """Show the overlap of people's masks in a report; nothing with a mask of the user's own."""
    if (folder / OVERLAP_FIGURE).exists():
        section.figure(
            folder / OVERLAP_FIGURE,
            "Share of people whose mask holds each voxel, in axial slices from below to above, as the scan stores them. "
            "Orange: the group mask, MASK_THRESHOLD. mask_costs.tsv says how many voxels each person's mask costs.",
        )


def plot_overlap(overlap: np.ndarray, mask: np.ndarray, target: Path) -> None:
    """Axial slices of the share of people whose mask holds each voxel; the group mask is outlined.

    Parameters
    ----------
    overlap : (x, y, z) shares. mask : (x, y, z) bool.
    """
    heights = np.flatnonzero(overlap.any(axis=(0, 1)))
    chosen = np.unique(np.linspace(heights[0], heights[-1], N_SLICES + 2).round()[1:-1].astype(int))
    figure, axes = plt.subplots(
        1, len(chosen), figsize=(1.7 * len(chosen) + 1, 2.4), layout="constrained", squeeze=False
    )
    for axis, z in zip(axes[0], chosen):
        picture = axis.imshow(overlap[:, :, z].T, origin="lower", cmap="Blues", vmin=0, vmax=1)
        if mask[:, :, z].any() and not mask[:, :, z].all():
            axis.contour(mask[:, :, z].T, [0.5], colors="#c8643c", linewidths=1)
        axis.set(xticks=[], yticks=[], title=f"z = {z}")
    figure.colorbar(picture, ax=axes[0], label="share of people", fraction=0.02)
    save_figure(figure, target)
