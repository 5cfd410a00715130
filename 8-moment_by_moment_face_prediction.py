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
Settings  HELD_OUT_SPLIT, PREDICTION_AT, MIN_SHIFT_S
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
from neuroface.files import model_file, read_json, read_table, write_json, write_table
from neuroface.follow import LivePrediction, follow_volumes
from neuroface.metrics import scores
from neuroface.report import Section
from neuroface.running import RunningStatistics
from neuroface.settings import load_settings
from neuroface.sliding import predictor_of_model, slide
from neuroface.stage import Stage, run_script
from neuroface.uncertainty import mean_over_people, p_value

SETTINGS = ("HELD_OUT_SPLIT", "PREDICTION_AT", "MIN_SHIFT_S")
FIGURES_IN_REPORT = 8
N_NULL_DRAWS = 10_000
LAG_OFFSETS_S = np.arange(-10, 10.25, 0.5)


def main():
    cfg, stage, mask, affine = open_stage()
    runs, missing = find_runs(cfg.DATASET, cfg.DATASET_DIR, cfg.EXCLUDE, cfg.BIDS_FILTER)
    for what, why in missing:
        stage.leave_out(what, why)
    stage.take_files({name: print_ for run in runs for name, print_ in run.fingerprints.items()})
    models = choose_models(runs, stage.folder_of(3) / cfg.HELD_OUT_SPLIT, cfg.SELECTION)

    def predict(run):
        fold, seen = models[run]
        file = model_file(stage.folder_of(3), cfg.HELD_OUT_SPLIT, fold)
        predictor = predictor_of_model(file, int(mask.sum()), cfg.WINDOW_TRS, cfg.INFERENCE_BATCH)
        logit = slide(predictor, standardized_volumes(run, mask, affine, predictor.batch, cfg))
        table = on_the_clock(logit, run, cfg)
        table = table.assign(split=cfg.HELD_OUT_SPLIT, seen_in_training=int(seen["person"] or seen["film"]))
        write_json(table_of(stage.folder, run).with_suffix(".json"), clock.COLUMNS)
        write_table(table_of(stage.folder, run), table)

    by_model = sorted(runs, key=lambda run: models[run][0])
    stage.each(predict, by_model, lambda run: table_of(stage.folder, run).exists(), "runs")

    tables = {run: read_table(table_of(stage.folder, run)) for run in runs}
    scored = []
    for run, table in tables.items():
        if clock.known(table)["face"].nunique() == 2:
            scored.append(run)
        else:
            stage.leave_out(run.name, "no scores or figure: its predicted moments all have, or all lack, a face")
    if not scored:
        raise NeuroFaceError("No run has moments both with and without a face; there is nothing to score.")
    held_out = read_table(stage.folder_of(3) / cfg.HELD_OUT_SPLIT / "predictions.tsv")
    results, nulls = zip(*(score_run(tables[run], run, *models[run], held_out, cfg) for run in scored))
    curves = curves_of(scored, tables, cfg)
    study = summarize(scored, tables, results, nulls, curves, cfg)
    write_json(stage.folder / "metrics.json", study | {"runs": list(results)})
    draw(stage.folder, scored, tables, results, curves, cfg)
    stage.finish(f"predictions of {len(runs)} runs", describe(stage, scored, results, study))


def open_stage():
    cfg = load_settings(Path(__file__).with_name("config.py"))
    stage = Stage(8, cfg, SETTINGS, reads=(1, 3))
    return cfg, stage, *bold.read_mask(stage.folder_of(1) / "group_mask.nii.gz")


def table_of(folder: Path, run: Run) -> Path:
    return folder / f"{run.name}_predictions.tsv"


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
    volumes = bold.masked_volumes(run.bold, mask, affine, n)
    if cfg.STANDARDIZE == "none":
        return volumes
    statistics = RunningStatistics(int(mask.sum()))
    for part in volumes:
        statistics.add(part)
    return map(statistics.standardize, bold.masked_volumes(run.bold, mask, affine, n))


def on_the_clock(logit: np.ndarray, run: Run, cfg) -> pd.DataFrame:
    faces, others = windows.read_stretches(run.annotation, cfg.FACE_TRIAL_TYPES), None
    if cfg.NOFACE_TRIAL_TYPES:
        others = np.concatenate([windows.read_events(run.annotation, (kind,)) for kind in cfg.NOFACE_TRIAL_TYPES])
    return clock.timeline(
        logit, faces, others, cfg.TR_S, cfg.LAG_S, cfg.WINDOW_TRS, cfg.PREDICTION_AT, cfg.MIN_STRETCH_S
    )


