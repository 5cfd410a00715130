"""Script 8 on BOLD that has nothing to do with faces: p of a run and of a study, intervals, runs that models have seen."""

from functools import cache, lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

from neuroface.bold import Labels, Run, on_screen
from neuroface.bold.windows import balance, window_table
from neuroface.decoding import make_folds
from neuroface.face_study import fold_settings
from neuroface.face_study.demo import draw_annotation
from neuroface.pipeline import write_json, write_table
from neuroface.timeline import choose_models, curves_of, score_run, summarize, timeline
from neuroface.timeline.chance import rotated_aucs, rotation_p
from null_studies.case import Case

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter
from sklearn.linear_model import Ridge

LABELS = Labels("face", "noface")
N_VOXELS = 50
FILM_SMOOTHNESS_S = 3.0  # SD of the Gaussian, as in the demo
SLOW_S = 40.0  # the same for slow drifts
SETTINGS = {
    "WINDOW_TRS": 10,
    "TR_S": 1.0,
    "LAG_S": 4.0,
    "MIN_STRETCH_S": 10.0,
    "PREDICTION_AT": 0.5,
    "SMOOTH_TRS": 1,
}
FOLDS = {"N_FOLDS": 4, "EMBARGO_TRS": 10, "SELECTION": "inner"}


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sd_s: float) -> np.ndarray:
    """Noise (…, n_trs) of SD 1, smooth over the last axis."""
    noise = gaussian_filter1d(rng.standard_normal(shape), sd_s, axis=-1)
    return noise / noise.std()


def autocorrelated_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """AR(1) noise (…, n_trs) of SD 1 with the demo's coefficient of 0.4."""
    return lfilter([1], [1, -0.4], rng.standard_normal(shape), axis=-1) * np.sqrt(1 - 0.4**2)


@cache  # for all levels
def p_of_unrelated_scores(film_s: int, slow: float, seed: int) -> float:
    """The p of one run; its scores are noise, averaged over windows of 10 volumes, plus a slow part of SD ``slow``."""
    rng = np.random.default_rng([seed, film_s])
    truth = on_screen(np.arange(film_s) + 0.5, draw_annotation(rng, film_s)).astype(int)
    score = np.convolve(autocorrelated_noise(rng, (film_s + 9,)), np.ones(10), "valid")
    score = score / score.std() + slow * smooth_noise(rng, (film_s,), SLOW_S)
    return rotation_p(rotated_aucs(truth, score))


def small_p_of_a_run(film_s: int, slow: float, level: float, seed: int) -> dict[str, bool]:
    return {f"p ≤ {level:g}": p_of_unrelated_scores(film_s, slow, seed) <= level}


@lru_cache(maxsize=2000)  # several cases use the same studies
def simulated_study(
    split: str, n_films: int, n_viewers: int, film_s: int, shared: float, drift: float, seed: int
) -> tuple[dict, list[dict]]:
    """Windows, fold models, timelines and scores of a study; BOLD is noise, plus a response to the film.

    Parameters
    ----------
    shared : SD of the response that all viewers of a film share, in SDs of the noise.
    drift : SD of each viewer's slow noise.

    Returns
    -------
    The study's summary, and the scores of each run, as script 8 writes them.
    """
    rng = np.random.default_rng([seed, n_films, n_viewers])
    cfg = SimpleNamespace(HELD_OUT_SPLIT=split, SEED=seed, **SETTINGS, **FOLDS)
    stretches, runs, windows, tables = [], [], [], []
    for film in range(n_films):
        faces = draw_annotation(rng, film_s)
        found = window_table(faces, None, LABELS, cfg.MIN_STRETCH_S, cfg.TR_S, cfg.LAG_S)
        found = found[found["first_tr"] + cfg.WINDOW_TRS <= film_s]
        response = shared * smooth_noise(rng, (N_VOXELS, film_s), FILM_SMOOTHNESS_S)
        for viewer in range(n_viewers):
            subject, movie = f"sub-{film * n_viewers + viewer}", f"film{film}"
            runs.append(Run(subject, movie, "1", f"{subject}_task-{movie}", Path(), None, ()))
            stretches.append(faces)
            bold = autocorrelated_noise(rng, (N_VOXELS, film_s)) + response
            bold += drift * smooth_noise(rng, (N_VOXELS, film_s), SLOW_S)
            bold = (bold - bold.mean(axis=1, keepdims=True)) / bold.std(axis=1, keepdims=True)
            sliding = np.lib.stride_tricks.sliding_window_view(bold, cfg.WINDOW_TRS, axis=1)
            windows.append(sliding.transpose(1, 0, 2).reshape(sliding.shape[1], -1))
            table = balance(found, LABELS, seed, runs[-1].name).assign(
                subject=subject, movie=movie, run="1"
            )
            table["event"] = [f"{movie}_{row.label}_{row.onset_s:g}s" for row in table.itertuples()]
            tables.append(table)
    samples = pd.concat(tables, ignore_index=True)
    X = np.concatenate([own[table["first_tr"]] for own, table in zip(windows, tables)])
    with TemporaryDirectory() as name:
        folds, held_out = _train(X, samples, Path(name), cfg)
        models = choose_models(
            runs, Path(name), split, fold_settings(cfg), cfg.TR_S, cfg.SMOOTH_TRS
        )
    scored = []
    for run, own, faces in zip(runs, windows, stretches):
        logits = {}
        for fold in models[run].folds:
            logits[fold] = np.full(film_s, np.nan)
            logits[fold][: len(own)] = folds[fold].predict(own)
        logit = models[run].join(logits)["logit"].to_numpy()
        table = timeline(
            logit,
            faces,
            None,
            cfg.TR_S,
            cfg.LAG_S,
            cfg.WINDOW_TRS,
            cfg.PREDICTION_AT,
            cfg.MIN_STRETCH_S,
        )
        scored.append((table, *score_run(table, run, models[run], held_out, LABELS.first), faces))
    tables, results, aucs, _ = zip(*scored)
    unseen = [(table, faces) for table, result, _, faces in scored if not result["seen_moments"]]
    curves = curves_of(*map(list, zip(*unseen)), cfg.TR_S, cfg.MIN_STRETCH_S) if unseen else None
    return summarize(list(results), list(tables), list(aucs), curves), list(results)


