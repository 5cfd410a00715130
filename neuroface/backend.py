"""Keras, imported without the start-up chatter of its backend, and what hardware it has.

KERAS_BACKEND chooses "tensorflow" (the default) or "jax". TensorFlow's libraries write pages about CUDA and CPU features
to stderr before any setting can stop them. They are held back here, and shown if the import fails.
"""

import logging
import os
import sys
import tempfile
from contextlib import contextmanager

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


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
    with _stderr_held_back():
        import keras

        has_gpu(keras)  # the first look for a GPU talks too
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return keras


def set_random_seed(seed: int) -> None:
    """Seed Python, NumPy and Keras. Keras seeds TensorFlow too, and imports it for that whatever the backend."""
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


def compiled(function):
    """``function`` of nested lists of arrays, compiled for each shape it meets."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, reduce_retracing=False)
    import jax

    return jax.jit(function)
