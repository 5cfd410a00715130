"""Memory that ``--check`` states for labelled volumes and for film and brain, compared with the peak of a training step.

    python benchmarks/check_memory.py               two sizes each; minutes and up to 10 GB

A case builds the network of a size and takes three gradient steps, in a process of its own. Stated
is what the study's ``check.py`` says for one process: its own share and the network's.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from measure import compare, machine, peak_gb

BATCH, N_LABELS, N_VOXELS = 16, 5, 4609
VOLUMES = ("separable_cnn3d", "hybrid", "deepbrain")
GRIDS = {"33 × 39 × 33": (33, 39, 33), "61 × 73 × 61": (61, 73, 61)}
FILMS = {
    "56 pixels, 16 frames": (56, 16, 4),
    "112 pixels, 32 frames": (112, 32, 4),
    "112 pixels, 32 frames, 8 chunks": (112, 32, 8),
}
NETWORKS = ("network", "lags 2")
FILTERS, DECODER_FILTERS = (32, 256, 128, 64), 48
CASES = [f"volumes|{name}|{grid}" for name in VOLUMES for grid in GRIDS]
CASES += [f"film|{name}|{size}" for name in NETWORKS for size in FILMS]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        study, name, size = args.one[0].split("|")
        print(json.dumps({"volumes": volumes, "film": film}[study](name, size)))
        return
    print(f"{machine('tensorflow', 'keras')}. Reproduce: `python benchmarks/check_memory.py`\n")
    print("| study | network | size | peak, GB | stated, GB | stated / peak |")
    print("|---|---|---|---|---|---|")
    for case in args.cases:
        result = compare(__file__, [case], Path("."), 1, ("peak_gb", "stated_gb"))[case]
        study, name, size = case.split("|")
        if "error" in result:
            print(f"| {study} | {name} | {size} | {result['error']} | | |", flush=True)
            continue
        peak, stated = result["peak_gb"], result["stated_gb"]
        print(
            f"| {study} | {name} | {size} | {peak:.2f} | {stated:.2f} | {stated / peak:.2f} |",
            flush=True,
        )


def volumes(name: str, grid: str) -> dict:
    """A gradient step on BATCH volumes of a ball in the grid, as AdamW takes it in the study."""
    from types import SimpleNamespace

    from neuroface.pipeline import keras
    from volume_study.check import memory_of_scripts
    from volume_study.networks import build_classifier

    shape = np.array(GRIDS[grid])
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    mask = (((places - (shape - 1) / 2) / (0.45 * shape)) ** 2).sum(-1) < 1
    network = build_classifier(name, mask, N_LABELS, {})
    network.compile(
        keras.optimizers.AdamW(1e-3), loss="sparse_categorical_crossentropy", jit_compile=False
    )
    x = np.random.default_rng(0).normal(size=(BATCH, *network.input_shape[1:])).astype(np.float32)
    for _ in range(3):
        network.train_on_batch(x, np.arange(BATCH) % N_LABELS)
    cfg = SimpleNamespace(MODELS=(name,), MODEL_OPTIONS={}, BATCH_SIZE=BATCH, N_JOBS=1)
    return {"peak_gb": peak_gb(), "stated_gb": memory_of_scripts(mask, N_LABELS, cfg)[0]}


def film(name: str, size: str) -> dict:
    """A gradient step of encoder and decoder together, or of the network with delays, as in script 3."""
    from types import SimpleNamespace

    from film_encoding.check import GB_OF_A_PROCESS, gb_of_training
    from film_encoding.lagged import STRETCH, chunks_of_stretch, stretches_of_batch
    from film_encoding.losses import image_loss, voxel_loss
    from film_encoding.perceptual import scattering
    from film_encoding.training import build
    from film_encoding.variants import variants_of
    from neuroface.pipeline import keras

    pixels, frames, batch = FILMS[size]
    cfg = SimpleNamespace(
        FRAMES_PER_TR=frames, FRAME_PX=pixels, DELAY_TRS=4, SUBJECTS=("mean",), ABLATIONS=("lags 2",), BATCH_SIZE=batch,
        ENCODER_FILTERS=FILTERS, DECODER_FILTERS=DECODER_FILTERS, DROPOUT=0.5, DECODER_INPUT="predicted",
    )  # fmt: skip
    variant = variants_of(cfg)[name.replace(" ", "-")]
    data = SimpleNamespace(n_voxels=N_VOXELS, pixels=pixels)
    _, decoder, network = build(data, variant, cfg)
    losses = {"voxels": voxel_loss(1, 0.5)}
    if decoder is not None:
        losses["images"] = image_loss((0.35, 0.35, 0.3), scattering)
    network.compile(keras.optimizers.Adam(1e-4), loss=losses, jit_compile=False)
    n, rng = (batch,), np.random.default_rng(0)
    if variant.is_lagged:
        n = (stretches_of_batch(batch), chunks_of_stretch(len(variant.lags)))
    chunks = rng.integers(0, 255, (*n, frames, pixels, pixels, 3), dtype=np.uint8)
    shape = (n[0], STRETCH, N_VOXELS) if variant.is_lagged else (batch, N_VOXELS)
    wanted = {"voxels": rng.normal(size=shape).astype(np.float32)}
    given = {"stretch": chunks} if variant.is_lagged else {"chunk": chunks}
    if decoder is not None:
        wanted["images"] = chunks[:, frames // 2 - 1]
        given["measured"] = wanted["voxels"]
    for _ in range(3):
        network.train_on_batch(given, wanted)
    stated = GB_OF_A_PROCESS + gb_of_training(variant, N_VOXELS, cfg)
    return {"peak_gb": peak_gb(), "stated_gb": stated}


if __name__ == "__main__":
    main()