def _train(
    X: np.ndarray, samples: pd.DataFrame, folder: Path, cfg
) -> tuple[dict[int, Ridge], pd.DataFrame]:
    """Ridge regression on each fold; its files as script 3 writes them; and held-out predictions."""
    y = np.where(samples["label"] == LABELS.first, 1.0, -1.0)
    models, held_out, scores = {}, samples.assign(fold=0, logit=0.0), []
    for fold in make_folds(samples, cfg.HELD_OUT_SPLIT, fold_settings(cfg)):
        models[fold.number] = Ridge(alpha=X.shape[1]).fit(X[fold.rows], y[fold.rows])
        held_out.loc[fold.test, "fold"] = fold.number
        held_out.loc[fold.test, "logit"] = models[fold.number].predict(X[fold.test])
        scores.append({"fold": fold.number, "best_val_balanced_accuracy": 0.5})
    held_out["probability"] = 1 / (1 + np.exp(-held_out["logit"]))
    write_table(folder / "predictions.tsv", held_out)
    write_json(folder / "metrics.json", {"folds": scores})
    return models, held_out


def small_p(design: tuple, seed: int) -> dict[str, bool]:
    study, runs = simulated_study(*design, seed)
    return {
        "p of the first run ≤ 0.05": runs[0]["rotations"]["p"] <= 0.05,
        "p of the study ≤ 0.05": study["rotations"]["p"] <= 0.05,
    }


def interval_of_auc(design: tuple, seed: int) -> dict[str, bool]:
    study, _ = simulated_study(*design, seed)
    _, low, high = study["mean_95"]["auc"]
    return {"interval of the mean AUC covers 0.5": low <= 0.5 <= high}


def auc_above_half(design: tuple, seed: int) -> dict[str, bool]:
    study, _ = simulated_study(*design, seed)
    return {"mean AUC > 0.5": study["mean_95"]["auc"][0] > 0.5}


def claims(design: tuple, seed: int) -> dict[str, bool]:
    study, runs = simulated_study(*design, seed)
    of_runs = any(run["rotations"]["p"] is not None for run in runs)
    return {
        "states a p": study["rotations"]["p"] is not None or of_runs,
        "states an interval": study["mean_95"]["auc"][1] is not None,
        "states a lag": study["lag_sweep"] is not None,
    }


def _cases() -> list[Case]:
    cases = []
    for film_s, slow in ((900, 0.0), (900, 1.0), (2700, 0.0), (2700, 1.0)):
        for level in (0.05, 0.01, 0.002):
            design = f"one run of {film_s:,} s, scores unrelated to faces{', with a slow part' if slow else ''}"
            study = partial(small_p_of_a_run, film_s, slow, level)
            cases.append(Case("script 8, p of a run", design, study, level, 4000, 500))
    designs = {
        "4 films × 2 viewers, shared response of 1 SD": ("movie", 4, 2, 900, 1.0, 0.0),
        "10 films × 2 viewers, shared response of 1 SD": ("movie", 10, 2, 900, 1.0, 0.0),
    }
    for name, design in designs.items():
        n_studies = 160 if design[1] == 4 else 60
        cases.append(
            Case("script 8, film folds, ridge", name, partial(small_p, design), 0.05, n_studies, 20)
        )
        covers = partial(interval_of_auc, design)
        cases.append(Case("script 8, film folds, ridge", name, covers, 0.95, n_studies, 20))
    for name, design in {
        "1 film × 3 viewers, shared response of 1 SD": ("event", 1, 3, 900, 1.0, 0.0),
        "the same, with slow noise of 1 SD": ("event", 1, 3, 900, 1.0, 1.0),
    }.items():
        cases.append(
            Case(
                "script 8, event folds, ridge", name, partial(auc_above_half, design), 0.5, 120, 20
            )
        )
    name, design = "1 film × 3 viewers, shared response of 1 SD", ("window", 1, 3, 900, 1.0, 0.0)
    cases.append(Case("script 8, window folds, ridge", name, partial(claims, design), 0.0, 40, 5))
    return cases


CASES: list[Case] = _cases()
