"""7. Frames and their reconstructions, a film with brain maps below, surface maps, tables.

Draws moments of the film that the explained network never saw, evenly spaced and not selected,
beside what was made of them; writes the same as a film; draws r, the noise ceiling and r / ceiling
on the cortical surface.

Reads     1-chunks/, 2-voxels/, 3-networks/, 4-scores/
Writes    7-figures/strip.png and .pdf; clip.mp4; clip.html, the clip in a page of its own
          7-figures/surface_r.png, surface_r_of_ceiling.png and .pdf; table_voxels.tsv,
            table_identification.tsv, table_frames.tsv, table_order.tsv, rounded for a paper; of tables of
            parcels table_parcels.tsv in place of surface figures
Settings  EXPLAINED_SPLIT, DECODE_FROM, N_STRIP, CLIP_S
Takes     0.3 s per TR of the clip, 2 s per figure
"""

from functools import partial
from pathlib import Path

from film_encoding.brain_places import Places, read_places
from film_encoding.film_clock import frame_time_s, middle_frame
from film_encoding.film_pictures import draw_strip, write_clip, write_player
from film_encoding.held_out import HeldOut
from film_encoding.score_tables import frame_rows, identification_rows, order_rows, voxel_rows
from film_encoding.scoring import FROM_MEASURED, FROM_PREDICTED, RIDGE, Unit
from film_encoding.study import STUDY
from film_encoding.variants import MAIN
from film_encoding.wording import model_name
from neuroface.bold import read_masked
from neuroface.maps import draw_surfaces, project, surface_pictures
from neuroface.pipeline import Section, Stage, open_npy, read_table, run_script, write_table

import numpy as np
import pandas as pd

SCORED = ("voxels", "frames")  # tables of script 4
SURFACES = {"surface_r": ("r", "ceiling"), "surface_r_of_ceiling": ("r_of_ceiling",)}
MOST_PARCELS = 30  # in the report


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 7, cfg, __doc__, reads=(1, 2, 3, 4))
    held_out = HeldOut(stage.folder_of(1), stage.folder_of(2), stage.folder_of(3), cfg)
    rows = film_to_show(held_out)
    made = reconstructions(stage, held_out, rows)
    places = read_places(stage.folder_of(2))
    hemispheres = places.hemispheres()

    stage.each(partial(strip, held_out, rows, made, cfg), [stage.folder / "strip.png"], "strips")
    stage.each(
        partial(clip, stage, held_out, rows, made, places, hemispheres, cfg),
        [stage.folder / "clip.html"],
        "films",
    )
    unit = Unit(MAIN, held_out.split, "unseen film")
    if hemispheres is None:
        stage.leave_out("surface figures, and the brain in the clip", places.why_no_positions)
    draw = partial(surface, stage, places, hemispheres, unit, cfg)
    drawn = list(SURFACES) if hemispheres else []
    stage.each(draw, drawn, "surface maps", lambda name: stage.folder / f"{name}.png")
    write_tables(stage, cfg)
    parcels = parcel_table(stage, places, unit, cfg)
    if len(parcels):
        write_table(stage.folder / "table_parcels.tsv", parcels)
    section = describe_figures(stage, held_out, rows, unit, drawn, cfg)
    if len(parcels):
        describe_parcels(section, parcels)
    stage.finish("figures, a film and tables", section)


def film_to_show(held_out: HeldOut) -> np.ndarray:
    """Positions in the table of held-out chunks of the first film that training never saw."""
    table = held_out.table
    unseen = table["test_set"] == "unseen film"
    return np.flatnonzero(unseen & (table["film"] == table["film"][unseen].iloc[0]))


