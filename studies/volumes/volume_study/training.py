"""Train a classifier of volumes on one fold, and say what it cost."""

import time

from neuroface import NeuroFaceError
from neuroface.decoding import (
    Compiled,
    Fold,
    batch_bounds,
    compile_once,
    initial_variables,
    multiply_adds,
)
from neuroface.pipeline import HAS_GPU, TrainingProgress, keras, set_random_seed

import numpy as np
import pandas as pd
from sklearn.utils.class_weight import compute_class_weight


class VolumeBatches(keras.utils.PyDataset):
    """Batches of volumes (n, n_voxels, 1, 1) read from a memory map, in a new order in every epoch.

    Sizes of batches are those of :func:`neuroface.decoding.batch_bounds`.

    Parameters
    ----------
    X : (n, n_voxels). y : (n,) class numbers. rows : indices to serve. weights : weights of the classes.
    """

    def __init__(self, X, y, rows, batch_size: int, weights: np.ndarray, seed: int):
        super().__init__()
        self.X, self.y, self.rows, self.weights = X, y, np.array(rows), weights
        self._bounds = batch_bounds(len(self.rows), batch_size)
        self._rng = np.random.default_rng(seed)
        self.on_epoch_end()

    def __len__(self):
        return len(self._bounds) - 1

    def __getitem__(self, index):
        rows = np.sort(self.rows[self._bounds[index] : self._bounds[index + 1]])
        return self.X[rows][..., None, None], self.y[rows], self.weights[self.y[rows]]

    def on_epoch_end(self):
        self._rng.shuffle(self.rows)


def predict(model: keras.Model, X: np.ndarray, rows: np.ndarray, batch: int) -> np.ndarray:
    """Outputs of a model (len(rows), …) for rows of X (n, n_voxels), ``batch`` at a time; the last batch is padded."""
    padded, parts = np.zeros((batch, X.shape[1], 1, 1), dtype=np.float32), []
    for start in range(0, len(rows), batch):
        batch_volumes = X[rows[start : start + batch]]
        padded[: len(batch_volumes), :, 0, 0] = batch_volumes
        parts.append(np.asarray(model.predict_on_batch(padded))[: len(batch_volumes)])
    return np.concatenate(parts)


def train_classifier(
    X: np.ndarray,
    y: np.ndarray,
    fold: Fold,
    build,
    *,
    epochs: int,
    patience: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    inference_batch: int,
    seed: int,
) -> tuple[keras.Model, pd.DataFrame, dict]:
    """Train on ``fold.train`` and keep the epoch that is best on ``fold.validation``.

    AdamW, its step size along half a cosine over ``epochs``; training ends after ``patience``
    epochs without a better validation accuracy.

    Parameters
    ----------
    X : (n, n_voxels), usually a memory map. y : (n,) class numbers. build : ``build()`` gives a new
    network.

    Returns
    -------
    network, history, cost. The next training may change the network. History has a row per epoch:
    loss, accuracy, val_accuracy, val_loss, learning_rate, and test_accuracy. No decision rests on
    test_accuracy, the accuracy on the held-out volumes: it is there to show how much a choice of the
    epoch on them would have flattered the result.

    Raises
    ------
    NeuroFaceError
        If the loss becomes NaN.
    """
    keras.utils.clear_session()
    set_random_seed(seed)

    def compile_network(network: keras.Model) -> Compiled:
        network.compile(
            keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            # TensorFlow's plain graph is faster than XLA on a CPU; JAX without XLA would run one
            # operation at a time.
            jit_compile=HAS_GPU or keras.backend.backend() == "jax",
        )
        return Compiled(network, network, initial_variables(network, y[:1]))

    network = compile_once(build(), (learning_rate, weight_decay), compile_network).network
    weights = compute_class_weight(
        "balanced", classes=np.arange(network.output_shape[1]), y=y[fold.train]
    )
    watch = _Watch(X, y, fold, patience, inference_batch)
    fitted = network.fit(
        VolumeBatches(X, y, fold.train, batch_size, weights.astype(np.float32), seed),
        epochs=epochs,
        verbose=0,
        callbacks=[
            keras.callbacks.LearningRateScheduler(
                lambda epoch: learning_rate * (1 + np.cos(np.pi * epoch / epochs)) / 2
            ),
            keras.callbacks.TerminateOnNaN(),
            TrainingProgress(),
            watch,
        ],
    )
    if watch.best_weights is None or not np.isfinite(fitted.history["loss"]).all():
        raise NeuroFaceError(f"The loss became NaN at LEARNING_RATE {learning_rate:g}. Lower it.")
    network.set_weights(watch.best_weights)
    history = pd.DataFrame(fitted.history)[["loss", "accuracy", "learning_rate"]].assign(
        **watch.seen
    )
    history.insert(0, "epoch", np.arange(1, len(history) + 1))
    cost = {
        "parameters": sum(int(np.prod(w.shape)) for w in network.trainable_weights),
        "multiply_adds": multiply_adds(network),
        "seconds": round(float(np.sum(watch.seconds)), 2),
        "seconds_per_epoch": round(float(np.median(watch.seconds)), 3),
    }
    return network, history, cost


class _Watch(keras.callbacks.Callback):
    """Notes accuracies after every epoch, keeps the best epoch's weights, ends training when it gets no better."""

    def __init__(self, X, y, fold: Fold, patience: int, batch: int):
        super().__init__()
        self.X, self.y, self.fold, self.patience, self.batch = X, y, fold, patience, batch
        self.best, self.best_weights, self.waited = -1.0, None, 0
        self.seconds: list[float] = []
        self.seen: dict[str, list[float]] = {
            "val_accuracy": [],
            "val_loss": [],
            "test_accuracy": [],
        }

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.monotonic() - self._start)  # of training alone
        accuracy, loss = self._accuracy(self.fold.validation)
        test_accuracy = (
            accuracy
            if self.fold.validation is self.fold.test
            else self._accuracy(self.fold.test)[0]
        )
        for name, value in zip(self.seen, (accuracy, loss, test_accuracy)):
            self.seen[name].append(value)
        self.waited += 1
        if accuracy > self.best and np.isfinite(loss):
            self.best, self.best_weights, self.waited = accuracy, self.model.get_weights(), 0
        if self.waited >= self.patience:
            self.model.stop_training = True

    def _accuracy(self, rows: np.ndarray) -> tuple[float, float]:
        """Accuracy and cross-entropy on some volumes."""
        probability = predict(self.model, self.X, rows, self.batch)
        right = np.take_along_axis(probability, self.y[rows][:, None].astype(int), axis=1)[:, 0]
        return float((probability.argmax(axis=1) == self.y[rows]).mean()), float(
            -np.log(np.maximum(right, 1e-7)).mean()
        )
