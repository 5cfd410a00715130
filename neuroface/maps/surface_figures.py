"""Figures of maps at each second: on the cortical surface (also as an animation) and on a glass brain."""

from pathlib import Path
from typing import Any

from neuroface.maps.surface import paint
from neuroface.pipeline import atomic, save_figure

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from nilearn.plotting.glass_brain import plot_brain_schematics
from PIL import Image

OPAQUE_FROM = (
    0.4  # share of the scale above which a colour hides the anatomy; weaker colours are transparent
)
PIXEL_MM = 0.5  # of a hemisphere's picture
GAP_MM = 8.0  # between two hemispheres
COLOURS = plt.get_cmap(
    "RdBu_r"
)  # diverging, equal steps in lightness on both sides, safe for the colour-blind
REGION_LINE: dict[str, Any] = {"colors": "black", "linewidths": 0.8}
FOUND_LINE: dict[str, Any] = {
    "colors": "#12b886",
    "linewidths": 1.3,
}  # neither red nor blue, brighter than the darkest red and blue
FRAME_MS = 700
# Camera: screen right and screen up, in MNI axes (x right, y anterior, z superior). It looks along
# up × right.
VIEWS = {
    "ventral": (np.array([-1.0, 0, 0]), np.array([0, 1.0, 0])),
    "lateral left": (np.array([0, -1.0, 0]), np.array([0, 0, 1.0])),
    "lateral right": (np.array([0, 1.0, 0]), np.array([0, 0, 1.0])),
}
# For figures that ask for them: the calcarine sulcus and the medial wall are hidden in the others.
MEDIAL_VIEWS = {"medial left": VIEWS["lateral right"], "medial right": VIEWS["lateral left"]}
GLASS = {
    "x": ("from the side", 1, 2),
    "z": ("from above", 0, 1),
}  # nilearn's direction → name, axes right and up
GLASS_SHARE = 0.05  # of all voxels and seconds, those farthest from 0


def symmetric_scale(matrix: np.ndarray) -> Normalize:
    """One scale for a whole figure: ± the 99.5th percentile of the absolute values."""
    return Normalize(*(np.nanpercentile(np.abs(matrix), 99.5) or 1.0) * np.array([-1, 1]))


def opacity(values: np.ndarray, scale: Normalize) -> np.ndarray:
    """0 where a value is 0, 1 above a share of the scale, so that weak values do not hide the anatomy."""
    return np.clip(np.abs(values) / scale.vmax / OPAQUE_FROM, 0, 1)


def draw_surfaces(
    values: dict, hemispheres: dict, columns: list[str], title: str, unit: str, target: Path,
    significant: dict | None = None, copies: tuple[str, ...] = (".pdf",), medial: bool = False,
) -> None:  # fmt: skip
    """One column per second, one row per view; one colour scale; outlines of regions in black, of ``significant`` in green.

    Parameters
    ----------
    values : result of :func:`project`. columns : their titles. unit : unit of the values, and the
    meaning of a positive one.
    significant : {side: (n_vertices, n_columns)}, outlined where above 0.5. target : a PNG.
    copies : see :func:`save_figure`.
    medial : two more rows, both hemispheres seen from the middle.
    """
    scale = symmetric_scale(np.concatenate(list(values.values())))
    views = [*VIEWS, *(MEDIAL_VIEWS if medial else ())]
    figure, axes = plt.subplots(
        len(views), len(columns), figsize=(max(1.55 * len(columns), 6), 2.0 + 1.2 * len(views)),
        height_ratios=(2.0, *(1 for _ in views[1:])), layout="constrained", squeeze=False,
    )  # fmt: skip
    for row, view in enumerate(views):
        shown = _hemispheres_of(view, hemispheres)
        for column, name in enumerate(columns):
            _draw_view(axes[row, column], shown, values, scale, column, significant)
            axes[row, column].xaxis.set_visible(False)
            axes[row, column].yaxis.set_visible(column == 0)
            if row == 0:
                axes[row, column].set_title(name)
        axes[row, 0].set_ylabel(view)
    _colourbar(figure, axes, scale, unit)
    figure.suptitle(title)
    save_figure(figure, target, also=copies)


