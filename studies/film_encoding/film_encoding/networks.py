"""The published encoder and decoder (David et al. 2025; released code: MIPLabCH/Encoding-Decoding-Movies, models.py)."""

from functools import cache

from neuroface.pipeline import keras

MOMENTUM, EPSILON = 0.9, 1e-5  # PyTorch's batch normalisation


def initial_weights() -> keras.initializers.Initializer:
    """As PyTorch, which the publication used, draws weights: uniform within 1 / √fan_in (call it once per layer).

    Keras draws the seed of an initializer when it is made, and the initializer then gives each layer the same numbers.
    """
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")


def build_encoder(
    n_voxels: int,
    frames: int,
    pixels: int,
    filters: tuple[int, int, int, int] = (32, 256, 128, 64),
    dropout: float = 0.5,
) -> keras.Model:
    """Frames of one TR → voxels: (n, frames, pixels, pixels, 3) uint8 → (n, n_voxels).

    Convolution in space, convolution in time, mean over pairs of frames; then each of the
    ``frames`` / 2 time steps has a convolution of its own, whose outputs are joined. With the
    published sizes (4,609 voxels, 32 frames, 112 pixels) it has 63,766,593 trainable parameters.
    """
    features = build_chunk_features(frames, pixels, filters)
    x = keras.layers.Dropout(dropout)(features.output)
    x = keras.layers.Dense(
        n_voxels, kernel_initializer=initial_weights(), name="voxels", dtype="float32"
    )(x)
    return keras.Model(features.input, x, name="encoder")


def build_chunk_features(
    frames: int, pixels: int, filters: tuple[int, int, int, int]
) -> keras.Model:
    """The encoder without its last layer: (n, frames, pixels, pixels, 3) uint8 → (n, n_features)."""
    chunk = x = keras.Input((frames, pixels, pixels, 3), dtype="uint8", name="chunk")
    x = keras.layers.Rescaling(1 / 255)(x)
    x = keras.layers.Conv3D(
        filters[0], (1, 3, 3), padding="same", kernel_initializer=initial_weights(), name="space"
    )(x)
    x = keras.layers.MaxPooling3D((1, 2, 2))(x)
    x = keras.layers.Conv3D(
        filters[1], (5, 1, 1), padding="same", kernel_initializer=initial_weights(), name="time"
    )(x)
    x = keras.layers.MaxPooling3D((1, 2, 2))(x)
    x = keras.layers.AveragePooling3D((2, 1, 1))(x)
    x = keras.layers.ReLU()(TimeStepConvolutions(filters[2], name="time_steps")(x))
    x = _normalized(x)
    x = keras.layers.Conv2D(
        filters[3], 3, 2, padding="same", kernel_initializer=initial_weights(), name="joined"
    )(x)
    x = _normalized(keras.layers.ReLU()(x))
    return keras.Model(chunk, keras.layers.Flatten()(x), name="chunk_features")


def build_decoder(n_voxels: int, pixels: int, filters: int = 48) -> keras.Model:
    """Voxels → one frame: (n, n_voxels) → (n, pixels, pixels, 3), near 0 … 1.

    As published, batch normalisation follows the sigmoid, so values may lie outside 0 … 1. With the
    published sizes it has 43,547,721 trainable parameters.
    """
    voxels = keras.Input((n_voxels,), name="voxels")
    side = pixels // 8
    x = keras.layers.Dense(
        side * side * filters, activation="relu", kernel_initializer=initial_weights()
    )(voxels)
    x = keras.layers.Reshape((side, side, filters))(x)
    for _ in range(3):
        x = keras.layers.Conv2DTranspose(
            filters, 5, padding="same", activation="relu", kernel_initializer=initial_weights()
        )(x)
        x = _normalized(keras.layers.UpSampling2D(2)(x))
    x = keras.layers.Conv2DTranspose(
        3, 5, padding="same", activation="sigmoid", kernel_initializer=initial_weights()
    )(x)
    # From 0 and 1, where batch normalisation begins by itself, it would take hundreds of steps into
    # the range of frames.
    start = {
        "beta_initializer": keras.initializers.Constant(0.5),
        "gamma_initializer": keras.initializers.Constant(0.25),
    }
    return keras.Model(voxels, _normalized(x, **start), name="decoder")


