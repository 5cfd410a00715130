"""1. From single-trial estimates to training and test patterns.

Reads the responses of early and higher visual cortex to each picture, session by session, and standardises every voxel on
the training trials. Trials of a test image are averaged; an image is never in both sets.

Reads     the data set in DATASET_DIR: NSD, THINGS-fMRI or plain tables. DATASET = "demo" writes its data set first.
Writes    1-betas/train.npy (n_trials, n_columns) float32; test.npy (n_test_images, n_columns) float32
          1-betas/trials.tsv, a row per training trial; test.tsv, a row per test image; voxels.tsv, a row per column
          1-betas/space.nii.gz (x, y, z) uint8, the columns' voxels, where their positions are known
Settings  SEED, SUBJECT, SESSIONS, BETAS, EARLY_ROIS, HIGHER_ROIS, STANDARDIZE, SPACE_FILE
Takes     the time of reading the files once; memory: a session's trials, and all patterns on the disk twice
"""

from functools import partial
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import write_nifti
from neuroface.pipeline import Section, Stage, atomic, open_npy, run_script, write_npy, write_table
from seen_images.demo import write_demo
from seen_images.patterns import Scaler, mean_of_repeats, reliability
from seen_images.sources import Source, check_sessions, check_trials, open_source
from study import STUDY

import numpy as np
import pandas as pd


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 1, cfg, __doc__)
    if cfg.DATASET == "demo" and write_demo(cfg.DATASET_DIR, cfg.SEED):
        print(f"  wrote the demo data set to {cfg.DATASET_DIR}")
    source = open_source(cfg)
    check_trials(source.trials)
    check_sessions(source.trials, cfg.STANDARDIZE)
    columns = source.columns
    sessions = list(source.trials["session"].unique())
    joined = stage.folder / "test.npy"

    read = [file for file in source.files if joined.exists() or is_used(stage.folder, file)]
    stage.take_files(source.files, read)
    stage.each(
        partial(read_session, stage.folder, cfg), sessions,
        lambda session: joined.exists() or part_file(stage.folder, session).exists(), "sessions",
    )  # fmt: skip
    stage.each(partial(join, stage.folder, source, cfg), [joined], Path.exists, "sets of patterns")

    voxels = pd.read_csv(stage.folder / "voxels.tsv", sep="\t")
    if n := int(voxels["constant"].sum()):
        stage.leave_out(f"{n} columns", "never change over the training trials and count as 0")
    train, test = open_npy(stage.folder / "train.npy"), open_npy(joined)
    print(
        f"  {len(train):,} training trials of {trials_of(source, 'train')['image'].nunique():,} images, "
        f"{len(test):,} test images"
    )
    for (part, roi), n in columns.groupby(["part", "roi"], sort=False).size().items():
        print(f"  {part} {roi}: {n:,} voxels")
    wrote = f"patterns of {len(train):,} trials and {len(test):,} test images, {train.shape[1]:,} voxels"
    stage.finish(wrote, describe(source, voxels, train, test))


def part_file(folder: Path, session: str) -> Path:
    return folder / f"session-{session}.npy"


def session_of(file: Path) -> str:
    """``betas_session03.hdf5`` → ``03``."""
    return file.name.partition("session")[2].partition(".")[0]


def is_used(folder: Path, file: Path) -> bool:
    """Whether a session was read from a file of the data set; a file without a session's number holds all of them."""
    session = session_of(file)
    return part_file(folder, session).exists() if session else any(folder.glob(part_file(folder, "*").name))


def trials_of(source: Source, split: str) -> pd.DataFrame:
    return source.trials[source.trials["split"] == split]


def read_session(folder: Path, cfg, session: str) -> None:
    """Write the responses of a session's trials (n_trials, n_columns) float32, as they are."""
    source = open_source(cfg)
    betas = source.betas(session, source.columns["voxel"].to_numpy())
    if not np.isfinite(betas).all():
        trial, column = np.argwhere(~np.isfinite(betas))[0]
        raise NeuroFaceError(
            f"Session {session}: trial {trial} holds {betas[trial, column]} at voxel {source.columns['voxel'][column]}. "
            f"Leave such voxels out of the regions, or such trials out of the data set."
        )
    write_npy(part_file(folder, session), betas)


def join(folder: Path, source: Source, cfg, target: Path) -> None:
    """Standardise on the training trials, average the test trials, write all of it; then the sessions' files may go."""
    trials, columns = source.trials, source.columns
    parts = {session: part_file(folder, session) for session in trials["session"].unique()}
    is_train = {session: (part["split"] == "train").to_numpy() for session, part in trials.groupby("session")}
    scaler = Scaler(cfg.STANDARDIZE, columns["part"].to_numpy())
    for session, file in parts.items():
        scaler.fit(session, open_npy(file)[is_train[session]])

    order = [trials[trials["session"] == session] for session in parts]
    train = pd.concat([part[part["split"] == "train"] for part in order], ignore_index=True)
    test = pd.concat([part[part["split"] == "test"] for part in order], ignore_index=True)
    with atomic(folder / "train.npy") as partial_file:
        written, start = np.lib.format.open_memmap(partial_file, "w+", np.float32, (len(train), len(columns))), 0
        test_trials = []
        for session, file in parts.items():
            scaled = scaler.transform(session, open_npy(file))
            written[start : start + is_train[session].sum()] = scaled[is_train[session]]
            start += int(is_train[session].sum())
            test_trials.append(scaled[~is_train[session]])
        written.flush()
        del written
    test_trials = np.concatenate(test_trials)
    images, means = mean_of_repeats(test_trials, test["image"].to_numpy())
    columns = columns.assign(constant=scaler.constant, reliability=reliability(test_trials, test["image"].to_numpy()))
    write_table(folder / "trials.tsv", train[[name for name in ("image", "session", "run") if name in train]])
    write_table(
        folder / "test.tsv", pd.DataFrame({"image": images, "trials": test.groupby("image").size()[images].to_numpy()})
    )
    write_table(folder / "voxels.tsv", columns)
    if source.space is not None and source.positions is not None:
        used = np.zeros(source.space[0], np.uint8)
        used[tuple(source.positions[columns["voxel"]].T)] = 1
        write_nifti(folder / "space.nii.gz", used, source.space[1])
    write_npy(target, scaler.finish_test(means))
    for file in parts.values():
        file.unlink()


def describe(source: Source, voxels: pd.DataFrame, train: np.ndarray, test: np.ndarray) -> Section:
    images, repeats = trials_of(source, "train")["image"].nunique(), trials_of(source, "test").groupby("image").size()
    section = Section(
        "Patterns",
        "Responses to single trials, standardised on the training trials. No image is in both sets.",
    )
    section.numbers(
        {
            "training trials": f"{len(train):,}",
            "training images": f"{images:,}",
            "test images": f"{len(test):,}",
            "trials per test image": f"{repeats.min()} to {repeats.max()}"
            if repeats.min() < repeats.max()
            else f"{repeats.min()}",
        }
    )
    rows = []
    for (part, roi), group in voxels.groupby(["part", "roi"], sort=False):
        median = group["reliability"].median()
        rows.append((part, roi, f"{len(group):,}", "n/a" if np.isnan(median) else f"{median:.2f}"))
    caption = "Voxels per region, and the median correlation over test images of the means of odd and of even trials"
    section.table(["part", "region", "voxels", "reliability"], rows, caption)
    return section


if __name__ == "__main__":
    run_script(main)
