"""Trials of a block: short events of one type that follow each other at a regular pace are one stretch.

OpenNeuro's ds000105 lists the twelve pictures of a block, 0.5 s each, 2 s apart; the block of 24 s
is what a window can use.
"""

import numpy as np
import pandas as pd

LONGEST_TRIAL_S = 10.0
FEWEST_TRIALS = 3  # two events have one interval, which cannot be irregular
IRREGULAR = 0.2  # of the median: stretches of a film vary more, logged times of trials less


def join_trials(
    events: pd.DataFrame,
    trial_types: tuple[str, ...],
    gap_s: float,
    longest_s: float = LONGEST_TRIAL_S,
) -> np.ndarray:
    """The rows of some trial types, with the trials of a block joined to one row.

    Trials are joined if their durations and the intervals between their onsets are regular, the
    gaps between them are at most ``gap_s``, and no other event begins between them. The last trial
    lasts as long as the interval between two onsets.

    Parameters
    ----------
    events : rows of an ``events.tsv``: onset_s, duration_s, trial_type (None: no event).
    trial_types : types of the rows to return.
    gap_s : largest gap from the end of an event to the next onset. 0: nothing is joined.
    longest_s : a longer event is no trial.

    Returns
    -------
    (n, 3) float64: onset_s, duration_s, number of trials joined in this row (1: the row as it is).
    """
    events = events[events["trial_type"].notna() & np.isfinite(events["onset_s"])]
    events = events.sort_values("onset_s", kind="stable")
    onset, duration = events["onset_s"].to_numpy(float), events["duration_s"].to_numpy(float)
    name = events["trial_type"].to_numpy(object)
    follows = (name[1:] == name[:-1]) & (onset[1:] - onset[:-1] - duration[:-1] <= gap_s + 1e-6)
    short = duration <= longest_s  # NaN is not
    follows &= short[1:] & short[:-1]
    starts = np.flatnonzero(np.concatenate([[True], ~follows]))[: len(onset)]
    rows = []
    for first, end in zip(starts, [*starts[1:], len(onset)]):
        if name[first] not in trial_types:
            continue
        intervals = np.diff(onset[first:end])
        if (
            gap_s > 0
            and end - first >= FEWEST_TRIALS
            and _regular(intervals)
            and _regular(duration[first:end])
        ):
            last_s = max(duration[end - 1], float(np.median(intervals)))
            if end < len(onset):  # not into the next event
                last_s = max(duration[end - 1], min(last_s, onset[end] - onset[end - 1]))
            rows.append((onset[first], onset[end - 1] + last_s - onset[first], end - first))
        else:
            rows += [(onset[row], duration[row], 1) for row in range(first, end)]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _regular(values: np.ndarray) -> bool:
    middle = np.median(values)
    return bool((np.abs(values - middle) <= IRREGULAR * middle).all())
