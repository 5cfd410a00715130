"""The eight scripts on the tiny study: what was planted comes back, nothing is done twice, nothing is lost."""

import fcntl
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from neuroface.bold.datasets import find_runs
from neuroface.face_study import fold_settings
from neuroface.pipeline import keras
from neuroface.timeline.model_for_run import choose_models

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import (
    FILM_S,
    ROOT,
    STAGES,
    content,
    copy_of,
    popen_arguments,
    run_here,
    write_config,
)
from scipy import stats
from scipy.stats import binomtest, hypergeom
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from test_settings import load_settings

PEOPLE, FILMS = 8, 4


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t", na_values="n/a")


def table_of_folds(folder: Path) -> pd.DataFrame:
    return pd.concat([table(file) for file in sorted(folder.glob("fold-*.tsv"))])


def test_windows_are_cut_from_the_zscored_run(tiny):
    mask = nib.load(tiny.root / "1-windows" / "group_mask.nii.gz").get_fdata() > 0
    for file in sorted((tiny.root / "1-windows").glob("sub-*/*_windows.npy"))[:2]:
        subject = file.parent.name
        bold = next(tiny.dataset.glob(f"derivatives/{subject}/func/*_bold_*.nii.gz"))
        run_values = nib.load(bold).get_fdata()[mask]
        run_values = (run_values - run_values.mean(1, keepdims=True)) / run_values.std(
            1, keepdims=True
        )
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


@pytest.mark.parametrize(
    ("split", "model"), [("window", ""), ("window", "best"), ("movie", "best")]
)
def test_held_out_windows_are_decoded_above_chance(tiny, split, model):
    """The network alone does not decode unseen films after so short a training."""
    folder = tiny.root / "3-model" / split / model
    predictions = table(folder / "predictions.tsv")
    right = (predictions["probability"] > 0.5) == (predictions["label"] == "face")
    assert binomtest(int(right.sum()), len(right), 0.5, alternative="greater").pvalue < 1e-4
    stored = json.loads((folder / "metrics.json").read_text())["all_folds"]
    assert stored["accuracy"] == pytest.approx(right.mean())
    assert stored["auc"] == pytest.approx(
        roc_auc_score(predictions["label"] == "face", predictions["logit"])
    )


def test_the_ladder_and_the_baselines_stand_beside_the_network(tiny):
    everything = json.loads((tiny.root / "3-model" / "metrics.json").read_text())
    ladder = everything["linear"]["linear"]
    assert (
        set(ladder) == {"window", "run", "subject", "event", "movie"}
        and not everything["not_possible"]
    )
    for rung in ladder.values():
        assert rung["p"] == pytest.approx(1 / 201) and rung["balanced_accuracy"] > rung["null_95"]
    # With labels that mean nothing, a split that keeps moments together is at chance: nothing
    # leaks.
    assert (
        abs(ladder["movie"]["null_mean"] - 0.5) < 0.02
        and abs(ladder["event"]["null_mean"] - 0.5) < 0.02
    )
    assert set(everything["linear"]) == {"linear", "linear-mean", "face-rois"}
    for split in ("window", "movie"):
        result = everything["networks"]["voxel_time_cnn"][split]
        intervals = result["intervals_95"]
        assert (intervals["over"], intervals["n"]) == (
            ("films", 4) if split == "movie" else ("people", 8)
        )
        low, high = intervals["scores"]["accuracy"]
        assert low <= result["all_folds"]["accuracy"] <= high
        shuffled = table_of_folds(tiny.root / "3-model" / split / "shuffled-cnn")
        right = (shuffled["probability"] > 0.5) == (shuffled["label"] == "face")
        assert result["shuffled_cnn"]["accuracy"] == pytest.approx(right.mean())
        assert result["shuffled_cnn"]["model"] == result["model"] == "voxel_time_cnn"
        assert result["cost"]["seconds"] > 0 and result["cost"]["peak_memory_gb"] > 0.1


