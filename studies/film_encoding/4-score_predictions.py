"""4. How good are the predictions, and is a network needed for them?

Correlates predicted and measured voxels, and compares reconstructions with frames, each with an interval over blocks of
time, a null of circular shifts, and, for voxels, the noise ceiling. Beside the network stand banded ridge regression
from film features to voxels, ridge regression from voxels to principal components of frames, the mean volume and the
mean frame, on the same folds.

Reads     1-chunks/, 2-voxels/, 3-networks/
Writes    4-scores/voxels.tsv, frames.tsv, a row per model, split and test set; seeds.tsv, the mean r of every training
          4-scores/regulariser.json, the effect of the decoder on the encoder; comparison.json, network against ridge
          4-scores/maps/<model>_<split>_<test set>_<what>.nii.gz float32: r, r_low, r_high, p_fdr, ceiling, r_of_ceiling
          4-scores/units/, ridge/, ridge-one-chunk/, features/: what these were made from; *.png
Settings  SEED, N_SHIFTS, N_IMAGE_SHIFTS, MIN_SHIFT_S, BLOCK_S, N_BOOTSTRAP, TOP_K, MIN_RELIABILITY, RIDGE_FEATURES,
          RIDGE_DELAYS_TRS, N_RIDGE_TRIES, N_COMPONENTS
Takes     minutes; memory: N_BOOTSTRAP × voxels × 30 bytes per job
"""

from functools import partial
from pathlib import Path

from film_encoding.film_features import film_features
from film_encoding.frame_scores import score_frames
from film_encoding.network_files import folds_of_script_2
from film_encoding.ridge import delayed, fit_banded, fit_frames, inner_blocks
from film_encoding.score_report import describe, draw_scores
from film_encoding.scoring import FROM_MEASURED, FROM_PREDICTED, MEAN_FRAME, RIDGE, RIDGE_ONE, RIDGES, Scorer, Unit
from film_encoding.splits import LEARNED_FROM, Fold
from film_encoding.study import STUDY
from film_encoding.variants import ENCODER, MAIN
from film_encoding.voxel_scores import score_voxels
from neuroface.bold import read_mask, write_map
from neuroface.pipeline import Stage, open_npy, read_json, run_script, write_json, write_npy, write_table

import numpy as np
import pandas as pd
from scipy import stats

MAPS = ("r", "r_low", "r_high", "p_fdr", "ceiling", "r_of_ceiling")


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 4, cfg, __doc__, reads=(1, 2, 3))
    folders = [stage.folder_of(number) for number in (1, 2, 3)]
    folds = folds_of_script_2(stage.folder_of(2))
    scorer = Scorer(*folders, stage.folder, folds, cfg)

    films = sorted({film for fold in folds for film in fold.chunks["film"]})
    features = [(film, name) for film in films for name in cfg.RIDGE_FEATURES]
    write_features = partial(extract_features, stage.folder, stage.folder_of(1), cfg)
    stage.each(write_features, features, lambda one: features_file(stage.folder, *one).exists(), "features")
    fitted = partial(scorer.ridge_file, what="shares.json")
    stage.each(partial(fit_ridge, scorer), folds, lambda fold: fitted(fold).exists(), "ridge regressions")
    units = scorer.units()
    stage.each(partial(score, scorer), units, lambda unit: unit_file(stage.folder, unit, "json").exists(), "scores")

    voxels, frames, seeds = tables_of(stage.folder, units)
    for name, table in (("voxels", voxels), ("frames", frames), ("seeds", seeds)):
        write_table(stage.folder / f"{name}.tsv", table)
    write_maps(stage, units, cfg)
    regulariser, comparison = compare_encoder(stage.folder, scorer, cfg), compare_ridge(stage.folder, scorer)
    write_json(stage.folder / "regulariser.json", regulariser)
    write_json(stage.folder / "comparison.json", comparison)
    draw_scores(stage.folder, voxels, seeds)
    shares = {fold.name: read_json(fitted(fold)) for fold in folds}
    section = describe(stage.folder, voxels, frames, regulariser, comparison, shares, cfg)
    stage.finish(f"scores of {len(units)} models × test sets", section)


