"""Tables of confounds: fMRIPrep's as it writes them, columns by name, what a series states about filters."""

import json
from dataclasses import replace

from neuroface import NeuroFaceError
from neuroface.bold import Denoising, Design, cleaning_lines, cleaning_of, find_runs
from neuroface.bold.denoising import complete_denoise, stated_filter
from neuroface.bold.run import Showing

import nibabel as nib
import numpy as np
import pytest
from nilearn.interfaces.fmriprep import load_confounds_strategy
from nilearn.signal import clean

N, TR_S = 120, 2.0
MOTION = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
AUTO = Denoising("auto", high_pass_hz=1 / 128, smoothing_mm=None, tr_s=TR_S)


def denoising(denoise, **changes):
    return replace(AUTO, denoise=denoise, **changes)


def fmriprep_table() -> dict[str, np.ndarray]:
    """Columns as fMRIPrep 25 writes them: derivatives without a first value, marks of volumes, CompCor."""
    rng = np.random.default_rng(0)
    signals = {
        name: rng.standard_normal(N) + 50 * (name not in MOTION)
        for name in (*MOTION, "csf", "white_matter")
    }
    table = {}
    for name, values in signals.items():
        derivative = np.concatenate([[np.nan], np.diff(values)])
        table |= {name: values, f"{name}_derivative1": derivative, f"{name}_power2": values**2}
        table[f"{name}_derivative1_power2"] = derivative**2
    table |= {
        f"cosine{k:02d}": np.cos(np.pi / N * (np.arange(N) + 0.5) * (k + 1)) for k in range(3)
    }
    table |= {f"a_comp_cor_{k:02d}": rng.standard_normal(N) for k in range(3)}
    fd = np.concatenate([[np.nan], np.full(N - 1, 0.1)])
    fd[60] = 0.9
    table |= {"framewise_displacement": fd, "std_dvars": np.ones(N)}
    for number, volume in enumerate((0, 1)):
        table[f"non_steady_state_outlier{number:02d}"] = (np.arange(N) == volume).astype(float)
    return table


def write_derivative(root, table=None, stem="sub-01_task-film", ending="_desc-confounds_timeseries.tsv",
                     bold="_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz"):  # fmt: skip
    folder = root / "sub-01" / "func"
    folder.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(1).normal(900, 5, (3, 3, 3, N)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.eye(4)), folder / (stem + bold))
    if table is not None:
        rows = [
            ["n/a" if np.isnan(value) else repr(float(value)) for value in row]
            for row in zip(*table.values())
        ]
        lines = ["\t".join(row) for row in [list(table), *rows]]
        (folder / (stem + ending)).write_text("\n".join(lines) + "\n")
        about = {
            f"a_comp_cor_{k:02d}": {"Method": "aCompCor", "Mask": "combined", "Retained": True}
            for k in range(3)
        }
        (folder / (stem + ending)).with_suffix(".json").write_text(json.dumps(about))
    return find_runs("bids", root, annotated=False, bids_filter="_bold")[0][0]


@pytest.mark.parametrize(
    ("strategy", "scrubbed"), [("simple", [0, 1]), ("scrubbing", [0, 1, 60]), ("compcor", [0, 1])]
)
def test_a_strategy_is_nilearns(tmp_path, strategy, scrubbed):
    run = write_derivative(tmp_path, fmriprep_table())
    assert (
        run.confounds.name == "sub-01_task-film_desc-confounds_timeseries.tsv"
        and run.confounds in run.files
    )
    cleaning = cleaning_of(run, N, denoising(strategy))
    np.testing.assert_array_equal(np.flatnonzero(~cleaning.kept), scrubbed)
    table, sample_mask = load_confounds_strategy(str(run.bold), strategy)
    signals = np.random.default_rng(2).standard_normal((N, 4))
    trend = np.column_stack([table, np.arange(N)])
    expected = clean(
        signals, detrend=False, confounds=trend, filter="cosine", high_pass=1 / 128, t_r=TR_S, standardize=None,
        sample_mask=sample_mask,
    )  # fmt: skip
    kept = signals[cleaning.kept]
    basis = cleaning.basis[cleaning.kept]
    np.testing.assert_allclose(
        kept - basis @ (basis.T @ kept), expected - expected.mean(axis=0), atol=1e-10
    )
    assert (
        f"nilearn's strategy '{strategy}'" in cleaning.removed
        and f"{len(scrubbed)} volumes scrubbed" in cleaning.removed
    )


