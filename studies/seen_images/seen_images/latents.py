"""What a decoder is fitted to and tested on: patterns of one part of the cortex, and the latents of the images."""

from pathlib import Path
from typing import NamedTuple

from neuroface.pipeline import open_npy
from seen_images.tsv import read_tsv

import numpy as np
import pandas as pd

# Targets of decoding: latents of the autoencoder, embeddings of captions, CLIP embeddings of
# pictures. The part of the cortex that each is decoded from, and its file of script 2.
PART_OF = {"image": "early", "text": "higher", "clip": "higher"}
FILE_OF = {"image": "latents.npy", "text": "text.npy", "clip": "clip.npy"}
TEST_CHOSEN = "-test-chosen"
LINEAR = ("ridge", "shared")  # decoders without epochs


class Problem(NamedTuple):
    """One target of decoding.

    Attributes
    ----------
    train : (n_trials, n_voxels) float32. images : (n_trials,) which image each trial shows.
        of_trial : its row of ``targets``.
    targets : (n_train_images, n_outputs) float32. train_images : their names.
    mean : (n_outputs,) of the training trials' latents.
    test : (n_test_images, n_voxels). truth : (n_test_images, n_outputs). test_images : their names.
    shape : shape of one image's latents. voxels : a row per column.
    """

    train: np.ndarray
    images: np.ndarray
    of_trial: np.ndarray
    targets: np.ndarray
    train_images: np.ndarray
    mean: np.ndarray
    test: np.ndarray
    truth: np.ndarray
    test_images: np.ndarray
    shape: tuple[int, ...]
    voxels: pd.DataFrame


def targets_of(cfg) -> list[str]:
    """Targets that have decoders: "image", "text", "clip"."""
    return [target for target in PART_OF if decoders_of(target, cfg)]


def decoders_of(target: str, cfg) -> tuple[str, ...]:
    if target == "image":
        return cfg.IMAGE_DECODERS
    return cfg.TEXT_DECODERS if target == "text" else cfg.CLIP_DECODERS


def open_problem(betas: Path, embeddings: Path, target: str) -> Problem:
    """Early voxels and image latents ("image"), or higher voxels and text or CLIP embeddings ("text", "clip").

    Text embeddings lack the start token, which is the same for all captions.
    """
    voxels = read_tsv(betas / "voxels.tsv")
    of_part = np.flatnonzero(voxels["part"] == PART_OF[target])
    columns = slice(of_part[0], of_part[-1] + 1)  # parts lie side by side
    images, trials = (
        read_tsv(embeddings / "images.tsv"),
        read_tsv(betas / "trials.tsv")["image"].to_numpy(),
    )
    latents = open_latents(embeddings, target)
    flat = latents.reshape(len(latents), -1)
    is_test, is_train = ((images["split"] == split).to_numpy() for split in ("test", "train"))
    targets = np.array(flat[is_train])
    of_trial = pd.Index(images["image"][is_train]).get_indexer(trials)
    mean = np.bincount(of_trial, minlength=len(targets)) @ targets / len(trials)
    return Problem(
        open_npy(betas / "train.npy")[:, columns], trials, of_trial, targets,
        images["image"][is_train].to_numpy(), mean.astype(np.float32),
        np.array(open_npy(betas / "test.npy")[:, columns]), np.array(flat[is_test]),
        images["image"][is_test].to_numpy(), latents.shape[1:], voxels.iloc[columns],
    )  # fmt: skip


def open_latents(embeddings: Path, target: str) -> np.ndarray:
    """Latents (n_images, …) of all images in the order of ``images.tsv``; text without the start token."""
    latents: np.ndarray = open_npy(embeddings / FILE_OF[target])
    return latents[:, 1:] if target == "text" else latents


def names_of(target: str, cfg) -> list[str]:
    """Names of a target's decoders; with SELECTION = "paper" each network twice, once chosen on the test set."""
    decoders = decoders_of(target, cfg)
    if cfg.SELECTION == "inner":
        return list(decoders)
    return [
        name
        for decoder in decoders
        for name in ([decoder] if decoder in LINEAR else [decoder, decoder + TEST_CHOSEN])
    ]


def drawn_name(target: str, cfg) -> str:
    """The decoder that is drawn with: with SELECTION = "paper" the one that the test set chose. Of "clip", the first."""
    if target == "clip":
        decoder = cfg.CLIP_DECODERS[0]
    else:
        decoder = cfg.IMAGE_DECODER if target == "image" else cfg.TEXT_DECODER
    return decoder + TEST_CHOSEN if cfg.SELECTION == "paper" and decoder not in LINEAR else decoder


def decoder_file(folder: Path, target: str, name: str, ending: str) -> Path:
    return folder / target / f"{name}{ending}"


def training_mean_file(folder: Path, target: str) -> Path:
    """Script 3's mean of the training trials' latents."""
    return folder / target / "mean.npy"


def decoded_latents(folders: list[Path], target: str, rows: list[int], cfg) -> np.ndarray:
    """Decoded latents (n, …) of some test images by the decoder that is drawn with; nothing else is read.

    Parameters
    ----------
    folders : folders of scripts 1 to 3. rows : (n,) row numbers of the test images.
    """
    stored = open_npy(folders[1] / FILE_OF[target])
    shape = (
        stored.shape[1:] if target == "image" else (stored.shape[1] - 1, *stored.shape[2:])
    )  # less the start token
    decoded = open_npy(decoder_file(folders[2], target, drawn_name(target, cfg), ".npy"))
    return np.array(decoded[rows]).reshape(len(rows), *shape)
