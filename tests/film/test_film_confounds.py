"""Film regressors from samples to the confound table: the response, matched windows, predictions by them alone, the GLM."""

import json
import re

from neuroface import NeuroFaceError
from neuroface.decoding import FoldSettings, confound_scores, make_folds
from neuroface.film import (
    imbalance,
    match_windows,
    regressors_of_samples,
    regressors_of_windows,
    write_regressors,
)
from neuroface.film.regressors import convolved, read_regressors
from neuroface.maps.glm import condition_design, condition_effect

import numpy as np
import pandas as pd
import pytest
from conftest import copy_of, run_here, write_config
from nilearn.glm.first_level import FirstLevelModel, compute_regressor
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import RidgeClassifier


def test_the_response_is_nilearns():
    """A box of 8 s through SPM's HRF, as nilearn's own design matrices make it, at a TR that is no multiple of a sample."""
    rate_hz, tr_s = 10.0, 1.25
    samples = ((np.arange(600) / rate_hz >= 10) & (np.arange(600) / rate_hz < 18)).astype(float)
    times_s = np.arange(48) * tr_s
    expected, _ = compute_regressor(
        np.array([[10.0], [8.0], [1.0]]), "spm", times_s, oversampling=50
    )
    ours = convolved(samples, rate_hz, times_s)
    assert np.corrcoef(ours, expected[:, 0])[0, 1] > 0.9995
    assert convolved(np.ones(900), rate_hz, np.array([80.0]))[0] == pytest.approx(
        1
    )  # the plateau keeps the unit


def samples(n=200, **columns) -> pd.DataFrame:
    flat = {
        "shot_cuts": 0,
        "brightness": 0.5,
        "motion_energy": 0.0,
        "loudness": -70.0,
        "speech": 0.0,
    }
    return pd.DataFrame(
        {
            name: np.broadcast_to(np.asarray(value, float), n)
            for name, value in (flat | columns).items()
        }
    )


def test_regressors_have_a_row_per_tr_until_the_response_has_faded(tmp_path):
    table = regressors_of_samples(samples(loudness=np.nan, speech=np.nan, shot_cuts=0.4), 5.0, 2.0)
    assert list(table) == [
        "time_s",
        "shot_cuts",
        "brightness",
        "motion_energy",
    ]  # a film without sound
    assert table["time_s"].tolist() == [2.0 * i for i in range(36)]  # 40 s and 32 s more
    assert table["shot_cuts"][18] == pytest.approx(
        2.0, abs=0.05
    )  # 0.4 in a fifth of a second: 2 per second
    assert abs(table["brightness"].iloc[-1]) < 1e-3
    write_regressors(tmp_path, "task-x", table, 2.0, {"Films": []})
    back = read_regressors(tmp_path / "task-x_film-regressors.tsv", 2.0, 50)
    assert len(back) == 50 and back["brightness"][:36].tolist() == table["brightness"].tolist()
    assert (
        json.loads((tmp_path / "task-x_film-regressors.json").read_text())["RepetitionTime"] == 2.0
    )


@pytest.mark.parametrize("text, words", [
    ("time_s\n0\n1\n", "needs a column time_s, a regressor"),
    ("a\tb\n0\t1\n1\t2\n", "needs a column time_s"),
    ("time_s\tx\n0\t1\n2\t1\n4\t1\n", "has a row every 2 s, and TR_S is 1 s"),
    ("time_s\tx\n0\t1\n1\tn/a\n", "'x' holds a value that is no number"),
    ("", "x.tsv is empty"),
])  # fmt: skip
def test_regressors_that_cannot_be_read(tmp_path, text, words):
    (tmp_path / "x.tsv").write_text(text)
    with pytest.raises(NeuroFaceError, match=re.escape(words)):
        read_regressors(tmp_path / "x.tsv", 1.0, 10)


def test_a_window_has_the_mean_of_its_volumes():
    table = pd.DataFrame({"x": np.arange(30.0)})
    assert regressors_of_windows(table, np.array([4, 25]), 4)["x"].tolist() == [5.5, 26.5]


# ---------------------------------------------------------------- matching


