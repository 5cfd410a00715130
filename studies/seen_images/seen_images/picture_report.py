"""Script 5's part of the report: identification first, then what counts as evidence, then all scores."""

from pathlib import Path

from neuroface.pipeline import Section, save_figure
from seen_images.drawings import SEEN, main_kind
from seen_images.features import ALEXNET2, ALEXNET5, B1, CLIP, INCEPTION, SWAV
from seen_images.picture_scores import (
    FROM_MEAN,
    FROM_SHUFFLED,
    LOWER_IS_BETTER,
    PAIRINGS,
    SHUFFLED,
    WORDS,
    is_identification,
)
from seen_images.pixel_scores import (
    COLOUR,
    COMPARABLE_PIXELS,
    LPIPS,
    PUBLISHED_ON,
    PUBLISHED_PIXEL_CORRELATION,
    PUBLISHED_SSIM,
    pixel_correlation_name,
    ssim_name,
)
from seen_images.tsv import read_tsv, with_interval

import pandas as pd
from matplotlib import pyplot as plt

# Of the publication: its linear baseline and its own method (GCN for image latents, CNN for text),
# NSD and THINGS-fMRI.
PUBLISHED = {
    PUBLISHED_PIXEL_CORRELATION: (0.2659, 0.3246, 0.1293, 0.2013),
    PUBLISHED_SSIM: (0.2141, 0.3528, 0.2407, 0.3993),
    LPIPS: (0.7695, 0.7329, 0.8364, 0.8148),
}
# Of the publication's notebook, NSD only, pictures in 0 … 1, features of the drawings averaged:
# linear baseline, the published drawings (folder "new": they have the published scores above), and
# those of folder "nsd_roi".
NOTEBOOK = {
    "CLIP ViT-L/14 two-way": (0.6459, 0.8524, 0.8689),
    "Inception v3 two-way": (0.7180, 0.9004, 0.9064),
    "EfficientNet-B1 distance": (0.9195, 0.6696, 0.6645),
    "SwAV distance": (0.6739, 0.3868, 0.3806),
}


# NSD. PixCorr, SSIM, Alex(2), Alex(5), Incep, CLIP, Eff, SwAV.
PUBLISHED_EIGHT = {
    "published: MindEye2 (Scotti et al. 2024)": (".322", ".431", "", "", ".954", ".930", ".619", ".344"),
    "published: Takagi & Nishimoto 2023, as scored there": (".246", ".410", "", "", ".838", ".821", ".811", ".504"),
}  # fmt: skip


def describe_scores(folder: Path, scores: pd.DataFrame, cfg) -> Section:
    section = Section(
        "Scores",
        "Seen and drawn pictures compared. Identification has a known chance and comes first. A pixel score, SSIM, "
        "LPIPS or distance is evidence only if it is better than shuffled brains and better than the mean training "
        "picture, which uses no BOLD. Shuffled brains: each seen picture with the drawings of another test "
        "image.",
    )
    kinds = [kind for kind in WORDS if kind in set(scores["kind"])]
    measures = list(dict.fromkeys(scores["measure"]))
    named = identification_first(measures)
    others = [measure for measure in measures if measure not in named]
    table = scores.set_index(["kind", "measure"])
    numbers = first_numbers(table, named, cfg)
    section.numbers(numbers)
    section.first.text(
        "Drawings compared with the pictures that were seen. Identification: how often a drawing resembles its own "
        "picture more than another one."
    )
    section.first.numbers(numbers)
    if beaten := better_than_drawn(table, kinds, others):
        section.lead += f" {beaten}"
    section.table(
        [
            "",
            *(f"{measure} (chance {chance_in_words(table, measure)})" for measure in named),
            "p of the first",
        ],
        [
            [
                WORDS[kind],
                *_cells(table, kind, named, ("value", "low", "high")),
                _p(table, kind, named[0]),
            ]
            for kind in kinds
        ],
        f"Identification of the seen picture, with 95 % intervals over test images; of shuffled brains the range that "
        f"holds 95 % of {cfg.N_SHUFFLES} pairings. p: drawings and seen pictures paired at random {cfg.N_SHUFFLES} "
        f"times. {about_clip(cfg)}",
    )
    section.table(
        ["", *map(_arrow, others)],
        [[WORDS[kind], *_cells(table, kind, others, ("value", "low", "high"))] for kind in kinds],
        f"Other scores, with 95 % intervals over test images. ↑: higher is better, ↓: lower. {about_pixels(cfg)} "
        f"Shuffled brains: {PAIRINGS} pairings for scores of pixels and LPIPS, {cfg.N_SHUFFLES} for distances. "
        f"{'Mean over drawings.' if cfg.DRAWINGS == 'each' else 'Features averaged over drawings, as in the publication.'}",
    )
    for start, less in (
        (FROM_SHUFFLED, "shuffled brains"),
        (FROM_MEAN, "the mean training picture"),
    ):
        columns = (start, f"{start}_low", f"{start}_high")
        compared = [
            kind
            for kind in kinds
            if kind != SHUFFLED and (start, kind) != (FROM_MEAN, "mean picture")
        ]
        section.table(
            ["", *map(_arrow, others)],
            [
                [WORDS[kind], *_cells(table, kind, others, columns, "+.3f", mark=True)]
                for kind in compared
            ],
            f"Difference from {less}, with 95 % intervals over test images. ✓: better than shuffled brains and than "
            "the mean training picture.",
        )
    add_brain(section, read_tsv(folder / "brain.tsv"))
    add_published(section, cfg)
    add_fields_measures(section, table, kinds, cfg)
    draw_scores(table, kinds, named + others, folder / "scores.png")
    section.figure(
        folder / "scores.png",
        "Means over test images and 95 % intervals. Dashed: shuffled brains. Dotted: mean training picture. ↑: higher "
        "is better, ↓: lower.",
    )
    return section


