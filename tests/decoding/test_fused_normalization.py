"""Normalisation in one pass: the same outputs, gradients and running means as Keras' own layer."""

from functools import partial

from neuroface.decoding import training
from neuroface.decoding.fast.fused_normalization import with_fused_normalization
from neuroface.decoding.folds import Fold
from neuroface.decoding.network import build_network
from neuroface.pipeline.backend import HAS_GPU, keras

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow" or HAS_GPU, reason="for TensorFlow on a CPU"
)


def network_of(shape, **options):
    inputs = keras.Input(shape)
    return keras.Model(inputs, keras.layers.BatchNormalization(momentum=0.9, **options)(inputs))


@pytest.mark.parametrize(
    "shape", [(7,), (30, 4, 7), (2, 3, 4, 5, 7)], ids=["dense", "voxels × trs", "volumes"]
)
@pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False}], ids=str)
def test_it_is_keras_normalisation(shape, options):
    rng = np.random.default_rng(0)
    x, toward = (tf.constant(rng.normal(2, 3, (6, *shape)).astype(np.float32)) for _ in range(2))
    plain = network_of(shape, **options)
    plain.set_weights([rng.random(w.shape) + 0.5 for w in plain.get_weights()])
    fused = with_fused_normalization(plain)
    assert type(fused.layers[1]) is not type(plain.layers[1])
    found = {}
    for network in (plain, fused):
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = network(x, training=True)
            loss = tf.reduce_sum(output * toward)
        gradients = tape.gradient(loss, [x, *network.trainable_variables])
        found[network] = [output, *gradients, *network.get_weights(), network(x, training=False)]
    for mine, theirs in zip(found[fused], found[plain], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())


def test_what_keras_does_otherwise_is_left_to_keras():
    x = np.random.default_rng(0).normal(2, 3, (6, 30, 4, 7)).astype(np.float32)
    frozen = network_of(x.shape[1:])
    frozen.layers[1].trainable = False
    fused = with_fused_normalization(frozen)
    fused(x, training=True)
    np.testing.assert_array_equal(fused.layers[1].moving_mean, np.zeros(7))
    np.testing.assert_allclose(fused(x, training=True), frozen(x, training=True), rtol=1e-6)
    padded = keras.Input((5, 7))
    masked = keras.Model(padded, keras.layers.BatchNormalization()(keras.layers.Masking()(padded)))
    sequences = x[:, :5, 0] * (np.arange(5) < 3)[:, None]
    expected = np.asarray(masked(sequences, training=True))
    np.testing.assert_allclose(
        with_fused_normalization(masked)(sequences, training=True), expected, rtol=1e-5
    )
    if hasattr(frozen.layers[1], "renorm"):
        renorm = network_of(x.shape[1:], renorm=True)
        assert with_fused_normalization(renorm) is renorm


def test_training_uses_it(monkeypatch):
    seen = []
    monkeypatch.setattr(
        training, "with_fused_normalization", lambda network: seen.append(network) or network
    )
    rng, rows = np.random.default_rng(0), np.arange(24)
    X, y = rng.standard_normal((24, 40, 8)).astype(np.float32), rows % 2
    training.train_network(
        X, y, Fold(1, rows[:16], rows[16:20], rows[20:], "window"), partial(build_network, 40, 8, (4, 4, 4), 8),
        epochs=1, batch_size=8, learning_rates=(1e-3,), precision="float32", seed=3,
    )  # fmt: skip
    assert len(seen) == 1


def test_a_copy_has_the_same_weights_in_the_same_order_and_no_other_layer_changes():
    plain = build_network(40, 8, (4, 4, 4), 8)
    fused = with_fused_normalization(plain)
    for mine, theirs in zip(fused.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    changed = [
        a.name for a, b in zip(fused.layers, plain.layers, strict=True) if type(a) is not type(b)
    ]
    assert len(changed) == 4 and all("normalization" in name for name in changed)
    half = build_network(40, 8, (4, 4, 4), 8, dtype="mixed_bfloat16")
    assert with_fused_normalization(half) is half
