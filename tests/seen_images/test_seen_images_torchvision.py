"""Study "seen images": the networks of torchvision end to end with random weights, against torchvision's own layers."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extras of seen images: make images-test")
try:  # not among the extras: its package must fit the installed PyTorch
    import torchvision
except (ImportError, RuntimeError):
    pytest.skip("torchvision is not installed, or for another PyTorch", allow_module_level=True)

from seen_images import features  # noqa: E402

from safetensors.torch import save_file  # noqa: E402
from torchvision.models.feature_extraction import create_feature_extractor  # noqa: E402
from torchvision.transforms import InterpolationMode, Normalize, Resize  # noqa: E402

torch.set_num_threads(1)
# Name of the score's network → architecture, file, layer, pixels, resizing: MindEye2's evaluation
# code, and the publication's for EfficientNetV2-S.
NETWORKS = {
    "AlexNet(2)": ("alexnet", "alexnet", "features.4", 256, "bilinear"),
    "AlexNet(5)": ("alexnet", "alexnet", "features.11", 256, "bilinear"),
    "Inception v3": ("inception_v3", "inception_v3", "avgpool", 342, "bilinear"),
    "EfficientNet-B1": ("efficientnet_b1", "efficientnet_b1", "avgpool", 255, "bilinear"),
    "SwAV": ("resnet50", "swav_resnet50", "avgpool", 224, "bilinear"),
    "EfficientNetV2-S": ("efficientnet_v2_s", "efficientnet_v2_s", "avgpool", 384, "bicubic"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_features_are_those_of_the_layer_at_the_size_of_the_definition(name, tmp_path):
    architecture, file, layer, pixels, resize = NETWORKS[name]
    torch.manual_seed(1)
    # Pretrained Inception normalises its input again; SwAV's file has heads and no classifier.
    options = {"transform_input": True, "init_weights": False} if file == "inception_v3" else {}
    network = getattr(torchvision.models, architecture)(weights=None, **options).eval()
    state = dict(network.state_dict())
    if file == "swav_resnet50":
        state = {key: value for key, value in state.items() if not key.startswith("fc.")}
        state["prototypes.weight"] = torch.zeros(3, 2)
    save_file(
        {key: value.contiguous() for key, value in state.items()}, tmp_path / f"{file}.safetensors"
    )
    there, _ = features.networks_at_hand(str(tmp_path), None)
    pictures = np.random.default_rng(2).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    made = features.features_of(features.open_network(name, there[name], "cpu"), pictures, 1)
    ready = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    ready = Resize((pixels, pixels), InterpolationMode(resize), antialias=True)(ready).clamp(0, 1)
    ready = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))(ready)
    with torch.no_grad():
        expected = create_feature_extractor(network, [layer])(ready)[layer].flatten(1).numpy()
    assert made.shape == expected.shape
    assert np.allclose(made, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
