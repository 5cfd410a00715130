"""4. Which voxels, at which second, made the network decide "face"?

Explains the logit of every window (its negative for windows of the second label) against a
baseline. By default it uses Integrated Gradients and the fold model that never saw the window. The
attributions of a window must sum to the difference between its logit and the baseline's; the error
of that sum is stored per window. The report has further checks of the maps.

Reads     1-windows/group_mask.nii.gz, 2-dataset/, 3-model/
Writes    4-attributions/<sub>/<sub>_task-<movie>_label-<label>_<method>.npy (n, n_voxels,
            WINDOW_TRS) float32
          4-attributions/<sub>/<sub>_task-<movie>_label-<label>_<method>_completeness.tsv, one row
            each
          4-attributions/checks.json: completeness, steps, baselines, random weights and labels,
            deletion, planted truth
          4-attributions/summary_<method>.png; baselines/, checks/, occlusion_regions.npy: inputs of
            these results
Settings  HELD_OUT_SPLIT, EXPLAINED_MODEL, ATTRIBUTION_METHODS, EXPLAIN, ATTRIBUTION_BASELINE,
          ATTRIBUTION_DRAWS, SMOOTHGRAD_DRAWS, SMOOTHGRAD_NOISE, IG_ENGINE, IG_RULE, IG_STEPS,
          IG_TOLERANCE, OCCLUSION_REGIONS, OCCLUSION_CUBE_MM, PARCEL_FILE, OCCLUSION_TRS, ROI_FILE,
          ATTRIBUTION_CHECKS, CHECK_WINDOWS; the check "labels" also uses the training settings of
          script 3
Takes     IG_STEPS forward and backward passes per window: at full size 23 s with 200 steps on 2 CPU
          cores, 3 s with 30 secants; 4 GB; the checks of a method take as long as about 20 ×
          CHECK_WINDOWS windows
"""

from pathlib import Path

from neuroface.attribution import (
    KEYS,
    KINDS,
    METHODS,
    Baselines,
    Checker,
    Explaining,
    Recipe,
    attribution_file,
    chosen_by_hand,
    completeness,
    completeness_file,
    describe_attributions,
    import_deepexplain,
    regions_to_occlude,
    truth_score,
)  # fmt: skip
from neuroface.bold import read_mask
from neuroface.decoding import (
    BEST,
    fit_fold,
    load_network,
    make_folds,
    member_models,
    model_folder,
    permuted_labels,
    read_choices,
    save_network,
)  # fmt: skip
from neuroface.face_study import (
    STUDY,
    FaceSettings,
    fold_settings,
    how_explained,
    labels_of,
    training_settings,
    windows_of,
)
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
)

import numpy as np
import pandas as pd

OF_OCCLUSION = (
    "OCCLUSION_REGIONS",
    "OCCLUSION_CUBE_MM",
    "PARCEL_FILE",
    "OCCLUSION_TRS",
    "ROI_FILE",
)
OF_CHECKS = (
    "ATTRIBUTION_CHECKS",
    "CHECK_WINDOWS",
)  # the checks' results are made again when these change
RULES = Rules(aside=OF_CHECKS, remade=OF_CHECKS, growing={"ATTRIBUTION_METHODS": only_more})


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(
        STUDY, 4, cfg, __doc__, reads=(1, 2, 3), unused=() if "occlusion" in cfg.ATTRIBUTION_METHODS else OF_OCCLUSION,
        rules=RULES, side_results=("checks", "baselines"),
    )  # fmt: skip
    if cfg.IG_ENGINE == "deepexplain":
        import_deepexplain()  # if it is not installed, stop before any work
    study = ExplainedStudy(stage, cfg)
    if "occlusion" in cfg.ATTRIBUTION_METHODS:
        regions = regions_to_occlude(
            cfg.OCCLUSION_REGIONS,
            *read_mask(study.mask_file),
            cfg.OCCLUSION_CUBE_MM,
            cfg.ROI_FILE,
            cfg.PARCEL_FILE,
        )
        write_npy(study.regions_file, regions)
    if cfg.ATTRIBUTION_BASELINE == "training mean" or "baselines" in cfg.ATTRIBUTION_CHECKS:
        baselines = study.baselines
        stage.each(baselines.write_mean, study.models, "mean windows", baselines.mean_file)

    explaining = study.explaining()
    units = explaining.units(cfg.ATTRIBUTION_METHODS)
    stage.each(
        explaining.explain,
        units,
        "people × films × labels",
        explaining.explained_files,
        joined=explaining.joined_files,
    )
    if explaining.n_seeds > 1:
        units = [unit for unit in units if unit.number == 1]
        stage.each(explaining.join, units, "means over seeds", explaining.joined_files)

    if "labels" in cfg.ATTRIBUTION_CHECKS:
        train = study.train_on_shuffled_labels
        stage.each(train, [study.shuffled_file], "networks on shuffled labels")
    stage.each(study.check, study.checks, "checks", study.check_file, valid=study.is_checked)
    files: dict[str, list[Path]] = {
        m: [attribution_file(stage.folder, *u[:4]) for u in units if u.method == m]
        for m in cfg.ATTRIBUTION_METHODS
    }
    checks = {method: study.findings(method, files[method]) for method in files}
    write_json(stage.folder / "checks.json", checks)
    section = describe_attributions(
        stage.folder, files, checks, study.model_names, labels_of(cfg), how_explained(cfg), cfg.IG_TOLERANCE
    )  # fmt: skip
    stage.finish(f"attributions of {len(study.samples):,} windows", section)


