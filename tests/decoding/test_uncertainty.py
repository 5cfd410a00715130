"""Intervals and nulls against closed forms and brute force."""

from pathlib import Path

from neuroface.decoding import results
from neuroface.decoding.comparison import COMPARED, comparison, comparison_cells, mark_of
from neuroface.decoding.metrics import scores
from neuroface.decoding.training_report import interval_text, intervals_caption, smallest_p_text
from neuroface.decoding.uncertainty import (
    MIXED_SHARE,
    cluster_intervals,
    fifths_of_films,
    intervals_of_split,
    jackknife_interval,
    learn_from_each_other,
    noise_share_of,
    p_value,
    permuted_labels,
    scores_of_mixed_labels,
    weighted_scores,
    widening,
)

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, t
from sklearn import metrics
from sklearn.metrics import roc_auc_score


def samples_of(viewers: int = 3) -> pd.DataFrame:
    """Two films of eight events; every viewer of a film has all its events but one."""
    rows = []
    for movie in ("a", "b"):
        for viewer in range(viewers):
            for event in range(8):
                if event != viewer:
                    label = "face" if event % 2 else "noface"
                    rows.append((f"sub-{movie}{viewer}", movie, "1", label, f"{movie}{event}"))
    return pd.DataFrame(rows, columns=["subject", "movie", "run", "label", "event"])


def test_an_event_has_one_label_for_all_its_viewers_in_every_relabelling():
    samples = samples_of()
    labels = permuted_labels(samples, 50, seed=1, positive="face")
    for _, rows in samples.groupby("event").indices.items():
        assert (labels[rows] == labels[rows[0]]).all()


def test_each_film_keeps_its_number_of_face_events():
    samples = samples_of()
    first = samples.drop_duplicates("event")
    labels = permuted_labels(samples, 50, seed=1, positive="face")[first.index]
    for movie in ("a", "b"):
        assert (labels[(first["movie"] == movie).to_numpy()].sum(axis=0) == 4).all()


def test_relabellings_differ_from_each_other_and_are_seeded():
    samples = samples_of()
    labels = permuted_labels(samples, 50, seed=1, positive="face")
    assert len({column.tobytes() for column in labels.T}) > 40
    np.testing.assert_array_equal(labels, permuted_labels(samples, 50, seed=1, positive="face"))
    assert (labels != permuted_labels(samples, 50, seed=2, positive="face")).any()


def test_events_of_different_runs_never_swap():
    samples = pd.DataFrame(
        {
            "movie": "task", "run": ["1"] * 4 + ["2"] * 4, "label": ["face"] * 4 + ["noface"] * 4,
            "event": [f"e{i}" for i in range(8)], "subject": "sub-1",
        }
    )  # fmt: skip
    assert (
        permuted_labels(samples, 20, seed=0, positive="face")
        == np.array([1] * 4 + [0] * 4)[:, None]
    ).all()


def test_the_interval_over_people_is_the_binomials_when_people_are_all_right_or_all_wrong():
    n_people, each, right = 40, 10, 28
    y = np.tile([0, 1], n_people * each // 2)
    person = np.repeat(np.arange(n_people), each)
    probability = np.where(person < right, y, 1 - y).astype(float)
    low, high = cluster_intervals(y, probability, person)["accuracy"]
    expected = binom(n_people, right / n_people).ppf([0.025, 0.975]) / n_people
    assert (low, high) == pytest.approx(expected, abs=0.03)
    # Drawing windows instead would give an interval about √10 times narrower.
    assert high - low > 2 * np.ptp(
        binom(n_people * each, 0.7).ppf([0.025, 0.975]) / (n_people * each)
    )


def test_one_person_has_no_interval_over_people():
    assert cluster_intervals(np.array([0, 1]), np.array([0.1, 0.9]), np.array(["a", "a"])) == {}


@pytest.mark.parametrize(("observed", "expected"), [(0.9, 1 / 5), (0.6, 3 / 5), (0.1, 1.0)])
def test_p_value_counts_the_observation_itself(observed, expected):
    assert p_value(observed, np.array([0.5, 0.6, 0.7, 0.4])) == pytest.approx(expected)


def test_p_value_counts_relabellings_that_change_nothing_but_the_rounding():
    """All 256 changes of eight signs, one of which is the observation: p is (1 + 1) / 257, whatever the order of sums."""
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * 8)).reshape(8, -1).T
    for sample in range(20):
        gains = np.random.default_rng(sample).normal(0.05, 0.002, 8)
        assert p_value(gains.mean(), signs @ gains / 8) == pytest.approx(2 / 257)
    assert 0.1 + 0.2 > 0.3 and p_value(0.1 + 0.2, np.array([0.3])) == 1


