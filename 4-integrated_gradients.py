"""4. Which voxels, at which second, made the network say "face"?

Integrated Gradients of the logit for every window: +logit for face windows, −logit for no-face windows, from a baseline
of zero. By default each window is explained by the fold model that never saw it. Attributions of a window must sum to
what the logit gained over the baseline; how far they miss is stored per window.

Reads     2-dataset/, 3-model/
Writes    4-attributions/<sub>/<sub>_task-<movie>_label-<label>_ig.npy (n, n_voxels, WINDOW_TRS) float32
          4-attributions/<sub>/<sub>_task-<movie>_label-<label>_ig_completeness.tsv, a row per window
Settings  HELD_OUT_SPLIT, EXPLAIN, IG_RULE, IG_STEPS
Takes     IG_STEPS forward and backward passes per window: 47 s at full size with 200 steps on 2 CPU cores
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from neuroface.attribution import gradient_of_model, integrated_gradients, quadrature
from neuroface.files import (
    LABELS,
    PARTIAL,
    attribution_file,
    completeness_file,
    create_npy,
    model_file,
    open_npy,
    read_json,
    read_table,
    write_table,
)
from neuroface.network import predict_logits
from neuroface.report import Section, save_figure
from neuroface.settings import load_settings
from neuroface.stage import Stage, run_script

SETTINGS = ("HELD_OUT_SPLIT", "EXPLAIN", "IG_RULE", "IG_STEPS")


def main():
    cfg = load_settings(Path(__file__).with_name("config.py"))
    stage = Stage(4, cfg, SETTINGS, reads=(2, 3))
    samples = read_table(stage.folder_of(3) / cfg.HELD_OUT_SPLIT / "predictions.tsv")
    samples["row"] = np.arange(len(samples))  # predictions.tsv keeps the order of X.npy
    samples["model"] = choose_models(stage.folder_of(3) / cfg.HELD_OUT_SPLIT, samples, cfg.EXPLAIN)

    def explain_unit(unit):
        subject, movie, label = unit
        X = open_npy(stage.folder_of(2) / "X.npy")
        mine = samples.query("subject == @subject and movie == @movie and label == @label")
        explain(X, mine, stage.folder_of(3), attribution_file(stage.folder, *unit, "ig"), cfg)

    def done(unit):
        target = attribution_file(stage.folder, *unit, "ig")
        return target.exists() and completeness_file(target).exists()

    units = [key for key, _ in samples.groupby(["subject", "movie", "label"], sort=False)]
    stage.each(explain_unit, units, done, "people × films × labels")
    stage.finish(f"attributions of {len(samples):,} windows", describe(stage, units, cfg))


def choose_models(folder: Path, samples: pd.DataFrame, explain: str) -> pd.Series:
    """Number of the fold model that explains each window."""
    if explain == "held-out":
        return samples["fold"]
    folds = read_json(folder / "metrics.json")["folds"]
    return pd.Series(max(folds, key=lambda fold: fold["accuracy"])["fold"], index=samples.index)


def explain(X: np.ndarray, samples: pd.DataFrame, models: Path, target: Path, cfg) -> None:
    """Write attributions and completeness of one person's windows of one label; resumes after the last whole window."""
    nodes, weights = quadrature(cfg.IG_RULE, cfg.IG_STEPS)
    table = completeness_file(target)
    # The journal gains a row once a window's attributions are on disk: what it lists is what a rerun may skip.
    journal = table.with_name(f"{PARTIAL}journal-{table.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(PARTIAL + target.name)
    rows = read_table(journal).to_dict("records") if journal.exists() and partial.exists() else []
    if not rows:
        journal.unlink(missing_ok=True)  # it speaks of a file that is no longer there
        create_npy(partial, (len(samples), *X.shape[1:]))
    maps = np.lib.format.open_memmap(partial, mode="r+")
    baseline = np.zeros(X.shape[1:], dtype=np.float32)
    finished = {row["window"] for row in rows}
    samples = samples.assign(window=np.arange(len(samples))).sort_values("model", kind="stable")
    for sample in samples.itertuples():  # model by model, so that each is loaded once
        i = sample.window
        if i in finished:
            continue
        model = model_file(models, cfg.HELD_OUT_SPLIT, sample.model)
        gradient = gradient_of_model(model, *X.shape[1:], cfg.INFERENCE_BATCH)
        sign = 1 if sample.label == "face" else -1
        window = np.array(X[sample.row])
        maps[i] = sign * integrated_gradients(gradient, window, baseline, nodes, weights)
        maps.flush()
        logits = sign * predict_logits(gradient.logit_model, np.stack([window, baseline]), batch=2)
        total = maps[i].sum(dtype=np.float64)
        rows.append(
            {
                "window": i,
                "row": sample.row,
                "event": sample.event,
                "fold_model": sample.model,
                "logit": logits[0],
                "logit_of_baseline": logits[1],
                "sum_of_attributions": total,
                "gap": logits[0] - logits[1] - total,
            }
        )
        write_table(journal, pd.DataFrame(rows))
    del maps
    partial.rename(target)
    write_table(table, pd.DataFrame(rows).sort_values("window"))
    journal.unlink()


def describe(stage: Stage, units: list[tuple], cfg) -> Section:
    files = [attribution_file(stage.folder, *unit, "ig") for unit in units]
    gaps = pd.concat([read_table(completeness_file(f)).assign(file=f.name) for f in files])
    relative = (gaps["gap"] / (gaps["logit"] - gaps["logit_of_baseline"])).abs()
    print(
        f"  completeness gap: median {relative.median():.2%} of the logit's change, 95 % below {relative.quantile(0.95):.2%}"
    )
    path = stage.folder / "summary.png"
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    left.hist(np.clip(relative, 0, 0.5), bins=40, color="#2b5f8a")
    left.set(xlabel="|gap| / |change of the logit| (clipped at 0.5)", ylabel="windows", title="completeness")
    for label, colour in zip(LABELS, ("#c8643c", "#2b5f8a")):
        maps = [open_npy(f) for f, unit in zip(files, units) if unit[2] == label]
        share = np.mean([np.abs(m).sum(axis=1).mean(axis=0) for m in maps], axis=0)
        right.plot(np.arange(1, len(share) + 1), share / share.sum(), marker="o", color=colour, label=label)
    right.set(xlabel="volume in window", ylabel="share of absolute attribution", ylim=(0, None), title="when")
    right.legend(frameon=False)
    save_figure(figure, path)
    section = Section(
        "Attributions",
        f"Integrated Gradients of the logit, {cfg.IG_RULE} rule, {cfg.IG_STEPS} steps, zero baseline; "
        + (
            "each window explained by the fold model that never saw it "
            if cfg.EXPLAIN == "held-out"
            else "all windows explained by one model, the best on its own test fold "
        )
        + f"({cfg.HELD_OUT_SPLIT} folds).",
    )
    section.numbers(
        {
            "windows": f"{len(gaps):,}",
            "median completeness gap": f"{relative.median():.2%}",
            "95 % of gaps below": f"{relative.quantile(0.95):.2%}",
        }
    )
    section.figure(
        path,
        "Left: how far a window's attributions miss the change of the logit that they must sum to. "
        "Right: at which volume of the window the attributions lie.",
    )
    return section


if __name__ == "__main__":
    run_script(main)
