"""A linear classifier with a second-order path: it also uses products of two voxels.

The logit of a window x with mean over time m is

    w · x  +  Σ_k s_k (u_k · (m − μ))²  +  b.

Both paths are ridge classifiers in closed form. The second one uses the quadratic kernel of the
centred means (Poggio 1975, Biol. Cybern. 19:201), and the u_k are the leading eigenvectors of its
quadratic form, as in common spatial patterns (Koles 1991). Only some u_k are kept. They are kept in
every model of the inner cross-validation too, and a logistic regression of these out-of-fold logits
combines the two paths (stacking: Wolpert 1992, Neural Networks 5:241), so its weights and intercept
belong to the network that is stored. The second-order path is left out where it does not improve
the inner cross-validation by more than two standard errors over the same logistic regression of the
linear path alone; the classifier is then ridge regression.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from neuroface.decoding.calibration import balanced_weights, log_losses, simplest_good_model
from neuroface.decoding.division import Fold
from neuroface.decoding.linear import Solution, solve_each, solve_with

import numpy as np
from scipy import linalg
from sklearn.linear_model import LogisticRegression

# Weight of the deviations from the mean over time, relative to that of the means, simplest first;
# 1: whole windows.
DEVIATIONS = (0.0, 0.1, 1.0)


class SecondOrder(NamedTuple):
    """The classifier in terms of the windows; see :func:`parameters` for its weights.

    Attributes
    ----------
    mean, deviation : (n,) coefficients of the windows in w. directions : (n_units, n) coefficients
    of the windows in u_k.
    strengths : (n_units,) s_k. rows : the windows that were fitted; μ is their mean.
    logit_of_rows : (n_rows,) logits of these windows, from the directions that are kept.
    inner_logit : (n,) logits of the inner cross-validation, from as many directions; NaN elsewhere.
    chosen : what was chosen: ``deviation`` of DEVIATIONS, ``linear`` and ``second_order``, the
    weights of the two paths.
    """

    mean: np.ndarray
    deviation: np.ndarray
    directions: np.ndarray
    strengths: np.ndarray
    rows: np.ndarray
    logit_of_rows: np.ndarray
    inner_logit: np.ndarray
    chosen: dict[str, float]


def solve_second_order(
    window_kernel: np.ndarray,
    mean_kernel: np.ndarray,
    window_trs: int,
    y: np.ndarray,
    fold: Fold,
    groupings: tuple[np.ndarray, np.ndarray],
    n_units: int,
) -> SecondOrder:
    """Fit the classifier to one fold; all choices are made in its inner cross-validation.

    Parameters
    ----------
    window_kernel, mean_kernel : (n, n) inner products of whole windows and of their means over
    time. y : (n,) of 0 and 1.
    groupings : event and person (n,) of each window; windows that share one of them are not
    independent.
    n_units : number of u_k that are kept, those with the largest strengths.
    """
    labels = np.asarray(y)[:, None]
    return next(
        solve_second_order_each(
            window_kernel, mean_kernel, window_trs, labels, fold, groupings, n_units
        )
    )


def solve_second_order_each(
    window_kernel: np.ndarray,
    mean_kernel: np.ndarray,
    window_trs: int,
    labels: np.ndarray,
    fold: Fold,
    groupings: tuple[np.ndarray, np.ndarray],
    n_units: int,
) -> Iterator[SecondOrder]:
    """:func:`solve_second_order` for many labellings (n, n_labellings), one after another; they share decompositions."""
    # Inner products of whole windows are those of the means, counted in every volume, plus those of
    # the deviations.
    means = window_trs * mean_kernel
    kernels = [means + weight * (window_kernel - means) for weight in DEVIATIONS]
    linear = zip(*(solve_each(kernel, labels, fold) for kernel in kernels))
    second = solve_each(partial(_quadratic_kernel, mean_kernel), labels, fold)
    for y, firsts, quadratic in zip(labels.T, linear, second):
        yield _combined(kernels, mean_kernel, y, fold, groupings, n_units, firsts, quadratic)


def _combined(
    kernels: list[np.ndarray],
    mean_kernel: np.ndarray,
    y: np.ndarray,
    fold: Fold,
    groupings: tuple[np.ndarray, np.ndarray],
    n_units: int,
    linear: tuple[Solution, ...],
    second: Solution,
) -> SecondOrder:
    """The best of the linear classifiers (one per kernel), and the second-order path where it helps."""
    rows = fold.rows
    known = ~np.isnan(linear[0].inner_logit)
    weights = balanced_weights(y[known])

    def simplest(logits: list[np.ndarray], errors: float) -> int:
        losses = [log_losses(y[known], logit) for logit in logits]
        return simplest_good_model(
            losses, tuple(names[known] for names in groupings), weights, errors
        )

    def stacked_logit(paths: np.ndarray) -> np.ndarray:
        share, intercept = _stacked(paths[known], y[known], weights)
        return paths[known] @ share + intercept

    best = simplest([solution.inner_logit[known] for solution in linear], errors=1)
    first, kernel = linear[best], kernels[best]
    alone = stacked_logit(first.inner_logit[:, None])
    linear_only = SecondOrder(
        mean=first.coefficients,
        deviation=DEVIATIONS[best] * first.coefficients,
        directions=np.zeros((n_units, len(y))),
        strengths=np.zeros(n_units),
        rows=rows,
        logit_of_rows=kernel[rows] @ first.coefficients + first.intercept,
        inner_logit=first.inner_logit,
        chosen={"deviation": DEVIATIONS[best], "linear": 1.0, "second_order": 0.0},
    )
    # Squares of inner products of two windows that are centred on their mean are all alike: with one
    # window of each class an inner training set has no second-order path.
    if not np.isfinite(second.inner_logit[known]).all():
        return linear_only
    # A path that does not help with all its directions is not tried with few.
    if (
        simplest(
            [alone, stacked_logit(np.column_stack([first.inner_logit, second.inner_logit]))],
            errors=1,
        )
        == 0
    ):
        return linear_only
    inner_second, final = _second_paths(mean_kernel, y, fold, second, n_units)
    paths = np.column_stack([first.inner_logit, inner_second])
    if simplest([alone, stacked_logit(paths)], errors=2) == 0:
        return linear_only
    share, intercept = _stacked(paths[known], y[known], weights)
    return SecondOrder(
        mean=share[0] * linear_only.mean,
        deviation=share[0] * linear_only.deviation,
        directions=final.directions,
        strengths=share[1] * final.strengths,
        rows=rows,
        logit_of_rows=share[0] * linear_only.logit_of_rows
        + share[1] * final.logit[rows]
        + intercept,
        inner_logit=paths @ share + intercept,
        chosen={
            "deviation": DEVIATIONS[best],
            "linear": float(share[0]),
            "second_order": float(share[1]),
        },
    )


class _SecondPath(NamedTuple):
    """A second-order path with the directions that are kept: directions (n_units, n), strengths (n_units,), logit (n,)."""

    directions: np.ndarray
    strengths: np.ndarray
    logit: np.ndarray


def _second_paths(
    mean_kernel: np.ndarray, y: np.ndarray, fold: Fold, second: Solution, n_units: int
) -> tuple[np.ndarray, _SecondPath]:
    """Out-of-fold logits (n,) of the second-order path with few directions, and the path of the final fit."""
    inner = np.full(len(y), np.nan)
    for train, validation in fold.inner:
        coefficients, intercept = solve_with(
            _quadratic_kernel(mean_kernel, train), y, train, second.penalty
        )
        path = _truncated(
            mean_kernel, train, second.slope * coefficients, second.slope * intercept, n_units
        )
        inner[validation] = path.logit[validation]
    return inner, _truncated(mean_kernel, fold.rows, second.coefficients, second.intercept, n_units)


def _truncated(
    mean_kernel: np.ndarray,
    rows: np.ndarray,
    coefficients: np.ndarray,
    intercept: float,
    n_units: int,
) -> _SecondPath:
    """The path with the n_units strongest directions of a quadratic classifier that was fitted to ``rows``."""
    centred = _centred(mean_kernel, rows)
    directions, strengths = _leading_directions(centred, coefficients, rows, n_units)
    return _SecondPath(directions, strengths, (centred @ directions.T) ** 2 @ strengths + intercept)


def _stacked(paths: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights of the paths, none of them negative, and intercept of a logistic regression of their logits (n, n_paths)."""
    kept = np.ones(paths.shape[1], dtype=bool)
    while True:
        stack = LogisticRegression(C=100.0).fit(paths[:, kept], y, sample_weight=weights)
        if stack.coef_.min() >= 0 or kept.sum() == 1:
            share = np.zeros(len(kept))
            share[kept] = np.maximum(stack.coef_[0], 0)
            return share, float(stack.intercept_[0])
        kept[np.flatnonzero(kept)[stack.coef_[0].argmin()]] = False


