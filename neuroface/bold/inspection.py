"""What ``--check`` says about runs: their series, clocks, confounds and masks, from headers, names and the ends of files."""

from collections import Counter
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.clock import first_volume_s, read_sidecar
from neuroface.bold.datasets import check_distinct
from neuroface.bold.group_mask import costs_of_people, overlap_of_masks, shared_mask
from neuroface.bold.images import (
    CHUNK_BYTES,
    check_finite,
    check_grid,
    has_places,
    header_tr_s,
    is_gzip,
    open_header,
    read_mask,
    stream_masked,
)
from neuroface.bold.nifti import DAMAGED_GZIP, igzip
from neuroface.bold.run import Run
from neuroface.pipeline import Checklist

import numpy as np


def check_length(path: Path, expected: int) -> None:
    """Raise if a series cannot be read to its last volume.

    A whole gzip file ends with its content's length modulo 4 GiB. Where it ends otherwise (it was
    cut off, has several members, or something follows the stream), it is decompressed as the
    extraction of windows does.

    Parameters
    ----------
    expected : number of bytes of header and volumes, as the header states. More may follow.
    """
    if not is_gzip(path):
        there = path.stat().st_size
    else:
        with open(path, "rb") as file:
            file.seek(-4, 2)
            if int.from_bytes(file.read(4), "little") == expected % 2**32:
                return
        there = _bytes_until(path, expected)
    if there < expected:
        raise NeuroFaceError(
            f"{path} is cut off or damaged: its header states {expected:,} bytes, and {there:,} can be read. Download it "
            f"again."
        )


def check_first_volume(run: Run) -> None:
    """Raise if the first volume has a NaN or infinite value in the brain, as the extraction of windows would at the end.

    Raises
    ------
    NeuroFaceError
        Also if the volume cannot be read.
    """
    if run.mask is None:
        return
    image, shape = open_header(run.bold)
    mask, affine = read_mask(run.mask)
    check_grid(run.bold, shape, image.affine, mask.shape, affine)
    check_finite(run.bold, np.isfinite(next(stream_masked(run.bold, mask, affine, 1))[0]))


def _bytes_until(path: Path, expected: int) -> int:
    """Bytes that a gzip file gives before it ends or is damaged, at most ``expected``."""
    there, buffer = 0, memoryview(bytearray(CHUNK_BYTES))
    try:
        with igzip.open(path, "rb") as file:
            while there < expected and (n := file.readinto(buffer[: expected - there])):
                there += n
    except DAMAGED_GZIP:
        pass
    return there


def check_runs(
    checklist: Checklist, runs: list[Run], left_out: list[tuple[str, str]], notes: bool = True
) -> None:
    """Print how many people and runs there are, what is left out, and who lacks a run; copies of a run are wrong.

    Parameters
    ----------
    notes : False: each person saw another film, so that nobody lacks a run.
    """
    for item, why in left_out:
        checklist.leave_out(item, why)
    if not runs:
        return
    films = Counter(run.movie for run in runs)
    names = ", ".join(f"{film} {n}" for film, n in sorted(films.items()))
    n_people = len({run.subject for run in runs})
    checklist.say(
        f"{_people(n_people)} with {_counted(len(runs), 'run', 'runs')} that can be used, "
        f"{_counted(len(films), 'film or task', 'films or tasks')}: {names}"
    )
    size = sum(run.bold.stat().st_size for run in runs)
    checklist.say(
        f"BOLD: {_counted(len(runs), 'file', 'files')}, {size / 1e9:.1f} GB; their headers, first volumes and ends are read"
    )
    checklist.try_to(check_distinct, runs)
    if notes:
        for note in runs_that_others_have(runs):
            checklist.say(f"note: {note}. Was a file renamed?")


def _people(n: int) -> str:
    return _counted(n, "person", "people")


def _counted(n: int, singular: str, plural: str) -> str:
    return f"{n} {singular if n == 1 else plural}"


