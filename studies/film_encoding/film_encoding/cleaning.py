"""What DENOISE removes from the runs of this study, and what replaces scrubbed volumes."""

from neuroface.bold import Cleaning, Run, cleaning_lines, cleaning_of, denoising_of, open_header

import numpy as np


def run_cleaning(run: Run, cfg) -> Cleaning:
    """What DENOISE takes from a whole run, also from what was measured before and after the film."""
    return cleaning_of(run, open_header(run.bold)[1][3], denoising_of(cfg))


def cleaning_in_words(runs: list[Run], cfg) -> list[str]:
    """What is taken from the runs, a line for each kind of run."""
    return cleaning_lines(runs, denoising_of(cfg), cfg.DATASET == "bids")


def name_cleaning(stage, runs: list[Run], cfg) -> None:
    """Print what is taken from the BOLD, and count scrubbed volumes."""
    for line in cleaning_in_words(runs, cfg):
        print(f"  {line}")
    for run in runs:
        cleaning = run_cleaning(run, cfg)
        if not cleaning.kept.all():
            stage.leave_out(
                run.name, f"{cleaning.lost}; lines between their neighbours replace them"
            )


def report_cleaning(section, runs: list[Run], cfg) -> None:
    """Add to the report what was taken from the BOLD."""
    section.table(
        ["cleaning of the BOLD"],
        [(line,) for line in cleaning_in_words(runs, cfg)],
        "DENOISE: docs/cleaning.md",
    )


def interpolate(rows: np.ndarray, kept: np.ndarray) -> None:
    """Replace rows (n_rows, n_voxels) that are not ``kept`` (n_rows,) by lines between their neighbours, in place.

    At the ends the nearest row counts. People are averaged, so a row cannot be left out for one of
    them.
    """
    known = np.flatnonzero(kept)
    for row in np.flatnonzero(~kept):
        after = np.searchsorted(known, row).clip(1, len(known) - 1)
        left, right = known[after - 1], known[after]
        share = np.clip((row - left) / (right - left), 0, 1)
        rows[row] = (1 - share) * rows[left] + share * rows[right]
