"""The paper's window rules, on the ten films' real annotations and on hand-built cases."""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import annotations, windows
from neuroface.bold.labels import Labels

import numpy as np
import pandas as pd
import pytest

NNDB = Path(__file__).parents[1] / "data" / "nndb"
# film: (people of the paper, film length s, stretches, faces > 10 s, gaps > 10 s, face on screen s)
FILMS = {
    "500daysofsummer": (19, 5470, 467, 101, 15, 4313),
    "citizenfour": (18, 6804, 364, 103, 32, 4724),
    "theusualsuspects": (6, 6102, 769, 104, 16, 4523),
    "pulpfiction": (6, 8882, 916, 144, 28, 7073),
    "theshawshankredemption": (6, 8181, 917, 138, 24, 6218),
    "theprestige": (6, 7515, 1117, 152, 6, 5794),
    "backtothefuture": (6, 6674, 1146, 120, 19, 4753),
    "split": (6, 6739, 731, 104, 27, 4726),
    "littlemisssunshine": (6, 5900, 717, 118, 7, 4671),
    "12yearsaslave": (6, 7715, 1007, 145, 30, 5704),
}
WINDOW_TRS = 10
LABELS = Labels("face", "noface")


def annotation(film):
    return annotations.read_1d(NNDB / f"task-{film}_face-annotation.1D")


def film_table(film):
    return windows.window_table(
        annotation(film), None, LABELS, min_stretch_s=10.0, tr_s=1.0, lag_s=4.0
    )


def paper_people():
    """Film of each of the paper's 85 people: all but sub-1."""
    people = pd.read_csv(NNDB / "participants.tsv", sep="\t")
    return people.set_index("participant_id")["task"].drop("sub-1")


# ---------------------------------------------------------------- the ten films


@pytest.mark.parametrize("film", FILMS)
def test_film_has_the_known_number_of_events(film):
    _, length_s, n_stretches, n_faces, n_gaps, on_screen_s = FILMS[film]
    stretches, table = annotation(film), film_table(film)
    assert len(stretches) == n_stretches
    assert (table["label"] == "face").sum() == n_faces
    assert (table["label"] == "noface").sum() == n_gaps
    assert stretches[:, 1].sum() == pytest.approx(
        on_screen_s, abs=0.6
    )  # the table is in whole seconds
    assert (table["first_tr"] + WINDOW_TRS <= length_s).all()


@pytest.mark.parametrize("film", FILMS)
def test_real_annotations_are_not_changed_by_merging(film):
    raw = np.loadtxt(NNDB / f"task-{film}_face-annotation.1D")
    assert np.array_equal(annotations.merge_overlaps(raw), raw)


def test_the_papers_85_people_give_1803_windows_a_class():
    films = paper_people()
    assert films.value_counts().to_dict() == {film: row[0] for film, row in FILMS.items()}
    tables = {film: film_table(film) for film in FILMS}
    before = pd.concat([tables[film] for film in films])
    assert (before["label"] == "noface").sum() == 1803
    balanced = [
        windows.balance(tables[film], LABELS, 42, f"{who}_task-{film}")
        for who, film in films.items()
    ]
    assert pd.concat(balanced)["label"].value_counts().to_dict() == {"face": 1803, "noface": 1803}


def test_counting_gaps_of_exactly_ten_seconds_would_give_1851():
    almost_ten = 10 - 1e-6  # on a 0.2 s grid "longer than this" is "10 s or longer"
    assert (
        sum(len(windows.long_gaps(annotation(film), almost_ten)) for film in paper_people()) == 1851
    )


# ---------------------------------------------------------------- stretches, gaps, volumes


def test_long_stretches_and_gaps_are_strictly_longer_than_the_limit():
    stretches = np.array([[0, 10], [20, 11], [41, 1], [53, 2]], float)  # gaps of 10, 10 and 11 s
    assert windows.long_stretches(stretches, 10)[:, 0].tolist() == [20]
    assert windows.long_gaps(stretches, 10)[:, 0].tolist() == [42]


@pytest.mark.parametrize(
    ("onset", "duration", "following", "counts"),
    [
        (
            278.8,
            8.8,
            297.6,
            False,
        ),  # a gap of exactly 10 s that the other order rounds above the limit
        (8.8, 41.8, 60.6, True),  # and one that only the paper's order rounds above it
    ],
)
def test_gaps_are_computed_in_the_papers_order_of_operations(onset, duration, following, counts):
    assert (following - (onset + duration) > 10) is counts
    assert (following - onset - duration > 10) is not counts
    gaps = windows.long_gaps(np.array([[onset, duration], [following, 1.0]]), 10)
    assert gaps[:, 0].tolist() == ([onset + duration] if counts else [])