def add_brain(section: Section, table: pd.DataFrame) -> None:
    """Brain correlation, a row per kind of picture and a column pair per part of the cortex."""
    parts, cells = list(dict.fromkeys(table["part"])), table.set_index(["part", "kind"])
    kinds = [kind for kind in (SEEN, *WORDS) if kind in set(table["kind"])]
    rows = []
    for kind in kinds:
        row = ["the seen picture" if kind == SEEN else WORDS[kind]]
        for part in parts:
            values = cells.loc[(part, kind)]
            value, low, high = values[["value", "low", "high"]]
            row.append(with_interval(value, low, high))
            value, low, high = values[[f"difference_{name}" for name in ("value", "low", "high")]]
            row.append("" if pd.isna(value) else with_interval(value, low, high, "+.3f"))
        rows.append(row)
    header = [f"{part} voxels{less}" for part in parts for less in ("", ", less shuffled")]
    section.table(
        ["", *header],
        rows,
        "Brain correlation: voxels that an encoding model predicts from the picture, correlated over voxels with the "
        "measured pattern; 95 % intervals over test images. Encoding models: ridge regression from latents (early) and "
        "from CLIP embeddings (higher, with CLIP_DECODERS), fitted to the training trials. Drawings were decoded from "
        "the same patterns and may carry their noise: they may exceed the seen picture.",
    )


def fields_measures(cfg) -> dict[str, str]:
    """The eight measures that MindEye, MindEye2 and others report: their name there → the name of the score here."""
    return {
        "PixCorr ↑": pixel_correlation_name(cfg),
        "SSIM ↑": ssim_name(cfg),
        "Alex(2) ↑": f"{ALEXNET2} two-way",
        "Alex(5) ↑": f"{ALEXNET5} two-way",
        "Incep ↑": f"{INCEPTION} two-way",
        "CLIP ↑": f"{CLIP} two-way",
        "Eff ↓": f"{B1} distance",
        "SwAV ↓": f"{SWAV} distance",
    }


def add_fields_measures(section: Section, table: pd.DataFrame, kinds: list[str], cfg) -> None:
    """The field's eight measures in its order and names, empty where weights are not at hand. NSD: published values too."""
    names = fields_measures(cfg)
    rows = [
        [
            WORDS[kind],
            *(
                f"{table.loc[(kind, measure), 'value']:.3f}"
                if (kind, measure) in table.index
                else ""
                for measure in names.values()
            ),
        ]
        for kind in kinds
    ]
    text = (
        f"The eight measures that MindEye and its successors report, here of pictures at {cfg.SCORE_PIXELS} pixels for the "
        "first two. Empty: the weights are not at hand."
    )
    if cfg.DATASET == "nsd":
        rows += [[who, *values] for who, values in PUBLISHED_EIGHT.items()]
        text += (
            " Published rows: NSD, means over subj01, 02, 05 and 07 with all 40 sessions, one drawing for each shared test "
            "image, three trials averaged, voxels of nsdgeneral. AlexNet's published values are not repeated here. None of "
            "these publications has a row of shuffled brains or of a mean picture."
        )
    section.table(["", *names], rows, text)


def identification_first(measures: list[str]) -> list[str]:
    """Identification measures, those of networks that had no part in decoding before those of CLIP."""
    named = [measure for measure in measures if is_identification(measure)]
    return sorted(named, key=lambda measure: measure.startswith(CLIP))


def first_numbers(table: pd.DataFrame, named: list[str], cfg) -> dict[str, str]:
    numbers, main = {}, main_kind(table.index.get_level_values("kind"))
    for measure in named:
        network = (
            "the demo's own CLIP" if cfg.DATASET == "demo" and measure.startswith(CLIP) else ""
        )
        label = measure.replace(CLIP, network) if network else measure
        value = table.loc[(main, measure), "value"]
        numbers[f"{label} (chance {chance_in_words(table, measure)})"] = f"{value:.1%}"
    if (main, COLOUR) in table.index:
        chance = table.loc[(SHUFFLED, COLOUR), "value"]
        numbers[f"{COLOUR} right (shuffled brains {chance:.0%})"] = (
            f"{table.loc[(main, COLOUR), 'value']:.0%}"
        )
    return numbers


def chance_in_words(table: pd.DataFrame, measure: str) -> str:
    row = table.loc[(main_kind(table.index.get_level_values("kind")), measure)]
    return f"{row['value'] - row[FROM_SHUFFLED]:.0%}"


