"""The tiny study: the demo's generator at 10 mm and a stronger effect, taken through the eight real scripts once."""

import os

# One thread for each of the test processes, and for the scripts that they start. Two processes on two cores, each with a
# thread per core, spend most of their time waiting for each other: an eigendecomposition takes five times as long.
for _variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(_variable, "1")  # before NumPy and TensorFlow are loaded
if os.environ.get("NEUROFACE_FULL") != "1":
    # UMAP of 50 points takes longer to compile than to compute in plain Python.
    os.environ.setdefault("NUMBA_DISABLE_JIT", "1")

import ast
import fcntl
import gc
import gzip
import hashlib
import io
import json
import runpy
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

from neuroface.face_study import demo
from neuroface.face_study.study import STUDY

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parent.parent
STAGES = {step.number: (step.folder, step.script) for step in STUDY.steps}
FULL = (
    os.environ.get("NEUROFACE_FULL") == "1"
)  # make test-full: every case of what is otherwise sampled
FILM_S, VOXEL_MM, FACE_EFFECT = 600, 10, 3.0


def run(number: int, config: Path) -> subprocess.CompletedProcess:
    """One of the eight scripts as a user runs it."""
    return subprocess.run([sys.executable, ROOT / STAGES[number][1]], **popen_arguments(config))


def popen_arguments(config: Path, output=subprocess.PIPE) -> dict:
    env = os.environ | {"NEUROFACE_CONFIG": str(config)}
    return {"env": env, "cwd": ROOT, "stdout": output, "stderr": output, "text": True}


def run_here(number: int, config: Path, *arguments: str) -> subprocess.CompletedProcess:
    """The same in this process, which has its imports behind it; any error but the script's own comes through."""
    return script_here(ROOT / STAGES[number][1], config, *arguments)


def run_zero(config: Path, *arguments) -> subprocess.CompletedProcess:
    """``0-annotate_film.py`` in this process."""
    return script_here(ROOT / "0-annotate_film.py", config, *map(str, arguments))


def script_here(path: Path, config: Path, *arguments: str) -> subprocess.CompletedProcess:
    """A script of any study in this process, with what it imports from its own folder."""
    script, code, environment = str(path), 0, dict(os.environ)
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        patch.setenv("NEUROFACE_CONFIG", str(config))
        patch.setattr(sys, "argv", [script, *arguments])
        patch.syspath_prepend(path.parent)
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:  # as the interpreter does it
            code = end.code if isinstance(end.code, int) else 1
            print("" if isinstance(end.code, int) else end.code, file=err)
        finally:  # workers get their number of threads from there
            os.environ.clear()
            os.environ.update(environment)
    return subprocess.CompletedProcess([script], code, out.getvalue(), err.getvalue())


def wrong_lines(script: Path, config: Path) -> list[str]:
    """What ``--check`` of a script calls wrong; its exit code fits, and nothing beside the config is written."""
    before = {path: path.stat().st_mtime_ns for path in config.parent.rglob("*")}
    done = script_here(script, config, "--check")
    assert {path: path.stat().st_mtime_ns for path in config.parent.rglob("*")} == before
    wrong = [
        line.removeprefix("  wrong: ")
        for line in done.stdout.splitlines()
        if line.startswith("  wrong: ")
    ]
    assert done.returncode == bool(wrong), done.stderr
    assert ("nothing is wrong" in done.stdout) == (not wrong)
    return wrong


def bids_errors(root: Path) -> list[str]:
    """Errors of the public validator of BIDS, without the network; the test is skipped where it is not installed."""
    pytest.importorskip("bids_validator_deno")
    command = [Path(sys.executable).with_name("bids-validator-deno"), "--format", "json", root]
    done = subprocess.run(command, capture_output=True, text=True)
    issues = json.loads(done.stdout)["issues"]["issues"]
    return [
        f"{issue['code']} {issue['location']} {issue.get('issueMessage', '')}"
        for issue in issues
        if issue["severity"] == "error"
    ]


def write_config(path: Path, **settings) -> Path:
    path.write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))
    return path


def copy_of(tiny, folder: Path) -> tuple[Path, Path]:
    """A copy of the finished study that a test may break, and its config."""
    shutil.copytree(tiny.root, folder / "tiny")
    return folder / "tiny", write_config(
        folder / "copy.py", **tiny.settings | {"DATA_DIR": str(folder)}
    )


# What a run costs differs from run to run, and is stored on purpose; the rest must not differ.
COST = {
    "cost",
    "linear_cost",
    "seconds",
    "seconds_per_epoch",
    "peak_memory_gb",
    "added_memory_gb",
    "windows_per_pass",
}
# Times, sizes on disk, versions; models.tsv has scores that are in metrics.json too, beside costs.
NOT_COMPARED = {
    "settings.json",
    "manifest.json",
    "report.json",
    "report.html",
    ".lock",
    "models.tsv",
}


