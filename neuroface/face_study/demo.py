"""The demo data set: synthetic BOLD of people watching films, in NNDb's naming and formats, with a known truth.

Faces drive FFA, OFA and pSTS of both hemispheres through the canonical HRF, with saturation. FFA
and OFA also vary together: in the same direction with a face, in opposite directions without one,
which no linear model can read. Added are noise that is smooth in space and autocorrelated in time,
slow drift, and responses to the film in other regions that all its viewers share. People differ in
amplitude and in the edge of their brain mask.
"""

from pathlib import Path

from neuroface.bold import read_rois, sphere_labels, voxel_positions_mm, write_nifti
from neuroface.face_study.demo_regressors import write_demo_regressors
from neuroface.pipeline import begin_demo, write_json, write_table

import numpy as np
import pandas as pd
from nilearn.datasets import load_mni152_gm_template
from nilearn.glm.first_level import spm_hrf
from scipy import ndimage, signal

FILMS = ("aurora", "harbour", "midnight", "orchard")
PEOPLE_PER_FILM = 2
TR_S = 1.0
STEP_S = 0.2  # grid of the annotations
VOXEL_MM = 8
GREY_MATTER = 0.45  # share of grey matter above which a voxel belongs to the demo brain
FACE_EFFECT = 1.3  # response to a face in SDs of a voxel's noise, before the factor of each person
SATURATION = 1.5  # of the response: tanh(SATURATION × drive) / tanh(SATURATION)
# Amplitude of the variation that FFA and OFA share. With a face both rise or both fall; without
# one, one rises and the other falls. The direction is random in each stretch, so its mean is 0;
# only the product of the two regions tells a face.
COUPLING_EFFECT = 2.0
FILM_EFFECT = 1.0
NOISE_AR = 0.4  # lag-1 autocorrelation at 1 s
NOISE_FWHM_MM = 9.0
DRIFT_SD = 0.2
# Regions that follow the film's sound, light and story, not its faces (MNI mm), and the radius of
# the response.
FILM_REGIONS = {
    "auditory": [(-54, -20, 6), (56, -18, 6)],
    "early visual": [(-8, -94, 0), (10, -92, 2)],
    "precuneus": [(0, -58, 34)],
    "medial prefrontal": [(0, 52, 8)],
}
FILM_RADIUS_MM = 14.0


def write_demo(
    folder: str | Path, roi_file: str | Path, seed: int, film_s: int = 900, voxel_mm: int = VOXEL_MM
) -> bool:
    """Write the demo data set to ``folder`` unless it exists.

    Layout as NNDb v1: ``stimuli/task-<film>_face-annotation.1D``,
    ``derivatives/sub-<n>/anat/…_T1w_mask.nii.gz``,
    ``derivatives/sub-<n>/func/…_bold_preprocessedICA.nii.gz`` (x, y, z, film_s) float32; and
    ``truth/``: the regions that faces drive (``face_rois.nii.gz``, labels as rows of
    ``face_rois.tsv``) and every parameter (``truth.json``).

    Returns
    -------
    Whether this call wrote it.
    """
    folder = Path(folder)
    partial = begin_demo(folder, "truth/truth.json", seed=seed)
    if partial is None:
        return False
    rois = read_rois(roi_file)
    template = load_mni152_gm_template(resolution=voxel_mm)
    brain, affine = template.get_fdata() > GREY_MATTER, template.affine
    positions = voxel_positions_mm(brain, affine)
    regions = sphere_labels(positions, rois)
    film_weights = _film_weights(positions)

    subject = 0
    people = []
    for film_number, film in enumerate(FILMS):
        rng = np.random.default_rng([seed, film_number])
        stretches = draw_annotation(rng, film_s)
        (partial / "stimuli").mkdir(parents=True, exist_ok=True)
        np.savetxt(partial / "stimuli" / f"task-{film}_face-annotation.1D", stretches, fmt="%.1f")
        write_demo_regressors(
            partial / "stimuli", film, stretches, film_s, TR_S, [seed, film_number]
        )
        film_response = _smooth_noise(rng, len(FILM_REGIONS), film_s, seconds=3.0)
        for _ in range(PEOPLE_PER_FILM):
            subject += 1
            rng = np.random.default_rng([seed, film_number, subject])
            effects = FACE_EFFECT, COUPLING_EFFECT
            matrix, amplitude = draw_person(
                rng, brain, regions, rois["roi"], stretches, film_s, voxel_mm, *effects
            )
            matrix += FILM_EFFECT * film_weights @ film_response
            matrix *= (
                rng.uniform(0.6, 1.6) * 10
            )  # people differ in overall amplitude, in arbitrary units
            _write_person(
                partial, f"sub-{subject}", film, _own_mask(rng, brain), brain, matrix, affine
            )
            people.append(
                {
                    "participant_id": f"sub-{subject}",
                    "task": film,
                    "face_amplitude": round(amplitude, 3),
                }
            )

    labels = np.zeros(brain.shape, dtype=np.uint8)
    labels[brain] = regions
    write_nifti(partial / "truth" / "face_rois.nii.gz", labels, affine)
    write_table(partial / "truth" / "face_rois.tsv", rois)
    write_table(partial / "participants.tsv", pd.DataFrame(people))
    parameters = {
        name: value for name, value in globals().items() if name.isupper() and name != "PARTIAL"
    }
    write_json(
        partial / "truth" / "truth.json",
        parameters | {"seed": seed, "film_s": film_s, "voxel_mm": voxel_mm},
    )
    partial.rename(folder)
    return True


