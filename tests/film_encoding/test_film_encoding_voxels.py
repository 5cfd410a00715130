"""Film and brain: BOLD on the film's clock, SNR, noise ceiling, folds."""

from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.bold import Run, check_distinct, write_nifti

import numpy as np
import pytest

pytest.importorskip("av", reason="films need PyAV: make film-encoding")

from film_encoding.responses import (  # noqa: E402
    OverPeople,
    choose,
    film_rows,
    in_parcels,
    read_labels,
    reliability,
    rows_of_person,
    snr,
)
from film_encoding.splits import make_folds, read_folds, write_folds  # noqa: E402
from film_encoding.viewings import Viewing, find_viewings, people_of  # noqa: E402

AFFINE = np.diag([2.0, 2, 2, 1])


def viewing(folder, series: np.ndarray, first: int) -> Viewing:
    """A run of (x, y, z, n) in a file; the film begins at volume ``first``."""
    write_nifti(folder / "bold.nii.gz", series.astype(np.float32), AFFINE, 1.3)
    run = Run("sub-1", "film", "1", "sub-1_task-film", folder / "bold.nii.gz", None, ())
    return Viewing(run, first, series.shape[3] - first, first * 1.3)


@pytest.mark.parametrize("first", [0, 3, 11])
def test_rows_are_the_volumes_from_the_start_of_the_film(tmp_path, first):
    series = np.random.default_rng(0).normal(100, 5, (4, 4, 4, 30))
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[1:3] = True
    one = viewing(tmp_path, series, first)
    rows, baseline = film_rows(one, mask, AFFINE, 15, "none")
    expected = series[mask][:, first : first + 15].T
    np.testing.assert_allclose(rows + baseline, expected, rtol=1e-5)
    rows, baseline = film_rows(one, mask, AFFINE, 15, "zscore")
    np.testing.assert_allclose(rows, (expected - expected.mean(0)) / expected.std(0), atol=1e-3)
    assert not baseline.any()


def test_a_voxel_that_never_changes_becomes_0(tmp_path):
    series = np.random.default_rng(0).normal(100, 5, (2, 2, 2, 20))
    series[0, 0, 0] = 7
    rows, _ = film_rows(
        viewing(tmp_path, series, 0), np.ones((2, 2, 2), bool), AFFINE, 20, "zscore"
    )
    assert not rows[:, 0].any() and np.isfinite(rows).all() and rows[:, 1].any()


def test_mean_and_variance_over_people_are_numpys():
    people = np.random.default_rng(1).normal(3, 2, (5, 40, 6))
    over = OverPeople()
    for person in people:
        over.add(person)
    np.testing.assert_allclose(over.mean, people.mean(axis=0))
    np.testing.assert_allclose(over.variance, people.var(axis=0, ddof=1))


def test_snr_is_the_formula_whatever_is_stored_apart():
    """Variance over time of the mean over people / mean over time of the variance over people, of what was measured."""
    people = np.random.default_rng(2).normal(0, 1, (6, 50, 4)) + np.random.default_rng(3).normal(
        0, 3, (6, 1, 4)
    )
    expected = people.mean(axis=0).var(axis=0) / people.var(axis=0, ddof=1).mean(axis=0)
    own = people.mean(axis=1, keepdims=True)
    rows = people - own
    found = snr(rows.mean(axis=0), rows.var(axis=0, ddof=1), own[:, 0].var(axis=0, ddof=1))
    np.testing.assert_allclose(found, expected)


def test_the_published_number_of_voxels():
    kept = choose(np.random.default_rng(0).random(15_364), 0.30)
    assert len(kept) == 4_609 and (np.diff(kept) > 0).all()


def test_choose_takes_the_largest_and_no_nan():
    values = np.array([1.0, np.nan, 5, 3, -2, 4])
    assert choose(values, 0.5).tolist() == [2, 3, 5]