@pytest.mark.parametrize(("tr_s", "lag_s"), [(1.0, 4.0), (2.5, 5.0), (2.0, 4.0)])
def test_first_tr_is_the_papers_formula(tr_s, lag_s):
    onsets = np.arange(0, 6000) * 0.2
    expected = [int(onset / tr_s + lag_s / tr_s) for onset in onsets]
    assert windows.first_tr(onsets, tr_s, lag_s).tolist() == expected


@pytest.mark.parametrize("tr_s", [1.0, 2.5, 2.0, 0.8, 0.72])
@pytest.mark.parametrize("lag_trs", [0, 5])
def test_stimulus_time_undoes_first_tr_for_onsets_on_the_volume_grid(tr_s, lag_trs):
    onsets = np.round(np.arange(1000) * tr_s, 2)  # as a file of decimals states them
    lag_s = round(lag_trs * tr_s, 2)
    first = windows.first_tr(onsets, tr_s, lag_s)
    assert np.array_equal(first, np.arange(1000) + lag_trs)
    assert windows.stimulus_time_s(first, tr_s, lag_s, WINDOW_TRS, at=0) == pytest.approx(
        onsets, abs=1e-9
    )


@pytest.mark.parametrize(("at", "offset_s"), [(0.0, 0), (0.5, 10), (1.0, 20)])
def test_a_prediction_speaks_for_the_chosen_part_of_its_window(at, offset_s):
    # Volume 7 starts 14 s into the run and answers to second 10; its window of ten volumes lasts 20
    # s.
    assert windows.stimulus_time_s(7, tr_s=2.0, lag_s=4.0, window_trs=10, at=at) == 10 + offset_s


# ---------------------------------------------------------------- merging


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([[30, 2], [0, 5]], [[0, 5], [30, 2]], id="sorted"),
        pytest.param([[0, 5], [3, 6]], [[0, 9]], id="overlap"),
        pytest.param([[0, 5], [5, 6]], [[0, 11]], id="touch"),
        pytest.param([[0, 20], [5, 6], [18, 4]], [[0, 22]], id="nested"),
        pytest.param([[0, 5], [6, 1]], [[0, 5], [6, 1]], id="apart"),
    ],
)
def test_merge_overlaps(rows, expected):
    assert annotations.merge_overlaps(np.array(rows, float)).tolist() == expected


def test_stretches_that_touch_on_the_annotation_grid_are_joined_however_their_sum_rounds():
    onset, duration = np.random.default_rng(0).integers([0, 1], [40000, 200], size=(1000, 2)).T
    for a, d in zip(onset, duration):
        rows = np.array([[a / 5, d / 5], [(a + d) / 5, 2.0]])
        assert len(annotations.merge_overlaps(rows)) == 1, rows


def test_merged_stretches_cover_what_the_rows_covered():
    rng = np.random.default_rng(1)
    rows = np.stack([rng.integers(0, 400, 60), rng.integers(1, 8, 60)], axis=1).astype(float)
    covered = np.zeros(420, bool)
    for onset, duration in rows.astype(int):
        covered[onset : onset + duration] = True
    merged = annotations.merge_overlaps(rows)
    again = np.zeros(420, bool)
    for onset, duration in merged.astype(int):
        again[onset : onset + duration] = True
    assert np.array_equal(again, covered)
    assert len(merged) == (np.diff(covered.astype(int), prepend=0) == 1).sum()


# ---------------------------------------------------------------- tables, balance, windows


def test_window_table_is_sorted_and_names_both_classes():
    faces = np.array([[2, 12], [30, 3], [60, 20]], float)  # gaps: 14 to 30, 33 to 60
    table = windows.window_table(faces, None, LABELS, min_stretch_s=10, tr_s=2.0, lag_s=4.0)
    assert table.to_dict("list") == {
        "label": ["face", "noface", "noface", "face"],
        "onset_s": [2, 14, 33, 60],
        "duration_s": [12, 16, 27, 20],
        "first_tr": [3, 9, 18, 32],
    }


def test_no_face_stretches_of_their_own_replace_the_gaps():
    faces, others = np.array([[0, 20], [100, 20]], float), np.array([[40, 20], [70, 5]], float)
    table = windows.window_table(faces, others, LABELS, min_stretch_s=10, tr_s=2.5, lag_s=5.0)
    assert table["onset_s"].tolist() == [0, 40, 100]
    assert table["label"].tolist() == ["face", "noface", "face"]


def unbalanced(n_face=40, n_noface=9):
    label = np.array(["face"] * n_face + ["noface"] * n_noface)
    onset = np.random.default_rng(5).permutation(len(label)) * 20.0
    return pd.DataFrame({"label": label, "onset_s": onset}).sort_values(
        "onset_s", ignore_index=True
    )


