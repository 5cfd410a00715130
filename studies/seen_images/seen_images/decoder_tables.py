"""Script 3's table of decoders, its figure, and its part of the report."""

from pathlib import Path

from neuroface.pipeline import Section, open_npy, read_json, save_figure
from seen_images.latents import TEST_CHOSEN, Problem, decoder_file, drawn_name, names_of, targets_of
from seen_images.scores import (
    bootstrap_times,
    derangements,
    effective_dimension,
    feature_correlation,
    interval_of_mean,
    interval_of_share,
    quantiles,
    retrieval_influence,
    similarity,
    two_way_influence,
    two_way_of_pairing,
)
from seen_images.tsv import read_tsv, with_interval

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

MEAN, SHUFFLED = "mean of the training latents", "shuffled brains"
WORDS = {
    "ridge": "ridge",
    "shared": "ridge shared across people",
    "cnn": "CNN",
    "vae": "VAE",
    "gcn": "GCN",
    "mlp": "MLP",
}
# Mean squared errors of the publication (NSD, THINGS-fMRI), its epochs chosen on the test set.
PUBLISHED_MSE = {
    "image": {
        "ridge": (0.7535, 0.7432),
        "cnn": (0.5579, 0.6920),
        "vae": (0.5665, 0.7260),
        "gcn": (0.5540, 0.6873),
    },
    "text": {"ridge": (0.7283, 1.1444), "cnn": (0.2656, 0.7941)},
}
TITLES = {
    "image": "image latents from early voxels",
    "text": "text embeddings from higher voxels",
    "clip": "CLIP embeddings of pictures from higher voxels",
}
# Pictures among which the seen one is retrieved from decoded latents (forward), and the decoded
# latents from the seen picture's (backward), as MindEye and MindEye2 report it.
RETRIEVAL = 300


def word_of(name: str) -> str:
    """``cnn-test-chosen`` → ``CNN, epoch chosen on the test set``."""
    decoder = name.removesuffix(TEST_CHOSEN)
    return WORDS.get(decoder, decoder) + (
        ", epoch chosen on the test set" if decoder != name else ""
    )


def compare_decoders(
    folder: Path, target: str, problem: Problem, names: list[str], cfg
) -> pd.DataFrame:
    """A row per decoder: the mean of the training latents first, shuffled brains last.

    Errors, correlations (over test images, averaged over latents) and two-way identification, with
    intervals over test images; ``dimension``, the effective dimension of the decoded latents, and
    ``dimension_seen``, that of the seen pictures' latents; ``ceiling``, the highest correlation that
    the noise of the test trials allows; ``forward`` and ``backward`` retrieval
    among RETRIEVAL pictures or fewer. Identification and retrieval compare latents less the
    training mean. All decoders
    decode the same images, so two of them are compared by the differences of their errors and
    identification, image by image: columns ``…_from_drawn``, each decoder less the one that is
    drawn. The row of shuffled brains pairs each image with what the drawn decoder made of another
    one; its interval is over pairings.
    """
    times = bootstrap_times(len(problem.test), cfg.N_BOOTSTRAP, cfg.SEED)
    drawn = np.asarray(open_npy(decoder_file(folder, target, drawn_name(target, cfg), ".npy")))
    constant = np.repeat(problem.mean[None], len(problem.test), axis=0)
    rows: list[dict] = [
        {"decoder": MEAN}
        | _scores(constant, problem, times)
        | _from_drawn(constant, drawn, problem, times)
    ]
    for name in names:
        decoded = np.asarray(open_npy(decoder_file(folder, target, name, ".npy")))
        cost = read_json(decoder_file(folder, target, name, ".json"))
        row = {"decoder": name} | _scores(decoded, problem, times)
        if name != drawn_name(target, cfg):
            row |= _from_drawn(decoded, drawn, problem, times)
        rows.append(row | {k: cost.get(k) for k in COSTS})
    rows.append(
        {"decoder": SHUFFLED}
        | _shuffled(drawn, problem, derangements(len(drawn), cfg.N_SHUFFLES, cfg.SEED))
    )
    return pd.DataFrame(rows)


COSTS = (
    "ceiling",
    "parameters",
    "seconds",
    "epoch",
    "epochs",
)  # noise ceiling; the epoch that was kept, and how many were trained
MEASURES = ("mse", "correlation", "identification")


