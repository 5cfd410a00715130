"""7. Seen and drawn pictures: the best, the middle and the worst test images, and the tables for a paper.

Test images are ranked by a stated rule, and of each the first drawing is shown, never a chosen one.
Beside it stand what was seen, the decoded latents, the drawings from text alone and latents alone,
the nearest training picture, and the drawing of another brain pattern.

Reads     1-betas/, 2-embeddings/, 3-decoders/, 4-drawings/, 5-scores/, DATASET_DIR (nearest
          training pictures)
Writes    7-figures/{best,middle,worst}.png and .pdf; chosen.tsv, a row per test image with its rank
          7-figures/table_image.tsv, table_text.tsv (decoders), table_scores.tsv (pictures), as they
            stand in the report
Settings  N_EXAMPLES, SEED
Takes     seconds
"""

from pathlib import Path

from neuroface.pipeline import Section, Stage, run_script, save_figure, write_table
from seen_images.drawings import (
    DECODED,
    conditions_of,
    drawing_files,
    main_kind,
    read_pictures,
    start_file,
)
from seen_images.generator import resized
from seen_images.latents import targets_of
from seen_images.picture_scores import WORDS
from seen_images.scores import derangements
from seen_images.sources import first_captions, open_source
from seen_images.study import STUDY
from seen_images.tsv import read_tsv, with_interval

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

GROUPS = ("best", "middle", "worst")
RANKED_BY = (
    "CLIP two-way",
    "Inception v3 two-way",
    "EfficientNetV2-S two-way",
    "EfficientNet-Lite0 two-way",
)  # the first that there is
TIES_BY = "pixel correlation"  # its name goes on with the size of the pictures


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 7, cfg, __doc__, reads=(1, 2, 3, 4, 5))
    per_image = read_tsv(stage.folder_of(5) / "images.tsv")
    ranking, measure = rank(per_image)
    groups = groups_of(ranking, cfg.N_EXAMPLES)
    write_table(
        stage.folder / "chosen.tsv",
        ranking.assign(group=[name_of(groups, image) for image in ranking["image"]]),
    )

    rule = (
        f"Images are ranked by {measure}, ties by pixel correlation, both means over all drawings; shown are the "
        f"first, the middle and the last {cfg.N_EXAMPLES}, and of each image its first drawing."
    )
    section = Section("Seen and drawn", rule)
    files = [stage.folder / f"{group}.png" for group in groups]
    stage.each(lambda file: draw_group(stage, groups[file.stem], file, cfg), files, "figures")
    section.first.figure(
        stage.folder / "middle.png",
        f"Seen and drawn: the middle of {len(ranking)} test images, ranked by {measure}. {columns_in_words(cfg)}",
    )
    for file, (group, images) in zip(files, groups.items()):
        place = {"best": "first", "middle": "middle", "worst": "last"}[group]
        section.figure(
            file,
            f"The {place} {len(images)} of {len(ranking)} test images. {columns_in_words(cfg)}",
        )
    write_tables(stage, cfg)
    stage.finish(f"figures of {sum(map(len, groups.values()))} test images", section)


