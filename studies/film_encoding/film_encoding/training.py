"""Train the encoder–decoder on one fold, keep its best epoch, and predict the held-out chunks."""

import time
from functools import partial

from film_encoding.film_data import ChunkBatches, FilmData
from film_encoding.lagged import LaggedBatches, build_lagged_encoder, predict_lagged
from film_encoding.losses import image_loss, voxel_loss
from film_encoding.networks import build_decoder, build_encoder, join, trainable_parameters
from film_encoding.perceptual import features_of
from film_encoding.splits import Fold
from film_encoding.variants import Variant
from neuroface import NeuroFaceError
from neuroface.decoding import Compiled, compile_once, initial_variables
from neuroface.pipeline import HAS_GPU, TrainingProgress, keras, set_random_seed

import numpy as np
import pandas as pd


def train(
    data: FilmData, fold: Fold, variant: Variant, cfg, seed: int
) -> tuple[keras.Model, pd.DataFrame, dict]:
    """Train on the fold's training chunks; keep the epoch whose loss on the inner chunks is smallest.

    Parameters
    ----------
    cfg : the settings of script 3.

    Returns
    -------
    network : chunk → voxels, or chunk → (voxels, frame) with a decoder. history : a row per epoch.
        cost : parameters, seconds.

    Raises
    ------
    NeuroFaceError
        If the loss becomes NaN, or a weights file is not what it should be.
    """
    keras.utils.clear_session()
    set_random_seed(seed)
    _, _, network = build(data, variant, cfg)
    compiled = compile_once(network, loss_settings(cfg), partial(compile_network, cfg=cfg)).network
    batches, inner = batches_of(data, fold, variant, cfg, seed)
    best = keras.callbacks.EarlyStopping("val_loss", patience=cfg.EPOCHS, restore_best_weights=True)
    clock = EpochClock()
    fitted = compiled.fit(
        batches,
        validation_data=inner,
        epochs=cfg.EPOCHS,
        verbose=0,
        callbacks=[best, keras.callbacks.TerminateOnNaN(), clock, TrainingProgress()],
    )
    history = pd.DataFrame(fitted.history)
    history.insert(0, "epoch", np.arange(1, len(history) + 1))
    if not np.isfinite(history[["loss", "val_loss"]]).all(axis=None):
        raise NeuroFaceError(
            f"The loss became NaN at LEARNING_RATE {cfg.LEARNING_RATE:g}. Lower it."
        )
    encoder, decoder, network = build(data, variant, cfg)  # the next training uses the compiled one
    network.set_weights(compiled.get_weights())
    cost = {
        "encoder_parameters": trainable_parameters(encoder),
        "decoder_parameters": trainable_parameters(decoder) if decoder is not None else 0,
        "best_epoch": int(history["val_loss"].idxmin()) + 1,
        "seconds": round(sum(clock.seconds), 2),
        "seconds_per_epoch": round(float(np.median(clock.seconds)), 3),
    }
    outputs = encoder.output if decoder is None else [encoder.output, decoder(encoder.output)]
    return keras.Model(encoder.input, outputs), history, cost


def loss_settings(cfg) -> tuple:
    """All that a compiled network depends on beside its layers."""
    weights = (cfg.ENCODER_WEIGHT, cfg.MSE_WEIGHT, cfg.COSINE_WEIGHT, *cfg.IMAGE_WEIGHTS)
    return (cfg.LEARNING_RATE, *weights, cfg.PERCEPTUAL, cfg.PERCEPTUAL_WEIGHTS)


def compile_network(network: keras.Model, cfg) -> Compiled:
    """A network with its losses and its optimiser."""
    losses = {"voxels": voxel_loss(cfg.MSE_WEIGHT, cfg.COSINE_WEIGHT)}
    weights = {"voxels": cfg.ENCODER_WEIGHT}
    if "images" in network.output:
        losses["images"] = image_loss(cfg.IMAGE_WEIGHTS, features_of(cfg))
        weights["images"] = 1 - cfg.ENCODER_WEIGHT
    network.compile(
        keras.optimizers.Adam(cfg.LEARNING_RATE), loss=losses, loss_weights=weights,
        # TensorFlow's plain graph is faster than XLA on a CPU; JAX without XLA would run one
        # operation at a time.
        jit_compile=HAS_GPU or keras.backend.backend() == "jax",
    )  # fmt: skip
    return Compiled(network, network, initial_variables(network))


def build(data: FilmData, variant: Variant, cfg) -> tuple:
    """Encoder, decoder (None where there is none), and the network that is trained, of a variant."""
    if variant.is_lagged:
        encoder = build_lagged_encoder(
            data.n_voxels,
            len(variant.lags),
            variant.frames_per_tr,
            data.pixels,
            cfg.ENCODER_FILTERS,
            cfg.DROPOUT,
        )
        return (
            encoder,
            None,
            keras.Model({"stretch": encoder.input}, {"voxels": encoder.output}),
        )
    encoder = build_encoder(
        data.n_voxels, variant.frames_per_tr, data.pixels, cfg.ENCODER_FILTERS, cfg.DROPOUT
    )
    decoder = (
        build_decoder(data.n_voxels, data.pixels, cfg.DECODER_FILTERS)
        if variant.has_decoder
        else None
    )
    return encoder, decoder, join(encoder, decoder, cfg.DECODER_INPUT)


def batches_of(data: FilmData, fold: Fold, variant: Variant, cfg, seed: int) -> tuple:
    """Batches of the chunks that the weights are learned from, in random order, and of those that choose the epoch."""
    learn, choose = fold.of("train"), fold.of("inner")
    if variant.is_lagged:
        return (
            LaggedBatches(data, learn, cfg.BATCH_SIZE, seed),
            LaggedBatches(data, choose, cfg.BATCH_SIZE),
        )
    frames = cfg.FRAMES_PER_TR if variant.has_decoder else None
    return (
        ChunkBatches(data, learn, cfg.BATCH_SIZE, frames, seed),
        ChunkBatches(data, choose, cfg.BATCH_SIZE, frames),
    )


class EpochClock(keras.callbacks.Callback):
    """Seconds of every epoch."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.monotonic() - self._start)


def predict(
    network: keras.Model, data: FilmData, table: pd.DataFrame, batch: int
) -> dict[str, np.ndarray]:
    """What a trained network says about chunks, ``batch`` at a time.

    Returns
    -------
    "predicted" (n, n_voxels) float32; with a decoder also "from_predicted" and "from_measured" (n,
    pixels, pixels, 3) float16: its frames of the predicted and of the measured voxels, as they
    leave it, not clipped to 0 … 1.
    """
    if data.variant.is_lagged:
        return {"predicted": predict_lagged(network, data, table, batch)}
    has_decoder = len(network.outputs) == 2
    parts: dict[str, list] = {}
    measured = data.bold(table)
    for start in range(0, len(table), batch):
        out = network.predict_on_batch(data.frames(table.iloc[start : start + batch]))
        parts.setdefault("predicted", []).append(
            np.asarray(out[0] if has_decoder else out, dtype=np.float32)
        )
        if has_decoder:
            made = network.get_layer("decoder").predict_on_batch(measured[start : start + batch])
            parts.setdefault("from_predicted", []).append(np.asarray(out[1], dtype=np.float16))
            parts.setdefault("from_measured", []).append(np.asarray(made, dtype=np.float16))
    return {name: np.concatenate(values) for name, values in parts.items()}
