"""DENOISE in labelled volumes and in film and brain, against nilearn's clean."""

from types import SimpleNamespace

from neuroface.bold import Run, write_nifti
from neuroface.bold.projection import Cleaning, drift_regressors
from volume_study.volumes import extract_volumes

import numpy as np
import pytest
from conftest import ROOT, script_here, write_config
from nilearn.signal import clean
from test_denoise_scripts import ALTERNATING, SPIKE, TR_S, N, write_study

AFFINE, SHAPE, HIGH_PASS_HZ = np.diag([2.0, 2, 2, 1]), (3, 3, 3), 1 / 100


@pytest.fixture
def series(tmp_path):
    """(n_trs, n_voxels) far from zero with drift, and its run."""
    rng = np.random.default_rng(0)
    values = 500 + rng.normal(0, 2, (*SHAPE, N)) + 40 * np.linspace(-1, 1, N) ** 3
    write_nifti(tmp_path / "bold.nii.gz", values.astype(np.float32), AFFINE, TR_S)
    run = Run("sub-1", "x", "1", "sub-1_task-x", tmp_path / "bold.nii.gz", None, ())
    return values.astype(np.float32).reshape(-1, N).T, run


def cleaned(matrix, **options):
    options = {"standardize": None, "detrend": True} | options
    return clean(matrix.astype(float), filter="cosine", high_pass=HIGH_PASS_HZ, t_r=TR_S, **options)


def test_labelled_volumes_are_nilearns(series):
    matrix, run = series
    cleaning = Cleaning(drift_regressors(N, TR_S, HIGH_PASS_HZ), np.ones(N, dtype=bool))
    tr, mask = np.array([0, 3, 50, 159]), np.ones(SHAPE, dtype=bool)
    left = cleaned(matrix)
    for kind, expected in (
        ("voxel", left / left.std(axis=0)),
        ("none", left + matrix.mean(axis=0)),
        ("volume", None),
    ):
        if kind == "volume":
            whole = left + matrix.mean(axis=0)
            expected = (whole - whole.mean(axis=1, keepdims=True)) / whole.std(
                axis=1, keepdims=True
            )
        volumes, empty = extract_volumes(run, mask, AFFINE, tr, kind, cleaning)
        np.testing.assert_allclose(
            volumes, expected[tr], rtol=1e-5, atol=2e-3 if kind == "volume" else 2e-4
        )
        assert empty == 0


def test_labelled_volumes_that_are_scrubbed_are_left_out_and_counted(tmp_path):
    write_study(tmp_path / "bids", ALTERNATING)
    config = write_config(
        tmp_path / "c.py", DATASET="bids", DATASET_DIR=str(tmp_path / "bids"), DATA_DIR=str(tmp_path), RUN_NAME="v",
        TR_S=TR_S, LABEL_SOURCE="events", LAG_S=4.0, DENOISE=("trans_x", "motion_outlier*"), MIN_PER_CLASS=2,
        MASK_THRESHOLD=0.5,
    )  # fmt: skip
    done = [
        script_here(ROOT / "studies" / "volumes" / name, config)
        for name in ("1-label_volumes.py", "2-load-volumes.py")
    ]
    assert [script.returncode for script in done] == [0, 0], done[0].stderr + done[1].stderr
    assert "sub-1_task-film: 1 labelled volumes of 1 scrubbed volumes" in done[0].stdout
    assert (
        "linear trend, 5 cosines below 0.0078 Hz, 1 confounds (trans_x, motion_outlier00); 1 volumes"
        in done[1].stdout
    )
    lines = (tmp_path / "v" / "2-dataset" / "samples.tsv").read_text().splitlines()
    column = lines[0].split("\t").index("tr")
    trs = [int(line.split("\t")[column]) for line in lines[1:]]
    assert SPIKE not in trs and {SPIKE - 1, SPIKE + 1} <= set(trs)


def test_film_rows_are_nilearns_and_scrubbed_ones_lie_between_their_neighbours(series):
    pytest.importorskip("av", reason="films need PyAV: make film-encoding")
    from film_encoding.cleaning import run_cleaning
    from film_encoding.responses import film_rows
    from film_encoding.viewings import Viewing

    matrix, run = series
    kept = np.ones(N, dtype=bool)
    kept[[20, 61, 62]] = False
    cleaning = Cleaning(drift_regressors(N, TR_S, HIGH_PASS_HZ), kept)
    rows, baseline = film_rows(
        Viewing(run, 15, N - 15, 30.0), np.ones(SHAPE, dtype=bool), AFFINE, 100, "none", cleaning
    )
    whole = np.full(matrix.shape, np.nan)
    trend = np.arange(N)[:, None]
    whole[kept] = cleaned(matrix, detrend=False, confounds=trend, sample_mask=np.flatnonzero(kept))
    whole[20] = (whole[19] + whole[21]) / 2
    whole[61], whole[62] = (2 * whole[60] + whole[63]) / 3, (whole[60] + 2 * whole[63]) / 3
    film = whole[15:115]
    np.testing.assert_allclose(rows, film - film.mean(axis=0), atol=1e-3)
    mean = matrix[kept].mean(axis=0) - whole[kept].mean(axis=0)
    np.testing.assert_allclose(baseline, (film + mean).mean(axis=0), rtol=1e-5)
    scaled, _ = film_rows(
        Viewing(run, 15, N - 15, 30.0), np.ones(SHAPE, dtype=bool), AFFINE, 100, "zscore", cleaning
    )
    np.testing.assert_allclose(scaled, (film - film.mean(axis=0)) / film.std(axis=0), atol=1e-3)
    cfg = SimpleNamespace(DENOISE="auto", HIGH_PASS_HZ=None, SMOOTHING_MM=None, TR_S=TR_S)
    assert run_cleaning(run, cfg).removed == "linear trend"
