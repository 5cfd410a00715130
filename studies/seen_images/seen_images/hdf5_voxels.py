"""Chosen voxels of all trials from an HDF5 file, read in the chunks in which the file stores them.

HDF5 reads a chunk as a whole, whatever is asked of it. The Natural Scenes Dataset stores one voxel
of all 750 trials of a session per chunk: reading some trials of all voxels there reads the whole
file again and again.
"""

import h5py
import numpy as np

BYTES_AT_ONCE = 32 * 2**20  # of a contiguous file, or of chunks that hold few trials


def read_voxels(stored: h5py.Dataset, places: np.ndarray) -> np.ndarray:
    """Values of some voxels in all trials; every chunk that holds one of them is read once.

    Parameters
    ----------
    stored : (n_trials, z, y, x), in chunks of any shape or without chunks.
    places : (n, 3) int, z, y, x of each voxel.

    Returns
    -------
    (n_trials, n), of the file's own type.
    """
    n_trials, *grid = stored.shape
    values = np.empty((len(places), n_trials), stored.dtype)
    trials_per_chunk, *chunk = stored.chunks or (1, *grid)
    order = np.lexsort((places // chunk).T[::-1])  # voxels of one chunk side by side
    places, of_chunk = places[order], (places // chunk)[order]
    starts = np.flatnonzero(np.diff(of_chunk, axis=0, prepend=-1).any(axis=1))
    lows = of_chunk[starts] * chunk
    highs = np.minimum(lows + chunk, grid)
    if stored.chunks is None:  # whole slices lie side by side in the file
        lows[0, 0], highs[0, 0] = places[:, 0].min(), places[:, 0].max() + 1
    sizes = (highs - lows).prod(axis=1) * stored.dtype.itemsize * trials_per_chunk
    steps = trials_per_chunk * np.maximum(1, BYTES_AT_ONCE // sizes)
    for start, end, low, high, step in zip(starts, [*starts[1:], len(places)], lows, highs, steps):
        box = tuple(map(slice, low, high))
        within = np.ravel_multi_index((places[start:end] - low).T, high - low)
        for trial in range(0, n_trials, step):
            block = stored[(slice(trial, trial + step), *box)]
            values[start:end, trial : trial + step] = block.reshape(len(block), -1)[:, within].T
    in_order = np.empty_like(order)
    in_order[order] = np.arange(len(order))
    return values[in_order].T
