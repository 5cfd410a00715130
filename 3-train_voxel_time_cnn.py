"""3. Train the voxel-by-time network on every fold.

Trains the paper's network on each fold of each cross-validation in CV_SPLITS, keeps the best epoch, and predicts the
windows that the fold left out. "window" folds give the paper's number; "movie" folds tell what holds for unseen films.

Reads     2-dataset/
Writes    3-model/<split>/fold-<k>.keras, the float32 network; fold-<k>.tsv, its held-out predictions
          3-model/<split>/predictions.tsv, a row per window; metrics.json, history.tsv; *.png
Settings  SEED, CV_SPLITS, N_FOLDS, EMBARGO_TRS, SELECTION, CNN_FILTERS, CNN_DENSE_UNITS, EPOCHS, BATCH_SIZE,
          LEARNING_RATE
Takes     full size (41,489 voxels): 10 s and 21 GB per step of 20 windows on 2 CPU cores, so plan for a GPU
"""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay
from sklearn.utils.class_weight import compute_class_weight

from neuroface import NeuroFaceError
from neuroface.backend import HAS_GPU, keras
from neuroface.files import atomic, model_file, open_npy, read_table, write_json, write_table
from neuroface.folds import Fold, make_folds
from neuroface.metrics import CALIBRATION_BINS, scores
from neuroface.network import (
    WindowBatches,
    build_network,
    logit_network,
    multiply_adds,
    predict_logits,
    training_dtype,
)
from neuroface.report import Section
from neuroface.settings import load_settings
from neuroface.stage import Stage, run_script

SETTINGS = (
    "SEED", "CV_SPLITS", "N_FOLDS", "EMBARGO_TRS", "SELECTION", "CNN_FILTERS", "CNN_DENSE_UNITS", "EPOCHS", "BATCH_SIZE",
    "LEARNING_RATE",
)  # fmt: skip
MARK = {"inner": "", "paper": " (epoch chosen on the reported fold, as in the paper)"}


def main():
    cfg = load_settings(Path(__file__).with_name("config.py"))
    stage = Stage(3, cfg, SETTINGS, reads=(2,))
    X, y, samples = load_dataset(stage.folder_of(2))
    folds = {
        split: make_folds(
            samples,
            split,
            cfg.N_FOLDS,
            cfg.SEED,
            window_trs=X.shape[2],
            embargo_trs=cfg.EMBARGO_TRS,
            selection=cfg.SELECTION,
        )
        for split in cfg.CV_SPLITS
    }
    for split, fold in [(s, f[0]) for s, f in folds.items() if f[0].validation_kept_together != s]:
        print(f"  split {split!r}: one group in training, so the epoch is chosen by {fold.validation_kept_together}")

    def run_fold(unit):
        split, fold = unit
        X = open_npy(stage.folder_of(2) / "X.npy")
        network, history = train(X, y, fold, cfg)
        logit = predict_logits(logit_network(network), X[fold.test], cfg.INFERENCE_BATCH)
        with atomic(model_file(stage.folder, split, fold.number)) as partial:
            network.save(partial)
        write_table(stage.folder / split / f"history-{fold.number}.tsv", history.assign(fold=fold.number))
        held_out = samples.iloc[fold.test].assign(fold=fold.number, logit=logit, probability=1 / (1 + np.exp(-logit)))
        write_table(predictions_of(stage.folder, *unit), held_out.assign(row=fold.test))

    units = [(split, fold) for split in cfg.CV_SPLITS for fold in folds[split]]
    stage.each(run_fold, units, lambda unit: predictions_of(stage.folder, *unit).exists(), "folds")
    results = {split: summarize(stage.folder, split, folds[split], len(y), cfg) for split in cfg.CV_SPLITS}
    stage.finish(f"{len(units)} fold models", describe(stage, results, X, cfg))


def load_dataset(folder: Path) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """X (n, n_voxels, window_trs) as a memory map, y (n,), samples; finite values only."""
    X, y, samples = open_npy(folder / "X.npy"), np.array(open_npy(folder / "y.npy")), read_table(folder / "samples.tsv")
    for start in range(0, len(X), 64):
        if not np.isfinite(X[start : start + 64].sum(dtype=np.float64)):
            raise NeuroFaceError(f"{folder / 'X.npy'} holds NaN or infinite values near row {start}. Rerun script 1.")
    return X, y, samples


