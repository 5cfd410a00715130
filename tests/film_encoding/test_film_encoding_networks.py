"""Film and brain: the published networks, their losses, and what a training reads."""

import os
import subprocess
import sys
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.decoding.fast import compiled
from neuroface.pipeline import keras

import numpy as np
import pytest
from conftest import ROOT
from scipy import signal

pytest.importorskip("av", reason="films need PyAV: make film-encoding")
skimage_metrics = pytest.importorskip("skimage.metrics")

from film_encoding import losses, networks  # noqa: E402
from film_encoding.film_data import ChunkBatches, FilmData  # noqa: E402
from film_encoding.lagged import STRETCH, Stretches, build_lagged_encoder, frames_of, predict_lagged  # noqa: E402
from film_encoding.perceptual import ORIENTATIONS, scattering, vgg16, wavelets  # noqa: E402
from film_encoding.ridge import delayed  # noqa: E402
from film_encoding.splits import Fold  # noqa: E402
from film_encoding.training import predict, train  # noqa: E402
from film_encoding.variants import Variant  # noqa: E402

import pandas as pd  # noqa: E402


def test_the_published_parameters():
    assert networks.trainable_parameters(networks.build_encoder(4_609, 32, 112)) == 63_766_593
    assert networks.trainable_parameters(networks.build_decoder(4_609, 112)) == 43_547_721


def test_the_published_shapes():
    encoder = networks.build_encoder(7, 32, 112, (2, 3, 4, 5))
    shapes = [layer.output.shape[1:] for layer in encoder.layers]
    assert (16, 28, 28, 3) in shapes  # after both convolutions and poolings
    assert (28, 28, 16 * 4) in shapes and (14, 14, 5) in shapes and (14 * 14 * 5,) in shapes
    assert networks.build_decoder(7, 112, 3).output_shape == (None, 112, 112, 3)


def separate(x, kernel, bias, time: int) -> np.ndarray:
    """Each time step by a Keras layer of its own, joined."""
    parts = []
    for step in range(time):
        n = kernel.shape[-1] // time
        layer = keras.layers.Conv2D(n, 3, padding="same")
        layer.build(x[:, step].shape)
        layer.set_weights([kernel[..., step * n : (step + 1) * n], bias[step * n : (step + 1) * n]])
        parts.append(np.asarray(layer(x[:, step])))
    return np.concatenate(parts, axis=-1)


@pytest.mark.parametrize("grouped", [True, False])
def test_one_grouped_convolution_equals_separate_ones(grouped, monkeypatch):
    if keras.backend.backend() == "tensorflow":
        monkeypatch.setattr(networks, "has_grouped_convolution", lambda: grouped and True)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4, 6, 5, 7)).astype(np.float32)
    layer = networks.TimeStepConvolutions(2)
    layer.build(x.shape)
    weights = [rng.normal(size=w.shape).astype(np.float32) for w in layer.weights]
    layer.set_weights(weights)
    np.testing.assert_allclose(np.asarray(layer(x)), separate(x, *weights, 4), atol=1e-4)