def join(
    encoder: keras.Model, decoder: keras.Model | None, decoder_input: str = "predicted"
) -> keras.Model:
    """The network as it is trained: what it predicts for the voxels, and the frames that the decoder makes.

    Parameters
    ----------
    decoder_input : "predicted": the decoder gets what the encoder predicts; "measured": the
        measured voxels; "both": each, in one batch, so that its batch normalisation sees both
        kinds.

    Returns
    -------
    {"chunk", "measured"} → {"voxels": (n, n_voxels), "images": (n, 1 or 2, pixels, pixels, 3)};
    without a decoder only the voxels.
    """
    predicted = encoder.output
    measured = keras.Input(predicted.shape[1:], name="measured")
    inputs = {"chunk": encoder.input, "measured": measured}
    if decoder is None:
        return keras.Model(inputs, {"voxels": predicted})
    given = {"predicted": [predicted], "measured": [measured], "both": [predicted, measured]}[
        decoder_input
    ]
    images = decoder(keras.ops.concatenate(given, axis=0))
    images = keras.ops.reshape(images, (len(given), -1, *decoder.output.shape[1:]))
    return keras.Model(inputs, {"voxels": predicted, "images": keras.ops.moveaxis(images, 0, 1)})


def trainable_parameters(model: keras.Model) -> int:
    """Weights that training changes; the moving means and variances of batch normalisation are not among them."""
    return sum(int(keras.ops.size(weight)) for weight in model.trainable_weights)


def _normalized(x, **start):
    return keras.layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, **start)(x)


@keras.saving.register_keras_serializable("film_encoding")
class TimeStepConvolutions(keras.layers.Layer):
    """A convolution (3 × 3) of its own for every time step, computed as one grouped convolution.

    (n, time, height, width, channels) → (n, height, width, time · filters): for each time step its
    filters, one step after another. Equal to separate convolutions that are joined, and in less
    memory (``benchmarks/film_encoding.py``).
    """

    def __init__(self, filters: int, **more):
        super().__init__(**more)
        self.filters = filters

    def build(self, shape):
        _, time, _, _, channels = shape
        self.kernel = self.add_weight(
            shape=(3, 3, channels, time * self.filters),
            initializer=initial_weights(),
            name="kernel",
        )
        self.bias = self.add_weight(shape=(time * self.filters,), initializer="zeros", name="bias")

    def call(self, x):
        _, time, height, width, channels = x.shape
        x = keras.ops.reshape(
            keras.ops.transpose(x, (0, 2, 3, 1, 4)), (-1, height, width, time * channels)
        )
        return grouped_convolution(x, self.kernel, time) + self.bias

    def get_config(self):
        return super().get_config() | {"filters": self.filters}


def grouped_convolution(x, kernel, groups: int):
    """(n, height, width, groups · channels) with kernels (3, 3, channels, groups · filters), each group by itself."""
    if keras.backend.backend() != "tensorflow":
        return keras.ops.conv(x, kernel, padding="same")
    import tensorflow as tf

    if has_grouped_convolution():  # Keras itself would call XLA, which is slow on CPUs
        return tf.nn.conv2d(x, tf.convert_to_tensor(kernel), 1, "SAME")
    of_groups = zip(
        tf.split(x, groups, axis=-1), tf.split(tf.convert_to_tensor(kernel), groups, axis=-1)
    )
    return tf.concat(
        [tf.nn.conv2d(group, weights, 1, "SAME") for group, weights in of_groups], axis=-1
    )


@cache
def has_grouped_convolution() -> bool:
    """Whether TensorFlow computes grouped convolutions and their gradients on this machine; not every CPU build does."""
    import tensorflow as tf

    with (
        tf.init_scope()
    ):  # a GradientTape records nothing in it, so the gradients are asked for by name
        x, kernel = tf.ones((1, 4, 4, 4)), tf.ones((3, 3, 2, 4))
        how = {"strides": [1, 1, 1, 1], "padding": "SAME"}
        try:
            y = tf.raw_ops.Conv2D(input=x, filter=kernel, **how)
            tf.raw_ops.Conv2DBackpropInput(
                input_sizes=x.shape, filter=kernel, out_backprop=y, **how
            )
            tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=kernel.shape, out_backprop=y, **how
            )
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            return False
    return True
