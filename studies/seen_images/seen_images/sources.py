"""Data sets: trials, voxels, pictures and captions of one person, however they are stored."""

import re
import textwrap
from functools import cached_property
from importlib import import_module
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline import did_you_mean, numbers

import numpy as np
import pandas as pd

TRIAL_COLUMNS, VOXEL_COLUMNS = ["image", "split", "session"], ["part", "roi", "i", "j", "k"]
PARTS = ("early", "higher")
MIN_TRIALS = 10  # training trials of a session that is standardised by itself
TRAIN, TEST = "train", "test"
UNUSED = "unused"  # of trials that are in neither set
NO_SESSION = "all"  # of trials whose table names no session
READERS = {
    "demo": "table_source:Tables",
    "table": "table_source:Tables",
    "nsd": "nsd:NaturalScenes",
    "things": "things:Things",
}


class Source:
    """One person's trials. A reader of a data set derives from it.

    Attributes
    ----------
    trials : a row per trial: image, split ("train" or "test"), session, maybe run.
    regions : region → which of ``n_voxels`` voxels of the data set it holds, as positions.
    positions : (n_voxels, 3) int voxel indices, or None.
    space : (shape, affine) of the grid that ``positions`` are in, or None.
    attributes : index image, a column per attribute; empty where the data set has none.
    files : files with the trials.
    """

    space: tuple[tuple[int, ...], np.ndarray] | None = None
    trials: pd.DataFrame
    files: list[Path]

    @cached_property
    def regions(self) -> dict[str, np.ndarray]:
        raise NotImplementedError

    @cached_property
    def positions(self) -> np.ndarray | None:
        return None

    def __init__(self, cfg):
        self.cfg, self.folder = cfg, Path(cfg.DATASET_DIR)
        if not self.folder.is_dir():
            raise NeuroFaceError(
                f"DATASET_DIR = {self.folder} is not a folder. Set DATASET_DIR to the data set's folder."
            )

    def betas(self, session: str, voxels: np.ndarray) -> np.ndarray:
        """Responses (n_trials, n) float32 of all trials of a session, at some of the data set's voxels (n,)."""
        raise NotImplementedError

    def picture(self, image: str) -> np.ndarray:
        """What was seen, (height, width, 3) uint8."""
        raise NotImplementedError

    def captions(self, image: str) -> list[str]:
        """One or more."""
        raise NotImplementedError

    @property
    def attributes(self) -> pd.DataFrame:
        return pd.DataFrame()

    def need(self, path: Path, content: str) -> Path:
        """``path`` if it is there; else raise and say what it should hold."""
        if not path.exists():
            raise NeuroFaceError(
                f"{path} is not there: {content}. Check DATASET_DIR, or put it there."
            )
        return path

    def region(self, name: str) -> np.ndarray:
        """Positions of a region's voxels, sorted."""
        if name not in self.regions:
            raise NeuroFaceError(
                f"EARLY_ROIS or HIGHER_ROIS name {name!r}, which {self.folder} does not "
                f"have{did_you_mean(name, self.region_names)}. There are {', '.join(self.region_names)}."
            )
        return np.sort(self.regions[name])

    @property
    def region_names(self) -> list[str]:
        """Every region that the data set has."""
        return list(self.regions)

    @cached_property
    def columns(self) -> pd.DataFrame:
        """Columns of the matrices that later scripts read: part, roi, voxel (position in the data set), i, j, k.

        A voxel of two regions has two columns.
        """
        rows = []
        for part, names in zip(PARTS, (self.cfg.EARLY_ROIS, self.cfg.HIGHER_ROIS)):
            for name in names:
                voxels = self.region(name)
                if not len(voxels):
                    raise NeuroFaceError(
                        f"{name!r} has no voxel in {self.folder}. Leave it out of {part.upper()}_ROIS."
                    )
                rows.append(
                    pd.DataFrame({"part": part, "roi": name.rpartition(":")[2], "voxel": voxels})
                )
        table = pd.concat(rows, ignore_index=True)
        positions = self.positions
        for axis, name in enumerate("ijk"):
            table[name] = (
                pd.array([pd.NA] * len(table), "Int64")
                if positions is None
                else positions[table["voxel"], axis]
            )
        return table