def draw_person(
    rng: np.random.Generator,
    brain: np.ndarray,
    regions: np.ndarray,
    names: pd.Series,
    stretches: np.ndarray,
    film_s: int,
    voxel_mm: float,
    face_effect: float,
    coupling_effect: float,
) -> tuple[np.ndarray, float]:
    """Noise of a person and the response of their face regions, (n_voxels, film_s) float32, and their amplitude.

    Parameters
    ----------
    brain : (x, y, z) bool. regions : (n_voxels,) number of each voxel's region, 0: none. names :
    name of each region.
    stretches : annotation of the film. face_effect, coupling_effect : as FACE_EFFECT and
    COUPLING_EFFECT.
    """
    matrix = draw_noise(rng, brain, film_s, voxel_mm)
    amplitude = rng.uniform(0.75, 1.25)
    strength = np.concatenate([[0.0], face_effect * amplitude * rng.uniform(0.8, 1.2, len(names))])
    face = face_response(stretches, film_s)
    matrix += strength[regions][:, None] * np.tanh(SATURATION * face) / np.tanh(SATURATION)
    matrix += coupling_effect * amplitude * _coupling(rng, stretches, film_s, names)[regions]
    return matrix, amplitude


def draw_annotation(rng: np.random.Generator, film_s: int) -> np.ndarray:
    """Stretches with a face on a 0.2 s grid: long and short ones, long and short gaps, some touching or overlapping.

    Returns
    -------
    (n, 2) float64: onset_s, duration_s, sorted by onset.
    """
    rows, now = [], 4.0
    while now < film_s - 45:
        if rng.random() < 0.5:
            duration = rng.uniform(10.6, 22)
        else:
            duration = rng.uniform(0.6, 6)
        duration = round(duration * 5) / 5
        if (
            duration > 10 and rng.random() < 0.2
        ):  # a cut between two shots of one face: two rows that touch or overlap
            cut = round(duration / 2 * 5) / 5
            rows += [(now, cut + rng.choice([0.0, 1.0])), (now + cut, duration - cut)]
        else:
            rows.append((now, duration))
        gap = rng.uniform(10.6, 20) if rng.random() < 0.5 else rng.uniform(0.6, 5)
        now = round((now + duration + gap) * 5) / 5
    return np.array(rows)


def face_response(stretches: np.ndarray, n_trs: int) -> np.ndarray:
    """BOLD response (n_trs,) to a face on the screen: the canonical HRF over the annotation, 1 at the plateau."""
    return _convolved(_on_screen(stretches, n_trs).astype(float))


def _coupling(
    rng: np.random.Generator, stretches: np.ndarray, n_trs: int, names: pd.Series
) -> np.ndarray:
    """The variation that FFA and OFA share, (1 + n_regions, n_trs) float32; the first row is the rest of the brain."""
    on = _on_screen(stretches, n_trs)
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(on.astype(int))) + 1, [len(on)]])
    direction = np.repeat(rng.choice([-1.0, 1.0], len(bounds) - 1), np.diff(bounds))
    drives = {"FFA": _convolved(direction), "OFA": _convolved(np.where(on, direction, -direction))}
    none = np.zeros(n_trs, dtype=np.float32)
    return np.stack([none, *(drives.get(name, none) for name in names)])


