"""Integrated Gradients against DeepExplain, closed forms and completeness."""

from pathlib import Path

import numpy as np
import pytest

from neuroface.attribution import LogitGradient, integrated_gradients, quadrature
from neuroface.backend import keras
from neuroface.network import build_network, predict_logits

DEEPEXPLAIN = Path(__file__).with_name("data") / "deepexplain"
SHAPE = (30, 8)


def explain(gradient, window, rule, steps, baseline=None):
    baseline = np.zeros_like(window) if baseline is None else baseline
    return integrated_gradients(gradient, window, baseline, *quadrature(rule, steps))


# ---------------------------------------------------------------- the reference


@pytest.fixture(scope="module")
def reference():
    """What is stored, and our network with the stored weights (the whole model loads only in the Keras that saved it)."""
    stored = {path.stem: np.load(path) for path in DEEPEXPLAIN.glob("*.npy")}
    model = build_network(320, 10, (64, 32, 32), 32)
    model.load_weights(DEEPEXPLAIN / "model.keras")
    return stored, model


def test_our_network_is_the_references(reference):
    stored, model = reference
    logits, _ = LogitGradient(model, batch=8)(stored["windows"])
    np.testing.assert_allclose(logits, stored["logits"], rtol=1e-4)


def test_attributions_are_deepexplains(reference):
    stored, model = reference
    gradient = LogitGradient(model, batch=50)
    for window, theirs in zip(stored["windows"], stored["intgrad_200_steps"], strict=True):
        ours = explain(gradient, window, "right", 200)
        assert np.linalg.norm(ours - theirs) <= 1e-3 * np.linalg.norm(theirs)


# ---------------------------------------------------------------- quadrature


@pytest.mark.parametrize("rule", ["right", "midpoint"])
@pytest.mark.parametrize("steps", [1, 7, 200])
def test_nodes_lie_in_the_interval_and_weights_sum_to_one(rule, steps):
    nodes, weights = quadrature(rule, steps)
    assert len(nodes) == len(weights) == steps
    assert weights.sum() == pytest.approx(1) and (weights > 0).all()
    assert (np.diff(nodes) > 0).all() and nodes[0] > 0 and nodes[-1] <= 1


@pytest.mark.parametrize("steps", [1, 4, 50])
def test_errors_on_polynomials_are_the_known_ones(steps):
    def integral(rule, function):
        nodes, weights = quadrature(rule, steps)
        return weights @ function(nodes)

    assert integral("midpoint", lambda x: 3 * x + 2) == pytest.approx(3.5)
    assert integral("midpoint", np.square) == pytest.approx(1 / 3 - 1 / (12 * steps**2))
    assert integral("right", np.ones_like) == pytest.approx(1)
    assert integral("right", lambda x: x) == pytest.approx(1 / 2 + 1 / (2 * steps))


def test_an_unknown_rule_is_named():
    with pytest.raises(ValueError, match="'left'.*'right'.*'midpoint'"):
        quadrature("left", 10)


# ---------------------------------------------------------------- closed forms


def small_network(*layers):
    """A network whose logit is the last of ``layers``, on windows of SHAPE."""
    inputs = x = keras.Input((*SHAPE, 1))
    for layer in layers:
        x = layer(x)
    x = keras.layers.Dense(1, name="logit", kernel_initializer="random_normal")(x)
    return keras.Model(inputs, keras.layers.Activation("sigmoid")(x))


@pytest.fixture
def window():
    return np.random.default_rng(3).standard_normal(SHAPE).astype(np.float32)


@pytest.fixture(scope="module")
def linear():
    keras.utils.set_random_seed(0)
    model = small_network(keras.layers.Flatten())
    return model.get_layer("logit").get_weights()[0].reshape(SHAPE), model


@pytest.mark.parametrize("batch", [1, 6, 50])
@pytest.mark.parametrize("rule", ["right", "midpoint"])
@pytest.mark.parametrize("from_zero", [True, False])
def test_a_linear_network_is_explained_exactly(linear, window, rule, batch, from_zero):
    weights, model = linear
    baseline = np.zeros_like(window) if from_zero else window[::-1].copy()
    attribution = explain(LogitGradient(model, batch), window, rule, 13, baseline)
    assert attribution.shape == SHAPE and attribution.dtype == np.float32
    np.testing.assert_allclose(attribution, weights * (window - baseline), atol=1e-6)


def test_a_quadratic_network_shows_the_rules_errors(window):
    # logit = Σ w x²: the midpoint rule gives the integral, w (x² − b²); the right rule of n steps w (x − b)² / n more.
    keras.utils.set_random_seed(0)
    model = small_network(keras.layers.Activation(keras.ops.square), keras.layers.Flatten())
    weights = model.get_layer("logit").get_weights()[0].reshape(SHAPE)
    gradient, baseline = LogitGradient(model, 4), window[::-1].copy()
    exact = weights * (window**2 - baseline**2)
    np.testing.assert_allclose(explain(gradient, window, "midpoint", 10, baseline), exact, atol=1e-5)
    excess = weights * (window - baseline) ** 2 / 10
    np.testing.assert_allclose(explain(gradient, window, "right", 10, baseline), exact + excess, atol=1e-5)


def test_the_gradient_is_the_slope_of_the_logit(window):
    keras.utils.set_random_seed(0)
    layers = keras.layers.Dense(3, activation="tanh"), keras.layers.Flatten(), keras.layers.Dense(4, activation="tanh")
    gradient = LogitGradient(small_network(*layers), batch=3)
    logits, slopes = gradient(np.stack([window, 2 * window]))  # two windows: the batch is padded
    assert logits.shape == (2,) and slopes.shape == (2, *SHAPE)
    step = 1e-2
    tolerance = 2e-3 * float(np.abs(slopes).max())
    for voxel, second in [(0, 0), (11, 3), (29, 7)]:
        nudge = np.zeros_like(window)
        nudge[voxel, second] = step
        up, down = (gradient(np.stack([window + sign * nudge]))[0][0] for sign in (1, -1))
        assert slopes[0, voxel, second] == pytest.approx((up - down) / (2 * step), abs=tolerance)


def test_attributions_sum_to_the_gain_of_the_logit_as_steps_grow():
    keras.utils.set_random_seed(4)
    model = build_network(*SHAPE, filters=(4, 3, 2), dense_units=5)
    rng = np.random.default_rng(5)  # without biases the network is homogeneous, and any number of steps exact
    model.set_weights([w + 0.3 * rng.random(w.shape) for w in model.get_weights()])
    window = rng.standard_normal(SHAPE).astype(np.float32)
    gradient = LogitGradient(model, batch=32)
    logit, logit_of_baseline = predict_logits(gradient.logit_model, np.stack([window, 0 * window]), batch=2)
    gained = logit - logit_of_baseline
    gaps = [abs(explain(gradient, window, "right", n).sum() - gained) / abs(gained) for n in (5, 50, 1000)]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 0.005
