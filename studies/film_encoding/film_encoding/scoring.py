"""Measured and predicted responses through one interface; names of models."""

from dataclasses import dataclass, replace
from pathlib import Path

from film_encoding.blocks import BlockScore, blocks_of
from film_encoding.film_data import FilmData
from film_encoding.identification import AMONG, identify
from film_encoding.network_files import Training, trainings_of, voxels_of
from film_encoding.shifts import smallest_p
from film_encoding.splits import Fold
from film_encoding.variants import MAIN, Variant, variants_of
from neuroface.decoding import p_value
from neuroface.pipeline import open_npy

import numpy as np
import pandas as pd

RIDGE, RIDGE_ONE, MEAN_FRAME = "ridge", "ridge one chunk", "mean frame"
SHOTS = "shots"
FROM_PREDICTED, FROM_MEASURED = "from_predicted", "from_measured"


@dataclass(frozen=True)
class Ridge:
    """A ridge regression: ``one_chunk`` sees the chunk that the network sees, the other RIDGE_DELAYS_TRS."""

    name: str
    subject: str
    one_chunk: bool


def ridges_of(cfg) -> dict[str, Ridge]:
    """Name → ridge regression: the two of the first of SUBJECTS, then two for every other person."""
    ridges = {}
    for subject in cfg.SUBJECTS:
        for name, one_chunk in ((RIDGE, False), (RIDGE_ONE, True)):
            full = ridge_name(name, subject, cfg)
            ridges[full] = Ridge(full, subject, one_chunk)
    return ridges


def ridge_name(name: str, subject: str, cfg) -> str:
    """Name of a ridge regression from RIDGE or RIDGE_ONE, and whose BOLD it predicts."""
    return name if subject == cfg.SUBJECTS[0] else f"{name} {subject}"


def is_ridge(model: str) -> bool:
    return model.startswith(RIDGE)


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
        self,
        chunk_folder: Path,
        voxel_folder: Path,
        network_folder: Path,
        folder: Path,
        folds: list[Fold],
        cfg,
    ):
        self.chunk_folder, self.voxel_folder, self.network_folder = (
            chunk_folder,
            voxel_folder,
            network_folder,
        )
        self.folder, self.folds, self.cfg = folder, folds, cfg
        self.n_mask = len(open_npy(voxel_folder / "parcels.npy"))
        self.block = max(2, round(cfg.BLOCK_S / cfg.TR_S))
        self.smallest_shift = max(1, round(cfg.MIN_SHIFT_S / cfg.TR_S))

    # ---------------------------------------------------------------- what there is

    def units(self) -> list[Unit]:
        """Every model on every test set of every split."""
        sets = dict.fromkeys(
            (fold.split, test) for fold in self.folds for test in fold.of("test")["test_set"]
        )
        return [
            Unit(model, *where)
            for where in sets
            for model in (*variants_of(self.cfg), *ridges_of(self.cfg))
        ]

    def folds_of(self, unit: Unit) -> list[Fold]:
        return [fold for fold in self.folds if fold.split == unit.split]

    def variant(self, model: str) -> Variant:
        """Whose BOLD a model predicts, from how many frames, after which delay."""
        if not is_ridge(model):
            return variants_of(self.cfg)[model]
        return replace(variants_of(self.cfg)[MAIN], subject=ridges_of(self.cfg)[model].subject)

    def trainings(self, unit: Unit) -> list[Training]:
        """Of a network, all seeds."""
        every = trainings_of(self.folds_of(unit), self.cfg)
        return [training for training in every if training.variant.name == unit.model]

    def data(self, fold: Fold, variant: Variant) -> FilmData:
        films, voxels = (
            sorted(set(fold.chunks["film"])),
            voxels_of(self.voxel_folder, fold, variant),
        )
        return FilmData(self.chunk_folder, self.voxel_folder, films, variant, voxels)

    def ridge_file(self, fold: Fold, ending: str, model: str = RIDGE) -> Path:
        return self.folder / model.replace(" ", "-") / f"{fold.name}_{ending}"

    def predictions(self, unit: Unit, predicted: str) -> dict[int, list[tuple[Fold, np.ndarray]]]:
        """Seed → (fold, rows of the test set) of every fold; a ridge regression has one seed."""
        of_seeds: dict[int, list] = {}
        if is_ridge(unit.model):
            files = [
                (1, fold, self.ridge_file(fold, f"{predicted}.npy", unit.model))
                for fold in self.folds_of(unit)
            ]
        else:
            files = [
                (
                    training.seed,
                    training.fold,
                    training.folder(self.network_folder) / f"{predicted}.npy",
                )
                for training in self.trainings(unit)
            ]
        for seed, fold, file in files:
            rows = (fold.of("test")["test_set"] == unit.test_set).to_numpy()
            of_seeds.setdefault(seed, []).append((fold, open_npy(file)[rows]))
        return of_seeds

    def test_table(self, fold: Fold, unit: Unit) -> pd.DataFrame:
        table = fold.of("test")
        return table[table["test_set"] == unit.test_set].reset_index(drop=True)

    def blocks(self, table: pd.DataFrame) -> np.ndarray:
        """Number of the block of time of each row of a test table; (n,)."""
        return blocks_of(table["film"].to_numpy(), self.block)

    def feature_file(self, film: str, name: str) -> Path:
        """Of a film: features of ridge regression, or :data:`SHOTS`."""
        return self.folder / "features" / f"{film}_{name.replace(' ', '-')}.npy"

    def shots(self, table: pd.DataFrame) -> np.ndarray:
        """Film and number of the shot of each row of a test table; (n,) str."""
        out = np.empty(len(table), dtype=object)
        for film, rows in table.groupby("film").indices.items():
            numbers = open_npy(self.feature_file(str(film), SHOTS))
            out[rows] = [f"{film} {numbers[chunk]}" for chunk in table["chunk"].to_numpy()[rows]]
        return out

    def identify(self, measured: np.ndarray, predicted: np.ndarray, table: pd.DataFrame) -> dict:
        """:func:`film_encoding.identification.identify` with means of its nulls and p, and the number of moments n."""
        cfg, (films, chunks) = self.cfg, table[["film", "chunk"]].to_numpy().T
        result = identify(
            measured, predicted, films, chunks.astype(int), cfg.EMBARGO_TRS, cfg.TOP_K, self.smallest_shift,
            self.blocks(table),
        )  # fmt: skip
        for name in ("two_way", *(f"among_{n}" for n in AMONG)):
            null = result.pop(f"{name}_null")
            known = not np.isnan(result[name])
            result[f"{name}_null"] = float(null.mean())
            result[f"{name}_p"] = p_value(result[name], null) if known else np.nan
            result[f"{name}_p_smallest"] = smallest_p(len(null))
        result["sizes"] = np.bincount(self.blocks(table))
        return {name: value for name, value in result.items() if name != "each"} | {"n": len(table)}


