"""Work of a script in units; a rerun skips finished units."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from neuroface import NeuroFaceError
from neuroface.pipeline.progress import UnitName
from neuroface.pipeline.workers import run_units


def missing_units(units: Iterable, done: Callable, what: str) -> list:
    """The units that are not done yet; prints how many are done.

    Parameters
    ----------
    done : ``done(unit)`` tells whether an earlier run of the script made it.
    what : name of the units, in the plural.
    """
    units = list(units)
    missing = [unit for unit in units if not done(unit)]
    if len(missing) < len(units):
        print(
            f"  {what}: {len(units) - len(missing)} of {len(units)} already there, not made again",
            flush=True,
        )
    return missing


def make_units(
    work: Callable,
    units: list,
    done: Callable,
    what: str,
    folder: Path,
    cfg,
    script: str,
    name_of: Callable[[Any], UnitName] | None = None,
) -> None:
    """Call ``work(unit)`` for every unit, ``N_JOBS`` at a time or on ``DASK_SCHEDULER``'s workers.

    Parameters
    ----------
    work : writes the unit's files; the file that ``done`` checks must be written last. See
        :func:`neuroface.pipeline.workers.run_units`.
    folder : where the files are written. script : its name, for messages.
    name_of : what a unit is called in progress messages.
    """

    def once(
        unit,
    ):  # a cluster repeats a unit whose worker died before it reported that the unit is done
        if not done(unit):
            work(unit)

    run_units(once, units, cfg.N_JOBS, what, cfg.DASK_SCHEDULER, name_of)
    list(folder.rglob("*"))  # makes a network file system look for new files
    if lost := [unit for unit in units if not done(unit)]:
        raise NeuroFaceError(
            f"{len(lost)} of {len(units)} {what} are not in {folder}, though no worker failed. Do all workers see that "
            f"folder under the same path? Run {script} again; it resumes."
        )
