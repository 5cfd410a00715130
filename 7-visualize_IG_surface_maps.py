"""7. Group maps on the cortical surface, second by second.

Draws the group's mean attribution on fsaverage (the fsaverage5 mesh that nilearn ships): a column per volume of the
window; ventral view of both hemispheres, lateral view of each; face regions and what passes the corrected threshold
outlined; one colour scale per figure. Beside them a glass-brain strip, an animation, a view to turn, the reference maps.

Reads     6-averages/group_*.nii.gz, 1-windows/group_mask.nii.gz
Writes    7-figures/group_contrast-<contrast>_<method>_surface.png and .pdf, _glass.png and .pdf, .gif
          7-figures/group_contrast-face_<method>_interactive.html; references_<method>.png and .pdf
Settings  ATTRIBUTION_METHODS, SPACE (must be "MNI"), ROI_FILE, REFERENCE_MAPS
Takes     1 to 4 s per figure, its PDF included; 0.5 GB
"""

import re
import warnings
from pathlib import Path

import numpy as np
from nilearn.datasets import load_fsaverage, load_fsaverage_data
from nilearn.plotting import view_surf
from nilearn.surface import SurfaceImage

from neuroface import NeuroFaceError
from neuroface.attribution_methods import METHODS
from neuroface.bold import read_mask, read_masked
from neuroface.files import LABELS, atomic, average_file, contrast_file
from neuroface.group import ALPHA, CONTRASTS
from neuroface.map_tables import read_reference
from neuroface.report import Section
from neuroface.rois import read_rois, voxel_positions_mm
from neuroface.settings import load_settings
from neuroface.stage import Stage, run_script
from neuroface.surface import load_hemispheres, project
from neuroface.surface_figures import animate_surfaces, draw_glass_brain, draw_surfaces, symmetric_scale

SETTINGS = ("ATTRIBUTION_METHODS", "SPACE", "ROI_FILE", "REFERENCE_MAPS")
DRAWN = ("face", "noface", "face-minus-noface")
KINDS = {"surface.png": DRAWN, "glass.png": DRAWN, "surface.gif": LABELS, "interactive.html": ("face",)}
BLACK = "Black outlines: regions of ROI_FILE."
GREEN = f"Green: p ≤ {ALPHA}, corrected over all voxels and seconds."
VENTRAL = "Ventral views have the front of the brain on top and the left hemisphere on the right."


def main():
    cfg = load_settings(Path(__file__).with_name("config.py"))
    if cfg.SPACE != "MNI":
        raise NeuroFaceError(
            f"SPACE is {cfg.SPACE!r}: surface maps need BOLD in MNI space. The maps in 6-averages/ are complete; "
            f'view them as volumes, or normalise the BOLD to MNI and set SPACE = "MNI". Go on with script 8.'
        )
    stage = Stage(7, cfg, SETTINGS, reads=(1, 6))
    mask, affine = read_mask(stage.folder_of(1) / "group_mask.nii.gz")
    hemispheres = load_hemispheres(read_rois(cfg.ROI_FILE), mask, affine)
    seconds = [f"{tr * cfg.TR_S:g}–{(tr + 1) * cfg.TR_S:g} s" for tr in range(cfg.WINDOW_TRS)]

    def target_of(unit):
        contrast, method, kind = unit
        return contrast_file(stage.folder, contrast, method, kind)

    def draw(unit):
        contrast, method, kind = unit
        mean, found = read_contrast(stage.folder_of(6), contrast, method, mask, affine)
        title, unit_text = f"Group mean attribution ({method}), {contrast}", unit_of(contrast, method)
        if kind == "glass.png":
            positions, voxel_mm = voxel_positions_mm(mask, affine), float(np.linalg.norm(affine[:3, 0]))
            draw_glass_brain(mean, found, positions, voxel_mm, seconds, title, unit_text, target_of(unit))
        elif kind == "interactive.html":
            write_interactive(project(mean.mean(axis=1)[:, None], hemispheres), title, target_of(unit))
        else:
            values, areas = project(mean, hemispheres), None
            if found is not None:
                areas = {side: np.nan_to_num(part) for side, part in project(found.astype(float), hemispheres).items()}
            paint = draw_surfaces if kind == "surface.png" else animate_surfaces
            paint(values, hemispheres, seconds, title, unit_text, target_of(unit), areas)

    contrasts = [(name, method) for method in cfg.ATTRIBUTION_METHODS for name in DRAWN]
    contrasts = [one for one in contrasts if read_contrast(stage.folder_of(6), *one, mask, affine) is not None]
    methods = list(dict.fromkeys(method for _, method in contrasts)) if cfg.REFERENCE_MAPS else []
    references = {m: reference_maps(stage.folder_of(6), m, mask, affine, cfg.REFERENCE_MAPS) for m in methods}
    units = [(*one, kind) for one in contrasts for kind, drawn in KINDS.items() if one[0] in drawn]
    stage.each(draw, units, lambda unit: target_of(unit).exists(), "figures")

    def side_by_side(method):
        maps = references[method]
        each = np.stack([values / symmetric_scale(values).vmax for values in maps.values()], axis=1)
        title = f"Attribution ({method}) beside other maps, mean over the window"
        unit = "multiples of each map's 99.5th percentile (signs: see the caption)"
        draw_surfaces(project(each, hemispheres), hemispheres, list(maps), title, unit, references_of(method))

    def references_of(method):
        return stage.folder / f"references_{method}.png"

    stage.each(side_by_side, methods, lambda method: references_of(method).exists(), "comparisons")
    section = describe(contrasts, target_of, references_of, cfg)
    stage.finish(f"{len(units)} figures", section)


