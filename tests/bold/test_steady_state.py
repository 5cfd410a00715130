"""Volumes before the steady state: found where they are, and nowhere else; what they do to windows, GLM and scripts."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

from neuroface.bold import cleaning_of, extract_windows, find_runs
from neuroface.bold.steady_state import count_bright, steady_state
from neuroface.maps.glm import condition_design, condition_effect, with_nuisance
from volume_study.volumes import extract_volumes

import nibabel as nib
import numpy as np
import pytest
from conftest import ROOT, run_here, write_config
from scipy.stats import zscore
from test_confounds import denoising

N, TR_S, SHAPE = 120, 2.0, (6, 6, 6)
AFFINE = np.diag([3.0, 3, 3, 1])
BRIGHT = 100 * np.exp(
    -np.arange(5) / 2
)  # noise has SD 1: 100 % to 14 % more than the signal of a tissue at 100
HAXBY = Path(os.environ.get("NEUROFACE_HAXBY", ROOT.parent / "shared" / "real" / "haxby2001"))


def noise(rng, n=50, n_voxels=200):
    return 1000 + rng.standard_normal((n, n_voxels))


@pytest.mark.parametrize("n_bright", [1, 3, 5])
def test_planted_bright_volumes_are_counted(n_bright):
    volumes = noise(np.random.default_rng(0))
    volumes[:n_bright] += BRIGHT[:n_bright, None]
    assert count_bright(volumes) == n_bright
    assert count_bright(volumes - 1000) == n_bright  # cleaned series have a mean of 0


def test_white_noise_has_none():
    """nipype's rule alone would count a first volume in some of these runs."""
    rng = np.random.default_rng(0)
    assert [count_bright(noise(rng)) for _ in range(500)] == [0] * 500


@pytest.mark.parametrize("shape", ["falling", "curved", "cosine", "rising"])
def test_slow_drift_is_none(shape):
    """Of a whole run of 300 volumes, in a size that is 20 times the noise."""
    rng, time = np.random.default_rng(0), np.linspace(0, 1, 300)
    drift = {
        "falling": -time,
        "curved": (time - 1) ** 2,
        "cosine": np.cos(np.pi * time),
        "rising": time,
    }[shape]
    for _ in range(100):
        weight = 20 * rng.random(200)
        assert count_bright((noise(rng, 300) + drift[:, None] * weight)[:50]) == 0


def test_dark_or_late_volumes_and_short_or_constant_series_are_none():
    rng = np.random.default_rng(0)
    dark, late, one = noise(rng), noise(rng), noise(rng)
    dark[:3] -= 100
    late[1:4] += 100
    assert (
        count_bright(dark)
        == count_bright(late)
        == count_bright(one[:9])
        == count_bright(np.ones((50, 4)))
        == 0
    )


@pytest.mark.skipif(not HAXBY.is_dir(), reason="the project's real test data are not beside it")
def test_no_run_of_the_real_haxby_data_has_any():
    runs, _ = find_runs("bids", HAXBY)
    assert len(runs) == 12
    for run in runs:
        assert steady_state(run, 121).kept.all()


def write_run(root, person="sub-01", bright=BRIGHT, table=None):
    """A derivative: dark and noisy outside of a brain, NaN in one corner; returns the brain's series (N, n_voxels)."""
    rng = np.random.default_rng(int(person[-1]))
    brain = np.zeros(SHAPE, dtype=bool)
    brain[1:5, 1:5, 1:5] = True
    values = 20 + rng.standard_normal((*SHAPE, N))
    values[brain] += 980
    values[brain, : len(bright)] += bright
    values[0, 0, 0] = np.nan
    folder = root / person / "func"
    folder.mkdir(parents=True)
    stem = folder / f"{person}_task-film"
    image = nib.Nifti1Image(values.astype(np.float32), AFFINE)
    image.header.set_zooms((3, 3, 3, TR_S))
    nib.save(image, f"{stem}_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz")
    nib.save(
        nib.Nifti1Image(brain.astype(np.uint8), AFFINE),
        f"{stem}_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz",
    )
    if table is not None:
        rows = "".join("\t".join(map(str, row)) + "\n" for row in zip(*table.values()))
        (folder / f"{stem.name}_desc-confounds_timeseries.tsv").write_text(
            "\t".join(table) + "\n" + rows
        )
    return brain, values.astype(np.float32)[brain].T


def only_run(root):
    return find_runs("bids", root, annotated=False, bids_filter="_bold")[0][0]


def test_the_table_of_fmriprep_comes_first(tmp_path):
    marks = {
        f"non_steady_state_outlier{k:02d}": [float(row == k) for row in range(N)] for k in range(2)
    }
    write_run(tmp_path / "a", table={"trans_x": ["n/a"] + [0.1] * (N - 1)} | marks)
    state = steady_state(only_run(tmp_path / "a"), N)
    assert (
        np.flatnonzero(~state.kept).tolist() == [0, 1]
        and "marked as non_steady_state_outlier" in state.reason
    )
    write_run(tmp_path / "b", table={"trans_x": [0.1] * N})  # a table without marks: by brightness
    assert np.flatnonzero(~steady_state(only_run(tmp_path / "b"), N).kept).tolist() == [
        0,
        1,
        2,
        3,
        4,
    ]


