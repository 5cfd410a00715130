"""Drawn films: moving shapes, drifting gratings and simple faces, a thing at a time, written as real MP4 files.

A film is a list of shots; each can be drawn at any time and at any size, together with a label of
every pixel. So the truth about a frame is known without looking at the file.
"""

from dataclasses import dataclass

import numpy as np

THINGS = ("background", "face", "shape", "grating")  # what the labels 0, 1, 2, 3 stand for
SHARES = {"face": 0.4, "shape": 0.3, "grating": 0.3}
SHOT_S = (3.5, 8.0)
SKIN, DARK = (0.92, 0.74, 0.58), (0.10, 0.07, 0.06)
COLOURS = (
    (0.15, 0.45, 0.85),
    (0.15, 0.65, 0.35),
    (0.55, 0.25, 0.70),
    (0.10, 0.60, 0.65),
)  # of shapes that are not skin-coloured
SKIN_SHARE = 0.4  # of shapes: a model that looks for the colour of skin is then wrong about faces


@dataclass(frozen=True)
class Shot:
    """A stretch of film with one thing that moves. Places and sizes are shares of the frame."""

    onset_s: float
    duration_s: float
    thing: str
    x: float
    y: float
    size: float
    velocity: tuple[float, float]  # per second
    kind: int  # of a shape: 0 square, 1 disc, 2 triangle
    angle: float  # of a shape or a grating
    turn: float  # radians per second, of a shape
    colour: tuple[float, float, float]
    background: float


def draw_shots(rng: np.random.Generator, film_s: float) -> list[Shot]:
    """Shots that fill a film."""
    shots, now = [], 0.0
    while now < film_s:
        duration = float(rng.uniform(*SHOT_S))
        thing = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        velocity = rng.uniform(-0.03, 0.03, 2)
        shots.append(
            Shot(
                now, duration, thing, float(rng.uniform(0.32, 0.68)), float(rng.uniform(0.38, 0.62)),
                float(rng.uniform(0.26, 0.36)), (float(velocity[0]), float(velocity[1])), int(rng.integers(3)),
                float(rng.uniform(0, np.pi)), float(rng.uniform(-0.6, 0.6)),
                _colour(rng), float(rng.uniform(0.38, 0.48)),
            )
        )  # fmt: skip
        now += duration
    return shots


def _colour(rng: np.random.Generator) -> tuple[float, float, float]:
    """Colour of a shape."""
    return SKIN if rng.random() < SKIN_SHARE else COLOURS[rng.integers(len(COLOURS))]


def draw_frame(
    shots: list[Shot], time_s: float, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """The film at one time.

    Returns
    -------
    frame : (height, width, 3) uint8, RGB. labels : (height, width) uint8, positions in
    :data:`THINGS`.
    """
    shot = shot_at(shots, time_s)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = (x + 0.5) / width, (y + 0.5) / height
    frame = np.repeat((shot.background + _room(x, y))[..., None], 3, axis=2)
    since = time_s - shot.onset_s
    dx, dy = x - shot.x - shot.velocity[0] * since, y - shot.y - shot.velocity[1] * since
    draw = {"face": _draw_face, "shape": _draw_shape, "grating": _draw_grating}[shot.thing]
    inside = draw(frame, dx, dy, shot, since)
    labels = np.where(inside, THINGS.index(shot.thing), 0).astype(np.uint8)
    return np.round(255 * np.clip(frame, 0, 1)).astype(np.uint8), labels


def shot_at(shots: list[Shot], time_s: float) -> Shot:
    """The shot on the screen; after the end of the film the last one."""
    onsets = [shot.onset_s for shot in shots]
    return shots[max(0, int(np.searchsorted(onsets, time_s + 1e-9, side="right")) - 1)]


def _room(x, y) -> np.ndarray:
    """What stands behind everything, the same in all films: real films have no flat surfaces either."""
    return 0.10 * np.sin(2 * np.pi * (2.3 * x + 0.7 * y)) + 0.08 * np.sin(
        2 * np.pi * (3.1 * y - 1.1 * x) + 1
    )


def _draw_face(frame, dx, dy, shot: Shot, since: float) -> np.ndarray:
    size = shot.size
    head = (dx / (0.8 * size)) ** 2 + (dy / size) ** 2 <= 1
    frame[head] = SKIN
    for side in (-1, 1):
        frame[(dx - side * 0.32 * size) ** 2 + (dy + 0.22 * size) ** 2 <= (0.15 * size) ** 2] = DARK
    frame[(dx / (0.38 * size)) ** 2 + ((dy - 0.45 * size) / (0.12 * size)) ** 2 <= 1] = DARK
    return head


def _draw_shape(frame, dx, dy, shot: Shot, since: float) -> np.ndarray:
    angle = shot.angle + shot.turn * since
    u, v = np.cos(angle) * dx + np.sin(angle) * dy, np.cos(angle) * dy - np.sin(angle) * dx
    size = 0.85 * shot.size
    inside = (
        np.maximum(abs(u), abs(v)) <= 0.85 * size,
        u**2 + v**2 <= size**2,
        (v <= 0.6 * size) & (v >= 1.9 * abs(u) - size),
    )[shot.kind]
    frame[inside] = shot.colour
    return inside


def _draw_grating(frame, dx, dy, shot: Shot, since: float) -> np.ndarray:
    inside = dx**2 + dy**2 <= shot.size**2
    phase = 2 * np.pi * (5 * (np.cos(shot.angle) * dx + np.sin(shot.angle) * dy) - 1.2 * since)
    frame[inside] = (0.5 + 0.4 * np.sin(phase))[inside, None]
    return inside


def draw_face_picture(rng: np.random.Generator, pixels: int) -> np.ndarray:
    """A picture of a face, as in the films: (pixels, pixels, 3) uint8."""
    while (shot := draw_shots(rng, 1.0)[0]).thing != "face":
        pass
    return draw_frame([shot], 0.0, pixels, pixels)[0]


def draw_place_picture(rng: np.random.Generator, pixels: int) -> np.ndarray:
    """A picture of a place that no film shows, houses in the same room: (pixels, pixels, 3) uint8."""
    y, x = (np.mgrid[:pixels, :pixels].astype(np.float32) + 0.5) / pixels
    frame = np.repeat((float(rng.uniform(0.38, 0.48)) + _room(x, y))[..., None], 3, axis=2)
    for _ in range(int(rng.integers(2, 4))):
        centre, half = rng.uniform(0.15, 0.85), rng.uniform(0.08, 0.15)
        top, colour = rng.uniform(0.45, 0.6), COLOURS[rng.integers(len(COLOURS))]
        wall = (abs(x - centre) <= half) & (y >= top) & (y <= 0.85)
        roof = (y < top) & (abs(x - centre) <= 1.2 * half * (1 - (top - y) / 0.15))
        window = (abs(x - centre) <= 0.4 * half) & (abs(y - 0.5 * (top + 0.85)) <= 0.4 * half)
        frame[wall], frame[roof & (y > top - 0.15)], frame[window] = colour, DARK, 0.9
    return np.round(255 * np.clip(frame, 0, 1)).astype(np.uint8)
