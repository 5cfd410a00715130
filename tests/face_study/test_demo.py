"""The demo data set: its parts against closed forms, and the whole in NNDb's naming."""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold.annotations import merge_overlaps, read_1d
from neuroface.bold.datasets import find_runs
from neuroface.bold.regions import sphere_labels
from neuroface.face_study import demo
from neuroface.pipeline.files import read_json

import nibabel as nib
import numpy as np
import pytest
from nilearn.glm.first_level import compute_regressor
from scipy.special import gammainc

ROI_FILE = Path(__file__).parents[2] / "masks" / "face_rois.tsv"
FILM_S = 900


def annotations(seed=42):
    """The four films' annotations as the demo draws them."""
    return [
        demo.draw_annotation(np.random.default_rng([seed, film]), FILM_S)
        for film in range(len(demo.FILMS))
    ]


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize("seed", [0, 1, 42])
def test_annotations_lie_on_the_grid_sorted_and_inside_the_film(seed):
    for stretches in annotations(seed):
        np.testing.assert_allclose(stretches * 5, np.rint(stretches * 5), atol=1e-6)
        assert (np.diff(stretches[:, 0]) > 0).all() and (stretches[:, 1] > 0).all()
        assert stretches[0, 0] >= 0 and stretches.sum(axis=1).max() <= FILM_S


def test_the_films_have_every_kind_of_stretch_and_gap():
    ticks = [np.rint(stretches * 5).astype(int) for stretches in annotations()]
    duration = np.concatenate([t[:, 1] for t in ticks])
    gap = np.concatenate([t[1:, 0] - t[:-1].sum(axis=1) for t in ticks])
    kinds = {
        "long stretch": duration > 50,
        "short stretch": duration < 50,
        "long gap": gap > 50,
        "short gap": (gap > 0) & (gap < 50),
        "touch": gap == 0,
        "overlap": gap < 0,
    }
    assert [name for name, there in kinds.items() if not there.any()] == []


def hrf_integral(t):
    """Integral from 0 to t of SPM's canonical HRF: a Gamma(6) response less a sixth of a Gamma(16) undershoot."""
    t = np.maximum(t, 0)
    return (gammainc(6, t) - gammainc(16, t) / 6) / (1 - 1 / 6)


def test_the_response_to_a_face_is_the_integral_of_the_canonical_hrf():
    stretches = np.array([[10.0, 0.6], [31.2, 12.4], [90.0, 60.0], [170.2, 3.0]])
    t = np.arange(240)
    expected = sum(
        hrf_integral(t - onset) - hrf_integral(t - onset - duration)
        for onset, duration in stretches
    )
    response = demo.face_response(stretches, 240)
    # A grid of 0.2 s may shift the response by that much, and it never rises faster than 0.21 per
    # second.
    np.testing.assert_allclose(response, expected, atol=0.2 * 0.21)
    assert response[140] == pytest.approx(1, abs=0.01)  # plateau, 50 s into the long stretch


def test_the_response_to_a_face_is_nilearns_regressor():
    stretches = merge_overlaps(annotations()[0])
    ours = demo.face_response(stretches, FILM_S)
    events = np.column_stack([stretches, np.ones(len(stretches))]).T
    theirs = compute_regressor(events, "spm", np.arange(FILM_S) * 1.0, oversampling=50)[0][:, 0]
    assert np.corrcoef(ours, theirs)[0, 1] > 0.999


def test_overlapping_stretches_count_once():
    overlapping, joined = np.array([[20.0, 10.0], [25.0, 10.0]]), np.array([[20.0, 15.0]])
    assert np.array_equal(demo.face_response(overlapping, 80), demo.face_response(joined, 80))


def test_noise_has_the_stated_sd_autocorrelation_smoothness_and_drift():
    n_trs, voxel_mm = 600, 7
    brain = np.ones((9, 9, 9), bool)
    noise = demo.draw_noise(np.random.default_rng(0), brain, n_trs, voxel_mm)
    time = np.linspace(0, 1, n_trs)
    waves = np.stack([np.cos(np.pi * k * time) for k in (1, 2, 3)], axis=1)
    weights, *_ = np.linalg.lstsq(waves, noise.T, rcond=None)
    assert weights.std() == pytest.approx(demo.DRIFT_SD, rel=0.25)

    fast = noise - (waves @ weights).T
    assert fast.std() == pytest.approx(1, abs=0.03)
    lag_1 = np.mean([np.corrcoef(row[1:], row[:-1])[0, 1] for row in fast])
    assert lag_1 == pytest.approx(demo.NOISE_AR, abs=0.03)
    # White noise through a Gaussian of SD s correlates as exp(-d² / 4s²) at distance d.
    sigma = demo.NOISE_FWHM_MM / np.sqrt(8 * np.log(2)) / voxel_mm
    volumes = fast.reshape(*brain.shape, n_trs)
    neighbours = np.mean(volumes[1:] * volumes[:-1])
    sampled = np.exp(-0.5 * (np.arange(-9, 10) / sigma) ** 2)  # the Gaussian on whole voxels
    expected = (sampled[1:] * sampled[:-1]).sum() / (sampled**2).sum()
    assert neighbours == pytest.approx(expected, abs=0.03)


