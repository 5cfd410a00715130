"""Who saw which film, when, and in which run."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from film_encoding.film_clock import first_volume
from neuroface import NeuroFaceError
from neuroface.bold import (
    Run,
    check_film_length,
    check_shared_space,
    check_tr,
    find_runs,
    first_volume_s,
    folder_of_series,
    is_surface,
    open_header,
    with_showings,
)

import numpy as np

SHORT = 0.95  # a run with a smaller share of its film is left out: it would shorten the film for all people


@dataclass(frozen=True)
class Viewing:
    """One person's run of one film. ``first`` is the volume at which the film begins; ``n_rows`` volumes follow from
    there. ``shown_s`` seconds of the film were shown, by FILM_EVENT.
    """

    run: Run
    first: int
    n_rows: int
    onset_s: float
    shown_s: float = np.inf


def find_viewings(cfg) -> tuple[dict[str, list[Viewing]], list[tuple[str, str]]]:
    """Who saw which film, from headers and events alone.

    Returns
    -------
    film → viewings, people in natural order; left_out (what, why).
    """
    showings, left_out = find_showings(cfg)
    refuse_surfaces([run for _, run in showings])
    check_shared_space([run for _, run in showings])
    viewings: dict[str, list[Viewing]] = {}
    for film, run in showings:
        if cfg.FILMS and film not in cfg.FILMS:
            continue
        others = viewings.setdefault(film, [])
        check_repeated(run, film, [other.run for other in others], cfg)
        image, shape = open_header(run.bold)
        if remark := check_tr(run, image, shape[3], cfg.TR_S):
            print(f"  {run.name}: {remark}")
        onset_s = 0.0 - first_volume_s(run, shape[3], cfg.TR_S)
        first = first_volume(onset_s, cfg.TR_S)
        if first < 0:
            raise NeuroFaceError(
                f"{run.bold}: the film begins {-onset_s:g} s before its first volume. Leave {run.subject} out with EXCLUDE."
            )
        if first >= shape[3]:
            raise NeuroFaceError(
                f"{run.bold} has {shape[3]} volumes, and its events say that the film begins at {onset_s:g} s, volume "
                f"{first}. "
                f"Correct the events, or TR_S."
            )
        shown_s = run.film.duration_s if run.film else np.inf
        others.append(Viewing(run, first, shape[3] - first, onset_s, shown_s))
    if missing := [film for film in cfg.FILMS if film not in viewings]:
        raise NeuroFaceError(_nobody_saw(missing[0], [film for film, _ in showings], cfg))
    whole = {film: drop_interrupted(who) for film, who in viewings.items()}
    left_out += [line for _, lines in whole.values() for line in lines]
    return {film: who for film, (who, _) in whole.items()}, left_out


def _nobody_saw(film: str, shown: list[str], cfg) -> str:
    """Why a film of FILMS has no run, by where FILM_RUNS takes the names of films from."""
    there = ", ".join(dict.fromkeys(shown))
    if cfg.FILM_RUNS == "parts":
        return (
            f'FILM_RUNS = "parts" and FILMS names {film!r}; the parts that runs show are {there}.'
        )
    return f"FILMS names {film!r}, and no BOLD file has task-{film} in its name; there are {there}."


def refuse_surfaces(runs: list[Run]) -> None:
    """Raise if a series is on the cortical surface: the atlas and the maps of this study are volumes."""
    for run in runs:
        if is_surface(run.bold):
            raise NeuroFaceError(
                f"{run.bold} is on the cortical surface, and this study reads volumes. Set BIDS_FILTER to volumes, such "
                f'as "space-MNI152NLin2009cAsym".'
            )


def find_showings(cfg) -> tuple[list[tuple[str, Run]], list[tuple[str, str]]]:
    """Film and run of everything that was shown, by FILM_RUNS; left_out (what, why).

    Raises
    ------
    NeuroFaceError
        If no run is found, or, where runs show several films, no log has a film of FILMS.
    """
    runs, left_out = find_runs(
        "bids", cfg.DATASET_DIR, cfg.EXCLUDE, cfg.BIDS_FILTER, annotated=False, include=cfg.INCLUDE, raw=cfg.RAW_DIR,
        film_event=None if cfg.FILM_RUNS == "several" else cfg.FILM_EVENT,
    )  # fmt: skip
    if cfg.FILM_RUNS == "several":
        showings, without = films_in_logs(runs, cfg)
        return showings, left_out + without
    if cfg.FILM_RUNS == "parts":
        return [(name_of_part(run), run) for run in runs], left_out
    return [(run.movie, run) for run in runs], left_out


def films_in_logs(runs: list[Run], cfg) -> tuple[list[tuple[str, Run]], list[tuple[str, str]]]:
    """Film and run of each film of FILMS that a run's log has as an event; runs that show none (what, why).

    Raises
    ------
    NeuroFaceError
        If a film of FILMS is in no log.
    """
    folder = folder_of_series(Path(cfg.DATASET_DIR), cfg.BIDS_FILTER)
    showings: list[tuple[str, Run]] = []
    reasons: dict[str, str] = {}
    for film in cfg.FILMS:
        event = (film, cfg.FILM_EVENT[1]) if isinstance(cfg.FILM_EVENT, tuple) else film
        shown, without = with_showings(runs, folder, event, raw=cfg.RAW_DIR, named_by="FILMS")
        if not shown:
            [(why, _)] = Counter(why for _, why in without).most_common(1)
            raise NeuroFaceError(
                f'FILM_RUNS = "several" and FILMS names {film!r}, but no run shows it: {why}. Correct FILMS or the logs, or '
                "name the table of the events in FILM_EVENT."
            )
        showings += [(film, run) for run in shown]
        reasons = dict(without) | reasons
    for _, run in showings:
        reasons.pop(run.name, None)
    return showings, [(name, f"it shows none of FILMS: {why}") for name, why in reasons.items()]


def name_of_part(run: Run) -> str:
    """Name of the part of a film that a run shows, and of its film file: movierun2 (movie_run-2.mp4)."""
    return "".join(filter(str.isalnum, run.stimulus))


def check_repeated(run: Run, film: str, others: list[Run], cfg) -> None:
    """Refuse a second run of a person and film unless FILM_RUNS says what it is.

    Raises
    ------
    NeuroFaceError
        If it does not, or if it is the same run in another version.
    """
    own = [other for other in others if other.subject == run.subject]
    if not own:
        return
    if any(other.run == run.run for other in own):
        raise NeuroFaceError(
            f"{run.subject} has two runs of {film}. Set BIDS_FILTER to text that only one of the files has in its name."
        )
    if cfg.FILM_RUNS == "several":
        raise NeuroFaceError(
            f'{run.subject} saw {film} in two runs: {own[0].name} and {run.name}. With FILM_RUNS = "several" each film is '
            "taken once: leave the person out with EXCLUDE, or rename the event in one of the two logs."
        )
    if cfg.FILM_RUNS != "repeats":
        raise NeuroFaceError(
            f"{run.subject} has two runs of {film}: {own[0].name} and {run.name}. If each shows all of it, set FILM_RUNS = "
            '"repeats"; if each shows a part of it, "parts". Or name one of them with BIDS_FILTER.'
        )


def people_of(viewings: list[Viewing]) -> dict[str, list[Viewing]]:
    """Person → their viewings of a film."""
    people: dict[str, list[Viewing]] = {}
    for viewing in viewings:
        people.setdefault(viewing.run.subject, []).append(viewing)
    return people


def drop_interrupted(viewings: list[Viewing]) -> tuple[list[Viewing], list[tuple[str, str]]]:
    """Leave out people whose film was stopped early, by its event; returns the others, and (what, why)."""
    stated_s = [viewing.shown_s for viewing in viewings if np.isfinite(viewing.shown_s)]
    usual_s = float(np.median(stated_s)) if stated_s else np.inf
    stopped = [viewing for viewing in viewings if viewing.shown_s < SHORT * usual_s]
    kept = [viewing for viewing in viewings if viewing not in stopped]
    return kept, [
        (viewing.run.name, f"its film lasted {viewing.shown_s:.1f} s, others' {usual_s:.1f} s")
        for viewing in stopped
    ]


def shown_s(
    viewings: list[Viewing], film_s: float, tr_s: float, name: str
) -> tuple[float, str | None]:
    """For how long all viewers saw a film whose file lasts ``film_s``, and what is left out of the file.

    Raises
    ------
    NeuroFaceError
        If the file is not what a run showed (:func:`neuroface.bold.check_film_length`).
    """
    runs_s = [(viewing.first + viewing.n_rows) * tr_s for viewing in viewings]
    remarks = [
        check_film_length(viewing.run, run_s, film_s, source=name)
        for viewing, run_s in zip(viewings, runs_s)
    ]
    return min([film_s, *(viewing.shown_s for viewing in viewings)]), next(
        filter(None, remarks), None
    )


def drop_short(viewings: list[Viewing], n_rows: int) -> tuple[list[Viewing], list[tuple[str, str]]]:
    """Leave out runs that end long before their film; returns the others, and (what, why)."""
    short = [viewing for viewing in viewings if viewing.n_rows < SHORT * n_rows]
    kept = [viewing for viewing in viewings if viewing.n_rows >= SHORT * n_rows]
    return kept, [
        (viewing.run.name, f"its run holds {viewing.n_rows} of the {n_rows} volumes of the film")
        for viewing in short
    ]
