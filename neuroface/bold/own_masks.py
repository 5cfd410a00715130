"""Brain masks of people whose data set has none: raw data, and derivatives that were published without."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.images import check_grid, has_places, open_header, stream_masked
from neuroface.bold.nifti import write_nifti
from neuroface.bold.parcels import is_parcels, measured_parcels
from neuroface.bold.places import on_grid
from neuroface.bold.run import Run
from neuroface.bold.surfaces import measured_vertices

import nibabel as nib
import numpy as np
from nilearn.masking import compute_epi_mask

FOLDER = "own_masks"


def with_computed_masks(stage, runs: list[Run], mask_file: str | None) -> tuple[list[Run], str]:
    """The runs, each with a mask: where the data set has none, one is computed from the BOLD of all such runs of the person.

    The masks are written to ``own_masks/<sub>_desc-brain_mask.nii.gz`` in the stage's folder, as
    units of its work.

    Parameters
    ----------
    stage : a :class:`neuroface.pipeline.Stage`. mask_file : if a mask for all people is named, none
    is computed.

    Returns
    -------
    runs, and a sentence on what was computed; empty if nothing was.
    """
    without: dict[str, list[Run]] = {}
    for run in runs:
        if not run.mask:
            without.setdefault(run.subject, []).append(run)
    if mask_file or not without:
        return runs, ""
    files = {
        subject: stage.folder / FOLDER / f"{subject}_desc-brain_mask.nii.gz" for subject in without
    }
    stage.each(
        partial(compute_mask, files, without), list(without), "brain masks", files.__getitem__
    )
    runs = [run if run.mask else replace(run, mask=files[run.subject]) for run in runs]
    if is_parcels(runs[0].bold):
        return runs, "A person's mask are the parcels that have values in all of the person's runs."
    if has_places(runs[0].bold):
        return runs, (
            "A person's mask are the vertices and voxels whose values are finite and change in all of the person's runs."
        )
    who = "1 person" if len(without) == 1 else f"{len(without)} people"
    return (
        runs,
        f"The data have no brain mask of {who}; it was computed from the BOLD (nilearn's compute_epi_mask).",
    )


def compute_mask(files: dict[str, Path], runs: dict[str, list[Run]], subject: str) -> None:
    """Write a person's mask: the voxels that :func:`nilearn.masking.compute_epi_mask` finds in every run."""
    first, shape = open_header(runs[subject][0].bold)
    if has_places(runs[subject][0].bold):
        write_nifti(files[subject], _measured(runs[subject]).astype(np.uint8), first.affine)
        return
    shared = np.ones(shape[:3], dtype=bool)
    for run in runs[subject]:
        image, its_shape = open_header(run.bold)
        check_grid(run.bold, its_shape, image.affine, shape[:3], first.affine)
        amplitude = mean_amplitude(run.bold)
        inside = compute_epi_mask(nib.Nifti1Image(amplitude, image.affine))
        shared &= (np.asarray(inside.dataobj) > 0) & (
            amplitude > 0
        )  # of an empty image it is the whole image
    if not shared.any():
        raise NeuroFaceError(
            f"{subject} has no brain mask, and none could be computed from {runs[subject][0].bold.name}"
            f"{f' and {len(runs[subject]) - 1} more runs' if len(runs[subject]) > 1 else ''}. Add "
            f"{subject}_desc-brain_mask.nii.gz to its anat/, or set MASK_FILE."
        )
    write_nifti(files[subject], shared.astype(np.uint8), first.affine)


def _measured(runs: list[Run]) -> np.ndarray:
    """Mask (x, y, z) bool of the parcels or vertices that were measured in all runs of a person."""
    if is_parcels(runs[0].bold):
        return measured_parcels(runs)
    measured = on_grid(np.all([measured_vertices(run.bold) for run in runs], axis=0))
    if not measured.any():
        raise NeuroFaceError(
            f"{runs[0].subject}: no vertex of {runs[0].bold.name} has finite values that change. Export the series "
            f"again, or leave {runs[0].subject} out with EXCLUDE."
        )
    return measured


def mean_amplitude(path: Path) -> np.ndarray:
    """Mean over time of the absolute values of a series, (x, y, z) float32; 0 where its first volume is not finite.

    Residuals of a regression have no mean, but an amplitude.
    """
    image, shape = open_header(path)
    first_volume = (slice(None), slice(None), slice(None), *(0 for _ in image.shape[3:]))
    finite = np.isfinite(np.asarray(image.dataobj[first_volume]))
    total = np.zeros(int(finite.sum()))
    for volumes in stream_masked(path, finite, image.affine):
        total += np.abs(volumes).sum(axis=0, dtype=np.float64)
    amplitude = np.zeros(shape[:3], dtype=np.float32)
    amplitude[finite] = total / shape[3]
    return amplitude
