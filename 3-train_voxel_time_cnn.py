"""3. Train the voxel-by-time network on every fold, and say how far to trust its accuracy.

Trains the paper's network on each fold of each cross-validation in CV_SPLITS, keeps the best epoch, and predicts the
windows that the fold left out. "window" folds give the paper's number; "movie" folds tell what holds for unseen films.
Beside them: simpler models on the same folds, a ladder of ever stricter splits, intervals, and a permutation null.

Reads     2-dataset/, 1-windows/group_mask.nii.gz
Writes    3-model/<split>/fold-<k>.keras, the float32 network; fold-<k>.tsv, its held-out predictions
          3-model/<split>/predictions.tsv, a row per window; metrics.json, history.tsv; *.png
          3-model/<split>/<baseline>/fold-<k>.tsv; 3-model/linear/<features>.json; 3-model/metrics.json, all side by side
Settings  SEED, CV_SPLITS, N_FOLDS, EMBARGO_TRS, SELECTION, CNN_FILTERS, CNN_DENSE_UNITS, EPOCHS, BATCH_SIZE,
          LEARNING_RATE, PRECISION, BASELINES, N_PERMUTATIONS, N_PERMUTATIONS_CNN, SPACE, ROI_FILE
Takes     full size (41,489 voxels): 10 s per step of 20 windows on 2 CPU cores and 21 GB, less where less is there
          (gradients accumulate over smaller passes); plan for a GPU. Linear models: minutes
"""

import time
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay, balanced_accuracy_score, roc_auc_score

from neuroface import NeuroFaceError
from neuroface.bold import read_mask
from neuroface.files import model_file, open_npy, read_json, read_table, write_json, write_table
from neuroface.folds import SPLITS, Fold, make_folds
from neuroface.linear import decision_values, window_features, window_kernel
from neuroface.metrics import CALIBRATION_BINS, balanced_accuracies, scores, scores_by
from neuroface.network import logit_network, multiply_adds, predict_logits, save_network
from neuroface.report import Section, save_figure
from neuroface.rois import read_rois, sphere_labels, voxel_positions_mm
from neuroface.settings import load_settings
from neuroface.stage import Stage, run_script
from neuroface.training import train_network
from neuroface.uncertainty import cluster_bootstrap, p_value, permuted_labels

SETTINGS = (
    "SEED", "CV_SPLITS", "N_FOLDS", "EMBARGO_TRS", "SELECTION", "CNN_FILTERS", "CNN_DENSE_UNITS", "EPOCHS",
    "BATCH_SIZE", "LEARNING_RATE", "PRECISION", "BASELINES", "N_PERMUTATIONS", "N_PERMUTATIONS_CNN", "SPACE", "ROI_FILE",
)  # fmt: skip
MARK = {"inner": "", "paper": " (epoch chosen on the reported fold, as in the paper)"}
HELD_OUT = {
    "inner": "on windows that the model had not seen",
    "paper": "on the windows that chose its epoch, which flatters every number here",
}
KEPT_OUT = {
    "window": "windows (the paper)",
    "run": "whole runs",
    "subject": "people",
    "event": "moments of a film, for all viewers",
    "movie": "films, with all their viewers",
}
NAMES = {"linear": "ridge, whole window", "linear-mean": "ridge, mean over time", "face-rois": "ridge, face regions"}
N_BOOTSTRAP = 1000


