"""When a run shows its film: onsets and durations of events, on names and tables of Emo-FilM (tests/data/emofilm, CC0)."""

import json
from collections import Counter
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.bold import Run, check_film_length, first_volume_s
from neuroface.bold.datasets import find_runs
from neuroface.bold.film_event import check_film_event
from neuroface.face_study import check_clock, describe_annotations
from neuroface.film.regressors import read_regressors, write_regressors
from neuroface.maps.glm import condition_design
from neuroface.timeline.clock import timeline
from volume_study import film_clock
from volume_study.labelling import lag_of_run

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, run_here, script_here, write_config
from nilearn.glm.first_level import make_first_level_design_matrix

TABLE = pd.read_csv(ROOT / "tests" / "data" / "emofilm" / "series.tsv", sep="\t", na_values="n/a")
TR_S = 1.3
EVENT = ("film", "task-scan_acq-{task}_events.tsv")
HEADER = "onset\tduration\ttrial_type\n"
SETTINGS = dict(
    DATASET="bids",
    BIDS_FILTER="space-MNI_",
    FILM_EVENT=EVENT,
    TR_S=TR_S,
    WINDOW_TRS=8,
    MIN_STRETCH_S=10.4,
)


def touch(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def emofilm(folder, table):
    """Emo-FilM's tree with empty series: derivatives/preprocessing, raw series and tables, ratings in beh/."""
    for row in table.itertuples():
        stem = f"{row.subject}_{row.session}_task"
        raw, func = folder / row.subject / row.session, f"{row.subject}/{row.session}/func"
        touch(
            folder
            / "derivatives/preprocessing"
            / func
            / f"{stem}-{row.task}_space-MNI_desc-ppres_bold.nii.gz"
        )
        touch(raw / "func" / f"{stem}-{row.task}_bold.nii.gz")
        touch(raw / "beh" / f"{stem}-{row.task}_events.tsv", HEADER + "0\t2\tfilm\n30\t2\trating\n")
        if np.isfinite(row.film_onset_s):
            end_s = row.film_onset_s + row.film_duration_s
            rows = f"2.8\t90\trest\n{row.film_onset_s}\t{row.film_duration_s}\tfilm\n{end_s + 1}\t90\trest\n"
            touch(raw / "func" / f"{stem}-scan_acq-{row.task}_events.tsv", HEADER + rows)
    return folder


def save_series(path, n_volumes, person):
    """Every voxel of volume v has the value 1000 + v, but one, which tells people apart."""
    values = np.tile(1000 + np.arange(n_volumes, dtype=np.float32), (2, 2, 2, 1))
    values[1, 1, 1] = person
    image = nib.Nifti1Image(values, np.eye(4))
    image.header.set_zooms((1, 1, 1, TR_S))
    image.header.set_xyzt_units("mm", "sec")
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)


# ---------------------------------------------------------------- every run of the data set


def test_every_run_of_emofilm_has_the_onset_of_its_own_table(tmp_path):
    """412 of 416 films have a table; they begin in volume 72 to 74 of their runs, by person."""
    emofilm(tmp_path, TABLE)
    runs, left_out = find_runs(
        "bids", tmp_path, bids_filter="space-MNI_", annotated=False, film_event=EVENT
    )
    wanted = TABLE.dropna().set_index(["subject", "session", "task"])
    assert len(runs) == len(wanted) == 412
    for run in runs:
        row = wanted.loc[(run.subject, f"ses-{run.run}", run.movie)]
        assert (run.film.onset_s, run.film.duration_s) == (row.film_onset_s, row.film_duration_s)
        assert run.film.log.parent.name == "func" and run.film.log in run.files
        assert first_volume_s(run, 500, TR_S) == -row.film_onset_s
    nearest = Counter(round(run.film.onset_s / TR_S) for run in runs)
    assert set(nearest) == {72, 73, 74}
    films = [what for what, why in left_out if "Rest" not in what]
    assert films == ["sub-S01_ses-3_task-BetweenViewings", "sub-S01_ses-3_task-Spaceman",
                     "sub-S01_ses-3_task-ToClaireFromSonny", "sub-S31_ses-2_task-Chatter"]  # fmt: skip
    assert len(left_out) == 34  # and the runs of rest of 30 people
    assert dict(left_out)["sub-S31_ses-2_task-Chatter"].startswith(
        "no sub-S31_ses-2_task-scan_acq-Chatter_events.tsv"
    )


