"""Script 6's part of the report."""

from pathlib import Path

from film_encoding.localizer import N_EXCHANGES
from film_encoding.perturbation import difference
from film_encoding.shifts import smallest_p
from film_encoding.things import THING
from film_encoding.wording import as_table, interval, p_text
from neuroface.pipeline import Section, read_json, read_table, save_figure

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

MOST_REGIONS = 30  # of the virtual localizer, in the report
MANY = 0.5  # of the voxels outside a region in each random set: then random sets are no comparison
OF_REGIONS = (
    "SSIM lost where things are; the interval of the difference is over stretches of film. p over others: whole stretches "
    "exchange their labels. p over each: the largest p against one other kind of thing, and which it is; a region that "
    "follows two things fails here. p over random sets: sets of as many chosen voxels outside the region. All p are "
    "one-sided. Of the random sets about 5 % should have p over others below 0.05, unless they hold voxels that the thing "
    "needs: the last column says how many of the voxels outside the region each of them holds."
)
OF_CONCEPTS = (
    "Concept activation vectors, in brackets the mean of concepts shifted in time. Accuracy: balanced, in blocks of time "
    "left out. Sensitivity: share of held-out moments with the concept whose SSIM grows along the vector; 0.5 if it does "
    "not matter. "
)
OF_REGION = "Region: the one with most of the top voxels of the concept's pattern."
OF_PARCEL = (
    "Parcel: the one with the largest |pattern| of the concept, BOLD with it less BOLD without it."
)


def draw_losses(folder: Path, losses: dict, table: pd.DataFrame, cases: pd.DataFrame, cfg) -> None:
    """For every region and perturbation: the difference of losses, beside those of random sets."""
    figure, axis = plt.subplots(figsize=(6.5, 0.9 + 0.42 * len(table)), layout="constrained")
    kinds = cases["kind"].to_numpy()
    for place, row in enumerate(table.itertuples()):
        random = [difference(loss, kinds) for loss in losses[row.region, row.perturbation][1:]]
        axis.scatter(random, np.full(len(random), place), marker="|", color="0.6", alpha=0.5)
        axis.scatter(
            row.difference, place, color="C1" if row.p_thing_over_others < 0.05 else "C0", zorder=3
        )
    axis.axvline(0, color="0.8", lw=0.8, zorder=0)
    axis.set(
        xlabel=f"SSIM lost where {cfg.THING} is, less SSIM lost at other things",
        yticks=range(len(table)),
        yticklabels=[f"{row.region}, {row.perturbation}" for row in table.itertuples()],
    )
    axis.invert_yaxis()
    save_figure(figure, folder / "perturbations.png", also=(".pdf",))


def describe_perturbations(folder: Path, table: pd.DataFrame, cases: pd.DataFrame, cfg) -> Section:
    first = table[table["perturbation"] == cfg.PERTURBATIONS[0]]
    section = Section(
        "Perturbations", " ".join(sentence(row, cfg.THING) for row in first.itertuples())
    )
    section.numbers(
        {
            f"moments with {cfg.THING}": f"{(cases['kind'] == THING).sum()}",
            "moments with other things": f"{(cases['kind'] != THING).sum()}",
            "decoded from": f"{cfg.DECODE_FROM} BOLD",
        }
    )
    section.table(
        *as_table([region_cells(row, cfg.THING) for row in table.itertuples()]), OF_REGIONS
    )
    section.figure(
        folder / "perturbations.png",
        "Dots: the region, orange if p over others < 0.05. Grey: random sets of as many voxels.",
    )
    return section


def describe_concepts(section: Section, concepts: pd.DataFrame, of_parcels: bool) -> None:
    """Add the concepts, if there are any, to the section; of parcels each is a region of its own."""
    if concepts.empty:
        return
    rows = [concept_cells(row, of_parcels) for row in concepts.itertuples()]
    section.table(*as_table(rows), OF_CONCEPTS + (OF_PARCEL if of_parcels else OF_REGION))


