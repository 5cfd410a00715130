"""Files of drawn pictures, and pictures as arrays."""

from pathlib import Path

from neuroface.pipeline import atomic
from seen_images.table import read_picture

import numpy as np
from PIL import Image

DECODED, START = "decoded", "start"


def conditions_of(cfg) -> list[str]:
    """What is drawn: "decoded" latents and text, and each of ALSO_DRAW alone."""
    return [DECODED, *cfg.ALSO_DRAW]


def drawing_files(folder: Path, condition: str, image: str, n_draws: int) -> list[Path]:
    return [folder / condition / f"{image}_draw-{draw}.png" for draw in range(1, n_draws + 1)]


def start_file(folder: Path, image: str) -> Path:
    """The decoded latents through the autoencoder's decoder, where drawing begins."""
    return folder / START / f"{image}.png"


def write_picture(path: Path, picture: np.ndarray) -> None:
    """(height, width, 3) uint8 as PNG, whole or not at all."""
    with atomic(path) as partial:
        Image.fromarray(picture).save(partial, format="png")


def read_pictures(files: list[Path]) -> np.ndarray:
    """(n, height, width, 3) uint8."""
    return np.stack([read_picture(file) for file in files])
