"""Divide rows of a data set, windows or volumes, into folds: the rules that all decoders of labels share.

Groups of rows stay on one side. Where time leaks, rows close to a held-out one are in no set. An
inner division of the training set chooses the epoch of networks and the penalty of closed-form
models.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from neuroface import NeuroFaceError

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

# About a quarter of the training set chooses the epoch, more if it has few groups.
INNER_FOLDS = 4
Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Fold:
    """Rows of samples.tsv: sorted index arrays of training, inner validation and held-out rows.

    Attributes
    ----------
    number : from 1, as in fold-<k>.keras.
    validation_kept_together : the split that the inner validation set follows.
    n_embargoed : rows in no set, too close in time to one that is held out or chooses the epoch.
    further_inner : other divisions of the training set into training and validation.
    """

    number: int
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    validation_kept_together: str
    n_embargoed: int = 0
    further_inner: tuple[Pair, ...] = ()

    @property
    def validated_on_test(self) -> bool:
        """Whether networks choose their epoch on the held-out rows, as the papers do."""
        return np.array_equal(self.validation, self.test)

    @property
    def inner(self) -> tuple[Pair, ...]:
        """Inner cross-validation: (training, validation) rows, all of them outside the held-out rows.

        Models that are fitted in closed form choose their penalty in it. The first pair is
        ``train`` and ``validation``, the pair that networks use. Where networks are validated on
        the held-out rows, that pair belongs to them alone.
        """
        if self.validated_on_test:
            return self.further_inner
        return ((self.train, self.validation), *self.further_inner)

    @property
    def rows(self) -> np.ndarray:
        """All rows that a final fit may use: training and inner validation together."""
        if self.validated_on_test:
            return self.train
        return np.unique(np.concatenate([rows for pair in self.inner for rows in pair]))


@dataclass(frozen=True)
class Embargo:
    """Distance in time within which a training row is left out.

    Attributes
    ----------
    clock : (n,) of str, name of the clock of each row; rows on different clocks are never close.
    time : (n,) time of each row on its clock, in any unit.
    reach : rows at most this far from a held-out row are left out.
    splits : the splits that the embargo is for.
    in_words : what makes a row too close, for messages.
    """

    clock: np.ndarray
    time: np.ndarray
    reach: float
    splits: tuple[str, ...]
    in_words: str

    def apart(self, train: np.ndarray, held_out: np.ndarray, split: str) -> np.ndarray:
        """Training rows without those that are too close to a held-out row."""
        if split not in self.splits:
            return train
        return rows_apart(self.clock, self.time, train, held_out, self.reach)


def rows_apart(
    clock: np.ndarray, time: np.ndarray, train: np.ndarray, held_out: np.ndarray, reach: float
) -> np.ndarray:
    """Training rows without those within ``reach`` of a held-out row on the same clock.

    Rows of all people count, because they saw the same moments.

    Parameters
    ----------
    clock, time : (n,) of all rows. train, held_out : row numbers.
    """
    close = np.zeros(len(train), dtype=bool)
    for name in set(clock[held_out]):
        times = np.unique(time[held_out[clock[held_out] == name]])
        same_clock = clock[train] == name
        own = time[train[same_clock]]
        after = np.searchsorted(times, own)
        to_next = np.abs(times[np.minimum(after, len(times) - 1)] - own)
        to_last = np.abs(times[np.maximum(after - 1, 0)] - own)
        close[same_clock] = np.minimum(to_next, to_last) <= reach
    return train[~close]


@dataclass(frozen=True)
class Rows:
    """Rows to divide, and how their study groups them.

    Attributes
    ----------
    samples : one row each, with the column ``label``.
    unit : what a row is, in messages: "windows" or "volumes".
    groups_of : of (samples, split), the group of each row (n,) of str.
    one_fold_each : splits with one fold per group where there are fewer groups than folds.
    moments : the split that an inner division follows where the training set has a single group.
    embargo : which training rows are too close in time.
    single : the split whose groups are single rows, if it draws its folds without groups.
    instead : of (samples, split), a sentence on what to do instead of an impossible split.
    """

    samples: pd.DataFrame
    unit: str
    groups_of: Callable[[pd.DataFrame, str], np.ndarray]
    one_fold_each: tuple[str, ...]
    moments: str
    embargo: Embargo
    single: str | None = None
    instead: Callable[[pd.DataFrame, str], str] = lambda samples, split: ""

    @property
    def labels(self) -> np.ndarray:
        return self.samples["label"].to_numpy(str)

    def n_groups(self, rows: np.ndarray, split: str) -> int:
        return len(set(self.groups_of(self.samples.iloc[rows], split)))

    def n_groups_of_rarest(self, rows: np.ndarray, split: str) -> int:
        """The number of groups that have a label, for the label with the fewest: more folds than that lack it."""
        inside = self.samples.iloc[rows]
        groups = pd.Series(self.groups_of(inside, split), index=inside.index)
        return int(groups.groupby(inside["label"]).nunique().min())

    def rarest(self, rows: np.ndarray) -> tuple[str, int]:
        """The label with the fewest rows, and how many it has."""
        counts = self.samples["label"].iloc[rows].value_counts()
        return str(counts.index[-1]), int(counts.iloc[-1])

    def divide(self, rows: np.ndarray, split: str, n_folds: int, seed: int) -> list[Pair]:
        """Stratified, grouped folds of some rows: (training, held-out) row numbers.

        Raises
        ------
        NeuroFaceError
            If there are fewer groups, or fewer rows of a label, than folds.
        """
        inside = self.samples.iloc[rows]
        groups, labels = self.groups_of(inside, split), self.labels[rows]
        n_groups = len(set(groups))
        if n_groups == 1:
            raise NeuroFaceError(
                f"Split {split!r} has 1 group: nothing would be left to train on. Leave {split!r} out of CV_SPLITS."
                f"{self.instead(inside, split)}"
            )
        if split in self.one_fold_each:
            n_folds = min(n_folds, n_groups)
        if n_groups < n_folds:
            raise NeuroFaceError(
                f"Split {split!r} has {n_groups} groups and N_FOLDS is {n_folds}: every fold needs one of its own. "
                f"Lower N_FOLDS to {n_groups} or less, or leave {split!r} out of CV_SPLITS."
            )
        label, n_rows = self.rarest(rows)
        if n_rows < n_folds:
            raise NeuroFaceError(
                f"Split {split!r}: there are {n_rows} {label!r} {self.unit} for {n_folds} folds, and every fold needs "
                f"one. Use fewer N_FOLDS, or leave {split!r} out of CV_SPLITS."
            )
        if split == self.single:
            kfold = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
            folds = kfold.split(labels, labels)
        else:
            grouped = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
            folds = grouped.split(labels, labels, groups)
        return [(rows[train], rows[held_out]) for train, held_out in folds]

    def divide_training(
        self, train: np.ndarray, split: str, number: int, seed: int
    ) -> tuple[list[Pair], str]:
        """Divisions of a fold's training set into training and validation rows, and the split that they follow."""
        together = split if self.n_groups(train, split) > 1 else self.moments
        label, n_rows = self.rarest(train)
        if n_rows < 2:
            raise NeuroFaceError(
                f"Split {split!r}, fold {number}: its training set has {n_rows} {label!r} {self.unit[:-1]}; training "
                "and the choice of the epoch and the penalty need one each. Use fewer N_FOLDS, or leave "
                f"{split!r} out of CV_SPLITS."
            )
        n_inner = max(2, min(INNER_FOLDS, self.n_groups_of_rarest(train, together), n_rows))
        pairs = self.divide(train, together, n_inner, seed)
        return [
            (self.embargo.apart(kept, chosen, split), chosen) for kept, chosen in pairs
        ], together

    def lacking(self, rows: np.ndarray) -> list[str]:
        """Labels that these rows do not have."""
        there = {str(label) for label in self.labels}
        missing = there - {str(label) for label in self.labels[rows]}
        return sorted(missing) if missing or len(there) > 1 else ["another label"]

    def check(self, rows: np.ndarray, name: str, split: str, number: int) -> None:
        """Raise NeuroFaceError if a set of a fold lacks a label."""
        if lacking := self.lacking(rows):
            raise NeuroFaceError(
                f"Split {split!r}, fold {number}: its {name} set of {len(rows)} {self.unit} has none of "
                f"{lacking[0]!r}. Use fewer N_FOLDS, lower EMBARGO_TRS, or leave {split!r} out of CV_SPLITS."
            )


