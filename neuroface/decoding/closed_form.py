"""Linear and second-order classifiers as networks, so that every script treats them as it treats a trained network.

Their parameters are not trained by gradient steps; :mod:`neuroface.decoding.linear` and
:mod:`neuroface.decoding.second_order` compute them.
"""

from neuroface.decoding.layers import registered
from neuroface.decoding.network import classifier, window_input
from neuroface.decoding.second_order import Parameters
from neuroface.pipeline import keras

import numpy as np

layers = keras.layers


@registered
class Square(keras.layers.Layer):
    """Values → their squares."""

    def call(self, values):
        return keras.ops.square(values)

    def compute_output_shape(self, input_shape):
        return input_shape


def linear(weights: np.ndarray, intercept: float) -> keras.Model:
    """The network whose logit is Σ weights · window + intercept.

    Parameters
    ----------
    weights : (n_voxels, window_trs).
    """
    windows = window_input(*weights.shape)
    model = classifier(windows, layers.Flatten(dtype="float32")(windows))
    model.get_layer("logit").set_weights([weights.reshape(-1, 1), np.array([intercept])])
    return model


def screened_ridge(n_voxels: int, window_trs: int, mask: np.ndarray) -> keras.Model:
    """The network of :func:`linear` before it is fitted; :mod:`neuroface.decoding.screened` gives its weights."""
    return linear(np.zeros((n_voxels, window_trs)), 0.0)


def linear_plus(
    n_voxels: int, window_trs: int, mask: np.ndarray, *, units: int = 32
) -> keras.Model:
    """A linear path, and a second-order path on the means over time; see :mod:`neuroface.decoding.second_order`.

    Parameters
    ----------
    units : directions of the second-order path.
    """
    windows = window_input(n_voxels, window_trs)
    first = layers.Dense(1, use_bias=False, name="linear_path", dtype="float32")(
        layers.Flatten(dtype="float32")(windows)
    )
    mean = layers.AveragePooling2D((1, window_trs), name="mean_over_time", dtype="float32")(windows)
    projected = layers.Dense(units, name="directions", dtype="float32")(
        layers.Flatten(dtype="float32")(mean)
    )
    second = Square(name="second_order_path", dtype="float32")(projected)
    return classifier(windows, layers.Concatenate(dtype="float32")([first, second]))


def set_parameters(network: keras.Model, parameters: Parameters) -> None:
    """Give a network of :func:`linear_plus` the parameters of a fit."""
    network.get_layer("linear_path").set_weights([parameters.weights.reshape(-1, 1)])
    network.get_layer("directions").set_weights([parameters.directions, parameters.offsets])
    network.get_layer("logit").set_weights(
        [np.append(1.0, parameters.strengths)[:, None], np.array([parameters.intercept])]
    )


def is_closed_form_network(network: keras.Model) -> bool:
    """Whether a network is one of this module: its logit is a polynomial of degree 1 or 2 of the window.

    Along a straight path the gradient then changes linearly, so that Integrated Gradients are exact
    with one step.
    """
    kinds = [type(layer) for layer in network.layers]
    names = {layer.name for layer in network.layers}
    is_linear = kinds == [layers.InputLayer, layers.Flatten, layers.Dense, layers.Activation]
    return (
        is_linear or {"linear_path", "directions", "second_order_path"} <= names and Square in kinds
    )


def scale_logit(network: keras.Model, factor: float) -> None:
    """Multiply the logit of a network by a factor: calibration by one over the temperature."""
    layer = network.get_layer("logit")
    layer.set_weights([factor * np.asarray(weights) for weights in layer.get_weights()])
