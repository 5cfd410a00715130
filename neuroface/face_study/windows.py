"""The windows of the study, as scripts 3 and 4 fit models to them."""

from pathlib import Path

from neuroface.bold import read_mask, read_rois, sphere_labels, voxel_positions_mm
from neuroface.decoding import Windows
from neuroface.face_study.settings import rois_name

import numpy as np
import pandas as pd


def windows_of(
    dataset: Path, training: Path, mask_file: Path, samples: pd.DataFrame, cfg, labels: np.ndarray | None = None
) -> Windows:
    """The windows, and the voxels that the linear model of ROI_FILE uses.

    Parameters
    ----------
    dataset, training : folders of scripts 2 and 3. samples : one row per window, column event.
    labels : (n,) 0 or 1 in place of ``y.npy``. cfg : ROI_FILE, BASELINES, SPACE.
    """
    mask, affine = read_mask(mask_file)
    regions = {}
    if has_regions(cfg):
        voxels = sphere_labels(voxel_positions_mm(mask, affine), read_rois(cfg.ROI_FILE)) > 0
        regions = {rois_name(cfg.ROI_FILE): voxels}
    return Windows(dataset, training / "linear", mask, samples["event"].to_numpy(str), regions, labels)


def has_regions(cfg) -> bool:
    """Whether a linear model of the voxels of ROI_FILE is trained; their places are in MNI space."""
    return rois_name(cfg.ROI_FILE) in cfg.BASELINES and cfg.SPACE == "MNI"
