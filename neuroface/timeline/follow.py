"""Follow a run while it is being scanned: volumes appear in a folder one after another, one file each."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import (
    UNREADABLE,
    Denoising,
    FilmEvent,
    RunningStatistics,
    check_grid,
    count_bright,
    smoothed_volumes,
    stimulus_time_s,
)
from neuroface.pipeline import PARTIAL
from neuroface.timeline.live_cleaning import LiveCleaner
from neuroface.timeline.model_for_run import RunModels

import nibabel as nib
import numpy as np
from nibabel.spatialimages import SpatialImage

POLL_S = 0.05
NUMBER = re.compile(r"(\d+)\.nii(\.gz)?$")


def volume_number(path: Path) -> int | None:
    """The number at the end of a volume's file name (``vol-0012.nii.gz`` → 12); None for other and temporary files."""
    number = NUMBER.search(path.name)
    return int(number.group(1)) if number and not path.name.startswith((".", PARTIAL)) else None


def read_volume(
    path: Path, mask: np.ndarray, affine: np.ndarray, smoothing_mm: float | None = None
) -> np.ndarray | None:
    """A 3D volume's voxels (n_voxels,) float32 in C order of the mask; None while its file is incomplete.

    Parameters
    ----------
    smoothing_mm : FWHM of a Gaussian by which the volume is smoothed before the mask; None: not at
    all.

    Raises
    ------
    NeuroFaceError
        If the file is complete and has another grid than the mask, or is not 3D.
    """
    try:
        image = nib.load(path)
    except Exception:  # half a header can raise any error
        return None
    if not isinstance(image, SpatialImage) or image.affine is None:
        raise NeuroFaceError(
            f"{path} holds a {type(image).__name__}, which has no place in space. Export 3D NIfTI files."
        )
    if len(image.shape) != 3 and image.shape[3:] != (1,):
        raise NeuroFaceError(
            f"{path} has shape {image.shape}: a file must hold one volume (x, y, z). Export 3D files."
        )
    check_grid(path, image.shape, image.affine, mask.shape, affine)
    try:
        values = np.asanyarray(
            image.dataobj
        )  # a short file ends too early; a .gz is also checked by its checksum
    except UNREADABLE:
        return None
    values = values.reshape(mask.shape)
    if smoothing_mm:
        values = smoothed_volumes(values.T[None], affine, smoothing_mm)[0].T
    return values[mask].astype(np.float32)


def follow_volumes(
    folder: Path,
    mask: np.ndarray,
    affine: np.ndarray,
    patience_s: float,
    idle_s: float,
    smoothing_mm: float | None = None,
):
    """Yield ``(number, volume, since)`` in the order of their numbers; ``volume`` is None for a missing one.

    ``since`` (:func:`time.monotonic`) is the time at which reading the complete file began.

    The first volume is the one with the lowest number at the start. An incomplete file is read
    again until it is complete. A volume counts as missing if it is absent or incomplete when later
    volumes have existed for ``patience_s``.

    Parameters
    ----------
    idle_s : ends when no new volume has arrived for this time. smoothing_mm : as in
    :func:`read_volume`.

    Raises
    ------
    NeuroFaceError
        If no volume arrives, or the last file stays incomplete for ``idle_s``.
    """
    number: int | None = None
    overtaken_since: float | None = None  # when a later file was first seen
    last_news = time.monotonic()
    while True:
        files = {
            n: path for path in folder.glob("*.nii*") if (n := volume_number(path)) is not None
        }
        number = min(files, default=None) if number is None else number
        now = time.monotonic()
        volume = read_volume(files[number], mask, affine, smoothing_mm) if number in files else None
        later = number is not None and max(files) > number
        if volume is None and later and overtaken_since is None:
            overtaken_since = now
        waited_s = now - overtaken_since if later and overtaken_since is not None else 0.0
        if number is not None and (volume is not None or waited_s > patience_s):
            yield number, volume, now
            number, last_news, overtaken_since = number + 1, time.monotonic(), None
        elif now - last_news > idle_s:
            if number is None:
                raise NeuroFaceError(
                    f"No volume <number>.nii or .nii.gz arrived in {folder} within {idle_s:g} s."
                )
            if number in files:
                raise NeuroFaceError(
                    f"{files[number]} is still incomplete after {idle_s:g} s, or is damaged."
                )
            return
        else:
            time.sleep(POLL_S)


