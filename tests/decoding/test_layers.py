"""Layers of the other architectures: each against plain NumPy or SciPy."""

from neuroface.bold.nifti import unmask
from neuroface.decoding.layers import (
    DropConnectDense,
    GatedDense,
    TimeStamps,
    ToVolumes,
    VolumeConv3D,
    bounding_box,
)
from neuroface.pipeline.backend import gradient_of, keras

import numpy as np
import pytest
from scipy.signal import correlate

TRS = 4


@pytest.fixture(scope="module")
def mask():
    """A mask that touches neither the first nor the last plane, with holes."""
    mask = np.zeros((6, 8, 6), dtype=bool)
    mask[1:5, 2:7, 1:4] = np.random.default_rng(0).random((4, 5, 3)) < 0.6
    mask[1, 2, 1] = mask[4, 6, 3] = True
    return mask


@pytest.fixture(scope="module")
def windows(mask):
    return np.random.default_rng(1).standard_normal((3, int(mask.sum()), TRS, 1)).astype(np.float32)


def test_windows_become_the_box_of_the_brain(mask, windows):
    volumes = np.asarray(ToVolumes(bounding_box(mask))(windows))
    assert volumes.shape == (3, TRS, 4, 5, 3, 1)
    for window, volume in zip(windows, volumes):
        whole = unmask(window[..., 0], mask)
        np.testing.assert_array_equal(volume[..., 0], np.moveaxis(whole, 3, 0)[:, 1:5, 2:7, 1:4])


def test_a_box_of_five_layers_gets_an_empty_sixth():
    """Without it training ends in a crash: tests/decoding/test_architectures.py, in full."""
    mask = np.zeros((9, 4, 4), dtype=bool)
    mask[2:7, 1:3, 1:3] = True
    box = bounding_box(mask)
    assert box.shape == (6, 2, 2) and box[:5].all() and not box[5].any()
    assert bounding_box(mask[:6]).shape == (4, 2, 2)


def test_a_stored_layer_keeps_its_box():
    """Or the convolutions after it would begin at other voxels than they were trained at."""
    stored = keras.layers.serialize(ToVolumes(np.ones((5, 2, 2), dtype=bool)))
    assert keras.layers.deserialize(stored).box.shape == (5, 2, 2)


def test_the_gradient_finds_its_way_back_to_the_voxels(mask, windows):
    to_volumes = ToVolumes(bounding_box(mask))
    weights = np.random.default_rng(2).standard_normal((1, TRS, 4, 5, 3, 1)).astype(np.float32)
    inputs = keras.Input(windows.shape[1:])
    model = keras.Model(inputs, to_volumes(inputs))
    compute = gradient_of(lambda x: (keras.ops.sum(to_volumes(x) * weights), x), model)
    found = np.asarray(compute(windows)[1])
    expected = weights[0, :, mask[1:5, 2:7, 1:4], 0]  # (n_voxels, TRS)
    np.testing.assert_allclose(
        found, np.broadcast_to(expected[None, ..., None], found.shape), rtol=1e-6
    )


def test_windows_of_another_mask_are_refused(mask, windows):
    with pytest.raises(ValueError, match=r"windows have \d+ voxels, the mask \d+"):
        ToVolumes(bounding_box(mask))(windows[:, 1:])


def test_a_stored_layer_knows_its_mask(mask, windows):
    layer = ToVolumes(bounding_box(mask))
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    np.testing.assert_array_equal(again(windows), layer(windows))


def test_each_volume_is_convolved_by_itself(mask, windows):
    volumes = np.asarray(ToVolumes(bounding_box(mask))(windows))
    layer = VolumeConv3D(2, 3, strides=2, padding="valid", bias_initializer="ones")
    maps = np.asarray(layer(volumes))
    assert maps.shape == layer.compute_output_shape(volumes.shape) == (3, TRS, 1, 2, 1, 2)
    kernel = np.asarray(layer.kernel)
    for n, t, f in np.ndindex(3, TRS, 2):
        expected = (
            correlate(volumes[n, t, ..., 0], kernel[..., 0, f], mode="valid")[::2, ::2, ::2] + 1
        )
        np.testing.assert_allclose(maps[n, t, ..., f], expected, atol=1e-5)


