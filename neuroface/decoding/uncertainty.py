"""How certain a score is: t intervals over people and films, and a null in which whole events swap their labels."""

from neuroface.bold import stimuli_of

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import t

# Of an interval. The t of 3 clusters is 4.3 and their variance is hardly known, so their interval
# says nothing. Coverage was measured with 4 and more (docs/reading-the-numbers.md).
LEAST_CLUSTERS = 4
RUNS_OF_ONE = "runs of one person"
# Of film folds, from which the part of the variance that is doubled is estimated from fifths of
# films. With fewer films the estimate is too uncertain, and all of it counts twice.
LEAST_FILMS_TO_DIVIDE, N_FIFTHS = 16, 5
HOLD_FOR_FEW_WINDOWS = (
    "accuracy",
    "auc",
)  # intervals of the others cover too seldom with 8 to 12 windows of a class


def jackknife_interval(
    whole: np.ndarray,
    left_out: np.ndarray,
    limits: tuple[float, float] | None = None,
    cross_validated: bool = False,
    level: float = 0.95,
    without_parts: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """t interval of any statistic from its values without one cluster each (delete-one-cluster jackknife).

    For any statistic: compute it on all data, then once without each person, film or block of time.
    For a statistic of weighted windows, row k of the weights is ``clusters != k``. Differences
    between models are statistics too. Efron & Tibshirani 1993 (An Introduction to the Bootstrap,
    chapter 11), with n_clusters − 1 degrees of freedom.

    Parameters
    ----------
    whole : (...) on all clusters. left_out : (n_clusters, ...) without each cluster.
    cross_validated : each cluster is predicted by a model that learnt from other ones (film folds,
        people folds): see :func:`widening`. Else the clusters are independent.
    without_parts : (n_clusters, n_parts, ...) without one part of a cluster each, if the clusters
        are ``cross_validated``. What clusters have by chance, as the variance within them tells, is
        then the variance that counts twice. Differences between clusters that are more than this
        count once.
    limits : lowest and highest possible value. The interval is then computed on the logit scale,
        which keeps it inside; where a value lies at a limit, on the scale of the statistic, cut at
        the limits.

    Returns
    -------
    low, high : (...) each; NaN with fewer than ``LEAST_CLUSTERS`` clusters, or where a value is not
    finite.
    """
    whole, left_out = np.asarray(whole, dtype=float), np.asarray(left_out, dtype=float)
    n = len(left_out)
    if n < LEAST_CLUSTERS:
        return np.full(whole.shape, np.nan), np.full(whole.shape, np.nan)
    quantile = t.ppf((1 + level) / 2, n - 1)
    half = quantile * _error(left_out, cross_validated, without_parts)
    low, high = whole - half, whole + half
    if limits is None:
        return low, high
    least, most = limits
    low, high = np.maximum(low, least), np.minimum(high, most)
    every = np.concatenate([whole[None], left_out])
    if without_parts is not None:
        every = np.concatenate([every, np.reshape(without_parts, (-1, *whole.shape))])
    values = (every - least) / (most - least)
    inside = ((values > 0) & (values < 1)).all(axis=0)
    transformed = logit(np.where(inside, values, 0.5))
    if without_parts is not None:
        without_parts = transformed[n + 1 :].reshape(np.shape(without_parts))
    half = quantile * _error(transformed[1 : n + 1], cross_validated, without_parts)
    low = np.where(inside, least + (most - least) * expit(transformed[0] - half), low)
    high = np.where(inside, least + (most - least) * expit(transformed[0] + half), high)
    return low, high


def _error(
    left_out: np.ndarray, cross_validated: bool, without_parts: np.ndarray | None
) -> np.ndarray:
    """Standard error of :func:`jackknife_interval`."""
    error = _jackknife_error(left_out)
    if not cross_validated:
        return error
    if without_parts is None:
        return error * widening(len(left_out))
    # The variance within clusters, of independent parts of the same size, added up over clusters. A
    # cluster without a part weighs less than the others, so the factor is the inverse of that of a
    # jackknife.
    parts = np.asarray(without_parts, dtype=float)
    n_parts = parts.shape[1]
    deviation = parts - parts.mean(axis=1, keepdims=True)
    within = n_parts / (n_parts - 1) * (deviation**2).sum(axis=(0, 1))
    doubled = np.minimum(within, error**2)
    return np.sqrt(error**2 + doubled * (widening(len(left_out)) ** 2 - 1))


def _jackknife_error(left_out: np.ndarray) -> np.ndarray:
    """Standard error from (n_clusters, ...) values without one cluster each."""
    n = len(left_out)
    return np.sqrt((n - 1) / n * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))