def _on_screen(stretches: np.ndarray, n_trs: int) -> np.ndarray:
    """Whether a face is on the screen, every STEP_S seconds: (n,) bool."""
    time_s = np.arange(0, n_trs, STEP_S)
    shown = np.zeros(len(time_s), dtype=bool)
    for onset, duration in stretches:
        shown = shown | (time_s >= onset - 1e-6) & (time_s < onset + duration - 1e-6)
    return shown


def _convolved(drive: np.ndarray) -> np.ndarray:
    """A drive given every STEP_S seconds, convolved with the canonical HRF (of sum 1): one value per TR, float32."""
    step = round(TR_S / STEP_S)
    hrf = spm_hrf(TR_S, oversampling=step)
    return np.convolve(drive, hrf / hrf.sum())[: len(drive)][::step].astype(np.float32)


def draw_noise(
    rng: np.random.Generator, brain: np.ndarray, n_trs: int, voxel_mm: float
) -> np.ndarray:
    """Noise (n_voxels, n_trs) float32: AR(1) in time, smooth in space, SD 1 per voxel, plus slow drift."""
    sigma = NOISE_FWHM_MM / 2.3548 / voxel_mm
    matrix = np.empty((int(brain.sum()), n_trs), dtype=np.float32)
    for tr in range(n_trs):
        white = rng.standard_normal(brain.shape, dtype=np.float32)
        matrix[:, tr] = ndimage.gaussian_filter(white, sigma, mode="wrap", truncate=3)[brain]
    matrix = signal.lfilter([1], [1, -NOISE_AR], matrix, axis=1).astype(np.float32)
    matrix /= matrix.std(axis=1, keepdims=True)
    time = np.linspace(0, 1, n_trs)
    waves = np.stack([np.cos(np.pi * k * time) for k in (1, 2, 3)]).astype(np.float32)
    return matrix + DRIFT_SD * rng.standard_normal((len(matrix), 3), dtype=np.float32) @ waves


def _smooth_noise(rng: np.random.Generator, n: int, n_trs: int, seconds: float) -> np.ndarray:
    noise = ndimage.gaussian_filter1d(rng.standard_normal((n, n_trs)), seconds / TR_S / 2, axis=1)
    return (noise / noise.std(axis=1, keepdims=True)).astype(np.float32)


def _film_weights(positions_mm: np.ndarray) -> np.ndarray:
    """How much each voxel follows each film region's time course: (n_voxels, n_regions), a Gaussian of distance."""
    columns = []
    for centres in FILM_REGIONS.values():
        distance = np.min(
            [np.linalg.norm(positions_mm - np.array(c), axis=1) for c in centres], axis=0
        )
        columns.append(np.exp(-0.5 * (distance / FILM_RADIUS_MM) ** 2))
    return np.stack(columns, axis=1).astype(np.float32)


def _own_mask(rng: np.random.Generator, brain: np.ndarray) -> np.ndarray:
    """A person's mask: the common brain without a few voxels of its surface, and with a few voxels outside it."""
    surface = brain & ~ndimage.binary_erosion(brain)
    rim = ndimage.binary_dilation(brain) & ~brain
    own = brain.copy()
    own[surface & (rng.random(brain.shape) < 0.004)] = False
    own[rim & (rng.random(brain.shape) < 0.1)] = True
    return own


def _write_person(folder: Path, subject: str, film: str, own_mask, brain, matrix, affine) -> None:
    person = folder / "derivatives" / subject
    write_nifti(person / "anat" / f"{subject}_T1w_mask.nii.gz", own_mask.astype(np.uint8), affine)
    volumes = np.zeros((*brain.shape, matrix.shape[1]), dtype=np.float32)
    volumes[brain] = np.round(matrix, 2)
    volumes[~own_mask] = 0
    write_nifti(
        person / "func" / f"{subject}_task-{film}_bold_preprocessedICA.nii.gz",
        volumes,
        affine,
        TR_S,
    )
