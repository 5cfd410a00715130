"""2. From BOLD to the voxels that follow the film.

Cuts every person's BOLD to the film's clock, averages people, and divides the chunks into training
and test. In each fold it keeps the voxels of the visual parcels whose signal-to-noise ratio is
largest, computed on that fold's training volumes only.

Reads     BOLD and events of the data set in DATASET_DIR, ATLAS_FILE, 1-chunks/
Writes    2-voxels/mask.nii.gz (x, y, z) uint8, the voxels of PARCELS; parcels.npy (n_voxels,)
            int32, in its C order; places.json, how many of them lack values; of tables parcels.tsv,
            of BOLD on the cortical surface the mask as .dscalar.nii or .shape.gii and
            mesh_hemi-<L or R>.surf.gii; own_masks/ of both
          2-voxels/<film>_mean.npy, <film>_variance.npy, <film>_<sub>.npy (n_rows, n_voxels)
            float32; row t is the volume nearest to t · TR_S after the film began;
            <film>_baseline.npy (n_voxels,) float32
          2-voxels/people.tsv, a row per person and film; folds.tsv, a row per chunk and fold
          2-voxels/chosen_<split>_fold-<k>.npy (n_chosen,) int32, positions in the mask;
            snr_<split>_fold-<k>.nii.gz, of tables and surfaces also .tsv, .dscalar.nii or .shape.gii
Settings  EXCLUDE, INCLUDE, BIDS_FILTER, FILM_EVENT, FILM_RUNS, TR_S, ATLAS_FILE, PARCELS, DENOISE,
          HIGH_PASS_HZ, SMOOTHING_MM, STANDARDIZE, VOXEL_SHARE, SUBJECTS, DELAY_TRS, ABLATIONS,
          SPLITS, HELD_OUT_FILM, TEST_SHARE, N_FOLDS, SELECTION, INNER_SHARE, EMBARGO_TRS
Takes     about the time of decompressing the files; memory per job: 30 bytes × volumes of a film ×
          voxels
"""

from functools import partial
from pathlib import Path

from film_encoding.brain_places import Places
from film_encoding.cleaning import report_cleaning, run_cleaning
from film_encoding.planning import make_places, plan_viewings, rows_and_pairs
from film_encoding.responses import OverPeople, choose, rows_of_person, snr
from film_encoding.splits import LEARNED_FROM, Fold, make_folds, write_folds
from film_encoding.study import STUDY
from film_encoding.variants import largest_delay
from film_encoding.viewings import Viewing, people_of
from neuroface.bold import check_distinct, write_map
from neuroface.pipeline import (
    Rules,
    Section,
    Stage,
    all_exist,
    open_npy,
    read_json,
    read_table,
    run_script,
    write_json,
    write_npy,
    write_table,
)

import numpy as np
import pandas as pd


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(
        STUDY, 2, cfg, __doc__, reads=(1,), rules=Rules(growing={"ABLATIONS": same_delay(cfg)})
    )
    chunks = read_table(stage.folder_of(1) / "films.tsv").set_index("film")["chunks"].to_dict()
    viewings = plan_viewings(stage, chunks, cfg)
    rows, lengths = rows_and_pairs(viewings, chunks, largest_delay(cfg))
    every = [viewing for who in viewings.values() for viewing in who]
    check_distinct([viewing.run for viewing in every])
    used = [
        file
        for film in viewings
        if all_exist(averaged_files(stage.folder, film))
        for viewing in viewings[film]
        for file in viewing.run.files
    ]
    stage.take_files([file for viewing in every for file in viewing.run.files], used)
    places = make_places(stage, every, cfg)
    mask, affine = places.mask, places.affine

    average = partial(average_people, stage.folder, viewings, rows, mask, affine, cfg)
    stage.each(average, list(viewings), "films", partial(averaged_files, stage.folder))
    name_constant_voxels(stage, viewings)

    for film, n in lengths.items():
        if n < chunks[film]:
            stage.leave_out(
                film,
                f"its last {chunks[film] - n} of {chunks[film]} chunks, whose BOLD was not measured to the end",
            )
    folds = [fold for split in cfg.SPLITS for fold in make_folds(lengths, split, cfg)]
    write_table(stage.folder / "folds.tsv", write_folds(folds))
    stage.each(
        partial(choose_voxels, stage.folder, mask, affine, cfg),
        folds,
        "folds",
        partial(chosen_files, stage.folder),
    )
    places.write_maps(stage, "snr_")
    write_table(stage.folder / "people.tsv", people_table(viewings))
    stage.finish(
        f"{len(places):,} {places.words} of {len(viewings)} films",
        describe_voxels(stage, viewings, folds, places, cfg),
    )


def same_delay(cfg):
    """A rule: other ABLATIONS need no other volumes if the longest delay stays the same."""

    def holds(old, new, stamped: dict) -> bool:
        before = type(cfg)(**vars(cfg) | {"ABLATIONS": tuple(old)})
        return largest_delay(before) == largest_delay(cfg)

    return holds


