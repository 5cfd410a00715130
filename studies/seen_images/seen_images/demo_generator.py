"""The demo's generator: Stable Diffusion's own parts in tiny sizes, trained on synthetic pictures with captions.

The folder has the layout of Stable Diffusion v1 (Rombach et al. 2022, CVPR), and beside it
``clip_vision``, the vision tower of the CLIP (Radford et al. 2021, ICML) whose text tower
conditions the U-Net.
"""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from seen_images.pictures import (
    BACKGROUNDS,
    COLOURS,
    PIXELS,
    SHAPES,
    captions_of,
    draw_scene,
    random_scenes,
)

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch.nn import functional as F
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

WIDTH, DROPPED_CAPTIONS, KL_WEIGHT = 64, 0.1, 1e-4
TOKENS = 77  # as CLIP's text model reads them
START, END = "<|startoftext|>", "<|endoftext|>"


class PictureBatches:
    """Endless batches of new pictures with a caption each."""

    def __init__(self, seed: int):
        self._rng = np.random.default_rng(seed)

    def batch(self, n: int) -> tuple[torch.Tensor, list[str]]:
        """Pictures (n, 3, PIXELS, PIXELS) in [-1, 1], and captions."""
        scenes = list(random_scenes(n, self._rng).itertuples(index=False))
        pictures = np.stack([draw_scene(scene, self._rng) for scene in scenes])
        captions = [str(self._rng.choice(captions_of(scene))) for scene in scenes]
        return as_tensor(pictures), captions


def as_tensor(pictures: np.ndarray) -> torch.Tensor:
    """(n, height, width, 3) uint8 as (n, 3, height, width) float32 in [-1, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


# ---------------------------------------------------------------- the parts


def write_tokenizer(folder: Path) -> None:
    """``vocab.json`` and ``merges.txt`` of CLIP's byte-pair encoding, with a token for every word of the captions."""
    words = [*SHAPES, *COLOURS, *BACKGROUNDS, "a", "on", "with"]
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    vocabulary, merges = [*letters, *(letter + "</w>" for letter in letters)], []
    for word in words:
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            pair = (parts[0], parts[1])
            if pair not in merges:
                merges.append(pair)
            parts = [parts[0] + parts[1], *parts[2:]]
            if parts[0] not in vocabulary:
                vocabulary.append(parts[0])
    folder.mkdir(parents=True, exist_ok=True)
    numbered = {token: number for number, token in enumerate([*vocabulary, START, END])}
    (folder / "vocab.json").write_text(json.dumps(numbered))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))


def new_tokenizer(folder: Path) -> CLIPTokenizer:
    write_tokenizer(folder)
    tokenizer = CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=TOKENS, bos_token=START, eos_token=END,
        unk_token=END, pad_token=END,
    )  # fmt: skip
    return tokenizer


def new_vae() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 64), layers_per_block=1, latent_channels=4, norm_num_groups=4,
        sample_size=PIXELS,
    )  # fmt: skip


def new_clip(tokenizer: CLIPTokenizer) -> CLIPModel:
    tower = dict(
        hidden_size=WIDTH, intermediate_size=2 * WIDTH, num_hidden_layers=3, num_attention_heads=4
    )
    end = tokenizer.eos_token_id
    text = tower | dict(
        vocab_size=len(tokenizer), max_position_embeddings=TOKENS, eos_token_id=end, pad_token_id=end,
        bos_token_id=tokenizer.bos_token_id, projection_dim=WIDTH,
    )  # fmt: skip
    vision = tower | dict(image_size=PIXELS, patch_size=4, projection_dim=WIDTH)
    return CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=WIDTH))


def new_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=PIXELS // 4, in_channels=4, out_channels=4, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), block_out_channels=(48, 96), layers_per_block=1,
        cross_attention_dim=WIDTH, attention_head_dim=4, norm_num_groups=8,
    )  # fmt: skip


def new_scheduler() -> DDIMScheduler:
    """The noise schedule of Stable Diffusion v1."""
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip


# ---------------------------------------------------------------- training


def train(
    parameters,
    loss_of: Callable[[int], torch.Tensor],
    steps: int,
    rate: float,
    tell: Callable[[int, float], None],
) -> None:
    """AdamW with a step size that rises over the first 5 % of the steps and then falls to 0 along a cosine."""
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, pct_start=0.05
    )
    for step in range(steps):
        loss = loss_of(step)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(
            [p for group in optimizer.param_groups for p in group["params"]], 1.0
        )
        optimizer.step()
        schedule.step()
        tell(step + 1, loss.item())


