"""CV_SPLITS and HELD_OUT_SPLIT = "auto": the split that a design allows, through the settings of every script."""

import re
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.decoding.folds import folds_of_all_splits
from neuroface.decoding.split_choice import strictest_first
from neuroface.decoding.training_report import lead
from neuroface.face_study import STUDY, FaceSettings, fold_settings, labels_of, with_splits
from neuroface.pipeline import Rules
from neuroface.pipeline.stamp import compare_own, compare_upstream

import pandas as pd
import pytest
from conftest import ROOT, write_config
from test_folds import WINDOW_TRS, block_design, film_in_runs, film_samples


def settings(**changed):
    defaults = dict(
        CV_SPLITS="auto", HELD_OUT_SPLIT="auto", N_FOLDS=4, SEED=42, EMBARGO_TRS=10, SELECTION="inner",
        WINDOW_TRS=WINDOW_TRS, TR_S=1.0,
    )  # fmt: skip
    return SimpleNamespace(**defaults | changed)


def one_order_for_all(people):
    """A localizer: the same blocks at the same seconds for everybody, one run."""
    one = block_design(1, 1)
    return pd.concat([one.assign(subject=f"sub-{who}") for who in range(people)], ignore_index=True)


def with_jitter(table):
    """Each person's log some milliseconds off, as logs of scanners are."""
    return table.assign(onset_s=table["onset_s"] + table["subject"].str[-1].astype(int) * 0.004)


DESIGNS = {
    "ten films, three people each": (film_samples(10), "movie", 4),
    "two films": (film_samples(2), "movie", 2),
    "one film, many people": (film_samples(1, 8), "event", 4),
    "one film, own logs": (with_jitter(film_samples(1, 8)), "event", 4),
    "one film, one person": (film_samples(1, 1, events=96), "event", 4),
    "one film in two runs": (film_in_runs(2), "part", 2),
    "one film in eight runs": (film_in_runs(8), "part", 4),
    "blocks of one person in twelve runs": (block_design(1, 12), "run", 4),
    "blocks of six people in three runs": (block_design(6, 3), "part", 3),
    "blocks of eight people in one run, own orders": (block_design(8, 1), "subject", 4),
    "blocks of three people in one run, own orders": (block_design(3, 1), "subject", 3),
}


@pytest.mark.parametrize("design", DESIGNS)
def test_the_split_fits_the_design_and_all_of_its_folds_can_be_made(design):
    samples, split, n_folds = DESIGNS[design]
    cfg = with_splits(settings(), samples)
    assert (cfg.HELD_OUT_SPLIT, cfg.CV_SPLITS) == (split, ("window", split))
    assert f"CV_SPLITS = ('window', '{split}'), HELD_OUT_SPLIT = '{split}'" in cfg.splits_why
    # Raises if one of CV_SPLITS is not possible.
    folds, _ = folds_of_all_splits(samples, cfg.CV_SPLITS, fold_settings(cfg))
    assert len(folds[split]) == n_folds
    if split != "event":
        assert all(fold.n_embargoed == 0 for fold in folds[split])


def test_one_film_in_two_runs_loses_no_training_window_to_an_embargo():
    """Issue: event folds of such a film lost most of their training windows."""
    samples = film_in_runs(2)
    folds, _ = folds_of_all_splits(samples, ("event", "part"), fold_settings(settings()))
    lost = {
        split: sum(fold.n_embargoed for fold in folds[split])
        / sum(len(samples) - len(fold.test) for fold in folds[split])
        for split in ("event", "part")
    }
    assert lost["part"] == 0 and lost["event"] > 0.2
    assert with_splits(settings(), samples).HELD_OUT_SPLIT == "part"


def test_people_who_share_moments_are_held_out_only_if_moments_cannot_be_and_the_sentence_warns():
    shared = one_order_for_all(
        6
    )  # blocks 13 volumes apart, windows of 10 and an embargo of 10: event folds are empty
    cfg = with_splits(settings(TR_S=2.0), shared)
    assert cfg.HELD_OUT_SPLIT == "subject" and "too high for new moments" in cfg.splits_why
    assert with_splits(settings(TR_S=2.0, EMBARGO_TRS=0), shared).HELD_OUT_SPLIT == "event"


def test_window_folds_are_left_out_where_there_are_too_few_windows_for_them():
    """Three people with one block of each label: N_FOLDS = 4 window folds are not possible, three folds of people are."""
    few = pd.concat(
        [table.groupby("label").head(1) for _, table in block_design(3, 1).groupby("subject")],
        ignore_index=True,
    )
    cfg = with_splits(settings(TR_S=2.0), few)
    assert cfg.CV_SPLITS == ("subject",) == (cfg.HELD_OUT_SPLIT,)
    folds, _ = folds_of_all_splits(few, cfg.CV_SPLITS, fold_settings(cfg))
    assert len(folds["subject"]) == 3


