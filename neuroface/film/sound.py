"""What the ear gets: loudness by ITU-R BS.1770 and speech, at every sample of a film."""

from neuroface.film.frames import Film
from neuroface.film.packages import film_package

import numpy as np

SILENCE_LUFS = -70.0  # the absolute gate of BS.1770: what is softer counts as silence
WARM_S = 2.0  # filters and the speech detector start this much earlier
RATE_HZ, BLOCK = 16_000, 160  # of the speech detector: 10 ms of mono


def loudness_and_speech(film: Film, times_s: np.ndarray, step_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Loudness and the probability of speech in the ``step_s`` that follow each of ``times_s`` (n,).

    Loudness is the momentary loudness (400 ms) around the middle of a step, by FFmpeg's filter ``ebur128``. Speech is the
    mean of pymicro-vad's probabilities over a step. The sound streams by.

    Returns
    -------
    loudness (LUFS, at least :data:`SILENCE_LUFS`), speech (0 to 1) : (n,) each; NaN where the film has no sound track.
    """
    if not film.has_sound:
        return np.full((2, len(times_s)), np.nan)
    start_s, end_s = max(0.0, times_s[0] - WARM_S), times_s[-1] + step_s + 0.3
    loud_at, loud, speech_at, spoken = _measured(film, start_s, end_s)
    # The window of 400 ms that is centred on the step ends 200 ms after the middle.
    nearest = np.searchsorted(loud_at, times_s + step_s / 2 + 0.2 - 1e-6)
    loudness = np.full(len(times_s), SILENCE_LUFS)
    loud = np.nan_to_num(loud, nan=SILENCE_LUFS, neginf=SILENCE_LUFS)  # of nothing but zeros
    loudness[nearest < len(loud)] = loud[nearest[nearest < len(loud)]]
    edges = np.searchsorted(speech_at, np.stack([times_s, times_s + step_s]) - 1e-6)
    sums = np.concatenate([[0.0], np.cumsum(spoken)])
    speech = (sums[edges[1]] - sums[edges[0]]) / np.maximum(edges[1] - edges[0], 1)
    return np.maximum(loudness, SILENCE_LUFS), speech


def _measured(film: Film, start_s: float, end_s: float) -> tuple[np.ndarray, ...]:
    """Ends of loudness windows (s) and their LUFS; starts of speech blocks (s) and their probabilities."""
    av, detector = film_package("av"), film_package("pymicro_vad").MicroVad()
    loudness, speech, waiting, block_s = [], [], np.zeros(0, dtype=np.int16), None
    with film.opened("audio") as (container, track):
        if start_s > 0:
            container.seek(int((start_s + film.start_s) / track.time_base), stream=track)
        meter = _meter(av, track)
        mono = av.AudioResampler("s16", "mono", RATE_HZ)
        for packet in container.demux(track):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                film.damaged += 1
                continue
            for frame in frames:
                if frame.pts is None:
                    continue
                time_s = float(frame.pts * frame.time_base) - film.start_s
                if time_s > end_s:
                    return tuple(np.array(part, dtype=float) for part in (*_columns(loudness), *_columns(speech)))
                if time_s + frame.samples / frame.sample_rate < start_s:
                    continue
                loudness += meter(frame, time_s)
                for part in mono.resample(frame):
                    block_s = time_s - len(waiting) / RATE_HZ
                    waiting = np.concatenate([waiting, part.to_ndarray().ravel()])
                    for start in range(0, len(waiting) - BLOCK + 1, BLOCK):
                        probability = detector.process_10ms(waiting[start : start + BLOCK].tobytes())
                        speech.append((block_s + start / RATE_HZ, max(0.0, probability)))
                    waiting = waiting[len(waiting) // BLOCK * BLOCK :]
    return tuple(np.array(part, dtype=float) for part in (*_columns(loudness), *_columns(speech)))


def _columns(rows: list[tuple[float, float]]):
    return zip(*rows) if rows else ((), ())


def _meter(av, track):
    """A function (frame, its second) → (end of a window in s, momentary LUFS) of each window that the frame completes."""
    graph = av.filter.Graph()
    source, meter, sink = (
        graph.add_abuffer(template=track),
        graph.add("ebur128", "metadata=1"),
        graph.add("abuffersink"),
    )
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    offset = []

    def push(frame, time_s):
        if not offset:
            offset.append(time_s - float(frame.pts * frame.time_base))
        graph.push(frame)
        found = []
        while True:
            try:
                out = graph.pull()  # the graph must outlive its filters, and so stays named here
            except (av.BlockingIOError, av.EOFError):
                return found
            if (value := out.metadata.get("lavfi.r128.M")) is not None:
                end_s = float(out.pts * out.time_base) + out.samples / out.sample_rate + offset[0]
                found.append((end_s, float(value)))

    return push
