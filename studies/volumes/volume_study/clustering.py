"""Where the strongest voxels of labels lie: their overlap, their separation, and maps of them in two dimensions."""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score


def top_voxels(values: np.ndarray, n: int) -> np.ndarray:
    """Indices (n,) of the voxels with the largest values, largest first; the lower index where two are equal."""
    return np.argsort(-values, kind="stable")[:n]


def overlap_table(top: dict[str, np.ndarray]) -> pd.DataFrame:
    """Share of the strongest voxels that two labels have in common, a row and a column per label."""
    names = list(top)
    shares = [[len(np.intersect1d(top[one], top[other])) / len(top[one]) for other in names] for one in names]
    return pd.DataFrame(shares, index=names, columns=names)


def separation(top: dict[str, np.ndarray], positions_mm: np.ndarray) -> float:
    """Silhouette (Rousseeuw 1987) of labels over the places (n_voxels, 3) of their strongest voxels: 1 apart, 0 mixed."""
    place = np.concatenate([positions_mm[voxels] for voxels in top.values()])
    return float(silhouette_score(place, np.repeat(np.arange(len(top)), [len(voxels) for voxels in top.values()])))


def permuted_separation(
    maps: np.ndarray, there: np.ndarray, positions_mm: np.ndarray, n_top: int, n_permutations: int, seed: int
) -> np.ndarray:
    """Silhouettes when each person's maps have exchanged their labels, (n_permutations,).

    Strong voxels of any smooth map lie together, so permuted voxels would make every silhouette significant. Here whole
    maps are permuted within people: what is left of the separation is what smooth maps have without the labels.

    Parameters
    ----------
    maps : (n_people, n_labels, n_voxels); there : (n_people, n_labels) bool, which of them exist.
    """
    rng, found = np.random.default_rng(seed), np.empty(n_permutations)
    for permutation in range(n_permutations):
        total, n = np.zeros(maps.shape[1:]), np.zeros(maps.shape[1])
        for person, known in zip(maps, there):
            labels = np.flatnonzero(known)
            moved = rng.permutation(labels)
            total[moved] += person[labels]
            n[moved] += 1
        mean = total / n[:, None]
        found[permutation] = separation({k: top_voxels(values, n_top) for k, values in enumerate(mean)}, positions_mm)
    return found


def principal_axes(positions_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (n, 3) on their first two principal axes (n, 2), and the share of variance of each."""
    model = PCA(n_components=2)
    return model.fit_transform(positions_mm), model.explained_variance_ratio_


def umap_of(features: np.ndarray, neighbors: int, min_dist: float, seed: int) -> np.ndarray:
    """UMAP (McInnes et al. 2018) of features (n, n_features) in two dimensions, seeded: (n, 2)."""
    import warnings

    import umap

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "n_jobs value")  # a seed and several threads exclude each other
        return umap.UMAP(
            n_components=2, n_neighbors=min(neighbors, len(features) - 1), min_dist=min_dist, random_state=seed
        ).fit_transform(features)