def test_intervals_of_linear_models_know_how_much_the_weights_of_their_folds_differ(tiny):
    everything = json.loads((tiny.root / "3-model" / "metrics.json").read_text())
    for model in ("linear", "linear-mean", "face-rois"):
        files = sorted((tiny.root / "3-model" / "movie" / model).glob("fold-*.keras"))
        networks = [keras.saving.load_model(file, compile=False) for file in files]
        weights = np.stack(
            [network.get_layer("logit").get_weights()[0].ravel() for network in networks]
        )
        lengths = np.sqrt((weights**2).sum(axis=1))
        cosines = weights @ weights.T / np.outer(lengths, lengths)
        n_folds = len(files)
        mean = cosines[np.triu_indices(n_folds, k=1)].mean()
        intervals = everything["linear_models"][model]["movie"]["intervals_95"]
        assert intervals["noise_share"] == pytest.approx(
            min((n_folds - 1) * (1 - mean), 1), abs=1e-4
        )
        assert everything["linear_models"][model]["window"]["intervals_95"]["noise_share"] is None
    of_network = everything["networks"]["voxel_time_cnn"]["movie"]["intervals_95"]
    assert of_network["noise_share"] is None
    n_films = of_network["n"]
    assert of_network["widened"] == pytest.approx(np.sqrt(1 + n_films / (n_films - 1)))


def test_no_film_is_in_two_movie_folds(tiny):
    predictions = table(tiny.root / "3-model" / "movie" / "predictions.tsv")
    assert (predictions.groupby("movie")["fold"].nunique() == 1).all()


def test_face_regions_carry_more_attribution_per_voxel(tiny):
    truth = nib.load(tiny.dataset / "truth" / "face_rois.nii.gz").get_fdata()
    mask = nib.load(tiny.root / "1-windows" / "group_mask.nii.gz").get_fdata() > 0
    for label in ("face", "noface"):
        group = nib.load(tiny.root / "6-averages" / f"group_label-{label}_ig.nii.gz").get_fdata()
        size = np.abs(group).mean(axis=3)
        assert size[mask & (truth > 0)].mean() > 1.5 * size[mask & (truth == 0)].mean()
        planted = truth[mask] > 0
        strongest = np.argsort(-group[mask].mean(axis=1))[:20]
        by_chance = hypergeom(len(planted), planted.sum(), len(strongest))
        assert by_chance.sf(planted[strongest].sum() - 1) < 1e-4, (
            "the strongest voxels lie elsewhere"
        )


def test_attributions_sum_to_the_change_of_the_logit(tiny):
    for file in (tiny.root / "4-attributions").glob("sub-*/*_ig.npy"):
        rows = table(file.with_name(f"{file.stem}_completeness.tsv"))
        np.testing.assert_allclose(
            np.load(file).sum(axis=(1, 2)), rows["sum_of_attributions"], rtol=1e-3, atol=1e-4
        )
        np.testing.assert_allclose(
            rows["logit"] - rows["logit_of_baseline"] - rows["sum_of_attributions"],
            rows["gap"],
            atol=1e-6,
        )


def test_each_window_is_explained_by_the_model_that_never_saw_it(tiny):
    predictions = table(tiny.root / "3-model" / "movie" / "best" / "predictions.tsv")
    sign = np.where(predictions["label"] == "face", 1, -1)
    for file in (tiny.root / "4-attributions").glob("sub-*/*_completeness.tsv"):
        rows = table(file)
        np.testing.assert_array_equal(rows["fold_model"], predictions["fold"].iloc[rows["row"]])
        np.testing.assert_allclose(
            rows["logit"], (sign * predictions["logit"]).iloc[rows["row"]], rtol=1e-4, atol=1e-4
        )


def test_brain_maps_hold_the_attributions_in_the_masks_space(tiny):
    mask = nib.load(tiny.root / "1-windows" / "group_mask.nii.gz")
    file = sorted((tiny.root / "4-attributions").glob("sub-*/*_ig.npy"))[0]
    stem = file.name.removesuffix("_ig.npy")
    for i, matrix in enumerate(np.load(file)):
        image = nib.load(
            tiny.root / "5-brain-maps" / file.parent.name / f"{stem}_window-{i}_ig.nii.gz"
        )
        np.testing.assert_array_equal(image.affine, mask.affine)
        np.testing.assert_array_equal(image.get_fdata()[mask.get_fdata() > 0], matrix)
        assert image.header.get_zooms()[3] == 1.0


def test_group_map_is_the_mean_of_the_people(tiny):
    people = sorted((tiny.root / "6-averages").glob("sub-*_label-face_ig.nii.gz"))
    group = nib.load(tiny.root / "6-averages" / "group_label-face_ig.nii.gz").get_fdata()
    np.testing.assert_allclose(
        group, np.mean([nib.load(p).get_fdata() for p in people], axis=0), atol=1e-7
    )
    maps = sorted((tiny.root / "5-brain-maps" / "sub-3").glob("*label-face*"))
    mean = np.mean([nib.load(p).get_fdata() for p in maps], axis=0)
    np.testing.assert_allclose(
        nib.load(tiny.root / "6-averages" / "sub-3_label-face_ig.nii.gz").get_fdata(),
        mean,
        atol=1e-7,
    )