@pytest.mark.parametrize(("n_face", "n_noface"), [(40, 9), (9, 40), (12, 12), (40, 0)])
def test_balance_keeps_the_smaller_class_and_as_many_of_the_larger(n_face, n_noface):
    table = unbalanced(n_face, n_noface)
    kept = windows.balance(table, LABELS, 42, "sub-1_task-a")
    n = min(n_face, n_noface)
    assert (kept["label"] == "face").sum() == (kept["label"] == "noface").sum() == n
    smaller = "noface" if n_noface < n_face else "face"
    assert (
        kept[kept["label"] == smaller]["onset_s"].tolist()
        == table[table["label"] == smaller]["onset_s"].tolist()[:n]
    )
    assert kept["onset_s"].is_monotonic_increasing and set(kept["onset_s"]) <= set(table["onset_s"])


def test_balance_depends_on_seed_and_run_name_alone():
    table = unbalanced()
    names = [f"sub-{i}_task-a" for i in range(4)]
    forwards = {name: windows.balance(table, LABELS, 42, name) for name in names}
    backwards = {name: windows.balance(table, LABELS, 42, name) for name in reversed(names)}
    for name in names:
        pd.testing.assert_frame_equal(forwards[name], backwards[name])
    draws = {tuple(kept["onset_s"]) for kept in forwards.values()}
    draws |= {tuple(windows.balance(table, LABELS, 43, names[0])["onset_s"])}
    assert len(draws) == len(names) + 1


def test_balance_draws_every_window_about_equally_often():
    table = unbalanced(20, 10)
    counts = pd.concat([windows.balance(table, LABELS, seed, "run") for seed in range(400)])[
        "onset_s"
    ].value_counts()
    faces = counts[table[table["label"] == "face"]["onset_s"]]
    assert faces.between(150, 250).all()  # 200 expected, SD 10


@pytest.mark.parametrize("chunk", [1, 3, 10, 27, 50])
def test_cut_windows_is_plain_slicing(chunk):
    run = np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32)
    starts = np.array([0, 4, 4, 13, 40])  # windows may overlap, and meet the ends of the run
    cut = list(windows.cut_windows((run[i : i + chunk] for i in range(0, 50, chunk)), starts, 10))
    assert all(window.dtype == np.float32 and window.flags.c_contiguous for window in cut)
    assert np.array_equal(cut, [run[start : start + 10].T for start in starts])


def test_cut_windows_keeps_only_what_open_windows_need():
    read = []

    def volumes():
        for i in range(30):
            read.append(i)
            yield np.full((1, 2), i, dtype=np.float32)

    cut = windows.cut_windows(volumes(), np.array([2, 20]), 4)
    assert next(cut)[0].tolist() == [2, 3, 4, 5] and read[-1] == 5
    assert next(cut)[0].tolist() == [20, 21, 22, 23] and read[-1] == 23
    assert list(cut) == [] and read[-1] == 29  # the rest goes by, so that a damaged end is noticed


def test_cut_windows_past_the_end_is_an_error():
    with pytest.raises(ValueError, match="1 windows run past the run's 12 volumes"):
        list(windows.cut_windows([np.zeros((12, 3), np.float32)], np.array([1, 3]), 10))


@pytest.mark.parametrize("marks", ["kept", "dropped"])
def test_a_censor_list_of_either_kind_gives_the_trs_that_are_left(tmp_path, marks):
    kept = np.random.default_rng(0).random(300) < 0.9
    path = tmp_path / "sub-1_task-x_censored_timepoints.1D"
    path.write_text("".join(f" {int(k)}\n" for k in (kept if marks == "kept" else ~kept)))
    assert np.array_equal(windows.read_censor(path, int(kept.sum())), kept)
    with pytest.raises(
        NeuroFaceError, match=rf"of 300 volumes, and the series has {kept.sum() + 1}"
    ):
        windows.read_censor(path, int(kept.sum()) + 1)


@pytest.mark.parametrize("text", ["1 0\n0 1\n", "1\n2\n", "one\n"])
def test_a_censor_list_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "c.1D").write_text(text)
    with pytest.raises(NeuroFaceError, match=r"c\.1D: expected"):
        windows.read_censor(tmp_path / "c.1D", 1)


def test_nothing_is_censored_without_a_list():
    assert windows.read_censor(None, 5).tolist() == [True] * 5


