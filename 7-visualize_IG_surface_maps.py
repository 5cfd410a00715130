"""7. Group maps on the cortical surface, second by second.

Draws the group's mean attribution on the fsaverage5 mesh of nilearn: one column per volume of the
window, a ventral view of both hemispheres, a lateral view of each, one colour scale per figure.
Lines outline the regions and the areas that pass the corrected threshold. Also draws a glass brain,
an animation, an interactive view, and the reference maps. Data that are on the cortical surface are
drawn on their own mesh, without a projection and without a glass brain.

Reads     6-averages/group_*.nii.gz, 1-windows/group_mask.nii.gz
Writes    7-figures/group_contrast-<contrast>_<method>_surface.png and .pdf, _glass.png and .pdf,
            .gif
          7-figures/group_contrast-<label>_<method>_interactive.html (first label);
            references_<method>.png and .pdf
Settings  ATTRIBUTION_METHODS, SPACE ("MNI" or "surface"), ROI_FILE, REFERENCE_MAPS
Takes     1 to 4 s per figure, including its PDF; 0.5 GB
"""

import re
from functools import partial
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.attribution import METHODS
from neuroface.bold import (
    read_mask,
    read_masked,
    read_rois,
    surface_space,
    voxel_positions_mm,
)
from neuroface.face_study import STUDY, FaceSettings, labels_of
from neuroface.maps import (
    ALPHA,
    GLASS_SHARE,
    animate_surfaces,
    average_file,
    contrast_file,
    contrasts_of,
    draw_glass_brain,
    draw_surfaces,
    load_hemispheres,
    place_hemispheres,
    project,
    read_reference,
    symmetric_scale,
)  # fmt: skip
from neuroface.pipeline import Section, Stage, atomic, read_json, run_script

import numpy as np
from nilearn.plotting import view_surf
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage

BLACK = "Black outlines: regions of ROI_FILE."
GREEN = f"Green: p ≤ {ALPHA}, corrected over all voxels and seconds."
OUTLINES = {
    "relabel": GREEN,
    "flip films": f"{GREEN} The test takes the trained models as fixed: these p are too small.",
    "flip people": f"{GREEN} The test takes models as fixed and people as independent: these p are far too small.",
    "none": "No outlines of a test: {why}.",
}
VENTRAL = "Ventral views have the front of the brain on top and the left hemisphere on the right."


def main():
    cfg = STUDY.load_settings(__file__)
    if cfg.SPACE == "native":
        raise NeuroFaceError(
            f"SPACE is {cfg.SPACE!r}: surface maps need BOLD in MNI space. The maps in 6-averages/ are complete; "
            f'view them as volumes, or normalise the BOLD to MNI and set SPACE = "MNI". Continue with script 8.'
        )
    stage = Stage(STUDY, 7, cfg, __doc__, reads=(1, 6))
    mask, affine = read_mask(stage.folder_of(1) / "group_mask.nii.gz")
    hemispheres = hemispheres_of(stage.folder_of(1), mask, affine, cfg)
    contrasts = contrasts_there(stage.folder_of(6), mask, affine, cfg)
    methods = list(dict.fromkeys(method for _, method in contrasts)) if cfg.REFERENCE_MAPS else []
    references = {
        method: reference_maps(stage.folder_of(6), method, mask, affine, cfg) for method in methods
    }

    units = [
        (*contrast, kind)
        for contrast in contrasts
        for kind, drawn in kinds(cfg.LABELS, cfg.SPACE).items()
        if contrast[0] in drawn
    ]
    paint = partial(draw, stage, hemispheres, mask, affine, cfg)
    stage.each(paint, units, "figures", lambda unit: contrast_file(stage.folder, *unit))

    compare = partial(draw_references, stage.folder, hemispheres, references)
    stage.each(compare, methods, "comparisons", partial(references_file, stage.folder))
    stage.finish(
        f"{len(units)} figures", describe_figures(stage.folder, stage.folder_of(6), contrasts, cfg)
    )


def hemispheres_of(folder: Path, mask, affine, cfg: FaceSettings) -> dict:
    """Both hemispheres, and how a map gets to their vertices (:func:`neuroface.maps.load_hemispheres`)."""
    if cfg.SPACE == "MNI":
        return load_hemispheres(read_rois(cfg.ROI_FILE) if cfg.ROI_FILE else None, mask, affine)
    space = surface_space(folder)
    if space is None or len(space.meshes) < 2:
        raise NeuroFaceError(
            "1-windows/ has no mesh_hemi-L.surf.gii and mesh_hemi-R.surf.gii: nothing to draw on. The maps in 6-averages/ "
            "are complete; view their .dtseries.nii or .func.gii files in wb_view or FreeSurfer. For figures put "
            f"*_hemi-L_*_midthickness.surf.gii and hemi-R of this space into {cfg.DATASET_DIR}, delete 1-windows/ and "
            "rerun script 1. Else continue with script 8."
        )
    return place_hemispheres(space, mask)


