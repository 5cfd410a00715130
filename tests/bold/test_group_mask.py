"""The group mask against nilearn."""

import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

from neuroface import NeuroFaceError
from neuroface.bold import Run
from neuroface.bold.group_mask import (
    describe_costs,
    make_group_mask,
    overlap_of_masks,
    shared_mask,
)
from neuroface.bold.images import read_mask
from neuroface.bold.own_masks import with_computed_masks

import nibabel as nib
import numpy as np
import pytest
from nilearn.masking import compute_epi_mask, intersect_masks
from plain_stage import PlainStage

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
    overlap, affine, _ = overlap_of_masks(runs_of(tmp_path, masks))
    images = [nib.Nifti1Image(mask.astype(np.uint8), np.eye(4)) for _, mask in masks]
    assert np.array_equal(affine, np.eye(4))
    for threshold in (0, 0.3, 0.5, 0.7, 0.9, 0.99):
        expected = intersect_masks(images, threshold=threshold, connected=False).get_fdata() > 0
        assert np.array_equal(overlap > threshold, expected)


def test_a_person_of_several_runs_counts_once_with_what_the_runs_share(tmp_path):
    rng = np.random.default_rng(1)
    a, b, c = rng.random((3, *SHAPE)) < 0.7
    overlap, *_ = overlap_of_masks(runs_of(tmp_path, [("sub-1", a), ("sub-1", b), ("sub-2", c)]))
    assert np.array_equal(overlap, ((a & b).astype(float) + c) / 2)


# ---------------------------------------------------------------- files of masks


@pytest.mark.parametrize("inside", [0.99999994, 1.0000000591, 1 - 0.016])
def test_a_mask_that_misses_whole_numbers_by_rounding_is_one(tmp_path, inside):
    """255 · (1 / 255) in float32 is 0.99999994; nibabel's scaling of a bool mask gave 1.0000000591."""
    expected = np.random.default_rng(0).random(SHAPE) < 0.6
    nib.save(
        nib.Nifti1Image((expected * inside).astype(np.float64), np.eye(4)), tmp_path / "m.nii.gz"
    )
    assert np.array_equal(read_mask(tmp_path / "m.nii.gz")[0], expected)


@pytest.mark.parametrize("value", [0.3, 0.97, np.nan])
def test_a_probability_is_no_mask(tmp_path, value):
    values = np.ones(SHAPE)
    values[2, 3, 4] = value
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "m.nii.gz")
    with pytest.raises(
        NeuroFaceError, match=f"holds 1 values such as {value:g}, which are not whole numbers"
    ):
        read_mask(tmp_path / "m.nii.gz")


@pytest.mark.parametrize(("ending", "command"), [(".bz2", "bunzip2"), (".zst", "unzstd")])
def test_a_mask_packed_otherwise_is_refused_by_its_name(tmp_path, ending, command):
    path = tmp_path / f"mask.nii{ending}"
    path.write_bytes(b"BZh9")
    with pytest.raises(NeuroFaceError, match=f"{command} {path.name} && gzip mask.nii$"):
        read_mask(path)


def test_a_mask_on_another_grid_gets_a_command_that_mends_it(tmp_path):
    fine, coarse = np.diag([2.0, 2, 2, 1]), np.diag([4.0, 4, 4, 1])
    coarse[:3, 3] = 1  # the centre of a voxel of 4 mm lies between two of 2 mm
    mask = np.zeros((12, 12, 12), np.uint8)
    mask[2:10, 2:10, 2:10] = 1
    nib.save(nib.Nifti1Image(mask, fine), tmp_path / "mask.nii.gz")
    nib.save(nib.Nifti1Image(np.ones((6, 6, 6, 4), np.float32), coarse), tmp_path / "bold.nii.gz")
    run = SimpleNamespace(subject="sub-1", mask=None, bold=tmp_path / "bold.nii.gz")
    with pytest.raises(
        NeuroFaceError, match="MASK_FILE = .* is not on the grid of the BOLD"
    ) as error:
        shared_mask([run], 0.99, str(tmp_path / "mask.nii.gz"))
    command = re.search(r'python -c "(.*)"   and set', str(error.value))[1]
    subprocess.run([sys.executable, "-c", command], check=True, cwd=tmp_path)
    made, _ = read_mask(tmp_path / "mask_on_bold.nii.gz")
    expected = np.zeros((6, 6, 6), bool)
    expected[1:5, 1:5, 1:5] = True
    assert np.array_equal(
        shared_mask([run], 0.99, str(tmp_path / "mask_on_bold.nii.gz")).mask, made
    )
    assert np.array_equal(made, expected)


# ---------------------------------------------------------------- what a person's mask costs


