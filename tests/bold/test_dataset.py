"""Finding a study's files: NNDb in both layouts, BIDS, and what has to be left out."""

from functools import partial

from neuroface import NeuroFaceError
from neuroface.bold import datasets
from neuroface.bold.run import Run

import pytest

find_runs = partial(datasets.find_runs, events=("face",))
PEOPLE = {"sub-1": "aurora", "sub-2": "aurora", "sub-10": "midnight"}


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def nndb(root, people="derivatives", stimuli="stimuli/task-{}"):
    """Empty files named as NNDb names them."""
    for subject, film in PEOPLE.items():
        person = root / people / subject
        touch(person / "anat" / f"{subject}_T1w_mask.nii.gz")
        touch(person / "func" / f"{subject}_task-{film}_bold_preprocessedICA.nii.gz")
    for film in set(PEOPLE.values()):
        touch(root / f"{stimuli.format(film)}_face-annotation.1D")
    return root


# ---------------------------------------------------------------- NNDb


@pytest.mark.parametrize("people", ["derivatives", "."])
@pytest.mark.parametrize(
    "stimuli",
    ["stimuli/task-{}", "stimuli/stimuli-task-{}", "task-{}", "stimuli-task-{}"],
    ids=lambda s: s.format("x"),
)
def test_nndb_is_found_in_both_layouts_and_under_every_annotation_name(tmp_path, people, stimuli):
    runs, left_out = find_runs("nndb-v1", nndb(tmp_path, people, stimuli))
    assert left_out == []
    assert [(run.subject, run.movie) for run in runs] == list(PEOPLE.items())  # sub-2 before sub-10
    for run in runs:
        person = tmp_path / people / run.subject
        assert (
            run.bold
            == person / "func" / f"{run.subject}_task-{run.movie}_bold_preprocessedICA.nii.gz"
        )
        assert run.mask == person / "anat" / f"{run.subject}_T1w_mask.nii.gz"
        assert (
            run.annotation_of("face")
            == tmp_path / f"{stimuli.format(run.movie)}_face-annotation.1D"
        )
        assert run.name == f"{run.subject}_task-{run.movie}"


@pytest.mark.parametrize(
    ("missing", "what", "why"),
    [
        (
            "sub-2/func/sub-2_task-aurora_bold_preprocessedICA.nii.gz",
            "sub-2",
            "bold_preprocessedICA",
        ),
        ("sub-2/anat/sub-2_T1w_mask.nii.gz", "sub-2", "sub-2_T1w_mask.nii.gz"),
        (
            "../stimuli/task-midnight_face-annotation.1D",
            "sub-10_task-midnight",
            "task-midnight_face-annotation.1D",
        ),
    ],
)
def test_a_person_with_a_missing_file_is_left_out_and_listed(tmp_path, missing, what, why):
    root = nndb(tmp_path)
    (root / "derivatives" / missing).unlink()
    runs, left_out = find_runs("nndb-v1", root)
    assert len(runs) == 2
    ((who, reason),) = left_out
    assert who.startswith(what) and why in reason
    assert all(not who.startswith(f"{run.subject}_") and who != run.subject for run in runs)


def test_excluded_people_are_left_out_and_listed(tmp_path):
    runs, left_out = find_runs("nndb-v1", nndb(tmp_path), exclude=("sub-1",))
    assert [run.subject for run in runs] == ["sub-2", "sub-10"]
    assert left_out == [("sub-1", "named in EXCLUDE")]


def test_excluding_somebody_who_is_not_there_is_an_error(tmp_path):
    with pytest.raises(
        NeuroFaceError,
        match=r"EXCLUDE names sub-3, who is not in .* 3 people are there: sub-1, sub-2, sub-10",
    ):
        find_runs("nndb-v1", nndb(tmp_path), exclude=("sub-1", "sub-3"))


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(NeuroFaceError, match="DATASET_DIR = .*nowhere is not there"):
        find_runs("nndb-v1", tmp_path / "nowhere")


