"""Script 5's table of scores: measures, baselines, and the row "shuffled brains"."""

from pathlib import Path

from neuroface.pipeline import Section, save_figure
from seen_images.features import CLIP, LITE0, V2S, open_lpips
from seen_images.scores import (
    bootstrap_times,
    derangements,
    interval_of_mean,
    quantiles,
    retrieval,
    similarity,
    two_way,
)
from seen_images.tables import with_interval

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from skimage.color import rgb2gray
from skimage.metrics import structural_similarity

PAIRWISE = ("SSIM", "LPIPS")
PAIRINGS = 5  # with other images, of measures that need both pictures at once
SHUFFLED = "shuffled brains"
WORDS = {
    "decoded": "drawn from latents and text", "text": "drawn from text alone", "latents": "drawn from latents alone",
    "start": "decoded latents, not drawn", "nearest": "nearest training picture", "mean picture": "mean training picture",
    SHUFFLED: SHUFFLED,
}  # fmt: skip
LOWER_IS_BETTER = ("LPIPS", f"{V2S} distance", f"{LITE0} distance")
# Of the publication, NSD and THINGS-fMRI: GCN for image latents, CNN for text.
PUBLISHED = {
    "pixel correlation": (0.3246, 0.2013),
    "SSIM": (0.3528, 0.3993),
    "LPIPS": (0.7329, 0.8148),
    f"{V2S} distance": (0.2734, 0.2454),
}


def shuffled_pairings(n: int, shuffled: bool, cfg) -> np.ndarray:
    """(1, n) or (1 + PAIRINGS, n): for each seen image the one whose drawings it is compared with; its own first."""
    own = np.arange(n)[None]
    return np.concatenate([own, derangements(n, min(PAIRINGS, cfg.N_SHUFFLES), cfg.SEED)]) if shuffled else own


def pair_scores(measure: str, drawn: np.ndarray, seen: np.ndarray, networks: dict[str, str], cfg) -> np.ndarray:
    """SSIM of grey values or LPIPS (n_drawings,) of drawings (n_drawings, h, w, 3) with a seen picture (h, w, 3), uint8."""
    if measure == "SSIM":
        grey = rgb2gray(seen)
        return np.array([structural_similarity(rgb2gray(picture), grey, data_range=1) for picture in drawn])
    network = open_lpips(networks["LPIPS"], cfg.DEVICE)
    device = network.shift.device
    ready = [
        torch.from_numpy(np.array(part)).permute(0, 3, 1, 2).float().to(device) / 127.5 - 1
        for part in (drawn, seen[None])
    ]
    with torch.no_grad():
        return network(ready[0], ready[1].expand_as(ready[0])).cpu().numpy()


