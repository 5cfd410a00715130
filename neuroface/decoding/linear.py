"""Ridge classification with the kernel of the windows: one n × n matrix for all folds and relabellings.

With n windows and far more features, ridge regression needs only the inner products of windows (Saunders, Gammerman &
Vovk 1998, ICML). A fold needs one eigendecomposition; relabelled data reuse it, so a permutation test costs little more
than one fit.
"""

from collections.abc import Iterator

from neuroface.decoding.folds import Fold
from neuroface.decoding.metrics import balanced_accuracies
from neuroface.decoding.uncertainty import p_value, permuted_labels

import numpy as np
import pandas as pd
from scipy import linalg
from sklearn.metrics import roc_auc_score

# Strengths of the penalty to choose from, as multiples of the mean variance of a training window.
PENALTIES = (1e-2, 1e-1, 1.0, 1e1, 1e2)
CHUNK_BYTES = 256 * 2**20


def window_features(X: np.ndarray, kind: str, voxels: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Features of all windows, some voxels at a time, so that X (n, n_voxels, window_trs) is never all in memory.

    Parameters
    ----------
    kind : "window": every voxel at every volume; "mean": each voxel's mean over the window.
    voxels : (n_voxels,) bool; only these. None: all.

    Yields
    ------
    (n, n_features) float32 blocks.
    """
    chosen = np.arange(X.shape[1]) if voxels is None else np.flatnonzero(voxels)
    step = max(1, CHUNK_BYTES // (len(X) * X.shape[2] * 4))
    for start in range(0, len(chosen), step):
        part = chosen[start : start + step]
        block = X[:, part[0] : part[-1] + 1][:, part - part[0]]
        yield block.mean(axis=2) if kind == "mean" else block.reshape(len(X), -1)


def window_kernel(blocks: Iterator[np.ndarray]) -> np.ndarray:
    """Inner products (n, n) float64 of windows, summed over blocks of their features."""
    return sum(np.asarray(block @ block.T, dtype=np.float64) for block in blocks)


def decision_values(kernel: np.ndarray, labels: np.ndarray, folds: list[Fold]) -> np.ndarray:
    """Held-out decision values of ridge classifiers, above 0 for the first condition (1).

    In each fold and for each labelling, the penalty is the one that best separates the classes of the inner validation
    set (difference of their means in units of spread). The final fit uses training and validation windows together.
    Features are centred on the training set; the threshold is midway between the classes' leave-one-out means.

    Parameters
    ----------
    kernel : (n, n), from :func:`window_kernel`. labels : (n, n_labellings) of 0 and 1.

    Returns
    -------
    (n, n_labellings) float64; rows that no fold holds out are NaN.
    """
    values = np.full(labels.shape, np.nan)
    for fold in folds:
        best = _best_penalty(kernel, labels, fold)
        outer = _fit_predict(kernel, labels, _everything(fold), fold.test)
        values[fold.test] = np.take_along_axis(outer, best[None, None, :], axis=0)[0]
    return values


def linear_pattern(X: np.ndarray, label: np.ndarray, folds: list[Fold]) -> np.ndarray:
    """Activation pattern (n_voxels, window_trs) float64 of the ridge classifiers; X is read twice, in parts."""
    weights, pattern = pattern_weights(window_kernel(window_features(X, "window")), label, folds), 0.0
    for start in range(0, len(X), 16):
        part = slice(start, start + 16)
        pattern = pattern + np.tensordot(weights[part], X[part], axes=1)
    return pattern


def pattern_weights(kernel: np.ndarray, label: np.ndarray, folds: list[Fold]) -> np.ndarray:
    """Weights (n,) of the windows whose weighted sum is the activation pattern of the ridge classifiers.

    A voxel with a large weight need not respond to the class: it may cancel noise. The pattern shows which voxels rise
    with the model's decision: cov(X, d) / SD(d), where d are its decision values on the windows of its fit (Haufe et
    al. 2014, NeuroImage 87:96). d is a sum over windows, so the pattern is one too, and cov(X) is never computed.

    Parameters
    ----------
    kernel : (n, n), from :func:`window_kernel`. label : (n,) of 0 and 1.

    Returns
    -------
    (n,) float64, the mean over folds; the pattern ``weights @ X.reshape(n, -1)`` is in units of X per SD of d.
    """
    weights, labels = np.zeros(len(label)), np.asarray(label)[:, None]
    for fold in folds:
        rows = _everything(fold)
        decision = _fit_predict(kernel, labels, rows, rows)[_best_penalty(kernel, labels, fold)[0], :, 0]
        decision = decision - decision.mean()
        weights[rows] += decision / decision.std(ddof=1) / (len(rows) - 1) / len(folds)
    return weights


def _everything(fold: Fold) -> np.ndarray:
    """Rows that the final fit of a fold may use."""
    return np.union1d(fold.train, fold.validation) if fold.validation is not fold.test else fold.train


def _best_penalty(kernel: np.ndarray, labels: np.ndarray, fold: Fold) -> np.ndarray:
    """Index into PENALTIES for each labelling, chosen on the inner validation set."""
    values = _fit_predict(kernel, labels, fold.train, fold.validation)
    return _separation(labels[fold.validation], values).argmax(axis=0)


def scores_by_split(
    kernel: np.ndarray,
    y: np.ndarray,
    samples: pd.DataFrame,
    folds: dict[str, list[Fold]],
    n_permutations: int,
    seed: int,
    positive: str,
) -> dict[str, dict]:
    """Per split: scores of the ridge classifier, and of the same cross-validation on relabelled events.

    Parameters
    ----------
    kernel : (n, n), from :func:`window_kernel`. y : (n,) 0 or 1. samples, positive : as :func:`permuted_labels` takes them.
    """
    labels = np.column_stack([y, permuted_labels(samples, n_permutations, seed, positive)])
    result = {}
    for split, part in folds.items():
        values = decision_values(kernel, labels, part)
        accuracy = balanced_accuracies(labels, values > 0)
        null = accuracy[1:]
        result[split] = {
            "accuracy": float(np.mean((values[:, 0] > 0) == y)),
            "balanced_accuracy": float(accuracy[0]),
            "auc": float(roc_auc_score(y, values[:, 0])),
            "n_permutations": len(null),
            "null_mean": float(null.mean()) if len(null) else None,
            "null_95": float(np.quantile(null, 0.95)) if len(null) else None,
            "p": p_value(accuracy[0], null) if len(null) else None,
        }
    return result


def _fit_predict(kernel: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Decision values (n_penalties, n_test, n_labellings), one eigendecomposition for all."""
    inside, across = kernel[np.ix_(train, train)], kernel[np.ix_(test, train)]
    column_mean = inside.mean(axis=0)
    across = across - column_mean - across.mean(axis=1, keepdims=True) + column_mean.mean()
    inside = inside - column_mean - column_mean[:, None] + column_mean.mean()
    eigenvalues, vectors = linalg.eigh(inside)
    eigenvalues = np.maximum(eigenvalues, 0)
    y = labels[train].astype(np.float64)
    n_positive = y.sum(axis=0)
    target = np.where(y == 1, 1 / n_positive, -1 / (len(y) - n_positive))  # sums to 0 for any balance
    projected = vectors.T @ target
    results = []
    for penalty in PENALTIES:
        shrunk = 1 / (eigenvalues + penalty * eigenvalues.mean())
        weights = vectors @ (shrunk[:, None] * projected)
        # Closed-form leave-one-out predictions of ridge regression: y − w / diag(G⁻¹).
        left_out = target - weights / ((vectors**2) @ shrunk)[:, None]
        positive_mean = np.where(y == 1, left_out, 0).sum(axis=0) / n_positive
        negative_mean = np.where(y == 0, left_out, 0).sum(axis=0) / (len(y) - n_positive)
        results.append(across @ weights - (positive_mean + negative_mean) / 2)
    return np.stack(results)


def _separation(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Difference of class means divided by the spread: (n_penalties, n_labellings); 0 if there is only one class."""
    positive = labels[None].astype(bool)
    n_positive = positive.sum(axis=1)
    n_negative = positive.shape[1] - n_positive
    positive_mean = np.where(positive, values, 0).sum(axis=1) / np.maximum(n_positive, 1)
    negative_mean = np.where(positive, 0, values).sum(axis=1) / np.maximum(n_negative, 1)
    separation = (positive_mean - negative_mean) / np.maximum(values.std(axis=1), 1e-300)
    return np.where((n_positive > 0) & (n_negative > 0), separation, 0)