def kinds(labels: tuple[str, str], space: str) -> dict[str, tuple[str, ...]]:
    """Ending of a figure's name → the contrasts for which it is drawn; a glass brain only of volumes."""
    first, second = labels
    drawn = (first, second, f"{first}-minus-{second}")
    figures = {
        "surface.png": drawn,
        "glass.png": drawn if space == "MNI" else (),
        "surface.gif": labels,
        "interactive.html": (first,),
    }
    return {kind: contrasts for kind, contrasts in figures.items() if contrasts}


def contrasts_there(folder: Path, mask, affine, cfg: FaceSettings) -> list[tuple[str, str]]:
    """(contrast, method) of the maps that script 6 has made."""
    wanted = [
        (name, method)
        for method in cfg.ATTRIBUTION_METHODS
        for name in kinds(cfg.LABELS, cfg.SPACE)["surface.png"]
    ]
    return [
        contrast
        for contrast in wanted
        if read_contrast(folder, *contrast, mask, affine) is not None
    ]


def draw(
    stage: Stage, hemispheres: dict, mask, affine, cfg: FaceSettings, unit: tuple[str, str, str]
) -> None:
    """Draw one figure of a contrast."""
    contrast, method, kind = unit
    target = contrast_file(stage.folder, *unit)
    maps = read_contrast(stage.folder_of(6), contrast, method, mask, affine)
    if maps is None:
        raise NeuroFaceError(f"6-averages/ has no map of {contrast} ({method}). Rerun script 6.")
    mean, significant = maps
    seconds = [f"{tr * cfg.TR_S:g}–{(tr + 1) * cfg.TR_S:g} s" for tr in range(cfg.WINDOW_TRS)]
    title, unit_text = (
        f"Group mean attribution ({method}), {contrast}",
        unit_of(contrast, method, cfg),
    )
    if kind == "glass.png":
        positions, voxel_mm = voxel_positions_mm(mask, affine), float(np.linalg.norm(affine[:3, 0]))
        draw_glass_brain(mean, significant, positions, voxel_mm, seconds, title, unit_text, target)
    elif kind == "interactive.html":
        values = project(mean.mean(axis=1)[:, None], hemispheres)
        write_interactive(values, hemispheres, title, target)
    else:
        values, areas = project(mean, hemispheres), None
        if significant is not None:
            areas = {
                side: np.nan_to_num(at_vertices)
                for side, at_vertices in project(significant.astype(float), hemispheres).items()
            }
        paint = draw_surfaces if kind == "surface.png" else animate_surfaces
        paint(values, hemispheres, seconds, title, unit_text, target, areas)


def draw_references(
    folder: Path, hemispheres: dict, references: dict[str, dict], method: str
) -> None:
    """Draw the network's maps of both labels and the reference maps, means over the window, each with its own scale."""
    maps = references[method]
    each = np.stack([values / symmetric_scale(values).vmax for values in maps.values()], axis=1)
    title = f"Attribution ({method}) and other maps, mean over the window"
    unit = "multiples of each map's 99.5th percentile (signs: see the caption)"
    draw_surfaces(
        project(each, hemispheres),
        hemispheres,
        list(maps),
        title,
        unit,
        references_file(folder, method),
    )


def references_file(folder: Path, method: str) -> Path:
    return folder / f"references_{method}.png"