def divide_into_folds(
    rows: Rows,
    split: str,
    n_folds: int,
    seed: int,
    *,
    validate_on_test: bool,
    cross_validate: bool,
) -> list[Fold]:
    """Stratified, grouped folds with an inner validation set each.

    Parameters
    ----------
    validate_on_test : networks choose their epoch on the held-out fold, as the papers do; else on
        about a quarter of the training set, grouped as the split (by moments if the training set
        has a single group).
    cross_validate : give closed-form models further inner divisions of the training set.

    Raises
    ------
    NeuroFaceError
        If there are too few groups for two folds, or a set of a fold lacks a label.
    """
    folds = []
    every_row = np.arange(len(rows.samples))
    for number, (train, test) in enumerate(rows.divide(every_row, split, n_folds, seed), 1):
        train = rows.embargo.apart(train, test, split)
        if not len(train):
            raise NeuroFaceError(
                f"Split {split!r}, fold {number}: its training set is empty, because all {rows.unit} start "
                f"{rows.embargo.in_words} one that is held out. Lower EMBARGO_TRS, or leave {split!r} out of CV_SPLITS."
            )
        pairs: list[tuple[np.ndarray, np.ndarray]] = []
        together = split
        if cross_validate or not validate_on_test:
            pairs, together = rows.divide_training(train, split, number, seed)
        further = pairs[1:]
        train_of_networks, validation = (train, test) if validate_on_test else pairs[0]
        if validate_on_test:
            further, together = pairs, split
        sets = {"training": train_of_networks, "validation": validation, "held-out": test}
        for name, members in sets.items():
            rows.check(members, name, split, number)
        further = [pair for pair in further if not any(rows.lacking(side) for side in pair)]
        if validate_on_test and cross_validate and not further:
            raise NeuroFaceError(
                f"Split {split!r}, fold {number}: no inner division of its training set has all labels on both sides, "
                f"and ridge regression chooses its penalty there. Use fewer N_FOLDS, or leave {split!r} out of CV_SPLITS."
            )
        used = len(np.unique(np.concatenate([train_of_networks, validation, test])))
        folds.append(
            Fold(
                number,
                train_of_networks,
                validation,
                test,
                together,
                len(every_row) - used,
                tuple(further) if cross_validate else (),
            )
        )
    return folds


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
