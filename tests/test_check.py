"""``--check``: each kind of damage is named, and a whole data set passes."""

import gzip
import shutil

from neuroface import NeuroFaceError
from neuroface.face_study import check
from neuroface.face_study.settings import FaceSettings
from neuroface.pipeline.settings import load_settings

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, run_here, write_config


@pytest.fixture
def study(small_dataset, tmp_path):
    """A copy that a test may break, and its settings as a "demo", which no listing knows."""
    shutil.copytree(small_dataset, tmp_path / "dataset")
    config = write_config(tmp_path / "c.py", DATASET_DIR=str(tmp_path / "dataset"), DATA_DIR=str(tmp_path), N_JOBS=1)
    return tmp_path / "dataset", load_settings(FaceSettings, ROOT / "config.py", config), config


def first(folder, pattern):
    return sorted(folder.rglob(pattern))[0]


def test_a_whole_data_set_passes(study, capsys):
    folder, cfg, _ = study
    assert check.check_study(cfg) == []
    printed = capsys.readouterr().out
    assert (
        "4 people with 4 runs that can be used, 4 films or tasks: aurora 1, harbour 1, midnight 1, orchard 1" in printed
    )
    mask = (
        np.mean([nib.load(f).get_fdata() > 0 for f in folder.rglob("*_T1w_mask.nii.gz")], axis=0) > cfg.MASK_THRESHOLD
    )
    assert f"windows of {mask.sum():,} voxels; the longest run has 200 volumes" in printed
    assert "disk:" in printed and "memory:" in printed and "GPU:" in printed


def cut_off(file):
    file.write_bytes(file.read_bytes()[:-1000])


def shorten(file):
    """Whole as gzip, but with fewer volumes than its header says."""
    file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:-5000]))


def no_image(file):
    file.write_bytes(b"<html>503</html>" * 30)


def not_even_a_gzip_end(file):
    file.write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (cut_off, "is cut off or damaged"),
        (shorten, "is cut off or damaged"),
        (no_image, "cannot be read as NIfTI"),
        (not_even_a_gzip_end, "cannot be read as NIfTI"),
    ],
)
def test_a_damaged_series_is_named_and_the_others_pass(study, damage, says):
    folder, cfg, _ = study
    file = first(folder, "*_bold_*.nii.gz")
    damage(file)
    (problem,) = check.check_study(cfg)
    assert says in problem and str(file) in problem


def test_a_damaged_mask_and_annotation_are_named(study):
    folder, cfg, _ = study
    mask, annotation = first(folder, "sub-1_T1w_mask.nii.gz"), first(folder, "*harbour*.1D")
    cut_off(mask)
    annotation.write_text("4.0 12.2\nfive six\n")
    problems = check.check_study(cfg)
    assert len(problems) == 2 and str(mask) in problems[0] and str(annotation) in problems[1]


def test_an_uncompressed_series_is_measured_by_its_size(tmp_path):
    path = tmp_path / "b.nii"
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 4, 5), np.float32), np.eye(4)), path)
    check.check_length(path, 352 + 4**3 * 5 * 4)
    cut_off(path)
    with pytest.raises(NeuroFaceError, match="states 1,632 bytes, its end 632"):
        check.check_length(path, 352 + 4**3 * 5 * 4)


def test_lengths_beyond_4_gib_count_modulo(tmp_path):
    path = tmp_path / "b.nii.gz"
    content = gzip.compress(bytes(100))
    path.write_bytes(content[:-4] + (13 * 2**30 + 5).__mod__(2**32).to_bytes(4, "little"))
    check.check_length(path, 13 * 2**30 + 5)
    with pytest.raises(NeuroFaceError, match="cut off"):
        check.check_length(path, 13 * 2**30 + 6)


# ---------------------------------------------------------------- the published listing


@pytest.mark.parametrize(
    ("dataset", "variant", "people", "per_person", "gigabytes"),
    [
        ("nndb-v1", "", 85, 2, 184.4),
        ("nndb-v2", "blur_censor", 86, 3, 162.8),
        ("nndb-v2", "blur_no_censor_ica", 86, 2, 163.3),
        ("nndb-v2", "no_blur_no_censor", 86, 2, 169.2),
    ],
)
def test_the_listing_is_the_published_data_set(dataset, variant, people, per_person, gigabytes):
    listed = check.published_files(dataset, variant)
    assert len(listed) == people * per_person + 10
    assert sum(listed.values()) / 1e9 == pytest.approx(gigabytes, abs=0.05)
    paper = {path.split("/")[1] for path in listed if "_bold_" in path}
    assert len(paper) == people and ("sub-1" in paper) == (dataset == "nndb-v2")
    assert check.published_files("bids") == {} == check.published_files("demo")


