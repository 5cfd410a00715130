"""Plain tables: a format for anybody's data, and the demo's.

``betas.npy`` (n_trials, n_voxels); ``trials.tsv``: image, split, maybe session; ``voxels.tsv``:
roi, maybe i, j, k; ``captions.tsv``: image, caption, maybe several rows per image;
``images/<image>.png`` or ``.jpg``; and, where there are any, ``attributes.tsv``: image and a column
per attribute; ``space.nii.gz``: the grid that i, j, k count in.

Several people: ``trials.tsv`` has a column subject, ``voxels.tsv`` too where their voxels differ, and
``betas_<subject>.npy`` holds the trials and voxels of one of them, in the order of the tables.
"""

from functools import cached_property
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import open_image
from neuroface.pipeline import did_you_mean, open_npy, read_text_table
from seen_images.sources import NO_SESSION, Source, only_captions

import numpy as np
import pandas as pd
from PIL import Image

ENDINGS = (".png", ".jpg", ".jpeg")
TEXT = ("subject", "image", "split", "session", "roi", "caption")


class Tables(Source):
    """See the module's docstring for the files."""

    def __init__(self, cfg):
        super().__init__(cfg)
        names = {"trials.tsv": "image and split of each trial", "voxels.tsv": "roi of each voxel"}
        trials, voxels = (self.need(self.folder / name, content) for name, content in names.items())
        self.trials, self._voxels = _table(trials, "image", "split"), _table(voxels, "roi")
        betas_name = "betas.npy"
        if "subject" in self.trials:
            betas_name = f"betas_{cfg.SUBJECT}.npy"
            self.trials = self._of_subject(self.trials, trials)
        elif cfg.OTHER_SUBJECTS:
            raise NeuroFaceError(
                f"OTHER_SUBJECTS = {cfg.OTHER_SUBJECTS} names people, and {trials} has no column subject: all trials are of "
                "one person. Add the column, or set OTHER_SUBJECTS = ()."
            )
        if "subject" in self._voxels:
            self._voxels = self._of_subject(self._voxels, voxels)
        self.files = [self.need(self.folder / betas_name, "trials × voxels"), trials, voxels]
        betas = open_npy(self.files[0])
        if betas.ndim != 2 or betas.shape != (len(self.trials), len(self._voxels)):
            raise NeuroFaceError(
                f"{self.files[0]} has shape {betas.shape}; trials.tsv has {len(self.trials)} rows and voxels.tsv "
                f"{len(self._voxels)}{self._whose}: {betas_name} must be trials × voxels. Correct the one that is wrong."
            )
        self.trials["session"] = (
            self.trials["session"].astype(str) if "session" in self.trials else NO_SESSION
        )
        if {"i", "j", "k"} <= set(self._voxels):
            self.positions = self._voxels[["i", "j", "k"]].to_numpy(int)
            if (file := self.folder / "space.nii.gz").exists():
                self.space = grid_of(file)

    def _of_subject(self, table: pd.DataFrame, file: Path) -> pd.DataFrame:
        """The rows of SUBJECT."""
        subjects = list(table["subject"].astype(str).unique())
        if self.cfg.SUBJECT not in subjects:
            raise NeuroFaceError(
                f"{file} has no row with subject {self.cfg.SUBJECT!r}{did_you_mean(self.cfg.SUBJECT, subjects)}. There are "
                f"{', '.join(subjects)}: name them in SUBJECT and OTHER_SUBJECTS."
            )
        return table[table["subject"].astype(str) == self.cfg.SUBJECT].reset_index(drop=True)

    @property
    def _whose(self) -> str:
        return f" of {self.cfg.SUBJECT}" if "subject" in self.trials else ""

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
