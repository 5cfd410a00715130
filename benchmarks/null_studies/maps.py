"""Script 6's tests of group maps on BOLD that tells nothing about the labels, and with an effect in some voxels.

A study is made of windows: films with several viewers, events with a label each, a response to the
film that its viewers share, noise that each viewer has alone, perhaps slow drift. Folds hold out
films, models are fitted and explain the people that they hold out, as scripts 3 to 6 do. So a rate
is that of the whole procedure. With 19 relabellings a p of at most .05 is the smallest p, and a
valid test gives it in exactly 5 % of studies.
"""

from dataclasses import dataclass
from functools import partial

from neuroface.bold import Labels
from neuroface.decoding import solve_each, solve_second_order_each
from neuroface.decoding.calibration import balanced_weights, log_losses, simplest_good_model
from neuroface.decoding.folds import Fold, FoldSettings, make_folds
from neuroface.decoding.linear import solve
from neuroface.maps.group import GroupTest, compare, contrasts_of, group_test, null_of, sign_flips
from neuroface.maps.refits import Refits, second_path, swapped_labels
from neuroface.maps.relabelling import (
    absolute_totals,
    blocks_of_maps,
    explained_windows,
    group_statistics,
    values_of,
)
from null_studies.case import Case

import numpy as np
import pandas as pd
from scipy.signal import lfilter

MASK = np.ones((6, 6, 6), dtype=bool)
N_VOXELS, N_TRS = 216, 2
N_RELABELLINGS = 19
FORMING_P = 0.01
NAMES = Labels("face", "noface")
PLANTED = np.arange(N_VOXELS) < 12  # two rows of voxels


@dataclass(frozen=True)
class Design:
    """A simulated study; strengths are in SDs of the noise of one viewer.

    Parameters
    ----------
    shared : response to the film that its viewers share. drift : slow noise of each viewer.
    effect : of faces in the planted voxels. runs : labels of successive events are the same with
    probability .8.
    everybody : all people see all films.
    """

    films: int
    viewers: int
    events: int
    shared: float
    drift: float = 0.0
    effect: float = 0.0
    runs: bool = False
    everybody: bool = False

    def __str__(self):
        seen = f"{self.viewers} people × all films" if self.everybody else f"{self.viewers} viewers"
        text = f"{self.films} films × {seen} × {self.events} events, shared response {self.shared:g} SD"
        text += f", drift {self.drift:g} SD" if self.drift else ""
        text += ", labels in runs" if self.runs else ""
        return text + (
            f", effect {self.effect:g} SD in {PLANTED.sum()} of {N_VOXELS} voxels"
            if self.effect
            else ""
        )


def simulate(seed: int, design: Design) -> tuple[np.ndarray, pd.DataFrame]:
    """Windows X (n, N_VOXELS, N_TRS), and their table."""
    rng, windows, rows = np.random.default_rng(seed), [], []
    shape = (design.events, N_VOXELS, N_TRS)
    for film in range(design.films):
        is_face = rng.permutation(np.arange(design.events) % 2)
        if design.runs:
            is_face = _in_runs(rng, design.events)
        common = design.shared * _slow(rng, shape, 0.5 if design.runs else 0.0)
        common[:, PLANTED] += design.effect * (is_face - 0.5)[:, None, None]
        for viewer in range(design.viewers):
            drift = design.drift * _slow(rng, shape, 0.9)
            windows.append(common + drift + rng.standard_normal(shape))
            who = f"sub-{viewer}" if design.everybody else f"sub-{film}-{viewer}"
            labels = np.where(is_face == 1, *NAMES)
            rows.append(
                pd.DataFrame({"subject": who, "movie": f"film-{film}", "run": "1", "label": labels})
            )
            rows[-1]["event"] = [f"film-{film} {event}" for event in range(design.events)]
            rows[-1]["first_tr"] = np.arange(design.events) * 20
    return np.concatenate(windows).astype(np.float32), pd.concat(rows, ignore_index=True)


def _slow(rng, shape, rho: float) -> np.ndarray:
    """Noise of SD 1 whose successive events are correlated by ``rho``."""
    noise = rng.standard_normal(shape)
    noise[1:] *= np.sqrt(1 - rho**2)
    return lfilter([1], [1, -rho], noise, axis=0)


def _in_runs(rng, n: int) -> np.ndarray:
    """Labels of which half are 1, most of them the same as their predecessor."""
    while True:
        changes = rng.random(n) < 0.2
        labels = (np.cumsum(changes) + rng.integers(2)) % 2
        if abs(labels.mean() - 0.5) < 0.15:
            return labels


def refits(model: str, X, samples, folds: list[Fold], labels) -> dict[int, Refits]:
    """Models of every fold under each labelling; "best": the type that the fold chooses under the observed labels."""
    n, whole, means = (
        len(X),
        X.reshape(len(X), -1).astype(np.float64),
        X.mean(axis=2, dtype=np.float64),
    )
    kernels = {"linear": whole @ whole.T, "linear-mean": means @ means.T}
    groupings, found, zero = (
        tuple(samples[column].to_numpy(str) for column in ("event", "subject")),
        {},
        np.zeros(n),
    )
    for fold in folds:
        name = _chosen(kernels, labels[:, 0], fold, groupings) if model == "best" else model
        if name == "linear_plus":
            both = kernels["linear"], kernels["linear-mean"]
            fits = list(solve_second_order_each(*both, N_TRS, labels, fold, groupings, 8))
            second = [second_path(fit, kernels["linear-mean"], zero, 0.5, N_TRS) for fit in fits]
            deviation, mean = (
                np.array([fit.deviation for fit in fits]),
                np.array([fit.mean for fit in fits]),
            )
        else:
            solutions = solve_each(kernels[name], labels, fold)
            mean, second = (
                np.stack([one.coefficients for one in solutions]),
                [None] * labels.shape[1],
            )
            deviation, mean = (0 * mean, mean / N_TRS) if name == "linear-mean" else (mean, mean)
        found[fold.number] = Refits(deviation, mean, None, second, zero)
    return found


