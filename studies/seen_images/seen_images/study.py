"""The study "seen images": its seven stages, its settings, the words of its report."""

from neuroface.pipeline import Step, Study, map_name, mask_name
from seen_images import EXTRAS
from seen_images.methods_text import PAPER, methods
from seen_images.settings import SeenSettings

BIDS_NAMES = (
    mask_name("1-betas/space.nii.gz"),
    map_name(
        "6-attributions/{target}_{direction}.nii.gz",
        "{target} {direction}",
        "Mean attribution and mean absolute attribution of a direction of the latents.",
        "6-attributions/{target}_{direction}.npy",
    ),
)
STUDY = Study(
    name="Seen images",
    steps=(
        Step(1, "1-betas", "1-load_betas.py"),
        Step(2, "2-embeddings", "2-embed_images.py"),
        Step(3, "3-decoders", "3-decode_latents.py"),
        Step(4, "4-drawings", "4-draw_images.py"),
        Step(5, "5-scores", "5-score_images.py"),
        Step(6, "6-attributions", "6-attribute_voxels.py"),
        Step(7, "7-figures", "7-figures.py"),
    ),
    settings=SeenSettings,
    title=lambda settings: "Pictures drawn from visual cortex",
    lead="Decoded from fMRI to the latents of a diffusion model, and drawn by it.",
    caution="A diffusion model draws a good picture from any latents. Compare every score with “shuffled brains” and with "
    "“mean training picture”.",
    read_next=(
        "“Scores”: every score beside shuffled brains and beside the mean training picture.",
        "“Seen and drawn”: the best, the middle and the worst drawings.",
        "studies/seen_images/README.md: published numbers and those of stricter tests.",
    ),
    methods=methods,
    published=PAPER,
    bids_names=BIDS_NAMES,
    packages=tuple(
        name for name in EXTRAS if name in ("torch", "diffusers", "transformers", "himalaya")
    ),
)
