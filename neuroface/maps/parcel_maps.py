"""Maps of parcels as tables, with the names that the data have."""

from functools import partial
from pathlib import Path

from neuroface.bold import open_image
from neuroface.pipeline import PARTIAL, write_table

import numpy as np
import pandas as pd


def write_parcel_maps(stage, names: list[str], mask: np.ndarray, below: str = "") -> None:
    """Write every map of a stage as a table too: ``<map>.tsv``, a row per volume of the map, a column per parcel.

    Parameters
    ----------
    stage : a :class:`neuroface.pipeline.Stage`.
    names : of the parcels in the mask; empty if the data are images: nothing is written.
    mask : (x, y, z) bool. below : beginning of the glob of maps, such as "maps/"; "": those of the stage's own folder.
    """
    if names:
        maps = [
            file
            for file in sorted(stage.folder.glob(f"{below}*.nii.gz"))
            if not file.name.startswith(PARTIAL)  # left by a killed run
        ]
        stage.each(
            partial(_write_table, names, mask), maps, "tables", table_file, valid=_is_of_this_map
        )


def _is_of_this_map(map_file: Path) -> bool:
    """Whether a map's table was written after the map, so not of an earlier one."""
    return table_file(map_file).stat().st_mtime_ns >= map_file.stat().st_mtime_ns


def table_file(map_file: Path) -> Path:
    """``<map>.tsv`` beside ``<map>.nii.gz``."""
    return map_file.with_name(f"{map_file.name.removesuffix('.nii.gz')}.tsv")


def _write_table(names: list[str], mask: np.ndarray, map_file: Path) -> None:
    values = np.asanyarray(open_image(map_file).dataobj)[mask].reshape(len(names), -1)
    table = pd.DataFrame(values.T, columns=names)
    table.insert(0, "volume", np.arange(len(table)))
    write_table(table_file(map_file), table)