def read_contrast(
    folder: Path, contrast: str, method: str, mask, affine
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Mean (n_voxels, n_trs) and significance; significance is None if not tested. Without a map returns None."""
    file = contrast_file(folder, contrast, method, "mean.nii.gz")
    if file.exists():
        mean, passed = (
            read_masked(file, mask, affine),
            contrast_file(folder, contrast, method, "thresholded.nii.gz"),
        )
        if not passed.exists():  # there is no test, or no p of it can be ALPHA
            return mean, None
        logp = read_masked(
            contrast_file(folder, contrast, method, "logp-voxel.nii.gz"), mask, affine
        )
        return mean, logp >= -np.log10(ALPHA) - 1e-6
    file = average_file(folder, "group", contrast, method)
    return (read_masked(file, mask, affine), None) if file.exists() else None


def unit_of(contrast: str, method: str, cfg: FaceSettings) -> str:
    unit = METHODS[method].unit
    meaning = contrasts_of(labels_of(cfg))[contrast].meaning
    return f"{unit} (positive: {meaning})" if METHODS[method].signed else unit


def reference_maps(
    folder: Path, method: str, mask, affine, cfg: FaceSettings
) -> dict[str, np.ndarray]:
    """Name → (n_voxels,), means over the window."""
    maps = {}
    for label in cfg.LABELS:
        file = average_file(folder, "group", label, method)
        if file.exists():
            maps[f"{method}, {label}"] = read_masked(file, mask, affine).mean(axis=1)
    for which in cfg.REFERENCE_MAPS:
        reference = read_reference(folder, which, mask, affine)
        maps[which] = reference if reference.ndim == 1 else reference.mean(axis=1)
    return maps


def write_interactive(
    values: dict[str, np.ndarray], hemispheres: dict, title: str, target: Path
) -> None:
    """Write nilearn's surface view as a page that needs no network; values {side: (n_vertices, 1)}."""
    mesh = PolyMesh(
        **{
            side: InMemoryMesh(hemisphere["vertices"], hemisphere["triangles"])
            for side, hemisphere in hemispheres.items()
        }
    )
    shown = SurfaceImage(
        mesh, {side: np.nan_to_num(at_vertices[:, 0]) for side, at_vertices in values.items()}
    )
    depth = {side: hemisphere["sulcal"] for side, hemisphere in hemispheres.items()}
    limit = symmetric_scale(np.concatenate(list(values.values()))).vmax
    view = view_surf(
        mesh, shown, bg_map=SurfaceImage(mesh, depth), hemi="both", title=f"{title}, mean over the window", vmax=limit,
        engine="niivue", colorbar_fontsize=16, title_fontsize=18,
    )  # fmt: skip
    page = re.sub(
        r'<link rel="icon".*?>', "", view.html, flags=re.DOTALL
    )  # the only part that it would download
    # nilearn 0.14 looks for its canvas before the page contains it, which causes an error in the
    # console.
    page = page.replace(
        'document.getElementById("gl").addEventListener', "document.addEventListener"
    )
    with atomic(target) as partial:
        partial.write_text(page)


def outlines_of(folder: Path, contrast: str, method: str) -> str:
    """What the outlines of a contrast's test mean, or why there are none."""
    file = contrast_file(folder, contrast, method, "test.json")
    no_test = {"test": "none", "why": "there is one person"}
    test: dict = read_json(file) if file.exists() else no_test
    if test["test"] != "none" and test["smallest_p"] > ALPHA:
        return f"No outlines of a test: its smallest possible p is {test['smallest_p']:.2g}."
    return OUTLINES[test["test"]].format(why=test.get("why"))


def draws_regions(cfg: FaceSettings) -> bool:
    return cfg.SPACE == "MNI" and cfg.ROI_FILE is not None


def describe_figures(
    folder: Path, results: Path, contrasts: list[tuple[str, str]], cfg: FaceSettings
) -> Section:
    labels = labels_of(cfg)
    about, outlines = contrasts_of(labels), BLACK if draws_regions(cfg) else ""
    section = Section(
        "Surface maps",
        "Voxels that the network's decision is based on, at each second of the window. Each figure has one symmetric "
        "colour scale; paler means weaker. The folder has the still figures as PDF too.",
    )
    contrast, method = contrasts[0]
    section.first.figure(
        contrast_file(folder, contrast, method, "surface.png"),
        f"Where the model finds evidence for “{contrast}” ({method}), mean over people, a column per second of the "
        f"window. {outlines} {outlines_of(results, contrast, method)}",
    )
    for contrast, method in contrasts:
        green = outlines_of(results, contrast, method)
        caption = f"{contrast}, {method}, mean over people."
        if METHODS[method].signed:
            caption += f" Red: the voxel {about[contrast].meaning}; blue: the opposite."
        section.figure(
            contrast_file(folder, contrast, method, "surface.png"),
            " ".join(
                filter(
                    None,
                    (
                        caption,
                        "One column per volume after the window's start.",
                        outlines,
                        green,
                        VENTRAL,
                    ),
                )
            ),
        )
        if cfg.SPACE == "MNI":
            section.figure(
                contrast_file(folder, contrast, method, "glass.png"),
                f"The same in a glass brain: each point shows the value farthest from 0 along the line of sight, of the "
                f"{GLASS_SHARE:.0%} of all voxels and seconds whose values are farthest from 0, and of those that are "
                f"outlined. {green}",
            )
    for contrast, method in [drawn for drawn in contrasts if drawn[0] in cfg.LABELS][:2]:
        section.figure(
            contrast_file(folder, contrast, method, "surface.gif"),
            f"{contrast}, {method}, second by second.",
        )
    contrast, method = contrasts[0]
    if contrast == labels.first:
        section.page(
            contrast_file(folder, contrast, method, "interactive.html"),
            f"Interactive view: {contrast}, {method}, mean over the window, both hemispheres (needs WebGL).",
        )
    if cfg.REFERENCE_MAPS:
        for method in dict.fromkeys(method for _, method in contrasts):
            section.figure(
                references_file(folder, method),
                f"The network's maps ({method}), the pattern of the linear model (haufe) and the GLM's effect of "
                f"{labels.plural} (glm), means over the window, each with its own scale. The network's maps are red "
                f"where {'a voxel supports its label' if METHODS[method].signed else 'attention uses a voxel'}, "
                f"the others where BOLD rises with {labels.plural}. {VENTRAL}",
            )
    return section


if __name__ == "__main__":
    run_script(main)
