"""3. Decode image latents from early voxels, and text and CLIP embeddings from higher voxels.

Fits ridge regression and the published networks to single training trials, and predicts the latents
of every test image from its mean pattern. Inner sets of training images choose penalties and
epochs. The decoder "shared" also learns from other people. SELECTION = "paper" trains the networks
once more with the epoch chosen on the test set, as in the publication, so that the table shows what
that gave.

Reads     1-betas/, 2-embeddings/
Writes    3-decoders/{image,text,clip}/<decoder>.safetensors; <decoder>.npy, latents of the test
            images (n, …) float32
          3-decoders/{image,text,clip}/<decoder>_history.tsv, <decoder>.json: parameters, seconds,
            epoch or penalties
          3-decoders/{image,text,clip}/mean.npy (n_outputs,) float32, of the training trials' latents
          3-decoders/{image,text,clip}.tsv, the tables of decoders; training.png
Settings  SEED, IMAGE_DECODERS, TEXT_DECODERS, CLIP_DECODERS, DECODER_OPTIONS, GCN_NODES, ALPHAS, N_FOLDS,
          SELECTION, INNER_SHARE, EPOCHS, PATIENCE, N_BOOTSTRAP, N_SHUFFLES
Takes     NSD: networks minutes on a GPU, hours on a CPU; ridge of 25,000 trials and 10,631 voxels
          an hour on 2 cores, 8 GB
"""

import time
from functools import partial
from pathlib import Path
from typing import Any

from neuroface.pipeline import (
    Rules,
    Stage,
    UnitName,
    only_more,
    open_npy,
    run_script,
    write_json,
    write_npy,
    write_table,
)
from seen_images.decoder_tables import compare_decoders, describe_decoders
from seen_images.devices import device_of, share_cores
from seen_images.finite import check_finite
from seen_images.latents import (
    Problem,
    decoder_file,
    drawn_name,
    names_of,
    open_problem,
    targets_of,
    training_mean_file,
)
from seen_images.networks import (
    Decoder,
    build,
    edges_of,
    n_parameters,
    save_decoder,
    scaled_laplacian,
)
from seen_images.options import PUBLISHED, options_of
from seen_images.patterns import ceiling_of_latents, mean_of_repeats
from seen_images.people import PersonTrials, other_people
from seen_images.shared import fit_shared
from seen_images.study import STUDY
from seen_images.training import (
    Watched,
    fit_ridge,
    inner_folds,
    inner_images,
    predict,
    train_network,
)
from seen_images.tsv import read_tsv

import numpy as np
import pandas as pd
import torch

# Tables of decoders are made again; no later script but 7, which copies them, reads them.
OF_TABLES = ("N_BOOTSTRAP", "N_SHUFFLES")
RULES = Rules(
    aside=OF_TABLES,
    remade=OF_TABLES,
    growing={"IMAGE_DECODERS": only_more, "TEXT_DECODERS": only_more, "CLIP_DECODERS": only_more},
)


def main():
    cfg = STUDY.load_settings(__file__)
    units = [(target, name) for target in targets_of(cfg) for name in names_of(target, cfg)]
    stage = Stage(
        STUDY, 3, cfg, __doc__, reads=(1, 2), rules=RULES, side_results=not_drawn(units, cfg)
    )
    stage.each(
        partial(fit, stage.folder_of(1), stage.folder_of(2), stage.folder, cfg),
        units,
        "decoders",
        partial(fitted_files, stage.folder),
        name_of=lambda unit: UnitName(unit[1], " ".join(unit)),
    )

    tables = {}
    for target in targets_of(cfg):
        problem = open_problem(stage.folder_of(1), stage.folder_of(2), target)
        tables[target] = compare_decoders(stage.folder, target, problem, names_of(target, cfg), cfg)
        write_table(stage.folder / f"{target}.tsv", tables[target])
        write_npy(training_mean_file(stage.folder, target), problem.mean)
        print(
            f"  {target}: mean of the training latents {tables[target]['mse'].iloc[0]:.4f}, best "
            f"{tables[target]['mse'].min():.4f}"
        )
    stage.finish(f"{len(units)} decoders", describe_decoders(stage.folder, tables, cfg))


def not_drawn(units: list[tuple[str, str]], cfg) -> tuple[str, ...]:
    """Beginnings of the files of tables and of decoders that are not drawn with: to add one costs no drawing."""
    others = [(target, name) for target, name in units if name != drawn_name(target, cfg)]
    return (
        "image.tsv",
        "text.tsv",
        "clip.tsv",
        *(f"{target}/{name}{mark}" for target, name in others for mark in "._"),
    )


def fitted_files(folder: Path, unit: tuple[str, str]) -> list[Path]:
    """The files that :func:`fit` writes."""
    return [decoder_file(folder, *unit, ending) for ending in (".safetensors", ".npy", ".json")]


