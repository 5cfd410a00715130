"""Ridge regression on means of clusters: neighbouring voxels that are alike in the training windows count as one feature.

The mean of a cluster has less noise than its voxels, and the windows have fewer features (Thirion et
al. 2014, Front. Neurosci. 8:167; nilearn's FREM does the same). Clusters are Ward's (1963, J. Am.
Stat. Assoc. 58:236): two clusters that touch are joined if this adds least to the variance within
clusters. They know no labels, and come from the windows of one training set alone: each training set
of the inner cross-validation has its own.

The weight of a cluster is shared equally by its voxels, so the classifier is a linear one of voxels.
"""

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

from neuroface import NeuroFaceError
from neuroface.decoding.architectures import CLUSTERED
from neuroface.decoding.division import Fold
from neuroface.decoding.linear import (
    Solution,
    solve_each,
    weighted_sums,
    window_features,
    window_kernel,
)

import numpy as np
from scipy.sparse import csr_array
from sklearn.cluster import FeatureAgglomeration
from sklearn.feature_extraction.image import grid_to_graph

VOXELS_PER_CLUSTER = 10  # on average
# Whose means over time tell which voxels are alike. Ward's method holds twice as many numbers in float64.
MOST_WINDOWS = 1000


class Clustered(NamedTuple):
    """The classifiers of a fold, one per labelling, on the same clusters.

    Attributes
    ----------
    cluster : (n_voxels,) int, the cluster of each voxel.
    weights : (n_labellings, n_clusters, window_trs) float64, weight of each voxel of a cluster.
    intercepts : (n_labellings,), for windows as they are in X.
    solutions : in terms of the windows, with the kernel of the cluster means.
    """

    cluster: np.ndarray
    weights: np.ndarray
    intercepts: np.ndarray
    solutions: list[Solution]


def solve_clustered(
    X: np.ndarray, mask: np.ndarray, labels: np.ndarray, fold: Fold, voxels_per_cluster: int
) -> Clustered:
    """Fit the classifiers of a fold to some labellings; the penalties are chosen in its inner cross-validation.

    Parameters
    ----------
    X : (n, n_voxels, window_trs), read twice for each training set. mask : (x, y, z) bool, whose
    voxels X has. labels : (n, n_labellings) of 0 and 1.
    voxels_per_cluster : on average.
    """
    n_clusters = number_of_clusters(X.shape[1], voxels_per_cluster)
    cluster = cluster_voxels(X, fold.rows, mask, n_clusters)
    means = cluster_means(X, cluster)

    def kernel_of(training_set: np.ndarray) -> np.ndarray:
        if np.array_equal(training_set, fold.rows):
            return _kernel(means)
        of_set = cluster_voxels(X, training_set, mask, n_clusters)
        return _kernel(cluster_means(X, of_set))

    solutions = solve_each(kernel_of, labels, fold)
    coefficients = np.stack([solution.coefficients for solution in solutions])
    weights = weighted_sums(window_features(means, "window"), coefficients)
    centre = means[fold.rows].mean(axis=0, dtype=np.float64).ravel()
    at_mean = np.array([solution.logit_at_mean for solution in solutions])
    of_means = weights.reshape(len(weights), *means.shape[1:])
    size = np.bincount(cluster)
    return Clustered(cluster, of_means / size[:, None], at_mean - weights @ centre, solutions)


def voxels_per_cluster_of(options: Mapping[str, dict[str, Any]]) -> int:
    """The size of clusters in MODEL_OPTIONS, architecture → its own sizes."""
    return options.get(CLUSTERED, {}).get("voxels_per_cluster", VOXELS_PER_CLUSTER)


def number_of_clusters(n_voxels: int, voxels_per_cluster: int) -> int:
    """How many clusters have this many voxels on average.

    Raises
    ------
    NeuroFaceError
        If it is not a whole number above 0, or leaves fewer than two clusters.
    """
    is_whole = isinstance(voxels_per_cluster, int)
    if not is_whole or not 1 <= voxels_per_cluster <= n_voxels // 2:
        raise NeuroFaceError(
            f"MODEL_OPTIONS: clustered_ridge has voxels_per_cluster = {voxels_per_cluster!r}, and the group mask has "
            f"{n_voxels:,} voxels. Set a whole number from 1 to {n_voxels // 2:,}."
        )
    return n_voxels // voxels_per_cluster


def clustering_bytes(
    n_windows: int, n_voxels: int, window_trs: int, voxels_per_cluster: int
) -> int:
    """Memory that :func:`solve_clustered` adds, about, for one labelling."""
    n_clusters = number_of_clusters(n_voxels, voxels_per_cluster)
    means = 4 * n_windows * n_clusters * window_trs
    kernels = 10 * 8 * n_windows**2  # and what their eigenvectors need
    ward = (4 + 2 * 8) * n_voxels * min(n_windows, MOST_WINDOWS)
    # The means of the fold's clusters, and those of a training set, or what its clusters come from.
    return means + max(means + kernels, ward)


def cluster_voxels(
    X: np.ndarray, rows: np.ndarray, mask: np.ndarray, n_clusters: int
) -> np.ndarray:
    """The cluster (n_voxels,) of each voxel, by the means over time of some windows; at most MOST_WINDOWS of them.

    Parameters
    ----------
    X : (n, n_voxels, window_trs). rows : windows of one training set. mask : (x, y, z) bool.
    """
    if not has_neighbours(mask):
        raise NeuroFaceError(
            "clustered_ridge joins neighbouring voxels, and no two voxels of the group mask touch: parcels of tables have "
            "no neighbours. Remove it from MODELS."
        )
    step = -(-len(rows) // MOST_WINDOWS)
    means = np.stack([np.asarray(X[row]).mean(axis=1) for row in rows[::step]])
    neighbours = grid_to_graph(*mask.shape, mask=mask)
    with warnings.catch_warnings():
        # Voxels that touch no others are joined with the voxels that are most like them.
        warnings.filterwarnings("ignore", "the number of connected components", UserWarning)
        agglomeration = FeatureAgglomeration(n_clusters, connectivity=neighbours)
        return agglomeration.fit(means).labels_


def has_neighbours(mask: np.ndarray) -> bool:
    """Whether two voxels of a mask (x, y, z) share a side."""
    return any(
        (np.take(mask, range(1, n), axis) & np.take(mask, range(n - 1), axis)).any()
        for axis, n in enumerate(mask.shape)
    )


def cluster_means(X: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """The mean of each cluster in each volume, (n, n_clusters, window_trs) float32; X is read once."""
    size = np.bincount(cluster)
    voxel = np.arange(len(cluster))
    share = (1 / size[cluster]).astype(np.float32)
    averaging = csr_array((share, (cluster, voxel)), shape=(len(size), len(cluster)))
    means = np.empty((len(X), len(size), X.shape[2]), dtype=np.float32)
    for row, window in enumerate(X):
        means[row] = averaging @ window
    return means


def _kernel(means: np.ndarray) -> np.ndarray:
    return window_kernel(window_features(means, "window"))