@pytest.mark.parametrize("signal, noise, n", [(1.0, 2.0, 8), (0.5, 3.0, 20)])
def test_reliability_of_simulated_people(signal, noise, n):
    """Signal s + noise e: the mean over n people shares s² / (s² + e² / n) with the truth."""
    rng = np.random.default_rng(4)
    truth = signal * rng.standard_normal((4000, 1))
    people = truth + noise * rng.standard_normal((n, 4000, 8))
    mean, variance = people.mean(axis=0), people.var(axis=0, ddof=1)
    expected = signal**2 / (signal**2 + noise**2 / n)
    assert reliability(mean, variance, n).mean() == pytest.approx(expected, rel=0.03)
    single = signal**2 / (signal**2 + noise**2)
    assert reliability(mean, variance, n, of_people=1).mean() == pytest.approx(single, rel=0.06)
    # The ceiling is the correlation of the truth itself with what was measured.
    perfect = np.mean([np.corrcoef(truth[:, 0], mean[:, v])[0, 1] for v in range(8)])
    assert np.sqrt(reliability(mean, variance, n)).mean() == pytest.approx(perfect, rel=0.02)


def test_noise_alone_has_hardly_any_ceiling_and_one_person_has_none():
    people = np.random.default_rng(5).standard_normal((10, 500, 30))
    assert reliability(people.mean(axis=0), people.var(axis=0, ddof=1), 10).mean() < 0.1
    assert np.isnan(reliability(people[0], np.full((500, 30), np.nan), 1)).all()


def test_parcels_hold_both_ends_and_an_atlas_on_another_grid_is_resampled(tmp_path):
    atlas = np.zeros((6, 6, 6), dtype=np.int16)
    atlas[:3], atlas[3:] = 5, 9
    assert in_parcels(atlas, ((5, 6),)).sum() == 108 and in_parcels(atlas, ((5, 8), (9, 9))).all()
    write_nifti(tmp_path / "atlas.nii.gz", atlas, AFFINE)
    same, moved = read_labels(tmp_path / "atlas.nii.gz", (6, 6, 6), AFFINE, "ATLAS_FILE")
    assert not moved and np.array_equal(same, atlas)
    fine = np.diag([1.0, 1, 1, 1])
    fine[:3, 3] = -0.5
    finer, moved = read_labels(tmp_path / "atlas.nii.gz", (12, 12, 12), fine, "ATLAS_FILE")
    inner = (slice(1, -1),) * 3  # the outermost lie beyond the centres of the atlas
    assert moved and np.array_equal(
        finer[inner], atlas.repeat(2, 0).repeat(2, 1).repeat(2, 2)[inner]
    )


def test_labels_that_miss_whole_numbers_by_rounding_are_labels(tmp_path):
    """Atlases that a program scaled or saved as float are off by up to 0.016."""
    labels = np.arange(27).reshape(3, 3, 3)
    write_nifti(tmp_path / "atlas.nii.gz", (labels - 0.016).astype(np.float32), AFFINE)
    assert np.array_equal(
        read_labels(tmp_path / "atlas.nii.gz", (3, 3, 3), AFFINE, "ATLAS_FILE")[0], labels
    )


def test_an_atlas_that_is_none_is_one_line(tmp_path):
    write_nifti(tmp_path / "map.nii.gz", np.full((3, 3, 3), 0.5, dtype=np.float32), AFFINE)
    for path, what in (
        (tmp_path / "map.nii.gz", "whole numbers"),
        (tmp_path / "gone.nii.gz", "is not there"),
    ):
        with pytest.raises(NeuroFaceError, match=f"ATLAS_FILE.*{what}"):
            read_labels(path, (3, 3, 3), AFFINE, "ATLAS_FILE")


# ---------------------------------------------------------------- folds

LENGTHS = {"a": 100, "b": 80, "c": 120, "d": 60, "e": 90}


def settings(**changed):
    chosen = dict(
        HELD_OUT_FILM="c",
        TEST_SHARE=0.2,
        N_FOLDS=3,
        SELECTION="inner",
        INNER_SHARE=0.15,
        EMBARGO_TRS=5,
    )
    return SimpleNamespace(**chosen | changed)


def test_the_published_split_holds_out_the_last_fifth_and_one_film():
    (fold,) = make_folds(LENGTHS, "published", settings(SELECTION="paper", EMBARGO_TRS=0))
    for film, n in LENGTHS.items():
        part = fold.chunks[fold.chunks["film"] == film]
        if film == "c":
            assert (part["part"] == "test").all() and (part["test_set"] == "unseen film").all()
            continue
        end = int(0.8 * n)
        assert part["part"].tolist()[end:] == ["test"] * (n - end)
        assert part["part"].tolist()[:end] == [
            "inner" if k % 5 == 0 else "train" for k in range(end)
        ]
        assert set(part["test_set"][part["part"] == "test"]) == {"last part"}


