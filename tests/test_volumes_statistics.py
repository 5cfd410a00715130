"""Splits, linear models, scores, clusters and similarity of labelled volumes, against independent computations."""

from itertools import permutations
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.decoding.folds import Fold
from neuroface.decoding.uncertainty import p_value

import numpy as np
import pandas as pd
import pytest
import volumes_path  # noqa: F401
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist
from scipy.stats import pearsonr, spearmanr
from sklearn import metrics
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

from volume_study.clustering import overlap_table, permuted_separation, principal_axes, separation, top_voxels
from volume_study.linear import PENALTIES, ladder, logistic_probabilities, ridge_said
from volume_study.names import SPLITS
from volume_study.results import chosen_on_held_out
from volume_study.scores import (
    balanced_accuracy,
    calibration_error,
    people_intervals,
    scores,
    scores_by_class,
    scores_of_tables,
)
from volume_study.similarity import distances, mantel, noise_ceiling, square
from volume_study.splits import folds_of_all_splits, groups_of, leaks, make_folds, permuted_labels

LABELS = list("ABC")


def film(people=4, blocks=24, trs=4, runs=3, seed=0, own=False) -> pd.DataFrame:
    """Samples of people who see blocks of three labels, alike or each in an order of their own."""
    rows = []
    for person in range(people):
        rng = np.random.default_rng([seed, person if own else 0])
        labels = np.concatenate([rng.permutation(LABELS) for _ in range(blocks // 3)])
        for block, label in enumerate(labels):
            part = block * runs // blocks
            name = f"s{person}_part-{part}" if own else f"part-{part}"
            for tr in range(trs):
                number = block * (trs + 1) + tr
                rows.append((f"s{person}", "m", str(part), label, number * 2.0, number, f"{name}_tr-{number}",
                             f"{name}_block-{block}", name, name))  # fmt: skip
    columns = ["subject", "movie", "run", "label", "onset_s", "tr", "moment", "event", "stimulus", "clock"]
    return pd.DataFrame(rows, columns=columns)


def settings(**more):
    values = {
        "N_FOLDS": 3,
        "SEED": 1,
        "TR_S": 2.0,
        "EMBARGO_TRS": 2,
        "SELECTION": "inner",
        "CV_SPLITS": ("volume", "block"),
    }
    return SimpleNamespace(**values | more)


# ---------------------------------------------------------------- splits


@pytest.mark.parametrize("split", SPLITS)
def test_what_belongs_together_is_on_one_side(split):
    samples = film()
    folds = make_folds(samples, split, 3, 1, tr_s=2.0, embargo_trs=2, selection="inner")
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(samples)))
    groups = groups_of(samples, split)
    for fold in folds:
        parts = fold.train, fold.validation, fold.test
        assert not set(groups[fold.train]) & set(groups[fold.test]) and not set(groups[fold.validation]) & set(
            groups[fold.test]
        )
        assert not any(np.intersect1d(one, other).size for one in parts for other in parts if one is not other)
        if split in ("block", "run"):
            for held_out in (fold.test, fold.validation):
                distance = np.abs(
                    samples["onset_s"].to_numpy()[fold.train][:, None] - samples["onset_s"].to_numpy()[held_out]
                )
                same = samples["clock"].to_numpy()[fold.train][:, None] == samples["clock"].to_numpy()[held_out]
                assert distance[same].min(initial=99) > 4.0
        assert fold.n_embargoed == len(samples) - sum(map(len, parts))


def test_the_published_choice_of_the_epoch_is_the_held_out_set():
    for fold in make_folds(film(), "volume", 3, 1, tr_s=2.0, embargo_trs=2, selection="published"):
        assert fold.validation is fold.test


def test_which_splits_leak():
    shared, own = film(), film(own=True)
    assert [split for split in SPLITS if not leaks(shared, split)] == ["block", "run"]
    assert [split for split in SPLITS if not leaks(own, split)] == ["subject", "block", "run"]


def test_splits_that_are_not_possible_are_named():
    samples = film(people=2)
    folds, impossible = folds_of_all_splits(samples, settings())
    assert list(impossible) == ["subject"] and "Split 'subject' has 2 groups and N_FOLDS is 3" in impossible["subject"]
    with pytest.raises(NeuroFaceError, match="Lower N_FOLDS to 2 or less, or leave 'subject' out of CV_SPLITS"):
        folds_of_all_splits(samples, settings(CV_SPLITS=("subject",)))
    with pytest.raises(NeuroFaceError, match="training set of 0 volumes has none of 'A'.*lower EMBARGO_TRS"):
        make_folds(samples, "block", 3, 1, tr_s=2.0, embargo_trs=99, selection="inner")


def test_permuted_blocks_stay_whole_in_their_part_and_alike_for_viewers():
    samples = film()
    y = samples["label"].map(LABELS.index).to_numpy()
    moved = permuted_labels(samples, y, 20, 1)
    assert (moved != y[:, None]).any(axis=0).all()
    for column in moved.T:
        table = samples.assign(y=column, before=y)
        assert (table.groupby("event")["y"].nunique() == 1).all()
        blocks = table.drop_duplicates("event")
        for _, part in blocks.groupby("stimulus"):
            assert sorted(part["y"]) == sorted(part["before"])


# ---------------------------------------------------------------- linear models


@pytest.fixture(scope="module")
def leaky():
    """Volumes that know nothing of the labels: what viewers share moment by moment, smooth in time, and noise."""
    samples = film(people=4, blocks=36)
    rng = np.random.default_rng(5)
    course = rng.standard_normal((samples["tr"].max() + 1, 12))
    shared = course[samples["tr"]] + course[np.maximum(samples["tr"] - 1, 0)]
    X = np.concatenate([shared, rng.standard_normal((len(samples), 12))], axis=1)
    return samples, X, samples["label"].map(LABELS.index).to_numpy()


def test_the_ladder_shows_the_bias_of_leaking_splits_and_none_of_the_others(leaky):
    samples, X, y = leaky
    folds, _ = folds_of_all_splits(samples, settings())
    with threadpool_limits(1):  # small matrices: threads only wait for each other
        found = ladder(X @ X.T, y, permuted_labels(samples, y, 60, 1), folds, 3)
    assert list(found) == list(SPLITS)
    for split, result in found.items():
        low, high = result["null_interval"]
        assert result["bias"] == pytest.approx(result["null_mean"] - 1 / 3)
        if leaks(samples, split):
            assert result["bias"] > 0.05, split
        else:
            assert low < 1 / 3 < high and abs(result["bias"]) < 0.06, split
        assert low < result["balanced_accuracy"] < high + 0.1  # labels mean nothing in any case


def test_ridge_is_sklearns_with_the_penalty_that_is_best_inside():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    X = rng.standard_normal((90, 20)) + np.eye(3, 20)[y]
    fold = Fold(1, np.arange(40), np.arange(40, 60), np.arange(60, 90), "volume")

    def sklearns(train, test):
        mean, answers = X[train].mean(axis=0), []
        inside = X[train] - mean
        for penalty in PENALTIES:
            alpha = penalty * np.trace(inside @ inside.T) / len(train)
            values = []
            for number in range(3):
                own = y[train] == number
                target = np.where(own, 1 / own.sum(), -1 / (~own).sum())
                values.append(Ridge(alpha=alpha, fit_intercept=False).fit(inside, target).predict(X[test] - mean))
            answers.append(np.argmax(values, axis=0))
        return answers

    inner = [metrics.balanced_accuracy_score(y[fold.validation], a) for a in sklearns(fold.train, fold.validation)]
    expected = sklearns(np.arange(60), fold.test)[int(np.argmax(inner))]
    said = ridge_said(X @ X.T, y[:, None], [fold], 3)[:, 0]
    assert np.array_equal(said[fold.test], expected) and (said[:60] == -1).all()


def test_logistic_regression_from_the_kernel_is_that_on_the_features():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 60)
    X = rng.standard_normal((60, 40)) + 2 * np.eye(3, 40)[y]
    fold = Fold(1, np.arange(30), np.arange(30, 45), np.arange(45, 60), "volume")
    found = logistic_probabilities(X @ X.T, y, [fold], 3)
    train = np.arange(45)
    mean = X[train].mean(axis=0)
    scale = np.sqrt(((X[train] - mean) ** 2).sum() / len(train))
    fits = []
    for strength in (1e-3, 1e-1, 1e1):
        model = LogisticRegression(C=strength * len(train), max_iter=2000, tol=1e-8, class_weight="balanced")
        fits.append(model.fit((X[train] - mean) / scale, y[train]).predict_proba((X[fold.test] - mean) / scale))
    assert min(np.abs(found[fold.test] - fit).max() for fit in fits) < 2e-3
    assert np.isnan(found[:45]).all()


