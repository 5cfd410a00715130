"""Is a trained model better than chance? Held-out episodes exchange their labels, fold by fold, without another training.

Given a model that never saw them, held-out episodes may exchange their labels if these mean
nothing. Models of different folds learn from each other's held-out episodes, so that p-values of
folds depend on each other: the smallest is multiplied with the number of folds. Where held-out
volumes are not new to the model (:func:`volume_study.splits.leaks`) this is no test.
"""

from neuroface.decoding import balanced_accuracies
from volume_study.exchange import exchanged_within_viewers
from volume_study.splits import viewers_of

import numpy as np
import pandas as pd


def fold_test(
    table: pd.DataFrame,
    y: np.ndarray,
    predicted: np.ndarray,
    n_classes: int,
    n_permutations: int,
    seed: int,
) -> dict[str, float]:
    """p of held-out balanced accuracy.

    Parameters
    ----------
    table : a row per volume, columns fold, event, stimulus, subject. y, predicted : (n,) true and given
    class numbers.

    Returns
    -------
    p, smallest_p (that these permutations allow), n_permutations (in each fold).
    """
    rng, p_of_folds = np.random.default_rng(seed), []
    viewers = viewers_of(table)
    for fold in np.unique(table["fold"]):
        rows = np.flatnonzero(table["fold"] == fold)
        moved = exchanged_labels(
            table["event"].to_numpy()[rows], viewers[rows], y[rows], n_permutations, rng
        )
        scores = balanced_accuracies(
            np.column_stack([y[rows], moved]), predicted[rows][:, None], n_classes
        )
        p_of_folds.append(np.mean(scores >= scores[0] - 1e-9))
    n = len(p_of_folds)
    return {
        "p": float(min(1, n * min(p_of_folds))),
        "smallest_p": float(min(1, n / (n_permutations + 1))),
        "n_permutations": n_permutations,
    }


def exchanged_labels(
    event: np.ndarray,
    viewers: np.ndarray,
    y: np.ndarray,
    n_permutations: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Labels (n, n_permutations) of volumes when their episodes exchange them among episodes with the same viewers."""
    _, first, episode = np.unique(event, return_index=True, return_inverse=True)
    orders = exchanged_within_viewers(y[first], viewers[first], n_permutations, rng)
    return orders[:, episode].T
