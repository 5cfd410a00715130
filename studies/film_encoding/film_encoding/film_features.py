"""Features of films for the ridge regression that the encoder is compared with."""

from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

from film_encoding.film_clock import middle_frame
from film_encoding.film_contrast import as_filmed

import numpy as np
from moten import get_default_pyramid
from skimage.color import rgb2gray

MOTION_PX, FRAMES_PX = 48, 14  # frames are averaged down to about these sizes
MOTION_FPS = (
    16  # more frames per second than that tell nothing about the motion that the pyramid looks for
)
TEMPORAL_HZ, CYCLES_PER_IMAGE = (
    (0, 2, 4),
    (0, 2, 4, 8, 16),
)  # of Nishimoto et al. 2011, as pymoten has them
AT_ONCE = 64  # chunks


def film_features(
    chunks: np.ndarray, name: str, tr_s: float, ranges: np.ndarray | None = None
) -> np.ndarray:
    """Features of every chunk of a film: (n_chunks, n_features) float32.

    Parameters
    ----------
    chunks : (n_chunks, frames, pixels, pixels, 3) uint8, usually a memory map; some are read at a
    time.
    name : "motion energy": spatio-temporal Gabor filters (Nishimoto et al. 2011, Curr. Biol.
        21:1641; pymoten), the mean over the chunk of their compressed amplitudes. "frames": the
        middle frame in colour, averaged down to 14 × 14.
    ranges : result of :func:`film_encoding.film_contrast.ranges_of`, where the stored frames are stretched
    ones.
    """
    return (
        motion_energy(chunks, tr_s, ranges)
        if name == "motion energy"
        else small_frames(chunks, ranges)
    )


def _range(ranges: np.ndarray | None, *place) -> np.ndarray | None:
    return None if ranges is None else ranges[place]


def small_frames(chunks: np.ndarray, ranges: np.ndarray | None = None) -> np.ndarray:
    frame, parts = middle_frame(chunks.shape[1]), []
    for start in range(0, len(chunks), AT_ONCE):
        here = slice(start, start + AT_ONCE)
        frames = as_filmed(chunks[here, frame], _range(ranges, here, frame))
        parts.append(averaged(frames / np.float32(255), FRAMES_PX))
    return np.concatenate(parts).reshape(len(chunks), -1)


def motion_energy(chunks: np.ndarray, tr_s: float, ranges: np.ndarray | None = None) -> np.ndarray:
    n, frames = chunks.shape[:2]
    step = max(1, round(frames / tr_s / MOTION_FPS))
    used = len(range(0, frames, step))
    fps = max(1, round(used / tr_s))  # pymoten takes whole ones
    pyramid = None
    features = []
    for start in range(0, n, AT_ONCE):
        first, last = (
            max(0, start - 1),
            min(n, start + AT_ONCE + 1),
        )  # filters reach into the neighbours
        here = slice(first, last), slice(None, None, step)
        grey = rgb2gray(as_filmed(chunks[here], _range(ranges, *here))).astype(np.float32)
        grey = averaged(grey.reshape(-1, *grey.shape[2:], 1), MOTION_PX)[..., 0]
        if pyramid is None:
            pixels = grey.shape[1]
            pyramid = get_default_pyramid(
                (pixels, pixels), fps,
                temporal_frequencies=[hz for hz in TEMPORAL_HZ if hz <= fps / 2],
                spatial_frequencies=[cycles for cycles in CYCLES_PER_IMAGE if cycles <= pixels / 4],
            )  # fmt: skip
        energy = (
            _quietly(pyramid.project_stimulus, grey).reshape(last - first, used, -1).mean(axis=1)
        )
        features.append(energy[start - first : start - first + AT_ONCE][: n - start])
    return np.concatenate(features).astype(np.float32)


def averaged(images: np.ndarray, pixels: int) -> np.ndarray:
    """Images (n, size, size, c) as means over areas, with about ``pixels`` pixels on each side, at least as many."""
    size = images.shape[1]
    step = max(1, size // pixels)
    kept = size - size % step
    images = images[:, :kept, :kept]
    return images.reshape(
        len(images), kept // step, step, kept // step, step, images.shape[-1]
    ).mean(axis=(2, 4))


def _quietly(function, *arguments):
    """pymoten draws a progress bar for every call."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        return function(*arguments)
