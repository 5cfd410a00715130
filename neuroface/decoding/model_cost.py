"""Cost of a network, from the shapes of its layers: multiply-adds, and the memory of a training step."""

from neuroface.pipeline import keras

import numpy as np

# Bytes that a training step holds per activation of a layer with weights: the values of that layer
# and the four after it, what their gradients need, and the gradients. Measured on the voxel-time
# network in float32: 19 to 31 between 4,000 and 41,489 voxels. Python and TensorFlow need 1 GB
# more, which windows_per_pass leaves free.
BYTES_PER_ACTIVATION = 30


def multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one window's forward pass through convolutions, dense layers and attention."""
    return sum(_multiply_adds(layer) for layer in model.layers)


def step_bytes(model: keras.Model, windows: int) -> int:
    """Memory of one training pass of ``windows`` windows: activations, and four arrays per weight (Adam)."""
    activations = sum(_activations(layer) for layer in model.layers)
    return windows * activations * BYTES_PER_ACTIVATION + 4 * 4 * model.count_params()


def _multiply_adds(layer: keras.Layer) -> int:
    if isinstance(layer, keras.layers.MultiHeadAttention):
        n_sets, n_tokens, width = _attention_shape(layer)
        inner = layer.num_heads * layer.key_dim
        # Queries, keys, values and output are one matrix each; a pair of tokens counts twice, in
        # scores and in sums.
        return n_sets * n_tokens * (4 * width * inner + 2 * n_tokens * inner)
    if not hasattr(layer, "kernel"):
        return 0
    return int(
        np.prod(layer.output.shape[1:-1]) * np.prod(layer.kernel.shape)
    )  # a weight acts once at each position


def _activations(layer: keras.Layer) -> int:
    if isinstance(layer, keras.layers.MultiHeadAttention):
        n_sets, n_tokens, _ = _attention_shape(layer)
        return (
            n_sets * n_tokens * (4 * layer.num_heads * layer.key_dim + layer.num_heads * n_tokens)
        )
    return int(np.prod(layer.output.shape[1:])) if hasattr(layer, "kernel") else 0


def _attention_shape(layer: keras.layers.MultiHeadAttention) -> tuple[int, int, int]:
    """Sets of tokens per window, tokens per set, numbers per token."""
    shape = keras.tree.flatten(layer.output)[0].shape  # a second output may be its scores
    n_tokens = int(np.prod([shape[axis] for axis in layer.attention_axes]))
    return int(np.prod(shape[1:-1])) // n_tokens, n_tokens, shape[-1]
