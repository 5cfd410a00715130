"""Functional alignment of people who saw the same film, before their windows are decoded together.

The shared response model (Chen et al. 2015, NeurIPS) finds for each viewer i orthonormal columns
W_i with X_i ≈ W_i S, where X_i is the viewer's BOLD at moments that all viewers saw and S the
response that they share. A window x of viewer i becomes W W_iᵀ x: its part in the shared response,
put back into voxels by the mean W of the film's viewers. So windows of different films stay
comparable, and no label is used. brainiak and fmralign have this model too; the first needs MPI,
the second PyTorch, so it is written out here.
"""

from neuroface import NeuroFaceError
from neuroface.decoding.folds import Fold

import numpy as np
import pandas as pd

ITERATIONS = 10


def shared_response(data: list[np.ndarray], n_features: int) -> list[np.ndarray]:
    """Orthonormal bases W_i (n_voxels, n_features) of each viewer, by alternating least squares.

    Parameters
    ----------
    data : per viewer (n_voxels, n_moments), the same moments for all; rows are centred here.
    """
    data = [part - part.mean(axis=1, keepdims=True) for part in data]
    left, values, right = np.linalg.svd(np.mean(data, axis=0), full_matrices=False)
    shared = values[:n_features, None] * right[:n_features]
    for _ in range(ITERATIONS):
        bases = [_nearest_orthonormal(part @ shared.T) for part in data]
        shared = np.mean([basis.T @ part for basis, part in zip(bases, data)], axis=0)
    return bases


def aligned_kernel(X: np.ndarray, samples: pd.DataFrame, fold: Fold, n_features: int) -> np.ndarray:
    """Inner products (n, n) float64 of the windows after alignment by the training windows of a fold.

    Parameters
    ----------
    X : (n, n_voxels, window_trs). samples : one row per window: subject, movie, run, event.

    Raises
    ------
    NeuroFaceError
        If a held-out window's viewer has no training windows, no other viewer of the film has, or
        they share too few.
    """
    n, _, window_trs = X.shape
    projected = np.empty((n, n_features, window_trs))
    films = samples.groupby(["movie", "run"], sort=False).indices
    bases = []
    for (film, run), rows in films.items():
        name = f"{film} run {run}" if run else film
        of_viewers = _bases(X, samples, rows, fold, n_features, name)
        for viewer, mine in samples.iloc[rows].groupby("subject").indices.items():
            projected[rows[mine]] = np.einsum(
                "vk,nvt->nkt", of_viewers[viewer], X[rows[mine]].astype(np.float64)
            )
        bases.append(_nearest_orthonormal(sum(of_viewers.values())))
    kernel = np.empty((n, n))
    for one, rows in zip(bases, films.values()):
        for other, columns in zip(bases, films.values()):
            moved = np.einsum("jk,nkt->njt", one.T @ other, projected[columns])
            kernel[np.ix_(rows, columns)] = (
                projected[rows].reshape(len(rows), -1) @ moved.reshape(len(columns), -1).T
            )
    return kernel


def _bases(X, samples, rows, fold: Fold, n_features: int, name: str) -> dict[str, np.ndarray]:
    """Viewer → basis, from the training windows of the moments that all viewers of a film have."""
    training = rows[np.isin(rows, fold.rows)]
    table = samples.iloc[training].assign(row=training)
    place = table.pivot(index="event", columns="subject", values="row").dropna()
    viewers = samples["subject"].iloc[rows].unique()
    if len(viewers) < 2 or set(viewers) != set(place.columns):
        raise NeuroFaceError(f"{name} needs two viewers or more, each with training windows")
    n_moments = len(place) * X.shape[2]
    if n_moments <= n_features:
        raise NeuroFaceError(
            f"{name}: its viewers share {n_moments} training volumes; ALIGNMENT_FEATURES is {n_features}"
        )
    data = [
        np.concatenate(list(X[place[viewer].astype(int)]), axis=1).astype(np.float64)
        for viewer in viewers
    ]
    return dict(zip(viewers, shared_response(data, n_features)))


def _nearest_orthonormal(matrix: np.ndarray) -> np.ndarray:
    """The orthonormal columns that are nearest to those of a matrix (its polar factor)."""
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    return left @ right
