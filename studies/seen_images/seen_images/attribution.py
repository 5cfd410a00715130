"""Which voxels the decoded latents rest on: Integrated Gradients along directions in latent space, and regions left out."""

from collections.abc import Callable

from seen_images.networks import Decoder, Linear

import numpy as np
import pandas as pd
import torch


def directions(targets: np.ndarray, labels: pd.Series, wanted: pd.Series) -> np.ndarray:
    """Unit directions (n, n_outputs) of a value in latent space.

    A direction is the mean of the latents of the training images that have the value, less that of
    the others.

    Parameters
    ----------
    targets : (n_train, n_outputs). labels : (n_train,) values of an attribute. wanted : (n,) value
        of each test image. A value that no or every training image has gives NaN.
    """
    direction_of = {}
    for value in wanted.unique():
        has = (labels == value).to_numpy()
        direction_of[value] = (
            targets[has].mean(axis=0) - targets[~has].mean(axis=0)
            if has.any() and not has.all()
            else np.nan * targets[0]
        )
    return unit(np.stack([direction_of[value] for value in wanted]))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows (n, k) at length 1, in float32; rows of zeros stay."""
    length = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(length == 0, 1, length)).astype(np.float32)


def integrated_gradients(
    decoder: Decoder,
    voxels: np.ndarray,
    along: np.ndarray,
    steps: int,
    batch: int,
    device: torch.device,
) -> tuple[np.ndarray, np.ndarray]:
    """Attributions of s(x) = ⟨decoder(x), direction⟩ to voxels, from the training mean (0) to each pattern.

    Sundararajan et al. 2017 (ICML), midpoint rule. One step is exact for a linear decoder.

    Parameters
    ----------
    voxels : (n, n_voxels). along : (n, n_outputs), a direction for each pattern.

    Returns
    -------
    attributions (n, n_voxels) float32; gains s(x) − s(0), (n,) float64, which they sum to.
    """
    decoder = decoder.to(device).eval()
    steps = 1 if isinstance(decoder, Linear) else steps
    nodes = (torch.arange(steps, device=device) + 0.5) / steps
    maps, gains = np.empty_like(voxels, dtype=np.float32), np.empty(len(voxels))
    at_once = max(1, batch // steps)
    for start in range(0, len(voxels), at_once):
        x, direction = (
            torch.from_numpy(np.array(a[start : start + at_once])).to(device)
            for a in (voxels, along)
        )
        path = (nodes[:, None, None] * x).flatten(0, 1).requires_grad_(True)
        total = (decoder(path) * direction.repeat(steps, 1)).sum()
        (gradient,) = torch.autograd.grad(total, path)
        maps[start : start + at_once] = (
            (x * gradient.view(steps, *x.shape).mean(dim=0)).cpu().numpy()
        )
        with torch.no_grad():
            change = (
                (decoder(x) - decoder(torch.zeros_like(x))).cpu().double()
            )  # some GPUs have no float64
            gains[start : start + at_once] = (change * direction.cpu()).sum(dim=1).numpy()
    decoder.to("cpu")
    return maps, gains


def without_regions(
    voxels: np.ndarray, rois: np.ndarray, score: Callable[[np.ndarray], np.ndarray]
) -> dict[str, np.ndarray]:
    """Scores (n_images,) with the voxels of one region at the training mean, for each region; "" with all of them.

    Parameters
    ----------
    voxels : (n_images, n_voxels). rois : (n_voxels,). score : patterns → (n_images,).
    """
    scores = {"": score(voxels)}
    for roi in pd.unique(rois):
        scores[roi] = score(np.where(rois == roi, 0, voxels).astype(np.float32))
    return scores
