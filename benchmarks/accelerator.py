"""Training on a GPU or a CPU: seconds per epoch, share of the device's peak, time of the paper's whole training.

    KERAS_BACKEND=jax python benchmarks/accelerator.py                               a GPU at full
                                                                                     size: minutes
    python benchmarks/accelerator.py --voxels 1000 --windows 200 --batches 20        a test run
                                                                                     without one

A row is ``train_network`` on one fold in a separate process: three quarters of the windows for
training, the rest for validation. The first epoch includes compilation; it is left out of the
median, and counted once per fold in the time of the paper's 4 folds × 150 epochs. Operations are
counted from the shapes: 2 per multiply-add, and training costs about three forward passes. The peak
is the speed of a large matrix product in the same precision and the same process.
"""

import argparse
import json
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from measure import compare, machine, peak_gb
from training import NETWORK, RATE, write_windows

FOLDS, EPOCHS = 4, 150  # the paper's
KEYS = ("device", "epoch_s", "in_all_h", "tflops", "peak_tflops", "peak_gb", "on_gpu", "per_pass")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voxels", type=int, default=41_489)
    parser.add_argument("--windows", type=int, default=3_606)
    parser.add_argument("--batches", type=int, nargs="+", default=[20, 40, 80, 160])
    parser.add_argument("--epochs", type=int, default=4, help="of which the first is not timed")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one[0], Path(args.one[1]))))
        return
    if args.epochs < 2:
        parser.error("--epochs must be at least 2: the first is not timed")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_windows(folder / "X.npy", args.windows, args.voxels)
        (folder / "epochs").write_text(str(args.epochs))
        first = args.batches[0]
        cases = [f"auto:{batch}:kept" for batch in args.batches]
        cases += [f"auto:{first}:streamed", f"float32:{first}:kept"]
        print(
            f"{machine('keras')}. {args.windows:,} windows of {args.voxels:,} voxels × 10 volumes.\n"
        )
        print(
            "| device | precision : batch | s per epoch | TFLOP/s | of a matrix product | peak GB | 4 × 150 epochs, h |"
        )
        print("|---|---|---|---|---|---|---|")
        for case in cases:
            print(row(case, compare(__file__, [case], folder, 1, KEYS)[case]), flush=True)
    print("\nPeak GB: of the GPU where there is one, else of the process.")


def row(case: str, result: dict) -> str:
    name = " : ".join(case.split(":")[:2])
    if "error" in result:
        return f"| | {name} | {result['error']} | | | | |"
    name += f", {result['per_pass']} at a time" * (result["per_pass"] < int(case.split(":")[1]))
    name += ", windows on the GPU" if result["on_gpu"] else ", streamed"
    share = result["tflops"] / result["peak_tflops"]
    return (
        f"| {result['device']} | {name} | {result['epoch_s']:.3g} | {result['tflops']:.3g} | "
        f"{share:.0%} of {result['peak_tflops']:.3g} | {result['peak_gb']:.1f} | {result['in_all_h']:.2f} |"
    )


def measure(case: str, folder: Path) -> dict:
    """In the child process: train, and return the time of an epoch."""
    from neuroface.decoding import Fold, build_network, training
    from neuroface.pipeline import HAS_GPU, keras

    precision, batch, where = case.split(":")
    if where == "streamed":
        training.windows_fit = lambda *_: False
    X = np.load(folder / "X.npy", mmap_mode="r")
    n, rows = len(X), np.random.default_rng(0).permutation(len(X))
    fold = Fold(
        1, np.sort(rows[n // 4 :]), np.sort(rows[: n // 4]), np.sort(rows[: n // 4]), "window"
    )
    moments = []
    clock = keras.callbacks.LambdaCallback(
        on_train_begin=lambda *_: moments.clear(),  # forgets an attempt that did not fit the memory
        on_epoch_begin=lambda *_: moments.append(time.monotonic()),
        on_epoch_end=lambda *_: moments.append(time.monotonic()),
    )
    started = time.monotonic()
    cost = training.train_network(
        X,
        np.arange(n) % 2,
        fold,
        partial(build_network, *X.shape[1:], **NETWORK),
        epochs=int((folder / "epochs").read_text()),
        batch_size=int(batch),
        learning_rates=(RATE,),
        precision=precision,
        seed=0,
        callbacks=(clock,),
    ).cost
    in_all = time.monotonic() - started
    peak = gpu_peak_gb() if HAS_GPU else peak_gb()  # before the matrix product runs
    epochs = np.diff(np.reshape(moments, (-1, 2)))[:, 0]
    epoch = float(np.median(epochs[1:]))
    operations = 2 * cost["multiply_adds"] * (3 * len(fold.train) + len(fold.validation))
    return {
        "epoch_s": epoch,
        "in_all_h": FOLDS * (in_all - epochs[1:].sum() + (EPOCHS - 1) * epoch) / 3600,
        "tflops": operations / epoch / 1e12,
        "peak_tflops": product_tflops(training.training_dtype(precision).removeprefix("mixed_")),
        "peak_gb": peak,
        "on_gpu": cost["windows_on_gpu"],
        "per_pass": cost["windows_per_pass"],
        "device": device(),
    }


def product_tflops(dtype: str, repeats: int = 20) -> float:
    """Speed of products of large square matrices on this device."""
    from neuroface.pipeline import HAS_GPU, compiled, keras

    n = 8192 if HAS_GPU else 2048
    factor = keras.ops.cast(np.random.default_rng(0).standard_normal((n, n)) / n**0.5, dtype)
    multiply = compiled(keras.ops.matmul)
    product = multiply(multiply(factor, factor), factor)
    float(product[0, 0])  # waits until the product is computed
    started = time.perf_counter()
    for _ in range(repeats):
        product = multiply(product, factor)
    float(product[0, 0])
    return 2 * n**3 * repeats / (time.perf_counter() - started) / 1e12


def gpu_peak_gb() -> float:
    from neuroface.pipeline import keras

    if keras.backend.backend() == "jax":
        import jax

        return jax.devices("gpu")[0].memory_stats()["peak_bytes_in_use"] / 1e9
    import tensorflow as tf

    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e9


def device() -> str:
    """The backend and the GPU that it computes on, if any."""
    from neuroface.pipeline import HAS_GPU, keras

    name = keras.backend.backend()
    if name == "jax":
        import jax

        return f"JAX {jax.__version__}, {jax.devices()[0].device_kind if HAS_GPU else 'CPU'}"
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    kind = (
        tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
        if gpus
        else "CPU"
    )
    return f"TensorFlow {tf.__version__}, {kind}"


if __name__ == "__main__":
    main()
