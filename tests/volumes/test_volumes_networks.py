"""Networks of volumes: published counts, layers against independent computations, the view of one class, attributions."""

from pathlib import Path
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.decoding import Fold
from neuroface.decoding.fast import compiled
from neuroface.decoding.model_cost import multiply_adds
from neuroface.decoding.network import save_network
from neuroface.pipeline.backend import keras
from volume_study.explaining import VolumeExplainer, choose_volumes
from volume_study.layers import DepthwiseConv3D
from volume_study.names import MODELS
from volume_study.networks import NETWORKS, build_classifier, load_classifier, view_of_class
from volume_study.training import VolumeBatches, train_classifier

import numpy as np
import pytest
from scipy.ndimage import correlate

SMALL = {
    "separable_cnn3d": {"stem": 4, "filters": (6, 8)},
    "hybrid": {"filters": (4, 4, 8), "width": 8, "heads": 2, "depth": 2, "feed_forward": 8},
    "deepbrain": {"stem": 4, "filters": (4, 4, 8, 4), "units": 8},
    "cnn_only": {"filters": (4, 4, 8), "width": 8},
    "transformer_only": {"patch": 4, "width": 8, "heads": 2, "depth": 2, "feed_forward": 8},
}


def outputs(model, X: np.ndarray) -> np.ndarray:
    """Of volumes (n, n_voxels), in float64, without compiling anything."""
    return np.asarray(model(X[..., None, None]), dtype=float)


def trainable(model) -> int:
    return sum(int(np.prod(w.shape)) for w in model.trainable_weights)


@pytest.fixture(scope="module")
def mask():
    box = np.zeros((11, 12, 9), bool)
    box[1:10, 1:11, 1:8] = np.random.default_rng(0).random((9, 10, 7)) < 0.9
    box[1, 1, 1] = box[9, 10, 7] = True
    return box


@pytest.fixture(scope="module")
def volumes(mask):
    return np.random.default_rng(1).standard_normal((6, mask.sum())).astype(np.float32)


# ---------------------------------------------------------------- training


