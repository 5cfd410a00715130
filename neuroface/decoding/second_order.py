"""A linear classifier with a second-order path: what two places do together can decide, not only what each does alone.

The logit of a window x with mean over time m is

    w · x  +  Σ_k s_k (u_k · (m − μ))²  +  b.

Ridge regression with a sum of three kernels (bands) gives all parameters in closed form: the means over time, the
deviations from these means, and the squared products of the centred means. The last band is the quadratic kernel (Poggio
1975, Biol. Cybern. 19:201); a penalty per band is banded ridge regression (Nunez-Elizalde et al. 2019, NeuroImage
197:482). The u_k are the leading eigenvectors of the quadratic form, as in common spatial patterns (Koles 1991).
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from neuroface.decoding.calibration import balanced_weights, log_losses, simplest_good_model
from neuroface.decoding.folds import Fold
from neuroface.decoding.linear import solve

import numpy as np
from scipy import linalg

# Weights of the bands (mean, deviation, second order) to choose from, simplest first.
BANDS = (
    (1.0, 0.0, 0.0),
    (1.0, 0.1, 0.0),
    (1.0, 0.5, 0.0),
    (1.0, 1.0, 0.0),
    (1.0, 0.1, 0.1),
    (1.0, 0.1, 1.0),
    (0.0, 0.0, 1.0),
)


class SecondOrder(NamedTuple):
    """The classifier in terms of the windows; see :func:`parameters` for its weights.

    Attributes
    ----------
    mean, deviation : (n,) coefficients of the windows in w. directions : (n_units, n) coefficients of the windows in u_k.
    strengths : (n_units,) s_k. rows : the windows that were fitted; μ is their mean.
    logit_of_rows : (n_rows,) logits of these windows; the network's intercept is chosen to keep their mean.
    inner_logit : (n,) logits of the inner cross-validation, NaN elsewhere. bands : the weights that were chosen.
    """

    mean: np.ndarray
    deviation: np.ndarray
    directions: np.ndarray
    strengths: np.ndarray
    rows: np.ndarray
    logit_of_rows: np.ndarray
    inner_logit: np.ndarray
    bands: tuple[float, float, float]
    penalty: float


def solve_second_order(
    window_kernel: np.ndarray,
    mean_kernel: np.ndarray,
    window_trs: int,
    y: np.ndarray,
    fold: Fold,
    events: np.ndarray,
    n_units: int,
) -> SecondOrder:
    """Fit the classifier to one fold; the bands and the penalty are chosen in the inner cross-validation.

    Among the choices of :data:`BANDS` it takes the simplest whose log loss is within one standard error of the best, so
    that the second-order path is used only where the training windows show a need for it.

    Parameters
    ----------
    window_kernel, mean_kernel : (n, n) inner products of whole windows and of their means over time. y : (n,) of 0 and 1.
    events : (n,) windows of the same event are not independent.
    n_units : number of u_k that are kept, those with the largest strengths.
    """
    rows = fold.rows
    centred = _centred(mean_kernel, rows)
    bands = [mean_kernel, window_kernel - window_trs * mean_kernel, centred**2]
    scales = [1 / max(_variance(band, rows), 1e-12) for band in bands]

    def kernel_of(weights) -> np.ndarray:
        return sum(weight * scale * band for weight, scale, band in zip(weights, scales, bands) if weight)

    solutions = [solve(kernel_of(weights), y, fold) for weights in BANDS]
    known = ~np.isnan(solutions[0].inner_logit)
    losses = [log_losses(y[known], solution.inner_logit[known]) for solution in solutions]
    chosen = simplest_good_model(losses, events[known], balanced_weights(y[known]))
    solution, weights = solutions[chosen], np.multiply(BANDS[chosen], scales)

    logit = kernel_of(BANDS[chosen])[rows] @ solution.coefficients + solution.intercept
    directions, strengths = _leading_directions(centred, solution.coefficients * weights[2], rows, n_units)
    return SecondOrder(
        # A window's mean counts in all of its volumes, so the weight of a volume is a part of the mean's.
        mean=solution.coefficients * weights[0] / window_trs,
        deviation=solution.coefficients * weights[1],
        directions=directions,
        strengths=strengths,
        rows=rows,
        logit_of_rows=logit,
        inner_logit=solution.inner_logit,
        bands=BANDS[chosen],
        penalty=solution.penalty,
    )


class Parameters(NamedTuple):
    """Weights of the classifier: weights (n_voxels, window_trs), directions (n_voxels, n_units), offsets and strengths
    (n_units,), intercept. The logit is Σ weights · x + Σ_k strengths_k (directions_k · m + offsets_k)² + intercept."""

    weights: np.ndarray
    directions: np.ndarray
    offsets: np.ndarray
    strengths: np.ndarray
    intercept: float


def parameters(chunks: Callable[[], Iterator[tuple[slice, np.ndarray]]], fit: SecondOrder) -> Parameters:
    """Weights of a fit, from two passes over the windows.

    Parameters
    ----------
    chunks : a function; each call iterates over (rows, windows (n_rows, n_voxels, window_trs)) of all windows.
    """
    weights, directions, centre = 0.0, 0.0, 0.0
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
    found = Parameters(weights, directions.T, offsets, fit.strengths, 0.0)
    logit = np.concatenate([logits_of(windows, found) for _, windows in chunks()])[fit.rows]
    return found._replace(intercept=float(np.mean(fit.logit_of_rows - logit)))


def logits_of(windows: np.ndarray, found: Parameters) -> np.ndarray:
    """Logits (n,) of windows (n, n_voxels, window_trs), in float64: what the network computes, written out."""
    second = windows.mean(axis=2, dtype=np.float64) @ found.directions + found.offsets
    linear = np.tensordot(windows.astype(np.float64), found.weights, axes=2)
    return linear + second**2 @ found.strengths + found.intercept


def _centred(kernel: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Inner products (n, n) of features that are centred on the mean of ``rows``."""
    mean = kernel[:, rows].mean(axis=1)
    return kernel - mean[:, None] - mean[None, :] + kernel[np.ix_(rows, rows)].mean()


