"""Script 4's part of the report: what to read first, and which tables and figures follow."""

from dataclasses import dataclass
from pathlib import Path

from film_encoding.comparisons import FRAMES, VOXELS
from film_encoding.correlations import ALPHA
from film_encoding.score_figures import SEEDS_FIGURE, VOXELS_FIGURE
from film_encoding.score_tables import (
    OF_EFFECT,
    OF_FRAMES,
    OF_IDENTIFICATION,
    OF_ORDER,
    OF_PEOPLE,
    OF_VOXELS,
    SCORES,
    WORDS,
    difference_rows,
    effect_rows,
    frame_rows,
    identification_rows,
    of_differences,
    order_gain,
    order_rows,
    people_rows,
    voxel_rows,
)
from film_encoding.scoring import FROM_MEASURED, MEAN_FRAME, RIDGE, RIDGE_ONE
from film_encoding.variants import LAGS, MAIN
from film_encoding.wording import (
    as_table,
    interval,
    model_name,
    number,
    over_what,
    p_text,
    with_interval,
)
from neuroface.pipeline import Section

import pandas as pd

OF_THESE = " (intervals are of these networks; another seed may differ by more)"


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


def describe_scores(folder: Path, scores: Scores, cfg) -> Section:
    headline = headline_of(scores.voxels)
    where = here(scores.comparison, headline)
    made = measured_frames(here(scores.frames, headline))
    verdicts = [
        voxel_verdict(where, cfg),
        identification_verdict(made),
        frame_verdict(where),
        order_verdict(made),
    ]
    lead = f"{headline.test_set.capitalize()}, {headline.split} split: {' '.join(verdicts)}"
    section = Section("Scores", " ".join([lead, effect_of_decoder(scores.regulariser)]))
    numbers = cards(headline, where, here(scores.frames, headline), cfg)
    section.numbers(numbers)
    section.first.text(lead)
    section.first.numbers(numbers)
    section.table(*as_table(difference_rows(scores.comparison, cfg)), of_differences(cfg))
    section.table(*as_table(voxel_rows(scores.voxels, cfg)), OF_VOXELS)
    section.figure(
        folder / VOXELS_FIGURE,
        "Mean r of all models; orange: ridge regression. Bars: 95 % intervals. Grey: the null. Dashed: the noise ceiling, "
        "the largest r that any model can reach.",
    )
    section.table(*as_table(identification_rows(scores.frames, cfg)), OF_IDENTIFICATION)
    section.table(*as_table(frame_rows(scores.frames, cfg)), OF_FRAMES)
    section.table(*as_table(order_rows(scores.frames)), OF_ORDER)
    if len(scores.people):
        section.table(*as_table(people_rows(scores.people, cfg)), OF_PEOPLE)
    if scores.regulariser:
        section.table(*as_table(effect_rows(scores.regulariser)), OF_EFFECT)
    if (folder / SEEDS_FIGURE).exists():
        section.figure(
            folder / SEEDS_FIGURE,
            "The same, seed by seed; lines join trainings from the same seed.",
        )
    bands = [
        {"fold": fold} | {name: f"{share:.2f}" for name, share in of.items()}
        for fold, of in scores.shares.items()
    ]
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
    """r of networks less that of ridge regression: both with delays first, then both with one chunk; last the network
    with one chunk less ridge regression with delays.
    """
    r = rows[(rows["of"] == VOXELS) & (rows["score"] == "r")]
    is_lagged = r["model"].str.startswith(LAGS)
    pairs = [r[is_lagged], *(r[~is_lagged & (r["rival"] == rival)] for rival in (RIDGE_ONE, RIDGE))]
    parts = [
        f"{model_name(row.model, cfg)} less {model_name(row.rival, cfg)} {difference(row)}"
        for _, row in pd.concat(pairs).iterrows()
    ]
    last = r.iloc[-1]
    return (
        f"r over voxels: {'; '.join(parts)}; over {over_what(last.n_blocks, last.n_seeds)}"
        f"{OF_THESE if last.n_seeds == 1 else ''}."
    )


