"""Ridge classifiers that look at few voxels: those whose values differ most between labels.

The model of the same name in the face study, for K labels: :mod:`neuroface.decoding.screened` ranks
the voxels and makes the kernels of both. Voxels are ranked on the training volumes, and the inner
validation volumes choose between the screens, plain ridge among them.
"""

from neuroface.decoding import (
    SCREENS,
    Fold,
    gains_of,
    screened_kernels,
    shares_between_labels,
    weighted_sums,
    window_features,
)
from volume_study.linear import ridge_of_fold

import numpy as np


def fit_screened(
    X: np.ndarray, kernel: np.ndarray, y: np.ndarray, folds: list[Fold], n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Held-out decision values and the weights of voxels; values of a fold have an SD of 1 on its validation set.

    Parameters
    ----------
    X : (n, n_voxels), read some voxels at a time. kernel : (n, n) inner products of its volumes.
    y : (n,) class numbers.

    Returns
    -------
    values : (n, n_classes).
    weights : (n_folds, n_classes, n_voxels) float32; weight · volume is the value, up to a constant of fold and class.
    """
    values = np.full((len(y), n_classes), np.nan)
    weights = np.zeros((len(folds), n_classes, X.shape[1]), dtype=np.float32)
    windows, all_rows = X[..., None], np.arange(len(X))
    for number, fold in enumerate(folds):
        best, best_gains = ridge_of_fold(kernel, y, fold, n_classes), np.ones(X.shape[1])  # plain
        shares = shares_between_labels(windows, y[:, None], [fold.train])[0, 0]
        for screen in SCREENS:
            gains = gains_of(shares, screen)
            # One at a time: a kernel of 13,000 volumes is 1.4 GB.
            kernels = screened_kernels(windows, {screen: [gains]}, all_rows)
            candidate = ridge_of_fold(kernels[screen][0], y, fold, n_classes)
            if candidate.accuracy > best.accuracy:
                best, best_gains = candidate, gains
        values[fold.test] = best.values
        used = best_gains > 0
        sums = weighted_sums(window_features(windows, "window", used), best.coefficients)
        weights[number][:, used] = best_gains[used] * sums
    return values, weights