def one_run(folder, rows, film_event, name="sub-01_task-x_run-01"):
    touch(folder / "derivatives/p/sub-01/func/sub-01_task-x_run-1_space-MNI_bold.nii.gz")
    touch(folder / "sub-01/func" / f"{name}_events.tsv", HEADER + rows)
    return find_runs(
        "bids", folder, bids_filter="space-MNI", annotated=False, film_event=film_event
    )


@pytest.mark.parametrize(
    ("rows", "film_event", "name", "expected"),
    [
        ("8.5\t60\tfilm\n", "film", "sub-01_task-x_run-01", (8.5, 60.0)),
        ("8.5\tn/a\tfilm\n", "film", "sub-01_task-x_run-01", (8.5, np.inf)),  # a mark of the beginning
        ("8.5\t0\tfilm\n", "film", "sub-01_task-x_run-01", (8.5, np.inf)),
        ("8.5\t60\tfilm\n", ("film", "task-log_run-{run}_events.tsv"), "sub-01_task-log_run-01", (8.5, 60.0)),
        ("", 8.0, "sub-01_task-x_run-01", (8.0, np.inf)),
    ],
)  # fmt: skip
def test_a_film_begins_at_its_event(tmp_path, rows, film_event, name, expected):
    (run,), left_out = one_run(tmp_path, rows, film_event, name)
    assert (run.film.onset_s, run.film.duration_s) == expected and left_out == []


def test_a_log_that_does_not_say_when_the_film_begins_is_named(tmp_path):
    with pytest.raises(
        NeuroFaceError,
        match=r"has no event 'film' \(did you mean films\?\), which FILM_EVENT names",
    ):
        one_run(tmp_path / "a", "8\t60\tfilms\n", "film")
    with pytest.raises(NeuroFaceError, match=r"has 2 events 'film', at 8, 90 s"):
        one_run(tmp_path / "b", "8\t60\tfilm\n90\t60\tfilm\n", "film")
    with pytest.raises(
        NeuroFaceError,
        match=r"names an entity in braces that a series lacks; it has sub, task, run",
    ):
        one_run(tmp_path / "c", "8\t60\tfilm\n", ("film", "task-log_ses-{ses}_events.tsv"))
    with pytest.raises(ValueError, match="ends with _events.tsv"):
        check_film_event(("film", "task-log_{task}"))


# ---------------------------------------------------------------- lengths


@pytest.mark.parametrize(
    ("film_s", "run_s", "onset_s", "shown_s", "says"),
    [
        (490.0, 683.8, None, None, "error: lasts 683.8 s, its film 490.0 s"),  # 94 s of rest before, 100 s after
        (490.0, 539.0, None, None, None),  # 10 %
        (490.0, 683.8, 93.8, 490.0, None),
        (470.4, 683.8, 93.8, 490.0, "error: the film lasts 470.4 s by film.mp4, and 490.0 s by its event"),  # PAL
        (57.6, 200.0, 94.0, 60.0, "error: 4.0% less"),
        (596.5, 683.8, 93.8, 490.0, "the last 106.5 s of its film, which lasts 596.5 s by film.mp4"),  # with credits
        (489.0, 683.8, 93.8, 490.0, None),
        (400.0, 683.8, 93.8, np.inf, None),  # a mark of the beginning states no length
    ],
)  # fmt: skip
def test_lengths_of_film_event_and_run_are_compared(film_s, run_s, onset_s, shown_s, says):
    film = (
        None
        if onset_s is None
        else SimpleNamespace(onset_s=onset_s, duration_s=shown_s, log="log.tsv")
    )
    run = SimpleNamespace(bold="bold.nii.gz", film=film)
    if says and says.startswith("error: "):
        with pytest.raises(NeuroFaceError, match=says.removeprefix("error: ")):
            check_film_length(run, run_s, film_s, source="film.mp4")
        return
    remark = check_film_length(run, run_s, film_s, source="film.mp4")
    assert (remark is None) if says is None else remark.startswith(says)


