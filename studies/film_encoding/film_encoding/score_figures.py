"""Script 4's figures."""

from pathlib import Path

from film_encoding.scoring import is_ridge
from film_encoding.variants import ENCODER, MAIN
from film_encoding.wording import model_name
from neuroface.pipeline import save_figure

import pandas as pd
from matplotlib import pyplot as plt

VOXELS_FIGURE, SEEDS_FIGURE = "voxels.png", "seeds.png"


def draw_scores(folder: Path, voxels: pd.DataFrame, seeds: pd.DataFrame, cfg) -> None:
    """r of all models on each test set; network and encoder alone from the same seeds."""
    sets, models = (
        list(voxels.groupby(["split", "test_set"], sort=False)),
        list(dict.fromkeys(voxels["model"])),
    )
    size = (1.2 + 2.9 * len(sets), 1.2 + 0.32 * len(models))
    figure, axes = plt.subplots(
        1, len(sets), figsize=size, layout="constrained", sharey=True, squeeze=False
    )
    for axis, ((split, test_set), scores) in zip(axes[0], sets):
        scores = scores.set_index("model")
        place = [models.index(model) for model in scores.index]
        colours = ["C1" if is_ridge(model) else "C0" for model in scores.index]
        axis.hlines(place, scores["r_low"], scores["r_high"], color=colours, lw=2)
        axis.scatter(scores["r"], place, c=colours, zorder=3)
        axis.scatter(scores["r_null"], place, c="0.6", marker="|", zorder=2)
        axis.axvline(0, color="0.8", lw=0.8, zorder=0)
        if scores["ceiling"].notna().any():
            axis.axvline(scores["ceiling"][MAIN], color="0.3", ls="--", lw=1)
        names = [model_name(model, cfg) for model in models]
        title = f"{split}: {test_set}, {scores['n_blocks'].iloc[0]} blocks"
        axis.set(
            title=title, xlabel="mean r over voxels", yticks=range(len(models)), yticklabels=names
        )
    axes[0, 0].invert_yaxis()
    save_figure(figure, folder / VOXELS_FIGURE, also=(".pdf",))
    draw_seeds(folder, seeds[seeds["model"].isin([MAIN, ENCODER])])


def draw_seeds(folder: Path, seeds: pd.DataFrame) -> None:
    sets = [scores for _, scores in seeds.groupby(["split", "test_set"], sort=False)]
    sets = [
        scores for scores in sets if scores["model"].nunique() == 2 and scores["seed"].max() > 1
    ]
    if not sets:
        return
    size = (2.8 * len(sets), 2.8)
    figure, axes = plt.subplots(1, len(sets), figsize=size, layout="constrained", squeeze=False)
    for axis, scores in zip(axes[0], sets):
        wide = scores.pivot(index="seed", columns="model", values="r")[[ENCODER, MAIN]]
        axis.plot(["encoder alone", "with decoder"], wide.to_numpy().T, "o-", color="C0", alpha=0.7)
        title = f"{scores['split'].iloc[0]}: {scores['test_set'].iloc[0]}"
        axis.set(title=title, ylabel="mean r over voxels", xlim=(-0.3, 1.3))
    save_figure(figure, folder / SEEDS_FIGURE)
