"""Names of brain maps: of windows, of people, of the group."""

from pathlib import Path


def brain_map_file(folder: Path, attributions: Path, window: int) -> Path:
    """``<sub>/<sub>_task-<movie>_label-<label>_window-<i>_<method>.nii.gz`` of row i of an attribution file."""
    stem, method = attributions.stem.rsplit("_", 1)
    return folder / attributions.parent.name / f"{stem}_window-{window}_{method}.nii.gz"


def average_file(folder: Path, who: str, label: str, method: str, kind: str = "") -> Path:
    """``<sub or "group">_label-<label>_<method>.nii.gz``; ``kind`` "_absolute": of absolute values."""
    return folder / f"{who}_label-{label}_{method}{kind}.nii.gz"


def contrast_file(folder: Path, contrast: str, method: str, ending: str) -> Path:
    """``group_contrast-<contrast>_<method>_<ending>``, e.g. ``group_contrast-music_ig_t.nii.gz``."""
    return folder / f"group_contrast-{contrast}_{method}_{ending}"


def reference_file(folder: Path, who: str, which: str) -> Path:
    """``<sub or "group">_reference-<haufe or glm>.nii.gz``."""
    return folder / f"{who}_reference-{which}.nii.gz"
