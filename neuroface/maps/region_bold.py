"""BOLD of regions over a window: what the windows hold there, before any model."""

from pathlib import Path

from neuroface.pipeline import Section, save_figure

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

COLOURS = ("#c8643c", "#2b5f8a")
FIGURE = "roi_bold.png"


def region_courses(
    X: np.ndarray, samples: pd.DataFrame, regions: dict[str, np.ndarray], tr_s: float
) -> pd.DataFrame:
    """Mean BOLD of each region at each volume of the windows of a label: over a person's windows, then over people.

    Parameters
    ----------
    X : (n, n_voxels, window_trs), the windows, in the units that STANDARDIZE gives. samples : (n) rows with subject and
        label.
    regions : name → (n_voxels,) bool.

    Returns
    -------
    Columns region, label, second, mean, sd_people (nan with one person), n_people.
    """
    rows = []
    for name, voxels in regions.items():
        courses = np.array([window[voxels].mean(axis=0, dtype=np.float64) for window in X])
        table = pd.DataFrame(courses).groupby(
            [samples["label"].to_numpy(), samples["subject"].to_numpy()], sort=False
        )
        people = table.mean()
        for label, of_label in people.groupby(level=0, sort=False):
            for volume in people.columns:
                values = of_label[volume].to_numpy()
                rows.append(
                    {
                        "region": name,
                        "label": label,
                        "second": volume * tr_s,
                        "mean": float(values.mean()),
                        "sd_people": float(values.std(ddof=1)) if len(values) > 1 else np.nan,
                        "n_people": len(values),
                    }
                )
    return pd.DataFrame(rows)


def describe_courses(section: Section, folder: Path, courses: pd.DataFrame) -> None:
    """Draw the courses, a panel per region, and show them in the report."""
    names = list(dict.fromkeys(courses["region"]))
    columns = min(len(names), 3)
    figure, axes = plt.subplots(
        -(-len(names) // columns), columns, figsize=(3.6 * columns, 2.4 * -(-len(names) // columns)),
        layout="constrained", squeeze=False, sharex=True,
    )  # fmt: skip
    for axis, name in zip(axes.flat, names):
        of_region = courses[courses["region"] == name]
        for (label, course), colour in zip(of_region.groupby("label", sort=False), COLOURS):
            low, high = course["mean"] - course["sd_people"], course["mean"] + course["sd_people"]
            axis.fill_between(course["second"], low, high, color=colour, alpha=0.2, lw=0)
            axis.plot(
                course["second"],
                course["mean"],
                color=colour,
                marker="o",
                markersize=3,
                label=label,
            )
        axis.axhline(0, color="#dde2e8", zorder=0)
        axis.set_title(name)
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    figure.supxlabel("second of the window", fontsize=10)
    figure.supylabel("BOLD, units of the windows", fontsize=10)
    axes.flat[0].legend(frameon=False, fontsize=9)
    save_figure(figure, folder / FIGURE, data=courses.round(6))
    section.figure(
        folder / FIGURE,
        "BOLD of regions in the windows of each label, mean over people ± SD: what the data hold, without any model. A "
        "difference here is no test.",
    )
