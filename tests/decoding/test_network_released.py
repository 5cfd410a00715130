"""Weights that the paper's released code saved in Keras 2 layout: same predictions, or an error that says where."""

from neuroface import NeuroFaceError
from neuroface.decoding.fold_files import model_file
from neuroface.decoding.network import load_network, load_released_weights
from neuroface.pipeline.backend import keras

import h5py
import numpy as np
import pytest

SHAPE = dict(n_voxels=24, window_trs=10, filters=(4, 3, 2), dense_units=5)


@pytest.fixture(scope="module")
def released():
    """The released network, written down once more: Sequential, its own layer names, sigmoid in the last layer."""
    layers = keras.layers
    model = keras.Sequential([keras.Input((24, 10, 1))])
    for n, kernel, pool, dropout in (
        (4, (5, 3), (2, 1), 0.3),
        (3, (5, 3), (2, 2), 0.35),
        (2, (3, 3), (2, 2), 0.3),
    ):
        model.add(layers.Conv2D(n, kernel, padding="same", name=f"eyes_{n}"))
        model.add(layers.LeakyReLU(negative_slope=0.1))
        model.add(layers.BatchNormalization(name=f"norm_of_{n}"))
        model.add(layers.MaxPooling2D(pool))
        model.add(layers.Dropout(dropout))
    model.add(layers.Flatten())
    model.add(layers.Dense(5, name="brow"))
    model.add(layers.LeakyReLU(negative_slope=0.1))
    model.add(layers.BatchNormalization(name="norm_of_brow"))
    model.add(layers.Dropout(0.4))
    model.add(layers.Dense(1, activation="sigmoid", name="face"))
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.uniform(-0.2, 0.2, w.shape) for w in model.get_weights()])
    return model


def write_keras_2(path, model, inside=None):
    """The layout that Keras 2 writes: names in attributes (bytes), arrays in a group per layer."""
    with h5py.File(path, "w") as file:
        root = file.create_group(inside) if inside else file
        root.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            names = [f"{layer.name}/{v.name}:0" for v in layer.weights]
            group = root.create_group(layer.name)
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, layer.get_weights()):
                group[name] = array
    return path


@pytest.mark.parametrize("inside", [None, "model_weights"], ids=["weights alone", "whole model"])
def test_a_released_file_gives_the_released_predictions(released, tmp_path, inside):
    windows = np.random.default_rng(1).standard_normal((6, 24, 10, 1)).astype(np.float32)
    loaded = load_released_weights(write_keras_2(tmp_path / "old.h5", released, inside), **SHAPE)
    expected = released.predict_on_batch(windows)
    assert 0.01 < expected.std()
    np.testing.assert_allclose(loaded.predict_on_batch(windows), expected, atol=1e-6)


def test_what_keras_itself_writes_as_h5_is_read_too(released, tmp_path):
    released.save(tmp_path / "old.h5")
    loaded = load_released_weights(tmp_path / "old.h5", **SHAPE)
    for mine, theirs in zip(loaded.get_weights(), released.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_loaded_network_serves_as_a_fold_model(released, tmp_path):
    target = model_file(tmp_path, "window", 1)
    target.parent.mkdir(parents=True)
    load_released_weights(write_keras_2(tmp_path / "old.h5", released), **SHAPE).save(target)
    assert load_network(target, 24, 10).count_params() == released.count_params()


def test_another_shape_is_refused_with_the_layer_and_both_shapes(released, tmp_path):
    path = write_keras_2(tmp_path / "old.h5", released)
    with pytest.raises(
        NeuroFaceError, match=r"/brow \(dense here\) has shapes \[\(12, 5\).*expected \[\(16, 5\)"
    ):
        load_released_weights(path, **SHAPE | {"n_voxels": 32})


def test_too_few_layers_are_counted(released, tmp_path):
    path = write_keras_2(tmp_path / "old.h5", keras.Sequential(released.layers[:-1]))
    with pytest.raises(NeuroFaceError, match="holds 8 layers with weights; the network has 9"):
        load_released_weights(path, **SHAPE)


def test_a_file_of_another_kind_is_refused(released, tmp_path):
    (tmp_path / "text.h5").write_text("no weights")
    released.save_weights(tmp_path / "new.weights.h5")
    for name in ("text.h5", "new.weights.h5", "missing.h5"):
        with pytest.raises(
            NeuroFaceError, match=f"{name} does not hold weights as Keras 2 saves them"
        ):
            load_released_weights(tmp_path / name, **SHAPE)
