"""The models of every fold, fitted again to swapped labels: in closed form, in terms of the windows.

A map of the group tests whether BOLD tells the labels apart. If it does not, the labels could as
well have been swapped between the events of a film. So the whole procedure is repeated with swapped
labels: the models of all folds are fitted again, explain the windows of the people that they hold
out, and give a map of the group (Ojala & Garriga 2010, J. Mach. Learn. Res. 11:1833). A model in
closed form needs only the inner products of windows for this.
"""

from collections.abc import Mapping
from typing import NamedTuple

from neuroface.decoding import (
    CLUSTERED,
    SCREENED,
    Fold,
    Windows,
    builder,
    is_linear,
    permuted_labels,
    solve_clustered,
    solve_each,
    solve_screened_each,
    solve_second_order_each,
    voxels_per_cluster_of,
)

import numpy as np
import pandas as pd

TRIES = 20  # drawn labellings per one that is needed, at most


class SecondPath(NamedTuple):
    """Second-order path of a ``linear_plus``, as far as attributions need it.

    Attributes
    ----------
    directions : (n_units, n) coefficients of the windows in u_k.
    slopes : (n_units, n) derivative of the logit along u_k, per volume, where the gradient of each
    window is taken.
    """

    directions: np.ndarray
    slopes: np.ndarray


class ClusterWeights(NamedTuple):
    """Linear models whose voxels have the weight of their cluster.

    Attributes
    ----------
    cluster : (n_voxels,) int. weights : (n_labellings, n_clusters, n_trs) float32, of each voxel of a cluster.
    """

    cluster: np.ndarray
    weights: np.ndarray


class Refits(NamedTuple):
    """The models of one fold, one per labelling.

    The weights of a model are Σ_i deviation_i · (x_i − m_i) + Σ_i mean_i · m_i, with m_i the mean
    of window x_i over time, if they are not those of clusters.

    Attributes
    ----------
    deviation, mean : (n_labellings, n) coefficients of the windows.
    gains : (1, n_voxels) or (n_labellings, n_voxels), factor of the weights of each voxel; 0: the
    model does not use the voxel; None: 1.
    second : per labelling the second-order path; None where it is not used.
    baseline : (n,) the baseline of the attributions as a weighted sum of windows; zeros: the
    baseline is zero.
    of_clusters : weights that clusters have; None: the windows give them. ``deviation`` and ``mean`` are then those
    of the cluster means.
    """

    deviation: np.ndarray
    mean: np.ndarray
    gains: np.ndarray | None
    second: list[SecondPath | None]
    baseline: np.ndarray
    of_clusters: ClusterWeights | None = None


def swapped_labels(
    samples: pd.DataFrame, people: list[str], n: int, seed: int, positive: str
) -> np.ndarray:
    """The labels, then ``n`` labellings in which events have swapped labels within a film, for all its viewers alike.

    A person's map of a label needs a window of this label. Labellings under which a person lacks a
    label that they have are drawn again.

    Parameters
    ----------
    samples, seed, positive : as for :func:`neuroface.decoding.permuted_labels`, and column subject.

    Returns
    -------
    (n_windows, 1 + n_found) int8. n_found < n if almost no labelling leaves every person with their
    labels.
    """
    observed = (samples["label"] == positive).to_numpy(np.int8)[:, None]
    of_person = [(samples["subject"] == who).to_numpy() for who in people]
    kept, n_found = [observed], 0
    for attempt in range(TRIES):
        drawn = permuted_labels(samples, n, seed + attempt, positive)
        complete = np.ones(n, dtype=bool)
        for rows in of_person:
            for label in (0, 1):
                if (observed[rows] == label).any():
                    complete &= (drawn[rows] == label).any(axis=0)
        kept.append(drawn[:, complete][:, : n - n_found])
        n_found += kept[-1].shape[1]
        if n_found == n:
            break
    return np.concatenate(kept, axis=1)


def refit(
    name: str,
    windows: Windows,
    fold: Fold,
    labels: np.ndarray,
    baseline: np.ndarray,
    at: float,
    options: Mapping[str, dict[str, object]],
) -> Refits:
    """Fit the model of a fold to many labellings.

    Parameters
    ----------
    name : a model in closed form. labels : (n, n_labellings) of 0 and 1. baseline : as
    :class:`Refits` has it.
    at : position between baseline (0) and window (1) at which the gradient of an attribution is taken; 0.5:
        Integrated Gradients, which are exact there for models of second order; 1: gradient × input.
    options : architecture → its own sizes.
    """
    if is_linear(name):
        solutions = solve_each(windows.kernel_of(name), labels, fold)
        coefficients = np.stack([solution.coefficients for solution in solutions])
        n_trs = windows.X.shape[2]
        of_mean = name == "linear-mean"  # the mean over time has the same weight in every volume
        deviation, mean = (
            (0 * coefficients, coefficients / n_trs) if of_mean else (coefficients, coefficients)
        )
        region = windows.regions.get(name)
        gains = None if region is None else region[None].astype(np.float32)
        return Refits(deviation, mean, gains, [None] * labels.shape[1], baseline)
    if name == SCREENED:
        fits = list(solve_screened_each(windows.X, windows.kernel_of("linear"), labels, fold))
        coefficients = np.stack([fit.solution.coefficients for fit in fits])
        gains = np.stack([fit.gains for fit in fits]).astype(np.float32)
        return Refits(coefficients, coefficients, gains, [None] * labels.shape[1], baseline)
    if name == CLUSTERED:
        size = voxels_per_cluster_of(options)
        fit = solve_clustered(windows.X, windows.mask, labels, fold, size)
        coefficients = np.stack([solution.coefficients for solution in fit.solutions])
        of_clusters = ClusterWeights(fit.cluster, fit.weights.astype(np.float32))
        second: list[SecondPath | None] = [None] * labels.shape[1]
        return Refits(coefficients, coefficients, None, second, baseline, of_clusters)
    return _refit_second_order(name, windows, fold, labels, baseline, at, options)


def _refit_second_order(
    name, windows: Windows, fold: Fold, labels, baseline, at: float, options
) -> Refits:
    n_trs = windows.X.shape[2]
    kernels = windows.kernel_of("linear"), windows.kernel_of("linear-mean")
    network = builder(name, windows.mask, n_trs, options)(dtype="float32")
    n_units = network.get_layer("directions").units
    deviation, mean, second = [], [], []
    for fit in solve_second_order_each(*kernels, n_trs, labels, fold, windows.groupings, n_units):
        deviation.append(fit.deviation)
        mean.append(fit.mean)
        used = np.any(fit.strengths != 0)
        second.append(second_path(fit, kernels[1], baseline, at, n_trs) if used else None)
    return Refits(np.array(deviation), np.array(mean), None, second, baseline)


def second_path(
    fit, mean_kernel: np.ndarray, baseline: np.ndarray, at: float, n_trs: int
) -> SecondPath:
    """The path of a fit: its derivative along u_k at a mean m is 2 s_k u_k · (m − μ); each volume has 1 / n_trs of it."""
    along = fit.directions @ mean_kernel  # (n_units, n): u_k · m_i
    centre = along[:, fit.rows].mean(axis=1, keepdims=True)
    point = at * along + (1 - at) * (along @ baseline)[:, None]
    return SecondPath(fit.directions, 2 * fit.strengths[:, None] * (point - centre) / n_trs)
