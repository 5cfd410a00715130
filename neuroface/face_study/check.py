"""``--check`` of script 1: what a data set holds, person by person, and what would stop scripts 1 to 3.

Reads names, sizes, headers, annotations, masks, first volumes and the ends of files, and writes
nothing.
"""

import re
from pathlib import Path

from neuroface.bold import (
    check_first_volume,
    check_group_mask,
    check_runs,
    check_shared_space,
    cleaning_lines,
    clock_of_onsets,
    costs_of_masks,
    denoising_of,
    describe_pauses,
    inspect_run,
    nndb_naming,
    not_fetched,
    open_header,
    write_surface_space,
)  # fmt: skip
from neuroface.decoding import CLOSED_FORM, DEFAULT, SHUFFLED, folds_of_all_splits
from neuroface.face_study.annotation_clock import describe_annotations, why_no_window
from neuroface.face_study.arguments import design_of, model_options, runs_of
from neuroface.face_study.settings import FaceSettings, fold_settings, with_splits
from neuroface.face_study.study import STUDY
from neuroface.pipeline import Checklist, memory_of_processes

import numpy as np
import pandas as pd

LISTING = Path(__file__).with_name("nndb_files.tsv")
COPIES_ON_DISK = (
    4  # of the windows: 1-windows, 2-dataset, 4-attributions, 5-brain-maps (which hardly compress)
)
GB_OF_A_PROCESS = (
    1.0  # Python, TensorFlow and the windows in use: 0.9 to 1.1 in script 3 of the demo
)
PASSES = 3  # a training step costs about three forward passes
MOST = 0.9  # share of the work from which the reference network is named as the one to leave out
GB_PER_VOXEL = 4e-5  # of script 8: 2.1 GB at 41,489 voxels (benchmarks/sliding.py)


def check_study(cfg: FaceSettings, plan_windows, with_events, describe_trials) -> None:
    """Print the content of a data set, and the disk and memory that it needs.

    Parameters
    ----------
    plan_windows, with_events, describe_trials : functions of script 1, so that windows are counted
    as it cuts them.

    Raises
    ------
    NeuroFaceError
        If something is wrong: files that are missing, cut off or unreadable, have another size than
        published, or do not fit together; no windows; a split of CV_SPLITS that is not possible;
        too little disk or memory.
    """
    checklist = Checklist(STUDY, cfg)
    listed = published_files(cfg.DATASET, cfg.NNDB_VARIANT)
    for problem in compare_with_listing(Path(cfg.DATASET_DIR), listed, cfg.EXCLUDE):
        checklist.wrong(problem)
    runs, left_out = checklist.try_to(runs_of, cfg) or ([], [])
    check_runs(checklist, runs, left_out, notes=cfg.DATASET == "bids")
    if runs:
        checklist.try_to(check_shared_space, runs, cfg.SPACE)
        mask = checklist.try_to(
            check_group_mask, checklist, runs, cfg.MASK_THRESHOLD, cfg.MASK_FILE
        )
        checklist.try_to(check_mesh, checklist, runs, cfg)
        plans = plans_of(checklist, runs, plan_windows, cfg)
        for lines_of in (describe_annotations, describe_trials, _pauses, _cleaning_of_runs):
            for line in checklist.try_to(lines_of, list(plans), cfg) or []:
                checklist.say(line)
        samples = (
            pd.concat(with_events(plans).values(), ignore_index=True) if plans else pd.DataFrame()
        )
        if has_windows(checklist, list(plans), samples, cfg):
            checklist.try_to(check_splits, checklist, samples, cfg)
            if mask is not None:
                checklist.try_to(check_machine, checklist, mask, len(samples), cfg)
    checklist.finish()


def check_mesh(checklist: Checklist, runs: list, cfg: FaceSettings) -> None:
    """Say which mesh script 1 would take for data on the cortical surface, or what is left out without one."""
    _, shape = open_header(runs[0].bold)
    write_surface_space(checklist, runs, np.ones(shape[:3], dtype=bool), Path(cfg.DATASET_DIR))


def _pauses(runs: list, cfg: FaceSettings) -> list[str]:
    return describe_pauses(runs)


def _cleaning_of_runs(runs: list, cfg: FaceSettings) -> list[str]:
    return cleaning_lines(runs, denoising_of(cfg), cfg.DATASET == "bids", design_of(runs, cfg))


