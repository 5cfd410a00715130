"""Autoencoders other than Stable Diffusion's, and folders of weights told apart by their files."""

import json

from neuroface import NeuroFaceError

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extras of seen images: make images-test")
pytest.importorskip("diffusers", reason="needs the extras of seen images: make images-test")
from seen_images import autoencoders, generator  # noqa: E402

from diffusers import AutoencoderKL  # noqa: E402
from torch import nn  # noqa: E402

torch.set_num_threads(1)


def block(n, bottleneck=False):
    """Weights of a block as the tiny autoencoders name them."""
    torch.manual_seed(n)
    state = {f"conv.{k}.{kind}": 0.1 * torch.randn((n, n, 3, 3) if kind == "weight" else n)
             for k in (0, 2, 4) for kind in ("weight", "bias")}  # fmt: skip
    if bottleneck:
        state |= {
            "pool.0.weight": 0.1 * torch.randn(4 * n, n, 1, 1),
            "pool.1.weight": torch.ones(4 * n),
            "pool.1.bias": torch.zeros(4 * n),
            "pool.3.weight": 0.1 * torch.randn(n, 4 * n, 1, 1),
        }
    return state


def numbered(layers):
    return {f"{n}.{name}": values for n, state in layers.items() for name, values in state.items()}


def tiny_states(channels=5, n=8):
    """Encoder and decoder with two halvings; like the released ones, strided convolutions have no bias."""
    torch.manual_seed(0)
    weight = lambda n_out, n_in: 0.2 * torch.randn(n_out, n_in, 3, 3)  # noqa: E731
    encoder = {0: {"weight": weight(n, 3), "bias": torch.zeros(n)}, 1: block(n), 2: {"weight": weight(n, n)},
               3: block(n, True), 4: {"weight": weight(n, n)},
               5: {"weight": weight(channels, n), "bias": torch.zeros(channels)}}  # fmt: skip
    decoder = {1: {"weight": weight(n, channels), "bias": torch.zeros(n)}, 3: block(n, True), 5: {"weight": weight(n, n)},
               7: {"weight": weight(n, n)}, 8: {"weight": weight(3, n), "bias": torch.zeros(3)}}  # fmt: skip
    return numbered(encoder), numbered(decoder)