def main():
    cfg = load_settings(Path(__file__).with_name("config.py"))
    stage = Stage(3, cfg, SETTINGS, reads=(1, 2))
    X, y, samples = load_dataset(stage.folder_of(2))
    folds, impossible = folds_of_all_splits(samples, X.shape[2], cfg)
    for split in cfg.CV_SPLITS:
        if folds[split][0].validation_kept_together != split:
            print(f"  split {split!r}: one group in training, so the epoch is chosen by event")
        if dropped := sum(fold.n_embargoed for fold in folds[split]):
            why = f"{dropped} windows over {cfg.N_FOLDS} trainings, within EMBARGO_TRS of one that is held out"
            stage.leave_out(f"{split} folds", why)

    def run_fold(unit):
        variant, split, fold = unit
        train_and_predict(stage, variant, split, fold, y, samples, cfg)

    variants = ["cnn", *(b for b in cfg.BASELINES if b == "shuffled-cnn")]
    variants += [f"permuted-{i + 1}" for i in range(cfg.N_PERMUTATIONS_CNN)]
    units = [(variant, split, fold) for variant in variants for split in cfg.CV_SPLITS for fold in folds[split]]
    stage.each(run_fold, units, lambda unit: all(file.exists() for file in files_of(stage.folder, *unit)), "folds")

    def run_linear(features):
        voxels = face_voxels(stage, cfg) if features == "face-rois" else None
        kind, started = "mean" if features == "linear-mean" else "window", time.monotonic()
        kernel = window_kernel(window_features(X, kind, voxels))
        result = linear_scores(kernel, y, samples, folds, cfg)
        n_features = (X.shape[1] if voxels is None else int(voxels.sum())) * (1 if kind == "mean" else X.shape[2])
        cost = {"parameters": n_features + 1, "seconds": round(time.monotonic() - started, 1)}
        write_json(linear_file(stage, features), {"scores": result, "cost": cost})

    models = [b for b in NAMES if b in cfg.BASELINES or b == "linear"]  # "linear" makes the ladder
    if "face-rois" in models and cfg.SPACE != "MNI":
        stage.leave_out("baseline face-rois", f"face regions need MNI space and SPACE is {cfg.SPACE!r}")
        models.remove("face-rois")
    stage.each(run_linear, models, lambda features: linear_file(stage, features).exists(), "linear models")

    stored = {features: read_json(linear_file(stage, features)) for features in models}
    linear = {features: content["scores"] for features, content in stored.items()}
    costs = {features: content["cost"] for features, content in stored.items()}
    results = {split: summarize(stage, split, folds[split], samples, cfg) for split in cfg.CV_SPLITS}
    write_json(
        stage.folder / "metrics.json",
        {"network": results, "linear": linear, "linear_cost": costs, "not_possible": impossible},
    )
    stage.finish(f"{len(units)} fold models", describe(stage, results, linear, costs, impossible, X, cfg))


def load_dataset(folder: Path) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """X (n, n_voxels, window_trs) as a memory map, y (n,), samples; finite values only."""
    X, y, samples = open_npy(folder / "X.npy"), np.array(open_npy(folder / "y.npy")), read_table(folder / "samples.tsv")
    if not len(X) == len(y) == len(samples):
        raise NeuroFaceError(
            f"{folder}: X.npy has {len(X)} windows, y.npy {len(y)}, samples.tsv {len(samples)}. Delete {folder} and rerun "
            f"script 2."
        )
    for start in range(0, len(X), 64):
        if not np.isfinite(X[start : start + 64].sum(dtype=np.float64)):
            raise NeuroFaceError(f"{folder / 'X.npy'} holds NaN or infinite values near row {start}. Rerun script 1.")
    return X, y, samples


def folds_of_all_splits(samples: pd.DataFrame, window_trs: int, cfg) -> tuple[dict[str, list[Fold]], dict[str, str]]:
    """Folds by split, and why the other splits are not possible in these data. Those in CV_SPLITS must be."""
    folds, impossible = {}, {}
    for split in SPLITS:
        try:
            folds[split] = make_folds(
                samples,
                split,
                cfg.N_FOLDS,
                cfg.SEED,
                window_trs=window_trs,
                embargo_trs=cfg.EMBARGO_TRS,
                selection=cfg.SELECTION,
            )
        except NeuroFaceError as error:
            if split in cfg.CV_SPLITS:
                raise
            impossible[split] = str(error)
    return folds, impossible


def predictions_of(folder: Path, variant: str, split: str, fold: Fold) -> Path:
    return folder / split / ("" if variant == "cnn" else variant) / f"fold-{fold.number}.tsv"


def files_of(folder: Path, variant: str, split: str, fold: Fold) -> list[Path]:
    """What a trained fold leaves; its predictions are written last."""
    target, k = predictions_of(folder, variant, split, fold), fold.number
    files = [target, target.with_name(f"history-{k}.tsv"), target.with_name(f"cost-{k}.json")]
    return files + [model_file(folder, split, k)] * (variant == "cnn")


