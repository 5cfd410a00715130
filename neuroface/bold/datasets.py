"""Find a study's files: which person watched which film, and the paths of BOLD, mask and annotation."""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.bids import bids_runs, folder_of_series, ignored_names, is_person, people_in
from neuroface.bold.film_event import FilmEvent, with_showings
from neuroface.bold.nndb import nndb_naming, nndb_runs
from neuroface.bold.run import Run, natural, whole_values
from neuroface.pipeline import did_you_mean, fingerprint


def find_runs(
    dataset: str,
    folder: Path,
    exclude: tuple[str, ...] = (),
    bids_filter: str = "",
    variant: str = "",
    events: tuple[str, ...] = (),
    annotated: bool = True,
    films: str | Path | None = None,
    event_column: str | None = None,
    include: tuple[str, ...] = (),
    raw: str | Path | None = None,
    film_event: FilmEvent = None,
) -> tuple[list[Run], list[tuple[str, str]]]:
    """All runs of a data set, sorted by person and run, and what had to be left out.

    Parameters
    ----------
    dataset : "demo" and "nndb-v1" share their naming; "nndb-v2"; "bids" is any data set with
    ``events.tsv``.
    folder : its root.
    exclude : people left out on purpose.
    bids_filter : text that a BIDS BOLD file's name must contain; "*" stands for anything in
    between.
    variant : version of NNDb v2, e.g. "blur_no_censor_ica".
    events : names of the events that NNDb's annotation files
    ``stimuli/task-<film>_<name>-annotation.1D`` must have.
    annotated : False: a BIDS run needs no ``events.tsv``, because its labels come from elsewhere.
    event_column : an ``events.tsv`` with this column wins over one without.
    include : the only people to take; (): all. raw : RAW_DIR, the raw data set of a derivative;
    None: it is looked for.
    film_event : FILM_EVENT, what says when a run shows its film; None: films begin with their runs.
    films : a folder with a further ``stimuli/``, for annotations and film regressors that
    ``folder`` lacks.

    Returns
    -------
    runs, left_out : ``left_out`` lists (what, why).

    Raises
    ------
    NeuroFaceError
        If a folder is missing or holds no run, or a name in ``include`` or ``exclude`` is not
        there; if a censored run of NNDb v2 has no list of its censored time points.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NeuroFaceError(
            f"DATASET_DIR = {folder} is not there. Set it to the folder that holds the data set."
        )
    if raw and not Path(raw).is_dir():
        raise NeuroFaceError(
            f"RAW_DIR = {raw} is not there. Set it to the folder of the raw data set, or to None."
        )
    root = folder
    if dataset == "bids":
        folder = folder_of_series(folder, bids_filter)
    people = _people(folder, dataset == "bids")
    _check_names(folder, [p.name for p in people], include, exclude)
    left_out = [(p.name, "named in EXCLUDE") for p in people if p.name in exclude]
    people = [p for p in people if p.name not in exclude]
    if include and (others := [p.name for p in people if p.name not in include]):
        left_out.append(
            (f"{len(others)} people" if len(others) > 1 else others[0], "not named in INCLUDE")
        )
        people = [p for p in people if p.name in include]
    ignored = ignored_names(folder)
    left_out += [
        (p.name, "no person: a phantom, or in .bidsignore")
        for p in people
        if not is_person(p, ignored)
    ]
    people = [p for p in people if is_person(p, ignored)]
    naming = nndb_naming(dataset, variant)
    of_data = list(dict.fromkeys([root / "stimuli", folder / "stimuli", folder]))
    stimuli = [*of_data, *([Path(films) / "stimuli"] if films else [])]
    runs: list[Run] = []
    for person in people:
        is_bids = dataset == "bids"
        runs_of_person, missing = (
            bids_runs(
                person,
                folder,
                bids_filter,
                stimuli,
                annotated,
                event_column,
                events,
                len(of_data),
                raw,
            )
            if is_bids
            else nndb_runs(person, stimuli, naming, events)
        )
        runs += runs_of_person
        left_out += missing
    runs, missing = whole_values(runs, bids_filter)
    left_out += missing
    runs, missing = with_showings(runs, folder, film_event, event_column or "trial_type", raw)
    left_out += missing
    if not runs:
        faults = {why for _, why in left_out if why != "not named in INCLUDE"}
        reasons = "; ".join(sorted(faults)[:3]) or "no folder sub-* in it or in derivatives/"
        elsewhere = " If the raw data set with the events is elsewhere, set RAW_DIR."
        hint = elsewhere if "_events.tsv" in reasons and not raw else ""
        raise NeuroFaceError(f"{folder} holds no run of DATASET = {dataset!r}: {reasons}.{hint}")
    return runs, left_out


def _check_names(
    folder: Path, people: list[str], include: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    """Raise if INCLUDE or EXCLUDE names somebody who is not there; the message names who is."""
    for setting, names in (("INCLUDE", include), ("EXCLUDE", exclude)):
        if unknown := sorted(set(names) - set(people), key=natural):
            there = (
                f"{', '.join(people[:8])}{', …' if len(people) > 8 else ''}" if people else "nobody"
            )
            raise NeuroFaceError(
                f"{setting} names {unknown[0]}, who is not in {folder}. "
                f"{_counted(people)} there: {there}{did_you_mean(unknown[0], people)}."
            )


def _counted(people: list[str]) -> str:
    return "1 person is" if len(people) == 1 else f"{len(people)} people are"


def check_distinct(runs: list[Run]) -> None:
    """Raise if two runs have the same BOLD: with a copy in training, a held-out window is recognised, not decoded."""
    seen: dict[str, Run] = {}
    for run in runs:
        same = seen.setdefault(fingerprint(run.bold), run)
        if same.bold != run.bold:  # a run with several films is there once for each
            raise NeuroFaceError(
                f"{run.bold} is a copy of {same.bold}. Put the right series in its place, or leave {run.subject} out with "
                f"EXCLUDE."
            )


def _people(folder: Path, is_bids: bool) -> list[Path]:
    """People of ``derivatives/`` or the root for NNDb, of the root for BIDS."""
    for parent in (folder,) if is_bids else (folder / "derivatives", folder):
        people = people_in(parent)
        if people:
            return sorted(people, key=lambda p: natural(p.name))
    return []
