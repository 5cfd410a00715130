"""Packages that only this study needs: one line says how to install those that are missing."""

from importlib.util import find_spec
from pathlib import Path

from neuroface import NeuroFaceError

ROOT = Path(__file__).parents[3]


def require(*modules: str) -> None:
    """Raise unless all modules can be imported; nothing is imported yet.

    Raises
    ------
    NeuroFaceError
        With the command that installs them.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        raise NeuroFaceError(
            f"This script needs {' and '.join(missing)}. Run: pip install -e '{ROOT}[volumes]'   "
            f"(or: make volumes)"
        )
