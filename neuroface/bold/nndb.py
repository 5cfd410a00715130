"""File names of NNDb's derivatives, v1 (the demo shares them) and v2."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.bids import not_fetched
from neuroface.bold.pauses import has_pauses, pauses_of
from neuroface.bold.run import REGRESSORS, Run


@dataclass(frozen=True)
class Naming:
    """How NNDb's derivatives name a person's files."""

    bold: str
    mask: str
    censored: bool = False
    joined: bool = False  # the runs of a film, without a correction of its pauses


def nndb_naming(dataset: str, variant: str = "") -> Naming:
    """File names of NNDb v1 (and of the demo), or of one variant of v2.

    The brain mask of v2 is the one restricted to voxels with EPI signal (``t1w_mask_epi_anat``).
    """
    if dataset != "nndb-v2":
        return Naming("preprocessedICA", "T1w_mask")
    if not variant:
        raise NeuroFaceError(
            'DATASET = "nndb-v2" needs NNDB_VARIANT, the text after "_bold_" in its file names.'
        )
    return Naming(variant, "t1w_mask_epi_anat", censored="no_censor" not in variant, joined=True)


def nndb_runs(
    person: Path, stimuli: list[Path], naming: Naming, events: tuple[str, ...]
) -> tuple[list[Run], list[tuple[str, str]]]:
    subject = person.name
    runs: list[Run] = []
    missing: list[tuple[str, str]] = []
    series = sorted((person / "func").glob(f"{subject}_task-*_bold_{naming.bold}.nii*"))
    if not series:
        return [], [(subject, f"no func/*_bold_{naming.bold}.nii.gz")]
    masks = sorted((person / "anat").glob(f"{subject}_{naming.mask}.nii*"))
    if not masks:
        return [], [(subject, f"no anat/{subject}_{naming.mask}.nii.gz")]
    for bold in series:
        named = re.fullmatch(
            rf"sub-[^_]+_task-([A-Za-z0-9]+)_bold_{naming.bold}\.nii(\.\w+)?", bold.name
        )
        if not named:
            missing.append((bold.name, "its film is not named in letters and digits"))
            continue
        movie = named.group(1)
        if any(run.movie == movie for run in runs):
            raise NeuroFaceError(
                f"{bold} is there as .nii too: {subject} would count twice. Remove one of the two."
            )
        name = f"{subject}_task-{movie}"
        censor = (
            person / "regressors" / f"{name}_censored_timepoints.1D" if naming.censored else None
        )
        named_files = {event: f"task-{movie}_{event}-annotation.1D" for event in events}
        annotations = {event: film_file(stimuli, name) for event, name in named_files.items()}
        regressors = film_file(stimuli, f"task-{movie}_{REGRESSORS}")
        needed = [bold, masks[0], censor, *annotations.values(), regressors]
        if away := next((file for file in needed if file and not_fetched(file)), None):
            missing.append((bold.name, f"not fetched: datalad get {away}"))
            continue
        if censor and not censor.is_file():
            raise NeuroFaceError(
                f"{bold.name} lacks the volumes with motion, and their list {censor} is not there. Download it, choose "
                f"a no_censor variant in NNDB_VARIANT, or leave {subject} out with EXCLUDE."
            )
        present = [(event, file) for event, file in annotations.items() if file is not None]
        if lacking := [event for event, file in annotations.items() if file is None]:
            missing.append((bold.name, f"no annotation stimuli/{named_files[lacking[0]]}"))
        else:
            joined = naming.joined and has_pauses(movie)
            pauses = pauses_of(subject, movie) if joined else ()
            run = Run(subject, movie, "1", name, bold, masks[0], tuple(present), censor, regressors)
            runs.append(replace(run, joined=joined, pauses=pauses))
    return runs, missing


def film_file(stimuli: list[Path], name: str) -> Path | None:
    """The file of a film in the first folder that has it; if none has, one that git-annex has not fetched, or None."""
    names = [f"{prefix}{name}" for prefix in ("", "stimuli-")]
    places = [parent / name for parent in stimuli for name in names]
    here = (file for file in places if file.is_file() and not not_fetched(file))
    away = (file for file in places if not_fetched(file))
    return next(here, None) or next(away, None)
