"""6. From maps of windows to maps of people and the group, and to tests across people.

Averages each person's maps of a label over their windows, then over people, so that all people
count the same. Tests where attribution is larger than that of models which were fitted to swapped
labels, corrected over all voxels and seconds; other tests if models cannot be refitted (MAP_TEST).
Compares regions with random regions. Computes two other maps for comparison: the pattern of a
linear model, and the effect of the first label in a GLM.

Reads     5-brain-maps/, 3-model/, 2-dataset/, 1-windows/group_mask.nii.gz; for the GLM the data set
          in DATASET_DIR
Writes    6-averages/<sub>_label-<label>_<method>[_absolute].nii.gz, group_… (x, y, z, WINDOW_TRS)
            float32
          6-averages/group_label-<label>_<method>_seed-sd.nii.gz, seeds.tsv, if the models had
            several seeds
          6-averages/group_contrast-<contrast>_<method>_{mean,t,logp-voxel,logp-cluster,thresholded}.nii.gz,
            and .json; without a test only mean, t and .json
          6-averages/relabelled/<method>_fold-<k>.npz, <method>_labellings-<from>-<to>.npz: refitted
            models, their null
          6-averages/group_reference-haufe.nii.gz (x, y, z, WINDOW_TRS), <sub>_ and
            group_reference-glm.nii.gz (x, y, z)
          of BOLD on the cortical surface all of these as .dtseries.nii or .dscalar.nii, or as
          _hemi-<L or R>.func.gii or .shape.gii
          6-averages/peaks.tsv, map_correlations.tsv; with regions roi_shares.tsv and
            roi_shares_<method>.png, roi_bold.png
Settings  ATTRIBUTION_METHODS, SPACE, ROI_FILE, ROI_MASKS, N_RANDOM_REGIONS, MAP_TEST,
          N_RELABELLINGS, N_FLIPS, VARIANCE_FWHM_MM, CLUSTER_FORMING_P, REFERENCE_MAPS, NUISANCE
Takes     one pass over the maps, one over the BOLD for the GLM; 1 GB and 14 ms per flip for 85
          people at full size
"""

from functools import partial
from itertools import groupby
from pathlib import Path

from neuroface.attribution import chosen_by_hand
from neuroface.bold import (
    Run,
    denoising_of,
    open_image,
    parcel_names,
    read_mask,
    read_rois,
    regions_in_mask,
    stretches_of_labels,
    surface_space,
    unmask,
    voxel_positions_mm,
    write_map,
    write_nifti,
)  # fmt: skip
from neuroface.decoding import BEST, linear_pattern, make_folds, model_folder, read_choices
from neuroface.face_study import (
    STUDY,
    FaceSettings,
    explained,
    fold_settings,
    group_test_settings,
    label_events,
    labels_of,
    model_options,
    roi_word,
    runs_of,
    windows_of,
)
from neuroface.maps import (
    MapTest,
    Relabelling,
    average_people,
    average_person,
    choose_test,
    contrast_file,
    contrasts_of,
    contrasts_to_test,
    correlation_rows,
    describe_correlations,
    describe_courses,
    describe_regions,
    describe_seeds,
    describe_tests,
    effect_of_run,
    files_of_test,
    find_maps,
    groups_of_maps,
    lead,
    mean_files,
    peak_table,
    people_with,
    plot_shares,
    read_people,
    reference_file,
    region_courses,
    share_rows,
    spread_file,
    spread_rows,
    variance_smoother,
    write_parcel_maps,
    write_spread,
    write_surface_maps,
    write_test,
)  # fmt: skip
from neuroface.pipeline import (
    Section,
    Stage,
    open_npy,
    read_json,
    read_table,
    run_script,
    write_table,
)

import numpy as np
import pandas as pd

