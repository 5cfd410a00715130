"""Files of a cross-validation: the network of each fold, its predictions, history and cost."""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.decoding.architectures import ARCHITECTURES, DEFAULT
from neuroface.decoding.folds import Fold
from neuroface.pipeline import read_json, read_table

import numpy as np
import pandas as pd


def model_folder(folder: Path, split: str, model: str = DEFAULT) -> Path:
    """``<split>/`` for the paper's architecture; ``<split>/<model>/`` for any other."""
    return folder / split / ("" if model == DEFAULT else model)


def model_file(folder: Path, split: str, fold: int, model: str = DEFAULT) -> Path:
    """``<split>/[<model>/]fold-<k>.keras``; folds count from 1."""
    if not str(fold).isdecimal():  # it may come from a file
        raise NeuroFaceError(
            f"{folder / split} has no fold {fold!r}: folds are whole numbers. Delete {folder} and train again."
        )
    return model_folder(folder, split, model) / f"fold-{fold}.keras"


def predictions_file(folder: Path, variant: str, split: str, fold: Fold) -> Path:
    """A fold's held-out predictions, ``fold-<k>.tsv`` in the folder of its network."""
    return model_folder(folder, split, variant) / f"fold-{fold.number}.tsv"


def history_file(folder: Path, variant: str, split: str, fold: Fold) -> Path:
    """Accuracy and loss of a fold, one row per epoch."""
    return predictions_file(folder, variant, split, fold).with_name(f"history-{fold.number}.tsv")


def cost_file(folder: Path, variant: str, split: str, fold: Fold) -> Path:
    """Cost of a fold's training: seconds, memory, multiply-adds."""
    return predictions_file(folder, variant, split, fold).with_name(f"cost-{fold.number}.json")


def is_trained(folder: Path, variant: str, split: str, fold: Fold) -> bool:
    """Whether all files of a fold exist; only architectures store their networks, permutations do not."""
    files = [kind(folder, variant, split, fold) for kind in (predictions_file, history_file, cost_file)]
    files += [model_file(folder, split, fold.number, variant)] * (variant in ARCHITECTURES)
    return all(file.exists() for file in files)


def join_folds(folder: Path, variant: str, split: str, folds: list[Fold], n: int) -> tuple[pd.DataFrame, dict]:
    """Held-out predictions of all folds, and the total cost of the folds.

    Parameters
    ----------
    n : number of windows.

    Returns
    -------
    The predictions have one row per window, in the order of ``X.npy``.

    Raises
    ------
    NeuroFaceError
        If the folds together do not predict each window exactly once.
    """
    files = [predictions_file(folder, variant, split, fold) for fold in folds]
    table = pd.concat([read_table(file) for file in files]).sort_values("row")
    if not np.array_equal(table["row"], np.arange(n)):
        raise NeuroFaceError(
            f"{files[0].parent} does not predict each of the {n} windows once. Delete it and train again."
        )
    costs = pd.DataFrame([read_json(cost_file(folder, variant, split, fold)) for fold in folds])
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
