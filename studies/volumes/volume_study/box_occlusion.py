"""The drop of a class's probability when a box is set to a baseline, for all boxes of a grid (Zeiler & Fergus 2014).

A box changes only a few places of every feature map. A convolution is linear: its output changes by
the convolution of what changed in its input. So the feature maps of the whole volume are computed
once. For every box only its change goes through the layers, as a patch of a few places; at a
nonlinearity the patch is added to the stored map. One pass per box through the whole network gives
the same maps, at 80 × 80 × 35 voxels with a hundred times as many operations.
"""

from neuroface.decoding import ToVolumes, VolumeConv3D
from neuroface.pipeline import keras
from volume_study.fast.patches import Mean, Nonlinear, Pointwise, Spatial
from volume_study.layers import DepthwiseConv3D, VolumePadding

import numpy as np

ops, layers = keras.ops, keras.layers


def boxes_of(inside: np.ndarray, edge: int, stride: int) -> np.ndarray:
    """First corners (n_boxes, 3) of the boxes on a grid that hold a voxel of the mask ``inside`` (x, y, z)."""
    starts = [np.arange(0, side, stride) for side in inside.shape]
    corners = np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1).reshape(-1, 3)
    padded = np.pad(inside, [(0, edge)] * 3)
    sums = padded.astype(np.int64).cumsum(0).cumsum(1).cumsum(2)
    sums = np.pad(sums, [(1, 0)] * 3)
    count = 0
    for bits in np.ndindex(2, 2, 2):  # inclusion and exclusion over the corners of the box
        sign = (-1) ** (3 - sum(bits))
        count = count + sign * sums[tuple((corners + np.array(bits) * edge).T)]
    return corners[count > 0]


