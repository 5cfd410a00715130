"""Scores of decoded latents and of drawn pictures, by formulas: identification, retrieval, correlation, intervals."""

import numpy as np
from scipy.special import gammaln

LEVEL = 0.95


def similarity(decoded: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Correlations (n, m) of rows of ``decoded`` (n, k) with rows of ``seen`` (m, k); 0 where a row is constant."""
    rows = []
    for values in (decoded, seen):
        centred = values.reshape(len(values), -1).astype(np.float64)
        centred = centred - centred.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(centred, axis=1, keepdims=True)
        flat = norm <= 1e-6 * np.sqrt(centred.shape[1]) * max(1e-30, np.abs(values).max())  # rounding
        rows.append(np.divide(centred, norm, out=np.zeros_like(centred), where=~flat))
    return rows[0] @ rows[1].T


def two_way(similar: np.ndarray) -> np.ndarray:
    """Two-way identification (n,): share of other images that what was decoded is less similar to than to its own.

    A tie counts half, so that a constant prediction is at chance, 0.5.

    Parameters
    ----------
    similar : (n, n), row: decoded; column: seen; the diagonal pairs belong together.
    """
    own = np.diag(similar)[:, None]
    wins = (similar < own).sum(axis=1) + ((similar == own).sum(axis=1) - 1) / 2
    return wins / (len(similar) - 1)


def retrieval(similar: np.ndarray, n: int) -> np.ndarray:
    """Chance (n_images,) that the seen image is the most similar among itself and ``n`` − 1 random others.

    Closed form over all draws of others, without replacement. Images tied with the seen one share the win.
    """
    own, others = np.diag(similar)[:, None], len(similar) - 1
    better, tied = (similar > own).sum(axis=1), (similar == own).sum(axis=1) - 1
    result = np.zeros(len(similar))
    for extra in range(int(tied.max(initial=0)) + 1):  # of the tied ones, how many are among the drawn
        chance = _hypergeometric(others, tied, better, n - 1, extra)
        result += chance / (1 + extra)
    return result


def _hypergeometric(total: int, tied: np.ndarray, better: np.ndarray, drawn: int, extra: int) -> np.ndarray:
    """Probability that ``drawn`` of ``total`` hold ``extra`` of the tied and none of the better ones."""
    rest = total - tied - better
    possible = (extra <= tied) & (drawn - extra <= rest) & (drawn >= extra)
    rest, tied = np.where(possible, rest, drawn), np.where(possible, tied, extra)
    log = _log_choose(tied, extra) + _log_choose(rest, drawn - extra) - _log_choose(total, drawn)
    return np.where(possible, np.exp(log), 0)


def _log_choose(n, k):
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(np.maximum(n - k, 0) + 1)


def feature_correlation(decoded: np.ndarray, seen: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Correlation over images, averaged over latents, at once for many samples of the images (n_draws,).

    A latent that is constant in a sample counts 0.

    Parameters
    ----------
    decoded, seen : (n, k). times : (n_draws, n) how often each image was drawn.
    """
    x, y = (values.astype(np.float64) - values.mean(axis=0, dtype=np.float64) for values in (decoded, seen))
    n = times.sum(axis=1, keepdims=True)
    sx, sy, sxy, sxx, syy = (times @ values for values in (x, y, x * y, x * x, y * y))
    spread = np.maximum(sxx - sx**2 / n, 0) * np.maximum(syy - sy**2 / n, 0)
    r = np.divide(sxy - sx * sy / n, np.sqrt(spread), out=np.zeros_like(sxy), where=spread > 1e-12)
    return r.mean(axis=1)


def bootstrap_times(n: int, n_draws: int, seed: int) -> np.ndarray:
    """How often each of ``n`` images is drawn, (n_draws, n)."""
    drawn = np.random.default_rng([seed, 51]).integers(n, size=(n_draws, n))
    return np.stack([np.bincount(row, minlength=n) for row in drawn])


def interval_of_mean(values: np.ndarray, times: np.ndarray) -> tuple[float, float, float]:
    """Mean of values (n,) over images, and its percentile interval over bootstrap samples."""
    return (float(values.mean()), *quantiles(times @ values / times.sum(axis=1)))


def quantiles(values: np.ndarray) -> tuple[float, float]:
    tails = (1 - LEVEL) / 2
    return tuple(float(q) for q in np.quantile(values, (tails, 1 - tails)))


def derangements(n: int, n_shuffles: int, seed: int) -> np.ndarray:
    """Pairings (n_shuffles, n) of images with other ones: permutations that leave none in its place.

    A random cycle through all images; every other image is equally likely.
    """
    rng, result = np.random.default_rng([seed, 52]), np.empty((n_shuffles, n), dtype=int)
    for row in result:
        order = rng.permutation(n)
        row[order] = np.roll(order, 1)
    return result
