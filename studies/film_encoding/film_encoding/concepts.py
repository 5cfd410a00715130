"""Concept activation vectors on the bottleneck: directions in voxel space, and whether reconstructions use them.

After Kim et al. 2018 (ICML). The null are concepts whose labels are shifted in time, so that they
come and go as slowly as the real ones.
"""

from film_encoding.shifts import distinct_shifts
from neuroface.decoding import p_value

import numpy as np
from sklearn.linear_model import Ridge


def shifted_labels(labels: np.ndarray, n: int, smallest: int, seed: int) -> np.ndarray:
    """Labels (n, n_moments) under n different circular shifts, or under all where there are fewer."""
    shifts = distinct_shifts([len(labels)], smallest, n, seed)
    return np.stack([np.roll(labels, lag) for (lag,) in shifts])


def concept_vectors(activations: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Unit vectors (n_concepts, n_voxels) from moments without a concept to moments with it, by ridge regression.

    Parameters
    ----------
    activations : (n_moments, n_voxels). labels : (n_concepts, n_moments) bool.
    """
    vectors = _ridge(activations).fit(activations, _targets(labels)).coef_
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def concept_accuracy(activations: np.ndarray, labels: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Balanced accuracy (n_concepts,) in blocks of time that the vectors were not made from; chance 0.5.

    Parameters
    ----------
    blocks : (n_moments,) each block is left out once.
    """
    predicted, targets = np.empty(labels.shape, dtype=bool), _targets(labels)
    for block in np.unique(blocks):
        out = blocks == block
        predicted[:, out] = (
            _ridge(activations).fit(activations[~out], targets[~out]).predict(activations[out]).T
            > 0
        )
    right = predicted == labels
    return (_share(right, labels) + _share(right, ~labels)) / 2


def sensitivity(gradients: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Share of moments whose reconstruction gets better along a vector: (n_concepts,) of gradients (n_moments,
    n_voxels).
    """
    return (gradients @ vectors.T > 0).mean(axis=0)


def concept_test(value: float, null: np.ndarray, middle: float | None = None) -> float:
    """p of a value against those of shifted concepts; two-sided around ``middle`` if it is given."""
    return (
        p_value(value, null)
        if middle is None
        else p_value(abs(value - middle), np.abs(null - middle))
    )


def pattern(activations: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean BOLD with the concept less that without (n_voxels,): what the concept looks like in the brain, not a filter
    for it (Haufe et al. 2014, NeuroImage 87:96)."""
    return activations[labels].mean(axis=0) - activations[~labels].mean(axis=0)


def _ridge(activations: np.ndarray) -> Ridge:
    """As much regularisation as there is variance: the mean eigenvalue of the kernel."""
    return Ridge(alpha=float((activations - activations.mean(axis=0)).var(axis=0).sum()))


def _targets(labels: np.ndarray) -> np.ndarray:
    """±1, scaled so that both classes weigh the same; (n_moments, n_concepts)."""
    share = labels.mean(axis=1, keepdims=True)
    return np.where(labels, 1 / np.maximum(share, 1e-9), -1 / np.maximum(1 - share, 1e-9)).T


def _share(right: np.ndarray, which: np.ndarray) -> np.ndarray:
    return (right & which).sum(axis=1) / np.maximum(1, which.sum(axis=1))
