"""Scores of predicted probabilities. To add a score, add a line to :func:`scores`."""

import numpy as np
import pandas as pd
from sklearn import metrics

CALIBRATION_BINS = 10


def scores(y: np.ndarray, probability: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """All scores of a set of predictions.

    Parameters
    ----------
    y : (n,) of 0 and 1; both must occur. probability : (n,), predicted for 1.
    """
    predicted = probability >= threshold
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        y, predicted, average="binary", zero_division=0
    )
    return {
        "n": int(len(y)),
        "accuracy": float(metrics.accuracy_score(y, predicted)),
        "balanced_accuracy": float(metrics.balanced_accuracy_score(y, predicted)),
        "auc": float(metrics.roc_auc_score(y, probability)),
        "pr_auc": float(metrics.average_precision_score(y, probability)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "mcc": float(metrics.matthews_corrcoef(y, predicted)),
        "brier": float(metrics.brier_score_loss(y, probability)),
        "calibration_error": expected_calibration_error(y, probability),
    }


def balanced_accuracies(
    labels: np.ndarray, predicted: np.ndarray, n_classes: int = 2
) -> np.ndarray:
    """Balanced accuracy of each labelling: the mean over classes of the share that is recognised.

    A class that a labelling does not hold is left out of its mean.

    Parameters
    ----------
    labels, predicted : (n, n_labellings) class numbers, true and predicted.

    Returns
    -------
    (n_labellings,)
    """
    recalls = []
    for number in range(n_classes):
        own = labels == number
        n = own.sum(axis=0)
        recognised = (own & (predicted == number)).sum(axis=0)
        recalls.append(np.where(n > 0, recognised / np.maximum(n, 1), np.nan))
    return np.nanmean(recalls, axis=0)


def expected_calibration_error(
    y: np.ndarray, probability: np.ndarray, bins: int = CALIBRATION_BINS
) -> float:
    """Mean distance between predicted probability and share of ones over equal-width bins, weighted by bin size.

    Of two classes the probability is that of 1 (Naeini, Cooper & Hauskrecht 2015, AAAI); of more
    it is that of the answer, and ``y`` tells whether the answer is right (Guo et al. 2017, ICML).

    Parameters
    ----------
    y, probability : (n,).
    """
    which = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [abs((y[which == b] - probability[which == b]).sum()) for b in range(bins)]
    return float(sum(gaps) / len(y))


def scores_by(predictions: pd.DataFrame, column: str, positive: str) -> dict[str, dict[str, float]]:
    """:func:`scores` for each person, film or fold; only the accuracy if a part has one class.

    Parameters
    ----------
    predictions : columns label, probability, and ``column``. positive : the label of this
    probability.
    """
    result = {}
    for key, group in predictions.groupby(column):
        y, probability = (group["label"] == positive).to_numpy(int), group["probability"].to_numpy()
        both = 0 < y.sum() < len(y)
        only = {"n": len(y), "accuracy": float(np.mean((probability >= 0.5) == y))}
        result[str(key)] = scores(y, probability) if both else only
    return result
