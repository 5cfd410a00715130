"""What scripts 6 and 7 claim about the tiny study, whose truth is known."""

import json

from neuroface.bold.images import mean_of_maps, read_mask, read_masked
from neuroface.bold.labels import Labels
from neuroface.bold.regions import voxel_positions_mm
from neuroface.maps.files import average_file, contrast_file, reference_file
from neuroface.maps.group import ALPHA, contrasts_of, variance_smoother

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from conftest import VOXEL_MM
from scipy.spatial import cKDTree
from scipy.stats import hypergeom

CONTRASTS = contrasts_of(Labels("face", "noface"))


@pytest.fixture(scope="module")
def study(tiny):
    """Mask, affine, planted region of each voxel (0: none), and its distance in mm from the nearest planted voxel."""
    mask, affine = read_mask(tiny.root / "1-windows" / "group_mask.nii.gz")
    planted = nib.load(tiny.dataset / "truth" / "face_rois.nii.gz").get_fdata()[mask]
    positions = voxel_positions_mm(mask, affine)
    return mask, affine, planted, cKDTree(positions[planted > 0]).query(positions)[0]


def of_contrast(tiny, study, contrast, what):
    return read_masked(
        contrast_file(tiny.root / "6-averages", contrast, "ig", f"{what}.nii.gz"), *study[:2]
    )


@pytest.mark.parametrize(
    ("contrast", "what"),
    [("face", "logp-voxel"), ("face", "logp-cluster"), ("face", "t"), ("noface", "t")],
)
def test_evidence_gathers_in_the_planted_regions_at_the_right_seconds(tiny, study, contrast, what):
    """What passes, and the 20 largest t. BOLD follows a face by 5 s at its peak, windows begin 4 s after a change.

    Two fold models explain eight people here, and what a model learnt from noise it uses in each of
    its people: some voxels elsewhere may pass, and of no-face maps little does. On the demo all
    that passes lies in the regions. The first seconds of a window still show what was on the screen
    before, which a model may use; most evidence comes later.
    """
    _, _, planted, _ = study
    values = of_contrast(tiny, study, contrast, what)
    found = values >= (np.sort(values, axis=None)[-20] if what == "t" else -np.log10(ALPHA) - 1e-6)
    inside = found & (planted > 0)[:, None]
    assert inside.sum() >= 0.6 * found.sum() > 0
    by_chance = hypergeom(found.size, int((planted > 0).sum()) * found.shape[1], int(found.sum()))
    assert by_chance.sf(inside.sum() - 1) < 1e-5
    assert inside[:, 3:].mean() > 3 * inside[:, :3].mean(), "found before BOLD can know"


def test_the_contrasts_are_of_the_peoples_maps(tiny, study):
    folder, (mask, affine, *_) = tiny.root / "6-averages", study
    people = [f"sub-{i}" for i in range(1, 9)]
    maps = {
        (label, kind): np.stack(
            [
                read_masked(average_file(folder, who, label, "ig", kind), mask, affine)
                for who in people
            ]
        )
        for label in ("face", "noface")
        for kind in ("", "_absolute")
    }
    expected = {name: maps[name, ""] for name in ("face", "noface")}
    expected["face-minus-noface"] = maps["face", ""] - maps["noface", ""]
    for label in ("face", "noface"):
        size = maps[label, "_absolute"]
        expected[f"{label}-absolute"] = size / size.mean(axis=(1, 2), keepdims=True) - 1
    assert set(expected) == set(CONTRASTS)
    for name, values in expected.items():
        mean, logp = (
            of_contrast(tiny, study, name, "mean"),
            of_contrast(tiny, study, name, "logp-voxel"),
        )
        np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(
            of_contrast(tiny, study, name, "thresholded"), np.where(logp > 1.30102, mean, 0)
        )
        # t is that of the maps in units of each person's mean absolute attribution.
        scales = [
            maps[label, "_absolute"].mean(axis=(1, 2), keepdims=True)
            for label in CONTRASTS[name].labels
        ]
        scaled = values / np.mean(scales, axis=0) if CONTRASTS[name].two_sided else values
        smooth = variance_smoother(mask, affine, 16.0)
        expected_t = scaled.mean(axis=0) / np.sqrt(smooth(scaled.var(axis=0, ddof=1)) / 8)
        np.testing.assert_allclose(
            of_contrast(tiny, study, name, "t"), expected_t, rtol=1e-3, atol=1e-3
        )
        test = json.loads(contrast_file(folder, name, "ig", "test.json").read_text())
        assert test["test"] == "relabel" and test["smallest_p"] == 1 / (1 + test["relabellings"])
        assert sum(test["below_alpha_per_second"]) == (logp > 1.30102).sum()