def train_vae(vae: AutoencoderKL, pictures: PictureBatches, steps: int, tell) -> None:
    """Reconstruction (absolute and squared error) and a little Kullback–Leibler divergence; ``scaling_factor`` is 1 / SD."""

    def loss_of(_):
        batch, _ = pictures.batch(16)
        posterior = vae.encode(batch).latent_dist
        made = vae.decode(posterior.sample()).sample
        return (
            F.l1_loss(made, batch)
            + F.mse_loss(made, batch)
            + KL_WEIGHT * posterior.kl().mean() / made[0].numel()
        )

    train(vae.parameters(), loss_of, steps, 2e-3, tell)
    vae.eval()
    with torch.no_grad():
        latents = vae.encode(pictures.batch(256)[0]).latent_dist.mean
    vae.register_to_config(scaling_factor=float(1 / latents.std()))


def train_clip(
    clip: CLIPModel, tokenizer: CLIPTokenizer, pictures: PictureBatches, steps: int, tell
) -> None:
    """The contrastive loss, with captions that fit several pictures of a batch counted as right for each of them."""

    def loss_of(_):
        batch, captions = pictures.batch(64)
        out = clip(pixel_values=batch, **tokens_of(captions, tokenizer))
        content = [
            tuple(sorted(set(caption.split()) - {"a", "on", "with"})) for caption in captions
        ]
        same = torch.tensor([[a == b for a in content] for b in content], dtype=torch.float32)
        target = same / same.sum(dim=1, keepdim=True)
        return (
            F.cross_entropy(out.logits_per_text, target)
            + F.cross_entropy(out.logits_per_image, target)
        ) / 2

    train(clip.parameters(), loss_of, steps, 1e-3, tell)
    clip.eval()


def train_unet(
    unet: UNet2DConditionModel, vae, text_encoder, tokenizer, pictures, steps: int, tell
) -> None:
    """Predict the noise in noisy latents, from the caption's embedding; a tenth of the captions are left empty.

    The weights that are kept are a moving average over the last five hundred steps.
    """
    scheduler, n = new_scheduler(), min(16384, 32 * steps)
    averaged = torch.optim.swa_utils.AveragedModel(
        unet, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998)
    )
    with torch.no_grad():
        parts = [pictures.batch(min(64, n)) for _ in range(0, n, 64)]
        latents = (
            torch.cat([vae.encode(drawn).latent_dist.mean for drawn, _ in parts])
            * vae.config.scaling_factor
        )
        texts = torch.cat(
            [text_encoder(**tokens_of(captions, tokenizer))[0][:, :15] for _, captions in parts]
        )
        empty = text_encoder(**tokens_of([""], tokenizer))[0][:, :15]

    def loss_of(_):
        rows, time = torch.randint(len(latents), (32,)), torch.randint(0, 1000, (32,))
        dropped = (torch.rand(len(rows)) < DROPPED_CAPTIONS)[:, None, None]
        noise = torch.randn_like(latents[rows])
        noisy = scheduler.add_noise(latents[rows], noise, time)
        return F.mse_loss(unet(noisy, time, torch.where(dropped, empty, texts[rows])).sample, noise)

    def tell_and_average(step, loss):
        averaged.update_parameters(unet)
        tell(step, loss)

    train(unet.parameters(), loss_of, steps, 2e-3, tell_and_average)
    unet.load_state_dict(averaged.module.state_dict())
    unet.eval()


def tokens_of(captions: list[str], tokenizer: CLIPTokenizer) -> dict[str, torch.Tensor]:
    """Padded to all tokens, without a mask, as Stable Diffusion's pipelines do it."""
    tokens = tokenizer(
        captions, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt"
    )
    return {"input_ids": tokens.input_ids}


# ---------------------------------------------------------------- the folder


def towers_of(clip: CLIPModel) -> tuple[CLIPTextModel, CLIPVisionModelWithProjection]:
    """The text tower, Stable Diffusion's ``text_encoder``, and the vision tower with its projection, in float16."""
    with TemporaryDirectory() as whole:
        clip.half().save_pretrained(whole)
        text = CLIPTextModel.from_pretrained(whole, dtype=torch.float16)
        return text, CLIPVisionModelWithProjection.from_pretrained(whole, dtype=torch.float16)


def save_vision(vision: CLIPVisionModelWithProjection, folder: Path) -> None:
    """The vision tower, and how it wants its pictures."""
    vision.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    )


def write_index(folder: Path, vae, unet, tokenizer, text_encoder) -> None:
    """``model_index.json`` and the scheduler, as diffusers writes them for Stable Diffusion."""
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=new_scheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_config(folder)
    pipeline.scheduler.save_pretrained(folder / "scheduler")
