"""Linear models and the second-order model at the size of NNDb: time and memory of one fold, and of the inner products.

    python benchmarks/linear.py                       3,606 windows × 41,489 voxels × 10 volumes: 6
                                                      GB on disk, minutes
    python benchmarks/linear.py --voxels 4000         a tenth of it
    python benchmarks/linear.py --windows 600 --voxels 10000      fewer windows too

Each step runs in a separate process. Its memory is the peak without those parts of X.npy that the
system keeps because they were read and that it can drop at any time (RssAnon of Linux, read ten
times per second).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from measure import machine

N_WINDOWS, TRS, MASK_SIDE, PEOPLE = 3606, 10, 85, 85
STEPS = (
    "kernel of windows",
    "kernel of means",
    "linear",
    "linear_plus",
    "screened_ridge",
    "clustered_ridge",
)


def write_windows(folder: Path, n_windows: int, n_voxels: int) -> None:
    """Noise with a linear signal in a fiftieth of the voxels."""
    rng = np.random.default_rng(0)
    X = np.lib.format.open_memmap(
        folder / "X.npy", mode="w+", dtype=np.float32, shape=(n_windows, n_voxels, TRS)
    )
    y = rng.permutation(np.arange(n_windows) % 2).astype(np.int8)
    for row in range(n_windows):
        X[row] = rng.standard_normal((n_voxels, TRS), dtype=np.float32)
        X[row, : n_voxels // 50] += 0.05 * (2 * y[row] - 1)
    np.save(folder / "y.npy", y)


def one(step: str, folder: Path) -> None:
    from neuroface.decoding import Fold, Training, Windows, fit_fold, write_kernel

    X = np.load(folder / "X.npy", mmap_mode="r")
    mask = np.zeros(MASK_SIDE**3, dtype=bool)
    mask[: X.shape[1]] = True
    rows = np.arange(len(X))
    events, people = rows.astype(str), (rows % PEOPLE).astype(str)
    windows = Windows(folder, folder, mask.reshape((MASK_SIDE,) * 3), events, people, {})
    test, *inner = np.array_split(rows, 4)
    pairs = [(np.setdiff1d(np.concatenate(inner), part), part) for part in inner]
    fold = Fold(1, *pairs[0], test, "movie", further_inner=tuple(pairs[1:]))
    started, cpu_started, memory = time.perf_counter(), time.process_time(), OwnMemory()
    memory.start()
    if step.startswith("kernel"):
        write_kernel(windows, "linear" if step.endswith("windows") else "linear-mean")
        found = {}
    else:
        unused = Training(
            options={}, recipe="robust", epochs=1, steps=1, batch_size=1, learning_rate="auto", precision="float32",
            n_jobs=1, inference_batch=1,
        )  # fmt: skip
        fitted = fit_fold(step, windows, fold, unused, 0)
        found = {
            "inner_accuracy": float(
                np.mean((fitted.inner_logit > 0) == windows.y[fitted.inner_rows])
            )
        }
    spent = {
        "seconds": time.perf_counter() - started,
        "cpu_s": time.process_time() - cpu_started,
        "own_gb": memory.peak_gb,
    }
    print(json.dumps(spent | found))


class OwnMemory(threading.Thread):
    """Watches the memory of this process without pages of files."""

    peak_gb = 0.0

    def __init__(self):
        super().__init__(daemon=True)

    def run(self):
        while True:
            lines = Path("/proc/self/status").read_text().splitlines()
            (kilobytes,) = (int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
            self.peak_gb = max(self.peak_gb, kilobytes * 1024 / 1e9)
            time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=N_WINDOWS)
    parser.add_argument("--voxels", type=int, default=41489)
    parser.add_argument(
        "--folder", type=Path, default=None, help="for the windows; by default a temporary one"
    )
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one[0], Path(options.one[1]))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        write_windows(Path(folder), options.windows, options.voxels)
        print(machine("numpy", "scipy"))
        print(f"{options.windows:,} windows × {options.voxels:,} voxels × {TRS} volumes\n")
        print("| step | seconds | CPU seconds | peak, GB |\n|---|---|---|---|")
        for step in STEPS:
            done = subprocess.run(
                [sys.executable, __file__, "--one", step, folder], capture_output=True, text=True
            )
            if done.returncode:
                sys.exit(done.stderr)
            found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"| {step} | {found['seconds']:.0f} | {found['cpu_s']:.0f} | {found['own_gb']:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
