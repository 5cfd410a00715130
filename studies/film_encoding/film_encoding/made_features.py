"""Feature spaces that the study makes from a film: from its chunks, its file, or its annotation of faces."""

from pathlib import Path

from film_encoding.film_contrast import as_filmed, ranges_of
from film_encoding.film_features import AT_ONCE, film_features
from film_encoding.film_files import find_films
from film_encoding.things import label_pixels
from neuroface import NeuroFaceError
from neuroface.bold import read_stretches
from neuroface.film import open_film, scan
from neuroface.pipeline import open_npy

import numpy as np
import pandas as pd

FROM_CHUNKS = ("motion energy", "frames", "brightness")  # of the frames that script 1 stored
FROM_FILE = {"cuts": "shot_cuts", "loudness": "loudness", "speech": "speech"}  # name → of a sample
FACES = "faces"
MADE = (*FROM_CHUNKS, *FROM_FILE, FACES)
SAMPLES_PER_TR = 4
LABEL_PX = 32
LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # ITU-R BT.709


def made_features(chunk_folder: Path, name: str, film: str, n_chunks: int, cfg) -> np.ndarray:
    """A space of :data:`MADE` for every chunk of a film: (n_chunks, n_features) float32.

    Parameters
    ----------
    name : "motion energy", "frames": :func:`film_encoding.film_features.film_features`.
        "brightness": mean luma, 0 to 1. "cuts": cuts between shots per second. "loudness": LU above
        silence. "speech": its probability. "faces": the share of the chunk with a face on the
        screen, and, where pixels are labelled, the share of the frame that is face.

    Raises
    ------
    NeuroFaceError
        If the film has no sound track, or no annotation of faces.
    """
    if name == FACES:
        return faces(film, n_chunks, cfg)
    if name in FROM_FILE:
        (path,) = source_files(name, film, cfg)
        return from_file(path, name, n_chunks, cfg.TR_S)
    chunks, ranges = open_npy(chunk_folder / f"{film}.npy"), ranges_of(chunk_folder, film, cfg)
    made = (
        brightness(chunks, ranges)
        if name == "brightness"
        else film_features(chunks, name, cfg.TR_S, ranges)
    )
    return made[:n_chunks]


def source_files(name: str, film: str, cfg) -> list[Path]:
    """The files beside 1-chunks/ that a space of :data:`MADE` is made from."""
    if name == FACES:
        return [annotation_file(film, cfg)]
    if name in FROM_FILE:
        return [find_films(Path(cfg.FILM_DIR), [film], None, named=True)[film]]
    return []


def annotation_file(film: str, cfg) -> Path:
    return Path(cfg.FILM_DIR) / f"task-{film}_face-annotation.1D"


def brightness(chunks: np.ndarray, ranges: np.ndarray | None = None) -> np.ndarray:
    """Mean luma of each chunk's frames as they are in the film: (n_chunks, 1), 0 to 1."""
    luma = np.empty((len(chunks), 1), dtype=np.float32)
    for start in range(0, len(chunks), AT_ONCE):
        here = slice(start, start + AT_ONCE)
        frames = as_filmed(chunks[here], None if ranges is None else ranges[here])
        luma[here, 0] = frames.mean(axis=(1, 2, 3), dtype=np.float32) @ LUMA / 255
    return luma


def from_file(path: Path, name: str, n_chunks: int, tr_s: float) -> np.ndarray:
    """Cuts per second, loudness in LU above silence, or the probability of speech: (n_chunks, 1)."""
    rate_hz, n_samples = SAMPLES_PER_TR / tr_s, n_chunks * SAMPLES_PER_TR
    samples, _ = scan(open_film(path), range(n_samples + 1), rate_hz, _no_faces, 90)
    values = np.array(samples[FROM_FILE[name]], dtype=float)
    # A sample counts the cuts since the sample before, and the sound until the next one.
    values = values[1:] if name == "cuts" else values[:-1]
    if np.isnan(values).any():
        raise NeuroFaceError(f"FEATURES names {name!r}, and {path} has no sound track.")
    if name == "cuts":
        values = values * rate_hz
    if name == "loudness":
        values = values + 70  # silence is -70 LUFS
    return values.reshape(n_chunks, SAMPLES_PER_TR).mean(axis=1)[:, None].astype(np.float32)


def _no_faces(frames) -> list[list]:
    return [[] for _ in frames]


def faces(film: str, n_chunks: int, cfg) -> np.ndarray:
    """Share of each chunk with a face on the screen, and the share of the frame that is face if pixels are labelled."""
    file = annotation_file(film, cfg)
    if not file.is_file():
        raise NeuroFaceError(
            f"FEATURES names 'faces', and {file} is not there (onset and duration in seconds). Put it there, make it "
            "with 0-annotate_film.py, or take the name out of FEATURES."
        )
    columns = [shown_share(read_stretches([("face", file)]), n_chunks, cfg.TR_S)]
    table = pd.DataFrame({"film": film, "chunk": np.arange(n_chunks)})
    if (labels := label_pixels(table, cfg, LABEL_PX)) is not None:
        columns.append((labels == 1).mean(axis=(1, 2)))
    return np.column_stack(columns).astype(np.float32)


def shown_share(stretches: np.ndarray, n_chunks: int, tr_s: float) -> np.ndarray:
    """Share of each chunk that lies in stretches (n, 2) of onset and duration: (n_chunks,)."""
    start_s = np.arange(n_chunks)[:, None] * tr_s
    onset_s, duration_s = np.reshape(stretches, (-1, 2)).T
    overlap_s = np.minimum(onset_s + duration_s, start_s + tr_s) - np.maximum(onset_s, start_s)
    return np.maximum(overlap_s, 0).sum(axis=1) / tr_s
