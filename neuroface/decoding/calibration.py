"""Turn decision values into probabilities, and choose between models by the loss of these probabilities."""

from collections.abc import Callable

from neuroface.decoding.crossed import crossed_error

import numpy as np
from scipy.optimize import minimize_scalar

LEAST_PER_HALF = 5  # windows of a class: fewer choose a step, and a temperature, at random
LARGEST_CHANGE = (
    1e4  # of the scale of decision values; values without any information give a slope near 0
)


def calibration_slope(y: np.ndarray, value: np.ndarray) -> float:
    """Factor that turns decision values (0 at the threshold) into logits: one over the temperature (Guo et al. 2017, ICML).

    The factor minimises the log loss of windows that were not used for the fit, with both classes
    weighted equally. The targets are (n + ½) / (n + 1) in place of 1, so that a few windows that
    are all correct do not give certain probabilities. Platt's (1999) (n + 1) / (n + 2) keep the
    logits of classes that are well apart too small.

    Parameters
    ----------
    y : (n,) of 0 and 1; both must occur. value : (n,) decision values, above 0 for 1.
    """
    positive = y == 1
    n = np.where(positive, positive.sum(), (~positive).sum())
    target, weight = np.where(positive, (n + 0.5) / (n + 1), 0.5 / (n + 1)), 1 / n
    spread = np.abs(value).mean()
    if spread == 0:
        return 1.0

    def loss(log_slope: float) -> float:
        logit = np.exp(log_slope) * value / spread
        return float(np.sum(weight * (np.logaddexp(0, logit) - target * logit)))

    bounds = -np.log(LARGEST_CHANGE), np.log(LARGEST_CHANGE)
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x) / spread)


def out_of_choice_logits(
    logits: np.ndarray,
    y: np.ndarray,
    clusters: np.ndarray,
    score: Callable[[np.ndarray, np.ndarray], float],
) -> np.ndarray:
    """Logits (n,) of windows at a step that other windows chose.

    The step with the best score on some windows fits these windows too well, and a temperature of
    the same windows would be too low. So each half of the windows gets its logits from the step
    that is best for the other half.

    Parameters
    ----------
    logits : (n_steps, n) at each step that was evaluated. y : (n,) of 0 and 1.
    clusters : (n,) windows of one cluster, such as a moment of a film, stay in one half.
    score : ``score(y, logit)``, larger is better: what chose the step.

    Returns
    -------
    The logits at the best step of all windows where a half would have fewer than LEAST_PER_HALF
    windows of a class.
    """
    names, first, cluster = np.unique(clusters, return_index=True, return_inverse=True)
    half_of_cluster = np.zeros(len(names), dtype=int)
    for label in (0, 1):
        of_label = np.flatnonzero(y[first] == label)
        half_of_cluster[of_label] = np.arange(len(of_label)) % 2
    halves = [np.flatnonzero(half_of_cluster[cluster] == half) for half in (0, 1)]

    def best_step(rows):
        return int(np.argmax([score(y[rows], logit[rows]) for logit in logits]))

    counts = [np.sum(y[rows] == label) for rows in halves for label in (0, 1)]
    if min(counts) < LEAST_PER_HALF:
        return logits[best_step(np.arange(len(y)))]
    chosen = np.empty(len(y))
    for rows, others in (halves, halves[::-1]):
        chosen[rows] = logits[best_step(others), rows]
    return chosen


def log_losses(y: np.ndarray, logit: np.ndarray) -> np.ndarray:
    """Log loss of each window (n,), in nats; 0.693 is chance."""
    return np.logaddexp(0, np.where(y == 1, -logit, logit))


def simplest_good_model(
    losses: list[np.ndarray],
    groupings: tuple[np.ndarray, ...],
    weights: np.ndarray,
    errors: float = 1.0,
) -> int:
    """Index of the simplest model whose loss is within one standard error of the best (Breiman et al. 1984, CART).

    Parameters
    ----------
    losses : per model, simplest first, the loss of the same windows (n,).
    groupings, weights : as for :func:`neuroface.decoding.crossed.crossed_error`: moment and person
        of each window, and weights such as those that balance the classes.
    errors : number of standard errors, of the mean difference between the two models.
    """
    best = int(np.argmin([np.average(loss, weights=weights) for loss in losses]))
    for index, loss in enumerate(losses[:best]):
        excess = loss - losses[best]
        if (
            np.average(excess, weights=weights)
            <= errors * crossed_error(excess, groupings, weights).error
        ):
            return index
    return best


def balanced_weights(y: np.ndarray) -> np.ndarray:
    """Weights (n,) that give both classes the same total."""
    return np.where(y == 1, 0.5 / max(np.mean(y == 1), 1e-12), 0.5 / max(np.mean(y != 1), 1e-12))
