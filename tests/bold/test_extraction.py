"""Windows extracted in one pass, against plain slicing of the whole run."""

import subprocess
import sys
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import images as bold
from neuroface.bold.extraction import extract_windows
from neuroface.bold.running import RunningStatistics

import nibabel as nib
import numpy as np
import pytest
from conftest import ROOT
from isal import igzip
from scipy import stats

AFFINE = np.diag([3.0, 3, 3, 1])
SHAPE, N_TRS, STARTS = (6, 5, 4), 60, np.array([0, 7, 12, 50])


@pytest.fixture
def mask():
    return np.random.default_rng(1).random(SHAPE) < 0.4


@pytest.fixture
def series(tmp_path, mask):
    """A run far from zero, with two voxels that never change."""
    values = np.random.default_rng(2).normal(4000, 5, (*SHAPE, N_TRS)).astype(np.float32)
    for voxel, value in zip(np.argwhere(mask)[[3, 9]], (0.0, 3987.123)):
        values[tuple(voxel)] = value
    nib.save(nib.Nifti1Image(values, AFFINE), tmp_path / "b.nii.gz")
    return tmp_path / "b.nii.gz", values[mask]


@pytest.mark.parametrize("volumes_per_chunk", [1, 7, N_TRS])
@pytest.mark.parametrize("standardize", ["none", "zscore"])
def test_windows_are_slices_of_the_run(
    tmp_path, series, mask, monkeypatch, standardize, volumes_per_chunk
):
    path, run = series
    monkeypatch.setattr(bold, "CHUNK_BYTES", volumes_per_chunk * mask.size * 4)
    constant = extract_windows(tmp_path / "w.npy", path, mask, AFFINE, STARTS, 10, standardize)
    assert constant == (2 if standardize == "zscore" else 0)
    if standardize == "zscore":
        changing = np.ptp(run, axis=1) > 0
        run = np.where(changing[:, None], run, 0).astype(np.float64)
        run[changing] = stats.zscore(run[changing], axis=1)
    windows = np.load(tmp_path / "w.npy")
    assert windows.dtype == np.float32 and windows.flags.c_contiguous
    np.testing.assert_allclose(
        windows, [run[:, t : t + 10] for t in STARTS], atol=1e-6 * (standardize == "zscore")
    )


@pytest.mark.parametrize("split", [(1,) * 40, (13, 27), (40,)])
def test_mean_and_sd_are_numpys_in_float64_where_sums_of_squares_cancel(split):
    run = (np.random.default_rng(0).standard_normal((40, 9)) + 1e4).astype(np.float32)
    statistics, start = RunningStatistics(), 0
    for n in split:
        statistics.add(run[start : start + n])
        start += n
    mean, factor = statistics.centre_and_scale()
    np.testing.assert_allclose(mean, run.astype(np.float64).mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(1 / factor, run.astype(np.float64).std(axis=0), rtol=1e-10)


def test_a_run_that_ends_early_leaves_no_windows(tmp_path, series, mask):
    path, _ = series
    short = tmp_path / "short.nii"
    nib.save(nib.load(path), short)
    short.write_bytes(short.read_bytes()[:-100])
    with pytest.raises(NeuroFaceError, match="after volume 59 of the 60"):
        extract_windows(tmp_path / "w.npy", short, mask, AFFINE, STARTS, 10, "none")
    assert not list(tmp_path.glob("*w.npy"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("standardize", ["none", "zscore"])
def test_memory_does_not_hold_the_run(tmp_path, standardize):
    """3,000 volumes whose voxels in the mask are 240 MB in float32: the whole process stays far below that."""
    n_trs, mask = 3000, np.zeros((40, 40, 40), bool)
    mask[:20, :, :25] = True
    header = nib.Nifti1Image(np.broadcast_to(np.float32(0), (*mask.shape, n_trs)), AFFINE).header
    header["vox_offset"] = 352
    with igzip.open(tmp_path / "b.nii.gz", "wb", compresslevel=1) as file:
        file.write(header.binaryblock + bytes(4))
        for tr in range(n_trs):
            file.write(np.full(mask.size, tr % 7 + 1, np.float32))
    np.save(tmp_path / "mask.npy", mask)
    code = (
        "from pathlib import Path; import numpy as np; from neuroface.bold.extraction import extract_windows as extract\n"
        f"folder, affine = Path({str(tmp_path)!r}), np.array({AFFINE.tolist()})\n"
        "mask, starts = np.load(folder / 'mask.npy'), np.arange(0, 2990, 100)\n"
        f"extract(folder / 'w.npy', folder / 'b.nii.gz', mask, affine, starts, 10, {standardize!r})\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert mask.sum() * n_trs * 4 == 240e6 and int(done.stdout) * 1024 < 150e6
    values = np.arange(n_trs) % 7 + 1
    expected = (values - values.mean()) / values.std() if standardize == "zscore" else values
    windows = np.load(tmp_path / "w.npy", mmap_mode="r")
    np.testing.assert_allclose(windows[7, 123], expected[700:710], atol=1e-6)
