"""5. Do labels rest on different voxels?

Takes the strongest voxels of each label's group map, counts the voxels that two labels share, and
embeds them in two dimensions: by position (PCA, UMAP) and by the drop of each label's score without
them (functional UMAP). Tests, with the strongest voxels of every person's maps, whether the voxels
of a label form a separate cluster; in the null held-out episodes exchange their labels.

Reads     2-dataset/group_mask.nii.gz, 4-maps/
Writes    5-clusters/voxels.tsv, a row per label and strong voxel: label, rank, voxel, value, x_mm,
            y_mm, z_mm, pc_1, pc_2, umap_1, umap_2; functional.tsv, a row per voxel: voxel,
            strongest label, umap_1, umap_2, drop_<label>
          5-clusters/overlap.tsv; silhouette.json: silhouettes, null, p; null.npy (n_folds, n)
Settings  CLUSTERED_METHOD, TOP_VOXELS, UMAP_NEIGHBORS, UMAP_MIN_DIST, N_LABEL_PERMUTATIONS
Takes     a minute, most of it UMAP, which compiles itself; 0.2 GB with 500 voxels of 5 labels
"""

from functools import partial
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import read_mask, read_masked, voxel_positions_mm
from neuroface.maps import average_file
from neuroface.pipeline import (
    Section,
    Stage,
    open_npy,
    read_json,
    read_table,
    run_script,
    write_json,
    write_npy,
    write_table,
)
from volume_study.clustering import (
    exchanged_separations,
    overlap_table,
    principal_axes,
    separation,
    separation_of_maps,
    top_voxels,
    umap_of,
)
from volume_study.decoding_report import p_text
from volume_study.extras import require
from volume_study.study import STUDY

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist


def main():
    cfg = STUDY.load_settings(__file__)
    require("umap")
    stage = Stage(STUDY, 5, cfg, __doc__, reads=(2, 4))
    mask, affine = read_mask(stage.folder_of(2) / "group_mask.nii.gz")
    positions = voxel_positions_mm(mask, affine)
    maps, there, labels = read_maps(stage, mask, affine, cfg)
    n_top = min(cfg.TOP_VOXELS, len(positions) // len(labels))
    if n_top < cfg.TOP_VOXELS:
        why = f"{len(positions):,} voxels for {len(labels)} labels: {n_top} are taken"
        stage.leave_out(f"TOP_VOXELS = {cfg.TOP_VOXELS}", why)
    means = {label: maps[there[:, k], k].mean(axis=0) for k, label in enumerate(labels)}
    top = {label: top_voxels(values, n_top) for label, values in means.items()}

    overlap = overlap_table(top)
    write_table(stage.folder / "overlap.tsv", overlap.rename_axis("label").reset_index())
    test = partial(write_silhouette, stage, maps, there, positions, top, labels, cfg)
    stage.each(test, [stage.folder / "silhouette.json"], "tests")
    result = read_json(stage.folder / "silhouette.json")
    embed = partial(write_embeddings, means, top, positions, cfg)
    tables = [stage.folder / name for name in ("voxels.tsv", "functional.tsv")]
    stage.each(embed, [stage.folder], "UMAPs", lambda _: tables)
    stage.finish(
        f"{n_top} voxels of {len(labels)} labels", describe_clusters(overlap, result, n_top, cfg)
    )


def read_maps(stage: Stage, mask, affine, cfg) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """People's maps (n_people, n_labels, n_voxels), which of them there are, and the labels that have any.

    Raises
    ------
    NeuroFaceError
        If fewer than two labels have maps.
    """
    volumes = read_table(stage.folder_of(4) / "volumes.tsv")
    people = sorted(volumes["subject"].unique())
    everything = read_json(stage.folder_of(2) / "labels.json")["labels"]
    group = {
        label: average_file(stage.folder_of(4), "group", label, cfg.CLUSTERED_METHOD)
        for label in everything
    }
    labels = [label for label in everything if group[label].exists()]
    for label in everything:
        if label not in labels:
            stage.leave_out(label, "it has no map")
    if len(labels) < 2:
        raise NeuroFaceError(
            f"Only {' '.join(labels)} has maps; two labels are needed. Set MIN_PROBABILITY to 0 in script 4."
        )
    maps, there = (
        np.zeros((len(people), len(labels), int(mask.sum()))),
        np.zeros((len(people), len(labels)), dtype=bool),
    )
    for who, label in volumes.groupby(["subject", "label"]).groups:
        file = average_file(stage.folder_of(4), who, label, cfg.CLUSTERED_METHOD)
        if not file.exists():
            continue  # script 4 already warned
        place = people.index(who), labels.index(label)
        maps[place], there[place] = read_masked(file, mask, affine)[:, 0], True
    return maps, there, labels


def write_silhouette(
    stage: Stage,
    maps: np.ndarray,
    there: np.ndarray,
    positions: np.ndarray,
    top: dict,
    labels: list[str],
    cfg,
    target: Path,
) -> None:
    """Write the silhouette of labels over people's strong voxels, and its p where the maps of script 4 can be tested.

    The same number of voxels is taken from each map, so that all maps together give the group's
    number. The p is one-sided:
    is it larger?
    """
    n_each = max(2, len(next(iter(top.values()))) // len(maps))
    group = np.concatenate([positions[voxels] for voxels in top.values()])
    of_group = separation(
        cdist(group, group), np.repeat(np.arange(len(top)), [len(v) for v in top.values()])
    )
    result = {
        "silhouette": separation_of_maps(maps, there, positions, n_each),
        "voxels_per_map": n_each,
        "silhouette_of_group_maps": of_group,
        "why_not_tested": read_json(stage.folder_of(4) / "summary.json")["why_not_tested"],
    }
    if not result["why_not_tested"]:
        result |= test_silhouette(stage, positions, n_each, labels, cfg)
    write_json(target, result)


def test_silhouette(
    stage: Stage, positions: np.ndarray, n_each: int, labels: list[str], cfg
) -> dict:
    """Held-out episodes exchange their labels within a fold; the smallest p of the folds × their number."""
    episodes, p_of_fold, nulls, observed = (
        read_table(stage.folder_of(4) / "episodes.tsv"),
        [],
        [],
        [],
    )
    everywhere = read_json(stage.folder_of(2) / "labels.json")["labels"]
    people = sorted(read_table(stage.folder_of(4) / "volumes.tsv")["subject"].unique())
    files = [
        stage.folder_of(4) / "episodes" / f"{who}_{cfg.CLUSTERED_METHOD}.npy" for who in people
    ]
    known = [everywhere.index(label) for label in labels]
    for fold in episodes["fold"].unique():
        rows = np.flatnonzero((episodes["fold"] == fold) & episodes["label"].isin(labels))
        maps = np.stack([open_npy(file)[rows][:, known] for file in files])
        own, viewers = (
            episodes["label"].iloc[rows].map(labels.index).to_numpy(),
            episodes["viewers"].to_numpy(str)[rows],
        )
        separations = exchanged_separations(
            maps,
            own,
            viewers,
            positions,
            n_each,
            cfg.N_LABEL_PERMUTATIONS,
            np.random.default_rng([cfg.SEED, int(fold)]),
        )
        p_of_fold.append(np.mean(separations >= separations[0] - 1e-12))
        observed.append(separations[0])
        nulls.append(separations[1:])
    write_npy(stage.folder / "null.npy", np.stack(nulls))
    return {
        "of_folds": [float(value) for value in observed],
        "null_mean": float(np.mean(nulls)),
        "null_interval": [float(q) for q in np.quantile(nulls, (0.025, 0.975))],
        "n_permutations": cfg.N_LABEL_PERMUTATIONS,
        "p": float(min(1, len(p_of_fold) * min(p_of_fold))),
        "smallest_p": float(min(1, len(p_of_fold) / (1 + cfg.N_LABEL_PERMUTATIONS))),
    }


def write_embeddings(means: dict, top: dict, positions: np.ndarray, cfg, folder: Path) -> None:
    """Write both UMAPs; in one process, because UMAP compiles itself in each."""
    write_places(means, top, positions, cfg, folder / "voxels.tsv")
    write_functional(means, top, cfg, folder / "functional.tsv")


def write_places(means: dict, top: dict, positions: np.ndarray, cfg, target: Path) -> None:
    """Write the strong voxels with their place, and where that lies on two axes of PCA and of UMAP."""
    table = pd.concat(
        pd.DataFrame({"label": label, "rank": np.arange(1, len(voxels) + 1), "voxel": voxels, "value": means[label][voxels]})
        for label, voxels in top.items()
    )  # fmt: skip
    place = positions[table["voxel"]]
    table[["x_mm", "y_mm", "z_mm"]] = place
    table[["pc_1", "pc_2"]], shares = principal_axes(place)
    table[["umap_1", "umap_2"]] = umap_of(place, cfg.UMAP_NEIGHBORS, cfg.UMAP_MIN_DIST, cfg.SEED)
    write_json(target.with_name("pca.json"), {"variance_share": shares.tolist()})
    write_table(target, table)


def write_functional(means: dict, top: dict, cfg, target: Path) -> None:
    """For each voxel that is strong for any label, write the drop of every label's score; and the UMAP of these profiles."""
    voxels = np.unique(np.concatenate(list(top.values())))
    profile = np.stack([means[label][voxels] for label in means], axis=1)
    table = pd.DataFrame(
        {"voxel": voxels, "strongest": np.array(list(means))[profile.argmax(axis=1)]}
    )
    # Drops are small numbers; UMAP's neighbourhoods do not depend on their unit, its curve fit
    # does.
    scaled = profile / profile.std()
    table[["umap_1", "umap_2"]] = umap_of(scaled, cfg.UMAP_NEIGHBORS, cfg.UMAP_MIN_DIST, cfg.SEED)
    table[[f"drop_{label}" for label in means]] = profile
    write_table(target, table)


def describe_clusters(overlap: pd.DataFrame, result: dict, n_top: int, cfg) -> Section:
    section = Section(
        "Clusters",
        "Do labels rest on different places? The silhouette is 1 if strong voxels are nearer to those of their own label "
        "than to those of others, 0 if they mix. The answer is that of the "
        f"{result['voxels_per_map']} strongest voxels of every person's maps ({cfg.CLUSTERED_METHOD}). The {n_top} "
        "strongest voxels of the group maps, which are drawn below, reach farther from the peaks and mix more.",
    )
    numbers = {"silhouette, people's maps": f"{result['silhouette']:.3f}"}
    if result["why_not_tested"]:
        numbers["not tested"] = result["why_not_tested"]
        print(f"  silhouette {result['silhouette']:.3f}, not tested: {result['why_not_tested']}")
    else:
        low, high = result["null_interval"]
        null = f"{result['null_mean']:.3f} [{low:.3f}, {high:.3f}]"
        of_folds = f"{np.mean(result['of_folds']):.3f}"
        p = p_text(result)
        print(
            f"  silhouette {result['silhouette']:.3f}; of single folds {of_folds}, labels exchanged {null}, p {p}"
        )
        numbers |= {
            "of single folds, mean": of_folds,
            "when episodes exchange labels": null,
            "p, folds × smallest": p,
        }
    section.numbers(
        numbers
        | {
            f"{n_top} strongest group voxels (not tested)": f"{result['silhouette_of_group_maps']:.3f}"
        }
    )
    rows = [
        (label, *(f"{share:.0%}" for share in row))
        for label, row in zip(overlap.index, overlap.to_numpy())
    ]
    section.table(
        ["label", *overlap.columns], rows, "Share of strong voxels that two labels have in common"
    )
    return section


if __name__ == "__main__":
    run_script(main)