def test_moment_by_moment_predictions_follow_the_true_timeline(tiny):
    right_clock, wrong_clock = [], []
    for file in (tiny.root / "8-predictions").glob("*_predictions.tsv"):
        rows = table(file)
        assert len(rows) == FILM_S and (rows["seen_in_training"].dropna() == 0).all()
        np.testing.assert_array_equal(rows["seen_in_training"].notna(), rows["probability"].notna())
        movie = re.search("task-([a-z]+)", file.name).group(1)
        stretches = np.loadtxt(tiny.dataset / "stimuli" / f"task-{movie}_face-annotation.1D")
        # Volume t holds the window t … t + 9, that is seconds t − 4 … t + 6 of the film; its middle
        # is t + 1.
        np.testing.assert_allclose(rows["stimulus_time_s"], rows["tr"] + 1)
        truth = [any(on <= t < on + d for on, d in stretches) for t in rows["stimulus_time_s"]]
        np.testing.assert_array_equal(rows["face"], truth)
        there = rows["probability"].notna()
        assert there.sum() == FILM_S - 9
        right_clock.append(roc_auc_score(rows["face"][there], rows["probability"][there]))
        wrong_clock.append(
            roc_auc_score(np.roll(rows["face"], 60)[there], rows["probability"][there])
        )
    assert len(right_clock) == PEOPLE
    assert np.mean(right_clock) > 0.65 and min(right_clock) > 0.55
    assert abs(np.mean(wrong_clock) - 0.5) < 0.1


def test_stage_8_beats_the_rotated_annotation_and_its_clock_is_right(tiny):
    folder = tiny.root / "8-predictions"
    study = json.loads((folder / "metrics.json").read_text())
    # No film alone can give less than one rotation of all.
    assert 1 / FILM_S - 1e-12 < study["rotations"]["p"] < 0.01
    assert study["n_runs_unseen"] == len(study["runs"]) == PEOPLE
    mean, low, high = study["mean_95"]["auc"]
    films = pd.DataFrame(study["runs"]).groupby("film")["auc"].mean()
    half = stats.t.ppf(0.975, FILMS - 1) * np.sqrt((1 + FILMS / (FILMS - 1)) * films.var() / FILMS)
    assert study["interval_95"] == f"over {FILMS} films or runs"
    assert (mean, low, high) == pytest.approx(
        (films.mean(), films.mean() - half, films.mean() + half)
    )
    # The demo's response peaks 5 s after a face and LAG_S is 4, so windows speak for a moment up to
    # 1.5 s earlier.
    sweep = study["lag_sweep"]
    assert -2 <= sweep["offset_s"][int(np.argmax(sweep["auc"]))] <= 1
    assert set(study["by_movie"]) == set(study["agreement"]) and len(study["agreement"]) == FILMS
    for film, agreement in study["agreement"].items():
        logits = [
            table(file)["logit"].dropna()
            for file in sorted(folder.glob(f"*{film}_predictions.tsv"))
        ]
        assert agreement == pytest.approx(np.corrcoef(*logits)[0, 1])
    for result in study["runs"]:
        rows = table(folder / f"{result['run']}_predictions.tsv")
        sidecar = json.loads((folder / f"{result['run']}_predictions.json").read_text())
        assert list(rows) == list(sidecar) and all(
            column["Description"] for column in sidecar.values()
        )
        others = table(tiny.root / "3-model" / "movie" / "best" / "predictions.tsv").query(
            "movie != @result['movie']"
        )
        threshold = result["at_training_threshold"]["threshold"]
        said = others["probability"] >= threshold
        best = max(
            balanced_accuracy_score(others["label"] == "face", others["probability"] >= p)
            for p in others["probability"]
        )
        assert balanced_accuracy_score(others["label"] == "face", said) == pytest.approx(best)
        assert result["auc_in_training_like_windows"] > result["auc"]


def test_a_rerun_does_nothing_twice(tiny, tmp_path):
    root, config = copy_of(tiny, tmp_path)
    before = {
        p: p.stat().st_mtime_ns for p in root.rglob("*") if p.suffix in (".npy", ".gz", ".keras")
    }
    for number in (1, 2, 3, 4, 5, 6):
        done = run_here(number, config)
        assert done.returncode == 0, done.stderr
        assert "already there, not made again" in done.stdout
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_no_partial_file_is_left(tiny):
    assert not list(tiny.root.rglob("partial-*"))


