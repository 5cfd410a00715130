"""``--check`` of the study of labelled volumes: a whole demo passes, each damage is named, scripts 1 to 3 agree."""

from importlib.util import find_spec

from volume_study import demo

import numpy as np
import pytest
from block_design import bids, save
from conftest import ROOT, script_here, write_config, wrong_lines

STUDY = ROOT / "studies" / "volumes"
SCRIPTS = sorted(STUDY.glob("[1-3]-*.py"))
SEGMENTS = ((0.0, 316.0), (300.0, 616.0), (600.0, 916.0))
HYBRID = {"hybrid": {"filters": (4, 4, 4), "width": 8, "heads": 2, "depth": 1, "feed_forward": 8}}


def blocks_config(folder, **settings):
    blocks = dict(
        DATASET="bids", DATASET_DIR=str(folder / "dataset"), DATA_DIR=str(folder / "data"), RUN_NAME="r", TR_S=2.0,
        LABEL_SOURCE="events", MIN_PER_CLASS=2, CV_SPLITS=("block",), HELD_OUT_SPLIT="block", N_FOLDS=3, SPACE="MNI",
        MODELS=("hybrid",), EXPLAINED_MODEL="hybrid", MODEL_OPTIONS=HYBRID, MAP_METHODS=("occlusion-zero",),
    )  # fmt: skip
    return write_config(folder / "c.py", **blocks | settings)


def problems_of(config) -> list[str]:
    return wrong_lines(SCRIPTS[0], config)


def errors_of_scripts(config) -> str:
    """What scripts 1 to 3 stop with; network training is not reached."""
    for script in SCRIPTS:
        if (done := script_here(script, config)).returncode:
            return done.stderr
    return ""


@pytest.mark.skipif(
    find_spec("krippendorff") is None,
    reason="no krippendorff: make volumes",
)
def test_a_whole_demo_passes_and_every_run_is_on_the_films_clock(tmp_path):
    demo.write_demo(
        tmp_path / "dataset", STUDY / "demo_regions.tsv", SEGMENTS, 42, voxel_mm=12, people=2
    )
    config = write_config(
        tmp_path / "c.py", DATASET_DIR=str(tmp_path / "dataset"), DATA_DIR=str(tmp_path / "data"), SEGMENTS=SEGMENTS,
        OBSERVER_DIR=str(tmp_path / "dataset" / "observers"), MIN_PER_CLASS=30, N_FOLDS=3, BALANCE="moments",
    )  # fmt: skip
    assert problems_of(config) == []
    printed = script_here(SCRIPTS[0], config, "--check").stdout
    rows = [line.split() for line in printed.splitlines() if line.startswith("  sub-")]
    assert [row[:2] for row in rows] == [
        [f"sub-0{p}", f"task-film_run-{r}"] for p in (1, 2) for r in (1, 2, 3)
    ]
    for row in rows:
        start_s = SEGMENTS[int(row[1][-1]) - 1][0]
        assert f"{start_s:g} to " in " ".join(row)
        film_s, scan_s = float(row[-3]), float(row[-1])
        assert scan_s == film_s - start_s + 6  # LAG_S
    assert (
        "volumes: 158 (all runs)" in printed
        and "next" in printed.lower()
        and "3-train_volume_networks.py" in printed
    )


def test_blocks_pass_and_their_first_volumes_are_shown(tmp_path):
    """Block onset 12 s, LAG_S 6 s, TR 2 s: the volume at 18 s."""
    bids(tmp_path / "dataset")
    config = blocks_config(tmp_path)
    assert problems_of(config) == []
    printed = script_here(SCRIPTS[0], config, "--check").stdout
    assert (
        "first of them: face 12 → 18 (all runs)" in printed
        and "labelled volumes: 96 (all runs)" in printed
    )


@pytest.mark.parametrize(
    "settings, says",
    [
        (dict(N_FOLDS=30), "Split 'block' has 24 groups and N_FOLDS is 30"),
        (dict(MIN_PER_CLASS=1000), "0 labels have MIN_PER_CLASS = 1000"),
        (
            dict(EVENT_LABELS={"face": ("Gesicht",), "house": ("house",)}),
            "Column 'trial_type' holds 'face', 'house'",
        ),
        (dict(TR_S=2.2), "TR = 2 s, the setting TR_S is 2.2 s"),
        (dict(MASK_FILE="m.nii.gz"), "has a grid of (4, 4, 4) voxels, the mask (4, 4, 5)"),
        (dict(BIDS_FILTER="space-MNI"), "holds no run"),
    ],
)
def test_what_stops_scripts_1_to_3_is_wrong_and_in_their_words(tmp_path, settings, says):
    bids(tmp_path / "dataset", people=2)
    save(tmp_path / "m.nii.gz", np.ones((4, 4, 5)))
    if "MASK_FILE" in settings:
        settings = settings | {"MASK_FILE": str(tmp_path / "m.nii.gz")}
    config = blocks_config(tmp_path, **settings)
    problems = problems_of(config)
    assert any(says in problem for problem in problems)
    assert any(problem in errors_of_scripts(config) for problem in problems)


def test_a_damaged_series_is_wrong(tmp_path):
    bids(tmp_path / "dataset", people=2)
    file = tmp_path / "dataset/sub-01/func/sub-01_task-loc_run-1_bold.nii.gz"
    file.write_bytes(file.read_bytes()[:-1000])
    assert "sub-01_task-loc_run-1_bold.nii.gz is cut off" in problems_of(blocks_config(tmp_path))[0]
