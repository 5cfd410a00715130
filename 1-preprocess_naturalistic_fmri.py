"""1. From BOLD and annotations to labelled windows.

Builds the group mask from the individual masks. Cuts a window of BOLD at the start of every long
stretch of the first of LABELS (by default a face on the screen) and of the second. A seeded random
draw balances the two classes within each run. With ``--check`` it only says what the data set
holds, and what would stop scripts 1 to 3. With ``--participants sub-01 …`` it cuts the windows of
these people only, also at the same time as other runs of it cut those of others; a last run without
it completes the folder.

Reads     the data set in DATASET_DIR: BOLD and mask per person, annotation per film (NNDb ``.1D``)
          or run (BIDS ``events.tsv``). DATASET = "demo" writes its data set first.
Writes    1-windows/group_mask.nii.gz (x, y, z) uint8; mask_overlap.nii.gz (x, y, z) float32, share
            of people per voxel; mask_costs.tsv, voxels that each person's mask takes from the
            group; where the data have no masks own_masks/; of BOLD on the cortical surface the
            group mask as .dscalar.nii or .shape.gii, and mesh_hemi-<L or R>.surf.gii
          1-windows/<sub>/<sub>_task-<movie>_windows.npy (n_windows, n_voxels, WINDOW_TRS) float32,
            C order of the mask
          1-windows/<sub>/<sub>_task-<movie>_windows.tsv, one row per window
          1-windows/film_regressors.tsv, what else the film shows in each window, where the runs
            have film regressors
Settings  SEED, EXCLUDE, INCLUDE, TR_S, LAG_S, WINDOW_TRS, MIN_STRETCH_S, STANDARDIZE, DENOISE,
          HIGH_PASS_HZ, SMOOTHING_MM, BALANCE, MATCH_ON, MATCH_WITHIN_SD, MASK_THRESHOLD, MASK_FILE,
          LABELS, LABEL_EVENTS, EVENT_COLUMN, JOIN_GAP_S, FILM_EVENT, BIDS_FILTER, NNDB_VARIANT
Takes     about as long as decompressing the files; memory: under 300 MB per job for any length of
          run
"""

from functools import partial
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import (
    SAMPLE_COLUMNS,
    Run,
    ambiguous_windows,
    check_distinct,
    check_grid,
    check_pauses,
    check_shared_space,
    check_tr,
    cleaning_lines,
    cleaning_of,
    denoising_of,
    describe_overlap,
    describe_pauses,
    event_names,
    events_of,
    extract_windows,
    first_tr,
    first_volume_s,
    in_series_s,
    joined_trials,
    make_group_mask,
    open_header,
    read_censor,
    spans_break,
    stretches_of_labels,
    whole_windows,
    window_table,
    windows_file,
    write_parcel_names,
    write_surface_space,
)  # fmt: skip
from neuroface.decoding import impossible_splits
from neuroface.face_study import (
    STUDY,
    FaceSettings,
    check_clock,
    check_study,
    choose_windows,
    describe_annotations,
    describe_balance,
    design_of,
    early_windows,
    fold_settings,
    label_events,
    labels_of,
    runs_of,
    why_no_window,
    window_regressors,
    with_kept,
    with_splits,
    write_demo,
    write_window_regressors,
)
from neuroface.pipeline import (
    Section,
    Stage,
    all_exist,
    read_json,
    read_table,
    run_script,
    write_json,
    write_table,
)

import numpy as np
import pandas as pd


