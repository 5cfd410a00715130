"""3. Train the voxel-by-time network on every fold, and test how reliable its accuracy is.

Trains the paper's network on each fold of each cross-validation in CV_SPLITS, keeps the best epoch, and predicts the
held-out windows. "window" folds give the paper's number; "movie" folds give the accuracy for unseen films. Also trains
other architectures (MODELS) and simpler models on the same folds, compares increasingly strict splits (the leakage
ladder), and computes intervals and a permutation null.

Reads     2-dataset/, 1-windows/group_mask.nii.gz
Writes    3-model/<split>/fold-<k>.keras, the float32 network; fold-<k>.tsv, its held-out predictions
          3-model/<split>/predictions.tsv, one row per window; metrics.json, history.tsv; *.png; all of this for any
          other architecture in 3-model/<split>/<model>/; 3-model/<split>/<baseline>/fold-<k>.tsv
          3-model/<split>/models.tsv, comparison of all models; 3-model/linear/<features>.json; 3-model/metrics.json
          3-model/film_regressors.json, how well what else the film shows predicts the label, where script 1 has it
Settings  SEED, CV_SPLITS, N_FOLDS, EMBARGO_TRS, SELECTION, MODELS, MODEL_OPTIONS, CNN_FILTERS, CNN_DENSE_UNITS, EPOCHS,
          BATCH_SIZE, LEARNING_RATE, PRECISION, BASELINES, N_PERMUTATIONS, N_PERMUTATIONS_CNN, SPACE, ROI_FILE
Takes     full size (41,489 voxels): 6 s per step of 20 windows on 2 CPU cores, so use a GPU; 19 GB, or less if less is
          available, because gradients accumulate over smaller passes. Linear models: minutes
"""

import time
from functools import partial
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import read_mask, read_rois, sphere_labels, voxel_positions_mm
from neuroface.decoding import (
    ARCHITECTURES,
    DEFAULT,
    SHUFFLED,
    Fold,
    builder_of,
    cost_file,
    describe,
    folds_of_all_splits,
    history_file,
    is_trained,
    logit_network,
    model_file,
    permuted,
    permuted_labels,
    predict_logits,
    predictions_file,
    save_network,
    scores_by_split,
    train_network,
    window_features,
    window_kernel,
    write_comparison,
    write_results,
)  # fmt: skip
from neuroface.face_study import STUDY, add_confounds, labels_of, rois_name
from neuroface.pipeline import (
    Rules,
    Stage,
    only_more,
    open_npy,
    read_json,
    read_table,
    run_script,
    write_json,
    write_table,
)

import numpy as np
import pandas as pd


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 3, cfg, __doc__, reads=(1, 2), rules=RULES)
    samples, labels = check_dataset(stage.folder_of(2), cfg), labels_of(cfg)
    folds, impossible = folds_of_all_splits(samples, cfg.WINDOW_TRS, cfg)
    name_fold_limits(stage, folds, cfg)

    units = [(variant, split, fold) for variant in variants(cfg) for split in cfg.CV_SPLITS for fold in folds[split]]
    stage.each(partial(train_fold, stage, samples, cfg), units, lambda unit: is_trained(stage.folder, *unit), "folds")

    features = linear_models(stage, cfg)
    fit = partial(fit_linear, stage, samples, folds, cfg)
    stage.each(fit, features, lambda name: linear_file(stage, name).exists(), "linear models")

    networks = {
        model: {
            split: write_results(stage.folder, model, split, folds[split], samples, labels, cfg)
            for split in cfg.CV_SPLITS
        }
        for model in cfg.MODELS
    }
    fitted = {name: read_json(linear_file(stage, name)) for name in features}
    linear, costs = ({name: content[part] for name, content in fitted.items()} for part in ("scores", "cost"))
    for split in cfg.CV_SPLITS:
        write_comparison(stage.folder, networks, linear, costs, split, labels, cfg)
    headline, *others = cfg.MODELS
    write_json(
        stage.folder / "metrics.json",
        {"network": networks[headline], "other_networks": {model: networks[model] for model in others},
         "linear": linear, "linear_cost": costs, "not_possible": impossible},
    )  # fmt: skip
    section = describe(stage.folder, networks, linear, costs, impossible, labels, cfg)
    add_confounds(stage, section, samples, folds, networks[headline], linear["linear"], cfg)
    stage.finish(f"{len(units)} fold models", section)


def more_models(old: list, new: list, stamped: dict) -> bool:
    """Whether results still hold under another MODELS: the first must stay the main network, others may be added."""
    return only_more(old, new, stamped) and new[0] == old[0]


def same_sizes(old: dict, new: dict, stamped: dict) -> bool:
    """Whether results still hold under other MODEL_OPTIONS: those of the trained models must be the same."""
    return all(old.get(model) == new.get(model) for model in stamped["MODELS"])


RULES = Rules(
    aside=("ROI_FILE", "BASELINES", "N_PERMUTATIONS", "N_PERMUTATIONS_CNN"),  # no later script reads what they change
    growing={"MODELS": more_models, "MODEL_OPTIONS": same_sizes},
)


