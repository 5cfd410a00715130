"""A demo data set is written once, and never over one that was made with other settings."""

from neuroface import NeuroFaceError
from neuroface.pipeline import begin_demo, write_json

import pytest


@pytest.fixture
def folder(tmp_path):
    target = tmp_path / "demo"
    partial = begin_demo(target, "truth/truth.json", seed=3, segments=[[0, 10]])
    write_json(partial / "truth" / "truth.json", {"seed": 3, "segments": [[0, 10]], "effect": 1.0})
    partial.rename(target)
    return target


def test_a_data_set_that_is_there_is_not_written_again(folder):
    assert begin_demo(folder, "truth/truth.json", seed=3, segments=[[0, 10]]) is None


def test_other_settings_are_named_with_both_values(folder):
    says = r"was written with seed 3 and segments \[\[0, 10\]\]; SEED is 4, SEGMENTS is \[\[0, 10\]\]\. Delete it"
    with pytest.raises(NeuroFaceError, match=says):
        begin_demo(folder, "truth/truth.json", seed=4, segments=[[0, 10]])


def test_a_folder_without_its_truth_is_another_data_set(folder):
    (folder / "truth" / "truth.json").unlink()
    with pytest.raises(NeuroFaceError, match="was written with seed another; SEED is 3"):
        begin_demo(folder, "truth/truth.json", seed=3)


def test_what_a_stopped_script_left_is_written_anew(tmp_path):
    first = begin_demo(tmp_path / "demo", "truth.json", seed=3)
    first.mkdir()
    (first / "half").touch()
    assert begin_demo(tmp_path / "demo", "truth.json", seed=3) == first and not first.exists()
