"""The Natural Scenes Dataset (Allen et al. 2022, Nature Neuroscience 25:116) in its own folder layout.

Single-trial estimates in ``func1pt8mm``, per session as HDF5 or NIfTI, 300 times the percent signal
change as whole numbers. Test images are the 1,000 that all eight people saw (``sharedix``), the
rest is for training.
"""

import json
from functools import cached_property
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import open_image, stream_masked
from neuroface.pipeline import read_delimited_table, read_text_table
from seen_images.hdf5_voxels import read_voxels
from seen_images.sources import Source, only_captions, whole_numbers

import h5py
import numpy as np
import pandas as pd
from scipy.io import loadmat

GRID, SCALE = "func1pt8mm", 300
# Sessions that each person completed (NSD Data Manual).
N_SESSIONS = dict(zip((f"subj{n:02d}" for n in range(1, 9)), (40, 40, 32, 30, 40, 32, 40, 30)))


class NaturalScenes(Source):
    """``nsddata/``, ``nsddata_betas/`` and ``nsddata_stimuli/`` under DATASET_DIR; image names are ``nsd-<0 … 72999>``."""

    def __init__(self, cfg):
        super().__init__(cfg)
        self._person = self.folder / "nsddata" / "ppdata" / cfg.SUBJECT
        self._betas = self.folder / "nsddata_betas" / "ppdata" / cfg.SUBJECT / GRID / cfg.BETAS
        file = self.need(self._person / "behav" / "responses.tsv", f"the trials of {cfg.SUBJECT}")
        table = read_text_table(file, ("SESSION", "73KID"))
        responses = pd.DataFrame(
            {name: whole_numbers(table, name, file) for name in ("SESSION", "73KID")}
        )
        design = self.need(
            self.folder / "nsddata" / "experiments" / "nsd" / "nsd_expdesign.mat",
            "which images are shared",
        )
        shared = set(loadmat(design, variable_names=["sharedix"])["sharedix"].ravel().tolist())
        sessions = self._sessions(responses)
        responses = responses[responses["SESSION"].isin(sessions)]
        ids = responses["73KID"]  # counts from 1, as sharedix does
        self.trials = pd.DataFrame(
            {
                "image": [f"nsd-{number - 1:05d}" for number in ids],
                "split": np.where(ids.isin(shared), "test", "train"),
                "session": [f"{number:02d}" for number in responses["SESSION"]],
            }
        )
        self.files = [file, design, *(self._file(f"{number:02d}") for number in sessions)]

    def _sessions(self, responses: pd.DataFrame) -> list[int]:
        there = [
            n for n in sorted(responses["SESSION"].unique()) if self._file(f"{n:02d}").exists()
        ]
        wanted = list(self.cfg.SESSIONS) or there
        if missing := sorted(set(wanted) - set(there)):
            in_all = N_SESSIONS.get(self.cfg.SUBJECT, 0)
            remedy = "Download it, or take it out of SESSIONS."
            if missing[-1] > in_all > 0:
                remedy = f"{self.cfg.SUBJECT} has {in_all} sessions in all: take the others out of SESSIONS."
            raise NeuroFaceError(
                f"{self._betas / f'betas_session{missing[0]:02d}'}.hdf5 is not there, nor .nii.gz, and SESSIONS "
                f"names session {missing[0]}. {remedy}"
            )
        if not wanted:
            raise NeuroFaceError(
                f"{self._betas} holds no betas_session<n>.hdf5 or .nii.gz. Check SUBJECT, BETAS and DATASET_DIR."
            )
        return wanted

    def _file(self, session: str) -> Path:
        """The session's file; its usual name if it is not there."""
        names = [
            self._betas / f"betas_session{session}{ending}"
            for ending in (".hdf5", ".nii.gz", ".nii")
        ]
        return next((file for file in names if file.exists()), names[0])

    @cached_property
    def _atlases(self) -> dict[str, tuple[np.ndarray, dict[str, int]]]:
        """Atlas → its volume (x, y, z) of labels, and label → value."""
        names = {
            name.partition(":")[0]
            for name in (*self.cfg.EARLY_ROIS, *self.cfg.HIGHER_ROIS)
            if ":" in name
        }
        atlases = {}
        for name in sorted(names):
            volume = self.need(
                self._person / GRID / "roi" / f"{name}.nii.gz",
                f"the atlas {name} of {self.cfg.SUBJECT}",
            )
            image = open_image(volume)
            atlases[name] = (np.rint(np.asarray(image.dataobj)).astype(int), self._labels(name))
            self.space = (image.shape[:3], image.affine)
        return atlases

    def _labels(self, atlas: str) -> dict[str, int]:
        folders = [
            self.folder / "nsddata" / "freesurfer" / who / "label"
            for who in (self.cfg.SUBJECT, "fsaverage")
        ]
        files = [folder / f"{atlas}.mgz.ctab" for folder in folders]
        file = next((file for file in files if file.exists()), files[1])
        lines = self.need(file, f"names of the labels of {atlas}").read_text().split("\n")
        return {
            words[1]: int(words[0]) for words in (line.split() for line in lines) if len(words) > 1
        }

    @cached_property
    def _inside(self) -> np.ndarray:
        """Voxels (x, y, z) of any region; the data set's voxels are these, in C order."""
        return np.logical_or.reduce(
            [self._region_volume(name) for name in (*self.cfg.EARLY_ROIS, *self.cfg.HIGHER_ROIS)]
        )

    def _region_volume(self, name: str) -> np.ndarray:
        atlas, _, label = name.partition(":")
        if not label:
            raise NeuroFaceError(
                f"EARLY_ROIS or HIGHER_ROIS name {name!r}. With NSD write atlas:label, e.g. HCP_MMP1:V1."
            )
        volume, labels = self._atlases[atlas]
        if label not in labels:
            raise NeuroFaceError(
                f"The atlas {atlas} has no label {label!r}. There are {', '.join(labels)}."
            )
        return volume == labels[label]

    @cached_property
    def regions(self) -> dict[str, np.ndarray]:
        names = (*self.cfg.EARLY_ROIS, *self.cfg.HIGHER_ROIS)
        return {name: np.flatnonzero(self._region_volume(name)[self._inside]) for name in names}

    @cached_property
    def positions(self) -> np.ndarray | None:
        return np.argwhere(self._inside)

    def betas(self, session: str, voxels: np.ndarray) -> np.ndarray:
        file, n = self._file(session), int((self.trials["session"] == session).sum())
        if file.suffix == ".hdf5":
            stored = self._from_hdf5(file, voxels)
        else:
            assert self.space is not None  # the atlases of _inside set it
            volumes = stream_masked(file, self._inside, self.space[1])
            stored = np.concatenate([block[:, voxels] for block in volumes])
        if len(stored) != n:
            raise NeuroFaceError(
                f"{file} holds {len(stored)} trials, responses.tsv {n} of session {session}. Download it again."
            )
        return stored.astype(np.float32) / SCALE

    def _from_hdf5(self, file: Path, voxels: np.ndarray) -> np.ndarray:
        """(n_trials, n) int16 at ``voxels`` (n,)."""
        try:
            with h5py.File(file) as stored:
                betas = stored["betas"]  # trials × z × y × x
                if betas.shape[:0:-1] != self._inside.shape:
                    raise NeuroFaceError(
                        f"{file} has a grid of {betas.shape[:0:-1]} voxels, the atlas {self._inside.shape}."
                    )
                used, column = np.unique(voxels, return_inverse=True)
                return read_voxels(betas, np.argwhere(self._inside)[used, ::-1])[:, column]
        except (OSError, KeyError) as error:
            raise NeuroFaceError(f"{file} cannot be read: {error}. Download it again.") from None

    def picture(self, image: str) -> np.ndarray:
        stimuli = self.folder / "nsddata_stimuli" / "stimuli" / "nsd" / "nsd_stimuli.hdf5"
        with h5py.File(self.need(stimuli, "the pictures")) as stored:
            return stored["imgBrick"][_number(image)]

    @cached_property
    def _captions(self) -> dict[tuple[str, int], list[str]]:
        """(part of COCO, its number of the picture) → captions."""
        captions: dict[tuple[str, int], list[str]] = {}
        folder = self.folder / "nsddata_stimuli" / "stimuli" / "nsd" / "annotations"
        for split in sorted(set(self._coco["cocoSplit"])):
            file = self.need(folder / f"captions_{split}.json", "captions of COCO 2017")
            for row in json.loads(file.read_text())["annotations"]:
                captions.setdefault((split, row["image_id"]), []).append(row["caption"])
        return captions

    @cached_property
    def _coco(self) -> pd.DataFrame:
        file = self.folder / "nsddata" / "experiments" / "nsd" / "nsd_stim_info_merged.csv"
        table = read_delimited_table(
            self.need(file, "numbers of the pictures in COCO"), ("nsdId", "cocoId", "cocoSplit")
        )
        ids = {name: whole_numbers(table, name, file) for name in ("nsdId", "cocoId")}
        return pd.DataFrame(
            {"cocoId": ids["cocoId"], "cocoSplit": table["cocoSplit"].to_numpy()},
            index=ids["nsdId"],
        )

    def captions(self, image: str) -> list[str]:
        number = _number(image)
        if number not in self._coco.index:
            raise NeuroFaceError(
                f"nsd_stim_info_merged.csv has no row with nsdId {number}. Download it again."
            )
        row = self._coco.loc[number]
        return only_captions(self._captions.get((row["cocoSplit"], int(row["cocoId"])), []), image)


def _number(image: str) -> int:
    return int(image.removeprefix("nsd-"))
