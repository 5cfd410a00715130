"""The report's section on group maps: tests, regions, correlations; it also prints the results of the tests."""

from pathlib import Path

from neuroface.bold import Labels
from neuroface.maps.group import ALPHA, Contrast
from neuroface.pipeline import Section

import numpy as np
import pandas as pd


def lead(tests: dict, n_people: int, labels: Labels, cfg) -> str:
    one, other = labels.titles
    windows = [f"{title.replace(' ', '-')} windows" for title in labels.titles]
    maps = [f"{title.replace(' ', '-')} map" for title in labels.titles]
    people = "1 person" if n_people == 1 else f"{n_people} people"
    text = (
        f"Mean attribution over a person's windows, then over {people}. A {maps[0]} explains the logit, a {maps[1]} its "
        f"negative: in both, positive values support the window's label. Their difference is positive where a voxel "
        f"supports “{one}” in {windows[0]} more than “{other}” in {windows[1]}, 0 where it supports both equally. "
    )
    if not tests:
        return text
    test = next(iter(tests.values()))
    what = "t" if not cfg.VARIANCE_FWHM_MM else f"pseudo-t (variance smoothed by {cfg.VARIANCE_FWHM_MM:g} mm)"
    text += (
        f"Tested across people by {test['flips']:,} sign flips of {test['units']} "
        f"{'people' if cfg.FLIP_TOGETHER == 'person' else 'films'}, {what}: p is corrected over all voxels and seconds of a "
        f"map, by the largest value, and by the mass of clusters. No p of a signed map can be below {test['smallest_p']:.2g}"
        + (", so nothing can be significant. " if test["smallest_p"] > ALPHA else ". ")
    )
    if cfg.FLIP_TOGETHER == "person":
        text += "Viewers of one film count as independent; FLIP_TOGETHER changes that. "
    if cfg.EXPLAIN == "best fold":
        text += "One model also explained its training windows: what it memorised counts as evidence here. "
    else:
        text += (
            "The test takes the trained models as fixed: a model that learnt a pattern from noise uses it in all "
            "people that it explains. So p holds for other people under these models, not for other models. "
        )
    return text


def describe_tests(
    section: Section, tests: dict, about: dict[str, Contrast], peaks: pd.DataFrame, roi_word: str, cfg
) -> None:
    nearest = f"nearest_{roi_word}"
    rows = []
    for (contrast, method), test in tests.items():
        seconds = [f"{i * cfg.TR_S:g}" for i, n in enumerate(test["below_alpha_per_second"]) if n]
        voxels, clustered = sum(test["below_alpha_per_second"]), sum(test["below_alpha_per_second_clusters"])
        best = peaks.query("contrast == @contrast and method == @method").iloc[0]
        where = f"{best.x_mm:g}, {best.y_mm:g}, {best.z_mm:g} mm, second {best.second:g}"
        near = f", {best.distance_mm:g} mm from {best[nearest]}" if best[nearest] else ""
        print(f"  {contrast} ({method}): {voxels} voxel-seconds with p ≤ {ALPHA}; largest at {where}{near}")
        p = f"{test['smallest_p_voxel']:.4f}", f"{test['smallest_p_cluster']:.4f}"
        meaning = about[contrast].meaning
        rows.append((method, contrast, meaning, voxels, ", ".join(seconds) or "none", p[0], clustered, p[1]))
    columns = ["method", "map", "positive: the voxel …", "voxels × seconds", "at seconds", "smallest p"]
    section.table(
        [*columns, "in clusters", "smallest p, clusters"],
        rows,
        f"Voxels and seconds with p ≤ {ALPHA}, family-wise. The absolute maps are tested against an even spread over "
        f"the brain: they show what this network uses, whether signal or noise.",
    )
    rows = [
        (row["method"], row["contrast"], f"{row['second']:g}", f"{row['x_mm']:g}, {row['y_mm']:g}, {row['z_mm']:g}")
        + ((row[nearest], f"{row['distance_mm']:g}") if row[nearest] else ("", ""))
        + (f"{row['mean']:.5f}", f"{row['t']:.2f}", f"{row['p_voxel']:.4f}", f"{row['p_cluster']:.4f}")
        for row in peaks[~peaks["contrast"].str.endswith("absolute")].to_dict("records")
    ]
    where = "MNI mm" if cfg.SPACE == "MNI" else "mm of the mask's space"
    columns = ["method", "map", "second", where, "nearest region", "mm to its centre"]
    section.table(
        [*columns, "mean, logit", "t", "p", "p, cluster"],
        rows,
        "Largest statistics of each signed map, 20 mm apart, significant or not (peaks.tsv has the absolute maps too)",
    )


def describe_regions(section: Section, folder: Path, shares: pd.DataFrame, cfg) -> None:
    rows = [
        (row.method, row.label, row.region, row.n_voxels, f"{row.share:.2%}")
        + (_interval(row.low_95, row.high_95, ".2%"),)
        + (f"{row.random_mean:.2%}", f"{row.p:.4f}")
        for row in shares[shares["second"] == "all"].itertuples()
    ]
    columns = [
        "method",
        "label",
        "region",
        "voxels",
        "share",
        "95 % interval over people",
        "random regions",
        "p, uncorrected",
    ]
    section.table(
        columns,
        rows,
        f"Share of absolute attribution over the window, against {cfg.N_RANDOM_REGIONS:,} random regions of as many voxels",
    )
    for method in shares["method"].unique():
        section.figure(
            folder / f"roi_shares_{method}.png",
            f"Regions over time ({method}): share of each second's absolute attribution, mean over people with its "
            f"95 % interval. Dotted, in the colour of the label: 95 % of random regions of the same size are below.",
        )


def describe_correlations(section: Section, correlations: pd.DataFrame, labels: Labels) -> None:
    rows = [
        (row.method, row.label, row.reference)
        + (f"{row.r:.2f}", _interval(row.r_low_95, row.r_high_95, ".2f"))
        + (f"{row.r_absolute:.2f}", _interval(row.r_absolute_low_95, row.r_absolute_high_95, ".2f"))
        for row in correlations.itertuples()
    ]
    section.table(
        ["method", "label", "reference", "r", "95 % interval", "r of absolute values", "95 % interval"],
        rows,
        "Comparison with other methods: correlation over voxels (haufe: voxels and seconds) of people's maps with the "
        f"pattern of the linear model (haufe) and the GLM's effect of {labels.plural} (glm); 95 % interval over people. "
        f"References are positive where BOLD rises with {labels.plural}, attributions where a voxel supports its "
        f"label, whether its BOLD rises or falls.",
    )


def _interval(low: float, high: float, form: str) -> str:
    return "" if np.isnan(low) else f"{low:{form}} to {high:{form}}"  # one person has none


def describe_seeds(section: Section, rows: list[dict]) -> None:
    """Table of how much the group maps of single seeds agree."""
    numbers = ("r_mean", "r_lowest", "sd_of_top_percent")
    section.table(
        ["map", "method", "seeds", "mean correlation of two seeds", "lowest", "SD over seeds / mean, top 1 % of values"],
        [(r["label"], r["method"], r["seeds"], *(f"{r[name]:.3f}" for name in numbers)) for r in rows],
        "Agreement of the group maps that networks of single seeds give. The SD over seeds is in "
        "group_label-<label>_<method>_seed-sd.nii.gz.",
    )