def test_matched_windows_are_alike():
    """Classes that differ by one SD in brightness: drawn at random they still do, matched they do not."""
    rng = np.random.default_rng(0)
    is_first = np.repeat([True, False], [120, 40])
    table = pd.DataFrame(
        {"brightness": rng.standard_normal(160) + is_first, "loudness": rng.standard_normal(160)}
    )
    assert imbalance(is_first, table)["brightness"] == pytest.approx(1, abs=0.3)
    rows = match_windows(is_first, table, within_sd=0.35)
    kept = imbalance(is_first[rows], table.iloc[rows].reset_index(drop=True))
    assert is_first[rows].sum() == (~is_first[rows]).sum() >= 25
    assert abs(kept["brightness"]) < 0.15 and abs(kept["loudness"]) < 0.15
    assert list(rows) == sorted(set(rows))


def test_the_pairs_are_the_best_ones():
    """By trying all assignments of 4 to 6."""
    from itertools import permutations

    rng = np.random.default_rng(1)
    is_first = np.repeat([True, False], [4, 6])
    table = pd.DataFrame(rng.standard_normal((10, 2)), columns=["a", "b"])
    z = ((table - table.mean()) / table.std(ddof=0)).to_numpy()
    distance = np.sqrt(((z[:4, None] - z[None, 4:]) ** 2).mean(axis=2))
    best = min(permutations(range(6), 4), key=lambda order: distance[range(4), list(order)].sum())
    assert set(match_windows(is_first, table, within_sd=99.0)) == {
        0,
        1,
        2,
        3,
        *(4 + column for column in best),
    }
    rows, columns = linear_sum_assignment(distance)
    limit = np.sort(distance[rows, columns])[1] + 1e-9
    assert (
        len(match_windows(is_first, table, within_sd=limit)) <= 4
    )  # pairs further apart are left out


def test_a_regressor_that_never_changes_does_not_matter():
    is_first, table = np.array([True, False, True]), pd.DataFrame({"x": [1.0, 1.0, 1.0]})
    assert len(match_windows(is_first, table, 1.0)) == 2 and imbalance(is_first, table) == {
        "x": 0.0
    }


# ---------------------------------------------------------------- predictions by regressors alone


def test_scores_are_those_of_scikit_learn():
    """One regressor that carries the label, one that does not; a ridge of scikit-learn's on the same folds."""
    samples = pd.DataFrame(
        {"movie": np.repeat(list("abcd"), 60), "label": np.tile(["face", "noface"], 120)}
    )
    samples = samples.assign(
        subject=samples["movie"], run="1", first_tr=np.tile(np.arange(60) * 20, 4)
    )
    samples["event"] = samples["movie"] + samples["first_tr"].astype(str)
    folds = {"movie": make_folds(samples, "movie", FoldSettings(2, 42, 10, 10, "paper"))}
    y = (samples["label"] == "face").to_numpy(int)
    rng = np.random.default_rng(0)
    features = pd.DataFrame(
        {
            "loud": y + rng.standard_normal(len(y)),
            "still": 3.0,
            "noise": rng.standard_normal(len(y)),
        }
    )
    found = confound_scores(features, y, samples, folds, 99, 42, "face")
    assert list(found) == ["loud", "noise", "all of them"]  # one that never changes has no score
    said = np.empty(len(y))
    for fold in folds["movie"]:
        model = RidgeClassifier(alpha=1e-6, class_weight="balanced").fit(
            features.iloc[fold.train], y[fold.train]
        )
        said[fold.test] = model.predict(features.iloc[fold.test])
    expected = np.mean([(said == y)[y == k].mean() for k in (0, 1)])
    assert found["all of them"]["movie"]["balanced_accuracy"] == pytest.approx(expected, abs=0.03)
    assert found["all of them"]["movie"]["p"] == 0.01 and found["loud"]["movie"]["p"] is None
    assert abs(found["noise"]["movie"]["auc"] - 0.5) < 0.15


def test_the_demos_films_carry_confounds_and_the_report_shows_them(tiny):
    results = json.loads((tiny.root / "3-model" / "film_regressors.json").read_text())
    difference = results["difference_sd"]
    assert (
        difference["brightness"] < -0.2 and difference["speech"] > 0.4
    )  # close-ups are darker, and spoken over
    assert results["scores"]["all of them"]["movie"]["auc"] > 0.6
    page = (tiny.root / "report.html").read_text()
    table = page.split("predicted from")[1].split("</table>")[0]
    of_bold = [
        f"BOLD, {model}"
        for model in ("ridge, whole window", "voxel-time CNN", "best by inner validation")
    ]
    for row in ("brightness", "speech", "all of them", *of_bold):
        assert f">{row}</td>" in table
    assert "What else differs between the classes" in page
    assert "film regressors alone, movie folds" in tiny.printed[3]


