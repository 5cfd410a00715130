"""Maps of a study on the cortical surface as CIFTI or GIFTI files, in the space that the data have."""

from functools import partial
from pathlib import Path

from neuroface.bold import SurfaceSpace, off_grid, open_image
from neuroface.pipeline import PARTIAL

import numpy as np

ENDING = ".nii.gz"


def write_surface_maps(
    stage, space: SurfaceSpace | None, tr_s: float | None, below: str = ""
) -> None:
    """Write every map of a stage in the space of the data too, beside ``<map>.nii.gz``.

    Maps with seconds become ``<map>.dtseries.nii`` or ``<map>_hemi-L.func.gii`` and ``hemi-R``, maps without seconds
    ``<map>.dscalar.nii`` or ``<map>_hemi-L.shape.gii`` and ``hemi-R``. Places outside the group mask are 0.

    Parameters
    ----------
    stage : a :class:`neuroface.pipeline.Stage`.
    space : of the data; None: they are no surface, nothing is written.
    tr_s : seconds between the volumes of a map; None: no map has seconds.
    below : beginning of the glob of maps, such as "sub-*/"; "": those of the stage's own folder.
    """
    if space is not None:
        maps = [
            file
            for file in sorted(stage.folder.glob(f"{below}*{ENDING}"))
            if not file.name.startswith(PARTIAL)  # left by a killed run
        ]
        stage.each(
            partial(_write, space, tr_s),
            maps,
            "surface maps",
            partial(_files, space, tr_s),
            valid=partial(_are_of_this_map, space, tr_s),
        )


def _files(space: SurfaceSpace, tr_s: float | None, map_file: Path) -> tuple[Path, ...]:
    """The surface files of a map."""
    return space.files(_stem(map_file), _step_s(map_file, tr_s))


def _are_of_this_map(space: SurfaceSpace, tr_s: float | None, map_file: Path) -> bool:
    """Whether a map's surface files were written after the map, so not of an earlier one."""
    made_ns = map_file.stat().st_mtime_ns
    return all(file.stat().st_mtime_ns >= made_ns for file in _files(space, tr_s, map_file))


def _write(space: SurfaceSpace, tr_s: float | None, map_file: Path) -> None:
    values = off_grid(np.asanyarray(open_image(map_file).dataobj), len(space.brain_models))
    space.write(_stem(map_file), values, _step_s(map_file, tr_s))


def _stem(map_file: Path) -> Path:
    """``<map>`` of ``<map>.nii.gz``."""
    return map_file.with_name(map_file.name.removesuffix(ENDING))


def _step_s(map_file: Path, tr_s: float | None) -> float | None:
    """Seconds between the volumes of a map; None of a map without seconds."""
    return tr_s if len(open_image(map_file).shape) == 4 else None
