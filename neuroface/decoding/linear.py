"""Ridge classification with the kernel of the windows: one n × n matrix for all folds and relabellings.

With n windows and far more features, ridge regression needs only the inner products of windows
(Saunders, Gammerman & Vovk 1998, ICML). A fold needs one eigendecomposition; relabelled data reuse
it, so a permutation test costs little more than one fit.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from neuroface.decoding.calibration import calibration_slope
from neuroface.decoding.division import Fold
from neuroface.decoding.metrics import balanced_accuracies
from neuroface.decoding.uncertainty import p_value, permuted_labels

import numpy as np
import pandas as pd
from scipy import linalg
from sklearn.metrics import roc_auc_score

# Strengths of the penalty to choose from, as multiples of the mean eigenvalue of the centred
# training kernel.
PENALTIES = (1e-2, 1e-1, 1.0, 1e1, 1e2)
CHUNK_BYTES = 128 * 2**20  # of a block of features; its centred copy needs as much again


def window_features(
    X: np.ndarray, kind: str, voxels: np.ndarray | None = None
) -> Iterator[np.ndarray]:
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
        voxels_at_once = chosen[start : start + step]
        block = X[:, voxels_at_once[0] : voxels_at_once[-1] + 1][
            :, voxels_at_once - voxels_at_once[0]
        ]
        yield block.mean(axis=2) if kind == "mean" else block.reshape(len(X), -1)


def window_kernel(blocks: Iterator[np.ndarray]) -> np.ndarray:
    """Inner products (n, n) float64 of windows whose features were centred on all windows, summed over blocks of features.

    Raw BOLD has a mean of up to 10,000 and an SD of 30. Products of such float32 values round away
    the differences between windows, so each feature is centred before the product. Every classifier
    centres again, on its training windows.
    """
    kernel = np.zeros(())  # the first block gives it its shape
    for block in blocks:
        centred = block - block.mean(axis=0)
        kernel = kernel + (centred @ centred.T).astype(np.float64)
    return kernel


def decision_values(
    kernel: np.ndarray | Callable[[Fold], np.ndarray], labels: np.ndarray, folds: list[Fold]
) -> np.ndarray:
    """Held-out decision values of ridge classifiers, above 0 for the first condition (1).

    In each fold and for each labelling, the penalty is the one that best separates the classes in
    the fold's inner cross-validation (difference of their means in units of spread). The final fit
    uses all training windows. Features are centred on the training set; the threshold is midway
    between the classes' leave-one-out means.

    Parameters
    ----------
    kernel : (n, n), from :func:`window_kernel`, or a function that gives the kernel of a fold.
    labels : (n, n_labellings) of 0 and 1.

    Returns
    -------
    (n, n_labellings) float64; rows that no fold holds out are NaN.
    """
    values = np.full(labels.shape, np.nan)
    for fold in folds:
        of_fold = kernel(fold) if callable(kernel) else kernel
        best = _best_penalty(of_fold, labels, fold)
        outer = _fit_predict(of_fold, labels, fold.rows, fold.test)
        values[fold.test] = np.take_along_axis(outer, best[None, None, :], axis=0)[0]
    return values


def linear_pattern(X: np.ndarray, label: np.ndarray, folds: list[Fold]) -> np.ndarray:
    """Activation pattern (n_voxels, window_trs) float64 of the ridge classifiers; X is read twice, in parts."""
    weights = pattern_weights(window_kernel(window_features(X, "window")), label, folds)
    pattern = np.zeros(X.shape[1:])
    for start in range(0, len(X), 16):
        rows = slice(start, start + 16)
        pattern = pattern + np.tensordot(weights[rows], X[rows], axes=1)
    return pattern


def pattern_weights(kernel: np.ndarray, label: np.ndarray, folds: list[Fold]) -> np.ndarray:
    """Weights (n,) of the windows whose weighted sum is the activation pattern of the ridge classifiers.

    A voxel with a large weight need not respond to the class: it may cancel noise. The pattern
    shows which voxels rise with the model's decision: cov(X, d) / SD(d), where d are its decision
    values on the windows of its fit (Haufe et al. 2014, NeuroImage 87:96). d is a sum over windows,
    so the pattern is one too, and cov(X) is never computed.

    Parameters
    ----------
    kernel : (n, n), from :func:`window_kernel`. label : (n,) of 0 and 1.

    Returns
    -------
    (n,) float64, the mean over folds; the pattern ``weights @ X.reshape(n, -1)`` is in units of X
    per SD of d.
    """
    weights, labels = np.zeros(len(label)), np.asarray(label)[:, None]
    for fold in folds:
        rows = fold.rows
        decision = _fit_predict(kernel, labels, rows, rows)[
            _best_penalty(kernel, labels, fold)[0], :, 0
        ]
        decision = decision - decision.mean()
        weights[rows] += decision / decision.std(ddof=1) / (len(rows) - 1) / len(folds)
    return weights


def out_of_fold(
    kernel: np.ndarray | Callable[[np.ndarray], np.ndarray], labels: np.ndarray, fold: Fold
) -> np.ndarray:
    """Decision values in the inner cross-validation, for each penalty: (n_penalties, n, n_labellings), NaN outside it.

    Parameters
    ----------
    kernel : (n, n), or a function that gives it for the rows of a training set. labels : (n,
    n_labellings) of 0 and 1.
    """
    values = np.full((len(PENALTIES), *labels.shape), np.nan)
    for train, validation in fold.inner:
        of_train = kernel(train) if callable(kernel) else kernel
        values[:, validation] = _fit_predict(of_train, labels, train, validation)
    return values


def _best_penalty(kernel: np.ndarray, labels: np.ndarray, fold: Fold) -> np.ndarray:
    """Index into PENALTIES for each labelling: the best mean separation of the classes in the inner validation sets."""
    return _best_of(out_of_fold(kernel, labels, fold), labels, fold)


def _best_of(values: np.ndarray, labels: np.ndarray, fold: Fold) -> np.ndarray:
    return separation(values, labels, fold).argmax(axis=0)


def separation(values: np.ndarray, labels: np.ndarray, fold: Fold) -> np.ndarray:
    """How well decision values separate the classes in the inner validation sets, on average.

    Parameters
    ----------
    values : (n_models, n, n_labellings). labels : (n, n_labellings) of 0 and 1.

    Returns
    -------
    (n_models, n_labellings), the difference of the means of the classes in units of spread.
    """
    return np.mean([_separation(labels[rows], values[:, rows]) for _, rows in fold.inner], axis=0)


class Solution(NamedTuple):
    """A classifier in terms of the windows: logit(x) = Σ coefficients · k(x_i, x) + intercept.

    Attributes
    ----------
    coefficients : (n,) float64, 0 for windows that were not fitted; they sum to 0.
    inner_logit : (n,) logits of the inner cross-validation, NaN for windows that no inner
    validation set holds.
    penalty : the strength that was chosen.
    logit_at_mean : logit of the mean of the fitted windows. It is the intercept of the same
        classifier for features that are centred on these windows, so it does not depend on the
        origin of the kernel.
    slope : factor that turned decision values into logits.
    """

    coefficients: np.ndarray
    intercept: float
    inner_logit: np.ndarray
    penalty: float
    logit_at_mean: float
    slope: float


def solve(
    kernel: np.ndarray | Callable[[np.ndarray], np.ndarray], y: np.ndarray, fold: Fold
) -> Solution:
    """The ridge classifier of :func:`decision_values` for one labelling, calibrated on the inner cross-validation.

    Parameters
    ----------
    kernel : as for :func:`out_of_fold`. y : (n,) of 0 and 1.
    """
    return solve_each(kernel, np.asarray(y)[:, None], fold)[0]


def solve_with(
    kernel: np.ndarray, y: np.ndarray, rows: np.ndarray, penalty: float
) -> tuple[np.ndarray, float]:
    """Coefficients (n,) and intercept of the ridge classifier of ``rows`` with a penalty that was chosen before."""
    weights, intercepts = _fit(kernel, np.asarray(y)[:, None], rows)
    chosen = PENALTIES.index(penalty)
    coefficients = np.zeros(len(y))
    coefficients[rows] = weights[chosen, :, 0]
    return coefficients, float(intercepts[chosen, 0])


def solve_each(
    kernel: np.ndarray | Callable[[np.ndarray], np.ndarray], labels: np.ndarray, fold: Fold
) -> list[Solution]:
    """:func:`solve` for many labellings (n, n_labellings) of the same windows, which share every eigendecomposition."""
    rows, values = fold.rows, out_of_fold(kernel, labels, fold)
    best = _best_of(values, labels, fold)
    inner = np.take_along_axis(values, best[None, None, :], axis=0)[0]
    known = ~np.isnan(inner[:, 0])
    of_rows = kernel(rows) if callable(kernel) else kernel
    weights, intercepts = _fit(of_rows, labels, rows)
    mean = of_rows[np.ix_(rows, rows)].mean(axis=0)
    solutions = []
    for column, chosen in enumerate(best):
        slope = calibration_slope(labels[known, column], inner[known, column])
        coefficients = np.zeros(len(labels))
        coefficients[rows] = slope * weights[chosen, :, column]
        intercept = slope * float(intercepts[chosen, column])
        at_mean = float(mean @ coefficients[rows]) + intercept
        solutions.append(
            Solution(
                coefficients, intercept, slope * inner[:, column], PENALTIES[chosen], at_mean, slope
            )
        )
    return solutions


def weighted_sums(blocks: Iterator[np.ndarray], coefficients: np.ndarray) -> np.ndarray:
    """Weights of the features of linear models whose coefficients of windows are known.

    Parameters
    ----------
    blocks : result of :func:`window_features`. coefficients : (n_models, n).

    Returns
    -------
    (n_models, n_features) float64.
    """
    return np.concatenate([coefficients @ block.astype(np.float64) for block in blocks], axis=1)


def scores_by_split(
    kernel: np.ndarray | Callable[[Fold], np.ndarray],
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
    kernel : as for :func:`decision_values`. y : (n,) 0 or 1. samples, positive : as
    :func:`permuted_labels` takes them.
    """
    labels = np.column_stack([y, permuted_labels(samples, n_permutations, seed, positive)])
    result = {}
    for split, folds_of_split in folds.items():
        values = decision_values(kernel, labels, folds_of_split)
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


