"""How sure is a score: bootstrap over people and films, and a null in which whole events change their label."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata, t


def cluster_bootstrap(
    y: np.ndarray, probability: np.ndarray, clusters: np.ndarray, n_draws: int, seed: int, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Percentile intervals of accuracy and AUC when whole people (or films) are drawn with replacement.

    Windows of one person, or of one film, are not independent; drawing windows would make intervals too narrow
    (Field & Welsh 2007, J. R. Stat. Soc. B 69:369).

    Parameters
    ----------
    y, probability : (n,). clusters : (n,) whose window it is.

    Returns
    -------
    {"accuracy": (low, high), "auc": (low, high)}; empty with fewer than two clusters.
    """
    members = [np.flatnonzero(clusters == name) for name in pd.unique(clusters)]
    if len(members) < 2:
        return {}
    rng = np.random.default_rng(seed)
    draws: dict[str, list[float]] = {"accuracy": [], "auc": []}
    for _ in range(n_draws):
        rows = np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
        n_faces = y[rows].sum()
        if 0 < n_faces < len(rows):
            draws["accuracy"].append(np.mean((probability[rows] >= 0.5) == y[rows]))
            # The area under the ROC is the Mann-Whitney statistic over its largest value.
            above = rankdata(probability[rows])[y[rows] == 1].sum() - n_faces * (n_faces + 1) / 2
            draws["auc"].append(above / (n_faces * (len(rows) - n_faces)))
    tails = (1 - level) / 2
    return {name: tuple(float(q) for q in np.quantile(v, (tails, 1 - tails))) for name, v in draws.items()}


def permuted_labels(samples: pd.DataFrame, n_permutations: int, seed: int) -> np.ndarray:
    """Labels in which events have swapped places: whole events, alike for all their viewers, within a film or run.

    What the viewers of one moment share stays together, so the null keeps the dependence that inflates naive tests.

    Parameters
    ----------
    samples : columns movie, event, label, and run (events of different runs never swap).

    Returns
    -------
    (n, n_permutations) int8.
    """
    rng = np.random.default_rng(seed)
    events = samples.drop_duplicates("event").reset_index(drop=True)
    position = pd.Series(events.index, index=events["event"])[samples["event"]].to_numpy()
    label = (events["label"] == "face").to_numpy(np.int8)
    blocks = list(events.groupby(["movie", "run"]).indices.values())
    result = np.empty((len(samples), n_permutations), dtype=np.int8)
    for column in range(n_permutations):
        moved = label.copy()
        for block in blocks:
            moved[block] = rng.permutation(label[block])
        result[:, column] = moved[position]
    return result


def p_value(observed: float, null: np.ndarray) -> float:
    """Share of the null at least as large as ``observed``, counting the observation itself (Phipson & Smyth 2010)."""
    return float((1 + np.sum(np.asarray(null) >= observed)) / (1 + len(null)))


def mean_over_people(values: np.ndarray, people: list[str], level: float = 0.95) -> np.ndarray:
    """Mean over people with its t interval: each person counts once, however many runs they have.

    Parameters
    ----------
    values : (n_runs,) or (n_runs, n); NaN where a run has none. people : (n_runs,) whose run it is.

    Returns
    -------
    (3,) or (3, n): mean, low, high; the interval is NaN with fewer than two people.
    """
    each = pd.DataFrame(np.asarray(values, dtype=float)).groupby(np.asarray(people)).mean()
    n = each.count()
    half = each.std(ddof=1) / np.sqrt(n) * t.ppf((1 + level) / 2, n - 1)
    mean = each.mean()
    result = np.stack([mean, mean - half, mean + half])
    return result[:, 0] if np.ndim(values) == 1 else result
