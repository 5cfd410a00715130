"""4. Draw the pictures with the latent diffusion model.

The decoded image latents become a blurred picture, which is noised and drawn anew under the decoded
text embedding, several times per test image. Also drawn, for comparison: from the text alone (out
of pure noise) and from the latents alone (without text). With DRAW = False nothing is drawn, and
the decoded latents through the autoencoder are the result.

Reads     1-betas/test.tsv, 2-embeddings/, 3-decoders/, the weights in MODEL_DIR
Writes    4-drawings/decoded/<image>_draw-<k>.png, DRAW_PIXELS wide; the same in text/ and latents/
          4-drawings/start/<image>.png, the decoded latents through the autoencoder alone;
            mean_latents.png, those of the mean of the training latents
Settings  SEED, DRAW, IMAGE_DECODER, TEXT_DECODER, DRAW_PIXELS, DDIM_STEPS, STRENGTH, GUIDANCE, N_DRAWS,
          ALSO_DRAW
Takes     Stable Diffusion: about 3 s per drawing on a large GPU in float16, minutes on a CPU.
          INFERENCE_BATCH drawings are made at once: lower it if the GPU's memory runs out
"""

from functools import partial
from pathlib import Path

from neuroface.pipeline import Rules, Section, Stage, only_more, open_npy, run_script, save_figure
from seen_images.decoder_tables import word_of
from seen_images.devices import share_cores
from seen_images.drawings import (
    DECODED,
    conditions_of,
    drawing_files,
    read_pictures,
    start_file,
    write_picture,
)
from seen_images.generator import check_weights, model_of, open_generator, resized
from seen_images.latents import FILE_OF, decoded_latents, drawn_name, training_mean_file
from seen_images.sources import first_captions, open_source
from seen_images.study import STUDY
from seen_images.tsv import read_tsv

import numpy as np
from matplotlib import pyplot as plt

RULES = Rules(growing={"ALSO_DRAW": only_more})
SHOWN = 6  # test images in the report


