"""Which test a map of the group gets: models refitted to swapped labels, sign flips of films or people, or none."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from neuroface import NeuroFaceError
from neuroface.decoding import is_closed_form

import pandas as pd

MIN_UNITS = 6  # films or people to flip: with five the smallest p of a signed map is 1 / 16
METHODS_TO_REFIT = {
    "ig": 0.5,
    "gradient-x-input": 1.0,
}  # and where between baseline and window their gradient is taken
# Share of simulated studies without any effect in which a test gave a voxel with p of at most .05,
# fold models included; benchmarks/calibration.py maps. The range is over the designs for which the
# test is offered.
MEASURED_RATES = {"flip films": "0.05 to 0.18", "flip people": "0.02 to 0.69"}


class MapTest(NamedTuple):
    """A test of group maps.

    Attributes
    ----------
    kind : "relabel", "flip films", "flip people" or "none".
    why : why there is no better test; empty with "relabel".
    """

    kind: str
    why: str = ""


@dataclass(frozen=True)
class GroupTestSettings:
    """How the tests of group maps are computed.

    Parameters
    ----------
    n_flips : sign flips of films or people. n_labellings : relabellings. seed : of both.
    variance_fwhm_mm : smoothing of the variance across people; 0: none.
    cluster_forming_p : p of a voxel, uncorrected, from which it belongs to a cluster.
    """

    n_flips: int
    n_labellings: int
    seed: int
    variance_fwhm_mm: float
    cluster_forming_p: float


class Explained(NamedTuple):
    """How windows were explained, as far as tests depend on it.

    Attributes
    ----------
    explain, baseline, smooth_draws : the settings EXPLAIN, ATTRIBUTION_BASELINE, SMOOTHGRAD_DRAWS.
    """

    explain: str
    baseline: str
    smooth_draws: int


def choose_test(
    wanted: str, method: str, models: Mapping[int, str], samples: pd.DataFrame, people,
    explained: Explained,
) -> MapTest:  # fmt: skip
    """The test that MAP_TEST stands for.

    Parameters
    ----------
    wanted : MAP_TEST. method : an attribution method. models : fold → the model that explains its
    windows.
    samples : a row per window: subject, movie. people : those who have maps.
    explained : how the windows were explained.

    Raises
    ------
    NeuroFaceError
        If MAP_TEST names a test that is not possible here.
    """
    if wanted == "none":
        return MapTest("none", 'MAP_TEST is "none"')
    obstacles = {
        "relabel": no_relabelling(method, models, explained),
        "flip films": no_flips_of_films(samples, people, explained),
        "flip people": no_flips_of_people(people, explained),
    }
    if wanted != "auto":
        if obstacles[wanted]:
            raise NeuroFaceError(
                f'MAP_TEST = "{wanted}" is not possible: {obstacles[wanted]}. Set it to "auto".'
            )
        why = obstacles["relabel"] and f"models cannot be refitted: {obstacles['relabel']}"
        why = why or "MAP_TEST names this test"
        return MapTest(wanted, "" if wanted == "relabel" else why)
    for kind in ("relabel", "flip films"):
        if not obstacles[kind]:
            return MapTest(
                kind, obstacles["relabel"] and f"models cannot be refitted: {obstacles['relabel']}"
            )
    return MapTest(
        "none",
        f"models cannot be refitted: {obstacles['relabel']}; films cannot be flipped: {obstacles['flip films']}",
    )


def no_relabelling(method: str, models: Mapping[int, str], explained: Explained) -> str:
    """Why models cannot be refitted to swapped labels; empty if they can."""
    if explained.explain == "best fold":
        return 'with EXPLAIN = "best fold" a model explains its own training windows'
    if method not in METHODS_TO_REFIT:
        return f"maps of {method} have no closed form"
    trained = {fold: name for fold, name in models.items() if not is_closed_form(name)}
    if trained:
        fold, name = next(iter(trained.items()))
        return f"{name}, which explains fold {fold}, is a trained network"
    if explained.baseline == "other class":
        return 'the baselines of ATTRIBUTION_BASELINE = "other class" depend on the labels'
    return "SMOOTHGRAD_DRAWS adds noise" if explained.smooth_draws else ""


def no_flips_of_films(samples: pd.DataFrame, people, explained: Explained) -> str:
    """Why films cannot be flipped; empty if they can."""
    if explained.explain == "best fold":
        return 'with EXPLAIN = "best fold" a model explains its own training windows'
    films = samples[samples["subject"].isin(people)].groupby("subject")["movie"].unique()
    several = [who for who in people if len(films[who]) > 1]
    if several:
        return (
            f"{several[0]} saw {len(films[several[0]])} films, and each person must have seen one"
        )
    n = len({of_person[0] for of_person in films})
    return f"{MIN_UNITS} films are needed, and people saw {n}" if n < MIN_UNITS else ""


def no_flips_of_people(people, explained: Explained) -> str:
    """Why people cannot be flipped; empty if they can."""
    if explained.explain == "best fold":
        return 'with EXPLAIN = "best fold" a model explains its own training windows'
    return (
        f"{MIN_UNITS} people are needed, and there are {len(people)}"
        if len(people) < MIN_UNITS
        else ""
    )


def units_to_flip(kind: str, people: list[str], samples: pd.DataFrame) -> list[str]:
    """Unit of each person (people of one unit are flipped together): the film that they saw, or the person."""
    if kind == "flip people":
        return people
    films = samples.groupby("subject")["movie"].first()
    return [films[who] for who in people]