def table_of_scores(
    features: dict[tuple[str, str], np.ndarray], pairwise: dict[tuple[str, str], np.ndarray], images: list[str], cfg
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores with intervals, a row per kind of picture and measure; and the same per test image.

    Parameters
    ----------
    features : (kind, network) → (n_images, n_drawings, k). pairwise : (kind, measure) → (1 + n_pairings, n_images).

    Returns
    -------
    kind, measure, value, low, high, difference, difference_low, difference_high; the last three from the row of shuffled
    brains, over the same bootstrap samples of images. And kind, measure, image, value.
    """
    each, shuffled = {}, {}
    pairings = derangements(len(images), cfg.N_SHUFFLES, cfg.SEED)
    for (kind, network), values in features.items():
        if kind != "seen":
            found = _of_network(
                network, _drawings(network, values, cfg), features["seen", network][:, 0], pairings, cfg
            )
            each |= {(kind, measure): own for measure, (own, _) in found.items()}
            if kind == "decoded":
                shuffled |= {measure: other for measure, (_, other) in found.items()}
    for (kind, measure), values in pairwise.items():
        each[kind, measure] = values[0]
        if kind == "decoded":
            shuffled[measure] = values[1:]
    each |= {(SHUFFLED, measure): values.mean(axis=0) for measure, values in shuffled.items()}
    times = bootstrap_times(len(images), cfg.N_BOOTSTRAP, cfg.SEED)
    rows = []
    for (kind, measure), values in each.items():
        difference = interval_of_mean(values - shuffled[measure].mean(axis=0), times)
        value, low, high = interval_of_mean(values, times)
        if kind == SHUFFLED:  # over pairings
            low, high = quantiles(shuffled[measure].mean(axis=1))
        rows.append((kind, measure, value, low, high, *((np.nan,) * 3 if kind == SHUFFLED else difference)))
    columns = ["kind", "measure", "value", "low", "high", "difference", "difference_low", "difference_high"]
    per_image = pd.concat(
        [pd.DataFrame({"kind": k, "measure": m, "image": images, "value": v}) for (k, m), v in each.items()],
        ignore_index=True,
    )
    return pd.DataFrame(rows, columns=columns), per_image


def _drawings(network: str, features: np.ndarray, cfg) -> np.ndarray:
    """Features (n_drawings, n_images, k); with DRAWINGS = "mean" those of networks averaged into one."""
    drawings = np.moveaxis(np.asarray(features), 1, 0)
    return drawings.mean(axis=0, keepdims=True) if cfg.DRAWINGS == "mean" and network != "pixels" else drawings


def _of_network(network: str, drawings: np.ndarray, seen: np.ndarray, pairings: np.ndarray, cfg):
    """Measure → scores (n_images,) of the right pairs and (n_pairings, n_images) of shuffled brains; means over drawings."""
    own, other = {}, {}
    n_candidates = min(cfg.RETRIEVAL_N, len(seen))
    for drawing in drawings:
        similar = similarity(drawing, seen)  # row: drawn, column: seen
        measures = {
            "pixels": {"pixel correlation": np.diag},
            CLIP: {
                "CLIP two-way": two_way,
                f"CLIP retrieval among {n_candidates}": lambda s: retrieval(s, n_candidates),
            },
        }.get(network, {f"{network} distance": lambda s: 1 - np.diag(s), f"{network} two-way": two_way})
        for measure, score in measures.items():
            own.setdefault(measure, []).append(score(similar))
            other.setdefault(measure, []).append([score(similar[pairing]) for pairing in pairings])
    return {measure: (np.mean(own[measure], axis=0), np.mean(other[measure], axis=0)) for measure in own}


# ---------------------------------------------------------------- the report


def describe(folder: Path, scores: pd.DataFrame, cfg) -> Section:
    section = Section(
        "Scores",
        "Seen and drawn pictures compared. Shuffled brains: each seen picture with the drawings of another test image, so "
        "the pictures are as good and show something else. A method counts only as far as it differs from that row.",
    )
    decoded = scores[scores["kind"] == "decoded"].set_index("measure")
    chance = scores[scores["kind"] == SHUFFLED].set_index("measure")["value"]
    named = [measure for measure in decoded.index if measure.endswith("two-way") or "retrieval" in measure]
    section.numbers(
        {f"{measure} (shuffled {chance[measure]:.1%})": f"{decoded['value'][measure]:.1%}" for measure in named}
    )
    kinds, measures = [kind for kind in WORDS if kind in set(scores["kind"])], list(dict.fromkeys(scores["measure"]))
    table = scores.set_index(["kind", "measure"])
    section.table(
        ["", *(f"{measure} {'↓' if measure in LOWER_IS_BETTER else '↑'}" for measure in measures)],
        [
            [WORDS[kind], *(with_interval(*table.loc[(kind, m), ["value", "low", "high"]]) for m in measures)]
            for kind in kinds
        ],
        f"Scores with 95 % intervals over test images; of shuffled brains over pairings. ↑: higher is better, ↓: lower. "
        f"{'Mean over drawings.' if cfg.DRAWINGS == 'each' else 'Features averaged over drawings, as in the publication.'}",
    )
    section.table(
        ["", *measures],
        [
            [
                WORDS[k],
                *(
                    with_interval(*table.loc[(k, m), ["difference", "difference_low", "difference_high"]])
                    for m in measures
                ),
            ]
            for k in kinds
            if k != SHUFFLED
        ],
        "Difference from shuffled brains, with 95 % intervals over test images. An interval that holds 0 means: no "
        "better than pictures of something else.",
    )
    published = [(measure, *(f"{value:.4f}" for value in PUBLISHED[measure])) for measure in PUBLISHED]
    section.table(["measure", "NSD", "THINGS-fMRI"], published, "Published scores, without a row of shuffled brains")
    draw_scores(scores, kinds, measures, folder / "scores.png")
    section.figure(
        folder / "scores.png",
        "Means over test images and 95 % intervals; dashed: shuffled brains. ↑: higher is better, ↓: lower.",
    )
    return section


def draw_scores(scores: pd.DataFrame, kinds: list[str], measures: list[str], path: Path) -> None:
    table = scores.set_index(["kind", "measure"])
    columns = 4
    lines = -(-len(measures) // columns)
    figure, axes = plt.subplots(
        lines, columns, figsize=(11, 2.6 * lines), sharey=True, layout="constrained", squeeze=False
    )
    for axis, measure in zip(axes.flat, measures):
        for place, kind in enumerate(kinds):
            value, low, high = table.loc[(kind, measure), ["value", "low", "high"]]
            axis.errorbar(
                value,
                -place,
                xerr=[[value - low], [high - value]],
                fmt="o",
                color="#2b5f8a" if kind != SHUFFLED else "#8a94a0",
            )
        axis.axvline(table.loc[(SHUFFLED, measure), "value"], color="#8a94a0", ls="--", lw=1)
        axis.set_title(f"{measure} {'↓' if measure in LOWER_IS_BETTER else '↑'}", fontsize=9)
        axis.set_yticks([-place for place in range(len(kinds))], [WORDS[kind] for kind in kinds], fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes.flat[len(measures) :]:
        axis.set_visible(False)
    save_figure(figure, path)
