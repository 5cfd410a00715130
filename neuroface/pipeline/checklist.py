"""What ``--check`` prints, and what it finds wrong. Nothing is written."""

import os
import re
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from neuroface import NeuroFaceError
from neuroface.pipeline.settings import command_of
from neuroface.pipeline.study import Study

import psutil

NONE = "–"
NAMES_SHOWN = 8  # of files with the same problem


class Checklist:
    """Print what a data set holds, collect what is wrong, and end with both.

    It takes the place of a :class:`~neuroface.pipeline.stage.Stage` in functions that only leave
    things out or write small tables, so that ``--check`` decides as the script does. ``folder`` is
    a temporary one.

    Parameters
    ----------
    study : the study whose data are checked. cfg : its settings.
    """

    def __init__(self, study: Study, cfg):
        self.study, self.cfg = study, cfg
        self.problems: list[str] = []
        self.left_out: list[tuple[str, str]] = []
        self._temporary = TemporaryDirectory(prefix="check-")  # removed with this object
        self.folder = Path(self._temporary.name)
        print(f"{study.step(1).script} --check: reads {cfg.DATASET_DIR}, writes nothing")

    def say(self, text: str) -> None:
        print(f"  {text}", flush=True)

    def wrong(self, problem: str) -> None:
        """Note what would stop a script; it is printed at the end."""
        if problem not in self.problems:
            self.problems.append(problem)

    def leave_out(self, item: str, why: str) -> None:
        """As :meth:`Stage.leave_out`; what two scripts leave out is printed once."""
        if (item, why) not in self.left_out:
            self.left_out.append((item, why))
            self.say(f"left out: {item}: {why}")

    def take_files(self, files, used) -> None:
        """As :meth:`Stage.take_files`; nothing is recorded."""

    def try_to(self, work, *arguments):
        """``work(*arguments)``; if that is not possible, None, and the reason is noted as wrong."""
        try:
            return work(*arguments)
        except NeuroFaceError as error:
            self.wrong(str(error))
        except OSError as error:
            self.wrong(f"{error.filename or self.cfg.DATASET_DIR}: {error.strerror or error}")
        return None

    def table(self, rows: list[dict[str, object]], keys: int = 2) -> None:
        """Print rows as a table; what is the same in all rows is said once, above it.

        Parameters
        ----------
        rows : column → value; None or "" prints as a dash. keys : columns at the beginning that are
        always printed.
        """
        if not rows:
            return
        columns = list(dict.fromkeys(name for row in rows for name in row))
        cells = {name: [_cell(row.get(name)) for row in rows] for name in columns}
        same = [name for name in columns[keys:] if len(set(cells[name])) == 1]
        for name in same:
            if cells[name][0] != NONE:
                self.say(f"{name}: {cells[name][0]}{' (all runs)' if len(rows) > 1 else ''}")
        if lacking := [name for name in same if cells[name][0] == NONE]:
            self.say(f"no run has: {'; '.join(lacking)}")
        shown = [name for name in columns if name not in same]
        widths = {name: max(len(name), *map(len, cells[name])) for name in shown}
        for line in (
            [name.ljust(widths[name]) for name in shown],
            *zip(*(_padded(cells[n], widths[n]) for n in shown)),
        ):
            self.say("  ".join(line).rstrip())

    def machine(self, disk_gb: float, memory_gb: float, of_memory: str) -> None:
        """Say how much disk and memory the study needs and how much there is.

        Parameters
        ----------
        disk_gb : disk space of all results. memory_gb : largest memory. of_memory : which script needs
        it, and why.
        """
        results, there = self._results
        made = sum(file.stat().st_size for file in results.rglob("*") if file.is_file())
        free_gb, available_gb = (
            (shutil.disk_usage(there).free + made) / 1e9,
            psutil.virtual_memory().available / 1e9,
        )
        disk, free = sizes_text(disk_gb, free_gb)
        memory, available = sizes_text(memory_gb, available_gb)
        self.say(
            f"disk: about {disk} needed in {results}, {free} free (with what it already holds)"
        )
        self.say(f"memory: about {memory} needed by {of_memory}, {available} available")
        if disk_gb > free_gb:
            self.wrong(f"too little disk: about {disk} are needed, {free} are free at {there}")
        if memory_gb > available_gb:
            self.wrong(
                f"too little memory: {of_memory} needs about {memory}, {available} are available. Lower N_JOBS"
            )

    @property
    def _results(self) -> tuple[Path, Path]:
        """The folder of the results, and the nearest folder to it that is there."""
        results = Path(self.cfg.DATA_DIR) / self.cfg.RUN_NAME
        return results, next(place for place in (results, *results.parents) if place.exists())

    def finish(self, next_scripts: int = 3) -> None:
        """Print what is wrong, also whether DATA_DIR cannot be written; or the next commands.

        Raises
        ------
        NeuroFaceError
            If something is wrong.
        """
        _, there = self._results
        if not (there.is_dir() and os.access(there, os.W_OK)):
            self.wrong(
                f"DATA_DIR: {there} cannot be written. Change its permissions, or choose another DATA_DIR."
            )
        for problem, others in alike(self.problems):
            self.say(f"wrong: {problem}")
            if others:
                names = ", ".join(others[:NAMES_SHOWN]) + (
                    ", …" if len(others) > NAMES_SHOWN else ""
                )
                self.say(f"  the same of {len(others)} more: {names}")
        if self.problems:
            raise NeuroFaceError(
                f"{len(self.problems)} problem{'s' * (len(self.problems) > 1)} with {self.cfg.DATASET_DIR}, the settings or "
                f"this machine, listed above. Solve them and run --check again."
            )
        self.say("nothing is wrong. Next:")
        folder = Path(sys.argv[0]).parent
        for step in self.study.steps[:next_scripts]:
            self.say(f"  {command_of(folder / step.script)}")


def alike(problems: list[str]) -> list[tuple[str, list[str]]]:
    """Problems of files, ``<path>: <reason>``, of which each reason stands once; and the names of the further files."""
    groups: dict[str, tuple[str, list[str]]] = {}
    for problem in problems:
        path, colon, reason = problem.partition(": ")
        file = re.sub(r", line \d+$", "", path)
        names_a_file = bool(colon) and "/" in file and " " not in Path(file).name
        key = reason if names_a_file else problem
        if key in groups:
            groups[key][1].append(Path(path).name)
        else:
            groups[key] = problem, []
    return list(groups.values())


def memory_of_processes(
    own_gb: dict[str, float], n_jobs: int, process_gb: float
) -> tuple[float, str]:
    """GB at the worst moment of a study's scripts with N_JOBS processes, and when that is.

    Parameters
    ----------
    own_gb : name of a moment → GB of a unit of work then. process_gb : of a process without work.
    """
    moment = max(own_gb, key=lambda name: own_gb[name])
    n_processes = n_jobs + (n_jobs > 1)  # the script itself waits
    return n_processes * process_gb + n_jobs * own_gb[moment], f"{moment} with N_JOBS = {n_jobs}"


def sizes_text(needed_gb: float, there_gb: float) -> tuple[str, str]:
    """Two sizes with as many digits as tell them apart, such as 0.084 GB and 0.071 GB."""
    for digits in range(1, 7):
        needed, there = f"{needed_gb:.{digits}f} GB", f"{there_gb:.{digits}f} GB"
        if needed != there or needed_gb == there_gb:
            break
    return needed, there


def _cell(value) -> str:
    return (
        NONE
        if value is None or value == ""
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _padded(cells: list[str], width: int) -> list[str]:
    return [cell.ljust(width) for cell in cells]
