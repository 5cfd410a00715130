"""What the scripts of the study "seen images" share: readers, networks, the generator, scores.

Code belongs here if two scripts of this study must agree on it or a formula can prove it. It
imports rooms of ``neuroface`` and takes arguments; it never imports ``config`` or a script. No
other study imports it.
"""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

EXTRAS = (
    "torch",
    "diffusers",
    "transformers",
    "safetensors",
    "himalaya",
    "skimage",
    "efficientnet_lite_pytorch",
)

# Switch off downloads, and the warnings of these libraries about them.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def _require_extras() -> None:
    """Say in one line what to install if a numbered script of this study runs without its extras."""
    missing = next((name for name in EXTRAS if find_spec(name) is None), None)
    if missing and re.match(r"\d+-", Path(sys.argv[0]).name):
        root = Path(__file__).parents[3]
        sys.exit(
            f"error: {sys.executable} has no package {missing}, an extra of this study. Run: {sys.executable} -m pip "
            f"install -e '{root}[images]'"
        )


_require_extras()
