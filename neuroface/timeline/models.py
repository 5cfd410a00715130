"""The fold model that predicts a run: the one that saw the least of it."""

import re
from pathlib import Path

from neuroface.bold import Run
from neuroface.pipeline import read_json, read_table

SEEN = ("seen_run", "seen_person", "seen_film")


def choose_models(runs: list[Run], folder: Path, selection: str) -> dict[Run, tuple[int, dict[str, bool]]]:
    """For each run, the fold model that saw the least of it, and whether that model saw this run, person and film.

    A fold model saw every window that its fold does not hold out, in training or to choose the epoch. With SELECTION =
    "paper" it saw the held-out windows too, because they chose its epoch.

    Parameters
    ----------
    folder : of the models of one split, with ``predictions.tsv`` and ``metrics.json``.
    """
    held_out = read_table(folder / "predictions.tsv")
    quality = {f["fold"]: f["best_val_balanced_accuracy"] for f in read_json(folder / "metrics.json")["folds"]}
    chosen = {}
    for run in runs:
        options = []
        for fold in quality:
            known = held_out if selection == "paper" else held_out[held_out["fold"] != fold]
            person, film = known["subject"] == run.subject, known["movie"] == run.movie
            same = person & film & (known["run"] == run.run)
            seen = dict(zip(SEEN, (bool(rows.any()) for rows in (same, person, film))))
            options.append((sum(seen.values()), -quality[fold], fold, seen))
        _, _, fold, seen = min(options, key=lambda option: option[:3])
        chosen[run] = fold, seen
    return chosen


def seen_text(seen: dict[str, bool]) -> str:
    """What a model had seen of a run, in words; ``seen`` comes from :func:`choose_models`."""
    parts = {True: [], False: []}
    for name in SEEN:
        parts[seen[name]].append(name.removeprefix("seen_"))
    if not parts[True]:
        return "person and film unseen in training"
    unseen = f"{' and '.join(parts[False])} unseen, " if parts[False] else ""
    return f"{unseen}{' and '.join(parts[True])} seen in training"


def run_of_folder(folder: Path) -> Run:
    """A run to choose a model for, from a folder's name such as ``sub-9_task-orchard``."""
    name = folder.resolve().name
    subject, movie = re.search(r"sub-[A-Za-z0-9]+", name), re.search(r"task-([A-Za-z0-9]+)", name)
    return Run(subject[0] if subject else "", movie[1] if movie else "", "live", name, folder, None, ())