# ---------------------------------------------------------------- the face study, script 1


@pytest.fixture
def study(tmp_path):
    """Two people of Emo-FilM whose films begin half a second apart; an annotation as script 0 writes it; settings."""
    rows = TABLE[(TABLE["task"] == "BigBuckBunny") & TABLE["film_onset_s"].notna()].sort_values(
        "film_onset_s"
    )
    rows = rows.iloc[[0, -1]]
    folder = emofilm(tmp_path / "ds004892", rows)
    for person, row in enumerate(rows.itertuples()):
        stem = f"{row.subject}/{row.session}/func/{row.subject}_{row.session}_task-{row.task}"
        for name in (f"derivatives/preprocessing/{stem}_space-MNI_desc-ppres", stem):
            save_series(folder / f"{name}_bold.nii.gz", row.n_volumes, person)
    mask = np.ones((2, 2, 2), np.uint8)
    mask[1, 1, 1] = 0
    nib.save(nib.Nifti1Image(mask, np.eye(4)), tmp_path / "mask.nii.gz")
    stimuli = tmp_path / "films" / "stimuli"
    faces = [
        (0.0, 12.0),
        (40.0, 20.0),
        (100.0, 15.0),
        (300.0, 12.0),
        (480.0, 30.0),
    ]  # the last goes on into the credits
    annotate(stimuli, faces, 490.0)
    settings = SETTINGS | {
        "DATASET_DIR": str(folder), "FILM_DIR": str(tmp_path / "films"), "DATA_DIR": str(tmp_path / "data"),
        "RUN_NAME": "emofilm", "MASK_FILE": str(tmp_path / "mask.nii.gz"), "BALANCE": "none", "STANDARDIZE": "none",
        "ROI_FILE": None, "BASELINES": ("linear",),
    }  # fmt: skip
    onsets = dict(zip(rows["subject"], rows["film_onset_s"]))
    return SimpleNamespace(
        folder=tmp_path, stimuli=stimuli, faces=faces, settings=settings, onsets=onsets, rows=rows
    )


def annotate(stimuli, faces, length_s):
    rows = "".join(f"{onset}\t{duration}\tface\n" for onset, duration in faces)
    touch(stimuli / "task-BigBuckBunny_events.tsv", HEADER + rows)
    touch(stimuli / "task-BigBuckBunny_events.json", json.dumps({"LengthS": length_s}))


def run_script_1(study, **changed):
    return run_here(1, write_config(study.folder / "config.py", **study.settings | changed))


def test_windows_lie_on_the_film_of_each_person(study):
    """A window of a stretch at film second s begins with volume floor((onset + s + LAG) / TR) of that person's run."""
    done = run_script_1(study)
    assert done.returncode == 0, done.stderr
    tables = {}
    for subject, onset_s in study.onsets.items():
        (file,) = (study.folder / "data/emofilm/1-windows" / subject).glob("*_windows.tsv")
        table = tables[subject] = pd.read_csv(file, sep="\t")
        faces = table[table["label"] == "face"]
        assert faces["onset_s"].tolist() == [
            0.0,
            40.0,
            100.0,
            300.0,
        ]  # of the last, 10.007 s are shown: too short
        wanted = np.floor((onset_s + table["onset_s"] + 4.0) / TR_S + 1e-6).astype(int)
        assert table["first_tr"].tolist() == wanted.tolist()
        windows = np.load(file.with_suffix(".npy"))
        np.testing.assert_array_equal(
            windows[:, 0], 1000 + wanted.to_numpy()[:, None] + np.arange(8)
        )
    first, second = tables.values()
    assert first["event"].tolist() == second["event"].tolist()
    assert (first["first_tr"] != second["first_tr"]).any()
    assert "the last 20.0 s of its film, which lasts 510.0 s" in done.stdout
    assert "its first volume shows second -93." in done.stdout
    early_s = np.concatenate(
        [
            study.onsets[who] + table["onset_s"] + 4.0 - table["first_tr"] * TR_S
            for who, table in tables.items()
        ]
    )
    report = (study.folder / "data/emofilm/report.html").read_text()
    assert (
        f"on average {early_s.mean():.2f} s before onset + LAG_S" in report
        and 0 < early_s.mean() < TR_S
    )


