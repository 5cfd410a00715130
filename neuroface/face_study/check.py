"""Is the data set complete, and this machine large enough? Reads only names, sizes, headers and the ends of files."""

import shutil
from collections import Counter
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import (
    Run,
    check_distinct,
    check_grid,
    check_tr,
    cleaning_lines,
    first_volume_s,
    is_gzip,
    nndb_naming,
    open_header,
    read_censor,
    read_mask,
    runs_of,
    stretches_of_labels,
    window_table,
)  # fmt: skip
from neuroface.face_study.words import labels_of

import numpy as np
import pandas as pd
import psutil

LISTING = Path(__file__).with_name("nndb_files.tsv")
GB_PER_VOXEL = 4e-5  # of script 8, which needs most after script 3: 2.1 GB at 41,489 voxels (benchmarks/sliding.py)
COPIES_ON_DISK = 4  # of the windows: 1-windows, 2-dataset, 4-attributions, 5-brain-maps (which hardly compress)


def check_study(cfg) -> list[str]:
    """Print the content of a data set, and the disk and memory that it needs.

    Returns
    -------
    What is wrong, one line each: files that are missing, cut off or unreadable, have another size than published, or do
    not fit together; too little disk or memory.
    """
    folder = Path(cfg.DATASET_DIR)
    problems = compare_with_listing(folder, published_files(cfg.DATASET, cfg.NNDB_VARIANT), cfg.EXCLUDE)
    runs, left_out = runs_of(cfg)
    for what, why in left_out:
        print(f"  left out: {what}: {why}")
    films = Counter(run.movie for run in runs)
    print(f"  {len({run.subject for run in runs})} people with {len(runs)} runs that can be used, ", end="")
    print(f"{len(films)} films or tasks: {', '.join(f'{film} {n}' for film, n in sorted(films.items()))}")
    size = sum(run.bold.stat().st_size for run in runs)
    print(f"  BOLD: {size / 1e9:.1f} GB in {len(runs)} files; only their headers and ends are checked")

    try:
        check_distinct(runs)
    except NeuroFaceError as error:
        problems.append(str(error))
    masks, n_trs, n_windows, readable = {}, [], 0, []
    for run in runs:
        try:
            masks[run.subject], length, count = check_run(run, cfg)
            n_trs.append(length)
            n_windows += count
            readable.append(run)
        except NeuroFaceError as error:
            problems.append(str(error))
    try:
        for line in cleaning_lines(readable, cfg, [stretches_of_labels(run, cfg)[0] for run in readable]):
            print(f"  {line}")
    except NeuroFaceError as error:
        problems.append(str(error))
    if n_trs:
        own = [mask for mask in masks.values() if mask is not None]
        n_voxels = int(read_mask(Path(cfg.MASK_FILE))[0].sum()) if cfg.MASK_FILE else shared_voxels(own, cfg)
        problems += check_machine(n_voxels, max(n_trs), n_windows, cfg)
    return problems


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


def compare_with_listing(folder: Path, listed: dict[str, int], exclude: tuple[str, ...]) -> list[str]:
    """Published files that are missing in ``folder`` or have another size, one line each; sub-* may be at its root."""
    problems, whole = [], 0
    listed = {path: n for path, n in listed.items() if not any(f"/{person}/" in path for person in exclude)}
    for path, published in listed.items():
        stimulus = path.replace("stimuli/", "stimuli/stimuli-")
        places = [path, path.removeprefix("derivatives/"), stimulus, Path(path).name, Path(stimulus).name]
        found = next((file for place in places if (file := folder / place).is_file()), None)
        if found is None:
            problems.append(f"{path} is missing ({published:,} bytes as published)")
        elif (size := found.stat().st_size) != published:
            problems.append(f"{found} has {size:,} bytes, {published:,} were published: download it again")
        else:
            whole += 1
    if listed:
        people = {part for path in listed for part in path.split("/") if part.startswith("sub-") and "." not in part}
        print(f"  published: {len(listed)} files of {len(people)} people; {whole} are here with the same size")
    return problems


