"""Mean maps of a person and of the group, and the test of a contrast across people, as files."""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.attribution import METHODS, chosen_by_hand
from neuroface.bold import mean_of_maps, write_map
from neuroface.maps.files import average_file, contrast_file
from neuroface.maps.group import ALPHA, Contrast, group_test, sign_flips, variance_smoother
from neuroface.maps.tables import contrast_values
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


def groups_of_maps(maps: Maps, labels: tuple[str, str], methods: tuple[str, ...]) -> dict[tuple[str, str], list[str]]:
    """(label, method) → people who have maps of it."""
    groups = [(label, method) for method in methods for label in labels]
    people = {group: [who for who, *of in maps if tuple(of) == group] for group in groups}
    return {group: who for group, who in people.items() if who}


def average_person(folder: Path, maps: Maps, mask, affine, tr_s: float, unit: tuple[str, str, str]) -> None:
    """Write a person's mean map of a label and method, and the mean of its absolute values."""
    signed, absolute = mean_of_maps(maps[unit], mask, affine)
    write_map(average_file(folder, *unit, "_absolute"), absolute, mask, affine, tr_s)
    write_map(average_file(folder, *unit), signed, mask, affine, tr_s)


def average_people(folder: Path, people: dict, mask, affine, tr_s: float, group: tuple[str, str]) -> None:
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
            left_out.append((f"tests of the sign of {METHODS[method].title}", "it is positive everywhere"))
            names = [name for name in names if not about[name].two_sided]
        if chosen_by_hand(method, occlusion_regions):
            what = "where occlusion's absolute maps and regions stand out"
            left_out.append((what, "OCCLUSION_REGIONS chose the voxels by hand"))
            names = [name for name in names if about[name].two_sided]
        tested += [(name, method) for name in names]
    too_few = [(name, method) for name, method in tested if len(people_with(maps, about[name], method)) < 2]
    if too_few:
        left_out.append((f"tests across people of {len(too_few)} maps", "they need two people or more"))
    return [one for one in tested if one not in too_few], left_out


def units_to_flip(people: list[str], samples: pd.DataFrame, together: str) -> list[str]:
    """Unit of each person (people of one unit are flipped together): the person, or the film that they saw.

    Parameters
    ----------
    together : "person" or "movie".

    Raises
    ------
    NeuroFaceError
        With "movie", if a person saw several films, or all people saw the same film.
    """
    if together == "person":
        return people
    films = samples.groupby("subject")["movie"].unique()
    for who in people:
        if len(films[who]) > 1:
            raise NeuroFaceError(
                f'FLIP_TOGETHER = "movie" needs people who saw one film each; {who} saw {", ".join(films[who])}. '
                f'Set it to "person".'
            )
    if len({films[who][0] for who in people}) < 2:
        raise NeuroFaceError('FLIP_TOGETHER = "movie" needs two films or more. Set it to "person".')
    return [films[who][0] for who in people]


def write_test(
    folder: Path,
    maps: Maps,
    about: dict[str, Contrast],
    samples: pd.DataFrame,
    mask,
    affine,
    cfg,
    unit: tuple[str, str],
) -> None:
    """Test a contrast of one method across people; write its maps and its summary.

    Maps of p hold −log10 p, so that their 0 outside the mask means p = 1.
    """
    contrast, people = about[unit[0]], people_with(maps, about[unit[0]], unit[1])
    values = contrast_values(folder, contrast, unit[1], people, mask, affine)
    units = units_to_flip(people, samples, cfg.FLIP_TOGETHER)
    signs = sign_flips(units, cfg.N_FLIPS, cfg.SEED, contrast.two_sided)
    smooth = variance_smoother(mask, affine, cfg.VARIANCE_FWHM_MM)
    test = group_test(values, signs, mask, cfg.CLUSTER_FORMING_P, contrast.two_sided, smooth)
    mean, found = values.mean(axis=0, dtype=np.float64), test.p_voxel <= ALPHA
    for what, matrix in {
        "mean": mean,
        "t": test.statistic,
        "logp-voxel": -np.log10(test.p_voxel),
        "logp-cluster": -np.log10(test.p_cluster),
        "thresholded": np.where(found, mean, 0),
    }.items():
        target = contrast_file(folder, *unit, f"{what}.nii.gz")
        write_map(target, matrix.astype(np.float32), mask, affine, cfg.TR_S)
    summary = {
        "people": len(values),
        "flipped_together": cfg.FLIP_TOGETHER,
        "units": len(set(units)),
        "flips": len(signs),
        "smallest_p": test.smallest_p,
        "critical": test.critical if np.isfinite(test.critical) else None,
        "below_alpha_per_second": found.sum(axis=0).tolist(),
        "below_alpha_per_second_clusters": (test.p_cluster <= ALPHA).sum(axis=0).tolist(),
        "smallest_p_voxel": float(test.p_voxel.min()),
        "smallest_p_cluster": float(test.p_cluster.min()),
    }
    write_json(contrast_file(folder, *unit, "test.json"), summary)
