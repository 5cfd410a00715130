"""Stream BOLD through a mask: one pass over the compressed file, never more than a few volumes in memory."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neuroface import NeuroFaceError
from neuroface.bold.nifti import DAMAGED_GZIP, UNREADABLE, igzip
from neuroface.bold.parcels import is_parcels, parcel_image, read_parcels
from neuroface.bold.places import off_grid
from neuroface.bold.smoothing import smoothed_volumes
from neuroface.bold.surfaces import describe_surface, is_surface, stream_surface, surface_image

import nibabel as nib
import numpy as np

CHUNK_BYTES = 4 * 2**20  # of the decompressed file: fits the processor's cache
SECONDS_PER = {8: 1.0, 16: 1e-3, 24: 1e-6}  # NIfTI's codes for s, ms, µs
PACKED = 1032  # largest compression factor of deflate
WHOLE = (
    0.02  # resampled and rescaled labels miss whole numbers by up to 0.016; probabilities by more
)
OTHER_PACKERS = {".bz2": "bunzip2", ".zst": "unzstd", ".xz": "unxz"}


def open_image(path: Path):
    """Open a NIfTI file without reading its data, and check that its header is possible for this file.

    A table of parcels (:mod:`neuroface.bold.parcels`) and a file on the cortical surface
    (:mod:`neuroface.bold.surfaces`) are read as images.

    Raises
    ------
    NeuroFaceError
        If it is not a NIfTI file, or if its header states more data than the file can hold, values
        that are not real numbers, or no valid position in space.
    """
    if is_parcels(path):
        return parcel_image(path)
    if is_surface(path):
        return surface_image(path)
    if unpack := OTHER_PACKERS.get(path.suffix):
        raise NeuroFaceError(
            f"{path} is packed as {path.suffix}; only .nii and .nii.gz can be read in a stream. Run: {unpack} {path.name} "
            f"&& gzip {path.stem}"
        )
    try:
        image: Any = nib.load(path)  # an image without a place in space lacks what follows
        header, affine = image.header, image.affine
        dtype, offset = header.get_data_dtype(), int(image.dataobj.offset)
        slope, inter = float(image.dataobj.slope), float(image.dataobj.inter)
    except Exception as error:  # nibabel has no common class for header errors
        raise NeuroFaceError(
            f"{path} cannot be read as NIfTI: {error}. Download or export it again."
        ) from None
    asks, size = offset + math.prod(image.shape) * dtype.itemsize, path.stat().st_size
    wrong = None
    if min(image.shape, default=0) < 1:
        wrong = f"states a shape of {image.shape}"
    elif asks > PACKED * size:
        wrong = f"asks for {asks:,} bytes, more than a file of {size:,} can hold"
    elif dtype.kind not in "iuf":
        wrong = f"states values of type {dtype}"
    elif offset < 0 or not np.isfinite([slope, inter]).all():
        wrong = f"states an offset of {offset}, a slope of {slope:g} and an intercept of {inter:g}"
    elif not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        wrong = f"states no valid position in space (affine {affine.tolist()})"
    if wrong:
        raise NeuroFaceError(f"{path}: its header {wrong}. Download or export it again.")
    return image


def open_header(path: Path):
    """Open a NIfTI series without reading its data; a 5D file with one axis of length 1 counts as 4D.

    Returns
    -------
    image, shape (x, y, z, n_trs).
    """
    image = open_image(path)
    shape = image.shape
    if len(shape) == 5 and shape[3] == 1:  # AFNI writes a series as (x, y, z, 1, n_trs)
        shape = (*shape[:3], shape[4])
    if len(shape) == 5 and shape[4] == 1:
        shape = shape[:4]
    if len(shape) != 4:
        raise NeuroFaceError(
            f"{path} has shape {image.shape}: a BOLD series is 4D (x, y, z, volumes). Put the series in its place."
        )
    return image, shape


def read_mask(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a mask of whole numbers as ``(mask (x, y, z) bool, affine (4, 4))``; values above 0 are inside."""
    image = open_image(path)
    if len(image.shape) != 3 and image.shape[3:] != (1,):
        raise NeuroFaceError(
            f"The mask {path} has shape {image.shape}: a mask is 3D (x, y, z). Name another file."
        )
    try:
        values = np.asarray(image.dataobj).reshape(image.shape[:3])
    except UNREADABLE as error:
        raise NeuroFaceError(
            f"The mask {path} cannot be read: {error}. Download or make it again."
        ) from None
    other = ~nearly_whole(values)
    if n := np.count_nonzero(other):
        raise NeuroFaceError(
            f"The mask {path} holds {n:,} values such as {values[other][0]:g}, which are not whole "
            f"numbers. Threshold it, name a mask in MASK_FILE, or leave this person out with EXCLUDE."
        )
    values = np.rint(values)
    if not (values > 0).any():
        raise NeuroFaceError(
            f"The mask {path} is empty. Make it again, name a mask in MASK_FILE, or leave this person out with EXCLUDE."
        )
    return values > 0, image.affine


