"""Labels of volumes: the published procedure on the real tables, its two mistakes, BIDS events, and what is refused."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.bold import Run
from neuroface.pipeline import write_json
from volume_study.film_clock import moments_of_volumes, segment_of
from volume_study.labelling import (
    COLUMNS,
    episodes_of,
    event_labels,
    event_volumes,
    file_label,
    film_volumes,
    moved_labels,
    name_events,
    name_own_stimuli,
    shown_once,
)
from volume_study.methods_text import _labels
from volume_study.observers import (
    agreement,
    consensus,
    labels_per_tr,
    read_episodes,
    read_observers,
)
from volume_study.study import STUDY
from volume_study.volumes import balance, keep_frequent

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

STUDY_FOLDER = ROOT / "studies" / "volumes"
OBSERVERS = Path(__file__).parents[1] / "data" / "studyforrest"
SEGMENTS = (
    (0.0, 902.0), (886.0, 1768.0), (1752.0, 2628.0), (2612.0, 3588.0),
    (3572.0, 4496.0), (4480.0, 5358.0), (5342.0, 6426.0), (6410.0, 7086.0),
)  # fmt: skip
LENGTHS = (451, 441, 438, 488, 462, 439, 542, 338)
COUNTS = {
    "FEAR": 236, "SADNESS": 235, "HAPPINESS": 206, "ANGERRAGE": 143, "LOVE": 78, "DISAPPOINTMENT": 25, "ADMIRATION": 18,
    "CONTEMPT": 12, "PRIDE": 11, "COMPASSION": 10, "SHAME": 10, "REMORSE": 9, "GLOATING": 6, "GRATITUDE": 4, "RELIEF": 3,
    "HOPE": 2, "HATE": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def said():
    return labels_per_tr(read_observers(OBSERVERS, "emotion", 7086.0, 5), 2.0)


@pytest.fixture(scope="module")
def votes(said):
    return consensus(said, 5)


def forrest(**settings):
    return SimpleNamespace(
        SEGMENTS=SEGMENTS, TR_S=2.0, **{"LAG_S": 6.0, "FILM_CLOCK": "segments"} | settings
    )


def run_of(subject="sub-01", run="1", movie="movie"):
    name = f"{subject}_task-{movie}_run-{run}"
    return Run(subject, movie, run, name, Path(f"{name}_bold.nii.gz"), None, ())


# ---------------------------------------------------------------- observers


def test_the_published_procedure_labels_1010_of_3526_trs(votes):
    assert len(votes) == 3526 and votes["label"].notna().sum() == 1010
    assert votes["label"].value_counts().to_dict() == COUNTS


def test_the_consensus_is_that_of_a_count_in_plain_python(said, votes):
    for tr in range(0, len(said), 7):
        count = Counter(label for label in said.iloc[tr] if label is not None)
        most = max(count.values(), default=0)
        first = sorted(label for label, n in count.items() if n == most)[:1]
        assert votes["n_observers"][tr] == most
        assert votes["label"][tr] == (first[0] if most >= 5 else None)


def test_later_rows_count_and_trs_are_floor_and_ceil():
    table = pd.DataFrame(
        {"start": [1.0, 3.9, 8.0], "end": [6.1, 4.1, 8.0], "label": ["A", "B", "C"]}
    )
    assert labels_per_tr({"one": table}, 2.0)["one"].tolist() == ["A", "B", "B", "A"]


def test_ties_go_to_the_first_in_the_alphabet():
    said = pd.DataFrame([["B", "A", "B", "A"], [None, None, None, "C"]], dtype=object)
    assert consensus(said, 2)["label"].tolist() == ["A", None]


def test_agreement_is_krippendorffs_alpha_by_its_definition():
    rng = np.random.default_rng(0)
    said = pd.DataFrame(
        rng.choice(np.array(["A", "B", "C", None], dtype=object), (40, 5)), dtype=object
    )
    coincidence = np.zeros(
        (3, 3)
    )  # Krippendorff 2004, chapter 11: pairs within a unit, weighted by 1 / (m − 1)
    for row in said.to_numpy():
        codes = ["ABC".index(label) for label in row if label is not None]
        for i, one in enumerate(codes):
            for j, other in enumerate(codes):
                if i != j:
                    coincidence[one, other] += 1 / (len(codes) - 1)
    n = coincidence.sum(axis=1)
    observed = coincidence.sum() - np.trace(coincidence)
    expected = (n.sum() ** 2 - (n**2).sum()) / (n.sum() - 1)
    assert agreement(said)["named"] == pytest.approx(1 - observed / expected)


def test_observers_who_say_the_same_agree_and_one_alone_cannot():
    same = pd.DataFrame({name: ["A", "B", None, "A"] for name in "xyz"}, dtype=object)
    assert agreement(same) == {"named": 1.0, "with_none": 1.0}
    assert agreement(same[["x"]])["named"] is None


def test_the_methods_text_of_one_observer_states_no_agreement(tmp_path):
    alone = agreement(pd.DataFrame({"x": ["A", None, "B"]}, dtype=object))
    counts = {"observers": 1, "trs": 3, "labelled_trs": 2, "krippendorff_alpha": alone}
    write_json(tmp_path / "1-labels" / "agreement.json", counts)
    settings = {
        "LABEL_SOURCE": "observers",
        "FILM_CLOCK": "segments",
        "MIN_AGREEMENT": 1,
        "LAG_S": 6.0,
    }
    assert "(their agreement is not defined)" in _labels(tmp_path, settings)


GOOD = {"start": [0.0, 4.0], "end": [2.0, 9.0], "emotion": ["A", "B"]}
BAD = {
    "another name": (
        {"emotion": None, "emotoin": ["A", "B"]},
        "has no column 'emotion' \\(did you mean emotoin\\?\\)",
    ),
    "no start": ({"start": None}, "has no column 'start'"),
    "end first": ({"end": [2.0, 3.0]}, r"line 3: the episode 4 – 3 s ends before it starts"),
    "after the film": (
        {"end": [2.0, 99.0]},
        r"line 3: the episode 4 – 99 s is outside the film, which lasts 10 s",
    ),
    "before the film": ({"start": [-1.0, 4.0]}, r"line 2: .* is outside the film"),
    "no number": ({"start": ["soon", 4.0]}, "line 2: start 'soon' is not a number"),
    "no time": ({"start": [0.0, None]}, "line 3: .* is no start and end in seconds"),
    "no label": ({"emotion": [None, None]}, "names no label in its column 'emotion'"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_one_line(tmp_path, name):
    change, message = BAD[name]
    columns = {column: values for column, values in (GOOD | change).items() if values is not None}
    pd.DataFrame(columns).to_csv(tmp_path / "one.csv", index=False)
    with pytest.raises(NeuroFaceError, match=message) as error:
        read_episodes(tmp_path / "one.csv", "emotion", 10.0)
    assert "one.csv" in str(error.value)


def test_a_mark_without_partner_or_a_label_called_null_loses_no_episode(tmp_path):
    """pandas reads one episode of these four, with three others in its label, and takes null and NA for missing."""
    labels = ['"ANGER', "null", "NA", 'FEAR"']
    rows = "".join(f"{2 * k}, {2 * k + 1},{label}\r\n" for k, label in enumerate(labels))
    (tmp_path / "one.csv").write_bytes(f"\ufeffstart,end,emotion\r\n{rows}".encode())
    episodes = read_episodes(tmp_path / "one.csv", "emotion", 10.0)
    assert episodes["label"].tolist() == labels
    assert episodes["start"].tolist() == [0, 2, 4, 6] and episodes["end"].tolist() == [1, 3, 5, 7]


def test_one_observer_only_is_one_line(tmp_path):
    pd.DataFrame(GOOD).to_csv(tmp_path / "one.csv", index=False)
    with pytest.raises(NeuroFaceError, match="holds 1 tables of observers .* MIN_AGREEMENT = 5"):
        read_observers(tmp_path, "emotion", 10.0, 5)
    assert list(read_observers(tmp_path, "emotion", 10.0, 1)) == ["one"]
    with pytest.raises(NeuroFaceError, match="holds 0 tables"):
        read_observers(tmp_path / "nowhere", "emotion", 10.0, 5)


# ---------------------------------------------------------------- the film clock


@pytest.mark.parametrize("part", range(8))
def test_a_volume_shows_the_film_second_of_its_run(part):
    right = moments_of_volumes(LENGTHS[part], part, SEGMENTS, 2.0, 0.0, "segments")
    assert np.array_equal(right * 2, SEGMENTS[part][0] + 2 * np.arange(LENGTHS[part]))
    published = moments_of_volumes(LENGTHS[part], part, SEGMENTS, 2.0, 0.0, "cumulated")
    assert np.array_equal(published, sum(LENGTHS[:part]) + np.arange(LENGTHS[part]))
    assert set((published - right) * 2) == {16 * part}  # 112 s in run 8


def test_a_response_comes_lag_s_later_and_what_came_before_the_run_is_unknown():
    assert moments_of_volumes(6, 1, SEGMENTS, 2.0, 6.0, "segments").tolist() == [
        -1,
        -1,
        -1,
        443,
        444,
        445,
    ]
    assert moments_of_volumes(4, 0, SEGMENTS, 2.0, 5.0, "segments").tolist() == [
        -1,
        -1,
        -1,
        0,
    ]  # 1 s into the first TR


def test_labels_that_move_are_those_of_a_loop_over_volumes(votes):
    names, table = votes["label"].tolist(), moved_labels(dict(enumerate(LENGTHS)), votes, forrest())
    expected = Counter()
    for part, n in enumerate(LENGTHS):
        for t in range(n):
            published = sum(LENGTHS[:part]) + t
            now = int((SEGMENTS[part][0] + 2 * t - 6) // 2) if 2 * t >= 6 else -1
            before = names[published] if published < len(names) else None
            after = names[now] if 0 <= now < len(names) else None
            if before:
                expected["same" if after == before else "other" if after else "none"] += 1
    assert {name: int(table[name].sum()) for name in ("same", "other", "none")} == dict(expected)
    assert table["labelled"].sum() == 1010 and table["drift_s"].tolist() == [
        16.0 * part for part in range(8)
    ]


def test_a_run_that_fits_no_segment_is_one_line():
    assert segment_of(run_of(run="movie-3"), 438, SEGMENTS, 2.0) == 2
    assert (
        segment_of(run_of(run="8"), 300, SEGMENTS, 2.0) == 7
    )  # the end is missing: what there is counts
    for run, n, message in (
        ("2", 470, "has 470 volumes; part 2 of SEGMENTS lasts 441"),
        ("2", 338, "lasts 441. It has the length of part 8"),
        ("9", 100, "is run 9; SEGMENTS has 8 parts"),
        ("movie", 100, "has no run number"),
    ):
        with pytest.raises(NeuroFaceError, match=message):
            segment_of(run_of(run=run), n, SEGMENTS, 2.0)


@pytest.mark.parametrize("clock, lag", [("segments", 6.0), ("cumulated", 0.0)])
def test_studyforrest_gives_5_labels_70_moments_15_people(votes, clock, lag):
    cfg, parts = forrest(FILM_CLOCK=clock, LAG_S=lag), []
    for part, n in enumerate(LENGTHS):
        parts.append(film_volumes(run_of("sub-01", str(part + 1)), n, part, votes, cfg))
    one = pd.concat(parts, ignore_index=True)
    samples, again = shown_once(
        pd.concat([one.assign(subject=f"sub-{k:02d}") for k in range(1, 16)], ignore_index=True)
    )
    assert (again > 0) == (clock == "segments") and samples["moment"].nunique() == 1010
    samples, rare = keep_frequent(samples, 70)
    assert len(rare) == 12 and rare["DISAPPOINTMENT"] == 25
    drawn = balance(samples, "moments", 70, seed=42)
    assert len(drawn) == 5250 and set(drawn["label"].value_counts()) == {70 * 15}
    assert (drawn.groupby("moment")["subject"].nunique() == 15).all()  # the same for all people
    assert drawn.equals(balance(samples, "moments", 70, seed=42))
    assert not drawn["moment"].isin(balance(samples, "moments", 70, seed=1)["moment"]).all()


def test_studyforrest_keeps_every_moment_of_its_five_labels_unless_balance_draws(
    votes, monkeypatch
):
    """The published draw of 70 moments of each label leaves out 548 of 898."""
    monkeypatch.setenv("NEUROFACE_CONFIG", str(STUDY_FOLDER / "experiments" / "studyforrest.py"))
    cfg = STUDY.load_settings(STUDY_FOLDER / "2-load-volumes.py")
    runs = [
        film_volumes(run_of(run=str(part + 1)), n, part, votes, cfg)
        for part, n in enumerate(LENGTHS)
    ]
    samples, _ = shown_once(pd.concat(runs, ignore_index=True))
    frequent, rare = keep_frequent(samples, cfg.MIN_PER_CLASS)
    kept = balance(frequent, cfg.BALANCE, cfg.MIN_PER_CLASS, cfg.SEED)
    observed = {label: n for label, n in COUNTS.items() if label not in rare}
    assert len(observed) == 5 and kept["label"].value_counts().to_dict() == observed


def test_episodes_are_trs_in_a_row_with_one_label():
    assert episodes_of(pd.Series(["A", "A", None, "A", "B", "B"])).tolist() == [0, 0, 1, 2, 3, 3]


def test_a_label_can_be_part_of_a_files_name():
    assert file_label("SADNESS LOVE") == "SADNESSLOVE" and file_label("left/../leg_1") == "leftleg1"


# ---------------------------------------------------------------- BIDS events


def events_run(folder, subject, rows, column="trial_type"):
    path = folder / f"{subject}_events.tsv"
    pd.DataFrame(rows, columns=["onset", "duration", column]).to_csv(
        path, sep="\t", index=False, na_rep="n/a"
    )
    return replace(run_of(subject, "1", "motor"), annotations=(("", path),))


def motor(**settings):
    values = {
        "TR_S": 2.0,
        "LAG_S": 4.0,
        "EVENT_COLUMN": "trial_type",
        "JOIN_GAP_S": 2.0,
        "DATASET_DIR": "d",
    }
    return SimpleNamespace(
        **values | {"EVENT_LABELS": {"leftleg": ("3",), "arm": ("5", "6")}} | settings
    )


def test_integer_trial_types_beside_missing_ones_become_labels(tmp_path):
    run = events_run(
        tmp_path, "sub-01", [(0, 4, 3), (10, 4, 5), (14, 2, 6), (20, 2, None), (22, 2, 4)]
    )
    cfg = motor()
    labels = event_labels([run.annotation_of("")], cfg)
    table, ambiguous = event_volumes(run, 20, labels, cfg)
    table = name_events(table)
    assert ambiguous == 0 and list(table) == COLUMNS
    assert dict(zip(table["tr"], table["label"])) == {
        2: "leftleg",
        3: "leftleg",
        7: "arm",
        8: "arm",
        9: "arm",
    }
    assert table["event"].unique().tolist() == [
        "task-motor_run-1_leftleg_0s",
        "task-motor_run-1_arm_10s",
    ]
    every = event_labels([run.annotation_of("")], motor(EVENT_LABELS={}))
    assert every == {"3": ("3",), "4": ("4",), "5": ("5",), "6": ("6",)}


def test_trial_types_that_differ_in_punctuation_stay_labels(tmp_path):
    run = events_run(tmp_path, "sub-01", [(0, 4, "CS+"), (10, 4, "CS-"), (20, 4, "US")])
    labels = event_labels([run.annotation_of("")], motor(EVENT_LABELS={}))
    assert labels == {"CSplus": ("CS+",), "CSminus": ("CS-",), "US": ("US",)}


@pytest.mark.parametrize(
    ("names", "words"),
    [(("left_hand", "left-hand"), "'left_hand' would be the label 'lefthand', as 'left-hand' is"),
     (("рука", "hand"), "'рука' has no Latin letter or digit")],
)  # fmt: skip
def test_trial_types_that_cannot_be_told_apart_are_named(tmp_path, names, words):
    run = events_run(tmp_path, "sub-01", [(10 * k, 4, name) for k, name in enumerate(names)])
    with pytest.raises(NeuroFaceError, match=f"{words}.*EVENT_LABELS"):
        event_labels([run.annotation_of("")], motor(EVENT_LABELS={}))


def test_string_trial_types_and_volumes_with_two_labels(tmp_path):
    rows = [(0, 6, "leg"), (4, 6, "arm"), (12, 2, "rest")]
    run = events_run(tmp_path, "sub-01", rows, "condition")
    cfg = motor(EVENT_LABELS={"leg": ("leg",), "arm": ("arm",)}, EVENT_COLUMN="condition")
    table, ambiguous = event_volumes(run, 20, cfg.EVENT_LABELS, cfg)
    assert ambiguous == 1 and dict(zip(table["tr"], table["label"])) == {
        2: "leg",
        3: "leg",
        5: "arm",
        6: "arm",
    }


def test_events_that_are_not_there_are_one_line(tmp_path):
    run = events_run(tmp_path, "sub-01", [(0, 4, 3), (10, 4, 5)])
    files = [run.annotation_of("")]
    with pytest.raises(
        NeuroFaceError,
        match="no run of d has an event '9' \\(toe\\). Column 'trial_type' holds '3', '5'",
    ):
        event_labels(files, motor(EVENT_LABELS={"toe": ("9",), "leftleg": ("3",)}))
    with pytest.raises(NeuroFaceError, match="lacks the column 'condition'"):
        event_labels(files, motor(EVENT_COLUMN="condition"))
    one = events_run(tmp_path, "sub-02", [(0, 4, 3)])
    with pytest.raises(NeuroFaceError, match="have 1 trial type"):
        event_labels([one.annotation_of("")], motor(EVENT_LABELS={}))


def test_stimuli_are_shared_only_where_all_saw_the_same_blocks(tmp_path):
    def labelled(rows_of_second):
        cfg, parts = motor(), []
        for subject, rows in (("sub-01", [(0, 4, 3), (10, 4, 5)]), ("sub-02", rows_of_second)):
            parts.append(
                event_volumes(events_run(tmp_path, subject, rows), 20, cfg.EVENT_LABELS, cfg)[0]
            )
        return name_own_stimuli(name_events(pd.concat(parts, ignore_index=True)))

    same, other = labelled([(0, 4, 3), (10, 4, 5)]), labelled([(0, 4, 5), (10, 4, 3)])
    shifted = labelled([(0.01, 4, 3), (9.99, 4, 5)])  # own logs of one stimulus
    assert shifted["stimulus"].nunique() == 1 and shifted["event"].nunique() == 2
    assert (
        same["stimulus"].nunique() == 1 and (same.groupby("moment")["subject"].nunique() == 2).all()
    )
    assert (
        other["stimulus"].nunique() == 2
        and (other.groupby("moment")["subject"].nunique() == 1).all()
    )


# ---------------------------------------------------------------- which volumes are taken


def test_labels_with_too_few_moments_are_left_out_and_counted():
    samples = pd.DataFrame({"label": list("AAABBC"), "moment": list("abcdef"), "subject": "s"})
    kept, rare = keep_frequent(samples, 2)
    assert rare == {"C": 1} and set(kept["label"]) == {"A", "B"}
    with pytest.raises(
        NeuroFaceError, match=r"1 labels have MIN_PER_CLASS = 3 .*\(A 3, B 2, C 1\)"
    ):
        keep_frequent(samples, 3)


def test_each_person_is_balanced_by_its_own_rarest_label():
    rng = np.random.default_rng(0)
    samples = pd.DataFrame(
        {
            "label": rng.choice(list("ABC"), 300, p=[0.6, 0.3, 0.1]),
            "subject": rng.choice(["s", "t"], 300),
        }
    )
    samples["moment"] = np.arange(300).astype(str)
    drawn = balance(samples, "person", 1, 0)
    for subject, part in drawn.groupby("subject"):
        rarest = samples[samples["subject"] == subject]["label"].value_counts().min()
        assert set(part["label"].value_counts()) == {rarest}
    assert drawn.index.is_unique and balance(samples, "none", 1, 0).equals(samples)