def main(participants: tuple[str, ...] = ()):
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 1, cfg, __doc__, shared=bool(participants))
    if cfg.DATASET == "demo" and cfg.ROI_FILE is not None:
        if write_demo(cfg.DATASET_DIR, cfg.ROI_FILE, cfg.SEED):
            print(f"  wrote the demo data set to {cfg.DATASET_DIR}")
    runs, missing = runs_of(cfg)
    for item, why in missing:
        stage.leave_out(item, why)
    for line in describe_annotations(runs, cfg):
        print(f"  {line}")
    check_distinct(runs)
    check_shared_space(runs, cfg.SPACE)

    used = [run.mask for run in runs if run.mask and (stage.folder / "group_mask.nii.gz").exists()]
    used += [file for run in runs if all_exist(cut_files(stage.folder, run)) for file in run.files]
    stage.take_files([file for run in runs for file in run.files], used)
    planned = {
        run: plan_windows(run, cfg, stage) for run in runs
    }  # reads only headers and annotations: early errors
    plans = with_events({run: plan for run, (plan, _) in planned.items()})
    if all(plan.empty for plan in plans.values()):
        raise NeuroFaceError(why_no_window(runs, cfg))
    name_splits(stage, pd.concat(plans.values(), ignore_index=True), cfg)
    cleaning = cleaning_lines(runs, denoising_of(cfg), cfg.DATASET == "bids", design_of(runs, cfg))
    for line in (*describe_trials(runs, cfg), *describe_pauses(runs), *cleaning):
        print(f"  {line}")
    mask, affine, computed = make_group_mask(stage, runs, cfg.MASK_THRESHOLD, cfg.MASK_FILE)
    write_places(stage, runs, mask, cfg)
    for run in plans:
        image, shape = open_header(run.bold)
        check_grid(run.bold, shape, image.affine, mask.shape, affine)

    cut = partial(cut_windows, stage.folder, plans, mask, affine, cfg)
    if participants:
        cut_participants(stage, cut, runs, participants)
        return
    stage.each(cut, runs, "runs", partial(cut_files, stage.folder))
    regressors_of_runs = [regressors for _, regressors in planned.values()]
    if problem := write_window_regressors(stage.folder, regressors_of_runs):
        stage.leave_out("film regressors", problem)
    name_constant_voxels(stage, runs, int(mask.sum()))
    section = describe_runs(stage, runs, mask, computed, cleaning, cfg)
    stage.finish(f"windows of {len(runs)} runs, {int(mask.sum()):,} voxels", section)


def write_places(stage: Stage, runs: list[Run], mask: np.ndarray, cfg: FaceSettings) -> None:
    """Write what the voxels are, where they are parcels or vertices."""
    write_parcel_names(stage.folder, runs, mask)
    write_surface_space(stage, runs, mask, Path(cfg.DATASET_DIR))


def cut_participants(stage: Stage, cut, runs: list[Run], participants: tuple[str, ...]) -> None:
    """``--participants``: cut the runs of some people, beside other runs of this script that cut those of others."""
    if lost := set(participants) - {run.subject for run in runs}:
        raise NeuroFaceError(
            f"{sorted(lost)[0]} has no run that can be used; if it was left out, the reason is above."
        )
    stage.share()
    theirs = [run for run in runs if run.subject in participants]
    stage.each(cut, theirs, "runs", partial(cut_files, stage.folder))
    print(
        f"  runs cut for these people: {len(theirs)}. When all people are done, run: python {stage.script}"
    )


def check():
    """``--check``: say what the data set holds, and what would stop scripts 1 to 3. Writes nothing."""
    cfg = STUDY.load_settings(__file__)
    if cfg.DATASET == "demo" and not Path(cfg.DATASET_DIR).exists():
        print("  The demo data set is written by this script; there is nothing to check yet.")
        return
    check_study(cfg, plan_windows, with_events, describe_trials)


