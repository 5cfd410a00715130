"""What the settings of this study may be: choices, ranges, and which of them must agree."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from film_encoding.fine_settings import AtLeast1, FineSettings
from film_encoding.variants import Variant, parse_ablation, reach_of
from neuroface.bold import is_surface

from pydantic import Field, model_validator

Subject = Annotated[str, Field(pattern=r"^(mean|sub-[A-Za-z0-9]+)$")]
Film = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$")]
AtLeast0 = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
FeatureName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")]
Split = Literal["published", "film"]
CHOSEN_PER_VOXEL = ("one delay", "shifted hrf")  # values of FEATURE_RESPONSE that choose a delay


class FilmSettings(FineSettings):
    """Settings of ``config.py`` in this study's folder."""

    FOLDERS: ClassVar = (
        "DATASET_DIR",
        "RAW_DIR",
        "DATA_DIR",
        "FILM_DIR",
        "FEATURE_DIR",
        "LOCALIZER_DIR",
    )
    FILES: ClassVar = ("ATLAS_FILE", "REGIONS_FILE", "REGIONS_TABLE", "PERCEPTUAL_WEIGHTS")
    LISTS: ClassVar = ("FILMS", "SUBJECTS", "SPLITS", "ABLATIONS", "RIDGE_FEATURES", "RIDGE_DELAYS_TRS",
                       "PERTURBED_REGIONS", "PERTURBATIONS", "CONCEPTS", "TOP_K", "FEATURES", "LOCALIZER")  # fmt: skip

    DATASET: Literal["demo", "bids"]
    FILM_DIR: str | None
    FILMS: tuple[Film, ...]
    FRAMES_PER_TR: Annotated[int, Field(ge=2, le=256, multiple_of=2)]
    FRAME_PX: Annotated[int, Field(ge=16, le=512, multiple_of=8)]
    FRAME_CONTRAST: Literal["frame", "none"]
    FILM_RUNS: Literal["one", "repeats", "parts", "several"]
    ATLAS_FILE: str | None
    PARCELS: Annotated[tuple[tuple[AtLeast1, AtLeast1], ...], Field(min_length=1)]
    STANDARDIZE: Literal["zscore", "none"]
    VOXEL_SHARE: Share
    SUBJECTS: Annotated[tuple[Subject, ...], Field(min_length=1)]
    DELAY_TRS: AtLeast0
    SPLITS: Annotated[tuple[Split, ...], Field(min_length=1)]
    HELD_OUT_FILM: Film | None
    SELECTION: Literal["inner", "paper"]
    EMBARGO_TRS: AtLeast0
    DECODER_INPUT: Literal["predicted", "measured", "both"]
    PERCEPTUAL: Literal["scattering", "vgg16"]
    PERCEPTUAL_WEIGHTS: str | None
    EPOCHS: AtLeast1
    # Batch normalisation of one chunk is no normalisation.
    BATCH_SIZE: Annotated[int, Field(ge=2)]
    LEARNING_RATE: Annotated[float, Field(gt=0, le=1)]
    N_SEEDS: AtLeast1
    ABLATIONS: tuple[str, ...]
    RIDGE_FEATURES: Annotated[tuple[Literal["motion energy", "frames"], ...], Field(min_length=1)]
    RIDGE_DELAYS_TRS: Annotated[tuple[int, ...], Field(min_length=1)]
    EXPLAINED_SPLIT: Split
    DECODE_FROM: Literal["measured", "predicted"]
    REGIONS_FILE: str | None
    REGIONS_TABLE: str | None
    PERTURBED_REGIONS: Annotated[tuple[str, ...], Field(min_length=1)]
    PERTURBATIONS: Annotated[tuple[Literal["zero", "mean", "noise"], ...], Field(min_length=1)]
    THING: Film
    LOCALIZER: tuple[FeatureName, ...]
    LOCALIZER_DIR: str | None
    CLIP_S: tuple[float, float]
    FEATURES: Annotated[tuple[FeatureName, ...], Field(min_length=1)]
    FEATURE_DIR: str | None
    FEATURE_RESPONSE: Literal["delays", "hrf", "one delay", "shifted hrf"]
    EACH_PERSON: bool

    @classmethod
    def complete(cls, values: dict) -> dict:
        """The places that a data set has for films, atlas and names of regions, where no other is named.

        A surface file names its regions itself; the table of the data set may be that of another atlas.
        """
        dataset = values["DATASET_DIR"]
        atlas = values["ATLAS_FILE"] or f"{dataset}/atlas.nii.gz"
        regions = values["REGIONS_FILE"] or atlas
        table = None if is_surface(Path(regions)) else f"{dataset}/atlas.tsv"
        return super().complete(values) | {
            "FILM_DIR": values["FILM_DIR"] or f"{dataset}/stimuli",
            "FEATURE_DIR": values["FEATURE_DIR"] or f"{dataset}/features",
            "LOCALIZER_DIR": values["LOCALIZER_DIR"] or f"{dataset}/localizer",
            "ATLAS_FILE": atlas,
            "REGIONS_FILE": regions,
            "REGIONS_TABLE": values["REGIONS_TABLE"] or table,
        }

    @model_validator(mode="after")
    def _agree(self):
        if self.EXPLAINED_SPLIT not in self.SPLITS:
            raise ValueError(
                f"EXPLAINED_SPLIT = {self.EXPLAINED_SPLIT!r} is not in SPLITS = {self.SPLITS}: "
                "its networks would not be trained. Add it to SPLITS or name one that is there"
            )
        if self.FILM_RUNS == "several" and not (
            self.FILMS and isinstance(self.FILM_EVENT, str | tuple)
        ):
            raise ValueError(
                'FILM_RUNS = "several": FILMS must name the films, as their events in the logs of the runs are named, and '
                "FILM_EVENT must not be None or a number"
            )
        for first, last in self.PARCELS:
            if first > last:
                raise ValueError(f"PARCELS: the range {first, last} ends before it starts")
        if self.PERCEPTUAL == "vgg16" and not self.PERCEPTUAL_WEIGHTS:
            raise ValueError(
                'PERCEPTUAL = "vgg16" needs PERCEPTUAL_WEIGHTS, a Keras weights file of VGG16 without its top. Name it, or '
                'set PERCEPTUAL = "scattering"'
            )
        if self.ENCODER_WEIGHT == 1:
            raise ValueError(
                'ENCODER_WEIGHT = 1 leaves the decoder untrained. For an encoder alone add "encoder" to ABLATIONS; for the '
                "network set a weight below 1"
            )
        if not any(self.IMAGE_WEIGHTS):
            raise ValueError(
                "IMAGE_WEIGHTS are all 0: the decoder would learn nothing. Raise one of them"
            )
        if not self.MSE_WEIGHT + self.COSINE_WEIGHT:
            raise ValueError(
                "MSE_WEIGHT and COSINE_WEIGHT are both 0: the encoder would learn nothing. Raise one of them"
            )
        if len(self.LOCALIZER) not in (0, 2):
            raise ValueError(
                f"LOCALIZER = {self.LOCALIZER} must name two kinds of pictures, or none: ()"
            )
        if self.CLIP_S[0] >= self.CLIP_S[1] or self.CLIP_S[0] < 0:
            raise ValueError(
                f"CLIP_S = {self.CLIP_S} is no interval of a film. Give its start and its end in seconds"
            )
        ablations = {
            name: parse_ablation(name, self.FRAMES_PER_TR, self.DELAY_TRS)
            for name in self.ABLATIONS
        }
        self._refuse_delays_beyond_the_embargo(ablations)
        counts = [self.FRAMES_PER_TR]
        counts += [variant.frames_per_tr for variant in ablations.values()]
        if odd := [n for n in counts if max(counts) % n]:
            raise ValueError(
                f"ABLATIONS: {max(counts)} and {odd[0]} frames do not divide each other, and all take theirs from the "
                "same ones. Remove one"
            )
        return self

    def _refuse_delays_beyond_the_embargo(self, ablations: dict[str, Variant]) -> None:
        """A training chunk with delays must not hold chunks that are held out beside it."""
        if "published" in self.SPLITS:
            held_out = "the last part of each film that the published split holds out"
        elif self.SELECTION == "inner":
            held_out = "the chunks that choose the epoch"
        else:
            return
        for name, variant in ablations.items():
            if reach_of(variant.lags) > self.EMBARGO_TRS:
                raise ValueError(
                    f"ABLATIONS: {name!r} gets chunks up to {reach_of(variant.lags)} TRs away, and EMBARGO_TRS = "
                    f"{self.EMBARGO_TRS} leaves only as many free: its training would see {held_out}. Set EMBARGO_TRS to "
                    f"{reach_of(variant.lags)} or more, or remove {name!r}"
                )
        reach = reach_of(self.RIDGE_DELAYS_TRS)
        if "published" in self.SPLITS and reach > self.EMBARGO_TRS:
            raise ValueError(
                f"RIDGE_DELAYS_TRS = {self.RIDGE_DELAYS_TRS} reach {reach} TRs, and EMBARGO_TRS = {self.EMBARGO_TRS} "
                f"leaves only as many free: ridge regression would be trained on {held_out}. Set EMBARGO_TRS to {reach} or "
                "more, or RIDGE_DELAYS_TRS to (0,)"
            )
