"""Frames stretched from black to white, as published, and back again.

A stretched frame is what the network sees. Where one bright thing is small, it dims all else,
differently from frame to frame; so features that rivals of the network get are of the frames as
they are in the film.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline import open_npy

import numpy as np


def stretched(frame: np.ndarray) -> np.ndarray:
    """A frame from its darkest to its brightest value; one colour everywhere becomes black."""
    low, high = int(frame.min()), int(frame.max())
    return np.round((frame - float(low)) * (255 / max(1, high - low))).astype(np.uint8)


def stretch_each(frames: Iterable[np.ndarray], ranges: np.ndarray) -> Iterator[np.ndarray]:
    """Stretched frames; writes the darkest and the brightest value of each into ``ranges`` (n, 2) uint8."""
    for place, frame in enumerate(frames):
        ranges[place] = frame.min(), frame.max()
        yield stretched(frame)


def range_file(chunk_folder: Path, film: str) -> Path:
    return chunk_folder / f"{film}_range.npy"


def ranges_of(chunk_folder: Path, film: str, cfg) -> np.ndarray | None:
    """Darkest and brightest value of each stored frame before it was stretched: (n_chunks, frames, 2); None where
    FRAME_CONTRAST left frames as they are.

    Raises
    ------
    NeuroFaceError
        If an earlier version of script 1 cut the film.
    """
    if cfg.FRAME_CONTRAST != "frame":
        return None
    file = range_file(chunk_folder, film)
    if not file.exists():
        raise NeuroFaceError(
            f"{file} is not there: an earlier version cut {film}. Delete {chunk_folder}, run script 1."
        )
    return open_npy(file)


def as_filmed(frames: np.ndarray, ranges: np.ndarray | None) -> np.ndarray:
    """Frames (..., height, width, 3) uint8 as they were before :func:`stretched`, exactly; ranges (..., 2) or None."""
    if ranges is None:
        return np.asarray(frames)
    low, high = (
        np.asarray(ranges)[..., end, None, None, None].astype(np.float32) for end in (0, 1)
    )
    return np.round(low + frames * ((high - low) / 255)).astype(np.uint8)
