"""What script 2 works on, from headers and counts alone: who saw all of which film, which chunks have BOLD, which voxels."""

from pathlib import Path

from film_encoding.brain_places import (
    MASK,
    Places,
    atlas_labels,
    measured_places,
    write_places,
)
from film_encoding.cleaning import name_cleaning
from film_encoding.film_clock import count_pairs
from film_encoding.responses import in_parcels
from film_encoding.viewings import Viewing, drop_short, find_viewings, people_of
from neuroface import NeuroFaceError
from neuroface.bold import (
    check_grid,
    describe_costs,
    is_parcels,
    is_surface,
    open_header,
    write_nifti,
)
from neuroface.pipeline import all_exist, read_json, write_json, write_npy

import numpy as np


def plan_viewings(stage, chunks: dict[str, int], cfg) -> dict[str, list[Viewing]]:
    """Who saw which film; runs that end early and films without a person of SUBJECTS are left out.

    Parameters
    ----------
    stage : a :class:`neuroface.pipeline.Stage` or ``Checklist``. chunks : film → its number of
    chunks.

    Raises
    ------
    NeuroFaceError
        If no film is left, or a film has one viewer only and voxels are to be chosen by their SNR
        over people.
    """
    viewings_of, left_out = find_viewings(cfg)
    viewings = {}
    for film in chunks:
        viewings[film], short = drop_short(viewings_of.get(film, []), chunks[film])
        left_out += short
        people = {viewing.run.subject for viewing in viewings[film]}
        if missing := [name for name in cfg.SUBJECTS if name != "mean" and name not in people] or (
            not people and ["anybody"]
        ):
            left_out.append((film, f"{missing[0]} has no complete run"))
            del viewings[film]
    for item, why in left_out:
        stage.leave_out(item, why)
    if not viewings:
        raise NeuroFaceError(
            f"No film is left that all of SUBJECTS = {cfg.SUBJECTS} saw whole. Correct SUBJECTS, or see what was left "
            "out."
        )
    name_cleaning(stage, [viewing.run for who in viewings.values() for viewing in who], cfg)
    fewest = min(len(people_of(who)) for who in viewings.values())
    if fewest < 2 and cfg.VOXEL_SHARE < 1:
        raise NeuroFaceError(
            "A film was seen by one person only, so there is no SNR over people to choose voxels by. "
            "Set VOXEL_SHARE = 1.0, or leave that film out with FILMS."
        )
    return viewings


def rows_and_pairs(
    viewings: dict[str, list[Viewing]], chunks: dict[str, int], delay_trs: int
) -> tuple[dict[str, int], dict[str, int]]:
    """Film → rows of BOLD that all its viewers have, and film → chunks that have a row ``delay_trs`` later."""
    rows = {
        film: min(chunks[film] + delay_trs, *(viewing.n_rows for viewing in who))
        for film, who in viewings.items()
    }
    return rows, {film: count_pairs(chunks[film], rows[film], delay_trs) for film in viewings}


