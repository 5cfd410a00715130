"""What observers of a film saw: their tables of episodes, and the label per TR on which enough of them agree."""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline import did_you_mean, numbers, read_delimited_table

import numpy as np
import pandas as pd

TIMES = ["start", "end"]


def read_observers(
    folder: Path, column: str, film_s: float, min_agreement: int
) -> dict[str, pd.DataFrame]:
    """Observer (name of the file) → episodes with a label: columns start, end (s of the film) and label, in file order.

    Raises
    ------
    NeuroFaceError
        If there are fewer observers than must agree, or if a table lacks a column, holds no label,
        or an episode whose end is before its start or that lies outside the film.
    """
    folder = Path(folder)
    files = sorted(folder.glob("*.csv")) if folder.is_dir() else []
    if len(files) < min_agreement:
        raise NeuroFaceError(
            f"OBSERVER_DIR = {folder} holds {len(files)} tables of observers (*.csv), and MIN_AGREEMENT = {min_agreement} "
            f"of them must agree. Add the other tables, or lower MIN_AGREEMENT."
        )
    return {file.stem: read_episodes(file, column, film_s) for file in files}


def read_episodes(path: Path, column: str, film_s: float) -> pd.DataFrame:
    """One observer's episodes; see :func:`read_observers`."""
    table = read_delimited_table(path)
    for name in (*TIMES, column):
        if name not in table:
            guess = did_you_mean(name, table.columns)
            setting = ", or set OBSERVER_COLUMN" if name == column else ""
            raise NeuroFaceError(
                f"{path} has no column {name!r}{guess}; it has {list(table.columns)}. Rename the column{setting}."
            )
    for name in TIMES:
        table[name] = numbers(table, name, path)
    wrong = {
        "is no start and end in seconds": ~np.isfinite(table[TIMES]).all(axis=1),
        "ends before it starts": table["end"] < table["start"],
        f"is outside the film, which lasts {film_s:g} s by SEGMENTS": (table["start"] < 0)
        | (table["end"] > film_s),
    }
    for problem, rows in wrong.items():
        if rows.any():
            line = table.index[rows][0]
            raise NeuroFaceError(
                f"{path}, line {line}: the episode {table['start'][line]:g} – {table['end'][line]:g} s {problem}. Correct "
                f"the table."
            )
    named = table[table[column].notna()].rename(columns={column: "label"})[[*TIMES, "label"]]
    if named.empty:
        raise NeuroFaceError(
            f"{path} names no label in its column {column!r}. Complete the table, or remove it."
        )
    return named.reset_index(drop=True)


def labels_per_tr(observers: dict[str, pd.DataFrame], tr_s: float) -> pd.DataFrame:
    """What every observer says in every TR of the film, None where nothing: a row per TR up to the last episode's end.

    An episode holds the TRs from floor(start / TR) up to, but not including, ceil(end / TR). Where
    episodes of one observer overlap, the later row of the table counts, as published.
    """
    n_trs = max(int(np.ceil(table["end"].max() / tr_s)) for table in observers.values())
    columns = {}
    for name, table in observers.items():
        rating = np.full(n_trs, None, dtype=object)
        first, last = (
            np.floor(table["start"] / tr_s).astype(int),
            np.ceil(table["end"] / tr_s).astype(int),
        )
        for label, start, end in zip(table["label"], first, last):
            rating[start:end] = label
        columns[name] = rating
    return pd.DataFrame(columns, dtype=object)


def consensus(ratings: pd.DataFrame, min_agreement: int) -> pd.DataFrame:
    """The label that most observers gave in each TR, and how many; ties go to the first in the alphabet.

    Parameters
    ----------
    ratings : result of :func:`labels_per_tr`.

    Returns
    -------
    A row per TR: label (None where fewer than ``min_agreement`` observers gave it) and n_observers,
    who gave it.
    """
    names = sorted({label for label in ratings.to_numpy().ravel() if label is not None})
    votes = np.stack([(ratings == name).sum(axis=1) for name in names], axis=1)  # (n_trs, n_labels)
    most = votes.argmax(axis=1)  # the first of several that are largest
    n = votes.max(axis=1)
    label = np.where(n >= min_agreement, np.array(names, dtype=object)[most], None)
    return pd.DataFrame({"label": pd.Series(label, dtype=object), "n_observers": n})


def agreement(ratings: pd.DataFrame) -> dict[str, float | None]:
    """Krippendorff's α (nominal) between observers, over TRs.

    Returns
    -------
    ``named``: of the labels, where an observer who named none is missing. ``with_none``: "none
    named" counts as a label. None where there is nothing to compare.
    """
    import krippendorff

    names = {
        label: code
        for code, label in enumerate(
            sorted({x for x in ratings.to_numpy().ravel() if x is not None})
        )
    }
    codes = ratings.T.map(lambda label: names.get(label, np.nan)).to_numpy(dtype=float)
    result: dict[str, float | None] = {}
    for kind, values in {"named": codes, "with_none": np.nan_to_num(codes, nan=len(names))}.items():
        comparable = (~np.isnan(values)).sum(axis=0).max() > 1 and len(
            np.unique(values[~np.isnan(values)])
        ) > 1
        alpha = krippendorff.alpha(values, level_of_measurement="nominal") if comparable else None
        result[kind] = None if alpha is None else float(alpha)
    return result


def alpha_text(alpha: float | None) -> str:
    """Krippendorff's α in words of a sentence or of a table."""
    return "not defined" if alpha is None else f"{alpha:.2f}"