def animate_surfaces(
    values: dict,
    hemispheres: dict,
    columns: list[str],
    title: str,
    unit: str,
    target: Path,
    significant: dict | None = None,
) -> None:
    """The same as an animation over seconds: one GIF that repeats."""
    frames = surface_pictures(values, hemispheres, columns, title, unit, significant)
    # One palette for all frames that keeps rare colours: outlines stay green, and nothing flickers.
    palette = Image.fromarray(np.concatenate(frames)).quantize(256, Image.Quantize.MAXCOVERAGE)
    pictures = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    with atomic(target) as partial:
        pictures[0].save(
            partial, "gif", save_all=True, append_images=pictures[1:], duration=FRAME_MS, loop=0
        )


def surface_pictures(
    values: dict,
    hemispheres: dict,
    columns: list[str],
    title: str,
    unit: str,
    significant: dict | None = None,
) -> list[np.ndarray]:
    """A picture (height, width, 3) uint8 of all views for each column, on one colour scale; for moving figures."""
    scale = symmetric_scale(np.concatenate(list(values.values())))
    figure, axes = plt.subplots(
        1, 3, figsize=(9, 3.6), width_ratios=(1.15, 1, 1), layout="constrained", squeeze=False
    )
    shown = [_hemispheres_of(view, hemispheres) for view in VIEWS]
    for axis, view in zip(axes[0], VIEWS):
        axis.set_xlabel(view)
    _colourbar(figure, axes, scale, unit)
    figure.set_dpi(90)
    canvas = FigureCanvasAgg(figure)
    heading = figure.suptitle(title, animated=True)
    background, frames = None, []
    for column, name in enumerate(columns):
        for axis, panel in zip(axes[0], shown):
            for artist in [*axis.images, *axis.collections]:
                artist.remove()
            _draw_view(axis, panel, values, scale, column, significant)
        if background is None:  # what all frames have in common is drawn once
            background = _without_views(figure, canvas, axes[0])
        canvas.restore_region(background)
        for axis in axes[0]:
            for artist in [*axis.images, *axis.collections]:
                axis.draw_artist(artist)
        heading.set_text(f"{title}: {name}")
        figure.draw_artist(heading)
        frames.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    plt.close(figure)
    return frames


def _without_views(figure, canvas: FigureCanvasAgg, axes):
    """The pixels of a figure without its views and its heading; its layout is that of all later pictures."""
    canvas.draw()
    figure.set_layout_engine("none")
    of_views = [artist for axis in axes for artist in [*axis.images, *axis.collections]]
    for artist in of_views:
        artist.set_animated(True)
    canvas.draw()
    return canvas.copy_from_bbox(figure.bbox)


def draw_glass_brain(
    matrix: np.ndarray, significant: np.ndarray | None, positions_mm: np.ndarray, voxel_mm: float, columns: list[str],
    title: str, unit: str, target: Path,
) -> None:  # fmt: skip
    """Glass brain of each second: at every point the value farthest from 0 along the line of sight.

    Only :func:`strongest` values are shown: through a glass brain one sees all of them at once.

    Parameters
    ----------
    matrix : (n_voxels, n_columns). significant : of its shape, bool; outlined in green.
    """
    scale = symmetric_scale(matrix)
    matrix = strongest(matrix, significant)
    size = (max(1.55 * len(columns), 6), 4.1)
    figure, axes = plt.subplots(
        len(GLASS), len(columns), figsize=size, layout="constrained", squeeze=False
    )
    for row, (direction, (name, right, up)) in enumerate(GLASS.items()):
        brain = _brain_lines(direction)
        for column, label in enumerate(columns):
            axis = axes[row, column]
            picture, extent = see_through(matrix[:, column], positions_mm[:, [right, up]], voxel_mm)
            colour = COLOURS(scale(picture))
            colour[..., 3] = opacity(picture, scale)
            axis.imshow(colour, extent=extent, origin="lower", interpolation="nearest")
            if significant is not None and significant[:, column].any():
                area, _ = see_through(
                    significant[:, column].astype(float), positions_mm[:, [right, up]], voxel_mm
                )
                axis.contour(area, [0.5], extent=extent, **FOUND_LINE)
            axis.add_collection(PathCollection(**brain))
            _empty_axis(
                axis, (-110, 80) if right == 1 else (-80, 80), (-75, 90) if up == 2 else (-112, 80)
            )
            axis.xaxis.set_visible(False)
            axis.yaxis.set_visible(column == 0)
            if row == 0:
                axis.set_title(label)
        axes[row, 0].set_ylabel(name)
    _colourbar(figure, axes, scale, unit)
    figure.suptitle(title)
    save_figure(figure, target, also=(".pdf",))


