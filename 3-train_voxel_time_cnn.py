"""3. Train the voxel-by-time network on every fold, and say how far to trust its accuracy.

Trains the paper's network on each fold of each cross-validation in CV_SPLITS, keeps the best epoch, and predicts the
windows that the fold left out. "window" folds give the paper's number; "movie" folds tell what holds for unseen films.
Beside it: other architectures (MODELS) and simpler models on the same folds, a ladder of ever stricter splits, intervals,
and a permutation null.

Reads     2-dataset/, 1-windows/group_mask.nii.gz
Writes    3-model/<split>/fold-<k>.keras, the float32 network; fold-<k>.tsv, its held-out predictions
          3-model/<split>/predictions.tsv, a row per window; metrics.json, history.tsv; *.png; all of this for any other
          architecture in 3-model/<split>/<model>/; 3-model/<split>/<baseline>/fold-<k>.tsv
          3-model/<split>/models.tsv, all models side by side; 3-model/linear/<features>.json; 3-model/metrics.json
Settings  SEED, CV_SPLITS, N_FOLDS, EMBARGO_TRS, SELECTION, MODELS, MODEL_OPTIONS, CNN_FILTERS, CNN_DENSE_UNITS, EPOCHS,
          BATCH_SIZE, LEARNING_RATE, PRECISION, BASELINES, N_PERMUTATIONS, N_PERMUTATIONS_CNN, SPACE, ROI_FILE
Takes     full size (41,489 voxels): 6 s per step of 20 windows on 2 CPU cores; 19 GB, or less where less is there, for
          gradients accumulate over smaller passes; plan for a GPU. Linear models: minutes
"""

import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from neuroface import NeuroFaceError
from neuroface.architectures import ARCHITECTURES, DEFAULT, builder
from neuroface.bold import read_mask
from neuroface.files import model_file, model_folder, open_npy, read_json, read_table, write_json, write_table
from neuroface.folds import SPLITS, Fold, make_folds
from neuroface.linear import scores_by_split, window_features, window_kernel
from neuroface.metrics import scores, scores_by
from neuroface.network import logit_network, predict_logits, save_network
from neuroface.rois import read_rois, sphere_labels, voxel_positions_mm
from neuroface.settings import load_settings
from neuroface.stage import Stage, run_script
from neuroface.training import train_network
from neuroface.training_report import LINEAR, MARK, comparison, describe, plot_curves, plot_history, plot_results
from neuroface.uncertainty import cluster_bootstrap, p_value, permuted_labels

SETTINGS = (
    "SEED", "CV_SPLITS", "N_FOLDS", "EMBARGO_TRS", "SELECTION", "MODELS", "MODEL_OPTIONS", "CNN_FILTERS",
    "CNN_DENSE_UNITS", "EPOCHS", "BATCH_SIZE", "LEARNING_RATE", "PRECISION", "BASELINES", "N_PERMUTATIONS",
    "N_PERMUTATIONS_CNN", "SPACE", "ROI_FILE",
)  # fmt: skip
SHUFFLED = "shuffled-cnn"
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

    variants = [*cfg.MODELS, *(b for b in cfg.BASELINES if b == SHUFFLED)]
    variants += [f"permuted-{i + 1}" for i in range(cfg.N_PERMUTATIONS_CNN)]
    units = [(variant, split, fold) for variant in variants for split in cfg.CV_SPLITS for fold in folds[split]]
    stage.each(run_fold, units, lambda unit: all(file.exists() for file in files_of(stage.folder, *unit)), "folds")

    def run_linear(features):
        voxels = face_voxels(stage, cfg) if features == "face-rois" else None
        kind, started = "mean" if features == "linear-mean" else "window", time.monotonic()
        kernel = window_kernel(window_features(X, kind, voxels))
        result = scores_by_split(kernel, y, samples, folds, cfg.N_PERMUTATIONS, cfg.SEED)
        n_features = (X.shape[1] if voxels is None else int(voxels.sum())) * (1 if kind == "mean" else X.shape[2])
        cost = {"parameters": n_features + 1, "seconds": round(time.monotonic() - started, 1)}
        write_json(linear_file(stage, features), {"scores": result, "cost": cost})

    models = [b for b in LINEAR if b in cfg.BASELINES or b == "linear"]  # "linear" makes the ladder
    if "face-rois" in models and cfg.SPACE != "MNI":
        stage.leave_out("baseline face-rois", f"face regions need MNI space and SPACE is {cfg.SPACE!r}")
        models.remove("face-rois")
    stage.each(run_linear, models, lambda features: linear_file(stage, features).exists(), "linear models")

    stored = {features: read_json(linear_file(stage, features)) for features in models}
    linear = {features: content["scores"] for features, content in stored.items()}
    costs = {features: content["cost"] for features, content in stored.items()}
    results = {
        model: {split: summarize(stage, model, split, folds[split], samples, cfg) for split in cfg.CV_SPLITS}
        for model in cfg.MODELS
    }
    for split in cfg.CV_SPLITS:
        compare(stage.folder, results, linear, costs, split, cfg)
    headline, *others = cfg.MODELS
    write_json(
        stage.folder / "metrics.json",
        {"network": results[headline], "other_networks": {model: results[model] for model in others},
         "linear": linear, "linear_cost": costs, "not_possible": impossible},
    )  # fmt: skip
    stage.finish(f"{len(units)} fold models", describe(stage.folder, results, linear, costs, impossible, cfg))


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
    return model_folder(folder, split, variant) / f"fold-{fold.number}.tsv"


