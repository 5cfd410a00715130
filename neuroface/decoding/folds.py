"""Cross-validation folds over windows: which windows are held out together."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from neuroface import NeuroFaceError
from neuroface.bold import stimuli_of

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

SPLITS = ("window", "run", "subject", "event", "part", "movie")
ONE_FOLD_EACH = ("run", "subject", "part", "movie")  # where there are fewer of them than N_FOLDS
INNER_FOLDS = (
    4  # so that about a quarter of the training set chooses the epoch, more if it has few groups
)


@dataclass(frozen=True)
class Fold:
    """Rows of samples.tsv: sorted index arrays of training, inner validation and held-out windows."""

    number: int  # from 1, as in fold-<k>.keras
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    validation_kept_together: str  # the split that the inner validation set follows
    n_embargoed: int = (
        0  # windows in no set: too close in time to one that is held out or chooses the epoch
    )
    further_inner: tuple[
        tuple[np.ndarray, np.ndarray], ...
    ] = ()  # other divisions into training and validation

    @property
    def validated_on_test(self) -> bool:
        """Whether networks choose their epoch on the held-out windows: SELECTION = "paper"."""
        return np.array_equal(self.validation, self.test)

    @property
    def inner(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Inner cross-validation: (training, validation) rows, all of them outside the held-out windows.

        Models that are fitted in closed form choose their penalty in it. The first pair is
        ``train`` and ``validation``, the pair that networks use. With SELECTION = "paper" networks
        are validated on the held-out windows; that pair belongs to them alone.
        """
        if self.validated_on_test:
            return self.further_inner
        return ((self.train, self.validation), *self.further_inner)

    @property
    def rows(self) -> np.ndarray:
        """All rows that a final fit may use: training and inner validation together."""
        if self.validated_on_test:
            return self.train
        return np.unique(np.concatenate([part for pair in self.inner for part in pair]))


def groups_of(samples: pd.DataFrame, split: str) -> np.ndarray:
    """Group of each window under a split, (n,) of str; training and held-out windows share no group."""
    if split == "window":
        return np.arange(len(samples)).astype(str)
    if split == "run":
        return (samples["subject"] + " " + samples["movie"] + " " + samples["run"]).to_numpy(str)
    if split == "part":
        return stimuli_of(samples)
    return samples[split].to_numpy(str)


def make_folds(
    samples: pd.DataFrame,
    split: str,
    n_folds: int,
    seed: int,
    *,
    window_trs: int,
    embargo_trs: int = 0,
    selection: str = "inner",
) -> list[Fold]:
    """Stratified, grouped folds with an inner validation set each.

    Parameters
    ----------
    samples : table with columns subject, movie, run, label, event, first_tr; one row per window.
    split : "window", "subject", "event", "run", "part" (the part of a film that a run shows) or
        "movie". Of people, runs, parts and films there is one fold each if there are fewer than
        ``n_folds``.
    embargo_trs : for "event", training windows are dropped when fewer than this many volumes lie
        between them and a held-out window of the same film, seen by any person.
    selection : "inner": validation is about a quarter of the training set, grouped as the split (by
        event if the training set has a single group); "paper": the networks' validation is the
        held-out fold itself. ``Fold.inner`` of closed-form models lies inside the training set
        either way.

    Raises
    ------
    NeuroFaceError
        If there are fewer windows or events than folds or a single person, run, part or film, or a
        part of a fold lacks a class.
    """
    folds = []
    for number, (train, test) in enumerate(_split(samples, split, n_folds, seed), 1):
        if split == "event":
            train = train[~_too_close(samples, train, test, window_trs + embargo_trs)]
        if not len(train):
            raise NeuroFaceError(
                f"Split {split!r}, fold {number}: its training set is empty, because every window starts fewer than "
                f"WINDOW_TRS + EMBARGO_TRS = {window_trs} + {embargo_trs} volumes from one that is held out. Lower "
                f"EMBARGO_TRS, or leave {split!r} out of CV_SPLITS."
            )
        pairs, together = _inner_pairs(
            samples, train, split, number, seed, window_trs + embargo_trs
        )
        if selection == "paper":
            pairs, together = [(train, test), *pairs], split
        (train, validation), *further = pairs
        for name, rows in (("training", train), ("validation", validation), ("held-out", test)):
            if samples["label"].iloc[rows].nunique() < 2:
                raise NeuroFaceError(
                    f"Split {split!r}, fold {number}: its {name} set has windows of one class only "
                    f"({len(rows)} windows). Use fewer N_FOLDS, or leave {split!r} out of CV_SPLITS."
                )
        used = len(np.union1d(np.union1d(train, validation), test))
        further = [
            pair
            for pair in further
            if all(samples["label"].iloc[rows].nunique() == 2 for rows in pair)
        ]
        if selection == "paper" and not further:
            raise NeuroFaceError(
                f"Split {split!r}, fold {number}: no inner division of its training set has both classes on both sides, and "
                f"ridge regression chooses its penalty there. Use fewer N_FOLDS, or leave {split!r} out of CV_SPLITS."
            )
        folds.append(
            Fold(number, train, validation, test, together, len(samples) - used, tuple(further))
        )
    return folds


