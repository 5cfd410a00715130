"""The null of circular shifts: which shifts there are, each used once, and what p they allow."""

import math
from itertools import product

import numpy as np
from scipy import stats

SMALLEST_RHO = 0.05  # autocorrelations below it are noise
# Each pair of held-out pieces counts twice in a sum over folds: what a model learns from the noise of
# piece a and tests on b is, for a linear model, what it learns from b and tests on a. Shifts of
# predictions destroy that, so their variance is half of the true one. Without this factor a one-sided
# p <= .05 has a true rate of .12 for a normal sum: 1 - Phi(1.645 / sqrt 2).
PAIRS = 2.0


def lags_of(n: int, smallest: int) -> np.ndarray:
    """Circular shifts of n chunks by at least ``smallest`` either way, or by a quarter of n where that is less."""
    smallest = max(1, min(smallest, n // 4))
    return np.arange(smallest, n - smallest + 1)


def distinct_shifts(lengths: list[int], smallest: int, n_shifts: int, seed: int) -> np.ndarray:
    """Shifts (n, n_parts) of series of these lengths, each by its own lag, no two rows equal.

    All that there are where they are fewer than ``n_shifts``, else ``n_shifts`` of them at random:
    the smallest p that a count can give is 1 / (n + 1), and a shift that is drawn twice does not
    lower it.
    """
    lags = [lags_of(n, smallest) for n in lengths]
    if math.prod(len(lags_of_part) for lags_of_part in lags) <= n_shifts:
        return np.array(list(product(*lags)))
    rng = np.random.default_rng(seed)
    distinct = np.empty((0, len(lags)), dtype=int)
    while len(distinct) < n_shifts:
        more = np.column_stack([rng.choice(lags_of_part, size=n_shifts) for lags_of_part in lags])
        distinct = np.unique(np.concatenate([distinct, more]), axis=0)
    return rng.permutation(distinct)[:n_shifts]


def smallest_p(n_shifts: int) -> float:
    """The smallest p that a count of ``n_shifts`` shifts allows."""
    return 1 / (n_shifts + 1)


def effective_lags(null: np.ndarray) -> float:
    """How many independent values consecutive lags are worth, as degrees of freedom of their variance.

    The null changes slowly from lag to lag, because BOLD does. For a series with autocorrelations
    ρ(k), n lags are worth n / (1 + 2 Σ ρ(k)²) (Bayley & Hammersley 1946, J. R. Stat. Soc. Suppl.
    8:184). The autocorrelation is the mean over voxels, weighted by their variance, up to the lag
    where it is first below 0.05.

    Parameters
    ----------
    null : (n_lags, n_voxels), with mean 0.
    """
    n, total = len(null), 1.0
    variance = np.einsum("kv,kv->", null, null)
    for lag in range(1, n):
        rho = np.einsum("kv,kv->", null[lag:], null[: n - lag]) / max(variance, 1e-300)
        if rho < SMALLEST_RHO:
            break
        total += 2 * rho**2
    return n / total


def t_p(value: np.ndarray, null: np.ndarray, df) -> np.ndarray:
    """One-sided p per voxel (n_voxels,) of values against shifts, by Student's t.

    A count cannot give a p below 1 / (n + 1), too large to correct over thousands of voxels. Values
    and null are Fisher's z with mean 0 under the null (the sum over all circular shifts is 0); its
    SD comes from few independent lags, therefore t with ``df`` of :func:`effective_lags` and not
    the normal distribution.

    Parameters
    ----------
    value : (n_voxels,). null : (n_shifts, n_voxels).
    """
    sd = np.sqrt(np.mean(null**2, axis=0))
    return stats.t.sf(value / np.where(sd > 0, sd, np.inf), df)
