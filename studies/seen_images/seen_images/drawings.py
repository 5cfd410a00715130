"""Files of drawn pictures, pictures as arrays, and every picture that is scored."""

from functools import cached_property
from pathlib import Path

from neuroface.pipeline import atomic
from seen_images.generator import resized
from seen_images.sources import open_source
from seen_images.table_source import read_picture
from seen_images.tsv import read_tsv

import numpy as np
from PIL import Image

SEEN, DECODED, START, NEAREST, MEAN_PICTURE = "seen", "decoded", "start", "nearest", "mean picture"


def conditions_of(cfg) -> list[str]:
    """What is drawn: "decoded" latents and text, and each of ALSO_DRAW alone; nothing with DRAW = False."""
    return [DECODED, *cfg.ALSO_DRAW] if cfg.DRAW else []


def main_kind(kinds) -> str:
    """The pictures that are ranked and shuffled: the drawings or, where there are none, the decoded latents."""
    return DECODED if DECODED in kinds else START


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


class Pictures:
    """The pictures that are scored, by kind and test image; cheap to send to worker processes.

    Parameters
    ----------
    folders : folders of scripts 1 to 5.
    """

    def __init__(self, folders: list[Path], cfg):
        self.cfg, self.folders = cfg, folders
        self.images = read_tsv(folders[0] / "test.tsv")["image"].tolist()
        self.kinds = [SEEN, *conditions_of(cfg), START, NEAREST, MEAN_PICTURE]

    @cached_property
    def _source(self):
        return open_source(self.cfg)

    @cached_property
    def _nearest(self) -> list[str]:
        return read_tsv(self.folders[4] / "nearest.tsv")["nearest"].tolist()

    def of(self, kind: str, row: int) -> np.ndarray:
        """Pictures (n_drawings, DRAW_PIXELS, DRAW_PIXELS, 3) uint8 of a test image."""
        image = self.images[row]
        if kind == SEEN:
            return read_pictures([self.folders[1] / "seen" / f"{image}.png"])
        if kind == START:
            return read_pictures([start_file(self.folders[3], image)])
        if kind == MEAN_PICTURE:
            return read_pictures([self.folders[1] / "mean_picture.png"])
        if kind == NEAREST:
            return resized(self._source.picture(self._nearest[row]), self.cfg.DRAW_PIXELS)[None]
        return read_pictures(drawing_files(self.folders[3], kind, image, self.cfg.N_DRAWS))
