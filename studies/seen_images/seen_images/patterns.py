"""Patterns of trials: standardised on the training set, averaged over repeats, and how reliable they are."""

from neuroface.bold import RunningStatistics

import numpy as np
import pandas as pd


class Scaler:
    """Standardise trials on the training trials; a column that never changes in training counts as 0 everywhere.

    Parameters
    ----------
    method : "voxel": each column by its mean and SD over all training trials; "session": the same
        within each session; "global": one mean and SD of all early columns, one of all higher
        columns, and the test means by their own, as in the publication.
    parts : (n_columns,) "early" or "higher".
    """

    def __init__(self, method: str, parts: np.ndarray):
        self.method, self.parts = method, parts
        self._statistics: dict[str, RunningStatistics] = {}
        self._moments = {part: [0, 0.0, 0.0] for part in np.unique(parts)}  # n, sum, sum of squares

    def fit(self, session: str, trials: np.ndarray) -> None:
        """Take in a session's training trials (n, n_columns); there may be none."""
        if len(trials):
            self._statistics.setdefault(self._key(session), RunningStatistics()).add(trials)
        for part, moments in self._moments.items():
            values = trials[:, self.parts == part].astype(np.float64)
            moments[:] = (
                moments[0] + values.size,
                moments[1] + values.sum(),
                moments[2] + np.square(values).sum(),
            )

    def transform(self, session: str, trials: np.ndarray) -> np.ndarray:
        """Trials (n, n_columns) as float32. "global" leaves the scaling of test means to :meth:`finish_test`."""
        constant = self.constant
        if self.method == "global":
            centre, scale = np.empty(len(self.parts)), np.zeros(len(self.parts))
            for part, (n, total, squares) in self._moments.items():
                centre[self.parts == part] = total / n
                used = (self.parts == part) & ~constant
                if used.any():
                    scale[used] = 1 / np.sqrt(squares / n - (total / n) ** 2)
            return ((trials - centre) * scale).astype(np.float32)
        statistics = self._statistics.get(self._key(session))
        if statistics is None:  # a session of test trials alone has only its own mean and SD
            statistics = RunningStatistics()
            statistics.add(trials)
        scaled = statistics.standardize(trials)
        scaled[:, constant] = 0
        return scaled

    def finish_test(self, means: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means of test images (n, n_columns) and their trials; "global": standardised again by the means' mean and SD."""
        if self.method != "global":
            return means, trials
        result, constant = (means.copy(), trials.copy()), self.constant
        for part in self._moments:
            columns = (self.parts == part) & ~constant
            if not columns.any():
                continue
            centre, scale = means[:, columns].mean(), means[:, columns].std()
            for values in result:
                values[:, columns] = (values[:, columns] - centre) / scale
        return result

    def _key(self, session: str) -> str:
        """Whose mean and SD a session's trials get."""
        return session if self.method == "session" else "all"

    @property
    def constant(self) -> np.ndarray:
        """Columns (n_columns,) that never change over the training trials of any session."""
        return np.logical_and.reduce(
            [statistics.centre_and_scale()[1] == 0 for statistics in self._statistics.values()]
        )


def unmeasured(trials: np.ndarray) -> np.ndarray:
    """Columns (n_columns,) bool that hold one value, mostly 0, in all trials (n, n_columns) of a session.

    NSD writes 0 where head motion or the slices' position left a voxel of the edge out of a
    session. Such a voxel has no pattern there; with a mean and SD over several sessions its zeros
    would count as responses.
    """
    if len(trials) < 2:
        return np.zeros(trials.shape[1], dtype=bool)
    return (trials == trials[0]).all(axis=0)


def mean_of_repeats(trials: np.ndarray, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images (n_images,) in the order of their first trial, and means (n_images, n_columns) float32 over their trials."""
    number, names = pd.factorize(images)
    means = np.zeros((len(names), trials.shape[1]))
    np.add.at(means, number, trials)
    return np.asarray(names), (means / np.bincount(number)[:, None]).astype(np.float32)


def reliability(trials: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Correlation (n_columns,) over images of the means of their odd and of their even trials; NaN with single trials."""
    order = pd.Series(images).groupby(images).cumcount().to_numpy()
    repeated = pd.Series(images).map(pd.Series(images).value_counts()).to_numpy() > 1
    if len(set(images[repeated])) < 3:
        return np.full(trials.shape[1], np.nan)
    halves = []
    for half in (0, 1):
        rows = repeated & (order % 2 == half)
        names, means = mean_of_repeats(trials[rows], images[rows])
        halves.append(pd.DataFrame(means, index=names).sort_index().to_numpy(np.float64))
    a, b = (half - half.mean(axis=0) for half in halves)
    norm = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.divide((a * b).sum(axis=0), norm, out=np.full(len(norm), np.nan), where=norm > 0)


def signal_to_noise(trials: np.ndarray, images: np.ndarray, n_at_once: int = 1000) -> np.ndarray:
    """SD of a column's signal over images divided by the SD of a single trial's noise (n_columns,), NSD's "ncsnr".

    The noise variance is that within images with several trials, pooled; the signal variance is what
    the variance of these trials has more, at least 0 (Allen et al. 2022, Nature Neuroscience). NaN
    where no image has two trials, or a column never changes.

    Parameters
    ----------
    trials : (n, n_columns), may be a memory map. n_at_once : columns that are read at the same time.
    """
    number, names = pd.factorize(images)
    counts = np.bincount(number, minlength=len(names))
    rows = np.flatnonzero(counts[number] > 1)
    result = np.full(trials.shape[1], np.nan)
    if not len(rows):
        return result
    number, names = pd.factorize(np.asarray(images)[rows])
    counts = np.bincount(number)
    for start in range(0, trials.shape[1], n_at_once):
        values = np.asarray(trials[rows, start : start + n_at_once], dtype=np.float64)
        sums = np.zeros((len(names), values.shape[1]))
        np.add.at(sums, number, values)
        within = ((values - (sums / counts[:, None])[number]) ** 2).sum(axis=0)
        noise = within / (counts - 1).sum()
        signal = np.maximum(values.var(axis=0) - noise, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            result[start : start + n_at_once] = np.where(noise > 0, np.sqrt(signal / noise), np.nan)
    return result


def noise_ceiling(ncsnr: np.ndarray, n_trials: np.ndarray) -> np.ndarray:
    """Highest correlation with anything that does not change between trials, for means over ``n_trials`` (n_images,) trials.

    √(ncsnr² / (ncsnr² + mean of 1/n)); its square is NSD's noise ceiling, a share of variance (Allen
    et al. 2022, Nature Neuroscience 25:116). NaN where the ncsnr is not known.
    """
    return np.sqrt(ncsnr**2 / (ncsnr**2 + np.mean(1 / np.asarray(n_trials))))


def ceiling_of_latents(
    decoded: np.ndarray, images: np.ndarray, n_trials: np.ndarray
) -> float | None:
    """Mean over latents of :func:`noise_ceiling` of what is decoded from single test trials.

    Means of trials decode to the mean of what the trials decode to, exactly for ridge regression. So
    the correlation of decoded and seen latents over test images cannot be higher than this, however
    the decoder maps what it gets; what is missing to it is due to the decoder. A signal
    variance cannot be below 0, so latents of noise alone count a little more than 0.

    Parameters
    ----------
    decoded : (n, n_outputs). images : (n,) which image each trial shows. n_trials : (n_images,)
    trials of each test image.

    Returns
    -------
    None where no image has two trials.
    """
    ncsnr = signal_to_noise(decoded, images)
    if np.isnan(ncsnr).all():
        return None
    return float(np.nan_to_num(noise_ceiling(ncsnr, n_trials)).mean())
