"""The study of labelled volumes: p of decoding, of maps and of separate voxels without an effect, intervals, distances.

Simulated people see the same episodes. Each volume is a response to its episode that all viewers
share, plus noise of SD 1; labels mean nothing unless stated. "Networks" are ridge regressions of
the labels on training folds, which fit noise as networks do; the evidence for a label is weight ×
voxel.
"""

from functools import partial

from null_studies.case import Case
from volume_study.clustering import exchanged_separations
from volume_study.crossed import crossed_intervals
from volume_study.episode_test import episode_test
from volume_study.fold_test import fold_test
from volume_study.scores import weighted_scores_of_tables
from volume_study.similarity import distances, halves_of_episodes

import numpy as np
import pandas as pd
from scipy.stats import norm

N_LABELS, SIDE = 5, 4  # a brain of SIDE³ voxels
DEMO = {"n_people": 6, "n_episodes": 60, "n_folds": 4, "n_volumes": 3}
STUDYFORREST = {"n_people": 15, "n_episodes": 105, "n_folds": 5, "n_volumes": 6}


def study_of(
    seed: int, n_people: int, n_episodes: int, n_folds: int, n_volumes: int, shared: float
) -> dict:
    """Volumes X (n_episodes, n_people, n_volumes, n_voxels), labels y and folds (n_episodes,), stratified."""
    rng, n_voxels = np.random.default_rng(seed), SIDE**3
    y = rng.permutation(np.arange(n_episodes) % N_LABELS)
    fold = np.empty(n_episodes, dtype=int)
    for label in range(N_LABELS):
        own = rng.permutation(np.flatnonzero(y == label))
        fold[own] = np.arange(len(own)) % n_folds
    X = shared * rng.standard_normal((n_episodes, 1, 1, n_voxels))
    X = X + rng.standard_normal((n_episodes, n_people, n_volumes, n_voxels))
    return {"X": X, "y": y, "fold": fold, "rng": rng}