def nearly_whole(values: np.ndarray) -> np.ndarray:
    """Where values are whole numbers but for the rounding of a scaled or resampled file; NaN and infinity are not.

    A mask that nibabel saved as float holds 0.99999994 or 1.0000000591.
    """
    with np.errstate(invalid="ignore"):
        return np.abs(values - np.rint(values)) <= WHOLE


def header_tr_s(image) -> float | None:
    """The TR that a header states, in seconds; None if it states none (0, below 0, or not finite)."""
    unit = int(image.header["xyzt_units"]) & 0x38  # nibabel fails on unknown codes
    step = float(image.header["pixdim"][4]) if len(image.shape) >= 4 else 0.0
    return step * SECONDS_PER.get(unit, 1.0) if 0 < step < np.inf else None


def check_grid(path: Path, shape, affine: np.ndarray, mask_shape, mask_affine: np.ndarray) -> None:
    """Raise, with both values, if a series and the mask do not share one grid."""
    if tuple(shape[:3]) != tuple(mask_shape):
        raise NeuroFaceError(
            f"{path} has a grid of {tuple(shape[:3])} voxels, the mask {tuple(mask_shape)}. "
            f"Resample one to the other, or leave this person out with EXCLUDE."
        )
    if not np.allclose(affine, mask_affine, atol=1e-3):
        raise NeuroFaceError(
            f"{path} and the mask have different positions in space: affine {affine.tolist()} against "
            f"{mask_affine.tolist()}. "
            f"Resample one to the other, or leave this person out with EXCLUDE."
        )


