"""Film and brain: chunks that reach the network per second, training steps, the sixteen convolutions, motion energy,
banded ridge regression, memory by length of film.

    python benchmarks/film_encoding.py              full size: 112 pixels, 32 frames, the published
                                                    network; minutes
    python benchmarks/film_encoding.py --small      the demo's size: seconds
    python benchmarks/film_encoding.py --only feed convolve cut    these tables; a training step
                                                                   needs 10 GB

Plain: for each batch every chunk is found again in the MP4 file (seek, decode, scale) and becomes
float32, as (channel, height, width, frame). Released: chunks are stored as float32 in that order
and copied (MIPLabCH/Encoding-Decoding-Movies). Ours: decoded once to uint8 and copied from the
memory map; they become float32 in the network. Cases run in turn, each in a process of its own.

Motion energy: 100 grey frames of noise; "ours" is checked against pymoten's numbers. Banded ridge: 4 spaces at 5 delays,
2,000 TRs of which 1,600 train, 4 weightings of the bands; himalaya called plainly gets the same kernels, weightings and
penalties, and both predictions are compared. Both tables state processor time. "response" compares a weight per delay
with the best single delay of each voxel. "whole" runs only where it is named: it fits 100,000 voxels by ours
alone. himalaya's time for them is extrapolated from two numbers of voxels, and said to be. The work is the same for each
weighting.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import compare, machine, peak_gb

TR_S, BATCH, FPS = 1.3, 16, 25
SIZES = {"full": (112, 32, (32, 256, 128, 64), 48, 4609), "small": (32, 8, (8, 16, 8, 16), 16, 582)}
FEEDS = ("plain", "released", "ours")
MOTION = ("pymoten, project_stimulus", "pymoten, batched", "ours")
MOTION_PX, MOTION_FPS, MOTION_FRAMES = 48, 15, 100
BANDED = ("himalaya, plain", "ours")
BANDED_VOXELS = (1_000, 4_000)
BANDED_TRS, BANDED_TRAIN, BANDED_TRIES = 2_000, 1_600, 4
WHOLE_VOXELS = 100_000
VOXELS_AT_ONCE = 5_000  # that are drawn together
BANDED_DELAYS = (-2, -1, 0, 1, 2)
BANDED_WIDTHS = (500, 100, 20, 2)  # features of each space, before delays
DELAYS = ("5 delays", "one chunk")
RESPONSES = ("one delay of 5", "weights at 5 delays")
CONVOLUTIONS = ("sixteen layers", "one grouped")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--small", action="store_true")
    usual = [name for name in CASES if name != "whole"]
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=usual)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        case, folder = args.one
        print(json.dumps(CASES[case.split(":")[0]](case, Path(folder))))
        return
    size = "small" if args.small else "full"
    print(f"{machine('tensorflow', 'keras', 'av')}. Reproduce:")
    options = " --small" if args.small else ""
    if args.only != usual:
        options += f" --only {' '.join(args.only)}"
    print(f"`python benchmarks/film_encoding.py{options} --repeats {args.repeats}`\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if {"feed", "step", "cut"} & set(args.only):
            write_films(folder, size)
        tables = (
            (
                "chunks to the network",
                [f"feed:{way}:{size}" for way in FEEDS],
                "ms per chunk",
                1000 / (4 * BATCH),
            ),
            (
                "a training step",
                [f"step:{way}:{size}" for way in ("released", "ours")],
                "s per chunk",
                1 / BATCH,
            ),
            (
                "convolutions per time step",
                [f"convolve:{way}:{size}" for way in CONVOLUTIONS],
                "ms per chunk",
                1000 / 4,
            ),
            (
                "a step of the encoder",
                [f"delays:{way}:{size}" for way in DELAYS],
                "CPU ms per volume",
                1000 / BATCH,
            ),
            (
                "motion energy",
                [f"motion:{way}:{size}" for way in MOTION],
                "CPU ms per frame",
                1000 / MOTION_FRAMES,
            ),
            *(
                (
                    f"banded ridge, {n:,} voxels",
                    [f"banded:{way}:{n}:{BANDED_TRIES}" for way in BANDED],
                    "CPU s",
                    1,
                )
                for n in BANDED_VOXELS
            ),
            (
                f"a delay per voxel, {BANDED_VOXELS[0]:,} voxels",
                [f"response:{way}:{BANDED_VOXELS[0]}:{BANDED_TRIES}" for way in RESPONSES],
                "CPU s",
                1,
            ),
            (
                f"banded ridge, {WHOLE_VOXELS:,} voxels",
                [f"whole:ours:{WHOLE_VOXELS}:{BANDED_TRIES}"],
                "CPU s",
                1,
            ),
            ("cutting a film", [f"cut:{minutes} minutes:{size}" for minutes in (1, 4)], "s", 1),
        )
        measured: dict[str, dict] = {}
        print("| what | way | " + "time | ratio | peak GB |")
        print("|---|---|---|---|---|")
        for what, cases, unit, scale in (
            table for table in tables if table[1][0].split(":")[0] in args.only
        ):
            results = compare(__file__, cases, folder, args.repeats)
            measured |= results
            ours = results[cases[-1]]
            for case, found in results.items():
                way = case.split(":")[1]
                if "error" in found or "error" in ours:
                    print(f"| {what} | {way} | {found.get('error', '')} | | |", flush=True)
                    continue
                value = found["seconds"] * scale
                ratio = found["seconds"] / ours["seconds"]
                print(
                    f"| {what} | {way} | {value:.3g} {unit} | {ratio:.2f} | {found['peak_gb']:.2f} |",
                    flush=True,
                )
    if "banded" in args.only:
        print(extrapolated(measured))
    print(arithmetic())


def extrapolated(measured: dict[str, dict]) -> str:
    """Processor time of all voxels, by a line through two numbers of voxels."""
    few, many = BANDED_VOXELS
    lines = []
    for way in BANDED:
        cases = [f"banded:{way}:{n}:{BANDED_TRIES}" for n in (few, many)]
        seconds = [measured[case].get("seconds", np.nan) for case in cases]
        per_voxel = (seconds[1] - seconds[0]) / (many - few)
        whole = seconds[0] + per_voxel * (WHOLE_VOXELS - few)
        lines.append(f"{way} {whole / 60:.1f} min ({1000 * per_voxel:.2f} ms per voxel)")
    return (
        f"\nExtrapolated, not measured: {WHOLE_VOXELS:,} voxels, {BANDED_TRIES} weightings, one core: "
        f"{'; '.join(lines)}."
    )


def write_films(folder: Path, size: str) -> None:
    """Drawn films of 1 and 4 minutes, 640 × 360 at 25 frames per second; chunks of the first, stored both ways."""
    from film_encoding.demo_film import draw_frame, draw_shots
    from film_encoding.film_frames import write_film

    pixels, frames, *_ = SIZES[size]
    for minutes in (1, 4):
        shots = draw_shots(np.random.default_rng(0), 60 * minutes)
        times = np.arange(60 * minutes * FPS) / FPS
        write_film(
            folder / f"{minutes}.mp4",
            ((t, draw_frame(shots, t, 640, 360)[0]) for t in times),
            rate=FPS,
        )
    chunks = cut(folder / "1.mp4", pixels, frames)
    np.save(folder / "ours.npy", chunks)
    np.save(folder / "released.npy", chunks.transpose(0, 4, 2, 3, 1).astype(np.float32) / 255)


def cut(path: Path, pixels: int, frames: int) -> np.ndarray:
    from film_encoding.film_clock import count_chunks, sample_times_s
    from film_encoding.film_frames import SampledFilm

    film = SampledFilm(path)
    n = count_chunks(film.end_s, TR_S)
    return np.stack(list(film.frames_at(sample_times_s(n, frames, TR_S), pixels))).reshape(
        n, frames, pixels, pixels, 3
    )


# ---------------------------------------------------------------- the ways to feed a network


def batches_of(way: str, folder: Path, size: str, n: int):
    """n batches of random chunks, as the network of that way takes them."""
    pixels, frames, *_ = SIZES[size]
    rng, stored = (
        np.random.default_rng(1),
        None if way == "plain" else np.load(folder / f"{way}.npy", mmap_mode="r"),
    )
    total = 46 if stored is None else len(stored)
    for _ in range(n):
        rows = rng.choice(total, BATCH, replace=False)
        if way == "plain":
            yield np.stack([decoded_chunk(folder / "1.mp4", row, pixels, frames) for row in rows])
        else:
            yield np.stack([stored[row] for row in rows])


def decoded_chunk(path: Path, chunk: int, pixels: int, frames: int) -> np.ndarray:
    """Seek, decode and scale: (3, pixels, pixels, frames) float32."""
    import av

    wanted, out = chunk * TR_S + np.arange(frames) * TR_S / frames, []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        container.seek(int(wanted[0] / stream.time_base), stream=stream)
        last = None
        for frame in container.decode(stream):
            while len(out) < frames and last is not None and wanted[len(out)] < frame.time:
                out.append(
                    last.reformat(
                        width=pixels, height=pixels, format="rgb24", interpolation="AREA"
                    ).to_ndarray()
                )
            if len(out) == frames:
                break
            last = frame
        while len(out) < frames:
            out.append(
                last.reformat(
                    width=pixels, height=pixels, format="rgb24", interpolation="AREA"
                ).to_ndarray()
            )
    return np.stack(out).transpose(3, 1, 2, 0).astype(np.float32) / 255


def feed(case: str, folder: Path) -> dict:
    """Four batches, from the store to arrays in memory."""
    _, way, size = case.split(":")
    list(batches_of(way, folder, size, 1))
    started = time.perf_counter()
    for _ in batches_of(way, folder, size, 4):
        pass
    return {"seconds": time.perf_counter() - started, "peak_gb": peak_gb()}


def step(case: str, folder: Path) -> dict:
    """A gradient step of encoder and decoder on one batch, reading included; the median of three after a first one."""
    from film_encoding.losses import image_loss, voxel_loss
    from film_encoding.networks import build_decoder, build_encoder, join
    from film_encoding.perceptual import scattering
    from neuroface.pipeline import keras

    _, way, size = case.split(":")
    pixels, frames, filters, decoder_filters, n_voxels = SIZES[size]
    encoder = build_encoder(n_voxels, frames, pixels, filters)
    network = join(encoder, build_decoder(n_voxels, pixels, decoder_filters), "predicted")
    loss = {"voxels": voxel_loss(1, 0.5), "images": image_loss((0.35, 0.35, 0.3), scattering)}
    network.compile(keras.optimizers.Adam(1e-4), loss=loss, jit_compile=False)
    measured = np.random.default_rng(0).normal(size=(BATCH, n_voxels)).astype(np.float32)
    seconds = []
    for chunks in batches_of(way, folder, size, 4):
        started = time.perf_counter()
        if (
            way == "released"
        ):  # into our order, and back to the range of uint8 that the network expects
            chunks = (255 * chunks.transpose(0, 4, 2, 3, 1)).astype(np.uint8)
        wanted = {"voxels": measured, "images": chunks[:, frames // 2 - 1]}
        network.train_on_batch({"chunk": chunks, "measured": measured}, wanted)
        seconds.append(time.perf_counter() - started)
    return {"seconds": statistics.median(seconds[1:]), "peak_gb": peak_gb()}


def delays(case: str, folder: Path) -> dict:
    """A gradient step of the encoder alone on BATCH volumes of noise, with one chunk or with five delays; processor time."""
    from film_encoding.lagged import STRETCH, build_lagged_encoder
    from film_encoding.losses import voxel_loss
    from film_encoding.networks import build_encoder
    from neuroface.pipeline import keras

    _, way, size = case.split(":")
    pixels, frames, filters, _, n_voxels = SIZES[size]
    rng = np.random.default_rng(0)
    if way == "one chunk":
        encoder = build_encoder(n_voxels, frames, pixels, filters)
        shape = (BATCH, frames, pixels, pixels, 3)
        measured = rng.standard_normal((BATCH, n_voxels))
    else:
        encoder = build_lagged_encoder(n_voxels, 5, frames, pixels, filters, 0.5)
        shape = (BATCH // STRETCH, STRETCH + 4, frames, pixels, pixels, 3)
        measured = rng.standard_normal((BATCH // STRETCH, STRETCH, n_voxels))
    encoder.compile(keras.optimizers.Adam(1e-4), loss=voxel_loss(1, 0.5), jit_compile=False)
    chunks = rng.integers(0, 256, shape).astype(np.uint8)
    seconds = []
    for _ in range(8):
        started = time.process_time()
        encoder.train_on_batch(chunks, measured.astype(np.float32))
        seconds.append(time.process_time() - started)
    return {"seconds": statistics.median(seconds[1:]), "peak_gb": peak_gb()}


def convolve(case: str, folder: Path) -> dict:
    """Forward and backward through the convolutions of the time steps, four chunks."""
    from film_encoding.networks import TimeStepConvolutions
    from neuroface.pipeline import gradient_of, keras

    _, way, size = case.split(":")
    pixels, frames, filters, *_ = SIZES[size]
    shape = (4, frames // 2, pixels // 4, pixels // 4, filters[1])
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    inputs = keras.Input(shape[1:])
    if way == "one grouped":
        model = keras.Model(inputs, TimeStepConvolutions(filters[2])(inputs))
    else:
        layers = [keras.layers.Conv2D(filters[2], 3, padding="same") for _ in range(shape[1])]
        model = keras.Model(
            inputs,
            keras.ops.concatenate([layer(inputs[:, t]) for t, layer in enumerate(layers)], axis=-1),
        )
    gradient = gradient_of(
        lambda x: (keras.ops.sum(keras.ops.square(model(x))), keras.ops.zeros(1)), model
    )
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        np.asarray(gradient(x)[1])
        seconds.append(time.perf_counter() - started)
    return {"seconds": statistics.median(seconds[1:]), "peak_gb": peak_gb()}


def motion(case: str, folder: Path) -> dict:
    """Amplitudes of all motion filters on grey frames of noise, filters included; ``ours`` checks against pymoten."""
    from film_encoding.film_features import MotionFilters

    _, way, _ = case.split(":")
    frames = np.random.default_rng(0).random((MOTION_FRAMES, MOTION_PX, MOTION_PX))
    frames = frames.astype(np.float32)
    pyramid = MotionFilters(MOTION_PX, MOTION_FPS, neutral=False).pyramid
    started = time.process_time()
    if way == "ours":
        found = MotionFilters(MOTION_PX, MOTION_FPS, neutral=False).energy(frames)
    elif "batched" in way:
        found = pyramid.project_stimulus_batched(frames, output_nonlinearity=np.asarray)
    else:
        found = pyramid.project_stimulus(frames, output_nonlinearity=np.asarray)
    seconds = time.process_time() - started
    if way == "ours":
        few = pyramid.project_stimulus(
            frames[:20], pyramid.filters[:50], output_nonlinearity=np.asarray
        )
        np.testing.assert_allclose(found[:10, :50], few[:10], rtol=1e-3, atol=1e-4)
    return {"seconds": seconds, "peak_gb": peak_gb()}


def banded_features() -> list[np.ndarray]:
    """Four spaces (BANDED_TRS, n_features) of slow noise."""
    from scipy.ndimage import gaussian_filter1d

    rng = np.random.default_rng(0)
    noise = [rng.standard_normal((BANDED_TRS, width)) for width in BANDED_WIDTHS]
    return [gaussian_filter1d(values, 2, axis=0).astype(np.float32) for values in noise]


def banded_kernels(delays_trs: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Kernels (4, n_train, n_train) and (4, n_test, n_train) of the spaces at some delays."""
    from film_encoding.ridge import band_kernels, delayed

    import pandas as pd

    table = pd.DataFrame({"film": "a", "chunk": np.arange(BANDED_TRS)})
    columns = [delayed({"a": values}, table, delays_trs) for values in banded_features()]
    return band_kernels([(values[:BANDED_TRAIN], values[BANDED_TRAIN:]) for values in columns])


