"""Sliding with shared work against the plain network on every window."""

from neuroface.decoding import closed_form
from neuroface.decoding.network import build_network, logit_network
from neuroface.pipeline.backend import keras
from neuroface.timeline.fast.projections import ProjectionSliding
from neuroface.timeline.sliding import (
    EnsembleSliding,
    PlainSliding,
    SharedSliding,
    predictor_of_models,
    slide,
    sliding_predictor,
)

import numpy as np
import pytest

N_TRS = 33
layers = keras.layers


def shaken(model, negative_scales=False):
    """Weights of every layer off their initial zeros and ones; on request a third of the normalisations turned round."""
    rng = np.random.default_rng(3)
    weights = []
    for variable in model.weights:
        w = np.asarray(variable)
        w = (
            np.abs(w) + 0.5
            if variable.path.endswith("variance")
            else w + 0.1 * rng.standard_normal(w.shape)
        )
        if negative_scales and variable.path.endswith("gamma"):
            w = w * np.where(np.arange(len(w)) % 3 == 1, -1, 1)
        weights.append(w)
    model.set_weights(weights)
    return model


def network(n_voxels=30, window_trs=10, filters=(4, 3, 5), negative_scales=False):
    keras.utils.set_random_seed(1)
    return shaken(build_network(n_voxels, window_trs, filters, 6), negative_scales)


def chain(n_voxels, window_trs, blocks, between=layers.LeakyReLU, name="logit"):
    """A relative of the paper's network: blocks of (filters, kernel, pool)."""
    keras.utils.set_random_seed(2)
    inputs = x = keras.Input((n_voxels, window_trs, 1))
    for filters, kernel, pool in blocks:
        x = layers.Conv2D(filters, kernel, padding="same")(x)
        x = layers.MaxPooling2D(pool)(layers.BatchNormalization()(between()(x)))
    x = layers.Dense(1, name=name)(layers.Flatten()(x))
    return shaken(keras.Model(inputs, layers.Activation("sigmoid")(x)))


def run_of(n_voxels, n_trs=N_TRS):
    return np.random.default_rng(0).standard_normal((n_trs, n_voxels)).astype(np.float32)


def by_hand(model, volumes):
    """Logits of all windows, each through the whole network: (n_trs − window_trs + 1,)."""
    window_trs = model.input_shape[2]
    windows = np.stack(
        [volumes[t : t + window_trs].T for t in range(len(volumes) - window_trs + 1)]
    )
    return np.asarray(logit_network(model)(windows[..., None], training=False))[:, 0]


FAMILY = {
    "the paper's shape": lambda: network(),
    "odd voxels, odd window": lambda: network(n_voxels=37, window_trs=11),
    "shortest window": lambda: network(n_voxels=24, window_trs=4),
    "long window": lambda: network(window_trs=16, filters=(2, 6, 3)),
    "scales below 0": lambda: network(n_voxels=31, negative_scales=True),
    "wide and even kernels, pool of three": lambda: chain(
        20, 12, [(3, (4, 5), (1, 3)), (2, (3, 2), (2, 1))]
    ),
    "no time in the kernel": lambda: chain(16, 6, [(3, (5, 1), (2, 2))]),
    "two blocks that never pool time": lambda: chain(
        16, 6, [(3, (3, 3), (2, 1)), (2, (3, 3), (1, 1))]
    ),
}


@pytest.mark.parametrize("make", FAMILY.values(), ids=FAMILY)
def test_shared_work_gives_what_the_network_gives_on_every_window(make):
    model = make()
    volumes = run_of(model.input_shape[1])
    predictor = sliding_predictor(model, 10)
    assert type(predictor) is SharedSliding
    expected = by_hand(model, volumes)
    assert expected.std() > 0.01
    logits = slide(predictor, (volumes[start : start + 10] for start in range(0, N_TRS, 10)))
    np.testing.assert_allclose(logits[: len(expected)], expected, atol=1e-4)
    assert np.isnan(logits[len(expected) :]).all() and len(logits) == N_TRS


def polynomial(n_voxels=16, window_trs=6, units=3, linear=False):
    """A classifier in closed form with weights of its own."""
    rng = np.random.default_rng(4)
    if linear:
        return closed_form.linear(rng.standard_normal((n_voxels, window_trs)), 0.7)
    return shaken(closed_form.linear_plus(n_voxels, window_trs, None, units=units))


CLOSED_FORMS = {
    "linear": lambda: polynomial(linear=True),
    "second-order": lambda: polynomial(),
    "second-order, long window": lambda: polynomial(9, 14, 5),
    "linear, one volume": lambda: polynomial(9, 1, linear=True),
}


@pytest.mark.parametrize("make", CLOSED_FORMS.values(), ids=CLOSED_FORMS)
def test_a_model_in_closed_form_is_slid_by_its_projections(make):
    model = make()
    volumes = run_of(model.input_shape[1])
    predictor = sliding_predictor(model, 10)
    assert type(predictor) is ProjectionSliding
    expected = by_hand(model, volumes)
    assert expected.std() > 0.01
    logits = slide(predictor, (volumes[start : start + 10] for start in range(0, N_TRS, 10)))
    np.testing.assert_allclose(logits[: len(expected)], expected, atol=1e-4)
    assert np.isnan(logits[len(expected) :]).all() and len(logits) == N_TRS


