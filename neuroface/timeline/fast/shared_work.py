"""Work that sliding windows share: columns of a network's layers that do not depend on the ends of a window.

Two successive windows have all volumes but one in common. After a convolution over time, the
columns near the two ends of a window depend on the zero padding and belong to this window alone;
the columns between them are the same in every window that contains them. So each column of each
layer is described by its inputs, relative to the volume that arrives. Columns with the same inputs
are one *node*, computed once per volume. A convolution is a sum over its taps in time: the product
of a column with a tap is a node too, and all windows and neighbouring columns use it.
"""

from dataclasses import dataclass, field

from neuroface.pipeline import keras

import numpy as np

ops = keras.ops
INPUT = 0  # the node of the arriving volume


# ---------------------------------------------------------------- which models


@dataclass(frozen=True)
class Block:
    """Conv2D → LeakyReLU → BatchNormalization → MaxPooling2D (→ Dropout), ready to be computed column by column.

    The normalisation is a × value + shift. |a| is multiplied into the kernel, because a positive
    factor may be applied before the leaky rectifier. The sign of a is kept separately, because a
    negative a turns the smallest value into the largest.
    """

    kernel: np.ndarray  # (voxels, trs, channels in, channels out), times |a|
    bias: np.ndarray
    sign: np.ndarray
    shift: np.ndarray
    slope: float
    pool: tuple[int, int]
    output_shape: tuple[int, int, int]
    last_layer: keras.Layer = field(repr=False)

    def arrays(self) -> list[np.ndarray]:
        return [self.kernel, self.bias, self.sign, self.shift]

    @property
    def turned(self) -> bool:
        """Whether a channel has a negative a. If none has, the rectifier may follow the pooling, which is less work."""
        return bool((self.sign < 0).any())

    def pool_voxels(self, values, bias, sign):
        """(n, n_voxels, 1, channels) from the convolution, pooled over voxels."""
        if self.turned:
            values = ops.leaky_relu(values + bias, self.slope) * sign
        size = (self.pool[0], 1)
        return values if self.pool[0] == 1 else ops.max_pool(values, size, strides=size)

    def finish(self, values, bias, shift):
        """The block's output from values pooled over voxels and time."""
        return (values if self.turned else ops.leaky_relu(values + bias, self.slope)) + shift


