"""Decode within people: scripts 1 to 3 for one person after another, and one table of all of them.

For BOLD in each person's own space, where voxels of two people do not correspond, and for questions
about single people. Each person has a mask, windows and models of their own; people are the sample
of the interval. Maps of people in native space lie in different places: normalise them before you
average them.

    NEUROFACE_CONFIG=experiments/haxby2001.py python within_people.py               everybody
    NEUROFACE_CONFIG=experiments/haxby2001.py python within_people.py sub-1 sub-3   these people

INCLUDE of the experiment is not used. Run it again after an interruption: finished work is kept.

Reads     the experiment of NEUROFACE_CONFIG, else config.py; the data set in DATASET_DIR
Writes    data/<RUN_NAME>-<sub>/, as scripts 1 to 3 write it, one folder per person
          data/<RUN_NAME>-within-people/<sub>.py, the experiment of each person
          data/<RUN_NAME>-within-people/people.tsv, one row per person, split and model: accuracy,
            balanced accuracy, AUC
          data/<RUN_NAME>-within-people/mean.tsv, one row per split, model and score: mean over
            people, 95 % t interval; of balanced accuracy and AUC p of a one-sided t test against 0.5
Takes     scripts 1 to 3 once per person
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.decoding import LEAST_CLUSTERS
from neuroface.face_study import STUDY, FaceSettings, runs_of_people
from neuroface.pipeline import experiment_text, read_table, run_script, write_table

import pandas as pd
from scipy.stats import ttest_1samp

ROOT = Path(__file__).parent
SCORES = ("accuracy", "balanced_accuracy", "auc")
CHANCE = 0.5
# With classes of unequal size the larger one alone gives a higher accuracy.
NOT_TESTED = ("accuracy",)


def main(arguments: argparse.Namespace) -> None:
    cfg = STUDY.load_settings(__file__)
    folder = Path(cfg.DATA_DIR) / f"{cfg.RUN_NAME}-within-people"
    folder.mkdir(parents=True, exist_ok=True)
    people = people_of(cfg, arguments.people)
    for number, person in enumerate(people, 1):
        print(f"{person}: person {number} of {len(people)}", flush=True)
        run_scripts(write_experiment(folder, person, cfg), person)
    table = pd.concat([scores_of(person, cfg) for person in people], ignore_index=True)
    write_table(folder / "people.tsv", table)
    means = means_of(table)
    write_table(folder / "mean.tsv", means)
    for line in lines_of(means):
        print(f"  {line}")
    print(f"  wrote people.tsv and mean.tsv in {folder}")


def people_of(cfg: FaceSettings, wanted: list[str]) -> list[str]:
    """The people whose runs can be used; raise if one of ``wanted`` is not among them."""
    runs, left_out = runs_of_people(cfg, tuple(wanted))
    for item, why in left_out:
        print(f"  left out: {item}: {why}")
    people = list(dict.fromkeys(run.subject for run in runs))
    if lost := [person for person in wanted if person not in people]:
        raise NeuroFaceError(f"{lost[0]} has no run that can be used; the reason is above.")
    return people


def write_experiment(folder: Path, person: str, cfg: FaceSettings) -> Path:
    """The experiment file of a person: that of the user, if there is one, with INCLUDE and RUN_NAME."""
    source = None
    if experiment := os.environ.get("NEUROFACE_CONFIG"):
        source = Path(experiment) if Path(experiment).exists() else ROOT / experiment
    path = folder / f"{person}.py"
    text = experiment_text(source, INCLUDE=(person,), RUN_NAME=f"{cfg.RUN_NAME}-{person}")
    path.write_text(f"# {person}; written by within_people.py\n{text}")
    return path


def run_scripts(experiment: Path, person: str) -> None:
    """Run scripts 1 to 3 for a person."""
    for number in (1, 2, 3):
        script = STUDY.step(number).script
        environment = os.environ | {"NEUROFACE_CONFIG": str(experiment.resolve())}
        done = subprocess.run([sys.executable, ROOT / script], env=environment)
        if done.returncode:
            raise NeuroFaceError(
                f"{script} stopped for {person}, for the reason above. Solve it, or name the other people behind "
                f"within_people.py; finished work is kept."
            )


def scores_of(person: str, cfg: FaceSettings) -> pd.DataFrame:
    """Scores of a person's models: columns person, split, model and SCORES."""
    tables = []
    for file in sorted(
        Path(cfg.DATA_DIR, f"{cfg.RUN_NAME}-{person}", "3-model").glob("*/models.tsv")
    ):
        table = read_table(file)[["model", *SCORES]]
        table.insert(0, "split", file.parent.name)
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "person", person)
    return table


def means_of(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over people of each score, its 95 % t interval, and the p of a one-sided t test against chance.

    Parameters
    ----------
    table : one row per person, split and model, as ``people.tsv``.

    Returns
    -------
    Columns split, model, score, people, mean, low, high, p; with fewer people than intervals need
    elsewhere low, high and p are NaN, and so is p of the scores in ``NOT_TESTED``.
    """
    rows = []
    for (split, model), each in table.groupby(["split", "model"], sort=False):
        for score in SCORES:
            values = each[score].dropna()
            low = high = p = float("nan")
            if len(values) >= LEAST_CLUSTERS and values.std() > 0:
                low, high = ttest_1samp(values, CHANCE).confidence_interval(0.95)
                if score not in NOT_TESTED:
                    p = ttest_1samp(values, CHANCE, alternative="greater").pvalue
            rows.append((split, model, score, len(values), values.mean(), low, high, p))
    return pd.DataFrame(
        rows, columns=["split", "model", "score", "people", "mean", "low", "high", "p"]
    )


def lines_of(means: pd.DataFrame) -> list[str]:
    """Balanced accuracy and AUC of every model in words."""
    lines = []
    for (split, model), rows in means.groupby(["split", "model"], sort=False):
        scores = []
        for row in rows[rows["score"] != "accuracy"].itertuples():
            interval = (
                f" [{row.low:.2f}, {row.high:.2f}], p = {row.p:.3g}" if row.low == row.low else ""
            )
            scores.append(f"{row.score.replace('_', ' ')} {row.mean:.2f}{interval}")
        lines.append(f"{model}, {split} folds, {rows['people'].max()} people: {'; '.join(scores)}")
    if (means["people"] < LEAST_CLUSTERS).any():
        lines.append(f"no interval and no p with fewer than {LEAST_CLUSTERS} people")
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("people", nargs="*", help="for example sub-1 sub-3; by default everybody")
    run_script(main, parser=parser)
