"""Files as people have them, from public bug reports: what other tests do not hold yet.

A file that another program wrote gives the values that nibabel reads, or one line names what is
wrong with it and where.
"""

import bz2
import gzip
import re
import struct

from neuroface import NeuroFaceError
from neuroface.bold.annotations import read_1d, read_events
from neuroface.bold.datasets import find_runs
from neuroface.bold.images import read_mask, read_masked
from neuroface.face_study.check import compare_with_listing

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from block_design import AFFINE, bids, save
from conftest import ROOT, run_here, script_here, write_config, wrong_lines

SHAPE = (4, 4, 4)


def block_config(folder, **settings):
    """Settings of the face study for :func:`block_design.bids` in ``folder/dataset``."""
    blocks = dict(
        DATASET="bids", DATASET_DIR=str(folder / "dataset"), DATA_DIR=str(folder / "data"), RUN_NAME="r", TR_S=2.0,
        WINDOW_TRS=5, LABEL_EVENTS={"face": ("face",), "noface": ("house",)}, CV_SPLITS=("window",), N_FOLDS=2,
        HELD_OUT_SPLIT="window", SPACE="MNI", ROI_FILE=None, FILM_DIR=str(folder / "films"), BALANCE="none",
    )  # fmt: skip
    return write_config(folder / "c.py", **blocks | settings)


def checked_and_run(folder, **settings):
    """What ``--check`` calls wrong, and script 1 (returncode, stdout, stderr)."""
    config = block_config(folder, **settings)
    return wrong_lines(ROOT / "1-preprocess_naturalistic_fmri.py", config), run_here(1, config)


# ---------------------------------------------------------------- events.tsv

ROWS = [(10 + 28 * k, 14, ("face", "house")[k % 2]) for k in range(8)]
TABLE = "onset\tduration\ttrial_type\n" + "".join(f"{o}.5\t{d}\t{t}\n" for o, d, t in ROWS)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(TABLE.replace(".5", ",5").encode(), r"line 2: onset '10,5'", id="decimal comma"),
        pytest.param(TABLE.encode("utf-16"), "not a table in UTF-8", id="UTF-16"),
        pytest.param(TABLE.replace("house", "Küche").encode("latin-1"), "not a table in UTF-8", id="Latin-1"),
        pytest.param(TABLE.replace("\t", ";").encode(), "onset;duration;trial_type", id="semicolons"),
        pytest.param(b"onset\tduration\n3\t777\n", "'trial_type'.*'onset', 'duration'", id="no trial_type"),
    ],
)  # fmt: skip
def test_a_table_of_a_spreadsheet_is_refused_and_its_fault_named(tmp_path, content, says):
    path = tmp_path / "sub-01_task-x_events.tsv"
    path.write_bytes(content)
    with pytest.raises(NeuroFaceError, match=says) as error:
        read_events(path, ("face",))
    assert str(path) in str(error.value)


def test_onsets_in_milliseconds_are_refused_with_the_first_that_no_scan_can_have(tmp_path):
    """Second 90,000 is later than a day."""
    bids(tmp_path / "dataset", people=2, runs=(1,))
    for path in tmp_path.rglob("*_events.tsv"):
        path.write_text(re.sub(r"(?m)^(\d+)\t(\d+)\t", r"\g<1>000\t\g<2>000\t", path.read_text()))
    problems, done = checked_and_run(tmp_path)
    assert "sub-01_task-loc_run-1_events.tsv, line 5: onset 90000" in problems[0]
    checked = script_here(
        ROOT / "1-preprocess_naturalistic_fmri.py", block_config(tmp_path), "--check"
    )
    assert "the same of 1 more: sub-02_task-loc_run-1_events.tsv, line 5\n" in checked.stdout
    assert done.returncode == 1 and problems[0] in done.stderr


