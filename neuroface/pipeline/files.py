"""Files that become complete all at once: tables, JSON, arrays."""

import json
import os
from contextlib import contextmanager
from pathlib import Path

from neuroface import NeuroFaceError

import numpy as np
import pandas as pd

# Before 3.1 pandas rounds floats without this argument; since then it warns of it.
EXACT_FLOATS = {"float_precision": "round_trip"} if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1) else {}
PARTIAL = "partial-"
# Columns whose text becomes part of a file's name, and what it may look like: no separator, so no way out of the folder.
NAME = r"[A-Za-z0-9][A-Za-z0-9.+-]*"
NAMES = dict.fromkeys(("subject", "movie", "run", "label"), NAME)


@contextmanager
def atomic(path: str | Path):
    """Yield a temporary name beside ``path``; rename it to ``path`` if the block succeeds.

    So "exists" means "complete". The temporary name is fixed: what a killed script left is overwritten by its rerun.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(PARTIAL + path.name)
    try:
        yield partial
        os.replace(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # "No space left on device" does not say where
        raise


def write_json(path: Path, content: dict) -> None:
    with atomic(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise NeuroFaceError(f"{path} is not JSON ({error}). Delete it and rerun the script that wrote it.") from None


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Tab-separated, ``n/a`` where a value is missing (BIDS)."""
    with atomic(path) as partial:
        table.to_csv(partial, sep="\t", index=False, na_rep="n/a", lineterminator="\n")


def read_table(path: Path) -> pd.DataFrame:
    """A table of :func:`write_table`, its numbers bit for bit; names and runs stay text.

    Raises
    ------
    NeuroFaceError
        If it is no table, or a name in it could not be part of a file's name.
    """
    text = dict.fromkeys(("subject", "movie", "run", "label", "event"), str)
    try:
        table = pd.read_csv(path, sep="\t", dtype=text, na_values=["n/a"], keep_default_na=False, **EXACT_FLOATS)
    except ValueError as error:  # pandas' own errors and UnicodeDecodeError are ValueErrors
        raise NeuroFaceError(
            f"{path} is not a table ({error}). Delete it and rerun the script that wrote it."
        ) from None
    for column, pattern in NAMES.items():
        if column in table and not (plain := table[column].str.fullmatch(pattern).fillna(False)).all():
            bad = table[column][~plain].iloc[0]
            raise NeuroFaceError(
                f"{path}: {column} {bad!r} cannot be part of a file's name. Delete it and rerun the script that wrote it."
            )
    return table


def write_npy(path: Path, array: np.ndarray) -> None:
    array = np.ascontiguousarray(array)
    with atomic(path) as partial, open(partial, "wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)  # unlike np.save's, its errors say what is wrong with the disk


def create_npy(path: Path, shape: tuple[int, ...], dtype: type = np.float32) -> np.memmap:
    """A new ``.npy`` file as a memory map, its place on the disk reserved.

    A map onto a file that is longer than what the disk has given it so far kills the process when the disk is full.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        try:
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
    return array


def open_npy(path: Path) -> np.ndarray:
    """A read-only memory map of an ``.npy`` file; pickled objects are refused."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise NeuroFaceError(f"{path} is not a whole .npy array ({error}). Delete it and rerun.") from None