def film_of(run: Run) -> str:
    """What a run shows; BIDS runs have a timing of their own."""
    return run.name.removeprefix(f"{run.subject}_").removeprefix("task-")


def score_run(
    table: pd.DataFrame, run: Run, fold: int, seen: dict, held_out: pd.DataFrame, cfg
) -> tuple[dict, np.ndarray]:
    """All scores of a run, and its AUC under every rotation of the annotation.

    The threshold is the best one for the held-out windows of the folds that this run's fold is not among.
    """
    table = clock.known(table)
    face, probability = table["face"].to_numpy(int), table["probability"].to_numpy()
    others = held_out[held_out["fold"] != fold]
    threshold = clock.best_threshold((others["label"] == "face").to_numpy(int), others["probability"].to_numpy())
    null = clock.shift_null(face, table["logit"].to_numpy(), round(cfg.MIN_SHIFT_S / cfg.TR_S))
    like_training = table["in_window"].to_numpy() == 1
    base_rate, result = face.mean(), scores(face, probability)
    return {
        "run": run.name,
        "subject": run.subject,
        "movie": run.movie,
        "fold_model": fold,
        "seen_run": seen["run"],
        "seen_person": seen["person"],
        "seen_film": seen["film"],
        "base_rate": float(base_rate),
        "accuracy_of_always_the_commoner": float(max(base_rate, 1 - base_rate)),
        **result,
        "at_training_threshold": {"threshold": threshold} | scores(face, probability, threshold),
        "auc_in_training_like_windows": clock.area_under_roc(face[like_training], probability[like_training]),
        "shift_null": {
            "n": len(null),
            "mean": float(null.mean()) if len(null) else None,
            "p": p_value(result["auc"], null) if len(null) else None,
        },
    }, null


def curves_of(runs: list[Run], tables: dict, cfg) -> dict:
    """AUC against alignment, and the mean probability around faces' coming and going: (n_runs, n_offsets) each."""
    around_s = np.arange(-cfg.MIN_STRETCH_S, cfg.MIN_STRETCH_S + 5.01, cfg.TR_S)
    curves = {"around_s": around_s, "sweep": [], "onset": [], "offset": [], "n_onsets": 0, "n_offsets": 0}
    for run in runs:
        table = clock.known(tables[run])
        time_s, probability = table["stimulus_time_s"].to_numpy(), table["probability"].to_numpy()
        faces = windows.read_stretches(run.annotation, cfg.FACE_TRIAL_TYPES)
        curves["sweep"].append(clock.lag_sweep(time_s, probability, faces, LAG_OFFSETS_S))
        for kind, events_s in zip(("onset", "offset"), clock.clean_events(faces, cfg.MIN_STRETCH_S)):
            mean, n = clock.event_locked(time_s, probability, events_s, around_s)
            curves[kind].append(mean)
            curves[f"n_{kind}s"] += n
    return curves


def summarize(runs, tables, results, nulls, curves, cfg) -> dict:
    """What metrics.json holds beside the runs: means over people with intervals, the null, films, agreement, curves."""
    people, films = [run.subject for run in runs], [film_of(run) for run in runs]
    names = ("base_rate", "accuracy", "auc", "pr_auc", "precision", "recall", "f1", "mcc")
    frame = pd.DataFrame(results)
    known = {run: clock.known(tables[run]) for run in runs}
    null = clock.mean_shift_null(nulls, films, N_NULL_DRAWS, cfg.SEED) if all(map(len, nulls)) else np.array([])
    sweep = mean_over_people(curves["sweep"], people)
    return {
        "split": cfg.HELD_OUT_SPLIT,
        "selection": cfg.SELECTION,
        "mean_over_people_95": {name: rounded(mean_over_people(frame[name], people)) for name in names},
        "shift_null": {
            "n": len(null),
            "mean": float(null.mean()) if len(null) else None,
            "p": p_value(frame["auc"].mean(), null) if len(null) else None,
        },
        "by_movie": frame.groupby("movie")[list(names)].mean().to_dict("index"),
        "by_subject": frame.groupby("subject")[list(names)].mean().to_dict("index"),
        "agreement": {
            film: clock.agreement(
                [(known[r]["stimulus_time_s"].to_numpy(), known[r]["logit"].to_numpy()) for r in same]
            )
            for film in dict.fromkeys(films)
            if len(same := [run for run in runs if film_of(run) == film]) > 1
        },
        "lag_sweep": {"offset_s": LAG_OFFSETS_S.tolist(), "auc": rounded(sweep[0])},
    }


