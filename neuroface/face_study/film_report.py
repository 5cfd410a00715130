"""Script 0's part of the report, and its figure of a run."""

from pathlib import Path

from neuroface.bold import on_screen, read_1d, window_table
from neuroface.face_study.settings import FaceSettings
from neuroface.face_study.words import labels_of
from neuroface.film import CONTENTS, DETECTOR
from neuroface.pipeline import Section, read_json, save_figure

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt


def plot_run(table: pd.DataFrame, faces: np.ndarray, name: str, target: Path) -> None:
    """When a face is on the screen, how large it is, and the film's other contents, over the run."""
    contents = [column for column in CONTENTS if table[column].notna().any()]
    figure, axes = plt.subplots(
        len(contents) + 1,
        1,
        figsize=(12, 1.1 * (len(contents) + 1)),
        sharex=True,
        layout="constrained",
    )
    time_s = table["time_s"].to_numpy()
    axes[0].broken_barh(faces.tolist(), (0, 1), color="#2b5f8a", alpha=0.35, linewidth=0)
    axes[0].plot(time_s, np.sqrt(table["largest_share"]), color="#2b5f8a", linewidth=0.6)
    axes[0].set(ylim=(0, 1), title=name)
    axes[0].set_ylabel("face; size", rotation=0, ha="right")
    width = max(1, len(table) // 1500)
    for axis, column in zip(axes[1:], contents):
        axis.plot(
            time_s,
            table[column].rolling(width, min_periods=1).mean(),
            color="#5c6672",
            linewidth=0.6,
        )
        axis.set_ylabel(column.replace("_", " "), rotation=0, ha="right")
    axes[-1].set(xlabel="second of the run", xlim=(0, time_s[-1] + 1e-6))
    save_figure(figure, target)


def describe_films(folder: Path, cfg: FaceSettings) -> Section:
    """The report's section: a row and a figure per run that has been annotated so far; the rows are printed too."""
    labels, rows = labels_of(cfg), []
    runs = {
        file.name.removesuffix("_events.json"): read_json(file)
        for file in sorted(folder.glob("*_events.json"))
    }
    for name, about in runs.items():
        length_s, doubtful = about["LengthS"], about["DoubtfulStretches"]
        file = folder / f"{name}_face-annotation.1D"
        faces = read_1d(file) if file.exists() else np.empty((0, 2))
        share = on_screen(np.arange(0, length_s, 0.1) + 1e-6, faces).mean()
        windows = (
            window_table(faces, None, labels, cfg.MIN_STRETCH_S, cfg.TR_S, cfg.LAG_S)
            if len(faces)
            else None
        )
        counts = [
            int((windows["label"] == label).sum()) if windows is not None else 0 for label in labels
        ]
        rows.append((name, f"{length_s:.1f}", len(faces), f"{share:.1%}", *counts, doubtful))
        print(
            f"  {name}: {len(faces)} stretches with a face, {share:.1%} of {length_s:.0f} s; doubtful: {doubtful}. "
            f"Open {folder / f'{name}_check.html'}"
        )
    section = Section(
        "Annotation",
        f"{DETECTOR} searched {cfg.ANNOTATION_HZ:g} frames per second. A face has a score of at least "
        f"{cfg.FACE_SCORE:g} and at least {cfg.MIN_FACE_HEIGHT:.0%} of the picture's height. Gaps up to "
        f"{cfg.BRIDGE_GAPS_S:g} s are closed; then stretches shorter than {cfg.SHORTEST_FACE_S:g} s are dropped.",
    )
    titles = [f"{title.replace(' ', '-')} windows" for title in labels.titles]
    section.table(
        [
            "run",
            "length, s",
            "stretches with a face",
            "share of time",
            *titles,
            "doubtful stretches",
        ],
        rows,
        "Results of the detector. Windows are counted before the classes are balanced.",
    )
    for name in runs:
        section.figure(
            folder / f"{name}_samples.png",
            f"{name}: faces (blue; line: side of the largest one, as a share of the picture's) and other "
            f"features of picture and sound.",
        )
    return section