def test_a_fold_that_reuses_the_compiled_network_gets_the_weights_of_a_new_one(mask):
    """The compiled network of the last training keeps nothing of it: weights, AdamW, step size, dropout."""
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((48, mask.sum())).astype(np.float32), np.arange(48) % 3
    folds = [Fold(k, *np.split(rng.permutation(48), (24, 36)), "block") for k in (1, 2)]

    def weights_of(fold: Fold) -> list[np.ndarray]:
        network, history, _ = train_classifier(
            X, y, fold, lambda: build_classifier("hybrid", mask, 3, SMALL["hybrid"]), epochs=3, patience=3, batch_size=12,
            learning_rate=0.01, weight_decay=0.01, inference_batch=12, seed=fold.number,
        )  # fmt: skip
        assert len(history) == 3
        return network.get_weights()

    compiled.forget_compiled()
    alone = weights_of(folds[0])
    (kept,) = compiled._LAST.values()
    between = weights_of(folds[1])
    again = weights_of(folds[0])
    assert list(compiled._LAST.values()) == [kept]
    assert any((mine != theirs).any() for mine, theirs in zip(between, alone))
    for mine, theirs in zip(again, alone, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_both_classes_have_the_same_weight_in_the_loss_however_many_volumes_they_have():
    """Three times as many volumes of class 0; a network that gives it a probability of 0.9 and does not learn."""

    def build():
        windows = keras.Input((2, 1, 1))
        probability = keras.layers.Dense(2, activation="softmax", kernel_initializer="zeros")
        network = keras.Model(windows, probability(keras.layers.Flatten()(windows)))
        probability.bias.assign(np.log([0.9, 0.1]))
        return network

    X, y = np.ones((40, 2), np.float32), (np.arange(40) % 4 == 0).astype(int)
    fold = Fold(1, np.arange(32), np.arange(32, 36), np.arange(36, 40), "block")
    _, history, _ = train_classifier(
        X, y, fold, build, epochs=1, patience=1, batch_size=32, learning_rate=1e-9, weight_decay=0.0, inference_batch=4,
        seed=1,
    )  # fmt: skip
    assert history["loss"][0] == pytest.approx(-(np.log(0.9) + np.log(0.1)) / 2)


# ---------------------------------------------------------------- batches


@pytest.mark.parametrize(("n_volumes", "sizes"), [(33, [33]), (67, [33, 34]), (72, [32, 32, 8])])
def test_every_volume_is_in_one_batch_of_an_epoch_and_no_batch_is_small(n_volumes, sizes):
    X, rows = np.arange(100.0)[:, None], 100 - n_volumes + np.arange(n_volumes)
    y, weights = np.arange(100) % 2, np.array([1.0, 3.0], np.float32)
    batches, orders = VolumeBatches(X, y, rows, 32, weights, seed=1), []
    for _ in range(2):
        read = [batches[number] for number in range(len(batches))]
        assert [len(volumes) for volumes, _, _ in read] == sizes
        orders.append(np.concatenate([volumes[:, 0, 0, 0] for volumes, _, _ in read]))
        assert sorted(orders[-1]) == rows.tolist()
        for volumes, labels, weight in read:
            assert (labels == volumes[:, 0, 0, 0] % 2).all() and (weight == 1 + 2 * labels).all()
        batches.on_epoch_end()
    assert n_volumes == 33 or not np.array_equal(*orders)


# ---------------------------------------------------------------- published counts


def test_the_separable_network_has_the_published_parameters():
    model = build_classifier("separable_cnn3d", np.ones((80, 80, 35), bool), 5, {})
    assert trainable(model) == 424_549
    # Counted by hand: stem, then per block its expansion before and its other two convolutions
    # after the volume is halved.
    places = [80 * 80 * 35, 40 * 40 * 18, 20 * 20 * 9, 10 * 10 * 5, 5 * 5 * 3]
    channels, total = [32, 64, 128, 256, 256], places[0] * 27 * 32
    for before, after, here, then in zip(channels, channels[1:], places, places[1:]):
        total += here * before * 2 * before + then * 27 * 2 * before + then * 2 * before * after
    assert multiply_adds(model) == total + 256 * 5


def test_the_released_hybrid_has_the_published_parameters_with_four_classes():
    model = build_classifier("hybrid", np.ones((60, 60, 60), bool), 4, {"reference": True})
    assert trainable(model) == model.count_params() == 70_361_445 and model.output_shape == (
        None,
        4,
    )


def test_deepbrain_has_the_published_operations():
    model = build_classifier("deepbrain", np.ones((100, 100, 100), bool), 4, {})
    assert round(32 * multiply_adds(model) / 1e9, 1) == 463.7
    assert model.get_layer("post_convolution").kernel.shape == (4, 4, 4, 64, 64)


def test_every_network_has_a_name_in_tables():
    assert set(MODELS) == set(NETWORKS)


# ---------------------------------------------------------------- layers


@pytest.mark.parametrize("stride", [1, 2])
def test_a_depthwise_convolution_is_a_correlation_per_channel(stride):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 1, 7, 6, 5, 3)).astype(np.float32)
    layer = DepthwiseConv3D(3, stride)
    found = np.asarray(layer(x))
    assert found.shape == layer.compute_output_shape(x.shape)
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1), (1, 1), (0, 0)])
    planes = np.asarray(layer._by_planes(padded[:, 0], layer.kernel))
    for n in range(2):
        for channel in range(3):
            kernel = np.asarray(layer.kernel)[..., channel]
            expected = correlate(x[n, 0, ..., channel], kernel, mode="constant")[
                ::stride, ::stride, ::stride
            ]
            np.testing.assert_allclose(found[n, 0, ..., channel], expected, atol=1e-5)
            np.testing.assert_allclose(planes[n, ..., channel], expected, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_stored_and_read_again(name, mask, volumes, tmp_path):
    model = build_classifier(name, mask, 3, SMALL[name])
    probability = outputs(model, volumes)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-5)
    save_network(tmp_path / "fold-1.keras", model)
    again = load_classifier(tmp_path / "fold-1.keras", volumes.shape[1])
    np.testing.assert_allclose(outputs(again, volumes), probability, atol=1e-6)


def test_an_option_that_is_not_there_is_one_line(mask):
    with pytest.raises(
        NeuroFaceError, match=r"separable_cnn3d has no option 'filter' \(did you mean filters\?\)"
    ):
        build_classifier("separable_cnn3d", mask, 3, {"filter": (4,)})
    with pytest.raises(NeuroFaceError, match="hybrid cannot be built with"):
        build_classifier("hybrid", mask, 3, {"filters": (4,)})


# ---------------------------------------------------------------- one class, explained


@pytest.fixture(scope="module")
def models(mask, tmp_path_factory):
    """A stored network of each kind that is explained, with weights that matter."""
    keras.utils.set_random_seed(3)
    files = {}
    for name in ("separable_cnn3d", "hybrid", "transformer_only"):
        model = build_classifier(name, mask, 3, SMALL[name])
        rng = np.random.default_rng(0)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
        files[name] = tmp_path_factory.mktemp("models") / f"{name}.keras"
        save_network(files[name], model)
    return files


def test_a_view_holds_the_log_odds_of_its_class(models, volumes):
    model = load_classifier(models["hybrid"], volumes.shape[1])
    probability = outputs(model, volumes)
    for number in range(3):
        view = view_of_class(model, number)
        np.testing.assert_allclose(outputs(view, volumes)[:, 0], probability[:, number], atol=1e-6)
        log_odds = keras.Model(view.input, view.get_layer("logit").output)
        expected = np.log(probability[:, number] / (1 - probability[:, number]))
        np.testing.assert_allclose(outputs(log_odds, volumes)[:, 0], expected, atol=1e-4)


