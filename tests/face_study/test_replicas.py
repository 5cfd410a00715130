"""The shipped experiment of a public data set finds every run of its replica, on the right clock.

BOLD holds 1000 + volume number, so the content of a window says which volumes it is made of.
"""

import numpy as np
import pandas as pd
import pytest
import replicas
from conftest import ROOT, run_here, script_here, write_config

VOLUMES = ROOT / "studies" / "volumes"
RAW_VALUES = dict(STANDARDIZE="none", DENOISE="none", BALANCE="none", N_JOBS=1)


def config_of(experiment, folder, **changes):
    """An experiment file as shipped, with the paths of a replica and BOLD as it is."""
    path = folder / f"config-{len(list(folder.glob('config-*')))}.py"
    text = experiment.read_text() if experiment else ""
    path.write_text(text + "".join(f"{name} = {value!r}\n" for name, value in changes.items()))
    return path


def windows_of(root):
    """Table of all windows, and the volumes (n, window_trs) that each is made of, read from its content."""
    tables, volumes = [], []
    for file in sorted(root.glob("1-windows/sub-*/*_windows.npy")):
        tables.append(pd.read_csv(file.with_suffix(".tsv"), sep="\t", dtype={"run": str}))
        inside = np.load(file)
        assert (
            np.ptp(inside, axis=1).max(initial=0) == 0
        )  # all voxels of a window hold the same: the mask is the brain
        volumes.append(inside[:, 0] - 1000)
    return pd.concat(tables, ignore_index=True), np.concatenate(volumes)


# ---------------------------------------------------------------- Haxby 2001, ds000105


@pytest.fixture(scope="module")
def haxby(tmp_path_factory):
    return replicas.haxby(tmp_path_factory.mktemp("haxby"))


@pytest.mark.parametrize("which", ["raw", "MNI"])
def test_haxby(haxby, tmp_path, which):
    """Blocks at 12, 48 … 264 s; a window starts 5 s later: volume (onset + 5) / 2.5, rounded down."""
    raw, derivative = haxby
    if which == "raw":
        changes = dict(DATASET_DIR=str(raw))
    else:  # events and sidecars: from the raw data set beside it, whose name no program can guess
        changes = dict(DATASET_DIR=str(derivative), RAW_DIR=str(raw), SPACE="MNI", INCLUDE=(),
                       BIDS_FILTER="space-MNI152NLin2009cAsym")  # fmt: skip
    config = config_of(
        ROOT / "experiments" / "haxby2001.py",
        tmp_path,
        DATA_DIR=str(tmp_path),
        **RAW_VALUES | changes,
    )
    done = run_here(1, config)
    assert done.returncode == 0, done.stderr
    people = 1 if which == "raw" else 2
    table, volumes = windows_of(tmp_path / "haxby2001")
    assert len(table) == people * 3 * 8 and set(table["subject"]) == {"sub-1", "sub-2"} - {
        "sub-2" if people == 1 else ""
    }
    for _, run in table.groupby(["subject", "run"]):
        assert (
            sorted(run["onset_s"]) == list(replicas.BLOCK_ONSETS_S)
            and (run["label"] == "face").sum() == 1
        )
    first = [int((onset + 5) / 2.5) for onset in table["onset_s"]]
    np.testing.assert_array_equal(volumes, np.array(first)[:, None] + np.arange(4))
    said = f"{people * 288} trials with gaps of at most JOIN_GAP_S = 2 s are joined to {people * 24} stretches of 24 s."
    assert said in done.stdout
    assert ("it was computed from the BOLD" in done.stdout) == (which == "raw")


def test_haxbys_raw_data_of_several_people_are_not_pooled(haxby, tmp_path):
    config = config_of(ROOT / "experiments" / "haxby2001.py", tmp_path, DATASET_DIR=str(haxby[0]), DATA_DIR=str(tmp_path),
                       INCLUDE=(), **RAW_VALUES)  # fmt: skip
    done = run_here(1, config)
    assert done.returncode == 1 and "voxels of 2 people do not correspond" in done.stderr


# ---------------------------------------------------------------- somatotopy, ds004044


