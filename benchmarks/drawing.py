"""Script 4 of seen images: drawings per second when several images are drawn in one pass, and one image at a time.

    python benchmarks/drawing.py                            the demo's generator, its steps and sizes
    python benchmarks/drawing.py --images 8 --repeats 1     fewer images

"several images": INFERENCE_BATCH drawings in a pass, as script 4 draws. "one image": the drawings of
one image in a pass, as the publication's code and earlier versions drew. Both begin at the same
pictures, with the same text and seeds. Loading the generator is not counted.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import measure
import numpy as np

SEVERAL, SINGLE = "several images", "one image"
GENERATOR = measure.ROOT / "studies" / "seen_images" / "demo_generator"
SIZE = {"pixels": 32, "n_draws": 3, "at_once": 32, "steps": 50}  # of the demo


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        measure_way(args.one[0], Path(args.one[1]))
        return
    print(f"{measure.machine('torch', 'diffusers')}. Reproduce:")
    print(f"`python benchmarks/drawing.py --images {args.images} --repeats {args.repeats}`\n")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "size.json").write_text(json.dumps(SIZE | {"images": args.images}))
        results = measure.compare(__file__, [SEVERAL, SINGLE], Path(folder), args.repeats)
    n_drawings = args.images * SIZE["n_draws"]
    print(f"{n_drawings} drawings of {SIZE['pixels']} pixels, {SIZE['steps']} steps.\n")
    print("| a pass draws | drawings per s | × one image | peak GB |\n|---|---|---|---|")
    for way, result in results.items():
        if "error" in result:
            print(f"| {way} | {result['error']} | | |")
            continue
        rate = n_drawings / result["seconds"]
        single = results[SINGLE].get("seconds", np.nan)
        print(
            f"| {way} | {rate:.2f} | {single / result['seconds']:.2f} | {result['peak_gb']:.2f} |"
        )


def measure_way(way: str, folder: Path) -> None:
    """Print the seconds that all drawings take, and the peak memory."""
    size = json.loads((folder / "size.json").read_text())
    draw = drawer(size)
    n_at_once = max(1, size["at_once"] // size["n_draws"]) if way == SEVERAL else 1
    draw(list(range(min(n_at_once, size["images"]))))  # the first pass allocates memory
    started = time.perf_counter()
    for start in range(0, size["images"], n_at_once):
        draw(list(range(start, min(start + n_at_once, size["images"]))))
    print(json.dumps({"seconds": time.perf_counter() - started, "peak_gb": measure.peak_gb()}))


def drawer(size: dict):
    """A function numbers of images → their drawings (n_images, n_draws, pixels, pixels, 3) uint8."""
    from seen_images.generator import open_generator

    generator = open_generator(GENERATOR, "cpu", "float32")
    starts = np.random.default_rng(0).integers(
        0, 256, (size["images"], size["pixels"], size["pixels"], 3), dtype=np.uint8
    )
    text = generator.embed(["a red circle on a striped background"], 15)

    def draw(images: list[int]) -> np.ndarray:
        seeds = [[[image, number] for number in range(size["n_draws"])] for image in images]
        texts = np.repeat(text, len(images), axis=0)
        return generator.draw(
            starts[images], texts, seeds, steps=size["steps"], strength=0.8, guidance=5.0
        )

    return draw


if __name__ == "__main__":
    main()