def strongest(matrix: np.ndarray, significant: np.ndarray | None) -> np.ndarray:
    """Values with those set to 0 that are not among the :data:`GLASS_SHARE` farthest from 0 and not in ``significant``.

    Parameters
    ----------
    matrix : (n_voxels, n_columns). significant : of its shape, bool.
    """
    size = np.abs(matrix)
    shown = size >= np.quantile(size, 1 - GLASS_SHARE)
    return np.where(shown if significant is None else shown | significant, matrix, 0.0)


def see_through(
    values: np.ndarray, places_mm: np.ndarray, voxel_mm: float
) -> tuple[np.ndarray, tuple]:
    """Project voxels onto a plane: the value farthest from 0 at each pixel, and imshow's extent in mm.

    Parameters
    ----------
    values : (n_voxels,). places_mm : (n_voxels, 2), right and up.
    """
    low = places_mm.min(axis=0)
    right, up = np.rint((places_mm - low) / voxel_mm).astype(int).T
    picture = np.zeros((up.max() + 1, right.max() + 1))
    order = np.argsort(np.abs(values), kind="stable")
    picture[up[order], right[order]] = values[order]  # the last value remains
    (left, bottom), (height, width) = low - voxel_mm / 2, picture.shape
    return picture, (left, left + width * voxel_mm, bottom, bottom + height * voxel_mm)


def _hemispheres_of(view: str, hemispheres: dict) -> list[tuple[str, "Hemisphere"]]:
    sides = ("right", "left") if view == "ventral" else (view.split()[1],)
    return [(side, Hemisphere(hemispheres[side], (VIEWS | MEDIAL_VIEWS)[view])) for side in sides]


def _draw_view(
    axis,
    shown: list[tuple[str, "Hemisphere"]],
    values: dict,
    scale: Normalize,
    column: int,
    significant,
) -> None:
    heights, offset = np.concatenate([hemisphere.points[:, 1] for _, hemisphere in shown]), 0.0
    for side, hemisphere in shown:
        area = None if significant is None else significant[side][:, column] > 0.5
        hemisphere.draw(
            axis, values[side][:, column], scale, offset - hemisphere.points[:, 0].min(), area
        )
        offset += np.ptp(hemisphere.points[:, 0]) + GAP_MM
    _empty_axis(axis, (0, offset - GAP_MM), (heights.min(), heights.max()))


def _brain_lines(direction: str) -> dict:
    """nilearn's drawing of a brain as one collection: hundreds of patches, in each of ten panels, would take seconds."""
    axis = Figure().add_subplot()
    plot_brain_schematics(axis, direction, alpha=0.6, linewidth=0.5)
    lines = [
        (
            patch.get_path().transformed(patch.get_transform() - axis.transData),
            patch.get_edgecolor(),
            patch.get_linewidth(),
        )
        for patch in axis.patches
    ]
    return dict(zip(("paths", "edgecolors", "linewidths"), map(list, zip(*lines)))) | {
        "facecolors": "none"
    }


