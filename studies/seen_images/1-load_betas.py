"""1. From single-trial estimates to training and test patterns.

Reads the responses of early and higher visual cortex to each picture, session by session, and
standardises every voxel on the training trials. Trials of a test image are averaged; an image is
never in both sets, and with SPLIT = "kinds" no kind of image is.

Reads     the data set in DATASET_DIR: NSD, THINGS-fMRI or plain tables. DATASET = "demo" writes its
          data set first. SPLIT = "kinds": also the captions, and the text model in MODEL_DIR
Writes    1-betas/train.npy (n_trials, n_columns) float32; test.npy (n_test_images, n_columns)
            float32
          1-betas/trials.tsv, a row per training trial; test.tsv, a row per test image; voxels.tsv,
            a row per column
          1-betas/unmeasured.tsv, a row per column that is left out, with the sessions that did not
            measure it
          1-betas/kinds.tsv, with SPLIT = "kinds": a row per image, its kind and whether it is held
            out
          1-betas/space.nii.gz (x, y, z) uint8, the columns' voxels, where their positions are known
Settings  SEED, SUBJECT, SESSIONS, BETAS, SPLIT, N_KINDS, HELD_OUT_KINDS, EARLY_ROIS, HIGHER_ROIS,
          STANDARDIZE, SPACE_FILE
Takes     the time of reading the files once; memory: a session's trials, and all patterns on the
          disk twice
``--check``: says what the data set holds and what would stop scripts 1 to 3; writes nothing
"""

from functools import partial
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import write_nifti
from neuroface.pipeline import (
    Checklist,
    Section,
    Stage,
    atomic,
    open_npy,
    run_script,
    write_npy,
    write_table,
)
from seen_images.check import check_study
from seen_images.demo import write_demo
from seen_images.generator import check_weights, model_of
from seen_images.kinds import kinds_of, split_by_kinds
from seen_images.patterns import Scaler, mean_of_repeats, reliability, signal_to_noise, unmeasured
from seen_images.sources import Source, check_sessions, check_trials, open_source
from seen_images.study import STUDY
from seen_images.tables import read_tsv

import numpy as np
import pandas as pd


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 1, cfg, __doc__)
    if cfg.DATASET == "demo" and write_demo(cfg.DATASET_DIR, cfg.SEED):
        print(f"  wrote the demo data set to {cfg.DATASET_DIR}")
    source = open_source(cfg)
    if cfg.SPLIT == "kinds":
        source.trials = split_by_kinds(source.trials, hold_out_kinds(stage, source, cfg))
    check_trials(source.trials)
    if remark := check_sessions(source.trials, cfg.STANDARDIZE):
        print(f"  {remark}")
    sessions = list(source.trials["session"].unique())
    joined = stage.folder / "test.npy"

    read = [file for file in source.files if joined.exists() or is_used(stage.folder, file)]
    stage.take_files(source.files, read)
    stage.each(
        partial(read_session, stage.folder, source), sessions,
        lambda session: joined.exists() or part_file(stage.folder, session).exists(), "sessions",
    )  # fmt: skip
    stage.each(partial(join, stage.folder, source, cfg), [joined], Path.exists, "sets of patterns")

    voxels, lost = read_tsv(stage.folder / "voxels.tsv"), read_tsv(stage.folder / "unmeasured.tsv")
    for (roi, names), n in lost.groupby(["roi", "sessions"], sort=False).size().items():
        stage.leave_out(
            f"{n:,} voxels of {roi}",
            f"not measured in session {names}: their values do not change there",
        )
    if n := int(voxels["constant"].sum()):
        stage.leave_out(f"{n} columns", "never change over the training trials and count as 0")
    train, test = open_npy(stage.folder / "train.npy"), open_npy(joined)
    print(
        f"  {len(train):,} training trials of {trials_of(source, 'train')['image'].nunique():,} images, "
        f"{len(test):,} test images"
    )
    for (part, roi), n in voxels.groupby(["part", "roi"], sort=False).size().items():
        print(f"  {part} {roi}: {n:,} voxels")
    wrote = f"patterns of {len(train):,} trials and {len(test):,} test images, {train.shape[1]:,} voxels"
    stage.finish(wrote, describe(source, voxels, train, test))


def check():
    """``--check``: say what the data set holds, and what would stop scripts 1 to 3. Writes nothing."""
    cfg = STUDY.load_settings(__file__)
    if cfg.DATASET == "demo" and not Path(cfg.DATASET_DIR).exists():
        print("  The demo data set is written by this script; there is nothing to check yet.")
        return
    check_study(Checklist(STUDY, cfg), cfg)


def hold_out_kinds(stage: Stage, source: Source, cfg) -> pd.DataFrame:
    """The table ``kinds.tsv``. Until the settings are stamped it is made again: they may have changed."""
    model, file = model_of(cfg, texts=True), stage.folder / "kinds.tsv"
    check_weights(stage.folder / "generator.json", model, ("text_encoder",), stage.folder)
    if not (file.exists() and stage.is_begun):
        write_table(file, kinds_of(source, model, cfg))
    return read_tsv(file)


def part_file(folder: Path, session: str) -> Path:
    return folder / f"session-{session}.npy"


def session_of(file: Path) -> str:
    """``betas_session03.hdf5`` → ``03``."""
    return file.name.partition("session")[2].partition(".")[0]


