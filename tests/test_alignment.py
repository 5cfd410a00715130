"""Functional alignment: the shared response model on data whose answer is known."""

from neuroface import NeuroFaceError
from neuroface.decoding import linear
from neuroface.decoding.alignment import aligned_kernel, shared_response
from neuroface.decoding.folds import make_folds

import numpy as np
import pandas as pd
import pytest

VOXELS, TRS, FEATURES, EVENTS = 30, 5, 4, 24


def orthonormal(rng, rows, columns):
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


def test_a_response_that_is_shared_exactly_is_found_up_to_a_rotation():
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((FEATURES, 200))
    shared -= shared.mean(axis=1, keepdims=True)
    true = [orthonormal(rng, VOXELS, FEATURES) for _ in range(3)]
    found = shared_response([basis @ shared for basis in true], FEATURES)
    for one, other in zip(true, found):
        np.testing.assert_allclose(one @ one.T, other @ other.T, atol=1e-6)  # the same space
    # One rotation serves all viewers: W_found = W_true R.
    rotations = [one.T @ other for one, other in zip(true, found)]
    for rotation in rotations:
        np.testing.assert_allclose(rotation, rotations[0], atol=1e-6)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(FEATURES), atol=1e-6)


@pytest.fixture
def scrambled():
    """Two films, five viewers each; a viewer's voxels are an orthonormal mixture of what all viewers share."""
    rng = np.random.default_rng(1)
    rows, X = [], []
    for film in ("a", "b"):
        response = 0.6 * rng.standard_normal((EVENTS, FEATURES, TRS))
        response[: EVENTS // 2, 0] += 1.3  # the label, in one feature
        for viewer in range(5):
            basis = orthonormal(rng, VOXELS, FEATURES)
            for event in range(EVENTS):
                X.append(basis @ response[event] + 0.8 * rng.standard_normal((VOXELS, TRS)))
                label = "face" if event < EVENTS // 2 else "noface"
                rows.append((f"sub-{film}{viewer}", film, "", label, event * 30, f"{film}_{event}"))
    samples = pd.DataFrame(rows, columns=["subject", "movie", "run", "label", "first_tr", "event"])
    return np.array(X, dtype=np.float32), samples


def test_alignment_reads_what_viewers_share_in_different_voxels(scrambled):
    X, samples = scrambled
    one_film = (samples["movie"] == "a").to_numpy()
    X, samples = X[one_film], samples[one_film].reset_index(drop=True)
    y = (samples["label"] == "face").to_numpy(np.int8)
    folds = make_folds(samples, "event", 4, 3, window_trs=TRS)
    plain = linear.window_kernel(linear.window_features(X, "window"))
    accuracy = [
        np.mean((linear.decision_values(kernel, y[:, None], folds)[:, 0] > 0) == y)
        for kernel in (plain, lambda fold: aligned_kernel(X, samples, fold, FEATURES))
    ]
    assert accuracy[1] > 0.85 and accuracy[0] < 0.75


def test_the_kernel_is_that_of_the_projected_windows(scrambled):
    X, samples = scrambled
    fold = make_folds(samples, "event", 4, 3, window_trs=TRS)[0]
    kernel = aligned_kernel(X, samples, fold, FEATURES)
    aligned, training = np.empty(X.shape), samples.iloc[fold.rows]
    for film in ("a", "b"):
        viewers = samples.loc[samples["movie"] == film, "subject"].unique()
        events = sorted(set(training.loc[training["movie"] == film, "event"]))
        data = []
        for viewer in viewers:
            mine = [
                np.flatnonzero((samples["subject"] == viewer) & (samples["event"] == event))[0]
                for event in events
            ]
            data.append(np.concatenate([X[row] for row in mine], axis=1).astype(float))
        bases = shared_response(data, FEATURES)
        left, _, right = np.linalg.svd(sum(bases), full_matrices=False)
        for viewer, basis in zip(viewers, bases):
            for row in np.flatnonzero(samples["subject"] == viewer):
                aligned[row] = left @ right @ basis.T @ X[row]
    flat = aligned.reshape(len(X), -1)
    np.testing.assert_allclose(kernel, flat @ flat.T, atol=1e-6 * np.abs(kernel).max())


def test_a_split_that_gives_no_data_to_align_says_so(scrambled):
    X, samples = scrambled
    fold = make_folds(samples, "movie", 2, 3, window_trs=TRS)[0]
    with pytest.raises(
        NeuroFaceError, match="needs two viewers or more, each with training windows"
    ):
        aligned_kernel(X, samples, fold, FEATURES)
    fold = make_folds(samples, "event", 4, 3, window_trs=TRS)[0]
    with pytest.raises(
        NeuroFaceError, match="share .* training volumes; ALIGNMENT_FEATURES is 1000"
    ):
        aligned_kernel(X, samples, fold, 1000)
