"""The report's section on group maps: tests, regions, correlations; it also prints the results of the tests."""

from pathlib import Path

from neuroface.bold import Labels
from neuroface.maps.group import ALPHA, Contrast
from neuroface.maps.map_test import MEASURED_RATES
from neuroface.pipeline import Section

import numpy as np
import pandas as pd

NO_INTERVAL = (
    "There is no interval: people share the models that explain them, so their SD does not say how much another study, "
    "with models of its own, would differ."
)


def lead(tests: dict, n_people: int, labels: Labels, variance_fwhm_mm: float) -> str:
    first, second = labels.titles
    windows = [f"{title.replace(' ', '-')} windows" for title in labels.titles]
    maps = [f"{title.replace(' ', '-')} map" for title in labels.titles]
    people = "1 person" if n_people == 1 else f"{n_people} people"
    text = (
        f"Mean attribution over a person's windows, then over {people}. A {maps[0]} explains the logit, a {maps[1]} its "
        f"negative: in both, positive values support the window's label. Their difference is positive where a voxel "
        f"supports “{first}” in {windows[0]} more than “{second}” in {windows[1]}, 0 where it supports both equally. "
    )
    if not tests:
        return text
    statistic = (
        "t" if not variance_fwhm_mm else f"pseudo-t (variance smoothed by {variance_fwhm_mm:g} mm)"
    )
    kinds = {test["test"]: test for test in tests.values()}
    for kind, test in kinds.items():
        if kind == "relabel":
            text += (
                f"Test: the models of all folds were fitted again to {test['relabellings']:,} relabellings, in which events "
                f"swap labels within a film for all its viewers, and explained the windows that they hold out. The "
                f"{statistic} across people of the observed maps is compared with the largest of each relabelling: p is "
                f"corrected over all voxels and seconds of a map, by the largest value and by the mass of clusters. It "
                f"holds for the whole procedure, training included. "
            )
        elif kind != "none":
            unit = "films, with all their viewers" if kind == "flip films" else "people"
            text += (
                f"Test: {test['flips']:,} sign flips of {test['units']} {unit} ({statistic}); {test['why']}. p is "
                f"corrected over all voxels and seconds, and takes the trained models as fixed. Of simulated studies "
                f"without any effect {MEASURED_RATES[kind]} had a voxel with p ≤ {ALPHA}, where {ALPHA} is right "
                f"(docs/what-maps-can-claim.md): these p are too small. "
            )
        smallest = test.get("smallest_p", 0)
        if kind != "none":
            text += f"No p can be below {smallest:.2g}" + (
                ": nothing can be significant. " if smallest > ALPHA else ". "
            )
    if "none" in kinds:
        untested = [
            f"{contrast} ({method})"
            for (contrast, method), test in tests.items()
            if test["test"] == "none"
        ]
        reasons = dict.fromkeys(test["why"] for test in tests.values() if test["test"] == "none")
        text += f"No p for {', '.join(untested)}: {'; '.join(reasons)}. "
    return text


def describe_tests(
    section: Section,
    tests: dict,
    about: dict[str, Contrast],
    peaks: pd.DataFrame,
    roi_word: str,
    tr_s: float,
    space: str,
) -> None:
    nearest = f"nearest_{roi_word}"
    rows = []
    for (contrast, method), test in tests.items():
        if test["test"] == "none":
            print(f"  {contrast} ({method}): no p: {test['why']}")
            continue
        seconds = [f"{i * tr_s:g}" for i, n in enumerate(test["below_alpha_per_second"]) if n]
        voxels, clustered = (
            sum(test["below_alpha_per_second"]),
            sum(test["below_alpha_per_second_clusters"]),
        )
        largest = ""
        if len(best := peaks.query("contrast == @contrast and method == @method")):
            best = best.iloc[0]
            largest = f"; largest at {_place(best)}, second {best.second:g}"
            largest += f", {best.distance_mm:g} mm from {best[nearest]}" if best[nearest] else ""
        print(f"  {contrast} ({method}): {voxels} voxel-seconds with p ≤ {ALPHA}{largest}")
        p = f"{test['smallest_p_voxel']:.4f}", f"{test['smallest_p_cluster']:.4f}"
        meaning = about[contrast].meaning
        rows.append(
            (method, contrast, meaning, voxels, ", ".join(seconds) or "none", p[0], clustered, p[1])
        )
    columns = [
        "method",
        "map",
        "positive: the voxel …",
        "voxels × seconds",
        "at seconds",
        "smallest p",
    ]
    if rows:
        section.table(
            [*columns, "in clusters", "smallest p, clusters"],
            rows,
            f"Voxels and seconds with p ≤ {ALPHA}, family-wise. Absolute maps: more absolute attribution than models of "
            f"swapped labels give to any voxel.",
        )
    rows_of_peaks = [
        (
            row["method"],
            row["contrast"],
            f"{row['second']:g}",
            _place(row),
        )
        + ((row[nearest], f"{row['distance_mm']:g}") if row[nearest] else ("", ""))
        + (f"{row['mean']:.5f}", f"{row['t']:.2f}", _p(row["p_voxel"]), _p(row["p_cluster"]))
        for row in peaks[~peaks["contrast"].str.endswith("absolute")].to_dict("records")
    ]
    where = "MNI" if space == "MNI" else "place in the mask's space"
    columns = ["method", "map", "second", where, "nearest region", "mm to its centre"]
    section.table(
        [*columns, "mean, logit", "t", "p", "p, cluster"],
        rows_of_peaks,
        f"Largest means of each signed map, 20 mm apart; those with p ≤ {ALPHA} first (peaks.tsv has the absolute maps too)",
    )


