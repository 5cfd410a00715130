"""Batch normalisation in one pass over memory, for training with TensorFlow on a CPU.

There Keras splits a normalisation into a dozen operations, each of which reads and writes a whole
layer; TensorFlow has one operation for it. XLA, on GPUs and with JAX, joins them automatically.
"""

from neuroface.pipeline import HAS_GPU, keras

import numpy as np


def with_fused_normalization(network: keras.Model) -> keras.Model:
    """A copy of a network with its weights that trains faster; the network itself if this does not help.

    The weights have the same order, so that they can be set in a network of Keras' own layers.
    """
    if (
        keras.backend.backend() != "tensorflow"
        or HAS_GPU
        or not any(map(_can_be_fused, network.layers))
    ):
        return network

    def fused(layer):
        kind = _FusedBatchNormalization if _can_be_fused(layer) else type(layer)
        return kind.from_config(layer.get_config())

    try:
        copy = keras.models.clone_model(network, clone_function=fused)
    except (
        TypeError,
        ValueError,
    ):  # a user's layer that cannot be copied: train the network unchanged
        return network
    copy.set_weights(network.get_weights())
    return copy


def _can_be_fused(layer) -> bool:
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.compute_dtype == "float32"
        and layer.axis in (-1, len(layer.output.shape) - 1)
        and not getattr(layer, "renorm", False)
    )


class _FusedBatchNormalization(keras.layers.BatchNormalization):
    def call(self, inputs, training=None, mask=None):
        if not training or not self.trainable or mask is not None:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        n_channels = inputs.shape[-1]
        images = inputs if len(inputs.shape) == 4 else tf.reshape(inputs, (-1, 1, 1, n_channels))
        scale = self.gamma if self.scale else np.ones(n_channels, np.float32)
        offset = self.beta if self.center else np.zeros(n_channels, np.float32)
        images, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            images, scale, offset, epsilon=self.epsilon
        )
        n = tf.cast(tf.size(inputs) // n_channels, tf.float32)
        variance = variance * (n - 1) / n  # divided by n, as in Keras
        for average, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            average.assign(average * self.momentum + new * (1 - self.momentum))
        return images if len(inputs.shape) == 4 else tf.reshape(images, tf.shape(inputs))
