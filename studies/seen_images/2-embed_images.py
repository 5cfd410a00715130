"""2. Pictures to image latents and CLIP embeddings, captions to text embeddings.

Encodes every picture with the autoencoder of a latent diffusion model and every caption with its
CLIP text model. These are what the decoders of script 3 learn to predict. Embeddings of several
captions of one picture are averaged. CLIP_DECODERS also need CLIP embeddings of the pictures.

Reads     1-betas/, the pictures and captions in DATASET_DIR, the weights in MODEL_DIR; clip_vision/
            in MODEL_DIR or SCORES_DIR
Writes    2-embeddings/latents.npy (n_images, channels, h, w) float32; Stable Diffusion has 4
            channels and h = w = ENCODE_PIXELS / 8
          2-embeddings/text.npy (n_images, N_TOKENS, width) float32, with TEXT_DECODERS; the first
            token is the start token
          2-embeddings/clip.npy (n_images, width) float32, with CLIP_DECODERS
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
from seen_images.autoencoders import layout_of
from seen_images.devices import share_cores
from seen_images.drawings import write_picture
from seen_images.features import CLIP, clip_folder, features_of, open_network
from seen_images.generator import (
    Generator,
    check_weights,
    model_of,
    open_generator,
    resized,
)
from seen_images.latents import FILE_OF, targets_of
from seen_images.sources import open_source
from seen_images.study import STUDY
from seen_images.tsv import read_tsv

import numpy as np
import pandas as pd

CHUNK = 128  # images in a unit of work
WORDS = {"image": "image latents", "text": "text embedding", "clip": "CLIP embedding"}


def main():
    cfg = STUDY.load_settings(__file__)
    model = model_of(cfg)
    stage = Stage(STUDY, 2, cfg, __doc__, reads=(1,))
    check_weights(stage.folder / "generator.json", model, ("vae", "text_encoder"), stage.folder)
    images = list_images(stage.folder_of(1), cfg.OTHER_SUBJECTS)
    chunks = [images[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    arrays = [FILE_OF[target] for target in targets_of(cfg)]
    names = (*arrays, "mean_picture.png", "attributes.tsv", "images.tsv")
    joined = [stage.folder / name for name in names]

    stage.each(
        partial(embed_chunk, stage.folder, cfg),
        chunks,
        "parts of the pictures",
        lambda chunk: chunk_files(stage.folder, chunk, cfg).values(),
        joined=lambda chunk: joined,
    )
    stage.each(
        partial(join, stage.folder, images, chunks, cfg),
        [stage.folder],
        "sets of embeddings",
        lambda _: joined,
    )
    for chunk in chunks:  # also those that a killed run left
        for file in chunk_files(stage.folder, chunk, cfg).values():
            file.unlink(missing_ok=True)
    shapes = {
        WORDS[target]: open_npy(stage.folder / FILE_OF[target]).shape[1:]
        for target in targets_of(cfg)
    }
    print("  " + ", ".join(f"{name} {shape}" for name, shape in shapes.items()))
    stage.finish(
        f"embeddings of {len(images):,} pictures", describe_embeddings(images, shapes, cfg)
    )


def list_images(betas: Path, others: tuple[str, ...]) -> pd.DataFrame:
    """A row per image: image, split; test images first in the order of test.npy, last those that only others saw."""
    tables = {"test": betas / "test.tsv", "train": betas / "trials.tsv"}
    shown = [read_tsv(file)[["image"]].assign(split=split) for split, file in tables.items()]
    for person in others:
        trials = read_tsv(betas / "others" / person / "trials.tsv")
        shown.append(trials[["image"]].assign(split="other"))
    return pd.concat(shown).drop_duplicates("image", ignore_index=True)


def chunk_files(folder: Path, chunk: pd.DataFrame, cfg) -> dict[str, Path]:
    """Files of some pictures: their sum, and their embeddings by target."""
    return {
        name: folder / f"{name}-{chunk.index[0]:06d}.npy"
        for name in ("pixel-sum", *targets_of(cfg))
    }


def embed_chunk(folder: Path, cfg, chunk: pd.DataFrame) -> None:
    """Write the embeddings of some pictures, and the sum of those that are for training."""
    share_cores(cfg.N_JOBS)
    source, generator = (
        open_source(cfg),
        open_generator(Path(cfg.MODEL_DIR), cfg.DEVICE, cfg.PRECISION),
    )
    embedded: dict[str, list[np.ndarray]] = {target: [] for target in targets_of(cfg)}
    total = np.zeros((cfg.DRAW_PIXELS, cfg.DRAW_PIXELS, 3))
    for start in range(0, len(chunk), cfg.INFERENCE_BATCH):
        batch = chunk.iloc[start : start + cfg.INFERENCE_BATCH]
        pictures = [source.picture(image) for image in batch["image"]]
        seeds = [[cfg.SEED, 2, row] for row in batch.index] if cfg.LATENTS == "sample" else None
        embedded["image"].append(generator.encode(pictures, cfg.ENCODE_PIXELS, seeds))
        if "text" in embedded:
            captions = [source.captions(image) for image in batch["image"]]
            embedded["text"].append(mean_texts(generator, captions, cfg.N_TOKENS))
        if "clip" in embedded:
            embedded["clip"].append(clip_embeddings(pictures, cfg))
        for row, picture in zip(batch.itertuples(), pictures):
            small = resized(picture, cfg.DRAW_PIXELS)
            if row.split == "train":
                total += small
            elif row.split == "test":
                write_picture(folder / "seen" / f"{row.image}.png", small)
    files = chunk_files(folder, chunk, cfg)
    write_npy(files["pixel-sum"], total)
    for target, parts in embedded.items():
        write_npy(files[target], np.concatenate(parts))


def mean_texts(generator: Generator, captions: list[list[str]], n_tokens: int) -> np.ndarray:
    """Text embeddings (n_images, n_tokens, width), averaged over the captions of each image, in one pass."""
    each = generator.embed([caption for own in captions for caption in own], n_tokens)
    ends = np.cumsum([len(own) for own in captions])
    return np.stack([of_image.mean(axis=0) for of_image in np.split(each, ends[:-1])])


def clip_embeddings(pictures: list[np.ndarray], cfg) -> np.ndarray:
    """CLIP embeddings (n_images, width) float32 of pictures of any size."""
    network = open_network(CLIP, clip_folder(cfg.SCORES_DIR, cfg.MODEL_DIR), cfg.DEVICE)
    return np.concatenate([features_of(network, picture[None], 1) for picture in pictures])


def join(folder: Path, images: pd.DataFrame, chunks: list[pd.DataFrame], cfg, _) -> None:
    """One array per target of decoding, and tables beside them; then the parts are not needed any more."""
    for name in targets_of(cfg):
        parts = [chunk_files(folder, chunk, cfg)[name] for chunk in chunks]
        with atomic(folder / FILE_OF[name]) as partial_file:
            array, start = create_npy(partial_file, (len(images), *open_npy(parts[0]).shape[1:])), 0
            for block in map(open_npy, parts):
                array[start : start + len(block)] = block
                start += len(block)
            array.flush()
            del array
    write_rest(folder, images, chunks, cfg)
    write_table(folder / "images.tsv", images)


def write_rest(folder: Path, images: pd.DataFrame, chunks: list[pd.DataFrame], cfg) -> None:
    """The table of attributes, and the mean of the training pictures."""
    n_train = int((images["split"] == "train").sum())
    mean = (
        sum(np.asarray(open_npy(chunk_files(folder, chunk, cfg)["pixel-sum"])) for chunk in chunks)
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


def describe_embeddings(images: pd.DataFrame, shapes: dict[str, tuple[int, ...]], cfg) -> Section:
    counts = images["split"].value_counts()
    section = Section(
        "Embeddings",
        f"Pictures at {cfg.ENCODE_PIXELS} pixels as latents of the autoencoder"
        + (", captions as embeddings of the CLIP text model" if WORDS["text"] in shapes else "")
        + (", pictures as embeddings of CLIP's picture model" if WORDS["clip"] in shapes else "")
        + f". The weights are {layout_of(Path(cfg.MODEL_DIR)).line}.",
    )
    section.numbers(
        {
            "training pictures": f"{counts['train']:,}",
            "test pictures": f"{counts['test']:,}",
        }
        | ({"pictures that only others saw": f"{counts['other']:,}"} if "other" in counts else {})
        | {name: " × ".join(map(str, shape)) for name, shape in shapes.items()}
    )
    return section


if __name__ == "__main__":
    run_script(main)
