"""Where a map differs from zero across people: sign flips, corrected over all voxels and seconds at once.

Under the null hypothesis a person's map and its negative are equally likely, so its sign can be
flipped (Nichols & Holmes 2002, Hum. Brain Mapp. 15:1). Each flip gives the largest statistic and
the largest cluster mass of the whole map. Comparing the observed values with these controls the
family-wise error.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from neuroface.bold import Labels

import numpy as np
from scipy import ndimage, sparse, stats
from scipy.sparse import csgraph

BLOCK_BYTES = 64 * 2**20  # of statistics that are in memory at once
ROUNDING = 1e-9  # relative difference of one value summed in two orders
FWHM_PER_SD = 2 * np.sqrt(2 * np.log(2))
TRUNCATE = 3  # SDs at which the filter of variances ends
ALPHA = 0.05  # family-wise


@dataclass(frozen=True)
class Contrast:
    """A contrast of people's maps that is tested across people."""

    labels: tuple[str, ...]  # labels of the maps that it needs
    meaning: str  # of a positive value
    two_sided: bool = True


def contrasts_of(labels: Labels) -> dict[str, Contrast]:
    """Name → what is tested across people.

    A map of the second condition explains −logit, so in both maps positive values support the
    window's label.
    """
    first, second = labels
    first_title, second_title = labels.titles
    of = {
        label: f"“{title}” in {title.replace(' ', '-')} windows"
        for label, title in zip(labels, labels.titles)
    }
    more = "has more absolute attribution than the mean voxel"
    return {
        first: Contrast((first,), f"supports {of[first]}"),
        second: Contrast((second,), f"supports {of[second]}"),
        f"{first}-minus-{second}": Contrast(
            (first, second), f"supports {of[first]} more than {of[second]}"
        ),
        f"{first}-absolute": Contrast((first,), f"{more} ({first_title})", False),
        f"{second}-absolute": Contrast((second,), f"{more} ({second_title})", False),
    }


@dataclass(frozen=True)
class GroupTest:
    """Outcome of :func:`group_test`; arrays are (n_voxels, n_trs)."""

    statistic: np.ndarray
    p_voxel: np.ndarray  # family-wise, of the single voxel and second
    p_cluster: np.ndarray  # family-wise, of the cluster that it belongs to; 1 outside clusters
    critical: float  # smallest statistic with p_voxel of at most ALPHA; infinite if there are too few flips for this
    smallest_p: float


def sign_flips(units: list[str], n_flips: int, seed: int, two_sided: bool) -> np.ndarray:
    """Signs for each person, one row per flip; the first row changes nothing.

    Parameters
    ----------
    units : (n_people,) people with the same unit are flipped together: the person's name, or the
    film.
    n_flips : largest number of rows. If there are no more distinct flips, each is used once, and
    p-values are exact.
    two_sided : flipping all people then gives the same statistic, so the first unit keeps its sign.

    Returns
    -------
    (n, n_people) int8 of 1 and −1. The smallest p-value that they allow is 1 / n.
    """
    names = list(dict.fromkeys(units))
    n_free = len(names) - two_sided
    if 2**n_free <= n_flips:
        signs = np.array(list(product((1, -1), repeat=n_free)), dtype=np.int8).reshape(-1, n_free)
    else:
        signs = np.random.default_rng(seed).choice(
            np.array([1, -1], dtype=np.int8), (n_flips, n_free)
        )
        signs[0] = 1
    if two_sided:
        signs = np.column_stack([np.ones(len(signs), dtype=np.int8), signs])
    return signs[:, [names.index(unit) for unit in units]]


def variance_smoother(
    mask: np.ndarray, affine: np.ndarray, fwhm_mm: float
) -> Callable[[np.ndarray], np.ndarray] | None:
    """A function that smooths variances (n_voxels, n_trs) in space, within the mask; None for a width of 0.

    None also if the width is far below a voxel, as on the grid of places (:mod:`neuroface.bold.places`).

    With few people the variance of a single voxel is noisy, and the largest t of a map occurs where
    it is too small by chance. The pseudo-t divides by a smoothed variance (Nichols & Holmes 2002);
    sign flips stay valid.
    """
    if not fwhm_mm:
        return None
    box = tuple(slice(low.min(), low.max() + 1) for low in np.nonzero(mask))
    inside = mask[box]
    sigma = fwhm_mm / FWHM_PER_SD / np.linalg.norm(affine[:3, :3], axis=0)
    if (TRUNCATE * sigma < 0.5).all():  # the filter has one weight
        return None
    volume = np.zeros(inside.shape)

    def blur(values: np.ndarray) -> np.ndarray:
        volume[inside] = values
        return ndimage.gaussian_filter(volume, sigma, mode="constant", truncate=TRUNCATE)[inside]

    weight = blur(np.ones(inside.sum()))

    def smooth(variance: np.ndarray) -> np.ndarray:
        return np.stack([blur(column) / weight for column in variance.T], axis=1)

    return smooth


