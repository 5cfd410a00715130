"""A run followed while a writer drips its volumes: in order, half written, missing, too late."""

import subprocess
import sys
import threading
import time
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.bold import Denoising
from neuroface.bold.images import read_mask, read_masked
from neuroface.decoding.fold_files import model_file
from neuroface.decoding.network import load_network, logit_network
from neuroface.pipeline.files import read_json, read_table
from neuroface.timeline.follow import (
    LivePrediction,
    LiveSettings,
    LiveStandardizer,
    follow_volumes,
    live_line,
    read_volume,
    volume_number,
)  # fmt: skip
from neuroface.timeline.live_cleaning import LiveCleaner

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, STAGES, popen_arguments, run_here, write_config
from nilearn.glm.first_level.design_matrix import create_cosine_drift
from nilearn.image import smooth_img

SHAPE = (3, 4, 2)
MASK = np.ones(SHAPE, dtype=bool)
# Drips volumes (z, y, x of a .npy file with time last) as 1.nii.gz, 2.nii.gz …: some in two halves,
# some never.
WRITER = """
import sys, time
from pathlib import Path
import nibabel as nib
import numpy as np
series, folder, wait_s = nib.load(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
halves, missing = ([int(n) for n in part.split(",")] for part in sys.argv[4:6])
data = np.asarray(series.dataobj)
for number in range(1, data.shape[3] + 1):
    if number not in missing:
        content = nib.Nifti1Image(data[..., number - 1], series.affine).to_bytes()
        with open(folder / f"vol_{number:04d}.nii", "wb") as file:
            if number in halves:
                file.write(content[: len(content) // 2])
                file.flush()
                time.sleep(5 * wait_s)
                content = content[len(content) // 2 :]
            file.write(content)
    time.sleep(wait_s)
"""


def write_volume(folder, number, value, ending=".nii.gz", shape=SHAPE):
    nib.save(
        nib.Nifti1Image(np.full(shape, value, dtype=np.float32), np.eye(4)),
        folder / f"v{number}{ending}",
    )


def collect(folder, patience_s=0.3, idle_s=0.8):
    return [
        (n, None if v is None else float(v[0]))
        for n, v, _ in follow_volumes(folder, MASK, np.eye(4), patience_s, idle_s)
    ]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("vol-0012.nii.gz", 12),
        ("7.nii", 7),
        ("s2_r1_0003.nii", 3),
        ("partial-4.nii", None),
        ("a.nii", None),
        ("3.txt", None),
    ],
)
def test_the_number_is_at_the_end_of_the_name(tmp_path, name, number):
    assert volume_number(tmp_path / name) == number