def train_and_predict(stage: Stage, variant: str, split: str, fold: Fold, y: np.ndarray, samples, cfg) -> None:
    """Train one fold of the network, of the shuffled one, or of one relabelling; its held-out predictions come last."""
    X = open_npy(stage.folder_of(2) / "X.npy")
    order = np.random.default_rng(cfg.SEED).permutation(X.shape[1]) if variant == "shuffled-cnn" else None
    if variant.startswith("permuted-"):
        number = int(variant.removeprefix("permuted-"))
        y = permuted_labels(samples, 1, cfg.SEED + number)[:, 0]
    network, history, cost = train_network(
        X,
        y,
        fold,
        filters=cfg.CNN_FILTERS,
        dense_units=cfg.CNN_DENSE_UNITS,
        epochs=cfg.EPOCHS,
        batch_size=cfg.BATCH_SIZE,
        learning_rates=np.atleast_1d(cfg.LEARNING_RATE).tolist(),
        precision=cfg.PRECISION,
        seed=cfg.SEED + fold.number,
        n_jobs=cfg.N_JOBS,
        voxel_order=order,
    )
    held_out = X[fold.test] if order is None else X[fold.test][:, order]
    logit = predict_logits(logit_network(network), held_out, cfg.INFERENCE_BATCH)
    target = predictions_of(stage.folder, variant, split, fold)
    if variant == "cnn":
        save_network(model_file(stage.folder, split, fold.number), network)
    write_table(target.with_name(f"history-{fold.number}.tsv"), history.assign(fold=fold.number))
    write_json(target.with_name(f"cost-{fold.number}.json"), cost)
    table = samples.iloc[fold.test].assign(fold=fold.number, logit=logit, probability=1 / (1 + np.exp(-logit)))
    write_table(target, table.assign(row=fold.test, trained_label=y[fold.test]))


def linear_file(stage: Stage, features: str) -> Path:
    return stage.folder / "linear" / f"{features}.json"


def face_voxels(stage: Stage, cfg) -> np.ndarray:
    """Which voxels of the mask (n_voxels,) lie in a face region."""
    positions = voxel_positions_mm(*read_mask(stage.folder_of(1) / "group_mask.nii.gz"))
    return sphere_labels(positions, read_rois(cfg.ROI_FILE)) > 0


def linear_scores(kernel: np.ndarray, y: np.ndarray, samples: pd.DataFrame, folds: dict, cfg) -> dict[str, dict]:
    """Per split: scores of the ridge classifier, and of the same cross-validation on relabelled events."""
    labels = np.column_stack([y, permuted_labels(samples, cfg.N_PERMUTATIONS, cfg.SEED)])
    result = {}
    for split, part in folds.items():
        values = decision_values(kernel, labels, part)
        accuracy = balanced_accuracies(labels, values > 0)
        null = accuracy[1:]
        result[split] = {
            "accuracy": float(np.mean((values[:, 0] > 0) == y)),
            "balanced_accuracy": float(accuracy[0]),
            "auc": float(roc_auc_score(y, values[:, 0])),
            "n_permutations": len(null),
            "null_mean": float(null.mean()) if len(null) else None,
            "null_95": float(np.quantile(null, 0.95)) if len(null) else None,
            "p": p_value(accuracy[0], null) if len(null) else None,
        }
    return result


def joined(stage: Stage, variant: str, split: str, folds: list[Fold], n: int) -> tuple[pd.DataFrame, dict]:
    """Held-out predictions of all folds in the order of X.npy, and what the folds cost together."""
    files = [predictions_of(stage.folder, variant, split, fold) for fold in folds]
    table = pd.concat([read_table(file) for file in files]).sort_values("row")
    if not np.array_equal(table["row"], np.arange(n)):
        raise NeuroFaceError(
            f"{files[0].parent} does not predict each window once. Delete it and run this script again."
        )
    costs = pd.DataFrame([read_json(f.with_name(f"cost-{k.number}.json")) for f, k in zip(files, folds)])
    cost = {
        "parameters": int(costs["parameters"].iloc[0]),
        "seconds": float(costs["seconds"].sum()),
        "seconds_per_epoch": float(costs["seconds_per_epoch"].median()),
        "peak_memory_gb": float(costs["peak_memory_gb"].max()),
    }
    return table.drop(columns="row"), cost