class Null(NamedTuple):
    """Largest statistic and heaviest cluster of the whole map, (n,) each, of every flip or relabelling.

    The first entry is that of the observed map.
    """

    largest: np.ndarray
    heaviest: np.ndarray


def group_test(
    values: np.ndarray,
    signs: np.ndarray,
    mask: np.ndarray,
    forming_p: float,
    two_sided: bool,
    smooth=None,
    pairs: np.ndarray | None = None,
) -> GroupTest:
    """One-sample test across people of every voxel and second, and of clusters of them, by sign flips.

    Parameters
    ----------
    values : (n_people, n_voxels, n_trs).
    signs : (n_flips, n_people), from :func:`sign_flips` with the same ``two_sided``.
    mask, forming_p, two_sided, pairs : as for :func:`null_of`. smooth : result of
    :func:`variance_smoother`.
    """
    null = null_of(
        flipped_statistics(values, signs, smooth), len(values), mask, forming_p, two_sided, pairs
    )
    observed = next(flipped_statistics(values, signs[:1], smooth)).reshape(values.shape[1:])
    return compare(observed, null, len(values), mask, forming_p, two_sided, pairs)


def null_of(
    statistics: Iterable[np.ndarray],
    n_people: int,
    mask: np.ndarray,
    forming_p: float,
    two_sided: bool,
    pairs: np.ndarray | None = None,
) -> Null:
    """The largest value and the heaviest cluster of each map of statistics.

    Parameters
    ----------
    statistics : (n_voxels × n_trs,) each.
    mask : (x, y, z) bool, defines the neighbours; a cluster joins voxels that share a side, and
    successive seconds.
    forming_p : members of a cluster exceed the t value of this p, uncorrected. Its mass is the sum
    of the excess.
    two_sided : False: only values above zero are of interest.
    pairs : (n_pairs, 2), numbers of voxels of the mask that are neighbours, as on a mesh, in place of those that share
    a side; None: these.
    """
    forming, neighbours, largest_of_flips = _forming(forming_p, n_people, two_sided), None, []
    for statistic in statistics:
        neighbours = neighbours or Neighbours(mask, statistic.size // int(mask.sum()), pairs)
        largest = np.abs(statistic).max() if two_sided else statistic.max()
        largest_of_flips.append(
            (largest, neighbours.masses(statistic, forming, two_sided)[0].max(initial=0))
        )
    return Null(*np.array(largest_of_flips, dtype=np.float64).reshape(-1, 2).T)


def compare(
    observed: np.ndarray,
    null: Null,
    n_people: int,
    mask: np.ndarray,
    forming_p: float,
    two_sided: bool,
    pairs: np.ndarray | None = None,
) -> GroupTest:
    """Family-wise p of an observed map of statistics (n_voxels, n_trs); other parameters as for :func:`null_of`."""
    flat, forming = observed.ravel(), _forming(forming_p, n_people, two_sided)
    masses, cluster = Neighbours(mask, observed.shape[1], pairs).masses(flat, forming, two_sided)
    p_cluster = np.ones(flat.size)
    p_cluster[cluster >= 0] = family_wise(masses, null.heaviest)[cluster[cluster >= 0]]
    p_voxel = family_wise(np.abs(flat) if two_sided else flat, null.largest)
    rank = int(np.floor(ALPHA * len(null.largest) + ROUNDING))
    critical = float(np.sort(null.largest)[-rank]) if rank else np.inf
    shape = observed.shape
    return GroupTest(
        observed, p_voxel.reshape(shape), p_cluster.reshape(shape), critical, 1 / len(null.largest)
    )


def _forming(forming_p: float, n_people: int, two_sided: bool) -> float:
    return float(stats.t.isf(forming_p / 2 if two_sided else forming_p, n_people - 1))


def flipped_statistics(values: np.ndarray, signs: np.ndarray, smooth=None) -> Iterator[np.ndarray]:
    """One-sample t (or pseudo-t) of every voxel and second, (n_voxels × n_trs,) float64, for one row of ``signs`` each.

    A flip does not change the sum of squares, so all flips need one matrix product, done some rows
    at a time.
    """
    n, shape = len(values), values.shape[1:]
    flat = values.reshape(n, -1).astype(np.float64)
    mean_square = np.einsum("ij,ij->j", flat, flat) / n
    floor = np.maximum(mean_square * 1e-12, np.finfo(float).tiny)
    rows = max(1, BLOCK_BYTES // (8 * flat.shape[1]))
    for start in range(0, len(signs), rows):
        means = signs[start : start + rows].astype(np.float64) @ flat / n
        variances = np.maximum(mean_square - means**2, floor) * n / (n - 1)
        for mean, variance in zip(means, variances):
            yield pseudo_t(mean.reshape(shape), variance.reshape(shape), n, smooth).ravel()


def pseudo_t(mean: np.ndarray, variance: np.ndarray, n_people: int, smooth=None) -> np.ndarray:
    """One-sample t (n_voxels, n_trs) of means and variances over people; pseudo-t with ``smooth``."""
    return mean / np.sqrt((variance if smooth is None else smooth(variance)) / n_people)


def family_wise(observed: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Share of flips, including the first, whose largest value is at least the observed value."""
    reached = len(largest) - np.searchsorted(
        np.sort(largest), observed - ROUNDING * np.abs(observed)
    )
    return np.maximum(reached, 1) / len(largest)


def _after_in_grid(mask: np.ndarray) -> list[np.ndarray]:
    """Number of the next voxel (n_voxels,) along each of the three axes; -1 where it is outside the mask."""
    number = np.full(np.add(mask.shape, 1), -1)
    number[:-1, :-1, :-1][mask] = np.arange(int(mask.sum()))
    return [number[tuple((np.argwhere(mask) + step).T)] for step in np.eye(3, dtype=int)]


def _after_in_pairs(pairs: np.ndarray, n_voxels: int) -> list[np.ndarray]:
    """The neighbours of each voxel that are second in a pair, (n_voxels,) each; -1 where it has no more."""
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    first, second = pairs.T
    order = np.arange(len(first)) - np.searchsorted(
        first, first
    )  # 0 for a voxel's first pair, 1 for its second, …
    after = np.full((order.max(initial=-1) + 1, n_voxels), -1)
    after[order, first] = second
    return list(after)


class Neighbours:
    """Neighbours among a mask's voxels and seconds, and the clusters of a map.

    Only values above the threshold are processed, so a flip costs little for any size of the brain.

    Parameters
    ----------
    pairs : (n_pairs, 2), voxels that are neighbours; None: those that share a side.
    """

    def __init__(self, mask: np.ndarray, n_trs: int, pairs: np.ndarray | None = None):
        n_voxels = int(mask.sum())
        after = _after_in_grid(mask) if pairs is None else _after_in_pairs(pairs, n_voxels)
        node = np.arange(n_voxels * n_trs).reshape(n_voxels, n_trs)
        self._nobody = node.size
        ahead = [
            np.where(voxel[:, None] >= 0, voxel[:, None] * n_trs + np.arange(n_trs), node.size)
            for voxel in after
        ]
        ahead.append(np.column_stack([node[:, 1:], np.full(n_voxels, node.size)]))
        self._ahead = np.stack(ahead).reshape(len(ahead), -1).astype(np.int32)
        self._place = np.full(node.size + 1, -1)

    def masses(
        self, statistic: np.ndarray, forming: float, two_sided: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mass of every cluster, and the cluster of each voxel and second (n_voxels × n_trs,), −1 outside."""
        cluster, masses = np.full(self._nobody, -1), np.zeros(0)
        for sign in (1, -1) if two_sided else (1,):
            nodes = np.flatnonzero(sign * statistic > forming)
            self._place[nodes] = np.arange(len(nodes))
            target = self._place[self._ahead[:, nodes]]
            source = np.broadcast_to(np.arange(len(nodes)), target.shape)[target >= 0]
            self._place[nodes] = -1
            graph = sparse.coo_matrix(
                (np.ones(len(source)), (source, target[target >= 0])), (len(nodes), len(nodes))
            )
            n, label = csgraph.connected_components(graph, directed=False)
            cluster[nodes] = label + len(masses)
            masses = np.append(
                masses, np.bincount(label, np.abs(statistic[nodes]) - forming, minlength=n)
            )
        return masses, cluster
