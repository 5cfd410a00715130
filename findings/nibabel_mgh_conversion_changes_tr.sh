#!/usr/bin/env bash
# nibabel 5.4.2: the TR of a series changes when it is saved in the other of the two formats. MGH (FreeSurfer's .mgz) states it in
# milliseconds, NIfTI in the unit of its header. nib.save of an MGH series as NIfTI copies the number and states no unit, so a TR
# of 2.5 s becomes 2500, which readers take for seconds; nib.save of a NIfTI series as MGH leaves the TR at 0.
# Voxel sizes and affine are right in both directions, and there is no warning.
#
# Output seen on 2026-11-30 (4 x 4 x 4 voxels, 10 volumes, TR 2.5 s):
#   .mgz, TR 2500 ms, saved as .nii.gz: 2500.0 unknown
#   .nii.gz, TR 2.5 sec, saved as .mgz: 0.0 ms
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nibabel==5.4.2
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PY'
import nibabel as nib
import numpy as np

affine = np.diag([3.0, 3, 3, 1])
values = np.random.default_rng(0).normal(100, 1, (4, 4, 4, 10)).astype(np.float32)

freesurfer = nib.MGHImage(values, affine)
freesurfer.header.set_zooms((3, 3, 3, 2500))
nib.save(freesurfer, "series.mgz")
before = nib.load("series.mgz")
nib.save(before, "from_mgh.nii.gz")
nifti = nib.load("from_mgh.nii.gz")
tr, unit = float(nifti.header["pixdim"][4]), nifti.header.get_xyzt_units()[1]
print(f".mgz, TR {float(before.header['tr']):.0f} ms, saved as .nii.gz: {tr} {unit}")

series = nib.Nifti1Image(values, affine)
series.header.set_zooms((3, 3, 3, 2.5))
series.header.set_xyzt_units("mm", "sec")
nib.save(series, "series.nii.gz")
nib.save(nib.load("series.nii.gz"), "from_nifti.mgz")
mgh = nib.load("from_nifti.mgz")
print(f".nii.gz, TR 2.5 sec, saved as .mgz: {float(mgh.header['tr'])} ms")

assert before.header["tr"] == 2500 and (tr, unit) == (2500, "unknown"), (tr, unit)
assert mgh.header["tr"] == 0, mgh.header["tr"]
for image in (nifti, mgh):
    assert np.allclose(image.affine, affine) and np.array_equal(image.get_fdata(), values)
PY
