"""Inputs and content of a folder of results: settings, versions, input files, and a digest of every file."""

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from neuroface import NeuroFaceError, __version__
from neuroface.pipeline.files import PARTIAL, read_json

import psutil

STAMP, MANIFEST = "settings.json", "manifest.json"
NOT_RESULTS = (STAMP, MANIFEST, "report.json", ".lock")
LIVE = "live"  # predictions of a run that is being scanned: not a result of the study
PACKAGES = ("keras", "numpy", "scipy", "scikit-learn", "nibabel", "nilearn", "pandas", "matplotlib")
ROOT = Path(__file__).parents[2]


# ---------------------------------------------------------------- settings, versions


def stamped(cfg, name: str, model):
    """A setting as stored in the stamp; a file as its path relative to the repository, and digests of what is read with it.

    Parameters
    ----------
    model : the study's :class:`neuroface.pipeline.settings.SettingsModel`.
    """
    value = getattr(cfg, name, None)
    if name in model.FILES and value:
        value = (
            _file_stamp(value, model)
            if isinstance(value, str)
            else [_file_stamp(file, model) for file in value]
        )
    return json.loads(
        json.dumps(value)
    )  # as read back from JSON, so that it equals the value in a stamp


def _file_stamp(path: str, model) -> str:
    digests = [
        sha256(file)[:8] if file.is_file() else "missing" for file in model.files_with(Path(path))
    ]
    return f"{os.path.relpath(path, ROOT)} ({', '.join(digests)})"


def read_stamp(folder: Path) -> dict:
    """``settings.json`` of a stage's folder."""
    stamp = read_json(folder / STAMP)
    if not (
        isinstance(stamp, dict)
        and all(isinstance(stamp.get(key), dict) for key in ("settings", "inputs"))
    ):
        raise NeuroFaceError(
            f"{folder / STAMP} was not written by a script. Delete {folder} and run its script again."
        )
    return stamp


@cache
def versions(packages: tuple[str, ...] = ()) -> dict[str, str]:
    """Versions of this project, Python, the packages that results depend on, and the installed backends.

    Parameters
    ----------
    packages : further ones, of a study.
    """
    here = {"neuroface": __version__, "python": platform.python_version()}
    for name in ("tensorflow", "jax"):
        try:
            here[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if name in sys.modules:  # installed under another name, such as tensorflow-cpu
                here[name] = sys.modules[name].__version__
    return here | {name: importlib.metadata.version(name) for name in (*PACKAGES, *packages)}


def lock_differences(stated: dict[str, str], locks: Path = ROOT / "locks") -> str | None:
    """Versions that differ from the tested ones of their Python, in one line; None if none differs.

    Parameters
    ----------
    stated : name → version, as of :func:`versions`; ``python`` chooses the file in ``locks``.
    """
    file = locks / f"python-{'.'.join(stated.get('python', '').split('.')[:2])}.txt"
    if not file.is_file():
        return None
    lines = [line for line in file.read_text().splitlines() if "==" in line]
    locked = dict(line.split("==") for line in lines)
    different = [
        f"{name} {version} (tested: {locked[name]})"
        for name, version in stated.items()
        if name in locked and version.partition("+")[0] != locked[name]
    ]
    return (
        f"versions other than in locks/{file.name}: {', '.join(different)}" if different else None
    )


def backend() -> str | None:
    """The backend of Keras, "tensorflow" or "jax"; None in a script that does not use Keras."""
    module = sys.modules.get("neuroface.pipeline.backend")
    return module.keras.backend.backend() if module else None


@cache
def git_commit() -> str | None:
    if stated := os.environ.get("NEUROFACE_COMMIT"):  # in a container, which holds no history
        return stated
    try:
        out = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
        )
    except OSError:
        return None  # no git on this machine
    return out.stdout.strip() or None


def machine() -> str:
    """Processor, cores, memory and system of this machine; if the script used a backend, whether that found a GPU."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    words = [
        model.group(1) if model else platform.processor() or platform.machine(),
        f"{os.cpu_count()} cores",
    ]
    words += [f"{psutil.virtual_memory().total / 1e9:.0f} GB", platform.system()]
    backend = sys.modules.get("neuroface.pipeline.backend")
    return ", ".join(words + (["GPU" if backend.HAS_GPU else "no GPU"] if backend else []))


# ---------------------------------------------------------------- files


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, read 16 MB at a time."""
    content = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(2**24):
            content.update(chunk)
    return content.hexdigest()


def unpacked_identity(path: Path) -> str:
    """CRC-32 and length of what a ``.gz`` file of one member holds, from its last 8 bytes (RFC 1952).

    Compressors, and versions of one, pack the same data into different bytes.
    """
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - 8))
        return file.read().hex()


