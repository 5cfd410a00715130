"""8. A face on the screen, or not, at every moment of a film.

Slides a fold model over whole runs, volume by volume, and sets its probability beside what was on the screen, both on
the film's clock. Each run is predicted by a model that saw neither its person nor its film where HELD_OUT_SPLIT gives
one; where it does not, the table and the figure say what the model had seen.

    python 8-moment_by_moment_face_prediction.py                        all runs
    python 8-moment_by_moment_face_prediction.py --follow FOLDER        a run that is being scanned: one prediction per
                                                                        volume (<number>.nii or .nii.gz) as it comes

Reads     the data set in DATASET_DIR, 1-windows/group_mask.nii.gz, 3-model/<HELD_OUT_SPLIT>/
Writes    8-predictions/<sub>_task-<movie>_predictions.tsv, a row per volume, and .json, what its columns mean;
          metrics.json; <sub>_task-<movie>_timeline.png, the seconds of PLOT_INTERVAL_S; <movie>_strip.png, the film with
          all its viewers; event_locked.png, lag_sweep.png; live/<FOLDER's name>_predictions.tsv
Settings  HELD_OUT_SPLIT, EXPLAINED_MODEL, SMOOTH_TRS, PREDICTION_AT, MIN_SHIFT_S
Takes     per volume 0.02 s at full size on 2 CPU cores, and every BOLD file is read twice; 2 GB of memory at full size,
          whatever the length of the runs
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from neuroface import NeuroFaceError, bold, windows
from neuroface import timeline as clock
from neuroface import timeline_figures as figures
from neuroface.dataset import Run, find_runs
from neuroface.files import model_file, model_folder, read_json, read_table, write_json, write_table
from neuroface.follow import LivePrediction, follow_volumes
from neuroface.report import Section
from neuroface.running import RunningStatistics
from neuroface.settings import load_settings
from neuroface.sliding import predictor_of_model, slide
from neuroface.stage import Stage, run_script
from neuroface.timeline_scores import MEANS, curves_of, score_timeline, summarize
from neuroface.uncertainty import mean_over_people

SETTINGS = ("HELD_OUT_SPLIT", "EXPLAINED_MODEL", "SMOOTH_TRS", "PREDICTION_AT", "MIN_SHIFT_S")
FIGURES_IN_REPORT = 8


def main():
    cfg, stage, mask, affine = open_stage()
    runs, missing = find_runs(cfg.DATASET, cfg.DATASET_DIR, cfg.EXCLUDE, cfg.BIDS_FILTER, cfg.NNDB_VARIANT)
    for what, why in missing:
        stage.leave_out(what, why)

    def done(run):
        return table_of(stage.folder, run).exists() and sidecar_of(stage.folder, run).exists()

    used = [file for run in runs if done(run) for file in run.files]
    stage.take_files([file for run in runs for file in run.files], used)
    models = choose_models(runs, folder_of_models(stage, cfg), cfg.SELECTION)

    def predict(run):
        fold, seen = models[run]
        file = model_file(stage.folder_of(3), cfg.HELD_OUT_SPLIT, fold, cfg.EXPLAINED_MODEL)
        predictor = predictor_of_model(file, int(mask.sum()), cfg.WINDOW_TRS, cfg.INFERENCE_BATCH)
        logit = slide(predictor, standardized_volumes(run, mask, affine, predictor.batch, cfg))
        logit = clock.smoothed(on_every_tr(logit, run, cfg.WINDOW_TRS), cfg.SMOOTH_TRS)
        table = on_the_clock(logit, run, cfg)
        table = table.assign(split=cfg.HELD_OUT_SPLIT, seen_in_training=int(seen["person"] or seen["film"]))
        write_table(table_of(stage.folder, run), table)
        write_json(sidecar_of(stage.folder, run), clock.COLUMNS)

    by_model = sorted(runs, key=lambda run: models[run][0])

    stage.each(predict, by_model, done, "runs")

    tables = {run: read_table(table_of(stage.folder, run)) for run in runs}
    scored = []
    for run, table in tables.items():
        if clock.known(table)["face"].nunique() == 2:
            scored.append(run)
        else:
            stage.leave_out(run.name, "no scores or figure: its predicted moments all have, or all lack, a face")
    if not scored:
        raise NeuroFaceError("No run has moments both with and without a face; there is nothing to score.")
    held_out = read_table(folder_of_models(stage, cfg) / "predictions.tsv")
    results, nulls = zip(*(score_run(tables[run], run, *models[run], held_out, cfg) for run in scored))
    stretches = [windows.read_stretches(run.annotation, cfg.FACE_TRIAL_TYPES) for run in scored]
    curves = curves_of([tables[run] for run in scored], stretches, cfg.TR_S, cfg.MIN_STRETCH_S)
    study = {"split": cfg.HELD_OUT_SPLIT, "selection": cfg.SELECTION}
    study |= summarize(results, [tables[run] for run in scored], nulls, curves, cfg.SEED)
    write_json(stage.folder / "metrics.json", study | {"runs": list(results)})
    draw(stage.folder, scored, tables, results, curves, cfg)
    stage.finish(f"predictions of {len(runs)} runs", describe(stage, scored, results, study))


def open_stage():
    cfg = load_settings(Path(__file__).with_name("config.py"))
    stage = Stage(8, cfg, SETTINGS, reads=(1, 3))
    return cfg, stage, *bold.read_mask(stage.folder_of(1) / "group_mask.nii.gz")


def folder_of_models(stage: Stage, cfg) -> Path:
    return model_folder(stage.folder_of(3), cfg.HELD_OUT_SPLIT, cfg.EXPLAINED_MODEL)


def table_of(folder: Path, run: Run) -> Path:
    return folder / f"{run.name}_predictions.tsv"


def sidecar_of(folder: Path, run: Run) -> Path:
    return table_of(folder, run).with_suffix(".json")


def figure_of(folder: Path, run: Run) -> Path:
    return folder / f"{run.name}_timeline.png"


def choose_models(runs: list[Run], folder: Path, selection: str) -> dict[Run, tuple[int, dict[str, bool]]]:
    """For each run, the fold model that saw least of it, and whether that model saw this run, person and film.

    A fold model saw every window that is not held out in its fold, be it for training or to choose the epoch; with
    SELECTION = "paper" it saw those too, for they chose its epoch.
    """
    held_out = read_table(folder / "predictions.tsv")
    quality = {f["fold"]: f["best_val_balanced_accuracy"] for f in read_json(folder / "metrics.json")["folds"]}
    chosen = {}
    for run in runs:
        options = []
        for fold in quality:
            known = held_out if selection == "paper" else held_out[held_out["fold"] != fold]
            person, film = known["subject"] == run.subject, known["movie"] == run.movie
            seen = {
                "run": bool((person & film & (known["run"] == run.run)).any()),
                "person": bool(person.any()),
                "film": bool(film.any()),
            }
            options.append((sum(seen.values()), -quality[fold], fold, seen))
        _, _, fold, seen = min(options, key=lambda option: option[:3])
        chosen[run] = fold, seen
    return chosen


def standardized_volumes(run: Run, mask: np.ndarray, affine: np.ndarray, n: int, cfg):
    """The run's volumes (n, n_voxels), some at a time, standardised as script 1 does; it takes a first reading."""
    volumes = bold.stream_masked(run.bold, mask, affine, n)
    if cfg.STANDARDIZE == "none":
        return volumes
    statistics = RunningStatistics()
    for part in volumes:
        statistics.add(part)
    return map(statistics.standardize, bold.stream_masked(run.bold, mask, affine, n))


