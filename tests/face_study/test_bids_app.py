"""``python -m neuroface``: the scripts with the arguments of a BIDS App."""

import fcntl
import shutil
import subprocess
import sys
import threading

from neuroface.face_study.bids_app import app_command
from neuroface.pipeline.lock import FolderLock, Turn

import nibabel as nib
import numpy as np
import pytest
from conftest import FULL, ROOT, content, run_here, script_here, write_config

WINDOWS = "1-windows"


def app(folder, *arguments, out="out"):
    """The command in this process: what its scripts printed, or the error that ended it."""
    calls = []

    def run(script, experiment, *given):
        calls.append(script_here(ROOT / script, experiment, *given))
        return calls[-1].returncode

    try:
        app_command(
            [str(argument) for argument in (folder / "data", folder / out, *arguments)], run
        )
    except SystemExit as end:
        return calls, str(end.code)
    return calls, ""


@pytest.fixture
def folder(small_dataset, tmp_path):
    shutil.copytree(small_dataset, tmp_path / "data")
    return tmp_path


def test_people_and_then_the_group_give_the_bytes_of_the_scripts(folder):
    """Four people one after another, in any order, then the rest of script 1, and script 2."""
    config = write_config(folder / "mine.py", DATASET="demo", N_JOBS=1)
    for people in (["sub-4"], ["1", "3"], ["2"], ["2"]):
        calls, error = app(
            folder, "participant", "--participant-label", *people, "--config", config
        )
        assert not error and f"runs cut for these people: {len(people)}." in calls[0].stdout
        assert not (folder / "out" / WINDOWS / "manifest.json").exists()
    calls, error = app(folder, "group", "--config", config, "--until", 2)
    assert not error and "4 of 4 already there" in calls[0].stdout and len(calls) == 2
    settings = {"DATASET": "demo", "N_JOBS": 1, "DATASET_DIR": str(folder / "data")}
    by_hand = write_config(folder / "b.py", **settings, DATA_DIR=str(folder / "b"), RUN_NAME="out")
    for number in (1, 2):
        assert run_here(number, by_hand).returncode == 0
    for stage in (WINDOWS, "2-dataset"):
        assert content(folder / "out" / stage) == content(folder / "b" / "out" / stage)
    calls, _ = app(folder, "participant", "--participant-label", "2", "--config", config)
    assert "1 of 1 already there" in calls[0].stdout  # and the folder stays complete
    assert app(folder, "group", "--config", config, "--until", 2)[1] == ""


def test_runs_that_share_a_folder_take_turns(tmp_path):
    first, over = Turn(tmp_path / "lock"), threading.Event()

    def second():
        Turn(tmp_path / "lock")
        over.set()

    waiting = threading.Thread(target=second)
    waiting.start()
    assert not over.wait(0.2)
    first.over()
    assert over.wait(10)
    waiting.join()


@pytest.mark.skipif(not FULL, reason="make test-full: eight processes import everything")
def test_people_are_cut_by_processes_of_the_same_moment(folder):
    config = write_config(folder / "mine.py", DATASET="demo", N_JOBS=1)
    command = [sys.executable, "-m", "neuroface", folder / "data", folder / "out", "participant"]
    processes = [
        subprocess.Popen(
            [*command, "--config", config, "--participant-label", str(person)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for person in (1, 2, 3, 4)
    ]
    printed = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, printed
    _, error = app(folder, "group", "--config", config, "--until", 1)
    assert not error and len(list((folder / "out" / WINDOWS).glob("sub-*/*.npy"))) == 4


def test_no_person_is_cut_while_a_run_for_everybody_works(folder):
    config = write_config(folder / "mine.py", DATASET="demo", N_JOBS=1)
    (folder / "out" / WINDOWS).mkdir(parents=True)
    everybody = FolderLock(folder / "out" / WINDOWS, "1-x.py", "there")
    calls, error = app(folder, "participant", "--participant-label", "1", "--config", config)
    assert "Another run of" in calls[0].stderr and "stopped, for the reason above" in error
    fcntl.flock(everybody._file, fcntl.LOCK_UN)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["group", "--participant-label", "1"], "INCLUDE"),
        (["group", "--config", "nowhere.py"], "no such file"),
        (["participant", "--participant-label", "99"], "stopped, for the reason above"),
    ],
)
def test_what_cannot_be_done_is_one_line(folder, arguments, message):
    calls, error = app(folder, *arguments)
    assert message in error and "\n" not in error
    if calls:  # DATASET is "bids" unless the file of --config says otherwise
        assert "DATASET = 'bids'" in calls[0].stderr or "sub-99" in calls[0].stderr


def test_a_config_that_is_no_python_is_one_line(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "mine.py").write_text("EPOCHS = = 1")
    calls, error = app(tmp_path, "participant", "--config", tmp_path / "mine.py")
    assert not calls and "SyntaxError" in error and "\n" not in error


def test_results_among_the_data_are_refused(tmp_path):
    (tmp_path / "data").mkdir()
    calls, error = app(tmp_path, "participant", out="data")
    assert not calls and "another OUT" in error and not list((tmp_path / "data").iterdir())


def test_the_group_is_done_without_surface_figures_where_there_is_no_mesh(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    config, scripts = write_config(tmp_path / "mine.py", SPACE="native", ROI_FILE=None), []
    arguments = [tmp_path / "data", tmp_path / "out", "group", "--config", config]

    def run(script, *_):
        scripts.append(int(script[0]))
        return 0

    app_command([str(argument) for argument in arguments], run)
    assert scripts == [1, 2, 3, 4, 5, 6, 8]
    assert "needs MNI space or BOLD on the surface; SPACE is 'native'" in capsys.readouterr().out
    write_config(config, SPACE="surface", ROI_FILE=None)
    scripts.clear()
    app_command([str(argument) for argument in arguments], run)
    assert scripts == [1, 2, 3, 4, 5, 6, 7, 8]
    windows = tmp_path / "out" / "1-windows"
    windows.mkdir(parents=True)
    for side in "LR":
        values = nib.gifti.GiftiDataArray(np.ones(9, np.float32))
        nib.save(nib.GiftiImage(darrays=[values]), windows / f"group_mask_hemi-{side}.shape.gii")
    scripts.clear()
    app_command([str(argument) for argument in arguments], run)
    assert scripts == [1, 2, 3, 4, 5, 6, 8]
    assert "which needs a mesh of both hemispheres" in capsys.readouterr().out


def test_a_folder_that_is_none_is_named(tmp_path):
    assert "is not a folder" in app(tmp_path, "participant")[1]