# ---------------------------------------------------------------- scores


@pytest.fixture(scope="module")
def predicted():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 300)
    probability = rng.dirichlet(np.ones(4), 300) + 0.5 * np.eye(4)[y]
    return y, probability / probability.sum(axis=1, keepdims=True), rng.choice(list("abcde"), 300)


def test_scores_from_tables_are_sklearns(predicted):
    y, probability, _ = predicted
    said = probability.argmax(axis=1)
    table = metrics.confusion_matrix(y, said)[None].astype(float)
    found, all_scores = scores_of_tables(table), scores(y, probability)
    for name, expected in {
        "accuracy": metrics.accuracy_score(y, said),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, said),
        "macro_f1": metrics.f1_score(y, said, average="macro"),
        "mcc": metrics.matthews_corrcoef(y, said),
    }.items():
        assert found[name][0] == pytest.approx(expected) and all_scores[name] == pytest.approx(expected)
    assert all_scores["roc_auc"] == pytest.approx(metrics.roc_auc_score(y, probability, multi_class="ovr"))
    assert balanced_accuracy(y[:, None], said[:, None], 4)[0] == pytest.approx(metrics.balanced_accuracy_score(y, said))


def test_intervals_are_those_of_people_drawn_again(predicted):
    y, probability, people = predicted
    said = probability.argmax(axis=1)
    low, high = people_intervals(y, said, people, 4, seed=1)["accuracy"]
    rng, drawn = np.random.default_rng(2), []
    for _ in range(1000):
        rows = np.concatenate([np.flatnonzero(people == who) for who in rng.choice(list("abcde"), 5)])
        drawn.append((y == said)[rows].mean())
    assert (low, high) == pytest.approx(tuple(np.quantile(drawn, (0.025, 0.975))), abs=0.01)
    assert people_intervals(y, said, np.full(300, "a"), 4, seed=1) == {}


