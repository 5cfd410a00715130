"""The cortical surface that all people of a study share: its places, its mesh, who is whose neighbour.

The stage that makes the group mask also writes it as ``group_mask.dscalar.nii``, or as ``group_mask_hemi-L.shape.gii`` and
``hemi-R``; and ``mesh_hemi-L.surf.gii`` and ``hemi-R``, if the data set or nilearn has a mesh with these vertices. Later
stages read these files only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.bids import not_fetched
from neuroface.bold.places import off_grid
from neuroface.bold.run import Run, entities_of
from neuroface.bold.surfaces import (
    CORTEX,
    LEFT,
    RIGHT,
    describe_surface,
    find_mesh,
    is_gifti,
    is_surface,
    read_mesh,
)
from neuroface.pipeline import atomic

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel.cifti2 import BrainModelAxis, ScalarAxis, SeriesAxis
from nilearn.datasets import load_fsaverage

N_FSAVERAGE5 = 10_242  # vertices of a hemisphere
GROUP_MASK = "group_mask"
SIDES = {LEFT: "left", RIGHT: "right"}
DENSE_SCALAR, DENSE_SERIES = 3006, 3002  # NIfTI's codes of what a CIFTI file holds


def check_surfaces(runs: list[Run], space: str | None) -> None:
    """Raise if only some runs are on the surface, if their places differ, or if SPACE says otherwise.

    Parameters
    ----------
    space : "MNI", "native" or "surface", as the settings state; None: they do not.
    """
    series = [run for run in runs if is_surface(run.bold)]
    if not series:
        if space == "surface":
            raise NeuroFaceError(
                f'SPACE = "surface", and {runs[0].bold.name} is a volume. Set BIDS_FILTER to files on the surface, such '
                f'as "space-fsLR_den-91k" or "space-fsaverage5".'
            )
        return
    if len(series) < len(runs):
        other = next(run for run in runs if not is_surface(run.bold))
        raise NeuroFaceError(
            f"{series[0].bold.name} is on the cortical surface, {other.bold.name} is not. Set BIDS_FILTER to one kind."
        )
    if space not in ("surface", None):
        raise NeuroFaceError(
            f'{series[0].bold.name} is on the cortical surface, and SPACE is {space!r}. Set SPACE = "surface", '
            'if the study has it, or BIDS_FILTER to volumes, such as "space-MNI152NLin2009cAsym".'
        )
    first = describe_surface(series[0].bold).brain_models
    for run in series[1:]:
        its_own = describe_surface(run.bold).brain_models
        if its_own != first:
            raise NeuroFaceError(
                f"{run.bold} has {len(its_own):,} vertices and voxels of {_structures(its_own)}, {series[0].bold.name} "
                f"{len(first):,} of {_structures(first)}, or others of them. Take one space and density for all people, "
                f"or leave {run.subject} out with EXCLUDE."
            )


def _structures(brain_models: BrainModelAxis) -> str:
    n = len(list(brain_models.iter_structures()))
    return f"{n} structures" if n > 1 else "1 structure"


@dataclass(frozen=True)
class SurfaceSpace:
    """Places on the surface (and voxels below the cortex), in the order of the data.

    Parameters
    ----------
    brain_models : which vertex or voxel each place is. is_cifti : False: one GIFTI file for each hemisphere.
    meshes : "left" and "right" → vertices (n, 3) in mm and triangles (m, 3); empty if no mesh is known.
    """

    brain_models: BrainModelAxis
    is_cifti: bool
    meshes: dict[str, tuple[np.ndarray, np.ndarray]]

    def used(self, mask: np.ndarray) -> np.ndarray:
        """(n_places,) bool, the places in a mask (x, y, z)."""
        return off_grid(mask, len(self.brain_models))

    def places_of(self, side: str, mask: np.ndarray) -> np.ndarray:
        """(n_vertices,) int: number of each vertex of a hemisphere among the places in a mask; -1 outside.

        Parameters
        ----------
        side : "left" or "right". mask : (x, y, z) bool.
        """
        used = self.used(mask)
        number = np.where(used, np.cumsum(used) - 1, -1)
        name = f"CIFTI_STRUCTURE_CORTEX_{side.upper()}"
        here = self.brain_models.name == name
        vertices = np.full(self.brain_models.nvertices.get(name, 0), -1)
        vertices[self.brain_models.vertex[here]] = number[here]
        return vertices

    def table(self, mask: np.ndarray) -> pd.DataFrame:
        """A row per place in a mask: structure, number of the vertex as text (empty of a voxel), and mm where known."""
        used, axis = self.used(mask), self.brain_models
        names = pd.Series(axis.name[used]).str.removeprefix("CIFTI_STRUCTURE_").str.lower()
        numbers = [str(number) if number >= 0 else "" for number in axis.vertex[used]]
        table = pd.DataFrame({"structure": names, "vertex": numbers})
        positions = np.round(self.positions_mm(mask), 1)
        if np.isfinite(positions).any():
            table[["x_mm", "y_mm", "z_mm"]] = positions
        return table

    def positions_mm(self, mask: np.ndarray) -> np.ndarray:
        """(n_voxels, 3) of the places in a mask: of the mesh, of voxels by their affine; NaN where there is no mesh."""
        axis, used = self.brain_models, self.used(mask)
        positions = np.full((len(axis), 3), np.nan)
        voxels = axis.volume_mask
        if voxels.any():
            positions[voxels] = nib.affines.apply_affine(axis.affine, axis.voxel[voxels])
        positions = positions[used]
        for side, (points, _) in self.meshes.items():
            places = self.places_of(side, mask)
            positions[places[places >= 0]] = points[places >= 0]
        return positions

    def neighbours(self, mask: np.ndarray) -> np.ndarray:
        """(n_pairs, 2) int: places in a mask that share an edge of the mesh, or a side of a voxel; each pair once."""
        pairs = [np.empty((0, 2), dtype=int)]
        for side, (_, triangles) in self.meshes.items():
            places = self.places_of(side, mask)[triangles]
            pairs += [places[:, [0, 1]], places[:, [1, 2]], places[:, [2, 0]]]
        axis, used = self.brain_models, self.used(mask)
        here = axis.volume_mask & used
        if here.any():
            grid = np.full(np.add(axis.volume_shape, 1), -1)
            grid[tuple(axis.voxel[here].T)] = (np.cumsum(used) - 1)[here]
            for step in np.eye(3, dtype=int):
                after = grid[tuple((axis.voxel[here] + step).T)]
                pairs.append(np.column_stack([(np.cumsum(used) - 1)[here], after]))
        both = np.concatenate(pairs)
        return np.unique(np.sort(both[(both >= 0).all(axis=1)], axis=1), axis=0)

    def write(self, target: Path, values: np.ndarray, tr_s: float | None = None) -> None:
        """Write maps of all places as this space has them, 0 outside the mask.

        Parameters
        ----------
        target : the name without its ending: ``.dtseries.nii`` or ``.dscalar.nii``; ``_hemi-L.func.gii`` and ``hemi-R``,
        or ``.shape.gii``.
        values : (n_places, n_maps) or (n_places,). tr_s : seconds between maps; None: the maps are no series.
        """
        values = values.reshape(len(self.brain_models), -1).astype(np.float32)
        for file in self.files(target, tr_s):
            content = (
                _cifti(values, self.brain_models, tr_s)
                if self.is_cifti
                else _gifti(self._of_hemisphere(file, values), file, tr_s)
            )
            with atomic(file) as partial:
                Path(partial).write_bytes(content)

    def files(self, target: Path, tr_s: float | None = None) -> tuple[Path, ...]:
        """The files that :meth:`write` makes."""
        if self.is_cifti:
            return (
                target.with_name(
                    target.name + (".dscalar.nii" if tr_s is None else ".dtseries.nii")
                ),
            )
        ending = ".shape.gii" if tr_s is None else ".func.gii"
        return tuple(target.with_name(f"{target.name}_{side}{ending}") for side in SIDES)

    def _of_hemisphere(self, file: Path, values: np.ndarray) -> np.ndarray:
        side = RIGHT if f"_{RIGHT}." in file.name else LEFT
        return values[self.brain_models.name == CORTEX[side]]


def _cifti(values: np.ndarray, brain_models: BrainModelAxis, tr_s: float | None) -> bytes:
    n_maps = values.shape[1]
    maps = (
        ScalarAxis([f"map {number + 1}" for number in range(n_maps)])
        if tr_s is None
        else SeriesAxis(0.0, tr_s, n_maps)
    )
    image = nib.Cifti2Image(values.T, header=(maps, brain_models))
    image.nifti_header.set_intent(DENSE_SCALAR if tr_s is None else DENSE_SERIES)
    return image.to_bytes()


def _gifti(values: np.ndarray, file: Path, tr_s: float | None) -> bytes:
    side = RIGHT if f"_{RIGHT}." in file.name else LEFT
    intent = "NIFTI_INTENT_SHAPE" if tr_s is None else "NIFTI_INTENT_TIME_SERIES"
    about = {"AnatomicalStructurePrimary": f"Cortex{SIDES[side].title()}"}
    if tr_s is not None:
        about["TimeStep"] = f"{1000 * tr_s:g}"  # ms, as FreeSurfer and AFNI write it
    arrays = [
        nib.gifti.GiftiDataArray(column, intent=intent, datatype="NIFTI_TYPE_FLOAT32")
        for column in np.ascontiguousarray(values.T)
    ]
    return nib.GiftiImage(darrays=arrays, meta=nib.gifti.GiftiMetaData(about)).to_bytes()


def write_surface_space(
    stage, runs: list[Run], mask: np.ndarray, dataset: Path, mask_name: str = GROUP_MASK
) -> None:
    """Write the group mask and the mesh of a study on the surface into a stage's folder, and say which mesh it is.

    Without a mesh, clusters of vertices and figures are named among what is left out.

    Parameters
    ----------
    stage : a :class:`neuroface.pipeline.Stage`.
    runs : all of the study; if they are not on the surface, nothing is written. mask : (x, y, z) bool.
    dataset : folder in which a mesh is looked for. mask_name : of the mask's file, without its ending.
    """
    bold, folder = runs[0].bold, stage.folder
    if not is_surface(bold):
        return
    brain_models = describe_surface(bold).brain_models
    space = SurfaceSpace(brain_models, not is_gifti(bold), {})
    space.write(folder / mask_name, space.used(mask))
    files = [file for file in _mesh_files(bold, dataset) if file.exists() and not not_fetched(file)]
    sources, lacking = {}, []
    for side, name in CORTEX.items():
        if n_vertices := brain_models.nvertices.get(name):
            mesh, source = _mesh(files, side, n_vertices, bold)
            if mesh is None:
                lacking.append(f"{n_vertices:,} vertices of {side}")
            else:
                sources[side] = source
                with atomic(folder / f"mesh_{side}.surf.gii") as partial:
                    Path(partial).write_bytes(mesh.to_bytes())
    if lacking:
        unfetched = next((file for file in _mesh_files(bold, dataset) if not_fetched(file)), None)
        fetch = f", or run: datalad get {unfetched.parent}/*.surf.gii" if unfetched else ""
        stage.leave_out(
            "what needs a mesh: clusters of vertices, distances, figures of surfaces",
            f"no mesh with {' and '.join(lacking)} was found, so that vertices have no neighbours. Put "
            f"*_hemi-L_*_midthickness.surf.gii and hemi-R of this space into {dataset}{fetch}",
        )
    else:
        print(f"  mesh: {', '.join(sources.values())}")


def _mesh_files(bold: Path, dataset: Path) -> Iterable[Path]:
    """Files that may be a mesh: in the root of the data set, and in the folder of the person above ``func/``."""
    yield from sorted(dataset.glob("*.surf.gii"))
    person = next((place for place in bold.parents if place.name.startswith("sub-")), bold.parent)
    yield from sorted(person.rglob("*.surf.gii"))


def _mesh(files: list[Path], side: str, n_vertices: int, bold: Path):
    if file := find_mesh(files, side, n_vertices):
        return nib.load(file), file.name
    is_fsaverage = entities_of(bold.name).get("space", "").startswith("fsaverage")
    if not is_fsaverage or n_vertices != N_FSAVERAGE5:
        return None, ""
    mesh = load_fsaverage("fsaverage5")["pial"].parts[SIDES[side]]
    arrays = [
        nib.gifti.GiftiDataArray(mesh.coordinates.astype(np.float32), "NIFTI_INTENT_POINTSET"),
        nib.gifti.GiftiDataArray(mesh.faces.astype(np.int32), "NIFTI_INTENT_TRIANGLE"),
    ]
    return nib.GiftiImage(darrays=arrays), "fsaverage5 (pial surface) of nilearn"


def surface_space(folder: Path, mask_name: str = GROUP_MASK) -> SurfaceSpace | None:
    """The surface that :func:`write_surface_space` wrote into a stage's folder; None if the study is not on one."""
    forms = (f"{mask_name}.dscalar.nii", f"{mask_name}_{LEFT}.shape.gii")
    file = next((folder / name for name in forms if (folder / name).exists()), None)
    if file is None:
        return None
    meshes = {
        side: read_mesh(path)
        for hemi, side in SIDES.items()
        if (path := folder / f"mesh_{hemi}.surf.gii").exists()
    }
    return SurfaceSpace(describe_surface(file).brain_models, not is_gifti(file), meshes)
