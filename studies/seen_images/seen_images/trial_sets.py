"""From the files of a person's sessions to training and test patterns: voxels that are kept, standardised trials, means."""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import write_nifti
from neuroface.pipeline import atomic, create_npy, open_npy, write_npy, write_table
from seen_images.patterns import Scaler, mean_of_repeats, reliability, signal_to_noise, unmeasured
from seen_images.sources import TEST, TRAIN, UNUSED, Source

import numpy as np
import pandas as pd

ALL_VOXELS = "all-voxels.npy"  # the training trials before voxels are chosen


def session_file(folder: Path, session: str) -> Path:
    return folder / f"session-{session}.npy"


def set_files(folder: Path, *, is_tested: bool) -> list[Path]:
    """Files of a person's training and test patterns.

    Parameters
    ----------
    is_tested : whether the person has test images.
    """
    names = ["trials.tsv", "voxels.tsv", "train.npy"]
    names += ["test_trials.tsv", "test_trials.npy", "test.tsv", "test.npy"] * is_tested
    return [folder / name for name in names]


def sessions_of(trials: pd.DataFrame) -> list[str]:
    """Sessions with training or test trials."""
    return list(trials["session"][trials["split"] != UNUSED].unique())


def read_session(folder: Path, source: Source, session: str) -> None:
    """Write the responses of all trials of a session (n_trials, n_columns) float32, as they are.

    Raises
    ------
    NeuroFaceError
        If a response is not finite.
    """
    betas = source.betas(session, source.columns["voxel"].to_numpy())
    if not np.isfinite(betas).all():
        trial, column = np.argwhere(~np.isfinite(betas))[0]
        raise NeuroFaceError(
            f"Session {session}: trial {trial} holds {betas[trial, column]} at voxel {source.columns['voxel'][column]}. "
            f"Leave such voxels out of the regions, or such trials out of the data set."
        )
    write_npy(session_file(folder, session), betas)


def write_sets(folder: Path, source: Source, cfg, *, is_tested: bool) -> None:
    """Standardise on the training trials, choose voxels, average the test trials, write all of it."""
    trials = source.trials
    files = {session: session_file(folder, session) for session in sessions_of(trials)}
    columns, measured = leave_out_unmeasured(folder, source.columns, files)
    split = {session: trials["split"][trials["session"] == session].to_numpy() for session in files}
    scaler = Scaler(cfg.STANDARDIZE, columns["part"].to_numpy())
    for session, file in files.items():
        scaler.fit(session, open_npy(file)[split[session] == TRAIN][:, measured])
    in_order = pd.concat([trials[trials["session"] == session] for session in files])
    train, test = (in_order[in_order["split"] == name] for name in (TRAIN, TEST))

    with atomic(folder / ALL_VOXELS) as partial:
        written, start, tests = create_npy(partial, (len(train), len(columns))), 0, []
        for session, file in files.items():
            used = split[session] != UNUSED
            scaled = scaler.transform(session, open_npy(file)[used][:, measured])
            is_train = split[session][used] == TRAIN
            end = start + int(is_train.sum())
            written[start:end] = scaled[is_train]
            tests.append(scaled[~is_train])
            start = end
        written.flush()
        del written
    of_test = np.concatenate(tests)
    columns = columns.assign(
        constant=scaler.constant,
        reliability=reliability(of_test, test["image"].to_numpy()),
        ncsnr=signal_to_noise(open_npy(folder / ALL_VOXELS), train["image"].to_numpy()),
    )
    kept = reliable(columns, cfg.MIN_NCSNR)
    write_table(folder / "unreliable.tsv", columns[~kept])
    choose_columns(folder / ALL_VOXELS, folder / "train.npy", kept)
    write_table(folder / "trials.tsv", _names(train))
    write_table(folder / "voxels.tsv", columns[kept])
    if is_tested:
        write_space(folder, source, columns[kept])
        write_test(folder, test, of_test, scaler, kept)


def write_test(
    folder: Path, test: pd.DataFrame, of_test: np.ndarray, scaler: Scaler, kept: np.ndarray
) -> None:
    """The test trials, and their means over the trials of an image, ``test.npy`` last."""
    images, means = mean_of_repeats(of_test, test["image"].to_numpy())
    means, of_test = scaler.finish_test(means, of_test)
    write_table(folder / "test_trials.tsv", _names(test))
    write_npy(folder / "test_trials.npy", of_test[:, kept])
    n_trials = test.groupby("image").size()[images].to_numpy()
    write_table(folder / "test.tsv", pd.DataFrame({"image": images, "trials": n_trials}))
    write_npy(folder / "test.npy", means[:, kept])


def _names(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[[name for name in ("image", "session", "run") if name in trials]]


def reliable(columns: pd.DataFrame, least: float) -> np.ndarray:
    """Which columns (n,) have an ncsnr of at least ``least``; with 0 all have, also where it is not known.

    Raises
    ------
    NeuroFaceError
        If no training image has two trials, or a region has no such voxel.
    """
    if least == 0:
        return np.ones(len(columns), dtype=bool)
    if columns["ncsnr"].isna().all():
        raise NeuroFaceError(
            f"MIN_NCSNR = {least:g}, and no training image has two trials: the reliability of voxels is not known. Set it "
            "to 0."
        )
    kept = (columns["ncsnr"] >= least).to_numpy()
    for (part, roi), group in columns.assign(kept=kept).groupby(["part", "roi"], sort=False):
        if not group["kept"].any():
            raise NeuroFaceError(
                f"MIN_NCSNR = {least:g} leaves no voxel of {roi}: its largest ncsnr is {group['ncsnr'].max():.3f}. Set a "
                f"smaller MIN_NCSNR, or leave {roi} out of {part.upper()}_ROIS."
            )
    return kept


def choose_columns(source: Path, target: Path, kept: np.ndarray, rows_at_once: int = 1000) -> None:
    """Write the columns ``kept`` of a matrix to another file, and remove the matrix."""
    if kept.all():
        source.rename(target)
        return
    matrix = open_npy(source)
    with atomic(target) as partial:
        written = create_npy(partial, (len(matrix), int(kept.sum())))
        for start in range(0, len(matrix), rows_at_once):
            written[start : start + rows_at_once] = matrix[start : start + rows_at_once][:, kept]
        written.flush()
        del written
    source.unlink()


def write_space(folder: Path, source: Source, columns: pd.DataFrame) -> None:
    """``space.nii.gz``, the voxels of the columns, where their places are known."""
    if source.space is None or source.positions is None:
        return
    used = np.zeros(source.space[0], np.uint8)
    used[tuple(source.positions[columns["voxel"]].T)] = 1
    write_nifti(folder / "space.nii.gz", used, source.space[1])


def leave_out_unmeasured(
    folder: Path, columns: pd.DataFrame, files: dict[str, Path]
) -> tuple[pd.DataFrame, np.ndarray | slice]:
    """The columns that every session measured, and which they are of those in the sessions' files; the rest go to a table.

    A column that no session measured stays: it counts as constant.
    """
    missing = pd.DataFrame({session: unmeasured(open_npy(file)) for session, file in files.items()})
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
