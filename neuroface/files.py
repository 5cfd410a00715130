"""The data directory: where each script reads and writes, and how a file becomes complete all at once."""

import gzip
import json
import os
import zlib
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from neuroface import NeuroFaceError
from neuroface.architectures import DEFAULT

try:
    from isal import igzip, isal_zlib
except ImportError:  # no wheel for this machine: the standard library, at half the speed or less
    igzip, isal_zlib = gzip, zlib

DAMAGED_GZIP = (EOFError, gzip.BadGzipFile, zlib.error, isal_zlib.error)
# Before 3.1 pandas rounds floats without this argument; since then it warns of it.
EXACT_FLOATS = {"float_precision": "round_trip"} if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1) else {}
# number → (folder under data/<RUN_NAME>/, script that fills it)
STAGES = {
    1: ("1-windows", "1-preprocess_naturalistic_fmri.py"),
    2: ("2-dataset", "2-load-data.py"),
    3: ("3-model", "3-train_voxel_time_cnn.py"),
    4: ("4-attributions", "4-integrated_gradients.py"),
    5: ("5-brain-maps", "5-revert-IG-tobrain.py"),
    6: ("6-averages", "6-average_IG_per_subject.py"),
    7: ("7-figures", "7-visualize_IG_surface_maps.py"),
    8: ("8-predictions", "8-moment_by_moment_face_prediction.py"),
}
LABELS = ("face", "noface")
SAMPLE_COLUMNS = ["subject", "movie", "run", "label", "onset_s", "first_tr", "event"]
PARTIAL = "partial-"
# Columns whose text becomes part of a file's name, and what it may look like: no separator, so no way out of the folder.
NAME = r"[A-Za-z0-9][A-Za-z0-9.+-]*"
NAMES = {"subject": NAME, "movie": NAME, "run": NAME, "label": "|".join(LABELS)}


def windows_file(folder: Path, subject: str, run_name: str) -> Path:
    """``1-windows/<sub>/<sub>_task-<movie>[_run-<run>]_windows.npy``."""
    return folder / subject / f"{run_name}_windows.npy"


def attribution_file(folder: Path, subject: str, movie: str, label: str, method: str) -> Path:
    """``4-attributions/<sub>/<sub>_task-<movie>_label-<label>_<method>.npy``; Integrated Gradients are "ig"."""
    return folder / subject / f"{subject}_task-{movie}_label-{label}_{method}.npy"


def completeness_file(attributions: Path) -> Path:
    """The table beside an attribution file: a row per window, in the order of its first axis."""
    return attributions.with_name(f"{attributions.stem}_completeness.tsv")


def brain_map_file(folder: Path, attributions: Path, window: int) -> Path:
    """``5-brain-maps/<sub>/<sub>_task-<movie>_label-<label>_window-<i>_<method>.nii.gz`` of one row of such a file."""
    stem, method = attributions.stem.rsplit("_", 1)
    return folder / attributions.parent.name / f"{stem}_window-{window}_{method}.nii.gz"


def average_file(folder: Path, who: str, label: str, method: str, kind: str = "") -> Path:
    """``6-averages/<sub or "group">_label-<label>_<method>.nii.gz``; ``kind`` "_absolute": of absolute values."""
    return folder / f"{who}_label-{label}_{method}{kind}.nii.gz"


def contrast_file(folder: Path, contrast: str, method: str, what: str) -> Path:
    """``6-averages/group_contrast-<contrast>_<method>_<what>``, e.g. ``group_contrast-face_ig_t.nii.gz``."""
    return folder / f"group_contrast-{contrast}_{method}_{what}"


def reference_file(folder: Path, who: str, which: str) -> Path:
    """``6-averages/<sub or "group">_reference-<haufe or glm>.nii.gz``."""
    return folder / f"{who}_reference-{which}.nii.gz"


def model_folder(folder: Path, split: str, model: str = DEFAULT) -> Path:
    """``3-model/<split>/``, and in it a folder for each architecture but the paper's."""
    return folder / split / ("" if model == DEFAULT else model)


def model_file(folder: Path, split: str, fold: int, model: str = DEFAULT) -> Path:
    """``3-model/<split>/[<model>/]fold-<k>.keras``; folds count from 1."""
    if not str(fold).isdecimal():  # it may come from a file
        raise NeuroFaceError(f"{fold!r} is no fold of {folder / split}. Delete {folder} and run script 3 again.")
    return model_folder(folder, split, model) / f"fold-{fold}.keras"


