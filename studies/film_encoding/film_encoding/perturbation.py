"""BOLD of regions replaced: the effect on the reconstruction of one kind of thing, and of others."""

from film_encoding.blocks import t_interval
from film_encoding.losses import ssim_map
from film_encoding.things import OTHER, THING
from neuroface.decoding import p_value
from neuroface.pipeline import compiled, keras

import numpy as np
import pandas as pd

MARGIN_PX = 5  # where SSIM's window does not lie inside the frame
FEWEST_PX = 4  # of a thing inside that margin


class ThingScores:
    """SSIM of the decoder's frames where a thing is, moment by moment.

    Parameters
    ----------
    decoder : voxels → frames. frames : (n, height, width, 3) in 0 … 1.
    labels : (n, height, width), of :func:`film_encoding.things.label_pixels`; None: whole frames
    are scored.
    present : (n,) bool, whether the thing is on the screen; used without labels.

    Attributes
    ----------
    cases : table with a row per moment and kind: row (of the moment), kind (THING, or the label of
        another thing).
    """

    def __init__(
        self,
        decoder: keras.Model,
        frames: np.ndarray,
        labels: np.ndarray | None,
        present: np.ndarray,
        batch: int,
    ):
        self.frames, self.batch = frames.astype(np.float32), batch
        n, inner = len(frames), slice(MARGIN_PX, -MARGIN_PX)
        if labels is None:
            kind_of = np.where(present, THING, OTHER)
            self.cases = pd.DataFrame({"row": np.arange(n), "kind": kind_of})
            self.masks = np.ones((n, *ssim_shape(frames)), dtype=np.float32)
        else:
            inside = labels[:, inner, inner]
            rows: list[np.ndarray] = []
            masks: list[np.ndarray] = []
            kinds: list[int] = []
            for kind in range(THING, int(inside.max(initial=THING)) + 1):
                here = np.flatnonzero((inside == kind).sum(axis=(1, 2)) >= FEWEST_PX)
                rows.append(here)
                masks.append(inside[here] == kind)
                kinds += [kind] * len(here)
            self.cases = pd.DataFrame({"row": np.concatenate(rows), "kind": kinds})
            self.masks = np.concatenate(masks).astype(np.float32)

        def score(voxels, frames, masks):
            similar = keras.ops.mean(
                ssim_map(frames, keras.ops.clip(decoder(voxels, training=False), 0, 1)), axis=-1
            )
            return keras.ops.sum(similar * masks, axis=(1, 2)) / keras.ops.sum(masks, axis=(1, 2))

        self._score = compiled(score)

    def __call__(self, voxels: np.ndarray) -> np.ndarray:
        """SSIM (n_cases,) of frames decoded from BOLD (n, n_voxels)."""
        rows, out = self.cases["row"].to_numpy(), []
        for start in range(0, len(rows), self.batch):
            place = np.minimum(
                np.arange(start, start + self.batch), len(rows) - 1
            )  # the last batch keeps the shape
            arrays = (
                voxels[rows[place]].astype(np.float32),
                self.frames[rows[place]],
                self.masks[place],
            )
            out.append(
                np.asarray(self._score(*map(keras.ops.convert_to_tensor, arrays)))[
                    : len(rows) - start
                ]
            )
        return np.concatenate(out)


def ssim_shape(frames: np.ndarray) -> tuple[int, int]:
    return frames.shape[1] - 2 * MARGIN_PX, frames.shape[2] - 2 * MARGIN_PX


def perturbed(
    bold: np.ndarray, voxels: np.ndarray, kind: str, mean: np.ndarray, sd: np.ndarray, seed: int
) -> np.ndarray:
    """BOLD (n, n_voxels) with some voxels replaced.

    Parameters
    ----------
    voxels : (n_voxels,) bool or positions. kind : "zero", "mean", "noise". mean, sd : (n_voxels,)
    of the training set.
    """
    out = bold.copy()
    if kind == "noise":
        rng = np.random.default_rng(seed)
        out[:, voxels] = mean[voxels] + sd[voxels] * rng.standard_normal(
            (len(bold), len(mean[voxels]))
        )
    else:
        out[:, voxels] = mean[voxels] if kind == "mean" else 0
    return out