def test_the_interval_of_the_auc_holds_its_value():
    rng = np.random.default_rng(0)
    y, person = rng.integers(0, 2, 400), np.repeat(np.arange(40), 10)
    probability = np.round(1 / (1 + np.exp(-(y + rng.standard_normal(400)))), 2)  # with ties
    low, high = cluster_intervals(y, probability, person)["auc"]
    assert low < roc_auc_score(y, probability) < high
    drawn = [
        roc_auc_score(y[rows], probability[rows]) for rows in rng.integers(400, size=(250, 400))
    ]
    assert (low, high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)


def test_scores_of_draws_are_those_of_windows_repeated():
    rng = np.random.default_rng(1)
    y, probability = (
        rng.integers(0, 2, 60),
        np.round(rng.random(60), 1),
    )  # with ties, some at the threshold
    times = rng.integers(0, 4, size=(20, 60))
    found = weighted_scores(y, probability, times)
    for draw, often in enumerate(times):
        expected = scores(np.repeat(y, often), np.repeat(probability, often))
        assert {name: found[name][draw] for name in found} == pytest.approx(
            {name: expected[name] for name in found}
        )


def test_every_score_of_the_comparison_has_an_interval_around_it():
    rng = np.random.default_rng(2)
    y, person = rng.integers(0, 2, 300), np.repeat(np.arange(30), 10)
    probability = 1 / (1 + np.exp(-(2 * y - 1 + rng.standard_normal(300))))
    intervals, whole = cluster_intervals(y, probability, person), scores(y, probability)
    assert set(intervals) == set(COMPARED)
    assert all(low < whole[name] < high for name, (low, high) in intervals.items())


def test_the_jackknife_interval_of_a_mean_is_the_t_interval():
    values = np.random.default_rng(3).standard_normal(5)
    left_out = (values.sum() - values) / 4
    expected = t.interval(0.95, 4, values.mean(), values.std(ddof=1) / np.sqrt(5))
    assert jackknife_interval(values.mean(), left_out) == pytest.approx(expected)


def test_three_clusters_have_no_interval():
    y, person = np.tile([0, 1], 6), np.repeat(np.arange(3), 4)
    assert cluster_intervals(y, np.linspace(0.1, 0.9, 12), person) == {}
    assert np.isnan(jackknife_interval(0.5, [0.4, 0.5, 0.6])).all()


@pytest.mark.parametrize("n_people", [4, 8])
def test_intervals_over_few_people_cover_the_truth(n_people):
    """Percentiles of a bootstrap over these people cover 82 % with 4 people and 88 % with 8 (600 studies)."""
    rng = np.random.default_rng(4)
    found = []
    for _ in range(300):
        right = np.clip(rng.normal(0.75, 0.08, n_people), 0, 1)
        y, person = np.tile([0, 1], 40 * n_people), np.repeat(np.arange(n_people), 80)
        probability = np.where(rng.random(len(y)) < right[person], y, 1 - y) * 0.8 + 0.1
        low, high = cluster_intervals(y, probability, person)["accuracy"]
        found.append(low <= 0.75 <= high)
    assert 0.92 < np.mean(found) < 0.99


