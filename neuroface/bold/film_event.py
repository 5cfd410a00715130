"""When a run shows its film, per person: an event of the run's log says it, and often for how long.

In Emo-FilM (OpenNeuro ds004892) films begin 93.6 to 96.4 s after their runs. An event ``film`` says
when, in a table that is not named as the series: ``…_task-scan_acq-<film>_events.tsv`` beside
``…_task-<film>_bold.nii.gz``.
"""

import math
from dataclasses import replace
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.annotations import DAY_S, trial_types_of
from neuroface.bold.bids import Tables, not_fetched
from neuroface.bold.run import Run, Showing, entities_of
from neuroface.pipeline import did_you_mean, numbers, read_text_table

SUFFIX = "_events.tsv"
SHORTER, SHORTER_S = (
    0.01,
    1.0,
)  # a film may be shorter than its event by this share or this time: players stop late
LONGER_RUN, LONGER_RUN_S = (
    1.1,
    10.0,
)  # a run that lasts longer than that began or ended without its film

FilmEvent = tuple[str, str] | str | float | None


def clock_of_onsets(dataset: str, film_event: FilmEvent) -> str:
    """Whose seconds the onsets of a data set count: those of the "film", or of the "run" if nothing says when it began.

    Parameters
    ----------
    dataset, film_event : the settings DATASET and FILM_EVENT.
    """
    return "run" if dataset == "bids" and film_event is None else "film"


def check_film_event(film_event: FilmEvent) -> None:
    """Raise ValueError if FILM_EVENT cannot be meant."""
    if isinstance(film_event, tuple) and not film_event[1].endswith(SUFFIX):
        raise ValueError(
            f"FILM_EVENT = {film_event}: the second is the name of a table and ends with {SUFFIX}"
        )
    if isinstance(film_event, float) and not math.isfinite(film_event):
        raise ValueError(f"FILM_EVENT = {film_event} is no second of a run")
    if isinstance(film_event, str | tuple) and not all(
        (film_event,) if isinstance(film_event, str) else film_event
    ):
        raise ValueError("FILM_EVENT names no event. Write None if films begin with their runs")


def with_showings(
    runs: list[Run],
    folder: Path,
    film_event: FilmEvent,
    column: str = "trial_type",
    raw: str | Path | None = None,
    named_by: str = "FILM_EVENT",
) -> tuple[list[Run], list[tuple[str, str]]]:
    """Runs with the time at which each shows its film; those whose log does not say it are left out.

    Parameters
    ----------
    folder : the data set or derivative. film_event : FILM_EVENT. column : the column of the log
    that names the events.
    raw : RAW_DIR. named_by : the setting that names the event, for messages.

    Returns
    -------
    runs, left_out : ``left_out`` lists (what, why).
    """
    if film_event is None:
        return runs, []
    if not isinstance(film_event, str | tuple):
        return [replace(run, film=Showing(float(film_event))) for run in runs], []
    event, pattern = (film_event, None) if isinstance(film_event, str) else film_event
    shown, left_out, tables = [], [], {}
    for run in runs:
        if run.subject not in tables:
            tables[run.subject] = Tables(folder / run.subject, folder, [], raw)
        name = _log_name(run, pattern)
        files = [
            log
            for log in tables[run.subject].of(name, SUFFIX)
            if not pattern or _states(log, pattern, run)
        ]
        log = next(iter(files), None)
        if log is None:
            why = f"no {name}{SUFFIX}, which would say when the film begins ({named_by})"
        elif not_fetched(log):
            why = f"the log of its film is not fetched: datalad get {log}"
        elif (showing := read_film_event(log, event, column)) is None:
            types = trial_types_of(log, column)
            why = (
                f"{log} has no event {event!r}{did_you_mean(event, types)}, which {named_by} names; it has "
                f"{', '.join(map(repr, types[:8])) or 'none'}"
            )
        else:
            shown.append(replace(run, film=Showing(*showing, log)))
            continue
        left_out.append((run.name, why))
    return shown, left_out


