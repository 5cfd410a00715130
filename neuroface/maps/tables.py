"""Tables of group maps: peaks, shares of regions, correlations between maps; and a figure of the shares."""

from pathlib import Path

from neuroface.bold import read_masked, voxel_positions_mm
from neuroface.decoding import mean_over_people, p_value
from neuroface.maps.files import average_file, contrast_file, reference_file
from neuroface.maps.group import Contrast
from neuroface.maps.regions import find_peaks, nearest_region, random_regions, shares
from neuroface.pipeline import save_figure

import nibabel as nib
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

N_PEAKS, PEAKS_APART_MM = 6, 20.0
COLOURS = ("#c8643c", "#2b5f8a")


def read_people(folder: Path, people: list[str], label: str, method: str, kind: str, mask, affine) -> np.ndarray:
    """People's mean maps, (n_people, n_voxels, n_trs) float32."""
    return np.stack([read_masked(average_file(folder, who, label, method, kind), mask, affine) for who in people])


def contrast_values(folder: Path, contrast: Contrast, method: str, people: list[str], mask, affine) -> np.ndarray:
    """Values that are tested across people, (n_people, n_voxels, n_trs).

    The signed contrasts are maps, or their difference. The absolute ones are a person's absolute attribution divided by
    its mean over voxels and seconds, minus 1: above 0 where there is more than if it were spread evenly.
    """
    kind = "" if contrast.two_sided else "_absolute"
    first, *rest = (read_people(folder, people, label, method, kind, mask, affine) for label in contrast.labels)
    if rest:
        return first - rest[0]
    return first if contrast.two_sided else first / first.mean(axis=(1, 2), keepdims=True) - 1


def peak_table(
    folder: Path, contrasts: list[tuple], about: dict[str, Contrast], mask, affine, rois: pd.DataFrame | None,
    roi_word: str, tr_s: float,
) -> pd.DataFrame:  # fmt: skip
    """Where and when each contrast's statistic is largest, 20 mm apart; one row per peak, significant or not.

    Parameters
    ----------
    contrasts : (contrast, method). about : of :func:`neuroface.maps.group.contrasts_of`.
    rois, roi_word : spheres, and the name of the column with the nearest one, such as "place_roi".
    """
    positions, rows = voxel_positions_mm(mask, affine), []
    for contrast, method in contrasts:
        mean, t, logp_voxel, logp_cluster = (
            read_masked(contrast_file(folder, contrast, method, f"{what}.nii.gz"), mask, affine)
            for what in ("mean", "t", "logp-voxel", "logp-cluster")
        )
        size = np.abs(t) if about[contrast].two_sided else np.maximum(t, 0)
        for voxel, tr in find_peaks(size, positions, N_PEAKS, PEAKS_APART_MM):
            region, distance = nearest_region(positions[voxel], rois) if rois is not None else (None, None)
            rows.append(
                {"method": method, "contrast": contrast, "second": tr * tr_s}
                | dict(zip(("x_mm", "y_mm", "z_mm"), np.round(positions[voxel], 1)))
                | {f"nearest_{roi_word}": region, "distance_mm": None if distance is None else round(distance, 1)}
                | {"mean": mean[voxel, tr], "t": t[voxel, tr]}
                | {"p_voxel": 10.0 ** -logp_voxel[voxel, tr], "p_cluster": 10.0 ** -logp_cluster[voxel, tr]}
            )
    return pd.DataFrame(rows)


def share_rows(
    size: np.ndarray,
    regions: dict,
    positions_mm: np.ndarray,
    n_random: int,
    seed: int,
    tr_s: float,
    label: str,
    method: str,
) -> list[dict]:
    """Share of absolute attribution in each region, per second and ("all") over the window, against random regions.

    Parameters
    ----------
    size : (n_people, n_voxels, n_trs), absolute attribution. regions : name → (n_voxels,) bool.
    """
    rows, people = [], list(range(len(size)))
    for name, voxels in regions.items():
        random = random_regions(positions_mm, int(voxels.sum()), n_random, seed)
        # The share over the window uses the total of all seconds: a second with more attribution counts more.
        parts = [
            [shares(part, where) for part in (size, size.sum(axis=2, keepdims=True))] for where in (voxels, random)
        ]
        each, null = map(np.column_stack, parts)
        mean, low, high = mean_over_people(each, people)
        for column in range(each.shape[1]):
            second = f"{column * tr_s:g}" if column < size.shape[2] else "all"
            rows.append(
                {"method": method, "label": label, "region": name, "n_voxels": int(voxels.sum()), "second": second}
                | {"share": mean[column], "low_95": low[column], "high_95": high[column]}
                | {"random_mean": null[:, column].mean(), "random_95": np.quantile(null[:, column], 0.95)}
                | {"p": p_value(mean[column], null[:, column])}
            )
    return rows


def plot_shares(table: pd.DataFrame, title: str, target: Path) -> None:
    """One panel per region: share per second for both labels with its interval over people; random regions dotted."""
    table = table[table["second"] != "all"]
    names = list(dict.fromkeys(table["region"]))
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(3.6 * columns, 2.6 * rows), layout="constrained", squeeze=False)
    for axis, name in zip(axes.flat, names):
        for (label, part), colour in zip(table[table["region"] == name].groupby("label", sort=False), COLOURS):
            seconds = part["second"].astype(float)
            axis.fill_between(seconds, 100 * part["low_95"], 100 * part["high_95"], color=colour, alpha=0.2, lw=0)
            axis.plot(seconds, 100 * part["share"], color=colour, marker="o", markersize=3, label=label)
            axis.plot(seconds, 100 * part["random_95"], color=colour, linestyle=":", linewidth=1.2)
        axis.set(title=f"{name} ({part['n_voxels'].iloc[0]} voxels)", ylim=(0, None))
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    figure.supxlabel("second of the window", fontsize=10)
    figure.supylabel("% of the second's absolute attribution", fontsize=10)
    figure.suptitle(title, fontsize=11)
    axes.flat[0].legend(frameon=False, fontsize=9)
    save_figure(figure, target)


def correlation_rows(folder: Path, groups: dict, references: tuple[str, ...], mask, affine) -> list[dict]:
    """Spatial correlation of people's maps with the reference maps: mean over people, 95 % interval.

    Neighbouring voxels are correlated, so no p-value is given. A reference without seconds is compared with the mean
    over the window.

    Parameters
    ----------
    groups : (label, method) → people.
    """
    rows = []
    for (label, method), people in groups.items():
        maps = read_people(folder, people, label, method, "", mask, affine)
        for which in references:
            reference = read_reference(folder, which, mask, affine)
            own = maps if reference.ndim == 2 else maps.mean(axis=2)
            row = {"method": method, "label": label, "reference": which}
            for name, change in (("r", np.asarray), ("r_absolute", np.abs)):
                each = [np.corrcoef(change(one).ravel(), change(reference).ravel())[0, 1] for one in own]
                mean, low, high = mean_over_people(np.array(each), people)
                row |= {name: mean, f"{name}_low_95": low, f"{name}_high_95": high}
            rows.append(row)
    return rows


def read_reference(folder: Path, which: str, mask, affine) -> np.ndarray:
    """The group's reference map: "haufe" (n_voxels, n_trs), "glm" (n_voxels,)."""
    file = reference_file(folder, "group", which)
    if which == "glm":
        return nib.load(file).get_fdata()[mask]
    return read_masked(file, mask, affine)
