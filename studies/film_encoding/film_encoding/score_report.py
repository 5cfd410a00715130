"""Script 4's part of the report: what to read first, tables, figures."""

from dataclasses import dataclass
from pathlib import Path

from film_encoding.comparisons import FRAMES, VOXELS
from film_encoding.score_figures import SEEDS_FIGURE, VOXELS_FIGURE
from film_encoding.scoring import FROM_MEASURED, FROM_PREDICTED, MEAN_FRAME, RIDGE, RIDGE_ONE, is_ridge
from film_encoding.variants import MAIN
from film_encoding.wording import as_table, interval, model_name, number, over_what, p_text, with_interval
from neuroface.pipeline import Section

import numpy as np
import pandas as pd

GIVEN = {
    FROM_MEASURED: "from measured BOLD",
    FROM_PREDICTED: "through the network, as published",
    MEAN_FRAME: "the mean of the training frames",
}
SCORES = {
    "r": "r",
    "two_way": "identified",
    "pixel_r": "pixel r",
    "psnr_db": "PSNR (dB)",
    "ssim": "SSIM (in the network's loss)",
}
OF_THESE = " (intervals are of these networks; another seed may differ by more)"
WORDS = {"better": "better", "worse": "worse", "not different": "no clear difference"}
OF_VOXELS = (
    "Voxels from frames. r: mean over voxels of Pearson's r, films z-scored. Intervals, 95 %: jackknife over blocks of "
    "time, Student's t, and over seeds where there are several. Null: mean r over different circular shifts, and p, a "
    "count of them. FDR: p of single voxels by Student's t with the null's own SD. Error: mean squared error by that of "
    "the mean volume; above 1 the mean volume is better. Identified: the seen moment against another one (chance 0.5), and "
    "among the best k of all. Published on a film never seen (Emo-FilM, other data): r = 0.203, encoder alone 0.139."
)
OF_FRAMES = (
    "Frames from voxels. Only “from measured BOLD” passes through a brain; “through the network” goes from frames to "
    "predicted voxels and back. Identified: the seen moment against another one, chance 0.5. SSIM of values clipped to "
    "0 … 1; stretched: of images from their darkest to their brightest value. Null: mean SSIM over different circular "
    "shifts, and p. Published on a film never seen: SSIM = 0.320, through the network."
)
OF_EFFECT = (
    "What the decoder does to the encoder as its regulariser: mean r over voxels. Trainings from the same seed are pairs. "
    "Published: +0.063, without an interval."
)
OF_DIFFERENCES = (
    "The network less each rival, on the same moments. All learned from the same chunks; ridge regression chose its penalty "
    "in blocks of these, the network its epoch on inner chunks. SSIM is in the network's loss, and ridge regression "
    "minimises the squared error, which PSNR measures; identification and pixel r are in no loss. The interval says "
    "whether a difference is clear; rows are not corrected for their number."
)
OF_PEOPLE = (
    "Single people: mean r over voxels and people. Intervals are over people and over blocks of time, because all people "
    "saw the same moments."
)


@dataclass(frozen=True)
class Scores:
    """What script 4 found: tables of voxels and frames, differences from rivals, the effect of the decoder, r over single
    people (may be empty), and fold → feature space → weight.
    """

    voxels: pd.DataFrame
    frames: pd.DataFrame
    comparison: pd.DataFrame
    regulariser: list[dict]
    people: pd.DataFrame
    shares: dict[str, dict[str, float]]


def describe(folder: Path, found: Scores, cfg) -> Section:
    headline = headline_of(found.voxels)
    where = here(found.comparison, headline)
    lead = (
        f"{headline.test_set.capitalize()}, {headline.split} split: {voxel_verdict(where, cfg)} {frame_verdict(where)}"
    )
    section = Section("Scores", " ".join([lead, effect_of_decoder(found.regulariser)]))
    section.numbers(cards(headline, where, here(found.frames, headline), cfg))
    section.table(*as_table(difference_rows(found.comparison, cfg)), OF_DIFFERENCES)
    section.table(*as_table(voxel_rows(found.voxels, cfg)), OF_VOXELS)
    section.figure(
        folder / VOXELS_FIGURE,
        "Mean r of all models; orange: ridge regression. Bars: 95 % intervals. Grey: the null. Dashed: the noise ceiling, "
        "the largest r that any model can reach.",
    )
    section.table(*as_table(frame_rows(found.frames, cfg)), OF_FRAMES)
    if len(found.people):
        section.table(*as_table(people_rows(found.people, cfg)), OF_PEOPLE)
    if found.regulariser:
        section.table(*as_table(effect_rows(found.regulariser)), OF_EFFECT)
    if (folder / SEEDS_FIGURE).exists():
        section.figure(folder / SEEDS_FIGURE, "The same, seed by seed; lines join trainings from the same seed.")
    bands = [{"fold": fold} | {name: f"{share:.2f}" for name, share in of.items()} for fold, of in found.shares.items()]
    name = model_name(RIDGE, cfg)
    section.table(*as_table(bands), f"Mean weight of each feature space in {name}.")
    return section


