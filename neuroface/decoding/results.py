"""From the folds of a cross-validation to its tables, scores and figures."""

from pathlib import Path

from neuroface.bold import Labels
from neuroface.decoding.architectures import DEFAULT
from neuroface.decoding.choose_model import read_choices
from neuroface.decoding.closed_form import window_weights
from neuroface.decoding.comparison import comparison, mark_of, title_of
from neuroface.decoding.division import Fold
from neuroface.decoding.figures import plot_curves, plot_history, plot_results
from neuroface.decoding.fit import Fitted
from neuroface.decoding.fold_files import (
    BEST,
    SHUFFLED,
    Member,
    files_of,
    inner_file,
    is_closed_form,
    is_linear,
    join_folds,
    member_models,
    model_file,
    model_folder,
    permuted,
)
from neuroface.decoding.keras_files import load_keras_file
from neuroface.decoding.metrics import scores, scores_by
from neuroface.decoding.network import save_network
from neuroface.decoding.uncertainty import (
    intervals_of_split,
    learn_from_each_other,
    noise_share_of,
    p_value,
)
from neuroface.pipeline import read_table, write_json, write_table

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score


def members_of(variant: str, split: str, folds: list[Fold], n_seeds: int) -> list[Member]:
    """Trainings of a variant on all folds of a split: ``n_seeds`` networks per fold, one model in closed form."""
    numbers = range(1, 2 if is_closed_form(variant) else n_seeds + 1)
    return [Member(variant, split, fold, number) for fold in folds for number in numbers]


def write_results(
    folder: Path,
    model: str,
    split: str,
    folds: list[Fold],
    samples: pd.DataFrame,
    labels: Labels,
    *,
    selection: str,
    recipe: str,
    n_permuted: int = 0,
    shuffled: bool = False,
) -> dict:
    """Write predictions, history, scores and figures of an architecture under one split.

    Parameters
    ----------
    folder : the stage's folder. samples : ``samples.tsv``.
    selection : SELECTION. recipe : TRAINING, the recipe of networks.
    n_permuted : how many trainings of this architecture on relabelled events there are.
    shuffled : whether the scores of the network on voxels in random order stand with this one.

    Returns
    -------
    The content of its ``metrics.json``.
    """
    target = model_folder(folder, split, model)
    members = stored_members(folder, model, split, folds)
    predictions, by_seed, cost = join_folds(folder, members, len(samples))
    predictions = predictions.drop(columns="trained_label")
    y, probability = (
        (predictions["label"] == labels.first).to_numpy(int),
        predictions["probability"].to_numpy(),
    )
    inner = _inner_scores(folder, members, (samples["label"] == labels.first).to_numpy(int))
    seeds = _spread(y, by_seed)
    result = {
        "model": model,
        "split": split,
        "selection": selection,
        "all_folds": scores(y, probability),
        "n_embargoed": {fold.number: fold.n_embargoed for fold in folds},
        "intervals_95": intervals_of_split(
            y, probability, predictions, split, _noise_share(folder, members, predictions)
        ),
        "seeds": seeds,
        "cost": cost,
        "folds": [
            {"fold": int(k), "best_val_balanced_accuracy": inner[int(k)]} | scores_of_fold
            for k, scores_of_fold in scores_by(predictions, "fold", labels.first).items()
        ],
        "by_movie": scores_by(predictions, "movie", labels.first),
        "by_subject": scores_by(predictions, "subject", labels.first),
    }
    if n_permuted:
        observed = float(np.mean(seeds["balanced_accuracy"]))
        result["null"] = _permuted_scores(folder, split, folds, len(y), observed, n_permuted)
    if shuffled:
        result["shuffled_cnn"] = _shuffled_scores(folder, split, folds, y)
    write_table(target / "predictions.tsv", predictions)
    write_json(target / "metrics.json", result)
    histories = [
        read_table(file).assign(seed=member.number)
        for member in members
        if (file := files_of(folder, member).history) and file.exists()
    ]
    if histories:
        history = pd.concat(histories)
        write_table(target / "history.tsv", history)
        plot_history(history, "step" if recipe == "robust" else "epoch", target / "history.png")
    title = f"{split} folds{mark_of(model, selection)}"
    plot_results(y, probability, folds, title, labels, target / "results.png")
    return result


def stored_members(folder: Path, model: str, split: str, folds: list[Fold]) -> list[Member]:
    """All trainings of a model whose models are stored."""
    return [
        Member(model, split, fold, number)
        for fold in folds
        for number in range(1, len(member_models(folder, split, fold.number, model)) + 1)
    ]


def _noise_share(folder: Path, members: list[Member], windows: pd.DataFrame) -> float | None:
    """Share of noise in the weights of ridge classifiers; None for other models, and where intervals do not need it.

    ``screened_ridge`` is another model here: what its choice of voxels does to the rule was not measured.
    """
    model, split = members[0].variant, members[0].split
    if not learn_from_each_other(windows, split):
        return None
    models = {model}
    if model == BEST:
        models = {choice["model"] for choice in read_choices(folder, split).values()}
    if len(models) > 1 or not all(map(is_linear, models)):
        return None  # weights of several kinds of models differ for other reasons than noise
    files = [model_file(folder, split, member.fold.number, model) for member in members]
    of_folds = [window_weights(load_keras_file(file)) for file in files]
    weights = [of_fold for of_fold in of_folds if of_fold is not None]
    return noise_share_of(np.stack(weights)) if len(weights) == len(files) else None


