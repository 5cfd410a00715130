"""Scores of predicted timelines: of one run, and of all runs of a study."""

from neuroface.bold import Run
from neuroface.decoding import LEAST_CLUSTERS, crossed_error, scores, widening
from neuroface.timeline import chance, clock
from neuroface.timeline.model_for_run import RunModels

import numpy as np
import pandas as pd
from scipy.stats import t

SWEEP_S = 10.0
AFTER_S = 5.0  # how far averages around onsets and offsets reach beyond the time of certain truth
MEANS = ("base_rate", "accuracy", "precision", "recall", "f1", "mcc", "auc", "pr_auc")


def score_timeline(table: pd.DataFrame, threshold: float) -> tuple[dict, np.ndarray]:
    """All scores of a run, and its AUC under every rotation of the annotation.

    Parameters
    ----------
    table : result of :func:`neuroface.timeline.clock.timeline`; both classes must occur where there is a
    prediction.
    threshold : chosen on other data; the result has the scores at 0.5 and at this threshold.
    """
    film = table.dropna(subset=["truth"])
    aucs = chance.rotated_aucs(film["truth"].to_numpy(int), film["logit"].to_numpy(float))
    table = clock.known(table)
    truth, probability = table["truth"].to_numpy(int), table["probability"].to_numpy()
    like_training = table["in_window"].to_numpy() == 1
    base_rate, at_half = float(truth.mean()), scores(truth, probability)
    auc_inside = clock.area_under_roc(truth[like_training], probability[like_training])
    result = {
        "n_moments": len(film),
        "n_predicted": len(table),
        "base_rate": base_rate,
        "majority_class_accuracy": max(base_rate, 1 - base_rate),
        **at_half,
        "at_training_threshold": {"threshold": threshold} | scores(truth, probability, threshold),
        "auc_in_training_like_windows": _or_none(auc_inside),
        "rotations": {
            "n": len(aucs),
            "auc_95": float(np.quantile(aucs, 0.95)),
            "p": chance.rotation_p(aucs),
        },
    }
    return result, aucs


def score_run(
    table: pd.DataFrame, run: Run, models: RunModels, held_out: pd.DataFrame, positive: str
) -> tuple[dict, np.ndarray]:
    """:func:`score_timeline` of a run, with the names of the run and its models.

    There is no p where the models learnt from moments of this film, the same ones or others: the
    labels of the training would have to be rotated too.

    Parameters
    ----------
    models : result of :func:`neuroface.timeline.model_for_run.choose_models`. held_out : predictions of all
    folds.
    positive : the label whose probability is predicted.
    """
    threshold, chosen_on = threshold_for(run, held_out, positive)
    of_run, aucs = score_timeline(table, threshold)
    of_run["at_training_threshold"]["chosen_on"] = chosen_on
    if models.learnt_from_film:
        of_run["rotations"]["p"] = None
    who = {
        "run": run.name,
        "subject": run.subject,
        "movie": run.movie,
        "fold_models": list(models.folds),
    }
    # The stimulus of a run; each BIDS run has its own timing.
    who["film"] = run.name.removeprefix(f"{run.subject}_").removeprefix("task-")
    return who | models.seen | of_run, aucs


def threshold_for(run: Run, held_out: pd.DataFrame, positive: str) -> tuple[float, str]:
    """The threshold that separates held-out windows of the other films best, and where it comes from.

    If there is no other film or run with both labels, it comes from held-out windows of the same
    film, in words.
    """
    other = (held_out["movie"] != run.movie) | (held_out["run"] != run.run)
    others, where = held_out[other], "held-out windows of the other films"
    if others["label"].nunique() < 2:
        others, where = held_out, "held-out windows of the same film"
    truth = (others["label"] == positive).to_numpy(int)
    return clock.best_threshold(truth, others["probability"].to_numpy()), where


def curves_of(
    tables: list[pd.DataFrame], stretches: list[np.ndarray], tr_s: float, min_stretch_s: float
) -> dict:
    """AUC against alignment, and mean probability around onsets and offsets of the first condition.

    Parameters
    ----------
    tables, stretches : of each run. min_stretch_s : minimum time without a change on both sides of
    such a moment.

    Returns
    -------
    sweep_s, around_s : (n_offsets,), whole TRs. sweep, onset, offset : (n_runs, n_offsets).
    n_onsets, n_offsets.
    """
    sweep_s = tr_s * np.arange(-int(SWEEP_S / tr_s), int(SWEEP_S / tr_s) + 1)
    around_s = tr_s * np.arange(
        -int(min_stretch_s / tr_s), int((min_stretch_s + AFTER_S) / tr_s) + 1
    )
    rows: dict[str, list] = {"sweep": [], "onset": [], "offset": []}
    counts = {"n_onsets": 0, "n_offsets": 0}
    for table, first in zip(tables, stretches, strict=True):
        rows_known = clock.known(table)
        time_s, probability = (
            rows_known["stimulus_time_s"].to_numpy(),
            rows_known["probability"].to_numpy(),
        )
        rows["sweep"].append(clock.lag_sweep(time_s, probability, first, sweep_s))
        film = table.dropna(subset=["truth"])
        time_s, probability = (
            film["stimulus_time_s"].to_numpy(),
            film["probability"].to_numpy(float),
        )
        for kind, events_s in zip(("onset", "offset"), clock.clean_events(first, min_stretch_s)):
            mean, n = clock.event_locked(time_s, probability, events_s, around_s)
            rows[kind].append(mean)
            counts[f"n_{kind}s"] += n
    return (
        {"sweep_s": sweep_s, "around_s": around_s}
        | {kind: np.array(r) for kind, r in rows.items()}
        | counts
    )


