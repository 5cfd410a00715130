"""Script 1 on a censored data set: the tiny study with volumes dropped, as NNDb v2 publishes it."""

import shutil

from neuroface.bold import Run
from neuroface.timeline.clock import on_every_tr

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import run_here, write_config

PEOPLE, N_DROPPED = ("sub-1", "sub-2"), 25


@pytest.fixture(scope="module")
def studies(tiny, tmp_path_factory):
    """Windows folder of script 1 without and with censoring, by variant, and what it printed; and the kept TRs."""
    folder = tmp_path_factory.mktemp("v2")
    dataset, kept = folder / "dataset", {}
    shutil.copytree(tiny.dataset / "stimuli", dataset / "stimuli")
    for subject in PEOPLE:
        source, person = tiny.dataset / "derivatives" / subject, dataset / "derivatives" / subject
        series = next((source / "func").glob("*.nii.gz"))
        stem = series.name.split("_bold")[0]
        for part in ("func", "anat", "regressors"):
            (person / part).mkdir(parents=True)
        shutil.copy(
            source / "anat" / f"{subject}_T1w_mask.nii.gz",
            person / "anat" / f"{subject}_t1w_mask_epi_anat.nii.gz",
        )
        image = nib.load(series)
        kept[subject] = np.ones(image.shape[3], bool)
        rng = np.random.default_rng(int(subject[4:]))
        kept[subject][rng.choice(image.shape[3], N_DROPPED, replace=False)] = False
        shutil.copy(series, person / "func" / f"{stem}_bold_blur_no_censor.nii.gz")
        left = nib.Nifti1Image(
            np.asarray(image.dataobj)[..., kept[subject]], image.affine, image.header
        )
        nib.save(left, person / "func" / f"{stem}_bold_blur_censor.nii.gz")
        marks = person / "regressors" / f"{stem}_censored_timepoints.1D"
        marks.write_text("".join(f" {int(k)}\n" for k in kept[subject]))
    printed = {}
    for variant in ("blur_no_censor", "blur_censor"):
        config = write_config(
            folder / f"{variant}.py", DATASET="nndb-v2", DATASET_DIR=str(dataset), DATA_DIR=str(folder),
            NNDB_VARIANT=variant, RUN_NAME=variant, BALANCE="none", STANDARDIZE="none", MASK_THRESHOLD=0.5,
        )  # fmt: skip
        done = run_here(1, config)
        assert done.returncode == 0, done.stderr
        printed[variant] = done.stdout
    return folder, kept, printed


def test_windows_that_touch_a_gap_are_left_out_and_the_others_are_the_same(studies):
    folder, kept, printed = studies
    for subject in PEOPLE:
        (whole_file,) = (folder / "blur_no_censor" / "1-windows" / subject).glob("*.npy")
        (censored_file,) = (folder / "blur_censor" / "1-windows" / subject).glob("*.npy")
        tables = [
            pd.read_csv(file.with_suffix(".tsv"), sep="\t") for file in (whole_file, censored_file)
        ]
        clean = np.array([kept[subject][t : t + 10].all() for t in tables[0]["first_tr"]])
        assert 0 < clean.sum() < len(clean)
        pd.testing.assert_frame_equal(tables[0][clean].reset_index(drop=True), tables[1])
        assert np.array_equal(np.load(whole_file)[clean], np.load(censored_file))
        name = censored_file.name.removesuffix("_windows.npy")
        says = f"left out: {name}: {(~clean).sum()} windows that touch one of the {N_DROPPED} volumes censored for motion"
        assert says in printed["blur_censor"]


def test_without_censoring_nothing_is_left_out(studies):
    assert "censored" not in studies[2]["blur_no_censor"].replace("blur_censor", "")


def test_predictions_of_a_censored_run_stand_at_their_own_trs(tmp_path):
    """Eight TRs, the fourth dropped: windows of three that span the gap have no prediction, later ones keep their TR."""
    censor = tmp_path / "censored_timepoints.1D"
    np.savetxt(censor, [1, 1, 1, 0, 1, 1, 1, 1], fmt="%d")
    logit = np.array([10.0, 11, 12, 13, 14, np.nan, np.nan])
    by_tr = on_every_tr(logit, run_with(censor), 3)
    np.testing.assert_array_equal(by_tr, [10, np.nan, np.nan, np.nan, 13, 14, np.nan, np.nan])


def test_a_break_of_a_censored_scan_is_where_its_trs_say(tmp_path):
    """Nine TRs, the second dropped, a new run from the sixth on: windows of three from TR 3 and 4 span the break."""
    censor = tmp_path / "censored_timepoints.1D"
    np.savetxt(censor, [1, 0, 1, 1, 1, 1, 1, 1, 1], fmt="%d")
    logit = np.array([10.0, 11, 12, 13, 14, 15, np.nan, np.nan])
    by_tr = on_every_tr(logit, run_with(censor, pauses=((0, 0.0), (5, 60.0))), 3)
    predicted = {2: 11, 5: 14, 6: 15}
    np.testing.assert_array_equal(by_tr, [predicted.get(tr, np.nan) for tr in range(9)])


def run_with(censor, pauses=()):
    bold = censor.with_name("bold.nii.gz")
    return Run("sub-1", "film", "1", "sub-1_task-film", bold, None, (), censor, pauses=pauses)
