"""Samples → stretches → files; parts of films on the clock of a run; sound; two annotations compared."""

import json
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import Labels, read_1d
from neuroface.film import (
    FaceRules,
    Film,
    Part,
    compare_annotations,
    complement,
    doubt,
    faces_of_samples,
    parts_of,
    read_parts,
    run_clock,
    stretches_of_samples,
    task_of,
    write_annotation,
)

import numpy as np
import pandas as pd
import pytest
from conftest import run_zero, write_config
from hypothesis import given, settings, strategies as st
from sklearn.metrics import cohen_kappa_score

RULES = FaceRules(score=0.95, height=0.06, bridge_s=0.4, shortest_s=0.4)


def samples_of(text: str) -> np.ndarray:
    return np.array([letter == "#" for letter in text])


def test_gaps_are_bridged_and_short_stretches_dropped_in_that_order():
    #                   0    5    10   15   20
    seen = samples_of("..##..##...#...#.#.###")
    assert stretches_of_samples(seen, 5.0, RULES).tolist() == [[0.4, 1.2], [3.0, 1.4]]
    plain = FaceRules(0.95, 0.06, 0.0, 0.0)
    starts = [0.4, 1.2, 2.2, 3.0, 3.4, 3.8]
    assert stretches_of_samples(seen, 5.0, plain)[:, 0].tolist() == starts
    assert stretches_of_samples(samples_of("...."), 5.0, RULES).shape == (0, 2)
    assert stretches_of_samples(samples_of("####"), 5.0, RULES).tolist() == [[0.0, 0.8]]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.booleans(), max_size=60),
    st.sampled_from([0.0, 0.2, 0.4, 1.0]),
    st.sampled_from([0.0, 0.2, 0.6]),
)
def test_stretches_are_in_strict_order_and_on_the_grid(seen, bridge_s, shortest_s):
    stretches = stretches_of_samples(
        np.array(seen, dtype=bool), 5.0, FaceRules(0.95, 0.06, bridge_s, shortest_s)
    )
    onset, duration = stretches.T
    assert np.all(onset[1:] - (onset + duration)[:-1] > bridge_s - 1e-6) and np.all(
        duration >= max(shortest_s, 0.2) - 1e-6
    )
    assert np.allclose(stretches * 5, np.round(stretches * 5))
    if not bridge_s and not shortest_s:
        covered = [
            any(o - 1e-6 <= k / 5 < o + d - 1e-6 for o, d in stretches) for k in range(len(seen))
        ]
        assert covered == seen
    rest = complement(stretches, 0.0, len(seen) / 5)
    assert np.isclose(rest[:, 1].sum() + duration.sum(), len(seen) / 5)


def test_small_faces_and_low_scores_do_not_count():
    candidates = [
        [(0.99, 0.2, 0.02), (0.96, 0.3, 0.05)],
        [(0.99, 0.05, 0.001)],
        [(0.9, 0.2, 0.02)],
        [],
    ]
    found = faces_of_samples(candidates, RULES)
    assert found["n_faces"].tolist() == [2, 0, 0, 0]
    assert found["largest_share"].tolist() == [0.05, 0, 0, 0]
    assert found["score"].tolist() == [0.99, 0, 0.9, 0]


def test_doubt_is_high_where_the_score_is_near_the_threshold():
    score = np.array([1.0, 1.0, 0.96, 0.0, 0.94, 0.0])
    sure, near = doubt(np.array([[0.0, 0.4], [0.4, 0.2]]), score, 5.0, True, RULES)
    assert sure == pytest.approx(0) and near == pytest.approx(0.8)
    nearly, no = doubt(np.array([[0.8, 0.2], [1.0, 0.2]]), score, 5.0, False, RULES)
    assert nearly == pytest.approx(0.94 / 0.95) and no == 0