OTHERS = {
    "another rectifier": lambda: chain(16, 6, [(3, (3, 3), (2, 2))], between=layers.ReLU),
    "a pool in place of a convolution": lambda: pooled(16, 6),
}


def pooled(n_voxels, window_trs):
    inputs = keras.Input((n_voxels, window_trs, 1))
    x = layers.Dense(1, name="logit")(layers.Flatten()(layers.MaxPooling2D(2)(inputs)))
    return shaken(keras.Model(inputs, layers.Activation("sigmoid")(x)))


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_another_model_is_slid_plainly(make):
    model = make()
    volumes = run_of(model.input_shape[1])
    predictor = sliding_predictor(model, 10)
    assert type(predictor) is PlainSliding
    expected = by_hand(model, volumes)
    logits = slide(predictor, (volumes[start : start + 10] for start in range(0, N_TRS, 10)))
    np.testing.assert_allclose(logits[: len(expected)], expected, atol=1e-5)


def test_a_network_that_branches_is_slid_plainly():
    inputs = keras.Input((12, 6, 1))
    x = layers.MaxPooling2D(2)(
        layers.BatchNormalization()(layers.LeakyReLU()(layers.Conv2D(2, 3, padding="same")(inputs)))
    )
    x = layers.Dense(1, name="logit")(
        layers.Flatten()(layers.Add()([x, layers.MaxPooling2D(2)(inputs)]))
    )
    assert (
        type(sliding_predictor(keras.Model(inputs, layers.Activation("sigmoid")(x)), 4))
        is PlainSliding
    )


def test_a_network_without_a_flattened_head_is_slid_plainly():
    inputs = keras.Input((12, 6, 1))
    x = layers.LeakyReLU()(layers.Conv2D(2, 3, padding="same")(inputs))
    x = layers.MaxPooling2D(2)(layers.BatchNormalization()(x))
    x = layers.Dense(1, name="logit")(layers.GlobalAveragePooling2D()(x))
    assert type(sliding_predictor(keras.Model(inputs, x), 4)) is PlainSliding


@pytest.mark.parametrize("kind", [SharedSliding, PlainSliding, ProjectionSliding])
def test_volumes_may_come_in_any_parts_and_runs_do_not_mix(kind):
    model, volumes = polynomial(30, 10) if kind is ProjectionSliding else network(), run_of(30)
    predictor = PlainSliding(model, 10) if kind is PlainSliding else sliding_predictor(model, 10)
    assert type(predictor) is kind
    expected = by_hand(model, volumes)
    for cuts in ([1, 2, 5, 15, 25], list(range(1, N_TRS))):  # the second: one by one, as in a scan
        predictor.reset()
        parts = np.split(volumes, cuts if kind is not SharedSliding else [1, 2, 5, 15, 25])
        logits = np.concatenate([predictor.push(part) for part in parts])
        assert np.isnan(logits[:9]).all()
        np.testing.assert_allclose(logits[9:], expected, atol=1e-4)


def test_a_run_shorter_than_a_window_has_no_prediction():
    assert np.isnan(slide(sliding_predictor(network(), 20), iter([run_of(30, 7)]))).all()


def test_each_tap_of_a_column_is_computed_once_per_volume():
    """Plain sliding takes, per window, 28 taps in the second convolution (10 columns of 3, two beyond the ends) and 13
    in the third. Shared: one inner column with 3 taps; the first and the last column, the only ones
    that know of the window's ends, with 2 each. In the third, the last of 5 columns is dropped by
    the pool: 3 + 2 + 1."""
    recipes = sliding_predictor(network(), 10)._plan.recipes
    count = {block: sum(r.kind == "tap" and r.block == block for r in recipes) for block in (1, 2)}
    assert count == {1: 7, 2: 6}
    assert sum(r.kind == "first" for r in recipes) == 3


def test_memory_does_not_grow_with_the_run():
    predictor, volumes = sliding_predictor(network(), 10), run_of(30, 10)
    sizes = []
    for _ in range(6):
        predictor.push(volumes)
        sizes.append(sum(int(np.prod(part.shape)) for part in predictor._state))
    assert len(set(sizes)) == 1


def test_several_networks_predict_by_their_mean_logit(tmp_path):
    models = [
        network(),
        network(negative_scales=True),
        shaken(build_network(30, 10, (4, 3, 5), 6), True),
    ]
    volumes = run_of(30)
    expected = np.mean([by_hand(model, volumes) for model in models], axis=0)
    files = []
    for number, model in enumerate(models):
        model.save(tmp_path / f"{number}.keras")
        files.append(tmp_path / f"{number}.keras")
    predictor = predictor_of_models(tuple(files), 30, 10, 8)
    assert type(predictor) is EnsembleSliding and predictor.batch == 8
    for _ in range(2):  # a second run starts anew
        logits = slide(predictor, (volumes[start : start + 8] for start in range(0, N_TRS, 8)))
        np.testing.assert_allclose(logits[: len(expected)], expected, atol=1e-4)
    assert type(predictor_of_models(tuple(files[:1]), 30, 10, 8)) is SharedSliding


def test_memory_of_projections_does_not_grow_with_the_run():
    predictor, volumes = sliding_predictor(polynomial(30, 10), 10), run_of(30, 10)
    sizes = []
    for _ in range(4):
        predictor.push(volumes)
        sizes.append(predictor._products.shape)
    assert sizes == [(9, 13)] * 4  # products with 10 places and 3 directions
