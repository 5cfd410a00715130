"""The report's section on decoding: how well held-out windows are decoded, by which model, and how certain this is."""

from pathlib import Path

from neuroface.bold import Labels
from neuroface.decoding.architectures import DEFAULT
from neuroface.decoding.fold_files import model_folder
from neuroface.decoding.folds import Fold
from neuroface.decoding.metrics import CALIBRATION_BINS
from neuroface.pipeline import Section, save_figure

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay, PrecisionRecallDisplay, RocCurveDisplay

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
LINEAR = {"linear": "ridge, whole window", "linear-mean": "ridge, mean over time"}
NETWORKS = {
    DEFAULT: "voxel-time CNN",
    "cnn3d": "3D-CNN",
    "transformer": "Transformer",
    "hybrid": "3D-CNN and Transformer",
}
COMPARED = ("accuracy", "mcc", "f1", "auc", "pr_auc")  # each with its interval over people
COLOURS = ("#2b5f8a", "#c8643c", "#3f8f5f", "#8a5fa8", "#8f7a2b", "#5c6672")


def linear_title(features: str) -> str:
    """Name of a linear model in tables; regions are named after their file: "place-rois" are "place regions"."""
    return LINEAR.get(features) or f"ridge, {features.removesuffix('-rois').replace('-', ' ')} regions"


def plot_history(history: pd.DataFrame, target: Path) -> None:
    """Accuracy and loss over epochs, a thin line per fold and the mean over folds."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axis, name in zip(axes, ("accuracy", "loss")):
        for column, colour, label in ((name, "#2b5f8a", "training"), (f"val_{name}", "#c8643c", "validation")):
            for _, fold in history.groupby(["fold", "learning_rate"]):
                axis.plot(fold["epoch"], fold[column], color=colour, alpha=0.3, linewidth=0.8)
            mean = history.groupby("epoch")[column].mean()
            axis.plot(mean.index, mean, color=colour, label=label)
        axis.set(xlabel="epoch", ylabel=name)
        axis.legend(frameon=False)
    save_figure(figure, target)


def plot_results(
    y: np.ndarray, probability: np.ndarray, folds: list[Fold], title: str, labels: Labels, target: Path
) -> None:
    """ROC with AUC, confusion matrix at 0.5, reliability diagram of held-out predictions of all folds, (n,) each."""
    figure, (roc, confusion, calibration) = plt.subplots(1, 3, figsize=(12, 3.9), layout="constrained")
    for fold in folds:
        RocCurveDisplay.from_predictions(
            y[fold.test], probability[fold.test], ax=roc, curve_kwargs={"color": "#2b5f8a", "alpha": 0.3, "lw": 0.8}
        )
    display = RocCurveDisplay.from_predictions(y, probability, ax=roc, curve_kwargs={"color": "#2b5f8a", "lw": 2})
    roc.plot([0, 1], [0, 1], color="#999999", linestyle=":", linewidth=1)
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title=f"AUC {display.roc_auc:.3f}")
    roc.get_legend().remove()
    ConfusionMatrixDisplay.from_predictions(
        y, probability >= 0.5, display_labels=labels.titles[::-1], cmap="Blues", colorbar=False, ax=confusion
    )
    confusion.set(xlabel="predicted", ylabel="true", title=f"accuracy {np.mean((probability >= 0.5) == y):.3f}")
    _plot_reliability(calibration, y, probability, labels)
    figure.suptitle(f"{title}\n", fontsize=13)
    save_figure(figure, target)


def _plot_reliability(axis, y: np.ndarray, probability: np.ndarray, labels: Labels) -> None:
    """Share of the first condition against its predicted probability, with the number of windows in each bin."""
    display = CalibrationDisplay.from_predictions(y, probability, n_bins=CALIBRATION_BINS, ax=axis, color="#2b5f8a")
    counts = windows_per_bin(probability)
    for x, share, n in zip(display.prob_pred, display.prob_true, counts[counts > 0]):
        above = share < 0.5
        axis.annotate(
            f"{n:,}", (x, share), xytext=(0, 6 if above else -6), textcoords="offset points", fontsize=8, color="#444444",
            ha="center", va="bottom" if above else "top",
        )  # fmt: skip
    axis.set(
        xlabel=f"predicted probability of {labels.one}", ylabel=f"share of {labels.plural}",
        title=f"reliability, {CALIBRATION_BINS} bins; windows per bin",
    )  # fmt: skip
    axis.get_legend().remove()


def windows_per_bin(probability: np.ndarray, bins: int = CALIBRATION_BINS) -> np.ndarray:
    """Number of predictions in each bin of the reliability diagram, (bins,); scikit-learn's bins, closed above."""
    return np.bincount(np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], probability), minlength=bins)


