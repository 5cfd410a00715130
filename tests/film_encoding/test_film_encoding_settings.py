"""Film and brain: settings that make no sense are one line; ablations are read as they are written; names of scripts."""

import ast
import re
from dataclasses import replace

from neuroface import NeuroFaceError

import pytest
from conftest import ROOT, write_config

pytest.importorskip("av", reason="films need PyAV: make film-encoding")
pytest.importorskip("himalaya", reason="ridge regression needs himalaya: make film-encoding")

from film_encoding.methods_text import PUBLISHED, methods  # noqa: E402
from film_encoding.study import STUDY  # noqa: E402
from film_encoding.variants import (
    Variant,
    frames_to_cut,
    largest_delay,
    parse_ablation,
    variants_of,
)  # noqa: E402

STUDY_FOLDER = ROOT / "studies" / "film_encoding"
SCRIPTS = sorted(STUDY_FOLDER.glob("[1-8]-*.py"))


def load(tmp_path, monkeypatch, **changed):
    monkeypatch.setenv("NEUROFACE_CONFIG", str(write_config(tmp_path / "mine.py", **changed)))
    return STUDY.load_settings(STUDY_FOLDER / "1-cut_film.py")


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"FRAMES_PER_TR": 15}, "FRAMES_PER_TR = 15"),
        ({"FRAME_PX": 100}, "FRAME_PX = 100"),
        ({"FRAME_PIXELS": 112}, r"FRAME_PIXELS is not a setting"),
        ({"SUBJECTS": ("S01",)}, "SUBJECTS"),
        ({"SPLITS": ("film",)}, "EXPLAINED_SPLIT = 'published' is not in SPLITS"),
        ({"PARCELS": ((9, 3),)}, r"PARCELS: the range \(9, 3\) ends before it starts"),
        ({"PERCEPTUAL": "vgg16"}, 'PERCEPTUAL = "vgg16" needs PERCEPTUAL_WEIGHTS'),
        ({"ENCODER_WEIGHT": 1.0}, "ENCODER_WEIGHT = 1 leaves the decoder untrained"),
        ({"IMAGE_WEIGHTS": (0.0, 0.0, 0.0)}, "IMAGE_WEIGHTS are all 0"),
        ({"MSE_WEIGHT": 0.0, "COSINE_WEIGHT": 0.0}, "are both 0"),
        ({"FILM_RUNS": "several"}, "FILMS must name the films"),
        ({"LOCALIZER": ("faces",)}, "LOCALIZER = .* must name two kinds"),
        ({"CLIP_S": (20.0, 10.0)}, "CLIP_S = .* is no interval"),
        ({"ABLATIONS": ("encoder", "encoder")}, "ABLATIONS = .* names one twice"),
        ({"ABLATIONS": ("no decoder",)}, "unknown ablation 'no decoder'"),
        ({"ABLATIONS": ("frames 8",)}, "'frames 8' is what the main network has"),
        ({"ABLATIONS": ("frames 6",)}, "a multiple or a divisor of FRAMES_PER_TR"),
        ({"ABLATIONS": ("frames 24", "frames 16")}, "24 and 16 frames do not divide"),
        ({"ABLATIONS": ("delay 4",)}, "'delay 4' is what the main network has"),
        ({"ABLATIONS": ("lags 0",)}, "'lags 0' is what the main network has"),
        (
            {"ABLATIONS": ("lags 3",), "EMBARGO_TRS": 2},
            "'lags 3' gets chunks up to 3 TRs away, and EMBARGO_TRS = 2 .*the last part of each film",
        ),
        (
            {
                "ABLATIONS": ("lags 3",),
                "EMBARGO_TRS": 2,
                "SPLITS": ("film",),
                "EXPLAINED_SPLIT": "film",
            },
            "'lags 3' gets chunks up to 3 TRs away, and EMBARGO_TRS = 2 .*that choose the epoch",
        ),
        (
            {"ABLATIONS": (), "RIDGE_DELAYS_TRS": (0, 1, 4), "EMBARGO_TRS": 3},
            r"RIDGE_DELAYS_TRS = \(0, 1, 4\) reach 4 TRs, and EMBARGO_TRS = 3 .*Set EMBARGO_TRS to 4",
        ),
    ],
)
def test_settings_that_make_no_sense_are_one_line(tmp_path, monkeypatch, changed, message):
    with pytest.raises(NeuroFaceError, match=message) as raised:
        load(tmp_path, monkeypatch, **changed)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "changed",
    [
        {"ABLATIONS": ("lags 3",), "EMBARGO_TRS": 3},
        # Every fifth chunk chooses the epoch, so an embargo keeps nothing free; whole films are held out.
        {"ABLATIONS": ("lags 3",), "EMBARGO_TRS": 0, "SELECTION": "paper", "SPLITS": ("film",),
         "EXPLAINED_SPLIT": "film"},
        {"ABLATIONS": (), "EMBARGO_TRS": 0, "RIDGE_DELAYS_TRS": (0,)},
    ],
)  # fmt: skip
def test_delays_within_the_embargo_are_allowed(tmp_path, monkeypatch, changed):
    assert load(tmp_path, monkeypatch, **changed).EMBARGO_TRS == changed["EMBARGO_TRS"]


