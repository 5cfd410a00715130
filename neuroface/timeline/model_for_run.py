"""The fold models that predict a run, and which moments of it they have seen."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.bold import Run, stimuli_of
from neuroface.decoding import FoldSettings, make_folds
from neuroface.pipeline import read_json, read_table

import numpy as np
import pandas as pd

SEEN = ("seen_moments", "seen_run", "seen_person", "seen_film")
LIVE = "live"  # the run's number while it is scanned: unknown


@dataclass(frozen=True)
class RunModels:
    """The fold models that predict a run.

    Parameters
    ----------
    folds : their numbers. One model predicts the whole run. Of several, each predicts the moments
        around the windows that it holds out (``HELD_OUT_SPLIT = "event"``).
    seen : whether these models saw this run, person and film (names in ``SEEN``); ``seen_moments``:
        whether a moment is predicted by a model that saw this moment, or a neighbouring one, of any
        viewer.
    seen_trs, held_out_trs : fold → ``first_tr`` of the windows of this run's film that the model
        saw, and did not see, of any viewer.
    distance_trs : a model saw a moment if it saw a window that starts fewer volumes than this away
    from the moment's.
    """

    folds: tuple[int, ...]
    seen: dict[str, bool]
    seen_trs: dict[int, np.ndarray]
    held_out_trs: dict[int, np.ndarray]
    distance_trs: int

    @property
    def are_several(self) -> bool:
        return len(self.folds) > 1

    @property
    def learnt_from_film(self) -> bool:
        """Whether a model saw other moments of this film; rotating the annotation is then no valid null."""
        return any(len(self.seen_trs[fold]) for fold in self.folds)

    def saw(self, fold: int, n_trs: int) -> np.ndarray:
        """Whether the fold's model saw the window that starts at each volume (n_trs,), or a neighbour."""
        return _distance(n_trs, self.seen_trs[fold]) < self.distance_trs

    def fold_of_each_moment(self, n_trs: int) -> np.ndarray:
        """Number of the model that predicts each moment (n_trs,); 0 where each model saw the moment or a neighbour.

        Of several models that did not see a moment, the one that holds out the nearest window
        predicts it.
        """
        if not self.are_several:
            return np.full(n_trs, self.folds[0])
        distance = np.stack([_distance(n_trs, self.held_out_trs[fold]) for fold in self.folds])
        seen = np.stack([self.saw(fold, n_trs) for fold in self.folds])
        nearest = np.array(self.folds)[np.argmin(np.where(seen, np.inf, distance), axis=0)]
        return np.where(seen.all(axis=0), 0, nearest)

    def join(self, logits: dict[int, np.ndarray]) -> pd.DataFrame:
        """One timeline from the logits (n_trs,) of each model.

        Returns
        -------
        Columns logit (NaN where no model may predict), fold_model, seen_in_training (n/a where
        nothing is predicted).
        """
        n_trs = len(logits[self.folds[0]])
        fold = self.fold_of_each_moment(n_trs)
        logit, saw = np.full(n_trs, np.nan), np.zeros(n_trs, dtype=int)
        for number, values in logits.items():
            of_fold = fold == number
            logit[of_fold] = values[of_fold]
            saw[of_fold] = self.saw(number, n_trs)[of_fold]
        predicted = np.isfinite(logit)
        return pd.DataFrame(
            {
                "logit": logit,
                "fold_model": pd.Series(fold, dtype="Int64").where(fold > 0),
                "seen_in_training": pd.Series(saw, dtype="Int64").where(predicted),
            }
        )


def _distance(n_trs: int, starts: np.ndarray) -> np.ndarray:
    """Volumes (n_trs,) from each volume to the nearest start of a window; infinite if there is none."""
    if not len(starts):
        return np.full(n_trs, np.inf)
    starts = np.unique(starts)
    after = np.searchsorted(starts, np.arange(n_trs)).clip(0, len(starts) - 1)
    before = (after - 1).clip(0)
    return np.minimum(*(np.abs(np.arange(n_trs) - starts[index]) for index in (before, after)))


def choose_models(
    runs: list[Run], folder: Path, split: str, settings: FoldSettings, tr_s: float, smooth_trs: int,
    several: bool = True,
) -> dict[Run, RunModels]:  # fmt: skip
    """For each run, the fold models that saw the least of it.

    A model that saw no moment of the run's film predicts the whole run. If there is none, models of
    "event" folds predict the moments that they did not see. In other splits the model that saw the
    least predicts the whole run, and the run is marked by ``seen_moments``. With SELECTION =
    "paper" models saw their held-out windows too, which chose the epoch.

    Parameters
    ----------
    folder : folder of the models of one split, with ``predictions.tsv`` and ``metrics.json``.
    split : the split whose models predict. settings : of its folds.
    tr_s : seconds from one volume to the next. smooth_trs : volumes of the running mean of logits.
    several : whether several models may predict one run.

    Raises
    ------
    NeuroFaceError
        If the folds of these settings are not those that the models were trained on.
    """
    samples = read_table(folder / "predictions.tsv")
    rows = rows_seen(samples, folder, split, settings)
    quality = {
        f["fold"]: f["best_val_balanced_accuracy"]
        for f in read_json(folder / "metrics.json")["folds"]
    }
    may_join = several and split == "event" and settings.selection == "inner"
    distance = settings.window_trs + settings.embargo_trs + smooth_trs // 2
    return {
        run: _models_of(
            run,
            samples,
            rows,
            quality,
            may_join,
            distance + _apart_trs(run, runs, tr_s),
            settings.window_trs,
        )
        for run in runs
    }


