"""Names of attribution files."""

from pathlib import Path


def attribution_file(folder: Path, subject: str, movie: str, label: str, method: str) -> Path:
    """``<sub>/<sub>_task-<movie>_label-<label>_<method>.npy``; Integrated Gradients are "ig"."""
    return folder / subject / f"{subject}_task-{movie}_label-{label}_{method}.npy"


def completeness_file(attributions: Path) -> Path:
    """The table of an attribution file: one row per window, in the order of its first axis."""
    return attributions.with_name(f"{attributions.stem}_completeness.tsv")
