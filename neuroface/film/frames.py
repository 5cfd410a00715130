"""Frames of a film file, streamed, each with the second at which it appears on the screen.

The film's clock starts where a player starts: at the earliest time stamp of the file's tracks, in
MP4 and MOV not before second 0. Time stamps are those that FFmpeg gives after it has applied edit
lists, so a variable frame rate, a late start and a cut without re-encoding all keep the right
second (ISO/IEC 14496-12, 8.6; FFmpeg's ``AVFormatContext.start_time``). Of a fragmented MP4 FFmpeg
8 keeps what lies before the edit, at negative times; of a regular MP4 of the same cut it does not.
In MPEG-TS and Matroska a negative time stamp is no such mark.
"""

import math
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from neuroface import NeuroFaceError
from neuroface.film.packages import film_package

import numpy as np

SAME_S = 1e-3  # Matroska rounds time stamps to 1 ms
BACK_S = (
    1.0,
    10.0,
    60.0,
    math.inf,
)  # how far before the wanted second decoding starts, until it starts early enough
MISSING_S = 2.0  # a file that ends earlier than it says, by more than this, is cut off
EDIT_LISTS = "mp4"  # FFmpeg's name of the format MP4, MOV, 3GP
JUMP_S = (
    1.0  # time stamps that jump back by more than this belong to several recordings in one file
)
MOST_DAMAGED = 25  # frames before the first that can be decoded; after more, the decoder's output is not reliable


class Frame(NamedTuple):
    """A decoded frame and the second of the film at which it appears."""

    time_s: float
    picture: Any  # av.VideoFrame; PyAV is loaded when a film is opened

    def rgb(self, height: int, film: "Film") -> np.ndarray:
        """The picture as a viewer sees it, turned upright and with square pixels: (height, width, 3) uint8.

        Parameters
        ----------
        height : height of the result; the width follows from the film's shape.
        """
        turned = film.rotation % 180 == 90
        size = (height, film.width_at(height)) if turned else (film.width_at(height), height)
        image = self.picture.reformat(*size, format="rgb24", interpolation="AREA").to_ndarray()
        return np.ascontiguousarray(np.rot90(image, round(film.rotation / 90)))


@dataclass
class Film:
    """A film file: what it says of itself, checked by :func:`open_film`.

    ``width`` and ``height`` are those of the picture as a viewer sees it. ``rotation`` is what
    turns it upright, in degrees counter-clockwise. ``damaged`` counts the packets that could not be
    decoded so far.
    """

    path: Path
    start_s: float = 0.0  # time stamp at which the film starts to play
    duration_s: float = 0.0
    frame_rate: float = 0.0  # mean
    width: int = 0
    height: int = 0
    rotation: int = 0
    codec: str = ""
    has_sound: bool = False
    damaged: int = field(default=0, compare=False)

    def width_at(self, height: int) -> int:
        return max(2, round(self.width * height / self.height))

    @contextmanager
    def opened(self, kind: str):
        """Yield (container, its first track of a ``kind``: "video" or "audio")."""
        av = film_package("av")
        try:
            container = av.open(str(self.path))
        except av.FFmpegError as error:
            raise NeuroFaceError(
                f"{self.path} cannot be opened as a film ({error.strerror or error}): it is cut off, damaged, encrypted or "
                f"of another kind. Copy or export it again."
            ) from None
        with container:
            track = _track(container, kind)
            if track is None:
                raise NeuroFaceError(
                    f"{self.path} has no {kind} track that FFmpeg can decode. Name the file that holds the film's picture."
                )
            yield container, track

    def decoded(self, container, track) -> Iterator[tuple]:
        """Packets of a track, each with the frames that it completes; those that cannot be decoded are counted and skipped.

        Raises
        ------
        NeuroFaceError
            If the track is encrypted or the file cannot be read on.
        """
        av = film_package("av")
        try:
            for packet in _packets(container, track):
                # A decoder conceals what it cannot read: of some encrypted films it makes pictures.
                if packet.has_sidedata("encryption_info"):
                    raise NeuroFaceError(
                        f"{self.path}: its {track.type} track is encrypted. Export the film without protection, or "
                        f"use another copy."
                    )
                try:
                    frames = packet.decode()
                except av.FFmpegError:
                    self.damaged += (
                        packet.size > 0
                    )  # an empty packet stands for a frame that repeats the one before
                    continue
                yield packet, frames
        except av.FFmpegError as error:
            raise NeuroFaceError(
                f"{self.path} is damaged and cannot be read on ({error.strerror or error}). Copy or export it again."
            ) from None

    def frames(self, start_s: float = 0.0, end_s: float = math.inf) -> Iterator[Frame]:
        """Frames in the order of the screen, from the one that is on at ``start_s`` to the last before ``end_s``.

        Only the frame at hand is in memory. A packet that cannot be decoded is counted in
        ``damaged``; the frame before it then stays.

        Raises
        ------
        NeuroFaceError
            If time stamps jump back.
        """
        for back_s in BACK_S if start_s > SAME_S else (math.inf,):
            frames = self._frames_from(start_s - back_s)
            first = next(frames, None)
            if back_s == math.inf or (first and first.time_s <= start_s + SAME_S):
                break
            frames.close()
        if first is None:
            return
        shown = first
        for frame in frames:
            if frame.time_s < shown.time_s - JUMP_S:
                raise NeuroFaceError(
                    f"{self.path}: time stamps jump back from {shown.time_s:.1f} s to {frame.time_s:.1f} s: it holds "
                    f"several recordings. Join them anew, for example with FFmpeg's concat demuxer."
                )
            if frame.time_s <= shown.time_s:
                continue
            if frame.time_s > start_s + SAME_S:
                if shown.time_s >= end_s - SAME_S:
                    return
                yield shown
            shown = frame
        if shown.time_s < end_s - SAME_S:
            yield shown

    def _frames_from(self, seek_s: float) -> Generator[Frame, None, None]:
        """Decoded frames, with their time on the film's clock, from a place before ``seek_s``."""
        av = film_package("av")
        with self.opened("video") as (container, track):
            track.thread_type = "AUTO"
            if seek_s > 0:
                try:
                    container.seek(int((seek_s + self.start_s) / track.time_base), stream=track)
                except av.FFmpegError:  # no index: decode from the start
                    return
            # AVI numbers its packets and not its pictures: the n-th picture to be shown gets the
            # n-th packet's time.
            numbers: deque | None = deque() if container.format.name == "avi" else None
            for packet, pictures in self.decoded(container, track):
                if numbers is not None and packet.dts is not None:
                    numbers.append(packet.dts * packet.time_base)
                for picture in pictures:
                    if numbers:
                        stamp_s = numbers.popleft()
                    elif picture.pts is not None:
                        stamp_s = picture.pts * picture.time_base
                    else:
                        raise NeuroFaceError(
                            f"{self.path}: its frames carry no time. Copy them: ffmpeg -i FILM -c copy FILM.mkv"
                        )
                    yield Frame(float(stamp_s) - self.start_s, picture)


