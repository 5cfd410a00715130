"""The group mask against nilearn."""

from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.bold.group_mask import overlap_of_masks
from neuroface.bold.images import read_mask

import nibabel as nib
import numpy as np
import pytest
from nilearn.masking import intersect_masks

SHAPE = (9, 8, 7)


def runs_of(folder, masks):
    """A run per (subject, mask), as find_runs orders them."""
    runs = []
    for i, (subject, mask) in enumerate(masks):
        nib.save(nib.Nifti1Image(mask.astype(np.uint8), np.eye(4)), folder / f"{i}.nii.gz")
        runs.append(SimpleNamespace(subject=subject, mask=folder / f"{i}.nii.gz"))
    return runs


def test_the_overlap_above_any_threshold_is_nilearns(tmp_path):
    rng = np.random.default_rng(0)
    masks = [(f"sub-{i}", rng.random(SHAPE) < 0.8) for i in range(10)]
    overlap, affine = overlap_of_masks(runs_of(tmp_path, masks))
    images = [nib.Nifti1Image(mask.astype(np.uint8), np.eye(4)) for _, mask in masks]
    assert np.array_equal(affine, np.eye(4))
    for threshold in (0, 0.3, 0.5, 0.7, 0.9, 0.99):
        expected = intersect_masks(images, threshold=threshold, connected=False).get_fdata() > 0
        assert np.array_equal(overlap > threshold, expected)


def test_a_person_of_several_runs_counts_once_with_what_the_runs_share(tmp_path):
    rng = np.random.default_rng(1)
    a, b, c = rng.random((3, *SHAPE)) < 0.7
    overlap, _ = overlap_of_masks(runs_of(tmp_path, [("sub-1", a), ("sub-1", b), ("sub-2", c)]))
    assert np.array_equal(overlap, ((a & b).astype(float) + c) / 2)


# ---------------------------------------------------------------- files of masks


@pytest.mark.parametrize("inside", [0.99999994, 1.0000000591, 1 - 0.016])
def test_a_mask_that_misses_whole_numbers_by_rounding_is_one(tmp_path, inside):
    """255 · (1 / 255) in float32 is 0.99999994; nibabel's scaling of a bool mask gave 1.0000000591."""
    expected = np.random.default_rng(0).random(SHAPE) < 0.6
    nib.save(nib.Nifti1Image((expected * inside).astype(np.float64), np.eye(4)), tmp_path / "m.nii.gz")
    assert np.array_equal(read_mask(tmp_path / "m.nii.gz")[0], expected)


@pytest.mark.parametrize("value", [0.3, 0.97, np.nan])
def test_a_probability_is_no_mask(tmp_path, value):
    values = np.ones(SHAPE)
    values[2, 3, 4] = value
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "m.nii.gz")
    with pytest.raises(NeuroFaceError, match=f"holds 1 values such as {value:g}, which are not whole numbers"):
        read_mask(tmp_path / "m.nii.gz")


@pytest.mark.parametrize(("ending", "command"), [(".bz2", "bunzip2"), (".zst", "unzstd")])
def test_a_mask_packed_otherwise_is_refused_by_its_name(tmp_path, ending, command):
    path = tmp_path / f"mask.nii{ending}"
    path.write_bytes(b"BZh9")
    with pytest.raises(NeuroFaceError, match=f"{command} {path.name} && gzip mask.nii$"):
        read_mask(path)
