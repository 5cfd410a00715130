"""One script at a time in one folder, or several runs of it that share the folder."""

import fcntl
from pathlib import Path

from neuroface import NeuroFaceError


class FolderLock:
    """A lock that this process holds until it ends, even by a kill. Worker processes get a copy without the lock.

    Parameters
    ----------
    shared : whether other processes may hold a shared lock at the same time.
    """

    def __init__(self, folder: Path, script: str, shown: str, *, shared: bool = False):
        self._file = open(folder / ".lock", "w")
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NeuroFaceError(
                f"Another run of {script} is working in {shown}. Wait for it, or stop it first."
            ) from None

    def __getstate__(self) -> dict:
        return {}


class Turn:
    """What processes that share a folder do one after another: the next one waits until this one is over, or ends."""

    def __init__(self, file: Path):
        self._file = open(file, "w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def over(self) -> None:
        self._file.close()

    def __getstate__(self) -> dict:
        return {}
