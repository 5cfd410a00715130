"""Step time and peak memory of training: the form of the released loop compared with ours, in separate processes.

    python benchmarks/training.py                  the paper's network at 41,489 voxels: 22 GB of
                                                   memory, minutes
    python benchmarks/training.py --voxels 4000    a tenth of it

Released: loads all of X.npy and calls ``fit(X_train, y_train, batch_size=20)``. Ours:
``train_network``, which streams windows from the memory map and accumulates gradients over passes
with the stated number of windows. Network, batch, optimiser and data (random) are the same. A step
is a batch of 20 windows; the median leaves out the first step, which builds the graph.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from measure import machine

ROOT = Path(__file__).parent.parent
BATCH, WINDOW_TRS, RATE = 20, 10, 2e-4
NETWORK = {"filters": (64, 32, 32), "dense_units": 128}
N_PAPER = 3606
# (loop, precision, windows per pass)
CASES = (
    ("released", "float32", BATCH),
    ("ours", "float32", BATCH),
    ("ours", "float32", 10),
    ("ours", "float32", 5),
    ("ours", "bfloat16", BATCH),
    ("ours", "bfloat16", 5),
)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voxels", type=int, default=41_489)
    parser.add_argument(
        "--windows", type=int, default=100, help="windows in X.npy; the last 20 are for validation"
    )
    parser.add_argument("--steps", type=int, default=3, help="timed steps")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.windows < 2 * BATCH:
        parser.error(f"--windows must be at least {2 * BATCH}")
    if args.one:
        print(json.dumps(measure(*args.one, args.steps)))
        return
    print(f"{machine('tensorflow', 'keras')}. Reproduce:")
    command = f"python benchmarks/training.py --voxels {args.voxels} --windows {args.windows} --steps {args.steps}"
    print(f"`{command}`\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = write_windows(Path(folder) / "X.npy", args.windows, args.voxels)
        print("| loop | precision | windows per pass | s per step | ratio | peak GB | ratio |")
        print("|---|---|---|---|---|---|---|")
        first = {}
        for case in CASES:
            result = run_child(case, file, args)
            if "error" in result:
                print(
                    f"| {case[0]} | {case[1]} | {case[2]} | {result['error']} | | | |", flush=True
                )
                continue
            if case == CASES[0]:
                first = result
            step, peak = (f"{result[k]:.2f} | {result[k] / first[k]:.2f}" if first else f"{result[k]:.2f} | "
                          for k in ("step_s", "peak_gb"))  # fmt: skip
            print(f"| {case[0]} | {case[1]} | {case[2]} | {step} | {peak} |", flush=True)
    whole = N_PAPER * args.voxels * WINDOW_TRS * 4 / 1e9
    print(
        f"\nRatios are to the first row. X.npy has {args.windows} windows here. With the paper's {N_PAPER:,} the released"
    )
    print(
        f"loop needs {whole:.1f} GB more for X, and three quarters of this for X_train; ours needs no more."
    )


def write_windows(file: Path, n: int, n_voxels: int) -> Path:
    """Random windows (n, n_voxels, WINDOW_TRS) float32, one at a time."""
    X = np.lib.format.open_memmap(
        file, mode="w+", dtype=np.float32, shape=(n, n_voxels, WINDOW_TRS)
    )
    rng = np.random.default_rng(0)
    for window in X:
        window[:] = rng.standard_normal(window.shape, dtype=np.float32)
    return file


def run_child(case: tuple, file: Path, args) -> dict:
    command = [
        sys.executable,
        __file__,
        "--steps",
        str(args.steps),
        "--one",
        *map(str, case),
        str(file),
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        return {
            "error": "out of memory"
            if done.returncode == -9
            else done.stderr.strip().splitlines()[-1]
        }
    return json.loads(done.stdout.splitlines()[-1])


def measure(loop: str, precision: str, per_pass: str, file: str, steps: int) -> dict:
    """In the child process: train, and return the median step and the peak memory."""
    from neuroface.decoding import Fold
    from neuroface.pipeline import keras

    moments = []

    def tick(batch, logs=None):
        moments.append(time.monotonic())

    clock = keras.callbacks.LambdaCallback(on_train_batch_begin=tick, on_train_batch_end=tick)
    n = len(np.load(file, mmap_mode="r"))
    y, last = np.arange(n) % 2, np.arange(n - BATCH, n)
    fold = Fold(1, np.arange((n - BATCH) // BATCH * BATCH), last, last, "window")
    epochs = -(-(steps + 1) * BATCH // len(fold.train))
    loops = {"released": train_released, "ours": train_ours}
    loops[loop](file, y, fold, precision, int(per_pass), epochs, clock)
    passes = BATCH // int(per_pass)
    seconds = np.diff(np.reshape(moments, (-1, 2)))[:, 0].reshape(-1, passes).sum(axis=1)
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"step_s": float(np.median(seconds[1 : steps + 1])), "peak_gb": peak / 1e9}


def train_released(file: str, y, fold, precision: str, per_pass: int, epochs: int, clock) -> None:
    from neuroface.decoding import build_network
    from neuroface.pipeline import keras

    X = np.load(file)[..., None]
    X_train, y_train = X[fold.train], y[fold.train]
    network = build_network(*X.shape[1:3], **NETWORK, dtype=precision)
    network.compile(keras.optimizers.Adam(RATE), loss="binary_crossentropy", metrics=["accuracy"])
    network.fit(
        X_train,
        y_train,
        batch_size=per_pass,
        epochs=epochs,
        validation_data=(X[fold.validation], y[fold.validation]),
        class_weight={0: 1.0, 1: 1.0},
        callbacks=[keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=15), clock],
        verbose=0,
    )


def train_ours(file: str, y, fold, precision: str, per_pass: int, epochs: int, clock) -> None:
    from neuroface.decoding import build_network
    from neuroface.decoding.training import train_network

    X = np.load(file, mmap_mode="r")
    train_network(
        X,
        y,
        fold,
        partial(build_network, *X.shape[1:], **NETWORK),
        epochs=epochs,
        batch_size=BATCH,
        learning_rates=(RATE,),
        precision=precision,
        seed=0,
        per_pass=per_pass,
        callbacks=(clock,),
    )


if __name__ == "__main__":
    main()