def plans_of(checklist: Checklist, runs: list, plan_windows, cfg: FaceSettings) -> dict:
    """Run → its windows, as script 1 plans them; printed as a table with what else is known of each run."""
    rows, plans = [], {}
    costs = (not cfg.MASK_FILE and checklist.try_to(costs_of_masks, runs, cfg.MASK_THRESHOLD)) or {}
    for run in runs:
        fields = checklist.try_to(inspect_run, run, cfg.TR_S)
        if fields is None:
            continue
        if costs:
            fields["mask, voxels"], fields["cost, voxels"] = costs.get(run.subject, (None, None))
        checklist.try_to(check_first_volume, run)
        planned = checklist.try_to(plan_windows, run, cfg, checklist)
        if planned is not None:
            plans[run] = planned[0]
            fields |= fields_of_windows(planned[0], cfg)
        rows.append(fields)
    if costs:
        checklist.say("cost: voxels that the group mask lacks because of this person's mask alone")
    clock = clock_of_onsets(cfg.DATASET, cfg.FILM_EVENT)
    checklist.say(
        f"first windows: 12 → 15 means that the first long stretch begins at second 12 of the {clock}. Its "
        f"window begins at second 15 of the scan, with the last volume that starts within LAG_S = {cfg.LAG_S:g} s."
    )
    checklist.table(rows)
    return plans


def fields_of_windows(plan: pd.DataFrame, cfg: FaceSettings) -> dict[str, object]:
    """Per label: the number of windows of a run, and where the first begins on the film's and on the scanner's clock."""
    fields: dict[str, object] = {}
    for label in cfg.LABELS:
        own = plan[plan["label"] == label]
        fields[f"{label} windows"] = len(own)
        first = own.iloc[0] if len(own) else None
        fields[f"first {label} window"] = (
            None if first is None else f"{first['onset_s']:g} → {first['first_tr'] * cfg.TR_S:g}"
        )
    return fields


def has_windows(checklist: Checklist, runs: list, samples: pd.DataFrame, cfg: FaceSettings) -> bool:
    """Whether there are windows of both labels; if not, it is noted as wrong, as scripts 1 and 2 would say it."""
    if samples.empty:
        checklist.wrong(why_no_window(runs, cfg))
        return False
    counts = {label: int((samples["label"] == label).sum()) for label in cfg.LABELS}
    checklist.say(f"in all {', '.join(f'{n} {label}' for label, n in counts.items())} windows")
    for label, n in counts.items():
        if not n:
            checklist.wrong(
                f"There is no {label} window. Lower MIN_STRETCH_S, or check the annotations."
            )
    return all(counts.values())


def check_splits(checklist: Checklist, samples: pd.DataFrame, cfg: FaceSettings) -> None:
    """Say which cross-validations these windows allow; raise if one of CV_SPLITS is not possible."""
    cfg = with_splits(cfg, samples)
    if cfg.splits_why:
        checklist.say(cfg.splits_why)
    folds, impossible = folds_of_all_splits(samples, cfg.CV_SPLITS, fold_settings(cfg))
    checklist.say(f"possible splits: {', '.join(folds)}; CV_SPLITS has {', '.join(cfg.CV_SPLITS)}")
    for why in impossible.values():  # without the advice for those who ask for it
        checklist.say(f"  not possible, and not in CV_SPLITS: {why.split('. ')[0]}")
    for split in cfg.CV_SPLITS:
        lost = sum(fold.n_embargoed for fold in folds[split])
        if lost:
            share = lost / sum(len(samples) - len(fold.test) for fold in folds[split])
            checklist.say(
                f"  {split}: EMBARGO_TRS = {cfg.EMBARGO_TRS} removes {share:.0%} of the training windows"
            )


def check_machine(
    checklist: Checklist, mask: np.ndarray, n_windows: int, cfg: FaceSettings
) -> None:
    """Compare what the eight scripts need with what this machine has."""
    from neuroface.pipeline import HAS_GPU, keras

    disk_gb = COPIES_ON_DISK * n_windows * int(mask.sum()) * cfg.WINDOW_TRS * 4 / 1e9
    gpu = "found" if HAS_GPU else "none found"
    checklist.say(f"GPU: {gpu} by {keras.backend.backend()}; use one for script 3 at full size")
    for line in work_of_networks(mask, n_windows, cfg, HAS_GPU):
        checklist.say(line)
    checklist.machine(disk_gb, *memory_of_scripts(mask, cfg))


