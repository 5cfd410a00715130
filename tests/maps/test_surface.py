"""Projection to the surface against nilearn, and painted triangles against a point-in-triangle test."""

import warnings

from neuroface.maps.surface import paint, projection_matrix

import nibabel as nib
import numpy as np
import pytest
from matplotlib.path import Path as Polygon
from nilearn.datasets import load_fsaverage
from nilearn.surface import SurfaceImage


@pytest.mark.parametrize("voxel_mm", [4.0, 9.0])
def test_projection_is_nilearns(voxel_mm):
    rng = np.random.default_rng(0)
    affine = np.diag([-voxel_mm, voxel_mm, voxel_mm, 1])  # as NNDb, x runs from right to left
    affine[:3, 3] = [78, -112, -64]  # the grid ends inside the brain
    shape = tuple(np.round(np.array([150, 170, 130]) / voxel_mm).astype(int))
    mask = rng.random(shape) < 0.7
    volume = np.where(mask[..., None], rng.standard_normal((*shape, 3)), 0)
    meshes = load_fsaverage("fsaverage5")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = SurfaceImage.from_volume(
            meshes["pial"],
            nib.Nifti1Image(volume, affine),
            inner_mesh=meshes["white_matter"],
            mask_img=nib.Nifti1Image(mask.astype(np.uint8), affine),
        )
    for side in ("left", "right"):
        pial, white = (meshes[name].parts[side].coordinates for name in ("pial", "white_matter"))
        matrix, expected = projection_matrix(pial, white, mask, affine), image.data.parts[side]
        empty = np.isnan(expected[:, 0])
        assert 0 < empty.sum() < len(empty) and np.array_equal(matrix.getnnz(axis=1) == 0, empty)
        np.testing.assert_allclose((matrix @ volume[mask])[~empty], expected[~empty], atol=1e-9)


def test_painted_triangles_are_those_that_hold_the_pixels_centre():
    triangles = np.random.default_rng(0).normal(0, 3, (60, 3, 2)) + np.random.default_rng(1).normal(
        0, 10, (60, 1, 2)
    )
    number = paint(triangles, 0.5)
    low = triangles.reshape(-1, 2).min(axis=0)
    y, x = np.indices(number.shape)
    centres = np.stack([x.ravel(), y.ravel()], axis=1) * 0.5 + 0.25 + low
    expected = np.full(len(centres), -1)
    for i, triangle in enumerate(triangles):
        expected[Polygon(triangle).contains_points(centres)] = i
    assert np.array_equal(number.ravel(), expected) and len(np.unique(expected)) > 30


def test_triangles_that_share_edges_leave_no_hole():
    grid = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0)), axis=-1)
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    triangles = np.concatenate(
        [np.stack([a, b, c], 2).reshape(-1, 3, 2), np.stack([a, c, d], 2).reshape(-1, 3, 2)]
    )
    number = paint(triangles, 0.25)  # pixel centres lie on the diagonals
    assert number.shape == (20, 20) and (number >= 0).all()
