"""Labels of episodes that are exchanged among episodes with the same viewers."""

import numpy as np


def exchanged_within_viewers(
    labels: np.ndarray, viewers: np.ndarray, n_permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """Labels (n_permutations, n_episodes) in random order among the episodes with the same viewers.

    Parameters
    ----------
    labels : (n_episodes,). viewers : (n_episodes,) who saw each.
    """
    orders = np.tile(labels, (n_permutations, 1))
    for who in np.unique(viewers):
        group = np.flatnonzero(viewers == who)
        orders[:, group] = rng.permuted(orders[:, group], axis=1)
    return orders
