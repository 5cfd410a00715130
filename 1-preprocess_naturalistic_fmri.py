"""1. From BOLD and face annotations to labelled windows.

Builds the group mask from the individual masks, and cuts windows of BOLD at the moments when a face has come on the
screen to stay, or has gone for a while. The two classes are balanced within each run by a seeded draw.

Reads     the data set in DATASET_DIR: BOLD and mask per person, annotation per film (NNDb ``.1D``) or run (BIDS
          ``events.tsv``). DATASET = "demo" writes its data set first.
Writes    1-windows/group_mask.nii.gz (x, y, z) uint8; mask_overlap.nii.gz (x, y, z) float32
          1-windows/<sub>/<sub>_task-<movie>_windows.npy (n_windows, n_voxels, WINDOW_TRS) float32, C order of the mask
          1-windows/<sub>/<sub>_task-<movie>_windows.tsv, a row per window
Settings  SEED, EXCLUDE, TR_S, LAG_S, WINDOW_TRS, MIN_STRETCH_S, STANDARDIZE, BALANCE, MASK_THRESHOLD, MASK_FILE,
          FACE_TRIAL_TYPES, NOFACE_TRIAL_TYPES, BIDS_FILTER
Takes     about the time of decompressing the files; memory: one run's voxels × volumes in float32
"""

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from nilearn.masking import intersect_masks

from neuroface import NeuroFaceError, bold, windows
from neuroface.dataset import Run, find_runs
from neuroface.demo import write_demo
from neuroface.files import SAMPLE_COLUMNS, load_mask, read_table, windows_file, write_nifti, write_npy, write_table
from neuroface.report import Section
from neuroface.settings import load_settings
from neuroface.stage import Stage, run_script

SETTINGS = (
    "SEED", "EXCLUDE", "TR_S", "LAG_S", "WINDOW_TRS", "MIN_STRETCH_S", "STANDARDIZE", "BALANCE", "MASK_THRESHOLD",
    "MASK_FILE", "FACE_TRIAL_TYPES", "NOFACE_TRIAL_TYPES", "BIDS_FILTER",
)  # fmt: skip


def main():
    cfg = load_settings(Path(__file__).with_name("config.py"))
    stage = Stage(1, cfg, SETTINGS)
    if cfg.DATASET == "demo" and write_demo(cfg.DATASET_DIR, cfg.ROI_FILE, cfg.SEED):
        print(f"  wrote the demo data set to {cfg.DATASET_DIR}")
    runs, missing = find_runs(cfg.DATASET, cfg.DATASET_DIR, cfg.EXCLUDE, cfg.BIDS_FILTER)
    for what, why in missing:
        stage.leave_out(what, why)

    check_no_strangers(stage.folder, runs)
    plans = {run: plan_windows(run, cfg, stage) for run in runs}  # headers and annotations only: errors come early
    if all(plan.empty for plan in plans.values()):
        raise NeuroFaceError("No run gives a window. Check FACE_TRIAL_TYPES, MIN_STRETCH_S and the annotations.")
    mask, affine = make_group_mask(stage, runs, cfg)
    for run in plans:
        image, shape = bold.open_header(run.bold)
        bold.check_grid(run.bold, shape, image.affine, mask.shape, affine)

    def done(run):
        target = windows_file(stage.folder, run.subject, run.name)
        return target.exists() and target.with_suffix(".tsv").exists()

    def extract(run):
        matrix = bold.read_masked(run.bold, mask, affine)
        if cfg.STANDARDIZE == "zscore":
            bold.zscore(matrix)
        target = windows_file(stage.folder, run.subject, run.name)
        write_npy(target, windows.cut_windows(matrix, plans[run]["first_tr"], cfg.WINDOW_TRS))
        write_table(target.with_suffix(".tsv"), plans[run])

    stage.each(extract, runs, done, "runs")
    stage.finish(f"windows of {len(runs)} runs, {int(mask.sum()):,} voxels", describe(stage, runs, mask))


def check_no_strangers(folder: Path, runs: list[Run]) -> None:
    """Raise if the folder holds windows of runs that the data set no longer has: script 2 would take them in."""
    known = {windows_file(folder, run.subject, run.name) for run in runs}
    for file in sorted(folder.glob("sub-*/*_windows.npy")):
        if file not in known:
            raise NeuroFaceError(
                f"{file} is from a run that the data set does not have (any more). Delete it to go on."
            )


