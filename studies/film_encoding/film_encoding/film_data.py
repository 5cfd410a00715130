"""Chunks of frames and the BOLD that goes with them, as a variant of the network sees them; and batches for training."""

from pathlib import Path

from film_encoding.film_clock import middle_frame
from film_encoding.variants import Variant
from neuroface.decoding import batch_bounds
from neuroface.pipeline import keras, open_npy

import numpy as np
import pandas as pd


class FilmData:
    """Memory maps of scripts 1 and 2 behind one question: what belongs to these chunks?

    Parameters
    ----------
    chunk_folder, voxel_folder : of scripts 1 and 2. films : their names.
    variant : how many frames it sees, whose BOLD, after which delay.
    voxels : (n,) positions in the mask; None: all.
    """

    def __init__(
        self,
        chunk_folder: Path,
        voxel_folder: Path,
        films,
        variant: Variant,
        voxels: np.ndarray | None,
    ):
        self.chunks = {film: open_npy(chunk_folder / f"{film}.npy") for film in films}
        self.rows = {
            film: open_npy(voxel_folder / f"{film}_{variant.subject}.npy") for film in films
        }
        self.variant, self.voxels = variant, voxels
        _, self.n_cut, self.pixels, *_ = next(iter(self.chunks.values())).shape
        self.step = self.n_cut // variant.frames_per_tr
        self.n_voxels = next(iter(self.rows.values())).shape[1] if voxels is None else len(voxels)

    def frames(self, table: pd.DataFrame) -> np.ndarray:
        """(n, frames_per_tr, pixels, pixels, 3) uint8 of the rows of a table with the columns film and chunk.

        A chunk is copied once, from the memory map into its place.
        """
        out = np.empty(
            (len(table), self.variant.frames_per_tr, self.pixels, self.pixels, 3), dtype=np.uint8
        )
        for place, (film, chunk) in enumerate(zip(table["film"], table["chunk"])):
            out[place] = self.chunks[film][chunk, :: self.step]
        return out

    def targets(self, table: pd.DataFrame, frames_per_tr: int) -> np.ndarray:
        """The frames to reconstruct: (n, pixels, pixels, 3) uint8, the middle ones of chunks of ``frames_per_tr``
        frames.
        """
        frame = middle_frame(frames_per_tr) * (self.n_cut // frames_per_tr)
        return np.stack(
            [self.chunks[film][chunk, frame] for film, chunk in zip(table["film"], table["chunk"])]
        )

    def bold(self, table: pd.DataFrame) -> np.ndarray:
        """(n, n_voxels) float32: each chunk's volume, ``delay_trs`` later."""
        rows = np.empty((len(table), self.n_voxels), dtype=np.float32)
        for film, chunks in table.groupby("film"):
            values = self.rows[film][chunks["chunk"].to_numpy() + self.variant.delay_trs]
            rows[table.index.get_indexer(chunks.index)] = (
                values if self.voxels is None else values[:, self.voxels]
            )
        return rows


class ChunkBatches(keras.utils.PyDataset):
    """Batches for ``fit``, read from the memory maps as they are needed: frames stay uint8 until they are in the
    network.

    Sizes of batches are those of :func:`neuroface.decoding.batch_bounds`.

    Parameters
    ----------
    table : chunks with the columns film and chunk. seed : seed of the order, drawn anew each epoch;
    None: as in the table.
    frames_per_tr : frames of the chunks whose middle frame is the target; None: no decoder.
    """

    def __init__(
        self,
        data: FilmData,
        table: pd.DataFrame,
        batch_size: int,
        frames_per_tr: int | None,
        seed: int | None = None,
    ):
        super().__init__(workers=1)
        self.data, self.table = data, table.reset_index(drop=True)
        self.frames_per_tr = frames_per_tr
        self.bold = data.bold(self.table)
        self._rng = None if seed is None else np.random.default_rng(seed)
        self.order = np.arange(len(table))
        self._bounds = batch_bounds(len(table), batch_size)
        self.on_epoch_end()

    def __len__(self):
        return len(self._bounds) - 1

    def __getitem__(self, number):
        rows = self.order[self._bounds[number] : self._bounds[number + 1]]
        chunks = self.table.iloc[rows]
        given = {"chunk": self.data.frames(chunks), "measured": self.bold[rows]}
        targets = {"voxels": self.bold[rows]}
        if self.frames_per_tr:
            targets["images"] = self.data.targets(chunks, self.frames_per_tr)
        return given, targets

    def on_epoch_end(self):
        if self._rng is not None:
            self._rng.shuffle(self.order)
