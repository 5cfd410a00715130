"""Time series of parcels or regions in a table, as a BOLD series in which each parcel is a voxel.

The table is the one that XCP-D writes (``sub-01_task-film_space-<space>_seg-4S156Parcels_stat-mean_timeseries.tsv``): a row
per volume, a column per parcel, names in the first line, ``n/a`` where a parcel has no value.
:mod:`neuroface.bold.places` says where a parcel lies in the image.
"""

from functools import lru_cache
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.places import AFFINE, off_grid, on_grid
from neuroface.bold.run import Run
from neuroface.pipeline import read_table, write_table

import nibabel as nib
import numpy as np
import pandas as pd

ENDING = "_timeseries.tsv"
NAMES_FILE = "parcels.tsv"


def is_parcels(path: Path) -> bool:
    """Whether a file is a table of parcels' time series, by its name."""
    return path.name.endswith(ENDING)


def read_parcels(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the parcels, and their series (n_trs, n_parcels) float32, NaN where a parcel has no value.

    Raises
    ------
    NeuroFaceError
        If the table has no names, names one parcel twice, or holds something that is no number.
    """
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)  # a script opens a series, then streams it
def _read(path: Path, modified_ns: int) -> tuple[tuple[str, ...], np.ndarray]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            names = tuple(file.readline().rstrip("\r\n").split("\t"))
            table = pd.read_csv(
                file,
                sep="\t",
                header=None,
                na_values=["n/a"],
                dtype=np.float32,
                skip_blank_lines=False,
            )
    except (ValueError, OSError) as error:  # of pandas too
        raise NeuroFaceError(
            f"{path} cannot be read as a table of numbers below names ({error}). Correct it, or export it again."
        ) from None
    if table.shape[1] != len(names) or any(_is_number(name) for name in names):
        raise NeuroFaceError(
            f"{path}: its first line is no list of {table.shape[1]} parcels. Write their names there."
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise NeuroFaceError(f"{path} names parcel {twice!r} twice. Give each a name of its own.")
    return names, table.to_numpy()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def parcel_image(path: Path) -> nib.Nifti1Image:
    """The series as an image (x, y, z, n_trs), which states no TR."""
    image = nib.Nifti1Image(on_grid(read_parcels(path)[1].T), AFFINE)
    image.header["pixdim"][4] = 0
    return image


def measured_parcels(runs: list[Run]) -> np.ndarray:
    """Mask (x, y, z) bool of the parcels that have a value in every volume of all runs of a person."""
    finite = [np.isfinite(read_parcels(run.bold)[1]).all(axis=0) for run in runs]
    return on_grid(np.all(finite, axis=0))


def check_parcels(runs: list[Run], space: str | None) -> bool:
    """Whether the runs are tables of parcels; raise if only some are, or if their parcels differ.

    Parameters
    ----------
    space : "MNI", "native" or "surface", as the settings state; None: they do not.

    Raises
    ------
    NeuroFaceError
        Also if the settings state MNI or surface: parcels of a table have no coordinates.
    """
    tables = [run for run in runs if is_parcels(run.bold)]
    if not tables:
        return False
    if len(tables) < len(runs):
        other = next(run for run in runs if not is_parcels(run.bold))
        raise NeuroFaceError(
            f"{tables[0].bold.name} is a table of parcels, {other.bold.name} an image. Set BIDS_FILTER to one kind."
        )
    if space in ("MNI", "surface"):
        raise NeuroFaceError(
            f"{tables[0].bold.name} is a table of parcels, which have no coordinates, and SPACE is {space!r}. Set SPACE = "
            '"native": regions of ROI_FILE and surface figures are left out.'
        )
    names = read_parcels(tables[0].bold)[0]
    for run in tables[1:]:
        its_names = read_parcels(run.bold)[0]
        if its_names != names:
            both = zip((*names, "nothing"), (*its_names, "nothing"))
            here, there = next(pair for pair in both if pair[0] != pair[1])
            raise NeuroFaceError(
                f"{run.bold} has parcel {there!r} where {tables[0].bold.name} has {here!r}. Export all tables with the "
                f"same parcels in the same order, or leave {run.subject} out with EXCLUDE."
            )
    return True


def write_parcel_names(folder: Path, runs: list[Run], mask: np.ndarray) -> None:
    """Write ``parcels.tsv`` of a stage: name of each parcel, and whether it is in the group mask (1 or 0)."""
    if is_parcels(runs[0].bold):
        names = read_parcels(runs[0].bold)[0]
        used = off_grid(mask, len(names)).astype(int)
        write_table(folder / NAMES_FILE, pd.DataFrame({"parcel": names, "used": used}))


def parcel_names(folder: Path) -> list[str]:
    """Names of the parcels in the group mask, in its order; empty if the study has no parcels."""
    if not (folder / NAMES_FILE).exists():
        return []
    table = read_table(folder / NAMES_FILE)
    return list(table.loc[table["used"] == 1, "parcel"].astype(str))