@pytest.mark.parametrize("split", ["published", "film"])
def test_nothing_held_out_lies_within_the_embargo_of_training(split):
    for fold in make_folds(LENGTHS, split, settings()):
        for _, part in fold.chunks.groupby("film"):
            places = {name: rows["chunk"].to_numpy() for name, rows in part.groupby("part")}
            for name in ("inner", "test"):
                if "train" in places and name in places:
                    assert np.abs(places[name][:, None] - places["train"]).min() > 5
            if {"inner", "test"} <= places.keys():
                assert np.abs(places["test"][:, None] - places["inner"]).min() > 5


def test_film_folds_hold_every_film_out_once_and_whole():
    folds = make_folds(LENGTHS, "film", settings())
    out = [film for fold in folds for film in fold.of("test")["film"].unique()]
    assert sorted(out) == sorted(LENGTHS)
    for fold in folds:
        tested = fold.of("test")
        assert all(
            (tested["film"] == film).sum() == LENGTHS[film] for film in tested["film"].unique()
        )
        assert not set(fold.of("train", "inner")["film"]) & set(tested["film"])


def test_folds_survive_the_table():
    folds = [
        *make_folds(LENGTHS, "published", settings()),
        *make_folds(LENGTHS, "film", settings()),
    ]
    for one, other in zip(folds, read_folds(write_folds(folds)), strict=True):
        assert (one.split, one.number) == (other.split, other.number) and one.chunks.equals(
            other.chunks
        )


@pytest.mark.parametrize(
    "lengths, changed, split, message",
    [
        ({"a": 50}, {}, "film", "Only the film a"),
        (
            LENGTHS,
            {"HELD_OUT_FILM": "z"},
            "published",
            "HELD_OUT_FILM = 'z' is none of the films: a, b",
        ),
        (LENGTHS, {"N_FOLDS": 6}, "film", "N_FOLDS = 6, and there are 5 films"),
        (
            {"a": 12, "b": 12},
            {"EMBARGO_TRS": 10, "HELD_OUT_FILM": "a"},
            "published",
            "chunks are left for",
        ),
    ],
)
def test_folds_that_cannot_be_made_are_one_line(lengths, changed, split, message):
    with pytest.raises(NeuroFaceError, match=message):
        make_folds(lengths, split, settings(**changed))


# ---------------------------------------------------------------- runs of a person


def test_repeats_are_averaged_and_give_the_ceiling_within_a_person(tmp_path):
    """Signal of variance 1 and noise of variance 1.5 in each viewing: their mean shares 1 / (1 + 1.5 / 2) = 0.571."""
    rng, mask, n = np.random.default_rng(0), np.ones((6, 5, 4), dtype=bool), 400
    signal = rng.standard_normal((6, 5, 4, n))
    viewings = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        noise = np.sqrt(1.5) * rng.standard_normal(signal.shape)
        viewings.append(viewing(folder, 100 + signal + noise, 0))
    rows, _, shared = rows_of_person(viewings, mask, AFFINE, n, "zscore", lambda run: None)
    each = [film_rows(one, mask, AFFINE, n, "zscore")[0] for one in viewings]
    np.testing.assert_allclose(rows, np.mean(each, axis=0), atol=1e-5)
    assert shared.mean() == pytest.approx(1 / 1.75, abs=0.01)
    # The correlation of the mean with the signal is the ceiling.
    r = [np.corrcoef(a, b)[0, 1] for a, b in zip(rows.T, signal[mask])]
    assert np.mean(r) == pytest.approx(np.sqrt(shared).mean(), abs=0.01)
    alone, _, nothing = rows_of_person(viewings[:1], mask, AFFINE, n, "zscore", lambda run: None)
    assert nothing is None
    np.testing.assert_array_equal(alone, each[0])