def test_without_film_event_a_run_much_longer_than_its_film_stops(study):
    done = run_script_1(study, FILM_EVENT=None)
    assert (
        done.returncode == 1
        and "its film 490.0 s by the annotation task-BigBuckBunny_events.tsv" in done.stderr
    )
    assert "FILM_EVENT" in done.stderr
    done = run_script_1(study, FILM_EVENT=0.0, RUN_NAME="as-stated")  # who says so is believed
    assert done.returncode == 0, done.stderr


def test_another_copy_of_the_film_stops(study):
    annotate(study.stimuli, study.faces[:4], 470.4)
    done = run_script_1(study)
    assert (
        done.returncode == 1
        and "the film lasts 470.4 s" in done.stderr
        and "490.0 s by its event" in done.stderr
    )


def test_events_of_the_run_itself_count_from_the_run(study):
    """Film and faces in one log: second 104 of the run is second 10 of a film that begins at 94 s."""
    rows = study.rows.iloc[:1]
    for row in rows.itertuples():
        func = study.folder / "ds004892" / row.subject / row.session / "func"
        log = HEADER + "94\t490\tfilm\n50\t20\tface\n104\t12\tface\n150\t14\tface\n575\t30\tface\n"
        touch(func / f"{row.subject}_{row.session}_task-BigBuckBunny_events.tsv", log)
    other = study.rows["subject"].iloc[1]
    done = run_script_1(study, FILM_EVENT="film", EXCLUDE=(other,))
    assert done.returncode == 0, done.stderr
    (file,) = (study.folder / "data/emofilm/1-windows").glob("*/*_windows.tsv")
    table = pd.read_csv(file, sep="\t")
    faces = table[table["label"] == "face"]
    assert faces["onset_s"].tolist() == [
        10.0,
        56.0,
    ]  # before the film there is none, and 9 s of the last are shown
    assert faces["first_tr"].tolist() == [int((104 + 4) / TR_S), int((150 + 4) / TR_S)]


def test_seconds_of_another_unit_stop(study):
    annotate(study.stimuli, [(25 * onset, 25 * duration) for onset, duration in study.faces], 490.0)
    done = run_script_1(study)
    assert (
        done.returncode == 1
        and "goes on to second 12,750" in done.stderr
        and "frames" in done.stderr
    )


# ---------------------------------------------------------------- labelled volumes, film and brain


