"""6. Which voxels and regions do the decoded latents depend on?

Integrated Gradients attribute to voxels how far the decoded latents point to the picture that was
seen, and, for every attribute in ATTRIBUTES, to what it has (its colour, say). Each region is also
left out, and two-way identification of the decoded latents is scored again.

Reads     1-betas/, 2-embeddings/, 3-decoders/
Writes    6-attributions/{image,text,clip}_<direction>.npy (n_test_images, n_columns of that part)
            float32
          6-attributions/voxels.tsv, mean and mean absolute attributions per column; regions.tsv;
            left_out.tsv; checks.json
          6-attributions/{image,text,clip}_<direction>.nii.gz (x, y, z, 2) float32, both means, where
            positions are known
Settings  IMAGE_DECODER, TEXT_DECODER, ATTRIBUTES, IG_STEPS, N_BOOTSTRAP
Takes     IG_STEPS forward and backward passes per test image and direction; INFERENCE_BATCH passes
          at once
"""

from functools import partial
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import read_mask, unmask, write_nifti
from neuroface.pipeline import (
    Rules,
    Stage,
    did_you_mean,
    only_more,
    open_npy,
    run_script,
    write_json,
    write_npy,
    write_table,
)
from seen_images.attribution import directions, integrated_gradients, unit, without_regions
from seen_images.attribution_report import checks_of, describe_attributions
from seen_images.devices import device_of, share_cores
from seen_images.finite import check_finite
from seen_images.latents import PART_OF, Problem, decoder_file, drawn_name, open_problem, targets_of
from seen_images.networks import load_decoder
from seen_images.scores import (
    bootstrap_times,
    interval_of_mean,
    interval_of_share,
    similarity,
    two_way_influence,
)
from seen_images.study import STUDY
from seen_images.training import predict
from seen_images.tsv import read_tsv

import numpy as np
import pandas as pd

SEEN = "seen"  # the direction of the picture that was seen
RULES = Rules(growing={"ATTRIBUTES": only_more}, remade=("N_BOOTSTRAP",))


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 6, cfg, __doc__, reads=(1, 2, 3), rules=RULES)
    folders = [stage.folder_of(number) for number in (1, 2, 3, 6)]
    check_attributes(read_tsv(folders[1] / "attributes.tsv"), cfg)

    units = [
        (target, direction) for target in targets_of(cfg) for direction in (SEEN, *cfg.ATTRIBUTES)
    ]
    stage.each(
        partial(explain, folders, cfg),
        units,
        "targets × directions",
        partial(explained_files, stage.folder),
    )
    left_out = stage.folder / "left_out.tsv"
    left_out.unlink(missing_ok=True)
    stage.each(partial(leave_out_regions, folders, cfg), [left_out], "tables of regions left out")

    voxels = columns_with_means(folders, units)
    write_table(stage.folder / "voxels.tsv", voxels)
    write_maps(folders, units, voxels)
    checks = checks_of(stage.folder, units, voxels, cfg)
    write_json(stage.folder / "checks.json", checks)
    section = describe_attributions(stage.folder, units, voxels, read_tsv(left_out), checks, cfg)
    stage.finish(f"attributions of {len(units)} directions", section)


def check_attributes(table: pd.DataFrame, cfg) -> None:
    known = [name for name in table if name != "image"]
    for name in cfg.ATTRIBUTES:
        if name not in known:
            there = f"There are {', '.join(known)}" if known else "The data set has none"
            raise NeuroFaceError(f"ATTRIBUTES names {name!r}{did_you_mean(name, known)}. {there}.")


def maps_file(folder: Path, unit: tuple[str, str]) -> Path:
    return folder / f"{'_'.join(unit)}.npy"


def explained_files(folder: Path, unit: tuple[str, str]) -> list[Path]:
    """The files that :func:`explain` writes: the maps, and how well they sum to what they explain."""
    maps = maps_file(folder, unit)
    return [maps, maps.with_suffix(".tsv")]


