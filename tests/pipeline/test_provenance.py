"""The manifest and the command that checks it, settings and the stages that they concern, the pipeline run twice."""

import gzip
import hashlib
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import write_map
from neuroface.face_study.settings import FaceSettings
from neuroface.face_study.study import STUDY
from neuroface.pipeline import manifest, provenance, report
from neuroface.pipeline.files import read_json
from neuroface.pipeline.script import errors_in_one_line
from neuroface.pipeline.stage import Stage, distinct_names
from neuroface.pipeline.stamp import Rules

import numpy as np
import pytest
from conftest import FULL, ROOT, STAGES, copy_of, differing, run, run_here, write_config
from test_settings import aside, load_settings, stamps_of


def open_stage(number: int, cfg) -> Stage:
    """A stage as its script opens it."""
    script = runpy.run_path(str(ROOT / STAGES[number][1]))
    rules = script.get("RULES", Rules())
    return Stage(STUDY, number, cfg, script["__doc__"], reads=stamps_of(number)[2], rules=rules)


def by_command(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "neuroface.manifest", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


# ---------------------------------------------------------------- the manifest


def test_the_manifest_lists_every_result_with_its_size_and_sha256(tiny):
    for folder, _ in STAGES.values():
        listed = read_json(tiny.root / folder / "manifest.json")["outputs"]
        there = [p for p in (tiny.root / folder).rglob("*") if p.is_file()]
        there = {
            str(p.relative_to(tiny.root / folder)): p for p in there if not p.name.startswith(".")
        }
        assert set(there) - set(listed) == {
            "settings.json",
            "manifest.json",
            "report.json",
        } and set(listed) <= set(there)
        for name, output in listed.items():
            content = there[name].read_bytes()
            assert (output["bytes"], output["sha256"]) == (
                len(content),
                hashlib.sha256(content).hexdigest(),
            )


def test_the_manifest_lists_the_data_set_with_size_and_time(tiny):
    for number in (1, 8):
        stored = read_json(tiny.root / STAGES[number][0] / "manifest.json")
        assert stored["dataset"] == str(tiny.dataset) and len(stored["inputs"]) == 8 + 8 + 4 + 4
        for name, entry in stored["inputs"].items():
            stat = (tiny.dataset / name).stat()
            assert (entry["bytes"], entry["modified_ns"]) == (stat.st_size, stat.st_mtime_ns)


def test_the_command_passes_a_finished_run_and_names_what_changed(tiny, tmp_path):
    root, _ = copy_of(tiny, tmp_path)
    whole = by_command(root)
    assert whole.returncode == 0 and "nothing has changed" in whole.stdout and not whole.stderr, (
        whole.stderr
    )
    group = root / "6-averages" / "group_label-face_ig.nii.gz"
    packed = bytearray(group.read_bytes())
    packed[-9] ^= 1  # the same size
    group.write_bytes(packed)
    (root / "2-dataset" / "y.npy").unlink()
    (root / "5-brain-maps" / "sub-1" / "mine.nii.gz").write_bytes(b"")
    done = by_command(root)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    wrong = [line for line in done.stderr.splitlines() if "wrong: " in line]
    assert len(wrong) == 3 and done.stderr.splitlines()[-1].startswith("error: 3 ")
    assert f"{root / '2-dataset' / 'y.npy'} is gone. Run again: python 2-load-data.py" in wrong[0]
    assert "mine.nii.gz was not written by 5-revert-IG-tobrain.py" in wrong[1]
    assert f"{group} has changed since it was written" in wrong[2]


def test_a_wrong_call_is_exit_code_2_and_no_run_exit_code_1(tmp_path):
    assert by_command().returncode == 2
    nothing = by_command(tmp_path)
    assert nothing.returncode == 1 and "holds no results" in nothing.stderr


def test_inputs_are_hashed_on_demand_and_compared_afterwards(tiny, tmp_path, capsys):
    root, _ = copy_of(tiny, tmp_path)
    shutil.copytree(tiny.dataset, tmp_path / "moved")
    series = next((tmp_path / "moved").rglob("sub-3*_bold_*.nii.gz"))
    assert manifest.check_run(root, inputs=True, dataset=tmp_path / "moved") == []
    stored = read_json(root / STAGES[1][0] / "manifest.json")["inputs"]
    (name,) = [name for name in stored if name.endswith(series.name)]
    assert stored[name]["sha256"] == hashlib.sha256(series.read_bytes()).hexdigest()
    assert manifest.check_run(root, inputs=True, dataset=tmp_path / "moved") == []
    assert "24 files, SHA-256 of 0 stored now" in capsys.readouterr().out.split("8-predictions")[-1]
    packed = bytearray(series.read_bytes())
    packed[len(packed) // 2] ^= 1  # size and both ends as they were
    series.write_bytes(packed)
    assert provenance.fingerprint(series) == stored[name]["fingerprint"]
    problems = manifest.check_run(root, inputs=True, dataset=tmp_path / "moved")
    assert len(problems) == 3 and all(f"{series} has changed" in problem for problem in problems)
    series.unlink()
    assert all(
        f"{series} is gone" in p
        for p in manifest.check_run(root, inputs=True, dataset=tmp_path / "moved")
    )


def test_a_run_whose_stages_do_not_belong_together_is_named(tiny, tmp_path):
    root, config = copy_of(tiny, tmp_path)
    stamp = root / STAGES[2][0] / "settings.json"
    stamp.write_text(stamp.read_text().replace(read_json(stamp)["inputs"]["1-windows"], "0" * 64))
    (problem,) = manifest.check_run(root)
    assert "2-dataset was made from an earlier 1-windows" in problem
    stamp = root / STAGES[6][0] / "settings.json"
    stamp.write_text(stamp.read_text().replace('"finished": "2', '"finished": null, "then": "2'))
    assert any("6-averages is not complete" in problem for problem in manifest.check_run(root))


def test_a_rerun_that_makes_nothing_reads_no_unchanged_result_again(tiny, tmp_path, monkeypatch):
    root, config = copy_of(tiny, tmp_path)
    read = []
    sha256 = provenance.sha256
    monkeypatch.setattr(provenance, "sha256", lambda path: read.append(path.name) or sha256(path))
    before = read_json(root / STAGES[6][0] / "settings.json")
    assert run_here(6, config).returncode == 0
    anew = {
        "peaks.tsv",
        "roi_shares.tsv",
        "roi_shares_ig.png",
        "roi_bold.png",
        "roi_bold_data.tsv",
        "map_correlations.tsv",
    }  # written each time
    assert set(read) <= anew | {"face_rois.tsv"}  # ROI_FILE is a setting
    assert read_json(root / STAGES[6][0] / "settings.json") == before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda folder: (folder / "mine.txt").write_text("x"),
            "mine.txt was not written by 4-integrated_gradients.py",
        ),
        (
            lambda folder: flip_a_byte(next(folder.glob("sub-1/*_ig.npy"))),
            "_ig.npy has changed since it was written",
        ),
    ],
)
def test_a_rerun_does_not_take_what_others_changed_for_its_own(tiny, tmp_path, change, says):
    root, config = copy_of(tiny, tmp_path)
    change(root / STAGES[4][0])
    done = run_here(4, config)
    assert done.returncode == 1 and says in done.stderr


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


