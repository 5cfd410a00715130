"""From labels of a stimulus to labelled volumes: a row per volume of a person's run that carries a label."""

import re
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import (
    ROUNDING_S,
    check_names,
    events_of,
    first_volume_s,
    on_screen,
    read_events,
    trial_types_of,
)
from volume_study.film_clock import moments_of_volumes

import numpy as np
import pandas as pd

# A row per volume. onset_s: time of its label on ``clock``, the film or the run; tr: the volume in
# the BOLD series, from 0; moment: what all volumes with this TR of the stimulus share; event: the
# block or episode; stimulus: the run's part of it.
COLUMNS = [
    "subject",
    "movie",
    "run",
    "label",
    "onset_s",
    "tr",
    "moment",
    "event",
    "stimulus",
    "clock",
]
OF_STRETCH = ("stretch_onset_s", "stretch_duration_s")  # until all people's blocks are compared


def file_label(label: str) -> str:
    """A label as part of a file's name: letters and digits; "CS+" is "CSplus", "CS-" is "CSminus"."""
    words = re.sub(r"-$", "minus", label.strip()).replace("+", "plus")
    return re.sub(r"[^A-Za-z0-9]+", "", words)


def labels_of_types(types: list[str]) -> dict[str, tuple[str, ...]]:
    """Every trial type as a label of its own.

    Raises
    ------
    NeuroFaceError
        If a type has no letter or digit that a file's name may have, or two types would have one
        label.
    """
    labels: dict[str, tuple[str, ...]] = {}
    for name in types:
        label = file_label(name)
        if not label or label in labels:
            other = (
                f"would be the label {label!r}, as {labels[label][0]!r} is"
                if label
                else "has no Latin letter or digit"
            )
            raise NeuroFaceError(
                f"The trial type {name!r} {other}. Give it a label in EVENT_LABELS, for example "
                f"{{'mylabel': ({name!r},)}}, and list the other trial types there too."
            )
        labels[label] = (name,)
    return labels


def lag_of_run(run, n_volumes: int, cfg) -> float:
    """Seconds from a moment of the run to the volume that carries its label, counted in volumes of the series."""
    return cfg.LAG_S - first_volume_s(run, n_volumes, cfg.TR_S)


# ---------------------------------------------------------------- observers


def film_volumes(run, n_volumes: int, index: int, votes: pd.DataFrame, cfg) -> pd.DataFrame:
    """Labelled volumes of a run that shows a part of a film.

    Parameters
    ----------
    index : number of the run's segment. votes : result of :func:`volume_study.observers.consensus` of the film.
    """
    moment = moments_of_volumes(
        n_volumes, index, cfg.SEGMENTS, cfg.TR_S, lag_of_run(run, n_volumes, cfg), cfg.FILM_CLOCK
    )
    labels, episode = votes["label"].to_numpy(), episodes_of(votes["label"])
    tr = np.flatnonzero((moment >= 0) & (moment < len(votes)))
    tr = tr[pd.notna(labels[moment[tr]])]
    moment = moment[tr]
    table = pd.DataFrame(
        {
            "label": [file_label(label) for label in labels[moment]],
            "onset_s": moment * cfg.TR_S,
            "tr": tr,
            "moment": [f"{run.movie}_tr-{number}" for number in moment],
            "event": [f"{run.movie}_episode-{number}" for number in episode[moment]],
        }
    )
    return table.assign(
        subject=run.subject,
        movie=run.movie,
        run=run.run,
        stimulus=f"{run.movie}_part-{index + 1}",
        clock=run.movie,
    )[COLUMNS]


def episodes_of(labels: pd.Series) -> np.ndarray:
    """Number of the episode of each TR, (n_trs,): TRs in a row with one label are one."""
    text = labels.fillna("").astype(str).to_numpy()
    return np.cumsum(np.concatenate([[0], text[1:] != text[:-1]]))


