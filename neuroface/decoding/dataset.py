"""Check that the arrays of a data set belong together, before models are trained on them."""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline import open_npy, read_table

import numpy as np
import pandas as pd

CHUNK = 64  # rows read at once


def read_samples(folder: Path, rows: str, maker: str, source: str) -> pd.DataFrame:
    """``samples.tsv``; raise unless it fits X.npy (n, …) and y.npy (n,), and all values of X are finite.

    Parameters
    ----------
    rows : what the rows are, such as "windows", for messages.
    maker : the script to run again if the files do not fit. source : the one if values are not finite.
    """
    X, y = open_npy(folder / "X.npy"), open_npy(folder / "y.npy")
    samples = read_table(folder / "samples.tsv")
    if not len(X) == len(y) == len(samples):
        raise NeuroFaceError(
            f"{folder}: X.npy has {len(X)} {rows}, y.npy {len(y)}, samples.tsv {len(samples)}. Delete {folder} and rerun "
            f"{maker}."
        )
    for start in range(0, len(X), CHUNK):
        if not np.isfinite(X[start : start + CHUNK].sum(dtype=np.float64)):
            raise NeuroFaceError(
                f"{folder / 'X.npy'} holds NaN or infinite values near row {start}. Rerun {source}."
            )
    return samples