def headline_of(voxels: pd.DataFrame) -> pd.Series:
    """The strictest test of the network: the last split's films that it never trained on."""
    rows = voxels[voxels["model"] == MAIN]
    unseen = rows[rows["test_set"] == "unseen film"]
    return (unseen if len(unseen) else rows).iloc[-1]


def here(table: pd.DataFrame, headline: pd.Series) -> pd.DataFrame:
    return table[(table["split"] == headline.split) & (table["test_set"] == headline.test_set)]


def voxel_verdict(rows: pd.DataFrame, cfg) -> str:
    """r of the network less that of both ridge regressions, the one with its own chunk first."""
    parts = []
    for rival in (RIDGE_ONE, RIDGE):
        row = rows[(rows["of"] == VOXELS) & (rows["score"] == "r") & (rows["rival"] == rival)].iloc[0]
        parts.append(f"{model_name(rival, cfg)} {difference(row)}")
    return (
        f"r of the network's voxels less that of {'; of '.join(parts)}; over {over_what(row.n_blocks, row.n_seeds)}"
        f"{OF_THESE if row.n_seeds == 1 else ''}."
    )


def frame_verdict(rows: pd.DataFrame) -> str:
    """Frames from measured BOLD against ridge regression on four measures, identification first."""
    rows = rows[(rows["of"] == FRAMES) & (rows["rival"] == RIDGE)]
    parts = [f"{SCORES[row.score]} {difference(row)}" for _, row in rows.iterrows()]
    found = set(rows["network_is"])
    if found == {"better"}:
        whole = "The network beats ridge regression on all four measures."
    elif found == {"worse"}:
        whole = "Ridge regression beats the network on all four measures."
    else:
        whole = "The measures do not agree on a winner." if len(found) > 1 else "No measure shows a clear difference."
    return f"Frames from measured BOLD, the network less ridge regression: {'; '.join(parts)}. {whole}"


def difference(row) -> str:
    """Size of a difference, its interval, and what that says."""
    return f"{row.difference:+.3f} {interval(row.low, row.high, sign='+')} ({WORDS[row.network_is]})"


def effect_of_decoder(regulariser: list[dict]) -> str:
    if not regulariser:
        return ""
    row = regulariser[-1]
    low, high = row["interval"]
    what = "raises" if low > 0 else "lowers" if high < 0 else "does not clearly change"
    return (
        f"The decoder as regulariser {what} the encoder's r on the {row['split']} split, {row['test_set']} "
        f"({row['effect']:+.3f} {interval(low, high, sign='+')} over {over_what(row['n_blocks'], row['n_seeds'])})."
    )


def cards(headline: pd.Series, comparison: pd.DataFrame, frames: pd.DataFrame, cfg) -> dict[str, str]:
    """The numbers to read first: the network beside its closest rival, then frames from measured BOLD."""
    of_r = comparison[(comparison["of"] == VOXELS) & (comparison["score"] == "r")].set_index("rival")
    same = of_r.loc[RIDGE_ONE]
    made = frames[(frames["model"] == MAIN) & (frames["given"] == FROM_MEASURED)].iloc[0]
    mean = comparison[(comparison["of"] == FRAMES) & (comparison["rival"] == MEAN_FRAME)].set_index("score")
    return {
        f"r, {headline.split} split, {headline.test_set}, {headline.n_blocks} blocks": with_interval(headline, "r"),
        f"r less {model_name(RIDGE_ONE, cfg)}": f"{same.difference:+.3f} {interval(same.low, same.high, sign='+')}",
        "r / noise ceiling": number(headline.r_of_ceiling),
        "frames identified from measured BOLD (chance 0.5)": with_interval(made, "two_way"),
        "pixel r less the mean frame's": (
            f"{mean.loc['pixel_r'].difference:+.3f} {interval(mean.loc['pixel_r'].low, mean.loc['pixel_r'].high, sign='+')}"
        ),
    }


