"""Linear and second-order models as Keras fold models: weights, files, exact attributions."""

from dataclasses import replace

from neuroface.attribution.explainer import Explainer, Recipe
from neuroface.attribution.integrated_gradients import IntegratedGradients, rule_for
from neuroface.decoding import closed_form, fit, linear
from neuroface.decoding.architectures import builder, learning_rates
from neuroface.decoding.folds import Fold
from neuroface.decoding.network import (
    build_network,
    load_network,
    logit_network,
    predict_logits,
    save_network,
)
from neuroface.decoding.polynomial import without_gates
from neuroface.decoding.second_order import Parameters, logits_of
from neuroface.pipeline.backend import keras
from neuroface.pipeline.files import write_npy

import numpy as np
import pandas as pd
import pytest

N, MASK, TRS = 48, np.ones((3, 3, 3), dtype=bool), 5
VOXELS = 27
ROIS = np.arange(VOXELS) % 4 == 0
NAMES = ("linear", "linear-mean", "face-rois", "screened_ridge", "linear_plus")
OPTIONS = {"linear_plus": {"units": 4}, "voxel_time_cnn": {"filters": (2, 2, 2), "dense_units": 4}}
TRAINING = fit.Training(
    options=OPTIONS, recipe="robust", epochs=2, steps=24, batch_size=8, learning_rate="auto",
    precision="float32", n_jobs=1, inference_batch=16,
)  # fmt: skip
IG = Recipe(method="ig", occlusion_trs=2, smooth_noise=0.1, batch=8, seed=7)


def fold():
    parts = [np.arange(36)[k::3] for k in range(3)]
    pairs = [(np.setdiff1d(np.arange(36), part), part) for part in parts]
    return Fold(1, *pairs[0], np.arange(36, N), "window", further_inner=tuple(pairs[1:]))


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    """A line in voxels 4 to 7, and a product of voxels 0 and 1."""
    folder = tmp_path_factory.mktemp("windows")
    rng = np.random.default_rng(0)
    y = (np.arange(N) % 2).astype(np.int8)
    X = rng.standard_normal((N, VOXELS, TRS)).astype(np.float32)
    side = rng.choice([-1, 1], N)
    X[:, 0] += 1.5 * side[:, None]
    X[:, 1] += 1.5 * (side * (2 * y - 1))[:, None]
    X[:, 4:8] += 0.3 * (2 * y - 1)[:, None, None]
    write_npy(folder / "X.npy", X)
    write_npy(folder / "y.npy", y)
    events, people = np.arange(N).astype(str), np.full(N, "sub-1")
    made = fit.Windows(folder, folder / "linear", MASK, events, people, {"face-rois": ROIS})
    for name in NAMES[:3]:
        fit.write_kernel(made, name)
    return made


@pytest.fixture(scope="module")
def fitted(windows):
    return {name: fit.fit_fold(name, windows, fold(), TRAINING, 3) for name in NAMES}


def logits(network, X):
    return predict_logits(logit_network(network), X, 16)


FEATURES = {
    "linear": lambda X: X.reshape(N, -1),
    "linear-mean": lambda X: X.mean(axis=2),
    "face-rois": lambda X: X[:, ROIS].reshape(N, -1),
}


@pytest.mark.parametrize("name", FEATURES)
def test_a_linear_model_is_ridge_on_its_own_features(windows, fitted, name):
    features = FEATURES[name](windows.X.astype(float))
    ridge = linear.solve(features @ features.T, windows.y, fold())
    expected = features @ (ridge.coefficients @ features) + ridge.intercept
    assert expected.std() > 0.1
    np.testing.assert_allclose(logits(fitted[name].network, windows.X), expected, atol=1e-4)
    np.testing.assert_array_equal(fitted[name].inner_rows, np.arange(36))
    np.testing.assert_allclose(fitted[name].inner_logit, ridge.inner_logit[:36], atol=1e-4)
    assert fitted[name].cost["parameters"] == features.shape[1] + 1 and fitted[name].history is None


def test_regions_leave_the_rest_of_the_brain_without_a_weight(fitted):
    weights = fitted["face-rois"].network.get_layer("logit").get_weights()[0].reshape(VOXELS, TRS)
    assert not weights[~ROIS].any() and weights[ROIS].all()


