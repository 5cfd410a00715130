"""The seven scripts of the study of labelled volumes on a small data set with planted truth, and what they refuse."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from types import SimpleNamespace

from neuroface.pipeline.files import open_npy, read_table
from volume_study import demo

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from browser import check_in_print, check_on_a_phone
from conftest import ROOT, bids_errors, content, write_config

STUDY = ROOT / "studies" / "volumes"
SCRIPTS = sorted(STUDY.glob("[1-7]-*.py"))
EXTRAS = ("krippendorff", "rsatoolbox", "umap")
missing = [name for name in EXTRAS if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(missing), reason=f"no {missing}: make volumes")
SEGMENTS = ((0.0, 316.0), (300.0, 616.0), (600.0, 916.0))


def run_here(number: int, config) -> subprocess.CompletedProcess:
    """A script of the study as a user runs it, in this process, which has its imports behind it."""
    script, code, environment = str(SCRIPTS[number - 1]), 0, dict(os.environ)
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(StringIO()) as out,
        redirect_stderr(StringIO()) as err,
    ):
        patch.syspath_prepend(STUDY)
        patch.setenv("NEUROFACE_CONFIG", str(config))
        patch.setattr(sys, "argv", [script])
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
            print("" if isinstance(end.code, int) else end.code, file=err)
        finally:
            os.environ.clear()
            os.environ.update(environment)
    return subprocess.CompletedProcess([script], code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The finished study: its folder, config, settings, and what each script printed."""
    folder = tmp_path_factory.mktemp("volumes")
    settings = dict(
        DATASET_DIR=str(folder / "dataset"), DATA_DIR=str(folder), RUN_NAME="tiny",
        OBSERVER_DIR=str(folder / "dataset" / "observers"), SEGMENTS=SEGMENTS, MIN_PER_CLASS=30, N_FOLDS=3,
        MODELS=("hybrid",), EXPLAINED_MODEL="hybrid", EPOCHS=6, LEARNING_RATE=0.002, N_PERMUTATIONS=40,
        MODEL_OPTIONS={
            "hybrid": {"filters": (4, 8, 16), "width": 16, "heads": 2, "depth": 1, "feed_forward": 16, "dropout": 0.1},
        },
        MAP_METHODS=("occlusion-zero", "ig", "grad-cam", "attention-rollout", "screened-ridge"),
        BOX_VOXELS=2, BOX_STRIDE=2, IG_STEPS=4, N_PERMUTATIONS_MAPS=200, TOP_VOXELS=10, UMAP_NEIGHBORS=5,
        N_LABEL_PERMUTATIONS=80, UNTRAINED_SEEDS=2, N_JOBS=1, BALANCE="moments",
    )  # fmt: skip
    config = write_config(folder / "tiny.py", **settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "EFFECT", 6.0)
        demo.write_demo(
            folder / "dataset", STUDY / "demo_regions.tsv", SEGMENTS, 42, voxel_mm=14, people=4
        )
    printed = {}
    for number in range(1, 8):
        done = run_here(number, config)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        printed[number] = done.stdout
    return SimpleNamespace(
        root=folder / "tiny", folder=folder, config=config, settings=settings, printed=printed
    )


def another(tiny, folder, **more):
    """A config like the tiny study's in a folder of its own; a copy of its first results."""
    return write_config(folder / "other.py", **tiny.settings | {"DATA_DIR": str(folder)} | more)


# ---------------------------------------------------------------- the whole


def test_every_label_and_moment_is_where_the_film_shows_it(tiny):
    """Against the episodes that were planted, not against the observers."""
    samples = read_table(tiny.root / "1-labels" / "samples.tsv")
    episodes = pd.read_csv(tiny.folder / "dataset" / "truth" / "episodes.tsv", sep="\t")
    right = 0
    for row in samples.itertuples():
        part = episodes[(episodes["onset_s"] < row.onset_s + 2) & (episodes["end_s"] > row.onset_s)]
        right += row.label in set(part["label"])
        assert row.tr * 2.0 == row.onset_s - SEGMENTS[int(row.run) - 1][0] + 6.0
    assert right > 0.97 * len(samples)
    assert not samples.duplicated(["subject", "moment"]).any()


