"""The voxel-by-time network of the paper: its layers, its logit, its files."""

import json
import zipfile
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.decoding.architectures import load_layers
from neuroface.decoding.keras_files import keras_file_errors, load_keras_file
from neuroface.pipeline import atomic, keras

import h5py
import numpy as np

# (kernel, pool, dropout) of the three convolutions: kernels span voxels in mask order × seconds.
BLOCKS = (((5, 3), (2, 1), 0.30), ((5, 3), (2, 2), 0.35), ((3, 3), (2, 2), 0.30))
DENSE_DROPOUT = 0.4
LEAK = 0.1
L2 = 0.001


def build_network(
    n_voxels: int,
    window_trs: int,
    filters: tuple[int, int, int] = (64, 32, 32),
    dense_units: int = 128,
    dtype: str = "float32",
) -> keras.Model:
    """The paper's network: (n, n_voxels, window_trs, 1) → probability of the first condition (n, 1).

    Three blocks of convolution, LeakyReLU, batch normalisation, max-pooling and dropout, then a
    dense layer. The layer named ``logit`` and the sigmoid after it use float32 for any ``dtype`` of
    the other layers ("mixed_float16" …). At 41,489 voxels it has 42,526,017 parameters.
    """

    def weights(**more):
        return {
            "kernel_initializer": "he_normal",
            "kernel_regularizer": keras.regularizers.L2(L2),
            "dtype": dtype,
        } | more

    inputs = x = window_input(n_voxels, window_trs)
    for number, (n_filters, (kernel, pool, dropout)) in enumerate(
        zip(filters, BLOCKS, strict=True), 1
    ):
        x = keras.layers.Conv2D(
            n_filters, kernel, padding="same", name=f"conv_{number}", **weights()
        )(x)
        x = keras.layers.LeakyReLU(negative_slope=LEAK, dtype=dtype)(x)
        x = keras.layers.BatchNormalization(dtype=dtype)(x)
        x = keras.layers.MaxPooling2D(pool, dtype=dtype)(x)
        x = keras.layers.Dropout(dropout, dtype=dtype)(x)
    x = keras.layers.Flatten(dtype=dtype)(x)
    x = keras.layers.Dense(dense_units, name="dense", **weights())(x)
    x = keras.layers.LeakyReLU(negative_slope=LEAK, dtype=dtype)(x)
    x = keras.layers.BatchNormalization(dtype=dtype)(x)
    x = keras.layers.Dropout(DENSE_DROPOUT, dtype=dtype)(x)
    x = keras.layers.Dense(1, name="logit", **weights(dtype="float32"))(x)
    return keras.Model(
        inputs, keras.layers.Activation("sigmoid", name="probability", dtype="float32")(x)
    )


def voxel_time_cnn(
    n_voxels: int,
    window_trs: int,
    mask: np.ndarray,
    *,
    filters: tuple[int, int, int] = (64, 32, 32),
    dense_units: int = 128,
) -> keras.Model:
    """:func:`build_network` with the arguments of the other architectures; it does not use the positions of voxels."""
    return build_network(
        n_voxels, window_trs, filters, dense_units, keras.config.dtype_policy().name
    )


def window_input(n_voxels: int, window_trs: int):
    """Input of every architecture: (n, n_voxels, window_trs, 1)."""
    return keras.Input((n_voxels, window_trs, 1), name="window")


def classifier(windows, features, n_logits: int = 1) -> keras.Model:
    """Last layers of every architecture: features (n, n_features) → ``logit`` → ``probability``, (n, n_logits) each.

    Parameters
    ----------
    n_logits : 1: of the first of two conditions, with a sigmoid; more: one per class, with a softmax.
    """
    logit = keras.layers.Dense(n_logits, name="logit", dtype="float32")(features)
    activation = "sigmoid" if n_logits == 1 else "softmax"
    probability = keras.layers.Activation(activation, name="probability", dtype="float32")(logit)
    return keras.Model(windows, probability)


def save_network(path: Path, network: keras.Model) -> None:
    """Write a ``.keras`` file, completely or not at all; the same network gives the same bytes at any time."""
    with atomic(path) as partial:
        network.save(partial)
        with zipfile.ZipFile(partial) as dated:
            parts = {name: dated.read(name) for name in dated.namelist()}
        parts["metadata.json"] = json.dumps(
            json.loads(parts["metadata.json"]) | {"date_saved": None}
        ).encode()
        with zipfile.ZipFile(partial, "w") as undated:
            for name, content in parts.items():
                undated.writestr(zipfile.ZipInfo(name), content)  # every part is dated 1980


