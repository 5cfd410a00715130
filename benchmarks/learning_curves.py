"""How the accuracy of each model grows with the number of windows: AUC on unseen films, several draws of the windows.

    python benchmarks/learning_curves.py                              up to 680 windows: minutes to hours
    python benchmarks/learning_curves.py --data twin --sizes 3606 --models linear screened_ridge
    python benchmarks/learning_curves.py --figure docs/learning-curves.png     draws what is measured

Data sets: ``mixed``, windows of the demo's signal, which is partly linear and partly a product of two
regions, in films of 30 minutes; ``twin``, a twin of the paper's study: NNDb's ten real annotations, 85
people, 3,606 windows, and the same signal.

A draw takes ``size`` windows at random, as many of each class, spread over the films; models of one draw
see the same windows and folds. Each fold holds out whole films. "paper" is the voxel-time CNN with the
paper's training (on ``twin``: 64, 32, 32 filters, 128 units and the paper's 150 epochs, which take days on
a CPU; on ``mixed`` the demo's small sizes and 40 epochs).

Every fit is a row of ``--out``/curves.tsv. A rerun makes only the rows that are missing, so a long run
may be stopped at any time. Times are CPU seconds of all folds.
"""

import argparse
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import decoders
import numpy as np
import pandas as pd
from scipy import stats

ROOT = Path(__file__).parents[1]
SIZES = (75, 150, 300, 680)
MODELS = ("linear", "screened_ridge", "linear_plus", "polynomial_network", "paper")
KEY = ["data", "model", "size", "seed"]
COLUMNS = [*KEY, "auc", "balanced_accuracy", "cpu_s"]


def rows_of_draw(samples: pd.DataFrame, size: int, seed: int) -> np.ndarray:
    """Sorted rows of ``size`` windows: equal numbers of each film and label as far as these are divisible."""
    if size > len(samples):
        sys.exit(f"error: the data have {len(samples)} windows, --sizes asks for {size}.")
    order = np.random.default_rng([seed, size]).permutation(len(samples))
    shuffled = samples.iloc[order]
    rank = shuffled.groupby(["movie", "label"]).cumcount()
    return np.sort(order[np.argsort(rank, kind="stable")[:size]])


