"""Splits, linear models, scores, clusters and similarity of labelled volumes, against independent computations."""

from functools import partial
from itertools import combinations, permutations
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.decoding import linear as linear_of_two_labels, screened as of_two_labels
from neuroface.decoding.folds import Fold
from neuroface.decoding.linear import window_features, window_kernel
from neuroface.decoding.metrics import balanced_accuracies, expected_calibration_error
from volume_study import linear as linear_of_volumes, screened as of_volumes
from volume_study.clustering import (
    exchanged_separations,
    overlap_table,
    principal_axes,
    separation,
    top_voxels,
)
from volume_study.crossed import crossed_intervals
from volume_study.episode_test import episode_test, exchanged, mean_difference
from volume_study.fold_test import fold_test
from volume_study.linear import (
    PENALTIES,
    ladder,
    logistic_probabilities,
    ridge_predictions,
    ridge_values,
)
from volume_study.names import SPLITS
from volume_study.results import chosen_on_held_out, paired_differences
from volume_study.scores import (
    scores,
    scores_by_class,
    scores_of_tables,
    scores_of_values,
    weighted_scores_of_all,
)
from volume_study.screened import screened_values
from volume_study.similarity import (
    correlations,
    distances,
    halves_of_episodes,
    holm,
    mantel,
    noise_ceiling,
    p_over_people,
    square,
)
from volume_study.splits import (
    folds_of_all_splits,
    groups_of,
    leaks,
    make_folds,
    permuted_labels,
    viewers_of,
)

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist
from scipy.stats import pearsonr, spearmanr, t, ttest_1samp, ttest_ind
from sklearn import metrics
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

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
    columns = [
        "subject",
        "movie",
        "run",
        "label",
        "onset_s",
        "tr",
        "moment",
        "event",
        "stimulus",
        "clock",
    ]
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
        assert not set(groups[fold.train]) & set(groups[fold.test]) and not set(
            groups[fold.validation]
        ) & set(groups[fold.test])
        assert not any(
            np.intersect1d(one, other).size for one in parts for other in parts if one is not other
        )
        if split in ("block", "run"):
            for held_out in (fold.test, fold.validation):
                distance = np.abs(
                    samples["onset_s"].to_numpy()[fold.train][:, None]
                    - samples["onset_s"].to_numpy()[held_out]
                )
                same = (
                    samples["clock"].to_numpy()[fold.train][:, None]
                    == samples["clock"].to_numpy()[held_out]
                )
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
    folds, impossible = folds_of_all_splits(film(people=1), settings())
    assert list(impossible) == ["subject"]
    assert "Split 'subject' has 1 group:" in impossible["subject"]
    with pytest.raises(NeuroFaceError, match="Leave 'subject' out of CV_SPLITS"):
        folds_of_all_splits(film(people=1), settings(CV_SPLITS=("subject",)))
    samples = film(people=2)
    folds, impossible = folds_of_all_splits(samples, settings())
    assert not impossible and len(folds["subject"]) == 2  # a fold for each person
    with pytest.raises(NeuroFaceError, match="training set is empty.*EMBARGO_TRS = 99 volumes"):
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
                values.append(
                    Ridge(alpha=alpha, fit_intercept=False)
                    .fit(inside, target)
                    .predict(X[test] - mean)
                )
            answers.append(np.argmax(values, axis=0))
        return answers

    inner = [
        metrics.balanced_accuracy_score(y[fold.validation], a)
        for a in sklearns(fold.train, fold.validation)
    ]
    expected = sklearns(fold.train, fold.test)[
        int(np.argmax(inner))
    ]  # the volumes that the networks learn from
    said = ridge_predictions(X @ X.T, y[:, None], [fold], 3)[:, 0]
    assert np.array_equal(said[fold.test], expected) and (said[:60] == -1).all()
    values = ridge_values(X @ X.T, y, [fold], 3)
    assert (
        np.array_equal(values[fold.test].argmax(axis=1), expected) and np.isnan(values[:60]).all()
    )


