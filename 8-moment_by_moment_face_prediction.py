"""8. Predict, for every moment of a film, whether a face is on the screen.

Slides fold models over whole runs, volume by volume, and compares their probability with what was
on the screen at that moment of the film. A model that saw no moment of a film predicts the whole
run. With HELD_OUT_SPLIT = "event" each moment is predicted by a model that saw neither this moment
nor its neighbours, with any viewer; moments for which there is none are left empty. In other splits
a run whose film the models saw is marked: it gets no p, no interval and no alignment.

    python 8-moment_by_moment_face_prediction.py                        all runs
    python 8-moment_by_moment_face_prediction.py --follow FOLDER        a run that is being scanned:
                                                                        one prediction per volume
                                                                        (<number>.nii or .nii.gz)

Reads     the data set in DATASET_DIR, 1-windows/group_mask.nii.gz, 3-model/<HELD_OUT_SPLIT>/
Writes    8-predictions/<sub>_task-<movie>_predictions.tsv, one row per volume, and .json, its
            columns; metrics.json; <sub>_task-<movie>_timeline.png, the seconds of PLOT_INTERVAL_S;
            <movie>_strip.png, the whole film with all viewers; event_locked.png, lag_sweep.png,
            both of the runs that are not marked; live/<FOLDER's name>_predictions.tsv
          viewer.html, each film second by second, in a browser
Settings  HELD_OUT_SPLIT, EXPLAINED_MODEL, SMOOTH_TRS, PREDICTION_AT
Takes     0.02 s per volume at full size on 2 CPU cores; every BOLD file is read twice; 2 GB of
          memory at full size for any length of run. With HELD_OUT_SPLIT = "event" N_FOLDS times as
          long
"""

from functools import partial
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import (
    Run,
    cleaning_of,
    clock_of_onsets,
    denoising_of,
    film_ahead_s,
    first_volume_s,
    open_header,
    read_mask,
    standardized_volumes,
    stretches_of_labels,
)  # fmt: skip
from neuroface.decoding import member_models, model_folder
from neuroface.face_study import (
    STUDY,
    FaceSettings,
    fold_settings,
    label_events,
    labels_of,
    live_settings,
    runs_of,
    show_films,
)
from neuroface.pipeline import Stage, all_exist, read_table, run_script, write_json
from neuroface.timeline import (
    LivePrediction,
    RunModels,
    choose_models,
    curves_of,
    describe_timelines,
    draw,
    film_begins_s,
    follow_volumes,
    known,
    live_line,
    live_text,
    on_every_tr,
    predictor_of_models,
    read_timeline,
    run_of_folder,
    score_run,
    slide,
    smoothed,
    summarize,
    timeline,
    timeline_files,
    write_timeline,
)  # fmt: skip

import numpy as np