def shown_once(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Volumes without those whose moment a person saw in an earlier run already (parts overlap); and how many those are.

    Parameters
    ----------
    table : rows of all runs of all people, runs in order.
    """
    again = table.duplicated(["subject", "moment"])
    return table[~again].reset_index(drop=True), int(again.sum())


def moved_labels(lengths: dict[int, int], votes: pd.DataFrame, cfg) -> pd.DataFrame:
    """How the published clock and its missing delay move labels, a row per part of the film.

    Parameters
    ----------
    lengths : index of the segment → volumes of its run.

    Returns
    -------
    Columns run, drift_s (of the clock), labelled (volumes with a label by the published procedure),
    and of these: same (label by film clock and delay of the settings), other, none; clock_alone:
    how many of them the clock alone changes.
    """
    names = votes["label"].fillna("").to_numpy(dtype=str)

    def carried(index, n, lag_s, clock):
        moment = moments_of_volumes(n, index, cfg.SEGMENTS, cfg.TR_S, lag_s, clock)
        known = (moment >= 0) & (moment < len(names))
        return np.where(known, names[np.clip(moment, 0, len(names) - 1)], "")

    rows = []
    for index, n in sorted(lengths.items()):
        published, right = (
            carried(index, n, 0.0, "cumulated"),
            carried(index, n, cfg.LAG_S, "segments"),
        )
        there = published != ""
        start = moments_of_volumes(1, index, cfg.SEGMENTS, cfg.TR_S, 0.0, "cumulated")[0] * cfg.TR_S
        rows.append(
            {
                "run": index + 1,
                "drift_s": start - cfg.SEGMENTS[index][0],
                "labelled": int(there.sum()),
                "same": int((there & (right == published)).sum()),
                "other": int((there & (right != published) & (right != "")).sum()),
                "none": int((there & (right == "")).sum()),
                "clock_alone": int(
                    (there & (carried(index, n, 0.0, "segments") != published)).sum()
                ),
            }
        )
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- events


def event_labels(files: list[Path], cfg) -> dict[str, tuple[str, ...]]:
    """EVENT_LABELS, or, where it is empty, every trial type of all tables as a label of its own.

    Raises
    ------
    NeuroFaceError
        If a label of EVENT_LABELS has no event in any table, or all tables together have fewer than
        two trial types.
    """
    types_at_hand = {
        name for file in dict.fromkeys(files) for name in trial_types_of(file, cfg.EVENT_COLUMN)
    }
    if not cfg.EVENT_LABELS:
        labels = labels_of_types(sorted(types_at_hand))
        if len(labels) < 2:
            raise NeuroFaceError(
                f"The events of {cfg.DATASET_DIR} have {len(labels)} trial type in column {cfg.EVENT_COLUMN!r}; two are "
                f"needed. Set EVENT_COLUMN."
            )
        return labels
    wanted = tuple(name for types in cfg.EVENT_LABELS.values() for name in types)
    for file in dict.fromkeys(files):
        check_names(file, wanted, cfg.EVENT_COLUMN)
    for label, types in cfg.EVENT_LABELS.items():
        if not types_at_hand & set(types):
            raise NeuroFaceError(
                f"EVENT_LABELS: no run of {cfg.DATASET_DIR} has an event {' or '.join(map(repr, types))} ({label}). Column "
                f"{cfg.EVENT_COLUMN!r} holds {', '.join(map(repr, sorted(types_at_hand)[:12]))}."
            )
    return dict(cfg.EVENT_LABELS)


def event_volumes(
    run, n_volumes: int, labels: dict[str, tuple[str, ...]], cfg
) -> tuple[pd.DataFrame, int]:
    """Labelled volumes of a run with ``events.tsv``, and how many carry several labels at once and are left out.

    The volumes have no event yet, but the columns of OF_STRETCH; :func:`name_events` compares those
    of all people.
    """
    time_s = np.arange(n_volumes) * cfg.TR_S - lag_of_run(run, n_volumes, cfg)
    where, parts = f"task-{run.stimulus}", []
    for label, types in labels.items():
        stretches = read_events(run.annotation_of(""), types, cfg.EVENT_COLUMN, cfg.JOIN_GAP_S)
        tr = np.flatnonzero(on_screen(time_s + ROUNDING_S, stretches))
        if len(tr):
            block = np.searchsorted(stretches[:, 0], time_s[tr] + ROUNDING_S, side="right") - 1
            moment = [f"{where}_{label}_tr-{number}" for number in tr]
            of_stretch = {
                "stretch_onset_s": stretches[block, 0],
                "stretch_duration_s": stretches[block, 1],
            }
            parts.append(
                pd.DataFrame(
                    {"label": label, "onset_s": time_s[tr], "tr": tr, "moment": moment} | of_stretch
                )
            )
    if not parts:
        return pd.DataFrame(columns=[*COLUMNS, *OF_STRETCH]), 0
    table = pd.concat(parts).sort_values("tr", ignore_index=True)
    several = table.duplicated("tr", keep=False)
    table = table[~several].assign(
        subject=run.subject, movie=run.movie, run=run.run, stimulus=where, clock=where
    )
    return table, int(table["tr"].shape[0] and several.sum() // 2)


def name_events(table: pd.DataFrame) -> pd.DataFrame:
    """The volumes of all people with their events: blocks of people that overlap by most of their length are one."""
    stretches = table.drop(columns="onset_s").rename(
        columns={"stretch_onset_s": "onset_s", "stretch_duration_s": "duration_s"}
    )
    return table.assign(event=events_of(stretches))[COLUMNS]


def name_own_stimuli(table: pd.DataFrame) -> pd.DataFrame:
    """Where a run's blocks differ between people, its stimuli are each person's own: their names get the person's.

    Otherwise all who have a run of this name are viewers of one stimulus: what one of them saw at a
    TR, the others saw too.
    """
    blocks = table.groupby(["stimulus", "subject"])["event"].agg(
        lambda events: tuple(dict.fromkeys(events))
    )
    own = table["stimulus"].map(blocks.groupby("stimulus").nunique() > 1).to_numpy(bool)
    for column in ("moment", "event", "stimulus", "clock"):
        table[column] = np.where(own, table["subject"] + "_" + table[column], table[column])
    return table
