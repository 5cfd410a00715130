"""Units on a real Dask cluster: a scheduler and two worker processes on this machine."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.datasets import find_runs
from neuroface.pipeline import workers, write_npy
from neuroface.pipeline.workers import run_units

import numpy as np
import pytest
from conftest import run, run_here, write_config

distributed = pytest.importorskip("distributed")


@contextmanager
def started_cluster(folder: Path, n_workers: int = 2):
    """Address of a scheduler whose workers start outside the project: they are not told where it lies."""
    processes, address_file = [], folder / "scheduler.json"

    def start(*command):
        command = [
            sys.executable,
            "-m",
            "distributed.cli." + command[0],
            *command[1:],
            "--no-dashboard",
        ]
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        processes.append(subprocess.Popen(command, cwd=folder, env=env, **quiet))

    try:
        start(
            "dask_scheduler",
            "--port",
            "0",
            "--host",
            "127.0.0.1",
            "--scheduler-file",
            str(address_file),
        )
        for _ in range(n_workers):
            start(
                "dask_worker",
                "--scheduler-file",
                str(address_file),
                "--nthreads",
                "1",
                "--no-nanny",
            )
        with distributed.Client(
            scheduler_file=str(address_file), timeout=30, set_as_default=False
        ) as client:
            client.wait_for_workers(n_workers, timeout=30)
            yield client.scheduler.address
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers for all tests that leave them alive."""
    with started_cluster(tmp_path_factory.mktemp("cluster")) as address:
        yield address


def journal_work(folder: Path):
    """Work that squares a number, after noting in a journal who does it; slow enough to be interrupted."""

    def work(unit):
        with open(folder / f"journal-{unit}", "a") as journal:
            journal.write(f"{os.getpid()}\n")
        time.sleep(0.2)
        write_npy(folder / f"{unit}.npy", np.full(3, unit) ** 2)  # a kill leaves no truncated file

    return work


def test_two_workers_share_the_units_and_each_is_done_once(cluster, tmp_path):
    run_units(journal_work(tmp_path), list(range(10)), 1, "numbers", cluster)
    journals = [(tmp_path / f"journal-{i}").read_text().split() for i in range(10)]
    assert all(len(who) == 1 for who in journals) and len({who[0] for who in journals}) == 2
    assert [np.load(tmp_path / f"{i}.npy").tolist() for i in range(10)] == [
        [i**2] * 3 for i in range(10)
    ]


def test_workers_find_the_modules_beside_the_script(cluster, tmp_path, monkeypatch):
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "of_this_study.py").write_text(
        "from pathlib import Path\ndef work(unit):\n    Path(unit).write_text('done')\n"
    )
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "beside" / "1-script.py")])
    monkeypatch.syspath_prepend(tmp_path / "beside")
    from of_this_study import work

    run_units(work, [str(tmp_path / "a"), str(tmp_path / "b")], 1, "files", cluster)
    assert (tmp_path / "b").read_text() == "done"


def test_a_worker_killed_half_way_loses_and_repeats_nothing(tmp_path):
    killed = []

    def kill_one_when_four_are_done():
        while len(list(tmp_path.glob("*.npy"))) < 4:
            time.sleep(0.01)
        pids = {p for file in tmp_path.glob("journal-*") for p in file.read_text().split()}
        killed.append(min(pids))
        os.kill(int(killed[0]), signal.SIGKILL)

    killer = threading.Thread(target=kill_one_when_four_are_done)
    killer.start()
    work = journal_work(tmp_path)

    def once(unit):  # as Stage.each has it
        if not (tmp_path / f"{unit}.npy").exists():
            work(unit)

    with started_cluster(tmp_path) as cluster:
        run_units(once, list(range(16)), 1, "numbers", cluster)
    killer.join()
    assert [np.load(tmp_path / f"{i}.npy").tolist() for i in range(16)] == [
        [i**2] * 3 for i in range(16)
    ]
    journals = [(tmp_path / f"journal-{i}").read_text().split() for i in range(16)]
    repeated = [who for who in journals if len(who) > 1]
    # Only what the dead worker had begun and not finished was begun again, by the other one.
    assert len(repeated) <= 1 and all(
        who[0] == killed[0] != who[1] and len(who) == 2 for who in repeated
    )
    assert {who[-1] for who in journals} != set(killed)


