"""A synthetic visual cortex whose voxels are known functions of the film.

Calcarine voxels follow oriented energy at a place of the frame, middle occipital voxels follow
motion at a place, posterior fusiform voxels follow drawn faces and where they are, anterior fusiform
voxels faces and shapes alike. Cuneus voxels follow nothing. Every response passes through the
canonical HRF; people differ in gain, in noise, and in the place of their regions.
"""

import numpy as np
import pandas as pd
from nilearn.datasets import load_mni152_gm_template
from nilearn.glm.first_level import spm_hrf
from scipy import fft, signal
from skimage.filters import gabor_kernel

# (region, left centre in MNI mm, radius in mm, what it follows); right hemispheres are mirrored.
REGIONS = (
    ("calcarine", (-11, -88, 2), 17, "oriented energy"),
    ("middle occipital", (-36, -80, 10), 14, "motion"),
    ("posterior fusiform", (-38, -60, -16), 13, "faces"),
    ("anterior fusiform", (-34, -40, -18), 11, "faces and shapes"),
    ("cuneus", (-12, -82, 30), 10, "nothing"),
    (
        "precuneus",
        (-8, -60, 44),
        12,
        "nothing",
    ),  # outside the parcels that the demo's settings name
)
GREY_MATTER = 0.3  # share of grey matter above which a voxel belongs to the demo brain
FRONT_MM = -30.0
ORIENTATIONS = 4
CYCLES_PER_PIXEL = (0.10, 0.20)
STEPS_PER_TR = 4  # at which the film is looked at
NOISE_SD = (1.0, 2.6)  # of one person, in SDs of the response; voxels differ
NOISE_AR = 0.35
GAIN_SD = 0.2
THINGS_OF = {"faces": (1,), "faces and shapes": (1, 2)}  # labels of pixels that a voxel follows


def brain(voxel_mm: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]:
    """The demo's brain.

    Returns
    -------
    mask (x, y, z) bool; affine (4, 4); atlas (x, y, z) int16, 0 outside all regions; table: number,
    region, follows.
    """
    template = load_mni152_gm_template(resolution=voxel_mm)
    mask, affine = template.get_fdata() > GREY_MATTER, template.affine.copy()
    mask = mask[
        :, : int((FRONT_MM - affine[1, 3]) / voxel_mm)
    ]  # the front of the brain sees no film
    places = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    atlas = np.zeros(mask.shape, dtype=np.int16)
    rows: list[dict[str, object]] = []
    labels, nearest = np.zeros(len(places), dtype=np.int16), np.full(len(places), np.inf)
    for name, centre, radius, follows in REGIONS:
        for side, sign in (("left", 1), ("right", -1)):
            number = len(rows) + 1
            distance = (
                np.linalg.norm(places - np.array([sign * centre[0], *centre[1:]]), axis=1) / radius
            )
            here = (distance <= 1) & (distance < nearest)
            labels[here], nearest[here] = number, distance[here]
            rows.append({"index": number, "name": f"{side} {name}", "follows": follows})
    atlas[mask] = labels
    return mask, affine, atlas, pd.DataFrame(rows)


