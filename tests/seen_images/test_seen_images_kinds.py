"""Kinds of pictures that are held out whole, and the effective dimension of what is decoded."""

import runpy
from types import SimpleNamespace

from neuroface import NeuroFaceError

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

pytest.importorskip("torch", reason="needs the extras of seen images: make images-test")
pytest.importorskip("diffusers", reason="needs the extras of seen images: make images-test")
from seen_images import demo, kinds, patterns  # noqa: E402
from seen_images.scores import effective_dimension  # noqa: E402

RNG = np.random.default_rng(7)


def test_planted_clusters_are_the_kinds():
    planted = np.repeat(np.arange(6), 5)
    embeddings = 10 * RNG.standard_normal((6, 8))[planted] + 0.1 * RNG.standard_normal((30, 8))
    found = kinds.clusters_of(embeddings, 6, seed=1)
    assert len(set(zip(planted, found))) == 6 and len(set(found)) == 6


def test_more_kinds_than_different_captions_stop_with_the_number_there_is():
    with pytest.raises(NeuroFaceError, match="N_KINDS = 4, .* 3 different .* Set N_KINDS to 3"):
        kinds.clusters_of(np.repeat(np.eye(3), 2, axis=0), 4, seed=1)


def test_all_trials_of_a_held_out_kind_are_tested_and_no_other():
    trials = pd.DataFrame(
        {"image": ["a", "b", "a", "c"], "split": ["train", "test", "train", "test"]}
    )
    table = pd.DataFrame(
        {"image": ["a", "b", "c"], "kind": [0, 1, 1], "held_out": [True, False, False]}
    )
    assert kinds.split_by_kinds(trials, table)["split"].tolist() == [
        "test",
        "train",
        "test",
        "train",
    ]


def test_held_out_kinds_depend_on_the_seed_alone():
    assert kinds.held_out_of(40, 8, 3).tolist() == kinds.held_out_of(40, 8, 3).tolist()
    assert len(set(kinds.held_out_of(40, 8, 3))) == 8
    assert kinds.held_out_of(40, 8, 3).tolist() != kinds.held_out_of(40, 8, 4).tolist()


def test_kinds_follow_the_settings_until_these_are_stamped(tmp_path, monkeypatch):
    """A run that stopped early, because too few images were held out, say, leaves its table behind."""
    script = runpy.run_path(str(ROOT / "studies" / "seen_images" / "1-load_betas.py"))
    names = script["hold_out_kinds"].__globals__
    monkeypatch.setitem(names, "model_of", lambda cfg, texts: tmp_path)
    monkeypatch.setitem(names, "check_weights", lambda *_: None)
    monkeypatch.setitem(
        names, "kinds_of", lambda images, source, model, cfg: pd.DataFrame({"kind": [cfg.N_KINDS]})
    )
    for n_kinds, is_begun, kind in ((4, False, 4), (5, False, 5), (6, True, 5)):
        stage = SimpleNamespace(folder=tmp_path, is_begun=is_begun)
        people = {"a": SimpleNamespace(trials=pd.DataFrame({"image": ["x"]}))}
        settings = SimpleNamespace(N_KINDS=n_kinds, SUBJECT="a")
        made = script["hold_out_kinds"](stage, people, settings)
        assert made["kind"].tolist() == [kind]


def test_effective_dimension_by_its_closed_form():
    line = np.outer(np.arange(5.0), [1, 2, 3])
    assert effective_dimension(line) == pytest.approx(1)
    corners = np.concatenate([np.eye(4), -np.eye(4)])  # the same variance along four axes
    assert effective_dimension(corners + 5) == pytest.approx(4)
    two = np.diag([2.0, 1.0])  # variances 4 and 1 along two axes: 25 / 17
    assert effective_dimension(np.concatenate([two, -two])) == pytest.approx(25 / 17)
    assert np.isnan(effective_dimension(np.full((4, 3), 7.0)))


def test_the_demo_shows_every_kind_equally_often():
    shown = demo._balanced_kinds(500, np.random.default_rng(3))
    counts = pd.Series(map(tuple, shown)).value_counts()
    assert len(counts) == 100 and set(counts) == {5}


def test_the_demos_sessions_have_their_own_gain_level_and_drift():
    n_voxels, session = 4000, np.repeat([0, 1], 400)
    betas = demo._measured(np.zeros((800, n_voxels)), session, 2.0, np.random.default_rng(3))
    of_session = betas.reshape(2, 400, n_voxels)
    level = of_session.mean(axis=1).std()
    assert level == pytest.approx(demo.LEVEL, abs=0.03)
    gain = np.log(of_session.std(axis=1)).std()
    assert gain == pytest.approx(demo.GAIN, abs=0.03)
    rise = (of_session[:, 200:].mean(axis=1) - of_session[:, :200].mean(axis=1)).std()
    noise = 4 / 100 * np.exp(2 * demo.GAIN**2)  # variance of a difference of means of 200 trials
    assert rise == pytest.approx(np.sqrt((demo.DRIFT / 2) ** 2 + noise), abs=0.02)


def test_signal_to_noise_is_the_planted_one():
    """Signal SD 1, noise SD 2 and 0.5, and a voxel of noise alone; three trials an image."""
    rng, images = np.random.default_rng(5), np.tile(np.arange(2000), 3)
    signal = rng.standard_normal((2000, 3)) * [1, 1, 0]
    trials = signal[images] + rng.standard_normal((6000, 3)) * [2, 0.5, 1]
    found = patterns.signal_to_noise(trials, images, n_at_once=2)
    assert found[:2] == pytest.approx([0.5, 2], rel=0.05) and found[2] < 0.15
    once = patterns.signal_to_noise(trials[:2000], images[:2000])
    assert np.isnan(once).all()
    flat = patterns.signal_to_noise(np.zeros((4, 1)), np.array(["a", "a", "b", "b"]))
    assert np.isnan(flat).all()
