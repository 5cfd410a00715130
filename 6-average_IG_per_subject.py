"""6. From maps of windows to a map per person, to the group, and to what can be claimed.

Averages each person's maps per label over all their windows, then the people, so that everyone counts the same. Tests
across people, by sign flips, where attribution differs from zero, corrected over all voxels and seconds; compares face
regions with random ones; and puts two maps beside the network's: a linear model's pattern and a GLM's face contrast.

Reads     5-brain-maps/, 2-dataset/, 1-windows/group_mask.nii.gz, for the GLM the data set in DATASET_DIR
Writes    6-averages/<sub>_label-<label>_<method>[_absolute].nii.gz, group_… (x, y, z, WINDOW_TRS) float32
          6-averages/group_contrast-<contrast>_<method>_{mean,t,logp-voxel,logp-cluster,thresholded}.nii.gz, and .json
          6-averages/group_reference-haufe.nii.gz (x, y, z, WINDOW_TRS), <sub>_ and group_reference-glm.nii.gz (x, y, z)
          6-averages/peaks.tsv, map_correlations.tsv; with face regions roi_shares.tsv and roi_shares_<method>.png
Settings  ATTRIBUTION_METHODS, SPACE, ROI_FILE, ROI_MASKS, N_RANDOM_REGIONS, N_FLIPS, FLIP_TOGETHER, VARIANCE_FWHM_MM,
          CLUSTER_FORMING_P, REFERENCE_MAPS
Takes     one pass over the maps, one over the BOLD for the GLM; a test of 85 people at full size 1 GB, 14 ms per flip
"""

from itertools import groupby
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from neuroface import NeuroFaceError
from neuroface.attribution_methods import METHODS, chosen_by_hand
from neuroface.bold import mean_of_maps, read_mask
from neuroface.dataset import Run, find_runs
from neuroface.files import (
    LABELS,
    average_file,
    contrast_file,
    open_npy,
    read_json,
    read_table,
    reference_file,
    unmask,
    write_json,
    write_map,
    write_nifti,
    write_table,
)
from neuroface.folds import make_folds
from neuroface.glm import effect_of_run
from neuroface.group import ALPHA, CONTRASTS, group_test, sign_flips, variance_smoother
from neuroface.linear import linear_pattern
from neuroface.map_report import describe_correlations, describe_regions, describe_tests, lead
from neuroface.map_tables import contrast_values, correlation_rows, peak_table, plot_shares, read_people, share_rows
from neuroface.report import Section
from neuroface.rois import read_rois, regions_in_mask, voxel_positions_mm
from neuroface.settings import load_settings
from neuroface.stage import Stage, run_script
from neuroface.windows import read_stretches

SETTINGS = (
    "ATTRIBUTION_METHODS", "SPACE", "ROI_FILE", "ROI_MASKS", "N_RANDOM_REGIONS", "N_FLIPS", "FLIP_TOGETHER",
    "VARIANCE_FWHM_MM", "CLUSTER_FORMING_P", "REFERENCE_MAPS",
)  # fmt: skip


