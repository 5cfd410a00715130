"""Fit any model to one fold: a network by gradient steps, a linear or second-order classifier in closed form."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from neuroface.decoding.architectures import (
    CLOSED_FORM,
    POLYNOMIAL,
    SCREENED,
    builder,
    learning_rates,
)
from neuroface.decoding.calibration import calibration_slope, out_of_choice_logits
from neuroface.decoding.closed_form import linear, scale_logit, set_parameters
from neuroface.decoding.division import Fold
from neuroface.decoding.fold_files import is_linear
from neuroface.decoding.linear import solve, weighted_sums, window_features, window_kernel
from neuroface.decoding.model_cost import multiply_adds
from neuroface.decoding.network import logit_network, predict_logits
from neuroface.decoding.polynomial import without_gates
from neuroface.decoding.recipes import accuracy_score_of_logits, loss_score_of_logits
from neuroface.decoding.screened import solve_screened
from neuroface.decoding.second_order import parameters, solve_second_order
from neuroface.decoding.training import train_network
from neuroface.pipeline import keras, open_npy, write_npy

import numpy as np
import pandas as pd

CHUNK_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Windows:
    """The windows of a study, and what all models are fitted with; small enough to send to worker processes.

    Parameters
    ----------
    dataset : folder with ``X.npy`` (n, n_voxels, window_trs) float32 and ``y.npy`` (n,) 0 or 1.
    kernels : folder of the files of :func:`write_kernel`.
    mask : (x, y, z) bool, the group mask.
    events, people : (n,) str, of each window; windows of one event, or of one person, are not
    independent.
    regions : name of a linear model → (n_voxels,) bool, the voxels that it uses; all voxels if it
    has no entry.
    labels : (n,) 0 or 1 in place of ``y.npy``.
    """

    dataset: Path
    kernels: Path
    mask: np.ndarray
    events: np.ndarray
    people: np.ndarray
    regions: dict[str, np.ndarray]
    labels: np.ndarray | None = None

    @property
    def X(self) -> np.ndarray:
        return open_npy(self.dataset / "X.npy")

    @property
    def y(self) -> np.ndarray:
        return np.array(open_npy(self.dataset / "y.npy")) if self.labels is None else self.labels

    @property
    def groupings(self) -> tuple[np.ndarray, np.ndarray]:
        """Event and person of each window."""
        return self.events, self.people

    def features_of(self, name: str):
        """Features of a linear model, in blocks; see :func:`neuroface.decoding.linear.window_features`."""
        return window_features(
            self.X, "mean" if name == "linear-mean" else "window", self.regions.get(name)
        )

    def kernel_file(self, name: str) -> Path:
        return self.kernels / f"{name}_kernel.npy"

    def kernel_of(self, name: str) -> np.ndarray:
        """Inner products (n, n) float64 of the windows in the features of a linear model."""
        return np.array(open_npy(self.kernel_file(name)))


@dataclass(frozen=True)
class Training:
    """How networks are built and trained; models in closed form need ``options`` alone.

    Parameters
    ----------
    options : architecture → its own sizes.
    recipe : "robust" or "paper". epochs : of the paper's recipe. steps : of the robust recipe.
    batch_size : windows per step. learning_rate : one, several to try, or "auto".
    precision : "auto", "float32", "float16" or "bfloat16".
    n_jobs : trainings at the same time, which share the memory.
    inference_batch : windows in one pass of a prediction.
    """

    options: Mapping[str, dict[str, object]]
    recipe: str
    epochs: int
    steps: int
    batch_size: int
    learning_rate: float | tuple[float, ...] | str
    precision: str
    n_jobs: int
    inference_batch: int


def write_kernel(windows: Windows, name: str) -> None:
    """Compute the kernel of a linear model; all folds, labels and models that need it read this file."""
    write_npy(windows.kernel_file(name), window_kernel(windows.features_of(name)))


class Fitted(NamedTuple):
    """A model of a fold.

    Attributes
    ----------
    inner_rows, inner_logit : inner validation windows, and their logits from models that were not
    fitted to them.
    history : a row per epoch; None for a model in closed form.
    """

    network: keras.Model
    inner_rows: np.ndarray
    inner_logit: np.ndarray
    history: pd.DataFrame | None
    cost: dict


def fit_fold(
    name: str, windows: Windows, fold: Fold, training: Training, seed: int,
    voxel_order: np.ndarray | None = None,
) -> Fitted:  # fmt: skip
    """Fit a model to a fold.

    Parameters
    ----------
    name : an architecture or a linear model. seed : seed of a network's initial weights and of the order
    of its batches.
    voxel_order : (n_voxels,) a permutation under which a network sees the voxels; None: mask order.
    """
    if is_linear(name):
        return _fit_linear(name, windows, fold)
    if name == SCREENED:
        return _fit_screened(windows, fold)
    if name in CLOSED_FORM:
        return _fit_second_order(name, windows, fold, training.options)
    robust = training.recipe == "robust"
    network, history, cost, logits = train_network(
        windows.X, windows.y, fold, builder(name, windows.mask, windows.X.shape[2], training.options),
        epochs=None if robust else training.epochs, steps=training.steps if robust else None,
        batch_size=training.batch_size, precision=training.precision, seed=seed,
        learning_rates=learning_rates(training.recipe, training.learning_rate, name),
        n_jobs=training.n_jobs, voxel_order=voxel_order,
    )  # fmt: skip
    if name == POLYNOMIAL:
        network = without_gates(network)
    rows = fold.validation
    if np.array_equal(
        rows, fold.test
    ):  # SELECTION = "paper": no window is left that could calibrate the network
        inner = predict_logits(
            logit_network(network), windows.X, training.inference_batch, rows, voxel_order
        )
        return Fitted(network, rows, inner, history, cost)
    score = loss_score_of_logits if robust else accuracy_score_of_logits
    inner = out_of_choice_logits(logits, windows.y[rows], windows.events[rows], score)
    slope = calibration_slope(windows.y[rows], inner)
    scale_logit(network, slope)
    return Fitted(
        network, rows, slope * inner, history, cost | {"temperature": round(1 / slope, 4)}
    )


def seed_of_member(seed: int, fold: int, number: int) -> int:
    """Seed of a training: another one for each fold, and for each of several networks on the same fold."""
    return seed + fold + 1000 * (number - 1)


def _fit_linear(name: str, windows: Windows, fold: Fold) -> Fitted:
    started, (_, n_voxels, window_trs) = time.monotonic(), windows.X.shape
    solution = solve(windows.kernel_of(name), windows.y, fold)
    fitted = np.zeros(len(windows.y))
    fitted[fold.rows] = 1 / len(fold.rows)
    features, mean = weighted_sums(
        windows.features_of(name), np.stack([solution.coefficients, fitted])
    )
    intercept = solution.logit_at_mean - float(features @ mean)
    if name == "linear-mean":  # the mean over time has the same weight in every volume
        features = np.repeat(features / window_trs, window_trs)
    weights = np.zeros((n_voxels, window_trs))
    weights[windows.regions.get(name, slice(None))] = features.reshape(-1, window_trs)
    network = linear(weights, intercept)
    n_features = features.size // (window_trs if name == "linear-mean" else 1)
    cost = {"parameters": n_features + 1, "multiply_adds": n_features, "penalty": solution.penalty}
    return _closed_form(network, solution.inner_logit, cost, started)


def _fit_screened(windows: Windows, fold: Fold) -> Fitted:
    started, (_, n_voxels, window_trs) = time.monotonic(), windows.X.shape
    solution, gains, screen = solve_screened(
        windows.X, windows.kernel_of("linear"), windows.y, fold
    )
    fitted = np.zeros(len(windows.y))
    fitted[fold.rows] = 1 / len(fold.rows)
    used = gains > 0
    features, mean = weighted_sums(
        window_features(windows.X, "window", used), np.stack([solution.coefficients, fitted])
    )
    features = features * np.repeat(gains[used], window_trs)
    weights = np.zeros((n_voxels, window_trs))
    weights[used] = features.reshape(-1, window_trs)
    network = linear(weights, solution.logit_at_mean - float(features @ mean))
    chosen = {"penalty": solution.penalty, "share": screen.share, "power": screen.power}
    cost = {"parameters": features.size + 1, "multiply_adds": features.size} | chosen
    return _closed_form(network, solution.inner_logit, cost, started)


def _fit_second_order(
    name: str, windows: Windows, fold: Fold, options: Mapping[str, dict[str, object]]
) -> Fitted:
    started, window_trs = time.monotonic(), windows.X.shape[2]
    network = builder(name, windows.mask, window_trs, options)(dtype="float32")
    kernels = windows.kernel_of("linear"), windows.kernel_of("linear-mean")
    units = network.get_layer("directions").units
    fit = solve_second_order(*kernels, window_trs, windows.y, fold, windows.groupings, units)
    set_parameters(network, parameters(lambda: _chunks(windows.X), fit))
    cost = {
        "parameters": network.count_params(),
        "multiply_adds": multiply_adds(network),
    } | fit.chosen
    return _closed_form(network, fit.inner_logit, cost, started)


def _closed_form(network: keras.Model, inner: np.ndarray, cost: dict, started: float) -> Fitted:
    rows = np.flatnonzero(~np.isnan(inner))
    return Fitted(
        network, rows, inner[rows], None, cost | {"seconds": round(time.monotonic() - started, 2)}
    )


def _chunks(X: np.ndarray):
    step = max(1, CHUNK_BYTES // (8 * X[0].size))
    for start in range(0, len(X), step):
        yield slice(start, start + step), np.asarray(X[start : start + step])
