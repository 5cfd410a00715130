"""Script 8 of film and brain: p of a feature space in a region against shifted time, corrected over regions.

People saw the same films. Half of the regions follow motion, which goes with faces; all of them have
a response to the film that people share and that no feature space describes. Faces say nothing
about BOLD, so each region that is said to follow them is a false positive. The study goes through
the code of script 8: its folds, banded ridge regression for the mean and for every person, partial
correlations at all shifts, and the table of regions.
"""

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from null_studies.case import Case
from null_studies.film import TR_S, response

import numpy as np
import pandas as pd
from scipy.signal import lfilter

SPACES = ("motion", "faces")
N_REGIONS, VOXELS_OF_REGION, N_FEATURES, N_PEOPLE = 6, 4, 2, 3
DELAY, BURN_IN = 4, 60
TESTED = SPACES.index("faces")


@dataclass(frozen=True)
class Design:
    """A simulated study.

    Parameters
    ----------
    n_films, n_chunks : films, and chunks of each. With one film, stretches of its time are held out.
    slow : share of the variance of the features that changes from scene to scene (20 chunks). This
        and the response to the film make the shifts depend on each other.
    effect : of faces in the first region, in SDs of what else drives the region.
    by_people : whether single people are fitted and tested, as with EACH_PERSON; else their mean.
    """

    n_films: int
    n_chunks: int
    slow: float = 0.3
    effect: float = 0.0
    by_people: bool = True

    def __str__(self):
        films = f"{self.n_films} films of" if self.n_films > 1 else "1 film of"
        text = f"{films} {self.n_chunks} chunks, {N_REGIONS} regions"
        text += f", {N_PEOPLE} people" if self.by_people else f", mean of {N_PEOPLE} people"
        return text + (f", faces drive a region ({self.effect:g} SD)" if self.effect else "")


def features(rng: np.random.Generator, design: Design) -> dict[str, np.ndarray]:
    """Space → (n_chunks + DELAY, N_FEATURES): faces go with motion."""
    n = design.n_chunks + DELAY
    scene = np.arange(n) // 20

    def own() -> np.ndarray:
        scenes = rng.standard_normal((scene[-1] + 1, N_FEATURES))[scene]
        fast = rng.standard_normal((n, N_FEATURES))
        return np.sqrt(design.slow) * scenes + np.sqrt(1 - design.slow) * fast

    motion = own()
    return {"motion": motion, "faces": 0.7 * motion + 0.7 * own()}


def as_bold(values: np.ndarray) -> np.ndarray:
    """Columns (n, n_columns) through the haemodynamic response, with SD 1."""
    values = lfilter(response(), [1], values, axis=0)
    return values / values.std(axis=0)


def bold_of_film(rng: np.random.Generator, design: Design, of: dict, weights) -> np.ndarray:
    """BOLD (N_PEOPLE, n_rows, n_voxels): what drives each region, the shared response, and each person's noise."""
    n_rows = len(of["motion"])
    shape = n_rows + BURN_IN, N_REGIONS * VOXELS_OF_REGION
    driven = np.zeros((n_rows, N_REGIONS))
    half = N_REGIONS // 2
    driven[:, :half] = as_bold(of["motion"] @ weights["motion"])
    if design.effect:
        driven[:, :1] += design.effect * as_bold(of["faces"] @ weights["faces"])
    shared = as_bold(rng.standard_normal((n_rows + BURN_IN, N_REGIONS)))[BURN_IN:]
    common = np.repeat(driven + shared, VOXELS_OF_REGION, axis=1)
    noise = [as_bold(rng.standard_normal(shape))[BURN_IN:] for _ in range(N_PEOPLE)]
    return common + np.stack(noise)


def settings(seed: int) -> SimpleNamespace:
    return SimpleNamespace(
        TR_S=TR_S, DELAY_TRS=DELAY, FEATURE_RESPONSE="delays", RIDGE_DELAYS_TRS=(-2, -1, 0, 1, 2), FEATURES=SPACES,
        N_RIDGE_TRIES=2, SEED=seed, MIN_SHIFT_S=30.0, N_FOLDS=4, EMBARGO_TRS=10, MIN_RELIABILITY=0.05,
    )  # fmt: skip


def region_table(seed: int, design: Design) -> pd.DataFrame:
    """``8-encoding/regions.tsv`` of a simulated study."""
    from film_encoding.encoding import MEAN, EncodingPlan, bold_file, features_file, fit_group
    from film_encoding.encoding_tables import region_table as table_of
    from film_encoding.splits import encoding_folds
    from neuroface.pipeline import write_npy

    rng, cfg = np.random.default_rng([seed, design.n_films, design.n_chunks]), settings(seed)
    lengths = {f"film-{number}": design.n_chunks for number in range(design.n_films)}
    weights = {
        "motion": rng.standard_normal((N_FEATURES, N_REGIONS // 2)),
        "faces": rng.standard_normal((N_FEATURES, 1)),
    }
    people = tuple(f"sub-{number}" for number in range(N_PEOPLE))
    region = np.repeat(np.arange(N_REGIONS), VOXELS_OF_REGION)
    regions = {f"region {number}": region == number for number in range(N_REGIONS)}
    subjects = (MEAN, *people) if design.by_people else (MEAN,)
    with tempfile.TemporaryDirectory() as folder:
        plan = EncodingPlan(
            Path(folder), encoding_folds(lengths, cfg), lengths, subjects, regions, len(region), cfg
        )
        for film in lengths:
            of = features(rng, design)
            bold = bold_of_film(rng, design, of, weights).astype(np.float32)
            for space, values in of.items():
                shown = values[: design.n_chunks].astype(np.float32)
                write_npy(features_file(plan.folder, film, space), shown)
            for person, values in zip(people, bold):
                write_npy(bold_file(plan.folder, film, person), values)
            write_npy(bold_file(plan.folder, film, MEAN), bold.mean(axis=0))
            write_npy(bold_file(plan.folder, film, "variance"), bold.var(axis=0, ddof=1))
        for group in plan.groups():
            fit_group(plan, group)
        return table_of(plan, dict.fromkeys(lengths, N_PEOPLE))


def study(seed: int, design: Design) -> dict[str, float]:
    """Shares of regions in which faces, which say nothing, have a p of at most .05, and whether one passes at FDR 5 %."""
    table = region_table(seed, design)
    p, p_fdr = (table[f"{SPACES[TESTED]} {name}"].to_numpy() for name in ("p", "p_fdr"))
    half = N_REGIONS // 2
    if design.effect:
        return {
            "FDR p of faces ≤ .05 in the region that they drive": bool(p_fdr[0] <= 0.05),
            "FDR p of faces ≤ .05 in another region": bool((p_fdr[1:] <= 0.05).any()),
        }
    return {
        "p of faces ≤ .05, regions that follow motion": float(np.mean(p[:half] <= 0.05)),
        "p of faces ≤ .05, regions that follow no space": float(np.mean(p[half:] <= 0.05)),
        "FDR p of faces ≤ .05 in any region": bool((p_fdr <= 0.05).any()),
    }


def case(design: Design, n_studies: int, n_small: int = 20) -> Case:
    procedure = "film, script 8, regions"
    return Case(procedure, str(design), partial(study, design=design), 0.05, n_studies, n_small)


CASES: list[Case] = [
    case(Design(4, 80), 200),
    case(Design(4, 80, by_people=False), 100),
    case(Design(1, 250), 200),
]
# Shares in which the driven region is found, and another one beside it.
KNOWN_OTHERWISE: list[Case] = [case(Design(4, 80, effect=effect), 100) for effect in (0.5, 1.0)]
