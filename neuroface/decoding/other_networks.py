"""Other architectures for the same windows: a 3D-CNN, a Transformer over time, and a hybrid of both.

Each is a function of the shape of a window, the group mask and its own sizes, registered by name in
:mod:`neuroface.decoding.architectures`. The default sizes are for NNDb (41,489 voxels of 3 mm).
"""

from neuroface.decoding import published_hybrid
from neuroface.decoding.layers import (
    DropConnectDense,
    TimeStamps,
    ToVolumes,
    VolumeConv3D,
    bounding_box,
)
from neuroface.decoding.network import LEAK, classifier, window_input
from neuroface.pipeline import keras

import numpy as np

layers = keras.layers
KERNELS = (
    7,
    5,
    3,
)  # edge in voxels of the three cubic kernels; each convolution halves the sides of the volume
# Variance added in instance normalisation, in units of the variance of a z-scored voxel. With the
# usual 0.001 a volume near 0 would be scaled up to full size, and a path from a zero baseline would
# change the logit only in its first thousandth.
INSTANCE_EPSILON = 1.0
# Axes of tokens (n, window_trs, width) and (n, 1, n_places, width) that attention acts over.
OVER_TIME, OVER_SPACE = ("time", 1), ("space", 2)


# ---------------------------------------------------------------- 3D-CNN


def cnn3d(
    n_voxels: int,
    window_trs: int,
    mask: np.ndarray,
    *,
    filters: tuple[int, int, int] = (16, 32, 64),
    dense_units: int = 128,
    dropout: float = 0.4,
) -> keras.Model:
    """A 3D-CNN of each volume, averaged over time. It uses positions in space, but not the order of volumes."""
    windows = window_input(n_voxels, window_trs)
    x = convolved_volumes(windows, mask, filters)
    x = layers.Dropout(dropout)(layers.Reshape((window_trs, -1))(x))
    x = layers.Dense(dense_units, kernel_initializer="he_normal", name="dense")(x)
    x = layers.LeakyReLU(negative_slope=LEAK)(x)
    x = layers.GlobalAveragePooling1D(name="mean_over_time")(x)
    return classifier(windows, layers.Dropout(dropout)(x))


def convolved_volumes(windows, mask: np.ndarray, filters: tuple[int, int, int]):
    """(n, n_voxels, window_trs, 1) → feature maps (n, window_trs, x / 8, y / 8, z / 8, filters[-1]), sides rounded up."""
    x = ToVolumes(bounding_box(mask), name="volumes")(windows)
    # Instance normalisation: each volume minus its mean, divided by its SD.
    x = layers.LayerNormalization(
        axis=(2, 3, 4), center=False, scale=False, epsilon=INSTANCE_EPSILON
    )(x)
    for number, (n_filters, kernel) in enumerate(zip(filters, KERNELS, strict=True), 1):
        x = VolumeConv3D(
            n_filters,
            kernel,
            strides=2,
            padding="same",
            kernel_initializer="he_normal",
            name=f"conv_{number}",
        )(x)
        x = layers.LeakyReLU(negative_slope=LEAK)(layers.BatchNormalization()(x))
    return x


# ---------------------------------------------------------------- Transformer


def transformer(
    n_voxels: int,
    window_trs: int,
    mask: np.ndarray,
    *,
    width: int = 128,
    heads: int = 8,
    depth: int = 6,
    feed_forward: int = 2048,
    dropout: float = 0.25,
) -> keras.Model:
    """A Transformer encoder over time: a volume is a token, a linear embedding of voxels without their positions."""
    windows = window_input(n_voxels, window_trs)
    x = layers.Reshape((window_trs, n_voxels))(layers.Permute((2, 1, 3))(windows))
    x = layers.Dense(width, name="embedding")(x)
    x = encoded(x, TimeStamps(name="time_stamps"), heads, depth, feed_forward, dropout, OVER_TIME)
    return classifier(windows, layers.GlobalAveragePooling1D(name="mean_over_time")(x))


def encoded(
    tokens, positions, heads: int, depth: int, feed_forward: int, dropout: float, over: tuple[str, int]
):  # fmt: skip
    """Transformer encoder, normalised before each block (Xiong et al. 2020, ICML).

    Parameters
    ----------
    tokens : (n, …, width). positions : layer that adds the position of each token.
    over : name and number of the axis that attention acts over.
    """
    name, axis = over
    # Dropout is made before the layer of positions is built: both draw seeds, in this order.
    x = layers.Dropout(dropout)(positions(tokens))
    for number in range(1, depth + 1):
        x = x + attended(x, heads, dropout, (axis,), f"attention_over_{name}_{number}")
        hidden = layers.Dense(feed_forward, activation="gelu", name=f"feed_forward_{number}")(
            _normalised(x)
        )
        x = x + layers.Dropout(dropout)(
            layers.Dense(x.shape[-1], name=f"feed_back_{number}")(hidden)
        )
    return _normalised(x)


def attended(x, heads: int, dropout: float, axes: tuple[int, ...], name: str):
    """Layer normalisation, then multi-head self-attention over ``axes`` of x (n, …, width).

    The layer also returns its scores, for
    :class:`neuroface.attribution.heat_maps.AttentionRollout`.
    """
    normal = _normalised(x)
    size = max(1, x.shape[-1] // heads)
    attention = layers.MultiHeadAttention(
        heads, size, dropout=dropout, attention_axes=axes, name=name
    )
    mixed, _ = attention(normal, normal, return_attention_scores=True)
    return layers.Dropout(dropout)(mixed)


def _normalised(x):
    return layers.LayerNormalization(epsilon=1e-3)(x)


# ---------------------------------------------------------------- both


def hybrid(
    n_voxels: int,
    window_trs: int,
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
) -> keras.Model:
    """A 3D-CNN of each volume, self-attention over its places, then a Transformer encoder over time.

    It follows the description of the published hybrid: attention acts before places are pooled, a
    token is a volume, and DropConnect drops weights. ``reference`` builds the released network,
    with fixed sizes; see :mod:`neuroface.decoding.published_hybrid`.
    """
    if reference:
        return published_hybrid.reference(n_voxels, window_trs, mask)
    windows = window_input(n_voxels, window_trs)
    x = convolved_volumes(windows, mask, filters)
    x = layers.Reshape((window_trs, -1, filters[-1]))(x)
    x = x + attended(x, heads, dropout, (2,), "attention_over_space")
    x = layers.Dropout(dropout)(layers.Reshape((window_trs, -1))(x))
    x = layers.Dense(width, name="embedding")(x)
    x = encoded(x, TimeStamps(name="time_stamps"), heads, depth, feed_forward, dropout, OVER_TIME)
    x = layers.GlobalAveragePooling1D(name="mean_over_time")(x)
    x = DropConnectDense(width, drop_connect, kernel_initializer="he_normal", name="dense")(x)
    return classifier(windows, layers.LeakyReLU(negative_slope=LEAK)(x))
