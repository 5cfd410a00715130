"""Do two annotations of one film agree? Per sample, per stretch, at boundaries, and in the windows that follow."""

from pathlib import Path

from neuroface.bold import Labels, on_screen, window_table
from neuroface.pipeline import save_figure

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.metrics import cohen_kappa_score

HIT_SHARE = 0.5  # a stretch is found if at least this share of it is in the other annotation
NEAR_S = 2.0  # a boundary further from any of the other annotation has no counterpart


def compare_annotations(
    tested: np.ndarray,
    reference: np.ndarray,
    length_s: float,
    rate_hz: float,
    windows: tuple[float, float, float],
    labels: Labels,
    names: tuple[str, str],
) -> pd.DataFrame:
    """Compare annotation ``tested`` with ``reference``, which counts as the reference where it makes a difference.

    Parameters
    ----------
    tested, reference : (n, 2) onset_s and duration_s. length_s : length of the film. rate_hz : samples per
    second.
    windows : MIN_STRETCH_S, TR_S and LAG_S, by which stretches and gaps give windows. labels : of
    both kinds of window.
    names : names of both annotations.

    Returns
    -------
    Columns measure, value, meaning.
    """
    times_s = np.arange(int(np.ceil(length_s * rate_hz - 1e-6))) / rate_hz + 1e-6
    a, b = on_screen(times_s, tested), on_screen(times_s, reference)
    both = int(((a == 1) & (b == 1)).sum())
    errors = np.concatenate(
        [
            boundary_errors(part_a, part_b)
            for part_a, part_b in zip(_edges(tested), _edges(reference))
        ]
    )
    counts = [
        window_table(stretches, None, labels, *windows)["label"].value_counts()
        if len(stretches)
        else {}
        for stretches in (tested, reference)
    ]
    hits, hits_back = found_stretches(reference, tested), found_stretches(tested, reference)
    kappa = float(cohen_kappa_score(a, b)) if 0 < a.mean() < 1 or 0 < b.mean() < 1 else float("nan")
    rows = [
        ("samples", len(a), f"{length_s:.1f} s at {rate_hz:g} per second"),
        (f"share with an event, {names[0]}", a.mean(), "of samples"),
        (f"share with an event, {names[1]}", b.mean(), "of samples"),
        ("agreement", (a == b).mean(), "share of samples that both call the same"),
        ("kappa", kappa, "Cohen's kappa: 0 as by chance, 1 the same"),
        (
            "precision",
            both / max(a.sum(), 1),
            f"of the samples with an event in {names[0]}, share that {names[1]} confirms",
        ),
        (
            "recall",
            both / max(b.sum(), 1),
            f"of the samples with an event in {names[1]}, share that {names[0]} finds",
        ),
        (f"stretches, {names[0]}", len(tested), ""),
        (f"stretches, {names[1]}", len(reference), ""),
        ("hits", int(hits.sum()), f"stretches of {names[1]} of which {names[0]} has at least half"),
        ("misses", int((~hits).sum()), f"stretches of {names[1]} of which it has less"),
        (
            "false alarms",
            int((~hits_back).sum()),
            f"stretches of {names[0]} of which {names[1]} has less than half",
        ),
        (
            "boundary error, median s",
            float(np.median(np.abs(errors))) if len(errors) else np.nan,
            "of starts and ends",
        ),
        (
            "boundary error, mean s",
            float(errors.mean()) if len(errors) else np.nan,
            f"above 0: {names[0]} is later",
        ),
        (
            "boundaries without counterpart",
            len(tested) * 2 - len(errors),
            f"none of {names[1]} within {NEAR_S:g} s",
        ),
    ]
    for label, title in zip(labels, labels.titles):
        windows_of_label = f"{title.replace(' ', '-')} windows"
        for name, count in zip(names, counts):
            rows.append(
                (
                    f"{windows_of_label}, {name}",
                    int(count.get(label, 0)),
                    "before the classes are balanced",
                )
            )
    return pd.DataFrame(rows, columns=["measure", "value", "meaning"])


def found_stretches(stretches: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Whether at least half of each stretch (n, 2) is in ``reference`` (m, 2): (n,) bool."""
    start, end = stretches[:, 0], stretches.sum(axis=1)
    shared = np.minimum(end[:, None], reference.sum(axis=1)[None]) - np.maximum(
        start[:, None], reference[:, 0][None]
    )
    return np.clip(shared, 0, None).sum(axis=1) >= HIT_SHARE * stretches[:, 1] - 1e-6


def boundary_errors(tested: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Distance (s) of each boundary of ``tested`` from the nearest of ``reference`` within :data:`NEAR_S`."""
    if not len(tested) or not len(reference):
        return np.empty(0)
    difference = tested[:, None] - reference[None]
    nearest = difference[np.arange(len(tested)), np.abs(difference).argmin(axis=1)]
    return nearest[np.abs(nearest) <= NEAR_S]


def _edges(stretches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return stretches[:, 0], stretches.sum(axis=1)


def plot_agreement(
    tested: np.ndarray, reference: np.ndarray, length_s: float, names: tuple[str, str], target: Path
) -> None:
    """Both annotations over the film in rows of ten minutes, and where they differ."""
    row_s = 600.0
    rows = max(1, int(np.ceil(length_s / row_s)))
    figure, axes = plt.subplots(
        rows, 1, figsize=(12, 0.5 + 0.85 * rows), squeeze=False, layout="constrained"
    )
    times_s = np.arange(0, length_s, 0.1) + 1e-6
    differ = on_screen(times_s, tested) != on_screen(times_s, reference)
    for number, axis in enumerate(axes[:, 0]):
        start = number * row_s
        for height, stretches, colour in ((2, tested, "#2b5f8a"), (1, reference, "#3f8f5f")):
            axis.broken_barh(stretches.tolist(), (height, 0.8), color=colour)
        where = (times_s >= start) & (times_s < start + row_s)
        axis.fill_between(
            times_s[where], 0, 0.8 * differ[where], color="#c8643c", step="mid", linewidth=0
        )
        axis.set(
            xlim=(start, min(start + row_s, max(length_s, 1)))
            if rows == 1
            else (start, start + row_s),
            ylim=(0, 3),
        )
        axis.set_yticks([2.4, 1.4, 0.4], [*names, "differ"], fontsize=7)
        axis.tick_params(axis="x", labelsize=7)
        for side in ("top", "right", "left"):
            axis.spines[side].set_visible(False)
    axes[-1, 0].set_xlabel("second of the film")
    save_figure(figure, target)
