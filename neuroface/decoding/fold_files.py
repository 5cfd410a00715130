"""Files of a cross-validation: the model of each fold, its predictions, history and cost."""

from pathlib import Path
from typing import NamedTuple

from neuroface import NeuroFaceError
from neuroface.decoding.architectures import ARCHITECTURES, CLOSED_FORM, DEFAULT
from neuroface.decoding.division import Fold
from neuroface.pipeline import read_json, read_table

import numpy as np
import pandas as pd

BEST = "best"  # the model that the inner validation windows of each fold choose
LINEAR = (
    "linear",
    "linear-mean",
)  # ridge classifiers of all voxels, trained whatever BASELINES names
SHUFFLED = "shuffled-cnn"


class Member(NamedTuple):
    """One training: a variant (an architecture, a linear model, a null) on a fold, and its number among several seeds."""

    variant: str
    split: str
    fold: Fold
    number: int = 1


PERMUTED = "permuted-"  # folders of networks on relabelled events


class MemberFiles(NamedTuple):
    """Files of a training.

    Nulls, whose models nothing else uses, have only ``cost`` and ``predictions``. Models that are
    not trained by gradient steps have no ``history``.
    """

    model: Path | None
    history: Path | None
    cost: Path
    inner: Path | None
    predictions: Path


def model_folder(folder: Path, split: str, model: str = DEFAULT) -> Path:
    """``<split>/`` for the paper's architecture; ``<split>/<model>/`` for any other."""
    return folder / split / ("" if model == DEFAULT else model)


def model_file(folder: Path, split: str, fold: int, model: str = DEFAULT, number: int = 1) -> Path:
    """``<split>/[<model>/]fold-<k>.keras``; with ``_seed-<number>`` from the second seed on. Folds count from 1."""
    if not str(fold).isdecimal():  # it may come from a file
        raise NeuroFaceError(
            f"{folder / split} has no fold {fold!r}: folds are whole numbers. Delete {folder} and train again."
        )
    return model_folder(folder, split, model) / f"fold-{_suffix(fold, number)}.keras"


def member_models(folder: Path, split: str, fold: int, model: str = DEFAULT) -> list[Path]:
    """The stored models of a fold, one per seed, in the order of their numbers."""
    first = model_file(folder, split, fold, model)
    others = first.parent.glob(f"fold-{fold}_seed-*.keras")
    return [first, *sorted(others, key=lambda path: int(path.stem.rpartition("-")[2]))]


def files_of(folder: Path, member: Member) -> MemberFiles:
    """Paths of all files of a training; ``inner``: its logits of the inner validation windows."""
    variant, split, fold, number = member
    where, suffix = model_folder(folder, split, variant), _suffix(fold.number, number)
    null = is_null(variant)
    return MemberFiles(
        model=None if null else model_file(folder, split, fold.number, variant, number),
        history=None if null or is_closed_form(variant) else where / f"history-{suffix}.tsv",
        cost=where / f"cost-{suffix}.json",
        inner=None if null else inner_file(folder, member),
        predictions=where / f"fold-{suffix}.tsv",
    )


def inner_file(folder: Path, member: Member) -> Path:
    """Logits of the inner validation windows of a training that is no null."""
    variant, split, fold, number = member
    return model_folder(folder, split, variant) / f"inner-{_suffix(fold.number, number)}.tsv"


def written_files(folder: Path, member: Member) -> list[Path]:
    """The files that a training writes."""
    return [file for file in files_of(folder, member) if file]


def permuted(number: int) -> str:
    """Name of the folder with the folds of a network on relabelled events; numbers count from 1."""
    return f"{PERMUTED}{number}"


def is_null(variant: str) -> bool:
    """Whether a variant is a network on relabelled events, or on voxels in random order."""
    return variant == SHUFFLED or variant.startswith(PERMUTED)


def is_linear(variant: str) -> bool:
    """Whether a variant is a ridge classifier: of all voxels, or of those in the regions of a file, named after it."""
    return variant not in (*ARCHITECTURES, BEST) and not is_null(variant)


def is_closed_form(variant: str) -> bool:
    """Whether a variant is solved in closed form, so that it has no history and its seed has no effect."""
    return is_linear(variant) or variant in CLOSED_FORM


def join_folds(
    folder: Path, members: list[Member], n: int
) -> tuple[pd.DataFrame, list[pd.DataFrame], dict]:
    """Held-out predictions of all folds, and the total cost of the folds.

    Parameters
    ----------
    members : all seeds of all folds of one variant and split. n : number of windows.

    Returns
    -------
    predictions : one row per window, in the order of ``X.npy``; the logit is the mean over seeds.
    by_seed : the same table for each seed alone.
    cost : costs of all trainings together.

    Raises
    ------
    NeuroFaceError
        If the folds together do not predict each window exactly once.
    """
    numbers: dict[int, list[Member]] = {}
    for member in members:
        numbers.setdefault(member.fold.number, []).append(member)
    by_seed = []
    for seed in range(max(map(len, numbers.values()))):
        # A fold with fewer models than others, because its model has no seeds, is the same for
        # every seed.
        files = [
            files_of(folder, of_fold[min(seed, len(of_fold) - 1)]).predictions
            for of_fold in numbers.values()
        ]
        by_seed.append(held_out_rows(files, n, "windows").drop(columns="row"))
    predictions = by_seed[0]
    if len(by_seed) > 1:
        logit = np.mean([table["logit"] for table in by_seed], axis=0)
        predictions = predictions.assign(logit=logit, probability=1 / (1 + np.exp(-logit)))
    costs = pd.DataFrame([read_json(files_of(folder, member).cost) for member in members])
    return predictions, by_seed, total_cost(costs)


def held_out_rows(files: list[Path], n: int, rows: str) -> pd.DataFrame:
    """Tables of all folds joined, in the order of their column ``row``.

    Parameters
    ----------
    files : one per fold. n : rows of ``X.npy``. rows : what they are, for the message.

    Raises
    ------
    NeuroFaceError
        If the folds together do not predict each row exactly once.
    """
    table = pd.concat([read_table(file) for file in files]).sort_values("row", ignore_index=True)
    if not np.array_equal(table["row"], np.arange(n)):
        raise NeuroFaceError(
            f"{files[0].parent} does not predict each of the {n} {rows} once. Delete it and train again."
        )
    return table


def total_cost(costs: pd.DataFrame) -> dict:
    """Cost of several trainings, a row each; a number that a model does not have is left out."""
    kinds = {
        "parameters": (int, "max"), "multiply_adds": (int, "max"), "windows_per_pass": (int, "min"),
        "windows_on_gpu": (bool, "all"), "seconds": (float, "sum"), "seconds_per_epoch": (float, "median"),
        "steps": (int, "max"), "best_step": (int, "median"),
        "peak_memory_gb": (float, "max"), "added_memory_gb": (float, "median"),
    }  # fmt: skip
    known = {name: costs[name].dropna() for name in kinds if name in costs}
    return {
        name: kinds[name][0](getattr(values, kinds[name][1])())
        for name, values in known.items()
        if len(values)
    }


def _suffix(fold: int, number: int) -> str:
    return f"{fold}" if number == 1 else f"{fold}_seed-{number}"
