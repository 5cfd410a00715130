"""Slide a network over a run: each column of each layer that windows share is computed once."""

from neuroface.pipeline import compiled, keras
from neuroface.timeline.fast.shared_work import INPUT, Block, Plan, convolve_series

import numpy as np

ops = keras.ops
# Largest layer of a pass. Above this the system allocates new memory for every result, which costs
# more than it saves.
PASS_BYTES = 100e6


class SharedSliding:
    """Sliding prediction with shared work: equal to the network on every window, up to rounding.

    Memory holds one batch of volumes and the columns that later windows still need, for any length
    of run.

    Parameters
    ----------
    blocks : result of :func:`neuroface.timeline.fast.shared_work.family_blocks`.
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
