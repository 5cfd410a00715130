"""4. How good are the predictions, and is a network needed for them?

Correlates predicted and measured voxels, and compares reconstructions with frames, each with an
interval over blocks of time, a null of circular shifts, and, for voxels, the noise ceiling. Beside
the network stand banded ridge regression from film features to voxels, ridge regression from voxels
to principal components of frames, the mean volume and the mean frame. All learn from the chunks
that the network's weights come from, and are tested on the same ones.

Reads     1-chunks/, 2-voxels/, 3-networks/
Writes    4-scores/voxels.tsv, frames.tsv, a row per model, split and test set; seeds.tsv, the mean
            r of every training
          4-scores/regulariser.json, the effect of the decoder on the encoder; comparison.tsv, the
            network less each rival; people.tsv, r over single people, where SUBJECTS names two or
            more
          4-scores/maps/<model>_<split>_<test set>_<what>.nii.gz float32: r, r_low, r_high, p_fdr,
            ceiling, r_of_ceiling
          4-scores/units/, ridge…/, features/: what these were made from; *.png
Settings  SEED, N_SHIFTS, N_IMAGE_SHIFTS, MIN_SHIFT_S, BLOCK_S, TOP_K, MIN_RELIABILITY,
          RIDGE_FEATURES, RIDGE_DELAYS_TRS, N_RIDGE_TRIES, N_COMPONENTS
Takes     minutes; memory: N_SHIFTS × voxels × 12 bytes per job
"""

from functools import partial
from pathlib import Path

from film_encoding.comparisons import (
    VOXELS,
    blocks_file,
    compare_encoder,
    compare_people,
    compare_rivals,
    unit_file,
)
from film_encoding.film_contrast import ranges_of
from film_encoding.film_features import film_features
from film_encoding.film_shots import shots_of_chunks
from film_encoding.frame_scores import score_frames
from film_encoding.network_files import folds_of_script_2
from film_encoding.ridge import delayed, fit_banded, fit_frames, inner_blocks
from film_encoding.score_figures import draw_scores
from film_encoding.score_report import Scores, describe_scores
from film_encoding.scoring import (
    FROM_MEASURED,
    FROM_PREDICTED,
    MEAN_FRAME,
    RIDGE,
    RIDGE_ONE,
    SHOTS,
    Scorer,
    Unit,
    is_ridge,
    ridge_name,
)
from film_encoding.splits import TRAINED_ON, Fold
from film_encoding.study import STUDY
from film_encoding.variants import ENCODER, MAIN
from film_encoding.voxel_scores import score_voxels
from neuroface.bold import read_mask, write_map
from neuroface.pipeline import (
    Stage,
    open_npy,
    read_json,
    run_script,
    write_json,
    write_npy,
    write_table,
)

import numpy as np
import pandas as pd

MAPS = ("r", "r_low", "r_high", "p_fdr", "ceiling", "r_of_ceiling")


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 4, cfg, __doc__, reads=(1, 2, 3))
    chunks, voxels, networks = (stage.folder_of(number) for number in (1, 2, 3))
    folds = folds_of_script_2(stage.folder_of(2))
    scorer = Scorer(chunks, voxels, networks, stage.folder, folds, cfg)

    films = sorted({film for fold in folds for film in fold.chunks["film"]})
    features = [(film, name) for film in films for name in (*cfg.RIDGE_FEATURES, SHOTS)]
    stage.each(
        partial(extract_features, scorer),
        features,
        "features",
        lambda of_film: scorer.feature_file(*of_film),
    )
    fits = [(fold, subject) for fold in folds for subject in cfg.SUBJECTS]
    stage.each(
        partial(fit_ridge, scorer),
        fits,
        "ridge regressions",
        lambda fit: ridge_files(scorer, *fit),
    )
    units = scorer.units()
    stage.each(
        partial(score, scorer),
        units,
        "scores",
        lambda unit: unit_file(stage.folder, unit, "json"),
    )

    voxels, frames, seeds = tables_of(stage.folder, units)
    for name, table in (("voxels", voxels), ("frames", frames), ("seeds", seeds)):
        write_table(stage.folder / f"{name}.tsv", table)
    write_maps(stage, units, cfg)
    regulariser = compare_encoder(stage.folder, scorer, cfg)
    write_json(stage.folder / "regulariser.json", regulariser)
    comparison = pd.DataFrame(compare_rivals(stage.folder, scorer))
    write_table(stage.folder / "comparison.tsv", comparison)
    people = pd.DataFrame(compare_people(stage.folder, scorer, cfg))
    if len(people):
        write_table(stage.folder / "people.tsv", people)
    draw_scores(stage.folder, voxels, seeds, cfg)
    shares = {fold.name: read_json(shares_file(scorer, fold, cfg.SUBJECTS[0])) for fold in folds}
    section = describe_scores(
        stage.folder, Scores(voxels, frames, comparison, regulariser, people, shares), cfg
    )
    stage.finish(f"scores of {len(units)} models × test sets", section)


def extract_features(scorer: Scorer, of_film: tuple[str, str]) -> None:
    """Write a film's features, or the shots of its chunks: of its frames as they are in the film, also where the network
    sees stretched ones.
    """
    (film, name), cfg = of_film, scorer.cfg
    chunks = open_npy(scorer.chunk_folder / f"{film}.npy")
    ranges = ranges_of(scorer.chunk_folder, film, cfg)
    if name == SHOTS:
        values = shots_of_chunks(chunks, ranges)
    else:
        values = film_features(chunks, name, cfg.TR_S, ranges)
    write_npy(scorer.feature_file(film, name), values)


