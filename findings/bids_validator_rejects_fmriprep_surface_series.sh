#!/usr/bin/env bash
# bids-validator-deno 3.0.2: fMRIPrep's series on the cortical surface (its documentation, "Outputs of fMRIPrep":
# *_space-fsLR_den-91k_bold.dtseries.nii and *_hemi-L_space-fsaverage5_bold.func.gii) are errors in a derivative, because no
# rule of the schema allows a surface series there. So "0 errors" cannot be asked of fMRIPrep's output, and a pipeline that
# keeps these names needs .bidsignore. And the TR of a CIFTI series is not compared with RepetitionTime, as that of a volume is:
# a series with 1.5 s in its header and 2 s in its sidecar passes this check.
#
# Output seen on 2026-11-30 (all sidecar keys that the schema requires are given):
#   volume, TR 2.0 s: no error
#   volume, TR 1.5 s: REPETITION_TIME_MISMATCH
#   CIFTI, TR 2.0 s: ALL_FILENAME_RULES_HAVE_ISSUES
#   CIFTI, TR 1.5 s: ALL_FILENAME_RULES_HAVE_ISSUES
#   GIFTI: ALL_FILENAME_RULES_HAVE_ISSUES
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet bids-validator-deno==3.0.2 nibabel==5.4.2
cd "$folder"
PATH="$folder/venv/bin:$PATH" "$folder/venv/bin/python" - <<'PY'
import json
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.cifti2 import BrainModelAxis, SeriesAxis

SIDECAR = {
    "RepetitionTime": 2.0,
    "TaskName": "film",
    "SkullStripped": False,
    "SpatialReference": "https://templateflow.org",
    "Density": "91k",
}
DESCRIPTION = {
    "Name": "drawn",
    "BIDSVersion": "1.10.0",
    "DatasetType": "derivative",
    "GeneratedBy": [{"Name": "fMRIPrep"}],
}


def volume(path, tr_s):
    image = nib.Nifti1Image(np.zeros((4, 4, 4, 20), np.int16), np.eye(4) * 3)
    image.header.set_zooms((3, 3, 3, tr_s))
    image.header.set_xyzt_units("mm", "sec")
    nib.save(image, path)


def cifti(path, tr_s):
    places = BrainModelAxis.from_surface(np.arange(10), 10, "CIFTI_STRUCTURE_CORTEX_LEFT")
    nib.save(nib.Cifti2Image(np.zeros((20, 10), np.float32), (SeriesAxis(0, tr_s, 20), places)), path)


def gifti(path, tr_s):
    volumes = [nib.gifti.GiftiDataArray(np.zeros(10, np.float32)) for _ in range(5)]
    nib.save(nib.GiftiImage(darrays=volumes), path)


def errors_of(label, name, write, tr_s):
    dataset = Path(label.replace(" ", "_"))
    func = dataset / "sub-01" / "func"
    func.mkdir(parents=True)
    (dataset / "dataset_description.json").write_text(json.dumps(DESCRIPTION))
    (dataset / "README").write_text("A data set that was drawn to look at a validator.\n")
    write(func / name, tr_s)
    (func / f"{name.split('.')[0]}.json").write_text(json.dumps(SIDECAR))
    command = ["bids-validator-deno", str(dataset), "--format", "json"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    errors = {issue["code"] for issue in report["issues"]["issues"] if issue["severity"] == "error"}
    print(f"{label}:", ", ".join(sorted(errors)) or "no error")
    return errors


VOLUME = "sub-01_task-film_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz"
CIFTI = "sub-01_task-film_space-fsLR_den-91k_bold.dtseries.nii"
GIFTI = "sub-01_task-film_hemi-L_space-fsaverage5_bold.func.gii"
assert errors_of("volume, TR 2.0 s", VOLUME, volume, 2.0) == set()
assert errors_of("volume, TR 1.5 s", VOLUME, volume, 1.5) == {"REPETITION_TIME_MISMATCH"}
assert errors_of("CIFTI, TR 2.0 s", CIFTI, cifti, 2.0) == {"ALL_FILENAME_RULES_HAVE_ISSUES"}
assert errors_of("CIFTI, TR 1.5 s", CIFTI, cifti, 1.5) == {"ALL_FILENAME_RULES_HAVE_ISSUES"}
assert errors_of("GIFTI", GIFTI, gifti, 2.0) == {"ALL_FILENAME_RULES_HAVE_ISSUES"}
PY
