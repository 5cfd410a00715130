"""BOLD on the cortical surface: CIFTI and GIFTI series as images in which each vertex is a voxel.

fMRIPrep writes ``*_space-fsLR_den-91k_bold.dtseries.nii`` (CIFTI: vertices of both hemispheres, voxels below the cortex)
and ``*_hemi-L_space-fsaverage5_bold.func.gii`` with ``hemi-R`` beside it (GIFTI: one hemisphere each, joined here). Brain
models (nibabel's ``BrainModelAxis``) say which vertex or voxel each place is. :mod:`neuroface.bold.places` says where a
place lies in the image.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from neuroface import NeuroFaceError
from neuroface.bold.places import AFFINE, grid_of, on_grid

import nibabel as nib
import numpy as np
from nibabel.cifti2 import BrainModelAxis, LabelAxis, ScalarAxis, SeriesAxis

CIFTI = (".dtseries.nii", ".dscalar.nii", ".dlabel.nii")
GIFTI = (".func.gii", ".shape.gii", ".label.gii")
SERIES = (".dtseries.nii", ".func.gii")
LEFT, RIGHT = "hemi-L", "hemi-R"
CORTEX = {LEFT: "CIFTI_STRUCTURE_CORTEX_LEFT", RIGHT: "CIFTI_STRUCTURE_CORTEX_RIGHT"}
CHUNK_BYTES = (
    16 * 2**20
)  # a CIFTI file stores places one after another, so that a chunk reads all of it
BRAIN_MODELS: deque[BrainModelAxis] = deque(maxlen=4)  # of the files read last
UNREADABLE_XML = (ElementTree.ParseError, OSError, ValueError, KeyError)


def is_surface(path: Path) -> bool:
    """Whether a file is a map or series on the cortical surface, by its name."""
    return path.name.endswith((*CIFTI, *GIFTI))


def is_gifti(path: Path) -> bool:
    """Whether a file holds one hemisphere."""
    return path.name.endswith(GIFTI)


def files_of_surface(path: Path) -> tuple[Path, ...]:
    """The file, or those of both hemispheres, the left one first."""
    if not is_gifti(path):
        return (path,)
    return path, path.with_name(path.name.replace(LEFT, RIGHT))


@dataclass(frozen=True)
class SurfaceFile:
    """What a file on the surface says about itself.

    Parameters
    ----------
    brain_models : of the places. n_maps : maps, or volumes of a series. tr_s : the TR; None: not stated.
    """

    brain_models: BrainModelAxis
    n_maps: int
    tr_s: float | None = None


def describe_surface(path: Path) -> SurfaceFile:
    """Read the header of a CIFTI file, or of the GIFTI files of both hemispheres; ``path`` is the left one.

    Raises
    ------
    NeuroFaceError
        If a file is missing or damaged, does not hold maps or a series of vertices, or is the right hemisphere's.
    """
    if not path.exists():
        raise NeuroFaceError(f"{path} is not there. Correct its name, or download it again.")
    if is_gifti(path) and LEFT not in path.name:
        raise NeuroFaceError(
            f"{path} has no {LEFT} in its name. Name the left hemisphere's file; that of the right one, with {RIGHT}, is "
            f"read from beside it."
        )
    there = [file for file in files_of_surface(path) if file.exists()]
    return _described(path, tuple(file.stat().st_mtime_ns for file in there))


@lru_cache(maxsize=64)
def _described(path: Path, modified_ns: tuple[int, ...]) -> SurfaceFile:
    if not is_gifti(path):
        return _describe_cifti(path)
    shapes = [_gifti_shape(file) for file in files_of_surface(path)]
    if shapes[0][1] != shapes[1][1]:
        files = " and ".join(file.name for file in files_of_surface(path))
        raise NeuroFaceError(
            f"{files} have {shapes[0][1]} and {shapes[1][1]} volumes. Export both hemispheres of one run."
        )
    left, right = (
        BrainModelAxis.from_surface(np.arange(n), n, CORTEX[side])
        for side, (n, _) in zip((LEFT, RIGHT), shapes)
    )
    return SurfaceFile(_shared(left + right), shapes[0][1])


def _shared(brain_models: BrainModelAxis) -> BrainModelAxis:
    """The equal brain models of an earlier file, if there are any: each copy of 91,282 places takes 13 MB."""
    for known in BRAIN_MODELS:
        if known == brain_models:
            return known
    BRAIN_MODELS.append(brain_models)
    return brain_models


def _describe_cifti(path: Path) -> SurfaceFile:
    image = _load(path)
    try:
        maps, places = (image.header.get_axis(number) for number in (0, 1))
    except Exception as error:  # nibabel has no common class for them
        raise NeuroFaceError(
            f"{path} cannot be read as CIFTI: {error}. Download or export it again."
        ) from None
    if not isinstance(places, BrainModelAxis) or not isinstance(
        maps, SeriesAxis | ScalarAxis | LabelAxis
    ):
        raise NeuroFaceError(
            f"{path} does not hold maps, labels or a series of vertices and voxels. Name a .dtseries.nii, .dscalar.nii or "
            ".dlabel.nii file."
        )
    places = _shared(places)
    if isinstance(maps, SeriesAxis) and maps.unit == "SECOND" and maps.step > 0:
        return SurfaceFile(places, len(maps), float(maps.step))
    return SurfaceFile(places, len(maps))


def _load(path: Path) -> Any:
    try:
        image = nib.load(path)
        if not isinstance(image, nib.Cifti2Image):
            raise ValueError("it is a volume")
        return image
    except Exception as error:  # nibabel has no common class for them
        raise NeuroFaceError(
            f"{path} cannot be read as CIFTI: {error}. Download or export it again."
        ) from None


def _gifti_shape(path: Path) -> tuple[int, int]:
    """(n_vertices, n_maps) of a hemisphere, from the beginning of its file."""
    if not path.exists():
        raise NeuroFaceError(
            f"{path} is not there: a GIFTI file holds one hemisphere. Put the file of the other one beside it."
        )
    n_arrays = 0
    try:
        with open(path, "rb") as file:
            for _, element in ElementTree.iterparse(file, events=("start",)):
                if element.tag == "GIFTI":
                    n_arrays = int(element.attrib["NumberOfDataArrays"])
                if element.tag == "DataArray":
                    sizes = [element.attrib.get(f"Dim{axis}") for axis in (0, 1)]
                    n_vertices, n_columns = (int(size or 1) for size in sizes)
                    return n_vertices, n_columns if n_arrays == 1 else n_arrays
    except UNREADABLE_XML as error:
        raise _damaged(path, error) from None
    raise _damaged(path, "it holds no data")


def _damaged(path: Path, error: object) -> NeuroFaceError:
    return NeuroFaceError(f"{path} cannot be read as GIFTI: {error}. Download or export it again.")


class _Series:
    """The values of a surface file as nibabel asks for the data of an image; they are read when they are used."""

    is_proxy = True

    def __init__(self, path: Path, shape: tuple[int, ...]):
        self.path, self.shape, self.ndim, self.dtype = path, shape, len(shape), np.dtype("f4")

    def __array__(self, dtype=None, copy=None):
        values = np.concatenate(list(stream_surface(self.path)))
        return on_grid(values.T).reshape(self.shape).astype(dtype or self.dtype, copy=False)

    def __getitem__(self, index):
        return np.asarray(self)[index]


def surface_image(path: Path) -> nib.Nifti1Image:
    """The file as an image (x, y, z, n_maps), (x, y, z) of a single map; its header states the TR if the file does."""
    about = describe_surface(path)
    shape: tuple[int, ...] = grid_of(len(about.brain_models))
    if about.n_maps > 1 or path.name.endswith(SERIES):
        shape = (*shape, about.n_maps)
    image = nib.Nifti1Image(_Series(path, shape), AFFINE, dtype=np.float32)
    image.header["pixdim"][4] = about.tr_s or 0
    image.header.set_xyzt_units("mm", "sec")
    return image


def stream_surface(
    path: Path, used: np.ndarray | None = None, n: int | None = None
) -> Iterator[np.ndarray]:
    """Yield the maps or volumes of a surface file in order, (n, n_places) float32, the last part may be shorter.

    A CIFTI file is mapped into memory; GIFTI files are read as a whole.

    Parameters
    ----------
    used : (n_places,) bool, the places to read; None: all. n : volumes at a time; None: a few.
    """
    about = describe_surface(path)
    n_places = len(about.brain_models)
    used = np.ones(n_places, dtype=bool) if used is None else used
    chunk = n or max(1, CHUNK_BYTES // (4 * n_places))
    if is_gifti(path):
        yield from _stream_gifti(path, used, chunk, about)
        return
    data, places = _load(path).dataobj, np.flatnonzero(used)
    stored = data.get_unscaled()
    for start in range(0, about.n_maps, chunk):
        values = stored[start : start + chunk][:, places]
        if (data.slope, data.inter) != (1, 0):
            values = values * np.float64(data.slope) + np.float64(data.inter)
        yield values.astype(np.float32, copy=False)


def _stream_gifti(
    path: Path, used: np.ndarray, chunk: int, about: SurfaceFile
) -> Iterator[np.ndarray]:
    hemispheres = [_read_gifti(file) for file in files_of_surface(path)]
    sizes = [about.brain_models.nvertices[CORTEX[side]] for side in (LEFT, RIGHT)]
    for file, volumes, size in zip(files_of_surface(path), hemispheres, sizes):
        lengths = {len(volume) for volume in volumes}
        if lengths != {size} or len(volumes) != about.n_maps:
            raise _damaged(file, f"it holds {len(volumes)} volumes of {sorted(lengths)} vertices")
    used_of_each = np.split(used, [sizes[0]])
    for start in range(0, about.n_maps, chunk):
        stop = min(start + chunk, about.n_maps)
        values = [
            np.stack(volumes[start:stop])[:, of_hemisphere]
            for volumes, of_hemisphere in zip(hemispheres, used_of_each)
        ]
        yield np.concatenate(values, axis=1).astype(np.float32, copy=False)


def _read_gifti(path: Path) -> list[np.ndarray]:
    """Volumes (n_vertices,) of a hemisphere."""
    try:
        image: Any = nib.load(path)
        arrays = [array.data for array in image.darrays]
    except Exception as error:  # nibabel has no common class for them
        raise _damaged(path, error) from None
    if len(arrays) == 1 and arrays[0].ndim == 2:  # all volumes in one array
        return list(arrays[0].T)
    return arrays


def measured_vertices(path: Path) -> np.ndarray:
    """(n_places,) bool: vertices and voxels whose values are finite in all volumes of a series, and change.

    Vertices of the medial wall are NaN or constant.
    """
    low: Any = np.inf
    high: Any = -np.inf
    for volumes in stream_surface(path):
        low, high = np.minimum(low, volumes.min(axis=0)), np.maximum(high, volumes.max(axis=0))
    return np.isfinite(low) & np.isfinite(high) & (high > low)


def find_mesh(files: list[Path], side: str, n_vertices: int) -> Path | None:
    """The mesh of a hemisphere among files of a data set: with its number of vertices, midthickness before others."""
    marks = re.compile(rf"({side}|[._]{side[-1]}[._]).*\.surf\.gii$")
    kinds = ("midthickness", "pial", "white", "smoothwm", "inflated")
    named = [
        (kinds.index(kind), file)
        for file in files
        for kind in kinds
        if kind in file.name and marks.search(file.name)
    ]
    return next((file for _, file in sorted(named) if _gifti_shape(file)[0] == n_vertices), None)


def read_mesh(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3) in mm and triangles (m, 3) of a ``.surf.gii`` file.

    Raises
    ------
    NeuroFaceError
        If it is damaged, or a triangle has a vertex that is not there.
    """
    try:
        image: Any = nib.load(path)
        points, triangles = image.agg_data("pointset"), image.agg_data("triangle")
        if points.ndim != 2 or triangles.ndim != 2 or triangles.max() >= len(points):
            raise ValueError("its triangles do not fit its vertices")
    except Exception as error:  # nibabel has no common class for them
        raise _damaged(path, error) from None
    return points, triangles