def test_seeded_draws_are_those_of_this_process(cluster, tmp_path):
    """Keras draws the seeds of initial weights from Python's generator, over some time."""

    def work(unit):
        random.seed(unit)
        draws = []
        for _ in range(15):
            draws.append(random.random())
            time.sleep(0.1)
        np.save(tmp_path / f"{unit}.npy", draws)

    run_units(work, [1, 2], 1, "numbers", cluster)
    for unit in (1, 2):
        generator = random.Random(unit)
        assert np.load(tmp_path / f"{unit}.npy").tolist() == [generator.random() for _ in range(15)]


def test_a_unit_that_kills_every_worker_is_an_error(tmp_path):
    """Dask gives up on a unit when more than ``allowed-failures`` workers died over it; here: none may."""
    with started_cluster(tmp_path) as cluster:
        with distributed.Client(cluster, set_as_default=False) as client:
            client.run_on_scheduler(
                lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0)
            )

        def work(unit):
            if unit == 2:
                os._exit(1)

        with pytest.raises(
            NeuroFaceError,
            match=r"Several workers died while making (1 or )?2( or 3)?, the last at tcp",
        ):
            run_units(work, [1, 2, 3], 1, "numbers", cluster)


def test_a_unit_that_kills_the_only_worker_is_named_and_does_not_wait_for_ever(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(workers, "LOOK_FOR_WORKERS_S", 0.2)

    def work(unit):
        if unit.name == "sub-7_windows.npy":
            os._exit(1)

    with started_cluster(tmp_path, n_workers=1) as cluster:
        monkeypatch.setattr(workers, "WAIT_FOR_WORKERS_S", 2)
        with pytest.raises(
            NeuroFaceError,
            match=r"last Dask worker died while making sub-7_windows\.npy, and .* no other for 2 s",
        ):
            run_units(work, [tmp_path / "sub-7_windows.npy"], 1, "runs", cluster)
    assert "died while making sub-7_windows.npy; waiting 2 s" in capsys.readouterr().out


def test_a_worker_that_comes_after_the_last_has_died_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "LOOK_FOR_WORKERS_S", 0.2)

    def work(unit):
        if not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os._exit(1)
        write_npy(unit, np.zeros(1))

    def start_another_when_it_died(command):
        while not (tmp_path / "died").exists():
            time.sleep(0.05)
        time.sleep(1)  # meanwhile there is none
        return subprocess.Popen(command, cwd=tmp_path)

    with started_cluster(tmp_path, n_workers=1) as cluster:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", cluster, "--nthreads", "1",
                   "--no-nanny", "--no-dashboard"]  # fmt: skip
        with ThreadPoolExecutor(1) as pool:
            later = pool.submit(start_another_when_it_died, command)
            try:
                run_units(work, [tmp_path / "1.npy", tmp_path / "2.npy"], 1, "files", cluster)
            finally:
                later.result().kill()
                later.result().wait()
    assert (tmp_path / "1.npy").exists() and (tmp_path / "2.npy").exists()


def test_errors_of_the_work_come_through(cluster):
    def work(unit):
        raise NeuroFaceError(f"unit {unit} cannot be done")

    with pytest.raises(NeuroFaceError, match="unit 3 cannot be done"):
        run_units(work, [3], 1, "numbers", cluster)


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(workers, "CONNECT_S", 1)
    with pytest.raises(
        NeuroFaceError,
        match=r"No Dask scheduler answers at DASK_SCHEDULER = 'tcp://127\.0\.0\.1:1'",
    ):
        run_units(print, [1], 1, "numbers", "tcp://127.0.0.1:1")


def test_script_1_on_the_cluster_equals_script_1_alone(cluster, small_dataset, tmp_path):
    assert len(find_runs("demo", small_dataset, events=("face",))[0]) == 4
    written = []
    for name, scheduler, way in (("alone", None, run_here), ("cluster", cluster, run)):
        config = write_config(
            tmp_path / f"{name}.py", DATASET="nndb-v1", DATASET_DIR=str(small_dataset),
            DATA_DIR=str(tmp_path), RUN_NAME=name, DASK_SCHEDULER=scheduler,
        )  # fmt: skip
        done = way(1, config)
        assert done.returncode == 0, done.stderr
        folder = tmp_path / name / "1-windows"
        files = sorted(file for file in folder.rglob("*_windows.*") if file.is_file())
        written.append({str(file.relative_to(folder)): file.read_bytes() for file in files})
    assert written[0] == written[1] and len(written[0]) == 12


def test_messages_call_a_unit_by_its_name_or_its_place(tmp_path):
    """Folds hold arrays, which no message should print."""
    called = workers._called
    assert called(tmp_path / "sub-7_windows.npy", 1, "runs") == "sub-7_windows.npy"
    assert called(3, 1, "numbers") == "3"
    assert called((np.arange(1000),), 4, "folds") == "number 4 of the folds"
