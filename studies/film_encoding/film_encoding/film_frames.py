"""Frames of a film at given times, and MP4 files written frame by frame.

The room ``film`` reads films; :class:`SampledFilm` says which frame is on the screen when, and how
many are missing or broken.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from neuroface import NeuroFaceError
from neuroface.film import open_film
from neuroface.pipeline import atomic, create_npy

import av
import numpy as np

SAME_TIME_S = 1e-6  # times that differ by less are one time: they are sums of fractions
SOUND_HZ = 22_050
MAPPED_FRAMES = 1024


class SampledFilm:
    """A film file and the times of its frames, which are read without decoding them.

    The clock is that of :mod:`neuroface.film.frames`. Frames may come at any rate.

    Parameters
    ----------
    path : a file that FFmpeg can read.

    Attributes
    ----------
    times_s : (n_frames,) float64, sorted; when each frame appears.
    end_s : when the last frame leaves the screen. Sound may go on.
    file_end_s : when the file ends.
    n_stated : frames that the file's header promises; 0 where it does not say.
    n_decoded : frames that could be decoded, once :meth:`frames_at` is done.

    Raises
    ------
    NeuroFaceError
        If it is no film, is cut off, has no picture, or does not say when its frames appear.
    """

    def __init__(self, path: Path):
        self.path, self._film, self.n_decoded = Path(path), open_film(path), 0
        with self._film.opened("video") as (container, track):
            packets = [packet for packet in container.demux(track) if packet.size]
            shown = [
                packet for packet in packets if not packet.is_discard
            ]  # not before the edit list begins
            self.n_stated = max(0, track.frames - len(packets) + len(shown))
            file_s = (container.duration or 0) / av.time_base
            stamps = [packet.dts if packet.pts is None else packet.pts for packet in shown]
            step_s = track.time_base
        if not stamps or None in stamps:
            raise NeuroFaceError(
                f"{path} does not say when its frames appear. Copy it: ffmpeg -fflags +genpts -i FILM -c copy FILM.mkv"
            )
        times_s = np.sort([float(stamp * step_s) for stamp in stamps]) - self._film.start_s
        before = max(
            0, int(np.searchsorted(times_s, SAME_TIME_S, side="right")) - 1
        )  # before the edit of a fragmented MP4
        self.times_s, self.n_stated = times_s[before:], max(0, self.n_stated - before)
        self.end_s = self._film.duration_s
        self.file_end_s = max(file_s, self.end_s)

    def frames_at(self, times_s: np.ndarray, pixels: int) -> Iterator[np.ndarray]:
        """The frame on the screen at each of some times: the last one that has appeared, or the first one before any
        has.

        Only frames that are asked for are scaled. A frame that cannot be decoded is passed over, so
        that the one before stays.

        Parameters
        ----------
        times_s : (n,), sorted. pixels : width and height of the result; the film's own proportions
        are not kept.

        Yields
        ------
        frame : (pixels, pixels, 3) uint8, RGB, upright, for each time.
        """
        wanted, position, self.n_decoded = np.asarray(times_s) + SAME_TIME_S, 0, 0
        shown = scaled = None
        for time_s, picture in self._film.frames():
            if picture.is_corrupt:
                continue
            self.n_decoded += 1
            while position < len(wanted) and wanted[position] < time_s and shown is not None:
                scaled = self._scaled(shown, pixels) if scaled is None else scaled
                yield scaled
                position += 1
            shown, scaled = picture, None
        if shown is None:
            raise NeuroFaceError(
                f"{self.path}: none of its {len(self.times_s)} frames can be decoded. Export it again."
            )
        scaled = self._scaled(shown, pixels)
        for _ in range(position, len(wanted)):
            yield scaled

    def _scaled(self, picture: av.VideoFrame, pixels: int) -> np.ndarray:
        """Each pixel the mean of the area that it covers, so that fine stripes do not alias."""
        image = picture.reformat(
            width=pixels, height=pixels, format="rgb24", interpolation="AREA"
        ).to_ndarray()
        return np.rot90(image, round(self._film.rotation / 90))


def store_frames(path: Path, shape: tuple[int, ...], frames: Iterable[np.ndarray]) -> None:
    """Write frames one after another to a ``.npy`` file; memory does not grow with their number.

    Parameters
    ----------
    shape : (n_chunks, frames, height, width, 3) of the file, uint8; as many frames as it holds.
    """
    create_npy(path, shape, np.uint8)
    stored: Any = np.empty(0)  # the map at hand
    for place, frame in enumerate(frames):
        if place % MAPPED_FRAMES == 0:  # a new map gives the memory of the one before back
            stored = np.lib.format.open_memmap(path, mode="r+").reshape(-1, *shape[2:])
        stored[place] = frame
    stored.flush()


def write_film(
    path: Path, frames: Iterable[tuple[float, np.ndarray]], *, rate: int = 10, sound_s: float = 0.0
) -> None:
    """Frames as an MP4 file (H.264), each at its own time.

    Parameters
    ----------
    frames : (time_s, frame (height, width, 3) uint8), in order; times need not be evenly spaced.
    rate : frames per second that the header states.
    sound_s : seconds of silence as a sound track; 0: none.
    """
    with atomic(path) as partial, av.open(str(partial), "w", format="mp4") as container:
        picture = sound = None
        if sound_s:
            sound = container.add_stream("aac", rate=SOUND_HZ, layout="mono")
        for time_s, frame in frames:
            if picture is None:
                picture = container.add_stream(
                    "libx264", rate=rate, options={"preset": "ultrafast", "crf": "20"}
                )
                picture.height, picture.width = frame.shape[:2]
                picture.pix_fmt, picture.time_base = "yuv420p", Fraction(1, 1000)
                picture.codec_context.time_base = picture.time_base
            shown = av.VideoFrame.from_ndarray(frame, format="rgb24")
            shown.pts, shown.time_base = round(1000 * time_s), Fraction(1, 1000)
            container.mux(picture.encode(shown))
        if picture is not None:
            container.mux(picture.encode(None))
        if sound:
            _add_silence(container, sound, sound_s)


def _add_silence(container, sound, seconds: float) -> None:
    for start in range(0, int(seconds * SOUND_HZ), 1024):
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono"
        )
        silence.sample_rate, silence.pts, silence.time_base = SOUND_HZ, start, Fraction(1, SOUND_HZ)
        container.mux(sound.encode(silence))
    container.mux(sound.encode(None))
