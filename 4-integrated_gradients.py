"""4. Which voxels, at which second, made the network decide "face"?

Explains the logit of every window (its negative for windows of the second label) against a baseline. By default it
uses Integrated Gradients and the fold model that never saw the window. The attributions of a window must sum to the
difference between its logit and the baseline's; the error of that sum is stored per window. The report has further
checks of the maps.

Reads     1-windows/group_mask.nii.gz, 2-dataset/, 3-model/
Writes    4-attributions/<sub>/<sub>_task-<movie>_label-<label>_<method>.npy (n, n_voxels, WINDOW_TRS) float32
          4-attributions/<sub>/<sub>_task-<movie>_label-<label>_<method>_completeness.tsv, one row each
          4-attributions/checks.json: completeness, steps, baselines, random weights and labels, deletion, planted truth
          4-attributions/summary_<method>.png; baselines/, checks/, occlusion_regions.npy: inputs of these results
Settings  HELD_OUT_SPLIT, EXPLAINED_MODEL, ATTRIBUTION_METHODS, EXPLAIN, ATTRIBUTION_BASELINE, ATTRIBUTION_DRAWS,
          SMOOTHGRAD_DRAWS, SMOOTHGRAD_NOISE, IG_ENGINE, IG_RULE, IG_STEPS, IG_TOLERANCE, OCCLUSION_REGIONS,
          OCCLUSION_CUBE_MM, PARCEL_FILE, OCCLUSION_TRS, ROI_FILE, ATTRIBUTION_CHECKS, CHECK_WINDOWS; the check
          "labels" also uses the training settings of script 3
Takes     IG_STEPS forward and backward passes per window: at full size 23 s with 200 steps on 2 CPU cores, 3 s with 30
          secants; 4 GB; the checks of a method take as long as about 20 × CHECK_WINDOWS windows
"""

from pathlib import Path

from neuroface.attribution import (
    KINDS,
    METHODS,
    Baselines,
    Checker,
    Recipe,
    attribution_file,
    chosen_by_hand,
    completeness,
    completeness_file,
    describe,
    explainer_of,
    import_deepexplain,
    regions_to_occlude,
    truth_score,
)  # fmt: skip
from neuroface.bold import read_mask
from neuroface.decoding import (
    builder_of,
    folds_of,
    load_network,
    model_file,
    model_folder,
    permuted_labels,
    save_network,
    train_network,
)  # fmt: skip
from neuroface.face_study import STUDY, labels_of
from neuroface.pipeline import (
    PARTIAL,
    Rules,
    Stage,
    create_npy,
    only_more,
    open_npy,
    read_json,
    read_table,
    run_script,
    write_json,
    write_npy,
    write_table,
)  # fmt: skip

import numpy as np
import pandas as pd

KEYS = ["subject", "movie", "label"]  # one attribution file per combination
OF_OCCLUSION = ("OCCLUSION_REGIONS", "OCCLUSION_CUBE_MM", "PARCEL_FILE", "OCCLUSION_TRS", "ROI_FILE")
OF_CHECKS = ("ATTRIBUTION_CHECKS", "CHECK_WINDOWS")  # the checks' results are made again when these change
RULES = Rules(aside=OF_CHECKS, remade=OF_CHECKS, growing={"ATTRIBUTION_METHODS": only_more})


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(
        STUDY, 4, cfg, __doc__, reads=(1, 2, 3), unused=() if "occlusion" in cfg.ATTRIBUTION_METHODS else OF_OCCLUSION,
        rules=RULES, side_results=("checks", "baselines"),
    )  # fmt: skip
    if cfg.IG_ENGINE == "deepexplain":
        import_deepexplain()  # if it is not installed, stop before any work
    study = Study(stage, cfg)
    if "occlusion" in cfg.ATTRIBUTION_METHODS:
        regions = regions_to_occlude(
            cfg.OCCLUSION_REGIONS, *read_mask(study.mask_file), cfg.OCCLUSION_CUBE_MM, cfg.ROI_FILE, cfg.PARCEL_FILE
        )
        write_npy(study.regions_file, regions)
    if cfg.ATTRIBUTION_BASELINE == "training mean" or "baselines" in cfg.ATTRIBUTION_CHECKS:
        mean_file = study.baselines.mean_file
        stage.each(study.baselines.write_mean, study.models, lambda k: mean_file(k).exists(), "mean windows")

    windows = study.samples.groupby(KEYS, sort=False)
    units = [(*key, method) for method in cfg.ATTRIBUTION_METHODS for key, _ in windows]
    stage.each(study.explain, units, study.is_explained, "people × films × labels")

    if "labels" in cfg.ATTRIBUTION_CHECKS:
        stage.each(study.train_on_shuffled_labels, [study.shuffled_file], Path.exists, "networks on shuffled labels")
    stage.each(study.check, study.checks, study.is_checked, "checks")
    files = {method: [study.file(unit) for unit in units if unit[-1] == method] for method in cfg.ATTRIBUTION_METHODS}
    checks = {method: study.findings(method, files[method]) for method in files}
    write_json(stage.folder / "checks.json", checks)
    stage.finish(
        f"attributions of {len(study.samples):,} windows", describe(stage.folder, files, checks, labels_of(cfg), cfg)
    )


