"""Calibration of logits, and the one-standard-error rule, against closed forms and scikit-learn."""

from neuroface.decoding.calibration import (
    balanced_weights,
    calibration_slope,
    log_losses,
    out_of_choice_logits,
    simplest_good_model,
)

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss


def slope_of_sklearn(y, value):
    """Logistic regression without intercept; a target of 0.9 is a window that counts 0.9 as 1 and 0.1 as 0."""
    n = np.where(y == 1, (y == 1).sum(), (y == 0).sum())
    target = np.where(y == 1, (n + 0.5) / (n + 1), 0.5 / (n + 1))
    twice, labels = np.tile(value, 2)[:, None], np.repeat([1, 0], len(y))
    weights = np.concatenate([target, 1 - target]) / np.tile(n, 2)
    fit = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=1000)
    return fit.fit(twice, labels, sample_weight=weights).coef_[0, 0]


@pytest.mark.parametrize(("n_positive", "scale"), [(40, 1.0), (12, 300.0), (70, 1e-4)])
def test_the_slope_is_that_of_logistic_regression(n_positive, scale):
    rng = np.random.default_rng(n_positive)
    y = (np.arange(80) < n_positive).astype(int)
    value = scale * (y - 0.5 + rng.standard_normal(80))
    assert calibration_slope(y, value) == pytest.approx(
        slope_of_sklearn(y, value / scale) / scale, rel=1e-3
    )


@pytest.mark.parametrize(("n_positive", "n_negative"), [(5, 5), (3, 40)])
def test_windows_that_are_all_correct_do_not_get_certain_probabilities(n_positive, n_negative):
    """With values of ±1 the loss has its minimum at the mean of the two targets, whatever the number of windows."""
    y = np.repeat([1, 0], [n_positive, n_negative])
    probability = 1 / (1 + np.exp(-calibration_slope(y, 2.0 * y - 1)))
    expected = ((n_positive + 0.5) / (n_positive + 1) + (n_negative + 0.5) / (n_negative + 1)) / 2
    assert probability == pytest.approx(expected, abs=1e-4)


def test_separated_values_that_vary_and_values_that_say_nothing_stay_finite():
    y = np.arange(30) % 2
    separated = (2 * y - 1) * np.geomspace(1e-3, 1e3, 30)
    assert 0 < calibration_slope(y, separated) < np.inf
    assert 0 < calibration_slope(y, 1.0 - 2 * y) < 1e-3  # always wrong: as little as possible
    assert calibration_slope(y, np.zeros(30)) == 1


def test_log_losses_are_those_of_scikit_learn_even_for_large_logits():
    rng = np.random.default_rng(0)
    y, logit = np.arange(20) % 2, 3 * rng.standard_normal(20)
    expected = [
        log_loss([label], [1 / (1 + np.exp(-one))], labels=[0, 1]) for label, one in zip(y, logit)
    ]
    np.testing.assert_allclose(log_losses(y, logit), expected, rtol=1e-9)
    np.testing.assert_allclose(log_losses(np.array([0, 1]), np.array([900.0, -800.0])), [900, 800])


def test_balanced_weights_give_both_classes_half():
    y = np.array([1, 0, 0, 0, 0])
    weights = balanced_weights(y)
    assert weights[0] == pytest.approx(4 * weights[1]) and weights.mean() == pytest.approx(1)


# Losses of a simpler model minus those of the best: mean 0.05; squared deviations sum to 0.11, so
# the standard error of the mean of four is sqrt(0.11 / 3 / 4) = 0.0957.
EXCESS = np.array([0.1, -0.1, 0.3, -0.1])


def chosen(excess, clusters, weights=None, errors=1.0):
    best, weights = (
        np.full(len(excess), 0.5),
        np.ones(len(excess)) if weights is None else np.array(weights),
    )
    return simplest_good_model([best + excess, best], (np.array(list(clusters)),), weights, errors)


def test_a_simpler_model_is_taken_within_one_standard_error():
    assert chosen(EXCESS, "abcd") == 0
    assert (
        chosen(EXCESS + 0.0450, "abcd") == 0 and chosen(EXCESS + 0.0460, "abcd") == 1
    )  # 0.095 and 0.096
    assert (
        chosen(EXCESS + 0.1410, "abcd", errors=2) == 0
        and chosen(EXCESS + 0.1420, "abcd", errors=2) == 1
    )


def test_windows_of_one_moment_count_once_in_the_standard_error():
    twice = np.tile(
        EXCESS + 0.03, 2
    )  # a mean of 0.08; as eight moments its error would be sqrt(0.22 / 7 / 8) = 0.0627
    assert chosen(twice, "abcdefgh") == 1 and chosen(twice, "abcdabcd") == 0


def test_weights_move_the_mean():
    assert chosen(np.array([0.5, 0.4, 0.45, 0.55, -1.0]), "abcde", [1.0, 1.0, 1.0, 1.0, 0.1]) == 1
    assert chosen(np.array([0.5, 0.4, 0.45, 0.55, -1.0]), "abcde") == 0


def test_ties_go_to_the_simpler_model():
    same = [np.array([0.2, 0.3, 0.4])] * 3
    assert simplest_good_model(same, (np.array(["a", "b", "c"]),), np.ones(3)) == 0
    better = [same[0] + 0.1, same[0], same[0]]
    assert simplest_good_model(better, (np.array(["a", "b", "c"]),), np.ones(3)) == 1


# ---------------------------------------------------------------- windows that chose the step


def negative_loss(y, logit):
    return -float(np.average(log_losses(y, logit), weights=balanced_weights(y)))


def test_each_half_takes_the_step_that_the_other_half_chose():
    y, clusters = np.arange(20) % 2, np.arange(20)
    good, bad = 6.0 * y - 3, 3 - 6.0 * y
    first_half = np.arange(20) // 2 % 2 == 0  # every second cluster of each class
    logits = np.stack([np.where(first_half, good, bad), np.where(first_half, bad, good)])
    chosen = out_of_choice_logits(logits, y, clusters, negative_loss)
    np.testing.assert_array_equal(chosen, bad)  # what is good for one half is bad for the other
    np.testing.assert_array_equal(
        out_of_choice_logits(logits[:1], y, clusters, negative_loss), logits[0]
    )


def test_few_windows_of_a_class_leave_the_choice_to_all_windows():
    y, clusters = (
        np.repeat([0, 1], [21, 3]),
        np.arange(24),
    )  # Haxby's inner sets have three face windows
    logits = np.stack([np.zeros(24), 2.0 * y - 1])
    np.testing.assert_array_equal(
        out_of_choice_logits(logits, y, clusters, negative_loss), logits[1]
    )


def test_a_temperature_of_windows_that_chose_among_noise_is_not_too_low():
    """300 small studies: the best of 12 steps of noise looks informative on the windows that chose it, and only there."""
    rng = np.random.default_rng(0)
    y, clusters = np.arange(60) % 2, np.arange(60)
    naive, honest = [], []
    for _ in range(300):
        logits = 0.3 * (2 * y - 1) + 2 * rng.standard_normal((12, 60))
        held_out = 0.3 * (2 * y - 1) + 2 * rng.standard_normal(60)
        best = logits[np.argmax([negative_loss(y, logit) for logit in logits])]
        for logit, losses in (
            (best, naive),
            (out_of_choice_logits(logits, y, clusters, negative_loss), honest),
        ):
            losses.append(-negative_loss(y, calibration_slope(y, logit) * held_out))
    assert np.mean(honest) < np.log(2) + 0.002 < np.mean(naive)
