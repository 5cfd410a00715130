"""Maps of a study on the cortical surface as CIFTI or GIFTI files, in the space that the data have."""

from functools import partial
from pathlib import Path

from neuroface.bold import SurfaceSpace, off_grid, open_image
from neuroface.pipeline import PARTIAL

import numpy as np

ENDING = ".nii.gz"


def write_surface_maps(stage, space: SurfaceSpace | None, tr_s: float, below: str = "") -> None:
    """Write every map of a stage in the space of the data too, beside ``<map>.nii.gz``.

    Maps with seconds become ``<map>.dtseries.nii`` or ``<map>_hemi-L.func.gii`` and ``hemi-R``, maps without seconds
    ``<map>.dscalar.nii`` or ``<map>_hemi-L.shape.gii`` and ``hemi-R``. Places outside the group mask are 0.

    Parameters
    ----------
    stage : a :class:`neuroface.pipeline.Stage`.
    space : of the data; None: they are no surface, nothing is written.
    tr_s : seconds between the volumes of a map.
    below : glob of the folders with maps, such as "sub-*/"; "": the stage's own.
    """
    if space is not None:
        maps = [
            file
            for file in sorted(stage.folder.glob(f"{below}*{ENDING}"))
            if not file.name.startswith(PARTIAL)  # left by a killed run
        ]
        stage.each(
            partial(_write, space, tr_s), maps, partial(_is_written, space, tr_s), "surface maps"
        )


def _files(
    space: SurfaceSpace, tr_s: float, map_file: Path
) -> tuple[tuple[Path, ...], float | None]:
    """The surface files of a map, and seconds between its volumes; None of a map without seconds."""
    step_s = tr_s if len(open_image(map_file).shape) == 4 else None
    return space.files(map_file.with_name(map_file.name.removesuffix(ENDING)), step_s), step_s


def _is_written(space: SurfaceSpace, tr_s: float, map_file: Path) -> bool:
    """Whether a map's files are there, and not of an earlier map."""
    made_ns = map_file.stat().st_mtime_ns
    files, _ = _files(space, tr_s, map_file)
    return all(file.exists() and file.stat().st_mtime_ns >= made_ns for file in files)


def _write(space: SurfaceSpace, tr_s: float, map_file: Path) -> None:
    values = off_grid(np.asanyarray(open_image(map_file).dataobj), len(space.brain_models))
    _, step_s = _files(space, tr_s, map_file)
    space.write(map_file.with_name(map_file.name.removesuffix(ENDING)), values, step_s)
