"""5. Which voxels do the reconstructions depend on?

Maps, over the held-out moments, the mean size of the gradient of SSIM with respect to each voxel,
as published, and Integrated Gradients beside it. Counts the top voxels per region of an atlas,
against random regions of the same size.

Reads     1-chunks/, 2-voxels/, 3-networks/, REGIONS_FILE, REGIONS_TABLE
Writes    5-saliency/<method>.nii.gz (x, y, z, 1) float32, the mean over moments of |map|;
            <method>.npy (n_voxels,) float32; of tables and of BOLD on the cortical surface also
            <method>.tsv, .dscalar.nii or .shape.gii
          5-saliency/regions_<method>.tsv, a row per region; completeness.tsv, a row per moment;
            *.png
          <method> is "gradient" or "integrated-gradients"
Settings  SEED, EXPLAINED_SPLIT, DECODE_FROM, IG_STEPS, TOP_SHARE, REGIONS_FILE, REGIONS_TABLE,
          N_RANDOM_REGIONS
Takes     IG_STEPS passes of the decoder forward and backward per moment: minutes
"""

from functools import partial
from pathlib import Path

from film_encoding.brain_places import Places, read_places
from film_encoding.held_out import HeldOut
from film_encoding.regions import named_regions, shares_of_regions
from film_encoding.saliency import SsimGradient, integrated_gradients
from film_encoding.shifts import smallest_p
from film_encoding.study import STUDY
from film_encoding.wording import as_table, p_text
from neuroface.bold import write_map
from neuroface.pipeline import (
    Section,
    Stage,
    open_npy,
    read_table,
    run_script,
    save_figure,
    write_npy,
    write_table,
)

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

MOST_PARCELS = 30  # in the report
METHODS = {
    "gradient": "|d SSIM / d voxel|",
    "integrated-gradients": "|Integrated Gradients| of SSIM",
}


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 5, cfg, __doc__, reads=(1, 2, 3))
    places = read_places(stage.folder_of(2))
    regions = named_regions(cfg, places)
    held_out = HeldOut(stage.folder_of(1), stage.folder_of(2), stage.folder_of(3), cfg)
    voxels = held_out.voxels

    explain = partial(explain_moments, held_out, places, cfg)
    stage.each(explain, [stage.folder], "maps", explained_files)

    places.write_maps(stage)
    if (positions := places.positions_mm()) is None:
        stage.leave_out("random regions and p of regions", places.why_no_positions)
    else:
        positions = positions[voxels]
    inside = {name: here[voxels] for name, here in regions.items() if here[voxels].any()}
    without_voxels = [name for name in regions if name not in inside]
    if places.parcels and without_voxels:  # one line: each parcel is a region of its own
        stage.leave_out(
            f"{len(without_voxels)} of {len(regions)} parcels", "script 2 did not choose them"
        )
    elif not places.parcels:
        for name in without_voxels:
            stage.leave_out(name, "none of its voxels was chosen by script 2")
    tables = {}
    for method in METHODS:
        values = np.array(open_npy(stage.folder / f"{method}.npy"))
        tables[method] = shares_of_regions(
            values, positions, inside, cfg.TOP_SHARE, cfg.N_RANDOM_REGIONS, cfg.SEED
        )
        write_table(stage.folder / f"regions_{method}.tsv", tables[method])
    shown = {method: largest_regions(table, places) for method, table in tables.items()}
    draw_regions(stage, shown, places, cfg)
    stage.finish(
        f"saliency of {len(voxels):,} {places.words}",
        describe_saliency(stage, shown, places, held_out.split, cfg),
    )


def explained_files(folder: Path) -> list[Path]:
    """The files that :func:`explain_moments` writes."""
    maps = [folder / f"{method}{ending}" for method in METHODS for ending in (".nii.gz", ".npy")]
    return [*maps, folder / "completeness.tsv"]


def explain_moments(held_out: HeldOut, places: Places, cfg, folder: Path) -> None:
    """Write the maps of both methods, and a row per moment."""
    given, frames, baseline = (
        held_out.bold(),
        held_out.frames(),
        held_out.learned_bold().mean(axis=0),
    )
    gradient = SsimGradient(held_out.decoder(), cfg.INFERENCE_BATCH)
    similar, slopes = gradient(given, frames)
    maps, gaps = integrated_gradients(gradient, given, frames, baseline, cfg.IG_STEPS)
    for method, values in {"gradient": slopes, "integrated-gradients": maps}.items():
        mean = np.abs(values).mean(axis=0)
        in_mask = held_out.in_mask(mean, places.mask)
        write_map(folder / f"{method}.nii.gz", in_mask, places.mask, places.affine, cfg.TR_S)
        write_npy(folder / f"{method}.npy", mean.astype(np.float32))
    rows = held_out.table.assign(ssim=similar, attributed=maps.sum(axis=1), gap=gaps)
    write_table(folder / "completeness.tsv", rows)