def test_voxels_are_those_of_nilearn(tiny):
    samples, X = (
        read_table(tiny.root / "2-dataset" / "samples.tsv"),
        open_npy(tiny.root / "2-dataset" / "X.npy"),
    )
    mask = nib.load(tiny.root / "2-dataset" / "group_mask.nii.gz").get_fdata() > 0
    first = samples.iloc[0]
    file = (
        tiny.folder
        / "dataset"
        / first.subject
        / "func"
        / f"{first.subject}_task-film_run-{first.run}_space-MNI"
    )
    bold = nib.load(f"{file}_desc-preproc_bold.nii.gz").get_fdata()[mask]
    expected = (bold - bold.mean(axis=1, keepdims=True)) / bold.std(axis=1, keepdims=True)
    np.testing.assert_allclose(X[0], expected[:, first.tr], atol=1e-3)
    assert len(X) == 4 * 5 * 30 and (samples.groupby("label").size() == 120).all()


def test_blocks_are_decoded_above_chance_and_permuted_labels_are_not(tiny):
    metrics = json.loads((tiny.root / "3-models" / "metrics.json").read_text())
    ladder = metrics["linear"]["ridge"]["splits"]
    for split in ("block", "run"):
        low, high = ladder[split]["null_interval"]
        assert low < 0.2 < high and ladder[split]["balanced_accuracy"] > high
        assert not metrics["leaks"][split]
    for score in (
        "balanced_accuracy",
        "roc_auc",
    ):  # ridge regression has intervals as networks have
        low, high = ladder["block"]["intervals_95"][score]
        assert low < ladder["block"][score] < high
    assert ladder["volume"]["bias"] > 0.1 and metrics["leaks"]["volume"]
    for model in tiny.settings["MODELS"]:
        block, volume = (metrics["networks"][model][split] for split in ("block", "volume"))
        assert block["intervals_95"]["balanced_accuracy"][0] > 0.25
        assert block["fold_test"]["p"] == pytest.approx(3 / 41) and "fold_test" not in volume
        assert block["all_folds"]["n"] == 600 and volume["chosen_on_held_out"]["gain"] >= 0


def test_predictions_are_held_out_and_sum_to_one(tiny):
    table = read_table(tiny.root / "3-models" / "block" / "hybrid" / "predictions.tsv")
    probability = table[[column for column in table if column.startswith("probability_")]]
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert (table.groupby("event")["fold"].nunique() == 1).all() and set(table["fold"]) == {1, 2, 3}


def test_planted_regions_come_back_and_the_others_do_not(tiny):
    summary = json.loads((tiny.root / "4-maps" / "summary.json").read_text())
    found = {(row["label"], row["method"]): row for row in summary["planted_truth"]}
    for label in demo.PLANTED:
        for method in ("occlusion-zero", "ig", "screened-ridge"):
            assert found[label, method]["roc_auc"] > 0.9, (label, method, found[label, method])
    for label in set(demo.LABELS) - set(demo.PLANTED):
        for method in ("occlusion-zero", "ig", "screened-ridge"):
            assert (label, method) not in found or found[label, method]["roc_auc"] < 0.8


def test_results_are_a_valid_bids_derivative(tiny):
    assert bids_errors(tiny.root) == []
    assert len(list(tiny.root.glob("sub-*/func/*_statmap.nii.gz"))) == 4 * 5 * 5


def test_maps_lie_in_the_space_of_the_data(tiny):
    mask = nib.load(tiny.root / "2-dataset" / "group_mask.nii.gz")
    for file in (tiny.root / "4-maps").glob("*_label-*.nii.gz"):
        image = nib.load(file)
        assert image.shape == (*mask.shape, 1) and np.array_equal(image.affine, mask.affine)
        assert not image.get_fdata()[..., 0][mask.get_fdata() == 0].any()


