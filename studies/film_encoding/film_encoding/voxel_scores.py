"""How good one model's voxels are on one test set."""

from functools import partial

from film_encoding import correlations
from film_encoding.blocks import BlockScore, r_interval
from film_encoding.network_files import voxels_of
from film_encoding.responses import reliability
from film_encoding.scoring import Scorer, Unit, pooled
from film_encoding.shifts import PAIRS, smallest_p
from film_encoding.splits import TRAINED_ON
from neuroface.decoding import p_value
from neuroface.pipeline import open_npy, read_json

import numpy as np


def score_voxels(
    scorer: Scorer, unit: Unit
) -> tuple[dict, dict[str, np.ndarray], dict[str, BlockScore]]:
    """Scores of encoding.

    Returns
    -------
    scores : means over voxels, with intervals and nulls; over seeds where there are several.
    arrays : r, r_low, r_high, p, p_fdr, ceiling, r_of_ceiling of every voxel of the mask (n_mask,),
        NaN where no fold chose it; by_seed (n_seeds,).
    over_blocks : "r", the mean r, and "two_way", each with every block of time left out.
    """
    cfg = scorer.cfg
    r, left_out, null, null_mean = [], [], [], []
    pairs: list[list] = []  # per seed: what two_way needs of every fold
    errors: list = []
    for folds in scorer.predictions(unit, "predicted").values():
        pairs.append([])
        parts = [
            series_of(scorer, unit, fold, predicted, pairs[-1], errors) for fold, predicted in folds
        ]
        r.append(correlations.correlation(parts, scorer.n_mask))
        without, sizes = correlations.left_out_correlation(parts, scorer.n_mask, scorer.block)
        left_out.append(without)
        shift = partial(
            correlations.shifted_correlation,
            n_mask=scorer.n_mask,
            smallest=scorer.smallest_shift,
            n_shifts=cfg.N_SHIFTS,
            seed=cfg.SEED,
        )
        wider = np.sqrt(PAIRS) if len(parts) > 1 else 1.0
        null_mean.append(wider * np.nanmean(shift(parts)[0], axis=1))
        shifted, df = shift(correlations.by_film(parts))
        null.append(wider * shifted)
    chosen, null_mean = np.isfinite(r[0]), np.mean(null_mean, axis=0)
    by_seed = np.mean([array[chosen] for array in r], axis=1)
    over_blocks = {"r": mean_r_over_blocks(r, left_out, sizes, chosen)}
    r, left_out, null = (np.mean(values, axis=0)[..., chosen] for values in (r, left_out, null))
    identified, over_blocks["two_way"] = pooled(pairs)
    shared = shared_variance(scorer, unit)[chosen]
    clear = shared >= cfg.MIN_RELIABILITY  # NaN is not: one person has no ceiling
    smallest = smallest_p(len(null_mean))
    p = (
        correlations.voxel_p(r, null, df[chosen])
        if smallest <= correlations.ALPHA
        else np.full(len(r), np.nan)
    )
    low, high = r_interval(r, left_out, sizes)
    values = {
        "r": r,
        "r_low": low,
        "r_high": high,
        "p": p,
        "p_fdr": correlations.fdr(p),
        "ceiling": np.sqrt(shared),
        "r_of_ceiling": np.where(clear, r / np.sqrt(np.where(clear, shared, 1)), np.nan),
    }
    scores = {
        "n_chunks": sum(len(scorer.test_table(fold, unit)) for fold in scorer.folds_of(unit)),
        "n_blocks": over_blocks["r"].n_blocks,
        "n_seeds": len(by_seed),
        "n_voxels": int(chosen.sum()),
        "r": over_blocks["r"].value,
        "r_interval": over_blocks["r"].interval(),
        "r_null": float(null_mean.mean()),
        "p": p_value(by_seed.mean(), null_mean),
        "p_smallest": smallest,
        "significant_share": float((values["p_fdr"] <= correlations.ALPHA).mean())
        if np.isfinite(p).any()
        else None,
        "ceiling": mean_or_none(values["ceiling"]),
        "r_of_ceiling": mean_or_none(values["r_of_ceiling"]),
        "mse_over_mean_volume": float(np.divide(*np.mean(errors, axis=0))),
        **identified,
    }
    arrays = {name: whole(array, chosen) for name, array in values.items()}
    return scores, arrays | {"by_seed": by_seed}, over_blocks


def mean_r_over_blocks(
    r: list, left_out: list, sizes: np.ndarray, chosen: np.ndarray
) -> BlockScore:
    """The mean over chosen voxels, with each block left out: a block changes the voxels that its fold chose."""
    whole_r = np.array([of_seed[chosen].mean() for of_seed in r])
    without = [
        np.where(np.isfinite(lost[:, chosen]), lost[:, chosen], of_seed[chosen]).mean(axis=1)
        for of_seed, lost in zip(r, left_out)
    ]
    return BlockScore(whole_r, np.array(without), sizes, is_r=True)


def series_of(
    scorer: Scorer, unit: Unit, fold, predicted: np.ndarray, identified: list, errors: list
) -> correlations.Series:
    """One fold's test chunks; adds how well its moments are identified to ``identified``, and to ``errors`` the mean squared
    errors of the model and of the mean volume of the training set."""
    table, data = scorer.test_table(fold, unit), scorer.data(fold, scorer.variant(unit.model))
    measured = data.bold(table)
    voxels = np.arange(scorer.n_mask) if data.voxels is None else data.voxels
    series = correlations.series(measured, predicted, voxels, table["film"], table["chunk"])
    identified.append(scorer.identify(series.measured, series.predicted, table))
    mean_volume = data.bold(fold.of(*TRAINED_ON)).mean(axis=0)
    errors.append([np.mean((measured - guess) ** 2) for guess in (predicted, mean_volume)])
    return series


def shared_variance(scorer: Scorer, unit: Unit) -> np.ndarray:
    """Share of the variance of the measured BOLD that people have in common: (n_mask,).

    The mean over the films of the test set, weighted by their lengths; NaN where no fold chose a
    voxel, or where one person saw the film.
    """
    variant = scorer.variant(unit.model)
    total, n = np.zeros(scorer.n_mask), np.zeros(scorer.n_mask)
    for fold in scorer.folds_of(unit):
        voxels = voxels_of(scorer.voxel_folder, fold, variant)
        voxels = np.arange(scorer.n_mask) if voxels is None else voxels
        for film, chunks in scorer.test_table(fold, unit).groupby("film"):
            rows = chunks["chunk"].to_numpy() + variant.delay_trs
            files = [scorer.voxel_folder / f"{film}_{kind}.npy" for kind in ("mean", "variance")]
            mean, variance = (open_npy(file)[rows][:, voxels] for file in files)
            people = read_json(scorer.voxel_folder / f"{film}.json")["people"]
            of_people = None if variant.subject == "mean" else 1
            total[voxels] += len(rows) * reliability(mean, variance, people, of_people)
            n[voxels] += len(rows)
    return np.divide(total, n, out=np.full(scorer.n_mask, np.nan), where=n > 0)


def whole(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Values of chosen voxels at their places in the mask, NaN elsewhere."""
    out = np.full(chosen.shape, np.nan)
    out[chosen] = values
    return out


def mean_or_none(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
