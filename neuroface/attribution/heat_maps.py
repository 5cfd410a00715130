"""Heat maps: Grad-CAM over space, attention rollout over time and space."""

from neuroface import NeuroFaceError
from neuroface.decoding import ToVolumes
from neuroface.pipeline import gradient_of, keras

import numpy as np
from scipy import ndimage

ops = keras.ops


class GradCAM:
    """Feature maps of the last convolution, weighted by the mean gradient of the logit, volume by volume.

    After Selvaraju et al. 2017 (ICCV), without its rectifier, so that maps for the two conditions
    differ in sign only. A map is as coarse as the last convolution.

    Parameters
    ----------
    model : a network with a layer of feature maps (n, window_trs, x, y, z, channels). batch :
    windows per pass.

    Raises
    ------
    NeuroFaceError
        If it has no such layer.
    """

    def __init__(self, model: keras.Model, batch: int):
        maps = _feature_maps(model)
        if not maps:
            raise NeuroFaceError(
                f"ATTRIBUTION_METHODS: grad-cam needs convolutions over volumes; {model.name} has none. Set "
                f'EXPLAINED_MODEL to "cnn3d" or "hybrid", or leave grad-cam out.'
            )
        self.paths_per_pass = batch
        self._box = _box(model)
        self._features = keras.Model(model.input, maps[-1])
        self._head = keras.Model(maps[-1], model.get_layer("logit").output)
        self._gradient = gradient_of(
            lambda features: (ops.sum(self._head(features, training=False)), features), self._head
        )

    def __call__(
        self, windows: np.ndarray, baselines: np.ndarray, gains: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Maps (n, n_voxels, window_trs) for the logit, and steps (n,), 1 each."""
        features = self._features.predict_on_batch(windows[..., None])
        gradients = np.asarray(self._gradient(features)[1])
        heat = (features * gradients.mean(axis=(2, 3, 4), keepdims=True)).sum(axis=-1)
        return _at_voxels(heat, self._box), np.ones(len(windows), dtype=int)


class AttentionRollout:
    """Volumes, and in the hybrid also places, that attention uses, through all layers (Abnar & Zuidema 2020, ACL).

    Each layer counts as half the identity and half the attention (mean over heads). The product
    over layers gives the share of each volume in the decoder's mean. Maps are such shares: they are
    positive, sum to 1 over a window, and do not depend on the label.

    Parameters
    ----------
    model : a network with MultiHeadAttention over time, over the places of each volume, or both.
        Over time is needed for windows of more than one volume.

    Raises
    ------
    NeuroFaceError
        If it has no such layer.
    """

    def __init__(self, model: keras.Model, batch: int):
        layers = [
            layer for layer in model.layers if isinstance(layer, keras.layers.MultiHeadAttention)
        ]
        layers = [
            layer for layer in layers if isinstance(layer.output, (tuple, list))
        ]  # those that return scores
        over_time = [layer.output[1] for layer in layers if layer.attention_axes == (1,)]
        over_space = [layer.output[1] for layer in layers if layer.attention_axes == (2,)]
        self.paths_per_pass, self._shape = batch, model.input_shape[1:3]
        if not over_time and not (
            over_space and self._shape[1] == 1
        ):  # a single volume has no time to attend to
            raise NeuroFaceError(
                f"ATTRIBUTION_METHODS: attention-rollout needs attention over time; {model.name} has none. Set "
                f'EXPLAINED_MODEL to "transformer" or "hybrid", or leave attention-rollout out.'
            )
        if over_space:
            self._box, self._places = _box(model), _feature_maps(model)[-1].shape[2:5]
        self._scores = keras.Model(model.input, [over_time, over_space])

    def __call__(
        self, windows: np.ndarray, baselines: np.ndarray, gains: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Maps (n, n_voxels, window_trs), and steps (n,), 1 each."""
        n_voxels, window_trs = self._shape
        over_time, over_space = self._scores.predict_on_batch(windows[..., None])
        volumes = np.ones((len(windows), window_trs))
        if over_time:
            volumes = rollout([scores.mean(axis=1) for scores in over_time])  # (n, window_trs)
        places = np.full((len(windows), n_voxels, window_trs), 1 / n_voxels, dtype=np.float32)
        if over_space:
            shares = rollout(
                [scores.mean(axis=2) for scores in over_space]
            )  # (n, window_trs, n_places)
            places = _at_voxels(shares.reshape(*shares.shape[:2], *self._places), self._box)
            places /= places.sum(axis=1, keepdims=True)
        return places * volumes[:, None], np.ones(len(windows), dtype=int)


def rollout(scores: list[np.ndarray]) -> np.ndarray:
    """Share of each token in the mean of the last layer's tokens.

    Parameters
    ----------
    scores : per layer, from the first, (…, n_tokens, n_tokens): how much each token (row) uses each
    token (column).

    Returns
    -------
    (…, n_tokens), with a sum of 1.
    """
    total = np.eye(scores[0].shape[-1])
    for layer in scores:
        total = (layer + np.eye(layer.shape[-1])) / 2 @ total
    return total.mean(axis=-2)


def _feature_maps(model: keras.Model) -> list:
    """Outputs (n, window_trs, x, y, z, channels), in the order of the layers."""
    outputs = [keras.tree.flatten(layer.output)[0] for layer in model.layers]
    return [output for output in outputs if len(output.shape) == 6]


def _box(model: keras.Model) -> np.ndarray:
    return next(layer.box for layer in model.layers if isinstance(layer, ToVolumes))


def _at_voxels(heat: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Coarse maps (n, window_trs, x, y, z), linearly interpolated at voxels of ``box``: (n, n_voxels, window_trs)."""
    factors = np.array(box.shape) / heat.shape[2:]
    fine = ndimage.zoom(heat, (1, 1, *factors), order=1, mode="nearest", grid_mode=True)
    return np.ascontiguousarray(np.swapaxes(fine[:, :, box], 1, 2), dtype=np.float32)
