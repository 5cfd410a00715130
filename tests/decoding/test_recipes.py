"""The robust recipe: batches, statistics of batch normalisation, step size, early stopping, reproducibility."""

from functools import partial

from neuroface.decoding import recipes, training
from neuroface.decoding.batch_sizes import batch_bounds
from neuroface.decoding.batches import WindowBatches
from neuroface.decoding.calibration import balanced_weights, log_losses
from neuroface.decoding.fast import compiled
from neuroface.decoding.fast.fused_normalization import with_fused_normalization
from neuroface.decoding.fast.stored_windows import RowBatches, StoredWindows, network_of_mixed_rows
from neuroface.decoding.folds import Fold
from neuroface.decoding.network import build_network, logit_network, predict_logits
from neuroface.pipeline.backend import keras

import numpy as np
import pytest

N, VOXELS, TRS = 80, 24, 8
layers = keras.layers
FOLD = Fold(1, np.arange(0, 48), np.arange(48, 64), np.arange(64, 80), "window")
WEIGHTS = {0: 0.8, 1: 1.3}
TRAIN = partial(
    training.train_network, build=partial(build_network, VOXELS, TRS, (3, 3, 3), 6), batch_size=8,
    learning_rates=(3e-3,), precision="float32", seed=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = np.arange(N) % 2
    X = rng.standard_normal((N, VOXELS, TRS)).astype(np.float32)
    X[:, 10:20] += 1.0 * y[:, None, None]
    return X, y


# ---------------------------------------------------------------- batches


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "sizes"),
    [(33, 32, [33]), (25, 8, [8, 8, 9]), (40, 32, [32, 8]), (71, 32, [35, 36]), (64, 32, [32, 32]), (5, 32, [5]),
     (9, 4, [4, 5]), (10, 4, [5, 5]), (3, 1, [1, 1, 1])],
)  # fmt: skip
def test_no_batch_is_smaller_than_eight_or_than_the_batch_size(n_rows, batch_size, sizes):
    assert np.diff(batch_bounds(n_rows, batch_size)).tolist() == sizes


def test_every_window_is_in_one_batch_of_each_pass(data):
    X, y = data
    X = np.arange(len(X), dtype=np.float32)[:, None, None] + 0 * X
    batches = WindowBatches(X, y, np.arange(33), 32, WEIGHTS, seed=5)
    for _ in range(2):
        read = [batches[number][0][:, 0, 0, 0] for number in range(len(batches))]
        assert sorted(np.concatenate(read)) == list(range(33)) and [len(x) for x in read] == [33]
        batches.on_epoch_end()


