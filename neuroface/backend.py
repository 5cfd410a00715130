"""Keras, imported without the start-up chatter of its backend, and what hardware it has.

TensorFlow's libraries write pages about CUDA and CPU features to stderr before any setting can stop them. They are held
back here, and shown if the import fails.
"""

import logging
import os
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _import_keras():
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            import keras

            has_gpu(keras)  # the first look for a GPU talks too
        except BaseException:
            held_back.seek(0)
            os.write(stderr, held_back.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return keras


def has_gpu(keras) -> bool:
    """Whether the backend sees a GPU."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    import jax

    return any(device.platform == "gpu" for device in jax.devices())


keras = _import_keras()
HAS_GPU = has_gpu(keras)