def predictions_of(folder: Path, split: str, fold: Fold) -> Path:
    return folder / split / f"fold-{fold.number}.tsv"


def train(X: np.ndarray, y: np.ndarray, fold: Fold, cfg) -> tuple[keras.Model, pd.DataFrame]:
    """Train one fold. Returns the float32 network at its best epoch, and the history (a row per epoch)."""
    keras.utils.set_random_seed(cfg.SEED + fold.number)
    shape = (X.shape[1], X.shape[2], cfg.CNN_FILTERS, cfg.CNN_DENSE_UNITS)
    network = build_network(*shape, dtype=training_dtype())
    network.compile(
        keras.optimizers.Adam(cfg.LEARNING_RATE),
        loss="binary_crossentropy",
        metrics=["accuracy"],
        # With sample weights that balance the classes this is the balanced accuracy; equal to accuracy in balanced data.
        weighted_metrics=[keras.metrics.BinaryAccuracy("balanced_accuracy")],
        jit_compile=HAS_GPU,  # XLA on the CPU is slower than the plain graph
    )
    weights = dict(enumerate(compute_class_weight("balanced", classes=np.array([0, 1]), y=y[fold.train])))
    history = network.fit(
        WindowBatches(X, y, fold.train, cfg.BATCH_SIZE, weights, seed=cfg.SEED + fold.number),
        validation_data=WindowBatches(X, y, fold.validation, cfg.BATCH_SIZE, weights),
        epochs=cfg.EPOCHS,
        verbose=0,
        callbacks=[
            keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=15),
            # Never stops early (patience = all epochs): it only puts the best epoch's weights back at the end.
            keras.callbacks.EarlyStopping(
                "val_balanced_accuracy", mode="max", patience=cfg.EPOCHS, restore_best_weights=True
            ),
            keras.callbacks.TerminateOnNaN(raise_error=True),
        ],
    )
    table = pd.DataFrame(history.history).assign(epoch=np.arange(1, len(history.epoch) + 1))
    plain = build_network(*shape)
    plain.set_weights(network.get_weights())
    return plain, table


def summarize(folder: Path, split: str, folds: list[Fold], n: int, cfg) -> dict:
    """Join the folds of a split into its tables, scores and figures. Returns the content of its metrics.json."""
    folder = folder / split
    predictions = pd.concat([read_table(folder / f"fold-{f.number}.tsv") for f in folds]).sort_values("row")
    if not np.array_equal(predictions["row"], np.arange(n)):
        raise NeuroFaceError(f"{folder} does not predict each window once. Delete it and run this script again.")
    predictions = predictions.drop(columns="row")
    history = pd.concat([read_table(folder / f"history-{f.number}.tsv") for f in folds])
    y, probability = (predictions["label"] == "face").to_numpy(int), predictions["probability"].to_numpy()
    by_fold = [scores(y[f.test], probability[f.test]) for f in folds]
    best = {int(k): part["val_balanced_accuracy"].max() for k, part in history.groupby("fold")}
    result = {
        "split": split,
        "selection": cfg.SELECTION,
        "all_folds": scores(y, probability),
        "folds": [{"fold": f.number, "best_val_balanced_accuracy": best[f.number]} | s for f, s in zip(folds, by_fold)],
        "by_movie": by(predictions, "movie"),
        "by_subject": by(predictions, "subject"),
    }
    write_table(folder / "predictions.tsv", predictions)
    write_table(folder / "history.tsv", history)
    write_json(folder / "metrics.json", result)
    plot_history(history, folder / "history.png")
    plot_results(predictions, y, folds, f"{split} folds{MARK[cfg.SELECTION]}", folder / "results.png")
    return result


def by(predictions: pd.DataFrame, column: str) -> dict:
    """Accuracy for each value of a column; a person or film may have one class only, so no AUC here."""
    right = (predictions["probability"] >= 0.5) == (predictions["label"] == "face")
    return {key: {"n": int(len(r)), "accuracy": float(r.mean())} for key, r in right.groupby(predictions[column])}


