"""The film's clock and the scanner's clock: the only place where the two meet.

Time on the film's clock is in seconds from the film's first moment. Chunk ``t`` of a film holds the
frames of [t · TR, (t + 1) · TR). Row ``t`` of a film's BOLD is the volume acquired nearest to t ·
TR. A chunk goes with the row ``DELAY_TRS`` later, when the haemodynamic response to it has come.
"""

import numpy as np

NEAREST = 1e-6  # of a chunk: sums of fractions do not cost the last one


def count_chunks(end_s: float, tr_s: float) -> int:
    """Whole chunks in a film whose picture ends at ``end_s``."""
    return int(np.floor(end_s / tr_s + NEAREST))


def sample_times_s(n_chunks: int, frames_per_tr: int, tr_s: float) -> np.ndarray:
    """When the frames of all chunks are taken: (n_chunks · frames_per_tr,), evenly spaced from 0.

    With half as many frames per TR, the times are every second one of these.
    """
    return np.arange(n_chunks * frames_per_tr) * (tr_s / frames_per_tr)


def frame_time_s(chunk, frame: int, frames_per_tr: int, tr_s: float):
    """When frame ``frame`` of a chunk is taken; of several chunks at once."""
    return (np.asarray(chunk) + frame / frames_per_tr) * tr_s


def middle_frame(frames_per_tr: int) -> int:
    """The frame that the decoder reconstructs: 15 of 0 … 31, as published."""
    return (frames_per_tr - 1) // 2


def first_volume(film_onset_s: float, tr_s: float) -> int:
    """The volume nearest to the start of the film in a run; it becomes row 0 of the film's BOLD."""
    return int(np.floor(film_onset_s / tr_s + 0.5))


def count_pairs(n_chunks: int, n_rows: int, delay_trs: int) -> int:
    """Chunks that have a row of BOLD ``delay_trs`` later."""
    return max(0, min(n_chunks, n_rows - delay_trs))
