"""A run on the time axis of the film: table of predictions, alignment, and averages around events."""

from itertools import combinations

from neuroface.bold import (
    ROUNDING_S,
    Labels,
    Run,
    on_screen,
    read_censor,
    spans_break,
    stimulus_time_s,
    touches,
    whole_windows,
)

import numpy as np
import pandas as pd
from scipy.stats import rankdata


def columns_of(labels: Labels) -> dict[str, dict]:
    """What each column of a run's table means (BIDS sidecar). The truth is in the column named after the first condition."""
    none, there = reversed(labels.titles)
    return {
        "tr": {"Description": "Volume of the BOLD series, from 0, at which the window starts"},
        "stimulus_time_s": {
            "Description": "Film time that the prediction refers to",
            "Units": "s",
        },
        "probability": {
            "Description": f"Predicted probability of {labels.singular}; n/a where no whole window starts, or where each "
            "fold model had seen the moment (HELD_OUT_SPLIT = event)",
        },
        "logit": {
            "Description": "The network's output before the sigmoid; the mean over SMOOTH_TRS volumes"
        },
        labels.first: {
            "Description": f"Whether {labels.is_there} at that moment; n/a before the film begins and after its end",
            "Levels": {"0": none if none.startswith("no ") else f"no {there}", "1": there},
        },
        "in_window": {
            "Description": "Whether the whole window lies in one stretch of the film that could have been a training window",
            "Levels": {"0": "no: the window is mixed, or its stretch is short", "1": "yes"},
        },
        "split": {"Description": "Cross-validation whose fold model predicted"},
        "seen_in_training": {
            "Description": "Whether that model had seen this moment of the film, or one within EMBARGO_TRS of it, in "
            "training or to choose its epoch, with this person or another one; n/a where nothing is predicted",
            "Levels": {"0": "no", "1": "yes: the prediction is no test of the model"},
        },
        "fold_model": {
            "Description": "Number of the fold model that predicts this volume; n/a where all of them had seen the moment"
        },
    }


def timeline(
    logit: np.ndarray, first: np.ndarray, second: np.ndarray | None, tr_s: float, lag_s: float, window_trs: int,
    at: float, min_stretch_s: float, ahead_s: np.ndarray | float = 0.0, film_s: float = np.inf,
) -> pd.DataFrame:  # fmt: skip
    """Table of a run, one row per volume: the first six of :func:`columns_of`, with the truth in a column ``truth``.

    Parameters
    ----------
    logit : (n_trs,) of the window that starts at each volume, NaN where there is none.
    first, second : (n, 2) stretches of both conditions; None: the second consists of the gaps of
    the first.
    at : time in its window to which a prediction is assigned
    (:func:`neuroface.bold.stimulus_time_s`).
    min_stretch_s : a stretch gives a training window if it is longer than this.
    ahead_s : (n_trs,) how far the film is ahead of each volume
    (:func:`neuroface.bold.film_ahead_s`).
    film_s : length of the film, if the run goes on after it.
    """
    tr = np.arange(len(logit))
    time_s = stimulus_time_s(tr, tr_s, lag_s, window_trs, at) + ahead_s
    start_s = stimulus_time_s(tr, tr_s, lag_s, window_trs, 0) + ahead_s
    if second is None:
        second = gaps(first)
    inside = []
    for own, other in ((first, second), (second, first)):
        long = own[own[:, 1] > min_stretch_s]
        inside.append(
            within(start_s, window_trs * tr_s, long) & ~touches(start_s, window_trs * tr_s, other)
        )
    table = pd.DataFrame(
        {
            "tr": tr,
            "stimulus_time_s": time_s,
            "probability": 1 / (1 + np.exp(-logit)),
            "logit": logit,
            "truth": pd.array(on_screen(time_s, first), dtype="Int8"),
            "in_window": (inside[0] | inside[1]).astype(np.int8),
        }
    )
    table.loc[(time_s < 0) | (time_s >= film_s), "truth"] = (
        pd.NA
    )  # no film is shown: neither condition
    return table


def on_every_tr(logit: np.ndarray, run: Run, window_trs: int) -> np.ndarray:
    """Logits per volume of the series → per TR of the film.

    NaN where a window would touch a censored TR (:func:`neuroface.bold.read_censor`) or span a break
    of the scan (:func:`neuroface.bold.spans_break`), both of which are known in TRs.

    Parameters
    ----------
    logit : (n_volumes,).
    """
    kept = read_censor(run.censor, len(logit))
    first_tr, first_volume = whole_windows(kept, window_trs)
    by_tr = np.full(len(kept), np.nan)
    by_tr[first_tr] = logit[first_volume]
    by_tr[spans_break(run, np.arange(len(kept)), window_trs)] = np.nan
    return by_tr


