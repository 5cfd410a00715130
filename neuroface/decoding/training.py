"""Train a network on one fold, within the available memory, and measure the cost."""

import gc
import resource
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from neuroface import NeuroFaceError
from neuroface.decoding.batch_sizes import LEAST_WINDOWS_PER_PASS
from neuroface.decoding.batches import WindowBatches
from neuroface.decoding.division import Fold
from neuroface.decoding.fast.compiled import (
    Compiled,
    compile_once,
    forget_compiled,
    initial_variables,
)
from neuroface.decoding.fast.fused_normalization import with_fused_normalization
from neuroface.decoding.fast.stored_windows import (
    RowBatches,
    StoredWindows,
    network_of_mixed_rows,
    network_of_rows,
    windows_fit,
)
from neuroface.decoding.model_cost import multiply_adds, step_bytes
from neuroface.decoding.network import logit_network
from neuroface.decoding.recipes import (
    EVALUATIONS,
    MIXUP,
    STATISTICS_WINDOWS,
    RobustWatch,
    Watch,
    accuracy,
    decaying_rate,
    normalization_statistics,
)
from neuroface.pipeline import HAS_GPU, TrainingProgress, keras, set_random_seed

import numpy as np
import pandas as pd
import psutil
from sklearn.utils.class_weight import compute_class_weight