WITHOUT_ONEDNN = """
import sys

sys.path.insert(0, sys.argv[1])
from film_encoding import networks
import numpy as np
import tensorflow as tf

x = tf.constant(np.random.default_rng(0).normal(size=(2, 4, 6, 6, 3)), tf.float32)
layer = networks.TimeStepConvolutions(2)
layer.build(x.shape)


def total():
    return tf.reduce_sum(layer(x) ** 2)


@tf.function
def gradient():
    with tf.GradientTape() as tape:
        tape.watch(layer.kernel.value)
        loss = total()
    return tape.gradient(loss, layer.kernel.value)


kernel, slope = np.asarray(layer.kernel), np.asarray(gradient())
step = np.random.default_rng(1).normal(size=kernel.shape).astype(np.float32)
ends = []
for sign in (1, -1):  # a quadratic function: the difference of two values is its slope, whatever the step
    layer.kernel.assign(kernel + sign * step)
    ends.append(float(total()))
np.testing.assert_allclose((ends[0] - ends[1]) / 2, np.sum(slope * step), rtol=1e-3)
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="oneDNN is TensorFlow's")
def test_a_processor_without_onednn_trains_too():
    """TensorFlow 2.21.0 turns oneDNN on by default only for processors with AVX-512 VNNI, AVX-VNNI or AMX. Without it the
    gradient of a grouped convolution is an InvalidArgumentError; it was taken for possible on every machine."""
    environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0", "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-c", WITHOUT_ONEDNN, str(ROOT / "studies" / "film_encoding")]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_decoder_sees_predicted_and_measured_voxels():
    encoder, decoder = (
        networks.build_encoder(6, 4, 16, (2, 2, 2, 2)),
        networks.build_decoder(6, 16, 2),
    )
    rng = np.random.default_rng(1)
    chunk, measured = (
        rng.integers(0, 255, (5, 4, 16, 16, 3)).astype(np.uint8),
        rng.normal(size=(5, 6)).astype(np.float32),
    )
    predicted = np.asarray(encoder(chunk))
    expected = {"predicted": [predicted], "measured": [measured], "both": [predicted, measured]}
    for name, given in expected.items():
        out = networks.join(encoder, decoder, name)({"chunk": chunk, "measured": measured})
        np.testing.assert_allclose(np.asarray(out["voxels"]), predicted, atol=1e-5)
        for which, voxels in enumerate(given):
            np.testing.assert_allclose(
                np.asarray(out["images"])[:, which], np.asarray(decoder(voxels)), atol=1e-4
            )


# ---------------------------------------------------------------- losses


def images(n: int = 3, pixels: int = 24) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    a = rng.random((n, pixels, pixels, 3)).astype(np.float32)
    return a, np.clip(a + rng.normal(0, 0.2, a.shape), 0, 1).astype(np.float32)


@pytest.mark.parametrize("pixels", [16, 24, 48])
def test_ssim_equals_scikit_images(pixels):
    a, b = images(pixels=pixels)
    theirs = [
        skimage_metrics.structural_similarity(
            x,
            y,
            data_range=1.0,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
        for x, y in zip(a, b)
    ]
    np.testing.assert_allclose(
        np.asarray(losses.ssim(a, b)), [value for value, _ in theirs], atol=2e-5
    )
    inner = np.stack([whole[5:-5, 5:-5] for _, whole in theirs])
    np.testing.assert_allclose(np.asarray(losses.ssim_map(a, b)), inner, atol=2e-4)
    np.testing.assert_allclose(np.asarray(losses.ssim(a, a)), 1, atol=1e-5)


def test_the_other_losses_are_their_formulas():
    a, b = images()
    rows, columns = (
        np.abs(np.diff(b, axis=1)).sum((1, 2, 3)),
        np.abs(np.diff(b, axis=2)).sum((1, 2, 3)),
    )
    np.testing.assert_allclose(
        np.asarray(losses.total_variation(b)), (rows + columns) / b[0].size, rtol=1e-5
    )
    x, y = np.random.default_rng(3).normal(size=(2, 4, 9)).astype(np.float32)
    cosine = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    found = np.asarray(losses.voxel_loss(0.7, 0.5)(x, y))
    np.testing.assert_allclose(found, 0.7 * ((x - y) ** 2).mean(1) + 0.5 * (1 - cosine), rtol=1e-4)
    both = np.stack([a, b], axis=1)
    found = np.asarray(losses.image_loss((0.35, 0.25, 0.3), scattering)(255 * a, both))
    each = [
        0.35 * np.asarray(losses.perceptual_distance(scattering(a), scattering(one)))
        + 0.25 * (1 - np.asarray(losses.ssim(a, one)))
        + 0.3 * np.asarray(losses.total_variation(one))
        for one in (a, b)
    ]
    np.testing.assert_allclose(found, np.mean(each, axis=0), rtol=1e-3)


def test_scattering_is_the_modulus_of_gabor_filters():
    """Against SciPy's convolution: first layer on the first scale, at every second place, away from the border."""
    a, _ = images(1, 32)
    kernels, grey = wavelets()[:, :, 0], a[0].mean(axis=-1)
    found = np.asarray(scattering(a)[0])[0, ..., 3:]
    for orientation in range(ORIENTATIONS):
        pair = kernels[..., orientation], kernels[..., ORIENTATIONS + orientation]
        parts = [signal.correlate2d(grey, kernel, mode="same") for kernel in pair]
        amplitude = np.hypot(*parts)
        shifts = [amplitude[dy::2, dx::2][4:-4, 4:-4] for dy in (0, 1) for dx in (0, 1)]
        assert min(np.abs(found[4:-4, 4:-4, orientation] - shift).max() for shift in shifts) < 2e-3
    np.testing.assert_allclose(kernels.mean(axis=(0, 1)), 0, atol=1e-7)


