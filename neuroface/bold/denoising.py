"""Which nuisance signals are removed from a run's BOLD: the setting DENOISE, what the data state, what the run offers."""

from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Literal, NamedTuple

from neuroface import NeuroFaceError
from neuroface.bold.annotations import on_screen
from neuroface.bold.clock import first_volume_s, read_sidecar
from neuroface.bold.confounds import (
    column_confounds,
    kinds_of_confounds,
    strategy_confounds,
)
from neuroface.bold.images import open_header
from neuroface.bold.projection import Cleaning, drift_regressors
from neuroface.bold.run import Run, entities_of
from neuroface.bold.steady_state import steady_state
from neuroface.bold.windows import censored_volumes

import numpy as np
from pydantic import Field

# Values of desc- and text behind _bold of series whose authors took drift away: XCP-D, ds004044,
# Emo-FilM (FEAT), CONN.
CLEANED = ("denoised*", "ppres", "*filtered", "*[rR]esiduals", "*[cC]leaned")
SLOW = 0.25  # share of a design's variance beyond the share of regressors in volumes, which any design loses
FILTERS = "SoftwareFilters"  # XCP-D states its filter there

# Types of the three settings, for a study's settings model. The last four are nilearn's strategies.
Strategy = Literal["auto", "none", "detrend", "simple", "scrubbing", "compcor", "ica_aroma"]
Columns = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
Denoise = Strategy | Columns
HighPassHz = Annotated[float, Field(gt=0, lt=1)] | None
SmoothingMm = Annotated[float, Field(gt=0, le=30)] | None


@dataclass(frozen=True)
class Denoising:
    """What is removed from every run of a study.

    Parameters
    ----------
    denoise, high_pass_hz, smoothing_mm : the settings DENOISE, HIGH_PASS_HZ, SMOOTHING_MM.
    tr_s : seconds from one volume to the next.
    """

    denoise: Denoise
    high_pass_hz: HighPassHz
    smoothing_mm: SmoothingMm
    tr_s: float


class Design(NamedTuple):
    """When the first condition is present.

    Attributes
    ----------
    label : the condition. stretches : of each run (n, 2), onset_s and duration_s in seconds of the
    film or run.
    lag_s : seconds by which BOLD follows.
    """

    label: str
    stretches: list[np.ndarray]
    lag_s: float


def complete_denoise(values: dict) -> dict:
    """Settings with DENOISE = "auto" replaced by "none" where the whole data set is known to need nothing.

    NNDb's README: despiked, motion and tissue signals regressed, high-passed. The demos write
    series as if after that.
    """
    needs_nothing = values["DENOISE"] == "auto" and values["DATASET"] != "bids"
    return values | ({"DENOISE": "none"} if needs_nothing else {})


def stated_filter(run: Run) -> str | None:
    """Where a series states that drift was taken from it, as words; None if it does not."""
    name = run.bold.name.removesuffix(".gz").removesuffix(".nii")
    behind = name.partition("_bold")[2].strip("_")
    for value in (entities_of(run.bold.name).get("desc", ""), behind):
        if any(fnmatchcase(value, pattern) for pattern in CLEANED):
            return f"its name says {value}"
    if read_sidecar(run).get(FILTERS) not in (None, "n/a", {}):
        return f"its sidecar states {FILTERS}"
    return None


def cleaning_of(run: Run, n_volumes: int, denoising: Denoising) -> Cleaning:
    """What is taken from a run of ``n_volumes``. Labels play no part.

    Raises
    ------
    NeuroFaceError
        If confounds are asked for that the run does not have, or do not fit the series.
    """
    steady, censored = steady_state(run, n_volumes), censored_volumes(run.censor, n_volumes)
    denoise, smoothing_mm = denoising.denoise, denoising.smoothing_mm
    high_pass_hz = denoising.high_pass_hz
    counted = steady.kept & ~censored
    smoothed = [f"smoothed by {smoothing_mm:g} mm"] if smoothing_mm else []
    reason = f"DENOISE = {denoise!r}"
    if denoise == "auto" and (stated := stated_filter(run)):
        denoise, reason = "none", f"{reason}: {stated}"
    elif denoise == "auto":
        denoise, reason = "detrend", f"{reason}: nothing states that the series was filtered"
    of_censored = f"; {censored.sum()} censored volumes count for nothing" if censored.any() else ""
    if denoise == "none":
        mean_only = (
            None if counted.all() else np.ones((n_volumes, 1))
        )  # mean and SD of the volumes that count
        nothing_else = (", ".join(smoothed) or "nothing") + of_censored
        return Cleaning(mean_only, counted, smoothing_mm, nothing_else, reason, steady)
    drift, kept = drift_regressors(n_volumes, denoising.tr_s, high_pass_hz), counted
    removed = ["linear trend"]
    if high_pass_hz:
        removed.append(f"{drift.shape[1] - 2} cosines below {high_pass_hz:.2g} Hz")
    nuisance, n_scrubbed = drift, int((steady.kept & ~kept).sum())
    if denoise != "detrend":
        confounds, kept, names = _confounds(run, denoise)
        if len(kept) != n_volumes:
            raise NeuroFaceError(
                f"{run.bold} has {n_volumes} volumes and its table of confounds {len(kept)} rows. They do not belong "
                f"together: put the right table beside it, or leave {run.subject} out with EXCLUDE."
            )
        n_scrubbed, kept = int((~kept).sum()), kept & counted
        nuisance = np.hstack([drift, confounds])
        removed.append(f"{confounds.shape[1]} confounds ({names})")
    scrubbed = f"; {n_scrubbed} volumes scrubbed" if n_scrubbed else ""
    in_words = ", ".join([*removed, *smoothed]) + scrubbed
    cleaning = Cleaning(nuisance, kept, smoothing_mm, in_words, reason, steady)
    cleaning.basis  # noqa: B018  raises if nothing is left
    return cleaning


