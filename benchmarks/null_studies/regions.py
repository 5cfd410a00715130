"""Why script 6 states no interval for the share of a region: intervals over people or films, in film folds.

Studies are those of ``maps.py``; with an effect, films and people differ in its size. The true
share is the mean of new studies, whose models are trained anew.
"""

from functools import cache, partial

from neuroface.decoding import crossed_error, solve_each, widening
from neuroface.decoding.folds import FoldSettings, make_folds
from neuroface.maps.regions import shares
from null_studies.case import Case
from null_studies.maps import DEMO, NAMES, NNDB, PLANTED, Design, simulate

import numpy as np
import pandas as pd
from scipy.stats import t

N_NEW_STUDIES = 150
SPREAD = 0.4  # SD over films, and over people, of the effect's size in units of its mean


def study_of(seed: int, design: Design) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Windows X (n, n_voxels, n_trs), labels y (n,) and their table; films and people differ in the effect."""
    X, samples = simulate(seed, design)
    y = (samples["label"] == NAMES.first).to_numpy(np.int8)
    rng, size = np.random.default_rng([seed, 1]), np.zeros(len(X), dtype=np.float32)
    for column in ("movie", "subject"):
        number, names = pd.factorize(samples[column])
        size += SPREAD * rng.standard_normal(len(names))[number]
    X[:, PLANTED] += (design.effect * size * (y - 0.5))[:, None, None]
    return X, y, samples


@cache  # for both cases
def shares_of_study(seed: int, design: Design) -> tuple[np.ndarray, np.ndarray]:
    """Share of the planted voxels in the absolute map of faces of each person, and the film that each person saw."""
    X, y, samples = study_of(seed, design)
    flat = X.reshape(len(X), -1).astype(np.float64)
    kernel, maps = flat @ flat.T, np.empty_like(X)
    for fold in make_folds(samples, "movie", FoldSettings(4, seed, window_trs=10)):
        weights = np.tensordot(solve_each(kernel, y[:, None], fold)[0].coefficients, X, axes=1)
        maps[fold.test] = np.abs(weights * X[fold.test])
    of_people = samples.groupby("subject", sort=False).indices
    size = np.stack([maps[rows[y[rows] == 1]].mean(axis=0) for rows in of_people.values()])
    films = np.array([samples["movie"][rows[0]] for rows in of_people.values()])
    return shares(size.sum(axis=2, keepdims=True), PLANTED)[:, 0], films


@cache
def mean_of_new_studies(design: Design) -> float:
    seeds = range(5000, 5000 + N_NEW_STUDIES)
    return float(np.mean([shares_of_study(seed, design)[0].mean() for seed in seeds]))


def coverage(seed: int, design: Design) -> dict[str, bool]:
    """Whether t intervals over people, over films, and widened ones over films cover the mean of new studies."""
    each, films = shares_of_study(seed, design)
    covered = {}
    for name, clusters, factor in (
        ("people", np.arange(len(each)), 1.0),
        ("films", films, 1.0),
        ("films, widened", films, widening(len(set(films)))),
    ):
        found = crossed_error(each, (clusters,), np.ones(len(each)))
        half = factor * t.ppf(0.975, found.freedom) * found.error
        inside = abs(each.mean() - mean_of_new_studies(design)) <= half
        covered[f"t interval over {name} (not used) covers it"] = bool(inside)
    return covered


CASES: list[Case] = []
KNOWN_OTHERWISE = [
    Case(
        "script 6, share of a region", str(design), partial(coverage, design=design), 0.95, 150, 20
    )
    for layout in (DEMO, NNDB)
    for design in (layout(shared=0.5), layout(shared=0.5, effect=1.0))
]
