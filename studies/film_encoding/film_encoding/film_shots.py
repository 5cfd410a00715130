"""Shots of a film, from its stored chunks: where consecutive frames differ far more than their neighbours do."""

from film_encoding.film_clock import middle_frame
from film_encoding.film_contrast import as_filmed
from film_encoding.film_features import AT_ONCE, averaged

import numpy as np
from scipy.ndimage import median_filter

CUT_PX = 32  # frames are averaged down to about this size
CUT_RATIO = 3.0  # of a cut's change to the median change before it or after it
CUT_CHANGE = 0.04  # smallest mean change of a cut, of the full range of brightness
BESIDE = 5  # frame pairs whose median stands for motion within a shot


def shots_of_chunks(chunks: np.ndarray, ranges: np.ndarray | None = None) -> np.ndarray:
    """Number of the shot that the middle frame of each chunk belongs to: (n_chunks,), from 0.

    A cut is a change between consecutive stored frames that is at least three times the median
    change before it or after it, the smaller of the two. A sudden motion can pass for a cut; it
    then divides a shot, and nothing else follows from it.

    Parameters
    ----------
    chunks : (n_chunks, frames, pixels, pixels, 3) uint8, usually a memory map; some are read at a
        time.
    ranges : result of :func:`film_encoding.film_contrast.ranges_of`.
    """
    n, frames = chunks.shape[:2]
    changes, last = np.zeros(n * frames), None
    for start in range(0, n, AT_ONCE):
        here = slice(start, start + AT_ONCE)
        filmed = as_filmed(chunks[here], None if ranges is None else ranges[here])
        small = averaged(filmed.reshape(-1, *filmed.shape[2:]), CUT_PX) / np.float32(255)
        before = small[:1] if last is None else last
        steps = np.abs(np.diff(np.concatenate([before, small]), axis=0)).mean(axis=(1, 2, 3))
        changes[start * frames : start * frames + len(steps)] = steps
        last = small[-1:]
    medians = median_filter(changes, BESIDE, mode="nearest")
    apart = BESIDE // 2 + 1
    padded = np.pad(medians, apart, mode="edge")
    usual = np.minimum(padded[: -2 * apart], padded[2 * apart :])
    is_cut = (changes >= CUT_RATIO * usual) & (changes >= CUT_CHANGE)
    return np.cumsum(is_cut)[middle_frame(frames) :: frames]