@pytest.mark.parametrize("threshold", [0.99, 0.7])
def test_the_cost_of_a_mask_is_what_the_group_gains_without_the_person(tmp_path, threshold):
    rng = np.random.default_rng(2)
    masks = [
        (f"sub-{i}", rng.random(SHAPE) < share) for i, share in enumerate((0.99, 0.97, 0.6, 0.98))
    ]
    runs = runs_of(tmp_path, masks)
    group = shared_mask(runs, threshold, None)
    for subject, _ in masks:
        others = shared_mask([run for run in runs if run.subject != subject], threshold, None).mask
        assert group.costs[subject] == (others & ~group.mask).sum()
    said = describe_costs(group.costs, int(group.mask.sum()))
    if threshold == 0.99:  # sub-2 costs most, the others 1 to 3 % or less
        assert said[0][0] == "sub-2" and f"{group.costs['sub-2']:,} voxels" in said[0][1]
    else:
        assert said == []


def test_one_person_costs_nothing(tmp_path):
    runs = runs_of(tmp_path, [("sub-1", np.ones(SHAPE, bool))])
    assert shared_mask(runs, 0.99, None).costs == {}


# ---------------------------------------------------------------- data without a mask


def bold_without_mask(folder, kind, runs=2, shape=(28, 32, 26)):
    """Series of a head: a brain of 1,000 in air of 30, or residuals (mean 0) in a background of zeros."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    centre = np.array(shape) / 2
    brain = (((grid - centre) / (centre * 0.7)) ** 2).sum(-1) < 1
    rng = np.random.default_rng(3)
    found = []
    for number in range(1, runs + 1):
        if kind == "raw":
            values = np.abs(rng.normal(30, 10, (*shape, 12)))
            values[brain] = rng.normal(1000, 60, (brain.sum(), 12))
        else:
            values = np.zeros((*shape, 12))
            values[brain] = rng.normal(0, 5, (brain.sum(), 12))
            values[0, 0, 0] = np.nan
        file = folder / f"sub-1_task-x_run-{number}_bold.nii.gz"
        nib.save(nib.Nifti1Image(values.astype(np.float32), np.diag([4.0, 4, 4, 1])), file)
        found.append(Run("sub-1", "x", str(number), f"sub-1_task-x_run-{number}", file, None, ()))
    return found, brain


@pytest.mark.parametrize("kind", ["raw", "residuals"])
def test_a_brain_mask_is_computed_where_the_data_have_none(tmp_path, kind):
    runs, brain = bold_without_mask(tmp_path, kind)
    masked, said = with_computed_masks(PlainStage(tmp_path), runs, None)
    made, affine = read_mask(masked[0].mask)
    assert len({run.mask for run in masked}) == 1 and np.array_equal(
        affine, np.diag([4.0, 4, 4, 1])
    )
    dice = 2 * (made & brain).sum() / (made.sum() + brain.sum())
    assert dice > 0.97
    assert (
        said
        == "The data have no brain mask of 1 person; it was computed from the BOLD (nilearn's compute_epi_mask)."
    )
    single = compute_epi_mask(str(runs[0].bold)).get_fdata() > 0 if kind == "raw" else made
    assert (made & single).sum() > 0.98 * single.sum()


def test_a_lost_table_of_costs_is_made_again(tmp_path):
    """Without it script 1 would stop, and nothing but deleting the mask would help."""
    mask = np.ones(SHAPE, bool)
    (tmp_path / "stage").mkdir()
    runs = runs_of(tmp_path, [("sub-1", mask), ("sub-2", mask)])
    made, _, _ = make_group_mask(PlainStage(tmp_path / "stage"), runs, 0.99, None)
    costs = tmp_path / "stage" / "mask_costs.tsv"
    text = costs.read_text()
    costs.unlink()
    again, _, _ = make_group_mask(PlainStage(tmp_path / "stage"), runs, 0.99, None)
    assert np.array_equal(made, again) and costs.read_text() == text


def test_people_with_a_mask_keep_it_and_a_named_mask_serves_all(tmp_path):
    runs, _ = bold_without_mask(tmp_path, "raw", runs=1)
    own = [replace(runs[0], mask=tmp_path / "own.nii.gz")]
    assert with_computed_masks(PlainStage(tmp_path), own, None) == (own, "")
    assert with_computed_masks(PlainStage(tmp_path), runs, "mine.nii.gz") == (runs, "")
    assert not (tmp_path / "own_masks").exists()


def test_a_series_without_contrast_has_no_mask(tmp_path):
    file = tmp_path / "sub-1_task-x_bold.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((12, 12, 12, 3), np.float32), np.eye(4)), file)
    run = Run("sub-1", "x", "1", "sub-1_task-x", file, None, ())
    with pytest.raises(
        NeuroFaceError,
        match="sub-1 has no brain mask, and none could be computed from sub-1_task-x_bold",
    ):
        with_computed_masks(PlainStage(tmp_path), [run], None)
