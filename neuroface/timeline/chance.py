"""How large an AUC is by chance: the annotation is rotated against the predictions of a run."""

import numpy as np
from scipy.stats import cauchy, rankdata

RANK_ROUNDING = 1e-9  # of an AUC that a Fourier transform gives


def rotated_aucs(truth: np.ndarray, score: np.ndarray) -> np.ndarray:
    """AUC of a run under every rotation of its annotation; the first one is the AUC without rotation.

    Rotating keeps the durations of stretches and the slow changes of predictions; it removes only
    their relation. All rotations count, also those by a few moments: they give nearly the observed
    AUC, and without them the smallest p-values would be too small. One circular correlation of the
    ranks with the annotation gives all rotations.

    Parameters
    ----------
    truth : (n,) 0 or 1 at consecutive moments of the film. score : (n,), NaN where nothing is
    predicted.

    Returns
    -------
    (n,); 0.5 where the scored moments are all of one class.
    """
    scored = np.isfinite(score)
    ranks = np.zeros(len(truth))
    ranks[scored] = rankdata(score[scored])
    annotation = np.conj(np.fft.rfft(truth.astype(float)))
    rank_sum = np.fft.irfft(np.fft.rfft(ranks) * annotation, len(truth))
    n_positive = np.round(np.fft.irfft(np.fft.rfft(scored.astype(float)) * annotation, len(truth)))
    n_negative = scored.sum() - n_positive
    both = (n_positive > 0) & (n_negative > 0)
    above = rank_sum - n_positive * (n_positive + 1) / 2
    return np.divide(above, n_positive * n_negative, out=np.full(len(truth), 0.5), where=both)


def mean_over_viewers(aucs: list[np.ndarray]) -> np.ndarray:
    """Mean over the viewers of a film of :func:`rotated_aucs`, if its annotation is rotated alike for all of them.

    Runs that differ in length by some volumes are rotated by the same share of their length.
    """
    n = max(map(len, aucs))
    return np.mean([of_viewer[np.arange(n) * len(of_viewer) // n] for of_viewer in aucs], axis=0)


def rotation_p(aucs: np.ndarray) -> float:
    """Share of all rotations whose AUC is at least the observed one, which is the first and counts too."""
    return float(np.mean(aucs >= aucs[0] - RANK_ROUNDING))


def combined_p(p: list[float]) -> float:
    """One p from the p-values of several films (Cauchy combination; Liu & Xie 2020, J. Am. Stat. Assoc. 115:393).

    It allows for dependence. AUCs of films depend on each other also without an effect: the models
    of two films were trained on each other, so a chance relation between the two raises both AUCs.
    A null of the mean AUC, in which each film is rotated independently, ignores this.
    """
    below_1 = np.minimum(p, 1 - 1e-6)  # p = 1 would decide alone
    return float(cauchy.sf(np.mean(cauchy.isf(below_1))))
