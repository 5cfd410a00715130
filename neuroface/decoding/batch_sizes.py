"""How many samples each batch of a training has, for the networks of all studies and libraries."""

import numpy as np

# Batch normalisation and mixup see only the samples that go through a network together. With fewer
# than this a network hardly learns (docs/clusters-and-gpus.md has the measurement).
LEAST_WINDOWS_PER_PASS = 8


def batch_bounds(n_rows: int, batch_size: int) -> np.ndarray:
    """Where each batch begins, and at the end ``n_rows``: (n_batches + 1,) positions in an order of the rows.

    Rows are windows, volumes, chunks of a film or trials. Batches have ``batch_size`` rows, the
    last one what remains. Where fewer than LEAST_WINDOWS_PER_PASS remain, there is a batch less,
    and all batches have the same number of rows, or one more than the others. So no batch is
    smaller than ``batch_size`` or LEAST_WINDOWS_PER_PASS, unless there are fewer rows.
    """
    n_full, remain = divmod(n_rows, batch_size)
    if n_full and 0 < remain < min(LEAST_WINDOWS_PER_PASS, batch_size):
        return np.arange(n_full + 1) * n_rows // n_full
    return np.append(np.arange(0, n_rows, batch_size), n_rows)
