"""What the settings of "seen images" may be: choices, ranges, and which of them must agree."""

from typing import Annotated, ClassVar, Literal

from neuroface.pipeline import did_you_mean
from seen_images.fine_settings import Count, FineSettings
from seen_images.options import PUBLISHED, options_of

from pydantic import Field, model_validator

Pixels = Annotated[int, Field(ge=8, multiple_of=8)]


class SeenSettings(FineSettings):
    """Settings of ``studies/seen_images/config.py``."""

    FOLDERS: ClassVar = (
        "DATASET_DIR",
        "DATA_DIR",
        "MODEL_DIR",
        "GENERATOR_DIR",
        "SCORES_DIR",
        "SPACE_FILE",
    )
    LISTS: ClassVar = ("EARLY_ROIS", "HIGHER_ROIS", "SESSIONS", "OTHER_SUBJECTS", "IMAGE_DECODERS", "TEXT_DECODERS",
                       "CLIP_DECODERS", "ALSO_DRAW", "ATTRIBUTES", "ALPHAS")  # fmt: skip

    DATASET: Literal["demo", "nsd", "things", "table"]
    MODEL_DIR: str | None
    SUBJECT: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]
    OTHER_SUBJECTS: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")], ...]
    TRAINING_TRIALS: Count | None
    SESSIONS: tuple[Count, ...]
    SPLIT: Literal["given", "kinds"]
    N_KINDS: Annotated[int, Field(ge=3)]
    HELD_OUT_KINDS: Count
    EARLY_ROIS: Annotated[tuple[str, ...], Field(min_length=1)]
    HIGHER_ROIS: tuple[str, ...]
    STANDARDIZE: Literal["voxel", "session", "global"]
    MIN_NCSNR: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    SPACE_FILE: str | None
    ENCODE_PIXELS: Pixels
    LATENTS: Literal["mean", "sample"]
    IMAGE_DECODERS: Annotated[
        tuple[Literal["ridge", "cnn", "vae", "gcn", "mlp", "shared"], ...], Field(min_length=1)
    ]
    TEXT_DECODERS: tuple[Literal["ridge", "cnn", "shared"], ...]
    CLIP_DECODERS: tuple[Literal["ridge", "shared"], ...]
    DECODER_OPTIONS: dict[str, dict[str, object]]
    GCN_NODES: tuple[tuple[str, ...], ...]
    ALPHAS: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
    SELECTION: Literal["inner", "paper"]
    EPOCHS: Count
    DRAW: bool
    IMAGE_DECODER: str
    TEXT_DECODER: str
    DRAW_PIXELS: Pixels
    STRENGTH: Annotated[float, Field(gt=0, le=1)]
    GUIDANCE: Annotated[float, Field(gt=1)]
    N_DRAWS: Count
    ALSO_DRAW: tuple[Literal["text", "latents"], ...]
    SCORES_DIR: str | None
    SCORE_PIXELS: Annotated[int, Field(ge=16)]
    DRAWINGS: Literal["each", "mean"]
    RETRIEVAL_N: Annotated[int, Field(ge=2)]
    ATTRIBUTES: tuple[str, ...]
    DEVICE: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")]
    PRECISION: Literal["auto", "float32", "float16", "bfloat16"]

    @classmethod
    def complete(cls, values: dict) -> dict:
        """The demo draws with its own generator unless told otherwise."""
        if values["DATASET"] == "demo" and values["MODEL_DIR"] is None:
            return values | {"MODEL_DIR": values["GENERATOR_DIR"]}
        return values

    @model_validator(mode="after")
    def _agree(self):
        for drawn, trained in (
            ("IMAGE_DECODER", "IMAGE_DECODERS"),
            ("TEXT_DECODER", "TEXT_DECODERS"),
        ):
            if drawn == "TEXT_DECODER" and not (self.DRAW or self.TEXT_DECODERS):
                continue
            if getattr(self, drawn) not in getattr(self, trained):
                raise ValueError(
                    f"{drawn} = {getattr(self, drawn)!r} is not in {trained} = {getattr(self, trained)}: it would "
                    "not be trained. Add it there or name one that is there"
                )
        if self.SUBJECT in self.OTHER_SUBJECTS:
            raise ValueError(
                f"OTHER_SUBJECTS = {self.OTHER_SUBJECTS} names SUBJECT = {self.SUBJECT!r}. Take it out"
            )
        for name in ("IMAGE_DECODERS", "TEXT_DECODERS", "CLIP_DECODERS"):
            if "shared" in getattr(self, name) and not self.OTHER_SUBJECTS:
                raise ValueError(
                    f'{name} names "shared", and OTHER_SUBJECTS = () names nobody to share with. Name people there'
                )
        if self.HELD_OUT_KINDS > self.N_KINDS - 2:
            raise ValueError(
                f"HELD_OUT_KINDS = {self.HELD_OUT_KINDS} of N_KINDS = {self.N_KINDS}: two kinds at least must be left "
                "for training"
            )
        if not self.HIGHER_ROIS and (self.TEXT_DECODERS or self.CLIP_DECODERS):
            raise ValueError(
                "HIGHER_ROIS = () names no region for TEXT_DECODERS and CLIP_DECODERS. Name one, or set both to ()"
            )
        named, nodes = (
            [name.rpartition(":")[2] for name in self.EARLY_ROIS],
            [roi for node in self.GCN_NODES for roi in node],
        )
        if "gcn" in self.IMAGE_DECODERS and (
            lost := [name for name in named if nodes.count(name) != 1]
        ):
            raise ValueError(
                f"GCN_NODES = {self.GCN_NODES} must name the early region {lost[0]!r} once. Put it into one node"
            )
        for decoder, options in self.DECODER_OPTIONS.items():
            if decoder not in PUBLISHED:
                raise ValueError(
                    f"DECODER_OPTIONS: {decoder!r} is not a network{did_you_mean(decoder, PUBLISHED)}. There are "
                    f"{', '.join(PUBLISHED)}"
                )
            for name in options:
                if name not in PUBLISHED[decoder]:
                    raise ValueError(
                        f"DECODER_OPTIONS: {decoder!r} has no option "
                        f"{name!r}{did_you_mean(name, PUBLISHED[decoder])}. There are {', '.join(PUBLISHED[decoder])}"
                    )
            options_of(decoder, self.DECODER_OPTIONS)  # types
        return self
