"""What the figures of script 7 show, read back from their pixels, files and artists."""

from neuroface.bold.labels import Labels
from neuroface.bold.regions import read_rois, sphere_labels, voxel_positions_mm
from neuroface.face_study.words import WORDS
from neuroface.maps import surface_figures
from neuroface.maps.group import contrasts_of
from neuroface.maps.surface import load_hemispheres, project
from neuroface.maps.surface_figures import (  # fmt: skip
    COLOURS,
    VIEWS,
    Hemisphere,
    animate_surfaces,
    draw_glass_brain,
    draw_surfaces,
    opacity,
    see_through,
    symmetric_scale,
)

import numpy as np
import pytest
from conftest import ROOT
from matplotlib import pyplot as plt
from nilearn.datasets import load_fsaverage
from PIL import Image
from scipy.spatial import cKDTree

AFFINE = np.array([[7.0, 0, 0, -84], [0, 7, 0, -119], [0, 0, 7, -77], [0, 0, 0, 1]])
COLUMNS = ["0–1 s", "1–2 s"]


@pytest.fixture(scope="module")
def brain():
    """A mask of 7 mm, hemispheres, and a map that is 1 in the left FFA and −1 in the right one, in its second column."""
    mask = np.ones((25, 30, 26), bool)
    rois = read_rois(ROOT / "masks" / "face_rois.tsv")
    label = sphere_labels(voxel_positions_mm(mask, AFFINE), rois)
    matrix = np.zeros((len(label), 2))
    matrix[label == 1, 1], matrix[label == 2, 1] = 1, -1
    return mask, load_hemispheres(rois, mask, AFFINE), matrix


def test_scale_is_symmetric_and_one_for_all():
    scale = symmetric_scale(np.array([[-2.0, 0.5], [np.nan, 1.0]]))
    assert scale.vmin == -scale.vmax and scale.vmax == pytest.approx(
        np.percentile([2, 0.5, 1], 99.5)
    )
    assert symmetric_scale(np.zeros((3, 2))).vmax == 1  # nothing to show is no error
    for value in (0.1, 0.5, 0.9):  # equal lightness at equal distance from 0
        light = [
            np.dot(COLOURS(0.5 + sign * value / 2)[:3], [0.2126, 0.7152, 0.0722])
            for sign in (1, -1)
        ]
        assert abs(light[0] - light[1]) < 0.12


def test_what_is_weak_lets_the_anatomy_show():
    scale = symmetric_scale(np.array([-1.0, 1.0]))
    np.testing.assert_allclose(
        opacity(np.array([0, 0.2, -0.2, 0.4, 3]) * scale.vmax, scale), [0, 0.5, 0.5, 1, 1]
    )


def test_the_value_farthest_from_zero_is_seen_through_the_brain():
    rng = np.random.default_rng(0)
    places = rng.integers(0, 5, (200, 2)) * 3.0 + [-7, 11]
    values = rng.standard_normal(200)
    picture, extent = see_through(values, places, 3.0)
    assert extent == (-8.5, 6.5, 9.5, 24.5)
    for x in range(5):
        for y in range(5):
            here = values[(places == [x * 3 - 7, y * 3 + 11]).all(axis=1)]
            assert picture[y, x] == (here[np.abs(here).argmax()] if len(here) else 0)


@pytest.mark.parametrize(
    ("direction", "low", "high"), [("x", (-105, -75), (75, 85)), ("z", (-70, -105), (70, 75))]
)
def test_the_glass_brain_lies_where_a_brain_is_in_mni(direction, low, high):
    lines = surface_figures._brain_lines(direction)
    points = np.concatenate([path.vertices for path in lines["paths"]])
    assert len(lines["paths"]) > 50
    np.testing.assert_allclose(points.min(axis=0), low, atol=12)
    np.testing.assert_allclose(points.max(axis=0), high, atol=12)


