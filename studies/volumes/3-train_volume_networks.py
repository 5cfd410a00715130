"""3. Which label does a volume carry?

Trains networks and linear models that classify single volumes, under several cross-validations at
once: the published one, which holds out single volumes, and others that hold out whole groups
(people, runs, blocks). All models learn from the same volumes. Writes held-out predictions, scores
with intervals over people and episodes, paired differences between models, and a ladder of splits:
the accuracy that each split gives when labels carry no information.

Reads     2-dataset/
Writes    3-models/<split>/<network>/fold-<k>.keras; predictions.tsv, a row per volume:
            samples.tsv's columns, fold, probability_<label>; history.tsv, a row per epoch;
            metrics.json; results.png, history.png
          3-models/<split>/models.tsv, differences.tsv; 3-models/linear/<model>.json;
            screened_ridge_<split>_weights.npy (n_folds, n_labels, n_voxels) float32;
            3-models/metrics.json
Settings  CV_SPLITS, N_FOLDS, EMBARGO_TRS, SELECTION, MODELS, MODEL_OPTIONS, EPOCHS, PATIENCE,
          BATCH_SIZE, LEARNING_RATE, WEIGHT_DECAY, BASELINES, N_PERMUTATIONS, N_PERMUTATIONS_NETWORK
Takes     EPOCHS passes per fold and network: the separable 3D-CNN at 80 × 80 × 35 voxels needs 1.4
          G multiply-adds per volume and pass, and about 5 GB for a batch of 16; a GPU is advisable
"""

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from neuroface.bold import read_mask
from neuroface.decoding import (
    Fold,
    model_file,
    model_folder,
    read_samples,
    save_network,
    window_features,
    window_kernel,
)
from neuroface.pipeline import (
    Rules,
    Stage,
    UnitName,
    only_more,
    open_npy,
    read_json,
    read_table,
    run_script,
    write_json,
    write_npy,
    write_table,
)
from volume_study.crossed import crossed_intervals
from volume_study.decoding_report import describe_decoding, plot_results, write_comparison
from volume_study.fold_test import fold_test
from volume_study.linear import ladder, logistic_probabilities, ridge_values
from volume_study.names import BASELINES, MODELS
from volume_study.networks import build_classifier
from volume_study.results import (
    Unit,
    columns_of,
    paired_differences,
    permuted,
    weights_file,
    write_fold,
    write_results,
    written_files,
)
from volume_study.scores import scores, scores_of_values, weighted_scores_of_all
from volume_study.screened import fit_screened
from volume_study.splits import folds_of_all_splits, leaks, permuted_labels
from volume_study.study import STUDY
from volume_study.training import predict, train_classifier

import numpy as np
import pandas as pd


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 3, cfg, __doc__, reads=(2,), rules=RULES)
    samples = read_samples(stage.folder_of(2), "volumes", "script 2", "script 2")
    labels = read_json(stage.folder_of(2) / "labels.json")["labels"]
    folds, impossible = folds_of_all_splits(samples, cfg)
    for split in cfg.CV_SPLITS:
        if dropped := sum(fold.n_embargoed for fold in folds[split]):
            why = f"{dropped} volumes over {cfg.N_FOLDS} trainings, within EMBARGO_TRS of one that is held out"
            stage.leave_out(f"{split} folds", why)

    variants = [
        *cfg.MODELS,
        *(permuted(number) for number in range(1, cfg.N_PERMUTATIONS_NETWORK + 1)),
    ]
    units = [
        (model, split, fold)
        for model in variants
        for split in cfg.CV_SPLITS
        for fold in folds[split]
    ]
    train = partial(train_fold, stage, samples, labels, cfg)
    files = partial(written_files, stage.folder, cfg.MODELS)
    stage.each(train, units, "folds", files, name_of=name_of_training)

    names = ["ridge", *(name for name in cfg.BASELINES if name != "ridge")]
    fit = partial(fit_linear, stage, samples, labels, folds, cfg)
    stage.each(fit, names, "linear models", partial(linear_files, stage, cfg.CV_SPLITS))
    linear = {name: read_json(linear_file(stage, name)) for name in names}

    networks: dict[str, dict[str, dict]] = {
        model: {
            split: write_results(stage.folder, model, split, folds[split], samples, labels, cfg)
            for split in cfg.CV_SPLITS
        }
        for model in cfg.MODELS
    }
    plot_results(stage.folder, networks, labels)
    for split in cfg.CV_SPLITS:
        write_comparison(stage.folder, split, networks, linear)
        compare_models(stage, samples, labels, names, cfg, split)
    known = {split: leaks(samples, split) for split in folds}
    write_json(
        stage.folder / "metrics.json",
        {
            "labels": labels,
            "networks": networks,
            "linear": linear,
            "leaks": known,
            "not_possible": impossible,
        },
    )
    stage.finish(
        f"{len(units)} fold models",
        describe_decoding(stage.folder, networks, linear, known, impossible, labels, cfg),
    )


def linear_files(stage: Stage, splits: Iterable[str], name: str) -> list[Path]:
    """The files that :func:`fit_linear` writes; script 4 reads the weights."""
    files = [values_file(stage, name, split) for split in splits]
    if name == "screened_ridge":
        files += [weights_file(stage.folder, split) for split in splits]
    return [*files, linear_file(stage, name)]


def more_networks(old: list, new: list, stamped: dict) -> bool:
    """Whether results still hold under another MODELS: the first is the headline, others may join."""
    return only_more(old, new, stamped) and new[0] == old[0]


def same_sizes(old: dict, new: dict, stamped: dict) -> bool:
    """Whether results still hold under other MODEL_OPTIONS: those of the trained networks are the same."""
    return all(old.get(model) == new.get(model) for model in stamped["MODELS"])