def _inner_scores(folder: Path, members: list[Member], y: np.ndarray) -> dict[int, float]:
    """Fold → balanced accuracy in its inner validation windows; the logit is the mean over seeds."""
    result = {}
    for number in sorted({member.fold.number for member in members}):
        tables = [
            read_table(inner_file(folder, member))
            for member in members
            if member.fold.number == number
        ]
        logit = pd.concat(tables).groupby("row")["logit"].mean()
        result[number] = float(balanced_accuracy_score(y[logit.index], logit > 0))
    return result


def _spread(y: np.ndarray, by_seed: list[pd.DataFrame]) -> dict:
    """Scores of each seed alone: how much a single network depends on its initial weights and order of windows."""
    each = [scores(y, table["probability"].to_numpy()) for table in by_seed]
    result: dict[str, object] = {"n": len(each)} | {
        name: [score[name] for score in each] for name in ("accuracy", "balanced_accuracy", "auc")
    }
    if len(each) > 1:
        result["median_sd_of_logit"] = float(
            np.median(np.std([table["logit"] for table in by_seed], axis=0, ddof=1))
        )
    return result


def write_member(
    folder: Path, member: Member, fitted: Fitted, samples: pd.DataFrame, y: np.ndarray, logit
) -> None:
    """Write the files of one training; the predictions come last.

    Parameters
    ----------
    samples : ``samples.tsv``. y : (n,) the labels that were trained. logit : (n_test,) of the
    held-out windows.
    """
    fold, files = member.fold, files_of(folder, member)
    if files.model:
        save_network(files.model, fitted.network)
    if files.history and fitted.history is not None:
        write_table(files.history, fitted.history.assign(fold=fold.number, seed=member.number))
    if files.inner:
        write_inner(folder, member, fitted.inner_rows, fitted.inner_logit)
    write_json(files.cost, fitted.cost)
    table = samples.iloc[fold.test].assign(
        fold=fold.number, logit=logit, probability=1 / (1 + np.exp(-logit))
    )
    write_table(files.predictions, table.assign(row=fold.test, trained_label=y[fold.test]))


def write_inner(folder: Path, member: Member, rows: np.ndarray, logit: np.ndarray) -> None:
    """Write the logits (n_rows,) of the inner validation windows of a training."""
    write_table(inner_file(folder, member), pd.DataFrame({"row": rows, "logit": logit}))


def summary(
    results: dict[str, dict],
    ladders: dict[str, dict],
    impossible: dict[str, str],
    models: tuple[str, ...],
) -> dict:
    """Content of ``3-model/metrics.json``: model → split → scores; the ladder of the linear models."""
    return {
        "networks": {model: results[model] for model in models},
        "best": results.get(BEST, {}),
        "linear_models": {model: results[model] for model in ladders},
        "linear": ladders,
        "not_possible": impossible,
    }


def write_comparison(
    folder: Path, results: dict[str, dict], split: str, labels: Labels, selection: str
) -> None:
    """Write the table and the curves of all models on the folds of one split.

    Parameters
    ----------
    results : as for :func:`neuroface.decoding.comparison.comparison`.
    """
    write_table(folder / split / "models.tsv", comparison(results, split))
    tables = {
        model: read_table(model_folder(folder, split, model) / "predictions.tsv")
        for model in results
    }
    y = (next(iter(tables.values()))["label"] == labels.first).to_numpy(int)
    probabilities = {
        f"{title_of(model)}{mark_of(model, selection)}": table["probability"].to_numpy()
        for model, table in tables.items()
    }
    plot_curves(y, probabilities, f"{split} folds", folder / split / "models.png")


def _permuted_scores(
    folder: Path, split: str, folds: list[Fold], n: int, observed: float, n_permuted: int
) -> dict:
    """Balanced accuracy of networks that were trained on relabelled events, and the p of the observed one.

    Networks on relabelled events are single ones. They are compared with ``observed``, the mean
    balanced accuracy of single networks, not with that of the mean logit over seeds, which is
    higher.

    Parameters
    ----------
    n : number of windows.
    """
    null = []
    for number in range(1, n_permuted + 1):
        table, _, _ = join_folds(folder, members_of(permuted(number), split, folds, 1), n)
        null.append(balanced_accuracy_score(table["trained_label"], table["probability"] >= 0.5))
    p = p_value(observed, np.array(null))
    return {"n": len(null), "mean": float(np.mean(null)), "observed": observed, "p": p}


def _shuffled_scores(folder: Path, split: str, folds: list[Fold], y: np.ndarray) -> dict:
    """Scores of networks that were trained on voxels in random order."""
    table, _, cost = join_folds(folder, members_of(SHUFFLED, split, folds, 1), len(y))
    of_shuffled = scores(y, table["probability"].to_numpy())
    return {"model": DEFAULT} | of_shuffled | {"cost": cost}