def test_columns_are_regressed_and_marks_scrub(tmp_path):
    table = fmriprep_table()
    run = write_derivative(tmp_path, table)
    cleaning = cleaning_of(
        run, N, denoising(("trans_?", "csf_derivative1", "non_steady*"), high_pass_hz=None)
    )
    np.testing.assert_array_equal(np.flatnonzero(~cleaning.kept), [0, 1])
    assert cleaning.basis.shape == (N, 2 + 4)
    derivative = np.where(
        np.isnan(table["csf_derivative1"]), table["csf_derivative1"][1], table["csf_derivative1"]
    )
    for column in (table["trans_y"], derivative, np.arange(N)):
        inside = column[cleaning.kept]
        basis = cleaning.basis[cleaning.kept]
        np.testing.assert_allclose(basis @ (basis.T @ inside), inside, atol=1e-9)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            ("trans_x", "tran_y"),
            r"has no column 'tran_y' of DENOISE.*has motion \(24\), tissue signals \(8\), cos",
        ),
        (
            ("framewise*", "late"),
            "line 12: late is missing. Only the first row of a confound may be",
        ),
        (("word",), "line 2: word 'x' is not a number"),
    ],
)
def test_a_column_that_cannot_be_used_is_named(tmp_path, columns, message):
    late = np.ones(N)
    late[10] = np.nan
    run = write_derivative(tmp_path, fmriprep_table() | {"late": late})
    lines = run.confounds.read_text().splitlines()
    run.confounds.write_text(
        "\n".join([lines[0] + "\tword", *(line + "\tx" for line in lines[1:])])
    )
    with pytest.raises(NeuroFaceError, match=message):
        cleaning_of(run, N, denoising(columns))


def test_a_table_of_another_run_is_refused(tmp_path):
    run = write_derivative(tmp_path, fmriprep_table())
    with pytest.raises(NeuroFaceError, match="has 119 volumes and its table of confounds 120 rows"):
        cleaning_of(run, 119, denoising(("csf",)))


@pytest.mark.parametrize("denoise", ["simple", ("csf",)])
def test_no_table_is_said(tmp_path, denoise):
    run = write_derivative(tmp_path)
    with pytest.raises(NeuroFaceError, match='Set DENOISE to "auto"'):
        cleaning_of(run, N, denoising(denoise))
    assert cleaning_lines([run], AUTO)[-1] == "confounds at hand: none"


def test_the_aroma_strategy_is_only_for_its_series(tmp_path):
    run = write_derivative(tmp_path, fmriprep_table())
    with pytest.raises(
        NeuroFaceError, match="DENOISE = 'ica_aroma' needs the confounds of fMRIPrep.*AROMA"
    ):
        cleaning_of(run, N, denoising("ica_aroma"))


@pytest.mark.parametrize(
    ("stem", "ending"),
    [
        (
            "sub-01_task-pixar",
            "_desc-reducedConfounds_regressors.tsv",
        ),  # nilearn's development_fmri (ds000228)
        ("sub-01_task-film_run-1", "_desc-confounds_regressors.tsv"),  # fMRIPrep 1.2 to 20.1
    ],
)
def test_other_names_of_tables_are_found(tmp_path, stem, ending):
    run = write_derivative(tmp_path, fmriprep_table(), stem, ending)
    assert run.confounds.name == stem + ending
    assert (
        "2 confounds (csf, white_matter)"
        in cleaning_of(run, N, denoising(("csf", "white_matter"))).removed
    )


