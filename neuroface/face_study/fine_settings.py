"""Settings of the face study that few experiments change. docs/settings.md lists them; config.py does not."""

from typing import Annotated, Literal

from neuroface.bold import BoldSettings
from neuroface.pipeline import fine

from pydantic import Field


class FineSettings(BoldSettings):
    """Each with its type, range, default and description. An experiment file, or config.py, can set any of them."""

    ANNOTATION_HZ: Annotated[float, Field(gt=0, le=100)] = fine(
        5.0, "Samples per second of film. NNDb: 5."
    )
    FACE_SCORE: Annotated[float, Field(ge=0.1, lt=1)] = fine(
        0.5,
        "Smallest score of the detector that counts as a face (0.1 to 1). docs/annotate.md has "
        "precision and recall.",
    )
    MIN_FACE_HEIGHT: Annotated[float, Field(ge=0, le=1)] = fine(
        0.06, "Height of the smallest face that counts, as a share of the picture's height."
    )
    BRIDGE_GAPS_S: Annotated[float, Field(ge=0)] = fine(
        0.4,
        "Gaps up to this long between two stretches with a face are closed, because the "
        "detector sometimes misses a face for a moment. NNDb: 0.",
    )
    SHORTEST_FACE_S: Annotated[float, Field(ge=0)] = fine(
        0.4, "After gaps are closed, stretches that are shorter than this are dropped. NNDb: 0.2."
    )
    MATCH_WITHIN_SD: Annotated[float, Field(gt=0)] = fine(
        0.5,
        "Largest difference within a pair of MATCH_ON: root mean square over the regressors, in"
        " SDs over the run's windows. Pairs that differ by more are left out. A smaller value "
        "gives more similar classes and fewer windows.",
    )
    JOIN_GAP_S: Annotated[float, Field(ge=0, le=10)] = fine(
        2.0,
        "BIDS only: trials of a block are joined to one stretch. Joined are events of one type "
        "at a regular pace, none longer than MIN_STRETCH_S, with gaps of at most this many "
        "seconds and no other event between. Example: Haxby 2001, 0.5 s every 2 s. 0: events "
        "are not joined.",
    )
    MODEL_OPTIONS: dict[str, dict[str, object]] = fine(
        {},
        "Sizes of models other than voxel_time_cnn, if you do not want the defaults of their "
        'functions. Example: {"transformer": {"depth": 2, "width": 64}, "clustered_ridge": '
        '{"voxels_per_cluster": 20}}.',
    )
    CNN_FILTERS: tuple[
        Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]
    ] = fine((64, 32, 32), "Filters of the three convolutions of voxel_time_cnn.")
    CNN_DENSE_UNITS: Annotated[int, Field(ge=1)] = fine(
        128, "Units of the dense layer of voxel_time_cnn; the layer has 99.9 % of the weights."
    )
    EPOCHS: Annotated[int, Field(ge=1)] = fine(
        150, 'With TRAINING = "paper": passes over the training windows; the best one is kept.'
    )
    PRECISION: Literal["auto", "float32", "float16", "bfloat16"] = fine(
        "auto",
        '"auto": float16 on a GPU, float32 on a CPU. "bfloat16" is faster on CPUs that support '
        "it; see benchmarks/training.py.",
    )
    N_PERMUTATIONS: Annotated[int, Field(ge=0)] = fine(
        1000,
        "Relabellings in the null of the linear model: events swap labels, in the same way for "
        "all viewers. They take little time.",
    )
    N_PERMUTATIONS_CNN: Annotated[int, Field(ge=0)] = fine(
        0, "Relabellings in the null of the main network. Each of them trains all folds again."
    )
    ATTRIBUTION_DRAWS: Annotated[int, Field(ge=1)] = fine(
        8,
        'With ATTRIBUTION_BASELINE = "other class": number of training windows, drawn '
        "separately for each window.",
    )
    SMOOTHGRAD_DRAWS: Annotated[int, Field(ge=0)] = fine(
        0,
        "SmoothGrad: maps are means over this many noisy copies of each window; 0: no noise, as"
        ' in the paper. Time grows in proportion. With "other class" it must be a multiple of '
        "ATTRIBUTION_DRAWS.",
    )
    SMOOTHGRAD_NOISE: Annotated[float, Field(ge=0)] = fine(
        0.1, "SD of the noise of SMOOTHGRAD_DRAWS, in SDs of the window."
    )
    IG_ENGINE: Literal["keras", "deepexplain"] = fine(
        "keras",
        'What computes Integrated Gradients. "keras": our code. "deepexplain": the paper\'s '
        "library, for comparison: same numbers, several times slower, only TensorFlow.",
    )
    IG_TOLERANCE: Annotated[float, Field(gt=0)] = fine(
        0.01,
        'Largest completeness gap with IG_STEPS = "auto", relative to the logit\'s change '
        "(absolute if the change is below 1).",
    )
    OCCLUSION_REGIONS: Literal["cubes", "rois", "parcels"] = fine(
        "cubes",
        'What occlusion sets to the baseline: "cubes" that fill the brain, "rois" (spheres of '
        'ROI_FILE; MNI only), or "parcels", the labels of PARCEL_FILE.',
    )
    OCCLUSION_CUBE_MM: Annotated[float, Field(gt=0)] = fine(
        15.0, "Edge length of the cubes of OCCLUSION_REGIONS."
    )
    PARCEL_FILE: str | None = fine(
        None,
        "The parcels of OCCLUSION_REGIONS: NIfTI in the BOLD data's space, e.g. "
        '"masks/schaefer200.nii.gz".',
    )
    OCCLUSION_TRS: Annotated[int, Field(ge=1)] = fine(
        5, "Consecutive volumes of a window that occlusion sets to the baseline together."
    )
    CHECK_WINDOWS: Annotated[int, Field(ge=2, multiple_of=2)] = fine(
        8,
        "Number of windows in the tests of ATTRIBUTION_CHECKS, half of them with a face: an "
        "even number.",
    )
    N_RANDOM_REGIONS: Annotated[int, Field(ge=1)] = fine(
        2000,
        "Each region's share of attribution is compared with this many random regions of the "
        "same size.",
    )
    # With fewer no p can be 0.05.
    N_RELABELLINGS: Annotated[int, Field(ge=19)] = fine(
        1000, 'Relabellings of MAP_TEST = "relabel". No p is below 1 / (1 + this number).'
    )
    # With fewer no p can reach 0.05.
    N_FLIPS: Annotated[int, Field(ge=20)] = fine(
        10000,
        "With the flips of MAP_TEST: largest number of sign flips. If fewer distinct flips "
        "exist, each of them is used once.",
    )
    CLUSTER_FORMING_P: Annotated[float, Field(gt=0, lt=0.5)] = fine(
        0.001,
        "Voxels and seconds with a p below this value (uncorrected, of the plain t) form clusters.",
    )
    REFERENCE_MAPS: tuple[Literal["haufe", "glm"], ...] = fine(
        ("haufe", "glm"),
        'Maps to compare with the network\'s: "haufe", the pattern of the linear model of script'
        ' 3; "glm", the effect of faces on BOLD in a GLM (reads the BOLD files again). Not in '
        "the paper.",
    )
    PREDICTION_AT: Annotated[float, Field(ge=0, le=1)] = fine(
        0.5,
        "Time in its window to which a prediction is assigned: 0 = the first second, 0.5 = the "
        "middle, 1 = the end.",
    )
    SMOOTH_TRS: Annotated[int, Field(ge=1)] = fine(
        1,
        "Volumes over which logits are averaged, centred on each volume; odd. 1: no averaging "
        "(paper). Not with --follow.",
    )
    # One volume has no SD.
    FOLLOW_BASELINE_TRS: Annotated[int, Field(ge=2)] = fine(
        30,
        "With --follow: volumes collected before the first is standardised. With more volumes "
        "the first predictions come later and are better.",
    )
    FOLLOW_IDLE_S: Annotated[float, Field(gt=0)] = fine(
        30.0, "With --follow: the run ends when no volume has arrived for this many seconds."
    )
