"""Script 4's part of the report: tables, figures, and sentences that say who wins."""

from pathlib import Path

from film_encoding.scoring import FROM_MEASURED, FROM_PREDICTED, MEAN_FRAME, RIDGES
from film_encoding.variants import ENCODER, MAIN
from neuroface.pipeline import Section, save_figure

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

GIVEN = {
    FROM_MEASURED: "from measured BOLD",
    FROM_PREDICTED: "through the network, as published",
    MEAN_FRAME: "the mean of the training frames",
}
PUBLISHED = (
    "Published on a film never seen (Emo-FilM): r = 0.203, encoder alone 0.139; SSIM = 0.320, through the network."
)
OF_VOXELS = (
    "Voxels from frames. r: mean over voxels of Pearson's r, films z-scored, with the 95 % interval over blocks of time. "
    "Null: mean r over circular shifts, and p. Error: mean squared error by that of the mean volume; above 1 the mean "
    "volume is better. Identified: the seen moment against another one (chance 0.5), and among the best k of all."
)
OF_FRAMES = (
    "Frames from voxels. Only “from measured BOLD” passes through a brain; “through the network” goes from frames to "
    "predicted voxels and back. SSIM of values clipped to 0 … 1; stretched: of images from their darkest to their "
    "brightest value. Null: mean SSIM over circular shifts, and p."
)
OF_EFFECT = "What the decoder does to the encoder as its regulariser: mean r over voxels. Published: +0.063."


def describe(
    folder: Path,
    voxels: pd.DataFrame,
    frames: pd.DataFrame,
    regulariser: list[dict],
    comparison: list[dict],
    shares: dict,
    cfg,
) -> Section:
    section = Section("Scores", " ".join([verdict(comparison), effect_of_decoder(regulariser), PUBLISHED]))
    headline = voxels[voxels["model"] == MAIN].iloc[-1]
    same = (frames["split"] == headline.split) & (frames["test_set"] == headline.test_set)
    ssim = frames[same & (frames["model"] == MAIN)].set_index("given")["ssim"]
    section.numbers(
        {
            f"r, {headline.split} split, {headline.test_set}": with_interval(headline, "r"),
            "r of the shuffled null": number(headline.r_null),
            "noise ceiling": number(headline.ceiling),
            "r / ceiling": number(headline.r_of_ceiling),
            "SSIM from measured BOLD": number(ssim.get(FROM_MEASURED)),
            "SSIM of the mean frame": number(ssim.get(MEAN_FRAME)),
        }
    )
    section.table(*as_table(voxel_rows(voxels, cfg)), OF_VOXELS)
    section.figure(
        folder / "voxels.png",
        "Mean r of all models; orange: ridge regression. Bars: 95 % intervals. Grey: the null. Dashed: the noise ceiling, "
        "the largest r that any model can reach.",
    )
    section.table(*as_table(frame_rows(frames)), OF_FRAMES)
    if regulariser:
        section.table(*as_table(effect_rows(regulariser)), OF_EFFECT)
    if (folder / "seeds.png").exists():
        section.figure(folder / "seeds.png", "The same, seed by seed; lines join trainings from the same seed.")
    bands = [{"fold": fold} | {name: f"{share:.2f}" for name, share in of.items()} for fold, of in shares.items()]
    section.table(*as_table(bands), "Mean weight of each feature space in ridge regression.")
    return section


def verdict(comparison: list[dict]) -> str:
    """Who wins on each test set, in sentences."""
    words = {"worse": "loses to", "better": "beats", "not different": "does not differ from"}
    return " ".join(
        f"The network {words[row['network_is']]} ridge regression on the {row['split']} split, {row['test_set']} "
        f"({row['score']} {row['network']:.3f} against {row['ridge']:.3f}, 95 % interval of the difference "
        f"{row['low']:+.3f} to {row['high']:+.3f})."
        for row in comparison
    )


def effect_of_decoder(regulariser: list[dict]) -> str:
    if not regulariser:
        return ""
    row = regulariser[-1]
    low, high = row["interval"]
    what = "raises" if low > 0 else "lowers" if high < 0 else "does not clearly change"
    return (
        f"The decoder as regulariser {what} the encoder's r on the {row['split']} split, {row['test_set']} "
        f"({row['effect']:+.3f} over {row['n_seeds']} seeds, 95 % interval over time {low:+.3f} to {high:+.3f})."
    )


