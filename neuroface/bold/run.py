"""One run of one person."""

import re
from dataclasses import dataclass
from pathlib import Path

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


def natural(name: str) -> list:
    """A key that sorts sub-2 before sub-10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