def test_mixed_batches_are_means_of_two_windows_and_of_their_labels_and_weights(data):
    X, y = data
    batches = WindowBatches(X, y, FOLD.train, 10, WEIGHTS, seed=5, steps=7, mixup=0.4)
    plain = WindowBatches(X, y, FOLD.train, 10, WEIGHTS, seed=5, steps=7)
    per_pass = 5  # 48 windows, 10 at a time
    for index in range(7):
        windows, labels, weights = plain[index]
        rng = np.random.default_rng([5, index // per_pass, index % per_pass])
        partner = rng.permutation(len(windows))
        share = rng.beta(0.4, 0.4, len(windows))
        expected = (
            share[:, None, None, None] * windows
            + (1 - share)[:, None, None, None] * windows[partner]
        )
        mixed, mixed_labels, mixed_weights = batches[index]
        np.testing.assert_allclose(mixed, expected, atol=1e-6)
        np.testing.assert_allclose(
            mixed_weights, share * weights + (1 - share) * weights[partner], atol=1e-6
        )
        of_class_1 = (
            share * weights * labels[:, 0] + (1 - share) * weights[partner] * labels[partner, 0]
        )
        np.testing.assert_allclose(mixed_weights * mixed_labels[:, 0], of_class_1, atol=1e-6)
        assert mixed.dtype == mixed_labels.dtype == mixed_weights.dtype == np.float32


@pytest.mark.parametrize("n_rare", [11, 30, 44])
def test_mixup_keeps_the_total_weights_of_the_classes(n_rare):
    """The share of class 1 in the loss, Σ weight · label / Σ weight, is one half however rare the class is."""
    y = (np.arange(88) < n_rare).astype(np.int8)
    weights = {0: 88 / (2 * (88 - n_rare)), 1: 88 / (2 * n_rare)}
    batches = WindowBatches(
        np.zeros((88, 1, 1), np.float32),
        y,
        np.arange(88),
        8,
        weights,
        seed=1,
        steps=4400,
        mixup=0.4,
    )
    drawn = [batches[index] for index in range(4400)]
    labels = np.concatenate([labels[:, 0] for _, labels, _ in drawn])
    weight = np.concatenate([weight for _, _, weight in drawn])
    assert np.average(labels, weights=weight) == pytest.approx(0.5, abs=0.01)


def batches_of(X, y, epochs, **more):
    batches = WindowBatches(X, y, FOLD.train, 10, WEIGHTS, seed=5, **more)
    for _ in range(epochs):
        yield from (batches[index] for index in range(len(batches)))
        batches.on_epoch_end()


def test_the_length_of_an_epoch_changes_no_batch(data):
    def taken(epochs, steps, mixup):
        return list(batches_of(*data, epochs, steps=steps, mixup=mixup))

    for mixup in (0.0, 0.4):
        some = taken(6, 2, mixup)
        for other in (taken(4, 3, mixup), taken(1, 12, mixup), taken(3, None, mixup)[:12]):
            for mine, theirs in zip(some, other, strict=True):
                for a, b in zip(mine, theirs):
                    np.testing.assert_array_equal(a, b)


def test_windows_that_are_mixed_on_the_device_are_the_same(data):
    X, y = data
    network = build_network(VOXELS, TRS, (3, 3, 3), 6)
    order = np.random.default_rng(1).permutation(VOXELS)
    by_rows = network_of_mixed_rows(network, StoredWindows(X, order))
    here = WindowBatches(X, y, FOLD.train, 8, WEIGHTS, seed=5, mixup=0.4, voxel_order=order)
    there = RowBatches(X, y, FOLD.train, 8, WEIGHTS, seed=5, mixup=0.4)
    for index in range(len(here)):
        (windows, *rest), (rows, *others) = here[index], there[index]
        np.testing.assert_allclose(
            by_rows.predict_on_batch(rows), network.predict_on_batch(windows), atol=1e-5
        )
        for mine, theirs in zip(rest, others):
            np.testing.assert_array_equal(mine, theirs)


# ---------------------------------------------------------------- batch normalisation


def dense_network():
    """Two normalisations, the second of what the first gives, and a dropout between them."""
    keras.utils.set_random_seed(2)
    inputs = keras.Input((VOXELS, TRS, 1))
    x = layers.BatchNormalization(momentum=0.9)(layers.Dense(5)(layers.Flatten()(inputs)))
    x = layers.BatchNormalization(momentum=0.8)(layers.Dense(4)(layers.Dropout(0.5)(x)))
    return keras.Model(inputs, layers.Activation("sigmoid")(layers.Dense(1, name="logit")(x)))


@pytest.mark.parametrize("fused", [False, True])
def test_the_statistics_are_the_means_over_batches(data, fused):
    X, y = data
    network = with_fused_normalization(dense_network()) if fused else dense_network()
    normalizations = [
        layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)
    ]
    before = [np.asarray(w) for w in network.trainable_weights]
    statistics = recipes.normalization_statistics(network)
    recipes.estimate_normalization(
        network, WindowBatches(X, y, FOLD.train, 16, WEIGHTS), statistics
    )

    (first, first_bias), (second, second_bias) = (
        [np.asarray(w, dtype=float) for w in layer.get_weights()]
        for layer in network.layers if isinstance(layer, layers.Dense) and layer.name != "logit"
    )  # fmt: skip
    expected = []
    for start in (0, 16, 32):
        x = X[start : start + 16].reshape(16, -1).astype(float) @ first + first_bias
        statistics = [x.mean(axis=0), x.var(axis=0)]
        x = (x - x.mean(axis=0)) / np.sqrt(
            x.var(axis=0) + 1e-3
        )  # new scales are 1, new shifts 0; no dropout
        x = x @ second + second_bias
        expected.append([*statistics, x.mean(axis=0), x.var(axis=0)])
    found = [
        np.asarray(w)
        for layer in normalizations
        for w in (layer.moving_mean, layer.moving_variance)
    ]
    for mine, theirs in zip(found, zip(*expected)):
        np.testing.assert_allclose(mine, np.mean(theirs, axis=0), rtol=1e-4, atol=1e-5)
    assert [layer.momentum for layer in normalizations] == [0.9, 0.8]
    assert [layer.rate for layer in network.layers if isinstance(layer, layers.Dropout)] == [0.5]
    for mine, theirs in zip(network.trainable_weights, before):
        np.testing.assert_array_equal(mine, theirs)


def test_no_more_windows_are_read_than_are_needed(data):
    X, y = data
    rows = np.tile(np.arange(N), 5)

    class Counting(WindowBatches):
        read = 0

        def __getitem__(self, index):
            Counting.read += 1
            return super().__getitem__(index)

    network = dense_network()
    statistics = recipes.normalization_statistics(network)
    recipes.estimate_normalization(network, Counting(X, y, rows, 32, WEIGHTS), statistics)
    assert Counting.read == recipes.STATISTICS_WINDOWS / 32 == 8
    plain = keras.Sequential(
        [keras.Input((VOXELS, TRS, 1)), layers.Flatten(), layers.Dense(1, name="logit")]
    )
    assert recipes.normalization_statistics(plain) is None
    recipes.estimate_normalization(plain, None, None)  # nothing to do


# ---------------------------------------------------------------- the training


@pytest.mark.parametrize(("steps", "passes"), [(200, 1), (60, 4), (3, 1)])
def test_the_step_size_rises_and_falls(steps, passes):
    rate = recipes.decaying_rate(0.01, steps, passes)
    found = np.array([float(rate(step)) for step in range(steps * passes + 1)])
    warm = round(0.1 * steps) * passes
    assert (
        np.isfinite(found).all() and found.argmax() == warm and found.max() == pytest.approx(0.01)
    )
    assert found[-1] == pytest.approx(1e-4)
    after = np.arange(len(found) - warm) / (len(found) - 1 - warm)
    np.testing.assert_allclose(
        found[warm:], 1e-4 + (0.01 - 1e-4) * (1 + np.cos(np.pi * after)) / 2, rtol=1e-3
    )
    assert (np.diff(found[: warm + 1]) > 0).all()


@pytest.fixture(scope="module")
def trained(data):
    """Network, history, cost of a training of 48 steps."""
    return TRAIN(*data, FOLD, steps=48)


def validation_loss(network, X, y):
    logit, label = predict_logits(logit_network(network), X, 8, FOLD.validation), y[FOLD.validation]
    return np.average(log_losses(label, logit), weights=balanced_weights(label))


def test_the_network_with_the_lowest_validation_loss_is_kept(data, trained):
    network, history, cost, _ = trained
    assert history["val_loss"].min() < 0.6
    assert validation_loss(network, *data) == pytest.approx(history["val_loss"].min(), abs=1e-5)
    best = history.loc[history["val_loss"].idxmin()]
    right = (predict_logits(logit_network(network), data[0], 8, FOLD.validation) > 0) == data[1][
        FOLD.validation
    ]
    assert best["val_accuracy"] == pytest.approx(right.mean())
    assert history["step"].tolist() == [4 * number for number in range(1, len(history) + 1)]
    assert cost["steps"] == history["step"].max() <= 48


def test_the_same_seed_gives_the_same_network_bit_for_bit(data, trained):
    again, history, _, _ = TRAIN(*data, FOLD, steps=48)
    for mine, theirs in zip(again.get_weights(), trained[0].get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert history.equals(trained[1])


class Halve(keras.callbacks.Callback):
    """Halves the step size after every epoch, as the paper's recipe does when nothing is gained."""

    def on_epoch_end(self, epoch, logs=None):
        optimizer = self.model.optimizer
        if not isinstance(
            optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule
        ):
            optimizer.learning_rate = float(optimizer.learning_rate) / 2


@pytest.mark.parametrize("length", [{"steps": 12}, {"epochs": 3}])
def test_a_fold_that_reuses_the_compiled_network_gets_the_weights_of_a_new_one(data, length):
    """The compiled network of the last training keeps nothing of it: weights, optimiser, step size, dropout, statistics."""
    X, y = data
    other_fold = Fold(2, np.arange(16, 75), np.arange(75, 80), np.arange(16), "window")
    rare = (np.arange(N) % 6 == 1).astype(int)  # other weights of the classes
    short = partial(TRAIN, X, **length)
    compiled._LAST.clear()
    alone = short(y, FOLD, seed=4)
    short(rare, other_fold, seed=5, callbacks=(Halve(),))
    (kept,) = compiled._LAST.values()
    again = short(y, FOLD, seed=4)
    assert list(compiled._LAST.values()) == [kept]
    assert again.history.equals(alone.history)
    for mine, theirs in zip(again.network.get_weights(), alone.network.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_windows_kept_on_the_device_train_the_same_network(data, trained, monkeypatch):
    monkeypatch.setattr(training, "windows_fit", lambda *_: True)
    kept, history, cost, _ = TRAIN(*data, FOLD, steps=48)
    assert cost["windows_on_gpu"]
    np.testing.assert_allclose(history["val_loss"], trained[1]["val_loss"], atol=1e-3)
    for mine, theirs in zip(kept.get_weights(), trained[0].get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-2)


def test_training_ends_early_when_nothing_is_gained(data):
    X, y = data
    swapped = np.where(
        np.isin(np.arange(N), FOLD.validation), 1 - y, y
    )  # the better it learns, the larger the loss
    _, history, _, _ = TRAIN(X, swapped, FOLD, steps=96)
    assert len(history) == history["val_loss"].argmin() + 1 + recipes.PATIENCE < recipes.EVALUATIONS


def test_accumulated_passes_are_steps_and_the_last_evaluation_may_add_a_few(data, monkeypatch):
    monkeypatch.setattr(recipes, "PATIENCE", 99)
    _, history, cost, _ = TRAIN(*data, FOLD, steps=13, per_pass=4)  # two steps between evaluations
    assert cost["steps"] == 14 and history["step"].tolist() == [2, 4, 6, 8, 10, 12, 14]


def test_of_several_step_sizes_the_one_with_the_lowest_loss_is_kept(data):
    network, history, _, _ = TRAIN(*data, FOLD, steps=24, learning_rates=(1e-7, 3e-3))
    best = history.loc[history["val_loss"].idxmin()]
    assert best["learning_rate"] == 3e-3
    assert validation_loss(network, *data) == pytest.approx(best["val_loss"], abs=1e-5)
