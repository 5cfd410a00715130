"""Named regions of an atlas, the share of a map in each of them, and random regions of the same size."""

from pathlib import Path

from film_encoding.responses import read_labels
from neuroface import NeuroFaceError
from neuroface.decoding import p_value
from neuroface.maps import random_regions
from neuroface.pipeline import numbers, read_delimited_table

import numpy as np
import pandas as pd


def named_regions(cfg, mask: np.ndarray, affine: np.ndarray) -> dict[str, np.ndarray]:
    """Name → voxels of the mask (n_mask,) bool. Labels with equal names are one region; those without a voxel are left
    out.

    Raises
    ------
    NeuroFaceError
        If the table is not there or lacks a column, or none of its regions lies in the mask.
    """
    path = Path(cfg.REGIONS_TABLE)
    if not path.is_file():
        raise NeuroFaceError(
            f"REGIONS_TABLE = {path} is not there. Name a table with the columns index and name."
        )
    table = read_delimited_table(path, ("index", "name"))
    table["index"] = numbers(table, "index", path)
    labels, _ = read_labels(cfg.REGIONS_FILE, mask.shape, affine, "REGIONS_FILE")
    inside, regions = labels[mask], {}
    for name, rows in table.groupby("name", sort=False):
        here = np.isin(inside, rows["index"])
        if here.any():
            regions[str(name)] = here
    if not regions:
        raise NeuroFaceError(
            f"No region of {path} has a voxel among PARCELS. Is REGIONS_FILE = {cfg.REGIONS_FILE} its atlas?"
        )
    return regions


def top_voxels(values: np.ndarray, share: float) -> np.ndarray:
    """(n,) bool: the largest share of the values."""
    top = np.zeros(len(values), dtype=bool)
    top[np.argsort(-values, kind="stable")[: max(1, round(share * len(values)))]] = True
    return top


def shares_of_regions(
    values: np.ndarray,
    positions_mm: np.ndarray,
    regions: dict[str, np.ndarray],
    share: float,
    n_random: int,
    seed: int,
) -> pd.DataFrame:
    """How much of the top of a map lies in each region.

    Parameters
    ----------
    values : (n,), absolute saliency. positions_mm : (n, 3). regions : name → (n,) bool. share : of
        the voxels, counted as top.

    Returns
    -------
    A row per region: its voxels, the share of the top voxels that lie in it, the share of its
    voxels that are top, the mean of that in random regions of its size (the voxels nearest to a
    random one), and p, one-sided.
    """
    top, rows = top_voxels(values, share), []
    for name, here in regions.items():
        null = top[
            random_regions(positions_mm, int(here.sum()), n_random, seed).reshape(n_random, -1)
        ].mean(axis=1)
        row = {
            "region": name,
            "n_voxels": int(here.sum()),
            "share_of_top": float(top[here].sum() / top.sum()),
            "top_in_region": float(top[here].mean()),
            "top_in_random": float(null.mean()),
            "p": p_value(top[here].mean(), null),
        }
        rows.append(row)
    return pd.DataFrame(rows)
