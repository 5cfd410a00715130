"""Face regions: the table in masks/, spheres by brute force, voxel positions by nibabel."""

import statistics
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.regions import (  # fmt: skip
    read_region,
    read_rois,
    regions_in_mask,
    sphere_labels,
    voxel_positions_mm,
)
from neuroface.maps.regions import find_peaks, nearest_region, random_regions, shares  # fmt: skip
from neuroface.maps.tables import share_rows

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nibabel.affines import apply_affine

TABLE = Path(__file__).parents[2] / "masks" / "face_rois.tsv"


def test_the_table_has_three_regions_in_both_hemispheres_with_a_source():
    rois = read_rois(TABLE)
    pairs = set(zip(rois["roi"], rois["hemisphere"]))
    assert (
        pairs == {(roi, side) for roi in ("FFA", "OFA", "pSTS") for side in ("left", "right")}
        and len(rois) == 6
    )
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
        distances = [
            np.sqrt(sum((p - c) ** 2 for p, c in zip(point, centre))) for centre in centres
        ]
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


# ---------------------------------------------------------------- regions and what lies in them

AFFINE = np.array([[3.0, 0, 0, -30], [0, 3, 0, -30], [0, 0, 3, -30], [0, 0, 0, 1]])


@pytest.fixture
def mask():
    return np.random.default_rng(2).random((20, 20, 20)) < 0.9


def write_region(path, affine, shape, centre_mm, radius_mm):
    ijk = np.indices(shape).reshape(3, -1).T
    inside = np.linalg.norm(apply_affine(affine, ijk) - centre_mm, axis=1) <= radius_mm
    nib.save(nib.Nifti1Image(inside.reshape(shape).astype(np.float32) * 2, affine), path)
    return path


def test_a_region_on_another_grid_lands_where_it_is_in_mm(tmp_path, mask):
    fine = np.array(
        [[-1.5, 0, 0, 35], [0, 1.5, 0, -40], [0, 0, 1.5, -38], [0, 0, 0, 1]]
    )  # x runs the other way
    path = write_region(tmp_path / "own.nii.gz", fine, (50, 50, 50), [3, -6, 4], 9)
    voxels = read_region(path, mask, AFFINE)
    distance = np.linalg.norm(voxel_positions_mm(mask, AFFINE) - [3, -6, 4], axis=1)
    assert (
        voxels[distance < 9 - 2.6].all() and not voxels[distance > 9 + 2.6].any()
    )  # half a voxel's diagonal
    regions = regions_in_mask(mask, AFFINE, read_rois(TABLE).assign(x_mm=500.0), (str(path),))
    assert np.array_equal(regions.pop("own"), voxels)
    assert len(regions) == 6 and not any(
        sphere.any() for sphere in regions.values()
    )  # all outside the mask
    with pytest.raises(NeuroFaceError, match="own.nii.gz: there is a region 'own' already"):
        regions_in_mask(mask, AFFINE, None, (str(path), str(path)))


@pytest.mark.parametrize(
    ("centre", "radius"), [([25, 25, 80], 9), ([0, 0, 31], 9), ([0, 0, 0], 0.1)]
)
def test_a_region_that_the_mask_does_not_hold_is_refused(tmp_path, mask, centre, radius):
    affine = AFFINE * np.array([[1, 1, 1, 2]] * 3 + [[1, 1, 1, 1]])
    path = write_region(tmp_path / "far.nii.gz", affine, (40, 40, 60), centre, radius)
    mask[10, 10, 10] = False  # where the smallest one lies
    with pytest.raises(
        NeuroFaceError, match="far.nii.gz covers .* mm³, of which the group mask holds"
    ):
        read_region(path, mask, AFFINE)


def test_a_probability_map_is_no_region(tmp_path, mask):
    nib.save(
        nib.Nifti1Image(np.full(mask.shape, 0.3, np.float32), AFFINE), tmp_path / "soft.nii.gz"
    )
    with pytest.raises(
        NeuroFaceError, match=r"^ROI_MASKS: .*soft.nii.gz .* 0.3.* remove it from ROI_MASKS\.$"
    ) as error:
        read_region(tmp_path / "soft.nii.gz", mask, AFFINE)
    assert "EXCLUDE" not in str(error.value)


