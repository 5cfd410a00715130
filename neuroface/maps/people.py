"""Mean maps of a person and of the group, and the test of a contrast across people, as files."""

from collections.abc import Mapping
from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.attribution import METHODS, chosen_by_hand
from neuroface.bold import mean_of_maps, write_map
from neuroface.maps.files import average_file, contrast_file
from neuroface.maps.group import (
    ALPHA,
    Contrast,
    GroupTest,
    compare,
    flipped_statistics,
    null_of,
    sign_flips,
    variance_smoother,
)
from neuroface.maps.map_test import GroupTestSettings, MapTest, units_to_flip
from neuroface.maps.relabelling_files import Relabelling
from neuroface.maps.tables import contrast_values, mean_absolute, scaled_values
from neuroface.pipeline import write_json

import numpy as np
import pandas as pd

Maps = dict[tuple[str, str, str], list[Path]]  # (person, label, method) → maps of single windows


def find_maps(folder: Path, methods: tuple[str, ...]) -> Maps:
    """Maps of windows by (person, label, method), in a fixed order.

    Raises
    ------
    NeuroFaceError
        If ``folder`` holds none.
    """
    maps: Maps = {}
    for method in methods:
        for file in sorted(folder.glob(f"sub-*/*_{method}.nii.gz")):
            label = file.name.split("_label-")[1].split("_")[0]
            maps.setdefault((file.parent.name, label, method), []).append(file)
    if not maps:
        raise NeuroFaceError(f"{folder} holds no map. Make the maps of windows first.")
    return maps


def groups_of_maps(
    maps: Maps, labels: tuple[str, str], methods: tuple[str, ...]
) -> dict[tuple[str, str], list[str]]:
    """(label, method) → people who have maps of it."""
    groups = [(label, method) for method in methods for label in labels]
    people = {group: [who for who, *of in maps if tuple(of) == group] for group in groups}
    return {group: who for group, who in people.items() if who}


def mean_files(folder: Path, who: str, label: str, method: str) -> list[Path]:
    """The mean maps of a person, or of the "group": of the values, and of their absolute values."""
    return [average_file(folder, who, label, method, kind) for kind in ("", "_absolute")]


def average_person(
    folder: Path, maps: Maps, mask, affine, tr_s: float, unit: tuple[str, str, str]
) -> None:
    """Write a person's mean map of a label and method, and the mean of its absolute values."""
    signed, absolute = mean_of_maps(maps[unit], mask, affine)
    write_map(average_file(folder, *unit, "_absolute"), absolute, mask, affine, tr_s)
    write_map(average_file(folder, *unit), signed, mask, affine, tr_s)


def average_people(
    folder: Path, people: dict, mask, affine, tr_s: float, group: tuple[str, str]
) -> None:
    """Write the group's mean maps of a label and method; every person counts the same."""
    for kind in ("_absolute", ""):
        files = [average_file(folder, who, *group, kind) for who in people[group]]
        mean = mean_of_maps(files, mask, affine)[0]
        write_map(average_file(folder, "group", *group, kind), mean, mask, affine, tr_s)


def people_with(maps: Maps, contrast: Contrast, method: str) -> list[str]:
    """People who have every map that a contrast needs."""
    people = list(dict.fromkeys(subject for subject, _, _ in maps))
    return [who for who in people if all((who, label, method) in maps for label in contrast.labels)]


