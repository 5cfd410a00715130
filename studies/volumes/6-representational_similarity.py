"""6. Do the brain and the network keep the same labels apart?

Distances between labels in each person's brain and in every layer of the fold networks, on volumes that the networks never
saw: 1 − Pearson of mean patterns, as published, and cross-validated distances. Correlates both, with a noise ceiling over
people and a Mantel test that tries all permutations of the labels.

Reads     2-dataset/, 3-models/<HELD_OUT_SPLIT>/<EXPLAINED_MODEL>/
Writes    6-similarity/distances.tsv, a row per source (person or layer), distance and pair of labels
          6-similarity/mantel.tsv, a row per layer, distance and correlation: r, p_two_sided, p_greater, noise ceiling
Settings  HELD_OUT_SPLIT, EXPLAINED_MODEL, N_LABEL_PERMUTATIONS
Takes     one pass of the held-out volumes through the networks; memory: a few batches of feature maps
"""

from functools import partial
from itertools import combinations

from neuroface import NeuroFaceError
from neuroface.decoding import model_file, model_folder
from neuroface.pipeline import Section, Stage, open_npy, read_json, read_table, run_script, write_table

import numpy as np
import pandas as pd

from study import STUDY
from volume_study.extras import require
from volume_study.networks import load_classifier
from volume_study.similarity import DISTANCES, LayerMeans, distances, layers_to_compare, mantel, noise_ceiling

CORRELATIONS = ("spearman", "pearson")
PUBLISHED = "r = −0.590, p > .05"


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
        model_folder(stage.folder_of(3), cfg.HELD_OUT_SPLIT, cfg.EXPLAINED_MODEL) / "predictions.tsv"
    )
    parts = parts_of(predictions, labels)
    people = [who for who in sorted(predictions["subject"].unique()) if who in parts]
    for who in sorted(set(predictions["subject"]) - set(people)):
        stage.leave_out(who, "not every half of the folds holds volumes of every label of this person")
    if not people:
        raise NeuroFaceError(
            "No person has volumes of every label in both halves of the folds. Lower N_FOLDS in script 3."
        )

    brain = partial(write_brain, stage, predictions, labels, parts)
    stage.each(brain, people, lambda who: (stage.folder / "brain" / f"{who}.tsv").exists(), "people")
    folds = sorted(predictions["fold"].unique())
    layers = partial(write_layers, stage, predictions, labels, cfg)
    stage.each(layers, folds, lambda fold: (stage.folder / "network" / f"fold-{fold}.tsv").exists(), "networks")

    table = join(stage, people, folds)
    write_table(stage.folder / "distances.tsv", table)
    tests = compare(table, labels, people, cfg)
    write_table(stage.folder / "mantel.tsv", tests)
    stage.finish(f"distances of {len(labels)} labels", describe(table, tests, labels, people, cfg))


def parts_of(predictions: pd.DataFrame, labels: list[str]) -> dict[str, dict[int, int]]:
    """Person → fold → half of the data (0 or 1) for cross-validated distances; only people whose halves hold all labels."""
    found = {}
    for who, mine in predictions.groupby("subject"):
        halves = {fold: number % 2 for number, fold in enumerate(sorted(mine["fold"].unique()))}
        half = mine["fold"].map(halves)
        if all(set(mine["label"][half == h]) == set(labels) for h in (0, 1)):
            found[who] = halves
    return found


def as_table(found: dict[str, np.ndarray], labels: list[str], **columns) -> pd.DataFrame:
    pairs = list(combinations(labels, 2))
    tables = [
        pd.DataFrame(
            {"distance": kind, "label_1": [a for a, _ in pairs], "label_2": [b for _, b in pairs], "value": values}
        )
        for kind, values in found.items()
    ]
    return pd.concat(tables, ignore_index=True).assign(**columns)


def write_brain(stage: Stage, predictions: pd.DataFrame, labels: list[str], parts: dict, who: str) -> None:
    """Write the distances of labels in one person's brain, over all voxels."""
    mine = predictions[predictions["subject"] == who]
    X = open_npy(stage.folder_of(2) / "X.npy")[mine.index.to_numpy()]
    found = distances(X, mine["label"].tolist(), mine["fold"].map(parts[who]).to_numpy(), labels)
    write_table(stage.folder / "brain" / f"{who}.tsv", as_table(found, labels, source=who))