def test_all_held_out_episodes_are_explained_and_tested(tiny):
    volumes = read_table(tiny.root / "4-maps" / "volumes.tsv")
    predictions = read_table(tiny.root / "3-models" / "block" / "hybrid" / "predictions.tsv")
    assert (volumes.groupby(["subject", "event"]).size() == 1).all()
    assert len(volumes) == len(predictions.drop_duplicates(["subject", "event"]))
    assert volumes["probability"].min() < 0.5  # also where the network is wrong
    maps = open_npy(tiny.root / "4-maps" / "episodes" / "sub-01_ig.npy")
    episodes = read_table(tiny.root / "4-maps" / "episodes.tsv")
    own = (episodes["label"] == "FEAR").to_numpy()
    folds = [
        maps[own & part, 1].mean(axis=0) - maps[~own & part, 1].mean(axis=0)
        for part in (episodes["fold"].to_numpy() == k for k in (1, 2, 3))
    ]
    image = nib.load(tiny.root / "4-maps" / "sub-01_label-FEAR_ig.nii.gz").get_fdata()[..., 0]
    mask = nib.load(tiny.root / "2-dataset" / "group_mask.nii.gz").get_fdata() > 0
    np.testing.assert_allclose(image[mask], np.mean(folds, axis=0), atol=1e-5)
    tests = json.loads((tiny.root / "4-maps" / "summary.json").read_text())["tests"]
    assert len(tests) == 5 * 5 and all(test["smallest_p"] <= 0.05 for test in tests.values())
    assert tests["FEAR_occlusion-zero"]["voxels_below_alpha"] > 0
    assert (predictions["label"].to_numpy()[volumes["row"]] == volumes["label"]).all()
    assert (predictions["fold"].to_numpy()[volumes["row"]] == volumes["fold"]).all()


def test_clusters_and_distances_are_written(tiny):
    voxels = read_table(tiny.root / "5-clusters" / "voxels.tsv")
    assert (voxels.groupby("label").size() == 10).all() and np.isfinite(
        voxels[["umap_1", "pc_2"]]
    ).all(axis=None)
    mantel = read_table(tiny.root / "6-similarity" / "mantel.tsv")
    assert set(mantel["n_permutations"]) == {120} and mantel["p_two_sided"].min() >= 1 / 120 - 1e-9
    assert (mantel["p_holm"] >= mantel["p_two_sided"]).all()
    assert (mantel["untrained_low"] <= mantel["r_untrained"]).all()
    np.testing.assert_allclose(mantel["difference"], mantel["r"] - mantel["r_untrained"], atol=1e-6)
    assert {"pool", "logit"} <= set(mantel["layer"]) and set(mantel["distance"]) == {
        "correlation",
        "crossnobis",
    }


def test_the_report_says_what_differs_and_what_it_did(tiny):
    page = (tiny.root / "report.html").read_text()
    for words in (
        "Ladder of splits",
        "What differs from the publications",
        "r = −0.590",
        "Krippendorff",
        "Methods text",
    ):
        assert words in page
    assert page.count("<img ") >= 12
    table = read_table(tiny.root / "7-figures" / "differences.tsv")
    effect = dict(zip(table["what"], table["effect"]))
    assert (
        "by up to 32 s" in effect["film clock"]
        and "by holding out single volumes" in effect["what is held out"]
    )
    methods = page.split('<section id="methods">')[1]
    assert "4 people" in methods and "Mantel" in methods and "Loshchilov" in methods


# ---------------------------------------------------------------- again, otherwise, and wrong


@pytest.mark.parametrize(
    ("number", "lost"),
    [
        (3, "3-models/block/hybrid/fold-2.tsv"),
        (4, "4-maps/sub-01_label-ANGER_ig.nii.gz"),
        (6, "6-similarity/brain/sub-02.tsv"),
    ],
)
def test_a_script_goes_on_where_it_was_stopped(tiny, tmp_path, number, lost):
    shutil.copytree(tiny.root, tmp_path / "tiny")
    (tmp_path / "tiny" / lost).unlink()
    done = run_here(number, another(tiny, tmp_path))
    assert done.returncode == 0, done.stderr
    assert "already there, not made again" in done.stdout
    again, before = (content(root / lost.split("/")[0]) for root in (tmp_path / "tiny", tiny.root))
    assert lost.split("/", 1)[1] in before
    changed = [name for name in before if again.get(name) != before[name]]
    assert [
        name for name in changed if not name.endswith(".keras")
    ] == []  # an archive holds the time of its parts