def load_network(path: Path, n_voxels: int, window_trs: int) -> keras.Model:
    """Load a fold model; raise unless it takes windows of (n_voxels, window_trs)."""
    if not Path(path).is_file():
        raise NeuroFaceError(f"{path} is not there. Run the script that trains it.")
    load_layers()
    with keras_file_errors(path):
        model = load_keras_file(path)
        logit_network(model)
        takes = tuple(model.input_shape[1:3])
    if takes != (n_voxels, window_trs):
        raise NeuroFaceError(
            f"{path} takes windows of {takes}; the data have {(n_voxels, window_trs)}. Delete it and train again."
        )
    return model


def load_released_weights(
    path: Path,
    n_voxels: int,
    window_trs: int,
    filters: tuple[int, int, int] = (64, 32, 32),
    dense_units: int = 128,
) -> keras.Model:
    """The network with the weights of an ``.h5`` file that the paper's released code saved.

    Only arrays are read from the file (Keras 2: a whole model, or weights alone), matched by the
    order of the layers, not by their names. To explain windows or predict runs with it, save it as
    a fold model: ``load_released_weights(path, 41489, 10).save(model_file(folder, split, fold))``.

    Parameters
    ----------
    n_voxels, window_trs, filters, dense_units : the network's shape when it was trained, as in
    :func:`build_network`.

    Returns
    -------
    (n, n_voxels, window_trs, 1) → probability of the first condition (n, 1), float32.

    Raises
    ------
    NeuroFaceError
        If the file does not hold such weights, or their number or shapes differ from the network's.
    """
    network = build_network(n_voxels, window_trs, filters, dense_units)
    layers = [layer for layer in network.layers if layer.weights]
    try:
        with h5py.File(path) as file:
            root = file.get("model_weights", file)
            groups = [root[name] for name in root.attrs["layer_names"]]
            stored = {
                group.name: [np.array(group[name]) for name in group.attrs["weight_names"]]
                for group in groups
            }
    except (OSError, KeyError) as error:
        raise NeuroFaceError(
            f"{path} does not hold weights as Keras 2 saves them in HDF5 ({error})."
        ) from None
    stored = {name: arrays for name, arrays in stored.items() if arrays}
    if len(stored) != len(layers):
        raise NeuroFaceError(
            f"{path} holds {len(stored)} layers with weights; the network has {len(layers)}."
        )
    for layer, (name, arrays) in zip(layers, stored.items()):
        shapes, expected = ([tuple(a.shape) for a in side] for side in (arrays, layer.weights))
        if shapes != expected:
            raise NeuroFaceError(
                f"{path}: {name} ({layer.name} here) has shapes {shapes}; expected {expected}."
            )
        layer.set_weights(arrays)
    return network


def logit_network(model: keras.Model) -> keras.Model:
    """The same network up to the pre-sigmoid logit: (n, n_voxels, window_trs, 1) → (n, 1)."""
    return keras.Model(model.input, model.get_layer("logit").output)


def predict_logits(
    logit_model: keras.Model,
    windows: np.ndarray,
    batch: int,
    rows: np.ndarray | None = None,
    voxel_order=None,
) -> np.ndarray:
    """Logits (n,) float64 of windows (n, n_voxels, window_trs), ``batch`` at a time; the last batch is padded.

    If ``windows`` is a memory map, only one batch is in memory.

    Parameters
    ----------
    rows : row numbers in ``windows``; None: all. voxel_order : (n_voxels,) a permutation of the voxels; None:
    unchanged.
    """
    rows = np.arange(len(windows)) if rows is None else rows
    logits = np.empty(len(rows))
    padded = np.zeros((batch, *windows.shape[1:], 1), dtype=np.float32)
    for start in range(0, len(rows), batch):
        batch_windows = windows[rows[start : start + batch]]
        padded[: len(batch_windows), ..., 0] = (
            batch_windows if voxel_order is None else batch_windows[:, voxel_order]
        )
        logits[start : start + len(batch_windows)] = np.asarray(
            logit_model.predict_on_batch(padded)
        )[: len(batch_windows), 0]
    return logits
