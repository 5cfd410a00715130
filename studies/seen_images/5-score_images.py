"""5. How similar are seen and drawn pictures, compared with chance, baselines and each half of the method?

Scores every drawing by pixels and by the features of networks. The same scores are made for
drawings from text alone and latents alone, for the nearest training picture, for the mean picture,
and for shuffled brains: the drawings of other test images, which look as good and show something
else. A score is evidence if it is better than shuffled brains and than the mean picture;
identification is compared with chance. Brain correlation goes the other way: an encoding model
fitted to training trials predicts voxels from the drawing, and these are compared with the measured
pattern.

Reads     1-betas/, 2-embeddings/, 3-decoders/, 4-drawings/, DATASET_DIR (training pictures),
          weights in SCORES_DIR
Writes    5-scores/scores.tsv, a row per kind of picture and measure: intervals, differences from
            shuffled brains and from the mean picture, p of identification
          5-scores/images.tsv, a row per kind, measure and test image; nearest.tsv, nearest training
            images; scores.png
          5-scores/brain.tsv, a row per part of the cortex and kind of picture; brain/<part>.safetensors,
            its encoding model; brain/<part>_<kind>.npy (n_images, n_images) float64
          5-scores/features/<kind>_<network>.npy (n_images, n_drawings, k) float32
Settings  SEED, N_FOLDS, ALPHAS, SCORE_PIXELS, DRAWINGS, RETRIEVAL_N, N_BOOTSTRAP, N_SHUFFLES
Takes     0.1 s per picture and network on one CPU core, 0.04 s per pair of pictures and pixel
          measure at 425 pixels; memory: the features, and 5 MB per picture of a batch; the encoding
          model of 10,000 trials, 6,400 latents and 15,724 voxels 3 GB (computed) beside the trials
"""

import re
from functools import partial
from pathlib import Path

from neuroface.pipeline import (
    Rules,
    Stage,
    open_npy,
    run_script,
    write_json,
    write_npy,
    write_table,
)
from seen_images.brain_scores import (
    correlate,
    encoder_file,
    fit_encoder,
    parts_at_hand,
    table_of_correlations,
)
from seen_images.devices import share_cores
from seen_images.drawings import SEEN, Pictures, main_kind
from seen_images.features import CLIP, features_of, networks_at_hand, open_network
from seen_images.finite import check_finite
from seen_images.latents import decoder_file, drawn_name, open_problem, targets_of
from seen_images.picture_report import describe_scores
from seen_images.picture_scores import shuffled_pairings, table_of_scores
from seen_images.pixel_scores import LPIPS, pair_scores, pairwise_measures
from seen_images.scores import similarity
from seen_images.study import STUDY

import numpy as np
import pandas as pd

RULES = Rules(remade=("N_BOOTSTRAP", "RETRIEVAL_N", "DRAWINGS"))


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 5, cfg, __doc__, reads=(1, 2, 3, 4), rules=RULES)
    networks, left_out = networks_at_hand(cfg.SCORES_DIR, cfg.MODEL_DIR)
    for name, why in left_out:
        stage.leave_out(name, why)
    folders = [stage.folder_of(number) for number in (1, 2, 3, 4, 5)]
    write_nearest(folders, cfg)
    files = Pictures(folders, cfg)

    units = [(kind, name) for kind in files.kinds for name in networks if name != LPIPS]
    extract = partial(extract_features, files, networks, cfg)
    stage.each(extract, units, "kinds × networks", lambda unit: feature_file(stage.folder, *unit))
    measures = pairwise_measures(networks, cfg)
    pairs = [(kind, measure) for kind in files.kinds if kind != SEEN for measure in measures]
    compare = partial(compare_pairs, files, networks, cfg)
    stage.each(compare, pairs, "kinds × measures", lambda pair: pair_file(stage.folder, *pair))

    parts = parts_at_hand(stage.folder_of(2), networks)
    encode = partial(fit_encoder, folders, cfg)
    stage.each(encode, parts, "encoding models", partial(encoder_file, stage.folder))
    brains = [(part, kind) for part in parts for kind in files.kinds]
    stage.each(
        partial(compare_brain, files, cfg),
        brains,
        "encoding models × kinds",
        lambda brain: brain_file(stage.folder, *brain),
    )
    of_part = {
        part: {
            kind: np.asarray(open_npy(brain_file(stage.folder, part, kind))) for kind in files.kinds
        }
        for part in parts
    }
    write_table(stage.folder / "brain.tsv", table_of_correlations(of_part, cfg))

    features = {unit: open_npy(feature_file(stage.folder, *unit)) for unit in units}
    pairwise = {pair: open_npy(pair_file(stage.folder, *pair)) for pair in pairs}
    scores, per_image = table_of_scores(features, pairwise, files.images, cfg)
    write_table(stage.folder / "scores.tsv", scores)
    write_table(stage.folder / "images.tsv", per_image)
    write_json(
        stage.folder / "networks.json", {name: Path(path).name for name, path in networks.items()}
    )
    stage.finish(
        f"scores of {len(files.images):,} test images", describe_scores(stage.folder, scores, cfg)
    )