def difference_rows(comparison: pd.DataFrame, cfg) -> list[dict[str, str]]:
    return [
        {
            "split": row.split,
            "test set": row.test_set,
            "of": row.of if row.of == VOXELS else "frames from measured BOLD",
            "score": SCORES[row.score],
            "network": number(row.network),
            "rival": model_name(row.rival, cfg) if row.of == VOXELS else frame_model(row.rival),
            "its score": number(row.of_rival),
            "difference [95 %]": f"{row.difference:+.3f} {interval(row.low, row.high, sign='+')}",
            "over": over_what(row.n_blocks, row.n_seeds),
            "the network is": WORDS[row.network_is],
        }
        for row in comparison.itertuples()
    ]


def voxel_rows(voxels: pd.DataFrame, cfg) -> list[dict[str, str]]:
    """The table of voxels, rounded: column → cell of each row."""
    return [
        {
            "model": model_name(row.model, cfg),
            "split": row.split,
            "test set": row.test_set,
            "r [95 %]": with_interval(row, "r"),
            "over": over_what(row.n_blocks, row.n_seeds),
            "null": number(row.r_null),
            "p": p_text(row.p, row.p_smallest),
            "voxels p < 0.05 (FDR)": significant(row),
            "ceiling": number(row.ceiling),
            "r / ceiling": number(row.r_of_ceiling),
            "error": number(row.mse_over_mean_volume),
            "identified (2) [95 %]": with_interval(row, "two_way"),
        }
        | {f"top {k} (chance)": f"{row[f'top_{k}']:.3f} ({row[f'chance_{k}']:.3f})" for k in cfg.TOP_K}
        for _, row in voxels.iterrows()
    ]


def significant(row) -> str:
    """Share of voxels that pass the FDR; none is claimed where too few shifts are possible."""
    if pd.isna(row.significant_share):
        return "not tested: too few shifts"
    return f"{row.significant_share:.0%} of {row.n_voxels:,}"


def frame_model(model: str) -> str:
    """Name of a model that makes frames; ridge regression makes them from one volume, without delays."""
    return model.replace(RIDGE, "ridge from voxels") if is_ridge(model) else model


def frame_rows(frames: pd.DataFrame, cfg) -> list[dict[str, str]]:
    """The table of frames, rounded: column → cell of each row."""
    return [
        {
            "model": MEAN_FRAME if row.given == MEAN_FRAME else frame_model(row.model),
            "given": GIVEN[row.given],
            "split": row.split,
            "test set": row.test_set,
            "identified (2) [95 %]": "0.500" if pd.isna(row.two_way) else with_interval(row, "two_way"),
            "pixel r [95 %]": with_interval(row, "pixel_r"),
            "PSNR dB [95 %]": with_interval(row, "psnr_db", 1),
            "SSIM [95 %]": with_interval(row, "ssim"),
            "over": over_what(row.n_blocks, row.n_seeds),
            "stretched": number(row.ssim_stretched),
            "null": number(row.ssim_null),
            "p": p_text(row.ssim_p, row.ssim_p_smallest),
        }
        for _, row in frames.iterrows()
    ]


def effect_rows(regulariser: list[dict]) -> list[dict[str, str]]:
    return [
        {
            "test set": f"{row['split']}, {row['test_set']}",
            "with decoder": f"{np.mean(row['network']):.3f}",
            "encoder alone": f"{np.mean(row['encoder']):.3f}",
            "effect [95 %]": f"{row['effect']:+.3f} {interval(*row['interval'], sign='+')}",
            "over": over_what(row["n_blocks"], row["n_seeds"]),
            "SD over seeds": number(row["sd_over_seeds"]),
        }
        for row in regulariser
    ]


def people_rows(people: pd.DataFrame, cfg) -> list[dict[str, str]]:
    return [
        {
            "split": row.split,
            "test set": row.test_set,
            "model": " − ".join(model_name(name, cfg) for name in row.model.split(" − ")),
            "mean r [95 %]": f"{row.r:+.3f} {interval(row.low, row.high, sign='+')}",
            "over": f"{row.n_people} people and {row.n_blocks} blocks",
            "SD over people": number(row.sd_over_people),
            "people above 0": f"{row.people_above_0} of {row.n_people}",
        }
        for row in people.itertuples()
    ]