def test_where_nothing_can_be_held_out_single_windows_are_and_the_sentence_warns():
    cfg = with_splits(settings(TR_S=2.0), one_order_for_all(1))
    assert (
        cfg.CV_SPLITS == ("window",) == (cfg.HELD_OUT_SPLIT,)
        and "too high for new moments" in cfg.splits_why
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (dict(CV_SPLITS=("window", "subject"), HELD_OUT_SPLIT="window"), (("window", "subject"), "window")),
        (dict(CV_SPLITS=("window", "subject", "event")), (("window", "subject", "event"), "event")),
        (dict(HELD_OUT_SPLIT="subject"), (("window", "subject"), "subject")),
        (dict(HELD_OUT_SPLIT="window"), (("window",), "window")),
    ],
)  # fmt: skip
def test_a_value_that_the_user_gives_stays(given, expected):
    cfg = with_splits(settings(**given), film_samples())
    assert (cfg.CV_SPLITS, cfg.HELD_OUT_SPLIT) == expected
    assert bool(cfg.splits_why) == (len(given) == 1)


def test_an_impossible_split_of_the_user_stops_and_what_fits_is_named():
    cfg = with_splits(settings(CV_SPLITS=("window", "movie")), film_in_runs(2))
    with pytest.raises(
        NeuroFaceError, match=r'"part" and HELD_OUT_SPLIT|HELD_OUT_SPLIT = "part" hold out'
    ):
        folds_of_all_splits(film_in_runs(2), cfg.CV_SPLITS, fold_settings(cfg))


def test_scripts_after_the_second_read_the_windows_and_agree(tmp_path, monkeypatch):
    """Resolved in one place: what scripts 3 to 8 stamp and compare are names of splits; scripts 1 and 2 use none."""
    config = write_config(
        tmp_path / "c.py",
        DATASET="bids",
        DATA_DIR=str(tmp_path),
        RUN_NAME="r",
        FILM_DIR=str(tmp_path / "films"),
    )
    monkeypatch.setenv("NEUROFACE_CONFIG", str(config))
    assert STUDY.load_settings(ROOT / STUDY.step(3).script).CV_SPLITS == "auto"  # no windows yet
    (tmp_path / "r" / "2-dataset").mkdir(parents=True)
    film_in_runs(2).to_csv(tmp_path / "r" / "2-dataset" / "samples.tsv", sep="\t", index=False)
    for step in STUDY.steps:
        cfg = STUDY.load_settings(ROOT / step.script)
        expected = ("auto", "auto") if step.number < 3 else (("window", "part"), "part")
        assert (cfg.CV_SPLITS, cfg.HELD_OUT_SPLIT) == expected
    assert re.search(
        "one film or task in 2 runs; the same run of all people is held out", cfg.splits_why
    )


def test_results_of_another_choice_are_refused_and_the_reason_is_said():
    """A second film came: the models of script 3 held moments out, and the windows now allow to hold films out."""
    before, cfg = (with_splits(settings(), film_samples(films, 8)) for films in (1, 2))
    stamp = {"settings": {"CV_SPLITS": list(before.CV_SPLITS), "SEED": 42}}
    assert before.HELD_OUT_SPLIT == "event"
    refused = (
        r"made with CV_SPLITS = \['window', 'event'\]; the setting is now \['window', 'movie'\] \(CV_SPLITS = .*"
        r"chosen from the design: 2 films or tasks; whole ones are held out.*\)\. Choose another RUN_NAME"
    )
    with pytest.raises(NeuroFaceError, match=refused):
        compare_own(stamp, cfg, FaceSettings, Rules(), set(), "3-model", "3-train.py")
    with pytest.raises(NeuroFaceError, match=refused):
        compare_upstream(stamp, cfg, FaceSettings, "3-model", "3-train.py")
    compare_own(stamp, before, FaceSettings, Rules(), set(), "3-model", "3-train.py")
    with pytest.raises(NeuroFaceError, match=r"SEED = 42; the setting is now 1\. Choose"):
        other = with_splits(settings(SEED=1), film_samples(1, 8))
        compare_own(stamp, other, FaceSettings, Rules(), set(), "3-model", "3-train.py")


def test_the_report_begins_with_the_strictest_split_and_speaks_of_those_at_hand():
    """With window folds first, the first number of a run of one film would be one that knows the moments."""
    cfg = with_splits(settings(LABELS=("face", "noface")), film_samples(1, 8))
    assert cfg.CV_SPLITS == ("window", "event") and strictest_first(cfg.CV_SPLITS)[0] == "event"
    text = lead(strictest_first(cfg.CV_SPLITS), labels_of(cfg), "inner", cfg.splits_why)
    assert "Movie folds" not in text and "Window folds are the paper's. CV_SPLITS = " in text
    assert strictest_first(("window", "movie")) == ["movie", "window"]
