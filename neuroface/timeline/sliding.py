"""Slide a model over a run volume by volume: with shared work if its form is known, else by windows."""

from functools import lru_cache
from pathlib import Path

from neuroface.decoding import is_closed_form_network, load_network, logit_network, predict_logits
from neuroface.pipeline import compiled, keras
from neuroface.timeline.projections import ProjectionSliding
from neuroface.timeline.shared_work import INPUT, Block, Plan, convolve_series, family_blocks

import numpy as np

ops = keras.ops
# Largest layer of a pass. Above this the system allocates new memory for every result, which costs
# more than it saves.
PASS_BYTES = 100e6


def sliding_predictor(model: keras.Model, batch: int):
    """The fastest predictor for a model.

    :class:`SharedSliding` for the paper's family,
    :class:`neuroface.timeline.projections.ProjectionSliding` for models in closed form, else
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
    for part in volumes:
        # A short last part is filled with zeros, so that nothing is compiled for its length.
        filled = np.concatenate(
            [part, np.zeros((predictor.batch - len(part), part.shape[1]), np.float32)]
        )
        logits.append(predictor.push(filled)[: len(part)])
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


class SharedSliding:
    """Sliding prediction with shared work: equal to the network on every window, up to rounding.

    Memory holds one batch of volumes and the columns that later windows still need, for any length
    of run.

    Parameters
    ----------
    blocks : result of :func:`family_blocks`.
    batch : largest number of volumes per pass; nine at full size.
    """

    def __init__(self, model: keras.Model, blocks: list[Block], batch: int):
        self.batch = max(
            1, min(batch, int(PASS_BYTES / (4 * np.prod(model.layers[1].output.shape[1::2]))))
        )
        self.n_voxels, self.window_trs = model.input_shape[1:3]
        self._blocks = blocks
        self._plan = Plan(blocks, self.window_trs)
        head_input = keras.Input(blocks[-1].output_shape)
        x = head_input
        for layer in model.layers[model.layers.index(blocks[-1].last_layer) + 1 :]:
            x = layer(x)
            if layer.name == "logit":
                break
        self._head = keras.Model(head_input, x)
        self._weights = [
            [ops.convert_to_tensor(array) for array in block.arrays()] for block in blocks
        ]
        self._step = compiled(self._arrive)
        self.reset()

    def reset(self) -> None:
        """Forget all volumes: the next one is the first of a run."""
        self._arrived = 0
        self._state: list | None = None  # of the volumes so far, per node of the plan

    def push(self, volumes: np.ndarray) -> np.ndarray:
        """Take the next volumes of the run.

        Parameters
        ----------
        volumes : (n, n_voxels) float32, standardised, ``batch`` or fewer. Each number n is compiled
        once.

        Returns
        -------
        logits : (n,) float64, of the window that ends with each volume; NaN while the first one is
        incomplete.
        """
        if self._state is None:
            self._state = self._plan.empty_state(self.n_voxels, self._blocks)
        head = (
            [v.value for v in self._head.trainable_variables],
            [v.value for v in self._head.non_trainable_variables],
        )
        logits, self._state = self._step(
            self._weights, head, self._state, ops.convert_to_tensor(volumes)[..., None, None]
        )
        logits = np.asarray(logits, dtype=np.float64)
        incomplete = max(0, self.window_trs - 1 - self._arrived)
        logits[:incomplete] = np.nan
        self._arrived += len(volumes)
        return logits

    def _arrive(self, weights, head_weights, state, volumes):
        """Logits (n,) of the windows that end with ``volumes`` (n, n_voxels, 1, 1), and the state for the next ones."""
        n = volumes.shape[0]
        # Per node: its values at the last volumes (state) and at the new ones.
        known: list = []
        next_state: list = []

        def value(node, delay):
            past = self._plan.history[node]
            return known[node][past - delay : past - delay + n]

        for node, recipe in enumerate(self._plan.recipes):
            if node == INPUT:
                new = volumes
            else:
                block = self._blocks[recipe.block]
                kernel, bias, sign, shift = weights[recipe.block]
                columns = [value(source, delay) for source, delay in recipe.sources]
                if recipe.kind == "tap":
                    new = ops.conv(columns[0], kernel[:, recipe.taps[0], None], padding="same")
                elif recipe.kind == "first":
                    longest = self._plan.history[INPUT] - max(delay for _, delay in recipe.sources)
                    series = known[INPUT][longest : longest + n + len(recipe.taps) - 1]
                    taps = kernel[:, recipe.taps[0] : recipe.taps[-1] + 1]
                    new = block.pool_voxels(convolve_series(series, taps), bias, sign)
                elif recipe.kind == "sum":
                    new = block.pool_voxels(sum(columns[1:], columns[0]), bias, sign)
                else:
                    for column in columns[1:]:
                        columns[0] = ops.maximum(columns[0], column)
                    new = block.finish(columns[0], bias, shift)
            past = self._plan.history[node]
            known.append(ops.concatenate([state[node], new], axis=0) if past else new)
            next_state.append(known[node][n:] if past else state[node])
        features = ops.concatenate(
            [value(node, delay) for node, delay in self._plan.outputs], axis=2
        )
        logits = self._head.stateless_call(*head_weights, features, training=False)[0]
        return logits[:, 0], next_state
