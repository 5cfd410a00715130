"""From the folds of a cross-validation to its tables and scores."""

from functools import partial
from itertools import combinations
from pathlib import Path

from neuroface.decoding import (
    Fold,
    balanced_accuracies,
    held_out_rows,
    model_file,
    model_folder,
    p_value,
    total_cost,
)
from neuroface.pipeline import read_json, read_table, write_json, write_table
from volume_study.crossed import crossed_intervals, difference_of
from volume_study.fold_test import fold_test
from volume_study.scores import (
    scores,
    scores_by,
    scores_by_class,
    weighted_scores_of_all,
)
from volume_study.splits import leaks

import numpy as np
import pandas as pd

Unit = tuple[str, str, Fold]  # network (or permutation), split, fold
COMPARED = ("accuracy", "balanced_accuracy", "roc_auc")  # of pairs of models


def fold_file(folder: Path, kind: str, unit: Unit) -> Path:
    """``<split>/<network>/<kind>-<k>``: kind "fold" (held-out predictions, .tsv), "history" (.tsv) or "cost" (.json)."""
    model, split, fold = unit
    return (
        model_folder(folder, split, model)
        / f"{kind}-{fold.number}.{'json' if kind == 'cost' else 'tsv'}"
    )


def permuted(number: int) -> str:
    """Name of the folder with the folds of a network on relabelled blocks; numbers count from 1."""
    return f"permuted-{number}"


def written_files(folder: Path, models: tuple[str, ...], unit: Unit) -> list[Path]:
    """The files that the training of a fold writes; networks on relabelled blocks are not kept."""
    model, split, fold = unit
    files = [fold_file(folder, kind, unit) for kind in ("fold", "history", "cost")]
    if model in models:
        files.append(model_file(folder, split, fold.number, model))
    return files


def columns_of(labels: list[str]) -> list[str]:
    """Columns of ``predictions.tsv`` with the probability of each label."""
    return [f"probability_{label}" for label in labels]


def write_fold(folder: Path, unit: Unit, samples, y, labels, probability, history, cost) -> None:
    """Write what a fold leaves beside its network.

    Parameters
    ----------
    y : (n,) class numbers that it was trained on. probability : (n_test, n_classes).
    """
    fold = unit[2]
    write_table(fold_file(folder, "history", unit), history.assign(fold=fold.number))
    write_json(fold_file(folder, "cost", unit), cost)
    table = samples.iloc[fold.test].assign(
        fold=fold.number, row=fold.test, trained_label=np.array(labels)[y[fold.test]]
    )
    table[columns_of(labels)] = probability
    write_table(fold_file(folder, "fold", unit), table)


def join_folds(
    folder: Path, model: str, split: str, folds: list[Fold], n: int
) -> tuple[pd.DataFrame, dict]:
    """Held-out predictions of all folds, a row per volume in the order of ``X.npy``; and what the folds cost together.

    Raises
    ------
    NeuroFaceError
        If the folds together do not predict each volume exactly once.
    """
    files = [fold_file(folder, "fold", (model, split, fold)) for fold in folds]
    table = held_out_rows(files, n, "volumes")
    costs = pd.DataFrame(
        [read_json(fold_file(folder, "cost", (model, split, fold))) for fold in folds]
    )
    return table, total_cost(costs)


