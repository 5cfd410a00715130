"""Scripts 3 to 8 with other architectures beside the paper's, on the tiny study's windows: in `make test-full`."""

import json

from neuroface.pipeline.files import open_npy, read_table

import numpy as np
import pandas as pd
import pytest
from conftest import FULL, STAGES, run_here, write_config

MODELS = ("voxel_time_cnn", "hybrid", "transformer")
pytestmark = pytest.mark.skipif(not FULL, reason="takes minutes: make test-full")


@pytest.fixture(scope="module")
def study(tiny, tmp_path_factory):
    """Its folder, and what script 3 printed."""
    folder = tmp_path_factory.mktemp("models")
    root = folder / tiny.root.name
    root.mkdir()
    for number in (1, 2):
        (root / STAGES[number][0]).symlink_to(tiny.root / STAGES[number][0])
    settings = tiny.settings | {
        "DATA_DIR": str(folder), "MODELS": MODELS, "EXPLAINED_MODEL": "hybrid", "CV_SPLITS": ("movie",), "EPOCHS": 4,
        "MODEL_OPTIONS": {
            "hybrid": {"filters": (4, 4, 8), "width": 16, "heads": 2, "depth": 1, "feed_forward": 16},
            "transformer": {"width": 16, "heads": 2, "depth": 1, "feed_forward": 16},
        },
        "BASELINES": (), "N_PERMUTATIONS": 0, "ATTRIBUTION_CHECKS": ("steps",), "SMOOTH_TRS": 5,
        "ATTRIBUTION_METHODS": ("ig", "grad-cam", "attention-rollout"), "IG_STEPS": "auto", "IG_TOLERANCE": 0.05,
        "IG_RULE": "midpoint",
    }  # fmt: skip
    config, printed = write_config(folder / "models.py", **settings), {}
    for number in (3, 4, 5, 6, 7, 8):
        done = run_here(number, config)
        assert done.returncode == 0, done.stderr
        printed[number] = done.stdout
    return root, printed


def test_every_architecture_leaves_the_same_files(study):
    root, printed = study
    files = {
        "fold-1.keras",
        "fold-2.keras",
        "predictions.tsv",
        "metrics.json",
        "history.tsv",
        "results.png",
    }
    for model in MODELS:
        folder = root / "3-model" / "movie" / ("" if model == "voxel_time_cnn" else model)
        assert files <= {path.name for path in folder.iterdir()}
        assert json.loads((folder / "metrics.json").read_text())["model"] == model
    assert "Transformer, movie folds: " in printed[3]


def test_one_table_sets_them_side_by_side(study):
    root, _ = study
    folder = root / "3-model" / "movie"
    table = pd.read_csv(folder / "models.tsv", sep="\t", na_values="n/a")
    names = ["voxel-time CNN", "3D-CNN and Transformer", "Transformer", "ridge, whole window"]
    assert table["model"].tolist() == names and (folder / "models.png").exists()
    networks = table.iloc[:3].set_index("model")
    for name in ("accuracy", "mcc", "f1", "auc", "pr_auc"):
        assert (networks[f"{name}_low"] <= networks[name]).all() and (
            networks[name] <= networks[f"{name}_high"]
        ).all()
    stored = json.loads((folder / "transformer" / "metrics.json").read_text())
    row = networks.loc["Transformer"]
    assert row["pr_auc"] == pytest.approx(stored["all_folds"]["pr_auc"])
    n_voxels = open_npy(root / "2-dataset" / "X.npy").shape[1]
    encoder = 4 * 10 * 16 * 16 + 2 * 10 * 10 * 16 + 2 * 10 * 16 * 16
    assert row["multiply_adds"] == 10 * n_voxels * 16 + encoder + 16
    page = (root / "report.html").read_text()
    assert "Models on the same movie folds" in page and "3D-CNN and Transformer" in page


def test_the_named_network_is_explained(study):
    root, _ = study
    predictions = read_table(root / "3-model" / "movie" / "hybrid" / "predictions.tsv")
    sign = np.where(predictions["label"] == "face", 1, -1)
    gaps = []
    for file in sorted(root.glob("4-attributions/sub-*/*_ig_completeness.tsv")):
        rows = read_table(file)
        np.testing.assert_allclose(
            rows["logit"], (sign * predictions["logit"])[rows["row"]], rtol=1e-3, atol=1e-4
        )
        gained = (rows["logit"] - rows["logit_of_baseline"]).abs().clip(lower=1)
        gaps.append(rows["gap"].abs() / gained)
    assert 0 < np.concatenate(gaps).max() <= 0.05 + 1e-4
    for method in ("grad-cam", "attention-rollout"):
        maps = np.concatenate(
            [open_npy(file) for file in root.glob(f"4-attributions/sub-*/*_{method}.npy")]
        )
        assert np.isfinite(maps).all() and maps.std() > 0
        assert len(list(root.glob(f"5-brain-maps/*/*_{method}.nii.gz"))) == len(predictions)
    checks = json.loads((root / "4-attributions" / "checks.json").read_text())
    assert [method for method, found in checks.items() if "completeness" in found] == [
        "ig"
    ]  # nothing else must add up


def test_heat_maps_go_the_way_of_the_others(study):
    root, printed = study
    for method, contrasts in {
        "ig": {"face", "noface", "face-minus-noface", "face-absolute", "noface-absolute"},
        "grad-cam": {"face", "noface", "face-minus-noface", "face-absolute", "noface-absolute"},
        "attention-rollout": {"face-absolute", "noface-absolute"},  # positive everywhere
    }.items():
        files = root.glob(f"6-averages/group_contrast-*_{method}_test.json")
        assert {file.name.split("contrast-")[1].split("_")[0] for file in files} == contrasts
        drawn = root.glob(f"7-figures/group_contrast-*_{method}_surface.png")
        shown = {"face", "noface"} | contrasts & {"face-minus-noface"}
        assert {file.name.split("contrast-")[1].split("_")[0] for file in drawn} == shown
    assert "tests of the sign of attention rollout" in printed[6]


def test_the_named_network_predicts_and_is_smoothed(study, tiny):
    root, _ = study
    for file in root.glob("8-predictions/*_predictions.tsv"):
        rows = read_table(file)
        known = rows["logit"].notna()
        np.testing.assert_array_equal(
            known, read_table(tiny.root / "8-predictions" / file.name)["logit"].notna()
        )
        change = rows["logit"].diff().abs().mean()
        assert 0 < change < 0.5 * rows["logit"].std()
