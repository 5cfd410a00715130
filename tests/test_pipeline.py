"""The eight scripts on the tiny study: what was planted comes back, nothing is done twice, nothing is lost."""

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import FILM_S, ROOT, popen_arguments, run, write_config
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from neuroface.files import STAGES

PEOPLE, FILMS = 8, 4


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", na_values="n/a")


def content(folder: Path) -> dict[str, str]:
    """Digest of every result; times and versions in settings.json aside."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name not in ("settings.json", "report.html", "report.json")
    }


def test_windows_are_cut_from_the_zscored_run(tiny):
    mask = nib.load(tiny.root / "1-windows" / "group_mask.nii.gz").get_fdata() > 0
    for file in sorted((tiny.root / "1-windows").glob("sub-*/*_windows.npy"))[:2]:
        subject = file.parent.name
        bold = next(tiny.dataset.glob(f"derivatives/{subject}/func/*_bold_*.nii.gz"))
        run_values = nib.load(bold).get_fdata()[mask]
        run_values = (run_values - run_values.mean(1, keepdims=True)) / run_values.std(1, keepdims=True)
        rows, windows = table(file.with_suffix(".tsv")), np.load(file)
        assert windows.dtype == np.float32 and windows.shape == (len(rows), mask.sum(), 10)
        for window, start in zip(windows, rows["first_tr"]):
            np.testing.assert_allclose(window, run_values[:, start : start + 10], atol=1e-4)
        assert (rows["first_tr"] == (rows["onset_s"] + 4).astype(int)).all()


def test_classes_are_balanced_in_every_run(tiny):
    samples = table(tiny.root / "2-dataset" / "samples.tsv")
    counts = samples.groupby(["subject", "label"]).size().unstack()
    assert (counts["face"] == counts["noface"]).all() and len(counts) == PEOPLE
    assert samples["movie"].nunique() == FILMS


def test_dataset_holds_the_windows_in_order(tiny):
    X, y = np.load(tiny.root / "2-dataset" / "X.npy"), np.load(tiny.root / "2-dataset" / "y.npy")
    samples = table(tiny.root / "2-dataset" / "samples.tsv")
    parts = [np.load(tiny.root / "1-windows" / s / f"{s}_task-{m}_windows.npy")
             for s, m in samples[["subject", "movie"]].drop_duplicates().itertuples(index=False)]  # fmt: skip
    np.testing.assert_array_equal(X, np.concatenate(parts))
    np.testing.assert_array_equal(y, samples["label"] == "face")
    assert y.dtype == np.int8


@pytest.mark.parametrize("split", ["window", "movie"])
def test_held_out_windows_are_decoded_above_chance(tiny, split):
    predictions = table(tiny.root / "3-model" / split / "predictions.tsv")
    right = (predictions["probability"] > 0.5) == (predictions["label"] == "face")
    assert binomtest(int(right.sum()), len(right), 0.5, alternative="greater").pvalue < 1e-4
    stored = json.loads((tiny.root / "3-model" / split / "metrics.json").read_text())["all_folds"]
    assert stored["accuracy"] == pytest.approx(right.mean())
    assert stored["auc"] == pytest.approx(roc_auc_score(predictions["label"] == "face", predictions["logit"]))


def test_no_film_is_in_two_movie_folds(tiny):
    predictions = table(tiny.root / "3-model" / "movie" / "predictions.tsv")
    assert (predictions.groupby("movie")["fold"].nunique() == 1).all()


def test_face_regions_carry_more_attribution_per_voxel(tiny):
    truth = nib.load(tiny.dataset / "truth" / "face_rois.nii.gz").get_fdata()
    mask = nib.load(tiny.root / "1-windows" / "group_mask.nii.gz").get_fdata() > 0
    for label in ("face", "noface"):
        group = nib.load(tiny.root / "6-averages" / f"group_label-{label}_ig.nii.gz").get_fdata()
        size = np.abs(group).mean(axis=3)
        assert size[mask & (truth > 0)].mean() > 2 * size[mask & (truth == 0)].mean()
        assert truth[np.unravel_index(np.argmax(group.mean(axis=3)), truth.shape)] > 0, "the map peaks outside"


def test_attributions_sum_to_the_change_of_the_logit(tiny):
    for file in (tiny.root / "4-attributions").glob("sub-*/*_ig.npy"):
        rows = table(file.with_name(file.name.replace("_ig.npy", "_completeness.tsv")))
        np.testing.assert_allclose(np.load(file).sum(axis=(1, 2)), rows["sum_of_attributions"], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(
            rows["logit"] - rows["logit_of_baseline"] - rows["sum_of_attributions"], rows["gap"], atol=1e-6
        )


def test_each_window_is_explained_by_the_model_that_never_saw_it(tiny):
    predictions = table(tiny.root / "3-model" / "movie" / "predictions.tsv")
    sign = np.where(predictions["label"] == "face", 1, -1)
    for file in (tiny.root / "4-attributions").glob("sub-*/*_completeness.tsv"):
        rows = table(file)
        np.testing.assert_array_equal(rows["fold_model"], predictions["fold"].iloc[rows["row"]])
        np.testing.assert_allclose(rows["logit"], (sign * predictions["logit"]).iloc[rows["row"]], rtol=1e-4, atol=1e-4)


def test_brain_maps_hold_the_attributions_in_the_masks_space(tiny):
    mask = nib.load(tiny.root / "1-windows" / "group_mask.nii.gz")
    file = sorted((tiny.root / "4-attributions").glob("sub-*/*_ig.npy"))[0]
    stem = file.name.removesuffix("_ig.npy")
    for i, matrix in enumerate(np.load(file)):
        image = nib.load(tiny.root / "5-brain-maps" / file.parent.name / f"{stem}_window-{i}_ig.nii.gz")
        np.testing.assert_array_equal(image.affine, mask.affine)
        np.testing.assert_array_equal(image.get_fdata()[mask.get_fdata() > 0], matrix)
        assert image.header.get_zooms()[3] == 1.0


def test_group_map_is_the_mean_of_the_people(tiny):
    people = sorted((tiny.root / "6-averages").glob("sub-*_label-face_ig.nii.gz"))
    group = nib.load(tiny.root / "6-averages" / "group_label-face_ig.nii.gz").get_fdata()
    np.testing.assert_allclose(group, np.mean([nib.load(p).get_fdata() for p in people], axis=0), atol=1e-7)
    maps = sorted((tiny.root / "5-brain-maps" / "sub-3").glob("*label-face*"))
    mean = np.mean([nib.load(p).get_fdata() for p in maps], axis=0)
    np.testing.assert_allclose(
        nib.load(tiny.root / "6-averages" / "sub-3_label-face_ig.nii.gz").get_fdata(), mean, atol=1e-7
    )


def test_moment_by_moment_predictions_follow_the_true_timeline(tiny):
    right_clock, wrong_clock = [], []
    for file in (tiny.root / "8-predictions").glob("*_predictions.tsv"):
        rows = table(file)
        assert len(rows) == FILM_S and (rows["seen_in_training"] == 0).all()
        movie = re.search("task-([a-z]+)", file.name).group(1)
        stretches = np.loadtxt(tiny.dataset / "stimuli" / f"task-{movie}_face-annotation.1D")
        # Volume t holds the window t … t + 9, that is seconds t − 4 … t + 6 of the film; its middle is t + 1.
        np.testing.assert_allclose(rows["stimulus_time_s"], rows["tr"] + 1)
        truth = [any(on <= t < on + d for on, d in stretches) for t in rows["stimulus_time_s"]]
        np.testing.assert_array_equal(rows["face"], truth)
        there = rows["probability"].notna()
        assert there.sum() == FILM_S - 9
        right_clock.append(roc_auc_score(rows["face"][there], rows["probability"][there]))
        wrong_clock.append(roc_auc_score(np.roll(rows["face"], 60)[there], rows["probability"][there]))
    assert len(right_clock) == PEOPLE
    assert np.mean(right_clock) > 0.7 and min(right_clock) > 0.55
    assert abs(np.mean(wrong_clock) - 0.5) < 0.1


def test_a_rerun_does_nothing_twice(tiny):
    before = {p: p.stat().st_mtime_ns for p in tiny.root.rglob("*") if p.suffix in (".npy", ".gz", ".keras")}
    for number in (1, 2, 3, 4, 5, 6):
        done = run(number, tiny.config)
        assert done.returncode == 0, done.stderr
        assert "already there, not made again" in done.stdout
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_no_partial_file_is_left(tiny):
    assert not list(tiny.root.rglob("partial-*"))


def test_a_changed_setting_stops_the_stages_it_concerns(tiny, tmp_path):
    changed = write_config(tmp_path / "changed.py", **tiny.settings | {"LAG_S": 5.0})
    for number in (1, 2, 8):
        done = run(number, changed)
        assert done.returncode == 1
        assert "LAG_S = 4.0; the setting is now 5.0" in done.stderr and "Traceback" not in done.stderr
    changed = write_config(tmp_path / "changed.py", **tiny.settings | {"IG_STEPS": 17})
    assert run(2, changed).returncode == 0, "stage 2 does not depend on IG_STEPS"
    done = run(5, changed)
    assert done.returncode == 1 and "IG_STEPS = 16; the setting is now 17" in done.stderr


def copy_of(tiny, folder: Path) -> tuple[Path, Path]:
    """A copy of the finished study that a test may break, and its config."""
    shutil.copytree(tiny.root, folder / "tiny")
    return folder / "tiny", write_config(folder / "copy.py", **tiny.settings | {"DATA_DIR": str(folder)})


def test_a_killed_script_resumes_and_ends_with_the_same_results(tiny, tmp_path):
    root, config = copy_of(tiny, tmp_path)
    whole = content(root / "4-attributions")
    shutil.rmtree(root / "4-attributions" / "sub-1")
    arguments = popen_arguments(config)
    del arguments["capture_output"]
    script = subprocess.Popen(
        [sys.executable, ROOT / STAGES[4][1]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **arguments
    )
    journal = root / "4-attributions" / "sub-1"
    deadline = time.monotonic() + 60
    while not (listed := list(journal.glob("partial-*_completeness.tsv"))) and time.monotonic() < deadline:
        time.sleep(0.005)
    script.send_signal(signal.SIGKILL)
    script.wait()
    assert listed, "the script ended before it could be killed"
    refused = run(5, config)
    assert refused.returncode == 1 and "not complete" in refused.stderr
    done = run(4, config)
    assert done.returncode == 0, done.stderr
    assert "already there" in done.stdout
    assert content(root / "4-attributions") == whole


def test_a_missing_input_names_the_script_to_run(tiny, tmp_path):
    config = write_config(tmp_path / "empty.py", **tiny.settings | {"RUN_NAME": "empty"})
    done = run(3, config)
    assert done.returncode == 1
    assert "Run: python 2-load-data.py" in done.stderr and "Traceback" not in done.stderr


def test_the_report_is_one_file_that_needs_no_network(tiny):
    page = (tiny.root / "report.html").read_text()
    images = re.findall(r'<img src="([^"]*)"', page)
    assert len(images) >= 10 and all(src.startswith("data:image/png;base64,") and len(src) > 5000 for src in images)
    assert not re.search(r'(src|href)="https?:', page) and "<script" not in page
    for folder, _ in STAGES.values():
        assert f'id="{folder}"' in page
    for number in STAGES:
        settings = json.loads((tiny.root / STAGES[number][0] / "settings.json").read_text())
        assert settings["finished"] and settings["settings"]["RUN_NAME"] == "tiny"