def content(folder: Path) -> dict[str, str]:
    """Digest of every result, whatever its name begins with; costs and the packing of a ``.gz`` aside."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.name in NOT_COMPARED:
            continue
        data = path.read_bytes()
        if path.suffix == ".json":
            data = json.dumps(_without_cost(json.loads(data))).encode()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        digests[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return digests


def differing(folder: Path, expected: Path) -> list[str]:
    """Names of results that are not the same in both folders; what script 8 predicts may differ by rounding."""
    made, wanted = content(folder), content(expected)
    names = sorted(
        name for name in made.keys() | wanted.keys() if made.get(name) != wanted.get(name)
    )
    if expected.name != STAGES[8][0]:
        return names
    return [
        n
        for n in names
        if n not in made or n not in wanted or not _equal_to_rounding(folder / n, expected / n)
    ]


def _equal_to_rounding(path: Path, expected: Path) -> bool:
    """Tables to 1e-5, scores to a second that crosses a threshold; figures are drawn from both."""
    if path.suffix == ".tsv":
        made, wanted = (pd.read_csv(file, sep="\t") for file in (path, expected))
        numbers = wanted.select_dtypes("number").columns
        return (
            list(made) == list(wanted)
            and made.drop(columns=numbers).equals(wanted.drop(columns=numbers))
            and np.allclose(made[numbers], wanted[numbers], atol=1e-5, equal_nan=True)
        )
    if path.suffix == ".json":
        made, wanted = (
            pd.json_normalize(json.loads(file.read_text())).iloc[0] for file in (path, expected)
        )
        numbers = [name for name in wanted.index if isinstance(wanted[name], float)]
        return list(made.index) == list(wanted.index) and np.allclose(
            made[numbers].astype(float), wanted[numbers].astype(float), atol=5e-3, equal_nan=True
        )
    return path.suffix == ".png"


def _without_cost(value):
    if isinstance(value, dict):
        return {key: _without_cost(part) for key, part in value.items() if key not in COST}
    return [_without_cost(part) for part in value] if isinstance(value, list) else value


# They begin in this order: the one that makes the tiny study, then those with a long set-up of their own. Whatever is long
# and begins late runs alone, while the other test process has nothing left.
BEGIN_EARLY = (
    "test_pipeline.py",
    "test_volumes_scripts.py",
    "test_film_encoding_study.py",
    "test_backends.py",
    "test_haxby.py",
    "test_labels.py",
    "test_seen_images_study.py",
)


def pytest_collectstart() -> None:
    """No garbage collection while modules are imported and tests are collected."""
    gc.disable()


def pytest_collection_finish() -> None:
    """What has been imported stays: garbage collections need not look at its millions of objects again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; the other files that use the tiny study last, so that no process waits until it is made."""
    users = {item.path.name for item in items if "tiny" in item.fixturenames}

    def place(item: pytest.Item) -> int:
        name = item.path.name
        if name in BEGIN_EARLY:
            return BEGIN_EARLY.index(name) - len(BEGIN_EARLY)
        return int(name in users)

    items.sort(key=place)


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory) -> Path:
    """Four people, a film each, in NNDb's naming; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("small") / "dataset"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "PEOPLE_PER_FILM", 1)
        demo.write_demo(folder, ROOT / "masks" / "face_rois.tsv", 42, 200, 12)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> SimpleNamespace:
    """The finished study: its folder, config, settings, data set, and what each script printed; made once for all."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of all test processes
    folder = folder / "tiny"
    folder.mkdir(exist_ok=True)
    made = folder / "made.txt"
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            assert not (folder / "begun").exists(), (
                "the tiny study could not be made; another test says why"
            )
            (folder / "begun").touch()
            made.write_text(repr(_make_tiny(folder)))
    settings, printed = ast.literal_eval(made.read_text())  # unlike JSON it keeps tuples
    return SimpleNamespace(
        root=folder / "tiny",
        config=folder / "tiny.py",
        settings=settings,
        dataset=folder / "dataset",
        printed=printed,
    )


def _make_tiny(folder: Path) -> tuple[dict, dict]:
    """Settings, and what each script printed."""
    settings = dict(
        DATASET_DIR=str(folder / "dataset"), DATA_DIR=str(folder), RUN_NAME="tiny", N_FOLDS=2, TRAINING_STEPS=60,
        INFERENCE_BATCH=16, N_JOBS=1, CHECK_WINDOWS=2, BASELINES=("linear", "linear-mean", "rois", "shuffled-cnn"),
        MODELS=("voxel_time_cnn", "screened_ridge", "linear_plus"),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "FACE_EFFECT", FACE_EFFECT)
        demo.write_demo(folder / "dataset", ROOT / "masks" / "face_rois.tsv", 42, FILM_S, VOXEL_MM)
    config = write_config(folder / "tiny.py", **settings)
    printed = {}
    for number in STAGES:
        done = run_here(number, config)
        assert done.returncode == 0, done.stderr
        printed[number] = done.stdout
    return settings, printed
