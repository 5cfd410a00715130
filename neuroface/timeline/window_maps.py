"""Attribution maps as ``viewer.html`` shows them: pictures of the surface, and values that the page cuts into slices."""

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

N_LEVELS = 31  # of a colour scale, on each side of 0; values beyond the scale count as its end


@dataclass(frozen=True)
class Brain:
    """What slices are cut from, beside a map.

    Attributes
    ----------
    mask, affine : (x, y, z) bool of the voxels of a map, and its (4, 4) to mm.
    anatomy, anatomy_affine : (x, y, z) uint8, the grey behind a map, and its (4, 4).
    colours : (2 * N_LEVELS + 1, 4) uint8, red, green, blue and opacity of each level, the most
        negative first. box_mm : (2, 3), lowest and highest mm that slices show.
    """

    mask: np.ndarray
    affine: np.ndarray
    anatomy: np.ndarray
    anatomy_affine: np.ndarray
    colours: np.ndarray
    box_mm: np.ndarray

    def as_json(self) -> dict:
        """Arrays in C order, compressed; affines from mm to voxels."""
        return {
            "mask": _volume(self.mask, self.affine),
            "anatomy": _volume(self.anatomy, self.anatomy_affine),
            "colours": self.colours.tolist(),
            "low": self.box_mm[0].tolist(),
            "high": self.box_mm[1].tolist(),
        }


@dataclass(frozen=True)
class WindowMaps:
    """Mean attributions of a person, or of the group, at each volume of the windows of one label.

    Attributes
    ----------
    pictures : of the surface (WebP), one per volume.
    values : (n_voxels, n_trs), in C order of the brain's mask; None: no slices. limit : value at
        the end of the colour scale.
    """

    pictures: Sequence[bytes]
    values: np.ndarray | None = None
    limit: float = 1.0

    def as_json(self) -> dict:
        """Pictures, compressed levels (n_trs, n_voxels) int8, and the voxel farthest from 0 of each volume."""
        shown: dict = {"pictures": [as_base64(picture) for picture in self.pictures]}
        if self.values is not None:
            levels = np.clip(np.rint(self.values / self.limit * N_LEVELS), -N_LEVELS, N_LEVELS)
            strongest = np.abs(self.values).argmax(axis=0)
            shown |= {
                "levels": packed(levels.T.astype(np.int8)),
                "limit": float(f"{self.limit:.4g}"),
                "strongest": [
                    [int(voxel), float(f"{self.values[voxel, tr]:.4g}")]
                    for tr, voxel in enumerate(strongest)
                ],
            }
        return shown


@dataclass(frozen=True)
class ViewerMaps:
    """All maps of a page.

    Attributes
    ----------
    of : "group" or a person → label → maps. n_trs : volumes of a window. brain : for slices; None: there are none.
    unit : of the values. left_out : people whose maps would make the page too large.
    """

    of: dict[str, dict[str, WindowMaps]] = field(default_factory=dict)
    n_trs: int = 0
    brain: Brain | None = None
    unit: str = ""
    left_out: tuple[str, ...] = ()

    def as_json(self) -> dict:
        return {
            "of": {
                who: {label: maps.as_json() for label, maps in labels.items()}
                for who, labels in self.of.items()
            },
            "volumes": self.n_trs,
            "brain": self.brain.as_json() if self.brain else None,
            "levels": N_LEVELS,
            "unit": self.unit,
            "leftOut": list(self.left_out),
        }


def packed(array: np.ndarray) -> str:
    """An array's bytes, compressed by zlib, in base64; browsers inflate it as "deflate"."""
    return as_base64(zlib.compress(np.ascontiguousarray(array).tobytes(), 9))


def as_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _volume(array: np.ndarray, affine: np.ndarray) -> dict:
    return {
        "shape": list(array.shape),
        "values": packed(array.astype(np.uint8)),
        "toVoxels": np.linalg.inv(affine)[:3].tolist(),
        "toMm": affine[:3].tolist(),
    }
