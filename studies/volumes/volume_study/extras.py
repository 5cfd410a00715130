"""Packages that only this study needs: one line says how to install those that are missing."""

from importlib.util import find_spec
from pathlib import Path

from neuroface import NeuroFaceError

REQUIREMENTS = Path(__file__).parents[3] / "requirements-volumes.txt"


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
            f"This script needs {' and '.join(missing)}. Run: pip install -r {REQUIREMENTS}   (or: make .venv/volumes.stamp)"
        )
