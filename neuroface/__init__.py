"""NeuroFaceCNN: code that its numbered scripts share, in subpackages (rooms). A room's docstring states its content.

In order: ``pipeline``, ``bold``, ``film``, ``decoding``, ``attribution``, ``maps``, ``timeline``,
``face_study``. A room imports only rooms before it.
"""

import re
import sys
from importlib.util import find_spec
from pathlib import Path

__version__ = "0.1.0"
PACKAGES = (
    "lazy_loader",
    "numpy",
    "pandas",
    "keras",
    "nibabel",
    "nilearn",
    "sklearn",
    "pydantic",
)  # the largest packages, and those that were added last


class NeuroFaceError(Exception):
    """A problem with data or settings, in one line: what is wrong, where, and what to do next."""

    def __init__(self, message: str):
        super().__init__(
            " ".join(line.strip() for line in message.splitlines())
        )  # one line, even with quoted text


def _require_environment() -> None:
    """Say in one line how to activate the environment if a numbered script runs outside it."""
    missing = next((name for name in PACKAGES if find_spec(name) is None), None)
    if missing and re.match(r"\d+-", Path(sys.argv[0]).name):
        root = Path(__file__).parents[1]
        activate = f". {root / '.venv' / 'bin' / 'activate'}"
        if not (root / ".venv" / "bin" / "activate").exists():
            activate = "python3 -m venv .venv && . .venv/bin/activate && pip install -e ."
        sys.exit(
            f"error: {sys.executable} has no package {missing}. Activate the environment: {activate}"
        )


_require_environment()
