"""A network that gets the chunks of several delays, as ridge regression with delays does.

It predicts a stretch of consecutive volumes at once, so each chunk passes the convolutions once and
serves all delays: :data:`STRETCH` volumes at 5 delays need :data:`STRETCH` + 4 chunks, not 5 times as
many.
"""

from film_encoding.film_data import FilmData
from film_encoding.networks import build_chunk_features, initial_weights
from neuroface.decoding import batch_bounds
from neuroface.pipeline import keras

import numpy as np
import pandas as pd

STRETCH = 4  # volumes that are predicted at once


def chunks_of_stretch(n_delays: int) -> int:
    """Chunks that :data:`STRETCH` volumes need."""
    return STRETCH + n_delays - 1


def stretches_of_batch(batch_size: int) -> int:
    """Stretches of a gradient step with ``batch_size`` volumes; batch normalisation needs two."""
    return max(2, batch_size // STRETCH)


def build_lagged_encoder(
    n_voxels: int,
    n_delays: int,
    frames: int,
    pixels: int,
    filters: tuple[int, int, int, int],
    dropout: float,
) -> keras.Model:
    """A stretch of chunks → its volumes: (n, STRETCH + n_delays - 1, frames, pixels, pixels, 3) uint8 → (n, STRETCH,
    n_voxels).

    The features of each chunk are those of the published encoder; a convolution over time takes the
    place of its last layer, with a weight for each feature, delay and voxel.
    """
    n_chunks = chunks_of_stretch(n_delays)
    features = build_chunk_features(frames, pixels, filters)
    stretch = keras.Input((n_chunks, frames, pixels, pixels, 3), dtype="uint8", name="stretch")
    x = features(keras.ops.reshape(stretch, (-1, frames, pixels, pixels, 3)))
    x = keras.ops.reshape(x, (-1, n_chunks, features.output_shape[-1]))
    x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Conv1D(
        n_voxels, n_delays, kernel_initializer=initial_weights(), name="voxels", dtype="float32"
    )(x)
    return keras.Model(stretch, x, name="lagged_encoder")


class Stretches:
    """Rows of a table of chunks, each in one stretch of consecutive chunks of its film.

    Attributes
    ----------
    film, first : (n_stretches,) film and number of the first chunk. place : (n_stretches, STRETCH),
    row of the table that each volume is, -1 where the table has no such row.
    """

    def __init__(self, table: pd.DataFrame):
        films, firsts, places = [], [], []
        for film, rows in table.groupby("film", sort=False).indices.items():
            chunks = table["chunk"].to_numpy()[rows]
            order = np.argsort(chunks)
            row_of = dict(zip(chunks[order].tolist(), rows[order].tolist()))
            end = -1
            for chunk in row_of:
                if chunk < end:
                    continue
                end = chunk + STRETCH
                films.append(film)
                firsts.append(chunk)
                places.append([row_of.get(number, -1) for number in range(chunk, end)])
        self.film, self.first, self.place = np.array(films), np.array(firsts), np.array(places)

    def __len__(self) -> int:
        return len(self.film)


def frames_of(data: FilmData, stretches: Stretches, numbers: np.ndarray) -> np.ndarray:
    """Chunks of stretches, (n, STRETCH + n_delays - 1, frames, pixels, pixels, 3) uint8; black before and after a film.

    A delay of +1 is the chunk before the volume's own, as in :func:`film_encoding.ridge.delayed`.
    """
    lags, out = data.variant.lags, []
    reach = np.arange(-max(lags), STRETCH - min(lags))
    for number in numbers:
        film = stretches.film[number]
        seen = stretches.first[number] + reach
        there = (seen >= 0) & (seen < len(data.chunks[film]))
        shape = (len(seen), data.variant.frames_per_tr, data.pixels, data.pixels, 3)
        chunks = np.zeros(shape, dtype=np.uint8)
        chunks[there] = data.chunks[film][seen[there], :: data.step]
        out.append(chunks)
    return np.stack(out)


class LaggedBatches(keras.utils.PyDataset):
    """Batches of stretches for ``fit``; volumes that the table does not name have the weight 0.

    Parameters
    ----------
    table : chunks with the columns film and chunk. batch_size : in volumes. seed : seed of the order,
        drawn anew each epoch; None: as in the table.
    """

    def __init__(
        self, data: FilmData, table: pd.DataFrame, batch_size: int, seed: int | None = None
    ):
        super().__init__(workers=1)
        self.data, self.stretches = data, Stretches(table.reset_index(drop=True))
        self.bold = data.bold(table.reset_index(drop=True))
        self._rng = None if seed is None else np.random.default_rng(seed)
        self.order = np.arange(len(self.stretches))
        self._bounds = batch_bounds(len(self.stretches), stretches_of_batch(batch_size))
        self.on_epoch_end()

    def __len__(self):
        return len(self._bounds) - 1

    def __getitem__(self, number):
        here = self.order[self._bounds[number] : self._bounds[number + 1]]
        place = self.stretches.place[here]
        weights = (place >= 0).astype(np.float32)
        bold = self.bold[np.maximum(place, 0)] * weights[..., None]
        given = {"stretch": frames_of(self.data, self.stretches, here)}
        return given, {"voxels": bold}, {"voxels": weights}

    def on_epoch_end(self):
        if self._rng is not None:
            self._rng.shuffle(self.order)


def predict_lagged(
    network: keras.Model, data: FilmData, table: pd.DataFrame, batch: int
) -> np.ndarray:
    """What a trained network says about the volumes of chunks: (n, n_voxels) float32; ``batch`` chunks at a time."""
    table = table.reset_index(drop=True)
    stretches = Stretches(table)
    out = np.empty((len(table), data.n_voxels), dtype=np.float32)
    at_once = max(1, batch // STRETCH)
    for start in range(0, len(stretches), at_once):
        numbers = np.arange(start, min(start + at_once, len(stretches)))
        made = np.asarray(network.predict_on_batch(frames_of(data, stretches, numbers)))
        is_there = stretches.place[numbers] >= 0
        out[stretches.place[numbers][is_there]] = made[is_there]
    return out
