"""How far units of work are, within a unit too, and how long they will still take."""

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from neuroface.pipeline.files import read_json, write_json

import numpy as np
from tqdm import tqdm

NOTE_EVERY_S = 1.0  # a unit writes how far it is at most this often
LINE_EVERY_S = 30.0  # between two lines, where the output is not a terminal
LINE_AFTER_UNIT_S = 10.0  # the same, if a unit has ended
BAR = "{desc}: {n_fmt} of {total_fmt} |{bar:12}| {elapsed}{postfix}"


class UnitName(NamedTuple):
    """What a unit is called in progress messages; units of one ``kind`` take about equally long."""

    kind: str
    name: str


class UnitState(NamedTuple):
    """How far a unit is.

    Attributes
    ----------
    seconds : since it began. share : of its work, from 0 to 1.
    first_seconds, first_share : the same when it first said how far it was. What came before, such
    as compiling a network, is not repeated.
    """

    seconds: float
    share: float
    first_seconds: float
    first_share: float

    @property
    def seconds_left(self) -> float | None:
        """By the speed since the first note; None if that is not known yet."""
        if self.share >= 1:
            return 0.0
        if self.share <= self.first_share:
            return None
        speed = (self.share - self.first_share) / max(1e-9, self.seconds - self.first_seconds)
        return (1 - self.share) / speed


class _Notes:
    """Writes how far the unit of this process is."""

    def __init__(self, file: Path):
        self._file, self._started, self._written = file, time.monotonic(), -np.inf
        self._first: tuple[float, float] | None = None

    def write(self, share: float) -> None:
        now = time.monotonic()
        begins = share > 0 and self._first is None
        if share < 1 and not begins and now - self._written < NOTE_EVERY_S:
            return
        seconds, self._written = now - self._started, now
        if begins:
            self._first = seconds, share
        with suppress(OSError):  # no work ends for want of a progress bar
            write_json(self._file, [seconds, share, *(self._first or (seconds, share))])


_notes: _Notes | None = None


@contextmanager
def unit_progress(file: Path | None) -> Iterator[None]:
    """While a unit is made in this process, write how far it is to ``file``; None: nowhere."""
    global _notes
    _notes = _Notes(file) if file else None
    note_progress(0.0)
    try:
        yield
        note_progress(1.0)
    finally:
        _notes = None


def note_progress(share: float) -> None:
    """Say how far the unit that this process makes is, from 0 to 1; call it as often as you like."""
    if _notes:
        _notes.write(share)


def seconds_left(
    names: list[UnitName], states: list[UnitState | None], n_jobs: int
) -> tuple[float, dict[str, int]]:
    """How long all units will still take, and the units of which this is not known.

    A unit that has not begun is taken to need as long as the mean of its kind that is done, else as
    the running ones of its kind will have needed.

    Parameters
    ----------
    names, states : of each unit; the state of one that has not begun is None.
    n_jobs : units at a time.

    Returns
    -------
    Seconds, without the units of unknown kinds; kind → number of units that are not counted.
    """
    done: dict[str, list[float]] = {}
    expected: dict[str, list[float]] = {}
    for (kind, _), state in zip(names, states, strict=True):
        if state and state.seconds_left is not None:
            (done if state.share >= 1 else expected).setdefault(kind, []).append(
                state.seconds + state.seconds_left
            )
    times = {kind: float(np.mean(seconds)) for kind, seconds in (expected | done).items()}
    left = [0.0]
    unknown: dict[str, int] = {}
    for (kind, _), state in zip(names, states, strict=True):
        own = state.seconds_left if state else None
        if own is not None:
            left.append(own)
        elif kind in times:
            left.append(max(0.0, times[kind] - (state.seconds if state else 0)))
        else:
            unknown[kind] = unknown.get(kind, 0) + 1
    return max(max(left), sum(left) / max(1, n_jobs)), unknown


def duration(seconds: float) -> str:
    """Such as "1 h 43 min" or "12 min"."""
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


class Progress:
    """A progress bar, or lines if the output is not a terminal, also while a unit runs.

    Use it as a context, give each unit its :meth:`file`, and call :meth:`count` after each unit.

    Parameters
    ----------
    names : of all units. n_jobs : units at a time.
    plural : name of the units, in the plural.
    """

    def __init__(self, names: list[UnitName], n_jobs: int, plural: str):
        self._names, self._n_jobs, self.plural = names, n_jobs, plural
        self._folder = tempfile.TemporaryDirectory(prefix="progress-")
        self._count, self._started = 0, time.monotonic()
        self._done: dict[int, UnitState] = {}  # their files are not read again
        self._last = self._started
        self._ended, self._lock = threading.Event(), threading.Lock()
        self._bar = (
            tqdm(total=len(names), desc=f"  {plural}", unit="", bar_format=BAR)
            if sys.stderr.isatty()
            else None
        )
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._ended.set()
        self._thread.join()
        if self._bar is not None:
            self._bar.close()
        self._folder.cleanup()

    def file(self, number: int) -> Path:
        """Where unit ``number`` writes how far it is."""
        return Path(self._folder.name) / f"{number}.json"

    def count(self, text: str | None = None) -> None:
        """One unit more is done; ``text`` is what it printed."""
        with self._lock:
            self._count += 1
            if self._bar is not None:
                if text:
                    tqdm.write(text, sys.stderr, end="")
                if self._count == len(self._names):  # until then _watch writes the details
                    self._bar.set_postfix_str("", refresh=False)
                self._bar.update()
                return
            if text:
                print(text, file=sys.stderr, end="", flush=True)
            last = self._count == len(self._names) > 1
            if last or time.monotonic() - self._last > LINE_AFTER_UNIT_S:
                self._print()

    def details(self) -> str:
        """The units that run, how far they are, and the time left; empty if nothing of this is known."""
        states = [self._state(number) for number in range(len(self._names))]
        running = [
            name.name + (f" {state.share:.0%}" if state.share else "")
            for name, state in zip(self._names, states)
            if name.name and state and state.share < 1
        ]
        if self._count and not any(states):  # on a cluster units do not say how far they are
            each_s = (time.monotonic() - self._started) / self._count
            left_s = each_s * (len(states) - self._count)
            unknown: dict[str, int] = {}
        else:
            left_s, unknown = seconds_left(self._names, states, self._n_jobs)
        parts = [", ".join(running)] if running else []
        if left_s > 90:
            parts.append(f"about {duration(left_s)} left")
        if left_s > 90 and unknown:
            kinds = ", ".join(f"{n} × {kind}" for kind, n in unknown.items())
            parts.append(f"not counting {kinds}")
        return "; ".join(parts)

    def _state(self, number: int) -> UnitState | None:
        if number not in self._done and (file := self.file(number)).exists():
            state = UnitState(*read_json(file))
            if state.share < 1:
                return state
            self._done[number] = state
        return self._done.get(number)

    def _print(self) -> None:
        self._last = time.monotonic()
        details = self.details()
        details = f"; {details}" if details else ""
        print(f"  {self.plural}: {self._count} of {len(self._names)}{details}", flush=True)

    def _watch(self) -> None:
        while not self._ended.wait(NOTE_EVERY_S):
            with self._lock:
                if self._bar is not None:
                    self._bar.set_postfix_str(self.details())
                elif time.monotonic() - self._last > LINE_EVERY_S:
                    self._print()