def main():
    cfg, stage, mask, affine = open_stage()
    runs, missing = runs_of(cfg)
    for item, why in missing:
        stage.leave_out(item, why)
    predicted = [run for run in runs if all_exist(timeline_files(stage.folder, run))]
    used = [file for run in predicted for file in run.files]
    stage.take_files([file for run in runs for file in run.files], used)
    models = models_of(runs, stage, cfg)

    by_model = sorted(runs, key=lambda run: models[run].folds)  # so each model is loaded once
    predict = partial(predict_run, stage, models, mask, affine, cfg)
    stage.each(predict, by_model, "runs", partial(timeline_files, stage.folder))

    labels = labels_of(cfg)
    tables = {run: read_timeline(stage.folder, run, labels) for run in runs}
    name_unpredicted(stage, tables)
    for run in runs:
        cleaning = cleaning_of(run, open_header(run.bold)[1][3], denoising_of(cfg))
        if not cleaning.kept.all():
            stage.leave_out(run.name, f"windows that touch one of {cleaning.lost}")
        if run.pauses and len(run.pauses) > 1:
            stage.leave_out(
                run.name, f"windows that span one of {len(run.pauses) - 1} breaks of the scan"
            )
    scored = {run: table for run, table in tables.items() if known(table)["truth"].nunique() == 2}
    for run in [run for run in tables if run not in scored]:
        stage.leave_out(
            run.name,
            f"no scores or figure: in all its predicted moments, or in none, {labels.is_there}",
        )
    if not scored:
        raise NeuroFaceError(
            f"No run has both moments in which {labels.is_there} and other moments; there is nothing to score."
        )
    held_out = read_table(folder_of_models(stage, cfg) / "predictions.tsv")
    results, aucs = zip(
        *(
            score_run(table, run, models[run], held_out, labels.first)
            for run, table in scored.items()
        )
    )
    unseen = [run for run, result in zip(scored, results) if not result["seen_moments"]]
    curves = None
    if unseen:
        stretches = [stretches_of_labels(run, label_events(cfg))[0] for run in unseen]
        curves = curves_of([scored[run] for run in unseen], stretches, cfg.TR_S, cfg.MIN_STRETCH_S)
    study = {"split": cfg.HELD_OUT_SPLIT, "selection": cfg.SELECTION}
    study |= summarize(results, list(scored.values()), aucs, curves)
    write_json(stage.folder / "metrics.json", study | {"runs": list(results)})
    draw(
        stage.folder, scored, results, curves, labels, clock_of_onsets(cfg.DATASET, cfg.FILM_EVENT),
        cfg.PLOT_INTERVAL_S, cfg.MIN_STRETCH_S,
    )  # fmt: skip
    section = describe_timelines(stage.folder, list(scored), results, study, labels)
    show_films(stage, section, scored, mask, affine, cfg)
    stage.finish(f"predictions of {len(runs)} runs", section)


def name_unpredicted(stage: Stage, tables: dict) -> None:
    """Count the moments that no model may predict."""
    for run, table in tables.items():
        if n := int(table["fold_model"].isna().sum()):
            why = "each fold model was trained on a window within EMBARGO_TRS of them"
            stage.leave_out(run.name, f"{n} of {len(table)} volumes: {why}")


def open_stage():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 8, cfg, __doc__, reads=(1, 3))
    return cfg, stage, *read_mask(stage.folder_of(1) / "group_mask.nii.gz")


def folder_of_models(stage: Stage, cfg: FaceSettings) -> Path:
    return model_folder(stage.folder_of(3), cfg.HELD_OUT_SPLIT, cfg.EXPLAINED_MODEL)


def models_of(
    runs: list[Run], stage: Stage, cfg: FaceSettings, several: bool = True
) -> dict[Run, RunModels]:
    """For each run, the fold models that saw the least of it."""
    return choose_models(
        runs, folder_of_models(stage, cfg), cfg.HELD_OUT_SPLIT, fold_settings(cfg), cfg.TR_S,
        cfg.SMOOTH_TRS, several,
    )  # fmt: skip


def predictor_of(stage: Stage, fold: int, n_voxels: int, batch: int, cfg: FaceSettings):
    """Predictor that slides the fold's model over a run, ``batch`` volumes per pass."""
    files = member_models(stage.folder_of(3), cfg.HELD_OUT_SPLIT, fold, cfg.EXPLAINED_MODEL)
    return predictor_of_models(tuple(files), n_voxels, cfg.WINDOW_TRS, batch)