def test_the_annotation_and_the_bold_of_the_demo_do_not_depend_on_them(tiny):
    stored = json.loads((tiny.dataset / "stimuli" / "task-aurora_film-regressors.json").read_text())
    assert stored["Synthetic"]["MeanChangeSpread"]["brightness"][1] < 0


# ---------------------------------------------------------------- through the scripts


def test_script_1_matches_windows(tiny, tmp_path):
    settings = tiny.settings | {
        "DATA_DIR": str(tmp_path),
        "MATCH_ON": ("brightness", "speech"),
        "MATCH_WITHIN_SD": 0.35,
    }
    config = write_config(tmp_path / "match.py", **settings)
    done = run_here(1, config)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "tiny" / "1-windows" / "film_regressors.tsv", sep="\t")
    before, after = (
        imbalance((part["label"] == "face").to_numpy(), part[["brightness", "speech"]])
        for part in (table, table[table["kept"] == 1])
    )
    for name in ("brightness", "speech"):
        assert abs(after[name]) < 0.5 * abs(before[name]), (before, after)
    counts = table[table["kept"] == 1].groupby(["subject", "label"]).size().unstack()
    assert (counts["face"] == counts["noface"]).all()
    assert "matched to" in done.stdout
    # Windows that are already cut do not pass for matched ones.
    (tmp_path / "old").mkdir()
    _, config = copy_of(tiny, tmp_path / "old")
    config.write_text(config.read_text() + "MATCH_ON = ('speech',)\n")
    done = run_here(1, config)
    assert done.returncode == 1 and "MATCH_ON" in done.stderr


@pytest.mark.parametrize("settings, words", [
    ({"MATCH_ON": ("brightnes",)}, "'brightnes' is not in .*did you mean brightness"),
    ({"MATCH_ON": ("brightness",), "BALANCE": "none"}, "needs BALANCE"),
])  # fmt: skip
def test_what_cannot_be_matched_is_said_in_one_line(tiny, tmp_path, settings, words):
    done = run_here(
        1,
        write_config(
            tmp_path / "match.py", **tiny.settings | {"DATA_DIR": str(tmp_path)} | settings
        ),
    )
    assert (
        done.returncode == 1
        and re.search(words, done.stderr)
        and len(done.stderr.splitlines()) == 1
    )


def test_the_glm_holds_nuisance_constant():
    """Against nilearn's FirstLevelModel with the same regressors added; and a response to loudness alone counts as none."""
    from nibabel import Nifti1Image

    rng = np.random.default_rng(3)
    stretches = np.array([[10.0, 15.0], [60.0, 20.0], [120.0, 12.0], [170.0, 15.0]])
    kept = np.ones(220, dtype=bool)
    face = condition_design(stretches, None, kept, 1.0)["first"].to_numpy()
    loud = face / face.std() + 0.5 * rng.standard_normal(220)
    nuisance = pd.DataFrame({"loudness": 40 + 3 * loud})
    bold = (
        100
        + np.outer([0.0, 2.0, 5.0], face)
        + np.outer([4.0, 0.0, 4.0], loud)
        + rng.standard_normal((3, 220))
    )
    design = condition_design(stretches, None, kept, 1.0, nuisance)
    assert "nuisance_loudness" in design
    ours = condition_effect(iter([bold.T.astype(np.float32)]), design)
    image = Nifti1Image(bold.reshape(3, 1, 1, 220), np.eye(4))
    mask = Nifti1Image(np.ones((3, 1, 1), dtype=np.uint8), np.eye(4))
    model = FirstLevelModel(t_r=1.0, noise_model="ols", mask_img=mask, signal_scaling=False)
    model.fit(image, design_matrices=design)
    expected = model.compute_contrast(
        np.eye(design.shape[1])[list(design).index("first")], output_type="effect_size"
    )
    assert np.allclose(ours * bold.std(axis=1), expected.get_fdata().ravel(), atol=0.02)
    without = condition_effect(
        iter([bold.T.astype(np.float32)]), condition_design(stretches, None, kept, 1.0)
    )
    spread = bold.std(axis=1)
    assert (
        abs(ours[0] * spread[0]) < 1.0 < without[0] * spread[0]
    )  # loudness no longer passes for faces