def test_labels_in_place_of_the_stored_ones_are_fitted(windows):
    other = 1 - windows.y
    mine = fit.fit_fold("linear", replace(windows, labels=other), fold(), TRAINING, 3).network
    theirs = fit.fit_fold("linear", windows, fold(), TRAINING, 3).network
    np.testing.assert_allclose(logits(mine, windows.X), -logits(theirs, windows.X), atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_in_closed_form_is_stored_like_a_network(windows, fitted, name, tmp_path):
    network = fitted[name].network
    save_network(tmp_path / "fold-1.keras", network)
    loaded = load_network(tmp_path / "fold-1.keras", VOXELS, TRS)
    np.testing.assert_allclose(logits(loaded, windows.X), logits(network, windows.X), rtol=1e-6)
    assert closed_form.is_closed_form_network(loaded)


def test_other_networks_are_not_taken_for_a_closed_form():
    assert not closed_form.is_closed_form_network(build_network(VOXELS, TRS, (2, 2, 2), 4))
    inputs = keras.Input((VOXELS, TRS, 1))
    largest = keras.layers.Dense(1, name="logit")(
        keras.layers.GlobalMaxPooling2D()(inputs)
    )  # as many layers
    assert not closed_form.is_closed_form_network(
        keras.Model(inputs, keras.layers.Activation("sigmoid")(largest))
    )


def test_the_scale_of_the_logit_is_that_of_its_last_layer(windows, fitted):
    network = keras.models.clone_model(fitted["linear_plus"].network)
    network.set_weights(fitted["linear_plus"].network.get_weights())
    closed_form.scale_logit(network, 0.3)
    np.testing.assert_allclose(
        logits(network, windows.X),
        0.3 * logits(fitted["linear_plus"].network, windows.X),
        atol=1e-5,
    )


@pytest.mark.parametrize("training", ["robust", "paper"])
def test_a_trained_network_is_calibrated_on_inner_windows_that_did_not_choose_its_step(
    windows, training, monkeypatch
):
    trained = []

    def train(*given, **settings):
        trained.append(models_train(*given, **settings))
        return trained[-1]

    models_train = fit.train_network
    monkeypatch.setattr(fit, "train_network", train)
    settings = replace(TRAINING, recipe=training)
    found = fit.fit_fold("voxel_time_cnn", windows, fold(), settings, 3)
    rows = fold().validation
    y, at_each_step = windows.y[rows], trained[0].validation_logits
    assert at_each_step.shape == (len(found.history), len(rows))
    slope = 1 / found.cost["temperature"]
    assert fit.calibration_slope(y, found.inner_logit) == pytest.approx(1, rel=1e-3)
    nearest = np.abs(found.inner_logit - slope * at_each_step).min(
        axis=0
    )  # each window has the logit of some step
    assert nearest.max() <= 1e-3 * np.abs(found.inner_logit).max()


def test_a_network_without_inner_windows_is_not_calibrated(windows):
    paper = replace(fold(), validation=fold().test)
    found = fit.fit_fold("voxel_time_cnn", windows, paper, TRAINING, 3)
    assert "temperature" not in found.cost
    np.testing.assert_allclose(
        found.inner_logit, logits(found.network, windows.X)[paper.test], atol=1e-4
    )


# ---------------------------------------------------------------- attributions


def baselines(shape):
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


def test_the_attributions_of_a_linear_model_are_weight_times_difference(windows, fitted):
    network = fitted["linear"].network
    weights = network.get_layer("logit").get_weights()[0].reshape(VOXELS, TRS)
    samples = pd.DataFrame({"row": [0, 1, 2], "sign": [1, -1, 1]})
    start = baselines((1, VOXELS, TRS))
    maps, table = Explainer(network, IG)(windows.X, samples, lambda _: start)
    expected = np.array([1, -1, 1])[:, None, None] * weights * (windows.X[:3] - start)
    np.testing.assert_allclose(maps, expected, atol=1e-6)
    np.testing.assert_allclose(table["gap"], 0, atol=1e-5)
    assert (table["steps"] == 1).all()


def test_the_attributions_of_a_second_order_model_are_exact_in_one_step(windows, fitted):
    network = fitted["linear_plus"].network
    assert network.get_layer("logit").get_weights()[0][1:].any()  # the second-order path is in use
    ends, starts = np.array(windows.X[:6]), baselines((6, VOXELS, TRS))
    gains = logits(network, ends) - logits(network, starts)
    assert rule_for(network, "auto", "auto") == rule_for(network, "auto", 50) == ("midpoint", 1)
    maps, steps = IntegratedGradients(network, "midpoint", 1, 8)(ends, starts, gains)
    many, _ = IntegratedGradients(network, "midpoint", 300, 100)(ends, starts, gains)
    assert (steps == 1).all()
    np.testing.assert_allclose(maps, many, atol=1e-5)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), gains, atol=1e-4)
    # By hand: the gradient at the middle of the path, times the difference.
    path, last = (
        network.get_layer("linear_path").get_weights()[0],
        network.get_layer("logit").get_weights()[0][:, 0],
    )
    directions, offsets = network.get_layer("directions").get_weights()
    middle = ((ends + starts) / 2).mean(axis=2) @ directions + offsets
    gradient = (
        last[0] * path.reshape(VOXELS, TRS)
        + (2 * last[1:] * middle @ directions.T / TRS)[:, :, None]
    )
    np.testing.assert_allclose(maps, gradient * (ends - starts), atol=1e-5)


