"""The other architectures: what they see, what they cost, and that the rest of the pipeline can rely on them."""

import subprocess
import sys

from neuroface import NeuroFaceError
from neuroface.attribution.integrated_gradients import IntegratedGradients
from neuroface.decoding import architectures
from neuroface.decoding.architectures import ARCHITECTURES, DEFAULT, build, builder
from neuroface.decoding.folds import Fold
from neuroface.decoding.model_cost import multiply_adds, step_bytes
from neuroface.decoding.network import (
    classifier,
    load_network,
    logit_network,
    predict_logits,
    save_network,
    window_input,
)
from neuroface.decoding.training import train_network
from neuroface.pipeline.backend import keras

import numpy as np
import pytest
from conftest import FULL, ROOT

TRS = 6
OPTIONS = {
    "cnn3d": {"filters": (2, 3, 4), "dense_units": 5},
    "transformer": {"width": 8, "heads": 2, "depth": 2, "feed_forward": 12},
    "hybrid": {"filters": (2, 3, 4), "width": 8, "heads": 2, "depth": 1, "feed_forward": 12},
}
MASK = np.zeros((12, 14, 11), dtype=bool)
MASK[1:11, 1:13, 1:10] = np.random.default_rng(0).random((10, 12, 9)) < 0.4
MASK[1, 1, 1] = MASK[10, 12, 9] = True
VOXELS = int(MASK.sum())


@pytest.fixture(scope="module", params=OPTIONS)
def network(request):
    """A network with its weights off their initial zeros and ones."""
    keras.utils.set_random_seed(1)
    model = build(request.param, MASK, TRS, OPTIONS[request.param])
    rng = np.random.default_rng(0)
    model.set_weights([w + 0.1 * rng.random(w.shape) for w in model.get_weights()])
    model.architecture = request.param
    return model


@pytest.fixture(scope="module")
def windows():
    return np.random.default_rng(2).standard_normal((5, VOXELS, TRS)).astype(np.float32)


def logits(model, windows):
    return predict_logits(logit_network(model), windows, 5)


# ---------------------------------------------------------------- what scripts 3, 4 and 8 rely on


def test_the_probability_is_the_sigmoid_of_the_logit(network, windows):
    logit = logits(network, windows)
    assert logit.std() > 1e-3
    probability = network.predict_on_batch(windows[..., None])[:, 0]
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-logit)), rtol=1e-5)


def test_a_stored_network_comes_back_without_running_its_code(network, windows, tmp_path):
    first, second = tmp_path / "fold-1.keras", tmp_path / "fold-2.keras"
    save_network(first, network)
    loaded = load_network(first, VOXELS, TRS)
    np.testing.assert_allclose(logits(loaded, windows), logits(network, windows), atol=1e-6)
    save_network(second, network)
    assert first.read_bytes() == second.read_bytes()


def test_attributions_sum_to_the_change_of_the_logit(network, windows):
    baselines = np.zeros_like(windows[:3])
    gains = logits(network, windows)[:3] - logits(network, baselines)
    gaps = [
        np.abs(
            IntegratedGradients(network, "midpoint", n, 64)(windows[:3], baselines, gains)[0].sum(
                axis=(1, 2)
            )
            - gains
        )
        for n in (8, 256)
    ]
    assert gaps[1].max() < 0.02 * np.abs(gains).min() and gaps[1].max() < 0.1 * gaps[0].max()


@pytest.mark.parametrize("name", OPTIONS)
def test_mixed_precision_stops_before_the_logit(name):
    model = build(name, MASK, TRS, OPTIONS[name], dtype="mixed_bfloat16")
    inner = next(layer for layer in model.layers if hasattr(layer, "kernel"))
    assert inner.compute_dtype == "bfloat16"
    assert model.get_layer("logit").output.dtype == model.output.dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"


# ---------------------------------------------------------------- what they see


def test_only_the_3d_cnn_is_blind_to_the_order_of_volumes(network, windows):
    change = np.abs(logits(network, windows[:, :, ::-1]) - logits(network, windows)).max()
    assert (change < 1e-4) == (network.architecture == "cnn3d")


def test_only_the_transformer_is_blind_to_the_places_of_voxels(network, windows):
    """Voxels that swap places take their weights in the embedding along; a convolution has none that could follow."""
    order = np.random.default_rng(3).permutation(VOXELS)
    model = keras.models.clone_model(network)
    model.set_weights(network.get_weights())
    embedding = model.get_layer("dense" if network.architecture == "cnn3d" else "embedding")
    kernel, bias = embedding.get_weights()
    if len(kernel) == VOXELS:
        embedding.set_weights([kernel[order], bias])
    change = np.abs(logits(model, windows[:, order]) - logits(network, windows)).max()
    assert (change < 1e-4) == (network.architecture == "transformer")


TRAIN = """
import numpy as np
from neuroface.decoding.architectures import builder
from neuroface.decoding.folds import Fold
from neuroface.decoding.training import train_network

X, rows = np.random.default_rng(0).standard_normal((48, 50, 8)).astype(np.float32), np.arange(48)
build = builder("cnn3d", np.ones((5, 5, 2), bool), 8, {"cnn3d": {"filters": (3, 3, 3)}})
fold = Fold(1, rows[:40], rows[40:], rows[40:], "window")
train_network(X, rows % 2, fold, build, epochs=3, batch_size=8, learning_rates=(1e-3,), precision="float32", seed=0)
"""


