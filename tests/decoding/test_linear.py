"""Ridge through the kernel against scikit-learn's ridge on the features themselves."""

from neuroface.decoding import linear
from neuroface.decoding.calibration import calibration_slope
from neuroface.decoding.folds import Fold, FoldSettings, make_folds

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

N, VOXELS, TRS = 60, 30, 4


@pytest.fixture
def X():
    return np.random.default_rng(0).standard_normal((N, VOXELS, TRS)).astype(np.float32)


def test_kernel_is_the_inner_products_however_it_is_chunked(X, monkeypatch):
    flat = X.reshape(N, -1).astype(float)
    for chunk in (2**28, N * TRS * 4 * 7):
        monkeypatch.setattr(linear, "CHUNK_BYTES", chunk)
        some = np.arange(VOXELS) % 3 == 0
        for kind, voxels, features in (
            ("window", None, flat),
            ("mean", None, X.mean(axis=2).astype(float)),
            ("window", some, X[:, some].reshape(N, -1).astype(float)),
        ):
            centred = features - features.mean(axis=0)
            kernel = linear.window_kernel(linear.window_features(X, kind, voxels))
            np.testing.assert_allclose(kernel, centred @ centred.T, rtol=1e-4, atol=1e-4)


def test_kernel_of_raw_bold_keeps_the_differences_between_windows():
    """Voxels of 8,000 to 12,000 with an SD of 30 (raw BOLD), against inner products in float64."""
    rng = np.random.default_rng(0)
    raw = (
        rng.uniform(8_000, 12_000, (1, 400, 1)) + 30 * rng.standard_normal((N, 400, TRS))
    ).astype(np.float32)
    flat = raw.reshape(N, -1).astype(float)
    centred = flat - flat.mean(axis=0)
    exact = centred @ centred.T
    apart = ~np.eye(N, dtype=bool)
    for chunk in (2**28, N * TRS * 4 * 7):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(linear, "CHUNK_BYTES", chunk)
            kernel = linear.window_kernel(linear.window_features(raw, "window"))
        kernel = kernel - kernel.mean(axis=0) - kernel.mean(axis=1)[:, None] + kernel.mean()
        assert np.std((kernel - exact)[apart]) < 1e-4 * np.std(exact[apart])