def test_annotation_files_are_read_by_the_first_script(tmp_path):
    """The reader of script 1, on what is written: the same numbers, on NNDb's grid, as short text."""
    stretches = np.array([[0.2, 1.4], [4.0, 0.6], [1000.2, 12.8]])
    write_annotation(
        tmp_path, "task-x", {"face": stretches, "noface": np.empty((0, 2))}, {"Detector": "none"}
    )
    file = tmp_path / "task-x_face-annotation.1D"
    assert file.read_text() == "0.2 1.4\n4 0.6\n1000.2 12.8\n"
    assert read_1d(file).tolist() == stretches.tolist()
    assert not (tmp_path / "task-x_noface-annotation.1D").exists()
    events = pd.read_csv(tmp_path / "task-x_events.tsv", sep="\t")
    assert list(events) == ["onset", "duration", "trial_type"] and events["onset"].tolist() == [
        0.2,
        4.0,
        1000.2,
    ]
    assert json.loads((tmp_path / "task-x_events.json").read_text()) == {"Detector": "none"}


# ---------------------------------------------------------------- parts


def film(name: str, duration_s: float) -> Film:
    from pathlib import Path

    return Film(Path(name), duration_s=duration_s)


def test_names_of_films():
    expected = {
        "500 Days of Summer (2009).mkv": "500DaysofSummer2009",
        "Das große Fest.mp4": "DasgrosseFest",
        "é à.ts": "ea",
        "…": "film",
    }
    assert {name: task_of(film(name, 1).path) for name in expected} == expected


def test_a_film_in_two_parts_with_a_pause_and_one_in_two_files(tmp_path):
    table = tmp_path / "parts.tsv"
    table.write_text(
        "file\tstart_s\tend_s\ttask\trun\tonset_s\n"
        "a.mp4\t0\t10\tpause\t\t2\na.mp4\t10\t99\tpause\t\t20\n"
        "a.mp4\t0\t6\tsplit\t1\t0\na.mp4\t5\t15\tsplit\t2\t0\n"
    )
    parts = parts_of([film("/x/a.mp4", 15.0)], read_parts(table))
    assert [part.name for part in parts] == [
        "task-pause",
        "task-pause",
        "task-split_run-1",
        "task-split_run-2",
    ]
    which, sample = run_clock(parts[:2], 5.0)
    assert len(which) == 25 * 5  # the second part ends with the film
    assert (which[:10] == -1).all() and (which[10:60] == 0).all() and (which[60:100] == -1).all()
    assert sample[10:60].tolist() == list(range(50)) and sample[100:].tolist() == list(
        range(50, 75)
    )
    which, sample = run_clock(parts[3:], 5.0)
    assert sample.tolist() == list(range(25, 75))  # the second run repeats a second of the first


@pytest.mark.parametrize("row, words", [
    ("a.mp4\t5\t5\tx\t\t0", "0 ≤ start_s < end_s"),
    ("a.mp4\t0\t5\tx y\t\t0", "letters and digits"),
    ("a.mp4\tzero\t5\tx\t\t0", "start_s .zero. is not a number"),
    ("A.mp4\t0\t5\tx\t\t0", "names .A.mp4., the film is .a.mp4."),
    ("a.mp4\t0\t5\tx\t\t0\na.mp4\t5\t9\tx\t\t4", "overlap at 4 s"),
    ("a.mp4\t20\t25\tx\t\t0", "the film lasts 15.0 s"),
    ("b.mp4\t0\t5\tx\t\t0", "a.mp4 is not in the column file"),
    ("a.mp4\t0\t5\tx\t\t0\nb.mp4\t0\t5\tx\t\t9", "belongs to the same run"),
])  # fmt: skip
def test_a_table_of_parts_that_cannot_be(tmp_path, row, words):
    (tmp_path / "parts.tsv").write_text(f"file\tstart_s\tend_s\ttask\trun\tonset_s\n{row}\n")
    with pytest.raises(NeuroFaceError, match=words):
        parts_of([film("a.mp4", 15.0)], read_parts(tmp_path / "parts.tsv"))


def test_two_films_of_one_name():
    with pytest.raises(NeuroFaceError, match="would both be called task-ab"):
        parts_of([film("a b.mp4", 5), film("a-b.mp4", 5)], None)
    assert parts_of([film("a b.mp4", 5.5)], None) == [Part("a b.mp4", 0.0, 5.5, "ab", "", 0.0)]


