"""Differences from the publications, and their effects on the numbers of this data set."""

from pathlib import Path

from neuroface.pipeline import read_json, read_table
from volume_study.decoding_report import p_text

import numpy as np
import pandas as pd

NOT_MEASURED = "not measured in this run"


def differences(root: Path, settings, leaks: dict[str, str]) -> list[tuple[str, str, str, str]]:
    """Rows (what, published, here, effect on the numbers of this data set).

    Parameters
    ----------
    root : ``data/<RUN_NAME>``. settings : settings of the experiment. leaks : split → why its held-out
    volumes are not new.
    """
    metrics = read_json(root / "3-models" / "metrics.json")
    results, ridge = next(iter(metrics["networks"].values())), metrics["linear"]["ridge"]["splits"]
    chance, rows = 1 / len(metrics["labels"]), []
    if settings.LABEL_SOURCE == "observers":
        rows += _labels(root / "1-labels" / "moved.tsv", settings)
    rows.append(
        (
            "standardisation",
            "each volume over its voxels, so that differences between anatomies remain",
            {"voxel": "each voxel over its run", "volume": "as published", "none": "none"}[
                settings.STANDARDIZE
            ],
            NOT_MEASURED,
        )  # fmt: skip
    )
    rows.append(
        _balance(root / "1-labels" / "samples.tsv", root / "2-dataset" / "samples.tsv", settings)
    )
    rows.append(_held_out(results, chance, leaks))
    null = ", ".join(f"{split} {ridge[split]['bias']:+.1%}" for split in ridge)
    rows.append(
        (
            "accuracy above chance with exchanged labels",
            "not tested",
            "ridge on exchanged labels, against chance",
            null,
        )
    )
    rows.append(_epoch(results, settings))
    rows.append(_similarity(root / "6-similarity" / "mantel.tsv"))
    rows.append(_clusters(root / "5-clusters" / "silhouette.json"))
    rows.append(
        (
            "the Transformer of the hybrid",
            "sees one token per volume, so that attention has no effect",
            "a token per place of the feature map; reference=True builds the released network",
            NOT_MEASURED,
        )  # fmt: skip
    )
    return rows


def _labels(file: Path, settings) -> list[tuple]:
    moved = read_table(file)
    n, clock = moved["labelled"].sum(), moved["clock_alone"].sum()
    both = moved[["other", "none"]].to_numpy().sum()
    late = moved["drift_s"].max()
    same = "as published" if settings.FILM_CLOCK == "cumulated" else "film second of every run"
    return [
        (
            "film clock",
            "lengths of runs added up",
            same,
            f"{clock / n:.0%} of labels move, by up to {late:g} s",
        ),
        (
            "haemodynamic delay",
            "none",
            f"{settings.LAG_S:g} s",
            f"{both / n:.0%} of labels move, with the clock",
        ),
    ]


def _balance(labelled: Path, decoded: Path, settings) -> tuple:
    """What the published balance keeps of the moments of the labels that are decoded."""
    used = read_table(decoded)
    every = read_table(labelled)
    every = every[every["label"].isin(used["label"].unique())].drop_duplicates("moment")
    published = np.minimum(every["label"].value_counts(), settings.MIN_PER_CLASS).sum()
    here = {
        "none": "all are kept, losses weighted by class",
        "moments": "as published",
        "person": "in each person down to the rarest label",
    }[settings.BALANCE]
    effect = f"{used['moment'].nunique():,} of {len(every):,} labelled moments are decoded; as published {published:,}"
    return "balance of the labels", f"{settings.MIN_PER_CLASS} moments of each label", here, effect


def _held_out(results: dict, chance: float, leaks: dict[str, str]) -> tuple:
    accuracy = {
        split: result["all_folds"]["balanced_accuracy"] for split, result in results.items()
    }
    honest = [split for split in accuracy if not leaks.get(split)]
    effect = (
        ", ".join(f"{split} {value:.1%}" for split, value in accuracy.items())
        + f" (chance {chance:.1%})"
    )
    if "volume" in accuracy and honest:
        effect += f": {accuracy['volume'] - accuracy[honest[0]]:+.1%} by holding out single volumes"
    return "what is held out", "single volumes", _and(list(accuracy)), effect


def _epoch(results: dict, settings) -> tuple:
    gains = ", ".join(
        f"{split} {result['chosen_on_held_out']['gain']:+.1%}" for split, result in results.items()
    )
    here = (
        "on an inner part of the training set" if settings.SELECTION == "inner" else "as published"
    )
    return (
        "choice of the epoch",
        "on the reported volumes",
        here,
        f"accuracy if it were chosen there: {gains}",
    )


def _similarity(file: Path) -> tuple:
    question = (
        "brain against network",
        "r = −0.590, p > .05, of volumes that the network got right",
    )
    if not file.exists():
        return (*question, "mean over people, against untrained networks", NOT_MEASURED)
    table = read_table(file)
    layer = "pool" if "pool" in set(table["layer"]) else table["layer"].iloc[-1]
    rows = table[(table["layer"] == layer) & (table["correlation"] == "pearson")]
    of_layer = ", ".join(
        f"{r.distance} r = {r.r:.3f} against {r.r_untrained:.3f}" for r in rows.itertuples()
    )
    return (*question, "mean over people, against untrained networks", f"layer {layer}: {of_layer}")


def _clusters(file: Path) -> tuple:
    question = ("separate voxels of labels", "seen in a UMAP, not tested")
    if not file.exists():
        return (*question, "silhouette against exchanged labels", NOT_MEASURED)
    test = read_json(file)
    if test["why_not_tested"]:
        return (
            *question,
            "silhouette",
            f"{test['silhouette']:.3f}, not tested: {test['why_not_tested']}",
        )
    effect = f"{test['silhouette']:.3f}; of single folds, when labels are exchanged {test['null_mean']:.3f}"
    return (*question, "silhouette against exchanged labels", f"{effect}, p {p_text(test)}")


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def as_frame(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["what", "published", "here", "effect"])
