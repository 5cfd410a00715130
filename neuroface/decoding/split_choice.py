"""Which cross-validation a design allows: what ``"auto"`` means in CV_SPLITS and HELD_OUT_SPLIT."""

from collections.abc import Iterable
from typing import NamedTuple

from neuroface import NeuroFaceError
from neuroface.bold import stimuli_of
from neuroface.decoding.folds import FoldSettings, make_folds

import numpy as np
import pandas as pd

AUTO = "auto"
STRICTEST_FIRST = ("movie", "part", "event", "subject", "run", "window")


def strictest_first(splits: Iterable[str]) -> list[str]:
    """Splits in the order of what they say: the first is the one to read, to explain and to predict runs by."""
    return sorted(splits, key=STRICTEST_FIRST.index)


class ChosenSplits(NamedTuple):
    """The splits that models are trained in, the one whose models explain and predict runs, and why.

    Attributes
    ----------
    why : a sentence; "" where both settings were explicit.
    """

    cv_splits: tuple[str, ...]
    held_out: str
    why: str


def choose_splits(
    samples: pd.DataFrame, cv_splits: tuple[str, ...] | str, held_out: str, settings: FoldSettings,
    tr_s: float,
) -> ChosenSplits:  # fmt: skip
    """The splits that CV_SPLITS and HELD_OUT_SPLIT stand for.

    Explicit values stay. With ``"auto"`` HELD_OUT_SPLIT is the strictest split of an explicit
    CV_SPLITS, else the one of :func:`choose_split`; CV_SPLITS is that one beside window folds, the
    paper's, if there are enough windows for them.

    Parameters
    ----------
    samples : one row per window, as ``samples.tsv``.
    cv_splits, held_out : the two settings. settings : of the folds. tr_s : TR_S.
    """
    if isinstance(cv_splits, tuple):
        if held_out != AUTO:
            return ChosenSplits(cv_splits, held_out, "")
        strictest = strictest_first(cv_splits)[0]
        why = f"HELD_OUT_SPLIT = {strictest!r}, the strictest split of CV_SPLITS"
        return ChosenSplits(cv_splits, strictest, why)
    reason = "window folds beside HELD_OUT_SPLIT"
    if held_out == AUTO:
        held_out, reason = choose_split(samples, settings, tr_s)
    splits: tuple[str, ...] = (held_out,)
    if held_out != "window" and _is_possible(samples, "window", settings):
        splits = ("window", held_out)
    why = f"CV_SPLITS = {splits}, HELD_OUT_SPLIT = {held_out!r}, chosen from the design: {reason}"
    return ChosenSplits(splits, held_out, why)


def choose_split(samples: pd.DataFrame, settings: FoldSettings, tr_s: float) -> tuple[str, str]:
    """The split that says most about new films, moments or people of those that the windows allow, and why.

    Films are held out where there are several; else the runs of a film or task, for all people; else
    moments, where people share them, and people, where each has an order of events of their own.

    Returns
    -------
    A split, and the reason in words.
    """
    for split, reason in _in_order_of_preference(samples, settings, tr_s):
        if _is_possible(samples, split, settings):
            return split, reason
    return "window", (
        "no film, run, moment or person can be held out; single windows are, and their accuracy is too "
        "high for new moments"
    )


def _is_possible(samples: pd.DataFrame, split: str, settings: FoldSettings) -> bool:
    try:
        make_folds(samples, split, settings)
    except NeuroFaceError:
        return False
    return True


def _in_order_of_preference(
    samples: pd.DataFrame, settings: FoldSettings, tr_s: float
) -> list[tuple[str, str]]:
    n_people, n_films = samples["subject"].nunique(), samples["movie"].nunique()
    n_parts = len(set(stimuli_of(samples)))
    films = f"{n_films} films or tasks" if n_films > 1 else "one film or task"
    order = []
    if n_films > 1:
        order.append(("movie", f"{films}; whole ones are held out, with all people who saw them"))
    if n_parts > n_films and n_people == 1:
        order.append(("run", f"one person with {n_parts} runs; whole runs are held out"))
    elif n_parts > n_films:
        order.append(("part", f"{films} in {n_parts} runs; the same run of all people is held out"))
    moments = ("event", f"{films}; moments are held out, for all people who saw them")
    own = [
        ("subject", f"{films}, and each person has an own order of events; whole people are held out"),
        ("run", f"{films}, and each run has an own order of events; whole runs are held out"),
    ]  # fmt: skip
    leaking = (
        "subject",
        f"moments cannot be held out with EMBARGO_TRS = {settings.embargo_trs}; whole people are, and their accuracy is "
        f"too high for new moments",
    )
    return order + (
        [moments, leaking]
        if _moments_are_shared(samples, settings.window_trs * tr_s)
        else [*own, moments]
    )


def _moments_are_shared(samples: pd.DataFrame, window_s: float) -> bool:
    """Whether people saw the same at the same second: most windows begin with those of other runs, with their label.

    Orders of events of their own give other labels at the same second, also where blocks of all
    people begin at the same seconds.
    """
    n_alone, n_pairs, n_alike = 0, 0, 0
    for _, windows in samples.groupby(stimuli_of(samples)):
        windows = windows.sort_values("onset_s")
        counts = pd.crosstab(
            _moments(windows["onset_s"].to_numpy(), window_s / 2), windows["label"].to_numpy()
        )
        n = counts.sum(axis=1)
        n_alone += int((n == 1).sum())
        n_pairs += int((n * (n - 1)).sum())
        n_alike += int((counts * (counts - 1)).sum().sum())
    return n_alone < len(samples) / 2 and n_alike > 0.75 * n_pairs


def _moments(onset_s: np.ndarray, within_s: float) -> np.ndarray:
    """Number of the moment of each sorted onset (n,): all within ``within_s`` of the earliest are one moment."""
    moment, first_s, number = np.empty(len(onset_s), int), -np.inf, -1
    for row, second in enumerate(onset_s):
        if second - first_s > within_s:
            number, first_s = number + 1, second
        moment[row] = number
    return moment
