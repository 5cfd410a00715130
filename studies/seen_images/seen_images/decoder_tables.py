"""Script 3's table of decoders, its figure, and its part of the report."""

from pathlib import Path

from neuroface.pipeline import Section, open_npy, read_json, save_figure
from seen_images.latents import TEST_CHOSEN, Problem, decoder_file, drawn_name, names_of
from seen_images.scores import (
    bootstrap_times,
    derangements,
    feature_correlation,
    interval_of_mean,
    quantiles,
    similarity,
    two_way,
)
from seen_images.tables import read_tsv, with_interval

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

MEAN, SHUFFLED = "mean of the training latents", "shuffled brains"
WORDS = {"ridge": "ridge", "cnn": "CNN", "vae": "VAE", "gcn": "GCN", "mlp": "MLP"}
# Mean squared errors of the publication (NSD, THINGS-fMRI), its epochs chosen on the test set.
PUBLISHED_MSE = {
    "image": {"ridge": (0.7535, 0.7432), "cnn": (0.5579, 0.6920), "vae": (0.5665, 0.7260), "gcn": (0.5540, 0.6873)},
    "text": {"ridge": (0.7283, 1.1444), "cnn": (0.2656, 0.7941)},
}
TITLES = {"image": "image latents from early voxels", "text": "text embeddings from higher voxels"}


def word_of(name: str) -> str:
    """``cnn-test-chosen`` → ``CNN, epoch chosen on the test set``."""
    decoder = name.removesuffix(TEST_CHOSEN)
    return WORDS.get(decoder, decoder) + (", epoch chosen on the test set" if decoder != name else "")


def compare_decoders(folder: Path, problem: Problem, names: list[str], cfg) -> pd.DataFrame:
    """A row per decoder: the mean of the training latents first, shuffled brains last.

    Errors, correlations (over test images, averaged over latents) and two-way identification, with percentile intervals over
    test images. Identification compares latents less the training mean. The row of shuffled brains pairs each image with
    what the drawn decoder made of another one; its interval is over pairings.
    """
    times = bootstrap_times(len(problem.test), cfg.N_BOOTSTRAP, cfg.SEED)
    constant = np.repeat(problem.mean[None], len(problem.test), axis=0)
    rows = [{"decoder": MEAN} | _scores(constant, problem, times)]
    for name in names:
        decoded = np.asarray(open_npy(decoder_file(folder, problem_target(problem), name, ".npy")))
        cost = read_json(decoder_file(folder, problem_target(problem), name, ".json"))
        rows.append({"decoder": name} | _scores(decoded, problem, times) | {k: cost.get(k) for k in COSTS})
    drawn = np.asarray(
        open_npy(decoder_file(folder, problem_target(problem), drawn_name(problem_target(problem), cfg), ".npy"))
    )
    rows.append({"decoder": SHUFFLED} | _shuffled(drawn, problem, derangements(len(drawn), cfg.N_SHUFFLES, cfg.SEED)))
    return pd.DataFrame(rows)


COSTS = ("parameters", "seconds", "epoch")
MEASURES = ("mse", "correlation", "identification")


def problem_target(problem: Problem) -> str:
    return "image" if problem.voxels["part"].iloc[0] == "early" else "text"


def _scores(decoded: np.ndarray, problem: Problem, times: np.ndarray) -> dict[str, float]:
    similar = similarity(decoded - problem.mean, problem.truth - problem.mean)
    correlations = feature_correlation(decoded, problem.truth, np.concatenate([np.ones((1, len(decoded))), times]))
    values = {
        "mse": interval_of_mean(((decoded - problem.truth) ** 2).mean(axis=1), times),
        "correlation": (float(correlations[0]), *quantiles(correlations[1:])),
        "identification": interval_of_mean(two_way(similar), times),
    }
    return {f"{name}{part}": v for name, triple in values.items() for part, v in zip(("", "_low", "_high"), triple)}


