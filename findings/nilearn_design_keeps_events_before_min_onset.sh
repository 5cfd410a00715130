#!/usr/bin/env bash
# nilearn 0.14.1: make_first_level_design_matrix documents that events that start before min_onset (default: 24 s before the
# first volume) are not considered, and warns so. In fact such an event is considered from min_onset on: of an event that lasts
# into the run the regressor is the same as that of an event that starts at min_onset. Only an event that also ends
# before min_onset leaves nothing. So the warning cannot be taken as "this event was left out", for example where a film was
# already running when the scan began.
#
# Output seen on 2026-11-30 (60 volumes, TR 2 s):
#   event from -30 s to 10 s: warned, peak 1.001
#   event from -24 s to 10 s: not warned, peak 1.001
#   event from -30 s to -27 s: warned, peak 0.000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nilearn==0.14.1
"$folder/venv/bin/python" - <<'PY'
import warnings

import numpy as np
import pandas as pd
from nilearn.glm.first_level import make_first_level_design_matrix

times_s = np.arange(60) * 2.0


def regressor(start_s, end_s):
    events = pd.DataFrame({"onset": [start_s], "duration": [end_s - start_s], "trial_type": ["film"]})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        design = make_first_level_design_matrix(times_s, events, hrf_model="glover", drift_model=None)
    warned = any("not considered" in str(warning.message) for warning in caught)
    return design["film"].to_numpy(), warned


early, early_warned = regressor(-30, 10)
at_limit, at_limit_warned = regressor(-24, 10)
over, over_warned = regressor(-30, -27)
for label, values, warned in (
    ("-30 s to 10 s", early, early_warned),
    ("-24 s to 10 s", at_limit, at_limit_warned),
    ("-30 s to -27 s", over, over_warned),
):
    print(f"event from {label}: {'warned' if warned else 'not warned'}, peak {abs(values).max():.3f}")
assert early_warned and over_warned and not at_limit_warned
assert early.max() > 0.9 and abs(early - at_limit).max() == 0 and abs(over).max() < 0.001
PY
