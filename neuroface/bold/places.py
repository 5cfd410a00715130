"""Places without a grid, parcels or vertices, on a grid of voxels in which no two of them are neighbours.

Place i of up to 16,384 is voxel (2i, 0, 0). More fill rows of 512: place i is voxel (2 · (i // 512), 2 · (i % 512), 0),
because an axis of a NIfTI file has at most 32,767 voxels. In C order the voxels have the order of the places. A voxel is a
metre wide, so that neither clusters nor smoothing join two places. The coordinates mean nothing.
"""

import numpy as np

GAP = 2  # a place at every second voxel
LONGEST = 32_767  # voxels of an axis in NIfTI-1
ROW = 512  # places in a row, where there are several rows
AFFINE = np.diag([1000.0, 1000.0, 1000.0, 1.0])


def grid_of(n_places: int) -> tuple[int, int, int]:
    """Shape of the grid of ``n_places``."""
    if GAP * n_places - 1 <= LONGEST:
        return GAP * n_places - 1, 1, 1
    return GAP * -(-n_places // ROW) - 1, GAP * ROW - 1, 1


def voxels_of(n_places: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxel of every place: three arrays (n_places,), to index an image."""
    places, (_, width, _) = np.arange(n_places), grid_of(n_places)
    rows, columns = (places, 0 * places) if width == 1 else np.divmod(places, ROW)
    return GAP * rows, GAP * columns, 0 * places


def on_grid(values: np.ndarray) -> np.ndarray:
    """Values (n_places, …) at their voxels: (x, y, z, …), 0 elsewhere."""
    grid = np.zeros((*grid_of(len(values)), *values.shape[1:]), dtype=values.dtype)
    grid[voxels_of(len(values))] = values
    return grid


def off_grid(image: np.ndarray, n_places: int) -> np.ndarray:
    """Values (n_places, …) of the places of an image (x, y, z, …); the reverse of :func:`on_grid`."""
    return image[voxels_of(n_places)]
