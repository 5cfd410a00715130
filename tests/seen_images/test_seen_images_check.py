"""``--check`` of seen images: a whole demo passes, each damage is named, and script 1 agrees."""

import shutil

import numpy as np
import pytest
from conftest import ROOT, script_here, write_config, wrong_lines

pytest.importorskip("torch", reason="needs the extras of seen images: make images-test")
for extra in ("diffusers", "transformers", "himalaya", "skimage", "efficientnet_lite_pytorch"):
    pytest.importorskip(extra, reason="needs the extras of seen images: make images-test")
FOLDER = ROOT / "studies" / "seen_images"

from seen_images import demo  # noqa: E402

SCRIPT = FOLDER / "1-load_betas.py"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images-check") / "dataset"
    demo.write_demo(folder, 42, 40, 6)
    return folder


@pytest.fixture
def study(whole, tmp_path):
    """A copy of the demo that a test may break, and a function that writes its config."""
    shutil.copytree(whole, tmp_path / "dataset")
    settings = dict(
        DATASET_DIR=str(tmp_path / "dataset"),
        DATA_DIR=str(tmp_path / "data"),
        RUN_NAME="r",
        N_JOBS=1,
        SPLIT="given",
    )
    return tmp_path / "dataset", lambda **more: write_config(tmp_path / "c.py", **settings | more)


def test_a_whole_demo_passes_and_trials_and_voxels_are_counted(study):
    dataset, config = study
    assert wrong_lines(SCRIPT, config()) == []
    printed = script_here(SCRIPT, config(), "--check").stdout
    trials = [line.split("\t") for line in (dataset / "trials.tsv").read_text().splitlines()]
    split, session = trials[0].index("split"), trials[0].index("session")
    for name in sorted({row[session] for row in trials[1:]}):
        own = [row for row in trials[1:] if row[session] == name]
        row = next(line.split() for line in printed.splitlines() if line.split()[:1] == [name])
        assert int(row[1]) == sum(row[split] == "train" for row in own)
        assert int(row[3]) == sum(row[split] == "test" for row in own)
    assert (
        "pictures: 46 of 46 images have them" in printed
        and "captions: 46 of 46 images have them" in printed
    )
    voxels = (dataset / "voxels.tsv").read_text().splitlines()
    assert any(
        line.split() == ["early", "V1", str(sum("V1" in v for v in voxels))]
        for line in printed.splitlines()
    )


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"N_KINDS": 10, "HELD_OUT_KINDS": 3}, None),
        ({}, "N_KINDS = 100, and the captions have"),  # of 46 images
        ({"N_KINDS": 40, "HELD_OUT_KINDS": 1}, "The number of test images is"),
        (
            {"N_KINDS": 10, "HELD_OUT_KINDS": 3, "TRAINING_TRIALS": 900},
            "training trials. Set it to",
        ),
        ({"N_KINDS": 30, "HELD_OUT_KINDS": 28}, "training trials, too few for a mean and SD"),
    ],
)
def test_kinds_are_held_out_as_by_script_1(study, settings, says):
    """The check names the kinds' images, and stops where script 1 stops, with its words."""
    dataset, config = study
    checked = script_here(SCRIPT, config(SPLIT="kinds", **settings), "--check")
    done = script_here(SCRIPT, config(SPLIT="kinds", **settings))
    assert (checked.returncode, done.returncode) == ((1, 1) if says else (0, 0)), done.stderr
    if says:
        (line,) = [line for line in checked.stdout.splitlines() if line.startswith("  wrong: ")]
        assert says in line and line.removeprefix("  wrong: ") in done.stderr
    else:
        betas = dataset.parent / "data" / "r" / "1-betas"
        n_test = len((betas / "test.tsv").read_text().splitlines()) - 1
        assert f"test images: all {n_test} images of 3 of 10 kinds" in checked.stdout
        assert f"test: {n_test} images, " in checked.stdout


def lose_picture(dataset):
    next((dataset / "images").iterdir()).unlink()


def lose_pictures(dataset):
    shutil.rmtree(dataset / "images")


def break_picture(dataset):
    next((dataset / "images").iterdir()).write_bytes(b"<html>503</html>")


def lose_captions(dataset):
    (dataset / "captions.tsv").unlink()


def lose_trials(dataset):
    np.save(dataset / "betas.npy", np.load(dataset / "betas.npy")[:-3])


def one_training_image(dataset):
    head, *rows = (dataset / "trials.tsv").read_text().splitlines()
    image = next(row for row in rows if "\ttrain" in row).split("\t")[0]
    keep = [
        number for number, row in enumerate(rows) if "\ttest" in row or row.split("\t")[0] == image
    ]
    (dataset / "trials.tsv").write_text(
        "\n".join([head, *(rows[number] for number in keep)]) + "\n"
    )
    np.save(dataset / "betas.npy", np.load(dataset / "betas.npy")[keep])


def nothing(dataset):
    pass


@pytest.mark.parametrize(
    "damage, settings, says, in_script_1",
    [
        (lose_picture, {}, "is not there, nor .jpg", False),
        (lose_pictures, {}, "pictures of 43 more images are missing or damaged", False),
        (break_picture, {}, "cannot be read as a picture", False),
        (lose_captions, {}, "captions.tsv is not there", False),
        (lose_trials, {}, "betas.npy must be trials × voxels", True),
        (one_training_image, {}, "The number of train images is 1, and 2 are needed", True),
        (nothing, dict(EARLY_ROIS=("V1", "V9"), GCN_NODES=(("V1",), ("V9",))), "'V9', which", True),
        (nothing, dict(MODEL_DIR="nowhere"), "lacks scheduler/scheduler_config.json", False),
        (nothing, dict(DATASET_DIR="nowhere", DATASET="table"), "is not a folder", True),
    ],
)
def test_what_stops_scripts_1_to_3_is_wrong(study, damage, settings, says, in_script_1):
    dataset, config = study
    damage(dataset)
    problems = wrong_lines(SCRIPT, config(**settings))
    assert any(says in problem for problem in problems), problems
    if in_script_1:
        assert any(
            problem in script_here(SCRIPT, config(**settings)).stderr for problem in problems
        )
