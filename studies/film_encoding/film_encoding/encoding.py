"""Script 8's work: features at their delays, banded ridge regression of people together, and their scores.

People saw the same films, so the kernels of a fold are the same for all of them: their voxels are
targets of one regression.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from film_encoding.banded import fit_kernels, random_weights
from film_encoding.ridge import band_kernels, delayed, inner_films
from film_encoding.splits import Fold
from film_encoding.unique_variance import components, partial_p, score_spaces
from neuroface.pipeline import PARTIAL, open_npy, write_npy

import numpy as np
import pandas as pd
from nilearn.glm.first_level import spm_hrf

MEAN = "mean"
WITHIN = "within"  # what repeats of a film share within people
TARGETS_OF_GROUP = 15_000  # people are fitted together up to this number of targets
VOXELS_AT_ONCE = 1_000
OF_VOXELS = ("r", "r2")
OF_SPACES = ("product", "unique", "partial", "p")
REGION_LAGS = "region_lags"
FINE = 16  # steps of a TR in which features meet the haemodynamic response


@dataclass(frozen=True)
class EncodingPlan:
    """What all fits share; cheap to send to worker processes.

    ``spaces``: names; ``subjects``: "mean" and people; ``lengths``: film → chunks; ``regions``: name →
    (n_voxels,) bool.
    """

    folder: Path
    folds: list[Fold]
    lengths: dict[str, int]
    subjects: tuple[str, ...]
    regions: dict[str, np.ndarray]
    n_voxels: int
    cfg: Any

    @property
    def spaces(self) -> tuple[str, ...]:
        return self.cfg.FEATURES

    def groups(self) -> list[tuple[str, ...]]:
        """People who are fitted together."""
        n = max(1, TARGETS_OF_GROUP // self.n_voxels)
        return [self.subjects[start : start + n] for start in range(0, len(self.subjects), n)]

    def table(self) -> pd.DataFrame:
        """All chunks in the order in which they are scored: film, chunk, and piece, the part of a film that one fold
        holds out.
        """
        tests = [fold.of("test").assign(piece=fold.name) for fold in self.folds]
        table = pd.concat(tests).sort_values(["film", "chunk"], kind="stable")
        table["piece"] = table["film"] + "_" + table["piece"]
        return table[["film", "chunk", "piece"]].reset_index(drop=True)


def bold_file(folder: Path, film: str, whose: str) -> Path:
    return folder / "bold" / f"{film}_{whose}.npy"


def features_file(folder: Path, film: str, space: str) -> Path:
    return folder / "features" / f"{film}_{space.replace(' ', '-')}.npy"


def scores_file(folder: Path, subject: str, score: str) -> Path:
    return folder / "scores" / f"{subject}_{score}.npy"


def at_delays(features: Mapping[str, np.ndarray], table: pd.DataFrame, cfg) -> np.ndarray:
    """Features of a space for each row of BOLD: (n, n_columns).

    With FEATURE_RESPONSE = "delays" a column per feature and delay, with "hrf" each feature
    convolved with the canonical haemodynamic response. Where a film has no features, "delays" leaves
    NaN, and "hrf" takes the feature's mean.
    """
    if cfg.FEATURE_RESPONSE == "delays":
        return delayed(features, table, cfg.RIDGE_DELAYS_TRS)
    responses = {
        film: convolved(values, cfg.TR_S, cfg.DELAY_TRS) for film, values in features.items()
    }
    return delayed(responses, table, (-cfg.DELAY_TRS,))


def convolved(values: np.ndarray, tr_s: float, more: int) -> np.ndarray:
    """Features (n_chunks, n_features), constant within a chunk, through SPM's canonical HRF: (n_chunks + more, n_features)
    at the start of each TR.
    """
    filled = np.where(np.isnan(values), np.nanmean(values, axis=0), values)
    fine = np.repeat(filled - filled.mean(axis=0), FINE, axis=0)
    hrf = spm_hrf(tr_s, oversampling=FINE)
    n = len(values) + more
    out = np.zeros((n, values.shape[1]), dtype=np.float32)
    for column in range(values.shape[1]):
        response = np.convolve(fine[:, column], hrf)[: n * FINE : FINE]
        out[: len(response), column] = response
    return out


def bold_of(plan: EncodingPlan, subjects: tuple[str, ...], table: pd.DataFrame) -> np.ndarray:
    """BOLD (n, n_subjects · n_voxels) float32 that goes with chunks, DELAY_TRS later."""
    out = np.empty((len(table), len(subjects), plan.n_voxels), dtype=np.float32)
    delay: int = plan.cfg.DELAY_TRS
    for film, rows in table.groupby("film").indices.items():
        volumes = table["chunk"].to_numpy()[rows] + delay
        for place, subject in enumerate(subjects):
            out[rows, place] = open_npy(bold_file(plan.folder, str(film), subject))[volumes]
    return out.reshape(len(table), -1)


def fit_group(plan: EncodingPlan, subjects: tuple[str, ...]) -> None:
    """Fit and score some people, and write their scores; held-out predictions are kept on disk for that time."""
    table, n_targets = plan.table(), len(subjects) * plan.n_voxels
    shape = (len(plan.spaces), len(table), n_targets)
    name = f"{PARTIAL}{subjects[0]}"
    plan.folder.joinpath("scores").mkdir(exist_ok=True)
    files = [plan.folder / "scores" / f"{name}_{kind}.npy" for kind in ("spaces", "without")]
    predicted, without = (
        np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape) for file in files
    )
    rows = pd.Series(range(len(table)), index=pd.MultiIndex.from_frame(table[["film", "chunk"]]))
    for fold in plan.folds:
        test = pd.MultiIndex.from_frame(fold.of("test")[["film", "chunk"]])
        fit_fold(plan, fold, subjects, predicted, without, rows.loc[test].to_numpy())
    others = components_of_others(plan)
    for place, subject in enumerate(subjects):
        here = slice(place * plan.n_voxels, (place + 1) * plan.n_voxels)
        write_scores(plan, subject, predicted[:, :, here], without[:, :, here], others)
    for file in files:
        file.unlink()


def features_of(plan: EncodingPlan, space: str) -> dict[str, np.ndarray]:
    """Film → (n_chunks, n_features)."""
    return {film: open_npy(features_file(plan.folder, film, space)) for film in plan.lengths}


def components_of_others(plan: EncodingPlan) -> list[np.ndarray]:
    """For each space the principal components of the others at all held-out chunks."""
    table = plan.table()
    values = [at_delays(features_of(plan, space), table, plan.cfg) for space in plan.spaces]
    pieces = table["piece"].to_numpy()
    return [
        components(values[:place] + values[place + 1 :], pieces) for place in range(len(values))
    ]


def fit_fold(plan: EncodingPlan, fold: Fold, subjects, predicted, without, rows) -> None:
    """Fill the rows of a fold's test chunks: what each space adds, and the predictions without each space."""
    cfg = plan.cfg
    learn, test = fold.of("train"), fold.of("test")
    spaces = [features_of(plan, space) for space in plan.spaces]
    bands = [
        (at_delays(features, learn, cfg), at_delays(features, test, cfg)) for features in spaces
    ]
    kernels, test_kernels = band_kernels(bands)
    bold, blocks = bold_of(plan, subjects, learn), inner_films(learn)
    every = np.arange(len(plan.spaces))
    for place in (None, *every):
        used = every if place is None else every[every != place]
        if not len(used):
            without[place, rows] = bold.mean(axis=0)
            continue
        weights = random_weights(len(used), cfg.N_RIDGE_TRIES, cfg.SEED)
        added = fit_kernels(kernels[used], test_kernels[used], bold, blocks, weights)
        if place is None:
            predicted[:, rows] = added
        else:
            without[place, rows] = added.sum(axis=0)


