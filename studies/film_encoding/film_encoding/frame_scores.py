"""How good one model's frames are on one test set."""

from film_encoding.blocks import BlockScore, left_out_means
from film_encoding.frame_order import mean_of_seeds, order_of_shots, order_test
from film_encoding.image_scores import as_shown, image_scores, ssim_of_pairs, stretched
from film_encoding.scoring import MEAN_FRAME, Scorer, Unit, pooled
from film_encoding.shifts import distinct_shifts, smallest_p
from film_encoding.splits import TRAINED_ON
from neuroface.decoding import p_value

import numpy as np

# Of frames, the one first that no loss is made of; SSIM is in the network's loss, and ridge
# regression minimises the squared error, which PSNR measures.
FRAME_SCORES = ("two_way", "pixel_r", "psnr_db", "ssim")


def score_frames(
    scorer: Scorer, unit: Unit, given: str
) -> tuple[dict, dict[str, np.ndarray], dict[str, BlockScore]]:
    """Scores of decoding.

    Parameters
    ----------
    given : what the frames were made from: FROM_PREDICTED, FROM_MEASURED, or MEAN_FRAME, which is
        made from nothing and has no null.

    Returns
    -------
    scores : means over moments, with intervals and nulls; over seeds where there are several.
    arrays : ssim and pixel_r of every moment (n,), means over seeds.
    over_blocks : every one of FRAME_SCORES, with each block of time left out.
    """
    cfg, each, null = scorer.cfg, [], []
    of_seeds: list[list] = []
    orders: list[list] = []
    for seed, folds in scorer.predictions(
        unit, "predicted" if given == MEAN_FRAME else given
    ).items():
        values = []
        of_seeds.append([])
        orders.append([])
        for fold, made in folds:
            table, data = (
                scorer.test_table(fold, unit),
                scorer.data(fold, scorer.variant(unit.model)),
            )
            frames = data.targets(table, cfg.FRAMES_PER_TR).astype(np.float32) / 255
            if given == MEAN_FRAME:
                mean = data.targets(fold.of(*TRAINED_ON), cfg.FRAMES_PER_TR).mean(axis=0) / 255
                made = np.broadcast_to(mean, frames.shape)
            images = as_shown(made)
            values.append(
                image_scores(frames, images)
                | {"ssim_stretched": ssim_of_pairs(stretched(frames), stretched(made))}
            )
            if given == MEAN_FRAME:
                continue  # the same for all moments: nothing to identify or to shift
            of_seeds[-1].append(scorer.identify(frames, images, table))
            orders[-1].append(order_of_shots(frames, images, scorer.shots(table)))
            if seed == 1:
                null.append(
                    shifted_ssim(
                        frames, images, scorer.smallest_shift, cfg.N_IMAGE_SHIFTS, cfg.SEED
                    )
                )
        each.append(
            {name: np.concatenate([scores_of[name] for scores_of in values]) for name in values[0]}
        )
        if given == MEAN_FRAME:
            break  # every seed has the same
    mean = {name: np.mean([scores_of[name] for scores_of in each], axis=0) for name in each[0]}
    blocks = blocks_of_folds(scorer, unit)
    over_blocks = {
        name: means_over_blocks([scores_of[name] for scores_of in each], blocks)
        for name in FRAME_SCORES[1:]
    }
    scores: dict = {name: float(values.mean()) for name, values in mean.items()}
    scores |= {
        f"{name}_interval": block_score.interval() for name, block_score in over_blocks.items()
    }
    scores |= {
        "n_chunks": len(mean["ssim"]),
        "n_blocks": over_blocks["ssim"].n_blocks,
        "n_seeds": len(each),
    }
    if null:
        n_shifts = min(map(len, null))
        shifted = np.average(
            [of_fold[:n_shifts] for of_fold in null], axis=0, weights=fold_sizes(scorer, unit)
        )
        of_pairs, over_blocks["two_way"] = pooled(of_seeds)
        scores |= {
            "ssim_null": float(shifted.mean()),
            "ssim_p": p_value(each[0]["ssim"].mean(), shifted),
        }
        scores |= {"ssim_p_smallest": smallest_p(n_shifts)} | of_pairs
        scores |= order_test(mean_of_seeds(orders), cfg.N_SHIFTS, cfg.SEED)
    return scores, {"ssim": mean["ssim"], "pixel_r": mean["pixel_r"]}, over_blocks


def shifted_ssim(
    frames: np.ndarray, images: np.ndarray, smallest: int, n_shifts: int, seed: int
) -> np.ndarray:
    """Mean SSIM (n,) when reconstructions are shifted in a circle, by ``n_shifts`` different lags or all that there are."""
    n = len(frames)
    lags = distinct_shifts([n], smallest, n_shifts, seed)[:, 0]
    later = (np.arange(n) + lags[:, None]) % n
    return np.array([ssim_of_pairs(frames, images[rows]).mean() for rows in later])


def means_over_blocks(each: list[np.ndarray], blocks: np.ndarray) -> BlockScore:
    """Means over moments; ``each``: (n,) per seed."""
    whole, left_out = (
        [values.mean() for values in each],
        [left_out_means(values, blocks) for values in each],
    )
    return BlockScore(np.array(whole), np.array(left_out), np.bincount(blocks).astype(float))


def fold_sizes(scorer: Scorer, unit: Unit) -> list[int]:
    return [len(scorer.test_table(fold, unit)) for fold in scorer.folds_of(unit)]


def blocks_of_folds(scorer: Scorer, unit: Unit) -> np.ndarray:
    """Number of the block of time of each test moment, fold after fold; (n,)."""
    blocks, first = [], 0
    for fold in scorer.folds_of(unit):
        table = scorer.test_table(fold, unit)
        if len(table):
            blocks.append(first + scorer.blocks(table))
            first = blocks[-1].max() + 1
    return np.concatenate(blocks)