def _shuffled(decoded: np.ndarray, problem: Problem, pairings: np.ndarray) -> dict[str, float]:
    similar = similarity(decoded - problem.mean, problem.truth - problem.mean)
    once, values = np.ones((1, len(decoded))), {name: [] for name in MEASURES}
    for other in pairings:
        values["mse"].append(((decoded[other] - problem.truth) ** 2).mean())
        values["correlation"].append(feature_correlation(decoded[other], problem.truth, once)[0])
        values["identification"].append(two_way(similar[other]).mean())
    found = {}
    for name, each in values.items():
        found |= dict(zip((name, f"{name}_low", f"{name}_high"), (float(np.mean(each)), *quantiles(np.array(each)))))
    return found


def describe(folder: Path, tables: dict[str, pd.DataFrame], cfg) -> Section:
    section = Section(
        "Decoders",
        "Latents of the test images, decoded from their mean patterns. "
        + (
            "Penalties and epochs were chosen on inner sets of training images; the test set was used once."
            if cfg.SELECTION == "inner"
            else "Rows that say so had their epoch chosen on the test set, as in the publication: their errors are too low."
        ),
    )
    for target, table in tables.items():
        best = table.iloc[1:-1].sort_values("mse").iloc[0]
        section.numbers(
            {
                f"{target}: error of the mean": f"{table['mse'].iloc[0]:.3f}",
                f"{target}: lowest error ({word_of(best['decoder'])})": f"{best['mse']:.3f}",
                f"{target}: identification ({word_of(best['decoder'])})": f"{best['identification']:.1%}",
            }
        )
        section.table(
            ["decoder", "mean squared error", "correlation", "two-way identification", "parameters", "seconds", "epoch",
             "published error NSD, THINGS"],
            [_row(row, target) for _, row in table.iterrows()],
            f"{TITLES[target][0].upper()}{TITLES[target][1:]}; 95 % intervals over test images. The published errors "
            "had their epochs chosen on the test set; that of text ridge includes the start token, which never "
            "varies.",
        )  # fmt: skip
    draw_training(folder, cfg)
    section.figure(
        folder / "training.png",
        "Error per epoch. Dashed: training loss of single trials (of the VAE with its error of voxels). Solid: the "
        "set that chooses the epoch (dot).",
    )
    return section


def _row(row: pd.Series, target: str) -> list[str]:
    cells = [word_of(row["decoder"])]
    cells += [with_interval(row[m], row[f"{m}_low"], row[f"{m}_high"]) for m in MEASURES]
    cells += ["" if pd.isna(row[c]) else f"{row[c]:,.0f}" if c != "seconds" else f"{row[c]:,.1f}" for c in COSTS]
    published = PUBLISHED_MSE[target].get(str(row["decoder"]).removesuffix(TEST_CHOSEN))
    return [*cells, ", ".join(f"{value:.4f}" for value in published) if published else ""]


def draw_training(folder: Path, cfg) -> None:
    """``training.png``: the error over epochs of every network."""
    histories = {
        (target, name): read_tsv(file)
        for target in ("image", "text")
        for name in names_of(target, cfg)
        if (file := decoder_file(folder, target, name, "_history.tsv")).exists()
    }
    figure, axes = plt.subplots(
        1, max(1, len(histories)), figsize=(2.6 * max(1, len(histories)), 2.6), layout="constrained", squeeze=False
    )
    for axis, ((target, name), history) in zip(axes[0], histories.items()):
        axis.plot(history["epoch"], history["train_loss"], "--", color="#8a94a0")
        axis.plot(history["epoch"], history["watched_mse"], color="#2b5f8a")
        best = history.loc[history["watched_mse"].idxmin()]
        axis.plot(best["epoch"], best["watched_mse"], "o", color="#2b5f8a")
        axis.set_title(f"{target}: {word_of(name)}".replace(", epoch", ",\nepoch"), fontsize=9)
        axis.set_xlabel("epoch")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("mean squared error")
    save_figure(figure, folder / "training.png")
