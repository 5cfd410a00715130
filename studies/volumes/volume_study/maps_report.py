"""Script 4's part of the report: what the maps agree on, the group tests, and, in the demo, whether they find the truth."""

from pathlib import Path

from neuroface.maps import ALPHA, contrast_file
from neuroface.pipeline import Section, read_json, read_table

import nibabel as nib
import numpy as np
from sklearn.metrics import roc_auc_score

from volume_study.explaining import METHODS


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
        "tests": {
            "_".join(test): read_json(contrast_file(work.folder, *test, "test.json")) for test in tests
        },
        "agreement": [
            {"label": label, "methods": [one, other],
             "correlation": float(np.corrcoef(maps[label, one], maps[label, other])[0, 1])}
            for label in dict.fromkeys(label for label, _ in groups)
            for i, one in enumerate(cfg.MAP_METHODS)
            for other in cfg.MAP_METHODS[i + 1 :]
        ],
    }  # fmt: skip
    if "ig" in cfg.MAP_METHODS:
        gaps = [g for key in work.groups for g in read_json(work.gaps_file((*key, "ig")))["gaps"]]
        summary["ig_gap"] = {"median": float(np.median(np.abs(gaps))), "largest": float(np.max(np.abs(gaps)))}
    if cfg.DATASET == "demo":
        summary["planted_truth"] = truth(maps, work, Path(cfg.DATASET_DIR) / "truth")
    return summary


def truth(maps: dict, work, folder: Path) -> list[dict]:
    """Of each group map: the area under its ROC for the regions of its label, and whether anything was planted there."""
    number = np.asarray(nib.load(folder / "regions.nii.gz").dataobj)[work.brain()[0]]
    rows, planted = read_table(folder / "regions.tsv"), read_json(folder / "truth.json")["PLANTED"]
    found = []
    for (label, method), values in maps.items():
        region = np.isin(number, np.flatnonzero(rows["roi"] == label) + 1)
        auc = float(roc_auc_score(region, values))
        found.append({"label": label, "method": method, "planted": label in planted, "roc_auc": auc})
    return found


def describe(work, summary: dict, cfg) -> Section:
    section = Section(
        "Maps",
        f"Why did the network see its label in a volume that it had never seen ({cfg.HELD_OUT_SPLIT} folds)? Volumes "
        "that are "
        f"classified correctly with a probability of {cfg.MIN_PROBABILITY:g} or more, at most "
        f"{cfg.VOLUMES_PER_PERSON} per person "
        f"and label; occlusion sets boxes of {cfg.BOX_VOXELS}³ voxels back, {cfg.BOX_STRIDE} voxels apart.",
    )
    section.numbers(
        {f"volumes, {label}": f"{n} of {summary['people'][label]} people" for label, n in summary["volumes"].items()}
    )
    if "ig_gap" in summary:
        section.numbers({"median completeness gap of IG (log-odds)": f"{summary['ig_gap']['median']:.3f}"})
    rows = []
    for name, test in summary["tests"].items():
        label, method = name.split("_")
        voxels, clusters = test["below_alpha_per_second"][0], test["below_alpha_per_second_clusters"][0]
        rows.append(
            (label, METHODS[method][0], test["people"], f"{test['smallest_p']:.4f}", f"{voxels:,}", f"{clusters:,}")
        )
    section.table(
        ["label", "method", "people", "smallest p possible", f"voxels, p ≤ {ALPHA}",
         f"voxels in clusters, p ≤ {ALPHA}"], rows,
        "Group tests: where a map differs from zero across people, by sign flips, corrected over all voxels",
    )  # fmt: skip
    rows = [
        (r["label"], " / ".join(METHODS[m][0] for m in r["methods"]), f"{r['correlation']:.2f}")
        for r in summary["agreement"]
    ]
    section.table(["label", "methods", "correlation of group maps"], rows, "Do the methods agree?")
    for row in summary.get("planted_truth", []):
        print(f"  {row['label']}, {row['method']}: area under the ROC of its region {row['roc_auc']:.3f}")
    if truth := summary.get("planted_truth"):
        drawn = {row["label"] for row in truth}
        rows = [
            (row["label"], "yes" if row["planted"] else "no", METHODS[row["method"]][0], f"{row['roc_auc']:.3f}")
            for row in truth
        ] + [(label, "no", "–", "no confident volume, no map") for label in work.labels if label not in drawn]
        section.table(
            ["label", "planted", "method", "area under the ROC"], rows,
            "Does the map find the region of its label? It should where the label drives the region, and not where it "
            "does not.",
        )  # fmt: skip
    return section