def check_dataset(folder: Path, cfg) -> pd.DataFrame:
    """``samples.tsv``; raise unless it fits X.npy (n, n_voxels, window_trs) and y.npy (n,), and all values are finite."""
    X, y, samples = open_npy(folder / "X.npy"), open_npy(folder / "y.npy"), read_table(folder / "samples.tsv")
    if not len(X) == len(y) == len(samples):
        raise NeuroFaceError(
            f"{folder}: X.npy has {len(X)} windows, y.npy {len(y)}, samples.tsv {len(samples)}. Delete {folder} and rerun "
            f"script 2."
        )
    for start in range(0, len(X), 64):
        if not np.isfinite(X[start : start + 64].sum(dtype=np.float64)):
            raise NeuroFaceError(f"{folder / 'X.npy'} holds NaN or infinite values near row {start}. Rerun script 1.")
    return samples


def name_fold_limits(stage: Stage, folds: dict[str, list[Fold]], cfg) -> None:
    """Print which splits choose the epoch by event instead, and how many windows the embargo removes."""
    for split in cfg.CV_SPLITS:
        if folds[split][0].validation_kept_together != split:
            print(f"  split {split!r}: the training set has one group, so the epoch is chosen by event")
        if dropped := sum(fold.n_embargoed for fold in folds[split]):
            why = f"{dropped} windows over {cfg.N_FOLDS} trainings, within EMBARGO_TRS of one that is held out"
            stage.leave_out(f"{split} folds", why)


def variants(cfg) -> list[str]:
    """Networks to train on every fold: the architectures, the shuffled network, the networks on relabelled events."""
    names = [*cfg.MODELS, *(name for name in cfg.BASELINES if name == SHUFFLED)]
    return names + [permuted(number) for number in range(1, cfg.N_PERMUTATIONS_CNN + 1)]


def train_fold(stage: Stage, samples: pd.DataFrame, cfg, unit: tuple[str, str, Fold]) -> None:
    """Train one fold of a variant and predict its held-out windows; the predictions are written last."""
    variant, split, fold = unit
    X, y = open_npy(stage.folder_of(2) / "X.npy"), np.array(open_npy(stage.folder_of(2) / "y.npy"))
    mask, _ = read_mask(stage.folder_of(1) / "group_mask.nii.gz")
    model, order = variant, None
    if variant == SHUFFLED:
        model, order = DEFAULT, np.random.default_rng(cfg.SEED).permutation(X.shape[1])
    if variant not in (*ARCHITECTURES, SHUFFLED):
        model, number = cfg.MODELS[0], int(variant.rpartition("-")[2])
        y = permuted_labels(samples, 1, cfg.SEED + number, cfg.LABELS[0])[:, 0]
    network, history, cost = train_network(
        X, y, fold, builder_of(model, mask, cfg), epochs=cfg.EPOCHS, batch_size=cfg.BATCH_SIZE,
        learning_rates=np.atleast_1d(cfg.LEARNING_RATE).tolist(), precision=cfg.PRECISION, seed=cfg.SEED + fold.number,
        n_jobs=cfg.N_JOBS, voxel_order=order,
    )  # fmt: skip
    logit = predict_logits(logit_network(network), X, cfg.INFERENCE_BATCH, fold.test, order)
    if variant in ARCHITECTURES:
        save_network(model_file(stage.folder, split, fold.number, variant), network)
    write_table(history_file(stage.folder, variant, split, fold), history.assign(fold=fold.number))
    write_json(cost_file(stage.folder, variant, split, fold), cost)
    table = samples.iloc[fold.test].assign(fold=fold.number, logit=logit, probability=1 / (1 + np.exp(-logit)))
    table = table.assign(row=fold.test, trained_label=y[fold.test])
    write_table(predictions_file(stage.folder, variant, split, fold), table)


def linear_models(stage: Stage, cfg) -> list[str]:
    """Features of the ridge classifiers; "linear" is always among them, because the leakage ladder needs it."""
    rois = rois_name(cfg.ROI_FILE)
    features = [name for name in ("linear", "linear-mean", rois) if name in cfg.BASELINES or name == "linear"]
    if rois in features and cfg.SPACE != "MNI":
        stage.leave_out(f"baseline {rois}", f"regions of ROI_FILE need MNI space and SPACE is {cfg.SPACE!r}")
        features.remove(rois)
    return features


def fit_linear(stage: Stage, samples: pd.DataFrame, folds: dict[str, list[Fold]], cfg, features: str) -> None:
    """Score a ridge classifier on all folds of all splits, and on relabelled events."""
    X, y, started = open_npy(stage.folder_of(2) / "X.npy"), open_npy(stage.folder_of(2) / "y.npy"), time.monotonic()
    kind = "mean" if features == "linear-mean" else "window"
    voxels = region_voxels(stage, cfg) if features == rois_name(cfg.ROI_FILE) else None
    kernel = window_kernel(window_features(X, kind, voxels))
    result = scores_by_split(kernel, np.array(y), samples, folds, cfg.N_PERMUTATIONS, cfg.SEED, cfg.LABELS[0])
    n_features = (X.shape[1] if voxels is None else int(voxels.sum())) * (1 if kind == "mean" else X.shape[2])
    cost = {"parameters": n_features + 1, "seconds": round(time.monotonic() - started, 1)}
    write_json(linear_file(stage, features), {"scores": result, "cost": cost})


def linear_file(stage: Stage, features: str) -> Path:
    return stage.folder / "linear" / f"{features}.json"


def region_voxels(stage: Stage, cfg) -> np.ndarray:
    """Which voxels of the mask (n_voxels,) lie in a region of ROI_FILE."""
    positions = voxel_positions_mm(*read_mask(stage.folder_of(1) / "group_mask.nii.gz"))
    return sphere_labels(positions, read_rois(cfg.ROI_FILE)) > 0


if __name__ == "__main__":
    run_script(main)
