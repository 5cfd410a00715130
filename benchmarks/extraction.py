"""From a run's .nii.gz to its windows: time and peak memory of several ways, each in a separate process.

    python benchmarks/extraction.py                   600 volumes of 85 × 85 × 85: 8 GB of memory,
                                                      minutes
    python benchmarks/extraction.py --volumes 150     a quarter of it

"get_fdata, text": as in the paper's released code: the run as float64, indexed by the mask, one
text file per window. "NiftiMasker": that of nilearn, z-scored over the run, windows saved as .npy.
"decompress only": isal decompresses the file and discards the content. "ours": as in script 1,
which keeps only the windows, in float32. The run is random: 41,489 voxels of a mask in a brain of
twice as many voxels, zero elsewhere; it is about as compressible as runs of NNDb.
"""

import argparse
import tempfile
from pathlib import Path

import measure
import numpy as np

GRID, N_VOXELS, WINDOW_TRS = (85, 85, 85), 41_489, 10
VOLUMES_PER_WINDOW = 90  # NNDb: about 60 windows in 5,470 volumes
OURS = "ours, z-scored"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--volumes", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        CASES[args.one[0]](Path(args.one[1]))
        return
    print(f"{measure.machine('numpy', 'nibabel', 'nilearn', 'isal')}. Reproduce:")
    print(
        f"`python benchmarks/extraction.py --volumes {args.volumes} --repeats {args.repeats}`\n",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        write_run(Path(folder), args.volumes)
        size = (Path(folder) / "run.nii.gz").stat().st_size
        print(
            f"{args.volumes} volumes, {size / 1e6:.0f} MB; voxels × volumes in float32 are ", end=""
        )
        print(f"{N_VOXELS * args.volumes * 4 / 1e6:.0f} MB. Medians of {args.repeats}.\n")
        print(
            "| stage | way | s | × ours | peak GB | × ours |\n|---|---|---|---|---|---|", flush=True
        )
        measure.print_rows(
            "1", measure.compare(__file__, list(CASES), Path(folder), args.repeats), OURS
        )


def write_run(folder: Path, n_volumes: int) -> None:
    """``run.nii.gz``, ``mask.nii.gz`` and ``starts.npy``; volume by volume, so that this needs little memory."""
    import nibabel as nib
    from isal import igzip

    rng = np.random.default_rng(0)
    distance = np.linalg.norm(np.indices(GRID) - np.array(GRID)[:, None, None, None] / 2, axis=0)
    order = np.argsort(distance.ravel(), kind="stable")
    mask, brain = np.zeros((2, np.prod(GRID)), dtype=bool)
    mask[order[:N_VOXELS]], brain[order[: 2 * N_VOXELS]] = True, True
    affine = np.diag([3.0, 3, 3, 1])
    nib.save(nib.Nifti1Image(mask.reshape(GRID).astype(np.uint8), affine), folder / "mask.nii.gz")
    header = nib.Nifti1Image(np.empty((*GRID, 0), dtype=np.float32), affine).header
    header.set_data_shape((*GRID, n_volumes))
    header["vox_offset"] = 352
    inside = brain.reshape(GRID).ravel(order="F")
    with igzip.open(folder / "run.nii.gz", "wb", compresslevel=1) as file:
        file.write(header.binaryblock + bytes(4))
        volume = np.zeros(len(inside), dtype=np.float32)
        for _ in range(n_volumes):
            volume[inside] = rng.standard_normal(inside.sum(), dtype=np.float32) + 100
            file.write(volume)
    windows = max(1, n_volumes // VOLUMES_PER_WINDOW)
    np.save(folder / "starts.npy", np.linspace(0, n_volumes - WINDOW_TRS, windows).astype(int))


def ours(folder: Path, standardize: str) -> None:
    from neuroface.bold import extract_windows, read_mask

    mask, affine = read_mask(folder / "mask.nii.gz")
    starts = np.load(folder / "starts.npy")
    target = folder / f"ours-{standardize}.npy"
    measure.timed(
        extract_windows,
        target,
        folder / "run.nii.gz",
        mask,
        affine,
        starts,
        WINDOW_TRS,
        standardize,
    )


def decompress(folder: Path) -> None:
    from isal import igzip

    def read():
        buffer = bytearray(2**20)
        with igzip.open(folder / "run.nii.gz") as file:
            while file.readinto(buffer):
                pass

    measure.timed(read)


def nilearn(folder: Path) -> None:
    from nilearn.maskers import NiftiMasker

    def read():
        matrix = (
            NiftiMasker(folder / "mask.nii.gz", standardize="zscore_sample")
            .fit_transform(folder / "run.nii.gz")
            .T
        )
        starts = np.load(folder / "starts.npy")
        np.save(folder / "nilearn.npy", np.stack([matrix[:, t : t + WINDOW_TRS] for t in starts]))

    measure.timed(read)


def released(folder: Path) -> None:
    import nibabel as nib

    def read():
        run = nib.load(folder / "run.nii.gz").get_fdata()
        mask = nib.load(folder / "mask.nii.gz").get_fdata().reshape(-1) > 0
        matrix = run.reshape(-1, run.shape[3])[mask]
        for i, t in enumerate(np.load(folder / "starts.npy")):
            np.savetxt(folder / f"window-{i}.txt", matrix[:, t : t + WINDOW_TRS])

    measure.timed(read)


CASES = {
    OURS: lambda folder: ours(folder, "zscore"),
    "ours, not standardised": lambda folder: ours(folder, "none"),
    "decompress only": decompress,
    "NiftiMasker": nilearn,
    "get_fdata, text": released,
}

if __name__ == "__main__":
    main()
