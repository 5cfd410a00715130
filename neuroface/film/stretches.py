"""From samples to stretches with a face: which candidates count, which gaps are bridged, and how sure each stretch is."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FaceRules:
    """What counts as a face on the screen.

    Parameters
    ----------
    score : smallest score of a face. height : its smallest height, as a share of the frame's.
    bridge_s : gaps up to this long between two stretches are closed. shortest_s : shorter stretches
    are dropped after that.
    """

    score: float
    height: float
    bridge_s: float
    shortest_s: float


def faces_of_samples(candidates: list, rules: FaceRules) -> dict[str, np.ndarray]:
    """Faces that count in each sample.

    Parameters
    ----------
    candidates : per sample (score, height, area, …) of each, as :func:`neuroface.film.samples.scan`
    gives them.

    Returns
    -------
    n_faces, largest_share (area of the largest face, as a share of the frame's), score (of the best
    candidate that is large enough; 0 without one) : (n,) each.
    """
    large = [[face for face in faces if face[1] >= rules.height] for faces in candidates]
    counted = [[face for face in faces if counts(face, rules)] for faces in large]
    return {
        "n_faces": np.array([len(faces) for faces in counted], dtype=int),
        "largest_share": np.array(
            [max((face[2] for face in faces), default=0.0) for faces in counted], dtype=float
        ),
        "score": np.array(
            [max((face[0] for face in faces), default=0.0) for faces in large], dtype=float
        ),
    }


def counts(candidate, rules: FaceRules) -> bool:
    """Whether a candidate (score, height, …) counts as a face."""
    return candidate[0] >= rules.score and candidate[1] >= rules.height


def stretches_of_samples(seen: np.ndarray, rate_hz: float, rules: FaceRules) -> np.ndarray:
    """Stretches (n, 2) of onset_s and duration_s on the grid of the samples, in strict order, none touching the next.

    A stretch begins with the first sample that shows a face and ends with the first that does not.

    Parameters
    ----------
    seen : (n_samples,) bool, whether a sample shows a face; sample k is second k / ``rate_hz``.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(seen, dtype=int), [0]])))
    starts, ends = edges[::2], edges[1::2]
    wide = starts[1:] - ends[:-1] > rules.bridge_s * rate_hz + 1e-6
    begins, finishes = np.ones((2, len(starts)), dtype=bool)
    begins[1:], finishes[:-1] = wide, wide
    starts, ends = starts[begins], ends[finishes]
    long = ends - starts >= rules.shortest_s * rate_hz - 1e-6
    return np.round(np.column_stack([starts[long], (ends - starts)[long]]) / rate_hz, 6).reshape(
        -1, 2
    )


def complement(stretches: np.ndarray, start_s: float, end_s: float) -> np.ndarray:
    """The rest (m, 2) of the time from ``start_s`` to ``end_s`` beside stretches (n, 2)."""
    edges = np.concatenate(
        [[start_s], np.column_stack([stretches[:, 0], stretches.sum(axis=1)]).ravel(), [end_s]]
    )
    rest = np.column_stack([edges[::2], np.round(edges[1::2] - edges[::2], 6)])
    return rest[rest[:, 1] > 1e-6]


def doubt(
    stretches: np.ndarray, score: np.ndarray, rate_hz: float, is_face: bool, rules: FaceRules
) -> np.ndarray:
    """How doubtful each stretch (n, 2) is: (n,) from 0, sure, to 1; the mean over its samples.

    In a stretch with a face a sample is the more doubtful the less its score exceeds the threshold,
    and wholly so where it was bridged. In one without, the closer the best candidate comes to the
    threshold, and wholly so where a face was seen too briefly to count.

    Parameters
    ----------
    score : (n_samples,), as :func:`faces_of_samples` gives it.
    """
    if is_face:
        each = 1 - np.clip((score - rules.score) / max(1 - rules.score, 1e-6), 0, 1)
    else:
        each = np.clip(score / max(rules.score, 1e-6), 0, 1)
    first = np.round(stretches[:, 0] * rate_hz).astype(int)
    last = np.maximum(np.round(stretches.sum(axis=1) * rate_hz).astype(int), first + 1)
    sums = np.concatenate([[0.0], np.cumsum(each)])
    last = np.minimum(last, len(each))
    return (sums[last] - sums[np.minimum(first, last)]) / np.maximum(last - first, 1)