def files_of(folder: Path, variant: str, split: str, fold: Fold) -> list[Path]:
    """What a trained fold leaves; its predictions are written last."""
    target, k = predictions_of(folder, variant, split, fold), fold.number
    files = [target, target.with_name(f"history-{k}.tsv"), target.with_name(f"cost-{k}.json")]
    return files + [model_file(folder, split, k, variant)] * (variant in ARCHITECTURES)


def train_and_predict(stage: Stage, variant: str, split: str, fold: Fold, y: np.ndarray, samples, cfg) -> None:
    """Train one fold of a network, of the shuffled one, or of one relabelling; its held-out predictions come last."""
    X = open_npy(stage.folder_of(2) / "X.npy")
    mask, _ = read_mask(stage.folder_of(1) / "group_mask.nii.gz")
    model, order = variant, None
    if variant == SHUFFLED:
        model, order = DEFAULT, np.random.default_rng(cfg.SEED).permutation(X.shape[1])
    if variant.startswith("permuted-"):
        model, number = cfg.MODELS[0], int(variant.removeprefix("permuted-"))
        y = permuted_labels(samples, 1, cfg.SEED + number)[:, 0]
    network, history, cost = train_network(
        X,
        y,
        fold,
        builder(model, mask, X.shape[2], cfg.MODEL_OPTIONS, cfg.CNN_FILTERS, cfg.CNN_DENSE_UNITS),
        epochs=cfg.EPOCHS,
        batch_size=cfg.BATCH_SIZE,
        learning_rates=np.atleast_1d(cfg.LEARNING_RATE).tolist(),
        precision=cfg.PRECISION,
        seed=cfg.SEED + fold.number,
        n_jobs=cfg.N_JOBS,
        voxel_order=order,
    )
    logit = predict_logits(logit_network(network), X, cfg.INFERENCE_BATCH, fold.test, order)
    target = predictions_of(stage.folder, variant, split, fold)
    if variant in ARCHITECTURES:
        save_network(model_file(stage.folder, split, fold.number, variant), network)
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
        "multiply_adds": int(costs["multiply_adds"].iloc[0]),
        "windows_per_pass": int(costs["windows_per_pass"].min()),
        "windows_on_gpu": bool(np.all(costs.get("windows_on_gpu", False))),
        "seconds": float(costs["seconds"].sum()),
        "seconds_per_epoch": float(costs["seconds_per_epoch"].median()),
        "peak_memory_gb": float(costs["peak_memory_gb"].max()),
        "added_memory_gb": float(costs["added_memory_gb"].median()),
    }
    return table.drop(columns="row"), cost


def summarize(stage: Stage, model: str, split: str, folds: list[Fold], samples: pd.DataFrame, cfg) -> dict:
    """Join an architecture's folds of a split into tables, scores and figures. Returns the content of its metrics.json."""
    folder = model_folder(stage.folder, split, model)
    predictions, cost = joined(stage, model, split, folds, len(samples))
    predictions = predictions.drop(columns="trained_label")
    history = pd.concat([read_table(folder / f"history-{f.number}.tsv") for f in folds])
    y, probability = (predictions["label"] == "face").to_numpy(int), predictions["probability"].to_numpy()
    best = history.groupby("fold")["val_balanced_accuracy"].max()
    result = {
        "model": model,
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
    if model == cfg.MODELS[0]:
        result |= nulls(stage, split, folds, y, result["all_folds"]["balanced_accuracy"], cfg)
    write_table(folder / "predictions.tsv", predictions)
    write_table(folder / "history.tsv", history)
    write_json(folder / "metrics.json", result)
    plot_history(history, folder / "history.png")
    plot_results(y, probability, folds, f"{split} folds{MARK[cfg.SELECTION]}", folder / "results.png")
    return result


def nulls(stage: Stage, split: str, folds: list[Fold], y: np.ndarray, observed: float, cfg) -> dict:
    """What the first architecture's folds are compared with: trained on relabelled events, on voxels in random order."""
    result = {}
    if cfg.N_PERMUTATIONS_CNN:
        null = []
        for i in range(cfg.N_PERMUTATIONS_CNN):
            table, _ = joined(stage, f"permuted-{i + 1}", split, folds, len(y))
            null.append(balanced_accuracy_score(table["trained_label"], table["probability"] >= 0.5))
        result["null"] = {"n": len(null), "mean": float(np.mean(null)), "p": p_value(observed, np.array(null))}
    if SHUFFLED in cfg.BASELINES:
        table, cost = joined(stage, SHUFFLED, split, folds, len(y))
        result["shuffled_cnn"] = scores(y, table["probability"].to_numpy()) | {"cost": cost}
    return result


def compare(folder: Path, results: dict, linear: dict, costs: dict, split: str, cfg) -> None:
    """All models on the folds of one split: a table, and with several networks their curves."""
    write_table(folder / split / "models.tsv", comparison(results, linear, costs, split))
    if len(cfg.MODELS) > 1:
        tables = {model: read_table(model_folder(folder, split, model) / "predictions.tsv") for model in cfg.MODELS}
        y = (tables[cfg.MODELS[0]]["label"] == "face").to_numpy(int)
        probabilities = {model: table["probability"].to_numpy() for model, table in tables.items()}
        plot_curves(y, probabilities, f"{split} folds{MARK[cfg.SELECTION]}", folder / split / "models.png")


if __name__ == "__main__":
    run_script(main)