@pytest.mark.parametrize(
    ("rule", "steps", "stands_for"),
    [("auto", "auto", ("secant", 30)), ("auto", 12, ("secant", 12)), ("secant", "auto", ("secant", 30)),
     ("right", 200, ("right", 200)), ("midpoint", "auto", ("midpoint", "auto"))],
)  # fmt: skip
def test_auto_is_secants_for_the_voxel_time_network(rule, steps, stands_for):
    assert rule_for(build_network(VOXELS, TRS, (2, 2, 2), 4), rule, steps) == stands_for


def test_auto_is_midpoints_for_other_networks():
    inputs = keras.Input((VOXELS, TRS, 1))
    largest = keras.layers.Dense(1, name="logit")(keras.layers.GlobalMaxPooling2D()(inputs))
    other = keras.Model(inputs, keras.layers.Activation("sigmoid")(largest))
    assert rule_for(other, "auto", "auto") == ("midpoint", "auto")


def test_the_networks_logit_is_the_formula(windows, fitted):
    network = fitted["linear_plus"].network
    last, intercept = network.get_layer("logit").get_weights()
    weights = last[0, 0] * network.get_layer("linear_path").get_weights()[0].reshape(VOXELS, TRS)
    directions, offsets = network.get_layer("directions").get_weights()
    found = Parameters(weights, directions, offsets, last[1:, 0], intercept[0])
    np.testing.assert_allclose(logits(network, windows.X), logits_of(windows.X, found), atol=1e-4)


# ---------------------------------------------------------------- the polynomial network


def test_the_gates_of_a_polynomial_network_are_in_the_weights_that_are_stored(windows):
    network, rng = builder("polynomial_network", MASK, TRS, OPTIONS)(), np.random.default_rng(2)
    network.set_weights([rng.standard_normal(w.shape) for w in network.get_weights()])
    plain = without_gates(network)
    assert closed_form.is_closed_form_network(plain)
    np.testing.assert_allclose(logits(plain, windows.X), logits(network, windows.X), rtol=1e-4)


def test_a_polynomial_network_reads_a_product_that_no_linear_model_can(tmp_path):
    """Two of 27 voxels rise and fall together with one label, and against each other with the other."""
    rng, n = np.random.default_rng(0), 240
    y = (np.arange(n) % 2).astype(np.int8)
    X = rng.standard_normal((n, VOXELS, TRS)).astype(np.float32)
    side = rng.choice([-1, 1], n)
    X[:, 0] += 1.5 * side[:, None]
    X[:, 1] += 1.5 * (side * (2 * y - 1))[:, None]
    write_npy(tmp_path / "X.npy", X)
    write_npy(tmp_path / "y.npy", y)
    rows = np.arange(n)
    of_product = Fold(1, rows[:120], rows[120:160], rows[160:], "window")
    made = fit.Windows(tmp_path, tmp_path, MASK, rows.astype(str), np.full(n, "sub-1"), {})
    fit.write_kernel(made, "linear")
    settings = replace(TRAINING, steps=120)
    right = {}
    for name in ("polynomial_network", "linear"):
        network = fit.fit_fold(name, made, of_product, settings, 3).network
        right[name] = np.mean((logits(network, X)[160:] > 0) == y[160:])
    assert right["polynomial_network"] > 0.95 and right["linear"] < 0.7


def test_only_the_polynomial_network_has_a_step_size_of_its_own():
    assert learning_rates("robust", "auto", "polynomial_network") == (0.01,)
    assert learning_rates("robust", "auto", "hybrid") == (0.003,)
    assert learning_rates("paper", "auto", "polynomial_network") == (0.0002,)
    assert learning_rates("robust", (0.1, 0.2), "polynomial_network") == (0.1, 0.2)
