"""BOLD of many people for one film: its mean and variance over people, SNR, noise ceiling."""

from dataclasses import dataclass
from pathlib import Path

from film_encoding.cleaning import interpolate
from film_encoding.film_clock import first_volume
from neuroface import NeuroFaceError
from neuroface.bold import (
    Cleaning,
    Projection,
    Run,
    check_film_length,
    check_shared_space,
    check_tr,
    find_runs,
    first_volume_s,
    nearly_whole,
    open_header,
    open_image,
    statistics_of,
    stream_masked,
)  # fmt: skip

import nibabel as nib
import numpy as np
from nilearn.image import resample_to_img

SHORT = 0.95  # a run with a smaller share of its film is left out: it would shorten the film for all people


@dataclass(frozen=True)
class Viewing:
    """One person's run of one film. ``first`` is the volume at which the film begins; ``n_rows`` volumes follow from
    there. ``shown_s`` seconds of the film were shown, by FILM_EVENT.
    """

    run: Run
    first: int
    n_rows: int
    onset_s: float
    shown_s: float = np.inf


def find_viewings(cfg) -> tuple[dict[str, list[Viewing]], list[tuple[str, str]]]:
    """Who saw which film, from headers and events alone.

    Returns
    -------
    film → viewings, people in natural order; left_out (what, why).
    """
    runs, left_out = find_runs(
        "bids", cfg.DATASET_DIR, cfg.EXCLUDE, cfg.BIDS_FILTER, annotated=False, film_event=cfg.FILM_EVENT,
        include=cfg.INCLUDE, raw=cfg.RAW_DIR,
    )  # fmt: skip
    check_shared_space(runs)
    viewings: dict[str, list[Viewing]] = {}
    for run in runs:
        if cfg.FILMS and run.movie not in cfg.FILMS:
            continue
        others = viewings.setdefault(run.movie, [])
        if any(other.run.subject == run.subject for other in others):
            raise NeuroFaceError(
                f"{run.subject} has two runs of {run.movie}. Set BIDS_FILTER to text that only one of the files has in "
                "its name."
            )
        image, shape = open_header(run.bold)
        if remark := check_tr(run, image, shape[3], cfg.TR_S):
            print(f"  {run.name}: {remark}")
        onset_s = 0.0 - first_volume_s(run, shape[3], cfg.TR_S)
        first = first_volume(onset_s, cfg.TR_S)
        if first < 0:
            raise NeuroFaceError(
                f"{run.bold}: the film begins {-onset_s:g} s before its first volume. Leave {run.subject} out with EXCLUDE."
            )
        if first >= shape[3]:
            raise NeuroFaceError(
                f"{run.bold} has {shape[3]} volumes, and its events say that the film begins at {onset_s:g} s, volume "
                f"{first}. "
                f"Correct the events, or TR_S."
            )
        shown_s = run.film.duration_s if run.film else np.inf
        others.append(Viewing(run, first, shape[3] - first, onset_s, shown_s))
    if missing := [film for film in cfg.FILMS if film not in viewings]:
        raise NeuroFaceError(
            f"FILMS names {missing[0]!r}, and no BOLD file has task-{missing[0]} in its name."
        )
    whole = {film: drop_interrupted(who) for film, who in viewings.items()}
    left_out += [line for _, lines in whole.values() for line in lines]
    return {film: who for film, (who, _) in whole.items()}, left_out


def drop_interrupted(viewings: list[Viewing]) -> tuple[list[Viewing], list[tuple[str, str]]]:
    """Leave out people whose film was stopped early, by its event; returns the others, and (what, why)."""
    usual_s = float(np.median([one.shown_s for one in viewings]))
    stopped = [one for one in viewings if one.shown_s < SHORT * usual_s]
    kept = [one for one in viewings if one not in stopped]
    return kept, [
        (one.run.name, f"its film lasted {one.shown_s:.1f} s, others' {usual_s:.1f} s")
        for one in stopped
    ]


def shown_s(
    viewings: list[Viewing], film_s: float, tr_s: float, name: str
) -> tuple[float, str | None]:
    """For how long all viewers saw a film whose file lasts ``film_s``, and what is left out of the file.

    Raises
    ------
    NeuroFaceError
        If the file is not what a run showed (:func:`neuroface.bold.check_film_length`).
    """
    runs_s = [(one.first + one.n_rows) * tr_s for one in viewings]
    remarks = [
        check_film_length(one.run, run_s, film_s, source=name)
        for one, run_s in zip(viewings, runs_s)
    ]
    return min([film_s, *(one.shown_s for one in viewings)]), next(filter(None, remarks), None)


def drop_short(viewings: list[Viewing], n_rows: int) -> tuple[list[Viewing], list[tuple[str, str]]]:
    """Leave out runs that end long before their film; returns the others, and (what, why)."""
    short = [one for one in viewings if one.n_rows < SHORT * n_rows]
    kept = [one for one in viewings if one.n_rows >= SHORT * n_rows]
    return kept, [
        (one.run.name, f"its run holds {one.n_rows} of the {n_rows} volumes of the film")
        for one in short
    ]


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
        part = volumes[max(0, viewing.first - seen) :]
        place = max(0, seen - viewing.first)
        rows[place : place + len(part)] = part[: max(0, n_rows - place)]
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


def choose(values: np.ndarray, share: float) -> np.ndarray:
    """Sorted positions of the largest ``share`` of the values: of 15,364 with a share of 0.30 these are 4,609."""
    n = max(1, int(share * len(values) + 1e-9))
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
