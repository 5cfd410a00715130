"""One run of one person."""

import math
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from neuroface.bold.surfaces import files_of_surface

REGRESSORS = "film-regressors.tsv"


@cache
def entities_of(name: str) -> dict[str, str]:
    """Entity → value in a file's name, numbers without leading zeros: ``sub-01_run-02_bold`` → sub "01", run "2".

    The person keeps the spelling of the file.
    """
    entities = dict(re.findall(r"(?:^|_)([a-zA-Z0-9]+)-([A-Za-z0-9+]+)", name))
    return {
        key: value if key == "sub" or not value.isdigit() else str(int(value))
        for key, value in entities.items()
    }


def is_derivative(name: str) -> bool:
    """Whether a series' file name is that of a derivative: raw names have none of these entities."""
    return bool(
        {"space", "desc", "res", "den", "cohort", "seg", "atlas"} & entities_of(name).keys()
    )


@dataclass(frozen=True)
class Showing:
    """When a run shows its film, by FILM_EVENT: its second 0 on the clock of the run, and for how long."""

    onset_s: float
    duration_s: float = math.inf  # not stated
    log: Path | None = None  # the table that says it


@dataclass(frozen=True)
class Run:
    """One run of one person, and its files."""

    subject: str  # "sub-7"
    movie: str  # NNDb: the film; BIDS: the task
    run: str  # "1" if the data set does not number runs; "<session>-<run>" if it has sessions
    name: str  # start of this run's file names: "sub-7_task-split", "sub-7_ses-1_task-film_run-02"
    bold: Path
    mask: Path | None
    annotations: tuple[
        tuple[str, Path], ...
    ]  # (name of an event, its file); BIDS: one file for all, named ""
    censor: Path | None = (
        None  # NNDb v2, censored: which TRs the series still has (windows.read_censor)
    )
    regressors: Path | None = None  # what else the film shows, per TR (neuroface.film)
    sidecars: tuple[Path, ...] = ()  # BIDS: JSON files that describe the series, the nearest first
    raw: Path | None = None  # BIDS: the raw series of a derivative
    joined: bool = False  # NNDb v2: a series that joins the runs of a film
    pauses: tuple[
        tuple[int, float], ...
    ] = ()  # of such a series (neuroface.bold.pauses); (): not known
    not_used: tuple[Path, ...] = ()  # annotations of the film that gave way to ``annotations``
    confounds: Path | None = None  # BIDS: the table of confounds (neuroface.bold.confounds)
    film: Showing | None = None  # None: the film begins with the run

    @property
    def stimulus(self) -> str:
        """The film, or the part of it that this run shows: the same in every session, for run-1 and run-01."""
        entities = entities_of(self.name)
        parts = [f"{key}-{entities[key]}" for key in ("dir", "run") if key in entities]
        return "_".join([self.movie, *parts])

    @property
    def files(self) -> list[Path]:
        """All files of this run."""
        annotations = dict.fromkeys(file for _, file in self.annotations)
        log = self.film.log if self.film else None
        files = (
            *files_of_surface(self.bold),
            self.mask,
            *annotations,
            self.censor,
            self.regressors,
            *self.sidecars,
            self.confounds,
            log,
        )
        return [file for file in files if file]

    def annotation_of(self, event: str) -> Path:
        """The file with the onsets and durations of an event."""
        files = dict(self.annotations)
        return files[event] if event in files else files[""]


def whole_values(runs: list[Run], name_part: str) -> tuple[list[Run], list[tuple[str, str]]]:
    """Runs of which BIDS_FILTER names a whole value; those of a longer value are left out, as (what, why).

    ``task-movie*`` also takes ``task-movielocalizer`` (StudyForrest). Where no run has the value
    itself, as with ``space-MNI152``, it stands for all values that begin with it.
    """
    left_out = []
    for key, value in re.findall(r"(?:^|_)([A-Za-z]+)-([A-Za-z0-9+]+)(?=\*|$)", name_part):
        values = {run: entities_of(run.bold.name).get(key) for run in runs}
        if value not in values.values():
            continue
        others = [run for run, own in values.items() if own != value]
        left_out += [
            (run.bold.name, f"not {key}-{value}, which BIDS_FILTER names") for run in others
        ]
        runs = [run for run in runs if run not in others]
    return runs, left_out


def natural(name: str) -> list:
    """A key that sorts sub-2 before sub-10."""
    return [int(piece) if piece.isdigit() else piece for piece in re.split(r"(\d+)", name)]
