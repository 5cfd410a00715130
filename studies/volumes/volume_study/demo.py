"""The demo data set: synthetic BOLD of people watching a film in four overlapping runs, and nine observers' tables of it.

Episodes of five labels follow one another. Three labels drive a region each through the canonical
HRF; two drive nothing. On top: responses to the film that all viewers share moment by moment and
that know nothing of the labels (they are what the split of single volumes leaks), noise that is
smooth in space and autocorrelated in time, drift, and people who differ.
"""

from pathlib import Path

from neuroface.bold import read_rois, sphere_labels, voxel_positions_mm, write_nifti
from neuroface.pipeline import begin_demo, write_json

import numpy as np
import pandas as pd
from nilearn.datasets import load_mni152_gm_template
from nilearn.glm.first_level import spm_hrf
from scipy import ndimage, signal

LABELS = ("ANGER", "FEAR", "HAPPINESS", "LOVE", "SADNESS")
PLANTED = LABELS[:3]  # the others drive nothing
PEOPLE, OBSERVERS = 6, 9
TR_S, STEP_S = 2.0, 0.5
VOXEL_MM = 10
GREY_MATTER = 0.4  # share of grey matter above which a voxel belongs to the demo brain
EFFECT = 3.0  # response to a planted label in SDs of a voxel's noise, before a person's own factor
FILM_EFFECT = 2.0  # response to the film, likewise
FILM_PLACES_MM = [
    (-54, -20, 6),
    (56, -18, 6),
    (-8, -90, 2),
    (10, -90, 4),
    (0, -24, 60),
    (-30, -60, -20),
]
FILM_REACH_MM = 14.0
NOISE_AR = 0.3  # lag-1 autocorrelation at 2 s
NOISE_FWHM_MM = 10.0
DRIFT_SD = 0.2
EPISODE_S, GAP_S = (10.0, 18.0), (4.0, 8.0)
AGREES = 0.9  # chance that an observer notices an episode and names its label
CUE_SD_S = 0.8  # by which observers differ in when it starts and ends


def write_demo(
    folder: Path,
    roi_file: str | Path,
    segments: tuple[tuple[float, float], ...],
    seed: int,
    voxel_mm: int = VOXEL_MM,
    people: int = PEOPLE,
) -> bool:
    """Write the demo data set to ``folder`` unless it is there.

    Layout as fMRIPrep's derivatives:
    ``sub-01/func/sub-01_task-film_run-1_space-MNI_desc-preproc_bold.nii.gz`` (x, y, z, n_trs)
    float32 and ``…_desc-brain_mask.nii.gz``; ``observers/observer-1.csv`` …; and ``truth/``: the
    regions (``regions.nii.gz``, labels as rows of ``regions.tsv``), the episodes, and every
    parameter (``truth.json``).

    Parameters
    ----------
    roi_file : table of regions whose column ``roi`` names the label. segments : seconds of the film
    that each run shows.

    Returns
    -------
    Whether it was written now.
    """
    folder = Path(folder)
    stored_s = [list(segment) for segment in segments]  # as JSON stores them
    partial = begin_demo(folder, "truth/truth.json", seed=seed, segments=stored_s)
    if partial is None:
        return False
    template = load_mni152_gm_template(resolution=voxel_mm)
    brain, affine = template.get_fdata() > GREY_MATTER, template.affine
    positions, rois = voxel_positions_mm(brain, affine), read_rois(roi_file)
    region = sphere_labels(positions, rois)
    rng = np.random.default_rng(seed)
    film_s = max(end for _, end in segments)
    episodes = draw_episodes(rng, film_s)
    write_observers(partial / "observers", episodes, rng)
    responses = np.stack(
        [label_response(episodes, label, film_s) for label in LABELS]
    )  # (n_labels, film_trs)
    film = film_response(rng, int(film_s / TR_S))
    shape = film_weights(positions)
    for number in range(1, people + 1):
        person = np.random.default_rng([seed, number])
        strength = (
            EFFECT
            * person.uniform(0.8, 1.2, len(rois))
            * [label in PLANTED for label in rois["roi"]]
        )
        drive = np.zeros((len(positions), len(LABELS)))
        for row, label in enumerate(rois["roi"], 1):
            drive[region == row, LABELS.index(label)] = strength[row - 1]
        mask = own_mask(person, brain)
        for run, (start, end) in enumerate(segments, 1):
            shown = slice(int(start / TR_S), int(end / TR_S))
            matrix = draw_noise(person, brain, shown.stop - shown.start, voxel_mm)
            matrix += drive @ responses[:, shown] + FILM_EFFECT * shape @ film[:, shown]
            _write_run(partial, f"sub-{number:02d}", run, mask, brain, matrix, affine)
    _write_truth(partial / "truth", region, brain, affine, rois, episodes, seed, segments, voxel_mm)
    partial.rename(folder)
    return True


def draw_episodes(rng: np.random.Generator, film_s: float) -> pd.DataFrame:
    """Episodes (onset_s, end_s, label) that do not overlap; every label comes once in each round of five."""
    rows: list[tuple[float, float, str]] = []
    now = 6.0
    while True:
        for label in rng.permutation(LABELS):
            length = rng.uniform(*EPISODE_S)
            if now + length > film_s - 16:
                return pd.DataFrame(rows, columns=["onset_s", "end_s", "label"])
            rows.append((round(now, 1), round(now + length, 1), str(label)))
            now += length + rng.uniform(*GAP_S)


