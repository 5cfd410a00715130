"""Banded ridge regression for many targets: the random search of himalaya (Dupré la Tour et al. 2022, NeuroImage
264:119728) with one decomposition of each kernel for all targets, without the parts of it that hold nothing.

Kernels of few features have a low rank; the cost per target is proportional to it, not to the
number of chunks.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import linalg

# Kernels have a mean diagonal of 1: penalties below 1 only let weights of delayed features grow that
# cancel each other.
SPACE_ALPHAS = np.logspace(0, 4.5, 10)
SMALLEST_EIGENVALUE = 3e-6  # relative to the largest: less is rounding of float32
TARGETS_AT_ONCE = 5_000


def random_weights(n_bands: int, n_tries: int, seed: int) -> np.ndarray:
    """Weights of bands (n_tries, n_bands), each row with sum 1: equal ones, then Dirichlet draws, in turn with
    concentration 1 (all mixtures alike) and 0.1 (one band prevails), as himalaya draws them.
    """
    rng = np.random.default_rng(seed)
    concentrations = np.where(np.arange(n_tries - 1) % 2, 0.1, 1.0)
    drawn = [rng.dirichlet(np.full(n_bands, concentration)) for concentration in concentrations]
    return np.array([np.full(n_bands, 1 / n_bands), *drawn])


@dataclass(frozen=True)
class Choice:
    """What each target takes: (n_targets,) each, the number of the weights, the penalty, and the mean squared error with
    them on left-out blocks.
    """

    of_try: np.ndarray
    alpha: np.ndarray
    loss: np.ndarray


def fit_kernels(
    kernels: np.ndarray,
    test_kernels: np.ndarray,
    bold: np.ndarray,
    blocks: np.ndarray,
    weights: np.ndarray,
    alphas: np.ndarray = SPACE_ALPHAS,
) -> np.ndarray:
    """What each band adds to the prediction: (n_bands, n_test, n_targets) float32, the mean of ``bold`` with the first.

    Each target takes the weights and the penalty with the smallest squared error on left-out
    blocks, the mean over blocks.

    Parameters
    ----------
    kernels, test_kernels : of :func:`film_encoding.ridge.band_kernels`. bold : (n_train, n_targets).
    blocks : (n_train,) whole blocks are left out. weights : (n_tries, n_bands). alphas : penalties.
    """
    return fit_best_delay([(kernels, test_kernels)], bold, blocks, weights, alphas)[0]


def fit_best_delay(
    kernels_of_delays: list[tuple[np.ndarray, np.ndarray]],
    bold: np.ndarray,
    blocks: np.ndarray,
    weights: np.ndarray,
    alphas: np.ndarray = SPACE_ALPHAS,
) -> tuple[np.ndarray, np.ndarray]:
    """:func:`fit_kernels` at the delay that is best for each target.

    The delay is chosen as the weights and the penalty are, and together with them: by the squared
    error on left-out blocks of the training chunks. Of equal delays the first is taken.

    Parameters
    ----------
    kernels_of_delays : kernels and test kernels of each delay. Others: of :func:`fit_kernels`.

    Returns
    -------
    what each band adds (n_bands, n_test, n_targets); number of the delay of each target (n_targets,).
    """
    weights, alphas = weights.astype(np.float32), alphas.astype(np.float32)
    centre = bold.mean(axis=0)
    choices = [
        choose(kernels, bold, centre, blocks, weights, alphas) for kernels, _ in kernels_of_delays
    ]
    delay = np.argmin([choice.loss for choice in choices], axis=0)
    n_bands, n_test = kernels_of_delays[0][1].shape[:2]
    out = np.zeros((n_bands, n_test, bold.shape[1]), dtype=np.float32)
    for number, choice in enumerate(choices):
        add_prediction(
            out, delay == number, *kernels_of_delays[number], bold, centre, weights, choice
        )
    out[0] += centre
    return out, delay


def choose(
    kernels: np.ndarray,
    bold: np.ndarray,
    centre: np.ndarray,
    blocks: np.ndarray,
    weights: np.ndarray,
    alphas: np.ndarray,
) -> Choice:
    """The weights and the penalty of each target with the smallest mean squared error on left-out blocks."""
    loss = np.zeros((len(weights), len(alphas), bold.shape[1]), dtype=np.float32)
    mixed = [np.tensordot(of_bands, kernels, axes=1) for of_bands in weights]
    for block in (numbers := np.unique(blocks)):
        is_out = blocks == block
        learn, held_out = (bold[rows] - centre for rows in (~is_out, is_out))
        for number, kernel in enumerate(mixed):
            loss[number] += block_loss(kernel, learn, held_out, is_out, alphas) / len(numbers)
    of_all = loss.reshape(-1, bold.shape[1])
    best = of_all.argmin(axis=0)
    return Choice(best // len(alphas), alphas[best % len(alphas)], of_all.min(axis=0))


def add_prediction(
    out: np.ndarray,
    targets: np.ndarray,
    kernels: np.ndarray,
    test_kernels: np.ndarray,
    bold: np.ndarray,
    centre: np.ndarray,
    weights: np.ndarray,
    choice: Choice,
) -> None:
    """Fill the ``targets`` (n_targets,) bool of ``out`` (n_bands, n_test, n_targets), without the mean."""
    for number in np.unique(choice.of_try[targets]):
        strength, vectors = decomposed(np.tensordot(weights[number], kernels, axes=1))
        from_vectors = weights[number][:, None, None] * (test_kernels @ vectors)
        for here in parts(np.flatnonzero(targets & (choice.of_try == number))):
            coded = vectors.T @ (bold[:, here] - centre[here])
            out[:, :, here] = from_vectors @ (coded / (strength[:, None] + choice.alpha[here]))


def block_loss(kernel, learn, held_out, is_out, alphas) -> np.ndarray:
    """Mean squared error on the chunks that are left out: (n_alphas, n_targets).

    Where the rank is below the number of these chunks, errors come from products of rank × rank.
    """
    strength, vectors = decomposed(kernel[np.ix_(~is_out, ~is_out)])
    ahead = kernel[np.ix_(is_out, ~is_out)] @ vectors
    is_thin = len(strength) < len(held_out)
    loss = np.empty((len(alphas), held_out.shape[1]), dtype=np.float32)
    for start in range(0, held_out.shape[1], TARGETS_AT_ONCE):
        here = slice(start, start + TARGETS_AT_ONCE)
        coded, there = vectors.T @ learn[:, here], held_out[:, here]
        squares, reached, among = (there**2).sum(axis=0), ahead.T @ there, ahead.T @ ahead
        for place, alpha in enumerate(alphas):
            shrunk = coded / (strength[:, None] + alpha)
            if is_thin:
                error = squares + ((among @ shrunk - 2 * reached) * shrunk).sum(axis=0)
            else:
                error = ((ahead @ shrunk - there) ** 2).sum(axis=0)
            loss[place, here] = error / len(there)
    return loss


def decomposed(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (rank,) and eigenvectors (n, rank) float32 of a kernel, those that are more than rounding."""
    # NumPy decomposes float32 as float64, in twice the time.
    strength, vectors = linalg.eigh(kernel, driver="evd", check_finite=False)
    kept = strength > SMALLEST_EIGENVALUE * max(strength[-1], 1e-12)
    return strength[kept], vectors[:, kept]


def parts(targets: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(targets), TARGETS_AT_ONCE):
        yield targets[start : start + TARGETS_AT_ONCE]
