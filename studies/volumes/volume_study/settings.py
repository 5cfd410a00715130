"""What the settings of this study may be: choices, ranges, and which of them must agree."""

from typing import Annotated, ClassVar, Literal

from neuroface.pipeline import did_you_mean
from volume_study.fine_settings import FineSettings, Method, Positive
from volume_study.names import MODELS

from pydantic import Field, model_validator

Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$")]
Split = Literal["volume", "moment", "block", "run", "subject"]
Seconds = Annotated[float, Field(ge=0, lt=86_400)]


class VolumeSettings(FineSettings):
    """Settings of ``studies/volumes/config.py``."""

    FOLDERS: ClassVar = ("DATASET_DIR", "RAW_DIR", "DATA_DIR", "OBSERVER_DIR")
    FILES: ClassVar = ("MASK_FILE", "ROI_FILE")
    LISTS: ClassVar = ("CV_SPLITS", "MODELS", "MAP_METHODS", "BASELINES")

    DATASET: Literal["demo", "bids"]
    LAG_S: Annotated[float, Field(ge=0, le=30)]
    LABEL_SOURCE: Literal["observers", "events"]
    OBSERVER_DIR: str | None
    OBSERVER_COLUMN: Annotated[str, Field(min_length=1)]
    MIN_AGREEMENT: Positive
    SEGMENTS: tuple[tuple[Seconds, Seconds], ...]
    FILM_CLOCK: Literal["segments", "cumulated"]
    EVENT_LABELS: dict[Label, Annotated[tuple[str, ...], Field(min_length=1)]]
    EVENT_COLUMN: Annotated[str, Field(min_length=1)]
    STANDARDIZE: Literal["voxel", "volume", "none"]
    MIN_PER_CLASS: Annotated[int, Field(ge=2)]
    BALANCE: Literal["moments", "person", "none"]
    MASK_THRESHOLD: Annotated[float, Field(ge=0, le=1)]
    MASK_FILE: str | None
    CV_SPLITS: Annotated[tuple[Split, ...], Field(min_length=1)]
    EMBARGO_TRS: Annotated[int, Field(ge=0)]
    SELECTION: Literal["inner", "published"]
    MODELS: Annotated[tuple[str, ...], Field(min_length=1)]
    EPOCHS: Positive
    BATCH_SIZE: Positive
    LEARNING_RATE: Annotated[float, Field(gt=0, le=1)]
    BASELINES: tuple[Literal["ridge", "logistic", "screened_ridge"], ...]
    HELD_OUT_SPLIT: Split
    EXPLAINED_MODEL: str
    MAP_METHODS: Annotated[tuple[Method, ...], Field(min_length=1)]
    MIN_PROBABILITY: Annotated[float, Field(ge=0, lt=1)]
    BOX_VOXELS: Positive
    BOX_STRIDE: Positive
    TOP_VOXELS: Annotated[int, Field(ge=5)]
    SPACE: Literal["MNI", "native"]
    ROI_FILE: str | None

    @model_validator(mode="after")
    def _agree(self):
        self._name_labels()
        self._name_networks()
        if self.HELD_OUT_SPLIT not in self.CV_SPLITS:
            raise ValueError(
                f"HELD_OUT_SPLIT = {self.HELD_OUT_SPLIT!r} is not in CV_SPLITS = {self.CV_SPLITS}: its models would "
                f"not be trained. Add it to CV_SPLITS or name one that is there"
            )
        if self.CLUSTERED_METHOD not in self.MAP_METHODS:
            raise ValueError(
                f"CLUSTERED_METHOD = {self.CLUSTERED_METHOD!r} is not in MAP_METHODS = {self.MAP_METHODS}: there would be "
                f"no maps of it. Add it to MAP_METHODS or name one that is there"
            )
        if "screened-ridge" in self.MAP_METHODS and "screened_ridge" not in self.BASELINES:
            raise ValueError(
                f"MAP_METHODS: screened-ridge explains screened_ridge, which BASELINES = {self.BASELINES} does not name. "
                f"Add it to BASELINES, or leave screened-ridge out"
            )
        if "attention-rollout" in self.MAP_METHODS and self.EXPLAINED_MODEL not in (
            "hybrid",
            "transformer_only",
        ):
            raise ValueError(
                f"MAP_METHODS: attention-rollout needs attention; EXPLAINED_MODEL = {self.EXPLAINED_MODEL!r} has none. Set "
                f"it to 'hybrid' or 'transformer_only', or leave attention-rollout out"
            )
        if (
            "grad-cam" in self.MAP_METHODS
            and self.EXPLAINED_MODEL == "hybrid"
            and self._reference()
        ):
            raise ValueError(
                "MAP_METHODS: grad-cam cannot explain the hybrid as it was released, whose last feature map is one cell. "
                "Leave grad-cam out"
            )
        return self

    def _reference(self) -> bool:
        return bool(self.MODEL_OPTIONS.get("hybrid", {}).get("reference"))

    def _name_labels(self):
        if self.LABEL_SOURCE == "observers" and self.OBSERVER_DIR is None:
            raise ValueError(
                'LABEL_SOURCE = "observers" needs OBSERVER_DIR, the folder with the tables of the observers'
            )
        if self.LABEL_SOURCE == "observers" and not self.SEGMENTS:
            raise ValueError(
                'LABEL_SOURCE = "observers" needs SEGMENTS, the part of the film that each run shows'
            )
        for start, end in self.SEGMENTS:
            if end <= start:
                raise ValueError(f"SEGMENTS: ({start:g}, {end:g}) ends before it starts")
        taken: dict[str, str] = {}
        for label, types in self.EVENT_LABELS.items():
            for kind in types:
                if taken.setdefault(kind, label) != label:
                    raise ValueError(
                        f"EVENT_LABELS: {kind!r} is named for {taken[kind]!r} and for {label!r}"
                    )
        if len(self.EVENT_LABELS) == 1:
            raise ValueError(
                f"EVENT_LABELS = {self.EVENT_LABELS} names one label; two or more are needed"
            )

    def _name_networks(self):
        for setting in ("MODELS", "MODEL_OPTIONS"):
            for name in getattr(self, setting):
                if name not in MODELS:
                    raise ValueError(
                        f"{setting}: {name!r} is not a network{did_you_mean(name, MODELS)}. There are {', '.join(MODELS)}"
                    )
        if self.EXPLAINED_MODEL not in self.MODELS:
            raise ValueError(
                f"EXPLAINED_MODEL = {self.EXPLAINED_MODEL!r} is not in MODELS = {self.MODELS}: it would not be trained. Add "
                f"it to MODELS or name one that is there"
            )