class ExplainedStudy:
    """The windows, the models that explain them, and all paths; small enough to send to worker processes."""

    def __init__(self, stage: Stage, cfg: FaceSettings):
        self.cfg, self.folder, self.dataset, self.training = (
            cfg,
            stage.folder,
            stage.folder_of(2),
            stage.folder_of(3),
        )
        self.X_file, self.mask_file = (
            self.dataset / "X.npy",
            stage.folder_of(1) / "group_mask.nii.gz",
        )
        folds = model_folder(self.training, cfg.HELD_OUT_SPLIT, cfg.EXPLAINED_MODEL)
        self.samples = read_table(folds / "predictions.tsv")
        self.samples["row"] = np.arange(
            len(self.samples)
        )  # predictions.tsv keeps the order of X.npy
        self.samples["window"] = self.samples.groupby(KEYS).cumcount()  # in its file
        self.samples["model"] = self.samples["fold"]
        self.samples["sign"] = np.where(
            self.samples["label"] == cfg.LABELS[0], 1, -1
        )  # of the logit that is explained
        if cfg.EXPLAIN == "best fold":
            scores = read_json(folds / "metrics.json")["folds"]
            self.samples["model"] = max(scores, key=lambda fold: fold["accuracy"])["fold"]
        numbers = self.samples["model"].unique()
        split, name = cfg.HELD_OUT_SPLIT, cfg.EXPLAINED_MODEL
        self.models = {k: member_models(self.training, split, k, name) for k in numbers}
        choices = read_choices(self.training, split) if name == BEST else {}
        self.model_names = {k: choices[str(k)]["model"] if choices else name for k in numbers}
        self.baselines = Baselines(
            self.X_file, self.samples, self.folder / "baselines", cfg.ATTRIBUTION_DRAWS, cfg.SEED
        )
        methods, names = cfg.ATTRIBUTION_METHODS, cfg.ATTRIBUTION_CHECKS
        self.checks = [(m, name) for m in methods for name in names if name != "steps" or m == "ig"]
        self.regions_file = self.folder / "occlusion_regions.npy"
        self.shuffled_file = self.folder / "checks" / "shuffled_labels.keras"

    def explaining(self) -> Explaining:
        """Which windows are explained by which models."""
        kind = self.cfg.ATTRIBUTION_BASELINE
        return Explaining(
            self.folder, self.X_file, self.samples, self.models, self.recipe, self.baselines, kind
        )

    def recipe(self, method: str) -> Recipe:
        cfg = self.cfg
        return Recipe(
            method=method,
            engine=cfg.IG_ENGINE,
            rule=cfg.IG_RULE,
            steps=cfg.IG_STEPS,
            tolerance=cfg.IG_TOLERANCE,
            regions_file=self.regions_file,
            occlusion_trs=cfg.OCCLUSION_TRS,
            smooth_draws=cfg.SMOOTHGRAD_DRAWS,
            smooth_noise=cfg.SMOOTHGRAD_NOISE,
            batch=cfg.INFERENCE_BATCH,
            seed=cfg.SEED,
        )

    def check_file(self, check: tuple[str, str]) -> Path:
        return self.folder / "checks" / f"{'_'.join(check)}.json"

    def is_checked(self, check: tuple[str, str]) -> bool:
        """Whether the file of a check is about as many windows as CHECK_WINDOWS, which may change."""
        return read_json(self.check_file(check))["CHECK_WINDOWS"] == self.cfg.CHECK_WINDOWS

    def train_on_shuffled_labels(self, target: Path) -> None:
        """Fit the model of the first fold once more; events have swapped labels, in the same way for all viewers."""
        cfg = self.cfg
        labels = permuted_labels(self.samples, 1, cfg.SEED, cfg.LABELS[0])[:, 0]
        name = next(iter(self.model_names.values()))
        windows = windows_of(
            self.dataset, self.training, self.mask_file, self.samples, [name], cfg, labels
        )
        fold = make_folds(self.samples, cfg.HELD_OUT_SPLIT, fold_settings(cfg))[0]
        fitted = fit_fold(name, windows, fold, training_settings(cfg), cfg.SEED)
        save_network(target, fitted.network)

    def checked_windows(self) -> pd.DataFrame:
        """A few windows, half of them of each label."""
        n, groups = self.cfg.CHECK_WINDOWS // 2, self.samples.groupby("label")
        return pd.concat(
            group.sample(min(n, len(group)), random_state=self.cfg.SEED) for _, group in groups
        )

    def check(self, check: tuple[str, str]) -> None:
        """Write the result of one of ATTRIBUTION_CHECKS for a method; with several seeds, for the first one."""
        (method, name), cfg, X = check, self.cfg, open_npy(self.X_file)
        chosen = self.checked_windows()
        made = None
        if self.explaining().n_seeds == 1:
            files = [
                attribution_file(self.folder, subject, movie, label, method)
                for subject, movie, label in chosen[KEYS].itertuples(index=False)
            ]
            made = np.stack(
                [open_npy(file)[window] for file, window in zip(files, chosen["window"])]
            )
        networks = {
            model: load_network(self.models[model][0], *X.shape[1:])
            for model in chosen["model"].unique()
        }
        recipe, kind = self.recipe(method), cfg.ATTRIBUTION_BASELINE
        checker = Checker(X, chosen, networks, recipe, self.baselines.of, kind, cfg.SEED, made)
        findings = {
            "steps": checker.steps,
            "baselines": lambda: checker.baselines(KINDS),
            "weights": checker.weights,
            "deletion": checker.deletion,
            "labels": lambda: checker.labels(load_network(self.shuffled_file, *X.shape[1:])),
        }[name]()
        write_json(self.check_file(check), {"CHECK_WINDOWS": cfg.CHECK_WINDOWS, "found": findings})

    def findings(self, method: str, files: list[Path]) -> dict:
        """Results of the checks on a few windows, and of all maps: completeness and, in the demo, the planted truth."""
        tolerance = (
            self.cfg.IG_TOLERANCE if method == "ig" and self.cfg.IG_STEPS == "auto" else None
        )
        summary: dict[str, object] = {}
        if METHODS[method].in_logits:
            summary["completeness"] = completeness(
                pd.concat(map(read_table, map(completeness_file, files))), tolerance
            )
        if self.cfg.DATASET == "demo" and not chosen_by_hand(method, self.cfg.OCCLUSION_REGIONS):
            mask, _ = read_mask(self.mask_file)
            planted, _ = read_mask(Path(self.cfg.DATASET_DIR) / "truth" / "face_rois.nii.gz")
            summary["planted_truth"] = truth_score(map(open_npy, files), planted[mask])
        checks = {
            name: read_json(self.check_file((m, name)))["found"]
            for m, name in self.checks
            if m == method
        }
        return (
            summary | checks | ({"checked_windows": len(self.checked_windows())} if checks else {})
        )


if __name__ == "__main__":
    run_script(main)