def _fit_predict(
    kernel: np.ndarray, labels: np.ndarray, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Decision values (n_penalties, n_test, n_labellings) of classifiers fitted to ``train``."""
    weights, intercepts = _fit(kernel, labels, train)
    return kernel[np.ix_(test, train)] @ weights + intercepts[:, None]


def class_targets(y: np.ndarray) -> np.ndarray:
    """Targets of ridge classification: n / (2 n₊) and −n / (2 n₋), which sum to 0 whatever the balance.

    They are ±1 for classes of equal size and do not shrink with n, so models of inner training sets
    and the final model have one scale.

    Parameters
    ----------
    y : (n,) or (n, n_labellings) of 0 and 1.
    """
    n, n_positive = len(y), y.sum(axis=0)
    positive = n / (2 * np.maximum(n_positive, 1))
    return np.where(y == 1, positive, -n / (2 * np.maximum(n - n_positive, 1)))


def _fit(
    kernel: np.ndarray, labels: np.ndarray, train: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (n_penalties, n_train, n_labellings) and intercepts (n_penalties, n_labellings).

    One eigendecomposition serves all penalties and labellings. As the targets
    (:func:`class_targets`) sum to 0, so do the coefficients, and centring the features on the
    training set changes the intercept only.
    """
    inside = kernel[np.ix_(train, train)]
    column_mean = inside.mean(axis=0)
    inside = inside - column_mean - column_mean[:, None] + column_mean.mean()
    eigenvalues, vectors = linalg.eigh(inside)
    eigenvalues = np.maximum(eigenvalues, 0)
    y = labels[train].astype(np.float64)
    n_positive = y.sum(axis=0)
    n, n_negative = len(y), np.maximum(len(y) - n_positive, 1)
    target = class_targets(y)
    projected = vectors.T @ target
    coefficients, intercepts = [], []
    for penalty in PENALTIES:
        strength = penalty * eigenvalues.mean()
        shrunk = 1 / (eigenvalues + strength)
        weights = vectors @ (shrunk[:, None] * projected)
        # Closed-form leave-one-out predictions of a ridge regression that is centred on the other n
        # − 1 windows. The leverage of a window holds 1 / n for the mean; the mean target of the
        # others, −target / (n − 1), is taken out.
        remaining = (vectors**2) @ shrunk - 1 / (n * strength)
        left_out = target * (1 + 1 / max(n - 1, 1)) - weights / remaining[:, None]
        positive_mean = np.where(y == 1, left_out, 0).sum(axis=0) / np.maximum(n_positive, 1)
        negative_mean = np.where(y == 0, left_out, 0).sum(axis=0) / n_negative
        coefficients.append(weights)
        intercepts.append(-column_mean @ weights - (positive_mean + negative_mean) / 2)
    return np.stack(coefficients), np.stack(intercepts)


def _separation(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Difference of class means divided by the spread: (n_penalties, n_labellings); 0 if there is only one class."""
    positive = labels[None].astype(bool)
    n_positive = positive.sum(axis=1)
    n_negative = positive.shape[1] - n_positive
    positive_mean = np.where(positive, values, 0).sum(axis=1) / np.maximum(n_positive, 1)
    negative_mean = np.where(positive, 0, values).sum(axis=1) / np.maximum(n_negative, 1)
    separation = (positive_mean - negative_mean) / np.maximum(values.std(axis=1), 1e-300)
    return np.where((n_positive > 0) & (n_negative > 0), separation, 0)
