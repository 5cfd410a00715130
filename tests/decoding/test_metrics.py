"""Scores against hand counts and scikit-learn."""

from neuroface.decoding.metrics import balanced_accuracies, expected_calibration_error, scores

import numpy as np
import pytest
from sklearn import metrics as sk

# Eight predictions: at 0.5, three faces found, one missed, one false alarm, three right rejections.
Y = np.array([1, 1, 1, 1, 0, 0, 0, 0])
PROBABILITY = np.array([0.9, 0.8, 0.5, 0.2, 0.7, 0.4, 0.3, 0.1])


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("n", 8),
        ("accuracy", 6 / 8),
        ("balanced_accuracy", (3 / 4 + 3 / 4) / 2),
        ("precision", 3 / 4),
        ("recall", 3 / 4),
        ("f1", 3 / 4),
        ("mcc", (3 * 3 - 1 * 1) / 16),
        (
            "auc",
            12 / 16,
        ),  # of 16 pairs of a face and a no-face, those where the face has the larger probability
        ("brier", (0.01 + 0.04 + 0.25 + 0.64 + 0.49 + 0.16 + 0.09 + 0.01) / 8),
    ],
)
def test_scores_are_the_hand_counts(name, by_hand):
    assert scores(Y, PROBABILITY)[name] == pytest.approx(by_hand)


def test_scores_are_scikit_learns_on_unbalanced_data():
    rng = np.random.default_rng(0)
    y = (rng.random(500) < 0.2).astype(int)
    probability = np.clip(0.3 * y + rng.random(500) * 0.7, 0, 1)
    got, said = scores(y, probability, threshold=0.6), probability >= 0.6
    assert got["auc"] == pytest.approx(sk.roc_auc_score(y, probability))
    assert got["pr_auc"] == pytest.approx(sk.average_precision_score(y, probability))
    assert got["f1"] == pytest.approx(sk.f1_score(y, said))
    assert got["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, said))


def test_scores_of_a_model_that_never_says_face():
    got = scores(Y, np.full(8, 0.1))
    assert (got["precision"], got["recall"], got["f1"], got["accuracy"]) == (0, 0, 0, 0.5)


def test_calibration_error_by_hand():
    # Two bins hold windows. In [0.2, 0.3): mean 0.25, half are faces. In [0.9, 1]: mean 0.95, all
    # are faces.
    y = np.array([1, 0, 1, 1, 1, 1])
    probability = np.array([0.22, 0.28, 0.9, 0.95, 0.95, 1.0])
    by_hand = 2 / 6 * abs(0.5 - 0.25) + 4 / 6 * abs(1 - 0.95)
    assert expected_calibration_error(y, probability) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("y", "probability", "error"), [([0, 1], [0.0, 1.0], 0), ([1, 0], [0.0, 1.0], 1)]
)
def test_calibration_error_of_certain_answers(y, probability, error):
    assert expected_calibration_error(np.array(y), np.array(probability)) == error


def test_calibration_error_is_small_where_probabilities_come_true():
    rng = np.random.default_rng(1)
    probability = rng.random(200_000)
    came_true = (rng.random(200_000) < probability).astype(int)
    assert expected_calibration_error(came_true, probability) < 0.005
    assert expected_calibration_error(came_true, probability**2) > 0.1


def test_balanced_accuracies_are_sklearns_column_by_column():
    rng = np.random.default_rng(0)
    labels, said = rng.integers(0, 2, (50, 7)), rng.integers(0, 2, (50, 7))
    expected = [sk.balanced_accuracy_score(true, guess) for true, guess in zip(labels.T, said.T)]
    np.testing.assert_allclose(balanced_accuracies(labels, said > 0), expected)