def check_group_mask(
    checklist: Checklist, runs: list[Run], threshold: float, mask_file: str | None
) -> np.ndarray | None:
    """The group mask (x, y, z); runs on another grid are noted as wrong. None if masks of people are still to be computed.

    Parameters
    ----------
    threshold, mask_file : MASK_THRESHOLD and MASK_FILE.
    """
    without = sorted({run.subject for run in runs if not run.mask})
    if without and not mask_file:
        checklist.say(
            f"no brain mask of {_people(len(without))} ({', '.join(without[:3])}{', …' * (len(without) > 3)}): it "
            f"will be computed from the BOLD, so voxels, disk and memory are not known yet"
        )
        return None
    mask, _, affine, _ = shared_mask(runs, threshold, mask_file)
    source = (
        f"of MASK_FILE = {mask_file}"
        if mask_file
        else f"each in more than {threshold:.0%} of people's masks"
    )
    checklist.say(f"group mask: {int(mask.sum()):,} voxels, {source}")
    for run in runs:
        image, shape = open_header(run.bold)
        checklist.try_to(check_grid, run.bold, shape, image.affine, mask.shape, affine)
    return mask


def inspect_run(run: Run, tr_s: float) -> dict[str, object]:
    """What the files of a run say, for a table: column → value; person and run come first.

    Whether TR and length fit the settings is for :func:`neuroface.bold.check_tr` and
    :func:`neuroface.bold.first_volume_s`; the fields are there even if they do not.

    Raises
    ------
    NeuroFaceError
        If the series is damaged.
    """
    image, shape = open_header(run.bold)
    if not has_places(run.bold):
        per_value = image.dataobj.dtype.itemsize
        check_length(
            run.bold, image.dataobj.offset + int(np.prod(shape, dtype=np.int64)) * per_value
        )
    return {
        "person": run.subject,
        "run": run.name.removeprefix(f"{run.subject}_"),
        "volumes": shape[3],
        "TR in the header, s": header_tr_s(image),
        "TR in the sidecar, s": read_sidecar(run).get("RepetitionTime"),
        "first volume shows second (film or run)": _first_volume_s(run, shape[3], tr_s),
        "volumes fewer than the raw run": _lost(run, shape[3]),
        "confounds (columns)": _confounds_of(run),
    }


def _first_volume_s(run: Run, n_volumes: int, tr_s: float) -> float | None:
    try:
        return first_volume_s(run, n_volumes, tr_s)
    except NeuroFaceError:  # the script says why
        return None


def _lost(run: Run, n_volumes: int) -> int | None:
    try:
        return open_header(run.raw)[1][3] - n_volumes if run.raw else None
    except NeuroFaceError:  # not fetched
        return None


def _confounds_of(run: Run) -> str | None:
    """The table of confounds of a run, and its number of columns."""
    if run.confounds is None:
        return None
    with open(run.confounds, encoding="utf-8", errors="replace") as table:
        n_columns = len(table.readline().split("\t"))
    return f"{run.confounds.name.removeprefix(run.name + '_')} ({n_columns})"


def costs_of_masks(runs: list[Run], threshold: float) -> dict[str, tuple[int, int]]:
    """Person → voxels of the own mask, and voxels that the group mask would have more without this person."""
    runs = [run for run in runs if run.mask]
    if not runs:
        return {}
    overlap, _, people = overlap_of_masks(runs)
    costs = costs_of_people(overlap, people, min(threshold, 1 - 1e-7))
    sizes = {
        subject: int(np.unpackbits(packed, count=overlap.size).sum())
        for subject, packed in people.items()
    }
    return {subject: (size, costs.get(subject, 0)) for subject, size in sizes.items()}


def runs_that_others_have(runs: list[Run]) -> list[str]:
    """Sentences on people who lack a run that more than half of the people have: a file may have lost its name."""
    people = {run.subject for run in runs}
    there = {(run.subject, run.stimulus) for run in runs}
    count: Counter[str] = Counter()
    for _, stimulus in there:
        count[stimulus] += 1
    return [
        f"{person} has no run of {stimulus}, which {n} of {len(people)} people have"
        for stimulus, n in count.items()
        for person in sorted(people)
        if n > len(people) / 2 and (person, stimulus) not in there
    ]
