"""Figures of predicted timelines. In all of them blue is predicted and orange is true."""

from pathlib import Path

from neuroface.bold import Labels
from neuroface.pipeline import save_figure
from neuroface.timeline.clock import known, values_on

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

PREDICTED, TRUE, TRUE_LIGHT, QUIET = "#2b5f8a", "#d98f53", "#f0c9a8", "#8a8a8a"
STRIP_COLOURS = "cividis"


def truth_text(labels: Labels) -> str:
    """The first condition as a label of an axis, such as "house on the screen"."""
    return labels.is_there.removeprefix("a ").replace(" is ", " ", 1)


def plot_interval(
    table: pd.DataFrame,
    title: str,
    interval_s,
    threshold: float,
    labels: Labels,
    clock: str,
    target: Path,
) -> None:
    """Probability of the first condition, yes/no answers, and truth, in ``interval_s`` (the whole run if outside).

    Moments without a prediction stay empty. ``clock`` says whose seconds they are: "film" or "run".
    """
    rows = table[table["stimulus_time_s"].between(*known(table)["stimulus_time_s"].iloc[[0, -1]])]
    shown = rows[rows["stimulus_time_s"].between(*interval_s)]
    shown = shown if len(shown) else rows
    time_s, truth = shown["stimulus_time_s"], shown["truth"].astype(int)
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(11, 4), sharex=True, height_ratios=(2, 1), layout="constrained"
    )
    top.fill_between(
        time_s, 0, truth, step="mid", color=TRUE_LIGHT, linewidth=0, label=truth_text(labels)
    )
    top.plot(
        time_s, shown["probability"], color=PREDICTED, linewidth=1, label="predicted probability"
    )
    top.axhline(0.5, color=QUIET, linewidth=0.8, linestyle=":", label="0.5")
    top.axhline(
        threshold,
        color=QUIET,
        linewidth=0.8,
        linestyle="--",
        label=f"chosen threshold, {threshold:.2g}",
    )
    top.set(ylabel="probability", ylim=(-0.02, 1.02), xlim=(time_s.min(), time_s.max()))
    figure.legend(
        *top.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=4,
        fontsize=9,
        frameon=False,
    )
    answers = [
        (shown["probability"] >= cut).where(shown["probability"].notna())
        for cut in (threshold, 0.5)
    ]
    for height, (values, colour) in enumerate(zip([*answers, truth], (PREDICTED, PREDICTED, TRUE))):
        top_of = height + 0.12 + 0.76 * values.astype(float)
        bottom.fill_between(time_s, height + 0.12, top_of, step="mid", color=colour, linewidth=0)
    bottom.set(yticks=(0.5, 1.5, 2.5), yticklabels=("at threshold", "at 0.5", "true"), ylim=(0, 3))
    bottom.tick_params(axis="y", length=0)
    bottom.set_xlabel(f"second of the {clock}")
    figure.suptitle(title, fontsize=11)
    save_figure(figure, target, dpi=110)


def plot_strip(tables: dict[str, pd.DataFrame], title: str, clock: str, target: Path) -> None:
    """A whole film, one row per viewer, coloured by probability; the truth above, once if all viewers have the same.

    Parameters
    ----------
    tables : name of the row → table of the run. clock : whose seconds they are: "film" or "run".
    """
    step = min(float(np.median(np.diff(table["stimulus_time_s"]))) for table in tables.values())
    start = min(table["stimulus_time_s"].iloc[0] for table in tables.values())
    end = max(table["stimulus_time_s"].iloc[-1] for table in tables.values())
    grid = np.arange(max(start, 0.0), end + step / 2, step)

    def on_grid(table, column):
        times_s = table["stimulus_time_s"].to_numpy(float)
        return values_on(grid, times_s, table[column].to_numpy(float), step)

    truths = [on_grid(table, "truth") for table in tables.values()]
    shared = all(np.array_equal(truth, truths[0], equal_nan=True) for truth in truths)
    rows: list[tuple[str, np.ndarray, bool]] = []
    for (name, table), truth in zip(tables.items(), truths):
        if not (shared and rows):
            rows.append(("true", truth, True))
        rows.append((name, on_grid(table, "probability"), False))
    figure, axis = plt.subplots(figsize=(12, 1.7 + 0.3 * len(rows)), layout="constrained")
    edges = np.append(grid, grid[-1] + step) - step / 2
    for height, (_, values, is_truth) in enumerate(reversed(rows)):
        if is_truth:
            axis.fill_between(
                grid,
                height + 0.1,
                height + 0.1 + 0.8 * np.nan_to_num(values),
                step="mid",
                color=TRUE,
                lw=0,
            )
        else:
            image = axis.pcolormesh(
                edges,
                [height + 0.04, height + 0.96],
                values[None],
                vmin=0,
                vmax=1,
                cmap=STRIP_COLOURS,
                rasterized=True,
            )
    axis.set(
        yticks=np.arange(len(rows)) + 0.5,
        yticklabels=[name for name, *_ in reversed(rows)],
        ylim=(0, len(rows)),
    )
    axis.set(xlim=(edges[0], edges[-1]), xlabel=f"second of the {clock}", title=title)
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right", "left"]].set_visible(False)
    figure.colorbar(
        image, ax=axis, label="probability", fraction=0.03, pad=0.01, aspect=max(6, 3 * len(rows))
    )
    save_figure(figure, target, dpi=110)


