"""Which of several annotations of a BIDS run counts: its own table of events, one in ``stimuli/``, or a ``.1D`` file."""

import re
from collections.abc import Mapping
from pathlib import Path

Annotations = tuple[
    tuple[str, Path], ...
]  # (name of an event, its file); "" for a table of all events


def choose_annotations(
    events: list[Path], single: Mapping[str, list[Path]], unknown: set[Path], folders: list[Path], of_data: set[Path],
    column: str | None,
) -> tuple[Annotations, tuple[Path, ...]]:  # fmt: skip
    """The annotations of a run, and those that gave way and should be named.

    A ``.1D`` file in ``stimuli/`` of the data set wins, because people put it there: script 0's
    page makes one. Then come the run's own tables, then what script 0 left in FILM_DIR. A table
    that names none of the events is passed over if another names one: StudyForrest's list frames.

    Parameters
    ----------
    events : tables of all events, the best first. single : name of an event that is wanted → its
        ``.1D`` files, the best first. unknown : files that are not fetched. folders : those of
        ``stimuli/``, in their order; ``of_data`` : those of them that belong to the data set.
        column : the column that a table must have; None: any table is used.
    """
    wanted = tuple(single)
    if column:
        naming = [file for file in events if file in unknown or names_events(file, column, wanted)]
        events_by_rank = (
            naming or [file for file in events if names_events(file, column, ())] or events
        )
    else:
        events_by_rank = events
    table = next(iter(events_by_rank), None)
    chosen = {
        name: files[0] for name, files in single.items() if files and _wins(files[0], table, folders, of_data)
    }  # fmt: skip
    if table and set(chosen) < set(wanted) or table and not wanted:
        chosen[""] = table
    if not chosen or "" not in chosen and set(chosen) < set(wanted):
        return (), ()
    used = set(chosen.values())
    passed = events[: events.index(table)] if table else []  # they name none of the events
    lost = [
        file
        for file in [*events, *(file for files in single.values() for file in files)]
        if file.parent in folders
    ]
    beside = {file.parent for file in used}  # script 0 writes a table and single events together
    not_used = [
        *(file for file in passed if file not in used),
        *(file for file in lost if file.parent not in beside),
    ]
    return tuple(chosen.items()), tuple(dict.fromkeys(not_used))


def _wins(single: Path, table: Path | None, folders: list[Path], of_data: set[Path]) -> bool:
    """Whether a ``.1D`` file counts more than a table of events."""
    if table is None or single.parent in of_data:
        return True
    return {single.parent, table.parent} <= set(folders) and folders.index(
        single.parent
    ) <= folders.index(table.parent)


def names_events(table: Path, column: str, wanted: tuple[str, ...]) -> bool:
    """Whether a table has the column, and in it one of the events; any will do if none is wanted."""
    with open(table, encoding="utf-8-sig", errors="replace") as file:
        header = _cells(file.readline())
        if column not in header or not wanted:
            return column in header
        place = header.index(column)
        return any(len(row) > place and row[place] in wanted for row in map(_cells, file))


def _cells(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split("\t")]


def near_names(stem: str, folders: list[Path]) -> str:
    """An annotation in ``stimuli/`` whose name differs from the run's only in case, as a remark; empty if there is none."""
    name = re.sub("^sub-[^_]+_(ses-[^_]+_)?", "", stem)
    for folder in folders:
        for file in sorted(folder.glob("task-*_events.tsv")) if folder.is_dir() else ():
            other = file.name.removesuffix("_events.tsv")
            if other != name and other.casefold() == name.casefold():
                return (
                    f"; there is {file}, whose name differs in case: write both alike (FILM_PARTS)"
                )
    return ""
