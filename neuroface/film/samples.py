"""A film at a few samples per second: faces, brightness, motion, cuts, loudness, speech; and small pictures to look at."""

import io
from collections import deque
from fractions import Fraction

from neuroface.film.frames import SAME_S, Film
from neuroface.film.packages import film_package
from neuroface.film.sound import loudness_and_speech
from neuroface.pipeline import note_progress

import numpy as np
from PIL import Image

SMALL_HEIGHT = 90  # of the pictures that brightness, motion and cuts are measured on
THUMBNAIL_HEIGHT = 108  # of the pictures on the correction page
BATCH = 8  # frames that the face detector gets at once
BEFORE_S, AFTER_S = 2.0, 2.0  # the cut detector's view beyond the samples that are asked for
CUT_APART_S = 0.4  # cuts closer than this are flashes
LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # ITU-R BT.709
SAMPLE_COLUMNS = (
    "time_s",
    "n_faces",
    "largest_share",
    "score",
    "brightness",
    "motion_energy",
    "shot_cuts",
    "loudness",
    "speech",
)


def scan(
    film: Film, samples: range, rate_hz: float, find_faces, face_height: int
) -> tuple[dict, dict[int, bytes]]:
    """Samples of a part of a film, in one pass over its frames and one over its sound.

    Sample k shows the frame that is on the screen at second k / ``rate_hz``. Decoding begins a
    little earlier, so that a sample does not depend on where the part begins: visual values
    are equal, loudness differs by less than 0.1 LU, and the probability of speech, on average, by
    less than 0.01.

    Parameters
    ----------
    samples : their numbers, consecutive.
    find_faces : frames (``face_height``, width, 3) → candidates, as
    :class:`neuroface.film.faces.FaceFinder` does it.

    Returns
    -------
    contents : "time_s", "brightness" (mean luma, 0 to 1), "motion_energy" (mean absolute change of
        luma since the sample before), "shot_cuts" (cuts since the sample before), "loudness",
        "speech": a number per sample; "faces": the candidates per sample; "damaged": packets that
        could not be decoded.
    pictures : sample → a small WebP picture, about one a second and wherever a face comes or goes.
    """
    film.damaged = 0
    times_s = np.arange(samples.start, samples.stop) / rate_hz
    cuts = _CutFinder(film)
    brightness_and_motion: list[tuple[float, float]] = []
    batch: list[tuple[int, np.ndarray]] = []
    pictures: dict[int, np.ndarray | bytes] = {}
    waiting = deque(range(max(0, samples.start - 1), samples.stop))
    found_faces, shown, luma = [], None, None

    def flush():
        found_faces.extend(find_faces([frame for _, frame in batch]))
        batch.clear()
        note_progress(0.95 * len(found_faces) / len(samples))

    def take(number):
        nonlocal luma
        frame, small = shown or (
            None,
            np.zeros((SMALL_HEIGHT, film.width_at(SMALL_HEIGHT), 3), dtype=np.uint8),
        )
        before, luma = luma, small @ LUMA / 255
        if number < samples.start:
            return
        brightness_and_motion.append(
            (float(luma.mean()), 0.0 if before is None else float(np.abs(luma - before).mean()))
        )
        large = (
            np.zeros((face_height, film.width_at(face_height), 3), np.uint8)
            if frame is None
            else None
        )
        large = frame.rgb(face_height, film) if large is None else large
        batch.append((number, large))
        pictures[number] = large
        if len(batch) == BATCH:
            flush()
            _thin_out(pictures, found_faces, samples.start, rate_hz)

    for frame in film.frames(max(0.0, times_s[0] - BEFORE_S), times_s[-1] + AFTER_S):
        while waiting and waiting[0] / rate_hz < frame.time_s - SAME_S:
            take(waiting.popleft())
        small = frame.rgb(SMALL_HEIGHT, film)
        cuts.add(frame.time_s, small)
        shown = (frame, small)
    while waiting:
        take(waiting.popleft())
    if batch:
        flush()
    _thin_out(pictures, found_faces, samples.start, rate_hz)
    loudness, speech = loudness_and_speech(film, times_s, 1 / rate_hz)
    brightness, motion = (
        np.round(series, 5).tolist() for series in np.array(brightness_and_motion).T
    )
    counts = np.histogram(cuts.times_s(), np.append(times_s - 1 / rate_hz, times_s[-1]) + SAME_S)[0]
    return {
        "time_s": np.round(times_s, 6).tolist(),
        "faces": found_faces,
        "brightness": brightness,
        "motion_energy": motion,
        "shot_cuts": counts.tolist(),
        "loudness": [None if np.isnan(v) else round(float(v), 2) for v in loudness],
        "speech": [None if np.isnan(v) else round(float(v), 4) for v in speech],
        "damaged": film.damaged,
    }, {number: picture for number, picture in pictures.items() if isinstance(picture, bytes)}


def _thin_out(pictures: dict, faces: list, first: int, rate_hz: float) -> None:
    """Pack the pictures to keep; drop the others: about one a second stays, and each at which a face comes or goes."""
    for number in [n for n, picture in pictures.items() if not isinstance(picture, bytes)]:
        row = number - first
        changed = row > 0 and bool(faces[row]) != bool(faces[row - 1])
        if number % max(1, round(rate_hz)) and not changed:
            del pictures[number]
        else:
            pictures[number] = packed(pictures[number])


def packed(image: np.ndarray) -> bytes:
    """A picture as a small WebP."""
    picture, target = Image.fromarray(image), io.BytesIO()
    picture.resize(
        (max(1, round(picture.width * THUMBNAIL_HEIGHT / picture.height)), THUMBNAIL_HEIGHT)
    ).save(target, "webp", quality=55)
    return target.getvalue()


class _CutFinder:
    """PySceneDetect's adaptive detector, fed frame by frame."""

    def __init__(self, film: Film):
        self._scenedetect = film_package("scenedetect")
        self._rate = Fraction(film.frame_rate or 25).limit_denominator(100_000)
        self._detector = self._scenedetect.AdaptiveDetector(
            min_scene_len=1
        )  # in frames; here seconds count, see below
        self._times_s: list[float] = []
        self._cuts: set[int] = set()

    def add(self, time_s: float, small: np.ndarray) -> None:
        self._note(
            self._detector.process_frame(
                self._code(len(self._times_s)), np.ascontiguousarray(small[..., ::-1])
            )
        )
        self._times_s.append(time_s)

    def times_s(self) -> list[float]:
        """Seconds at which the frame after a cut appears; of cuts closer than :data:`CUT_APART_S` the first."""
        if self._times_s:
            self._note(self._detector.post_process(self._code(len(self._times_s) - 1)))
        kept: list[float] = []
        for time_s in (self._times_s[number] for number in sorted(self._cuts)):
            if not kept or time_s - kept[-1] >= CUT_APART_S - SAME_S:
                kept.append(time_s)
        return kept

    def _code(self, number: int):
        return self._scenedetect.FrameTimecode(number, self._rate)

    def _note(self, codes) -> None:
        self._cuts |= {code.frame_num for code in codes}
