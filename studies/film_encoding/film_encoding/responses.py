"""BOLD of many people for one film: its mean and variance over people, SNR, noise ceiling."""

from pathlib import Path

from film_encoding.cleaning import interpolate
from film_encoding.viewings import Viewing
from neuroface import NeuroFaceError
from neuroface.bold import (
    Cleaning,
    Projection,
    nearly_whole,
    open_image,
    statistics_of,
    stream_masked,
)

import nibabel as nib
import numpy as np
from nilearn.image import resample_to_img


def rows_of_person(
    viewings: list[Viewing],
    mask: np.ndarray,
    affine: np.ndarray,
    n_rows: int,
    standardize: str,
    cleaning_of,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """BOLD of one person for a film, the mean over their viewings.

    Parameters
    ----------
    cleaning_of : function of a :class:`neuroface.bold.Run` → what is removed from it. Others: of
    :func:`film_rows`.

    Returns
    -------
    rows (n_rows, n_voxels); baseline (n_voxels,); shared (n_voxels,), the share of the variance of
    that mean that the viewings have in common (:func:`reliability`), None with one viewing.
    """
    over, baselines = OverPeople(), OverPeople()
    for viewing in viewings:
        values, baseline = film_rows(
            viewing, mask, affine, n_rows, standardize, cleaning_of(viewing.run)
        )
        over.add(values)
        baselines.add(baseline)
    if over.n == 1:
        return values, baseline, None
    shared = reliability(over.mean, over.variance, over.n)
    return over.mean.astype(np.float32), baselines.mean, shared


def read_labels(
    path: Path, shape: tuple[int, ...], affine: np.ndarray, setting: str
) -> tuple[np.ndarray, bool]:
    """Labels (x, y, z) int32 of an atlas on the grid of the BOLD, and whether it had to be resampled (nearest
    neighbour).

    Raises
    ------
    NeuroFaceError
        If it is no volume of whole numbers.
    """
    if not Path(path).is_file():
        raise NeuroFaceError(
            f"{setting} = {path} is not there. Name an atlas: a NIfTI file of whole numbers."
        )
    image = open_image(Path(path))
    values = np.asarray(image.dataobj).squeeze()
    if values.ndim != 3 or not nearly_whole(values).all():
        raise NeuroFaceError(
            f"{setting} = {path} is no volume of whole numbers (shape {image.shape}). Name an atlas of labels."
        )
    values = np.rint(values)
    same = values.shape == tuple(shape) and np.allclose(image.affine, affine, atol=1e-3)
    if not same:
        source = nib.Nifti1Image(values.astype(np.int32), image.affine)
        target = nib.Nifti1Image(np.zeros(shape, dtype=np.uint8), affine)
        moved = resample_to_img(
            source, target, interpolation="nearest", force_resample=True, copy_header=True
        )
        values = np.asarray(moved.dataobj)
    return values.astype(np.int32), not same


def in_parcels(labels: np.ndarray, parcels: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Where labels lie in any of the ranges, both ends included."""
    return np.any([(labels >= first) & (labels <= last) for first, last in parcels], axis=0)


def film_rows(
    viewing: Viewing,
    mask: np.ndarray,
    affine: np.ndarray,
    n_rows: int,
    standardize: str,
    cleaning: Cleaning | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """One person's BOLD on the film's clock.

    Parameters
    ----------
    standardize : "zscore": SD 1 per voxel over these rows; "none": as measured. A voxel that never
    changes becomes 0.
    cleaning : what is removed from the whole run first; None: nothing. Rows of scrubbed volumes are
    interpolated.

    Returns
    -------
    rows (n_rows, n_voxels) float32 with mean 0 over time; baseline (n_voxels,), the mean that was
    taken off, 0 if z-scored.
    """
    rows, seen = np.empty((n_rows, int(mask.sum())), dtype=np.float32), 0
    statistics = statistics_of(cleaning, "none")
    for volumes in stream_masked(
        viewing.run.bold, mask, affine, smoothing_mm=cleaning.smoothing_mm if cleaning else None
    ):
        if statistics:
            statistics.add(volumes)
        block = volumes[max(0, viewing.first - seen) :]
        place = max(0, seen - viewing.first)
        rows[place : place + len(block)] = block[: max(0, n_rows - place)]
        seen += len(volumes)
    if cleaning is not None and isinstance(statistics, Projection):
        for start in range(0, n_rows, 64):  # in parts: the difference is float64
            numbers = np.arange(start, min(start + 64, n_rows))
            rows[numbers] = statistics.clean(rows[numbers], viewing.first + numbers)
        interpolate(rows, cleaning.kept[viewing.first : viewing.first + n_rows])
    mean, sd = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
    if standardize == "none":
        return (rows - mean).astype(np.float32), mean
    constant = sd <= 1e-7 * np.abs(mean)
    scale = np.where(constant, 0, 1 / np.where(constant, 1, sd))
    return ((rows - mean) * scale).astype(np.float32), np.zeros_like(mean)


class OverPeople:
    """Mean and unbiased variance over people who come one after another (Welford 1962, Technometrics 4:419)."""

    def __init__(self):
        self.n, self.mean, self._squares = 0, np.empty(0), np.empty(0)

    def add(self, rows: np.ndarray) -> None:
        """Take in one person's values, an array of any shape."""
        self.n += 1
        if self.n == 1:
            self.mean, self._squares = np.zeros_like(rows), np.zeros_like(rows)
        distance = rows - self.mean
        self.mean = self.mean + distance / self.n
        self._squares = self._squares + distance * (rows - self.mean)

    @property
    def variance(self) -> np.ndarray:
        """Unbiased; NaN for a single person."""
        return self._squares / (self.n - 1) if self.n > 1 else np.full_like(self.mean, np.nan)


def snr(mean: np.ndarray, variance: np.ndarray, baseline_variance: np.ndarray) -> np.ndarray:
    """Variance over time of the mean over people, by the mean over time of the variance over people; (n_voxels,).

    Parameters
    ----------
    mean, variance : (n_rows, n_voxels) over people whose own means over time were taken off.
        baseline_variance : (n_voxels,), the variance over people of those means. Over whole runs
        the last two sum to the variance over people of what was measured.

    Returns
    -------
    (n_voxels,), 0 where nothing varies.
    """
    signal = mean.var(axis=0, dtype=np.float64)
    noise = variance.mean(axis=0, dtype=np.float64) + baseline_variance
    return np.divide(signal, noise, out=np.zeros_like(signal), where=noise > 0)


def n_chosen(n_voxels: int, share: float) -> int:
    """How many voxels VOXEL_SHARE keeps."""
    return max(1, int(share * n_voxels + 1e-9))


def choose(values: np.ndarray, share: float) -> np.ndarray:
    """Sorted positions of the largest ``share`` of the values: of 15,364 with a share of 0.30 these are 4,609."""
    n = n_chosen(len(values), share)
    return np.sort(np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")[:n])


def reliability(
    mean: np.ndarray, variance: np.ndarray, n_people: int, of_people: int | None = None
) -> np.ndarray:
    """Share of the variance over time that people have in common: (n_voxels,), at least 0; NaN for a single person.

    If a person's BOLD is signal + noise, with noise independent between people, the mean over n
    people has the variance signal + noise / n. Its square root is the largest correlation that a
    model can have with the measurement (the noise ceiling; Sahani & Linden 2003, NeurIPS 15).

    Parameters
    ----------
    mean, variance : (n_rows, n_voxels), mean and unbiased variance over people, their own means
    over time taken off.
    n_people : number of people behind mean and variance. of_people : number of people in the mean
        whose reliability is asked; None: ``n_people``.
    """
    measured = mean.var(axis=0, ddof=1, dtype=np.float64)
    noise = variance.mean(axis=0, dtype=np.float64)
    signal = np.maximum(measured - noise / n_people, 0)
    total = signal + noise / (of_people or n_people)
    return np.divide(signal, total, out=np.where(np.isnan(total), np.nan, 0), where=total > 0)