def predict_run(
    stage: Stage, models: dict, mask: np.ndarray, affine: np.ndarray, cfg: FaceSettings, run: Run
) -> None:
    """Write the table of a run, one row per volume."""
    logits, n_volumes = {}, open_header(run.bold)[1][3]
    cleaning = cleaning_of(run, n_volumes, denoising_of(cfg))
    for fold in models[run].folds:
        predictor = predictor_of(stage, fold, int(mask.sum()), cfg.INFERENCE_BATCH, cfg)
        volumes = standardized_volumes(
            run.bold, mask, affine, predictor.batch, cfg.STANDARDIZE, cleaning
        )
        logit = slide(predictor, volumes)
        logit[~cleaning.keeps(np.arange(n_volumes), cfg.WINDOW_TRS)] = np.nan
        logits[fold] = smoothed(on_every_tr(logit, run, cfg.WINDOW_TRS), cfg.SMOOTH_TRS)
    predicted = models[run].join(logits)
    lag_s = cfg.LAG_S - first_volume_s(run, n_volumes, cfg.TR_S)
    table = timeline(
        predicted["logit"].to_numpy(), *stretches_of_labels(run, label_events(cfg)), cfg.TR_S, lag_s, cfg.WINDOW_TRS,
        cfg.PREDICTION_AT, cfg.MIN_STRETCH_S, film_ahead_s(run, len(predicted)), run.film.duration_s if run.film else np.inf,
    )  # fmt: skip
    table["split"] = cfg.HELD_OUT_SPLIT
    table[["seen_in_training", "fold_model"]] = predicted[["seen_in_training", "fold_model"]]
    write_timeline(stage.folder, run, table, labels_of(cfg))


def follow(name: str):
    """Predict a run during the scan: per volume, print a line and write a row of ``live/<name>_predictions.tsv``."""
    cfg, stage, mask, affine = open_stage()
    folder = Path(name)
    if not folder.is_dir():
        raise NeuroFaceError(
            f"--follow {name}: no such folder. Name the one that the scanner writes volumes to."
        )
    target = stage.folder / "live" / f"{folder.resolve().name}_predictions.tsv"
    if target.exists():
        raise NeuroFaceError(
            f"{target} already exists. Move it, or follow a folder with another name."
        )
    run = run_of_folder(folder)
    models = models_of([run], stage, cfg, several=False)[run]
    (fold,) = models.folds
    predictor = predictor_of(stage, fold, int(mask.sum()), 1, cfg)
    live = LivePrediction(predictor, live_settings(cfg), models if run.movie else None)
    print(f"  {run.name}: fold model {fold}, {live_text(run, models)}")
    if film_begins_s(cfg.FILM_EVENT) is None:
        print(
            f"  when the film begins (FILM_EVENT = {cfg.FILM_EVENT!r}) is not known during a scan: stimulus_time_s and "
            f"seen_in_training are n/a; count from tr, the volume, with the film's beginning as you note it"
        )
    if cfg.DENOISE != "none":
        print(
            f"  DENOISE = {cfg.DENOISE!r}: of volumes that arrive only drift is removed; confounds are not known yet"
        )
    print(
        f"  waiting for volumes in {folder}; ends after {cfg.FOLLOW_IDLE_S:g} s without one, or with Ctrl-C",
        flush=True,
    )
    target.parent.mkdir(exist_ok=True)
    with open(target, "w") as table:
        table.write("\t".join(live.COLUMNS) + "\n")
        try:
            arriving = follow_volumes(
                folder, mask, affine, 2 * cfg.TR_S, cfg.FOLLOW_IDLE_S, cfg.SMOOTHING_MM
            )
            for number, volume, since in arriving:
                if volume is None:
                    print(
                        f"  volume {number} is missing or incomplete: the volume before it is used",
                        flush=True,
                    )
                rows = live.push(volume, since)
                if live.n_bright and rows and rows[0]["tr"] == 0:
                    print(
                        f"  the first {live.n_bright} volumes are brighter than the rest (not steady state): they count as "
                        f"missing"
                    )
                for row in rows:
                    table.write("\t".join(map(str, row.values())) + "\n")
                    table.flush()
                    print(
                        live_line(row),
                        flush=True,
                    )
        except KeyboardInterrupt:
            print("\n  stopped")
    print(f"  {live.summary()}; wrote {target}")


if __name__ == "__main__":
    run_script(main, follow=follow)
