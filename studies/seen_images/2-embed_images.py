"""2. Pictures to image latents, captions to text embeddings.

Encodes every picture with the autoencoder of a latent diffusion model and every caption with its
CLIP text model. These are what the decoders of script 3 learn to predict. Embeddings of several
captions of one picture are averaged.

Reads     1-betas/, the pictures and captions in DATASET_DIR, the weights in MODEL_DIR
Writes    2-embeddings/latents.npy (n_images, 4, h, w) float32; h = w = ENCODE_PIXELS / 8 (demo: /
            4)
          2-embeddings/text.npy (n_images, N_TOKENS, width) float32; the first token is the start
            token
          2-embeddings/images.tsv, a row per image; generator.json: digests of the weights;
            attributes.tsv
          2-embeddings/seen/<image>.png, the test pictures at DRAW_PIXELS; mean_picture.png, of the
            training pictures
Settings  SEED, ENCODE_PIXELS, LATENTS, N_TOKENS, DRAW_PIXELS
Takes     Stable Diffusion on a GPU: minutes per 1,000 pictures; on a CPU about a second per
          picture; 2 GB
"""

from functools import partial
from pathlib import Path

from neuroface.pipeline import (
    Section,
    Stage,
    atomic,
    create_npy,
    open_npy,
    run_script,
    write_npy,
    write_table,
)  # fmt: skip
from seen_images.devices import share_cores
from seen_images.drawings import write_picture
from seen_images.generator import check_folder, check_weights, open_generator, resized
from seen_images.sources import open_source
from seen_images.study import STUDY
from seen_images.tables import read_tsv

import numpy as np
import pandas as pd

CHUNK = 128  # images in a unit of work


def main():
    cfg = STUDY.load_settings(__file__)
    model = check_folder(cfg.MODEL_DIR, cfg.GENERATOR_DIR)
    stage = Stage(STUDY, 2, cfg, __doc__, reads=(1,))
    check_weights(stage.folder / "generator.json", model, ("vae", "text_encoder"), stage.folder)
    images = list_images(stage.folder_of(1))
    chunks = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    joined = stage.folder / "text.npy"

    embed = partial(embed_chunk, stage.folder, cfg)
    stage.each(
        embed,
        chunks,
        lambda chunk: joined.exists() or is_embedded(stage.folder, chunk),
        "parts of the pictures",
    )
    stage.each(
        partial(join, stage.folder, images, chunks, cfg),
        [joined],
        Path.exists,
        "sets of embeddings",
    )
    latents, text = open_npy(stage.folder / "latents.npy"), open_npy(joined)
    print(f"  latents {latents.shape[1:]}, text embeddings {text.shape[1:]}")
    stage.finish(f"embeddings of {len(images):,} pictures", describe(images, latents, text, cfg))


def list_images(betas: Path) -> pd.DataFrame:
    """A row per image: image, split; test images first in the order of test.npy."""
    test, train = (
        read_tsv(betas / "test.tsv")["image"],
        read_tsv(betas / "trials.tsv")["image"].drop_duplicates(),
    )
    return pd.concat(
        [
            pd.DataFrame({"image": test, "split": "test"}),
            pd.DataFrame({"image": train, "split": "train"}),
        ],
        ignore_index=True,
    )


def chunk_files(folder: Path, chunk: pd.DataFrame) -> dict[str, Path]:
    return {
        name: folder / f"{name}-{chunk.index[0]:06d}.npy"
        for name in ("pixel-sum", "latents", "text")
    }


def is_embedded(folder: Path, chunk: pd.DataFrame) -> bool:
    return all(file.exists() for file in chunk_files(folder, chunk).values())


def embed_chunk(folder: Path, cfg, chunk: pd.DataFrame) -> None:
    """Write latents and text embeddings of some pictures, and the sum of those that are for training; text last."""
    share_cores(cfg.N_JOBS)
    source, generator = (
        open_source(cfg),
        open_generator(Path(cfg.MODEL_DIR), cfg.DEVICE, cfg.PRECISION),
    )
    latents, text, total = [], [], np.zeros((cfg.DRAW_PIXELS, cfg.DRAW_PIXELS, 3))
    for start in range(0, len(chunk), cfg.INFERENCE_BATCH):
        batch = chunk.iloc[start : start + cfg.INFERENCE_BATCH]
        pictures = [source.picture(image) for image in batch["image"]]
        seeds = [[cfg.SEED, 2, row] for row in batch.index] if cfg.LATENTS == "sample" else None
        latents.append(generator.encode(pictures, cfg.ENCODE_PIXELS, seeds))
        for row, picture in zip(batch.itertuples(), pictures):
            text.append(generator.embed(source.captions(row.image), cfg.N_TOKENS).mean(axis=0))
            small = resized(picture, cfg.DRAW_PIXELS)
            if row.split == "train":
                total += small
            else:
                write_picture(folder / "seen" / f"{row.image}.png", small)
    files = chunk_files(folder, chunk)
    write_npy(files["pixel-sum"], total)
    write_npy(files["latents"], np.concatenate(latents))
    write_npy(files["text"], np.stack(text))


def join(folder: Path, images: pd.DataFrame, chunks: list[pd.DataFrame], cfg, target: Path) -> None:
    """One array of latents, one of text embeddings, tables beside them; then the parts may go."""
    for name in ("latents", "text"):
        parts = [chunk_files(folder, chunk)[name] for chunk in chunks]
        with atomic(folder / f"{name}.npy" if name != "text" else target) as partial_file:
            array, start = create_npy(partial_file, (len(images), *open_npy(parts[0]).shape[1:])), 0
            for part in map(open_npy, parts):
                array[start : start + len(part)] = part
                start += len(part)
            array.flush()
            del array
            if name == "text":  # last: the file says that the rest is complete
                write_rest(folder, images, chunks, cfg)
    for chunk in chunks:
        for file in chunk_files(folder, chunk).values():
            file.unlink()


def write_rest(folder: Path, images: pd.DataFrame, chunks: list[pd.DataFrame], cfg) -> None:
    """Tables of the images and of their attributes, and the mean of the training pictures."""
    n_train = int((images["split"] == "train").sum())
    mean = (
        sum(np.asarray(open_npy(chunk_files(folder, chunk)["pixel-sum"])) for chunk in chunks)
        / n_train
    )
    write_picture(folder / "mean_picture.png", np.round(mean).astype(np.uint8))
    attributes = open_source(cfg).attributes
    known = (
        attributes.reindex(images["image"])
        if len(attributes)
        else pd.DataFrame(index=images["image"])
    )
    write_table(folder / "attributes.tsv", known.rename_axis("image").reset_index())
    write_table(folder / "images.tsv", images)


def describe(images: pd.DataFrame, latents: np.ndarray, text: np.ndarray, cfg) -> Section:
    counts = images["split"].value_counts()
    section = Section(
        "Embeddings",
        f"Pictures at {cfg.ENCODE_PIXELS} pixels as latents of the autoencoder, captions as embeddings of the CLIP "
        "text model.",
    )
    section.numbers(
        {
            "training pictures": f"{counts['train']:,}",
            "test pictures": f"{counts['test']:,}",
            "image latents": " × ".join(map(str, latents.shape[1:])),
            "text embedding": " × ".join(map(str, text.shape[1:])),
        }
    )
    return section


if __name__ == "__main__":
    run_script(main)
