"""Brain correlation: drawn picture → encoding model → voxels, compared with the pattern that was measured.

The encoding model is ridge regression from the latents of a picture to early voxels, and from its
CLIP embedding to higher voxels where there are CLIP embeddings. It is fitted to the training trials
alone. MindEye2 (Scotti et al. 2024, ICML) reports such a measure with another encoding model.

The drawings were decoded from the very patterns that they are compared with, so a drawing may also
carry their noise: its correlation may exceed that of the seen picture, which knows nothing of it.
"""

from pathlib import Path

from neuroface.pipeline import open_npy
from seen_images.devices import device_of
from seen_images.drawings import SEEN, Pictures, main_kind
from seen_images.features import CLIP
from seen_images.finite import check_finite
from seen_images.generator import open_generator
from seen_images.latents import FILE_OF, open_problem
from seen_images.networks import load_decoder, save_decoder
from seen_images.picture_scores import SHUFFLED
from seen_images.scores import (
    bootstrap_times,
    derangements,
    excess_influence,
    interval_of_mean,
    quantiles,
    similarity,
)
from seen_images.training import fit_ridge, inner_folds, predict

import numpy as np
import pandas as pd

# Part of the cortex → the target of decoding whose embeddings predict its voxels.
EMBEDDING_OF = {"early": "image", "higher": "clip"}


def parts_at_hand(embeddings: Path, networks: dict[str, str]) -> list[str]:
    """Parts of the cortex that have an encoding model: early, and higher where there are CLIP embeddings of pictures."""
    there = [
        part for part, target in EMBEDDING_OF.items() if (embeddings / FILE_OF[target]).exists()
    ]
    return there if CLIP in networks else [part for part in there if part != "higher"]


def encoder_file(folder: Path, part: str) -> Path:
    return folder / "brain" / f"{part}.safetensors"


def fit_encoder(folders: list[Path], cfg, part: str) -> None:
    """Write ridge regression from embeddings of training pictures to the voxels of training trials; a penalty per voxel.

    Parameters
    ----------
    folders : folders of scripts 1 to 5.
    """
    problem = open_problem(folders[0], folders[1], EMBEDDING_OF[part])
    folds = inner_folds(problem.images, cfg.N_FOLDS, cfg.SEED)
    embedded, voxels = problem.targets[problem.of_trial], np.asarray(problem.train)
    network, _ = fit_ridge(embedded, voxels, folds, cfg.ALPHAS, device_of(cfg.DEVICE))
    save_decoder(
        encoder_file(folders[4], part), network, decoder="ridge", n_voxels=embedded.shape[1],
        n_outputs=voxels.shape[1], options={},
    )  # fmt: skip


def correlations(predicted: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Correlation over voxels (n, n), averaged over drawings: row: predicted from a picture; column: measured.

    Parameters
    ----------
    predicted : (n, n_drawings, n_voxels). measured : (n, n_voxels).
    """
    return np.mean([similarity(of_draw, measured) for of_draw in predicted.swapaxes(0, 1)], axis=0)


def correlate(files: Pictures, part: str, kind: str, clip_file: Path, cfg) -> np.ndarray:
    """Correlations (n, n) of the patterns that pictures of one kind predict with the measured ones.

    Parameters
    ----------
    clip_file : CLIP features of these pictures (n_images, n_drawings, k), for higher voxels.
    """
    problem = open_problem(files.folders[0], files.folders[1], EMBEDDING_OF[part])
    network = load_decoder(encoder_file(files.folders[4], part))
    if part == "higher":
        embedded = np.asarray(open_npy(clip_file))
    else:
        embedded = _latents(files, kind, cfg)
    predicted = check_finite(
        predict(network, embedded.reshape(-1, embedded.shape[-1]), cfg.INFERENCE_BATCH),
        f"Script 5, {part} voxels that the pictures predict ({kind})",
        "Choose larger ALPHAS.",
    )
    return correlations(predicted.reshape(*embedded.shape[:2], -1), problem.test)


def _latents(files: Pictures, kind: str, cfg) -> np.ndarray:
    """Latents (n_images, n_drawings, n_outputs) of pictures, by the autoencoder."""
    generator = open_generator(Path(cfg.MODEL_DIR), cfg.DEVICE, cfg.PRECISION)
    rows = []
    for row in range(len(files.images)):
        pictures = list(files.of(kind, row))
        encoded = [
            generator.encode(pictures[start : start + cfg.INFERENCE_BATCH], cfg.ENCODE_PIXELS)
            for start in range(0, len(pictures), cfg.INFERENCE_BATCH)
        ]
        rows.append(np.concatenate(encoded).reshape(len(pictures), -1))
    return np.stack(rows)


def table_of_correlations(correlations_of: dict[str, dict[str, np.ndarray]], cfg) -> pd.DataFrame:
    """A row per part of the cortex and kind of picture: value, low, high, and the difference from shuffled brains.

    Parameters
    ----------
    correlations_of : part → kind → (n, n) of :func:`correlations`.
    """
    rows = []
    for part, of_kind in correlations_of.items():
        n = len(of_kind[SEEN])
        times = bootstrap_times(n, cfg.N_BOOTSTRAP, cfg.SEED)
        pairings = derangements(n, cfg.N_SHUFFLES, cfg.SEED)
        shuffled = {kind: _of_pairings(similar, pairings) for kind, similar in of_kind.items()}
        for kind, similar in of_kind.items():
            own = np.diag(similar)
            triples = {
                "": interval_of_mean(own, times),
                "difference_": interval_of_mean(
                    excess_influence(own, shuffled[kind], pairings), times
                ),
            }
            row: dict[str, object] = {"part": part, "kind": kind}
            for name, (value, low, high) in triples.items():
                row |= {f"{name}value": value, f"{name}low": low, f"{name}high": high}
            rows.append(row)
        wrong = shuffled[main_kind(of_kind)]
        low, high = quantiles(wrong.mean(axis=1))
        rows.append(
            {"part": part, "kind": SHUFFLED, "value": wrong.mean(), "low": low, "high": high}
        )
    return pd.DataFrame(rows)


def _of_pairings(similar: np.ndarray, pairings: np.ndarray) -> np.ndarray:
    """(n_pairings, n_images): each measured pattern with what another image's picture predicts."""
    columns = np.arange(len(similar))
    return np.stack([similar[pairing, columns] for pairing in pairings])