def read_contrast(
    folder: Path, contrast: str, method: str, mask, affine
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Mean (n_voxels, n_trs) and where it passes the corrected threshold; None for what was not tested or is not there."""
    file = contrast_file(folder, contrast, method, "mean.nii.gz")
    if file.exists():
        logp = read_masked(contrast_file(folder, contrast, method, "logp-voxel.nii.gz"), mask, affine)
        return read_masked(file, mask, affine), logp >= -np.log10(ALPHA) - 1e-6
    file = average_file(folder, "group", contrast, method)
    return (read_masked(file, mask, affine), None) if file.exists() else None


def unit_of(contrast: str, method: str) -> str:
    unit = METHODS[method].unit
    return f"{unit} (positive: {CONTRASTS[contrast].meaning})" if METHODS[method].signed else unit


def reference_maps(folder: Path, method: str, mask, affine, references: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Name → (n_voxels,), means over the window."""
    maps = {}
    for label in LABELS:
        file = average_file(folder, "group", label, method)
        if file.exists():
            maps[f"{method}, {label}"] = read_masked(file, mask, affine).mean(axis=1)
    for which in references:
        reference = read_reference(folder, which, mask, affine)
        maps[which] = reference if reference.ndim == 1 else reference.mean(axis=1)
    return maps


def write_interactive(values: dict[str, np.ndarray], title: str, target: Path) -> None:
    """nilearn's surface view as a page of its own that needs no network; values {side: (n_vertices, 1)}."""
    meshes, sulcal = load_fsaverage("fsaverage5"), load_fsaverage_data(mesh="fsaverage5", data_type="sulcal")
    shown = SurfaceImage(meshes["inflated"], {side: np.nan_to_num(part[:, 0]) for side, part in values.items()})
    limit = symmetric_scale(np.concatenate(list(values.values()))).vmax
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Meshes are not identical")  # depth is stored with the pial mesh
        view = view_surf(
            meshes["inflated"], shown, bg_map=sulcal, hemi="both", title=f"{title}, mean over the window", vmax=limit,
            engine="niivue", colorbar_fontsize=16, title_fontsize=18,
        )  # fmt: skip
    page = re.sub(r'<link rel="icon".*?>', "", view.html, flags=re.DOTALL)  # the one thing it would fetch
    # nilearn 0.14 asks for its canvas before the page has it, which is an error in the console.
    page = page.replace('document.getElementById("gl").addEventListener', "document.addEventListener")
    with atomic(target) as partial:
        partial.write_text(page)


def describe(contrasts: list[tuple], target_of, references_of, cfg) -> Section:
    section = Section(
        "Surface maps",
        "Where, at each second of the window, the network found its evidence. One colour scale per figure, symmetric; "
        "paler means weaker. Every figure lies in the folder as PDF too.",
    )
    for contrast, method in contrasts:
        what = f"{contrast}, {method}, mean over people."
        if METHODS[method].signed:
            what += f" Red: the voxel {CONTRASTS[contrast].meaning}; blue: the opposite."
        section.figure(
            target_of((contrast, method, "surface.png")),
            f"{what} One column per volume after the window's start. {BLACK} {GREEN} {VENTRAL}",
        )
        section.figure(
            target_of((contrast, method, "glass.png")),
            f"The same through a glass brain: at each point the value farthest from 0 along the line of sight. {GREEN}",
        )
    for contrast, method in [one for one in contrasts if one[0] in LABELS][:2]:
        section.figure(target_of((contrast, method, "surface.gif")), f"{contrast}, {method}, second after second.")
    contrast, method = contrasts[0]
    if contrast == "face":
        section.page(
            target_of((contrast, method, "interactive.html")),
            f"To turn and zoom: {contrast}, {method}, mean over the window, both hemispheres inflated (needs WebGL).",
        )
    if cfg.REFERENCE_MAPS:
        for method in dict.fromkeys(method for _, method in contrasts):
            section.figure(
                references_of(method),
                f"The network's maps ({method}) beside the pattern of the linear model (haufe) and the GLM's effect of "
                f"faces (glm), means over the window, each on its own scale. The network's are red where "
                f"{'a voxel speaks for its label' if METHODS[method].signed else 'attention draws on a voxel'}, the others "
                f"where BOLD rises with faces. {VENTRAL}",
            )
    return section


if __name__ == "__main__":
    run_script(main)