def on_every_tr(logit: np.ndarray, run: Run, window_trs: int) -> np.ndarray:
    """Logits by volume of the series → by TR of the film; NaN where a window would touch a censored TR."""
    kept = windows.read_censor(run.censor, len(logit))
    first_tr, first_volume = windows.whole_windows(kept, window_trs)
    by_tr = np.full(len(kept), np.nan)
    by_tr[first_tr] = logit[first_volume]
    return by_tr


def on_the_clock(logit: np.ndarray, run: Run, cfg) -> pd.DataFrame:
    faces, others = windows.stretches_of(run.annotation, cfg.FACE_TRIAL_TYPES, cfg.NOFACE_TRIAL_TYPES)
    return clock.timeline(
        logit, faces, others, cfg.TR_S, cfg.LAG_S, cfg.WINDOW_TRS, cfg.PREDICTION_AT, cfg.MIN_STRETCH_S
    )


def score_run(
    table: pd.DataFrame, run: Run, fold: int, seen: dict, held_out: pd.DataFrame, cfg
) -> tuple[dict, np.ndarray]:
    """All scores of a run, and its AUC under every rotation of the annotation.

    The threshold is the best one for the held-out windows of the folds that this run's fold is not among.
    """
    others = held_out[held_out["fold"] != fold]
    threshold = clock.best_threshold((others["label"] == "face").to_numpy(int), others["probability"].to_numpy())
    what, null = score_timeline(table, threshold, round(cfg.MIN_SHIFT_S / cfg.TR_S))
    who = {"run": run.name, "subject": run.subject, "movie": run.movie, "fold_model": fold}
    # What a run shows; BIDS runs have a timing of their own.
    who["film"] = run.name.removeprefix(f"{run.subject}_").removeprefix("task-")
    return who | {f"seen_{what}": was for what, was in seen.items()} | what, null


