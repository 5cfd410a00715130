"""Occlusion maps of one volume: boxes that share their work, against one pass through the network per box.

    python benchmarks/occlusion.py                      80 × 80 × 35 voxels, 28,800 boxes; up to 7
                                                        GB
    python benchmarks/occlusion.py --shape 40 40 18     an eighth of it

The network is the separable 3D-CNN of studies/volumes with its published sizes. Its convolutions
have random weights; its last layer is fitted to volumes with a small planted signal, so that single
boxes matter. Each case runs in a process of its own: one volume to compile, then one that is timed.
A pass per box is timed on some boxes and scaled to all of them; half of those boxes are the ones
with the largest drops, and on all of them the drops of both ways are compared.

"planes" computes depthwise convolutions as sums over planes, as on a GPU: fewer operations than the
plain convolutions with zeros between channels that training on a CPU uses.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import compare, machine, peak_gb

CASES = ("shared", "pass per box", "pass per box, planes")
N_CLASSES, EDGE, BATCH = 5, 2, 32
SIGNAL, RADIUS = 6.0, 2.5  # of the planted ball: SDs of the noise, voxels


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", type=int, nargs=3, default=(80, 80, 35))
    parser.add_argument(
        "--boxes", type=int, default=128, help="boxes that are timed and compared, one pass each"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one[0], Path(args.one[1]))))
        return
    print(
        f"{machine('keras', 'tensorflow')}. {' × '.join(map(str, args.shape))} voxels.", flush=True
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder, tuple(args.shape), args.boxes)
        results = compare(__file__, list(CASES), folder, args.repeats)
        table(results, folder)


def table(results: dict[str, dict], folder: Path) -> None:
    ours, everything = results[CASES[0]], np.load(folder / "all_drops.npy")
    print("| way | s per map | ratio | peak GB | largest difference of a drop |")
    print("|---|---|---|---|---|")
    for case, result in results.items():
        if "error" in result or "error" in ours:
            print(f"| {case} | {result.get('error', '')} | | | |")
            continue
        apart = np.abs(
            np.load(drops_file(folder, case)) - np.load(drops_file(folder, CASES[0]))
        ).max()
        ratio = result["seconds"] / ours["seconds"]
        print(
            f"| {case} | {result['seconds']:.1f} | {ratio:.1f}× | {result['peak_gb']:.1f} | {apart:.1e} |"
        )
    print(
        f"\n{len(everything):,} boxes; drops from {everything.min():.3f} to {everything.max():.3f}."
    )


def measure(case: str, folder: Path) -> dict:
    """In the child: seconds per map once compiled, and the most memory that the process held; keeps the drops."""
    from volume_study import layers

    layers.HAS_GPU = case.endswith("planes")
    occlusion, volume = (
        occluder(folder, shared=case == CASES[0]),
        np.load(folder / "volumes.npy")[0],
    )
    zero, corners = np.zeros_like(volume), np.load(folder / "corners.npy")
    few = occlusion.corners if occlusion.shares else corners
    occlusion.drops(volume + 1, zero, few[: len(few) if occlusion.shares else BATCH])  # compiles
    started = time.perf_counter()
    drops, _ = occlusion.drops(volume, zero, few)
    seconds = (time.perf_counter() - started) * len(occlusion.corners) / len(few)
    if occlusion.shares:
        drops = occlusion.drops(volume, zero, corners)[0]
    np.save(drops_file(folder, case), drops[:, 0])
    return {"seconds": seconds, "peak_gb": peak_gb()}


def drops_file(folder: Path, case: str) -> Path:
    return folder / f"drops {case}.npy"


def occluder(folder: Path, shared: bool):
    from volume_study.box_occlusion import BoxOcclusion
    from volume_study.networks import load_classifier

    n_voxels = np.load(folder / "volumes.npy", mmap_mode="r").shape[1]
    return BoxOcclusion(
        load_classifier(folder / "network.keras", n_voxels), EDGE, EDGE, BATCH, shared
    )


def prepare(folder: Path, shape: tuple[int, int, int], n_boxes: int) -> None:
    """Write a network, a volume that it classifies correctly, and the boxes that are compared."""
    from neuroface.decoding import save_network
    from neuroface.pipeline import keras
    from volume_study.networks import build_classifier

    from sklearn.linear_model import LogisticRegression

    keras.utils.set_random_seed(0)
    rng, labels = np.random.default_rng(0), np.repeat(np.arange(N_CLASSES), 5)
    model = build_classifier("separable_cnn3d", np.ones(shape, bool), N_CLASSES, {})
    volumes = np.stack([planted(rng, shape, label) for label in labels])
    features = keras.Model(model.input, model.get_layer("pool").output)
    pooled = np.concatenate(
        [features.predict_on_batch(volume[None, :, None, None]) for volume in volumes]
    )
    scale = pooled.std(axis=0) + 1e-6
    fitted = LogisticRegression(C=0.1, max_iter=1000).fit(pooled / scale, labels)
    model.get_layer("logit").set_weights([(fitted.coef_ / scale).T, fitted.intercept_])
    save_network(folder / "network.keras", model)
    np.save(folder / "volumes.npy", volumes[:1])
    occlusion = occluder(folder, shared=True)
    drops, probability = occlusion.drops(
        volumes[0], np.zeros_like(volumes[0]), 0, occlusion.corners
    )
    print(f"probability of the volume's class: {probability:.2f}", flush=True)
    largest = np.argsort(-np.abs(drops))[: n_boxes // 2]
    chosen = np.union1d(largest, rng.choice(len(drops), n_boxes - len(largest), replace=False))
    np.save(folder / "all_drops.npy", drops)
    np.save(folder / "corners.npy", occlusion.corners[chosen])


def planted(rng: np.random.Generator, shape: tuple[int, int, int], label: int) -> np.ndarray:
    """Noise with a ball of a class's own pattern: (n_voxels,) float32, voxels in C order."""
    place = np.indices(shape)
    distance = np.linalg.norm(place - np.array(shape).reshape(3, 1, 1, 1) / 2, axis=0)
    pattern = (1, -1, *((-1.0) ** place[axis] for axis in range(3)))[label]
    noise = rng.standard_normal(shape, dtype=np.float32)
    return (noise + SIGNAL * (distance <= RADIUS) * pattern).astype(np.float32).reshape(-1)


if __name__ == "__main__":
    main()