def features_file(folder: Path, film: str, name: str) -> Path:
    return folder / "features" / f"{film}_{name.replace(' ', '-')}.npy"


def extract_features(folder: Path, chunk_folder: Path, cfg, one: tuple[str, str]) -> None:
    film, name = one
    write_npy(features_file(folder, film, name), film_features(open_npy(chunk_folder / f"{film}.npy"), name, cfg.TR_S))


def fit_ridge(scorer: Scorer, fold: Fold) -> None:
    """Write the voxels and frames that ridge regressions predict for a fold's test chunks, and last the weights of bands."""
    cfg, data = scorer.cfg, scorer.data(fold, scorer.variant(RIDGE))
    learn, test = fold.of(*LEARNED_FROM), fold.of("test")
    blocks, bold = inner_blocks(learn), data.bold(learn)
    spaces = [
        {film: open_npy(features_file(scorer.folder, film, name)) for film in data.chunks}
        for name in cfg.RIDGE_FEATURES
    ]
    for model, delays in ((RIDGE_ONE, (0,)), (RIDGE, cfg.RIDGE_DELAYS_TRS)):
        bands = [tuple(delayed(space, table, delays) for table in (learn, test)) for space in spaces]
        predicted, shares = fit_banded(bands, bold, blocks, cfg.N_RIDGE_TRIES, cfg.SEED)
        write_npy(scorer.ridge_file(fold, "predicted.npy", model), predicted)
    frames = data.targets(learn, cfg.FRAMES_PER_TR) / np.float32(255)
    made = fit_frames(bold, frames, data.bold(test), blocks, cfg.N_COMPONENTS, cfg.SEED)
    write_npy(scorer.ridge_file(fold, f"{FROM_MEASURED}.npy"), made)
    write_json(scorer.ridge_file(fold, "shares.json"), dict(zip(cfg.RIDGE_FEATURES, shares.round(4).tolist())))


def unit_file(folder: Path, unit: Unit, ending: str) -> Path:
    return folder / "units" / f"{unit.name}.{ending}"


def score(scorer: Scorer, unit: Unit) -> None:
    """Write a unit's arrays and, last, its scores."""
    scores, arrays = score_voxels(scorer, unit)
    found = {"voxels": scores, "frames": {}}
    for given in frames_of(scorer, unit):
        found["frames"][given], of_frames = score_frames(scorer, unit, given)
        arrays |= {f"{given}_{name}": values for name, values in of_frames.items()}
    for name, values in arrays.items():
        write_npy(unit_file(scorer.folder, unit, f"{name.replace(' ', '-')}.npy"), values)
    write_json(unit_file(scorer.folder, unit, "json"), found)


def frames_of(scorer: Scorer, unit: Unit) -> tuple[str, ...]:
    """What a model makes frames from."""
    if unit.model in RIDGES or not scorer.variant(unit.model).has_decoder:
        return (FROM_MEASURED,) if unit.model == RIDGE else ()
    return (FROM_PREDICTED, FROM_MEASURED, MEAN_FRAME) if unit.model == MAIN else (FROM_PREDICTED, FROM_MEASURED)


