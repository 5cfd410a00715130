"""7. Group maps on the cortical surface, second by second.

Draws the group's mean attribution on fsaverage (the fsaverage5 mesh that nilearn ships): a column per volume of the
window; ventral view of both hemispheres, lateral view of each; face regions outlined; one colour scale per figure.

Reads     6-averages/group_label-<label>_<method>.nii.gz, 1-windows/group_mask.nii.gz
Writes    7-figures/group_label-<label>_<method>_surface.png
Settings  ATTRIBUTION_METHODS, SPACE (must be "MNI"), ROI_FILE
Takes     seconds
"""

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.ticker import FuncFormatter
from nilearn.datasets import load_fsaverage, load_fsaverage_data

from neuroface import NeuroFaceError
from neuroface.bold import read_mask, read_masked
from neuroface.files import LABELS, average_file
from neuroface.report import Section, save_figure
from neuroface.rois import read_rois, sphere_labels
from neuroface.settings import load_settings
from neuroface.stage import Stage, run_script
from neuroface.surface import paint, projection_matrix

SETTINGS = ("ATTRIBUTION_METHODS", "SPACE", "ROI_FILE")
OPAQUE_FROM = 0.4  # share of the scale above which a colour hides the anatomy; weaker values let it show
PIXEL_MM = 0.5  # of a hemisphere's picture
GAP_MM = 8.0  # between two hemispheres
COLOURS = plt.get_cmap("RdBu_r")
LEGEND = {"face": "pushes towards “face”", "noface": "pushes towards “no face”"}
# Camera: screen right and screen up, in MNI axes (x right, y anterior, z superior). It looks along up × right.
VIEWS = {
    "ventral": (np.array([-1.0, 0, 0]), np.array([0, 1.0, 0])),
    "lateral left": (np.array([0, -1.0, 0]), np.array([0, 0, 1.0])),
    "lateral right": (np.array([0, 1.0, 0]), np.array([0, 0, 1.0])),
}


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

    groups = [(label, method) for method in cfg.ATTRIBUTION_METHODS for label in LABELS]
    groups = [group for group in groups if average_file(stage.folder_of(6), "group", *group).exists()]

    def figure_of(group):
        return stage.folder / "group_label-{}_{}_surface.png".format(*group)

    def draw_group(group):
        label, method = group
        values = project(read_masked(average_file(stage.folder_of(6), "group", *group), mask, affine), hemispheres)
        title = f"Group mean attribution ({method}), {label} windows"
        draw(values, hemispheres, title, LEGEND[label], cfg, figure_of(group))

    stage.each(draw_group, groups, lambda group: figure_of(group).exists(), "figures")

    section = Section("Surface maps", "Where, at each second of the window, the network found its evidence.")
    for label, method in groups:
        section.figure(
            figure_of((label, method)),
            f"{label} windows, {method}, mean over people. One column per volume after the window's start. "
            f"Red {LEGEND[label]}, "
            f"blue against; paler means weaker. Black outlines: FFA, OFA and pSTS. Ventral views have the front of the "
            f"brain on top and the left hemisphere on the right.",
        )
    stage.finish(f"{len(groups)} figures", section)


def load_hemispheres(rois, mask: np.ndarray, affine: np.ndarray) -> dict[str, dict]:
    """Per hemisphere: inflated vertices (n, 3), faces (m, 3), sulcal depth (n,), face region of each vertex (n,).

    And ``projection`` (n, n_voxels): the mean of a map between pial and white surface.
    """
    meshes, sulcal = load_fsaverage("fsaverage5"), load_fsaverage_data(mesh="fsaverage5", data_type="sulcal")
    hemispheres = {}
    for side in ("left", "right"):
        inflated, pial = meshes["inflated"].parts[side], meshes["pial"].parts[side]
        hemispheres[side] = {
            "vertices": inflated.coordinates,
            "faces": inflated.faces,
            "sulcal": np.asarray(sulcal.data.parts[side]).ravel(),
            "region": sphere_labels(pial.coordinates, rois),  # where a vertex is in MNI, not on the inflated mesh
            "projection": projection_matrix(
                pial.coordinates, meshes["white_matter"].parts[side].coordinates, mask, affine
            ),
        }
    return hemispheres


def project(matrix: np.ndarray, hemispheres: dict) -> dict[str, np.ndarray]:
    """A map (n_voxels, n_trs) on each hemisphere: (n_vertices, n_trs), NaN outside the mask."""
    values = {side: hemisphere["projection"] @ matrix for side, hemisphere in hemispheres.items()}
    for side, hemisphere in hemispheres.items():
        values[side][hemisphere["projection"].getnnz(axis=1) == 0] = np.nan
    return values


