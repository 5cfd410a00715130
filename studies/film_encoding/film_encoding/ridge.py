"""Ridge regressions on the same folds: films to voxels with a band of regularisation per feature space, voxels to
frames.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from himalaya.kernel_ridge import MultipleKernelRidgeCV
from himalaya.ridge import RidgeCV
from sklearn.decomposition import PCA
from sklearn.model_selection import PredefinedSplit

ALPHAS = np.logspace(-1, 7, 17)
# Of spaces that are compared (script 8): kernels have a mean diagonal of 1, so that weaker penalties
# than 1 only let weights of delayed features grow that cancel each other.
SPACE_ALPHAS = np.logspace(0, 4.5, 10)
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
        part = np.empty((len(table), next(iter(features.values())).shape[1]), dtype=np.float32)
        for film, rows in table.groupby("film").indices.items():
            chunk = table["chunk"].to_numpy()[rows] - delay
            there = (chunk >= 0) & (chunk < len(features[film]))
            part[rows] = np.nan
            part[rows[there]] = features[film][chunk[there]]
        out.append(part)
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
    model = fit_kernels(*band_kernels(bands), bold, blocks, n_tries, seed, ALPHAS / 1e3)
    weights = np.exp(model.deltas)
    return model.predicted.sum(axis=0), (weights / weights.sum(axis=0)).mean(axis=1)


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


@dataclass(frozen=True)
class BandedFit:
    """``predicted`` (n_bands, n_test, n_targets) float32: what each band adds to the prediction, the mean of the training
    BOLD with the first; ``deltas`` (n_bands, n_targets), himalaya's log weights of the bands.
    """

    predicted: np.ndarray
    deltas: np.ndarray


def fit_kernels(
    kernels: np.ndarray,
    test_kernels: np.ndarray,
    bold: np.ndarray,
    blocks: np.ndarray,
    n_tries: int,
    seed: int,
    alphas: np.ndarray = SPACE_ALPHAS,
) -> BandedFit:
    """Banded ridge regression from kernels of :func:`band_kernels`; arguments as in :func:`fit_banded`.

    ``alphas``: penalties of which each target takes the best.
    """
    model = MultipleKernelRidgeCV(
        kernels="precomputed", solver="random_search", cv=PredefinedSplit(blocks), random_state=seed,
        solver_params={"n_iter": n_tries, "alphas": alphas, "n_targets_batch": TARGETS_AT_ONCE, "progress_bar": False},
    )  # fmt: skip
    centre = bold.mean(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # himalaya warns where the best alpha is the last of the list
        model.fit(kernels, (bold - centre).astype(np.float32))
    predicted = np.array(model.predict(test_kernels, split=True), dtype=np.float32)
    predicted[0] += centre
    return BandedFit(predicted, np.asarray(model.deltas_))


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
    train, test = ((part - mean) / np.where(sd > 0, sd, np.inf) for part in (bold, test_bold))
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