def write_layers(stage: Stage, predictions: pd.DataFrame, labels: list[str], cfg, fold: int) -> None:
    """Write the distances of labels in the layers of a fold's network, on its held-out volumes; people make two halves."""
    X = open_npy(stage.folder_of(2) / "X.npy")
    model = load_classifier(model_file(stage.folder_of(3), cfg.HELD_OUT_SPLIT, fold, cfg.EXPLAINED_MODEL), X.shape[1])
    mine = predictions[predictions["fold"] == fold]
    number = mine["subject"].map({who: k for k, who in enumerate(sorted(mine["subject"].unique()))}).to_numpy()
    if len(set(number)) == 1:  # one person: halves of the volumes
        number = np.arange(len(mine))
    group = mine["label"].map(labels.index).to_numpy() * 2 + number % 2
    if len(set(group)) < 2 * len(labels):
        raise NeuroFaceError(
            f"Fold {fold} holds out no volume of some label in one half of the people. Lower N_FOLDS, or take more "
            "people."
        )
    names = layers_to_compare(model)
    means = LayerMeans(model, names, cfg.INFERENCE_BATCH)(X, mine.index.to_numpy(), group, 2 * len(labels))
    tables = []
    for order, name in enumerate(names):
        found = distances(means[name], np.repeat(labels, 2).tolist(), np.tile([0, 1], len(labels)), labels)
        tables.append(as_table(found, labels, source=name, order=order))
    write_table(stage.folder / "network" / f"fold-{fold}.tsv", pd.concat(tables))


def join(stage: Stage, people: list[str], folds: list[int]) -> pd.DataFrame:
    """All distances: kind "brain" (a person each) and "network" (a layer each, mean over folds)."""
    brain = pd.concat(read_table(stage.folder / "brain" / f"{who}.tsv") for who in people).assign(
        kind="brain", order=-1
    )
    network = pd.concat(read_table(stage.folder / "network" / f"fold-{fold}.tsv") for fold in folds)
    keys = ["order", "source", "distance", "label_1", "label_2"]
    network = network.groupby(keys, sort=False)["value"].mean().reset_index().assign(kind="network")
    columns = ["kind", "source", "distance", "label_1", "label_2", "value"]
    return pd.concat([brain, network.sort_values("order", kind="stable")])[columns]


def compare(table: pd.DataFrame, labels: list[str], people: list[str], cfg) -> pd.DataFrame:
    """Every layer against the mean of people's brains, for each kind of distance and of correlation."""
    rows = []
    for distance in DISTANCES:
        part = table[table["distance"] == distance]
        brain = np.stack([part["value"][part["source"] == who].to_numpy() for who in people])
        for method in CORRELATIONS:
            low, high = noise_ceiling(brain, method) if len(people) > 1 else (np.nan, np.nan)
            for layer in part["source"][part["kind"] == "network"].unique():
                values = part["value"][part["source"] == layer].to_numpy()
                found = mantel(brain.mean(axis=0), values, method, cfg.N_LABEL_PERMUTATIONS, cfg.SEED)
                rows.append(
                    {"layer": layer, "distance": distance, "correlation": method} | found
                    | {"ceiling_low": low, "ceiling_high": high}
                )  # fmt: skip
    return pd.DataFrame(rows)


def describe(table: pd.DataFrame, tests: pd.DataFrame, labels: list[str], people: list[str], cfg) -> Section:
    first = tests.iloc[0]
    how = (
        f"all {first['n_permutations']:,} permutations"
        if first["exact"]
        else f"{first['n_permutations']:,} permutations"
    )
    section = Section(
        "Representational similarity",
        f"Distances of {len(labels)} labels in the brains of {len(people)} people and in the layers of the networks, "
        "on volumes "
        f"that the networks never saw ({cfg.HELD_OUT_SPLIT} folds). Mantel tests with {how} of the labels: no p is "
        "below "
        f"{1 / first['n_permutations']:.4f}.",
    )
    last = (
        tests[(tests["layer"] == "pool") & (tests["correlation"] == "pearson")]
        if "pool" in set(tests["layer"])
        else tests
    )
    for row in last.itertuples():
        print(f"  {row.layer}, {row.distance}, {row.correlation}: r {row.r:.3f}, exact p {row.p_two_sided:.3f}")
    rows = [
        (r.layer, "1 − Pearson" if r.distance == "correlation" else "cross-validated", r.correlation, f"{r.r:.3f}",
         f"{r.p_two_sided:.3f}", f"{r.p_greater:.3f}",
         "–" if np.isnan(r.ceiling_low) else f"{r.ceiling_low:.2f} – {r.ceiling_high:.2f}")
        for r in tests.itertuples()
    ]  # fmt: skip
    rows.append(("pool (published)", "1 − Pearson", "pearson", "−0.590", "> .05, not a Mantel test", "–", "–"))
    section.table(
        ["layer", "distance", "correlation", "r", "p, two-sided", "p, larger", "noise ceiling over people"], rows,
        "Brain against network. The published row correlates ten distances of means over volumes that were chosen "
        "because the "
        "network was right about them; its p takes the ten for independent.",
    )  # fmt: skip
    return section


if __name__ == "__main__":
    run_script(main)
