"""Script 4's part of the report: what the maps agree on, the group tests, and, in the demo, whether they find the truth."""

from itertools import combinations
from pathlib import Path

from neuroface.bold import open_image
from neuroface.maps import contrast_file
from neuroface.pipeline import Section, read_json, read_table
from volume_study.episode_test import ALPHA
from volume_study.explaining import METHODS

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score


def summarize(work, groups: list, tests: list, cfg) -> dict:
    """What the report says about the maps.

    Parameters
    ----------
    work : script 4's. groups : (label, method) of the group maps. tests : those that were tested.
    """
    maps = {group: work.group_map(*group) for group in groups}
    summary = {
        "volumes": {label: int((work.volumes["label"] == label).sum()) for label in work.labels},
        "people": {label: len(work.people_with(label)) for label in work.labels},
        "episodes": {
            label: int(work.episodes["event"][work.episodes["label"] == label].nunique())
            for label in work.labels
        },
        "tests": {
            f"{label}_{method}": read_json(contrast_file(work.folder, label, method, "test.json"))
            for label, method in tests
        },
        "why_not_tested": work.why_not_tested,
        "agreement": _agreement(maps, work.labels, cfg.MAP_METHODS),
    }
    if "ig" in cfg.MAP_METHODS:
        gaps = pd.concat(read_table(work.gaps_file((who, "ig"))) for who in work.people)
        summary["ig_gap"] = {
            "median": float(gaps["gap"].median()),
            "median_change": float(gaps["change"].median()),
        }
    if cfg.DATASET == "demo":
        summary["planted_truth"] = truth(maps, work, Path(cfg.DATASET_DIR) / "truth")
    return summary


def _agreement(maps: dict, labels: list[str], methods: tuple[str, ...]) -> list[dict]:
    """Correlation of the group maps of two methods, a row per label and pair of methods."""
    rows = []
    for label in labels:
        for first, second in combinations(methods, 2):
            if (label, first) in maps:
                r = float(np.corrcoef(maps[label, first], maps[label, second])[0, 1])
                rows.append({"label": label, "methods": [first, second], "correlation": r})
    return rows


def truth(maps: dict, work, folder: Path) -> list[dict]:
    """Of each group map: the area under its ROC for the regions of its label, and whether anything was planted there."""
    number = np.asarray(open_image(folder / "regions.nii.gz").dataobj)[work.brain()[0]]
    regions, planted = (
        read_table(folder / "regions.tsv"),
        read_json(folder / "truth.json")["PLANTED"],
    )
    rows = []
    for (label, method), values in maps.items():
        region = np.isin(number, np.flatnonzero(regions["roi"] == label) + 1)
        auc = float(roc_auc_score(region, values))
        rows.append({"label": label, "method": method, "planted": label in planted, "roc_auc": auc})
    return rows


def describe_maps(work, summary: dict, cfg) -> Section:
    section = Section("Maps", _lead(cfg))
    most = max(summary["people"].values())
    section.numbers(
        {
            "explained volumes": f"{len(work.volumes):,}",
            "episodes": f"{work.episodes['event'].nunique()}",
            "people": f"{most}",
        }
    )
    if gap := summary.get("ig_gap"):
        change = f"{gap['median_change']:.3f}"
        section.numbers(
            {
                "median gap of IG": f"{gap['median']:.3f}",
                "median change of log-odds that it explains": change,
            }
        )
    if summary["tests"]:
        section.table(*_tests_table(work, summary, cfg))
    section.table(*_agreement_table(work, summary, cfg))
    for row in summary.get("planted_truth", []):
        print(
            f"  {row['label']}, {row['method']}: area under the ROC of its region {row['roc_auc']:.3f}"
        )
    if truth := summary.get("planted_truth"):
        area = {(row["label"], row["method"]): f"{row['roc_auc']:.3f}" for row in truth}
        planted = {row["label"]: "yes" if row["planted"] else "no" for row in truth}
        rows = [
            (
                label,
                planted.get(label, "no"),
                *(area.get((label, method), "no map") for method in cfg.MAP_METHODS),
            )
            for label in work.labels
        ]
        section.table(
            ["label", "planted", *(METHODS[method][0] for method in cfg.MAP_METHODS)], rows,
            "Does the map find the region of its label? Area under the ROC of the region's voxels. It should be near 1 "
            "where the label drives the region, and has no right value where it does not.",
        )  # fmt: skip
    return section


def _lead(cfg) -> str:
    chosen = f"{cfg.VOLUMES_PER_EPISODE} per person and episode"
    if cfg.MIN_PROBABILITY > 0:
        chosen += f", only those classified correctly with a probability of {cfg.MIN_PROBABILITY:g} or more"
    screened = ""
    if "screened-ridge" in cfg.MAP_METHODS:
        screened = " Maps of screened ridge are of another model: weight × value of each voxel in its classifier."
    return (
        f"Which voxels support a label in volumes new to the network ({cfg.HELD_OUT_SPLIT} folds)? Volumes, right or "
        f"wrong: {chosen}. A map is the mean over episodes of the label minus the mean over all other episodes, both "
        f"explained for this label. Occlusion sets boxes of {cfg.BOX_VOXELS}³ voxels back, {cfg.BOX_STRIDE} voxels "
        f"apart.{screened}"
    )


def _tests_table(work, summary: dict, cfg) -> tuple[list[str], list[tuple], str]:
    """Columns, rows and caption: labels × methods, voxels that pass."""
    rows = []
    for label in work.labels:
        results = [summary["tests"].get(f"{label}_{method}") for method in cfg.MAP_METHODS]
        known = [result for result in results if result]
        if not known:
            rows.append((label, 0, "", *["no map"] * len(results)))
            continue
        floor = known[0]["smallest_p"]
        cells = [
            f"{result['voxels_below_alpha']:,}" if floor <= ALPHA else f"cannot reach {ALPHA}"
            for result in known
        ]
        rows.append((label, known[0]["episodes"], f"{floor:.4f}", *cells))
    n_voxels = int(work.brain()[0].sum())
    caption = (
        f"Voxels of {n_voxels:,} with p ≤ {ALPHA} (family-wise over the voxels of a map, not over labels and methods). "
        "Held-out episodes exchange their labels within a fold; the smallest p of the folds is multiplied with their "
        "number. This generalises to new episodes of these people."
    )
    columns = [
        "label",
        "episodes",
        "smallest possible p",
        *(METHODS[method][0] for method in cfg.MAP_METHODS),
    ]
    return columns, rows, caption


def _agreement_table(work, summary: dict, cfg) -> tuple[list[str], list[tuple], str]:
    """Columns, rows and caption: pairs of methods × labels."""
    correlations = {
        (row["label"], *row["methods"]): f"{row['correlation']:.2f}" for row in summary["agreement"]
    }
    rows = [
        (
            f"{METHODS[first][0]} / {METHODS[second][0]}",
            *(correlations.get((label, first, second), "–") for label in work.labels),
        )
        for first, second in combinations(cfg.MAP_METHODS, 2)
    ]
    return (
        ["methods", *work.labels],
        rows,
        "Do the methods agree? Correlation of group maps over voxels",
    )
