"""Script 5's table of scores: measures, baselines, and the row "shuffled brains"."""

from collections.abc import Mapping

from seen_images.drawings import MEAN_PICTURE, SEEN, main_kind
from seen_images.features import ALEXNET2, ALEXNET5, B1, CLIP, INCEPTION, LITE0, SWAV, V2S
from seen_images.pixel_scores import LPIPS
from seen_images.scores import (
    bootstrap_times,
    derangements,
    excess_influence,
    exchange_p,
    interval_of_mean,
    interval_of_share,
    quantiles,
    retrieval,
    retrieval_influence,
    retrieval_of_pairing,
    similarity,
    two_way,
    two_way_influence,
    two_way_of_pairing,
)

import numpy as np
import pandas as pd

PAIRINGS = 20  # with other images, of measures that need both pictures at once
SHUFFLED = "shuffled brains"
WORDS = {
    "decoded": "drawn from latents and text", "text": "drawn from text alone", "latents": "drawn from latents alone",
    "start": "decoded latents, not drawn", "nearest": "nearest training picture", "mean picture": "mean training picture",
    SHUFFLED: SHUFFLED,
}  # fmt: skip
LOWER_IS_BETTER = (LPIPS, *(f"{name} distance" for name in (V2S, LITE0, B1, SWAV)))
IDENTIFY_ONLY = (CLIP, ALEXNET2, ALEXNET5, INCEPTION)  # no distance is reported of these
ROUNDING = 1e-9
FROM_SHUFFLED, FROM_MEAN = (
    "difference",
    "from_mean_picture",
)  # columns, each also with _low and _high


def is_identification(measure: str) -> bool:
    """Whether chance is known: one half for two-way identification, one in n for retrieval among n."""
    return measure.endswith("two-way") or "retrieval" in measure


def shuffled_pairings(n: int, shuffled: bool, cfg) -> np.ndarray:
    """(1, n) or (1 + PAIRINGS, n): for each seen image the one whose drawing it is compared with; its own first."""
    own = np.arange(n)[None]
    return np.concatenate([own, derangements(n, PAIRINGS, cfg.SEED)]) if shuffled else own


