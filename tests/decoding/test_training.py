"""One fold of training: reproducible, within memory, the best epoch and learning rate, honest errors."""

import weakref
from functools import partial

from neuroface import NeuroFaceError
from neuroface.decoding import training
from neuroface.decoding.fast import stored_windows
from neuroface.decoding.folds import Fold
from neuroface.decoding.model_cost import step_bytes
from neuroface.decoding.network import build_network, logit_network, predict_logits
from neuroface.pipeline import backend
from neuroface.pipeline.backend import TrainingProgress, keras

import numpy as np
import pytest

BUILD = partial(build_network, 40, 8, (4, 4, 4), 8)
SMALL = dict(build=BUILD, epochs=3, batch_size=8, precision="float32", seed=3)
FOLD = Fold(1, np.arange(0, 48), np.arange(48, 64), np.arange(64, 80), "window")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.arange(80) % 2
    X = rng.standard_normal((80, 40, 8)).astype(np.float32)
    X[:, 10:20] += 1.5 * y[:, None, None]
    return X, y


@pytest.fixture(scope="module")
def full_size():
    return build_network(41_489, 10)


def logits(network, X):
    return predict_logits(logit_network(network), X[FOLD.test], 8)


def test_the_same_seed_gives_the_same_predictions_bit_for_bit(data):
    first, second, other = (
        logits(
            training.train_network(*data, FOLD, learning_rates=(1e-3,), **SMALL | {"seed": seed})[
                0
            ],
            data[0],
        )
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_the_best_learning_rate_on_the_inner_set_is_kept(data):
    build, alive = counting_build()
    settings = SMALL | {"learning_rates": (1e-9, 3e-3), "epochs": 8, "build": build}
    network, history, _, _ = training.train_network(*data, FOLD, **settings)
    assert alive == [
        0,
        1,
        1,
    ]  # one to hold the result, one for each rate, which is gone when the next begins
    best = history.loc[history["val_balanced_accuracy"].idxmax()]
    assert best["learning_rate"] == 3e-3 and set(history["learning_rate"]) == {1e-9, 3e-3}
    right = np.mean(
        (predict_logits(logit_network(network), data[0][FOLD.validation], 8) > 0)
        == data[1][FOLD.validation]
    )
    assert right == pytest.approx(best["val_balanced_accuracy"])


def test_the_network_can_be_trained_on_voxels_in_another_order(data):
    order = np.random.default_rng(1).permutation(40)
    shuffled = logits(
        training.train_network(*data, FOLD, learning_rates=(1e-3,), voxel_order=order, **SMALL)[0],
        data[0][:, order],
    )
    by_hand = logits(
        training.train_network(data[0][:, order], data[1], FOLD, learning_rates=(1e-3,), **SMALL)[
            0
        ],
        data[0][:, order],
    )
    np.testing.assert_array_equal(shuffled, by_hand)


def test_windows_kept_on_the_device_train_the_same_network(data, monkeypatch):
    order = np.random.default_rng(2).permutation(40)  # test_backends leaves them as they are
    settings = dict(learning_rates=(1e-3,), voxel_order=order, per_pass=8, **SMALL)
    sent, history, cost, _ = training.train_network(*data, FOLD, **settings)
    monkeypatch.setattr(training, "windows_fit", lambda *_: True)
    kept, same_history, same_cost, _ = training.train_network(*data, FOLD, **settings)
    for mine, theirs in zip(kept.get_weights(), sent.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert same_history.equals(history)
    assert same_cost["windows_on_gpu"] and not cost["windows_on_gpu"]
    assert same_cost["parameters"] == cost["parameters"]


def test_windows_go_to_a_gpu_that_holds_them_beside_the_training(full_size, monkeypatch):
    class Windows:
        nbytes = 3_606 * 41_489 * 10 * 4  # 6 GB

    needed = Windows.nbytes + step_bytes(full_size, 20)
    monkeypatch.setattr(stored_windows, "gpu_bytes", lambda: 80e9)
    assert not stored_windows.windows_fit(Windows, full_size, 20, n_jobs=4)
    for gigabytes, fit in ((0, False), (24, False), (80, True)):
        monkeypatch.setattr(stored_windows, "gpu_bytes", lambda size=gigabytes * 1e9: size)
        assert (
            stored_windows.windows_fit(Windows, full_size, 20, n_jobs=1)
            == fit
            == (needed < 0.9e9 * gigabytes)
        )


def test_folds_are_left_as_they_are(data):
    before = FOLD.train.copy()
    training.train_network(*data, FOLD, learning_rates=(1e-3,), **SMALL | {"epochs": 1})
    np.testing.assert_array_equal(FOLD.train, before)


@pytest.mark.parametrize(("gigabytes", "expected"), [(64, 20), (16, 10)])
def test_as_many_windows_go_through_at_once_as_memory_allows(
    full_size, monkeypatch, gigabytes, expected
):
    class Memory:
        total = gigabytes * 1e9

    monkeypatch.setattr(training.psutil, "virtual_memory", Memory)
    assert training.windows_per_pass(full_size, 20, n_jobs=1) == expected


@pytest.mark.parametrize(("gigabytes", "n_jobs"), [(6, 1), (16, 2), (16, 4)])
def test_passes_too_small_for_batch_normalisation_are_refused(
    full_size, monkeypatch, gigabytes, n_jobs
):
    class Memory:
        total = gigabytes * 1e9

    monkeypatch.setattr(training.psutil, "virtual_memory", Memory)
    share = 0.85 * gigabytes / n_jobs
    words = rf"about 11\.\d GB for 10 windows .* {share:.1f} GB are available for each of N_JOBS = {n_jobs}.*BATCH_SIZE"
    with pytest.raises(NeuroFaceError, match=words):
        training.windows_per_pass(full_size, 20, n_jobs=n_jobs)


@pytest.mark.parametrize(
    ("batch_size", "sizes"), [(20, [20, 10]), (8, [8]), (16, [16, 8]), (4, [4]), (13, [13])]
)
def test_no_pass_has_fewer_windows_than_batch_normalisation_needs(batch_size, sizes):
    assert training.sizes_of_passes(batch_size) == sizes


class TooLarge(keras.callbacks.Callback):
    """Fails in the way of a GPU where more than eight windows go through at once."""

    def on_train_batch_begin(self, batch, logs=None):
        if self.model.optimizer.gradient_accumulation_steps != 2:
            raise RuntimeError(
                "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes."
            )


def test_a_batch_that_does_not_fit_goes_through_in_parts(data):
    build, alive = counting_build()
    settings = SMALL | {"learning_rates": (1e-3,), "epochs": 1, "batch_size": 16}
    found, history, cost, _ = training.train_network(
        *data, FOLD, **settings | {"build": build}, callbacks=(TooLarge(),)
    )
    assert alive == [
        0,
        1,
        1,
    ]  # one to hold the result; 16 windows at a time, of which nothing is left; 8 at a time
    expected, same_history, _, _ = training.train_network(*data, FOLD, **settings, per_pass=8)
    assert cost["windows_per_pass"] == 8 and history.equals(same_history)
    np.testing.assert_array_equal(logits(found, data[0]), logits(expected, data[0]))


def counting_build():
    """A ``build`` and, for each of its calls, how many of the networks that it had built were still in memory."""
    networks, alive = [], []

    def build(dtype):
        alive.append(sum(network() is not None for network in networks))
        networks.append(weakref.ref(BUILD(dtype=dtype)))
        return networks[-1]()

    return build, alive


def test_windows_leave_the_gpu_before_fewer_go_through_at_once():
    assert list(training._attempts(32, 16, on_gpu=True)) == [(16, True), (16, False), (8, False)]
    assert list(training._attempts(20, 20, on_gpu=False)) == [(20, False), (10, False)]


def test_a_window_that_does_not_fit_a_gpu_is_said_in_words(data):
    class Full(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            raise RuntimeError(
                "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes."
            )

    settings = SMALL | {"learning_rates": (1e-3,), "batch_size": 2}
    with pytest.raises(NeuroFaceError, match="not even 2 windows at a time"):
        training.train_network(*data, FOLD, **settings, callbacks=(Full(),))


def test_training_in_float16_scales_its_loss():
    assert type(training._optimizer(1e-3, 1, "mixed_float16")).__name__ == "LossScaleOptimizer"
    assert type(training._optimizer(1e-3, 1, "float32")).__name__ == "Adam"


def test_accumulated_passes_in_float16_are_steps_of_adam_and_a_pass_that_overflows_is_left_out():
    """Gradients arrive multiplied by the scale of the loss; steps of two passes are Adam's with their mean gradient."""
    gradients = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    scaled, plain = (keras.Variable(np.ones(3, np.float32)) for _ in range(2))
    optimizer, adam = training._optimizer(1e-2, 2, "mixed_float16"), keras.optimizers.Adam(1e-2)
    optimizer.build([scaled])
    for number, gradient in enumerate(gradients):
        if number == 3:  # the scale is halved, and the step waits for another pass
            optimizer.apply([keras.ops.full((3,), np.inf)], [scaled])
        scale = np.asarray(optimizer.dynamic_scale)
        optimizer.apply([keras.ops.convert_to_tensor(gradient * scale)], [scaled])
        if number % 2:
            adam.apply(
                [keras.ops.convert_to_tensor(gradients[number - 1 : number + 1].mean(axis=0))],
                [plain],
            )
        np.testing.assert_allclose(np.asarray(scaled), np.asarray(plain), rtol=1e-6)
    assert np.asarray(optimizer.dynamic_scale) == optimizer.initial_scale / 2


def test_a_loss_that_becomes_nan_is_said_in_words(data):
    X = data[0].copy()
    X[0] = np.nan
    with pytest.raises(NeuroFaceError, match="loss became NaN at LEARNING_RATE"):
        training.train_network(X, data[1], FOLD, learning_rates=(1e-3,), **SMALL)


def test_every_batch_of_a_training_counts(monkeypatch):
    shares = []
    monkeypatch.setattr(backend, "note_progress", shares.append)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    network.compile("sgd", "mse")
    x = np.zeros((8, 2), np.float32)
    for number in range(2):  # two learning rates of one fold
        network.fit(
            x, x[:, :1], batch_size=4, epochs=2, verbose=0, callbacks=[TrainingProgress(number, 2)]
        )
    np.testing.assert_allclose(sorted(shares), 0.999 * np.arange(1, 9) / 8)
