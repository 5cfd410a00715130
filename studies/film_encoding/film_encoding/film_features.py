"""Features of films for the ridge regression that the encoder is compared with."""

from film_encoding.film_clock import middle_frame
from film_encoding.film_contrast import as_filmed

import numpy as np
from moten import get_default_pyramid
from moten.core import mk_3d_gabor_batched
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
MASK_LIMIT = 0.001  # pixels where a filter is smaller do not count, as in pymoten


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
    """Mean motion energy of each chunk: (n_chunks, n_filters) float32, :func:`compressed`.

    Each frame's mean is taken off, so uniform changes of brightness are no motion; the first and the
    last frame stand still before and after the film, so its ends are none either.
    """
    n, frames = chunks.shape[:2]
    step = max(1, round(frames / tr_s / MOTION_FPS))
    used = len(range(0, frames, step))
    filters, features = None, []
    for start in range(0, n, AT_ONCE):
        # Filters reach into the neighbouring chunks.
        first, last = max(0, start - 1), min(n, start + AT_ONCE + 1)
        here = slice(first, last), slice(None, None, step)
        grey = rgb2gray(as_filmed(chunks[here], _range(ranges, *here))).astype(np.float32)
        grey = averaged(grey.reshape(-1, *grey.shape[2:], 1), MOTION_PX)[..., 0]
        if filters is None:
            filters = MotionFilters(grey.shape[1], max(1, round(used / tr_s)))
        grey -= grey.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
        ends = (filters.reach if first == 0 else 0, filters.reach if last == n else 0)
        energy = filters.energy(np.pad(grey, (ends, (0, 0), (0, 0)), mode="edge"))
        energy = compressed(energy[ends[0] : len(energy) - ends[1]])
        energy = energy.reshape(last - first, used, -1).mean(axis=1)
        features.append(energy[start - first : start - first + AT_ONCE][: n - start])
    return np.concatenate(features).astype(np.float32)


def compressed(energy: np.ndarray) -> np.ndarray:
    """log(1 + energy): 0 where nothing is; pymoten's log(energy + 0.00001) makes −11.5 of black frames."""
    return np.log1p(energy)


class MotionFilters:
    """Pairs of spatio-temporal Gabor filters of pymoten's pyramid, all applied by one matrix product.

    Parameters
    ----------
    pixels : width and height of the frames. fps : frames per second, a whole number as pymoten takes
        it.
    neutral : whether filters for motion (above 0 Hz) give 0 for a still picture. pymoten's do not:
        those for 2 Hz keep 3 % of the static response.
    """

    def __init__(self, pixels: int, fps: int, neutral: bool = True):
        pyramid = get_default_pyramid(
            (pixels, pixels), fps,
            temporal_frequencies=[hz for hz in TEMPORAL_HZ if hz <= fps / 2],
            spatial_frequencies=[cycles for cycles in CYCLES_PER_IMAGE if cycles <= pixels / 4],
        )  # fmt: skip
        self.pyramid = pyramid
        sin, cos, time_sin, time_cos = mk_3d_gabor_batched((pixels, pixels), pyramid.filters)
        seen = np.abs(sin) + np.abs(cos) > MASK_LIMIT
        self.space = np.concatenate([sin * seen, cos * seen]).astype(np.float32)
        if neutral:
            time_sin, time_cos = (self._without_still(in_time) for in_time in (time_sin, time_cos))
        self.time_sin, self.time_cos = time_sin.astype(np.float32), time_cos.astype(np.float32)
        self.reach = time_sin.shape[1]

    def _without_still(self, time: np.ndarray) -> np.ndarray:
        """Temporal filters (n_filters, width) less as much of their envelope as makes the sum of those above 0 Hz 0."""
        offset = np.linspace(0, 1, time.shape[1], endpoint=False) - 0.5
        width = np.array([gabor["temporal_env"] for gabor in self.pyramid.filters])[:, None]
        moves = np.array([gabor["temporal_freq"] > 0 for gabor in self.pyramid.filters])[:, None]
        envelope = np.exp(-(offset**2) / (2 * width**2))
        still = envelope * time.sum(axis=1, keepdims=True) / envelope.sum(axis=1, keepdims=True)
        return np.where(moves, time - still, time)

    def energy(self, frames: np.ndarray) -> np.ndarray:
        """Amplitude of each pair at each frame: (n_frames, n_filters) float32. frames : (n_frames, pixels, pixels)."""
        n = len(frames)
        sin, cos = np.hsplit(frames.reshape(n, -1).astype(np.float32) @ self.space.T, 2)
        out_sin, out_cos = np.zeros_like(sin), np.zeros_like(cos)
        for column in range(self.reach):
            later = column - (self.reach + 1) // 2 + 1  # frames by which this part arrives later
            to, since = (
                slice(max(0, later), n + min(0, later)),
                slice(max(0, -later), n - max(0, later)),
            )
            time_sin, time_cos = self.time_sin[:, column], self.time_cos[:, column]
            out_sin[to] += sin[since] * time_cos + cos[since] * time_sin
            out_cos[to] += cos[since] * time_cos - sin[since] * time_sin
        return np.hypot(out_sin, out_cos)


def averaged(images: np.ndarray, pixels: int) -> np.ndarray:
    """Images (n, size, size, c) as means over areas, with about ``pixels`` pixels on each side, at least as many."""
    size = images.shape[1]
    step = max(1, size // pixels)
    kept = size - size % step
    images = images[:, :kept, :kept]
    return images.reshape(
        len(images), kept // step, step, kept // step, step, images.shape[-1]
    ).mean(axis=(2, 4))