def bids_run(folder, name: str, events: str) -> None:
    """A run of 60 volumes and its log; sub-01 in each name."""
    func = folder / "sub-01" / "func"
    func.mkdir(parents=True, exist_ok=True)
    volumes = np.random.default_rng(len(name)).normal(size=(2, 2, 2, 60)).astype(np.float32)
    write_nifti(func / f"{name}_bold.nii.gz", volumes, AFFINE, 2.0)
    (func / f"{name}_events.tsv").write_text("onset\tduration\ttrial_type\n" + events)


def runs_of(folder, **changed) -> SimpleNamespace:
    settings = dict(
        DATASET_DIR=folder, EXCLUDE=(), INCLUDE=(), RAW_DIR=None, BIDS_FILTER="", FILMS=(), TR_S=2.0,
        FILM_EVENT="film", FILM_RUNS="one",
    )  # fmt: skip
    return SimpleNamespace(**settings | changed)


def test_a_film_in_several_runs_is_a_film_for_each_or_repeated(tmp_path):
    for number in (1, 2):
        bids_run(tmp_path, f"sub-01_task-movie_run-{number}", f"{4.0 * number}\t80\tfilm\n")
    with pytest.raises(NeuroFaceError, match='two runs of movie: .*run-1 and .*run-2.*"repeats"'):
        find_viewings(runs_of(tmp_path))
    parts, _ = find_viewings(runs_of(tmp_path, FILM_RUNS="parts"))
    firsts = {film: [one.first for one in who] for film, who in parts.items()}
    assert firsts == {"movierun1": [2], "movierun2": [4]}
    repeats, _ = find_viewings(runs_of(tmp_path, FILM_RUNS="repeats"))
    assert [one.first for one in repeats["movie"]] == [2, 4]
    assert {person: len(who) for person, who in people_of(repeats["movie"]).items()} == {
        "sub-01": 2
    }


@pytest.mark.parametrize(
    "changed, message",
    [
        (
            dict(FILM_RUNS="several", FILMS=("harbour", "kite")),
            "FILMS names 'kite', but no run shows it: .*has no event 'kite'.*did you mean kites.*which FILMS names",
        ),
        (
            dict(
                FILM_RUNS="several", FILMS=("harbour",), FILM_EVENT=("film", "task-log_events.tsv")
            ),
            r"no run shows it: no sub-01_task-log_events.tsv, which would say when the film begins \(FILMS\)",
        ),
        (dict(FILM_EVENT=None, FILMS=("movie",)), "'movie', and .* task-movie .* there are films"),
        (
            dict(FILM_EVENT=None, FILM_RUNS="parts", FILMS=("films2",)),
            "'films2'; the parts that runs show are films",
        ),
    ],
)
def test_a_film_that_nobody_saw_is_named_by_where_its_name_comes_from(tmp_path, changed, message):
    bids_run(tmp_path, "sub-01_task-films", "6.0\t40\tharbour\n60.0\t30\tkites\n")
    with pytest.raises(NeuroFaceError, match=message):
        find_viewings(runs_of(tmp_path, **changed))


def test_a_film_of_several_in_two_runs_of_a_person_is_refused(tmp_path):
    for number in (1, 2):
        bids_run(tmp_path, f"sub-01_task-films_run-{number}", "6.0\t40\tharbour\n")
    with pytest.raises(
        NeuroFaceError, match='saw harbour in two runs: .*run-1 and .*run-2.*"several"'
    ):
        find_viewings(runs_of(tmp_path, FILM_RUNS="several", FILMS=("harbour",)))


def test_a_run_with_several_films_is_a_viewing_of_each(tmp_path):
    films = "6.0\t40\tharbour\n60.0\t30\tkites\n"
    bids_run(tmp_path, "sub-01_task-films", films)
    bids_run(tmp_path, "sub-01_task-rest", "0.0\t100\trest\n")
    cfg = runs_of(tmp_path, FILM_RUNS="several", FILMS=("harbour", "kites"))
    found, left_out = find_viewings(cfg)
    assert {film: [(one.first, one.shown_s) for one in who] for film, who in found.items()} == {
        "harbour": [(3, 40.0)],
        "kites": [(30, 30.0)],
    }
    ((name, why),) = left_out
    assert name == "sub-01_task-rest" and why.startswith("it shows none of FILMS: ")
    assert why.endswith("has no event 'harbour', which FILMS names; it has 'rest'")
    check_distinct([one.run for who in found.values() for one in who])  # one file, no copies