# ---------------------------------------------------------------- the whole


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "small"
    assert demo.write_demo(folder, ROI_FILE, seed=3, film_s=60, voxel_mm=12)
    return folder


def content_of(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_it_is_found_as_nndb(written):
    runs, left_out = find_runs("nndb-v1", written, events=("face",))
    assert left_out == []
    assert [run.subject for run in runs] == [f"sub-{i}" for i in range(1, 9)]
    assert len({run.movie for run in runs}) == 4 and all(
        runs[i].movie == runs[i + 1].movie for i in range(0, 8, 2)
    )
    stretches = read_1d(runs[0].annotation_of("face"))
    assert len(stretches) and stretches.sum(axis=1).max() <= 60


def test_series_and_masks_share_a_grid_and_masks_differ(written):
    runs, _ = find_runs("nndb-v1", written, events=("face",))
    masks = [nib.load(run.mask) for run in runs]
    for run, mask in zip(runs, masks):
        series = nib.load(run.bold)
        assert series.shape == (*mask.shape, 60) and np.array_equal(series.affine, mask.affine)
        assert series.header.get_zooms()[3] == 1 and series.header.get_xyzt_units()[1] == "sec"
        data, inside = series.get_fdata(), mask.get_fdata() > 0
        assert not data[~inside].any() and data[inside].std() > 1
    shapes = {mask.get_fdata().tobytes() for mask in masks}
    assert len(shapes) == 8
    shared = np.mean([mask.get_fdata() for mask in masks], axis=0) > 0.99
    assert shared.sum() > 0.5 * masks[0].get_fdata().sum()


def test_the_truth_lies_beside_it(written):
    truth = read_json(written / "truth" / "truth.json")
    assert (truth["seed"], truth["film_s"], truth["voxel_mm"], truth["NOISE_AR"]) == (
        3,
        60,
        12,
        demo.NOISE_AR,
    )
    image = nib.load(written / "truth" / "face_rois.nii.gz")
    labels = image.get_fdata().astype(int)
    rois = demo.read_rois(written / "truth" / "face_rois.tsv")
    inside = np.argwhere(labels)
    positions = nib.affines.apply_affine(image.affine, inside)
    assert len(inside) and np.array_equal(labels[tuple(inside.T)], sphere_labels(positions, rois))


def test_the_same_seed_writes_the_same_bytes_and_another_does_not(written, tmp_path):
    demo.write_demo(tmp_path / "again", ROI_FILE, seed=3, film_s=60, voxel_mm=12)
    assert content_of(tmp_path / "again") == content_of(written)
    demo.write_demo(tmp_path / "other", ROI_FILE, seed=4, film_s=60, voxel_mm=12)
    other = content_of(tmp_path / "other")
    assert other.keys() == content_of(written).keys()
    assert all(
        other[name] != content
        for name, content in content_of(written).items()
        if name.parts[0] == "derivatives"
    )


def test_it_is_not_written_twice(written):
    before = {path: path.stat().st_mtime_ns for path in written.rglob("*")}
    assert not demo.write_demo(written, ROI_FILE, seed=3)
    assert {path: path.stat().st_mtime_ns for path in written.rglob("*")} == before
    with pytest.raises(NeuroFaceError, match="seed 3; SEED is 9"):
        demo.write_demo(written, ROI_FILE, seed=9)


def test_faces_drive_the_planted_regions(tmp_path):
    film_s = 300
    demo.write_demo(tmp_path / "demo", ROI_FILE, seed=1, film_s=film_s, voxel_mm=8)
    regions = nib.load(tmp_path / "demo" / "truth" / "face_rois.nii.gz").get_fdata()
    followed = []
    for run in find_runs("nndb-v1", tmp_path / "demo", events=("face",))[0]:
        stretches = read_1d(run.annotation_of("face"))
        events = np.column_stack([stretches, np.ones(len(stretches))]).T
        face = compute_regressor(events, "spm", np.arange(film_s) * 1.0)[0][:, 0]
        data, mask = nib.load(run.bold).get_fdata(), nib.load(run.mask).get_fdata() > 0
        data[~mask | (data.std(axis=3) == 0)] = np.nan
        data = (data - data.mean(axis=3, keepdims=True)) / data.std(axis=3, keepdims=True)
        correlation = data @ (face - face.mean()) / (film_s * face.std())
        followed.append([np.nanmean(correlation[regions == i]) for i in range(7)])
    outside, *inside = np.mean(followed, axis=0)  # over people
    assert abs(outside) < 0.05
    # FFA and OFA also vary together, in a direction that is random in each stretch; with ten
    # stretches some of it remains.
    assert min(inside) > 0.08 and np.mean(inside) > 0.3
