"""4. Draw the pictures with the latent diffusion model.

The decoded image latents become a blurred picture, which is noised and drawn anew under the decoded text embedding, several
times per test image. Also drawn, for comparison: from the text alone (out of pure noise) and from the latents alone (without
text).

Reads     1-betas/test.tsv, 2-embeddings/, 3-decoders/, the weights in MODEL_DIR
Writes    4-drawings/decoded/<image>_draw-<k>.png, DRAW_PIXELS wide; the same in text/ and latents/
          4-drawings/start/<image>.png, the decoded latents through the autoencoder alone
Settings  SEED, IMAGE_DECODER, TEXT_DECODER, DRAW_PIXELS, DDIM_STEPS, STRENGTH, GUIDANCE, N_DRAWS, ALSO_DRAW
Takes     Stable Diffusion: about 3 s per drawing on a large GPU in float16, minutes on a CPU; 5 GB
"""

from functools import partial
from pathlib import Path

from neuroface.pipeline import Rules, Section, Stage, only_more, open_npy, run_script, save_figure
from seen_images.decoder_tables import word_of
from seen_images.devices import share_cores
from seen_images.drawings import DECODED, conditions_of, drawing_files, read_pictures, start_file, write_picture
from seen_images.generator import check_folder, check_weights, open_generator, resized
from seen_images.latents import decoder_file, drawn_name, open_problem
from seen_images.tables import read_tsv
from study import STUDY

import numpy as np
from matplotlib import pyplot as plt

RULES = Rules(growing={"ALSO_DRAW": only_more})
SHOWN = 6  # test images in the report


def main():
    cfg = STUDY.load_settings(__file__)
    model = check_folder(cfg.MODEL_DIR, cfg.GENERATOR_DIR)
    stage = Stage(STUDY, 4, cfg, __doc__, reads=(1, 2, 3), rules=RULES)
    check_weights(stage.folder_of(2) / "generator.json", model, ("vae", "text_encoder"), stage.folder_of(2))
    check_weights(stage.folder / "generator.json", model, ("vae", "text_encoder", "unet"), stage.folder)
    images = read_tsv(stage.folder_of(1) / "test.tsv")["image"].tolist()
    folders = [stage.folder_of(number) for number in (1, 2, 3, 4)]

    draw_start = partial(draw_starts, folders, cfg)
    rows = list(range(len(images)))
    parts = [rows[start : start + cfg.INFERENCE_BATCH] for start in rows[:: cfg.INFERENCE_BATCH]]
    is_started = lambda part: all(start_file(stage.folder, images[row]).exists() for row in part)  # noqa: E731
    stage.each(draw_start, parts, is_started, "parts of the decoded latents")

    units = [(condition, row) for row in rows for condition in conditions_of(cfg)]
    files = lambda unit: drawing_files(stage.folder, unit[0], images[unit[1]], cfg.N_DRAWS)  # noqa: E731
    stage.each(
        partial(draw, folders, cfg), units, lambda unit: all(map(Path.exists, files(unit))), "images × conditions"
    )
    stage.finish(f"{len(units) * cfg.N_DRAWS:,} drawings", describe(stage, images, cfg))


def decoded_latents(folders: list[Path], target: str, cfg):
    """Decoded latents (n_test_images, …) of the decoder that is drawn with, and the problem they solve."""
    problem = open_problem(folders[0], folders[1], target)
    decoded = open_npy(decoder_file(folders[2], target, drawn_name(target, cfg), ".npy"))
    return np.asarray(decoded).reshape(-1, *problem.shape), problem


def draw_starts(folders: list[Path], cfg, rows: list[int]) -> None:
    """Write the decoded latents of some images as pictures of DRAW_PIXELS."""
    share_cores(cfg.N_JOBS)
    generator = open_generator(Path(cfg.MODEL_DIR), cfg.DEVICE, cfg.PRECISION)
    latents, problem = decoded_latents(folders, "image", cfg)
    for row, picture in zip(rows, generator.decode(latents[rows])):
        write_picture(start_file(folders[3], problem.test_images[row]), resized(picture, cfg.DRAW_PIXELS))


def draw(folders: list[Path], cfg, unit: tuple[str, int]) -> None:
    """All drawings of one test image under one condition. Drawing k begins with the same noise under each condition."""
    condition, row = unit
    share_cores(cfg.N_JOBS)
    generator = open_generator(Path(cfg.MODEL_DIR), cfg.DEVICE, cfg.PRECISION)
    decoded, problem = decoded_latents(folders, "text", cfg)
    start_token = np.asarray(open_npy(folders[1] / "text.npy")[0, :1])  # the same for every caption
    text, strength = np.concatenate([start_token, decoded[row]]), cfg.STRENGTH
    image = problem.test_images[row]
    if condition == "text":
        mean = open_problem(folders[0], folders[1], "image")
        start = resized(generator.decode(mean.mean.reshape(1, *mean.shape))[0], cfg.DRAW_PIXELS)
        strength = 1.0
    else:
        start = read_pictures([start_file(folders[3], image)])[0]
    if condition == "latents":
        text = generator.embed([""], cfg.N_TOKENS)[0]
    drawings = generator.draw(
        start, text.astype(np.float32), [[cfg.SEED, 4, row, number] for number in range(cfg.N_DRAWS)], steps=cfg.DDIM_STEPS,
        strength=strength, guidance=cfg.GUIDANCE,
    )  # fmt: skip
    for file, drawing in zip(drawing_files(folders[3], condition, image, cfg.N_DRAWS), drawings):
        write_picture(file, drawing)


def describe(stage: Stage, images: list[str], cfg) -> Section:
    section = Section(
        "Drawings",
        f"DDIM, {cfg.DDIM_STEPS} steps, strength {cfg.STRENGTH:g}, guidance {cfg.GUIDANCE:g}, {cfg.N_DRAWS} drawings "
        f"per test image. Image latents by {word_of(drawn_name('image', cfg))}, text by {word_of(drawn_name('text', cfg))}.",
    )
    shown = images[:SHOWN]
    rows = {"seen": [stage.folder_of(2) / "seen" / f"{image}.png" for image in shown]}
    rows["decoded latents"] = [start_file(stage.folder, image) for image in shown]
    rows |= {
        "drawn" if condition == DECODED else f"{condition} alone": [
            drawing_files(stage.folder, condition, image, 1)[0] for image in shown
        ]
        for condition in conditions_of(cfg)
    }
    figure, axes = plt.subplots(
        len(rows), len(shown), figsize=(1.6 * len(shown), 1.6 * len(rows)), squeeze=False, layout="constrained"
    )
    for line, (name, files) in zip(axes, rows.items()):
        for axis, picture in zip(line, read_pictures(files)):
            axis.imshow(picture)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    save_figure(figure, stage.folder / "first_images.png")
    section.figure(
        stage.folder / "first_images.png",
        f"The first {len(shown)} test images in the order of the data set, not chosen, and their first drawings. "
        "Script 7 shows the best, the middle and the worst.",
    )
    return section


if __name__ == "__main__":
    run_script(main)