def check_run(run: Run, cfg) -> tuple[np.ndarray | None, int, int]:
    """A run's mask (x, y, z), number of volumes and of windows; raise if its files are unreadable or do not fit."""
    image, shape = open_header(run.bold)
    if remark := check_tr(run, image, shape[3], cfg.TR_S):
        print(f"  {run.name}: {remark}")
    check_length(run.bold, image.dataobj.offset + int(np.prod(shape)) * image.dataobj.dtype.itemsize)
    mask = None
    if run.mask:
        mask, affine = read_mask(run.mask)
        check_grid(run.bold, shape, image.affine, mask.shape, affine)
    read_censor(run.censor, shape[3])
    return mask, shape[3], count_windows(run, cfg)


def check_length(path: Path, expected: int) -> None:
    """Raise if a file does not hold the number of bytes that its header states.

    A gzip file ends with its content's length modulo 4 GiB; a file that is cut off ends with other bytes. A file with
    several gzip members is wrongly reported as cut off, because only the last member is checked.
    """
    if is_gzip(path):
        with open(path, "rb") as file:
            file.seek(-4, 2)
            there, expected = int.from_bytes(file.read(4), "little"), expected % 2**32
    else:
        there = path.stat().st_size
    if there != expected:
        raise NeuroFaceError(
            f"{path} is cut off or damaged: its header states {expected:,} bytes, its end {there:,}"
            f"{' (modulo 4 GiB)' * is_gzip(path)}. Download it again."
        )


def count_windows(run: Run, cfg) -> int:
    """Approximate number of windows of a run: as in script 1, but ignoring the run's end and censored volumes."""
    labels, (first, second) = labels_of(cfg), stretches_of_labels(run, cfg)
    lag_s = cfg.LAG_S - first_volume_s(run, open_header(run.bold)[1][3], cfg.TR_S)
    table = window_table(first, second, labels, cfg.MIN_STRETCH_S, cfg.TR_S, lag_s)
    counts = [int((table["label"] == label).sum()) for label in labels]
    return 2 * min(counts) if cfg.BALANCE == "run" else sum(counts)


def shared_voxels(masks: list[np.ndarray], cfg) -> int:
    """Number of voxels of the group mask, from people's masks on one grid."""
    if len({mask.shape for mask in masks}) != 1:
        return max((int(mask.sum()) for mask in masks), default=0)
    return int((np.mean(masks, axis=0, dtype=np.float32) > cfg.MASK_THRESHOLD).sum())


def check_machine(n_voxels: int, n_trs: int, n_windows: int, cfg) -> list[str]:
    """Print the needed and available disk, memory and GPU; return what is too little, one line each."""
    from neuroface.pipeline import HAS_GPU, keras

    results = Path(cfg.DATA_DIR) / cfg.RUN_NAME
    there = next(place for place in (results, *results.parents) if place.exists())
    made = sum(file.stat().st_size for file in results.rglob("*") if file.is_file())
    disk = COPIES_ON_DISK * n_windows * n_voxels * cfg.WINDOW_TRS * 4 / 1e9
    free = (shutil.disk_usage(there).free + made) / 1e9
    memory = (0.5 + GB_PER_VOXEL * n_voxels) * cfg.N_JOBS
    available = psutil.virtual_memory().available / 1e9
    print(f"  {n_windows:,} windows of {n_voxels:,} voxels; the longest run has {n_trs:,} volumes")
    print(
        f"  disk: about {disk:.1f} GB needed in {results}, {free:.1f} GB free there (including what it already holds)"
    )
    print(f"  memory: {memory:.1f} GB needed by script 8 with N_JOBS = {cfg.N_JOBS}, {available:.1f} GB available")
    print(
        f"  GPU: {'found' if HAS_GPU else 'none found'} by {keras.backend.backend()}; use one for script 3 at full size"
    )
    problems = [f"too little disk: about {disk:.1f} GB are needed, {free:.1f} GB are free at {there}"] * (disk > free)
    if memory > available:
        problems.append(
            f"too little memory: script 8 needs {memory:.1f} GB, {available:.1f} GB are available. Lower N_JOBS"
        )
    return problems
