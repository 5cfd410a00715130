"""3. Train the encoder–decoder on every fold, and predict the held-out chunks.

The encoder predicts voxels from the frames of a TR; the decoder makes the middle frame from voxels,
and its loss regularises the encoder. Ablations and single people are trained on the same folds. The
epoch is chosen on inner chunks; held-out chunks are predicted once.

Reads     1-chunks/, 2-voxels/
Writes    3-networks/<variant>/<split>_fold-<k>_seed-<s>/network.keras, chunk → voxels and frame
          3-networks/…/predicted.npy (n_test, n_voxels) float32; from_predicted.npy,
            from_measured.npy (n_test, FRAME_PX, FRAME_PX, 3) float16, frames that the decoder makes
            of predicted and of measured voxels
          3-networks/…/history.tsv, a row per epoch; cost.json; 3-networks/trainings.tsv, a row per
            training
Settings  SEED, ENCODER_FILTERS, DECODER_FILTERS, DROPOUT, DECODER_INPUT, ENCODER_WEIGHT,
          MSE_WEIGHT, COSINE_WEIGHT, IMAGE_WEIGHTS, PERCEPTUAL, PERCEPTUAL_WEIGHTS, EPOCHS,
          BATCH_SIZE, LEARNING_RATE, N_SEEDS, ABLATIONS, SUBJECTS
Takes     full size: 8.4 G multiply-adds per chunk forward; 0.4 GB per chunk of a batch, and 24
          bytes per weight (--check states the sum); plan for a GPU
"""

from functools import partial

from film_encoding.film_data import FilmData
from film_encoding.network_files import Training, folds_of_script_2, trainings_of, voxels_of
from film_encoding.study import STUDY
from film_encoding.training import predict, train
from neuroface.decoding import save_network
from neuroface.pipeline import (
    Rules,
    Section,
    Stage,
    UnitName,
    only_more,
    read_json,
    read_table,
    run_script,
    save_figure,
    write_json,
    write_npy,
    write_table,
)

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

PUBLISHED_PARAMETERS = {
    "encoder": 63_766_593,
    "decoder": 43_547_721,
}  # 4,609 voxels, 32 frames, 112 pixels


def main():
    cfg = STUDY.load_settings(__file__)
    stage = Stage(STUDY, 3, cfg, __doc__, reads=(1, 2), rules=RULES)
    trainings = trainings_of(folds_of_script_2(stage.folder_of(2)), cfg)
    work = partial(train_one, stage.folder, stage.folder_of(1), stage.folder_of(2), cfg)
    stage.each(
        work,
        trainings,
        "trainings",
        lambda training: training.files(stage.folder),
        name_of=name_of_training,
    )

    table = pd.DataFrame([describe_training(stage.folder, training) for training in trainings])
    write_table(stage.folder / "trainings.tsv", table)
    draw_histories(stage, trainings)
    stage.finish(f"{len(trainings)} trained networks", describe_networks(stage, table, cfg))


def name_of_training(training: Training) -> UnitName:
    """What a training is called while it runs."""
    variant, fold = training.variant.name, training.fold.name
    return UnitName(variant, f"{variant}, {fold}, seed {training.seed}")


def more_seeds(old: int, new: int, stamped: dict) -> bool:
    return new >= old


RULES = Rules(growing={"ABLATIONS": only_more, "N_SEEDS": more_seeds})


def train_one(folder, chunk_folder, voxel_folder, cfg, training: Training) -> None:
    """Train, and write what the network predicts, then the files that every training has."""
    voxels = voxels_of(voxel_folder, training.fold, training.variant)
    films = sorted(set(training.fold.chunks["film"]))
    data = FilmData(chunk_folder, voxel_folder, films, training.variant, voxels)
    network, history, cost = train(
        data,
        training.fold,
        training.variant,
        cfg,
        cfg.SEED + 1000 * training.seed + training.fold.number,
    )
    target = training.folder(folder)
    for name, values in predict(
        network, data, training.fold.of("test"), cfg.INFERENCE_BATCH
    ).items():
        write_npy(target / f"{name}.npy", values)
    save_network(target / "network.keras", network)
    write_table(target / "history.tsv", history)
    write_json(target / "cost.json", cost | {"n_voxels": data.n_voxels})


def describe_training(folder, training: Training) -> dict:
    names = {
        "variant": training.variant.name,
        "split": training.fold.split,
        "fold": training.fold.number,
        "seed": training.seed,
    }
    return names | read_json(training.folder(folder) / "cost.json")


def draw_histories(stage: Stage, trainings: list[Training]) -> None:
    """Loss on training and inner chunks of the main network and the encoder alone, seed 1 of every fold."""
    shown = [
        training
        for training in trainings
        if training.seed == 1 and training.variant.name in ("network", "encoder")
    ]
    names = list(dict.fromkeys(training.variant.name for training in shown))
    figure, axes = plt.subplots(
        1, len(names), figsize=(4.2 * len(names), 3), layout="constrained", squeeze=False
    )
    for axis, name in zip(axes[0], names):
        for number, training in enumerate(each for each in shown if each.variant.name == name):
            history = read_table(training.folder(stage.folder) / "history.tsv")
            axis.plot(history["epoch"], history["loss"], color=f"C{number}", alpha=0.4)
            axis.plot(
                history["epoch"],
                history["val_loss"],
                color=f"C{number}",
                label=f"{training.fold.split} {training.fold.number}",
            )
        axis.set(title=name, xlabel="epoch", ylabel="loss", ylim=(0, None))
        axis.legend(fontsize=7, title="split, fold", title_fontsize=7)
    save_figure(figure, stage.folder / "histories.png")


def describe_networks(stage: Stage, table: pd.DataFrame, cfg) -> Section:
    main = table[table["variant"] == "network"].iloc[0]
    section = Section(
        "Networks",
        f"An encoder from {cfg.FRAMES_PER_TR} frames to voxels, and a decoder from voxels to the middle frame, trained "
        "together. "
        f"Best epoch of {cfg.EPOCHS}, chosen on inner chunks.",
    )
    section.numbers(
        {"trainings": f"{len(table)}", "encoder's parameters": f"{main.encoder_parameters:,}"}
        | {"decoder's parameters": f"{main.decoder_parameters:,}", "voxels": f"{main.n_voxels:,}"}
    )
    rows = [
        (variant, split, len(trainings), f"{trainings['n_voxels'].median():,.0f}", f"{np.median(trainings['best_epoch']):g}",
         f"{trainings['seconds_per_epoch'].median():.1f}")
        for (variant, split), trainings in table.groupby(["variant", "split"], sort=False)
    ]  # fmt: skip
    section.table(
        ["network", "split", "trainings", "voxels", "best epoch", "s per epoch"], rows,
        f"Trainings; medians. At the published sizes the encoder has {PUBLISHED_PARAMETERS['encoder']:,} trainable "
        f"parameters and the decoder {PUBLISHED_PARAMETERS['decoder']:,}.",
    )  # fmt: skip
    section.figure(
        stage.folder / "histories.png",
        "Loss over epochs: pale on training chunks, full on inner chunks.",
    )
    return section


if __name__ == "__main__":
    run_script(main)
