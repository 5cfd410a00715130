"""Work of a script in units; a rerun skips finished units."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroface import NeuroFaceError
from neuroface.pipeline.progress import UnitName
from neuroface.pipeline.workers import run_units

Files = Path | Iterable[Path]


def all_exist(files: Files) -> bool:
    """Whether a file, or every one of several files, exists."""
    return all(file.exists() for file in ([files] if isinstance(files, Path) else files))


@dataclass(frozen=True)
class UnitFiles:
    """Files of units of work, and so which units are done; the arguments are those of :meth:`Stage.each`."""

    files: Callable[[Any], Files] | None = None
    joined: Callable[[Any], Files] | None = None
    valid: Callable[[Any], bool] | None = None

    def are_done(self, unit) -> bool:
        """Whether an earlier run of the script finished a unit."""
        if self.joined and all_exist(self.joined(unit)):
            return True
        if not all_exist(self.files(unit) if self.files else unit):
            return False
        return self.valid is None or self.valid(unit)


def missing_units(units: Iterable, of_units: UnitFiles, plural: str) -> list:
    """The units that are not done yet; prints how many are done.

    Parameters
    ----------
    plural : name of the units, in the plural.
    """
    units = list(units)
    missing = [unit for unit in units if not of_units.are_done(unit)]
    if len(missing) < len(units):
        print(
            f"  {plural}: {len(units) - len(missing)} of {len(units)} already there, not made again",
            flush=True,
        )
    return missing


def make_units(
    work: Callable,
    units: list,
    of_units: UnitFiles,
    plural: str,
    folder: Path,
    cfg,
    script: str,
    name_of: Callable[[Any], UnitName] | None = None,
) -> None:
    """Call ``work(unit)`` for every unit, ``N_JOBS`` at a time or on ``DASK_SCHEDULER``'s workers.

    Parameters
    ----------
    work : writes the unit's files. See :func:`neuroface.pipeline.workers.run_units`.
    folder : where the files are written. script : its name, for messages.
    name_of : what a unit is called in progress messages.
    """

    def once(
        unit,
    ):  # a cluster repeats a unit whose worker died before it reported that the unit is done
        if not of_units.are_done(unit):
            work(unit)

    run_units(once, units, cfg.N_JOBS, plural, cfg.DASK_SCHEDULER, name_of)
    list(folder.rglob("*"))  # makes a network file system look for new files
    if lost := [unit for unit in units if not of_units.are_done(unit)]:
        raise NeuroFaceError(
            f"{len(lost)} of {len(units)} {plural} are not in {folder}, though no worker failed. Do all workers see that "
            f"folder under the same path? Run {script} again; it resumes."
        )


def remake_units(work: Callable, units: list, plural: str, folder: Path, cfg) -> None:
    """Call ``work(unit)`` for every unit, done or not; the arguments are those of :func:`make_units`."""
    run_units(work, units, cfg.N_JOBS, plural, cfg.DASK_SCHEDULER)
    list(folder.rglob("*"))  # makes a network file system look for new files
