"""The words of the report: its title, a paragraph for a methods section, and the published settings."""

from pathlib import Path

LEAD = "Single volumes of BOLD, decoded into several classes."
CAUTION = "x"
PUBLISHED = {}


def title(settings: dict) -> str:
    return "Labelled volumes"


def methods(root: Path, settings: dict, done: set[int], versions: dict, commit: str, backends: set[str]):
    return None
