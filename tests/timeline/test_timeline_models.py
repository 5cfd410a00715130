"""Which fold models may predict which moments of a run: no model predicts what it has seen."""

from dataclasses import replace
from typing import NamedTuple

from neuroface import NeuroFaceError
from neuroface.bold import Run
from neuroface.bold.labels import Labels
from neuroface.decoding.folds import FoldSettings, make_folds
from neuroface.pipeline import write_json, write_table
from neuroface.timeline.model_for_run import (
    choose_models,
    live_text,
    moments_of,
    run_of_folder,
    seen_text,
)
from neuroface.timeline.scores import score_run, summarize, threshold_for

import numpy as np
import pandas as pd
import pytest

WINDOW, EMBARGO, N_TRS = 10, 10, 900
LABELS = Labels("face", "noface")


class Given(NamedTuple):
    """Arguments of ``choose_models``."""

    split: str
    settings: FoldSettings
    tr_s: float
    smooth_trs: int


def study(tmp_path, split, films=("aurora",), viewers=3, selection="inner", smooth=1, starts=None):
    """Windows of all runs, the folds of script 3, and its files."""
    n_folds = 2 if split == "movie" else 4
    settings = FoldSettings(n_folds, 1, WINDOW, EMBARGO, selection)
    given = Given(split, settings, 1.0, smooth)
    rng, rows, runs = np.random.default_rng(0), [], []
    for film in films:
        first = (
            starts
            if starts is not None
            else np.sort(rng.choice(np.arange(5, 880, 15), 40, replace=False))
        )
        for viewer in range(viewers):
            subject = f"sub-{film}{viewer}"
            runs.append(Run(subject, film, "1", f"{subject}_task-{film}", tmp_path, None, ()))
            for number, start in enumerate(first):
                if rng.random() < 0.9:  # the balance keeps other windows of each viewer
                    label = list(LABELS)[number % 2]
                    rows.append(
                        (
                            subject,
                            film,
                            "1",
                            label,
                            start - 4.0,
                            start,
                            f"{film}_{label}_{start - 4}s",
                        )
                    )
    names = ["subject", "movie", "run", "label", "onset_s", "first_tr", "event"]
    samples = pd.DataFrame(rows, columns=names).assign(fold=0, logit=0.0, probability=0.5)
    for fold in make_folds(samples, split, settings):
        samples.loc[fold.test, "fold"] = fold.number
    folder = tmp_path / split
    write_table(folder / "predictions.tsv", samples)
    quality = [
        {"fold": int(k), "best_val_balanced_accuracy": 0.5}
        for k in sorted(samples["fold"].unique())
    ]
    write_json(folder / "metrics.json", {"folds": quality})
    return given, samples, runs, folder


@pytest.mark.parametrize("smooth", [1, 5])
def test_under_event_folds_no_moment_is_predicted_by_a_model_that_saw_it_or_a_neighbour(
    tmp_path, smooth
):
    given, samples, runs, folder = study(tmp_path, "event", smooth=smooth)
    folds = {fold.number: fold for fold in make_folds(samples, "event", given.settings)}
    models = choose_models(runs, folder, *given)[runs[0]]
    fold_of = models.fold_of_each_moment(N_TRS)
    reach = smooth // 2
    for t in range(N_TRS):
        may = []
        for (
            k,
            fold,
        ) in folds.items():  # by brute force: distances to each window that it used, of any viewer
            used = samples["first_tr"].iloc[
                np.union1d(np.union1d(fold.train, fold.validation), fold.rows)
            ]
            free = [
                abs(t + shift - start) >= WINDOW + EMBARGO
                for start in used
                for shift in range(-reach, reach + 1)
            ]
            may += [k] if all(free) else []
        assert fold_of[t] in may if may else fold_of[t] == 0
    assert 0.2 < np.mean(fold_of > 0) < 1 and set(fold_of) == {0, *folds}
    if smooth == 1:  # each window is predicted by the model that holds it out
        own = samples[samples["subject"] == runs[0].subject]
        assert (fold_of[own["first_tr"]] == own["fold"]).all()
    assert models.seen == {
        "seen_moments": False,
        "seen_run": True,
        "seen_person": True,
        "seen_film": True,
    }
    assert seen_text(models.seen) == "moments unseen, run and person and film seen in training"
    assert models.learnt_from_film


def test_the_joined_timeline_is_empty_where_no_model_may_predict(tmp_path):
    given, _, runs, folder = study(tmp_path, "event")
    models = choose_models(runs, folder, *given)[runs[0]]
    logits = {fold: np.full(N_TRS, float(fold)) for fold in models.folds}
    for values in logits.values():
        values[-9:] = np.nan  # no whole window starts there
    table, fold_of = models.join(logits), models.fold_of_each_moment(N_TRS)
    there = (fold_of > 0) & (np.arange(N_TRS) < N_TRS - 9)
    np.testing.assert_array_equal(table["logit"].notna(), there)
    assert (table["logit"][there] == fold_of[there]).all()
    assert (table["seen_in_training"][there] == 0).all() and table["seen_in_training"][
        ~there
    ].isna().all()
    np.testing.assert_array_equal(table["fold_model"].isna(), fold_of == 0)


def test_under_movie_folds_one_model_predicts_the_whole_film(tmp_path):
    given, samples, runs, folder = study(tmp_path, "movie", films=("aurora", "harbour", "orchard"))
    for run, models in choose_models(runs, folder, *given).items():
        held_out = samples["fold"][samples["movie"] == run.movie].unique()
        assert (
            models.folds == tuple(held_out)
            and not models.learnt_from_film
            and not models.saw(models.folds[0], 9).any()
        )
        assert not any(models.seen.values())