@pytest.mark.skipif(not FULL, reason="a process of its own: make test-full")
def test_a_mask_five_voxels_wide_can_be_trained_on():
    done = subprocess.run([sys.executable, "-c", TRAIN], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------- what they cost


def by_hand(name: str) -> int:
    """Multiply-adds of OPTIONS: box 10 × 12 × 9, halved to 5 × 6 × 5, 3 × 3 × 3 and 2 × 2 × 2."""
    convolutions = TRS * (150 * 7**3 * 1 * 2 + 27 * 5**3 * 2 * 3 + 8 * 3**3 * 3 * 4)
    encoder = (
        4 * TRS * 8 * 8 + 2 * TRS * TRS * 8 + 2 * TRS * 8 * 12
    )  # projections, scores and sums, feed-forward
    return {
        "cnn3d": convolutions + TRS * 8 * 4 * 5 + 5,
        "transformer": TRS * VOXELS * 8 + 2 * encoder + 8,
        "hybrid": convolutions
        + TRS * (4 * 8 * 4 * 4 + 2 * 8 * 8 * 4)  # attention between 8 places of width 4
        + TRS * 8 * 4 * 8
        + encoder
        + 8 * 8
        + 8,
    }[name]


def test_multiply_adds_are_those_counted_by_hand(network):
    assert multiply_adds(network) == by_hand(network.architecture)


@pytest.mark.parametrize(
    ("n_voxels", "trs", "filters", "dense"), [(50, 10, (4, 3, 2), 5), (37, 7, (2, 5, 3), 4)]
)
def test_multiply_adds_of_the_papers_network(n_voxels, trs, filters, dense):
    model = build(
        DEFAULT, np.ones((n_voxels, 1, 1), bool), trs, {"filters": filters, "dense_units": dense}
    )
    a, b, c = filters
    rows, columns = (n_voxels // 2, n_voxels // 4, n_voxels // 8), (trs, trs // 2, trs // 4)
    expected = (
        n_voxels * trs * 15 * a
        + rows[0] * columns[0] * 15 * a * b
        + rows[1] * columns[1] * 9 * b * c
    )
    assert multiply_adds(model) == expected + rows[2] * columns[2] * c * dense + dense


def test_the_papers_network_at_full_size():
    mask = np.ones((41_489, 1, 1), bool)
    model = builder(DEFAULT, mask, 10, {DEFAULT: {"filters": (64, 32, 32), "dense_units": 128}})()
    assert model.count_params() == 42_526_017
    assert multiply_adds(model) == pytest.approx(7.29e9, rel=1e-3)
    assert step_bytes(model, 2) - step_bytes(model, 1) == pytest.approx(
        30 * 41_489 * 10 * (64 + 16 + 4), rel=1e-3
    )


# ---------------------------------------------------------------- adding one


def mean_over_time(
    n_voxels: int, window_trs: int, mask: np.ndarray, *, dropout: float = 0.5
) -> keras.Model:
    """Logistic regression on each voxel's mean over the window; as in docs/architectures.md."""
    windows = window_input(n_voxels, window_trs)
    mean = keras.layers.Flatten()(keras.layers.AveragePooling2D((1, window_trs))(windows))
    return classifier(windows, keras.layers.Dropout(dropout)(mean))


def test_an_architecture_is_one_function_and_one_name(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "mean_over_time", f"{__name__}:mean_over_time")
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    X = rng.standard_normal((80, VOXELS, TRS)).astype(np.float32)
    X[:, :100] += y[:, None, None] - 0.5
    fold = Fold(1, np.arange(48), np.arange(48, 64), np.arange(64, 80), "window")
    model, history, cost, _ = train_network(
        X, y, fold, builder("mean_over_time", MASK, TRS, {"mean_over_time": {"dropout": 0.2}}), epochs=8,
        batch_size=8, learning_rates=(0.05,), precision="float32", seed=0,
    )  # fmt: skip
    assert cost["parameters"] == VOXELS + 1 and cost["multiply_adds"] == VOXELS
    right = (logits(model, X[fold.test]) > 0) == y[fold.test]
    assert right.mean() > 0.9 and len(history) == 8


def test_what_cannot_be_built_is_said_in_one_line():
    with pytest.raises(
        NeuroFaceError,
        match=r"transformer has no option 'widht' \(did you mean width\?\).*feed_forward",
    ):
        build("transformer", MASK, TRS, {"widht": 8})
    with pytest.raises(NeuroFaceError, match="MODEL_OPTIONS: cnn3d cannot be built with .*filters"):
        build("cnn3d", MASK, TRS, {"filters": (4, 4)})
    assert keras.config.dtype_policy().name == "float32"


def test_every_name_is_a_function_of_the_same_form():
    for name in ARCHITECTURES:
        function = architectures._function(name)
        assert function.__name__ == name and function.__doc__
