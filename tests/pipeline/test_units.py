"""Which units of work are done follows from the files that they write."""

import os
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.pipeline.units import UnitFiles, all_exist, make_units, missing_units, remake_units

import pytest

ONE_JOB = SimpleNamespace(N_JOBS=1, DASK_SCHEDULER=None)


def test_a_unit_is_done_if_every_one_of_its_files_is_there(tmp_path):
    def files(name):
        return [tmp_path / f"{name}.npy", tmp_path / f"{name}.json"]

    for name in ("a.npy", "a.json", "b.npy"):  # the script was killed before it wrote b.json
        (tmp_path / name).touch()
    assert missing_units(["a", "b", "c"], UnitFiles(files), "runs") == ["b", "c"]


def test_the_files_may_be_named_one_by_one(tmp_path):
    (tmp_path / "a").touch()
    both = (tmp_path / name for name in ("a", "b"))
    assert all_exist(tmp_path / "a") and not all_exist(both) and all_exist([])


def test_a_unit_without_named_files_is_its_file(tmp_path):
    (tmp_path / "a").touch()
    assert missing_units([tmp_path / "a", tmp_path / "b"], UnitFiles(), "figures") == [
        tmp_path / "b"
    ]


def test_a_unit_whose_files_were_joined_and_deleted_is_done(tmp_path):
    of_units = UnitFiles(lambda n: tmp_path / f"{n}.npy", lambda n: [tmp_path / "all.npy"])
    (tmp_path / "1.npy").touch()
    assert missing_units([1, 2], of_units, "chunks") == [2]
    (tmp_path / "all.npy").touch()
    (tmp_path / "1.npy").unlink()
    assert missing_units([1, 2], of_units, "chunks") == []


def test_files_that_hold_an_earlier_result_are_made_again(tmp_path):
    for n in (1, 2):
        (tmp_path / str(n)).write_text(f"{n} windows")
    of_units = UnitFiles(
        lambda n: tmp_path / str(n), valid=lambda n: (tmp_path / str(n)).read_text()[0] == "2"
    )
    assert missing_units([1, 2, 3], of_units, "checks") == [1, 3]


def test_work_that_does_not_write_its_files_is_an_error(tmp_path):
    with pytest.raises(NeuroFaceError, match="1 of 2 maps are not in .* Run 6.py again"):
        make_units(
            lambda file: file.touch() if file.name == "a" else None,
            [tmp_path / "a", tmp_path / "b"],
            UnitFiles(),
            "maps",
            tmp_path,
            ONE_JOB,
            "6.py",
        )


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_tables_of_all_results_are_made_again_in_every_run(tmp_path, n_jobs):
    """Each file has a line for each time that it was written: the number of the process."""

    def append(name):
        with open(tmp_path / name, "a") as file:
            file.write(f"{os.getpid()}\n")

    cfg = SimpleNamespace(N_JOBS=n_jobs, DASK_SCHEDULER=None)
    for _ in range(2):
        remake_units(append, ["a", "b", "c"], "tables", tmp_path, cfg)
    writers = [(tmp_path / name).read_text().split() for name in ("a", "b", "c")]
    assert [len(pids) for pids in writers] == [2, 2, 2]
    in_this_process = {str(os.getpid()) in pids for pids in writers}
    assert in_this_process == {n_jobs == 1}
