"""What the voxels of the study are: voxels of volumes, parcels of tables, or vertices of the cortical surface."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from film_encoding.responses import read_labels
from neuroface.bold import (
    Run,
    SurfaceSpace,
    describe_surface,
    is_parcels,
    is_surface,
    off_grid,
    on_grid,
    parcel_names,
    read_mask,
    read_parcels,
    read_surface_labels,
    shared_mask,
    surface_space,
    voxel_positions_mm,
    with_computed_masks,
    words_of_places,
    write_parcel_names,
    write_surface_space,
)
from neuroface.maps import (
    load_hemispheres,
    place_hemispheres,
    write_parcel_maps,
    write_surface_maps,
)

import numpy as np

MASK = "mask"  # of the files of the mask, without their ending
NO_MESH = (
    "no mesh of this surface is known. Put *_hemi-L_*_midthickness.surf.gii and hemi-R of this space into DATASET_DIR and "
    "begin again with another RUN_NAME"
)


@dataclass(frozen=True)
class Places:
    """The places of a mask.

    Parameters
    ----------
    mask : (x, y, z) bool; places have its C order. affine : (4, 4).
    parcels : their names; empty if the data are no tables. surface : None if the data are not on one.
    words : what a place is, plural.
    """

    mask: np.ndarray
    affine: np.ndarray
    parcels: tuple[str, ...] = ()
    surface: SurfaceSpace | None = None
    words: str = "voxels"

    def __len__(self):
        return int(self.mask.sum())

    def positions_mm(self) -> np.ndarray | None:
        """(n_places, 3); None of parcels, and of a surface without a mesh."""
        if self.parcels:
            return None
        if self.surface is None:
            return voxel_positions_mm(self.mask, self.affine)
        positions = self.surface.positions_mm(self.mask)
        return positions if np.isfinite(positions).all() else None

    def hemispheres(self) -> dict | None:
        """What surface figures are drawn on; None of parcels, and of a surface without a mesh of both hemispheres."""
        if self.parcels:
            return None
        if self.surface is None:
            return load_hemispheres(None, self.mask, self.affine)
        return place_hemispheres(self.surface, self.mask) if len(self.surface.meshes) == 2 else None

    @property
    def why_no_positions(self) -> str:
        """Why there are no distances and no surface figures, and what to do."""
        return NO_MESH if self.surface else "parcels of a table have no coordinates"

    def write_maps(self, stage, below: str = "") -> None:
        """Write the maps of a stage in the space of the data too: CIFTI, GIFTI, or a table of parcels.

        Parameters
        ----------
        stage : a :class:`neuroface.pipeline.Stage`. below : beginning of the glob of maps, such as "maps/".
        """
        write_parcel_maps(stage, list(self.parcels), self.mask, below)
        write_surface_maps(stage, self.surface, None, below)


def read_places(folder: Path) -> Places:
    """The places that :func:`write_places` described in a stage's folder."""
    mask, affine = read_mask(folder / f"{MASK}.nii.gz")
    parcels, surface = tuple(parcel_names(folder)), surface_space(folder, MASK)
    return Places(mask, affine, parcels, surface, words_of_places(folder, MASK))


def write_places(stage, runs: list[Run], dataset: Path) -> Places:
    """Describe the places of ``mask.nii.gz`` in a stage's folder: by ``parcels.tsv``, or by mask and mesh of a surface."""
    mask, _ = read_mask(stage.folder / f"{MASK}.nii.gz")
    write_parcel_names(stage.folder, runs, mask)
    write_surface_space(stage, runs, mask, dataset, MASK)
    return read_places(stage.folder)


def atlas_labels(
    bold: Path, shape: tuple[int, ...], affine: np.ndarray, path: Path, setting: str
) -> tuple[np.ndarray, bool]:
    """Labels (x, y, z) int32 of an atlas on the grid of a series, and whether it had to be resampled.

    A parcel of a table has the number of its column, from 1.

    Parameters
    ----------
    shape, affine : of the series. path : the atlas. setting : the setting that names it.

    Raises
    ------
    NeuroFaceError
        If the atlas cannot be read, or is not in the space of the series.
    """
    if is_parcels(bold):
        n_parcels = len(read_parcels(bold)[0])
        return on_grid(np.arange(1, n_parcels + 1, dtype=np.int32)), False
    if is_surface(bold):
        labels, _ = read_surface_labels(
            path, describe_surface(bold).brain_models, setting, "PARCELS"
        )
        return on_grid(labels), False
    return read_labels(path, shape, affine, setting)


def measured_places(
    stage, runs: Iterable[Run], shape: tuple[int, ...]
) -> tuple[np.ndarray, dict[str, int]]:
    """Places that have values in all runs of all people; all voxels of volumes.

    Returns
    -------
    measured (x, y, z) bool; costs, person → places that are lost because this person alone lacks values.
    """
    of_files = {run.bold: replace(run, film=None) for run in runs}
    by_person = sorted(of_files.values(), key=lambda run: run.subject)
    if not (is_parcels(by_person[0].bold) or is_surface(by_person[0].bold)):
        return np.ones(shape, dtype=bool), {}
    with_masks, computed = with_computed_masks(stage, by_person, None)
    print(f"  {computed}")
    group = shared_mask(with_masks, 1.0, None)
    return group.mask, group.costs


def surface_labels(
    places: Places, path: Path, setting: str, used_by: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """Labels and their names in the file, (n_places,) each, of the places of a mask on a surface.

    ``used_by`` is that of :func:`neuroface.bold.read_surface_labels`.
    """
    assert places.surface is not None
    labels, names = read_surface_labels(path, places.surface.brain_models, setting, used_by)
    used = off_grid(places.mask, len(labels))
    return labels[used], names[used]
