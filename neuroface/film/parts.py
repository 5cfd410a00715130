"""Which seconds of which film file were shown in which run, and when: films in parts, with pauses, or in several files."""

import re
import unicodedata
from pathlib import Path
from typing import NamedTuple

from neuroface import NeuroFaceError
from neuroface.film.frames import Film
from neuroface.pipeline import numbers, read_text_table

import numpy as np

COLUMNS = ("file", "start_s", "end_s", "task", "run", "onset_s")


class Part(NamedTuple):
    """Seconds ``start_s`` to ``end_s`` of a file, shown from second ``onset_s`` of a run."""

    file: str  # name of the film file
    start_s: float
    end_s: float
    task: str
    run: str  # "" where a task has one run
    onset_s: float

    @property
    def name(self) -> str:
        """Start of the names of the run's files: ``task-<task>[_run-<run>]``."""
        return f"task-{self.task}" + (f"_run-{self.run}" if self.run else "")


def task_of(file: Path) -> str:
    """The name of a film as names of files have it, letters and digits only: "Das große Fest.mkv" is "DasgrosseFest"."""
    plain = unicodedata.normalize("NFKD", file.stem.replace("ß", "ss"))
    return re.sub(r"[^A-Za-z0-9]", "", plain) or "film"


def _plain(file: str) -> str:
    """A file's name without what people write in several ways: case, blanks, signs, accents and the suffix."""
    return task_of(Path(file)).casefold()


def parts_of(films: list[Film], table: list[Part] | None) -> list[Part]:
    """Parts of the films that are given: those of the table, or every film as one run of its own.

    Raises
    ------
    NeuroFaceError
        If two films would have the same name, if a film is not in the table, or a part lies beyond
        its film.
    """
    names = {film.path.name: film for film in films}
    if len(names) < len(films):
        raise NeuroFaceError(
            "Two of the films have the same file name. Rename one, or annotate them one at a time."
        )
    if table is None:
        parts = [
            Part(film.path.name, 0.0, film.duration_s, task_of(film.path), "", 0.0)
            for film in films
        ]
        tasks = [part.task for part in parts]
        if doubled := next((task for task in tasks if tasks.count(task) > 1), None):
            raise NeuroFaceError(
                f"Two films would both be called task-{doubled}. Rename one, or name a table in FILM_PARTS."
            )
        return parts
    for part in table:
        near = [name for name in names if _plain(name) == _plain(part.file)]
        if near and part.file not in names:
            raise NeuroFaceError(
                f"FILM_PARTS names {part.file!r}, the film is {near[0]!r}. Write both alike."
            )
    for name, film in names.items():
        own = [part for part in table if part.file == name]
        if not own:
            raise NeuroFaceError(
                f"{name} is not in the column file of FILM_PARTS. Add its parts there."
            )
        if beyond := next((part for part in own if part.start_s >= film.duration_s), None):
            raise NeuroFaceError(
                f"FILM_PARTS: a part of {name} starts at {beyond.start_s:g} s, and the film lasts {film.duration_s:.1f} s."
            )
    needed = {part.name for part in table if part.file in names}
    missing = {part.file for part in table if part.name in needed} - set(names)
    if missing:
        raise NeuroFaceError(
            f"{sorted(missing)[0]} belongs to the same run as another film here. Name both films in one call."
        )
    return [
        part._replace(end_s=min(part.end_s, names[part.file].duration_s)) for part in table if part.file in names
    ]  # fmt: skip


def read_parts(path: str | Path) -> list[Part]:
    """The table that FILM_PARTS names: tab-separated, columns file, start_s, end_s, task, run, onset_s; a row per part.

    Raises
    ------
    NeuroFaceError
        If a column is missing, a value is none, or two parts of a run overlap.
    """
    table = read_text_table(Path(path), COLUMNS)
    seconds = {name: numbers(table, name, Path(path)) for name in ("start_s", "end_s", "onset_s")}
    parts = []
    for row, number in enumerate(table.index):
        file, task, run = (table[name][number] or "" for name in ("file", "task", "run"))
        start_s, end_s, onset_s = (values[row] for values in seconds.values())
        part = Part(file, start_s, end_s, task, run, onset_s)
        named = re.fullmatch("[A-Za-z0-9]+", part.task) and re.fullmatch("[A-Za-z0-9]*", part.run)
        if not (named and 0 <= part.start_s < part.end_s and part.onset_s >= 0):
            raise NeuroFaceError(
                f"FILM_PARTS: {path}, line {number}: task and run take letters and digits; 0 ≤ start_s < end_s, onset_s ≥ 0."
            )
        parts.append(part)
    for name in dict.fromkeys(part.name for part in parts):
        own = sorted((part for part in parts if part.name == name), key=lambda part: part.onset_s)
        for earlier, following in zip(own, own[1:]):
            if earlier.onset_s + earlier.end_s - earlier.start_s > following.onset_s + 1e-6:
                raise NeuroFaceError(
                    f"FILM_PARTS: {path}: two parts of {name} overlap at {following.onset_s:g} s."
                )
    return parts


def run_clock(parts: list[Part], rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """For the samples of a run, which part is on the screen and which sample of its film that is.

    Returns
    -------
    part, sample : (n,) int each, from the run's second 0 to the end of its last part; −1 where no
    film is shown.
    """
    length = max(part.onset_s + part.end_s - part.start_s for part in parts)
    times_s = np.arange(int(np.ceil(length * rate_hz - 1e-6))) / rate_hz
    which, sample = np.full((2, len(times_s)), -1)
    for number, part in enumerate(parts):
        film_s = times_s - part.onset_s + part.start_s
        inside = (film_s >= part.start_s - 1e-6) & (film_s < part.end_s - 1e-6)
        which[inside] = number
        sample[inside] = np.floor(film_s[inside] * rate_hz + 1e-6)
    return which, sample
