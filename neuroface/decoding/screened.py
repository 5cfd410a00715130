"""Ridge regression that looks at few voxels: those whose mean over a window goes with the label, and at these most.

A response to the label is usually confined to few voxels; the others add noise to every decision. As in
univariate screening (Fan & Lv 2008, J. R. Stat. Soc. B 70:849) only the voxels with the largest
squared correlation r² of mean and label are kept, which are those with the largest t. As in the
adaptive lasso (Zou 2006, J. Am. Stat. Assoc. 101:1418) the penalty of a kept voxel can fall with its
own effect: its values are multiplied by |r|^power. The weight of every other voxel is 0.

Voxels are ranked anew in each training set of the inner cross-validation, on that set alone, and the
inner validation windows choose between the screens, plain ridge among them.
"""

from collections.abc import Iterator
from typing import NamedTuple

from neuroface.decoding.division import Fold
from neuroface.decoding.linear import Solution, separation, solve_each, window_features

import numpy as np


class Screen(NamedTuple):
    """Share of the voxels that are kept, and the power of |r| by which their values are multiplied."""

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
    X : (n, n_voxels, window_trs), read twice, some voxels at a time. window_kernel : (n, n) inner
    products of whole windows. y : (n,) of 0 and 1.
    """
    return next(solve_screened_each(X, window_kernel, np.asarray(y)[:, None], fold))


def solve_screened_each(
    X: np.ndarray, window_kernel: np.ndarray, labels: np.ndarray, fold: Fold
) -> Iterator[Screened]:
    """:func:`solve_screened` for many labellings (n, n_labellings), one after another; each ranks the voxels anew."""
    training_sets = [*(train for train, _ in fold.inner), fold.rows]
    correlations = squared_correlations(X, labels, training_sets)
    of_all_voxels = solve_each(window_kernel, labels, fold)
    for column, plain in enumerate(of_all_voxels):
        y = labels[:, column : column + 1]
        gains = {
            screen: [gains_of(of_set[column], screen) for of_set in correlations]
            for screen in SCREENS
        }
        kernels = _screened_kernels(X, gains, fold.rows)
        classifiers = [Screened(plain, np.ones(X.shape[1]), ALL_VOXELS)]
        for screen in SCREENS:
            kernel = _KernelOfTrainingSet(len(X), fold.rows, training_sets, kernels.pop(screen))
            classifiers.append(Screened(solve_each(kernel, y, fold)[0], gains[screen][-1], screen))
        separations = [
            separation(each.solution.inner_logit[None, :, None], y, fold)[0, 0]
            for each in classifiers
        ]
        yield classifiers[int(np.argmax(separations))]


def squared_correlations(
    X: np.ndarray, labels: np.ndarray, row_sets: list[np.ndarray]
) -> np.ndarray:
    """Squared correlation of each voxel's mean over time with the label, in some sets of windows; 0 for constant voxels.

    Parameters
    ----------
    X : (n, n_voxels, window_trs), read once. labels : (n, n_labellings) of 0 and 1.

    Returns
    -------
    (n_sets, n_labellings, n_voxels) float32.
    """
    correlations = np.zeros((len(row_sets), labels.shape[1], X.shape[1]), dtype=np.float32)
    start = 0
    for block in window_features(X, "mean"):
        voxels = slice(start, start + block.shape[1])
        for number, rows in enumerate(row_sets):
            means = block[rows].astype(np.float64)
            power = (means**2).sum(axis=0)
            means -= means.mean(axis=0)
            target = labels[rows] - labels[rows].mean(axis=0)
            total = np.outer((target**2).sum(axis=0), (means**2).sum(axis=0))
            varies = (total > 0) & ((means**2).sum(axis=0) > 1e-20 * power)
            np.divide(
                (target.T @ means) ** 2, total, out=correlations[number][:, voxels], where=varies,
                casting="same_kind",
            )  # fmt: skip
        start = voxels.stop
    return correlations


def gains_of(correlation: np.ndarray, screen: Screen) -> np.ndarray:
    """Factors (n_voxels,) of the voxels in the kernel: r^(2 power), relative to the largest, for those that are kept.

    Parameters
    ----------
    correlation : (n_voxels,) squared correlations r².
    """
    n_kept = max(1, round(screen.share * len(correlation)))
    kept = np.argsort(-correlation, kind="stable")[:n_kept]
    gains = np.zeros(len(correlation))
    largest = correlation[kept[0]]
    relative = correlation[kept] / largest if largest > 0 else np.ones(n_kept)
    gains[kept] = relative.astype(np.float64) ** screen.power
    return gains


class _KernelOfTrainingSet:
    """The kernel (n, n) of a training set, as :func:`neuroface.decoding.linear.solve_each` asks for it."""

    def __init__(self, n: int, rows: np.ndarray, training_sets: list, kernels: np.ndarray):
        self.n, self.rows = n, rows
        self.kernels = {
            of_set.tobytes(): kernel for of_set, kernel in zip(training_sets, kernels, strict=True)
        }

    def __call__(self, training_set: np.ndarray) -> np.ndarray:
        whole = np.zeros((self.n, self.n))
        whole[np.ix_(self.rows, self.rows)] = self.kernels[training_set.tobytes()]
        return whole


def _screened_kernels(
    X: np.ndarray, gains: dict[Screen, list[np.ndarray]], rows: np.ndarray
) -> dict[Screen, np.ndarray]:
    """Kernels (n_sets, n_rows, n_rows) of ``rows`` under each screen; X is read once, only voxels that a screen keeps.

    Parameters
    ----------
    gains : screen → (n_voxels,) factors for each training set.
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