def reconstructions(stage: Stage, held_out: HeldOut, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Name → frames (n, height, width, 3) of the shown film's chunks."""
    ridge = stage.folder_of(4) / "ridge" / f"{held_out.fold_name}_{FROM_MEASURED}.npy"
    files = {
        "from BOLD": held_out.network_folder / f"{FROM_MEASURED}.npy",
        "through the network": held_out.network_folder / f"{FROM_PREDICTED}.npy",
        "ridge, from BOLD": ridge,
    }
    return {name: open_npy(file)[rows] for name, file in files.items()}


def strip(
    held_out: HeldOut, rows: np.ndarray, made: dict[str, np.ndarray], cfg, target: Path
) -> None:
    chosen = np.linspace(0, len(rows) - 1, min(cfg.N_STRIP, len(rows))).astype(int)
    moments = held_out.table.iloc[rows[chosen]].reset_index(drop=True)
    times = frame_time_s(
        moments["chunk"].to_numpy(), middle_frame(cfg.FRAMES_PER_TR), cfg.FRAMES_PER_TR, cfg.TR_S
    )
    draw_strip(
        {"film": held_out.frames(moments)}
        | {name: frames[chosen] for name, frames in made.items()},
        times,
        target,
    )


def clip(
    stage: Stage,
    held_out: HeldOut,
    rows: np.ndarray,
    made: dict[str, np.ndarray],
    places: Places,
    hemispheres: dict | None,
    cfg,
    target: Path,
) -> None:
    """Write the film and, last, the page that plays it."""
    table = held_out.table.iloc[rows].reset_index(drop=True)
    seconds = table["chunk"].to_numpy() * cfg.TR_S
    chosen = np.flatnonzero((seconds >= cfg.CLIP_S[0]) & (seconds < cfg.CLIP_S[1]))
    if not len(chosen):
        chosen = np.arange(
            min(len(rows), max(1, round((cfg.CLIP_S[1] - cfg.CLIP_S[0]) / cfg.TR_S)))
        )
        stage.leave_out(
            "CLIP_S",
            f"{table['film'][0]} has no held-out moment then; the clip begins at its first",
        )
    moments = table.iloc[chosen].reset_index(drop=True)
    brain: list[np.ndarray] = []
    if hemispheres is not None:
        whole = np.zeros((len(places), len(moments)), dtype=np.float32)
        whole[held_out.voxels] = held_out.data.bold(moments).T
        brain = surface_pictures(
            project(whole, hemispheres),
            hemispheres,
            [f"{t:.1f} s" for t in moments["chunk"] * cfg.TR_S],
            f"BOLD {cfg.DELAY_TRS * cfg.TR_S:.1f} s later",
            "BOLD (z)",
        )
    write_clip(
        stage.folder / "clip.mp4",
        held_out.data.frames(moments),
        {name: frames[chosen] for name, frames in made.items()},
        brain,
        cfg.TR_S,
    )
    write_player(target, stage.folder / "clip.mp4", "Film, reconstructions and BOLD")


def scores_of_models(
    stage: Stage, places: Places, unit: Unit, scores: tuple[str, ...], cfg
) -> dict[str, np.ndarray]:
    """Column → (n_places,): maps of script 4 of the network and of ridge regression; the ceiling is the same for both."""
    columns = {}
    for score in scores:
        for model in (MAIN, RIDGE) if score != "ceiling" else (MAIN,):
            name = f"{Unit(model, unit.split, unit.test_set).name}_{score}.nii.gz"
            file = stage.folder_of(4) / "maps" / name
            of_model = f"{score.replace('_of_', ' / ')}, {model_name(model, cfg)}"
            column = score if score == "ceiling" else of_model
            columns[column] = read_masked(file, places.mask, places.affine)[:, 0]
    return columns


def surface(
    stage: Stage, places: Places, hemispheres: dict | None, unit: Unit, cfg, name: str
) -> None:
    assert hemispheres is not None  # main draws no surface without
    columns = scores_of_models(stage, places, unit, SURFACES[name], cfg)
    values = project(np.stack(list(columns.values()), axis=1), hemispheres)
    title, shown = (
        f"{unit.split} split, {unit.test_set}",
        "r" if name == "surface_r" else "r / noise ceiling",
    )
    draw_surfaces(
        values, hemispheres, list(columns), title, shown, stage.folder / f"{name}.png", medial=True
    )


def parcel_table(stage: Stage, places: Places, unit: Unit, cfg) -> pd.DataFrame:
    """A row per parcel, those with the largest r of the network first; empty where the data are no parcels.

    Parcels that no fold chose have 0 in all columns.
    """
    if not places.parcels:
        return pd.DataFrame()
    scores = tuple(score for of_figure in SURFACES.values() for score in of_figure)
    columns = scores_of_models(stage, places, unit, scores, cfg)
    table = pd.DataFrame({"parcel": places.parcels} | columns)
    return table.sort_values(table.columns[1], ascending=False, kind="stable")


def describe_parcels(section: Section, table: pd.DataFrame) -> None:
    """Add the parcels with the largest r to the section."""
    shown = table.head(MOST_PARCELS)
    cells = [
        [row[0], *(f"{value:.3f}" for value in row[1:])] for row in shown.itertuples(index=False)
    ]
    section.table(
        list(shown),
        cells,
        f"The {MOST_PARCELS} parcels with the largest r of the network, or all where there are fewer; table_parcels.tsv has "
        "all. Parcels of a table have no coordinates, so this table stands where surface figures stand for images.",
    )


def write_tables(stage: Stage, cfg) -> None:
    """The tables of script 4, rounded as the report shows them."""
    voxels, frames = (read_table(stage.folder_of(4) / f"{name}.tsv") for name in SCORED)
    tables = {
        "voxels": voxel_rows(voxels, cfg),
        "identification": identification_rows(frames, cfg),
        "frames": frame_rows(frames, cfg),
        "order": order_rows(frames),
    }
    for name, cells in tables.items():
        write_table(stage.folder / f"table_{name}.tsv", pd.DataFrame(cells))


def describe_figures(
    stage: Stage, held_out: HeldOut, rows: np.ndarray, unit: Unit, drawn: list[str], cfg
) -> Section:
    film = held_out.table["film"].iloc[rows[0]]
    section = Section(
        "Figures",
        f"{film}, a film that the network never saw ({unit.split} split). Moments are evenly spaced, not selected. "
        "“From BOLD” was decoded from measured BOLD; “through the network” went from frames to predicted voxels and "
        "back, and never passed a brain.",
    )
    if drawn:
        section.first.figure(
            stage.folder / "surface_r.png",
            f"Mean r of each voxel on {unit.test_set}, and the noise ceiling.",
        )
    section.first.figure(
        stage.folder / "strip.png",
        f"{film}, and what was reconstructed of it, at evenly spaced moments.",
    )
    section.figure(stage.folder / "strip.png", "The film, and what was reconstructed of it.")
    brain = ", with the measured BOLD that the reconstructions come from" if drawn else ""
    section.page(stage.folder / "clip.html", f"The same as a film (clip.mp4){brain}.")
    if drawn:
        section.figure(
            stage.folder / "surface_r.png",
            f"Mean r of each voxel on {unit.test_set}, and the noise ceiling, seen from below, from the sides and from the "
            "middle. Grey: not among the chosen voxels.",
        )
        section.figure(
            stage.folder / "surface_r_of_ceiling.png", "r relative to the noise ceiling."
        )
    return section


if __name__ == "__main__":
    run_script(main)