def write_draw(folder: Path, whole: Path, rows: np.ndarray) -> None:
    """The data set of these rows, as :func:`decoders.open_data` reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.read_csv(whole / "samples.tsv", sep="\t", dtype=str, keep_default_na=False)
    table.iloc[rows].to_csv(folder / "samples.tsv", sep="\t", index=False)
    for name in ("X.npy", "y.npy"):
        np.save(folder / name, np.load(whole / name, mmap_mode="r")[rows])
    np.save(folder / "mask.npy", np.load(whole / "mask.npy"))


def settings_of(data: str, model: str, window_trs: int):
    """Settings of a fit; the twin's voxel-time CNN has the paper's sizes and length."""
    changes: dict[str, object] = {"WINDOW_TRS": window_trs}
    if model == "paper":
        changes |= {"TRAINING": "paper", "LEARNING_RATE": 2e-4, "EPOCHS": 40}
    if model == "paper" and data == "twin":
        changes |= {"CNN_FILTERS": (64, 32, 32), "CNN_DENSE_UNITS": 128, "EPOCHS": 150}
    return decoders.settings(**changes)


def fit(data: str, model: str, seed: int, folder: Path) -> dict[str, float]:
    """Scores of a model on the held-out films of a draw, and its CPU seconds."""
    from neuroface.decoding import fit_fold, logit_network, predict_logits, scores, seed_of_member
    from neuroface.face_study import training_settings

    windows, _, folds = decoders.open_data("", folder)
    cfg, started = settings_of(data, model, windows.X.shape[2]), time.process_time()
    logit = np.full(len(windows.y), np.nan)
    for fold in folds:
        name = "voxel_time_cnn" if model == "paper" else model
        fitted = fit_fold(
            name, windows, fold, training_settings(cfg), seed_of_member(42, fold.number, seed)
        )
        logit[fold.test] = predict_logits(logit_network(fitted.network), windows.X, 64, fold.test)
    score = scores(windows.y.astype(int), 1 / (1 + np.exp(-logit)))
    return {
        "auc": score["auc"],
        "balanced_accuracy": score["balanced_accuracy"],
        "cpu_s": time.process_time() - started,
    }


def journal(out: Path) -> pd.DataFrame:
    """The rows that are measured."""
    file = out / "curves.tsv"
    return pd.read_csv(file, sep="\t") if file.exists() else pd.DataFrame(columns=COLUMNS)


def measure(options) -> None:
    """Fit what the journal lacks; each fit adds its row."""
    whole = options.out / options.data
    if not (whole / "samples.tsv").exists():
        decoders.write_data(options.data, whole, options.stimuli)
    samples = pd.read_csv(whole / "samples.tsv", sep="\t", dtype=str, keep_default_na=False)
    done = {tuple(row) for row in journal(options.out)[KEY].astype(str).to_numpy()}
    for size in options.sizes:
        for seed in range(1, options.seeds + 1):
            missing = [
                model
                for model in options.models
                if (options.data, model, str(size), str(seed)) not in done
            ]
            folder = options.out / f"{options.data}_{size}_{seed}"
            if missing:
                write_draw(folder, whole, rows_of_draw(samples, size, seed))
            for model in missing:
                row = {"data": options.data, "model": model, "size": size, "seed": seed}
                row |= fit(options.data, model, seed, folder)
                file = options.out / "curves.tsv"
                pd.DataFrame([row])[COLUMNS].to_csv(
                    file, sep="\t", index=False, mode="a", header=not file.exists()
                )
                print(f"{options.data} {model}, {size} windows, draw {seed}: AUC {row['auc']:.3f}")
            shutil.rmtree(folder, ignore_errors=True)


def table_of(rows: pd.DataFrame, data: str) -> str:
    """Mean AUC over draws per model and size, with the t interval of its difference from ridge on the same draws."""
    rows = rows[rows["data"] == data]
    sizes, lines = sorted(rows["size"].unique()), []
    aucs = rows.set_index(["model", "size", "seed"])["auc"].sort_index()
    for model in dict.fromkeys(rows["model"]):
        cells = []
        for size in sizes:
            cells.append(cell_of(aucs, model, size))
        lines.append(f"| {model} | {' | '.join(cells)} |")
    head = f"| model | {' | '.join(f'{size:,}' for size in sizes)} |\n|{'---|' * (len(sizes) + 1)}"
    return "\n".join([head, *lines])


def cell_of(aucs: pd.Series, model: str, size: int) -> str:
    """Mean AUC over draws (difference from ridge, with its t interval); – where nothing is measured."""
    if (model, size) not in aucs.index.droplevel("seed"):
        return "–"
    own = aucs[model, size]
    text = f"{own.mean():.3f}"
    if model == "linear" or ("linear", size) not in aucs.index.droplevel("seed"):
        return text
    difference = (own - aucs["linear", size]).dropna()
    if len(difference) < 2 or np.ptp(difference) < 1e-9:  # draws of all windows are the same
        return f"{text} ({difference.mean():+.3f})"
    low, high = stats.t.interval(
        0.95, len(difference) - 1, difference.mean(), stats.sem(difference)
    )
    return f"{text} ({difference.mean():+.3f} [{low:+.3f}, {high:+.3f}])"


def draw_figure(rows: pd.DataFrame, data: str, file: Path) -> None:
    """AUC against the number of windows: a line of means per model, a dot per draw."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = rows[rows["data"] == data]
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for model in dict.fromkeys(rows["model"]):
        own = rows[rows["model"] == model]
        means = own.groupby("size")["auc"].mean()
        (line,) = axes.plot(means.index, means, label=model)
        axes.plot(own["size"], own["auc"], ".", color=line.get_color(), alpha=0.6)
    axes.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
    sizes = sorted(rows["size"].unique())
    axes.set(xscale="log", xlabel="windows", ylabel="AUC on unseen films", ylim=(0.4, 1.02))
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.legend(frameon=False)
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=("mixed", "twin"), default="mixed")
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--seeds", type=int, default=5, help="draws of the windows per size")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--stimuli", type=Path, default=ROOT / "tests" / "data" / "nndb")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "benchmark-learning-curves")
    parser.add_argument("--figure", type=Path, help="draw what is measured, and fit nothing")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.figure:
        draw_figure(journal(options.out), options.data, options.figure)
    else:
        measure(options)
    print(f"\n{table_of(journal(options.out), options.data)}")


if __name__ == "__main__":
    main()
