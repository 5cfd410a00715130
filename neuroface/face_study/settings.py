"""Allowed settings of the face study: choices, ranges, and rules between settings."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from neuroface.decoding import (
    ARCHITECTURES,
    AUTO,
    BEST,
    CLOSED_FORM,
    DEFAULT,
    LINEAR,
    NEED_A_GRID,
    POLYNOMIAL,
    SCREENED,
    SHUFFLED,
    FoldSettings,
    choose_splits,
)  # fmt: skip
from neuroface.face_study.fine_settings import FineSettings
from neuroface.pipeline import did_you_mean, read_table, replaced

import pandas as pd
from pydantic import Field, model_validator

Split = Literal["window", "subject", "event", "run", "part", "movie"]
Method = Literal["ig", "gradient-x-input", "occlusion", "grad-cam", "attention-rollout"]
Rate = Annotated[float, Field(gt=0, le=1)]

Label = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
LEAST_POOLED_TRS = 4  # two poolings of the time axis turn four volumes into one
# Columns of script 8's tables, which also have a column with the name of the first label.
TAKEN = ("tr", "probability", "logit", "split")


class FaceSettings(FineSettings):
    """Settings of ``config.py`` at the top of the repository."""

    FOLDERS: ClassVar = ("DATASET_DIR", "RAW_DIR", "DATA_DIR", "FILM_DIR")
    FILES: ClassVar = ("ROI_FILE", "MASK_FILE", "PARCEL_FILE", "ROI_MASKS", "FILM_PARTS")
    LISTS: ClassVar = ("CV_SPLITS", "BASELINES", "ATTRIBUTION_METHODS", "ATTRIBUTION_CHECKS", "REFERENCE_MAPS", "MATCH_ON",
                       "NUISANCE")  # fmt: skip
    # Of with_splits: why CV_SPLITS and HELD_OUT_SPLIT are what they are.
    splits_why: ClassVar[str] = ""

    DATASET: Literal["demo", "nndb-v1", "nndb-v2", "bids"]
    FILM_PARTS: str | None
    LAG_S: Annotated[float, Field(ge=0, le=30)]
    WINDOW_TRS: Annotated[int, Field(ge=1)]
    MIN_STRETCH_S: Annotated[float, Field(ge=0)]
    STANDARDIZE: Literal["zscore", "none"]
    BALANCE: Literal["run", "none"]
    MATCH_ON: tuple[str, ...]
    MASK_THRESHOLD: Annotated[float, Field(ge=0, le=1)]
    MASK_FILE: str | None
    LABELS: tuple[Label, Label]
    LABEL_EVENTS: dict[str, tuple[str, ...]]
    EVENT_COLUMN: Annotated[str, Field(min_length=1)]
    NNDB_VARIANT: Literal[
        "blur_censor",
        "blur_censor_ica",
        "blur_no_censor",
        "blur_no_censor_ica",
        "no_blur_no_censor",
        "no_blur_no_censor_ica",
    ]
    CV_SPLITS: Annotated[tuple[Split, ...], Field(min_length=1)] | Literal["auto"]
    EMBARGO_TRS: Annotated[int, Field(ge=0)]
    SELECTION: Literal["inner", "paper"]
    MODELS: Annotated[tuple[str, ...], Field(min_length=1)]
    TRAINING: Literal["robust", "paper"]
    TRAINING_STEPS: Annotated[int, Field(ge=1)]
    BATCH_SIZE: Annotated[int, Field(ge=1)]
    LEARNING_RATE: Rate | Annotated[tuple[Rate, ...], Field(min_length=1)] | Literal["auto"]
    N_SEEDS: Annotated[int, Field(ge=1)]
    BASELINES: tuple[str, ...]
    HELD_OUT_SPLIT: Split | Literal["auto"]
    EXPLAINED_MODEL: str
    ATTRIBUTION_METHODS: Annotated[tuple[Method, ...], Field(min_length=1)]
    EXPLAIN: Literal["held-out", "best fold"]
    ATTRIBUTION_BASELINE: Literal["zero", "training mean", "other class"]
    IG_RULE: Literal["right", "midpoint", "trapezoid", "gauss-legendre", "secant", "auto"]
    IG_STEPS: Annotated[int, Field(ge=1)] | Literal["auto"]
    ATTRIBUTION_CHECKS: tuple[Literal["steps", "baselines", "weights", "deletion", "labels"], ...]
    SPACE: Literal["MNI", "native", "surface"]
    ROI_FILE: str | None
    ROI_MASKS: tuple[str, ...]
    MAP_TEST: Literal["auto", "relabel", "flip films", "flip people", "none"]
    VARIANCE_FWHM_MM: Annotated[float, Field(ge=0)]
    NUISANCE: tuple[str, ...]
    PLOT_INTERVAL_S: tuple[float, float]
    FILM_DIR: str

    @classmethod
    def complete(cls, values: dict) -> dict:
        """Rename the model "rois" after the file of the regions; remove it from the baselines if there is no file."""
        rois = rois_name(values["ROI_FILE"])

        def named(baselines: tuple[str, ...]) -> tuple[str, ...]:
            renamed = (rois if name == "rois" else name for name in baselines)
            return tuple(name for name in renamed if name)

        explained = rois if values["EXPLAINED_MODEL"] == "rois" else values["EXPLAINED_MODEL"]
        return super().complete(values) | {
            "BASELINES": named(values["BASELINES"]),
            "DEMO": values["DEMO"]
            | {name: named(value) for name, value in values["DEMO"].items() if name == "BASELINES"},
            "EXPLAINED_MODEL": explained,
        }

    @classmethod
    def follow_data(cls, settings, root: Path, number: int):
        """CV_SPLITS and HELD_OUT_SPLIT = "auto" as the windows of script 2 ask for; scripts 1 and 2 do not use them.

        Where only results of script 3 are at hand, as beside a scanner, its predictions name the
        same windows.
        """
        tables = [root / "2-dataset" / "samples.tsv", *root.glob("3-model/*/predictions.tsv")]
        windows = next((table for table in tables if table.is_file()), None)
        if number < 3 or windows is None:
            return settings  # script 3 says that script 2 is to be run
        return with_splits(settings, read_table(windows))

    @classmethod
    def why(cls, settings, name: str) -> str:
        follows = name in ("CV_SPLITS", "HELD_OUT_SPLIT")
        return getattr(settings, "splits_why", "") if follows else ""

    @classmethod
    def idle(cls, settings) -> set[str]:
        other_recipe = "EPOCHS" if settings.TRAINING == "robust" else "TRAINING_STEPS"
        return {other_recipe} | (
            set() if set(settings.MODELS) & set(settings.MODEL_OPTIONS) else {"MODEL_OPTIONS"}
        )

    @model_validator(mode="after")
    def _agree(self):
        explicit = AUTO not in (self.HELD_OUT_SPLIT, self.CV_SPLITS)
        if explicit and self.HELD_OUT_SPLIT not in self.CV_SPLITS:
            raise ValueError(
                f"HELD_OUT_SPLIT = {self.HELD_OUT_SPLIT!r} is not in CV_SPLITS = {self.CV_SPLITS}: its models would "
                f"not be trained. Add it to CV_SPLITS or name one that is there"
            )
        if self.WINDOW_TRS * self.TR_S > self.MIN_STRETCH_S + 1e-6:
            raise ValueError(
                f"WINDOW_TRS × TR_S = {self.WINDOW_TRS * self.TR_S:g} s is longer than MIN_STRETCH_S = "
                f"{self.MIN_STRETCH_S:g} s: a window would run past the stretch that gives its label. "
                f"Lower WINDOW_TRS or raise MIN_STRETCH_S"
            )
        networks = [name for name in self.MODELS if name not in (*CLOSED_FORM, POLYNOMIAL)]
        networks += [name for name in self.BASELINES if name == SHUFFLED]
        if self.WINDOW_TRS < LEAST_POOLED_TRS and networks:
            raise ValueError(
                f"WINDOW_TRS = {self.WINDOW_TRS}: {networks[0]!r} needs windows of {LEAST_POOLED_TRS} volumes or more. "
                f'Raise it, or set MODELS = ("{POLYNOMIAL}", "{SCREENED}", "{CLOSED_FORM[-1]}") and leave '
                f"{SHUFFLED!r} out of BASELINES"
            )
        if self.FILM_EVENT is not None and self.DATASET != "bids":
            raise ValueError(
                f'FILM_EVENT = {self.FILM_EVENT!r} needs DATASET = "bids": films of NNDb begin with their runs'
            )
        if self.MATCH_ON and self.BALANCE != "run":
            raise ValueError(
                f'MATCH_ON = {self.MATCH_ON} pairs windows and needs BALANCE = "run"; it is {self.BALANCE!r}'
            )
        if Path(self.FILM_DIR) == Path(self.DATA_DIR) / self.RUN_NAME:
            raise ValueError(
                f"FILM_DIR = {self.FILM_DIR!r} is the folder of RUN_NAME = {self.RUN_NAME!r}. Choose another"
            )
        if self.DATASET == "demo" and self.ROI_FILE is None:
            raise ValueError(
                'ROI_FILE = None, but DATASET = "demo" plants its signal in these regions. Name a file'
            )
        if self.PLOT_INTERVAL_S[0] >= self.PLOT_INTERVAL_S[1]:
            raise ValueError(f"PLOT_INTERVAL_S = {self.PLOT_INTERVAL_S} ends before it starts")
        if self.SMOOTH_TRS % 2 == 0:
            raise ValueError(
                f"SMOOTH_TRS = {self.SMOOTH_TRS} is even: a mean centred on a volume needs an odd number"
            )
        self._name_labels()
        self._name_baselines()
        self._name_architectures()
        self._fit_a_surface()
        self._explain_sensibly()
        return self

    def _name_labels(self):
        first, second = self.LABELS
        if first.lower() == second.lower():
            raise ValueError(f"LABELS = {self.LABELS} must be two different names")
        if first in TAKEN:
            raise ValueError(
                f"LABELS = {self.LABELS}: {first!r} is a column of script 8's tables. Choose another name"
            )
        if set(self.LABEL_EVENTS) != set(self.LABELS):
            raise ValueError(
                f"LABEL_EVENTS = {self.LABEL_EVENTS} must name the events of each of LABELS = {self.LABELS}, and of "
                f"nothing else. Give both an entry; that of {second!r} may be (): the gaps between the events of {first!r}"
            )
        if not self.LABEL_EVENTS[first]:
            raise ValueError(f"LABEL_EVENTS: {first!r} names no event")
        if both := set(self.LABEL_EVENTS[first]) & set(self.LABEL_EVENTS[second]):
            raise ValueError(
                f"LABEL_EVENTS: {sorted(both)[0]!r} is named for {first!r} and for {second!r}"
            )

    def _name_baselines(self):
        known = [
            "linear",
            "linear-mean",
            "shuffled-cnn",
            *filter(None, ("rois", rois_name(self.ROI_FILE))),
        ]
        for name in self.BASELINES:
            if name not in known and not (name == "rois" and self.ROI_FILE is None):
                raise ValueError(
                    f"BASELINES: {name!r} is not a baseline{did_you_mean(name, known)}. There are {', '.join(known)}"
                )
        if {"rois", rois_name(self.ROI_FILE)} <= set(self.BASELINES):
            raise ValueError(f"BASELINES = {self.BASELINES} names one twice")

    def _name_architectures(self):
        for setting in ("MODELS", "MODEL_OPTIONS"):
            for name in getattr(self, setting):
                if name not in ARCHITECTURES:
                    raise ValueError(
                        f"{setting}: {name!r} is not an architecture{did_you_mean(name, ARCHITECTURES)}. There are "
                        f"{', '.join(ARCHITECTURES)}"
                    )
        if DEFAULT in self.MODEL_OPTIONS:
            raise ValueError(
                f"MODEL_OPTIONS: sizes of {DEFAULT!r} are CNN_FILTERS and CNN_DENSE_UNITS. Set those"
            )
        if len(set(self.MODELS)) < len(self.MODELS):
            raise ValueError(f"MODELS = {self.MODELS} names an architecture twice")
        if self.EXPLAINED_MODEL == BEST and self.SELECTION == "paper":
            raise ValueError(
                'EXPLAINED_MODEL = "best" chooses by inner validation windows, and SELECTION = "paper" has none. Name a '
                'model, or set SELECTION = "inner"'
            )
        regions = [
            name for name in ("rois", rois_name(self.ROI_FILE)) if name and self.SPACE == "MNI"
        ]
        regions = regions if set(regions) & set(self.BASELINES) else []
        trained = [*self.MODELS, *LINEAR, *regions, BEST]
        if self.EXPLAINED_MODEL not in trained:
            raise ValueError(
                f"EXPLAINED_MODEL = {self.EXPLAINED_MODEL!r} would not be trained"
                f"{did_you_mean(self.EXPLAINED_MODEL, trained)}. Add it to MODELS (regions: to BASELINES), or name one "
                f"of {', '.join(trained)}"
            )

    def _fit_a_surface(self):
        if self.SPACE != "surface":
            return
        if in_space := [name for name in self.MODELS if name in NEED_A_GRID]:
            raise ValueError(
                f"MODELS: {in_space[0]!r} needs a grid of voxels, and vertices have none "
                f'(SPACE = "surface"). Remove it'
            )
        if self.SMOOTHING_MM:
            raise ValueError(
                f'SMOOTHING_MM = {self.SMOOTHING_MM:g} smooths volumes, and SPACE = "surface". Set it to None'
            )
        if self.ROI_MASKS:
            raise ValueError('ROI_MASKS are volumes, and SPACE = "surface". Set it to ()')

    def _explain_sensibly(self):
        for setting, value in (("IG_RULE", "secant"), ("IG_ENGINE", "deepexplain")):
            if self.EXPLAINED_MODEL != DEFAULT and getattr(self, setting) == value:
                raise ValueError(
                    f'{setting} = "{value}" is made for {DEFAULT!r}; EXPLAINED_MODEL = {self.EXPLAINED_MODEL!r}. '
                    f'Set IG_RULE = "auto" and IG_ENGINE = "keras"'
                )
        if self.IG_ENGINE == "deepexplain" and (self.IG_RULE != "right" or self.IG_STEPS == "auto"):
            raise ValueError(
                f'IG_ENGINE = "deepexplain" has only the right rule and a fixed number of steps; '
                f"IG_RULE = {self.IG_RULE!r}, IG_STEPS = {self.IG_STEPS!r}"
            )
        both = self.ATTRIBUTION_BASELINE == "other class" and self.SMOOTHGRAD_DRAWS
        if both and self.SMOOTHGRAD_DRAWS % self.ATTRIBUTION_DRAWS:
            raise ValueError(
                f"SMOOTHGRAD_DRAWS = {self.SMOOTHGRAD_DRAWS} must be a multiple of ATTRIBUTION_DRAWS = "
                f"{self.ATTRIBUTION_DRAWS}, because all baselines get the same number of noisy copies"
            )
        if self.SPACE == "surface" and "occlusion" in self.ATTRIBUTION_METHODS:
            raise ValueError(
                'ATTRIBUTION_METHODS: regions of "occlusion" are volumes, and SPACE = "surface". Remove it'
            )
        if (
            "occlusion" in self.ATTRIBUTION_METHODS
            and self.OCCLUSION_REGIONS == "parcels"
            and not self.PARCEL_FILE
        ):
            raise ValueError('OCCLUSION_REGIONS = "parcels" needs PARCEL_FILE')
        if (
            "occlusion" in self.ATTRIBUTION_METHODS
            and self.OCCLUSION_REGIONS == "rois"
            and self.SPACE != "MNI"
        ):
            raise ValueError(
                f'OCCLUSION_REGIONS = "rois" needs SPACE = "MNI"; it is {self.SPACE!r}'
            )
        if (
            "occlusion" in self.ATTRIBUTION_METHODS
            and self.OCCLUSION_REGIONS == "rois"
            and not self.ROI_FILE
        ):
            raise ValueError('OCCLUSION_REGIONS = "rois" needs ROI_FILE')


def rois_name(roi_file: str | None) -> str | None:
    """Name of the regions of ROI_FILE in results: "face-rois" for ``masks/face_rois.tsv``."""
    return Path(roi_file).stem.replace("_", "-") if roi_file else None


def fold_settings(cfg: FaceSettings) -> FoldSettings:
    """What the folds of all splits have in common."""
    return FoldSettings(cfg.N_FOLDS, cfg.SEED, cfg.WINDOW_TRS, cfg.EMBARGO_TRS, cfg.SELECTION)


def with_splits(cfg: FaceSettings, samples: pd.DataFrame) -> FaceSettings:
    """Settings whose CV_SPLITS and HELD_OUT_SPLIT name splits; ``splits_why`` says why these.

    Parameters
    ----------
    samples : one row per window, as ``samples.tsv``.
    """
    chosen = choose_splits(samples, cfg.CV_SPLITS, cfg.HELD_OUT_SPLIT, fold_settings(cfg), cfg.TR_S)
    return replaced(
        cfg, CV_SPLITS=chosen.cv_splits, HELD_OUT_SPLIT=chosen.held_out, splits_why=chosen.why
    )
