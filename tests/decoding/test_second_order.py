"""The linear classifier with a second-order path against numpy on the features themselves."""

from functools import cache

from neuroface.decoding import closed_form, linear
from neuroface.decoding.folds import Fold
from neuroface.decoding.network import logit_network, predict_logits
from neuroface.decoding.second_order import (
    DEVIATIONS,
    _stacked,
    logits_of,
    parameters,
    solve_second_order,
)

import numpy as np
import pytest
from scipy.optimize import minimize

N, VOXELS, TRS = 240, 7, 4
FITTED, HELD_OUT = np.arange(180), np.arange(180, N)
GROUPINGS = np.arange(N).astype(str), np.full(N, "sub-1")


def fold_of(n_fitted=180):
    parts = [np.arange(n_fitted)[k::3] for k in range(3)]
    pairs = [(np.sort(np.concatenate(parts[:k] + parts[k + 1 :])), parts[k]) for k in range(3)]
    return Fold(1, *pairs[0], HELD_OUT, "window", further_inner=tuple(pairs[1:]))


def windows_with(linear_part: float, product_part: float, seed=0):
    """Labels 0 or 1, and windows whose first two voxels have the same sign in those with 1; the third follows the label."""
    rng = np.random.default_rng(seed)
    y = np.arange(N) // 2 % 2
    X = rng.standard_normal((N, VOXELS, TRS))
    first = rng.choice([-1.0, 1.0], N)
    X[:, 0] += product_part * first[:, None]
    X[:, 1] += product_part * (first * (2 * y - 1))[:, None]
    X[:, 2] += linear_part * (2 * y - 1)[:, None]
    return X.astype(np.float32), y


def kernels(X):
    whole, mean = X.reshape(len(X), -1).astype(float), X.mean(axis=2, dtype=float)
    return whole @ whole.T, mean @ mean.T


def first_kernel(X, deviation):
    """Inner products of the linear path."""
    whole, mean = kernels(X)
    return TRS * mean + deviation * (whole - TRS * mean)


@cache
def case(linear_part, product_part, units=VOXELS):
    """Windows, labels, the fit, its weights."""
    X, y = windows_with(linear_part, product_part)
    found = solve_second_order(*kernels(X), TRS, y, fold_of(), GROUPINGS, units)
    return X, y, found, parameters(lambda: chunks(X), found)


def chunks(X, step=50):
    for start in range(0, len(X), step):
        yield slice(start, start + step), X[start : start + step]


def products_of(mean, rows):
    """All products of two means over time (n, n_voxels²), centred on the mean of ``rows``, and that mean."""
    centre = mean[rows].mean(axis=0)
    return np.einsum("na,nb->nab", mean - centre, mean - centre).reshape(len(mean), -1), centre


def solve_products(mean, y):
    """Ridge on the products; each training set centres on its own windows."""

    def kernel(rows):
        products, _ = products_of(mean, rows)
        return products @ products.T

    return linear.solve(kernel, y, fold_of())


def paths_by_features(X, y, deviation):
    """Logits (n, 2) of ridge on weighted features, and of ridge on all products of two centred means, written out."""
    mean = X.mean(axis=2, dtype=float)
    away = (X - mean[:, :, None]).reshape(N, -1)
    first = np.concatenate([np.sqrt(TRS) * mean, np.sqrt(deviation) * away], axis=1)
    second, _ = products_of(mean, FITTED)
    solutions = linear.solve(first @ first.T, y, fold_of()), solve_products(mean, y)
    logits = []
    for features, solution in zip((first, second), solutions):
        logits.append(features @ (solution.coefficients @ features) + solution.intercept)
    return np.stack(logits, axis=1)


def accuracy(logit, y):
    return np.mean((logit[HELD_OUT] > 0) == y[HELD_OUT])


def test_its_logits_are_those_of_ridge_on_the_products():
    X, y, found, weights = case(0.4, 1.0)
    share = np.array([found.chosen["linear"], found.chosen["second_order"]])
    assert (share > 0).all() and found.chosen["deviation"] in DEVIATIONS
    expected = paths_by_features(X, y, found.chosen["deviation"]) @ share
    intercept = np.mean(found.logit_of_rows - expected[FITTED])
    np.testing.assert_allclose(found.logit_of_rows, expected[FITTED] + intercept, atol=1e-6)
    logit = logits_of(X, weights)
    assert logit.std() > 0.5
    np.testing.assert_allclose(logit, expected + intercept, atol=1e-5)  # held-out windows too