class Study:
    """The windows, the models that explain them, and all paths; small enough to send to worker processes."""

    def __init__(self, stage: Stage, cfg):
        self.cfg, self.folder, self.X_file = cfg, stage.folder, stage.folder_of(2) / "X.npy"
        self.mask_file = stage.folder_of(1) / "group_mask.nii.gz"
        folds = model_folder(stage.folder_of(3), cfg.HELD_OUT_SPLIT, cfg.EXPLAINED_MODEL)
        self.samples = read_table(folds / "predictions.tsv")
        self.samples["row"] = np.arange(len(self.samples))  # predictions.tsv keeps the order of X.npy
        self.samples["window"] = self.samples.groupby(KEYS).cumcount()  # index in its file
        self.samples["model"] = self.samples["fold"]
        self.samples["sign"] = np.where(self.samples["label"] == cfg.LABELS[0], 1, -1)  # of the logit that is explained
        if cfg.EXPLAIN == "best fold":
            scores = read_json(folds / "metrics.json")["folds"]
            self.samples["model"] = max(scores, key=lambda fold: fold["accuracy"])["fold"]
        self.models = {
            k: model_file(stage.folder_of(3), cfg.HELD_OUT_SPLIT, k, cfg.EXPLAINED_MODEL)
            for k in self.samples["model"].unique()
        }
        self.baselines = Baselines(
            self.X_file, self.samples, self.folder / "baselines", cfg.ATTRIBUTION_DRAWS, cfg.SEED
        )
        methods, names = cfg.ATTRIBUTION_METHODS, cfg.ATTRIBUTION_CHECKS
        self.checks = [(m, name) for m in methods for name in names if name != "steps" or m == "ig"]
        self.regions_file = self.folder / "occlusion_regions.npy"
        self.shuffled_file = self.folder / "checks" / "shuffled_labels.keras"

    def file(self, unit: tuple) -> Path:
        return attribution_file(self.folder, *unit)

    def is_explained(self, unit: tuple) -> bool:
        return self.file(unit).exists() and completeness_file(self.file(unit)).exists()

    def check_file(self, check: tuple[str, str]) -> Path:
        return self.folder / "checks" / f"{'_'.join(check)}.json"

    def is_checked(self, check: tuple[str, str]) -> bool:
        file = self.check_file(check)
        return file.exists() and read_json(file)["CHECK_WINDOWS"] == self.cfg.CHECK_WINDOWS

    def recipe(self, method: str) -> Recipe:
        cfg = self.cfg
        return Recipe(
            method, cfg.IG_ENGINE, cfg.IG_RULE, cfg.IG_STEPS, cfg.IG_TOLERANCE, self.regions_file, cfg.OCCLUSION_TRS,
            cfg.SMOOTHGRAD_DRAWS, cfg.SMOOTHGRAD_NOISE, cfg.INFERENCE_BATCH, cfg.SEED,
        )  # fmt: skip

    def explain(self, unit: tuple) -> None:
        """Write attributions and completeness of a person's windows of one label; a rerun skips finished batches."""
        subject, movie, label, method = unit
        X, target = open_npy(self.X_file), self.file(unit)
        mine = self.samples.query("subject == @subject and movie == @movie and label == @label")
        # Rows are added to the journal after their attributions are on disk, so a rerun may skip the listed windows.
        table = completeness_file(target)
        journal = table.with_name(f"{PARTIAL}journal-{table.name}")
        partial = target.with_name(PARTIAL + target.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        resumes = journal.exists() and partial.exists()
        finished = [read_table(journal)] if resumes else []
        if not resumes:
            journal.unlink(missing_ok=True)  # it describes a file that no longer exists
            create_npy(partial, (len(mine), *X.shape[1:]))
        maps = np.lib.format.open_memmap(partial, mode="r+")
        for model, windows in mine.groupby("model"):  # model by model, so that each is loaded once
            explainer = explainer_of(self.models[model], *X.shape[1:], self.recipe(method))
            windows = windows[~windows["window"].isin(pd.concat(finished)["window"] if finished else [])]
            for start in range(0, len(windows), explainer.windows_at_once):
                batch = windows.iloc[start : start + explainer.windows_at_once]
                maps[batch["window"]], figures = explainer(X, batch, self.baseline_of)
                maps.flush()
                known = batch[["window", "event", "model"]].rename(columns={"model": "fold_model"})
                finished.append(pd.concat([known.reset_index(drop=True), figures], axis=1))
                write_table(journal, pd.concat(finished))
        del maps
        partial.rename(target)
        write_table(table, pd.concat(finished).sort_values("window"))
        journal.unlink()

    def baseline_of(self, sample) -> np.ndarray:
        return self.baselines.of(self.cfg.ATTRIBUTION_BASELINE, sample)

    def train_on_shuffled_labels(self, target: Path) -> None:
        """Train the network of the first fold on labels swapped between events, in the same way for all viewers."""
        cfg, X = self.cfg, open_npy(self.X_file)
        folds = folds_of(self.samples, cfg.HELD_OUT_SPLIT, X.shape[2], cfg)
        network, _, _ = train_network(
            X, permuted_labels(self.samples, 1, cfg.SEED, cfg.LABELS[0])[:, 0], folds[0],
            builder_of(cfg.EXPLAINED_MODEL, read_mask(self.mask_file)[0], cfg), epochs=cfg.EPOCHS, batch_size=cfg.BATCH_SIZE,
            learning_rates=np.atleast_1d(cfg.LEARNING_RATE).tolist()[:1], precision=cfg.PRECISION, seed=cfg.SEED,
        )  # fmt: skip
        save_network(target, network)

    def checked_windows(self) -> pd.DataFrame:
        """CHECK_WINDOWS windows, half of them of each label."""
        n, groups = self.cfg.CHECK_WINDOWS // 2, self.samples.groupby("label")
        return pd.concat(group.sample(min(n, len(group)), random_state=self.cfg.SEED) for _, group in groups)

    def check(self, check: tuple[str, str]) -> None:
        """Write the result of one of ATTRIBUTION_CHECKS for a method."""
        (method, name), cfg, X = check, self.cfg, open_npy(self.X_file)
        chosen = self.checked_windows()
        files = [self.file((who, film, label, method)) for who, film, label in chosen[KEYS].itertuples(index=False)]
        made = np.stack([open_npy(file)[window] for file, window in zip(files, chosen["window"])])
        networks = {model: load_network(self.models[model], *X.shape[1:]) for model in chosen["model"].unique()}
        recipe, kind = self.recipe(method), cfg.ATTRIBUTION_BASELINE
        checker = Checker(X, chosen, networks, recipe, self.baselines.of, kind, cfg.SEED, made)
        found = {
            "steps": checker.steps,
            "baselines": lambda: checker.baselines(KINDS),
            "weights": checker.weights,
            "deletion": checker.deletion,
            "labels": lambda: checker.labels(load_network(self.shuffled_file, *X.shape[1:])),
        }[name]()
        write_json(self.check_file(check), {"CHECK_WINDOWS": cfg.CHECK_WINDOWS, "found": found})

    def findings(self, method: str, files: list[Path]) -> dict:
        """Results of the checks; of all maps: completeness and, in the demo, how well they find the planted regions."""
        tolerance = self.cfg.IG_TOLERANCE if method == "ig" and self.cfg.IG_STEPS == "auto" else None
        found = {}
        if METHODS[method].in_logits:
            found["completeness"] = completeness(pd.concat(map(read_table, map(completeness_file, files))), tolerance)
        if self.cfg.DATASET == "demo" and not chosen_by_hand(method, self.cfg.OCCLUSION_REGIONS):
            mask, _ = read_mask(self.mask_file)
            planted, _ = read_mask(Path(self.cfg.DATASET_DIR) / "truth" / "face_rois.nii.gz")
            found["planted_truth"] = truth_score(map(open_npy, files), planted[mask])
        checks = {name: read_json(self.check_file((m, name)))["found"] for m, name in self.checks if m == method}
        return found | checks | ({"checked_windows": len(self.checked_windows())} if checks else {})


if __name__ == "__main__":
    run_script(main)