def largest_regions(table: pd.DataFrame, places: Places) -> pd.DataFrame:
    """The regions that the report shows: of parcels, each a region of its own, those with the largest saliency."""
    if not places.parcels:
        return table
    return table.sort_values("mean", ascending=False, kind="stable").head(MOST_PARCELS)


def draw_regions(stage: Stage, tables: dict[str, pd.DataFrame], places: Places, cfg) -> None:
    """Share of each region's voxels that are top, beside random regions of its size; of parcels their saliency."""
    if places.parcels:
        draw_parcels(stage, tables)
        return
    n = max(len(table) for table in tables.values())
    figure, axes = plt.subplots(
        1,
        len(tables),
        figsize=(4.4 * len(tables), 1.2 + 0.25 * n),
        layout="constrained",
        sharey=True,
    )
    for axis, (method, table) in zip(axes, tables.items()):
        place = np.arange(len(table))
        axis.barh(
            place, table["top_in_region"], color=["C1" if p < 0.05 else "C0" for p in table["p"]]
        )
        axis.plot(table["top_in_random"], place, "k|", ms=9)
        axis.set(
            title=METHODS[method],
            xlabel=f"share of its voxels among the top {cfg.TOP_SHARE:.0%}",
            yticks=place,
            yticklabels=table["region"],
        )
    axes[0].invert_yaxis()
    save_figure(figure, stage.folder / "regions.png", also=(".pdf",))


def draw_parcels(stage: Stage, tables: dict[str, pd.DataFrame]) -> None:
    """Saliency of the parcels that the report shows, by each method."""
    size = (4.4 * len(tables), 1.2 + 0.25 * max(map(len, tables.values())))
    figure, axes = plt.subplots(1, len(tables), figsize=size, layout="constrained")
    for axis, (method, table) in zip(axes, tables.items()):
        axis.barh(np.arange(len(table)), table["mean"])
        axis.set(xlabel=METHODS[method], yticks=np.arange(len(table)), yticklabels=table["region"])
        axis.invert_yaxis()
    save_figure(figure, stage.folder / "regions.png", also=(".pdf",))


def describe_saliency(
    stage: Stage, tables: dict[str, pd.DataFrame], places: Places, split: str, cfg
) -> Section:
    completeness = read_table(stage.folder / "completeness.tsv")
    section = Section(
        "Saliency",
        f"Which voxels the reconstructions rest on, over {len(completeness):,} held-out moments ({split} split), "
        f"decoded from {cfg.DECODE_FROM} BOLD. The maps show what the decoder uses, not what the brain needs.",
    )
    gap = np.abs(completeness["gap"]).median() / max(
        1e-9, np.abs(completeness["attributed"]).median()
    )
    section.numbers(
        {"moments": f"{len(completeness):,}", "median completeness gap of IG": f"{gap:.1%}"}
    )
    if places.parcels:
        describe_parcels(section, stage, tables, cfg)
        return section
    rows = [
        {
            "region": row.region,
            "voxels": row.n_voxels,
            "method": method,
            f"share of the top {cfg.TOP_SHARE:.0%}": f"{row.share_of_top:.1%}",
            "of its voxels": f"{row.top_in_region:.1%}",
            "of random regions": f"{row.top_in_random:.1%}",
            "p": p_text(row.p, smallest_p(cfg.N_RANDOM_REGIONS)),
        }
        for method, table in tables.items()
        for row in table.sort_values("share_of_top", ascending=False).itertuples()
    ]
    section.table(
        *as_table(rows),
        f"The top {cfg.TOP_SHARE:.0%} of voxels per region. p: against {cfg.N_RANDOM_REGIONS:,} random regions of the same "
        "size, one-sided, not corrected over regions.",
    )
    section.figure(
        stage.folder / "regions.png",
        "Orange: p < 0.05. Black lines: the mean of random regions of the same size.",
    )
    return section


def describe_parcels(section: Section, stage: Stage, tables: dict[str, pd.DataFrame], cfg) -> None:
    """Add the parcels with the largest saliency to the section."""
    rows = [
        {
            "parcel": row.region,
            "method": method,
            "mean over moments": f"{row.saliency:.3g}",
            f"among the top {cfg.TOP_SHARE:.0%}": "yes" if row.top_in_region else "no",
        }
        for method, table in tables.items()
        for row in table.rename(columns={"mean": "saliency"}).itertuples()
    ]
    caption = (
        f"The {MOST_PARCELS} parcels with the largest saliency, or all where there are fewer; regions_<method>.tsv has all. "
        "Each parcel is a region of its own, so there are no random regions of its size and no p."
    )
    section.table(*as_table(rows), caption)
    section.figure(stage.folder / "regions.png", "Saliency of these parcels.")


if __name__ == "__main__":
    run_script(main)
