"""Intervals of scores for new people and new episodes at once.

People see the same episodes, so a score varies with who was scanned and with what was shown. The
variances of both add up; what a person and an episode do together is in both and is taken off once
(Cameron, Gelbach & Miller 2011, J. Bus. Econ. Stat. 29:238). Each variance comes from a jackknife
that leaves out one person, one episode, or one person's episode. The interval takes the t of as
many degrees of freedom as the two variances have together (Satterthwaite 1946).
"""

from collections.abc import Callable

from neuroface.decoding import sum_of_variances

import numpy as np
from scipy import stats

CHUNK = 256  # samples of the jackknife that are weighted at once

Scores = dict[str, np.ndarray]
RANGES = {"log_loss": (0.0, np.inf), "mcc": (-1.0, 1.0)}  # of scores that are not between 0 and 1


def crossed_intervals(
    scored: Callable[[np.ndarray], Scores], people: np.ndarray, episodes: np.ndarray, level: float = 0.95,
    ranges: dict[str, tuple[float, float]] = RANGES,
) -> dict[str, tuple[float, float]]:  # fmt: skip
    """Intervals of scores over people and episodes.

    Parameters
    ----------
    scored : weights of volumes (n_samples, n) → score → (n_samples,). people, episodes : (n,) of
    each volume.
    ranges : score → the values that it can take, 0 to 1 where it is not named.

    Returns
    -------
    score → (low, high); empty with one person and one episode. With one person the interval is over
    episodes alone; with one episode, or where nobody shares an episode, over people alone.
    """
    person, episode = (np.unique(names, return_inverse=True)[1] for names in (people, episodes))
    cell = np.unique(person * (episode.max() + 1) + episode, return_inverse=True)[1]
    whole = scored(np.ones((1, len(person))))
    variances, freedom = [], []
    own = (
        person.max() > 0 and cell.max() == episode.max()
    )  # each episode has one viewer, and people are the only unit
    for group in (person,) if own else (person, episode):
        if group.max() > 0:
            variances.append(jackknife_variance(scored, group))
            freedom.append(group.max())
    if not variances:
        return {}
    together = (
        jackknife_variance(scored, cell) if len(variances) == 2 else dict.fromkeys(whole, 0.0)
    )
    intervals = {}
    for name, value in whole.items():
        of_each = np.array([variance[name] for variance in variances])
        total, n_free = sum_of_variances(of_each, together[name], np.array(freedom))
        half = stats.t.ppf((1 + level) / 2, n_free) * np.sqrt(total)
        low, high = ranges.get(name, (0.0, 1.0))
        intervals[name] = float(max(value[0] - half, low)), float(min(value[0] + half, high))
    return intervals


def jackknife_variance(
    scored: Callable[[np.ndarray], Scores], group: np.ndarray
) -> dict[str, float]:
    """Variance of each score from leaving out one group of volumes after the other; group : (n,) whole numbers from 0.

    Samples in which a score is not defined, because the last volumes of a label are left out, do
    not count.
    """
    n, jackknifed = int(group.max()) + 1, []
    for start in range(0, n, CHUNK):
        left_out = np.arange(start, min(start + CHUNK, n))
        jackknifed.append(scored((group != left_out[:, None]).astype(np.float64)))
    result = {}
    for name in jackknifed[0]:
        values = np.concatenate([scores[name] for scores in jackknifed])
        values = values[np.isfinite(values)]
        result[name] = float((len(values) - 1) * values.var()) if len(values) else np.nan
    return result


def difference_of(
    model: Callable[[np.ndarray], Scores], rival: Callable[[np.ndarray], Scores]
) -> Callable:
    """Scores of one model less those of another on the same volumes, as a function of their weights."""

    def scored(times: np.ndarray) -> Scores:
        first, second = model(times), rival(times)
        return {name: first[name] - second[name] for name in first if name in second}

    return scored
