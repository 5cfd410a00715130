"""Script 4's tables, rounded as the report and a paper show them, and their captions."""

from collections.abc import Sequence

from film_encoding.comparisons import VOXELS
from film_encoding.identification import AMONG
from film_encoding.scoring import FROM_MEASURED, FROM_PREDICTED, MEAN_FRAME, RIDGE, is_ridge
from film_encoding.variants import Variant, lagged_variants
from film_encoding.wording import interval, model_name, number, over_what, p_text, with_interval

import numpy as np
import pandas as pd

GIVEN = {
    FROM_MEASURED: "from measured BOLD",
    FROM_PREDICTED: "through the network, as published",
    MEAN_FRAME: "the mean of the training frames",
}
SCORES = {
    "r": "r",
    "two_way": "identified",
    "pixel_r": "pixel r",
    "psnr_db": "PSNR (dB)",
    "ssim": "SSIM (in the network's loss)",
}
WORDS = {"better": "better", "worse": "worse", "not different": "no clear difference"}
OF_VOXELS = (
    "Voxels from frames. r: mean over voxels of Pearson's r, films z-scored. Intervals, 95 %: jackknife over blocks of "
    "time, Student's t, and over seeds where there are several. Null: mean r over different circular shifts, and p, a "
    "count of them. FDR: p of single voxels by Student's t with the null's own SD. Error: mean squared error by that of "
    "the mean volume; above 1 the mean volume is better. Identified: the seen moment against another one (chance 0.5), and "
    "among the best k of all. Published on a film never seen (Emo-FilM, other data): r = 0.203, encoder alone 0.139."
)
OF_IDENTIFICATION = (
    "Which moment was seen? The frame is compared with the reconstructions of that moment and of others (r of pixels). "
    "Null: the mean over circular shifts, and p. Among n: the seen moment is the best of n candidates drawn at random, "
    "chance 1 / n; among all: of all moments of the test set (chance in brackets). Neighbours of the moment are no "
    "candidates."
)
OF_FRAMES = (
    "Frames from voxels. Only “from measured BOLD” passes through a brain; “through the network” goes from frames to "
    "predicted voxels and back. SSIM of values clipped to 0 … 1; stretched: of images from their darkest to their brightest "
    "value. Null: mean SSIM over different circular shifts, and p. Published on a film never seen: SSIM = 0.320, through "
    "the network."
)
OF_ORDER = (
    "Does motion come from the brain? Pixel r of reconstructions with the film, the frames of each shot in their own order, "
    "in all orders (mean), and in reversed order; means over shots. Within a shot the picture changes by motion alone, so "
    "motion in the reconstructions makes the own order better than the reversed one. Interval over shots; p by changed "
    "signs of shots. Shots end where consecutive frames differ most."
)
OF_EFFECT = (
    "What the decoder does to the encoder as its regulariser: mean r over voxels. Trainings from the same seed are pairs. "
    "Published: +0.063, without an interval."
)
OF_DIFFERENCES = (
    "The network less each rival, on the same moments. {delays}All learned from the same chunks; ridge regression chose its "
    "penalty in blocks of these, the network its epoch on inner chunks. SSIM is in the network's loss, and ridge regression "
    "minimises the squared error, which PSNR measures; identification and pixel r are in no loss. The interval says "
    "whether a difference is clear; rows are not corrected for their number."
)
OF_PEOPLE = (
    "Single people: mean r over voxels and people. Intervals are over people and over blocks of time, because all people "
    "saw the same moments."
)


def of_differences(cfg) -> str:
    """Caption of the differences: which chunks a network with several delays and ridge regression see."""
    sentences = [
        f"{delays_compared(variant, cfg)} It has no decoder. " for variant in lagged_variants(cfg)
    ]
    return OF_DIFFERENCES.format(delays="".join(sentences))


def delays_compared(variant: Variant, cfg) -> str:
    """Whether a network with several delays sees the chunks of RIDGE_DELAYS_TRS."""
    network, ridge = (model_name(model, cfg) for model in (variant.name, RIDGE))
    if set(variant.lags) == set(cfg.RIDGE_DELAYS_TRS):
        return f"“{network}” sees the same chunks as “{ridge}”."
    return (
        f"“{network}” sees other chunks than “{ridge}”: its delays are {delays_text(variant.lags)} TRs, those of ridge "
        f"regression {delays_text(cfg.RIDGE_DELAYS_TRS)}."
    )


def delays_text(delays: Sequence[int]) -> str:
    """Delays in TRs relative to DELAY_TRS: −2, −1, 0, +1."""
    return ", ".join(f"{delay:+d}".replace("-", "−") if delay else "0" for delay in delays)


def difference_rows(comparison: pd.DataFrame, cfg) -> list[dict[str, str]]:
    return [
        {
            "split": row.split,
            "test set": row.test_set,
            "of": row.of if row.of == VOXELS else "frames from measured BOLD",
            "score": SCORES[row.score],
            "network": model_name(row.model, cfg),
            "its score": number(row.network),
            "rival": model_name(row.rival, cfg) if row.of == VOXELS else frame_model(row.rival),
            "rival's score": number(row.of_rival),
            "difference [95 %]": f"{row.difference:+.3f} {interval(row.low, row.high, sign='+')}",
            "over": over_what(row.n_blocks, row.n_seeds),
            "the network is": WORDS[row.network_is],
        }
        for row in comparison.itertuples()
    ]