@pytest.mark.parametrize(
    ("bold", "stated"),
    [
        ("_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz", None),
        (
            "_space-MNI152NLin6Asym_desc-smoothAROMAnonaggr_bold.nii.gz",
            None,
        ),  # fMRIPrep: not high-passed
        ("_space-MNI_desc-ppres_bold.nii.gz", "ppres"),  # Emo-FilM (ds004892)
        ("_space-T1w_desc-preproc_bold_denoised.nii.gz", "denoised"),  # ds004044
        (
            "_space-MNI152NLin2009cAsym_desc-denoisedSmoothed_bold.nii.gz",
            "denoisedSmoothed",
        ),  # XCP-D
    ],
)
def test_a_series_that_states_its_filter_is_left_as_it_is(tmp_path, bold, stated):
    run = write_derivative(tmp_path, bold=bold)
    assert stated_filter(run) == (stated and f"its name says {stated}")
    cleaning = cleaning_of(run, N, AUTO)
    assert (cleaning.nuisance is None) == bool(stated)
    assert cleaning.removed == ("nothing" if stated else "linear trend, 3 cosines below 0.0078 Hz")
    assert cleaning_of(run, N, denoising("detrend")).nuisance is not None  # whatever the name says


def test_a_filter_in_the_sidecar_counts_too(tmp_path):
    write_derivative(tmp_path)
    sidecar = (
        tmp_path
        / "sub-01"
        / "func"
        / "sub-01_task-film_space-MNI152NLin2009cAsym_desc-preproc_bold.json"
    )
    sidecar.write_text(
        json.dumps({"SoftwareFilters": {"Bandpass filter": {"High-pass cutoff (Hz)": 0.01}}})
    )
    run = find_runs("bids", tmp_path, annotated=False)[0][0]
    assert cleaning_of(run, N, AUTO).removed == "nothing"


def test_nndb_and_the_demo_need_nothing_and_others_are_detrended():
    for dataset in ("demo", "nndb-v1", "nndb-v2"):
        assert complete_denoise({"DATASET": dataset, "DENOISE": "auto"})["DENOISE"] == "none"
        assert complete_denoise({"DATASET": dataset, "DENOISE": "detrend"})["DENOISE"] == "detrend"
    assert complete_denoise({"DATASET": "bids", "DENOISE": "auto"})["DENOISE"] == "auto"


def test_a_design_slower_than_the_high_pass_is_named(tmp_path):
    run = write_derivative(tmp_path)
    slow = np.array([[0.0, 120.0]])  # on for half of the run: one cycle of 240 s
    time = np.arange(N)
    drift = np.column_stack(
        [time**0, time, *(np.cos(np.pi / N * (time + 0.5) * k) for k in (1, 2, 3))]
    )
    is_on = time < 60
    left = is_on - drift @ np.linalg.lstsq(drift, is_on, rcond=None)[0]
    share = 1 - left.var() / is_on.var()
    (line,) = [
        line
        for line in cleaning_lines([run], AUTO, design=Design("face", [slow], 0.0))
        if "variance" in line
    ]
    assert (
        line.startswith(f"{share:.0%} of the variance of 'face'")
        and "slow changes are lost; lower HIGH_PASS_HZ" in line
    )
    later = replace(
        run, film=Showing(30.0)
    )  # stretches then count from the film, which begins 30 s after the run
    assert line in cleaning_lines([later], AUTO, design=Design("face", [slow - [[30.0, 0.0]]], 0.0))
    fast = np.column_stack([np.arange(0, 240, 24.0), np.full(10, 12.0)])
    (line,) = [
        line
        for line in cleaning_lines([run], AUTO, design=Design("face", [fast], 0.0))
        if "variance" in line
    ]
    assert "slow" not in line and int(line.split("%")[0]) < 10