def test_its_quadratic_form_is_the_weighted_sum_of_outer_products():
    X, y, found, weights = case(0.0, 1.0)
    mean = X.mean(axis=2, dtype=float)
    centre = mean[FITTED].mean(axis=0)
    second = solve_products(mean, y)
    form = (
        np.einsum("n,na,nb->ab", second.coefficients, mean - centre, mean - centre)
        * found.chosen["second_order"]
    )
    np.testing.assert_allclose(
        weights.directions * weights.strengths @ weights.directions.T, form, atol=1e-6
    )
    np.testing.assert_allclose(weights.directions.T @ weights.directions, np.eye(VOXELS), atol=1e-6)
    np.testing.assert_allclose(weights.offsets, -centre @ weights.directions, atol=1e-6)


def test_a_product_that_no_line_can_read_is_read():
    X, y, found, weights = case(0.0, 1.0)
    ridge = linear.decision_values(kernels(X)[0], y[:, None], [fold_of()])[:, 0]
    assert accuracy(ridge, y) < 0.65 < 0.85 < accuracy(logits_of(X, weights), y)
    strongest = weights.directions[:, np.abs(weights.strengths).argmax()]
    assert (strongest[:2] ** 2).sum() > 0.8  # the direction lies in the two voxels


def test_where_the_signal_is_linear_it_is_ridge():
    X, y, found, weights = case(0.6, 0.0)
    assert (
        found.chosen["second_order"] == 0
        and found.chosen["linear"] == 1
        and not weights.strengths.any()
    )
    kernel = first_kernel(X, found.chosen["deviation"])
    ridge = linear.solve(kernel, y, fold_of())
    np.testing.assert_allclose(
        logits_of(X, weights), kernel @ ridge.coefficients + ridge.intercept, atol=1e-5
    )
    np.testing.assert_array_equal(found.inner_logit, ridge.inner_logit)


def test_the_network_computes_the_same():
    for units in (VOXELS, 3, VOXELS + 5):
        X, _, _, weights = case(0.4, 1.0, units)
        network = closed_form.linear_plus(VOXELS, TRS, None, units=units)
        closed_form.set_parameters(network, weights)
        np.testing.assert_allclose(
            predict_logits(logit_network(network), X, 32), logits_of(X, weights), atol=1e-4
        )


def test_fewer_directions_keep_the_strongest():
    X, y, _, few = case(0.0, 1.0, units=2)
    strengths = case(0.0, 1.0)[3].strengths
    strongest = strengths[np.argsort(-np.abs(strengths))[:2]]
    np.testing.assert_allclose(few.strengths / few.strengths[0], strongest / strongest[0])
    assert accuracy(logits_of(X, few), y) > 0.85


def test_inner_logits_are_those_of_networks_with_as_few_directions():
    """Two directions of 7, by eigenvectors of the quadratic form in voxels; scale and intercept by the stack alone."""
    X, y, found, few = case(0.0, 1.0, units=2)
    mean = X.mean(axis=2, dtype=float)
    second = solve_products(mean, y)
    inner = np.full(N, np.nan)
    for train, validation in fold_of().inner:
        products, centre = products_of(mean, train)
        coefficients, intercept = linear.solve_with(products @ products.T, y, train, second.penalty)
        form = (coefficients @ products).reshape(VOXELS, VOXELS)
        strengths, directions = np.linalg.eigh(form)
        kept = np.argsort(-np.abs(strengths))[:2]
        projected = (mean[validation] - centre) @ directions[:, kept]
        inner[validation] = second.slope * (projected**2 @ strengths[kept] + intercept)
    first = linear.solve(first_kernel(X, found.chosen["deviation"]), y, fold_of())
    share, intercept = _stacked(
        np.column_stack([first.inner_logit, inner])[FITTED], y[FITTED], np.ones(len(FITTED))
    )
    expected = share[0] * first.inner_logit + share[1] * inner + intercept
    np.testing.assert_allclose(found.inner_logit[FITTED], expected[FITTED], atol=1e-4)
    at_centre = few.intercept + np.tensordot(
        few.weights, X[FITTED].mean(axis=0, dtype=float), axes=2
    )
    assert at_centre == pytest.approx(
        share[0] * first.logit_at_mean + share[1] * second.intercept + intercept, abs=1e-4
    )


def test_the_intercept_is_right_where_most_directions_are_dropped():
    """A condition with a larger variance along three directions, five times more voxels than windows."""
    rng = np.random.default_rng(4)
    n, n_fitted, voxels = 600, 300, 1500
    y = np.arange(n) % 2
    X = rng.standard_normal((n, voxels, 2))
    for _ in range(3):
        direction = rng.standard_normal(voxels)
        amount = 8 * y * rng.standard_normal(n)
        X += (amount[:, None] * direction / np.linalg.norm(direction))[:, :, None]
    part = np.arange(n_fitted) // 2 % 4
    pairs = [(np.flatnonzero(part != k), np.flatnonzero(part == k)) for k in range(4)]
    fold = Fold(1, *pairs[0], np.arange(n_fitted, n), "window", further_inner=tuple(pairs[1:]))
    logits = {}
    for units in (8, 1000):
        found = solve_second_order(*kernels(X), 2, y, fold, (np.arange(n), np.zeros(n)), units)
        logits[units] = logits_of(X, parameters(lambda: chunks(X), found))[fold.test]
        assert np.mean((logits[units] > 0) == y[fold.test]) > 0.94
    assert abs(logits[8].mean() - logits[1000].mean()) < 0.3 * logits[1000].std()


