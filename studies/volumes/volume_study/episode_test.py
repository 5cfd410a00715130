"""Where maps depend on the label: held-out episodes exchange their labels, fold by fold.

Sign flips of people do not fit here. People saw the same episodes, so their maps share what these
episodes happen to hold, and all maps of a fold come from one network. What the null hypothesis
allows is that held-out episodes exchange their labels: given a network that never saw them, each
order is as likely. This holds within a fold. Networks of different folds are trained on each
other's held-out episodes, so that p-values of folds depend on each other: the smallest is
multiplied with the number of folds (Bonferroni), which is right for any dependence.
"""

from dataclasses import dataclass
from itertools import combinations, product
from math import comb, prod

from volume_study.exchange import exchanged_within_viewers

import numpy as np

ALPHA = 0.05  # family-wise, over the voxels of a map
ROUNDING = 1e-9  # relative difference of one value summed in two orders
BLOCK_BYTES = 64 * 2**20  # of statistics that are in memory at once


@dataclass(frozen=True)
class EpisodeTest:
    """Outcome of :func:`episode_test`."""

    difference: (
        np.ndarray
    )  # (n_voxels,) mean map of the label's episodes less that of the others, mean over folds
    p_voxel: np.ndarray  # (n_voxels,) family-wise over voxels
    smallest_p: float  # that the permutations allow
    n_permutations: list[int]  # of each tested fold
    exact: bool  # all permutations were taken


def episode_test(
    maps: np.ndarray,
    own: np.ndarray,
    fold: np.ndarray,
    viewers: np.ndarray,
    n_permutations: int,
    seed: int,
) -> EpisodeTest | None:
    """Test where the map of a label's score is larger or smaller in episodes of this label than in other episodes.

    The statistic of a voxel is the t of two groups of episodes, its maximum over voxels is compared
    with that of exchanged labels (Westfall & Young 1993). An episode counts once, however many
    volumes and viewers it has.

    Parameters
    ----------
    maps : (n_episodes, n_voxels) of each held-out episode, every one explained for the same label.
        own : (n_episodes,) bool, episodes of this label. fold : (n_episodes,) by whose network it
        was explained. viewers : (n_episodes,) who saw it: labels are exchanged among episodes with
        the same viewers.
    n_permutations : largest number in a fold; if there are no more, each is used once.

    Returns
    -------
    The test over the folds that hold out the label and another one; None where none does.
    """
    differences, smallest, floors, counts, exact = [], [], [], [], True
    for number in np.unique(fold):
        in_fold = fold == number
        orders, complete = exchanged(
            own[in_fold], viewers[in_fold], n_permutations, seed + int(number)
        )
        if len(orders) < 2:
            continue
        difference, p = _test_fold(maps[in_fold].astype(np.float64), orders, viewers[in_fold])
        differences.append(difference)
        smallest.append(p)
        counts.append(len(orders))
        floors.append(1 / len(orders))
        exact &= complete
    if not counts:
        return None
    n = len(counts)
    p_voxel = np.minimum(1, n * np.min(smallest, axis=0))
    return EpisodeTest(
        np.mean(differences, axis=0), p_voxel, min(1.0, n * min(floors)), counts, bool(exact)
    )


def mean_difference(maps: np.ndarray, own: np.ndarray, fold: np.ndarray) -> np.ndarray | None:
    """Mean map of a label's episodes less that of the others (n_voxels,): within each fold, then the mean over folds.

    Parameters
    ----------
    maps : (n_episodes, n_voxels). own, fold : (n_episodes,) as in :func:`episode_test`. None if no
    fold holds both.
    """
    differences = []
    for number in np.unique(fold):
        in_fold = fold == number
        if own[in_fold].any() and not own[in_fold].all():
            differences.append(
                maps[in_fold & own].mean(axis=0, dtype=np.float64)
                - maps[in_fold & ~own].mean(axis=0, dtype=np.float64)
            )
    return np.mean(differences, axis=0) if differences else None


def exchanged(
    own: np.ndarray, viewers: np.ndarray, n_permutations: int, seed: int
) -> tuple[np.ndarray, bool]:
    """Which episodes carry the label when labels are exchanged among episodes with the same viewers.

    Returns
    -------
    (n, n_episodes) bool, the first row is ``own``; and whether all distinct orders are there.
    """
    groups = [np.flatnonzero(viewers == who) for who in np.unique(viewers)]
    n_distinct = prod(comb(len(group), int(own[group].sum())) for group in groups)
    if n_distinct <= n_permutations:
        choices = [combinations(group, int(own[group].sum())) for group in groups]
        orders = np.zeros((n_distinct, len(own)), dtype=bool)
        for row, chosen in enumerate(product(*choices)):
            orders[row, [episode for of_label in chosen for episode in of_label]] = True
        first = np.flatnonzero((orders == own).all(axis=1))[0]
        orders[[0, first]] = orders[[first, 0]]
        return orders, True
    rng = np.random.default_rng(seed)
    others = exchanged_within_viewers(own, viewers, n_permutations - 1, rng)
    return np.concatenate([own[None], others]), False


def _test_fold(
    maps: np.ndarray, orders: np.ndarray, viewers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Difference between the label's episodes and others (n_voxels,), and the family-wise p of a fold (n_voxels,)."""
    maps, member = maps.copy(), orders.astype(np.float64)
    for who in np.unique(viewers):
        group = viewers == who
        maps[group] -= maps[group].mean(axis=0)
        member[:, group] -= member[:, group].mean(axis=1, keepdims=True)
    size = (member[0] ** 2).sum()  # the same for all orders
    square = (maps**2).sum(axis=0)
    freedom = max(len(maps) - len(np.unique(viewers)) - 1, 1)
    largest, step = np.empty(len(orders)), max(1, BLOCK_BYTES // (8 * maps.shape[1]))
    for start in range(0, len(orders), step):
        difference = member[start : start + step] @ maps / size
        statistic = np.abs(_t(difference, size, square, freedom))
        largest[start : start + step] = statistic.max(axis=1)
        if start == 0:
            observed, first = statistic[0], difference[0]
    reached = len(largest) - np.searchsorted(np.sort(largest), observed * (1 - ROUNDING))
    return first, np.maximum(reached, 1) / len(largest)


def _t(difference: np.ndarray, size: float, square: np.ndarray, freedom: int) -> np.ndarray:
    """t of a difference (…, n_voxels) between two groups of episodes; 0 where no map varies."""
    rest = np.maximum(square - size * difference**2, square * 1e-12) / freedom
    return np.divide(
        difference * np.sqrt(size), np.sqrt(rest), out=np.zeros_like(difference), where=rest > 0
    )
