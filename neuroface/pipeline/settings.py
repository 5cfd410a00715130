"""Read config.py, apply an experiment's differences, and reject impossible values before any work is done."""

import difflib
import os
import runpy
from copy import copy
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Annotated, Any, ClassVar, TypeVar, cast

from neuroface import NeuroFaceError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

Count = Annotated[int, Field(ge=1)]  # at least one
RunName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]  # a name of a folder
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Scheduler = Annotated[str, Field(pattern=r"^[a-z]+://.+")]


def command_of(script: str | Path) -> str:
    """The command that runs a script with the experiment file in use."""
    experiment = os.environ.get("NEUROFACE_CONFIG")
    return f"NEUROFACE_CONFIG={experiment} python {script}" if experiment else f"python {script}"


def fine(default: object, description: str) -> Any:
    """A setting of a model that ``config.py`` need not contain.

    Parameters
    ----------
    default : its value where neither config.py nor an experiment sets it.
    description : what it does, with its unit, for the page of all settings.
    """
    return Field(default=default, description=description)


class SettingsModel(BaseModel):
    """Allowed settings of a study. A study derives its own model: settings with choices and ranges, and rules between them.

    The values are those of ``config.py``, and for fine settings the defaults of the model. A
    setting that the model does not declare has the type that it has in ``config.py``.
    """

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", validate_default=True, defer_build=True
    )

    # Settings that name files or folders; relative ones start at config.py's folder.
    FOLDERS: ClassVar[tuple[str, ...]] = ("DATASET_DIR", "DATA_DIR")
    FILES: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def fine_settings(cls) -> dict[str, FieldInfo]:
        """Settings that config.py need not contain, with their default and description."""
        return {name: field for name, field in cls.model_fields.items() if not field.is_required()}

    @classmethod
    def files_with(cls, file: Path) -> tuple[Path, ...]:
        """The file that a setting of ``FILES`` names, and others that are read with it."""
        return (file,)

    @classmethod
    def complete(cls, values: dict) -> dict:
        """Checked values, plus values that follow from others."""
        return values

    @classmethod
    def follow_data(cls, settings, root: Path, number: int):
        """Settings of script ``number``, with values that follow from results of earlier scripts in ``root``."""
        return settings

    @classmethod
    def why(cls, settings, name: str) -> str:
        """Why a setting whose value follows from data has this value, in words; "" for all others."""
        return ""

    @classmethod
    def idle(cls, settings) -> set[str]:
        """Settings that have no effect, given the values of the others."""
        return set()


class StudySettings(SettingsModel):
    """Settings that every study has, with their limits; the base of a study's model, which adds ``DATASET`` and its own."""

    # Lists that must not name a value twice.
    LISTS: ClassVar[tuple[str, ...]] = ()

    DATASET_DIR: str
    RUN_NAME: RunName
    SEED: Seed
    DEMO: dict[str, object]
    N_FOLDS: Annotated[int, Field(ge=2)]
    DATA_DIR: str
    N_JOBS: Count
    DASK_SCHEDULER: Scheduler | None
    INFERENCE_BATCH: Count

    @model_validator(mode="after")
    def _name_nothing_twice(self):
        for name in self.LISTS:
            values = getattr(self, name)
            if isinstance(values, tuple) and len(set(values)) < len(values):
                raise ValueError(f"{name} = {values} names one twice")
        return self


Settings = TypeVar("Settings", bound=SettingsModel)