def widening(n_clusters: int) -> float:
    """Factor of a standard error over clusters (films, people) whose models learnt from each other's clusters.

    Without an effect the score is a sum over pairs of clusters, each of which is tested by what was
    learnt from the other. So each pair counts twice in the sum, and only once in the variance
    between clusters: the variance is twice as large. It is 1 + n / (n − 1) times as large here: the
    correction of Nadeau & Bengio (2003, Machine Learning 52:239), with one cluster as the test set
    and the others as the training set. With an effect and many clusters the models hardly depend on
    a single cluster, and the factor is larger than necessary: then ``without_parts`` of
    :func:`jackknife_interval` makes it smaller.
    """
    return float(np.sqrt(1 + n_clusters / max(n_clusters - 1, 1)))


def intervals_of_split(
    y: np.ndarray, probability: np.ndarray, windows: pd.DataFrame, split: str
) -> dict:
    """The 95 % intervals of scores under one cross-validation.

    Where whole films are held out they are over films, whose viewers share moments and model. Where
    whole runs of a single person are held out they are over these runs. Else they are over people.

    Parameters
    ----------
    y, probability : (n,). windows : (n,) rows with columns movie, run, subject; for 16 films or more
    also event and first_tr. split : "movie", "window", ...

    Returns
    -------
    over : "films", "runs of one person" or "people". n : how many.
    widened : factor for models that learn from each other's films, runs or people; with 16 films or
    more its upper limit.
    scores : result of :func:`cluster_intervals`; over runs of one person only accuracy and AUC.
    why_none : why ``scores`` is empty, else "".
    """
    over, columns = ("films", ["movie"]) if split == "movie" else ("people", ["subject"])
    if split == "run" and windows["subject"].nunique() == 1:
        over, columns = RUNS_OF_ONE, ["movie", "run"]
    cross_validated = split in ("movie", "subject") or over == RUNS_OF_ONE
    clusters = windows.groupby(columns, sort=False).ngroup().to_numpy()
    n = len(np.unique(clusters))
    parts = None
    if over == "films" and n >= LEAST_FILMS_TO_DIVIDE:
        parts = fifths_of_films(windows)
    found, why = cluster_intervals(y, probability, clusters, cross_validated, parts=parts), ""
    if over == RUNS_OF_ONE:
        found = {name: interval for name, interval in found.items() if name in HOLD_FOR_FEW_WINDOWS}
    if n < LEAST_CLUSTERS:
        why = f"too few {over} for an interval: {n} of at least {LEAST_CLUSTERS}"
    elif not found:
        why = f"no interval over {over}: they do not differ, or one of them holds all windows of a class"
    factor = widening(n) if cross_validated else 1.0
    return {"over": over, "n": n, "widened": factor, "scores": found, "why_none": why}


