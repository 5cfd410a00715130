"""Progress of units: the time left by arithmetic, and what is said while a unit runs."""

import io
import time

from neuroface.pipeline import note_progress, progress, read_json, write_json
from neuroface.pipeline.progress import (
    Progress,
    UnitName,
    UnitState,
    duration,
    seconds_left,
    unit_progress,
)
from neuroface.pipeline.workers import run_units

import pytest

CNN, RIDGE = "voxel-time CNN", "ridge"
NAMES = [
    *(UnitName(RIDGE, f"ridge {k}") for k in range(4)),
    *(UnitName(CNN, f"CNN {k}") for k in range(5)),
]


def test_trainings_that_take_long_are_not_timed_by_those_that_do_not():
    ridges = [UnitState(1.0, 1.0, 1.0, 1.0)] * 4
    # 60 s of compiling, then 1 % of the training in 9 s: 891 s are left, and 960 s for each of four more.
    first = UnitState(69.0, 0.01, 60.0, 0.0 + 1e-12)
    left, unknown = seconds_left(NAMES, [*ridges, first, *[None] * 4], n_jobs=1)
    assert left == pytest.approx(891 + 4 * 960, rel=1e-6) and unknown == {}
    left, _ = seconds_left(NAMES, [*ridges, first, *[None] * 4], n_jobs=2)
    assert left == pytest.approx((891 + 4 * 960) / 2, rel=1e-6)


def test_what_has_not_been_timed_is_not_counted_and_said():
    states = [UnitState(1.0, 1.0, 1.0, 1.0), *[None] * 8]
    left, unknown = seconds_left(NAMES, states, n_jobs=1)
    assert left == pytest.approx(3) and unknown == {CNN: 5}


def test_the_last_unit_of_many_workers_is_not_divided_among_them():
    states = (
        [UnitState(1.0, 1.0, 1.0, 1.0)] * 4
        + [UnitState(100.0, 1.0, 1.0, 0.0)] * 4
        + [UnitState(50.0, 0.5, 0.0, 0.0)]
    )
    assert seconds_left(NAMES, states, n_jobs=8)[0] == pytest.approx(50)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(95, "2 min"), (3540, "59 min"), (6180, "1 h 43 min"), (13500, "3 h 45 min")],
)
def test_durations_are_written_as_people_read_them(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_unit_that_runs_is_named_with_its_share(n_jobs, capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.1)
    monkeypatch.setattr(progress, "NOTE_EVERY_S", 0.05)
    monkeypatch.setattr("sys.stderr", io.StringIO())  # no terminal

    def work(unit):
        note_progress(0.12)
        time.sleep(0.6)

    run_units(
        work,
        [1, 2],
        n_jobs,
        "folds",
        name_of=lambda unit: UnitName(CNN, f"{CNN}, movie fold {unit}"),
    )
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f"  folds: 0 of 2; {CNN}, movie fold 1 12%") for line in lines), (
        lines
    )
    assert lines[-1].startswith("  folds: 2 of 2")


def test_a_unit_goes_on_where_its_progress_cannot_be_written(tmp_path):
    with unit_progress(tmp_path / "file" / "0.json"):
        (tmp_path / "file").rename(tmp_path / "gone")
        (tmp_path / "file").write_text("")  # the folder cannot be made again
        note_progress(0.5)
    assert read_json(tmp_path / "gone" / "0.json")[1] == 0.0


def test_the_file_of_a_unit_that_is_done_is_read_once():
    shown = Progress([UnitName(CNN, "a"), UnitName(CNN, "b")], 1, "folds")
    for number, share in enumerate((1.0, 0.5)):
        write_json(shown.file(number), [200.0, share, 0.0, 1e-9])
    text = shown.details()
    assert text == "b 50%; about 3 min left"
    shown.file(0).unlink()
    assert shown.details() == text


def test_on_a_cluster_the_time_left_is_that_of_the_units_that_are_done(monkeypatch, capsys):
    now = iter([0.0, 100.0, 100.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now, 100.0))
    shown = Progress([UnitName("runs", "")] * 5, 8, "runs")
    shown.count()  # one in 100 s: four are left
    assert shown.details() == "about 7 min left"