def write_nearest(folders: list[Path], cfg) -> None:
    """Write ``nearest.tsv``: the training image whose latents and text resemble the decoded ones most.

    Both are compared less their training mean, and the two correlations averaged. Without
    TEXT_DECODERS the latents decide alone.
    """
    similar = []
    for target in [name for name in targets_of(cfg) if name != "clip"]:
        problem = open_problem(folders[0], folders[1], target)
        decoded = open_npy(decoder_file(folders[2], target, drawn_name(target, cfg), ".npy"))
        similar.append(similarity(decoded - problem.mean, problem.targets - problem.mean))
    nearest = problem.train_images[np.sum(similar, axis=0).argmax(axis=1)]
    write_table(
        folders[4] / "nearest.tsv", pd.DataFrame({"image": problem.test_images, "nearest": nearest})
    )


def feature_file(folder: Path, kind: str, network: str) -> Path:
    return folder / "features" / f"{kind.replace(' ', '-')}_{network}.npy"


def pair_file(folder: Path, kind: str, measure: str) -> Path:
    """``pairs/mean-picture_SSIM-425-px-Gaussian-window.npy``"""
    name = re.sub(r"[^A-Za-z0-9]+", "-", measure).strip("-")
    return folder / "pairs" / f"{kind.replace(' ', '-')}_{name}.npy"


def brain_file(folder: Path, part: str, kind: str) -> Path:
    return folder / "brain" / f"{part}_{kind.replace(' ', '-')}.npy"


def compare_brain(files: Pictures, cfg, brain: tuple[str, str]) -> None:
    """Write the correlations (n, n) of the patterns that pictures of one kind predict with the measured ones."""
    part, kind = brain
    share_cores(cfg.N_JOBS)
    clip_file = feature_file(files.folders[-1], kind, CLIP)
    write_npy(
        brain_file(files.folders[-1], part, kind), correlate(files, part, kind, clip_file, cfg)
    )


def extract_features(files: Pictures, networks: dict[str, str], cfg, unit: tuple[str, str]) -> None:
    """Write what a network makes of all pictures of one kind."""
    kind, name = unit
    share_cores(cfg.N_JOBS)
    network = open_network(name, networks[name], cfg.DEVICE)
    rows = [
        features_of(network, files.of(kind, row), cfg.INFERENCE_BATCH)
        for row in range(len(files.images))
    ]
    write_npy(feature_file(files.folders[-1], kind, name), np.stack(rows))


def compare_pairs(files: Pictures, networks: dict[str, str], cfg, pair: tuple[str, str]) -> None:
    """Write a measure that needs both pictures at once: (1 + n_pairings, n_images), the right pairs first.

    Right pairs are scored with all drawings of the image, each wrong pair with one of them, in
    turn.
    """
    kind, measure = pair
    share_cores(cfg.N_JOBS)
    pairings = shuffled_pairings(len(files.images), kind == main_kind(files.kinds), cfg)
    scores = np.empty(pairings.shape)
    for row in range(len(files.images)):
        drawn = files.of(kind, row)
        for number, others in enumerate(pairings):
            seen_row = int(
                np.flatnonzero(others == row)[0]
            )  # the image that this drawing is paired with
            used = drawn if number == 0 else drawn[[number % len(drawn)]]
            scores[number, seen_row] = pair_scores(
                measure, used, files.of(SEEN, seen_row)[0], networks, cfg
            ).mean()
    check_finite(
        scores,
        f"Script 5, {measure} of {kind}",
        "Check that the pictures in 4-drawings are neither damaged nor smaller than the measure's window.",
    )
    write_npy(pair_file(files.folders[-1], kind, measure), scores)


if __name__ == "__main__":
    run_script(main)