def test_time_stamps_are_sines_and_cosines():
    stamps = np.asarray(TimeStamps()(np.zeros((1, 10, 4), np.float32)))[0]
    t = np.arange(10)
    expected = [np.sin(t), np.cos(t), np.sin(t / 100), np.cos(t / 100)]
    np.testing.assert_allclose(stamps, np.transpose(expected), atol=1e-6)


# ---------------------------------------------------------------- DropConnect


@pytest.fixture(scope="module")
def dense():
    keras.utils.set_random_seed(0)
    layer = DropConnectDense(40, 0.17, bias_initializer="ones")
    layer.build((None, 50))
    return layer


def test_inference_uses_every_weight(dense):
    x = np.random.default_rng(0).standard_normal((5, 50)).astype(np.float32)
    np.testing.assert_allclose(dense(x), x @ np.asarray(dense.kernel) + 1, atol=1e-5)


def test_training_drops_weights_and_not_outputs(dense):
    kernel = np.asarray(dense.kernel)
    draws = np.stack(
        [np.asarray(dense(np.eye(50, dtype=np.float32), training=True)) - 1 for _ in range(30)]
    )
    kept = np.abs(draws) > 1e-6
    np.testing.assert_allclose(
        draws[kept], np.broadcast_to(kernel / 0.83, draws.shape)[kept], atol=1e-5
    )
    # 60,000 weights, each lost with p = 0.17: the share's standard error is 0.0015.
    assert np.mean(~kept) == pytest.approx(0.17, abs=0.008)
    assert not kept.all(axis=(0, 1)).any() and kept.any(axis=1).all(), (
        "some weights of every output, never all"
    )


def test_the_expected_output_is_that_of_inference(dense):
    x = np.random.default_rng(3).standard_normal((1, 50)).astype(np.float32)
    draws = np.concatenate([np.asarray(dense(x, training=True)) for _ in range(1000)])
    error = draws.mean(axis=0) - np.asarray(dense(x))[0]
    assert np.abs(error / (draws.std(axis=0) / np.sqrt(1000))).max() < 5


# ---------------------------------------------------------------- gates


def gated(penalty=0.1):
    layer = GatedDense(3, first_gate=0.5, kernel_regularizer=keras.regularizers.L2(penalty))
    layer.build((None, 6))
    return layer


def test_a_gate_multiplies_all_weights_of_its_input():
    layer, rng = gated(), np.random.default_rng(0)
    np.testing.assert_array_equal(np.asarray(layer.gate), np.full((6, 1), 0.5))
    gate, x = rng.standard_normal((6, 1)), rng.standard_normal((4, 6)).astype(np.float32)
    layer.gate.assign(gate)
    weights = gate * np.asarray(layer.kernel)
    np.testing.assert_allclose(layer.gated_kernel(), weights, atol=1e-6)
    np.testing.assert_allclose(layer(x), x @ weights, atol=1e-5)


def test_the_least_penalty_of_gates_is_a_group_lasso():
    """Hoff 2017: over all gates with the same products, 2 × penalty × Σ of the norms of their rows."""
    layer, products = gated(), np.random.default_rng(1).standard_normal((6, 3))
    norms = np.linalg.norm(products, axis=1, keepdims=True)

    def penalty_of(gate):
        layer.gate.assign(gate)
        layer.kernel.assign(products / gate)
        return float(sum(layer.losses))

    least = penalty_of(np.sqrt(norms))
    assert least == pytest.approx(2 * 0.1 * norms.sum(), rel=1e-5)
    for factor in (0.8, 0.98, 1.02, 1.25):
        assert penalty_of(np.sqrt(norms) * factor) > least
