"""Tables of group maps: peaks, shares of regions, correlations between maps; and a figure of the shares."""

from pathlib import Path

from neuroface.bold import open_image, read_masked, voxel_positions_mm
from neuroface.decoding import p_value
from neuroface.maps.files import average_file, contrast_file, reference_file
from neuroface.maps.group import ALPHA, Contrast
from neuroface.maps.regions import find_peaks, nearest_region, random_regions, shares
from neuroface.pipeline import save_figure

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from scipy.stats import rankdata

N_PEAKS, PEAKS_APART_MM = 6, 20.0
COLOURS = ("#c8643c", "#2b5f8a")


def read_people(
    folder: Path, people: list[str], label: str, method: str, kind: str, mask, affine
) -> np.ndarray:
    """People's mean maps, (n_people, n_voxels, n_trs) float32."""
    return np.stack(
        [
            read_masked(average_file(folder, who, label, method, kind), mask, affine)
            for who in people
        ]
    )


def contrast_values(
    folder: Path, contrast: Contrast, method: str, people: list[str], mask, affine
) -> np.ndarray:
    """Maps of a contrast, (n_people, n_voxels, n_trs): of a label, of absolute values, or a difference of labels."""
    kind = "" if contrast.two_sided else "_absolute"
    first, *rest = (
        read_people(folder, people, label, method, kind, mask, affine) for label in contrast.labels
    )
    return first - rest[0] if rest else first


def scaled_values(values: np.ndarray, absolute: np.ndarray, two_sided: bool) -> np.ndarray:
    """Values that are tested across people: maps in units of the person's mean absolute attribution.

    The logits of fold models differ in scale. Without this the people of one fold would decide the
    statistic, and under swapped labels, where scales differ most, it would be too small.

    Parameters
    ----------
    values : result of :func:`contrast_values`. absolute : (n_people,) mean absolute attribution over
    voxels, seconds and labels.
    two_sided : False: absolute maps. Then 1 is subtracted, so that 0 is the mean voxel.
    """
    unused = absolute == 0  # a model without weights: its map is even, and 0
    values = values / np.where(unused, 1, absolute)[:, None, None]
    return values if two_sided else values - ~unused[:, None, None]


def mean_absolute(
    folder: Path, labels: tuple[str, ...], method: str, people: list[str], mask, affine
) -> np.ndarray:
    """Mean absolute attribution (n_people,) over voxels, seconds and labels."""
    maps_of_labels = [
        read_people(folder, people, label, method, "_absolute", mask, affine) for label in labels
    ]
    return np.mean([maps.mean(axis=(1, 2), dtype=np.float64) for maps in maps_of_labels], axis=0)


def peak_table(
    folder: Path, contrasts: list[tuple], about: dict[str, Contrast], mask, affine, rois: pd.DataFrame | None,
    roi_word: str, tr_s: float, places: pd.DataFrame | None = None, positions: np.ndarray | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Where and when each contrast's mean is largest, 20 mm apart; one row per peak.

    Voxels with p of at most ALPHA come first. Among the others the mean decides and not t: with few
    people the largest t of a map lies where people happen to agree on a value near 0. Without a
    test p is empty.

    Parameters
    ----------
    contrasts : (contrast, method). about : result of :func:`neuroface.maps.group.contrasts_of`.
    rois, roi_word : spheres, and the name of the column with the nearest one, such as "place_roi".
    places : a row per voxel that says where it is, if voxels are parcels or vertices; its columns replace those of mm.
    positions : (n_voxels, 3) in mm, by which peaks lie apart; None: by the affine.
    """
    rows = []
    if positions is None:
        positions = voxel_positions_mm(mask, affine)
    for contrast, method in contrasts:
        of_test = {
            name: contrast_file(folder, contrast, method, f"{name}.nii.gz")
            for name in ("mean", "t", "logp-voxel", "logp-cluster")
        }
        mean, t = (read_masked(of_test[name], mask, affine) for name in ("mean", "t"))
        logp_voxel, logp_cluster = (
            read_masked(of_test[name], mask, affine) if of_test[name].exists() else None
            for name in ("logp-voxel", "logp-cluster")
        )
        size = order_of_peaks(mean, logp_voxel, about[contrast].two_sided)
        for voxel, tr in find_peaks(size, positions, N_PEAKS, PEAKS_APART_MM):
            region, distance = (
                nearest_region(positions[voxel], rois) if rois is not None else (None, None)
            )
            rows.append(
                {"method": method, "contrast": contrast, "second": tr * tr_s}
                | (
                    dict(zip(("x_mm", "y_mm", "z_mm"), np.round(positions[voxel], 1)))
                    if places is None
                    else places.iloc[voxel].to_dict()
                )
                | {
                    f"nearest_{roi_word}": region,
                    "distance_mm": None if distance is None else round(distance, 1),
                }
                | {"mean": mean[voxel, tr], "t": t[voxel, tr]}
                | {"p_voxel": None if logp_voxel is None else 10.0 ** -logp_voxel[voxel, tr]}
                | {"p_cluster": None if logp_cluster is None else 10.0 ** -logp_cluster[voxel, tr]}
            )
    return pd.DataFrame(rows)


def order_of_peaks(mean: np.ndarray, logp_voxel: np.ndarray | None, two_sided: bool) -> np.ndarray:
    """Values (n_voxels, n_trs) by which peaks are found: size of the mean relative to the largest, plus 1 if p ≤ ALPHA."""
    size = np.abs(mean) if two_sided else np.maximum(mean, 0)
    size = size / max(size.max(), np.finfo(float).tiny)
    return (
        size
        if logp_voxel is None
        else size + ((logp_voxel >= -np.log10(ALPHA) - 1e-6) & (size > 0))
    )


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

    p is that of one region and one second. p_corrected is family-wise over all regions and seconds
    of this label: p is compared with the smallest p that a set of random regions reaches (Westfall
    & Young 1993). The rows of "all" are corrected over regions only.

    The SD over people is no standard error: people share the models that explain them, so their
    number does not say how well the mean is known (docs/what-maps-can-claim.md).

    Parameters
    ----------
    size : (n_people, n_voxels, n_trs), absolute attribution. regions : name → (n_voxels,) bool.
    """
    rows, parts = [], [size, size.sum(axis=2, keepdims=True)]
    observed, nulls = [], []
    for number, (name, voxels) in enumerate(regions.items()):
        # Each region has its own places: in one draw the random regions lie apart, as the regions
        # do.
        random = random_regions(positions_mm, int(voxels.sum()), n_random, [seed, number])
        # The share over the window uses the total of all seconds: a second with more attribution
        # counts more.
        each, null = (
            np.column_stack([shares(maps, where) for maps in parts]) for where in (voxels, random)
        )
        mean, spread = each.mean(axis=0), sd_over_people(each)
        observed.append(mean)
        nulls.append(null)
        for column in range(each.shape[1]):
            second = f"{column * tr_s:g}" if column < size.shape[2] else "all"
            rows.append(
                {
                    "method": method,
                    "label": label,
                    "region": name,
                    "n_voxels": int(voxels.sum()),
                    "second": second,
                }
                | {"share": mean[column], "sd_people": spread[column]}
                | {
                    "random_mean": null[:, column].mean(),
                    "random_95": np.quantile(null[:, column], 0.95),
                }
                | {"p": p_value(mean[column], null[:, column])}
            )
    of_regions, of_random = np.stack(observed), np.stack(nulls, axis=1)
    corrected = np.empty_like(of_regions)
    for family in (slice(0, -1), slice(-1, None)):
        values, null = of_regions[:, family], of_random[:, :, family]
        p = smallest_p(values.ravel(), null.reshape(len(null), -1))
        corrected[:, family] = p.reshape(values.shape)
    return [row | {"p_corrected": value} for row, value in zip(rows, corrected.ravel())]


def sd_over_people(values: np.ndarray) -> np.ndarray:
    """SD (...) over the first axis of ``values`` (n_people, ...); NaN of one person."""
    return values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan)


