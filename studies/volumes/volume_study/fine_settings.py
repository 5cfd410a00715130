"""Settings that few experiments change. docs/settings.md lists them; config.py does not."""

from typing import Annotated, Literal

from neuroface.bold import BoldSettings
from neuroface.pipeline import fine

from pydantic import Field

Method = Literal[
    "occlusion-zero", "occlusion-mean", "ig", "grad-cam", "attention-rollout", "screened-ridge"
]
Positive = Annotated[int, Field(ge=1)]


class FineSettings(BoldSettings):
    """Each with its type, range, default and description. An experiment file, or config.py, can set any of them."""

    JOIN_GAP_S: Annotated[float, Field(ge=0, le=10)] = fine(
        2.0,
        "Events: trials of a block are joined to one event. Joined are trials of one type at a "
        "regular pace, none longer than 10 s, with gaps of at most this many seconds and no "
        "other event between. 0: events are not joined.",
    )
    MODEL_OPTIONS: dict[str, dict[str, object]] = fine(
        {},
        "Sizes of networks, if you do not want the defaults in volume_study/networks.py, e.g. "
        '{"hybrid": {"depth": 2}}. {"hybrid": {"reference": True}}: the hybrid as it was '
        "released.",
    )
    PATIENCE: Positive = fine(
        10,
        "Training ends after this many epochs without a better accuracy on the volumes of "
        "SELECTION.",
    )
    WEIGHT_DECAY: Annotated[float, Field(ge=0, lt=1)] = fine(0.0001, "AdamW's weight decay.")
    # Fewer allow no p of 0.05 of the ladder.
    N_PERMUTATIONS: Annotated[int, Field(ge=20)] = fine(
        1000,
        "Relabellings in the null of the ridge classifier: whole blocks exchange their labels, "
        "in the same way for all viewers.",
    )
    N_PERMUTATIONS_NETWORK: Annotated[int, Field(ge=0)] = fine(
        0,
        "Relabellings in the null of the first network of MODELS. Each of them trains all folds"
        " again.",
    )
    VOLUMES_PER_EPISODE: Positive = fine(
        1,
        "Volumes of each person and block or episode that are explained, drawn at random. "
        "Published: 10 per label over all people.",
    )
    IG_RULE: Literal["right", "midpoint", "trapezoid", "gauss-legendre"] = fine(
        "midpoint", "Rule of Integrated Gradients (docs/attributions.md)."
    )
    IG_STEPS: Positive = fine(50, "Steps of Integrated Gradients.")
    # Fewer allow no p of 0.05 in five folds.
    N_PERMUTATIONS_MAPS: Annotated[int, Field(ge=100)] = fine(
        10000,
        "Relabellings of held-out episodes in each fold, for the tests of maps. If fewer exist,"
        " all of them are used, and p is exact.",
    )
    CLUSTERED_METHOD: Method = fine(
        "occlusion-zero", "The maps (one of MAP_METHODS) that are clustered."
    )
    UMAP_NEIGHBORS: Annotated[int, Field(ge=2)] = fine(
        30, "Number of neighbours that count as near in the maps of UMAP."
    )
    UMAP_MIN_DIST: Annotated[float, Field(ge=0, le=1)] = fine(
        0.1, "Least distance between points in the maps of UMAP."
    )
    N_LABEL_PERMUTATIONS: Annotated[int, Field(ge=20)] = fine(
        1000, "Permutations of the labels in the null of the silhouette."
    )
    UNTRAINED_SEEDS: Annotated[int, Field(ge=2)] = fine(
        5, "Networks with fresh initial weights beside the trained ones."
    )