def banded_bold(n_voxels: int) -> np.ndarray:
    """BOLD (n_train, n_voxels) float32 that follows the spaces."""
    rng, spaces = np.random.default_rng(1), banded_features()
    bold = rng.standard_normal((BANDED_TRAIN, n_voxels), dtype=np.float32)
    for start in range(0, n_voxels, VOXELS_AT_ONCE):
        here = bold[:, start : start + VOXELS_AT_ONCE]
        for values in spaces:
            n_features = values.shape[1]
            weights = rng.standard_normal((n_features, here.shape[1]), dtype=np.float32)
            here += values[:BANDED_TRAIN] @ weights / np.sqrt(n_features, dtype=np.float32)
    return bold


def response(case: str, folder: Path) -> dict:
    """Banded ridge regression with a weight per delay, or with the best of five single delays for each voxel."""
    from film_encoding.banded import fit_best_delay, random_weights

    _, way, n_voxels, n_tries = case.split(":")
    models = [(delay,) for delay in BANDED_DELAYS] if way.startswith("one") else [BANDED_DELAYS]
    kernels_of_delays = [banded_kernels(delays_trs) for delays_trs in models]
    bold, blocks = banded_bold(int(n_voxels)), np.arange(BANDED_TRAIN) * 5 // BANDED_TRAIN
    weights = random_weights(len(BANDED_WIDTHS), int(n_tries), 0)
    started = time.process_time()
    fit_best_delay(kernels_of_delays, bold, blocks, weights)
    return {"seconds": time.process_time() - started, "peak_gb": peak_gb()}