def fifths_of_films(windows: pd.DataFrame) -> np.ndarray:
    """Which fifth of its film's moments each window belongs to, (n,) of 0 to 4.

    Fifths are contiguous, so that the slow noise of a film is within them.

    Parameters
    ----------
    windows : columns movie, run, event and first_tr. Viewers share the events of a film.
    """
    events = windows.sort_values(["movie", "run", "first_tr"]).drop_duplicates("event")
    place = events.groupby("movie").cumcount().to_numpy()
    n_events = events.groupby("movie")["event"].transform("size").to_numpy()
    fifth = pd.Series(place * N_FIFTHS // n_events, index=events["event"])
    return fifth[windows["event"]].to_numpy()


def cluster_intervals(
    y: np.ndarray,
    probability: np.ndarray,
    clusters: np.ndarray,
    cross_validated: bool = False,
    level: float = 0.95,
    parts: np.ndarray | None = None,
) -> dict[str, tuple[float, float]]:
    """Intervals of scores over whole people (or films): :func:`jackknife_interval` without one of them each.

    Windows of one person, or of one film, are not independent (Field & Welsh 2007, J. R. Stat. Soc.
    B 69:369). Percentiles of a bootstrap over few clusters are too narrow.

    Parameters
    ----------
    y, probability : (n,). clusters : (n,) person or film of each window. cross_validated : of
        :func:`jackknife_interval`.
    parts : (n,) part of its cluster that each window belongs to, 0 to N_FIFTHS − 1
        (:func:`fifths_of_films`); None: clusters are not divided.

    Returns
    -------
    {"accuracy", "mcc", "f1", "auc", "pr_auc": (low, high)}; empty with fewer than
    ``LEAST_CLUSTERS`` clusters, or where one cluster holds all windows of a class. A score without
    spread, such as an accuracy of 1 in all clusters, is left out: an interval of no width would
    claim that it is known exactly.
    """
    names, cluster = np.unique(clusters, return_inverse=True)
    without = (cluster != np.arange(len(names))[:, None]).astype(int)
    both = (without @ y > 0) & (without @ (1 - y) > 0)
    if len(names) < LEAST_CLUSTERS or not both.all():
        return {}
    values = weighted_scores(y, probability, np.vstack([np.ones_like(y, dtype=int), without]))
    without_parts = {} if parts is None else _scores_without_parts(y, probability, cluster, parts)
    result = {}
    for name, value in values.items():
        if np.ptp(value) < 1e-12:
            continue
        low, high = jackknife_interval(
            value[0],
            value[1:],
            LIMITS.get(name, (0, 1)),
            cross_validated,
            level,
            without_parts.get(name),
        )
        result[name] = float(low), float(high)
    return result


def _scores_without_parts(
    y: np.ndarray, probability: np.ndarray, cluster: np.ndarray, parts: np.ndarray
) -> dict[str, np.ndarray]:
    """Scores (n_clusters, N_FIFTHS) without one part of a cluster each; a cluster at a time, to save memory."""
    of_clusters = []
    for number in range(cluster.max() + 1):
        left_out = (cluster == number) & (parts == np.arange(N_FIFTHS)[:, None])
        of_clusters.append(weighted_scores(y, probability, (~left_out).astype(int)))
    return {name: np.stack([scores[name] for scores in of_clusters]) for name in of_clusters[0]}


LIMITS = {"mcc": (-1, 1)}


def weighted_scores(
    y: np.ndarray, probability: np.ndarray, times: np.ndarray
) -> dict[str, np.ndarray]:
    """Scores of the same windows with many sets of whole weights, all at once.

    Parameters
    ----------
    y, probability : (n,). times : (n_draws, n) weight of each window; each row holds both classes.

    Returns
    -------
    accuracy, mcc, f1 (threshold 0.5), auc, pr_auc (average precision) : (n_draws,) each.
    """
    order = np.argsort(-probability, kind="stable")
    y, probability, times = y[order], probability[order], times[:, order]
    last = np.flatnonzero(
        np.append(np.diff(probability) != 0, True)
    )  # windows of equal probability share a threshold
    hits, alarms = (np.cumsum(times * which, axis=1)[:, last].astype(float) for which in (y, 1 - y))
    n_positive, n_negative = hits[:, -1], alarms[:, -1]
    new_hits, new_alarms = (np.diff(counts, axis=1, prepend=0) for counts in (hits, alarms))
    # Each class-1 window counts every class-0 window with a lower probability, and half of those with
    # the same probability (Mann-Whitney).
    beaten = n_negative[:, None] - alarms + new_alarms / 2
    precision = np.divide(hits, hits + alarms, out=np.zeros_like(hits), where=hits + alarms > 0)
    said = probability >= 0.5
    tp, fp = times @ (y * said), times @ ((1 - y) * said)
    fn, tn = n_positive - tp, n_negative - fp
    spread = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return {
        "accuracy": (tp + tn) / (n_positive + n_negative),
        "mcc": np.divide(tp * tn - fp * fn, spread, out=np.zeros_like(spread), where=spread > 0),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "auc": (new_hits * beaten).sum(axis=1) / (n_positive * n_negative),
        "pr_auc": (new_hits * precision).sum(axis=1) / n_positive,
    }


def permuted_labels(
    samples: pd.DataFrame, n_permutations: int, seed: int, positive: str
) -> np.ndarray:
    """Labels after whole events have swapped them within a film or run, in the same way for all viewers.

    All viewers of a moment keep the same label, so the null has the same dependence between windows
    as the data.

    Parameters
    ----------
    samples : columns event, label, and stimulus (events of different films, or parts of a film,
    never swap).
    positive : the label that counts as 1.

    Returns
    -------
    (n, n_permutations) int8.
    """
    y = (samples["label"] == positive).to_numpy(np.int8)
    return exchanged_labels(y, samples["event"], stimuli_of(samples), n_permutations, seed)


def exchanged_labels(
    y: np.ndarray, events: pd.Series, parts: np.ndarray, n_permutations: int, seed: int
) -> np.ndarray:
    """Labels after whole events have exchanged them within a part of the stimulus, in the same way for all viewers.

    Parameters
    ----------
    y : (n,) class numbers, the same for all rows of an event. events, parts : (n,) event of each row
    and its part of the stimulus.

    Returns
    -------
    (n, n_permutations) int8.
    """
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame({"event": events.to_numpy(), "part": parts, "y": y})
    each = rows.drop_duplicates("event").reset_index(drop=True)
    position = pd.Series(each.index, index=each["event"])[rows["event"]].to_numpy()
    label = each["y"].to_numpy(np.int8)
    blocks = list(each.groupby("part").indices.values())
    result = np.empty((len(rows), n_permutations), dtype=np.int8)
    for column in range(n_permutations):
        moved = label.copy()
        for block in blocks:
            moved[block] = rng.permutation(label[block])
        result[:, column] = moved[position]
    return result


def p_value(observed: float, null: np.ndarray) -> float:
    """Share of the null at least as large as ``observed``, counting the observation itself (Phipson & Smyth 2010)."""
    return float((1 + np.sum(np.asarray(null) >= observed)) / (1 + len(null)))
