"""Scripts killed at any moment, and full, read-only or forbidden disks: a rerun ends with what an undisturbed run makes.

The suite kills a few times; ``make test-full`` (``NEUROFACE_FULL=1``) kills every script, more than
50 times in all.
"""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import Mock

from neuroface.attribution import explainer
from neuroface.attribution.files import completeness_file
from neuroface.pipeline.files import PARTIAL, read_json
from neuroface.pipeline.provenance import STAMP

import pytest
from conftest import (
    FULL,
    ROOT,
    STAGES,
    copy_of,
    differing,
    popen_arguments,
    run_here,
    write_config,
)

# ---------------------------------------------------------------- SIGKILL


def kill_at_random(
    number: int, config: Path, folder: Path, seconds: float, rng: random.Random
) -> bool:
    """Start a script, kill it a random part of ``seconds`` after it has begun to work; whether it was still at work."""
    begun = (folder / STAMP).stat().st_mtime_ns if (folder / STAMP).exists() else 0
    script = subprocess.Popen(
        [sys.executable, ROOT / STAGES[number][1]],
        **popen_arguments(config, subprocess.DEVNULL)
        | {"stderr": (errors := tempfile.TemporaryFile("w+"))},
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while script.poll() is None and time.monotonic() < deadline:
        if (folder / STAMP).exists() and (folder / STAMP).stat().st_mtime_ns != begun:
            break
        time.sleep(0.001)
    time.sleep(rng.uniform(0, seconds))
    if at_work := script.poll() is None:
        os.killpg(script.pid, signal.SIGKILL)  # its workers too, as a cluster's time limit does
    script.wait()
    errors.seek(0)
    assert at_work or script.returncode == 0, errors.read()
    return at_work


# (script, kills, N_JOBS): script 3 trains for a minute and 8 predicts for ten seconds, so the short
# suite leaves them out.
KILLS = [(1, 1, 2), (4, 1, 1), (5, 2, 1)]
if FULL:
    KILLS = [
        (1, 10, 1),
        (2, 6, 1),
        (3, 10, 1),
        (4, 10, 1),
        (5, 8, 1),
        (6, 6, 1),
        (7, 4, 1),
        (8, 10, 1),
        (1, 4, 2),
        (5, 4, 2),
    ]


@pytest.mark.parametrize(("number", "kills", "n_jobs"), KILLS)
def test_a_script_killed_anywhere_ends_with_the_same_results(tiny, tmp_path, number, kills, n_jobs):
    root, alone = copy_of(tiny, tmp_path)
    config = write_config(
        tmp_path / "c.py", **tiny.settings | {"DATA_DIR": str(tmp_path), "N_JOBS": n_jobs}
    )
    folder = root / STAGES[number][0]
    seconds, expected = read_json(folder / STAMP)["seconds"], tiny.root / folder.name
    make_undone(folder, number)
    rng, killed = random.Random(number), 0
    for _ in range(5 * kills):
        if kill_at_random(number, config, folder, max(0.2, seconds / 2), rng):
            killed += 1
        else:  # it was done before it could be killed: begin again
            assert not differing(folder, expected)
            make_undone(folder, number)
        if killed == kills:
            break
    assert killed == kills, "the script was done before it could be killed"
    if number < 7 and not read_json(folder / STAMP)["finished"]:
        refused = run_here(number + 1, alone)
        assert refused.returncode == 1 and f"python {STAGES[number][1]}" in refused.stderr
    done = run_here(number, alone)
    assert done.returncode == 0, done.stderr
    assert not differing(folder, expected)
    assert not list(root.rglob(f"{PARTIAL}*"))


def make_undone(folder: Path, number: int) -> None:
    """Remove what a script has made; in the short suite only a part where it takes long."""
    if number == 4 and not FULL:
        shutil.rmtree(folder / "sub-1")
    else:
        shutil.rmtree(folder)


def test_script_4_killed_twice_at_its_worst_moments(tiny, tmp_path, monkeypatch):
    """Once between naming a finished file and its table, once before the first window is made anew: no zeros stay."""
    root, config = copy_of(tiny, tmp_path)
    folder = root / STAGES[4][0]
    target = next(folder.glob("sub-1/*_label-face_ig.npy"))
    table = completeness_file(target)
    table.rename(table.with_name(f"{PARTIAL}journal-{table.name}"))
    with monkeypatch.context() as patch:
        # As Ctrl-C does it; a signal sent from here would arrive some steps later.
        patch.setattr(explainer.Explainer, "__call__", Mock(side_effect=KeyboardInterrupt))
        stopped = run_here(4, config)
    assert stopped.returncode == 1 and "stopped" in stopped.stderr
    done = run_here(4, config)
    assert done.returncode == 0, done.stderr
    assert not differing(folder, tiny.root / folder.name)


# ---------------------------------------------------------------- a disk that takes no more


@contextmanager
def mounted(folder: Path, size: str):
    """A disk of its own at ``folder``, as small as ``size``; yields what changes it."""
    folder.mkdir(parents=True, exist_ok=True)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True
    ).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield lambda options: subprocess.run(
            ["mount", "-o", f"remount,{options}", folder], check=True
        )
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def assert_one_line(done, *says) -> None:
    assert done.returncode == 1, done.stdout + done.stderr
    line = done.stderr.strip()
    assert line.startswith("error: ") and "\n" not in line, line
    assert all(part in line for part in says), line


