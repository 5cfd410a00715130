"""Do a run, its film and its annotation have the same clock? Their lengths tell."""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import Run, check_film_length, first_volume_s, is_on_film_clock, read_stretches
from neuroface.pipeline import read_json

NOT_SECONDS = 5  # an annotation this many times as long as its run is in frames or milliseconds, or of a film in parts
UNSEEN_S = 10.0  # an annotation that goes on for longer than this after the last volume is named


def check_clock(run: Run, n_volumes: int, cfg) -> list[str]:
    """Compare the lengths of a run, its film and its annotation.

    Returns
    -------
    What is left out of the film or of the annotation, a line each.

    Raises
    ------
    NeuroFaceError
        If the annotation cannot be in seconds of this run's film, or as :func:`neuroface.bold.check_film_length`.
    """
    names = tuple(name for label in cfg.LABELS for name in cfg.LABEL_EVENTS[label])
    files = dict.fromkeys(run.annotation_of(name) for name in names)
    ends = {path: _last_s(path, [name for name in names if run.annotation_of(name) == path], cfg) for path in files}
    path = max(ends, key=ends.get)
    last_s, run_s = ends[path], n_volumes * cfg.TR_S
    if last_s > NOT_SECONDS * run_s:
        raise NeuroFaceError(
            f"{path} goes on to second {last_s:,.0f}, and {run.bold} lasts {run_s:,.0f} s. Is the annotation in frames or "
            f"milliseconds, or of a film whose parts FILM_PARTS should name? It needs seconds of what the run shows."
        )
    if not is_on_film_clock(path) and run.film:
        last_s -= run.film.onset_s
    stated = [_stated_s(file) for file in files if is_on_film_clock(file)]
    film_s = max((length_s for length_s in stated if length_s), default=None)
    of_film_s = last_s if is_on_film_clock(path) else 0.0
    remarks = [check_film_length(run, run_s, film_s, of_film_s, f"the annotation {path.name}")]
    seen_s = first_volume_s(run, n_volumes, cfg.TR_S) + run_s
    last_s = min(last_s, run.film.duration_s) if run.film else last_s
    if last_s > seen_s + UNSEEN_S:
        remarks.append(f"its annotation from second {seen_s:.0f} to {last_s:.0f}: the run ends before")
    return [remark for remark in remarks if remark]


def _last_s(path: Path, names: list[str], cfg) -> float:
    stretches = read_stretches([(name, path) for name in names], cfg.EVENT_COLUMN)
    return float(stretches.sum(axis=1).max(initial=0.0))


def _stated_s(annotation: Path) -> float | None:
    """Length of what script 0 annotated, by the sidecar beside an annotation; None without one."""
    sidecar = annotation.with_name(annotation.name.rpartition("_")[0] + "_events.json")
    return read_json(sidecar).get("LengthS") if sidecar.is_file() else None
