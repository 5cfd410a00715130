"""Which of many moments was seen? Measured patterns against predicted ones, or frames against reconstructions."""

from film_encoding.shifts import lags_of

import numpy as np
from scipy.special import binom

AMONG = (10, 50)  # candidates, the moment itself included, of which it has to be the best


def similarity(measured: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Pearson's r of every measured pattern with every predicted one: (n, n); rows are measured. Patterns are (n,
    n_values).
    """

    def rows(values):
        values = values.reshape(len(values), -1).astype(np.float64)
        values = values - values.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(values, axis=1, keepdims=True)
        return values / np.where(norm > 0, norm, 1)

    return rows(measured) @ rows(predicted).T


def candidates(films: np.ndarray, chunks: np.ndarray, apart: int) -> np.ndarray:
    """(n, n) bool: which moments compete with each moment: all of other films, and those of its own more than ``apart``
    away.
    """
    return (films[:, None] != films[None]) | (np.abs(chunks[:, None] - chunks[None]) > apart)


def counts(similar: np.ndarray, compete: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many competitors of row i lie below each pairing (i, j), and how many are equal to it: (n, n) each. Row by row,
    so memory stays small.
    """
    below, ties = np.empty(similar.shape), np.empty(similar.shape)
    for i, row in enumerate(similar):
        others = np.sort(row[compete[i]])
        below[i] = np.searchsorted(others, row, side="left")
        ties[i] = np.searchsorted(others, row, side="right") - below[i]
    return below, ties


def beaten(similar: np.ndarray, compete: np.ndarray) -> np.ndarray:
    """Share of its competitors that each pairing (i, j) beats: (n, n); a tie counts half."""
    below, ties = counts(similar, compete)
    return (below + ties / 2) / np.maximum(1, compete.sum(axis=1, keepdims=True))


def best_among(below: np.ndarray, ties: np.ndarray, rivals: np.ndarray, n: int) -> np.ndarray:
    """Probability that a pairing is the best of ``n`` candidates: itself and n - 1 of its rivals, drawn at random.

    Of m rivals b lie below and t are equal, among which chance decides: [binom(b + t + 1, n) -
    binom(b, n)] / (t + 1) / binom(m, n - 1). NaN where there are fewer rivals.

    Parameters
    ----------
    below, ties, rivals : arrays of one shape. n : candidates.
    """
    ahead = binom(below + ties + 1, n) - binom(below, n)
    enough = rivals >= n - 1
    draws = np.where(enough, binom(rivals, n - 1), 1.0)
    return np.where(enough, ahead / (ties + 1) / draws, np.nan)


def left_out_two_way(similar: np.ndarray, compete: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Mean share of pairs won without each block of time, among the moments and among their rivals: (n_blocks,).

    Parameters
    ----------
    similar, compete : (n, n), of :func:`similarity` and :func:`candidates`. blocks : (n,) numbered
    from 0.
    """
    own = np.diagonal(similar)[:, None]
    wins = ((similar < own) + 0.5 * (similar == own)) * compete
    in_block = blocks[:, None] == np.arange(blocks.max() + 1)
    left = (
        compete.sum(axis=1, keepdims=True) - compete.astype(float) @ in_block
    )  # (n, n_blocks) rivals that stay
    shares = (wins.sum(axis=1, keepdims=True) - wins @ in_block) / np.maximum(1, left)
    stays = ~in_block
    return np.where(
        stays.any(axis=0), (shares * stays).sum(axis=0) / np.maximum(1, stays.sum(axis=0)), np.nan
    )


def identify(
    measured, predicted, films, chunks, apart: int, top: tuple[int, ...], smallest: int, blocks=None
) -> dict:
    """How often the moment that was seen wins.

    Parameters
    ----------
    apart : chunks of the same film that are no competitors, because the moment itself reaches so
        far. top : values of k.
    smallest : the smallest circular shift of the null. blocks : (n,) block of time of each moment,
    numbered from 0.

    Returns
    -------
    "two_way": share of pairs won, chance 0.5; "among_<n>", the share of moments that are the best of
    n candidates (:func:`best_among`), chance 1 / n; both with their "…_null" (n_lags,) over all
    circular shifts. "top_<k>": share of moments among their k best, and "chance_<k>", k by the number of
    candidates, the moment itself included; "each" (n,) the share of pairs that each moment won;
    with blocks "left_out" (n_blocks,), :func:`left_out_two_way`.
    """
    compete = candidates(np.asarray(films), np.asarray(chunks), apart)
    similar = similarity(measured, predicted)
    below, ties = counts(similar, compete)
    n_rivals, n = compete.sum(axis=1, keepdims=True), len(similar)
    won = (below + ties / 2) / np.maximum(1, n_rivals)
    own, rivals = np.diagonal(won), compete.sum(axis=1)
    lags = lags_of(n, smallest)
    place = (np.arange(n) + lags[:, None]) % n
    result = {
        "two_way": float(own.mean()),
        "each": own,
        "two_way_null": won[np.arange(n), place].mean(axis=1),
    }
    for n_candidates in AMONG:
        # A pairing of other moments is a rival of row i itself, and no rival of its own.
        best = best_among(below, ties - compete, n_rivals - compete, n_candidates)
        null = best[np.arange(n), place].mean(axis=1)
        # A rival that takes the moment's place has one rival less: both need enough.
        is_known = not np.isnan(null).any()
        result[f"among_{n_candidates}"] = float(np.diagonal(best).mean()) if is_known else np.nan
        result[f"among_{n_candidates}_null"] = null
    if blocks is not None:
        result["left_out"] = left_out_two_way(similar, compete, np.asarray(blocks))
    for k in top:
        better = ((similar > np.diagonal(similar)[:, None]) & compete).sum(axis=1)
        result[f"top_{k}"] = float((better < k).mean())
        result[f"chance_{k}"] = float(np.minimum(1, k / (rivals + 1)).mean())
    return result