def test_logistic_regression_from_the_kernel_is_that_on_the_features():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 60)
    X = rng.standard_normal((60, 40)) + 2 * np.eye(3, 40)[y]
    fold = Fold(1, np.arange(30), np.arange(30, 45), np.arange(45, 60), "volume")
    found = logistic_probabilities(X @ X.T, y, [fold], 3)
    train = fold.train  # not the inner validation set, which the networks do not learn from either
    mean = X[train].mean(axis=0)
    scale = np.sqrt(((X[train] - mean) ** 2).sum() / len(train))
    fits = []
    for strength in (1e-3, 1e-1, 1e1):
        model = LogisticRegression(
            C=strength * len(train), max_iter=2000, tol=1e-8, class_weight="balanced"
        )
        fits.append(
            model.fit((X[train] - mean) / scale, y[train]).predict_proba(
                (X[fold.test] - mean) / scale
            )
        )
    assert min(np.abs(found[fold.test] - fit).max() for fit in fits) < 2e-3
    assert np.isnan(found[:45]).all()


def test_linear_models_do_not_learn_from_the_inner_validation_set():
    """A label that only validation volumes carry is never answered."""
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.integers(0, 2, 40), np.full(20, 2), rng.integers(0, 3, 30)])
    X = rng.standard_normal((90, 20)) + 5 * np.eye(3, 20)[y]
    fold = Fold(1, np.arange(40), np.arange(40, 60), np.arange(60, 90), "volume")
    assert 2 not in ridge_predictions(X @ X.T, y[:, None], [fold], 3)[fold.test]
    assert (logistic_probabilities(X @ X.T, y, [fold], 3)[fold.test, 2] == 0).all()


