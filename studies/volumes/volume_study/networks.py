"""Networks that classify single volumes, by name; and the view of one class that attribution methods explain.

Each takes volumes (n, n_voxels, 1, 1), voxels in C order of the group mask, and ends in a layer
``logit`` (n, n_classes) and a softmax. The second axis that windows have in the film study is one
volume long here, so that the shared parts and the attribution methods fit.
"""

from collections.abc import Callable
from pathlib import Path

from neuroface.decoding import (
    OVER_SPACE,
    DropConnectDense,
    ToVolumes,
    VolumeConv3D,
    bounding_box,
    build,
    build_with,
    classifier,
    convolved_volumes,
    encoded,
    load_network,
    window_input,
)
from neuroface.pipeline import keras
from volume_study.layers import DepthwiseConv3D, LogOdds, PlaceEmbedding, VolumePadding

import numpy as np

layers = keras.layers
BN = {"momentum": 0.9, "epsilon": 1e-5}  # those of the published networks' library
LEAK = 0.1


def build_classifier(
    name: str, mask: np.ndarray, n_classes: int, options: dict[str, object]
) -> keras.Model:
    """A new network of the named architecture.

    Parameters
    ----------
    mask : (x, y, z) bool, the group mask. options : the architecture's own sizes, from
    MODEL_OPTIONS.

    Raises
    ------
    NeuroFaceError
        If the architecture takes no such option, or cannot be built with it.
    """
    function, volumes = NETWORKS[name], window_input(int(mask.sum()), 1)

    def network() -> keras.Model:
        inputs, features = function(volumes, mask, **options)
        return classifier(inputs, features, n_classes)

    return build_with(name, function, options, network)


def load_classifier(path: Path, n_voxels: int) -> keras.Model:
    """A fold model that takes volumes of ``n_voxels``.

    Scripts load networks through this module, because Keras finds only layers that were imported:
    workers have no others.

    Raises
    ------
    NeuroFaceError
        If the file is not there or damaged, or takes another number of voxels.
    """
    return load_network(path, n_voxels, 1)


def view_of_class(model: keras.Model, number: int) -> keras.Model:
    """The network as a decision for or against one class: log-odds in its layer ``logit`` (n, 1), then a sigmoid.

    The sigmoid of log p / (1 − p) is the softmax probability p of that class, so attributions of
    this logit explain it.
    """
    classes = model.get_layer("logit")
    copy = layers.Dense(classes.units, name="logit_of_each_class", dtype="float32")
    log_odds = LogOdds(number, name="logit")(copy(classes.input))
    copy.set_weights(classes.get_weights())
    return keras.Model(model.input, layers.Activation("sigmoid", name="probability")(log_odds))


# ---------------------------------------------------------------- emotions in a film


def separable_cnn3d(
    volumes,
    mask: np.ndarray,
    *,
    stem: int = 32,
    filters: tuple[int, ...] = (64, 128, 256, 256),
    expansion: int = 2,
    dropout: float = 0.3,
):
    """Convolution, then inverted blocks of depthwise-separable convolutions, each of which halves the volume.

    A block: a pointwise convolution to ``expansion`` times its channels and a depthwise one of 3³
    with stride 2, both with ReLU6, then a pointwise projection without (Sandler et al. 2018, CVPR).
    By default and with five classes it has 424,549 trainable parameters, as published.
    """
    x = ToVolumes(bounding_box(mask), name="volumes")(volumes)
    x = _relu6(
        VolumeConv3D(
            stem, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name="stem"
        )(x)
    )
    for number, n_filters in enumerate(filters, 1):
        pointwise = {"use_bias": False, "kernel_initializer": "he_normal"}
        x = _relu6(
            VolumeConv3D(expansion * x.shape[-1], 1, name=f"expand_{number}", **pointwise)(x)
        )
        x = _relu6(DepthwiseConv3D(3, stride=2, name=f"depthwise_{number}")(x))
        x = layers.BatchNormalization(**BN)(
            VolumeConv3D(n_filters, 1, name=f"project_{number}", **pointwise)(x)
        )
    x = layers.Reshape((-1, x.shape[-1]))(x)
    return volumes, layers.Dropout(dropout)(layers.GlobalAveragePooling1D(name="pool")(x))


def _relu6(x):
    return layers.ReLU(max_value=6.0)(layers.BatchNormalization(**BN)(x))


# ---------------------------------------------------------------- parts of the body that move


