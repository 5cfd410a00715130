"""How much the group map depends on the networks' seeds: a map of the SD over seeds, and correlations between seeds."""

from itertools import combinations
from pathlib import Path

from neuroface.attribution import seed_means_file
from neuroface.bold import write_map
from neuroface.maps.files import average_file
from neuroface.pipeline import open_npy

import numpy as np


def seed_maps(attributions: Path, people: list[str], label: str, method: str) -> np.ndarray | None:
    """The group's mean map of each seed, (n_seeds, n_voxels, window_trs) float64; None if there is one seed.

    Each person counts the same; a person's windows count the same.

    Parameters
    ----------
    attributions : folder of the attribution files.
    """
    of_people = []
    for who in people:
        files = [
            seed_means_file(file)
            for file in sorted((attributions / who).glob(f"*_label-{label}_{method}.npy"))
        ]
        files = [file for file in files if file.exists()]
        if not files:
            return None
        windows = [
            len(open_npy(file.with_name(file.name.replace("_seeds.npy", ".npy")))) for file in files
        ]
        of_people.append(np.average([open_npy(file) for file in files], axis=0, weights=windows))
    return np.mean(of_people, axis=0)


def spread_file(folder: Path, label: str, method: str) -> Path:
    """``group_label-<label>_<method>_seed-sd.nii.gz``."""
    return average_file(folder, "group", label, method, "_seed-sd")


def write_spread(
    folder: Path,
    attributions: Path,
    people: dict,
    mask,
    affine,
    tr_s: float,
    group: tuple[str, str],
) -> None:
    """Write the SD over seeds of the group's mean map of a label and method."""
    maps = seed_maps(attributions, people[group], *group)
    if maps is None:
        raise ValueError(f"there are no maps of seeds of {group} in {attributions}")
    spread = maps.std(axis=0, ddof=1).astype(np.float32)
    write_map(spread_file(folder, *group), spread, mask, affine, tr_s)


def spread_rows(attributions: Path, people: dict[tuple[str, str], list[str]]) -> list[dict]:
    """Per label and method: how well the group maps of two seeds agree."""
    rows = []
    for (label, method), who in people.items():
        maps = seed_maps(attributions, who, label, method)
        if maps is None:
            continue
        flat = maps.reshape(len(maps), -1)
        r = [
            np.corrcoef(flat[first], flat[second])[0, 1]
            for first, second in combinations(range(len(flat)), 2)
        ]
        mean = np.abs(flat.mean(axis=0))
        top = mean >= np.quantile(mean, 0.99)
        relative = float(np.median(flat.std(axis=0, ddof=1)[top] / mean[top]))
        rows.append(
            {"label": label, "method": method, "seeds": len(flat), "r_lowest": min(r), "r_mean": float(np.mean(r)),
             "sd_of_top_percent": relative}
        )  # fmt: skip
    return rows
