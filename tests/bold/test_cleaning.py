"""Cleaning of BOLD against nilearn, closed forms, and noise that was planted."""

from neuroface import NeuroFaceError
from neuroface.bold import extract_windows, stream_masked
from neuroface.bold.extraction import standardized_volumes
from neuroface.bold.projection import Cleaning, Projection, drift_regressors

import nibabel as nib
import numpy as np
import pytest
from nilearn.glm.first_level.design_matrix import create_cosine_drift
from nilearn.image import smooth_img
from nilearn.signal import clean
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

AFFINE = np.array([[3.0, 0, 0, -9], [0, 2, 0, 4], [0, 0, 2.5, 0], [0, 0, 0, 1]])
SHAPE, N, TR_S, HIGH_PASS_HZ = (5, 4, 6), 150, 2.0, 1 / 100
STARTS, WINDOW_TRS = np.array([0, 9, 60, 140]), 10


@pytest.fixture
def mask():
    return np.random.default_rng(1).random(SHAPE) < 0.4


@pytest.fixture
def series(tmp_path, mask):
    """A run far from zero with drift of many noise SDs; one voxel never changes."""
    rng = np.random.default_rng(2)
    values = (
        rng.normal(8000, 3, (*SHAPE, N))
        + rng.normal(0, 200, (*SHAPE, 1)) * np.linspace(-1, 1, N) ** 3
    )
    values[tuple(np.argwhere(mask)[3])] = 3987.123
    nib.save(nib.Nifti1Image(values.astype(np.float32), AFFINE), tmp_path / "b.nii.gz")
    return tmp_path / "b.nii.gz", values[mask].astype(np.float32).T


def confounds(kind: str) -> np.ndarray | None:
    rng = np.random.default_rng(3)
    columns = rng.standard_normal((N, 5)) * [1e-3, 1, 1e4, 1, 1] + [0, 0, 1e6, 5, 0]
    columns[:, 4] = 2 * columns[:, 1] - 7  # says nothing new
    return {"none": None, "five": columns}[kind]


def nuisance(high_pass_hz, kind):
    drift = drift_regressors(N, TR_S, high_pass_hz)
    return drift if kind == "none" else np.hstack([drift, confounds(kind)])


def cleaned_by_nilearn(matrix, high_pass_hz, kind, **options):
    filters = {"filter": "cosine", "high_pass": high_pass_hz} if high_pass_hz else {"filter": False}
    options = {
        "detrend": True,
        "standardize": "zscore_sample",
        "confounds": confounds(kind),
    } | options
    return clean(matrix.astype(np.float64), t_r=TR_S, **filters, **options)


@pytest.mark.parametrize("kind", ["none", "five"])
@pytest.mark.parametrize("high_pass_hz", [None, HIGH_PASS_HZ])
def test_windows_and_volumes_equal_nilearns_clean(tmp_path, series, mask, high_pass_hz, kind):
    path, matrix = series
    cleaning = Cleaning(nuisance(high_pass_hz, kind), np.ones(N, dtype=bool))
    empty = extract_windows(
        tmp_path / "w.npy", path, mask, AFFINE, STARTS, WINDOW_TRS, "zscore", cleaning
    )
    changing = np.ptp(matrix, axis=0) > 0
    expected = cleaned_by_nilearn(matrix, high_pass_hz, kind) * np.sqrt(
        N / (N - 1)
    )  # nilearn's SD divides by n - 1
    expected[:, ~changing] = 0
    windows = np.load(tmp_path / "w.npy")
    assert empty == 1 and windows.dtype == np.float32
    sliced = np.stack([expected[t : t + WINDOW_TRS].T for t in STARTS])
    np.testing.assert_allclose(windows, sliced, rtol=1e-5, atol=1e-5)
    volumes = np.concatenate(list(standardized_volumes(path, mask, AFFINE, 7, "zscore", cleaning)))
    np.testing.assert_allclose(volumes, expected, rtol=1e-5, atol=1e-5)


