"""The report's section on decoding: how well held-out windows are decoded, by which model, and how certain this is."""

from pathlib import Path

from neuroface.bold import Labels
from neuroface.decoding.architectures import DEFAULT
from neuroface.decoding.fold_files import BEST, model_folder
from neuroface.pipeline import Section

import numpy as np
import pandas as pd

MARK = {"inner": "", "paper": " (epoch chosen on the reported fold, as in the paper)"}
HELD_OUT = {
    "inner": "on windows that the model had not seen",
    "paper": "on the windows that chose its epoch, which makes all numbers here too high",
}
KEPT_OUT = {
    "window": "windows (the paper)",
    "run": "whole runs",
    "subject": "people",
    "event": "moments of a film, for all viewers",
    "movie": "films, with all their viewers",
}
TITLES = {
    DEFAULT: "voxel-time CNN",
    "cnn3d": "3D-CNN",
    "transformer": "Transformer",
    "hybrid": "3D-CNN and Transformer",
    "linear_plus": "linear and second-order",
    "linear": "ridge, whole window",
    "linear-mean": "ridge, mean over time",
    BEST: "best by inner validation",
}
COMPARED = ("accuracy", "mcc", "f1", "auc", "pr_auc")  # each with its interval over people


def title_of(model: str) -> str:
    """Name of a model in tables; regions are named after their file: "place-rois" are "place regions"."""
    if model.endswith("-rois"):
        return f"ridge, {model.removesuffix('-rois').replace('-', ' ')} regions"
    return TITLES.get(model, model)


def comparison(results: dict[str, dict[str, dict]], split: str) -> pd.DataFrame:
    """All models on the folds of one split, one row each: scores with 95 % intervals over people, and cost.

    Parameters
    ----------
    results : model → split → content of its ``metrics.json``; the first is the main network.

    Returns
    -------
    Columns model, accuracy, accuracy_low, accuracy_high …, balanced_accuracy, seeds, accuracy_least, accuracy_most (of the
    seeds, each alone), parameters, multiply_adds (per window), training_s (all folds and seeds), memory_gb (added to the
    process by training a fold, the median); NaN where a model has no such number.
    """
    rows = []
    for name, result in [(name, by_split[split]) for name, by_split in results.items()]:
        seeds = result["seeds"]
        rows.append(
            _row(title_of(name), result["all_folds"], result["intervals_95"]["people"], result["cost"])
            | {"seeds": seeds["n"], "accuracy_least": min(seeds["accuracy"]), "accuracy_most": max(seeds["accuracy"])}
        )
    headline = next(iter(results.values()))[split]
    if "shuffled_cnn" in headline:
        shuffled = headline["shuffled_cnn"]
        rows.append(_row("CNN, voxels in random order", shuffled, {}, shuffled["cost"]))
    return pd.DataFrame(rows)


def _row(model: str, scores: dict, intervals: dict, cost: dict) -> dict:
    row = {"model": model}
    for name in COMPARED:
        low, high = intervals.get(name, (np.nan, np.nan))
        row |= {name: scores.get(name, np.nan), f"{name}_low": low, f"{name}_high": high}
    row["balanced_accuracy"] = scores["balanced_accuracy"]
    spent = {"parameters": "parameters", "multiply_adds": "multiply_adds", "training_s": "seconds"}
    memory = {"memory_gb": cost.get("added_memory_gb", np.nan)}
    return row | {column: cost.get(key, np.nan) for column, key in spent.items()} | memory