def smoothed(logit: np.ndarray, trs: int) -> np.ndarray:
    """Mean of the known logits over ``trs`` (odd) volumes, centred on each volume; NaN where that logit is unknown."""
    known, kernel = np.isfinite(logit), np.ones(trs)
    total, count = (
        np.convolve(values, kernel)[trs // 2 :][: len(logit)]
        for values in (np.where(known, logit, 0), known)
    )
    return np.where(known, total / np.maximum(count, 1), np.nan)


def gaps(stretches: np.ndarray) -> np.ndarray:
    """The gaps (n − 1, 2) between stretches (n, 2), onset_s and duration_s both."""
    ends = stretches[:-1].sum(axis=1)
    return np.column_stack([ends, stretches[1:, 0] - ends]).reshape(-1, 2)


def within(start_s: np.ndarray, length_s: float, stretches: np.ndarray) -> np.ndarray:
    """Whether each interval of ``length_s`` from ``start_s`` (n,) lies in one of the stretches (m, 2)."""
    if not len(stretches):
        return np.zeros(len(start_s), dtype=bool)
    stretches = stretches[np.argsort(stretches[:, 0], kind="stable")]
    row = np.searchsorted(stretches[:, 0], start_s + ROUNDING_S, side="right") - 1
    return (row >= 0) & (start_s + length_s <= stretches[row].sum(axis=1) + ROUNDING_S)


def values_on(
    grid_s: np.ndarray, times_s: np.ndarray, values: np.ndarray, step_s: float
) -> np.ndarray:
    """The value at the time nearest to each time of a grid (n,); NaN where none is within half a step.

    Parameters
    ----------
    times_s, values : (m,), times in rising order; values that are not finite do not count.
    """
    there = np.isfinite(values)
    if not there.any():
        return np.full(len(grid_s), np.nan)
    times_s, values = times_s[there], values[there]
    nearest = np.clip(np.searchsorted(times_s, grid_s - step_s / 2), 0, len(times_s) - 1)
    is_near = np.abs(times_s[nearest] - grid_s) <= step_s / 2 + 1e-6
    return np.where(is_near, values[nearest], np.nan)


def known(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with both a prediction and a truth."""
    return table.dropna(subset=["probability", "truth"])


def area_under_roc(truth: np.ndarray, score: np.ndarray) -> float:
    """AUC (Mann-Whitney); NaN where all moments, or none, are true."""
    n_positive = int(truth.sum())
    if not 0 < n_positive < len(truth):
        return float("nan")
    above = rankdata(score)[truth == 1].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * (len(truth) - n_positive)))


def lag_sweep(
    time_s: np.ndarray, score: np.ndarray, stretches: np.ndarray, offsets_s: np.ndarray
) -> np.ndarray:
    """AUC (n_offsets,) if every prediction is assigned to a moment ``offset`` seconds later.

    Parameters
    ----------
    time_s, score : (n,), finite. stretches : (m, 2) of the first condition. The same moments are
    scored at every offset.
    """
    within_film = time_s + offsets_s.min() >= 0
    time_s, score = time_s[within_film], score[within_film]
    return np.array(
        [area_under_roc(on_screen(time_s + offset, stretches), score) for offset in offsets_s]
    )


def best_threshold(truth: np.ndarray, probability: np.ndarray) -> float:
    """The threshold with the largest balanced accuracy, halfway between its two neighbouring probabilities."""
    order = np.argsort(probability, kind="stable")
    value, is_positive = probability[order], truth[order] == 1
    # Cutting before row i predicts the first condition from row i on.
    hits = 1 - np.concatenate([[0], np.cumsum(is_positive)]) / is_positive.sum()
    rejections = np.concatenate([[0], np.cumsum(~is_positive)]) / (~is_positive).sum()
    distinct = np.concatenate([[True], value[1:] > value[:-1], [True]])
    cut = int(np.argmax(np.where(distinct, hits + rejections, -np.inf)))
    low, high = np.concatenate([[0.0], value, [1.0]])[cut : cut + 2]
    return float((low + high) / 2)


def event_locked(
    time_s: np.ndarray, probability: np.ndarray, events_s: np.ndarray, offsets_s: np.ndarray
) -> tuple[np.ndarray, int]:
    """Mean probability (n_offsets,) around events, and the number of events.

    Interpolates linearly between neighbouring volumes. Leaves out events too near to an end of the
    run, and those with a moment nearby that is not predicted. NaN if no event is left.

    Parameters
    ----------
    time_s, probability : (n,) of all volumes of a run; the probability is NaN where nothing is
    predicted.
    """
    wanted = np.asarray(events_s)[:, None] + offsets_s
    values = np.interp(wanted, time_s, probability, left=np.nan, right=np.nan)
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return np.full(len(offsets_s), np.nan), 0
    return values.mean(axis=0), len(values)


def clean_events(stretches: np.ndarray, min_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Onsets and offsets with the condition for ``min_s`` on one side and without it for ``min_s`` on the other.

    Parameters
    ----------
    stretches : (n, 2) of the first condition, sorted.

    Returns
    -------
    onsets_s, offsets_s.
    """
    onset, end = stretches[:, 0], stretches.sum(axis=1)
    long = stretches[:, 1] > min_s
    before, after = np.diff(end, prepend=-np.inf), np.diff(onset, append=np.inf)
    before[1:], after[:-1] = onset[1:] - end[:-1], onset[1:] - end[:-1]
    before[:1] = onset[:1]  # the film's beginning
    return onset[long & (before > min_s)], end[long & (after > min_s)]


def agreement(series: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Mean correlation of logits between all pairs of viewers of one film; NaN for a single viewer.

    Parameters
    ----------
    series : (stimulus_time_s, logit) of each viewer; a pair is compared at the moments that both
    have.
    """
    values = []
    for (time_a, logit_a), (time_b, logit_b) in combinations(series, 2):
        _, a, b = np.intersect1d(np.round(time_a, 3), np.round(time_b, 3), return_indices=True)
        if len(a) > 2:
            values.append(np.corrcoef(logit_a[a], logit_b[b])[0, 1])
    return float(np.mean(values)) if values else float("nan")
