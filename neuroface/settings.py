"""Read config.py, apply an experiment's differences, and refuse what makes no sense before any work is done."""

import os
import runpy
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from neuroface import NeuroFaceError
from neuroface.architectures import ARCHITECTURES, DEFAULT, did_you_mean
from neuroface.attribution_methods import METHODS

Split = Literal["window", "subject", "event", "run", "movie"]
Rate = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]

# What config.py's plain types cannot say: choices and ranges.
LIMITS = {
    "DATASET": Literal["demo", "nndb-v1", "nndb-v2", "bids"],
    "RUN_NAME": Name,
    "SEED": Annotated[int, Field(ge=0, lt=2**32)],
    "TR_S": Annotated[float, Field(gt=0, le=30)],
    "LAG_S": Annotated[float, Field(ge=0, le=30)],
    "WINDOW_TRS": Annotated[int, Field(ge=4)],  # two poolings of the time axis leave one column of four
    "MIN_STRETCH_S": Annotated[float, Field(ge=0)],
    "STANDARDIZE": Literal["zscore", "none"],
    "BALANCE": Literal["run", "none"],
    "MASK_THRESHOLD": Annotated[float, Field(ge=0, le=1)],
    "FACE_TRIAL_TYPES": Annotated[tuple[str, ...], Field(min_length=1)],
    "NNDB_VARIANT": Literal[
        "blur_censor",
        "blur_censor_ica",
        "blur_no_censor",
        "blur_no_censor_ica",
        "no_blur_no_censor",
        "no_blur_no_censor_ica",
    ],
    "CV_SPLITS": Annotated[tuple[Split, ...], Field(min_length=1)],
    "N_FOLDS": Annotated[int, Field(ge=2)],
    "EMBARGO_TRS": Annotated[int, Field(ge=0)],
    "SELECTION": Literal["inner", "paper"],
    "MODELS": Annotated[tuple[str, ...], Field(min_length=1)],
    "MODEL_OPTIONS": dict[str, dict[str, object]],
    "CNN_FILTERS": tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]],
    "CNN_DENSE_UNITS": Annotated[int, Field(ge=1)],
    "EPOCHS": Annotated[int, Field(ge=1)],
    "BATCH_SIZE": Annotated[int, Field(ge=1)],
    "LEARNING_RATE": Rate | Annotated[tuple[Rate, ...], Field(min_length=1)],
    "PRECISION": Literal["auto", "float32", "float16", "bfloat16"],
    "BASELINES": tuple[Literal["linear", "linear-mean", "face-rois", "shuffled-cnn"], ...],
    "N_PERMUTATIONS": Annotated[int, Field(ge=0)],
    "N_PERMUTATIONS_CNN": Annotated[int, Field(ge=0)],
    "HELD_OUT_SPLIT": Split,
    "ATTRIBUTION_METHODS": Annotated[tuple[Literal[tuple(METHODS)], ...], Field(min_length=1)],
    "EXPLAIN": Literal["held-out", "best fold"],
    "ATTRIBUTION_BASELINE": Literal["zero", "training mean", "other class"],
    "ATTRIBUTION_DRAWS": Annotated[int, Field(ge=1)],
    "SMOOTHGRAD_DRAWS": Annotated[int, Field(ge=0)],
    "SMOOTHGRAD_NOISE": Annotated[float, Field(ge=0)],
    "IG_ENGINE": Literal["keras", "deepexplain"],
    "IG_RULE": Literal["right", "midpoint", "trapezoid", "gauss-legendre", "secant"],
    "IG_STEPS": Annotated[int, Field(ge=1)] | Literal["auto"],
    "IG_TOLERANCE": Annotated[float, Field(gt=0)],
    "OCCLUSION_REGIONS": Literal["cubes", "rois", "parcels"],
    "OCCLUSION_CUBE_MM": Annotated[float, Field(gt=0)],
    "OCCLUSION_TRS": Annotated[int, Field(ge=1)],
    "ATTRIBUTION_CHECKS": tuple[Literal["steps", "baselines", "weights", "deletion", "labels"], ...],
    "CHECK_WINDOWS": Annotated[int, Field(ge=2, multiple_of=2)],
    "SPACE": Literal["MNI", "native"],
    "N_RANDOM_REGIONS": Annotated[int, Field(ge=1)],
    "N_FLIPS": Annotated[int, Field(ge=20)],  # fewer allow no p of 0.05
    "FLIP_TOGETHER": Literal["person", "movie"],
    "VARIANCE_FWHM_MM": Annotated[float, Field(ge=0)],
    "CLUSTER_FORMING_P": Annotated[float, Field(gt=0, lt=0.5)],
    "REFERENCE_MAPS": tuple[Literal["haufe", "glm"], ...],
    "PREDICTION_AT": Annotated[float, Field(ge=0, le=1)],
    "SMOOTH_TRS": Annotated[int, Field(ge=1)],
    "MIN_SHIFT_S": Annotated[float, Field(ge=0)],
    "FOLLOW_BASELINE_TRS": Annotated[int, Field(ge=2)],  # one volume has no SD
    "FOLLOW_IDLE_S": Annotated[float, Field(gt=0)],
    "N_JOBS": Annotated[int, Field(ge=1)],
    "DASK_SCHEDULER": Annotated[str, Field(pattern=r"^[a-z]+://.+")] | None,
    "INFERENCE_BATCH": Annotated[int, Field(ge=1)],
}