PROCESS = Path("/proc/self")
PRECISIONS = {"float32": "float32", "float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}


class Trained(NamedTuple):
    """A trained network.

    Attributes
    ----------
    network : float32, with the weights of the best epoch.
    history : a row per epoch and learning rate.
    cost : parameters, operations, seconds, memory.
    validation_logits : (n_epochs, n_validation) logits of ``fold.validation`` at each epoch of the
        best learning rate; empty where the paper's recipe validates on the held-out windows.
    """

    network: keras.Model
    history: pd.DataFrame
    cost: dict
    validation_logits: np.ndarray


def train_network(
    X: np.ndarray,
    y: np.ndarray,
    fold: Fold,
    build: Callable[..., keras.Model],
    *,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int,
    learning_rates: tuple[float, ...],
    precision: str,
    seed: int,
    n_jobs: int = 1,
    voxel_order: np.ndarray | None = None,
    per_pass: int | None = None,
    callbacks: tuple[keras.callbacks.Callback, ...] = (),
) -> Trained:
    """Train on ``fold.train`` and keep the epoch, and the learning rate, that are best on ``fold.validation``.

    Parameters
    ----------
    X : (n, n_voxels, window_trs), usually a memory map: one batch at a time is read from it, or, if
        a GPU has room for all windows, they are copied there once. y : (n,) 0 or 1.
    build : ``build(dtype=…)`` gives a new network, such as a partial
    :func:`neuroface.decoding.architectures.build`.
    epochs : trains as in the paper. steps : trains by the robust recipe; see
        :mod:`neuroface.decoding.recipes`. One of the two must be given.
    learning_rates : each is tried; the one with the best epoch is kept.
    precision : "float32", "float16", "bfloat16", or "auto": float16 on a GPU, float32 on a CPU.
    n_jobs : trainings that share this machine's memory.
    voxel_order : (n_voxels,) order in which the network gets the voxels; None: as in the mask.
    per_pass : windows that go through the network at once, a divisor of ``batch_size``; None: as
        many as fit, at least LEAST_WINDOWS_PER_PASS. If they do not fit after all, training starts
        again with fewer, down to this number.
    callbacks : additional callbacks that observe the training.

    Raises
    ------
    NeuroFaceError
        If the least number of windows does not fit the memory, or the loss becomes NaN.
    """
    keras.utils.clear_session()
    _forget_peak_memory()
    memory_before = peak_memory_gb()
    plain = build(dtype="float32")
    most = per_pass or windows_per_pass(plain, batch_size, n_jobs)
    for per_pass, on_gpu in _attempts(batch_size, most, windows_fit(X, plain, most, n_jobs)):
        try:
            weights, history, seconds, logits = _train(
                X, y, fold, build, epochs=epochs, steps=steps, batch_size=batch_size, learning_rates=learning_rates,
                dtype=training_dtype(precision), seed=seed, voxel_order=voxel_order, per_pass=per_pass, on_gpu=on_gpu,
                callbacks=callbacks,
            )  # fmt: skip
            break
        except FloatingPointError as error:
            raise NeuroFaceError(
                f"The loss became NaN at {error}. Lower it, or set PRECISION = 'float32'."
            ) from error
        except Exception as error:
            if not _is_about_memory(error):
                raise
        for callback in callbacks:
            callback.set_model(
                None
            )  # the last reference to the failed step's memory, except cycles
        gc.collect()
    else:
        least = sizes_of_passes(batch_size)[-1]
        raise NeuroFaceError(
            f"Training does not fit the memory, not even {least} windows at a time (about "
            f"{step_bytes(plain, least) / 1e9:.1f} GB); with fewer, batch normalisation fails. Lower N_JOBS or CNN_FILTERS "
            f"(of other networks: MODEL_OPTIONS), or use a larger machine."
        )
    plain.set_weights(weights)
    cost = {
        "parameters": int(plain.count_params()),
        "multiply_adds": multiply_adds(plain),
        "seconds": round(float(np.sum(seconds)), 2),
        "seconds_per_epoch": round(float(np.median(seconds)), 3),
        "steps": int(history["step"].max()),
        "best_step": int(history.loc[history["val_loss"].idxmin(), "step"]),
        "windows_per_pass": per_pass,
        "windows_on_gpu": on_gpu,
        "peak_memory_gb": round(peak_memory_gb(), 2),
        "added_memory_gb": round(peak_memory_gb() - memory_before, 2),
    }
    return Trained(plain, history, cost, logits)


def sizes_of_passes(batch_size: int) -> list[int]:
    """Windows that may go through a network at once: divisors of the batch, largest first, none below the least."""
    least = min(LEAST_WINDOWS_PER_PASS, batch_size)
    return [n for n in range(batch_size, least - 1, -1) if batch_size % n == 0]


def _attempts(batch_size: int, most: int, on_gpu: bool) -> Iterator[tuple[int, bool]]:
    """Windows per pass, and whether all windows go to the GPU: values to try until the memory is large enough."""
    if on_gpu:
        yield most, True
    yield most, False
    yield from ((n, False) for n in sizes_of_passes(batch_size) if n < most)


def _train(
    X,
    y,
    fold,
    build,
    *,
    epochs,
    steps,
    batch_size,
    learning_rates,
    dtype,
    seed,
    voxel_order,
    per_pass,
    on_gpu,
    callbacks,
) -> tuple[list[np.ndarray], pd.DataFrame, list[float], np.ndarray]:
    """Train at each learning rate.

    Returns
    -------
    The best weights, the history, the seconds of each epoch, and the logits of the validation
    windows at the best rate.
    """
    class_weights = dict(
        enumerate(compute_class_weight("balanced", classes=np.array([0, 1]), y=y[fold.train]))
    )
    stored = StoredWindows(X, voxel_order) if on_gpu else None
    batches = (
        partial(RowBatches, X, y)
        if on_gpu
        else partial(WindowBatches, X, y, voxel_order=voxel_order)
    )
    passes, seen = batch_size // per_pass, partial(WindowBatches, X, y, voxel_order=voxel_order)

    def fit(rate: float) -> tuple[float, list[np.ndarray], list[float], pd.DataFrame, np.ndarray]:
        compiled = _compiled(
            build, dtype, seed, rate, steps=steps, passes=passes, per_pass=per_pass, stored=stored
        )
        validation = seen(fold.validation, per_pass, class_weights)
        progress = TrainingProgress(learning_rates.index(rate), len(learning_rates))
        if steps:
            some = np.random.default_rng(seed).permutation(fold.train)[:STATISTICS_WINDOWS]
            watch = RobustWatch(
                compiled, rate, seen(some, min(batch_size, 32), class_weights), validation
            )
            per_epoch = -(-steps // EVALUATIONS)
            schedule = {
                "epochs": -(-steps // per_epoch),
                "callbacks": [watch, progress, *callbacks],
            }
        else:
            has_inner = not np.array_equal(fold.validation, fold.test)  # else nothing is calibrated
            watch = Watch(compiled, rate, validation if has_inner else None)
            plateau = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=15)
            schedule = {
                "epochs": epochs,
                "callbacks": [plateau, watch, progress, *callbacks],
                "validation_data": batches(fold.validation, per_pass, class_weights),
            }
        robust = {"steps": per_epoch * passes, "mixup": MIXUP} if steps else {}
        training = batches(fold.train, per_pass, class_weights, seed=seed, **robust)
        fitted = compiled.model.fit(training, verbose=0, **schedule)
        history = pd.DataFrame(fitted.history).drop(columns="learning_rate", errors="ignore")
        epoch = np.arange(1, len(history) + 1)
        history = history.assign(
            learning_rate=rate, epoch=epoch, step=epoch * len(training) // passes
        )
        return (
            watch.best,
            watch.best_weights,
            watch.seconds,
            history,
            np.array(watch.logits),
        )  # not the network: the next rate needs its memory

    scores, weights, seconds, histories, logits = zip(*map(fit, learning_rates))
    best = int(np.argmax(scores))
    return weights[best], pd.concat(histories, ignore_index=True), sum(seconds, []), logits[best]


def _compiled(
    build,
    dtype: str,
    seed: int,
    rate: float,
    *,
    steps: int | None,
    passes: int,
    per_pass: int,
    stored,
) -> Compiled:
    """A network with the initial weights that ``seed`` gives, ready to be trained."""
    keras.utils.clear_session()
    set_random_seed(seed)
    network = with_fused_normalization(build(dtype=dtype))

    def compile_network(network: keras.Model) -> Compiled:
        by_rows = network_of_mixed_rows if steps else network_of_rows
        model = network if stored is None else by_rows(network, stored)
        model.compile(
            _optimizer(decaying_rate(rate, steps, passes) if steps else rate, passes, dtype),
            loss="binary_crossentropy",
            metrics=[accuracy],
            # With weights that balance the classes this is the balanced accuracy; in balanced data it
            # equals accuracy.
            weighted_metrics=[keras.metrics.MeanMetricWrapper(accuracy, "balanced_accuracy")],
            # TensorFlow's plain graph is faster than XLA on a CPU; JAX without XLA would run one
            # operation at a time.
            jit_compile=HAS_GPU or keras.backend.backend() == "jax",
        )
        return Compiled(
            network=network,
            model=model,
            start=initial_variables(model, np.zeros((1, 1), np.float32)),
            logit=logit_network(network),
            statistics=normalization_statistics(network) if steps else None,
        )

    if stored is not None:
        forget_compiled()  # the windows of this fold are part of its graph
        return compile_network(network)
    return compile_once(network, (dtype, rate, steps, passes, per_pass), compile_network)


def training_dtype(precision: str) -> str:
    """Keras' name of a precision; "auto" is float16 on a GPU and float32 on a CPU."""
    if precision == "auto":
        return "mixed_float16" if HAS_GPU else "float32"
    return PRECISIONS[precision]


def windows_per_pass(model: keras.Model, batch_size: int, n_jobs: int) -> int:
    """The largest divisor of ``batch_size`` whose pass fits this job's share of the memory; gradients accumulate.

    It counts the total memory of the machine, not the free memory, so that a rerun takes the same
    steps. On a GPU the allocator decides, so the whole batch is tried first, and fewer windows if
    it does not fit.

    Raises
    ------
    NeuroFaceError
        If fewer than LEAST_WINDOWS_PER_PASS fit.
    """
    if HAS_GPU:
        return batch_size
    share = 0.85 * psutil.virtual_memory().total / n_jobs
    sizes = sizes_of_passes(batch_size)
    for windows in sizes:
        if step_bytes(model, windows) < share:
            return windows
    raise NeuroFaceError(
        f"Training needs about {step_bytes(model, sizes[-1]) / 1e9:.1f} GB for {sizes[-1]} windows of "
        f"{model.input_shape[1]:,} voxels at a time; {share / 1e9:.1f} GB are available for each of N_JOBS = {n_jobs}. With "
        f"fewer windows batch normalisation fails. Lower N_JOBS or CNN_FILTERS (of other networks: MODEL_OPTIONS), set "
        f"BATCH_SIZE to a multiple of {LEAST_WINDOWS_PER_PASS}, or use a larger machine."
    )


def peak_memory_gb() -> float:
    """Most memory this process held: on Linux since its last training began, elsewhere since it began."""
    if PROCESS.is_dir():
        return int((PROCESS / "status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9  # macOS counts bytes


def _forget_peak_memory() -> None:
    with suppress(OSError):  # macOS has no such file, and a container may forbid it
        (PROCESS / "clear_refs").write_text("5")


def _optimizer(rate, passes: int, dtype: str) -> keras.optimizers.Optimizer:
    """Adam over ``passes`` accumulated passes; float16 gradients are scaled, so that small ones do not become 0."""
    adam = keras.optimizers.Adam(rate, gradient_accumulation_steps=passes if passes > 1 else None)
    return keras.optimizers.LossScaleOptimizer(adam) if dtype == "mixed_float16" else adam


def _is_about_memory(error: Exception) -> bool:
    text = f"{type(error).__name__} {error}".lower()
    words = (
        "resource_exhausted",
        "resourceexhausted",
        "out of memory",
        "alloc_failed",
        "unable to allocate",
        "memoryerror",
    )
    return any(word in text for word in words)