def test_what_was_stopped_before_it_made_anything_binds_no_setting(tiny, tmp_path):
    root, config = copy_of(tiny, tmp_path)
    stamp = root / STAGES[5][0] / "settings.json"
    content = stamp.read_text().replace('"SEED": 42', '"SEED": 99')
    shutil.rmtree(stamp.parent)
    stamp.parent.mkdir()
    stamp.write_text(content.replace('"finished": "2', '"finished": null, "then": "2'))
    done = run_here(5, config)
    assert done.returncode == 0, done.stderr


def test_a_script_that_is_resumed_on_another_backend_names_both(tiny, tmp_path, monkeypatch):
    pytest.importorskip("jax")
    root, config = copy_of(tiny, tmp_path)
    folder = root / STAGES[8][0]
    assert read_json(folder / "settings.json")["backends"] == ["tensorflow"]
    next(folder.glob("sub-*_predictions.tsv")).unlink()
    monkeypatch.setattr(provenance, "backend", lambda: "jax")
    done = run_here(8, config)
    assert done.returncode == 0, done.stderr
    assert read_json(folder / "settings.json")["backends"] == ["jax", "tensorflow"]
    assert re.search(
        r"with JAX [\d.]+, TensorFlow [\d.]+, Keras", (root / "report.html").read_text()
    )


