"""Confounds of a run from its table: fMRIPrep's strategies by nilearn, or columns by name."""

import re
import warnings
from fnmatch import fnmatchcase
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.bids import CONFOUND_TABLES
from neuroface.bold.run import Run
from neuroface.pipeline import numbers, read_text_table

import numpy as np

STRATEGIES = ("simple", "scrubbing", "compcor", "ica_aroma")  # nilearn's names
GROUPS = {  # kind of columns in fMRIPrep's table → how their names begin
    "motion": r"(trans|rot)_[xyz]",
    "tissue signals": r"(csf|white_matter|global_signal|csf_wm)(_|$)",
    "CompCor": r"[a-z]*_comp_cor",
    "cosines": r"cosine\d",
    "AROMA": r"aroma_motion",
    "volumes to scrub": r"(motion_outlier|non_steady_state_outlier)",
}
MOST_LISTED = 15


def strategy_confounds(run: Run, strategy: str) -> tuple[np.ndarray, np.ndarray]:
    """Confounds (n_volumes, n) float64 and kept volumes (n_volumes,) bool of one of ``STRATEGIES``.

    nilearn reads fMRIPrep's table beside the series. Volumes before the steady state are not kept
    either.

    Raises
    ------
    NeuroFaceError
        If nilearn cannot: no table, an old one, or a series that the strategy is not for.
    """
    from nilearn.interfaces.fmriprep import (
        load_confounds_strategy,
    )  # its import takes 100 MB in each process

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            table, sample_mask = load_confounds_strategy(str(run.bold), denoise_strategy=strategy)
    except (ValueError, OSError, KeyError) as error:
        why = " ".join(str(error).split())
        raise NeuroFaceError(
            f"{run.bold}: DENOISE = {strategy!r} needs the confounds of fMRIPrep for this series, and nilearn says: {why} "
            f"{_offer(run)}"
        ) from None
    kept = np.ones(len(table), dtype=bool)
    if sample_mask is not None:
        kept[:] = False
        kept[sample_mask] = True
    return table.to_numpy(np.float64), kept


def column_confounds(
    run: Run, patterns: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Confounds (n_volumes, n) float64, kept volumes (n_volumes,) bool, and names of the columns that ``patterns`` name.

    A column that is 0 except in one volume (``motion_outlier00``) scrubs this volume. Where a
    column is missing in the first row, as derivatives are, the second row's value counts, as in
    nilearn.

    Parameters
    ----------
    patterns : names; "*" stands for anything.

    Raises
    ------
    NeuroFaceError
        If there is no table, it lacks a column, or a value is missing in another row.
    """
    if run.confounds is None:
        raise NeuroFaceError(
            f"{run.bold}: DENOISE names columns of confounds, and there is no table *{CONFOUND_TABLES[0]}. Set DENOISE to "
            f'"auto".'
        )
    table = read_text_table(run.confounds)
    names = []
    for pattern in patterns:
        matching = [name for name in table.columns if fnmatchcase(name, pattern)]
        if not matching:
            raise NeuroFaceError(
                f"{run.confounds} has no column {pattern!r} of DENOISE. {_offer(run)}"
            )
        names += [name for name in matching if name not in names]
    columns = np.column_stack([_filled(table, name, run.confounds) for name in names])
    marks_one = ((columns != 0).sum(axis=0) == 1) & (columns.max(axis=0) == 1)
    kept = ~np.any(columns[:, marks_one], axis=1)
    return columns[:, ~marks_one], kept, names


def _filled(table, name: str, path: Path) -> np.ndarray:
    values = numbers(table, name, path)
    if len(values) > 1 and np.isnan(values[0]):
        values[0] = values[1]
    if np.isnan(values).any():
        raise NeuroFaceError(
            f"{path}, line {table.index[np.isnan(values).argmax()]}: {name} is missing. Only the first row "
            f"of a confound may be. Correct the file, or leave the column out of DENOISE."
        )
    return values


def _offer(run: Run) -> str:
    """What else the user can set."""
    if run.confounds is None:
        return 'There is no table of confounds for this run. Set DENOISE to "auto" or "detrend".'
    return f"{run.confounds.name} has {kinds_of_confounds(run.confounds)}. DENOISE may name its columns."


def kinds_of_confounds(path: Path) -> str:
    """What a table of confounds holds: kinds of columns with their number, others by name."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        names = [name.strip().strip('"') for name in file.readline().split("\t")]
    groups: dict[str, list[str]] = {}
    for name in names:
        group = next((group for group, pattern in GROUPS.items() if re.match(pattern, name)), name)
        groups.setdefault(group, []).append(name)
    listed = [
        f"{group} ({len(columns)})" if group in GROUPS else group
        for group, columns in groups.items()
    ]
    return ", ".join(listed[:MOST_LISTED]) + (
        f" and {len(listed) - MOST_LISTED} more" if len(listed) > MOST_LISTED else ""
    )