def _variance(kernel: np.ndarray, rows: np.ndarray) -> float:
    """Mean squared distance of ``rows`` from their centre."""
    inside = kernel[np.ix_(rows, rows)]
    return float(np.trace(inside) / len(rows) - inside.mean())


def _leading_directions(centred: np.ndarray, coefficients: np.ndarray, rows: np.ndarray, n_units: int):
    """Directions (n_units, n), as coefficients of the windows, and strengths (n_units,) of the quadratic form.

    The form is A = Σ c_i (m_i − μ)(m_i − μ)ᵀ. Its eigenvectors are sums of the windows: with the kernel K = E S Eᵀ of
    ``rows`` they are (m − μ)ᵀ E S^-½ P, where P are the eigenvectors of S^½ Eᵀ diag(c) E S^½. The coefficients of a
    direction sum to 0, so that the mean of the windows can be added to or left out of them.
    """
    n_units = min(n_units, len(rows) - 1)
    values, vectors = linalg.eigh(centred[np.ix_(rows, rows)])
    kept = values > values[-1] * 1e-10
    root = np.sqrt(values[kept])
    form = (vectors[:, kept] * root).T @ (coefficients[rows, None] * vectors[:, kept] * root)
    strengths, axes = linalg.eigh(form)
    largest = np.argsort(-np.abs(strengths), kind="stable")[:n_units]
    directions = np.zeros((n_units, len(centred)))
    directions[: len(largest), rows] = ((vectors[:, kept] / root) @ axes[:, largest]).T
    directions[:, rows] -= directions[:, rows].mean(axis=1, keepdims=True)
    found = np.zeros(n_units)
    found[: len(largest)] = strengths[largest]
    return directions, found
