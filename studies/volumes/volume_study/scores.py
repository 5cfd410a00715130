"""Scores of predictions among several classes, and their intervals over people."""

from neuroface.decoding import CALIBRATION_BINS, cluster_bootstrap

import numpy as np
import pandas as pd
from sklearn import metrics

N_BOOTSTRAP = 1000


def balanced_accuracy(labels: np.ndarray, said: np.ndarray, n_classes: int) -> np.ndarray:
    """Mean over classes of the share of their volumes that are recognised: columns of (n, n_labellings) → (n_labellings,).

    A class that a labelling does not hold is left out of its mean.
    """
    recalls = []
    for number in range(n_classes):
        own = labels == number
        n = own.sum(axis=0)
        recalls.append(np.where(n > 0, (own & (said == number)).sum(axis=0) / np.maximum(n, 1), np.nan))
    return np.nanmean(recalls, axis=0)


def scores(y: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """All scores of a set of predictions.

    Parameters
    ----------
    y : (n,) class numbers; every class must occur. probability : (n, n_classes).

    Returns
    -------
    n, accuracy, balanced_accuracy, macro_f1, mcc, roc_auc and pr_auc (means over classes, one against the rest),
    log_loss, calibration_error (of the probability of the answer: Guo et al. 2017, ICML).
    """
    said = probability.argmax(axis=1)
    one_hot = np.eye(probability.shape[1])[y]
    return {
        "n": int(len(y)),
        "accuracy": float((said == y).mean()),
        "balanced_accuracy": float(metrics.balanced_accuracy_score(y, said)),
        "macro_f1": float(metrics.f1_score(y, said, average="macro", zero_division=0)),
        "mcc": float(metrics.matthews_corrcoef(y, said)),
        "roc_auc": float(metrics.roc_auc_score(one_hot, probability, average="macro")),
        "pr_auc": float(metrics.average_precision_score(one_hot, probability, average="macro")),
        "log_loss": float(metrics.log_loss(y, probability, labels=np.arange(probability.shape[1]))),
        "calibration_error": calibration_error(probability.max(axis=1), said == y),
    }


def calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = CALIBRATION_BINS) -> float:
    """Mean distance between the probability of an answer and the share of correct answers, over equal-width bins."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(sum(abs((correct[which == b] - confidence[which == b]).sum()) for b in range(bins)) / len(correct))


def scores_by_class(
    y: np.ndarray, probability: np.ndarray, people: np.ndarray, labels: list[str], seed: int
) -> dict[str, dict]:
    """Per label, one against the rest: share recognised, precision, ROC and PR AUC with 95 % intervals over people."""
    said, result = probability.argmax(axis=1), {}
    for number, label in enumerate(labels):
        own = (y == number).astype(int)
        intervals = cluster_bootstrap(own, probability[:, number], people, N_BOOTSTRAP, seed)
        result[label] = {
            "n": int(own.sum()),
            "recall": float((said[own == 1] == number).mean()),
            "precision": float(own[said == number].mean()) if (said == number).any() else None,
            "roc_auc": float(metrics.roc_auc_score(own, probability[:, number])),
            "pr_auc": float(metrics.average_precision_score(own, probability[:, number])),
            "intervals_95": {name: intervals[name] for name in ("auc", "pr_auc") if name in intervals},
        }
    return result


def people_intervals(
    y: np.ndarray, said: np.ndarray, people: np.ndarray, n_classes: int, seed: int, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of accuracy, balanced_accuracy, macro_f1 and mcc when whole people are drawn with replacement.

    All four follow from a table of true and given labels, and tables of people add up. Empty with fewer than two people.
    """
    names, person = np.unique(people, return_inverse=True)
    if len(names) < 2:
        return {}
    tables = np.zeros((len(names), n_classes, n_classes))
    np.add.at(tables, (person, y, said), 1)
    drawn = np.random.default_rng(seed).integers(len(names), size=(N_BOOTSTRAP, len(names)))
    times = np.stack([np.bincount(row, minlength=len(names)) for row in drawn])
    values = scores_of_tables(np.tensordot(times, tables, axes=1))
    tails = (1 - level) / 2
    return {name: tuple(float(q) for q in np.nanquantile(v, (tails, 1 - tails))) for name, v in values.items()}


def scores_of_tables(tables: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of tables (n_draws, n_classes true, n_classes given) of counts."""
    total, true, given = tables.sum(axis=(1, 2)), tables.sum(axis=2), tables.sum(axis=1)
    right = np.diagonal(tables, axis1=1, axis2=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, f1 = right / true, 2 * right / (true + given)
        covariance = right.sum(axis=1) * total - (true * given).sum(axis=1)  # Gorodkin 2004
        spread = np.sqrt((total**2 - (given**2).sum(axis=1)) * (total**2 - (true**2).sum(axis=1)))
        return {
            "accuracy": right.sum(axis=1) / total,
            "balanced_accuracy": np.nanmean(recall, axis=1),
            "macro_f1": np.nanmean(f1, axis=1),
            "mcc": np.where(spread > 0, covariance / np.maximum(spread, 1e-300), 0),
        }


def scores_by(predictions: pd.DataFrame, column: str, y: np.ndarray, said: np.ndarray) -> dict[str, dict]:
    """Number of volumes and accuracy for each person or fold."""
    correct = pd.Series(said == y).groupby(predictions[column].to_numpy())
    return {str(key): {"n": int(len(part)), "accuracy": float(part.mean())} for key, part in correct}
