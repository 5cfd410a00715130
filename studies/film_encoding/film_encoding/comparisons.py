"""Differences between models on the same moments, each with its interval: the sentences of the report rest on these."""

from pathlib import Path

from film_encoding.blocks import BlockScore, members
from film_encoding.frame_scores import FRAME_SCORES
from film_encoding.scoring import (
    FROM_MEASURED,
    MEAN_FRAME,
    RIDGE,
    RIDGE_ONE,
    Scorer,
    Unit,
    ridge_name,
)
from film_encoding.variants import ENCODER, MAIN, lagged_variants
from neuroface.pipeline import open_npy

import numpy as np

VOXELS, FRAMES = "voxels", "frames"
OF_VOXELS = ("r", "two_way")


def unit_file(folder: Path, unit: Unit, ending: str) -> Path:
    return folder / "units" / f"{unit.name}.{ending}"


def blocks_file(folder: Path, unit: Unit, scored: str, score: str) -> Path:
    """Of a :class:`~film_encoding.blocks.BlockScore`; ``scored``: VOXELS, or what frames were made from."""
    return unit_file(folder, unit, f"{scored.replace(' ', '-')}_{score}_blocks.npy")


def read_score(folder: Path, unit: Unit, scored: str, score: str) -> BlockScore:
    return BlockScore.read(
        np.array(open_npy(blocks_file(folder, unit, scored, score))), is_r=score == "r"
    )


def network_units(scorer: Scorer) -> list[Unit]:
    return [unit for unit in scorer.units() if unit.model == MAIN]


def compare_encoder(folder: Path, scorer: Scorer, cfg) -> list[dict]:
    """What the decoder does to the encoder: r of the network less r of the encoder alone, on test sets of the first split.

    Trainings from the same seed are pairs; the interval is over blocks of time and seeds.
    """
    if ENCODER not in cfg.ABLATIONS:
        return []
    rows = []
    for unit in (unit for unit in network_units(scorer) if unit.split == cfg.SPLITS[0]):
        network, encoder = (
            read_score(folder, Unit(model, unit.split, unit.test_set), VOXELS, "r")
            for model in (MAIN, ENCODER)
        )
        effect = network.minus(encoder)
        n_seeds = len(effect.whole)
        row = {
            "split": unit.split,
            "test_set": unit.test_set,
            "network": network.whole.tolist(),
            "encoder": encoder.whole.tolist(),
            "effect": effect.value,
            "interval": effect.interval(),
            "n_seeds": n_seeds,
            "n_blocks": effect.n_blocks,
            "sd_over_seeds": float(effect.whole.std(ddof=1)) if n_seeds > 1 else None,
        }
        rows.append(row)
    return rows


def compare_rivals(folder: Path, scorer: Scorer) -> list[dict]:
    """The network less its rivals on every test set.

    Voxels: networks that get several delays less ridge regression with delays; then the network less
    both ridge regressions, the one with its own chunk first. Frames from measured BOLD: ridge
    regression from voxels, and the mean of the training frames, which identifies nothing.
    """
    rows = []
    for unit in network_units(scorer):
        for variant in lagged_variants(scorer.cfg):
            models = variant.name, RIDGE
            lagged, ridge = (Unit(model, unit.split, unit.test_set) for model in models)
            for score in OF_VOXELS:
                ours, theirs = (
                    read_score(folder, model_unit, VOXELS, score) for model_unit in (lagged, ridge)
                )
                rows.append(_row(lagged, VOXELS, RIDGE, score, ours, theirs))
        rivals: list[tuple[str, str, Unit, tuple[str, ...]]] = [
            (VOXELS, VOXELS, Unit(name, unit.split, unit.test_set), OF_VOXELS)
            for name in (RIDGE_ONE, RIDGE)
        ]
        ridge = Unit(RIDGE, unit.split, unit.test_set)
        rivals += [(FROM_MEASURED, FROM_MEASURED, ridge, FRAME_SCORES)]
        rivals += [(FROM_MEASURED, MEAN_FRAME, unit, FRAME_SCORES[1:])]
        for own, of_rival, rival, scores in rivals:
            for score in scores:
                both = (
                    read_score(folder, unit, own, score),
                    read_score(folder, rival, of_rival, score),
                )
                rows.append(
                    _row(
                        unit,
                        own,
                        MEAN_FRAME if of_rival == MEAN_FRAME else rival.model,
                        score,
                        *both,
                    )
                )
    return rows


def _row(
    unit: Unit, scored: str, rival: str, score: str, network: BlockScore, other: BlockScore
) -> dict:
    difference = network.minus(other)
    low, high = difference.interval()
    return {
        "split": unit.split,
        "test_set": unit.test_set,
        "model": unit.model,
        "of": VOXELS if scored == VOXELS else FRAMES,
        "rival": rival,
        "score": score,
        "network": network.value,
        "of_rival": other.value,
        "difference": difference.value,
        "low": low,
        "high": high,
        "n_blocks": difference.n_blocks,
        "n_seeds": len(network.whole),
        "network_is": "better" if low > 0 else "worse" if high < 0 else "not different",
    }


def compare_people(folder: Path, scorer: Scorer, cfg) -> list[dict]:
    """Single people of SUBJECTS: mean r of the network and of both ridge regressions, and their differences.

    Intervals are over people and blocks of time, because all people saw the same moments. Nothing
    with fewer than two people.
    """
    people = [subject for subject in cfg.SUBJECTS if subject != "mean"]
    if len(people) < 2:
        return []
    rows = []
    for unit in network_units(scorer):
        scores_of = {}
        for name in (MAIN, RIDGE_ONE, RIDGE):
            units = [
                Unit(_model_of(name, subject, cfg), unit.split, unit.test_set) for subject in people
            ]
            scores_of[name] = [read_score(folder, own_unit, VOXELS, "r") for own_unit in units]
        for rival in (RIDGE_ONE, RIDGE):
            pairs = zip(scores_of[MAIN], scores_of[rival])
            scores_of[f"{MAIN} − {rival}"] = [
                _without_seeds(network).minus(_without_seeds(other)) for network, other in pairs
            ]
        for name, scores in scores_of.items():
            every = members(scores)
            low, high = every.interval()
            rows.append(
                {
                    "split": unit.split,
                    "test_set": unit.test_set,
                    "model": name,
                    "n_people": len(people),
                    "n_blocks": every.n_blocks,
                    "r": every.value,
                    "low": low,
                    "high": high,
                    "sd_over_people": float(every.whole.std(ddof=1)),
                    "people_above_0": int((every.whole > 0).sum()),
                }
            )
    return rows


def _model_of(name: str, subject: str, cfg) -> str:
    """Name of the model that predicts a person's BOLD."""
    if name != MAIN:
        return ridge_name(name, subject, cfg)
    return MAIN if subject == cfg.SUBJECTS[0] else subject


def _without_seeds(score: BlockScore) -> BlockScore:
    """The mean over trainings as one member."""
    return members([score])
