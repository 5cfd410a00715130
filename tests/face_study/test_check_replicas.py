"""``--check`` on the replica of every public data set: its key lines, and that it agrees with script 1."""

import numpy as np
import pytest
import replicas
from conftest import ROOT, run_here, script_here

EXPERIMENTS = ROOT / "experiments"
VOLUMES = ROOT / "studies" / "volumes"
LABELS = dict(LABELS=("music", "speech"), LABEL_EVENTS={"music": ("music",), "speech": ("speech",)})
PLAIN = dict(
    DATASET="bids", TR_S=1.5, WINDOW_TRS=6, ROI_FILE=None, BIDS_FILTER="space-MNI152NLin2009cAsym", BASELINES=("linear",),
    MODELS=("linear_plus",), EXPLAINED_MODEL="linear", **LABELS,
)  # fmt: skip
FILM = "split"
VIEWERS = {"sub-69": (FILM, 6739, 6740), "sub-71": (FILM, 6739, 6735)}
STRETCHES = {FILM: [(o, 15.0 if o % 400 else 25.0) for o in np.arange(100.0, 6600, 50)]}
NNDB = dict(MODELS=("linear_plus",), BASELINES=("linear",), EXPLAINED_MODEL="linear")
SIZES = (" has ", " bytes, ", " were published")  # replicas are smaller than what was published


def haxby_raw(folder):
    raw, _ = replicas.haxby(folder / "data")
    return EXPERIMENTS / "haxby2001.py", dict(DATASET_DIR=str(raw))


def haxby_raw_everybody(folder):
    experiment, changes = haxby_raw(folder)
    return experiment, changes | dict(INCLUDE=())


def haxby_mni(folder):
    raw, derivative = replicas.haxby(folder / "data")
    return EXPERIMENTS / "haxby2001.py", dict(
        DATASET_DIR=str(derivative), RAW_DIR=str(raw), SPACE="MNI", INCLUDE=(), BIDS_FILTER="space-MNI152NLin2009cAsym"
    )  # fmt: skip


def nndb(folder, dataset, variant="blur_no_censor_ica"):
    root = replicas.nndb(folder / "ds002837", VIEWERS, STRETCHES, (205, 206, 3001))
    return None, dict(DATASET=dataset, NNDB_VARIANT=variant, DATASET_DIR=str(root)) | NNDB


def fmriprep(folder, sessions):
    _, derivative = replicas.fmriprep25(folder / "project", sessions)
    return None, PLAIN | dict(DATASET_DIR=str(derivative))


def development_fmri(folder):
    root = replicas.development_fmri(folder / "development_fmri")
    return EXPERIMENTS / "development_fmri.py", dict(DATASET_DIR=str(root))


# replica → what makes it, whether script 1 runs, and lines that a user looks for
REPLICAS = {
    "ds000105": (haxby_raw, True, [
        "1 person with 3 runs that can be used, 1 film or task: objectviewing 3",
        "no brain mask of 1 person (sub-1): it will be computed from the BOLD",
        "TR in the header, s: 2.5 (all runs)", "TR in the sidecar, s: 2.5 (all runs)", "volumes: 121 (all runs)",
        "288 trials with gaps of at most JOIN_GAP_S = 2 s are joined to 24 stretches of 24 s.",
        "begins at second 12 of the run", "first noface window: 12 → 15 (all runs)",
        "sub-1 task-objectviewing_run-02 84 → 87.5",
    ]),
    "ds000105, everybody": (haxby_raw_everybody, False, ["2 people with 6 runs", "voxels of 2 people do not correspond"]),
    "ds000105, fMRIPrep": (haxby_mni, True, [
        "2 people with 6 runs", "volumes fewer than the raw run: 0 (all runs)", "group mask: 48 voxels",
        "no run has: confounds (columns)", "sub-2 task-objectviewing_run-3 120 → 125",
    ]),
    "ds002837, version 1": (lambda folder: nndb(folder, "nndb-v1"), True, [
        "2 people with 2 runs that can be used, 1 film or task: split 2", "begins at second 12 of the film",
        "first face window: 100 → 104 (all runs)", "HELD_OUT_SPLIT = 'event', chosen from the design: one film or task",
    ]),
    "ds002837, version 2": (lambda folder: nndb(folder, "nndb-v2"), True, [
        "sub-71 task-split 6735", "Pauses of the film move the windows of 2 people by up to 2.32 s (sub-71)",
    ]),
    "ds002837, censored": (lambda folder: nndb(folder, "nndb-v2", "blur_censor"), True, [
        "left out: sub-71_task-split: 1 windows that touch one of 3 scrubbed volumes",
        "3 censored volumes count for nothing",
    ]),
    "fMRIPrep 25": (lambda folder: fmriprep(folder, ()), True, [
        "first volume shows second (film or run): 0.7 (all runs)", "first music window: 10 → 12 (all runs)",
        "confounds (columns): desc-confounds_timeseries.tsv (1) (all runs)", "confounds at hand for 4 of 4 runs: motion (1)",
        "HELD_OUT_SPLIT = 'part', chosen from the design: one film or task in 2 runs; the same run of all people is held",
    ]),
    "fMRIPrep 25, sessions": (lambda folder: fmriprep(folder, ("ses-1", "ses-2")), True, [
        "2 people with 8 runs", "sub-02 ses-2_task-film_run-02", "HELD_OUT_SPLIT = 'part'",
    ]),
    "ds000228, nilearn": (development_fmri, True, [
        "4 people with 4 runs", "confounds (columns): desc-reducedConfounds_regressors.tsv (9) (all runs)",
        "first noface window: 20 → 24 (all runs)", "sub-pixar123 task-pixar 26 → 30",
        "motion (6), framewise_displacement, tissue signals (2)",
    ]),
}  # fmt: skip