def fingerprint(path: Path, end_bytes: int = 2**16) -> str:
    """Size and digest of a file's two ends.

    The last bytes of a ``.gz`` file are the checksum of its whole content. So two small reads
    detect any change.
    """
    size, digest = path.stat().st_size, hashlib.sha256()
    with open(path, "rb") as stream:
        digest.update(stream.read(end_bytes))
        stream.seek(max(0, size - end_bytes))
        digest.update(stream.read())
    return f"{size} {digest.hexdigest()[:16]}"


def results_in(folder: Path) -> dict[str, Path]:
    """Name relative to the folder → path of every result, without stamps, live tables and leftovers of a killed run."""
    return {
        str(path.relative_to(folder)): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith((PARTIAL, ".")) and path.name not in NOT_RESULTS
        and LIVE not in path.relative_to(folder).parts[:-1]
    }  # fmt: skip


def describe_outputs(folder: Path, known: dict[str, dict]) -> dict[str, dict]:
    """For each result of a folder: ``bytes``, ``modified_ns`` and ``sha256``; of a ``.gz`` file ``unpacked`` as well.

    Parameters
    ----------
    known : result of an earlier call; a file with the same size and time is not read again.
    """
    outputs = {}
    for name, path in results_in(folder).items():
        here, old = _size_and_time(path), known.get(name, {})
        unchanged = {key: old.get(key) for key in here} == here
        outputs[name] = here | {"sha256": old["sha256"] if unchanged else sha256(path)}
        if path.suffix == ".gz":
            outputs[name]["unpacked"] = unpacked_identity(path)
    return outputs


def describe_inputs(
    files: Iterable[Path], dataset: Path, known: dict[str, dict]
) -> dict[str, dict]:
    """For each input file, relative to the data set's folder: ``bytes``, ``modified_ns``, ``fingerprint``, ``sha256``.

    ``sha256`` is None until :mod:`neuroface.pipeline.manifest` reads the whole data set on demand.
    """
    inputs = {}
    for path in dict.fromkeys(files):
        name, here = (
            os.path.relpath(path, dataset),
            _size_and_time(path) | {"fingerprint": fingerprint(path)},
        )
        old = known.get(name, {})
        same = old.get("fingerprint") == here["fingerprint"]
        inputs[name] = here | {"sha256": old.get("sha256") if same else None}
    return inputs


def digest(outputs: dict[str, dict], side_results: Iterable[str] = ()) -> str:
    """One SHA-256 over names and contents of a folder's results, without figures and pages; of ``.gz`` files what they
    hold counts, however it was packed.

    Parameters
    ----------
    side_results : beginnings of the names of results that no later script reads; they are left out
    too.
    """
    total = hashlib.sha256()
    for name in sorted(outputs):
        if not name.endswith((".png", ".gif", ".pdf", ".html")) and not name.startswith(
            tuple(side_results)
        ):
            output = outputs[name]
            total.update(f"{name} {output.get('unpacked', output['sha256'])}\n".encode())
    return total.hexdigest()


def read_manifest(folder: Path, script: str) -> dict:
    """``manifest.json`` of a finished folder: ``outputs``, ``inputs``, ``dataset``."""
    file = folder / MANIFEST
    if not file.is_file():
        raise NeuroFaceError(f"{file} is gone. Run: python {script} (it keeps finished work)")
    manifest = read_json(file)
    if not (isinstance(manifest, dict) and isinstance(manifest.get("outputs"), dict)):
        raise NeuroFaceError(
            f"{file} was not written by {script}. Delete it and run {script} again."
        )
    return manifest


def differences(
    folder: Path,
    outputs: dict[str, dict],
    script: str,
    *,
    content: bool = False,
    unless_as_old_as: dict | None = None,
) -> list[str]:
    """Differences from what ``script`` wrote: results that are gone, new, of another size or content; one line each.

    Parameters
    ----------
    content : read every file and compare its SHA-256; False: names and sizes only.
    unless_as_old_as : a file that still has the size and time in this dictionary is not read.
    """
    there, wrong = results_in(folder), []
    for name in sorted(outputs.keys() | there.keys()):
        path = folder / name
        if name not in there:
            wrong.append(f"{path} is gone. Run again: python {script}")
        elif name not in outputs:
            wrong.append(f"{path} was not written by {script}. Move it elsewhere")
        elif (size := path.stat().st_size) != outputs[name]["bytes"]:
            wrong.append(
                f"{path} has {size:,} bytes, {outputs[name]['bytes']:,} were written. Delete it, then: python {script}"
            )
        elif unless_as_old_as and _size_and_time(path).items() <= unless_as_old_as[name].items():
            continue
        elif content and sha256(path) != outputs[name]["sha256"]:
            wrong.append(
                f"{path} has changed since it was written. Delete it, then: python {script}"
            )
    return wrong


def _size_and_time(path: Path) -> dict[str, int]:
    stat = path.stat()
    return {"bytes": stat.st_size, "modified_ns": stat.st_mtime_ns}
