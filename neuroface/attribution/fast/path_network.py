"""The voxel-time network along straight paths from baseline to window, with slopes at points or means over segments.

Two properties make it fast. The first convolution is affine: it is computed once at each end of a
path, not once per step. The operations between two convolutions (LeakyReLU, batch normalisation,
max-pooling) only switch between slopes: they need one pass over memory forward and one backward if
no intermediate result is stored.

The slope of a switch is the share of a segment on which it is on. For a segment of length 0 this is
the derivative, and the sum over nodes is a Riemann sum of Integrated Gradients. For the segment
before each node the slope is exact if the input of the switch changes linearly, as in the first
layer. Every point at which a switch changes is then taken into account exactly; an error remains
only if switches of one path are correlated. With one segment this is DeepLIFT's rescale rule
(Shrikumar et al. 2017, ICML); with more segments it converges to Integrated Gradients, faster than
a Riemann sum.
"""

from dataclasses import dataclass
from typing import Any

from neuroface.pipeline import fused, keras

ops = keras.ops
UNROLLED = 10  # nodes in one pass over memory for the slopes of the first layer


def positive_share(before, after):
    """Share of the interval from ``before`` to ``after`` that is above 0, elementwise.

    1 or 0 if both have the same sign, else the positive part; if both are equal, 1 above 0 and 0
    otherwise.
    """
    positive = ops.relu(before) + ops.relu(after)
    whole = 2 * positive - (before + after)  # |before| + |after|
    return positive / ops.maximum(whole, 1e-30)