class Parameters(NamedTuple):
    """Weights of the classifier: weights (n_voxels, window_trs), directions (n_voxels, n_units), offsets and strengths
    (n_units,), intercept. The logit is Σ weights · x + Σ_k strengths_k (directions_k · m + offsets_k)² + intercept."""

    weights: np.ndarray
    directions: np.ndarray
    offsets: np.ndarray
    strengths: np.ndarray
    intercept: float


def parameters(
    chunks: Callable[[], Iterator[tuple[slice, np.ndarray]]], fit: SecondOrder
) -> Parameters:
    """Weights of a fit, from two passes over the windows.

    Parameters
    ----------
    chunks : a function; each call iterates over (rows, windows (n_rows, n_voxels, window_trs)) of
    all windows.
    """
    weights, directions, centre = np.zeros(()), np.zeros(()), np.zeros(())
    fitted = np.zeros(len(fit.mean))
    fitted[fit.rows] = 1 / len(fit.rows)
    for rows, windows in chunks():
        mean = windows.mean(axis=2, dtype=np.float64)
        deviation = windows - mean[:, :, None]
        weights = weights + np.tensordot(fit.deviation[rows], deviation, axes=1)
        weights = weights + np.tensordot(fit.mean[rows], mean, axes=1)[:, None]
        directions = directions + fit.directions[:, rows] @ mean
        centre = centre + fitted[rows] @ mean
    offsets = -directions @ centre
    without_intercept = Parameters(weights, directions.T, offsets, fit.strengths, 0.0)
    logit = np.concatenate([logits_of(windows, without_intercept) for _, windows in chunks()])[
        fit.rows
    ]
    return without_intercept._replace(intercept=float(np.mean(fit.logit_of_rows - logit)))


