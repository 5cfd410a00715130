"""How good one model's frames are on one test set."""

from film_encoding import correlations
from film_encoding.image_scores import as_shown, image_scores, ssim, stretched
from film_encoding.scoring import MEAN_FRAME, Scorer, Unit, pooled
from film_encoding.splits import LEARNED_FROM
from neuroface.decoding import p_value

import numpy as np


def score_frames(scorer: Scorer, unit: Unit, given: str) -> tuple[dict, dict[str, np.ndarray]]:
    """Scores of decoding.

    Parameters
    ----------
    given : what the frames were made from: FROM_PREDICTED, FROM_MEASURED, or MEAN_FRAME, which is made from nothing
        and has no null.

    Returns
    -------
    scores : means over moments, with intervals and nulls; over seeds where there are several.
    arrays : ssim and pixel_r of every moment (n,), and draws (n_bootstrap,) of the mean SSIM.
    """
    cfg, each, found, null = scorer.cfg, [], [], []
    for seed, folds in scorer.predictions(unit, "predicted" if given == MEAN_FRAME else given).items():
        values = []
        for fold, made in folds:
            table, data = scorer.test_table(fold, unit), scorer.data(fold, scorer.variant(unit.model))
            frames = data.targets(table, cfg.FRAMES_PER_TR).astype(np.float32) / 255
            if given == MEAN_FRAME:
                mean = data.targets(fold.of(*LEARNED_FROM), cfg.FRAMES_PER_TR).mean(axis=0) / 255
                made = np.broadcast_to(mean, frames.shape)
            images = as_shown(made)
            pairs = zip(stretched(frames), stretched(made))
            values.append(image_scores(frames, images) | {"ssim_stretched": np.array([ssim(*pair) for pair in pairs])})
            if given == MEAN_FRAME:
                continue  # the same for all moments: nothing to identify or to shift
            found.append(scorer.identify(frames, images, table))
            if seed == 1:
                null.append(shifted_ssim(frames, images, scorer.smallest_shift, cfg.N_IMAGE_SHIFTS, cfg.SEED))
        each.append({name: np.concatenate([one[name] for one in values]) for name in values[0]})
    mean = {name: np.mean([one[name] for one in each], axis=0) for name in each[0]}
    draws = block_means(mean["ssim"], blocks_of_folds(scorer, unit), cfg.N_BOOTSTRAP, cfg.SEED)
    scores = {name: float(values.mean()) for name, values in mean.items()}
    scores |= {"n_chunks": len(mean["ssim"]), "ssim_interval": correlations.interval(draws)}
    if found:
        shifted = np.mean(null, axis=0)
        scores |= {"ssim_null": float(shifted.mean()), "ssim_p": p_value(scores["ssim"], shifted)} | pooled(found)
    return scores, {"ssim": mean["ssim"], "pixel_r": mean["pixel_r"], "draws": draws}


def shifted_ssim(frames: np.ndarray, images: np.ndarray, smallest: int, n_shifts: int, seed: int) -> np.ndarray:
    """Mean SSIM (n_shifts,) when reconstructions are shifted in a circle."""
    n = len(frames)
    lags = np.random.default_rng(seed).choice(correlations.lags_of(n, smallest), size=n_shifts)
    return np.array([np.mean([ssim(frames[i], images[(i + lag) % n]) for i in range(n)]) for lag in lags])


def blocks_of_folds(scorer: Scorer, unit: Unit) -> np.ndarray:
    """Number of the block of time of each test moment, fold after fold; (n,)."""
    blocks, first = [], 0
    for fold in scorer.folds_of(unit):
        films = scorer.test_table(fold, unit)["film"].to_numpy()
        if len(films):
            blocks.append(first + correlations.blocks_of(films, scorer.block))
            first = blocks[-1].max() + 1
    return np.concatenate(blocks)


def block_means(values: np.ndarray, blocks: np.ndarray, n_draws: int, seed: int) -> np.ndarray:
    """Means (n_draws,) of values (n,) when blocks, numbered from 0, are drawn with replacement."""
    sums, sizes = np.bincount(blocks, values), np.bincount(blocks)
    n = len(sums)
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=n_draws)
    return (times @ sums) / (times @ sizes)
