"""The face study: its eight stages, its settings, the texts of its report."""

from pathlib import Path

from neuroface.face_study.methods_text import PAPER, facts_of, methods_paragraph
from neuroface.face_study.settings import FaceSettings
from neuroface.face_study.words import WORDS, named_labels
from neuroface.pipeline import BidsName, Step, Study, map_name, mask_name


def methods(
    root: Path, settings: dict, done: set[int], versions: dict, commit: str, backends: set[str]
):
    """:func:`methods_paragraph` of a run; None before script 2 has joined the windows."""
    if not {1, 2} <= done or not (root / "2-dataset" / "samples.tsv").is_file():
        return None
    return methods_paragraph(settings, facts_of(root), done, versions, commit, backends)


def title(settings: dict) -> str:
    labels = named_labels(settings["LABELS"])
    if labels.first in WORDS:
        return f"Is there {labels.singular} on the screen?"
    return f"Decoding {labels.singular} against {labels.second}"


WINDOWS = "5-brain-maps/{sub}/*_label-{label}_window-*_{method}.nii.gz"
BIDS_NAMES = (
    mask_name("1-windows/group_mask.nii.gz"),
    map_name(
        "6-averages/{sub}_label-{label}_{method}.nii.gz",
        "{label} {method}",
        "Mean attribution over the windows of a label, positive towards the label; volumes are those of a window.",
        WINDOWS,
    ),
    map_name(
        "6-averages/{sub}_label-{label}_{method}_absolute.nii.gz",
        "{label} {method} absolute",
        "Mean absolute attribution over the windows of a label; volumes are those of a window.",
        WINDOWS,
    ),
    map_name(
        "6-averages/group_label-{label}_{method}.nii.gz",
        "{label} {method}",
        "Mean over people of their mean attributions to a label.",
        "6-averages/sub-*_label-{label}_{method}.nii.gz",
    ),
    map_name(
        "6-averages/group_label-{label}_{method}_absolute.nii.gz",
        "{label} {method} absolute",
        "Mean over people of their mean absolute attributions to a label.",
        "6-averages/sub-*_label-{label}_{method}_absolute.nii.gz",
    ),
    map_name(
        "6-averages/group_contrast-{contrast}_{method}_{quantity}.nii.gz",
        "{contrast} {method} {quantity}",
        "Test of a contrast of attributions across people: mean, t, -log10 of the corrected p, or the thresholded mean.",
        "6-averages/sub-*_label-*_{method}*.nii.gz",
    ),
    BidsName(
        "8-predictions/{sub}_{run}_predictions.tsv",
        "{sub}/func/{sub}_{run}_desc-{desc}_timeseries.tsv",
        "probability",
        "Predicted probability of the first label at every volume of a run.",
    ),
)
STUDY = Study(
    name="NeuroFaceCNN",
    steps=(
        Step(1, "1-windows", "1-preprocess_naturalistic_fmri.py"),
        Step(2, "2-dataset", "2-load-data.py"),
        Step(3, "3-model", "3-train_voxel_time_cnn.py"),
        Step(4, "4-attributions", "4-integrated_gradients.py"),
        Step(5, "5-brain-maps", "5-revert-IG-tobrain.py"),
        Step(6, "6-averages", "6-average_IG_per_subject.py"),
        Step(7, "7-figures", "7-visualize_IG_surface_maps.py"),
        Step(8, "8-predictions", "8-moment_by_moment_face_prediction.py"),
    ),
    settings=FaceSettings,
    title=title,
    lead="Decoded from fMRI by NeuroFaceCNN.",
    caution="Attributions show what the network uses, not what the brain needs. Read the numbers for unseen films first.",
    read_next=(
        "“Decoding”: the leakage ladder. Accuracy with swapped labels must be at chance in the split that you report.",
        "“Decoding”, last table: how well brightness, cuts, motion, loudness and speech alone predict the label.",
        "“Group maps”: which voxels and seconds pass the test across people; a mean map is no evidence.",
        "docs/reading-the-numbers.md and docs/what-maps-can-claim.md: what each number and map can claim.",
    ),
    methods=methods,
    published=PAPER,
    bids_names=BIDS_NAMES,
)
