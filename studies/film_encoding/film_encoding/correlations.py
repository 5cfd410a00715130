"""Correlation of predicted and measured voxels: values, intervals, nulls, and maps corrected for many voxels."""

from dataclasses import dataclass

from film_encoding.blocks import blocks_of, fisher_z
from film_encoding.shifts import distinct_shifts, effective_lags, lags_of, t_p

import numpy as np
from scipy import fft, stats

ALPHA = 0.05


@dataclass(frozen=True)
class Series:
    """Test chunks of one fold, in order: measured and predicted BOLD (n, n_voxels), each z-scored within its film.

    ``voxels`` (n_voxels,) are positions in the mask; ``films`` (n,) the film of each chunk;
    ``chunks`` (n,) its number in it.
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
    return Series(
        zscored(measured, films),
        zscored(predicted, films),
        np.asarray(voxels),
        films,
        np.asarray(chunks),
    )


def zscored(values: np.ndarray, films: np.ndarray) -> np.ndarray:
    """Every column at mean 0, SD 1 within each film; 0 where it does not vary."""
    out = np.empty(values.shape, dtype=np.float32)
    for film in dict.fromkeys(films):
        of_film = values[films == film].astype(np.float64)
        of_film = of_film - of_film.mean(axis=0)
        sd = of_film.std(axis=0)
        out[films == film] = of_film * np.where(sd > 1e-12, 1 / np.where(sd > 1e-12, sd, 1), 0)
    return out


def correlation(parts: list[Series], n_mask: int) -> np.ndarray:
    """Pearson's r per voxel of the mask (n_mask,) over all folds that chose it; NaN where none did."""
    total, n = np.zeros(n_mask), np.zeros(n_mask)
    for fold_series in parts:
        total[fold_series.voxels] += (fold_series.measured * fold_series.predicted).sum(
            axis=0, dtype=np.float64
        )
        n[fold_series.voxels] += len(fold_series)
    return np.divide(total, n, out=np.full(n_mask, np.nan), where=n > 0)


def left_out_correlation(
    parts: list[Series], n_mask: int, block: int
) -> tuple[np.ndarray, np.ndarray]:
    """r per voxel without each block of time, and the sizes of the blocks.

    Returns
    -------
    r (n_blocks, n_mask), NaN where a block's fold did not choose the voxel, or where nothing is
    left; sizes (n_blocks,), fold after fold.
    """
    sums = {name: np.zeros(n_mask) for name in ("n", "x", "y", "xx", "yy", "xy")}
    of_blocks, sizes = [], []
    for fold_series in parts:
        blocks = blocks_of(fold_series.films, block)
        size = np.bincount(blocks).astype(float)
        of_block = {"n": np.repeat(size[:, None], len(fold_series.voxels), axis=1)}
        x, y = fold_series.measured.astype(np.float64), fold_series.predicted.astype(np.float64)
        for name, values in {"x": x, "y": y, "xx": x * x, "yy": y * y, "xy": x * y}.items():
            of_block[name] = np.stack(
                [values[blocks == number].sum(axis=0) for number in range(len(size))]
            )
        for name, values in of_block.items():
            sums[name][fold_series.voxels] += values.sum(axis=0)
        of_blocks.append(of_block)
        sizes.append(size)
    left_out = np.full((sum(map(len, sizes)), n_mask), np.nan)
    first = 0
    for fold_series, of_block in zip(parts, of_blocks):
        n_blocks = len(of_block["n"])
        rest = {name: sums[name][fold_series.voxels] - of_block[name] for name in sums}
        left_out[first : first + n_blocks, fold_series.voxels] = _pearson(**rest)
        first += n_blocks
    return left_out, np.concatenate(sizes)


def _pearson(n, x, y, xx, yy, xy) -> np.ndarray:
    """Pearson's r of sums over n pairs, of their squares and products; NaN without a pair."""
    n = np.where(n > 0, n, np.nan)
    covariance = xy / n - x / n * (y / n)
    variances = (xx / n - (x / n) ** 2) * (yy / n - (y / n) ** 2)
    return covariance / np.sqrt(np.maximum(variances, 1e-12))


def by_film(parts: list[Series]) -> list[Series]:
    """Series of single films."""
    of_films = []
    for fold_series in parts:
        for film in dict.fromkeys(fold_series.films):
            rows = fold_series.films == film
            of_films.append(
                Series(
                    fold_series.measured[rows],
                    fold_series.predicted[rows],
                    fold_series.voxels,
                    fold_series.films[rows],
                    fold_series.chunks[rows],
                )
            )
    return of_films


def lag_sums(fold_series: Series) -> np.ndarray:
    """Sums of products (n, n_voxels) at all circular lags: row k, when predictions come k chunks later."""
    spectra = fft.rfft(fold_series.measured, axis=0) * np.conj(
        fft.rfft(fold_series.predicted, axis=0)
    )
    return fft.irfft(spectra, len(fold_series), axis=0)


def shifted_correlation(
    parts: list[Series], n_mask: int, smallest: int, n_shifts: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """r per voxel when the predictions of each part are shifted in a circle, and what the shifts are worth.

    All lags of a part come from one Fourier transform. Of all combinations of the parts' lags,
    ``n_shifts`` different ones are taken, or all where there are fewer.

    For p by a count of the mean r the parts are folds: a shift of a whole fold is one of few, and a
    count over combinations of the few lags of single films would be too small (p ≤ .05 in 12 % of
    null studies with three films of 38 chunks). For the variance of single voxels they are single
    films (:func:`by_film`), because each film is z-scored by itself: moved across films, r would
    vary too little (by 9 % there).

    Returns
    -------
    null (n, n_mask) float32; df (n_mask,), of :func:`film_encoding.shifts.t_p`.
    """
    shifts = distinct_shifts([len(fold_series) for fold_series in parts], smallest, n_shifts, seed)
    total, n = np.zeros((len(shifts), n_mask), dtype=np.float32), np.zeros(n_mask, dtype=np.float32)
    variance, weakness = np.zeros(n_mask), np.zeros(n_mask)
    for fold_series, lags in zip(parts, shifts.T):
        sums = lag_sums(fold_series)
        total[:, fold_series.voxels] += sums[lags]
        n[fold_series.voxels] += len(fold_series)
        null = sums[lags_of(len(fold_series), smallest)]
        of_fold = np.mean(null**2)
        variance[fold_series.voxels] += of_fold
        weakness[fold_series.voxels] += of_fold**2 / effective_lags(null)
    null = np.divide(total, n, out=np.full(total.shape, np.nan, dtype=np.float32), where=n > 0)
    df = np.divide(
        variance**2, weakness, out=np.ones(n_mask), where=weakness > 0
    )  # Satterthwaite 1946
    return null, df


def voxel_p(r: np.ndarray, null: np.ndarray, df: np.ndarray) -> np.ndarray:
    """One-sided p per voxel (n_mask,) of r against shifted ones, by Student's t of Fisher's z."""
    return t_p(fisher_z(r), fisher_z(null), df)


def fdr(p: np.ndarray) -> np.ndarray:
    """p adjusted for the false discovery rate (Benjamini & Hochberg 1995); NaN stays NaN."""
    adjusted, known = np.full(p.shape, np.nan), np.isfinite(p)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known])
    return adjusted
