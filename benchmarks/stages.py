"""Scripts 2, 5, 6 and 7 at full geometry: time and peak memory compared with plain code, each in a separate process.

    python benchmarks/stages.py                       minutes, 4 GB of memory
    python benchmarks/stages.py --windows 6 --seconds 2

The plain code. Script 2: text files of windows are read into a list, converted to one array and
saved; the same from .npy files. Script 5: one volume per window is filled at the mask and saved by
nibabel. Script 6: ``get_fdata`` of all maps; the mean is saved by nibabel. Script 7: nilearn
projects and plots each second, one PNG per panel, and the PNGs are combined in one figure. Windows
are random numbers in a mask of 41,489 voxels on an 85 × 85 × 85 grid. "ours": the functions that
the scripts call.
"""

import argparse
import runpy
import tempfile
from pathlib import Path

import measure
import numpy as np

N_VOXELS, WINDOW_TRS, PER_FILE = 41_489, 10, 10
OURS = "ours"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--windows", type=int, default=20, help="joined (2), written (5), averaged (6)"
    )
    parser.add_argument("--seconds", type=int, default=10, help="drawn (7)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        stage, way = args.one[0].split(": ")
        WAYS[stage][way](Path(args.one[1]))
        return
    print(f"{measure.machine('numpy', 'nibabel', 'nilearn', 'isal', 'matplotlib')}. Reproduce:")
    command = f"--windows {args.windows} --seconds {args.seconds} --repeats {args.repeats}"
    print(f"`python benchmarks/stages.py {command}`\n", flush=True)
    print(f"{args.windows} windows, {args.seconds} seconds drawn. Medians of {args.repeats}.\n")
    print("| stage | way | s | × ours | peak GB | × ours |\n|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(Path(folder), args.windows, args.seconds)
        for stage, ways in WAYS.items():
            cases = [f"{stage}: {way}" for way in ways]
            results = measure.compare(__file__, cases, Path(folder), args.repeats)
            by_way = {case.split(": ")[1]: result for case, result in results.items()}
            measure.print_rows(stage, by_way, OURS)


def write_inputs(folder: Path, n_windows: int, seconds: int) -> None:
    """``mask.nii.gz``; windows as text, and ten per .npy file; a map per window; the map whose seconds are drawn."""
    import nibabel as nib
    from nilearn.datasets import load_mni152_brain_mask
    from nilearn.image import resample_img
    from scipy import ndimage

    affine = np.array([[-3.0, 0, 0, 126], [0, 3, 0, -144], [0, 0, 3, -90], [0, 0, 0, 1]])
    brain = (
        resample_img(
            load_mni152_brain_mask(), affine, (85, 85, 85), interpolation="nearest"
        ).get_fdata()
        > 0
    )
    depth = ndimage.distance_transform_edt(brain)
    mask = depth >= np.sort(depth.ravel())[-N_VOXELS]
    mask &= np.cumsum(mask).reshape(mask.shape) <= N_VOXELS  # ties at the surface
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), folder / "mask.nii.gz")
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((n_windows, N_VOXELS, WINDOW_TRS), dtype=np.float32)
    for start in range(0, n_windows, PER_FILE):
        np.save(folder / f"part-{start:04}_windows.npy", windows[start : start + PER_FILE])
    for i, window in enumerate(windows):
        np.savetxt(folder / f"window-{i:04}.txt", window)
        volume = np.zeros((*mask.shape, WINDOW_TRS), dtype=np.float32)
        volume[mask] = window
        nib.save(nib.Nifti1Image(volume, affine), folder / f"map-{i:04}.nii.gz")
    smooth = (
        ndimage.gaussian_filter(rng.standard_normal((*mask.shape, seconds)), (2, 2, 2, 0))
        * mask[..., None]
    )
    nib.save(nib.Nifti1Image(smooth.astype(np.float32), affine), folder / "group.nii.gz")


# ---------------------------------------------------------------- 2, one array


def join_text(folder: Path) -> None:
    def work():
        windows = [np.loadtxt(file) for file in sorted(folder.glob("window-*.txt"))]
        np.save(folder / "X-text.npy", np.array(windows, dtype=np.float32))

    measure.timed(work)


def join_arrays(folder: Path) -> None:
    def work():
        parts = [np.load(file) for file in sorted(folder.glob("part-*.npy"))]
        np.save(folder / "X-npy.npy", np.concatenate(parts))

    measure.timed(work)


def join_ours(folder: Path) -> None:
    join_windows = runpy.run_path(str(measure.ROOT / "2-load-data.py"))["join_windows"]
    files = sorted(folder.glob("part-*.npy"))
    n = sum(len(np.load(file, mmap_mode="r")) for file in files)
    measure.timed(join_windows, files, folder / "X.npy", n)


