#!/usr/bin/env bash
# nilearn 0.14.1 with nibabel 5.4.2: math_img, clean_img and unmask return a series whose header states a TR of 1 (pixdim[4])
# in unknown units, whatever the TR of their input. concat_imgs, index_img, smooth_img, new_img_like and resample_img keep it.
# A file saved from the first three carries a wrong TR, and no unit tells that it is a placeholder.
#
# Output seen on 2026-11-29 (input: TR 2.5 s):
#   math_img 1.0 unknown
#   clean_img 1.0 unknown
#   unmask 1.0 unknown
#   concat_imgs 2.5 sec
#   index_img 2.5 sec
#   smooth_img 2.5 sec
#   new_img_like 2.5 sec
#   resample_img 2.5 sec
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nilearn==0.14.1 nibabel==5.4.2
"$folder/venv/bin/python" -W ignore - <<'PY'
import nibabel as nib
import numpy as np
from nilearn.image import clean_img, concat_imgs, index_img, math_img, new_img_like, resample_img, smooth_img
from nilearn.masking import apply_mask, unmask

affine = np.diag([3.0, 3, 3, 1])
values = np.random.default_rng(0).normal(100, 1, (4, 4, 4, 12)).astype(np.float32)
series = nib.Nifti1Image(values, affine)
series.header.set_zooms((3, 3, 3, 2.5))
series.header.set_xyzt_units("mm", "sec")
mask = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), affine)
derived = {
    "math_img": math_img("img * 2", img=series),
    "clean_img": clean_img(series, mask_img=mask),
    "unmask": unmask(apply_mask(series, mask), mask),
    "concat_imgs": concat_imgs([series, series]),
    "index_img": index_img(series, slice(0, 6)),
    "smooth_img": smooth_img(series, 4),
    "new_img_like": new_img_like(series, values),
    "resample_img": resample_img(series, target_affine=np.diag([4.0, 4, 4, 1]), force_resample=True, copy_header=True),
}
seen = {name: (float(image.header.get_zooms()[3]), image.header.get_xyzt_units()[1]) for name, image in derived.items()}
for name, (tr, unit) in seen.items():
    print(name, tr, unit)
lost = {name for name, stated in seen.items() if stated == (1.0, "unknown")}
kept = {name for name, stated in seen.items() if stated == (2.5, "sec")}
assert lost == {"math_img", "clean_img", "unmask"} and lost | kept == set(seen), seen
PY
