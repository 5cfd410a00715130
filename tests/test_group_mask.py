"""The group mask against nilearn."""

from types import SimpleNamespace

from neuroface.bold.group_mask import overlap_of_masks

import nibabel as nib
import numpy as np
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
