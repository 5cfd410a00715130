"""Face regions: the table in masks/, spheres by brute force, voxel positions by nibabel."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from nibabel.affines import apply_affine

from neuroface import NeuroFaceError
from neuroface.rois import read_rois, sphere_labels, voxel_positions_mm

TABLE = Path(__file__).parents[1] / "masks" / "face_rois.tsv"


def test_the_table_has_three_regions_in_both_hemispheres_with_a_source():
    rois = read_rois(TABLE)
    pairs = set(zip(rois["roi"], rois["hemisphere"]))
    assert pairs == {(roi, side) for roi in ("FFA", "OFA", "pSTS") for side in ("left", "right")} and len(rois) == 6
    assert ((rois["x_mm"] < 0) == (rois["hemisphere"] == "left")).all()  # MNI x grows to the right
    assert rois["source"].str.contains(r"\b(?:19|20)\d\d\b").all()
    assert (rois["radius_mm"] > 0).all()


def test_sphere_labels_by_brute_force():
    rng = np.random.default_rng(0)
    points = rng.uniform(-20, 20, (500, 3))
    centres = [(0.0, 0, 0), (8, 0, 0), (-9, 5, 3)]  # overlapping spheres: the nearer centre wins
    radii = [9.0, 7, 6]
    rois = pd.DataFrame(centres, columns=["x_mm", "y_mm", "z_mm"]).assign(radius_mm=radii)
    expected = []
    for point in points:
        distances = [np.sqrt(sum((p - c) ** 2 for p, c in zip(point, centre))) for centre in centres]
        holding = [(d, i + 1) for i, (d, radius) in enumerate(zip(distances, radii)) if d <= radius]
        expected.append(min(holding)[1] if holding else 0)
    assert sphere_labels(points, rois).tolist() == expected
    assert set(expected) == {0, 1, 2, 3}


def test_voxel_positions_are_nibabels():
    mask = np.random.default_rng(1).random((5, 6, 7)) < 0.3
    affine = np.array([[-2.9, 0.1, 0.3, 90], [0, 3, -0.2, -126], [0.1, 0, 3.1, -72], [0, 0, 0, 1]])
    ijk = [index for index in np.ndindex(mask.shape) if mask[index]]  # C order
    np.testing.assert_allclose(voxel_positions_mm(mask, affine), apply_affine(affine, ijk))


def test_a_table_that_lacks_a_column_is_refused(tmp_path):
    path = tmp_path / "rois.tsv"
    pd.read_csv(TABLE, sep="\t").drop(columns="radius_mm").to_csv(path, sep="\t", index=False)
    with pytest.raises(NeuroFaceError, match="'radius_mm'.*'hemisphere'") as error:
        read_rois(path)
    assert str(path) in str(error.value)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(NeuroFaceError, match="ROI_FILE = .*none.tsv is not there"):
        read_rois(tmp_path / "none.tsv")