def open_film(path: str | Path) -> Film:
    """What a film file says of itself; its first frame is decoded and its end is looked at.

    Raises
    ------
    NeuroFaceError
        If it is missing, empty, no film, encrypted or cut off, or if it has no picture.
    """
    film_package("av")
    film = Film(Path(path))
    if not film.path.is_file():
        raise NeuroFaceError(
            f"{path} is {'a folder' if film.path.is_dir() else 'not there'}. Name a film file."
        )
    if not film.path.stat().st_size:
        raise NeuroFaceError(f"{path} is empty (0 bytes). Copy or export it again.")
    with film.opened("video") as (container, track):
        first_s = film.start_s = (container.start_time or 0) / 1e6
        said_s = container.duration / 1e6 if container.duration else None
        if EDIT_LISTS in container.format.name.split(",") and first_s < 0:
            film.start_s, said_s = 0.0, said_s and said_s + first_s
        if (
            container.format.name == "avi" and track.frames and track.average_rate
        ):  # its duration is what is there
            said_s = float(track.frames / track.average_rate)
        film.frame_rate, film.codec = float(track.average_rate or 0), track.codec_context.name
        film.has_sound = _track(container, "audio") is not None
        pixel = track.sample_aspect_ratio or track.codec_context.sample_aspect_ratio or 1
        end_s, stated_s = _ends(container, track, film.start_s, said_s)
    if said_s and end_s < said_s - MISSING_S:
        raise NeuroFaceError(
            f"{path} is cut off: it says that it lasts {said_s:.1f} s, and its data end at {end_s:.1f} s. Copy it again."
        )
    first = next(film._frames_from(-math.inf), None)
    if first is None or film.damaged > MOST_DAMAGED:
        raise NeuroFaceError(
            f"{path}: no frame can be decoded. It is damaged or encrypted; copy or export it again."
        )
    film.duration_s, film.rotation = stated_s, int(first.picture.rotation) % 360
    film.width, film.height = (
        max(1, round(first.picture.width * float(pixel))),
        first.picture.height,
    )
    if film.rotation % 180 == 90:
        film.width, film.height = film.height, film.width
    return film


def _track(container, kind: str):
    """The first track of a kind that can be decoded and is not a cover picture."""
    cover = film_package("av").stream.Disposition.attached_pic
    tracks = (track for track in getattr(container.streams, kind) if track.codec_context)
    return next((track for track in tracks if not track.disposition & cover), None)


def _packets(container, *tracks) -> Iterator:
    """Packets of tracks; of all without one. PyAV 18 fails after the last one if a track has appeared midway."""
    with suppress(IndexError):
        yield from container.demux(*tracks)


def _ends(container, track, start_s: float, said_s: float | None) -> tuple[float, float]:
    """Where the file's data end, and where its picture ends, in seconds of the film; only the last packets are read."""
    av = film_package("av")
    ends: dict[int, float] = {}
    frame_s = 1 / float(track.average_rate or 25)
    starts = [max(0.0, said_s - 20), 0.0] if said_s else [0.0]
    for from_s in starts:
        with suppress(av.FFmpegError):  # a file that cannot be searched is read from where it is
            container.seek(int((from_s + start_s) * 1e6))
        with suppress(av.FFmpegError):  # what was read until then tells where the data end
            for packet in _packets(container):
                if packet.pts is not None:
                    lasts_s = packet.duration * packet.time_base if packet.duration else 0.0
                    if packet.stream_index == track.index:
                        lasts_s = lasts_s or frame_s
                    end_s = float(packet.pts * packet.time_base) + float(lasts_s) - start_s
                    ends[packet.stream_index] = max(ends.get(packet.stream_index, 0.0), end_s)
        if track.index in ends:
            break
    return max(ends.values(), default=0.0), ends.get(track.index, 0.0)
