"""4. Which voxels make a volume look like its label?

Explains held-out volumes, also those that the network classified wrongly. Each volume is explained
by the network that never saw it, for every label. Occlusion sets boxes to zero or to the training
mean; the drop of the label's probability is the map. Other methods are in MAP_METHODS. The map
of a label is its mean map in the episodes of this label minus its mean map in all other episodes.
Tests exchange the labels of held-out episodes.

Reads     2-dataset/, 3-models/<HELD_OUT_SPLIT>/<EXPLAINED_MODEL>/
Writes    4-maps/<sub>_label-<label>_<method>.nii.gz, group_label-<label>_<method>.nii.gz (x, y, z,
            1) float32
          4-maps/group_contrast-<label>_<method>_{mean,logp-voxel,thresholded}.nii.gz, _test.json
          4-maps/volumes.tsv, a row per explained volume; episodes.tsv, a row per episode: event,
            label, fold, viewers; episodes/<sub>_<method>.npy (n_episodes, n_labels, n_voxels)
            float32, mean maps of a person's episodes, NaN where there is none; summary.json: gaps
            of IG, agreement of methods, planted truth
Settings  HELD_OUT_SPLIT, EXPLAINED_MODEL, MAP_METHODS, MIN_PROBABILITY, VOLUMES_PER_EPISODE,
          BOX_VOXELS, BOX_STRIDE, IG_RULE, IG_STEPS, N_PERMUTATIONS_MAPS
Takes     for each volume and baseline about as long as 200 passes through the network; IG and
          Grad-CAM once per label; memory: the network's feature maps of one volume, 64 ×
          INFERENCE_BATCH patches, a person's maps of a fold
"""

from pathlib import Path

from neuroface import NeuroFaceError
from neuroface.attribution import Baselines
from neuroface.bold import mean_of_maps, read_mask, read_masked, write_map
from neuroface.decoding import model_file, model_folder
from neuroface.maps import average_file, contrast_file
from neuroface.pipeline import (
    Rules,
    Stage,
    only_more,
    open_npy,
    read_json,
    read_table,
    run_script,
    write_json,
    write_npy,
    write_table,
)
from volume_study.episode_test import ALPHA, episode_test, mean_difference
from volume_study.explaining import VolumeExplainer, choose_volumes
from volume_study.maps_report import describe_maps, summarize
from volume_study.splits import leaks, viewers_of
from volume_study.study import STUDY

import numpy as np
import pandas as pd

RULES = Rules(growing={"MAP_METHODS": only_more})


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 4, cfg, __doc__, reads=(2, 3), rules=RULES, side_results=("baselines",))
    work = Work(stage, cfg)
    if work.volumes.empty:
        raise NeuroFaceError(
            f"No held-out volume is classified correctly with a probability of {cfg.MIN_PROBABILITY:g} or more. Set "
            f"MIN_PROBABILITY to 0, or train a better network."
        )
    write_table(stage.folder / "volumes.tsv", work.volumes)
    write_table(stage.folder / "episodes.tsv", work.episodes)
    for label, n in work.missing.items():
        stage.leave_out(
            f"maps of {label}",
            f"{n} people have no volume of it, or none of other labels, in the same fold",
        )
    if "occlusion-mean" in cfg.MAP_METHODS:
        baselines = work.baselines
        stage.each(baselines.write_mean, work.folds, "mean volumes", baselines.mean_file)

    units = [(who, method) for method in cfg.MAP_METHODS for who in work.people]
    stage.each(work.explain, units, "people × methods", work.explained_files)
    groups = [
        (label, method)
        for method in cfg.MAP_METHODS
        for label in work.labels
        if work.people_with(label)
    ]
    stage.each(work.average, groups, "group maps", work.mean_file)
    tests = [] if work.why_not_tested else groups
    if work.why_not_tested:
        stage.leave_out("tests of maps", work.why_not_tested)
    stage.each(work.test, tests, "group tests", work.test_file)
    for label in dict.fromkeys(label for label, _ in tests):
        result = read_json(work.test_file((label, cfg.MAP_METHODS[0])))
        if result["smallest_p"] > ALPHA:
            orders = ", ".join(map(str, result["n_permutations"]))
            why = f"its episodes allow no p below {result['smallest_p']:.3f} (orders in the folds: {orders})"
            stage.leave_out(f"p of {label}", why)

    summary = summarize(work, groups, tests, cfg)
    write_json(stage.folder / "summary.json", summary)
    stage.finish(f"maps of {len(work.volumes):,} volumes", describe_maps(work, summary, cfg))


