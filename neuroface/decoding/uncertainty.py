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
# Of film folds, from which differences between films are told from chance within films by fifths of
# films. With fewer films the estimate is too uncertain.
LEAST_FILMS_TO_DIVIDE, N_FIFTHS = 16, 5
# So little that the score, on the logit scale too, changes in proportion: the labels of one of four
# films mixed as a whole would take an accuracy of .99 to .87.
MIXED_SHARE = 0.001
ROUNDING = 1e-10  # of a sum of float64 in another order, and more
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
    mixed: np.ndarray | None = None,
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
    mixed : (n_clusters, n_parts, ...) with a MIXED_SHARE of the labels mixed in one part of a
        cluster each, if the clusters are ``cross_validated``. Only the variance of what labels add
        to the statistic counts twice then: that between clusters, or with several parts that within
        clusters. None: all variance counts twice.
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
    half = quantile * _error(whole, left_out, cross_validated, mixed)
    low, high = whole - half, whole + half
    if limits is None:
        return low, high
    least, most = limits
    low, high = np.maximum(low, least), np.minimum(high, most)
    every = np.concatenate([whole[None], left_out])
    if mixed is not None:
        every = np.concatenate([every, np.reshape(mixed, (-1, *whole.shape))])
    values = (every - least) / (most - least)
    inside = ((values > 0) & (values < 1)).all(axis=0)
    transformed = logit(np.where(inside, values, 0.5))
    if mixed is not None:
        mixed = transformed[n + 1 :].reshape(np.shape(mixed))
    half = quantile * _error(transformed[0], transformed[1 : n + 1], cross_validated, mixed)
    low = np.where(inside, least + (most - least) * expit(transformed[0] - half), low)
    high = np.where(inside, least + (most - least) * expit(transformed[0] + half), high)
    return low, high


