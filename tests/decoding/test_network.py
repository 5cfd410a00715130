"""The paper's network: its size, what its layers compute, and how windows reach it."""

import json
import zipfile

from neuroface import NeuroFaceError
from neuroface.decoding.batches import WindowBatches
from neuroface.decoding.network import build_network, load_network, logit_network, predict_logits
from neuroface.pipeline.backend import keras

import numpy as np
import pytest
from scipy.signal import correlate2d

VOXELS, TRS = 50, 10


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    model = build_network(VOXELS, TRS, (4, 3, 2), 5)
    rng = np.random.default_rng(0)  # weights of every layer off their initial zeros and ones
    model.set_weights([w + 0.1 * rng.random(w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def windows():
    return np.random.default_rng(2).standard_normal((23, VOXELS, TRS)).astype(np.float32)


def layers(model, kind):
    return [layer for layer in model.layers if isinstance(layer, kind)]


# ---------------------------------------------------------------- size


def test_full_size_is_the_papers():
    model = build_network(41489, 10)
    assert model.count_params() == 42_526_017
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 42_525_505
    assert [layer.output.shape[1] for layer in layers(model, keras.layers.MaxPooling2D)] == [
        20744,
        10372,
        5186,
    ]
    (flatten,) = layers(model, keras.layers.Flatten)
    assert flatten.output.shape[1] == 331_904
    assert model.get_layer("dense").count_params() / model.count_params() == pytest.approx(
        0.999, abs=5e-4
    )


# ---------------------------------------------------------------- what it computes


def test_the_first_layer_correlates_voxels_and_seconds(network, windows):
    first = keras.Model(network.input, network.get_layer("conv_1").output)
    kernel, bias = network.get_layer("conv_1").get_weights()
    assert kernel.shape == (5, 3, 1, 4) and bias.all()  # voxels × seconds
    got = first.predict(windows[:2, ..., None], verbose=0)
    for window, maps in zip(windows, got):
        for f in range(4):
            expected = correlate2d(window, kernel[:, :, 0, f], mode="same") + bias[f]
            np.testing.assert_allclose(maps[:, :, f], expected, atol=1e-5)


def test_layers_have_the_papers_order_and_constants(network):
    block = ["Conv2D", "LeakyReLU", "BatchNormalization", "MaxPooling2D", "Dropout"]
    dense = [
        "Flatten",
        "Dense",
        "LeakyReLU",
        "BatchNormalization",
        "Dropout",
        "Dense",
        "Activation",
    ]
    assert [type(layer).__name__ for layer in network.layers] == ["InputLayer", *block * 3, *dense]
    assert [layer.kernel_size for layer in layers(network, keras.layers.Conv2D)] == [
        (5, 3),
        (5, 3),
        (3, 3),
    ]
    assert [layer.pool_size for layer in layers(network, keras.layers.MaxPooling2D)] == [
        (2, 1),
        (2, 2),
        (2, 2),
    ]
    assert [layer.rate for layer in layers(network, keras.layers.Dropout)] == [0.3, 0.35, 0.3, 0.4]
    assert all(
        layer.negative_slope == pytest.approx(0.1)
        for layer in layers(network, keras.layers.LeakyReLU)
    )
    for layer in layers(network, (keras.layers.Conv2D, keras.layers.Dense)):
        assert float(layer.kernel_regularizer.l2) == pytest.approx(0.001)
        assert isinstance(layer.kernel_initializer, keras.initializers.HeNormal)


def test_probability_is_the_sigmoid_of_the_logit(network, windows):
    logit = predict_logits(logit_network(network), windows, 23)
    assert logit.std() > 0
    probability = network.predict(windows[..., None], verbose=0)[:, 0]
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-logit)), rtol=1e-5)


def test_mixed_precision_stops_before_the_logit():
    model = build_network(VOXELS, TRS, (4, 3, 2), 5, dtype="mixed_float16")
    assert (
        model.get_layer("conv_1").compute_dtype
        == model.get_layer("dense").compute_dtype
        == "float16"
    )
    for name in ("logit", "probability"):
        assert (
            model.get_layer(name).compute_dtype == "float32"
            and model.get_layer(name).output.dtype == "float32"
        )
    assert all(v.dtype == "float32" for v in model.trainable_variables)


