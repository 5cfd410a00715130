"""The published hybrid, by the two numbers that were published with it."""

from neuroface import NeuroFaceError
from neuroface.decoding.architectures import build
from neuroface.decoding.model_cost import multiply_adds
from neuroface.decoding.published_hybrid import PlaceAttention, published_hybrid
from neuroface.pipeline.backend import keras

import numpy as np
import pytest


@pytest.fixture(scope="module")
def network():
    return published_hybrid()


def test_its_parameters_are_the_published_ones(network):
    assert network.count_params() == 70_361_445
    assert network.output_shape == (None, 4)


def test_its_multiply_adds_are_the_published_ones(network):
    """261.57 G at batch 32, as torchinfo counts them.

    It takes biases for multiply-adds too, leaves attention out, and multiplies what the encoder's
    other layers hold by the first axis of their output, which in PyTorch's order is the one token,
    not the 32 volumes.
    """
    total = 0
    for layer in network.layers:
        size = sum(int(np.prod(w.shape)) for w in layer.weights)
        if isinstance(layer, keras.layers.Conv3D):
            total += 32 * size * int(np.prod(layer.output.shape[1:4]))
        elif layer.name == "classes":
            total += 32 * size
        elif isinstance(layer, (keras.layers.Dense, keras.layers.LayerNormalization)):
            total += size
    assert round(total / 1e9, 2) == 261.57
    # Counted as for all other networks here: no biases, attention included, every volume through
    # the encoder.
    assert multiply_adds(network) == (
        47**3 * 7**3 * 32 + 21**3 * 7**3 * 32 * 64 + 2**3 * 20**3 * 64 * 128  # convolutions on 100³ → 47³ → 21³ → 2³
        + 27 * 128 * (16 + 16 + 128)  # query, key, value
        + 6 * (4 * 128 * 128 + 2 * 128 + 2 * 128 * 2048)  # encoder, one token
        + 128 * 4
    )  # fmt: skip
    assert 32 * multiply_adds(network) == pytest.approx(261.57e9, rel=1e-4)


def test_its_attention_mixes_places_by_softmax():
    rng = np.random.default_rng(0)
    x, value = rng.standard_normal((2, 2, 2, 2, 1, 6)).astype(np.float32)
    query, key = rng.standard_normal((2, 2, 2, 2, 1, 3)).astype(np.float32)
    layer = PlaceAttention()
    np.testing.assert_array_equal(layer([x, query, key, value]), x)  # γ begins at 0
    layer.gamma.assign([2.0])
    found = np.asarray(layer([x, query, key, value]))
    for n in range(2):
        q, k, v = (part[n].reshape(4, -1).astype(float) for part in (query, key, value))
        weights = np.exp(q @ k.T / 2)
        expected = x[n].reshape(4, -1) + 2 * (weights / weights.sum(axis=1, keepdims=True)) @ v
        np.testing.assert_allclose(found[n].reshape(4, -1), expected, atol=1e-5)


def test_it_is_trained_on_windows_by_a_flag():
    mask = np.zeros((9, 9, 9), bool)
    mask[2:7, 3:6, 1:8] = True
    model = build("hybrid", mask, 4, {"reference": True})
    assert model.input_shape == (None, 105, 4, 1)
    assert model.count_params() == 70_361_445 - 3 * 129  # one logit in place of four classes
    with pytest.raises(NeuroFaceError, match="larger than the published network's 100"):
        build("hybrid", np.ones((101, 1, 1), bool), 4, {"reference": True})