def mean_and_interval(values: np.ndarray, films: list[str], people: list[str]) -> np.ndarray:
    """Mean with a 95 % t interval over films; each film counts once, for any number of viewers.

    Viewers of a film share its moments and its models, so they are not independent. Where people
    saw several films, people are a second sample, and the variances over both add up
    (:func:`neuroface.decoding.crossed_error`). Films are not independent either, because their
    models learnt from each other's films (:func:`neuroface.decoding.widening`).

    Parameters
    ----------
    values : (n_runs,) or (n_runs, n); NaN if a run has none. films, people : (n_runs,) of each run.

    Returns
    -------
    (3,) or (3, n): mean, low, high; the interval is NaN with fewer than ``LEAST_CLUSTERS`` films.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim == 2:
        return np.stack([mean_and_interval(column, films, people) for column in values.T], axis=1)
    known = ~np.isnan(values)
    values, film_of, person_of = values[known], np.array(films)[known], np.array(people)[known]
    if not len(values):
        return np.full(3, np.nan)
    names, film, n_viewers = np.unique(film_of, return_inverse=True, return_counts=True)
    weights = 1 / n_viewers[film]
    mean = np.average(values, weights=weights)
    if len(names) < LEAST_CLUSTERS:
        return np.array([mean, np.nan, np.nan])
    crossed = are_crossed(list(film_of), list(person_of))
    groupings = (film_of, person_of) if crossed else (film_of,)
    of_mean = crossed_error(values, groupings, weights)
    half = t.ppf(0.975, of_mean.freedom) * of_mean.error * widening(len(names))
    return np.array([mean, mean - half, mean + half])


def are_crossed(films: list[str], people: list[str]) -> bool:
    """Whether there are several people, of whom one saw several films."""
    return 1 < len(set(people)) < len(set(zip(films, people)))


def interval_text(films: list[str], people: list[str]) -> str:
    """What the intervals of :func:`mean_and_interval` are over, in words."""
    n_films = len(set(films))
    if n_films < LEAST_CLUSTERS:
        of_films = "1 film" if n_films == 1 else f"{n_films} films"
        return f"none: {of_films}, and an interval needs {LEAST_CLUSTERS}; viewers of one film are not independent"
    if are_crossed(films, people):
        return f"over {n_films} films or runs and {len(set(people))} people"
    return f"over {n_films} films or runs"


def summarize(
    results: list[dict], tables: list[pd.DataFrame], aucs: list[np.ndarray], curves: dict | None
) -> dict:
    """Summary of all runs: means with 95 % intervals, p, films, people, agreement, alignment.

    Means, p and alignment are those of the runs whose moments the models had not seen. If there are
    none, the means are those of all runs, without intervals.

    Parameters
    ----------
    results, aucs : results of :func:`score_run`, one per run. tables : tables of the runs.
    curves : result of :func:`curves_of`, of the runs without ``seen_moments``; None if there are none.
    """
    frame = pd.DataFrame(results)
    unseen = frame[~frame["seen_moments"]]
    of = unseen if len(unseen) else frame
    films, people = of["film"].tolist(), of["subject"].tolist()
    means = {name: mean_and_interval(of[name].to_numpy(), films, people) for name in MEANS}
    if not len(unseen):
        means = {name: np.array([mean, np.nan, np.nan]) for name, (mean, *_) in means.items()}
    by_film: dict[str, list[np.ndarray]] = {}
    for result, of_run in zip(results, aucs):
        if result["rotations"]["p"] is not None:
            by_film.setdefault(result["film"], []).append(of_run)
    p_of_films = {
        film: chance.rotation_p(chance.mean_over_viewers(of_viewers))
        for film, of_viewers in by_film.items()
    }
    tables = list(map(clock.known, tables))
    series = [(table["stimulus_time_s"].to_numpy(), table["logit"].to_numpy()) for table in tables]
    all_films = frame["film"].tolist()
    return {
        "n_runs": len(frame),
        "n_runs_unseen": len(unseen),
        "mean_95": {name: [_or_none(value) for value in values] for name, values in means.items()},
        "interval_95": interval_text(films, people)
        if len(unseen)
        else "none: the models had seen the moments",
        "rotations": {
            "p": chance.combined_p(list(p_of_films.values())) if p_of_films else None,
            "p_by_film": p_of_films,
        },
        "by_movie": frame.groupby("movie")[list(MEANS)].mean().to_dict("index"),
        "by_subject": frame.groupby("subject")[list(MEANS)].mean().to_dict("index"),
        "agreement": {
            film: _or_none(
                clock.agreement([s for s, name in zip(series, all_films) if name == film])
            )
            for film in dict.fromkeys(all_films)
            if all_films.count(film) > 1
        },
        "lag_sweep": _sweep(curves, films, people) if curves else None,
    }


def _sweep(curves: dict, films: list[str], people: list[str]) -> dict:
    mean, _, _ = mean_and_interval(curves["sweep"], films, people)
    return {"offset_s": curves["sweep_s"].tolist(), "auc": [_or_none(value) for value in mean]}


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