@pytest.mark.parametrize("n_labels", [3, 5])
def test_screened_ridge_finds_few_voxels_among_many(n_labels):
    """A voxel of 3,000 for each label: an ideal observer of these is the limit, ridge on all voxels is far below."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, n_labels, 100 * n_labels)
    X = rng.standard_normal((len(y), 3000)).astype(np.float32)
    X[:, :n_labels] += 1.5 * np.eye(n_labels)[y]
    train, validation, test = np.split(np.arange(len(y)), [47 * n_labels, 67 * n_labels])
    fold = Fold(1, train, validation, test, "volume")
    kernel = X.astype(np.float64) @ X.T

    def accuracy_of(values: np.ndarray) -> float:
        said = values[test, :n_labels].argmax(axis=1)
        return balanced_accuracies(y[test, None], said[:, None], n_labels)[0]

    ideal = accuracy_of(X)
    assert accuracy_of(screened_values(X, kernel, y, [fold], n_labels)) > ideal - 0.12
    assert accuracy_of(ridge_values(kernel, y, [fold], n_labels)) < ideal - 0.2


@pytest.mark.parametrize("screen", of_two_labels.SCREENS)
def test_with_two_labels_screened_ridge_decides_as_that_of_the_face_study(screen, monkeypatch):
    """One screen and one penalty in both: decision values of new volumes differ by a factor and the threshold alone."""
    rng = np.random.default_rng(2)
    y = rng.permutation(np.arange(180) % 3 == 0).astype(int)
    X = (rng.standard_normal((180, 2000)) + 3).astype(np.float32)
    X[:, :8] += 1.8 * y[:, None]
    train, inner, validation, test = np.split(np.arange(180), [40, 60, 120])
    fitted = np.concatenate([train, inner])  # by both; volumes choose the screen on others
    of_volume_study = Fold(1, fitted, validation, test, "volume")
    kernel = window_kernel(window_features(X[..., None], "window"))
    for module in (of_two_labels, of_volumes):
        monkeypatch.setattr(module, "SCREENS", (screen,))
    for module in (linear_of_two_labels, linear_of_volumes):
        monkeypatch.setattr(module, "PENALTIES", (0.1,))
    values = screened_values(X, kernel, y, [of_volume_study], 2)[test]
    np.testing.assert_allclose(values[:, 0], -values[:, 1], rtol=1e-6)

    of_face_study = Fold(1, train, inner, test, "window")
    found = of_two_labels.solve_screened(X[..., None], kernel, y, of_face_study)
    assert found.screen == screen
    logit = (X[test] * found.gains) @ (X.T @ found.solution.coefficients)
    slope, intercept = np.polyfit(values[:, 1], logit, 1)
    assert slope > 0
    np.testing.assert_allclose(logit, slope * values[:, 1] + intercept, atol=1e-4 * np.ptp(logit))


def test_screened_ridge_looks_at_no_label_outside_the_training_set():
    """Other labels of held-out volumes change nothing; those of validation volumes only choose."""
    rng = np.random.default_rng(1)
    y = rng.integers(0, 3, 90)
    X = rng.standard_normal((90, 50)).astype(np.float32)
    fold = Fold(1, np.arange(50), np.arange(50, 70), np.arange(70, 90), "volume")
    other = np.concatenate([y[:70], (y[70:] + 1) % 3])
    kernel = X.astype(np.float64) @ X.T
    assert np.array_equal(
        screened_values(X, kernel, y, [fold], 3),
        screened_values(X, kernel, other, [fold], 3),
        equal_nan=True,
    )


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
        assert found[name][0] == pytest.approx(expected) and all_scores[name] == pytest.approx(
            expected
        )
    assert all_scores["roc_auc"] == pytest.approx(
        metrics.roc_auc_score(y, probability, multi_class="ovr")
    )
    assert balanced_accuracies(y[:, None], said[:, None], 4)[0] == pytest.approx(
        metrics.balanced_accuracy_score(y, said)
    )


def test_crossed_intervals_are_the_sum_of_both_variances_less_the_shared_one():
    """Accuracy in a balanced design: the variance of its mean follows from the means of people, episodes and cells."""
    rng = np.random.default_rng(0)
    n_people, n_episodes, n_trs = 7, 20, 3
    level = rng.standard_normal((n_people, 1, 1)) + rng.standard_normal((n_episodes, 1))
    right = (level + rng.standard_normal((n_people, n_episodes, n_trs)) > 0).astype(float)
    people = np.repeat(np.arange(n_people), n_episodes * n_trs)
    episodes = np.tile(np.repeat(np.arange(n_episodes), n_trs), n_people)
    low, high = crossed_intervals(partial(accuracy, right.ravel()), people, episodes)["accuracy"]
    cells = right.mean(axis=2)
    of_people, of_episodes = (
        cells.mean(axis=1).var(ddof=1) / n_people,
        cells.mean(axis=0).var(ddof=1) / n_episodes,
    )
    total = of_people + of_episodes - cells.var(ddof=1) / cells.size
    freedom = total**2 / (of_people**2 / (n_people - 1) + of_episodes**2 / (n_episodes - 1))
    half = t.ppf(0.975, freedom) * np.sqrt(total)
    assert (low, high) == pytest.approx((right.mean() - half, right.mean() + half))


def accuracy(right: np.ndarray, times: np.ndarray) -> dict[str, np.ndarray]:
    return {"accuracy": times @ right / times.sum(axis=1)}


def test_where_each_person_saw_own_episodes_people_are_the_only_unit():
    rng = np.random.default_rng(0)
    right, people = rng.integers(0, 2, 240).astype(float), np.repeat(np.arange(8), 30)
    found = crossed_intervals(partial(accuracy, right), people, np.repeat(np.arange(40), 6))[
        "accuracy"
    ]
    means = right.reshape(8, 30).mean(axis=1)
    assert found == pytest.approx(t.interval(0.95, 7, means.mean(), means.std(ddof=1) / np.sqrt(8)))
    one_person = crossed_intervals(
        partial(accuracy, right), np.zeros(240), np.repeat(np.arange(40), 6)
    )["accuracy"]
    means = right.reshape(40, 6).mean(axis=1)
    assert one_person == pytest.approx(
        t.interval(0.95, 39, means.mean(), means.std(ddof=1) / np.sqrt(40))
    )
    assert crossed_intervals(partial(accuracy, right), np.zeros(240), np.zeros(240)) == {}


def test_intervals_cover_new_people_and_new_episodes():
    """People alone, as before, cover far less: everybody saw the same episodes."""
    covered = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        level = 0.1 * rng.standard_normal((6, 1, 1)) + 0.8 * rng.standard_normal((59, 1))
        right = (level + rng.standard_normal((6, 59, 3)) > 0).astype(float).ravel()
        people, episodes = np.repeat(np.arange(6), 177), np.tile(np.repeat(np.arange(59), 3), 6)
        parts = (
            episodes,
            np.arange(len(people)),
        )  # each volume as an episode of its own: people are the only unit
        intervals = [
            crossed_intervals(partial(accuracy, right), people, part)["accuracy"] for part in parts
        ]
        covered.append([low <= 0.5 <= high for low, high in intervals])
    crossed, of_people = np.mean(covered, axis=0)
    assert 0.9 < crossed < 0.99 and of_people < crossed - 0.05


def test_each_label_has_its_own_curves(predicted):
    y, probability, people = predicted
    episodes = np.arange(300) // 3
    found = scores_by_class(y, probability, people, episodes, list("wxyz"))
    for number, label in enumerate("wxyz"):
        assert found[label]["roc_auc"] == pytest.approx(
            metrics.roc_auc_score(y == number, probability[:, number])
        )
        low, high = found[label]["intervals_95"]["roc_auc"]
        assert low < found[label]["roc_auc"] < high


def test_weighted_scores_are_those_of_repeated_volumes(predicted):
    y, probability, _ = predicted
    times = np.random.default_rng(1).integers(0, 3, 300)
    rows = np.repeat(np.arange(300), times)
    found, expected = (
        weighted_scores_of_all(y, probability, times[None]),
        scores(y[rows], probability[rows]),
    )
    for name, value in found.items():
        assert value[0] == pytest.approx(expected[name]), name
    ranks = scores_of_values(y, np.log(probability))
    assert (
        ranks["roc_auc"] == pytest.approx(scores(y, probability)["roc_auc"])
        and "log_loss" not in ranks
    )


def test_models_are_compared_on_the_same_volumes(predicted):
    y, probability, people = predicted
    values = {"one": probability, "other": np.roll(probability, 1, axis=1), "again": probability}
    table = paired_differences(y, values, people, np.arange(300) // 3).set_index(
        ["model", "other", "score"]
    )
    assert (table.loc[("one", "again")] == 0).all(axis=None)
    row = table.loc[("one", "other", "accuracy")]
    assert row["difference"] == pytest.approx(
        (probability.argmax(axis=1) == y).mean() - (values["other"].argmax(axis=1) == y).mean()
    )
    assert 0 < row["low"] < row["difference"] < row["high"]


def test_an_answer_that_is_right_as_often_as_it_says_is_calibrated():
    confidence = np.repeat([0.55, 0.95], 100)
    correct = np.concatenate([np.arange(100) < 55, np.arange(100) < 75])
    assert expected_calibration_error(correct, confidence) == pytest.approx(0.1)


def test_the_gain_of_choosing_the_epoch_on_held_out_volumes():
    history = pd.DataFrame(
        {
            "fold": [1, 1, 2, 2],
            "val_accuracy": [0.6, 0.5, 0.4, 0.7],
            "test_accuracy": [0.5, 0.6, 0.3, 0.4],
        }
    )
    folds = [
        Fold(k, np.arange(1), np.arange(1), np.arange(n), "volume") for k, n in ((1, 30), (2, 10))
    ]
    found = chosen_on_held_out(history, folds)
    assert found["accuracy"] == pytest.approx(0.75 * 0.6 + 0.25 * 0.4) and found[
        "gain"
    ] == pytest.approx(0.75 * 0.1)


# ---------------------------------------------------------------- clusters


def test_overlap_and_the_strongest_voxels():
    top = {
        "A": top_voxels(np.array([0.0, 3, 2, 2, 1]), 3),
        "B": top_voxels(np.array([9.0, 0, 8, 7, 0]), 3),
    }
    assert top["A"].tolist() == [1, 2, 3] and top["B"].tolist() == [0, 2, 3]
    assert (
        overlap_table(top).loc["A", "B"] == pytest.approx(2 / 3)
        and overlap_table(top).loc["B", "B"] == 1
    )


def test_the_silhouette_is_sklearns():
    rng = np.random.default_rng(0)
    place, labels = rng.standard_normal((60, 3)), rng.integers(0, 4, 60)
    assert separation(cdist(place, place), labels) == pytest.approx(
        metrics.silhouette_score(place, labels)
    )


@pytest.mark.parametrize("planted", [False, True])
def test_labels_are_separate_if_they_mean_something_and_not_because_people_share_a_network(planted):
    """All people's maps are one network's weights × what the episodes did to everybody, and noise."""
    rng = np.random.default_rng(0)
    positions = np.argwhere(np.ones((8, 8, 8), bool)).astype(float)
    labels, n_voxels = np.tile(np.arange(3), 5), len(positions)
    weights = np.stack(
        [gaussian_filter(rng.standard_normal((8, 8, 8)), 1).ravel() for _ in range(3)]
    )
    if planted:
        centres = [
            np.linalg.norm(positions - centre, axis=1) < 2.5
            for centre in ((1, 1, 1), (6, 6, 1), (1, 6, 6))
        ]
        weights = weights + np.stack(centres)
    film = (
        rng.standard_normal((15, n_voxels)) + planted * 3 * np.stack(centres)[labels]
        if planted
        else 0
    )
    maps = (film + rng.standard_normal((6, 15, n_voxels)))[:, :, None] * weights
    found = exchanged_separations(maps, labels, np.zeros(15, int), positions, 12, 99, rng)
    p = np.mean(found >= found[0])
    assert p == 0.01 if planted else p > 0.05


def test_principal_axes_hold_the_variance():
    rng = np.random.default_rng(0)
    place = rng.standard_normal((200, 3)) * [9, 3, 0.1]
    axes, shares = principal_axes(place)
    assert (
        shares[0] == pytest.approx(81 / 90, abs=0.03)
        and abs(np.corrcoef(axes[:, 0], place[:, 0])[0, 1]) > 0.99
    )


# ---------------------------------------------------------------- similarity


@pytest.mark.parametrize("features", [10, 300])  # fewer and more than patterns
def test_distances_are_their_definitions(features):
    pytest.importorskip("rsatoolbox", reason="make volumes")
    rng = np.random.default_rng(0)
    labels, parts = np.repeat(["z", "a", "m"], 8), np.tile([0, 1], 12)
    patterns = rng.standard_normal((24, features)) + np.repeat(
        rng.standard_normal((3, features)), 8, axis=0
    )
    found = distances(patterns, labels.tolist(), parts, ["z", "a", "m"])
    means = {name: patterns[labels == name].mean(axis=0) for name in "zam"}
    halves = {
        (name, h): patterns[(labels == name) & (parts == h)].mean(axis=0)
        for name in "zam"
        for h in (0, 1)
    }
    for pair, (one, other) in enumerate((("z", "a"), ("z", "m"), ("a", "m"))):
        assert found["correlation"][pair] == pytest.approx(
            1 - np.corrcoef(means[one], means[other])[0, 1]
        )
        first, second = (halves[one, h] - halves[other, h] for h in (0, 1))
        assert found["crossnobis"][pair] == pytest.approx(first @ second / features)


@pytest.mark.parametrize("method, correlate", [("pearson", pearsonr), ("spearman", spearmanr)])
def test_mantel_tries_every_permutation_of_five_labels(method, correlate):
    rng = np.random.default_rng(3)
    brains, layer = rng.random((3, 10)), rng.random(10)
    found, pairs = mantel(brains, layer, method, 99, 0), np.triu_indices(5, 1)
    null = []
    for order in map(list, permutations(range(5))):
        moved = square(layer)[np.ix_(order, order)][pairs]
        null.append(np.mean([correlate(brain, moved)[0] for brain in brains]))
    assert found["n_permutations"] == 120 and found["exact"]
    assert found["r"] == pytest.approx(null[0])
    assert found["p_greater"] == pytest.approx(np.mean(np.array(null) >= null[0] - 1e-9))
    assert found["p_two_sided"] == pytest.approx(np.mean(np.abs(null) >= abs(null[0]) - 1e-9))


def test_no_p_of_five_labels_is_below_one_in_120_and_nine_labels_are_drawn():
    values = np.arange(10.0)
    assert mantel(values[None], values, "pearson", 99, 0)["p_greater"] == pytest.approx(1 / 120)
    nine = np.random.default_rng(0).random(36)
    found = mantel(nine[None], nine, "spearman", 99, 0)
    assert (
        not found["exact"]
        and found["n_permutations"] == 100
        and found["p_greater"] == pytest.approx(0.01)
    )


def test_r_of_a_perfect_model_reaches_its_ceiling_and_does_not_exceed_it():
    """The correlation with the mean of people's distances, as before, exceeds the bound for single people."""
    pytest.importorskip("rsatoolbox", reason="make volumes")
    rng, of_people, of_mean, ceiling = np.random.default_rng(0), [], [], []
    for _ in range(20):
        true = rng.random(10)
        brains, layer = (
            true + 0.35 * rng.standard_normal((6, 10)),
            true + 0.05 * rng.standard_normal(10),
        )
        of_people.append(mantel(brains, layer, "pearson", 99, 0)["r"])
        of_mean.append(np.corrcoef(brains.mean(axis=0), layer)[0, 1])
        ceiling.append(noise_ceiling(brains, "pearson"))
    low, high = np.mean(ceiling, axis=0)
    assert low < np.mean(of_people) < high < np.mean(of_mean)


