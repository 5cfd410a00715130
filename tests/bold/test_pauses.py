"""Pauses of NNDb's films: the table against the laboratory's own formula, and the two directions of the clock."""

from dataclasses import replace

from neuroface import NeuroFaceError
from neuroface.bold import Run, check_pauses, describe_pauses, film_ahead_s, in_series_s
from neuroface.bold.nndb import nndb_naming, nndb_runs
from neuroface.bold.pauses import TABLE, pauses_of
from neuroface.film import regressors_of_run, write_regressors

import numpy as np
import pandas as pd
import pytest


def run_of(subject="sub-2", film="500daysofsummer"):
    pauses = pauses_of(subject, film)
    return Run(
        subject, film, "1", f"{subject}_task-{film}", TABLE, None, (), joined=True, pauses=pauses
    )


def test_shifts_are_those_of_the_laboratorys_timing_script():
    """preprocessing_functional_timing.sh adds a TR at a pause and shifts the next run back by 1000 − lost_end + lost_starts.

    sub-2, general_set_variables.sh: lost_start 108, 110, 109 ms, lost_end 775 and 789 ms, runs of
    1,409 and 1,858 volumes.
    """
    second = 1 - (1000 - 775 + 110 + 108) / 1000
    third = 2 - (1000 - 789 + 1000 - 775 + 109 + 110 + 108) / 1000
    (a, first), (b, then), (c, last) = pauses_of("sub-2", "500daysofsummer")
    assert (a, b, c) == (0, 1409, 1409 + 1858)
    assert (first, then, last) == pytest.approx((-0.108, second, third), abs=2e-3)


def test_the_table_has_everybody_but_sub_73_and_shifts_of_at_most_2_6_s():
    table = pd.read_csv(TABLE, sep="\t", comment="#")
    assert set(table["subject"]) == {f"sub-{n}" for n in range(1, 87)} - {"sub-73"}
    assert table["film"].nunique() == 10 and table["shift_s"].between(-0.7, 2.6).all()
    assert (table.groupby("subject")["first_volume"].diff().dropna() > 0).all()


def test_both_directions_agree():
    run = run_of()
    n = 5470
    film_s = np.arange(n) + film_ahead_s(run, n)
    np.testing.assert_allclose(in_series_s(run, film_s, 1.0), np.arange(n), atol=1e-9)
    assert film_ahead_s(Run("sub-2", "x", "1", "x", TABLE, None, ()), 5) == 0.0


def test_film_regressors_are_read_at_the_films_seconds(tmp_path):
    """A regressor that counts the seconds of the film: each volume gets its own."""
    n = 5470
    seconds = np.arange(6000.0)
    write_regressors(
        tmp_path, "task-x", pd.DataFrame({"time_s": seconds, "brightness": seconds}), 1.0, {}
    )
    run = replace(run_of(), regressors=tmp_path / "task-x_film-regressors.tsv")
    read = regressors_of_run(run, 1.0, n, n)["brightness"]
    np.testing.assert_allclose(read[1:], np.arange(1, n) + film_ahead_s(run, n)[1:], atol=1e-9)


def test_only_version_2_of_the_films_that_were_shown_has_pauses(tmp_path):
    for film in ("500daysofsummer", "aurora"):
        for name in (
            f"func/sub-2_task-{film}_bold_blur_no_censor.nii.gz",
            "anat/sub-2_t1w_mask_epi_anat.nii.gz",
        ):
            (tmp_path / "sub-2" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "sub-2" / name).touch()
    runs, _ = nndb_runs(
        tmp_path / "sub-2", [tmp_path], nndb_naming("nndb-v2", "blur_no_censor"), ()
    )
    assert [(run.movie, len(run.pauses), run.joined) for run in runs] == [
        ("500daysofsummer", 3, True),
        ("aurora", 0, False),
    ]
    unknown = Run("sub-73", "split", "1", "x", TABLE, None, (), joined=True)
    assert describe_pauses([unknown]) == [
        "Pauses of the film are not known for sub-73: windows may be some seconds off."
    ]
    assert describe_pauses([run_of("sub-2", "aurora")])[0].startswith(
        "Pauses of the film are not known"
    )


def test_a_series_that_ends_before_its_last_run_is_refused():
    check_pauses(run_of(), 5470)
    with pytest.raises(
        NeuroFaceError, match="has 3000 volumes, .* says that its run 3 begins at volume 3267"
    ):
        check_pauses(run_of(), 3000)