@pytest.mark.parametrize(
    ("view", "side", "sign"), [("ventral", "left", 1), ("ventral", "right", -1)]
)
def test_a_planted_region_is_coloured_inside_its_outline(brain, view, side, sign):
    mask, hemispheres, matrix = brain
    values = project(matrix, hemispheres)
    hemisphere = Hemisphere(hemispheres[side], VIEWS[view])
    scale = symmetric_scale(np.array([-1.0, 1.0]))
    figure, axis = plt.subplots()
    found = np.nan_to_num(values[side][:, 1]) * sign > 0.5
    hemisphere.draw(axis, values[side][:, 1], scale, 0.0, found)
    colour = axis.images[0].get_array()
    warm = colour[..., 0] - colour[..., 2]  # red over blue
    y, x = np.nonzero(sign * warm > 0.3)
    assert len(y) > 50 and not (sign * warm < -0.3).any()
    vertices = np.unique(hemisphere.triangles[hemisphere.triangle_of_pixel[y, x]])
    pial = load_fsaverage("fsaverage5")["pial"].parts[side].coordinates[vertices]
    centre = read_rois(ROOT / "masks" / "face_rois.tsv")[["x_mm", "y_mm", "z_mm"]].to_numpy()[
        0 if side == "left" else 1
    ]
    assert (
        np.linalg.norm(pial - centre, axis=1).max() < 10 + 7 * np.sqrt(3) + 4
    )  # radius, a voxel's and an edge's length
    green, black = axis.collections
    coloured = np.stack([x, y], axis=1) * surface_figures.PIXEL_MM + hemisphere.points.min(axis=0)
    edge = np.concatenate(green.get_segments())
    assert (
        len(edge) > 10
        and cKDTree(coloured).query(edge)[0].max() < 4
        and len(black.get_segments()) > 10
    )
    plt.close(figure)


def test_figures_and_their_copies_repeat_byte_for_byte(brain, tmp_path):
    mask, hemispheres, matrix = brain
    matrix = matrix[:, 1:]
    values = project(matrix, hemispheres)
    found = {side: np.nan_to_num(part) for side, part in values.items()}
    for name in ("a", "b"):
        draw_surfaces(
            values, hemispheres, COLUMNS[1:], "title", "unit", tmp_path / f"{name}.png", found
        )
        draw_glass_brain(
            matrix,
            matrix > 0.5,
            voxel_positions_mm(mask, AFFINE),
            7.0,
            COLUMNS[1:],
            "t",
            "u",
            tmp_path / f"{name}g.png",
        )
    for kind in (".png", ".pdf", "g.png", "g.pdf"):
        assert (tmp_path / f"a{kind}").read_bytes() == (tmp_path / f"b{kind}").read_bytes()
    assert b"/FontFile2" in (tmp_path / "a.pdf").read_bytes()  # text is TrueType text, not pictures


def test_the_animation_has_a_frame_per_second_of_the_window(brain, tmp_path):
    _, hemispheres, matrix = brain
    animate_surfaces(
        project(matrix, hemispheres), hemispheres, COLUMNS, "title", "unit", tmp_path / "a.gif"
    )
    gif = Image.open(tmp_path / "a.gif")
    assert gif.n_frames == 2 and gif.info["loop"] == 0
    frames = []
    for frame in range(2):
        gif.seek(frame)
        frames.append(np.asarray(gif.convert("RGB"), dtype=int))
    height = int(frames[0].shape[0] * 0.75)  # above the colour bar
    strong = [(np.abs(frame[:height, :, 0] - frame[:height, :, 2]) > 80).sum() for frame in frames]
    assert strong[0] == 0 and strong[1] > 100


def test_no_text_of_a_figure_overlaps(brain, tmp_path, monkeypatch):
    mask, hemispheres, matrix = brain
    boxes = []

    def look(figure, *_, **__):
        figure.draw_without_rendering()
        texts = [figure._suptitle, *(axis.title for axis in figure.axes)]
        texts += [t for axis in figure.axes for t in (axis.xaxis.label, axis.yaxis.label)]
        texts += [t for t in figure.axes[-1].get_xticklabels()]
        boxes.append([t.get_window_extent() for t in texts if t.get_text() and t.get_visible()])
        plt.close(figure)

    monkeypatch.setattr(surface_figures, "save_figure", look)
    contrasts = contrasts_of(Labels("face", "noface", WORDS))
    unit = f"logit per voxel and volume (positive: {contrasts['face-minus-noface'].meaning})"  # the longest
    ten = [f"{second}–{second + 1} s" for second in range(10)]
    many = np.repeat(matrix, 5, axis=1) * 1e-3
    draw_surfaces(
        project(many, hemispheres),
        hemispheres,
        ten,
        "Group mean attribution",
        unit,
        tmp_path / "a.png",
    )
    draw_glass_brain(
        many,
        None,
        voxel_positions_mm(mask, AFFINE),
        7.0,
        ten,
        "Group mean attribution",
        unit,
        tmp_path / "g",
    )
    for figure in boxes:
        assert len(figure) > 15
        for i, one in enumerate(figure):
            assert not any(one.overlaps(other) for other in figure[i + 1 :])
