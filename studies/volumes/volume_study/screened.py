"""Ridge classifiers that look at few voxels: those whose values differ most between labels.

The model of the same name in the face study (``neuroface/decoding/screened.py``), for K labels.
Voxels are ranked by η², the share of their variance that lies between labels; with two labels this
is the squared correlation with the label. Voxels are ranked on the training volumes, and the inner
validation volumes choose between the screens, plain ridge among them.
"""

from collections.abc import Iterator

from neuroface.decoding import SCREENS, Fold, gains_of, window_features, window_kernel
from volume_study.linear import ridge_of_fold

import numpy as np
from sklearn.feature_selection import f_classif


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
    for fold in folds:
        best, best_accuracy = ridge_of_fold(kernel, y, fold, n_classes)  # plain ridge
        share = between_share(X, y, fold.train)
        for screen in SCREENS:
            screened = window_kernel(_scaled(X, gains_of(share, screen)))
            candidate, accuracy = ridge_of_fold(screened, y, fold, n_classes)
            if accuracy > best_accuracy:
                best, best_accuracy = candidate, accuracy
        values[fold.test] = best
    return values


def between_share(X: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """η² (n_voxels,): the share of a voxel's variance that lies between the labels of some volumes; 0 if it is constant."""
    n_labels = len(np.unique(y[rows]))
    shares = []
    for block in window_features(X[..., None], "window"):
        inside = block[rows].astype(np.float64)
        varies = np.ptp(inside, axis=0) > 0
        between = np.zeros(block.shape[1])
        F, _ = f_classif(inside[:, varies], y[rows])
        between[varies] = 1 / (1 + (len(rows) - n_labels) / np.maximum((n_labels - 1) * F, 1e-300))
        shares.append(between)
    return np.concatenate(shares)


def _scaled(X: np.ndarray, gains: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks (n, n_kept) of the voxels that a screen keeps, times the square roots of their gains."""
    roots = np.sqrt(gains[gains > 0]).astype(np.float32)
    start = 0
    for block in window_features(X[..., None], "window", gains > 0):
        stop = start + block.shape[1]
        yield block * roots[start:stop]
        start = stop