def rank(per_image: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Test images from best to worst drawn, and the measure that ranks them."""
    table = per_image[per_image["kind"] == main_kind(set(per_image["kind"]))].pivot(
        index="image", columns="measure", values="value"
    )
    measure = next(name for name in RANKED_BY if name in table)
    ties = next(name for name in table if name.startswith(TIES_BY))
    table = table[[measure, ties]].sort_values([measure, ties], ascending=False, kind="stable")
    return table.reset_index().assign(rank=np.arange(1, len(table) + 1)), measure


def groups_of(ranking: pd.DataFrame, n: int) -> dict[str, list[str]]:
    """Images of the first, the middle and the last ``n`` ranks; fewer where they would overlap."""
    images, n = ranking["image"].tolist(), min(n, len(ranking) // 3) or 1
    middle = (len(images) - n) // 2
    return dict(zip(GROUPS, (images[:n], images[middle : middle + n], images[-n:])))


def name_of(groups: dict[str, list[str]], image: str) -> str:
    return next((name for name, images in groups.items() if image in images), "")


def draw_group(stage: Stage, images: list[str], file: Path, cfg) -> None:
    """A row per image, a column per kind of picture."""
    source, order = open_source(cfg), read_tsv(stage.folder_of(1) / "test.tsv")["image"].tolist()
    nearest = read_tsv(stage.folder_of(5) / "nearest.tsv").set_index("image")["nearest"]
    other = derangements(len(order), 1, cfg.SEED)[0]
    drawings, kinds = stage.folder_of(4), conditions_of(cfg)
    captions = first_captions(source, images, 18)
    figure, axes = plt.subplots(
        len(images),
        4 + len(kinds),
        figsize=(1.5 * (4 + len(kinds)) + 1.1, 1.55 * len(images) + 0.3),
        squeeze=False,
        layout="constrained",
    )
    for number, (line, image) in enumerate(zip(axes, images)):
        shown = {
            "seen": stage.folder_of(2) / "seen" / f"{image}.png",
            "decoded latents": start_file(drawings, image),
        }
        shown |= {TITLES[kind]: drawing_files(drawings, kind, image, 1)[0] for kind in kinds}
        another = order[other[order.index(image)]]
        shown["another brain"] = (
            drawing_files(drawings, DECODED, another, 1)[0]
            if cfg.DRAW
            else start_file(drawings, another)
        )
        pictures = dict(zip(shown, read_pictures(list(shown.values()))))
        pictures["nearest seen"] = resized(source.picture(nearest[image]), cfg.DRAW_PIXELS)
        for axis, (title, picture) in zip(line, pictures.items()):
            axis.imshow(picture)
            axis.set(xticks=[], yticks=[])
            if number == 0:
                axis.set_title(
                    title, fontsize=9, fontweight="bold" if title in ("seen", "drawn") else "normal"
                )
        line[0].set_ylabel(captions[number], fontsize=7, rotation=0, ha="right", va="center")
    save_figure(figure, file, also=(".pdf",))


TITLES = {DECODED: "drawn", "text": "text alone", "latents": "latents alone"}


def columns_in_words(cfg) -> str:
    also = [f"{TITLES[kind]}: {WORDS[kind]}" for kind in conditions_of(cfg)]
    return (
        "On the left: a caption of what was seen, whose text embedding is decoded from higher voxels. Seen; decoded "
        f"latents: through the autoencoder, not drawn; {'; '.join(also)}; another brain: the drawing of another test image; "
        "nearest seen: the training picture whose latents resemble the decoded ones most."
    )


def write_tables(stage: Stage, cfg) -> None:
    """The tables of the report as tab-separated text with intervals."""
    for target in targets_of(cfg):
        table = read_tsv(stage.folder_of(3) / f"{target}.tsv")
        shown = table[["decoder"]].copy()
        for measure in ("mse", "correlation", "identification"):
            shown[measure] = [
                with_interval(*row)
                for row in table[[measure, f"{measure}_low", f"{measure}_high"]].to_numpy()
            ]
        write_table(
            stage.folder / f"table_{target}.tsv",
            shown.join(table[["ceiling", "dimension", "parameters", "seconds", "epoch"]]),
        )
    scores = read_tsv(stage.folder_of(5) / "scores.tsv")
    scores["cell"] = [with_interval(*row) for row in scores[["value", "low", "high"]].to_numpy()]
    wide = scores.pivot(index="kind", columns="measure", values="cell")
    wide = wide.loc[
        [kind for kind in WORDS if kind in wide.index], list(dict.fromkeys(scores["measure"]))
    ]
    write_table(
        stage.folder / "table_scores.tsv",
        wide.rename(index=WORDS).rename_axis("pictures").reset_index(),
    )


if __name__ == "__main__":
    run_script(main)
