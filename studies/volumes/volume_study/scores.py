"""Scores of predictions among several classes, also of weighted volumes, from which their intervals follow."""

from functools import partial

from neuroface.decoding import expected_calibration_error, weighted_scores
from volume_study.crossed import crossed_intervals

import numpy as np
import pandas as pd
from sklearn import metrics


def scores(y: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    """All scores of a set of predictions.

    Parameters
    ----------
    y : (n,) class numbers; every class must occur. probability : (n, n_classes).

    Returns
    -------
    n, accuracy, balanced_accuracy, macro_f1, mcc, roc_auc and pr_auc (means over classes, one
    against the rest), log_loss, calibration_error (of the probability of the answer: Guo et al.
    2017, ICML).
    """
    predicted = probability.argmax(axis=1)
    one_hot = np.eye(probability.shape[1])[y]
    return {
        "n": int(len(y)),
        "accuracy": float((predicted == y).mean()),
        "balanced_accuracy": float(metrics.balanced_accuracy_score(y, predicted)),
        "macro_f1": float(metrics.f1_score(y, predicted, average="macro", zero_division=0)),
        "mcc": float(metrics.matthews_corrcoef(y, predicted)),
        "roc_auc": float(metrics.roc_auc_score(one_hot, probability, average="macro")),
        "pr_auc": float(metrics.average_precision_score(one_hot, probability, average="macro")),
        "log_loss": float(metrics.log_loss(y, probability, labels=np.arange(probability.shape[1]))),
        "calibration_error": expected_calibration_error(predicted == y, probability.max(axis=1)),
    }


def scores_of_values(y: np.ndarray, values: np.ndarray) -> dict[str, float]:
    """Scores of a model without probabilities, from its decision values (n, n_classes): those that need none."""
    all_scores = weighted_scores_of_all(y, values, np.ones((1, len(y))))
    return {"n": len(y)} | {
        name: float(score[0]) for name, score in all_scores.items() if name != "log_loss"
    }


def scores_by_class(
    y: np.ndarray,
    probability: np.ndarray,
    people: np.ndarray,
    episodes: np.ndarray,
    labels: list[str],
) -> dict[str, dict]:
    """Per label, one against the rest: share recognised, precision, ROC and PR AUC with 95 % crossed intervals."""
    predicted, result = probability.argmax(axis=1), {}
    for number, label in enumerate(labels):
        own = (y == number).astype(int)
        curves = partial(_areas, own, probability[:, number])
        result[label] = {
            "n": int(own.sum()),
            "recall": float((predicted[own == 1] == number).mean()),
            "precision": float(own[predicted == number].mean())
            if (predicted == number).any()
            else None,
            "roc_auc": float(metrics.roc_auc_score(own, probability[:, number])),
            "pr_auc": float(metrics.average_precision_score(own, probability[:, number])),
            "intervals_95": crossed_intervals(curves, people, episodes),
        }
    return result


def _areas(own: np.ndarray, value: np.ndarray, times: np.ndarray) -> dict[str, np.ndarray]:
    """ROC and PR AUC of weighted volumes, (n_samples,) each; NaN where a sample holds no volume of one side."""
    areas = {name: np.full(len(times), np.nan) for name in ("roc_auc", "pr_auc")}
    both = (times @ own > 0) & (times @ (1 - own) > 0)
    if both.any():
        values = weighted_scores(own, value, times[both])
        areas["roc_auc"][both], areas["pr_auc"][both] = values["auc"], values["pr_auc"]
    return areas


def weighted_scores_of_tables(
    y: np.ndarray, predicted: np.ndarray, n_classes: int, times: np.ndarray
) -> dict[str, np.ndarray]:
    """accuracy, balanced_accuracy, macro_f1 and mcc of weighted volumes: times (n_samples, n) → (n_samples,) each."""
    cell = np.eye(n_classes**2)[y * n_classes + predicted]
    return scores_of_tables((times @ cell).reshape(-1, n_classes, n_classes))


def weighted_scores_of_all(
    y: np.ndarray, probability: np.ndarray, times: np.ndarray
) -> dict[str, np.ndarray]:
    """All scores of :func:`scores` of weighted volumes but n and calibration_error: (n_samples, n) → (n_samples,) each."""
    n_classes = probability.shape[1]
    areas = [
        _areas((y == number).astype(int), probability[:, number], times)
        for number in range(n_classes)
    ]
    right = np.maximum(probability[np.arange(len(y)), y], np.finfo(float).eps)
    all_scores = weighted_scores_of_tables(y, probability.argmax(axis=1), n_classes, times)
    for name in ("roc_auc", "pr_auc"):
        all_scores[name] = np.mean([area[name] for area in areas], axis=0)
    all_scores["log_loss"] = -(times @ np.log(right)) / times.sum(axis=1)
    return all_scores


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


def scores_by(
    predictions: pd.DataFrame, column: str, y: np.ndarray, predicted: np.ndarray
) -> dict[str, dict]:
    """Number of volumes and accuracy for each person or fold."""
    correct = pd.Series(predicted == y).groupby(predictions[column].to_numpy())
    return {
        str(key): {"n": int(len(group)), "accuracy": float(group.mean())} for key, group in correct
    }