def _apart_trs(run: Run, runs: list[Run], tr_s: float) -> int:
    """By how many volumes the film's beginning differs between the runs of its viewers (FILM_EVENT)."""
    onsets_s = [
        other.film.onset_s for other in runs if other.film and other.stimulus == run.stimulus
    ]
    return math.ceil((max(onsets_s) - min(onsets_s)) / tr_s) if onsets_s else 0


def rows_seen(
    samples: pd.DataFrame, folder: Path, split: str, settings: FoldSettings
) -> dict[int, np.ndarray]:
    """Fold → which windows (n,) bool its model saw, in training or to choose its epoch; embargoed ones it did not see."""
    seen = {}
    for fold in make_folds(samples, split, settings):
        if not np.array_equal(fold.test, np.flatnonzero(samples["fold"] == fold.number)):
            raise NeuroFaceError(
                f"{folder / 'predictions.tsv'}: fold {fold.number} does not hold out the windows that the settings give. "
                f"Delete {folder} and train again."
            )
        is_seen = np.zeros(len(samples), dtype=bool)
        is_seen[fold.rows] = True
        if settings.selection == "paper":
            is_seen[fold.test] = True
        seen[fold.number] = is_seen
    return seen


def _models_of(
    run: Run, samples: pd.DataFrame, rows: dict[int, np.ndarray], quality: dict, may_join: bool, distance: int,
    window_trs: int,
) -> RunModels:  # fmt: skip
    same_film = moments_of(run, samples, window_trs)
    first_tr = samples["first_tr"].to_numpy()
    seen_trs = {fold: first_tr[same_film & is_seen] for fold, is_seen in rows.items()}
    held_out = {fold: first_tr[same_film & (samples["fold"] == fold).to_numpy()] for fold in rows}
    seen_of_fold = {fold: _seen(run, samples[is_seen]) for fold, is_seen in rows.items()}

    def how_much(fold: int) -> tuple:
        return len(seen_trs[fold]) > 0, sum(seen_of_fold[fold].values()), -quality[fold], fold

    best = min(rows, key=how_much)
    if len(seen_trs[best]) and may_join:
        seen = {name: any(parts[name] for parts in seen_of_fold.values()) for name in SEEN[1:]}
        return RunModels(tuple(rows), {SEEN[0]: False} | seen, seen_trs, held_out, distance)
    seen = {SEEN[0]: len(seen_trs[best]) > 0} | seen_of_fold[best]
    return RunModels((best,), seen, seen_trs, held_out, distance)


def _seen(run: Run, known: pd.DataFrame) -> dict[str, bool]:
    person, film = known["subject"] == run.subject, known["movie"] == run.movie
    return dict(
        zip(
            SEEN[1:],
            (
                bool(windows.any())
                for windows in (person & film & (known["run"] == run.run), person, film)
            ),
        )
    )


def moments_of(run: Run, samples: pd.DataFrame, window_trs: int) -> np.ndarray:
    """Which windows (n,) bool show the moments of this run, to this person or to another one.

    Runs of the same film and number show the same moments, unless windows of the two people start
    within half a window of each other and have different labels: then the order of the stimuli
    differs between people.
    """
    same = (samples["movie"] == run.movie).to_numpy()
    if run.run == LIVE:
        return same
    # The session in which somebody saw the film plays no part.
    same = stimuli_of(samples) == (
        run.stimulus if "stimulus" in samples else f"{run.movie} {run.run}"
    )
    own = samples[same & (samples["subject"] == run.subject).to_numpy()]
    for person in samples["subject"][same].unique():
        rows = same & (samples["subject"] == person).to_numpy()
        theirs = samples[rows]
        near = (
            np.abs(np.subtract.outer(own["first_tr"].to_numpy(), theirs["first_tr"].to_numpy()))
            < window_trs / 2
        )
        if (near & np.not_equal.outer(own["label"].to_numpy(), theirs["label"].to_numpy())).any():
            same = same & ~rows
    return same


def seen_text(seen: dict[str, bool]) -> str:
    """What a run's models had seen, in words; ``seen`` has the names in ``SEEN``."""
    names = [name for name in SEEN if name != "seen_moments" or seen[name] or seen["seen_run"]]
    parts: dict[bool, list[str]] = {True: [], False: []}
    for name in names:
        parts[seen[name]].append(name.removeprefix("seen_"))
    if not parts[True]:
        return "person and film unseen in training"
    unseen = f"{' and '.join(parts[False])} unseen, " if parts[False] else ""
    return f"{unseen}{' and '.join(parts[True])} seen in training"


def run_of_folder(folder: Path) -> Run:
    """A run to choose a model for, from a folder's name such as ``sub-9_task-orchard``; an unknown film is ""."""
    name = folder.resolve().name
    subject, movie = re.search(r"sub-[A-Za-z0-9]+", name), re.search(r"task-([A-Za-z0-9]+)", name)
    return Run(
        subject[0] if subject else "", movie[1] if movie else "", LIVE, name, folder, None, ()
    )


def live_text(run: Run, models: RunModels) -> str:
    """What the model of a run that is being scanned had seen, in words."""
    if not run.movie:
        return f"what it saw of this film is unknown: {run.name} has no task-<film> in its name (seen_in_training: n/a)"
    text = seen_text(models.seen)
    if models.seen["seen_moments"]:
        text += (
            "; it knows these moments, so its probabilities are no test (column seen_in_training)"
        )
    return text