def test_a_folder_without_people_is_an_error(tmp_path):
    with pytest.raises(NeuroFaceError, match="no folder sub-") as error:
        find_runs("nndb-v1", tmp_path)
    assert str(tmp_path) in str(error.value) and "nndb-v1" in str(error.value)


def test_a_folder_without_a_single_usable_run_says_why(tmp_path):
    touch(tmp_path / "sub-1" / "func" / "sub-1_task-rest_bold.nii.gz")
    with pytest.raises(NeuroFaceError, match="bold_preprocessedICA"):
        find_runs("nndb-v1", tmp_path)


@pytest.mark.parametrize(
    ("subject", "name", "message"),
    [
        ("S07", "S07_task-film", r"Run\.subject = 'S07' to .*bold\.nii\. It must be 'sub-S07'"),
        ("sub-S07", "S07_film", r"Run\.name = 'S07_film' to .* as in 'sub-S07_task-film'"),
    ],
)
def test_a_naming_of_ones_own_that_scripts_cannot_find_is_an_error(
    tmp_path, monkeypatch, subject, name, message
):
    """As an author of a new naming may write it; without the check script 2 finds no windows of this person."""
    run = Run(subject, "film", "1", name, tmp_path / "bold.nii", None, ())
    monkeypatch.setattr(datasets, "nndb_runs", lambda *_: ([run], []))
    with pytest.raises(NeuroFaceError, match=message):
        find_runs("nndb-v1", nndb(tmp_path))


# ---------------------------------------------------------------- NNDb v2


def nndb_v2(
    root, variants=("blur_censor", "blur_censor_ica", "blur_no_censor", "no_blur_no_censor")
):
    """As published: all variants of a person lie side by side, and beside v1."""
    nndb(root)
    for subject, film in PEOPLE.items():
        person, stem = root / "derivatives" / subject, f"{subject}_task-{film}"
        for variant in variants:
            touch(person / "func" / f"{stem}_bold_{variant}.nii.gz")
        for mask in ("anat", "epi_anat"):
            touch(person / "anat" / f"{subject}_t1w_mask_{mask}.nii.gz")
        touch(person / "regressors" / f"{stem}_censored_timepoints.1D")
    return root


@pytest.mark.parametrize("variant", ["blur_censor", "blur_no_censor", "no_blur_no_censor"])
def test_one_variant_of_v2_is_taken_with_its_own_mask(tmp_path, variant):
    runs, left_out = find_runs("nndb-v2", nndb_v2(tmp_path), variant=variant)
    assert left_out == [] and [run.subject for run in runs] == list(PEOPLE)
    for run in runs:
        assert run.bold.name == f"{run.name}_bold_{variant}.nii.gz"
        assert run.mask.name == f"{run.subject}_t1w_mask_epi_anat.nii.gz"
        expected = f"{run.name}_censored_timepoints.1D" if variant == "blur_censor" else None
        assert (run.censor and run.censor.name) == expected


def test_a_censored_run_without_its_list_is_refused(tmp_path):
    root = nndb_v2(tmp_path)
    (root / "derivatives/sub-2/regressors/sub-2_task-aurora_censored_timepoints.1D").unlink()
    with pytest.raises(
        NeuroFaceError, match=r"sub-2_task-aurora_censored_timepoints\.1D is not there.*EXCLUDE"
    ):
        find_runs("nndb-v2", root, variant="blur_censor_ica")
    assert len(find_runs("nndb-v2", root, ("sub-2",), variant="blur_censor_ica")[0]) == 2
    assert len(find_runs("nndb-v2", root, variant="blur_no_censor")[0]) == 3


def test_v2_without_a_variant_is_refused(tmp_path):
    with pytest.raises(NeuroFaceError, match="NNDB_VARIANT"):
        find_runs("nndb-v2", nndb_v2(tmp_path))


# ---------------------------------------------------------------- BIDS


def bids_run(root, stem, variant="", events=True):
    """One run's empty files; ``stem`` is e.g. sub-1_ses-a_task-x_run-01."""
    subject, *rest = stem.split("_")
    func = root / subject / (rest[0] if rest[0].startswith("ses-") else ".") / "func"
    if events:
        touch(func / f"{stem}_events.tsv")
    return touch(func / f"{stem}{variant}_bold.nii.gz")


def test_bids_runs_come_in_natural_order_with_their_own_events(tmp_path):
    stems = [f"sub-{s}_task-objects_run-{r}" for s in (2, 10) for r in (1, 2, 10)]
    for stem in reversed(stems):
        bids_run(tmp_path, stem)
        touch(
            tmp_path / stem.split("_")[0] / "anat" / f"{stem.split('_')[0]}_desc-brain_mask.nii.gz"
        )
    runs, left_out = find_runs("bids", tmp_path)
    assert left_out == []
    assert [run.name for run in runs] == stems
    assert [run.run for run in runs] == ["1", "2", "10"] * 2
    for run in runs:
        assert run.annotation_of("face").name == f"{run.name}_events.tsv"
        assert run.mask == tmp_path / run.subject / "anat" / f"{run.subject}_desc-brain_mask.nii.gz"


def test_bids_sessions_are_part_of_the_run(tmp_path):
    for session in ("pre", "post"):
        bids_run(tmp_path, f"sub-1_ses-{session}_task-x_run-1")
    runs, _ = find_runs("bids", tmp_path)
    assert sorted(run.run for run in runs) == ["post-1", "pre-1"]
    assert len({run.name for run in runs}) == 2
    assert all(run.annotation_of("face").parent == run.bold.parent for run in runs)


def test_a_bids_run_without_number_or_mask(tmp_path):
    bids_run(tmp_path, "sub-1_task-film")
    ((run,), _) = find_runs("bids", tmp_path)
    assert (run.name, run.run, run.mask) == ("sub-1_task-film", "1", None)


def test_the_mask_beside_the_series_wins_over_the_anatomical_one(tmp_path):
    series = bids_run(tmp_path, "sub-1_task-x_run-1", "_space-MNI_desc-preproc")
    beside = touch(series.with_name("sub-1_task-x_run-1_space-MNI_desc-brain_mask.nii.gz"))
    touch(tmp_path / "sub-1" / "anat" / "sub-1_desc-brain_mask.nii.gz")
    ((run,), _) = find_runs("bids", tmp_path)
    assert run.mask == beside


def test_events_of_the_raw_data_serve_the_derivatives(tmp_path):
    derivatives = tmp_path / "derivatives" / "fmriprep"
    bids_run(derivatives, "sub-1_task-x_run-1", "_space-MNI_desc-preproc", events=False)
    events = touch(tmp_path / "sub-1" / "func" / "sub-1_task-x_run-1_events.tsv")
    ((run,), _) = find_runs("bids", derivatives)
    assert run.annotation_of("face") == events


def test_two_versions_of_a_run_need_a_filter(tmp_path):
    stem = "sub-1_task-x_run-1"
    for space in ("MNI", "T1w"):
        bids_run(tmp_path, stem, f"_space-{space}_desc-preproc")
    with pytest.raises(NeuroFaceError, match="BIDS_FILTER") as error:
        find_runs("bids", tmp_path)
    assert "space-MNI" in str(error.value) and "space-T1w" in str(error.value)
    ((run,), left_out) = find_runs("bids", tmp_path, bids_filter="space-T1w")
    assert "space-T1w" in run.bold.name and left_out == []


def test_bids_people_and_runs_without_files_are_left_out_and_listed(tmp_path):
    bids_run(tmp_path, "sub-1_task-x_run-1")
    bids_run(tmp_path, "sub-1_task-x_run-2", events=False)
    touch(tmp_path / "sub-2" / "anat" / "sub-2_T1w.nii.gz")
    runs, left_out = find_runs("bids", tmp_path)
    assert [run.name for run in runs] == ["sub-1_task-x_run-1"]
    assert dict(left_out) == {
        "sub-1_task-x_run-2_bold.nii.gz": "no sub-1_task-x_run-2_events.tsv",
        "sub-2": "no *_bold.nii.gz",
    }
