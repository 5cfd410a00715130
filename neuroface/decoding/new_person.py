"""A person whom the models never saw: their BOLD is aligned with the group's, and the group's decoder is refitted to them.

Both need minutes of BOLD of the new person in another film than the one that is decoded. The
alignment also needs that the training people watched that film; the refit needs its annotation.
Both shrink towards the group's decoder as it is. How far is chosen on held-out stretches of those
minutes, so that a person of whom too little is known keeps the group's decoder.
"""

from collections.abc import Sequence
from typing import NamedTuple

from neuroface import NeuroFaceError
from neuroface.decoding.calibration import balanced_weights, log_losses
from neuroface.decoding.linear import class_targets

import numpy as np
from scipy import linalg, sparse
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression

# Weight of the identity in the alignment, in units of the mean singular value of the products of a
# parcel's time courses; inf: the person's BOLD stays as it is.
TOWARDS_IDENTITY = (0.0, 0.3, 1.0, 3.0, 10.0, np.inf)
EVIDENCE = 3.0  # standard errors by which held-out stretches must gain before anything is changed
TEMPLATE_TOWARDS_IDENTITY = 1.0  # for the training people, whose whole film is there
# Penalty on the weights that the person adds to the group's, in units of the mean eigenvalue of the
# person's kernel; inf: the group's weights stay as they are.
PENALTIES = (1e-1, 1.0, 1e1, 1e2, 1e3, np.inf)


def spatial_parcels(positions_mm: np.ndarray, voxels_per_parcel: int = 40) -> np.ndarray:
    """Number of the parcel of each voxel, (n_voxels,) int: compact groups of neighbours, by k-means of their positions."""
    n_parcels = max(1, round(len(positions_mm) / voxels_per_parcel))
    return KMeans(n_parcels, n_init=1, random_state=0).fit_predict(positions_mm)


def parcel_rotations(
    matrix: np.ndarray, template: np.ndarray, parcels: np.ndarray, towards_identity: float = 0.0
) -> sparse.csr_array:
    """Rotation of each parcel that brings a person's time courses closest to a template's.

    The orthogonal Procrustes problem (Schönemann 1966, Psychometrika 31:1) within each parcel, as in
    hyperalignment (Haxby et al. 2011, Neuron 72:404), with a prior: R maximises
    trace(R (S Tᵀ + w I)), S and T the time courses of the parcel, standardised, and w
    ``towards_identity`` times the mean singular value of S Tᵀ.

    Parameters
    ----------
    matrix, template : (n_voxels, n_trs), standardised per voxel. The same moments of the same film.
    parcels : (n_voxels,) from :func:`spatial_parcels`.
    towards_identity : 0: plain Procrustes; inf: no rotation.

    Returns
    -------
    (n_voxels, n_voxels) sparse; ``rotations @ matrix`` is the aligned BOLD of any film.
    """
    n_voxels = len(parcels)
    if np.isinf(towards_identity):
        return sparse.eye_array(n_voxels, format="csr")
    rotations = sparse.lil_array((n_voxels, n_voxels))
    for parcel in np.unique(parcels):
        voxels = np.flatnonzero(parcels == parcel)
        products = template[voxels].astype(np.float64) @ matrix[voxels].T.astype(np.float64)
        weight = towards_identity * linalg.svdvals(products).mean()
        left, _, right = linalg.svd(products + weight * np.eye(len(voxels)))
        rotations[np.ix_(voxels, voxels)] = left @ right
    return rotations.tocsr()


def align_to_template(
    matrix: np.ndarray, template: np.ndarray, parcels: np.ndarray, n_blocks: int = 8
) -> tuple[sparse.csr_array, float]:
    """:func:`parcel_rotations` with the weight of the identity that best predicts held-out stretches of the film.

    Parameters
    ----------
    matrix, template, parcels : as for :func:`parcel_rotations`. n_blocks : stretches, each of which is
    held out once.

    Returns
    -------
    rotations, weight of the identity. The weight is inf, and nothing is rotated, unless the best
    rotation brings held-out time courses closer to the template's by more than three standard errors.
    """
    if matrix.shape[1] < 2 * n_blocks:
        raise NeuroFaceError(
            f"{matrix.shape[1]} volumes are too few for an alignment: at least {2 * n_blocks}, two for each of {n_blocks} "
            f"stretches. Scan more minutes of the film."
        )
    blocks = np.array_split(np.arange(matrix.shape[1]), n_blocks)
    likeness = np.zeros((len(blocks), len(TOWARDS_IDENTITY)))
    for block, held_out in enumerate(blocks):
        fitted = np.setdiff1d(np.arange(matrix.shape[1]), held_out)
        for number, weight in enumerate(TOWARDS_IDENTITY):
            rotations = parcel_rotations(matrix[:, fitted], template[:, fitted], parcels, weight)
            aligned = rotations @ matrix[:, held_out]
            likeness[block, number] = np.sum(aligned * template[:, held_out])
    best = int(likeness.sum(axis=0).argmax())
    gains = likeness[:, best] - likeness[:, -1]
    is_closer = gains.mean() > EVIDENCE * gains.std(ddof=1) / np.sqrt(n_blocks)
    weight = TOWARDS_IDENTITY[best] if is_closer else np.inf
    return parcel_rotations(matrix, template, parcels, weight), weight