def measured_frames(frames: pd.DataFrame) -> pd.Series:
    """The row of the network's frames from measured BOLD."""
    return frames[(frames["model"] == MAIN) & (frames["given"] == FROM_MEASURED)].iloc[0]


def identification_verdict(row: pd.Series) -> str:
    """How often the seen moment is identified from measured BOLD, with its null."""
    p = p_text(row.two_way_p, row.two_way_p_smallest)
    return (
        f"From measured BOLD the seen moment is identified against another one in {row.two_way:.1%} of pairs (shifted in "
        f"time: {row.two_way_null:.1%}; p {p})."
    )


def order_verdict(row: pd.Series) -> str:
    """Whether the order of frames within a shot is decoded from measured BOLD."""
    if pd.isna(row.order_p):
        return f"Whether motion is decoded was not tested: {row.n_shots:.0f} shots with two or more moments."
    if row.order_p <= ALPHA:
        verdict = "motion is decoded from the brain"
    else:
        verdict = "no evidence that motion is decoded from the brain"
    return (
        f"Frames of a shot in their own order less reversed: pixel r {order_gain(row)} over "
        f"{row.n_shots:.0f} shots, p {p_text(row.order_p, row.order_p_smallest)}: {verdict}."
    )


def frame_verdict(rows: pd.DataFrame) -> str:
    """Frames from measured BOLD against ridge regression on four measures, identification first."""
    rows = rows[(rows["of"] == FRAMES) & (rows["rival"] == RIDGE)]
    parts = [f"{SCORES[row.score]} {difference(row)}" for _, row in rows.iterrows()]
    verdicts = set(rows["network_is"])
    if verdicts == {"better"}:
        whole = "The network beats ridge regression on all four measures."
    elif verdicts == {"worse"}:
        whole = "Ridge regression beats the network on all four measures."
    else:
        whole = (
            "The measures do not agree on a winner."
            if len(verdicts) > 1
            else "No measure shows a clear difference."
        )
    return (
        f"Frames from measured BOLD, the network less ridge regression: {'; '.join(parts)}. {whole}"
    )


def signed(row) -> str:
    """Size of a difference and its interval."""
    return f"{row.difference:+.3f} {interval(row.low, row.high, sign='+')}"


def difference(row) -> str:
    """Size of a difference, its interval, and what that says."""
    return f"{signed(row)} ({WORDS[row.network_is]})"


def effect_of_decoder(regulariser: list[dict]) -> str:
    if not regulariser:
        return ""
    row = regulariser[-1]
    low, high = row["interval"]
    verb = "raises" if low > 0 else "lowers" if high < 0 else "does not clearly change"
    return (
        f"The decoder as regulariser {verb} the encoder's r on the {row['split']} split, {row['test_set']} "
        f"({row['effect']:+.3f} {interval(low, high, sign='+')} over {over_what(row['n_blocks'], row['n_seeds'])})."
    )


def cards(
    headline: pd.Series, comparison: pd.DataFrame, frames: pd.DataFrame, cfg
) -> dict[str, str]:
    """The numbers to read first: the network beside its closest rival, then frames from measured BOLD."""
    of_r = comparison[(comparison["of"] == VOXELS) & (comparison["score"] == "r")]
    is_lagged = of_r["model"].str.startswith(LAGS)
    same = (of_r[is_lagged] if is_lagged.any() else of_r[of_r["rival"] == RIDGE_ONE]).iloc[0]
    made = measured_frames(frames)
    mean = comparison[(comparison["of"] == FRAMES) & (comparison["rival"] == MEAN_FRAME)].set_index(
        "score"
    )
    return {
        f"r, {headline.split} split, {headline.test_set}, {headline.n_blocks} blocks": with_interval(
            headline, "r"
        ),
        f"r of {model_name(same.model, cfg)} less {model_name(same.rival, cfg)}": signed(same),
        "r / noise ceiling": number(headline.r_of_ceiling),
        "frames identified from measured BOLD (chance 0.5)": with_interval(made, "two_way"),
        "pixel r less the mean frame's": signed(mean.loc["pixel_r"]),
    }