# ---------------------------------------------------------------- agreement


def values(table: pd.DataFrame) -> dict:
    return dict(zip(table["measure"], table["value"]))


def test_agreement_in_a_case_counted_by_hand():
    """100 s; one has 0–20 and 50–60; the other 2–20, 50–60 and 80–84."""
    one, other = (
        np.array([[0.0, 20.0], [50.0, 10.0]]),
        np.array([[2.0, 18.0], [50.0, 10.0], [80.0, 4.0]]),
    )
    found = values(
        compare_annotations(
            one, other, 100.0, 5.0, (10.0, 1.0, 4.0), Labels("face", "noface"), ("one", "other")
        )
    )
    assert found["agreement"] == pytest.approx(0.94)
    chance = 0.3 * 0.32 + 0.7 * 0.68
    assert found["kappa"] == pytest.approx((0.94 - chance) / (1 - chance))
    assert found["precision"] == pytest.approx(28 / 30) and found["recall"] == pytest.approx(
        28 / 32
    )
    assert (found["hits"], found["misses"], found["false alarms"]) == (2, 1, 0)
    assert (
        found["boundary error, mean s"] == pytest.approx(-0.5)
        and found["boundaries without counterpart"] == 0
    )
    assert (found["face windows, one"], found["face windows, other"]) == (1, 1)  # of more than 10 s
    assert (found["noface windows, one"], found["noface windows, other"]) == (1, 2)


def test_two_people_are_compared_without_any_film(tmp_path):
    """Kappa from scikit-learn on samples drawn here, and the files."""
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 300)) < 0.5
    for name, seen in (("anna", a), ("ben", b)):
        np.savetxt(
            tmp_path / f"{name}.1D",
            stretches_of_samples(seen, 5.0, FaceRules(0.95, 0.06, 0, 0)),
            fmt="%.1f",
        )
    config = write_config(tmp_path / "film.py", FILM_DIR=str(tmp_path / "films"))
    done = run_zero(
        config, tmp_path / "anna.1D", "--compare", tmp_path / "ben.1D", "--length", "60"
    )
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "films" / "comparisons" / "anna_vs_ben.tsv", sep="\t")
    assert values(table)["kappa"] == pytest.approx(cohen_kappa_score(a, b))
    assert values(table)["agreement"] == pytest.approx((a == b).mean())
    assert (tmp_path / "films" / "comparisons" / "anna_vs_ben.png").stat().st_size > 5000
    assert "kappa" in done.stdout


def test_compare_says_what_it_needs(tmp_path):
    config = write_config(tmp_path / "film.py", FILM_DIR=str(tmp_path / "films"))
    (tmp_path / "a.1D").write_text("1 2\n")
    for arguments, words in (
        ([tmp_path / "a.1D"], "Name the one to compare it with"),
        ([tmp_path / "a.1D", "b.mp4", "--compare", "c.1D"], "takes one film or one .1D file"),
        ([tmp_path / "a.1D", "--compare", tmp_path / "c.1D"], "c.1D is not there"),
    ):
        done = run_zero(config, *arguments)
        assert done.returncode == 1 and words in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "films").exists()


@pytest.mark.parametrize(
    "written", ["Film one.mkv", "film one.mp4", "film_one.mkv", "Film-One.MKV"]
)
def test_a_part_whose_file_is_nearly_a_film_stops(written):
    """With another spelling the row would be ignored, and the film annotated as if it were whole."""
    film = Film(Path("film one.mkv"), duration_s=100.0)
    table = [Part("film one.mkv", 0.0, 50.0, "a", "", 0.0), Part(written, 50.0, 90.0, "b", "", 0.0)]
    with pytest.raises(
        NeuroFaceError, match=f"names '{written}', the film is 'film one.mkv'. Write both alike"
    ):
        parts_of([film], table)
    assert len(parts_of([film], [*table[:1], Part("another.mkv", 0.0, 9.0, "c", "", 0.0)])) == 1
