"""The classical answer beside the network's: where does BOLD follow the faces, by a general linear model of each run?"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from nilearn.glm.first_level import make_first_level_design_matrix

from neuroface import NeuroFaceError, bold, windows
from neuroface.dataset import Run
from neuroface.running import RunningStatistics

HIGH_PASS_HZ = 1 / 128  # slower drifts are modelled by cosines, SPM's usual cut-off
HRF = "spm"


def effect_of_run(run: Run, mask: np.ndarray, affine: np.ndarray, cfg) -> np.ndarray:
    """:func:`face_effect` of a run's files; one pass over its BOLD."""
    faces, others = windows.stretches_of(run.annotation, cfg.FACE_TRIAL_TYPES, cfg.NOFACE_TRIAL_TYPES)
    kept = windows.read_censor(run.censor, bold.open_header(run.bold)[1][3])
    return face_effect(bold.stream_masked(run.bold, mask, affine), face_design(faces, others, kept, cfg.TR_S))


def face_design(faces: np.ndarray, others: np.ndarray | None, kept: np.ndarray, tr_s: float) -> pd.DataFrame:
    """Design matrix of a run: faces (and what they are compared with) through the HRF, cosine drifts, a constant.

    Parameters
    ----------
    faces : (n, 2), onset_s and duration_s. others : (m, 2) stretches that count as no face; None: all other times.
    kept : (n_trs,) bool, the TRs that the series has (:func:`neuroface.windows.read_censor`).

    Returns
    -------
    A row per TR that is there; columns "face", perhaps "noface", drifts, "constant".
    """
    parts = {"face": faces} | ({} if others is None else {"noface": others})
    events = [
        pd.DataFrame({"onset": stretches[:, 0], "duration": stretches[:, 1], "trial_type": name})
        for name, stretches in parts.items()
    ]
    times_s = np.arange(len(kept)) * tr_s
    design = make_first_level_design_matrix(
        times_s, pd.concat(events), hrf_model=HRF, drift_model="cosine", high_pass=HIGH_PASS_HZ
    )
    return design[kept]


def face_effect(volumes: Iterable[np.ndarray], design: pd.DataFrame) -> np.ndarray:
    """Least-squares effect of faces, against ``noface`` where the design has it, in SDs of each voxel over the run.

    The run streams by: only sums over volumes are kept. Equals nilearn's ``FirstLevelModel`` with OLS noise.

    Parameters
    ----------
    volumes : the run in order, (n, n_voxels) at a time. design : of :func:`face_design`, a row per volume.

    Returns
    -------
    (n_voxels,) float64; 0 where a voxel never changes.
    """
    x, statistics = design.to_numpy(np.float64), RunningStatistics()
    products, start = 0.0, 0
    for part in statistics.watch(volumes):
        # Distances from the first volume: the constant takes up what is subtracted, and nothing is lost to rounding.
        products = products + x[start : start + len(part)].T @ (part - statistics.first).astype(np.float64)
        start += len(part)
    if start != len(x):
        raise NeuroFaceError(f"The series has {start} volumes and its design {len(x)} rows. Rerun script 1.")
    contrast = np.array([float(name == "face") - float(name == "noface") for name in design])
    effect = contrast @ np.linalg.pinv(x.T @ x) @ products
    return effect * statistics.centre_and_scale()[1]