def test_a_clock_that_begins_anew_within_a_table_gives_no_window(tmp_path):
    """Two runs were joined, and the onsets of the second one begin at 0 again, with the other label."""
    bids(tmp_path / "dataset", people=2, runs=(1,))
    for path in tmp_path.rglob("*_events.tsv"):
        head, *rows = path.read_text().splitlines(keepends=True)
        second = [
            row.replace("face", "x").replace("house", "face").replace("x", "house") for row in rows
        ]
        path.write_text("".join([head, *rows, *second]))
    problems, done = checked_and_run(tmp_path)
    assert done.stdout.count("24 windows in which 'face' and 'noface' overlap") == 2
    assert problems[0].startswith("No run gives a window.") and problems[0] in done.stderr


# ---------------------------------------------------------------- .1D

FACES = [[10.0, 14.0], [30.0, 14.0]]


@pytest.mark.parametrize(
    "text",
    ["# 3dcalc\n10 14 # a face\n\n30 14\n", "10 14\r\n30 14\r\n", "10\t14\n30\t14\n"],
    ids=["comments", "line ends of Windows", "tabs"],
)
def test_a_1d_file_of_afni_or_a_spreadsheet_is_read(tmp_path, text):
    (tmp_path / "a.1D").write_bytes(text.encode())
    assert read_1d(tmp_path / "a.1D").tolist() == FACES


def test_a_1d_file_of_one_row_is_one_stretch(tmp_path):
    (tmp_path / "a.1D").write_text("10 14\n")
    assert read_1d(tmp_path / "a.1D").tolist() == [[10.0, 14.0]]


@pytest.mark.parametrize(
    "text",
    ["\ufeff10 14\n30 14\n", "10:14 30:14 55:20\n", "10 14\n*\n", "10 14 1\n30 14 1\n", "10,0 14,0\n", "10,14\n30,14\n",
     "00:00:10 00:00:14\n", "2@10 14\n"],
    ids=["byte order mark", "married", "star", "FSL's three columns", "decimal commas", "commas", "time codes", "repeats"],
)  # fmt: skip
def test_a_1d_file_of_another_layout_is_refused_by_name(tmp_path, text):
    path = tmp_path / "task-x_face-annotation.1D"
    path.write_text(text)
    with pytest.raises(NeuroFaceError, match="two") as error:
        read_1d(path)
    assert str(path) in str(error.value)


# ---------------------------------------------------------------- NIfTI


@pytest.fixture
def values():
    return np.random.default_rng(3).normal(1000, 50, (*SHAPE, 12)).astype(np.float32)


@pytest.mark.parametrize("scaling", [(0, 0), (np.nan, np.nan)], ids=str)
def test_a_slope_that_is_0_or_no_number_scales_nothing(tmp_path, values, scaling):
    save(tmp_path / "b.nii", values, 2.0)
    raw = bytearray((tmp_path / "b.nii").read_bytes())
    raw[112:120] = struct.pack("<ff", *scaling)  # scl_slope, scl_inter
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(bytes(raw)))
    everywhere = np.ones(SHAPE, bool)
    read = read_masked(tmp_path / "b.nii.gz", everywhere, AFFINE)
    np.testing.assert_array_equal(read, values[everywhere])
    by_nibabel = np.asarray(nib.load(tmp_path / "b.nii.gz").dataobj)
    np.testing.assert_array_equal(read, by_nibabel[everywhere])


def test_nifti_2_is_read(tmp_path, values):
    image = nib.Nifti2Image(values, AFFINE)
    nib.save(image, tmp_path / "b.nii.gz")
    everywhere = np.ones(SHAPE, bool)
    read = read_masked(tmp_path / "b.nii.gz", everywhere, AFFINE)
    np.testing.assert_array_equal(read, values[everywhere])


def test_a_mask_may_have_a_fourth_axis_of_one(tmp_path):
    mask = np.random.default_rng(0).random(SHAPE) < 0.5
    nib.save(nib.Nifti1Image(mask[..., None].astype(np.float32), AFFINE), tmp_path / "m.nii.gz")
    assert np.array_equal(read_mask(tmp_path / "m.nii.gz")[0], mask)