def better_than_drawn(table: pd.DataFrame, kinds: list[str], others: list[str]) -> str:
    """A sentence that names the pictures which beat the drawings without being drawn, per measure; may be empty."""
    parts: list[str] = []
    if "decoded" not in kinds:
        return ""
    for kind in ("start", "nearest"):
        better = []
        for measure in others:
            if kind not in kinds or measure == COLOUR:
                continue
            drawn, other = (
                table.loc[("decoded", measure), "value"],
                table.loc[(kind, measure), "value"],
            )
            if (other < drawn) if measure in LOWER_IS_BETTER else (other > drawn):
                better.append(f"{measure} ({other:.3f} against {drawn:.3f})")
        if better:
            parts.append(f"{WORDS[kind]}: {', '.join(better)}")
    return (
        f"These are not drawn and score better than the drawings: {'; '.join(parts)}."
        if parts
        else ""
    )


def about_clip(cfg) -> str:
    if cfg.DATASET == "demo":
        return (
            "The demo's CLIP knows only the demo's kinds of pictures and was trained together with the text model "
            "whose embeddings are decoded: it tells whether the words were decoded, not whether a person would "
            "recognise the picture."
        )
    return (
        "CLIP's picture model was trained together with the text model whose embeddings are decoded, so the other "
        "networks are the more independent judges."
    )


def about_pixels(cfg) -> str:
    text = f"{pixel_correlation_name(cfg)} of colours; {ssim_name(cfg)}, of grey values, SD of the window 1.5 pixels."
    if min(cfg.SCORE_PIXELS, cfg.DRAW_PIXELS) <= COMPARABLE_PIXELS:
        text += (
            f" Pictures of {min(cfg.SCORE_PIXELS, cfg.DRAW_PIXELS)} pixels have no fine texture: these numbers cannot "
            "be compared with published ones, which are of 425 or 512 pixels."
        )
    return text


def add_published(section: Section, cfg) -> None:
    """The publication's scores, only beside scores of the same data."""
    if cfg.DATASET not in PUBLISHED_ON:
        return
    section.table(
        ["measure", "NSD: linear", "NSD", "THINGS-fMRI: linear", "THINGS-fMRI"],
        [(measure, *(f"{value:.4f}" for value in values)) for measure, values in PUBLISHED.items()],
        "Published scores, without shuffled brains or a mean picture; compare those of the same pixels and window. Its "
        "EfficientNetV2-S distances (0.2734, 0.2454) are left out: they are of pictures in 0 … 255, given to a network "
        "that expects 0 … 1, and cannot be compared with any distance here.",
    )
    section.table(
        ["measure", "linear", "published drawings", "drawings of folder nsd_roi"],
        [(measure, *(f"{value:.4f}" for value in values)) for measure, values in NOTEBOOK.items()],
        "The publication's notebook, NSD, pictures in 0 … 1. Features were averaged over five drawings (DRAWINGS = "
        '"mean"), over two for the EfficientNet-B1 distance of nsd_roi, over one for the linear SwAV distance.',
    )


def _cells(
    table: pd.DataFrame,
    kind: str,
    measures: list[str],
    columns,
    form: str = ".3f",
    mark: bool = False,
) -> list[str]:
    cells = []
    for measure in measures:
        row = table.loc[(kind, measure)]
        value, low, high = row[list(columns)]
        cell = with_interval(value, low, high, form)
        cells.append(f"{cell} ✓" if mark and row["evidence"] else cell)
    return cells


def _p(table: pd.DataFrame, kind: str, measure: str) -> str:
    p = table.loc[(kind, measure), "p"]
    return "" if pd.isna(p) else f"{p:.3f}"


def _arrow(measure: str) -> str:
    return f"{measure} {'↓' if measure in LOWER_IS_BETTER else '↑'}"


def draw_scores(table: pd.DataFrame, kinds: list[str], measures: list[str], path: Path) -> None:
    columns = 4
    lines = -(-len(measures) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(11, 2.6 * lines), sharey=True, layout="constrained", squeeze=False
    )
    for axis, measure in zip(axes.flat, measures):
        for place, kind in enumerate(kinds):
            value, low, high = table.loc[(kind, measure), ["value", "low", "high"]]
            low, high = (
                (value, value) if pd.isna(low) else (min(low, value), max(high, value))
            )  # rounding
            error = [[value - low], [high - value]]
            colour = "#8a94a0" if kind == SHUFFLED else "#2b5f8a"
            axis.errorbar(value, -place, xerr=error, fmt="o", color=colour)
        axis.axvline(table.loc[(SHUFFLED, measure), "value"], color="#8a94a0", ls="--", lw=1)
        axis.axvline(table.loc[("mean picture", measure), "value"], color="#8a94a0", ls=":", lw=1)
        axis.set_title(_arrow(measure), fontsize=9)
        axis.set_yticks(
            [-place for place in range(len(kinds))], [WORDS[kind] for kind in kinds], fontsize=8
        )
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes.flat[len(measures) :]:
        axis.set_visible(False)
    save_figure(figure, path)