class BoxOcclusion:
    """Drops of all classes' probabilities for every box, as maps over voxels.

    Parameters
    ----------
    model : a network of :mod:`volume_study.networks`. edge, stride : of the boxes, in voxels.
    batch : volumes per pass through the whole network; boxes are taken 64 × as many at a time where
    work is shared.
    shared : False: one pass per box, for comparison.
    """

    def __init__(self, model: keras.Model, edge: int, stride: int, batch: int, shared: bool = True):
        self.model, self.edge, self.batch = model, edge, batch
        self.box = next(layer.box for layer in model.layers if isinstance(layer, ToVolumes))
        self.corners = boxes_of(self.box, edge, stride)
        self.steps = steps_of(model) if shared else None
        if self.steps is not None:
            stored = [step.source for step in self.steps if isinstance(step, Nonlinear)]
            self._maps = keras.Model(model.input, [*stored, model.get_layer("logit").output])

    @property
    def shares(self) -> bool:
        """Whether boxes share work: False for networks whose layers look at the whole volume at once."""
        return self.steps is not None

    def __call__(self, volume: np.ndarray, baseline: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The maps of a volume for all classes, and their probabilities in the whole volume.

        Parameters
        ----------
        volume, baseline : (n_voxels,).

        Returns
        -------
        (n_classes, n_voxels) float32: the mean drop of the boxes that hold a voxel; 0 where none
        does. (n_classes,).
        """
        drops, probability = self.drops(volume, baseline, self.corners)
        shape = np.add(self.box.shape, self.edge)
        total, times = np.zeros((*shape, drops.shape[1])), np.zeros((*shape, 1))
        for offset in np.ndindex(*[self.edge] * 3):
            place = tuple((self.corners + offset).T)
            total[place] += drops  # corners differ, so places do
            times[place] += 1
        cut = tuple(slice(side) for side in self.box.shape)
        mean = total[cut] / np.maximum(times[cut], 1)
        return mean[self.box].T.astype(np.float32), probability

    def drops(self, volume, baseline, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Drops (n_boxes, n_classes) float64 of the probabilities for boxes at ``corners``, and these (n_classes,)."""
        change = np.zeros(np.add(self.box.shape, self.edge), dtype=np.float32)
        change[: self.box.shape[0], : self.box.shape[1], : self.box.shape[2]][self.box] = (
            baseline - volume
        )
        window = np.asarray(volume, dtype=np.float32)[None, :, None, None]
        if not self.shares:
            return self._drops_one_by_one(window, change, corners)
        *stored, logits = self._maps.predict_on_batch(window)
        maps = [np.asarray(batch).reshape(-1, batch.shape[-1]) for batch in stored]
        whole = _softmax(logits)[0]
        drops = []
        for start in range(0, len(corners), 64 * self.batch):
            batch = corners[start : start + 64 * self.batch]
            drops.append(whole - _softmax(logits + self._changes_of_logits(change, batch, maps)))
        return np.concatenate(drops), whole

    def _changes_of_logits(self, change: np.ndarray, corners: np.ndarray, maps: list) -> np.ndarray:
        """How each box changes the logits: (n_boxes, n_classes)."""
        cells = np.stack(list(np.ndindex(*[self.edge] * 3)))
        patch = change[tuple((corners[:, None] + cells).transpose(2, 0, 1))][
            ..., None
        ]  # (n_boxes, cells, 1)
        patch, corner, width, stored = (
            ops.convert_to_tensor(patch),
            corners,
            np.full(3, self.edge),
            iter(maps),
        )
        for step in self.steps or ():
            if isinstance(step, Nonlinear):
                patch = step(patch, corner, width, next(stored))
            elif isinstance(step, Spatial):
                patch, corner, width = step(patch, corner, width)
            else:
                patch = step(patch)
        return np.asarray(patch, dtype=np.float64)

    def _drops_one_by_one(
        self, window, change, corners: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        whole = np.asarray(self.model.predict_on_batch(window))[0].astype(np.float64)
        copies, probabilities = np.repeat(window, self.batch, axis=0), []
        cells = np.stack(list(np.ndindex(*[self.edge] * 3)))
        voxel = np.full(change.shape, -1)
        voxel[: self.box.shape[0], : self.box.shape[1], : self.box.shape[2]][self.box] = np.arange(
            self.box.sum()
        )
        for start in range(0, len(corners), self.batch):
            batch = corners[start : start + self.batch]
            copies[:] = window
            for copy, corner in zip(copies, batch):
                place = tuple((corner + cells).T)
                there = voxel[place] >= 0
                copy[voxel[place][there], 0, 0] += change[place][there]
            probabilities.append(
                np.asarray(self.model.predict_on_batch(copies))[: len(batch)].astype(np.float64)
            )
        return whole - np.concatenate(probabilities), whole


def _softmax(logits) -> np.ndarray:
    logits = np.asarray(logits, dtype=np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def steps_of(model: keras.Model) -> list | None:
    """The layers from the volumes to the logits as steps for changes; None if one is of a kind that cannot be shared."""
    steps: list[Spatial | Nonlinear | Mean] = []
    margin, names = 0, [layer.name for layer in model.layers]
    before = names.index("volumes") if "volumes" in names else len(names)
    for previous, layer in zip(model.layers[before:], model.layers[before + 1 :]):
        if layer.input is not previous.output:
            return None  # a network that forks
        if isinstance(layer, VolumePadding):
            margin += layer.margin
        elif (
            isinstance(layer, VolumeConv3D)
            and layer.kernel_size == (1, 1, 1)
            and layer.strides == (1, 1, 1)
        ):
            _append_matrix(steps, np.asarray(layer.kernel)[0, 0, 0])
        elif isinstance(layer, (VolumeConv3D, DepthwiseConv3D)):
            step = Spatial.of(layer, margin)
            if step is None:
                return None
            steps.append(step)
            margin = 0
        elif isinstance(layer, layers.BatchNormalization):
            scale = np.asarray(layer.gamma) / np.sqrt(
                np.asarray(layer.moving_variance) + layer.epsilon
            )
            _append_matrix(steps, np.diag(scale))
        elif isinstance(layer, (layers.ReLU, layers.LeakyReLU)):
            steps.append(Nonlinear(layer, layer.input))
        elif isinstance(layer, layers.GlobalAveragePooling1D):
            steps.append(Mean(layer.input.shape[1]))
        elif isinstance(layer, layers.Dense) and layer.name == "logit":
            _append_matrix(steps, np.asarray(layer.kernel))
            return _mean_last(steps)
        elif not isinstance(layer, (layers.Reshape, layers.Dropout)):
            return None
    return None


def _append_matrix(steps: list, matrix: np.ndarray) -> None:
    """Add a linear map of channels: joined with the one before, or with the kernel before where it only scales."""
    scales = matrix.shape[0] == matrix.shape[1] and np.array_equal(matrix, np.diag(np.diag(matrix)))
    if steps and isinstance(steps[-1], Pointwise):
        steps[-1] = Pointwise(steps[-1].matrix @ matrix)
    elif steps and isinstance(steps[-1], Spatial) and scales:
        steps[-1] = steps[-1].scaled(np.diag(matrix))
    else:
        steps.append(Pointwise(matrix))


def _mean_last(steps: list) -> list | None:
    """Where only linear maps stand around the mean over places, take the mean first: fewer places to map."""
    means = [number for number, step in enumerate(steps) if isinstance(step, Mean)]
    if len(means) != 1 or means[0] not in (len(steps) - 2, len(steps) - 1):
        return None
    mean, after = steps.pop(means[0]), steps.pop()
    if isinstance(steps[-1], Pointwise):
        after = Pointwise(steps.pop().matrix @ after.matrix)
    return [*steps, mean, after]
