"""Mean and SD over parts against the whole run."""

from neuroface.bold import images as bold
from neuroface.bold.running import RunningStatistics

import nibabel as nib
import numpy as np
import pytest
from scipy import stats

SHAPE, N_TRS = (4, 5, 3), 23


@pytest.mark.parametrize("part", [1, 7, 23])
def test_parts_standardise_as_the_whole_run(part):
    rng = np.random.default_rng(0)
    volumes = (1e4 + rng.standard_normal((50, 200)) * rng.uniform(0.1, 100, 200)).astype(np.float32)
    volumes[:, 5] = 1234.5  # never changes
    statistics = RunningStatistics()
    for start in range(0, 50, part):
        statistics.add(volumes[start : start + part])
    found, changing = statistics.standardize(volumes), np.arange(200) != 5
    np.testing.assert_allclose(
        found[:, changing], stats.zscore(volumes[:, changing].astype(np.float64)), atol=1e-5
    )
    assert not found[:, 5].any()


@pytest.fixture
def series(tmp_path):
    rng = np.random.default_rng(1)
    mask = rng.random(SHAPE) > 0.4
    image = nib.Nifti1Image(rng.integers(-500, 500, (*SHAPE, N_TRS)).astype(np.int16), np.eye(4))
    image.header.set_slope_inter(0.25, 3)
    nib.save(image, tmp_path / "run.nii.gz")
    return tmp_path / "run.nii.gz", mask


@pytest.mark.parametrize("n", [1, 5, 40])
def test_volumes_in_parts_are_the_matrix(series, n):
    path, mask = series
    parts = list(bold.stream_masked(path, mask, np.eye(4), n))
    assert max(map(len, parts)) <= n
    np.testing.assert_array_equal(np.concatenate(parts).T, bold.read_masked(path, mask, np.eye(4)))
