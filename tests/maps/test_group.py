"""Group inference against nilearn's permuted_ols, against scipy, on planted effects and on nothing at all."""

from neuroface.maps import group
from neuroface.maps.group import (
    Neighbours,
    family_wise,
    flipped_statistics,
    group_test,
    sign_flips,
    variance_smoother,
)

import nibabel as nib
import numpy as np
import pytest
from nilearn.maskers import NiftiMasker
from nilearn.mass_univariate import permuted_ols
from scipy import ndimage, stats

AFFINE = np.diag([-3.0, 3, 3, 1])


def people(n: int) -> list[str]:
    return [f"sub-{i}" for i in range(n)]


def smooth_maps(rng, n: int, mask: np.ndarray, n_trs: int) -> np.ndarray:
    noise = rng.standard_normal((n, *mask.shape, n_trs))
    return ndimage.gaussian_filter(noise, (0, 1, 1, 1, 0.7), mode="wrap")[:, mask]


@pytest.fixture(scope="module")
def mask():
    mask = np.random.default_rng(5).random((9, 8, 7)) < 0.8
    mask[:, :, 0] = False
    return mask


def test_all_flips_once_where_they_are_few_and_half_of_them_if_two_sided():
    every = sign_flips(people(5), 100, 0, two_sided=False)
    assert every.shape == (32, 5) and len(np.unique(every, axis=0)) == 32 and (every[0] == 1).all()
    half = sign_flips(people(5), 16, 0, two_sided=True)
    assert half.shape == (16, 5) and len(np.unique(np.vstack([half, -half]), axis=0)) == 32
    drawn = sign_flips(people(5), 15, 0, two_sided=True)
    assert drawn.shape == (15, 5) and (drawn[0] == 1).all() and set(np.unique(drawn)) == {-1, 1}


def test_viewers_of_one_film_are_flipped_together():
    signs = sign_flips(["a", "b", "a", "c", "b"], 100, 0, two_sided=True)
    assert (
        len(signs) == 4
        and (signs[:, 0] == signs[:, 2]).all()
        and (signs[:, 1] == signs[:, 4]).all()
    )


def test_statistic_is_scipys_t_of_the_flipped_data_however_it_is_chunked(mask, monkeypatch):
    values = smooth_maps(np.random.default_rng(0), 7, mask, 3).astype(np.float32)
    signs = sign_flips(people(7), 1000, 0, two_sided=False)
    whole = np.stack(list(flipped_statistics(values, signs)))
    for row in (0, 5, 77):
        expected = stats.ttest_1samp(signs[row][:, None, None] * values.astype(float), 0).statistic
        np.testing.assert_allclose(whole[row], expected.ravel(), rtol=1e-9)
    monkeypatch.setattr(group, "BLOCK_BYTES", 3 * 8 * values[0].size)
    np.testing.assert_allclose(np.stack(list(flipped_statistics(values, signs))), whole, rtol=1e-9)


@pytest.mark.parametrize("two_sided", [True, False])
def test_p_values_are_those_of_permuted_ols(mask, two_sided):
    """One second only, as nilearn knows no time; its 2,000 random flips against all of ours."""
    rng = np.random.default_rng(1)
    values = smooth_maps(rng, 9, mask, 1)
    values[:, :60] += 0.25
    values[:, 200:230] -= 0.2
    masker = NiftiMasker(nib.Nifti1Image(mask.astype(np.uint8), AFFINE), standardize=None).fit()
    theirs = permuted_ols(
        np.ones((9, 1)), values[:, :, 0], model_intercept=False, n_perm=2000, two_sided_test=two_sided, random_state=3,
        masker=masker, threshold=0.01,
    )  # fmt: skip
    ours = group_test(values, sign_flips(people(9), 512, 0, two_sided), mask, 0.01, two_sided)
    np.testing.assert_allclose(ours.statistic[:, 0], theirs["t"][0], rtol=1e-6)
    se = np.sqrt(0.25 / 2000)
    for mine, name in ((ours.p_voxel, "logp_max_t"), (ours.p_cluster, "logp_max_mass")):
        expected = 10.0 ** -theirs[name][0]
        assert (expected < 0.1).sum() >= 5, "a test without an effect would show nothing"
        np.testing.assert_allclose(mine[:, 0], expected, atol=4 * se)


