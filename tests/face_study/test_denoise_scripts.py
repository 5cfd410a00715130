"""DENOISE through scripts of the face study and the GLM, on a small derivative as fMRIPrep names it."""

import json

from neuroface import NeuroFaceError
from neuroface.bold.projection import Cleaning, drift_regressors
from neuroface.maps.glm import HRF, condition_design, condition_effect, with_nuisance

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, run_here, write_config
from nilearn.glm.first_level import FirstLevelModel
from nilearn.signal import clean

N, TR_S, SHAPE, SPIKE = 160, 2.0, (4, 4, 4), 56
AFFINE = np.diag([3.0, 3, 3, 1])
ONSETS = np.arange(8, 280, 24.0)


def write_study(folder, labels):
    """Two people, one film; drift of many noise SDs, motion in the table, one volume moved."""
    rng = np.random.default_rng(0)
    rows = [f"{onset:g}\t20\t{label}" for onset, label in zip(ONSETS, labels)]
    folder.mkdir(exist_ok=True)
    (folder / "task-film_events.tsv").write_text(
        "\n".join(["onset\tduration\ttrial_type", *rows]) + "\n"
    )
    runs = {}
    for person in ("sub-1", "sub-2"):
        func = folder / person / "func"
        func.mkdir(parents=True, exist_ok=True)
        stem = func / f"{person}_task-film"
        motion = rng.standard_normal(N)
        run = 1000 + rng.standard_normal((*SHAPE, N)) + 50 * np.linspace(-1, 1, N) ** 3 + 3 * motion
        space = f"{stem}_space-MNI152NLin2009cAsym"
        nib.save(
            nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE), f"{space}_desc-brain_mask.nii.gz"
        )
        image = nib.Nifti1Image(run.astype(np.float32), AFFINE)
        image.header.set_zooms((3, 3, 3, TR_S))
        nib.save(image, f"{space}_desc-preproc_bold.nii.gz")
        table = pd.DataFrame(
            {"trans_x": motion, "motion_outlier00": (np.arange(N) == SPIKE).astype(float)}
        )
        table.to_csv(f"{stem}_desc-confounds_timeseries.tsv", sep="\t", index=False, na_rep="n/a")
        runs[person] = run.astype(np.float32).reshape(-1, N).T, motion
    return runs


def script_1(tmp_path, name, labels, **changes):
    runs = write_study(tmp_path / name, labels)
    settings = dict(
        DATASET="bids", DATASET_DIR=str(tmp_path / name), DATA_DIR=str(tmp_path), RUN_NAME=f"out-{name}", TR_S=TR_S,
        LAG_S=4.0, WINDOW_TRS=5, LABEL_EVENTS={"face": ("face",), "noface": ("tree",)}, BALANCE="none",
    )  # fmt: skip
    done = run_here(1, write_config(tmp_path / f"{name}.py", **settings | changes))
    assert done.returncode == 0, done.stderr
    return runs, tmp_path / f"out-{name}" / "1-windows", done.stdout


def windows_of(folder, person="sub-1"):
    stem = folder / person / f"{person}_task-film_windows"
    return (
        np.load(f"{stem}.npy"),
        pd.read_csv(f"{stem}.tsv", sep="\t"),
        json.loads(open(f"{stem}.json").read()),
    )


