"""6. Do the brain and the network separate the same labels?

Distances between labels in each person's brain and in every layer of the fold networks, on volumes
that the networks never saw: 1 − Pearson of mean patterns, as published, and distances that are
cross-validated between earlier and later episodes. Correlates the distances of brain and network,
and compares the correlation with a noise ceiling over people and with networks that were never
trained: the input is the brain's own patterns, so untrained networks too preserve their distances.

Reads     2-dataset/, 3-models/<HELD_OUT_SPLIT>/<EXPLAINED_MODEL>/
Writes    6-similarity/distances.tsv, a row per source (person, layer, or layer of an untrained
            network), distance and pair of labels
          6-similarity/mantel.tsv, a row per layer, distance and correlation: r, mean over people;
            r_untrained, mean over UNTRAINED_SEEDS, and the smallest and largest; p_difference, t
            test over people; p_two_sided and p_greater of the Mantel test; p_holm and
            p_difference_holm, corrected over all rows; noise ceiling
Settings  HELD_OUT_SPLIT, EXPLAINED_MODEL, MODEL_OPTIONS, EMBARGO_TRS, TR_S, N_LABEL_PERMUTATIONS,
          UNTRAINED_SEEDS
Takes     1 + UNTRAINED_SEEDS passes of the held-out volumes through the networks; memory: a few
          batches of feature maps
"""

from functools import partial
from itertools import combinations
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import read_mask
from neuroface.decoding import model_file, model_folder
from neuroface.pipeline import (
    Section,
    Stage,
    open_npy,
    read_json,
    read_table,
    run_script,
    set_random_seed,
    write_table,
)
from volume_study.extras import require
from volume_study.networks import build_classifier, load_classifier
from volume_study.similarity import (
    DISTANCES,
    LayerMeans,
    complete,
    correlations,
    distances,
    halves_of_episodes,
    holm,
    layers_to_compare,
    mantel,
    noise_ceiling,
    p_over_people,
)
from volume_study.study import STUDY

import numpy as np
import pandas as pd

CORRELATIONS = ("pearson", "spearman")
PUBLISHED = "r = −0.590, p > .05"
TRAINED = -1  # number of the trained network beside seeds of untrained ones, which count from 0
Unit = tuple[
    tuple[int, ...], int
]  # folds, and TRAINED or the seed of a network that sees the held-out volumes of them all


def main():
    cfg = STUDY.load_settings(__file__)
    require("rsatoolbox")
    stage = Stage(STUDY, 6, cfg, __doc__, reads=(2, 3))
    labels = read_json(stage.folder_of(2) / "labels.json")["labels"]
    if len(labels) < 3:
        raise NeuroFaceError(
            f"{len(labels)} labels have {len(labels) - 1} distance; three labels or more can be compared."
        )
    predictions = read_table(
        model_folder(stage.folder_of(3), cfg.HELD_OUT_SPLIT, cfg.EXPLAINED_MODEL)
        / "predictions.tsv"
    )
    half = halves_of_episodes(predictions, cfg.TR_S, cfg.EMBARGO_TRS)
    people = [
        who
        for who, of_person in predictions.groupby("subject")
        if is_complete(of_person, half, labels)
    ]
    folds = [
        fold
        for fold, of_fold in predictions.groupby("fold")
        if len(halves_of_fold(of_fold, labels, cfg))
    ]
    for who in sorted(set(predictions["subject"]) - set(people)):
        stage.leave_out(who, "the earlier or the later episodes of this person lack a label")
    for fold in sorted(set(predictions["fold"]) - set(folds)):
        stage.leave_out(
            f"network of fold {fold}", "it holds out fewer than two episodes of some label"
        )
    if not people or not folds:
        unit = "person" if not people else "fold"
        raise NeuroFaceError(
            f"No {unit} has two episodes of every label that lie more than EMBARGO_TRS = {cfg.EMBARGO_TRS} volumes apart. "
            f"Lower N_FOLDS or EMBARGO_TRS in script 3, or leave out rare labels with MIN_PER_CLASS in script 2."
        )

    brain = partial(write_brain, stage, predictions, half, labels)
    stage.each(brain, people, "people", partial(brain_file, stage))
    units: list[Unit] = [((fold,), TRAINED) for fold in folds]
    units += [(tuple(folds), seed) for seed in range(cfg.UNTRAINED_SEEDS)]
    layers = partial(write_layers, stage, predictions, labels, cfg)
    stage.each(layers, units, "networks", partial(network_file, stage))

    table = join(stage, people, units)
    write_table(stage.folder / "distances.tsv", table)
    tests = compare(table, people, cfg)
    write_table(stage.folder / "mantel.tsv", tests)
    stage.finish(
        f"distances of {len(labels)} labels", describe_similarity(tests, labels, people, cfg)
    )


