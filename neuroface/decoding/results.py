"""From the folds of a cross-validation to its tables, scores and figures."""

from pathlib import Path

from neuroface.bold import Labels
from neuroface.decoding.fold_files import history_file, join_folds, model_folder
from neuroface.decoding.folds import Fold
from neuroface.decoding.metrics import scores, scores_by
from neuroface.decoding.training_report import MARK, comparison, plot_curves, plot_history, plot_results
from neuroface.decoding.uncertainty import cluster_bootstrap, p_value
from neuroface.pipeline import read_table, write_json, write_table

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

SHUFFLED = "shuffled-cnn"
N_BOOTSTRAP = 1000


def permuted(number: int) -> str:
    """Name of the folder with the folds of a network on relabelled events; numbers count from 1."""
    return f"permuted-{number}"


def write_results(
    folder: Path, model: str, split: str, folds: list[Fold], samples: pd.DataFrame, labels: Labels, cfg
) -> dict:
    """Write predictions, history, scores and figures of an architecture under one split.

    Parameters
    ----------
    folder : the stage's folder. samples : ``samples.tsv``.
    cfg : SEED, SELECTION, MODELS, BASELINES, N_PERMUTATIONS_CNN.

    Returns
    -------
    The content of its ``metrics.json``.
    """
    target = model_folder(folder, split, model)
    predictions, cost = join_folds(folder, model, split, folds, len(samples))
    predictions = predictions.drop(columns="trained_label")
    history = pd.concat([read_table(history_file(folder, model, split, fold)) for fold in folds])
    y, probability = (predictions["label"] == labels.first).to_numpy(int), predictions["probability"].to_numpy()
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
            for k, part in scores_by(predictions, "fold", labels.first).items()
        ],
        "by_movie": scores_by(predictions, "movie", labels.first),
        "by_subject": scores_by(predictions, "subject", labels.first),
    }
    if model == cfg.MODELS[0]:
        result |= _nulls(folder, split, folds, y, result["all_folds"]["balanced_accuracy"], cfg)
    write_table(target / "predictions.tsv", predictions)
    write_table(target / "history.tsv", history)
    write_json(target / "metrics.json", result)
    plot_history(history, target / "history.png")
    title = f"{split} folds{MARK[cfg.SELECTION]}"
    plot_results(y, probability, folds, title, labels, target / "results.png")
    return result


def write_comparison(folder: Path, results: dict, linear: dict, costs: dict, split: str, labels: Labels, cfg) -> None:
    """Write the table of all models on the folds of one split; with several networks, their curves too.

    Parameters
    ----------
    results, linear, costs : as for :func:`neuroface.decoding.training_report.comparison`.
    """
    write_table(folder / split / "models.tsv", comparison(results, linear, costs, split))
    if len(cfg.MODELS) > 1:
        tables = {model: read_table(model_folder(folder, split, model) / "predictions.tsv") for model in cfg.MODELS}
        y = (tables[cfg.MODELS[0]]["label"] == labels.first).to_numpy(int)
        probabilities = {model: table["probability"].to_numpy() for model, table in tables.items()}
        plot_curves(y, probabilities, f"{split} folds{MARK[cfg.SELECTION]}", folder / split / "models.png")


def _nulls(folder: Path, split: str, folds: list[Fold], y: np.ndarray, observed: float, cfg) -> dict:
    """Scores of the first architecture when it was trained on relabelled events, and on voxels in random order."""
    result = {}
    if cfg.N_PERMUTATIONS_CNN:
        null = []
        for number in range(1, cfg.N_PERMUTATIONS_CNN + 1):
            table, _ = join_folds(folder, permuted(number), split, folds, len(y))
            null.append(balanced_accuracy_score(table["trained_label"], table["probability"] >= 0.5))
        result["null"] = {"n": len(null), "mean": float(np.mean(null)), "p": p_value(observed, np.array(null))}
    if SHUFFLED in cfg.BASELINES:
        table, cost = join_folds(folder, SHUFFLED, split, folds, len(y))
        result["shuffled_cnn"] = scores(y, table["probability"].to_numpy()) | {"cost": cost}
    return result
