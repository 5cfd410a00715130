"""The packages that only films need: imported when they are used, and named in one line where they are missing."""

from importlib import import_module

from neuroface import NeuroFaceError


def film_package(name: str):
    """Import a package of the extra "film" of ``pyproject.toml``.

    Raises
    ------
    NeuroFaceError
        If it is not installed, with the command that installs it.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        raise NeuroFaceError(
            f"To read films, the package {error.name} is needed. Run: pip install -e '.[film]'"
        ) from None