def write_scores(plan: EncodingPlan, subject: str, predicted, without, others) -> None:
    """Write the scores of a person's voxels, and the partial correlations of regions at all lags."""
    cfg, table = plan.cfg, plan.table()
    films, pieces = table["film"].to_numpy(), table["piece"].to_numpy()
    smallest = smallest_shift(cfg)
    measured = bold_of(plan, (subject,), table)
    scores_of: dict[str, list] = {name: [] for name in OF_VOXELS + OF_SPACES}
    lags = np.zeros((len(plan.spaces), len(table), len(plan.regions)), dtype=np.float64)
    for start in range(0, plan.n_voxels, VOXELS_AT_ONCE):
        here = slice(start, start + VOXELS_AT_ONCE)
        scores = score_spaces(
            measured[:, here], predicted[:, :, here], without[:, :, here], films, pieces, others
        )
        tested = [partial_p(partial, films, smallest, together=True) for partial in scores.partial]
        scores_of["partial"].append(np.stack([value for value, _ in tested]))
        scores_of["p"].append(np.stack([p for _, p in tested]))
        for name in ("r", "r2", "product", "unique"):
            scores_of[name].append(getattr(scores, name))
        for number, region in enumerate(plan.regions.values()):
            lags[:, :, number] += scores.partial[:, :, region[here]].sum(axis=2)
    sizes = np.array([region.sum() for region in plan.regions.values()])
    for name, blocks in scores_of.items():
        values = np.concatenate(blocks, axis=-1).astype(np.float32)
        write_npy(scores_file(plan.folder, subject, name), values)
    write_npy(scores_file(plan.folder, subject, REGION_LAGS), (lags / sizes).astype(np.float32))


def smallest_shift(cfg) -> int:
    """MIN_SHIFT_S in chunks."""
    return max(1, round(cfg.MIN_SHIFT_S / cfg.TR_S))


def files_of_scores(folder: Path, subjects: tuple[str, ...]) -> list[Path]:
    """The files that :func:`write_scores` writes of some people."""
    names = (*OF_VOXELS, *OF_SPACES, REGION_LAGS)
    return [scores_file(folder, subject, name) for subject in subjects for name in names]


def read_score(folder: Path, subject: str, score: str) -> np.ndarray:
    """(n_voxels,), or (n_spaces, n_voxels)."""
    return np.array(open_npy(scores_file(folder, subject, score)))
