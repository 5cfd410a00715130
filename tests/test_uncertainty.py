"""Intervals and nulls against closed forms and brute force."""

from neuroface.decoding.metrics import scores
from neuroface.decoding.training_report import COMPARED
from neuroface.decoding.uncertainty import (
    cluster_bootstrap,
    cluster_intervals,
    jackknife_interval,
    p_value,
    permuted_labels,
    weighted_scores,
)

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, t
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
    assert (permuted_labels(samples, 20, seed=0, positive="face") == np.array([1] * 4 + [0] * 4)[:, None]).all()


def test_the_interval_over_people_is_the_binomials_when_people_are_all_right_or_all_wrong():
    n_people, each, right = 40, 10, 28
    y = np.tile([0, 1], n_people * each // 2)
    person = np.repeat(np.arange(n_people), each)
    probability = np.where(person < right, y, 1 - y).astype(float)
    low, high = cluster_bootstrap(y, probability, person, 4000, seed=0)["accuracy"]
    expected = binom(n_people, right / n_people).ppf([0.025, 0.975]) / n_people
    assert (low, high) == pytest.approx(expected, abs=0.03)
    # Drawing windows instead would give an interval about √10 times narrower.
    assert high - low > 2 * np.ptp(binom(n_people * each, 0.7).ppf([0.025, 0.975]) / (n_people * each))


def test_one_person_has_no_interval_over_people():
    assert cluster_bootstrap(np.array([0, 1]), np.array([0.1, 0.9]), np.array(["a", "a"]), 10, seed=0) == {}


@pytest.mark.parametrize(("observed", "expected"), [(0.9, 1 / 5), (0.6, 3 / 5), (0.1, 1.0)])
def test_p_value_counts_the_observation_itself(observed, expected):
    assert p_value(observed, np.array([0.5, 0.6, 0.7, 0.4])) == pytest.approx(expected)


def test_the_interval_of_the_auc_holds_its_value():
    rng = np.random.default_rng(0)
    y, person = rng.integers(0, 2, 400), np.repeat(np.arange(40), 10)
    probability = np.round(1 / (1 + np.exp(-(y + rng.standard_normal(400)))), 2)  # with ties
    low, high = cluster_bootstrap(y, probability, person, 500, seed=0)["auc"]
    assert low < roc_auc_score(y, probability) < high
    drawn = [roc_auc_score(y[rows], probability[rows]) for rows in rng.integers(400, size=(500, 400))]
    assert (low, high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)


def test_scores_of_draws_are_those_of_windows_repeated():
    rng = np.random.default_rng(1)
    y, probability = rng.integers(0, 2, 60), np.round(rng.random(60), 1)  # with ties, some at the threshold
    times = rng.integers(0, 4, size=(20, 60))
    found = weighted_scores(y, probability, times)
    for draw, often in enumerate(times):
        expected = scores(np.repeat(y, often), np.repeat(probability, often))
        assert {name: found[name][draw] for name in found} == pytest.approx({name: expected[name] for name in found})


def test_every_score_of_the_comparison_has_an_interval_around_it():
    rng = np.random.default_rng(2)
    y, person = rng.integers(0, 2, 300), np.repeat(np.arange(30), 10)
    probability = 1 / (1 + np.exp(-(2 * y - 1 + rng.standard_normal(300))))
    intervals, whole = cluster_bootstrap(y, probability, person, 300, seed=0), scores(y, probability)
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


def test_intervals_over_four_clusters_cover_the_truth():
    rng = np.random.default_rng(4)
    found = []
    for _ in range(300):
        right = np.clip(rng.normal(0.75, 0.08, 4), 0, 1)
        y, person = np.tile([0, 1], 160), np.repeat(np.arange(4), 80)
        probability = np.where(rng.random(320) < right[person], y, 1 - y) * 0.8 + 0.1
        low, high = cluster_intervals(y, probability, person)["accuracy"]
        found.append(low <= 0.75 <= high)
    assert 0.91 < np.mean(found) < 0.99
