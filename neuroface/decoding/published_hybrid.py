"""The released hybrid of a 3D-CNN and a Transformer, beside :func:`neuroface.decoding.other_networks.hybrid`.

Fahrier's thesis, "Advanced task-based fMRI classification using a hybrid 3D CNN and Transformer
model with attention mechanisms": volumes of 100³ voxels in four classes, 70,361,445 parameters,
261.57 G multiply-adds for 32 volumes. In the released code, places are pooled before attention, so
the attention map is 1 × 1 × 1; the Transformer sees one token; and "DropConnect" drops softmax
outputs. Descriptions do not state the kernel of the attention, 3³; the number of parameters shows
it.
"""

from neuroface.decoding.layers import ToVolumes, bounding_box, registered
from neuroface.decoding.network import classifier, window_input
from neuroface.pipeline import keras

import numpy as np

layers, ops = keras.layers, keras.ops
SIDE, WIDTH, HEADS, DEPTH, FEED_FORWARD, CLASSES = 100, 128, 8, 6, 2048, 4


def published_hybrid() -> keras.Model:
    """(n, 100, 100, 100, 1) → probabilities of four classes (n, 4)."""
    volumes = keras.Input((SIDE, SIDE, SIDE, 1), name="volume")
    x = layers.Dense(CLASSES, activation="softmax", name="classes")(_features(volumes))
    return keras.Model(volumes, layers.Dropout(0.17, name="drop_connect")(x))


def reference(n_voxels: int, window_trs: int, mask: np.ndarray) -> keras.Model:
    """The same for two conditions: a window's mean volume, zero-padded to 100³, → probability of the first condition."""
    windows = window_input(n_voxels, window_trs)
    x = ToVolumes(bounding_box(mask), name="volumes")(
        layers.AveragePooling2D((1, window_trs))(windows)
    )
    sides = x.shape[2:5]
    if max(sides) > SIDE:
        raise ValueError(f"the mask's box {sides} is larger than the published network's {SIDE}³")
    x = layers.ZeroPadding3D(
        [((SIDE - side) // 2, SIDE - side - (SIDE - side) // 2) for side in sides]
    )(layers.Reshape((*sides, 1))(x))
    return classifier(windows, _features(x))


def _features(volumes):
    """(n, 100, 100, 100, 1) → (n, 128), dropout included."""
    x = _instance_normalised(volumes)
    for number, (filters, kernel, stride) in enumerate(((32, 7, 2), (64, 7, 2), (WIDTH, 20, 1)), 1):
        x = layers.Conv3D(filters, kernel, strides=stride, name=f"conv_{number}")(x)
        x = layers.ReLU()(_instance_normalised(x))
    x = layers.GlobalAveragePooling3D(keepdims=True)(x)
    query, key = (
        layers.Conv3D(WIDTH // 8, 3, padding="same", name=name)(x) for name in ("query", "key")
    )
    value = layers.Conv3D(WIDTH, 3, padding="same", name="value")(x)
    x = PlaceAttention(name="attention_over_space")([x, query, key, value])
    x = layers.Reshape((1, WIDTH))(x)
    for number in range(1, DEPTH + 1):
        attention = layers.MultiHeadAttention(
            HEADS, WIDTH // HEADS, dropout=0.1, name=f"attention_over_time_{number}"
        )
        x = layers.LayerNormalization(epsilon=1e-5)(x + layers.Dropout(0.1)(attention(x, x)))
        hidden = layers.Dense(FEED_FORWARD, activation="relu", name=f"feed_forward_{number}")(x)
        hidden = layers.Dense(WIDTH, name=f"feed_back_{number}")(layers.Dropout(0.1)(hidden))
        x = layers.LayerNormalization(epsilon=1e-5)(x + layers.Dropout(0.1)(hidden))
    return layers.Dropout(0.25)(layers.Flatten()(x))


def _instance_normalised(x):
    return layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False, epsilon=1e-3)(x)


@registered
class PlaceAttention(keras.layers.Layer):
    """x + γ · (attention of each place to all), γ = 0 at first; of [x, query, key, value], (n, x, y, z, channels)."""

    def build(self, input_shape):
        self.gamma = self.add_weight(shape=(1,), initializer="zeros", name="gamma")

    def call(self, inputs):
        x, *projections = inputs
        n_places = int(np.prod(x.shape[1:4]))
        query, key, value = (
            ops.reshape(projection, (-1, n_places, projection.shape[-1]))
            for projection in projections
        )
        weights = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 2, 1))) / n_places**0.5)
        return x + self.gamma * ops.reshape(ops.matmul(weights, value), (-1, *x.shape[1:]))

    def compute_output_shape(self, input_shape):
        return input_shape[0]
