"""Read tables whose cells are separated by commas, semicolons or tabs: every cell as text, every row kept.

Cells follow RFC 4180: quotation marks may enclose a cell that holds separators or line ends, and
are doubled inside it. A mark without a partner is text.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline.text_tables import MISSING, check_columns, read_text, read_text_table

import pandas as pd

SEPARATORS = ",;"


def read_delimited_table(path: Path, columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """A table in UTF-8; its header shows whether commas, semicolons or tabs separate the cells.

    With tabs it is read by :func:`neuroface.pipeline.read_text_table`. Blanks around names and
    values do not count; a line end within a name becomes a blank, or nothing after a hyphen.

    Parameters
    ----------
    columns : names that the table must have.

    Returns
    -------
    Every cell str, or None where it is missing (empty or ``n/a``). The index is the line of the
    file, from 1.

    Raises
    ------
    NeuroFaceError
        As :func:`neuroface.pipeline.read_text_table`.
    """
    lines = read_text(path).split("\n")
    first = next((line for line in lines if line.strip()), "")
    if "\t" in first or not first:
        return read_text_table(path, columns)
    records = _records(lines, max(SEPARATORS, key=first.count))
    header = [one_line(name) for name in next(records)[1]]
    while not header[-1]:
        header.pop()
    check_columns(header, columns, path)
    n, rows, index = len(header), [], []
    for number, cells in records:
        if any(cells[n:]):
            raise NeuroFaceError(
                f"{path}, line {number} has {len(cells)} cells, the header {n}: {cells}. Correct the line."
            )
        rows.append(
            [cell if cell not in MISSING else None for cell in cells[:n] + [""] * (n - len(cells))]
        )
        index.append(number)
    return pd.DataFrame(rows, columns=header, index=index, dtype=object)


def read_header(path: Path) -> list[str]:
    """Names of the columns of a comma-separated table, as they are in the file, blanks and line ends included."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file), [])


def one_line(name: str) -> str:
    """A name without its line ends: ``glasser-p9-\\n46v`` → ``glasser-p9-46v``."""
    return " ".join(re.sub(r"-\s*\n\s*", "-", name).split())


def _records(lines: list[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """(line at which it begins, cells) of the header and of each row."""
    n, at = None, 0
    while at < len(lines):
        line, number = lines[at], at + 1
        at += 1
        if not line.strip():
            continue
        cells = _cells(line, separator, n)
        if line.count('"') % 2 and not (
            n and at < len(lines) and len(_split(lines[at], separator)) == n > 1
        ):
            end = next((k for k in range(at, len(lines)) if lines[k].count('"') % 2), None)
            if end is not None:  # the cell goes on in the next lines
                joined = _quoted("\n".join(lines[number - 1 : end + 1]), separator)
                if n is None or len(joined) == n:
                    cells, at = joined, end + 1
        n = n or len(cells)
        yield number, cells


def _cells(line: str, separator: str, n: int | None) -> list[str]:
    """Cells of one line; where marks that enclose nothing join cells, they are text."""
    if '"' not in line:
        return _split(line, separator)
    quoted, plain = _quoted(line, separator), _split(line, separator)
    is_text = line.count('"') % 2 or (n is not None and len(quoted) != n == len(plain))
    return plain if is_text else quoted


def _split(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in line.split(separator)]


def _quoted(text: str, separator: str) -> list[str]:
    return [
        cell.strip()
        for cell in next(csv.reader([text], delimiter=separator, skipinitialspace=True))
    ]