def test_ablations_change_one_thing_each(tmp_path, monkeypatch):
    texts = ("encoder", "all voxels", "frames 16", "frames 4", "delay 3", "delay 5", "lags 2")
    cfg = load(tmp_path, monkeypatch, ABLATIONS=texts, SUBJECTS=("mean", "sub-01", "sub-02"))
    variants = variants_of(cfg)
    main = variants["network"]
    assert main == Variant("network", 8, 4)
    assert variants == {
        "network": main,
        "encoder": replace(main, name="encoder", has_decoder=False),
        "all-voxels": replace(main, name="all-voxels", all_voxels=True),
        "frames-16": replace(main, name="frames-16", frames_per_tr=16),
        "frames-4": replace(main, name="frames-4", frames_per_tr=4),
        "delay-3": replace(main, name="delay-3", delay_trs=3),
        "delay-5": replace(main, name="delay-5", delay_trs=5),
        "lags-2": replace(main, name="lags-2", lags=(-2, -1, 0, 1, 2), has_decoder=False),
        "sub-01": replace(main, name="sub-01", subject="sub-01"),
        "sub-02": replace(main, name="sub-02", subject="sub-02"),
    }
    assert frames_to_cut(cfg) == 16 and largest_delay(cfg) == 5
    assert parse_ablation("frames 64", 32, 4).frames_per_tr == 64


def test_what_a_data_set_has_in_its_own_places(tmp_path, monkeypatch):
    cfg = load(
        tmp_path,
        monkeypatch,
        DATASET_DIR=str(tmp_path / "set"),
        REGIONS_FILE=str(tmp_path / "aal.nii"),
    )
    assert cfg.FILM_DIR == str(tmp_path / "set" / "stimuli") and cfg.ATLAS_FILE == str(
        tmp_path / "set" / "atlas.nii.gz"
    )
    assert cfg.REGIONS_FILE == str(tmp_path / "aal.nii") and cfg.REGIONS_TABLE == str(
        tmp_path / "set" / "atlas.tsv"
    )


@pytest.mark.parametrize("regions", ["own.dlabel.nii", "own_hemi-L.label.gii"])
def test_the_table_of_the_data_set_does_not_name_regions_on_a_surface(
    tmp_path, monkeypatch, regions
):
    own = load(tmp_path, monkeypatch, REGIONS_FILE=str(tmp_path / regions))
    assert own.REGIONS_TABLE is None
    table = str(tmp_path / "names.tsv")
    named = load(tmp_path, monkeypatch, REGIONS_FILE=str(tmp_path / regions), REGIONS_TABLE=table)
    assert named.REGIONS_TABLE == table


