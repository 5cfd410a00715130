#!/usr/bin/env bash
# nilearn 0.14.1 with pandas 3.1.1: a table of events that is given as a file is read with pandas' words for a missing value, not with
# those of BIDS, whose only one is n/a. Events whose trial_type is None, NA, null or nan get no regressor and become part of
# the baseline, although these are names like any other (None of a film's objects, NA for negative affect). The only
# warning states something else: duplicated events, whose amplitudes are summed. first_level_from_bids reads events in the same way.
#
# Output seen on 2026-11-30 (six events, three of each condition):
#   none, face: regressors face none; no warning
#   None, face: regressors face; warned of duplicated events
#   NA, PA: regressors PA; warned of duplicated events
#   null, face: regressors face; warned of duplicated events
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nilearn==0.14.1 pandas==3.1.1
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import warnings
from pathlib import Path

import numpy as np
from nilearn.glm.first_level import make_first_level_design_matrix

TIMES_S = np.arange(80) * 2.0
ONSETS_S = (10, 30, 50, 70, 90, 110)


def regressors(first, second):
    rows = [f"{onset_s}\t5\t{(first, second)[number % 2]}" for number, onset_s in enumerate(ONSETS_S)]
    events = Path("sub-01_task-film_events.tsv")
    events.write_text("\n".join(["onset\tduration\ttrial_type", *rows]) + "\n")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        design = make_first_level_design_matrix(TIMES_S, events, drift_model=None)
    names = [name for name in design if name != "constant"]
    messages = [str(warning.message) for warning in caught]
    duplicated = [message for message in messages if message.startswith("Duplicated events were detected")]
    assert len(duplicated) == len(messages), messages
    warned = "warned of duplicated events" if duplicated else "no warning"
    print(f"{first}, {second}: regressors {' '.join(names)}; {warned}")
    return names, bool(duplicated)


assert regressors("none", "face") == (["face", "none"], False)
assert regressors("None", "face") == (["face"], True)
assert regressors("NA", "PA") == (["PA"], True)
assert regressors("null", "face") == (["face"], True)
PY