def plot_curves(y: np.ndarray, probabilities: dict[str, np.ndarray], title: str, target: Path) -> None:
    """ROC and precision-recall of several networks on the same held-out windows; name → (n,)."""
    figure, (roc, recall) = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
    for (name, probability), colour in zip(probabilities.items(), COLOURS * len(probabilities)):
        arguments = dict(name=NETWORKS.get(name, name), curve_kwargs={"color": colour, "lw": 1.6})
        RocCurveDisplay.from_predictions(y, probability, ax=roc, **arguments)
        PrecisionRecallDisplay.from_predictions(y, probability, ax=recall, **arguments)
    roc.plot([0, 1], [0, 1], color="#999999", linestyle=":", linewidth=1)
    recall.axhline(y.mean(), color="#999999", linestyle=":", linewidth=1)
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
    recall.set(xlabel="recall", ylabel="precision", title="precision-recall")
    figure.suptitle(title, fontsize=13)
    save_figure(figure, target)


def comparison(results: dict[str, dict[str, dict]], linear: dict, costs: dict, split: str) -> pd.DataFrame:
    """All models on the folds of one split, one row each: scores with 95 % intervals over people, and cost.

    Parameters
    ----------
    results : architecture → split → content of its ``metrics.json``; the first is the main network.
    linear, costs : features → scores by split, and cost, of the ridge classifiers.

    Returns
    -------
    Columns model, accuracy, accuracy_low, accuracy_high …, balanced_accuracy, parameters, multiply_adds (per window),
    training_s (all folds), memory_gb (added to the process by training a fold, the median); NaN where a model has no
    such number.
    """
    rows = []
    for name, result in [(name, by_split[split]) for name, by_split in results.items()]:
        rows.append(
            _row(NETWORKS.get(name, name), result["all_folds"], result["intervals_95"]["people"], result["cost"])
        )
    headline = next(iter(results.values()))[split]
    if "shuffled_cnn" in headline:
        shuffled = headline["shuffled_cnn"]
        rows.append(_row("CNN, voxels in random order", shuffled, {}, shuffled["cost"]))
    for name, by_split in linear.items():
        cost = costs[name] | {"multiply_adds": costs[name]["parameters"] - 1}
        rows.append(_row(linear_title(name), by_split[split], {}, cost))
    return pd.DataFrame(rows)


def _row(model: str, scores: dict, intervals: dict, cost: dict) -> dict:
    row = {"model": model}
    for name in COMPARED:
        low, high = intervals.get(name, (np.nan, np.nan))
        row |= {name: scores.get(name, np.nan), f"{name}_low": low, f"{name}_high": high}
    row["balanced_accuracy"] = scores["balanced_accuracy"]
    spent = {"parameters": "parameters", "multiply_adds": "multiply_adds", "training_s": "seconds"}
    memory = {"memory_gb": cost.get("added_memory_gb", np.nan)}
    return row | {column: cost[key] for column, key in spent.items()} | memory


