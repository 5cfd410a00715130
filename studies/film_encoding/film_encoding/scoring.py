"""What was measured and what models predict, behind one interface; and names of models."""

from dataclasses import dataclass
from pathlib import Path

from film_encoding.film_data import FilmData
from film_encoding.identification import identify
from film_encoding.network_files import Training, trainings_of, voxels_of
from film_encoding.splits import Fold
from film_encoding.variants import MAIN, Variant, variants_of
from neuroface.decoding import p_value
from neuroface.pipeline import open_npy

import numpy as np
import pandas as pd

RIDGE, RIDGE_ONE, MEAN_FRAME = "ridge", "ridge one chunk", "mean frame"
RIDGES = (RIDGE, RIDGE_ONE)  # features at several delays; those of the chunk that the network sees
FROM_PREDICTED, FROM_MEASURED = "from_predicted", "from_measured"


@dataclass(frozen=True)
class Unit:
    """What is scored at once: a model on a test set of a split."""

    model: str
    split: str
    test_set: str

    @property
    def name(self) -> str:
        return f"{self.model}_{self.split}_{self.test_set}".replace(" ", "-")


class Scorer:
    """Measurements and predictions of all models; cheap to send to worker processes.

    Parameters
    ----------
    chunk_folder, voxel_folder, network_folder, folder : of scripts 1 to 4.
    """

    def __init__(
        self, chunk_folder: Path, voxel_folder: Path, network_folder: Path, folder: Path, folds: list[Fold], cfg
    ):
        self.chunk_folder, self.voxel_folder, self.network_folder = chunk_folder, voxel_folder, network_folder
        self.folder, self.folds, self.cfg = folder, folds, cfg
        self.n_mask = len(open_npy(voxel_folder / "parcels.npy"))
        self.block = max(2, round(cfg.BLOCK_S / cfg.TR_S))
        self.smallest_shift = max(1, round(cfg.MIN_SHIFT_S / cfg.TR_S))

    # ---------------------------------------------------------------- what there is

    def units(self) -> list[Unit]:
        """Every model on every test set of every split."""
        sets = dict.fromkeys((fold.split, test) for fold in self.folds for test in fold.of("test")["test_set"])
        return [Unit(model, *where) for where in sets for model in (*variants_of(self.cfg), *RIDGES)]

    def folds_of(self, unit: Unit) -> list[Fold]:
        return [fold for fold in self.folds if fold.split == unit.split]

    def variant(self, model: str) -> Variant:
        return variants_of(self.cfg)[MAIN if model in RIDGES else model]

    def trainings(self, unit: Unit) -> list[Training]:
        """Of a network, all seeds."""
        every = trainings_of(self.folds_of(unit), self.cfg)
        return [one for one in every if one.variant.name == unit.model]

    def data(self, fold: Fold, variant: Variant) -> FilmData:
        films, voxels = sorted(set(fold.chunks["film"])), voxels_of(self.voxel_folder, fold, variant)
        return FilmData(self.chunk_folder, self.voxel_folder, films, variant, voxels)

    def ridge_file(self, fold: Fold, what: str, model: str = RIDGE) -> Path:
        return self.folder / model.replace(" ", "-") / f"{fold.name}_{what}"

    def predictions(self, unit: Unit, what: str) -> dict[int, list[tuple[Fold, np.ndarray]]]:
        """Seed → (fold, rows of the test set) of every fold; a ridge regression has one seed."""
        found: dict[int, list] = {}
        if unit.model in RIDGES:
            files = [(1, fold, self.ridge_file(fold, f"{what}.npy", unit.model)) for fold in self.folds_of(unit)]
        else:
            files = [
                (one.seed, one.fold, one.folder(self.network_folder) / f"{what}.npy") for one in self.trainings(unit)
            ]
        for seed, fold, file in files:
            rows = (fold.of("test")["test_set"] == unit.test_set).to_numpy()
            found.setdefault(seed, []).append((fold, open_npy(file)[rows]))
        return found

    def test_table(self, fold: Fold, unit: Unit) -> pd.DataFrame:
        table = fold.of("test")
        return table[table["test_set"] == unit.test_set].reset_index(drop=True)

    def identify(self, measured: np.ndarray, predicted: np.ndarray, table: pd.DataFrame) -> dict:
        """:func:`film_encoding.identification.identify` with its p, and the number of moments n."""
        cfg, (films, chunks) = self.cfg, table[["film", "chunk"]].to_numpy().T
        found = identify(
            measured, predicted, films, chunks.astype(int), cfg.EMBARGO_TRS, cfg.TOP_K, self.smallest_shift
        )
        found["two_way_p"] = p_value(found["two_way"], found.pop("two_way_null"))
        return {name: value for name, value in found.items() if name != "each"} | {"n": len(table)}


def pooled(found: list[dict]) -> dict:
    """Identification over folds and seeds: means weighted by the number of moments; the largest p."""
    weights = [one["n"] for one in found]
    means = {name: float(np.average([one[name] for one in found], weights=weights)) for name in found[0] if name != "n"}
    return means | {"two_way_p": max(one["two_way_p"] for one in found)}
