"""Normalisation in one pass: the same outputs, gradients and running means as Keras' own layer."""

import numpy as np
import pytest

from neuroface.backend import HAS_GPU, keras
from neuroface.fused_normalization import with_fused_normalization
from neuroface.network import build_network

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow" or HAS_GPU, reason="for TensorFlow on a CPU")


def network_of(shape, **options):
    inputs = keras.Input(shape)
    return keras.Model(inputs, keras.layers.BatchNormalization(momentum=0.9, **options)(inputs))


@pytest.mark.parametrize("shape", [(7,), (30, 4, 7), (2, 3, 4, 5, 7)], ids=["dense", "voxels × trs", "volumes"])
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


def test_a_copy_has_the_same_weights_in_the_same_order_and_no_other_layer_changes():
    plain = build_network(40, 8, (4, 4, 4), 8)
    fused = with_fused_normalization(plain)
    for mine, theirs in zip(fused.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    changed = [a.name for a, b in zip(fused.layers, plain.layers, strict=True) if type(a) is not type(b)]
    assert len(changed) == 4 and all("normalization" in name for name in changed)
    half = build_network(40, 8, (4, 4, 4), 8, dtype="mixed_bfloat16")
    assert [type(layer) for layer in with_fused_normalization(half).layers] == [type(layer) for layer in half.layers]