def describe(folder: Path, results: dict, linear: dict, costs: dict, impossible: dict, labels: Labels, cfg) -> Section:
    """The section; arguments as for :func:`comparison`, and which splits were not possible, and why."""
    headline_name, headline = next(iter(results.items()))
    mark = MARK[cfg.SELECTION]
    section = Section(
        "Decoding",
        f"Does a held-out window show {labels.one}? The same network was tested in each cross-validation, "
        f"{HELD_OUT[cfg.SELECTION]}. "
        "Window folds are the paper's; movie folds give the accuracy for unseen people and unseen films.",
    )
    for name, by_split in results.items():
        for split, result in by_split.items():
            all_folds, people = result["all_folds"], result["intervals_95"]["people"]
            interval = f" [{people['accuracy'][0]:.1%}, {people['accuracy'][1]:.1%}]" if people else ""
            which = f"{NETWORKS.get(name, name)}, " if len(results) > 1 else ""
            print(
                f"  {which}{split} folds: {all_folds['accuracy']:.1%} accuracy{interval}, AUC {all_folds['auc']:.3f}{mark}"
            )
            if name == headline_name:
                section.numbers(
                    {
                        f"accuracy, {split} folds{mark}": f"{all_folds['accuracy']:.1%}",
                        "95 % interval over people": interval.strip(" []"),
                        "AUC": f"{all_folds['auc']:.3f}",
                        "p (ridge, permuted events)": p_text(linear["linear"][split]),
                    }
                )
    section.table(
        ["held out together", "accuracy, ridge", "AUC", "accuracy with swapped labels", "p"],
        [ladder_row(split, linear["linear"].get(split), impossible.get(split)) for split in KEPT_OUT],
        f"Leakage ladder: one linear model, increasingly strict splits. The labels of events were swapped "
        f"{cfg.N_PERMUTATIONS} times, in the same way for all viewers. An accuracy above 50 % with swapped labels is "
        f"leakage.",
    )
    for split in headline:
        section.table(
            ["model", "accuracy", "MCC", "F1", "ROC AUC", "PR AUC", "balanced accuracy", "parameters",
             "multiply-adds per window", "training, s", "memory, GB"],
            map(comparison_cells, comparison(results, linear, costs, split).to_dict("records")),
            f"Models on the same {split} folds{mark}, with 95 % intervals over people. Seconds: all folds together; "
            "memory: added to the process by training a fold.",
        )  # fmt: skip
        if len(results) > 1:
            section.figure(folder / split / "models.png", f"The networks' ROC and precision-recall, {split} folds.")
    names = ["n", "accuracy", "balanced_accuracy", "auc", "pr_auc", "f1", "mcc", "brier", "calibration_error"]
    rows = [
        (split, which, *(f"{s[name]:.3f}" if name != "n" else s["n"] for name in names))
        for split, result in headline.items()
        for which, s in [("all", result["all_folds"]), *((f["fold"], f) for f in result["folds"])]
    ]
    section.table(["split", "fold", *names], rows, f"Scores of the {NETWORKS.get(headline_name, headline_name)}{mark}")
    rows = [
        (split, over, *(f"{low:.3f} – {high:.3f}" for low, high in (interval[name] for name in COMPARED)))
        for split, result in headline.items()
        for over, interval in result["intervals_95"].items()
        if interval
    ]
    section.table(["split", "drawn at random", *COMPARED], rows, "95 % intervals: bootstrap over whole people or films")
    for split in headline:
        where = model_folder(folder, split, headline_name)
        section.figure(
            where / "results.png",
            f"Held-out windows, {split} folds. Left: ROC, all folds (thick) and each fold. Middle: counts at a threshold of "
            f"0.5. Right: a calibrated model lies on the "
            f"diagonal; the numbers are windows per bin, and a bin with few windows is unreliable.",
        )
        section.figure(
            where / "history.png",
            f"Training, {split} folds: a thin line per fold, the mean thick. Validation is "
            + ("an inner part of the training set." if cfg.SELECTION == "inner" else "the reported fold itself."),
        )
    return section


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

    memory = "–" if pd.isna(row["memory_gb"]) else f"{row['memory_gb']:.2f}"
    spent = f"{row['parameters']:,}", f"{row['multiply_adds']:,}", f"{row['training_s']:.0f}", memory
    return row["model"], *map(score, COMPARED), f"{row['balanced_accuracy']:.3f}", *spent