def predicted(n_films: int, viewers: int = 3) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Labels, probabilities and windows of people who saw one film each."""
    rng = np.random.default_rng(n_films)
    film = np.repeat(np.arange(n_films), 20 * viewers)
    person = np.repeat(np.arange(n_films * viewers), 20)
    y = np.tile([0, 1], len(film) // 2)
    probability = 1 / (
        1 + np.exp(-(2 * y - 1) - rng.standard_normal(n_films)[film] - rng.standard_normal(len(y)))
    )
    return (
        y,
        probability,
        pd.DataFrame({"movie": film.astype(str), "subject": person.astype(str), "run": ""}),
    )


def test_the_interval_of_film_folds_is_over_films_and_the_others_over_people():
    y, probability, windows = predicted(5)
    films = intervals_of_split(y, probability, windows, "movie")
    people = intervals_of_split(y, probability, windows, "window")
    assert (films["over"], films["n"], people["over"], people["n"]) == ("films", 5, "people", 15)
    whole_films = np.zeros(len(y), dtype=int)
    assert films["scores"] == cluster_intervals(
        y, probability, windows["movie"].to_numpy(), whole_films
    )
    assert people["scores"] == cluster_intervals(y, probability, windows["subject"].to_numpy())
    assert films["widened"] == pytest.approx(1.5) and people["widened"] == 1  # 1 + 5 / 4 = 1.5²
    assert interval_text(films, "auc", ".3f").endswith("] over 5 films")
    assert "over 5 films" in intervals_caption(films)
    assert "up to 1.50 times as wide" in intervals_caption(films)
    assert "over 15 people" in intervals_caption(
        people
    ) and "times as wide" not in intervals_caption(people)
    assert intervals_of_split(y, probability, windows, "subject")["widened"] == widening(15)


def test_too_few_films_are_named_where_the_interval_would_be():
    films = intervals_of_split(*predicted(3), "movie")
    assert (
        films["scores"] == {}
        and interval_text(films, "auc", ".3f") == "too few films for an interval: 3 of at least 4"
    )
    assert (
        intervals_caption(films)
        == "No 95 % intervals: too few films for an interval: 3 of at least 4."
    )
    known = intervals_of_split(*predicted(5), "movie")
    assert intervals_caption(films, known) == intervals_caption(known)  # the other model has some


def test_a_perfect_score_is_not_said_to_be_known_exactly():
    y, _, windows = predicted(4)
    perfect = intervals_of_split(y, 0.1 + 0.8 * y, windows, "window")
    assert perfect["scores"] == {} and "do not differ" in perfect["why_none"]
    too_low = (
        0.1 + 0.8 * y - 0.5 * (y * (np.arange(len(y)) % 9 == 1))
    )  # ranked rightly, some below the threshold
    found = intervals_of_split(y, too_low, windows, "window")
    assert interval_text(found, "auc", ".3f") == "no interval: people do not differ"
    assert "over 12 people" in interval_text(found, "accuracy", ".3f")


def test_models_of_folds_that_learn_from_each_other_widen_the_interval():
    values = np.random.default_rng(5).standard_normal(6)
    left_out = (values.sum() - values) / 5
    low, high = jackknife_interval(values.mean(), left_out)
    wide_low, wide_high = jackknife_interval(values.mean(), left_out, cross_validated=True)
    assert (
        (wide_high - wide_low) / (high - low)
        == pytest.approx(np.sqrt(1 + 6 / 5))
        == pytest.approx(widening(6))
    )
    assert wide_low + wide_high == pytest.approx(low + high)


@pytest.mark.parametrize("n_films", [8, 12, 40])
def test_the_variance_of_a_sum_over_pairs_of_films_is_twice_that_between_films(n_films):
    """A film's score is its product with the mean of the others, as without an effect; 3,000 studies.

    The factor of 4 fold models in place of the number of films, 1.53, would cover 0.97 with 40
    films.
    """
    x = np.random.default_rng(n_films).standard_normal((3000, n_films, 25))
    others = (x.sum(axis=1, keepdims=True) - x) / (n_films - 1)
    each = (x * others).sum(axis=2)
    left_out = (each.sum(axis=1, keepdims=True) - each).T / (n_films - 1)
    low, high = jackknife_interval(each.mean(axis=1), left_out, cross_validated=True)
    assert 0.935 < np.mean((low <= 0) & (high >= 0)) < 0.965


def weights_of_folds(rng, n_films: int, n_folds: int, n_features: int, effect: float):
    """Weights of fold models (n_folds, n_features), the mean of their training films, and the share of noise in them."""
    films = rng.standard_normal((n_films, n_features))
    fold = np.arange(n_films) % n_folds
    noise = np.stack([films[fold != held_out].mean(axis=0) for held_out in range(n_folds)])
    true = np.zeros(n_features)
    true[0] = effect
    noise_power = (noise[:, 1:] ** 2).sum(axis=1)
    share = np.mean(noise_power / (noise_power + (noise[:, 0] + effect) ** 2))
    return noise + true, share


@pytest.mark.parametrize(("n_films", "n_folds"), [(20, 4), (12, 12)])
@pytest.mark.parametrize("effect", [0.0, 3.0, 8.0, 40.0])
def test_how_much_fold_models_differ_tells_the_noise_in_their_weights(n_films, n_folds, effect):
    """Noise that was planted in 2,000 features; scale and sign of all models do not matter."""
    weights, share = weights_of_folds(np.random.default_rng(3), n_films, n_folds, 2000, effect)
    assert noise_share_of(weights) == pytest.approx(share, abs=0.05)
    assert noise_share_of(-7 * weights) == pytest.approx(noise_share_of(weights))


def test_models_that_are_equal_hold_no_noise_and_models_without_weights_nothing_else():
    same = np.tile([1.0, -2.0, 3.0], (4, 1))
    assert noise_share_of(same) == pytest.approx(0, abs=1e-12)
    assert noise_share_of(np.vstack([same, np.zeros(3)])) == 1
    assert noise_share_of(np.diag([1.0, 1.0, -1.0])) == 1  # they have less in common than noise has


def test_the_factor_is_1_without_noise_and_that_of_independent_films_with_noise_alone():
    assert widening(12, 0.0) == 1 and widening(12, 1.0) == widening(12)
    many = [widening(10**9, share) ** 2 for share in (0.0, 0.25, 0.5, 1.0)]
    # (1 + r)² of the share 1 − r, twice the share r
    assert many == pytest.approx([1, 0.75 * 1.25**2 + 0.5, 0.5 * 1.5**2 + 1, 2])


@pytest.mark.parametrize(("n_features", "effect"), [(2, 1.5), (10, 1.0), (100, 1.5)])
def test_the_noise_in_the_weights_makes_the_interval_right_with_few_features_and_with_many(
    n_features, effect
):
    """Scores of 20 films along what the others taught, 2,000 studies; without the share 2 features are covered too often."""
    rng = np.random.default_rng(n_features)
    scores_of_films, shares = [], []
    for _ in range(2000):
        films = rng.standard_normal((20, n_features))
        films[:, 0] += effect
        weights = films.sum(axis=0) - films
        directions = weights / np.linalg.norm(weights, axis=1)[:, None]
        scores_of_films.append((films * directions).sum(axis=1))
        shares.append(noise_share_of(weights))
    each = np.array(scores_of_films)
    left_out = (each.sum(axis=1, keepdims=True) - each) / 19
    truth, covered = each.mean(), {"known": [], "not known": []}
    for whole, without, share in zip(each.mean(axis=1), left_out, shares):
        for name, noise_share in (("known", share), ("not known", 1.0)):
            low, high = jackknife_interval(whole, without, None, True, noise_share=noise_share)
            covered[name].append(low <= truth <= high)
    assert 0.93 < np.mean(covered["known"]) < 0.97
    assert (np.mean(covered["not known"]) > 0.98) == (n_features == 2)


def fifths_of_simulated_films(rng, n_films: int, effect: float) -> np.ndarray:
    """Scores (n_films, 5, 3000 studies) of fifths of films: along the direction that the other films taught.

    Films have the effect in one of 25 features and differ in its size. Their mean over films is the
    score of a study.
    """
    x = 0.6 * rng.standard_normal((3000, n_films, 5, 25))
    x[..., 0] += effect * (1 + 0.4 * rng.standard_normal((3000, n_films, 1)))
    films = x.mean(axis=2)
    taught = films.sum(axis=1, keepdims=True) - films
    taught /= np.linalg.norm(taught, axis=2, keepdims=True)
    return np.einsum("sfpd,sfd->fps", x, taught)


@pytest.mark.parametrize(("n_films", "effect"), [(20, 0.0), (20, 1.0), (40, 1.0)])
def test_only_what_films_have_by_chance_counts_twice(n_films, effect):
    """Twice the variance between films is right without an effect, and too much where films differ in an effect."""
    parts = fifths_of_simulated_films(np.random.default_rng(n_films), n_films, effect)
    each, whole = parts.mean(axis=1), parts.mean(axis=(0, 1))
    left_out = (each.sum(axis=0) - each) / (n_films - 1)
    mixed = whole - MIXED_SHARE * parts / (n_films * 5)  # a fifth of mixed labels has the score 0
    truth, covered = whole.mean(), []
    for divided in (None, mixed):
        low, high = jackknife_interval(whole, left_out, None, True, 0.95, divided)
        covered.append(np.mean((low <= truth) & (high >= truth)))
    assert (covered[0] > 0.98) == (effect > 0)
    assert 0.925 < covered[1] < 0.975


def test_the_variance_within_films_is_that_of_their_fifths():
    """Means: the variance of the mean from that within films, by hand; films differ more than by chance."""
    rng = np.random.default_rng(1)
    parts = rng.standard_normal((20, 5)) + 3 * rng.standard_normal((20, 1))
    each = parts.mean(axis=1)
    mixed = parts.mean() - MIXED_SHARE * parts / 100
    low, high = jackknife_interval(parts.mean(), (each.sum() - each) / 19, None, True, 0.95, mixed)
    within = 5 * np.sum(parts.var(axis=1, ddof=1)) / 100**2  # summed over films
    expected = np.sqrt(each.var(ddof=1) / 20 + within * 20 / 19)
    assert (high - low) / 2 == pytest.approx(t.ppf(0.975, 19) * expected)


@pytest.mark.parametrize("n_films", [4, 12])
def test_the_share_that_is_called_class_1_counts_once(n_films):
    """A film's score has a sum over pairs of films and something that no model learns, of the same variance.

    Twice the whole variance would cover 0.97 to 0.98; 4,000 studies.
    """
    rng = np.random.default_rng(n_films)
    x = rng.standard_normal((4000, n_films, 25))
    learnt = (x * (x.sum(axis=1, keepdims=True) - x)).sum(axis=2).T / np.sqrt(25 * (n_films - 1))
    each = learnt + rng.standard_normal(learnt.shape)
    left_out = (each.sum(axis=0) - each) / (n_films - 1)
    mixed = each.mean(axis=0) - MIXED_SHARE * learnt[:, None] / n_films
    low, high = jackknife_interval(each.mean(axis=0), left_out, None, True, 0.95, mixed)
    assert 0.935 < np.mean((low <= 0) & (high >= 0)) < 0.965


def test_near_a_score_of_1_too_what_labels_add_counts_twice():
    """Each film calls about half of its windows "face", so accuracy varies by labels alone, as if nothing was mixed."""
    y, film = np.tile([0, 1], 400), np.repeat(np.arange(4), 200)
    right = np.ones(800, dtype=bool)
    right[[0, 1, 200, 201, 202, 203, 400, 401, 600, 601, 602]] = False
    probability = np.where(right, 0.1 + 0.8 * y, 0.9 - 0.8 * y)
    found = cluster_intervals(y, probability, film, np.zeros(800, dtype=int))["accuracy"]
    each = np.array([198, 196, 198, 197])
    left_out = (each.sum() - each) / 600
    whole = [float(limit) for limit in jackknife_interval(789 / 800, left_out, (0, 1), True)]
    assert found == pytest.approx(whole, abs=2e-3)


def test_scores_of_mixed_labels_are_those_of_windows_that_belong_to_both_classes():
    """Each window of the part twice, once per class, with the shares of the classes as weights: by scikit-learn."""
    rng = np.random.default_rng(4)
    film, fifth = np.indices((3, 20)).reshape(2, -1)
    y, probability = (rng.random(60) < 0.3).astype(int), rng.random(60)
    found = scores_of_mixed_labels(y, probability, film, fifth // 10)
    here = (film == 1) & (fifth // 10 == 1)
    both = np.concatenate([np.where(here, 1, y), np.where(here, 0, y)])
    is_face = np.where(here, y + MIXED_SHARE * (y.mean() - y), 0.5)
    weight = np.concatenate([is_face, 1 - is_face])
    twice, said = np.tile(probability, 2), np.tile(probability >= 0.5, 2)
    expected = {
        "accuracy": metrics.accuracy_score(both, said, sample_weight=weight),
        "mcc": metrics.matthews_corrcoef(both, said, sample_weight=weight),
        "f1": metrics.f1_score(both, said, sample_weight=weight),
        "auc": roc_auc_score(both, twice, sample_weight=weight),
        "pr_auc": metrics.average_precision_score(both, twice, sample_weight=weight),
    }
    assert {name: values[1, 1] for name, values in found.items()} == pytest.approx(expected)
    assert found["auc"].shape == (3, 2)


def test_a_film_of_few_moments_has_a_fifth_for_each():
    """Empty fifths would add variance of 0, and the rest would count as that within films."""
    windows = pd.DataFrame(
        {"movie": "short", "run": "", "event": ["c", "a", "b"], "first_tr": [50, 10, 30]}
    )
    assert fifths_of_films(windows).tolist() == [2, 0, 1]


def test_fifths_of_films_follow_their_moments_and_all_viewers_share_them():
    windows = pd.DataFrame(
        {"movie": ["a"] * 20 + ["b"] * 5, "run": "1", "first_tr": [*range(0, 100, 10)] * 2 + [50, 40, 30, 20, 10]}
    )  # fmt: skip
    windows["event"] = windows["movie"] + windows["first_tr"].astype(str)
    expected = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4] * 2 + [4, 3, 2, 1, 0]
    assert fifths_of_films(windows).tolist() == expected
    order = np.random.default_rng(0).permutation(25)
    assert fifths_of_films(windows.iloc[order]).tolist() == [expected[row] for row in order]


def test_film_folds_of_sixteen_films_are_divided():
    y, probability, windows = predicted(16)
    windows["first_tr"] = windows.groupby("subject").cumcount()
    windows["event"] = windows["movie"] + "_" + windows["first_tr"].astype(str)
    films, found = windows["movie"].to_numpy(), intervals_of_split(y, probability, windows, "movie")
    whole = cluster_intervals(y, probability, films, np.zeros(len(y), dtype=int))
    apart = cluster_intervals(y, probability, films)
    for name, (low, high) in found["scores"].items():
        widths = [interval[1] - interval[0] for interval in (apart[name], whole[name])]
        assert widths[0] < high - low <= widths[1] + 1e-12
    assert found["scores"]["auc"] != whole["auc"]
    assert "up to 1.44 times as wide" in intervals_caption(found)


def test_the_share_of_noise_is_used_where_models_learn_from_each_other():
    y, probability, windows = predicted(16)
    films = windows["movie"].to_numpy()
    found = intervals_of_split(y, probability, windows, "movie", 0.1)
    whole_films = np.zeros(len(y), dtype=int)  # not divided into fifths
    expected = cluster_intervals(y, probability, films, whole_films, noise_share=0.1)
    assert found["scores"] == expected
    assert (found["noise_share"], found["widened"]) == (0.1, widening(16, 0.1))
    independent = intervals_of_split(y, probability, windows, "window", 0.1)
    assert independent["scores"] == intervals_of_split(y, probability, windows, "window")["scores"]
    assert (independent["noise_share"], independent["widened"]) == (None, 1)
    splits = {
        split: learn_from_each_other(windows, split)
        for split in ("movie", "subject", "run", "event", "window")
    }
    assert splits == {"movie": True, "subject": True, "run": False, "event": False, "window": False}
    assert learn_from_each_other(windows.assign(subject="1"), "run")
    caption = intervals_caption(found, intervals_of_split(*predicted(15), "movie"))
    assert f"up to {widening(15):.2f} times as wide" in caption
    assert "noise in their weights (10% to 10%)" in caption


def test_intervals_of_one_person_are_over_held_out_runs():
    """As many runs as Haxby's, one block of faces and seven others in each."""
    rng = np.random.default_rng(7)
    y = np.tile([1, 0, 0, 0, 0, 0, 0, 0], 12)
    probability = 1 / (1 + np.exp(-(2 * y - 1) - rng.standard_normal(96)))
    windows = pd.DataFrame(
        {"movie": "objects", "run": np.repeat(np.arange(12), 8).astype(str), "subject": "1"}
    )
    found = intervals_of_split(y, probability, windows, "run")
    assert (found["over"], found["n"], found["widened"]) == (
        "runs of one person",
        12,
        pytest.approx(widening(12)),
    )
    every = cluster_intervals(y, probability, windows["run"].to_numpy(), np.zeros(96, dtype=int))
    assert list(found["scores"]) == ["accuracy", "auc"]
    assert all(interval == pytest.approx(every[name]) for name, interval in found["scores"].items())
    assert interval_text(found, "auc", ".3f").endswith("] over 12 runs of one person")
    assert (
        "for independent runs, because the models of the folds learnt from each other's runs"
        in intervals_caption(found)
    )
    assert "MCC, F1 and PR AUC have none" in intervals_caption(found)
    assert intervals_of_split(y, probability, windows, "event")["over"] == "people"
    several = windows.assign(subject=np.tile(["1", "2", "3", "4"], 24))
    assert intervals_of_split(y, probability, several, "run")["over"] == "people"


