"""What is on the screen at a moment: faces and other things, as pixels or as stretches of time."""

from pathlib import Path

from film_encoding.film_clock import frame_time_s, middle_frame
from film_encoding.film_contrast import as_filmed, ranges_of
from neuroface import NeuroFaceError
from neuroface.bold import on_screen, read_stretches
from neuroface.pipeline import open_npy

import numpy as np
import pandas as pd

# Labels of pixels and kinds of moments: the thing that THING names is 1, every label above it is
# another thing. Where no pixels are labelled, OTHER stands for all of them.
THING, OTHER = 1, 2


def target_times_s(table: pd.DataFrame, cfg) -> np.ndarray:
    """When the frames to reconstruct are on the screen, on the film's clock; (n,)."""
    return frame_time_s(
        table["chunk"].to_numpy(), middle_frame(cfg.FRAMES_PER_TR), cfg.FRAMES_PER_TR, cfg.TR_S
    )


def has_thing(table: pd.DataFrame, cfg) -> np.ndarray:
    """Whether THING is on the screen at each moment, by the annotations of the films; (n,) bool.

    Raises
    ------
    NeuroFaceError
        If a film has no annotation.
    """
    times, shown = target_times_s(table, cfg), np.zeros(len(table), dtype=bool)
    for film, rows in table.groupby("film").indices.items():
        file = Path(cfg.FILM_DIR) / f"task-{film}_{cfg.THING}-annotation.1D"
        if not file.is_file():
            raise NeuroFaceError(
                f"{file} is not there: onset and duration in seconds of every stretch of {film} with THING = "
                f"{cfg.THING!r}. Put it there, or leave the film out with FILMS."
            )
        shown[rows] = on_screen(times[rows], read_stretches([(cfg.THING, file)])).astype(bool)
    return shown


def label_pixels(table: pd.DataFrame, cfg, pixels: int) -> np.ndarray | None:
    """Labels of pixels at each moment: (n, pixels, pixels) uint8, 0, ``THING`` or a label above it; None if a film has no
    such file.

    Read from ``<film>_things.npz`` in FILM_DIR: ``times_s`` (n,) and ``labels`` (n, height, width);
    the last labels at or before the moment count.

    Raises
    ------
    NeuroFaceError
        If a file is something else.
    """
    files = {film: Path(cfg.FILM_DIR) / f"{film}_things.npz" for film in table["film"].unique()}
    if not cfg.USE_PIXEL_LABELS or not all(file.is_file() for file in files.values()):
        return None
    times, out = target_times_s(table, cfg), np.zeros((len(table), pixels, pixels), dtype=np.uint8)
    for film, rows in table.groupby("film").indices.items():
        try:
            with np.load(files[film], allow_pickle=False) as stored:
                times_s, labels = stored["times_s"], stored["labels"]
            if labels.ndim != 3 or len(labels) != len(times_s) or not len(labels):
                raise ValueError(f"labels {labels.shape}, times_s {times_s.shape}")
        except (ValueError, KeyError, OSError, EOFError) as error:
            raise NeuroFaceError(
                f"{files[film]} does not hold times_s (n,) and labels (n, height, width) ({error}). "
                "Write it again, or set USE_PIXEL_LABELS = False."
            ) from None
        moment = np.clip(np.searchsorted(times_s, times[rows] + 1e-6, side="right") - 1, 0, None)
        y, x = (
            np.minimum((np.arange(pixels) + 0.5) / pixels * n, n - 1).astype(int)
            for n in labels.shape[1:]
        )
        out[rows] = labels[moment][:, y][:, :, x]
    return out


def names_of_labels(table: pd.DataFrame, cfg) -> dict[int, str]:
    """Label → name, from ``names`` (n_labels,) in ``<film>_things.npz`` where a film has them; THING has its own name."""
    names: dict[int, str] = {}
    for film in table["film"].unique():
        file = Path(cfg.FILM_DIR) / f"{film}_things.npz"
        if file.is_file():
            with np.load(file, allow_pickle=False) as stored:
                if "names" in stored:
                    names |= {label: str(name) for label, name in enumerate(stored["names"])}
    return names | {THING: cfg.THING}


def concept_strength(table: pd.DataFrame, chunk_folder: Path, concept: str, cfg) -> np.ndarray:
    """How much of a concept is in each chunk; (n,): "edges": mean size of the brightness gradient of the middle frame;
    "motion": mean change from frame to frame; "faces": 1 where THING is on the screen. Frames are as in the film."""
    if concept == "faces":
        return has_thing(table, cfg).astype(np.float32)
    strength = np.empty(len(table), dtype=np.float32)
    for film, rows in table.groupby("film").indices.items():
        chunks = open_npy(chunk_folder / f"{film}.npy")
        ranges = ranges_of(chunk_folder, film, cfg)
        for row in rows:
            number = table["chunk"].iloc[row]
            chunk = as_filmed(chunks[number], None if ranges is None else ranges[number])
            chunk = chunk.mean(axis=-1, dtype=np.float32)
            if concept == "motion":
                strength[row] = np.abs(np.diff(chunk, axis=0)).mean()
            else:
                strength[row] = np.hypot(*np.gradient(chunk[middle_frame(len(chunk))])).mean()
    return strength
