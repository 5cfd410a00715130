"""2. From labelled volumes to one data set.

Draws the volumes that are decoded, the same number for every label, and copies their voxels inside
the group mask into one memory-mapped array. Each run is read once, a few volumes at a time.

Reads     1-labels/samples.tsv, the BOLD and masks in DATASET_DIR
Writes    2-dataset/X.npy (n, n_voxels) float32, voxels in C order of the mask; y.npy (n,) int8,
            index of the label in labels.json; samples.tsv, a row per volume; group_mask.nii.gz (x,
            y, z) uint8; mask_overlap.nii.gz float32; mask_costs.tsv, voxels that each person's mask
            takes from the group; where the data have no masks own_masks/
Settings  STANDARDIZE, MIN_PER_CLASS, BALANCE, MASK_THRESHOLD, MASK_FILE
Takes     about the time of decompressing the files; memory: the labelled volumes of one run per job
"""

import shutil
from functools import partial
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import (
    Run,
    check_grid,
    cleaning_lines,
    cleaning_of,
    denoising_of,
    describe_overlap,
    find_runs,
    make_group_mask,
    open_header,
)
from neuroface.pipeline import (
    PARTIAL,
    Section,
    Stage,
    create_npy,
    open_npy,
    read_json,
    read_table,
    run_script,
    write_json,
    write_npy,
    write_table,
)
from volume_study.study import STUDY
from volume_study.volumes import are_of_run, balance, extract_volumes, keep_frequent

import numpy as np
import pandas as pd


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 2, cfg, __doc__, reads=(1,))
    samples = choose_samples(stage, cfg)
    runs = runs_of_samples(samples, cfg)
    X_file, done = stage.folder / "X.npy", stage.folder / f"{PARTIAL}runs"
    finished = [run for run in runs if X_file.exists() or copied_file(done, run).exists()]
    stage.take_files(
        [file for run in runs for file in run.files],
        [file for run in finished for file in run.files],
    )
    mask, affine, computed = make_group_mask(stage, runs, cfg.MASK_THRESHOLD, cfg.MASK_FILE)
    for run in runs:
        image, shape = open_header(run.bold)
        check_grid(run.bold, shape, image.affine, mask.shape, affine)

    cleaning = cleaning_lines(runs, denoising_of(cfg), cfg.DATASET == "bids")
    for line in cleaning:
        print(f"  {line}")
    growing = stage.folder / f"{PARTIAL}X.npy"
    if not X_file.exists() and not growing.exists():
        shutil.rmtree(done, ignore_errors=True)
        create_npy(growing, (len(samples), int(mask.sum())))
    copy = partial(copy_run, growing, done, samples, mask, affine, cfg)
    stage.each(copy, runs, "runs", partial(copied_file, done), joined=lambda run: X_file)
    if growing.exists():
        finish_array(stage, growing, done, X_file)
    for name, n in read_json(stage.folder / "constant_voxels.json").items():
        if n:
            stage.leave_out(
                name,
                f"{n:,} of {int(mask.sum()):,} voxels never change over the run and count as 0",
            )

    labels = sorted(samples["label"].unique())
    write_json(stage.folder / "labels.json", {"labels": labels})
    write_npy(stage.folder / "y.npy", samples["label"].map(labels.index).to_numpy(np.int8))
    write_table(stage.folder / "samples.tsv", samples)
    section = describe_samples(samples, open_npy(X_file), labels, computed, cleaning)
    describe_overlap(section, stage.folder)
    stage.finish(f"X.npy with {len(samples):,} volumes", section)


def choose_samples(stage: Stage, cfg) -> pd.DataFrame:
    """The rows of samples.tsv that are decoded; labels with too few moments are left out, the others are balanced."""
    samples, rare = keep_frequent(read_table(stage.folder_of(1) / "samples.tsv"), cfg.MIN_PER_CLASS)
    for label, n in rare.items():
        stage.leave_out(label, f"{n} moments, fewer than MIN_PER_CLASS = {cfg.MIN_PER_CLASS}")
    n_labelled = len(samples)
    samples = balance(samples, cfg.BALANCE, cfg.MIN_PER_CLASS, cfg.SEED)
    if len(samples) < n_labelled:
        print(f"  {n_labelled:,} volumes, balanced to {len(samples):,}")
    return samples.sort_values(["subject", "run", "tr"], kind="stable", ignore_index=True)


