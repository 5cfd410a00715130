"""Integrated Gradients by DeepExplain (Ancona et al. 2018, ICLR), which was written for TensorFlow 1.

It is not on a package index, and it needs names that TensorFlow 2 has moved. This module restores
these names, freezes the trained network to a graph, builds the graph once, and sends every window
through it.
"""

import warnings

from neuroface import NeuroFaceError
from neuroface.pipeline import keras

import numpy as np

INSTALL = (
    "pip install scikit-image "
    "https://github.com/marcoancona/DeepExplain/archive/87fb43a13ac2a3b285a030b87df899cc40100c94.zip"
)


class DeepExplainGradients:
    """As :class:`neuroface.attribution.integrated_gradients.IntegratedGradients` with the right rule, one step at a time.

    Parameters
    ----------
    logit_model : (n, n_voxels, window_trs, 1) → logit (n, 1), of the TensorFlow backend.
    steps : number of steps of the right Riemann sum.

    Raises
    ------
    NeuroFaceError
        If DeepExplain is not installed, or Keras runs on another backend.
    """

    def __init__(self, logit_model: keras.Model, steps: int):
        if keras.backend.backend() != "tensorflow":
            raise NeuroFaceError(
                f'IG_ENGINE = "deepexplain" needs TensorFlow; KERAS_BACKEND is {keras.backend.backend()!r}. '
                'Set IG_ENGINE = "keras".'
            )
        self.steps, self.paths_per_pass = steps, 1
        import tensorflow as tf

        graph, names = frozen_network(logit_model)
        session = tf.compat.v1.Session(graph=tf.Graph())
        with session.graph.as_default(), import_deepexplain()(session=session) as context:
            window, logit = tf.graph_util.import_graph_def(graph, return_elements=names)
            # It warns that no gradient was replaced; Integrated Gradients do not need this.
            warnings.filterwarnings("ignore", "DeepExplain detected you are trying", UserWarning)
            self._explainer = context.get_explainer("intgrad", logit, window, steps=steps)

    def __call__(
        self, windows: np.ndarray, baselines: np.ndarray, gains: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Attributions (n, n_voxels, window_trs) of ``windows`` against ``baselines``, pairwise, and steps taken (n,)."""
        self._explainer.baseline = baselines[..., None]
        maps = self._explainer.run(windows[..., None])[..., 0]
        return maps.astype(np.float32), np.full(len(windows), self.steps)


def import_deepexplain():
    """Restore the names that DeepExplain uses in TensorFlow and NumPy; return its context class."""
    import tensorflow as tf

    for name in ("placeholder", "gradients", "get_default_session", "get_default_graph"):
        if not hasattr(tf, name):
            setattr(tf, name, getattr(tf.compat.v1, name))
    if not hasattr(np, "asscalar"):
        vars(np)["asscalar"] = lambda array: array.item()
    try:
        from deepexplain.tensorflow import DeepExplain
    except ImportError as error:
        raise NeuroFaceError(
            f'IG_ENGINE = "deepexplain" needs DeepExplain ({error}). Run: {INSTALL}   or set IG_ENGINE = "keras".'
        ) from None
    return DeepExplain


def frozen_network(logit_model: keras.Model) -> tuple:
    """The network as a graph definition, its weights as constants; names of its input and its logit."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    call = tf.function(lambda window: logit_model(window, training=False))
    shape = tf.TensorSpec((None, *logit_model.input_shape[1:]), tf.float32)
    frozen = convert_variables_to_constants_v2(call.get_concrete_function(shape))
    return frozen.graph.as_graph_def(), (frozen.inputs[0].name, frozen.outputs[0].name)