def is_complete(of_person: pd.DataFrame, half: np.ndarray, labels: list[str]) -> bool:
    """Whether a person's earlier and later episodes hold every label; rows of ``of_person`` are numbered as ``half``."""
    return complete(half[of_person.index], of_person["label"].to_numpy(), labels)


def halves_of_fold(of_fold: pd.DataFrame, labels: list[str], cfg) -> np.ndarray:
    """Halves (n,) of a fold's held-out volumes by episode; empty if one lacks a label."""
    half = halves_of_episodes(of_fold, cfg.TR_S, cfg.EMBARGO_TRS)
    return half if complete(half, of_fold["label"].to_numpy(), labels) else half[:0]


def as_table(values: dict[str, np.ndarray], labels: list[str], **more) -> pd.DataFrame:
    pairs = list(combinations(labels, 2))
    parts = [
        pd.DataFrame({"distance": name, "label_1": [a for a, _ in pairs], "label_2": [b for _, b in pairs],
                      "value": values[name]})
        for name in DISTANCES
    ]  # fmt: skip
    return pd.concat(parts).assign(**more)


def write_brain(
    stage: Stage, predictions: pd.DataFrame, half: np.ndarray, labels: list[str], who: str
) -> None:
    """Write the distances of labels in a person's brain, cross-validated between earlier and later episodes."""
    rows = np.flatnonzero((predictions["subject"] == who).to_numpy() & (half >= 0))
    X = open_npy(stage.folder_of(2) / "X.npy")[rows]
    distances_of_person = distances(X, predictions["label"].iloc[rows].tolist(), half[rows], labels)
    write_table(brain_file(stage, who), as_table(distances_of_person, labels, source=who))


def brain_file(stage: Stage, who: str) -> Path:
    return stage.folder / "brain" / f"{who}.tsv"


def network_file(stage: Stage, unit: Unit) -> Path:
    folds, seed = unit
    name = f"fold-{folds[0]}" if seed == TRAINED else f"untrained-{seed + 1}"
    return stage.folder / "network" / f"{name}.tsv"


def write_layers(
    stage: Stage, predictions: pd.DataFrame, labels: list[str], cfg, unit: Unit
) -> None:
    """Write the distances of labels in the layers of a fold's network, or of an untrained one, on held-out volumes."""
    folds, seed = unit
    X, trained = open_npy(stage.folder_of(2) / "X.npy"), stage.folder_of(3)
    if seed == TRAINED:
        file = model_file(trained, cfg.HELD_OUT_SPLIT, folds[0], cfg.EXPLAINED_MODEL)
        model = load_classifier(file, X.shape[1])
    else:
        mask, _ = read_mask(stage.folder_of(2) / "group_mask.nii.gz")
        set_random_seed(cfg.SEED + seed)
        options = cfg.MODEL_OPTIONS.get(cfg.EXPLAINED_MODEL, {})
        model = build_classifier(cfg.EXPLAINED_MODEL, mask, len(labels), options)
    names, tables = layers_to_compare(model), []
    mean_of_layers = LayerMeans(model, names, cfg.INFERENCE_BATCH)
    for fold in folds:
        of_fold = predictions[predictions["fold"] == fold]
        half = halves_of_fold(of_fold, labels, cfg)
        kept = half >= 0
        group = of_fold["label"].map(labels.index).to_numpy()[kept] * 2 + half[kept]
        means = mean_of_layers(X, of_fold.index.to_numpy()[kept], group, 2 * len(labels))
        for order, name in enumerate(names):
            distances_of_layer = distances(
                means[name], np.repeat(labels, 2).tolist(), np.tile([0, 1], len(labels)), labels
            )
            tables.append(as_table(distances_of_layer, labels, source=name, order=order, fold=fold))
    write_table(network_file(stage, unit), pd.concat(tables))


def join(stage: Stage, people: list[str], units: list[Unit]) -> pd.DataFrame:
    """All distances: kind "brain" (a person each), "network" and "untrained-<seed>" (a layer each, mean over folds)."""
    parts = [pd.concat(read_table(brain_file(stage, who)) for who in people).assign(kind="brain")]
    keys = ["order", "source", "distance", "label_1", "label_2"]
    for seed in sorted({seed for _, seed in units}):
        tables = pd.concat(
            read_table(network_file(stage, unit)) for unit in units if unit[1] == seed
        )
        mean = (
            tables.groupby(keys, sort=False)["value"]
            .mean()
            .reset_index()
            .sort_values("order", kind="stable")
        )
        parts.append(mean.assign(kind="network" if seed == TRAINED else f"untrained-{seed + 1}"))
    return pd.concat(parts)[["kind", "source", "distance", "label_1", "label_2", "value"]]


