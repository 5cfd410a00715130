"""Correlation of predicted and measured voxels: values, intervals, nulls, and maps corrected for many voxels."""

from dataclasses import dataclass

import numpy as np
from scipy import fft, stats

ALPHA = 0.05


@dataclass(frozen=True)
class Series:
    """Test chunks of one fold, in order: measured and predicted BOLD (n, n_voxels), each z-scored within its film.

    ``voxels`` (n_voxels,) are positions in the mask; ``films`` (n,) the film of each chunk; ``chunks`` (n,) its number
    in it.
    """

    measured: np.ndarray
    predicted: np.ndarray
    voxels: np.ndarray
    films: np.ndarray
    chunks: np.ndarray

    def __len__(self) -> int:
        return len(self.films)


def series(measured: np.ndarray, predicted: np.ndarray, voxels, films, chunks) -> Series:
    """A :class:`Series` of BOLD as it was measured and predicted; the published scores z-score both within films too."""
    films = np.asarray(films)
    return Series(zscored(measured, films), zscored(predicted, films), np.asarray(voxels), films, np.asarray(chunks))


def zscored(values: np.ndarray, films: np.ndarray) -> np.ndarray:
    """Every column at mean 0, SD 1 within each film; 0 where it does not vary."""
    out = np.empty(values.shape, dtype=np.float32)
    for film in dict.fromkeys(films):
        part = values[films == film].astype(np.float64)
        part = part - part.mean(axis=0)
        sd = part.std(axis=0)
        out[films == film] = part * np.where(sd > 1e-12, 1 / np.where(sd > 1e-12, sd, 1), 0)
    return out


def correlation(parts: list[Series], n_mask: int) -> np.ndarray:
    """Pearson's r per voxel of the mask (n_mask,) over all folds that chose it; NaN where none did."""
    total, n = np.zeros(n_mask), np.zeros(n_mask)
    for one in parts:
        total[one.voxels] += (one.measured * one.predicted).sum(axis=0, dtype=np.float64)
        n[one.voxels] += len(one)
    return np.divide(total, n, out=np.full(n_mask, np.nan), where=n > 0)


def blocks_of(films: np.ndarray, length: int) -> np.ndarray:
    """Number of the block of time of each chunk (n,): ``length`` chunks of one film; a short rest joins the block
    before.
    """
    blocks, first = np.empty(len(films), dtype=int), 0
    for film in dict.fromkeys(films):
        rows = np.flatnonzero(films == film)
        n = max(1, len(rows) // length)
        blocks[rows] = first + np.minimum(np.arange(len(rows)) // length, n - 1)
        first += n
    return blocks


def bootstrap_correlation(parts: list[Series], n_mask: int, block: int, n_draws: int, seed: int) -> np.ndarray:
    """r per voxel when blocks of time are drawn with replacement: (n_draws, n_mask) float32, NaN where no fold chose
    it.

    The draws depend on the lengths of the films and the seed alone, so those of two models on the same chunks are
    pairs.
    """
    rng = np.random.default_rng(seed)
    sums = {name: np.zeros((n_draws, n_mask), dtype=np.float32) for name in ("n", "x", "y", "xx", "yy", "xy")}
    for one in parts:
        blocks = blocks_of(one.films, block)
        n_blocks = blocks.max() + 1
        times = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=n_draws).astype(np.float32)
        x, y = one.measured, one.predicted
        for name, values in {"x": x, "y": y, "xx": x * x, "yy": y * y, "xy": x * y}.items():
            per_block = np.stack([values[blocks == number].sum(axis=0) for number in range(n_blocks)])
            sums[name][:, one.voxels] += times @ per_block
        sums["n"][:, one.voxels] += (times @ np.bincount(blocks).astype(np.float32))[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        n = sums["n"]
        covariance = sums["xy"] / n - sums["x"] / n * (sums["y"] / n)
        variances = [sums[a + a] / n - (sums[a] / n) ** 2 for a in "xy"]
        return covariance / np.sqrt(np.maximum(variances[0] * variances[1], 1e-12))


def lags_of(n: int, smallest: int) -> np.ndarray:
    """Circular shifts of n chunks by at least ``smallest`` either way, or by a quarter of n where that is less."""
    smallest = max(1, min(smallest, n // 4))
    return np.arange(smallest, n - smallest + 1)


def shifted_correlation(parts: list[Series], n_mask: int, smallest: int, n_shifts: int, seed: int) -> np.ndarray:
    """r per voxel when the predictions of each fold are shifted in a circle: (n_shifts, n_mask) float32.

    All lags come from one Fourier transform per fold; ``n_shifts`` of them are drawn, for each fold by itself.
    """
    rng = np.random.default_rng(seed)
    total, n = np.zeros((n_shifts, n_mask), dtype=np.float32), np.zeros(n_mask, dtype=np.float32)
    for one in parts:
        spectra = fft.rfft(one.measured, axis=0) * np.conj(fft.rfft(one.predicted, axis=0))
        sums = fft.irfft(spectra, len(one), axis=0)  # row k: the sum of products when predictions come k chunks later
        total[:, one.voxels] += sums[rng.choice(lags_of(len(one), smallest), size=n_shifts)]
        n[one.voxels] += len(one)
    return np.divide(total, n, out=np.full(total.shape, np.nan, dtype=np.float32), where=n > 0)


def voxel_p(r: np.ndarray, null: np.ndarray) -> np.ndarray:
    """One-sided p per voxel (n_mask,): the normal distribution with mean and SD of Fisher's z of its own null.

    A count of the null could not give p below 1 / (n_shifts + 1), too large to correct over thousands of voxels.
    """
    z, zs = np.arctanh(np.clip(r, -0.999999, 0.999999)), np.arctanh(np.clip(null, -0.999999, 0.999999))
    sd = zs.std(axis=0, ddof=1)
    return stats.norm.sf((z - zs.mean(axis=0)) / np.where(sd > 0, sd, np.inf))


def fdr(p: np.ndarray) -> np.ndarray:
    """p adjusted for the false discovery rate (Benjamini & Hochberg 1995); NaN stays NaN."""
    adjusted, known = np.full(p.shape, np.nan), np.isfinite(p)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known])
    return adjusted


def interval(draws: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of draws (n_draws,)."""
    low, high = np.nanquantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
