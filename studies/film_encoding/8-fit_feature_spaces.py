"""8. Which feature spaces of the film does each voxel follow, and what does each space add?

Banded ridge regression from several feature spaces to the voxels of PARCELS, for the mean over
people and for every person, with whole films held out, or stretches of time where there is one
film. The unique variance of a space is what the model loses without it; it is tested against
features shifted in time, and over people. Needs no film file where FEATURES names only spaces that
you made yourself.

Reads     BOLD and events of the data set in DATASET_DIR, ATLAS_FILE, REGIONS_TABLE;
          FEATURE_DIR/<space>/<film>.npy or .tsv; 1-chunks/ for motion energy, frames, brightness;
          the films in FILM_DIR for cuts, loudness, speech, faces
Writes    8-encoding/regions.tsv, a row per region: r, r / noise ceiling, unique variance of each
            space over people, p
          8-encoding/maps/<what>.nii.gz float32: r, ceiling, r_of_ceiling, ceiling_within; unique_<space>,
            product_<space>, p_fdr_<space>; people_unique_<space>; of tables and of BOLD on the cortical
            surface also .tsv, .dscalar.nii or .shape.gii
          8-encoding/scores/<subject>_<what>.npy (n_voxels,) or (n_spaces, n_voxels): r, r2,
            product, unique, partial, p
          8-encoding/mask.nii.gz, parcels.npy, places.json, bold/, features/: what these were made
            from; unique.png
Settings  SEED, EXCLUDE, INCLUDE, FILMS, BIDS_FILTER, FILM_EVENT, FILM_RUNS, TR_S, ATLAS_FILE, PARCELS,
          DENOISE, HIGH_PASS_HZ, SMOOTHING_MM, STANDARDIZE, DELAY_TRS, N_FOLDS, EMBARGO_TRS,
          FEATURES, FEATURE_DIR, FEATURE_RESPONSE, EACH_PERSON, RIDGE_DELAYS_TRS, N_RIDGE_TRIES,
          MIN_SHIFT_S, MIN_RELIABILITY, REGIONS_FILE, REGIONS_TABLE, USE_PIXEL_LABELS, THING,
          FRAMES_PER_TR
Takes     a minute for the demo; disk: 4 bytes × spaces × 2 × held-out chunks × voxels while a group
          of people is fitted
"""

from functools import partial
from itertools import product
from pathlib import Path

from film_encoding.cleaning import run_cleaning
from film_encoding.encoding import (
    MEAN,
    WITHIN,
    EncodingPlan,
    bold_file,
    features_file,
    files_of_scores,
    fit_group,
)
from film_encoding.encoding_report import describe_encoding, draw_unique
from film_encoding.encoding_tables import region_table, voxel_maps
from film_encoding.feature_spaces import (
    Samples,
    check_distinct_films,
    check_length,
    feature_file,
    over_trs,
    read_samples,
)
from film_encoding.film_clock import count_chunks
from film_encoding.made_features import FROM_CHUNKS, MADE, made_features, source_files
from film_encoding.planning import make_places, plan_viewings, rows_and_pairs
from film_encoding.regions import named_regions
from film_encoding.responses import OverPeople, rows_of_person
from film_encoding.splits import encoding_folds
from film_encoding.study import STUDY
from film_encoding.viewings import find_viewings, people_of
from neuroface import NeuroFaceError
from neuroface.bold import check_distinct, write_map
from neuroface.pipeline import Stage, all_exist, read_table, run_script, write_npy, write_table

import numpy as np


def main():
    cfg = STUDY.load_settings(__file__)
    from_chunks = any(space in FROM_CHUNKS for space in cfg.FEATURES)
    stage = Stage(STUDY, 8, cfg, __doc__, reads=(1,) if from_chunks else ())
    chunks, film_s = lengths_of_films(stage, from_chunks, cfg)
    viewings = plan_viewings(stage, chunks, cfg)
    rows, lengths = rows_and_pairs(viewings, chunks, cfg.DELAY_TRS)
    every_viewing = [viewing for viewers in viewings.values() for viewing in viewers]
    check_distinct([viewing.run for viewing in every_viewing])
    samples = own_features(stage, lengths, film_s, cfg)
    stage.take_files(*input_files(stage.folder, viewings, samples, cfg))
    places = make_places(stage, every_viewing, cfg)
    mask, affine = places.mask, places.affine

    store = partial(store_bold, stage.folder, viewings, rows, mask, affine, cfg)
    stage.each(store, list(lengths), "films", partial(stored_files, stage.folder))
    make = partial(make_features, stage, samples, lengths, cfg)
    spaces = [(film, space) for film in lengths for space in cfg.FEATURES]
    stage.each(make, spaces, "feature spaces", lambda unit: features_file(stage.folder, *unit))

    people = complete_people(stage, viewings) if cfg.EACH_PERSON else ()
    regions = named_regions(cfg, places)
    plan = EncodingPlan(
        stage.folder, encoding_folds(lengths, cfg), lengths, (MEAN, *people), regions, len(places), cfg
    )  # fmt: skip
    fitted = partial(files_of_scores, plan)
    stage.each(partial(fit_group, plan), plan.groups(), "groups of people", fitted)

    n_people = {film: len(people_of(viewers)) for film, viewers in viewings.items()}
    table = region_table(plan, n_people)
    write_table(stage.folder / "regions.tsv", table)
    for name, values in voxel_maps(plan, n_people).items():
        target = stage.folder / "maps" / f"{name}.nii.gz"
        write_map(target, values[:, None].astype(np.float32), mask, affine, cfg.TR_S)
    places.write_maps(stage, "maps/")
    draw_unique(stage.folder, table, plan)
    stage.finish(
        f"{len(cfg.FEATURES)} feature spaces, {len(plan.subjects)} fits of {plan.n_voxels:,} {places.words}",
        describe_encoding(stage.folder, table, plan),
    )