def tables_of(folder: Path, units: list[Unit]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Scores of voxels, of frames, and the mean r of every seed, a row each."""
    voxels, frames, seeds = [], [], []
    for unit in units:
        names = {"model": unit.model, "split": unit.split, "test_set": unit.test_set}
        found = read_json(unit_file(folder, unit, "json"))
        voxels.append(names | flat(found["voxels"]))
        frames += [names | {"given": what} | flat(scores) for what, scores in found["frames"].items()]
        by_seed = open_npy(unit_file(folder, unit, "by_seed.npy"))
        seeds += [names | {"seed": number, "r": float(r)} for number, r in enumerate(by_seed, 1)]
    return pd.DataFrame(voxels), pd.DataFrame(frames), pd.DataFrame(seeds)


def flat(scores: dict) -> dict:
    """Intervals as two columns."""
    out = {}
    for name, value in scores.items():
        ends = {f"{name.removesuffix('_interval')}_{end}": v for end, v in zip(("low", "high"), np.ravel(value))}
        out |= ends if name.endswith("_interval") else {name: value}
    return out


def write_maps(stage: Stage, units: list[Unit], cfg) -> None:
    """NIfTI files of the main network, the encoder alone and ridge regression."""
    mask, affine = read_mask(stage.folder_of(2) / "mask.nii.gz")
    for unit in units:
        for what in MAPS if unit.model in (MAIN, ENCODER, RIDGE) else ():
            stored = open_npy(unit_file(stage.folder, unit, f"{what}.npy"))
            values = np.nan_to_num(stored, nan=1.0 if what == "p_fdr" else 0.0)
            target = stage.folder / "maps" / f"{unit.name}_{what}.nii.gz"
            write_map(target, values[:, None].astype(np.float32), mask, affine, cfg.TR_S)


def compare_encoder(folder: Path, scorer: Scorer, cfg) -> list[dict]:
    """What the decoder does to the encoder: r of the network less r of the encoder alone, on test sets of the first split.

    "interval" is over blocks of time, seeds averaged; "p_seeds" is of a t-test over seeds, which are pairs.
    """
    if ENCODER not in cfg.ABLATIONS:
        return []
    rows = []
    for unit in (unit for unit in scorer.units() if unit.model == MAIN and unit.split == cfg.SPLITS[0]):
        both = [Unit(model, unit.split, unit.test_set) for model in (MAIN, ENCODER)]
        seeds = np.array([open_npy(unit_file(folder, one, "by_seed.npy")) for one in both])
        effect = seeds[0] - seeds[1]
        draws = np.subtract(*(open_npy(unit_file(folder, one, "draws.npy")) for one in both))
        several = len(effect) > 1
        row = {
            "split": unit.split,
            "test_set": unit.test_set,
            "n_seeds": len(effect),
            "network": seeds[0].tolist(),
            "encoder": seeds[1].tolist(),
            "effect": float(effect.mean()),
            "interval": np.quantile(draws, [0.025, 0.975]).tolist(),
            "sd_over_seeds": float(effect.std(ddof=1)) if several else None,
            "p_seeds": float(stats.ttest_1samp(effect, 0).pvalue) if several else None,
        }
        rows.append(row)
    return rows


def compare_ridge(folder: Path, scorer: Scorer) -> list[dict]:
    """The network less ridge regression on every test set: mean r of voxels, and SSIM of frames from measured voxels.

    Intervals are of the difference, over the same blocks of time.
    """
    rows = []
    for unit in (unit for unit in scorer.units() if unit.model == MAIN):
        both = [unit, Unit(RIDGE, unit.split, unit.test_set)]
        found = [read_json(unit_file(folder, one, "json")) for one in both]
        values = {
            "r": ([one["voxels"]["r"] for one in found], "draws.npy"),
            "SSIM": ([one["frames"][FROM_MEASURED]["ssim"] for one in found], f"{FROM_MEASURED}_draws.npy"),
        }
        for score, ((network, ridge), draws) in values.items():
            drawn = np.subtract(*(open_npy(unit_file(folder, one, draws)) for one in both))
            low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
            verdict = "better" if low > 0 else "worse" if high < 0 else "not different"
            row = {"split": unit.split, "test_set": unit.test_set, "score": score, "network": network, "ridge": ridge}
            rows.append(row | {"low": low, "high": high, "network_is": verdict})
    return rows


if __name__ == "__main__":
    run_script(main)