def test_a_killed_copy_of_runs_goes_on(tiny, tmp_path):
    shutil.copytree(tiny.root / "1-labels", tmp_path / "tiny" / "1-labels")
    config = another(tiny, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        import volume_study.volumes as volumes

        extract, seen = volumes.extract_volumes, []

        def stop_at_third(*arguments):
            seen.append(arguments[0].name)
            if len(seen) == 3:
                raise KeyboardInterrupt
            return extract(*arguments)

        patch.setattr(volumes, "extract_volumes", stop_at_third)
        stopped = run_here(2, config)
    assert stopped.returncode == 1 and "stopped. Finished work is kept" in stopped.stderr
    assert not (tmp_path / "tiny" / "2-dataset" / "X.npy").exists()
    done = run_here(2, config)
    assert done.returncode == 0 and "runs: 2 of 12 already there" in done.stdout, done.stderr
    assert np.array_equal(
        open_npy(tmp_path / "tiny" / "2-dataset" / "X.npy"),
        open_npy(tiny.root / "2-dataset" / "X.npy"),
    )


def test_other_settings_are_refused_in_one_line(tiny):
    config = write_config(tiny.folder / "lag.py", **tiny.settings | {"LAG_S": 4.0})
    done = run_here(2, config)
    assert (
        done.returncode == 1
        and "1-labels was made with LAG_S = 6.0; the setting is now 4.0" in done.stderr
    )


WRONG = {
    "a typo": (
        {"MODELS": ("separable_cnn",)},
        1,
        "'separable_cnn' is not a network (did you mean separable_cnn3d?)",
    ),
    "no segments": ({"SEGMENTS": ()}, 1, "needs SEGMENTS"),
    "a film that ends": ({"SEGMENTS": ((10.0, 5.0),)}, 1, "(10, 5) ends before it starts"),
    "too many observers": ({"MIN_AGREEMENT": 10}, 1, "holds 9 tables of observers"),
    "a shorter film": ({"SEGMENTS": SEGMENTS[:2]}, 1, "is outside the film, which lasts 616 s"),
    "a class that vanishes": (
        {"MIN_PER_CLASS": 900},
        2,
        "0 labels have MIN_PER_CLASS = 900 moments or more",
    ),
    "rollout without attention": (
        {"MODELS": ("separable_cnn3d",), "EXPLAINED_MODEL": "separable_cnn3d"},
        1,
        "attention-rollout needs attention",
    ),
    "maps of a model that is not fitted": (
        {"BASELINES": ("ridge",)},
        1,
        "screened-ridge explains screened_ridge, which BASELINES = ('ridge',) does not name",
    ),
    "one network for all": ({"EXPLAINED_MODEL": "deepbrain"}, 1, "is not in MODELS"),
    "one label": ({"EVENT_LABELS": {"leg": ("3",)}}, 1, "names one label; two or more are needed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_one_line(tiny, tmp_path, name):
    change, number, message = WRONG[name]
    if number > 1:
        shutil.copytree(tiny.root / "1-labels", tmp_path / "tiny" / "1-labels")
    study = {"DATASET": "bids"} if number == 1 else {}
    done = run_here(number, another(tiny, tmp_path, **study | change))
    assert (
        done.returncode == 1
        and message in done.stderr
        and len(done.stderr.strip().splitlines()) == 1
    ), done.stderr


def bids(folder, people=2, other_grid=False):
    """Runs with events.tsv: blocks of four movements, in an order of each person's own."""
    rng = np.random.default_rng(0)
    for person in range(1, people + 1):
        func = folder / f"sub-{person:02d}" / "func"
        func.mkdir(parents=True)
        shape = (6, 7, 6) if other_grid and person == people else (6, 6, 6)
        stem = f"sub-{person:02d}_task-motor_run-1"
        onsets = np.arange(24) * 12.0
        types = np.concatenate([rng.permutation([3, 4, 5, 6, 9, 12]) for _ in range(4)])
        events = pd.DataFrame({"onset": onsets, "duration": 10.0, "trial_type": types})
        events.to_csv(func / f"{stem}_events.tsv", sep="\t", index=False)
        series = rng.standard_normal((*shape, 150)).astype(np.float32) + 100
        image = nib.Nifti1Image(series, np.diag([3, 3, 3, 1]))
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_zooms((3, 3, 3, 2.0))
        nib.save(image, func / f"{stem}_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz")
        mask = nib.Nifti1Image(np.ones(shape, np.uint8), image.affine)
        nib.save(mask, func / f"{stem}_space-MNI152NLin2009cAsym_desc-brain_mask.nii.gz")
    return folder


def somatotopy(folder, dataset):
    """The experiment with the lines that its docstring gives for all people at once."""
    settings = runpy.run_path(str(STUDY / "experiments" / "somatotopy.py"))
    settings = {name: value for name, value in settings.items() if name.isupper()}
    of_all = {"INCLUDE": (), "SPACE": "MNI", "BIDS_FILTER": "task-motor*space-MNI152NLin2009cAsym"}
    changes = of_all | {"DATASET_DIR": str(dataset), "DATA_DIR": str(folder), "MIN_PER_CLASS": 20}
    return write_config(folder / "body.py", **settings | changes)


def test_somatotopy_labels_parts_of_the_body_by_integer_trial_types(tmp_path):
    config = somatotopy(tmp_path, bids(tmp_path / "bids"))
    for number in (1, 2):
        done = run_here(number, config)
        assert done.returncode == 0, done.stderr
    samples = read_table(tmp_path / "somatotopy" / "2-dataset" / "samples.tsv")
    assert sorted(samples["label"].unique()) == ["forearm", "leftleg", "rightleg", "upperarm"]
    assert (samples.groupby(["subject", "label"]).size().groupby("subject").nunique() == 1).all()
    assert samples["stimulus"].nunique() == 2  # orders differ, so nobody shares a moment
    X = open_npy(tmp_path / "somatotopy" / "2-dataset" / "X.npy")
    assert X.shape == (len(samples), 216)


def test_people_on_two_grids_are_one_line(tmp_path):
    config = somatotopy(tmp_path, bids(tmp_path / "bids", other_grid=True))
    assert run_here(1, config).returncode == 0
    done = run_here(2, config)
    assert done.returncode == 1 and "(6, 7, 6) voxels, the mask (6, 6, 6)" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["studyforrest", "demo_as_published"])
def test_experiments_are_sound(tmp_path, name):
    from neuroface.pipeline.settings import load_settings
    from volume_study.settings import VolumeSettings

    cfg = load_settings(VolumeSettings, STUDY / "config.py", STUDY / "experiments" / f"{name}.py")
    assert cfg.RUN_NAME.startswith(name[:5]) or cfg.RUN_NAME == "volumes-demo-published"
    if name == "studyforrest":
        assert [(end - start) / 2 for start, end in cfg.SEGMENTS] == [
            451,
            441,
            438,
            488,
            462,
            439,
            542,
            338,
        ]
        assert len(list((STUDY / cfg.OBSERVER_DIR).glob("*.csv"))) == 9


def test_a_missing_package_is_one_line_with_the_command(tmp_path):
    code = (
        "import sys, importlib.util as u; real = u.find_spec; "
        "u.find_spec = lambda name, *a: None if name == 'umap' else real(name, *a); "
        f"sys.path.insert(0, {str(STUDY)!r}); from volume_study.extras import require; require('umap', 'rsatoolbox')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (
        "This script needs umap. Run: pip install -e" in done.stderr and "[volumes]" in done.stderr
    )


def test_the_report_fits_a_phone_and_the_paper(tiny):
    check_on_a_phone(tiny.root / "report.html")
    check_in_print(tiny.root / "report.html")
