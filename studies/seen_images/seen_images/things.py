"""THINGS-fMRI (Hebart et al. 2023, eLife 12:e82580): single-trial estimates as tables.

``sub-01_ResponseData.h5`` is a pandas frame of voxels × trials. Its block of numbers is read
directly, only at the voxels that are needed: pandas would hold 16 GB in memory.
"""

import re
from functools import cached_property
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline import one_line, read_delimited_table, read_header, read_text_table
from seen_images.sources import NO_SESSION, Source, only_captions, whole_numbers
from seen_images.table_source import grid_of, read_picture

import h5py
import numpy as np
import pandas as pd

ROWS_AT_ONCE = 4096
PLACE = ("voxel_x", "voxel_y", "voxel_z")
MISSING = ["", "n/a", "nan", "NaN"]
# Beginnings of the names of columns of VoxelMetadata.csv that are no regions.
NO_REGION = ("voxel_", "subject_id", "nc_", "splithalf_", "prf-", "Unnamed")
DEFINITION = "Definition (from WordNet, Google, or Wikipedia)"


class Things(Source):
    """``betas_csv/``, pictures and ``things_concepts.tsv`` under DATASET_DIR; images are named by their files.

    Pictures lie in ``images/`` or ``object_images/``, there or in a folder per concept.
    """

    def __init__(self, cfg):
        super().__init__(cfg)
        folder = self.folder / "betas_csv" if (self.folder / "betas_csv").is_dir() else self.folder
        names = ("ResponseData.h5", "StimulusMetadata.csv", "VoxelMetadata.csv")
        self.files = [
            self.need(folder / f"{cfg.SUBJECT}_{name}", f"of {cfg.SUBJECT}") for name in names
        ]
        stimuli = read_delimited_table(self.files[1], ("trial_type", "stimulus"))
        self._rows = np.flatnonzero(
            stimuli["trial_type"].isin(["train", "test"])
        )  # not the catch trials
        kept = stimuli.iloc[self._rows]
        self.trials = pd.DataFrame(
            {
                "image": [Path(name).stem for name in kept["stimulus"]],
                "split": kept["trial_type"].to_numpy(),
                "session": NO_SESSION,
            }
        )
        if "session" in kept:
            self.trials["session"] = [
                f"{number:02d}" for number in whole_numbers(kept, "session", self.files[1])
            ]
        if "run" in kept:
            self.trials["run"] = whole_numbers(kept, "run", self.files[1])
        self._files = dict(zip(self.trials["image"], kept["stimulus"]))
        if set(PLACE) <= set(self._names):
            self.positions = self._voxels[list(PLACE)].to_numpy(int)
        if cfg.SPACE_FILE:
            self.space = grid_of(
                self.need(Path(cfg.SPACE_FILE), "SPACE_FILE, the grid of the voxels")
            )

    @cached_property
    def _names(self) -> dict[str, str]:
        """Column of VoxelMetadata.csv on one line → its name in the file."""
        return {one_line(name): name for name in read_header(self.files[2])}

    @cached_property
    def _voxels(self) -> pd.DataFrame:
        """Positions and the regions that the settings name, a row per voxel.

        The table has 211,339 × 230 cells, all numbers: pandas reads the columns that are needed.
        """
        named = map(one_line, (*self.cfg.EARLY_ROIS, *self.cfg.HIGHER_ROIS))
        names = [name for name in dict.fromkeys((*PLACE, *named)) if name in self._names]
        first = next(iter(self._names.values()))
        columns = [self._names[name] for name in names]
        table = pd.read_csv(
            self.files[2], usecols=columns or [first], encoding="utf-8-sig", index_col=False, keep_default_na=False,
            na_values=MISSING,
        )  # fmt: skip
        return table.rename(columns=one_line)

    @property
    def region_names(self) -> list[str]:
        return [name for name in self._names if not name.startswith(NO_REGION)]

    @cached_property
    def regions(self) -> dict[str, np.ndarray]:
        regions = {}
        for name in (*self.cfg.EARLY_ROIS, *self.cfg.HIGHER_ROIS):
            if (column := one_line(name)) not in self._voxels:
                continue
            values = self._voxels[column].dropna()
            if len(others := values[~values.isin([0, 1])]):
                raise NeuroFaceError(
                    f"The column {column!r} of {self.files[2]} is no region: it holds {others.iloc[0]}, a region 0 or 1 per "
                    f"voxel. Name another in EARLY_ROIS or HIGHER_ROIS."
                )
            regions[name] = np.flatnonzero(self._voxels[column] == 1)
        return regions

    def betas(self, session: str, voxels: np.ndarray) -> np.ndarray:
        wanted, columns = (
            np.unique(voxels),
            self._rows[(self.trials["session"] == session).to_numpy()],
        )
        first_column, last_column = (
            columns.min(),
            columns.max() + 1,
        )  # a session's trials lie side by side
        try:
            with h5py.File(self.files[0]) as stored:
                frame = next(iter(stored.values()))
                blocks = [
                    frame[name]
                    for name in frame
                    if name.startswith("block") and name.endswith("_values")
                ]
                values = max(
                    blocks, key=lambda block: block.shape[1]
                )  # the other one holds the voxels' numbers
                if len(values) != len(self._voxels) or values.shape[1] <= self._rows.max():
                    raise NeuroFaceError(
                        f"{self.files[0]} holds {values.shape[0]} voxels × {values.shape[1]} trials; the tables "
                        f"beside it name {len(self._voxels)} voxels and {self._rows.max() + 1} trials. Download them "
                        "again."
                    )
                betas = np.empty((len(wanted), len(columns)), dtype=np.float32)
                for start in range(0, len(values), ROWS_AT_ONCE):
                    first, last = np.searchsorted(wanted, (start, start + ROWS_AT_ONCE))
                    if last > first:
                        rows = values[start : start + ROWS_AT_ONCE, first_column:last_column]
                        betas[first:last] = rows[wanted[first:last] - start][
                            :, columns - first_column
                        ]
        except (OSError, StopIteration, ValueError) as error:
            raise NeuroFaceError(
                f"{self.files[0]} cannot be read: {error}. Download it again."
            ) from None
        return betas[np.searchsorted(wanted, voxels)].T

    def picture(self, image: str) -> np.ndarray:
        name, concept = self._files[image], self._concept(image)
        folders = [self.folder / folder for folder in ("images", "object_images")]
        places = [folder / place for folder in folders for place in (name, f"{concept}/{name}")]
        place = next((place for place in places if place.exists()), places[0])
        return read_picture(
            self.need(
                place, f"a picture that was seen; object_images/{concept}/ does not have it either"
            )
        )

    def _concept(self, image: str) -> str:
        """``air_conditioner_01b`` → ``air_conditioner``."""
        return image.rpartition("_")[0]

    @cached_property
    def _concepts(self) -> dict[str, str]:
        """Concept, with _ for - and blanks → its word and definition."""
        file = self.need(
            self.folder / "things_concepts.tsv", "words and definitions of the concepts"
        )
        table = read_text_table(file, ("Word", DEFINITION))
        table = table[table[["Word", DEFINITION]].notna().all(axis=1)]
        if "uniqueID" in table:
            ids = table["uniqueID"]
        else:  # the same topic in MRI/data of THINGS-data: concepts with equal words are numbered in their order
            number = table.groupby("Word").cumcount() + 1
            repeated = table["Word"].duplicated(keep=False)
            ids = table["Word"].where(~repeated, table["Word"] + number.astype(str))
        keys = [re.sub(r"[- ]", "_", concept) for concept in ids]
        return dict(zip(keys, table["Word"] + ", " + table[DEFINITION]))

    def captions(self, image: str) -> list[str]:
        text = self._concepts.get(self._concept(image).replace("-", "_"))
        return only_captions([text] if text else [], image)