def seen_text(result: dict) -> str:
    parts = {True: [], False: []}
    for name in ("run", "person", "film"):
        parts[result[f"seen_{name}"]].append(name)
    if not parts[True]:
        return "person and film unseen in training"
    unseen = f"{' and '.join(parts[False])} unseen, " if parts[False] else ""
    return f"{unseen}{' and '.join(parts[True])} seen in training"


def draw(folder: Path, runs: list[Run], tables: dict, results, curves: dict, cfg) -> None:
    for run, result in zip(runs, results):
        title = f"{run.name}: AUC {result['auc']:.2f} ({seen_text(result)})"
        threshold = result["at_training_threshold"]["threshold"]
        figures.plot_interval(tables[run], title, cfg.PLOT_INTERVAL_S, threshold, figure_of(folder, run))
    for movie in dict.fromkeys(run.movie for run in runs):
        rows = {run.name.replace(f"_task-{movie}", ""): tables[run] for run in runs if run.movie == movie}
        seen = dict.fromkeys(seen_text(result) for result in results if result["movie"] == movie)
        figures.plot_strip(rows, f"{movie} ({'; '.join(seen)})", folder / f"{movie}_strip.png")
    people = [run.subject for run in runs]
    sweep, onset, offset = (mean_over_people(curves[kind], people) for kind in ("sweep", "onset", "offset"))
    figures.plot_lag_sweep(curves["sweep_s"], sweep, curves["sweep"], folder / "lag_sweep.png")
    counts = curves["n_onsets"], curves["n_offsets"]
    figures.plot_event_locked(curves["around_s"], onset, offset, counts, cfg.MIN_STRETCH_S, folder / "event_locked.png")


