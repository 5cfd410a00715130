"""Whole procedures on simulated studies: rates of false positives and coverages (``make test-full``).

``benchmarks/calibration.py`` prints the same rows from more studies.
"""

import sys

import pytest
from conftest import FULL, ROOT
from scipy.stats import binom

sys.path.insert(0, str(ROOT / "benchmarks"))
from calibration import AREAS, cases_of, measured  # noqa: E402

CASES = [case for area in AREAS for case in cases_of(area)]


@pytest.mark.skipif(not FULL, reason="NEUROFACE_FULL=1: simulates whole studies, minutes")
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.procedure}, {case.design}")
def test_rate_is_the_nominal_one(case):
    """A false-positive rate may be lower than the nominal one, a coverage higher; neither may be worse."""
    for outcome, share, _ in measured(case, case.n_small):
        is_coverage = case.right > 0.5
        n_wrong = round((1 - share if is_coverage else share) * case.n_small)
        nominal = 1 - case.right if is_coverage else case.right
        assert binom.sf(n_wrong - 1, case.n_small, nominal + 0.02) > 0.01, (outcome, share)