@pytest.mark.parametrize("batch", [1, 4, 23, 64])
def test_predict_logits_does_not_depend_on_the_batch(network, windows, batch):
    model = logit_network(network)
    expected = model.predict(windows[..., None], verbose=0)[:, 0]
    logits = predict_logits(model, windows, batch)
    assert logits.shape == (23,)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_predict_logits_reads_a_batch_at_a_time(network, windows):
    class Counting(np.ndarray):
        largest = 0

        def __getitem__(self, rows):
            Counting.largest = max(Counting.largest, len(rows))
            return np.asarray(self)[rows]

    model, rows, order = (
        logit_network(network),
        np.array([20, 3, 4, 11, 0, 9]),
        np.random.default_rng(1).permutation(VOXELS),
    )
    expected = model.predict(windows[rows][:, order, :, None], verbose=0)[:, 0]
    logits = predict_logits(model, windows.view(Counting), 4, rows, order)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert Counting.largest == 4


# ---------------------------------------------------------------- files


def test_a_saved_network_comes_back(tmp_path, network, windows):
    network.save(tmp_path / "fold-1.keras")
    loaded = load_network(tmp_path / "fold-1.keras", VOXELS, TRS)
    for weights, original in zip(loaded.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(weights, original)
    logits = predict_logits(logit_network(loaded), windows, 8)
    np.testing.assert_allclose(
        logits, predict_logits(logit_network(network), windows, 8), rtol=1e-6
    )


def with_metadata(file, version, layer=None, **initializer):
    """The file as another Keras saves it: its version, what it says of a dense layer and of its initial values."""
    with zipfile.ZipFile(file) as saved:
        parts = {name: saved.read(name) for name in saved.namelist()}
    parts["metadata.json"] = json.dumps({"keras_version": version}).encode()
    config = json.loads(parts["config.json"])
    dense = [layer for layer in config["config"]["layers"] if layer["class_name"] == "Dense"]
    dense[0]["config"]["kernel_initializer"]["config"] |= initializer
    dense[0] |= layer or {}
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(file, "w") as changed:
        for name, part in parts.items():
            changed.writestr(name, part)


def test_a_network_of_another_keras_is_loaded_from_its_weights(tmp_path, network):
    """Keras 3.15 writes ``input_axes`` of initial values, which 3.12 to 3.14 refuse."""
    file = tmp_path / "fold-1.keras"
    network.save(file)
    with_metadata(file, "99.0", axes_of_a_later_keras=[0])
    loaded = load_network(file, VOXELS, TRS)
    for weights, original in zip(loaded.get_weights(), network.get_weights(), strict=True):
        assert np.array_equal(weights, original)
    with_metadata(file, keras.__version__)  # what this Keras says it wrote must be what it writes
    with pytest.raises(NeuroFaceError, match="cannot be loaded") as refused:
        load_network(file, VOXELS, TRS)
    assert "pip install" not in str(refused.value)


def test_a_network_that_only_another_keras_can_load_names_its_version(tmp_path, network):
    file = tmp_path / "fold-1.keras"
    network.save(file)
    with_metadata(file, "99.0", {"class_name": "DenseOfALaterKeras"})
    with pytest.raises(NeuroFaceError, match=r"pip install keras==99\.0\. Delete it"):
        load_network(file, VOXELS, TRS)


def test_a_network_for_other_windows_is_refused_with_both_sizes(tmp_path, network):
    network.save(tmp_path / "fold-1.keras")
    with pytest.raises(
        NeuroFaceError, match=r"fold-1\.keras takes windows of \(50, 10\).*\(51, 10\)"
    ):
        load_network(tmp_path / "fold-1.keras", 51, 10)


def test_a_missing_network_says_what_to_run(tmp_path):
    with pytest.raises(
        NeuroFaceError, match=r"fold-1\.keras is not there. Run the script that trains it"
    ):
        load_network(tmp_path / "fold-1.keras", VOXELS, TRS)


# ---------------------------------------------------------------- batches


@pytest.fixture
def stored(tmp_path):
    """X as a memory map in which window i holds the value i everywhere."""
    X = np.lib.format.open_memmap(tmp_path / "X.npy", mode="w+", dtype=np.float32, shape=(30, 4, 3))
    X[:] = np.arange(30)[:, None, None]
    X.flush()
    return np.load(tmp_path / "X.npy", mmap_mode="r"), (np.arange(30) % 3 == 0).astype(np.int8)


def read_all(batches):
    parts = [batches[i] for i in range(len(batches))]
    return [np.concatenate(column) for column in zip(*parts)]


@pytest.mark.parametrize("seed", [None, 7])
def test_batches_serve_every_row_once_with_its_label_and_weight(stored, seed):
    X, y = stored
    rows = np.arange(2, 28, 2)
    batches = WindowBatches(X, y, rows, batch_size=5, class_weight={0: 0.75, 1: 1.5}, seed=seed)
    assert [len(batches[i][0]) for i in range(len(batches))] == [6, 7]  # not 5, 5 and 3
    for _ in range(2):
        windows, labels, weights = read_all(batches)
        served = windows[:, 0, 0, 0].astype(int)
        assert windows.shape == (13, 4, 3, 1) and (windows == windows[:, :1, :1]).all()
        assert sorted(served) == list(range(2, 28, 2))
        assert np.array_equal(labels[:, 0], y[served])
        assert np.array_equal(weights, np.where(y[served] == 1, 1.5, 0.75))
        batches.on_epoch_end()


# NNDb's 2,704 training windows of four folds are 135 batches of 20 and 4 windows more; Haxby's 88
# are 11 batches of 8.
@pytest.mark.parametrize(
    ("n_rows", "batch_size", "sizes"),
    [
        (2704, 20, {20, 21}),
        (88, 8, {8}),
        (89, 8, {8, 9}),
        (31, 8, {10, 11}),
        (48, 10, {8, 10}),
        (47, 10, {11, 12}),
        (257, 32, {32, 33}),
    ],  # fmt: skip
)
@pytest.mark.parametrize("seed", [None, 7])
def test_no_batch_is_too_small_for_batch_normalisation_and_every_row_is_served(
    n_rows, batch_size, sizes, seed
):
    X, y = np.arange(n_rows, dtype=np.float32)[:, None, None], np.zeros(n_rows, np.int8)
    batches = WindowBatches(X, y, np.arange(n_rows), batch_size, {0: 1, 1: 1}, seed=seed)
    for epoch in order(batches):
        assert {len(batch) for batch in epoch} == sizes
        assert sorted(sum(epoch, [])) == list(range(n_rows))


def test_fewer_windows_than_a_batch_are_a_batch():
    batches = WindowBatches(
        np.zeros((5, 1, 1), np.float32), np.zeros(5), np.arange(5), 8, {0: 1, 1: 1}
    )
    assert len(batches) == 1 and len(batches[0][0]) == 5


def order(batches, epochs=3):
    """Rows of each batch, over epochs."""
    seen = []
    for _ in range(epochs):
        seen.append([batches[i][0][:, 0, 0, 0].astype(int).tolist() for i in range(len(batches))])
        batches.on_epoch_end()
    return seen


def test_shuffling_is_seeded_and_new_in_every_epoch(stored):
    X, y = stored
    first, again, other = (
        order(WindowBatches(X, y, np.arange(30), 4, {0: 1, 1: 1}, seed=seed)) for seed in (3, 3, 4)
    )
    assert first == again and first != other
    assert first[0] != first[1] != first[2]


def test_without_a_seed_rows_keep_their_order(stored):
    X, y = stored
    epochs = order(WindowBatches(X, y, np.arange(30), 30, {0: 1, 1: 1}))
    assert epochs == [[list(range(30))]] * 3


def test_shuffling_leaves_the_callers_rows_alone(stored):
    X, y = stored
    rows = np.arange(30)
    WindowBatches(X, y, rows, 4, {0: 1, 1: 1}, seed=3).on_epoch_end()
    assert np.array_equal(rows, np.arange(30))


def test_training_on_batches_learns(stored, network):
    X = np.random.default_rng(0).standard_normal((60, VOXELS, TRS)).astype(np.float32)
    y = (np.arange(60) % 2).astype(np.int8)
    X[y == 1, :20] += 1.5
    keras.utils.set_random_seed(1)  # initial weights, whatever tests ran before
    model = keras.models.clone_model(network)
    model.compile(keras.optimizers.Adam(0.01), loss="binary_crossentropy", jit_compile=False)
    model.fit(WindowBatches(X, y, np.arange(60), 10, {0: 1, 1: 1}, seed=1), epochs=16, verbose=0)
    said = predict_logits(logit_network(model), X, 20) > 0
    assert (said == (y == 1)).mean() > 0.9