def test_the_perceptual_distance_knows_edges_from_flat():
    flat, edges = np.full((1, 32, 32, 3), 0.5, np.float32), np.full((1, 32, 32, 3), 0.5, np.float32)
    edges[:, :, ::4] = 1
    near = np.roll(edges, 1, axis=2)
    distance = {name: float(np.asarray(losses.perceptual_distance(scattering(edges), scattering(other)))[0])
                for name, other in {"same": edges, "moved": near, "flat": flat}.items()}  # fmt: skip
    # Edges that move a little stay edges; without edges everything is different.
    assert distance["same"] < 1e-4 and 0 < distance["moved"] < 0.1 * distance["flat"]


def test_vgg16_comes_from_a_weights_file(tmp_path):
    keras.utils.set_random_seed(0)
    keras.applications.VGG16(include_top=False, weights=None).save_weights(
        tmp_path / "vgg.weights.h5"
    )
    features = vgg16(str(tmp_path / "vgg.weights.h5"))(images(1, 16)[0])
    assert [tuple(part.shape[1:]) for part in features] == [
        (112, 112, 64), (56, 56, 128), (28, 28, 256), (14, 14, 512), (7, 7, 512),
    ]  # fmt: skip
    (tmp_path / "other.weights.h5").write_bytes(b"no weights")
    for name, message in (
        ("gone.h5", "is not there"),
        ("other.weights.h5", "does not hold weights of VGG16"),
    ):
        with pytest.raises(NeuroFaceError, match=message):
            vgg16(str(tmp_path / name))


# ---------------------------------------------------------------- data and training


@pytest.fixture
def film_data(tmp_path) -> tuple[FilmData, pd.DataFrame]:
    """Two films of 30 and 24 chunks; frame and BOLD say which chunk they belong to."""
    rng = np.random.default_rng(4)
    for film, n in (("a", 30), ("b", 24)):
        chunks = rng.integers(0, 50, (n, 8, 16, 16, 3)).astype(np.uint8)
        chunks[:, :, 0, 0, 0] = np.arange(8)  # the frame's number
        chunks[:, :, 0, 0, 1] = np.arange(n)[:, None]  # the chunk's
        np.save(tmp_path / f"{film}.npy", chunks)
        rows = np.repeat(np.arange(n + 6)[:, None], 5, axis=1) + 0.1 * np.arange(5)
        np.save(tmp_path / f"{film}_mean.npy", rows.astype(np.float32))
    table = pd.DataFrame({"film": ["b", "a", "a", "b"], "chunk": [3, 29, 0, 20]})
    return FilmData(
        tmp_path, tmp_path, ["a", "b"], Variant("network", 4, 4), np.array([1, 3])
    ), table