@pytest.mark.parametrize("people", ["derivatives", "."])
@pytest.mark.parametrize("stimuli", ["stimuli/", "stimuli/stimuli-", ""])
def test_missing_files_and_other_sizes_are_told_apart(tmp_path, people, stimuli):
    listed = {
        "derivatives/sub-2/anat/sub-2_T1w_mask.nii.gz": 5,
        "derivatives/sub-3/anat/sub-3_T1w_mask.nii.gz": 5,
        "derivatives/sub-4/anat/sub-4_T1w_mask.nii.gz": 5,
        "stimuli/task-split_face-annotation.1D": 3,
    }
    for subject, n in (("sub-2", 5), ("sub-3", 4)):
        file = tmp_path / people / subject / "anat" / f"{subject}_T1w_mask.nii.gz"
        file.parent.mkdir(parents=True)
        file.write_bytes(bytes(n))
    annotation = tmp_path / f"{stimuli}task-split_face-annotation.1D"
    annotation.parent.mkdir(exist_ok=True)
    annotation.write_bytes(bytes(3))
    listed["derivatives/sub-2/func/sub-2_task-split_bold_preprocessedICA.nii.gz"] = 9
    wrong = check.compare_with_listing(tmp_path, listed, ())
    assert len(wrong) == 2
    assert "sub-3_T1w_mask.nii.gz has 4 bytes, 5 were published" in wrong[0]
    missing = "derivatives/sub-2/func/sub-2_task-split_bold_preprocessedICA.nii.gz"
    assert wrong[1] == f"{missing} is missing (9 bytes as published)"
    assert len(check.compare_with_listing(tmp_path, listed, ("sub-2",))) == 1


def test_a_part_of_the_people_can_be_checked(tmp_path, capsys):
    """Of NNDb v1 only sub-71 is here: the others are named as not downloaded, their films' annotations are not missing."""
    listed = check.published_files("nndb-v1")
    mine = [path for path in listed if "/sub-71/" in path]
    for path in [*mine, "stimuli/task-split_face-annotation.1D"]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        with open(tmp_path / path, "wb") as file:
            file.truncate(listed[path])
    assert check.compare_with_listing(tmp_path, listed, ()) == []
    printed = capsys.readouterr().out
    assert "3 are here with the same size" in printed
    assert "not downloaded: 84 of 85 people (sub-2, sub-3, sub-4, sub-5, sub-6, …); the others are checked" in printed
    (tmp_path / "stimuli/task-split_face-annotation.1D").unlink()
    (lost,) = check.compare_with_listing(tmp_path, listed, ())
    assert lost.startswith("stimuli/task-split_face-annotation.1D is missing")


# ---------------------------------------------------------------- the machine, the command


def test_too_little_disk_and_memory_are_wrong(study, monkeypatch):
    _, cfg, _ = study
    one = 41_489 * 10 * 4 * 4 / 1e9  # a window of the paper's, four times on disk
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, int(99 * one * 1e9)))
    assert check.check_machine(41_489, 1000, 98, cfg) == []
    (problem,) = check.check_machine(41_489, 1000, 100, cfg)
    assert f"about {100 * one:.1f} GB are needed" in problem
    cfg.N_JOBS = 10**6
    (problem,) = check.check_machine(41_489, 1000, 98, cfg)
    assert "too little memory" in problem and "N_JOBS" in problem


def test_the_command_exits_with_1_if_something_is_wrong_and_writes_nothing(study):
    folder, cfg, config = study
    done = run_here(1, config, "--check")
    assert done.returncode == 0 and "nothing is wrong" in done.stdout, done.stderr
    cut_off(first(folder, "*_bold_*.nii.gz"))
    done = run_here(1, config, "--check")
    assert done.returncode == 1 and "wrong: " in done.stdout and "this machine: 1, listed above" in done.stderr
    assert not (folder.parent / cfg.RUN_NAME).exists()
    other = run_here(2, config, "--check")
    assert other.returncode == 2 and "usage" in other.stderr


def test_the_listing_names_its_source():
    assert "ds002837" in check.LISTING.read_text().splitlines()[0]
    assert list(pd.read_csv(check.LISTING, sep="\t", comment="#")) == ["path", "bytes"]
