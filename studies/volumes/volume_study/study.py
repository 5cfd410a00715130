"""The study "labelled volumes": its seven stages, its settings, the words of its report."""

from neuroface.pipeline import Step, Study
from volume_study.methods_text import CAUTION, LEAD, PUBLISHED, methods, title
from volume_study.settings import VolumeSettings

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
    methods=methods,
    published=PUBLISHED,
)
