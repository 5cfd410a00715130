"""Ridge regressions on the same folds: films to voxels with a band of regularisation per feature space, voxels to
frames.
"""

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from himalaya.kernel_ridge import MultipleKernelRidgeCV
from himalaya.ridge import RidgeCV
from sklearn.decomposition import PCA
from sklearn.model_selection import PredefinedSplit

ALPHAS = np.logspace(-1, 7, 17)
INNER_FOLDS = 5  # blocks of time in which the regularisation is chosen
TARGETS_AT_ONCE = 500


def delayed(
    features: Mapping[str, np.ndarray], table: pd.DataFrame, delays: tuple[int, ...]
) -> np.ndarray:
    """Features of the chunks before each volume: (n, n_features · n_delays).

    Parameters
    ----------
    features : film → (n_chunks, n_features). table : columns film and chunk.
    delays : volumes by which features are later than at the chunk's own delay; +1 is the chunk
        before it. Outside the film they are NaN, which :func:`fit_banded` makes 0 after centring.
    """
    out = []
    for delay in delays:
        shifted = np.empty((len(table), next(iter(features.values())).shape[1]), dtype=np.float32)
        for film, rows in table.groupby("film").indices.items():
            chunk = table["chunk"].to_numpy()[rows] - delay
            there = (chunk >= 0) & (chunk < len(features[film]))
            shifted[rows] = np.nan
            shifted[rows[there]] = features[film][chunk[there]]
        out.append(shifted)
    return np.concatenate(out, axis=1)


def fit_banded(
    bands: list[tuple[np.ndarray, np.ndarray]],
    bold: np.ndarray,
    blocks: np.ndarray,
    n_tries: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Banded ridge regression (Nunez-Elizalde, Huth & Gallant 2019; himalaya, Dupré la Tour et al. 2022).

    Parameters
    ----------
    bands : a feature space each, (n_train, n_features) and (n_test, n_features). They are z-scored
        by the training chunks; NaN becomes 0. bold : (n_train, n_voxels).
    blocks : (n_train,) whole blocks are left out when weights and regularisation are chosen.
        n_tries : random weightings.

    Returns
    -------
    predicted (n_test, n_voxels) float32; shares (n_bands,), the mean weight of each band.
    """
    model = MultipleKernelRidgeCV(
        kernels="precomputed", solver="random_search", cv=PredefinedSplit(blocks), random_state=seed,
        solver_params={"n_iter": n_tries, "alphas": ALPHAS / 1e3, "n_targets_batch": TARGETS_AT_ONCE, "progress_bar": False},
    )  # fmt: skip
    kernels, test_kernels = band_kernels(bands)
    centre = bold.mean(axis=0)
    with warnings.catch_warnings():
        # himalaya warns where the best alpha is the last of the list
        warnings.simplefilter("ignore")
        model.fit(kernels, (bold - centre).astype(np.float32))
    predicted = model.predict(test_kernels) + centre
    weights = np.exp(np.asarray(model.deltas_))
    return np.asarray(predicted, dtype=np.float32), (weights / weights.sum(axis=0)).mean(axis=1)


def band_kernels(
    bands: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    """A linear kernel per band: (n_bands, n_train, n_train) and (n_bands, n_test, n_train) float32.

    Parameters
    ----------
    bands : training and test features of each. Each feature is z-scored by the training chunks; NaN
        becomes 0. A kernel is divided by its number of features, so that bands of all sizes start
        with the same weight.
    """
    kernels, test_kernels = [], []
    for train, test in bands:
        mean, sd = np.nanmean(train, axis=0), np.nanstd(train, axis=0)
        train, test = (
            np.nan_to_num((values - mean) / np.where(sd > 1e-6, sd, np.inf))
            for values in (train, test)
        )
        scale = max(1, (sd > 1e-6).sum())
        kernels.append(train @ train.T / scale)
        test_kernels.append(test @ train.T / scale)
    return np.stack(kernels).astype(np.float32), np.stack(test_kernels).astype(np.float32)


def fit_frames(
    bold: np.ndarray,
    frames: np.ndarray,
    test_bold: np.ndarray,
    blocks: np.ndarray,
    n_components: int,
    seed: int,
) -> np.ndarray:
    """Frames by ridge regression from voxels to the principal components of the training frames.

    Parameters
    ----------
    bold : (n_train, n_voxels). frames : (n_train, pixels, pixels, 3) in 0 … 1. test_bold : (n_test,
    n_voxels).

    Returns
    -------
    (n_test, pixels, pixels, 3) float16, not clipped.
    """
    flat = frames.reshape(len(frames), -1).astype(np.float32)
    components = PCA(
        min(n_components, len(flat) - 1, flat.shape[1]), svd_solver="randomized", random_state=seed
    ).fit(flat)
    mean, sd = bold.mean(axis=0), bold.std(axis=0)
    train, test = ((voxels - mean) / np.where(sd > 0, sd, np.inf) for voxels in (bold, test_bold))
    model = RidgeCV(alphas=ALPHAS, cv=PredefinedSplit(blocks), solver_params={"warn": False})
    model.fit(train.astype(np.float32), components.transform(flat).astype(np.float32))
    made = components.inverse_transform(np.asarray(model.predict(test.astype(np.float32))))
    return made.reshape(len(test), *frames.shape[1:]).astype(np.float16)


def inner_blocks(table: pd.DataFrame) -> np.ndarray:
    """Number of the inner fold of each chunk (n,): every film cut into ``INNER_FOLDS`` blocks of time."""
    blocks = np.empty(len(table), dtype=int)
    for rows in table.groupby("film").indices.values():
        blocks[rows] = np.arange(len(rows)) * INNER_FOLDS // len(rows)
    return blocks


def inner_films(table: pd.DataFrame) -> np.ndarray:
    """Number of the inner fold of each chunk (n,): whole films where there are three or more, else blocks of time."""
    films = list(dict.fromkeys(table["film"]))
    if len(films) < 3:
        return inner_blocks(table)
    return table["film"].map(films.index).to_numpy() % INNER_FOLDS
