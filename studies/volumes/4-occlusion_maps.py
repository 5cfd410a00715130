"""4. Which voxels make a volume look like its label?

Explains held-out volumes that are classified correctly and with confidence, each by the model that never saw it: boxes are
set to zero or to the training mean, and the drop of the label's probability is the map; other methods beside it. Mean maps
per person and label, then over people, with a test across people by sign flips.

Reads     2-dataset/, 3-models/<HELD_OUT_SPLIT>/<EXPLAINED_MODEL>/
Writes    4-maps/<sub>_label-<label>_<method>.nii.gz, group_label-<label>_<method>.nii.gz (x, y, z, 1) float32
          4-maps/group_contrast-<label>_<method>_{mean,t,logp-voxel,logp-cluster,thresholded}.nii.gz, _test.json
          4-maps/volumes.tsv, a row per explained volume; summary.json: gaps of IG, agreement of methods, planted truth
Settings  HELD_OUT_SPLIT, EXPLAINED_MODEL, MAP_METHODS, MIN_PROBABILITY, VOLUMES_PER_PERSON, BOX_VOXELS, BOX_STRIDE, IG_RULE,
          IG_STEPS, N_FLIPS, VARIANCE_FWHM_MM, CLUSTER_FORMING_P
Takes     for each volume and baseline about as long as 200 passes through the network; memory: the network's feature maps of
          one volume, and 64 × INFERENCE_BATCH patches
"""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.attribution import Baselines
from neuroface.bold import mean_of_maps, read_mask, read_masked, write_map
from neuroface.decoding import model_file, model_folder
from neuroface.maps import Contrast, average_file, contrast_file, write_sign_flip_test
from neuroface.pipeline import (
    Rules,
    Stage,
    only_more,
    open_npy,
    read_json,
    read_table,
    run_script,
    write_json,
    write_table,
)

import numpy as np

from study import STUDY
from volume_study.explaining import METHODS, Explainer, choose_volumes
from volume_study.maps_report import describe, summarize

RULES = Rules(growing={"MAP_METHODS": only_more})


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 4, cfg, __doc__, reads=(2, 3), rules=RULES, side_results=("baselines",))
    work = Work(stage, cfg)
    write_table(stage.folder / "volumes.tsv", work.volumes)
    for label, why in work.missing.items():
        stage.leave_out(label, why)
    if work.volumes.empty:
        raise NeuroFaceError(
            f"No held-out volume is classified correctly with a probability of {cfg.MIN_PROBABILITY:g} or more. Lower "
            f"MIN_PROBABILITY, or train a better network."
        )
    if "occlusion-mean" in cfg.MAP_METHODS:
        stage.each(
            work.baselines.write_mean, work.folds, lambda k: work.baselines.mean_file(k).exists(), "mean volumes"
        )

    units = [(*key, method) for method in cfg.MAP_METHODS for key in work.groups]
    stage.each(work.explain, units, work.is_explained, "people × labels × methods")
    groups = list(dict.fromkeys((label, method) for _, label, method in units))
    stage.each(work.average, groups, work.is_averaged, "group maps")
    signed = [method for method in cfg.MAP_METHODS if METHODS[method][2]]
    for method in set(cfg.MAP_METHODS) - set(signed):
        stage.leave_out(f"tests of {METHODS[method][0]}", "its values are shares, none of which is below zero")
    enough = {label for label, _ in groups if len(work.people_with(label)) > 1}
    tests = [(label, method) for label, method in groups if label in enough and method in signed]
    for label in sorted({label for label, _ in groups} - enough):
        stage.leave_out(f"test of {label}", "it needs two people or more with a map")
    stage.each(work.test, tests, work.is_tested, "group tests")

    summary = summarize(work, groups, tests, cfg)
    write_json(stage.folder / "summary.json", summary)
    stage.finish(f"maps of {len(work.volumes):,} volumes", describe(work, summary, cfg))


