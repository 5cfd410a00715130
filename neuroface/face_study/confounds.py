"""Do film features differ between conditions? Regressors of windows: balance, predictions by them alone, tables."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from neuroface.bold import Labels, Run, balance
from neuroface.decoding import TOGETHER, Fold, confound_scores, mark_of, title_of
from neuroface.face_study.settings import FaceSettings
from neuroface.face_study.words import labels_of
from neuroface.film import (
    chosen_regressors,
    imbalance,
    match_windows,
    regressors_of_run,
    regressors_of_windows,
)
from neuroface.pipeline import Section, Stage, read_json, read_table, write_json, write_table

import numpy as np
import pandas as pd

WINDOW_REGRESSORS = "film_regressors.tsv"
KEYS = ["subject", "movie", "run", "label", "first_tr"]  # name a window


def window_regressors(
    run: Run, table: pd.DataFrame, n_trs: int, n_volumes: int, cfg: FaceSettings
) -> pd.DataFrame | None:
    """Mean of each film regressor over each window of a run; None if there is no file of them.

    Raises
    ------
    NeuroFaceError
        If MATCH_ON names one that the run does not have.
    """
    chosen_regressors(run, cfg.MATCH_ON, "MATCH_ON", cfg.TR_S, n_trs, n_volumes)
    if run.regressors is None:
        return None
    regressors = regressors_of_run(run, cfg.TR_S, n_trs, n_volumes)
    return regressors_of_windows(regressors, table["first_tr"].to_numpy(), cfg.WINDOW_TRS)


def choose_windows(
    table: pd.DataFrame,
    regressors: pd.DataFrame | None,
    labels: Labels,
    run_name: str,
    cfg: FaceSettings,
) -> pd.DataFrame:
    """Windows of a run with as many of each class: drawn at random, or pairs that are alike in MATCH_ON."""
    if not cfg.MATCH_ON:
        return balance(table, labels, cfg.SEED, run_name)
    if regressors is None:
        raise ValueError("windows are matched in regressors, and there are none")
    is_first = (table["label"] == labels.first).to_numpy()
    return table.iloc[
        match_windows(is_first, regressors[list(cfg.MATCH_ON)], cfg.MATCH_WITHIN_SD)
    ].reset_index(drop=True)


def with_kept(
    table: pd.DataFrame, regressors: pd.DataFrame | None, plan: pd.DataFrame, run: Run
) -> pd.DataFrame | None:
    """All windows of a run with their regressors, and in ``kept`` whether the balance kept them."""
    if regressors is None:
        return None
    kept = pd.MultiIndex.from_frame(table[["label", "first_tr"]]).isin(
        pd.MultiIndex.from_frame(plan[["label", "first_tr"]])
    )
    table = table[["label", "first_tr"]].assign(
        subject=run.subject, movie=run.movie, run=run.run, kept=kept.astype(int)
    )
    return pd.concat([table[[*KEYS, "kept"]], regressors.round(6)], axis=1)


def write_window_regressors(
    folder: Path, tables_of_runs: Iterable[pd.DataFrame | None]
) -> str | None:
    """Write ``film_regressors.tsv``, the regressors that all runs share; returns why not if only some have any."""
    tables = list(tables_of_runs)
    there = [table for table in tables if table is not None]
    if not there:
        return None
    shared = [name for name in there[0].columns if all(name in table for table in there)]
    if len(there) < len(tables) or len(shared) == len(KEYS) + 1:
        return f"{len(tables) - len(there)} of {len(tables)} runs have none; no comparison with what else the films show"
    write_table(
        folder / WINDOW_REGRESSORS, pd.concat([table[shared] for table in there], ignore_index=True)
    )
    return None


def describe_balance(section: Section, folder: Path, labels: Labels, cfg: FaceSettings) -> None:
    """Add a table: how much the classes differ in each regressor, among all windows and among those that were kept."""
    if not (folder / WINDOW_REGRESSORS).exists():
        return
    table = read_table(folder / WINDOW_REGRESSORS)
    before, after = (differences(windows, labels) for windows in (table, table[table["kept"] == 1]))
    rows = [
        (name.replace("_", " "), f"{before[name]:+.2f}", f"{after[name]:+.2f}") for name in before
    ]
    how = (
        f"kept windows were paired to be alike in {', '.join(cfg.MATCH_ON)}"
        if cfg.MATCH_ON
        else "kept windows were drawn at random"
    )
    how = how if cfg.BALANCE == "run" else "all windows were kept"
    first, second = labels.titles
    section.table(
        ["film regressor", "all windows", "kept windows"],
        rows,
        f"What else differs between the classes: mean in {first.replace(' ', '-')} windows minus mean in "
        f"{second.replace(' ', '-')} windows, in SDs within a class; {how}. "
        f"Script 3 tells how well these predict the label.",
    )  # fmt: skip


def differences(table: pd.DataFrame, labels: Labels) -> dict[str, float]:
    """Standardised mean difference of each regressor in a table of windows."""
    return imbalance(
        (table["label"] == labels.first).to_numpy(), table.drop(columns=[*KEYS, "kept"])
    )


def regressors_of_dataset(folder: Path, samples: pd.DataFrame) -> pd.DataFrame | None:
    """Film regressors of the windows of ``samples.tsv``, row by row; None if the windows have none.

    Parameters
    ----------
    folder : folder of script 1.
    """
    if not (folder / WINDOW_REGRESSORS).exists():
        return None
    table = read_table(folder / WINDOW_REGRESSORS)
    table = table[table["kept"] == 1].drop(columns="kept").drop_duplicates(KEYS)
    joined = (
        samples[KEYS].merge(table, on=KEYS, how="left", validate="many_to_one").drop(columns=KEYS)
    )
    return None if joined.isna().any(axis=None) else joined.astype(np.float64)


# ---------------------------------------------------------------- script 3


def add_confounds(
    stage: Stage,
    section: Section,
    samples: pd.DataFrame,
    folds: dict[str, list[Fold]],
    results: dict[str, dict],
    ladders: dict[str, dict],
    cfg: FaceSettings,
) -> None:
    """Predict the label from film regressors alone, and add the table to the report; nothing where there are none.

    Parameters
    ----------
    samples : ``samples.tsv``. results : model → split → content of ``metrics.json``. ladders :
        linear model → split → scores with p-values.
    """
    features, labels = regressors_of_dataset(stage.folder_of(1), samples), labels_of(cfg)
    if features is None:
        return
    target = stage.folder / "film_regressors.json"
    stage.each(partial(write_scores, samples, features, folds, cfg), [target], "confounds")
    of_film = read_json(target)
    rows = [
        (name.replace("_", " "), *_cells(name, of_film, cfg.CV_SPLITS))
        for name in [*features, TOGETHER]
    ]
    for model, parts in results.items():
        cells: list[str] = []
        for split in cfg.CV_SPLITS:
            p = ladders[model][split]["p"] if model in ladders else None
            cells += _scores(parts[split]["all_folds"] | {"p": p})
        rows.append((f"BOLD, {title_of(model)}{mark_of(model, cfg.SELECTION)}", "", *cells))
    first, second = labels.titles
    section.table(
        [
            "predicted from",
            f"{first} minus {second}, SD",
            *(f"{score}, {split} folds" for split in cfg.CV_SPLITS for score in SHOWN),
        ],
        rows,
        f"Is “{first}” just a brighter, louder or faster moment? Ridge classifiers see only what else the film shows and "
        f"sounds like, averaged over each window after the haemodynamic response, on the same folds as the networks. What "
        f"they reach, a model of BOLD can reach without {labels.singular}; MATCH_ON makes the classes alike.",
    )
    for split in cfg.CV_SPLITS:
        alone = of_film["scores"][TOGETHER][split]
        print(
            f"  film regressors alone, {split} folds: {alone['balanced_accuracy']:.1%} balanced accuracy, "
            f"AUC {alone['auc']:.3f}"
        )


SHOWN = ("balanced accuracy", "AUC", "p")


def write_scores(
    samples: pd.DataFrame,
    features: pd.DataFrame,
    folds: dict[str, list[Fold]],
    cfg: FaceSettings,
    target: Path,
) -> None:
    """Write how each film regressor differs between the classes, and how well it predicts them."""
    is_first = (samples["label"] == cfg.LABELS[0]).to_numpy()
    scores = confound_scores(
        features,
        is_first.astype(np.int8),
        samples,
        folds,
        cfg.N_PERMUTATIONS,
        cfg.SEED,
        cfg.LABELS[0],
    )
    write_json(target, {"difference_sd": imbalance(is_first, features), "scores": scores})


def _cells(name: str, results: dict, splits: Sequence[str]) -> list[str]:
    scores = results["scores"].get(name)  # none where it never changes
    difference = (
        f"{results['difference_sd'][name]:+.2f}" if name in results["difference_sd"] else ""
    )
    return [
        difference,
        *(
            cell
            for split in splits
            for cell in (_scores(scores[split]) if scores else ("–", "–", "–"))
        ),
    ]


def _scores(scores: dict) -> tuple[str, str, str]:
    p = f"{scores['p']:.4f}" if scores.get("p") is not None else ""
    return f"{scores['balanced_accuracy']:.1%}", f"{scores['auc']:.3f}", p
