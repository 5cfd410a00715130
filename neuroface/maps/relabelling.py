"""Maps of the group from models that were fitted to swapped labels: their largest statistics, without storing the maps."""

from collections.abc import Iterator
from typing import NamedTuple

from neuroface.maps.group import Contrast, Null, null_of, pseudo_t
from neuroface.maps.refits import Refits

import numpy as np
import pandas as pd

BLOCK_BYTES = (
    128 * 2**20
)  # of maps of all people and labellings that are in memory at once, for some voxels
STORED_BYTES = (
    2**30
)  # of means and variances of the group's maps of some labellings, for all voxels


class ExplainedWindows(NamedTuple):
    """Windows of a person that the model of one fold explains: their rows in X."""

    subject: str
    fold: int
    rows: np.ndarray


def explained_windows(samples: pd.DataFrame) -> list[ExplainedWindows]:
    """Windows of each person and fold; ``samples`` has columns subject and model, the number of the fold."""
    groups = samples.reset_index(drop=True).groupby(["subject", "model"], sort=False).indices
    return [ExplainedWindows(who, fold, rows) for (who, fold), rows in groups.items()]


def labellings_at_once(n_voxels: int, n_trs: int, n_contrasts: int) -> int:
    """Labellings whose group maps fit in STORED_BYTES: mean and variance of each contrast, float32."""
    return max(1, STORED_BYTES // (8 * n_voxels * n_trs * n_contrasts))


def relabelled_null(
    X: np.ndarray,
    labels: np.ndarray,
    names: tuple[str, str],
    fits: dict[int, Refits],
    windows_of_folds: list[ExplainedWindows],
    contrasts: dict[str, tuple[Contrast, list[str]]],
    mask: np.ndarray,
    forming_p: float,
    smooth=None,
    pairs: np.ndarray | None = None,
) -> dict[str, Null]:
    """Largest statistic and heaviest cluster of each contrast under each labelling.

    Parameters
    ----------
    X : (n, n_voxels, window_trs), read twice.
    labels : (n, n_labellings) of 0 and 1; names : the labels that 1 and 0 stand for.
    fits : fold → its models under the same labellings. windows_of_folds : result of :func:`explained_windows`.
    contrasts : name → contrast, and the people whose maps it tests.
    mask, forming_p, pairs : as for :func:`neuroface.maps.group.null_of`. smooth : from
        :func:`neuroface.maps.group.variance_smoother`.
    """
    statistics = group_statistics(X, labels, names, fits, windows_of_folds, contrasts, smooth)
    return {
        name: null_of(statistics[name], len(people), mask, forming_p, contrast.two_sided, pairs)
        for name, (contrast, people) in contrasts.items()
    }


def group_statistics(
    X, labels, names, fits, windows_of_folds, contrasts, smooth=None
) -> dict[str, Iterator[np.ndarray]]:
    """Statistics across people, (n_voxels × window_trs,) per labelling, of each contrast; see :func:`relabelled_null`."""
    n_labellings, shape = labels.shape[1], X.shape[1:]
    people = list(dict.fromkeys(windows.subject for windows in windows_of_folds))
    totals = absolute_totals(X, labels, names, fits, windows_of_folds, people)
    moments = {name: np.empty((2, n_labellings, *shape), dtype=np.float32) for name in contrasts}
    for voxels, maps in blocks_of_maps(X, labels, names, fits, windows_of_folds, people):
        for name, (contrast, who) in contrasts.items():
            chosen = [people.index(person) for person in who]
            values = values_of(contrast, maps, totals, chosen, X.shape[1] * X.shape[2])
            moments[name][0][:, voxels] = values.mean(axis=0)
            moments[name][1][:, voxels] = values.var(axis=0, ddof=1)
    tiny = np.finfo(np.float32).tiny
    return {
        name: (
            pseudo_t(
                mean.astype(np.float64),
                np.maximum(variance, tiny).astype(np.float64),
                len(who),
                smooth,
            ).ravel()
            for mean, variance in zip(*moments[name])
        )
        for name, (_, who) in contrasts.items()
    }


def values_of(
    contrast: Contrast, maps: dict, totals: dict, people: list[int], n_values: int
) -> np.ndarray:
    """Values that are tested, (n_people, n_labellings, n_voxels, n_trs), as ``contrast_values`` has them.

    Parameters
    ----------
    maps : result of :func:`blocks_of_maps`. totals : result of :func:`absolute_totals`, sums over ``n_values``
    voxels and seconds.
    people : positions in ``maps``.
    """
    first, *rest = (maps[label, not contrast.two_sided][people] for label in contrast.labels)
    values = first - rest[0] if rest else first
    scale = (
        sum(totals[label][people] for label in contrast.labels) / len(contrast.labels) / n_values
    )
    unused = (
        scale == 0
    )  # under swapped labels all weights of a model may be 0: its map is even, and 0
    values = values / np.where(unused, 1, scale)[:, :, None, None].astype(np.float32)
    return values if contrast.two_sided else values - ~unused[:, :, None, None]


def absolute_totals(X, labels, names, fits, windows_of_folds, people) -> dict[str, np.ndarray]:
    """Sum of each person's absolute map over the brain, label → (n_people, n_labellings); one pass over X."""
    totals: dict[str, np.ndarray] = {}
    for _, maps in blocks_of_maps(X, labels, names, fits, windows_of_folds, people):
        for (label, absolute), values in maps.items():
            if absolute:
                totals[label] = totals.get(label, 0.0) + values.sum(axis=(2, 3), dtype=np.float64)
    return totals


def blocks_of_maps(
    X, labels, names, fits, windows_of_folds, people
) -> Iterator[tuple[slice, dict]]:
    """Mean maps of people, some voxels at a time.

    Yields
    ------
    voxels, and (label, absolute) → (n_people, n_labellings, n_voxels of the block, n_trs) float32.
    """
    n_labellings, (n, n_voxels, n_trs) = labels.shape[1], X.shape
    one_voxel = 4 * n_trs * (n_labellings * (4 * len(people) + len(fits) + 4) + 3 * n)
    step = max(1, BLOCK_BYTES // one_voxel)
    counts = {}
    for label, number in zip(names, (1, 0)):
        is_label = labels == number
        rows_of_people = [
            np.concatenate([windows.rows for windows in windows_of_folds if windows.subject == who])
            for who in people
        ]
        counts[label] = np.array([is_label[rows].sum(axis=0) for rows in rows_of_people])
    for start in range(0, n_voxels, step):
        voxels = slice(start, min(start + step, n_voxels))
        block = np.asarray(X[:, voxels], dtype=np.float32)
        weights = {fold: weights_of(block, fit, voxels) for fold, fit in fits.items()}
        maps = {
            (label, absolute): np.zeros(
                (len(people), n_labellings, *block.shape[1:]), dtype=np.float32
            )
            for label in names
            for absolute in (False, True)
        }
        for windows in windows_of_folds:
            person = people.index(windows.subject)
            fit = fits[windows.fold]
            moved = block[windows.rows] - np.tensordot(
                fit.baseline.astype(np.float32), block, axes=1
            )
            for label, number in zip(names, (1, 0)):
                share = share_of(labels[windows.rows] == number, counts[label][person])
                for absolute in (False, True):
                    mean = explained(moved, share, weights[windows.fold], absolute)
                    for labelling, path in enumerate(fit.second):
                        if path is not None:
                            mean[labelling] = explained_by_both(
                                block,
                                moved,
                                share[labelling],
                                weights[windows.fold][labelling],
                                path,
                                windows.rows,
                                absolute,
                            )
                    maps[label, absolute][person] += mean if absolute or number == 1 else -mean
        yield voxels, maps


def share_of(is_label: np.ndarray, n_of_label: np.ndarray) -> np.ndarray:
    """Share of each window in the person's mean map, (n_labellings, n_windows) float32; 0 for windows of another label."""
    return (is_label / np.maximum(n_of_label, 1)).T.astype(np.float32)


def weights_of(block: np.ndarray, fit: Refits, voxels: slice) -> np.ndarray:
    """Weights (n_labellings, n_voxels, n_trs) float32 of the linear models, or linear paths, in a block of X."""
    mean = block.mean(axis=2)
    weights = np.repeat((fit.mean.astype(np.float32) @ mean)[:, :, None], block.shape[2], axis=2)
    if fit.deviation.any():
        deviation = (block - mean[:, :, None]).reshape(len(block), -1)
        weights += (fit.deviation.astype(np.float32) @ deviation).reshape(weights.shape)
    if fit.gains is not None:
        weights *= fit.gains[:, voxels, None]
    return weights


def explained(
    moved: np.ndarray, share: np.ndarray, weights: np.ndarray, absolute: bool
) -> np.ndarray:
    """Mean over windows of weight × (window − baseline), or of its absolute value: (n_labellings, n_voxels, n_trs)."""
    windows = np.abs(moved) if absolute else moved
    mean = (share @ windows.reshape(len(windows), -1)).reshape(weights.shape)
    return (np.abs(weights) if absolute else weights) * mean


def explained_by_both(block, moved, share, weights, path, rows, absolute: bool) -> np.ndarray:
    """The same (n_voxels, n_trs) for one labelling whose model has a second-order path.

    The gradient of the logit is the weight plus Σ_k slope_k · u_k, the same in all volumes of the
    window.
    """
    directions = path.directions.astype(np.float32) @ block.mean(axis=2)
    gradient = weights + (path.slopes[:, rows].T.astype(np.float32) @ directions)[:, :, None]
    maps = gradient * moved
    return np.tensordot(share, np.abs(maps) if absolute else maps, axes=1)
