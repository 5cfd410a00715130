"""Ridge classifiers that look at few voxels: those whose values differ most between labels.

The model of the same name in the face study, for K labels: :mod:`neuroface.decoding.screened` ranks
the voxels and makes the kernels of both. Voxels are ranked on the training volumes, and the inner
validation volumes choose between the screens, plain ridge among them.
"""

from neuroface.decoding import SCREENS, Fold, gains_of, screened_kernels, shares_between_labels
from volume_study.linear import ridge_of_fold

import numpy as np


def screened_values(
    X: np.ndarray, kernel: np.ndarray, y: np.ndarray, folds: list[Fold], n_classes: int
) -> np.ndarray:
    """Held-out decision values (n, n_classes); those of a fold have an SD of 1 on its validation set.

    Parameters
    ----------
    X : (n, n_voxels), read some voxels at a time. kernel : (n, n) inner products of its volumes.
    y : (n,) class numbers.
    """
    values = np.full((len(y), n_classes), np.nan)
    windows, all_rows = X[..., None], np.arange(len(X))
    for fold in folds:
        best, best_accuracy = ridge_of_fold(kernel, y, fold, n_classes)  # plain ridge
        shares = shares_between_labels(windows, y[:, None], [fold.train])[0, 0]
        for screen in SCREENS:
            # One at a time: a kernel of 13,000 volumes is 1.4 GB.
            kernels = screened_kernels(windows, {screen: [gains_of(shares, screen)]}, all_rows)
            candidate, accuracy = ridge_of_fold(kernels[screen][0], y, fold, n_classes)
            if accuracy > best_accuracy:
                best, best_accuracy = candidate, accuracy
        values[fold.test] = best
    return values
