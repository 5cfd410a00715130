"""How well do a few numbers about each window predict its label, on the folds on which the networks are compared?"""

from neuroface.decoding.division import Fold
from neuroface.decoding.linear import scores_by_split, window_kernel

import numpy as np
import pandas as pd

TOGETHER = "all of them"


def confound_scores(
    features: pd.DataFrame,
    y: np.ndarray,
    samples: pd.DataFrame,
    folds: dict[str, list[Fold]],
    n_permutations: int,
    seed: int,
    positive: str,
) -> dict[str, dict[str, dict]]:
    """Scores of ridge classifiers that see one number per window, and of one that sees all of them.

    Parameters
    ----------
    features : a row per window, a column per number. y : (n,) of 0 and 1. The rest as for
        :func:`neuroface.decoding.linear.scores_by_split`; p-values are made for all numbers
        together only.

    Returns
    -------
    Column, or :data:`TOGETHER` → split → scores.
    """
    values = features.to_numpy(np.float64)
    spread = values.std(axis=0)
    values = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)
    one_by_one = {
        name: scores_by_split(
            window_kernel(iter([values[:, [i]]])), y, samples, folds, 0, seed, positive
        )
        for i, name in enumerate(features)
        if spread[i] > 0
    }
    together = scores_by_split(
        window_kernel(iter([values])), y, samples, folds, n_permutations, seed, positive
    )
    return one_by_one | {TOGETHER: together}
