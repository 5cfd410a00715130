"""The network that scripts 5 to 7 explain, and its held-out chunks."""

from pathlib import Path

from film_encoding.film_data import FilmData
from film_encoding.network_files import (
    Training,
    explained_fold,
    folds_of_script_2,
    load_network,
    voxels_of,
)
from film_encoding.splits import LEARNED_FROM
from film_encoding.variants import MAIN, variants_of
from neuroface.pipeline import keras, open_npy

import numpy as np
import pandas as pd


class HeldOut:
    """The main network of EXPLAINED_SPLIT's first fold, seed 1; cheap to send to worker processes.

    Parameters
    ----------
    chunk_folder, voxel_folder, network_folder : of scripts 1 to 3.

    Attributes
    ----------
    table, learned : the held-out chunks, and those that training and the choice of the epoch saw:
        film, chunk, test_set.
    voxels : (n_voxels,) positions in the mask. data : frames and BOLD of any chunks.
    """

    def __init__(self, chunk_folder: Path, voxel_folder: Path, network_folder: Path, cfg):
        self.cfg, self.chunk_folder = cfg, chunk_folder
        fold = explained_fold(folds_of_script_2(voxel_folder), cfg)
        variant = variants_of(cfg)[MAIN]
        self.split, self.fold_name = fold.split, fold.name
        self.table, self.learned = fold.of("test"), fold.of(*LEARNED_FROM)
        voxels = voxels_of(voxel_folder, fold, variant)
        if voxels is None:
            raise ValueError(f"variant {MAIN!r} has no voxels of its own")
        self.voxels = voxels
        self.data = FilmData(
            chunk_folder, voxel_folder, sorted(set(fold.chunks["film"])), variant, self.voxels
        )
        self.network_folder = Training(variant, fold, 1).folder(network_folder)

    def network(self) -> keras.Model:
        return load_network(self.network_folder / "network.keras", len(self.voxels))

    def decoder(self) -> keras.Model:
        return self.network().get_layer("decoder")

    def in_mask(self, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """A map (n_mask_voxels, 1) float32 of ``values`` (n_voxels,) of the chosen voxels; 0 at the others of the mask."""
        whole = np.zeros((int(mask.sum()), 1), dtype=np.float32)
        whole[self.voxels, 0] = values
        return whole

    def bold(self) -> np.ndarray:
        """What DECODE_FROM gives the decoder at the held-out moments: (n, n_voxels)."""
        if self.cfg.DECODE_FROM == "measured":
            return self.data.bold(self.table)
        return np.array(open_npy(self.network_folder / "predicted.npy"))

    def learned_bold(self) -> np.ndarray:
        """The same at the moments that it learned from."""
        if self.cfg.DECODE_FROM == "measured":
            return self.data.bold(self.learned)
        network, batch, n = self.network(), self.cfg.INFERENCE_BATCH, len(self.learned)
        tables = [self.learned.iloc[start : start + batch] for start in range(0, n, batch)]
        return np.concatenate(
            [network.predict_on_batch(self.data.frames(table))[0] for table in tables]
        )

    def frames(self, table: pd.DataFrame | None = None) -> np.ndarray:
        """The frames to reconstruct, (n, pixels, pixels, 3) float32 in 0 … 1; of the held-out moments if no others are
        named.
        """
        return self.data.targets(
            self.table if table is None else table, self.cfg.FRAMES_PER_TR
        ) / np.float32(255)
