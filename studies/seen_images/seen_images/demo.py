"""The demo's data set: pictures of coloured shapes, and a synthetic visual cortex that sees them.

Early voxels answer to oriented energy, relative to that of all orientations, or to colour, at a
place of the picture. Higher voxels answer to which shape, colour or background is shown, wherever
it is. A share of the voxels of each region answers to nothing. What each voxel answers to is
written to ``truth/voxels.tsv``. A single trial holds twice as much noise as response; each session
has its own gain and level per voxel, and the level drifts within it.
"""

import os
from itertools import product
from pathlib import Path

from neuroface.bold import write_nifti
from neuroface.pipeline import begin_demo, write_json, write_npy, write_table
from seen_images.pictures import (
    BACKGROUNDS,
    COLOURS,
    PIXELS,
    SHAPES,
    captions_of,
    draw_scene,
    random_scenes,
)

import numpy as np
import pandas as pd
from PIL import Image

# Region → number of voxels and the SD of their receptive fields in pixels; what they answer to.
EARLY = {"V1": (220, 1.8), "V2": (150, 2.3), "V3": (110, 2.8), "V4": (110, 3.5)}
HIGHER = {"LO": (80, "shape"), "VO": (80, "colour"), "PPA": (80, "background")}
VALUES = {"shape": SHAPES, "colour": tuple(COLOURS), "background": tuple(BACKGROUNDS)}
SILENT = {"early": 0.2, "higher": 0.5}  # share of the voxels that answer to nothing
# In SDs of a voxel's response over pictures. NOISE: of single trials. LEVEL: between sessions.
# DRIFT: between the ends of a session, along a line.
NOISE, LEVEL, DRIFT = 2.0, 1.0, 1.0
GAIN = 0.3  # SD, between sessions, of the logarithm of a voxel's gain
SESSIONS, REPEATS = 4, 3
GRID, VOXEL_MM = (14, 14, 6), 2.0


def write_demo(
    folder: str | Path,
    seed: int,
    n_train: int = 400,
    n_test: int = 100,
    noise_sd: float = NOISE,
    people: tuple[str, ...] = (),
) -> bool:
    """Write the data set in the format of :mod:`seen_images.table_source`, whole or not at all; False if it is there.

    Parameters
    ----------
    n_train, n_test : pictures; their column ``split`` holds with SPLIT = "given". noise_sd : of
    single trials, in SDs of the response.
    people : several people who see the same pictures in orders of their own, each with voxels of their
    own; () writes one person without a name, the same as the first of them.
    """
    folder, made_with = Path(folder), "truth/truth.json"
    partial = begin_demo(folder, made_with, seed=seed)
    if partial is None:
        return False
    (partial / "images").mkdir(parents=True)
    rng = np.random.default_rng(seed)
    scenes = random_scenes(n_train + n_test, rng)
    scenes[list(VALUES)] = _balanced_kinds(len(scenes), rng)
    scenes.insert(0, "image", [f"picture-{number:04d}" for number in range(len(scenes))])
    pictures = np.stack([draw_scene(scene, rng) for scene in scenes.itertuples(index=False)])
    for name, picture in zip(scenes["image"], pictures):
        Image.fromarray(picture).save(partial / "images" / f"{name}.png")
    captions = [(s.image, text) for s in scenes.itertuples(index=False) for text in captions_of(s)]
    write_table(partial / "captions.tsv", pd.DataFrame(captions, columns=["image", "caption"]))
    write_table(partial / "attributes.tsv", scenes[["image", *VALUES]])

    rngs = [rng, *(np.random.default_rng([seed, number]) for number in range(1, len(people)))]
    tables: dict[str, list[pd.DataFrame]] = {"voxels": [], "truth/voxels": [], "trials": []}
    for person, of_person in zip(people or ("",), rngs):
        trials, voxels, truth, betas = _person(scenes, pictures, n_train, noise_sd, of_person)
        for name, table in zip(tables, (voxels, truth, trials)):
            tables[name].append(table.assign(subject=person) if person else table)
        write_npy(partial / (f"betas_{person}.npy" if person else "betas.npy"), betas)
    for name, each in tables.items():
        write_table(partial / f"{name}.tsv", pd.concat(each))
    write_nifti(partial / "space.nii.gz", np.ones(GRID, np.uint8), np.diag([VOXEL_MM] * 3 + [1.0]))
    write_json(partial / made_with, {"seed": seed, "noise_sd": noise_sd, "silent_share": SILENT})
    os.replace(partial, folder)
    return True


def _person(
    scenes: pd.DataFrame,
    pictures: np.ndarray,
    n_train: int,
    noise_sd: float,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, np.ndarray]:
    """Trials, voxels, what they answer to, and responses (n_trials, n_voxels) float32 of one person."""
    voxels, truth, responses = _cortex(scenes, pictures, rng)
    seen = rng.permutation(np.repeat(np.arange(len(scenes)), REPEATS))
    session = np.arange(len(seen)) * SESSIONS // len(seen)
    trials = pd.DataFrame(
        {
            "image": scenes["image"].to_numpy()[seen],
            "split": np.where(seen < n_train, "train", "test"),
            "session": [f"{1 + number:02d}" for number in session],
        }
    )
    betas = _measured(responses[seen], session, noise_sd, rng)
    return trials, voxels, truth, betas.astype(np.float32)


