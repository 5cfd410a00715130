"""The study: its eight stages, its settings, the words of its report."""

from film_encoding.methods_text import PUBLISHED, methods
from film_encoding.settings import FilmSettings
from neuroface.pipeline import Step, Study, map_name, mask_name

BIDS_NAMES = (
    mask_name("2-voxels/mask.nii.gz"),
    map_name(
        "4-scores/maps/{model}_{split}_{test}_{run}.nii.gz",
        "{model} {split} {test} {run}",
        "Per voxel: correlation r of predicted and measured BOLD, its interval, ceiling or corrected p.",
        "4-scores/units/{model}_{split}_{test}.{run}.npy",
    ),
    map_name(
        "5-saliency/{method}.nii.gz",
        "saliency {method}",
        "Mean absolute saliency of voxels over moments.",
        "5-saliency/{method}.npy",
    ),
    map_name(
        "6-perturbations/concept_{concept}.nii.gz",
        "concept {concept}",
        "BOLD while a concept is on the screen minus BOLD without it.",
        "",
    ),
    map_name(
        "6-perturbations/localizer.nii.gz",
        "localizer",
        "Predicted responses to two kinds of pictures: Cohen's d of the first minus the second.",
        "",
    ),
)
STUDY = Study(
    name="Film and brain",
    steps=(
        Step(1, "1-chunks", "1-cut_film.py"),
        Step(2, "2-voxels", "2-choose_voxels.py"),
        Step(3, "3-networks", "3-train_encoder_decoder.py"),
        Step(4, "4-scores", "4-score_predictions.py"),
        Step(5, "5-saliency", "5-saliency_maps.py"),
        Step(6, "6-perturbations", "6-perturb_regions.py"),
        Step(7, "7-figures", "7-figures.py"),
        Step(8, "8-encoding", "8-fit_feature_spaces.py"),
    ),
    settings=FilmSettings,
    title=lambda settings: "Film and brain: voxels from frames, frames from voxels",
    lead="An encoder–decoder between films and BOLD (David et al. 2025), beside ridge regression and noise ceilings.",
    caution="Reconstructions through the network never pass a brain; those from measured BOLD do. Read both beside the mean "
    "frame.",
    read_next=(
        "“Scores”: the network less ridge regression on the same chunks, and both beside the noise ceiling.",
        "“Scores”: frames from measured BOLD beside the mean frame. Only these are decoded from measured BOLD.",
        "studies/film_encoding/README.md: published numbers and those of stricter tests.",
    ),
    methods=methods,
    published=PUBLISHED,
    bids_names=BIDS_NAMES,
    packages=("av", "himalaya", "pymoten", "scikit-image"),
)