def plan_windows(
    run: Run, cfg: FaceSettings, stage: Stage
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The run's windows after balancing, without those past its end, columns as in ``*_windows.tsv``; and all windows."""
    image, shape = open_header(run.bold)
    if remark := check_tr(run, image, shape[3], cfg.TR_S):
        print(f"  {run.name}: {remark}")
    first_s = first_volume_s(run, shape[3], cfg.TR_S)
    if first_s:
        source = f"its sidecar{' and FILM_EVENT' if run.film else ''}"
        print(
            f"  {run.name}: its first volume shows second {first_s:.2f} of the film or run, by {source}"
        )
    for remark in check_clock(run, shape[3], cfg):
        stage.leave_out(run.name, remark)
    labels, (first, second) = labels_of(cfg), stretches_of_labels(run, label_events(cfg))
    for label, stretches in zip(labels, (first, second)):
        if stretches is not None and not len(stretches):
            events = " or ".join(map(repr, cfg.LABEL_EVENTS[label]))
            there = (
                f"; it has {', '.join(map(repr, names))}"
                if (names := event_names(run, cfg.EVENT_COLUMN))
                else ""
            )
            stage.leave_out(
                run.name,
                f"its annotation has no event {events}, which LABEL_EVENTS gives for {label!r}{there}",
            )
    lag_s = cfg.LAG_S - first_s
    table = window_table(first, second, labels, cfg.MIN_STRETCH_S, cfg.TR_S, lag_s)
    check_pauses(run, shape[3])
    table["first_tr"] = first_tr(in_series_s(run, table["onset_s"], cfg.TR_S), cfg.TR_S, lag_s)
    both = ambiguous_windows(table, first, second, labels, cfg.WINDOW_TRS * cfg.TR_S)
    if both.any():
        stage.leave_out(
            run.name,
            f"{both.sum()} windows in which {labels.first!r} and {labels.second!r} overlap",
        )
        table = table[~both]
    table = whole_and_clean(run, table, shape[3], cfg, stage)
    n_trs = len(read_censor(run.censor, shape[3]))
    windows, regressors = table, window_regressors(run, table, n_trs, shape[3], cfg)
    if cfg.BALANCE == "run":
        table = choose_windows(table, regressors, labels, run.name, cfg)
    if len(table) < len(windows):
        print(
            f"  {run.name}: {len(windows)} windows, {'matched' if cfg.MATCH_ON else 'balanced'} to {len(table)}"
        )
    if table.empty and len(first):
        stage.leave_out(
            run.name,
            "no window: it has no stretch of one class that is long enough (see MIN_STRETCH_S)",
        )
    table = table.assign(subject=run.subject, movie=run.movie, run=run.run, stimulus=run.stimulus)
    return table, with_kept(windows, regressors, table, run)


def whole_and_clean(
    run: Run, table: pd.DataFrame, n_volumes: int, cfg, stage: Stage
) -> pd.DataFrame:
    """The windows that lie within the scan and touch no volume that is left out; the others are counted."""
    kept = read_censor(run.censor, n_volumes)
    past_end = table["first_tr"] + cfg.WINDOW_TRS > len(kept)
    if past_end.any():
        stage.leave_out(
            run.name, f"{past_end.sum()} windows that would run past its {len(kept)} volumes"
        )
    before_start = table["first_tr"] < 0
    if before_start.any():
        stage.leave_out(
            run.name, f"{before_start.sum()} windows that would begin before its first volume"
        )
    whole = table["first_tr"].isin(whole_windows(kept, cfg.WINDOW_TRS)[0])
    if n := (~whole & ~past_end & ~before_start).sum():
        stage.leave_out(
            run.name,
            f"{n} windows that touch one of the {(~kept).sum()} volumes censored for motion",
        )
    broken = spans_break(run, table["first_tr"], cfg.WINDOW_TRS) & whole
    if broken.any():
        stage.leave_out(
            run.name, f"{broken.sum()} windows that span a break of the scan: the film was paused"
        )
    cleaning = cleaning_of(run, n_volumes, denoising_of(cfg))
    starts, volumes = whole_windows(kept, cfg.WINDOW_TRS)
    scrubbed = table["first_tr"].isin(starts[~cleaning.keeps(volumes, cfg.WINDOW_TRS)])
    scrubbed &= ~broken
    if scrubbed.any():
        stage.leave_out(run.name, f"{scrubbed.sum()} windows that touch one of {cleaning.lost}")
    return table[whole & ~broken & ~scrubbed].reset_index(drop=True)


def with_events(plans: dict[Run, pd.DataFrame]) -> dict[Run, pd.DataFrame]:
    """The plans with the column event and the columns of ``*_windows.tsv`` only."""
    events = events_of(pd.concat(plans.values(), ignore_index=True)).to_numpy()
    ends = np.cumsum([len(plan) for plan in plans.values()])
    return {
        run: plan.assign(event=events[end - len(plan) : end])[SAMPLE_COLUMNS]
        for (run, plan), end in zip(plans.items(), ends)
    }


def name_splits(stage: Stage, samples: pd.DataFrame, cfg) -> None:
    """Say which splits script 3 will use, and which of CV_SPLITS these windows do not allow."""
    cfg = with_splits(cfg, samples)
    if cfg.splits_why:
        print(f"  {cfg.splits_why}")
    for split, why in impossible_splits(samples, cfg.CV_SPLITS, fold_settings(cfg)).items():
        stage.leave_out(f"{split} folds", f"script 3 will stop: {why}")


def cut_windows(
    folder: Path,
    plans: dict[Run, pd.DataFrame],
    mask: np.ndarray,
    affine: np.ndarray,
    cfg: FaceSettings,
    run: Run,
) -> None:
    """Write a run's windows and their table."""
    target = windows_file(folder, run.subject, run.name)
    first_volumes = volumes_of(plans[run], run, cfg)
    cleaning = cleaning_of(run, open_header(run.bold)[1][3], denoising_of(cfg))
    constant = extract_windows(
        target, run.bold, mask, affine, first_volumes, cfg.WINDOW_TRS, cfg.STANDARDIZE, cleaning
    )
    taken = {
        "taken_from_bold": cleaning.removed,
        "why": cleaning.reason,
        "scrubbed_volumes": cleaning.n_scrubbed,
        "volumes_before_steady_state": cleaning.n_before,
    }
    write_json(target.with_suffix(".json"), {"constant_voxels_set_to_0": constant} | taken)
    write_table(target.with_suffix(".tsv"), plans[run])


def cut_files(folder: Path, run: Run) -> list[Path]:
    """The files that :func:`cut_windows` writes."""
    target = windows_file(folder, run.subject, run.name)
    return [target.with_suffix(suffix) for suffix in (".npy", ".json", ".tsv")]


def volumes_of(plan: pd.DataFrame, run: Run, cfg: FaceSettings) -> np.ndarray:
    """Volume of the series at which each window starts; ``first_tr`` also counts the censored TRs of the film."""
    kept = read_censor(run.censor, open_header(run.bold)[1][3])
    first_tr, first_volume = whole_windows(kept, cfg.WINDOW_TRS)
    return first_volume[np.searchsorted(first_tr, plan["first_tr"])]


def name_constant_voxels(stage: Stage, runs: list[Run], n_voxels: int) -> None:
    for run in runs:
        constant = read_json(windows_file(stage.folder, run.subject, run.name).with_suffix(".json"))
        if n := constant["constant_voxels_set_to_0"]:
            stage.leave_out(
                run.name,
                f"{n:,} of {n_voxels:,} voxels never change over the run and count as 0",
            )


def describe_trials(runs: list[Run], cfg: FaceSettings) -> list[str]:
    names = [name for names in cfg.LABEL_EVENTS.values() for name in names]
    return list(
        filter(
            None, [joined_trials(runs, names, cfg.EVENT_COLUMN, cfg.JOIN_GAP_S, cfg.MIN_STRETCH_S)]
        )
    )


def in_short(section: Section, cfg: FaceSettings) -> str:
    """What is decoded, for the first screen of the report."""
    people, films, _, *windows = section.blocks[0]["values"].items()
    counts = " and ".join(f"{n} {name}" for name, n in windows)
    return (
        f"Decoded from the BOLD of {people[1]} people ({films[0]}: {films[1]}): {counts} of {cfg.WINDOW_TRS} volumes "
        f"({cfg.WINDOW_TRS * cfg.TR_S:g} s), each {cfg.LAG_S:g} s after what was on the screen."
    )


def windows_per_run(
    runs: list[Run], counts: list[tuple[int, ...]], labels
) -> tuple[list[str], list[tuple], str]:
    """Columns, rows and caption of a table with a row per person and a column per run's name."""
    names = list(dict.fromkeys(run.name.removeprefix(f"{run.subject}_") for run in runs))
    cells = {
        (run.subject, run.name.removeprefix(f"{run.subject}_")): " + ".join(map(str, n))
        for run, n in zip(runs, counts)
    }
    people = list(dict.fromkeys(run.subject for run in runs))
    rows = [(person, *(cells.get((person, name), "") for name in names)) for person in people]
    both = " + ".join(title.replace(" ", "-") for title in labels.titles)
    return ["person", *names], rows, f"Windows of each person and run: {both}"


def describe_runs(
    stage: Stage,
    runs: list[Run],
    mask: np.ndarray,
    computed: str,
    cleaning: list[str],
    cfg: FaceSettings,
) -> Section:
    labels = labels_of(cfg)
    names = [f"{title.replace(' ', '-')} windows" for title in labels.titles]
    tables = [
        read_table(windows_file(stage.folder, r.subject, r.name).with_suffix(".tsv")) for r in runs
    ]
    counts = [tuple(int((table["label"] == label).sum()) for label in labels) for table in tables]
    first, second = (labels.of(label).is_there for label in labels)
    shown = f"Windows of BOLD, cut where {first}, and where {second}."
    lead = (
        shown,
        early_windows(runs, tables, cfg),
        *describe_trials(runs, cfg),
        *describe_pauses(runs),
    )
    section = Section("Data", " ".join(filter(None, (*lead, computed))))
    section.numbers(
        {
            "people": f"{len({r.subject for r in runs})}",
            "films or tasks": f"{len({r.movie for r in runs})}",
            "voxels": f"{int(mask.sum()):,}",
        }
        | {name: f"{sum(n_of_runs):,}" for name, n_of_runs in zip(names, zip(*counts))}
    )
    section.first.text(in_short(section, cfg))
    section.table(*windows_per_run(runs, counts, labels))
    section.table(
        ["cleaning of the BOLD"], [(line,) for line in cleaning], "DENOISE: docs/cleaning.md"
    )
    describe_balance(section, stage.folder, labels, cfg)
    describe_overlap(section, stage.folder)
    return section


if __name__ == "__main__":
    run_script(main, check=check, participants=main)
