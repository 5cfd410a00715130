"""Cross-validation folds over windows: which windows are held out together."""

from collections.abc import Collection
from dataclasses import dataclass

from neuroface.bold import stimuli_of
from neuroface.decoding.division import Embargo, Fold, Rows, divide_into_folds, possible_folds

import numpy as np
import pandas as pd

SPLITS = ("window", "run", "subject", "event", "part", "movie")
ONE_FOLD_EACH = ("run", "subject", "part", "movie")  # where there are fewer of them than N_FOLDS


@dataclass(frozen=True)
class FoldSettings:
    """What the folds of all splits of a study have in common.

    Parameters
    ----------
    n_folds, seed : number of folds, and the seed of their draw.
    window_trs : volumes of a window.
    embargo_trs : in "event" folds training windows are dropped when fewer than this many volumes
    lie between them and a held-out window of the same film, seen by any person.
    selection : "inner": validation is about a quarter of the training set, grouped as the split (by
        event if the training set has a single group); "paper": the networks' validation is the
        held-out fold itself. ``Fold.inner`` of closed-form models lies inside the training set
        either way.
    """

    n_folds: int
    seed: int
    window_trs: int
    embargo_trs: int = 0
    selection: str = "inner"


def groups_of(samples: pd.DataFrame, split: str) -> np.ndarray:
    """Group of each window under a split, (n,) of str; training and held-out windows share no group."""
    if split == "window":
        return np.arange(len(samples)).astype(str)
    if split == "run":
        return (samples["subject"] + " " + samples["movie"] + " " + samples["run"]).to_numpy(str)
    if split == "part":
        return stimuli_of(samples)
    return samples[split].to_numpy(str)


def make_folds(samples: pd.DataFrame, split: str, settings: FoldSettings) -> list[Fold]:
    """Stratified, grouped folds with an inner validation set each.

    Parameters
    ----------
    samples : table with columns subject, movie, run, label, event, first_tr; one row per window.
    split : "window", "subject", "event", "run", "part" (the part of a film that a run shows) or
        "movie". Of people, runs, parts and films there is one fold each if there are fewer than
        ``n_folds``.

    Raises
    ------
    NeuroFaceError
        If there are fewer windows or events than folds or a single person, run, part or film, or a
        part of a fold lacks a class.
    """
    window_trs, embargo_trs = settings.window_trs, settings.embargo_trs
    embargo = Embargo(
        clock=stimuli_of(samples),
        time=samples["first_tr"].to_numpy(),
        reach=window_trs + embargo_trs - 1,
        splits=("event",),
        in_words=f"fewer than WINDOW_TRS + EMBARGO_TRS = {window_trs} + {embargo_trs} volumes from",
    )
    rows = Rows(samples, "windows", groups_of, ONE_FOLD_EACH, "event", embargo, "window", _instead)
    return divide_into_folds(
        rows, split, settings.n_folds, settings.seed,
        validate_on_test=settings.selection == "paper", cross_validate=True,
    )  # fmt: skip


def folds_of_all_splits(
    samples: pd.DataFrame, wanted: Collection[str], settings: FoldSettings
) -> tuple[dict[str, list[Fold]], dict[str, str]]:
    """Folds of every split that these data allow.

    Parameters
    ----------
    wanted : the splits of CV_SPLITS.

    Returns
    -------
    Split → folds, and split → why it is not possible.

    Raises
    ------
    NeuroFaceError
        If one of the wanted splits is not possible.
    """
    whole = len(set(groups_of(samples, "part"))) == len(
        set(groups_of(samples, "movie"))
    )  # films have one part each
    splits = [split for split in SPLITS if split != "part" or not whole or split in wanted]
    return possible_folds(lambda split: make_folds(samples, split, settings), splits, wanted)


def impossible_splits(
    samples: pd.DataFrame, wanted: Collection[str], settings: FoldSettings
) -> dict[str, str]:
    """Split of CV_SPLITS (``wanted``) → why these windows do not allow it."""
    return possible_folds(lambda split: make_folds(samples, split, settings), wanted, ())[1]


def _instead(samples: pd.DataFrame, split: str) -> str:
    """Which settings fit the films that people saw, if there are too few for movie folds; a sentence."""
    if split != "movie":
        return ""
    n = len(set(groups_of(samples, "part")))
    other, why = (
        ("part", f"hold out one of {n} parts for all viewers")
        if n > 1
        else ("event", "hold out moments")
    )
    return f' CV_SPLITS = ("window", "{other}") and HELD_OUT_SPLIT = "{other}" {why}.'