def assert_whole(folder: Path, expected: Path) -> None:
    """Every file that has its final name is the one of the undisturbed run."""
    assert not [
        name
        for name in differing(folder, expected)
        if (folder / name).exists() and PARTIAL not in name
    ]
    assert not (folder / STAMP).exists() or not read_json(folder / STAMP)["finished"]


# (script, size of the disk): each fills up somewhere in the middle
DISKS = [(1, "3m"), (5, "3m")]
if FULL:
    DISKS += [(2, "3m"), (4, "300k"), (6, "200k"), (3, "200k"), (7, "1m"), (8, "500k")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
@pytest.mark.parametrize(("number", "size"), DISKS)
def test_a_full_disk_is_one_line_and_a_rerun_succeeds(tiny, tmp_path, number, size):
    root, config = copy_of(tiny, tmp_path)
    folder = root / STAGES[number][0]
    shutil.rmtree(folder)
    with mounted(folder, size) as change:
        assert_one_line(
            run_here(number, config),
            "No space left on device",
            str(folder),
            "Free space there and run again",
        )
        assert_whole(folder, tiny.root / folder.name)
        if number != 4 or FULL:
            change("size=100m")
            done = run_here(number, config)
            assert done.returncode == 0, done.stderr
            assert not differing(folder, tiny.root / folder.name)


@pytest.mark.parametrize("number", [1, 5] + [2, 3, 4, 6, 7, 8] * FULL)
def test_a_limit_on_the_size_of_files_is_one_line(tiny, tmp_path, number):
    root, config = copy_of(tiny, tmp_path)
    folder = root / STAGES[number][0]
    shutil.rmtree(folder)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = 20_000  # smaller than the largest file of any of them
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        script = run_here(number, config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_one_line(script, "File too large", str(folder), "ulimit -f")
    assert_whole(folder, tiny.root / folder.name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")
def test_a_read_only_disk_is_one_line(tiny, tmp_path):
    root, config = copy_of(tiny, tmp_path)
    shutil.rmtree(root / STAGES[2][0])
    with mounted(root / STAGES[2][0], "50m") as change:
        change("ro")
        assert_one_line(run_here(2, config), "Read-only file system", "DATA_DIR")
        change("rw")
        assert run_here(2, config).returncode == 0


def test_a_folder_without_permission_is_one_line(tiny, tmp_path):
    root, config = copy_of(tiny, tmp_path)
    shutil.rmtree(root / STAGES[2][0])
    (root / STAGES[2][0]).mkdir(mode=0o500)
    command = [sys.executable, ROOT / STAGES[2][1]]
    if os.geteuid() == 0:  # root may write anywhere, unless it gives that right away
        if not shutil.which("setpriv"):
            pytest.skip("root needs setpriv to give its rights away")
        command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *command]
    assert_one_line(
        subprocess.run(command, **popen_arguments(config)),
        "Permission denied",
        STAGES[2][0],
        "permissions",
    )
    (root / STAGES[2][0]).chmod(0o700)
    assert run_here(2, config).returncode == 0