Brain = tuple[np.ndarray, np.ndarray]  # the group mask (x, y, z) bool, its affine (4, 4)


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(
        STUDY, 6, cfg, __doc__, reads=(1, 2, 3, 5) if cfg.N_SEEDS == 1 else (1, 2, 3, 4, 5)
    )
    brain = read_mask(stage.folder_of(1) / "group_mask.nii.gz")
    space = surface_space(stage.folder_of(1))
    pairs = space.neighbours(brain[0]) if space else None
    samples = read_table(stage.folder_of(2) / "samples.tsv")
    maps = find_maps(stage.folder_of(5), cfg.ATTRIBUTION_METHODS)
    runs = runs_for_glm(cfg) if "glm" in cfg.REFERENCE_MAPS else []
    used = [
        file
        for run in runs
        if reference_file(stage.folder, run.subject, "glm").exists()
        for file in run.files
    ]
    stage.take_files([file for run in runs for file in run.files], used)

    people = groups_of_maps(maps, cfg.LABELS, cfg.ATTRIBUTION_METHODS)
    average = partial(average_person, stage.folder, maps, *brain, cfg.TR_S)
    stage.each(
        average, maps, "people × labels", lambda of_person: mean_files(stage.folder, *of_person)
    )
    average = partial(average_people, stage.folder, people, *brain, cfg.TR_S)
    stage.each(
        average, people, "group maps", lambda group: mean_files(stage.folder, "group", *group)
    )

    several = [*people] if spread_rows(stage.folder_of(4), people) else []
    spread = partial(write_spread, stage.folder, stage.folder_of(4), people, *brain, cfg.TR_S)
    stage.each(
        spread, several, "spread over seeds", lambda group: spread_file(stage.folder, *group)
    )

    about = contrasts_of(labels_of(cfg))
    contrasts, left_out = contrasts_to_test(
        maps, about, cfg.ATTRIBUTION_METHODS, cfg.OCCLUSION_REGIONS
    )
    for item, why in left_out:
        stage.leave_out(item, why)
    tests, nulls = tests_of(stage, maps, contrasts, about, brain, pairs, cfg)
    for null in nulls.values():
        stage.each(null.write_refits, null.folds, "refitted folds", null.refits_file)
        stage.each(
            null.write_null, null.blocks_of_labellings(), "parts of the null", null.null_file
        )
    settings = group_test_settings(cfg)
    test = partial(
        write_test, stage.folder, maps, about, samples, *brain, cfg.TR_S, settings, tests, nulls, pairs
    )  # fmt: skip
    stage.each(
        test, contrasts, "group tests", lambda contrast: files_of_test(stage.folder, *contrast)
    )

    if "haufe" in cfg.REFERENCE_MAPS:
        pattern = partial(write_pattern, stage, samples, brain, cfg)
        stage.each(pattern, [reference_file(stage.folder, "group", "haufe")], "linear patterns")
    if "glm" in cfg.REFERENCE_MAPS:
        write_effects(stage, runs, brain, cfg)
    write_parcel_maps(stage, parcel_names(stage.folder_of(1)), brain[0])
    write_surface_maps(stage, space, cfg.TR_S)
    section = summarize(stage, people, contrasts, about, brain, cfg)
    stage.finish(
        f"means of {len({unit[0] for unit in maps})} people, {len(contrasts)} group tests", section
    )


def runs_for_glm(cfg: FaceSettings) -> list[Run]:
    """Runs whose BOLD the GLM reads: those with the first label. Script 1 lists the runs that are left out."""
    conditions = label_events(cfg)
    return [run for run in runs_of(cfg)[0] if len(stretches_of_labels(run, conditions)[0])]


def tests_of(
    stage: Stage,
    maps: dict,
    contrasts: list[tuple[str, str]],
    about: dict,
    brain: Brain,
    pairs: np.ndarray | None,
    cfg: FaceSettings,
) -> tuple[dict, dict]:
    """Method → the test of its group maps; and method → its relabellings, where they are the test.

    ``pairs`` : (n_pairs, 2), voxels that are neighbours on a mesh; None: those that share a side.
    """
    training, split = stage.folder_of(3), cfg.HELD_OUT_SPLIT
    samples = read_table(model_folder(training, split, cfg.EXPLAINED_MODEL) / "predictions.tsv")
    samples["model"] = samples["fold"]
    folds = make_folds(samples, split, fold_settings(cfg))
    choices = read_choices(training, split) if cfg.EXPLAINED_MODEL == BEST else {}
    models = {
        f.number: choices[str(f.number)]["model"] if choices else cfg.EXPLAINED_MODEL for f in folds
    }
    people = list(dict.fromkeys(who for who, _, _ in maps))
    tests, nulls = {}, {}
    for method in dict.fromkeys(method for _, method in contrasts):
        tests[method] = choose_test(cfg.MAP_TEST, method, models, samples, people, explained(cfg))
        if tests[method].kind == "relabel":
            of = {
                name: (about[name], people_with(maps, about[name], method))
                for name, m in contrasts
                if m == method
            }
            mask_file = stage.folder_of(1) / "group_mask.nii.gz"
            windows = windows_of(
                stage.folder_of(2), training, mask_file, samples, [*models.values()], cfg
            )
            folder = stage.folder / "relabelled"
            null = Relabelling(
                folder, method, windows, samples, folds, models, of, brain[1], cfg.LABELS,
                cfg.ATTRIBUTION_BASELINE, group_test_settings(cfg), model_options(cfg), pairs,
            )  # fmt: skip
            if obstacle := null.obstacle():
                tests[method] = MapTest("none", obstacle)
            else:
                nulls[method] = null
    return tests, nulls


def write_pattern(
    stage: Stage, samples: pd.DataFrame, brain: Brain, cfg: FaceSettings, target: Path
) -> None:
    """Write the activation pattern of the linear model (Haufe et al. 2014), one value per voxel and volume."""
    X, is_first = (
        open_npy(stage.folder_of(2) / "X.npy"),
        (samples["label"] == cfg.LABELS[0]).to_numpy(np.int8),
    )
    folds = make_folds(samples, cfg.HELD_OUT_SPLIT, fold_settings(cfg))
    write_map(target, linear_pattern(X, is_first, folds).astype(np.float32), *brain, cfg.TR_S)


