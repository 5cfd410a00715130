"""Features for the perceptual distance: fixed wavelets that need no file, or VGG16 from a weights file."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline import keras

import numpy as np
from skimage.filters import gabor_kernel

ORIENTATIONS, SCALES = 4, 3
CYCLES_PER_PIXEL = 0.25  # on each scale; a scale has half the pixels of the one before
VGG_BLOCKS = tuple(f"block{number}_pool" for number in range(1, 6))
VGG_PIXELS = 224


def features_of(cfg) -> Callable:
    """The function that PERCEPTUAL names: images (n, height, width, 3) in 0 … 1 → list of feature maps (n, h, w, c)."""
    return vgg16(cfg.PERCEPTUAL_WEIGHTS) if cfg.PERCEPTUAL == "vgg16" else scattering


def scattering(images) -> list:
    """Moduli of Gabor wavelets on three scales, and of these moduli: the first two layers of a scattering transform.

    After Bruna & Mallat 2013, IEEE Trans. Pattern Anal. 35:1872. Wavelets see the brightness; each
    map also holds the local means of the colours, so that flat places have a direction too. Kernels
    are scikit-image's.
    """
    maps, x, second = [], images, None
    for _ in range(SCALES):
        edges = _modulus(keras.ops.mean(x, axis=-1, keepdims=True))
        second = edges if second is None else second
        x = _halved(x)
        maps.append(keras.ops.concatenate([x, edges], axis=-1))
    return [*maps, keras.ops.concatenate([maps[1][..., :3], _modulus(second)], axis=-1)]


def _modulus(x):
    """Amplitudes of ``ORIENTATIONS`` quadrature pairs for every channel, at every second place of both axes.

    (n, h, w, c) → (n, h / 2, w / 2, c · ORIENTATIONS).
    """
    height, width, channels = x.shape[1:]
    alone = keras.ops.reshape(keras.ops.transpose(x, (0, 3, 1, 2)), (-1, height, width, 1))
    pairs = keras.ops.square(keras.ops.conv(alone, wavelets(), strides=2, padding="same"))
    amplitude = keras.ops.sqrt(pairs[..., :ORIENTATIONS] + pairs[..., ORIENTATIONS:] + 1e-6)
    height, width = amplitude.shape[1:3]
    amplitude = keras.ops.reshape(amplitude, (-1, channels, height, width, ORIENTATIONS))
    amplitude = keras.ops.transpose(amplitude, (0, 2, 3, 1, 4))
    return keras.ops.reshape(amplitude, (-1, height, width, channels * ORIENTATIONS))


def _halved(x):
    return keras.ops.average_pool(x, 2, 2, padding="same")


@cache
def wavelets() -> np.ndarray:
    """(k, k, 1, 2 · ORIENTATIONS) float32: real parts, then imaginary parts, each with mean 0."""
    angles = np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS
    kernels = [
        gabor_kernel(CYCLES_PER_PIXEL, theta=angle, bandwidth=1.5, n_stds=2) for angle in angles
    ]
    size = max(max(kernel.shape) for kernel in kernels)
    padded = np.stack(
        [np.pad(k, [((size - n) // 2, (size - n) // 2) for n in k.shape]) for k in kernels], axis=-1
    )
    padded = padded - padded.mean(axis=(0, 1))
    return np.concatenate([padded.real, padded.imag], axis=-1)[:, :, None].astype(np.float32)


def vgg16(weights: str) -> Callable:
    """Features after the five poolings of VGG16 (Simonyan & Zisserman 2015), as published; no gradient changes it.

    Parameters
    ----------
    weights : a Keras weights file of VGG16 without its top.

    Raises
    ------
    NeuroFaceError
        If the file is not there or holds something else.
    """
    if not Path(weights).is_file():
        raise NeuroFaceError(
            f"PERCEPTUAL_WEIGHTS = {weights} is not there. Put Keras' weights of VGG16 without its top there."
        )
    try:
        whole = keras.applications.VGG16(
            include_top=False, weights=weights, input_shape=(VGG_PIXELS, VGG_PIXELS, 3)
        )
    except (ValueError, OSError, KeyError) as error:
        raise NeuroFaceError(
            f"PERCEPTUAL_WEIGHTS = {weights} does not hold weights of VGG16 without its top ({error}). Name that file."
        ) from None
    network = keras.Model(whole.input, [whole.get_layer(name).output for name in VGG_BLOCKS])
    network.trainable = False

    def features(images) -> list:
        large = keras.ops.image.resize(images, (VGG_PIXELS, VGG_PIXELS))
        return network(keras.applications.vgg16.preprocess_input(255 * large), training=False)

    return features