def plan_windows(run: Run, cfg, stage: Stage) -> pd.DataFrame:
    """The run's windows, balanced, those past its end left out; columns as in ``*_windows.tsv``."""
    image, shape = bold.open_header(run.bold)
    bold.check_tr(run.bold, image, cfg.TR_S)
    faces = windows.read_stretches(run.annotation, cfg.FACE_TRIAL_TYPES)
    if not len(faces):
        stage.leave_out(run.name, f"no event of FACE_TRIAL_TYPES = {cfg.FACE_TRIAL_TYPES} in {run.annotation.name}")
    others = windows.read_events(run.annotation, cfg.NOFACE_TRIAL_TYPES) if cfg.NOFACE_TRIAL_TYPES else None
    table = windows.window_table(faces, others, cfg.MIN_STRETCH_S, cfg.TR_S, cfg.LAG_S)
    past_end = table["first_tr"] + cfg.WINDOW_TRS > shape[3]
    if past_end.any():
        stage.leave_out(run.name, f"{past_end.sum()} windows that would run past its {shape[3]} volumes")
    table = table[~past_end]
    if cfg.BALANCE == "run":
        table = windows.balance(table, cfg.SEED, run.name)
    if table.empty and len(faces):
        stage.leave_out(run.name, "no window: it has no stretch of one class that is long enough (see MIN_STRETCH_S)")
    table = table.assign(subject=run.subject, movie=run.movie, run=run.run)
    # The same moment of the same film is one event for all its viewers; BIDS runs have a timing of their own.
    where = run.movie if not run.numbered else f"{run.movie}_run-{run.run}"
    table["event"] = [f"{where}_{row.label}_{row.onset_s:g}s" for row in table.itertuples()]
    return table[SAMPLE_COLUMNS]


def make_group_mask(stage: Stage, runs: list[Run], cfg) -> tuple[np.ndarray, np.ndarray]:
    """The group mask (x, y, z) and its affine: the user's own, or voxels that nearly all people share."""
    target = stage.folder / "group_mask.nii.gz"

    def make(target):
        files = sorted({run.mask for run in runs if run.mask})
        without = sorted({run.subject for run in runs if not run.mask})
        if without and not cfg.MASK_FILE:
            raise NeuroFaceError(f"{without[0]} has no brain mask. Add *_desc-brain_mask.nii.gz, or set MASK_FILE.")
        if cfg.MASK_FILE and not Path(cfg.MASK_FILE).is_file():
            raise NeuroFaceError(f"MASK_FILE = {cfg.MASK_FILE} is not there.")
        masks = [nib.load(f) for f in ([Path(cfg.MASK_FILE)] if cfg.MASK_FILE else files)]
        first = masks[0]
        for file, image in zip(files, masks):
            bold.check_grid(file, image.shape, image.affine, first.shape, first.affine)
        overlap = np.zeros(first.shape, dtype=np.float64)
        for image in masks:
            overlap += np.asarray(image.dataobj) > 0
        group = intersect_masks(masks, threshold=cfg.MASK_THRESHOLD, connected=False).get_fdata()
        if not group.any():
            raise NeuroFaceError(
                f"No voxel lies in more than {cfg.MASK_THRESHOLD:.0%} of the {len(masks)} masks. Lower MASK_THRESHOLD."
            )
        write_nifti(stage.folder / "mask_overlap.nii.gz", (overlap / len(masks)).astype(np.float32), first.affine)
        write_nifti(target, group.astype(np.uint8), first.affine)

    stage.each(make, [target], Path.exists, "masks")
    return load_mask(target)


def describe(stage: Stage, runs: list[Run], mask: np.ndarray) -> Section:
    tables = [read_table(windows_file(stage.folder, r.subject, r.name).with_suffix(".tsv")) for r in runs]
    faces = [int((table["label"] == "face").sum()) for table in tables]
    others = [len(table) - n for table, n in zip(tables, faces)]
    section = Section(
        "Data", "Windows of BOLD cut where a face came on the screen to stay, or where the screen stayed without one."
    )
    section.numbers(
        {
            "people": f"{len({r.subject for r in runs})}",
            "films or tasks": f"{len({r.movie for r in runs})}",
            "voxels": f"{int(mask.sum()):,}",
            "face windows": f"{sum(faces):,}",
            "no-face windows": f"{sum(others):,}",
        }
    )
    rows = [(r.subject, r.movie, r.run, n, m) for r, n, m in zip(runs, faces, others)]
    section.table(["person", "film or task", "run", "face windows", "no-face windows"], rows, "Windows per run")
    return section


if __name__ == "__main__":
    run_script(main)