def test_holm_and_the_test_over_people():
    p = np.array(
        [0.01, 0.04, np.nan, 0.03, 0.005]
    )  # 4 × .005, 3 × .01, 2 × .03, .04 raised to what came before
    np.testing.assert_allclose(holm(p), [0.03, 0.06, np.nan, 0.06, 0.02])
    assert p_over_people(np.array([0.1, 0.3, 0.2])) == pytest.approx(
        ttest_1samp([0.1, 0.3, 0.2], 0).pvalue
    )
    assert np.isnan(p_over_people(np.array([0.4])))
    r = correlations(
        np.array([[1.0, 2, 3], [3, 1, 2]]), np.array([[2.0, 4, 6], [1, 1, 1]]), "pearson"
    )
    np.testing.assert_allclose(r, [[1, -0.5], [0, 0]])


def test_distances_between_earlier_and_later_episodes_are_0_without_an_effect():
    """Halves of people, as layers had before, share the episodes: 0.7 in place of 0."""
    pytest.importorskip("rsatoolbox", reason="make volumes")
    samples = film(people=4, blocks=24)
    half = halves_of_episodes(samples, 2.0, 2)
    people = samples["subject"].map({f"s{k}": k % 2 for k in range(4)}).to_numpy()
    groups = [(label, h) for label in LABELS for h in (0, 1)]
    found = {"episodes": [], "people": []}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shared = rng.standard_normal((samples["event"].nunique(), 20))[
            samples["event"].astype("category").cat.codes
        ]
        X = shared + rng.standard_normal((len(samples), 20))
        for name, part in {"episodes": half, "people": people}.items():
            means = [
                X[(samples["label"] == label) & (part == h)].mean(axis=0) for label, h in groups
            ]
            labels, parts = [label for label, _ in groups], np.array([h for _, h in groups])
            found[name].append(
                distances(np.stack(means), labels, parts, LABELS)["crossnobis"].mean()
            )
    error = np.std(found["episodes"]) / np.sqrt(60)
    assert abs(np.mean(found["episodes"])) < 3 * error and np.mean(found["people"]) > 10 * error


