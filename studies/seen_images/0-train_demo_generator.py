"""0. Train the generator that the demo draws with.

Trains a variational autoencoder, a CLIP model and a U-Net of diffusers' and transformers' own
classes on synthetic pictures with captions, and saves them in the folder layout of Stable Diffusion
v1. The weights are in the repository: run this script only to make them anew.

Reads     nothing
Writes    GENERATOR_DIR/{vae,text_encoder,clip_vision,unet}/*.safetensors, float16, and their
            configurations
          GENERATOR_DIR/tokenizer/, scheduler/, model_index.json
Settings  SEED, GENERATOR_STEPS
Takes     about 25 minutes on one CPU core, by the seconds of a step (the U-Net: 0.19); 1.5 GB. It
          resumes after the last part that is complete
"""

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from neuroface import NeuroFaceError
from neuroface.pipeline import run_script
from seen_images import demo_generator as parts
from seen_images.study import STUDY

import torch
from diffusers import AutoencoderKL
from transformers import CLIPTextModel

Part = Literal["vae", "clip", "unet"]


def main():
    cfg = STUDY.load_settings(__file__)
    folder = Path(cfg.GENERATOR_DIR)
    print(f"0-train_demo_generator.py → {folder}", flush=True)
    torch.set_num_threads(1)  # small tensors: more threads wait for each other
    trainings: dict[Part, Callable] = {"vae": train_vae, "clip": train_clip, "unet": train_unet}
    for number, (network, train) in enumerate(trainings.items()):
        if (folder / NAMES[network]).exists():
            print(f"  {network}: already there, not trained again")
            continue
        torch.manual_seed(cfg.SEED + number)
        tell = Progress(network, cfg.GENERATOR_STEPS[network])
        train(folder, parts.PictureBatches(cfg.SEED + number), cfg.GENERATOR_STEPS[network], tell)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"  {folder} holds {size / 1e6:.1f} MB", flush=True)


NAMES = {
    "vae": "vae",
    "clip": "text_encoder",
    "unet": "unet",
}  # the folder of each part that is renamed last


class Progress:
    """Prints the mean loss now and then, and the time left."""

    def __init__(self, network: str, steps: int):
        self.network, self.steps, self.started = network, steps, time.monotonic()
        self.losses: list[float] = []

    def __call__(self, step: int, loss: float) -> None:
        if not math.isfinite(loss):
            raise NeuroFaceError(
                f"Script 0, {self.network}: the loss is {loss} at step {step} of {self.steps}. Nothing of it was saved. "
                "Choose another SEED."
            )
        self.losses.append(loss)
        if step % 100 == 0 or step == self.steps:
            left = (time.monotonic() - self.started) / step * (self.steps - step) / 60
            mean = sum(self.losses) / len(self.losses)
            print(
                f"  {self.network}: step {step} of {self.steps}, loss {mean:.4f}, {left:.0f} min left",
                flush=True,
            )
            self.losses = []


def train_vae(folder: Path, pictures, steps: int, tell: Progress) -> None:
    vae = parts.new_vae()
    parts.train_vae(vae, pictures, steps, tell)
    save_whole(folder / "vae", vae.half().save_pretrained)


def train_clip(folder: Path, pictures, steps: int, tell: Progress) -> None:
    tokenizer = parts.new_tokenizer(folder / "tokenizer")
    tokenizer.save_pretrained(folder / "tokenizer")
    clip = parts.new_clip(tokenizer)
    parts.train_clip(clip, tokenizer, pictures, steps, tell)
    text, vision = parts.towers_of(clip)
    save_whole(folder / "clip_vision", lambda target: parts.save_vision(vision, target))
    save_whole(folder / "text_encoder", text.save_pretrained)


def train_unet(folder: Path, pictures, steps: int, tell: Progress) -> None:
    tokenizer = parts.new_tokenizer(folder / "tokenizer")
    vae = AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32)
    text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    unet = parts.new_unet()
    parts.train_unet(unet, vae, text_encoder, tokenizer, pictures, steps, tell)
    parts.write_index(folder, vae, unet, tokenizer, text_encoder)
    save_whole(folder / "unet", unet.half().save_pretrained)


def save_whole(folder: Path, save) -> None:
    """Save under another name and rename: what is there is complete."""
    partial = folder.with_name("partial-" + folder.name)
    shutil.rmtree(partial, ignore_errors=True)
    save(partial)
    shutil.rmtree(folder, ignore_errors=True)  # left where a run was killed between two folders
    partial.rename(folder)


if __name__ == "__main__":
    run_script(main)
