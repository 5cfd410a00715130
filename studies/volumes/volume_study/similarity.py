"""Representational similarity: distances between labels in the brain and in a network's layers, and their correlation."""

from itertools import permutations
from math import factorial

from neuroface.decoding import rows_apart
from neuroface.pipeline import keras
from volume_study.splits import ROUNDING_S, viewers_of

import numpy as np
import pandas as pd
from scipy.stats import rankdata, ttest_1samp

MOST_EXACT = 50_000  # relabellings up to which all are tried: eight labels
DISTANCES = (
    "correlation",
    "crossnobis",
)  # 1 − Pearson of mean patterns; cross-validated squared Euclidean distance


def distances(
    patterns: np.ndarray, labels: list[str], parts: np.ndarray, names: list[str]
) -> dict[str, np.ndarray]:
    """Distances of labels (n_pairs,), pairs in the order of ``names``: (0, 1), (0, 2) …

    Cross-validated distances (Walther et al. 2016, NeuroImage 137:188) multiply differences from
    separate parts of the data: they are 0 on average where labels do not differ, and may be
    negative. 1 − Pearson is above 0 by noise alone.

    Parameters
    ----------
    patterns : (n, n_features). labels : (n,). parts : (n,) the part of the data of each; each holds
    every label.
    """
    from rsatoolbox.data import Dataset
    from rsatoolbox.rdm import calc_rdm

    # rsatoolbox keeps the order of first appearance or sorts.
    place = np.array([names.index(label) for label in labels])
    order = np.lexsort((parts, place))
    patterns = np.asarray(patterns, dtype=np.float64)[order]
    # rsatoolbox makes a matrix of all pairs of features for cross-validated distances. They depend
    # on inner products of the patterns alone, which are the same on an orthonormal basis of the
    # patterns.
    coordinates = np.asarray(np.linalg.qr(patterns.T, mode="r")).T
    about = {"label": place[order].tolist(), "part": np.asarray(parts)[order].tolist()}
    with np.errstate(invalid="ignore"):  # rsatoolbox fills whole numbers and fresh memory with NaN
        pearson = calc_rdm(
            Dataset(patterns, obs_descriptors=about), method="correlation", descriptor="label"
        )
        crossed = calc_rdm(
            Dataset(coordinates, obs_descriptors=about),
            method="crossnobis",
            descriptor="label",
            cv_descriptor="part",
        )
    per_feature = (
        coordinates.shape[1] / patterns.shape[1]
    )  # rsatoolbox divides by the number of features
    return {
        "correlation": pearson.dissimilarities[0],
        "crossnobis": crossed.dissimilarities[0] * per_feature,
    }


def noise_ceiling(rdms: np.ndarray, method: str) -> tuple[float, float]:
    """How well a perfect model could agree with single people's distances (n_people, n_pairs): lower and upper bound.

    Nili et al. 2014 (PLoS Comput. Biol. 10:e1003553). method : "spearman" or "pearson".
    """
    from rsatoolbox.inference import boot_noise_ceiling
    from rsatoolbox.rdm import RDMs

    low, high = boot_noise_ceiling(
        RDMs(rdms), method={"pearson": "corr", "spearman": "rho-a"}[method]
    )
    return float(low), float(high)


def square(pairs: np.ndarray) -> np.ndarray:
    """Distances of pairs as a symmetric matrix."""
    n = int(round((1 + np.sqrt(1 + 8 * len(pairs))) / 2))
    matrix = np.zeros((n, n))
    matrix[np.triu_indices(n, 1)] = pairs
    return matrix + matrix.T


def correlations(brains: np.ndarray, layers: np.ndarray, method: str) -> np.ndarray:
    """Correlation of each person's distances (n_people, n_pairs) with each set (n, n_pairs): (n, n_people).

    method : "spearman" or "pearson". 0 where distances do not vary.
    """
    if method == "spearman":
        brains, layers = rankdata(brains, axis=1), rankdata(layers, axis=1)
    a, b = brains - brains.mean(axis=1, keepdims=True), layers - layers.mean(axis=1, keepdims=True)
    spread = np.sqrt((b**2).sum(axis=1)[:, None] * (a**2).sum(axis=1))
    return np.divide(b @ a.T, spread, out=np.zeros_like(spread), where=spread > 0)


def mantel(
    brains: np.ndarray, layer: np.ndarray, method: str, n_permutations: int, seed: int
) -> dict:
    """Mean over people of the correlation with a layer's distances, and its p when labels of the layer are permuted.

    The mean over people is what the noise ceiling of Nili et al. (2014) bounds; the correlation
    with the mean of people's distances is larger. All permutations of the labels are tried where
    there are no more than 50,000, so that p is exact (Mantel 1967); with five labels these are 120,
    and no p is below 1 / 120. Pairs that share a label are not independent, which is why the
    p-value that comes with a correlation does not hold here.

    Parameters
    ----------
    brains : (n_people, n_pairs). layer : (n_pairs,). method : "spearman" or "pearson".
        n_permutations, seed : of a random draw where there are more.

    Returns
    -------
    r, p_two_sided, p_greater, n_permutations, exact.
    """
    matrix = square(np.asarray(layer, dtype=float))
    n, pairs = len(matrix), np.triu_indices(len(matrix), 1)
    exact = factorial(n) <= MOST_EXACT
    if exact:
        orders = np.array(list(permutations(range(n))))
    else:
        rng = np.random.default_rng(seed)
        orders = np.array([np.arange(n), *(rng.permutation(n) for _ in range(n_permutations))])
    moved = matrix[
        orders[:, pairs[0]], orders[:, pairs[1]]
    ]  # (n_orders, n_pairs); the first order changes nothing
    r, close = correlations(brains, moved, method).mean(axis=1), 1e-9
    return {
        "r": float(r[0]),
        "p_two_sided": float(np.mean(np.abs(r) >= abs(r[0]) - close)),
        "p_greater": float(np.mean(r >= r[0] - close)),
        "n_permutations": len(r),
        "exact": exact,
    }


