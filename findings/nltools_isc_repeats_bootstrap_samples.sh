#!/usr/bin/env bash
# nltools 0.5.1: nltools.stats.isc, the correlation between people who watched the same film, tests it with n_samples bootstrap samples
# of people. Every batch of samples that goes to a worker process gets a copy of the same random state, so the batches repeat
# the same samples. With more than one process (default: all processors) p and the interval rest on few different samples,
# depend on the number of processes and on how joblib cuts the batches, and random_state does not make them reproducible.
# Nothing warns. A user saw p fall with the number of processors in 2020 (cosanlab/nltools#363). Needs Python 3.10 or 3.11 (NumPy < 1.24).
#
# Output seen on 2026-11-30 (12 people, 100 volumes, 1000 samples, random_state=0; four runs gave 32, 64, 64, 32 samples):
#   1 process: ISC 0.087, 999 different samples, p 0.0030, 95 % interval 0.036 to 0.143
#   2 processes: ISC 0.087, 32 different samples, p 0.0010, 95 % interval 0.020 to 0.148
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet nltools==0.5.1 joblib==1.6.0 numpy==1.23.5
cd "$folder"
MPLBACKEND=Agg OMP_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from nltools.stats import isc

rng = np.random.default_rng(0)
film = rng.normal(size=(100, 1))
series = 0.3 * film + rng.normal(size=(100, 12))
N_SAMPLES = 1000


def different_samples(n_processes):
    result = isc(
        series, n_samples=N_SAMPLES, metric="mean", method="bootstrap", n_jobs=n_processes, random_state=0, return_null=True
    )
    different = len(np.unique(np.round(result["null_distribution"], 12)))
    low, high = result["ci"]
    print(
        f"{n_processes} process{'es' if n_processes > 1 else ''}: ISC {result['isc']:.3f}, {different} different samples,",
        f"p {result['p']:.4f}, 95 % interval {low:.3f} to {high:.3f}",
    )
    return different


alone, together = different_samples(1), different_samples(2)
assert alone > 0.98 * N_SAMPLES, alone
assert together < 0.6 * N_SAMPLES, together
PY