def test_each_label_has_its_own_curves(predicted):
    y, probability, people = predicted
    found = scores_by_class(y, probability, people, list("wxyz"), 1)
    for number, label in enumerate("wxyz"):
        assert found[label]["roc_auc"] == pytest.approx(metrics.roc_auc_score(y == number, probability[:, number]))
        low, high = found[label]["intervals_95"]["auc"]
        assert low < found[label]["roc_auc"] < high


def test_an_answer_that_is_right_as_often_as_it_says_is_calibrated():
    confidence = np.repeat([0.55, 0.95], 100)
    correct = np.concatenate([np.arange(100) < 55, np.arange(100) < 75])
    assert calibration_error(confidence, correct) == pytest.approx(0.1)


def test_the_gain_of_choosing_the_epoch_on_held_out_volumes():
    history = pd.DataFrame(
        {"fold": [1, 1, 2, 2], "val_accuracy": [0.6, 0.5, 0.4, 0.7], "test_accuracy": [0.5, 0.6, 0.3, 0.4]}
    )
    folds = [Fold(k, np.arange(1), np.arange(1), np.arange(n), "volume") for k, n in ((1, 30), (2, 10))]
    found = chosen_on_held_out(history, folds)
    assert found["accuracy"] == pytest.approx(0.75 * 0.6 + 0.25 * 0.4) and found["gain"] == pytest.approx(0.75 * 0.1)


# ---------------------------------------------------------------- clusters


def test_overlap_and_the_strongest_voxels():
    top = {"A": top_voxels(np.array([0.0, 3, 2, 2, 1]), 3), "B": top_voxels(np.array([9.0, 0, 8, 7, 0]), 3)}
    assert top["A"].tolist() == [1, 2, 3] and top["B"].tolist() == [0, 2, 3]
    assert overlap_table(top).loc["A", "B"] == pytest.approx(2 / 3) and overlap_table(top).loc["B", "B"] == 1


def test_the_silhouette_is_sklearns():
    rng = np.random.default_rng(0)
    place, labels = rng.standard_normal((60, 3)), rng.integers(0, 4, 60)
    assert separation(cdist(place, place), labels) == pytest.approx(metrics.silhouette_score(place, labels))


