"""Annotation files of a run: NNDb's ``.1D``, and BIDS ``events.tsv`` with its sidecar."""

from pathlib import Path

from neuroface.pipeline import atomic, write_json, write_table

import numpy as np
import pandas as pd


def write_annotation(folder: Path, run: str, stretches: dict[str, np.ndarray], about: dict) -> None:
    """Write ``<run>_<event>-annotation.1D`` of each event, ``<run>_events.tsv`` with all of them, and ``<run>_events.json``.

    An event that never happens gets no ``.1D``: readers take an empty one for damaged.

    Parameters
    ----------
    run : start of the names, such as "task-split". stretches : event → (n, 2) onset_s and
    duration_s in strict order.
    about : what the sidecar states about how they were made.
    """
    write_json(folder / f"{run}_events.json", about)
    rows = [
        {"onset": onset, "duration": duration, "trial_type": event}
        for event, of_event in stretches.items()
        for onset, duration in of_event.tolist()
    ]
    events = pd.DataFrame(rows, columns=["onset", "duration", "trial_type"])
    write_table(folder / f"{run}_events.tsv", events.sort_values("onset", kind="stable"))
    for event, of_event in stretches.items():
        file = folder / f"{run}_{event}-annotation.1D"
        if not len(of_event):
            file.unlink(missing_ok=True)
            continue
        with atomic(file) as partial:
            partial.write_text(
                "".join(f"{onset:.10g} {duration:.10g}\n" for onset, duration in of_event)
            )
