"""Import Keras without the start-up messages of its backend, and find its hardware.

KERAS_BACKEND chooses "tensorflow" (the default) or "jax". TensorFlow's libraries write long
messages about CUDA and CPU features to stderr before any setting can stop them. They are held back
here, and shown only if the import fails.
"""

import logging
import os
import sys
import tempfile
from contextlib import contextmanager

from neuroface.pipeline.progress import note_progress

BACKENDS = ("tensorflow", "jax")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow 2.21.0 uses oneDNN by itself only on processors with AVX-512 VNNI, AVX-VNNI or AMX.
# Others are faster with it too, most of all with 3D convolutions (benchmarks/onednn.py).
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@contextmanager
def _stderr_held_back():
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except BaseException:
            held_back.seek(0)
            os.write(stderr, held_back.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _import_keras():
    try:
        with _stderr_held_back():
            import keras

            if keras.backend.backend() not in BACKENDS:
                raise ModuleNotFoundError(name=keras.backend.backend())
            has_gpu(keras)  # the first search for a GPU prints messages too
            _compute_in_full_float32(keras)
    except ModuleNotFoundError as error:
        if error.name not in (*BACKENDS, "torch", "openvino"):
            raise
        why = (
            "which is not installed"
            if error.name in BACKENDS
            else "on which the scripts do not run"
        )
        sys.exit(
            f"error: Keras' backend is {error.name}, {why}. Set KERAS_BACKEND to tensorflow or jax, or install one."
        )
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return keras


def _compute_in_full_float32(keras) -> None:
    """Switch off TensorFloat-32: by default both backends use it (10 mantissa bits) on GPUs since Ampere."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_tensor_float_32_execution(False)
        return
    import jax

    jax.config.update("jax_default_matmul_precision", "highest")


def set_random_seed(seed: int) -> None:
    """Seed Python, NumPy and Keras. Keras also seeds TensorFlow, if installed, and imports it for this."""
    with _stderr_held_back():
        keras.utils.set_random_seed(seed)


def has_gpu(keras) -> bool:
    """Whether the backend sees a GPU."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    import jax

    return any(device.platform == "gpu" for device in jax.devices())


keras = _import_keras()
HAS_GPU = has_gpu(keras)


def gpu_bytes() -> int:
    """Memory of the first GPU that the backend may use; 0 without one."""
    if not HAS_GPU:
        return 0
    if keras.backend.backend() == "tensorflow":
        from tensorflow.python.client import device_lib

        return next(
            device.memory_limit
            for device in device_lib.list_local_devices()
            if device.device_type == "GPU"
        )
    import jax

    return (jax.devices("gpu")[0].memory_stats() or {}).get("bytes_limit", 0)


def compiled(function):
    """Compile ``function`` of nested lists of arrays, once for each shape."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, reduce_retracing=False)
    import jax

    return jax.jit(function)


def fused(function):
    """Compile an elementwise ``function`` of arrays to one pass over memory.

    TensorFlow does this only on request, and the request slows convolutions down; JAX does it for
    all that it compiles.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True, autograph=False)
    return function


def assigned_values(function, variables, model):
    """Compile a call of a model that assigns to its variables, and return what it assigns; the variables keep their values.

    Parameters
    ----------
    function : (*arrays) → anything, which calls layers of ``model``.
    variables : variables of ``model`` whose new values are wanted.

    Returns
    -------
    (*arrays) → list of the new values, one array for each of ``variables``.
    """

    def values(scope, arrays):
        function(*arrays)
        return [scope.get_current_value(variable) for variable in variables]

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.function(autograph=False, reduce_retracing=True)
        def compute(*arrays):
            with keras.StatelessScope() as scope:
                return values(scope, arrays)

        return lambda *arrays: compute(*map(tf.constant, arrays))

    import jax

    @jax.jit
    def stateless(state, arrays):
        with keras.StatelessScope(state_mapping=list(zip(model.variables, state))) as scope:
            return values(scope, arrays)

    return lambda *arrays: stateless([variable.value for variable in model.variables], arrays)


def gradient_of(function, model):
    """Compile ``function`` and its gradient, once for arguments of each shape.

    Parameters
    ----------
    function : (x, *rest) → (a number, anything else), which calls layers of ``model``.

    Returns
    -------
    (x, *rest) → (the other result of ``function``, gradient of the number with respect to x);
    arrays of float32.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.function(jit_compile=False, autograph=False)
        def compute(x, *rest):
            with tf.GradientTape() as tape:
                tape.watch(x)
                total, others = function(x, *rest)
            return others, tape.gradient(total, x)

        return lambda *arrays: compute(*map(tf.constant, arrays))

    import jax

    def stateless(x, rest, weights):
        with keras.StatelessScope(state_mapping=list(zip(model.variables, weights))):
            return function(x, *rest)

    gradient = jax.jit(jax.grad(stateless, has_aux=True))

    def compute_with_jax(x, *rest):
        # Read at every call: Keras' own predict() gives the variables new buffers and deletes the
        # old ones.
        gradients, others = gradient(x, rest, [variable.value for variable in model.variables])
        return others, gradients

    return compute_with_jax


class TrainingProgress(keras.callbacks.Callback):  # type: ignore[name-defined]
    """Says after each batch how far a training is, for the script's progress; it changes nothing in the training.

    Parameters
    ----------
    number, of : which of several trainings of one unit this is; ``number`` counts from 0.
    """

    async_safe = True  # Keras need not wait for it

    def __init__(self, number: int = 0, of: int = 1):
        super().__init__()
        self._number, self._of, self._epoch = number, of, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        steps, epochs = self.params["steps"] or 1, self.params["epochs"]
        in_this = (self._epoch + (batch + 1) / steps) / epochs
        note_progress(0.999 * (self._number + in_this) / self._of)
