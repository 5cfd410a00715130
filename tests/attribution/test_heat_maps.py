"""Grad-CAM and attention rollout on networks and matrices whose answers are known."""

from neuroface import NeuroFaceError
from neuroface.attribution.heat_maps import AttentionRollout, GradCAM, rollout
from neuroface.decoding.layers import ToVolumes, VolumeConv3D, bounding_box
from neuroface.decoding.network import classifier, window_input
from neuroface.decoding.other_networks import attended
from neuroface.pipeline.backend import keras

import numpy as np
import pytest

TRS = 3
MASK = np.zeros((6, 6, 6), dtype=bool)
MASK[1:5, 1:5, 1:5] = True
VOXELS = 64


@pytest.fixture(scope="module")
def windows():
    return np.random.default_rng(0).standard_normal((4, VOXELS, TRS)).astype(np.float32)


def network(*layers):
    x = windows = window_input(VOXELS, TRS)
    for layer in layers:
        x = layer(x)
    return classifier(windows, x)


def explain(method, windows):
    return method(windows, np.zeros_like(windows), np.zeros(len(windows)))[0]


def test_grad_cam_of_means_is_the_weighted_feature_map(windows):
    """logit = Σ w[t, c] · mean over places of A[t, c]: the gradient is w / n_places everywhere."""
    keras.utils.set_random_seed(0)
    convolution = VolumeConv3D(2, 1)  # one voxel wide: feature maps as fine as the volumes
    model = network(
        ToVolumes(bounding_box(MASK)), convolution, keras.layers.Reshape((TRS, VOXELS, 2)),
        keras.layers.AveragePooling2D((1, VOXELS)), keras.layers.Flatten(),
    )  # fmt: skip
    kernel, weights = (
        convolution.get_weights()[0].ravel(),
        model.get_layer("logit").get_weights()[0].reshape(TRS, 2),
    )
    expected = (
        windows * (weights @ kernel) / VOXELS
    )  # (n, n_voxels, TRS): A[t, c] = kernel[c] · window
    np.testing.assert_allclose(explain(GradCAM(model, 4), windows), expected, atol=1e-6)


def test_grad_cam_comes_back_to_the_brain_from_coarse_maps(windows):
    keras.utils.set_random_seed(0)
    model = network(
        ToVolumes(bounding_box(MASK)),
        VolumeConv3D(1, 2, strides=2),
        keras.layers.Reshape((TRS, 8)),
        keras.layers.Flatten(),
    )
    maps = explain(GradCAM(model, 4), windows)
    corner = model.layers[2](model.layers[1](windows[..., None]))[:, :, 0, 0, 0, 0]
    slope = model.get_layer("logit").get_weights()[0].reshape(TRS, 8).mean(axis=1)
    np.testing.assert_allclose(
        maps[:, 0], np.asarray(corner) * slope, atol=1e-5
    )  # beyond the outermost centres: nearest
    assert maps.shape == windows.shape


def test_rollout_by_hand():
    first, second = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.0, 1.0]])
    # Layer 1: ½ (A + I) = [[1, 0], [¼, ¾]]; layer 2: [[½, ½], [0, 1]]. Product: [[⅝, ⅜], [¼, ¾]];
    # its mean over rows:
    np.testing.assert_allclose(rollout([first, second]), [7 / 16, 9 / 16])
    np.testing.assert_allclose(rollout([np.eye(3)] * 4), [1 / 3] * 3)


def test_rollout_finds_the_volume_that_all_others_attend_to():
    """Queries are equal, keys read one voxel: attention goes to the volume in which it is large."""
    windows = np.zeros((2, VOXELS, TRS), dtype=np.float32)
    windows[0, 0, 2] = windows[1, 0, 1] = 8
    inputs = window_input(VOXELS, TRS)
    tokens = keras.layers.Reshape((TRS, VOXELS))(keras.layers.Permute((2, 1, 3))(inputs))
    attention = keras.layers.MultiHeadAttention(1, 1, attention_axes=(1,))
    model = classifier(
        inputs, keras.layers.Flatten()(attention(tokens, tokens, return_attention_scores=True)[0])
    )
    weights = [np.zeros_like(w) for w in attention.get_weights()]
    names = [v.path.split("/")[-2:] for v in attention.weights]
    weights[names.index(["query", "bias"])][:] = 1
    weights[names.index(["key", "kernel"])][0] = 1
    attention.set_weights(weights)
    maps = explain(AttentionRollout(model, 2), windows)
    large = np.exp(8) / (np.exp(8) + 2)  # softmax of (8, 0, 0)
    for window, volume in zip(maps, (2, 1)):
        np.testing.assert_allclose(window.sum(axis=0)[volume], (large + 1 / 3) / 2, rtol=1e-4)
        np.testing.assert_allclose(
            window, np.broadcast_to(window[:1], window.shape)
        )  # it does not say where
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1, rtol=1e-5)


def test_rollout_over_places_lies_where_attention_goes(windows):
    keras.utils.set_random_seed(0)
    inputs = window_input(VOXELS, TRS)
    x = keras.layers.Reshape((TRS, 8, 4))(
        VolumeConv3D(4, 2, strides=2)(ToVolumes(bounding_box(MASK))(inputs))
    )
    x = keras.layers.Reshape((TRS, 32))(x + attended(x, 2, 0.0, (2,), "attention_over_space"))
    model = classifier(
        inputs, keras.layers.Flatten()(attended(x, 2, 0.0, (1,), "attention_over_time_1"))
    )
    method = AttentionRollout(model, 4)
    maps = explain(method, windows)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), 1, rtol=1e-5)
    assert maps.min() >= 0 and maps.std(axis=1).min() > 0
    over_time, over_space = method._scores.predict_on_batch(windows[..., None])
    shares = rollout([over_space[0].mean(axis=2)]).reshape(4, TRS, 2, 2, 2)
    strongest = [
        np.unravel_index(place.argmax(), (4, 4, 4))
        for place in np.moveaxis(maps[0].reshape(4, 4, 4, TRS), 3, 0)
    ]
    for volume, place in enumerate(strongest):
        assert tuple(np.array(place) // 2) == np.unravel_index(
            shares[0, volume].argmax(), (2, 2, 2)
        )


@pytest.mark.parametrize(
    ("method", "says"), [(GradCAM, "cnn3d"), (AttentionRollout, "transformer")]
)
def test_networks_that_have_no_such_maps_are_refused(method, says):
    with pytest.raises(NeuroFaceError, match=f'EXPLAINED_MODEL .*"{says}"'):
        method(network(keras.layers.Flatten()), 4)