def explain(folders: list[Path], cfg, unit_of_work: tuple[str, str]) -> None:
    """Write the attributions of one target along one direction, and how well they sum to what they explain."""
    target, direction = unit_of_work
    share_cores(cfg.N_JOBS)
    problem = open_problem(folders[0], folders[1], target)
    decoder = load_decoder(
        decoder_file(folders[2], target, drawn_name(target, cfg), ".safetensors")
    )
    if direction == SEEN:
        along = unit(problem.truth - problem.mean)
    else:
        along = attribute_directions(folders[1], problem, direction)
    known = np.isfinite(along).all(axis=1)
    maps, gains = np.full_like(problem.test, np.nan), np.full(len(problem.test), np.nan)
    device = device_of(cfg.DEVICE)
    maps[known], gains[known] = integrated_gradients(
        decoder, problem.test[known], along[known], cfg.IG_STEPS, cfg.INFERENCE_BATCH, device
    )
    check_finite(
        maps[known],
        f"Script 6, attributions of {target} along {direction}",
        "The decoder's weights or the patterns are damaged: delete its files in 3-decoders and run script 3 again.",
    )
    gaps = pd.DataFrame(
        {
            "image": problem.test_images,
            "gain": gains,
            "gap": gains - maps.sum(axis=1, dtype=np.float64),
        }
    )
    write_table(maps_file(folders[3], unit_of_work).with_suffix(".tsv"), gaps)
    write_npy(maps_file(folders[3], unit_of_work), maps)


def attribute_directions(embeddings: Path, problem: Problem, name: str) -> np.ndarray:
    """Direction (n_test_images, n_outputs) of each test image's value of an attribute; NaN where it has none."""
    images = read_tsv(embeddings / "images.tsv")
    values = (
        read_tsv(embeddings / "attributes.tsv")
        .set_index("image")[name]
        .astype(str)
        .reindex(images["image"])
    )
    split = images["split"].to_numpy()
    return directions(problem.targets, values[split == "train"], values[split == "test"])


def leave_out_regions(folders: list[Path], cfg, target_file: Path) -> None:
    """Write two-way identification of the decoded latents with each region's voxels at the training mean."""
    rows, times = [], None
    for target in targets_of(cfg):
        problem = open_problem(folders[0], folders[1], target)
        decoder = load_decoder(
            decoder_file(folders[2], target, drawn_name(target, cfg), ".safetensors")
        )

        def identify(patterns, problem=problem, decoder=decoder):
            decoded = predict(decoder, patterns, cfg.INFERENCE_BATCH)
            return two_way_influence(
                similarity(decoded - problem.mean, problem.truth - problem.mean)
            )

        scores = without_regions(problem.test, problem.voxels["roi"].to_numpy(), identify)
        times = (
            bootstrap_times(len(problem.test), cfg.N_BOOTSTRAP, cfg.SEED)
            if times is None
            else times
        )
        for roi, values in scores.items():
            change = interval_of_mean(values - scores[""], times)
            rows.append((target, roi or "none", *interval_of_share(values), *change))
    columns = [
        "target",
        "roi_left_out",
        "identification",
        "low",
        "high",
        "change",
        "change_low",
        "change_high",
    ]
    write_table(target_file, pd.DataFrame(rows, columns=columns))


def columns_with_means(folders: list[Path], units: list[tuple[str, str]]) -> pd.DataFrame:
    """``voxels.tsv`` of script 1 with the mean and the mean absolute attribution of each column."""
    voxels = read_tsv(folders[0] / "voxels.tsv")
    for target, direction in units:
        maps = open_npy(maps_file(folders[3], (target, direction)))
        rows = voxels["part"] == PART_OF[target]
        voxels.loc[rows, f"{target}_{direction}_mean"] = np.nanmean(maps, axis=0)
        voxels.loc[rows, f"{target}_{direction}_absolute"] = np.nanmean(np.abs(maps), axis=0)
    return voxels


def write_maps(folders: list[Path], units: list[tuple[str, str]], voxels: pd.DataFrame) -> None:
    """The means as NIfTI files on the grid of the data, if it is known; a voxel of two regions gets the sum."""
    if not (space := folders[0] / "space.nii.gz").exists():
        return
    mask, affine = read_mask(space)
    for target, direction in units:
        maps = np.zeros((*mask.shape, 2))
        names = [f"{target}_{direction}_{which}" for which in ("mean", "absolute")]
        used = voxels.dropna(subset=names)
        for volume, name in enumerate(names):
            np.add.at(maps[..., volume], tuple(used[list("ijk")].to_numpy(int).T), used[name])
        write_nifti(
            folders[3] / f"{target}_{direction}.nii.gz", unmask(maps[mask], mask), affine, tr_s=1.0
        )


if __name__ == "__main__":
    run_script(main)
