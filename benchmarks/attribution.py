"""Integrated Gradients of one window: ours compared with DeepExplain, at equal steps and at equal map error.

    python benchmarks/attribution.py                                 41,489 voxels × 10 volumes: an
                                                                     hour, 12 GB
    python benchmarks/attribution.py --voxels 4000                   a tenth of it
    KERAS_BACKEND=jax python benchmarks/attribution.py --only-ours   for a GPU: windows per second,
                                                                     time of 3,606 × 200

The network is the paper's, trained here on windows with a planted signal, because the positions of
kinks along a path depend on what it learnt. Each case runs in a separate process: one window to
compile, then other windows, timed. Map error is the norm of the difference from the map with 2,000
midpoint steps, relative to the norm of that map: the mean over the timed windows. DeepExplain must
be installed (docs/attributions.md, "DeepExplain"). The tests show that its map at n steps equals
that of our right rule. So the number of steps that it needs is found with our code, and then both
are timed.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import compare, machine, peak_gb
from scipy import ndimage

WINDOW_TRS, N_PAPER, PAPER_STEPS = 10, 3606, 200
EQUAL_STEPS, REFERENCE = 20, "ours-plain:midpoint:2000"
RIGHT, SECANT = (
    (50, 100, 110, 120, 150, 200, 400),
    (10, 20, 25, 30, 40),
)  # steps tried for an error of 1 %
TIMED_WINDOWS = 2


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voxels", type=int, default=41_489)
    parser.add_argument("--training-steps", type=int, default=100, help="of 4 windows each")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--error", type=float, default=0.01)
    parser.add_argument(
        "--batch", type=int, default=20, help="steps in one pass through the network"
    )
    parser.add_argument("--only-ours", action="store_true")
    parser.add_argument(
        "--folder", type=Path, help="keep network and maps here, and use those that exist"
    )
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one[0], Path(args.one[1]))))
        return
    print(f"{machine('keras')}. {args.voxels:,} voxels × {WINDOW_TRS} volumes.", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "network.keras").exists():
            train(folder, args.voxels, args.training_steps)
        (folder / "batch").write_text(str(args.batch))
        if args.only_ours:
            cases = [f"ours:right:{PAPER_STEPS}", f"ours:secant:{EQUAL_STEPS}"]
            table(compare(__file__, cases, folder, args.repeats), folder, None)
            return
        if not map_file(folder, REFERENCE).exists():
            compare(__file__, [REFERENCE], folder, 1)
        right = first_below(args.error, folder, [f"ours:right:{n}" for n in RIGHT])
        secant = first_below(args.error, folder, [f"ours:secant:{n}" for n in SECANT])
        print(f"\nEqual steps, {EQUAL_STEPS}\n")
        engines = ("ours", "ours-plain", "deepexplain", "deepexplain-anew")
        cases = [f"{who}:right:{EQUAL_STEPS}" for who in engines]
        table(compare(__file__, cases, folder, args.repeats), folder, cases[0])
        print(f"\nEqual map error, at most {args.error:.0%}\n")
        cases = [
            secant,
            right,
            right.replace("ours", "deepexplain"),
            right.replace("ours", "deepexplain-anew"),
        ]
        table(compare(__file__, cases, folder, args.repeats), folder, cases[0])


def first_below(error: float, folder: Path, cases: list[str]) -> str:
    """The first case with a map error of at most ``error``; prints the error of each case that it tries."""
    for case in cases:
        if not map_file(folder, case).exists():
            compare(__file__, [case], folder, 1)
        found = map_error(folder, case)
        print(f"{case}: map error {found:.2%}", flush=True)
        if found <= error:
            return case
    sys.exit(f"no case of {cases} has a map error of at most {error:.0%}")


def table(results: dict[str, dict], folder: Path, ours: str | None) -> None:
    print(
        "| engine : rule : steps | s per window | × ours | map error | peak GB | 3,606 windows, h |"
    )
    print("|---|---|---|---|---|---|")
    for case, result in results.items():
        if "error" in result:
            print(f"| {case} | {result['error']} | | | | |")
            continue
        ratio = f"{result['seconds'] / results[ours]['seconds']:.1f}" if ours else ""
        error = f"{map_error(folder, case):.2%}" if map_file(folder, REFERENCE).exists() else ""
        hours = result["seconds"] * N_PAPER / 3600
        print(
            f"| {case} | {result['seconds']:.2f} | {ratio} | {error} | {result['peak_gb']:.1f} | {hours:.2f} |",
            flush=True,
        )


def measure(case: str, folder: Path) -> dict:
    """In the child process: seconds per window without compilation, and peak memory; saves the maps."""
    from neuroface.attribution import DeepExplainGradients, integrated_gradients as attribution
    from neuroface.decoding import load_network, logit_network

    engine, rule, steps = case.split(":")
    windows = np.load(folder / "windows.npy")
    model = load_network(folder / "network.keras", *windows.shape[1:])
    if engine == "deepexplain":
        explain = DeepExplainGradients(logit_network(model), int(steps))
    elif engine == "deepexplain-anew":
        explain = anew_for_each_window(logit_network(model), int(steps))
    else:
        if (
            engine == "ours-plain"
        ):  # ignores the structure of the network: automatic differentiation of step batches
            attribution.understands = lambda model: False
        explain = attribution.IntegratedGradients(
            model, rule, int(steps), int((folder / "batch").read_text())
        )
    zero = np.zeros_like(windows[:1])
    if case != REFERENCE:  # its time is not used
        explain(windows[:1], zero, np.zeros(1))
    started = time.perf_counter()
    maps = [
        explain(window[None], zero, np.zeros(1))[0][0] for window in windows[1 : 1 + TIMED_WINDOWS]
    ]
    seconds = (time.perf_counter() - started) / TIMED_WINDOWS
    np.save(map_file(folder, case), np.stack(maps))
    return {"seconds": seconds, "peak_gb": peak_gb()}


def anew_for_each_window(logit_model, steps: int):
    """DeepExplain as its own examples and the released code call it: ``explain`` for each window, on a graph that grows."""
    from neuroface.attribution import frozen_network, import_deepexplain

    import tensorflow as tf

    graph, names = frozen_network(logit_model)
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default(), import_deepexplain()(session=session):
        ends = tf.graph_util.import_graph_def(graph, return_elements=names)

    def explain(windows, baselines, gains):
        with session.graph.as_default(), import_deepexplain()(session=session) as context:
            return context.explain("intgrad", ends[1], ends[0], windows[..., None], steps=steps)[
                ..., 0
            ], None

    return explain


def map_file(folder: Path, case: str) -> Path:
    return folder / f"{case.replace(':', '_')}.npy"


def map_error(folder: Path, case: str) -> float:
    exact, maps = (
        np.load(map_file(folder, c)).reshape(TIMED_WINDOWS, -1) for c in (REFERENCE, case)
    )
    return float(np.mean(np.linalg.norm(maps - exact, axis=1) / np.linalg.norm(exact, axis=1)))


def train(folder: Path, n_voxels: int, steps: int) -> None:
    """The paper's network after some steps on noise, smooth in time, with a signal in a tenth of the voxels."""
    from neuroface.decoding import build_network, logit_network, predict_logits
    from neuroface.pipeline import keras

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    model = build_network(n_voxels, WINDOW_TRS)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9  # its averages converge within these few steps
    model.compile(keras.optimizers.Adam(2e-4), loss="binary_crossentropy")
    signal = np.zeros((n_voxels, 1), dtype=np.float32)
    signal[n_voxels // 2 : n_voxels // 2 + n_voxels // 10] = 0.7

    def windows(labels):
        noise = rng.standard_normal((len(labels), n_voxels, WINDOW_TRS), dtype=np.float32)
        noise = ndimage.gaussian_filter1d(noise, 1.0, axis=2)
        return noise / noise.std() + (2 * labels[:, None, None] - 1) * signal

    labels = np.array([0, 1, 1, 0], dtype=np.float32)
    losses = [
        float(model.train_on_batch(windows(labels)[..., None], labels[:, None]))
        for _ in range(steps)
    ]
    unseen = windows(labels)
    logits = predict_logits(logit_network(model), unseen, batch=1).round(1).tolist()
    print(
        f"trained: loss {losses[0]:.1f} to {losses[-1]:.1f}; logits of new windows labelled {labels.tolist()}: {logits}"
    )
    np.save(folder / "windows.npy", unseen.astype(np.float32))
    model.save(folder / "network.keras")


if __name__ == "__main__":
    main()
