"""Turn decision values into probabilities, and choose between models by the loss of these probabilities."""

import numpy as np
from scipy.optimize import minimize_scalar

LARGEST_CHANGE = 1e4  # of the scale of decision values; values without any information give a slope near 0


def calibration_slope(y: np.ndarray, value: np.ndarray) -> float:
    """Factor that turns decision values (0 at the threshold) into logits: one over the temperature (Guo et al. 2017, ICML).

    The factor minimises the log loss of windows that were not used for the fit, with both classes weighted equally. The
    targets are Platt's (1999): (n + 1) / (n + 2) in place of 1, so that a few windows that are all correct do not give
    certain probabilities.

    Parameters
    ----------
    y : (n,) of 0 and 1; both must occur. value : (n,) decision values, above 0 for 1.
    """
    positive = y == 1
    n = np.where(positive, positive.sum(), (~positive).sum())
    target, weight = np.where(positive, (n + 1) / (n + 2), 1 / (n + 2)), 1 / n
    spread = np.abs(value).mean()
    if spread == 0:
        return 1.0

    def loss(log_slope: float) -> float:
        logit = np.exp(log_slope) * value / spread
        return float(np.sum(weight * (np.logaddexp(0, logit) - target * logit)))

    bounds = -np.log(LARGEST_CHANGE), np.log(LARGEST_CHANGE)
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x) / spread)


def log_losses(y: np.ndarray, logit: np.ndarray) -> np.ndarray:
    """Log loss of each window (n,), in nats; 0.693 is chance."""
    return np.logaddexp(0, np.where(y == 1, -logit, logit))


def simplest_good_model(
    losses: list[np.ndarray], clusters: np.ndarray, weights: np.ndarray, errors: float = 1.0
) -> int:
    """Index of the simplest model whose loss is within one standard error of the best (Breiman et al. 1984, CART).

    Parameters
    ----------
    losses : per model, simplest first, the loss of the same windows (n,).
    clusters : (n,) windows of one cluster are not independent, such as one moment seen by several people.
    weights : (n,) of the windows, such as those that balance the classes.
    errors : number of standard errors, of the mean difference between the two models.
    """
    best = int(np.argmin([np.average(loss, weights=weights) for loss in losses]))
    _, cluster = np.unique(clusters, return_inverse=True)
    weights = weights / weights.sum()
    for index, loss in enumerate(losses[:best]):
        excess = weights * (loss - losses[best])
        of_clusters = np.bincount(cluster, excess)
        error = np.sqrt(len(of_clusters) / (len(of_clusters) - 1) * np.sum((of_clusters - of_clusters.mean()) ** 2))
        if excess.sum() <= errors * error:
            return index
    return best


def balanced_weights(y: np.ndarray) -> np.ndarray:
    """Weights (n,) that give both classes the same total."""
    return np.where(y == 1, 0.5 / max(np.mean(y == 1), 1e-12), 0.5 / max(np.mean(y != 1), 1e-12))
