"""The report's section on whole runs: figures, tables and sentences."""

from pathlib import Path

from neuroface.bold import Labels, Run
from neuroface.pipeline import Section
from neuroface.timeline.figures import plot_event_locked, plot_interval, plot_lag_sweep, plot_strip
from neuroface.timeline.files import timeline_figure
from neuroface.timeline.model_for_run import seen_text
from neuroface.timeline.scores import MEANS, mean_and_interval

import pandas as pd

FIGURES_IN_REPORT = 8
SWEEP, LOCKED = "lag_sweep.png", "event_locked.png"


def draw(
    folder: Path,
    tables: dict[Run, pd.DataFrame],
    results: list[dict],
    curves: dict | None,
    labels: Labels,
    clock: str,
    interval_s: tuple[float, float],
    min_stretch_s: float,
) -> None:
    """Write all figures; those of alignment and of onsets show the runs whose moments the models had not seen.

    Parameters
    ----------
    tables, results : of each run, in the same order.
    curves : result of :func:`neuroface.timeline.scores.curves_of`; None if there is no such run.
    clock : result of :func:`neuroface.bold.clock_of_onsets`. interval_s : PLOT_INTERVAL_S.
    min_stretch_s : MIN_STRETCH_S.
    """
    for (run, table), result in zip(tables.items(), results, strict=True):
        title = f"{run.name}: AUC {result['auc']:.2f} ({seen_text(result)})"
        threshold = result["at_training_threshold"]["threshold"]
        plot_interval(
            table,
            title,
            interval_s,
            threshold,
            labels,
            clock,
            timeline_figure(folder, run),
        )
    for movie in dict.fromkeys(run.movie for run in tables):
        rows = {
            run.name.replace(f"_task-{movie}", ""): table
            for run, table in tables.items()
            if run.movie == movie
        }
        seen = dict.fromkeys(seen_text(result) for result in results if result["movie"] == movie)
        plot_strip(rows, f"{movie} ({'; '.join(seen)})", clock, folder / f"{movie}_strip.png")
    if curves is None:
        for name in (SWEEP, LOCKED):
            (folder / name).unlink(missing_ok=True)
        return
    of = [result for result in results if not result["seen_moments"]]
    films, people = [result["film"] for result in of], [result["subject"] for result in of]
    sweep, onset, offset = (
        mean_and_interval(curves[kind], films, people) for kind in ("sweep", "onset", "offset")
    )
    plot_lag_sweep(curves["sweep_s"], sweep, curves["sweep"], folder / SWEEP)
    counts = curves["n_onsets"], curves["n_offsets"]
    plot_event_locked(
        curves["around_s"], onset, offset, counts, min_stretch_s, labels, folder / LOCKED
    )


def describe_timelines(
    folder: Path, runs: list[Run], results: list[dict], study: dict, labels: Labels
) -> Section:
    """The section; ``results`` of each run, ``study`` of :func:`neuroface.timeline.scores.summarize`."""
    there = labels.is_there
    section = Section("Moment by moment", introduction(results, study, labels))
    for result in results:
        print(
            f"  {result['run']}: AUC {result['auc']:.3f}, F1 {result['f1']:.3f}; {seen_text(result)}"
        )
    mean, p = study["mean_95"], study["rotations"]["p"]
    seen = not study["n_runs_unseen"]
    auc_name = "mean AUC, of moments seen in training: no test" if seen else "mean AUC"
    print(f"  {auc_name} {mean['auc'][0]:.3f}; p (rotations) {text(p, 4)}")
    section.numbers(
        {
            auc_name: text(mean["auc"][0]),
            "its 95 % interval": " – ".join(map(text, mean["auc"][1:])),
            "interval": study["interval_95"],
            "p (rotations)": text(p, 4),
            "mean MCC": text(mean["mcc"][0]),
            "mean F1": text(mean["f1"][0]),
            f"time in which {there}": f"{mean['base_rate'][0]:.1%}",
        }
    )
    if not seen:
        _figures_of_unseen(section, folder, study, labels)
    first_screen(section, folder, runs, results, study, labels)
    movies = list(study["by_movie"])
    for movie in movies[:FIGURES_IN_REPORT]:
        section.figure(
            folder / f"{movie}_strip.png",
            f"{movie}: the truth, and each viewer's predicted probability."
            + shown_of(len(movies), "films or tasks", folder),
        )
    _tables(section, results, study)
    for run in runs[:FIGURES_IN_REPORT]:
        section.figure(
            timeline_figure(folder, run),
            f"{run.name}. Top: the predicted probability; shaded are the moments in which {there}. Bottom: the truth, and "
            f"the answers at 0.5 and at the chosen threshold. Moments without a prediction are empty."
            + shown_of(len(runs), "runs", folder),
        )
    return section


