"""The streamed GLM against nilearn's FirstLevelModel."""

from neuroface import NeuroFaceError
from neuroface.maps.glm import HIGH_PASS_HZ, HRF, condition_design, condition_effect

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.glm.first_level import FirstLevelModel

TR_S, N_TRS = 1.5, 160
FACES = np.array([[10.0, 12.0], [60.0, 20.0], [120.0, 3.0], [180.0, 25.0]])
OTHERS = np.array([[30.0, 15.0], [95.0, 15.0], [210.0, 15.0]])


@pytest.fixture
def run():
    rng = np.random.default_rng(0)
    face = condition_design(FACES, None, np.ones(N_TRS, bool), TR_S)["first"].to_numpy()
    matrix = 900 + 5 * rng.standard_normal((N_TRS, 60)) + rng.uniform(-20, 20, 60) * face[:, None]
    matrix[:, 7] = 3.0  # never changes
    return matrix.astype(np.float32)


@pytest.mark.parametrize("others", [None, OTHERS])
def test_effect_is_that_of_nilearns_first_level_model(run, others):
    design = condition_design(FACES, others, np.ones(N_TRS, bool), TR_S)
    effect = condition_effect((run[start : start + 23] for start in range(0, N_TRS, 23)), design)
    volumes = nib.Nifti1Image(run.T.reshape(5, 4, 3, N_TRS), np.eye(4))
    mask = nib.Nifti1Image(np.ones((5, 4, 3), np.uint8), np.eye(4))
    model = FirstLevelModel(
        t_r=TR_S, hrf_model=HRF, drift_model="cosine", high_pass=HIGH_PASS_HZ, noise_model="ols", mask_img=mask,
        signal_scaling=False, standardize=False, minimize_memory=False,
    )  # fmt: skip
    stretches = {"face": FACES} | ({} if others is None else {"noface": others})
    events = pd.concat(
        pd.DataFrame({"onset": s[:, 0], "duration": s[:, 1], "trial_type": name})
        for name, s in stretches.items()
    )
    model.fit(volumes, events)
    theirs = model.compute_contrast(
        "face" if others is None else "face - noface", output_type="effect_size"
    )
    sd = run.std(axis=0, dtype=np.float64)
    expected = np.divide(theirs.get_fdata().ravel(), sd, where=sd > 1e-3, out=np.zeros(60))
    np.testing.assert_allclose(effect, expected, rtol=1e-4, atol=1e-5)
    assert effect[7] == 0 and np.ptp(effect) > 0.5


def test_censored_volumes_are_left_out_of_the_design(run):
    kept = np.random.default_rng(1).random(N_TRS) < 0.8
    design = condition_design(FACES, None, kept, TR_S)
    assert len(design) == kept.sum()
    x = condition_design(FACES, None, np.ones(N_TRS, bool), TR_S).to_numpy()[kept]
    moving = np.delete(run[kept], 7, axis=1).astype(float)
    expected = np.linalg.lstsq(x, moving, rcond=None)[0][0] / moving.std(axis=0)
    effect = condition_effect([run[kept]], design)
    np.testing.assert_allclose(np.delete(effect, 7), expected, rtol=1e-5)


def test_a_series_of_another_length_is_refused(run):
    with pytest.raises(NeuroFaceError, match="159 volumes and its design 160 rows"):
        condition_effect([run[1:]], condition_design(FACES, None, np.ones(N_TRS, bool), TR_S))