def weights_of(data: dict, fold: int, trained: bool) -> np.ndarray:
    """What a network that never saw a fold has learned, (n_voxels, n_labels), less the mean over labels."""
    n_voxels = data["X"].shape[-1]
    weights = data["rng"].standard_normal((n_voxels, N_LABELS))
    if trained:
        train = data["fold"] != fold
        X = data["X"][train].reshape(-1, n_voxels)
        target = np.repeat(np.eye(N_LABELS)[data["y"][train]], len(X) // train.sum(), axis=0)
        weights = np.linalg.solve(
            X.T @ X + 0.5 * len(X) * np.eye(n_voxels), X.T @ (target - target.mean(axis=0))
        )
    return weights - weights.mean(axis=1, keepdims=True)


def maps_and_decoding(seed: int, trained: bool, **design) -> dict[str, bool]:
    """One study: the test of a label's map, of decoding, and of separate voxels, each as the scripts do it."""
    data = study_of(seed, **design)
    n_episodes, n_people, n_volumes, n_voxels = data["X"].shape
    maps = np.empty((n_people, n_episodes, N_LABELS, n_voxels))
    said = np.empty((n_episodes, n_people, n_volumes), dtype=int)
    for fold in np.unique(data["fold"]):
        weights, mine = weights_of(data, fold, trained), data["fold"] == fold
        maps[:, mine] = np.einsum("epv,vl->pelv", data["X"][mine].mean(axis=2), weights)
        said[mine] = (data["X"][mine] @ weights).argmax(axis=-1)
    everybody = np.zeros(n_episodes, dtype=int)
    test = episode_test(
        maps[:, :, 0].mean(axis=0), data["y"] == 0, data["fold"], everybody, 1000, seed
    )
    table = pd.DataFrame(
        {
            "event": np.repeat(np.arange(n_episodes), n_people * n_volumes),
            "subject": np.tile(np.repeat(np.arange(n_people), n_volumes), n_episodes).astype(str),
            "fold": np.repeat(data["fold"], n_people * n_volumes),
            "stimulus": "film",
        }
    )
    decoding = fold_test(
        table, np.repeat(data["y"], n_people * n_volumes), said.ravel(), N_LABELS, 400, seed
    )
    positions, p = np.argwhere(np.ones((SIDE,) * 3)).astype(float), []
    for fold in np.unique(data["fold"]):
        mine = data["fold"] == fold
        found = exchanged_separations(
            maps[:, mine], data["y"][mine], everybody[mine], positions, 5, 99, data["rng"]
        )
        p.append(np.mean(found >= found[0] - 1e-12))
    return {
        "map: a voxel has p ≤ .05": bool((test.p_voxel <= 0.05).any()),
        "decoding: p ≤ .05": decoding["p"] <= 0.05,
        "silhouette: p ≤ .05": len(p) * min(p) <= 0.05,
    }


def coverage(
    seed: int,
    of_people: float,
    of_episodes: float,
    n_people: int,
    n_episodes: int,
    n_volumes: int,
    **_,
) -> dict:
    """Whether the crossed interval of accuracy covers the accuracy in new people and episodes; two labels.

    of_people, of_episodes : SD of how much better they are decoded, in probits; an SD of 0.3
    belongs to both together.
    """
    rng = np.random.default_rng(seed)
    level = (
        0.4
        + of_people * rng.standard_normal((n_people, 1, 1))
        + of_episodes * rng.standard_normal((n_episodes, 1))
    )
    level = level + 0.3 * rng.standard_normal((n_people, n_episodes, 1))
    right = (level + rng.standard_normal((n_people, n_episodes, n_volumes)) > 0).ravel()
    people = np.repeat(np.arange(n_people), n_episodes * n_volumes)
    episodes = np.tile(np.repeat(np.arange(n_episodes), n_volumes), n_people)
    y = episodes % 2
    low, high = crossed_intervals(
        partial(weighted_scores_of_tables, y, np.where(right, y, 1 - y), 2), people, episodes
    )["accuracy"]
    truth = norm.cdf(0.4 / np.sqrt(1 + of_people**2 + of_episodes**2 + 0.3**2))
    return {"95 % interval of accuracy covers the truth": bool(low <= truth <= high)}


def distance_of_nothing(seed: int, **design) -> dict[str, bool]:
    """Whether the mean cross-validated distance of labels that mean nothing is above 0, mean pattern of all people."""
    data = study_of(seed, **design)
    n_episodes, n_people, n_volumes, n_voxels = data["X"].shape
    samples = pd.DataFrame(
        {"event": np.arange(n_episodes), "label": data["y"], "clock": "film", "stimulus": "film",
         "onset_s": np.arange(n_episodes) * 24.0}
    )  # fmt: skip
    samples = samples.loc[np.repeat(np.arange(n_episodes), n_people * n_volumes)].reset_index(
        drop=True
    )
    samples["subject"] = np.tile(np.repeat(np.arange(n_people), n_volumes), n_episodes).astype(str)
    half, X = halves_of_episodes(samples, 2.0, 5), data["X"].reshape(-1, n_voxels)
    groups = [(label, h) for label in range(N_LABELS) for h in (0, 1)]
    means = np.stack(
        [X[(samples["label"] == label) & (half == h)].mean(axis=0) for label, h in groups]
    )
    found = distances(
        means,
        [label for label, _ in groups],
        np.array([h for _, h in groups]),
        list(range(N_LABELS)),
    )
    return {"mean distance above 0": bool(found["crossnobis"].mean() > 0)}


def _maps(title: str, design: dict, shared: float, trained: bool, n_studies: int) -> Case:
    network = "trained on noise" if trained else "random weights"
    what = f"{title}, shared response of {shared:g} SD, {network}"
    procedure = "scripts 3, 4 and 5: p by exchanged episodes"
    return Case(
        procedure,
        what,
        partial(maps_and_decoding, trained=trained, shared=shared, **design),
        0.05,
        n_studies,
        20,
    )


def _coverage(title: str, design: dict, of_people: float, of_episodes: float) -> Case:
    what = f"{title}, people differ by {of_people:g}, episodes by {of_episodes:g} probits"
    study = partial(coverage, of_people=of_people, of_episodes=of_episodes, **design)
    return Case("script 3: crossed interval", what, study, 0.95, 400, 50)


SIZES = {"6 people × 60 episodes": DEMO, "15 people × 105 episodes": STUDYFORREST}
CASES = [
    _maps("6 people × 60 episodes", DEMO, 1.0, True, 200),
    _maps("6 people × 60 episodes", DEMO, 0.0, True, 200),
    _maps("6 people × 60 episodes", DEMO, 1.0, False, 200),
    _maps("15 people × 105 episodes", STUDYFORREST, 1.0, True, 100),
    *(
        _coverage(title, SIZES[title], *spread)
        for title in SIZES
        for spread in ((0.3, 0.8), (0.5, 0.3), (0.1, 0.5))
    ),
    *(
        Case(
            "script 6: distances between earlier and later episodes",
            f"{title}, shared response of 1 SD",
            partial(distance_of_nothing, shared=1.0, **SIZES[title]),
            0.5,
            200,
            20,
        )
        for title in SIZES
    ),
]