@contextmanager
def atomic(path: str | Path):
    """Yield a temporary name beside ``path``; rename it to ``path`` if the block succeeds.

    So "exists" means "complete". The temporary name is fixed: what a killed script left is overwritten by its rerun.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(PARTIAL + path.name)
    try:
        yield partial
        os.replace(partial, path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # "No space left on device" does not say where
        raise


def write_json(path: Path, content: dict) -> None:
    with atomic(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")


def read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise NeuroFaceError(f"{path} is not JSON ({error}). Delete it and rerun the script that wrote it.") from None


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Tab-separated, ``n/a`` where a value is missing (BIDS)."""
    with atomic(path) as partial:
        table.to_csv(partial, sep="\t", index=False, na_rep="n/a", lineterminator="\n")


def read_table(path: Path) -> pd.DataFrame:
    """A table of :func:`write_table`, its numbers bit for bit; names and runs stay text.

    Raises
    ------
    NeuroFaceError
        If it is no table, or a name in it could not be part of a file's name.
    """
    text = dict.fromkeys(("subject", "movie", "run", "label", "event"), str)
    try:
        table = pd.read_csv(path, sep="\t", dtype=text, na_values=["n/a"], keep_default_na=False, **EXACT_FLOATS)
    except ValueError as error:  # pandas' own errors and UnicodeDecodeError are ValueErrors
        raise NeuroFaceError(
            f"{path} is not a table ({error}). Delete it and rerun the script that wrote it."
        ) from None
    for column, pattern in NAMES.items():
        if column in table and not (plain := table[column].str.fullmatch(pattern).fillna(False)).all():
            bad = table[column][~plain].iloc[0]
            raise NeuroFaceError(
                f"{path}: {column} {bad!r} cannot be part of a file's name. Delete it and rerun the script that wrote it."
            )
    return table


def write_npy(path: Path, array: np.ndarray) -> None:
    array = np.ascontiguousarray(array)
    with atomic(path) as partial, open(partial, "wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)  # unlike np.save's, its errors say what is wrong with the disk


def create_npy(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """A new float32 ``.npy`` file as a memory map, its place on the disk reserved.

    A map onto a file that is longer than what the disk has given it so far kills the process when the disk is full.
    """
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    if hasattr(os, "posix_fallocate"):  # not on macOS
        try:
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
    return array


def open_npy(path: Path) -> np.ndarray:
    """A read-only memory map of an ``.npy`` file; pickled objects are refused."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise NeuroFaceError(f"{path} is not a whole .npy array ({error}). Delete it and rerun.") from None


def write_nifti(path: Path, data: np.ndarray, affine: np.ndarray, tr_s: float | None = None) -> None:
    """``data`` (x, y, z) or (x, y, z, n_trs) as compressed NIfTI; 4D with the time step in its header."""
    _pack(path, data, affine, tr_s, [np.asfortranarray(data).T])


def write_map(path: Path, matrix: np.ndarray, mask: np.ndarray, affine: np.ndarray, tr_s: float) -> None:
    """``matrix`` (n_voxels, n_trs) at the mask's voxels as :func:`write_nifti` of :func:`unmask`, a volume at a time."""
    volume, positions = np.zeros(mask.size, dtype=np.float32), _positions(mask)

    def volumes():
        for values in matrix.T:
            volume[positions] = values
            yield volume

    _pack(path, np.broadcast_to(volume[0], (*mask.shape, matrix.shape[1])), affine, tr_s, volumes())


def _pack(path: Path, data: np.ndarray, affine: np.ndarray, tr_s: float | None, parts) -> None:
    """Header for ``data``, and its bytes as they come in ``parts``.

    Compression level 1: these maps are mostly zeros outside the mask and hardly shrink further.
    """
    header = nib.Nifti1Image(data, affine).header
    header.set_xyzt_units("mm", "sec")
    if data.ndim == 4:
        header.set_zooms((*header.get_zooms()[:3], tr_s))
    header["vox_offset"] = 352  # header, and four zeros: no extension
    header["scl_slope"], header["scl_inter"] = 1, 0
    packer = isal_zlib.compressobj(1, zlib.DEFLATED, 31)  # as gzip, without name or time: same data, same bytes
    with atomic(path) as partial, open(partial, "wb") as file:
        file.write(packer.compress(header.binaryblock + bytes(4)))
        for part in parts:
            file.write(packer.compress(memoryview(part).cast("B")))
        file.write(packer.flush())


def _positions(mask: np.ndarray) -> np.ndarray:
    """The mask's voxels, in C order, as places in a volume that lies in Fortran order, as in a NIfTI file."""
    return np.ravel_multi_index(np.nonzero(mask), mask.shape, order="F")


def unmask(matrix: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Put rows of ``matrix`` (n_voxels, n_trs) back at the mask's voxels in C order: (x, y, z, n_trs) float32.

    The result lies in Fortran order, as in a NIfTI file.
    """
    volumes = np.zeros((matrix.shape[1], mask.size), dtype=np.float32)
    volumes[:, _positions(mask)] = matrix.T
    return volumes.reshape(matrix.shape[1], *mask.shape[::-1]).T