def _scores(decoded: np.ndarray, problem: Problem, times: np.ndarray) -> dict[str, float]:
    correlations = feature_correlation(
        decoded, problem.truth, np.concatenate([np.ones((1, len(decoded))), times])
    )
    values = {
        "mse": interval_of_mean(_errors(decoded, problem), times),
        "correlation": (float(correlations[0]), *quantiles(correlations[1:])),
        "identification": interval_of_share(_identified(decoded, problem)),
    }
    dimensions = {
        "dimension": effective_dimension(decoded),
        "dimension_seen": effective_dimension(problem.truth),
        "candidates": candidates(len(decoded)),
    }
    similar = similarity(decoded - problem.mean, problem.truth - problem.mean)
    n = candidates(len(decoded))
    for way, rows in (("forward", similar), ("backward", similar.T)):
        values[way] = interval_of_share(retrieval_influence(rows, n))
    return _columns(values) | dimensions


def candidates(n_test_images: int) -> int:
    """Pictures among which one is retrieved: RETRIEVAL, or one fewer than there are (intervals leave one out)."""
    return min(RETRIEVAL, n_test_images - 1)


def _from_drawn(
    decoded: np.ndarray, drawn: np.ndarray, problem: Problem, times: np.ndarray
) -> dict[str, float]:
    """Error and identification less those of the decoder that is drawn, with intervals over the images that both decode."""
    return _columns(
        {
            "mse_from_drawn": interval_of_mean(
                _errors(decoded, problem) - _errors(drawn, problem), times
            ),
            "identification_from_drawn": interval_of_mean(
                _identified(decoded, problem) - _identified(drawn, problem), times
            ),
        }
    )


def _columns(values: dict[str, tuple[float, float, float]]) -> dict[str, float]:
    return {
        f"{name}{ending}": v
        for name, triple in values.items()
        for ending, v in zip(("", "_low", "_high"), triple)
    }


def _errors(decoded: np.ndarray, problem: Problem) -> np.ndarray:
    """Mean squared error (n_test_images,)."""
    return ((decoded - problem.truth) ** 2).mean(axis=1)


def _identified(decoded: np.ndarray, problem: Problem) -> np.ndarray:
    """Contributions (n_test_images,) to two-way identification."""
    return two_way_influence(similarity(decoded - problem.mean, problem.truth - problem.mean))


def _shuffled(decoded: np.ndarray, problem: Problem, pairings: np.ndarray) -> dict[str, float]:
    similar = similarity(decoded - problem.mean, problem.truth - problem.mean)
    once = np.ones((1, len(decoded)))
    values: dict[str, list[float]] = {name: [] for name in MEASURES}
    for other in pairings:
        values["mse"].append(((decoded[other] - problem.truth) ** 2).mean())
        values["correlation"].append(feature_correlation(decoded[other], problem.truth, once)[0])
        values["identification"].append(two_way_of_pairing(similar, other).mean())
    scores: dict[str, float] = {}
    for name, each in values.items():
        scores |= dict(
            zip(
                (name, f"{name}_low", f"{name}_high"),
                (float(np.mean(each)), *quantiles(np.array(each))),
            )
        )
    return scores


def describe_decoders(folder: Path, tables: dict[str, pd.DataFrame], cfg) -> Section:
    section = Section(
        "Decoders",
        "Latents of the test images, decoded from their mean patterns. "
        + (
            "Penalties and epochs were chosen on inner sets of training images; the test set was used once. "
            if cfg.SELECTION == "inner"
            else "Rows that say so had their epoch chosen on the test set, as in the publication: their errors are too low. "
        )
        + which_is_drawn(tables, cfg),
    )
    for target, table in tables.items():
        drawn = table.set_index("decoder").loc[drawn_name(target, cfg)]
        word = word_of(drawn_name(target, cfg))
        decoded = TITLES[target].partition(" from ")[0]
        section.numbers(
            {
                f"two-way identification of {decoded}, {word} (chance 50%)": f"{drawn['identification']:.1%}",
                f"mean squared error of {decoded}, {word}": f"{drawn['mse']:.3f}",
                f"the same of the mean of the training {decoded}": f"{table['mse'].iloc[0]:.3f}",
            }
        )
        of_paper = cfg.DATASET in ("nsd", "things")
        section.table(
            ["decoder", "mean squared error", "correlation", "two-way identification", "noise ceiling", "dimension",
             "error less the drawn decoder's",
             "identification less the drawn decoder's", "parameters", "seconds", "epoch",
             *(["published error NSD, THINGS"] if of_paper else [])],
            [_row(row, target, of_paper) for _, row in table.iterrows()],
            f"{TITLES[target][0].upper()}{TITLES[target][1:]}; 95 % intervals over test images, of differences over "
            "the same images. Noise ceiling: highest correlation that the noise of the test trials allows this decoder. "
            f"Dimension: effective dimension of the latents over test images; of the seen pictures' "
            f"latents {table['dimension_seen'].iloc[0]:.1f}. A decoder that only sorts patterns into a few known kinds has "
            f"few dimensions. {capped(table)}"
            + (
                "The published errors had their epochs chosen on the test set; that of text ridge includes the start "
                "token, which never varies."
                if of_paper
                else ""
            ),
        )  # fmt: skip
    add_retrieval(section, tables)
    draw_training(folder, cfg)
    section.figure(
        folder / "training.png",
        "Error per epoch. Dashed: training loss of single trials (of the VAE with its error of voxels). Solid: the "
        "set that chooses the epoch (dot).",
    )
    return section