def settings(**more):
    values = {
        "BOX_VOXELS": 2,
        "BOX_STRIDE": 2,
        "IG_RULE": "midpoint",
        "IG_STEPS": 64,
        "INFERENCE_BATCH": 16,
        "SEED": 1,
    }
    return SimpleNamespace(**values | more)


NO_WEIGHTS = Path("of/no/screened/ridge.npy")


def test_integrated_gradients_add_up_to_the_log_odds_of_any_class(models, volumes):
    """With one compiled explainer for all classes: which one is explained lies in a weight."""
    explain = VolumeExplainer(volumes, {1: models["separable_cnn3d"]}, {}, NO_WEIGHTS, settings())
    model = explain.network(1)
    maps, gaps = explain("ig", np.array([4, 1]), 1)
    for place, row in enumerate((4, 1)):
        p = outputs(model, np.stack([volumes[row], 0 * volumes[row]]))
        log_odds = np.log(p / (1 - p))
        np.testing.assert_allclose(maps[place].sum(axis=1), log_odds[0] - log_odds[1], atol=0.02)
    assert len(gaps) == 6 and gaps["gap"].max() < 0.02


@pytest.mark.parametrize("name", ["hybrid", "transformer_only"])
def test_attention_rollout_shares_one_volume_among_its_voxels(models, volumes, name):
    maps, _ = VolumeExplainer(volumes, {1: models[name]}, {}, NO_WEIGHTS, settings())(
        "attention-rollout", np.array([2]), 1
    )
    found = maps[0, 0]
    assert np.array_equal(maps[0, 2], found)  # attention does not know the class
    assert found.min() >= 0 and found.std() > 0 and found.sum() == pytest.approx(1, rel=1e-4)


def test_grad_cam_of_two_classes_is_opposite(models, volumes, mask):
    """With two classes the log-odds of one are minus those of the other."""
    model = build_classifier("separable_cnn3d", mask, 2, SMALL["separable_cnn3d"])
    explain = VolumeExplainer(volumes, {}, {}, NO_WEIGHTS, settings())
    explain._networks[1] = model
    one, other = explain("grad-cam", np.array([0]), 1)[0][0]
    assert one.std() > 0
    np.testing.assert_allclose(one, -other, atol=1e-5 * np.abs(one).max())


def test_the_map_of_screened_ridge_is_weight_times_value_of_its_fold(volumes, tmp_path):
    """Two folds, three labels; two volumes' maps differ in sum as their decision values do."""
    weights = np.random.default_rng(5).standard_normal((2, 3, volumes.shape[1]))
    np.save(tmp_path / "weights.npy", weights.astype(np.float32))
    explain = VolumeExplainer(volumes, {}, {}, tmp_path / "weights.npy", settings())
    maps, gaps = explain("screened-ridge", np.array([4, 1]), 2)
    assert maps.shape == (2, 3, volumes.shape[1]) and gaps.empty
    decision = volumes[[4, 1]].astype(float) @ weights[1].T
    np.testing.assert_allclose(maps.sum(axis=2), decision, atol=1e-3)
    np.testing.assert_allclose(maps[1, 2], weights[1, 2] * volumes[1], rtol=1e-4, atol=1e-6)


def test_weights_that_an_earlier_version_did_not_write_are_asked_for(volumes, tmp_path):
    file = tmp_path / "screened_ridge_block_weights.npy"
    with pytest.raises(NeuroFaceError, match="Run script 3 again: it fits screened ridge anew"):
        VolumeExplainer(volumes, {}, {}, file, settings())("screened-ridge", np.array([0]), 1)


def test_volumes_are_chosen_from_all_episodes_whether_the_network_is_right_or_not():
    import pandas as pd

    table = pd.DataFrame(
        {
            "subject": list("sssssttt"),
            "label": list("AAABBBBA"),
            "event": list("aabccccd"),
            "fold": 1,
        }
    )
    table["probability_A"] = [0.9, 0.8, 0.1, 0.2, 0.9, 0.1, 0.1, 0.76]
    table["probability_B"] = 1 - table["probability_A"]
    found = choose_volumes(table, ["A", "B"], 0.0, 1, seed=0)
    assert found[["subject", "event"]].apply(tuple, axis=1).tolist() == [
        ("s", "a"), ("s", "b"), ("s", "c"), ("t", "c"), ("t", "d")
    ]  # fmt: skip
    assert len(choose_volumes(table, ["A", "B"], 0.0, 9, seed=0)) == 8
    sure = choose_volumes(table, ["A", "B"], 0.75, 9, seed=0)  # as published
    assert sure["row"].tolist() == [0, 1, 3, 5, 6, 7] and (sure["probability"] >= 0.75).all()
