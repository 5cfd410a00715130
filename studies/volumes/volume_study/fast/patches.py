"""Propagate a change of a small patch of a feature map through one layer.

A patch is (n_boxes, n_cells, channels), its cells in C order; ``corner`` (n_boxes, 3) says where it
begins in the map and ``width`` (3,) how far it reaches. Outside its patch, a box changes nothing.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from neuroface.pipeline import keras

import numpy as np

ops = keras.ops
LARGEST_MATRIX = 5e7  # entries of a convolution of patches as a matrix


@dataclass(frozen=True)
class Pointwise:
    """A linear map of channels (channels, channels′)."""

    matrix: np.ndarray

    @cached_property
    def _tensor(self):
        return ops.convert_to_tensor(self.matrix.astype(np.float32))

    def __call__(self, patch):
        return ops.matmul(patch, self._tensor)


@dataclass(frozen=True)
class Mean:
    """The mean over all places of the map, of which only the patch's have changed: (n_boxes, channels)."""

    n_places: int

    def __call__(self, patch):
        return ops.sum(patch, axis=1) / self.n_places


@dataclass(frozen=True)
class Nonlinear:
    """An activation, place by place. source : its input in the network, whose values for the whole volume are stored."""

    layer: keras.Layer
    source: Any  # the Keras tensor that the layer gets

    def __call__(self, patch, corner: np.ndarray, width: np.ndarray, stored: np.ndarray):
        """Parameters as for patches; stored : (n_places, channels)."""
        shape = self.source.shape[2:5]
        cells = corner[:, None] + np.stack(list(np.ndindex(*width)))
        # Beyond the map a patch is 0, so that any value of the map will do.
        places = np.ravel_multi_index(tuple(cells.transpose(2, 0, 1)), shape, mode="clip")
        before = ops.take(ops.convert_to_tensor(stored), places, axis=0)
        return self.layer(before + patch) - self.layer(before)


@dataclass(frozen=True, eq=False)
class Spatial:
    """A convolution as a matrix from the cells of a patch to the places that it reaches.

    Parameters
    ----------
    kernel : (k, k, k, channels, channels′), or (k, k, k, channels) if each channel is convolved by
    itself.
    stride : step from place to place. margin : number of zeros before the first voxel. shape : (3,)
    number of places of the result.
    """

    kernel: np.ndarray
    stride: int
    margin: int
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, layer, margin: int) -> "Spatial | None":
        """From a layer (n, 1, x, y, z, channels) → …; None if it is of a form that is not understood."""
        shape, before = layer.output.shape[2:5], layer.input.shape[2:5]
        if hasattr(layer, "size"):  # depthwise
            return cls(np.asarray(layer.kernel), layer.stride, layer.size // 2 + margin, shape)
        size, stride = layer.kernel_size[0], layer.strides[0]
        if (
            len(set(layer.kernel_size)) > 1
            or len(set(layer.strides)) > 1
            or layer.dilation_rate != (1, 1, 1)
        ):
            return None
        if layer.padding == "same":
            margins = {
                max((after - 1) * stride + size - side, 0) // 2
                for side, after in zip(before, shape)
            }
            if len(margins) > 1:
                return None
            margin += margins.pop()
        return cls(np.asarray(layer.kernel), stride, margin, shape)

    def scaled(self, scale: np.ndarray) -> "Spatial":
        """Followed by a factor for each channel."""
        return Spatial(self.kernel * scale, self.stride, self.margin, self.shape)

    @property
    def size(self) -> int:
        return self.kernel.shape[0]

    def __call__(self, patch, corner: np.ndarray, width: np.ndarray):
        """The patch of the result, its corner and its width: it holds every place that the change reaches.

        A patch may reach beyond the map; there it is 0. So where a box lies matters only modulo the
        stride, and a few groups of boxes, of one matrix each, make up all of them.
        """
        reached = (width + self.size - 2) // self.stride + 1
        first = -((self.size - 1 - self.margin - corner) // self.stride)  # rounded up
        offset = corner + self.margin - self.stride * first
        kinds, kind = np.unique(offset, axis=0, return_inverse=True)
        order = np.argsort(kind.ravel(), kind="stable")
        ends, parts = np.cumsum(np.bincount(kind.ravel())), []
        patch = ops.take(patch, order, axis=0)
        for offset, start, end in zip(kinds, [0, *ends[:-1]], ends):
            parts.append(self._apply(patch[start:end], tuple(offset), tuple(width), tuple(reached)))
        result = ops.take(ops.concatenate(parts, axis=0), np.argsort(order), axis=0)
        places = first[:, None] + np.stack(list(np.ndindex(*reached)))
        inside = ((places >= 0) & (places < self.shape)).all(axis=2)
        return result * inside[..., None].astype(np.float32), first, reached

    def _apply(self, patch, offset: tuple, width: tuple, reached: tuple):
        matrix = self._matrix(offset, width, reached)
        if self.kernel.ndim == 4:
            return ops.einsum("bic,ioc->boc", patch, matrix)
        n, n_cells, channels = patch.shape
        result = ops.matmul(ops.reshape(patch, (n, n_cells * channels)), matrix)
        return ops.reshape(result, (n, int(np.prod(reached)), self.kernel.shape[4]))

    def _matrix(self, offset: tuple, width: tuple, reached: tuple):
        """For patches whose corner lies ``offset`` voxels after the first voxel that the first place of the result sees."""
        key = (offset, width, reached)
        if key not in self._matrices:
            axes = [
                [(cell, place, tap) for place in range(w_after) for tap in range(self.size)
                 if 0 <= (cell := self.stride * place + tap - start) < w]
                for start, w, w_after in zip(offset, width, reached)
            ]  # fmt: skip
            matrix = np.zeros((*width, *reached, *self.kernel.shape[3:]), dtype=np.float32)
            for x in axes[0]:
                for y in axes[1]:
                    for z in axes[2]:
                        cell, place, tap = zip(x, y, z)
                        matrix[cell + place] = self.kernel[tap]
            n_cells, n_places = int(np.prod(width)), int(np.prod(reached))
            matrix = matrix.reshape(n_cells, n_places, *self.kernel.shape[3:])
            if (
                self.kernel.ndim == 5
            ):  # (cells, places, channels, channels′) → (cells · channels, places · channels′)
                matrix = matrix.transpose(0, 2, 1, 3).reshape(n_cells * self.kernel.shape[3], -1)
            self._matrices[key] = ops.convert_to_tensor(matrix)
        return self._matrices[key]

    @cached_property
    def _matrices(self) -> dict:
        return {}
