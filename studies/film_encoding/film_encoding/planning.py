"""What script 2 works on, from headers and counts alone: who saw all of which film, which chunks have BOLD, which voxels."""

from film_encoding.cleaning import name_cleaning
from film_encoding.film_clock import count_pairs
from film_encoding.responses import in_parcels, read_labels
from film_encoding.viewings import Viewing, drop_short, find_viewings, people_of
from neuroface import NeuroFaceError
from neuroface.bold import check_grid, open_header

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
    shape: tuple[int, ...], affine: np.ndarray, cfg
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Labels of ATLAS_FILE (x, y, z) on the grid of the BOLD, voxels of PARCELS (x, y, z) bool, whether it was resampled.

    Raises
    ------
    NeuroFaceError
        If the atlas cannot be read or no voxel has a label in PARCELS.
    """
    labels, resampled = read_labels(cfg.ATLAS_FILE, shape, affine, "ATLAS_FILE")
    mask = in_parcels(labels, cfg.PARCELS)
    if not mask.any():
        raise NeuroFaceError(
            f"No voxel of {cfg.ATLAS_FILE} has a label in PARCELS = {cfg.PARCELS}; its labels go from "
            f"{labels.min()} to {labels.max()}. Correct PARCELS, or name another atlas."
        )
    return labels, mask, resampled
