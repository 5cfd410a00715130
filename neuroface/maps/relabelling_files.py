"""The null of relabelling as files: refitted models of each fold, largest statistics of each part."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroface import NeuroFaceError
from neuroface.decoding import Fold, Windows
from neuroface.maps.group import Contrast, Null, variance_smoother
from neuroface.maps.map_test import METHODS_TO_REFIT, GroupTestSettings
from neuroface.maps.refits import Refits, SecondPath, refit, swapped_labels
from neuroface.maps.relabelling import explained_windows, labellings_at_once, relabelled_null
from neuroface.pipeline import atomic

import numpy as np
import pandas as pd

MIN_LABELLINGS = 19  # with fewer no p can be 0.05
AGREE = 0.02  # largest difference, relative, between the observed statistic of the maps on disk and of the refitted models


@dataclass(frozen=True)
class Relabelling:
    """The null of one attribution method; small enough to send to worker processes.

    Parameters
    ----------
    folder : where its files are written. method : "ig" or "gradient-x-input".
    windows : windows with the kernels of the linear models.
    samples : a row per window: subject, movie, run, event, label; ``model``, the number of the fold
    model that explains it.
    folds : folds of the split whose models explain. models : fold → name of its model.
    contrasts : name → contrast, and the people whose maps it tests.
    affine : (4, 4), of the mask.
    labels : the two conditions. baseline : what windows were compared with, ATTRIBUTION_BASELINE.
    settings : of the tests. options : architecture → its own sizes.
    pairs : (n_pairs, 2), neighbours on a mesh; None: voxels that share a side.
    """

    folder: Path
    method: str
    windows: Windows
    samples: pd.DataFrame
    folds: list[Fold]
    models: dict[int, str]
    contrasts: dict[str, tuple[Contrast, list[str]]]
    affine: np.ndarray
    labels: tuple[str, str]
    baseline: str
    settings: GroupTestSettings
    options: Mapping[str, dict[str, object]]
    pairs: np.ndarray | None = None

    def labellings(self) -> np.ndarray:
        """(n, 1 + n_labellings), the observed labels first."""
        people = list(dict.fromkeys(self.samples["subject"]))
        return swapped_labels(
            self.samples, people, self.settings.n_labellings, self.settings.seed, self.labels[0]
        )

    def obstacle(self) -> str:
        """Why there is no null; empty if there is one."""
        n = self.labellings().shape[1] - 1
        if n >= MIN_LABELLINGS:
            return ""
        return f"only {n} relabellings leave every person with windows of both labels, and {MIN_LABELLINGS} are needed"

    def refits_file(self, fold: Fold) -> Path:
        return self.folder / f"{self.method}_fold-{fold.number}.npz"

    def null_file(self, labellings: slice) -> Path:
        return self.folder / f"{self.method}_labellings-{labellings.start}-{labellings.stop}.npz"

    def blocks_of_labellings(self) -> list[slice]:
        """Labellings whose maps are made together."""
        n, (_, n_voxels, n_trs) = self.labellings().shape[1], self.windows.X.shape
        step = labellings_at_once(n_voxels, n_trs, len(self.contrasts))
        return [slice(start, min(start + step, n)) for start in range(0, n, step)]

    def write_refits(self, fold: Fold) -> None:
        """Fit the model of a fold to every labelling."""
        labellings, baseline = self.labellings(), np.zeros(len(self.samples))
        if self.baseline == "training mean":
            rows = (self.samples["model"] != fold.number).to_numpy()
            baseline[rows] = 1 / rows.sum()
        name, at = self.models[fold.number], METHODS_TO_REFIT[self.method]
        fits = refit(name, self.windows, fold, labellings, baseline, at, self.options)
        _save(self.refits_file(fold), _arrays(fits))

    def write_null(self, labellings: slice) -> None:
        """Make the group maps of some labellings, and keep their largest statistics."""
        fits = {
            fold.number: _read_refits(self.refits_file(fold), labellings) for fold in self.folds
        }
        mask = self.windows.mask
        smooth = variance_smoother(mask, self.affine, self.settings.variance_fwhm_mm)
        nulls = relabelled_null(
            self.windows.X, self.labellings()[:, labellings], self.labels, fits, explained_windows(self.samples),
            self.contrasts, mask, self.settings.cluster_forming_p, smooth, self.pairs,
        )  # fmt: skip
        _save(self.null_file(labellings), {name: np.stack(null) for name, null in nulls.items()})

    def null(self, contrast: str, observed: np.ndarray) -> Null:
        """The null of a contrast. Its first entries are those of the observed labels.

        Parameters
        ----------
        observed : (n_voxels, n_trs), the statistic of the maps on disk.

        Raises
        ------
        NeuroFaceError
            If the refitted models give other maps for the observed labels than those on disk.
        """
        arrays = []
        for labellings in self.blocks_of_labellings():
            with np.load(self.null_file(labellings), allow_pickle=False) as stored:
                arrays.append(stored[contrast])
        null = Null(*np.concatenate(arrays, axis=1))
        largest = (
            np.abs(observed).max() if self.contrasts[contrast][0].two_sided else observed.max()
        )
        if abs(largest - null.largest[0]) > AGREE * abs(largest):
            raise NeuroFaceError(
                f"{contrast} ({self.method}): the largest statistic is {largest:.4g} in the maps on disk and "
                f"{null.largest[0]:.4g} with the models as they are fitted now. The maps were made by an earlier version. "
                f"Train and explain again, or set MAP_TEST to another test."
            )
        null.largest[0] = largest
        return null


def _arrays(fits: Refits) -> dict[str, np.ndarray]:
    arrays = {"deviation": fits.deviation, "mean": fits.mean, "baseline": fits.baseline}
    if fits.gains is not None:
        arrays["gains"] = fits.gains
    used = {number: path for number, path in enumerate(fits.second) if path is not None}
    arrays["used"] = np.array(list(used), dtype=int)
    if used:
        directions = np.stack([path.directions for path in used.values()])
        slopes = np.stack([path.slopes for path in used.values()])
        arrays["directions"] = directions.astype(np.float32)
        arrays["slopes"] = slopes.astype(np.float32)
    return arrays


def _read_refits(file: Path, labellings: slice) -> Refits:
    with np.load(file, allow_pickle=False) as stored:
        arrays = dict(stored)
    second: list[SecondPath | None] = [None] * len(arrays["mean"])
    for number, directions, slopes in zip(
        arrays["used"], arrays.get("directions", ()), arrays.get("slopes", ())
    ):
        second[number] = SecondPath(directions, slopes)
    fits = Refits(
        arrays["deviation"], arrays["mean"], arrays.get("gains"), second, arrays["baseline"]
    )
    gains = fits.gains
    if gains is not None and len(gains) > 1:
        gains = gains[labellings]
    return fits._replace(
        deviation=fits.deviation[labellings],
        mean=fits.mean[labellings],
        gains=gains,
        second=second[labellings],
    )


def _save(file: Path, arrays: dict[str, Any]) -> None:
    with (
        atomic(file) as partial,
        open(partial, "wb") as target,
    ):  # given a name, savez would append .npz
        np.savez(target, **arrays)