def main():
    cfg = STUDY.load_settings(__file__)
    model = model_of(cfg)
    stage = Stage(STUDY, 4, cfg, __doc__, reads=(1, 2, 3), rules=RULES)
    check_weights(
        stage.folder_of(2) / "generator.json", model, ("vae", "text_encoder"), stage.folder_of(2)
    )
    check_weights(
        stage.folder / "generator.json", model, ("vae", "text_encoder", "unet"), stage.folder
    )
    images = read_tsv(stage.folder_of(1) / "test.tsv")["image"].tolist()
    folders = [stage.folder_of(number) for number in (1, 2, 3, 4)]

    stage.each(partial(draw_mean, folders, cfg), [mean_file(stage.folder)], "mean pictures")
    stage.each(
        partial(draw_starts, folders, cfg, images),
        parts_of(len(images), cfg.INFERENCE_BATCH),
        "parts of the decoded latents",
        lambda rows: [start_file(stage.folder, images[row]) for row in rows],
    )

    at_once = max(1, cfg.INFERENCE_BATCH // cfg.N_DRAWS)
    parts = parts_of(len(images), at_once)
    units = [(condition, rows) for rows in parts for condition in conditions_of(cfg)]
    stage.each(
        partial(draw, folders, cfg, images),
        units,
        "parts of the images × conditions",
        partial(drawn_files, stage.folder, images, cfg),
    )
    n_drawings = len(images) * len(conditions_of(cfg)) * cfg.N_DRAWS
    wrote = f"{n_drawings:,} drawings" if cfg.DRAW else f"{len(images):,} pictures of latents"
    stage.finish(wrote, describe_drawings(stage, images, cfg))


def parts_of(n_images: int, n_at_once: int) -> list[list[int]]:
    rows = list(range(n_images))
    return [rows[start : start + n_at_once] for start in rows[::n_at_once]]


def mean_file(folder: Path) -> Path:
    return folder / "mean_latents.png"


def drawn_files(folder: Path, images: list[str], cfg, unit: tuple[str, list[int]]) -> list[Path]:
    """The files that :func:`draw` writes: all drawings of the first image, then those of the next."""
    condition, rows = unit
    of_images = [drawing_files(folder, condition, images[row], cfg.N_DRAWS) for row in rows]
    return [file for of_image in of_images for file in of_image]


def draw_mean(folders: list[Path], cfg, file: Path) -> None:
    """Write the mean of the training latents as a picture of DRAW_PIXELS: where drawings from text alone begin."""
    share_cores(cfg.N_JOBS)
    generator = open_generator(Path(cfg.MODEL_DIR), cfg.DEVICE, cfg.PRECISION)
    shape = open_npy(folders[1] / FILE_OF["image"]).shape[1:]
    latents = np.array(open_npy(training_mean_file(folders[2], "image"))).reshape(1, *shape)
    write_picture(file, resized(generator.decode(latents)[0], cfg.DRAW_PIXELS))


def draw_starts(folders: list[Path], cfg, images: list[str], rows: list[int]) -> None:
    """Write the decoded latents of some images as pictures of DRAW_PIXELS."""
    share_cores(cfg.N_JOBS)
    generator = open_generator(Path(cfg.MODEL_DIR), cfg.DEVICE, cfg.PRECISION)
    latents = decoded_latents(folders, "image", rows, cfg)
    for row, picture in zip(rows, generator.decode(latents)):
        write_picture(start_file(folders[3], images[row]), resized(picture, cfg.DRAW_PIXELS))


def draw(folders: list[Path], cfg, images: list[str], unit: tuple[str, list[int]]) -> None:
    """All drawings of some test images under one condition. Drawing k of an image has the same noise in each condition."""
    condition, rows = unit
    share_cores(cfg.N_JOBS)
    generator = open_generator(Path(cfg.MODEL_DIR), cfg.DEVICE, cfg.PRECISION)
    if condition == "latents":
        texts = np.repeat(generator.embed([""], cfg.N_TOKENS), len(rows), axis=0)
    else:
        decoded = decoded_latents(folders, "text", rows, cfg)
        start_token = np.asarray(
            open_npy(folders[1] / "text.npy")[0, :1]
        )  # the same for every caption
        texts = np.concatenate([np.repeat(start_token[None], len(rows), axis=0), decoded], axis=1)
    starts = [
        mean_file(folders[3]) if condition == "text" else start_file(folders[3], images[row])
        for row in rows
    ]
    seeds = [[[cfg.SEED, 4, row, number] for number in range(cfg.N_DRAWS)] for row in rows]
    drawings = generator.draw(
        read_pictures(starts), texts.astype(np.float32), seeds, steps=cfg.DDIM_STEPS,
        strength=1.0 if condition == "text" else cfg.STRENGTH, guidance=cfg.GUIDANCE,
    )  # fmt: skip
    every_drawing = [drawing for of_image in drawings for drawing in of_image]
    for file, drawing in zip(drawn_files(folders[3], images, cfg, unit), every_drawing):
        write_picture(file, drawing)


def describe_drawings(stage: Stage, images: list[str], cfg) -> Section:
    section = Section("Drawings" if cfg.DRAW else "Decoded latents as pictures", about(cfg))
    shown = images[:SHOWN]
    rows = {"seen": [stage.folder_of(2) / "seen" / f"{image}.png" for image in shown]}
    rows["decoded latents"] = [start_file(stage.folder, image) for image in shown]
    rows |= {
        "drawn" if condition == DECODED else f"{condition} alone": [
            drawing_files(stage.folder, condition, image, 1)[0] for image in shown
        ]
        for condition in conditions_of(cfg)
    }
    captions = first_captions(open_source(cfg), shown)
    figure, axes = plt.subplots(
        len(rows),
        len(shown),
        figsize=(1.6 * len(shown), 1.6 * len(rows) + 0.5),
        squeeze=False,
        layout="constrained",
    )
    for axis, caption in zip(axes[0], captions):
        axis.set_title(caption, fontsize=7)
    for line, (name, files) in zip(axes, rows.items()):
        for axis, picture in zip(line, read_pictures(files)):
            axis.imshow(picture)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    save_figure(figure, stage.folder / "first_images.png")
    section.figure(
        stage.folder / "first_images.png",
        f"The first {len(shown)} of {len(images)} test images in the order of the data set, not chosen, with a "
        f"caption each{', and their first drawings' if cfg.DRAW else ''}. "
        "Script 7 shows the best, the middle and the worst.",
    )
    return section


def about(cfg) -> str:
    image = f"Image latents by {word_of(drawn_name('image', cfg))}"
    if not cfg.DRAW:
        return f"{image}, through the autoencoder. DRAW = False: nothing was drawn."
    return (
        f"DDIM, {cfg.DDIM_STEPS} steps, strength {cfg.STRENGTH:g}, guidance {cfg.GUIDANCE:g}, {cfg.N_DRAWS} drawings per "
        f"test image. {image}, text by {word_of(drawn_name('text', cfg))}."
    )


if __name__ == "__main__":
    run_script(main)
