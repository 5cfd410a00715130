"""Frames of a film on the film's clock, decoded once, front to back.

This is the only module that knows how films are stored. Its interface is :class:`Film` (the times at which frames
appear, the end of the picture, the frames that are on the screen at given times) and :func:`write_film`.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline import atomic

import av
import numpy as np

SAME_TIME_S = 1e-6  # times that differ by less are one time: they are sums of fractions
SOUND_HZ = 22_050


class Film:
    """A film file, its times read from the container without decoding a frame.

    Zero of the film's clock is the moment at which a player starts: the earliest start of any stream, after the edit
    list of the file has been applied. Frames may come at any rate.

    Parameters
    ----------
    path : a file that FFmpeg can read.

    Attributes
    ----------
    times_s : (n_frames,) float64, sorted; when each frame appears.
    end_s : when the last frame leaves the screen. Sound may go on.
    sound_end_s : when the file ends.
    n_stated : frames that the file's header promises; 0 where it does not say.

    Raises
    ------
    NeuroFaceError
        If it is no film, has no picture, or states no times.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        with self._open() as (container, stream):
            self._start_s = (container.start_time or 0) / av.time_base
            self.n_stated = stream.frames
            times, lengths = [], []
            for packet in container.demux(stream):
                if packet.size and not packet.is_discard:  # not before the edit list begins
                    if packet.pts is None:
                        raise NeuroFaceError(
                            f"{path} does not say when its frames appear. Rewrap it: ffmpeg -fflags +genpts -i … -c "
                            "copy …"
                        )
                    times.append(float(packet.pts * packet.time_base) - self._start_s)
                    lengths.append(float((packet.duration or 0) * packet.time_base))
            duration_s = (container.duration or 0) / av.time_base
        if not times:
            raise NeuroFaceError(f"{path} holds no frame. Export the film again.")
        order = np.argsort(times, kind="stable")
        self.times_s = np.array(times)[order]
        steps = np.diff(self.times_s)
        usual_s = float(np.median(steps)) if len(steps) else 0.0
        self.end_s = float(self.times_s[-1]) + (lengths[order[-1]] or usual_s)
        self.sound_end_s = max(duration_s, self.end_s)
        self.n_decoded = 0

    def frames_at(self, times_s: np.ndarray, pixels: int) -> Iterator[np.ndarray]:
        """The frame on the screen at each of some times: the last one that has appeared, or the first one before any
        has.

        Only frames that are asked for are scaled. A frame that cannot be decoded is passed over, so that the one before
        stays; :attr:`n_decoded` counts, when all is read, those that could be.

        Parameters
        ----------
        times_s : (n,), sorted. pixels : width and height of the result; the film's own proportions are not kept.

        Yields
        ------
        frame : (pixels, pixels, 3) uint8, RGB, for each time.
        """
        wanted, position = np.asarray(times_s) + SAME_TIME_S, 0
        shown = scaled = None
        for time_s, frame in self._decoded():
            while position < len(wanted) and wanted[position] < time_s and shown is not None:
                scaled = _scaled(shown, pixels) if scaled is None else scaled
                yield scaled
                position += 1
            shown, scaled = frame, None
        if shown is None:
            raise NeuroFaceError(
                f"{self.path}: none of its {len(self.times_s)} frames can be decoded. Export it again."
            )
        scaled = _scaled(shown, pixels)
        for _ in range(position, len(wanted)):
            yield scaled

    def _decoded(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """(time, frame) of all that can be decoded."""
        self.n_decoded = 0
        with self._open() as (container, stream):
            stream.thread_type = "AUTO"
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.FFmpegError:  # this packet is damaged; the next may be whole
                    continue
                for frame in frames:
                    if frame.pts is not None and not frame.is_corrupt:
                        self.n_decoded += 1
                        yield float(frame.pts * frame.time_base) - self._start_s, frame

    def _open(self):
        return _Opened(self.path)


class _Opened:
    """A container and its picture stream, closed at the end of a ``with`` block."""

    def __init__(self, path: Path):
        try:
            self.container = av.open(str(path))
        except FileNotFoundError:
            raise NeuroFaceError(f"{path} is not there. Correct FILM_DIR.") from None
        except av.error.FFmpegError as error:
            raise NeuroFaceError(f"{path} cannot be read as a film ({error.strerror}). Export it again.") from None
        stream = self.container.streams.best("video")
        if stream is None:
            self.container.close()
            raise NeuroFaceError(f"{path} has no picture, only sound. Put the film there.")
        self.stream = stream

    def __enter__(self):
        return self.container, self.stream

    def __exit__(self, *_):
        self.container.close()


def _scaled(frame: av.VideoFrame, pixels: int) -> np.ndarray:
    """Each pixel the mean of the area that it covers, so that fine stripes do not alias."""
    return frame.reformat(width=pixels, height=pixels, format="rgb24", interpolation="AREA").to_ndarray()


def write_film(path: Path, frames: Iterable[tuple[float, np.ndarray]], *, rate: int = 10, sound_s: float = 0.0) -> None:
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
                picture = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "crf": "20"})
                picture.height, picture.width = frame.shape[:2]
                picture.pix_fmt, picture.time_base = "yuv420p", Fraction(1, 1000)
                picture.codec_context.time_base = picture.time_base
            shown = av.VideoFrame.from_ndarray(frame, format="rgb24")
            shown.pts, shown.time_base = round(1000 * time_s), Fraction(1, 1000)
            container.mux(picture.encode(shown))
        container.mux(picture.encode(None))
        if sound:
            _add_silence(container, sound, sound_s)


def _add_silence(container, sound, seconds: float) -> None:
    for start in range(0, int(seconds * SOUND_HZ), 1024):
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
        silence.sample_rate, silence.pts, silence.time_base = SOUND_HZ, start, Fraction(1, SOUND_HZ)
        container.mux(sound.encode(silence))
    container.mux(sound.encode(None))