def test_halves_hold_whole_episodes_alike_for_viewers_and_apart():
    samples = film(people=3, blocks=24)
    half = halves_of_episodes(samples, 2.0, 2)
    table = samples.assign(half=half)
    kept = table[table["half"] >= 0]
    assert (kept.groupby("event")["half"].nunique() == 1).all() and (
        table.groupby("moment")["half"].nunique() == 1
    ).all()
    assert (kept.groupby("half")["label"].nunique() == 3).all()
    distance = np.abs(
        np.subtract.outer(*(kept["onset_s"][kept["half"] == h].to_numpy() for h in (0, 1)))
    )
    assert distance.min() > 4.0 and len(kept) > 0.7 * len(table)
    one_fold = samples[
        samples["subject"] == "s0"
    ]  # HELD_OUT_SPLIT = "subject": a person lies in one fold
    assert set(halves_of_episodes(one_fold, 2.0, 2)) >= {0, 1}


# ---------------------------------------------------------------- episodes exchange their labels


def test_p_of_a_fold_is_that_of_all_exchanges():
    rng = np.random.default_rng(0)
    maps, own = rng.standard_normal((9, 4)), np.arange(9) < 3
    maps[own, 0] += 2
    found = episode_test(maps, own, np.ones(9, int), np.zeros(9, int), 1000, 0)
    statistics = []
    for chosen in combinations(range(9), 3):
        mine = np.isin(np.arange(9), chosen)
        statistics.append(np.abs(ttest_ind(maps[mine], maps[~mine]).statistic))
    observed = np.abs(ttest_ind(maps[own], maps[~own]).statistic)
    expected = (np.max(statistics, axis=1)[:, None] >= observed - 1e-9).mean(axis=0)
    np.testing.assert_allclose(found.p_voxel, expected)
    np.testing.assert_allclose(found.difference, maps[own].mean(axis=0) - maps[~own].mean(axis=0))
    assert (
        found.exact and found.n_permutations == [84] and found.smallest_p == pytest.approx(1 / 84)
    )