ALTERNATING = ["face", "tree"] * (len(ONSETS) // 2)


def test_bids_series_are_detrended_and_high_passed_unless_told_otherwise(tmp_path):
    runs, folder, printed = script_1(tmp_path, "auto", ALTERNATING)
    assert "taken from the BOLD of 2 of 2 runs: linear trend, 5 cosines below 0.0078 Hz" in printed
    assert "confounds at hand for 2 of 2 runs: motion (1), volumes to scrub (1)" in printed
    windows, table, note = windows_of(folder)
    series = clean(
        runs["sub-1"][0].astype(float), detrend=True, filter="cosine", high_pass=1 / 128, t_r=TR_S
    )
    expected = [series[first : first + 5].T * np.sqrt(N / (N - 1)) for first in table["first_tr"]]
    np.testing.assert_allclose(windows, expected, atol=1e-4)
    assert (
        note["scrubbed_volumes"] == 0
        and "nothing states that the series was filtered" in note["why"]
    )
    report = (tmp_path / "out-auto" / "report.html").read_text()
    assert "linear trend, 5 cosines" in report and "confounds at hand" in report
    runs, folder, printed = script_1(tmp_path, "none", ALTERNATING, DENOISE="none")
    raw = runs["sub-1"][0]
    expected = (raw - raw.mean(0)) / raw.std(0)
    windows, table, _ = windows_of(folder)
    np.testing.assert_allclose(
        windows, [expected[first : first + 5].T for first in table["first_tr"]], atol=1e-4
    )


def test_windows_that_touch_a_scrubbed_volume_are_left_out_and_counted(tmp_path):
    whole = windows_of(script_1(tmp_path, "whole", ALTERNATING)[1])[1]
    touching = whole["first_tr"].between(SPIKE - 4, SPIKE)
    assert touching.sum() == 1
    runs, folder, printed = script_1(
        tmp_path, "scrub", ALTERNATING, DENOISE=("trans_x", "motion_outlier*")
    )
    assert "sub-1_task-film: 1 windows that touch one of 1 scrubbed volumes" in printed
    windows, table, note = windows_of(folder)
    pd.testing.assert_frame_equal(table, whole[~touching].reset_index(drop=True))
    matrix, motion = runs["sub-1"]
    kept = np.arange(N) != SPIKE
    series = np.full(matrix.shape, np.nan)
    series[kept] = clean(
        matrix.astype(float), detrend=False, confounds=np.column_stack([motion, np.arange(N)]), filter="cosine",
        high_pass=1 / 128, t_r=TR_S, sample_mask=np.flatnonzero(kept),
    ) * np.sqrt((N - 1) / (N - 2))  # fmt: skip
    np.testing.assert_allclose(
        windows, [series[first : first + 5].T for first in table["first_tr"]], atol=1e-4
    )
    assert (
        note["scrubbed_volumes"] == 1
        and "1 confounds (trans_x, motion_outlier00)" in note["taken_from_bold"]
    )


def test_cleaning_never_sees_labels(tmp_path):
    _, folder, _ = script_1(tmp_path, "one", ALTERNATING)
    _, other, _ = script_1(tmp_path, "other", ALTERNATING[::-1])
    (first, table, _), (second, swapped, _) = windows_of(folder), windows_of(other)
    assert (table["label"] != swapped["label"]).all() and (
        table["first_tr"] == swapped["first_tr"]
    ).all()
    np.testing.assert_array_equal(first, second)


def test_the_glm_holds_the_nuisance_constant():
    rng = np.random.default_rng(0)
    kept = np.ones(N, dtype=bool)
    kept[[10, 80]] = False
    motion = rng.standard_normal(N)
    events = np.array([[20.0, 12.0], [90.0, 20.0], [150.0, 5.0], [230.0, 25.0]])
    design = condition_design(events, None, np.ones(N, bool), TR_S)
    run = 900 + 5 * rng.standard_normal((N, 24)) + np.outer(design["first"], rng.uniform(-9, 9, 24))
    run += np.outer(motion, rng.uniform(-9, 9, 24)) + np.outer(
        np.linspace(0, 200, N), rng.uniform(-1, 1, 24)
    )
    run[~kept] += 500
    run = run.astype(np.float32)
    drift = drift_regressors(N, TR_S, 1 / 128)
    cleaning = Cleaning(np.column_stack([drift, motion]), kept)
    parts = (run[start : start + 23] for start in range(0, N, 23))
    effect = condition_effect(parts, with_nuisance(design, cleaning), cleaning)
    volumes = nib.Nifti1Image(run.T.reshape(4, 3, 2, N), np.eye(4))
    model = FirstLevelModel(
        t_r=TR_S, hrf_model=HRF, drift_model=None, noise_model="ols", signal_scaling=False, standardize=False,
        mask_img=nib.Nifti1Image(np.ones((4, 3, 2), np.uint8), np.eye(4)),
    )  # fmt: skip
    stretches = pd.DataFrame(
        {"onset": events[:, 0], "duration": events[:, 1], "trial_type": "face"}
    )
    confounds = pd.DataFrame(np.column_stack([drift[:, 1:], motion])).add_prefix("c")
    model.fit(volumes, stretches, confounds=confounds, sample_masks=np.flatnonzero(kept))
    theirs = model.compute_contrast("face", output_type="effect_size").get_fdata().ravel()
    nuisance = np.column_stack([drift, motion])[kept]
    sd = (
        run[kept] - nuisance @ np.linalg.lstsq(nuisance, run[kept].astype(float), rcond=None)[0]
    ).std(axis=0)
    np.testing.assert_allclose(effect, theirs / sd, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DENOISE": "detrended"}, "DENOISE = 'detrended'"),
        ({"DENOISE": ()}, "DENOISE"),
        ({"HIGH_PASS_HZ": 0.0}, "HIGH_PASS_HZ = 0.0"),
        ({"SMOOTHING_MM": -1.0}, "SMOOTHING_MM = -1.0"),
    ],
)
def test_impossible_values_are_refused(tmp_path, changes, message):
    from neuroface.face_study.settings import FaceSettings
    from neuroface.pipeline.settings import load_settings

    with pytest.raises(NeuroFaceError, match=message):
        load_settings(FaceSettings, ROOT / "config.py", write_config(tmp_path / "c.py", **changes))