@pytest.mark.parametrize("effect", [1.0, 1.4])
def test_a_strong_linear_signal_does_not_call_for_products(effect):
    """People differ in gain; the signal is linear. The stack may rescale ridge, so both sides of the choice may."""
    rng = np.random.default_rng(6)
    used = 0
    for _ in range(4):
        film, label = np.repeat(np.arange(4), 56), np.tile(np.arange(28) % 2, 8)
        events = np.array([f"{f}_{moment}" for f, moment in zip(film, np.tile(np.arange(28), 8))])
        gain = np.repeat(rng.uniform(0.6, 1.4, 8), 28)
        moments = 0.5 * rng.standard_normal((4, 1, 28, 300))
        X = (moments + rng.standard_normal((4, 2, 28, 300))).reshape(224, 300)
        X[:, :40] += (gain * effect * (label - 0.5))[:, None]
        rows = np.arange(224)
        pairs = [(rows[(film != 0) & (film != k)], rows[film == k]) for k in (1, 2, 3)]
        fold = Fold(1, *pairs[0], rows[film == 0], "movie", further_inner=tuple(pairs[1:]))
        found = solve_second_order(
            X @ X.T, X @ X.T, 1, label, fold, (events, np.repeat(np.arange(8), 28)), 8
        )
        used += found.chosen["second_order"] > 0
    assert used == 0


def test_directions_that_cannot_exist_have_no_strength():
    X, _, _, weights = case(0.4, 1.0, units=VOXELS + 5)
    assert weights.directions.shape == (VOXELS, VOXELS + 5)
    assert np.abs(weights.strengths[VOXELS:]).max() < 1e-12
    np.testing.assert_allclose(logits_of(X, weights), logits_of(X, case(0.4, 1.0)[3]), atol=1e-6)


def test_windows_may_be_read_in_parts_of_any_size():
    X, y, found, weights = case(0.4, 1.0)
    for mine, theirs in zip(parameters(lambda: chunks(X, 7), found), weights):
        np.testing.assert_allclose(mine, theirs, atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_stacking_is_the_best_without_negative_weights(seed):
    """Against a minimiser that knows bounds, of the same penalised loss."""
    rng = np.random.default_rng(seed)
    y = np.arange(60) % 2
    quality = rng.uniform(-1.5, 1.5, 2)
    paths = (
        (2 * y - 1)[:, None] * quality + rng.standard_normal((60, 2)) + rng.standard_normal((60, 1))
    )
    weights = np.ones(60)

    def loss(at):
        logit = paths @ at[:2] + at[2]
        return 0.5 * at[:2] @ at[:2] + 100 * np.sum(weights * (np.logaddexp(0, logit) - y * logit))

    best = minimize(loss, [0.1, 0.1, 0.0], bounds=[(0, None), (0, None), (None, None)], tol=1e-12)
    share, intercept = _stacked(paths, y, weights)
    assert share.min() >= 0
    if best.x[:2].max() > 1e-6:  # else the intercept is that of no path at all
        np.testing.assert_allclose([*share, intercept], best.x, atol=2e-3)
    else:
        assert not share.any()


def test_with_fewer_windows_than_units_the_network_computes_the_same():
    """24 windows have 23 directions; a network of 32 units could not take them."""
    X, y = windows_with(0.3, 2.0)
    found = solve_second_order(*kernels(X), TRS, y, fold_of(24), GROUPINGS, 32)
    assert found.chosen["second_order"] > 0 and found.directions.shape == (32, N)
    network = closed_form.linear_plus(VOXELS, TRS, None, units=32)
    closed_form.set_parameters(network, parameters(lambda: chunks(X), found))
    rows = found.rows
    logit = predict_logits(logit_network(network), X, 50, rows)
    np.testing.assert_allclose(logit, found.logit_of_rows, atol=1e-4)


def test_one_window_of_each_class_in_an_inner_training_set_leaves_the_linear_path():
    """Three people with a window of each class: script 3 ended with a ValueError about NaN."""
    X, y = windows_with(2.0, 0.0)
    X = np.round(8 * X)  # whole numbers: the squares are alike to the last bit
    fold = Fold(
        1, np.array([0, 2]), np.array([1, 3]), np.array([4, 6]), "subject",
        further_inner=((np.array([1, 3]), np.array([0, 2])),),
    )  # fmt: skip
    found = solve_second_order(*kernels(X), TRS, y, fold, GROUPINGS, VOXELS)
    assert found.chosen["second_order"] == 0 and np.isfinite(found.logit_of_rows).all()