def test_volumes_carry_the_moment_of_a_film_that_begins_after_the_run():
    """A part of 20 s from film second 40 on, shown from second 9 of a run of 20 volumes of 2 s; delay 4 s."""
    film = SimpleNamespace(onset_s=9.0, duration_s=20.0, log="log.tsv")
    run = SimpleNamespace(bold="bold.nii.gz", run="2", film=film)
    segments = ((0.0, 40.0), (40.0, 60.0))
    assert film_clock.segment_of(run, 20, segments, 2.0) == 1
    moments = film_clock.moments_of_volumes(20, 1, segments, 2.0, 4.0 + 9.0, "segments")
    second = 2 * np.arange(20) - 13 + 40  # of the film, the delay taken off
    shown = (second >= 40) & (second < 60)
    assert moments.tolist() == np.where(shown, second // 2, -1).tolist()
    with pytest.raises(
        NeuroFaceError, match="lasts 20.0 s by part 2 of SEGMENTS, and 21.0 s by its event"
    ):
        longer = SimpleNamespace(onset_s=9.0, duration_s=21.01, log="l")
        film_clock.segment_of(SimpleNamespace(bold="b", run="2", film=longer), 20, segments, 2.0)


def test_the_shipped_experiments_of_emofilm_find_every_run(tmp_path):
    """Film and brain, both files: data set's root, series in derivatives/preprocessing, row 0 is volume 72 to 74."""
    viewings_of = pytest.importorskip("film_encoding.viewings")
    part = TABLE[
        TABLE["task"].isin(["Rest", "Chatter"])
        & TABLE["subject"].isin(["sub-S01", "sub-S02", "sub-S31"])
    ]
    emofilm(tmp_path, part)
    for row in part.itertuples():
        stem = f"{row.subject}/{row.session}/func/{row.subject}_{row.session}_task-{row.task}"
        for name in (f"derivatives/preprocessing/{stem}_space-MNI_desc-ppres", stem):
            save_series(tmp_path / f"{name}_bold.nii.gz", row.n_volumes, 1)
    for name in ("emofilm.py", "emofilm_published.py"):
        changes = {}
        exec((ROOT / "studies/film_encoding/experiments" / name).read_text(), changes)
        settings = {key: changes[key] for key in ("BIDS_FILTER", "FILM_EVENT")}
        cfg = SimpleNamespace(
            DATASET_DIR=tmp_path, EXCLUDE=(), INCLUDE=(), RAW_DIR=None, FILMS=(), TR_S=TR_S,
            FILM_RUNS="one", **settings
        )  # fmt: skip
        viewings, left_out = viewings_of.find_viewings(cfg)
        assert [one.run.subject for one in viewings.pop("Chatter")] == [
            "sub-S01",
            "sub-S02",
        ] and not viewings
        assert sorted(what for what, _ in left_out) == [
            "sub-S01_ses-1_task-Rest", "sub-S02_ses-1_task-Rest", "sub-S31_ses-1_task-Rest", "sub-S31_ses-2_task-Chatter"
        ]  # fmt: skip
    config = tmp_path / "emofilm.py"
    text = (ROOT / "studies/film_encoding/experiments/emofilm.py").read_text()
    paths = {"DATASET_DIR": str(tmp_path), "DATA_DIR": str(tmp_path / "nothing")}
    config.write_text(text + "".join(f"{key} = {value!r}\n" for key, value in paths.items()))
    done = script_here(ROOT / "studies/film_encoding/1-cut_film.py", config, "--check")
    printed = " ".join(done.stdout.split())
    # Row 0 of the film is volume 72 of 1.3 s; the chunk's response is 4 volumes later.
    assert "2 people with 2 runs that can be used, 1 film or task: Chatter 2" in printed
    assert "sub-S01 ses-3_task-Chatter 463 93.858 391" in printed
    assert f"first chunk: 0 → {(72 + 4) * TR_S:g} (all runs)" in printed
    assert "left out: sub-S31_ses-2_task-Chatter" in printed
    wrong = [line for line in done.stdout.splitlines() if line.startswith("  wrong: ")]
    # Films and the atlas are not part of the data set.
    assert ["FILM_DIR" in wrong[0], "ATLAS_FILE" in wrong[1], len(wrong)] == [True, True, 2]
    assert done.returncode == 1 and not (tmp_path / "nothing").exists()


def test_a_film_file_is_cut_to_what_was_shown():
    viewings_of = pytest.importorskip("film_encoding.viewings")

    def viewing(shown_s, film=True):
        run = SimpleNamespace(
            bold="b", name="x", film=SimpleNamespace(duration_s=shown_s, log="l") if film else None
        )
        return viewings_of.Viewing(run, 72, 454, 93.8, shown_s)

    people = [viewing(490.007), viewing(490.012)]
    assert viewings_of.shown_s(people, 490.0, TR_S, "a.mp4") == (490.0, None)
    end_s, left_out = viewings_of.shown_s(people, 596.5, TR_S, "a.mp4")
    assert end_s == 490.007 and left_out.startswith("the last 106.5 s of its film")
    with pytest.raises(NeuroFaceError, match="470.4 s by a.mp4, and 490.0 s by its event"):
        viewings_of.shown_s(people, 470.4, TR_S, "a.mp4")
    with pytest.raises(NeuroFaceError, match="b lasts 683.8 s, its film 490.0 s by a.mp4"):
        viewings_of.shown_s([viewing(np.inf, film=False)], 490.0, TR_S, "a.mp4")
    kept, stopped = viewings_of.drop_interrupted([*people, viewing(200.0)])
    assert kept == people and stopped == [("x", "its film lasted 200.0 s, others' 490.0 s")]


def test_the_delay_of_volumes_counts_from_when_their_slices_were_taken(tmp_path):
    """StudyForrest through fMRIPrep: StartTime 0.97 s. Volume v then shows second 2 v + 0.97 of its part."""
    sidecar = touch(
        tmp_path / "sub-01_ses-movie_task-movie_run-1_space-MNI_desc-preproc_bold.json",
        '{"StartTime": 0.97}',
    )
    run = Run("sub-01", "movie", "movie-1", "sub-01_ses-movie_task-movie_run-1", sidecar.with_suffix(".nii.gz"), None, (),
              sidecars=(sidecar,))  # fmt: skip
    lag_s = lag_of_run(run, 451, SimpleNamespace(LAG_S=6.0, TR_S=2.0))
    assert lag_s == pytest.approx(6.0 - 0.97)
    moments = film_clock.moments_of_volumes(451, 0, ((0.0, 902.0),), 2.0, lag_s, "segments")
    second = 2 * np.arange(451) + 0.97 - 6.0  # of the film, 6 s before the volume was taken
    assert moments.tolist() == np.where(second >= 0, second // 2, -1).tolist()


# ---------------------------------------------------------------- what else has the clock of the
# film


def test_film_regressors_follow_the_film_into_the_run(tmp_path):
    """A film that begins in second 9.1 of a run of 2 s volumes and was shown for 40 s of 60."""
    values = np.sin(np.arange(50) / 5)
    write_regressors(
        tmp_path,
        "task-x",
        pd.DataFrame({"time_s": 2.0 * np.arange(50), "brightness": values}),
        2.0,
        {},
    )
    found = read_regressors(
        tmp_path / "task-x_film-regressors.tsv", 2.0, 45, start_s=-9.1, film_s=40.0
    )["brightness"]
    film_s = 2.0 * np.arange(45) - 9.1
    shown = (film_s >= 0) & (film_s <= 40)
    np.testing.assert_allclose(
        found[shown], np.interp(film_s[shown], 2.0 * np.arange(50), values), atol=1e-6
    )
    assert (found[film_s < 0] == found[0]).all()  # nothing is on the screen
    assert np.allclose(
        found[film_s >= 40 + 32], values[-1], atol=1e-6
    )  # the response has faded, and no credits came


def test_the_glm_of_a_run_that_begins_before_its_film_is_nilearns():
    """Events on the film's clock, and a first volume that shows second -93.8 of it."""
    on_film = np.array([[0.0, 12.0], [40.0, 20.0], [100.0, 15.0]])
    found = condition_design(on_film, None, np.ones(200, bool), TR_S, start_s=-93.8)["first"]
    events = pd.DataFrame(
        {"onset": on_film[:, 0] + 93.8, "duration": on_film[:, 1], "trial_type": "first"}
    )
    nilearns = make_first_level_design_matrix(
        np.arange(200) * TR_S, events, hrf_model="spm", drift_model=None
    )["first"]
    np.testing.assert_allclose(found.to_numpy(), nilearns.to_numpy(), atol=1e-9)


def test_after_the_film_there_is_no_truth():
    """Script 8: rest after the film shows neither condition."""
    stretches = np.array([[2.0, 4.0], [10.0, 4.0]])
    table = timeline(np.zeros(30), stretches, None, 1.0, 4.0 + 3.0, 4, 0.0, 3.0, film_s=15.0)
    second = np.arange(30) - 7.0  # of the film
    known = (second >= 0) & (second < 15)
    assert table["truth"].notna().tolist() == known.tolist()
    assert table.loc[known, "truth"].tolist() == [
        int(2 <= s < 6 or 10 <= s < 14) for s in second[known]
    ]


def test_an_annotation_that_goes_on_after_the_run_is_named(tmp_path):
    annotation = touch(tmp_path / "stimuli" / "task-x_face-annotation.1D", "0 10\n50 10\n170 20\n")
    cfg = SimpleNamespace(DATASET="bids", LABELS=("face", "noface"), LABEL_EVENTS={"face": ("face",), "noface": ()},
                          TR_S=1.0, EVENT_COLUMN="trial_type", JOIN_GAP_S=2.0, MIN_STRETCH_S=10.0)  # fmt: skip
    run = Run(
        "sub-01",
        "x",
        "1",
        "sub-01_task-x",
        tmp_path / "sub-01_task-x_bold.nii.gz",
        None,
        (("face", annotation),),
    )
    assert check_clock(run, 120, cfg) == [
        "its annotation from second 120 to 190: the run ends before"
    ]
    assert check_clock(run, 190, cfg) == []


def test_a_run_of_nndb_that_goes_on_after_its_film_is_named_and_goes_on(tmp_path):
    """FILM_EVENT is for BIDS, so its advice would lead nowhere."""
    annotation = touch(tmp_path / "stimuli" / "task-x_face-annotation.1D", "0 10\n20 10\n")
    touch(tmp_path / "stimuli" / "task-x_events.json", '{"LengthS": 36.0}')
    cfg = SimpleNamespace(DATASET="nndb-v1", LABELS=("face", "noface"), LABEL_EVENTS={"face": ("face",), "noface": ()},
                          TR_S=1.0, EVENT_COLUMN="trial_type", JOIN_GAP_S=2.0, MIN_STRETCH_S=10.0)  # fmt: skip
    run = Run(
        "sub-1",
        "x",
        "1",
        "sub-1_task-x",
        tmp_path / "sub-1_task-x_bold.nii.gz",
        None,
        (("face", annotation),),
    )
    (remark,) = check_clock(run, 200, cfg)
    assert remark.startswith("its last 164 s: its film ends at second 36")


def test_an_annotation_of_a_whole_film_does_not_serve_its_parts(tmp_path):
    """Both runs would get the first half of it."""
    annotation = touch(tmp_path / "stimuli" / "task-x_face-annotation.1D", "0 10\n50 10\n170 20\n")
    cfg = SimpleNamespace(LABELS=("face", "noface"), LABEL_EVENTS={"face": ("face",), "noface": ()}, TR_S=TR_S,
                          EVENT_COLUMN="trial_type")  # fmt: skip
    runs = []
    for number in (1, 2):
        bold = tmp_path / f"sub-01_task-x_run-{number}_bold.nii.gz"
        save_series(bold, 100, number)
        name = bold.name.removesuffix("_bold.nii.gz")
        runs.append(Run("sub-01", "x", f"{number}", name, bold, None, (("face", annotation),)))
    with pytest.raises(
        NeuroFaceError,
        match="goes on to second 190 and serves sub-01_task-x_run-1 and sub-01_task-x_run-2",
    ):
        describe_annotations(runs, cfg)
    annotation.write_text("0 10\n50 10\n100 20\n")  # the film was shown twice
    assert describe_annotations(runs, cfg) == []