class Tuning:
    """What every voxel of the atlas follows, drawn once for all people and films.

    Parameters
    ----------
    names : region of every voxel, (n_voxels,). follows : what it follows. pixels : size of the
        frames that it will be shown.
    """

    def __init__(
        self, rng: np.random.Generator, names: np.ndarray, follows: np.ndarray, pixels: int
    ):
        n = len(names)
        left = np.char.startswith(names.astype(str), "left")
        # Each hemisphere looks at the other half of the field, a little beyond its middle.
        x = np.where(left, rng.uniform(0.44, 0.88, n), rng.uniform(0.12, 0.56, n))
        self.place = np.stack([x, rng.uniform(0.18, 0.82, n)], axis=1)
        self.filter = rng.integers(ORIENTATIONS * len(CYCLES_PER_PIXEL), size=n)
        self.follows, self.pixels = follows, pixels
        self.noise_sd = rng.uniform(*NOISE_SD, n)
        self.sharpness = np.where(
            np.isin(follows, list(THINGS_OF)), 0.16, np.where(follows == "motion", 0.11, 0.07)
        )

    def fields(self, voxels: np.ndarray) -> np.ndarray:
        """Receptive fields (n, pixels²), each with a sum of 1."""
        y, x = (np.mgrid[: self.pixels, : self.pixels] + 0.5) / self.pixels
        place, width = self.place[voxels], self.sharpness[voxels][:, None, None]
        distance = (x - place[:, 0, None, None]) ** 2 + (y - place[:, 1, None, None]) ** 2
        fields = np.exp(-0.5 * distance / width**2).reshape(len(voxels), self.pixels**2)
        return (fields / fields.sum(axis=1, keepdims=True)).astype(np.float32)

    def respond(self, frames: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Neural responses (n_times, n_voxels) to frames (n_times, pixels, pixels, 3) in 0 … 1; noise-free.

        Parameters
        ----------
        labels : (n_times, pixels, pixels), 1 where a face is drawn, 2 where a shape is.
        """
        grey, n = frames.mean(axis=3), len(frames)
        responses = np.zeros((n, len(self.follows)), dtype=np.float32)
        v1 = np.flatnonzero(self.follows == "oriented energy")
        for number, energy in enumerate(oriented_energies(grey)):
            here = v1[self.filter[v1] == number]
            responses[:, here] = np.sqrt(energy.reshape(n, -1) @ self.fields(here).T)
        moving = np.flatnonzero(self.follows == "motion")
        change = np.abs(np.diff(grey, axis=0, prepend=grey[:1]))
        responses[:, moving] = np.sqrt(change.reshape(n, -1) @ self.fields(moving).T)
        for follows, things in THINGS_OF.items():
            here = np.flatnonzero(self.follows == follows)
            there = np.isin(labels, things).reshape(n, -1).astype(np.float32)
            responses[:, here] = there @ self.fields(here).T
        return responses


def oriented_energies(grey: np.ndarray):
    """Squared amplitude of quadrature pairs of Gabor filters, one after another: (n, height, width) each."""
    height, width = grey.shape[1:]
    size = (2 * height, 2 * width)  # no filter is wider than half a frame, so nothing wraps around
    spectrum = fft.rfft2(grey - grey.mean(axis=(1, 2), keepdims=True), size)
    for cycles in CYCLES_PER_PIXEL:
        for orientation in range(ORIENTATIONS):
            kernel = gabor_kernel(cycles, theta=np.pi * orientation / ORIENTATIONS, bandwidth=1.2)
            kernel = (kernel - kernel.mean()).astype(np.complex64)
            top, left = (n // 2 for n in kernel.shape)
            energy = 0.0
            for phase in (kernel.real, kernel.imag):
                filtered = fft.irfft2(spectrum * fft.rfft2(phase, size), size)
                energy = energy + filtered[:, top : top + height, left : left + width] ** 2
            yield energy


def bold_response(neural: np.ndarray, tr_s: float, n_rows: int) -> np.ndarray:
    """BOLD (n_rows, n_voxels) on the film's clock, SD 1 per voxel: the canonical HRF over neural responses.

    Parameters
    ----------
    neural : (n_times, n_voxels), ``STEPS_PER_TR`` rows per TR.
    """
    hrf = spm_hrf(tr_s, oversampling=STEPS_PER_TR)
    padded = np.concatenate(
        [neural, np.zeros((STEPS_PER_TR * n_rows, neural.shape[1]), dtype=np.float32)]
    )
    smooth = signal.fftconvolve(padded, hrf[:, None], axes=0)[
        : STEPS_PER_TR * n_rows : STEPS_PER_TR
    ]
    smooth = smooth - smooth.mean(axis=0)
    sd = smooth.std(axis=0)
    return (smooth / np.where(sd > 1e-9, sd, 1)).astype(np.float32)


def person_shift(seed: int, person: int) -> np.ndarray:
    """By how many voxels a person's regions lie beside the atlas, (3,): one voxel along one axis for every second person."""
    if person % 2:
        return np.zeros(3, dtype=int)
    rng = np.random.default_rng([seed, 0, person])
    return rng.permutation([int(rng.choice([-1, 1])), 0, 0])


def moved(voxels: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Which voxel's response each voxel of a person has whose regions are shifted; (n_voxels,), -1: none.

    Parameters
    ----------
    voxels : (x, y, z) bool, n_voxels of them. shift : (3,) whole voxels.
    """
    numbers = np.full(voxels.shape, -1)
    numbers[voxels] = np.arange(voxels.sum())
    return np.roll(numbers, shift, axis=(0, 1, 2))[voxels]


def person_bold(
    rng: np.random.Generator, response: np.ndarray, noise_sd: np.ndarray, source: np.ndarray
) -> np.ndarray:
    """One person's BOLD for a film: the common response with a gain of their own, and autocorrelated noise.

    Parameters
    ----------
    response : (n_rows, n_voxels). source : (n_voxels,) of :func:`moved`.
    """
    gain = 1 + GAIN_SD * rng.standard_normal(response.shape[1])
    noise = signal.lfilter([1], [1, -NOISE_AR], rng.standard_normal(response.shape), axis=0)
    own = response[:, source] * (source >= 0)
    return (gain * own + noise_sd * noise / noise.std(axis=0)).astype(np.float32)
