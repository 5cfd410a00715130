"""Figures of decoding: training histories, ROC, confusion, reliability, curves of all models."""

from pathlib import Path

from neuroface.bold import Labels
from neuroface.decoding.division import Fold
from neuroface.decoding.metrics import CALIBRATION_BINS
from neuroface.pipeline import save_figure

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from scipy.stats import binomtest
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay, PrecisionRecallDisplay, RocCurveDisplay

COLOURS = (
    "#2b5f8a", "#c8643c", "#3f8f5f", "#8a5fa8", "#8f7a2b", "#5c6672", "#c2528b", "#3aa6b0", "#8fb53a", "#7a4a2b"
)  # fmt: skip


def plot_history(history: pd.DataFrame, over: str, target: Path) -> None:
    """Accuracy and loss over the column ``over``, a thin line per training and the mean over trainings."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axis, name in zip(axes, ("accuracy", "loss")):
        for column, colour, label in (
            (name, "#2b5f8a", "training"),
            (f"val_{name}", "#c8643c", "validation"),
        ):
            for _, training in history.groupby(["fold", "seed", "learning_rate"]):
                axis.plot(training[over], training[column], color=colour, alpha=0.3, linewidth=0.8)
            mean = history.groupby(over)[column].mean()
            axis.plot(mean.index, mean, color=colour, label=label)
        axis.set(xlabel=over, ylabel=name)
        axis.legend(frameon=False)
    save_figure(figure, target)


def plot_results(
    y: np.ndarray,
    probability: np.ndarray,
    folds: list[Fold],
    title: str,
    labels: Labels,
    target: Path,
) -> None:
    """ROC with AUC, confusion matrix at 0.5, reliability diagram of held-out predictions of all folds, (n,) each."""
    figure, (roc, confusion, calibration) = plt.subplots(
        1, 3, figsize=(12, 3.9), layout="constrained"
    )
    for fold in folds:
        RocCurveDisplay.from_predictions(
            y[fold.test],
            probability[fold.test],
            ax=roc,
            curve_kwargs={"color": "#2b5f8a", "alpha": 0.3, "lw": 0.8},
        )
    display = RocCurveDisplay.from_predictions(
        y, probability, ax=roc, curve_kwargs={"color": "#2b5f8a", "lw": 2}
    )
    roc.plot([0, 1], [0, 1], color="#999999", linestyle=":", linewidth=1)
    roc.set(
        xlabel="false positive rate",
        ylabel="true positive rate",
        title=f"AUC {display.roc_auc:.3f}",
    )
    roc.get_legend().remove()
    ConfusionMatrixDisplay.from_predictions(
        y,
        probability >= 0.5,
        display_labels=labels.titles[::-1],
        cmap="Blues",
        colorbar=False,
        ax=confusion,
    )
    confusion.set(
        xlabel="predicted",
        ylabel="true",
        title=f"accuracy {np.mean((probability >= 0.5) == y):.3f}",
    )
    _plot_reliability(calibration, y, probability, labels)
    figure.suptitle(f"{title}\n", fontsize=13)
    save_figure(figure, target)


def _plot_reliability(axis, y: np.ndarray, probability: np.ndarray, labels: Labels) -> None:
    """Share of the first condition against its predicted probability: number of windows and Wilson's interval per bin."""
    display = CalibrationDisplay.from_predictions(
        y, probability, n_bins=CALIBRATION_BINS, ax=axis, color="#2b5f8a"
    )
    counts = windows_per_bin(probability)
    for x, share, n in zip(display.prob_pred, display.prob_true, counts[counts > 0]):
        low, high = binomtest(round(share * n), int(n)).proportion_ci(method="wilson")
        axis.vlines(x, low, high, color="#2b5f8a", linewidth=1, alpha=0.6)
        above = share < 0.5
        axis.annotate(
            f"{n:,}", (x, share), xytext=(0, 6 if above else -6), textcoords="offset points", fontsize=8, color="#444444",
            ha="center", va="bottom" if above else "top",
        )  # fmt: skip
    axis.set(
        xlabel=f"predicted probability of {labels.singular}", ylabel=f"share of {labels.plural}",
        title="reliability: windows per bin, 95 % interval",
    )  # fmt: skip
    axis.get_legend().remove()


def windows_per_bin(probability: np.ndarray, bins: int = CALIBRATION_BINS) -> np.ndarray:
    """Number of predictions in each bin of the reliability diagram, (bins,); scikit-learn's bins, closed above."""
    return np.bincount(
        np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], probability), minlength=bins
    )


def plot_curves(
    y: np.ndarray, probabilities: dict[str, np.ndarray], title: str, target: Path
) -> None:
    """ROC and precision-recall of several networks on the same held-out windows; name → (n,)."""
    n_rows = -(-len(probabilities) // 2)  # of the legend, which lies below the curves
    figure, (roc, recall) = plt.subplots(
        1, 2, figsize=(9.5, 4.4 + 0.25 * n_rows), layout="constrained"
    )
    handles, texts, data = [], [], []
    for (name, probability), colour in zip(probabilities.items(), COLOURS * len(probabilities)):
        arguments = {"curve_kwargs": {"color": colour, "lw": 1.6}}
        of_roc = RocCurveDisplay.from_predictions(y, probability, ax=roc, **arguments)
        of_recall = PrecisionRecallDisplay.from_predictions(y, probability, ax=recall, **arguments)
        handles.append(of_recall.line_)
        data += [
            pd.DataFrame({"model": name, "curve": "ROC", "x": of_roc.fpr, "y": of_roc.tpr}),
            pd.DataFrame(
                {
                    "model": name,
                    "curve": "precision-recall",
                    "x": of_recall.recall,
                    "y": of_recall.precision,
                }
            ),
        ]
        texts.append(f"{name} (AUC {of_roc.roc_auc:.3f}, PR AUC {of_recall.average_precision:.3f})")
    for axis in (roc, recall):
        if axis.get_legend():
            axis.get_legend().remove()
    figure.legend(handles, texts, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    roc.plot([0, 1], [0, 1], color="#999999", linestyle=":", linewidth=1)
    recall.axhline(y.mean(), color="#999999", linestyle=":", linewidth=1)
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
    recall.set(xlabel="recall", ylabel="precision", title="precision-recall")
    figure.suptitle(title, fontsize=13)
    save_figure(figure, target, data=pd.concat(data, ignore_index=True).round(6))