def test_the_smallest_p_of_folds_counts_as_often_as_there_are_folds():
    rng = np.random.default_rng(1)
    maps, own, fold = (
        rng.standard_normal((18, 3)),
        np.tile(np.arange(9) < 3, 2),
        np.repeat([1, 2], 9),
    )
    none = np.zeros(18, int)
    both = episode_test(maps, own, fold, none, 1000, 0)
    each = [
        episode_test(maps[fold == k], own[fold == k], fold[fold == k], none[:9], 1000, 0)
        for k in (1, 2)
    ]
    expected = np.minimum(1, 2 * np.minimum(*(test.p_voxel for test in each)))
    np.testing.assert_allclose(both.p_voxel, expected)
    np.testing.assert_allclose(both.difference, mean_difference(maps, own, fold))
    assert both.smallest_p == pytest.approx(2 / 84)
    assert episode_test(maps, np.zeros(18, bool), fold, none, 1000, 0) is None


def test_labels_stay_with_their_viewers():
    own, viewers = np.array([1, 0, 0, 1, 0, 0], bool), np.array(list("aaabbb"))
    orders, complete = exchanged(own, viewers, 100, 0)
    assert (
        complete
        and len(orders) == 9
        and len(np.unique(orders, axis=0)) == 9
        and np.array_equal(orders[0], own)
    )
    assert (orders[:, :3].sum(axis=1) == 1).all()
    drawn, complete = exchanged(own, viewers, 5, 0)
    assert not complete and len(drawn) == 5 and (drawn[:, :3].sum(axis=1) == 1).all()
    shared, alone = film(people=2), film(people=2, own=True)
    assert set(viewers_of(shared)) == {"several"} and (viewers_of(alone) == alone["subject"]).all()


