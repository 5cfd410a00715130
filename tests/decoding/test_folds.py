"""Cross-validation: nothing on both sides, every window tested once, and honest inner validation."""

import re
import warnings

from neuroface import NeuroFaceError
from neuroface.decoding.folds import (
    FoldSettings,
    folds_of_all_splits,
    groups_of,
    impossible_splits,
    make_folds,
)

import numpy as np
import pandas as pd
import pytest

SPLITS = ["window", "subject", "event", "run", "movie"]
WINDOW_TRS = 10


def film_samples(n_films=5, people_per_film=3, events=24, seed=0):
    """Windows of people who watched films: everyone of a film has its events, at the same volumes."""
    rng = np.random.default_rng(seed)
    rows = []
    for film in range(n_films):
        onset = np.cumsum(rng.integers(3, 40, events))
        label = rng.permutation(["face", "noface"] * (events // 2))
        for person in range(people_per_film):
            for t, kind in zip(onset, label):
                rows.append(
                    (
                        f"sub-{film}{person}",
                        f"film{film}",
                        "1",
                        kind,
                        float(t),
                        t + 4,
                        f"film{film}_{kind}_{t}s",
                    )
                )
    return pd.DataFrame(
        rows, columns=["subject", "movie", "run", "label", "onset_s", "first_tr", "event"]
    )


@pytest.fixture(scope="module")
def samples():
    return film_samples()


def folds_of(samples, split, **options):
    options = {"n_folds": 4, "seed": 42, "window_trs": WINDOW_TRS} | options
    return make_folds(samples, split, FoldSettings(**options))


@pytest.mark.parametrize(
    ("split", "columns"),
    [
        ("subject", ["subject"]),
        ("movie", ["movie"]),
        ("event", ["event"]),
        ("run", ["subject", "movie", "run"]),
    ],
)
def test_groups_are_what_shares_the_columns(samples, split, columns):
    samples = samples.assign(run=np.where(samples.index % 2, "01", "1"))
    groups = groups_of(samples, split)
    expected = samples.groupby(columns).ngroup().to_numpy()
    assert pd.DataFrame({"got": groups, "expected": expected}).drop_duplicates().shape[0] == len(
        set(expected)
    )
    assert len(set(groups)) == len(set(expected))


def test_every_window_is_a_group_of_its_own(samples):
    assert len(set(groups_of(samples, "window"))) == len(samples)


@pytest.mark.filterwarnings("error")  # what scikit-learn warns of, users would see at every script
@pytest.mark.parametrize("split", SPLITS)
def test_each_window_is_held_out_exactly_once(samples, split):
    folds = folds_of(samples, split)
    assert [fold.number for fold in folds] == [1, 2, 3, 4]
    assert np.array_equal(
        np.sort(np.concatenate([fold.test for fold in folds])), np.arange(len(samples))
    )


@pytest.mark.parametrize("split", SPLITS)
def test_no_group_is_on_two_sides(samples, split):
    groups = groups_of(samples, split)
    for fold in folds_of(samples, split):
        sides = [set(groups[rows]) for rows in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, sides)) == len(set.union(*sides))
        assert fold.validation_kept_together == split


@pytest.mark.parametrize("split", SPLITS)
def test_no_window_of_the_training_part_is_lost_or_doubled(samples, split):
    for fold in folds_of(samples, split):
        outside = np.concatenate([fold.train, fold.validation])
        assert len(set(outside)) == len(outside)
        if split != "event":  # there the embargo drops some
            assert set(outside) == set(range(len(samples))) - set(fold.test)


@pytest.mark.parametrize("split", ["window", "event"])
def test_classes_are_balanced_and_validation_is_a_quarter(samples, split):
    face = (samples["label"] == "face").to_numpy()
    for fold in folds_of(samples, split, embargo_trs=-WINDOW_TRS):
        assert abs(len(fold.test) - len(samples) / 4) <= 6
        assert abs(len(fold.validation) - len(samples) * 3 / 16) <= 6
        for rows in (fold.train, fold.validation, fold.test):
            assert face[rows].mean() == pytest.approx(0.5, abs=0.05)


def test_the_seed_alone_decides(samples):
    first, again, other = (folds_of(samples, "window", seed=seed) for seed in (1, 1, 2))
    for a, b in zip(first, again):
        assert np.array_equal(a.train, b.train) and np.array_equal(a.validation, b.validation)
    assert not np.array_equal(first[0].test, other[0].test)


@pytest.mark.parametrize("split", SPLITS)
def test_selection_as_in_the_paper_validates_on_the_held_out_fold(samples, split):
    for fold in folds_of(samples, split, selection="paper"):
        assert np.array_equal(fold.validation, fold.test)
        assert not set(fold.train) & set(fold.test)
        if split != "event":
            assert len(fold.train) + len(fold.test) == len(samples)


@pytest.mark.parametrize("split", ["window", "movie", "event"])
def test_closed_form_models_never_choose_on_the_held_out_fold(samples, split):
    """Where networks are validated as in the paper, the inner sets lie inside the training set and cover it."""
    for fold in folds_of(samples, split, selection="paper"):
        assert len(fold.inner) > 1
        for train, validation in fold.inner:
            inside = np.concatenate([train, validation])
            assert not set(inside) & set(fold.test) and set(inside) <= set(fold.train)
        assert set(np.concatenate([validation for _, validation in fold.inner])) == set(fold.train)
        np.testing.assert_array_equal(fold.rows, fold.train)


@pytest.mark.parametrize("split", SPLITS)
def test_closed_form_models_have_the_same_folds_whatever_the_selection(samples, split):
    """So null rates of the ladder, which benchmarks/calibration.py measures with "inner", are those with "paper" too."""
    for mine, theirs in zip(
        folds_of(samples, split, selection="inner"), folds_of(samples, split, selection="paper")
    ):
        for one, other in ((mine.test, theirs.test), (mine.rows, theirs.rows)):
            np.testing.assert_array_equal(one, other)
        for pair, same in zip(mine.inner, theirs.inner, strict=True):
            for one, other in zip(pair, same):
                np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("embargo_trs", [0, 7, 30])
def test_embargo_keeps_just_the_training_windows_that_are_far_enough(embargo_trs):
    samples = film_samples(n_films=2, people_per_film=2, events=40)
    run = samples["subject"].to_numpy(str)
    start = samples["first_tr"].to_numpy()
    folds = folds_of(samples, "event", embargo_trs=embargo_trs, selection="paper")
    unrestricted = folds_of(samples, "event", embargo_trs=-10_000, selection="paper")
    dropped = 0
    for fold, free in zip(folds, unrestricted):
        expected = []
        for row in free.train:
            # Volumes between two windows; negative where they overlap.
            between = [
                abs(start[row] - start[t]) - WINDOW_TRS for t in fold.test if run[t] == run[row]
            ]
            if min(between, default=np.inf) >= embargo_trs:
                expected.append(row)
        assert fold.train.tolist() == expected
        dropped += len(free.train) - len(expected)
    assert dropped > 0


@pytest.mark.parametrize("split", ["movie", "subject"])
def test_two_groups_leave_one_to_train_on_so_its_events_choose_the_epoch(split):
    samples = film_samples(n_films=2, people_per_film=1, events=40)
    for fold in folds_of(samples, split, n_folds=2):
        assert fold.validation_kept_together == "event"
        assert samples[split].iloc[fold.test].nunique() == 1
        assert not set(samples["event"].iloc[fold.train]) & set(
            samples["event"].iloc[fold.validation]
        )
        assert len(fold.validation) == pytest.approx(40 / 4, abs=1)


@pytest.mark.parametrize("split", ["movie", "subject", "run"])
def test_with_fewer_groups_than_folds_each_is_held_out_once(samples, split):
    groups = groups_of(samples, split)
    folds = folds_of(samples, split, n_folds=len(set(groups)) + 1)
    assert sorted(groups[fold.test[0]] for fold in folds) == sorted(set(groups))
    assert all(len(set(groups[fold.test])) == 1 for fold in folds)


def test_too_few_moments_name_both_numbers(samples):
    n_groups = samples["event"].nunique()
    message = (
        rf"'event' has {n_groups} groups and N_FOLDS is {n_groups + 1}.*Lower N_FOLDS to {n_groups}"
    )
    with pytest.raises(NeuroFaceError, match=message):
        folds_of(samples, "event", n_folds=n_groups + 1)


@pytest.mark.parametrize("selection", ["inner", "paper"])
def test_a_fold_with_one_class_is_an_error_that_names_it(selection):
    samples = film_samples(n_films=4, people_per_film=1)
    samples = samples[(samples["movie"] != "film2") | (samples["label"] == "face")].reset_index(
        drop=True
    )
    with pytest.raises(
        NeuroFaceError,
        match=r"Split 'movie', fold \d: its (held-out|validation) set of \d+ windows has none of 'noface'\.",
    ):
        folds_of(samples, "movie", selection=selection)


def block_design(people=3, runs=2, blocks=12, apart_s=26.0, tr_s=2.0):
    """A block design whose order is random for each person: blocks of one label are at other times for others."""
    rows = []
    for person in range(people):
        rng = np.random.default_rng(person)
        for run in range(1, runs + 1):
            onset_s, label = (
                12 + apart_s * np.arange(blocks),
                rng.permutation(["face", "noface"] * (blocks // 2)),
            )
            rows += [
                (
                    f"sub-{person}",
                    "loc",
                    str(run),
                    kind,
                    t,
                    int((t + 4) / tr_s),
                    f"{film}_{kind}_{t:g}s",
                    film,
                )
                for t, kind in zip(onset_s, label)
                for film in [f"loc_run-{run}"]
            ]
    columns = ["subject", "movie", "run", "label", "onset_s", "first_tr", "event", "stimulus"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize("people, runs", [(3, 2), (2, 1)])
def test_an_embargo_that_leaves_no_training_window_makes_event_folds_impossible_and_the_others_run(
    people, runs
):
    """Field log, row 1: IndexError in _rarer_class. 13 volumes from block to block, an embargo of 5 + 10."""
    given = FoldSettings(min(people, 3), 42, window_trs=5, embargo_trs=10)
    folds, impossible = folds_of_all_splits(block_design(people, runs), ("subject",), given)
    assert len(folds["subject"]) == given.n_folds
    assert re.search(
        r"its training set (is empty.*5 \+ 10 volumes|has 1 'n?o?face' window)", impossible["event"]
    )
    with pytest.raises(NeuroFaceError, match="'event'"):
        folds_of_all_splits(block_design(people, runs), ("event",), given)


def test_messages_name_labels_as_the_settings_do():
    one_noface = block_design()[
        lambda table: (table["label"] == "face") | (table.groupby("label").cumcount() < 1)
    ]
    with pytest.raises(NeuroFaceError, match="there are 1 'noface' windows"):
        folds_of(one_noface.reset_index(drop=True), "subject", n_folds=3)


# ---------------------------------------------------------------- one film in several runs


def film_in_runs(n_runs):
    """Five people, one film in ``n_runs`` runs; the run's name also has the session of each person."""
    table = film_samples(n_films=n_runs, people_per_film=5)
    part = table["movie"].str.removeprefix("film").astype(int) + 1
    viewer = table["subject"].str[-1]
    return table.assign(
        subject="sub-" + viewer, movie="film", stimulus=[f"film_run-{n}" for n in part],
        run=[f"{1 + int(who) % 2}-{n}" for who, n in zip(viewer, part)],
    )  # fmt: skip


SETTINGS = FoldSettings(4, 42, WINDOW_TRS, embargo_trs=10)
BOTH, PARTS = ("window", "movie"), ("window", "part")


@pytest.mark.parametrize(("n_runs", "n_folds"), [(2, 2), (3, 3), (8, 4)])
def test_part_folds_hold_a_part_out_for_all_its_viewers(n_runs, n_folds):
    table = film_in_runs(n_runs)
    folds = folds_of(table, "part")
    assert len(folds) == n_folds
    for fold in folds:
        held_out = set(table["stimulus"].iloc[fold.test])
        assert set(table["subject"].iloc[fold.test]) == set(table["subject"])
        assert not held_out & set(
            table["stimulus"].iloc[np.concatenate([fold.train, fold.validation])]
        )
        assert fold.n_embargoed == 0  # no training window is lost
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(table)))


def test_movie_folds_of_one_film_are_not_possible_and_the_message_names_those_that_are():
    """Script 1 says it, before hours of work."""
    why = impossible_splits(film_in_runs(2), BOTH, SETTINGS)
    assert list(why) == ["movie"]
    assert (
        'CV_SPLITS = ("window", "part") and HELD_OUT_SPLIT = "part" hold out one of 2 parts'
        in why["movie"]
    )
    one_run = film_in_runs(1)
    assert (
        'HELD_OUT_SPLIT = "event" hold out moments'
        in impossible_splits(one_run, BOTH, SETTINGS)["movie"]
    )
    with pytest.raises(NeuroFaceError, match="Split 'part' has 1 group:"):
        folds_of(one_run, "part")
    assert impossible_splits(film_in_runs(2), PARTS, SETTINGS) == {}


def test_where_each_film_is_one_part_the_ladder_has_no_further_rung(samples):
    whole = samples.assign(stimulus=samples["movie"])
    folds, impossible = folds_of_all_splits(whole, BOTH, SETTINGS)
    assert "part" not in folds | impossible and "movie" in folds
    folds, impossible = folds_of_all_splits(film_in_runs(2), PARTS, SETTINGS)
    assert "part" in folds and "movie" in impossible


def test_folds_are_drawn_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for split in ("window", "movie"):
            assert len(folds_of(film_samples(n_films=4, people_per_film=2), split)) == 4
