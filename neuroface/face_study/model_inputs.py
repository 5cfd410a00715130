"""The windows of the study, as scripts 3 and 4 fit models to them."""

from pathlib import Path

from neuroface.bold import read_mask, read_rois, sphere_labels, voxel_positions_mm
from neuroface.decoding import Windows
from neuroface.face_study.settings import FaceSettings, rois_name

import pandas as pd


def windows_of(
    dataset: Path,
    training: Path,
    mask_file: Path,
    samples: pd.DataFrame,
    models: list[str],
    cfg: FaceSettings,
    labels=None,
) -> Windows:
    """The windows, and the voxels that the linear model of ROI_FILE uses, if it is one of ``models``.

    Parameters
    ----------
    dataset, training : folders of scripts 2 and 3. samples : one row per window, columns event and
    subject.
    models : names of the models that are fitted. cfg : ROI_FILE. labels : (n,) 0 or 1 in place of
    ``y.npy``.
    """
    mask, affine = read_mask(mask_file)
    rois, regions = rois_name(cfg.ROI_FILE), {}
    if cfg.ROI_FILE is not None and rois in models:
        spheres = sphere_labels(voxel_positions_mm(mask, affine), read_rois(cfg.ROI_FILE))
        regions = {rois: spheres > 0}
    events, people = (samples[column].to_numpy(str) for column in ("event", "subject"))
    return Windows(dataset, training / "linear", mask, events, people, regions, labels)
