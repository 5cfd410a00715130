"""8. A face on the screen, or not, at every moment of a film.

Slides a fold model over whole runs, volume by volume, and sets its probability beside what was on the screen, both on
the film's clock. Each run is predicted by a model that saw neither its person nor its film where HELD_OUT_SPLIT gives
one; where it does not, the table and the figure say what the model had seen.

Reads     the data set in DATASET_DIR, 1-windows/group_mask.nii.gz, 3-model/<HELD_OUT_SPLIT>/
Writes    8-predictions/<sub>_task-<movie>_predictions.tsv, a row per volume; metrics.json;
          8-predictions/*_timeline.png, the seconds of PLOT_INTERVAL_S
Settings  HELD_OUT_SPLIT, PREDICTION_AT
Takes     a forward pass per volume (0.12 s at full size on 2 CPU cores); memory: one run's voxels × volumes in float32
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from neuroface import NeuroFaceError, bold, windows
from neuroface.dataset import Run, find_runs
from neuroface.files import model_file, read_json, read_table, write_json, write_table
from neuroface.metrics import scores
from neuroface.network import load_network, logit_network, predict_logits
from neuroface.report import Section, save_figure
from neuroface.settings import load_settings
from neuroface.stage import Stage, run_script

SETTINGS = ("HELD_OUT_SPLIT", "PREDICTION_AT")
FIGURES_IN_REPORT = 8


def main():
    cfg = load_settings(Path(__file__).with_name("config.py"))
    stage = Stage(8, cfg, SETTINGS, reads=(1, 3))
    mask, affine = bold.read_mask(stage.folder_of(1) / "group_mask.nii.gz")
    runs, missing = find_runs(cfg.DATASET, cfg.DATASET_DIR, cfg.EXCLUDE, cfg.BIDS_FILTER)
    for what, why in missing:
        stage.leave_out(what, why)
    stage.take_files({name: print_ for run in runs for name, print_ in run.fingerprints.items()})
    models = choose_models(runs, stage.folder_of(3) / cfg.HELD_OUT_SPLIT, cfg.SELECTION)

    def predict(run):
        matrix = bold.read_masked(run.bold, mask, affine)
        if cfg.STANDARDIZE == "zscore":
            bold.zscore(matrix)
        fold, seen = models[run]
        model = load_network(model_file(stage.folder_of(3), cfg.HELD_OUT_SPLIT, fold), len(matrix), cfg.WINDOW_TRS)
        table = predict_run(
            matrix, logit_network(model), windows.read_stretches(run.annotation, cfg.FACE_TRIAL_TYPES), cfg
        )
        table = table.assign(split=cfg.HELD_OUT_SPLIT, seen_in_training=int(seen["person"] or seen["film"]))
        write_table(table_of(stage.folder, run), table)

    stage.each(predict, runs, lambda run: table_of(stage.folder, run).exists(), "runs")

    tables = {run: read_table(table_of(stage.folder, run)) for run in runs}
    scored = []
    for run, table in tables.items():
        if table.dropna(subset=["probability", "face"])["face"].nunique() == 2:
            scored.append(run)
        else:
            stage.leave_out(run.name, "no scores or figure: its predicted moments all have, or all lack, a face")
    if not scored:
        raise NeuroFaceError("No run has moments both with and without a face; there is nothing to score.")
    results = [score_run(tables[run], run, *models[run]) for run in scored]
    write_json(
        stage.folder / "metrics.json", {"split": cfg.HELD_OUT_SPLIT, "selection": cfg.SELECTION, "runs": results}
    )
    for run, result in zip(scored, results):
        plot_timeline(tables[run], result, cfg, figure_of(stage.folder, run))
    stage.finish(f"predictions of {len(runs)} runs", describe(stage, scored, results))


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


def predict_run(matrix: np.ndarray, logit_model, stretches: np.ndarray, cfg) -> pd.DataFrame:
    """Slide the model over a run (n_voxels, n_trs): a row per volume; n/a at the end, where no whole window starts."""
    n_trs = matrix.shape[1]
    logit = np.full(n_trs, np.nan)
    if n_trs >= cfg.WINDOW_TRS:
        every = np.lib.stride_tricks.sliding_window_view(matrix, cfg.WINDOW_TRS, axis=1).transpose(1, 0, 2)
        logit[: len(every)] = predict_logits(logit_model, every, cfg.INFERENCE_BATCH)
    tr = np.arange(n_trs)
    time_s = windows.stimulus_time_s(tr, cfg.TR_S, cfg.LAG_S, cfg.WINDOW_TRS, cfg.PREDICTION_AT)
    table = pd.DataFrame(
        {
            "tr": tr,
            "stimulus_time_s": time_s,
            "probability": 1 / (1 + np.exp(-logit)),
            "logit": logit,
            "face": pd.array(windows.on_screen(time_s, stretches), dtype="Int8"),
        }
    )
    table.loc[time_s < 0, "face"] = pd.NA  # the film has not begun: neither face nor no face
    return table


def score_run(table: pd.DataFrame, run: Run, fold: int, seen: dict[str, bool]) -> dict:
    table = table.dropna(subset=["probability", "face"])
    face, probability = table["face"].to_numpy(int), table["probability"].to_numpy()
    base_rate = face.mean()
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
    } | scores(face, probability)


def seen_text(result: dict) -> str:
    seen = [name for name in ("run", "person", "film") if result[f"seen_{name}"]]
    return f"model had seen this {' and '.join(seen)} in training" if seen else "person and film unseen in training"


def plot_timeline(table: pd.DataFrame, result: dict, cfg, target: Path) -> None:
    """Probability of a face, and the yes/no answer at 0.5, over the truth; PLOT_INTERVAL_S, or all if that is outside."""
    start, end = cfg.PLOT_INTERVAL_S
    shown = table[table["stimulus_time_s"].between(start, end)].dropna(subset=["probability", "face"])
    shown = shown if len(shown) else table.dropna(subset=["probability", "face"])
    time_s, face = shown["stimulus_time_s"], shown["face"]
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(11, 3.6), sharex=True, height_ratios=(2, 1), layout="constrained"
    )
    top.fill_between(time_s, 0, face, step="mid", color="#f0c9a8", linewidth=0, label="face on the screen")
    top.plot(time_s, shown["probability"], color="#2b5f8a", linewidth=1, label="predicted probability")
    top.axhline(0.5, color="#999999", linewidth=0.6, linestyle=":")
    top.set(ylabel="probability", ylim=(0, 1), xlim=(time_s.min(), time_s.max()))
    top.legend(loc="upper right", ncols=2, fontsize=8, framealpha=0.9)
    for height, values, colour in ((1, face, "#d98f53"), (0, (shown["probability"] >= 0.5).astype(int), "#2b5f8a")):
        bottom.fill_between(time_s, height + 0.1, height + 0.1 + 0.8 * values, step="mid", color=colour, linewidth=0)
    bottom.set(yticks=(0.5, 1.5), yticklabels=("predicted", "true"), ylim=(0, 2), xlabel="second of the film")
    figure.suptitle(f"{result['run']}: AUC {result['auc']:.2f} ({seen_text(result)})", fontsize=11)
    save_figure(figure, target, dpi=110)


def describe(stage: Stage, runs: list[Run], results: list[dict]) -> Section:
    section = Section(
        "Moment by moment",
        "The network slid over whole runs. Predictions and truth share the film's clock. Read accuracy beside the share of "
        "time with a face on the screen: always saying the commoner answer scores at least that, or its rest to 1.",
    )
    mean = {name: float(np.mean([r[name] for r in results])) for name in ("auc", "f1", "accuracy", "base_rate")}
    for result in results:
        print(f"  {result['run']}: AUC {result['auc']:.3f}, F1 {result['f1']:.3f}; {seen_text(result)}")
    section.numbers(
        {
            "mean AUC": f"{mean['auc']:.3f}",
            "mean F1": f"{mean['f1']:.3f}",
            "mean accuracy": f"{mean['accuracy']:.1%}",
            "face on the screen": f"{mean['base_rate']:.1%}",
        }
    )
    names = ["base_rate", "accuracy", "precision", "recall", "f1", "auc"]
    rows = [(r["run"], seen_text(r), *(f"{r[name]:.3f}" for name in names)) for r in results]
    section.table(["run", "model", *names], rows, "Every second of every run, threshold 0.5")
    for run in runs[:FIGURES_IN_REPORT]:
        section.figure(
            figure_of(stage.folder, run),
            f"{run.name}. Top: predicted probability over the moments with a face (shaded). Bottom: the answer at a "
            f"threshold of 0.5 under the truth.",
        )
    return section


if __name__ == "__main__":
    run_script(main)