def runs_of_samples(samples: pd.DataFrame, cfg) -> list[Run]:
    """The runs that samples come from, in the order of the data set."""
    runs, _ = find_runs(
        "bids",
        Path(cfg.DATASET_DIR),
        cfg.EXCLUDE,
        cfg.BIDS_FILTER,
        annotated=False,
        raw=cfg.RAW_DIR,
    )
    wanted = set(zip(samples["subject"], samples["movie"], samples["run"]))
    runs = [run for run in runs if (run.subject, run.movie, run.run) in wanted]
    if len(runs) < len(wanted):
        here = {(run.subject, run.movie, run.run) for run in runs}
        raise NeuroFaceError(
            f"{' '.join(sorted(wanted - here)[0])} was labelled and is no longer in {cfg.DATASET_DIR}. Put it back, or "
            f"delete 1-labels and run script 1 again."
        )
    return runs


def copied_file(done: Path, run: Run) -> Path:
    """The note that a run's volumes are in the growing array."""
    return done / f"{run.name}.json"


def copy_run(growing: Path, done: Path, samples: pd.DataFrame, mask, affine, cfg, run: Run) -> None:
    """Write a run's volumes to their rows; the note that the run is finished comes last."""
    of_run = samples[are_of_run(samples, run)]
    cleaning = cleaning_of(run, open_header(run.bold)[1][3], denoising_of(cfg))
    volumes, constant = extract_volumes(
        run, mask, affine, of_run["tr"].to_numpy(), cfg.STANDARDIZE, cleaning
    )
    X = np.lib.format.open_memmap(growing, mode="r+")
    X[of_run.index] = volumes
    X.flush()
    write_json(copied_file(done, run), {"constant_voxels_set_to_0": constant})


def finish_array(stage: Stage, growing: Path, done: Path, target: Path) -> None:
    """Give the complete array its name, and gather what the runs noted."""
    notes = {
        file.stem: read_json(file)["constant_voxels_set_to_0"]
        for file in sorted(done.glob("*.json"))
    }
    write_json(stage.folder / "constant_voxels.json", notes)
    growing.rename(target)
    for file in done.glob("*.json"):
        file.unlink()
    done.rmdir()


def describe_samples(
    samples: pd.DataFrame, X: np.ndarray, labels: list[str], computed: str, cleaning: list[str]
) -> Section:
    print(f"  X {X.shape} {X.dtype}, {X.nbytes / 1e9:.2f} GB")
    lead = "Labelled volumes at the voxels of the group mask, balanced over labels."
    section = Section("Data", " ".join(filter(None, (lead, computed))))
    section.numbers(
        {
            "volumes": f"{len(X):,}",
            "voxels": f"{X.shape[1]:,}",
            "people": f"{samples['subject'].nunique()}",
            "labels": f"{len(labels)}",
            "chance": f"{1 / len(labels):.1%}",
        }
    )
    counts = samples.groupby("label").agg(
        volumes=("tr", "size"),
        moments=("moment", "nunique"),
        events=("event", "nunique"),
        people=("subject", "nunique"),
    )
    rows = [(label, *map(int, row)) for label, row in zip(counts.index, counts.to_numpy())]
    section.table(
        ["label", "volumes", "moments", "blocks or episodes", "people"], rows, "Volumes per label"
    )
    section.table(
        ["cleaning of the BOLD"], [(line,) for line in cleaning], "DENOISE: docs/cleaning.md"
    )
    for label, n, moments, events, people in rows:
        print(f"  {label}: {n:,} volumes, {moments} moments, {events} blocks, {people} people")
    return section


if __name__ == "__main__":
    run_script(main)