class LiveStandardizer:
    """Standardise volumes as they arrive, while the run's mean and SD are unknown.

    The first ``baseline_trs`` volumes are held back until all of them are there, and standardised
    together. Each later volume is standardised once, by mean and SD of all volumes so far,
    including itself. So a late volume gets nearly the values of a recorded run; an early volume is
    standardised by few volumes. With ``baseline_trs`` 0 volumes are not changed.
    """

    def __init__(self, n_voxels: int, baseline_trs: int):
        self._statistics, self._baseline_trs = RunningStatistics(), baseline_trs
        self._held: list[np.ndarray | None] = []
        self._last = np.zeros((1, n_voxels), dtype=np.float32)

    def push(self, volume: np.ndarray | None) -> np.ndarray:
        """Volumes (n, n_voxels) float32 that are ready: first none, then the whole baseline, then one per call.

        A missing volume (None) is replaced by the one before it, and does not count for mean and
        SD.
        """
        if volume is not None:
            self._statistics.add(volume[None])
        self._held.append(volume)
        if self._statistics.n < self._baseline_trs:
            return np.empty((0, self._last.shape[1]), dtype=np.float32)
        ready = []
        for held in self._held:
            if held is not None:
                self._last = (
                    self._statistics.standardize(held[None]) if self._baseline_trs else held[None]
                )
            ready.append(self._last)
        self._held = []
        return np.concatenate(ready)


class SteadyStart:
    """Hold the first volumes back until ``n_held`` are there, and make those before the steady state missing ones.

    The rule is that of recorded runs (:func:`neuroface.bold.count_bright`); fewer than ten volumes
    are not judged.
    """

    def __init__(self, n_held: int):
        self._n_held = n_held
        self._held: list[np.ndarray | None] = []
        self.n_bright = 0

    def push(self, volume: np.ndarray | None) -> list[np.ndarray | None]:
        """The volumes that may be used: first none, then all that were held back, then each as it comes."""
        if not self._n_held:
            return [volume]
        self._held.append(volume)
        there = {number: held for number, held in enumerate(self._held) if held is not None}
        if len(there) < self._n_held:
            return []
        self.n_bright = count_bright(np.stack(list(there.values())))
        for number in list(there)[: self.n_bright]:
            self._held[number] = None
        ready, self._held, self._n_held = self._held, [], 0
        return ready


def film_begins_s(film_event: FilmEvent) -> float | None:
    """The second of a run that is being scanned at which its film begins; None if only a log written later says it."""
    if film_event is None:
        return 0.0
    return float(film_event) if isinstance(film_event, int | float) else None


@dataclass(frozen=True)
class LiveSettings:
    """What live predictions need to know of an experiment.

    Parameters
    ----------
    window_trs, lag_s, prediction_at, standardize, film_event : WINDOW_TRS, LAG_S, PREDICTION_AT,
    STANDARDIZE, FILM_EVENT.
    baseline_trs : FOLLOW_BASELINE_TRS, volumes before the first prediction, for mean and SD.
    denoising : what is removed from BOLD; of volumes that arrive only drift is.
    """

    window_trs: int
    lag_s: float
    prediction_at: float
    standardize: str
    film_event: FilmEvent
    baseline_trs: int
    denoising: Denoising


