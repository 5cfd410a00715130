"""Figures of script 7: slices per label, places of strong voxels, distances between labels."""

from pathlib import Path
from typing import Any

from neuroface.bold import unmask
from neuroface.pipeline import save_figure
from volume_study.decoding_report import colour_of
from volume_study.similarity import square

import nibabel as nib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from nilearn.datasets import load_mni152_template
from nilearn.plotting import plot_stat_map

N_SLICES, SHOWN = 6, 0.9  # slices per label; the share of voxels, by size, that is left blank


def draw_slices(
    maps: dict[str, np.ndarray],
    mask: np.ndarray,
    affine: np.ndarray,
    mni: bool,
    title: str,
    unit: str,
    target: Path,
) -> None:
    """A row of horizontal slices per label on one scale, over the MNI template or, in native space, over the mask.

    Parameters
    ----------
    maps : label → (n_voxels,).
    """
    behind = (
        load_mni152_template(resolution=2)
        if mni
        else nib.Nifti1Image(mask.astype(np.float32), affine)
    )
    heights = np.argwhere(mask)[:, 2]
    lowest, highest = np.quantile(heights, (0.15, 0.85))
    slices = np.linspace(lowest, highest, N_SLICES)
    cuts = [round(float(affine[2, 2] * number + affine[2, 3]), 1) for number in slices]
    size = np.abs(np.stack(list(maps.values())))
    least, most = (float(np.quantile(size, share)) for share in (SHOWN, 0.999))
    figure, axes = plt.subplots(len(maps), 1, figsize=(10, 1.5 * len(maps) + 0.6), squeeze=False)
    figure.subplots_adjust(
        left=0.1, right=0.88, top=1 - 0.5 / (1.5 * len(maps) + 0.6), bottom=0.01, hspace=0.02
    )
    for axis, (label, values) in zip(axes[:, 0], maps.items()):
        image = nib.Nifti1Image(unmask(values[:, None], mask)[..., 0], affine)
        plot_stat_map(
            image, bg_img=behind, display_mode="z", cut_coords=cuts, axes=axis, figure=figure, threshold=least, vmax=most,
            cmap="RdBu_r", draw_cross=False, annotate=axis is axes[0, 0], black_bg=False, colorbar=False,
        )  # fmt: skip
        place = axis.get_position()
        figure.text(0.01, (place.y0 + place.y1) / 2, label, va="center", fontsize=9)
    scale = plt.cm.ScalarMappable(plt.Normalize(-most, most), "RdBu_r")
    figure.colorbar(scale, cax=figure.add_axes((0.91, 0.25, 0.012, 0.5)), label=unit)
    figure.suptitle(title, fontsize=12, y=0.99)
    save_figure(figure, target, also=(".pdf",))


def draw_places(
    voxels: pd.DataFrame, functional: pd.DataFrame, shares: list[float], target: Path
) -> None:
    """The strongest voxels in space, on their principal axes, on UMAP's, and by what labels lose without them."""
    figure = plt.figure(figsize=(10, 8.4), layout="constrained")
    space = figure.add_subplot(221, projection="3d")
    axes, spatial, drops = (figure.add_subplot(number) for number in (222, 223, 224))
    for number, (label, strongest) in enumerate(voxels.groupby("label")):
        style: dict[str, Any] = {"color": colour_of(number), "s": 10, "alpha": 0.7, "linewidths": 0}
        space.scatter(strongest["x_mm"], strongest["y_mm"], strongest["z_mm"], label=label, **style)
        axes.scatter(strongest["pc_1"], strongest["pc_2"], **style)
        spatial.scatter(strongest["umap_1"], strongest["umap_2"], **style)
        of_label = functional[functional["strongest"] == label]
        drops.scatter(of_label["umap_1"], of_label["umap_2"], **style)
    space.set(
        xlabel="x, mm", ylabel="y, mm", zlabel="z, mm", title="place (x right, y front, z up)"
    )
    axes.set(
        xlabel=f"axis 1 ({shares[0]:.0%})",
        ylabel=f"axis 2 ({shares[1]:.0%})",
        title="principal axes of the places",
    )
    spatial.set(xlabel="UMAP 1", ylabel="UMAP 2", title="UMAP of the places")
    drops.set(
        xlabel="UMAP 1",
        ylabel="UMAP 2",
        title="UMAP of the drops; colour: the label that loses most",
    )
    figure.legend(
        *space.get_legend_handles_labels(),
        loc="outside lower center",
        ncols=5,
        frameon=False,
        markerscale=2,
    )
    save_figure(figure, target, dpi=110, also=(".pdf",))


def draw_distances(table: pd.DataFrame, labels: list[str], target: Path) -> None:
    """Distances between labels, a row per kind: mean over people's brains, then the network's layers.

    Parameters
    ----------
    table : ``distances.tsv``; a brain's distances are averaged over people.
    """
    layers = list(dict.fromkeys(table["source"][table["kind"] == "network"]))
    layers = [layers[k] for k in np.unique(np.linspace(0, len(layers) - 1, 4).round().astype(int))]
    kinds = list(dict.fromkeys(table["distance"]))
    figure, axes = plt.subplots(
        len(kinds),
        1 + len(layers),
        figsize=(2.5 * (1 + len(layers)), 2.7 * len(kinds)),
        layout="constrained",
        squeeze=False,
    )
    for row, kind in zip(axes, kinds):
        of_kind = table[table["distance"] == kind]
        pairs = ["label_1", "label_2"]
        brain = (
            of_kind[of_kind["kind"] == "brain"]
            .groupby(pairs, sort=False)["value"]
            .mean()
            .to_numpy()
        )
        network = of_kind[of_kind["kind"] == "network"]
        matrices = {"brain, mean": brain}
        matrices |= {
            name: network["value"][network["source"] == name].to_numpy() for name in layers
        }
        for axis, (name, values) in zip(row, matrices.items()):
            picture = axis.imshow(square(values), cmap="viridis", vmin=min(0, values.min()))
            axis.set_title(name, fontsize=10)
            axis.set_xticks(range(len(labels)), labels, rotation=60, ha="right", fontsize=7)
            axis.set_yticks(range(len(labels)), labels if axis is row[0] else [], fontsize=7)
            figure.colorbar(picture, ax=axis, shrink=0.7).ax.tick_params(labelsize=7)
        row[0].set_ylabel({"correlation": "1 − Pearson", "crossnobis": "cross-validated"}[kind])
    save_figure(figure, target, also=(".pdf",))