def test_clusters_reach_across_faces_and_seconds_and_part_by_sign(mask):
    rng = np.random.default_rng(2)
    statistic = rng.standard_normal((int(mask.sum()), 4)) * 2
    masses, cluster = Neighbours(mask, 4).masses(statistic.ravel(), 1.5, True)
    volume = np.zeros((*mask.shape, 4))
    volume[mask] = statistic
    faces = ndimage.generate_binary_structure(4, 1)
    expected = []
    for sign in (1, -1):
        label, n = ndimage.label(sign * volume > 1.5, faces)
        expected += [(np.abs(volume[label == i]) - 1.5).sum() for i in range(1, n + 1)]
    np.testing.assert_allclose(np.sort(masses), np.sort(expected))
    np.testing.assert_array_equal(cluster.reshape(statistic.shape) >= 0, np.abs(statistic) > 1.5)


def test_smoothed_variance_keeps_a_constant_and_is_a_gaussian_mean(mask):
    smooth = variance_smoother(mask, AFFINE, 8.0)
    n = int(mask.sum())
    np.testing.assert_allclose(smooth(np.full((n, 2), 3.0)), 3.0)
    one = np.zeros((n, 1))
    one[100] = 1
    ijk = np.argwhere(mask)
    near = np.abs(ijk[:, None] - ijk[None]) * 3.0 / (8.0 / 2.35482)
    kernel = np.exp(-0.5 * (near**2).sum(axis=2))
    expected = kernel[:, 100] / kernel.sum(axis=1)
    np.testing.assert_allclose(smooth(one)[:, 0], expected, atol=2e-3)
    assert variance_smoother(mask, AFFINE, 0.0) is None


def test_family_wise_p_counts_the_observed_flip():
    largest = np.array([5.0, 1, 2, 3])
    np.testing.assert_allclose(
        family_wise(np.array([6.0, 5, 2.5, 0]), largest), [0.25, 0.25, 0.5, 1]
    )


@pytest.mark.parametrize("fwhm_mm", [0.0, 7.0])
def test_false_positives_are_at_most_nominal_on_a_hundred_null_studies(fwhm_mm):
    """Independent maps of different amplitude: any voxel, second or cluster below 0.05 counts as false; 3 / 64 = 4.7 % is
    what 64 flips allow. Maps of fold models are not independent: benchmarks/null_studies/maps.py
    has the rates of those.
    """
    mask = np.ones((5, 5, 5), dtype=bool)
    smooth = variance_smoother(mask, AFFINE, fwhm_mm)
    signs = sign_flips(people(7), 64, 0, True)
    false_voxel = false_cluster = 0
    for study in range(100):
        rng = np.random.default_rng(1000 + study)
        values = (
            smooth_maps(rng, 7, mask, 3)
            * rng.uniform(0.3, 3, (7, 1, 1))
            * rng.uniform(0.2, 2, (1, 125, 3))
        )
        test = group_test(values, signs, mask, 0.02, True, smooth)
        false_voxel += test.p_voxel.min() <= 0.05
        false_cluster += test.p_cluster.min() <= 0.05
    at_most = stats.binom.ppf(0.999, 100, 0.05)  # 13
    assert false_voxel <= at_most and false_cluster <= at_most
    assert false_voxel + false_cluster >= 1, "a test that never rejects is no test"


def test_a_planted_effect_is_found_where_and_when_it_is(mask):
    rng = np.random.default_rng(4)
    values = smooth_maps(rng, 10, mask, 6) * 3
    ijk = np.argwhere(mask)
    planted = np.zeros(values.shape[1:], dtype=bool)
    planted[np.linalg.norm(ijk - [4, 4, 3], axis=1) < 2, 2:5] = True
    values[:, planted] += 1.2
    test = group_test(
        values,
        sign_flips(people(10), 10000, 0, True),
        mask,
        0.01,
        True,
        variance_smoother(mask, AFFINE, 8.0),
    )
    found = test.p_voxel <= 0.05
    assert found[planted].mean() > 0.5 and not found[~planted].any()
    assert test.smallest_p == 1 / 512 == test.p_voxel.min()
    assert (
        np.abs(test.statistic[found]).min() >= test.critical > np.abs(test.statistic[~found]).max()
    )
    cluster = test.p_cluster <= 0.05
    assert cluster[planted].mean() > 0.7


def test_with_few_people_no_value_can_pass(mask):
    values = smooth_maps(np.random.default_rng(0), 4, mask, 2) + 5
    test = group_test(values, sign_flips(people(4), 1000, 0, True), mask, 0.01, True)
    assert test.smallest_p == 1 / 8 == test.p_voxel.min() and test.critical == np.inf
