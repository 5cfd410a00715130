"""The demo's BOLD as volumes, on fsaverage5 (GIFTI), and in 400 parcels: held-out AUC of models in closed form, movie folds.

``python benchmarks/surfaces.py [--seconds 900] [--voxel-mm 8] [--folder FOLDER]`` draws the demo's data set, projects each
run to both hemispheres with nilearn's ``vol_to_surf`` (the voxel midway between pial and white surface), averages the
voxels of 400 parcels (k-means of their positions), and runs scripts 1 to 3 on each form.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from neuroface.bold import read_1d
from neuroface.face_study.demo import write_demo

import nibabel as nib
import numpy as np
import pandas as pd
from nilearn.datasets import load_fsaverage
from nilearn.surface import vol_to_surf
from sklearn.cluster import KMeans

ROOT = Path(__file__).parents[1]
SCRIPTS = (
    "1-preprocess_naturalistic_fmri.py",
    "2-load-data.py",
    "3-train_voxel_time_cnn.py",
)
N_PARCELS, SEED, TR_S = 400, 42, 1.0
FORMS = {
    "volumes": {"SPACE": "MNI", "BIDS_FILTER": "space-MNI"},
    "fsaverage5": {"SPACE": "surface", "BIDS_FILTER": "space-fsaverage5"},
    "400 parcels": {"SPACE": "native", "BIDS_FILTER": "seg-kmeans_stat-mean_timeseries"},
}
SETTINGS = {
    "DATASET": "bids", "ROI_FILE": None, "TR_S": TR_S, "CV_SPLITS": ("movie",), "HELD_OUT_SPLIT": "movie",
    "MODELS": ("screened_ridge",), "BASELINES": ("linear",), "N_PERMUTATIONS": 19, "N_JOBS": 1,
    "EXPLAINED_MODEL": "screened_ridge",
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=900, help="length of each film")
    parser.add_argument("--voxel-mm", type=int, default=8)
    parser.add_argument("--folder", type=Path, help="keep the data and results there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        write_demo(
            folder / "demo",
            ROOT / "masks" / "face_rois.tsv",
            SEED,
            options.seconds,
            options.voxel_mm,
        )
        write_forms(folder / "demo", folder / "forms")
        tables = {}
        for form, own in FORMS.items():
            run_scripts(folder, form, own)
            table = pd.read_csv(
                folder / form.replace(" ", "-") / "3-model" / "movie" / "models.tsv", sep="\t"
            )
            tables[form] = table.set_index("model")["auc"]
        aucs = pd.DataFrame(tables)
        for form in list(FORMS)[1:]:
            aucs[f"{form} − volumes"] = aucs[form] - aucs["volumes"]
        print(aucs.round(3).to_string())


def write_forms(demo: Path, target: Path) -> None:
    """Write each run of the demo under BIDS names: as a volume, on fsaverage5, and as a table of parcels."""
    parcels: np.ndarray | None = None
    for bold in sorted(demo.glob("derivatives/sub-*/func/*.nii.gz")):
        person = bold.parents[1].name
        film = bold.name.split("_task-")[1].split("_")[0]
        func, stem = target / person / "func", f"{person}_task-{film}"
        if (func / f"{stem}_events.tsv").exists():  # written last
            continue
        func.mkdir(parents=True, exist_ok=True)
        image = nib.load(bold)
        mask = nib.load(next(bold.parents[1].glob("anat/*mask.nii.gz")))
        inside = np.asarray(mask.dataobj) > 0
        parcels = parcels_of(inside, image.affine) if parcels is None else parcels
        (func / f"{stem}_bold.json").write_text(json.dumps({"RepetitionTime": TR_S}))
        nib.save(image, func / f"{stem}_space-MNI_bold.nii.gz")
        nib.save(mask, func / f"{stem}_space-MNI_desc-brain_mask.nii.gz")
        write_hemispheres(image, mask, func, stem)
        write_parcels(image, inside, parcels, func / f"{stem}_seg-kmeans_stat-mean_timeseries.tsv")
        stretches = read_1d(demo / "stimuli" / f"task-{film}_face-annotation.1D")
        events = pd.DataFrame(stretches, columns=["onset", "duration"]).assign(trial_type="face")
        events.to_csv(func / f"{stem}_events.tsv", sep="\t", index=False)


def parcels_of(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Number of the nearest of 400 centres for every voxel of the grid (x, y, z); centres by k-means over the mask."""
    everywhere = np.argwhere(np.ones_like(mask)) @ affine[:3, :3].T
    centres = KMeans(N_PARCELS, n_init=1, random_state=SEED)
    centres.fit(everywhere[mask.ravel()])
    return centres.predict(everywhere).reshape(mask.shape)


def write_hemispheres(image, mask, func: Path, stem: str) -> None:
    """Write the series of the voxel midway between pial and white surface; NaN where it is not in the person's mask."""
    inside = np.asarray(mask.dataobj) > 0
    numbers = np.full(inside.shape, -1.0)
    numbers[inside] = np.arange(inside.sum())
    numbers = nib.Nifti1Image(numbers, image.affine)
    series = np.asarray(image.dataobj)[inside]
    meshes = load_fsaverage("fsaverage5")
    for side, hemi in (("left", "L"), ("right", "R")):
        pial, white = (meshes[name].parts[side] for name in ("pial", "white_matter"))
        of_vertex = vol_to_surf(
            numbers, pial, inner_mesh=white, depth=[0.5], interpolation="nearest_most_frequent"
        )
        of_vertex = np.nan_to_num(of_vertex, nan=-1).astype(int)
        values = np.where(of_vertex[:, None] >= 0, series[of_vertex], np.nan)
        arrays = [
            nib.gifti.GiftiDataArray(volume, datatype="NIFTI_TYPE_FLOAT32")
            for volume in np.ascontiguousarray(values.T.astype(np.float32))
        ]
        file = func / f"{stem}_hemi-{hemi}_space-fsaverage5_bold.func.gii"
        nib.save(nib.GiftiImage(darrays=arrays), file)


def write_parcels(image, mask: np.ndarray, parcels: np.ndarray, file: Path) -> None:
    """Write the mean over each parcel's voxels in the person's mask; n/a of a parcel without one."""
    series, numbers = np.asarray(image.dataobj)[mask], parcels[mask]
    means = pd.DataFrame(series).groupby(numbers).mean().reindex(range(N_PARCELS)).T
    means.columns = [f"parcel-{number}" for number in range(N_PARCELS)]
    means.to_csv(file, sep="\t", index=False, na_rep="n/a", float_format="%.6g")


def run_scripts(folder: Path, form: str, own: dict) -> None:
    settings = SETTINGS | own
    settings |= {"DATASET_DIR": str(folder / "forms"), "DATA_DIR": str(folder)}
    settings["RUN_NAME"] = form.replace(" ", "-")
    config = folder / f"{settings['RUN_NAME']}.py"
    config.write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()))
    for script in SCRIPTS:
        subprocess.run(
            [sys.executable, ROOT / script],
            env=os.environ | {"NEUROFACE_CONFIG": str(config)},
            stdout=sys.stderr,
            check=True,
        )


if __name__ == "__main__":
    main()
