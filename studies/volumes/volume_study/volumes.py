"""Labelled volumes out of BOLD: which of them are taken, and their standardised voxels."""

import zlib

from neuroface import NeuroFaceError
from neuroface.bold import Cleaning, Projection, Run, statistics_of, stream_masked

import numpy as np
import pandas as pd

# ---------------------------------------------------------------- which


def are_of_run(samples: pd.DataFrame, run: Run) -> pd.Series:
    """Which samples (n,) are volumes of a run."""
    return (
        (samples["subject"] == run.subject)
        & (samples["movie"] == run.movie)
        & (samples["run"] == run.run)
    )


def keep_frequent(samples: pd.DataFrame, min_per_class: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """Samples of labels with enough moments, and the other labels with the number of their moments.

    Raises
    ------
    NeuroFaceError
        If fewer than two labels have enough.
    """
    moments = samples.groupby("label")["moment"].nunique().sort_values(ascending=False)
    rare = {label: int(n) for label, n in moments.items() if n < min_per_class}
    if len(moments) - len(rare) < 2:
        counts = ", ".join(f"{label} {n}" for label, n in moments.items())
        raise NeuroFaceError(
            f"{len(moments) - len(rare)} labels have MIN_PER_CLASS = {min_per_class} moments or more ({counts}); two are "
            f"needed. Lower MIN_PER_CLASS, or check the labels."
        )
    return samples[~samples["label"].isin(rare)].reset_index(drop=True), rare


def balance(samples: pd.DataFrame, kind: str, per_class: int, seed: int) -> pd.DataFrame:
    """A seeded draw of samples, in their order.

    Parameters
    ----------
    kind : "moments": ``per_class`` moments of each label, the same for all people. "person": in
        each person, every label down to the rarest one. "none": all.
    """
    if kind == "none":
        return samples
    if kind == "moments":
        drawn = set()
        for label, of_label in samples.groupby("label"):
            moments = of_label["moment"].unique()
            drawn |= set(
                _rng(seed, label).choice(
                    np.sort(moments), min(per_class, len(moments)), replace=False
                )
            )
        return samples[samples["moment"].isin(drawn)].reset_index(drop=True)
    rows = []
    for subject, person in samples.groupby("subject"):
        n = person["label"].value_counts().min()
        for label, of_label in person.groupby("label"):
            rows.append(
                _rng(seed, f"{subject} {label}").choice(of_label.index.to_numpy(), n, replace=False)
            )
    return samples.loc[np.sort(np.concatenate(rows))].reset_index(drop=True)


def _rng(seed: int, name: str) -> np.random.Generator:
    """Of a name, so that a label's draw does not depend on which others there are."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


# ---------------------------------------------------------------- their voxels


def extract_volumes(
    run,
    mask: np.ndarray,
    affine: np.ndarray,
    tr: np.ndarray,
    standardize: str,
    cleaning: Cleaning | None = None,
) -> tuple[np.ndarray, int]:
    """Volumes of a run at the mask's voxels, in one pass over the file.

    Parameters
    ----------
    tr : (n,) which volumes, ascending.
    standardize : "voxel" (mean 0, SD 1 of each voxel over the whole run; 0 where it is constant),
        "volume" (mean 0, SD 1 of each volume over its voxels) or "none".
    cleaning : what is removed from the run first (:func:`neuroface.bold.cleaning_of`); None: nothing.

    Returns
    -------
    (n, n_voxels) float32, and how many voxels had no variance over the run (0 unless "voxel").

    Raises
    ------
    NeuroFaceError
        As :func:`neuroface.bold.stream_masked`, and if a labelled volume is 0 in all voxels.
    """
    statistics, start, parts = (
        statistics_of(cleaning, "zscore" if standardize == "voxel" else "none"),
        0,
        [],
    )
    for volumes in stream_masked(
        run.bold, mask, affine, smoothing_mm=cleaning.smoothing_mm if cleaning else None
    ):
        if statistics:
            statistics.add(volumes)
        inside = tr[(tr >= start) & (tr < start + len(volumes))]
        parts.append(volumes[inside - start])
        start += len(volumes)
    chosen = np.concatenate(parts)
    if not (there := chosen.any(axis=1)).all():
        raise NeuroFaceError(
            f"{run.bold}: volume {tr[there.argmin()] + 1} is 0 in all voxels of the mask. Export or download the run again, "
            f"or leave this person out with EXCLUDE."
        )
    if standardize == "voxel" and statistics is not None:
        return statistics.standardize(chosen, tr), int(
            (statistics.centre_and_scale()[1] == 0).sum()
        )
    if isinstance(statistics, Projection):
        chosen = statistics.clean(chosen, tr)
    if standardize == "volume":
        sd = chosen.std(axis=1, keepdims=True, dtype=np.float64)
        chosen = (chosen - chosen.mean(axis=1, keepdims=True, dtype=np.float64)) / np.where(
            sd == 0, 1, sd
        )
    return chosen.astype(np.float32), 0
