"""Whole procedures on simulated studies with a known truth: false-positive rates and coverages of intervals.

    python benchmarks/calibration.py                  every area
    python benchmarks/calibration.py maps intervals   two of them
    python benchmarks/calibration.py --small          fewer studies, as in make test-full
    python benchmarks/calibration.py maps --jobs 2
    python benchmarks/calibration.py maps --rows "model best" drift --studies 60
    python benchmarks/calibration.py maps --rows drift --studies 60 --first-seed 1000   60 other studies

Each area is a module of ``null_studies/``. A row states the share of studies with the outcome, its
Monte-Carlo standard error, and the share that is right.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Iterator

import measure  # noqa: F401  # it tells Python where all packages are
import numpy as np
from joblib import Parallel, delayed
from null_studies.case import Case

AREAS = (
    "intervals",
    "decoders",
    "maps",
    "regions",
    "timeline",
    "volumes",
    "film",
    "encoding",
    "images",
)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "areas", nargs="*", default=AREAS, help=f"of {', '.join(AREAS)}; default: all"
    )
    parser.add_argument("--small", action="store_true", help="fewer studies")
    parser.add_argument("--jobs", type=int, default=1, help="studies at the same time")
    parser.add_argument(
        "--rows",
        nargs="+",
        metavar="WORDS",
        help="only rows whose first two cells hold these words; a full stop is at their end",
    )
    parser.add_argument("--studies", type=int, help="so many studies of each row")
    parser.add_argument(
        "--first-seed",
        type=int,
        default=0,
        help="seed of the first study; other seeds, other studies",
    )
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # for the processes of --jobs
    print("| procedure | simulated study | outcome | studies | share | standard error | right |")
    print("|---|---|---|---|---|---|---|")
    for area in arguments.areas:
        for case in [*cases_of(area), *known_otherwise(area)]:
            if not is_wanted(case, arguments.rows):
                continue
            n_studies = case.n_small if arguments.small else case.n_studies
            n_studies = arguments.studies or n_studies
            rates = measured(case, n_studies, arguments.jobs, arguments.first_seed)
            for outcome, share, error in rates:
                cells = (
                    case.procedure,
                    case.design,
                    outcome,
                    n_studies,
                    f"{share:.3f}",
                    f"{error:.3f}",
                    case.right,
                )
                print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def cases_of(area: str) -> list[Case]:
    """The cases of an area; empty where its module lists none."""
    return importlib.import_module(f"null_studies.{area}").CASES


def known_otherwise(area: str) -> list[Case]:
    """Cases that are printed but not tested: procedures that are known not to hold their rate, and power."""
    return getattr(importlib.import_module(f"null_studies.{area}"), "KNOWN_OTHERWISE", [])


def is_wanted(case: Case, rows: list[str] | None) -> bool:
    """Whether a row holds one of the texts; without texts every row is wanted. A full stop ends each row."""
    return rows is None or any(words in f"{case.procedure}, {case.design}." for words in rows)


def measured(
    case: Case, n_studies: int, n_jobs: int = 1, first_seed: int = 0
) -> Iterator[tuple[str, float, float]]:
    """Outcome, share of studies in which it occurred, and the Monte-Carlo standard error of this share."""
    seeds = range(first_seed, first_seed + n_studies)
    outcomes = Parallel(n_jobs=n_jobs)(delayed(case.study)(seed) for seed in seeds)
    for outcome in outcomes[0]:
        share = float(np.mean([study[outcome] for study in outcomes]))
        yield outcome, share, float(np.sqrt(share * (1 - share) / n_studies))


if __name__ == "__main__":
    main()
