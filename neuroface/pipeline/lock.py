"""One script at a time in one folder."""

import fcntl
from pathlib import Path

from neuroface import NeuroFaceError


class FolderLock:
    """A lock that this process holds until it ends, even by a kill. Worker processes get a copy without the lock."""

    def __init__(self, folder: Path, script: str, shown: str):
        self._file = open(folder / ".lock", "w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NeuroFaceError(
                f"Another run of {script} is working in {shown}. Wait for it, or stop it first."
            ) from None

    def __getstate__(self) -> dict:
        return {}