class LivePrediction:
    """Turns volumes into rows of the live table.

    Where FILM_EVENT names an event, ``stimulus_time_s`` and ``seen_in_training`` are "n/a": nobody
    knows yet when the film began.

    Parameters
    ----------
    predictor : result of :func:`neuroface.timeline.sliding.sliding_predictor`. settings : of the experiment.
    models : result of :func:`neuroface.timeline.model_for_run.choose_models`, a single model; None: the film is
    unknown.
    """

    COLUMNS = (
        "tr",
        "stimulus_time_s",
        "probability",
        "logit",
        "seen_in_training",
        "missing_in_window",
        "latency_s",
    )

    def __init__(self, predictor, settings: LiveSettings, models: RunModels | None):
        self._predictor, self._settings, self._models = predictor, settings, models
        denoising = settings.denoising
        self._film_begins_s = film_begins_s(settings.film_event)
        if denoising.denoise == "none":
            baseline_trs = 0 if settings.standardize == "none" else settings.baseline_trs
            self._start = SteadyStart(baseline_trs)
            self._standardizer: LiveStandardizer | LiveCleaner = LiveStandardizer(
                predictor.n_voxels, baseline_trs
            )
        else:
            self._start = SteadyStart(settings.baseline_trs)
            self._standardizer = LiveCleaner(
                predictor.n_voxels,
                settings.baseline_trs,
                denoising.tr_s,
                denoising.high_pass_hz,
                settings.standardize,
            )
        self._n_arrived, self._n_missing = 0, 0
        self._missing: list[bool] = []  # per volume that is no longer held back
        self._n_ready = 0
        self._latencies: list[float] = []
        predictor.reset()
        predictor.push(
            np.zeros((1, predictor.n_voxels), np.float32)
        )  # compiles before the first volume arrives
        predictor.reset()

    def push(self, volume: np.ndarray | None, since: float) -> list[dict]:
        """One row for each volume that is ready and completes a window; ``tr`` is the window's first volume."""
        self._n_arrived += 1
        self._n_missing += volume is None
        rows = [row for ready in self._start.push(volume) for row in self._rows_of(ready, since)]
        if len(rows) == 1:
            self._latencies.append(rows[0]["latency_s"])
        return rows

    @property
    def n_bright(self) -> int:
        """How many of the first volumes were not measured in the steady state, as far as it is known."""
        return self._start.n_bright

    def _rows_of(self, volume: np.ndarray | None, since: float) -> list[dict]:
        window_trs, rows = self._settings.window_trs, []
        self._missing.append(volume is None)
        for ready in self._standardizer.push(volume):
            logit = float(self._predictor.push(ready[None])[0])
            self._n_ready += 1
            tr = self._n_ready - window_trs
            if tr >= 0:
                row = {
                    "tr": tr,
                    "stimulus_time_s": self._stimulus_time_s(tr),
                    "probability": float(1 / (1 + np.exp(-logit))),
                    "logit": logit,
                    "seen_in_training": self._seen(tr),
                    "missing_in_window": sum(self._missing[tr : tr + window_trs]),
                    "latency_s": round(time.monotonic() - since, 4),
                }
                rows.append(row)
        return rows

    def _stimulus_time_s(self, tr: int) -> float | str:
        """Second of the film that the window from volume ``tr`` on predicts; n/a if nobody knows when the film began."""
        if self._film_begins_s is None:
            return "n/a"
        settings = self._settings
        second = stimulus_time_s(
            np.array(tr), settings.denoising.tr_s, settings.lag_s, settings.window_trs, settings.prediction_at
        )  # fmt: skip
        return float(second) - self._film_begins_s

    def _seen(self, tr: int) -> int | str:
        """Whether the model saw this moment of the film or a neighbour, with any viewer; n/a if the moment is unknown."""
        if self._models is None or self._film_begins_s is None:
            return "n/a"
        return int(self._models.saw(self._models.folds[0], tr + 1)[tr])

    def summary(self) -> str:
        """Number of volumes and predictions, and their latency, as text."""
        took = (
            f", {np.median(self._latencies):.3f} s after their volume (at most {max(self._latencies):.3f})"
            if self._latencies
            else ""
        )
        came = f"{self._n_arrived} volumes, {self._n_missing} of them missing"
        if self.n_bright:
            came += f", {self.n_bright} before the steady state"
        return f"{came}; {max(0, self._n_ready - self._settings.window_trs + 1)} predictions{took}"


def live_line(row: dict) -> str:
    """A row of the live table as a line to print."""
    second = row["stimulus_time_s"]
    when = f"volume {row['tr']:4d}" if second == "n/a" else f"{second:8.1f} s"
    return f"  {when}  probability {row['probability']:.3f}"