def test_without_standardisation_the_mean_stays(tmp_path, series, mask):
    path, matrix = series
    cleaning = Cleaning(nuisance(HIGH_PASS_HZ, "five"), np.ones(N, dtype=bool))
    expected = cleaned_by_nilearn(matrix, HIGH_PASS_HZ, "five", standardize=None) + matrix.mean(
        axis=0, dtype=np.float64
    )
    volumes = np.concatenate(list(standardized_volumes(path, mask, AFFINE, 9, "none", cleaning)))
    np.testing.assert_allclose(volumes, expected, rtol=1e-6)
    extract_windows(tmp_path / "w.npy", path, mask, AFFINE, STARTS, WINDOW_TRS, "none", cleaning)
    np.testing.assert_allclose(np.load(tmp_path / "w.npy")[2], expected[60:70].T, rtol=1e-6)


def test_scrubbed_volumes_count_for_nothing(tmp_path, series, mask):
    path, matrix = series
    kept = np.ones(N, dtype=bool)
    kept[[0, 40, 41, 90]] = False
    spiked = matrix.copy()
    spiked[~kept] += 5000
    trend = np.hstack([confounds("five"), np.arange(N)[:, None]])
    # The trend as a confound: nilearn 0.14.1 detrends over the volumes that are left, as if no time
    # lay between them.
    expected = cleaned_by_nilearn(
        spiked,
        HIGH_PASS_HZ,
        "none",
        confounds=trend,
        detrend=False,
        sample_mask=np.flatnonzero(kept),
    )
    expected *= np.sqrt(kept.sum() / (kept.sum() - 1))
    projection = Projection(Cleaning(nuisance(HIGH_PASS_HZ, "five"), kept))
    for start in range(0, N, 11):
        projection.add(spiked[start : start + 11])
    ours = projection.standardize(spiked, np.arange(N))
    changing = np.ptp(matrix, axis=0) > 0
    np.testing.assert_allclose(ours[kept][:, changing], expected[:, changing], rtol=1e-5, atol=1e-5)
    assert not ours[~kept].any()


def test_a_trend_in_time_is_removed_across_a_gap_of_scrubbed_volumes():
    kept = np.ones(N, dtype=bool)
    kept[30:90] = False
    noise = np.random.default_rng(0).standard_normal((N, 1))
    drifting = noise + 1000 * np.linspace(0, 1, N)[:, None]
    cleaned = []
    for volumes in (noise, drifting):
        projection = Projection(Cleaning(drift_regressors(N, TR_S, None), kept))
        projection.add(volumes.astype(np.float32))
        cleaned.append(projection.standardize(volumes.astype(np.float32), np.arange(N))[kept])
    np.testing.assert_allclose(*cleaned, atol=2e-3)  # drift is 1,000 noise SDs, in float32
    nilearns = clean(
        drifting,
        detrend=True,
        sample_mask=np.flatnonzero(kept),
        filter=False,
        standardize="zscore_sample",
    )
    assert np.corrcoef(nilearns[:, 0], cleaned[0][:, 0])[0, 1] < 0.1  # nilearn 0.14.1


@pytest.mark.parametrize(
    ("tr_s", "high_pass_hz"), [(2.0, 1 / 128), (0.72, 0.01), (1.0, None), (3.0, 0.1)]
)
def test_cosines_are_nilearns(tr_s, high_pass_hz):
    columns = drift_regressors(N, tr_s, high_pass_hz)
    np.testing.assert_array_equal(columns[:, 0], 1)
    np.testing.assert_allclose(np.diff(columns[:, 1]), 1)
    expected = (
        create_cosine_drift(high_pass_hz, np.arange(N) * tr_s)[:, :-1]
        if high_pass_hz
        else np.empty((N, 0))
    )
    np.testing.assert_allclose(columns[:, 2:] * np.sqrt(2 / N), expected, atol=1e-12)


def test_smoothing_is_nilearns(tmp_path, mask):
    values = np.random.default_rng(0).normal(100, 9, (*SHAPE, 7))
    values[tuple(np.argwhere(~mask)[0])] = np.nan  # as SPM writes outside the brain
    image = nib.Nifti1Image(values.astype(np.float32), AFFINE)
    nib.save(image, tmp_path / "b.nii")
    ours = np.concatenate(
        list(stream_masked(tmp_path / "b.nii", mask, AFFINE, 3, smoothing_mm=5.0))
    )
    np.testing.assert_allclose(ours, smooth_img(image, 5.0).get_fdata()[mask].T, rtol=1e-5)