def test_random_regions_are_the_voxels_nearest_to_a_voxel(mask):
    positions = voxel_positions_mm(mask, AFFINE)
    regions = random_regions(positions, 33, 50, 7)
    assert regions.shape == (50, 33) and np.array_equal(
        regions, random_regions(positions, 33, 50, 7)
    )
    for region in regions[:10]:
        distance = np.linalg.norm(positions - positions[region[0]], axis=1)
        assert len(set(region)) == 33 and distance[region].max() <= np.sort(distance)[32] + 1e-9


def test_shares_are_sums_over_a_region_of_the_total():
    size = np.random.default_rng(0).random((3, 40, 5)).astype(np.float32)
    chosen = np.zeros(40, bool)
    chosen[[1, 5, 6]] = True
    np.testing.assert_allclose(
        shares(size, chosen), size[:, [1, 5, 6]].sum(1) / size.sum(1), rtol=1e-5
    )
    sets = np.array([[1, 5, 6], [0, 2, 3]])
    expected = np.stack([(size[:, row].sum(1) / size.sum(1)).mean(0) for row in sets])
    np.testing.assert_allclose(shares(size, sets), expected, rtol=1e-5)


def test_a_planted_region_stands_out_from_random_ones_and_another_does_not(mask):
    positions = voxel_positions_mm(mask, AFFINE)
    size = np.random.default_rng(4).gamma(2, 1, (6, len(positions), 3))
    near = {
        name: np.linalg.norm(positions - centre, axis=1) < 7
        for name, centre in {"planted": (9, 9, 9), "other": (-15, 0, 3)}.items()
    }
    size[:, near["planted"], 1:] *= 3
    rows = pd.DataFrame(share_rows(size, near, positions, 500, 0, 2.0, "face", "ig")).set_index(
        ["region", "second"]
    )
    assert list(rows.loc["planted"].index) == ["0", "2", "4", "all"]
    assert (
        rows.loc[("planted", "2"), "p"] == rows.loc[("planted", "all"), "p"] == 1 / 501
    )  # the observed one counts
    assert rows.loc[("planted", "0"), "p"] > 0.01 and rows.loc[("other", "all"), "p"] > 0.05
    of_people = size[:, near["planted"], 1].sum(axis=1) / size[:, :, 1].sum(axis=1)
    row = rows.loc[("planted", "2")]
    assert row["sd_people"] == pytest.approx(statistics.stdev(of_people.tolist()))
    assert not [name for name in rows.columns if name.endswith("_95") and name != "random_95"]
    alone = share_rows(size[:1], near, positions, 20, 0, 2.0, "face", "ig")
    assert np.isnan(alone[0]["sd_people"])  # one person has none
    part = near["planted"].mean()
    assert rows.loc[("planted", "0"), "share"] == pytest.approx(part, rel=0.1)
    assert rows.loc[("planted", "2"), "share"] == pytest.approx(3 * part / (1 + 2 * part), rel=0.1)


def test_peaks_come_largest_first_and_apart(mask):
    positions = voxel_positions_mm(mask, AFFINE)
    size = np.zeros((len(positions), 4))
    a = 50
    b = int(np.argmax(np.linalg.norm(positions - positions[a], axis=1)))
    close = int(np.argsort(np.linalg.norm(positions - positions[a], axis=1))[3])
    size[a, 2], size[close, 0], size[b, 3] = 5, 4, 3
    assert find_peaks(size, positions, 6, 20.0) == [(a, 2), (b, 3)]
    assert (
        find_peaks(size, positions, 1, 20.0) == [(a, 2)]
        and find_peaks(size * 0, positions, 3, 20.0) == []
    )


def test_the_nearest_region_and_its_distance():
    assert nearest_region(np.array([-42.0, -46, -15]), read_rois(TABLE)) == ("left FFA", 3.0)
