"""Maps that ``viewer.html`` shows: those of the group, and those of as many people as fit into the page."""

import io
from dataclasses import replace
from itertools import chain, islice, zip_longest
from pathlib import Path

from neuroface.attribution import METHODS
from neuroface.bold import Run, read_masked, surface_space
from neuroface.face_study.settings import FaceSettings
from neuroface.maps import (
    COLOURS,
    average_file,
    load_hemispheres,
    opacity,
    place_hemispheres,
    project,
    surface_pictures,
    symmetric_scale,
)
from neuroface.pipeline import Stage, read_json
from neuroface.timeline import N_LEVELS, Brain, ViewerMaps, WindowMaps

import numpy as np
from matplotlib.colors import Normalize
from nibabel.affines import apply_affine
from nilearn.datasets import load_mni152_template
from PIL import Image

ANATOMY_MM = 3
HEAD = 0.1  # of the template's largest value; what is darker is background
MARGIN_MM = 4  # of slices around the brain
MOST_BYTES = 6_000_000  # of the maps of all people
PICTURE_BYTES, VALUE_BYTES = 16_000, 0.75  # of a picture of the surface, of a value; in base64


def maps_of_windows(
    stage: Stage, films: list[list[Run]], mask: np.ndarray, affine: np.ndarray, cfg: FaceSettings
) -> ViewerMaps:
    """Mean attributions of the group and of people at each volume of a window.

    Empty in native space, of parcels, of a surface without a mesh, and before script 6 has finished.
    Slices only of volumes in MNI space.

    Parameters
    ----------
    films : the runs of each film. mask, affine : of the group.
    """
    stamp = stage.folder_of(6) / "settings.json"
    space = surface_space(stage.folder_of(1)) if cfg.SPACE == "surface" else None
    is_drawn = len(space.meshes) == 2 if space else cfg.SPACE == "MNI" and min(mask.shape) > 1
    if not is_drawn or not stamp.exists() or not read_json(stamp).get("finished"):
        return ViewerMaps()
    files = {
        who: files_of(stage.folder_of(6), who, cfg) for who in ("group", *people_of_films(films))
    }
    if not all(file.exists() for file in files["group"].values()):
        return ViewerMaps()
    people = [
        who for who in files if who != "group" and any(f.exists() for f in files[who].values())
    ]
    brain = None if space else brain_of(mask, affine)
    n_shown = n_people_that_fit(len(cfg.LABELS), cfg.WINDOW_TRS, int(mask.sum()) if brain else 0)
    hemispheres = place_hemispheres(space, mask) if space else load_hemispheres(None, mask, affine)
    of: dict[str, dict[str, WindowMaps]] = {who: {} for who in ("group", *people[:n_shown])}
    for label in cfg.LABELS:
        for group in (["group"], people[:n_shown]):  # each with one colour scale
            values = {
                who: read_masked(files[who][label], mask, affine)
                for who in group
                if files[who][label].exists()
            }
            for who, maps in drawn_maps(values, hemispheres, label, cfg.TR_S).items():
                of[who][label] = maps if brain else replace(maps, values=None)
    unit = METHODS[cfg.ATTRIBUTION_METHODS[0]].unit
    return ViewerMaps(of, cfg.WINDOW_TRS, brain, unit, tuple(people[n_shown:]))


def drawn_maps(
    values: dict[str, np.ndarray], hemispheres: dict, label: str, tr_s: float
) -> dict[str, WindowMaps]:
    """Maps with their pictures, all on one colour scale.

    Parameters
    ----------
    values : "group" or a person → (n_voxels, n_trs).
    """
    if not values:
        return {}
    on_surface = project(np.concatenate(list(values.values()), axis=1), hemispheres)
    limit = float(symmetric_scale(np.concatenate(list(on_surface.values()))).vmax or 1.0)
    columns = [
        f"{who}, {tr * tr_s:g} s" for who, matrix in values.items() for tr in range(matrix.shape[1])
    ]
    pictures = iter(surface_pictures(on_surface, hemispheres, columns, label, "attribution"))
    return {
        who: WindowMaps(
            [_webp(picture) for picture in islice(pictures, matrix.shape[1])], matrix, limit
        )
        for who, matrix in values.items()
    }


def files_of(folder: Path, who: str, cfg: FaceSettings) -> dict[str, Path]:
    """Label → the file of a mean map."""
    method = cfg.ATTRIBUTION_METHODS[0]
    return {label: average_file(folder, who, label, method) for label in cfg.LABELS}


def people_of_films(films: list[list[Run]]) -> list[str]:
    """People, the first of each film before the second of any."""
    viewers = [dict.fromkeys(run.subject for run in runs) for runs in films]
    in_turn = chain.from_iterable(zip_longest(*viewers))
    return [person for person in dict.fromkeys(in_turn) if person is not None]


def n_people_that_fit(n_labels: int, n_trs: int, n_voxels: int) -> int:
    """How many people's maps take at most :data:`MOST_BYTES`."""
    bytes_of_one = n_labels * n_trs * (PICTURE_BYTES + VALUE_BYTES * n_voxels)
    return int(MOST_BYTES / bytes_of_one)


def brain_of(mask: np.ndarray, affine: np.ndarray) -> Brain:
    """The group's mask, with nilearn's MNI template behind the maps."""
    template = load_mni152_template(resolution=ANATOMY_MM)
    grey = template.get_fdata()
    places_mm = [apply_affine(affine, np.argwhere(mask))]
    places_mm.append(apply_affine(template.affine, np.argwhere(grey > HEAD * grey.max())))
    box_mm = np.array(
        [np.concatenate(places_mm).min(axis=0), np.concatenate(places_mm).max(axis=0)]
    )
    levels = np.arange(-N_LEVELS, N_LEVELS + 1) / N_LEVELS
    scale = Normalize(-1, 1)
    colours = COLOURS(scale(levels))
    colours[:, 3] = opacity(levels, scale)
    return Brain(
        mask=mask,
        affine=affine,
        anatomy=np.rint(grey / grey.max() * 255).astype(np.uint8),
        anatomy_affine=template.affine,
        box_mm=box_mm + [[-MARGIN_MM], [MARGIN_MM]],
        colours=np.rint(colours * 255).astype(np.uint8),
    )


def _webp(picture: np.ndarray) -> bytes:
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "webp", quality=60, method=2)
    return target.getvalue()
