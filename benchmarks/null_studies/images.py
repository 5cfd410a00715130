"""Seen images: identification when nothing was decoded, intervals over images, and what counts as evidence.

Images vary in how well they are decoded and in how typical they are: a typical image is a strong
rival of all others.
"""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace

from null_studies.case import Case

import numpy as np

EXTRAS_ARE_THERE = all(find_spec(name) for name in ("torch", "skimage"))

N_FEATURES, PIXELS = 20, 12
MEASURE = "pixel correlation (12 px)"
CFG = SimpleNamespace(SEED=0, N_SHUFFLES=20, N_BOOTSTRAP=500, DRAWINGS="each", RETRIEVAL_N=50)


def study(module: str):
    """A module of the study's package; imported when a case runs, because PyTorch takes seconds."""
    return import_module(f"seen_images.{module}")


# ---------------------------------------------------------------- identification by features


def features(rng: np.random.Generator, n: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Drawn and seen features (n, N_FEATURES) of images that differ in how typical and how well decoded they are."""
    typical = rng.uniform(0, 4, (n, 1)) * np.cos(np.arange(N_FEATURES))
    seen = rng.standard_normal((n, N_FEATURES)) + typical
    return seen + noise * rng.uniform(0.3, 1.7, (n, 1)) * rng.standard_normal((n, N_FEATURES)), seen


@cache
def true_identification(noise: float) -> float:
    """Mean of two-way identification over 30,000 other images."""
    rng = np.random.default_rng(10**6)
    return float(
        np.mean(
            [
                study("scores")
                .two_way(study("scores").similarity(*features(rng, 300, noise)))
                .mean()
                for _ in range(100)
            ]
        )
    )


def interval_of_identification(seed: int, n: int, noise: float) -> dict[str, bool]:
    similar = study("scores").similarity(*features(np.random.default_rng(seed), n, noise))
    _, low, high = study("scores").interval_of_share(study("scores").two_way_influence(similar))
    return {"interval covers": low <= true_identification(noise) <= high}


def identification_of_nothing(seed: int, n: int) -> dict[str, bool]:
    """Drawings of a decoder without any information: of images that nobody saw."""
    rng = np.random.default_rng(seed)
    similar = study("scores").similarity(features(rng, n, 1)[0], features(rng, n, 1)[1])
    _, low, high = study("scores").interval_of_share(study("scores").two_way_influence(similar))
    return {
        "p ≤ .05": study("scores").exchange_p([similar], 99, seed) <= 0.05,
        "interval without chance": not low <= 0.5 <= high,
    }


# ---------------------------------------------------------------- pixels


def pictures(rng: np.random.Generator, n: int) -> np.ndarray:
    """Pictures (n, PIXELS²) with a common part, smooth parts of their own, and texture."""
    y, x = np.mgrid[:PIXELS, :PIXELS] / PIXELS
    waves = np.stack([np.sin(np.pi * (a * x + b * y)) for a in range(3) for b in range(3) if a + b])
    common = np.cos(np.pi * x) + y
    own = rng.standard_normal((n, len(waves))) @ waves.reshape(len(waves), -1)
    return common.ravel() + 0.5 * own + 0.5 * rng.standard_normal((n, PIXELS**2))


def correlations(drawn: np.ndarray, seen: np.ndarray, pairings: np.ndarray) -> np.ndarray:
    """Pixel correlations (n_pairings, n) of seen pictures with the drawings ``pairings``."""
    similar = study("scores").similarity(drawn, seen)
    return np.stack([similar[pairing, np.arange(len(seen))] for pairing in pairings])


def table(seen: np.ndarray, drawn: dict[str, np.ndarray]):
    """Script 5's table of scores of drawings (kind → pictures), with shuffled brains and the mean picture."""
    n = len(seen)
    drawn = drawn | {
        "mean picture": np.repeat(
            pictures(np.random.default_rng(1), 500).mean(axis=0)[None], n, axis=0
        )
    }
    pairs = {
        (kind, MEASURE): correlations(
            made, seen, study("picture_scores").shuffled_pairings(n, kind == "decoded", CFG)
        )
        for kind, made in drawn.items()
    }
    found, _ = study("picture_scores").table_of_scores(
        {}, pairs, [str(image) for image in range(n)], CFG
    )
    return found.set_index("kind")


def nothing_decoded(seed: int, n: int):
    """Table of scores of sharp drawings of pictures that nobody saw, and of smooth ones near the mean picture."""
    rng = np.random.default_rng([seed, n])
    smooth = 0.9 * pictures(rng, 300).mean(axis=0) + 0.1 * pictures(rng, n)
    return table(pictures(rng, n), {"decoded": pictures(rng, n), "text": smooth})


def better_than_shuffled_brains(seed: int, n: int) -> dict[str, bool]:
    """What evidence was before: pictures without anything decoded pass always, so this alone is no test."""
    found = nothing_decoded(seed, n)
    return {
        "mean picture passes": bool(found.loc["mean picture", "difference_low"] > 0),
        "smooth drawings pass": bool(found.loc["text", "difference_low"] > 0),
    }


def evidence_of_nothing(seed: int, n: int) -> dict[str, bool]:
    found = nothing_decoded(seed, n)
    return {
        "mean picture is evidence": bool(found.loc["mean picture", "evidence"]),
        "smooth drawings are evidence": bool(found.loc["text", "evidence"]),
        "sharp drawings are evidence": bool(found.loc["decoded", "evidence"]),
    }


def decoded_pictures(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Drawings and what was seen; images differ in how well they are decoded."""
    seen = pictures(rng, n)
    share = rng.uniform(0, 0.8, (n, 1))
    return share * seen + (1 - share) * pictures(rng, n), seen


@cache
def true_differences() -> tuple[float, float]:
    """Pixel correlation less that of shuffled brains and less that of the mean picture, over 20,000 other images."""
    found = [
        table(seen, {"decoded": drawn}).loc["decoded"]
        for drawn, seen in map(_decoded_of, range(100))
    ]
    return tuple(
        float(np.mean([row[name] for row in found])) for name in ("difference", "from_mean_picture")
    )


def _decoded_of(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return decoded_pictures(np.random.default_rng([10**6, seed]), 200)


def intervals_of_differences(seed: int, n: int) -> dict[str, bool]:
    drawn, seen = decoded_pictures(np.random.default_rng([seed, n]), n)
    row = table(seen, {"decoded": drawn}).loc["decoded"]
    names = {"difference": "from shuffled brains", "from_mean_picture": "from the mean picture"}
    return {
        f"interval {what} covers": bool(row[f"{name}_low"] <= truth <= row[f"{name}_high"])
        for (name, what), truth in zip(names.items(), true_differences())
    }


def _cases() -> list[Case]:
    cases = []
    for n in (60, 100):
        cases.append(
            Case("seen images, script 5, identification", f"{n} images, nothing decoded",
                 lambda seed, n=n: identification_of_nothing(seed, n), 0.05, 1000, 60)
        )  # fmt: skip
        for noise, identified in ((1.0, "99 %"), (1.5, "96 %"), (4.0, "81 %")):
            cases.append(
                Case("seen images, script 5, interval of two-way identification",
                     f"{n} images, {identified} identified",
                     lambda seed, n=n, noise=noise: interval_of_identification(seed, n, noise), 0.95, 1000, 60)
            )  # fmt: skip
        cases.append(
            Case("seen images, script 5, differences in pixel correlation", f"{n} images, decoded unequally well",
                 lambda seed, n=n: intervals_of_differences(seed, n), 0.95, 500, 30)
        )  # fmt: skip
        cases.append(
            Case("seen images, script 5, evidence in pixel correlation", f"{n} images, nothing decoded",
                 lambda seed, n=n: evidence_of_nothing(seed, n), 0.025, 500, 30)
        )  # fmt: skip
        cases.append(
            Case("the same, better than shuffled brains alone (no test)", f"{n} images, nothing decoded",
                 lambda seed, n=n: better_than_shuffled_brains(seed, n), 1.0, 500, 30)
        )  # fmt: skip
    return cases


CASES: list[Case] = _cases() if EXTRAS_ARE_THERE else []
