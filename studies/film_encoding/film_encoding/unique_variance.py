"""What each feature space adds to the prediction of each voxel, with nulls of shifted time.

Unique variance of a space: R² of the model with all spaces less R² of the model without it, both on
held-out chunks. Its test: what the space adds to the prediction of the full model is correlated with
the BOLD, both without what the other spaces predict (a partial correlation), against the same with
the prediction shifted in time. What the other spaces predict are the prediction of the model without
the space, what each of them adds in the full model, and their own first principal components.
Without the partial correlation, a space that only repeats others would seem to add something,
because more features shrink the weights less; and two models whose random weightings differ would,
because one of them has the better weighting.
"""

from dataclasses import dataclass

from film_encoding.blocks import fisher_z
from film_encoding.correlations import Series, lag_sums, zscored
from film_encoding.shifts import PAIRS, effective_lags, lags_of

import numpy as np
from scipy import stats

SMALLEST_SUM = 1e-12
SMALLEST_STRENGTH = 1e-6  # of a component, relative to the first
CHUNKS_PER_COMPONENT = 50


@dataclass(frozen=True)
class SpaceScores:
    """Scores of some voxels on all held-out chunks.

    ``r``, ``r2`` (n_voxels,) of the model with all spaces; ``product`` (n_spaces, n_voxels), parts of
    R² that sum to it; ``unique`` (n_spaces, n_voxels), R² less that without the space; ``partial``
    (n_spaces, n_chunks, n_voxels), the partial correlation at all circular lags, film after film:
    over films, the values at lag 0 sum to it.
    """

    r: np.ndarray
    r2: np.ndarray
    product: np.ndarray
    unique: np.ndarray
    partial: np.ndarray


def score_spaces(
    measured: np.ndarray,
    predicted: np.ndarray,
    without: np.ndarray,
    films: np.ndarray,
    pieces: np.ndarray,
    others: list[np.ndarray] | None = None,
) -> SpaceScores:
    """Scores of a model on held-out chunks.

    Parameters
    ----------
    measured : (n, n_voxels). predicted : (n_spaces, n, n_voxels), what each space adds to the
        prediction. without : (n_spaces, n, n_voxels), predictions of models without that space.
    films, pieces : (n,) film of each chunk, and the piece of a film that one fold held out. Means
        over a piece are taken off: a fold knows nothing about the level of a run.
    others : for each space :func:`components` of the others, (n, n_components) each; None: none.
    """
    y = _centred(measured, pieces)
    added = np.stack([_centred(values, pieces) for values in predicted])
    total = (y**2).sum(axis=0)
    whole = added.sum(axis=0)
    r2 = _r2(y, whole, total)
    product = np.stack([_over((values * (2 * y - whole)).sum(axis=0), total) for values in added])
    unique = np.stack([r2 - _r2(y, _centred(values, pieces), total) for values in without])
    y_scored = zscored(y, pieces)
    scored = np.stack([zscored(values, pieces) for values in added])
    partial = np.empty((len(without), *y.shape), dtype=np.float32)
    for place, reduced in enumerate(without):
        known = np.stack([zscored(reduced, pieces), *np.delete(scored, place, axis=0)])
        basis = others[place] if others else np.empty((len(y), 0))
        known = np.stack([values - basis @ (basis.T @ values) for values in known])
        rest, own = (
            zscored(residual(values - basis @ (basis.T @ values), known), films)
            for values in (y_scored, scored[place])
        )
        partial[place] = lags_of_films(rest, own, films)
    r = (y_scored * zscored(whole, pieces)).mean(axis=0)
    return SpaceScores(r, r2, product, unique, partial)


