"""Ridge regression that looks at few voxels: those whose mean over a window goes with the label, and at these most.

A response to the label is usually confined to few voxels; the others add noise to every decision. As in
univariate screening (Fan & Lv 2008, J. R. Stat. Soc. B 70:849) only the voxels with the largest
η² are kept, the share of the variance of the mean that lies between labels. With two labels it is
the squared correlation r² of mean and label, and its order is that of t². As in the adaptive lasso
(Zou 2006, J. Am. Stat. Assoc. 101:1418) the penalty of a kept voxel can fall with its own effect:
its values are multiplied by |r|^power, with r = η. The weight of every other voxel is 0.

Voxels are ranked anew in each training set of the inner cross-validation, on that set alone, and the
inner validation windows choose between the screens, plain ridge among them. The ridge classifiers
here have two labels; :func:`shares_between_labels`, :func:`gains_of` and :func:`screened_kernels`
take any number of them.
"""

from collections.abc import Iterator
from typing import NamedTuple

from neuroface.decoding.division import Fold
from neuroface.decoding.linear import (
    Solution,
    out_of_fold,
    separation,
    solve_after,
    solve_each,
    window_features,
)

import numpy as np


class Screen(NamedTuple):
    """Share of the voxels that are kept, and the power of η (two labels: |r|) by which their values are multiplied."""

    share: float
    power: int


ALL_VOXELS = Screen(1.0, 0)  # plain ridge regression
# Three powers, one share: all of them need the same voxels. Smaller shares decode as well and lose
# voxels that respond (docs/training.md).
SCREENS = (Screen(0.1, 0), Screen(0.1, 1), Screen(0.1, 2))


class Screened(NamedTuple):
    """The classifier of a fold: logit(x) = Σ_i coefficient_i Σ_v gain_v x_iv · x_v + intercept.

    Attributes
    ----------
    solution : in terms of the windows, with the kernel of the screened windows.
    gains : (n_voxels,) float64, factor of the weights of each voxel; 0: the voxel is not used.
    screen : the screen that the inner cross-validation chose.
    """

    solution: Solution
    gains: np.ndarray
    screen: Screen


def solve_screened(X: np.ndarray, window_kernel: np.ndarray, y: np.ndarray, fold: Fold) -> Screened:
    """Fit the classifier to one fold; all choices are made in its inner cross-validation.

    Parameters
    ----------
    X : (n, n_voxels, window_trs), read three times, some voxels at a time. window_kernel : (n, n) inner
    products of whole windows. y : (n,) of 0 and 1.
    """
    return next(solve_screened_each(X, window_kernel, np.asarray(y)[:, None], fold))


def solve_screened_each(
    X: np.ndarray, window_kernel: np.ndarray, labels: np.ndarray, fold: Fold
) -> Iterator[Screened]:
    """:func:`solve_screened` for many labellings (n, n_labellings), one after another; each ranks the voxels anew."""
    inner_sets = [train for train, _ in fold.inner]
    *shares_of_inner, shares_of_rows = shares_between_labels(X, labels, [*inner_sets, fold.rows])
    for column, plain in enumerate(solve_each(window_kernel, labels, fold)):
        y = labels[:, column : column + 1]
        gains = {
            screen: [gains_of(shares[column], screen) for shares in shares_of_inner]
            for screen in SCREENS
        }
        kernels = screened_kernels(X, gains, fold.rows)
        separations = {ALL_VOXELS: separation(plain.inner_logit[None, :, None], y, fold).max()}
        values = {}
        for screen in SCREENS:
            kernel = _KernelOfTrainingSet(len(X), fold.rows, inner_sets, kernels.pop(screen))
            values[screen] = out_of_fold(kernel, y, fold)
            separations[screen] = separation(values[screen], y, fold).max()
        chosen = max(separations, key=lambda screen: separations[screen])
        if chosen == ALL_VOXELS:
            yield Screened(plain, np.ones(X.shape[1]), ALL_VOXELS)
            continue
        # Only the chosen screen is fitted to the whole training set.
        of_rows = gains_of(shares_of_rows[column], chosen)
        kernels = screened_kernels(X, {chosen: [of_rows]}, fold.rows)
        kernel = _KernelOfTrainingSet(len(X), fold.rows, [fold.rows], kernels[chosen])
        (solution,) = solve_after(values[chosen], kernel(fold.rows), y, fold)
        yield Screened(solution, of_rows, chosen)


