"""Autoencoders of latent diffusion models, and how the folders that hold them are told apart.

Number of channels, size and scale of the latents are read from a folder's configuration or from its
weights. Rombach et al. 2022 (CVPR) for the variational autoencoder; Bohan 2023 (github
madebyollin/taesd, MIT) for the tiny ones, which imitate it.
"""

from pathlib import Path
from typing import NamedTuple

from neuroface import NeuroFaceError
from neuroface.pipeline import read_json

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file
from torch import nn

VAE_FILES = ("vae/config.json", "vae/diffusion_pytorch_model.safetensors")
TINY_ENDINGS = (".safetensors", ".pth")


class Layout(NamedTuple):
    """What a folder of weights holds.

    Attributes
    ----------
    line : for people. draws : whether this study draws with it. channels : of its latents. files :
    of its autoencoder.
    """

    line: str
    draws: bool
    channels: int
    files: tuple[str, ...]


def layout_of(folder: Path) -> Layout:
    """Tell Stable Diffusion v1, SDXL, unCLIP, Flux, an autoencoder alone, and a tiny autoencoder apart by their files.

    Raises
    ------
    NeuroFaceError
        If the folder holds none of them.
    """
    if tiny := tiny_files(folder):
        channels = output_channels(read_state(folder / tiny[0]))
        line = f"a tiny autoencoder ({channels} channels): it encodes and decodes pictures, and draws none"
        return Layout(line, False, channels, tiny)
    if not (folder / "vae").is_dir():
        raise NeuroFaceError(
            f"MODEL_DIR = {folder} holds no autoencoder: neither vae/ as in diffusers' layout nor files "
            "<name>_encoder and <name>_decoder (.safetensors, .pth). Name the folder that holds one of them."
        )
    vae = _configuration(folder / VAE_FILES[0])
    channels = int(vae.get("latent_channels", 4))
    if (folder / "transformer").is_dir():
        shift = vae.get("shift_factor") or 0
        line = f"a Flux-type model ({channels} channels, shifted by {shift:g}): it is not drawn with here"
        return Layout(line, False, channels, VAE_FILES)
    unclip = [name for name in ("image_encoder", "image_normalizer") if (folder / name).is_dir()]
    if (folder / "text_encoder_2").is_dir() or unclip:
        kind = " and ".join(
            ["SDXL"] * (folder / "text_encoder_2").is_dir() + ["unCLIP"] * bool(unclip)
        )
        line = f"{kind} ({channels} channels): its U-Net wants more than a text embedding, and is not drawn with here"
        return Layout(line, False, channels, VAE_FILES)
    if (folder / "unet").is_dir():
        return Layout(
            f"Stable Diffusion v1 or 2 ({channels} channels): drawn with", True, channels, VAE_FILES
        )
    line = f"an autoencoder alone ({channels} channels): it encodes and decodes pictures, and draws none"
    return Layout(line, False, channels, VAE_FILES)


def _configuration(file: Path) -> dict:
    """Settings of an autoencoder; {} if the file is missing or damaged, which is named when it is loaded."""
    try:
        return read_json(file)
    except (OSError, ValueError, NeuroFaceError):
        return {}


def tiny_files(folder: Path) -> tuple[str, ...]:
    """Names of the encoder's and the decoder's file of a tiny autoencoder; () if the folder holds none, or one only."""
    for ending in TINY_ENDINGS:
        for encoder in sorted(folder.glob(f"*_encoder{ending}")):
            decoder = encoder.name.replace("_encoder", "_decoder")
            if (folder / decoder).exists():
                return encoder.name, decoder
    return ()