def test_a_chunk_goes_with_the_volume_after_the_delay(film_data):
    data, table = film_data
    np.testing.assert_allclose(
        data.bold(table), np.array([7, 33, 4, 24])[:, None] + [0.1, 0.3], rtol=1e-6
    )
    frames = data.frames(table)
    assert frames.shape == (4, 4, 16, 16, 3) and frames.dtype == np.uint8
    assert (frames[:, :, 0, 0, 0] == [0, 2, 4, 6]).all()  # every second of 8
    assert (frames[:, 0, 0, 0, 1] == table["chunk"]).all()
    assert (data.targets(table, 8)[:, 0, 0, 0] == 3).all() and (
        data.targets(table, 4)[:, 0, 0, 0] == 2
    ).all()


@pytest.mark.parametrize(
    ("n_chunks", "batch_size", "sizes"), [(25, 8, [8, 8, 9]), (19, 16, [19]), (24, 16, [16, 8])]
)
def test_batches_hold_every_chunk_once_and_are_never_small(film_data, n_chunks, batch_size, sizes):
    data, _ = film_data
    table = pd.DataFrame({"film": ["a"] * n_chunks, "chunk": np.arange(n_chunks)})
    batches = ChunkBatches(data, table, batch_size, 8, seed=1)
    got = [batches[number] for number in range(len(batches))]
    assert sorted(chunk for given, _ in got for chunk in given["chunk"][:, 0, 0, 0, 1]) == list(
        range(n_chunks)
    )
    assert [len(given["chunk"]) for given, _ in got] == sizes
    for given, wanted in got:
        np.testing.assert_allclose(
            wanted["voxels"][:, 0], given["chunk"][:, 0, 0, 0, 1] + 4.1, rtol=1e-6
        )
    before = batches.order.copy()
    batches.on_epoch_end()
    assert not np.array_equal(before, batches.order)


SMALL = dict(
    ENCODER_FILTERS=(2, 2, 2, 2), DECODER_FILTERS=2, DROPOUT=0.1, DECODER_INPUT="both", ENCODER_WEIGHT=0.5, MSE_WEIGHT=1.0,
    COSINE_WEIGHT=0.5, IMAGE_WEIGHTS=(0.35, 0.35, 0.3), PERCEPTUAL="scattering", PERCEPTUAL_WEIGHTS=None, EPOCHS=3,
    BATCH_SIZE=8, LEARNING_RATE=0.01, FRAMES_PER_TR=8,
)  # fmt: skip


def fold_of(n: int) -> Fold:
    parts = ["train"] * (n - 10) + ["inner"] * 5 + ["test"] * 5
    return Fold(
        "film", 1, pd.DataFrame({"film": "a", "chunk": np.arange(n), "part": parts, "test_set": ""})
    )


