"""Which cross-validation a design allows: what ``"auto"`` means in CV_SPLITS and HELD_OUT_SPLIT."""

from collections.abc import Iterable

from neuroface import NeuroFaceError
from neuroface.bold import stimuli_of
from neuroface.decoding.folds import folds_of
from neuroface.pipeline import replaced

import numpy as np
import pandas as pd

AUTO = "auto"
STRICTEST_FIRST = ("movie", "part", "event", "subject", "run", "window")


def strictest_first(splits: Iterable[str]) -> list[str]:
    """Splits in the order of what they say: the first is the one to read, to explain and to predict runs by."""
    return sorted(splits, key=STRICTEST_FIRST.index)


def with_splits(cfg, samples: pd.DataFrame):
    """Settings whose CV_SPLITS and HELD_OUT_SPLIT name splits, and the sentence that says why.

    Explicit values stay. With ``"auto"`` HELD_OUT_SPLIT is the strictest split of an explicit
    CV_SPLITS, else the one of :func:`choose_split`; CV_SPLITS is that one beside window folds, the
    paper's, if there are enough windows for them.

    Parameters
    ----------
    cfg : CV_SPLITS, HELD_OUT_SPLIT, N_FOLDS, SEED, EMBARGO_TRS, SELECTION, WINDOW_TRS,
        TR_S.
    samples : one row per window, as ``samples.tsv``.

    Returns
    -------
    A copy of ``cfg``; its ``splits_why`` is "" where both settings were explicit.
    """
    splits, held_out, why = cfg.CV_SPLITS, cfg.HELD_OUT_SPLIT, ""
    if held_out == AUTO and splits != AUTO:
        held_out = strictest_first(splits)[0]
        why = f"HELD_OUT_SPLIT = {held_out!r}, the strictest split of CV_SPLITS"
    elif splits == AUTO:
        reason = "window folds beside HELD_OUT_SPLIT"
        if held_out == AUTO:
            held_out, reason = choose_split(samples, cfg)
        splits = ("window", held_out) if _is_possible(samples, "window", cfg) else (held_out,)
        splits = tuple(dict.fromkeys(splits))
        why = (
            f"CV_SPLITS = {splits}, HELD_OUT_SPLIT = {held_out!r}, chosen from the design: {reason}"
        )
    chosen = {"CV_SPLITS": splits, "HELD_OUT_SPLIT": held_out, "splits_why": why}
    return replaced(cfg, **chosen)


def choose_split(samples: pd.DataFrame, cfg) -> tuple[str, str]:
    """The split that says most about new films, moments or people of those that the windows allow, and why.

    Films are held out where there are several; else the runs of a film or task, for all people; else
    moments, where people share them, and people, where each has an order of events of their own.

    Returns
    -------
    A split, and the reason in words.
    """
    for split, reason in _in_order_of_preference(samples, cfg):
        if _is_possible(samples, split, cfg):
            return split, reason
    return "window", (
        "no film, run, moment or person can be held out; single windows are, and their accuracy is too "
        "high for new moments"
    )


def _is_possible(samples: pd.DataFrame, split: str, cfg) -> bool:
    try:
        folds_of(samples, split, cfg.WINDOW_TRS, cfg)
    except NeuroFaceError:
        return False
    return True


def _in_order_of_preference(samples: pd.DataFrame, cfg) -> list[tuple[str, str]]:
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
        f"moments cannot be held out with EMBARGO_TRS = {cfg.EMBARGO_TRS}; whole people are, and their accuracy is too high "
        f"for new moments",
    )
    return order + (
        [moments, leaking]
        if _moments_are_shared(samples, cfg.WINDOW_TRS * cfg.TR_S)
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
