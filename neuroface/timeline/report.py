"""The report's section on whole runs: figures, tables and sentences."""

from pathlib import Path

from neuroface.bold import Labels, Run
from neuroface.decoding import mean_over_people
from neuroface.pipeline import Section
from neuroface.timeline.figures import plot_event_locked, plot_interval, plot_lag_sweep, plot_strip
from neuroface.timeline.files import timeline_figure
from neuroface.timeline.models import seen_text
from neuroface.timeline.scores import MEANS

import pandas as pd

FIGURES_IN_REPORT = 8


def draw(folder: Path, tables: dict[Run, pd.DataFrame], results: list[dict], curves: dict, labels: Labels, cfg) -> None:
    """Write all figures.

    Parameters
    ----------
    tables, results : of each run, in the same order. curves : of :func:`neuroface.timeline.scores.curves_of`.
    """
    for (run, table), result in zip(tables.items(), results, strict=True):
        title = f"{run.name}: AUC {result['auc']:.2f} ({seen_text(result)})"
        threshold = result["at_training_threshold"]["threshold"]
        plot_interval(table, title, cfg.PLOT_INTERVAL_S, threshold, labels, timeline_figure(folder, run))
    for movie in dict.fromkeys(run.movie for run in tables):
        rows = {run.name.replace(f"_task-{movie}", ""): table for run, table in tables.items() if run.movie == movie}
        seen = dict.fromkeys(seen_text(result) for result in results if result["movie"] == movie)
        plot_strip(rows, f"{movie} ({'; '.join(seen)})", folder / f"{movie}_strip.png")
    people = [run.subject for run in tables]
    sweep, onset, offset = (mean_over_people(curves[kind], people) for kind in ("sweep", "onset", "offset"))
    plot_lag_sweep(curves["sweep_s"], sweep, curves["sweep"], folder / "lag_sweep.png")
    counts = curves["n_onsets"], curves["n_offsets"]
    target = folder / "event_locked.png"
    plot_event_locked(curves["around_s"], onset, offset, counts, cfg.MIN_STRETCH_S, labels, target)


def describe(folder: Path, runs: list[Run], results: list[dict], study: dict, labels: Labels) -> Section:
    """The section; ``results`` of each run, ``study`` of :func:`neuroface.timeline.scores.summarize`."""
    null, mean = study["shift_null"], study["mean_over_people_95"]
    there = labels.is_there
    section = Section(
        "Moment by moment",
        "The network predicted every volume of whole runs. Predictions and truth are on the time axis of the film. "
        f"Compare the accuracy with the share of time in which {there}: a model that always gives the more frequent "
        f"answer scores this share, or 1 minus this share.",
    )
    for result in results:
        print(f"  {result['run']}: AUC {result['auc']:.3f}, F1 {result['f1']:.3f}; {seen_text(result)}")
    print(
        f"  mean AUC {mean['auc'][0]:.3f}; with the annotation rotated {text(null['mean'])}, p = {text(null['p'], 4)}"
    )
    section.numbers(
        {
            "mean AUC": text(mean["auc"][0]),
            "its 95 % interval over people": " – ".join(map(text, mean["auc"][1:])),
            "AUC, annotation rotated": text(null["mean"]),
            "p (rotations)": text(null["p"], 4),
            "mean MCC": text(mean["mcc"][0]),
            "mean F1": text(mean["f1"][0]),
            f"time in which {there}": f"{mean['base_rate'][0]:.1%}",
        }
    )
    section.figure(
        folder / "lag_sweep.png",
        "AUC if every prediction is assigned to a moment that many seconds later. Thick: the mean over people with its "
        "95 % interval. Thin: each run. If LAG_S and PREDICTION_AT are right, the maximum is near 0.",
    )
    section.figure(
        folder / "event_locked.png",
        f"Mean probability around onsets and offsets of {labels.one}, without other changes nearby, with the 95 % "
        f"interval over people. Shaded: {there} all the time.",
    )
    for movie in list(study["by_movie"])[:FIGURES_IN_REPORT]:
        section.figure(folder / f"{movie}_strip.png", f"{movie}: the truth, and each viewer's predicted probability.")
    for cut, of in (("0.5", lambda r: r), ("the training folds' best threshold", lambda r: r["at_training_threshold"])):
        rows = [(r["run"], seen_text(r), *(text((r | of(r))[name]) for name in MEANS)) for r in results]
        section.table(["run", "model", *MEANS], rows, f"Every second of every run, threshold {cut}")
    chance = [(r["shift_null"]["mean"], r["shift_null"]["p"], r["auc_in_training_like_windows"]) for r in results]
    rows = [(r["run"], text(r["auc"]), text(m), text(p, 4), text(inside)) for r, (m, p, inside) in zip(results, chance)]
    columns = ["run", "AUC", "AUC, annotation rotated", "p", "AUC in training-like windows"]
    section.table(columns, rows, "Comparison with chance, per run")
    for what, part in (("film or task", study["by_movie"]), ("person", study["by_subject"])):
        rows = [(key, *(text(s[name]) for name in MEANS)) for key, s in part.items()]
        section.table([what, *MEANS], rows, f"Means per {what}, threshold 0.5")
    if study["agreement"]:
        rows = [(film, text(r)) for film, r in study["agreement"].items()]
        caption = "Agreement: mean correlation of logits between viewers of one film"
        section.table(["film", "correlation"], rows, caption)
    for run in runs[:FIGURES_IN_REPORT]:
        section.figure(
            timeline_figure(folder, run),
            f"{run.name}. Top: the predicted probability; shaded are the moments in which {there}. Bottom: the truth, and "
            f"the answers at 0.5 and at the training folds' threshold.",
        )
    return section


def text(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
