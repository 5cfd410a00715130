"""Table of all models on the folds of one split: names, scores with 95 % intervals, costs."""

from neuroface.decoding.architectures import DEFAULT
from neuroface.decoding.fold_files import BEST, is_closed_form

import numpy as np
import pandas as pd

MARK = {"inner": "", "paper": " (epoch chosen on the reported fold, as in the paper)"}
TITLES = {
    DEFAULT: "voxel-time CNN",
    "polynomial_network": "polynomial network",
    "cnn3d": "3D-CNN",
    "transformer": "Transformer",
    "hybrid": "3D-CNN and Transformer",
    "screened_ridge": "ridge, screened voxels",
    "clustered_ridge": "ridge, clusters of voxels",
    "linear_plus": "linear and second-order",
    "linear": "ridge, whole window",
    "linear-mean": "ridge, mean over time",
    BEST: "best by inner validation",
}
COMPARED = ("accuracy", "mcc", "f1", "auc", "pr_auc")  # each with its 95 % interval


def title_of(model: str) -> str:
    """Name of a model in tables; regions are named after their file: "place-rois" are "place regions"."""
    if model.endswith("-rois"):
        return f"ridge, {model.removesuffix('-rois').replace('-', ' ')} regions"
    return TITLES.get(model, model)


def mark_of(model: str, selection: str) -> str:
    """What stands beside the numbers of a network under SELECTION = "paper"; closed forms choose in inner folds."""
    return "" if is_closed_form(model) else MARK[selection]


def comparison(results: dict[str, dict[str, dict]], split: str) -> pd.DataFrame:
    """All models on the folds of one split, one row each: scores with 95 % intervals over films or people, and cost.

    Parameters
    ----------
    results : model → split → content of its ``metrics.json``.

    Returns
    -------
    Columns model, accuracy, accuracy_low, accuracy_high …, interval_over ("8 people", or why there
    is none), balanced_accuracy, seeds, accuracy_least, accuracy_most (of the seeds, each alone),
    parameters, multiply_adds (per window), training_s (all folds and seeds), memory_gb (added to
    the process by training a fold, the median); NaN where a model has no such number.
    """
    rows = []
    for name, result in [(name, by_split[split]) for name, by_split in results.items()]:
        seeds, title = result["seeds"], title_of(name) + mark_of(name, result["selection"])
        rows.append(
            _row(
                title_of(name) + mark_of(name, result["selection"]),
                result["all_folds"],
                result["intervals_95"],
                result["cost"],
            )
            | {
                "seeds": seeds["n"],
                "accuracy_least": min(seeds["accuracy"]),
                "accuracy_most": max(seeds["accuracy"]),
            }
        )
    for result in (by_split[split] for by_split in results.values()):
        if shuffled := result.get("shuffled_cnn"):  # stands with the paper's network
            title = "CNN, voxels in random order" + MARK[result["selection"]]
            rows.append(_row(title, shuffled, NO_INTERVAL, shuffled["cost"]))
    return pd.DataFrame(rows)


NO_INTERVAL = {"scores": {}, "why_none": "not computed"}


def _row(model: str, scores: dict, intervals: dict, cost: dict) -> dict:
    row = {"model": model}
    for name in COMPARED:
        low, high = intervals["scores"].get(name, (np.nan, np.nan))
        row |= {name: scores.get(name, np.nan), f"{name}_low": low, f"{name}_high": high}
    row["interval_over"] = intervals["why_none"] or f"{intervals['n']} {intervals['over']}"
    row["balanced_accuracy"] = scores["balanced_accuracy"]
    spent = {"parameters": "parameters", "multiply_adds": "multiply_adds", "training_s": "seconds"}
    memory = {"memory_gb": cost.get("added_memory_gb", np.nan)}
    return row | {column: cost.get(key, np.nan) for column, key in spent.items()} | memory


def comparison_cells(row: dict) -> tuple:
    def score(name):
        interval = (
            ""
            if pd.isna(row[f"{name}_low"])
            else f" [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
        )
        return "–" if pd.isna(row[name]) else f"{row[name]:.3f}{interval}"

    def number(name, form):
        return "–" if pd.isna(row[name]) else f"{row[name]:{form}}"

    several = row.get("seeds", 1) > 1
    seeds = f"{row['accuracy_least']:.3f} – {row['accuracy_most']:.3f}" if several else "–"
    forms = {"parameters": ",.0f", "multiply_adds": ",.0f", "training_s": ".0f", "memory_gb": ".2f"}
    spent = (number(name, form) for name, form in forms.items())
    return row["model"], *map(score, COMPARED), f"{row['balanced_accuracy']:.3f}", seeds, *spent
