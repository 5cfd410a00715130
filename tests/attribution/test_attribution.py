"""Integrated Gradients against DeepExplain, closed forms and completeness."""

import sys
from functools import cache
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.attribution import integrated_gradients as attribution
from neuroface.attribution.deepexplain import INSTALL, DeepExplainGradients
from neuroface.attribution.fast.path_network import PathNetwork, positive_share, understands
from neuroface.attribution.integrated_gradients import (
    MOST_STEPS,
    RULES,
    IntegratedGradients,
    PathGradient,
    quadrature,
)
from neuroface.decoding.network import build_network, logit_network, predict_logits
from neuroface.pipeline.backend import keras

import numpy as np
import pytest

DEEPEXPLAIN = Path(__file__).parents[1] / "data" / "deepexplain"
SHAPE = (30, 8)
DERIVATIVE_RULES = [rule for rule in RULES if rule != "secant"]


def explain(model, windows, rule, steps, baselines=None, batch=8, **more):
    baselines = np.zeros_like(windows) if baselines is None else baselines
    integrate = integrator(model, rule, steps, batch, **more)
    return integrate(windows, baselines, gains(model, windows, baselines))[0]


def integrator(model, rule, steps, batch, **more) -> IntegratedGradients:
    """With what an earlier test compiled for the same network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            attribution,
            "PathGradient",
            lambda model, segments: path_gradient(model, segments, attribution.understands(model)),
        )
        return IntegratedGradients(model, rule, steps, batch, **more)


@cache
def path_gradient(model, segments, fast) -> PathGradient:
    return PathGradient(model, segments)


compiled_logit_network = cache(logit_network)


def gains(model, windows, baselines):
    ends = np.concatenate([windows, baselines])
    logits = predict_logits(compiled_logit_network(model), ends, batch=4)
    return logits[: len(windows)] - logits[len(windows) :]


def error(maps, exact):
    """Norm of the difference relative to the exact map's, per window."""
    flat = [m.reshape(len(m), -1) for m in (maps - exact, exact)]
    return np.linalg.norm(flat[0], axis=1) / np.linalg.norm(flat[1], axis=1)


# ---------------------------------------------------------------- the reference


@pytest.fixture(scope="module")
def reference():
    """What is stored, and our network with the stored weights (the whole model loads only in the Keras that saved it)."""
    stored = {path.stem: np.load(path) for path in DEEPEXPLAIN.glob("*.npy")}
    model = build_network(320, 10, (64, 32, 32), 32)
    model.load_weights(DEEPEXPLAIN / "model.keras")
    return stored, model


@pytest.fixture(scope="module")
def exact(reference):
    """The map of one of its windows with 600 steps of plain automatic differentiation."""
    stored, model = reference
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attribution, "understands", lambda model: False)
        return explain(model, stored["windows"][:1], "midpoint", 600, batch=100)


def test_our_network_is_the_references(reference):
    stored, model = reference
    logits = predict_logits(logit_network(model), stored["windows"], batch=8)
    np.testing.assert_allclose(logits, stored["logits"][..., None].ravel(), rtol=1e-4)


def test_attributions_are_deepexplains(reference):
    stored, model = reference
    assert (
        error(
            explain(model, stored["windows"], "right", 200, batch=50), stored["intgrad_200_steps"]
        )
        <= 1e-3
    ).all()


def test_deepexplain_itself_drives_our_networks(reference):
    pytest.importorskip("deepexplain", reason=f"DeepExplain is an extra: {INSTALL}")
    stored, model = reference
    windows = stored["windows"][:3]
    engine = DeepExplainGradients(logit_network(model), 20)
    for baselines in (np.zeros_like(windows), windows[::-1] / 2):
        theirs, steps = engine(windows, baselines, np.zeros(3))
        assert (error(explain(model, windows, "right", 20, baselines), theirs) <= 1e-3).all() and (
            steps == 20
        ).all()


def test_without_deepexplain_its_engine_says_how_to_get_it(monkeypatch, reference):
    for name in ("deepexplain", "deepexplain.tensorflow"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        NeuroFaceError, match='IG_ENGINE = "deepexplain" needs.*pip install.*87fb43a.*"keras"'
    ):
        DeepExplainGradients(logit_network(reference[1]), 20)


# ---------------------------------------------------------------- quadrature


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("steps", [1, 7, 200])
def test_nodes_lie_in_the_interval_and_weights_sum_to_one(rule, steps):
    nodes, weights = quadrature(rule, steps)
    assert len(nodes) == len(weights) == steps + (rule in ("trapezoid", "secant"))
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    assert (np.diff(nodes) > 0).all() and nodes[0] >= 0 and nodes[-1] <= 1


