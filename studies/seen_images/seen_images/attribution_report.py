"""Script 6's checks, its figure, and its part of the report."""

from pathlib import Path

from neuroface.pipeline import Section, save_figure
from seen_images.latents import drawn_name
from seen_images.tables import read_tsv, with_interval

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.metrics import roc_auc_score

# In the demo: target and direction → what the voxels answer to that it must be found in.
PLANTED = {("image", "colour"): "colour", ("text", "colour"): "colour", ("text", "shape"): "shape"}


def checks_of(folder: Path, units: list[tuple[str, str]], voxels: pd.DataFrame, cfg) -> dict:
    """Per target and direction: completeness and, in the demo, how well the attributions find what was planted.

    ``gap`` is the median over images of what the attributions miss, relative to the size of the gain. ``planted_auc`` is the
    area under the ROC of each voxel's mean absolute attribution against the voxels that answer to the attribute.
    """
    checks, truth = {}, Path(cfg.DATASET_DIR) / "truth" / "voxels.tsv"
    for unit in units:
        gaps = read_tsv(folder / f"{'_'.join(unit)}.tsv").dropna()
        found = {"images": len(gaps), "gap": float((gaps["gap"] / gaps["gain"]).abs().median())}
        if unit in PLANTED and cfg.DATASET == "demo":
            column = f"{'_'.join(unit)}_absolute"
            used = voxels.dropna(subset=[column])
            answers = read_tsv(truth)["answers_to"].to_numpy()[used["voxel"]]
            found["planted_auc"] = float(roc_auc_score(answers == PLANTED[unit], used[column]))
        checks["_".join(unit)] = found
    return checks


def shares(voxels: pd.DataFrame, unit: tuple[str, str]) -> pd.DataFrame:
    """Per region: share of the absolute attribution, share of the voxels, and their ratio."""
    column = f"{'_'.join(unit)}_absolute"
    groups = voxels.dropna(subset=[column]).groupby("roi", sort=False)[column]
    table = pd.DataFrame({"share": groups.sum() / groups.sum().sum(), "voxels": groups.size() / groups.size().sum()})
    return table.assign(ratio=table["share"] / table["voxels"])


def describe(folder: Path, units, voxels: pd.DataFrame, left_out: pd.DataFrame, checks: dict, cfg) -> Section:
    section = Section(
        "Attributions",
        "Integrated Gradients from the training mean to each test pattern, of the image decoder "
        f"{drawn_name('image', cfg)} and the "
        f"text decoder {drawn_name('text', cfg)}. They show what the decoder uses, not what the brain needs.",
    )
    planted = {
        name.replace("_", ": "): f"{found['planted_auc']:.3f}"
        for name, found in checks.items()
        if "planted_auc" in found
    }
    if planted:
        section.numbers({f"{name}, area under the ROC": value for name, value in planted.items()})
    rows = []
    for unit in units:
        for roi, row in shares(voxels, unit).iterrows():
            rows.append((*unit, roi, f"{row['share']:.1%}", f"{row['voxels']:.1%}", f"{row['ratio']:.2f}"))
    section.table(
        ["target", "direction", "region", "share of absolute attribution", "share of voxels", "ratio"], rows,
        "Regions. Direction “seen”: how far the decoded latents point to the picture that was seen; other "
        "directions: to the "
        "picture's value of that attribute. A ratio above 1: more than as many voxels would have if all were alike.",
    )  # fmt: skip
    section.table(
        ["target", "region left out", "two-way identification", "change"],
        [
            (
                r.target,
                r.roi_left_out,
                with_interval(r.identification, r.low, r.high),
                with_interval(r.change, r.change_low, r.change_high, "+.3f"),
            )
            for r in left_out.itertuples()
        ],
        "Two-way identification of the decoded latents with a region's voxels at their training mean; the decoder is "
        "not fitted anew. "
        "95 % intervals over test images.",
    )
    gaps = [(name.replace("_", ": "), found["images"], f"{found['gap']:.2e}") for name, found in checks.items()]
    section.table(
        ["target: direction", "images", "median gap"],
        gaps,
        "Completeness: what the attributions miss of the gain they must sum to",
    )
    draw_regions(folder, units, voxels)
    section.figure(
        folder / "regions.png",
        "Absolute attribution per region relative to its share of voxels; 1 (dashed): all voxels alike.",
    )
    return section


def draw_regions(folder: Path, units, voxels: pd.DataFrame) -> None:
    figure, axes = plt.subplots(1, len(units), figsize=(2.2 * len(units), 2.6), layout="constrained", squeeze=False)
    for axis, unit in zip(axes[0], units):
        table = shares(voxels, unit)
        axis.bar(np.arange(len(table)), table["ratio"], color="#2b5f8a")
        axis.axhline(1, color="#8a94a0", ls="--", lw=1)
        axis.set_xticks(np.arange(len(table)), table.index, fontsize=8, rotation=90 if len(table) > 6 else 0)
        axis.set_title(": ".join(unit), fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("share of attribution / of voxels")
    save_figure(figure, folder / "regions.png")
