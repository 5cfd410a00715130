"""Where the strongest voxels of labels lie: their overlap, their separation, and maps of them in two dimensions."""

import sys
import warnings

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA


def top_voxels(values: np.ndarray, n: int) -> np.ndarray:
    """Indices (n,) of the voxels with the largest values, largest first; the lower index where two are equal."""
    if n >= len(values):
        return np.argsort(-values, kind="stable")
    least = np.partition(values, -n)[
        -n
    ]  # sorting all voxels of a brain would take most of a permutation's time
    candidates = np.flatnonzero(values >= least)
    return candidates[np.argsort(-values[candidates], kind="stable")[:n]]


def overlap_table(top: dict[str, np.ndarray]) -> pd.DataFrame:
    """Share of the strongest voxels that two labels have in common, a row and a column per label."""
    names = list(top)
    shares = [
        [len(np.intersect1d(top[first], top[second])) / len(top[first]) for second in names]
        for first in names
    ]
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


def separation_of_maps(
    maps: np.ndarray, there: np.ndarray, positions: np.ndarray, n_each: int
) -> float:
    """Silhouette of labels over the strongest voxels of people's maps.

    Parameters
    ----------
    maps : (n_people, n_labels, n_voxels). there : (n_people, n_labels) bool, which maps exist.
    positions : (n_voxels, 3).
    n_each : voxels that each map gives.
    """
    cells = np.argwhere(there)
    voxels = np.concatenate([top_voxels(maps[who, label], n_each) for who, label in cells])
    places = positions[voxels]
    return separation(cdist(places, places), np.repeat(cells[:, 1], n_each))


def exchanged_separations(
    maps: np.ndarray, labels: np.ndarray, viewers: np.ndarray, positions: np.ndarray, n_each: int, n_permutations: int,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """Silhouettes of the maps of one fold: first as they are, then when held-out episodes have exchanged their labels.

    Labels are exchanged alike for all people. People's maps come from the same network and the same
    episodes, so labels that were exchanged anew in each person would make every silhouette
    significant.

    Parameters
    ----------
    maps : (n_people, n_episodes, n_labels, n_voxels) of each person's held-out episodes, explained
        for each label; NaN where a person has no such episode. labels : (n_episodes,) numbers.
        viewers : (n_episodes,) who saw it.

    Returns
    -------
    (1 + n_permutations,).
    """
    seen = np.isfinite(maps[:, :, 0, 0])
    maps, separations, moved = np.nan_to_num(maps), np.empty(1 + n_permutations), labels.copy()
    for number in range(1 + n_permutations):
        for who in np.unique(viewers) if number else ():
            group = np.flatnonzero(viewers == who)
            moved[group] = rng.permutation(labels[group])
        own = seen[:, :, None] & (
            moved[:, None] == np.arange(maps.shape[2])
        )  # (n_people, n_episodes, n_labels)
        other = seen[:, :, None] & ~own
        n_own, n_other = own.sum(axis=1, keepdims=True), other.sum(axis=1, keepdims=True)
        weights = own / np.maximum(n_own, 1) - other / np.maximum(n_other, 1)
        contrast = np.einsum("pel,pelv->plv", weights, maps)
        there = ((n_own > 0) & (n_other > 0))[:, 0]
        separations[number] = separation_of_maps(contrast, there, positions, n_each)
    return separations


def principal_axes(positions_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (n, 3) on their first two principal axes (n, 2), and the share of variance of each."""
    model = PCA(n_components=2)
    return model.fit_transform(positions_mm), model.explained_variance_ratio_


def umap_of(features: np.ndarray, neighbors: int, min_dist: float, seed: int) -> np.ndarray:
    """UMAP (McInnes et al. 2018) of features (n, n_features) in two dimensions, seeded: (n, 2)."""
    umap = _import_umap()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "n_jobs value"
        )  # a seed and several threads exclude each other
        return umap.UMAP(
            n_components=2,
            n_neighbors=min(neighbors, len(features) - 1),
            min_dist=min_dist,
            random_state=seed,
        ).fit_transform(features)


def _import_umap():
    """The package, without TensorFlow: umap would load that for a neural variant that is not used here."""
    absent = "tensorflow" not in sys.modules
    if absent:
        modules: dict = sys.modules
        modules["tensorflow"] = None  # Python then says that it is not installed
    try:
        import umap
    finally:
        if absent:
            del sys.modules["tensorflow"]
    return umap