def table_of_scores(
    features: Mapping[tuple[str, str], np.ndarray],
    pairwise: Mapping[tuple[str, str], np.ndarray],
    images: list[str],
    cfg,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores with intervals, a row per kind of picture and measure; and the same per test image.

    Parameters
    ----------
    features : (kind, network) → (n_images, n_drawings, k). pairwise : (kind, measure) → (1 +
    n_pairings, n_images).

    Returns
    -------
    scores : kind, measure, value, low, high; ``difference`` from shuffled brains and
        ``from_mean_picture``, each with _low and _high; p of two-way identification; ``evidence``.
        Intervals are over test images, those of shuffled brains over pairings where there are
        N_SHUFFLES of them. Identification is compared with chance, which is what shuffled brains
        and the mean picture reach.
    per_image : kind, measure, image, value.
    """
    each, parts, p = {}, {}, {}
    shuffled: dict = {}
    pairings = derangements(len(images), cfg.N_SHUFFLES, cfg.SEED)
    shuffled_kind = main_kind({kind for kind, _ in (*features, *pairwise)})
    for (kind, network), values in features.items():
        if kind == SEEN:
            continue
        drawings, seen = _drawings(values, cfg), features[SEEN, network][:, 0]
        similar = [similarity(drawing, seen) for drawing in drawings]  # row: drawn, column: seen
        for measure, (own, contributions) in _of_network(network, similar, cfg).items():
            each[kind, measure], parts[kind, measure] = own, contributions
            if measure.endswith("two-way"):
                p[kind, measure] = exchange_p(similar, cfg.N_SHUFFLES, cfg.SEED)
        if kind == shuffled_kind:
            shuffled |= {
                m: (v, pairings) for m, v in _of_pairings(network, similar, pairings, cfg).items()
            }
    few = derangements(len(images), PAIRINGS, cfg.SEED)
    for (kind, measure), values in pairwise.items():
        each[kind, measure] = parts[kind, measure] = values[0]
        if kind == shuffled_kind:
            shuffled[measure] = (values[1:], few[: len(values) - 1])

    times = bootstrap_times(len(images), cfg.N_BOOTSTRAP, cfg.SEED)
    rows = [
        {"kind": kind, "measure": measure, "p": p.get((kind, measure), np.nan)}
        | _compared(kind, measure, values, parts, shuffled[measure], times, chance_of(measure))
        for (kind, measure), values in each.items()
    ]
    for measure, (values, _) in shuffled.items():
        low, high = (
            quantiles(values.mean(axis=1)) if len(values) >= cfg.N_SHUFFLES else (np.nan, np.nan)
        )
        rows.append(
            {"kind": SHUFFLED, "measure": measure, "value": values.mean(), "low": low, "high": high}
        )
        each[SHUFFLED, measure] = values.mean(axis=0)
    per_image = pd.concat(
        [
            pd.DataFrame({"kind": k, "measure": m, "image": images, "value": v})
            for (k, m), v in each.items()
        ],
        ignore_index=True,
    )
    scores = pd.DataFrame(rows)
    scores["evidence"] = [is_evidence(row) for _, row in scores.iterrows()]
    return scores, per_image


def chance_of(measure: str) -> float | None:
    """Chance of an identification measure by its name; None for others."""
    if not is_identification(measure):
        return None
    return 0.5 if measure.endswith("two-way") else 1 / int(measure.rpartition(" ")[2])


def is_evidence(row: pd.Series) -> bool:
    """Whether a row is better than chance or, for other measures, than shuffled brains and than the mean picture.

    Shuffled brains alone do not do: their drawings are sharp and wrong, so that the mean training
    picture, which uses no BOLD, scores better than they do in pixel correlation and
    SSIM.
    """
    if row["measure"] in LOWER_IS_BETTER:
        nearest_to_0 = max(row[f"{FROM_SHUFFLED}_high"], row[f"{FROM_MEAN}_high"])
        return bool(nearest_to_0 < -ROUNDING)
    return bool(min(row[f"{FROM_SHUFFLED}_low"], row[f"{FROM_MEAN}_low"]) > ROUNDING)


def _compared(kind, measure, values, parts, shuffled, times, chance) -> dict[str, float]:
    """A row's value and differences with intervals over images."""
    if chance is not None:
        value, low, high = interval_of_share(parts[kind, measure])
        difference = (value - chance, low - chance, high - chance)
        from_mean = difference
    else:
        value, low, high = interval_of_mean(values, times)
        difference = interval_of_mean(excess_influence(values, *shuffled), times)
        from_mean = interval_of_mean(values - parts[MEAN_PICTURE, measure], times)
    row = {"value": value, "low": low, "high": high}
    for name, triple in ((FROM_SHUFFLED, difference), (FROM_MEAN, from_mean)):
        row |= dict(zip((name, f"{name}_low", f"{name}_high"), triple))
    return row


def _drawings(features: np.ndarray, cfg) -> np.ndarray:
    """Features (n_drawings, n_images, k); with DRAWINGS = "mean" averaged into one, as in the publication."""
    drawings = np.moveaxis(np.asarray(features), 1, 0)
    return drawings.mean(axis=0, keepdims=True) if cfg.DRAWINGS == "mean" else drawings


def _of_network(
    network: str, similar: list[np.ndarray], cfg
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Measure → scores (n_images,) and contributions (n_images,) of images to their mean; both are means over drawings."""
    score_of = {
        f"{network} two-way": (
            [two_way(s) for s in similar],
            [two_way_influence(s) for s in similar],
        )
    }
    if network == CLIP:
        n = _candidates(similar[0], cfg)
        score_of[_retrieval_name(n)] = (
            [retrieval(s, n) for s in similar],
            [retrieval_influence(s, n) for s in similar],
        )
    if network not in IDENTIFY_ONLY:
        distances = [1 - np.diag(s) for s in similar]
        score_of[f"{network} distance"] = (distances, distances)
    return {
        name: (np.mean(own, axis=0), np.mean(parts, axis=0))
        for name, (own, parts) in score_of.items()
    }


def _of_pairings(
    network: str, similar: list[np.ndarray], pairings: np.ndarray, cfg
) -> dict[str, np.ndarray]:
    """Measure → scores (n_pairings, n_images) of seen images with the drawings of other ones; means over drawings."""
    scores_of = {
        f"{network} two-way": [
            [two_way_of_pairing(s, pairing) for pairing in pairings] for s in similar
        ]
    }
    if network == CLIP:
        n = _candidates(similar[0], cfg)
        chances = [[retrieval_of_pairing(s, pairing, n) for pairing in pairings] for s in similar]
        scores_of[_retrieval_name(n)] = chances
    if network not in IDENTIFY_ONLY:
        scores_of[f"{network} distance"] = [
            [1 - np.diag(s[pairing]) for pairing in pairings] for s in similar
        ]
    return {name: np.mean(values, axis=0) for name, values in scores_of.items()}


def _retrieval_name(n: int) -> str:
    return f"{CLIP} retrieval among {n}"


def _candidates(similar: np.ndarray, cfg) -> int:
    """At most one fewer than there are images: intervals and pairings leave one out."""
    return min(cfg.RETRIEVAL_N, len(similar) - 1)
