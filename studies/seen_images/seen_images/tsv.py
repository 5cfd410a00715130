"""Tables of this study, and how their numbers are written."""

from pathlib import Path

from neuroface import NeuroFaceError

import pandas as pd

TEXT = dict.fromkeys(
    ("subject", "image", "nearest", "split", "session", "sessions", "roi", "part", "roi_left_out"),
    str,
)


def read_tsv(path: Path) -> pd.DataFrame:
    """A table that a script of this study wrote; names of images stay text."""
    try:
        return pd.read_csv(path, sep="\t", dtype=TEXT, na_values=["n/a"], keep_default_na=False)
    except ValueError as error:
        raise NeuroFaceError(
            f"{path} is not a table ({error}). Delete it and rerun the script that wrote it."
        ) from None


def with_interval(value: float, low: float, high: float, form: str = ".3f") -> str:
    """0.712 [0.690, 0.733]; the value alone where there is no interval."""
    if pd.isna(low):
        return f"{value:{form}}"
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"