def logits_of(windows: np.ndarray, fitted: Parameters) -> np.ndarray:
    """Logits (n,) of windows (n, n_voxels, window_trs), in float64: what the network computes, written out."""
    second = windows.mean(axis=2, dtype=np.float64) @ fitted.directions + fitted.offsets
    linear = np.tensordot(windows.astype(np.float64), fitted.weights, axes=2)
    return linear + second**2 @ fitted.strengths + fitted.intercept


def _centred(kernel: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Inner products (n, n) of features that are centred on the mean of ``rows``."""
    mean = kernel[:, rows].mean(axis=1)
    return kernel - mean[:, None] - mean[None, :] + kernel[np.ix_(rows, rows)].mean()


def _quadratic_kernel(mean_kernel: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Squared inner products (n, n) of the means over time, centred on the mean of ``rows``."""
    return _centred(mean_kernel, rows) ** 2


def _leading_directions(
    centred: np.ndarray, coefficients: np.ndarray, rows: np.ndarray, n_units: int
):
    """Directions (n_units, n), as coefficients of the windows, and strengths (n_units,) of the quadratic form.

    The form is A = Σ c_i (m_i − μ)(m_i − μ)ᵀ. Its eigenvectors are sums of the windows: with the
    kernel K = E S Eᵀ of ``rows`` they are (m − μ)ᵀ E S^-½ P, where P are the eigenvectors of S^½ Eᵀ
    diag(c) E S^½. The coefficients of a direction sum to 0, so that the mean of the windows can be
    added to or left out of them.
    """
    values, vectors = linalg.eigh(centred[np.ix_(rows, rows)])
    kept = values > values[-1] * 1e-10
    root = np.sqrt(values[kept])
    form = (vectors[:, kept] * root).T @ (coefficients[rows, None] * vectors[:, kept] * root)
    strengths, axes = linalg.eigh(form)
    # n windows have n − 1 directions; the others of a network with more units stay 0.
    largest = np.argsort(-np.abs(strengths), kind="stable")[: min(n_units, len(rows) - 1)]
    directions = np.zeros((n_units, len(centred)))
    directions[: len(largest), rows] = ((vectors[:, kept] / root) @ axes[:, largest]).T
    directions[:, rows] -= directions[:, rows].mean(axis=1, keepdims=True)
    leading = np.zeros(n_units)
    leading[: len(largest)] = strengths[largest]
    return directions, leading
