"""Cross-validation folds over labelled volumes: which volumes are held out together."""

from neuroface.decoding import (
    Embargo,
    Fold,
    Rows,
    divide_into_folds,
    exchanged_labels,
    possible_folds,
)
from volume_study.names import SPLITS

import numpy as np
import pandas as pd

PURGED = ("block", "run")  # no training volume within EMBARGO_TRS of a held-out one
ONE_FOLD_EACH = ("subject", "run")  # where there are fewer of them than N_FOLDS
ROUNDING_S = 1e-6  # onsets in seconds are sums of rounded numbers


def groups_of(samples: pd.DataFrame, split: str) -> np.ndarray:
    """What a volume belongs to under a split, (n,) of str; volumes of one group are never on both sides."""
    if split == "volume":
        return np.arange(len(samples)).astype(str)
    return samples[{"block": "event", "run": "stimulus"}.get(split, split)].to_numpy(str)


def make_folds(
    samples: pd.DataFrame,
    split: str,
    n_folds: int,
    seed: int,
    *,
    tr_s: float,
    embargo_trs: int,
    selection: str,
) -> list[Fold]:
    """Stratified, grouped folds with an inner validation set each.

    Parameters
    ----------
    samples : rows of samples.tsv, columns label, onset_s, clock and those that the split groups by.
    embargo_trs : under "block" and "run", training volumes within this many TRs of a held-out
        volume on the same clock are dropped, for all people and runs.
    selection : "inner": the validation set is about a quarter of the training set, grouped like the
        split (by block where the training set has a single group); "published": it is the held-out
        fold itself.

    Raises
    ------
    NeuroFaceError
        If there are fewer groups than folds, or a part of a fold lacks a label.
    """
    embargo = Embargo(
        clock=samples["clock"].to_numpy(str),
        time=samples["onset_s"].to_numpy(),
        reach=embargo_trs * tr_s + ROUNDING_S,
        splits=PURGED,
        in_words=f"within EMBARGO_TRS = {embargo_trs} volumes of",
    )
    rows = Rows(samples, "volumes", groups_of, ONE_FOLD_EACH, "block", embargo)
    published = selection == "published"
    return divide_into_folds(
        rows, split, n_folds, seed, validate_on_test=published, cross_validate=False
    )


def folds_of(samples: pd.DataFrame, split: str, cfg) -> list[Fold]:
    """:func:`make_folds` with the settings of an experiment."""
    return make_folds(
        samples,
        split,
        cfg.N_FOLDS,
        cfg.SEED,
        tr_s=cfg.TR_S,
        embargo_trs=cfg.EMBARGO_TRS,
        selection=cfg.SELECTION,
    )


def folds_of_all_splits(samples: pd.DataFrame, cfg) -> tuple[dict[str, list[Fold]], dict[str, str]]:
    """Folds of every split that these data allow, and why others are not possible.

    Raises
    ------
    NeuroFaceError
        If a split of CV_SPLITS is not possible.
    """
    return possible_folds(lambda split: folds_of(samples, split, cfg), SPLITS, cfg.CV_SPLITS)


def leaks(samples: pd.DataFrame, split: str) -> str:
    """Why held-out volumes of a split are not new to its models; empty where they are."""
    shared = bool(samples.groupby("moment")["subject"].nunique().max() > 1)
    if split == "volume":
        return (
            "neighbouring volumes"
            + (", and other viewers of the same moment," * shared)
            + " are in training"
        )
    if split == "moment":
        return "neighbouring volumes are in training"
    if split == "subject" and shared:
        return "other viewers of the same moments are in training"
    return ""


def viewers_of(samples: pd.DataFrame) -> np.ndarray:
    """Who saw the stimulus of each volume, (n,) of str: the only person who saw it, or "several".

    Labels are exchanged among episodes with the same viewers.
    """
    of_stimulus = samples.groupby("stimulus")["subject"].agg(["nunique", "first"])
    name = of_stimulus["first"].where(of_stimulus["nunique"] == 1, "several")
    return name[samples["stimulus"]].to_numpy(str)


def permuted_labels(
    samples: pd.DataFrame, y: np.ndarray, n_permutations: int, seed: int
) -> np.ndarray:
    """Labels when blocks have exchanged them: whole blocks, alike for all their viewers, within a part of the stimulus.

    Parameters
    ----------
    y : (n,) number of each volume's label.

    Returns
    -------
    (n, n_permutations) int8.
    """
    parts = samples["stimulus"].to_numpy()
    return exchanged_labels(y, samples["event"], parts, n_permutations, seed)