def test_training_keeps_the_best_epoch_and_repeats_with_its_seed(film_data):
    data, _ = film_data
    cfg, fold = SimpleNamespace(**SMALL), fold_of(30)
    network, history, cost = train(data, fold, data.variant, cfg, seed=5)
    assert cost["best_epoch"] == history["val_loss"].argmin() + 1 and len(history) == 3
    (kept,) = compiled._LAST.values()
    between, _, _ = train(data, fold, data.variant, cfg, seed=6)
    again, _, _ = train(data, fold, data.variant, cfg, seed=5)
    assert list(compiled._LAST.values()) == [kept]  # nothing was compiled again
    for one, other in zip(network.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    pairs = zip(network.get_weights(), between.get_weights())
    assert any((one != other).any() for one, other in pairs)
    made = predict(network, data, fold.of("test"), 2)
    assert made["predicted"].shape == (5, 2) and made["from_measured"].shape == (5, 16, 16, 3)
    direct = network.get_layer("decoder").predict_on_batch(data.bold(fold.of("test")))
    np.testing.assert_allclose(made["from_measured"], direct, atol=2e-3)


def test_a_step_that_is_too_large_is_one_line(film_data):
    data, _ = film_data
    data.variant = Variant("encoder", 4, 4, has_decoder=False)
    cfg = SimpleNamespace(**SMALL | {"LEARNING_RATE": 1e30})
    with pytest.raises(NeuroFaceError, match="NaN at LEARNING_RATE 1e\\+30"):
        train(data, fold_of(30), data.variant, cfg, seed=1)


# ---------------------------------------------------------------- chunks of several delays


def lagged(data: FilmData) -> FilmData:
    """The same data for a network that gets five chunks."""
    data.variant = Variant("lags-2", 4, 4, has_decoder=False, lags=(-2, -1, 0, 1, 2))
    return data


def test_a_lagged_network_gets_the_chunks_that_ridge_regression_gets(film_data):
    """Against the delayed features of ridge regression; the feature is the number of the chunk, and black is none."""
    data = lagged(film_data[0])
    table = pd.DataFrame(
        {"film": ["a"] * 7 + ["b"] * 3, "chunk": [0, 1, 2, 9, 11, 28, 29, 5, 6, 23]}
    )
    stretches = Stretches(table)
    frames = frames_of(data, stretches, np.arange(len(stretches)))
    numbers = np.where(
        frames.any(axis=(2, 3, 4, 5)), frames[:, :, 0, 0, 0, 1].astype(float), np.nan
    )
    features = {film: np.arange(float(len(data.chunks[film])))[:, None] for film in "ab"}
    delays = (2, 1, 0, -1, -2)  # the earliest chunk first
    expected = delayed(features, table, delays)
    seen = []
    for stretch, places in enumerate(stretches.place):
        for volume, row in enumerate(places):
            if row >= 0:
                seen.append(row)
                np.testing.assert_array_equal(numbers[stretch, volume : volume + 5], expected[row])
    assert sorted(seen) == list(range(len(table)))  # every row once


def test_a_lagged_encoder_is_a_sum_over_the_features_of_five_chunks():
    encoder = build_lagged_encoder(3, 5, 4, 16, (2, 2, 2, 2), 0.0)
    stretch = np.random.default_rng(0).integers(0, 255, (2, STRETCH + 4, 4, 16, 16, 3))
    stretch = stretch.astype(np.uint8)
    features = encoder.get_layer("chunk_features").predict_on_batch(
        stretch.reshape(-1, 4, 16, 16, 3)
    )
    features = np.reshape(features, (2, STRETCH + 4, -1))
    weights, bias = encoder.get_layer("voxels").get_weights()
    expected = [
        [
            np.einsum("df,dfv->v", one[volume : volume + 5], weights) + bias
            for volume in range(STRETCH)
        ]
        for one in features
    ]
    np.testing.assert_allclose(encoder.predict_on_batch(stretch), expected, atol=1e-4)


def test_predictions_of_stretches_come_back_to_their_chunks(film_data):
    """A network that says the number of the third chunk that it gets, a volume's own; black is 0."""
    data = lagged(film_data[0])
    table = pd.DataFrame({"film": list("abaab"), "chunk": [29, 0, 3, 4, 17]})
    says = SimpleNamespace(
        predict_on_batch=lambda stretch: np.repeat(
            stretch[:, 2 : 2 + STRETCH, 0, 0, 0, 1, None], 2, axis=2
        )
    )
    for batch in (1, 8, 64):
        made = predict_lagged(says, data, table, batch)
        np.testing.assert_array_equal(made, np.repeat(table[["chunk"]].to_numpy(), 2, axis=1))


def test_a_seed_draws_its_own_initial_weights_and_each_layer_its_own():
    """An initializer that two layers share gives both the same numbers, whatever the seed (Keras 3.15)."""

    def kernels(seed):
        keras.utils.set_random_seed(seed)
        weights = networks.build_decoder(9, 16, 4).get_weights()
        return [kernel for kernel in weights if kernel.ndim > 1]

    first, again, other = kernels(1), kernels(1), kernels(2)
    for kernel, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(kernel, same)
        assert not np.allclose(kernel, different)
    alike = [kernel for kernel in first if kernel.shape == (5, 5, 4, 4)]
    assert len(alike) == 3 and not np.allclose(alike[0], alike[1])
    dense = first[0]
    assert np.abs(dense).max() <= 1 / 3  # PyTorch's bound: 1 / √9
