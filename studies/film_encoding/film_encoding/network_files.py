"""Names of the files of script 3, and readers of them for later scripts."""

from dataclasses import dataclass
from pathlib import Path

from film_encoding.networks import TimeStepConvolutions  # noqa: F401  a stored network is read without running its code
from film_encoding.splits import Fold, read_folds
from film_encoding.variants import Variant, is_repeated, variants_of
from neuroface import NeuroFaceError
from neuroface.decoding import keras_file_errors, load_keras_file
from neuroface.pipeline import keras, open_npy, read_table

import numpy as np


@dataclass(frozen=True)
class Training:
    """One training: a variant, a fold, and the number of its seed, from 1."""

    variant: Variant
    fold: Fold
    seed: int

    def folder(self, networks: Path) -> Path:
        return networks / self.variant.name / f"{self.fold.name}_seed-{self.seed}"

    def files(self, networks: Path) -> list[Path]:
        """The files that every training writes; those of its predictions depend on the variant and are written before."""
        names = ("network.keras", "history.tsv", "cost.json")
        return [self.folder(networks) / name for name in names]


def trainings_of(folds: list[Fold], cfg) -> list[Training]:
    """All trainings: every variant on every fold; the network and the encoder alone from N_SEEDS seeds on the first
    split.
    """
    return [
        Training(variant, fold, seed)
        for variant in variants_of(cfg).values()
        for fold in folds
        for seed in range(
            1, 1 + (cfg.N_SEEDS if is_repeated(variant) and fold.split == cfg.SPLITS[0] else 1)
        )
    ]


def folds_of_script_2(voxel_folder: Path) -> list[Fold]:
    return read_folds(read_table(voxel_folder / "folds.tsv"))


def voxels_of(voxel_folder: Path, fold: Fold, variant: Variant) -> np.ndarray | None:
    """Positions in the mask of the voxels that a variant uses in a fold; None: all."""
    return (
        None if variant.all_voxels else np.array(open_npy(voxel_folder / f"chosen_{fold.name}.npy"))
    )


def explained_fold(folds: list[Fold], cfg) -> Fold:
    """The fold whose network scripts 5 to 7 use: the first of EXPLAINED_SPLIT."""
    return next(fold for fold in folds if fold.split == cfg.EXPLAINED_SPLIT)


def load_network(path: Path, n_voxels: int) -> keras.Model:
    """A network of script 3, checked to predict ``n_voxels`` voxels.

    Raises
    ------
    NeuroFaceError
        If it is damaged, or predicts another number.
    """
    with keras_file_errors(path):
        network = load_keras_file(path)
        outputs = network.output_shape
    predicted = (outputs[0] if isinstance(outputs, list) else outputs)[-1]
    if predicted != n_voxels:
        raise NeuroFaceError(
            f"{path} predicts {predicted} voxels; the data have {n_voxels}. Delete it and train again."
        )
    return network