def components(spaces: list[np.ndarray], pieces: np.ndarray) -> np.ndarray:
    """First principal components of several spaces together, each with the same weight: (n, n_components), orthonormal.

    One component per :data:`CHUNKS_PER_COMPONENT` chunks at most: each takes a part of what can be
    tested.

    Parameters
    ----------
    spaces : (n, n_columns) each; NaN counts as the column's mean. pieces : (n,) means over which are
    taken off.
    """
    n = len(pieces)
    gram = np.zeros((n, n))
    for values in spaces:
        scored = np.nan_to_num((values - np.nanmean(values, axis=0)) / _sd(values))
        scored = _centred(scored, pieces)
        gram += scored @ scored.T / max(1, scored.shape[1])
    strength, vectors = np.linalg.eigh(gram)
    kept = strength[::-1] > SMALLEST_STRENGTH * max(strength[-1], SMALLEST_SUM)
    n_kept = min(int(kept.sum()), n // CHUNKS_PER_COMPONENT)
    return vectors[:, ::-1][:, :n_kept]


def _sd(values: np.ndarray) -> np.ndarray:
    sd = np.nanstd(values, axis=0)
    return np.where(sd > 1e-6, sd, np.inf)


def _centred(values: np.ndarray, pieces: np.ndarray) -> np.ndarray:
    out = np.array(values, dtype=np.float64)
    for piece in dict.fromkeys(pieces):
        out[pieces == piece] -= out[pieces == piece].mean(axis=0)
    return out


def _over(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(
        numerator, denominator, out=np.zeros_like(denominator), where=denominator > SMALLEST_SUM
    )


def _r2(y: np.ndarray, predicted: np.ndarray, total: np.ndarray) -> np.ndarray:
    return 1 - _over(((y - predicted) ** 2).sum(axis=0), total)


def residual(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """What is left of each column (n, n_voxels) after least squares on the same column of each of ``known`` (n_known, n,
    n_voxels).
    """
    regressors = np.moveaxis(known, (0, 1, 2), (2, 1, 0)).astype(np.float64)
    target = values.T[..., None].astype(np.float64)
    normal = regressors.transpose(0, 2, 1) @ regressors
    weights = np.linalg.pinv(normal, rcond=1e-8, hermitian=True) @ (
        regressors.transpose(0, 2, 1) @ target
    )
    return (target - regressors @ weights)[..., 0].T


def lags_of_films(measured: np.ndarray, predicted: np.ndarray, films: np.ndarray) -> np.ndarray:
    """Products at all circular lags, (n, n_voxels), film after film, divided by the number n of chunks of all films."""
    out = np.empty(measured.shape, dtype=np.float32)
    for film in dict.fromkeys(films):
        rows, none = films == film, np.arange(0)
        series = Series(measured[rows], predicted[rows], none, films[rows], none)
        out[rows] = lag_sums(series) / len(films)
    return out


def partial_p(
    partial: np.ndarray, films: np.ndarray, smallest: int, together: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Partial correlations and their one-sided p against shifted time.

    p is that of Student's t with the SD of the shifts, and as many degrees of freedom as these are
    worth, as for r of a voxel (:func:`film_encoding.shifts.t_p`).

    Parameters
    ----------
    partial : (n, n_voxels), of :func:`lags_of_films`; or means of it over voxels or people.
    smallest : smallest shift in chunks. together : whether degrees of freedom are estimated over
        all voxels together, as one.

    Returns
    -------
    value, p : (n_voxels,).
    """
    n = partial.shape[1]
    value, variance, weakness = np.zeros(n), np.zeros(n), np.zeros(n)
    for film in dict.fromkeys(films):
        sums = partial[films == film].astype(np.float64)
        value += sums[0]
        null = sums[lags_of(len(sums), smallest)]
        of_film = PAIRS * np.mean(null**2, axis=0)
        worth = (
            np.full(n, effective_lags(null))
            if together
            else np.array([effective_lags(null[:, [voxel]]) for voxel in range(n)])
        )
        variance += of_film
        weakness += of_film**2 / worth
    known = variance > SMALLEST_SUM**2
    df = np.divide(variance**2, weakness, out=np.ones(n), where=known)
    t = np.divide(fisher_z(value), np.sqrt(variance), out=np.zeros(n), where=known)
    return value, stats.t.sf(t, df)
