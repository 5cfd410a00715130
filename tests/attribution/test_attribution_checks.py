"""The checks of the maps: what they must say of maps whose worth is known."""

from neuroface.attribution.checks import (
    DELETED,
    Checker,
    alike,
    completeness,
    layers_from_the_top,
    randomised,
    truth_score,
    without,
)
from neuroface.attribution.explainer import Recipe
from neuroface.decoding.network import build_network
from neuroface.pipeline.backend import keras

import numpy as np
import pandas as pd
import pytest

SHAPE = (40, 8)
IG = Recipe(method="ig", rule="right", steps=4, occlusion_trs=2, smooth_noise=0.1, batch=8, seed=7)


@pytest.fixture(scope="module")
def network():
    """A network with weights of its own in every layer, and unlike those it starts with."""
    keras.utils.set_random_seed(1)
    network = build_network(*SHAPE, filters=(4, 3, 2), dense_units=5)
    rng = np.random.default_rng(2)
    network.set_weights([w + 0.2 * rng.random(w.shape) for w in network.get_weights()])
    return network


@pytest.fixture(scope="module")
def checker(network):
    X = np.random.default_rng(3).standard_normal((4, *SHAPE)).astype(np.float32)
    samples = pd.DataFrame(
        {"row": np.arange(4), "label": ["face", "noface"] * 2, "sign": [1, -1] * 2, "model": 1}
    )

    def baselines(kind, sample):
        return np.full((1, *SHAPE), {"zero": 0, "half": 0.5}[kind], dtype=np.float32)

    return Checker(X, samples, {1: network}, IG, baselines, "zero", seed=4)


def test_weights_become_random_from_the_top_down(network):
    names = layers_from_the_top(network)
    assert names == ["logit", "dense", "conv_3", "conv_2", "conv_1"]
    for depth in range(1, 6):
        copy = randomised(network, depth, seed=0)
        changed = [
            layer.name
            for layer in network.layers
            if hasattr(layer, "kernel")
            and not np.array_equal(
                layer.get_weights()[0], copy.get_layer(layer.name).get_weights()[0]
            )
        ]
        assert changed[::-1] == names[:depth]
    again = randomised(network, 5, seed=0)
    for mine, other in zip(again.get_weights(), randomised(network, 5, seed=0).get_weights()):
        np.testing.assert_array_equal(mine, other)


def test_maps_fall_apart_with_the_weights_and_come_back(checker):
    before = checker.maps()
    found = checker.weights()
    assert list(found) == ["logit", "dense", "conv_3", "conv_2", "conv_1"]
    assert abs(found["conv_1"]["pearson"]) < 0.3
    np.testing.assert_array_equal(checker.maps(), before)


def test_a_network_on_shuffled_labels_is_compared_with_the_real_one(checker, network):
    assert checker.labels(network)["pearson"] == pytest.approx(1)
    assert checker.labels(randomised(network, 5, seed=9))["pearson"] < 0.5


def test_other_baselines_make_other_maps(checker):
    found = checker.baselines(("zero", "half"))
    assert list(found) == ["half"]
    own, other = checker.maps(), checker.maps(kind="half")
    r = np.median([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(own, other)])
    assert found["half"]["pearson"] == pytest.approx(r) and r < 0.999


def test_the_error_of_few_steps_is_seen(checker):
    found = checker.steps()
    assert found["reference"] == "secant, 100 steps"
    assert 0.005 < found["map_error"]["median"] <= found["map_error"]["largest"] < 0.5


def test_deletion_on_a_linear_network_takes_the_largest_terms_first():
    inputs = keras.Input((*SHAPE, 1))
    logit = keras.layers.Dense(
        1, name="logit", kernel_initializer=keras.initializers.RandomNormal(seed=1)
    )
    model = keras.Model(
        inputs, keras.layers.Activation("sigmoid")(logit(keras.layers.Flatten()(inputs)))
    )
    weights = logit.get_weights()[0].reshape(SHAPE)
    X = np.random.default_rng(3).standard_normal((2, *SHAPE)).astype(np.float32)
    samples = pd.DataFrame(
        {"row": [0, 1], "label": ["face", "noface"], "sign": [1, -1], "model": 1}
    )

    def zero(kind, sample):
        return np.zeros((1, *SHAPE), dtype=np.float32)

    found = Checker(X, samples, {1: model}, IG, zero, "zero", seed=4).deletion()
    terms = [np.sort((sign * weights * x).sum(axis=1))[::-1] for sign, x in zip((1, -1), X)]
    for share, top in zip(DELETED, found["logit_without_top_voxels"]):
        assert top == pytest.approx(
            np.mean([t[round(share * 40) :].sum() for t in terms]), abs=1e-4
        )
    assert found["logit_without_random_voxels"][0] == pytest.approx(
        found["logit_without_top_voxels"][0]
    )
    assert found["windows_where_top_costs_more"] == 1


def test_voxels_are_put_back_in_order():
    window, baseline = np.ones((10, 2)), np.full((10, 2), 5.0)
    order = np.array([7, 1, 2, 3, 4, 5, 6, 0, 8, 9])
    none, one, half = without(window, baseline, order, (0.0, 0.1, 0.5))
    assert (none == 1).all() and (one[7] == 5).all() and one.sum() == 20 + 8
    assert set(np.flatnonzero(half[:, 0] == 5)) == {7, 1, 2, 3, 4}


def test_likeness_is_one_for_the_same_and_minus_one_for_the_opposite():
    maps = np.random.default_rng(0).standard_normal((3, 20, 4))
    assert alike(maps, 2 * maps) == pytest.approx({"pearson": 1, "spearman_of_size": 1})
    assert alike(maps, -maps) == pytest.approx({"pearson": -1, "spearman_of_size": 1})
    assert alike(maps, np.zeros_like(maps)) == {"pearson": 0, "spearman_of_size": 0}
    many = np.random.default_rng(1).standard_normal((9, 200, 10))
    assert abs(alike(many, np.random.default_rng(2).standard_normal(many.shape))["pearson"]) < 0.05


def test_truth_score_is_an_area_under_the_roc():
    truth = np.arange(50) < 10
    found = np.where(truth, 3.0, 1.0)[None, :, None] * np.array([[1, -1, 1, -1]])[:, None]
    assert truth_score([found, found], truth) == 1
    assert truth_score([1 / found], truth) == 0
    order = np.arange(50.0)[
        None, :, None
    ]  # sizes 0 … 49; the ten smallest are the planted ones but for voxel 49
    planted = np.r_[np.arange(9), 49]
    assert truth_score([order], np.isin(np.arange(50), planted)) == pytest.approx(40 / 400)


def test_completeness_is_relative_to_what_the_logit_gained():
    table = pd.DataFrame(
        {"logit": [3.0, -3.0, 1.0], "logit_of_baseline": [1.0, 1.0, 0.0], "gap": [0.2, 0.2, -0.5]}
    )
    found = completeness(table)
    assert (
        found["windows"] == 3
        and found["median"] == pytest.approx(0.1)
        and "beyond_tolerance" not in found
    )
    # Gains 2, −4 and 1: gaps of 0.2, 0.2 and 0.5 against 0.06 times 2, 4 and 1.
    assert (
        completeness(table, 0.06)["beyond_tolerance"] == 2
        and completeness(table, 0.5)["beyond_tolerance"] == 0
    )
