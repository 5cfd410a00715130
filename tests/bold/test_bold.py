"""Reading BOLD through a mask, against nilearn and SciPy."""

import gzip
import subprocess
import sys
import zlib

from neuroface import NeuroFaceError
from neuroface.bold import images as bold

import nibabel as nib
import numpy as np
import pytest
from conftest import ROOT
from nilearn.masking import apply_mask

AFFINE = np.array([[-3.0, 0, 0, 90], [0, 3, 0, -126], [0, 0, 3, -72], [0, 0, 0, 1]])
SHAPE = (6, 5, 4)
N_TRS = 20


@pytest.fixture
def mask():
    return np.random.default_rng(1).random(SHAPE) < 0.4


@pytest.fixture
def values():
    return np.random.default_rng(2).normal(500, 90, (*SHAPE, N_TRS))


def save(path, data, dtype=np.float32, endianness="<", affine=AFFINE, tr_s=1.0):
    header = nib.Nifti1Header(endianness=endianness)
    header.set_data_dtype(np.dtype(dtype).newbyteorder(endianness))
    image = nib.Nifti1Image(data, affine, header)
    image.header.set_xyzt_units("mm", "sec")
    if data.ndim == 4:
        image.header.set_zooms((3, 3, 3, tr_s))
    nib.save(image, path)
    return path


def by_nilearn(path, mask):
    image = nib.load(path)
    squeezed = nib.Nifti1Image(np.squeeze(image.get_fdata()), image.affine)
    return apply_mask(squeezed, nib.Nifti1Image(mask.astype(np.uint8), AFFINE), dtype="d").T


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("endianness", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.uint8])
def test_read_masked_equals_nilearn(tmp_path, values, mask, dtype, endianness, suffix):
    data = values if np.dtype(dtype).kind == "f" else np.rint(values / 4)
    data = data.astype(dtype)
    path = save(tmp_path / f"b{suffix}", data, dtype, endianness)
    proxy = nib.load(path).dataobj
    assert proxy.dtype == np.dtype(dtype).newbyteorder(endianness) and proxy.slope == 1
    matrix = bold.read_masked(path, mask, AFFINE)
    assert matrix.dtype == np.float32
    assert np.array_equal(matrix, by_nilearn(path, mask).astype(np.float32))
    assert np.array_equal(matrix, data[mask].astype(np.float32))


@pytest.mark.parametrize("dtype", [np.int16, np.uint8])
def test_slope_and_intercept_are_applied(tmp_path, values, mask, dtype):
    path = save(
        tmp_path / "b.nii.gz", values, dtype
    )  # nibabel scales floats into the integers' range
    proxy = nib.load(path).dataobj
    assert proxy.slope != 1 and proxy.inter != 0
    matrix = bold.read_masked(path, mask, AFFINE)
    np.testing.assert_allclose(matrix, by_nilearn(path, mask), rtol=1e-6)
    np.testing.assert_allclose(matrix, values[mask], atol=proxy.slope)


@pytest.mark.parametrize("volumes_per_chunk", [0.5, 1, 3.7, N_TRS - 1, 10 * N_TRS])
def test_chunks_of_any_size_give_the_same_matrix(
    tmp_path, values, mask, monkeypatch, volumes_per_chunk
):
    path = save(tmp_path / "b.nii.gz", values)
    monkeypatch.setattr(bold, "CHUNK_BYTES", int(volumes_per_chunk * np.prod(SHAPE) * 4))
    assert np.array_equal(bold.read_masked(path, mask, AFFINE), values[mask].astype(np.float32))


@pytest.mark.parametrize("axis", [3, 4])
def test_a_fifth_dimension_of_one_is_dropped(tmp_path, values, mask, axis):
    path = save(tmp_path / "b.nii.gz", np.expand_dims(values, axis))
    assert nib.load(path).ndim == 5
    assert bold.open_header(path)[1] == (*SHAPE, N_TRS)
    np.testing.assert_allclose(
        bold.read_masked(path, mask, AFFINE), by_nilearn(path, mask), rtol=1e-6
    )


def test_values_outside_the_mask_do_not_matter(tmp_path, values, mask):
    values[~mask] = np.nan
    path = save(tmp_path / "b.nii.gz", values)
    assert np.array_equal(bold.read_masked(path, mask, AFFINE), values[mask].astype(np.float32))


def test_the_mean_of_maps_is_numpys_in_float64(tmp_path, mask):
    rng, paths = np.random.default_rng(5), []
    for i in range(7):
        volume = np.zeros((*SHAPE, 10), np.float32)
        volume[mask] = (
            rng.standard_normal((mask.sum(), 10)) + 1e3 * (-1) ** i
        )  # large values that nearly cancel
        paths.append(save(tmp_path / f"{i}.nii.gz", volume))
    volumes = [nib.load(path).get_fdata() for path in paths]
    for part, values in zip(bold.mean_of_maps(paths, mask, AFFINE), (volumes, np.abs(volumes))):
        assert np.array_equal(part, np.mean(values, axis=0)[mask].astype(np.float32))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_the_standard_library_reads_the_same(tmp_path, values, mask, suffix):
    """As on a machine for which isal has no wheel."""
    path = save(tmp_path / f"b{suffix}", values)
    code = (
        "import sys; sys.modules['isal'] = None\n"
        "import numpy as np; from pathlib import Path; from neuroface.bold import images as bold, nifti\n"
        "assert nifti.igzip.__name__ == 'gzip'\n"
        f"mask, affine = np.load({str(tmp_path / 'mask.npy')!r}), np.array({AFFINE.tolist()})\n"
        f"matrix = bold.read_masked(Path({str(path)!r}), mask, affine)\n"
        f"np.save({str(tmp_path / 'matrix.npy')!r}, matrix)\n"
        f"nifti.write_nifti(Path({str(tmp_path / 'back.nii.gz')!r}), nifti.unmask(matrix, mask), affine, 1.0)\n"
    )
    np.save(tmp_path / "mask.npy", mask)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert np.array_equal(np.load(tmp_path / "matrix.npy"), values[mask].astype(np.float32))
    assert np.array_equal(
        nib.load(tmp_path / "back.nii.gz").get_fdata()[mask], values[mask].astype(np.float32)
    )


