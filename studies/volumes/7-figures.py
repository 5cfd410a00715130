"""7. The figures, and what differs from the publications.

Draws the group maps of all labels on the cortical surface and on slices, the strongest voxels in
space and in UMAP, and the distances between labels in brain and network. Ends with a table: what
the publications did, what is done here, and what that does to the numbers of this data set.

Reads     1-labels/moved.tsv, 2-dataset/, 3-models/metrics.json, 4-maps/, 5-clusters/, 6-similarity/
Writes    7-figures/<method>_surface.png and .pdf (MNI only), <method>_slices.png and .pdf,
            places.png and .pdf, distances.png and .pdf; differences.tsv
Settings  MAP_METHODS, SPACE, ROI_FILE
Takes     a few seconds per figure; 0.5 GB
"""

from functools import partial
from pathlib import Path

from neuroface.bold import read_mask, read_masked, read_rois
from neuroface.maps import average_file, contrast_file, draw_surfaces, load_hemispheres, project
from neuroface.pipeline import Section, Stage, read_json, read_table, run_script, write_table
from volume_study.differences import as_frame, differences
from volume_study.episode_test import ALPHA
from volume_study.explaining import METHODS
from volume_study.figures import draw_distances, draw_places, draw_slices
from volume_study.study import STUDY

import numpy as np


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 7, cfg, __doc__, reads=(1, 2, 3, 4, 5, 6))
    mask, affine = read_mask(stage.folder_of(2) / "group_mask.nii.gz")
    if cfg.SPACE != "MNI":
        stage.leave_out("surfaces", f"they need BOLD in MNI space, and SPACE is {cfg.SPACE!r}")
    kinds = ("surface", "slices") if cfg.SPACE == "MNI" else ("slices",)
    units = [(method, kind) for method in cfg.MAP_METHODS for kind in kinds]
    paint = partial(draw_maps, stage, mask, affine, cfg)
    stage.each(paint, units, "figures of maps", lambda unit: figure_file(stage.folder, *unit))

    others = {"places": partial(places, stage), "distances": partial(distances, stage)}
    stage.each(
        lambda name: others[name](),
        list(others),
        "other figures",
        lambda name: stage.folder / f"{name}.png",
    )
    rows = differences(stage.root, cfg, read_json(stage.folder_of(3) / "metrics.json")["leaks"])
    write_table(stage.folder / "differences.tsv", as_frame(rows))
    stage.finish(f"{len(units) + len(others)} figures", describe_figures(stage, units, rows, cfg))


def figure_file(folder: Path, method: str, kind: str) -> Path:
    return folder / f"{method}_{kind}.png"


def draw_maps(stage: Stage, mask, affine, cfg, unit: tuple[str, str]) -> None:
    """Draw the group maps of one method, a column or a row per label."""
    method, kind = unit
    maps, significant = read_maps(stage, method, mask, affine)
    title, target = f"Group maps, {METHODS[method][0]}", figure_file(stage.folder, *unit)
    if kind == "slices":
        draw_slices(maps, mask, affine, cfg.SPACE == "MNI", title, METHODS[method][1], target)
        return
    hemispheres = load_hemispheres(read_rois(cfg.ROI_FILE) if cfg.ROI_FILE else None, mask, affine)
    values = project(np.stack(list(maps.values()), axis=1), hemispheres)
    areas = {
        side: np.nan_to_num(at_vertices)
        for side, at_vertices in project(significant.astype(float), hemispheres).items()
    }
    draw_surfaces(
        values, hemispheres, list(maps), title, METHODS[method][1], target, areas, medial=True
    )


def read_maps(stage: Stage, method: str, mask, affine) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Label → group map (n_voxels,), and which voxels pass the corrected threshold (n_voxels, n_labels)."""
    maps, significant = {}, []
    for label in read_json(stage.folder_of(2) / "labels.json")["labels"]:
        file = average_file(stage.folder_of(4), "group", label, method)
        if not file.exists():
            continue  # script 4 already warned
        maps[label] = read_masked(file, mask, affine)[:, 0]
        logp = contrast_file(stage.folder_of(4), label, method, "logp-voxel.nii.gz")
        tested = (
            read_masked(logp, mask, affine)[:, 0] if logp.exists() else np.zeros(int(mask.sum()))
        )
        significant.append(tested >= -np.log10(ALPHA) - 1e-6)
    return maps, np.stack(significant, axis=1)


def places(stage: Stage) -> None:
    folder = stage.folder_of(5)
    shares = read_json(folder / "pca.json")["variance_share"]
    draw_places(
        read_table(folder / "voxels.tsv"),
        read_table(folder / "functional.tsv"),
        shares,
        stage.folder / "places.png",
    )


def distances(stage: Stage) -> None:
    labels = read_json(stage.folder_of(2) / "labels.json")["labels"]
    draw_distances(
        read_table(stage.folder_of(6) / "distances.tsv"), labels, stage.folder / "distances.png"
    )


def describe_figures(stage: Stage, units: list, rows: list[tuple], cfg) -> Section:
    section = Section(
        "Figures",
        "Maps of all labels, the places of their strongest voxels, distances between labels.",
    )
    why_not = read_json(stage.folder_of(4) / "summary.json")["why_not_tested"]
    outlines_of = (
        f"Not tested: {why_not}."
        if why_not
        else f"Green: p ≤ {ALPHA}, family-wise over the voxels of a map."
    )
    method, kind = units[0]
    section.first.figure(
        figure_file(stage.folder, method, kind),
        f"{METHODS[method][0]}: each label's episodes less all others, mean over people. {outlines_of}",
    )
    for method, kind in units:
        title, unit = METHODS[method]
        caption = f"{title}, the label's episodes less all others, mean over people; unit: {unit}."
        if kind == "surface":
            outlines = "Black: regions of ROI_FILE. " if cfg.ROI_FILE else ""
            caption += f" One scale for all labels. {outlines}{outlines_of}"
        else:
            caption += " The tenth of voxels with the largest values, over all labels; z in mm; left is left."
        section.figure(figure_file(stage.folder, method, kind), caption)
    section.figure(
        stage.folder / "places.png",
        f"The strongest voxels of each label ({cfg.CLUSTERED_METHOD}). "
        "UMAP keeps neighbours; distances between its groups and their sizes mean nothing. "
        "The silhouette above is the test.",
    )
    section.figure(
        stage.folder / "distances.png",
        "Distances between labels: mean over people's brains, and layers of the network from the first to the last. "
        "Each panel has its own scale.",
    )
    section.table(
        ["what", "published", "here", "effect in this data set"], rows,
        "What differs from the publications, and what it does to the number",
    )  # fmt: skip
    return section


if __name__ == "__main__":
    run_script(main)
