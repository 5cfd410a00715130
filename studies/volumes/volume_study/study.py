"""The study "labelled volumes": its seven stages, its settings, the words of its report."""

from neuroface.pipeline import Step, Study, map_name, mask_name
from volume_study.methods_text import CAUTION, LEAD, PUBLISHED, methods, title
from volume_study.settings import VolumeSettings

BIDS_NAMES = (
    mask_name("2-dataset/group_mask.nii.gz"),
    map_name(
        "4-maps/{sub}_label-{label}_{method}.nii.gz",
        "{label} {method}",
        "Mean map of the episodes of a label minus that of all other episodes.",
        "4-maps/episodes/{sub}_{method}.npy",
    ),
    map_name(
        "4-maps/group_label-{label}_{method}.nii.gz",
        "{label} {method}",
        "Mean over people of their maps of a label.",
        "4-maps/sub-*_label-{label}_{method}.nii.gz",
    ),
    map_name(
        "4-maps/group_contrast-{label}_{method}_{quantity}.nii.gz",
        "{label} against others {method} {quantity}",
        "Test of a label against the others: mean, -log10 of the corrected p, or the thresholded mean.",
        "4-maps/episodes/sub-*_{method}.npy",
    ),
)
STUDY = Study(
    name="NeuroFaceCNN: labelled volumes",
    steps=(
        Step(1, "1-labels", "1-label_volumes.py"),
        Step(2, "2-dataset", "2-load-volumes.py"),
        Step(3, "3-models", "3-train_volume_networks.py"),
        Step(4, "4-maps", "4-occlusion_maps.py"),
        Step(5, "5-clusters", "5-cluster_maps.py"),
        Step(6, "6-similarity", "6-representational_similarity.py"),
        Step(7, "7-figures", "7-figures.py"),
    ),
    settings=VolumeSettings,
    title=title,
    lead=LEAD,
    caution=CAUTION,
    read_next=(
        "“Decoding”: the ladder of splits. A split whose accuracy with exchanged labels is above chance leaks.",
        "“Decoding”: the differences between the network and linear models on the same volumes.",
        "“Maps”: which voxels pass the test; strong voxels alone are no evidence.",
        "studies/volumes/README.md: what the published split gave, and what stricter ones give.",
    ),
    methods=methods,
    published=PUBLISHED,
    bids_names=BIDS_NAMES,
)
