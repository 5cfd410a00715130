"""Choose the model of each fold by inner validation windows only, never by held-out ones."""

import os
import shutil
from pathlib import Path

from neuroface.decoding.architectures import CLOSED_FORM
from neuroface.decoding.calibration import balanced_weights, log_losses, simplest_good_model
from neuroface.decoding.division import Fold
from neuroface.decoding.fold_files import (
    BEST,
    LINEAR,
    Member,
    files_of,
    inner_file,
    is_closed_form,
    member_models,
)
from neuroface.pipeline import atomic, read_json, read_table, write_json

import numpy as np
import pandas as pd


def candidates(models: tuple[str, ...]) -> list[str]:
    """Models to choose from, simplest first: ridge on means, ridge on windows, other closed forms, networks.

    Models of chosen regions are no candidates: their maps could not show the rest of the brain.
    """
    closed = [name for name in CLOSED_FORM if name in models]
    return ["linear-mean", *(name for name in LINEAR if name != "linear-mean"), *closed,
            *(name for name in models if name not in CLOSED_FORM)]  # fmt: skip


def choose(
    folder: Path, split: str, fold: Fold, models: list[str], samples: pd.DataFrame, positive: str
) -> dict:
    """The simplest model of a fold whose log loss on inner validation windows is within one standard error of the best.

    Models in closed form have predictions of all training windows, from an inner cross-validation;
    they are compared on all of these. The chosen one is then compared with the networks on the
    windows that chose the networks' epochs.

    Parameters
    ----------
    folder : folder of the trainings. models : result of :func:`candidates`. samples : ``samples.tsv``.
    positive : the first label.

    Returns
    -------
    model : its name; loss : {model: mean log loss on the windows that all have}.
    """
    closed = [name for name in models if is_closed_form(name)]
    first = _simplest(folder, split, fold, closed, samples, positive)[0]
    networks = [name for name in models if name not in closed]
    chosen, _ = (
        _simplest(folder, split, fold, [first, *networks], samples, positive)
        if networks
        else (first, None)
    )
    _, losses = _simplest(folder, split, fold, models, samples, positive)
    return {"model": chosen, "loss": losses}


def _simplest(folder, split, fold, models, samples, positive) -> tuple[str, dict[str, float]]:
    """Name of the model that :func:`simplest_good_model` takes, and the mean loss of all models on the same windows."""
    inner = pd.concat(
        [inner_logits(folder, name, split, fold).rename(name) for name in models],
        axis=1,
        join="inner",
    )
    rows = inner.index.to_numpy()
    y = (samples["label"].iloc[rows] == positive).to_numpy(int)
    losses = [log_losses(y, inner[name].to_numpy()) for name in models]
    weights = balanced_weights(y)
    groupings = tuple(samples[column].to_numpy(str)[rows] for column in ("event", "subject"))
    index = simplest_good_model(losses, groupings, weights)
    return models[index], {
        name: float(np.average(loss, weights=weights)) for name, loss in zip(models, losses)
    }


def inner_logits(folder: Path, model: str, split: str, fold: Fold) -> pd.Series:
    """Logits of inner validation windows, indexed by their row in ``X.npy``; means over seeds."""
    numbers = range(1, len(member_models(folder, split, fold.number, model)) + 1)
    files = [inner_file(folder, Member(model, split, fold, number)) for number in numbers]
    tables = [read_table(file) for file in files]
    return pd.concat(tables).groupby("row")["logit"].mean()


def choices_file(folder: Path, split: str) -> Path:
    """``<split>/best/choices.json``: fold → the chosen model, and the losses of all models."""
    return folder / split / BEST / "choices.json"


def write_best(
    folder: Path,
    folds: dict[str, list[Fold]],
    models: list[str],
    samples: pd.DataFrame,
    positive: str,
    n_seeds: int,
    split: str,
) -> None:
    """Choose the model of each fold of a split, and give it the files that every model has, in ``<split>/best/``.

    The files are links to those of the chosen model where the file system allows it, else copies.

    Parameters
    ----------
    folds : split → folds. models, samples, positive : as for :func:`choose`.
    n_seeds : networks per fold.
    """
    target = choices_file(folder, split).parent
    shutil.rmtree(target, ignore_errors=True)
    choices = {}
    for fold in folds[split]:
        choices[str(fold.number)] = choose(folder, split, fold, models, samples, positive)
        for source, copy in _copies(folder, split, fold, choices):
            _link(source, copy)
    write_json(
        choices_file(folder, split), {"candidates": models, "seeds": n_seeds, "folds": choices}
    )


def best_files(folder: Path, folds: dict[str, list[Fold]], split: str) -> list[Path]:
    """The files that :func:`write_best` writes; before it has chosen, only the file of the choices is known."""
    file = choices_file(folder, split)
    if not file.exists():
        return [file]
    choices = read_choices(folder, split)
    copies = [copy for fold in folds[split] for _, copy in _copies(folder, split, fold, choices)]
    return [file, *copies]


def is_chosen_among(folder: Path, models: list[str], n_seeds: int, split: str) -> bool:
    """Whether the models of a split were chosen among these candidates, with this number of seeds."""
    made = read_json(choices_file(folder, split))
    return made["candidates"] == models and made["seeds"] == n_seeds


def _copies(folder: Path, split: str, fold: Fold, choices: dict) -> list[tuple[Path, Path]]:
    """(file of the chosen model, file in ``best/``) of a fold."""
    chosen = choices[str(fold.number)]["model"]
    pairs = []
    for number, _ in enumerate(member_models(folder, split, fold.number, chosen), 1):
        theirs, own = (
            files_of(folder, Member(name, split, fold, number)) for name in (chosen, BEST)
        )
        pairs += [(source, copy) for source, copy in zip(theirs, own) if source and copy]
    return pairs


def read_choices(folder: Path, split: str) -> dict[str, dict]:
    """Fold → what :func:`choose` found."""
    return read_json(choices_file(folder, split))["folds"]


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic(target) as partial:
        try:
            os.link(source, partial)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(source, partial)