# ---------------------------------------------------------------- files that cannot be used


def cut_in_half(raw):
    packed = gzip.compress(raw)
    return packed[: len(packed) // 2]


def flip_a_byte(raw):
    packed = bytearray(
        gzip.compress(raw, compresslevel=0)
    )  # stored as is: only the checksum can tell
    packed[len(packed) // 2] ^= 0xFF
    return bytes(packed)


def break_a_block(raw):
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(raw[: len(raw) // 2]) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + b"\xff" * 1000  # no deflate block starts with these bits


@pytest.mark.parametrize("damage", [cut_in_half, flip_a_byte, break_a_block])
def test_a_damaged_gz_file_is_named(tmp_path, damage):
    # Large enough for reading the header not to come near the damage.
    noise = np.random.default_rng(4).standard_normal((24, 24, 24, 20))
    raw = save(tmp_path / "whole.nii", noise).read_bytes()
    path = tmp_path / "b.nii.gz"
    path.write_bytes(damage(raw))
    with pytest.raises(NeuroFaceError, match="is damaged") as error:
        bold.read_masked(path, np.ones(noise.shape[:3], bool), AFFINE)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_file_with_fewer_volumes_than_promised_says_how_many(tmp_path, values, mask, suffix):
    whole = save(tmp_path / "whole.nii", values).read_bytes()
    volume = int(np.prod(SHAPE)) * 4
    short = whole[: len(whole) - 13 * volume + volume // 2]  # seven whole volumes and a half
    path = tmp_path / f"b{suffix}"
    path.write_bytes(gzip.compress(short) if suffix == ".nii.gz" else short)
    with pytest.raises(NeuroFaceError, match=rf"after volume 7 of the {N_TRS}") as error:
        bold.read_masked(path, mask, AFFINE)
    assert str(path) in str(error.value)


def test_another_grid_is_refused_with_both_shapes(tmp_path, values):
    path = save(tmp_path / "b.nii.gz", values)
    with pytest.raises(NeuroFaceError, match=r"\(6, 5, 4\).*\(6, 5, 5\)"):
        bold.read_masked(path, np.ones((6, 5, 5), bool), AFFINE)


def test_another_affine_is_refused_with_both_printed(tmp_path, values, mask):
    path = save(tmp_path / "b.nii.gz", values)
    shifted = AFFINE.copy()
    shifted[0, 3] = 93
    with pytest.raises(NeuroFaceError, match=r"90\.0.*93\.0"):
        bold.read_masked(path, mask, shifted)


@pytest.mark.filterwarnings("ignore:invalid value encountered in reduce")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted(tmp_path, values, mask, bad):
    values[tuple(np.argwhere(mask)[3])][5] = bad
    values[tuple(np.argwhere(mask)[8])][2:4] = bad, -bad  # in a sum they could cancel
    path = save(tmp_path / "b.nii.gz", values)
    with pytest.raises(NeuroFaceError, match=f"2 of {mask.sum()} voxels"):
        bold.read_masked(path, mask, AFFINE)


@pytest.mark.parametrize(("unit", "step"), [("sec", 2.0), ("msec", 2000.0), ("usec", 2e6)])
def test_the_headers_tr_is_read_in_its_unit(tmp_path, values, unit, step):
    path = save(tmp_path / "b.nii.gz", values, tr_s=step)
    image = nib.load(path)
    image.header.set_xyzt_units("mm", unit)
    nib.save(image, tmp_path / "c.nii.gz")
    image = bold.open_header(tmp_path / "c.nii.gz")[0]
    assert bold.header_tr_s(image) == pytest.approx(2.0)


def test_a_header_may_state_no_tr(tmp_path, values):
    image = bold.open_header(save(tmp_path / "b.nii.gz", values, tr_s=0.0))[0]
    assert bold.header_tr_s(image) is None


@pytest.mark.parametrize("name", ["b.nii", "b.nii.gz"])
@pytest.mark.parametrize("content", [b"<html>Not found</html>\n" * 40, b""])
def test_a_file_that_is_no_image_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NeuroFaceError, match="cannot be read as NIfTI") as error:
        bold.open_header(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


@pytest.mark.parametrize("shape", [SHAPE, (*SHAPE, 2, 3)])
def test_an_image_that_is_no_series_is_refused_with_its_shape(tmp_path, shape):
    path = save(tmp_path / "b.nii.gz", np.zeros(shape))
    with pytest.raises(NeuroFaceError, match="4D") as error:
        bold.open_header(path)
    assert str(shape) in str(error.value)


def test_a_mask_comes_back_and_a_damaged_one_is_named(tmp_path):
    mask = np.random.default_rng(0).random((4, 5, 6)) < 0.5
    path = tmp_path / "mask.nii.gz"
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), np.diag([3.0, 3, 3, 1])), path)
    loaded, affine = bold.read_mask(path)
    assert (
        loaded.dtype == bool
        and np.array_equal(loaded, mask)
        and np.array_equal(affine, np.diag([3.0, 3, 3, 1]))
    )
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(NeuroFaceError, match=r"mask\.nii\.gz cannot be read"):
        bold.read_mask(path)
