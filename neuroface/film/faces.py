"""Faces in frames, found by MTCNN (Zhang et al. 2016, IEEE Signal Process. Lett. 23:1499), whose weights lie in its package.

``benchmarks/face_detectors.py`` compares it with other detectors; docs/annotate.md has the table.
"""

from importlib.metadata import version

from neuroface import NeuroFaceError
from neuroface.film.packages import film_package

import numpy as np

DETECTOR = "mtcnn"
HEIGHT = 360  # of the frames that the detector gets
SMALLEST_PX = 20  # height of the smallest face that it looks for


class FaceFinder:
    """MTCNN on frames of :data:`HEIGHT` pixels."""

    def __init__(self):
        from neuroface.pipeline import keras  # only here: it takes seconds

        if keras.backend.backend() != "tensorflow":
            raise NeuroFaceError(
                "The face detector runs on TensorFlow. Unset KERAS_BACKEND for this script."
            )
        self._detector = film_package("mtcnn").MTCNN(stages="face_detection_only")

    def __call__(self, frames: list[np.ndarray]) -> list[list[tuple[float, ...]]]:
        """All candidates in each frame, also those below any threshold.

        Parameters
        ----------
        frames : (height, width, 3) uint8 each, all of one shape.

        Returns
        -------
        For each frame (score, height as a share of the frame's height, area as a share of the
        frame's, left and top as shares of the frame's width and height) of each face, the best
        first. A score is the detector's confidence, from about 0.7 to 1.
        """
        found = self._detector.detect_faces(frames, min_face_size=SMALLEST_PX)
        return [
            sorted(
                (candidate(face["confidence"], face["box"], frames[0].shape) for face in faces),
                reverse=True,
            )
            for faces in found
        ]


def candidate(score: float, box, frame_shape: tuple[int, ...]) -> tuple[float, ...]:
    """A candidate as :class:`FaceFinder` gives it.

    Parameters
    ----------
    box : left, top, width, height in pixels. frame_shape : (height, width, …).
    """
    (left, top, width, height), (frame_height, frame_width) = box, frame_shape[:2]
    return (
        round(float(score), 4),
        round(float(height / frame_height), 4),
        round(float(width * height / (frame_width * frame_height)), 5),
        round(float(left / frame_width), 4),
        round(float(top / frame_height), 4),
    )


def box_of(found: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Left, top, width, height of a candidate, as shares of the frame's width and height."""
    _, height, area, left, top = found
    return left, top, area / height if height else 0.0, height


def detector_versions() -> dict[str, str]:
    """Name and versions of what finds the faces, for the annotation's sidecar."""
    return {
        "Detector": f"{DETECTOR} {version(DETECTOR)}",
        "TensorFlow": version("tensorflow"),
        "PyAV": version("av"),
    }
