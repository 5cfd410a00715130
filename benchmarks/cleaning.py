"""Clean a run and cut its windows: time and peak memory of several ways, each in a separate process.

    python benchmarks/cleaning.py                   600 volumes of 85 × 85 × 85: 8 GB of memory,
                                                    minutes
    python benchmarks/cleaning.py --volumes 150     a quarter of it
    python benchmarks/cleaning.py --cpu             seconds of processor time, where others use the
                                                    machine too

The run is that of benchmarks/extraction.py, at a TR of 1 s. "not cleaned": as script 1 with DENOISE
= "none". "trend, cosines": DENOISE = "detrend", high-pass at 1/128 Hz; "24 confounds": random ones,
beside these. "NiftiMasker": with ``detrend``, ``high_pass`` by cosines and the same confounds. The
windows of the last two are compared.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import measure
import numpy as np
from extraction import WINDOW_TRS, write_run

TR_S, HIGH_PASS_HZ, N_CONFOUNDS = 1.0, 1 / 128, 24
CPU = "CPU seconds: "
PLAIN, OURS, NILEARN = "not cleaned", "trend, cosines, 24 confounds", "NiftiMasker"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--volumes", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        CASES[args.one[0].removeprefix(CPU)](
            Path(args.one[1]), cpu_timed if args.one[0].startswith(CPU) else measure.timed
        )
        return
    print(f"{measure.machine('numpy', 'scipy', 'nibabel', 'nilearn', 'isal')}. Reproduce:")
    options = f"--volumes {args.volumes} --repeats {args.repeats}{' --cpu' * args.cpu}"
    print(f"`python benchmarks/cleaning.py {options}`\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        write_run(folder, args.volumes)
        np.save(
            folder / "confounds.npy",
            np.random.default_rng(1).standard_normal((args.volumes, N_CONFOUNDS)),
        )
        cases = [CPU * args.cpu + case for case in CASES]
        print(f"{args.volumes} volumes. Medians of {args.repeats}.\n")
        print(
            "| stage | way | s | × not cleaned | peak GB | × not cleaned |\n|---|---|---|---|---|---|",
            flush=True,
        )
        measure.print_rows("1", measure.compare(__file__, cases, folder, args.repeats), cases[0])
        ours, nilearns = (np.load(folder / f"{name}.npy") for name in (OURS, NILEARN))
        unbiased = np.sqrt((args.volumes - 1) / args.volumes)  # nilearn's SD divides by n − 1
        off = np.abs(ours * unbiased - nilearns).max() / np.abs(nilearns).max()
        print(
            f"\nLargest difference between ours and nilearn's windows, relative to the largest value: {off:.1e}"
        )


def cpu_timed(work) -> None:
    """As ``measure.timed``, with processor time."""
    started = time.process_time()
    work()
    print(json.dumps({"seconds": time.process_time() - started, "peak_gb": measure.peak_gb()}))


def ours(folder: Path, timed, name: str, drift: bool = True, confounds: bool = False) -> None:
    from neuroface.bold import extract_windows, read_mask
    from neuroface.bold.projection import Cleaning, drift_regressors

    mask, affine = read_mask(folder / "mask.nii.gz")
    starts, table = np.load(folder / "starts.npy"), np.load(folder / "confounds.npy")
    target = folder / f"{name}.npy"

    def extract():
        cleaning = None
        if drift:
            nuisance = drift_regressors(len(table), TR_S, HIGH_PASS_HZ)
            nuisance = np.hstack([nuisance, table]) if confounds else nuisance
            cleaning = Cleaning(nuisance, np.ones(len(table), dtype=bool))
        extract_windows(
            target, folder / "run.nii.gz", mask, affine, starts, WINDOW_TRS, "zscore", cleaning
        )

    timed(extract)


def nilearn(folder: Path, timed, name: str) -> None:
    from nilearn.maskers import NiftiMasker

    def read():
        masker = NiftiMasker(
            folder / "mask.nii.gz", standardize="zscore_sample", detrend=True, high_pass=HIGH_PASS_HZ, t_r=TR_S,
            clean_args={"filter": "cosine"},
        )  # fmt: skip
        matrix = masker.fit_transform(
            folder / "run.nii.gz", confounds=np.load(folder / "confounds.npy")
        ).T
        windows = np.stack([matrix[:, t : t + WINDOW_TRS] for t in np.load(folder / "starts.npy")])
        np.save(folder / f"{name}.npy", windows)

    timed(read)


CASES = {
    PLAIN: lambda folder, timed: ours(folder, timed, PLAIN, drift=False),
    "trend, cosines": lambda folder, timed: ours(folder, timed, "drift"),
    OURS: lambda folder, timed: ours(folder, timed, OURS, confounds=True),
    NILEARN: lambda folder, timed: nilearn(folder, timed, NILEARN),
}

if __name__ == "__main__":
    main()