def average_people(folder: Path, viewings: dict, rows: dict, mask, affine, cfg, film: str) -> None:
    """Write mean and variance over a film's viewers, the BOLD of single people, and counts."""
    over, baselines, constant = OverPeople(), OverPeople(), 0
    clean = partial(run_cleaning, cfg=cfg)
    for subject, shown in people_of(viewings[film]).items():
        values, baseline, _ = rows_of_person(
            shown, mask, affine, rows[film], cfg.STANDARDIZE, clean
        )
        over.add(values)
        baselines.add(baseline)
        constant += int((values == 0).all(axis=0).sum())
        if subject in cfg.SUBJECTS:
            write_npy(folder / f"{film}_{subject}.npy", (values + baseline).astype(np.float32))
    write_npy(folder / f"{film}_variance.npy", over.variance.astype(np.float32))
    write_npy(folder / f"{film}_baseline.npy", np.nan_to_num(baselines.variance).astype(np.float32))
    write_npy(folder / f"{film}_mean.npy", (over.mean + baselines.mean).astype(np.float32))
    write_json(
        folder / f"{film}.json", {"people": over.n, "rows": rows[film], "constant_voxels": constant}
    )


def averaged_files(folder: Path, film: str) -> list[Path]:
    """The files that :func:`average_people` writes of every film; the counts are written after those of single people."""
    endings = ("_variance.npy", "_baseline.npy", "_mean.npy", ".json")
    return [folder / f"{film}{ending}" for ending in endings]


def name_constant_voxels(stage: Stage, viewings: dict) -> None:
    for film in viewings:
        if n := read_json(stage.folder / f"{film}.json")["constant_voxels"]:
            stage.leave_out(
                film, f"{n:,} voxels, counted over all people, that never change and count as 0"
            )


def choose_voxels(folder: Path, mask, affine, cfg, fold: Fold) -> None:
    """Write a fold's map of SNR, the mean over its training films, and the positions of the voxels that are kept."""
    films = []
    for film, chunks in fold.of(*LEARNED_FROM).groupby("film"):
        mean, variance = (open_npy(folder / f"{film}_{kind}.npy") for kind in ("mean", "variance"))
        rows = chunks["chunk"].to_numpy() + cfg.DELAY_TRS
        films.append(
            snr(mean[rows], variance[rows], np.asarray(open_npy(folder / f"{film}_baseline.npy")))
        )
    values = np.mean(films, axis=0)
    kept = choose(values, cfg.VOXEL_SHARE)
    write_map(
        folder / f"snr_{fold.name}.nii.gz",
        values[:, None].astype(np.float32),
        mask,
        affine,
        cfg.TR_S,
    )
    write_npy(folder / f"chosen_{fold.name}.npy", kept.astype(np.int32))


def chosen_files(folder: Path, fold: Fold) -> list[Path]:
    """The files that :func:`choose_voxels` writes."""
    return [folder / f"snr_{fold.name}.nii.gz", folder / f"chosen_{fold.name}.npy"]


def people_table(viewings: dict[str, list[Viewing]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "subject": viewing.run.subject,
                "film": film,
                "run": viewing.run.run,
                "film_onset_s": viewing.onset_s,
                "first_volume": viewing.first,
                "n_rows": viewing.n_rows,
            }
            for film, who in viewings.items()
            for viewing in who
        ]
    )


def describe_voxels(
    stage: Stage, viewings: dict, folds: list[Fold], places: Places, cfg
) -> Section:
    chosen = len(open_npy(stage.folder / f"chosen_{folds[0].name}.npy"))
    section = Section(
        "Voxels",
        f"BOLD on the films' clock. {places.words.capitalize()} were chosen by their signal-to-noise ratio over people, "
        f"in each fold on its training volumes only: the top {cfg.VOXEL_SHARE:.0%}.",
    )
    people = {viewing.run.subject for who in viewings.values() for viewing in who}
    section.numbers(
        {
            "people": f"{len(people)}",
            f"{places.words} to choose from": f"{len(places):,}",
            f"{places.words} chosen": f"{chosen:,}",
        }
    )
    rows = []
    for fold in folds:
        counts = fold.chunks["part"].value_counts()
        films = ", ".join(dict.fromkeys(fold.of("test").query("test_set == 'unseen film'")["film"]))
        rows.append(
            (
                fold.split,
                fold.number,
                *(counts.get(use, 0) for use in ("train", "inner", "embargo", "test")),
                films,
            )
        )
    section.table(
        ["split", "fold", "train", "choose the epoch", "left free", "test", "films never trained on"], rows,
        "Chunks in each fold. Those left free lie beside held-out chunks of the same film.",
    )  # fmt: skip
    onsets = people_table(viewings)
    off = (onsets["film_onset_s"] - onsets["first_volume"] * cfg.TR_S).abs().max()
    rows = [
        (film, len(people_of(who)), read_json(stage.folder / f"{film}.json")["rows"])
        for film, who in viewings.items()
    ]
    report_cleaning(section, [viewing.run for who in viewings.values() for viewing in who], cfg)
    section.table(
        ["film", "people", "volumes"],
        rows,
        f"Films. Volumes lie at most {off:.2f} s from the film's clock.",
    )
    return section


if __name__ == "__main__":
    run_script(main)