def voxel_rows(voxels: pd.DataFrame, cfg) -> list[dict[str, str]]:
    """The table of voxels, rounded: column → cell of each row."""
    return [
        {
            "model": model_name(row.model, cfg),
            "split": row.split,
            "test set": row.test_set,
            "r [95 %]": with_interval(row, "r"),
            "over": over_what(row.n_blocks, row.n_seeds),
            "null": number(row.r_null),
            "p": p_text(row.p, row.p_smallest),
            "voxels p < 0.05 (FDR)": significant(row),
            "ceiling": number(row.ceiling),
            "r / ceiling": number(row.r_of_ceiling),
            "error": number(row.mse_over_mean_volume),
            "identified (2) [95 %]": with_interval(row, "two_way"),
        }
        | {
            f"top {k} (chance)": f"{row[f'top_{k}']:.3f} ({row[f'chance_{k}']:.3f})"
            for k in cfg.TOP_K
        }
        for _, row in voxels.iterrows()
    ]


def significant(row) -> str:
    """Share of voxels that pass the FDR; none is claimed where too few shifts are possible."""
    if pd.isna(row.significant_share):
        return "not tested: too few shifts"
    return f"{row.significant_share:.0%} of {row.n_voxels:,}"


def frame_model(model: str) -> str:
    """Name of a model that makes frames; ridge regression makes them from one volume, without delays."""
    return model.replace(RIDGE, "ridge from voxels") if is_ridge(model) else model


def identification_rows(frames: pd.DataFrame, cfg) -> list[dict[str, str]]:
    """How often the seen moment is identified, its null first, rounded; the mean frame identifies nothing."""
    rows = []
    for _, row in frames[frames["given"] != MEAN_FRAME].iterrows():
        cells = names_of_frames(row) | {
            "null": number(row.two_way_null),
            "identified (2) [95 %]": with_interval(row, "two_way"),
            "p": p_text(row.two_way_p, row.two_way_p_smallest),
        }
        for n in AMONG:
            value, null = (row[f"among_{n}{end}"] for end in ("", "_null"))
            cells[f"among {n} (null)"] = (
                "too few moments" if pd.isna(value) else f"{value:.3f} ({null:.3f})"
            )
        for k in cfg.TOP_K:
            cells[f"top {k} of all (chance)"] = f"{row[f'top_{k}']:.3f} ({row[f'chance_{k}']:.3f})"
        rows.append(cells)
    return rows


def names_of_frames(row) -> dict[str, str]:
    return {
        "model": MEAN_FRAME if row.given == MEAN_FRAME else frame_model(row.model),
        "given": GIVEN[row.given],
        "split": row.split,
        "test set": row.test_set,
    }


def frame_rows(frames: pd.DataFrame, cfg) -> list[dict[str, str]]:
    """The table of frames, rounded: column → cell of each row."""
    return [
        names_of_frames(row)
        | {
            "pixel r [95 %]": with_interval(row, "pixel_r"),
            "PSNR dB [95 %]": with_interval(row, "psnr_db", 1),
            "SSIM [95 %]": with_interval(row, "ssim"),
            "over": over_what(row.n_blocks, row.n_seeds),
            "stretched": number(row.ssim_stretched),
            "null of SSIM": number(row.ssim_null),
            "p of SSIM": p_text(row.ssim_p, row.ssim_p_smallest),
        }
        for _, row in frames.iterrows()
    ]


def order_rows(frames: pd.DataFrame) -> list[dict[str, str]]:
    """Frames of a shot in their own order, in all, and in reversed order, rounded."""
    return [
        names_of_frames(row)
        | {
            "own order": number(row.order_own),
            "all orders": number(row.order_permuted),
            "reversed": number(row.order_reversed),
            "own less reversed [95 %]": order_gain(row),
            "shots": f"{row.n_shots:.0f}",
            "p": p_text(row.order_p, row.order_p_smallest),
        }
        for _, row in frames[frames["given"] != MEAN_FRAME].iterrows()
    ]


def order_gain(row) -> str:
    """Pixel r in the own order less that in reversed order, with its interval over shots."""
    if pd.isna(row.order):
        return "no shot of several moments"
    gain = f"{row.order:+.4f}"
    return f"{gain} {interval(row.order_low, row.order_high, 4, sign='+', none='too few shots')}"


def effect_rows(regulariser: list[dict]) -> list[dict[str, str]]:
    return [
        {
            "test set": f"{row['split']}, {row['test_set']}",
            "with decoder": f"{np.mean(row['network']):.3f}",
            "encoder alone": f"{np.mean(row['encoder']):.3f}",
            "effect [95 %]": f"{row['effect']:+.3f} {interval(row['interval'][0], row['interval'][1], sign='+')}",
            "over": over_what(row["n_blocks"], row["n_seeds"]),
            "SD over seeds": number(row["sd_over_seeds"]),
        }
        for row in regulariser
    ]


def people_rows(people: pd.DataFrame, cfg) -> list[dict[str, str]]:
    return [
        {
            "split": row.split,
            "test set": row.test_set,
            "model": " − ".join(model_name(name, cfg) for name in row.model.split(" − ")),
            "mean r [95 %]": f"{row.r:+.3f} {interval(row.low, row.high, sign='+')}",
            "over": f"{row.n_people} people and {row.n_blocks} blocks",
            "SD over people": number(row.sd_over_people),
            "people above 0": f"{row.people_above_0} of {row.n_people}",
        }
        for row in people.itertuples()
    ]