# ---------------------------------------------------------------- 5, a map per window


def maps_plain(folder: Path) -> None:
    import nibabel as nib

    def work():
        image = nib.load(folder / "mask.nii.gz")
        mask = image.get_fdata() > 0
        for file in sorted(folder.glob("part-*.npy")):
            for i, window in enumerate(np.load(file)):
                volume = np.zeros((*mask.shape, WINDOW_TRS), dtype=np.float32)
                volume[mask] = window
                nib.save(
                    nib.Nifti1Image(volume, image.affine), folder / f"plain-{file.stem}-{i}.nii.gz"
                )

    measure.timed(work)


def maps_ours(folder: Path) -> None:
    from neuroface.bold import read_mask, write_map
    from neuroface.pipeline import open_npy

    def work():
        mask, affine = read_mask(folder / "mask.nii.gz")
        for file in sorted(folder.glob("part-*.npy")):
            for i, window in enumerate(open_npy(file)):
                write_map(folder / f"ours-{file.stem}-{i}.nii.gz", window, mask, affine, 1.0)

    measure.timed(work)


# ---------------------------------------------------------------- 6, their mean


def mean_plain(folder: Path) -> None:
    import nibabel as nib

    def work():
        images = [nib.load(file) for file in sorted(folder.glob("map-*.nii.gz"))]
        mean = np.mean([image.get_fdata() for image in images], axis=0)
        nib.save(nib.Nifti1Image(mean, images[0].affine), folder / "plain-mean.nii.gz")

    measure.timed(work)


def mean_ours(folder: Path) -> None:
    from neuroface.bold import mean_of_maps, read_mask, write_map

    def work():
        mask, affine = read_mask(folder / "mask.nii.gz")
        mean, _ = mean_of_maps(sorted(folder.glob("map-*.nii.gz")), mask, affine)
        write_map(folder / "ours-mean.nii.gz", mean, mask, affine, 1.0)

    measure.timed(work)


# ---------------------------------------------------------------- 7, surface figures


def figure_plain(folder: Path) -> None:
    import nibabel as nib
    from matplotlib import pyplot as plt
    from nilearn.datasets import load_fsaverage, load_fsaverage_data
    from nilearn.image import index_img
    from nilearn.plotting import plot_surf_stat_map
    from nilearn.surface import SurfaceImage

    panels = [("ventral", "left"), ("ventral", "right"), ("lateral", "left"), ("lateral", "right")]

    def work():
        meshes, sulcal = (
            load_fsaverage("fsaverage5"),
            load_fsaverage_data(mesh="fsaverage5", data_type="sulcal"),
        )
        n = nib.load(folder / "group.nii.gz").shape[3]
        grid, axes = plt.subplots(len(panels), n, figsize=(1.55 * n, 5.6), squeeze=False)
        for second in range(n):
            volume = index_img(folder / "group.nii.gz", second)
            values = SurfaceImage.from_volume(
                meshes["pial"], volume, inner_mesh=meshes["white_matter"]
            )
            for row, (view, side) in enumerate(panels):
                figure = plot_surf_stat_map(
                    stat_map=values,
                    surf_mesh=meshes["inflated"],
                    bg_map=sulcal,
                    hemi=side,
                    view=view,
                    colorbar=False,
                )
                file = folder / f"panel-{second}-{row}.png"
                figure.savefig(file, dpi=150)
                plt.close(figure)
                axes[row, second].imshow(plt.imread(file))
                axes[row, second].axis("off")
        grid.savefig(folder / "plain.png", dpi=150)

    measure.timed(work)


def figure_ours(folder: Path) -> None:
    from neuroface.bold import read_mask, read_masked, read_rois
    from neuroface.maps import draw_surfaces, load_hemispheres, project

    def work():
        mask, affine = read_mask(folder / "mask.nii.gz")
        rois = read_rois(measure.ROOT / "masks" / "face_rois.tsv")
        hemispheres = load_hemispheres(rois, mask, affine)
        values = project(read_masked(folder / "group.nii.gz", mask, affine), hemispheres)
        seconds = [str(second) for second in range(values["left"].shape[1])]
        draw_surfaces(values, hemispheres, seconds, "map", "logit", folder / "ours.png", copies=())

    measure.timed(work)


WAYS = {
    "2": {OURS: join_ours, "text, list, array": join_text, "np.load, concatenate": join_arrays},
    "5": {OURS: maps_ours, "nib.save": maps_plain},
    "6": {OURS: mean_ours, "get_fdata, np.mean": mean_plain},
    "7": {OURS: figure_ours, "nilearn, PNG per panel": figure_plain},
}

if __name__ == "__main__":
    main()
