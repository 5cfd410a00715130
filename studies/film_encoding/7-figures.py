"""7. Frames and their reconstructions, a film with brain maps below, surface maps, tables.

Draws moments of the film that the explained network never saw, evenly spaced and not selected,
beside what was made of them; writes the same as a film; draws r, the noise ceiling and r / ceiling
on the cortical surface.

Reads     1-chunks/, 2-voxels/, 3-networks/, 4-scores/
Writes    7-figures/strip.png and .pdf; clip.mp4; clip.html, the clip in a page of its own
          7-figures/surface_r.png, surface_r_of_ceiling.png and .pdf; table_voxels.tsv,
            table_identification.tsv, table_frames.tsv, table_order.tsv, rounded for a paper
Settings  EXPLAINED_SPLIT, DECODE_FROM, N_STRIP, CLIP_S
Takes     0.3 s per TR of the clip, 2 s per figure
"""

from functools import partial
from pathlib import Path

from film_encoding.film_clock import frame_time_s, middle_frame
from film_encoding.film_pictures import draw_strip, write_clip, write_player
from film_encoding.held_out import HeldOut
from film_encoding.score_tables import frame_rows, identification_rows, order_rows, voxel_rows
from film_encoding.scoring import FROM_MEASURED, FROM_PREDICTED, RIDGE, Unit
from film_encoding.study import STUDY
from film_encoding.variants import MAIN
from film_encoding.wording import model_name
from neuroface.bold import read_mask, read_masked
from neuroface.maps import draw_surfaces, load_hemispheres, project, surface_pictures
from neuroface.pipeline import Section, Stage, open_npy, read_table, run_script, write_table

import numpy as np
import pandas as pd

SCORED = ("voxels", "frames")  # tables of script 4


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 7, cfg, __doc__, reads=(1, 2, 3, 4))
    held_out = HeldOut(stage.folder_of(1), stage.folder_of(2), stage.folder_of(3), cfg)
    rows = film_to_show(held_out)
    made = reconstructions(stage, held_out, rows)

    stage.each(partial(strip, held_out, rows, made, cfg), [stage.folder / "strip.png"], "strips")
    stage.each(
        partial(clip, stage, held_out, rows, made, cfg), [stage.folder / "clip.html"], "films"
    )
    unit = Unit(MAIN, held_out.split, "unseen film")
    maps = {"surface_r": ("r", "ceiling"), "surface_r_of_ceiling": ("r_of_ceiling",)}
    draw = partial(surface, stage, unit, maps, cfg)
    stage.each(draw, list(maps), "surface maps", lambda name: stage.folder / f"{name}.png")
    write_tables(stage, cfg)
    stage.finish("figures, a film and tables", describe_figures(stage, held_out, rows, unit, cfg))


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
    mask, affine = read_mask(stage.folder_of(2) / "mask.nii.gz")
    hemispheres = load_hemispheres(None, mask, affine)
    whole = np.zeros((int(mask.sum()), len(moments)), dtype=np.float32)
    whole[held_out.voxels] = held_out.data.bold(moments).T
    titles = [f"{t:.1f} s" for t in moments["chunk"] * cfg.TR_S]
    brain = surface_pictures(
        project(whole, hemispheres),
        hemispheres,
        titles,
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


def surface(stage: Stage, unit: Unit, maps: dict[str, tuple[str, ...]], cfg, name: str) -> None:
    mask, affine = read_mask(stage.folder_of(2) / "mask.nii.gz")
    columns = {}
    for kind in maps[name]:
        for model in (MAIN, RIDGE) if kind != "ceiling" else (MAIN,):
            file = (
                stage.folder_of(4)
                / "maps"
                / f"{Unit(model, unit.split, unit.test_set).name}_{kind}.nii.gz"
            )
            of_model = f"{kind.replace('_of_', ' / ')}, {model_name(model, cfg)}"
            columns[kind if kind == "ceiling" else of_model] = read_masked(file, mask, affine)[:, 0]
    hemispheres = load_hemispheres(None, mask, affine)
    values = project(np.stack(list(columns.values()), axis=1), hemispheres)
    title, shown = (
        f"{unit.split} split, {unit.test_set}",
        "r" if name == "surface_r" else "r / noise ceiling",
    )
    draw_surfaces(
        values, hemispheres, list(columns), title, shown, stage.folder / f"{name}.png", medial=True
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


def describe_figures(stage: Stage, held_out: HeldOut, rows: np.ndarray, unit: Unit, cfg) -> Section:
    film = held_out.table["film"].iloc[rows[0]]
    section = Section(
        "Figures",
        f"{film}, a film that the network never saw ({unit.split} split). Moments are evenly spaced, not selected. "
        "“From BOLD” was decoded from measured BOLD; “through the network” went from frames to predicted voxels and "
        "back, and never passed a brain.",
    )
    section.first.figure(
        stage.folder / "surface_r.png",
        f"Mean r of each voxel on {unit.test_set}, and the noise ceiling.",
    )
    section.first.figure(
        stage.folder / "strip.png",
        f"{film}, and what was reconstructed of it, at evenly spaced moments.",
    )
    section.figure(stage.folder / "strip.png", "The film, and what was reconstructed of it.")
    section.page(
        stage.folder / "clip.html",
        "The same as a film (clip.mp4), with the measured BOLD that the reconstructions come from.",
    )
    section.figure(
        stage.folder / "surface_r.png",
        f"Mean r of each voxel on {unit.test_set}, and the noise ceiling, seen from below, from the sides and from the "
        "middle. Grey: not among the chosen voxels.",
    )
    section.figure(stage.folder / "surface_r_of_ceiling.png", "r relative to the noise ceiling.")
    return section


if __name__ == "__main__":
    run_script(main)