@pytest.mark.parametrize("steps", [1, 4, 50])
def test_errors_on_polynomials_are_the_known_ones(steps):
    def integral(rule, function):
        nodes, weights = quadrature(rule, steps)
        return weights @ function(nodes)

    assert integral("right", np.ones_like) == pytest.approx(1)
    assert integral("right", lambda x: x) == pytest.approx(1 / 2 + 1 / (2 * steps))
    for rule in ("midpoint", "trapezoid"):
        assert integral(rule, lambda x: 3 * x + 2) == pytest.approx(3.5)
    assert integral("midpoint", np.square) == pytest.approx(1 / 3 - 1 / (12 * steps**2))
    assert integral("trapezoid", np.square) == pytest.approx(1 / 3 + 1 / (6 * steps**2))
    nodes, weights = quadrature("gauss-legendre", min(steps, 8))
    degrees = np.arange(2 * len(nodes) + 1)
    errors = weights @ nodes[:, None] ** degrees - 1 / (degrees + 1)
    assert np.abs(errors[:-1]).max() < 1e-14 < np.abs(errors[-1])


def test_an_unknown_rule_is_named():
    with pytest.raises(ValueError, match="'left'.*right, midpoint"):
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
def windows():
    return np.random.default_rng(3).standard_normal((3, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="module")
def linear():
    keras.utils.set_random_seed(0)
    model = small_network(keras.layers.Flatten())
    return model.get_layer("logit").get_weights()[0].reshape(SHAPE), model


@pytest.mark.parametrize("batch", [1, 6, 50])
@pytest.mark.parametrize("rule", DERIVATIVE_RULES)
def test_a_linear_network_is_explained_exactly(linear, windows, rule, batch):
    weights, model = linear
    for baselines in (np.zeros_like(windows), windows[::-1].copy()):
        maps = explain(model, windows, rule, 13, baselines, batch)
        assert maps.shape == windows.shape and maps.dtype == np.float32
        np.testing.assert_allclose(maps, weights * (windows - baselines), atol=1e-6)


def test_a_quadratic_network_shows_the_rules_errors(windows):
    # logit = Σ w x²: the midpoint rule gives the integral, w (x² − b²); the right rule of n steps w
    # (x − b)² / n more.
    keras.utils.set_random_seed(0)
    model = small_network(keras.layers.Activation(keras.ops.square), keras.layers.Flatten())
    weights = model.get_layer("logit").get_weights()[0].reshape(SHAPE)
    baselines = windows[::-1].copy()
    integral = weights * (windows**2 - baselines**2)
    for rule in ("midpoint", "trapezoid", "gauss-legendre"):
        np.testing.assert_allclose(
            explain(model, windows, rule, 10, baselines), integral, atol=1e-5
        )
    excess = weights * (windows - baselines) ** 2 / 10
    np.testing.assert_allclose(
        explain(model, windows, "right", 10, baselines), integral + excess, atol=1e-5
    )


def test_the_gradient_is_the_slope_of_the_logit(windows):
    keras.utils.set_random_seed(0)
    layers = (
        keras.layers.Dense(3, activation="tanh"),
        keras.layers.Flatten(),
        keras.layers.Dense(4, activation="tanh"),
    )
    model = small_network(*layers)
    at_window = np.ones(1), np.ones(1)
    logits, slopes = PathGradient(model)(windows, np.zeros_like(windows), *at_window)
    assert logits.shape == (3, 1) and slopes.shape == windows.shape
    step = 1e-2
    tolerance = 2e-3 * float(np.abs(slopes).max())
    for voxel, second in [(0, 0), (11, 3), (29, 7)]:
        nudge = np.zeros(SHAPE, dtype=np.float32)
        nudge[voxel, second] = step
        up, down = predict_logits(
            logit_network(model), np.stack([windows[0] + nudge, windows[0] - nudge]), batch=2
        )
        assert slopes[0, voxel, second] == pytest.approx((up - down) / (2 * step), abs=tolerance)


def test_one_layer_of_kinks_is_integrated_exactly_by_one_secant(windows):
    # logit = v · leaky(U x + c). Along b + α (x − b) a unit is on for a known share of the path:
    # its mean slope.
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(12, name="hidden", bias_initializer="random_normal")
    model = small_network(
        keras.layers.Flatten(), hidden, keras.layers.LeakyReLU(negative_slope=0.1)
    )
    (U, c), v = hidden.get_weights(), model.get_layer("logit").get_weights()[0][:, 0]
    baselines = (windows[::-1] / 3).astype(np.float32)
    first, last = (part.reshape(3, -1) @ U + c for part in (baselines, windows))
    alphas = (np.arange(200_000) + 0.5) / 200_000
    share = np.mean(first[..., None] + alphas * (last - first)[..., None] > 0, axis=-1)
    assert ((share > 0.01) & (share < 0.99)).mean() > 0.2  # there are kinks inside
    slope = ((0.1 + 0.9 * share) * v) @ U.T
    expected = slope.reshape(windows.shape) * (windows - baselines)
    np.testing.assert_allclose(explain(model, windows, "secant", 1, baselines), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("before", "after", "share"), [(1, 3, 1), (-1, -3, 0), (-1, 3, 0.75), (3, -1, 0.75), (0, 0, 0)]
)
def test_share_of_a_way_above_zero(before, after, share):
    assert float(positive_share(np.float32(before), np.float32(after))) == pytest.approx(share)


# ---------------------------------------------------------------- the voxel-time network


@cache
def uneven_network(shape):
    """A network with biases and uneven batch normalisation, three windows and their baselines."""
    keras.utils.set_random_seed(4)
    model = build_network(*shape, filters=(4, 3, 2), dense_units=5)
    rng = np.random.default_rng(
        5
    )  # without biases the network is homogeneous, and any number of steps exact
    model.set_weights([w + 0.3 * rng.random(w.shape) for w in model.get_weights()])
    windows, baselines = rng.standard_normal((2, 3, *shape)).astype(np.float32)
    return model, windows, 0.3 * baselines


@pytest.fixture(scope="module")
def network():
    """Rows and columns that pooling leaves over."""
    return uneven_network((31, 9))


@pytest.fixture(scope="module", params=[(31, 9), (40, 10)], ids=["odd", "even"])
def either_network(request):
    """Rows and columns that pooling leaves over, and none."""
    return uneven_network(request.param)


@pytest.mark.parametrize("rule", DERIVATIVE_RULES)
def test_the_fast_way_is_automatic_differentiation(either_network, rule, monkeypatch):
    model, windows, baselines = either_network
    fast = explain(model, windows, rule, 9, baselines)
    monkeypatch.setattr(attribution, "understands", lambda model: False)
    assert (error(fast, explain(model, windows, rule, 9, baselines)) < 1e-5).all()


@pytest.mark.parametrize("steps", [1, 3, 20])
def test_secants_are_complete_whatever_the_steps(either_network, steps):
    model, windows, baselines = either_network
    maps = explain(model, windows, "secant", steps, baselines)
    np.testing.assert_allclose(
        maps.sum(axis=(1, 2)), gains(model, windows, baselines), rtol=1e-4, atol=1e-4
    )


def test_secants_come_closer_with_fewer_steps(reference, exact):
    stored, model = reference
    windows = stored["windows"][:1]
    errors = {n: error(explain(model, windows, "secant", n), exact).max() for n in (5, 20, 80)}
    assert errors[5] > 2 * errors[20] > 4 * errors[80]
    right = error(explain(model, windows, "right", 100, batch=50), exact).max()
    assert errors[20] < right and errors[80] < 0.004


def test_the_gap_closes_as_steps_grow(network):
    model, windows, baselines = network
    gained = gains(model, windows, baselines)
    gaps = [
        np.abs(
            explain(model, windows, "right", n, baselines, batch=5).sum(axis=(1, 2)) - gained
        ).max()
        for n in (5, 50, 300)
    ]
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < 0.01 * np.abs(gained).max()


def test_auto_takes_as_many_steps_as_each_window_needs(network):
    model, windows, baselines = network
    windows = np.concatenate(
        [windows, baselines[:1]]
    )  # one whose path has no length needs the fewest
    baselines = np.concatenate([baselines, baselines[:1]])
    gained = gains(model, windows, baselines)
    maps, steps = integrator(model, "right", "auto", 8, tolerance=0.05)(windows, baselines, gained)
    gap = np.abs(gained - maps.sum(axis=(1, 2)))
    assert (gap <= 0.05 * np.maximum(np.abs(gained), 1)).all() and steps.max() < MOST_STEPS
    assert steps[3] == 8 and steps.max() > 8
    i, most = (
        int(steps.argmax()),
        int(steps.max()),
    )  # as if it alone had been asked for; half as many were too few
    one = windows[i : i + 1], "right"
    np.testing.assert_allclose(
        maps[i], explain(model, *one, most, baselines[i : i + 1])[0], atol=1e-5
    )
    half = explain(model, *one, most // 2, baselines[i : i + 1])
    assert abs(gained[i] - half.sum()) > 0.05 * max(abs(gained[i]), 1)


@pytest.mark.parametrize(("rule", "steps"), [("right", 20), ("secant", 20), ("right", "auto")])
def test_nothing_is_traced_twice(network, rule, steps, monkeypatch):
    model, windows, baselines = network
    traced, logits = [], PathNetwork.logits

    def counted(*arguments):
        traced.append(1)
        return logits(*arguments)

    monkeypatch.setattr(PathNetwork, "logits", counted)
    integrate = IntegratedGradients(model, rule, steps, 8)
    for n in (3, 1, 2):
        integrate(windows[:n], baselines[:n], gains(model, windows[:n], baselines[:n]))
    assert len(traced) == 1


def test_new_weights_need_no_new_trace(network):
    model, windows, baselines = network
    model = keras.models.clone_model(model)
    integrate = IntegratedGradients(model, "secant", 4, 8)
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        model.set_weights([rng.random(w.shape) for w in model.get_weights()])
        gained = gains(model, windows, baselines)
        maps, _ = integrate(windows, baselines, gained)
        np.testing.assert_allclose(maps.sum(axis=(1, 2)), gained, rtol=1e-3)


def test_other_networks_are_explained_by_differentiation_and_not_by_secants(windows):
    model = small_network(
        keras.layers.Flatten(), keras.layers.Dense(4), keras.layers.Activation("tanh")
    )
    assert not understands(model)
    with pytest.raises(
        NeuroFaceError, match='IG_RULE = "secant".*voxel-time network.*IG_RULE = "midpoint"'
    ):
        IntegratedGradients(model, "secant", 4, 8)
