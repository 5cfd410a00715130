"""Names of attribution files."""

from pathlib import Path

from neuroface.pipeline import PARTIAL


def attribution_file(folder: Path, subject: str, movie: str, label: str, method: str) -> Path:
    """``<sub>/<sub>_task-<movie>_label-<label>_<method>.npy``; Integrated Gradients are "ig"."""
    return folder / subject / f"{subject}_task-{movie}_label-{label}_{method}.npy"


def completeness_file(attributions: Path) -> Path:
    """The table of an attribution file: one row per window, in the order of its first axis."""
    return attributions.with_name(f"{attributions.stem}_completeness.tsv")


def seed_file(attributions: Path, number: int) -> Path:
    """The maps of the networks of one seed; temporary, until they are averaged into the attribution file."""
    return attributions.with_name(f"{PARTIAL}seed-{number}-{attributions.name}")


def seed_means_file(attributions: Path) -> Path:
    """``…_seeds.npy`` (n_seeds, n_voxels, window_trs): the mean over windows of the maps of each seed."""
    return attributions.with_name(f"{attributions.stem}_seeds.npy")