def _error(
    whole: np.ndarray, left_out: np.ndarray, cross_validated: bool, mixed: np.ndarray | None
) -> np.ndarray:
    """Standard error of :func:`jackknife_interval`."""
    error = _jackknife_error(left_out)
    if not cross_validated:
        return error
    if mixed is None:
        return error * widening(len(left_out))
    # What the labels of a part of a cluster add to the statistic. Its variance between clusters, or
    # within clusters if they have several parts, is that of a sum over all parts.
    added = (whole - np.asarray(mixed, dtype=float)) / MIXED_SHARE
    axis, n = (1, added.shape[1]) if added.shape[1] > 1 else (0, len(added))
    deviation = added - added.mean(axis=axis, keepdims=True)
    by_labels = n / (n - 1) * (deviation**2).sum(axis=(0, 1))
    doubled = np.minimum(by_labels, error**2)
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
    and the others as the training set.

    Two parts of the variance are no sums over such pairs, and ``mixed`` of
    :func:`jackknife_interval` makes the factor smaller. One is the share of windows that are called
    class 1, on which accuracy and F1 depend: models learn differences between labels, which say
    nothing about it. The other is that the effect differs between clusters.

    With an effect the right factor depends on how much of the weights of the models is noise, which
    the predictions do not tell: coverage is above 95 % with few features and many clusters, and below it with
    many features (docs/reading-the-numbers.md).
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
    widened : upper limit of the factor for models that learn from each other's films, runs or people.
    scores : result of :func:`cluster_intervals`; over runs of one person only accuracy and AUC.
    why_none : why ``scores`` is empty, else "".
    """
    over, columns = ("films", ["movie"]) if split == "movie" else ("people", ["subject"])
    if split == "run" and windows["subject"].nunique() == 1:
        over, columns = RUNS_OF_ONE, ["movie", "run"]
    cross_validated = split in ("movie", "subject") or over == RUNS_OF_ONE
    clusters = windows.groupby(columns, sort=False).ngroup().to_numpy()
    n = len(np.unique(clusters))
    parts = np.zeros(len(y), dtype=int)
    if over == "films" and n >= LEAST_FILMS_TO_DIVIDE:
        parts = fifths_of_films(windows)
    intervals = cluster_intervals(y, probability, clusters, parts if cross_validated else None)
    why = ""
    if over == RUNS_OF_ONE:
        intervals = {
            name: interval for name, interval in intervals.items() if name in HOLD_FOR_FEW_WINDOWS
        }
    if n < LEAST_CLUSTERS:
        why = f"too few {over} for an interval: {n} of at least {LEAST_CLUSTERS}"
    elif not intervals:
        why = f"no interval over {over}: they do not differ, or one of them holds all windows of a class"
    factor = widening(n) if cross_validated else 1.0
    return {"over": over, "n": n, "widened": factor, "scores": intervals, "why_none": why}


def fifths_of_films(windows: pd.DataFrame) -> np.ndarray:
    """Which fifth of its film's moments each window belongs to, (n,) of 0 to 4.

    Fifths are contiguous, so that the slow noise of a film is within them. A film of fewer than five
    events has one for each event.

    Parameters
    ----------
    windows : columns movie, run, event and first_tr. Viewers share the events of a film.
    """
    events = windows.sort_values(["movie", "run", "first_tr"]).drop_duplicates("event")
    place = events.groupby("movie").cumcount().to_numpy()
    n_events = events.groupby("movie")["event"].transform("size").to_numpy()
    n_of_film = np.minimum(N_FIFTHS, n_events)  # a film of three events has three of them
    fifth = pd.Series(place * n_of_film // n_events, index=events["event"])
    return fifth[windows["event"]].to_numpy()


def cluster_intervals(
    y: np.ndarray,
    probability: np.ndarray,
    clusters: np.ndarray,
    parts: np.ndarray | None = None,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Intervals of scores over whole people (or films): :func:`jackknife_interval` without one of them each.

    Windows of one person, or of one film, are not independent (Field & Welsh 2007, J. R. Stat. Soc.
    B 69:369). Percentiles of a bootstrap over few clusters are too narrow.

    Parameters
    ----------
    y, probability : (n,). clusters : (n,) person or film of each window.
    parts : where the models of clusters learnt from each other's, the part of its cluster that each
        window belongs to, (n,) of 0, 1, …; all 0 where clusters are not divided. None: clusters are
        independent.

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
    mixed = {} if parts is None else scores_of_mixed_labels(y, probability, cluster, parts)
    result = {}
    for name, value in values.items():
        if np.ptp(value) < 1e-12:
            continue
        low, high = jackknife_interval(
            value[0],
            value[1:],
            LIMITS.get(name, (0, 1)),
            parts is not None,
            level,
            mixed.get(name),
        )
        result[name] = float(low), float(high)
    return result


def scores_of_mixed_labels(
    y: np.ndarray, probability: np.ndarray, cluster: np.ndarray, parts: np.ndarray
) -> dict[str, np.ndarray]:
    """Scores (n_clusters, n_parts) where labels of one part of a cluster are mixed.

    A MIXED_SHARE of each of its windows belongs to both classes, by their shares of all windows. A
    cluster at a time, to save memory.
    """
    of_clusters, other = [], y + MIXED_SHARE * (y.mean() - y)
    for number in range(cluster.max() + 1):
        here = (cluster == number) & (parts == np.arange(parts.max() + 1)[:, None])
        labels = np.where(here, other, y)
        of_clusters.append(weighted_scores(labels, probability, np.ones_like(here, dtype=int)))
    return {name: np.stack([scores[name] for scores in of_clusters]) for name in of_clusters[0]}


LIMITS = {"mcc": (-1, 1)}


def weighted_scores(
    y: np.ndarray, probability: np.ndarray, times: np.ndarray
) -> dict[str, np.ndarray]:
    """Scores of the same windows with many sets of whole weights, all at once.

    Parameters
    ----------
    y : (n,), or (n_draws, n); a number between 0 and 1 is a share of class 1. probability : (n,).
    times : (n_draws, n) weight of each window; each row holds both classes.

    Returns
    -------
    accuracy, mcc, f1 (threshold 0.5), auc, pr_auc (average precision) : (n_draws,) each.
    """
    order = np.argsort(-probability, kind="stable")
    y, probability, times = y[..., order], probability[order], times[:, order]
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
    predicted = probability >= 0.5
    tp, fp = ((times * which)[:, predicted].sum(axis=1) for which in (y, 1 - y))
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
    """Share of the null at least as large as ``observed``, counting the observation itself (Phipson & Smyth 2010).

    A relabelling that changes nothing has the observed value up to rounding, and counts: differences
    below :data:`ROUNDING` of the largest value are none.
    """
    null = np.asarray(null, dtype=np.float64)
    sizes = np.abs(np.append(null, observed))
    slack = ROUNDING * np.max(sizes, initial=0, where=np.isfinite(sizes))
    return float((1 + np.sum(null >= observed - slack)) / (1 + len(null)))