def first_screen(
    section: Section,
    folder: Path,
    runs: list[Run],
    results: list[dict],
    study: dict,
    labels: Labels,
) -> None:
    """One timeline on the first screen of the report: the run whose AUC is the median of those not seen in training."""
    unseen = [n for n, result in enumerate(results) if not result["seen_moments"]]
    ranked = sorted(unseen or range(len(results)), key=lambda n: results[n]["auc"])
    middle = ranked[len(ranked) // 2]
    mean = study["mean_95"]["auc"]
    interval = f" [{text(mean[1])}, {text(mean[2])}]" if unseen else ""
    section.first.figure(
        timeline_figure(folder, runs[middle]),
        f"Second by second, {runs[middle].name}: the run with the median AUC of {len(ranked)}. Blue: the predicted "
        f"probability; shaded: {labels.is_there}, {study['mean_95']['base_rate'][0]:.0%} of the time. Mean AUC "
        f"{text(mean[0])}{interval}.",
    )


def shown_of(n: int, kind: str, folder: Path) -> str:
    """A sentence that says how many of ``n`` figures the page shows; empty if it shows all."""
    if n <= FIGURES_IN_REPORT:
        return ""
    return f" This page shows {FIGURES_IN_REPORT} of {n} {kind}; {folder.name}/ has the figures of all."


def introduction(results: list[dict], study: dict, labels: Labels) -> str:
    """What was predicted by which models, and what the numbers can claim."""
    parts = [
        "Fold models predicted every volume of whole runs. Predictions and truth are on the time axis of the film. "
        f"Compare the accuracy with the share of time in which {labels.is_there}: a model that always gives the more "
        f"frequent answer scores this share, or 1 minus this share."
    ]
    several = [result for result in results if len(result["fold_models"]) > 1]
    if several:
        share = sum(r["n_predicted"] for r in several) / sum(r["n_moments"] for r in several)
        parts.append(
            f"In {len(several)} of {len(results)} runs each moment was predicted by a fold model that was trained neither "
            f"on it nor on its neighbours (EMBARGO_TRS); {share:.0%} of their moments have such a model, the others are "
            "empty. These models learnt from other moments of the same film, so rotating the annotation is no valid null, "
            "and there is no p. The section on training has a p for windows."
        )
    n_seen = study["n_runs"] - study["n_runs_unseen"]
    if n_seen:
        parts.append(
            f"The models of {n_seen} of {len(results)} runs had seen the moments that they predict, so these runs have no "
            "p, no interval and no alignment, and their scores do not show how well the models decode. Set HELD_OUT_SPLIT = "
            '"movie" (or "event" with one film) and SELECTION = "inner" for scores that do.'
        )
    return " ".join(parts)


def _figures_of_unseen(section: Section, folder: Path, study: dict, labels: Labels) -> None:
    n = study["n_runs_unseen"]
    over = f"Shaded: 95 % interval ({study['interval_95']})."
    section.figure(
        folder / SWEEP,
        f"AUC if every prediction is assigned to a moment that many seconds later. Thick: the mean of {n} runs. Thin: each "
        f"run. {over} If LAG_S and PREDICTION_AT are right, the maximum is near 0. Do not set them by this figure: scores "
        "of the same runs would then be too high. Choose them by other data or by the haemodynamic response.",
    )
    section.figure(
        folder / LOCKED,
        f"Mean probability around onsets and offsets of {labels.singular}, without other changes nearby. {over} Coloured: "
        f"the time in which {labels.is_there}.",
    )


def _tables(section: Section, results: list[dict], study: dict) -> None:
    for cut, of in (
        ("0.5", lambda r: r),
        ("chosen on other windows", lambda r: r["at_training_threshold"]),
    ):
        rows = [
            (r["run"], seen_text(r), *(text((r | of(r))[name]) for name in MEANS)) for r in results
        ]
        section.table(
            ["run", "model", *MEANS], rows, f"Every predicted second of every run, threshold {cut}"
        )
    rows = [
        (
            r["run"],
            text(r["at_training_threshold"]["threshold"]),
            r["at_training_threshold"]["chosen_on"],
        )
        for r in results
    ]
    section.table(["run", "threshold", "chosen on"], rows, "Chosen thresholds")
    rows = [
        (
            r["run"],
            f"{r['n_predicted']} of {r['n_moments']}",
            text(r["auc"]),
            text(r["rotations"]["auc_95"]),
            text(r["rotations"]["p"], 4),
            text(r["auc_in_training_like_windows"]),
        )
        for r in results
    ]
    columns = [
        "run",
        "predicted moments",
        "AUC",
        "95 % of rotations are below",
        "p",
        "AUC in training-like windows",
    ]
    caption = "Comparison with chance, per run: all rotations of the annotation. "
    section.table(
        columns,
        rows,
        caption + "The p of different viewers of a film, and of films, depend on each other",
    )
    for group, scores_of_groups in (
        ("film or task", study["by_movie"]),
        ("person", study["by_subject"]),
    ):
        rows = [(key, *(text(s[name]) for name in MEANS)) for key, s in scores_of_groups.items()]
        section.table([group, *MEANS], rows, f"Means per {group}, threshold 0.5")
    if study["agreement"]:
        rows = [(film, text(r)) for film, r in study["agreement"].items()]
        caption = "Agreement: mean correlation of logits between viewers of one film"
        section.table(["film", "correlation"], rows, caption)


def text(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