def write_results(
    folder: Path,
    model: str,
    split: str,
    folds: list[Fold],
    samples: pd.DataFrame,
    labels: list[str],
    cfg,
) -> dict:
    """Write predictions, history and scores of a network under one split.

    Parameters
    ----------
    cfg : SEED, SELECTION, MODELS, N_PERMUTATIONS, N_PERMUTATIONS_NETWORK.

    Returns
    -------
    The content of its ``metrics.json``.
    """
    target = model_folder(folder, split, model)
    table, cost = join_folds(folder, model, split, folds, len(samples))
    history = pd.concat(
        [read_table(fold_file(folder, "history", (model, split, fold))) for fold in folds]
    )
    y = table["label"].map(labels.index).to_numpy()
    probability = table[columns_of(labels)].to_numpy()
    people, episodes = table["subject"].to_numpy(), table["event"].to_numpy()
    predicted = probability.argmax(axis=1)
    scored = partial(weighted_scores_of_all, y, probability)
    result = {
        "model": model,
        "split": split,
        "selection": cfg.SELECTION,
        "chance": 1 / len(labels),
        "all_folds": scores(y, probability),
        "intervals_95": crossed_intervals(scored, people, episodes),
        "by_label": scores_by_class(y, probability, people, episodes, labels),
        "confusion": pd.crosstab(y, predicted).reindex(range(len(labels)), columns=range(len(labels)), fill_value=0)
        .to_numpy().tolist(),
        "by_fold": scores_by(table, "fold", y, predicted),
        "by_subject": scores_by(table, "subject", y, predicted),
        "n_embargoed": {fold.number: fold.n_embargoed for fold in folds},
        "chosen_on_held_out": chosen_on_held_out(history, folds),
        "cost": cost,
    }  # fmt: skip
    if not leaks(samples, split) and cfg.SELECTION == "inner":
        result["fold_test"] = fold_test(
            table, y, predicted, len(labels), cfg.N_PERMUTATIONS, cfg.SEED
        )
    if model == cfg.MODELS[0] and cfg.N_PERMUTATIONS_NETWORK:
        result["null"] = network_null(
            folder, split, folds, y, result["all_folds"]["balanced_accuracy"], labels, cfg
        )
    write_table(target / "predictions.tsv", table.drop(columns="trained_label"))
    write_table(target / "history.tsv", history)
    write_json(target / "metrics.json", result)
    return result


def paired_differences(
    y: np.ndarray, values: dict[str, np.ndarray], people: np.ndarray, episodes: np.ndarray
) -> pd.DataFrame:
    """Differences between models on the same held-out volumes, a row per pair and score, with crossed 95 % intervals.

    Parameters
    ----------
    values : model → probabilities or decision values (n, n_classes). people, episodes : (n,) of
    each volume.
    """
    rows = []
    for first, second in combinations(values, 2):
        scored = difference_of(
            *(partial(weighted_scores_of_all, y, values[model]) for model in (first, second))
        )
        intervals = crossed_intervals(
            scored, people, episodes, ranges=dict.fromkeys(COMPARED, (-1.0, 1.0))
        )
        whole = scored(np.ones((1, len(y))))
        for name in COMPARED:
            low, high = intervals.get(name, (np.nan, np.nan))
            rows.append((first, second, name, float(whole[name][0]), low, high))
    return pd.DataFrame(rows, columns=["model", "other", "score", "difference", "low", "high"])


def chosen_on_held_out(history: pd.DataFrame, folds: list[Fold]) -> dict[str, float]:
    """Accuracy of the epoch chosen as published, on the held-out volumes themselves, and how much it gains.

    Parameters
    ----------
    history : epochs of all folds, columns fold, val_accuracy, test_accuracy.

    Returns
    -------
    accuracy : mean over volumes of each fold's best epoch. gain : above that of the epochs chosen
    on inner sets.
    """
    n = {fold.number: len(fold.test) for fold in folds}
    best = history.groupby("fold")["test_accuracy"].max()
    chosen = history.groupby("fold").apply(
        lambda accuracies: accuracies["test_accuracy"].iloc[accuracies["val_accuracy"].argmax()]
    )
    weights = np.array([n[int(fold)] for fold in best.index])
    accuracy, inner = (
        float(np.average(accuracies, weights=weights)) for accuracies in (best, chosen)
    )
    return {"accuracy": accuracy, "gain": accuracy - inner}


def network_null(
    folder: Path, split: str, folds: list[Fold], y, observed: float, labels: list[str], cfg
) -> dict:
    """Balanced accuracies of the first network when it was trained on relabelled blocks."""
    null = []
    for number in range(1, cfg.N_PERMUTATIONS_NETWORK + 1):
        table, _ = join_folds(folder, permuted(number), split, folds, len(y))
        truth, predicted = (
            table["trained_label"].map(labels.index).to_numpy(),
            table[columns_of(labels)].to_numpy().argmax(axis=1),
        )
        null.append(balanced_accuracies(truth[:, None], predicted[:, None], len(labels))[0])
    return {"n": len(null), "mean": float(np.mean(null)), "bias": float(np.mean(null) - 1 / len(labels)),
            "p": p_value(observed, np.array(null))}  # fmt: skip
