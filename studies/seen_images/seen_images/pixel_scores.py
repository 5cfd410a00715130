"""Scores that need both pictures at once, each named with its pixels and window.

Two definitions of pixel correlation and structural similarity (SSIM; Wang et al. 2004) are in use.
The field's (MindEye and MindEye2, Scotti et al. 2023, 2024): pictures at 425 pixels, SSIM of grey
values with a Gaussian window of 1.5 pixels SD. The publication's: 512 pixels, SSIM of grey values
with a uniform window of 7 × 7 pixels. They give different numbers for the same pictures.
"""

from seen_images.features import open_lpips
from seen_images.pictures import colour_of_shape
from seen_images.scores import similarity

import numpy as np
import torch
from skimage.color import rgb2gray
from skimage.metrics import structural_similarity
from torch.nn import functional as F

LPIPS, COLOUR = "LPIPS", "colour of the shape"
PIXEL_CORRELATION, SSIM = "pixel correlation", "SSIM"
PUBLISHED_PIXELS = 512
PUBLISHED_PIXEL_CORRELATION = f"{PIXEL_CORRELATION} ({PUBLISHED_PIXELS} px)"
PUBLISHED_SSIM = f"{SSIM} ({PUBLISHED_PIXELS} px, 7 × 7 window)"
PUBLISHED_ON = ("nsd", "things")  # data sets that the publication has numbers of
COMPARABLE_PIXELS = 64  # of smaller pictures pixel scores are higher: fine texture is gone


def pixel_correlation_name(cfg) -> str:
    return f"{PIXEL_CORRELATION} ({cfg.SCORE_PIXELS} px)"


def ssim_name(cfg) -> str:
    return f"{SSIM} ({cfg.SCORE_PIXELS} px, Gaussian window)"


def pairwise_measures(networks: dict[str, str], cfg) -> list[str]:
    """The field's definitions; the publication's where its numbers are of the same data; LPIPS if its weights are there."""
    names = [pixel_correlation_name(cfg), ssim_name(cfg)]
    if cfg.DATASET in PUBLISHED_ON:
        names += [PUBLISHED_PIXEL_CORRELATION, PUBLISHED_SSIM]
    if LPIPS in networks:
        names.append(LPIPS)
    if cfg.DATASET == "demo":
        names.append(COLOUR)
    return list(dict.fromkeys(names))


def pair_scores(
    measure: str, drawn: np.ndarray, seen: np.ndarray, networks: dict[str, str], cfg
) -> np.ndarray:
    """A measure (n_drawings,) of drawings (n_drawings, h, w, 3) with a seen picture (h, w, 3), uint8."""
    if measure == COLOUR:
        return np.array(
            [float(colour_of_shape(picture) == colour_of_shape(seen)) for picture in drawn]
        )
    if measure == LPIPS:
        return _lpips(drawn, seen, networks[LPIPS], cfg.DEVICE)
    as_published = measure in (PUBLISHED_PIXEL_CORRELATION, PUBLISHED_SSIM)
    pixels = PUBLISHED_PIXELS if as_published else cfg.SCORE_PIXELS
    drawn, seen = at_size(drawn, pixels), at_size(seen[None], pixels)
    if measure.startswith(PIXEL_CORRELATION):
        return similarity(drawn, seen)[:, 0]
    window = (
        {}
        if as_published
        else {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    )
    grey = rgb2gray(seen[0])
    return np.array(
        [
            structural_similarity(rgb2gray(picture), grey, data_range=1, **window)
            for picture in drawn
        ]
    )


def at_size(pictures: np.ndarray, pixels: int) -> np.ndarray:
    """Pictures (n, height, width, 3) uint8 as (n, pixels, pixels, 3) float32 in 0 … 1, bilinear."""
    ready = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 255
    if ready.shape[-2:] != (pixels, pixels):
        ready = F.interpolate(
            ready, (pixels, pixels), mode="bilinear", antialias=True, align_corners=False
        )
    return ready.permute(0, 2, 3, 1).contiguous().numpy()


def _lpips(drawn: np.ndarray, seen: np.ndarray, file: str, device: str) -> np.ndarray:
    network = open_lpips(file, device)
    ready = [
        torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float().to(network.shift.device)
        / 127.5
        - 1
        for pictures in (drawn, seen[None])
    ]
    with torch.no_grad():
        return network(ready[0], ready[1].expand_as(ready[0])).cpu().numpy()