def contrasts_to_test(
    maps: Maps, about: dict[str, Contrast], methods: tuple[str, ...], occlusion_regions: str
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Contrasts that can be tested across people.

    Returns
    -------
    (contrast, method) to test; and what is left out, and why.
    """
    tested, left_out = [], []
    for method in methods:
        names = list(about)
        if not METHODS[method].signed:
            left_out.append(
                (f"tests of the sign of {METHODS[method].title}", "it is positive everywhere")
            )
            names = [name for name in names if not about[name].two_sided]
        if chosen_by_hand(method, occlusion_regions):
            tests = "where occlusion's absolute maps and regions stand out"
            left_out.append((tests, "OCCLUSION_REGIONS chose the voxels by hand"))
            names = [name for name in names if about[name].two_sided]
        tested += [(name, method) for name in names]
    too_few = [
        (name, method) for name, method in tested if len(people_with(maps, about[name], method)) < 2
    ]
    if too_few:
        left_out.append(
            (f"tests across people of {len(too_few)} maps", "they need two people or more")
        )
    return [test for test in tested if test not in too_few], left_out


def files_of_test(folder: Path, contrast: str, method: str) -> list[Path]:
    """The files that :func:`write_test` always writes; maps of p depend on the test that the method gets."""
    endings = ("mean.nii.gz", "t.nii.gz", "test.json")
    return [contrast_file(folder, contrast, method, ending) for ending in endings]


def write_test(
    folder: Path,
    maps: Maps,
    about: dict[str, Contrast],
    samples: pd.DataFrame,
    mask,
    affine,
    tr_s: float,
    settings: GroupTestSettings,
    tests: Mapping[str, MapTest],
    nulls: Mapping[str, Relabelling],
    pairs: np.ndarray | None,
    unit: tuple[str, str],
) -> None:
    """Test a contrast of one method across people; write its maps and its summary.

    Maps of p hold −log10 p, so that their 0 outside the mask means p = 1. Without a test there are
    only the mean and t.

    Parameters
    ----------
    tests : method → the test that it gets. nulls : method → its relabellings, if they are its test.
    pairs : (n_pairs, 2), neighbours on a mesh; None: voxels that share a side.
    """
    name, method = unit
    contrast, people = about[name], people_with(maps, about[name], method)
    kind, why = test_of_contrast(tests[method], contrast)
    maps_of_people = contrast_values(folder, contrast, method, people, mask, affine)
    absolute = mean_absolute(folder, contrast.labels, method, people, mask, affine)
    values = scaled_values(maps_of_people, absolute, contrast.two_sided)
    shown = maps_of_people if contrast.two_sided else values
    mean = shown.mean(axis=0, dtype=np.float64)
    smooth = variance_smoother(mask, affine, settings.variance_fwhm_mm)
    forming_p = settings.cluster_forming_p
    statistic = t_across_people(values, smooth)
    maps_to_write, summary = (
        {"mean": mean, "t": statistic},
        {"people": len(people), "test": kind, "why": why},
    )
    if kind != "none":
        if kind == "relabel":
            null = nulls[method].null(name, statistic)
            summary |= {"relabellings": len(null.largest) - 1}
        else:
            units = units_to_flip(kind, people, samples)
            signs = sign_flips(units, settings.n_flips, settings.seed, contrast.two_sided)
            flipped = flipped_statistics(values, signs, smooth)
            null = null_of(flipped, len(people), mask, forming_p, contrast.two_sided, pairs)
            summary |= {"flips": len(signs), "units": len(set(units))}
        test = compare(statistic, null, len(people), mask, forming_p, contrast.two_sided, pairs)
        maps_to_write |= _maps_of_p(test, mean)
        summary |= _summary(test)
    _write(folder, unit, maps_to_write, summary, mask, affine, tr_s)


def _maps_of_p(test: GroupTest, mean: np.ndarray) -> dict[str, np.ndarray]:
    maps_of_p = {"logp-voxel": -np.log10(test.p_voxel), "logp-cluster": -np.log10(test.p_cluster)}
    if test.smallest_p <= ALPHA:
        maps_of_p["thresholded"] = np.where(test.p_voxel <= ALPHA, mean, 0)
    return maps_of_p


def _write(
    folder: Path,
    unit: tuple[str, str],
    maps_to_write: dict,
    summary: dict,
    mask,
    affine,
    tr_s: float,
) -> None:
    for name, matrix in maps_to_write.items():
        write_map(
            contrast_file(folder, *unit, f"{name}.nii.gz"),
            matrix.astype(np.float32),
            mask,
            affine,
            tr_s,
        )
    write_json(contrast_file(folder, *unit, "test.json"), summary)


def test_of_contrast(test: MapTest, contrast: Contrast) -> MapTest:
    """The test of a contrast: that of its method, but absolute maps have no sign to flip."""
    if contrast.two_sided or test.kind in ("relabel", "none"):
        return test
    return MapTest(
        "none", "absolute maps have no sign to flip; only refitted models give a null for them"
    )


def t_across_people(values: np.ndarray, smooth=None) -> np.ndarray:
    """One-sample t, or pseudo-t, (n_voxels, n_trs) of values (n_people, n_voxels, n_trs)."""
    return next(flipped_statistics(values, np.ones((1, len(values))), smooth)).reshape(
        values.shape[1:]
    )


def _summary(test: GroupTest) -> dict:
    return {
        "smallest_p": test.smallest_p,
        "critical": test.critical if np.isfinite(test.critical) else None,
        "below_alpha_per_second": (test.p_voxel <= ALPHA).sum(axis=0).tolist(),
        "below_alpha_per_second_clusters": (test.p_cluster <= ALPHA).sum(axis=0).tolist(),
        "smallest_p_voxel": float(test.p_voxel.min()),
        "smallest_p_cluster": float(test.p_cluster.min()),
    }
