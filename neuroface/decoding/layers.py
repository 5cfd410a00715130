"""Layers that Keras lacks: windows to volumes, convolution of each volume, time stamps, DropConnect, gates."""

import base64

from neuroface.pipeline import keras

import numpy as np

ops = keras.ops
registered = keras.saving.register_keras_serializable(package="neuroface")


def bounding_box(mask: np.ndarray) -> np.ndarray:
    """The smallest box (x, y, z) bool that contains a mask; if the first side is 5, with a sixth, empty layer.

    With a first side of 5, oneDNN in TensorFlow 2.21 writes outside its memory in the gradient of a
    convolution of 7 voxels with stride 2.
    """
    sides = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    box = np.asarray(mask, dtype=bool)[tuple(slice(side[0], side[-1] + 1) for side in sides)]
    return np.pad(box, [(0, int(len(box) == 5)), (0, 0), (0, 0)])


@registered
class ToVolumes(keras.layers.Layer):
    """Windows (n, n_voxels, window_trs, 1) → volumes (n, window_trs, x, y, z, 1), 0 where the mask is False.

    Parameters
    ----------
    mask : (x, y, z) bool, a brain in its box; windows hold its voxels in C order. A saved model has
    a bit per cell.
    """

    def __init__(self, mask: np.ndarray, **options):
        super().__init__(**options)
        self.box = np.asarray(mask, dtype=bool)
        # Which voxel fills each cell, for a gather and its gradient. The index after the last voxel
        # stands for 0.
        self._voxel = np.where(
            self.box, self.box.cumsum().reshape(self.box.shape) - 1, self.box.sum()
        ).ravel()

    def build(self, input_shape):
        if input_shape[1] != self.box.sum():
            raise ValueError(f"windows have {input_shape[1]} voxels, the mask {self.box.sum()}")

    def call(self, windows):
        values = ops.pad(windows[..., 0], [(0, 0), (0, 1), (0, 0)])
        cells = ops.transpose(ops.take(values, self._voxel, axis=1), (0, 2, 1))
        return ops.reshape(cells, (-1, windows.shape[2], *self.box.shape, 1))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[2], *self.box.shape, 1)

    def get_config(self):
        bits = base64.b64encode(np.packbits(self.box)).decode()
        return super().get_config() | {"mask": {"shape": list(self.box.shape), "bits": bits}}

    @classmethod
    def from_config(cls, config):
        shape, bits = (
            config["mask"]["shape"],
            np.frombuffer(base64.b64decode(config["mask"]["bits"]), np.uint8),
        )
        mask = np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(bool)
        return cls(**config | {"mask": mask})


@registered
class VolumeConv3D(keras.layers.Conv3D):
    """Conv3D of each volume separately: (n, trs, x, y, z, channels) → (n, trs, x′, y′, z′, filters)."""

    def build(self, input_shape):
        super().build((None, *input_shape[-4:]))

    def call(self, volumes):
        maps = super().call(ops.reshape(volumes, (-1, *volumes.shape[2:])))
        return ops.reshape(maps, (-1, volumes.shape[1], *maps.shape[1:]))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-4], *super().compute_output_shape((None, *input_shape[-4:]))[1:])


@registered
class TimeStamps(keras.layers.Layer):
    """Adds to each token (n, n_tokens, width) the sines and cosines of its position (Vaswani et al. 2017, NeurIPS).

    They have the size of typical tokens. Without them a window of zeros, such as the baseline of an
    attribution, would have a variance of 0 in layer normalisation.
    """

    def call(self, tokens):
        place, width = np.arange(tokens.shape[1])[:, None], tokens.shape[2]
        angle = place / 10_000 ** (np.arange(width) // 2 * 2 / width)
        return tokens + ops.cast(
            np.where(np.arange(width) % 2, np.cos(angle), np.sin(angle)), tokens.dtype
        )

    def compute_output_shape(self, input_shape):
        return input_shape


@registered
class DropConnectDense(keras.layers.Dense):
    """A dense layer that drops each of its weights with probability ``rate`` in training (Wan et al. 2013, ICML).

    The other weights are scaled by 1 / (1 − rate), so the expected output is that of inference,
    which uses all weights. All windows of a batch share one draw.
    """

    def __init__(self, units: int, rate: float, **options):
        super().__init__(units, **options)
        self.rate, self._draws = rate, keras.random.SeedGenerator()

    def call(self, inputs, training=False):
        kernel = ops.convert_to_tensor(self.kernel)  # with JAX, dropout does not accept a variable
        kernel = keras.random.dropout(kernel, self.rate, seed=self._draws) if training else kernel
        return self.activation(ops.matmul(inputs, kernel) + self.bias)

    def get_config(self):
        return super().get_config() | {"rate": self.rate}


@registered
class GatedDense(keras.layers.Dense):
    """A dense layer whose inputs have gates: all weights of an input are multiplied by one trained factor.

    The penalty of the weights (``kernel_regularizer``) applies to the gates too. With the squares of
    both, its minimum over all gates that give the same products is a group lasso over inputs (Hoff
    2017, Comput. Stat. Data Anal. 115:186): 2 × penalty × Σ of the norms of the products of each input.

    Parameters
    ----------
    first_gate : value of all gates before training.
    """

    def __init__(self, units: int, first_gate: float, **options):
        super().__init__(units, **options)
        self.first_gate = first_gate

    def build(self, input_shape):
        super().build(input_shape)
        self.gate = self.add_weight(
            name="gate",
            shape=(input_shape[-1], 1),
            initializer=keras.initializers.Constant(self.first_gate),
            regularizer=self.kernel_regularizer,
        )

    def call(self, inputs, training=None):
        outputs = ops.matmul(inputs, self.gate * self.kernel)
        return self.activation(outputs + self.bias if self.use_bias else outputs)

    def gated_kernel(self) -> np.ndarray:
        """Weights (n_inputs, units) with the gates multiplied in."""
        return np.asarray(self.gate) * np.asarray(self.kernel)

    def get_config(self):
        return super().get_config() | {"first_gate": self.first_gate}
