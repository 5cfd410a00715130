#!/usr/bin/env bash
# nilearn 0.14.1: nilearn.signal.clean with detrend=True and a sample_mask fits the trend over the volumes that are left, as if no
# time lay between them. A signal that is exactly linear in time keeps a part of its trend where volumes are scrubbed; its
# cosines (filter="cosine") are built in time, before the mask. A trend given as a confound, with detrend=False, is removed.
#
# Output seen on 2026-11-29 (200 volumes, 80 to 119 scrubbed, signal 0 … 199; SD of what is left):
#   all volumes 0.00
#   scrubbed, detrend=True 10.00
#   scrubbed, trend as a confound 0.00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nilearn==0.14.1
"$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from nilearn.signal import clean

time = np.arange(200.0)[:, None]
kept = np.r_[0:80, 120:200]
options = {"filter": False, "standardize": None}
left = {
    "all volumes": clean(time, detrend=True, **options),
    "scrubbed, detrend=True": clean(time, detrend=True, sample_mask=kept, **options),
    "scrubbed, trend as a confound": clean(time, detrend=False, confounds=time, sample_mask=kept, **options),
}
sd = {name: float(signal.std()) for name, signal in left.items()}
for name, value in sd.items():
    print(name, f"{value:.2f}")
assert sd["all volumes"] < 1e-9 and sd["scrubbed, trend as a confound"] < 1e-9 and sd["scrubbed, detrend=True"] > 1, sd
PY