@pytest.mark.parametrize(
    "response, delays_trs, says",
    [
        ("one delay", (0, 1), "at one of the delays of 4 and 5 volumes, chosen for each voxel"),
        ("one delay", (0,), "brightness, at a delay of 4 volumes, for the mean"),
        ("shifted hrf", (-1, 1), "moved by one of -1 and 1 volumes, chosen for each voxel"),
        ("shifted hrf", (1,), "which was moved by 1 volumes, for the mean"),
    ],
)
def test_methods_text_says_that_a_delay_was_chosen_only_among_several(
    tmp_path, monkeypatch, response, delays_trs, says
):
    cfg = load(
        tmp_path,
        monkeypatch,
        FEATURES=("brightness",),
        FEATURE_RESPONSE=response,
        RIDGE_DELAYS_TRS=delays_trs,
    )
    versions = {"neuroface": "1", "himalaya": "1", "pymoten": "1"}
    text, _ = methods(tmp_path, vars(cfg), {8}, versions, "abc", set())
    assert says in text


def as_lists(value):
    return [as_lists(part) for part in value] if isinstance(value, (tuple, list)) else value


def test_config_has_the_published_values_but_for_what_it_says():
    tree = ast.parse((STUDY_FOLDER / "config.py").read_text())
    values = {name: field.default for name, field in STUDY.settings.fine_settings().items()}
    values |= {
        node.target.id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.AnnAssign)
    }
    differ = {name for name, value in PUBLISHED.items() if as_lists(values[name]) != value}
    # Each is more cautious than the publication, or needs no file; config.py says so beside it.
    assert differ == {
        "STANDARDIZE",
        "SPLITS",
        "SELECTION",
        "EMBARGO_TRS",
        "DECODER_INPUT",
        "PERCEPTUAL",
        "DECODE_FROM",
    }


def test_the_published_experiment_is_the_published_settings():
    changes = {}
    exec((STUDY_FOLDER / "experiments" / "emofilm_published.py").read_text(), changes)
    for name in (
        "STANDARDIZE",
        "SPLITS",
        "SELECTION",
        "EMBARGO_TRS",
        "DECODER_INPUT",
        "PERCEPTUAL",
        "DECODE_FROM",
    ):
        assert as_lists(changes[name]) == PUBLISHED[name]


@pytest.mark.parametrize(
    "experiment", sorted((STUDY_FOLDER / "experiments").glob("*.py")), ids=lambda path: path.name
)
def test_experiments_are_sound(experiment, monkeypatch):
    monkeypatch.setenv("NEUROFACE_CONFIG", str(experiment))
    cfg = STUDY.load_settings(STUDY_FOLDER / "1-cut_film.py")
    assert cfg.RUN_NAME != "film-demo" and cfg.DATASET == (
        "demo" if experiment.name.startswith("demo") else "bids"
    )


# ---------------------------------------------------------------- the scripts


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_names_its_settings(path):
    text, tree = path.read_text(), ast.parse(path.read_text())
    contract = ast.get_docstring(tree)
    assert re.match(r"\d\. ", contract) and all(
        re.search(rf"^{part}\s", contract, re.M)
        for part in ("Reads", "Writes", "Settings", "Takes")
    )
    used, named = (
        set(re.findall(r"\bcfg\.([A-Z_]{3,})", text)),
        set(re.findall(r"\b[A-Z][A-Z_]{3,}\b", contract)),
    )
    machine = {
        "DATASET",
        "DATASET_DIR",
        "DATA_DIR",
        "RUN_NAME",
        "INFERENCE_BATCH",
        "N_JOBS",
        "FILM_DIR",
    }
    machine |= (
        {"SEED"} if path.name.startswith("1-") else set()
    )  # only of the demo, which refuses another one itself
    upstream = {"FRAMES_PER_TR", "FRAME_PX", "FRAME_CONTRAST", "TR_S", "SPLITS"}
    upstream |= {"DELAY_TRS", "EPOCHS", "ABLATIONS"}
    assert used - machine - upstream <= named, used - machine - upstream - named


def test_the_stages_are_the_scripts_on_disk():
    assert [step.script for step in STUDY.steps] == [path.name for path in SCRIPTS]
