"""Files that are either whole or not there, and round trips."""

import gzip
import json

from neuroface import NeuroFaceError
from neuroface.attribution.files import attribution_file, completeness_file
from neuroface.bold.nifti import unmask, write_map, write_nifti
from neuroface.bold.windows import windows_file
from neuroface.decoding.fold_files import model_file
from neuroface.maps.files import average_file, brain_map_file
from neuroface.pipeline import files

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.masking import unmask as nilearn_unmask

AFFINE = np.array([[-3.0, 0, 0, 90], [0, 3, 0, -126], [0, 0, 3, -72], [0, 0, 0, 1]])


# ---------------------------------------------------------------- atomic


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failed_write_leaves_nothing(tmp_path, failure):
    target = tmp_path / "new" / "a.txt"
    with pytest.raises(failure), files.atomic(target) as partial:
        partial.write_text("half")
        raise failure
    assert list(target.parent.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ValueError), files.atomic(target) as partial:
        partial.write_text("half")
        raise ValueError
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]


def test_the_target_does_not_exist_before_it_is_whole(tmp_path):
    target = tmp_path / "a.txt"
    with files.atomic(target) as partial:
        partial.write_text("half")
        assert not target.exists() and partial.name.startswith(files.PARTIAL)
    assert target.read_text() == "half"


def test_what_a_killed_script_left_is_overwritten(tmp_path):
    target = tmp_path / "a.npy"
    (tmp_path / f"{files.PARTIAL}a.npy").write_bytes(b"stale" * 10_000)
    array = np.arange(12.0).reshape(3, 4)
    files.write_npy(target, array)
    assert np.array_equal(np.load(target), array)
    assert list(tmp_path.iterdir()) == [target]


# ---------------------------------------------------------------- round trips


@pytest.mark.parametrize("tr_s", [1.0, 2.5])
def test_nifti_keeps_values_affine_time_step_and_units(tmp_path, tr_s):
    data = np.random.default_rng(0).standard_normal((4, 5, 6, 7)).astype(np.float32)
    write_nifti(tmp_path / "a.nii.gz", data, AFFINE, tr_s)
    image = nib.load(tmp_path / "a.nii.gz")
    assert image.get_data_dtype() == np.float32 and np.array_equal(np.asarray(image.dataobj), data)
    assert np.array_equal(image.affine, AFFINE)
    assert image.header.get_zooms() == pytest.approx((3, 3, 3, tr_s))
    assert image.header.get_xyzt_units() == ("mm", "sec")


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int16])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 6, 7)])
def test_nifti_holds_what_nibabel_would_write(tmp_path, dtype, order, shape):
    data = np.asarray(np.random.default_rng(0).normal(0, 60, shape).clip(0), dtype, order=order)
    write_nifti(tmp_path / "a.nii.gz", data, AFFINE, 2.0)
    image = nib.Nifti1Image(data, AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    if data.ndim == 4:
        image.header.set_zooms((3, 3, 3, 2.0))
    assert gzip.decompress((tmp_path / "a.nii.gz").read_bytes()) == image.to_bytes()


def test_a_map_written_volume_by_volume_is_the_same_file(tmp_path):
    rng = np.random.default_rng(0)
    mask = rng.random((4, 5, 6)) < 0.5
    matrix = rng.standard_normal((mask.sum(), 7)).astype(np.float32)
    write_map(tmp_path / "a.nii.gz", matrix, mask, AFFINE, 2.0)
    write_nifti(tmp_path / "b.nii.gz", unmask(matrix, mask), AFFINE, 2.0)
    a, b = (gzip.decompress((tmp_path / f"{name}.nii.gz").read_bytes()) for name in "ab")
    assert a == b


def test_the_same_map_gives_the_same_file(tmp_path):
    data = np.random.default_rng(0).standard_normal((4, 5, 6, 7)).astype(np.float32)
    for name in ("a", "b"):
        write_nifti(tmp_path / f"{name}.nii.gz", data, AFFINE, 2.0)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_unmask_undoes_indexing_and_is_nilearns():
    rng = np.random.default_rng(0)
    mask = rng.random((4, 5, 6)) < 0.5
    matrix = rng.standard_normal((mask.sum(), 7)).astype(np.float32)
    volume = unmask(matrix, mask)
    assert volume.dtype == np.float32 and volume.flags.f_contiguous
    assert np.array_equal(volume[mask], matrix) and not volume[~mask].any()
    nilearns = nilearn_unmask(matrix.T, nib.Nifti1Image(mask.astype(np.uint8), AFFINE))
    assert np.array_equal(volume, nilearns.get_fdata(dtype=np.float32))


def test_a_table_comes_back_as_it_was_written(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "subject": [
                "sub-01",
                "sub-2",
                "NA",
            ],  # names that a reader could take for numbers or for nothing
            "movie": ["500", "null", "nan"],
            "run": ["01", "1", "002"],
            "label": ["face", "noface", "face"],
            "event": ["a_face_1s", "b", "c"],
            "onset_s": rng.random(3) * 1e3,
            "first_tr": [3, 4, 10_000],
            "probability": [0.5, np.nan, 1e-12],
        }
    )
    files.write_table(tmp_path / "t.tsv", table)
    assert (tmp_path / "t.tsv").read_text().splitlines()[2].split("\t")[-1] == "n/a"
    back = files.read_table(tmp_path / "t.tsv")
    pd.testing.assert_frame_equal(back, table, check_dtype=False, check_exact=True)
    assert back["first_tr"].dtype.kind == "i"