class Work:
    """Volumes, explainer and folders of one split; small enough to send to worker processes."""

    def __init__(self, stage: Stage, cfg):
        self.cfg, self.folder, self.data = cfg, stage.folder, stage.folder_of(2)
        trained = stage.folder_of(3)
        self.labels = read_json(self.data / "labels.json")["labels"]
        predictions = read_table(
            model_folder(trained, cfg.HELD_OUT_SPLIT, cfg.EXPLAINED_MODEL) / "predictions.tsv"
        )
        self.volumes = choose_volumes(
            predictions, self.labels, cfg.MIN_PROBABILITY, cfg.VOLUMES_PER_EPISODE, cfg.SEED
        )
        self.people = sorted(self.volumes["subject"].unique())
        self.episodes = self._episodes(predictions)
        self.folds = sorted(predictions["fold"].unique())
        self.models = {
            k: model_file(trained, cfg.HELD_OUT_SPLIT, k, cfg.EXPLAINED_MODEL) for k in self.folds
        }
        self.baselines = Baselines(
            self.data / "X.npy", predictions, self.folder / "baselines", 1, cfg.SEED
        )
        self.why_not_tested = self._why_not_tested(leaks(predictions, cfg.HELD_OUT_SPLIT))
        everybody = predictions["subject"].nunique()
        lacking = {label: everybody - len(self.people_with(label)) for label in self.labels}
        self.missing = {label: n for label, n in lacking.items() if n}
        self._explainer: VolumeExplainer | None = None

    def _episodes(self, predictions):
        """A row per explained episode and fold; under "volume" folds an episode can lie in several."""
        known = self.volumes.assign(viewers=viewers_of(predictions)[self.volumes["row"]])
        columns = ["event", "label", "fold", "viewers"]
        return (
            known[columns]
            .drop_duplicates(["event", "fold"])
            .sort_values(["fold", "event"], ignore_index=True)
        )

    def _why_not_tested(self, leak: str) -> str:
        """Why a test of the maps would mean nothing; empty if it means something."""
        if self.cfg.MIN_PROBABILITY > 0:
            return "MIN_PROBABILITY chose volumes that the network is sure of: their maps differ from 0 by this choice"
        if leak:
            return f"volumes held out by {self.cfg.HELD_OUT_SPLIT!r} are not new to the network: {leak}"
        if self.cfg.SELECTION == "published":
            return 'SELECTION = "published" chose the epoch on the explained volumes'
        return ""

    def people_with(self, label: str) -> list[str]:
        """People with volumes of the label and of other labels in one fold."""
        own = self.volumes.assign(own=self.volumes["label"] == label).groupby(["subject", "fold"])[
            "own"
        ]
        both = own.any() & ~own.all()
        return sorted(both[both].index.get_level_values("subject").unique())

    def file(self, who: str, label: str, method: str) -> Path:
        return average_file(self.folder, who, label, method)

    def episodes_file(self, unit: tuple[str, str]) -> Path:
        return self.folder / "episodes" / f"{'_'.join(unit)}.npy"

    def gaps_file(self, unit: tuple[str, str]) -> Path:
        return self.folder / "gaps" / f"{'_'.join(unit)}.tsv"

    def explained_files(self, unit: tuple[str, str]) -> list[Path]:
        """The files that :meth:`explain` writes."""
        who, method = unit
        maps = [
            self.file(who, label, method) for label in self.labels if who in self.people_with(label)
        ]
        return [*maps, self.gaps_file(unit), self.episodes_file(unit)]

    def explain(self, unit: tuple[str, str]) -> None:
        """Write the mean maps of a person's episodes for every label, and the map of each label."""
        who, method = unit
        if self._explainer is None:  # in the process that works
            means = {fold: self.baselines.mean_file(fold) for fold in self.folds}
            self._explainer = VolumeExplainer(
                open_npy(self.data / "X.npy"), self.models, means, self.cfg
            )
        shape = len(self.episodes), len(self.labels), int(self.brain()[0].sum())
        maps, gaps = np.full(shape, np.nan, dtype=np.float32), []
        of_person = self.volumes[self.volumes["subject"] == who]
        for fold, of_fold in of_person.groupby("fold"):
            attributions, missed = self._explainer(method, of_fold["row"].to_numpy(), fold)
            gaps.append(missed)
            for event in of_fold["event"].unique():
                place = (self.episodes["fold"] == fold) & (self.episodes["event"] == event)
                maps[place.to_numpy()] = attributions[(of_fold["event"] == event).to_numpy()].mean(
                    axis=0
                )
        write_npy(self.episodes_file(unit), maps)
        write_table(self.gaps_file(unit), pd.concat(gaps))
        there = np.isfinite(maps[:, 0, 0])
        for number, label in enumerate(self.labels):
            if who in self.people_with(label):
                own = (self.episodes["label"] == label).to_numpy()
                mean = mean_difference(
                    maps[there, number], own[there], self.episodes["fold"].to_numpy()[there]
                )
                if mean is None:
                    raise ValueError(f"no fold of {who} holds {label!r} and another label")
                write_map(
                    self.file(who, label, method),
                    mean[:, None].astype(np.float32),
                    *self.brain(),
                    self.cfg.TR_S,
                )

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_explainer": None}

    def brain(self) -> tuple[np.ndarray, np.ndarray]:
        return read_mask(self.data / "group_mask.nii.gz")

    def average(self, group: tuple[str, str]) -> None:
        """Write the group's mean map; every person counts the same."""
        files = [self.file(who, *group) for who in self.people_with(group[0])]
        mean = mean_of_maps(files, *self.brain())[0]
        write_map(self.mean_file(group), mean, *self.brain(), self.cfg.TR_S)

    def mean_file(self, group: tuple[str, str]) -> Path:
        """The group's mean map of a label and method."""
        return average_file(self.folder, "group", *group)

    def test(self, group: tuple[str, str]) -> None:
        """Test whether the map of a label depends on the label of the episode: mean over viewers, then over episodes."""
        label, method = group
        number, own = self.labels.index(label), (self.episodes["label"] == label).to_numpy()
        total = np.zeros((len(self.episodes), int(self.brain()[0].sum())))
        n_viewers = np.zeros(len(self.episodes))
        for who in self.people:
            maps = open_npy(self.episodes_file((who, method)))[:, number]
            there = np.isfinite(maps[:, 0])
            total[there] += maps[there]
            n_viewers += there
        test = episode_test(
            total / n_viewers[:, None], own, self.episodes["fold"].to_numpy(), self.episodes["viewers"].to_numpy(str),
            self.cfg.N_PERMUTATIONS_MAPS, self.cfg.SEED,
        )  # fmt: skip
        summary: dict[str, object] = {
            "people": len(self.people_with(label)),
            "episodes": int(own.sum()),
            "other_episodes": int((~own).sum()),
        }
        if test is None:
            self._write_test(
                group, summary | {"smallest_p": 1.0, "n_permutations": [], "exact": True}
            )
            return
        summary |= {
            "smallest_p": test.smallest_p,
            "n_permutations": test.n_permutations,
            "exact": test.exact,
        }
        written = {"mean": test.difference}
        if test.smallest_p <= ALPHA:
            below = test.p_voxel <= ALPHA
            summary |= {
                "voxels_below_alpha": int(below.sum()),
                "smallest_p_voxel": float(test.p_voxel.min()),
            }
            written["logp-voxel"] = -np.log10(test.p_voxel)
            written["thresholded"] = np.where(below, test.difference, 0)
        for kind, values in written.items():
            target = contrast_file(self.folder, *group, f"{kind}.nii.gz")
            write_map(target, values[:, None].astype(np.float32), *self.brain(), self.cfg.TR_S)
        self._write_test(group, summary)

    def _write_test(self, group: tuple[str, str], summary: dict) -> None:
        write_json(self.test_file(group), summary)

    def test_file(self, group: tuple[str, str]) -> Path:
        """The summary of a test; whether there are maps beside it depends on the result."""
        return contrast_file(self.folder, *group, "test.json")

    def group_map(self, label: str, method: str) -> np.ndarray:
        """The mean over people, (n_voxels,)."""
        return read_masked(self.mean_file((label, method)), *self.brain())[:, 0]


if __name__ == "__main__":
    run_script(main)