def test_smoothing_comes_before_cleaning_and_scales_integers(tmp_path, mask):
    values = np.random.default_rng(0).integers(0, 900, (*SHAPE, N)).astype(np.int16)
    image = nib.Nifti1Image(values, AFFINE)
    image.header.set_slope_inter(0.5, 20)
    nib.save(image, tmp_path / "b.nii")
    cleaning = Cleaning(nuisance(HIGH_PASS_HZ, "none"), np.ones(N, dtype=bool), smoothing_mm=4.0)
    extract_windows(
        tmp_path / "w.npy", tmp_path / "b.nii", mask, AFFINE, STARTS, WINDOW_TRS, "zscore", cleaning
    )
    smooth = smooth_img(nib.load(tmp_path / "b.nii"), 4.0).get_fdata()[mask].T
    expected = cleaned_by_nilearn(smooth, HIGH_PASS_HZ, "none") * np.sqrt(N / (N - 1))
    np.testing.assert_allclose(np.load(tmp_path / "w.npy")[1], expected[9:19].T, atol=1e-4)
    only = Cleaning(None, np.ones(N, dtype=bool), smoothing_mm=4.0)
    extract_windows(
        tmp_path / "s.npy", tmp_path / "b.nii", mask, AFFINE, STARTS, WINDOW_TRS, "none", only
    )
    np.testing.assert_allclose(np.load(tmp_path / "s.npy")[1], smooth[9:19].T, rtol=1e-5)


def test_windows_that_touch_a_scrubbed_volume_are_known():
    kept = np.ones(30, dtype=bool)
    kept[[12, 29]] = False
    first = np.arange(26)
    touching = [bool({12, 29} & set(range(start, start + 5))) for start in first]
    np.testing.assert_array_equal(~Cleaning(None, kept).keeps(first, 5), touching)


def test_a_voxel_that_only_drifts_becomes_0():
    projection = Projection(Cleaning(drift_regressors(N, TR_S, None), np.ones(N, dtype=bool)))
    volumes = np.stack(
        [np.arange(N) * 8.0 + 3, np.random.default_rng(0).standard_normal(N)], axis=1
    )
    projection.add(volumes.astype(np.float32))
    np.testing.assert_array_equal(projection.centre_and_scale()[1] == 0, [True, False])


def test_more_regressors_than_volumes_are_refused():
    columns = np.random.default_rng(0).standard_normal((40, 35))
    cleaning = Cleaning(
        np.hstack([drift_regressors(40, 1.0, None), columns]), np.arange(40) % 20 > 0
    )
    with pytest.raises(
        NeuroFaceError, match=r"37 nuisance regressors from 38 volumes \(2 are scrubbed\)"
    ):
        cleaning.basis  # noqa: B018


# ---------------------------------------------------------------- what it does to decoding

N_RUNS, N_TRS, N_VOXELS, BLOCK = (
    6,
    300,
    40,
    12,
)  # of simulated runs; a block is 8 volumes, and 4 of rest


def blocks() -> np.ndarray:
    return np.arange(0, N_TRS - BLOCK, BLOCK)


def windows_of(run: np.ndarray, regressors: np.ndarray | None) -> np.ndarray:
    """Mean of each block (n_blocks, n_voxels) of a run (n_trs, n_voxels), cleaned and z-scored."""
    run = run.astype(np.float32)
    projection = Projection(
        Cleaning(np.ones((N_TRS, 1)) if regressors is None else regressors, np.ones(N_TRS, bool))
    )
    projection.add(run)
    volumes = projection.standardize(run, np.arange(N_TRS))
    return np.stack([volumes[start : start + 8].mean(axis=0) for start in blocks()])


