"""The folder of a demo data set: written completely or not at all, and never with other settings into the same place."""

import shutil
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline.files import PARTIAL, read_json


def begin_demo(folder: Path, truth: str, **settings) -> Path | None:
    """Empty place to write a demo data set to, before it gets the name ``folder``; None if ``folder`` holds it already.

    Parameters
    ----------
    truth : the file in ``folder`` with what the data were made with.
    settings : what that is, as JSON stores it: name in the file, which is the name of the setting in lower case → value.

    Raises
    ------
    NeuroFaceError
        If ``folder`` was written with other values.
    """
    if not folder.exists():
        partial = folder.with_name(PARTIAL + folder.name)
        shutil.rmtree(partial, ignore_errors=True)
        return partial
    stored = read_json(folder / truth) if (folder / truth).exists() else {}
    written_with = {name: stored.get(name, "another") for name in settings}
    if written_with == settings:
        return None
    before = " and ".join(f"{name} {value}" for name, value in written_with.items())
    now = ", ".join(f"{name.upper()} is {value}" for name, value in settings.items())
    raise NeuroFaceError(
        f"{folder} was written with {before}; {now}. Delete it, or change DATASET_DIR."
    )