def test_other_checks_and_one_more_method_cost_no_finished_map(tiny, tmp_path):
    root, _ = copy_of(tiny, tmp_path)
    folder = root / STAGES[4][0]
    made = {path: path.stat().st_mtime_ns for path in folder.glob("sub-*/*")}
    changes = {
        "ATTRIBUTION_CHECKS": ("deletion",),
        "ATTRIBUTION_METHODS": ("ig", "gradient-x-input"),
    }
    config = write_config(
        tmp_path / "more.py", **tiny.settings | {"DATA_DIR": str(tmp_path)} | changes
    )
    done = run_here(4, config)
    assert done.returncode == 0, done.stderr
    assert all(path.stat().st_mtime_ns == then for path, then in made.items())
    assert len(list(folder.glob("sub-*/*_gradient-x-input.npy"))) == len(
        list(folder.glob("sub-*/*_ig.npy"))
    )
    for method in changes["ATTRIBUTION_METHODS"]:
        found = read_json(folder / "checks.json")[method]
        assert "deletion" in found and not {"steps", "weights", "baselines", "labels"} & set(found)
    page = (root / "report.html").read_text()
    assert page.count("Made from earlier results of another script") == 3  # 5, 6 and 7


def test_one_more_check_leaves_later_scripts_as_they_are():
    outputs = {"sub-1/a_ig.npy": {"sha256": "1"}, "group.tsv": {"sha256": "2"}}
    more = {
        "checks/ig_steps.json": {"sha256": "3"},
        "baselines/training-mean_1.npy": {"sha256": "4"},
    }
    changed = outputs | {"group.tsv": {"sha256": "5"}}
    aside = ("checks", "baselines")
    assert provenance.digest(outputs | more, aside) == provenance.digest(outputs, aside)
    assert (
        provenance.digest(changed, aside)
        != provenance.digest(outputs, aside)
        != provenance.digest(outputs | more)
    )


def test_a_map_that_another_library_packed_leaves_later_scripts_as_they_are(tmp_path):
    values = np.random.default_rng(0).normal(size=50)
    mask, digests = np.ones((5, 5, 2), bool), []
    write_map(tmp_path / "map.nii.gz", values[:, None].astype(np.float32), mask, np.eye(4), 1.0)
    image = gzip.decompress((tmp_path / "map.nii.gz").read_bytes())
    for level, content in [(1, image), (9, image), (1, image[:-1] + b"\0")]:
        (tmp_path / "map.nii.gz").write_bytes(gzip.compress(content, level, mtime=level))
        digests.append(provenance.digest(provenance.describe_outputs(tmp_path, {})))
    assert digests[0] == digests[1] != digests[2]


def test_one_more_architecture_costs_no_trained_fold(tiny):
    cfg = FaceSettings.follow_data(load_settings(ROOT / "config.py", tiny.config), tiny.root, 3)
    models = cfg.MODELS
    cfg.MODELS, cfg.MODEL_OPTIONS = (*models, "cnn3d"), {"cnn3d": {"dropout": 0.1}}
    open_stage(3, cfg)
    with pytest.raises(NeuroFaceError, match=r"was made with MODELS = .*Run: python 3-train"):
        open_stage(4, cfg)
    cfg.MODELS = ("cnn3d", *models)  # another first one, which the nulls are about
    with pytest.raises(NeuroFaceError, match="was made with MODELS"):
        open_stage(3, cfg)
    cfg.MODELS, cfg.MODEL_OPTIONS = (*models, "cnn3d"), {"voxel_time_cnn": {}}
    with pytest.raises(NeuroFaceError, match="was made with MODEL_OPTIONS"):
        open_stage(3, cfg)


