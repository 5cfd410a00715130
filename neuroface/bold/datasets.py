"""Find a study's files: which person watched which film, and the paths of BOLD, mask and annotation."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline import fingerprint

REGRESSORS = "film-regressors.tsv"


@dataclass(frozen=True)
class Run:
    """One run of one person, and its files."""

    subject: str  # "sub-7"
    movie: str  # NNDb: the film; BIDS: the task
    run: str  # "1" if the data set does not number runs; "<session>-<run>" if it has sessions
    name: str  # start of this run's file names: "sub-7_task-split", "sub-7_ses-1_task-film_run-02"
    bold: Path
    mask: Path | None
    annotations: tuple[tuple[str, Path], ...]  # (name of an event, its file); BIDS: one file for all, named ""
    censor: Path | None = None  # NNDb v2, censored: which TRs the series still has (windows.read_censor)
    regressors: Path | None = None  # what else the film shows, per TR (neuroface.film)

    @property
    def files(self) -> list[Path]:
        """All files of this run."""
        annotations = dict.fromkeys(file for _, file in self.annotations)
        return [file for file in (self.bold, self.mask, *annotations, self.censor, self.regressors) if file]

    def annotation_of(self, event: str) -> Path:
        """The file with the onsets and durations of an event."""
        files = dict(self.annotations)
        return files[event] if event in files else files[""]


@dataclass(frozen=True)
class Naming:
    """How NNDb's derivatives name a person's files."""

    bold: str
    mask: str
    censored: bool = False


def nndb_naming(dataset: str, variant: str = "") -> Naming:
    """File names of NNDb v1 (and of the demo), or of one variant of v2.

    The brain mask of v2 is the one restricted to voxels with EPI signal (``t1w_mask_epi_anat``).
    """
    if dataset != "nndb-v2":
        return Naming("preprocessedICA", "T1w_mask")
    if not variant:
        raise NeuroFaceError('DATASET = "nndb-v2" needs NNDB_VARIANT, the text after "_bold_" in its file names.')
    return Naming(variant, "t1w_mask_epi_anat", censored="no_censor" not in variant)


def find_runs(
    dataset: str,
    folder: Path,
    exclude: tuple[str, ...] = (),
    bids_filter: str = "",
    variant: str = "",
    events: tuple[str, ...] = (),
    annotated: bool = True,
    films: str | Path | None = None,
) -> tuple[list[Run], list[tuple[str, str]]]:
    """All runs of a data set, sorted by person and run, and what had to be left out.

    Parameters
    ----------
    dataset : "demo" and "nndb-v1" share their naming; "nndb-v2"; "bids" is any data set with ``events.tsv``.
    folder : its root.
    exclude : people left out on purpose.
    bids_filter : text that a BIDS BOLD file's name must contain; "*" stands for anything in between.
    variant : of NNDb v2, e.g. "blur_no_censor_ica".
    events : names of the events that NNDb's annotation files ``stimuli/task-<film>_<name>-annotation.1D`` must have.
    annotated : False: a BIDS run needs no ``events.tsv``, because its labels come from elsewhere.
    films : a folder with a further ``stimuli/``, for annotations and film regressors that ``folder`` lacks.

    Returns
    -------
    runs, left_out : ``left_out`` lists (what, why).

    Raises
    ------
    NeuroFaceError
        If the folder is missing, holds no run, or a name in ``exclude`` is not there; if a censored run of NNDb v2 has no
        list of its censored time points.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NeuroFaceError(f"DATASET_DIR = {folder} is not there. Set it to the folder that holds the data set.")
    people = _people(folder)
    unknown = sorted(set(exclude) - {p.name for p in people})
    if unknown:
        raise NeuroFaceError(f"EXCLUDE names {unknown[0]}, who is not in {folder} ({len(people)} people).")
    left_out = [(p.name, "named in EXCLUDE") for p in people if p.name in exclude]
    people = [p for p in people if p.name not in exclude]
    naming = nndb_naming(dataset, variant)
    stimuli = [folder / "stimuli", folder, *([Path(films) / "stimuli"] if films else [])]
    runs: list[Run] = []
    for person in people:
        is_bids = dataset == "bids"
        found, missing = (
            _bids_runs(person, folder, bids_filter, stimuli, annotated)
            if is_bids
            else _nndb_runs(person, stimuli, naming, events)
        )
        runs += found
        left_out += missing
    if not runs:
        reasons = "; ".join(sorted({why for _, why in left_out})[:3]) or "no folder sub-* in it or in derivatives/"
        raise NeuroFaceError(f"{folder} holds no run of DATASET = {dataset!r}: {reasons}.")
    return runs, left_out


def check_distinct(runs: list[Run]) -> None:
    """Raise if two runs have the same BOLD: with a copy in training, a held-out window is recognised, not decoded."""
    seen: dict[str, Run] = {}
    for run in runs:
        same = seen.setdefault(fingerprint(run.bold), run)
        if same is not run:
            raise NeuroFaceError(
                f"{run.bold} is a copy of {same.bold}. Put the right series in its place, or leave {run.subject} out with "
                f"EXCLUDE."
            )


def _people(folder: Path) -> list[Path]:
    """Folders ``sub-*`` of the root or of ``derivatives/``; NNDb is read from either."""
    for parent in (folder / "derivatives", folder):
        people = [p for p in parent.glob("sub-*") if p.is_dir()]
        if people:
            return sorted(people, key=lambda p: _natural(p.name))
    return []


