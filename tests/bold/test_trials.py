"""Trials of a block are one stretch; what is no trial stays as it is."""

from pathlib import Path

from neuroface.bold import LabelEvents, Run, joined_trials, read_events, stretches_of_labels
from neuroface.bold.annotations import read_1d

import numpy as np
import pandas as pd
import pytest

NNDB = Path(__file__).parents[3] / "shared" / "reference" / "nndb" / "stimuli"
CATEGORIES = ("scissors", "face", "cat", "shoe", "house", "scrambledpix", "bottle", "chair")
BLOCK_ONSETS_S = [12, 48, 84, 120, 156, 192, 228, 264]  # OpenNeuro ds000105, every run


def events(path, rows):
    pd.DataFrame(rows, columns=["onset", "duration", "trial_type"]).to_csv(
        path, sep="\t", index=False, na_rep="n/a"
    )
    return path


def haxby(path):
    """Run 1 of sub-1 of ds000105: twelve pictures per block, 0.5 s each, 2 s apart."""
    rows = [
        (block + 2 * k, 0.5, name)
        for block, name in zip(BLOCK_ONSETS_S, CATEGORIES)
        for k in range(12)
    ]
    return events(path, rows)


def conditions(join_gap_s=2.0):
    named = {"face": ("face",), "noface": tuple(set(CATEGORIES) - {"face"})}
    return LabelEvents(("face", "noface"), named, "trial_type", join_gap_s, longest_trial_s=10.0)


def test_haxbys_blocks_last_24_s(tmp_path):
    run = Run("sub-1", "objectviewing", "1", "sub-1_task-objectviewing_run-1", tmp_path, None,
              (("", haxby(tmp_path / "events.tsv")),))  # fmt: skip
    faces, others = stretches_of_labels(run, conditions())
    assert faces.tolist() == [[48, 24]]
    assert sorted(others.tolist()) == [[onset, 24] for onset in BLOCK_ONSETS_S if onset != 48]
    assert stretches_of_labels(run, conditions(join_gap_s=0.0))[0][:, 1].max() == 0.5
    said = joined_trials([run], CATEGORIES, "trial_type", 2.0)
    assert (
        said == "96 trials with gaps of at most JOIN_GAP_S = 2 s are joined to 8 stretches of 24 s."
    )
    assert joined_trials([run], CATEGORIES, "trial_type", 0.0) == ""


def test_blocks_and_single_trials_stay(tmp_path):
    """Events that give a window alone are blocks, however near the next one is; two trials are no block."""
    path = events(
        tmp_path / "e.tsv",
        [(0, 16, "face"), (17, 16, "face"), (34, 16, "face"), (60, 1, "cat"), (62, 1, "cat")],
    )
    assert read_events(path, ("face",), join_gap_s=2.0).tolist() == [[0, 16], [17, 16], [34, 16]]
    assert read_events(path, ("cat",), join_gap_s=2.0).tolist() == [[60, 1], [62, 1]]


def test_another_event_a_longer_gap_or_an_irregular_pace_ends_a_block(tmp_path):
    rows = [(2 * k, 1, "face") for k in range(5)]
    assert read_events(events(tmp_path / "a.tsv", rows), ("face",), join_gap_s=2.0).tolist() == [
        [0, 10]
    ]
    other = read_events(
        events(tmp_path / "b.tsv", [*rows, (3.5, 0, "response")]), ("face",), join_gap_s=2.0
    )
    assert other.tolist() == [[0, 1], [2, 1], [4, 6]]
    none = read_events(
        events(tmp_path / "n.tsv", [*rows, (3.5, 0, None)]), ("face",), join_gap_s=2.0
    )
    assert none.tolist() == [[0, 10]]
    gap = read_events(
        events(tmp_path / "c.tsv", [*rows, (11.5, 1, "face")]), ("face",), join_gap_s=2.0
    )
    assert gap.tolist() == [[0, 10], [11.5, 1]]
    uneven = [(0, 1, "face"), (2.5, 1, "face"), (4, 1, "face"), (7, 1, "face")]
    assert len(read_events(events(tmp_path / "d.tsv", uneven), ("face",), join_gap_s=2.0)) == 4


def test_a_block_does_not_reach_into_the_next_event(tmp_path):
    path = events(
        tmp_path / "e.tsv", [(0, 1, "face"), (3, 1, "face"), (6, 1, "face"), (7.5, 1, "cat")]
    )
    assert read_events(path, ("face",), join_gap_s=2.0).tolist() == [[0, 7.5]]


@pytest.mark.skipif(not NNDB.is_dir(), reason=f"needs NNDb's annotations in {NNDB}")
def test_stretches_of_films_are_not_trials(tmp_path):
    """NNDb's ten films as events.tsv: their stretches are not regular; no window changes."""
    for file in sorted(NNDB.glob("*_face-annotation.1D")):
        film = read_1d(file)
        path = events(tmp_path / "events.tsv", [(*row, "face") for row in film])
        joined = read_events(path, ("face",), join_gap_s=2.0)
        long = film[film[:, 1] > 10]
        np.testing.assert_array_equal(joined[joined[:, 1] > 10], long, err_msg=file.name)
