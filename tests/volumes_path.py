"""Imports of the study of labelled volumes: its package lies in the study's folder, not beside the tests."""

import sys
from pathlib import Path

STUDY = Path(__file__).parents[1] / "studies" / "volumes"
if str(STUDY) not in sys.path:
    sys.path.append(str(STUDY))
