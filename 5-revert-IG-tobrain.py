"""5. From attribution matrices to brain maps.

Writes each window's attributions to their voxels: one 4D NIfTI per window in the group mask's
space, for any viewer.

Reads     4-attributions/, 1-windows/group_mask.nii.gz
Writes    5-brain-maps/<sub>/<sub>_task-<movie>_label-<label>_window-<i>_<method>.nii.gz (x, y, z,
            WINDOW_TRS) float32; of BOLD on the cortical surface the same as .dtseries.nii or
            _hemi-<L or R>.func.gii
Settings  ATTRIBUTION_METHODS
Takes     disk: at full size about 1.5 MB per window and method; memory: one window
"""

from neuroface import NeuroFaceError
from neuroface.bold import read_mask, surface_space, write_map
from neuroface.face_study import STUDY
from neuroface.maps import brain_map_file, write_surface_maps
from neuroface.pipeline import Section, Stage, open_npy, run_script


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 5, cfg, __doc__, reads=(1, 4))
    mask, affine = read_mask(stage.folder_of(1) / "group_mask.nii.gz")
    files = [
        file
        for method in cfg.ATTRIBUTION_METHODS
        for file in sorted(stage.folder_of(4).glob(f"sub-*/sub-*_{method}.npy"))
    ]
    units = []
    for file in files:
        n_windows, n_voxels, _ = open_npy(file).shape
        if n_voxels != mask.sum():
            raise NeuroFaceError(
                f"{file} has {n_voxels} voxels, the group mask {mask.sum()}. Rerun script 4."
            )
        units += [(file, i) for i in range(n_windows)]

    def put_back(unit):
        file, i = unit
        write_map(brain_map_file(stage.folder, file, i), open_npy(file)[i], mask, affine, cfg.TR_S)

    stage.each(put_back, units, "windows", lambda unit: brain_map_file(stage.folder, *unit))
    write_surface_maps(stage, surface_space(stage.folder_of(1)), cfg.TR_S, "sub-*/")

    section = Section(
        "Brain maps",
        f"{len(units):,} windows as 4D NIfTI, {mask.shape} voxels × {cfg.WINDOW_TRS} volumes.",
    )
    stage.finish(f"{len(units):,} brain maps", section)


if __name__ == "__main__":
    run_script(main)