def work_of_networks(
    mask: np.ndarray, n_windows: int, cfg: FaceSettings, has_gpu: bool
) -> list[str]:
    """What one training of each network costs, and settings without the reference network if that is nearly all of it.

    The network on voxels in random order (BASELINES) has the architecture of the reference network.

    Parameters
    ----------
    mask : (x, y, z) bool. n_windows : of the data set.
    cfg : MODELS, BASELINES, TRAINING, TRAINING_STEPS, EPOCHS, BATCH_SIZE.
    """
    from neuroface.decoding import builder, multiply_adds

    steps = (
        cfg.TRAINING_STEPS
        if cfg.TRAINING == "robust"
        else cfg.EPOCHS * -(-n_windows // cfg.BATCH_SIZE)
    )
    architectures = {name: name for name in cfg.MODELS if name not in CLOSED_FORM}
    if SHUFFLED in cfg.BASELINES:
        architectures[SHUFFLED] = DEFAULT
    each_of = {
        name: PASSES
        * multiply_adds(builder(name, mask, cfg.WINDOW_TRS, model_options(cfg))(dtype="float32"))
        for name in dict.fromkeys(architectures.values())
    }
    work = {name: each_of[architecture] for name, architecture in architectures.items()}
    lines = [
        f"{name}: {steps * cfg.BATCH_SIZE * each:.1e} multiply-adds for one training of {steps:,} steps × "
        f"{cfg.BATCH_SIZE} windows; script 3 trains it once for each fold{'' if name == SHUFFLED else ' and seed'}"
        for name, each in work.items()
    ]
    others = tuple(name for name in cfg.MODELS if name != DEFAULT)
    reference = [name for name in work if architectures[name] == DEFAULT]
    share = sum(work[name] for name in reference) / max(sum(work.values()), 1)
    if others and share > MOST and not has_gpu:
        baselines = tuple(name for name in cfg.BASELINES if name != SHUFFLED)
        without = f" and BASELINES = {baselines}" if SHUFFLED in reference else ""
        lines.append(
            f"{' and '.join(reference)}, for reference: {share:.1%} of this work, and no GPU was found. To train without "
            f"the paper's network set MODELS = {others}{without}"
        )
    return lines


def memory_of_scripts(mask: np.ndarray, cfg: FaceSettings) -> tuple[float, str]:
    """GB at the worst moment of the eight scripts with N_JOBS processes, and which script that is."""
    from neuroface.decoding import builder, step_bytes, windows_per_pass
    from neuroface.pipeline import HAS_GPU

    own_gb = {"script 8": GB_PER_VOXEL * int(mask.sum())}
    if not HAS_GPU:
        for name in cfg.MODELS:
            if name not in CLOSED_FORM:
                network = builder(name, mask, cfg.WINDOW_TRS, model_options(cfg))(dtype="float32")
                windows = windows_per_pass(network, cfg.BATCH_SIZE, cfg.N_JOBS)
                own_gb[f"script 3 ({name}, {windows} windows at a time)"] = (
                    step_bytes(network, windows) / 1e9
                )
    return memory_of_processes(own_gb, cfg.N_JOBS, GB_OF_A_PROCESS)


def published_files(dataset: str, variant: str = "") -> dict[str, int]:
    """Path → bytes of the files that a version of NNDb has on OpenNeuro (ds002837); empty for other data sets."""
    if dataset not in ("nndb-v1", "nndb-v2"):
        return {}
    naming = nndb_naming(dataset, variant)
    ends = [f"_bold_{naming.bold}.nii.gz", f"_{naming.mask}.nii.gz", "_face-annotation.1D"]
    ends += ["_censored_timepoints.1D"] * naming.censored
    table = pd.read_csv(LISTING, sep="\t", comment="#")
    table = table[table["path"].str.endswith(tuple(ends))]
    return dict(zip(table["path"], table["bytes"]))


def compare_with_listing(
    folder: Path, listed: dict[str, int], exclude: tuple[str, ...]
) -> list[str]:
    """Published files that are missing in ``folder`` or have another size, one line each; sub-* may be at its root.

    People of whom no file is here were not downloaded: a printed line names them; films that only
    they saw are not needed.
    """
    listed = {
        path: n
        for path, n in listed.items()
        if not any(f"/{person}/" in path for person in exclude)
    }
    files = {path: _published_file(folder, path) for path in listed}
    people = {path: path.split("/")[1] for path in listed if path.startswith("derivatives/")}
    absent = set(people.values()) - {
        people[path] for path, file in files.items() if file and path in people
    }
    viewers: dict[str, set[str]] = {}
    for path, person in people.items():
        if film := re.search(r"_task-([A-Za-z0-9]+)_", path):
            viewers.setdefault(film[1], set()).add(person)
    unseen = [f"task-{film}_" for film, who in viewers.items() if who <= absent]
    problems, whole = [], 0
    for path, published in listed.items():
        if people.get(path) in absent or (
            path not in people and any(film in path for film in unseen)
        ):
            continue
        if (file := files[path]) is None:
            problems.append(f"{path} is missing ({published:,} bytes as published)")
        elif (size := file.stat().st_size) != published:
            problems.append(
                f"{file} has {size:,} bytes, {published:,} were published: download it again"
            )
        else:
            whole += 1
    if listed:
        print(
            f"  published: {len(listed)} files of {len(set(people.values()))} people; {whole} are here with the same size"
        )
    if absent:
        names = ", ".join(sorted(absent, key=lambda name: int(name[4:]))[:5]) + (
            ", …" if len(absent) > 5 else ""
        )
        print(
            f"  not downloaded: {len(absent)} of {len(set(people.values()))} people ({names}); the others are checked"
        )
    return problems


def _published_file(folder: Path, path: str) -> Path | None:
    """Where a published file lies in ``folder``; None if it is not there, or git-annex has not fetched it."""
    stimulus = path.replace("stimuli/", "stimuli/stimuli-")
    places = [
        path,
        path.removeprefix("derivatives/"),
        stimulus,
        Path(path).name,
        Path(stimulus).name,
    ]
    files = [folder / place for place in places]
    return next((file for file in files if file.is_file() and not not_fetched(file)), None)