def voxel_rows(voxels: pd.DataFrame, cfg) -> list[dict[str, str]]:
    """The table of voxels, rounded: column → cell of each row."""
    return [
        {
            "model": row.model,
            "split": row.split,
            "test set": row.test_set,
            "r [95 %]": with_interval(row, "r"),
            "null": number(row.r_null),
            "p": number(row.p),
            "voxels p < 0.05 (FDR)": f"{row.significant_share:.0%} of {row.n_voxels:,}",
            "ceiling": number(row.ceiling),
            "r / ceiling": number(row.r_of_ceiling),
            "error": number(row.mse_over_mean_volume),
            "identified (2)": number(row.two_way),
        }
        | {f"top {k} (chance)": f"{row[f'top_{k}']:.3f} ({row[f'chance_{k}']:.3f})" for k in cfg.TOP_K}
        for _, row in voxels.iterrows()
    ]


def frame_rows(frames: pd.DataFrame) -> list[dict[str, str]]:
    """The table of frames, rounded: column → cell of each row."""
    return [
        {
            "model": row.model if row.given != MEAN_FRAME else MEAN_FRAME,
            "given": GIVEN[row.given],
            "split": row.split,
            "test set": row.test_set,
            "SSIM [95 %]": with_interval(row, "ssim"),
            "stretched": number(row.ssim_stretched),
            "null": number(row.ssim_null),
            "p": number(row.ssim_p),
            "PSNR dB": f"{row.psnr_db:.1f}",
            "pixel r": number(row.pixel_r),
            "identified (2)": number(row.two_way),
        }
        for _, row in frames.iterrows()
    ]


def effect_rows(regulariser: list[dict]) -> list[dict[str, str]]:
    return [
        {
            "test set": f"{row['split']}, {row['test_set']}",
            "seeds": str(row["n_seeds"]),
            "with decoder": f"{np.mean(row['network']):.3f}",
            "encoder alone": f"{np.mean(row['encoder']):.3f}",
            "effect [95 % over time]": f"{row['effect']:+.3f} [{row['interval'][0]:+.3f}, {row['interval'][1]:+.3f}]",
            "SD over seeds": number(row["sd_over_seeds"]),
            "p over seeds": number(row["p_seeds"]),
        }
        for row in regulariser
    ]


def as_table(rows: list[dict[str, str]]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows for :meth:`neuroface.pipeline.Section.table`."""
    return list(rows[0]), [list(row.values()) for row in rows]


def with_interval(row, name: str) -> str:
    return f"{row[name]:.3f} [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"


def number(value) -> str:
    return "" if value is None or pd.isna(value) else f"{value:.3f}"


def draw_scores(folder: Path, voxels: pd.DataFrame, seeds: pd.DataFrame) -> None:
    """voxels.png: r of all models on each test set; seeds.png: network and encoder alone from the same seeds."""
    sets, models = list(voxels.groupby(["split", "test_set"], sort=False)), list(dict.fromkeys(voxels["model"]))
    size = (1.2 + 2.9 * len(sets), 1.2 + 0.32 * len(models))
    figure, axes = plt.subplots(1, len(sets), figsize=size, layout="constrained", sharey=True, squeeze=False)
    for axis, ((split, test_set), part) in zip(axes[0], sets):
        part = part.set_index("model")
        place = [models.index(model) for model in part.index]
        colours = ["C1" if model in RIDGES else "C0" for model in part.index]
        axis.hlines(place, part["r_low"], part["r_high"], color=colours, lw=2)
        axis.scatter(part["r"], place, c=colours, zorder=3)
        axis.scatter(part["r_null"], place, c="0.6", marker="|", zorder=2)
        axis.axvline(0, color="0.8", lw=0.8, zorder=0)
        if part["ceiling"].notna().any():
            axis.axvline(part["ceiling"][MAIN], color="0.3", ls="--", lw=1)
        axis.set(
            title=f"{split}: {test_set}", xlabel="mean r over voxels", yticks=range(len(models)), yticklabels=models
        )
    axes[0, 0].invert_yaxis()
    save_figure(figure, folder / "voxels.png", also=(".pdf",))
    draw_seeds(folder, seeds[seeds["model"].isin([MAIN, ENCODER])])


def draw_seeds(folder: Path, seeds: pd.DataFrame) -> None:
    sets = [part for _, part in seeds.groupby(["split", "test_set"], sort=False)]
    sets = [part for part in sets if part["model"].nunique() == 2 and part["seed"].max() > 1]
    if not sets:
        return
    size = (2.8 * len(sets), 2.8)
    figure, axes = plt.subplots(1, len(sets), figsize=size, layout="constrained", squeeze=False)
    for axis, part in zip(axes[0], sets):
        wide = part.pivot(index="seed", columns="model", values="r")[[ENCODER, MAIN]]
        axis.plot(["encoder alone", "with decoder"], wide.to_numpy().T, "o-", color="C0", alpha=0.7)
        title = f"{part['split'].iloc[0]}: {part['test_set'].iloc[0]}"
        axis.set(title=title, ylabel="mean r over voxels", xlim=(-0.3, 1.3))
    save_figure(figure, folder / "seeds.png")