class Variational(nn.Module):
    """diffusers' AutoencoderKL, with latents less the shift and times the scale that its configuration states."""

    def __init__(self, vae: AutoencoderKL):
        super().__init__()
        self.vae = vae
        self.scale = vae.config.scaling_factor
        self.shift = vae.config.get("shift_factor") or 0.0
        self.channels = vae.config.latent_channels
        self.pixels_per_latent = 2 ** (len(vae.config.block_out_channels) - 1)

    def encode(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and SD (n, channels, h, w) of the latents of pictures (n, 3, height, width) in [-1, 1]."""
        posterior = self.vae.encode(pictures).latent_dist
        return (posterior.mean - self.shift) * self.scale, posterior.std * self.scale

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pictures (n, 3, height, width) in about [-1, 1]."""
        return self.vae.decode(latents / self.scale + self.shift).sample


class Tiny(nn.Module):
    """A tiny autoencoder from the weights of its encoder and its decoder. Its latents have no spread."""

    def __init__(self, encoder: dict[str, torch.Tensor], decoder: dict[str, torch.Tensor]):
        super().__init__()
        self.channels = output_channels(encoder)
        self.encoder, self.decoder = tiny_encoder(encoder), tiny_decoder(decoder)
        strides = [layer.stride[0] for layer in self.encoder if isinstance(layer, nn.Conv2d)]
        self.pixels_per_latent = int(torch.tensor(strides).prod())

    def encode(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents (n, channels, h, w) of pictures (n, 3, height, width) in [-1, 1], and zeros."""
        latents = self.encoder(pictures / 2 + 0.5)
        return latents, torch.zeros_like(latents)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Pictures (n, 3, height, width) in about [-1, 1]."""
        return 2 * self.decoder(latents) - 1


class _Block(nn.Module):
    """Three convolutions beside a skip; where the weights have it, a bottleneck with group normalisation before."""

    def __init__(self, state: dict[str, torch.Tensor]):
        super().__init__()
        self.pool = self.skip = None
        if "pool.0.weight" in state:
            wide, narrow = state["pool.0.weight"].shape[:2]
            self.pool = nn.Sequential(
                nn.Conv2d(narrow, wide, 1, bias=False), nn.GroupNorm(4, wide), nn.ReLU(),
                nn.Conv2d(wide, narrow, 1, bias=False),
            )  # fmt: skip
        n_out, n_in = state["conv.0.weight"].shape[:2]
        self.conv = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU(), nn.Conv2d(n_out, n_out, 3, padding=1), nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, padding=1),
        )  # fmt: skip
        if "skip.weight" in state:
            self.skip = nn.Conv2d(n_in, n_out, 1, bias=False)
        self.load_state_dict(state)

    def forward(self, values):
        if self.pool is not None:
            values = values + self.pool(values)
        beside = values if self.skip is None else self.skip(values)
        return torch.relu(self.conv(values) + beside)


class _Clamp(nn.Module):
    def forward(self, values):
        return 3 * torch.tanh(values / 3)


def tiny_encoder(state: dict[str, torch.Tensor]) -> nn.Sequential:
    """Layers by position; a convolution without a bias halves height and width."""
    layers = _layers_by_position(state)
    return nn.Sequential(*(_layer(layers[n], stride=2) for n in range(max(layers) + 1)))


def tiny_decoder(state: dict[str, torch.Tensor]) -> nn.Sequential:
    """Layers by position. Those without weights: a clamp (0), a ReLU (2), else an upsampling by 2."""
    layers = _layers_by_position(state)
    plain = {0: _Clamp(), 2: nn.ReLU()}
    return nn.Sequential(
        *(
            _layer(layers[n], stride=1)
            if n in layers
            else plain.get(n, nn.Upsample(scale_factor=2))
            for n in range(max(layers) + 1)
        )
    )


def _layers_by_position(
    state: dict[str, torch.Tensor],
) -> dict[int, dict[str, torch.Tensor]]:
    """``{"3.conv.0.weight": …}`` → ``{3: {"conv.0.weight": …}}``."""
    layers: dict[int, dict[str, torch.Tensor]] = {}
    for name, values in state.items():
        position, _, rest = name.partition(".")
        layers.setdefault(int(position), {})[rest] = values
    return layers


def _layer(state: dict[str, torch.Tensor], stride: int) -> nn.Module:
    if "weight" not in state:
        return _Block(state)
    n_out, n_in, size, _ = state["weight"].shape
    bias = "bias" in state
    layer = nn.Conv2d(n_in, n_out, size, 1 if bias else stride, size // 2, bias=bias)
    layer.load_state_dict(state)
    return layer


def output_channels(encoder: dict[str, torch.Tensor]) -> int:
    """Channels of the latents: outputs of the encoder's last convolution."""
    layers = _layers_by_position(encoder)
    return len(layers[max(layers)]["weight"])


def read_state(file: Path) -> dict[str, torch.Tensor]:
    """Weights of a safetensors file, or of a PyTorch file, read with ``weights_only``, which executes nothing."""
    if file.suffix == ".safetensors":
        state = load_file(file)
    else:
        state = torch.load(file, map_location="cpu", weights_only=True)
    return {name: values.float() for name, values in state.items()}