def _confounds(run: Run, denoise: str | tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, str]:
    if isinstance(denoise, str):
        return *strategy_confounds(run, denoise), f"nilearn's strategy {denoise!r}"
    confounds, kept, names = column_confounds(run, denoise)
    return confounds, kept, ", ".join(names)


def share_removed(
    stretches: np.ndarray, cleaning: Cleaning, tr_s: float, lag_s: float, start_s: float = 0.0
) -> float:
    """Share of the variance of a condition's time course (0 or 1) that the nuisance explains; NaN if it never changes.

    Parameters
    ----------
    stretches : (n, 2) onset_s and duration_s in seconds of the film or run. lag_s : by which BOLD
    follows.
    start_s : second of the film or run that the first volume shows.
    """
    shown_s = start_s + np.arange(len(cleaning.kept)) * tr_s - lag_s
    is_on = on_screen(shown_s, stretches)[cleaning.kept].astype(float)
    is_on -= is_on.mean()
    explained = np.sum((cleaning.basis[cleaning.kept].T @ is_on) ** 2)
    return float(explained / np.sum(is_on**2)) if is_on.any() else float("nan")


def _lost_of_design(
    runs: list[Run], design: Design, cleanings: list[Cleaning], denoising: Denoising
) -> list[str]:
    cleaned = [cleaning for cleaning in cleanings if cleaning.removes]
    shares = [
        share_removed(
            stretches,
            cleaning,
            denoising.tr_s,
            design.lag_s,
            first_volume_s(run, len(cleaning.kept), denoising.tr_s),
        )  # fmt: skip
        for run, stretches, cleaning in zip(runs, design.stretches, cleanings)
        if cleaning.removes
    ]
    if not np.isfinite(shares).any():
        return []
    share = np.nanmean(shares)
    by_chance = np.mean([cleaning.basis.shape[1] / cleaning.kept.sum() for cleaning in cleaned])
    line = f"{share:.0%} of the variance of {design.label!r} over time is removed with it"
    if share - by_chance > SLOW and denoising.high_pass_hz:
        line += f": slow changes are lost; lower HIGH_PASS_HZ = {denoising.high_pass_hz:.2g}, or set None"
    return [line]


def cleaning_lines(
    runs: list[Run], denoising: Denoising, has_tables: bool = True, design: Design | None = None
) -> list[str]:
    """What is taken from the runs and what their tables of confounds offer, a line for each kind of run.

    A run with volumes before the steady state has a line of its own.

    Parameters
    ----------
    has_tables : whether the data set may have tables of confounds, as BIDS data sets may; then a
    line says so if it has none.
    design : when the first condition is present; a line says how much of it is lost.
    """
    cleanings = [cleaning_of(run, open_header(run.bold)[1][3], denoising) for run in runs]
    done = Counter((cleaning.removed, cleaning.reason) for cleaning in cleanings)
    lines = [
        f"taken from the BOLD of {n} of {len(runs)} runs: {removed} ({reason})"
        for (removed, reason), n in done.items()
    ]
    if design is not None:
        lines += _lost_of_design(runs, design, cleanings, denoising)
    lines += [
        f"{run.name}: {steady.n_before} volumes before the steady state are left out: {steady.reason}"
        for run, steady in zip(runs, (cleaning.steady for cleaning in cleanings))
        if steady is not None and steady.n_before
    ]
    tables = Counter(kinds_of_confounds(run.confounds) for run in runs if run.confounds)
    lines += [
        f"confounds at hand for {n} of {len(runs)} runs: {kinds}" for kinds, n in tables.items()
    ]
    if not tables and has_tables:
        lines.append("confounds at hand: none")
    return lines


def denoise_sentences(settings: dict) -> str:
    """What the three settings do, for a methods section; empty where they do nothing."""
    text = (
        f"Volumes were smoothed by {mm:g} mm (FWHM). "
        if (mm := settings.get("SMOOTHING_MM"))
        else ""
    )
    denoise = settings.get("DENOISE", "none")
    if denoise == "none":
        return text
    high_pass_hz, has_confounds = settings["HIGH_PASS_HZ"], denoise not in ("auto", "detrend")
    removed = ["a linear trend"] + (
        [f"cosines below {high_pass_hz:.2g} Hz"] if high_pass_hz else []
    )
    if has_confounds:
        named = (
            f"nilearn's strategy “{denoise}”" if isinstance(denoise, str) else ", ".join(denoise)
        )
        removed.append(f"fMRIPrep's confounds ({named})")
    whose = " of runs whose files did not state a filter" if denoise == "auto" else ""
    text += f"By regression we removed from each voxel{whose} {' and '.join(removed)}. "
    return text + (
        "Volumes marked as outliers counted neither for the fit nor as data. "
        if has_confounds
        else ""
    )