def write_effects(stage: Stage, runs: list[Run], brain: Brain, cfg: FaceSettings) -> None:
    """Write the effect of the first label in a GLM: per person (the mean over runs), and the mean over people."""
    mask, affine = brain
    modelled = label_events(cfg), cfg.NUISANCE, denoising_of(cfg)
    people = [tuple(own_runs) for _, own_runs in groupby(runs, key=lambda run: run.subject)]

    def effect_file(runs):
        return reference_file(stage.folder, runs[0].subject, "glm")

    def effect(runs):
        effects = [effect_of_run(run, mask, affine, *modelled) for run in runs]
        mean = np.mean(effects, axis=0)
        write_nifti(effect_file(runs), unmask(mean[:, None], mask)[..., 0], affine)

    def mean_effect(target):
        volumes = [
            np.asanyarray(open_image(effect_file(runs)).dataobj, dtype=np.float64)
            for runs in people
        ]
        write_nifti(target, np.mean(volumes, axis=0).astype(np.float32), affine)

    stage.each(effect, people, "people's GLMs", effect_file)
    stage.each(mean_effect, [reference_file(stage.folder, "group", "glm")], "mean GLMs")


def places_of(folder: Path, brain: Brain) -> tuple[pd.DataFrame | None, np.ndarray | None]:
    """Where the places of parcels or a surface are, in words and in mm; (None, None) of volumes."""
    if parcels := parcel_names(folder):
        return pd.DataFrame({"parcel": parcels}), None
    space = surface_space(folder)
    if space is None:
        return None, None
    positions = space.positions_mm(brain[0])
    unknown = np.isnan(positions)
    return space.table(brain[0]), np.where(unknown, voxel_positions_mm(*brain), positions)


def summarize(
    stage: Stage,
    people: dict,
    contrasts: list[tuple[str, str]],
    about: dict,
    brain: Brain,
    cfg: FaceSettings,
) -> Section:
    """Write the tables of peaks, regions and correlations; return the report's section with the test results."""
    labels, rois = (
        labels_of(cfg),
        read_rois(cfg.ROI_FILE) if cfg.ROI_FILE and cfg.SPACE == "MNI" else None,
    )
    tests = {
        contrast: read_json(contrast_file(stage.folder, *contrast, "test.json"))
        for contrast in contrasts
    }
    section = Section(
        "Group maps",
        lead(
            tests,
            len({who for of_group in people.values() for who in of_group}),
            labels,
            # Parcels and vertices have no neighbours in space: their variances are as they are.
            cfg.VARIANCE_FWHM_MM if variance_smoother(*brain, cfg.VARIANCE_FWHM_MM) else 0.0,
        ),
    )
    if tests:
        peaks = peak_table(
            stage.folder, contrasts, about, *brain, rois, roi_word(cfg), cfg.TR_S,
            *places_of(stage.folder_of(1), brain),
        )  # fmt: skip
        write_table(stage.folder / "peaks.tsv", peaks)
        describe_tests(section, tests, about, peaks, roi_word(cfg), cfg.TR_S, cfg.SPACE)

    regions = regions_in_mask(*brain, rois, cfg.ROI_MASKS)
    of = {
        group: who
        for group, who in people.items()
        if not chosen_by_hand(group[1], cfg.OCCLUSION_REGIONS)
    }
    if outside := [name for name, voxels in regions.items() if not voxels.any()]:
        stage.leave_out(", ".join(outside), "no voxel of the group mask lies in it")
        regions = {name: voxels for name, voxels in regions.items() if name not in outside}
    if regions and of:
        positions, shares = voxel_positions_mm(*brain), []
        for (label, method), who in of.items():
            size = read_people(stage.folder, who, label, method, "_absolute", *brain)
            shares += share_rows(
                size, regions, positions, cfg.N_RANDOM_REGIONS, cfg.SEED, cfg.TR_S, label, method
            )
        shares = pd.DataFrame(shares)
        write_table(stage.folder / "roi_shares.tsv", shares)
        for method, of_method in shares.groupby("method", sort=False):
            plot_shares(
                of_method,
                f"Share of absolute attribution ({method})",
                stage.folder / f"roi_shares_{method}.png",
            )
        describe_regions(section, stage.folder, shares, cfg.N_RANDOM_REGIONS)
        windows = open_npy(stage.folder_of(2) / "X.npy")
        samples = read_table(stage.folder_of(2) / "samples.tsv")
        courses = region_courses(windows, samples, regions, cfg.TR_S)
        describe_courses(section, stage.folder, courses)

    if rows := spread_rows(stage.folder_of(4), people):
        write_table(stage.folder / "seeds.tsv", pd.DataFrame(rows))
        describe_seeds(section, rows)
    if cfg.REFERENCE_MAPS:
        correlations = pd.DataFrame(
            correlation_rows(stage.folder, people, cfg.REFERENCE_MAPS, *brain)
        )
        write_table(stage.folder / "map_correlations.tsv", correlations)
        describe_correlations(section, correlations, labels)
    return section


if __name__ == "__main__":
    run_script(main)