def summarize(stage: Stage, split: str, folds: list[Fold], samples: pd.DataFrame, cfg) -> dict:
    """Join the folds of a split into its tables, scores and figures. Returns the content of its metrics.json."""
    folder = stage.folder / split
    predictions, cost = joined(stage, "cnn", split, folds, len(samples))
    predictions = predictions.drop(columns="trained_label")
    history = pd.concat([read_table(folder / f"history-{f.number}.tsv") for f in folds])
    y, probability = (predictions["label"] == "face").to_numpy(int), predictions["probability"].to_numpy()
    best = history.groupby("fold")["val_balanced_accuracy"].max()
    result = {
        "split": split,
        "selection": cfg.SELECTION,
        "all_folds": scores(y, probability),
        "n_embargoed": {fold.number: fold.n_embargoed for fold in folds},
        "intervals_95": {
            "people": cluster_bootstrap(y, probability, predictions["subject"].to_numpy(), N_BOOTSTRAP, cfg.SEED),
            "films": cluster_bootstrap(y, probability, predictions["movie"].to_numpy(), N_BOOTSTRAP, cfg.SEED),
        },
        "cost": cost,
        "folds": [
            {"fold": int(k), "best_val_balanced_accuracy": float(best[int(k)])} | part
            for k, part in scores_by(predictions, "fold").items()
        ],
        "by_movie": scores_by(predictions, "movie"),
        "by_subject": scores_by(predictions, "subject"),
    }
    if cfg.N_PERMUTATIONS_CNN:
        null = []
        for i in range(cfg.N_PERMUTATIONS_CNN):
            table, _ = joined(stage, f"permuted-{i + 1}", split, folds, len(samples))
            null.append(balanced_accuracy_score(table["trained_label"], table["probability"] >= 0.5))
        observed = result["all_folds"]["balanced_accuracy"]
        result["null"] = {"n": len(null), "mean": float(np.mean(null)), "p": p_value(observed, np.array(null))}
    if "shuffled-cnn" in cfg.BASELINES:
        table, cost = joined(stage, "shuffled-cnn", split, folds, len(samples))
        result["shuffled_cnn"] = scores(y, table["probability"].to_numpy()) | {"cost": cost}
    write_table(folder / "predictions.tsv", predictions)
    write_table(folder / "history.tsv", history)
    write_json(folder / "metrics.json", result)
    plot_history(history, folder / "history.png")
    plot_results(predictions, y, folds, f"{split} folds{MARK[cfg.SELECTION]}", folder / "results.png")
    return result


def plot_history(history: pd.DataFrame, target: Path) -> None:
    """Accuracy and loss over epochs, a thin line per fold and the mean over folds."""
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for axis, name in zip(axes, ("accuracy", "loss")):
        for column, colour, label in ((name, "#2b5f8a", "training"), (f"val_{name}", "#c8643c", "validation")):
            for _, fold in history.groupby(["fold", "learning_rate"]):
                axis.plot(fold["epoch"], fold[column], color=colour, alpha=0.3, linewidth=0.8)
            mean = history.groupby("epoch")[column].mean()
            axis.plot(mean.index, mean, color=colour, label=label)
        axis.set(xlabel="epoch", ylabel=name)
        axis.legend(frameon=False)
    save_figure(figure, target)


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
    save_figure(figure, target)