def _empty_axis(axis, xlim: tuple, ylim: tuple) -> None:
    """No frame, no ticks, equal millimetres on both axes; the layout ignores the size of what is drawn."""
    axis.set(aspect="equal", xticks=[], yticks=[], xlim=xlim, ylim=ylim)
    axis.set_frame_on(False)
    for artist in [*axis.images, *axis.collections]:
        artist.set_in_layout(False)


def _colourbar(figure, axes, scale: Normalize, unit: str) -> None:
    bar = figure.colorbar(
        plt.cm.ScalarMappable(scale, COLOURS),
        ax=axes,
        location="bottom",
        shrink=0.5,
        aspect=50,
        pad=0.03,
    )
    power = int(np.floor(np.log10(scale.vmax or 1)))
    if power < -1:
        bar.formatter = FuncFormatter(lambda value, _: f"{value / 10.0**power:g}")
        unit = f"10$^{{{power}}}$ {unit}"
    bar.set_label(unit)


class Hemisphere:
    """One hemisphere in one camera view: the visible triangles are computed once and coloured for every second.

    An orthographic view needs no 3D engine: triangles that point to the camera are painted into
    pixels, far ones first.
    """

    def __init__(self, mesh: dict, camera: tuple[np.ndarray, np.ndarray]):
        right, up = camera
        towards_viewer = np.cross(right, up)
        corners = mesh["vertices"][mesh["triangles"]]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        facing = normals @ towards_viewer
        visible = np.flatnonzero(facing > 0)
        depth = corners[visible].mean(axis=1) @ towards_viewer
        visible = visible[np.argsort(depth)]
        self.triangles = mesh["triangles"][visible]
        self.points = mesh["vertices"] @ np.stack([right, up], axis=1)
        grey = 0.62 + 0.16 * np.sign(-mesh["sulcal"][self.triangles].mean(axis=1))
        self.shade = (0.7 + 0.3 * facing[visible]) * grey
        self.triangle_of_pixel = paint(self.points[self.triangles], PIXEL_MM)
        self.is_brain = self.triangle_of_pixel >= 0
        self.outline = _crossings(self.points, self.triangles, mesh["region"])

    def draw(
        self,
        axis,
        values: np.ndarray,
        scale: Normalize,
        shift: float,
        significant: np.ndarray | None = None,
    ) -> None:
        """Add the hemisphere to an axis, ``shift`` mm to the right; values (n_vertices,), NaN where there are no data."""
        first, second, third = np.nan_to_num(values)[self.triangles.T]
        value = (first + second + third) / 3
        covering = opacity(value, scale)[:, None]
        colour = np.ones((len(value), 4), dtype=np.float32)
        colour[:, :3] = (
            covering * COLOURS(scale(value))[:, :3] + (1 - covering) * self.shade[:, None]
        )
        picture = np.zeros((*self.is_brain.shape, 4), dtype=np.float32)
        picture[self.is_brain] = colour[self.triangle_of_pixel[self.is_brain]]
        (left, bottom), (height, width) = self.points.min(axis=0), self.is_brain.shape
        box = (left + shift, left + shift + width * PIXEL_MM, bottom, bottom + height * PIXEL_MM)
        axis.imshow(picture, extent=box, origin="lower", interpolation="antialiased")
        if significant is not None and significant.any():
            lines = _crossings(self.points, self.triangles, significant.astype(int))
            axis.add_collection(LineCollection(lines + np.array([shift, 0]), **FOUND_LINE))
        axis.add_collection(LineCollection(self.outline + np.array([shift, 0]), **REGION_LINE))


def _crossings(points: np.ndarray, triangles: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Segments (n, 2, 2) that separate vertices of different regions: from edge midpoint to edge midpoint."""
    corner = region[triangles]
    differs = corner != np.roll(corner, -1, axis=1)  # edge i joins corners i and i + 1
    middles = (points[triangles] + np.roll(points[triangles], -1, axis=1)) / 2
    two = differs.sum(axis=1) == 2
    return middles[two][differs[two]].reshape(-1, 2, 2)
