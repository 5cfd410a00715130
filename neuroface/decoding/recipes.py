"""How a network is trained: as in the paper ("paper"), or so that few windows suffice ("robust").

"paper": a fixed number of epochs with Adam; the step size is halved when the validation loss does
not fall; the epoch with the best validation accuracy is kept.

"robust": a fixed number of steps, whatever the number of windows; warm-up and cosine decay of the
step size; before each evaluation the statistics of batch normalisation are computed again from
training windows; the weights with the lowest validation loss are kept, and training ends early when
this loss no longer falls. docs/training.md has the measurements.
"""

import time

from neuroface.decoding.calibration import balanced_weights, log_losses
from neuroface.decoding.fast.compiled import Compiled
from neuroface.decoding.network import predict_logits
from neuroface.pipeline import assigned_values, keras

import numpy as np
from sklearn.metrics import balanced_accuracy_score

EVALUATIONS = 12  # in a whole training
PATIENCE = 5  # evaluations without a lower loss that end it
MIXUP = 0.4  # parameter of the Beta distribution of the shares
WARM_UP = 0.1  # share of the steps
LAST_RATE = 0.01  # of the largest step size
STATISTICS_WINDOWS = 256  # from which the statistics of batch normalisation are computed


def accuracy(y, probability):
    """Share of windows whose more probable label is that of ``y``, which may be a mean of two labels."""
    agree = keras.ops.equal(y > 0.5, probability > 0.5)
    return keras.ops.mean(keras.ops.cast(agree, "float32"), axis=-1)


def accuracy_score_of_logits(y: np.ndarray, logit: np.ndarray) -> float:
    """Balanced accuracy: what chooses the epoch with the paper's recipe."""
    return float(balanced_accuracy_score(y, logit > 0))


def loss_score_of_logits(y: np.ndarray, logit: np.ndarray) -> float:
    """Negative log loss, both classes weighted equally: what chooses the step with the robust recipe."""
    return -float(np.average(log_losses(y, logit), weights=balanced_weights(y)))


class Watch(keras.callbacks.Callback):
    """Measures the time of each epoch, keeps the best weights, and stops if the loss is not finite.

    Parameters
    ----------
    compiled : the network that is trained. rate : its step size.
    validation : batches (:class:`neuroface.decoding.batches.WindowBatches`) without shuffling;
    None: no logits are kept.

    Attributes
    ----------
    logits : per evaluation the logits (n_validation,) of the validation windows.
    """

    def __init__(self, compiled: Compiled, rate: float, validation):
        super().__init__()
        self.network, self.rate, self.best = compiled.network, rate, -np.inf
        self._validation, self._logit = validation, compiled.logit
        self.seconds: list[float] = []
        self.logits: list[np.ndarray] = []

    def validation_logit(self) -> np.ndarray:
        """Logits (n_validation,) of the validation windows; they are kept."""
        source = self._validation
        self.logits.append(
            predict_logits(
                self._logit, source.X, source.batch_size, source.rows, source.voxel_order
            )
        )
        return self.logits[-1]

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        if not np.isfinite(logs["loss"]):
            raise FloatingPointError(f"LEARNING_RATE {self.rate:g}")
        self.evaluate(logs)
        self.seconds.append(time.monotonic() - self._start)

    def evaluate(self, logs: dict) -> None:
        if self._validation is not None:
            self.validation_logit()
        self.keep(logs["val_balanced_accuracy"])

    def keep(self, score: float) -> None:
        if score > self.best:
            self.best, self.best_weights = score, self.network.get_weights()


class RobustWatch(Watch):
    """Evaluates with statistics of batch normalisation that belong to the weights of this moment.

    Parameters
    ----------
    training, validation : batches (:class:`neuroface.decoding.batches.WindowBatches`) without
    shuffling.
    """

    def __init__(self, compiled: Compiled, rate: float, training, validation):
        super().__init__(compiled, rate, validation)
        self._training, self._without_gain, self._statistics = training, 0, compiled.statistics

    def evaluate(self, logs: dict) -> None:
        estimate_normalization(self.network, self._training, self._statistics)
        logit, y = self.validation_logit(), self._validation.y[self._validation.rows]
        loss = -loss_score_of_logits(y, logit)
        logs["val_loss"], logs["val_accuracy"] = loss, float(np.mean((logit > 0) == y))
        logs["val_balanced_accuracy"] = float(balanced_accuracy_score(y, logit > 0))
        self._without_gain = 0 if -loss > self.best else self._without_gain + 1
        self.keep(-loss)
        if self._without_gain >= PATIENCE:
            self.model.stop_training = True


def normalization_statistics(network: keras.Model):
    """Compile the statistics of batch normalisation in one batch of windows; None if the network has no such layer.

    Every layer sees what the layers below give for this batch in training. Dropout is off, as it is
    in prediction.

    Returns
    -------
    (windows) → list of arrays, mean and variance of each layer in the order of
    :func:`_moving_averages`.
    """
    normalizations = _normalizations(network)
    if not normalizations:
        return None
    dropouts = [layer for layer in network.layers if type(layer) is keras.layers.Dropout]

    def forward(windows):
        # Keras reads these numbers while it compiles, not while the compiled function runs.
        before = [layer.momentum for layer in normalizations], [layer.rate for layer in dropouts]
        try:
            for layer in normalizations:
                layer.momentum = 0.0  # the new average is that of this batch
            for layer in dropouts:
                layer.rate = 0.0
            network(windows, training=True)
        finally:
            for layer, momentum in zip(normalizations, before[0]):
                layer.momentum = momentum
            for layer, rate in zip(dropouts, before[1]):
                layer.rate = rate

    return assigned_values(forward, _moving_averages(network), network)


def estimate_normalization(network: keras.Model, batches, statistics) -> None:
    """Replace the moving averages of batch normalisation by averages over batches of training windows.

    The moving averages of Keras have a memory of 100 steps and start at 0 and 1. In a short
    training they still contain this start, and they always lag behind the weights. The same is done
    after weight averaging (Izmailov et al. 2018, UAI, section 3.2).

    Parameters
    ----------
    statistics : result of :func:`normalization_statistics`.
    """
    if statistics is None:
        return
    n_batches = min(len(batches), -(-STATISTICS_WINDOWS // batches.batch_size))
    by_batch = [statistics(batches[number][0]) for number in range(n_batches)]
    for variable, values in zip(_moving_averages(network), zip(*by_batch)):
        variable.assign(np.mean(values, axis=0))


def _normalizations(network: keras.Model) -> list:
    return [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]


def _moving_averages(network: keras.Model) -> list:
    """Mean and variance, as variables, of each layer of batch normalisation."""
    return [
        average
        for layer in _normalizations(network)
        for average in (layer.moving_mean, layer.moving_variance)
    ]


def decaying_rate(
    rate: float, steps: int, passes: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Step size over a training of ``steps`` steps: linear warm-up, then a cosine to nearly 0 (Loshchilov & Hutter 2017).

    Parameters
    ----------
    passes : per step; Keras counts passes.
    """
    warm_up = round(WARM_UP * steps) * passes
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=rate * LAST_RATE, warmup_target=rate, warmup_steps=warm_up,
        decay_steps=steps * passes - warm_up, alpha=LAST_RATE,
    )  # fmt: skip
