"""The tiny study: the demo's generator at 10 mm and a stronger effect, taken through the eight real scripts once."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from neuroface import demo
from neuroface.files import STAGES

ROOT = Path(__file__).parent.parent
FILM_S, VOXEL_MM, FACE_EFFECT = 600, 10, 3.0


def run(number: int, config: Path) -> subprocess.CompletedProcess:
    """One of the eight scripts as a user runs it."""
    return subprocess.run([sys.executable, ROOT / STAGES[number][1]], **popen_arguments(config))


def popen_arguments(config: Path, output=subprocess.PIPE) -> dict:
    env = os.environ | {"NEUROFACE_CONFIG": str(config)}
    return {"env": env, "cwd": ROOT, "stdout": output, "stderr": output, "text": True}


def write_config(path: Path, **settings) -> Path:
    path.write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> SimpleNamespace:
    """The finished study: its folder, config, settings, data set, and what each script printed."""
    folder = tmp_path_factory.mktemp("tiny")
    settings = dict(
        DATASET_DIR=str(folder / "dataset"), DATA_DIR=str(folder), RUN_NAME="tiny", N_FOLDS=2, EPOCHS=10,
        IG_STEPS=16, INFERENCE_BATCH=16, N_JOBS=1,
        CHECK_WINDOWS=2,
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "FACE_EFFECT", FACE_EFFECT)
        demo.write_demo(folder / "dataset", ROOT / "masks" / "face_rois.tsv", 42, FILM_S, VOXEL_MM)
    config = write_config(folder / "tiny.py", **settings)
    printed = {}
    for number in STAGES:
        done = run(number, config)
        assert done.returncode == 0, done.stderr
        printed[number] = done.stdout
    return SimpleNamespace(
        root=folder / "tiny", config=config, settings=settings, dataset=folder / "dataset", printed=printed
    )
