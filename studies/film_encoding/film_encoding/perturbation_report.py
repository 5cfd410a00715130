"""Script 6's part of the report."""

from pathlib import Path

from film_encoding.perturbation import difference
from film_encoding.things import OTHER, THING
from neuroface.pipeline import Section, save_figure

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt


def draw_losses(folder: Path, losses: dict, table: pd.DataFrame, cases: pd.DataFrame, cfg) -> None:
    """For every region and perturbation: the difference of losses, beside those of random sets."""
    figure, axis = plt.subplots(figsize=(6.5, 0.9 + 0.42 * len(table)), layout="constrained")
    kinds = cases["kind"].to_numpy()
    for place, row in enumerate(table.itertuples()):
        random = [difference(loss, kinds) for loss in losses[row.region, row.perturbation][1:]]
        axis.scatter(random, np.full(len(random), place), marker="|", color="0.6", alpha=0.5)
        axis.scatter(row.difference, place, color="C1" if row.p_thing_over_others < 0.05 else "C0", zorder=3)
    axis.axvline(0, color="0.8", lw=0.8, zorder=0)
    axis.set(xlabel=f"SSIM lost where {cfg.THING} is, less SSIM lost at other things", yticks=range(len(table)),
             yticklabels=[f"{row.region}, {row.perturbation}" for row in table.itertuples()])  # fmt: skip
    axis.invert_yaxis()
    save_figure(figure, folder / "perturbations.png", also=(".pdf",))


def describe(folder: Path, table: pd.DataFrame, found: pd.DataFrame, cases: pd.DataFrame, cfg) -> Section:
    counts = {kind: int((cases["kind"] == kind).sum()) for kind in (THING, OTHER)}
    section = Section(
        "Perturbations",
        " ".join(sentence(row, cfg.THING) for row in table.itertuples() if row.perturbation == cfg.PERTURBATIONS[0]),
    )
    section.numbers(
        {
            f"moments with {cfg.THING}": f"{counts[THING]}",
            "moments with other things": f"{counts[OTHER]}",
            "decoded from": f"{cfg.DECODE_FROM} BOLD",
        }
    )
    rows = [
        (row.region, row.perturbation, row.n_voxels, f"{row.loss_thing:.4f}", f"{row.loss_other:.4f}", f"{row.difference:+.4f}",
         f"{row.p_thing_over_others:.4f}", f"{row.random_difference:+.4f}", f"{row.p_over_random:.4f}", f"{row.random_share_significant:.0%}")
        for row in table.itertuples()
    ]  # fmt: skip
    section.table(
        ["region", "replaced by", "voxels", f"lost at {cfg.THING}", "lost at others", "difference", "p, over others", "difference, random sets",
         "p, over random sets", "random sets with p < 0.05"], rows,
        f"SSIM lost where things are. p over others: whole stretches of film exchange their labels; p over random sets: {cfg.N_RANDOM_SETS} sets of as "
        "many chosen voxels outside the region. One-sided.",
    )  # fmt: skip
    section.figure(
        folder / "perturbations.png",
        "Dots: the region, orange if p over others < 0.05. Grey: random sets of as many voxels.",
    )
    if len(found):
        rows = [
            (row.concept, f"{row.moments_with} / {row.moments_without}", f"{row.accuracy:.2f} ({row.random_accuracy:.2f})", f"{row.p_accuracy:.3f}",
             f"{row.sensitivity:.2f} ({row.random_sensitivity:.2f})", f"{row.p_sensitivity:.3f}", f"{row.top_region} ({row.share_of_top:.0%})")
            for row in found.itertuples()
        ]  # fmt: skip
        section.table(
            ["concept", "moments with / without", "accuracy (shifted concepts)", "p", "sensitivity (shifted concepts)", "p", "region with most of it"], rows,
            "Concept activation vectors. Accuracy: balanced, in blocks of time left out. Sensitivity: share of held-out moments with the concept whose "
            "SSIM grows along the vector; 0.5 if it does not matter. Region: share of the top voxels of the concept's pattern.",
        )  # fmt: skip
    return section


def sentence(row, thing: str) -> str:
    suffers = "suffers more" if row.p_thing_over_others < 0.05 else "does not clearly suffer more"
    random = "more" if row.p_over_random < 0.05 else "no more"
    return (
        f"Without {row.region} the reconstruction of {thing} {suffers} than that of other things (difference {row.difference:+.4f}, "
        f"p = {row.p_thing_over_others:.4f}), {random} than without random voxels (p = {row.p_over_random:.4f})."
    )
