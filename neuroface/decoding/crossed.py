"""Standard error of a mean over windows or runs that depend on each other in two ways: by person, and by moment or film.

The variances over both add up; what one person and one moment have together is in both, and is
taken off once (Cameron, Gelbach & Miller 2011, J. Bus. Econ. Stat. 29:238).
"""

from typing import NamedTuple

import numpy as np


class CrossedError(NamedTuple):
    """A standard error, and the degrees of freedom of its square (Satterthwaite 1946, Biometrics Bull. 2:110)."""

    error: float
    freedom: float


def crossed_error(
    values: np.ndarray, groupings: tuple[np.ndarray, ...], weights: np.ndarray
) -> CrossedError:
    """Standard error of a weighted mean.

    Parameters
    ----------
    values, weights : (n,) of windows or runs.
    groupings : one or two arrays (n,), such as the moment of each window and its person. One that
        is the same for all does not count. With none left, the error is 0.
    """
    weights = weights / weights.sum()
    deviation = weights * (values - weights @ values)
    clusters = [np.unique(names, return_inverse=True)[1] for names in groupings]
    clusters = [cluster for cluster in clusters if cluster.max() > 0]
    if not clusters:
        return CrossedError(0.0, 1.0)

    def variance(cluster: np.ndarray) -> float:
        n = cluster.max() + 1
        return float(n / (n - 1) * np.sum(np.bincount(cluster, deviation) ** 2))

    of_each, freedom = (
        np.array([variance(c) for c in clusters]),
        np.array([c.max() for c in clusters]),
    )
    if len(clusters) == 1:
        return CrossedError(np.sqrt(of_each[0]), freedom[0])
    first, second = clusters
    cells = np.unique(first * (second.max() + 1) + second, return_inverse=True)[1]
    if cells.max() in freedom:  # each moment has one viewer: moments vary within people
        alone = int(np.argmin(freedom))
        return CrossedError(np.sqrt(of_each[alone]), freedom[alone])
    total, n_free = sum_of_variances(of_each, variance(cells), freedom)
    return CrossedError(np.sqrt(total), n_free) if total else CrossedError(0.0, freedom.min())


def sum_of_variances(
    of_each: np.ndarray, of_both: float, freedom: np.ndarray
) -> tuple[float, float]:
    """Variance over two crossed units, and its degrees of freedom.

    Parameters
    ----------
    of_each, freedom : (2,) variance over each unit, and its degrees of freedom. (1,): there is one unit.
    of_both : variance over what both have together; 0 with one unit.
    """
    total = max(of_each.sum() - of_both, of_each.max())
    return total, max(total**2 / max((of_each**2 / freedom).sum(), 1e-300), 1.0)