def convolve_series(volumes, kernel):
    """(n + n_taps − 1, n_voxels, 1, 1) with a kernel (voxels, n_taps, 1, channels) → (n, n_voxels, 1, channels)."""
    size = kernel.shape[0]
    image = ops.pad(volumes[:, :, :, 0], ((0, 0), ((size - 1) // 2, size // 2), (0, 0)))[
        None
    ]  # time × voxels
    return ops.expand_dims(
        ops.conv(image, ops.transpose(kernel, (1, 0, 2, 3)), padding="valid")[0], 2
    )


def family_blocks(model: keras.Model) -> list[Block] | None:
    """The convolutional blocks of a network of the paper's family; None if the model is of another kind.

    The family: a chain of layers in float32, which begins with blocks of Conv2D ("same", stride 1),
    LeakyReLU, BatchNormalization, MaxPooling2D and perhaps Dropout, with any number of blocks,
    kernels, filters and pools, and continues with Flatten and any layers up to ``logit``.
    """
    layers = keras.layers
    chain = list(model.layers)
    for before, layer in zip(chain, chain[1:]):
        if (
            not isinstance(getattr(layer, "input", None), keras.KerasTensor)
            or layer.input is not before.output
        ):
            return None
    blocks, position = [], 1
    kinds = (layers.Conv2D, layers.LeakyReLU, layers.BatchNormalization, layers.MaxPooling2D)
    while [type(layer) for layer in chain[position : position + 4]] == list(kinds):
        conv, rectifier, norm, pool = chain[position : position + 4]
        plain = (
            conv.padding == "same"
            and conv.strides == conv.dilation_rate == (1, 1)
            and conv.groups == 1
            and conv.activation is keras.activations.linear
            and norm.axis in (-1, 3)
            and pool.padding == "valid"
            and pool.strides == pool.pool_size
            and {layer.data_format for layer in (conv, pool)} == {"channels_last"}
            and {layer.compute_dtype for layer in (conv, rectifier, norm, pool)} == {"float32"}
        )
        if not plain:
            return None
        position += 4
        position += [type(layer) for layer in chain[position : position + 1]] == [layers.Dropout]
        blocks.append(_folded(conv, rectifier, norm, pool, chain[position - 1]))
    head = chain[position:]
    whole = (
        blocks
        and head
        and type(head[0]) is layers.Flatten
        and "logit" in [layer.name for layer in head]
    )
    return blocks if whole else None


def _folded(conv, rectifier, norm, pool, last_layer) -> Block:
    kernel = np.asarray(conv.kernel)
    n = kernel.shape[-1]
    bias = np.asarray(conv.bias) if conv.use_bias else np.zeros(n, np.float32)
    gamma = np.asarray(norm.gamma) if norm.scale else np.ones(n, np.float32)
    beta = np.asarray(norm.beta) if norm.center else np.zeros(n, np.float32)
    a = gamma / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    return Block(
        kernel * np.abs(a),
        bias * np.abs(a),
        np.where(a < 0, -1, 1).astype(np.float32),
        beta - np.asarray(norm.moving_mean) * a,
        float(rectifier.negative_slope),
        tuple(pool.pool_size),
        tuple(pool.output.shape[1:]),
        last_layer,
    )


# ---------------------------------------------------------------- what is shared


@dataclass(frozen=True)
class NodeRecipe:
    """How a node's value at a volume is computed from other nodes, ``delay`` volumes earlier."""

    kind: str  # "input", "first" (all taps at once), "tap", "sum" or "max"
    block: int = -1
    taps: tuple[int, ...] = ()
    sources: tuple[tuple[int, int], ...] = ()  # (node, delay)


class Plan:
    """The nodes that the windows of a run need, each once, in an order in which they can be computed.

    Parameters
    ----------
    blocks : blocks of the network. window_trs : volumes in a window.

    Attributes
    ----------
    recipes : one per node. outputs : (node, delay) of the last block's columns, for the window that
    ends with the arriving volume. history : how many earlier values of each node are still needed.
    """

    def __init__(self, blocks: list[Block], window_trs: int):
        self._blocks = blocks
        self._numbers: dict[NodeRecipe, int] = {NodeRecipe("input"): INPUT}
        self._lengths = [window_trs]
        for block in blocks:
            self._lengths.append(self._lengths[-1] // block.pool[1])
        self._columns: dict[tuple[int, int], tuple[int, int]] = {}
        self.outputs = [self._column(len(blocks), j) for j in range(self._lengths[-1])]
        self.recipes = list(self._numbers)
        self.history = [0] * len(self.recipes)
        for node, delay in [
            *self.outputs,
            *(source for recipe in self.recipes for source in recipe.sources),
        ]:
            self.history[node] = max(self.history[node], delay)

    def empty_state(self, n_voxels: int, blocks: list[Block]) -> list:
        """Zeros for the volumes before the first."""
        rows = [n_voxels]
        for block in blocks:
            rows.append(rows[-1] // block.pool[0])
        state = []
        for recipe, past in zip(self.recipes, self.history):
            pooled = recipe.kind in ("first", "sum", "max")
            channels = blocks[recipe.block].kernel.shape[-1] if recipe.kind != "input" else 1
            state.append(
                ops.zeros(
                    (past, rows[recipe.block + 1 if pooled else max(recipe.block, 0)], 1, channels)
                )
            )
        return state

    def _column(self, depth: int, j: int) -> tuple[int, int]:
        """(node, delay) of column ``j`` after ``depth`` blocks, for the window that ends with the arriving volume."""
        if depth == 0:
            return INPUT, self._lengths[0] - 1 - j
        if (depth, j) not in self._columns:
            width = self._blocks[depth - 1].pool[1]
            members = [self._convolved(depth, width * j + k) for k in range(width)]
            self._columns[depth, j] = self._node("max", depth - 1, (), members)
        return self._columns[depth, j]

    def _convolved(self, depth: int, j: int) -> tuple[int, int]:
        block = self._blocks[depth - 1]
        n_taps, channels = block.kernel.shape[1:3]
        first = j - (n_taps - 1) // 2  # as "same" pads: the larger half at the end
        taps = [tap for tap in range(n_taps) if 0 <= first + tap < self._lengths[depth - 1]]
        sources = [self._column(depth - 1, first + tap) for tap in taps]
        if depth == 1:  # consecutive volumes: all taps in one convolution
            return self._node("first", depth - 1, taps, sources)
        products = []
        for tap, (node, delay) in zip(taps, sources):
            product, _ = self._node("tap", depth - 1, (tap,), [(node, 0)])
            products.append((product, delay))
        return self._node("sum", depth - 1, (), products)

    def _node(self, kind: str, block: int, taps, sources) -> tuple[int, int]:
        """The node with this recipe, and its delay: it is computed as soon as its sources are there."""
        delay = min(delay for _, delay in sources)
        recipe = NodeRecipe(
            kind, block, tuple(taps), tuple((node, d - delay) for node, d in sources)
        )
        return self._numbers.setdefault(recipe, len(self._numbers)), delay