def somatotopy(folder):
    root, _ = replicas.somatotopy(folder / "ds004044")
    return VOLUMES / "experiments" / "somatotopy.py", dict(
        DATASET_DIR=str(root), MIN_PER_CLASS=2, CV_SPLITS=("volume",), HELD_OUT_SPLIT="volume"
    )


def studyforrest(folder):
    root = replicas.studyforrest(folder / "ds000113-fmriprep")
    return VOLUMES / "experiments" / "studyforrest.py", dict(
        DATASET_DIR=str(root), OBSERVER_DIR=str(ROOT / "tests/data/studyforrest")
    )


# of labelled volumes
OF_VOLUMES = {
    "ds004044": (somatotopy, ["1 person with 2 runs", "volumes: 232 (all runs)", "TR in the header, s: 2 (all runs)"]),
    "ds000113": (studyforrest, ["2 people with 16 runs", "first volume shows second (film or run): 0.971 (all runs)"]),
}  # fmt: skip


def prepared(folder, made):
    experiment, changes = made(folder)
    changes |= dict(DATA_DIR=str(folder / "data-out"), RUN_NAME="r", N_JOBS=1)
    config = folder / "config.py"
    text = experiment.read_text() if experiment else ""
    config.write_text(text + "".join(f"{name} = {value!r}\n" for name, value in changes.items()))
    return config


def checked(done) -> tuple[str, list[str]]:
    """What was printed, with single spaces; and what is wrong, but for the sizes of replicas."""
    printed = " ".join(done.stdout.split())
    wrong = [line for line in done.stdout.splitlines() if line.startswith("  wrong: ")]
    assert done.returncode == bool(wrong) and ("nothing is wrong" in printed) == (not wrong)
    return printed, [line for line in wrong if not all(words in line for words in SIZES)]


@pytest.mark.parametrize("name", REPLICAS)
def test_check_says_what_is_there_and_agrees_with_script_1(tmp_path, name):
    made, runs, lines = REPLICAS[name]
    config = prepared(tmp_path, made)
    printed, wrong = checked(run_here(1, config, "--check"))
    assert not [line for line in lines if line not in printed], printed
    assert not (tmp_path / "data-out").exists()  # nothing is written
    done = run_here(1, config)
    assert (done.returncode == 0) == runs == (not wrong), (done.stderr, wrong)
    if runs:  # what it plans is what script 1 cuts
        cut = [
            line
            for line in done.stdout.splitlines()
            if "balanced to" in line or "joined to" in line
        ]
        assert all(line.strip() in printed for line in cut)
    else:
        assert done.stderr.strip().removeprefix("error: ") in wrong[0]


@pytest.mark.parametrize("name", OF_VOLUMES)
def test_check_of_labelled_volumes_says_what_is_there_and_agrees_with_script_1(tmp_path, name):
    made, lines = OF_VOLUMES[name]
    config = prepared(tmp_path, made)
    script = next(VOLUMES.glob("1-*.py"))
    printed, wrong = checked(script_here(script, config, "--check"))
    assert not [line for line in lines if line not in printed], printed
    done = script_here(script, config)
    assert (done.returncode == 0) == (not wrong), (done.stderr, wrong)