def main():
    cfg = load_settings(Path(__file__).with_name("config.py"))
    stage = Stage(6, cfg, SETTINGS, reads=(1, 2, 5))
    mask, affine = read_mask(stage.folder_of(1) / "group_mask.nii.gz")
    samples = read_table(stage.folder_of(2) / "samples.tsv")
    maps = find_maps(stage.folder_of(5), cfg.ATTRIBUTION_METHODS)
    runs = find_runs_with_faces(cfg) if "glm" in cfg.REFERENCE_MAPS else []
    used = [file for run in runs if reference_file(stage.folder, run.subject, "glm").exists() for file in run.files]
    stage.take_files([file for run in runs for file in run.files], used)

    def average_person(unit):
        signed, absolute = mean_of_maps(maps[unit], mask, affine)
        write_map(average_file(stage.folder, *unit, "_absolute"), absolute, mask, affine, cfg.TR_S)
        write_map(average_file(stage.folder, *unit), signed, mask, affine, cfg.TR_S)

    def average_people(group):
        for kind in ("_absolute", ""):
            people = [average_file(stage.folder, *unit, kind) for unit in maps if unit[1:] == group]
            target = average_file(stage.folder, "group", *group, kind)
            write_map(target, mean_of_maps(people, mask, affine)[0], mask, affine, cfg.TR_S)

    def done(unit):
        return average_file(stage.folder, *unit).exists()

    groups = [(label, method) for method in cfg.ATTRIBUTION_METHODS for label in LABELS]
    groups = [group for group in groups if any(unit[1:] == group for unit in maps)]
    stage.each(average_person, maps, done, "people × labels")
    stage.each(average_people, groups, lambda group: done(("group", *group)), "group maps")

    def test_people(contrast):
        people = people_with(maps, *contrast)
        values = contrast_values(stage.folder, *contrast, people, mask, affine)
        write_test(stage, contrast, values, units_to_flip(people, samples, cfg.FLIP_TOGETHER), mask, affine, cfg)

    contrasts = [(name, method) for method in cfg.ATTRIBUTION_METHODS for name in CONTRASTS]
    for method in cfg.ATTRIBUTION_METHODS:
        if not METHODS[method].signed:
            stage.leave_out(f"tests of the sign of {METHODS[method].title}", "it is positive everywhere")
            contrasts = [(name, m) for name, m in contrasts if m != method or name.endswith("absolute")]
        if chosen_by_hand(method, cfg.OCCLUSION_REGIONS):
            what = "where occlusion's absolute maps and regions stand out"
            stage.leave_out(what, "OCCLUSION_REGIONS chose the voxels by hand")
            contrasts = [(name, m) for name, m in contrasts if m != method or not name.endswith("absolute")]
    if too_few := [contrast for contrast in contrasts if len(people_with(maps, *contrast)) < 2]:
        stage.leave_out(f"tests across people of {len(too_few)} maps", "they need two people or more")
    contrasts = [contrast for contrast in contrasts if contrast not in too_few]
    stage.each(test_people, contrasts, lambda c: contrast_file(stage.folder, *c, "test.json").exists(), "group tests")

    make_references(stage, samples, runs, mask, affine, cfg)
    section = summarize(stage, maps, groups, contrasts, mask, affine, cfg)
    stage.finish(f"means of {len({unit[0] for unit in maps})} people, {len(contrasts)} group tests", section)


def find_maps(folder: Path, methods: tuple[str, ...]) -> dict[tuple[str, str, str], list[Path]]:
    """Map files by (person, label, method), in a fixed order."""
    maps: dict[tuple[str, str, str], list[Path]] = {}
    for method in methods:
        for file in sorted(folder.glob(f"sub-*/*_{method}.nii.gz")):
            label = file.name.split("_label-")[1].split("_")[0]
            maps.setdefault((file.parent.name, label, method), []).append(file)
    if not maps:
        raise NeuroFaceError(f"{folder} holds no map. Run script 5 again.")
    return maps


def find_runs_with_faces(cfg) -> list[Run]:
    """Runs whose BOLD the GLM reads; script 1 has named those that are left out."""
    runs, _ = find_runs(cfg.DATASET, cfg.DATASET_DIR, cfg.EXCLUDE, cfg.BIDS_FILTER, cfg.NNDB_VARIANT)
    return [run for run in runs if len(read_stretches(run.annotation, cfg.FACE_TRIAL_TYPES))]


def people_with(maps: dict, contrast: str, method: str) -> list[str]:
    """People who have every map that a contrast needs."""
    people = list(dict.fromkeys(subject for subject, _, _ in maps))
    return [who for who in people if all((who, label, method) in maps for label in CONTRASTS[contrast].labels)]


def units_to_flip(people: list[str], samples: pd.DataFrame, together: str) -> list[str]:
    """What is flipped together with each person: the person, or the film that they saw."""
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


def write_test(stage: Stage, contrast: tuple, values: np.ndarray, units: list[str], mask, affine, cfg) -> None:
    """A contrast's group test as maps; p as −log10, so that outside the mask 0 means p = 1."""
    two_sided = CONTRASTS[contrast[0]].two_sided
    signs = sign_flips(units, cfg.N_FLIPS, cfg.SEED, two_sided)
    smooth = variance_smoother(mask, affine, cfg.VARIANCE_FWHM_MM)
    test = group_test(values, signs, mask, cfg.CLUSTER_FORMING_P, two_sided, smooth)
    mean, found = values.mean(axis=0, dtype=np.float64), test.p_voxel <= ALPHA
    for what, matrix in {
        "mean": mean,
        "t": test.statistic,
        "logp-voxel": -np.log10(test.p_voxel),
        "logp-cluster": -np.log10(test.p_cluster),
        "thresholded": np.where(found, mean, 0),
    }.items():
        target = contrast_file(stage.folder, *contrast, f"{what}.nii.gz")
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
    write_json(contrast_file(stage.folder, *contrast, "test.json"), summary)


