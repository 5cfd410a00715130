"""docs/bids.md: what it says of decoding within people runs as it stands there."""

import json
import re

from neuroface.face_study.settings import FaceSettings
from neuroface.pipeline.settings import load_settings

import numpy as np
import pytest
from conftest import ROOT
from scipy.stats import bootstrap

CODE = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "bids.md").read_text(), re.S)


def test_the_experiment_takes_the_person_from_the_environment(tmp_path, monkeypatch):
    experiment, _ = CODE
    (tmp_path / "my_people.py").write_text(experiment)
    monkeypatch.chdir(ROOT)
    for person in ("sub-1", "sub-4"):
        monkeypatch.setenv("PERSON", person)
        cfg = load_settings(FaceSettings, ROOT / "config.py", tmp_path / "my_people.py")
        assert (cfg.INCLUDE, cfg.RUN_NAME, cfg.SPACE) == (
            (person,),
            f"haxby2001-{person}",
            "native",
        )


def test_scores_are_joined_over_people(tmp_path, monkeypatch, capsys):
    _, join = CODE
    auc = np.array([0.91, 0.83, 0.88, 0.95, 0.79, 0.86])
    for number, value in enumerate(auc, 1):
        file = tmp_path / f"data/haxby2001-sub-{number}/3-model/run/linear-mean/metrics.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"all_folds": {"auc": value}}))
    monkeypatch.chdir(tmp_path)
    exec(compile(join, "join", "exec"), {})
    said = capsys.readouterr().out
    found = re.fullmatch(r"6 people: AUC 0.87 \[(.*), (.*)\], p = 0.000\n", said)
    low, high = (float(value) for value in found.groups())
    # 2.571: the 97.5 % point of t with 5 degrees of freedom, from a printed table.
    half = 2.571 * auc.std(ddof=1) / np.sqrt(6)
    assert (low, high) == pytest.approx((auc.mean() - half, auc.mean() + half), abs=0.006)
    wider = bootstrap((auc,), np.mean, method="percentile", random_state=0).confidence_interval
    assert (
        low < wider.low and wider.high < high
    )  # over six people a percentile interval is too narrow
