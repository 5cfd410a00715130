"""Script 6's checks, its figure, and its part of the report."""

from pathlib import Path

from neuroface.pipeline import Section, save_figure
from seen_images.decoder_tables import word_of
from seen_images.latents import drawn_name, targets_of
from seen_images.tsv import read_tsv, with_interval

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.metrics import roc_auc_score

ALIKE = 0.05  # ratios within this of 1 say that no region stands out
# In the demo: target, direction, what the voxels answer to that it must be found in, and what those
# it is compared with.
PLANTED = (
    ("image", "seen", ("orientation", "colour"), ("none",)),
    ("image", "colour", ("colour",), ("none",)),
    ("image", "colour", ("colour",), ("orientation", "none")),
    ("text", "colour", ("colour",), ("shape", "background", "none")),
    ("text", "shape", ("shape",), ("colour", "background", "none")),
)


def checks_of(folder: Path, units: list[tuple[str, str]], voxels: pd.DataFrame, cfg) -> dict:
    """Completeness of each target and direction and, in the demo, how well the attributions find what was planted.

    ``gap`` is the median over images of what the attributions miss, relative to the size of the
    gain.
    """
    checks: dict[str, object] = {
        "planted": planted(units, voxels, cfg) if cfg.DATASET == "demo" else []
    }
    for unit in units:
        gaps = read_tsv(folder / f"{'_'.join(unit)}.tsv").dropna()
        gap = float((gaps["gap"] / gaps["gain"]).abs().median())
        checks["_".join(unit)] = {"images": len(gaps), "gap": gap}
    return checks


def planted(units: list[tuple[str, str]], voxels: pd.DataFrame, cfg) -> list[dict]:
    """Area under the ROC by which mean absolute attributions tell the voxels of an attribute from others."""
    truth, rows = read_tsv(Path(cfg.DATASET_DIR) / "truth" / "voxels.tsv"), []
    if "subject" in truth:
        truth = truth[truth["subject"] == cfg.SUBJECT]
    answers = truth["answers_to"].to_numpy()
    for target, direction, wanted, others in PLANTED:
        if (target, direction) in units:
            column = f"{target}_{direction}_absolute"
            used = voxels.dropna(subset=[column])
            kinds = answers[used["voxel"]]
            compared = np.isin(kinds, wanted + others)
            area = roc_auc_score(np.isin(kinds[compared], wanted), used[column][compared])
            row = {
                "target": target,
                "direction": direction,
                "planted": wanted,
                "compared_with": others,
            }
            rows.append(row | {"auc": float(area)})
    return rows


def shares(voxels: pd.DataFrame, unit: tuple[str, str]) -> pd.DataFrame:
    """Per region: share of the absolute attribution, share of the voxels, and their ratio."""
    column = f"{'_'.join(unit)}_absolute"
    groups = voxels.dropna(subset=[column]).groupby("roi", sort=False)[column]
    table = pd.DataFrame(
        {"share": groups.sum() / groups.sum().sum(), "voxels": groups.size() / groups.size().sum()}
    )
    return table.assign(ratio=table["share"] / table["voxels"])


def rows_of_shares(unit: tuple[str, str], table: pd.DataFrame) -> list[tuple[str, ...]]:
    """A row per region; one row for all of them if no region has more or less than its share of the voxels."""
    if len(table) > 1 and (table["ratio"] - 1).abs().max() <= ALIKE:
        ratios = f"{table['ratio'].min():.2f} to {table['ratio'].max():.2f}"
        return [(*unit, f"all: {', '.join(table.index)}", "100.0%", "100.0%", ratios)]
    return [
        (*unit, roi, f"{row['share']:.1%}", f"{row['voxels']:.1%}", f"{row['ratio']:.2f}")
        for roi, row in table.iterrows()
    ]


def describe_attributions(
    folder: Path, units, voxels: pd.DataFrame, left_out: pd.DataFrame, checks: dict, cfg
) -> Section:
    section = Section(
        "Attributions",
        "Integrated Gradients from the training mean to each test pattern. Decoders: "
        + ", ".join(f"{target} {word_of(drawn_name(target, cfg))}" for target in targets_of(cfg))
        + ". They show what the decoder uses, not what the brain needs.",
    )
    if checks["planted"]:
        section.table(
            [
                "target",
                "direction",
                "voxels that respond to",
                "against voxels that respond to",
                "area under the ROC",
            ],
            [
                (
                    r["target"],
                    r["direction"],
                    ", ".join(r["planted"]),
                    ", ".join(r["compared_with"]),
                    f"{r['auc']:.3f}",
                )
                for r in checks["planted"]
            ],
            "What was planted in the demo, and how well mean absolute attributions find it; 0.5 is chance. Where the "
            "shape is, which orientation tells, also serves to decode its colour in the image latents.",
        )
    rows = [row for unit in units for row in rows_of_shares(unit, shares(voxels, unit))]
    section.table(
        ["target", "direction", "region", "share of absolute attribution", "share of voxels", "ratio"], rows,
        "Regions. Direction “seen”: how far the decoded latents point to the picture that was seen; other "
        "directions: to the picture's value of that attribute. A ratio above 1: more than as many voxels would have "
        f"if all were alike. Regions of one target and direction whose ratios are all within {ALIKE:.0%} of 1 are one row.",
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
        "Two-way identification of the decoded latents with a region's voxels at their training mean; the decoder "
        "is not fitted anew. 95 % intervals over test images.",
    )
    check_of = {unit: checks["_".join(unit)] for unit in units}
    gaps = [
        (": ".join(unit), check["images"], f"{check['gap']:.2e}")
        for unit, check in check_of.items()
    ]
    section.table(
        ["target: direction", "images", "median gap"],
        gaps,
        "Completeness: what the attributions miss of the gain they must sum to",
    )
    draw_regions(folder, units, voxels)
    section.first.figure(
        folder / "regions.png",
        "Regions that the decoder uses: absolute attribution relative to the share of voxels; 1 (dashed): all alike.",
    )
    section.figure(
        folder / "regions.png",
        "Absolute attribution per region relative to its share of voxels; 1 (dashed): all voxels alike.",
    )
    return section


def draw_regions(folder: Path, units, voxels: pd.DataFrame) -> None:
    figure, axes = plt.subplots(
        1, len(units), figsize=(2.2 * len(units), 2.6), layout="constrained", squeeze=False
    )
    for axis, unit in zip(axes[0], units):
        table = shares(voxels, unit)
        axis.bar(np.arange(len(table)), table["ratio"], color="#2b5f8a")
        axis.axhline(1, color="#8a94a0", ls="--", lw=1)
        axis.set_xticks(
            np.arange(len(table)), table.index, fontsize=8, rotation=90 if len(table) > 6 else 0
        )
        axis.set_title(": ".join(unit), fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("share of attribution / of voxels")
    save_figure(figure, folder / "regions.png")
