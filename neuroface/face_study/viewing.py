"""What ``viewer.html`` shows of the face study: predictions, windows, film regressors, the film's pictures, group maps."""

import io
import zipfile
from pathlib import Path

from neuroface.bold import (
    Run,
    clock_of_onsets,
    open_header,
    read_masked,
    surface_space,
    windows_file,
)
from neuroface.face_study.settings import FaceSettings
from neuroface.face_study.study import STUDY
from neuroface.face_study.words import labels_of
from neuroface.film import DETECTOR, regressors_of_run
from neuroface.maps import (
    average_file,
    load_hemispheres,
    place_hemispheres,
    project,
    surface_pictures,
)
from neuroface.pipeline import Section, Stage, read_json, read_table
from neuroface.timeline import FilmTracks, tracks_of_film, write_viewer

import numpy as np
import pandas as pd
from PIL import Image

VIEWER = "viewer.html"
MOST_PICTURES = 1500  # of a film: about 6 MB


def show_films(
    stage: Stage,
    section: Section,
    tables: dict[Run, pd.DataFrame],
    mask: np.ndarray,
    affine: np.ndarray,
    cfg: FaceSettings,
) -> None:
    """Write ``viewer.html`` in the run's folder, beside the report, and say so.

    It has the group's maps if script 6 has finished, and the film's pictures if script 0 annotated
    the film.

    Parameters
    ----------
    section : of the report. tables : run → its predictions, with the column truth. mask, affine : of the group.
    """
    films: dict[str, list[Run]] = {}
    for run in tables:
        films.setdefault(run.stimulus, []).append(run)
    tracks = [
        _tracks(stage, name, {run: tables[run] for run in runs}, cfg)
        for name, runs in films.items()
    ]
    target, labels = stage.root / VIEWER, labels_of(cfg)
    maps = group_map_pictures(stage, mask, affine, cfg)
    write_viewer(target, tracks, maps, cfg.TR_S, labels, f"{STUDY.title({'LABELS': cfg.LABELS})} {stage.root.name}",
                 clock_of_onsets(cfg.DATASET, cfg.FILM_EVENT))  # fmt: skip
    section.first.text(
        f"{VIEWER}, beside this page, plays each film with its predictions and maps."
    )
    print(f"  wrote {target}: each film second by second; open it in a browser")


def _tracks(
    stage: Stage, name: str, tables: dict[Run, pd.DataFrame], cfg: FaceSettings
) -> FilmTracks:
    windows: dict[tuple[float, str], None] = {}
    regressors = {}
    several = len({run.subject for run in tables}) < len(tables)  # sessions of one person
    names = {run: run.name if several else run.subject for run in tables}
    for run, table in tables.items():
        file = windows_file(stage.folder_of(1), run.subject, run.name).with_suffix(".tsv")
        for row in read_table(file).itertuples():
            windows[round(float(row.onset_s), 3), str(row.label)] = None
        if run.regressors is not None:
            n_volumes = open_header(run.bold)[1][3]
            values = regressors_of_run(run, cfg.TR_S, len(table), n_volumes)
            regressors[names[run]] = values.assign(stimulus_time_s=moments_of_volumes(table, cfg))
    pictures = pictures_of_film(Path(cfg.FILM_DIR) / "stimuli", next(iter(tables)).movie)
    by_name = {names[run]: table for run, table in tables.items()}
    return tracks_of_film(name, by_name, sorted(windows), regressors, pictures)


def moments_of_volumes(table: pd.DataFrame, cfg: FaceSettings) -> np.ndarray:
    """Second of the film that each volume responds to (n_trs,): LAG_S before it.

    A regressor is that of one volume. The prediction in the same row belongs to a later moment, that
    of PREDICTION_AT in the window that starts with this volume.
    """
    into_window_s = cfg.PREDICTION_AT * cfg.WINDOW_TRS * cfg.TR_S
    return table["stimulus_time_s"].to_numpy(float) - into_window_s


def pictures_of_film(folder: Path, movie: str) -> list[tuple[float, bytes]]:
    """(Second, WebP) of the pictures that script 0 kept of a film that is one file, shown whole; else none.

    Parameters
    ----------
    folder : FILM_DIR/stimuli.
    """
    sidecar = folder / f"task-{movie}_events.json"
    scans = sorted((folder / "samples").glob(f"{movie}-*_{DETECTOR}"))
    if not sidecar.is_file() or len(scans) != 1:
        return []
    about = read_json(sidecar)
    parts = about["Parts"]
    if len(parts) != 1 or parts[0]["start_s"] or parts[0]["onset_s"]:
        return []
    pictures = {}
    for archive in sorted(scans[0].glob("*.zip")):
        with zipfile.ZipFile(archive) as file:
            for name in file.namelist():
                pictures[int(name.removesuffix(".webp"))] = (archive, name)
    kept = sorted(pictures)[:: -(-len(pictures) // MOST_PICTURES) or 1]
    pictures_at = []
    for number in kept:
        archive, name = pictures[number]
        with zipfile.ZipFile(archive) as file:
            pictures_at.append((number / about["SamplesPerSecond"], file.read(name)))
    return pictures_at


def group_map_pictures(
    stage: Stage, mask: np.ndarray, affine: np.ndarray, cfg: FaceSettings
) -> dict[str, list[bytes]]:
    """Label → a surface picture (WebP) of the group's mean attributions at each volume of a window.

    Empty in native space, of parcels, of a surface without a mesh, and before script 6 has finished.
    """
    stamp = stage.folder_of(6) / "settings.json"
    space = surface_space(stage.folder_of(1)) if cfg.SPACE == "surface" else None
    is_drawn = len(space.meshes) == 2 if space else cfg.SPACE == "MNI" and min(mask.shape) > 1
    if not is_drawn or not stamp.exists() or not read_json(stamp).get("finished"):
        return {}
    method = cfg.ATTRIBUTION_METHODS[0]
    files = {
        label: average_file(stage.folder_of(6), "group", label, method) for label in cfg.LABELS
    }
    if not all(file.exists() for file in files.values()):
        return {}
    hemispheres = place_hemispheres(space, mask) if space else load_hemispheres(None, mask, affine)
    seconds = [f"{tr * cfg.TR_S:g} s" for tr in range(cfg.WINDOW_TRS)]
    return {
        label: [
            _webp(picture)
            for picture in surface_pictures(
                project(read_masked(file, mask, affine), hemispheres),
                hemispheres,
                seconds,
                label,
                "attribution",
            )
        ]
        for label, file in files.items()
    }


def _webp(picture: np.ndarray) -> bytes:
    target = io.BytesIO()
    Image.fromarray(picture).save(target, "webp", quality=80)
    return target.getvalue()