NOT_POOLED = ("n", "left_out", "sizes")


def pooled(of_seeds: list[list[dict]]) -> tuple[dict, BlockScore]:
    """Identification over seeds and folds.

    Parameters
    ----------
    of_seeds : a list per seed, in it a result of :meth:`Scorer.identify` per fold.

    Returns
    -------
    scores : means weighted by the number of moments; the largest p. two_way : share of pairs won,
    over blocks of time.
    """
    every = [of_fold for folds in of_seeds for of_fold in folds]
    weights = [of_fold["n"] for of_fold in every]
    names = [name for name in every[0] if name not in NOT_POOLED]
    means = {
        name: float(np.average([of_fold[name] for of_fold in every], weights=weights))
        for name in names
    }
    of_p = [name for name in names if name.endswith(("_p", "_p_smallest"))]
    means |= {name: max(of_fold[name] for of_fold in every) for name in of_p}
    two_way = BlockScore(
        np.array(
            [_weighted(folds, [of_fold["two_way"] for of_fold in folds]) for folds in of_seeds]
        ),
        np.array([_two_way_left_out(folds) for folds in of_seeds]),
        np.concatenate([of_fold["sizes"] for of_fold in of_seeds[0]]).astype(float),
    )
    means["two_way_interval"] = np.clip(two_way.interval(), 0, 1).tolist()
    return means, two_way


def _weighted(folds: list[dict], values: list[float]) -> float:
    return float(np.average(values, weights=[of_fold["n"] for of_fold in folds]))


def _two_way_left_out(folds: list[dict]) -> list[float]:
    """Pairs won over all folds without each block of each fold."""
    sums = [fold["n"] * fold["two_way"] for fold in folds]
    n = sum(fold["n"] for fold in folds)
    out = []
    for fold, own in zip(folds, sums):
        for size, left_out in zip(fold["sizes"], fold["left_out"]):
            pairs_of_fold = 0.0 if size == fold["n"] else (fold["n"] - size) * left_out
            out.append((sum(sums) - own + pairs_of_fold) / (n - size) if n > size else np.nan)
    return out
