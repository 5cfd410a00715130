"""Ridge regression on screened voxels: choice in inner folds only, the same as scikit-learn's, exact attributions."""

from neuroface.decoding import fit, linear, screened
from neuroface.decoding.folds import Fold
from neuroface.decoding.network import logit_network, predict_logits
from neuroface.maps import refits, relabelling

import numpy as np
import pytest
from sklearn.feature_selection import SelectPercentile, f_classif
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline

N, VOXELS, TRS = 60, 200, 3
# Ridge regression uses none of these.
TRAINING = fit.Training(
    options={}, recipe="robust", epochs=1, steps=1, batch_size=1, learning_rate="auto", precision="float32",
    n_jobs=1, inference_batch=1,
)  # fmt: skip
ROWS = np.arange(N)
TRAIN, VALIDATION, TEST = ROWS[:30], ROWS[30:45], ROWS[45:]
FURTHER = (
    (ROWS[15:45], ROWS[:15]),
    (np.concatenate([ROWS[:15], VALIDATION]), ROWS[15:30]),
)
FOLD = Fold(1, TRAIN, VALIDATION, TEST, "window", further_inner=FURTHER)


def study(n_informative=6, effect=1.5, seed=0, n=N):
    """Windows of which some voxels rise with the label in every volume, at BOLD's offset."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(n) % 2
    X = rng.standard_normal((n, VOXELS, TRS)).astype(np.float32)
    X[:, :n_informative] += effect * y[:, None, None]
    return X + 3.0, y


def kernel_of(X):
    return linear.window_kernel(linear.window_features(X, "window"))


def solve(X, y, fold=FOLD):
    return screened.solve_screened(X, kernel_of(X), y, fold)


def test_the_logits_are_those_of_scikit_learns_pipeline(monkeypatch):
    """Means only (one volume), so that a voxel is a feature: SelectPercentile by F, then Ridge."""
    monkeypatch.setattr(screened, "SCREENS", (screened.Screen(0.1, 0),))
    X, y = study(effect=1.2)
    X = X[:, :, :1]
    found = solve(X, y)
    assert found.screen == (0.1, 0)
    rows = FOLD.rows
    pipeline = make_pipeline(SelectPercentile(f_classif, percentile=10))
    features = pipeline.fit_transform(X[rows, :, 0], y[rows]).astype(float)
    chosen = pipeline.named_steps["selectpercentile"].get_support()
    np.testing.assert_array_equal(found.gains > 0, chosen)
    n, n_face = len(rows), y[rows].sum()
    target = np.where(y[rows] == 1, n / (2 * n_face), -n / (2 * (n - n_face)))
    strength = found.solution.penalty * ((features - features.mean(axis=0)) ** 2).sum() / n
    ridge = Ridge(alpha=strength).fit(features, target)
    expected = found.solution.slope * ridge.predict(X[:, chosen, 0])
    mine = logits_of(X, found)
    # The threshold lies midway between left-out means, which Ridge does not have.
    np.testing.assert_allclose(mine - mine[0], expected - expected[0], atol=1e-6)


def logits_of(X, found):
    """Logits of all windows by the formula of :class:`Screened`, in float64."""
    values = X.reshape(len(X), -1).astype(float)
    gains = np.repeat(found.gains, X.shape[2])
    weights = gains * (found.solution.coefficients @ values)
    centre = values[FOLD.rows].mean(axis=0)
    return (values - centre) @ weights + found.solution.logit_at_mean


@pytest.mark.parametrize("power", [1, 2])
def test_weighted_voxels_are_ridge_on_values_times_the_correlation(monkeypatch, power):
    monkeypatch.setattr(screened, "SCREENS", (screened.Screen(0.1, power),))
    X, y = study()
    found, rows = solve(X, y), FOLD.rows
    assert found.screen == (0.1, power)
    means = X[rows].mean(axis=2)
    correlation = np.array([np.corrcoef(column, y[rows])[0, 1] for column in means.T])
    kept = np.sort(np.argsort(-np.abs(correlation))[:20])
    scale = (np.abs(correlation[kept]) / np.abs(correlation).max()) ** power
    weighted = (X[:, kept].astype(float) * scale[:, None]).reshape(N, -1)
    n, n_face = len(rows), y[rows].sum()
    target = np.where(y[rows] == 1, n / (2 * n_face), -n / (2 * (n - n_face)))
    strength = (
        found.solution.penalty * ((weighted[rows] - weighted[rows].mean(axis=0)) ** 2).sum() / n
    )
    expected = found.solution.slope * Ridge(alpha=strength).fit(weighted[rows], target).predict(
        weighted
    )
    mine = logits_of(X, found)
    np.testing.assert_allclose(mine - mine[0], expected - expected[0], atol=1e-5)


def test_the_stored_network_gives_these_logits_and_nothing_outside_the_screen(tmp_path):
    X, y = study()
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    mask = np.ones((VOXELS, 1, 1), dtype=bool)
    windows = fit.Windows(tmp_path, tmp_path, mask, ROWS.astype(str), ROWS.astype(str), {})
    fit.write_kernel(windows, "linear")
    fitted = fit.fit_fold("screened_ridge", windows, FOLD, TRAINING, seed=1)
    found = solve(X, y)
    np.testing.assert_allclose(
        predict_logits(logit_network(fitted.network), X, 16), logits_of(X, found), atol=1e-4
    )
    weights = np.asarray(fitted.network.get_layer("logit").get_weights()[0]).reshape(VOXELS, TRS)
    assert not weights[found.gains == 0].any() and weights[:6].all()
    assert fitted.cost["share"] == 0.1 and fitted.cost["parameters"] == 20 * TRS + 1
    np.testing.assert_array_equal(fitted.inner_rows, FOLD.rows)


def test_plain_ridge_is_taken_where_every_voxel_responds_a_little():
    """An effect of 0.35 SD in all 200 voxels: a tenth of them loses most of it."""
    X, y = study(n_informative=VOXELS, effect=0.35)
    found = solve(X, y)
    assert found.screen == screened.ALL_VOXELS
    expected = linear.solve(kernel_of(X), y, FOLD)
    np.testing.assert_array_equal(found.solution.coefficients, expected.coefficients)


def test_held_out_windows_change_nothing():
    X, y = study()
    other_X, other_y = X.copy(), y.copy()
    other_X[FOLD.test] += 10 * np.random.default_rng(1).standard_normal(X[FOLD.test].shape)
    other_y[FOLD.test] = 1 - y[FOLD.test]
    first, second = solve(X, y), solve(other_X.astype(np.float32), other_y)
    np.testing.assert_array_equal(first.gains, second.gains)
    np.testing.assert_allclose(
        first.solution.coefficients, second.solution.coefficients, rtol=1e-3, atol=1e-7
    )


def test_labels_that_mean_nothing_are_decoded_at_chance():
    """A screen on all windows, held-out ones too, decodes the same noise far above chance."""
    right, leaking = [], []
    for seed in range(40):
        X, y = study(n_informative=0, seed=seed)
        test = FOLD.test
        right.append((logits_of(X, solve(X, y))[test] > 0) == y[test])
        score = f_classif(X.mean(axis=2), y)[0]
        best = X[:, np.argsort(-score)[:20]].reshape(N, -1).astype(float)
        said = Ridge(alpha=10.0).fit(best[FOLD.rows], 2.0 * y[FOLD.rows] - 1).predict(best[test])
        leaking.append((said > 0) == y[test])
    assert abs(np.mean(right) - 0.5) < 3 * 0.5 / np.sqrt(40 * len(FOLD.test))
    assert np.mean(leaking) > 0.65


def test_many_labellings_give_the_models_that_each_gives_alone():
    X, y = study()
    labels = np.column_stack([y, np.random.default_rng(3).permutation(y), 1 - y])
    together = list(screened.solve_screened_each(X, kernel_of(X), labels, FOLD))
    for column, found in enumerate(together):
        alone = solve(X, labels[:, column])
        assert found.screen == alone.screen
        np.testing.assert_array_equal(found.gains, alone.gains)
        np.testing.assert_allclose(
            found.solution.coefficients, alone.solution.coefficients, rtol=1e-9, atol=1e-12
        )
    # Opposite labels: the same voxels, the opposite decision.
    np.testing.assert_allclose(
        together[2].solution.coefficients, -together[0].solution.coefficients, atol=1e-6
    )


def test_constant_voxels_are_ranked_last():
    X, y = study()
    X[:, 0] = 5.0
    shares = screened.shares_between_labels(X, y[:, None], [FOLD.rows])[0, 0]
    assert shares[0] == 0 and (shares[1:] > 0).all()
    means = X[FOLD.rows].mean(axis=2)
    expected = [np.corrcoef(column, y[FOLD.rows])[0, 1] ** 2 for column in means[:, 1:].T]
    np.testing.assert_allclose(shares[1:], expected, rtol=1e-4, atol=1e-6)


def test_the_share_between_labels_is_the_r_squared_of_a_regression_on_them():
    """Three labels, in two labellings: scikit-learn's regression of a voxel on indicators of the labels."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, N)
    labels = np.column_stack([y, rng.permutation(y)])
    X = (rng.standard_normal((N, 5, 1)) + 1000).astype(np.float32)
    X[:, 1, 0] += y
    rows = np.arange(40)
    shares = screened.shares_between_labels(X, labels, [rows])[0]
    for column in range(2):
        indicators = np.eye(3)[labels[rows, column]]
        expected = [
            LinearRegression().fit(indicators, values).score(indicators, values)
            for values in X[rows, :, 0].T.astype(float)
        ]
        assert shares[column] == pytest.approx(expected, abs=1e-5)


def test_refitted_models_have_the_weights_of_the_networks(tmp_path):
    X, y = study()
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    mask = np.ones((VOXELS, 1, 1), dtype=bool)
    windows = fit.Windows(tmp_path, tmp_path, mask, ROWS.astype(str), ROWS.astype(str), {})
    fit.write_kernel(windows, "linear")
    labels = np.column_stack([y, np.random.default_rng(4).permutation(y)])
    fits = refits.refit("screened_ridge", windows, FOLD, labels, np.zeros(N), at=0.5, options={})
    for column in range(2):
        np.save(tmp_path / "y.npy", labels[:, column])
        network = fit.fit_fold("screened_ridge", windows, FOLD, TRAINING, 1).network
        stored = np.asarray(network.get_layer("logit").get_weights()[0]).reshape(VOXELS, TRS)
        for voxels in (slice(0, 50), slice(50, VOXELS)):
            weights = relabelling.weights_of(X[:, voxels], fits, voxels)
            np.testing.assert_allclose(weights[column], stored[voxels], atol=2e-5)
