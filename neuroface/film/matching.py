"""Windows of two conditions matched on film regressors: pairs, chosen in each run."""

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

FAR = 1e3  # SDs: a pair that is not allowed


def match_windows(is_first: np.ndarray, regressors: pd.DataFrame, within_sd: float) -> np.ndarray:
    """Choose pairs of one window of each condition so that the sum of their distances is smallest (Hungarian algorithm).

    The distance of a pair is the root mean square over regressors of their difference, in SDs over
    the run's windows (optimal matching with a caliper: Rosenbaum 1989, J. Am. Stat. Assoc.
    84:1024).

    Parameters
    ----------
    is_first : (n,) bool, the condition of each window. regressors : a row per window.
    within_sd : pairs that are further apart are left out.

    Returns
    -------
    Rows of the chosen windows, sorted; as many of each condition.
    """
    values = regressors.to_numpy(float)
    spread = values.std(axis=0)
    values = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)
    first, second = np.flatnonzero(is_first), np.flatnonzero(~np.asarray(is_first))
    distance = np.sqrt(((values[first][:, None] - values[second][None]) ** 2).mean(axis=2))
    near = distance <= within_sd
    rows, columns = linear_sum_assignment(np.where(near, distance, FAR))
    allowed = near[rows, columns]
    return np.sort(np.concatenate([first[rows[allowed]], second[columns[allowed]]]))


def imbalance(is_first: np.ndarray, regressors: pd.DataFrame) -> dict[str, float]:
    """Standardised mean difference of each regressor, first minus second condition: in SDs within conditions.

    0 where a regressor never changes, or one condition has no window.
    """
    result = {}
    for name in regressors:
        first, second = (
            regressors.loc[which, name].to_numpy(float)
            for which in (is_first, ~np.asarray(is_first))
        )
        spread = np.sqrt((first.var() + second.var()) / 2) if len(first) and len(second) else 0.0
        result[name] = float((first.mean() - second.mean()) / spread) if spread > 0 else 0.0
    return result