@dataclass(frozen=True)
class Switches:
    """LeakyReLU, scale and shift per channel, max-pooling by 1 or 2 on each axis, of (…, rows, columns, channels)."""

    leak: float
    pool: tuple[int, int]

    def values(self, z, scale, shift):
        """Output: (…, rows // pool[0], columns // pool[1], channels)."""
        return _largest(
            [self._activated(place, scale, shift) for row in self._parts(z) for place in row]
        )

    def slopes(self, before, after, scale, shift, gradient):
        """Mean gradient with respect to the input between ``before`` and ``after``; if both are equal, the gradient.

        Max-pooling takes the largest of the rows of a pooling window, then of its columns. In a tie
        the first counts.

        Parameters
        ----------
        gradient : gradient with respect to the values.

        Returns
        -------
        As parts of pooling windows, for :meth:`joined`.
        """
        ends = [self._parts(z) for z in (before, after)]
        active = [
            [[self._activated(place, scale, shift) for place in row] for row in parts]
            for parts in ends
        ]
        n_rows, n_columns = self.pool
        by_column = [gradient]
        if n_columns == 2:
            left, right = (
                [_largest([row[k] for row in parts]) for parts in active] for k in (0, 1)
            )
            to_right = gradient * positive_share(*(b - a for a, b in zip(left, right)))
            by_column = [gradient - to_right, to_right]
        by_part = [by_column]
        if n_rows == 2:
            to_lower = [
                of_column * positive_share(*(parts[1][k] - parts[0][k] for parts in active))
                for k, of_column in enumerate(by_column)
            ]
            to_upper = [of_column - lower for of_column, lower in zip(by_column, to_lower)]
            by_part = [to_upper, to_lower]
        return [
            [
                of_part
                * scale
                * (self.leak + (1 - self.leak) * positive_share(ends[0][i][k], ends[1][i][k]))
                for k, of_part in enumerate(row)
            ]
            for i, row in enumerate(by_part)
        ]

    def joined(self, parts, rows: int, columns: int):
        """Put parts of pooling windows back in their places; rows and columns without a pooling window get 0."""
        whole = ops.stack(
            [ops.stack(row, axis=-2) for row in parts], axis=-4
        )  # …, rows, p, columns, q, channels
        shape = whole.shape
        whole = ops.reshape(
            whole, (*shape[:-5], shape[-5] * shape[-4], shape[-3] * shape[-2], shape[-1])
        )
        missing = [(0, rows - whole.shape[-3]), (0, columns - whole.shape[-2])]
        if missing == [(0, 0), (0, 0)]:
            return whole
        return ops.pad(whole, [(0, 0)] * (len(whole.shape) - 3) + missing + [(0, 0)])

    def _activated(self, place, scale, shift):
        return ops.maximum(place, self.leak * place) * scale + shift

    def _parts(self, z):
        """z[…, i::p, j::q, :] for i and j, without rows and columns outside pooling windows."""
        p, q = self.pool
        rows, columns = z.shape[-3] // p * p, z.shape[-2] // q * q
        shape = (*z.shape[:-3], rows // p, p, columns // q, q, z.shape[-1])
        split = ops.reshape(z[..., :rows, :columns, :], shape)
        return [[split[..., :, i, :, j, :] for j in range(q)] for i in range(p)]


class PathNetwork:
    """The logit of a network of :func:`neuroface.decoding.network.build_network` at the nodes of paths; differentiable.

    Parameters
    ----------
    model : the network, float32; its weights are read at each call.
    segments : mean slopes over the segments that end at the nodes, instead of derivatives at the
        nodes. The first node then only starts a segment and has no gradient.
    """

    def __init__(self, model: keras.Model, segments: bool):
        self.stages, self.segments = list(_stages(model)), segments

    def logits(self, baselines, windows, nodes):
        """Logits (n_paths, n_nodes) at ``baselines + nodes · (windows − baselines)``.

        Their gradient with respect to ``baselines`` is that of a shift of the whole path: the sum
        over its nodes.
        """
        affine, switches, norm = self.stages[0]
        start = _apply(affine, baselines[..., None])
        move = ops.stop_gradient(_apply(affine, windows[..., None]) - start)
        x = self._along(switches, start, move, nodes, *_scale_and_shift(norm))
        for affine, switches, norm in self.stages[1:]:
            x = _per_node(affine, x)
            if switches is not None:
                x = self._through(switches, x, *_scale_and_shift(norm))
        return x[..., 0]

    def _along(self, switches: Switches, start, move, nodes, scale, shift):
        """Switches of the linear path ``start + nodes · move``, which is never stored: (n_paths, n_nodes, …)."""
        is_flat = len(start.shape) == 2
        if is_flat:
            start, move = start[:, None, None], move[:, None, None]
        n_nodes, (rows, columns) = nodes.shape[0], start.shape[1:3]
        back = 1 if self.segments else 0

        @fused
        def values(start, move, nodes, scale, shift):
            return switches.values(
                start[:, None] + nodes[:, None, None, None] * move[:, None], scale, shift
            )

        @fused
        def slopes(start, move, nodes, scale, shift, gradient):
            total = None
            for k in range(
                back, nodes.shape[0]
            ):  # unrolled: start and move are then read once for all these nodes
                before, after = start + nodes[k - back] * move, start + nodes[k] * move
                parts = switches.slopes(before, after, scale, shift, gradient[:, k])
                total = (
                    parts
                    if total is None
                    else [[a + b for a, b in zip(*row)] for row in zip(total, parts)]
                )
            return switches.joined(total, rows, columns)

        @ops.custom_gradient
        def switched(start, move, nodes, scale, shift):
            def gradients(*arguments, upstream=None):
                upstream = arguments[0] if upstream is None else upstream
                total = 0
                for k in range(0, n_nodes - back, UNROLLED):
                    block = slice(k, min(k + UNROLLED + back, n_nodes))
                    total = total + slopes(
                        start, move, nodes[block], scale, shift, upstream[:, block]
                    )
                return total, *map(ops.zeros_like, (move, nodes, scale, shift))

            return values(start, move, nodes, scale, shift), gradients

        out = switched(start, move, nodes, scale, shift)
        return out[:, :, 0, 0] if is_flat else out

    def _through(self, switches: Switches, z, scale, shift):
        """Switches of (n_paths, n_nodes, rows, columns, channels), or (n_paths, n_nodes, units)."""
        is_flat = len(z.shape) == 3
        if is_flat:
            z = z[:, :, None, None]
        rows, columns = z.shape[2:4]

        @fused
        def values(z, scale, shift):
            return switches.values(z, scale, shift)

        @fused
        def slopes(z, scale, shift, gradient):
            if not self.segments:
                return switches.joined(switches.slopes(z, z, scale, shift, gradient), rows, columns)
            parts = switches.slopes(z[:, :-1], z[:, 1:], scale, shift, gradient[:, 1:])
            return ops.pad(switches.joined(parts, rows, columns), [(0, 0), (1, 0), *[(0, 0)] * 3])

        @ops.custom_gradient
        def switched(z, scale, shift):
            def gradients(*arguments, upstream=None):
                upstream = arguments[0] if upstream is None else upstream
                return (
                    slopes(z, scale, shift, upstream),
                    ops.zeros_like(scale),
                    ops.zeros_like(shift),
                )

            return values(z, scale, shift), gradients

        out = switched(z, scale, shift)
        return out[:, :, 0, 0] if is_flat else out


def understands(model: keras.Model) -> bool:
    """Whether :class:`PathNetwork` can read this network: a chain of affine layers, LeakyReLU and max-pooling by 2."""
    try:
        list(_stages(model))
    except ValueError:
        return False
    return True


def _stages(model: keras.Model):
    """(affine layers, Switches, batch normalisation), at the end (affine layers, None, None); or ValueError."""
    affine: list[keras.Layer] = []
    pending: dict[str, Any] | None = None
    has_switches, previous = False, model.layers[0]
    for layer in model.layers[1:]:
        if layer.input is not previous.output:
            raise ValueError(f"layer {layer.name} does not follow {previous.name}")
        previous = layer
        kind, is_last = type(layer).__name__, layer.name == "logit"
        if kind in ("Conv2D", "Dense", "Flatten"):
            if kind != "Flatten" and layer.activation is not keras.activations.linear:
                raise ValueError(f"layer {layer.name} has an activation")
            if pending:
                yield affine, Switches(pending["leak"], pending["pool"]), pending.get("norm")
                has_switches = True
                affine, pending = [], None
            affine.append(layer)
            if is_last and not has_switches:
                raise ValueError("the network is linear")
            if is_last:
                yield affine, None, None
                return
        elif kind == "LeakyReLU" and affine and not pending:
            pending = {"leak": float(layer.negative_slope), "pool": (1, 1)}
        elif (
            kind == "BatchNormalization"
            and pending
            and "norm" not in pending
            and pending["pool"] == (1, 1)
        ):
            pending["norm"] = layer
        elif (
            kind == "MaxPooling2D"
            and pending
            and pending["pool"] == (1, 1)
            and set(layer.pool_size) <= {1, 2}
        ):
            pending["pool"] = tuple(layer.pool_size)
        elif kind != "Dropout":
            raise ValueError(f"layer {layer.name} ({kind}) is not one of the voxel-time network's")
    raise ValueError("no layer is named logit")


def _scale_and_shift(norm) -> tuple:
    """Scale and shift per channel by batch normalisation at inference."""
    if norm is None:
        return ops.ones(()), ops.zeros(())
    scale = norm.gamma / ops.sqrt(norm.moving_variance + norm.epsilon)
    return scale, norm.beta - norm.moving_mean * scale


def _apply(layers: list, x):
    for layer in layers:
        x = layer(x, training=False)
    return x


def _per_node(layers: list, x):
    """Layers applied to every node of (n_paths, n_nodes, …)."""
    n_paths, n_nodes = x.shape[:2]
    x = _apply(layers, ops.reshape(x, (n_paths * n_nodes, *x.shape[2:])))
    return ops.reshape(x, (n_paths, n_nodes, *x.shape[1:]))


def _largest(parts: list):
    first, *others = parts
    for other in others:
        first = ops.maximum(first, other)
    return first
