"""``data/<RUN_NAME>/logs/``: everything that a script printed, its warnings included, and the versions it ran with."""

import sys
import threading
import traceback
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path


class _Copied:
    """A terminal or pipe whose text is also logged. For a progress bar, only the last state of a line is logged."""

    def __init__(self, stream, log: "Log"):
        self._stream, self._log = stream, log

    def write(self, text: str) -> int:
        self._log.add(text)
        return self._stream.write(text)

    def __getattr__(self, name: str):
        return getattr(self._stream, name)


class Log:
    """Text of one run of a script. It is held in memory until :meth:`begin` names its file."""

    def __init__(self):
        self._line = ""
        self._lines: list[str] = []
        self._file: Path | None = None
        self._lock = threading.Lock()  # progress is printed by a thread of its own

    def add(self, text: str) -> None:
        with self._lock:
            *whole, self._line = (self._line + text).split("\n")
            self._lines += [line.rpartition("\r")[2] for line in whole]
            self._line = self._line.rpartition("\r")[2] or self._line
            if self._file and self._lines:
                self._write(self._file)

    def begin(self, folder: Path, script: str, heading: dict) -> None:
        """From now on write to ``<script>-<time>.log``; ``heading`` (name → value) comes first."""
        folder.mkdir(parents=True, exist_ok=True)
        now = datetime.now()
        self._file = folder / f"{Path(script).stem}-{now:%Y%m%dT%H%M%S}.log"
        parts = {"script": script, "started": f"{now:%Y-%m-%d %H:%M:%S}"} | heading
        self._lines = [f"# {name}: {value}" for name, value in parts.items()] + self._lines
        self._write(self._file)

    def close(self) -> None:
        if self._line:
            self.add("\n")

    def _write(self, file: Path) -> None:
        with open(file, "a") as log:  # after each line, so a killed script leaves its output
            log.writelines(f"{line}\n" for line in self._lines)
        self._lines = []


_current: Log | None = None


def begin_log(folder: Path, script: str, heading: dict) -> None:
    """Name the file of the running script's log; does nothing outside :func:`logged`."""
    if _current:
        _current.begin(folder, script, heading)


@contextmanager
def logged():
    """Copy what the block prints, and the error that ends it, to the log that :func:`begin_log` names."""
    global _current
    log, before, streams = Log(), _current, (sys.stdout, sys.stderr)
    _current, sys.stdout, sys.stderr = log, _Copied(sys.stdout, log), _Copied(sys.stderr, log)
    try:
        yield
    except SystemExit as end:
        if isinstance(end.code, str):  # the interpreter prints it after this block
            log.add(f"{end.code}\n")
        raise
    except BaseException:
        log.add(traceback.format_exc())
        raise
    finally:
        log.close()
        _current, (sys.stdout, sys.stderr) = before, streams
