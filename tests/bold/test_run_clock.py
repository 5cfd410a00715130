"""The clock of a run, from sidecars and headers as fMRIPrep and others write them."""

import json

from neuroface import NeuroFaceError
from neuroface.bold import check_tr, first_volume_s, open_header
from neuroface.bold.datasets import find_runs
from neuroface.bold.windows import first_tr

import nibabel as nib
import numpy as np
import pytest

SHAPE = (2, 2, 2)


def save(path, n_volumes, tr_s):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(np.ones((*SHAPE, n_volumes), np.uint8), np.eye(4))
    image.header.set_zooms((1, 1, 1, tr_s))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)
    return path


def run_with(folder, header_s, sidecar, n_volumes=120, raw_volumes=None, place="beside"):
    """A derivative's run; ``place`` of its sidecar: beside the series, or at the root of the raw data set."""
    derivative, func = folder / "derivatives" / "fmriprep", "sub-01/func"
    name = "sub-01_task-x_run-1_space-MNI152NLin2009cAsym_desc-preproc_bold"
    save(derivative / func / f"{name}.nii.gz", n_volumes, header_s)
    (folder / func).mkdir(parents=True)
    (folder / func / "sub-01_task-x_run-01_events.tsv").write_text(
        "onset\tduration\ttrial_type\n10\t14\tface\n"
    )
    if raw_volumes:
        save(folder / func / "sub-01_task-x_run-01_bold.nii.gz", raw_volumes, header_s)
    if sidecar is not None:
        file = (
            derivative / func / f"{name}.json" if place == "beside" else folder / "task-x_bold.json"
        )
        file.write_text(json.dumps(sidecar))
    ((run,), _) = find_runs("bids", derivative)
    return run


def checked(run, tr_s):
    image, shape = open_header(run.bold)
    return check_tr(run, image, shape[3], tr_s)


@pytest.mark.parametrize("place", ["beside", "root"])
@pytest.mark.parametrize("header_s", [0.0, 1.0, 2.0])
def test_the_sidecar_wins_over_a_header_of_0_or_1(tmp_path, header_s, place):
    """fMRIPrep 23.2.0 wrote 1 s to the header, multi-echo data have 0; the sidecar has the TR (fmriprep#3216, #3270)."""
    run = run_with(tmp_path, header_s, {"RepetitionTime": 2.0}, place=place)
    remark = checked(run, 2.0)
    assert (remark is None) == (header_s == 2.0)
    with pytest.raises(
        NeuroFaceError,
        match=r"its sidecar says TR = 2 s, the setting TR_S is 1 s.*120.0 s too late",
    ):
        checked(run, 1.0)


def test_nobody_is_told_to_set_the_tr_to_a_placeholder(tmp_path):
    run = run_with(tmp_path, 1.0, None)
    with pytest.raises(NeuroFaceError, match="Some programs write 1 s in place of the TR") as error:
        checked(run, 2.0)
    assert "TR_S = 1" not in str(error.value)
    assert checked(run, 1.0) is None


def test_a_header_and_a_sidecar_that_disagree_are_both_named(tmp_path):
    run = run_with(tmp_path, 2.5, {"RepetitionTime": 2.0})
    with pytest.raises(NeuroFaceError, match=r"header says TR = 2\.5 s, its sidecar 2 s"):
        checked(run, 2.0)


@pytest.mark.parametrize(("n_volumes", "refused"), [(74, False), (75, True), (4800, True)])
def test_what_counts_is_the_drift_at_the_last_volume(tmp_path, n_volumes, refused):
    """1.49 against 1.5 s: half a TR is reached after 75 volumes; after two hours it is 48 s."""
    run = run_with(tmp_path, 1.49, None, n_volumes)
    if refused:
        words = rf"after {n_volumes:,} volumes windows would be cut {'48.0' if n_volumes == 4800 else '0.7'} s too early"
        with pytest.raises(NeuroFaceError, match=words):
            checked(run, 1.5)
    else:
        assert checked(run, 1.5) is None


