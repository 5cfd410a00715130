#!/usr/bin/env bash
# pybids 0.22.0: BIDSLayout.get with a key of the sidecars as its filter compares texts, not values.
# JSON knows one number 2, which some writers spell 2 and others 2.0; both spellings are valid BIDS. A query for
# RepetitionTime=2.0 leaves out the people whose sidecar says 2, and a query for RepetitionTime=2 those whose sidecar says 2.0,
# without a warning. get_metadata returns equal numbers for all of them, and get_tr sees one TR.
#
# Output seen on 2026-11-30 (five people, TR 2 s for the first four):
#   sidecars: 01 2, 02 2.0, 03 2.00, 04 2e0, 05 1.5
#   get_metadata: 01 2, 02 2.0, 03 2.0, 04 2.0, 05 1.5
#   get_tr of 01 to 04: 2.0
#   get(RepetitionTime=2): 01
#   get(RepetitionTime=2.0): 02 03 04
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pybids==0.22.0 nibabel==5.4.2
cd "$folder"
"$folder/venv/bin/python" -W ignore - <<'PY'
import json
from pathlib import Path

import nibabel as nib
import numpy as np
from bids import BIDSLayout

SPELLINGS = {"01": "2", "02": "2.0", "03": "2.00", "04": "2e0", "05": "1.5"}
root = Path("dataset")
for person, tr in SPELLINGS.items():
    func = root / f"sub-{person}" / "func"
    func.mkdir(parents=True)
    series = nib.Nifti1Image(np.zeros((2, 2, 2, 5), np.int16), np.diag([3.0, 3, 3, 1]))
    series.header.set_zooms((3, 3, 3, float(tr)))
    series.header.set_xyzt_units("mm", "sec")
    nib.save(series, func / f"sub-{person}_task-film_bold.nii.gz")
    sidecar = f'{{"TaskName": "film", "RepetitionTime": {tr}}}\n'
    (func / f"sub-{person}_task-film_bold.json").write_text(sidecar)
(root / "dataset_description.json").write_text(json.dumps({"Name": "drawn", "BIDSVersion": "1.10.0"}))

layout = BIDSLayout(root)
series = layout.get(suffix="bold", extension=".nii.gz")
stated = {file.entities["subject"]: file.get_metadata()["RepetitionTime"] for file in series}
tr_s = layout.get_tr(subject=["01", "02", "03", "04"])
whole = [file.entities["subject"] for file in layout.get(RepetitionTime=2, extension=".nii.gz")]
decimal = [file.entities["subject"] for file in layout.get(RepetitionTime=2.0, extension=".nii.gz")]
print("sidecars:", ", ".join(f"{person} {tr}" for person, tr in SPELLINGS.items()))
print("get_metadata:", ", ".join(f"{person} {tr}" for person, tr in sorted(stated.items())))
print("get_tr of 01 to 04:", tr_s)
print("get(RepetitionTime=2):", *whole)
print("get(RepetitionTime=2.0):", *decimal)
assert [person for person, tr in sorted(stated.items()) if tr == 2] == ["01", "02", "03", "04"], stated
assert tr_s == 2
assert whole == ["01"] and decimal == ["02", "03", "04"], (whole, decimal)
PY
