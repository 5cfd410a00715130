"""Strips and films of originals and reconstructions."""

import base64
import html
from collections.abc import Iterator
from pathlib import Path

from film_encoding.film_frames import write_film
from film_encoding.image_scores import as_shown
from neuroface.pipeline import atomic, save_figure

import numpy as np
from matplotlib import pyplot as plt
from PIL import Image, ImageDraw

SHOWN_PX = 256  # width of a frame in the clip
BAND_PX = 28  # above it, for its name
FPS = 10


def draw_strip(rows: dict[str, np.ndarray], times_s: np.ndarray, target: Path) -> None:
    """A row per kind of frame, a column per moment; ``rows``: name → (n, height, width, 3), uint8 or 0 … 1."""
    figure, axes = plt.subplots(len(rows), len(times_s), figsize=(0.95 * len(times_s) + 1.4, 1.0 * len(rows) + 0.3),
                                layout="constrained", squeeze=False)  # fmt: skip
    for line, (name, frames) in zip(axes, rows.items()):
        for axis, frame in zip(line, frames):
            axis.imshow(
                frame if frame.dtype == np.uint8 else as_shown(frame), interpolation="nearest"
            )
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for axis, time_s in zip(axes[0], times_s):
        axis.set_title(f"{int(time_s // 60)}:{time_s % 60:04.1f}", fontsize=8)
    save_figure(figure, target, also=(".pdf",))


def write_clip(
    target: Path,
    chunks: np.ndarray,
    made: dict[str, np.ndarray],
    brain: list[np.ndarray],
    tr_s: float,
) -> None:
    """An MP4 of the original, of reconstructions, and of the brain below them where there are pictures of it.

    Parameters
    ----------
    chunks : (n, frames, height, width, 3) uint8. made : name → (n, height, width, 3). brain : n
    pictures of equal size, or none.
    """
    write_film(target, _clip_frames(chunks, made, brain, tr_s), rate=FPS)


def _clip_frames(
    chunks, made: dict[str, np.ndarray], brain: list[np.ndarray], tr_s: float
) -> Iterator[tuple[float, np.ndarray]]:
    n, frames = chunks.shape[:2]
    width = max([SHOWN_PX * (1 + len(made)), *(picture.shape[1] for picture in brain)])
    for number in range(int(n * tr_s * FPS)):
        time_s = number / FPS
        chunk = min(n - 1, int(time_s / tr_s))
        frame = chunks[chunk, min(frames - 1, int((time_s / tr_s - chunk) * frames))]
        panels = {"film": frame} | {
            name: np.round(255 * as_shown(images[chunk])).astype(np.uint8)
            for name, images in made.items()
        }
        top = np.concatenate([_titled(name, panel) for name, panel in panels.items()], axis=1)
        rows = [top, brain[chunk]] if brain else [top]
        picture = np.concatenate([_centred(row, width) for row in rows])
        yield time_s, picture[: len(picture) // 2 * 2, : width // 2 * 2]  # H.264 wants even sizes


def _titled(name: str, frame: np.ndarray) -> np.ndarray:
    panel = Image.new("RGB", (SHOWN_PX, SHOWN_PX + BAND_PX), "white")
    panel.paste(
        Image.fromarray(frame).resize((SHOWN_PX, SHOWN_PX), Image.Resampling.NEAREST), (0, BAND_PX)
    )
    ImageDraw.Draw(panel).text((6, 6), name, fill="black", font_size=15)
    return np.asarray(panel)


def _centred(picture: np.ndarray, width: int) -> np.ndarray:
    left = (width - picture.shape[1]) // 2
    return np.pad(
        picture, ((0, 0), (left, width - picture.shape[1] - left), (0, 0)), constant_values=255
    )


def write_player(target: Path, film: Path, title: str) -> None:
    """A page of its own that holds an MP4 and plays it without a network."""
    content = base64.b64encode(film.read_bytes()).decode()
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title><style>'
        "body{margin:0;background:#fff}video{width:100%;max-height:100vh}</style></head><body>"
        f'<video controls muted loop src="data:video/mp4;base64,{content}"></video></body></html>'
    )
    with atomic(target) as partial:
        partial.write_text(page)