def decoded(X: np.ndarray, y: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Held-out decision values of ridge regression."""
    value = np.empty(len(y))
    for fold in np.unique(folds):
        held_out = folds == fold
        value[held_out] = (
            Ridge(alpha=X.shape[1]).fit(X[~held_out], 2 * y[~held_out] - 1).predict(X[held_out])
        )
    return value


def slow_drift(rng, sd: float) -> np.ndarray:
    """Of periods above 170 s, another one in each voxel, (n_trs, n_voxels)."""
    slow = drift_regressors(N_TRS, TR_S, 1 / 170)[:, 1:]
    return sd * stats.zscore(stats.zscore(slow) @ rng.standard_normal((slow.shape[1], N_VOXELS)))


def balanced_labels(rng, odds_late: float = 0.5) -> np.ndarray:
    """A label per block, half of them 1; those late in the run more often."""
    n = len(blocks())
    weights = np.linspace(1 - odds_late, odds_late, n)
    y = np.zeros(n, dtype=int)
    y[rng.choice(n, n // 2, replace=False, p=weights / weights.sum())] = 1
    return y


def test_drift_of_two_noise_sds_hides_the_signal_and_cleaning_brings_it_back():
    aucs = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        pattern = 0.13 * rng.standard_normal(N_VOXELS)
        labels, X = [], {"no drift": [], "drift": [], "cleaned": []}
        for _ in range(N_RUNS):
            y, run = balanced_labels(rng), rng.standard_normal((N_TRS, N_VOXELS))
            for start, label in zip(blocks(), y):
                run[start : start + 8] += (2 * label - 1) * pattern
            drifting = run + slow_drift(rng, 2.0)
            X["no drift"].append(windows_of(run, None))
            X["drift"].append(windows_of(drifting, None))
            X["cleaned"].append(windows_of(drifting, drift_regressors(N_TRS, TR_S, 1 / 128)))
            labels.append(y)
        y, folds = np.concatenate(labels), np.repeat(np.arange(N_RUNS), len(blocks()))
        aucs.append(
            [roc_auc_score(y, decoded(np.concatenate(runs), y, folds)) for runs in X.values()]
        )
    without, drift, cleaned = np.mean(aucs, axis=0)
    assert without > 0.8 and drift < without - 0.15
    assert cleaned > without - 0.06


def test_motion_and_drift_that_follow_the_label_are_removed():
    scores, columns = [], ("not cleaned", "cleaned", "cleaned, swapped labels")
    for seed in range(40):
        rng = np.random.default_rng(seed)
        of_motion, of_time = rng.standard_normal((2, N_VOXELS))
        labels, swapped, X = [], [], {"raw": [], "cleaned": []}
        for _ in range(N_RUNS):
            y = balanced_labels(rng, odds_late=0.8)
            motion = 0.3 * rng.standard_normal(N_TRS)
            for start, label in zip(blocks(), y):
                motion[start : start + 8] += label
            run = rng.standard_normal((N_TRS, N_VOXELS)) + np.outer(motion, of_motion)
            run += 2 * np.outer(np.linspace(-1, 1, N_TRS), of_time)
            X["raw"].append(windows_of(run, None))
            X["cleaned"].append(
                windows_of(run, np.column_stack([drift_regressors(N_TRS, TR_S, 1 / 128), motion]))
            )
            labels.append(y)
            swapped.append(rng.permutation(y))
        folds = np.repeat(np.arange(N_RUNS), len(blocks()))
        y, other = np.concatenate(labels), np.concatenate(swapped)
        X = {name: np.concatenate(runs) for name, runs in X.items()}
        cases = (X["raw"], y), (X["cleaned"], y), (X["cleaned"], other)
        scores.append(
            [((decoded(data, truth, folds) > 0) == truth).mean() for data, truth in cases]
        )
    mean = dict(zip(columns, np.mean(scores, axis=0)))
    assert mean["not cleaned"] > 0.95
    assert abs(mean["cleaned"] - 0.5) < 0.02 and abs(mean["cleaned, swapped labels"] - 0.5) < 0.02


def test_alternating_blocks_do_not_decode_below_chance_once_cleaned():
    """Without signal: neighbours in time share a drift and have the other label, so a model predicts the other label."""
    scores = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X = {"raw": [], "cleaned": []}
        for _ in range(4):
            run = rng.standard_normal((N_TRS, N_VOXELS)) + slow_drift(rng, 2.0)
            X["raw"].append(windows_of(run, None))
            X["cleaned"].append(windows_of(run, drift_regressors(N_TRS, TR_S, 1 / 128)))
        y = np.tile(np.arange(len(blocks())) % 2, 4)
        folds = rng.permutation(len(y)) % 8
        scores.append(
            [((decoded(np.concatenate(runs), y, folds) > 0) == y).mean() for runs in X.values()]
        )
    raw, cleaned = np.mean(scores, axis=0)
    assert raw < 0.42 and cleaned > 0.48