def compare(table: pd.DataFrame, people: list[str], cfg) -> pd.DataFrame:
    """Every layer, trained and untrained, against single people's brains, for each distance and correlation."""
    rows = []
    untrained = sorted(kind for kind in table["kind"].unique() if kind.startswith("untrained"))
    for distance in DISTANCES:
        of_distance = table[table["distance"] == distance]
        brain = np.stack(
            [of_distance["value"][of_distance["source"] == who].to_numpy() for who in people]
        )
        of_kind = {
            kind: of_distance[of_distance["kind"] == kind] for kind in ("network", *untrained)
        }
        for method in CORRELATIONS:
            low, high = noise_ceiling(brain, method) if len(people) > 1 else (np.nan, np.nan)
            for layer in of_kind["network"]["source"].unique():
                values = {
                    kind: own["value"][own["source"] == layer].to_numpy()
                    for kind, own in of_kind.items()
                }
                test = mantel(brain, values["network"], method, cfg.N_LABEL_PERMUTATIONS, cfg.SEED)
                r = correlations(
                    brain, np.stack(list(values.values())), method
                )  # (1 + n_seeds, n_people)
                gain, seeds = r[0] - r[1:].mean(axis=0), r[1:].mean(axis=1)
                rows.append(
                    {"layer": layer, "distance": distance, "correlation": method} | test
                    | {"r_untrained": seeds.mean(), "untrained_low": seeds.min(), "untrained_high": seeds.max(),
                       "difference": gain.mean(), "p_difference": p_over_people(gain),
                       "ceiling_low": low, "ceiling_high": high}
                )  # fmt: skip
    tests = pd.DataFrame(rows)
    return tests.assign(
        p_holm=holm(tests["p_two_sided"]), p_difference_holm=holm(tests["p_difference"])
    )


def describe_similarity(tests: pd.DataFrame, labels: list[str], people: list[str], cfg) -> Section:
    first = tests.iloc[0]
    draws = "all " if first["exact"] else ""
    smallest = 1 / first["n_permutations"]
    corrected = min(1, smallest * len(tests))
    reach = f"corrected over {len(tests)} tests it cannot be below {corrected:.3f}"
    section = Section(
        "Representational similarity",
        f"Distances of {len(labels)} labels in the brains of {len(people)} people and in the layers of the networks, on "
        f"volumes that the networks never saw ({cfg.HELD_OUT_SPLIT} folds). r is the mean over people. A network is fed the "
        "brain's own patterns, so that r is high without any training: the evidence is how far r exceeds that of untrained "
        f"networks ({cfg.UNTRAINED_SEEDS} seeds). Mantel tests with {draws}{first['n_permutations']:,} permutations of the "
        f"labels: no p is below {smallest:.4f}, and {reach}.",
    )
    for distance in DISTANCES:
        rows = tests[(tests["distance"] == distance) & (tests["correlation"] == "pearson")]
        section.table(
            ["layer", "r", "untrained [smallest, largest]", "difference", "p, Holm", "Mantel p", "Mantel p, Holm"],
            [_row(test) for test in rows.itertuples()],
            f"Brain against network, {NAMES[distance]}, Pearson. Noise ceiling for r with single people "
            f"{_ceiling(rows.iloc[0])}. p: t test of the difference over people, for these labels and episodes. Holm: over "
            "all layers, distances and correlations; rank correlations are in mantel.tsv. Published: r = −0.590 at the "
            "layer pool with 1 − Pearson, of volumes that the network was right about; its p takes ten distances for "
            "independent.",
        )  # fmt: skip
        for test in rows[rows["layer"] == "pool"].itertuples():
            print(
                f"  pool, {NAMES[distance]}: r {test.r:.3f}, untrained {test.r_untrained:.3f}, difference p "
                f"{test.p_difference_holm:.3f} (Holm), Mantel p {test.p_two_sided:.3f}"
            )
    return section


NAMES = {"correlation": "1 − Pearson", "crossnobis": "cross-validated distance"}


def _ceiling(test) -> str:
    return (
        "not known"
        if np.isnan(test.ceiling_low)
        else f"{test.ceiling_low:.2f} to {test.ceiling_high:.2f}"
    )


def _row(test) -> tuple:
    seeds = f"{test.r_untrained:.3f} [{test.untrained_low:.3f}, {test.untrained_high:.3f}]"
    p = "–" if np.isnan(test.p_difference_holm) else f"{test.p_difference_holm:.4f}"
    return (
        test.layer,
        f"{test.r:.3f}",
        seeds,
        f"{test.difference:+.3f}",
        p,
        f"{test.p_two_sided:.4f}",
        f"{test.p_holm:.4f}",
    )


if __name__ == "__main__":
    run_script(main)
