"""One training step with oneDNN and without it, in processes that take turns: ``python benchmarks/onednn.py``.

TensorFlow turns oneDNN on by itself only on some processors; the project turns it on everywhere
(``pipeline/backend.py``).
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SHAPE, N_TRS, BATCH, STEPS = (14, 17, 14), 10, 16, 3
NETWORKS = ("voxel_time_cnn", "cnn3d", "hybrid")
SIZES = {
    "voxel_time_cnn": {"filters": (8, 8, 8), "dense_units": 32},
    "cnn3d": {"filters": (8, 8, 16), "dense_units": 32},
    "hybrid": {"filters": (8, 8, 16), "width": 32, "heads": 4, "depth": 2, "feed_forward": 64},
}


def seconds_per_step(name: str) -> float:
    """Median over steps of a network of the demo's size, after one step that builds the graph."""
    sys.path.insert(0, str(ROOT))
    from neuroface.decoding import build

    import numpy as np

    mask = np.ones(SHAPE, dtype=bool)
    network = build(name, mask, N_TRS, SIZES[name])
    network.compile("adam", "binary_crossentropy")
    windows = (
        np.random.default_rng(0)
        .standard_normal((BATCH, int(mask.sum()), N_TRS, 1))
        .astype(np.float32)
    )
    labels = (np.arange(BATCH) % 2).astype(np.float32)[:, None]
    network.train_on_batch(windows, labels)
    taken = []
    for _ in range(STEPS):
        start = time.perf_counter()
        network.train_on_batch(windows, labels)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main(repeats: int):
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; {BATCH} windows of {SHAPE} × {N_TRS}"
    )
    print("| network | without oneDNN, s | with, s | ratio |\n|---|---|---|---|")
    for name in NETWORKS:
        taken = {"0": [], "1": []}
        for _ in range(repeats):
            for on in taken:
                environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": on}
                command = [sys.executable, __file__, "--one", name]
                done = subprocess.run(command, env=environment, capture_output=True, text=True)
                if done.returncode:
                    sys.exit(done.stderr)
                taken[on].append(float(done.stdout))
        without, with_it = (statistics.median(taken[on]) for on in taken)
        print(f"| {name} | {without:.3f} | {with_it:.3f} | {without / with_it:.1f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", choices=NETWORKS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(seconds_per_step(arguments.one))
    else:
        main(arguments.repeats)
