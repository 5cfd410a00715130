"""A new person: rotations against SciPy's, the refit against a regression of all columns, and neither without evidence."""

from neuroface import NeuroFaceError
from neuroface.decoding.new_person import (
    PENALTIES,
    _fit,
    align_to_template,
    decision,
    group_template,
    parcel_rotations,
    refit_head,
    spatial_parcels,
    standardized,
)

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from sklearn.metrics import roc_auc_score

N_VOXELS, N_TRS = 24, 160
PARCELS = np.repeat([0, 1, 2], 8)


def planted(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time courses, a rotation within each parcel, and the time courses before it."""
    rng = np.random.default_rng(seed)
    template = standardized(rng.standard_normal((N_VOXELS, N_TRS)))
    rotation = np.zeros((N_VOXELS, N_VOXELS))
    for parcel in range(3):
        voxels = np.flatnonzero(PARCELS == parcel)
        rotation[np.ix_(voxels, voxels)] = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    return template, rotation, rotation.T @ template


def test_rotations_are_those_of_scipy_in_each_parcel():
    template, _, turned = planted(1)
    noisy = turned + np.random.default_rng(2).standard_normal(turned.shape)
    rotations = parcel_rotations(noisy, template, PARCELS).toarray()
    for parcel in range(3):
        voxels = np.flatnonzero(PARCELS == parcel)
        expected, _ = orthogonal_procrustes(noisy[voxels].T, template[voxels].T)
        assert np.allclose(rotations[np.ix_(voxels, voxels)], expected.T)
        assert not rotations[voxels][:, PARCELS != parcel].any()


def test_a_planted_rotation_is_found_and_an_unrelated_person_is_not_turned():
    template, rotation, turned = planted(3)
    rotations, weight = align_to_template(turned, template, PARCELS)
    assert weight == 0
    assert np.allclose(rotations.toarray(), rotation)
    n_turned = 0
    for seed in range(6):
        alone = standardized(np.random.default_rng([4, seed]).standard_normal(template.shape))
        rotations, weight = align_to_template(alone, template, PARCELS)
        n_turned += np.isfinite(weight)
    assert n_turned <= 1
    rotations = parcel_rotations(alone, template, PARCELS, np.inf)
    assert np.array_equal(rotations.toarray(), np.eye(N_VOXELS))


def test_more_weight_of_the_identity_turns_less():
    template, _, turned = planted(5)
    turns = [
        np.linalg.norm(parcel_rotations(turned, template, PARCELS, weight) - np.eye(N_VOXELS))
        for weight in (0.0, 0.3, 3.0, 100.0)
    ]
    assert np.all(np.diff(turns) < 0)
    assert turns[-1] < 0.05


def test_the_template_of_rotated_people_is_more_alike_than_their_mean():
    rng = np.random.default_rng(6)
    template, _, _ = planted(7)
    people = []
    for _ in range(4):
        angles = rng.normal(0, 0.5, N_VOXELS)
        people.append(standardized(template + angles[:, None] * np.roll(template, 1, axis=0)))
    made, rotations = group_template(people, PARCELS)
    aligned = [rotation @ person for rotation, person in zip(rotations, people)]
    assert likeness(aligned) > likeness(people) + 0.05
    assert np.allclose(made.std(axis=1), 1)


def likeness(people: list[np.ndarray]) -> float:
    """Mean correlation of pairs of people, over voxels."""
    pairs = [(a, b) for number, a in enumerate(people) for b in people[number + 1 :]]
    return float(np.mean([np.mean(standardized(a) * standardized(b)) for a, b in pairs]))


@pytest.mark.parametrize("penalty", [penalty for penalty in PENALTIES if np.isfinite(penalty)])
def test_the_refit_is_the_regression_of_all_columns(penalty):
    """min |t - s g - b - X w|^2 + strength |w|^2, as least squares with rows for the penalty; X centred."""
    rng = np.random.default_rng(8)
    X, y = 5 + rng.standard_normal((30, 50)), rng.permutation(np.repeat([0, 1], [12, 18]))
    group = X[:, 0] - 5 + rng.standard_normal(30)
    centred = X - X.mean(axis=0)
    strength = penalty * np.sum(centred**2) / 30
    target = np.where(y == 1, 30 / 36, -30 / 24)
    free = np.column_stack([group, np.ones(30)])
    rows = np.block([[centred, free], [np.sqrt(strength) * np.eye(50), np.zeros((50, 2))]])
    expected = np.linalg.lstsq(rows, np.concatenate([target, np.zeros(50)]), rcond=None)[0]

    refit = _fit(group, X @ X.T, y, penalty)
    assert refit.scale == pytest.approx(expected[50])
    new, new_group = 5 + rng.standard_normal((7, 50)), rng.standard_normal(7)
    values = decision(refit, new_group, new @ X.T)
    by_hand = (new - X.mean(axis=0)) @ expected[:50] + expected[50] * new_group + expected[51]
    assert values == pytest.approx(by_hand)


def test_a_person_like_the_group_keeps_its_decoder_and_another_one_does_not():
    rng = np.random.default_rng(9)
    weights, others = rng.standard_normal((2, 40))
    y, blocks = np.tile([0, 1], 60), np.repeat(np.arange(12), 10)
    for truth, is_kept in ((weights, True), (others, False)):
        X = rng.standard_normal((240, 40)) + np.outer(2 * np.tile(y, 2) - 1, truth) / 4
        group = X @ weights
        refit = refit_head(group[:120], X[:120] @ X[:120].T, y, blocks)
        values = decision(refit, group[120:], X[120:] @ X[:120].T)
        if is_kept:
            assert np.isinf(refit.penalty)
            assert np.array_equal(values, group[120:])
        else:
            assert np.isfinite(refit.penalty)
            assert roc_auc_score(y, values) > roc_auc_score(y, group[120:]) + 0.1


def test_windows_of_one_class_keep_the_decoder():
    X = np.random.default_rng(10).standard_normal((12, 5))
    refit = refit_head(X[:, 0], X @ X.T, np.ones(12, int), np.repeat([0, 1], 6))
    assert np.isinf(refit.penalty)


def test_too_few_volumes_and_a_decoder_that_tells_nothing_are_refused():
    template, _, turned = planted(11)
    with pytest.raises(
        NeuroFaceError, match="15 volumes are too few for an alignment: at least 16"
    ):
        align_to_template(turned[:, :15], template[:, :15], PARCELS)
    X, y = np.random.default_rng(12).standard_normal((12, 5)), np.tile([0, 1], 6)
    with pytest.raises(NeuroFaceError, match="is 2 for all 12 windows"):
        refit_head(np.full(12, 2.0), X @ X.T, y, np.repeat([0, 1], 6))


def test_parcels_hold_neighbours():
    positions = np.argwhere(np.ones((8, 8, 8), bool)) * 3.0
    parcels = spatial_parcels(positions, voxels_per_parcel=64)
    assert len(np.unique(parcels)) == 8
    spread = [np.linalg.norm(positions[parcels == parcel].std(axis=0)) for parcel in range(8)]
    assert max(spread) < 0.75 * np.linalg.norm(positions.std(axis=0))