def rounded(values) -> list:
    return [None if np.isnan(v) else round(float(v), 4) for v in values]


def seen_text(result: dict) -> str:
    seen = [name for name in ("run", "person", "film") if result[f"seen_{name}"]]
    return f"this {' and '.join(seen)} seen in training" if seen else "person and film unseen in training"


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
    figures.plot_lag_sweep(LAG_OFFSETS_S, sweep, np.array(curves["sweep"]), folder / "lag_sweep.png")
    counts = curves["n_onsets"], curves["n_offsets"]
    figures.plot_event_locked(curves["around_s"], onset, offset, counts, cfg.MIN_STRETCH_S, folder / "event_locked.png")


def describe(stage: Stage, runs: list[Run], results, study: dict) -> Section:
    null, mean = study["shift_null"], study["mean_over_people_95"]
    section = Section(
        "Moment by moment",
        "The network slid over whole runs. Predictions and truth share the film's clock. Read accuracy beside the share of "
        "time with a face on the screen: always saying the commoner answer scores at least that, or its rest to 1.",
    )
    for result in results:
        print(f"  {result['run']}: AUC {result['auc']:.3f}, F1 {result['f1']:.3f}; {seen_text(result)}")
    p_text = "–" if null["p"] is None else f"{null['p']:.4f}"
    print(f"  mean AUC {mean['auc'][0]:.3f}; with the annotation rotated p = {p_text}")
    headline = {"mean AUC": "auc", "mean MCC": "mcc", "mean F1": "f1"}
    section.numbers({label: f"{mean[name][0]:.3f}" for label, name in headline.items()})
    section.numbers(
        {
            "95 % interval of the AUC over people": "–"
            if mean["auc"][1] is None
            else "{1:.3f} – {2:.3f}".format(*mean["auc"]),
            "AUC, annotation rotated": "–" if null["mean"] is None else f"{null['mean']:.3f}",
            "p (rotations)": p_text,
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
    names = ["base_rate", "accuracy", "precision", "recall", "f1", "mcc", "auc", "pr_auc"]
    for cut, of in (("0.5", lambda r: r), ("the training folds' best threshold", lambda r: r["at_training_threshold"])):
        rows = [(r["run"], seen_text(r), *(f"{(r | of(r))[name]:.3f}" for name in names)) for r in results]
        section.table(["run", "model", *names], rows, f"Every second of every run, threshold {cut}")
    rows = [
        (r["run"], f"{r['auc']:.3f}", *("–" if v is None else f"{v:.{k}f}" for v, k in zip(
            (r["shift_null"]["mean"], r["shift_null"]["p"]), (3, 4))), f"{r['auc_in_training_like_windows']:.3f}")
        for r in results
    ]  # fmt: skip
    section.table(
        ["run", "AUC", "AUC, annotation rotated", "p", "AUC in training-like windows"],
        rows,
        "Against chance, run by run",
    )
    for what, part in (("film or task", study["by_movie"]), ("person", study["by_subject"])):
        rows = [(key, *(f"{s[name]:.3f}" for name in names)) for key, s in part.items()]
        section.table([what, *names], rows, f"Means per {what}, threshold 0.5")
    if study["agreement"]:
        rows = [(film, "–" if np.isnan(r) else f"{r:.3f}") for film, r in study["agreement"].items()]
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
    fold, seen = choose_models([run], stage.folder_of(3) / cfg.HELD_OUT_SPLIT, cfg.SELECTION)[run]
    file = model_file(stage.folder_of(3), cfg.HELD_OUT_SPLIT, fold)
    live = LivePrediction(predictor_of_model(file, int(mask.sum()), cfg.WINDOW_TRS, 1), cfg)
    print(f"  {run.name}: fold model {fold}, {seen_text({f'seen_{k}': v for k, v in seen.items()})}")
    print(
        f"  waiting for volumes in {folder}; ends after {cfg.FOLLOW_IDLE_S:g} s without one, or with Ctrl-C", flush=True
    )
    target.parent.mkdir(exist_ok=True)
    with open(target, "w") as table:
        table.write("\t".join(live.COLUMNS) + "\n")
        try:
            for number, volume in follow_volumes(folder, mask, affine, 2 * cfg.TR_S, cfg.FOLLOW_IDLE_S):
                if volume is None:
                    print(f"  volume {number} is missing: the one before it stands in", flush=True)
                for row in live.push(volume):
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
    run_script(main, follow)
