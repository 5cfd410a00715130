"""Scores of predicted timelines: of one run, and of all runs of a study."""

from neuroface.bold import Run
from neuroface.decoding import mean_over_people, p_value, scores
from neuroface.timeline import clock

import numpy as np
import pandas as pd

SWEEP_S = 10.0
AFTER_S = 5.0  # how far averages around onsets and offsets reach beyond the time of certain truth
N_NULL_DRAWS = 10_000
MEANS = ("base_rate", "accuracy", "precision", "recall", "f1", "mcc", "auc", "pr_auc")


def score_timeline(table: pd.DataFrame, threshold: float, min_shift_trs: int) -> tuple[dict, np.ndarray]:
    """All scores of a run, and its AUC under every rotation of the annotation.

    Parameters
    ----------
    table : of :func:`neuroface.timeline.clock.timeline`; both classes must occur where there is a prediction.
    threshold : chosen on other data; the result has the scores at 0.5 and at this threshold.
    min_shift_trs : smallest rotation.
    """
    table = clock.known(table)
    truth, probability = table["truth"].to_numpy(int), table["probability"].to_numpy()
    null = clock.shift_null(truth, table["logit"].to_numpy(), min_shift_trs)
    like_training = table["in_window"].to_numpy() == 1
    base_rate, at_half = float(truth.mean()), scores(truth, probability)
    auc_inside = clock.area_under_roc(truth[like_training], probability[like_training])
    result = {
        "base_rate": base_rate,
        "accuracy_of_always_the_commoner": max(base_rate, 1 - base_rate),
        **at_half,
        "at_training_threshold": {"threshold": threshold} | scores(truth, probability, threshold),
        "auc_in_training_like_windows": _or_none(auc_inside),
        "shift_null": _against(at_half["auc"], null),
    }
    return result, null


def score_run(
    table: pd.DataFrame, run: Run, fold: int, seen: dict, held_out: pd.DataFrame, positive: str, cfg
) -> tuple[dict, np.ndarray]:
    """:func:`score_timeline` of a run, with the names of the run and its model.

    The threshold is the best one for the held-out windows of the folds other than the run's fold.

    Parameters
    ----------
    fold, seen : of :func:`neuroface.timeline.models.choose_models`. held_out : predictions of all folds.
    positive : the label whose probability is predicted. cfg : MIN_SHIFT_S, TR_S.
    """
    others = held_out[held_out["fold"] != fold]
    threshold = clock.best_threshold((others["label"] == positive).to_numpy(int), others["probability"].to_numpy())
    what, null = score_timeline(table, threshold, round(cfg.MIN_SHIFT_S / cfg.TR_S))
    who = {"run": run.name, "subject": run.subject, "movie": run.movie, "fold_model": fold}
    # The stimulus of a run; each BIDS run has its own timing.
    who["film"] = run.name.removeprefix(f"{run.subject}_").removeprefix("task-")
    return who | seen | what, null


def curves_of(tables: list[pd.DataFrame], stretches: list[np.ndarray], tr_s: float, min_stretch_s: float) -> dict:
    """AUC against alignment, and mean probability around onsets and offsets of the first condition.

    Parameters
    ----------
    tables, stretches : of each run. min_stretch_s : minimum time without a change on both sides of such a moment.

    Returns
    -------
    sweep_s, around_s : (n_offsets,), whole TRs. sweep, onset, offset : (n_runs, n_offsets). n_onsets, n_offsets.
    """
    sweep_s = tr_s * np.arange(-int(SWEEP_S / tr_s), int(SWEEP_S / tr_s) + 1)
    around_s = tr_s * np.arange(-int(min_stretch_s / tr_s), int((min_stretch_s + AFTER_S) / tr_s) + 1)
    rows: dict[str, list] = {"sweep": [], "onset": [], "offset": []}
    counts = {"n_onsets": 0, "n_offsets": 0}
    for table, first in zip(map(clock.known, tables), stretches, strict=True):
        time_s, probability = table["stimulus_time_s"].to_numpy(), table["probability"].to_numpy()
        rows["sweep"].append(clock.lag_sweep(time_s, probability, first, sweep_s))
        for kind, events_s in zip(("onset", "offset"), clock.clean_events(first, min_stretch_s)):
            mean, n = clock.event_locked(time_s, probability, events_s, around_s)
            rows[kind].append(mean)
            counts[f"n_{kind}s"] += n
    return {"sweep_s": sweep_s, "around_s": around_s} | {kind: np.array(r) for kind, r in rows.items()} | counts


def summarize(results, tables: list[pd.DataFrame], nulls: list[np.ndarray], curves: dict, seed: int) -> dict:
    """Summary of all runs: means over people with 95 % intervals, null, films, people, agreement, alignment.

    Parameters
    ----------
    results : of :func:`score_timeline` with subject, movie, and film (equal if runs share an annotation), one per run.
    """
    frame, tables = pd.DataFrame(results), list(map(clock.known, tables))
    people, films = frame["subject"].tolist(), frame["film"].tolist()
    null = clock.mean_shift_null(nulls, films, N_NULL_DRAWS, seed) if all(map(len, nulls)) else np.array([])
    series = [(table["stimulus_time_s"].to_numpy(), table["logit"].to_numpy()) for table in tables]
    sweep = mean_over_people(curves["sweep"], people)[0]
    return {
        "mean_over_people_95": {name: [_or_none(v) for v in mean_over_people(frame[name], people)] for name in MEANS},
        "shift_null": _against(frame["auc"].mean(), null),
        "by_movie": frame.groupby("movie")[list(MEANS)].mean().to_dict("index"),
        "by_subject": frame.groupby("subject")[list(MEANS)].mean().to_dict("index"),
        "agreement": {
            film: _or_none(clock.agreement([s for s, name in zip(series, films) if name == film]))
            for film in dict.fromkeys(films)
            if films.count(film) > 1
        },
        "lag_sweep": {"offset_s": curves["sweep_s"].tolist(), "auc": [_or_none(v) for v in sweep]},
    }


def _against(auc: float, null: np.ndarray) -> dict:
    if not len(null):
        return {"n": 0, "mean": None, "p": None}
    return {"n": len(null), "mean": float(null.mean()), "p": p_value(auc, null)}


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
