"""Occlusion: drop of the logit when a region is set to the baseline for some seconds (Zeiler & Fergus 2014)."""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import (
    UNREADABLE,
    nearly_whole,
    open_image,
    read_rois,
    sphere_labels,
    voxel_positions_mm,
)
from neuroface.decoding import predict_logits

import nibabel as nib
import numpy as np
from nilearn.image import resample_to_img


def regions_to_occlude(
    kind: str,
    mask: np.ndarray,
    affine: np.ndarray,
    edge_mm: float,
    roi_file: str | Path | None,
    parcel_file: str | Path | None,
) -> np.ndarray:
    """Number of the region that each voxel belongs to, (n_voxels,) int32; 0: none.

    Parameters
    ----------
    kind : "cubes" of ``edge_mm`` that fill the brain, "rois": the spheres of ``roi_file``, or
        "parcels": the labels of the NIfTI file ``parcel_file``, resampled to the mask.

    Raises
    ------
    NeuroFaceError
        If no voxel of the mask lies in any region.
    """
    positions_mm = voxel_positions_mm(mask, affine)
    if kind == "cubes":
        return cubes(positions_mm, edge_mm)
    source = roi_file if kind == "rois" else parcel_file
    if source is None:
        raise ValueError(f"regions {kind!r} need a file")
    regions = (
        sphere_labels(positions_mm, read_rois(source))
        if kind == "rois"
        else parcels(source, mask, affine)
    )
    if not regions.any():
        raise NeuroFaceError(
            f"No region of {source} lies inside the group mask. Are both in the same space?"
        )
    return regions.astype(np.int32)


def cubes(positions_mm: np.ndarray, edge_mm: float) -> np.ndarray:
    """Cubes that fill the brain: (n_voxels,) int32 from 1, for voxel centres (n_voxels, 3) in mm."""
    cells = np.floor((positions_mm - positions_mm.min(axis=0) + 1e-3) / edge_mm).astype(int)
    return (np.unique(cells, axis=0, return_inverse=True)[1].ravel() + 1).astype(np.int32)


def parcels(path: str | Path, mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Labels (n_voxels,) of a NIfTI parcellation at the mask's voxels, nearest neighbour."""
    image = open_image(Path(path))
    try:
        values = np.asarray(image.dataobj)
    except UNREADABLE as error:
        raise NeuroFaceError(
            f"PARCEL_FILE = {path} cannot be read: {error}. Export it again."
        ) from None
    if values.ndim != 3 or not nearly_whole(values).all() or (values.round() < 0).any():
        raise NeuroFaceError(
            f"PARCEL_FILE = {path}, of shape {values.shape}, is not a parcellation: it must be one volume of whole "
            f"numbers, 0 outside parcels."
        )
    target = nib.Nifti1Image(mask.astype(np.uint8), affine)
    source = nib.Nifti1Image(values.round().astype(np.int32), image.affine)
    moved = resample_to_img(
        source, target, interpolation="nearest", force_resample=True, copy_header=True
    )
    return np.asarray(moved.dataobj)[mask]


class Occlusion:
    """The drop in logit for every region and stretch of seconds, spread evenly over its voxels × volumes.

    Parameters
    ----------
    logit_model : (n, n_voxels, window_trs, 1) → (n, 1).
    regions : (n_voxels,) int; voxels with 0 are never occluded and get no attribution.
    trs : volumes occluded together. batch : copies of a window in one pass through the network.
    """

    def __init__(self, logit_model, regions: np.ndarray, trs: int, batch: int):
        self.logit_model, self.trs, self.batch, self.paths_per_pass = logit_model, trs, batch, 1
        self.regions = [
            np.flatnonzero(regions == number) for number in np.unique(regions[regions > 0])
        ]

    def __call__(
        self, windows: np.ndarray, baselines: np.ndarray, gains: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Attributions (n, n_voxels, window_trs) of ``windows`` against ``baselines``, pairwise; number of sets (n,).

        The attributions of a set sum to the drop in logit when only this set is occluded. For a
        whole window this holds only if sets do not interact.
        """
        stretches = [slice(tr, tr + self.trs) for tr in range(0, windows.shape[2], self.trs)]
        sets = [(region, stretch) for region in self.regions for stretch in stretches]
        nothing = (np.array([], dtype=int), slice(0))
        maps = np.zeros_like(windows)
        for window, baseline, attribution in zip(windows, baselines, maps):
            logits = self._logits_without([nothing, *sets], window, baseline)
            for drop, (region, stretch) in zip(logits[0] - logits[1:], sets):
                attribution[region, stretch] = drop / attribution[region, stretch].size
        return maps, np.full(len(windows), len(sets))

    def _logits_without(self, sets: list, window: np.ndarray, baseline: np.ndarray) -> np.ndarray:
        logits = []
        for start in range(0, len(sets), self.batch):
            batch = sets[start : start + self.batch]
            changed = np.repeat(window[None], len(batch), axis=0)
            for copy, (region, stretch) in zip(changed, batch):
                copy[region, stretch] = baseline[region, stretch]
            logits.append(predict_logits(self.logit_model, changed, self.batch))
        return np.concatenate(logits)