def shares_file(scorer: Scorer, fold: Fold, subject: str) -> Path:
    return scorer.ridge_file(fold, "shares.json", ridge_name(RIDGE, subject, scorer.cfg))


def ridge_files(scorer: Scorer, fold: Fold, subject: str) -> list[Path]:
    """The files that :func:`fit_ridge` writes."""
    several, single = (ridge_name(name, subject, scorer.cfg) for name in (RIDGE, RIDGE_ONE))
    return [
        scorer.ridge_file(fold, "predicted.npy", single),
        scorer.ridge_file(fold, "predicted.npy", several),
        scorer.ridge_file(fold, f"{FROM_MEASURED}.npy", several),
        shares_file(scorer, fold, subject),
    ]


def fit_ridge(scorer: Scorer, fit: tuple[Fold, str]) -> None:
    """Write the voxels and frames that ridge regressions predict for a fold's test chunks and a person of SUBJECTS, and
    the weights of bands.
    """
    (fold, subject), cfg = fit, scorer.cfg
    several, single = (ridge_name(name, subject, cfg) for name in (RIDGE, RIDGE_ONE))
    data = scorer.data(fold, scorer.variant(several))
    learn, test = fold.of(*TRAINED_ON), fold.of("test")
    blocks, bold = inner_blocks(learn), data.bold(learn)
    spaces = [
        {film: open_npy(scorer.feature_file(film, name)) for film in data.chunks}
        for name in cfg.RIDGE_FEATURES
    ]
    for model, delays in ((single, (0,)), (several, cfg.RIDGE_DELAYS_TRS)):
        bands = [(delayed(space, learn, delays), delayed(space, test, delays)) for space in spaces]
        predicted, shares = fit_banded(bands, bold, blocks, cfg.N_RIDGE_TRIES, cfg.SEED)
        write_npy(scorer.ridge_file(fold, "predicted.npy", model), predicted)
    frames = data.targets(learn, cfg.FRAMES_PER_TR) / np.float32(255)
    made = fit_frames(bold, frames, data.bold(test), blocks, cfg.N_COMPONENTS, cfg.SEED)
    write_npy(scorer.ridge_file(fold, f"{FROM_MEASURED}.npy", several), made)
    of_bands = dict(zip(cfg.RIDGE_FEATURES, shares.round(4).tolist()))
    write_json(shares_file(scorer, fold, subject), of_bands)


def score(scorer: Scorer, unit: Unit) -> None:
    """Write a unit's arrays, its scores with each block left out, and last its scores, which every unit has."""
    scores, arrays, of_voxels = score_voxels(scorer, unit)
    summary, over_blocks = {"voxels": scores, "frames": {}}, {VOXELS: of_voxels}
    for given in frames_of(scorer, unit):
        summary["frames"][given], of_frames, over_blocks[given] = score_frames(scorer, unit, given)
        arrays |= {f"{given}_{name}": values for name, values in of_frames.items()}
    for name, values in arrays.items():
        write_npy(unit_file(scorer.folder, unit, f"{name.replace(' ', '-')}.npy"), values)
    for given, scores in over_blocks.items():
        for name, block_score in scores.items():
            write_npy(blocks_file(scorer.folder, unit, given, name), block_score.stored())
    write_json(unit_file(scorer.folder, unit, "json"), summary)


def frames_of(scorer: Scorer, unit: Unit) -> tuple[str, ...]:
    """What a model makes frames from."""
    if is_ridge(unit.model):
        return () if unit.model.startswith(RIDGE_ONE) else (FROM_MEASURED,)
    if not scorer.variant(unit.model).has_decoder:
        return ()
    return (
        (FROM_PREDICTED, FROM_MEASURED, MEAN_FRAME)
        if unit.model == MAIN
        else (FROM_PREDICTED, FROM_MEASURED)
    )


def tables_of(folder: Path, units: list[Unit]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Scores of voxels, of frames, and the mean r of every seed, a row each."""
    voxels, frames, seeds = [], [], []
    for unit in units:
        names = {"model": unit.model, "split": unit.split, "test_set": unit.test_set}
        summary = read_json(unit_file(folder, unit, "json"))
        voxels.append(names | flat(summary["voxels"]))
        frames += [
            names | {"given": given} | flat(scores) for given, scores in summary["frames"].items()
        ]
        by_seed = open_npy(unit_file(folder, unit, "by_seed.npy"))
        seeds += [names | {"seed": number, "r": float(r)} for number, r in enumerate(by_seed, 1)]
    return pd.DataFrame(voxels), pd.DataFrame(frames), pd.DataFrame(seeds)


def flat(scores: dict) -> dict:
    """Intervals as two columns; what a unit could not compute is NaN."""
    out: dict[str, float] = {}
    for name, value in scores.items():
        score = name.removesuffix("_interval")
        columns = {name: value}
        if score != name:
            columns = dict(zip((f"{score}_low", f"{score}_high"), value))
        out |= {column: np.nan if number is None else number for column, number in columns.items()}
    return out


def write_maps(stage: Stage, units: list[Unit], cfg) -> None:
    """NIfTI files of the main network, the encoder alone and ridge regression."""
    mask, affine = read_mask(stage.folder_of(2) / "mask.nii.gz")
    for unit in units:
        for kind in MAPS if unit.model in (MAIN, ENCODER, RIDGE) else ():
            stored = open_npy(unit_file(stage.folder, unit, f"{kind}.npy"))
            values = np.nan_to_num(stored, nan=1.0 if kind == "p_fdr" else 0.0)
            target = stage.folder / "maps" / f"{unit.name}_{kind}.nii.gz"
            write_map(target, values[:, None].astype(np.float32), mask, affine, cfg.TR_S)


if __name__ == "__main__":
    run_script(main)
