"""Does the order of reconstructed frames within a shot come from the brain?

Within a shot the picture changes by motion alone. If reconstructions hold motion, frames in their
own order are more like the film than frames in another order. A permutation of single frames is no
valid null: film and BOLD are smooth, so by chance both drift in the same direction or in opposite
ones, and permuted orders lie between (``benchmarks/null_studies/film.py``: p <= .05 in 23 % of 400
null studies; by reversed orders in 3 %). The reversed order is as smooth as the own one. So the
score of each shot is the similarity in its own order less that in reversed order; under the null its
sign is random.
"""

from film_encoding.identification import similarity
from neuroface.decoding import p_value

import numpy as np
from scipy import stats

FEWEST_SHOTS = 6  # 2 ** -5 is above 0.03: with fewer no p can be small


def order_of_shots(
    frames: np.ndarray, images: np.ndarray, shots: np.ndarray
) -> dict[str, np.ndarray]:
    """Pixel r of reconstructions in three orders, a value per shot with two or more moments.

    Parameters
    ----------
    frames, images : (n, height, width, 3), consecutive moments of films and their reconstructions.
    shots : (n,) shot of each moment; another number for every shot of every film.

    Returns
    -------
    "own", "reversed": mean pixel r of frames in their own and in reversed order; "permuted": the
    mean over all orders; each (n_shots,).
    """
    own, turned, permuted = [], [], []
    for shot in dict.fromkeys(shots):
        rows = np.flatnonzero(shots == shot)
        if len(rows) < 2:
            continue
        similar = similarity(frames[rows], images[rows])
        own.append(np.trace(similar) / len(rows))
        turned.append(np.trace(similar[::-1]) / len(rows))
        permuted.append(similar.mean())
    return {"own": np.array(own), "reversed": np.array(turned), "permuted": np.array(permuted)}


def order_test(of_shots: dict[str, np.ndarray], n_flips: int, seed: int) -> dict:
    """Whether the own order is better than the reversed one, over shots.

    Parameters
    ----------
    of_shots : of :func:`order_of_shots`. n_flips : random changes of the signs of all shots.

    Returns
    -------
    "order_own", "order_permuted", "order_reversed": means over shots. "order": own less reversed,
    with "order_interval" of Student's t over shots; "order_p", one-sided, by changed signs, and
    "order_p_smallest"; "n_shots". NaN with fewer than :data:`FEWEST_SHOTS`.
    """
    gains = of_shots["own"] - of_shots["reversed"]
    n = len(gains)
    means = {f"order_{name}": _mean(values) for name, values in of_shots.items()}
    if n < FEWEST_SHOTS:
        nothing = {"order_p": np.nan, "order_p_smallest": np.nan, "order_interval": [np.nan] * 2}
        return means | nothing | {"order": _mean(gains), "n_shots": n}
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(n_flips, n))
    half = stats.t.ppf(0.975, n - 1) * gains.std(ddof=1) / np.sqrt(n)
    return means | {
        "order": float(gains.mean()),
        "order_interval": [float(gains.mean() - half), float(gains.mean() + half)],
        "order_p": p_value(float(gains.mean()), signs @ gains / n),
        "order_p_smallest": max(1 / (n_flips + 1), 0.5**n),
        "n_shots": n,
    }


def mean_of_seeds(of_seeds: list[list[dict[str, np.ndarray]]]) -> dict[str, np.ndarray]:
    """Results of :func:`order_of_shots`, a list of folds per seed, as one: folds after each other, means over seeds."""
    joined = [
        {name: np.concatenate([fold[name] for fold in folds]) for name in folds[0]}
        for folds in of_seeds
    ]
    return {name: np.mean([of_seed[name] for of_seed in joined], axis=0) for name in joined[0]}


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan
