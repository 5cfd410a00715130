"""Names as public data sets and fMRIPrep have them: every run is found with its own files, or listed with what is missing.

The situations come from the file trees of open data sets and from public bug reports; each test
names one.
"""

import os
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import check_shared_space
from neuroface.bold.annotations import read_1d
from neuroface.bold.datasets import find_runs

import nibabel as nib
import numpy as np
import pytest

MNI = "_space-MNI152NLin2009cAsym_desc-preproc"


def touch(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def series(root, stem, version="", folder="func"):
    """An empty series; ``stem`` is e.g. sub-01_ses-1_task-x_run-2."""
    parts = [part for part in stem.split("_") if part.startswith(("sub-", "ses-"))]
    return touch(root.joinpath(*parts, folder) / f"{stem}{version}_bold.nii.gz")


def events(root, name, columns="onset\tduration\ttrial_type"):
    parts = [part for part in name.split("_") if part.startswith(("sub-", "ses-"))]
    return touch(root.joinpath(*parts, "func") / f"{name}_events.tsv", columns + "\n")


def only_run(folder, **settings):
    (run,), left_out = find_runs("bids", folder, **settings)
    assert left_out == []
    return run


def image(path, shape, affine):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.ones(shape, np.uint8), affine), path)
    return path


# ---------------------------------------------------------------- people


def test_a_fetcher_leaves_the_files_of_all_people_in_one_folder(tmp_path):
    """nilearn 0.14.1, fetch_development_fmri: no folder sub-*, names with task-pixar, events nowhere."""
    for person in ("sub-pixar123", "sub-pixar124"):
        touch(tmp_path / f"{person}_task-pixar_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz")
        touch(tmp_path / f"{person}_task-pixar_desc-reducedConfounds_regressors.tsv")
    touch(tmp_path / "participants.tsv")
    table = events(tmp_path, "task-pixar")
    table = table.rename(tmp_path / "task-pixar_events.tsv")
    runs, left_out = find_runs("bids", tmp_path)
    assert [(run.subject, run.movie, run.annotation_of("face")) for run in runs] == [
        ("sub-pixar123", "pixar", table),
        ("sub-pixar124", "pixar", table),
    ]
    assert left_out == []


# ---------------------------------------------------------------- events


@pytest.mark.parametrize(("derived", "raw"), [("1", "01"), ("01", "1"), ("10", "10")])
def test_numbers_of_runs_are_compared_as_numbers(tmp_path, derived, raw):
    """fMRIPrep 21 writes run-1, the raw data set has run-01 (ds000105, ds004044)."""
    series(tmp_path / "derivatives" / "fmriprep", f"sub-01_task-x_run-{derived}", MNI)
    table = events(tmp_path, f"sub-01_task-x_run-{raw}")
    assert only_run(tmp_path / "derivatives" / "fmriprep").annotation_of("face") == table


def test_events_carry_further_entities_of_their_series(tmp_path):
    """ds004892 and ds000113: acq-, dir- and rec-."""
    series(tmp_path, "sub-01_task-x_acq-mb4_dir-AP_run-1")
    events(tmp_path, "sub-01_task-x_acq-mb2")
    table = events(tmp_path, "sub-01_task-x_acq-mb4")
    assert only_run(tmp_path).annotation_of("face") == table


@pytest.mark.parametrize("where", [".", "sub-01", "sub-01/ses-1", "sub-01/ses-1/func"])
def test_events_are_inherited_from_every_level(tmp_path, where):
    series(tmp_path, "sub-01_ses-1_task-x_run-1")
    levels = where.split("/")
    entities = ["", "sub-01_", "sub-01_ses-1_", "sub-01_ses-1_"][0 if where == "." else len(levels)]
    table = touch(tmp_path / where / f"{entities}task-x_events.tsv")
    assert only_run(tmp_path).annotation_of("face") == table


def test_the_nearest_table_wins(tmp_path):
    series(tmp_path, "sub-01_task-x_run-1")
    touch(tmp_path / "task-x_run-1_events.tsv")
    touch(tmp_path / "sub-01" / "sub-01_task-x_events.tsv")
    own = events(tmp_path, "sub-01_task-x_run-01")
    assert only_run(tmp_path).annotation_of("face") == own


@pytest.mark.parametrize("raw", ["sourcedata/raw", "..", "../..", "../bids", "../rawdata"])
def test_the_raw_data_set_is_inside_above_or_beside(tmp_path, raw):
    derivative = tmp_path / "project" / "derivatives" / "fmriprep"
    series(derivative, "sub-01_task-x", MNI)
    table = events(derivative / raw, "sub-01_task-x")
    assert only_run(derivative).annotation_of("face").resolve() == table.resolve()


def test_a_log_of_frames_does_not_hide_the_annotation_of_the_film(tmp_path):
    """ds000113: events.tsv has a row per frame and no trial_type; script 0 wrote an annotation to FILM_DIR."""
    series(tmp_path / "ds", "sub-01_ses-movie_task-movie_run-1")
    events(tmp_path / "ds", "sub-01_ses-movie_task-movie_run-1", "onset\tduration\tframeidx")
    table = touch(
        tmp_path / "films" / "stimuli" / "task-movie_run-1_events.tsv",
        "onset\tduration\ttrial_type\n",
    )
    run = only_run(tmp_path / "ds", films=tmp_path / "films", event_column="trial_type")
    assert run.annotation_of("face") == table


def test_film_regressors_follow_the_same_rule(tmp_path):
    series(tmp_path, "sub-01_task-x_run-02")
    events(tmp_path, "sub-01_task-x_run-02")
    table = touch(tmp_path / "stimuli" / "task-x_run-2_film-regressors.tsv")
    assert only_run(tmp_path).regressors == table


# ---------------------------------------------------------------- people and runs


def test_a_session_behind_a_link_is_found(tmp_path):
    for session in ("1", "2"):
        series(tmp_path / "ds", f"sub-01_ses-{session}_task-x")
        events(tmp_path / "ds", f"sub-01_ses-{session}_task-x")
    (tmp_path / "disk2").mkdir()
    (tmp_path / "ds/sub-01/ses-2").rename(tmp_path / "disk2/ses-2")
    (tmp_path / "ds/sub-01/ses-2").symlink_to(tmp_path / "disk2/ses-2")
    runs, left_out = find_runs("bids", tmp_path / "ds")
    assert [run.run for run in runs] == ["1", "2"] and left_out == []


def test_a_link_to_a_folder_above_ends(tmp_path):
    series(tmp_path, "sub-01_task-x")
    events(tmp_path, "sub-01_task-x")
    (tmp_path / "sub-01" / "again").symlink_to(tmp_path / "sub-01")
    only_run(tmp_path)


def test_one_person_in_derivatives_does_not_hide_the_others(tmp_path):
    for person in range(1, 6):
        series(tmp_path, f"sub-0{person}_task-x")
        events(tmp_path, f"sub-0{person}_task-x")
    series(tmp_path / "derivatives", "sub-03_task-x")
    assert len(find_runs("bids", tmp_path)[0]) == 5


def test_the_root_of_the_raw_data_leads_to_its_derivative(tmp_path):
    """DATASET_DIR is the raw data set, the series that BIDS_FILTER names lie in derivatives/fmriprep."""
    series(tmp_path, "sub-01_task-x")
    events(tmp_path, "sub-01_task-x")
    derived = series(tmp_path / "derivatives" / "fmriprep", "sub-01_task-x", MNI)
    assert only_run(tmp_path, bids_filter="space-MNI").bold == derived
    series(tmp_path / "derivatives" / "xcp_d", "sub-01_task-x", MNI)
    with pytest.raises(
        NeuroFaceError, match=r"fmriprep and .*xcp_d hold such series\. Set DATASET_DIR"
    ):
        find_runs("bids", tmp_path, bids_filter="space-MNI")


def test_phantoms_and_ignored_folders_are_listed(tmp_path):
    """ds000113 and ds004044 have sub-phantom; .bidsignore names sub-99."""
    for person in ("01", "phantom", "99"):
        series(tmp_path, f"sub-{person}_task-x")
        events(tmp_path, f"sub-{person}_task-x")
    touch(tmp_path / ".bidsignore", "# comment\nsub-99/\n")
    runs, left_out = find_runs("bids", tmp_path)
    assert [run.subject for run in runs] == ["sub-01"]
    assert sorted(who for who, _ in left_out) == ["sub-99", "sub-phantom"]


def test_files_that_macos_leaves_do_not_count(tmp_path):
    file = series(tmp_path, "sub-01_task-x")
    table = events(tmp_path, "sub-01_task-x")
    for path in (file, table):
        touch(path.with_name(f"._{path.name}"), "Mac OS X")
    assert only_run(tmp_path).bold == file


def test_halves_of_a_film_may_differ_in_the_direction_only(tmp_path):
    for direction in ("AP", "PA"):
        series(tmp_path, f"sub-01_task-film_dir-{direction}")
        events(tmp_path, f"sub-01_task-film_dir-{direction}")
    runs, _ = find_runs("bids", tmp_path)
    assert [(run.run, run.annotation_of("face").name) for run in runs] == [
        ("AP", "sub-01_task-film_dir-AP_events.tsv"),
        ("PA", "sub-01_task-film_dir-PA_events.tsv"),
    ]


def test_a_series_without_task_is_listed(tmp_path):
    series(tmp_path, "sub-01_run-1")
    series(tmp_path, "sub-01_task-x")
    events(tmp_path, "sub-01_task-x")
    runs, left_out = find_runs("bids", tmp_path)
    assert len(runs) == 1
    assert left_out == [
        ("sub-01_run-1_bold.nii.gz", "its name has no task-<name>, which BIDS asks for")
    ]


def test_series_lie_directly_in_the_persons_folder_and_end_in_more_than_bold(tmp_path):
    """ds004044: no func/, run-1 against run-01, and ``_bold_denoised`` beside ``_bold``."""
    person = tmp_path / "derivatives" / "fmriprep" / "sub-01"
    plain = touch(person / "sub-01_ses-1_task-motor_run-1_space-T1w_desc-preproc_bold.nii.gz")
    clean = touch(
        person / "sub-01_ses-1_task-motor_run-1_space-T1w_desc-preproc_bold_denoised.nii.gz"
    )
    events(tmp_path, "sub-01_ses-1_task-motor_run-01")
    folder = tmp_path / "derivatives" / "fmriprep"
    assert only_run(folder, bids_filter="task-motor").bold == plain
    assert only_run(folder, bids_filter="task-motor*_bold_denoised").bold == clean


# ---------------------------------------------------------------- git-annex


@pytest.mark.parametrize("kind", ["link", "pointer"])
def test_what_git_annex_has_not_fetched_is_listed_with_the_command(tmp_path, kind):
    there = series(tmp_path, "sub-01_task-x")
    there.write_bytes(b"\0" * 600)
    for person in ("01", "02"):
        events(tmp_path, f"sub-{person}_task-x")
    away = series(tmp_path, "sub-02_task-x")
    key = "MD5E-s123--d41d8cd98f00b204e9800998ecf8427e.nii.gz"
    if kind == "link":
        away.unlink()
        os.symlink(f"../../.git/annex/objects/aa/bb/{key}/{key}", away)
    else:
        away.write_text(f"/annex/objects/{key}\n")
    runs, left_out = find_runs("bids", tmp_path)
    assert [run.subject for run in runs] == ["sub-01"]
    assert left_out == [(away.name, f"not fetched: datalad get {away}")]


# ---------------------------------------------------------------- masks


def test_the_mask_whose_grid_fits_wins(tmp_path):
    """fMRIPrep's anat/ holds a native mask and one in the space of the series."""
    affine = np.diag([4.0, 4, 4, 1])
    name = "sub-01_task-x_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz"
    image(tmp_path / "sub-01" / "func" / name, (6, 6, 5, 4), affine)
    events(tmp_path, "sub-01_task-x")
    anat = tmp_path / "sub-01" / "anat"
    image(anat / "sub-01_desc-brain_mask.nii.gz", (12, 12, 10), np.eye(4))
    fits = image(
        anat / "sub-01_space-MNI152NLin2009cAsym_res-2_desc-brain_mask.nii.gz", (6, 6, 5), affine
    )
    assert only_run(tmp_path).mask == fits


def test_a_mask_of_another_run_or_of_grey_matter_is_no_brain_mask(tmp_path):
    series(tmp_path, "sub-01_task-x_run-1")
    events(tmp_path, "sub-01_task-x_run-1")
    touch(tmp_path / "sub-01" / "func" / "sub-01_task-x_run-2_desc-brain_mask.nii.gz")
    touch(tmp_path / "sub-01" / "anat" / "sub-01_label-GM_desc-ribbon_mask.nii.gz")
    assert only_run(tmp_path).mask is None


def test_a_filter_that_names_a_task_takes_no_longer_name(tmp_path):
    """ds000113: "task-movie*space-…" also took task-movielocalizer_run-1, 48 volumes of flicker, as part 1 of the film."""
    for person in ("01", "02"):
        for run in (1, 2):
            series(tmp_path, f"sub-{person}_ses-movie_task-movie_run-{run}", MNI)
        series(tmp_path, f"sub-{person}_ses-localizer_task-movielocalizer_run-1", MNI)
    runs, left_out = find_runs(
        "bids", tmp_path, bids_filter="task-movie*space-MNI152NLin2009cAsym", annotated=False
    )
    assert [run.movie for run in runs] == ["movie"] * 4
    assert [why for _, why in left_out] == ["not task-movie, which BIDS_FILTER names"] * 2
    assert all("movielocalizer" in what for what, _ in left_out)
    shipped = {}
    exec(
        (Path(__file__).parents[2] / "studies/volumes/experiments/studyforrest.py").read_text(),
        shipped,
    )
    runs, left_out = find_runs(
        "bids", tmp_path, bids_filter=shipped["BIDS_FILTER"], annotated=False
    )
    assert len(runs) == 4 and left_out == []
    runs, left_out = find_runs(
        "bids", tmp_path, bids_filter="task-mov*space-MNI152", annotated=False
    )  # a beginning
    assert len(runs) == 6 and left_out == []


# ---------------------------------------------------------------- which annotation counts

ROWS = "onset\tduration\ttrial_type\n10\t12\tface\n"
LOG = "onset\tduration\ttrial_type\n94\t490\tfilm\n"


def annotated(root, own=None, data_1d=False, films_1d=False, films=True):
    """A run with its own log, ``.1D`` in the data set's stimuli/, and what script 0 left in FILM_DIR."""
    series(root / "ds", "sub-01_ses-1_task-film")
    if own is not None:
        touch(root / "ds/sub-01/ses-1/func/sub-01_ses-1_task-film_events.tsv", own)
    if data_1d:
        touch(root / "ds/stimuli/task-film_face-annotation.1D", "10 12\n")
    if films:
        touch(root / "films/stimuli/task-film_events.tsv", ROWS)
    if films_1d:
        touch(root / "films/stimuli/task-film_face-annotation.1D", "10 12\n")
    return only_run(root / "ds", films=root / "films", event_column="trial_type", events=("face",))


@pytest.mark.parametrize(
    ("files", "used", "not_used"),
    [
        ({}, "films/stimuli/task-film_events.tsv", []),
        ({"films_1d": True}, "films/stimuli/task-film_face-annotation.1D", []),  # corrected in place
        ({"data_1d": True}, "ds/stimuli/task-film_face-annotation.1D", ["films/stimuli/task-film_events.tsv"]),
        ({"own": ROWS}, "ds/sub-01/ses-1/func/sub-01_ses-1_task-film_events.tsv", ["films/stimuli/task-film_events.tsv"]),
        ({"own": ROWS, "data_1d": True, "films": False}, "ds/stimuli/task-film_face-annotation.1D", []),
        ({"own": LOG}, "films/stimuli/task-film_events.tsv", ["ds/sub-01/ses-1/func/sub-01_ses-1_task-film_events.tsv"]),
        ({"own": LOG, "films": False, "data_1d": True}, "ds/stimuli/task-film_face-annotation.1D", []),
    ],
)  # fmt: skip
def test_a_corrected_annotation_counts_and_what_gives_way_is_named(tmp_path, files, used, not_used):
    run = annotated(tmp_path, **files)
    assert run.annotation_of("face") == tmp_path / used
    assert list(run.not_used) == [tmp_path / name for name in not_used]


def test_a_single_file_serves_its_event_and_the_table_the_others(tmp_path):
    """The page of script 0 corrects one event; the other one stays in the table."""
    series(tmp_path, "sub-01_task-film")
    table = touch(tmp_path / "sub-01/func/sub-01_task-film_events.tsv", ROWS + "30\t12\tnoface\n")
    single = touch(tmp_path / "stimuli/task-film_face-annotation.1D", "10 12\n")
    run = only_run(tmp_path, event_column="trial_type", events=("face", "noface"))
    assert run.annotation_of("face") == single and run.annotation_of("noface") == table


def test_an_annotation_whose_name_differs_in_case_is_named(tmp_path):
    """FILM_PARTS says Gump, the series gump."""
    series(tmp_path, "sub-01_ses-1_task-gump_run-01")
    touch(tmp_path / "films/stimuli/task-Gump_run-01_events.tsv", ROWS)
    with pytest.raises(
        NeuroFaceError, match=r"no sub-01.*task-Gump_run-01_events.tsv, whose name differs in case"
    ):
        find_runs(
            "bids", tmp_path, films=tmp_path / "films", event_column="trial_type", events=("face",)
        )


NNDB = sorted((Path(__file__).parents[1] / "data" / "nndb").glob("*.1D"))


@pytest.mark.parametrize("path", NNDB, ids=lambda path: path.name)
def test_a_column_of_ends_is_recognised(tmp_path, path):
    """All rows overlapped and merged to few stretches. NNDb's ten annotations, as they are and as ends."""
    rows = np.loadtxt(path)
    assert len(read_1d(path)) == len(rows)
    ends = tmp_path / path.name
    np.savetxt(ends, np.column_stack([rows[:, 0], rows.sum(axis=1)]), fmt="%.10g")
    with pytest.raises(NeuroFaceError, match="second column looks like the end of each stretch"):
        read_1d(ends)


def test_durations_that_could_be_ends_are_durations_if_nothing_overlaps(tmp_path):
    file = touch(tmp_path / "task-film_face-annotation.1D", "0 5\n10 11\n30 31\n")
    assert read_1d(file).tolist() == [[0, 5], [10, 11], [30, 31]]


# ---------------------------------------------------------------- whose space, which people, where
# the raw data are


def native(folder, space, people=("01", "02")):
    for person in people:
        series(folder, f"sub-{person}_task-x_run-1", space)
        events(folder, f"sub-{person}_task-x_run-1")
    return find_runs("bids", folder)[0]


@pytest.mark.parametrize(
    "space", ["_space-T1w_desc-preproc", "_space-orig_desc-ppres", "_space-individual"]
)
def test_voxels_of_several_people_in_their_own_spaces_are_not_pooled(tmp_path, space):
    """ds004044 has nothing but space-T1w; Emo-FilM has space-orig and space-subject."""
    runs = native(tmp_path, space)
    for stated in ("MNI", "native", None):
        with pytest.raises(
            NeuroFaceError,
            match=r"own space, where voxels of 2 people do not.*INCLUDE = \(\"sub-01\",\)",
        ):
            check_shared_space(runs, stated)
    check_shared_space(runs[:1], "native")
    check_shared_space(runs[:1], None)
    with pytest.raises(NeuroFaceError, match="SPACE is 'MNI'.*Set SPACE = \"native\""):
        check_shared_space(runs[:1], "MNI")


def test_raw_data_of_several_people_are_native_if_the_setting_says_so(tmp_path):
    """ds000105: names of raw data state no space."""
    runs = native(tmp_path, "")
    with pytest.raises(NeuroFaceError, match='SPACE = "native": BOLD is in each person'):
        check_shared_space(runs, "native")
    check_shared_space(runs, "MNI")


def test_only_people_of_include_are_used(tmp_path):
    native(tmp_path, "", ("01", "02", "03"))
    runs, left_out = find_runs("bids", tmp_path, include=("sub-02",))
    assert [run.subject for run in runs] == ["sub-02"] and left_out == [
        ("2 people", "not named in INCLUDE")
    ]
    with pytest.raises(NeuroFaceError, match="INCLUDE names sub-04, who is not in"):
        find_runs("bids", tmp_path, include=("sub-04",))


def test_raw_dir_names_the_raw_data_set(tmp_path):
    """project/openneuro and project/fmriprep side by side: neither name is one that is looked for (nilearn#4280)."""
    derivative, raw = tmp_path / "fmriprep", tmp_path / "openneuro"
    series(derivative, "sub-01_task-x_run-1", MNI)
    series(raw, "sub-01_task-x_run-01")
    table = events(raw, "sub-01_task-x_run-01")
    sidecar = touch(raw / "task-x_bold.json", "{}")
    with pytest.raises(NeuroFaceError, match=r"no sub-01_task-x_run-1_events\.tsv\..*set RAW_DIR"):
        find_runs("bids", derivative)
    run = only_run(derivative, raw=raw)
    assert (run.annotation_of("face"), run.sidecars) == (table, (sidecar,))
    assert run.raw == raw / "sub-01" / "func" / "sub-01_task-x_run-01_bold.nii.gz"
    with pytest.raises(NeuroFaceError, match="RAW_DIR = .* is not there"):
        find_runs("bids", derivative, raw=tmp_path / "gone")
