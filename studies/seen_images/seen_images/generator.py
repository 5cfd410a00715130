"""Stable Diffusion v1 from a local folder: pictures to latents, captions to embeddings, and latents to pictures.

The folder is in diffusers' layout. The demo's small generator has the same layout and goes through
the same code. Rombach et al. 2022 (CVPR); Takagi & Nishimoto 2023 (CVPR) for its use with fMRI.
"""

from functools import cache, cached_property
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.pipeline import fingerprint, read_json, write_json
from seen_images.autoencoders import (
    TINY_ENDINGS,
    Tiny,
    Variational,
    layout_of,
    read_state,
    tiny_files,
)
from seen_images.devices import device_of, numbers_of

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionImg2ImgPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from safetensors import SafetensorError
from transformers import CLIPTextModel, CLIPTokenizer

# What MODEL_DIR must hold; MB as published for Stable Diffusion v1.4.
FILES = {
    "scheduler/scheduler_config.json": 0,
    "tokenizer/vocab.json": 1,
    "tokenizer/merges.txt": 1,
    "text_encoder/config.json": 0,
    "text_encoder/model.safetensors": 492,
    "vae/config.json": 0,
    "vae/diffusion_pytorch_model.safetensors": 335,
    "unet/config.json": 0,
    "unet/diffusion_pytorch_model.safetensors": 3438,
}


def check_folder(
    folder: str | None, demo: str | None = None, *, draws: bool = True, texts: bool = True
) -> Path:
    """The folder, if all files are there.

    Parameters
    ----------
    demo : folder of the demo's own generator, which can be made anew. draws : pictures are drawn
    with it; False: its autoencoder is enough. texts : captions are embedded with it.

    Raises
    ------
    NeuroFaceError
        Naming the files that are missing, how large they are, and where they come from.
    """
    sizes = [
        f"{name} ({f'{mb / 1000:.2f} GB' if mb >= 1000 else f'{mb} MB' if mb else '1 kB'})"
        for name, mb in FILES.items()
    ]
    source = "CompVis/stable-diffusion-v1-4 on Hugging Face, or another Stable Diffusion v1"
    if folder is None:
        raise NeuroFaceError(
            f"MODEL_DIR is not set. Get these files of {source}, {sum(FILES.values()) / 1000:.1f} GB in all, keep "
            f"their folders, and name the folder that holds them in MODEL_DIR: {', '.join(sizes)}."
        )
    if not draws:
        return _check_autoencoder(Path(folder), texts)
    missing = [size for name, size in zip(FILES, sizes) if not (Path(folder) / name).is_file()]
    if missing and folder == demo:
        raise NeuroFaceError(
            f"{folder} lacks {missing[0].partition(' ')[0]}. Run: python 0-train_demo_generator.py"
        )
    if missing:
        raise NeuroFaceError(
            f"MODEL_DIR = {folder} lacks {', '.join(missing)}. Get them from {source}; safetensors only."
            f"{_instead(Path(folder))}"
        )
    if not (layout := layout_of(Path(folder))).draws:
        raise NeuroFaceError(
            f"MODEL_DIR = {folder} is {layout.line}. {INSTEAD_OF_DRAWING}, or name a Stable Diffusion v1."
        )
    return Path(folder)


def model_of(cfg, texts: bool | None = None) -> Path:
    """The folder ``MODEL_DIR``, if it holds what the settings need (:func:`check_folder`).

    Parameters
    ----------
    texts : captions are embedded; None: as TEXT_DECODERS say.
    """
    texts = bool(cfg.TEXT_DECODERS) if texts is None else texts
    return check_folder(cfg.MODEL_DIR, cfg.GENERATOR_DIR, draws=cfg.DRAW, texts=texts)


INSTEAD_OF_DRAWING = (
    "To decode to its latents, and to score them through its autoencoder, set DRAW = False"
)


def _instead(folder: Path) -> str:
    """What else can be done with a folder that lacks files of Stable Diffusion v1; may be empty."""
    try:
        layout = layout_of(folder)
    except NeuroFaceError:
        return ""
    return "" if layout.draws else f" It is {layout.line}. {INSTEAD_OF_DRAWING}."


def _check_autoencoder(folder: Path, texts: bool) -> Path:
    """The folder, if its autoencoder is there and, where captions are embedded, its text encoder."""
    needed = list(layout_of(folder).files)
    if texts:
        needed += [name for name in FILES if name.startswith(("tokenizer/", "text_encoder/"))]
    if missing := [name for name in needed if not (folder / name).is_file()]:
        advice = (
            ' Without a text encoder, set TEXT_DECODERS = () and SPLIT = "given".' if texts else ""
        )
        raise NeuroFaceError(f"MODEL_DIR = {folder} lacks {', '.join(missing)}.{advice}")
    return folder