def _balanced_kinds(n: int, rng: np.random.Generator) -> np.ndarray:
    """Shape, colour and background (n, 3) of pictures: each combination as often as the others, or once less."""
    kinds = rng.permutation(list(product(*VALUES.values())))
    return rng.permutation(kinds[np.arange(n) % len(kinds)])


def _measured(
    responses: np.ndarray, session: np.ndarray, noise_sd: float, rng: np.random.Generator
) -> np.ndarray:
    """Single-trial estimates (n_trials, n_voxels): noise, and each session's gain, level and drift.

    Parameters
    ----------
    session : (n_trials,) number of each trial's session.
    """
    n_trials, n_voxels = responses.shape
    betas = responses + noise_sd * rng.standard_normal((n_trials, n_voxels))
    for number in np.unique(session):
        rows = session == number
        gain, level, slope = rng.standard_normal((3, n_voxels))
        place = np.linspace(-0.5, 0.5, rows.sum())[:, None]
        betas[rows] = np.exp(GAIN * gain) * betas[rows] + LEVEL * level + DRIFT * slope * place
    return betas


def _cortex(scenes: pd.DataFrame, pictures: np.ndarray, rng: np.random.Generator):
    """Voxels, what they answer to, and their responses (n_pictures, n_voxels) at mean 0 and SD 1."""
    rois: list[str] = []
    answers: list[str] = []
    columns = []
    for roi, (n, sd) in EARLY.items():
        kinds = _kinds(n, ("orientation", "colour"), SILENT["early"], rng)
        energy, colour = _oriented_energy(pictures, n, sd, rng), _colour(pictures, n, sd, rng)
        columns.append(np.where(kinds == "orientation", energy, colour) * (kinds != "none"))
        rois, answers = rois + [roi] * n, answers + list(kinds)
    for roi, (n, attribute) in HIGHER.items():
        kinds = _kinds(n, (attribute,), SILENT["higher"], rng)
        preference = pd.DataFrame(
            rng.standard_normal((len(VALUES[attribute]), n)), index=VALUES[attribute]
        )
        columns.append(preference.loc[scenes[attribute]].to_numpy() * (kinds != "none"))
        rois, answers = rois + [roi] * n, answers + list(kinds)
    responses = np.concatenate(columns, axis=1)
    sd = responses.std(axis=0)
    responses = (responses - responses.mean(axis=0)) / np.where(sd > 0, sd, 1)
    places = np.argwhere(np.ones(GRID))[: len(rois)]
    voxels = pd.DataFrame({"roi": rois, "i": places[:, 0], "j": places[:, 1], "k": places[:, 2]})
    return voxels, voxels.assign(answers_to=answers), responses


def _kinds(
    n: int, kinds: tuple[str, ...], silent_share: float, rng: np.random.Generator
) -> np.ndarray:
    """What each of ``n`` voxels answers to, in random order."""
    silent = round(silent_share * n)
    return rng.permutation(
        np.array([*["none"] * silent, *(kinds[i % len(kinds)] for i in range(n - silent))])
    )


def _fields(
    n: int, sd: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gaussian receptive fields (n, PIXELS²) that sum to 1, and the distance of each pixel from their centres."""
    centre = rng.uniform(3, PIXELS - 3, (n, 2, 1))
    y, x = (axis.ravel() for axis in np.mgrid[:PIXELS, :PIXELS] + 0.5)
    dx, dy = x - centre[:, 0], y - centre[:, 1]
    fields = np.exp(-(dx**2 + dy**2) / (2 * sd**2))
    return fields / fields.sum(axis=1, keepdims=True), dx, dy


def _oriented_energy(
    pictures: np.ndarray, n: int, sd: float, rng: np.random.Generator
) -> np.ndarray:
    """Amplitude (n_pictures, n) of luminance through Gabor pairs of random places and one of four orientations.

    Divided by the amplitudes of all four at that place (Heeger 1992, Visual Neuroscience 9:181):
    contrast, which tells colours apart, has little part in it.
    """
    fields, dx, dy = _fields(n, sd, rng)
    preferred = rng.choice(np.pi / 4 * np.arange(4), n)[:, None]
    luminance = pictures.reshape(len(pictures), -1, 3).mean(axis=2) / 255
    luminance = luminance - luminance.mean(axis=1, keepdims=True)
    amplitudes = []
    for turn in np.pi / 4 * np.arange(4):
        angle = preferred + turn
        phase = 2 * np.pi * (dx * np.cos(angle) + dy * np.sin(angle)) / (2.5 * sd)
        amplitudes.append(
            np.hypot(luminance @ (fields * np.cos(phase)).T, luminance @ (fields * np.sin(phase)).T)
        )
    total = sum(amplitudes)
    return amplitudes[0] / (total + 0.05 * total.std())


def _colour(pictures: np.ndarray, n: int, sd: float, rng: np.random.Generator) -> np.ndarray:
    """Opponent colours (n_pictures, n), red–green and blue–yellow with some luminance, averaged over random places."""
    fields, *_ = _fields(n, sd, rng)
    red, green, blue = np.moveaxis(pictures.reshape(len(pictures), -1, 3) / 255, 2, 0)
    channels = [red - green, blue - (red + green) / 2, (red + green + blue) / 3]
    weights = rng.standard_normal((3, n)) * np.array([1, 1, 0.3])[:, None]
    return sum(weight * (channel @ fields.T) for weight, channel in zip(weights, channels))