def is_used(folder: Path, file: Path) -> bool:
    """Whether a session was read from a file of the data set; a file without a session's number holds all of them."""
    session = session_of(file)
    return (
        part_file(folder, session).exists()
        if session
        else any(folder.glob(part_file(folder, "*").name))
    )


def trials_of(source: Source, split: str) -> pd.DataFrame:
    return source.trials[source.trials["split"] == split]


def read_session(folder: Path, source: Source, session: str) -> None:
    """Write the responses of a session's trials (n_trials, n_columns) float32, as they are."""
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
    trials = source.trials
    parts = {session: part_file(folder, session) for session in trials["session"].unique()}
    columns, kept = leave_out_unmeasured(folder, source.columns, parts)
    is_train = {
        session: (part["split"] == "train").to_numpy()
        for session, part in trials.groupby("session")
    }
    scaler = Scaler(cfg.STANDARDIZE, columns["part"].to_numpy())
    for session, file in parts.items():
        scaler.fit(session, open_npy(file)[is_train[session]][:, kept])

    order = [trials[trials["session"] == session] for session in parts]
    train = pd.concat([part[part["split"] == "train"] for part in order], ignore_index=True)
    test = pd.concat([part[part["split"] == "test"] for part in order], ignore_index=True)
    with atomic(folder / "train.npy") as partial_file:
        written, start = (
            np.lib.format.open_memmap(partial_file, "w+", np.float32, (len(train), len(columns))),
            0,
        )
        test_trials = []
        for session, file in parts.items():
            scaled = scaler.transform(session, open_npy(file)[:, kept])
            written[start : start + is_train[session].sum()] = scaled[is_train[session]]
            start += int(is_train[session].sum())
            test_trials.append(scaled[~is_train[session]])
        written.flush()
        del written
    of_test = np.concatenate(test_trials)
    images, means = mean_of_repeats(of_test, test["image"].to_numpy())
    columns = columns.assign(
        constant=scaler.constant,
        reliability=reliability(of_test, test["image"].to_numpy()),
        ncsnr=signal_to_noise(open_npy(folder / "train.npy"), train["image"].to_numpy()),
    )
    write_table(
        folder / "trials.tsv",
        train[[name for name in ("image", "session", "run") if name in train]],
    )
    write_table(
        folder / "test.tsv",
        pd.DataFrame({"image": images, "trials": test.groupby("image").size()[images].to_numpy()}),
    )
    write_table(folder / "voxels.tsv", columns)
    if source.space is not None and source.positions is not None:
        used = np.zeros(source.space[0], np.uint8)
        used[tuple(source.positions[columns["voxel"]].T)] = 1
        write_nifti(folder / "space.nii.gz", used, source.space[1])
    write_npy(target, scaler.finish_test(means))
    for file in parts.values():
        file.unlink()


def leave_out_unmeasured(
    folder: Path, columns: pd.DataFrame, parts: dict[str, Path]
) -> tuple[pd.DataFrame, np.ndarray | slice]:
    """The columns that every session measured, and which they are of those in the sessions' files; the rest go to a table.

    A column that no session measured stays: it counts as constant.
    """
    missing = pd.DataFrame({session: unmeasured(open_npy(file)) for session, file in parts.items()})
    lost = (missing.any(axis=1) & ~missing.all(axis=1)).to_numpy()
    sessions = [", ".join(missing.columns[row]) for row in missing.to_numpy()[lost]]
    write_table(folder / "unmeasured.tsv", columns[lost].assign(sessions=sessions))
    for (part, roi), group in columns.assign(lost=lost).groupby(["part", "roi"], sort=False):
        if group["lost"].all():
            raise NeuroFaceError(
                f"No voxel of {roi} was measured in every session; unmeasured.tsv lists which lack them. Leave it out of "
                f"{part.upper()}_ROIS, or the sessions out of SESSIONS."
            )
    return columns[~lost].reset_index(drop=True), ~lost if lost.any() else slice(None)


def describe(source: Source, voxels: pd.DataFrame, train: np.ndarray, test: np.ndarray) -> Section:
    images, repeats = (
        trials_of(source, "train")["image"].nunique(),
        trials_of(source, "test").groupby("image").size(),
    )
    within = (
        " of each session"
        if source.cfg.STANDARDIZE == "session" and len(set(source.trials["session"])) > 1
        else ""
    )
    never = "No image is in both sets."
    if source.cfg.SPLIT == "kinds":
        never += (
            f" Test images are all images of {source.cfg.HELD_OUT_KINDS} of {source.cfg.N_KINDS} kinds (clusters of text "
            "embeddings), of which no image is among the training images."
        )
    section = Section(
        "Patterns",
        f"Responses to single trials, standardised on the training trials{within}. {never}",
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
        ratio = group["ncsnr"].median()
        medians = ["n/a" if np.isnan(value) else f"{value:.2f}" for value in (median, ratio)]
        rows.append((part, roi, f"{len(group):,}", *medians))
    caption = (
        "Voxels per region, and two medians over voxels. Reliability: correlation over test images of the means of odd and "
        "of even trials. ncsnr: SD of the signal over SD of a trial's noise, of training images with several trials"
    )
    section.table(["part", "region", "voxels", "reliability", "ncsnr"], rows, caption)
    return section


if __name__ == "__main__":
    run_script(main, check=check)
