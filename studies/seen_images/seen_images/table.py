"""Plain tables: a format for anybody's data, and the demo's.

``betas.npy`` (n_trials, n_voxels); ``trials.tsv``: image, split, maybe session; ``voxels.tsv``:
roi, maybe i, j, k; ``captions.tsv``: image, caption, maybe several rows per image;
``images/<image>.png`` or ``.jpg``; and, where there are any, ``attributes.tsv``: image and a column
per attribute; ``space.nii.gz``: the grid that i, j, k count in.
"""

from functools import cached_property
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import open_image
from neuroface.pipeline import open_npy, read_text_table
from seen_images.sources import NO_SESSION, Source, only_captions

import numpy as np
import pandas as pd
from PIL import Image

ENDINGS = (".png", ".jpg", ".jpeg")
TEXT = ("image", "split", "session", "roi", "caption")


class Tables(Source):
    """See the module's docstring for the files."""

    def __init__(self, cfg):
        super().__init__(cfg)
        names = {
            "betas.npy": "trials × voxels",
            "trials.tsv": "image and split of each trial",
            "voxels.tsv": "roi of each voxel",
        }
        self.files = [self.need(self.folder / name, what) for name, what in names.items()]
        betas = open_npy(self.files[0])
        self.trials, self._voxels = (
            _table(self.files[1], "image", "split"),
            _table(self.files[2], "roi"),
        )
        if betas.ndim != 2 or betas.shape != (len(self.trials), len(self._voxels)):
            raise NeuroFaceError(
                f"{self.files[0]} has shape {betas.shape}; trials.tsv has {len(self.trials)} rows and voxels.tsv "
                f"{len(self._voxels)}: betas.npy must be trials × voxels. Correct the one that is wrong."
            )
        self.trials["session"] = (
            self.trials["session"].astype(str) if "session" in self.trials else NO_SESSION
        )
        if {"i", "j", "k"} <= set(self._voxels):
            self.positions = self._voxels[["i", "j", "k"]].to_numpy(int)
            if (file := self.folder / "space.nii.gz").exists():
                self.space = grid_of(file)

    @cached_property
    def regions(self) -> dict[str, np.ndarray]:
        return {str(name): rows for name, rows in self._voxels.groupby("roi").indices.items()}

    def betas(self, session: str, voxels: np.ndarray) -> np.ndarray:
        rows = np.flatnonzero(self.trials["session"] == session)
        return np.asarray(open_npy(self.files[0])[rows][:, voxels], dtype=np.float32)

    def picture(self, image: str) -> np.ndarray:
        for ending in ENDINGS:
            if (file := self.folder / "images" / f"{image}{ending}").exists():
                return read_picture(file)
        raise NeuroFaceError(
            f"{self.folder / 'images' / image}.png is not there, nor .jpg: image {image!r} was seen. Add it."
        )

    @cached_property
    def _captions(self) -> dict[str, list[str]]:
        file = self.need(self.folder / "captions.tsv", "image and caption, a row per caption")
        table = read_text_table(file, ("image", "caption")).fillna("")
        return table.groupby("image")["caption"].apply(list).to_dict()

    def captions(self, image: str) -> list[str]:
        return only_captions(self._captions.get(image, []), image)

    @cached_property
    def attributes(self) -> pd.DataFrame:
        file = self.folder / "attributes.tsv"
        return _table(file).set_index("image") if file.exists() else pd.DataFrame()


def grid_of(file: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Shape (x, y, z) and affine of a NIfTI file."""
    image = open_image(file)
    return tuple(int(n) for n in image.shape[:3]), image.affine


def read_picture(file: Path) -> np.ndarray:
    """A picture file as (height, width, 3) uint8."""
    try:
        with Image.open(file) as picture:
            return np.asarray(picture.convert("RGB"))
    except OSError as error:
        raise NeuroFaceError(
            f"{file} cannot be read as a picture: {error}. Download or make it again."
        ) from None


def _table(file: Path, *columns: str) -> pd.DataFrame:
    """A tab-separated table; names of images and regions stay text, other columns are numbers where they can be.

    Parameters
    ----------
    columns : must be there, with a value in every row.
    """
    table = read_text_table(file, columns)
    for column in columns:
        if table[column].isna().any():
            line = table.index[table[column].isna()][0]
            raise NeuroFaceError(f"{file}: line {line} has no {column}. Fill it in.")
    for column in table.columns.difference(TEXT):
        values = pd.to_numeric(table[column], errors="coerce")
        if values.notna().sum() == table[column].notna().sum():
            table[column] = values
    return table.reset_index(drop=True)
