"""Intervals of script 3's scores: over people who differ, over films whose viewers share moments and models, over runs."""

from functools import cache, partial
from typing import NamedTuple

from null_studies.case import Case

import numpy as np
import pandas as pd
from scipy.special import expit

SCORES = {"accuracy": "accuracy", "auc": "AUC", "mcc": "MCC", "f1": "F1", "pr_auc": "PR AUC"}
N_FEATURES, N_MOMENTS, N_VIEWERS = 30, 20, 2
N_FOLDS = 4  # as in config.py


class Decoded(NamedTuple):
    """A cross-validation: labels and held-out probabilities (n,), windows (n rows), weights (n_folds, n_features)."""

    y: np.ndarray
    probability: np.ndarray
    windows: pd.DataFrame
    weights: np.ndarray

    def intervals(self, split: str, of_linear_models: bool) -> dict[str, tuple[float, float]]:
        """The intervals that script 3 states for models whose weights can be compared, or for other models."""
        from neuroface.decoding.uncertainty import intervals_of_split, noise_share_of

        share = noise_share_of(self.weights) if of_linear_models else None
        return intervals_of_split(self.y, self.probability, self.windows, split, share)["scores"]


def _nearest_mean(X: np.ndarray, y: np.ndarray, fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Held-out probabilities (n,) and weights (n_folds, n_features); the threshold is midway between the classes."""
    logit, weights = np.empty(len(y)), []
    for held_out in range(fold.max() + 1):
        train, test = fold != held_out, fold == held_out
        face, other = X[train & (y == 1)].mean(axis=0), X[train & (y == 0)].mean(axis=0)
        weights.append(face - other)
        logit[test] = (X[test] - (face + other) / 2) @ weights[-1]
    return expit(logit), np.array(weights)


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


def film_folds(n_films: int, effect: float, seed: int, n_features: int = N_FEATURES) -> Decoded:
    """A nearest-mean classifier in a cross-validation over films.

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
    probability, weights = _nearest_mean(X, y, film % N_FOLDS)
    return Decoded(y, probability, windows_of_films(film, viewer, moment), weights)


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
        study = film_folds(n_films, effect, seed, n_features)
        each.append(_truth(study.probability, study.y))
    return pd.DataFrame(each).mean().to_dict()


def over_films(
    n_films: int,
    effect: float,
    seed: int,
    n_features: int = N_FEATURES,
    of_linear_models: bool = False,
) -> dict[str, bool]:
    """Whether the intervals that script 3 states for film folds cover the expected scores."""
    study = film_folds(n_films, effect, seed, n_features)
    truth = _truth_of_films(n_films, effect, n_features)
    return _covered(study.intervals("movie", of_linear_models), truth)


def over_films_as_if_independent(n_films: int, effect: float, seed: int) -> dict[str, bool]:
    """The same without the factor for models that learn from each other's films."""
    from neuroface.decoding.uncertainty import cluster_intervals

    y, probability, windows, _ = film_folds(n_films, effect, seed)
    found = cluster_intervals(y, probability, windows["movie"].to_numpy())
    return _covered(found, _truth_of_films(n_films, effect))


def over_viewers(n_films: int, effect: float, seed: int) -> dict[str, bool]:
    """The same over viewers, as if those of one film were independent."""
    from neuroface.decoding.uncertainty import cluster_intervals

    y, probability, windows, _ = film_folds(n_films, effect, seed)
    found = cluster_intervals(y, probability, windows["subject"].to_numpy())
    return _covered(found, _truth_of_films(n_films, effect))


# ---------------------------------------------------------------- runs of one person


def run_folds(n_runs: int, effect: float, seed: int, n_features: int = N_FEATURES) -> Decoded:
    """A nearest-mean classifier for one person: blocks as in Haxby et al. 2001, each run held out once.

    A run has one block of faces and seven others. Runs shift the features (0.3 SD) and differ in
    the size of the effect.
    """
    rng = np.random.default_rng([3, n_runs, seed])
    run, block = np.indices((n_runs, 8)).reshape(2, -1)
    y = (block == 0).astype(int)
    X = (
        rng.standard_normal((len(y), n_features))
        + 0.3 * rng.standard_normal((n_runs, n_features))[run]
    )
    X[:, 0] += y * (effect * np.maximum(rng.normal(1, 0.4, n_runs), 0))[run]
    probability, weights = _nearest_mean(X, y, run)
    windows = pd.DataFrame({"movie": "objects", "run": run, "subject": "sub-1"})
    return Decoded(y, probability, windows, weights)


@cache
def _truth_of_runs(n_runs: int, effect: float, n_features: int = N_FEATURES) -> dict[str, float]:
    each = []
    for seed in range(10_000, 12_000):
        study = run_folds(n_runs, effect, seed, n_features)
        each.append(_truth(study.probability, study.y))
    return pd.DataFrame(each).mean().to_dict()


def over_runs(
    n_runs: int,
    effect: float,
    seed: int,
    n_features: int = N_FEATURES,
    of_linear_models: bool = False,
) -> dict[str, bool]:
    """Whether the intervals that script 3 states for run folds of one person cover the expected scores."""
    study = run_folds(n_runs, effect, seed, n_features)
    truth = _truth_of_runs(n_runs, effect, n_features)
    return _stated_over_runs(_covered(study.intervals("run", of_linear_models), truth))


def over_runs_as_if_independent(n_runs: int, effect: float, seed: int) -> dict[str, bool]:
    """The same where no variance counts twice."""
    from neuroface.decoding.uncertainty import cluster_intervals

    y, probability, windows, _ = run_folds(n_runs, effect, seed)
    scores = cluster_intervals(y, probability, windows["run"].to_numpy())
    return _stated_over_runs(_covered(scores, _truth_of_runs(n_runs, effect)))


def _stated_over_runs(covered: dict[str, bool]) -> dict[str, bool]:
    stated = [f"interval of {SCORES[name]} covers it" for name in ("accuracy", "auc")]
    return {outcome: covered[outcome] for outcome in stated}


PEOPLE, FILMS, RUNS = (4, 8, 10, 12, 20, 40), (4, 8, 10, 12, 20, 40), (8, 10, 12)
EFFECTS, EFFECTS_OF_RUNS = (
    {"no effect": 0.0, "an effect": 1.5},
    {"no effect": 0.0, "an effect": 2.5},
)
# Effects with which films are decoded about as well from so many features as with EFFECTS from
# N_FEATURES: the weights of the models hold more noise at the same score.
MANY_FEATURES, EFFECT_OF_MANY_IN_RUNS = 300, 4.0
EFFECTS_OF_MANY = {4: 3.0, 8: 2.5, 10: 2.3, 12: 2.2, 20: 1.93, 40: 1.7}
MODELS = {"linear models": True, "other models": False}


def films_case(models: str, n_films: int, words: str, effect: float, n_features=N_FEATURES) -> Case:
    design = f"{n_films} films, {words}, {n_features} features"
    study = partial(
        over_films, n_films, effect, n_features=n_features, of_linear_models=MODELS[models]
    )
    return Case(f"film folds, intervals over films, {models}", design, study, 0.95, 600, 60)


def runs_case(models: str, n_runs: int, words: str, effect: float, n_features=N_FEATURES) -> Case:
    design = f"{n_runs} runs, {words}, {n_features} features"
    study = partial(
        over_runs, n_runs, effect, n_features=n_features, of_linear_models=MODELS[models]
    )
    name = f"run folds of one person, intervals over runs, {models}"
    return Case(name, design, study, 0.95, 1000, 60)


CASES = [
    Case(
        "intervals over people", f"{n} people who differ", partial(over_people, n), 0.95, 1000, 100
    )
    for n in PEOPLE
]
MANY_CASES = []  # linear models hold, other models do not
for models in MODELS:
    for words, effect in EFFECTS.items():
        CASES += [films_case(models, n, words, effect) for n in FILMS]
    for words, effect in EFFECTS_OF_RUNS.items():
        CASES += [runs_case(models, n, words, effect) for n in RUNS]
    for n, effect in EFFECTS_OF_MANY.items():
        MANY_CASES.append(films_case(models, n, "an effect", effect, MANY_FEATURES))
    for n in RUNS:
        many = runs_case(models, n, "an effect", EFFECT_OF_MANY_IN_RUNS, MANY_FEATURES)
        MANY_CASES.append(many)
KNOWN_OTHERWISE = [
    *MANY_CASES,
    *(
        Case(
            "percentiles of a bootstrap",
            f"{n} people who differ",
            partial(percentiles_over_people, n),
            0.95,
            400,
            40,
        )
        for n in (4, 8)
    ),
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