def test_means_do_not_depend_on_the_order_or_number_of_parts(tiny, study):
    mask, affine, *_ = study
    files = sorted((tiny.root / "5-brain-maps").glob("sub-*/*label-face*_ig.nii.gz"))
    signed, absolute = mean_of_maps(files, mask, affine)
    shuffled = [files[i] for i in np.random.default_rng(0).permutation(len(files))]
    for part, again in zip((signed, absolute), mean_of_maps(shuffled, mask, affine)):
        np.testing.assert_allclose(again, part, rtol=1e-6, atol=1e-6 * np.abs(part).max())
    whole = np.stack([read_masked(file, mask, affine) for file in files]).astype(np.float64)
    halves = [mean_of_maps(part, mask, affine)[0] * len(part) for part in (files[:7], files[7:])]
    scale = np.abs(whole).mean(axis=0).max()
    assert np.abs(sum(halves) / len(files) - signed).max() < 1e-6 * scale
    assert np.abs(whole.mean(axis=0) - signed).max() < 1e-6 * scale
    np.testing.assert_allclose(absolute, np.abs(whole).mean(axis=0), rtol=1e-6)


def test_the_largest_peaks_are_beside_the_planted_regions(tiny, study):
    mask, affine, planted, distance = study
    peaks = pd.read_csv(tiny.root / "6-averages" / "peaks.tsv", sep="\t")
    positions = voxel_positions_mm(mask, affine)
    for contrast in ("face", "noface"):
        rows = peaks.query("contrast == @contrast")
        passed = rows[rows["p_voxel"] <= ALPHA]
        assert (passed["mean"].abs().diff().dropna() <= 0).all() and len(rows) == 6
        assert list(passed.index) == list(rows.index[: len(passed)]), "what passes comes first"
        best = rows.iloc[0]
        assert best["p_voxel"] <= ALPHA and best["distance_mm"] < 10 + VOXEL_MM
        t, mean = (
            of_contrast(tiny, study, contrast, "t"),
            of_contrast(tiny, study, contrast, "mean"),
        )
        voxel = int(
            np.argmin(
                np.linalg.norm(positions - best[["x_mm", "y_mm", "z_mm"]].to_numpy(float), axis=1)
            )
        )
        assert t[voxel, int(best["second"])] == pytest.approx(best["t"], rel=1e-5)
        assert np.abs(mean).max() == pytest.approx(abs(best["mean"]), rel=1e-4)
        assert mean[voxel, int(best["second"])] == pytest.approx(best["mean"], rel=1e-4)


def test_face_regions_hold_more_than_random_ones_of_their_size(tiny):
    shares = pd.read_csv(tiny.root / "6-averages" / "roi_shares.tsv", sep="\t")
    whole = shares.query("second == 'all'").set_index(["label", "region"])
    assert (whole["share"] > whole["random_mean"]).mean() > 0.8
    assert (whole["p"] <= 0.05).sum() >= 4 and whole["p"].min() >= 1 / 2001
    assert (shares["p_corrected"] >= shares["p"] - 1e-9).all() and (
        shares["p_corrected"] > shares["p"]
    ).any()
    assert set(shares["second"]) == {*map(str, range(10)), "all"}


def test_the_reference_maps_peak_where_faces_drive_the_data(tiny, study):
    mask, affine, planted, distance = study
    folder = tiny.root / "6-averages"
    glm = nib.load(reference_file(folder, "group", "glm")).get_fdata()[mask]
    people = [
        nib.load(reference_file(folder, f"sub-{i}", "glm")).get_fdata()[mask] for i in range(1, 9)
    ]
    np.testing.assert_allclose(glm, np.mean(people, axis=0), atol=1e-6)
    haufe = read_masked(reference_file(folder, "group", "haufe"), mask, affine)
    for values in (glm, haufe[:, 4:8].mean(axis=1)):
        n = int((planted > 0).sum())
        assert (planted[np.argsort(-values)[:n]] > 0).mean() > 0.9
        assert values[planted > 0].min() > 0
    table = pd.read_csv(folder / "map_correlations.tsv", sep="\t").set_index(["label", "reference"])
    each = [
        np.corrcoef(
            read_masked(average_file(folder, f"sub-{i}", "noface", "ig"), mask, affine).mean(
                axis=1
            ),
            glm,
        )[0, 1]
        for i in range(1, 9)
    ]
    row = table.loc[("noface", "glm")]
    assert row["r"] == pytest.approx(np.mean(each), rel=1e-4) and row[
        "r_sd_people"
    ] == pytest.approx(np.std(each, ddof=1), rel=1e-3)
