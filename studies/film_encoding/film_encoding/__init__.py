"""What the eight scripts of the study "film and brain" share.

A module belongs here if two scripts of this study need it, or if a formula can prove it. It imports
the rooms of ``neuroface``, never ``config``, a script or another study.
"""

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import neuroface  # noqa: F401  says in one line when the environment is missing

NEEDS = ("av", "himalaya", "moten", "skimage")  # of the extra "film-encoding"


def _require_extra() -> None:
    """Say in one line how to install this study's packages if one of its scripts runs without them."""
    missing = next((name for name in NEEDS if find_spec(name) is None), None)
    if missing and re.match(r"\d+-", Path(sys.argv[0]).name):
        folder = Path(__file__).parents[3]
        sys.exit(
            f"error: {sys.executable} has no package {missing}. Run in {folder}: make film-encoding   (or: pip install -e "
            f"'.[film-encoding]')"
        )


_require_extra()