def describe_localizer(section: Section, folder: Path, cfg) -> None:
    """Add the virtual localizer to the section."""
    localizer, table = read_json(folder / "localizer.json"), read_table(folder / "localizer.tsv")
    first, second = localizer["kinds"]
    rows = [
        {
            "region": row.region,
            "voxels": str(row.n_voxels),
            f"{first} less {second} [95 %]": f"{row.difference:+.3f} "
            f"{interval(row.low, row.high, sign='+', none='all pictures alike')}",
            "p": p_text(row.p, smallest_p(N_EXCHANGES)),
            f"measured, {cfg.THING} less rest": ""
            if pd.isna(row.measured)
            else f"{row.measured:+.3f}",
        }
        for row in table.head(MOST_REGIONS).itertuples()
    ]
    n_first, n_second = localizer["pictures"]
    shown = ""
    if len(table) > MOST_REGIONS:
        shown = f"The {MOST_REGIONS} regions with the largest difference; localizer.tsv has all. "
    section.table(
        *as_table(rows),
        f"{shown}Virtual localizer: what the encoder predicts for {n_first} pictures of {first} less {n_second} of "
        f"{second}; interval and p over pictures, not corrected over regions. No brain saw these pictures. Measured: BOLD "
        f"of the held-out moments with {cfg.THING} less the others. {agreement_text(localizer)}",
    )


def agreement_text(localizer: dict) -> str:
    """How the map of the virtual localizer goes with what was measured, of :func:`film_encoding.localizer.agreement`."""
    if (r := localizer["r_with_measured"]) is None:
        return f"The map (Cohen's d) has no correlation with what was measured: {localizer['why_no_r']}."
    return f"Over voxels the map (Cohen's d) and what was measured correlate with r = {r:.2f}."


def region_cells(row, thing: str) -> dict[str, str]:
    return {
        "region": row.region,
        "replaced by": row.perturbation,
        "voxels": str(row.n_voxels),
        f"lost at {thing}": f"{row.loss_thing:.4f}",
        "lost at others": f"{row.loss_other:.4f}",
        "difference [95 %]": f"{row.difference:+.3f} {interval_of_stretches(row)}",
        "stretches": str(row.n_stretches),
        "p over others": p_text(row.p_thing_over_others, row.p_others_smallest),
        "p over each": f"{p_text(row.p_thing_over_each, row.p_others_smallest)}, {row.least_clear}",
        "difference, random sets": f"{row.random_difference:+.4f}",
        "p over random sets": p_text(row.p_over_random, row.p_random_smallest),
        "random sets with p < 0.05": f"{row.random_share_significant:.0%}",
        "each random set holds": f"{row.random_share_of_others:.0%} of the other voxels",
    }


def interval_of_stretches(row) -> str:
    low, high = row.difference_low, row.difference_high
    return interval(low, high, sign="+", none="one stretch of a kind")


def concept_cells(row, of_parcels: bool) -> dict[str, str]:
    share = f"{row.top_region} ({row.share_of_top:.0%})"
    region = {"parcel": row.top_region} if of_parcels else {"region": share}
    return {
        "concept": row.concept,
        "moments with / without": f"{row.moments_with} / {row.moments_without}",
        "accuracy": f"{row.accuracy:.2f} ({row.random_accuracy:.2f})",
        "p of accuracy": p_text(row.p_accuracy, row.p_smallest),
        "sensitivity": f"{row.sensitivity:.2f} ({row.random_sensitivity:.2f})",
        "p of sensitivity": p_text(row.p_sensitivity, row.p_smallest),
        **region,
    }


def sentence(row, thing: str) -> str:
    suffers = "suffers more" if row.p_thing_over_others < 0.05 else "does not clearly suffer more"
    against = interval_of_stretches(row)
    others = p_text(row.p_thing_over_others, row.p_others_smallest)
    random = p_text(row.p_over_random, row.p_random_smallest)
    more = "more" if row.p_over_random < 0.05 else "not clearly more"
    text = (
        f"Without {row.region} the reconstruction of {thing} {suffers} than that of other things (difference "
        f"{row.difference:+.3f} {against} over {row.n_stretches} stretches, p {others}), and {more} than without random "
        f"voxels (p {random})."
    )
    if row.p_thing_over_others < 0.05 <= row.p_thing_over_each:
        text += (
            f" But the reconstruction of {row.least_clear} does not clearly suffer less (p {row.p_thing_over_each:.4f}): "
            "the region may follow both."
        )
    if row.random_share_of_others > MANY:
        text += (
            f" Each random set holds {row.random_share_of_others:.0%} of all voxels outside {row.region}, so it takes out "
            f"most of what {thing} needs elsewhere: this comparison says nothing about {row.region}."
        )
    return text
