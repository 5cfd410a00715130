"""2. From windows per run to one data set.

Joins the windows of all runs into one memory-mapped array with labels, and a table with the source
of each row. No run is held in memory: each is copied directly to its position.

Reads     1-windows/
Writes    2-dataset/X.npy (n, n_voxels, WINDOW_TRS) float32; y.npy (n,) int8, 1 = first label;
            samples.tsv, one row each
Settings  none
Takes     as long as copying the windows; very little memory
"""

import shutil
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import SAMPLE_COLUMNS
from neuroface.face_study import STUDY, labels_of
from neuroface.pipeline import (
    Section,
    Stage,
    atomic,
    open_npy,
    read_table,
    run_script,
    write_npy,
    write_table,
)

import numpy as np
import pandas as pd
from numpy.lib.format import write_array_header_1_0

COPY_BYTES = 2**20


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 2, cfg, __doc__, reads=(1,))
    files = find_windows(stage.folder_of(1))
    samples = pd.concat([read_samples(file) for file in files], ignore_index=True)
    labels = labels_of(cfg)
    check_labels(samples, cfg.LABELS)

    X_file, y_file, table = (stage.folder / name for name in ("X.npy", "y.npy", "samples.tsv"))

    def join(X_file):
        write_table(table, samples)
        write_npy(y_file, (samples["label"] == labels.first).to_numpy(np.int8))
        join_windows(files, X_file, len(samples))

    stage.each(join, [X_file], "data sets", lambda X_file: (X_file, y_file, table))
    X, y = open_npy(X_file), open_npy(y_file)
    first, second = (title.replace(" ", "-") for title in labels.titles)
    print(
        f"  X {X.shape} {X.dtype}, {X.nbytes / 1e9:.2f} GB; {int(y.sum())} {first}, {int((y == 0).sum())} {second} windows"
    )
    counts = samples.groupby(["movie", "label"]).size().unstack(fill_value=0)[list(labels)]
    people = samples.groupby("movie")["subject"].nunique()
    for movie, (n, m) in counts.iterrows():
        print(f"  {movie}: {people[movie]} people, {n} {first}, {m} {second}")
    stage.finish(
        f"X.npy with {len(y):,} windows", describe_windows(X, counts, people, (first, second))
    )


def find_windows(folder: Path) -> list[Path]:
    """Window files of all runs, people in natural order as script 1 lists them."""
    return sorted(
        folder.glob("sub-*/*_windows.npy"),
        key=lambda p: (len(p.parent.name), p.parent.name, p.name),
    )


def read_samples(file: Path) -> pd.DataFrame:
    """The table of a window file, one row per window."""
    samples, n = read_table(file.with_suffix(".tsv")), len(open_npy(file))
    if list(samples) != SAMPLE_COLUMNS or len(samples) != n:
        raise NeuroFaceError(
            f"{file} holds {n} windows; {file.with_suffix('.tsv').name} has {len(samples)} rows and the columns "
            f"{list(samples)}. Delete both and rerun script 1."
        )
    return samples


def check_labels(samples: pd.DataFrame, labels: tuple[str, str]) -> None:
    """Raise unless there are windows of both labels and of no other label."""
    for label in labels:
        if not (samples["label"] == label).any():
            raise NeuroFaceError(
                f"There is no {label} window. Lower MIN_STRETCH_S, or check the annotations."
            )
    if unknown := sorted(set(samples["label"]) - set(labels)):
        raise NeuroFaceError(
            f"1-windows holds windows with the label {unknown[0]!r}; LABELS = {labels}. Delete 1-windows and rerun script 1."
        )


def join_windows(files: list[Path], target: Path, n: int) -> None:
    """Copy window files (n_i, n_voxels, window_trs) one after another into ``target`` (n, n_voxels, window_trs).

    The bytes after each file's header are copied directly, so no array is created.
    """
    shape = open_npy(files[0]).shape[1:]
    with atomic(target) as partial, open(partial, "wb") as joined:
        write_array_header_1_0(
            joined, {"descr": "<f4", "fortran_order": False, "shape": (n, *shape)}
        )
        for file in files:
            run_windows = open_npy(file)
            if (
                run_windows.shape[1:] != shape
                or run_windows.dtype.str != "<f4"
                or not run_windows.flags.c_contiguous
            ):
                raise NeuroFaceError(
                    f"{file} holds windows of {run_windows.shape[1:]} {run_windows.dtype}, the first run of {shape} "
                    f"float32. Rerun script 1."
                )
            with open(file, "rb") as windows:
                windows.seek(run_windows.offset)
                shutil.copyfileobj(windows, joined, COPY_BYTES)


def describe_windows(
    X: np.ndarray, counts: pd.DataFrame, people: pd.Series, names: tuple[str, str]
) -> Section:
    section = Section(
        "Data set",
        f"X.npy holds {X.shape[0]:,} windows of {X.shape[1]:,} voxels × {X.shape[2]} volumes.",
    )
    rows = [(movie, people[movie], *row) for movie, row in counts.iterrows()]
    columns = ["film or task", "people", *(f"{name} windows" for name in names)]
    section.table(columns, rows, "Windows per film or task")
    return section


if __name__ == "__main__":
    run_script(main)