def add_retrieval(section: Section, tables: dict[str, pd.DataFrame]) -> None:
    """Retrieval from decoded latents, a row per target and decoder."""
    rows, n = [], 0
    for target, table in tables.items():
        for _, row in table.iloc[:-1].iterrows():
            ways = [
                with_interval(row[way], row[f"{way}_low"], row[f"{way}_high"])
                for way in ("forward", "backward")
            ]
            rows.append((TITLES[target], word_of(row["decoder"]), *ways))
            n = int(row["candidates"])
    section.table(
        ["target", "decoder", "forward", "backward"],
        rows,
        f"Retrieval among {n} test pictures, chance {1 / n:.1%}. Forward: the latents of the seen picture resemble the "
        "decoded ones most. Backward: of the decoded latents, those of the seen picture resemble its latents most. "
        f"Mean over all choices of rivals, with 95 % intervals over test images. Published values are among {RETRIEVAL}.",
    )


def which_is_drawn(tables: dict[str, pd.DataFrame], cfg) -> str:
    """A sentence per target: which decoder is drawn, and why it need not be the best one."""
    parts = []
    for target, table in tables.items():
        best = table.iloc[1:-1].sort_values("mse").iloc[0]["decoder"]
        if target == "clip":
            continue  # serves retrieval, and is not drawn
        setting, drawn = f"{target.upper()}_DECODER", drawn_name(target, cfg)
        least = (
            "which has the lowest error"
            if best == drawn
            else f"though {word_of(best)} has the lowest error"
        )
        parts.append(f"{target} by {word_of(drawn)} ({setting}), {least}")
    return (
        f"Drawn and explained: {'; '.join(parts)}. The choice is made in config.py, before the test set is scored; "
        "taking the best decoder of this table would choose on the test set."
    )


def capped(table: pd.DataFrame) -> str:
    """A sentence that names networks whose best epoch is the last one they were allowed; empty if there are none."""
    at_cap = [word_of(row["decoder"]) for _, row in table.iterrows() if is_capped(row)]
    if not at_cap:
        return ""
    verb = "was" if len(at_cap) == 1 else "were"
    return (
        f"{', '.join(at_cap)} {verb} best at the last epoch allowed (*): with more EPOCHS the error may fall further, "
        "and the order of the networks is that at this limit. "
    )


def is_capped(row: pd.Series) -> bool:
    """Whether the epoch that was kept is the last one trained; with patience, training goes on after the best epoch."""
    return bool(pd.notna(row["epoch"]) and row["epoch"] == row["epochs"])


def _row(row: pd.Series, target: str, of_paper: bool) -> list[str]:
    cells = [word_of(row["decoder"])]
    cells += [with_interval(row[m], row[f"{m}_low"], row[f"{m}_high"]) for m in MEASURES]
    cells.append("" if pd.isna(row["ceiling"]) else f"{row['ceiling']:.3f}")
    cells.append("" if pd.isna(row["dimension"]) else f"{row['dimension']:.1f}")
    for difference in ("mse_from_drawn", "identification_from_drawn"):
        known = pd.notna(row[difference])
        value, low, high = (row[f"{difference}{ending}"] for ending in ("", "_low", "_high"))
        cells.append(with_interval(value, low, high, "+.3f") if known else "")
    cells.append("" if pd.isna(row["parameters"]) else f"{row['parameters']:,.0f}")
    cells.append("" if pd.isna(row["seconds"]) else f"{row['seconds']:,.1f}")
    cells.append(
        "" if pd.isna(row["epoch"]) else f"{row['epoch']:.0f}{'*' if is_capped(row) else ''}"
    )
    if of_paper:
        published = PUBLISHED_MSE.get(target, {}).get(str(row["decoder"]).removesuffix(TEST_CHOSEN))
        cells.append(", ".join(f"{value:.4f}" for value in published) if published else "")
    return cells


def draw_training(folder: Path, cfg) -> None:
    """``training.png``: the error over epochs of every network."""
    histories = {
        (target, name): read_tsv(file)
        for target in targets_of(cfg)
        for name in names_of(target, cfg)
        if (file := decoder_file(folder, target, name, "_history.tsv")).exists()
    }
    figure, axes = plt.subplots(
        1,
        max(1, len(histories)),
        figsize=(2.6 * max(1, len(histories)), 2.6),
        layout="constrained",
        squeeze=False,
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