def test_maps_of_random_weights_on_noise_are_significant_in_5_percent():
    """The test of before, of volumes that the network is sure of and sign flips of people: 88 %."""
    hits = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((20, 1, 30)) + rng.standard_normal(
            (20, 6, 30)
        )  # episodes, people, voxels
        own, fold = np.arange(20) % 4 == 0, np.arange(20) // 10
        weights = rng.standard_normal((2, 30))
        maps = (X * weights[fold][:, None]).mean(axis=1)
        hits.append(
            (episode_test(maps, own, fold, np.zeros(20, int), 300, seed).p_voxel <= 0.05).any()
        )
    assert np.mean(hits) <= 0.11  # 3 standard errors above 0.05


def test_decoding_of_noise_and_of_an_effect():
    samples = film(people=4, blocks=36)
    y = samples["label"].map(LABELS.index).to_numpy()
    table = samples.assign(fold=samples["event"].astype("category").cat.codes % 2)
    rng = np.random.default_rng(0)
    said = np.where(rng.random(len(y)) < 0.5, y, rng.integers(0, 3, len(y)))
    found = fold_test(table, y, said, 3, 99, 0)
    assert found["p"] == found["smallest_p"] == pytest.approx(2 / 100)
    noise = rng.integers(0, 3, samples["event"].nunique())[
        samples["event"].astype("category").cat.codes
    ]
    assert fold_test(table, y, noise, 3, 99, 0)["p"] > 0.05  # alike in all viewers of an episode


def test_the_noise_ceiling_lies_around_the_agreement_of_people():
    pytest.importorskip("rsatoolbox", reason="make volumes")
    rng = np.random.default_rng(0)
    truth = rng.random(10)
    for noise, least, most in ((0.01, 0.95, 1.0), (3.0, -0.5, 0.5)):
        low, high = noise_ceiling(truth + noise * rng.standard_normal((8, 10)), "pearson")
        assert least <= low <= min(high, most)
