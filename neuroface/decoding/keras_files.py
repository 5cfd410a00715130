"""``.keras`` files of this and of other versions of Keras."""

import json
import tempfile
import zipfile
from contextlib import contextmanager
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline import keras

# Arguments that Keras 3.12 does not know. They are dropped where they are switched off.
RENORMALISATION = ("renorm", "renorm_clipping", "renorm_momentum")


@contextmanager
def keras_file_errors(path: Path):
    """One-line error of a ``.keras`` file that cannot be used; if another Keras saved it, what to install."""
    try:
        yield
    except Exception as error:  # a damaged file can raise any error
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise NeuroFaceError(
            f"{path} cannot be loaded as a Keras model ({first}){_other_keras(path)}. Delete it and train again."
        ) from None


def load_keras_file(path: Path) -> keras.Model:
    """Load a network without running code of the file.

    Other versions of Keras describe initial values of weights in other words: Keras 3.15 writes ``input_axes`` of
    ``GlorotUniform``, which 3.12 to 3.14 refuse. Stored weights replace initial values, so a file of another
    version is read without them if it cannot be read as it is.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception:
        if _saved_by(path) in (None, keras.__version__):
            raise
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / Path(path).name
        with zipfile.ZipFile(path) as file, zipfile.ZipFile(copy, "w") as target:
            for name in file.namelist():
                content = file.read(name)
                if name == "config.json":
                    content = json.dumps(_without_later_arguments(json.loads(content))).encode()
                target.writestr(name, content)
        return keras.saving.load_model(copy, compile=False, safe_mode=True)


def _without_later_arguments(config):
    """A network's description without how its weights began, and without later arguments that are switched off."""
    if isinstance(config, dict):
        dropped = {key for key in config if key.endswith("_initializer")}
        if config.get("renorm") is False:
            dropped.update(RENORMALISATION)
        if config.get("quantization_config", 0) is None:
            dropped.add("quantization_config")
        return {
            key: _without_later_arguments(value)
            for key, value in config.items()
            if key not in dropped
        }
    return (
        [_without_later_arguments(value) for value in config]
        if isinstance(config, list)
        else config
    )


def _saved_by(path: Path) -> str | None:
    """The version of Keras that saved a model file; None if it states none."""
    try:
        with zipfile.ZipFile(path) as file:
            return json.loads(file.read("metadata.json"))["keras_version"]
    except Exception:  # not a Keras file
        return None


def _other_keras(path: Path) -> str:
    """What to install if another version of Keras saved a model file."""
    saved_by = _saved_by(path)
    if saved_by in (None, keras.__version__):
        return ""
    return (
        f"; Keras {saved_by} saved it, this is Keras {keras.__version__}. Keep it with: "
        f"pip install keras=={saved_by}"
    )