def group_template(
    people: Sequence[np.ndarray], parcels: np.ndarray, rounds: int = 2
) -> tuple[np.ndarray, list[sparse.csr_array]]:
    """Mean BOLD of people who watched one film, each aligned with the mean of the others; and the rotation of each.

    Parameters
    ----------
    people : (n_voxels, n_trs) each, standardised per voxel. rounds : how often all are aligned anew.

    Returns
    -------
    template (n_voxels, n_trs), standardised; rotations of each person.
    """
    rotations: list[sparse.csr_array] = [sparse.eye_array(len(parcels), format="csr")] * len(people)
    for _ in range(rounds):
        for number, person in enumerate(people):
            others = [
                rotation @ matrix
                for other, (rotation, matrix) in enumerate(zip(rotations, people))
                if other != number
            ]
            mean = standardized(np.mean(others, axis=0))
            rotations[number] = parcel_rotations(person, mean, parcels, TEMPLATE_TOWARDS_IDENTITY)
    aligned = [rotation @ matrix for rotation, matrix in zip(rotations, people)]
    return standardized(np.mean(aligned, axis=0)), rotations


def standardized(matrix: np.ndarray) -> np.ndarray:
    """Each row with mean 0 and SD 1; a constant row is 0."""
    centred = matrix - matrix.mean(axis=1, keepdims=True)
    sd = centred.std(axis=1, keepdims=True)
    return centred / np.where(sd > 0, sd, 1)


class Refit(NamedTuple):
    """The group's decoder with weights that a person adds.

    logit(x) = scale · group's logit + Σ coefficients · k(x_i, x) + intercept

    Attributes
    ----------
    coefficients : (n,), one per window of the person; they sum to 0.
    penalty : inf: the group's decoder as it is.
    """

    coefficients: np.ndarray
    scale: float
    intercept: float
    penalty: float


def refit_head(
    group_logit: np.ndarray, kernel: np.ndarray, y: np.ndarray, blocks: np.ndarray
) -> Refit:
    """Ridge classifier of a person's windows whose prior is the group's decoder.

    The group's logit is a regressor without a penalty, the person's own weights have one; in closed
    form. The penalty is the one with the smallest log-loss on held-out stretches. The group's
    decoder stays unless this loss is smaller than its own by more than three standard errors.

    Parameters
    ----------
    group_logit : (n,) of the person's windows. kernel : (n, n) of the same windows, from
    :func:`~neuroface.decoding.linear.window_kernel`. y : (n,) of 0 and 1. blocks : (n,) stretch of
    the film of each window; two or more, each held out once.
    """
    if np.ptp(group_logit) == 0:
        raise NeuroFaceError(
            f"The group's logit is {group_logit[0]:.3g} for all {len(y)} windows, so its decoder tells nothing of this "
            f"person. Check that voxels and standardisation are those of the group."
        )
    decisions = np.full((len(PENALTIES), len(y)), np.nan)
    for block in np.unique(blocks):
        train, test = np.flatnonzero(blocks != block), np.flatnonzero(blocks == block)
        if len(np.unique(y[train])) < 2:
            continue
        for number, penalty in enumerate(PENALTIES):
            fitted = _fit(group_logit[train], kernel[np.ix_(train, train)], y[train], penalty)
            across = kernel[np.ix_(test, train)]
            decisions[number, test] = decision(fitted, group_logit[test], across)
    penalty = _best_penalty(decisions, y, blocks)
    return _fit(group_logit, kernel, y, penalty)


def decision(refit: Refit, group_logit: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Decision values of windows: ``group_logit`` (m,), ``kernel`` (m, n) with the windows of the refit."""
    return refit.scale * group_logit + kernel @ refit.coefficients + refit.intercept


def _best_penalty(decisions: np.ndarray, y: np.ndarray, blocks: np.ndarray) -> float:
    known = ~np.isnan(decisions[0])
    if not known.any() or len(np.unique(y[known])) < 2:
        return np.inf
    losses = np.array([_losses(row[known], y[known]) for row in decisions])
    weights = balanced_weights(y[known])
    means = losses @ weights / weights.sum()
    best = int(means.argmin())
    stretches = np.unique(blocks[known])
    # The standard error of the difference from the group's decoder, over held-out stretches.
    difference = (losses[-1] - losses[best]) * weights / weights.sum() * len(stretches)
    by_stretch = [difference[blocks[known] == stretch].sum() for stretch in stretches]
    error = np.std(by_stretch, ddof=1) / np.sqrt(len(stretches))
    return PENALTIES[best] if np.mean(by_stretch) > EVIDENCE * error else np.inf


def _losses(values: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Log-loss of each window, of decision values that are calibrated by their own slope and intercept."""
    model = LogisticRegression(C=1e3, class_weight="balanced").fit(values[:, None], y)
    return log_losses(y, model.decision_function(values[:, None]))


def _fit(group_logit: np.ndarray, kernel: np.ndarray, y: np.ndarray, penalty: float) -> Refit:
    """Ridge regression of :func:`class_targets` on the kernel, with the group's logit and a constant as regressors without
    a penalty."""
    n = len(y)
    if np.isinf(penalty):
        return Refit(np.zeros(n), 1.0, 0.0, penalty)
    free = np.column_stack([group_logit, np.ones(n)])
    centred = kernel - kernel.mean(axis=0) - kernel.mean(axis=0)[:, None] + kernel.mean()
    strength = penalty * np.trace(centred) / n
    system = np.block([[centred + strength * np.eye(n), free], [free.T, np.zeros((2, 2))]])
    solution = linalg.solve(system, np.concatenate([class_targets(y), np.zeros(2)]), assume_a="sym")
    coefficients, scale, intercept = solution[:n], solution[n], solution[n + 1]
    # The kernel was centred on these windows; new windows bring an uncentred one.
    intercept = intercept - kernel.mean(axis=0) @ coefficients
    return Refit(coefficients, float(scale), float(intercept), penalty)
