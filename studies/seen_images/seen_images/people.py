"""The person whose pictures are drawn, and other people of the data set whose trials help to decode them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from neuroface import NeuroFaceError
from neuroface.pipeline import open_npy, replaced
from seen_images.latents import PART_OF, open_latents
from seen_images.sources import TEST, TRAIN, UNUSED, Source, check_sessions, open_source
from seen_images.tsv import read_tsv

import numpy as np
import pandas as pd

# Training images of another person. The decoder "shared" is fitted to four fifths of them and decodes the others:
# two at least, or its second regression has no inner folds.
MIN_IMAGES = 10


def open_people(cfg) -> dict[str, Source]:
    """The data of SUBJECT, then those of each of OTHER_SUBJECTS."""
    return {person: open_person(person, cfg) for person in (cfg.SUBJECT, *cfg.OTHER_SUBJECTS)}


def open_person(person: str, cfg) -> Source:
    return open_source(replaced(cfg, SUBJECT=person))


@contextmanager
def naming(person: str, cfg) -> Iterator[None]:
    """Errors begin with the person where there are several."""
    try:
        yield
    except NeuroFaceError as error:
        if not cfg.OTHER_SUBJECTS:
            raise
        raise NeuroFaceError(f"{person}: {error}") from None


def folder_of_person(betas: Path, person: str, cfg) -> Path:
    """Script 1's folder of a person: of SUBJECT the folder itself, of another ``others/<person>``."""
    return betas if person == cfg.SUBJECT else betas / "others" / person


def first_training_trials(trials: pd.DataFrame, n: int | None) -> pd.DataFrame:
    """The trials of SUBJECT, of which the first ``n`` training trials stay for training, the others unused; None: all.

    Raises
    ------
    NeuroFaceError
        If there are fewer, or if they show fewer than two images.
    """
    if n is None:
        return trials
    training = np.flatnonzero(trials["split"] == TRAIN)
    if n > len(training):
        raise NeuroFaceError(
            f"TRAINING_TRIALS = {n:,}, and there are {len(training):,} training trials. Set it to {len(training)} or less, "
            "or to None."
        )
    split = trials["split"].to_numpy(copy=True)
    split[training[n:]] = UNUSED
    if trials["image"][split == TRAIN].nunique() < 2:
        raise NeuroFaceError(
            f"TRAINING_TRIALS = {n:,}: these trials show one image, and two are needed. Set a larger number."
        )
    return trials.assign(split=split)


def without_tested(trials: pd.DataFrame, tested: set[str]) -> pd.DataFrame:
    """Trials of another person: those of images that SUBJECT is tested with, and its own test trials, are unused.

    Parameters
    ----------
    tested : test images of SUBJECT.
    """
    may_be_used = (trials["split"] == TRAIN) & ~trials["image"].isin(tested)
    return trials.assign(split=np.where(may_be_used, TRAIN, UNUSED))


def learn_from(person: str, source: Source, tested: set[str], cfg) -> str | None:
    """Keep the trials of another person that the decoder "shared" learns from; a remark of :func:`check_sessions`.

    Parameters
    ----------
    tested : test images of SUBJECT.

    Raises
    ------
    NeuroFaceError
        If they show fewer than MIN_IMAGES images, or there are too few in a session.
    """
    source.trials = without_tested(source.trials, tested)
    training = source.trials[source.trials["split"] == TRAIN]
    if (n_images := training["image"].nunique()) < MIN_IMAGES:
        raise NeuroFaceError(
            f"OTHER_SUBJECTS: {person} has training trials of {n_images} images that {cfg.SUBJECT} is not tested with, and "
            f"{MIN_IMAGES} are needed. Leave the person out."
        )
    with naming(person, cfg):
        return check_sessions(source.trials, cfg.STANDARDIZE)


class PersonTrials(NamedTuple):
    """Training trials of another person and one target of decoding.

    Attributes
    ----------
    voxels : (n_trials, n_voxels) float32. images : (n_trials,) which image each trial shows.
    of_trial : (n_trials,) its row of ``targets``.
    targets : (n_images, n_outputs) float32, of the images of all people.
    """

    voxels: np.ndarray
    images: np.ndarray
    of_trial: np.ndarray
    targets: np.ndarray


def other_people(betas: Path, embeddings: Path, target: str, cfg) -> list[PersonTrials]:
    """Training trials of OTHER_SUBJECTS with the latents of what they saw; no image is a test image of SUBJECT."""
    images = read_tsv(embeddings / "images.tsv")
    latents = open_latents(embeddings, target)
    known = np.flatnonzero(images["split"] != TEST)
    targets = np.array(latents[known]).reshape(len(known), -1)
    row_of = pd.Index(images["image"].to_numpy()[known])
    people = []
    for person in cfg.OTHER_SUBJECTS:
        folder = folder_of_person(betas, person, cfg)
        part = read_tsv(folder / "voxels.tsv")["part"].to_numpy()
        columns = np.flatnonzero(part == PART_OF[target])
        shown = read_tsv(folder / "trials.tsv")["image"].to_numpy()
        voxels = open_npy(folder / "train.npy")[:, columns[0] : columns[-1] + 1]
        people.append(PersonTrials(voxels, shown, row_of.get_indexer(shown), targets))
    return people