def read_film_event(
    path: Path, event: str, column: str = "trial_type"
) -> tuple[float, float] | None:
    """Onset and duration (s) of the event that marks a film in a run's log; None if the log does not have it.

    A duration that is missing or 0 is that of a mark of the beginning: infinite.

    Raises
    ------
    NeuroFaceError
        If the event is there several times, or has no onset.
    """
    events = read_text_table(path, ("onset", "duration", column))
    rows = events[events[column] == event]
    if rows.empty:
        return None
    onset_s, duration_s = (numbers(rows, name, path) for name in ("onset", "duration"))
    if len(rows) > 1:
        raise NeuroFaceError(
            f"{path} has {len(rows)} events {event!r}, at {', '.join(f'{s:g}' for s in onset_s[:5])} s: FILM_EVENT needs "
            f"one, from the beginning of the film to its end."
        )
    if not (-DAY_S < onset_s[0] < DAY_S):
        raise NeuroFaceError(
            f"{path}, line {rows.index[0]}: {event!r} has no onset in seconds. Correct the file."
        )
    lasts_s = float(duration_s[0])
    return float(onset_s[0]), lasts_s if lasts_s > 0 else math.inf


def _log_name(run: Run, pattern: str | None) -> str:
    """Name of a run's log without its suffix: the entities of the run, and those of the pattern in their place."""
    own = entities_of(run.bold.name)
    entities = (
        own if pattern is None else own | entities_of(_filled(pattern, own).removesuffix(SUFFIX))
    )
    versions = ("space", "desc", "res", "den", "cohort")
    return "_".join(f"{key}-{value}" for key, value in entities.items() if key not in versions)


def _filled(pattern: str, entities: dict[str, str]) -> str:
    try:
        return pattern.format(**entities)
    except (KeyError, IndexError, ValueError):
        raise NeuroFaceError(
            f"FILM_EVENT: {pattern!r} names an entity in braces that a series lacks; it has {', '.join(entities)}."
        ) from None


def _states(log: Path, pattern: str, run: Run) -> bool:
    """Whether a table has the entities of the pattern, and does not merely lack other ones."""
    wanted = entities_of(_filled(pattern, entities_of(run.bold.name)).removesuffix(SUFFIX))
    return wanted.items() <= entities_of(log.name.removesuffix(SUFFIX)).items()


def check_film_length(
    run: Run, run_s: float, film_s: float | None, last_s: float = 0.0, source: str = "its file"
) -> str | None:
    """Compare the length of a film with the time for which a run showed it.

    Parameters
    ----------
    run_s : length of the run. film_s : length of the film, or of its annotation, by ``source``;
    None: not known.
    last_s : end of the last annotated stretch, on the film's clock.

    Returns
    -------
    A remark for the user on what is left out, or None.

    Raises
    ------
    NeuroFaceError
        If the film is shorter than its event: it was shown at another speed or in another version.
        If the run is much longer than the film, and FILM_EVENT does not say when the film begins.
    """
    if run.film is None:
        if film_s and run_s > max(LONGER_RUN * film_s, film_s + LONGER_RUN_S):
            raise NeuroFaceError(
                f"{run.bold} lasts {run_s:.1f} s, its film {film_s:.1f} s by {source}: when does the film begin? Set "
                f"FILM_EVENT to the event of the run's log that says it, or to 0.0 if all films begin with their runs."
            )
        return None
    shown_s = run.film.duration_s
    if math.isinf(shown_s):
        return None
    if film_s and film_s < shown_s - max(SHORTER * shown_s, SHORTER_S):
        raise NeuroFaceError(
            f"{run.bold}: the film lasts {film_s:.1f} s by {source}, and {shown_s:.1f} s by its event in {run.film.log}: "
            f"{1 - film_s / shown_s:.1%} less, so this copy runs at another speed (PAL: 4 %) or is another cut. Take the "
            f"copy that was shown."
        )
    film_s = max(film_s or 0.0, last_s)
    if film_s > shown_s + SHORTER_S:
        return (
            f"the last {film_s - shown_s:.1f} s of its film, which lasts {film_s:.1f} s by {source}: by its event it was "
            f"shown for {shown_s:.1f} s"
        )
    return None
