"""A script's work in units that a rerun need not do again."""

from collections.abc import Callable, Iterable
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline.workers import run_units


def missing_units(units: Iterable, done: Callable, what: str) -> list:
    """The units that are not done yet; says how many are.

    Parameters
    ----------
    done : ``done(unit)`` tells whether an earlier run of the script made it.
    what : name of the units, in the plural.
    """
    units = list(units)
    missing = [unit for unit in units if not done(unit)]
    if len(missing) < len(units):
        print(f"  {what}: {len(units) - len(missing)} of {len(units)} already there, not made again", flush=True)
    return missing


def make_units(work: Callable, units: list, done: Callable, what: str, folder: Path, cfg, script: str) -> None:
    """Call ``work(unit)`` for every unit, ``N_JOBS`` at a time or on ``DASK_SCHEDULER``'s workers.

    Parameters
    ----------
    work : writes the unit's files, the one that ``done`` looks for last. See :func:`neuroface.pipeline.workers.run_units`.
    folder : where the files go. script : its name, for messages.
    """

    def once(unit):  # a cluster gives a unit out again when the worker that made it dies before it can say so
        if not done(unit):
            work(unit)

    run_units(once, units, cfg.N_JOBS, what, cfg.DASK_SCHEDULER)
    list(folder.rglob("*"))  # a network file system may still remember that a file was not there
    if lost := [unit for unit in units if not done(unit)]:
        raise NeuroFaceError(
            f"{len(lost)} of {len(units)} {what} are not in {folder}, though no worker failed. Do all workers see that "
            f"folder under the same path? Run {script} again; it resumes."
        )