def describe(
    folder: Path,
    results: dict,
    ladders: dict,
    choices: dict,
    impossible: dict,
    alignment: dict | None,
    labels: Labels,
    cfg,
) -> Section:
    """The section.

    Parameters
    ----------
    results : as for :func:`comparison`. ladders : linear model → split → scores, also on relabelled events.
    choices : split → fold → the chosen model, and the losses of all; see :func:`neuroface.decoding.best.choose`.
    impossible : split → why it is not possible. alignment : scores after alignment by split, and why others have none.
    """
    headline_name, headline = next(iter(results.items()))
    mark = MARK[cfg.SELECTION]
    section = Section(
        "Decoding",
        f"Does a held-out window show {labels.one}? The same models were tested in each cross-validation, "
        f"{HELD_OUT[cfg.SELECTION]}. "
        "Window folds are the paper's; movie folds give the accuracy for unseen people and unseen films.",
    )
    for name, by_split in results.items():
        for split, result in by_split.items():
            all_folds, people = result["all_folds"], result["intervals_95"]["people"]
            interval = f" [{people['accuracy'][0]:.1%}, {people['accuracy'][1]:.1%}]" if people else ""
            auc = f"{all_folds['auc']:.3f}"
            print(f"  {title_of(name)}, {split} folds: {all_folds['accuracy']:.1%} accuracy{interval}, AUC {auc}{mark}")
            if name in (headline_name, BEST):
                section.numbers(
                    {
                        f"accuracy, {title_of(name)}, {split} folds{mark}": f"{all_folds['accuracy']:.1%}",
                        "95 % interval over people": interval.strip(" []"),
                        "AUC": auc,
                        "p (ridge, permuted events)": p_text(ladders["linear"][split]),
                    }
                )
    section.table(
        ["held out together", "accuracy, ridge", "AUC", "accuracy with swapped labels", "p"],
        [ladder_row(split, ladders["linear"].get(split), impossible.get(split)) for split in KEPT_OUT],
        f"Leakage ladder: one linear model, increasingly strict splits. The labels of events were swapped "
        f"{cfg.N_PERMUTATIONS} times, in the same way for all viewers. An accuracy above 50 % with swapped labels is "
        f"leakage.",
    )
    if alignment:
        scored, without = alignment["scores"], impossible | alignment["not_possible"]
        section.table(
            ["held out together", "accuracy, ridge", "AUC", "accuracy with swapped labels", "p"],
            [ladder_row(split, scored.get(split), without.get(split)) for split in KEPT_OUT],
            "The same ladder after functional alignment: in each fold a shared response model with "
            f"{cfg.ALIGNMENT_FEATURES} features, from training windows of moments that all viewers of a film have.",
        )
    for split in headline:
        section.table(
            ["model", "accuracy", "MCC", "F1", "ROC AUC", "PR AUC", "balanced accuracy", "accuracy of single seeds",
             "parameters", "multiply-adds per window", "training, s", "memory, GB"],
            map(comparison_cells, comparison(results, split).to_dict("records")),
            f"Models on the same {split} folds{mark}, with 95 % intervals over people. {SEEDS[cfg.N_SEEDS > 1]} "
            "Seconds: all folds and seeds together, without the inner products of the windows; memory: added to the "
            "process by training a fold.",
        )  # fmt: skip
        section.figure(folder / split / "models.png", f"ROC and precision-recall of all models, {split} folds.")
        if split in choices:
            section.table(
                ["fold", "chosen", "log loss of each model"], choice_rows(choices[split]), CHOSEN.format(split)
            )
    names = ["n", "accuracy", "balanced_accuracy", "auc", "pr_auc", "f1", "mcc", "brier", "calibration_error"]
    for name in [headline_name, *[BEST] * (BEST in results)]:
        rows = [
            (split, which, *(f"{s[score]:.3f}" if score != "n" else s["n"] for score in names))
            for split, result in results[name].items()
            for which, s in [("all", result["all_folds"]), *((f["fold"], f) for f in result["folds"])]
        ]
        section.table(["split", "fold", *names], rows, f"Scores of the model: {title_of(name)}{mark}")
    rows = [
        (split, over, *(f"{low:.3f} – {high:.3f}" for low, high in (interval[name] for name in COMPARED)))
        for split, result in headline.items()
        for over, interval in result["intervals_95"].items()
        if interval
    ]
    caption = f"{title_of(headline_name)}, 95 % intervals: bootstrap over whole people or films"
    section.table(["split", "drawn at random", *COMPARED], rows, caption)
    for name in [headline_name, *[BEST] * (BEST in results)]:
        for split in headline:
            section.figure(
                model_folder(folder, split, name) / "results.png",
                f"Held-out windows, {title_of(name)}, {split} folds. Left: ROC, all folds (thick) and each fold. Middle: "
                f"counts at a threshold of 0.5. Right: a calibrated model lies on the diagonal; the numbers are windows per "
                f"bin, the lines 95 % intervals, and a bin with few windows is unreliable.",
            )
    for split in headline:
        if (history := model_folder(folder, split, headline_name) / "history.png").exists():
            cost = headline[split]["cost"]
            section.figure(
                history,
                f"Training, {split} folds: a thin line per fold, the mean thick. Validation is "
                + ("an inner part of the training set. " if cfg.SELECTION == "inner" else "the reported fold itself. ")
                + f"Its loss was lowest after {cost['best_step']:,} of {cost['steps']:,} steps (median over folds). "
                f"{cost['windows_per_pass']} windows went through the network at once.",
            )
    return section


SEEDS = {
    True: "Networks: the mean logit over N_SEEDS trainings per fold; the range is over these trainings alone.",
    False: "Networks were trained once per fold. Another seed gives another accuracy; N_SEEDS > 1 shows by how much.",
}
CHOSEN = (
    "The best model of each fold, {} folds: the simplest whose log loss on inner validation windows is within one standard "
    "error of the lowest. Held-out windows play no part in this choice. Loss of chance: 0.693"
)


def choice_rows(choices: dict[str, dict]) -> list[tuple]:
    """Fold, chosen model, losses of all models."""
    return [
        (fold, title_of(choice["model"]), ", ".join(f"{title_of(m)} {loss:.3f}" for m, loss in choice["loss"].items()))
        for fold, choice in choices.items()
    ]


def p_text(scores_of_split: dict) -> str:
    return "–" if scores_of_split["p"] is None else f"{scores_of_split['p']:.4f}"


def ladder_row(split: str, result: dict | None, why_not: str | None) -> tuple:
    if result is None:
        return KEPT_OUT[split], "not possible", why_not, "", ""
    null = "–" if result["null_mean"] is None else f"{result['null_mean']:.1%}"
    return KEPT_OUT[split], f"{result['balanced_accuracy']:.1%}", f"{result['auc']:.3f}", null, p_text(result)


def comparison_cells(row: dict) -> tuple:
    def score(name):
        interval = "" if pd.isna(row[f"{name}_low"]) else f" [{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"
        return "–" if pd.isna(row[name]) else f"{row[name]:.3f}{interval}"

    def number(name, form):
        return "–" if pd.isna(row[name]) else f"{row[name]:{form}}"

    several = row.get("seeds", 1) > 1
    seeds = f"{row['accuracy_least']:.3f} – {row['accuracy_most']:.3f}" if several else "–"
    forms = {"parameters": ",.0f", "multiply_adds": ",.0f", "training_s": ".0f", "memory_gb": ".2f"}
    spent = (number(name, form) for name, form in forms.items())
    return row["model"], *map(score, COMPARED), f"{row['balanced_accuracy']:.3f}", seeds, *spent