def plot_event_locked(
    offsets_s,
    onset,
    offset,
    counts: tuple[int, int],
    certain_s: float,
    labels: Labels,
    target: Path,
):
    """Mean probability (3, n_offsets: mean, low, high) around the moments at which the first condition begins, and ends.

    Parameters
    ----------
    counts : number of moments of each kind. certain_s : least time with the condition after an
    onset, before an offset.
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
    parts = (
        (f"onset of {labels.singular}", onset, (0, certain_s)),
        (f"offset of {labels.singular}", offset, (-certain_s, 0)),
    )
    for axis, (title, (mean, low, high), truth), n in zip(axes, parts, counts):
        axis.axvspan(*truth, color=TRUE_LIGHT, alpha=0.5, linewidth=0)
        axis.fill_between(offsets_s, low, high, color=PREDICTED, alpha=0.25, linewidth=0)
        axis.plot(offsets_s, mean, color=PREDICTED)
        axis.axvline(0, color=QUIET, linewidth=0.8)
        axis.set(title=f"{title} (n = {n})", xlabel="seconds from that moment", ylim=(0, 1))
        axis.set_xlim(offsets_s[0], offsets_s[-1])
    axes[0].set_ylabel(f"probability of {labels.singular}")
    data = [
        pd.DataFrame({"moment": name, "seconds": offsets_s, "mean": mean, "low": low, "high": high})
        for name, (mean, low, high) in (("onset", onset), ("offset", offset))
    ]
    save_figure(figure, target, dpi=120, data=pd.concat(data, ignore_index=True).round(6))


def plot_lag_sweep(offsets_s, auc, each: np.ndarray, target: Path) -> None:
    """AUC (3, n_offsets: mean, low, high) against alignment, with a thin line per run (n_runs, n_offsets)."""
    figure, axis = plt.subplots(figsize=(7, 3.8), layout="constrained")
    axis.plot(offsets_s, each.T, color=PREDICTED, alpha=0.2, linewidth=0.7)
    axis.fill_between(offsets_s, auc[1], auc[2], color=PREDICTED, alpha=0.25, linewidth=0)
    axis.plot(offsets_s, auc[0], color=PREDICTED, linewidth=2)
    axis.axvline(0, color=TRUE, linewidth=1.5)
    axis.axhline(0.5, color=QUIET, linewidth=0.8, linestyle=":")
    best = offsets_s[int(np.nanargmax(auc[0]))]
    axis.plot(best, np.nanmax(auc[0]), "o", color=PREDICTED)
    axis.set(
        xlabel="seconds added to the time of the predictions",
        ylabel="AUC",
        xlim=(offsets_s[0], offsets_s[-1]),
    )
    axis.set_title(f"0: the settings in use; the largest AUC is at {best:+g} s", fontsize=11)
    data = {"seconds": offsets_s, "mean": auc[0], "low": auc[1], "high": auc[2]}
    runs = {f"run {number}": values for number, values in enumerate(each, 1)}
    save_figure(figure, target, dpi=120, data=pd.DataFrame(data | runs).round(6))
