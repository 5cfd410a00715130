"""A session of NSD's single-trial estimates: time and peak memory of reading the voxels of the regions from its HDF5 file.

    python benchmarks/betas.py                        subj01's grid, 2 GB of disk; the old way takes
                                                      many minutes
    python benchmarks/betas.py --grid 42 52 41        an eighth of the voxels

"ours": as script 1 of studies/seen_images. "50 trials at a time": all voxels of 50 trials, then
those of the regions, as in earlier versions. Layouts of the file: "voxels", NSD's own chunks of one
voxel × 750 trials; "trials", one chunk per trial; "none", without chunks. The values are random;
18,235 voxels on a shell, as many as the publication's regions have, or fewer on a smaller grid.
"""

import argparse
import tempfile
from pathlib import Path

import measure
import numpy as np

N_TRIALS, GRID, N_VOXELS = 750, (83, 104, 81), 18_235  # grid: z, y, x, as in the file
OURS, BEFORE = "ours", "50 trials at a time"
LAYOUTS = ("voxels", "trials", "none")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--grid", type=int, nargs=3, default=GRID)
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=LAYOUTS)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        read(args.one[0], Path(args.one[1]))
        return
    print(f"{measure.machine('numpy', 'h5py')}. Reproduce:")
    print(
        f"`python benchmarks/betas.py --grid {' '.join(map(str, args.grid))} --repeats {args.repeats}`\n"
    )
    print(f"{N_TRIALS} trials of {' × '.join(map(str, args.grid))} voxels.\n")
    print("| chunks | way | s | × ours | peak GB | × ours |\n|---|---|---|---|---|---|", flush=True)
    for layout in args.layouts:
        with tempfile.TemporaryDirectory() as folder:
            write_session(Path(folder), tuple(args.grid), layout)
            measure.print_rows(
                layout, measure.compare(__file__, [OURS, BEFORE], Path(folder), args.repeats), OURS
            )


def write_session(folder: Path, grid: tuple[int, int, int], layout: str) -> None:
    """``betas.hdf5`` and ``inside.npy`` (z, y, x) bool."""
    import h5py

    distance = np.linalg.norm(np.indices(grid) - np.array(grid)[:, None, None, None] / 2, axis=0)
    share = N_VOXELS / np.prod(GRID)
    inside = np.zeros(grid, dtype=bool)
    inside.ravel()[
        np.argsort(np.abs(distance - min(grid) / 4).ravel(), kind="stable")[
            : int(share * inside.size)
        ]
    ] = True
    np.save(folder / "inside.npy", inside)
    chunks = {"voxels": (N_TRIALS, 1, 1, 1), "trials": (1, *grid), "none": None}[layout]
    rng = np.random.default_rng(0)
    with h5py.File(folder / "betas.hdf5", "w") as file:
        betas = file.create_dataset("betas", (N_TRIALS, *grid), np.int16, chunks=chunks)
        if layout != "voxels":
            for trial in range(N_TRIALS):
                betas[trial] = rng.integers(-3000, 3000, grid, dtype=np.int16)
            return
        for place in np.ndindex(grid):
            betas.id.write_direct_chunk(
                (0, *place), rng.integers(-3000, 3000, N_TRIALS, dtype=np.int16).tobytes()
            )


def read(way: str, folder: Path) -> None:
    from seen_images.hdf5_voxels import read_voxels

    import h5py

    inside = np.load(folder / "inside.npy")

    def by_chunks():
        with h5py.File(folder / "betas.hdf5") as file:
            return read_voxels(file["betas"], np.argwhere(inside))

    def by_trials():
        with h5py.File(folder / "betas.hdf5") as file:
            betas = file["betas"]
            return np.concatenate(
                [betas[start : start + 50][:, inside] for start in range(0, len(betas), 50)]
            )

    measure.timed({OURS: by_chunks, BEFORE: by_trials}[way])


if __name__ == "__main__":
    main()
