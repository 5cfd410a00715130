"""As much of a stage as code needs that does units of work."""

from pathlib import Path

from neuroface.pipeline.units import UnitFiles


class PlainStage:
    """Does units one after another in this process; nothing is stamped or printed."""

    def __init__(self, folder: Path):
        self.folder = folder

    def each(self, work, units, plural, files=None, *, joined=None, valid=None, name_of=None):
        of_units = UnitFiles(files, joined, valid)
        for unit in units:
            if not of_units.are_done(unit):
                work(unit)
