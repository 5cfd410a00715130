"""Feature spaces that a user made: a file per film with its own clock, checked and brought to the TRs of the film.

``FEATURE_DIR/<space>/<film>.npy`` (n_samples, n_features), or ``<film>.tsv`` with a name at the head
of each column. ``<film>.json`` beside it states the clock in BIDS words: ``SamplingFrequency`` in
Hz, ``StartTime`` in seconds of the film, and optionally ``Film``. A table whose column ``time_s``
is evenly spaced needs no such file. Sample k stands for the time from StartTime + k /
SamplingFrequency to the next sample.
"""

from dataclasses import dataclass
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline import numbers, read_json, read_text_table

import numpy as np

ENDINGS = (".npy", ".tsv")
COVERED = 0.9  # smallest share of a film's chunks that its features must cover
BEYOND = 0.02  # features may last longer than the film by this share of it, and a sample and a TR
HALF = 0.5  # a chunk has features if they cover this share of it
EVEN_S = 2e-3  # rounding of the column time_s


@dataclass(frozen=True)
class Samples:
    """Features of one film on their own clock.

    ``values`` (n_samples, n_features) float32; sample k begins at ``start_s`` + k / ``rate_hz``
    seconds of the film.
    """

    values: np.ndarray
    rate_hz: float
    start_s: float
    path: Path

    @property
    def end_s(self) -> float:
        return self.start_s + len(self.values) / self.rate_hz

    @property
    def files(self) -> list[Path]:
        """The file, and the one that states its clock, if there is one."""
        return [file for file in (self.path, self.path.with_suffix(".json")) if file.is_file()]


def feature_file(folder: Path, space: str, film: str) -> Path:
    """The file of a film's features in a space.

    Raises
    ------
    NeuroFaceError
        If there is none, or there are two.
    """
    files = [folder / space / f"{film}{ending}" for ending in ENDINGS]
    there = [file for file in files if file.is_file()]
    if not there:
        raise NeuroFaceError(
            f"FEATURES names {space!r}, which no script makes, and neither {files[0]} nor {film}.tsv is there. "
            "Write one of them, or take the name out of FEATURES."
        )
    if len(there) > 1:
        raise NeuroFaceError(f"{files[0]} and {film}.tsv are both there. Remove one of the two.")
    return there[0]


def read_samples(path: Path, film: str) -> Samples:
    """A file of features and its clock.

    Raises
    ------
    NeuroFaceError
        If the file is no table of finite numbers, nothing varies in it, its clock is not stated, or
        it states another film.
    """
    sidecar = path.with_suffix(".json")
    stated = read_json(sidecar) if sidecar.is_file() else {}
    if str(stated.get("Film", film)) != film:
        raise NeuroFaceError(
            f"{sidecar} says that these are features of {stated['Film']!r}, and the file is named after {film!r}. "
            "Correct one of the two."
        )
    values, times_s = _table(path) if path.suffix == ".tsv" else (_array(path), None)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise NeuroFaceError(
            f"{path}: sample {row}, feature {column} is {values[row, column]}. Correct or remove that feature."
        )
    if len(values) < 2 or not (values != values[0]).any():
        raise NeuroFaceError(f"{path} holds {len(values)} samples that are all equal.")
    rate_hz, start_s = _stated_clock(sidecar, stated) if times_s is None else _clock(path, times_s)
    return Samples(values.astype(np.float32), rate_hz, start_s, path)


