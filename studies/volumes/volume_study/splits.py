"""Cross-validation folds over labelled volumes: what is kept out of training together."""

from neuroface import NeuroFaceError
from neuroface.decoding import INNER_FOLDS, Fold, possible_folds

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from volume_study.names import SPLITS

PURGED = ("block", "run")  # no training volume within EMBARGO_TRS of a held-out one


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
        volume on the same clock are dropped: whoever saw the stimulus, and in whichever run.
    selection : "inner": the validation set is about a quarter of the training set, grouped like the
        split (by block where the training set has a single group); "published": it is the held-out
        fold itself.

    Raises
    ------
    NeuroFaceError
        If there are fewer groups than folds, or a part of a fold lacks a label.
    """
    folds: list[Fold] = []
    reach_s = embargo_trs * tr_s if split in PURGED else None

    def check(rows: np.ndarray, what: str) -> None:
        if lacking := sorted(set(samples["label"]) - set(samples["label"].iloc[rows])):
            raise NeuroFaceError(
                f"Split {split!r}, fold {len(folds) + 1}: its {what} set of {len(rows)} volumes has none of "
                f"{str(lacking[0])!r}. Use fewer N_FOLDS, lower EMBARGO_TRS, or leave {split!r} out of CV_SPLITS."
            )

    for train, test in _divide(samples, split, n_folds, seed):
        train = apart(samples, train, test, reach_s)
        check(train, "training")
        together, validation = split, test
        if selection == "inner":
            inside = samples.iloc[train]
            together = split if len(set(groups_of(inside, split))) > 1 else "block"
            n_inner = max(2, min(INNER_FOLDS, len(set(groups_of(inside, together)))))
            inner, chosen = _divide(inside, together, n_inner, seed)[0]
            train, validation = apart(samples, train[inner], train[chosen], reach_s), train[chosen]
        for what, rows in (("training", train), ("validation", validation), ("held-out", test)):
            check(rows, what)
        used = len(np.union1d(np.union1d(train, validation), test))
        folds.append(Fold(len(folds) + 1, train, validation, test, together, len(samples) - used))
    return folds


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
    rng = np.random.default_rng(seed)
    events = pd.DataFrame(
        {"event": samples["event"], "stimulus": samples["stimulus"], "y": y}
    ).drop_duplicates("event")
    place = pd.Series(np.arange(len(events)), index=events["event"])[samples["event"]].to_numpy()
    label, parts = (
        events["y"].to_numpy(np.int8),
        list(events.reset_index(drop=True).groupby("stimulus").indices.values()),
    )
    result = np.empty((len(samples), n_permutations), dtype=np.int8)
    for column in range(n_permutations):
        moved = label.copy()
        for part in parts:
            moved[part] = rng.permutation(label[part])
        result[:, column] = moved[place]
    return result


def _divide(
    samples: pd.DataFrame, split: str, n_folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    groups, label = groups_of(samples, split), samples["label"].to_numpy(str)
    n_groups = len(set(groups))
    if n_groups < n_folds:
        lower = f"Lower N_FOLDS to {n_groups} or less, or leave" if n_groups > 1 else "Leave"
        raise NeuroFaceError(
            f"Split {split!r} has {n_groups} groups and N_FOLDS is {n_folds}: every fold needs one of its own. "
            f"{lower} {split!r} out of CV_SPLITS."
        )
    rarest = pd.Series(label).value_counts()
    if rarest.iloc[-1] < n_folds:
        raise NeuroFaceError(
            f"Split {split!r}: there are {rarest.iloc[-1]} volumes of {rarest.index[-1]!r} for {n_folds} folds, "
            f"and every fold needs one. Use fewer N_FOLDS, or leave {split!r} out of CV_SPLITS."
        )
    return list(
        StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(label, label, groups)
    )


def apart(
    samples: pd.DataFrame, train: np.ndarray, held_out: np.ndarray, reach_s: float | None
) -> np.ndarray:
    """Training rows without those that lie within ``reach_s`` of a held-out row on the same clock."""
    if reach_s is None:
        return train
    clock, onset = samples["clock"].to_numpy(str), samples["onset_s"].to_numpy()
    close = np.zeros(len(train), dtype=bool)
    for name in set(clock[held_out]):
        times = np.unique(onset[held_out[clock[held_out] == name]])
        mine = clock[train] == name
        after = np.searchsorted(times, onset[train[mine]])
        nearest = np.minimum(
            np.abs(times[np.minimum(after, len(times) - 1)] - onset[train[mine]]),
            np.abs(times[np.maximum(after - 1, 0)] - onset[train[mine]]),
        )
        close[mine] = nearest <= reach_s + 1e-6
    return train[~close]
