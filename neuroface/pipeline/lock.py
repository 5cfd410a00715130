"""One script at a time in one folder."""

import fcntl
from pathlib import Path

from neuroface import NeuroFaceError


class FolderLock:
    """Held until this process ends, however it ends. Worker processes get a copy that holds nothing."""

    def __init__(self, folder: Path, script: str, shown: str):
        self._file = open(folder / ".lock", "w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NeuroFaceError(
                f"Another run of {script} is at work in {shown}. Wait for it, or stop it first."
            ) from None

    def __getstate__(self) -> dict:
        return {}
