"""Integrated Gradients of the logit, after Sundararajan, Taly & Yan 2017 (ICML): quadrature separate from gradients."""

from neuroface import NeuroFaceError
from neuroface.attribution.fast.path_network import PathNetwork, understands
from neuroface.attribution.method_names import SECANT_STEPS
from neuroface.decoding import is_closed_form_network, logit_network
from neuroface.pipeline import gradient_of, keras

import numpy as np

RULES = ("right", "midpoint", "trapezoid", "gauss-legendre", "secant")
FIRST_STEPS, MOST_STEPS = 8, 1024  # of steps = "auto"


def rule_for(model: keras.Model, rule: str, steps: int | str) -> tuple[str, int | str]:
    """The rule and steps that "auto" stands for with this network.

    The attributions of a linear or second-order classifier are exact with one midpoint: along a
    path the gradient changes linearly. Of a linear one they are weight × (window − baseline).
    """
    if rule == "auto":
        if is_closed_form_network(model):
            return "midpoint", 1
        rule = "secant" if understands(model) else "midpoint"
    return rule, SECANT_STEPS if (rule, steps) == ("secant", "auto") else steps


def quadrature(rule: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes in [0, 1], in order, and weights that sum to 1.

    Parameters
    ----------
    rule : how the integral from 0 to 1 becomes a sum.
        "right" (1/n, 2/n … 1): the paper's and DeepExplain's.
        "midpoint" (1/2n, 3/2n …): exact for linear gradients.
        "trapezoid" (0, 1/n … 1; half weight at both ends): exact for linear gradients; n + 1 nodes.
        "gauss-legendre": exact for polynomials up to degree 2n − 1. Gradients of a network with
        switches have jumps, so that this order is lost. "secant" (0, 1/n², 4/n² … 1; weight k is
        the distance from node k − 1): for mean slopes over segments, see
        :mod:`neuroface.attribution.fast.path_network`. Segments are short near the baseline, where most
        switches change. n + 1 nodes.
    steps : n, at least 1.

    Returns
    -------
    nodes, weights : (n,) or (n + 1,) float64.
    """
    edges = np.arange(steps + 1) / steps
    if rule == "right":
        return edges[1:], np.full(steps, 1 / steps)
    if rule == "midpoint":
        return (edges[:-1] + edges[1:]) / 2, np.full(steps, 1 / steps)
    if rule == "trapezoid":
        weights = np.full(steps + 1, 1 / steps)
        weights[[0, -1]] /= 2
        return edges, weights
    if rule == "gauss-legendre":
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        return (nodes + 1) / 2, weights / 2
    if rule == "secant":
        return edges**2, np.diff(edges**2, prepend=0)
    raise ValueError(f"rule {rule!r} is not one of {', '.join(RULES)}")


class PathGradient:
    """Weighted sums of the logit's gradients along straight paths, compiled once.

    Parameters
    ----------
    model : a network whose layer ``logit`` comes before its sigmoid, in float32.
    segments : use the mean slope of each switch over the segment that ends at a node, not the
    derivative at the node.

    Raises
    ------
    NeuroFaceError
        If ``segments`` is set and the network has other layers than the voxel-time network.
    """

    def __init__(self, model: keras.Model, segments: bool = False):
        if segments and not understands(model):
            raise NeuroFaceError(
                f'IG_RULE = "secant" is made for the voxel-time network; {model.name} has other layers. '
                'Set IG_RULE = "midpoint".'
            )
        if understands(model):
            logits_at = PathNetwork(model, segments).logits
        else:
            logits_at = _logits_by_autodiff(logit_network(model))

        def weighted_logit(baselines, windows, nodes, weights):
            logits = logits_at(baselines, windows, nodes)
            return keras.ops.sum(logits * weights), logits

        self._compute = gradient_of(weighted_logit, model)

    def __call__(self, windows, baselines, nodes, weights) -> tuple[np.ndarray, np.ndarray]:
        """Along paths from ``baselines`` to ``windows``, both (n, n_voxels, window_trs) float32.

        Parameters
        ----------
        nodes, weights : (n_nodes,), from :func:`quadrature`. With ``segments`` the first weight
        must be 0.

        Returns
        -------
        logits (n, n_nodes), sums of weighted gradients (n, n_voxels, window_trs).
        """
        arrays = (np.asarray(a, dtype=np.float32) for a in (baselines, windows, nodes, weights))
        logits, sums = self._compute(*arrays)
        return np.asarray(logits), np.asarray(sums)


def _logits_by_autodiff(logit_model: keras.Model):
    """As :meth:`PathNetwork.logits`, for any network."""

    def logits(baselines, windows, nodes):
        move = keras.ops.stop_gradient(windows - baselines)
        path = baselines[:, None] + nodes[:, None, None] * move[:, None]
        path = keras.ops.reshape(path, (-1, *path.shape[2:], 1))
        return keras.ops.reshape(
            logit_model(path, training=False), (windows.shape[0], nodes.shape[0])
        )

    return logits


class IntegratedGradients:
    """Attribution of the logit to each voxel and second of windows: gradients integrated from baseline to window.

    Several paths are processed together, and their steps in parts that are summed: at most
    ``batch`` nodes in one pass, always in arrays of the same shape, so that nothing is traced
    twice.

    Parameters
    ----------
    rule : one of :func:`quadrature`'s. steps : its n, or "auto": doubled from 8 for each path until
        the sum of the attributions differs from the gain in logit by at most ``tolerance`` times
        the gain (or 1 if the gain is below 1); at most 1,024.
    """

    def __init__(
        self, model: keras.Model, rule: str, steps: int | str, batch: int, tolerance: float = 0.01
    ):
        self.rule, self.steps, self.tolerance = rule, steps, tolerance
        self._gradient = PathGradient(model, segments=rule == "secant")
        self._overlap = 1 if rule == "secant" else 0  # a segment needs the node before it
        self._first_steps = FIRST_STEPS if isinstance(steps, str) else steps
        n_nodes = len(quadrature(rule, self._first_steps)[0]) - self._overlap
        passes = -(-n_nodes // max(1, batch - self._overlap))
        self.nodes_per_pass = -(-n_nodes // passes) + self._overlap
        self.paths_per_pass = max(1, batch // self.nodes_per_pass)

    def __call__(
        self, windows: np.ndarray, baselines: np.ndarray, gains: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Attributions of ``windows`` against ``baselines``, pairwise.

        Parameters
        ----------
        windows, baselines : (n, n_voxels, window_trs) float32.
        gains : (n,) logit(window) − logit(baseline); what attributions must sum to (completeness).

        Returns
        -------
        attributions (n, n_voxels, window_trs) float32, steps taken (n,) int.
        """
        maps, taken = np.empty_like(windows), np.empty(len(windows), dtype=int)
        left, steps = np.arange(len(windows)), self._first_steps
        while len(left):
            for start in range(0, len(left), self.paths_per_pass):
                rows = left[start : start + self.paths_per_pass]
                maps[rows] = self._integrate(windows[rows], baselines[rows], steps)
            taken[left] = steps
            if self.steps != "auto" or steps >= MOST_STEPS:
                break
            gaps = gains[left] - maps[left].sum(axis=(1, 2), dtype=np.float64)
            left = left[np.abs(gaps) > self.tolerance * np.maximum(np.abs(gains[left]), 1)]
            steps *= 2
        return maps, taken

    def _integrate(self, windows, baselines, steps: int) -> np.ndarray:
        n, empty = len(windows), self.paths_per_pass - len(windows)
        if empty:  # the last, smaller pass keeps the compiled shape
            windows, baselines = (
                np.concatenate([a, np.repeat(a[:1], empty, axis=0)]) for a in (windows, baselines)
            )
        nodes, weights = quadrature(self.rule, steps)
        total: np.ndarray | int = 0
        fresh = self.nodes_per_pass - self._overlap
        for start in range(0, len(nodes) - self._overlap, fresh):
            in_pass = np.minimum(np.arange(start, start + self.nodes_per_pass), len(nodes) - 1)
            weight = np.where(
                np.arange(start, start + self.nodes_per_pass) < len(nodes), weights[in_pass], 0
            )
            weight[: self._overlap] = 0
            total = total + self._gradient(windows, baselines, nodes[in_pass], weight)[1]
        return (total * (windows - baselines))[:n]
