"""Intervals of script 3's scores: over people who differ, over films whose viewers share moments and models, over runs."""

from functools import cache, partial

from null_studies.case import Case

import numpy as np
import pandas as pd
from scipy.special import expit

SCORES = {"accuracy": "accuracy", "auc": "AUC", "mcc": "MCC", "f1": "F1", "pr_auc": "PR AUC"}
N_FEATURES, N_MOMENTS, N_VIEWERS = 30, 20, 2
N_FOLDS = 4  # as in config.py


def _truth(probability: np.ndarray, y: np.ndarray) -> dict[str, float]:
    from neuroface.decoding.uncertainty import weighted_scores

    found = weighted_scores(y, probability, np.ones((1, len(y)), dtype=int))
    return {name: float(value[0]) for name, value in found.items()}


def _covered(scores: dict[str, tuple[float, float]], truth: dict[str, float]) -> dict[str, bool]:
    """Whether each interval covers the truth; a study without an interval counts as one that does not."""
    result = {}
    for name, words in SCORES.items():
        low, high = scores.get(name, (np.nan, np.nan))
        result[f"interval of {words} covers it"] = bool(low <= truth[name] <= high)
    return result


# ---------------------------------------------------------------- people, and a model that is given


def people_who_differ(
    n_people: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, probabilities and person of each window: people differ in sensitivity, bias, and 30 to 118 windows."""
    person = np.repeat(np.arange(n_people), 2 * rng.integers(15, 60, n_people))
    y = np.arange(len(person)) % 2
    sensitivity, bias = rng.normal(1.5, 0.6, n_people), rng.normal(0, 0.3, n_people)
    return (
        y,
        expit((y - 0.5) * sensitivity[person] + bias[person] + rng.standard_normal(len(person))),
        person,
    )


@cache
def _truth_of_people() -> dict[str, float]:
    y, probability, _ = people_who_differ(8000, np.random.default_rng(0))
    return _truth(probability, y)


def over_people(n_people: int, seed: int) -> dict[str, bool]:
    """Whether intervals over people cover the scores of 8,000 people."""
    from neuroface.decoding.uncertainty import cluster_intervals

    y, probability, person = people_who_differ(n_people, np.random.default_rng([1, seed]))
    return _covered(cluster_intervals(y, probability, person), _truth_of_people())


def percentiles_over_people(n_people: int, seed: int) -> dict[str, bool]:
    """The same for percentiles of a bootstrap that draws people."""
    from neuroface.decoding.uncertainty import weighted_scores

    rng = np.random.default_rng([1, seed])
    y, probability, person = people_who_differ(n_people, rng)
    drawn = rng.integers(n_people, size=(400, n_people))
    times = np.stack([np.bincount(row, minlength=n_people) for row in drawn])[:, person]
    found = weighted_scores(y, probability, times)
    return _covered(
        {name: tuple(np.quantile(v, (0.025, 0.975))) for name, v in found.items()},
        _truth_of_people(),
    )


# ---------------------------------------------------------------- films, and models of film folds


def film_folds(
    n_films: int, effect: float, seed: int, n_features: int = N_FEATURES
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Labels, held-out probabilities and windows: a nearest-mean classifier in a cross-validation over films.

    Viewers of a film share a response to each moment (1 SD), films shift the features (0.3 SD) and
    differ in the size of the effect, which is in the first feature.
    """
    rng = np.random.default_rng([2, n_films, seed])
    film, viewer, moment = np.indices((n_films, N_VIEWERS, N_MOMENTS)).reshape(3, -1)
    y = moment % 2
    size = effect * np.maximum(rng.normal(1, 0.4, n_films), 0)
    X = (
        rng.standard_normal((len(y), n_features))
        + rng.standard_normal((n_films, N_MOMENTS, n_features))[film, moment]
    )
    X += 0.3 * rng.standard_normal((n_films, n_features))[film]
    X[:, 0] += (y - 0.5) * size[film]
    fold, logit = film % N_FOLDS, np.empty(len(y))
    for k in range(N_FOLDS):
        train, test = fold != k, fold == k
        one, other = X[train & (y == 1)].mean(axis=0), X[train & (y == 0)].mean(axis=0)
        logit[test] = (X[test] - (one + other) / 2) @ (one - other)
    return y, expit(logit), windows_of_films(film, viewer, moment)


def windows_of_films(film: np.ndarray, viewer: np.ndarray, moment: np.ndarray) -> pd.DataFrame:
    event = film * N_MOMENTS + moment
    return pd.DataFrame(
        {"movie": film, "run": 1, "subject": film * N_VIEWERS + viewer, "event": event}
    ).assign(first_tr=moment * 20)


@cache
def _truth_of_films(n_films: int, effect: float, n_features: int = N_FEATURES) -> dict[str, float]:
    """Mean scores of 2,000 studies of this size: what a cross-validation of so many films reaches."""
    each = []
    for seed in range(10_000, 12_000):
        y, probability, _ = film_folds(n_films, effect, seed, n_features)
        each.append(_truth(probability, y))
    return pd.DataFrame(each).mean().to_dict()


def over_films(
    n_films: int, effect: float, seed: int, n_features: int = N_FEATURES
) -> dict[str, bool]:
    """Whether the intervals that script 3 states for film folds cover the expected scores."""
    from neuroface.decoding.uncertainty import intervals_of_split

    found = intervals_of_split(*film_folds(n_films, effect, seed, n_features), "movie")
    return _covered(found["scores"], _truth_of_films(n_films, effect, n_features))


def over_films_as_if_independent(n_films: int, effect: float, seed: int) -> dict[str, bool]:
    """The same without the factor for models that learn from each other's films."""
    from neuroface.decoding.uncertainty import cluster_intervals

    y, probability, windows = film_folds(n_films, effect, seed)
    found = cluster_intervals(y, probability, windows["movie"].to_numpy())
    return _covered(found, _truth_of_films(n_films, effect))


def over_viewers(n_films: int, effect: float, seed: int) -> dict[str, bool]:
    """The same over viewers, as if those of one film were independent."""
    from neuroface.decoding.uncertainty import cluster_intervals

    y, probability, windows = film_folds(n_films, effect, seed)
    found = cluster_intervals(y, probability, windows["subject"].to_numpy())
    return _covered(found, _truth_of_films(n_films, effect))


# ---------------------------------------------------------------- runs of one person


def run_folds(
    n_runs: int, effect: float, seed: int, n_features: int = N_FEATURES
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Labels, held-out probabilities and windows of one person: blocks as in Haxby et al. 2001, each run held out once.

    A run has one block of faces and seven others. Runs shift the features (0.3 SD) and differ in
    the size of the effect. The threshold of the nearest-mean classifier is midway between the
    classes.
    """
    rng = np.random.default_rng([3, n_runs, seed])
    run, block = np.indices((n_runs, 8)).reshape(2, -1)
    y = (block == 0).astype(int)
    X = (
        rng.standard_normal((len(y), n_features))
        + 0.3 * rng.standard_normal((n_runs, n_features))[run]
    )
    X[:, 0] += y * (effect * np.maximum(rng.normal(1, 0.4, n_runs), 0))[run]
    logit = np.empty(len(y))
    for k in range(n_runs):
        train, test = run != k, run == k
        one, other = X[train & (y == 1)].mean(axis=0), X[train & (y == 0)].mean(axis=0)
        logit[test] = (X[test] - (one + other) / 2) @ (one - other)
    return y, expit(logit), pd.DataFrame({"movie": "objects", "run": run, "subject": "sub-1"})


@cache
def _truth_of_runs(n_runs: int, effect: float, n_features: int = N_FEATURES) -> dict[str, float]:
    each = []
    for seed in range(10_000, 12_000):
        y, probability, _ = run_folds(n_runs, effect, seed, n_features)
        each.append(_truth(probability, y))
    return pd.DataFrame(each).mean().to_dict()


def over_runs(
    n_runs: int, effect: float, seed: int, n_features: int = N_FEATURES
) -> dict[str, bool]:
    """Whether the intervals that script 3 states for run folds of one person cover the expected scores."""
    from neuroface.decoding.uncertainty import intervals_of_split

    found = intervals_of_split(*run_folds(n_runs, effect, seed, n_features), "run")
    truth = _truth_of_runs(n_runs, effect, n_features)
    return _stated_over_runs(_covered(found["scores"], truth))


def over_runs_as_if_independent(n_runs: int, effect: float, seed: int) -> dict[str, bool]:
    """The same where no variance counts twice."""
    from neuroface.decoding.uncertainty import cluster_intervals

    y, probability, windows = run_folds(n_runs, effect, seed)
    scores = cluster_intervals(y, probability, windows["run"].to_numpy())
    return _stated_over_runs(_covered(scores, _truth_of_runs(n_runs, effect)))


def _stated_over_runs(covered: dict[str, bool]) -> dict[str, bool]:
    stated = [f"interval of {SCORES[name]} covers it" for name in ("accuracy", "auc")]
    return {outcome: covered[outcome] for outcome in stated}


RUNS, EFFECTS_OF_RUNS = (8, 10, 12), {"no effect": 0.0, "an effect": 2.5}
# Effects with which films are decoded about as well from so many features as with EFFECTS from
# N_FEATURES: the weights of the models hold more noise at the same score.
MANY_FEATURES, EFFECTS_OF_MANY, EFFECT_OF_MANY_IN_RUNS = 300, {12: 2.2, 20: 1.93}, 4.0
PEOPLE, FILMS = (4, 8, 10, 12, 20, 40), (4, 8, 12, 20, 40)
EFFECTS = {"no effect": 0.0, "an effect": 1.5}
CASES = [
    Case(
        "intervals over people", f"{n} people who differ", partial(over_people, n), 0.95, 1000, 100
    )
    for n in PEOPLE
] + [
    Case(
        "film folds, intervals over films",
        f"{n} films, {words}",
        partial(over_films, n, effect),
        0.95,
        600,
        60,
    )
    for words, effect in EFFECTS.items()
    for n in FILMS
]
CASES += [
    Case(
        "run folds of one person, intervals over runs",
        f"{n} runs, {words}",
        partial(over_runs, n, effect),
        0.95,
        1000,
        60,
    )
    for words, effect in EFFECTS_OF_RUNS.items()
    for n in RUNS
]
KNOWN_OTHERWISE = [
    Case(
        "percentiles of a bootstrap",
        f"{n} people who differ",
        partial(percentiles_over_people, n),
        0.95,
        400,
        40,
    )
    for n in (4, 8)
]
for n in (4, 12):
    for words, effect in EFFECTS.items():
        of, films = f"{n} films, {words}", partial(over_films_as_if_independent, n, effect)
        KNOWN_OTHERWISE.append(
            Case("film folds, films as if independent", of, films, 0.95, 600, 60)
        )
        viewers = partial(over_viewers, n, effect)
        KNOWN_OTHERWISE.append(Case("film folds, over viewers", of, viewers, 0.95, 600, 60))
for words, effect in EFFECTS_OF_RUNS.items():
    runs = partial(over_runs_as_if_independent, 12, effect)
    KNOWN_OTHERWISE.append(
        Case("run folds, runs as if independent", f"12 runs, {words}", runs, 0.95, 1000, 60)
    )
KNOWN_OTHERWISE += [
    Case(
        "film folds, intervals over films",
        f"{n} films, an effect, {MANY_FEATURES} features",
        partial(over_films, n, effect, n_features=MANY_FEATURES),
        0.95,
        600,
        60,
    )
    for n, effect in EFFECTS_OF_MANY.items()
]
KNOWN_OTHERWISE.append(
    Case(
        "run folds of one person, intervals over runs",
        f"12 runs, an effect, {MANY_FEATURES} features",
        partial(over_runs, 12, EFFECT_OF_MANY_IN_RUNS, n_features=MANY_FEATURES),
        0.95,
        1000,
        60,
    )
)
