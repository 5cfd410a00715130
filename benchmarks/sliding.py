"""Time and peak memory of sliding a network over a run: window by window compared with shared work.

    python benchmarks/sliding.py                               41,489 voxels × 1,000 volumes: 1.3 GB
                                                               of disk, minutes
    python benchmarks/sliding.py --voxels 4000 --trs 200       a fraction of it

Plain: the run as one matrix, z-scored, and ``predict`` on batches of windows. Shared: the file is
read twice, volume by volume, and ``SharedSliding`` of ``neuroface.timeline`` predicts. Each runs in
a separate process, reads the same generated NIfTI file, and uses the paper's network with random
weights in float32. In the last rows the model is linear or second-order, and shared means that each
volume is multiplied with the weights once (``ProjectionSliding``). ``s per volume`` is the median
over passes through the model without the first, which compiles; ``s in all`` includes reading,
standardising and compiling.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import compare, machine, peak_gb

WINDOW_TRS, BATCH = 10, 20
KEYS = ("per_volume_s", "total_s", "peak_gb")
FULL_VOXELS, FULL_SIDE = 41_489, 85
MODELS = ("voxel_time_cnn", "linear", "linear_plus")  # the first one has no name in the table


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voxels", type=int, default=FULL_VOXELS)
    parser.add_argument("--trs", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.trs < 3 * BATCH:
        parser.error(f"--trs must be at least {3 * BATCH}")
    if args.one:
        print(json.dumps(measure(args.one[0], Path(args.one[1]))))
        return
    print(f"{machine('tensorflow', 'keras')}. Medians of {args.repeats}. Reproduce:")
    print(f"`python benchmarks/sliding.py --voxels {args.voxels} --trs {args.trs}`\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        whole, half = Path(folder), Path(folder, "half")
        half.mkdir()
        write_run(whole, args.voxels, args.trs)
        write_run(half, args.voxels, args.trs // 2)
        both = compare(__file__, ["plain", "shared"], whole, args.repeats, KEYS)
        shorter = compare(__file__, ["shared"], half, 1, KEYS)["shared"]
        print("| sliding | volumes | s per volume | × shared | s in all | × shared | peak GB |")
        print("|---|---|---|---|---|---|---|")
        for kind, result in both.items():
            ratios = {key: f"{result[key] / both['shared'][key]:.1f}" for key in KEYS[:2]}
            each = f"{result['per_volume_s']:.4f} | {ratios['per_volume_s']}"
            total = f"{result['total_s']:.1f} | {ratios['total_s']}"
            print(f"| {kind} | {args.trs} | {each} | {total} | {result['peak_gb']:.2f} |")
        each, total = f"{shorter['per_volume_s']:.4f}", f"{shorter['total_s']:.1f}"
        print(f"| shared | {args.trs // 2} | {each} | | {total} | | {shorter['peak_gb']:.2f} |")
        differences = [difference(whole, *both)]
        for model in MODELS[1:]:
            cases = [f"{kind} {model}" for kind in both]
            of_model = compare(__file__, cases, whole, args.repeats, KEYS)
            for case, result in of_model.items():
                ratios = {key: f"{result[key] / of_model[cases[1]][key]:.1f}" for key in KEYS[:2]}
                each = f"{result['per_volume_s']:.6f} | {ratios['per_volume_s']}"
                total = f"{result['total_s']:.1f} | {ratios['total_s']}"
                print(f"| {case} | {args.trs} | {each} | {total} | {result['peak_gb']:.2f} |")
            differences.append(difference(whole, *cases))
    print(f"\nLargest difference of the logits of both ways: {', '.join(differences)}.")


def difference(folder: Path, plain: str, shared: str) -> str:
    logits, others = (np.load(folder / f"{case}.npy") for case in (plain, shared))
    return f"{np.nanmax(np.abs(logits - others)):.1e} (SD {np.nanstd(logits):.2f})"


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
            file.write(
                (1000 + 100 * rng.standard_normal(side**3, dtype=np.float32))
                .astype(np.int16)
                .tobytes()
            )


def measure(kind: str, folder: Path) -> dict:
    """In the child process: predict the run, save its logits."""
    from neuroface.bold import read_mask
    from neuroface.decoding.architectures import build
    from neuroface.decoding.closed_form import linear
    from neuroface.pipeline import keras

    mask, affine = read_mask(folder / "mask.nii")
    keras.utils.set_random_seed(0)
    way, _, name = kind.partition(" ")
    if name == "linear":
        model = linear(
            np.random.default_rng(0).standard_normal((int(mask.sum()), WINDOW_TRS))
            / mask.sum() ** 0.5,
            0.0,
        )
    else:
        model = build(name or MODELS[0], mask, WINDOW_TRS, {})
    began = time.monotonic()
    logits, per_volume = {"plain": plain, "shared": shared}[way](
        folder / "run.nii", mask, affine, model
    )
    total = time.monotonic() - began
    np.save(folder / f"{kind}.npy", logits)
    return {
        "per_volume_s": float(np.median(per_volume[1:])),
        "total_s": total,
        "peak_gb": peak_gb(),
    }


def plain(file, mask, affine, model):
    from neuroface.bold import read_masked
    from neuroface.decoding import logit_network, predict_logits

    from scipy.stats import zscore

    matrix = zscore(read_masked(file, mask, affine), axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(matrix, WINDOW_TRS, axis=1).transpose(
        1, 0, 2
    )
    logit_model, logits, seconds = logit_network(model), np.full(matrix.shape[1], np.nan), []
    for start in range(0, len(windows), BATCH):
        part = windows[start : start + BATCH]
        began = time.monotonic()
        logits[start : start + len(part)] = predict_logits(logit_model, part, BATCH)
        seconds.append((time.monotonic() - began) / len(part))
    return logits, seconds


def shared(file, mask, affine, model):
    from neuroface.bold import RunningStatistics, stream_masked
    from neuroface.timeline import slide, sliding_predictor

    predictor, statistics, seconds = sliding_predictor(model, BATCH), RunningStatistics(), []
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


if __name__ == "__main__":
    main()