def draw(values: dict, hemispheres: dict, title: str, legend: str, cfg, target: Path) -> None:
    n_trs = next(iter(values.values())).shape[1]
    limit = max(np.nanpercentile(np.abs(v), 99.5) for v in values.values()) or 1.0
    scale = Normalize(-limit, limit)
    figure, axes = plt.subplots(
        3, n_trs, figsize=(1.55 * n_trs, 5.6), height_ratios=(2.0, 1, 1), layout="constrained", squeeze=False
    )
    for row, (view, camera) in enumerate(VIEWS.items()):
        sides = ("right", "left") if view == "ventral" else (view.split()[1],)
        shown = [Hemisphere(hemispheres[side], camera) for side in sides]
        heights = np.concatenate([hemisphere.points[:, 1] for hemisphere in shown])
        for tr in range(n_trs):
            axis, offset = axes[row, tr], 0.0
            for side, hemisphere in zip(sides, shown):
                hemisphere.draw(axis, values[side][:, tr], scale, offset - hemisphere.points[:, 0].min())
                offset += np.ptp(hemisphere.points[:, 0]) + GAP_MM
            axis.set(
                aspect="equal", xticks=[], yticks=[], xlim=(0, offset - GAP_MM), ylim=(heights.min(), heights.max())
            )
            axis.set_frame_on(False)
            if row == 0:
                axis.set_title(f"{tr * cfg.TR_S:g}–{(tr + 1) * cfg.TR_S:g} s")
        axes[row, 0].set_ylabel(view)
    bar = figure.colorbar(
        plt.cm.ScalarMappable(scale, COLOURS), ax=axes, location="bottom", shrink=0.3, aspect=40, pad=0.02
    )
    power = int(np.floor(np.log10(limit)))
    bar.formatter = FuncFormatter(lambda value, _: f"{value / 10.0**power:g}")
    bar.set_label(f"attribution, 10$^{{{power}}}$ logit per voxel and volume (positive: {legend})")
    figure.suptitle(title)
    save_figure(figure, target)


class Hemisphere:
    """One hemisphere seen by one camera: what is visible is worked out once and coloured anew for every second.

    An orthographic view needs no 3D engine: triangles that face the camera, far ones first, painted into pixels.
    """

    def __init__(self, mesh: dict, camera: tuple[np.ndarray, np.ndarray]):
        right, up = camera
        towards_viewer = np.cross(right, up)
        corners = mesh["vertices"][mesh["faces"]]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        facing = normals @ towards_viewer
        visible = np.flatnonzero(facing > 0)
        depth = corners[visible].mean(axis=1) @ towards_viewer
        visible = visible[np.argsort(depth)]
        self.faces = mesh["faces"][visible]
        self.points = mesh["vertices"] @ np.stack([right, up], axis=1)
        grey = 0.62 + 0.16 * np.sign(-mesh["sulcal"][self.faces].mean(axis=1))
        self.shade = (0.7 + 0.3 * facing[visible]) * grey
        self.triangle = paint(self.points[self.faces], PIXEL_MM)
        self.outline = _crossings(self.points, self.faces, mesh["region"])

    def draw(self, axis, values: np.ndarray, scale: Normalize, shift: float) -> None:
        """Add the hemisphere to an axis, ``shift`` mm to the right; values (n_vertices,), NaN where there are no data."""
        value = np.nan_to_num(values)[self.faces].mean(axis=1)
        opacity = np.clip(np.abs(value) / scale.vmax / OPAQUE_FROM, 0, 1)[:, None]
        anatomy = np.repeat(self.shade[:, None], 3, axis=1)
        colour = opacity * COLOURS(scale(value))[:, :3] + (1 - opacity) * anatomy
        seen = self.triangle >= 0
        picture = np.zeros((*seen.shape, 4), dtype=np.float32)
        picture[seen, :3], picture[seen, 3] = colour[self.triangle[seen]], 1
        (left, bottom), (height, width) = self.points.min(axis=0), seen.shape
        box = (left + shift, left + shift + width * PIXEL_MM, bottom, bottom + height * PIXEL_MM)
        axis.imshow(picture, extent=box, origin="lower", interpolation="antialiased")
        axis.add_collection(LineCollection(self.outline + np.array([shift, 0]), colors="black", linewidths=0.8))


def _crossings(points: np.ndarray, faces: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Segments (n, 2, 2) that separate vertices of different regions: from edge midpoint to edge midpoint."""
    corner = region[faces]
    differs = corner != np.roll(corner, -1, axis=1)  # edge i joins corners i and i + 1
    middles = (points[faces] + np.roll(points[faces], -1, axis=1)) / 2
    two = differs.sum(axis=1) == 2
    return middles[two][differs[two]].reshape(-1, 2, 2)


if __name__ == "__main__":
    run_script(main)