class _Settings(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", validate_default=True)

    @model_validator(mode="after")
    def _agree(self):
        if self.HELD_OUT_SPLIT not in self.CV_SPLITS:
            raise ValueError(
                f"HELD_OUT_SPLIT = {self.HELD_OUT_SPLIT!r} is not in CV_SPLITS = {self.CV_SPLITS}: its models would "
                f"not be trained. Add it to CV_SPLITS or name one that is there"
            )
        for name in ("CV_SPLITS", "BASELINES", "ATTRIBUTION_METHODS", "ATTRIBUTION_CHECKS", "REFERENCE_MAPS"):
            if len(set(values := getattr(self, name))) < len(values):
                raise ValueError(f"{name} = {values} names one twice")
        if self.WINDOW_TRS * self.TR_S > self.MIN_STRETCH_S + 1e-6:
            raise ValueError(
                f"WINDOW_TRS × TR_S = {self.WINDOW_TRS * self.TR_S:g} s is longer than MIN_STRETCH_S = "
                f"{self.MIN_STRETCH_S:g} s: a window would run past the stretch that gives its label. "
                f"Lower WINDOW_TRS or raise MIN_STRETCH_S"
            )
        if self.PLOT_INTERVAL_S[0] >= self.PLOT_INTERVAL_S[1]:
            raise ValueError(f"PLOT_INTERVAL_S = {self.PLOT_INTERVAL_S} ends before it starts")
        if self.SMOOTH_TRS % 2 == 0:
            raise ValueError(f"SMOOTH_TRS = {self.SMOOTH_TRS} is even: a mean centred on a volume takes an odd number")
        self._name_architectures()
        self._explain_sensibly()
        return self

    def _name_architectures(self):
        for setting in ("MODELS", "MODEL_OPTIONS"):
            for name in getattr(self, setting):
                if name not in ARCHITECTURES:
                    raise ValueError(
                        f"{setting}: {name!r} is not an architecture{did_you_mean(name, ARCHITECTURES)}. There are "
                        f"{', '.join(ARCHITECTURES)}"
                    )
        if DEFAULT in self.MODEL_OPTIONS:
            raise ValueError(f"MODEL_OPTIONS: sizes of {DEFAULT!r} are CNN_FILTERS and CNN_DENSE_UNITS. Set those")
        if len(set(self.MODELS)) < len(self.MODELS):
            raise ValueError(f"MODELS = {self.MODELS} names an architecture twice")
        if self.EXPLAINED_MODEL not in self.MODELS:
            raise ValueError(
                f"EXPLAINED_MODEL = {self.EXPLAINED_MODEL!r} is not in MODELS = {self.MODELS}: it would not be trained. Add "
                f"it to MODELS or name one that is there"
            )

    def _explain_sensibly(self):
        for setting, value in (("IG_RULE", "secant"), ("IG_ENGINE", "deepexplain")):
            if self.EXPLAINED_MODEL != DEFAULT and getattr(self, setting) == value:
                raise ValueError(
                    f'{setting} = "{value}" is made for {DEFAULT!r}; EXPLAINED_MODEL = {self.EXPLAINED_MODEL!r}. '
                    f'Set IG_RULE = "midpoint" and IG_ENGINE = "keras"'
                )
        if self.IG_RULE == "secant" and self.IG_STEPS == "auto":
            raise ValueError(
                'IG_STEPS = "auto" watches the completeness gap, which is near 0 for IG_RULE = "secant" whatever the steps. '
                "Set IG_STEPS = 20, and see the map error among the checks"
            )
        if self.IG_ENGINE == "deepexplain" and (self.IG_RULE != "right" or self.IG_STEPS == "auto"):
            raise ValueError(
                f'IG_ENGINE = "deepexplain" knows the right rule and a fixed number of steps; IG_RULE = {self.IG_RULE!r}, '
                f"IG_STEPS = {self.IG_STEPS!r}"
            )
        both = self.ATTRIBUTION_BASELINE == "other class" and self.SMOOTHGRAD_DRAWS
        if both and self.SMOOTHGRAD_DRAWS % self.ATTRIBUTION_DRAWS:
            raise ValueError(
                f"SMOOTHGRAD_DRAWS = {self.SMOOTHGRAD_DRAWS} is no multiple of ATTRIBUTION_DRAWS = "
                f"{self.ATTRIBUTION_DRAWS}: each baseline must get as many noisy copies as the others"
            )
        if "occlusion" in self.ATTRIBUTION_METHODS and self.OCCLUSION_REGIONS == "parcels" and not self.PARCEL_FILE:
            raise ValueError('OCCLUSION_REGIONS = "parcels" needs PARCEL_FILE')
        if "occlusion" in self.ATTRIBUTION_METHODS and self.OCCLUSION_REGIONS == "rois" and self.SPACE != "MNI":
            raise ValueError(f'OCCLUSION_REGIONS = "rois" needs SPACE = "MNI"; it is {self.SPACE!r}')


def load_settings(config: str | Path, experiment: str | Path | None = None) -> SimpleNamespace:
    """Settings of an experiment, checked.

    Parameters
    ----------
    config : path of config.py; its annotated constants are the settings and their defaults.
    experiment : path of a file of differences; by default the one that ``NEUROFACE_CONFIG`` names, if any.

    Returns
    -------
    An object with one attribute per setting. Relative folders are relative to config.py's folder.

    Raises
    ------
    NeuroFaceError
        For an unknown name, a wrong type or a value out of range, naming the file and the setting.
    """
    config = Path(config).resolve()
    experiment = experiment or os.environ.get("NEUROFACE_CONFIG") or None
    base = _constants(config)
    types = base.pop("__annotations__")
    unannotated = sorted(set(base) - set(types))
    if unannotated:
        raise NeuroFaceError(
            f"{config.name}: {unannotated[0]} is not a setting{did_you_mean(unannotated[0].upper(), types)}. "
            f"Settings read `NAME: type = value`."
        )
    changes, source = {}, config.name
    if experiment:
        path = Path(experiment)
        path = path if path.is_absolute() or path.exists() else config.parent / path
        if not path.is_file():
            raise NeuroFaceError(f"NEUROFACE_CONFIG names {experiment}, and there is no such file.")
        changes, source = _constants(path), path.name
        changes.pop("__annotations__", None)
        _known(changes, types, source)
    values = base | changes
    if values["DATASET"] == "demo":
        preset = values["DEMO"]
        if not isinstance(preset, dict):
            raise NeuroFaceError(f"{source}: DEMO = {preset!r}: expected a dict of settings.")
        _known(preset, types, f"{config.name}: DEMO")
        values |= {name: value for name, value in preset.items() if name not in changes}

    model = create_model(
        "Settings", __base__=_Settings, **{name: (LIMITS.get(name, kind), ...) for name, kind in types.items()}
    )
    try:
        settings = model(**values)
    except ValidationError as error:
        raise NeuroFaceError(_one_line(error.errors()[0], changes, source, config.name)) from None
    folders = {
        name: str(config.parent / getattr(settings, name))
        for name in ("DATASET_DIR", "DATA_DIR", "ROI_FILE", "MASK_FILE", "PARCEL_FILE")
        if getattr(settings, name) is not None
    }
    folders["ROI_MASKS"] = tuple(str(config.parent / file) for file in settings.ROI_MASKS)
    return SimpleNamespace(**(settings.model_dump() | folders))  # a plain object reaches worker processes as it is


def demo_differences(settings, config: str | Path) -> dict[str, tuple]:
    """Settings that the demo preset moved off the paper's value: name → (value here, value in config.py)."""
    if settings.DATASET != "demo":
        return {}
    base = _constants(Path(config))
    here = {name: (getattr(settings, name), base[name]) for name in base["DEMO"]}
    if not set(settings.MODELS) & set(settings.MODEL_OPTIONS):
        here.pop("MODEL_OPTIONS", None)  # of networks that nobody trains
    return {name: pair for name, pair in here.items() if pair[0] == base["DEMO"][name] != pair[1]}


def _constants(path: Path) -> dict:
    try:
        names = runpy.run_path(str(path))
    except Exception as error:  # a user's file can fail in any way; say where
        raise NeuroFaceError(f"{path.name} cannot be read: {type(error).__name__}: {error}") from None
    # Whatever is not upper case and not a helper (module, function, private) is a setting misspelt.
    return {
        name: value
        for name, value in names.items()
        if name == "__annotations__" or not (name.startswith("_") or callable(value) or isinstance(value, ModuleType))
    }


def _known(names, types: dict, source: str) -> None:
    for name in names:
        if name not in types:
            raise NeuroFaceError(f"{source}: {name} is not a setting{did_you_mean(name.upper(), types)}.")


def _one_line(error: dict, changes: dict, source: str, config_name: str) -> str:
    if not error["loc"]:  # raised by _agree, which names the settings itself
        return f"{source}: {error['msg'].removeprefix('Value error, ')}."
    name = error["loc"][0]
    where = source if name in changes else config_name
    return f"{where}: {name} = {error['input']!r}: {error['msg']}."