def hybrid(
    volumes,
    mask: np.ndarray,
    *,
    filters: tuple[int, int, int] = (16, 32, 64),
    width: int = 128,
    heads: int = 8,
    depth: int = 6,
    feed_forward: int = 2048,
    dropout: float = 0.25,
    drop_connect: float = 0.17,
    reference: bool = False,
):
    """A 3D-CNN whose places are the tokens of a Transformer encoder.

    In the released network the encoder sees one token per volume, so that it cannot attend to
    anything. ``reference`` builds that one, with fixed sizes and volumes zero-padded to 100³:
    70,361,445 parameters with four classes.
    """
    if reference:
        released = build("hybrid", mask, 1, {"reference": True})
        return released.input, released.get_layer("logit").input
    maps = convolved_volumes(volumes, mask, filters)
    tokens = layers.Dense(width, name="embedding")(layers.Reshape((1, -1, filters[-1]))(maps))
    places = PlaceEmbedding(name="places")
    x = encoded(tokens, places, heads, depth, feed_forward, dropout, OVER_SPACE)
    return volumes, decided(layers.Reshape((-1, width))(x), width, drop_connect)


def cnn_only(
    volumes,
    mask: np.ndarray,
    *,
    filters: tuple[int, int, int] = (16, 32, 64),
    width: int = 128,
    dropout: float = 0.25,
    drop_connect: float = 0.17,
):
    """The hybrid without its Transformer: the same 3D-CNN, its places averaged."""
    maps = convolved_volumes(volumes, mask, filters)
    tokens = layers.Dense(width, name="embedding")(layers.Reshape((-1, filters[-1]))(maps))
    return volumes, decided(layers.Dropout(dropout)(tokens), width, drop_connect)


def transformer_only(
    volumes,
    mask: np.ndarray,
    *,
    patch: int = 8,
    width: int = 128,
    heads: int = 8,
    depth: int = 6,
    feed_forward: int = 2048,
    dropout: float = 0.25,
    drop_connect: float = 0.17,
):
    """The hybrid without its 3D-CNN: tokens are cubes of ``patch`` voxels, embedded linearly (Dosovitskiy et al. 2021)."""
    x = ToVolumes(bounding_box(mask), name="volumes")(volumes)
    maps = VolumeConv3D(width, patch, strides=patch, padding="same", name="embedding")(x)
    tokens, places = layers.Reshape((1, -1, width))(maps), PlaceEmbedding(name="places")
    x = encoded(tokens, places, heads, depth, feed_forward, dropout, OVER_SPACE)
    return volumes, decided(layers.Reshape((-1, width))(x), width, drop_connect)


def decided(tokens, width: int, drop_connect: float):
    """Mean over tokens (n, n_places, width), then a dense layer with dropout on its weights."""
    x = layers.GlobalAveragePooling1D(name="pool")(tokens)
    x = DropConnectDense(width, drop_connect, kernel_initializer="he_normal", name="dense")(x)
    return layers.LeakyReLU(negative_slope=LEAK)(x)


def deepbrain(
    volumes,
    mask: np.ndarray,
    *,
    stem: int = 32,
    filters: tuple[int, int, int, int] = (64, 64, 128, 64),
    units: int = 64,
):
    """The residual network that the hybrid was compared with (after Wang et al. 2020, Hum. Brain Mapp. 41:1505).

    Two convolutions of 7³ with stride 2, four stages of two residual blocks, the last three of
    which halve the volume, one convolution over all that is left. At 100³ with four classes 463.7 G
    multiply-adds for 32 volumes, as published.
    """
    x = ToVolumes(bounding_box(mask), name="volumes")(volumes)
    for number in (1, 2):
        x = _convolved(x, stem, 7, 2, f"pre_convolution_{number}", epsilon=1e-3)
    for stage, n_filters in enumerate(filters, 1):
        x = _residual(x, n_filters, 1 if stage == 1 else 2, f"stage_{stage}_block_1")
        x = _residual(x, n_filters, 1, f"stage_{stage}_block_2")
    x = VolumeConv3D(
        units, x.shape[2:5], kernel_initializer="glorot_uniform", name="post_convolution"
    )(x)
    x = layers.Dense(units, activation="relu", name="dense")(layers.Reshape((units,))(x))
    return volumes, layers.Dropout(0.5)(x)


def _convolved(
    x,
    n_filters: int,
    kernel: int,
    stride: int,
    name: str,
    activation: str | None = "relu",
    epsilon=1e-5,
):
    """Convolution with a margin of zeros of half its kernel on every side, batch normalisation, activation."""
    margin = kernel // 2
    x = VolumePadding(margin)(x) if margin else x
    x = VolumeConv3D(
        n_filters, kernel, strides=stride, kernel_initializer="glorot_uniform", name=name
    )(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=epsilon)(x)
    return layers.Activation(activation)(x) if activation else x


def _residual(x, n_filters: int, stride: int, name: str):
    y = _convolved(x, n_filters, 3, stride, f"{name}_1")
    y = _convolved(y, n_filters, 3, 1, f"{name}_2", activation=None)
    if stride != 1 or x.shape[-1] != n_filters:
        x = _convolved(x, n_filters, 1, stride, f"{name}_shortcut", activation=None)
    return layers.ReLU()(x + y)


NETWORKS: dict[str, Callable] = {
    "separable_cnn3d": separable_cnn3d,
    "hybrid": hybrid,
    "deepbrain": deepbrain,
    "cnn_only": cnn_only,
    "transformer_only": transformer_only,
}