def smallest_p(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Family-wise p (n_values,) of several values: share of draws whose smallest p is at most that of the value.

    Parameters
    ----------
    observed : (n_values,). null : (n_draws, n_values), the same values in each draw of the null.
    """
    everything = np.vstack([observed, null])
    p = rankdata(-everything, method="max", axis=0) / len(everything)
    return (p.min(axis=1)[:, None] <= p[0] * (1 + 1e-12)).mean(axis=0)


def plot_shares(table: pd.DataFrame, title: str, target: Path) -> None:
    """One panel per region: share per second for both labels, ± its SD over people; random regions dotted."""
    table = table[table["second"] != "all"]
    names = list(dict.fromkeys(table["region"]))
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3.6 * columns, 2.6 * rows), layout="constrained", squeeze=False
    )
    for axis, name in zip(axes.flat, names):
        for (label, course), colour in zip(
            table[table["region"] == name].groupby("label", sort=False), COLOURS
        ):
            seconds = course["second"].astype(float)
            low, high = course["share"] - course["sd_people"], course["share"] + course["sd_people"]
            axis.fill_between(seconds, 100 * low, 100 * high, color=colour, alpha=0.2, lw=0)
            axis.plot(
                seconds, 100 * course["share"], color=colour, marker="o", markersize=3, label=label
            )
            axis.plot(
                seconds, 100 * course["random_95"], color=colour, linestyle=":", linewidth=1.2
            )
        axis.set(title=f"{name} ({course['n_voxels'].iloc[0]} voxels)", ylim=(0, None))
    for axis in axes.flat[len(names) :]:
        axis.set_axis_off()
    figure.supxlabel("second of the window", fontsize=10)
    figure.supylabel("% of the second's absolute attribution", fontsize=10)
    figure.suptitle(title, fontsize=11)
    axes.flat[0].legend(frameon=False, fontsize=9)
    save_figure(figure, target)


def correlation_rows(
    folder: Path, groups: dict, references: tuple[str, ...], mask, affine
) -> list[dict]:
    """Spatial correlation of people's maps with the reference maps: mean and SD over people.

    Neighbouring voxels are correlated, so no p-value is given, and people share models, so no
    interval either (:func:`share_rows`). A reference without seconds is
    compared with the mean over the window.

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
                each = np.array(
                    [
                        np.corrcoef(change(person_map).ravel(), change(reference).ravel())[0, 1]
                        for person_map in own
                    ]
                )
                row |= {name: each.mean(), f"{name}_sd_people": sd_over_people(each)}
            rows.append(row)
    return rows


def read_reference(folder: Path, which: str, mask, affine) -> np.ndarray:
    """The group's reference map: "haufe" (n_voxels, n_trs), "glm" (n_voxels,)."""
    file = reference_file(folder, "group", which)
    if which == "glm":
        return np.asanyarray(open_image(file).dataobj, dtype=np.float64)[mask]
    return read_masked(file, mask, affine)