def before(number):
    """Numbers of the scripts that one builds on, directly or not."""
    direct = set(stamps_of(number)[2])
    return direct.union(*map(before, direct))


# ---------------------------------------------------------------- settings


OTHER = {  # a value that differs from the tiny study's
    "SEED": 7, "EXCLUDE": ("sub-1",), "INCLUDE": ("sub-2",), "JOIN_GAP_S": 1.0,
    "TR_S": 0.9, "LAG_S": 5.0, "WINDOW_TRS": 9, "MIN_STRETCH_S": 11.0,
    "STANDARDIZE": "none", "DENOISE": "detrend", "HIGH_PASS_HZ": None, "SMOOTHING_MM": 5.0,
    "BALANCE": "none", "MASK_THRESHOLD": 0.5, "MASK_FILE": "masks/face_rois.tsv",
    "LABELS": ("music", "speech"), "LABEL_EVENTS": {"face": ("faces",), "noface": ()}, "EVENT_COLUMN": "place",
    "FILM_EVENT": "film",
    "BIDS_FILTER": "x", "NNDB_VARIANT": "blur_censor",
    "CV_SPLITS": ("movie",), "N_FOLDS": 3, "EMBARGO_TRS": 3, "SELECTION": "paper",
    "MODELS": ("hybrid",), "MODEL_OPTIONS": {"voxel_time_cnn": {}}, "EXPLAINED_MODEL": "hybrid",
    "SMOOTH_TRS": 3, "CNN_FILTERS": (8, 8, 4),
    "CNN_DENSE_UNITS": 16, "TRAINING": "paper", "TRAINING_STEPS": 3, "EPOCHS": 3, "N_SEEDS": 2,
    "BATCH_SIZE": 4, "LEARNING_RATE": 0.1, "PRECISION": "bfloat16",
    "BASELINES": ("linear",), "N_PERMUTATIONS": 20, "N_PERMUTATIONS_CNN": 1, "HELD_OUT_SPLIT": "window",
    "EXPLAIN": "best fold", "IG_RULE": "midpoint", "ATTRIBUTION_METHODS": ("gradient-x-input",),
    "ATTRIBUTION_BASELINE": "other class", "ATTRIBUTION_DRAWS": 3, "SMOOTHGRAD_DRAWS": 3, "SMOOTHGRAD_NOISE": 0.3,
    "IG_ENGINE": "deepexplain", "IG_TOLERANCE": 0.1, "OCCLUSION_REGIONS": "rois", "OCCLUSION_CUBE_MM": 9.0,
    "OCCLUSION_TRS": 2, "PARCEL_FILE": "masks/other.nii.gz", "ATTRIBUTION_CHECKS": (), "CHECK_WINDOWS": 4,
    "IG_STEPS": 17, "SPACE": "native", "ROI_FILE": "masks/other.tsv",
    "ROI_MASKS": ("masks/other.nii.gz",), "N_RANDOM_REGIONS": 99, "N_FLIPS": 99, "MAP_TEST": "flip people",
    "N_RELABELLINGS": 99,
    "VARIANCE_FWHM_MM": 0.0, "CLUSTER_FORMING_P": 0.01, "REFERENCE_MAPS": ("glm",),
    "MATCH_ON": ("brightness",), "MATCH_WITHIN_SD": 0.1, "NUISANCE": ("loudness",),
    "PREDICTION_AT": 1.0,
}  # fmt: skip


def test_every_stamped_setting_is_tried():
    assert set(OTHER) == {name for number in STAGES for name in stamps_of(number)[1]}


