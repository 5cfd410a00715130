"""One moment of a film is one moment for all its viewers, whatever the session, the number of the run or small shifts."""

from neuroface.bold import Run, events_of
from neuroface.decoding.folds import FoldSettings, make_folds
from neuroface.decoding.uncertainty import permuted_labels

import numpy as np
import pandas as pd
import pytest

N_STRETCHES, EVERY_S, LENGTH_S = 24, 28.0, 14.0


def run_of(subject, name):
    return Run(subject, "film", "1", f"{subject}_{name}", None, None, ())


def study(names, jitter_s=0.0):
    """Windows of people who saw one film; ``names`` is what follows the person in the names of their runs."""
    rng = np.random.default_rng(4)
    label = rng.permutation(np.arange(N_STRETCHES) % 2)
    tables = []
    for person, name in enumerate(names, 1):
        onset = (
            10 + EVERY_S * np.arange(N_STRETCHES) + rng.uniform(-jitter_s, jitter_s, N_STRETCHES)
        )
        run = run_of(f"sub-{person}", name)
        tables.append(
            pd.DataFrame(
                {
                    "label": np.where(label, "face", "house"),
                    "onset_s": onset,
                    "duration_s": LENGTH_S,
                }
            ).assign(
                subject=run.subject,
                movie="film",
                run=name,
                stimulus=run.stimulus,
                first_tr=(onset / 2).astype(int),
            )
        )
    samples = pd.concat(tables, ignore_index=True)
    return samples.assign(event=events_of(samples))


SESSIONS = [f"ses-{1 + person % 4}_task-film" for person in range(8)]
NUMBERS = ["task-film_run-1", "task-film_run-01"] * 4


@pytest.mark.parametrize(
    ("names", "jitter_s"),
    [(SESSIONS, 0.0), (NUMBERS, 0.0), (["task-film"] * 8, 0.01), (SESSIONS, 2.0)],
    ids=["sessions", "numbers", "jitter", "both"],
)
def test_viewers_share_their_moments(names, jitter_s):
    samples = study(names, jitter_s)
    assert samples.groupby("event").size().tolist() == [8] * N_STRETCHES
    assert samples.groupby("event")["label"].nunique().eq(1).all()


@pytest.mark.parametrize("embargo_trs", [0, 10])
@pytest.mark.parametrize("names", [SESSIONS, NUMBERS], ids=["sessions", "numbers"])
def test_no_moment_is_on_two_sides_of_an_event_fold(names, embargo_trs):
    samples = study(names, 0.5)
    onset = samples["onset_s"].to_numpy()
    for fold in make_folds(samples, "event", FoldSettings(4, 0, 5, embargo_trs)):
        distance = np.abs(onset[fold.train][:, None] - onset[fold.test][None]).min()
        assert distance > EVERY_S - 2


def test_all_viewers_of_a_moment_swap_labels_together():
    samples = study(SESSIONS, 0.01)
    swapped = permuted_labels(samples, 50, 0, "face")
    for rows in samples.groupby("event").indices.values():
        assert (swapped[rows] == swapped[rows[0]]).all()


def test_parts_of_a_film_stay_apart():
    samples = study(["task-film_run-1", "task-film_run-2"])
    assert samples["event"].nunique() == 2 * N_STRETCHES
    assert run_of("sub-1", "ses-2_task-film_dir-AP_run-02").stimulus == "film_dir-AP_run-2"


def test_stretches_of_which_less_than_half_overlaps_are_two():
    rows = pd.DataFrame(
        {
            "stimulus": "film",
            "label": "face",
            "onset_s": [10.0, 15.0, 16.0, 26.0],
            "duration_s": 10.0,
        }
    )
    assert events_of(rows).tolist() == [
        "film_face_10s",
        "film_face_15s",
        "film_face_15s",
        "film_face_26s",
    ]


def test_names_of_a_film_in_one_run_are_those_of_the_paper():
    assert study(["task-film"])["event"][0].startswith("film_")
    assert study(["task-film"])["event"][0].endswith("_10s")
