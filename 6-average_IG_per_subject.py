"""6. From maps of windows to a map per person, and to the group.

Averages each person's maps per label over all their windows, then the people, so that everyone counts the same however
many windows they gave.

Reads     5-brain-maps/
Writes    6-averages/<sub>_label-<label>_<method>.nii.gz, group_label-<label>_<method>.nii.gz (x, y, z, WINDOW_TRS) float32
          6-averages/peaks.tsv, where the group maps are largest; with SPACE = "MNI" also roi_shares.tsv
Settings  ATTRIBUTION_METHODS, SPACE, ROI_FILE
Takes     one pass over the maps; memory: two maps
"""

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from neuroface import NeuroFaceError
from neuroface.bold import mean_of_maps, read_mask
from neuroface.files import LABELS, average_file, write_map, write_table
from neuroface.report import Section
from neuroface.rois import read_rois, sphere_labels, voxel_positions_mm
from neuroface.settings import load_settings
from neuroface.stage import Stage, run_script

SETTINGS = ("ATTRIBUTION_METHODS", "SPACE", "ROI_FILE")


def main():
    cfg = load_settings(Path(__file__).with_name("config.py"))
    stage = Stage(6, cfg, SETTINGS, reads=(1, 5))
    mask, affine = read_mask(stage.folder_of(1) / "group_mask.nii.gz")
    maps = find_maps(stage.folder_of(5), cfg.ATTRIBUTION_METHODS)

    def average_person(unit):
        write_map(average_file(stage.folder, *unit), mean_of_maps(maps[unit], mask, affine), mask, affine, cfg.TR_S)

    def average_people(group):
        people = [average_file(stage.folder, *unit) for unit in maps if unit[1:] == group]
        target = average_file(stage.folder, "group", *group)
        write_map(target, mean_of_maps(people, mask, affine), mask, affine, cfg.TR_S)

    def done(unit):
        return average_file(stage.folder, *unit).exists()

    groups = [(label, method) for method in cfg.ATTRIBUTION_METHODS for label in LABELS]
    groups = [group for group in groups if any(unit[1:] == group for unit in maps)]
    stage.each(average_person, maps, done, "people × labels")
    stage.each(average_people, groups, lambda group: done(("group", *group)), "group maps")

    means = {
        group: nib.load(average_file(stage.folder, "group", *group)).get_fdata(dtype=np.float32) for group in groups
    }
    stage.finish(f"means of {len({unit[0] for unit in maps})} people", describe(stage, means, mask, affine, cfg))


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


def describe(stage: Stage, means: dict[tuple, np.ndarray], mask: np.ndarray, affine: np.ndarray, cfg) -> Section:
    section = Section("Averages", "Mean attribution over a person's windows, then over people.")
    positions = voxel_positions_mm(mask, affine)
    rois = read_rois(cfg.ROI_FILE) if cfg.SPACE == "MNI" else None
    inside = sphere_labels(positions, rois) if rois is not None else np.zeros(len(positions), int)
    names = ["–"] + ([f"{r.hemisphere} {r.roi}" for r in rois.itertuples()] if rois is not None else [])
    peaks, shares = [], []
    for (label, method), data in means.items():
        over_time = data[mask].mean(axis=1)
        for voxel in np.argsort(-over_time)[:5]:
            x, y, z = np.round(positions[voxel], 1)
            peaks.append((method, label, x, y, z, float(over_time[voxel]), names[inside[voxel]]))
        size = np.abs(data[mask]).mean(axis=1)
        for number, name in list(enumerate(names))[1:]:
            if (inside == number).any():
                ratio = size[inside == number].mean() / size[inside == 0].mean()
                shares.append((method, label, name, int((inside == number).sum()), float(ratio)))
    peaks = pd.DataFrame(peaks, columns=["method", "label", "x_mm", "y_mm", "z_mm", "mean_attribution", "face_roi"])
    write_table(stage.folder / "peaks.tsv", peaks)
    where = "MNI mm" if cfg.SPACE == "MNI" else "scanner mm of the mask"
    section.table(list(peaks), peaks.round(6).to_numpy(), f"Largest mean attribution over the window ({where})")
    if shares:
        shares = pd.DataFrame(shares, columns=["method", "label", "region", "n_voxels", "times_outside"])
        write_table(stage.folder / "roi_shares.tsv", shares)
        section.table(
            list(shares), shares.round(2).to_numpy(), "Absolute attribution per voxel, as a multiple of voxels outside"
        )
    for peak in peaks.groupby(["method", "label"]).head(1).itertuples():
        where = f"{peak.x_mm:g}, {peak.y_mm:g}, {peak.z_mm:g} mm, face region: {peak.face_roi}"
        print(f"  {peak.label} map ({peak.method}) peaks at {where}")
    return section


if __name__ == "__main__":
    run_script(main)