@pytest.mark.parametrize("n_faces", [30, 12])
def test_decision_values_are_those_of_ridge_regression(X, monkeypatch, n_faces):
    monkeypatch.setattr(linear, "PENALTIES", (0.3,))
    y = (np.arange(N) % (N // n_faces) == 0).astype(np.int8)
    train, validation, test = np.arange(0, 30), np.arange(30, 45), np.arange(45, N)
    kernel = linear.window_kernel(linear.window_features(X, "window"))
    values = linear.decision_values(
        kernel, y[:, None], [Fold(1, train, validation, test, "window")]
    )[:, 0]

    flat = X.reshape(N, -1).astype(float)
    weights, intercept = ridge_by_hand(flat, y, np.arange(45), 0.3)
    np.testing.assert_allclose(values[test], flat[test] @ weights + intercept, rtol=1e-3, atol=1e-5)
    assert np.isnan(values[:45]).all()


@pytest.mark.parametrize("penalty", [0.01, 0.1, 1.0])
def test_threshold_of_unequal_classes_is_that_of_refits(penalty, monkeypatch):
    """Noise, 11 windows of one class and 77 of the other; each refit centres on its own 87 windows."""
    monkeypatch.setattr(linear, "PENALTIES", (penalty,))
    features, y = np.random.default_rng(0).standard_normal((88, 300)), np.zeros(88, dtype=int)
    y[::8] = 1
    _, intercept = ridge_by_hand(features, y, np.arange(88), penalty)
    found, intercepts = linear._fit(features @ features.T, y[:, None], np.arange(88))
    assert intercepts[0, 0] == pytest.approx(intercept, abs=1e-6)


def test_decision_values_do_not_shrink_with_the_number_of_windows():
    """Twice every window: the same classifier, the same penalty, so the same values of new windows."""
    rng = np.random.default_rng(2)
    y = np.arange(80) % 2
    features = rng.standard_normal((80, 20)) + 0.5 * (2 * y - 1)[:, None]
    doubled, twice = np.concatenate([features[:40], features]), np.concatenate([y[:40], y])
    once = linear._fit_predict(features @ features.T, y[:, None], np.arange(40), np.arange(40, 80))
    weights = linear._fit_predict(
        doubled @ doubled.T, twice[:, None], np.arange(80), np.arange(80, 120)
    )
    spread = np.ptp(weights, axis=1) / np.ptp(once, axis=1)
    assert (spread > 0.9).all() and (spread < 2.1).all()


def test_relabellings_are_solved_together_as_one_by_one(X):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, (N, 6)).astype(np.int8)
    fold = [Fold(1, np.arange(0, 30), np.arange(30, 45), np.arange(45, N), "window")]
    kernel = linear.window_kernel(linear.window_features(X, "window"))
    together = linear.decision_values(kernel, labels, fold)
    for column in range(6):
        alone = linear.decision_values(kernel, labels[:, [column]], fold)
        np.testing.assert_allclose(together[:, [column]], alone, rtol=1e-9, atol=1e-12)


def test_planted_signal_is_found_and_noise_is_not(X):
    samples = pd.DataFrame(
        {
            "subject": [f"sub-{i % 6}" for i in range(N)], "movie": "a", "run": "1", "first_tr": np.arange(N) * 30,
            "label": np.where(np.arange(N) % 2, "face", "noface"), "event": [f"e{i}" for i in range(N)],
        }
    )  # fmt: skip
    y = (samples["label"] == "face").to_numpy(np.int8)
    folds = make_folds(samples, "window", FoldSettings(4, 1, TRS))
    planted = X + 1.5 * y[:, None, None] * (np.arange(VOXELS) < 5)[None, :, None]
    accuracy = {}
    for name, data in (("planted", planted.astype(np.float32)), ("noise", X)):
        kernel = linear.window_kernel(linear.window_features(data, "window"))
        accuracy[name] = np.mean((linear.decision_values(kernel, y[:, None], folds)[:, 0] > 0) == y)
    assert accuracy["planted"] > 0.9 and accuracy["noise"] < 0.7


def test_pattern_is_haufes_whatever_the_number_of_features(X, monkeypatch):
    """cov(X) w / SD(X w) with the (n_features, n_features) covariance and ridge's weights, mean over folds."""
    monkeypatch.setattr(linear, "PENALTIES", (0.3,))
    y = (np.arange(N) % 2).astype(np.int8)
    folds = [
        Fold(
            k,
            np.flatnonzero(part != k),
            np.flatnonzero(part == k)[:10],
            np.flatnonzero(part == k),
            "window",
        )
        for part in [np.random.default_rng(3).integers(1, 4, N)]
        for k in (1, 2, 3)
    ]
    flat, expected = X.reshape(N, -1).astype(float), 0.0
    for fold in folds:
        rows = np.union1d(fold.train, fold.validation)
        centred = flat[rows] - flat[rows].mean(axis=0)
        alpha = 0.3 * np.linalg.eigvalsh(centred @ centred.T).mean()
        target = np.where(y[rows] == 1, 1 / y[rows].sum(), -1 / (1 - y[rows]).sum())
        weights = Ridge(alpha=alpha, fit_intercept=False).fit(centred, target).coef_
        expected += np.cov(flat[rows], rowvar=False) @ weights / (centred @ weights).std(ddof=1) / 3
    pattern = linear.linear_pattern(X, y, folds)
    np.testing.assert_allclose(pattern, expected.reshape(VOXELS, TRS), rtol=1e-3, atol=1e-5)


def test_pattern_shows_the_signal_where_weights_show_noise_too():
    """Haufe et al. 2014, their first example: a voxel that only holds the noise of another gets a weight, no pattern."""
    rng = np.random.default_rng(0)
    y = (np.arange(400) % 2).astype(np.int8)
    noise = rng.standard_normal(400)
    X = np.stack([y - 0.5 + noise, noise], axis=1)[:, :, None].astype(np.float32)
    fold = Fold(1, np.arange(0, 300), np.arange(300, 350), np.arange(350, 400), "window")
    first, second = linear.linear_pattern(X, y, [fold])[:, 0]
    weights = Ridge(alpha=1e-2).fit(X[:350, :, 0], y[:350]).coef_
    assert abs(weights[1]) > 0.8 * abs(weights[0])
    assert first > 0.4 and abs(second) < 0.1


# ---------------------------------------------------------------- as a model with weights


def ridge_by_hand(features, y, rows, penalty):
    """scikit-learn's ridge, and the threshold midway between the classes' leave-one-out means; refits centre inside."""
    mean, n_faces = features[rows].mean(axis=0), y[rows].sum()
    centred = features[rows] - mean
    target = np.where(
        y[rows] == 1, len(rows) / (2 * n_faces), -len(rows) / (2 * (len(rows) - n_faces))
    )
    ridge = Ridge(
        alpha=penalty * np.linalg.eigvalsh(centred @ centred.T).mean(), fit_intercept=False
    )
    pipeline = make_pipeline(StandardScaler(with_std=False), ridge)
    left_out = cross_val_predict(pipeline, features[rows], target, cv=LeaveOneOut())
    threshold = (left_out[y[rows] == 1].mean() + left_out[y[rows] == 0].mean()) / 2
    weights = ridge.fit(centred, target).coef_
    return weights, -mean @ weights - threshold


def test_a_solution_has_ridges_weights_and_calibrated_logits(X, monkeypatch):
    monkeypatch.setattr(linear, "PENALTIES", (0.3,))
    y = (np.arange(N) % 4 == 0).astype(np.int8)
    rows = np.arange(45)
    pairs = [(np.setdiff1d(rows, rows[k::3]), rows[k::3]) for k in range(3)]
    fold = Fold(1, *pairs[0], np.arange(45, N), "window", further_inner=tuple(pairs[1:]))
    flat = X.reshape(N, -1).astype(float)
    found = linear.solve(flat @ flat.T, y, fold)

    inner = np.full(N, np.nan)
    for train, validation in pairs:
        weights, intercept = ridge_by_hand(flat, y, train, 0.3)
        inner[validation] = flat[validation] @ weights + intercept
    slope = calibration_slope(y[rows], inner[rows])
    np.testing.assert_allclose(found.inner_logit, slope * inner, rtol=1e-3, atol=1e-6)
    weights, intercept = ridge_by_hand(flat, y, rows, 0.3)
    made = linear.weighted_sums(linear.window_features(X, "window"), found.coefficients[None])[0]
    np.testing.assert_allclose(made, slope * weights, rtol=1e-3, atol=1e-5)
    assert found.intercept == pytest.approx(slope * intercept, rel=1e-3)
    assert found.penalty == 0.3 and not found.coefficients[45:].any()
    assert found.coefficients.sum() == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(  # the same decision as where only the accuracy is asked for
        flat[45:] @ made + found.intercept,
        slope * linear.decision_values(flat @ flat.T, y[:, None], [fold])[45:, 0],
        rtol=1e-3, atol=1e-6,
    )  # fmt: skip


def test_weighted_sums_are_those_of_the_windows_however_they_are_chunked(X, monkeypatch):
    coefficients = np.random.default_rng(1).standard_normal((2, N))
    some = np.arange(VOXELS) % 3 == 0
    for chunk in (2**28, N * TRS * 4 * 7):
        monkeypatch.setattr(linear, "CHUNK_BYTES", chunk)
        for kind, voxels, values in (("window", None, X.reshape(N, -1)), ("mean", None, X.mean(axis=2)),
                                     ("window", some, X[:, some].reshape(N, -1))):  # fmt: skip
            sums = linear.weighted_sums(linear.window_features(X, kind, voxels), coefficients)
            np.testing.assert_allclose(
                sums, coefficients @ values.astype(float), rtol=1e-5, atol=1e-5
            )
