"""What each module of this folder lists."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """A procedure that is repeated on simulated studies.

    Parameters
    ----------
    procedure : what a user runs, for example "script 6, group test".
    design : the simulated study, for example "10 films × 2 viewers, shared response of 1 SD".
    study : seed → outcome → whether it occurred in this study: a p of at most .05, an interval that
    covers the truth.
    right : share of studies in which each outcome should occur: .05 for a p, .95 for an interval.
    n_studies : studies of a full run; the Monte-Carlo error follows from it.
    n_small : studies in ``make test-full``.
    """

    procedure: str
    design: str
    study: Callable[[int], dict[str, bool]]
    right: float
    n_studies: int
    n_small: int
