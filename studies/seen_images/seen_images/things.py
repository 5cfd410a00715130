"""THINGS-fMRI (Hebart et al. 2023, eLife 12:e82580): single-trial estimates as tables.

``sub-01_ResponseData.h5`` is a pandas frame of voxels × trials. Its block of numbers is read directly, only at the voxels
that are needed: pandas would hold 16 GB in memory.
"""

from functools import cached_property
from pathlib import Path

from neuroface import NeuroFaceError
from seen_images.sources import NO_SESSION, Source, only_captions
from seen_images.table import grid_of, read_picture

import h5py
import numpy as np
import pandas as pd

ROWS_AT_ONCE = 4096
DEFINITION = "Definition (from WordNet, Google, or Wikipedia)"


class Things(Source):
    """``betas_csv/``, ``images/`` and ``things_concepts.tsv`` under DATASET_DIR; images are named by their files."""

    def __init__(self, cfg):
        super().__init__(cfg)
        folder = self.folder / "betas_csv" if (self.folder / "betas_csv").is_dir() else self.folder
        names = ("ResponseData.h5", "StimulusMetadata.csv", "VoxelMetadata.csv")
        self.files = [self.need(folder / f"{cfg.SUBJECT}_{name}", f"of {cfg.SUBJECT}") for name in names]
        stimuli, self._voxels = pd.read_csv(self.files[1]), pd.read_csv(self.files[2])
        self._rows = np.flatnonzero(stimuli["trial_type"].isin(["train", "test"]))  # not the catch trials
        kept = stimuli.iloc[self._rows]
        self.trials = pd.DataFrame(
            {
                "image": [Path(name).stem for name in kept["stimulus"]],
                "split": kept["trial_type"].to_numpy(),
                "session": kept["session"].map("{:02.0f}".format).to_numpy() if "session" in kept else NO_SESSION,
            }
        )
        if "run" in kept:
            self.trials["run"] = kept["run"].to_numpy()
        self._files = dict(zip(self.trials["image"], kept["stimulus"]))
        if {"voxel_x", "voxel_y", "voxel_z"} <= set(self._voxels):
            self.positions = self._voxels[["voxel_x", "voxel_y", "voxel_z"]].to_numpy(int)
        if cfg.SPACE_FILE:
            self.space = grid_of(self.need(Path(cfg.SPACE_FILE), "SPACE_FILE, the grid of the voxels"))

    @cached_property
    def regions(self) -> dict[str, np.ndarray]:
        flags = self._voxels.select_dtypes("number")
        return {
            name: np.flatnonzero(flags[name] == 1) for name in flags if set(flags[name].dropna().unique()) <= {0, 1}
        }

    def betas(self, session: str, voxels: np.ndarray) -> np.ndarray:
        wanted, columns = np.unique(voxels), self._rows[(self.trials["session"] == session).to_numpy()]
        first_column, last_column = columns.min(), columns.max() + 1  # a session's trials lie side by side
        try:
            with h5py.File(self.files[0]) as stored:
                frame = next(iter(stored.values()))
                blocks = [frame[name] for name in frame if name.startswith("block") and name.endswith("_values")]
                values = max(blocks, key=lambda block: block.shape[1])  # the other one holds the voxels' numbers
                if len(values) != len(self._voxels) or values.shape[1] <= self._rows.max():
                    raise NeuroFaceError(
                        f"{self.files[0]} holds {values.shape[0]} voxels × {values.shape[1]} trials; the tables "
                        f"beside it name {len(self._voxels)} voxels and {self._rows.max() + 1} trials. Download them "
                        "again."
                    )
                found = np.empty((len(wanted), len(columns)), dtype=np.float32)
                for start in range(0, len(values), ROWS_AT_ONCE):
                    first, last = np.searchsorted(wanted, (start, start + ROWS_AT_ONCE))
                    if last > first:
                        part = values[start : start + ROWS_AT_ONCE, first_column:last_column]
                        found[first:last] = part[wanted[first:last] - start][:, columns - first_column]
        except (OSError, StopIteration, ValueError) as error:
            raise NeuroFaceError(f"{self.files[0]} cannot be read: {error}. Download it again.") from None
        return found[np.searchsorted(wanted, voxels)].T

    def picture(self, image: str) -> np.ndarray:
        name = self._files[image]
        places = [self.folder / "images" / name, self.folder / "images" / self._concept(image) / name]
        place = next((place for place in places if place.exists()), places[0])
        return read_picture(self.need(place, "a picture that was seen"))

    def _concept(self, image: str) -> str:
        """``air_conditioner_01b`` → ``air_conditioner``."""
        return image.rpartition("_")[0]

    @cached_property
    def _concepts(self) -> pd.DataFrame:
        file = self.need(self.folder / "things_concepts.tsv", "words and definitions of the concepts")
        return pd.read_csv(file, sep="\t").set_index("uniqueID")

    def captions(self, image: str) -> list[str]:
        concept = self._concept(image)
        if concept not in self._concepts.index:
            return only_captions([], image)
        row = self._concepts.loc[concept]
        return only_captions([f"{row['Word']}, {row[DEFINITION]}"], image)