def describe(stage: Stage, results: dict, linear: dict, costs: dict, impossible: dict, X: np.ndarray, cfg) -> Section:
    section = Section(
        "Decoding",
        f"Is a held-out window a face window? The same network under each cross-validation, {HELD_OUT[cfg.SELECTION]}. "
        "Window folds are the paper's; movie folds tell what holds for unseen people watching unseen films.",
    )
    for split, result in results.items():
        all_folds, people = result["all_folds"], result["intervals_95"]["people"]
        interval = f" [{people['accuracy'][0]:.1%}, {people['accuracy'][1]:.1%}]" if people else ""
        print(f"  {split} folds: {all_folds['accuracy']:.1%} accuracy{interval}, AUC {all_folds['auc']:.3f}"
              + MARK[cfg.SELECTION])  # fmt: skip
        section.numbers(
            {
                f"accuracy, {split} folds{MARK[cfg.SELECTION]}": f"{all_folds['accuracy']:.1%}",
                "95 % interval over people": interval.strip(" []"),
            }
            | {"AUC": f"{all_folds['auc']:.3f}", "p (ridge, permuted events)": p_text(linear["linear"][split])}
        )
    section.table(
        ["kept out together", "accuracy, ridge", "AUC", "accuracy when labels mean nothing", "p"],
        [ladder_row(split, linear["linear"].get(split), impossible.get(split)) for split in KEPT_OUT],
        f"Leakage ladder: one linear model, ever stricter splits. {cfg.N_PERMUTATIONS} times, events swapped their labels, "
        "alike for all viewers: what a split then scores above 50 % is leakage.",
    )
    for split, result in results.items():
        section.table(
            ["model", "accuracy", "balanced accuracy", "AUC", "parameters", "multiply-adds per window", "training, s"],
            model_rows(split, result, linear, costs, X, cfg),
            f"Models on the same {split} folds{MARK[cfg.SELECTION]}. Seconds: all folds together.",
        )
    names = ["n", "accuracy", "balanced_accuracy", "auc", "pr_auc", "f1", "mcc", "brier", "calibration_error"]
    rows = [
        (split, which, *(f"{s[name]:.3f}" if name != "n" else s["n"] for name in names))
        for split, result in results.items()
        for which, s in [("all", result["all_folds"]), *((f["fold"], f) for f in result["folds"])]
    ]
    section.table(["split", "fold", *names], rows, "The network's scores" + MARK[cfg.SELECTION])
    rows = [
        (split, over, *(f"{low:.3f} – {high:.3f}" for low, high in (interval["accuracy"], interval["auc"])))
        for split, result in results.items()
        for over, interval in result["intervals_95"].items()
        if interval
    ]
    section.table(
        ["split", "drawn anew", "accuracy", "AUC"], rows, "95 % intervals: bootstrap over whole people or films"
    )
    for split in results:
        section.figure(
            stage.folder / split / "results.png",
            f"Held-out windows, {split} folds. Left: ROC, all folds (thick) and each fold. Middle: counts at a threshold of "
            f"0.5. Right: does a stated probability come true? On the diagonal it does.",
        )
        section.figure(
            stage.folder / split / "history.png",
            f"Training, {split} folds: a thin line per fold, the mean thick. Validation is "
            + ("an inner part of the training set." if cfg.SELECTION == "inner" else "the reported fold itself."),
        )
    return section


def p_text(scores_of_split: dict) -> str:
    return "–" if scores_of_split["p"] is None else f"{scores_of_split['p']:.4f}"


def ladder_row(split: str, result: dict | None, why_not: str | None) -> tuple:
    if result is None:
        return KEPT_OUT[split], "not possible", why_not, "", ""
    null = "–" if result["null_mean"] is None else f"{result['null_mean']:.1%}"
    return KEPT_OUT[split], f"{result['balanced_accuracy']:.1%}", f"{result['auc']:.3f}", null, p_text(result)


def model_rows(split: str, result: dict, linear: dict, costs: dict, X: np.ndarray, cfg) -> list[tuple]:
    network = multiply_adds(X.shape[1], X.shape[2], cfg.CNN_FILTERS, cfg.CNN_DENSE_UNITS)

    def row(name, s, cost, operations):
        spent = f"{cost['parameters']:,}", f"{operations:,}", f"{cost['seconds']:.0f}"
        return name, f"{s['accuracy']:.3f}", f"{s['balanced_accuracy']:.3f}", f"{s['auc']:.3f}", *spent

    rows = [row("voxel-time CNN", result["all_folds"], result["cost"], network)]
    if "shuffled_cnn" in result:
        rows.append(row("CNN, voxels in random order", result["shuffled_cnn"], result["shuffled_cnn"]["cost"], network))
    return rows + [row(NAMES[name], linear[name][split], costs[name], costs[name]["parameters"] - 1) for name in linear]


if __name__ == "__main__":
    run_script(main)