def _chosen(kernels: dict, y, fold: Fold, groupings) -> str:
    names = ["linear-mean", "linear"]
    logits = [solve(kernels[name], y, fold).inner_logit for name in names]
    known = ~np.isnan(logits[0])
    losses = [log_losses(y[known], logit[known]) for logit in logits]
    return names[
        simplest_good_model(
            losses, tuple(who[known] for who in groupings), balanced_weights(y[known])
        )
    ]


def study(seed: int, design: Design, model: str = "linear", flips: bool = False) -> dict[str, bool]:
    """Whether any voxel or second has a p of at most .05, for each contrast: by relabelling, or by flips."""
    X, samples = simulate(seed, design)
    folds = make_folds(samples, "movie", FoldSettings(4, seed, window_trs=10))
    people = list(samples["subject"].unique())
    labels = swapped_labels(samples, people, N_RELABELLINGS, seed, NAMES.first)
    labels = labels[:, :1] if flips else labels
    samples["model"] = 0
    for fold in folds:
        samples.loc[fold.test, "model"] = fold.number
    fits, parts = refits(model, X, samples, folds, labels), explained_windows(samples)
    contrasts = {name: (contrast, people) for name, contrast in contrasts_of(NAMES).items()}
    if flips:
        return by_flips(seed, X, samples, labels, fits, parts, contrasts, people, design)
    found = {}
    statistics = group_statistics(X, labels, tuple(NAMES), fits, parts, contrasts)
    for name, (contrast, _) in contrasts.items():
        maps = list(statistics[name])
        null = null_of(maps, len(people), MASK, FORMING_P, contrast.two_sided)
        test = compare(
            maps[0].reshape(N_VOXELS, N_TRS), null, len(people), MASK, FORMING_P, contrast.two_sided
        )
        found |= outcomes(f"relabelling, {name}", test, design)
    return found


def by_flips(
    seed, X, samples, labels, fits, parts, contrasts, people, design: Design
) -> dict[str, bool]:
    """The same for sign flips of people, and of films where there are enough."""
    _, maps = next(blocks_of_maps(X, labels, tuple(NAMES), fits, parts, people))
    totals, found = absolute_totals(X, labels, tuple(NAMES), fits, parts, people), {}
    for name in ("face", "face-minus-noface"):
        values = values_of(contrasts[name][0], maps, totals, list(range(len(people))), X[0].size)[
            :, 0
        ]
        films = [samples.loc[samples["subject"] == who, "movie"].iloc[0] for who in people]
        for what, units in {"people": people, "films": films}.items():
            signs = sign_flips(units, 100, seed, True)
            if len(signs) >= 20:
                found |= outcomes(
                    f"flipping {what}, {name}",
                    group_test(values, signs, MASK, FORMING_P, True),
                    design,
                )
    return found


def outcomes(what: str, test: GroupTest, design: Design) -> dict[str, bool]:
    """Whether a voxel, or a cluster, has a p of at most .05; with an effect: a planted voxel, and another one."""
    voxels = (test.p_voxel <= 0.05 + 1e-9).any(axis=1)
    if design.effect:
        return {
            f"{what}: a planted voxel": voxels[PLANTED].any(),
            f"{what}: another voxel": voxels[~PLANTED].any(),
        }
    return {
        f"{what}: a voxel": voxels.any(),
        f"{what}: a cluster": (test.p_cluster <= 0.05 + 1e-9).any(),
    }


DEMO, NNDB = (
    partial(Design, films=4, viewers=2, events=24),
    partial(Design, films=10, viewers=2, events=12),
)


def case(design: Design, n_studies: int, n_small: int = 40, **options) -> Case:
    procedure = f"scripts 3 to 6, model {options.get('model', 'linear')}"
    procedure += ", flips" if options.get("flips") else ""
    return Case(
        procedure, str(design), partial(study, design=design, **options), 0.05, n_studies, n_small
    )


CASES: list[Case] = [
    *(case(NNDB(shared=shared), 200, n_small=30) for shared in (0.0, 0.5, 1.0)),
    case(NNDB(shared=0.5, drift=1.0), 200, n_small=30),
    *(case(DEMO(shared=shared), 200) for shared in (0.0, 0.5, 1.0)),
    case(DEMO(shared=0.5, drift=1.0), 200),
    case(DEMO(shared=0.5, everybody=True), 200),
    case(DEMO(shared=0.5), 200, model="best"),
    case(DEMO(shared=0.5), 60, n_small=5, model="linear_plus"),
]
# Tests that do not hold their rate, and the power of the one that does: shares in which a planted
# voxel is found.
KNOWN_OTHERWISE: list[Case] = [
    *(case(NNDB(shared=shared), 200, flips=True) for shared in (0.0, 1.0)),
    *(case(DEMO(shared=shared), 200, flips=True) for shared in (0.0, 1.0)),
    case(DEMO(shared=0.5, runs=True), 200),
    *(case(DEMO(shared=1.0, effect=effect), 100) for effect in (1.0, 2.0)),
]
