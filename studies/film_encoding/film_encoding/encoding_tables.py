"""Script 8's tables: a row per region with r, the noise ceiling, and what each feature space adds."""

from film_encoding.blocks import t_interval
from film_encoding.correlations import ALPHA, fdr
from film_encoding.encoding import (
    MEAN,
    REGION_LAGS,
    WITHIN,
    EncodingPlan,
    bold_file,
    read_score,
    smallest_shift,
)
from film_encoding.responses import reliability
from film_encoding.unique_variance import partial_p
from neuroface.pipeline import open_npy

import numpy as np
import pandas as pd

NOTHING = "none"


def shared_variance_of(plan: EncodingPlan, n_people: dict[str, int], of_people: int | None):
    """Share of the variance of the mean over people, or of ``of_people`` people, that people have in common (n_voxels,).

    The mean over films, weighted by their chunks; NaN with one person.
    """
    total = np.zeros(plan.n_voxels)
    for film, n in plan.lengths.items():
        mean, variance = (
            np.asarray(open_npy(bold_file(plan.folder, film, kind))) for kind in (MEAN, "variance")
        )
        total += n * reliability(mean, variance, n_people[film], of_people)
    return total / sum(plan.lengths.values())


def within_people(plan: EncodingPlan) -> np.ndarray | None:
    """Share of the variance of a person's mean over repeats that the repeats have in common (n_voxels,), the mean over
    people and over films that were shown twice; None where none was.
    """
    files = {film: bold_file(plan.folder, film, WITHIN) for film in plan.lengths}
    there = {film: np.array(open_npy(file)) for film, file in files.items() if file.exists()}
    if not there:
        return None
    weights = [plan.lengths[film] for film in there]
    return np.average(list(there.values()), axis=0, weights=weights)


def mean_of_clear(r: np.ndarray, shared: np.ndarray, smallest: float) -> float:
    """Mean of r / ceiling over voxels (n_voxels,) whose reliability is at least ``smallest``; NaN if there is none."""
    clear = shared >= smallest
    return float(np.mean(r[clear] / np.sqrt(shared[clear]))) if clear.any() else np.nan


def region_table(plan: EncodingPlan, n_people: dict[str, int]) -> pd.DataFrame:
    """A row per region.

    Columns
    -------
    region, n_voxels; r, ceiling, r_of_ceiling of the mean over people; ceiling_within, of a person's
    mean over repeats, where films were shown twice; people_r and
    people_r_of_ceiling, means over single people; per space: ``<space> unique`` of the mean over
    people; with single people their mean ``people unique``, its 95 % interval over people
    (``low``, ``high``), the number of people above 0; ``p``, one-sided, of shifted time, the same
    shift in all people; ``p_fdr`` over regions; wins: the space with the largest unique variance
    among those whose p_fdr is at most 0.05.
    """
    cfg = plan.cfg
    people = tuple(subject for subject in plan.subjects if subject != MEAN)
    tested = people or (MEAN,)
    shared = {who: shared_variance_of(plan, n_people, who) for who in (None, 1)}
    r = {subject: read_score(plan.folder, subject, "r") for subject in plan.subjects}
    unique = {subject: read_score(plan.folder, subject, "unique") for subject in plan.subjects}
    value, p = region_p(plan, tested)
    p_fdr = np.stack([fdr(of_space) for of_space in p])
    within = within_people(plan)
    smallest: float = cfg.MIN_RELIABILITY
    rows = []
    for number, (name, here) in enumerate(plan.regions.items()):
        row: dict[str, object] = {"region": name, "n_voxels": int(here.sum())}
        row |= {
            "r": r[MEAN][here].mean(),
            "ceiling": np.sqrt(shared[None][here]).mean(),
            "r_of_ceiling": mean_of_clear(r[MEAN][here], shared[None][here], smallest),
        }
        if within is not None:
            row["ceiling_within"] = np.sqrt(within[here]).mean()
        if people:
            row["people_r"] = np.mean([r[person][here].mean() for person in people])
            ratios = [
                mean_of_clear(r[person][here], shared[1][here], smallest) for person in people
            ]
            row["people_r_of_ceiling"] = np.mean(ratios)
        for place, space in enumerate(plan.spaces):
            row[f"{space} unique"] = unique[MEAN][place, here].mean()
            if people:
                each = np.array([unique[person][place, here].mean() for person in people])
                row |= {f"{space} {statistic}": v for statistic, v in over_people(each).items()}
            row |= {
                f"{space} partial r": value[place, number],
                f"{space} p": p[place, number],
                f"{space} p_fdr": p_fdr[place, number],
            }
        row["wins"] = winner(plan.spaces, row, "people unique" if people else "unique")
        rows.append(row)
    return pd.DataFrame(rows)


def over_people(each: np.ndarray) -> dict[str, float]:
    """Mean over people (n_people,), its 95 % interval, and how many are above 0."""
    n = len(each)
    error = each.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    low, high = t_interval(each.mean(), error, n - 1)
    return {
        "people unique": each.mean(),
        "low": low,
        "high": high,
        "people above 0": int((each > 0).sum()),
    }


def winner(spaces, row: dict, unique: str) -> str:
    """The space with the largest unique variance among those that a region follows."""
    follows = [space for space in spaces if row[f"{space} p_fdr"] <= ALPHA]
    return max(follows, key=lambda space: row[f"{space} {unique}"], default=NOTHING)


def region_p(plan: EncodingPlan, subjects) -> tuple[np.ndarray, np.ndarray]:
    """Partial r of regions, the mean over people, and its p of shifted time: (n_spaces, n_regions) each."""
    lags = np.mean([read_score(plan.folder, subject, REGION_LAGS) for subject in subjects], axis=0)
    films, smallest = plan.table()["film"].to_numpy(), smallest_shift(plan.cfg)
    tested = [partial_p(of_space, films, smallest, together=False) for of_space in lags]
    return np.stack([value for value, _ in tested]), np.stack([p for _, p in tested])


def voxel_maps(plan: EncodingPlan, n_people: dict[str, int]) -> dict[str, np.ndarray]:
    """Maps (n_voxels,) of the mean over people: r, ceiling, r_of_ceiling; per space unique, product and p_fdr; and the
    mean over single people of r and of unique.
    """
    shared = shared_variance_of(plan, n_people, None)
    r = read_score(plan.folder, MEAN, "r")
    clear = shared >= plan.cfg.MIN_RELIABILITY
    ratio = np.divide(r, np.sqrt(shared), out=np.zeros_like(shared), where=clear)
    maps = {"r": r, "ceiling": np.nan_to_num(np.sqrt(shared)), "r_of_ceiling": ratio}
    if (within := within_people(plan)) is not None:
        maps["ceiling_within"] = np.sqrt(within)
    of_mean = {name: read_score(plan.folder, MEAN, name) for name in ("unique", "product", "p")}
    people = [subject for subject in plan.subjects if subject != MEAN]
    for place, space in enumerate(plan.spaces):
        name = space.replace(" ", "-")
        maps[f"unique_{name}"] = of_mean["unique"][place]
        maps[f"product_{name}"] = of_mean["product"][place]
        maps[f"p_fdr_{name}"] = fdr(of_mean["p"][place])
        if people:
            each = [read_score(plan.folder, person, "unique")[place] for person in people]
            maps[f"people_unique_{name}"] = np.mean(each, axis=0)
    return maps