def shares_between_labels(
    X: np.ndarray, labels: np.ndarray, row_sets: list[np.ndarray]
) -> np.ndarray:
    """Share η² of the variance of each voxel's mean over time that lies between labels, in some sets of windows.

    Of two labels it is the squared correlation of the mean with the label. It is 0 for constant voxels.

    Parameters
    ----------
    X : (n, n_voxels, window_trs), read once. labels : (n, n_labellings) of 0, 1, …, K − 1.

    Returns
    -------
    (n_sets, n_labellings, n_voxels) float32.
    """
    shares = np.zeros((len(row_sets), labels.shape[1], X.shape[1]), dtype=np.float32)
    start = 0
    for block in window_features(X, "mean"):
        voxels = slice(start, start + block.shape[1])
        for number, rows in enumerate(row_sets):
            shares[number][:, voxels] = _shares_of_block(block[rows], labels[rows])
        start = voxels.stop
    return shares


def _shares_of_block(block: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """η² (n_labellings, n_voxels) float64 of some windows' means over time (n, n_voxels)."""
    means = block.astype(np.float64)
    power = (means**2).sum(axis=0)
    means -= means.mean(axis=0)
    total = (means**2).sum(axis=0)
    between = np.zeros((labels.shape[1], block.shape[1]))
    for label in np.unique(labels):
        own = labels == label
        n_own = own.sum(axis=0)
        there = (n_own > 0) & (n_own < len(labels))  # otherwise the sum is 0, up to rounding
        weight = np.where(there, 1 / np.maximum(n_own, 1), 0.0)
        between += weight[:, None] * (own.T.astype(np.float64) @ means) ** 2
    varies = total > 1e-20 * power
    return np.divide(between, total, out=np.zeros_like(between), where=varies)


def gains_of(shares: np.ndarray, screen: Screen) -> np.ndarray:
    """Factors (n_voxels,) of the voxels in the kernel: η^(2 power), relative to the largest, for those that are kept.

    Parameters
    ----------
    shares : (n_voxels,) η² of each voxel, from :func:`shares_between_labels`.
    """
    n_kept = max(1, round(screen.share * len(shares)))
    kept = np.argsort(-shares, kind="stable")[:n_kept]
    gains = np.zeros(len(shares))
    largest = shares[kept[0]]
    relative = shares[kept] / largest if largest > 0 else np.ones(n_kept)
    gains[kept] = relative.astype(np.float64) ** screen.power
    return gains


def screened_kernels(
    X: np.ndarray, gains: dict[Screen, list[np.ndarray]], rows: np.ndarray
) -> dict[Screen, np.ndarray]:
    """Kernels (n_sets, n_rows, n_rows) of ``rows`` under each screen; X is read once, only voxels that a screen keeps.

    Parameters
    ----------
    gains : screen → (n_voxels,) factors for each training set. rows : the windows of the kernels; each feature is
    centred on them.
    """
    used = np.any([of_set > 0 for of_sets in gains.values() for of_set in of_sets], axis=0)
    order, start = np.flatnonzero(used), 0
    kernels = {
        screen: np.zeros((len(of_sets), len(rows), len(rows))) for screen, of_sets in gains.items()
    }
    for block in window_features(X, "window", used):
        block = block.reshape(len(X), -1, X.shape[2])[rows]
        block -= block.mean(axis=0)
        voxels = order[start : start + block.shape[1]]
        start += block.shape[1]
        for screen, of_sets in gains.items():
            for number, of_set in enumerate(of_sets):
                kept = of_set[voxels] > 0
                factor = np.sqrt(of_set[voxels][kept]).astype(np.float32)
                scaled = (block[:, kept] * factor[:, None]).reshape(len(rows), -1)
                kernels[screen][number] += scaled @ scaled.T
    return kernels


class _KernelOfTrainingSet:
    """The kernel (n, n) of a training set, as :func:`neuroface.decoding.linear.out_of_fold` asks for it."""

    def __init__(self, n: int, rows: np.ndarray, training_sets: list, kernels: np.ndarray):
        self.n, self.rows = n, rows
        self.kernels = {
            of_set.tobytes(): kernel for of_set, kernel in zip(training_sets, kernels, strict=True)
        }

    def __call__(self, training_set: np.ndarray) -> np.ndarray:
        whole = np.zeros((self.n, self.n))
        whole[np.ix_(self.rows, self.rows)] = self.kernels[training_set.tobytes()]
        return whole