def lengths_of_films(stage: Stage, from_chunks: bool, cfg) -> tuple[dict, dict]:
    """Film → chunks that were shown, and film → length in seconds, infinite where neither a file nor an event states it."""
    if from_chunks:
        films = read_table(stage.folder_of(1) / "films.tsv").set_index("film")
        return films["chunks"].to_dict(), films["picture_s"].to_dict()
    viewings, left_out = find_viewings(cfg)
    chunks, film_s = {}, {}
    for film, viewers in viewings.items():
        film_s[film] = min(viewing.shown_s for viewing in viewers)
        usual_n = float(np.median([viewing.n_rows for viewing in viewers]))  # a scan may go on
        usual_s = usual_n * cfg.TR_S
        chunks[film] = count_chunks(min(film_s[film], usual_s), cfg.TR_S)
    if not chunks:
        raise NeuroFaceError(
            f"{cfg.DATASET_DIR} holds no BOLD of a film ({len(left_out)} runs left out)."
        )
    return chunks, film_s


def own_features(stage: Stage, lengths: dict, film_s: dict, cfg) -> dict:
    """(film, space) → samples of the spaces that no script makes, all checked before any work."""
    samples_of: dict[tuple[str, str], Samples] = {}
    for space in cfg.FEATURES:
        if space in MADE:
            if (Path(cfg.FEATURE_DIR) / space).is_dir():
                raise NeuroFaceError(
                    f"FEATURES names {space!r}, which this script makes, and {cfg.FEATURE_DIR}/{space} is there too. "
                    "Give that folder another name."
                )
            continue
        files = {
            film: read_samples(feature_file(Path(cfg.FEATURE_DIR), space, film), film)
            for film in lengths
        }
        check_distinct_films(files)
        widths = {film: samples.values.shape[1] for film, samples in files.items()}
        if len(set(widths.values())) > 1:
            raise NeuroFaceError(
                f"FEATURES: {space!r} has other numbers of features in each film: {widths}."
            )
        for film, samples in files.items():
            check_length(samples, film, lengths[film], cfg.TR_S, film_s[film])
            empty = int(np.isnan(over_trs(samples, lengths[film], cfg.TR_S)).any(axis=1).sum())
            if empty:
                stage.leave_out(
                    f"{film}, {space}",
                    f"{empty} of {lengths[film]} chunks have no features; there they count as their mean",
                )
        samples_of |= {(film, space): samples for film, samples in files.items()}
    return samples_of


def input_files(folder: Path, viewings: dict, samples: dict, cfg) -> tuple[list[Path], list[Path]]:
    """Files of the BOLD and of the features; and those of them that finished units were made from."""
    files, used = [], []
    for film, viewers in viewings.items():
        of_film = [file for viewing in viewers for file in viewing.run.files]
        files += of_film
        used += of_film if all_exist(stored_files(folder, film)) else []
    sources = {unit: of_space.files for unit, of_space in samples.items()}
    for film, space in product(viewings, cfg.FEATURES):
        sources.setdefault((film, space), source_files(space, film, cfg))
    for unit, of_space in sources.items():
        there = [file for file in of_space if file.is_file()]  # the unit says what is missing
        files += there
        used += there if features_file(folder, *unit).exists() else []
    return files, used


def store_bold(folder, viewings: dict, rows: dict, mask, affine, cfg, film: str) -> None:
    """Write the BOLD of each viewer, what their repeats share, and then its mean and variance over viewers."""
    over, shared = OverPeople(), []
    clean = partial(run_cleaning, cfg=cfg)
    for subject, shown in people_of(viewings[film]).items():
        values, _, within = rows_of_person(shown, mask, affine, rows[film], cfg.STANDARDIZE, clean)
        over.add(values)
        if within is not None:
            shared.append(within)
        if cfg.EACH_PERSON:
            write_npy(bold_file(folder, film, subject), values)
    if shared:
        write_npy(bold_file(folder, film, WITHIN), np.mean(shared, axis=0).astype(np.float32))
    write_npy(bold_file(folder, film, "variance"), over.variance.astype(np.float32))
    write_npy(bold_file(folder, film, MEAN), over.mean.astype(np.float32))


def stored_files(folder: Path, film: str) -> list[Path]:
    """The files that :func:`store_bold` writes of every film, after those of single viewers."""
    return [bold_file(folder, film, whose) for whose in ("variance", MEAN)]


def make_features(stage: Stage, samples: dict, lengths: dict, cfg, unit: tuple[str, str]) -> None:
    """Write a film's features of a space, a row per chunk."""
    film, space = unit
    n = lengths[film]
    values = (
        over_trs(samples[unit], n, cfg.TR_S)
        if unit in samples
        else made_features(stage.folder_of(1), space, film, n, cfg)
    )
    write_npy(features_file(stage.folder, film, space), values)


def complete_people(stage: Stage, viewings: dict) -> tuple[str, ...]:
    """People who saw all films; the others are left out of the fits of single people."""
    seen = [{viewing.run.subject for viewing in viewers} for viewers in viewings.values()]
    everybody, all_films = set.union(*seen), set.intersection(*seen)
    for subject in sorted(everybody - all_films):
        stage.leave_out(subject, "did not see all films; counts in the mean only")
    return tuple(sorted(all_films))


if __name__ == "__main__":
    run_script(main)
