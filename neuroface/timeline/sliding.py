"""Slide a model over a run volume by volume: with shared work if its form is known, else by windows."""

from functools import lru_cache
from pathlib import Path

from neuroface.decoding import is_closed_form_network, load_network, logit_network, predict_logits
from neuroface.pipeline import keras
from neuroface.timeline.fast.projections import ProjectionSliding
from neuroface.timeline.fast.shared_sliding import SharedSliding
from neuroface.timeline.fast.shared_work import family_blocks

import numpy as np


def sliding_predictor(model: keras.Model, batch: int):
    """The fastest predictor for a model.

    :class:`SharedSliding` for the paper's family,
    :class:`neuroface.timeline.fast.projections.ProjectionSliding` for models in closed form, else
    :class:`PlainSliding`.

    Parameters
    ----------
    model : (n, n_voxels, window_trs, 1) → probability (n, 1), with a layer named ``logit`` before
    the end.
    batch : volumes, or windows, per pass.
    """
    if is_closed_form_network(model):
        return ProjectionSliding(model, batch)
    blocks = family_blocks(model)
    return PlainSliding(model, batch) if blocks is None else SharedSliding(model, blocks, batch)


@lru_cache(maxsize=1)  # runs are ordered by model, so one fold's networks in memory are enough
def predictor_of_models(paths: tuple[Path, ...], n_voxels: int, window_trs: int, batch: int):
    """:func:`sliding_predictor` of a fold's model files; of several, their mean logit."""
    predictors = [
        sliding_predictor(load_network(path, n_voxels, window_trs), batch) for path in paths
    ]
    return predictors[0] if len(predictors) == 1 else EnsembleSliding(predictors)


class EnsembleSliding:
    """The mean logit of several predictors. Interface as :class:`SharedSliding`."""

    def __init__(self, predictors: list):
        self._predictors, first = predictors, predictors[0]
        self.batch, self.n_voxels, self.window_trs = first.batch, first.n_voxels, first.window_trs

    def reset(self) -> None:
        for predictor in self._predictors:
            predictor.reset()

    def push(self, volumes: np.ndarray) -> np.ndarray:
        return np.mean([predictor.push(volumes) for predictor in self._predictors], axis=0)


def slide(predictor, volumes) -> np.ndarray:
    """Logits (n_trs,) float64 of the windows that *start* at each volume of a run; NaN where no whole window starts.

    Parameters
    ----------
    predictor : result of :func:`sliding_predictor`. volumes : yields (n, n_voxels) float32,
    ``predictor.batch`` at a time.
    """
    predictor.reset()
    logits = []
    for block in volumes:
        # A short last part is filled with zeros, so that nothing is compiled for its length.
        filled = np.concatenate(
            [block, np.zeros((predictor.batch - len(block), block.shape[1]), np.float32)]
        )
        logits.append(predictor.push(filled)[: len(block)])
    ending = np.concatenate(logits)
    starting = np.full(len(ending), np.nan)
    starting[: max(0, len(ending) - predictor.window_trs + 1)] = ending[predictor.window_trs - 1 :]
    return starting


class PlainSliding:
    """Predicts every window with the whole network, for any model. Interface as :class:`SharedSliding`."""

    def __init__(self, model: keras.Model, batch: int):
        self._logit_model, self.batch = logit_network(model), batch
        self.n_voxels, self.window_trs = model.input_shape[1:3]
        self.reset()

    def reset(self) -> None:
        self._volumes = np.empty((0, self.n_voxels), dtype=np.float32)

    def push(self, volumes: np.ndarray) -> np.ndarray:
        known = np.concatenate([self._volumes, volumes])
        self._volumes = known[-(self.window_trs - 1) :] if self.window_trs > 1 else known[:0]
        logit = np.full(len(volumes), np.nan)
        if len(known) >= self.window_trs:
            windows = np.lib.stride_tricks.sliding_window_view(known, self.window_trs, axis=0)
            logit[-len(windows) :] = predict_logits(
                self._logit_model, windows, min(self.batch, len(windows))
            )
        return logit
