"""Files of predicted timelines: their names, and the table of a run."""

from pathlib import Path

from neuroface.bold import Labels, Run
from neuroface.pipeline import read_table, write_json, write_table
from neuroface.timeline.clock import columns_of

import pandas as pd


def timeline_file(folder: Path, run: Run) -> Path:
    """``<sub>_task-<movie>[_run-<run>]_predictions.tsv``."""
    return folder / f"{run.name}_predictions.tsv"


def timeline_figure(folder: Path, run: Run) -> Path:
    """``<sub>_task-<movie>[_run-<run>]_timeline.png``."""
    return folder / f"{run.name}_timeline.png"


def timeline_files(folder: Path, run: Run) -> list[Path]:
    """The files that :func:`write_timeline` writes."""
    file = timeline_file(folder, run)
    return [file, file.with_suffix(".json")]


def write_timeline(folder: Path, run: Run, table: pd.DataFrame, labels: Labels) -> None:
    """Write a run's table, its truth in a column named after the first condition, and the BIDS sidecar."""
    file = timeline_file(folder, run)
    write_table(file, table.rename(columns={"truth": labels.first}))
    write_json(file.with_suffix(".json"), columns_of(labels))


def read_timeline(folder: Path, run: Run, labels: Labels) -> pd.DataFrame:
    """The table of :func:`write_timeline`, its truth in the column ``truth`` again."""
    return read_table(timeline_file(folder, run)).rename(columns={labels.first: "truth"})