RULES = Rules(
    aside=(
        "BASELINES",
        "N_PERMUTATIONS",
        "N_PERMUTATIONS_NETWORK",
    ),  # no later script depends on them; script 4 asks for the weights that BASELINES adds
    growing={"MODELS": more_networks, "MODEL_OPTIONS": same_sizes},
)


def name_of_training(unit: Unit) -> UnitName:
    """What a training is called while it runs."""
    model, split, fold = unit
    return UnitName(model, f"{model}, {split} fold {fold.number}")


def train_fold(stage: Stage, samples: pd.DataFrame, labels: list[str], cfg, unit: Unit) -> None:
    """Train a network on one fold and predict its held-out volumes."""
    model, split, fold = unit
    X, y = open_npy(stage.folder_of(2) / "X.npy"), np.array(open_npy(stage.folder_of(2) / "y.npy"))
    mask, _ = read_mask(stage.folder_of(2) / "group_mask.nii.gz")
    name = model
    if model not in cfg.MODELS:
        name, number = cfg.MODELS[0], int(model.rpartition("-")[2])
        y = permuted_labels(samples, y, 1, cfg.SEED + number)[:, 0]
    build = partial(build_classifier, name, mask, len(labels), cfg.MODEL_OPTIONS.get(name, {}))
    network, history, cost = train_classifier(
        X, y, fold, build, epochs=cfg.EPOCHS, patience=cfg.PATIENCE, batch_size=cfg.BATCH_SIZE,
        learning_rate=cfg.LEARNING_RATE, weight_decay=cfg.WEIGHT_DECAY, inference_batch=cfg.INFERENCE_BATCH,
        seed=cfg.SEED + fold.number,
    )  # fmt: skip
    probability = predict(network, X, fold.test, cfg.INFERENCE_BATCH).astype(np.float64)
    probability /= probability.sum(
        axis=1, keepdims=True
    )  # float32 misses 1 by more than scikit-learn accepts
    if model in cfg.MODELS:
        save_network(model_file(stage.folder, split, fold.number, model), network)
    write_fold(stage.folder, unit, samples, y, labels, probability, history, cost)


def fit_linear(
    stage: Stage,
    samples: pd.DataFrame,
    labels: list[str],
    folds: dict[str, list[Fold]],
    cfg,
    name: str,
) -> None:
    """Score a linear model on all folds: ridge under every split and on relabelled blocks, the others where networks are."""
    X, y = (
        open_npy(stage.folder_of(2) / "X.npy"),
        np.array(open_npy(stage.folder_of(2) / "y.npy")).astype(int),
    )
    started, n_labels = time.monotonic(), len(labels)
    kernel = window_kernel(window_features(X[..., None], "window"))
    result = {"parameters": (X.shape[1] + 1) * n_labels, "splits": {}}
    if name == "ridge":
        permutations = permuted_labels(samples, y, cfg.N_PERMUTATIONS, cfg.SEED)
        result["splits"] = ladder(kernel, y, permutations, folds, n_labels)
    for split in cfg.CV_SPLITS:
        if name == "ridge":
            values = ridge_values(kernel, y, folds[split], n_labels)
            summary: dict = scores_of_values(y, values)
        elif name == "screened_ridge":
            values, weights = fit_screened(X, kernel, y, folds[split], n_labels)
            write_npy(weights_file(stage.folder, split), weights)
            summary = scores_of_values(y, values)
        else:
            values = logistic_probabilities(kernel, y, folds[split], n_labels)
            summary = scores(y, values)
        write_npy(values_file(stage, name, split), values.astype(np.float32))
        scored = partial(weighted_scores_of_all, y, values)
        intervals = crossed_intervals(
            scored, samples["subject"].to_numpy(), samples["event"].to_numpy()
        )
        summary["intervals_95"] = {
            score: intervals[score] for score in intervals if score in summary
        }
        if not leaks(samples, split) and cfg.SELECTION == "inner":
            table = samples.assign(fold=number_of_fold(folds[split], len(y)))
            summary["fold_test"] = fold_test(
                table, y, values.argmax(axis=1), n_labels, cfg.N_PERMUTATIONS, cfg.SEED
            )
        result["splits"][split] = result["splits"].get(split, {}) | summary
    write_json(linear_file(stage, name), result | {"seconds": round(time.monotonic() - started, 1)})


def number_of_fold(folds: list[Fold], n: int) -> np.ndarray:
    """The fold that holds each volume out, (n,)."""
    number = np.zeros(n, dtype=int)
    for fold in folds:
        number[fold.test] = fold.number
    return number


def compare_models(
    stage: Stage, samples: pd.DataFrame, labels: list[str], linear: list[str], cfg, split: str
) -> None:
    """Write the paired differences between all models on the folds of a split."""
    values = {}
    for model in cfg.MODELS:
        table = read_table(model_folder(stage.folder, split, model) / "predictions.tsv")
        values[MODELS[model]] = table[columns_of(labels)].to_numpy()
    for name in linear:
        values[BASELINES[name]] = np.load(values_file(stage, name, split), allow_pickle=False)
    y = samples["label"].map(labels.index).to_numpy()
    table = paired_differences(
        y, values, samples["subject"].to_numpy(), samples["event"].to_numpy()
    )
    write_table(stage.folder / split / "differences.tsv", table)


def values_file(stage: Stage, name: str, split: str) -> Path:
    """Held-out probabilities, or decision values of ridge classifiers, (n, n_labels)."""
    return stage.folder / "linear" / f"{name}_{split}.npy"


def linear_file(stage: Stage, name: str) -> Path:
    return stage.folder / "linear" / f"{name}.json"


if __name__ == "__main__":
    run_script(main)
