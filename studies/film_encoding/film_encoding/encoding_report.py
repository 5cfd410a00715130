"""Script 8's part of the report: which regions follow which feature space."""

from pathlib import Path

from film_encoding.correlations import ALPHA
from film_encoding.encoding import MEAN, EncodingPlan
from film_encoding.encoding_tables import NOTHING
from film_encoding.wording import interval, number
from neuroface.pipeline import Section, save_figure

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

MOST_REGIONS = 30  # rows of the report's table and figure; regions.tsv has all
FIGURE = "unique.png"
OF_REGIONS = (
    "Regions with the largest r. r and r / ceiling: of the mean over people, on held-out chunks. Then the unique variance "
    "of each space: R² lost without it{whose}; * p ≤ 0.05 against shifted time, corrected over regions (FDR). The interval "
    "covers other people, not other films; the p covers other moments. Wins: the space with the largest unique variance "
    "among those with *."
)


OF_REPEATS = (
    " Ceiling by repeats: the largest r that a model of a single person's BOLD can reach, by what the runs of a film "
    "have in common within people; compare it with the r of single people."
)


def largest(table: pd.DataFrame) -> pd.DataFrame:
    """The regions with the largest r."""
    return table.sort_values("r", ascending=False, kind="stable").head(MOST_REGIONS)


def describe_encoding(folder: Path, table: pd.DataFrame, plan: EncodingPlan) -> Section:
    people = [subject for subject in plan.subjects if subject != MEAN]
    wins = table["wins"].value_counts()
    counts = [f"{space} in {wins.get(space, 0)}" for space in plan.spaces]
    kind = plan.folds[0].split
    held_out = "whole films" if kind == "film" else "stretches of the film"
    section = Section(
        "Feature spaces",
        f"Banded ridge regression, {held_out} held out in {len(plan.folds)} folds. Of {len(table)} regions the largest "
        f"unique variance has: {', '.join(counts)}; no space passes in {wins.get(NOTHING, 0)}.",
    )
    section.numbers(
        {
            "regions": f"{len(table)}",
            "people, each fitted": f"{len(people)}",
            "chunks held out": f"{len(plan.table()):,}",
            "largest r of a region": number(table["r"].max()),
        }
    )
    rows = [region_row(row, plan.spaces, bool(people)) for row in largest(table).to_dict("records")]
    whose = ", mean over people with its 95 % interval" if people else ""
    caption = OF_REGIONS.format(whose=whose)
    if "ceiling_within" in table:
        caption += OF_REPEATS
    section.table(list(rows[0]), [row.values() for row in rows], caption)
    section.figure(
        folder / FIGURE,
        "Unique variance of each feature space in the regions with the largest r; filled: p ≤ 0.05 (FDR).",
    )
    return section


def region_row(row: dict, spaces, people: bool) -> dict[str, str]:
    out = {
        "region": row["region"],
        "voxels": str(row["n_voxels"]),
        "r": number(row["r"]),
        "r / ceiling": number(row["r_of_ceiling"]),
    }
    if "ceiling_within" in row:
        if people:
            out["r, single people"] = number(row["people_r"])
        out["ceiling by repeats"] = number(row["ceiling_within"])
    for space in spaces:
        value = number(row[f"{space} people unique" if people else f"{space} unique"])
        if people:
            value += f" {interval(row[f'{space} low'], row[f'{space} high'], none='one person')}"
        out[space] = value + ("*" if row[f"{space} p_fdr"] <= ALPHA else "")
    return out | {"wins": row["wins"]}


def draw_unique(folder: Path, table: pd.DataFrame, plan: EncodingPlan) -> None:
    """Write the figure of unique variance per region and space."""
    shown = largest(table)
    kind = "people unique" if len(plan.subjects) > 1 else "unique"
    figure, axis = plt.subplots(figsize=(8, 1.5 + 0.25 * len(shown)), layout="constrained")
    places = np.arange(len(shown))
    for number_, space in enumerate(plan.spaces):
        values, colour = shown[f"{space} {kind}"].to_numpy(), f"C{number_}"
        passes = (shown[f"{space} p_fdr"] <= ALPHA).to_numpy()
        axis.plot(values, places, "o", color=colour, fillstyle="none", label=space)
        axis.plot(values[passes], places[passes], "o", color=colour)
    axis.axvline(0, color="0.7", lw=1, zorder=0)
    axis.set_yticks(places, [name[:40] for name in shown["region"]])
    axis.invert_yaxis()
    axis.set_xlabel("unique variance (R² lost without the space)")
    axis.legend(frameon=False)
    save_figure(figure, folder / FIGURE)
