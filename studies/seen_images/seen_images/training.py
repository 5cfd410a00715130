"""Decoders fitted to training trials: ridge by inner folds, networks with an epoch chosen on an inner set."""

import time
from itertools import pairwise
from typing import NamedTuple

from neuroface import NeuroFaceError
from neuroface.decoding import batch_bounds
from neuroface.pipeline import note_progress
from seen_images.networks import Decoder, Linear

import numpy as np
import torch
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from sklearn.model_selection import PredefinedSplit

OUTPUTS_AT_ONCE = 1000  # of ridge regression, whose predictions and weights are in memory together


class Watched(NamedTuple):
    """Patterns (n, n_voxels) and latents (n, n_outputs) whose error chooses the epoch."""

    voxels: np.ndarray
    latents: np.ndarray


def inner_images(images: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which trials (n,) are of the images that choose the epoch: a seeded share of the images, at least one."""
    names = np.unique(images)
    chosen = np.random.default_rng([seed, 31]).permutation(names)[
        : max(1, round(share * len(names)))
    ]
    return np.isin(images, chosen)


def inner_folds(images: np.ndarray, n_folds: int, seed: int) -> np.ndarray:
    """Fold (n,) of each trial; all trials of an image are in one fold, and folds have equally many images."""
    names, number = np.unique(images, return_inverse=True)
    folds = np.random.default_rng([seed, 32]).permutation(len(names)) % n_folds
    return folds[number]


def fit_ridge(
    voxels: np.ndarray,
    latents: np.ndarray,
    folds: np.ndarray,
    alphas: tuple[float, ...],
    device: torch.device,
) -> tuple[Linear, dict]:
    """Ridge regression with a penalty of its own for each latent, chosen by inner folds (Dupré la Tour et al. 2022).

    Solved over voxels or over trials, whichever are fewer; the result is the same.

    Parameters
    ----------
    voxels : (n, n_voxels). latents : (n, n_outputs). folds : (n,).

    Returns
    -------
    The fitted linear network, and how often each penalty was chosen.
    """
    backend = set_backend("torch_cuda" if device.type == "cuda" else "numpy")
    centre, mean = voxels.mean(axis=0, dtype=np.float64), latents.mean(axis=0, dtype=np.float64)
    x, y = _centred(voxels, centre), _centred(latents, mean)
    n, n_voxels = x.shape
    kind, fixed = (
        (RidgeCV, {"fit_intercept": False})
        if n >= n_voxels
        else (KernelRidgeCV, {"kernel": "linear"})
    )
    # One penalty and some outputs at a time: himalaya would keep (n_penalties, n, n_outputs) predictions.
    some = {"n_alphas_batch": 1, "n_targets_batch": OUTPUTS_AT_ONCE}
    folds = PredefinedSplit(folds)
    model = kind(alphas=np.array(alphas, np.float32), cv=folds, solver_params=some, **fixed)
    model.fit(backend.asarray(x), backend.asarray(y))
    weights = backend.to_numpy(model.coef_ if n >= n_voxels else model.get_primal_coef())
    network = Linear(n_voxels, latents.shape[1])
    with torch.no_grad():
        for start in range(0, len(mean), OUTPUTS_AT_ONCE):
            outputs = slice(start, start + OUTPUTS_AT_ONCE)
            of_outputs = np.asarray(weights[:, outputs], dtype=np.float64)
            bias = mean[outputs] - centre @ of_outputs
            network.last.weight[outputs] = torch.from_numpy(of_outputs.T).float()
            network.last.bias[outputs] = torch.from_numpy(bias).float()
    chosen, times = np.unique(np.asarray(backend.to_numpy(model.best_alphas_)), return_counts=True)
    return network.eval(), {
        "alphas": {f"{alpha:g}": int(count) for alpha, count in zip(chosen, times)}
    }


def ridge_gb(n: int, n_voxels: int, n_outputs: int) -> float:
    """Memory of :func:`fit_ridge` in GB, beside its inputs.

    Of latents and weights there are two copies, of trials three. The rest is the matrix of a penalty, (n_voxels, n) or
    (n, n), and its decomposition.
    """
    smaller = min(n, n_voxels)
    latents, weights, trials = n * n_outputs, n_voxels * n_outputs, n * n_voxels
    return 4e-9 * (2 * latents + 2 * weights + 3 * trials + 2 * smaller**2)


def _centred(values: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Values (n, n_columns) less their centre, float32; subtracted in float64, without a copy of that size."""
    result = np.empty(values.shape, np.float32)
    return np.subtract(values, centre, out=result, casting="same_kind")


def train_network(
    network: Decoder,
    voxels: np.ndarray,
    latents: np.ndarray,
    of_trial: np.ndarray,
    trials: np.ndarray,
    watched: Watched,
    *,
    epochs: int,
    patience: int,
    learning_rate: float,
    batch_size: int,
    seed: int,
    device: torch.device,
) -> list[dict]:
    """Train with Adam until the watched error has not fallen for ``patience`` epochs; keep the best epoch's weights.

    Sizes of batches are those of :func:`neuroface.decoding.batch_bounds`. The last layer's bias
    starts at the mean of the latents; the publication's started at random.

    Parameters
    ----------
    voxels : (n, n_voxels), may be a memory map. latents : (n_images, n_outputs). of_trial : (n,)
    row of ``latents``.
    trials : which rows of ``voxels`` to fit.

    Returns
    -------
    Per epoch: epoch (from 1), train and watched mean squared error, seconds.

    Raises
    ------
    NeuroFaceError
        If the watched error is not finite.
    """
    torch.manual_seed(seed)
    rng, history, best, best_error = np.random.default_rng([seed, 33]), [], None, np.inf
    with torch.no_grad():
        network.last.bias.copy_(torch.from_numpy(latents[of_trial[trials]].mean(axis=0)))
    network.to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    for epoch in range(1, epochs + 1):
        started, total = time.monotonic(), 0.0
        network.train()
        order = rng.permutation(trials)
        for start, end in pairwise(batch_bounds(len(order), batch_size)):
            rows = np.sort(order[start:end])
            loss = network.loss(
                *(
                    torch.from_numpy(np.array(a)).to(device)
                    for a in (voxels[rows], latents[of_trial[rows]])
                )
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        error = float(
            np.mean((predict(network, watched.voxels, batch_size, device) - watched.latents) ** 2)
        )
        if not np.isfinite(error):
            raise NeuroFaceError(
                f"{type(network).__name__}: the error is {error} after epoch {epoch}, with learning_rate = "
                f"{learning_rate:g}. Set a smaller learning_rate in DECODER_OPTIONS."
            )
        seconds = round(time.monotonic() - started, 2)
        note_progress(0.999 * epoch / epochs)
        history.append(
            {
                "epoch": epoch,
                "train_loss": total / len(order),
                "watched_mse": error,
                "seconds": seconds,
            }
        )
        if error < best_error:
            best_error, best = (
                error,
                {name: value.detach().clone() for name, value in network.state_dict().items()},
            )
        elif epoch - min(history, key=lambda row: row["watched_mse"])["epoch"] >= patience:
            break
    network.load_state_dict(best)
    network.to("cpu").eval()
    return history


def predict(
    network: Decoder, voxels: np.ndarray, batch: int, device: torch.device | str = "cpu"
) -> np.ndarray:
    """Latents (n, n_outputs) float32 of patterns (n, n_voxels)."""
    network.eval()
    with torch.no_grad():
        parts = [
            network(torch.from_numpy(np.array(voxels[start : start + batch])).to(device))
            .float()
            .cpu()
            .numpy()
            for start in range(0, len(voxels), batch)
        ]
    return np.concatenate(parts)
