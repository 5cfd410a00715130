"""Named regions of an atlas, the share of a map in each of them, and random regions of the same size."""

from pathlib import Path

from film_encoding.brain_places import Places, surface_labels
from film_encoding.responses import read_labels
from neuroface import NeuroFaceError
from neuroface.decoding import p_value
from neuroface.maps import random_regions
from neuroface.pipeline import numbers, read_delimited_table

import numpy as np
import pandas as pd


def named_regions(cfg, places: Places) -> dict[str, np.ndarray]:
    """Name → places of the mask (n_places,) bool. Labels with equal names are one region; those without a place are left
    out. Each parcel of a table is a region of its own. A surface file's own names count where REGIONS_TABLE is None.

    Raises
    ------
    NeuroFaceError
        If the table of names is not there or lacks a column, a surface file has no names and no table is named, or
        none of the regions lies in the mask.
    """
    if places.parcels:
        return dict(zip(places.parcels, np.eye(len(places), dtype=bool)))
    atlas = Path(cfg.REGIONS_FILE)
    if places.surface is None:
        labels = read_labels(atlas, places.mask.shape, places.affine, "REGIONS_FILE")[0][
            places.mask
        ]
        names_of_file = np.full(len(labels), "")
    else:
        used_by = "REGIONS_TABLE" if cfg.REGIONS_TABLE else None
        labels, names_of_file = surface_labels(places, atlas, "REGIONS_FILE", used_by)
    if cfg.REGIONS_TABLE is None:
        if not names_of_file.any():
            raise NeuroFaceError(
                f"REGIONS_FILE = {atlas} names none of its labels. Set REGIONS_TABLE to a table with the columns index and "
                "name."
            )
        names = dict.fromkeys(names_of_file[labels > 0])
        regions = {str(name): (names_of_file == name) & (labels > 0) for name in names if name}
        source = atlas
    else:
        source = Path(cfg.REGIONS_TABLE)
        regions = _regions_of_table(source, labels)
    if not regions:
        raise NeuroFaceError(
            f"No region of {source} lies among the {places.words} of PARCELS. Is REGIONS_FILE = {atlas} its atlas?"
        )
    return regions


def _regions_of_table(path: Path, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Name → places (n_places,) bool that have one of its labels (n_places,)."""
    if not path.is_file():
        raise NeuroFaceError(
            f"REGIONS_TABLE = {path} is not there. Name a table with the columns index and name."
        )
    table = read_delimited_table(path, ("index", "name"))
    table["index"] = numbers(table, "index", path)
    regions = {}
    for name, rows in table.groupby("name", sort=False):
        here = np.isin(labels, rows["index"])
        if here.any():
            regions[str(name)] = here
    return regions


def top_voxels(values: np.ndarray, share: float) -> np.ndarray:
    """(n,) bool: the largest share of the values."""
    top = np.zeros(len(values), dtype=bool)
    top[np.argsort(-values, kind="stable")[: max(1, round(share * len(values)))]] = True
    return top


def shares_of_regions(
    values: np.ndarray,
    positions_mm: np.ndarray | None,
    regions: dict[str, np.ndarray],
    share: float,
    n_random: int,
    seed: int,
) -> pd.DataFrame:
    """How much of the top of a map lies in each region.

    Parameters
    ----------
    values : (n,), absolute saliency. positions_mm : (n, 3); None: not known, so that there are no random
        regions. regions : name → (n,) bool. share : of the voxels, counted as top.

    Returns
    -------
    A row per region: its voxels, the mean of their values, the share of the top voxels that lie in
    it, the share of its voxels that are top, the mean of that in random regions of its size (the
    voxels nearest to a random one), and p, one-sided; both NaN without positions.
    """
    top, rows = top_voxels(values, share), []
    for name, here in regions.items():
        n_voxels = int(here.sum())
        row = {
            "region": name,
            "n_voxels": n_voxels,
            "mean": float(values[here].mean()),
            "share_of_top": float(top[here].sum() / top.sum()),
            "top_in_region": float(top[here].mean()),
            "top_in_random": np.nan,
            "p": np.nan,
        }
        if positions_mm is not None:
            random = random_regions(positions_mm, n_voxels, n_random, seed)
            null = top[random.reshape(n_random, -1)].mean(axis=1)
            row |= {"top_in_random": float(null.mean()), "p": p_value(top[here].mean(), null)}
        rows.append(row)
    return pd.DataFrame(rows)