def write_tiny(folder, ending=".pth"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, state in zip(("encoder", "decoder"), tiny_states()):
        torch.save(state, folder / f"small_{name}{ending}")
    return folder


def test_channels_and_size_of_a_tiny_autoencoder_are_those_of_its_weights(tmp_path):
    made = generator.Generator(write_tiny(tmp_path / "tiny"), "cpu", "float32")
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    latents = made.encode([picture, picture], 32)
    assert made.autoencoder.pixels_per_latent == 4 and latents.shape == (2, 5, 8, 8)
    assert made.decode(latents).shape == (2, 32, 32, 3)
    with pytest.raises(NeuroFaceError, match="ENCODE_PIXELS = 30, and a latent .* has 4 pixels"):
        made.encode([picture], 30)


def test_a_block_is_what_its_weights_say():
    """The bottleneck and the convolutions, computed with PyTorch's functions alone."""
    state = block(8, bottleneck=True)
    values = torch.randn(2, 8, 6, 6)
    F = nn.functional
    wide = F.conv2d(values, state["pool.0.weight"])
    wide = F.relu(F.group_norm(wide, 4, state["pool.1.weight"], state["pool.1.bias"]))
    x = values + F.conv2d(wide, state["pool.3.weight"])
    y = x
    for k in (0, 2, 4):
        y = F.conv2d(y, state[f"conv.{k}.weight"], state[f"conv.{k}.bias"], padding=1)
        y = F.relu(y) if k < 4 else y
    assert torch.allclose(autoencoders._Block(state)(values), F.relu(x + y), atol=1e-5)


def test_a_decoder_clamps_its_latents_and_doubles_height_and_width():
    _, decoder = tiny_states()
    layers = autoencoders.tiny_decoder(decoder)
    assert torch.allclose(
        layers[0](torch.tensor([3.0, -100.0])), torch.tensor([2.2848, -3.0]), atol=1e-4
    )
    assert layers(torch.zeros(1, 5, 2, 3)).shape == (1, 3, 8, 12)


def test_shift_and_scale_of_latents_are_read_from_the_configuration():
    torch.manual_seed(0)
    blocks = {
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
    }
    vae = AutoencoderKL(block_out_channels=(8, 8), latent_channels=16, norm_num_groups=4, scaling_factor=0.36,
                        shift_factor=0.12, **blocks).eval()  # fmt: skip
    made, pictures = autoencoders.Variational(vae), torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        latents, spread = made.encode(pictures)
        posterior = vae.encode(pictures).latent_dist
        assert torch.allclose(latents, (posterior.mean - 0.12) * 0.36, atol=1e-6)
        assert torch.allclose(spread, posterior.std * 0.36, atol=1e-6)
        assert torch.allclose(made.decode(latents), vae.decode(posterior.mean).sample, atol=1e-4)
    assert (made.channels, made.pixels_per_latent) == (16, 2)


@pytest.mark.parametrize(
    "folders, vae, line",
    [
        (("vae", "unet", "text_encoder"), {"latent_channels": 4}, "Stable Diffusion v1 or 2 (4 channels)"),
        (("vae", "unet", "text_encoder_2"), {"latent_channels": 4}, "SDXL (4 channels)"),
        (("vae", "unet", "image_encoder"), {"latent_channels": 4}, "unCLIP (4 channels)"),
        (("vae", "unet", "text_encoder_2", "image_encoder"), {}, "SDXL and unCLIP (4 channels)"),
        (("vae", "transformer"), {"latent_channels": 16, "shift_factor": 0.1159}, "(16 channels, shifted by 0.1159)"),
        (("vae",), {"latent_channels": 32}, "an autoencoder alone (32 channels)"),
    ],
)  # fmt: skip
def test_layouts_are_told_apart(tmp_path, folders, vae, line):
    for name in folders:
        (tmp_path / name).mkdir()
    (tmp_path / "vae" / "config.json").write_text(json.dumps(vae))
    layout = autoencoders.layout_of(tmp_path)
    assert line in layout.line and layout.draws == line.startswith("Stable Diffusion")


def test_a_folder_that_cannot_be_drawn_with_says_what_can_be_done(tmp_path):
    tiny = write_tiny(tmp_path / "tiny")
    with pytest.raises(
        NeuroFaceError, match=r"It is a tiny autoencoder \(5 channels\).* set DRAW = False"
    ):
        generator.check_folder(str(tiny))
    assert generator.check_folder(str(tiny), draws=False, texts=False) == tiny
    with pytest.raises(
        NeuroFaceError, match=r"lacks tokenizer/vocab.json.* set TEXT_DECODERS = \(\)"
    ):
        generator.check_folder(str(tiny), draws=False)
    (tiny / "small_decoder.pth").unlink()
    with pytest.raises(NeuroFaceError, match="holds no autoencoder"):
        generator.check_folder(str(tiny), draws=False, texts=False)


def test_results_of_another_tiny_autoencoder_are_refused(tmp_path):
    tiny = write_tiny(tmp_path / "tiny")
    record = tmp_path / "generator.json"
    generator.check_weights(record, tiny, ("vae",), tmp_path)
    assert set(json.loads(record.read_text())) == {"small_encoder.pth", "small_decoder.pth"}
    state = torch.load(tiny / "small_encoder.pth", weights_only=True)
    torch.save({name: values + 1 for name, values in state.items()}, tiny / "small_encoder.pth")
    with pytest.raises(NeuroFaceError, match="made with another small_encoder.pth"):
        generator.check_weights(record, tiny, ("vae",), tmp_path)