def _nndb_runs(
    person: Path, stimuli: list[Path], naming: Naming, events: tuple[str, ...]
) -> tuple[list[Run], list[tuple[str, str]]]:
    subject, runs, missing = person.name, [], []
    series = sorted((person / "func").glob(f"{subject}_task-*_bold_{naming.bold}.nii*"))
    if not series:
        return [], [(subject, f"no func/*_bold_{naming.bold}.nii.gz")]
    masks = sorted((person / "anat").glob(f"{subject}_{naming.mask}.nii*"))
    if not masks:
        return [], [(subject, f"no anat/{subject}_{naming.mask}.nii.gz")]
    for bold in series:
        named = re.fullmatch(rf"sub-[^_]+_task-([A-Za-z0-9]+)_bold_{naming.bold}\.nii(\.gz)?", bold.name)
        if not named:
            missing.append((bold.name, "its film is not named in letters and digits"))
            continue
        movie = named.group(1)
        if any(run.movie == movie for run in runs):
            raise NeuroFaceError(f"{bold} is there as .nii too: {subject} would count twice. Remove one of the two.")
        name = f"{subject}_task-{movie}"
        censor = person / "regressors" / f"{name}_censored_timepoints.1D" if naming.censored else None
        if censor and not censor.is_file():
            raise NeuroFaceError(
                f"{bold.name} lacks the volumes with motion, and their list {censor} is not there. Download it, choose "
                f"a no_censor variant in NNDB_VARIANT, or leave {subject} out with EXCLUDE."
            )
        found = {event: _film_file(stimuli, f"task-{movie}_{event}-annotation.1D") for event in events}
        regressors = _film_file(stimuli, f"task-{movie}_{REGRESSORS}")
        if lacking := [event for event, file in found.items() if file is None]:
            missing.append((bold.name, f"no annotation stimuli/task-{movie}_{lacking[0]}-annotation.1D"))
        else:
            runs.append(Run(subject, movie, "1", name, bold, masks[0], tuple(found.items()), censor, regressors))
    return runs, missing


def _film_file(stimuli: list[Path], name: str) -> Path | None:
    names = [f"{prefix}{name}" for prefix in ("", "stimuli-")]
    return next((p for parent in stimuli for name in names if (p := parent / name).is_file()), None)


def _bids_runs(
    person: Path, folder: Path, name_part: str, stimuli: list[Path], annotated: bool
) -> tuple[list[Run], list[tuple[str, str]]]:
    runs, missing, seen = [], [], {}
    for bold in sorted(person.glob("**/func/*_bold.nii*"), key=lambda p: _natural(p.name)):
        if not fnmatchcase(bold.name, f"*{name_part}*"):
            continue
        entities = dict(re.findall(r"(sub|ses|task|run)-([A-Za-z0-9]+)", bold.name))
        stem = "_".join(f"{key}-{entities[key]}" for key in ("sub", "ses", "task", "run") if key in entities)
        if stem in seen:
            raise NeuroFaceError(
                f"{seen[stem]} and {bold.name} are the same run. Set BIDS_FILTER to text that only one of them has."
            )
        seen[stem] = bold.name
        # fMRIPrep leaves the events in the raw data set, next to or above the derivatives.
        inside = bold.parent.relative_to(folder)
        roots = [folder, *list(folder.parents)[:2]]
        events = [p for root in roots if (p := root / inside / f"{stem}_events.tsv").is_file()]
        # One table at the root may serve all people (BIDS inheritance).
        task = f"task-{entities.get('task')}"
        names = [f"{task}_run-{entities['run']}", task] if "run" in entities else [task]
        events += [p for root in [*roots, *stimuli] for name in names if (p := root / f"{name}_events.tsv").is_file()]
        if not events and annotated:
            missing.append((bold.name, f"no {stem}_events.tsv"))
            continue
        mask = _bids_mask(bold, person)
        number = "-".join(entities[key] for key in ("ses", "run") if key in entities)
        own = [p for root in roots if (p := root / inside / f"{stem}_{REGRESSORS}").is_file()]
        own += [p for name in names if (p := _film_file([*roots, *stimuli], f"{name}_{REGRESSORS}"))]
        annotations, regressors = (("", events[0]),) if annotated else (), next(iter(own), None)
        runs.append(
            Run(person.name, entities["task"], number or "1", stem, bold, mask, annotations, regressors=regressors)
        )
    if not seen:
        missing.append((person.name, "no func/*_bold.nii.gz" + (f" with {name_part!r} in its name" * bool(name_part))))
    return runs, missing


def _bids_mask(bold: Path, person: Path) -> Path | None:
    stem = re.sub(r"(_desc-[A-Za-z0-9]+)?_bold\.nii(\.gz)?$", "", bold.name)
    beside = sorted(bold.parent.glob(f"{stem}_desc-brain_mask.nii*"))
    return next(iter(beside or sorted(person.glob("**/anat/*_desc-brain_mask.nii*"))), None)


def _natural(name: str) -> list:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def runs_of(cfg) -> tuple[list[Run], list[tuple[str, str]]]:
    """:func:`find_runs` with the settings of an experiment."""
    events = tuple(dict.fromkeys(name for label in cfg.LABELS for name in cfg.LABEL_EVENTS[label]))
    films = getattr(cfg, "FILM_DIR", None)  # not every study annotates films
    return find_runs(cfg.DATASET, cfg.DATASET_DIR, cfg.EXCLUDE, cfg.BIDS_FILTER, cfg.NNDB_VARIANT, events, films=films)