def write_observers(folder: Path, episodes: pd.DataFrame, rng: np.random.Generator) -> None:
    """Tables as observers of a film write them: an episode missed, misnamed, cut early or late; some name no emotion."""
    folder.mkdir(parents=True)
    for observer in range(1, OBSERVERS + 1):
        rows = []
        for episode in episodes.itertuples():
            start, end = np.round([episode.onset_s, episode.end_s] + rng.normal(0, CUE_SD_S, 2), 1)
            chance = rng.random()
            label = (
                episode.label if chance < AGREES else "" if chance < 0.95 else rng.choice(LABELS)
            )
            rows.append((max(start, 0.0), max(end, start + 1), "NOBODY", label))
        table = pd.DataFrame(rows, columns=["start", "end", "character", "emotion"])
        table.to_csv(folder / f"observer-{observer}.csv", index=False)


def label_response(episodes: pd.DataFrame, label: str, film_s: float) -> np.ndarray:
    """Response (film_trs,) to a label: the canonical HRF over its episodes, 1 at the plateau."""
    time_s = np.arange(0, film_s, STEP_S)
    there = np.zeros(len(time_s))
    for episode in episodes[episodes["label"] == label].itertuples():
        there[(time_s >= episode.onset_s) & (time_s < episode.end_s)] = 1
    hrf = spm_hrf(TR_S, oversampling=round(TR_S / STEP_S))
    return np.convolve(there, hrf / hrf.sum())[: len(time_s)][:: round(TR_S / STEP_S)]


def film_response(rng: np.random.Generator, film_trs: int) -> np.ndarray:
    """What every viewer's brain does moment by moment, whatever the label: (n_places, film_trs), SD 1, smooth over 3 TRs."""
    noise = ndimage.gaussian_filter1d(
        rng.standard_normal((len(FILM_PLACES_MM), film_trs)), 1.0, axis=1
    )
    return noise / noise.std(axis=1, keepdims=True)


def film_weights(positions_mm: np.ndarray) -> np.ndarray:
    """How much each voxel follows each of these places: (n_voxels, n_places), a Gaussian of distance."""
    distance = np.linalg.norm(positions_mm[:, None] - np.array(FILM_PLACES_MM), axis=2)
    return np.exp(-0.5 * (distance / FILM_REACH_MM) ** 2)


def draw_noise(
    rng: np.random.Generator, brain: np.ndarray, n_trs: int, voxel_mm: int
) -> np.ndarray:
    """Noise (n_voxels, n_trs): AR(1) in time, smooth in space, SD 1 per voxel, plus slow drift."""
    white = rng.standard_normal((n_trs, *brain.shape))
    smooth = ndimage.gaussian_filter(
        white, (0, *[NOISE_FWHM_MM / 2.3548 / voxel_mm] * 3), mode="wrap"
    )[:, brain].T
    noise = signal.lfilter([1], [1, -NOISE_AR], smooth, axis=1)
    time = np.linspace(0, 1, n_trs)
    drift = rng.standard_normal((len(noise), 2)) @ np.stack(
        [np.cos(np.pi * k * time) for k in (1, 2)]
    )
    return noise / noise.std(axis=1, keepdims=True) + DRIFT_SD * drift


def own_mask(rng: np.random.Generator, brain: np.ndarray) -> np.ndarray:
    """A person's mask: the common brain with a few voxels of its surface missing and a few beyond it added."""
    surface, rim = brain & ~ndimage.binary_erosion(brain), ndimage.binary_dilation(brain) & ~brain
    missing, added = (
        surface & (rng.random(brain.shape) < 0.004),
        rim & (rng.random(brain.shape) < 0.1),
    )
    return brain & ~missing | added


def _write_run(folder: Path, subject: str, run: int, mask, brain, matrix, affine) -> None:
    stem = folder / subject / "func" / f"{subject}_task-film_run-{run}_space-MNI"
    write_nifti(
        stem.with_name(f"{stem.name}_desc-brain_mask.nii.gz"), mask.astype(np.uint8), affine
    )
    volumes = np.zeros((*brain.shape, matrix.shape[1]), dtype=np.float32)
    volumes[brain] = np.round(100 + 4 * matrix, 2)
    volumes[~mask] = 0
    write_nifti(stem.with_name(f"{stem.name}_desc-preproc_bold.nii.gz"), volumes, affine, TR_S)


def _write_truth(
    folder: Path, region, brain, affine, rois, episodes, seed, segments, voxel_mm
) -> None:
    labels = np.zeros(brain.shape, dtype=np.uint8)
    labels[brain] = region
    write_nifti(folder / "regions.nii.gz", labels, affine)
    rois.to_csv(folder / "regions.tsv", sep="\t", index=False)
    episodes.to_csv(folder / "episodes.tsv", sep="\t", index=False)
    parameters = {
        name: value for name, value in globals().items() if name.isupper() and name != "PARTIAL"
    }
    write_json(
        folder / "truth.json",
        parameters | {"seed": seed, "segments": segments, "voxel_mm": voxel_mm},
    )
