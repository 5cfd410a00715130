"""Decoding within people: each person alone, and the interval over people."""

import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from neuroface.face_study import STUDY

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from block_design import bids, save
from conftest import ROOT, run_here, script_here, write_config
from scipy.stats import ttest_1samp, ttest_rel

SCRIPT = ROOT / "within_people.py"
WITHIN = SimpleNamespace(**runpy.run_path(str(SCRIPT)))


def native_study(folder, people=2):
    """Blocks of faces and houses, three runs each; person k has 4 + k voxels along an axis, and the effect in one half."""
    bids(folder / "dataset", people, runs=(1, 2, 3), mask=False)
    for number in range(1, people + 1):
        for file in sorted((folder / "dataset" / f"sub-{number:02d}").rglob("*_bold.nii.gz")):
            values = np.random.default_rng([number, int(file.name[-13])]).normal(
                100, 1, (4 + number, 4, 4, 170)
            )
            for block in range(12):
                first = (12 + 26 * block + 4) // 2
                values[:2, ..., first : first + 8] += 2 * (block % 2 == 0)
            save(file, values, 2.0)
            save(
                file.with_name(file.name.replace("_bold", "_desc-brain_mask")),
                np.ones(values.shape[:3]),
            )
    return write_config(
        folder / "c.py", DATASET="bids", DATASET_DIR=str(folder / "dataset"), DATA_DIR=str(folder / "data"), RUN_NAME="r",
        TR_S=2.0, WINDOW_TRS=5, LABEL_EVENTS={"face": ("face",), "noface": ("house",)}, MODELS=("linear_plus",),
        EXPLAINED_MODEL="linear_plus", BASELINES=("linear-mean",), N_PERMUTATIONS=0, SPACE="native", ROI_FILE=None,
        FILM_DIR=str(folder / "films"), INCLUDE=("sub-01",), CV_SPLITS=("run",),
    )  # fmt: skip


@pytest.fixture
def in_this_process(monkeypatch):
    """Scripts that within_people.py starts run here: starting TensorFlow six times takes a minute."""
    start = subprocess.run

    def run(arguments, **options):
        if arguments[0] != sys.executable:
            return start(arguments, **options)
        done = script_here(arguments[1], Path(options["env"]["NEUROFACE_CONFIG"]))
        sys.stderr.write(done.stderr)
        return done

    monkeypatch.setattr(subprocess, "run", run)


@pytest.mark.usefixtures("in_this_process")
def test_each_person_is_decoded_alone_and_the_table_joins_them(tmp_path):
    """Grids of people differ, so one analysis of all is refused; the effect is 2 SD in every person."""
    config = native_study(tmp_path)
    done = script_here(SCRIPT, config)
    assert done.returncode == 0, done.stderr
    people = pd.read_csv(tmp_path / "data/r-within-people/people.tsv", sep="\t")
    assert set(people["person"]) == {"sub-01", "sub-02"} and set(people["split"]) == {"run"}
    assert (people["balanced_accuracy"] > 0.9).all()
    for number, person in enumerate(("sub-01", "sub-02"), 1):
        mask = nib.load(tmp_path / f"data/r-{person}/1-windows/group_mask.nii.gz")
        assert mask.shape == (4 + number, 4, 4)
    mean = pd.read_csv(tmp_path / "data/r-within-people/mean.tsv", sep="\t").set_index(
        ["split", "model", "score"]
    )
    for key, each in people.groupby(["split", "model"]):
        assert mean.loc[(*key, "auc"), "mean"] == pytest.approx(each["auc"].mean())
    assert (
        mean["low"].isna().all() and "no interval and no p with fewer than 4 people" in done.stdout
    )
    refused = run_here(1, write_config(tmp_path / "all.py", **runpy_settings(config), INCLUDE=()))
    assert refused.returncode == 1 and "Decode one person at a time" in refused.stderr


def runpy_settings(config):
    return {
        name: value
        for name, value in runpy.run_path(str(config)).items()
        if name.isupper() and name != "INCLUDE"
    }


def test_the_interval_over_people_is_that_of_a_t_distribution():
    auc = np.array([0.91, 0.83, 0.88, 0.95, 0.79, 0.86])
    table = pd.DataFrame(
        {"person": [f"sub-{n}" for n in range(6)], "split": "run", "model": "ridge", "auc": auc}
    )
    table = table.assign(accuracy=auc - 0.1, balanced_accuracy=auc - 0.1)
    means = WITHIN.means_of(table).set_index("score").loc["auc"]
    half = (
        2.571 * auc.std(ddof=1) / np.sqrt(6)
    )  # 97.5 % point of t with 5 degrees of freedom, from a printed table
    assert (means["low"], means["high"]) == pytest.approx(
        (auc.mean() - half, auc.mean() + half), abs=1e-4
    )
    assert means["p"] == pytest.approx(
        ttest_rel(auc, np.full(6, 0.5), alternative="greater").pvalue
    )
    assert means["p"] == pytest.approx(ttest_1samp(auc, 0.5).pvalue / 2)
    # 90 % faces give an accuracy of 0.9 without any decoding.
    tested = WITHIN.means_of(table).set_index("score")["p"].notna()
    assert tested.to_dict() == {"accuracy": False, "balanced_accuracy": True, "auc": True}
    (line,) = WITHIN.lines_of(WITHIN.means_of(table))
    assert (
        line.startswith("ridge, run folds, 6 people: balanced accuracy 0.77")
        and "auc 0.87 [0.81, 0.93]" in line
    )


@pytest.mark.parametrize("experiment", [None, "experiments/partly_cloudy.py"])
def test_a_persons_settings_are_the_users_but_for_the_person(tmp_path, monkeypatch, experiment):
    """Without an experiment too: the demo's own values of settings stay those of the demo."""
    monkeypatch.chdir(tmp_path)  # a relative path also counts from the repository
    monkeypatch.delenv("NEUROFACE_CONFIG", raising=False)
    if experiment:
        monkeypatch.setenv("NEUROFACE_CONFIG", experiment)
    everybody = vars(STUDY.load_settings(SCRIPT))
    path = WITHIN.write_experiment(tmp_path, "sub-2", SimpleNamespace(**everybody))
    monkeypatch.setenv("NEUROFACE_CONFIG", str(path))
    one = vars(STUDY.load_settings(SCRIPT))
    changed = {name: value for name, value in one.items() if value != everybody[name]}
    assert changed == {"INCLUDE": ("sub-2",), "RUN_NAME": f"{everybody['RUN_NAME']}-sub-2"}


def test_somebody_who_is_not_there_stops_before_any_work(tmp_path):
    config = native_study(tmp_path, people=1)
    done = script_here(SCRIPT, config, "sub-07")
    assert done.returncode == 1 and "INCLUDE names sub-07, who is not in" in done.stderr
    assert not list((tmp_path / "data").glob("r-sub*"))