def _inner_pairs(
    samples: pd.DataFrame,
    train: np.ndarray,
    split: str,
    number: int,
    seed: int,
    min_distance_trs: int,
) -> tuple[list[tuple[np.ndarray, np.ndarray]], str]:
    """Divisions of a training set into training and validation rows, and the split that they follow."""
    inside = samples.iloc[train]
    together = split if len(set(groups_of(inside, split))) > 1 else "event"
    rarer, n_rarer = _rarer_class(inside)
    if n_rarer < 2:
        raise NeuroFaceError(
            f"Split {split!r}, fold {number}: its training set has {n_rarer} {rarer!r} window; training and the choice of "
            f"the epoch and the penalty need one each. Use fewer N_FOLDS, or leave {split!r} out of CV_SPLITS."
        )
    n_inner = max(min(INNER_FOLDS, _groups_of_each_class(inside, together), n_rarer), 2)
    pairs = [
        (train[kept], train[chosen]) for kept, chosen in _split(inside, together, n_inner, seed)
    ]
    if split == "event":
        pairs = [(a[~_too_close(samples, a, b, min_distance_trs)], b) for a, b in pairs]
    return pairs, together


def folds_of_all_splits(
    samples: pd.DataFrame, window_trs: int, cfg
) -> tuple[dict[str, list[Fold]], dict[str, str]]:
    """Folds of every split that these data allow.

    Parameters
    ----------
    cfg : CV_SPLITS, N_FOLDS, SEED, EMBARGO_TRS, SELECTION.

    Returns
    -------
    Split → folds, and split → why it is not possible.

    Raises
    ------
    NeuroFaceError
        If a split of CV_SPLITS is not possible.
    """
    whole = len(set(groups_of(samples, "part"))) == len(
        set(groups_of(samples, "movie"))
    )  # films have one part each
    splits = [split for split in SPLITS if split != "part" or not whole or split in cfg.CV_SPLITS]
    return possible_folds(
        lambda split: folds_of(samples, split, window_trs, cfg), splits, cfg.CV_SPLITS
    )


def impossible_splits(samples: pd.DataFrame, window_trs: int, cfg) -> dict[str, str]:
    """Split of CV_SPLITS → why these windows do not allow it."""

    def make(split):
        return folds_of(samples, split, window_trs, cfg)

    return possible_folds(make, cfg.CV_SPLITS, ())[1]


def possible_folds(
    make: Callable[[str], list[Fold]], splits: Iterable[str], required: Iterable[str]
) -> tuple[dict[str, list[Fold]], dict[str, str]]:
    """Split → its folds, and split → why it is not possible.

    Parameters
    ----------
    make : gives the folds of a split, or raises NeuroFaceError.

    Raises
    ------
    NeuroFaceError
        If a split in ``required`` is not possible.
    """
    folds, impossible = {}, {}
    for split in splits:
        try:
            folds[split] = make(split)
        except NeuroFaceError as error:
            if split in required:
                raise
            impossible[split] = str(error)
    return folds, impossible


def folds_of(samples: pd.DataFrame, split: str, window_trs: int, cfg) -> list[Fold]:
    """:func:`make_folds` with the settings of an experiment."""
    return make_folds(
        samples,
        split,
        cfg.N_FOLDS,
        cfg.SEED,
        window_trs=window_trs,
        embargo_trs=cfg.EMBARGO_TRS,
        selection=cfg.SELECTION,
    )


def _split(
    samples: pd.DataFrame, split: str, n_folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    groups, label = groups_of(samples, split), samples["label"].to_numpy(str)
    n_groups = len(set(groups))
    if n_groups == 1:
        raise NeuroFaceError(
            f"Split {split!r} has 1 group: nothing would be left to train on. Leave {split!r} out of CV_SPLITS."
            f"{_instead(samples, split)}"
        )
    if split in ONE_FOLD_EACH:
        n_folds = min(n_folds, n_groups)
    if n_groups < n_folds:
        raise NeuroFaceError(
            f"Split {split!r} has {n_groups} groups and N_FOLDS is {n_folds}: every fold needs one of its own. "
            f"Lower N_FOLDS to {n_groups} or less, or leave {split!r} out of CV_SPLITS."
        )
    rarer, n_rarer = _rarer_class(samples)
    if n_rarer < n_folds:
        raise NeuroFaceError(
            f"Split {split!r}: there are {n_rarer} {rarer!r} windows for {n_folds} folds, and every fold needs one. Use "
            f"fewer N_FOLDS, or leave {split!r} out of CV_SPLITS."
        )
    if split == "window":
        return list(StratifiedKFold(n_folds, shuffle=True, random_state=seed).split(label, label))
    return list(
        StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed).split(label, label, groups)
    )


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


def _rarer_class(samples: pd.DataFrame) -> tuple[str, int]:
    """The label with fewer windows, and how many it has."""
    counts = samples["label"].value_counts()
    return str(counts.index[-1]), int(counts.iloc[-1])


def _groups_of_each_class(samples: pd.DataFrame, split: str) -> int:
    """The number of groups that have windows of a class, for the class with fewer such groups."""
    groups = pd.Series(groups_of(samples, split), index=samples.index)
    return int(groups.groupby(samples["label"]).nunique().min())


def _too_close(
    samples: pd.DataFrame, train: np.ndarray, test: np.ndarray, min_distance_trs: int
) -> np.ndarray:
    """Which training windows start fewer than ``min_distance_trs`` volumes from a held-out window of their film.

    Windows of all viewers of the film count, because they saw the same seconds.
    """
    stimulus, start = stimuli_of(samples), samples["first_tr"].to_numpy()
    close = np.zeros(len(train), dtype=bool)
    for name in set(stimulus[test]):
        held_out = start[test[stimulus[test] == name]]
        mine = stimulus[train] == name
        distance = np.abs(start[train[mine]][:, None] - held_out[None, :]).min(axis=1)
        close[mine] = distance < min_distance_trs
    return close