def banded(case: str, folder: Path) -> dict:
    """Banded ridge regression, fit and prediction, kernels given; ``ours`` must predict what himalaya predicts."""
    from film_encoding.banded import fit_kernels, random_weights

    from himalaya.kernel_ridge import MultipleKernelRidgeCV
    from sklearn.model_selection import PredefinedSplit

    _, way, n_voxels, n_tries = case.split(":")
    (kernels, test_kernels), bold = banded_kernels(BANDED_DELAYS), banded_bold(int(n_voxels))
    alphas = np.logspace(0, 4.5, 10)
    blocks = np.arange(BANDED_TRAIN) * 5 // BANDED_TRAIN
    weights = random_weights(len(kernels), int(n_tries), 0)
    started = time.process_time()
    if way == "ours":
        made = fit_kernels(kernels, test_kernels, bold, blocks, weights, alphas).sum(axis=0)
    else:
        model = MultipleKernelRidgeCV(
            kernels="precomputed", solver="random_search", cv=PredefinedSplit(blocks),
            solver_params={"n_iter": weights.astype(np.float32), "alphas": alphas, "progress_bar": False},
        )  # fmt: skip
        centre = bold.mean(axis=0)
        model.fit(kernels, bold - centre)
        made = np.asarray(model.predict(test_kernels)) + centre
    seconds, peak = time.process_time() - started, peak_gb()
    theirs = folder / f"banded_{n_voxels}.npy"
    if way != "ours":
        np.save(theirs, made)
    elif theirs.exists():
        # The noise of a voxel has an SD of 1. himalaya's eigenvectors in float32 cost up to 0.01.
        close = np.isclose(made, np.load(theirs), atol=2e-2).all(axis=0)
        assert close.mean() > 0.99, f"{1 - close.mean():.1%} of voxels differ from himalaya's"
    return {"seconds": seconds, "peak_gb": peak}