def test_workers_end_when_their_script_is_killed(tiny, tmp_path):
    root, config = copy_of(tiny, tmp_path)
    two = write_config(
        tmp_path / "two.py", **tiny.settings | {"DATA_DIR": str(tmp_path), "N_JOBS": 2}
    )
    shutil.rmtree(root / "5-brain-maps")
    script = subprocess.Popen(
        [sys.executable, ROOT / STAGES[5][1]], **popen_arguments(two, subprocess.DEVNULL)
    )
    deadline = time.monotonic() + 60
    while not list(root.glob("5-brain-maps/sub-*/*_ig.nii.gz")) and time.monotonic() < deadline:
        time.sleep(0.005)
    script.kill()
    script.wait()
    time.sleep(1.5)
    count = len(list(root.glob("5-brain-maps/*/*_ig.nii.gz")))
    time.sleep(0.5)
    assert 0 < count == len(list(root.glob("5-brain-maps/*/*_ig.nii.gz")))
    assert run_here(5, config).returncode == 0
    assert content(root / "5-brain-maps") == content(tiny.root / "5-brain-maps")


def test_two_runs_of_one_script_do_not_meet(tiny, tmp_path):
    root, config = copy_of(tiny, tmp_path)
    with open(root / "5-brain-maps" / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run_here(5, config)
    assert (
        done.returncode == 1
        and "Another run of 5-revert-IG-tobrain.py is working in" in done.stderr
    )


def test_input_that_changed_is_noticed_by_name(tiny, tmp_path):
    root, _ = copy_of(tiny, tmp_path)
    shutil.copytree(tiny.dataset, tmp_path / "dataset")
    changes = {"DATA_DIR": str(tmp_path), "DATASET_DIR": str(tmp_path / "dataset")}
    config = write_config(tmp_path / "moved.py", **tiny.settings | changes)
    assert run_here(1, config).returncode == 0, "the same data in another place"
    annotation = next((tmp_path / "dataset" / "stimuli").glob("*.1D"))
    annotation.write_text(annotation.read_text().replace("4.0 ", "4.2 ", 1))
    for number in (1, 8):
        done = run_here(number, config)
        assert done.returncode == 1 and f"{annotation.name} has changed" in done.stderr
    shutil.rmtree(root / "1-windows")
    assert run_here(1, config).returncode == 0
    done = run_here(2, config)
    assert done.returncode == 1 and "was made from an earlier 1-windows" in done.stderr


def test_a_missing_input_names_the_script_to_run(tiny, tmp_path):
    config = write_config(tmp_path / "empty.py", **tiny.settings | {"RUN_NAME": "empty"})
    done = run_here(3, config)
    assert done.returncode == 1
    assert (
        "Run: python 1-preprocess_naturalistic_fmri.py" in done.stderr
        and "Traceback" not in done.stderr
    )


def test_the_report_is_one_file_that_needs_no_network(tiny):
    page = (tiny.root / "report.html").read_text()
    images = re.findall(r'<img src="([^"]*)"', page)
    embedded = re.compile("data:image/(png|webp|gif);base64,")
    assert len(images) >= 20 and all(embedded.match(src) and len(src) > 5000 for src in images)
    assert not re.search(r'(src|href)="https?:', page) and "<script src" not in page
    for folder, _ in STAGES.values():
        assert f'id="{folder}"' in page
    for number in STAGES:
        settings = json.loads((tiny.root / STAGES[number][0] / "settings.json").read_text())
        assert settings["finished"] and settings["settings"]["RUN_NAME"] == "tiny"


@pytest.mark.parametrize(("selection", "seen"), [("inner", False), ("paper", True)])
def test_a_fold_that_chose_its_models_epoch_counts_as_seen(tiny, selection, seen):
    runs, _ = find_runs("demo", tiny.dataset, events=("face",))
    cfg = load_settings(ROOT / "config.py", tiny.config)
    cfg.SELECTION = selection
    for models in choose_models(
        runs, tiny.root / "3-model" / "movie" / "best", "movie", fold_settings(cfg), cfg.TR_S, 1
    ).values():
        assert models.seen == dict.fromkeys(
            ("seen_moments", "seen_run", "seen_person", "seen_film"), seen
        )
