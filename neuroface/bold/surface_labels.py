"""Atlases on the cortical surface: the label of every vertex and voxel of a study, and its name."""

from pathlib import Path
from typing import Any

from neuroface import NeuroFaceError
from neuroface.bold.images import nearly_whole
from neuroface.bold.surfaces import (
    describe_surface,
    files_of_surface,
    is_gifti,
    is_surface,
    stream_surface,
)

import nibabel as nib
import numpy as np
from nibabel.cifti2 import BrainModelAxis, LabelAxis


def read_surface_labels(
    path: Path, places: BrainModelAxis, setting: str, used_by: str | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Labels of an atlas at the places of a study on the surface.

    The atlas may have more places than the study, such as those of the medial wall, and fewer.

    Parameters
    ----------
    path : ``.dlabel.nii``, ``.label.gii`` of the left hemisphere, or whole numbers in ``.dscalar.nii`` or ``.shape.gii``.
    places : of the study's data. setting : the setting that names the file, for messages.
    used_by : the setting that takes labels by their number, in both hemispheres; None: they are taken by name.

    Returns
    -------
    labels (n_places,) int32, 0 where the atlas has no such place; names (n_places,) of str, "" where the file names none.

    Raises
    ------
    NeuroFaceError
        If the file is not there, is a volume, holds no whole numbers, or has another mesh or grid; if labels are taken by
        their number, and one number has another name in each hemisphere.
    """
    if not path.is_file():
        raise NeuroFaceError(
            f"{setting} = {path} is not there, and the BOLD is on the cortical surface. Name an atlas with the same "
            "vertices: .dlabel.nii, or .label.gii of hemi-L with that of hemi-R beside it."
        )
    if not is_surface(path):
        raise NeuroFaceError(
            f"{setting} = {path} is a volume, and the BOLD is on the cortical surface. Name an atlas with the same "
            "vertices: .dlabel.nii, or .label.gii of hemi-L with that of hemi-R beside it."
        )
    atlas = describe_surface(path)
    values = np.concatenate(list(stream_surface(path)))
    if atlas.n_maps != 1 or not nearly_whole(values).all():
        raise NeuroFaceError(
            f"{setting} = {path} is no map of whole numbers ({atlas.n_maps} maps). Name an atlas of labels."
        )
    labels = np.rint(values[0]).astype(np.int32)
    names = _names(path, labels, atlas.brain_models)
    if used_by is not None and is_gifti(path):
        _check_shared_numbers(labels, names, atlas.brain_models, f"{setting} = {path}", used_by)
    positions = _positions_in(atlas.brain_models, places, path, setting)
    there = positions >= 0
    return np.where(there, labels[positions], 0), np.where(there, names[positions], "")


def _names(path: Path, labels: np.ndarray, brain_models: BrainModelAxis) -> np.ndarray:
    """Name of each place's label (n_places,), by the table of the file or of its hemisphere."""
    tables: list[tuple[np.ndarray, dict[int, str]]] = []
    if is_gifti(path):
        sides = [brain_models.name == name for name, _, _ in brain_models.iter_structures()]
        for here, file in zip(sides, files_of_surface(path)):
            image: Any = nib.load(file)
            tables.append((here, image.labeltable.get_labels_as_dict()))
    else:
        cifti: Any = nib.load(path)
        axis = cifti.header.get_axis(0)
        if isinstance(axis, LabelAxis):
            table = {number: name for number, (name, _) in axis.label[0].items()}
            tables.append((np.ones(len(labels), dtype=bool), table))
    names = np.full(len(labels), "", dtype=object)
    for here, table in tables:
        names[here] = [table.get(int(number), "") for number in labels[here]]
    return names.astype(str)


def _check_shared_numbers(
    labels: np.ndarray, names: np.ndarray, brain_models: BrainModelAxis, source: str, used_by: str
) -> None:
    """Raise if a label other than 0 has another name in each hemisphere; labels and names (n_places,)."""
    left, right = (
        dict(zip(labels[brain_models.name == side], names[brain_models.name == side]))
        for side in ("CIFTI_STRUCTURE_CORTEX_LEFT", "CIFTI_STRUCTURE_CORTEX_RIGHT")
    )
    shared = sorted((left.keys() & right.keys()) - {0})
    differ = [
        number
        for number in shared
        if left[number] and right[number] and left[number] != right[number]
    ]
    if differ:
        number = differ[0]
        raise NeuroFaceError(
            f"{source}: label {number} is {str(left[number])!r} in the left hemisphere and {str(right[number])!r} in the "
            f"right one ({len(differ)} of {len(shared)} shared labels differ), and {used_by} takes a number in both. "
            "Number the right hemisphere after the left one: add the largest label of hemi-L to the labels of hemi-R but "
            "0, in its data and in its table of names."
        )


def _positions_in(
    atlas: BrainModelAxis, places: BrainModelAxis, path: Path, setting: str
) -> np.ndarray:
    """Position of each place (n_places,) among those of the atlas; -1 where the atlas has none."""
    positions = np.full(len(places), -1)
    for name, n_vertices in places.nvertices.items():
        if (n_atlas := atlas.nvertices.get(name)) is None:
            continue
        if n_atlas != n_vertices:
            side = name.removeprefix("CIFTI_STRUCTURE_").lower()
            raise NeuroFaceError(
                f"{setting} = {path} has {n_atlas:,} vertices of {side}, the BOLD {n_vertices:,}. Name the atlas on the "
                "mesh of the BOLD, or resample it (wb_command -label-resample)."
            )
        in_atlas, here = np.flatnonzero(atlas.name == name), places.name == name
        number = np.full(n_vertices, -1)
        number[atlas.vertex[in_atlas]] = in_atlas
        positions[here] = number[places.vertex[here]]
    in_atlas, here = np.flatnonzero(atlas.volume_mask), places.volume_mask
    if len(in_atlas) and here.any():
        is_same = atlas.volume_shape == places.volume_shape
        if not is_same or not np.allclose(atlas.affine, places.affine, atol=1e-3):
            raise NeuroFaceError(
                f"{setting} = {path} has voxels below the cortex on a grid of {atlas.volume_shape}, the BOLD on one of "
                f"{places.volume_shape}, or elsewhere in space. Name an atlas of the same space and density."
            )
        grid = np.full(places.volume_shape, -1)
        grid[tuple(atlas.voxel[in_atlas].T)] = in_atlas
        positions[here] = grid[tuple(places.voxel[here].T)]
    return positions