def open_source(cfg) -> Source:
    """The data set that ``DATASET`` names; only what its reader needs is imported."""
    module, _, name = READERS[cfg.DATASET].partition(":")
    return getattr(import_module(f"seen_images.{module}"), name)(cfg)


def check_trials(trials: pd.DataFrame) -> None:
    """Raise unless there are enough training and test images, no image is both, and images can name files."""
    for image in trials["image"].unique():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", image):
            raise NeuroFaceError(
                f"The image {image!r} cannot be part of a file's name. Use letters, digits, and _ . + -"
            )
    images = {name: set(of_split["image"]) for name, of_split in trials.groupby("split")}
    for name in (TRAIN, TEST):
        if name not in images:
            raise NeuroFaceError(
                f"There is no {name} trial. The column split must say train or test for each trial."
            )
    if unknown := sorted(set(images) - {TRAIN, TEST}):
        raise NeuroFaceError(
            f"The column split holds {unknown[0]!r}. It must say train or test for each trial."
        )
    if both := sorted(images[TRAIN] & images[TEST]):
        raise NeuroFaceError(
            f"{len(both)} images are in training and in test trials, such as {both[0]!r}: scores would be of "
            "pictures that the decoders were fitted to. Give all trials of an image one split."
        )
    for name, least, why in (
        (TRAIN, 2, "one to fit decoders, one to choose penalties and epochs"),
        (TEST, 3, "each is compared with another one, and intervals leave one out"),
    ):
        if (n := len(images[name])) < least:
            raise NeuroFaceError(
                f"The number of {name} images is {n}, and {least} are needed: {why}. Give more images the split {name}, or "
                f'read more SESSIONS; with SPLIT = "kinds" change HELD_OUT_KINDS or N_KINDS.'
            )


def whole_numbers(table: pd.DataFrame, column: str, path: Path) -> np.ndarray:
    """A column of a table that was read as text, as int (n,); raise where a cell is missing or is no whole number."""
    values = numbers(table, column, path)
    wrong = ~(values == np.rint(values))  # NaN too
    if wrong.any():
        line, cell = table.index[wrong][0], table[column].to_numpy()[wrong][0]
        raise NeuroFaceError(
            f"{path}, line {line}: {column} is {cell or 'missing'}, not a whole number. Correct the file."
        )
    return values.astype(int)


def only_captions(captions, image: str) -> list[str]:
    """Captions that say something; raise where an image has none."""
    kept = [str(caption).strip() for caption in captions if str(caption).strip()]
    if not kept:
        raise NeuroFaceError(
            f"Image {image!r} has no caption. Add one: its text embedding is what higher voxels are decoded to."
        )
    return kept


def first_captions(source: Source, images: list[str], width: int = 22) -> list[str]:
    """The first caption of each image, in lines of ``width`` letters and three lines at most, for figures."""
    return [
        "\n".join(textwrap.wrap(source.captions(image)[0], width, max_lines=3, placeholder=" …"))
        for image in images
    ]


def check_sessions(trials: pd.DataFrame, standardize: str) -> str | None:
    """A remark where trials are to be standardised within sessions and the data set does not say which session they are of.

    A session whose training trials are all unused is standardised by its test trials.

    Raises
    ------
    NeuroFaceError
        If a session has too few training trials for a mean and SD of its own.
    """
    if standardize != "session":
        return None
    if trials["session"].isin([NO_SESSION]).all():
        return 'the table of trials has no column session: STANDARDIZE = "session" takes all trials as one session'
    for session, of_session in trials.groupby("session", sort=False):
        counts = of_session["split"].value_counts()
        n, n_tests = int(counts.get(TRAIN, 0)), int(counts.get(TEST, 0))
        is_read = n + n_tests > 0
        by_tests = n == 0 and counts.get(UNUSED, 0) and n_tests >= MIN_TRIALS
        if is_read and n < MIN_TRIALS and not by_tests:
            tests = f" and {n_tests} test trials" if n == 0 else ""
            raise NeuroFaceError(
                f'STANDARDIZE = "session", and session {session} has {n} training trials{tests}, too few for a mean and SD '
                f'of its own ({MIN_TRIALS} are needed). Leave it out, change TRAINING_TRIALS, or set STANDARDIZE = "voxel".'
            )
    return None
