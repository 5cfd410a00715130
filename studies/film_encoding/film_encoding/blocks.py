"""Intervals over blocks of time: a score with each block left out, and Student's t.

Moments that follow each other share their BOLD, so the unit that counts is a block of time, and a
test film of four minutes has nine of them. Percentiles of a bootstrap over nine blocks cover the
truth too rarely (83 to 86 % instead of 95 %); the jackknife over blocks with Student's t covers it
in 93 to 96 % (``benchmarks/null_studies/film.py``).
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

LARGEST_R = 0.999999  # Fisher's z of 1 is infinite


def blocks_of(films: np.ndarray, length: int) -> np.ndarray:
    """Number of the block of time of each chunk (n,): ``length`` chunks of one film; a short rest joins the block
    before.
    """
    blocks, first = np.empty(len(films), dtype=int), 0
    for film in dict.fromkeys(films):
        rows = np.flatnonzero(films == film)
        n = max(1, len(rows) // length)
        blocks[rows] = first + np.minimum(np.arange(len(rows)) // length, n - 1)
        first += n
    return blocks


def left_out_means(values: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Means (n_blocks,) of values (n,) without each block, numbered from 0; NaN where there is one block."""
    sums, sizes = np.bincount(blocks, values), np.bincount(blocks)
    rest = sizes.sum() - sizes
    return np.divide(sums.sum() - sums, rest, out=np.full(len(sums), np.nan), where=rest > 0)


def standard_error(
    value: np.ndarray, left_out: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Jackknife over blocks of unequal size (Busing, Meijer & van der Leeden 1999, Statistics and Computing 9:3).

    Parameters
    ----------
    value : (...), the score of all blocks. left_out : (n_blocks, ...), the score without each
        block; NaN where a block holds nothing of it. sizes : (n_blocks,) chunks.

    Returns
    -------
    standard error and degrees of freedom, both of the shape of ``value``; NaN and 0 with fewer than
    two blocks.
    """
    value, left_out = np.asarray(value, dtype=float), np.asarray(left_out, dtype=float)
    holds = np.isfinite(left_out)
    size = np.where(holds, np.reshape(sizes, (-1,) + (1,) * value.ndim), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.nansum(size, axis=0) / size  # 1 / the share of the chunks that the block holds
        pseudo = share * value - (share - 1) * left_out
        n = holds.sum(axis=0)
        centre = n * value - np.nansum((1 - 1 / share) * left_out, axis=0)
        variance = np.nansum((pseudo - centre) ** 2 / (share - 1), axis=0) / n
    return np.where(n > 1, np.sqrt(variance), np.nan), np.maximum(n - 1, 0)


def t_interval(value, error, df, level: float = 0.95) -> np.ndarray:
    """(2, ...): low and high of Student's t interval; NaN without degrees of freedom."""
    half = stats.t.ppf((1 + level) / 2, np.where(np.asarray(df) > 0, df, np.nan)) * error
    return np.stack([value - half, value + half])


def fisher_z(r: np.ndarray) -> np.ndarray:
    """Fisher's z, in which errors of correlations are symmetric."""
    return np.arctanh(np.clip(r, -LARGEST_R, LARGEST_R))


def r_interval(r: np.ndarray, left_out: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(2, ...): 95 % interval of correlations (...) over blocks; left_out (n_blocks, ...)."""
    return np.tanh(t_interval(fisher_z(r), *standard_error(fisher_z(r), fisher_z(left_out), sizes)))


@dataclass(frozen=True)
class BlockScore:
    """A score of one or more members, the trainings of a network or people, on the same blocks of time.

    Attributes
    ----------
    whole : (n_members,) the score of all blocks. left_out : (n_members, n_blocks) without each
    block.
    sizes : (n_blocks,) chunks of each block. is_r : whether it is a correlation, whose interval is
    made in Fisher's z.
    """

    whole: np.ndarray
    left_out: np.ndarray
    sizes: np.ndarray
    is_r: bool = False

    @property
    def value(self) -> float:
        return float(np.mean(self.whole))

    @property
    def n_blocks(self) -> int:
        return len(self.sizes)

    def minus(self, other: "BlockScore") -> "BlockScore":
        """The difference on the same blocks. Members are pairs (the same seeds, the same people), or one has a single
        member.
        """
        if not np.array_equal(self.sizes, other.sizes):
            raise ValueError(
                f"blocks of {self.sizes.tolist()} and of {other.sizes.tolist()} chunks cannot be compared"
            )
        return BlockScore(self.whole - other.whole, self.left_out - other.left_out, self.sizes)

    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean over members, over blocks and, where there are several, over members too.

        The variance over members adds to that over blocks; degrees of freedom after Satterthwaite
        (1946).
        """
        scale = fisher_z if self.is_r else np.asarray
        whole, left_out = scale(self.whole), scale(self.left_out)
        error, df = standard_error(whole.mean(), left_out.mean(axis=0), self.sizes)
        n = len(whole)
        if n > 1:
            parts = np.array([error**2, whole.var(ddof=1) / n])
            error = np.sqrt(parts.sum())
            weakness = (parts**2 / [max(df, 1), n - 1]).sum()
            df = parts.sum() ** 2 / weakness if df > 0 and weakness > 0 else df
        ends = t_interval(whole.mean(), error, df)
        low, high = np.tanh(ends) if self.is_r else ends
        return float(low), float(high)

    def stored(self) -> np.ndarray:
        """As one array (1 + n_members, 1 + n_blocks): in the first row the sizes, in the first column the whole."""
        rows = np.column_stack([self.whole, self.left_out])
        return np.concatenate([np.append(self.sizes.sum(), self.sizes)[None].astype(float), rows])

    @classmethod
    def read(cls, array: np.ndarray, is_r: bool = False) -> "BlockScore":
        """Of an array of :meth:`stored`."""
        return cls(array[1:, 0], array[1:, 1:], array[0, 1:], is_r)


def members(scores: list[BlockScore]) -> BlockScore:
    """Several scores on the same blocks as one with several members; each counts by its own mean."""
    whole = np.array([score.value for score in scores])
    left_out = np.stack([score.left_out.mean(axis=0) for score in scores])
    return BlockScore(whole, left_out, scores[0].sizes, scores[0].is_r)
