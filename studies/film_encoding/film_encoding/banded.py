"""Banded ridge regression for many targets: the random search of himalaya (Dupré la Tour et al. 2022, NeuroImage
264:119728) with one decomposition of each kernel for all targets, without the parts of it that hold nothing.

Kernels of few features have a low rank; the cost per target is proportional to it, not to the
number of chunks.
"""

from collections.abc import Iterator

import numpy as np

# Kernels have a mean diagonal of 1: penalties below 1 only let weights of delayed features grow that
# cancel each other.
SPACE_ALPHAS = np.logspace(0, 4.5, 10)
SMALLEST_EIGENVALUE = 1e-6  # relative to the largest: less is rounding of float32
TARGETS_AT_ONCE = 5_000


def random_weights(n_bands: int, n_tries: int, seed: int) -> np.ndarray:
    """Weights of bands (n_tries, n_bands), each row with sum 1: equal ones, then Dirichlet draws, in turn with
    concentration 1 (all mixtures alike) and 0.1 (one band prevails), as himalaya draws them.
    """
    rng = np.random.default_rng(seed)
    concentrations = np.where(np.arange(n_tries - 1) % 2, 0.1, 1.0)
    drawn = [rng.dirichlet(np.full(n_bands, concentration)) for concentration in concentrations]
    return np.array([np.full(n_bands, 1 / n_bands), *drawn])


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
    centre = bold.mean(axis=0)
    loss = np.zeros((len(weights), len(alphas), bold.shape[1]), dtype=np.float32)
    mixed = [np.tensordot(of_bands, kernels, axes=1) for of_bands in weights]
    for block in (numbers := np.unique(blocks)):
        is_out = blocks == block
        learn, held_out = (bold[rows] - centre for rows in (~is_out, is_out))
        for number, kernel in enumerate(mixed):
            loss[number] += block_loss(kernel, learn, held_out, is_out, alphas) / len(numbers)
    best = loss.reshape(-1, bold.shape[1]).argmin(axis=0)
    of_try, alpha = best // len(alphas), alphas[best % len(alphas)]
    out = np.zeros((len(kernels), test_kernels.shape[1], bold.shape[1]), dtype=np.float32)
    for number in np.unique(of_try):
        strength, vectors = decomposed(np.tensordot(weights[number], kernels, axes=1))
        from_vectors = weights[number][:, None, None] * (test_kernels @ vectors)
        for here in parts(np.flatnonzero(of_try == number)):
            coded = vectors.T @ (bold[:, here] - centre[here])
            out[:, :, here] = from_vectors @ (coded / (strength[:, None] + alpha[here]))
    out[0] += centre
    return out


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
            shrunk = coded / (strength[:, None] + np.float32(alpha))
            if is_thin:
                error = squares + ((among @ shrunk - 2 * reached) * shrunk).sum(axis=0)
            else:
                error = ((ahead @ shrunk - there) ** 2).sum(axis=0)
            loss[place, here] = error / len(there)
    return loss


def decomposed(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (rank,) and eigenvectors (n, rank) float32 of a kernel, those that are more than rounding."""
    strength, vectors = np.linalg.eigh(kernel)
    kept = strength > SMALLEST_EIGENVALUE * max(strength[-1], 1e-12)
    return strength[kept].astype(np.float32), vectors[:, kept].astype(np.float32)


def parts(targets: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(targets), TARGETS_AT_ONCE):
        yield targets[start : start + TARGETS_AT_ONCE]
