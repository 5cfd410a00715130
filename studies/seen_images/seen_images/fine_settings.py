"""Settings that few experiments change. docs/settings.md lists them; config.py does not."""

from typing import Annotated, Literal

from neuroface.pipeline import StudySettings, fine

from pydantic import Field

Count = Annotated[int, Field(ge=1)]


class FineSettings(StudySettings):
    """Each with its type, range, default and description. An experiment file, or config.py, can set any of them."""

    GENERATOR_DIR: str = fine(
        "demo_generator", "Folder of the demo's generator, relative to config.py or absolute."
    )
    GENERATOR_STEPS: dict[Literal["vae", "clip", "unet"], Count] = fine(
        {"vae": 1500, "clip": 1000, "unet": 5000},
        "Training steps of the parts of the demo's generator.",
    )
    BETAS: str = fine(
        "betas_fithrf_GLMdenoise_RR", "NSD only: the version of the single-trial estimates."
    )
    N_TOKENS: Annotated[int, Field(ge=2, le=77)] = fine(
        15,
        "Number of tokens of the text embedding that are decoded and used for drawing, the start "
        "token included; at most 77.",
    )
    INNER_SHARE: Annotated[float, Field(gt=0, lt=1)] = fine(
        0.1, 'With SELECTION = "inner": share of the training images that choose the epoch.'
    )
    PATIENCE: Count = fine(5, "Epochs without a better error before training stops.")
    N_BOOTSTRAP: Annotated[int, Field(ge=100)] = fine(
        2000, "Bootstrap draws of test images for the intervals."
    )
    DDIM_STEPS: Count = fine(
        50, "Steps of DDIM over the whole noise schedule. The share STRENGTH of them is done."
    )
    N_SHUFFLES: Annotated[int, Field(ge=20)] = fine(
        200,
        'Number of pairings of drawings with other test images, for the row "shuffled brains" and '
        "for the p of identification. Measures that need both pictures at once (pixel correlation, "
        "SSIM, LPIPS) use 20.",
    )
    IG_STEPS: Count = fine(32, "Steps of Integrated Gradients (midpoint rule). Ridge takes one.")
    N_EXAMPLES: Count = fine(4, "Test images of each kind (best, middle, worst) in the figures.")
