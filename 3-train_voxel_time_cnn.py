"""3. Train the models on every fold, and test how reliable their accuracy is.

Trains the models of MODELS and ridge regression on each fold of each cross-validation in CV_SPLITS,
and predicts the held-out windows. By default the models are the polynomial network (the main
network), the paper's network, screened ridge and linear_plus. "window" folds give the paper's number;
"movie" folds give the accuracy for unseen films. In each fold, inner validation windows choose the
best model. Also compares increasingly strict splits (the leakage ladder), and computes intervals and
a permutation null.

Reads     2-dataset/, 1-windows/group_mask.nii.gz
Writes    3-model/<split>/fold-<k>.keras, the paper's network (float32), and with N_SEEDS > 1
            fold-<k>_seed-<n>.keras; fold-<k>.tsv, its held-out predictions; inner-<k>.tsv, its
            logits of inner validation windows
          3-model/<split>/predictions.tsv, one row per window; metrics.json, history.tsv; *.png; all
            of this for any other model in 3-model/<split>/<model>/, for the chosen ones in
            3-model/<split>/best/ with choices.json
          3-model/<split>/models.tsv, comparison of all models; 3-model/metrics.json
          3-model/film_regressors.json, how well what else the film shows predicts the label, where
            script 1 has it
          3-model/linear/<features>_ladder.json, the leakage ladder; <features>_kernel.npy (n, n)
            float64
Settings  SEED, CV_SPLITS, N_FOLDS, EMBARGO_TRS, SELECTION, MODELS, MODEL_OPTIONS, CNN_FILTERS,
          CNN_DENSE_UNITS, TRAINING, TRAINING_STEPS, EPOCHS, BATCH_SIZE, LEARNING_RATE, N_SEEDS,
          PRECISION, BASELINES, N_PERMUTATIONS, N_PERMUTATIONS_CNN,
          SPACE, ROI_FILE
Takes     full size (41,489 voxels), the paper's network: 6 s per step of 20 windows on 2 CPU cores,
          so use a GPU; 19 GB, or less if less is available, because gradients accumulate over smaller
          passes. Linear models: minutes
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

from neuroface.decoding import (
    BEST,
    DEFAULT,
    LINEAR,
    PERMUTED,
    SHUFFLED,
    Fold,
    Member,
    Windows,
    best_files,
    candidates,
    describe_training,
    fit_fold,
    folds_of_all_splits,
    is_chosen_among,
    logit_network,
    members_of,
    permuted,
    permuted_labels,
    predict_logits,
    read_choices,
    read_samples,
    scores_by_split,
    seed_of_member,
    summary,
    title_of,
    write_best,
    write_comparison,
    write_kernel,
    write_member,
    write_results,
    written_files,
)  # fmt: skip
from neuroface.face_study import (
    STUDY,
    FaceSettings,
    add_confounds,
    fold_settings,
    labels_of,
    rois_name,
    training_settings,
    windows_of,
)
from neuroface.pipeline import (
    Rules,
    Stage,
    UnitName,
    only_more,
    read_json,
    run_script,
    write_json,
)

import numpy as np
import pandas as pd


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 3, cfg, __doc__, reads=(1, 2), rules=RULES, side_results=("linear/",))
    samples = read_samples(stage.folder_of(2), "windows", "script 2", "script 1")
    labels = labels_of(cfg)
    folds, impossible = folds_of_all_splits(samples, cfg.CV_SPLITS, fold_settings(cfg))
    name_fold_limits(stage, folds, cfg)
    linear = linear_models(stage, cfg)
    mask_file = stage.folder_of(1) / "group_mask.nii.gz"
    windows = windows_of(stage.folder_of(2), stage.folder, mask_file, samples, linear, cfg)

    stage.each(partial(write_kernel, windows), linear, "kernels", windows.kernel_file)
    ladder = partial(write_ladder, windows, samples, folds, cfg)
    stage.each(ladder, linear, "linear models", partial(ladder_file, windows))

    members = [
        member
        for variant in [*linear, *variants(cfg)]
        for split in cfg.CV_SPLITS
        for member in members_of(variant, split, folds[split], n_seeds(variant, cfg))
    ]
    train = partial(train_fold, stage.folder, windows, samples, cfg)
    stage.each(
        train, members, "folds", partial(written_files, stage.folder), name_of=name_of_training
    )

    choices = choose_best(stage, folds, samples, cfg)
    models = [*cfg.MODELS, *[BEST] * bool(choices), *linear]
    results = {name: write_all(stage.folder, name, folds, samples, labels, cfg) for name in models}
    ladders = {name: read_json(ladder_file(windows, name)) for name in linear}
    for split in cfg.CV_SPLITS:
        write_comparison(stage.folder, results, split, labels, cfg.SELECTION)
    write_json(stage.folder / "metrics.json", summary(results, ladders, impossible, cfg.MODELS))
    section = describe_training(
        stage.folder, results, ladders, choices, impossible, labels, networks=cfg.MODELS, selection=cfg.SELECTION,
        n_permutations=cfg.N_PERMUTATIONS, n_seeds=cfg.N_SEEDS, why_splits=cfg.splits_why,
    )  # fmt: skip
    add_confounds(stage, section, samples, folds, results, ladders, cfg)
    stage.finish(f"{len(members)} fold models", section)


def more_models(old: list, new: list, stamped: dict) -> bool:
    """Whether results still hold under another MODELS: the first must stay the main network, others may be added."""
    return only_more(old, new, stamped) and new[0] == old[0]


def same_sizes(old: dict, new: dict, stamped: dict) -> bool:
    """Whether results still hold under other MODEL_OPTIONS: those of the trained models must be the same."""
    return all(old.get(model) == new.get(model) for model in stamped["MODELS"])


def no_fewer(old: int, new: int, stamped: dict) -> bool:
    """Whether results still hold under another N_SEEDS: networks may be added."""
    return new >= old


RULES = Rules(
    # No later script reads what these change.
    aside=(
        "ROI_FILE",
        "BASELINES",
        "N_PERMUTATIONS",
        "N_PERMUTATIONS_CNN",
    ),
    growing={"MODELS": more_models, "MODEL_OPTIONS": same_sizes, "N_SEEDS": no_fewer},
)


def name_fold_limits(stage: Stage, folds: dict[str, list[Fold]], cfg: FaceSettings) -> None:
    """Print why these splits, which have fewer folds or choose the epoch by event, and what the embargo removes."""
    if cfg.splits_why:
        print(f"  {cfg.splits_why}")
    for split in cfg.CV_SPLITS:
        if (n := len(folds[split])) < cfg.N_FOLDS:
            print(f"  split {split!r}: {n} folds, because there is nothing more to hold out")
        if folds[split][0].validation_kept_together != split:
            print(
                f"  split {split!r}: the training set has one group, so the epoch is chosen by event"
            )
        if dropped := sum(fold.n_embargoed for fold in folds[split]):
            why = (
                f"{dropped} windows over {n} trainings, within EMBARGO_TRS of one that is held out"
            )
            stage.leave_out(f"{split} folds", why)


def linear_models(stage: Stage, cfg: FaceSettings) -> list[str]:
    """Ridge classifiers: of whole windows, for the leakage ladder; of means over time; of the voxels of ROI_FILE."""
    rois = [name for name in cfg.BASELINES if name == rois_name(cfg.ROI_FILE)]
    if rois and cfg.SPACE != "MNI":
        stage.leave_out(
            f"baseline {rois[0]}", f"regions of ROI_FILE need MNI space and SPACE is {cfg.SPACE!r}"
        )
        rois = []
    return [*LINEAR, *rois]


def write_ladder(
    windows: Windows,
    samples: pd.DataFrame,
    folds: dict[str, list[Fold]],
    cfg: FaceSettings,
    name: str,
) -> None:
    """Score a linear model on all folds of all splits, and on relabelled events."""
    kernel = windows.kernel_of(name)
    result = scores_by_split(
        kernel, windows.y, samples, folds, cfg.N_PERMUTATIONS, cfg.SEED, cfg.LABELS[0]
    )
    write_json(ladder_file(windows, name), result)


def choose_best(
    stage: Stage, folds: dict[str, list[Fold]], samples: pd.DataFrame, cfg: FaceSettings
) -> dict[str, dict]:
    """Choose a model in each fold by its inner validation windows: split → choices. SELECTION may leave no such windows."""
    if cfg.SELECTION != "inner":
        return {}
    models = candidates(cfg.MODELS)
    positive = cfg.LABELS[0]
    best = partial(write_best, stage.folder, folds, models, samples, positive, cfg.N_SEEDS)
    stage.each(
        best,
        cfg.CV_SPLITS,
        "choices of the best model",
        partial(best_files, stage.folder, folds),
        valid=partial(is_chosen_among, stage.folder, models, cfg.N_SEEDS),
    )
    return {split: read_choices(stage.folder, split) for split in cfg.CV_SPLITS}


def ladder_file(windows: Windows, name: str) -> Path:
    return windows.kernels / f"{name}_ladder.json"


def variants(cfg: FaceSettings) -> list[str]:
    """Networks to train on every fold: the architectures, the shuffled network, the networks on relabelled events."""
    names = [*cfg.MODELS, *(name for name in cfg.BASELINES if name == SHUFFLED)]
    return names + [permuted(number) for number in range(1, cfg.N_PERMUTATIONS_CNN + 1)]


def n_seeds(variant: str, cfg: FaceSettings) -> int:
    """Networks per fold; nulls have one."""
    return cfg.N_SEEDS if variant in cfg.MODELS else 1


def name_of_training(member: Member) -> UnitName:
    """What a training is called while it runs."""
    model = title_of(member.variant)
    seed = f", seed {member.number}" if member.number > 1 else ""
    return UnitName(model, f"{model}, {member.split} fold {member.fold.number}{seed}")


def train_fold(
    folder: Path, windows: Windows, samples: pd.DataFrame, cfg: FaceSettings, member: Member
) -> None:
    """Fit a variant to a fold and predict its held-out windows."""
    variant, _, fold, number = member
    model, order = variant, None
    if variant == SHUFFLED:
        model, order = DEFAULT, np.random.default_rng(cfg.SEED).permutation(windows.X.shape[1])
    if variant.startswith(PERMUTED):
        model, null = cfg.MODELS[0], int(variant.removeprefix(PERMUTED))
        windows = replace(
            windows, labels=permuted_labels(samples, 1, cfg.SEED + null, cfg.LABELS[0])[:, 0]
        )
    fitted = fit_fold(
        model,
        windows,
        fold,
        training_settings(cfg),
        seed_of_member(cfg.SEED, fold.number, number),
        order,
    )
    logit = predict_logits(
        logit_network(fitted.network), windows.X, cfg.INFERENCE_BATCH, fold.test, order
    )
    write_member(folder, member, fitted, samples, windows.y, logit)


def write_all(
    folder: Path,
    model: str,
    folds: dict[str, list[Fold]],
    samples: pd.DataFrame,
    labels,
    cfg: FaceSettings,
) -> dict:
    """Results of a model under every split: split → content of its ``metrics.json``."""
    is_main = model == cfg.MODELS[0]  # networks on relabelled events are of this architecture
    # The network with shuffled voxels is the paper's: its scores stand with it, else with the first network.
    beside = DEFAULT if DEFAULT in cfg.MODELS else cfg.MODELS[0]
    shuffled = SHUFFLED in cfg.BASELINES and model == beside
    return {
        split: write_results(
            folder, model, split, folds[split], samples, labels, selection=cfg.SELECTION, recipe=cfg.TRAINING,
            n_permuted=cfg.N_PERMUTATIONS_CNN if is_main else 0, shuffled=shuffled,
        )
        for split in cfg.CV_SPLITS
    }  # fmt: skip


if __name__ == "__main__":
    run_script(main)