def plot_history(history: pd.DataFrame, target: Path) -> None:
    """Accuracy and loss over epochs, a thin line per fold and the mean over folds."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axis, name in zip(axes, ("accuracy", "loss")):
        for column, colour, label in ((name, "#2b5f8a", "training"), (f"val_{name}", "#c8643c", "validation")):
            for _, fold in history.groupby("fold"):
                axis.plot(fold["epoch"], fold[column], color=colour, alpha=0.3, linewidth=0.8)
            mean = history.groupby("epoch")[column].mean()
            axis.plot(mean.index, mean, color=colour, label=label)
        axis.set(xlabel="epoch", ylabel=name)
        axis.legend(frameon=False)
    save(figure, target)


def plot_results(predictions: pd.DataFrame, y: np.ndarray, folds: list[Fold], title: str, target: Path) -> None:
    """ROC with AUC, confusion matrix at 0.5, reliability diagram: held-out predictions of all folds."""
    probability = predictions["probability"].to_numpy()
    figure, (roc, confusion, calibration) = plt.subplots(1, 3, figsize=(12, 3.9), layout="constrained")
    for fold in folds:
        RocCurveDisplay.from_predictions(
            y[fold.test], probability[fold.test], ax=roc, curve_kwargs={"color": "#2b5f8a", "alpha": 0.3, "lw": 0.8}
        )
    display = RocCurveDisplay.from_predictions(y, probability, ax=roc, curve_kwargs={"color": "#2b5f8a", "lw": 2})
    roc.plot([0, 1], [0, 1], color="#999999", linestyle=":", linewidth=1)
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title=f"AUC {display.roc_auc:.3f}")
    roc.get_legend().remove()
    ConfusionMatrixDisplay.from_predictions(
        y, probability >= 0.5, display_labels=["no face", "face"], cmap="Blues", colorbar=False, ax=confusion
    )
    confusion.set(xlabel="predicted", ylabel="true", title=f"accuracy {np.mean((probability >= 0.5) == y):.3f}")
    CalibrationDisplay.from_predictions(y, probability, n_bins=CALIBRATION_BINS, ax=calibration, color="#2b5f8a")
    calibration.set(xlabel="predicted probability of a face", ylabel="share of faces", title="reliability, 10 bins")
    calibration.get_legend().remove()
    figure.suptitle(f"{title}\n", fontsize=13)
    save(figure, target)


def save(figure, target: Path) -> None:
    with atomic(target) as partial:
        figure.savefig(partial, dpi=150)
    plt.close(figure)


def describe(stage: Stage, results: dict[str, dict], X: np.ndarray, cfg) -> Section:
    section = Section("Decoding", f"The network, trained {cfg.N_FOLDS} times per split, on windows it never saw.")
    for split, result in results.items():
        all_folds = result["all_folds"]
        line = f"{all_folds['accuracy']:.1%} accuracy, AUC {all_folds['auc']:.3f}"
        print(f"  {split} folds: {line}{MARK[cfg.SELECTION]}")
        section.numbers({f"accuracy, {split} folds": f"{all_folds['accuracy']:.1%}", "AUC": f"{all_folds['auc']:.3f}"})
    names = ["n", "accuracy", "balanced_accuracy", "auc", "pr_auc", "f1", "mcc", "brier", "calibration_error"]
    rows = [
        (split, which, *(f"{s[name]:.3f}" if name != "n" else s["n"] for name in names))
        for split, result in results.items()
        for which, s in [("all", result["all_folds"]), *((f["fold"], f) for f in result["folds"])]
    ]
    section.table(["split", "fold", *names], rows, "Scores of held-out windows" + MARK[cfg.SELECTION])
    for split in results:
        section.figure(
            stage.folder / split / "results.png",
            f"Held-out windows, {split} folds. Left: ROC, all folds (thick) and each fold. Middle: counts at a threshold "
            f"of 0.5. Right: does a stated probability come true? On the diagonal it does.",
        )
        section.figure(
            stage.folder / split / "history.png",
            f"Training, {split} folds: a thin line per fold, the mean thick. Validation is "
            + ("an inner part of the training set." if cfg.SELECTION == "inner" else "the reported fold itself."),
        )
    shape = (X.shape[1], X.shape[2], cfg.CNN_FILTERS, cfg.CNN_DENSE_UNITS)
    section.table(
        ["parameters", "multiply-adds per window", "epochs", "batch"],
        [(f"{build_network(*shape).count_params():,}", f"{multiply_adds(*shape):,}", cfg.EPOCHS, cfg.BATCH_SIZE)],
        "The network",
    )
    return section


if __name__ == "__main__":
    matplotlib.use("Agg")
    run_script(main)