def check_weights(file: Path, folder: Path, parts: tuple[str, ...], results: Path) -> None:
    """Remember in ``file`` which weights results are made with; raise if they were begun with others.

    Parameters
    ----------
    parts : parts of the generator on which the results depend. results : folder of these results,
    for the message.
    """
    used = [name for name in FILES if name.startswith(parts)]
    if "vae" in parts:
        used = [*layout_of(folder).files, *(name for name in used if not name.startswith("vae"))]
    here = {
        name: fingerprint(folder / name)
        for name in used
        if name.endswith(TINY_ENDINGS) and (folder / name).exists()
    }
    if file.exists() and (
        changed := [name for name, digest in read_json(file).items() if here.get(name) != digest]
    ):
        raise NeuroFaceError(
            f"{results} was made with another {changed[0]} than MODEL_DIR = {folder} holds. Set MODEL_DIR back, "
            f"choose another RUN_NAME, or delete {results} and run its script again."
        )
    if not file.exists():
        write_json(file, here)


@cache
def open_generator(folder: Path, device: str, precision: str) -> "Generator":
    """One per process."""
    return Generator(folder, device, precision)


class Generator:
    """The parts of a Stable Diffusion v1, each loaded when it is first used."""

    def __init__(self, folder: Path, device: str, precision: str):
        self.folder, self.device = folder, device_of(device)
        self.numbers = numbers_of(precision, self.device)

    @cached_property
    def autoencoder(self) -> Variational | Tiny:
        if files := tiny_files(self.folder):
            try:
                tiny = Tiny(*(read_state(self.folder / name) for name in files))
            except (OSError, KeyError, ValueError, RuntimeError, SafetensorError) as error:
                raise NeuroFaceError(
                    f"{self.folder / files[0]} or {files[1]} is not a tiny autoencoder that can be read: {error}. "
                    "Download its files again."
                ) from None
            return tiny.eval().requires_grad_(False).to(self.device, self.numbers)
        return Variational(self._load(AutoencoderKL, "vae"))

    def _load(self, kind, name: str):
        try:
            model = kind.from_pretrained(
                self.folder / name,
                torch_dtype=self.numbers,
                use_safetensors=True,
                local_files_only=True,
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise NeuroFaceError(
                f"{self.folder / name} cannot be loaded: {error}. Download its files again."
            ) from None
        return model.to(self.device).eval().requires_grad_(False)

    @cached_property
    def text_encoder(self) -> CLIPTextModel:
        return self._load(CLIPTextModel, "text_encoder")

    @cached_property
    def tokenizer(self) -> CLIPTokenizer:
        return CLIPTokenizer.from_pretrained(self.folder / "tokenizer", local_files_only=True)

    @cached_property
    def pipeline(self) -> StableDiffusionImg2ImgPipeline:
        """Image to image, with DDIM in place of the folder's own scheduler."""
        scheduler = DDIMScheduler.from_pretrained(
            self.folder / "scheduler",
            local_files_only=True,
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        )
        pipeline = StableDiffusionImg2ImgPipeline(
            vae=self.autoencoder.vae, text_encoder=self.text_encoder, tokenizer=self.tokenizer,
            unet=self._load(UNet2DConditionModel, "unet"), scheduler=scheduler, safety_checker=None,
            feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def encode(
        self, pictures: list[np.ndarray], pixels: int, seeds: list[list[int]] | None = None
    ) -> np.ndarray:
        """Latents (n, channels, h, w) float32 of pictures (height, width, 3) uint8, scaled as the U-Net has them.

        ``h`` and ``w`` are pixels / 8 for Stable Diffusion, pixels / 4 for the demo's generator.
        Channels, size and scale are those that the autoencoder's configuration or weights state.

        Parameters
        ----------
        seeds : one per picture, for a draw from the posterior; None: its mean.

        Raises
        ------
        NeuroFaceError
            If a latent is not finite; so do the other methods.
        """
        if pixels % self.autoencoder.pixels_per_latent:
            raise NeuroFaceError(
                f"ENCODE_PIXELS = {pixels}, and a latent of {self.folder} has {self.autoencoder.pixels_per_latent} pixels. "
                "Set ENCODE_PIXELS to a multiple of it."
            )
        ready = torch.stack([as_tensor(resized(picture, pixels)) for picture in pictures]).to(
            self.device, self.numbers
        )
        with torch.no_grad():
            latents, spread = self.autoencoder.encode(ready)
            if seeds is not None:
                noise = [torch.randn(latents.shape[1:], generator=seeded(seed)) for seed in seeds]
                latents = latents + spread * torch.stack(noise).to(latents)
        return self._finite(latents.float().cpu().numpy(), "latents of pictures")

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Pictures (n, height, width, 3) uint8 of latents (n, channels, h, w)."""
        check_given(latents, "latents to be decoded")
        ready = torch.from_numpy(np.ascontiguousarray(latents)).to(self.device, self.numbers)
        with torch.no_grad():
            pictures = self.autoencoder.decode(ready)
        pictures = (pictures.float().cpu() / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
        self._finite(pictures, "pictures of latents")
        return np.round(pictures * 255).astype(np.uint8)

    def embed(self, captions: list[str], n_tokens: int) -> np.ndarray:
        """Text embeddings (n, n_tokens, width) float32: the first tokens of CLIP's last hidden state of 77."""
        with torch.no_grad():
            text = self.text_encoder(self._tokens(captions))[0][:, :n_tokens].float().cpu().numpy()
        return self._finite(text, "text embeddings of captions")

    def _tokens(self, captions: list[str]) -> torch.Tensor:
        return self.tokenizer(
            captions,
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids.to(self.device)

    def embed_pooled(self, captions: list[str]) -> np.ndarray:
        """One vector per caption (n, width) float32: CLIP's last hidden state at the end token."""
        with torch.no_grad():
            pooled = self.text_encoder(self._tokens(captions)).pooler_output.float().cpu().numpy()
        return self._finite(pooled, "pooled text embeddings of captions")

    def draw(
        self,
        starts: np.ndarray,
        texts: np.ndarray,
        seeds: list[list[list[int]]],
        *,
        steps: int,
        strength: float,
        guidance: float,
    ) -> np.ndarray:
        """Drawings (n_images, n_draws, height, width, 3) uint8 that begin at a picture and follow a text embedding each.

        All are drawn in one pass. A drawing depends on its own start, text and seed, whatever is
        drawn beside it.

        Parameters
        ----------
        starts : (n_images, height, width, 3) uint8; noised by ``strength``. texts : (n_images,
        n_tokens, width).
        seeds : per image a list of seeds, one per drawing.
        """
        check_given(texts, "text embeddings to draw with")
        n_draws, numbers = len(seeds[0]), self.numbers
        condition = (
            torch.from_numpy(texts).to(self.device, numbers).repeat_interleave(n_draws, dim=0)
        )
        empty = (
            torch.from_numpy(self.embed([""], texts.shape[1]))
            .to(self.device, numbers)
            .expand_as(condition)
        )
        drawings = self.pipeline(
            image=[Image.fromarray(start) for start in starts for _ in range(n_draws)], prompt_embeds=condition,
            negative_prompt_embeds=empty, num_inference_steps=steps, strength=strength, guidance_scale=guidance,
            generator=[seeded(seed) for of_image in seeds for seed in of_image], output_type="np",
        ).images  # fmt: skip
        self._finite(drawings, "drawings")
        drawings = np.round(drawings * 255).astype(np.uint8)
        return drawings.reshape(len(starts), n_draws, *drawings.shape[1:])

    def _finite(self, values: np.ndarray, name: str) -> np.ndarray:
        """``values``, or an error if some are not finite: as a picture they would be black, without a word."""
        if not np.isfinite(values).all():
            numbers = str(self.numbers).removeprefix("torch.")
            advice = (
                "Its weights may be damaged: get them again"
                if numbers == "float32"
                else f'{numbers} may be too coarse for these weights: set PRECISION = "float32"'
            )
            raise NeuroFaceError(
                f"{self.folder}: {name} hold {np.size(values) - np.isfinite(values).sum():,} values of "
                f"{np.size(values):,} that are not finite, in {numbers} on {self.device}. {advice}."
            )
        return values


def check_given(values: np.ndarray, name: str) -> None:
    """Raise if an array that the generator is given holds NaN or infinite values."""
    if not np.isfinite(values).all():
        place = tuple(int(n) for n in np.argwhere(~np.isfinite(values))[0])
        raise NeuroFaceError(
            f"The {name} hold {values[place]} at {place} of {values.shape}. A decoder made them: delete its files in "
            "3-decoders and run script 3 again, with a smaller learning_rate in DECODER_OPTIONS if it trains to NaN."
        )


def resized(picture: np.ndarray, pixels: int) -> np.ndarray:
    """(height, width, 3) uint8 as (pixels, pixels, 3) uint8."""
    if picture.shape[:2] == (pixels, pixels):
        return picture
    return np.asarray(Image.fromarray(picture).resize((pixels, pixels), Image.Resampling.LANCZOS))


def as_tensor(picture: np.ndarray) -> torch.Tensor:
    """(height, width, 3) uint8 as (3, height, width) float32 in [-1, 1]."""
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 127.5 - 1


def seeded(seed: list[int]) -> torch.Generator:
    """A generator on the CPU, so that the noise is the same on every device."""
    return torch.Generator("cpu").manual_seed(
        int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> 1)
    )