def text(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def describe(stage: Stage, runs: list[Run], results, study: dict) -> Section:
    null, mean = study["shift_null"], study["mean_over_people_95"]
    section = Section(
        "Moment by moment",
        "The network slid over whole runs. Predictions and truth share the film's clock. Read accuracy beside the share of "
        "time with a face on the screen: always saying the commoner answer scores at least that, or its rest to 1.",
    )
    for result in results:
        print(f"  {result['run']}: AUC {result['auc']:.3f}, F1 {result['f1']:.3f}; {seen_text(result)}")
    print(
        f"  mean AUC {mean['auc'][0]:.3f}; with the annotation rotated {text(null['mean'])}, p = {text(null['p'], 4)}"
    )
    section.numbers(
        {
            "mean AUC": text(mean["auc"][0]),
            "its 95 % interval over people": " – ".join(map(text, mean["auc"][1:])),
            "AUC, annotation rotated": text(null["mean"]),
            "p (rotations)": text(null["p"], 4),
            "mean MCC": text(mean["mcc"][0]),
            "mean F1": text(mean["f1"][0]),
            "face on the screen": f"{mean['base_rate'][0]:.1%}",
        }
    )
    section.figure(
        stage.folder / "lag_sweep.png",
        "AUC if every prediction spoke for a moment so much later than its clock says: thick the mean over people with its "
        "95 % interval, thin each run. With LAG_S and PREDICTION_AT right, the top is near 0.",
    )
    section.figure(
        stage.folder / "event_locked.png",
        "Mean probability around the moments at which a face comes on an empty screen to stay, and at which it goes for a "
        "while, with the 95 % interval over people. Shaded: a face is certainly there.",
    )
    for movie in list(study["by_movie"])[:FIGURES_IN_REPORT]:
        section.figure(
            stage.folder / f"{movie}_strip.png", f"{movie}: the truth, and each viewer's predicted probability."
        )
    for cut, of in (("0.5", lambda r: r), ("the training folds' best threshold", lambda r: r["at_training_threshold"])):
        rows = [(r["run"], seen_text(r), *(text((r | of(r))[name]) for name in MEANS)) for r in results]
        section.table(["run", "model", *MEANS], rows, f"Every second of every run, threshold {cut}")
    chance = [(r["shift_null"]["mean"], r["shift_null"]["p"], r["auc_in_training_like_windows"]) for r in results]
    rows = [(r["run"], text(r["auc"]), text(m), text(p, 4), text(inside)) for r, (m, p, inside) in zip(results, chance)]
    columns = ["run", "AUC", "AUC, annotation rotated", "p", "AUC in training-like windows"]
    section.table(columns, rows, "Against chance, run by run")
    for what, part in (("film or task", study["by_movie"]), ("person", study["by_subject"])):
        rows = [(key, *(text(s[name]) for name in MEANS)) for key, s in part.items()]
        section.table([what, *MEANS], rows, f"Means per {what}, threshold 0.5")
    if study["agreement"]:
        rows = [(film, text(r)) for film, r in study["agreement"].items()]
        section.table(
            ["film", "correlation"], rows, "Agreement: mean correlation of logits between viewers of one film"
        )
    for run in runs[:FIGURES_IN_REPORT]:
        section.figure(
            figure_of(stage.folder, run),
            f"{run.name}. Top: predicted probability over the moments with a face (shaded). Bottom: the answers at 0.5 and "
            f"at the training folds' threshold, under the truth.",
        )
    return section


def follow(name: str):
    """Predict a run while it is scanned: a line, and a row of ``live/<name>_predictions.tsv``, per volume."""
    cfg, stage, mask, affine = open_stage()
    folder = Path(name)
    if not folder.is_dir():
        raise NeuroFaceError(f"--follow {name}: no such folder. Name the one that the scanner writes volumes to.")
    target = stage.folder / "live" / f"{folder.resolve().name}_predictions.tsv"
    if target.exists():
        raise NeuroFaceError(f"{target} is there already. Move it away, or follow a folder of another name.")
    run = run_of_folder(folder)
    fold, seen = choose_models([run], folder_of_models(stage, cfg), cfg.SELECTION)[run]
    file = model_file(stage.folder_of(3), cfg.HELD_OUT_SPLIT, fold, cfg.EXPLAINED_MODEL)
    live = LivePrediction(predictor_of_model(file, int(mask.sum()), cfg.WINDOW_TRS, 1), cfg)
    print(f"  {run.name}: fold model {fold}, {seen_text({f'seen_{k}': v for k, v in seen.items()})}")
    print(
        f"  waiting for volumes in {folder}; ends after {cfg.FOLLOW_IDLE_S:g} s without one, or with Ctrl-C", flush=True
    )
    target.parent.mkdir(exist_ok=True)
    with open(target, "w") as table:
        table.write("\t".join(live.COLUMNS) + "\n")
        try:
            for number, volume, since in follow_volumes(folder, mask, affine, 2 * cfg.TR_S, cfg.FOLLOW_IDLE_S):
                if volume is None:
                    print(f"  volume {number} is missing or not whole: the one before it stands in", flush=True)
                for row in live.push(volume, since):
                    table.write("\t".join(map(str, row.values())) + "\n")
                    table.flush()
                    print("  {stimulus_time_s:8.1f} s  probability {probability:.3f}".format(**row), flush=True)
        except KeyboardInterrupt:
            print("\n  stopped")
    print(f"  {live.summary()}; wrote {target}")


def run_of_folder(folder: Path) -> Run:
    """A run to choose a model for, from a folder's name such as ``sub-9_task-orchard``."""
    name = folder.resolve().name
    subject, movie = re.search(r"sub-[A-Za-z0-9]+", name), re.search(r"task-([A-Za-z0-9]+)", name)
    return Run(subject[0] if subject else "", movie[1] if movie else "", "live", name, folder, None, folder)


if __name__ == "__main__":
    run_script(main, follow=follow)
