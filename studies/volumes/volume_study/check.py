"""``--check`` of script 1: what a data set holds, person by person, and what would stop scripts 1 to 3."""

from neuroface.bold import (
    check_group_mask,
    check_runs,
    check_shared_space,
    cleaning_lines,
    costs_of_masks,
    denoising_of,
    inspect_run,
)  # fmt: skip
from neuroface.decoding import step_bytes
from neuroface.pipeline import Checklist, memory_of_processes
from volume_study.splits import folds_of_all_splits
from volume_study.volumes import are_of_run, balance, keep_frequent

import numpy as np
import pandas as pd

GB_OF_A_PROCESS = 1.0  # Python, TensorFlow and the volumes in use


def check_study(checklist: Checklist, cfg, runs_of, volumes_of, label) -> None:
    """Print the content of a data set, and the disk and memory that it needs.

    Parameters
    ----------
    checklist : takes the place of script 1's stage. runs_of, volumes_of, label : functions of
        script 1, which find runs and give volumes their labels.

    Raises
    ------
    NeuroFaceError
        If something is wrong: files that are damaged or do not fit together, no labels, a split of
        CV_SPLITS that is not possible, too little disk or memory.
    """
    runs, left_out = checklist.try_to(runs_of, cfg) or ([], [])
    check_runs(checklist, runs, left_out)
    if runs:
        checklist.try_to(check_shared_space, runs, cfg.SPACE)
        fields, lengths = fields_of_runs(checklist, runs, volumes_of, cfg)
        cleaning = checklist.try_to(
            cleaning_lines, list(fields), denoising_of(cfg), cfg.DATASET == "bids"
        )
        for line in cleaning or []:
            checklist.say(line)
        samples, _ = (lengths and checklist.try_to(label, checklist, lengths, cfg)) or (
            pd.DataFrame(),
            None,
        )
        mask = checklist.try_to(
            check_group_mask, checklist, runs, cfg.MASK_THRESHOLD, cfg.MASK_FILE
        )
        print_runs(checklist, fields, samples, cfg)
        if samples.empty:
            checklist.wrong(
                "No volume carries a label. Check SEGMENTS or EVENT_LABELS, LAG_S and MIN_AGREEMENT."
            )
        else:
            checklist.try_to(check_dataset, checklist, samples, mask, cfg)
    checklist.finish()


def fields_of_runs(checklist: Checklist, runs: list, volumes_of, cfg) -> tuple[dict, dict]:
    """Run → what its files say, and run → its number of volumes; damaged runs are in neither."""
    costs = (not cfg.MASK_FILE and checklist.try_to(costs_of_masks, runs, cfg.MASK_THRESHOLD)) or {}
    fields, lengths = {}, {}
    for run in runs:
        own = checklist.try_to(inspect_run, run, cfg.TR_S)
        if own is None:
            continue
        if costs:
            own["mask, voxels"], own["cost, voxels"] = costs.get(run.subject, (None, None))
        fields[run] = own
        if (n := checklist.try_to(volumes_of, run, cfg)) is not None:
            lengths[run] = n
    return fields, lengths


def print_runs(checklist: Checklist, fields: dict, samples: pd.DataFrame, cfg) -> None:
    """The table of runs, with the labelled volumes of each and the first of them on both clocks."""
    for run, own in fields.items():
        of_run = samples
        if not samples.empty:
            of_run = samples[are_of_run(samples, run)].sort_values("tr")
        own["labelled volumes"] = len(of_run)
        first = of_run.iloc[0] if len(of_run) else None
        if cfg.LABEL_SOURCE == "observers" and first is not None:
            start_s, end_s = cfg.SEGMENTS[int(first["stimulus"].rpartition("-")[2]) - 1]
            own["seconds of the film"] = f"{start_s:g} to {end_s:g}"
        own["first of them"] = (
            None
            if first is None
            else f"{first['label']} {first['onset_s']:g} → {first['tr'] * cfg.TR_S:g}"
        )
    if not cfg.MASK_FILE:
        checklist.say("cost: voxels that the group mask lacks because of this person's mask alone")
    clock = "film" if cfg.LABEL_SOURCE == "observers" else "run"
    checklist.say(
        f"first labelled volume: second of the {clock} → second of the scan, LAG_S = {cfg.LAG_S:g} s later"
    )
    checklist.table(list(fields.values()))


def check_dataset(
    checklist: Checklist, samples: pd.DataFrame, mask: np.ndarray | None, cfg
) -> None:
    """What scripts 2 and 3 make of the labelled volumes: labels that are kept, splits, disk and memory."""
    counts = samples.groupby("label").agg(
        volumes=("tr", "size"),
        moments=("moment", "nunique"),
        blocks=("event", "nunique"),
        people=("subject", "nunique"),
    )
    checklist.table(
        [
            {"label": label} | {name: int(n) for name, n in row.items()}
            for label, row in counts.iterrows()
        ],
        5,
    )
    samples, rare = keep_frequent(samples, cfg.MIN_PER_CLASS)
    for label, n in rare.items():
        checklist.leave_out(label, f"{n} moments, fewer than MIN_PER_CLASS = {cfg.MIN_PER_CLASS}")
    samples = balance(samples, cfg.BALANCE, cfg.MIN_PER_CLASS, cfg.SEED)
    folds, impossible = folds_of_all_splits(samples, cfg)
    checklist.say(f"possible splits: {', '.join(folds)}; CV_SPLITS has {', '.join(cfg.CV_SPLITS)}")
    for why in impossible.values():
        checklist.say(f"  not possible, and not in CV_SPLITS: {why.split('. ')[0]}")
    if mask is not None:
        disk_gb = (
            2 * len(samples) * int(mask.sum()) * 4 / 1e9
        )  # 2-dataset, and as much again for networks and maps
        checklist.machine(disk_gb, *memory_of_scripts(mask, samples["label"].nunique(), cfg))


def memory_of_scripts(mask: np.ndarray, n_labels: int, cfg) -> tuple[float, str]:
    """GB at the worst moment of script 3 with N_JOBS processes, and for which network."""
    from volume_study.networks import build_classifier

    own_gb = {
        f"script 3 ({name})": step_bytes(
            build_classifier(name, mask, n_labels, cfg.MODEL_OPTIONS.get(name, {})), cfg.BATCH_SIZE
        )
        / 1e9
        for name in cfg.MODELS
    }
    return memory_of_processes(own_gb, cfg.N_JOBS, GB_OF_A_PROCESS)