def test_a_series_packed_with_bzip2_gets_the_command_that_repacks_it(tmp_path):
    bids(tmp_path / "dataset", people=2, runs=(1,))
    (series,) = tmp_path.rglob("sub-02*_bold.nii.gz")
    packed = series.with_suffix(".bz2")
    packed.write_bytes(bz2.compress(gzip.decompress(series.read_bytes())))
    series.unlink()
    problems, done = checked_and_run(tmp_path)
    (problem,) = problems
    assert f"Run: bunzip2 {packed.name} && gzip {packed.stem}" in problem
    assert done.returncode == 1 and problem in done.stderr


def test_people_whose_first_axis_runs_the_other_way_are_not_mixed(tmp_path):
    """LAS and RAS: the grids have one shape, and voxel i of one is voxel n - 1 - i of the other."""
    bids(tmp_path / "dataset", people=2, runs=(1,))
    flipped = np.diag([-4.0, 4, 4, 1])
    flipped[0, 3] = 12
    for path in (tmp_path / "dataset" / "sub-02").rglob("*.nii.gz"):
        image = nib.load(path)
        data = np.asarray(image.dataobj)[::-1]
        nib.save(nib.Nifti1Image(data, flipped, image.header), path)
    problems, done = checked_and_run(tmp_path)
    (problem,) = problems
    assert "sub-02" in problem and "affine [[-4.0" in problem and "against [[4.0" in problem
    assert done.returncode == 1 and problem in done.stderr


# ---------------------------------------------------------------- names


def test_a_folder_may_have_blanks_letters_of_any_language_and_brackets(tmp_path):
    """Brackets are a pattern to ``glob``."""
    folder = tmp_path / "Daten für Köln [2] (neu) *"
    bids(folder / "dataset", people=2, runs=(1,))
    problems, done = checked_and_run(folder)
    assert problems == [] and done.returncode == 0, done.stderr
    tables = list((folder / "data/r/1-windows").glob("sub-*/*_windows.tsv"))
    assert [len(pd.read_csv(path, sep="\t")) for path in tables] == [12, 12]


NNDB_FILES = {
    "BOLD": "derivatives/sub-2/func/sub-2_task-split_bold_preprocessedICA.nii.gz",
    "mask": "derivatives/sub-2/anat/sub-2_T1w_mask.nii.gz",
    "annotation": "stimuli/task-split_face-annotation.1D",
}


@pytest.mark.parametrize("kind", ["link", "pointer"])
@pytest.mark.parametrize("which", NNDB_FILES)
def test_what_git_annex_has_not_fetched_of_nndb_is_listed_with_the_command(tmp_path, which, kind):
    """All of ds002837 is annexed; sub-1, who saw another film, is whole."""
    other_film = [
        name.replace("sub-2", "sub-1").replace("split", "citizenfour")
        for name in NNDB_FILES.values()
    ]
    for name in (*NNDB_FILES.values(), *other_film):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(600))
    away = tmp_path / NNDB_FILES[which]
    away.unlink()
    key = "MD5E-s123--d41d8cd98f00b204e9800998ecf8427e"
    if kind == "link":
        away.symlink_to(f"../../../.git/annex/objects/aa/bb/{key}/{key}")
    else:
        away.write_text(f"/annex/objects/{key}\n")
    runs, left_out = find_runs("nndb-v1", tmp_path, events=("face",))
    assert [run.subject for run in runs] == ["sub-1"]
    bold = NNDB_FILES["BOLD"].split("/")[-1]
    assert left_out == [(bold, f"not fetched: datalad get {away}")]
    assert compare_with_listing(tmp_path, {NNDB_FILES[which]: 600}, ()) == (
        [f"{NNDB_FILES[which]} is missing (600 bytes as published)"]
        if which == "annotation"
        else []
    )