def _array(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise NeuroFaceError(f"{path} is no array of NumPy ({error}). Write it again.") from None
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.dtype.kind not in "fiub":
        raise NeuroFaceError(
            f"{path} holds {values.dtype} of shape {values.shape}; numbers (n_samples, n_features) are needed."
        )
    return values.astype(np.float64)


def _table(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Values (n_samples, n_features) of a table, and its column time_s, if it has one."""
    table = read_text_table(path)
    columns = {name: numbers(table, name, path) for name in table}
    times_s = columns.pop("time_s", None)
    if not columns:
        raise NeuroFaceError(f"{path} has no column of features.")
    return np.column_stack(list(columns.values())).astype(float), times_s


def _clock(path: Path, times_s) -> tuple[float, float]:
    """Rate in Hz and start in seconds of evenly spaced times (n,)."""
    times_s = np.asarray(times_s, dtype=float)
    step_s = (times_s[-1] - times_s[0]) / (len(times_s) - 1)
    even = times_s[0] + step_s * np.arange(len(times_s))
    if not step_s > 0 or not np.allclose(times_s, even, atol=EVEN_S):
        raise NeuroFaceError(
            f"{path}: time_s is not evenly spaced (about {step_s:g} s). Write a row for each moment."
        )
    return 1 / step_s, float(times_s[0])


def _stated_clock(sidecar: Path, stated: dict) -> tuple[float, float]:
    try:
        rate_hz, start_s = float(stated["SamplingFrequency"]), float(stated["StartTime"])
    except (KeyError, TypeError, ValueError):
        raise NeuroFaceError(
            f'{sidecar} must state the clock: {{"SamplingFrequency": 2.0, "StartTime": 0.0}}, in Hz and in seconds '
            "of the film at which the first sample begins."
        ) from None
    if not (np.isfinite(rate_hz) and rate_hz > 0 and np.isfinite(start_s)):
        raise NeuroFaceError(
            f"{sidecar}: SamplingFrequency {rate_hz:g} and StartTime {start_s:g} are no clock."
        )
    return rate_hz, start_s


def check_length(samples: Samples, film: str, n_chunks: int, tr_s: float, film_s: float) -> None:
    """Refuse features that cannot be those of the film.

    Parameters
    ----------
    n_chunks : chunks of the film that are used. film_s : length of the film in seconds; infinite if
        it is not known.

    Raises
    ------
    NeuroFaceError
        If they cover less than 90 % of the chunks, or go on for more than 2 % after the film's end.
    """
    used_s = n_chunks * tr_s
    covered = min(samples.end_s, used_s) - max(samples.start_s, 0.0)
    longest = film_s * (1 + BEYOND) + 1 / samples.rate_hz + tr_s
    if covered < COVERED * used_s or samples.end_s > longest:
        lasts = f"{film_s:.1f} s" if np.isfinite(film_s) else "unknown"
        raise NeuroFaceError(
            f"{samples.path}: {len(samples.values)} samples at {samples.rate_hz:g} Hz go from second "
            f"{samples.start_s:.1f} to {samples.end_s:.1f}; {film} has {used_s:.1f} s of BOLD (length of the film: "
            f"{lasts}). Are these features of another film, or is their clock wrong?"
        )


def check_distinct_films(files: dict[str, Samples]) -> None:
    """Refuse two films with the same features: one of the files is a copy of the other.

    Raises
    ------
    NeuroFaceError
        If they have.
    """
    seen: dict[bytes, Samples] = {}
    for film, samples in files.items():
        content = samples.values.tobytes()
        if content in seen:
            raise NeuroFaceError(
                f"{samples.path} holds the same numbers as {seen[content].path}: one of them is not of {film}."
            )
        seen[content] = samples


def over_trs(samples: Samples, n_chunks: int, tr_s: float) -> np.ndarray:
    """Mean of each feature over each TR: (n_chunks, n_features) float32; NaN where less than half of it is covered.

    Features are constant within a sample, so the means are exact whether samples are shorter or
    longer than a TR.
    """
    edges_s = samples.start_s + np.arange(len(samples.values) + 1) / samples.rate_hz
    integral = np.zeros((len(edges_s), samples.values.shape[1]))
    np.cumsum(samples.values, axis=0, dtype=np.float64, out=integral[1:])
    times_s = np.clip(np.arange(n_chunks + 1) * tr_s, edges_s[0], edges_s[-1])
    place = (times_s - edges_s[0]) * samples.rate_hz
    left = np.minimum(place.astype(int), len(samples.values) - 1)
    at_edges = integral[left] + (place - left)[:, None] * samples.values[left]
    covered = np.diff(times_s) * samples.rate_hz  # in samples
    enough = covered >= HALF * tr_s * samples.rate_hz
    means = np.diff(at_edges, axis=0) / np.where(enough, covered, np.nan)[:, None]
    return means.astype(np.float32)
