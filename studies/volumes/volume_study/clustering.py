"""Where the strongest voxels of labels lie: their overlap, their separation, and maps of them in two dimensions."""

import sys
import warnings

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA


def top_voxels(values: np.ndarray, n: int) -> np.ndarray:
    """Indices (n,) of the voxels with the largest values, largest first; the lower index where two are equal."""
    return np.argsort(-values, kind="stable")[:n]


def overlap_table(top: dict[str, np.ndarray]) -> pd.DataFrame:
    """Share of the strongest voxels that two labels have in common, a row and a column per label."""
    names = list(top)
    shares = [[len(np.intersect1d(top[one], top[other])) / len(top[one]) for other in names] for one in names]
    return pd.DataFrame(shares, index=names, columns=names)


def separation(distance: np.ndarray, labels: np.ndarray) -> float:
    """Silhouette (Rousseeuw 1987) of labels over places: 1 if each label's places are together and apart, 0 if they mix.

    Parameters
    ----------
    distance : (n, n) between the places. labels : (n,) whole numbers.
    """
    member = np.eye(labels.max() + 1)[labels]
    member = member[:, member.any(axis=0)]
    total, n = distance @ member, member.sum(axis=0)
    own = member.astype(bool)
    inside = total[own] / np.maximum(n[own.argmax(axis=1)] - 1, 1)
    outside = np.where(own, np.inf, total / n).min(axis=1)
    return float(np.mean((outside - inside) / np.maximum(np.maximum(outside, inside), 1e-300)))


def permuted_separation(
    distance: np.ndarray, people: np.ndarray, labels: np.ndarray, n_permutations: int, seed: int
) -> np.ndarray:
    """Silhouettes when in each person the maps have exchanged their labels, (n_permutations,).

    Whole maps are permuted, not single voxels: strong voxels of any smooth map lie together, so a null of permuted voxels
    would make every silhouette significant.

    Parameters
    ----------
    people, labels : (n,) whole numbers: from whose map of which label a place is.
    """
    rng, found = np.random.default_rng(seed), np.empty(n_permutations)
    maps = {who: np.unique(labels[people == who]) for who in np.unique(people)}
    for permutation in range(n_permutations):
        moved = np.empty_like(labels)
        for who, there in maps.items():
            renamed = dict(zip(there, rng.permutation(there)))
            mine = people == who
            moved[mine] = [renamed[label] for label in labels[mine]]
        found[permutation] = separation(distance, moved)
    return found


def principal_axes(positions_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (n, 3) on their first two principal axes (n, 2), and the share of variance of each."""
    model = PCA(n_components=2)
    return model.fit_transform(positions_mm), model.explained_variance_ratio_


def umap_of(features: np.ndarray, neighbors: int, min_dist: float, seed: int) -> np.ndarray:
    """UMAP (McInnes et al. 2018) of features (n, n_features) in two dimensions, seeded: (n, 2)."""
    umap = _import_umap()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "n_jobs value")  # a seed and several threads exclude each other
        return umap.UMAP(
            n_components=2, n_neighbors=min(neighbors, len(features) - 1), min_dist=min_dist, random_state=seed
        ).fit_transform(features)


def _import_umap():
    """The package, without TensorFlow: umap would load that for a neural variant that is not used here."""
    absent = "tensorflow" not in sys.modules
    if absent:
        sys.modules["tensorflow"] = None  # Python then says that it is not installed
    try:
        import umap
    finally:
        if absent:
            del sys.modules["tensorflow"]
    return umap