@pytest.mark.parametrize(
    ("split", "selection"), [("window", "inner"), ("subject", "inner"), ("event", "paper")]
)
def test_a_run_whose_moments_the_model_saw_is_marked_volume_by_volume(tmp_path, split, selection):
    given, samples, runs, folder = study(
        tmp_path, split, viewers=6, selection=selection, starts=np.arange(20, 500, 15)
    )
    models = choose_models(runs, folder, *given)[runs[0]]
    assert models.seen["seen_moments"] and len(models.folds) == 1
    seen = models.join({models.folds[0]: np.zeros(N_TRS)})["seen_in_training"]
    assert (seen[5:500] == 1).all() and (seen[520:] == 0).all()  # no window starts after 500


def scored(models, run, samples):
    tr = np.arange(200)
    table = pd.DataFrame({"stimulus_time_s": tr + 1.0, "truth": (tr // 20) % 2, "in_window": 1})
    table["logit"] = np.random.default_rng(0).standard_normal(200) + table["truth"]
    table["probability"] = 1 / (1 + np.exp(-table["logit"]))
    return table, *score_run(table, run, models, samples, "face")


@pytest.mark.parametrize(
    ("split", "p", "lag"), [("window", False, False), ("event", False, True), ("movie", True, True)]
)
def test_p_interval_and_lag_are_stated_only_where_they_hold(tmp_path, split, p, lag):
    films = ("aurora", "harbour", "orchard", "winter")
    given, samples, runs, folder = study(tmp_path, split, films=films)
    samples["probability"] = np.random.default_rng(1).random(len(samples))
    models = choose_models(runs, folder, *given)
    tables, results, aucs = zip(*(scored(models[run], run, samples) for run in runs))
    curves = {"sweep_s": np.arange(3.0), "sweep": np.full((len(runs), 3), 0.6)} if lag else None
    summary = summarize(list(results), list(tables), list(aucs), curves)
    assert all((result["rotations"]["p"] is not None) == p for result in results)
    assert (summary["rotations"]["p"] is not None) == p and set(
        summary["rotations"]["p_by_film"]
    ) == set(films if p else ())
    assert (summary["mean_95"]["auc"][1] is not None) == (summary["lag_sweep"] is not None) == lag
    assert summary["n_runs_unseen"] == (len(runs) if lag else 0)


def test_the_threshold_comes_from_other_films_where_there_are_any(tmp_path):
    _, samples, runs, _ = study(tmp_path, "window", films=("aurora", "harbour"))
    face = samples["label"] == "face"
    samples["probability"] = np.where(
        samples["movie"] == "harbour", np.where(face, 0.9, 0.7), np.where(face, 0.3, 0.1)
    )
    assert threshold_for(runs[0], samples, "face") == (
        pytest.approx(0.8),
        "held-out windows of the other films",
    )
    only = samples[samples["movie"] == "aurora"]
    assert threshold_for(runs[0], only, "face") == (
        pytest.approx(0.2),
        "held-out windows of the same film",
    )


def test_people_with_another_order_of_stimuli_did_not_see_the_same_moments(tmp_path):
    _, samples, runs, _ = study(tmp_path, "window")
    assert moments_of(runs[0], samples, WINDOW).all()
    other = samples["subject"] == runs[1].subject
    opposite = samples["label"].map({"face": "noface", "noface": "face"})
    swapped = samples.assign(label=samples["label"].where(~other, opposite))
    np.testing.assert_array_equal(moments_of(runs[0], swapped, WINDOW), ~other)


def test_other_settings_than_those_of_the_models_are_noticed(tmp_path):
    given, _, runs, folder = study(tmp_path, "event")
    given = given._replace(settings=replace(given.settings, seed=2))
    with pytest.raises(NeuroFaceError, match="does not hold out the windows"):
        choose_models(runs, folder, *given)


def test_a_live_run_is_predicted_by_one_model_and_says_what_it_saw(tmp_path):
    given, samples, _, folder = study(tmp_path, "event")
    run = run_of_folder(tmp_path / "sub-9_task-aurora")
    models = choose_models([run], folder, *given, several=False)[run]
    assert len(models.folds) == 1 and models.seen["seen_moments"]
    assert "its probabilities are no test" in live_text(run, models)
    new = run_of_folder(tmp_path / "sub-9_task-orchard")
    assert (
        live_text(new, choose_models([new], folder, *given, several=False)[new])
        == "person and film unseen in training"
    )
    unknown = run_of_folder(tmp_path / "scan")
    assert "unknown" in live_text(
        unknown, choose_models([unknown], folder, *given, several=False)[unknown]
    )


def test_a_film_seen_in_another_session_is_the_same_film(tmp_path):
    """Half of the viewers saw the film in session 2 (Emo-FilM): models that trained on their windows saw its moments."""
    given, samples, runs, folder = study(tmp_path, "subject", viewers=4)
    session = {
        subject: f"{1 + number % 2}" for number, subject in enumerate(samples["subject"].unique())
    }
    samples["run"] = samples["subject"].map(session)
    samples["stimulus"] = samples["movie"]
    write_table(folder / "predictions.tsv", samples)
    first = runs[0].subject
    run = Run(
        first,
        "aurora",
        session[first],
        f"{first}_ses-{session[first]}_task-aurora",
        tmp_path,
        None,
        (),
    )
    assert moments_of(run, samples, WINDOW).all()
    models = choose_models([run], folder, *given)[run]
    assert models.seen["seen_moments"]
    assert (
        len(models.seen_trs[models.folds[0]]) > (samples["run"] == run.run).sum()
    )  # also those of session 2