def test_only_networks_are_marked_where_the_reported_fold_chose_the_epoch():
    assert (
        mark_of("voxel_time_cnn", "paper")
        and mark_of("cnn3d", "paper")
        and mark_of("shuffled-cnn", "paper")
    )
    assert (
        not mark_of("linear", "paper")
        and not mark_of("linear_plus", "paper")
        and not mark_of("face-rois", "paper")
    )
    assert not mark_of("voxel_time_cnn", "inner")
    y, probability, windows = predicted(4)
    one = {
        "all_folds": scores(y, probability), "intervals_95": intervals_of_split(y, probability, windows, "movie"),
        "seeds": {"n": 1, "accuracy": [0.5]}, "cost": {}, "selection": "paper",
    }  # fmt: skip
    table = comparison({"voxel_time_cnn": {"movie": one}, "linear": {"movie": one}}, "movie")
    assert (
        "epoch chosen on the reported fold" in table["model"][0]
        and table["model"][1] == "ridge, whole window"
    )
    assert set(table["interval_over"]) == {"4 films"} and table["auc_low"].notna().all()
    assert "[" in comparison_cells(table.iloc[0])[4]
    with_shuffled = one | {"shuffled_cnn": scores(y, probability) | {"cost": {}}}
    by_auc = {
        "linear": {"movie": one},
        "voxel_time_cnn": {"movie": with_shuffled},
    }  # as in the report
    last = comparison(by_auc, "movie")["model"].iloc[-1]
    assert last.startswith("CNN, voxels in random order")


def test_few_relabellings_are_said_to_allow_nothing_significant():
    assert smallest_p_text(18) == "No p can be below 0.053: nothing can be significant."
    assert smallest_p_text(19) == "No p can be below 0.05." and "no p" in smallest_p_text(0)


def test_single_networks_on_swapped_labels_are_compared_with_single_networks(monkeypatch):
    """Three networks of .6, .7 and .8, whose mean logit may score higher; two of four null networks reach their mean."""
    null = iter([0.8, 0.7, 0.5, 0.6])

    def joined(folder, members, n):
        wrong = round((1 - next(null)) * n)
        y = np.tile([0, 1], n // 2)
        return (
            pd.DataFrame(
                {"trained_label": y, "probability": np.where(np.arange(n) < wrong, 1 - y, y)}
            ),
            [],
            {},
        )

    monkeypatch.setattr(results, "join_folds", joined)
    found = results._permuted_scores(Path(), "movie", [], 40, 0.7, 4)
    assert found == {
        "n": 4,
        "mean": pytest.approx(0.65),
        "observed": 0.7,
        "p": pytest.approx(3 / 5),
    }