def p_over_people(values: np.ndarray) -> float:
    """Two-sided p of the t test that the mean over people is 0, for the given labels and episodes; NaN for one person."""
    if len(values) < 2 or np.ptp(values) < 1e-12:
        return np.nan
    return float(ttest_1samp(values, 0).pvalue)


def holm(p: np.ndarray) -> np.ndarray:
    """p-values corrected for their number (Holm 1979, Scand. J. Stat. 6:65); NaN stays NaN and does not count."""
    p, corrected = np.asarray(p, dtype=float), np.full(len(p), np.nan)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]
    raised = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(raised))
    return corrected


# ---------------------------------------------------------------- halves of the data


def halves_of_episodes(samples: pd.DataFrame, tr_s: float, embargo_trs: int) -> np.ndarray:
    """Half of the data of each volume for cross-validated distances, (n,): 0 or 1, −1: in neither.

    The earlier episodes of a label are one half, the later ones the other, alike for all viewers:
    halves that share moments share what these moments did to everybody, and distances would be
    above 0 without a difference between labels. Volumes within ``embargo_trs`` of one in the other
    half, on the same clock, are in neither.

    Parameters
    ----------
    samples : columns label, event, clock, onset_s, subject, stimulus.
    """
    viewers = viewers_of(samples)
    episodes = pd.DataFrame(
        {"event": samples["event"], "label": samples["label"], "viewers": viewers, "clock": samples["clock"],
         "onset_s": samples["onset_s"]}
    ).sort_values(["clock", "onset_s"], kind="stable").drop_duplicates("event")  # fmt: skip
    by_label = episodes.groupby(["viewers", "label"])["event"]
    later = by_label.cumcount() >= by_label.transform("size") / 2
    half = samples["event"].map(dict(zip(episodes["event"], later.astype(int)))).to_numpy()
    rows, kept = [np.flatnonzero(half == h) for h in (0, 1)], np.full(len(samples), -1)
    clock, onset_s = samples["clock"].to_numpy(str), samples["onset_s"].to_numpy()
    reach_s = embargo_trs * tr_s + ROUNDING_S
    for h in (0, 1):
        kept[rows_apart(clock, onset_s, rows[h], rows[1 - h], reach_s)] = h
    return kept


def complete(half: np.ndarray, label: np.ndarray, labels: list[str]) -> bool:
    """Whether both halves hold every label."""
    return all(set(label[half == h]) == set(labels) for h in (0, 1))


# ---------------------------------------------------------------- layers of a network


def layers_to_compare(model: keras.Model) -> list[str]:
    """Names of layers with features of their own, from the first: convolutions and dense layers that blocks end with."""
    names = [layer.name for layer in model.layers]
    wanted = (
        "stem",
        "project_",
        "conv_",
        "pre_convolution_2",
        "_block_2_2",
        "embedding",
        "feed_back_",
        "pool",
        "dense",
    )
    return [name for name in names if any(word in name for word in wanted)] + ["logit"]


class LayerMeans:
    """Mean activations of a network's layers per group of volumes, summed up batch by batch."""

    def __init__(self, model: keras.Model, names: list[str], batch: int):
        self.names, self.batch = names, batch
        self._outputs = keras.Model(model.input, [model.get_layer(name).output for name in names])

    def __call__(
        self, X: np.ndarray, rows: np.ndarray, group: np.ndarray, n_groups: int
    ) -> dict[str, np.ndarray]:
        """Layer → means (n_groups, n_features) over the rows of X (n, n_voxels) of each group.

        Parameters
        ----------
        group : (len(rows),) number of each row's group; every group has a row.
        """
        sums: dict[str, np.ndarray] = {}
        padded = np.zeros((self.batch, X.shape[1], 1, 1), dtype=np.float32)
        for start in range(0, len(rows), self.batch):
            volumes = X[rows[start : start + self.batch]]
            padded[: len(volumes), :, 0, 0] = volumes
            group_of_volume = group[start : start + self.batch]
            weights = np.eye(n_groups)[group_of_volume].T  # (n_groups, n_volumes)
            outputs = keras.tree.flatten(self._outputs.predict_on_batch(padded))
            for name, output in zip(self.names, outputs):
                features = np.asarray(output, dtype=np.float64).reshape(self.batch, -1)[
                    : len(volumes)
                ]
                sums[name] = sums.get(name, 0) + weights @ features
        n = np.bincount(group, minlength=n_groups)[:, None]
        return {name: total / n for name, total in sums.items()}
