"""The networks that can be trained, by name."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from neuroface import NeuroFaceError
from neuroface.pipeline import did_you_mean

import numpy as np

# name in MODELS → module:function. The function takes (n_voxels, window_trs, mask) and sizes by
# keyword, which MODEL_OPTIONS may set, and returns a Keras model of windows (n, n_voxels,
# window_trs, 1) with a layer ``logit`` (n, 1) before a sigmoid at its end. The values are text, so
# that settings can be checked without loading Keras.
ARCHITECTURES = {
    "voxel_time_cnn": "neuroface.decoding.network:voxel_time_cnn",
    "polynomial_network": "neuroface.decoding.polynomial:polynomial_network",
    "cnn3d": "neuroface.decoding.other_networks:cnn3d",
    "transformer": "neuroface.decoding.other_networks:transformer",
    "hybrid": "neuroface.decoding.other_networks:hybrid",
    "screened_ridge": "neuroface.decoding.closed_form:screened_ridge",
    "linear_plus": "neuroface.decoding.closed_form:linear_plus",
}
CONVOLVE_IN_SPACE = ("cnn3d", "hybrid")  # they need the voxels of a grid
RATES = {"paper": 2e-4, "robust": 3e-3}  # step sizes that LEARNING_RATE = "auto" stands for
POLYNOMIAL = "polynomial_network"
OWN_RATES = {POLYNOMIAL: 1e-2}  # with the robust recipe, for networks that need another one
SCREENED = "screened_ridge"
# Solved from the kernels of the windows, not trained by gradient steps; simplest first.
CLOSED_FORM = (SCREENED, "linear_plus")
DEFAULT = "voxel_time_cnn"  # the paper's


def build(
    name: str, mask: np.ndarray, window_trs: int, options: dict[str, object], dtype: str = "float32"
):
    """A new network of the named architecture.

    Parameters
    ----------
    mask : (x, y, z) bool, the group mask whose voxels a window holds. options : the architecture's
    own sizes.
    dtype : Keras' policy for all layers but the last two, "float32", "mixed_float16" or
    "mixed_bfloat16".

    Raises
    ------
    NeuroFaceError
        If the architecture has no such option, or cannot be built with it.
    """
    from neuroface.pipeline import keras

    function = _function(name)

    def network():
        model = function(int(mask.sum()), window_trs, mask, **options)
        model.get_layer("logit")
        return model

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        return build_with(name, function, options, network)
    finally:
        keras.config.set_dtype_policy(before)


def build_with(
    name: str, function: Callable, options: Mapping[str, object], network: Callable[[], Any]
):
    """Call ``network()``, which builds an architecture with its own sizes.

    Parameters
    ----------
    name : in MODELS. function : the architecture; ``options`` may set its keyword-only parameters.

    Raises
    ------
    NeuroFaceError
        If the architecture has no such option, or cannot be built with it.
    """
    parameters = inspect.signature(function).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    for option in options:
        if option not in known:
            raise NeuroFaceError(
                f"MODEL_OPTIONS: {name} has no option {option!r}{did_you_mean(option, known)}. It has {', '.join(known)}."
            )
    try:
        return network()
    except (TypeError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise NeuroFaceError(
            f"MODEL_OPTIONS: {name} cannot be built with {options} ({first})."
        ) from error


def builder(
    name: str, mask: np.ndarray, window_trs: int, options: Mapping[str, dict[str, object]]
) -> partial:
    """:func:`build` for any ``dtype``.

    Parameters
    ----------
    options : architecture → its own sizes.
    """
    return partial(build, name, mask, window_trs, options.get(name, {}))


def learning_rates(
    training: str, setting: float | tuple[float, ...] | str, name: str = DEFAULT
) -> tuple[float, ...]:
    """The step sizes to try for an architecture.

    Parameters
    ----------
    training, setting : the settings TRAINING and LEARNING_RATE. name : in MODELS.
    """
    if setting != "auto":
        return tuple(np.atleast_1d(setting).tolist())
    own = OWN_RATES if training == "robust" else {}
    return (own.get(name, RATES[training]),)


def load_layers() -> None:
    """Register the layers of these architectures with Keras, which loads a stored model without running its code."""
    for name in ARCHITECTURES:
        _function(name)


def _function(name: str):
    module, function = ARCHITECTURES[name].split(":")
    return getattr(import_module(module), function)