def shared_grid(viewings: list[Viewing]) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape (x, y, z) and affine (4, 4) of the BOLD of all viewings; raise if they differ."""
    image, shape = open_header(viewings[0].run.bold)
    for viewing in viewings[1:]:
        other, its_shape = open_header(viewing.run.bold)
        check_grid(viewing.run.bold, its_shape, other.affine, shape[:3], image.affine)
    return shape[:3], image.affine


def visual_voxels(
    bold: Path, shape: tuple[int, ...], affine: np.ndarray, cfg
) -> tuple[np.ndarray, np.ndarray, str]:
    """Labels of ATLAS_FILE (x, y, z) on the grid of the BOLD, voxels of PARCELS (x, y, z) bool, and a remark (may be empty).

    A parcel of a table has the number of its column, from 1. The labels of a surface are those of its vertices.

    Parameters
    ----------
    bold : a series of the study. shape, affine : of :func:`shared_grid`.

    Raises
    ------
    NeuroFaceError
        If the atlas cannot be read or no voxel has a label in PARCELS.
    """
    labels, resampled = atlas_labels(bold, shape, affine, Path(cfg.ATLAS_FILE), "ATLAS_FILE")
    mask = in_parcels(labels, cfg.PARCELS)
    if is_parcels(bold):
        n_parcels = int(labels.max())
        if not mask.any():
            raise NeuroFaceError(
                f"{bold.name} has {n_parcels} parcels, numbered from 1 in the order of its columns, and none has a number "
                f"in PARCELS = {cfg.PARCELS}. Set PARCELS = ((1, {n_parcels}),) for all."
            )
        return labels, mask, (
            f"{int(mask.sum())} of {n_parcels} parcels have the number of their column in PARCELS; each is a region of its "
            "own, and ATLAS_FILE, REGIONS_FILE and REGIONS_TABLE are not used"
        )  # fmt: skip
    if not mask.any():
        place = "vertex or voxel" if is_surface(bold) else "voxel"
        raise NeuroFaceError(
            f"No {place} of {cfg.ATLAS_FILE} has a label in PARCELS = {cfg.PARCELS}; its labels go from "
            f"{labels.min()} to {labels.max()}. Correct PARCELS, or name another atlas."
        )
    if resampled:
        remark = f"{cfg.ATLAS_FILE} is on another grid than the BOLD; resampled to it (nearest neighbour)"
        return labels, mask, remark
    return labels, mask, ""


def make_places(stage, viewings: list[Viewing], cfg) -> Places:
    """Write the mask of a stage, the places of PARCELS that are measured in all people, and the label of each.

    ``mask.nii.gz`` (x, y, z) uint8, ``parcels.npy`` (n_places,) int32, ``places.json`` with the number of places of PARCELS
    and of those left out, and the people who lack values; of parcels ``parcels.tsv``, of a surface the mask and the mesh
    on it.
    """
    shape, affine = shared_grid(viewings)
    runs = [viewing.run for viewing in viewings]
    mask_file, labels_file = stage.folder / f"{MASK}.nii.gz", stage.folder / "parcels.npy"
    counts_file = stage.folder / "places.json"
    files = (mask_file, labels_file, counts_file)
    if not all_exist(files):
        labels, wanted, remark = visual_voxels(runs[0].bold, shape, affine, cfg)
        if remark:
            print(f"  {remark}")
        measured, costs = measured_places(stage, runs, shape)
        mask = wanted & measured
        counts = {
            "of_parcels": int(wanted.sum()),
            "left_out": int((wanted & ~mask).sum()),
            "measured_in_all": int(measured.sum()),
            "lost_by_this_person": costs,
        }
        if not mask.any():
            name_lost_places(stage, counts)
            raise NeuroFaceError(
                f"None of the {int(wanted.sum())} places of PARCELS has values in all people; those who lack most are named "
                "above. Leave them out with EXCLUDE, or correct PARCELS."
            )

        def write(target: Path) -> None:
            write_npy(labels_file, labels[mask])
            write_json(counts_file, counts)
            write_nifti(target, mask.astype(np.uint8), affine)

        stage.each(write, [mask_file], "masks", lambda _: files)
    name_lost_places(stage, read_json(counts_file))
    return write_places(stage, runs, Path(cfg.DATASET_DIR))


def name_lost_places(stage, counts: dict) -> None:
    """Name the people whose missing places cost 1 % or more, and how many places of PARCELS lack values.

    Parameters
    ----------
    counts : the content of ``places.json``.
    """
    for subject, why in describe_costs(counts["lost_by_this_person"], counts["measured_in_all"]):
        stage.leave_out(subject, why)
    if counts["left_out"]:
        stage.leave_out(
            f"{counts['left_out']} of {counts['of_parcels']} places", "they lack values in somebody"
        )
