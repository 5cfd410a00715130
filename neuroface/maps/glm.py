"""Effect of the first condition on BOLD, by a general linear model of each run."""

from collections.abc import Iterable

from neuroface import NeuroFaceError
from neuroface.bold import (
    Cleaning,
    Denoising,
    LabelEvents,
    Projection,
    Run,
    RunningStatistics,
    cleaning_of,
    film_ahead_s,
    first_volume_s,
    open_header,
    read_censor,
    stream_masked,
    stretches_of_labels,
)  # fmt: skip
from neuroface.film import chosen_regressors

import numpy as np
import pandas as pd
from nilearn.glm.first_level import make_first_level_design_matrix

HIGH_PASS_HZ = 1 / 128  # slower drifts are modelled by cosines, SPM's usual cut-off
HRF = "spm"


def effect_of_run(
    run: Run, mask: np.ndarray, affine: np.ndarray, conditions: LabelEvents, nuisance_names: tuple[str, ...],
    denoising: Denoising,
) -> np.ndarray:  # fmt: skip
    """:func:`condition_effect` of a run's files; one pass over its BOLD, cleaned as windows are.

    Parameters
    ----------
    conditions : events of the two conditions. nuisance_names : film regressors to hold constant
    (NUISANCE).
    """
    first, second = stretches_of_labels(run, conditions)
    tr_s = denoising.tr_s
    n_volumes = open_header(run.bold)[1][3]
    kept = read_censor(run.censor, n_volumes)
    nuisance = chosen_regressors(run, nuisance_names, "NUISANCE", tr_s, len(kept), n_volumes)
    start_s = first_volume_s(run, n_volumes, tr_s) + film_ahead_s(run, len(kept))
    design = condition_design(first, second, kept, tr_s, nuisance, start_s)
    cleaning = cleaning_of(run, n_volumes, denoising)
    volumes = stream_masked(run.bold, mask, affine, smoothing_mm=cleaning.smoothing_mm)
    return condition_effect(volumes, with_nuisance(design, cleaning), cleaning)


def with_nuisance(design: pd.DataFrame, cleaning: Cleaning) -> pd.DataFrame:
    """The design with the nuisance regressors of DENOISE in place of its own drifts; scrubbed volumes have rows of 0.

    Fitting both together leaves of the conditions what the nuisance does not explain.
    """
    if cleaning.nuisance is None:
        return design
    if cleaning.nuisance.shape[1] == 1:  # nothing but the mean over kept volumes
        return design.reset_index(drop=True).mul(cleaning.kept, axis=0)
    nuisance = {
        f"denoise_{number}": column for number, column in enumerate(cleaning.basis[:, 1:].T, 1)
    }
    own = design[[name for name in design if not name.startswith("drift_")]].reset_index(drop=True)
    return own.assign(**nuisance).mul(cleaning.kept, axis=0)


def condition_design(
    first: np.ndarray,
    second: np.ndarray | None,
    kept: np.ndarray,
    tr_s: float,
    nuisance: pd.DataFrame | None = None,
    start_s: float | np.ndarray = 0.0,
) -> pd.DataFrame:
    """Design matrix of a run: the first condition (and the second) convolved with the HRF, cosine drifts, a constant.

    Parameters
    ----------
    first : (n, 2) stretches of the first condition, onset_s and duration_s. second : (m, 2)
        stretches of the second; None: all other times.
    kept : (n_trs,) bool, the TRs that the series has (:func:`neuroface.bold.read_censor`).
    start_s : second of the film or run that the first volume shows; (n_trs,) where each TR has its
    own, because of pauses.
    nuisance : (n_trs, n) regressors to hold constant, already convolved; they enter in SDs from
    their mean.

    Returns
    -------
    One row per TR that the series has; columns "first", perhaps "second", those of ``nuisance`` as
    "nuisance_<name>", drifts, "constant".
    """
    parts = {"first": first} | ({} if second is None else {"second": second})
    events = [
        pd.DataFrame(
            {"onset": stretches[:, 0] - start_s, "duration": stretches[:, 1], "trial_type": name}
        )
        for name, stretches in parts.items()
    ]
    times_s = np.arange(len(kept)) * tr_s
    added = {}
    if nuisance is not None and nuisance.shape[1]:
        spread = nuisance.std(ddof=0).where(lambda sd: sd > 0, 1.0)
        added = {
            "add_regs": ((nuisance - nuisance.mean()) / spread).to_numpy(),
            "add_reg_names": [f"nuisance_{name}" for name in nuisance],
        }
    design = make_first_level_design_matrix(
        times_s,
        pd.concat(events),
        hrf_model=HRF,
        drift_model="cosine",
        high_pass=HIGH_PASS_HZ,
        **added,
    )
    return design[kept]


def condition_effect(
    volumes: Iterable[np.ndarray], design: pd.DataFrame, cleaning: Cleaning | None = None
) -> np.ndarray:
    """Least-squares effect of the first condition, minus that of the second if the design has it, in SDs of each voxel.

    The SD is over the run, after the cleaning if there is one. Only sums over volumes are kept in
    memory. Equals nilearn's ``FirstLevelModel`` with OLS noise.

    Parameters
    ----------
    volumes : the run in order, (n, n_voxels) at a time. design : result of :func:`condition_design`, a row
    per volume.
    cleaning : cleaning of the run, with ``design`` from :func:`with_nuisance`; None: not cleaned.

    Returns
    -------
    (n_voxels,) float64; 0 where a voxel never changes.
    """
    x = design.to_numpy(np.float64)
    statistics: RunningStatistics | Projection = RunningStatistics()
    if cleaning is not None and cleaning.nuisance is not None:
        statistics = Projection(cleaning)
    products, start = np.zeros(()), 0
    for block in statistics.watch(volumes):
        # Differences from the first volume keep the precision; the constant of the design accounts
        # for the subtraction.
        products = products + x[start : start + len(block)].T @ (block - statistics.first).astype(
            np.float64
        )
        start += len(block)
    if start != len(x):
        raise NeuroFaceError(
            f"The series has {start} volumes and its design {len(x)} rows. Cut the windows again."
        )
    contrast = np.array([float(name == "first") - float(name == "second") for name in design])
    effect = contrast @ np.linalg.pinv(x.T @ x) @ products
    return effect * statistics.centre_and_scale()[1]