@pytest.mark.parametrize("denoise", ["none", "detrend"])
def test_bright_volumes_do_not_shrink_the_windows(tmp_path, denoise):
    """With them in mean and SD the windows have an SD of about 0.2."""
    brain, series = write_run(tmp_path)
    cleaning = cleaning_of(only_run(tmp_path), N, denoising(denoise))
    assert np.flatnonzero(~cleaning.kept).tolist() == [0, 1, 2, 3, 4]
    assert cleaning.keeps([4, 5], 10).tolist() == [False, True]
    firsts = np.arange(5, 110, 10)
    extract_windows(
        tmp_path / "w.npy", only_run(tmp_path).bold, brain, AFFINE, firsts, 10, "zscore", cleaning
    )
    windows = np.load(tmp_path / "w.npy")
    assert windows.std() == pytest.approx(1, abs=0.05)
    if denoise == "none":
        expected = zscore(series[5:].astype(float), axis=0)
        assert np.allclose(
            windows, [expected[first - 5 : first + 5].T for first in firsts], atol=1e-4
        )


def test_labelled_volumes_are_standardised_without_them(tmp_path):
    brain, series = write_run(tmp_path)
    cleaning = cleaning_of(only_run(tmp_path), N, denoising("none"))
    tr = np.arange(5, N)
    volumes, constant = extract_volumes(only_run(tmp_path), brain, AFFINE, tr, "voxel", cleaning)
    assert (
        np.allclose(volumes, zscore(series[5:].astype(float), axis=0), atol=1e-4) and constant == 0
    )


def test_a_film_that_begins_with_them_has_lines_in_their_place(tmp_path):
    """At the beginning of a run the first volume that is kept counts."""
    responses = pytest.importorskip(
        "film_encoding.responses", reason="needs the extras of film and brain"
    )
    brain, series = write_run(tmp_path)
    run = only_run(tmp_path)
    cleaning = cleaning_of(run, N, denoising("none"))
    rows, _ = responses.film_rows(
        SimpleNamespace(run=run, first=0), brain, AFFINE, N, "zscore", cleaning
    )
    assert np.allclose(
        rows,
        zscore(np.vstack([series[5:6].repeat(5, axis=0), series[5:]]).astype(float), axis=0),
        atol=1e-4,
    )


def test_the_glm_leaves_them_out(tmp_path):
    """The effect is that of least squares over the other volumes."""
    brain, series = write_run(tmp_path)
    stretches = np.array([[20.0, 16], [80, 16], [140, 16], [200, 16]])
    cleaning = cleaning_of(only_run(tmp_path), N, denoising("none"))
    design = condition_design(stretches, None, np.ones(N, dtype=bool), TR_S)
    effect = condition_effect(iter([series]), with_nuisance(design, cleaning), cleaning)
    solved = np.linalg.lstsq(design.to_numpy()[5:], series[5:].astype(float), rcond=None)[0][0]
    assert np.allclose(effect, solved / series[5:].astype(float).std(axis=0), atol=1e-4)


def test_script_1_names_them_and_counts_the_windows_that_touch_them(tmp_path):
    onsets = np.arange(0, 200, 20)
    rows = "".join(f"{onset}\t14\t{('face', 'tree')[k % 2]}\n" for k, onset in enumerate(onsets))
    for name, bright in (("bright", BRIGHT), ("clean", [])):
        for person in ("sub-01", "sub-02"):
            write_run(tmp_path / name, person, bright if person == "sub-01" else [])
        (tmp_path / name / "task-film_events.tsv").write_text(
            "onset\tduration\ttrial_type\n" + rows
        )
        config = write_config(
            tmp_path / f"{name}.py", DATASET="bids", DATASET_DIR=str(tmp_path / name), DATA_DIR=str(tmp_path),
            RUN_NAME=f"out-{name}", TR_S=TR_S, LAG_S=4.0, WINDOW_TRS=5, BALANCE="none", DENOISE="none",
            LABEL_EVENTS={"face": ("face",), "noface": ("tree",)}, MIN_STRETCH_S=10.0,
        )  # fmt: skip
        done = run_here(1, config)
        assert done.returncode == 0, done.stderr
        folder = tmp_path / f"out-{name}" / "1-windows"
        windows = np.load(folder / "sub-01/sub-01_task-film_windows.npy")
        note = json.loads((folder / "sub-01/sub-01_task-film_windows.json").read_text())
        assert windows.std() == pytest.approx(1, abs=0.05)
        if name == "bright":
            assert (
                "sub-01_task-film: 5 volumes before the steady state are left out: brighter than"
                in done.stdout
            )
            assert (
                "sub-01_task-film: 1 windows that touch one of 5 volumes that are scrubbed or before"
                in done.stdout
            )
            assert "sub-02_task-film: 5 volumes" not in done.stdout
            assert (
                "volumes before the steady state are left out"
                in (tmp_path / "out-bright" / "report.html").read_text()
            )
        else:
            assert "steady state" not in done.stdout
        assert len(windows) == len(onsets) - (name == "bright")
        assert note["volumes_before_steady_state"] == (5 if name == "bright" else 0)