def load_settings(
    model: type[Settings], config: str | Path, experiment: str | Path | None = None
) -> Settings:
    """Settings of an experiment, checked.

    Parameters
    ----------
    model : the study's model.
    config : path of config.py; its annotated constants are settings and their defaults. Fine
    settings of the model have theirs there, and need not be in config.py.
    experiment : path of a file of differences; by default the one that ``NEUROFACE_CONFIG`` names,
    if any.

    Returns
    -------
    A plain object with the attributes of ``model``, which can be sent to worker processes.
    Relative folders are relative to config.py's folder.

    Raises
    ------
    NeuroFaceError
        For an unknown name, a wrong type or a value out of range, naming the file and the setting.
    """
    config = Path(config).resolve()
    experiment = experiment or os.environ.get("NEUROFACE_CONFIG") or None
    defaults = {name: field.default for name, field in model.fine_settings().items()}
    base = _constants(config)
    types = dict.fromkeys(defaults) | base.pop("__annotations__")
    unannotated = sorted(set(base) - set(types))
    if unannotated:
        raise NeuroFaceError(
            f"{config.name}: {unannotated[0]} is not a setting{did_you_mean(unannotated[0].upper(), types)}. "
            f"Write a setting as `NAME: type = value`."
        )
    changes, source = {}, config.name
    if experiment:
        path = Path(experiment)
        path = path if path.is_absolute() or path.exists() else config.parent / path
        if not path.is_file():
            raise NeuroFaceError(f"NEUROFACE_CONFIG names {experiment}, but there is no such file.")
        changes, source = _constants(path), path.name
        changes.pop("__annotations__", None)
        _known(changes, types, source)
    base = defaults | base
    values = base | changes
    if values.get("DATASET") == "demo":
        preset = values["DEMO"]
        if not isinstance(preset, dict):
            raise NeuroFaceError(f"{source}: DEMO = {preset!r}: expected a dict of settings.")
        _known(preset, types, f"{config.name}: DEMO")
        values |= {name: value for name, value in preset.items() if name not in changes}

    others: dict[str, Any] = {
        name: (kind, ...) for name, kind in types.items() if name not in model.model_fields
    }
    checked = create_model("Settings", __base__=model, **others)
    try:
        settings = model.complete(checked(**values).model_dump())
    except ValidationError as error:
        raise NeuroFaceError(_one_line(error.errors()[0], changes, source, config.name)) from None
    for name in (*model.FOLDERS, *model.FILES):
        settings[name] = _from_folder(config.parent, settings.get(name))
    if issubclass(model, StudySettings):
        _keep_data_apart(
            **{name: settings[name] for name in ("DATASET_DIR", "DATA_DIR", "RUN_NAME")}
        )
    preset = {name: base[name] for name in base.get("DEMO", {})}
    return cast(Settings, SimpleNamespace(**settings, of_config=preset))


def _keep_data_apart(DATASET_DIR: str, DATA_DIR: str, RUN_NAME: str) -> None:
    results = Path(DATA_DIR) / RUN_NAME
    if results.resolve() == Path(DATASET_DIR).resolve():
        raise NeuroFaceError(
            f"DATASET_DIR = {DATASET_DIR!r} is also DATA_DIR/RUN_NAME: results would be written among the data. Choose "
            f"another DATA_DIR or RUN_NAME (of python -m neuroface: another OUT)."
        )


def experiment_text(source: str | Path | None, **settings) -> str:
    """Text of an experiment file: the settings of another one, with other values of some of them.

    Parameters
    ----------
    source : the other experiment file; None: config.py alone.
    """
    lines = []
    if source is not None:
        path = str(Path(source).resolve())
        read = f"{{name: value for name, value in run_path({path!r}).items() if name.isupper()}}"
        lines = ["from runpy import run_path", "", f"globals().update({read})"]
    lines += [f"{name} = {value!r}" for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def replaced(settings: Settings, **values) -> Settings:
    """Checked settings with other values of some of them, which are not checked."""
    other = copy(settings)
    for name, value in values.items():
        setattr(other, name, value)
    return other


def demo_differences(model: type[SettingsModel], settings) -> dict[str, tuple]:
    """Settings that the demo preset changes: name → (value here, value in config.py)."""
    if getattr(settings, "DATASET", None) != "demo":
        return {}
    names = set(settings.of_config) - model.idle(settings)
    here = {
        name: (getattr(settings, name), settings.of_config[name])
        for name in settings.of_config
        if name in names
    }
    return {name: pair for name, pair in here.items() if pair[0] == settings.DEMO[name] != pair[1]}


def did_you_mean(name: str, known) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _from_folder(folder: Path, value):
    """One path, several paths or None, relative to a folder."""
    if value is None:
        return None
    paths = (value,) if isinstance(value, str) else value
    paths = tuple(os.path.normpath(folder / path) for path in paths)  # messages show them
    return paths[0] if isinstance(value, str) else paths


def _constants(path: Path) -> dict:
    try:
        names = runpy.run_path(str(path))
    except Exception as error:  # a user's file can raise any error; the message names the file
        raise NeuroFaceError(
            f"{path.name} cannot be read: {type(error).__name__}: {error}"
        ) from None
    # Every name that is not a helper (module, function, private) counts as a setting, so that
    # misspelt names are found.
    return {
        name: value
        for name, value in names.items()
        if name == "__annotations__"
        or not (name.startswith("_") or callable(value) or isinstance(value, ModuleType))
    }


def _known(names, types: dict, source: str) -> None:
    for name in names:
        if name not in types:
            raise NeuroFaceError(
                f"{source}: {name} is not a setting{did_you_mean(name.upper(), types)}."
            )


def _one_line(error: ErrorDetails, changes: dict, source: str, config_name: str) -> str:
    if not error["loc"]:  # raised by _agree, which names the settings itself
        return f"{source}: {error['msg'].removeprefix('Value error, ')}."
    name = str(error["loc"][0])
    if error["type"] == "missing":
        return f"{config_name} lacks {name}. Copy its line from the config.py of this version."
    where = source if name in changes else config_name
    return f"{where}: {name} = {error['input']!r}: {error['msg']}."