def test_somatotopy(tmp_path):
    """The published derivative: each person's own space, so one person; a label's volumes lie LAG_S after its block."""
    root, _ = replicas.somatotopy(tmp_path / "ds004044")
    changes = dict(
        DATASET_DIR=str(root), DATA_DIR=str(tmp_path), STANDARDIZE="none", MIN_PER_CLASS=2
    )
    config = config_of(VOLUMES / "experiments" / "somatotopy.py", tmp_path, **changes)
    first, second = (script_here(next(VOLUMES.glob(f"{n}-*.py")), config) for n in (1, 2))
    assert first.returncode == 0 == second.returncode, first.stderr + second.stderr
    samples = pd.read_csv(tmp_path / "somatotopy" / "2-dataset" / "samples.tsv", sep="\t")
    assert set(samples["subject"]) == {"sub-01"} and samples["run"].nunique() == 2
    codes = {"leftleg": 3, "rightleg": 4, "forearm": 5, "upperarm": 6}
    for (person, run), part in samples.groupby(["subject", "run"]):
        number = int(str(run).split("-")[-1])
        log = (
            root
            / person
            / "ses-1"
            / "func"
            / f"{person}_ses-1_task-motor_run-{number:02d}_events.tsv"
        )
        events = pd.read_csv(log, sep="\t").set_index("onset")["trial_type"]
        shown = [events[(tr * 2.0 - 6.0) // 16 * 16] for tr in part["tr"]]
        assert shown == [codes[label] for label in part["label"]]
    X = np.load(tmp_path / "somatotopy" / "2-dataset" / "X.npy")
    np.testing.assert_array_equal(
        X, np.repeat(1000 + samples["tr"].to_numpy()[:, None], X.shape[1], axis=1)
    )
    made_from = (tmp_path / "somatotopy" / "2-dataset" / "manifest.json").read_text()
    assert "_bold_denoised.nii.gz" in made_from and "it was computed from the BOLD" in second.stdout


# ---------------------------------------------------------------- StudyForrest, ds000113


def test_studyforrest(tmp_path):
    """Eight runs each, no localizer; a volume shows 0.971 s after its beginning (StartTime); labels come LAG_S later."""
    root = replicas.studyforrest(tmp_path / "ds000113-fmriprep")
    changes = dict(
        DATASET_DIR=str(root),
        DATA_DIR=str(tmp_path),
        OBSERVER_DIR=str(ROOT / "tests/data/studyforrest"),
    )
    config = config_of(VOLUMES / "experiments" / "studyforrest.py", tmp_path, **changes)
    done = script_here(next(VOLUMES.glob("1-*.py")), config)
    assert done.returncode == 0, done.stderr
    left_out = [line for line in done.stdout.splitlines() if line.startswith("  left out: ")]
    assert left_out and all(
        "two runs showed their moment" in line for line in left_out
    )  # parts overlap; no run is lost
    samples = pd.read_csv(tmp_path / "studyforrest" / "1-labels" / "samples.tsv", sep="\t")
    assert samples.groupby("subject")["run"].nunique().tolist() == [8, 8]
    starts = (0, 886, 1752, 2612, 3572, 4480, 5342, 6410)
    part = samples["stimulus"].str.extract(r"part-(\d)")[0].astype(int)
    acquired_s = np.array(starts)[part - 1] + samples["tr"] * 2.0 + 0.971
    late_s = (
        acquired_s - samples["onset_s"]
    )  # onset_s: the TR of the film whose label a volume carries
    assert (late_s >= 6 - 1e-6).all() and (late_s < 8).all()


# ---------------------------------------------------------------- NNDb, ds002837

FILM = "split"
PEOPLE = {"sub-69": (FILM, 6739, 6740), "sub-71": (FILM, 6739, 6735)}
STRETCHES = {FILM: [(o, 15.0 if o % 400 else 25.0) for o in np.arange(100.0, 6600, 50)]}
CENSORED = (205, 206, 3001)


@pytest.fixture(scope="module")
def nndb(tmp_path_factory):
    return replicas.nndb(tmp_path_factory.mktemp("nndb") / "ds002837", PEOPLE, STRETCHES, CENSORED)


def cut_nndb(nndb, folder, dataset, variant, **changes):
    folder.mkdir(exist_ok=True)
    config = write_config(folder / f"{dataset}.py", DATASET=dataset, DATASET_DIR=str(nndb), DATA_DIR=str(folder),
                          RUN_NAME=dataset, NNDB_VARIANT=variant, **RAW_VALUES | changes)  # fmt: skip
    return run_here(1, config)


def nndb_windows(nndb, folder, dataset, variant="blur_no_censor_ica"):
    done = cut_nndb(nndb, folder, dataset, variant)
    assert done.returncode == 0, done.stderr
    return *windows_of(folder / dataset), done.stdout


def test_version_1_is_on_the_clock_of_the_film(nndb, tmp_path):
    table, volumes, printed = nndb_windows(nndb, tmp_path, "nndb-v1")
    np.testing.assert_array_equal(volumes[:, 0], np.floor(table["onset_s"] + 4))
    assert "auses" not in printed


def film_second_of(subject):
    """Film second of each volume of version 2, from the laboratory's log of times (ms) of sub-71.

    A run's first volume comes lost_start before the film goes on; the volume that a pause cuts is
    dropped, and the player jumps by ``rewind``: general_set_variables.sh of
    github.com/lab-lab/nndb.
    """
    logs = {
        "sub-71": ([(1561393012036, 1561394387483), (1561394436256, 1561395885062), (1561395939223, 1561397583942)],
                   [0.555, -0.914, 0.827], [0.122, 0.121, 0.123, 0.121], [1375, 1448, 1644, 2268]),
    }  # fmt: skip
    played, jumps, late, volumes = logs[subject]
    film_s, position = [], 0.0
    for run, n in enumerate(volumes):
        film_s.append(position - late[run] + np.arange(n))
        if run < len(played):
            position += (played[run][1] - played[run][0]) / 1000 + jumps[run]
    return np.concatenate(film_s)


def test_version_2_is_moved_by_the_pauses_of_each_person(nndb, tmp_path):
    """sub-71 has three pauses: its volumes are up to 2.3 s behind the film."""
    table, volumes, printed = nndb_windows(nndb, tmp_path, "nndb-v2")
    mine = (table["subject"] == "sub-71").to_numpy()
    shown_s = film_second_of("sub-71")[volumes[mine, 0].astype(int)]
    onset_s = table["onset_s"].to_numpy()[mine]
    in_a_break = [any(abs(o - b) < 12 for b in (1375, 2825, 4469)) for o in onset_s]
    behind_s = shown_s - onset_s - 4.0
    assert (
        np.abs(behind_s[~np.array(in_a_break)] + 0.5) <= 0.51
    ).all()  # the volume at or before onset + LAG_S
    unmoved_s = film_second_of("sub-71")[np.floor(onset_s[-1] + 4).astype(int)] - onset_s[-1] - 4
    assert unmoved_s > 2.2  # before: 2.3 s late at the end of the film
    assert "Pauses of the film move the windows of 2 people by up to 2.32 s (sub-71)" in printed


def test_windows_that_span_a_break_of_the_scan_are_left_out_and_counted(nndb, tmp_path):
    """Known from the laboratory's log of sub-71: its runs have 1375, 1448, 1644 and 2268 volumes."""
    begins = np.cumsum([1375, 1448, 1644])
    table, volumes, printed = nndb_windows(nndb, tmp_path, "nndb-v2")
    mine = volumes[(table["subject"] == "sub-71").to_numpy()]
    assert not any((window[0] < b <= window[-1]) for window in mine for b in begins)
    # sub-69 and version 1, which has the film's own clock, show what is missing.
    v1, _, printed_v1 = nndb_windows(nndb, tmp_path, "nndb-v1")
    lost = (v1["subject"] == "sub-71").sum() - len(mine)
    assert (
        lost > 0
        and f"left out: sub-71_task-split: {lost} windows that span a break of the scan" in printed
    )
    assert "break of the scan" not in printed_v1


def test_censored_series_of_full_length_lose_the_windows_that_touch_a_marked_volume(nndb, tmp_path):
    """Series of version 2 keep all volumes; censored ones are 0 in all voxels."""
    whole, whole_volumes, _ = nndb_windows(nndb, tmp_path, "nndb-v2")
    table, volumes, printed = nndb_windows(nndb, tmp_path / "censor", "nndb-v2", "blur_censor")
    touches = np.isin(whole_volumes, CENSORED).any(axis=1)
    assert touches.sum() >= 2
    pd.testing.assert_frame_equal(table, whole[~touches].reset_index(drop=True))
    np.testing.assert_array_equal(volumes, whole_volumes[~touches])
    assert "windows that touch one of 3" in printed


def test_censored_volumes_count_neither_for_the_mean_nor_for_the_sd(nndb, tmp_path):
    """As zeros they would: the brain's values are 1,000 and more."""
    done = cut_nndb(nndb, tmp_path, "nndb-v2", "blur_censor", STANDARDIZE="zscore")
    assert done.returncode == 0, done.stderr
    for subject, (_, _, n) in PEOPLE.items():
        (file,) = (tmp_path / "nndb-v2" / "1-windows" / subject).glob("*_windows.npy")
        first = pd.read_csv(file.with_suffix(".tsv"), sep="\t")["first_tr"].to_numpy()
        kept = np.delete(np.arange(n), CENSORED)
        expected = (first[:, None] + np.arange(10) - kept.mean()) / kept.std()
        np.testing.assert_allclose(np.load(file)[:, 0], expected, atol=1e-5)


def test_a_volume_that_is_empty_and_not_listed_stops_the_script(nndb, tmp_path):
    root = replicas.nndb(tmp_path / "ds", {"sub-69": PEOPLE["sub-69"]}, STRETCHES, CENSORED)
    list_file = next(root.rglob("*_censored_timepoints.1D"))
    marks = np.loadtxt(list_file, dtype=int)
    marks[CENSORED[0]] = 1
    np.savetxt(list_file, marks, fmt="%d")
    done = cut_nndb(root, tmp_path, "nndb-v2", "blur_censor")
    assert (
        done.returncode == 1
        and f"volume {CENSORED[0] + 1} is 0 in all voxels of the mask" in done.stderr
    )


# ---------------------------------------------------------------- fMRIPrep 25


@pytest.mark.parametrize("sessions", [(), ("ses-1", "ses-2")])
def test_a_plain_derivative_beside_its_raw_data(tmp_path, sessions):
    raw, derivative = replicas.fmriprep25(tmp_path / "project", sessions)
    config = config_of(
        None, tmp_path, DATASET="bids", DATASET_DIR=str(derivative), DATA_DIR=str(tmp_path), RUN_NAME="plain", TR_S=1.5,
        WINDOW_TRS=6, LABELS=("music", "speech"), LABEL_EVENTS={"music": ("music",), "speech": ("speech",)}, ROI_FILE=None,
        BIDS_FILTER="space-MNI152NLin2009cAsym", BASELINES=("linear",), **RAW_VALUES,
    )  # fmt: skip
    done = run_here(1, config)
    assert done.returncode == 0, done.stderr
    table, volumes = windows_of(tmp_path / "plain")
    assert len(table) == 2 * 2 * 4 * max(1, len(sessions))
    first = np.floor(
        (table["onset_s"] + 4 - 0.7) / 1.5 + 1e-6
    )  # StartTime: volume v shows second 1.5 v + 0.7
    np.testing.assert_array_equal(volumes, first.to_numpy()[:, None] + np.arange(6))
    assert set(table["event"].groupby(table["onset_s"]).nunique()) == {
        2
    }  # one per run, the same for people and sessions


# ---------------------------------------------------------------- development_fmri of nilearn,
# ds000228


def test_development_fmri(tmp_path):
    """11 stretches of 4 s or more with a face, 7 without; one volume each, 5 s after the onset on the scan's clock."""
    root = replicas.development_fmri(tmp_path / "development_fmri")
    config = config_of(ROOT / "experiments" / "development_fmri.py", tmp_path, DATASET_DIR=str(root), DATA_DIR=str(tmp_path),
                       **RAW_VALUES)  # fmt: skip
    done = run_here(1, config)
    assert done.returncode == 0, done.stderr
    table, volumes = windows_of(tmp_path / "development-fmri")
    people = ("sub-pixar123", "sub-pixar124", "sub-pixar125", "sub-pixar126")
    counts = {(person, label): n for person in people for label, n in (("face", 11), ("noface", 7))}
    assert table.groupby(["subject", "label"]).size().to_dict() == counts
    np.testing.assert_array_equal(volumes[:, 0], ((table["onset_s"] + 5) // 2).astype(int))
    # The film begins at second 10; its first picture with a face is at 0:16 of the film (its
    # rating), so at 26 s.
    assert table["onset_s"].min() == 20 and table[table["label"] == "face"]["onset_s"].min() == 26
    assert "left out" not in done.stdout
