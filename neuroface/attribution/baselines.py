"""Baselines of a window: zero, the mean training window, or windows of the other class."""

from dataclasses import dataclass
from pathlib import Path

from neuroface.pipeline import open_npy, write_npy

import numpy as np
import pandas as pd

KINDS = ("zero", "training mean", "other class")
CHUNK = 64  # windows read at once for a mean


@dataclass(frozen=True)
class Baselines:
    """Baselines from the training windows of the model that explains a window.

    Parameters
    ----------
    X_file : (n, n_voxels, window_trs). samples : one row per window of X, columns label and fold;
        model k never saw the windows of fold k.
    folder : where mean training windows are kept. draws, seed : number and seed of the draws of "other class".
    """

    X_file: Path
    samples: pd.DataFrame
    folder: Path
    draws: int
    seed: int

    def mean_file(self, model: int) -> Path:
        return self.folder / f"training-mean_fold-{model}.npy"

    def write_mean(self, model: int) -> None:
        """The mean training window of a fold model, (n_voxels, window_trs) float32."""
        X, rows = open_npy(self.X_file), self._training_rows(model)
        chunks = (rows[i : i + CHUNK] for i in range(0, len(rows), CHUNK))
        total = sum(X[chunk].sum(axis=0, dtype=np.float64) for chunk in chunks)
        write_npy(self.mean_file(model), (total / len(rows)).astype(np.float32))

    def of(self, kind: str, sample) -> np.ndarray:
        """Baselines (n_baselines, n_voxels, window_trs) float32 of a window.

        Parameters
        ----------
        kind : "zero", "training mean" (one each) or "other class" (``draws`` windows with the other
        label).
        sample : its ``row`` in X, ``label`` and ``model`` (number of the fold model that explains
        it).
        """
        X = open_npy(self.X_file)
        if kind == "zero":
            return np.zeros((1, *X.shape[1:]), dtype=np.float32)
        if kind == "training mean":
            return np.load(self.mean_file(sample.model), allow_pickle=False)[None]
        rows = self._training_rows(sample.model)
        others = rows[(self.samples["label"] != sample.label).to_numpy()[rows]]
        few = len(others) < self.draws  # then some are drawn twice
        drawn = np.random.default_rng([self.seed, sample.row]).choice(
            others, self.draws, replace=few
        )
        return X[np.sort(drawn)]

    def _training_rows(self, model: int) -> np.ndarray:
        return np.flatnonzero(self.samples["fold"] != model)
