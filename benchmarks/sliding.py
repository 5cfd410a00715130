"""Time and peak memory of sliding a network over a run: every window anew against shared work, each in its own process.

    python benchmarks/sliding.py                               41,489 voxels × 1,000 volumes: 1.3 GB of disk, minutes
    python benchmarks/sliding.py --voxels 4000 --trs 200       a fraction of it

Plain: the run as one matrix, z-scored, and ``predict`` on batches of windows. Shared: two readings of the file, volume by
volume, and :class:`neuroface.sliding.SharedSliding`. Both read the same generated NIfTI file and use the paper's network
with random weights in float32. ``s per volume`` is the median over passes through the network, the first left out, which
compiles it; ``s in all`` has reading, standardising and compiling in it.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import psutil

ROOT = Path(__file__).parent.parent
WINDOW_TRS, BATCH = 10, 20
FULL_VOXELS, FULL_SIDE = 41_489, 85


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voxels", type=int, default=FULL_VOXELS)
    parser.add_argument("--trs", type=int, default=1000)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.trs < 3 * BATCH:
        parser.error(f"--trs must be at least {3 * BATCH}")
    if args.one:
        print(json.dumps(measure(args.one[0], Path(args.one[1]))))
        return
    print(f"{cpu()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB; Python")
    print(f"{platform.python_version()}, TensorFlow {version('tensorflow')}, Keras {version('keras')}. Reproduce:")
    print(f"`python benchmarks/sliding.py --voxels {args.voxels} --trs {args.trs}`\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        write_run(Path(folder), args.voxels, args.trs)
        half = Path(folder, "half")
        half.mkdir()
        write_run(half, args.voxels, args.trs // 2)
        print(
            "| sliding | volumes | s per volume | ratio | s in all | ratio | peak GB |\n|---|---|---|---|---|---|---|"
        )
        first = None
        for kind, where, n in (
            ("plain", folder, args.trs),
            ("shared", folder, args.trs),
            ("shared", half, args.trs // 2),
        ):
            result = run_child(kind, where)
            first = first or result
            each = f"{result['per_volume_s']:.4f} | {first['per_volume_s'] / result['per_volume_s']:.1f}×"
            whole = f"{result['total_s']:.1f} | " + (
                f"{first['total_s'] / result['total_s']:.1f}×" if n == args.trs else ""
            )
            print(f"| {kind} | {n} | {each} | {whole} | {result['peak_gb']:.2f} |", flush=True)
        plain, shared = (np.load(Path(folder, f"{kind}.npy")) for kind in ("plain", "shared"))
    print(
        f"\nLargest difference between their logits: {np.nanmax(np.abs(plain - shared)):.1e} (SD {np.nanstd(plain):.2f})."
    )


def write_run(folder: Path, n_voxels: int, n_trs: int) -> None:
    """``mask.nii`` with ``n_voxels`` of a grid as sparse as NNDb's, ``run.nii`` (int16), one volume at a time."""
    import nibabel as nib

    side = int(np.ceil(FULL_SIDE * (n_voxels / FULL_VOXELS) ** (1 / 3)))
    rng = np.random.default_rng(0)
    mask = np.zeros(side**3, dtype=np.uint8)
    mask[rng.choice(side**3, n_voxels, replace=False)] = 1
    nib.save(nib.Nifti1Image(mask.reshape(side, side, side), np.eye(4)), folder / "mask.nii")
    header = nib.Nifti1Header()
    header.set_data_shape((side, side, side, n_trs))
    header.set_data_dtype(np.int16)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    header.set_sform(np.eye(4), code=1)
    header["scl_slope"], header["scl_inter"] = 1, 0
    with open(folder / "run.nii", "wb") as file:
        file.write(header.binaryblock + bytes(4))
        for _ in range(n_trs):
            file.write((1000 + 100 * rng.standard_normal(side**3, dtype=np.float32)).astype(np.int16).tobytes())


def run_child(kind: str, folder) -> dict:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": os.environ.get("KERAS_BACKEND", "tensorflow")}
    command = [sys.executable, __file__, "--one", kind, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit("out of memory" if done.returncode == -9 else done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def measure(kind: str, folder: Path) -> dict:
    """In the child: predict the run, save its logits."""
    from neuroface.backend import keras
    from neuroface.bold import read_mask
    from neuroface.network import build_network

    mask, affine = read_mask(folder / "mask.nii")
    keras.utils.set_random_seed(0)
    model = build_network(int(mask.sum()), WINDOW_TRS)
    began = time.monotonic()
    logits, per_volume = {"plain": plain, "shared": shared}[kind](folder / "run.nii", mask, affine, model)
    total = time.monotonic() - began
    np.save(folder / f"{kind}.npy", logits)
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"per_volume_s": float(np.median(per_volume[1:])), "total_s": total, "peak_gb": peak / 1e9}


def plain(file, mask, affine, model):
    from neuroface.bold import read_masked, zscore
    from neuroface.network import logit_network, predict_logits

    matrix = read_masked(file, mask, affine)
    zscore(matrix)
    windows = np.lib.stride_tricks.sliding_window_view(matrix, WINDOW_TRS, axis=1).transpose(1, 0, 2)
    logit_model, logits, seconds = logit_network(model), np.full(matrix.shape[1], np.nan), []
    for start in range(0, len(windows), BATCH):
        part = windows[start : start + BATCH]
        began = time.monotonic()
        logits[start : start + len(part)] = predict_logits(logit_model, part, BATCH)
        seconds.append((time.monotonic() - began) / len(part))
    return logits, seconds


def shared(file, mask, affine, model):
    from neuroface.bold import stream_masked
    from neuroface.running import RunningStatistics
    from neuroface.sliding import slide, sliding

    predictor, statistics, seconds = sliding(model, BATCH), RunningStatistics(), []
    push = predictor.push

    def timed(volumes):
        began = time.monotonic()
        logits = push(volumes)
        seconds.append((time.monotonic() - began) / len(volumes))
        return logits

    predictor.push = timed
    for part in stream_masked(file, mask, affine, predictor.batch):
        statistics.add(part)
    volumes = stream_masked(file, mask, affine, predictor.batch)
    return slide(predictor, map(statistics.standardize, volumes)), seconds


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].split(":")[1].strip() if names else platform.processor()


if __name__ == "__main__":
    main()
