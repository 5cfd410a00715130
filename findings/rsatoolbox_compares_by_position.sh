#!/usr/bin/env bash
# rsatoolbox 0.3.2: calc_rdm names the patterns of an RDM (pattern_descriptors). It sorts them by name if its argument descriptor
# is given, and keeps the order of the data set if not. compare and eval_fixed do not look at these names: they compare distances by
# position, without a warning, so two RDMs of the same patterns in different orders look unrelated.
# concat does match the names, but it reorders the RDMs that it is given in place. So the same comparison has another result
# once concat was called on its RDMs.
#
# Output seen on 2026-11-30 (24 patterns, two RDMs of the same data, their true correlation is 1):
#   first patterns: scene18 scene04 scene21 and scene00 scene01 scene02
#   compare: 0.031
#   eval_fixed: 0.031
#   compare, both sorted by name: 1.000
#   compare, after concat of the two: 1.000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet rsatoolbox==0.3.2 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PY'
import copy

import numpy as np
from rsatoolbox.data import Dataset
from rsatoolbox.inference import eval_fixed
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import calc_rdm, compare, concat

rng = np.random.default_rng(0)
names = np.array([f"scene{number:02d}" for number in rng.permutation(24)])
patterns = Dataset(rng.normal(size=(24, 50)), obs_descriptors={"scene": names})
as_given = calc_rdm(patterns, method="correlation")
by_name = calc_rdm(patterns, method="correlation", descriptor="scene")
orders = [list(rdm.pattern_descriptors["scene"]) for rdm in (as_given, by_name)]
assert sorted(orders[0]) == orders[1] != orders[0]


def correlation(first, second):
    return float(compare(first, second, method="corr")[0, 0])


model = ModelFixed("the same data", copy.deepcopy(by_name))
sorted_by_name = copy.deepcopy(as_given)
sorted_by_name.sort_by(scene="alpha")
seen = {
    "compare": correlation(as_given, by_name),
    "eval_fixed": float(eval_fixed(model, as_given, method="corr").get_means()[0]),
    "compare, both sorted by name": correlation(sorted_by_name, by_name),
}
concat(as_given, by_name)
seen["compare, after concat of the two"] = correlation(as_given, by_name)
print("first patterns:", *orders[0][:3], "and", *orders[1][:3])
for name, value in seen.items():
    print(f"{name}: {value:.3f}")
assert list(by_name.pattern_descriptors["scene"]) == orders[0]
assert abs(seen["compare"]) < 0.2 and abs(seen["eval_fixed"]) < 0.2, seen
assert seen["compare, both sorted by name"] > 0.999 and seen["compare, after concat of the two"] > 0.999, seen
PY