def fit(betas: Path, embeddings: Path, folder: Path, cfg, unit: tuple[str, str]) -> None:
    """Fit one decoder and predict the test images."""
    target, name = unit
    share_cores(cfg.N_JOBS)
    problem, device, started = (
        open_problem(betas, embeddings, target),
        device_of(cfg.DEVICE),
        time.monotonic(),
    )
    decoder = name.partition("-")[0]
    recipe: dict[str, Any] = {"options": {}}
    if decoder == "ridge":
        folds = inner_folds(problem.images, cfg.N_FOLDS, cfg.SEED)
        network, chosen = fit_ridge(
            problem.train, problem.targets[problem.of_trial], folds, cfg.ALPHAS, device
        )
    elif decoder == "shared":
        own = PersonTrials(problem.train, problem.images, problem.of_trial, problem.targets)
        people = other_people(betas, embeddings, target, cfg)
        network, chosen = fit_shared(own, people, problem.mean, cfg, device)
    else:
        network, recipe, chosen = fit_network(
            problem, f"{target}:{decoder}", name != decoder, folder, cfg, device
        )
    decoded = check_finite(
        predict(network, problem.test, cfg.INFERENCE_BATCH),
        f"Script 3, {name} ({target}): decoded latents of the test images",
        "Check 1-betas for values far from 0 (a voxel that hardly varies in training), or choose larger ALPHAS.",
    )
    save_decoder(
        decoder_file(folder, target, name, ".safetensors"), network, decoder=decoder, n_voxels=problem.train.shape[1],
        n_outputs=problem.targets.shape[1], **recipe,
    )  # fmt: skip
    write_npy(decoder_file(folder, target, name, ".npy"), decoded)
    ceiling = ceiling_of(betas, problem, network, cfg)
    cost = {
        "ceiling": ceiling,
        "parameters": n_parameters(network),
        "seconds": round(time.monotonic() - started, 1),
    }
    write_json(decoder_file(folder, target, name, ".json"), chosen | cost)


def ceiling_of(betas: Path, problem: Problem, network: Decoder, cfg) -> float | None:
    """Noise ceiling of a decoder's latents, from those of single test trials; None where no test image has two trials."""
    columns = problem.voxels.index
    trials = open_npy(betas / "test_trials.npy")[:, columns[0] : columns[-1] + 1]
    decoded = predict(network, trials, cfg.INFERENCE_BATCH)
    images = read_tsv(betas / "test_trials.tsv")["image"].to_numpy()
    n_trials = read_tsv(betas / "test.tsv")["trials"].to_numpy()
    return ceiling_of_latents(decoded, images, n_trials)


def fit_network(problem: Problem, decoder: str, on_test: bool, folder: Path, cfg, device):
    """The trained network, its recipe, and the epoch that was kept.

    Parameters
    ----------
    on_test : fit all training trials and let the test set choose the epoch, as in the publication.
    """
    options, name = options_of(decoder, cfg.DECODER_OPTIONS), decoder.partition(":")[2]
    recipe: dict[str, Any] = {"options": options} | (
        {"nodes": nodes_of(problem.voxels, cfg)} if name == "gcn" else {}
    )
    seed = cfg.SEED + 100 * list(PUBLISHED).index(decoder)
    if on_test:
        trials, watched = np.arange(len(problem.train)), Watched(problem.test, problem.truth)
    else:
        inner = inner_images(problem.images, cfg.INNER_SHARE, cfg.SEED)
        trials = np.flatnonzero(~inner)
        _, patterns = mean_of_repeats(problem.train[inner], problem.of_trial[inner])
        watched = Watched(patterns, problem.targets[pd.unique(problem.of_trial[inner])])
    torch.manual_seed(seed)
    network = build(name, problem.train.shape[1], problem.targets.shape[1], **recipe)
    if name == "gcn":
        nodes = [np.array(columns) for columns in recipe["nodes"]]
        edges = edges_of(problem.train[trials], nodes, options["threshold"])
        network.laplacian.copy_(torch.from_numpy(scaled_laplacian(edges)))
    history = train_network(
        network, problem.train, problem.targets, problem.of_trial, trials, watched, epochs=cfg.EPOCHS,
        patience=cfg.PATIENCE, learning_rate=options["learning_rate"], batch_size=options["batch_size"], seed=seed,
        device=device,
    )  # fmt: skip
    target = decoder.partition(":")[0]
    write_table(
        decoder_file(folder, target, name + ("-test-chosen" if on_test else ""), "_history.tsv"),
        pd.DataFrame(history),
    )
    best = min(history, key=lambda row: row["watched_mse"])
    return network, recipe, {"epoch": best["epoch"], "epochs": len(history)}


def nodes_of(voxels: pd.DataFrame, cfg) -> list[list[int]]:
    """Columns of the early voxels that make up each node of the GCN."""
    roi = voxels["roi"].reset_index(drop=True)
    nodes = [np.flatnonzero(roi.isin(names)).tolist() for names in cfg.GCN_NODES]
    return [columns for columns in nodes if columns]


if __name__ == "__main__":
    run_script(main)