def stream_masked(
    path: Path,
    mask: np.ndarray,
    affine: np.ndarray,
    n: int | None = None,
    smoothing_mm: float | None = None,
) -> Iterator[np.ndarray]:
    """Yield the volumes of a BOLD series in order, several at a time, with only the voxels of the mask.

    The file is decompressed once, from start to end. Values equal those of nilearn's
    ``apply_mask``.

    Parameters
    ----------
    path : ``.nii`` or ``.nii.gz``, 4D, a table of parcels, or a series on the cortical surface.
    mask : (x, y, z) bool.
    affine : (4, 4), the mask's.
    n : volumes at a time; None: as ``CHUNK_BYTES`` allows.
    smoothing_mm : FWHM of a Gaussian by which volumes are smoothed before the mask; None: not at
    all.

    Yields
    ------
    volumes : (n, n_voxels) float32, the last part may be shorter; voxels in C order of the mask.

    Raises
    ------
    NeuroFaceError
        If the grid differs from the mask's, the file ends early or is corrupt, or a voxel of the
        mask is not finite.
    """
    image, shape = open_header(path)
    check_grid(path, shape, image.affine, mask.shape, affine)
    if has_places(path):
        if smoothing_mm:
            kind = "parcels of a table" if is_parcels(path) else "maps on the cortical surface"
            raise NeuroFaceError(f"{path}: {kind} cannot be smoothed. Set SMOOTHING_MM = None.")
        yield from _stream_places(path, mask, n)
        return
    proxy = image.dataobj
    slope, inter = float(proxy.slope), float(proxy.inter)
    n_trs, per_volume = shape[3], int(np.prod(shape[:3], dtype=np.int64))
    # Positions of the mask's voxels (C order) in a volume, which is in Fortran order in the file.
    positions = np.ravel_multi_index(np.nonzero(mask), mask.shape, order="F")
    finite = np.ones(len(positions), dtype=bool)
    chunk = n or max(1, min(n_trs, CHUNK_BYTES // (per_volume * proxy.dtype.itemsize)))
    buffer = np.empty((chunk, per_volume), dtype=proxy.dtype)
    opener = igzip.open if is_gzip(path) else open
    try:
        with opener(path, "rb") as file:
            file.seek(proxy.offset)
            for start in range(0, n_trs, chunk):
                volumes = buffer[: min(chunk, n_trs - start)]
                _read_exactly(file, volumes, path, start, n_trs)
                values = volumes[:, positions]
                if slope != 1 or inter != 0:
                    values = values * np.float64(slope) + np.float64(inter)
                values = values.astype(np.float32, copy=False)
                finite &= np.isfinite(values).all(axis=0)
                if smoothing_mm:
                    whole = volumes.reshape(-1, *shape[2::-1]) * np.float64(slope) + np.float64(
                        inter
                    )
                    values = smoothed_volumes(whole, affine, smoothing_mm).reshape(
                        len(volumes), -1
                    )[:, positions]
                yield values
    except DAMAGED_GZIP as error:
        raise NeuroFaceError(f"{path} is damaged ({error}). Download it again.") from None
    check_finite(path, finite)


def has_places(path: Path) -> bool:
    """Whether a series has no grid of its own: parcels of a table, or vertices."""
    return is_parcels(path) or is_surface(path)


def count_places(path: Path) -> int:
    """Number of parcels or vertices of a series that has no grid of its own."""
    if is_surface(path):
        return len(describe_surface(path).brain_models)
    return len(read_parcels(path)[0])


def _stream_places(path: Path, mask: np.ndarray, n: int | None) -> Iterator[np.ndarray]:
    """:func:`stream_masked` of a table of parcels or a file on the cortical surface; gaps of the grid are left out."""
    used = off_grid(mask, count_places(path))
    if is_surface(path):
        volumes = stream_surface(path, used, n)
    else:
        series = read_parcels(path)[1][:, used]
        n = n or len(series)
        volumes = iter(np.split(series, range(n, len(series), n)))
    finite = np.ones(int(used.sum()), dtype=bool)
    for values in volumes:
        finite &= np.isfinite(values).all(axis=0)
        yield values
    check_finite(path, finite)


def check_finite(path: Path, finite: np.ndarray) -> None:
    """Raise unless all voxels (n_voxels,) of a mask are ``finite``."""
    if not finite.all():
        raise NeuroFaceError(
            f"{path}: {(~finite).sum()} of {len(finite)} voxels of the mask hold NaN or infinite values. "
            f"Repair the file, or leave this person out with EXCLUDE."
        )


def read_masked(path: Path, mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Voxel-by-time matrix (n_voxels, n_trs) float32 of a whole series; see :func:`stream_masked`."""
    n_trs, start = open_header(path)[1][3], 0
    matrix = np.empty((int(mask.sum()), n_trs), dtype=np.float32)
    for volumes in stream_masked(path, mask, affine):
        matrix[:, start : start + len(volumes)] = volumes.T
        start += len(volumes)
    return matrix


def mean_of_maps(
    files: list[Path], mask: np.ndarray, affine: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean over 4D maps, and mean of their absolute values: (n_voxels, n_trs) float32 each, in the mask only.

    Summed in float64, so that the order of files does not matter; one file in memory at a time.
    """
    total, absolute = np.zeros(()), np.zeros(())  # the first map gives them its shape
    for file in files:
        matrix = read_masked(file, mask, affine).astype(np.float64)
        total = total + matrix
        absolute = absolute + np.abs(matrix)
    return (total / len(files)).astype(np.float32), (absolute / len(files)).astype(np.float32)


def is_gzip(path: Path) -> bool:
    """Whether a file is compressed, by its first bytes, not by its name."""
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _read_exactly(file, volumes: np.ndarray, path: Path, start: int, n_trs: int) -> None:
    target, got = memoryview(volumes).cast("B"), 0
    while got < len(target):
        n = file.readinto(target[got:])
        if not n:
            whole = start + got // volumes[0].nbytes
            raise NeuroFaceError(
                f"{path} ends early, after volume {whole} of the {n_trs} that its header states. Download it again."
            )
        got += n