def test_smooth_maps_are_separate_by_chance_and_labels_that_mean_something_are_significant():
    rng = np.random.default_rng(0)
    positions = np.argwhere(np.ones((8, 8, 8), bool)).astype(float)
    people, labels = (part.ravel() for part in np.mgrid[0:6, 0:3])
    noise = np.stack([gaussian_filter(rng.standard_normal((8, 8, 8)), 1).ravel() for _ in labels])

    def p_of(maps):
        place = positions[np.concatenate([top_voxels(values, 12) for values in maps])]
        who, what, distance = np.repeat(people, 12), np.repeat(labels, 12), cdist(place, place)
        observed, null = separation(distance, what), permuted_separation(distance, who, what, 99, 1)
        return p_value(observed, null)

    places = [np.linalg.norm(positions - centre, axis=1) < 2.5 for centre in ((1, 1, 1), (6, 6, 1), (1, 6, 6))]
    assert p_of(noise) > 0.05
    assert p_of(noise + np.stack(places)[labels]) == 0.01


def test_principal_axes_hold_the_variance():
    rng = np.random.default_rng(0)
    place = rng.standard_normal((200, 3)) * [9, 3, 0.1]
    axes, shares = principal_axes(place)
    assert shares[0] == pytest.approx(81 / 90, abs=0.03) and abs(np.corrcoef(axes[:, 0], place[:, 0])[0, 1]) > 0.99


# ---------------------------------------------------------------- similarity


@pytest.mark.parametrize("features", [10, 300])  # fewer and more than patterns
def test_distances_are_their_definitions(features):
    pytest.importorskip("rsatoolbox", reason="pip install -r requirements-volumes.txt")
    rng = np.random.default_rng(0)
    labels, parts = np.repeat(["z", "a", "m"], 8), np.tile([0, 1], 12)
    patterns = rng.standard_normal((24, features)) + np.repeat(rng.standard_normal((3, features)), 8, axis=0)
    found = distances(patterns, labels.tolist(), parts, ["z", "a", "m"])
    means = {name: patterns[labels == name].mean(axis=0) for name in "zam"}
    halves = {(name, h): patterns[(labels == name) & (parts == h)].mean(axis=0) for name in "zam" for h in (0, 1)}
    for pair, (one, other) in enumerate((("z", "a"), ("z", "m"), ("a", "m"))):
        assert found["correlation"][pair] == pytest.approx(1 - np.corrcoef(means[one], means[other])[0, 1])
        first, second = (halves[one, h] - halves[other, h] for h in (0, 1))
        assert found["crossnobis"][pair] == pytest.approx(first @ second / features)


@pytest.mark.parametrize("method, correlate", [("pearson", pearsonr), ("spearman", spearmanr)])
def test_mantel_tries_every_permutation_of_five_labels(method, correlate):
    rng = np.random.default_rng(3)
    one, other = rng.random((2, 10))
    found, pairs = mantel(one, other, method, 99, 0), np.triu_indices(5, 1)
    null = [
        correlate(one, square(other)[np.ix_(order, order)][pairs])[0] for order in map(list, permutations(range(5)))
    ]
    assert found["n_permutations"] == 120 and found["exact"]
    assert found["r"] == pytest.approx(null[0])
    assert found["p_greater"] == pytest.approx(np.mean(np.array(null) >= null[0] - 1e-9))
    assert found["p_two_sided"] == pytest.approx(np.mean(np.abs(null) >= abs(null[0]) - 1e-9))


def test_no_p_of_five_labels_is_below_one_in_120_and_nine_labels_are_drawn():
    values = np.arange(10.0)
    assert mantel(values, values, "pearson", 99, 0)["p_greater"] == pytest.approx(1 / 120)
    nine = np.random.default_rng(0).random(36)
    found = mantel(nine, nine, "spearman", 99, 0)
    assert not found["exact"] and found["n_permutations"] == 100 and found["p_greater"] == pytest.approx(0.01)


def test_the_noise_ceiling_lies_around_the_agreement_of_people():
    pytest.importorskip("rsatoolbox", reason="pip install -r requirements-volumes.txt")
    rng = np.random.default_rng(0)
    truth = rng.random(10)
    for noise, least, most in ((0.01, 0.95, 1.0), (3.0, -0.5, 0.5)):
        low, high = noise_ceiling(truth + noise * rng.standard_normal((8, 10)), "pearson")
        assert least <= low <= min(high, most)