def test_json_round_trip_and_a_file_that_is_not_json(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"a": [1, 2.5], "b": None})
    assert files.read_json(path) == {"a": [1, 2.5], "b": None}
    path.write_text('{"a": ')
    with pytest.raises(NeuroFaceError, match="not JSON") as error:
        files.read_json(path)
    assert str(path) in str(error.value)


def test_json_has_no_nan(tmp_path):
    """Python's own json writes NaN and Infinity, which other programs refuse (RFC 8259)."""
    path = tmp_path / "a.json"
    files.write_json(path, {"a": [np.nan, (np.inf, 2)], "b": {"c": np.float64("-inf")}})

    def refuse(constant):
        raise ValueError(constant)

    assert json.loads(path.read_text(), parse_constant=refuse) == {
        "a": [None, [None, 2]],
        "b": {"c": None},
    }


def test_open_npy_is_a_read_only_memory_map(tmp_path):
    files.write_npy(tmp_path / "a.npy", np.arange(6.0))
    array = files.open_npy(tmp_path / "a.npy")
    assert isinstance(array, np.memmap) and not array.flags.writeable
    assert np.array_equal(array, np.arange(6.0))


class Pickled:
    """Raises if it is ever unpickled."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_open_npy_refuses_pickles(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([Pickled()], dtype=object), allow_pickle=True)
    with pytest.raises(NeuroFaceError) as error:
        files.open_npy(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("keep", [0, 5, 100, 130])
def test_open_npy_names_a_file_that_is_cut_short(tmp_path, keep):
    path = tmp_path / "a.npy"
    files.write_npy(path, np.arange(100.0))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(NeuroFaceError, match="not a complete .npy") as error:
        files.open_npy(path)
    assert str(path) in str(error.value)


def test_file_names_are_those_of_the_data_directory(tmp_path):
    root = tmp_path
    ig = attribution_file(root, "sub-7", "split", "face", "ig")
    assert ig == root / "sub-7" / "sub-7_task-split_label-face_ig.npy"
    assert (
        completeness_file(ig) == root / "sub-7" / "sub-7_task-split_label-face_ig_completeness.tsv"
    )
    assert (
        brain_map_file(root, ig, 3)
        == root / "sub-7" / "sub-7_task-split_label-face_window-3_ig.nii.gz"
    )
    assert average_file(root, "group", "noface", "ig") == root / "group_label-noface_ig.nii.gz"
    assert model_file(root, "movie", 2) == root / "movie" / "fold-2.keras"
    assert (
        windows_file(root, "sub-7", "sub-7_task-split")
        == root / "sub-7" / "sub-7_task-split_windows.npy"
    )


def test_numbers_of_a_table_come_back_bit_for_bit(tmp_path):
    numbers = np.random.default_rng(0).standard_normal(1000) * 10.0 ** np.arange(1000) ** 0.3
    files.write_table(tmp_path / "t.tsv", pd.DataFrame({"x": numbers}))
    np.testing.assert_array_equal(files.read_table(tmp_path / "t.tsv")["x"], numbers)