def cut_film(case: str, folder: Path) -> dict:
    """Decode a film once and store its chunks, as script 1 does; a film four times as long takes the same memory."""
    from film_encoding.film_clock import count_chunks, sample_times_s
    from film_encoding.film_frames import SampledFilm, store_frames

    _, length, size = case.split(":")
    pixels, frames, *_ = SIZES[size]
    started = time.perf_counter()
    film = SampledFilm(folder / f"{length.split()[0]}.mp4")
    n = count_chunks(film.end_s, TR_S)
    shown = film.frames_at(sample_times_s(n, frames, TR_S), pixels)
    store_frames(folder / "cut.npy", (n, frames, pixels, pixels, 3), shown)
    return {"seconds": time.perf_counter() - started, "peak_gb": peak_gb()}


def arithmetic() -> str:
    """14 films of 2.5 hours, from the sizes alone."""
    chunks = 14 * 2.5 * 3600 / TR_S
    uint8 = 32 * 112 * 112 * 3
    return (
        f"\n14 films of 2.5 h are {chunks:,.0f} chunks: {chunks * uint8 / 1e9:.0f} GB as uint8 on disk, "
        f"{4 * chunks * uint8 / 1e9:.0f} GB as "
        f"float32. A batch of {BATCH} is {BATCH * uint8 / 1e6:.0f} MB, whatever the films' length."
    )


CASES = {
    "feed": feed,
    "step": step,
    "convolve": convolve,
    "delays": delays,
    "motion": motion,
    "banded": banded,
    "response": response,
    "whole": banded,
    "cut": cut_film,
}

if __name__ == "__main__":
    main()