class Work:
    """The volumes, who explains them, and where it all lies; cheap to send to worker processes."""

    def __init__(self, stage: Stage, cfg):
        self.cfg, self.folder, self.data = cfg, stage.folder, stage.folder_of(2)
        trained = stage.folder_of(3)
        self.labels = read_json(self.data / "labels.json")["labels"]
        predictions = read_table(model_folder(trained, cfg.HELD_OUT_SPLIT, cfg.EXPLAINED_MODEL) / "predictions.tsv")
        self.volumes = choose_volumes(predictions, self.labels, cfg.MIN_PROBABILITY, cfg.VOLUMES_PER_PERSON, cfg.SEED)
        self.groups = list(self.volumes.groupby(["subject", "label"]).groups)
        self.folds = sorted(predictions["fold"].unique())
        self.models = {k: model_file(trained, cfg.HELD_OUT_SPLIT, k, cfg.EXPLAINED_MODEL) for k in self.folds}
        self.baselines = Baselines(self.data / "X.npy", predictions, self.folder / "baselines", 1, cfg.SEED)
        everybody = predictions["subject"].nunique()
        self.missing = {
            f"maps of {label}": f"{n} of {everybody} people have no correct volume with p ≥ {cfg.MIN_PROBABILITY:g}"
            for label in self.labels
            if (n := everybody - len(self.people_with(label)))
        }
        self._explainer = None

    def people_with(self, label: str) -> list[str]:
        return [who for who, named in self.groups if named == label]

    def file(self, unit: tuple[str, str, str]) -> Path:
        return average_file(self.folder, *unit)

    def is_explained(self, unit) -> bool:
        return self.file(unit).exists() and self.gaps_file(unit).exists()

    def gaps_file(self, unit) -> Path:
        return self.folder / "gaps" / f"{'_'.join(unit)}.json"

    def explain(self, unit: tuple[str, str, str]) -> None:
        """Write the mean map of a person's volumes of a label."""
        who, label, method = unit
        if self._explainer is None:  # in the process that works
            means = {fold: self.baselines.mean_file(fold) for fold in self.folds}
            self._explainer = Explainer(open_npy(self.data / "X.npy"), self.models, means, self.cfg)
        mine = self.volumes[(self.volumes["subject"] == who) & (self.volumes["label"] == label)]
        number, total, gaps = self.labels.index(label), 0.0, []
        for volume in mine.itertuples():
            found, gap = self._explainer(method, volume.row, volume.fold, number)
            total = total + found.astype(np.float64)
            gaps.append(gap)
        mean = (total / len(mine)).astype(np.float32)
        write_json(self.gaps_file(unit), {"gaps": [None if np.isnan(gap) else gap for gap in gaps]})
        write_map(self.file(unit), mean[:, None], *self.brain(), self.cfg.TR_S)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_explainer": None}

    def brain(self) -> tuple[np.ndarray, np.ndarray]:
        return read_mask(self.data / "group_mask.nii.gz")

    def average(self, group: tuple[str, str]) -> None:
        """Write the group's mean map; every person counts the same."""
        files = [self.file((who, *group)) for who in self.people_with(group[0])]
        mean = mean_of_maps(files, *self.brain())[0]
        write_map(average_file(self.folder, "group", *group), mean, *self.brain(), self.cfg.TR_S)

    def is_averaged(self, group) -> bool:
        return average_file(self.folder, "group", *group).exists()

    def test(self, group: tuple[str, str]) -> None:
        """Test across people where the map differs from zero."""
        label, _ = group
        contrast = Contrast((label,), f"speaks for {label}")
        write_sign_flip_test(self.folder, contrast, self.people_with(label), *self.brain(), self.cfg, group)

    def is_tested(self, group) -> bool:
        return contrast_file(self.folder, *group, "test.json").exists()

    def group_map(self, label: str, method: str) -> np.ndarray:
        """The mean over people, (n_voxels,)."""
        return read_masked(average_file(self.folder, "group", label, method), *self.brain())[:, 0]


if __name__ == "__main__":
    run_script(main)
