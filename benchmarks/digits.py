"""The seen digits (van Gerven et al. 2010) by ten folds: the numbers that are known for them, from this study's ridge.

``python benchmarks/digits.py FOLDER [--model FOLDER]``. FOLDER holds the tables that
``python -m seen_images.digits69`` writes. Ridge regression from all voxels to pixels and,
with ``--model`` (an autoencoder, e.g. TAEF2), to its latents, which go through it to pixels; then
photographs that scikit-image and scikit-learn bring, encoded and decoded.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "studies" / "seen_images"))

import numpy as np
import pandas as pd
import torch
from PIL import Image

ALPHAS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6)
N_FOLDS, SEED, PIXELS = 10, 42, 32


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, help="folder of an autoencoder")
    options = parser.parse_args()
    betas, pictures, digits = read_digits(options.folder)
    targets = {"pixels": grey(pictures).reshape(len(pictures), -1) / 255}
    generator = None
    if options.model:
        from seen_images.generator import open_generator

        generator = open_generator(options.model, "cpu", "float32")
        targets["latents"] = generator.encode(list(pictures), PIXELS).reshape(len(pictures), -1)
    for name, target in targets.items():
        decoded, mean = decode_by_folds(betas, target, N_FOLDS)
        print(
            f"{name}: two-way identification of {name} {identified(decoded - mean, target - mean):.3f}"
        )
        if name == "latents":
            shape = generator.encode(list(pictures[:1]), PIXELS).shape[1:]
            decoded, mean = (
                grey(generator.decode(part.reshape(-1, *shape).astype(np.float32))) / 255
                for part in (decoded, mean)
            )
        for key, value in scores(decoded, mean, pictures, digits).items():
            print(f"  {key}: {value:.3f}")
    if generator:
        for name, r in through_autoencoder(generator).items():
            print(f"{name} through the autoencoder: pixel correlation {r:.3f}")


def through_autoencoder(generator, pixels: int = 128) -> dict[str, float]:
    """Correlation of photographs (their largest square at the upper left) with what the autoencoder makes of them."""
    from seen_images.generator import resized

    from skimage import data
    from sklearn.datasets import load_sample_images

    photographs = {name: getattr(data, name)() for name in ("astronaut", "cat", "coffee", "rocket")}
    photographs |= dict(zip(("china", "flower"), load_sample_images().images))
    found = {}
    for name, picture in photographs.items():
        side = min(picture.shape[:2])
        seen = resized(np.ascontiguousarray(picture[:side, :side]), pixels)
        made = generator.decode(generator.encode([seen], pixels))[0]
        found[name] = float(np.corrcoef(seen.ravel(), made.ravel())[0, 1])
    return found


def read_digits(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Responses (n, n_voxels), pictures (n, PIXELS, PIXELS, 3) uint8, and digits (n,) of the tables in a folder."""
    trials = pd.read_csv(folder / "trials.tsv", sep="\t")
    digits = pd.read_csv(folder / "attributes.tsv", sep="\t").set_index("image")["digit"]
    files = [folder / "images" / f"{image}.png" for image in trials["image"]]
    pictures = [Image.open(file).convert("RGB").resize((PIXELS, PIXELS)) for file in files]
    return np.load(folder / "betas.npy"), np.stack(pictures), digits[trials["image"]].to_numpy()


def grey(pictures: np.ndarray) -> np.ndarray:
    return pictures.mean(axis=-1)


def decode_by_folds(
    betas: np.ndarray, targets: np.ndarray, n_folds: int
) -> tuple[np.ndarray, np.ndarray]:
    """What ridge decodes of each image (n, k) from the other folds, and the mean of these folds (n, k)."""
    from seen_images.training import fit_ridge, inner_folds

    names = np.arange(len(betas))
    fold = inner_folds(names, n_folds, SEED)
    decoded, mean = np.empty(targets.shape), np.empty(targets.shape)
    for number in range(n_folds):
        train, test = fold != number, fold == number
        centre, sd = betas[train].mean(axis=0), betas[train].std(axis=0)
        scaled = ((betas - centre) / np.where(sd > 0, sd, 1)).astype(np.float32)
        network, _ = fit_ridge(
            scaled[train],
            targets[train],
            inner_folds(names[train], 5, SEED),
            ALPHAS,
            torch.device("cpu"),
        )
        with torch.no_grad():
            decoded[test] = network(torch.from_numpy(scaled[test])).numpy()
        mean[test] = targets[train].mean(axis=0)
    return decoded, mean


def identified(decoded: np.ndarray, seen: np.ndarray) -> float:
    from seen_images.scores import similarity, two_way

    return float(two_way(similarity(decoded, seen)).mean())


def scores(
    decoded: np.ndarray, mean: np.ndarray, pictures: np.ndarray, digits: np.ndarray
) -> dict[str, float]:
    """Correlations of pixels with what was seen, and the share of digits told by the mean that resembles more."""
    seen = grey(pictures).reshape(len(pictures), -1) / 255
    decoded, mean = decoded.reshape(len(seen), -1), mean.reshape(len(seen), -1)
    told = []
    for row, digit in enumerate(digits):
        others = np.arange(len(seen)) != row
        means = {name: seen[others & (digits == name)].mean(axis=0) for name in np.unique(digits)}
        told.append(
            max(means, key=lambda name: np.corrcoef(decoded[row], means[name])[0, 1]) == digit
        )
    pairs = zip(decoded, mean, seen)
    r, of_mean = np.mean(
        [(np.corrcoef(a, c)[0, 1], np.corrcoef(b, c)[0, 1]) for a, b, c in pairs], axis=0
    )
    return {
        "digit told": float(np.mean(told)),
        "pixel correlation": float(r),
        "pixel correlation of the mean picture": float(of_mean),
    }


if __name__ == "__main__":
    main()
