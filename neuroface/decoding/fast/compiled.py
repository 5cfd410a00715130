"""A compiled network for the trainings of one process: compiling a small network takes long beside its training."""

from collections.abc import Callable
from typing import NamedTuple

from neuroface.pipeline import keras

import numpy as np

# The network of the last training in this process, by all that its graph depends on. The next fold
# trains it from new weights.
_LAST: dict[tuple, "Compiled"] = {}
KEPT_WEIGHTS = (
    4_000_000  # of a network that is kept; it holds three times as much for its optimiser
)


class Compiled(NamedTuple):
    """A network, and what is compiled for its training.

    Attributes
    ----------
    network : (n, n_voxels, window_trs, 1) → probabilities. model : the same network as it is
    trained, with its optimiser; on a GPU it takes row numbers.
    start : values of the optimiser's variables before the first step.
    logit : the network up to its logit; None: training does not ask for it.
    statistics : result of :func:`neuroface.decoding.recipes.normalization_statistics`; None:
    training does not estimate them.
    """

    network: keras.Model
    model: keras.Model
    start: list[np.ndarray]
    logit: keras.Model | None = None
    statistics: Callable | None = None

    def restart(self, fresh: keras.Model) -> None:
        """Begin another training, with the weights, and the seeds of dropout, of a network that was built as this one."""
        for own, new in zip(self.network.variables, fresh.variables, strict=True):
            own.assign(new)
        for own, first in zip(self.model.optimizer.variables, self.start, strict=True):
            own.assign(first)


def compile_once(
    network: keras.Model, settings: tuple, compile_network: Callable[[keras.Model], Compiled]
) -> Compiled:
    """The last compiled network with the weights of ``network``, if both were built alike; otherwise ``network``, compiled.

    Parameters
    ----------
    settings : all that the compiled training depends on beside the layers of the network, such as
    the optimiser and its step size.
    """
    key = (network.to_json(), *settings)
    if key in _LAST:
        _LAST[key].restart(network)
        return _LAST[key]
    forget_compiled()
    compiled = compile_network(network)
    if network.count_params() <= KEPT_WEIGHTS:
        _LAST[key] = compiled
    return compiled


def forget_compiled() -> None:
    """Free the memory of the last compiled network."""
    _LAST.clear()


def initial_variables(model: keras.Model, label: np.ndarray | None = None) -> list[np.ndarray]:
    """Make the variables of optimizer, loss and metrics of a compiled model; the values of the optimizer's variables.

    Variables that are made while TensorFlow traces the first step make it trace that step twice.
    ``fit`` resets the metrics, so what is counted here is not in the history.

    Parameters
    ----------
    label : one label as the training serves it; None: loss and metrics make their variables later.
    """
    model.optimizer.build(model.trainable_variables)
    if label is not None:
        outputs = np.full((1, *model.output_shape[1:]), 0.5, np.float32)
        model.compute_loss(None, label, outputs, np.ones(1, np.float32))
        model.compute_metrics(None, label, outputs, np.ones(1, np.float32))
    return [np.asarray(variable).copy() for variable in model.optimizer.variables]
