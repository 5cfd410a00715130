"""Patterns of trials: standardised on the training set, averaged over repeats, and how reliable they are."""

from neuroface.bold import RunningStatistics

import numpy as np
import pandas as pd


class Scaler:
    """Standardise trials on the training trials.

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
            self._statistics.setdefault(
                session if self.method == "session" else "all", RunningStatistics()
            ).add(trials)
        for part, moments in self._moments.items():
            values = trials[:, self.parts == part].astype(np.float64)
            moments[:] = (
                moments[0] + values.size,
                moments[1] + values.sum(),
                moments[2] + np.square(values).sum(),
            )

    def transform(self, session: str, trials: np.ndarray) -> np.ndarray:
        """Trials (n, n_columns) as float32. "global" leaves the scaling of test means to :meth:`finish_test`."""
        if self.method == "global":
            centre, scale = np.empty(len(self.parts)), np.empty(len(self.parts))
            for part, (n, total, squares) in self._moments.items():
                centre[self.parts == part] = total / n
                scale[self.parts == part] = 1 / np.sqrt(squares / n - (total / n) ** 2)
            return ((trials - centre) * scale).astype(np.float32)
        key = session if self.method == "session" else "all"
        if (
            key not in self._statistics
        ):  # a session of test trials alone has only its own mean and SD
            self._statistics[key] = RunningStatistics()
            self._statistics[key].add(trials)
        return self._statistics[key].standardize(trials)

    def finish_test(self, means: np.ndarray) -> np.ndarray:
        """Means of test images (n, n_columns), standardised once more by their own mean and SD if ``method`` is "global"."""
        if self.method != "global":
            return means
        result = means.copy()
        for part in self._moments:
            values = means[:, self.parts == part]
            result[:, self.parts == part] = (values - values.mean()) / values.std()
        return result

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