def test_irregular_volumes_are_refused_by_name(tmp_path):
    run = run_with(tmp_path, 0.0, {"VolumeTiming": [0, 2, 5]})
    with pytest.raises(NeuroFaceError, match="VolumeTiming"):
        checked(run, 2.0)


@pytest.mark.parametrize("value", ["2.0", 0, -1, None])
def test_a_repetition_time_that_is_none_is_named(tmp_path, value):
    run = run_with(tmp_path, 2.0, {"RepetitionTime": value})
    if value is None:
        assert checked(run, 2.0) is None
    else:
        with pytest.raises(
            NeuroFaceError, match=r"json: RepetitionTime is .*, not a time in seconds"
        ):
            checked(run, 2.0)


def test_slice_timing_moves_the_clock(tmp_path):
    """With StartTime the first volume shows half a TR later; a window starts with the last volume that is not later."""
    run = run_with(tmp_path, 2.0, {"RepetitionTime": 2.0, "StartTime": 0.97})
    start_s = first_volume_s(run, 120, 2.0)
    assert start_s == 0.97
    assert first_tr(np.array([10.0, 11.0]), 2.0, 4.0 - start_s).tolist() == [
        6,
        7,
    ]  # 12.97 and 14.97 s, not 14 and 14
    assert first_tr(np.array([10.0, 11.0]), 2.0, 4.0).tolist() == [7, 7]


def test_dropped_volumes_move_the_clock(tmp_path):
    """A derivative lacks 5 of 130 volumes (xcp_d#661): onset 10 s and a lag of 4 s are raw volume 7, volume 2 here."""
    run = run_with(tmp_path, 2.0, {"NumberOfVolumesDiscardedByUser": 5}, 125, raw_volumes=130)
    start_s = first_volume_s(run, 125, 2.0)
    assert start_s == 10.0
    assert first_tr(np.array([10.0]), 2.0, 4.0 - start_s).tolist() == [2]


def test_volumes_that_nobody_accounts_for_stop_the_run(tmp_path):
    run = run_with(tmp_path, 2.0, None, 125, raw_volumes=130)
    with pytest.raises(
        NeuroFaceError, match=r"125 volumes, 5 fewer than the raw run .*DiscardedByUser: 5"
    ):
        first_volume_s(run, 125, 2.0)


def test_a_derivative_without_its_raw_run_says_itself_what_was_dropped(tmp_path):
    run = run_with(tmp_path, 2.0, {"NumberOfVolumesDiscardedByUser": 5}, 125)
    assert run.raw is None and first_volume_s(run, 125, 2.0) == 10.0


def test_more_dropped_volumes_than_the_raw_run_has_are_refused(tmp_path):
    run = run_with(tmp_path, 2.0, {"NumberOfVolumesDiscardedByUser": 9}, 125, raw_volumes=130)
    with pytest.raises(
        NeuroFaceError, match="DiscardedByUser is 9, and the series has 5 volumes fewer"
    ):
        first_volume_s(run, 125, 2.0)


def test_what_the_scanner_discarded_does_not_explain_a_shorter_derivative(tmp_path):
    run = run_with(
        tmp_path, 2.0, {"NumberOfVolumesDiscardedByUser": 4}, 125, raw_volumes=130, place="root"
    )
    with pytest.raises(NeuroFaceError, match="5 fewer than the raw run"):
        first_volume_s(run, 125, 2.0)


def test_what_the_scanner_discarded_of_a_raw_run_is_before_its_clock(tmp_path):
    """BIDS counts onsets from the first volume that is stored."""
    save(tmp_path / "sub-01/func/sub-01_task-x_bold.nii.gz", 120, 2.0)
    (tmp_path / "task-x_bold.json").write_text(
        json.dumps({"RepetitionTime": 2, "NumberOfVolumesDiscardedByUser": 4})
    )
    (tmp_path / "task-x_events.tsv").write_text("onset\tduration\ttrial_type\n")
    ((run,), _) = find_runs("bids", tmp_path)
    assert run.sidecars == (tmp_path / "task-x_bold.json",) and first_volume_s(run, 120, 2.0) == 0