def difference(loss: np.ndarray, kind: np.ndarray) -> float:
    """Mean loss where the thing is, less that of all other things."""
    return float(loss[kind == THING].mean() - loss[kind != THING].mean())


def difference_interval(
    loss: np.ndarray, kind: np.ndarray, stretch: np.ndarray
) -> tuple[float, float]:
    """95 % interval of :func:`difference` over stretches of film, each of one kind (Welch's t of two sets of clusters).

    Parameters
    ----------
    loss, kind, stretch : (n_cases,). NaN where a kind has fewer than two stretches.
    """
    variances, dfs = [], []
    for here in (kind == THING, kind != THING):
        sums = np.bincount(
            np.unique(stretch[here], return_inverse=True)[1], loss[here] - loss[here].mean()
        )
        n = len(sums)
        variances.append(np.sum((sums / here.sum()) ** 2) * n / max(n - 1, 1) if n > 1 else np.nan)
        dfs.append(n - 1)
    of_kinds = np.array(variances)
    df = of_kinds.sum() ** 2 / np.maximum((of_kinds**2 / np.maximum(dfs, 1)).sum(), 1e-300)
    low, high = t_interval(difference(loss, kind), np.sqrt(of_kinds.sum()), df)
    return float(low), float(high)


def stretches_of(cases: pd.DataFrame, films: np.ndarray, chunks: np.ndarray) -> np.ndarray:
    """Number of the stretch of film of each case (n_cases,): consecutive chunks of one film with one kind.

    Parameters
    ----------
    films, chunks : (n,) of each moment.
    """
    film, chunk = films[cases["row"]], chunks[cases["row"]]
    order = np.lexsort((chunk, film, cases["kind"]))
    kind = cases["kind"].to_numpy()[order]
    new = np.ones(len(order), dtype=bool)
    new[1:] = (
        (film[order][1:] != film[order][:-1])
        | (kind[1:] != kind[:-1])
        | (np.diff(chunk[order]) != 1)
    )
    out = np.empty(len(order), dtype=int)
    out[order] = np.cumsum(new) - 1
    return out


def exchanged_kinds(kind: np.ndarray, stretch: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Kinds (n, n_cases) in which whole stretches have exchanged their labels."""
    first = np.unique(stretch, return_index=True)[1]
    rng = np.random.default_rng(seed)
    return np.stack([rng.permutation(kind[first])[stretch] for _ in range(n)])


def kind_test(losses: np.ndarray, kind: np.ndarray, exchanged: np.ndarray) -> np.ndarray:
    """p, one-sided, that the thing suffers no more than others: (n_sets,) of losses (n_sets, n_cases)."""
    null = losses @ _contrast(exchanged).T  # (n_sets, n)
    observed = losses @ _contrast(kind[None]).T
    return np.array([p_value(value[0], row) for value, row in zip(observed, null)])


def test_against_each(
    loss: np.ndarray, kind: np.ndarray, stretch: np.ndarray, n: int, seed: int
) -> dict[int, float]:
    """Kind of other thing → p, one-sided, that the thing suffers no more than it; loss, kind, stretch (n_cases,).

    A region that follows two things impairs both: against all others together the thing may suffer
    more, against the second thing it does not. The largest p is a valid p that the thing suffers
    more than every other kind (Berger 1982, Technometrics 24:295).
    """
    p = {}
    for other in np.unique(kind[kind != THING]):
        here = (kind == THING) | (kind == other)
        numbers = np.unique(stretch[here], return_inverse=True)[1]
        exchanged = exchanged_kinds(kind[here], numbers, n, seed)
        p[int(other)] = float(kind_test(loss[None, here], kind[here], exchanged)[0])
    return p


def _contrast(kinds: np.ndarray) -> np.ndarray:
    """Weights (n, n_cases) whose product with losses is :func:`difference`."""
    thing = kinds == THING
    return thing / thing.sum(axis=1, keepdims=True) - ~thing / (~thing).sum(axis=1, keepdims=True)
