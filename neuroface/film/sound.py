"""Loudness by ITU-R BS.1770 and the probability of speech, at every sample of a film."""

from neuroface.film.frames import Film
from neuroface.film.packages import film_package

import numpy as np

SILENCE_LUFS = -70.0  # the absolute gate of BS.1770: what is softer counts as silence
WARM_S = 2.0  # filters and the speech detector start this much earlier
HOP_S = 0.1  # from the end of one loudness window to the end of the next
ROUNDING_S = 2e-3  # of time stamps
RATE_HZ, BLOCK = 16_000, 160  # of the speech detector: 10 ms of mono


def loudness_and_speech(
    film: Film, times_s: np.ndarray, step_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Loudness and the probability of speech in the ``step_s`` that follow each of ``times_s`` (n,).

    Loudness is the momentary loudness (400 ms) around the middle of a step, by FFmpeg's filter
    ``ebur128``. Speech is the mean of pymicro-vad's probabilities over a step. The sound streams
    by.

    Returns
    -------
    loudness (LUFS, at least :data:`SILENCE_LUFS`), speech (0 to 1) : (n,) each; NaN where the film
    has no sound track.
    """
    if not film.has_sound:
        return np.full(len(times_s), np.nan), np.full(len(times_s), np.nan)
    start_s, end_s = max(0.0, times_s[0] - WARM_S), times_s[-1] + step_s + 0.3
    (loud_at, loud), (speech_at, spoken) = (series.T for series in _measured(film, start_s, end_s))
    # The window of 400 ms that is centred on the step ends 200 ms after the middle.
    ends_s = times_s + step_s / 2 + 0.2
    nearest = np.searchsorted(loud_at, ends_s - ROUNDING_S)
    loud = np.nan_to_num([*loud, np.nan], nan=SILENCE_LUFS, neginf=SILENCE_LUFS)[
        nearest
    ]  # not a number: only zeros
    loudness = np.where(
        np.append(loud_at, np.inf)[nearest] - ends_s < HOP_S + ROUNDING_S, loud, SILENCE_LUFS
    )
    edges = np.searchsorted(speech_at, np.stack([times_s, times_s + step_s]) - 1e-6)
    sums = np.concatenate([[0.0], np.cumsum(spoken)])
    speech = (sums[edges[1]] - sums[edges[0]]) / np.maximum(edges[1] - edges[0], 1)
    return np.maximum(loudness, SILENCE_LUFS), speech


def _measured(film: Film, start_s: float, end_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Ends of loudness windows (s) and their LUFS, starts of speech blocks (s) and their probabilities: (n, 2), (m, 2)."""
    av, detector = film_package("av"), film_package("pymicro_vad").MicroVad()
    loudness, speech, waiting, kind = [], [], np.zeros(0, dtype=np.int16), None
    with film.opened("audio") as (container, track):
        if start_s > 0:
            container.seek(int((start_s + film.start_s) / track.time_base), stream=track)
        for frame in (
            frame
            for _, frames in film.decoded(container, track)
            for frame in frames
            if frame.pts is not None
        ):
            time_s = float(frame.pts * frame.time_base) - film.start_s
            if time_s > end_s:
                break
            if time_s + frame.samples / frame.sample_rate < start_s:
                continue
            if kind != (
                kind := (frame.format.name, frame.layout.name, frame.sample_rate)
            ):  # broadcasts change it midway
                meter, mono = (
                    _Meter(film, frame, max(start_s, time_s)),
                    av.AudioResampler("s16", "mono", RATE_HZ),
                )
            loudness += meter.push(frame)
            for block in mono.resample(frame):
                block_s = time_s - len(waiting) / RATE_HZ
                waiting = np.concatenate([waiting, block.to_ndarray().ravel()])
                for start in range(0, len(waiting) - BLOCK + 1, BLOCK):
                    probability = detector.process_10ms(waiting[start : start + BLOCK].tobytes())
                    speech.append((block_s + start / RATE_HZ, max(0.0, probability)))
                waiting = waiting[len(waiting) // BLOCK * BLOCK :]
    return np.reshape(loudness, (-1, 2)), np.reshape(speech, (-1, 2))


class _Meter:
    """FFmpeg's ``ebur128`` on frames like ``frame``. Its windows end at whole tenths of a second of the film."""

    def __init__(self, film: Film, frame, from_s: float):
        self._av, self._start_s = film_package("av"), film.start_s
        begin_s = np.ceil(from_s / HOP_S - 1e-6) * HOP_S + film.start_s
        self._graph = graph = self._av.filter.Graph()  # it must outlive its filters
        filters = [
            graph.add_abuffer(
                sample_rate=frame.sample_rate,
                format=frame.format,
                layout=frame.layout,
                time_base=frame.time_base,
            ),
            graph.add("atrim", f"start={begin_s:.6f}"),
            graph.add("ebur128", "metadata=1"),
            graph.add("abuffersink"),
        ]
        graph.link_nodes(*filters).configure()

    def push(self, frame) -> list[tuple[float, float]]:
        """(end in s, momentary LUFS) of each window of 400 ms that the frame completes."""
        self._graph.push(frame)
        measured: list[tuple[float, float]] = []
        while True:
            try:
                out = self._graph.pull()
            except (self._av.BlockingIOError, self._av.EOFError):
                return measured
            if (value := out.metadata.get("lavfi.r128.M")) is not None:
                end_s = (
                    float(out.pts * out.time_base) + out.samples / out.sample_rate - self._start_s
                )
                measured.append((end_s, float(value)))
