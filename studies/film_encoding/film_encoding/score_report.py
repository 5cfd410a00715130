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
    headline = voxels.query("model == @MAIN").iloc[-1]
    shown = frames.query("model == @MAIN and split == @headline.split and test_set == @headline.test_set").set_index(
        "given"
    )
    section.numbers(
        {f"r, {headline.split}: {headline.test_set}": f"{headline.r:.3f} [{headline.r_low:.3f}, {headline.r_high:.3f}]"}
        | {"r of the shuffled null": f"{headline.r_null:.3f}", "noise ceiling": number(headline.ceiling)}
        | {
            "r / ceiling": number(headline.r_of_ceiling),
            "SSIM from measured BOLD": number(shown.ssim.get(FROM_MEASURED)),
        }
        | {"SSIM of the mean frame": number(shown.ssim.get(MEAN_FRAME))}
    )
    section.table(*voxel_rows(voxels, cfg), "Voxels from frames. r: mean over voxels of Pearson's r, films z-scored, with the 95 % interval over "
                  f"blocks of {cfg.BLOCK_S:g} s; null: mean r over circular shifts by at least {cfg.MIN_SHIFT_S:g} s, and p. Error: mean squared "
                  "error by that of the mean volume. Identified: the seen moment against another one, chance 0.5, and among the best k of all.")  # fmt: skip
    section.figure(
        folder / "voxels.png",
        "Mean r of all models. Bars: 95 % intervals. Dashed: the noise ceiling, the largest r that any model can reach.",
    )
    section.table(*frame_rows(frames), "Frames from voxels. Only “from measured BOLD” passes through a brain: “through the network” goes from frames "
                  "to predicted voxels and back. SSIM of values clipped to 0 … 1, in brackets of images stretched from black to white; null: "
                  f"{cfg.N_IMAGE_SHIFTS} circular shifts.")  # fmt: skip
    if regulariser:
        section.table(
            ["test set", "seeds", "with decoder", "encoder alone", "effect [95 % over time]", "SD over seeds", "p over seeds"],
            [(f"{row['split']}: {row['test_set']}", row["n_seeds"], f"{np.mean(row['network']):.3f}", f"{np.mean(row['encoder']):.3f}",
              f"{row['effect']:+.3f} [{row['interval'][0]:+.3f}, {row['interval'][1]:+.3f}]", number(row["sd_over_seeds"]),
              number(row["p_seeds"])) for row in regulariser],
            "What the decoder does to the encoder as its regulariser: mean r over voxels. Published: +0.063.",
        )  # fmt: skip
        section.figure(folder / "seeds.png", "The same, seed by seed; lines join trainings from the same seed.")
    bands = [(fold, *(f"{value:.2f}" for value in of.values())) for fold, of in shares.items()]
    section.table(
        ["fold", *cfg.RIDGE_FEATURES],
        bands,
        f"Mean weight of each feature space in ridge regression (delays {cfg.RIDGE_DELAYS_TRS}).",
    )
    return section


def verdict(comparison: list[dict]) -> str:
    """Who wins on each test set, in sentences."""
    words = {"worse": "loses to", "better": "beats", "not different": "does not differ from"}
    said = [
        f"The network {words[row['network_is']]} ridge regression on {row['split']}: {row['test_set']} "
        f"({row['score']} {row['network']:.3f} against {row['ridge']:.3f}, 95 % interval of the difference {row['low']:+.3f} to {row['high']:+.3f})."
        for row in comparison
    ]
    return " ".join(said)


def effect_of_decoder(regulariser: list[dict]) -> str:
    if not regulariser:
        return ""
    row = regulariser[-1]
    low, high = row["interval"]
    what = "raises" if low > 0 else "lowers" if high < 0 else "does not clearly change"
    return (
        f"The decoder as regulariser {what} the encoder's r on {row['split']}: {row['test_set']} ({row['effect']:+.3f} over {row['n_seeds']} seeds, "
        f"95 % interval over time {low:+.3f} to {high:+.3f})."
    )


def voxel_rows(voxels: pd.DataFrame, cfg) -> tuple[list[str], list[tuple]]:
    columns = ["model", "test set", "r [95 %]", "null", "p", "voxels p < 0.05 (FDR)", "ceiling", "r / ceiling", "error", "identified (2)",
               *(f"top {k} (chance)" for k in cfg.TOP_K)]  # fmt: skip
    rows = [
        (row.model, f"{row.split}: {row.test_set}", f"{row.r:.3f} [{row.r_low:.3f}, {row.r_high:.3f}]", f"{row.r_null:.3f}", f"{row.p:.3f}",
         f"{row.significant_share:.0%} of {row.n_voxels:,}", number(row.ceiling), number(row.r_of_ceiling), f"{row.mse_over_mean_volume:.3f}",
         f"{row.two_way:.3f}", *(f"{row[f'top_{k}']:.3f} ({row[f'chance_{k}']:.3f})" for k in cfg.TOP_K))
        for _, row in voxels.iterrows()
    ]  # fmt: skip
    return columns, rows


def frame_rows(frames: pd.DataFrame) -> tuple[list[str], list[tuple]]:
    columns = [
        "model",
        "given",
        "test set",
        "SSIM [95 %]",
        "(stretched)",
        "null",
        "p",
        "PSNR dB",
        "pixel r",
        "identified (2)",
    ]
    rows = [
        (row.model if row.given != MEAN_FRAME else "mean frame", GIVEN[row.given], f"{row.split}: {row.test_set}",
         f"{row.ssim:.3f} [{row.ssim_low:.3f}, {row.ssim_high:.3f}]", f"({row.ssim_stretched:.3f})", f"{row.ssim_null:.3f}", f"{row.ssim_p:.3f}",
         f"{row.psnr_db:.1f}", f"{row.pixel_r:.3f}", number(row.two_way))
        for row in frames.itertuples()
    ]  # fmt: skip
    return columns, rows


def number(value) -> str:
    return "" if value is None or pd.isna(value) else f"{value:.3f}"


def draw_scores(folder: Path, voxels: pd.DataFrame, seeds: pd.DataFrame) -> None:
    """voxels.png: r of all models on each test set; seeds.png: network and encoder alone from the same seeds."""
    sets = list(dict.fromkeys(zip(voxels["split"], voxels["test_set"])))
    models = list(dict.fromkeys(voxels["model"]))
    figure, axes = plt.subplots(
        1,
        len(sets),
        figsize=(1.2 + 2.9 * len(sets), 1.2 + 0.32 * len(models)),
        layout="constrained",
        sharey=True,
        squeeze=False,
    )
    for axis, (split, test_set) in zip(axes[0], sets):
        part = voxels.query("split == @split and test_set == @test_set").set_index("model")
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
    both = seeds[seeds["model"].isin([MAIN, ENCODER])]
    repeated = [
        part
        for _, part in both.groupby(["split", "test_set"], sort=False)
        if part["model"].nunique() == 2 and part["seed"].max() > 1
    ]
    if repeated:
        figure, axes = plt.subplots(
            1, len(repeated), figsize=(2.8 * len(repeated), 2.8), layout="constrained", squeeze=False
        )
        for axis, part in zip(axes[0], repeated):
            wide = part.pivot(index="seed", columns="model", values="r")[[ENCODER, MAIN]]
            axis.plot(["encoder alone", "with decoder"], wide.to_numpy().T, "o-", color="C0", alpha=0.7)
            axis.set(
                title=f"{part['split'].iloc[0]}: {part['test_set'].iloc[0]}",
                ylabel="mean r over voxels",
                xlim=(-0.3, 1.3),
            )
        save_figure(figure, folder / "seeds.png")
