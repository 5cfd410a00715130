"""Write files completely or not at all: tables, JSON, arrays."""

import json
import math
import os
from contextlib import contextmanager
from pathlib import Path

from neuroface import NeuroFaceError

import numpy as np
import pandas as pd

# pandas before 3.1 rounds floats without this argument; later versions warn about it.
EXACT_FLOATS = (
    {"float_precision": "round_trip"}
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1)
    else {}
)
PARTIAL = "partial-"
# Columns whose text becomes part of a file's name, and the allowed pattern: no separator, so files
# stay in the folder.
NAME = r"[A-Za-z0-9][A-Za-z0-9.+-]*"
NAMES = dict.fromkeys(("subject", "movie", "run", "label"), NAME)


@contextmanager
def atomic(path: str | Path):
    """Yield a temporary name in the folder of ``path``; rename it to ``path`` if the block succeeds.

    So a file that exists is complete. The temporary name is fixed: a rerun overwrites what a killed
    script left.
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


def write_json(path: Path, content: dict | list) -> None:
    """JSON knows neither NaN nor infinity (RFC 8259): they become null, which :func:`read_json` returns as None."""
    with atomic(path) as partial:
        partial.write_text(json.dumps(_finite(content), indent=2, allow_nan=False) + "\n")


def _finite(content):
    """The same with None in place of each number that is not finite."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise NeuroFaceError(
            f"{path} is not JSON ({error}). Delete it and rerun the script that wrote it."
        ) from None


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Tab-separated, ``n/a`` where a value is missing (BIDS)."""
    with atomic(path) as partial:
        table.to_csv(partial, sep="\t", index=False, na_rep="n/a", lineterminator="\n")


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of :func:`write_table`: numbers are exact, names and runs stay text.

    Raises
    ------
    NeuroFaceError
        If it is not a table, or a name in it cannot be part of a file's name.
    """
    text = dict.fromkeys(("subject", "movie", "run", "label", "event"), str)
    try:
        table = pd.read_csv(
            path, sep="\t", dtype=text, na_values=["n/a"], keep_default_na=False, **EXACT_FLOATS
        )
    except ValueError as error:  # pandas' own errors and UnicodeDecodeError are ValueErrors
        raise NeuroFaceError(
            f"{path} is not a table ({error}). Delete it and rerun the script that wrote it."
        ) from None
    for column, pattern in NAMES.items():
        if (
            column in table
            and not (plain := table[column].str.fullmatch(pattern).fillna(False)).all()
        ):
            bad = table[column][~plain].iloc[0]
            raise NeuroFaceError(
                f"{path}: {column} {bad!r} cannot be part of a file's name. Delete it and rerun the script that wrote it."
            )
    return table


def write_npy(path: Path, array: np.ndarray) -> None:
    array = np.ascontiguousarray(array)
    with atomic(path) as partial, open(partial, "wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(
            array.data
        )  # its errors state the problem with the disk; those of np.save do not


def create_npy(path: Path, shape: tuple[int, ...], dtype: type = np.float32) -> np.memmap:
    """A new ``.npy`` file as a memory map, with its disk space reserved.

    Without reserved space, writing to the map kills the process when the disk is full.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        try:
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
    return array


def open_npy(path: Path) -> np.memmap:
    """A read-only memory map of an ``.npy`` file; pickled objects are refused."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise NeuroFaceError(
            f"{path} is not a complete .npy array ({error}). Delete it and rerun."
        ) from None