@pytest.mark.parametrize("name", list(OTHER) if FULL else list(OTHER)[::4])
def test_a_changed_setting_stops_exactly_the_stages_it_concerns(tiny, name):
    """Which stages a setting concerns is read off the scripts' own text, by test_settings."""
    cfg = FaceSettings.follow_data(load_settings(ROOT / "config.py", tiny.config), tiny.root, 3)
    setattr(cfg, name, OTHER[name])
    for number in STAGES:
        apart = {
            4: {
                *aside(4),
                "OCCLUSION_REGIONS",
                "OCCLUSION_CUBE_MM",
                "OCCLUSION_TRS",
                "PARCEL_FILE",
                "ROI_FILE",
            }
        }
        used = {
            n: stamps_of(n)[1] - apart.get(n, set()) for n in STAGES
        }  # the tiny study occludes nothing
        concerned = name in used[number] or any(name in used[n] - aside(n) for n in before(number))
        concerned &= (number, name) != (
            3,
            "N_SEEDS",
        )  # script 3 adds networks to those that are there
        try:
            open_stage(number, cfg)
        except NeuroFaceError as error:
            assert concerned and f"was made with {name} = " in str(error)
            assert "; the setting is now " in str(error)
            assert "Choose another RUN_NAME" in str(error) or "It makes what is missing" in str(
                error
            )
        else:
            assert not concerned, f"{STAGES[number][1]} goes on, though {name} has changed"


# ---------------------------------------------------------------- the report, exit codes


def test_the_report_escapes_what_it_prints_and_embeds_nothing_from_outside(tmp_path):
    root = tmp_path / "run"
    (root / STAGES[1][0]).mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(b"secret")
    nasty = "<script>alert(1)</script>\" onerror='x"
    section = report.Section(nasty, nasty)
    section.table([nasty], [[nasty]], nasty)
    section.numbers({nasty: nasty})
    section.blocks.append(
        {"kind": "figure", "path": str(root / "x" / ".." / ".." / "secret.png"), "caption": nasty}
    )
    study = replace(STUDY, title=lambda settings: nasty)
    page = report.add_section(study, root, root / STAGES[1][0], section).read_text()
    assert (
        "<script>alert" not in page
        and "&lt;script&gt;alert(1)" in page
        and "onerror='x" not in page
    )
    assert "c2VjcmV0" not in page  # "secret" in base 64


@pytest.mark.parametrize(
    ("raised", "code", "says"),
    [
        (NeuroFaceError("a\n  b"), 1, "error: a b"),
        (
            OSError(28, "No space left on device", "/d/x.npy"),
            1,
            "No space left on device: /d/x.npy. Free space there",
        ),
        (
            PermissionError(13, "Permission denied", "/d"),
            1,
            "Permission denied: /d. Change its permissions",
        ),
        (MemoryError(), 1, "the memory is full. Lower N_JOBS"),
        (KeyboardInterrupt(), 1, "stopped. Finished work is kept"),
    ],
)
def test_what_a_person_can_mend_is_one_line_and_exit_code_1(raised, code, says):
    with pytest.raises(SystemExit) as end, errors_in_one_line():
        raise raised
    assert (
        isinstance(end.value.code, str)
        and says in end.value.code
        and "\n" not in end.value.code.strip()
    )


@pytest.mark.parametrize("number", STAGES)
def test_a_wrong_call_is_exit_code_2(number, tiny):
    done = run_here(number, tiny.config, "--nonsense")
    assert done.returncode == 2 and done.stderr.startswith("usage: python ") and not done.stdout
    assert ("[--check | --participants SUB …]" in done.stderr) == (number == 1)


# ---------------------------------------------------------------- twice the same


@pytest.mark.parametrize("number", STAGES if FULL else [8])
def test_a_script_run_twice_makes_the_same_files(tiny, tmp_path, number):
    """``make test-full`` tries all; of the others the short suite knows from reruns after a kill, in test_killed."""
    root, config = copy_of(tiny, tmp_path)
    shutil.rmtree(root / STAGES[number][0])
    done = run(number, config) if FULL else run_here(number, config)
    assert done.returncode == 0, done.stderr
    assert not differing(root / STAGES[number][0], tiny.root / STAGES[number][0])


def test_files_with_the_same_name_are_told_apart_by_their_folders():
    files = [Path("a/clip/film.npy"), Path("a/words/film.npy"), Path("a/words/film.json")]
    assert [*distinct_names(files).values()] == ["clip/film.npy", "words/film.npy", "film.json"]
