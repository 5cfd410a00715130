"""Integrated Gradients of the logit, after Sundararajan, Taly & Yan 2017 (ICML): quadrature apart from gradients."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from neuroface.backend import keras
from neuroface.network import load_network, logit_network


def quadrature(rule: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in [0, 1] and weights that sum to 1.

    Parameters
    ----------
    rule : "right": 1/n, 2/n … 1, the paper's and DeepExplain's; "midpoint": 1/2n, 3/2n …, exact for linear gradients.

    Returns
    -------
    nodes, weights : (steps,) float64.
    """
    if rule == "right":
        nodes = np.arange(1, steps + 1) / steps
    elif rule == "midpoint":
        nodes = (np.arange(steps) + 0.5) / steps
    else:
        raise ValueError(f"rule {rule!r} is neither 'right' nor 'midpoint'")
    return nodes, np.full(steps, 1 / steps)


class LogitGradient:
    """Logit of a network and its gradient with respect to the window, compiled once for batches of one size.

    Parameters
    ----------
    model : a network of :func:`neuroface.network.build_network`, in float32.
    batch : windows per pass; smaller batches are padded, so nothing is traced twice.
    """

    def __init__(self, model: keras.Model, batch: int):
        self.batch = batch
        self.logit_model = logit_network(model)
        self._compute = _compiled_gradient(self.logit_model)

    def __call__(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``windows`` (n ≤ batch, n_voxels, window_trs) → logits (n,), gradients of the windows' shape; float32."""
        n = len(windows)
        padded = np.zeros((self.batch, *windows.shape[1:]), dtype=np.float32)
        padded[:n] = windows
        logits, gradients = self._compute(padded)
        return np.asarray(logits)[:n], np.asarray(gradients)[:n]


@lru_cache(maxsize=1)  # windows come ordered by model, and one full-size network is enough in memory
def gradient_of_model(path: Path, n_voxels: int, window_trs: int, batch: int) -> LogitGradient:
    """:class:`LogitGradient` of a fold model's file."""
    return LogitGradient(load_network(path, n_voxels, window_trs), batch)


def _compiled_gradient(logit_model: keras.Model):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        @tf.function(jit_compile=False)
        def compute(windows):
            with tf.GradientTape() as tape:
                tape.watch(windows)
                logits = logit_model(windows[..., None], training=False)[:, 0]
            return logits, tape.gradient(logits, windows)

        return lambda windows: compute(tf.constant(windows))

    import jax

    def total(windows, trainable, fixed):
        logits = logit_model.stateless_call(trainable, fixed, windows[..., None], training=False)[0][:, 0]
        return logits.sum(), logits

    gradient = jax.jit(jax.grad(total, has_aux=True))

    def compute(windows):
        # Read anew each time: Keras' own predict() gives the variables new buffers and deletes the old ones.
        trainable = [v.value for v in logit_model.trainable_variables]
        fixed = [v.value for v in logit_model.non_trainable_variables]
        gradients, logits = gradient(windows, trainable, fixed)
        return logits, gradients

    return compute


def integrated_gradients(
    gradient: LogitGradient, window: np.ndarray, baseline: np.ndarray, nodes: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Attribution of the logit to each voxel and second of a window.

    The integral along the straight path from ``baseline`` to ``window``, times their difference; the steps run
    ``gradient.batch`` at a time and are summed as they come.

    Parameters
    ----------
    window, baseline : (n_voxels, window_trs) float32. nodes, weights : (steps,), from :func:`quadrature`.

    Returns
    -------
    (n_voxels, window_trs) float32. Its sum approaches logit(window) − logit(baseline) as steps grow (completeness).
    """
    difference = window - baseline
    mean_gradient = np.zeros_like(window)
    for start in range(0, len(nodes), gradient.batch):
        part = slice(start, start + gradient.batch)
        path = baseline + nodes[part, None, None].astype(np.float32) * difference
        mean_gradient += np.tensordot(weights[part].astype(np.float32), gradient(path)[1], axes=1)
    return mean_gradient * difference
