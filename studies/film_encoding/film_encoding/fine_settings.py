"""Settings that few experiments change. docs/settings.md lists them; config.py does not."""

from typing import Annotated, Literal

from neuroface.bold import BoldSettings
from neuroface.pipeline import fine

from pydantic import Field

AtLeast1 = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0, le=1)]


class FineSettings(BoldSettings):
    """Each with its type, range, default and description. An experiment file, or config.py, can set any of them."""

    TEST_SHARE: Annotated[float, Field(gt=0, lt=1)] = fine(
        0.2,
        "Share of every film but HELD_OUT_FILM, at its end, that the published split holds out.",
    )
    INNER_SHARE: Annotated[float, Field(gt=0, lt=1)] = fine(
        0.15,
        'With SELECTION = "inner": share of the training part of each film, at its end, that '
        "chooses the best epoch.",
    )
    ENCODER_FILTERS: tuple[AtLeast1, AtLeast1, AtLeast1, AtLeast1] = fine(
        (32, 256, 128, 64),
        "Filters of the encoder: of the 3D convolution in space, of the 3D convolution in time,"
        " of the convolution of each time step, of the convolution that joins them.",
    )
    DECODER_FILTERS: AtLeast1 = fine(48, "Filters of the decoder's convolutions.")
    DROPOUT: Annotated[float, Field(ge=0, lt=1)] = fine(
        0.5, "Share of the encoder's features that dropout removes."
    )
    ENCODER_WEIGHT: Weight = fine(
        0.5, "Weight w of the encoder's loss; the decoder's loss has the weight 1 − w."
    )
    MSE_WEIGHT: Annotated[float, Field(ge=0)] = fine(
        1.0,
        "Weight of the mean squared error in the encoder's loss. The released code divides this"
        " error once more by the number of voxels; to repeat it, set 1 / 4609.",
    )
    COSINE_WEIGHT: Annotated[float, Field(ge=0)] = fine(
        0.5, "Weight of 1 − cosine of predicted and measured pattern in the encoder's loss."
    )
    IMAGE_WEIGHTS: tuple[Weight, Weight, Weight] = fine(
        (0.35, 0.35, 0.30),
        "Decoder's loss: weights of the perceptual distance, of 1 − SSIM, and of the total "
        "variation.",
    )
    N_SHIFTS: Annotated[int, Field(ge=20)] = fine(
        1000,
        "Number of distinct circular shifts of the predictions against the measurements: the "
        "null of every correlation. Short test sets have fewer; then all of them are used, and "
        "the smallest possible p is larger.",
    )
    N_IMAGE_SHIFTS: AtLeast1 = fine(
        20,
        "Number of distinct circular shifts in the null of SSIM, which takes longer than that "
        "of N_SHIFTS.",
    )
    MIN_SHIFT_S: Annotated[float, Field(ge=0)] = fine(
        30.0,
        "Smallest circular shift of N_SHIFTS in seconds. It must be longer than the "
        "haemodynamic response.",
    )
    BLOCK_S: Annotated[float, Field(gt=0)] = fine(
        26.0, "Length in seconds of the blocks of time that the intervals leave out, one at a time."
    )
    TOP_K: Annotated[tuple[AtLeast1, ...], Field(min_length=1)] = fine(
        (1, 5),
        "Identification: the moment that was seen is among the k best of all moments of the "
        "test set.",
    )
    MIN_RELIABILITY: Annotated[float, Field(gt=0, lt=1)] = fine(
        0.05,
        "Voxels whose reliability is below this get no r / ceiling. Reliability: signal "
        "variance / total variance of the mean over people.",
    )
    N_RIDGE_TRIES: AtLeast1 = fine(
        20,
        "Number of random weightings of the bands of RIDGE_FEATURES (script 4) and FEATURES "
        "(script 8) that are tried.",
    )
    N_COMPONENTS: AtLeast1 = fine(
        100, "Principal components of the frames that the ridge regression from voxels predicts."
    )
    IG_STEPS: AtLeast1 = fine(
        32,
        "Steps of Integrated Gradients (midpoint rule, from the mean of the training set to the"
        " volume).",
    )
    TOP_SHARE: Annotated[float, Field(gt=0, lt=1)] = fine(
        0.20, "Share of voxels, those with the largest saliency, that is counted per region."
    )
    N_RANDOM_REGIONS: Annotated[int, Field(ge=20)] = fine(
        1000, "Each region is compared with this many random regions of the same size."
    )
    N_RANDOM_SETS: Annotated[int, Field(ge=20)] = fine(
        500,
        "Number of random sets of as many voxels that a perturbed region is compared with.",
    )
    USE_PIXEL_LABELS: bool = fine(
        True,
        "Labels of pixels, if FILM_DIR has FILM_things.npz for each FILM (times_s (n,); labels "
        "(n, px, px): 1 is THING, above 1 other things). Without them whole frames are scored.",
    )
    CONCEPTS: tuple[Literal["edges", "motion", "faces"], ...] = fine(
        ("edges", "motion", "faces"),
        'Concept activation vectors: "edges" and "motion" (chunks with the most against chunks '
        'with the least), "faces" (THING).',
    )
    N_RANDOM_CONCEPTS: Annotated[int, Field(ge=20)] = fine(
        200, "Number of random concepts that each of CONCEPTS is compared with."
    )
    N_STRIP: AtLeast1 = fine(12, "Moments in the strip of originals and reconstructions.")
