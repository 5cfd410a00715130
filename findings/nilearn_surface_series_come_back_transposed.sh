#!/usr/bin/env bash
# nilearn 0.14.1: the data of a SurfaceImage with several volumes are written as one GIFTI data array (n_vertices, n_volumes),
# without an intent and without a TR. nilearn's own reader takes a file with one data array for a list of maps and returns it
# transposed, so a series that nilearn wrote cannot be put on its mesh again. Files of other software hold one array per
# volume; these come back as (n_vertices, n_volumes).
# The name changes too: of x.func.gii the files are x.func_hemi-L.gii and x.func_hemi-R.gii, so the BIDS suffix is lost.
#
# Output seen on 2026-11-30 (nibabel 5.4.2; 12 vertices, 7 volumes):
#   files: x.func_hemi-L.gii x.func_hemi-R.gii
#   written by nilearn: 1 array of (12, 7), intent 0, read as (7, 12)
#   one array per volume: 7 arrays of (12,), read as (12, 7)
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nilearn==0.14.1 nibabel==5.4.2
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
from pathlib import Path

import nibabel as nib
import numpy as np
from nilearn.surface import InMemoryMesh, PolyMesh, SurfaceImage, load_surf_data

rng = np.random.default_rng(0)
n_vertices, n_volumes = 12, 7
triangles = rng.permuted(np.tile(np.arange(n_vertices), (20, 1)), axis=1)[:, :3]
mesh = PolyMesh(*(InMemoryMesh(rng.normal(size=(n_vertices, 3)), triangles) for _ in range(2)))
series = {side: rng.normal(size=(n_vertices, n_volumes)).astype("float32") for side in ("left", "right")}

SurfaceImage(mesh, series).data.to_filename("x.func.gii")
names = sorted(file.name for file in Path().glob("*.gii"))
print("files:", *names)
array = nib.load(names[0]).darrays
whole = load_surf_data(names[0])
print(f"written by nilearn: {len(array)} array of {array[0].data.shape}, intent {array[0].intent}, read as {whole.shape}")

one_per_volume = [
    nib.gifti.GiftiDataArray(volume, intent="NIFTI_INTENT_TIME_SERIES") for volume in series["left"].T
]
nib.save(nib.gifti.GiftiImage(darrays=one_per_volume), "other.func.gii")
other = load_surf_data("other.func.gii")
print(f"one array per volume: {len(one_per_volume)} arrays of {one_per_volume[0].data.shape}, read as {other.shape}")

assert names == ["x.func_hemi-L.gii", "x.func_hemi-R.gii"], names
assert len(array) == 1 and array[0].intent == 0
assert np.array_equal(whole, series["left"].T)
assert np.array_equal(other, series["left"])
PY