def make_references(stage: Stage, samples: pd.DataFrame, runs: list[Run], mask, affine, cfg) -> None:
    """The maps in REFERENCE_MAPS: pattern of the linear model per voxel and second, GLM effect of faces per voxel."""

    def pattern(target):
        X, face = open_npy(stage.folder_of(2) / "X.npy"), (samples["label"] == "face").to_numpy(np.int8)
        folds = make_folds(
            samples, cfg.HELD_OUT_SPLIT, cfg.N_FOLDS, cfg.SEED, window_trs=cfg.WINDOW_TRS, embargo_trs=cfg.EMBARGO_TRS,
            selection=cfg.SELECTION,
        )  # fmt: skip
        write_map(target, linear_pattern(X, face, folds).astype(np.float32), mask, affine, cfg.TR_S)

    def effect(runs):
        mean = np.mean([effect_of_run(run, mask, affine, cfg) for run in runs], axis=0)
        write_nifti(effect_file(runs), unmask(mean[:, None], mask)[..., 0], affine)

    def mean_effect(target):
        volumes = [nib.load(effect_file(runs)).get_fdata() for runs in people]
        write_nifti(target, np.mean(volumes, axis=0).astype(np.float32), affine)

    def effect_file(runs):
        return reference_file(stage.folder, runs[0].subject, "glm")

    if "haufe" in cfg.REFERENCE_MAPS:
        stage.each(pattern, [reference_file(stage.folder, "group", "haufe")], Path.exists, "linear patterns")
    if "glm" in cfg.REFERENCE_MAPS:
        people = [tuple(part) for _, part in groupby(runs, key=lambda run: run.subject)]
        stage.each(effect, people, lambda runs: effect_file(runs).exists(), "people's GLMs")
        stage.each(mean_effect, [reference_file(stage.folder, "group", "glm")], Path.exists, "mean GLMs")


def summarize(stage: Stage, maps: dict, groups: list, contrasts: list, mask, affine, cfg) -> Section:
    """Tables of peaks, regions and correlations, and the report's section with what the tests found."""
    rois = read_rois(cfg.ROI_FILE) if cfg.SPACE == "MNI" else None
    people = {group: [unit[0] for unit in maps if unit[1:] == group] for group in groups}
    tests = {contrast: read_json(contrast_file(stage.folder, *contrast, "test.json")) for contrast in contrasts}
    section = Section("Group maps", lead(tests, len({unit[0] for unit in maps}), cfg))
    if tests:
        peaks = peak_table(stage.folder, contrasts, mask, affine, rois, cfg.TR_S)
        write_table(stage.folder / "peaks.tsv", peaks)
        describe_tests(section, tests, peaks, cfg)

    regions = regions_in_mask(mask, affine, rois, cfg.ROI_MASKS)
    of = {group: who for group, who in people.items() if not chosen_by_hand(group[1], cfg.OCCLUSION_REGIONS)}
    if outside := [name for name, voxels in regions.items() if not voxels.any()]:
        stage.leave_out(", ".join(outside), "no voxel of the group mask lies in it")
        regions = {name: voxels for name, voxels in regions.items() if name not in outside}
    if regions and of:
        positions, shares = voxel_positions_mm(mask, affine), []
        for (label, method), who in of.items():
            size = read_people(stage.folder, who, label, method, "_absolute", mask, affine)
            shares += share_rows(size, regions, positions, cfg.N_RANDOM_REGIONS, cfg.SEED, cfg.TR_S, label, method)
        shares = pd.DataFrame(shares)
        write_table(stage.folder / "roi_shares.tsv", shares)
        for method, part in shares.groupby("method", sort=False):
            plot_shares(part, f"Share of absolute attribution ({method})", stage.folder / f"roi_shares_{method}.png")
        describe_regions(section, stage.folder, shares, cfg)

    if cfg.REFERENCE_MAPS:
        correlations = pd.DataFrame(correlation_rows(stage.folder, people, cfg.REFERENCE_MAPS, mask, affine))
        write_table(stage.folder / "map_correlations.tsv", correlations)
        describe_correlations(section, correlations)
    return section


if __name__ == "__main__":
    run_script(main)