def test_volumes_come_in_order_and_a_missing_one_is_reported(tmp_path):
    for number in (5, 6, 8, 10, 9, 11):
        write_volume(tmp_path, number, number * 10)
    assert collect(tmp_path) == [
        (5, 50),
        (6, 60),
        (7, None),
        (8, 80),
        (9, 90),
        (10, 100),
        (11, 110),
    ]


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_half_written_volume_is_waited_for(tmp_path, ending):
    write_volume(tmp_path, 1, 1, ending)
    write_volume(tmp_path, 2, 2, ending)
    content = (tmp_path / f"v2{ending}").read_bytes()
    (tmp_path / f"v2{ending}").write_bytes(content[: len(content) * 2 // 3])

    def finish():
        time.sleep(0.4)
        with open(tmp_path / f"v2{ending}", "ab") as file:
            file.write(content[len(content) * 2 // 3 :])

    writer = threading.Thread(target=finish)
    writer.start()
    assert collect(tmp_path) == [(1, 1), (2, 2)]
    writer.join()


def test_what_never_comes_or_never_ends_is_said(tmp_path):
    with pytest.raises(NeuroFaceError, match="No volume"):
        collect(tmp_path, idle_s=0.2)
    write_volume(tmp_path, 1, 1, ".nii")
    (tmp_path / "v1.nii").write_bytes((tmp_path / "v1.nii").read_bytes()[:-8])
    with pytest.raises(NeuroFaceError, match=r"v1\.nii is still incomplete"):
        collect(tmp_path, idle_s=0.2)


def test_a_volume_on_another_grid_is_refused(tmp_path):
    write_volume(tmp_path, 1, 1, shape=(3, 4, 3))
    with pytest.raises(NeuroFaceError, match=r"\(3, 4, 3\).*\(3, 4, 2\)"):
        collect(tmp_path)


def causal(volumes, baseline):
    """By hand: the baseline by its own mean and SD, every later volume by those of all volumes up to it."""
    result = []
    for t in range(len(volumes)):
        past = volumes[: max(t + 1, baseline)].astype(float)
        result.append((volumes[t] - past.mean(axis=0)) / past.std(axis=0))
    return np.array(result)


def test_live_volumes_are_standardised_by_the_volumes_so_far():
    volumes = np.random.default_rng(0).normal(100, 5, (20, 6)).astype(np.float32)
    standardizer = LiveStandardizer(6, baseline_trs=8)
    parts = [standardizer.push(volume) for volume in volumes]
    assert [len(part) for part in parts] == [0] * 7 + [8] + [1] * 12
    np.testing.assert_allclose(np.concatenate(parts), causal(volumes, 8), atol=1e-5)
    last = np.concatenate(parts)[-1]
    np.testing.assert_array_equal(
        standardizer.push(None), [last]
    )  # a missing one: the one before it again


def test_without_a_baseline_volumes_pass_as_they_are():
    volume = np.arange(4, dtype=np.float32)
    np.testing.assert_array_equal(LiveStandardizer(4, baseline_trs=0).push(volume), [volume])


def test_script_8_follows_a_run_that_a_writer_drips(tiny, tmp_path):
    """Two volumes are half written for a while and one never comes; the rest must be the network's own answers."""
    n, baseline, missing = 60, 15, 40
    bold = next(tiny.dataset.glob("derivatives/sub-1/func/*_bold_*.nii.gz"))
    series = nib.load(bold)
    nib.save(series.slicer[..., :n], tmp_path / "short.nii")
    run = tmp_path / bold.name.split("_bold")[0]
    run.mkdir()
    for number in (1, 3):
        (tmp_path / "tiny").mkdir(exist_ok=True)
        (tmp_path / "tiny" / STAGES[number][0]).symlink_to(tiny.root / STAGES[number][0])
    changes = {"DATA_DIR": str(tmp_path), "FOLLOW_BASELINE_TRS": baseline, "FOLLOW_IDLE_S": 4.0}
    config = write_config(tmp_path / "live.py", **tiny.settings | changes)
    command = [sys.executable, ROOT / STAGES[8][1], "--follow", run]
    follower = subprocess.Popen(command, **popen_arguments(config))
    writing = [
        sys.executable,
        "-c",
        WRITER,
        tmp_path / "short.nii",
        run,
        "0.05",
        "2,30",
        str(missing),
    ]
    assert subprocess.run(writing, cwd=ROOT, timeout=60).returncode == 0
    printed, errors = follower.communicate(timeout=60)
    assert follower.returncode == 0, errors
    assert (
        f"volume {missing} is missing" in printed
        and "60 volumes, 1 of them missing; 51 predictions" in printed
    )
    table = read_table(tmp_path / "tiny" / STAGES[8][0] / "live" / f"{run.name}_predictions.tsv")
    assert table["tr"].tolist() == list(range(n - 9))
    assert printed.count("probability") == n - 9
    np.testing.assert_allclose(table["stimulus_time_s"], table["tr"] + 1)
    assert table["missing_in_window"].tolist() == [
        int(tr <= missing - 1 <= tr + 9) for tr in table["tr"]
    ]
    assert table["latency_s"].iloc[baseline:].median() < 0.5

    mask, affine = read_mask(tiny.root / STAGES[1][0] / "group_mask.nii.gz")
    volumes = read_masked(bold, mask, affine).T[:n]
    there = np.delete(volumes, missing - 1, axis=0)
    standard = causal(there, baseline)
    standard = np.insert(standard, missing - 1, standard[missing - 2], axis=0)
    metrics = read_json(tiny.root / STAGES[8][0] / "metrics.json")["runs"]
    (fold,) = next(r["fold_models"] for r in metrics if r["run"] == run.name)
    model = logit_network(
        load_network(
            model_file(tiny.root / STAGES[3][0], "movie", fold, "best"), len(volumes.T), 10
        )
    )
    windows = np.stack([standard[t : t + 10].T for t in range(n - 9)]).astype(np.float32)
    expected = np.asarray(model(windows[..., None], training=False))[:, 0]
    np.testing.assert_allclose(table["logit"], expected, atol=1e-3)

    again = run_here(8, config, "--follow", str(run))
    assert again.returncode == 1 and "already exists" in again.stderr
    assert pd.Series(printed.splitlines()).str.contains("unseen in training").any()
    assert (table["seen_in_training"] == 0).all()


def drift_left(volumes, baseline, high_pass_hz, past_trs):
    """By hand: each volume after the fit of trend and cosines to the last volumes up to it, in SDs of what is left."""
    result = []
    for t in range(len(volumes)):
        end = max(t + 1, baseline)
        past = volumes[max(0, end - past_trs) : end].astype(float)
        columns = [np.ones(len(past)), np.arange(len(past))]
        columns += list(create_cosine_drift(high_pass_hz, np.arange(len(past)) * 1.0)[:, :-1].T)
        design = np.column_stack(columns)
        left = past - design @ np.linalg.lstsq(design, past, rcond=None)[0]
        result.append((left / left.std(axis=0))[min(t, len(past) - 1) if t < baseline else -1])
    return np.array(result)


def test_live_volumes_lose_the_drift_of_the_volumes_so_far():
    rng = np.random.default_rng(0)
    volumes = (900 + rng.normal(0, 3, (90, 6)) + 0.02 * np.arange(90)[:, None] ** 2).astype(
        np.float32
    )
    cleaner = LiveCleaner(6, 12, 1.0, 1 / 20, "zscore")
    parts = [cleaner.push(volume) for volume in volumes]
    assert [len(part) for part in parts] == [0] * 11 + [12] + [1] * 78
    np.testing.assert_allclose(
        np.concatenate(parts), drift_left(volumes, 12, 1 / 20, 40), atol=2e-3
    )
    np.testing.assert_array_equal(cleaner.push(None), parts[-1])
    kept = LiveCleaner(6, 12, 1.0, 1 / 20, "none")
    parts = np.concatenate([kept.push(volume) for volume in volumes])
    assert (
        abs(parts[-1] - volumes[-40:].mean(axis=0)).max() < 12
    )  # the mean of the last volumes stays


def test_live_cleaning_nears_that_of_the_recorded_run():
    rng = np.random.default_rng(1)
    signal = rng.standard_normal((400, 20))
    drift = 8 * np.cos(np.linspace(0, 5, 400))[:, None] * rng.standard_normal(20)
    volumes = (500 + signal + drift).astype(np.float32)
    cleaner, plain = LiveCleaner(20, 30, 2.0, 1 / 128, "zscore"), LiveStandardizer(20, 30)
    live = np.concatenate([cleaner.push(volume) for volume in volumes])[200:]
    only_scaled = np.concatenate([plain.push(volume) for volume in volumes])[200:]
    assert np.corrcoef(live.ravel(), signal[200:].ravel())[0, 1] > 0.85
    assert np.corrcoef(only_scaled.ravel(), signal[200:].ravel())[0, 1] < 0.5


def test_a_smoothed_live_volume_is_nilearns(tmp_path):
    values = np.random.default_rng(0).normal(50, 9, SHAPE).astype(np.float32)
    affine = np.diag([2.0, 3, 4, 1])
    nib.save(nib.Nifti1Image(values, affine), tmp_path / "1.nii")
    expected = smooth_img(nib.Nifti1Image(values, affine), 5.0).get_fdata()
    np.testing.assert_allclose(
        read_volume(tmp_path / "1.nii", MASK, affine, 5.0), expected[MASK], rtol=1e-5
    )


# ---------------------------------------------------------------- when the film begins; first volumes


class MeanVoxel:
    """A predictor whose logit is the mean of the newest volume."""

    n_voxels = 50

    def reset(self):
        """Has nothing to forget."""

    def push(self, volumes):
        return volumes.mean(axis=1)


def live_rows(volumes, film_event=None, denoise="none"):
    settings = LiveSettings(
        window_trs=5, lag_s=4.0, prediction_at=0.5, standardize="zscore", film_event=film_event, baseline_trs=15,
        denoising=Denoising(denoise, high_pass_hz=None, smoothing_mm=None, tr_s=2.0),
    )  # fmt: skip
    saw_everything = SimpleNamespace(folds=(1,), saw=lambda fold, n_trs: np.ones(n_trs, bool))
    live = LivePrediction(MeanVoxel(), settings, saw_everything)
    return [row for volume in volumes for row in live.push(volume, time.monotonic())], live


def noise(n_volumes=40):
    return (
        np.random.default_rng(0).normal(100, 1, (n_volumes, MeanVoxel.n_voxels)).astype(np.float32)
    )


@pytest.mark.parametrize("denoise", ["none", "detrend"])
def test_bright_first_volumes_of_a_live_run_count_as_missing(denoise):
    """Three of them would divide all later volumes by an SD ten times too large."""
    bright = noise()
    bright[:3] += 50
    rows, live = live_rows(bright, denoise=denoise)
    without, _ = live_rows([None] * 3 + list(noise()[3:]), denoise=denoise)
    assert (
        live.n_bright == 3
        and "40 volumes, 0 of them missing, 3 before the steady state" in live.summary()
    )
    assert [row["missing_in_window"] for row in rows[:4]] == [3, 2, 1, 0]
    # A run whose volumes never came is judged 3 volumes later; from then on both are the same.
    np.testing.assert_allclose(
        [row["logit"] for row in rows], [row["logit"] for row in without], atol=1e-5
    )
    assert live_rows(noise())[1].n_bright == 0


def test_a_run_that_ends_within_its_baseline_counts_the_volumes_that_came():
    rows, live = live_rows([*noise(8), None])
    assert rows == [] and live.summary() == "9 volumes, 1 of them missing; 0 predictions"


@pytest.mark.parametrize(("film_event", "begins_s"), [(None, 0.0), (8.0, 8.0)])
def test_seconds_of_a_live_run_count_from_the_beginning_of_its_film(film_event, begins_s):
    """Windows of 10 s, predictions in their middle, a lag of 4 s: volume 0 predicts second 1 of the run."""
    rows, _ = live_rows(noise(), film_event)
    np.testing.assert_allclose(
        [row["stimulus_time_s"] for row in rows], [2.0 * row["tr"] + 1 - begins_s for row in rows]
    )
    assert {row["seen_in_training"] for row in rows} == {1}
    assert live_line(rows[3]).startswith(f"  {7 - begins_s:8.1f} s  probability 0.")


@pytest.mark.parametrize("film_event", ["film", ("film", "task-scan_acq-{task}_events.tsv")])
def test_where_only_a_log_says_when_the_film_began_a_live_run_has_no_seconds_of_it(film_event):
    rows, _ = live_rows(noise(), film_event)
    assert (
        {row["stimulus_time_s"] for row in rows}
        == {"n/a"}
        == {row["seen_in_training"] for row in rows}
    )
    assert live_line(rows[3]).startswith("  volume    3  probability 0.")
