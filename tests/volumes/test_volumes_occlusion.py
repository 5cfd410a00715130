"""Occlusion with shared work gives the maps of one pass per box."""

from neuroface.pipeline.backend import keras
from volume_study.box_occlusion import BoxOcclusion, boxes_of
from volume_study.networks import build_classifier

import numpy as np
import pytest


def network(name: str, mask: np.ndarray, options: dict, seed: int = 0) -> keras.Model:
    """With weights and normalisations as after training: none of them neutral."""
    keras.utils.set_random_seed(seed)
    model, rng = build_classifier(name, mask, 4, options), np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = (w.shape for w in layer.get_weights())
            layer.set_weights([rng.uniform(0.5, 1.5, gamma), rng.normal(0, 0.5, beta), rng.normal(0, 0.5, mean),
                               rng.uniform(0.5, 1.5, variance)])  # fmt: skip
    return model


CASES = {  # box of the volume, share of it in the mask, edge, stride, blocks
    "even": ((12, 10, 8), 0.8, 2, 2, (6, 8)),
    "odd, three blocks": ((13, 11, 9), 0.9, 2, 2, (6, 8, 8)),
    "larger boxes": ((11, 12, 9), 1.0, 3, 3, (6, 8)),
    "boxes that overlap": ((9, 8, 7), 0.7, 2, 1, (6,)),
    "maps smaller than a patch": ((7, 6, 5), 1.0, 2, 2, (6, 8, 8, 8)),
}


@pytest.mark.parametrize("case", CASES)
def test_shared_work_changes_no_map(case):
    shape, share, edge, stride, filters = CASES[case]
    rng = np.random.default_rng(1)
    mask = rng.random(shape) < share
    mask[0, 0, 0] = mask[-1, -1, -1] = True
    model = network("separable_cnn3d", mask, {"stem": 4, "filters": filters})
    volume, baseline = rng.standard_normal((2, mask.sum())).astype(np.float32)
    shared = BoxOcclusion(model, edge, stride, 2)
    plain = BoxOcclusion(model, edge, stride, 32, shared=False)
    assert shared.shares and not plain.shares
    (found, p), (expected, q) = shared(volume, baseline), plain(volume, baseline)
    assert found.shape == (4, mask.sum()) and p == pytest.approx(q, abs=1e-6)
    for number in (0, 3):
        assert np.abs(expected[number]).max() > 1e-4
        np.testing.assert_allclose(
            found[number], expected[number], atol=1e-5 * max(1, np.abs(expected[number]).max())
        )


def test_a_map_is_the_mean_drop_of_the_boxes_that_hold_a_voxel():
    rng = np.random.default_rng(2)
    mask = rng.random((6, 5, 4)) < 0.8
    mask[0, 0, 0] = mask[-1, -1, -1] = True
    model = network("separable_cnn3d", mask, {"stem": 4, "filters": (6,)})
    volume, baseline = rng.standard_normal((2, mask.sum())).astype(np.float32)
    maps, probability = BoxOcclusion(model, 2, 1, 8)(volume, baseline)
    found, whole = maps[1], probability[1]
    total, times = np.zeros(mask.shape), np.zeros(mask.shape)
    for corner in np.ndindex(mask.shape):
        box = np.zeros(mask.shape, bool)
        box[tuple(slice(c, c + 2) for c in corner)] = True
        if (box & mask).any():
            changed = np.where(box[mask], baseline, volume)
            drop = whole - float(
                np.asarray(model.predict_on_batch(changed[None, :, None, None]))[0, 1]
            )
            total[box] += drop
            times[box] += 1
    np.testing.assert_allclose(found, (total / np.maximum(times, 1))[mask], atol=1e-6)


def test_boxes_without_a_voxel_of_the_mask_are_not_tried():
    rng = np.random.default_rng(3)
    mask = rng.random((9, 8, 7)) < 0.1
    expected = [
        corner for corner in np.ndindex(9, 8, 7)
        if not any(c % 2 for c in corner) and mask[tuple(slice(c, c + 2) for c in corner)].any()
    ]  # fmt: skip
    assert boxes_of(mask, 2, 2).tolist() == [list(corner) for corner in expected]


@pytest.mark.parametrize("name, options", [
    ("hybrid", {"filters": (4, 4, 4), "width": 8, "heads": 2, "depth": 1, "feed_forward": 8}),
    ("deepbrain", {"stem": 8, "filters": (8, 8, 8, 8), "units": 32}),
])  # fmt: skip
def test_networks_that_fork_or_see_everything_at_once_take_a_pass_per_box(name, options):
    mask = np.ones((8, 7, 6), bool)
    occlusion = BoxOcclusion(network(name, mask, options), 4, 4, 8)
    volume = np.random.default_rng(0).standard_normal(mask.sum()).astype(np.float32)
    found, _ = occlusion(volume, np.zeros_like(volume))
    assert not occlusion.shares and len(np.unique(found[0])) == len(occlusion.corners) == 8