def _place(peak) -> str:
    """Where a row of peaks.tsv lies: its parcel, its vertex, or its coordinates."""
    if "parcel" in peak:
        return peak["parcel"]
    if peak.get("vertex"):
        return f"{peak['structure']}, vertex {peak['vertex']}"
    structure = f"{peak['structure']}, " if "structure" in peak else ""
    return f"{structure}{peak['x_mm']:g}, {peak['y_mm']:g}, {peak['z_mm']:g} mm"


def describe_regions(section: Section, folder: Path, shares: pd.DataFrame, n_random: int) -> None:
    rows = [
        (row.method, row.label, row.region, row.n_voxels, f"{row.share:.2%}")
        + (_sd(row.sd_people, ".2%"),)
        + (f"{row.random_mean:.2%}", f"{row.p:.4f}", f"{row.p_corrected:.4f}")
        for row in shares[shares["second"] == "all"].itertuples()
    ]
    columns = [
        "method",
        "label",
        "region",
        "voxels",
        "share",
        "SD over people",
        "random regions",
        "p, uncorrected",
        "p, corrected over regions",
    ]
    section.table(
        columns,
        rows,
        f"Share of absolute attribution over the window, against {n_random:,} random regions of as many voxels. "
        f"roi_shares.tsv has every second: its p_corrected is family-wise over regions and seconds of a label, its p is "
        f"not. {NO_INTERVAL}",
    )
    for method in shares["method"].unique():
        section.figure(
            folder / f"roi_shares_{method}.png",
            f"Regions over time ({method}): share of each second's absolute attribution, mean over people ± SD. "
            f"Dotted, in the colour of the label: 95 % of random regions of the same size are below.",
        )


def describe_correlations(section: Section, correlations: pd.DataFrame, labels: Labels) -> None:
    rows = [
        (row.method, row.label, row.reference)
        + (f"{row.r:.2f}", _sd(row.r_sd_people, ".2f"))
        + (f"{row.r_absolute:.2f}", _sd(row.r_absolute_sd_people, ".2f"))
        for row in correlations.itertuples()
    ]
    section.table(
        [
            "method",
            "label",
            "reference",
            "r",
            "SD over people",
            "r of absolute values",
            "SD over people",
        ],
        rows,
        "Comparison with other methods: correlation over voxels (haufe: "
        "voxels and seconds) of people's maps with the pattern of the linear model (haufe) and the GLM's effect of "
        f"{labels.plural} (glm), mean over people. "
        f"{NO_INTERVAL} References are positive where BOLD rises with {labels.plural}, "
        "attributions where a voxel supports its label, whether its BOLD rises or falls.",
    )


def _p(value: float | None) -> str:
    return "" if value is None or np.isnan(value) else f"{value:.4f}"


def _sd(value: float, form: str) -> str:
    return "" if np.isnan(value) else f"{value:{form}}"  # one person has none


def describe_seeds(section: Section, rows: list[dict]) -> None:
    """Table of how much the group maps of single seeds agree."""
    numbers = ("r_mean", "r_lowest", "sd_of_top_percent")
    section.table(
        [
            "map",
            "method",
            "seeds",
            "mean correlation of two seeds",
            "lowest",
            "SD over seeds / mean, top 1 % of values",
        ],
        [
            (r["label"], r["method"], r["seeds"], *(f"{r[name]:.3f}" for name in numbers))
            for r in rows
        ],
        "Agreement of the group maps that networks of single seeds give. The SD over seeds is in "
        "group_label-<label>_<method>_seed-sd.nii.gz.",
    )
