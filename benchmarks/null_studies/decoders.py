"""Closed-form decoders: p of the leakage ladder under noise, and whether a second path is used on linear data.

Windows hold noise of each viewer, a response to the film that its viewers share, and drift over the
time of a run. None of them has to do with the labels.
"""

from functools import partial

from null_studies.case import Case

import numpy as np
import pandas as pd

FILMS, VIEWERS, EVENTS, FEATURES = 5, 2, 24, 300
SHARED_SD, DRIFT_SD = 1.0, 0.5
N_SWAPS = 39  # the smallest p is .025


def null_samples() -> pd.DataFrame:
    """A row per window: films × viewers × events, labels in turn."""
    rows = []
    for film in range(FILMS):
        for viewer in range(VIEWERS):
            for event in range(EVENTS):
                label = "face" if event % 2 else "noface"
                rows.append(
                    (
                        f"sub-{film}{viewer}",
                        f"film{film}",
                        "",
                        label,
                        f"film{film}_{event}",
                        event * 20,
                    )
                )
    return pd.DataFrame(rows, columns=["subject", "movie", "run", "label", "event", "first_tr"])


def null_windows(rng: np.random.Generator, samples: pd.DataFrame) -> np.ndarray:
    """(n, FEATURES): noise, a response shared by the viewers of a film, and a linear drift per viewer."""
    moment, _ = pd.factorize(samples["event"])
    viewer, _ = pd.factorize(samples["subject"])
    time = samples["first_tr"].to_numpy() / samples["first_tr"].max() - 0.5
    shared = SHARED_SD * rng.standard_normal((moment.max() + 1, FEATURES))
    drift = DRIFT_SD * np.sqrt(12) * rng.standard_normal((viewer.max() + 1, FEATURES))
    noise = rng.standard_normal((len(samples), FEATURES))
    spectrum = 1 / np.sqrt(1 + np.arange(FEATURES))  # voxels are correlated
    return (shared[moment] + drift[viewer] * time[:, None] + noise) * spectrum


def ladder_study(seed: int) -> dict[str, bool]:
    """Whether the cross-validated accuracy of noise reaches p ≤ .05, with films and with moments held out."""
    from neuroface.decoding.folds import FoldSettings, make_folds
    from neuroface.decoding.linear import scores_by_split

    rng, samples = np.random.default_rng(seed), null_samples()
    # Labels are drawn as the null draws them: as many faces in each film, at random moments.
    moments = samples.drop_duplicates("event")
    drawn = moments.groupby("movie")["label"].transform(
        lambda part: rng.permutation(part.to_numpy())
    )
    samples["label"] = samples["event"].map(dict(zip(moments["event"], drawn)))
    X = null_windows(rng, samples)
    folds = {
        split: make_folds(samples, split, FoldSettings(FILMS, 42, window_trs=10))
        for split in ("movie", "event")
    }
    y = (samples["label"] == "face").to_numpy(np.int8)
    scores = scores_by_split(X @ X.T, y, samples, folds, N_SWAPS, seed, "face")
    return {f"p ≤ .05, {split} folds": scores[split]["p"] <= 0.05 for split in folds}


def linear_study(effect: float, seed: int) -> dict[str, bool]:
    """Whether ``linear_plus`` uses its second path where people differ in gain and the signal is linear."""
    from neuroface.decoding.folds import Fold
    from neuroface.decoding.second_order import solve_second_order

    rng, films, viewers, events, features = np.random.default_rng(seed), 4, 2, 28, 600
    film = np.repeat(np.arange(films), viewers * events)
    moment = np.tile(np.arange(events), films * viewers)
    label = moment % 2
    gain = np.repeat(rng.uniform(0.6, 1.4, films * viewers), events)
    shared = 0.5 * rng.standard_normal((films, 1, events, features))
    X = (shared + rng.standard_normal((films, viewers, events, features))).reshape(
        len(film), features
    )
    X[:, :40] += (gain * effect * (label - 0.5))[:, None]
    rows = np.arange(len(film))
    pairs = [
        (rows[(film != 0) & (film != inner)], rows[film == inner]) for inner in range(1, films)
    ]
    fold = Fold(1, *pairs[0], rows[film == 0], "movie", further_inner=tuple(pairs[1:]))
    names = np.array([f"{one}_{other}" for one, other in zip(film, moment)])
    found = solve_second_order(
        X @ X.T, X @ X.T, 1, label, fold, (names, np.repeat(np.arange(films * viewers), events)), 8
    )
    return {"second path used": found.chosen["second_order"] > 0}


LADDER_DESIGN = f"{FILMS} films × {VIEWERS} viewers, shared response of {SHARED_SD:g} SD, drift of {DRIFT_SD:g} SD"
CASES: list[Case] = [
    Case("script 3, ladder", LADDER_DESIGN, ladder_study, 0.05, 400, 15)  # the same folds whatever SELECTION says
] + [
    Case("script 3, linear_plus", f"linear signal of {effect} SD, people of different gain",
         partial(linear_study, effect), 0.05, 48, 12)
    for effect in (0.7, 1.0, 1.4)
]  # fmt: skip