def test_whole_windows_touch_no_gap_and_point_at_the_right_volumes():
    kept = np.random.default_rng(1).random(400) < 0.93
    film = np.arange(400)
    series = film[kept]  # a series whose volumes hold their own TR
    first_tr, first_volume = windows.whole_windows(kept, 10)
    assert (
        first_tr.tolist() == [t for t in range(391) if kept[t : t + 10].all()]
        and len(first_tr) > 50
    )
    for tr, volume in zip(first_tr, first_volume):
        assert series[volume : volume + 10].tolist() == film[tr : tr + 10].tolist()
    assert windows.whole_windows(np.ones(12, bool), 10)[0].tolist() == [0, 1, 2]


def test_on_screen_agrees_with_asking_every_stretch():
    rng = np.random.default_rng(2)
    edges = np.cumsum(rng.uniform(0.5, 9, 40))
    stretches = np.stack([edges[::2], edges[1::2] - edges[::2]], axis=1)
    times = np.concatenate(
        [rng.uniform(-10, edges[-1] + 10, 500), stretches[:, 0], stretches.sum(axis=1)]
    )
    expected = [
        int(any(onset <= t < onset + duration for onset, duration in stretches)) for t in times
    ]
    assert annotations.on_screen(times, stretches).tolist() == expected


# ---------------------------------------------------------------- files


def test_read_events_takes_the_chosen_trial_types(tmp_path):
    path = tmp_path / "events.tsv"
    path.write_text(
        "onset\tduration\ttrial_type\n30\t5\tface\n12.5\t4\thouse\n0\t5\tface\n50\tn/a\tcat\n60\t2\tcup\n"
    )
    assert annotations.read_events(path, ("face",)).tolist() == [[0, 5], [30, 5]]
    assert annotations.read_stretches([("house", path), ("cup", path)]).tolist() == [
        [12.5, 4],
        [60, 2],
    ]


def test_read_1d_skips_afni_comments(tmp_path):
    path = tmp_path / "a.1D"
    path.write_text("# onset duration\n1.0 2.0\n5.2\t0.4\n")
    assert annotations.read_stretches([("face", path)]).tolist() == [[1.0, 2.0], [5.2, 0.4]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param("onset duration\n1 2\n", "two columns of numbers", id="text"),
        pytest.param("1 2 3\n4 5 6\n", "3 columns", id="three columns"),
        pytest.param("1 2\n3\n", "two columns", id="ragged"),
        pytest.param("1 2\n-3 4\n", r"row 2: \[-3.0, 4.0\]", id="negative onset"),
        pytest.param("1 2\n3 -4\n", r"row 2: \[3.0, -4.0\]", id="negative duration"),
        pytest.param("1 2\n3 4\n5 nan\n", r"row 3: \[5.0, nan\]", id="nan"),
        pytest.param("1 inf\n", r"row 1: \[1.0, inf\]", id="infinite"),
        pytest.param("", "is empty", id="empty"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*input contained no data")
def test_a_bad_1d_file_is_named_with_its_fault(tmp_path, content, says):
    path = tmp_path / "task-x_face-annotation.1D"
    path.write_text(content)
    with pytest.raises(NeuroFaceError, match=says) as error:
        annotations.read_1d(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(
            "onset\tduration\n1\t2\n", "'trial_type'.*'onset', 'duration'", id="missing column"
        ),
        pytest.param(
            "onset\tduration\ttrial_type\n1\tlong\tface\n",
            "line 2: duration 'long'.*not a number",
            id="text",
        ),
        pytest.param(
            "onset\tduration\ttrial_type\n1\t2\tcat\n\n1\tn/a\tface\n",
            "line 4: .*duration nan",
            id="no duration",
        ),
        pytest.param(
            "onset\tduration\ttrial_type\n1\t-2\tface\n",
            "line 2: .*duration -2",
            id="negative duration",
        ),
        pytest.param(
            "onset\tduration\ttrial_type\n1\t2\tface\tx\n",
            "line 2 has 4 cells, the header 3",
            id="4 cells",
        ),
        pytest.param("", "empty", id="empty"),
    ],
)
def test_a_bad_events_file_is_named_with_its_fault(tmp_path, content, says):
    path = tmp_path / "sub-1_task-x_events.tsv"
    path.write_text(content)
    with pytest.raises(NeuroFaceError, match=says) as error:
        annotations.read_events(path, ("face",))
    assert str(path) in str(error.value)


def test_a_run_without_the_trial_type_has_no_stretch(tmp_path):
    path = tmp_path / "sub-1_task-x_events.tsv"
    path.write_text("onset\tduration\ttrial_type\n1\t20\thouse\n")
    assert annotations.read_events(path, ("face",)).shape == (0, 2)
    assert annotations.on_screen(
        np.array([1.0, 5.0]), annotations.read_events(path, ("face",))
    ).tolist() == [0, 0]
