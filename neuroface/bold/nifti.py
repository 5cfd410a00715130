"""Write NIfTI files from the voxels of a mask; import the gzip library."""

import gzip
import zlib
from pathlib import Path
from types import ModuleType

from neuroface.pipeline import atomic

import nibabel as nib
import numpy as np

igzip: ModuleType
isal_zlib: ModuleType
try:
    from isal import igzip, isal_zlib
except ImportError:  # no wheel for this machine: the standard library, at half the speed or less
    igzip, isal_zlib = gzip, zlib

DAMAGED_GZIP: tuple[type[Exception], ...] = (
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
    isal_zlib.error,
)
# What reading the values of an image can raise.
UNREADABLE: tuple[type[Exception], ...] = (*DAMAGED_GZIP, OSError, ValueError)


def write_nifti(
    path: Path, data: np.ndarray, affine: np.ndarray, tr_s: float | None = None
) -> None:
    """Write ``data`` (x, y, z) or (x, y, z, n_trs) as compressed NIfTI; 4D with the time step in its header."""
    _pack(path, data, affine, tr_s, [np.asfortranarray(data).T])


def write_map(
    path: Path, matrix: np.ndarray, mask: np.ndarray, affine: np.ndarray, tr_s: float
) -> None:
    """Write ``matrix`` (n_voxels, n_trs) volume by volume: the same file as :func:`write_nifti` of :func:`unmask`."""
    volume, positions = np.zeros(mask.size, dtype=np.float32), _positions(mask)

    def volumes():
        for values in matrix.T:
            volume[positions] = values
            yield volume

    _pack(path, np.broadcast_to(volume[0], (*mask.shape, matrix.shape[1])), affine, tr_s, volumes())


def _pack(path: Path, data: np.ndarray, affine: np.ndarray, tr_s: float | None, parts) -> None:
    """Write the header for ``data``, then the bytes of ``parts``.

    Compression level 1: outside the mask these maps are 0, and higher levels hardly make them
    smaller.
    """
    header = nib.Nifti1Image(data, affine).header
    header.set_xyzt_units("mm", "sec")
    if data.ndim == 4:
        header.set_zooms((*header.get_zooms()[:3], tr_s))
    header["vox_offset"] = 352  # header, and four zeros: no extension
    header["scl_slope"], header["scl_inter"] = 1, 0
    packer = isal_zlib.compressobj(
        1, zlib.DEFLATED, 31
    )  # as gzip, without name or time: same data, same bytes
    with atomic(path) as partial, open(partial, "wb") as file:
        file.write(packer.compress(header.binaryblock + bytes(4)))
        for block in parts:
            file.write(packer.compress(memoryview(block).cast("B")))
        file.write(packer.flush())


def _positions(mask: np.ndarray) -> np.ndarray:
    """Positions of the mask's voxels (C order) in a volume in Fortran order, as in a NIfTI file."""
    return np.ravel_multi_index(np.nonzero(mask), mask.shape, order="F")


def unmask(matrix: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Put rows of ``matrix`` (n_voxels, n_trs) back at the mask's voxels in C order: (x, y, z, n_trs) float32.

    The result is in Fortran order, as in a NIfTI file.
    """
    volumes = np.zeros((matrix.shape[1], mask.size), dtype=np.float32)
    volumes[:, _positions(mask)] = matrix.T
    return volumes.reshape(matrix.shape[1], *mask.shape[::-1]).T
