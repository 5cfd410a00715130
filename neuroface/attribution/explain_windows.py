"""Explain the windows of a study: one file per person, film, label and method, the mean over the networks of a fold."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from neuroface.attribution.baselines import Baselines
from neuroface.attribution.explainer import Recipe, explainer_of
from neuroface.attribution.files import (
    attribution_file,
    completeness_file,
    seed_file,
    seed_means_file,
)
from neuroface.pipeline import PARTIAL, create_npy, open_npy, read_table, write_npy, write_table

import numpy as np
import pandas as pd

KEYS = ["subject", "movie", "label"]  # one attribution file each


class Unit(NamedTuple):
    """Windows of one person and label in one film, explained by one method and by the networks of one seed."""

    subject: str
    movie: str
    label: str
    method: str
    number: int = 1


@dataclass(frozen=True)
class Explaining:
    """Which windows are explained by which models, and where the maps go; small enough to send to worker processes.

    Parameters
    ----------
    folder : where the maps are written. X_file : ``X.npy``.
    samples : a row per window: subject, movie, label, event; ``row`` in X; ``window`` in its file;
        ``model``, the number of the fold model; ``sign``, 1 for the first label and -1 for the
        second.
    models : number of a fold model → its files, one per seed.
    recipe_of : method → its recipe. baselines, baseline : the baselines, and the kind to use.
    """

    folder: Path
    X_file: Path
    samples: pd.DataFrame
    models: dict[int, list[Path]]
    recipe_of: Callable[[str], Recipe]
    baselines: Baselines
    baseline: str

    @property
    def n_seeds(self) -> int:
        return max(map(len, self.models.values()))

    def units(self, methods: tuple[str, ...]) -> list[Unit]:
        """Every person, film, label, method and seed."""
        keys = [key for key, _ in self.samples.groupby(KEYS, sort=False)]
        return [
            Unit(subject, movie, label, method, number)
            for method in methods
            for subject, movie, label in keys
            for number in range(1, self.n_seeds + 1)
        ]

    def file(self, unit: Unit) -> Path:
        """Where the maps of a unit go; with several seeds to a file that :meth:`join` removes."""
        target = attribution_file(self.folder, *unit[:4])
        return target if self.n_seeds == 1 else seed_file(target, unit.number)

    def explained_files(self, unit: Unit) -> list[Path]:
        """The files that :meth:`explain` writes."""
        target = self.file(unit)
        return [target, completeness_file(target)]

    def joined_files(self, unit: Unit) -> list[Path]:
        """The files that later scripts read; with several seeds :meth:`join` writes them."""
        target = attribution_file(self.folder, *unit[:4])
        of_seeds = [] if self.n_seeds == 1 else [seed_means_file(target)]
        return [target, completeness_file(target), *of_seeds]

    def explain(self, unit: Unit) -> None:
        """Write attributions and completeness of the windows of a unit; resumes after the last batch."""
        X, target = open_npy(self.X_file), self.file(unit)
        samples = self.samples.loc[(self.samples[KEYS] == list(unit[:3])).all(axis=1)]
        # The journal gains rows once their attributions are on disk: a rerun may skip the windows
        # that it lists.
        table = completeness_file(target)
        journal = table.with_name(f"{PARTIAL}journal-{table.name}")
        partial = target.with_name(PARTIAL + target.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        resumes = journal.exists() and partial.exists()
        finished = [read_table(journal)] if resumes else []
        if not resumes:
            journal.unlink(missing_ok=True)  # it belongs to a file that no longer exists
            create_npy(partial, (len(samples), *X.shape[1:]))
        maps = np.lib.format.open_memmap(partial, mode="r+")
        for model, windows in samples.groupby("model"):  # so each is loaded once
            files = self.models[model]
            file = files[
                min(unit.number, len(files)) - 1
            ]  # a model in closed form is the same for every seed
            _, n_voxels, window_trs = X.shape
            explainer = explainer_of(file, n_voxels, window_trs, self.recipe_of(unit.method))
            windows = windows[
                ~windows["window"].isin(pd.concat(finished)["window"] if finished else [])
            ]
            for start in range(0, len(windows), explainer.windows_at_once):
                batch = windows.iloc[start : start + explainer.windows_at_once]
                maps[batch["window"]], figures = explainer(X, batch, self.baseline_of)
                maps.flush()
                known = batch[["window", "event", "model"]].rename(columns={"model": "fold_model"})
                finished.append(pd.concat([known.reset_index(drop=True), figures], axis=1))
                write_table(journal, pd.concat(finished))
        del maps
        partial.rename(target)
        write_table(table, pd.concat(finished).sort_values("window"))
        journal.unlink()

    def baseline_of(self, sample) -> np.ndarray:
        return self.baselines.of(self.baseline, sample)

    def join(self, unit: Unit) -> None:
        """Average the maps over seeds; keep the mean over windows of each seed, to show how much the maps differ."""
        target = attribution_file(self.folder, *unit[:4])
        files = [seed_file(target, number + 1) for number in range(self.n_seeds)]
        tables = [read_table(completeness_file(file)) for file in files]
        maps_of_seeds = [open_npy(file) for file in files]
        means = np.stack([of_seed.mean(axis=0, dtype=np.float64) for of_seed in maps_of_seeds])
        write_npy(seed_means_file(target), means.astype(np.float32))
        partial = target.with_name(PARTIAL + target.name)
        maps = create_npy(partial, maps_of_seeds[0].shape)
        for window in range(len(maps)):
            maps[window] = np.mean([of_seed[window] for of_seed in maps_of_seeds], axis=0)
        maps.flush()
        del maps
        numbers = ["logit", "logit_of_baseline", "sum_of_attributions", "gap"]
        means = sum(table[numbers] for table in tables) / len(tables)
        steps = np.max([table["steps"] for table in tables], axis=0)
        write_table(completeness_file(target), tables[0].assign(**means, steps=steps))
        partial.rename(target)
        for file in files:
            file.unlink()
            completeness_file(file).unlink()
