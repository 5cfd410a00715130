"""Read tables that other programs or people wrote: every cell as text, every row kept, rows named as in the file.

The tab-separated tables of BIDS know one missing value, ``n/a``. Quotation marks are text there,
except around a cell that holds a tab. So ``null`` and ``NA`` stay names, and a mark without its
partner does not join rows.
"""

import csv
import re
from pathlib import Path

from neuroface import NeuroFaceError

import numpy as np
import pandas as pd

MISSING = ("", "n/a")
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"


def read_text_table(path: Path, columns: tuple[str, ...] = ()) -> pd.DataFrame:
    """A tab-separated table in UTF-8.

    Blanks around names and values do not count. Cells that a row lacks at its end are missing;
    empty cells behind the last column are ignored.

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
        If the file is empty or not text, a row has more cells than the header, or a column is
        lacking or there twice.
    """
    lines = _lines(path)
    if not lines:
        raise NeuroFaceError(f"{path} is empty. Put the table there, or remove what it belongs to.")
    header = _cells(lines[0][1])
    while not header[-1]:
        header.pop()
    check_columns(header, columns, path)
    rows = [_row(line, len(header), path, number) for number, line in lines[1:]]
    return pd.DataFrame(
        rows, columns=header, index=[number for number, _ in lines[1:]], dtype=object
    )


def check_columns(header: list[str], columns: tuple[str, ...], path: Path) -> None:
    """Raise unless a table's header names each of ``columns`` once."""
    for name in columns:
        if header.count(name) > 1:
            raise NeuroFaceError(
                f"{path} has the column {name!r} {header.count(name)} times. Remove all but one."
            )
        if name not in header:
            raise NeuroFaceError(f"{path} lacks the column {name!r}; it has {header}. Add it.")


def numbers(table: pd.DataFrame, column: str, path: Path) -> np.ndarray:
    """A column of :func:`read_text_table` as float64 (n,), NaN where it is missing.

    Raises
    ------
    NeuroFaceError
        If a cell is not a number; it names the line of the file.
    """
    values = np.full(len(table), np.nan)
    for row, (line, cell) in enumerate(table[column].items()):
        if cell is None:
            continue
        if not re.fullmatch(NUMBER, cell):
            raise NeuroFaceError(
                f"{path}, line {line}: {column} {cell!r} is not a number. Correct the file; decimals have a point."
            )
        values[row] = float(cell)
    return values


def read_text(path: Path) -> str:
    """A file's text; any kind of line end becomes ``\\n``."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise NeuroFaceError(
            f"{path} is not a table in UTF-8 ({error}). Save it as UTF-8."
        ) from None


def _lines(path: Path) -> list[tuple[int, str]]:
    """(number of the line, its text), without lines that hold nothing."""
    return [
        (number, line) for number, line in enumerate(read_text(path).split("\n"), 1) if line.strip()
    ]


def _cells(line: str) -> list[str]:
    """Cells of a line; quotation marks around a whole cell are removed."""
    return [_without_marks(cell.strip()) for cell in line.split("\t")]


def _without_marks(cell: str) -> str:
    is_quoted = re.fullmatch(r'"(?:[^"]|"")*"', cell)
    return cell[1:-1].replace('""', '"').strip() if is_quoted else cell


def _row(line: str, n: int, path: Path, number: int) -> list[str | None]:
    """The ``n`` cells of a row, None where one is missing."""
    cells = _cells(line)
    if any(cells[n:]):  # a cell in quotation marks may hold a tab
        quoted = [cell.strip() for cell in next(csv.reader([line], delimiter="\t"))]
        cells = quoted if len(quoted) == n else cells
    if any(cells[n:]):
        raise NeuroFaceError(
            f"{path}, line {number} has {len(cells)} cells, the header {n}: {cells}. Correct the line."
        )
    filled = cells[:n] + [""] * (n - len(cells))
    return [None if cell in MISSING else cell for cell in filled]
