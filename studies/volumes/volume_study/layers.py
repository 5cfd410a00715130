"""Layers that Keras lacks and only these networks need."""

from typing import Any

from neuroface.pipeline import HAS_GPU, keras

import numpy as np

ops = keras.ops
registered = keras.saving.register_keras_serializable(package="volume_study")


@registered
class VolumePadding(keras.layers.Layer):
    """A margin of zeros around each volume: (n, trs, x, y, z, channels) → (n, trs, x + 2m, y + 2m, z + 2m, channels)."""

    def __init__(self, margin: int, **options):
        super().__init__(**options)
        self.margin = margin

    def call(self, volumes):
        return ops.pad(volumes, [(0, 0), (0, 0), *[(self.margin, self.margin)] * 3, (0, 0)])

    def compute_output_shape(self, shape):
        return (*shape[:2], *[side + 2 * self.margin for side in shape[2:5]], shape[-1])

    def get_config(self):
        return super().get_config() | {"margin": self.margin}


@registered
class DepthwiseConv3D(keras.layers.Layer):
    """A convolution of each channel by itself: (n, trs, x, y, z, channels) → (n, trs, x′, y′, z′, channels).

    Zeros surround the volume by half a kernel. Backends have it in two dimensions only. On a GPU it
    is the sum of such convolutions over the planes of the kernel. On a CPU, where TensorFlow
    computes them slowly, it is a plain convolution whose kernel is 0 between channels: more
    operations, and a third of the time for a training step.

    Parameters
    ----------
    size : odd edge of the kernel. stride : step from one position to the next.
    """

    def __init__(self, size: int, stride: int = 1, **options):
        super().__init__(**options)
        self.size, self.stride = size, stride

    def build(self, shape):
        # He et al. 2015 (ICCV); Keras' own would take the channels for inputs of each output.
        spread = keras.initializers.RandomNormal(stddev=(2 / self.size**3) ** 0.5)
        self.kernel = self.add_weight(
            shape=(*[self.size] * 3, shape[-1]), initializer=spread, name="kernel"
        )

    def call(self, volumes):
        margin, (_, trs, *sides, channels) = self.size // 2, volumes.shape
        x = ops.pad(
            ops.reshape(volumes, (-1, *sides, channels)), [(0, 0), *[(margin, margin)] * 3, (0, 0)]
        )
        kernel = ops.cast(self.kernel, x.dtype)
        result = self._by_planes(x, kernel) if HAS_GPU else self._as_plain_convolution(x, kernel)
        return ops.reshape(result, (-1, trs, *result.shape[1:]))

    def _as_plain_convolution(self, x, kernel):
        kernel = kernel[..., None, :] * ops.eye(kernel.shape[-1], dtype=x.dtype)
        return ops.conv(x, kernel, strides=self.stride, padding="valid")

    def _by_planes(self, x, kernel):
        n_planes = (x.shape[1] - self.size) // self.stride + 1
        total: Any = 0
        for plane in range(self.size):
            planes = x[:, plane : plane + self.stride * (n_planes - 1) + 1 : self.stride]
            planes = ops.reshape(planes, (-1, *x.shape[2:]))
            total = total + ops.depthwise_conv(
                planes, kernel[plane][..., None], strides=self.stride, padding="valid"
            )
        return ops.reshape(total, (-1, n_planes, *total.shape[1:]))

    def compute_output_shape(self, shape):
        return (*shape[:2], *[(side - 1) // self.stride + 1 for side in shape[2:5]], shape[-1])

    def get_config(self):
        return super().get_config() | {"size": self.size, "stride": self.stride}


@registered
class PlaceEmbedding(keras.layers.Layer):
    """Adds a learned vector to each place of tokens (n, trs, n_places, width)."""

    def build(self, shape):
        start = keras.initializers.RandomNormal(stddev=0.02)
        self.places = self.add_weight(shape=shape[2:], initializer=start, name="places")

    def call(self, tokens):
        return tokens + ops.cast(self.places, tokens.dtype)

    def compute_output_shape(self, shape):
        return shape


@registered
class LogOdds(keras.layers.Layer):
    """Logits (n, n_classes) → log p / (1 − p) of one class (n, 1), p its softmax probability.

    The class index is stored as a weight, so that one compiled explainer serves all classes.
    """

    def __init__(self, number: int, **options):
        super().__init__(**options)
        self.number = number

    def build(self, shape):
        chosen = np.eye(shape[-1], dtype=np.float32)[self.number]
        self.chosen = self.add_weight(
            shape=chosen.shape, initializer=lambda *_, **__: chosen, trainable=False, name="chosen"
        )

    def call(self, logits):
        own = ops.sum(logits * self.chosen, axis=1, keepdims=True)
        others = ops.logsumexp(logits - 1e9 * self.chosen, axis=1, keepdims=True)
        return own - others

    def compute_output_shape(self, shape):
        return (shape[0], 1)

    def get_config(self):
        return super().get_config() | {"number": self.number}
