"""The report's section on attributions: how they were made, and how reliable they are."""

from pathlib import Path

from neuroface.attribution.files import completeness_file
from neuroface.attribution.method_names import METHODS
from neuroface.bold import Labels
from neuroface.decoding import title_of
from neuroface.pipeline import Section, open_npy, read_table, save_figure

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

COLOURS = ("#c8643c", "#2b5f8a")


def describe_attributions(
    folder: Path,
    files: dict[str, list[Path]],
    checks: dict[str, dict],
    models: dict[int, str],
    labels: Labels,
    how: str,
    tolerance: float,
) -> Section:
    """The section, and a figure per method in ``folder``.

    Parameters
    ----------
    files : method → attribution files. checks : method → what :mod:`neuroface.attribution.checks`
    found.
    models : number of a fold model → its name.
    how : a paragraph, how the windows were explained. tolerance : IG_TOLERANCE.
    """
    section = Section("Attributions", f"{how} {which(models)}")
    for method, check in checks.items():
        title, whole = METHODS[method].title, check.get("completeness", {})
        numbers = {"windows": f"{sum(len(open_npy(file)) for file in files[method]):,}"}
        if method == "ig":
            median, most = f"{whole['median']:.2%}", f"{whole['95 % below']:.2%}"
            numbers |= {"median completeness gap": median, "95 % of gaps below": most}
            print(f"  completeness gap: median {median} of the logit's change, 95 % below {most}")
        if missed := whole.get("beyond_tolerance"):
            numbers["windows beyond IG_TOLERANCE after 1,024 steps"] = f"{missed:,}"
            print(
                f"  {missed:,} windows still exceed IG_TOLERANCE = {tolerance:g} after 1,024 steps"
            )
        if "steps" in check:
            errors = check["steps"]["map_error"]
            numbers["median map error"] = f"{errors['median']:.2%}"
            if "paper_map_error" in check["steps"]:
                numbers["with the paper's rule and steps"] = (
                    f"{check['steps']['paper_map_error']['median']:.2%}"
                )
        if "planted_truth" in check:
            numbers["area under the ROC, planted regions"] = f"{check['planted_truth']:.3f}"
            print(
                f"  {title}: planted regions found with an area under the ROC of {check['planted_truth']:.3f}"
            )
        section.numbers(
            {f"{key} ({title})" if len(checks) > 1 else key: v for key, v in numbers.items()}
        )
        path = folder / f"summary_{method}.png"
        save_figure(draw(method, files[method], check, labels), path)
        section.figure(
            path, "; ".join(f"{name}: {PANELS[name]}" for name in panels_of(method, check)) + "."
        )
    if rows := [
        row for method, check in checks.items() for row in sanity_rows(METHODS[method].title, check)
    ]:
        section.table(
            [
                "method",
                "compared with maps",
                "correlation",
                "rank correlation of absolute values",
                "should be",
            ],
            rows,
            f"Similarity of the maps of {next(iter(checks.values()))['checked_windows']} windows when the baseline, "
            "the weights or the labels change: medians over windows. Maps that do not change with random weights or "
            "labels show the window, not what the network learnt.",
        )
    return section


PANELS = {
    "completeness": "difference between the sum of a window's attributions and the change of the logit (should be 0)",
    "when": "share of absolute attribution at each volume of the window",
    "deletion": "the logit when voxels are set to the baseline, those with most attribution first (it must fall faster "
    "than with the same number of random voxels)",
}


def which(models: dict[int, str]) -> str:
    """Which model explains the windows, in words."""
    folds: dict[str, list[int]] = {}
    for fold, name in sorted(models.items()):
        folds.setdefault(title_of(name), []).append(fold)
    if len(folds) == 1:
        return f"Model: {next(iter(folds))}."
    return (
        "Models: "
        + "; ".join(f"{name} (fold {', '.join(map(str, of))})" for name, of in folds.items())
        + "."
    )


def sanity_rows(name: str, check: dict) -> list[tuple]:
    compared = [
        (f"from the baseline “{kind}”", pair, "high")
        for kind, pair in check.get("baselines", {}).items()
    ]
    compared += [
        (f"with random weights from the top to {layer}", pair, "falling to 0")
        for layer, pair in check.get("weights", {}).items()
    ]
    compared += (
        [("of a network trained on shuffled labels", check["labels"], "near 0")]
        if "labels" in check
        else []
    )
    return [
        (name, comparison, f"{r['pearson']:.2f}", f"{r['spearman_of_size']:.2f}", should)
        for comparison, r, should in compared
    ]


def panels_of(method: str, check: dict) -> list[str]:
    """Completeness needs maps in units of the logit; deletion is an optional check."""
    shown = {
        "completeness": METHODS[method].in_logits,
        "when": True,
        "deletion": "deletion" in check,
    }
    return [name for name in PANELS if shown[name]]


def draw(method: str, files: list[Path], check: dict, labels: Labels):
    panels = panels_of(method, check)
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4 * len(panels), 3.4), layout="constrained", squeeze=False
    )
    for name, axis in zip(panels, axes[0]):
        axis.set_title(name)
        if name == "deletion":
            _draw_deletion(axis, check["deletion"])
        else:
            {"completeness": _draw_gaps, "when": _draw_when}[name](axis, files, labels)
    figure.suptitle(METHODS[method].title, x=0.01, ha="left", fontsize=11)
    return figure


def _draw_gaps(axis, files: list[Path], labels: Labels) -> None:
    table = pd.concat(read_table(completeness_file(file)) for file in files)
    relative = (table["gap"] / (table["logit"] - table["logit_of_baseline"])).abs()
    shown, power = in_powers_of_ten(np.clip(relative.to_numpy(float), 0, 0.5))
    axis.hist(shown, bins=40, color="#2b5f8a")
    unit = f", in $10^{{{power}}}$" if power else ""
    clipped = " (clipped at 0.5)" if relative.max() > 0.5 else ""
    axis.set(xlabel=f"|gap| / |change of the logit|{unit}{clipped}", ylabel="windows")
    axis.xaxis.set_major_locator(MaxNLocator(5))


def in_powers_of_ten(values: np.ndarray) -> tuple[np.ndarray, int]:
    """Values as multiples of a power of ten, so that an axis needs no factor of its own, and the power: 0 if none.

    Parameters
    ----------
    values : (n,), 0 or larger.
    """
    largest = float(values.max(initial=0.0))
    power = int(np.floor(np.log10(largest))) if largest > 0 else 0
    power = power if power < -2 else 0
    return values / 10.0**power, power


def _draw_when(axis, files: list[Path], labels: Labels) -> None:
    for label, colour in zip(labels, COLOURS):
        maps = [open_npy(file) for file in files if f"_label-{label}_" in file.name]
        share = np.mean([np.abs(m).sum(axis=1).mean(axis=0) for m in maps], axis=0)
        axis.plot(
            np.arange(1, len(share) + 1), share / share.sum(), marker="o", color=colour, label=label
        )
    axis.set(xlabel="volume in window", ylabel="share of absolute attribution", ylim=(0, None))
    axis.legend(frameon=False)


def _draw_deletion(axis, curve: dict) -> None:
    for voxels, colour in (("top", "#c8643c"), ("random", "#5c6672")):
        axis.plot(
            curve["share_of_voxels"],
            curve[f"logit_without_{voxels}_voxels"],
            marker="o",
            color=colour,
            label=voxels,
        )
    axis.axhline(0, color="#dde2e8", zorder=0)
    axis.set(xlabel="share of voxels set to the baseline", ylabel="logit for the window's label")
    axis.legend(frameon=False)
