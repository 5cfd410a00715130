"""A new person with minutes of another film: held-out AUC without and with alignment and a refit of the decoder.

    python benchmarks/new_people.py                       four draws of 12 people: about five CPU
                                                          minutes
    python benchmarks/new_people.py --draws 1 --new 1     smaller

Each draw has ``--training`` people who watched film A and film B, and ``--new`` people who watched
A and C. The signal is the demo's. Each person's regions are moved and turned as a whole, by a
translation of SD ``--shift-mm`` per axis and rotations of SD ``--degrees`` about each axis. The
decoder is ridge regression on mean volumes of the training people's windows of A and B. New people
give their first 2, 5, 10 or 20 minutes of A; film C is decoded. Intervals are over draws.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
MINUTES = (2, 5, 10, 20)
FILM_S = {"A": 1200, "B": 900, "C": 900}
WINDOW_TRS, LAG_S = 10, 4.0
SECONDS_PER_BLOCK = 60
WAYS = ("group", "own", "refit", "aligned", "aligned, refit")


def main(options: argparse.Namespace) -> None:
    rows = []
    for draw in range(options.draws):
        rows += scores_of_draw(np.random.default_rng([options.seed, draw]), options)
        print(f"draw {draw + 1} of {options.draws} is done", file=sys.stderr, flush=True)
    table = table_of(pd.DataFrame(rows))
    print("| " + " | ".join(table.columns) + " |\n|" + "---|" * len(table.columns))
    for row in table.itertuples(index=False):
        print("| " + " | ".join(map(in_words, row)) + " |")


def in_words(value) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def table_of(scores: pd.DataFrame) -> pd.DataFrame:
    """Mean AUC over draws with its t interval, and the worst change of a person against the group's decoder."""
    from scipy.stats import t

    group = scores[scores["way"] == "group"].set_index(["draw", "person"])["auc"]
    rows = []
    for (way, minutes), some in scores.groupby(["way", "minutes"], sort=False):
        gains = some.set_index(["draw", "person"])["auc"] - group
        of_draws = some.groupby("draw")["auc"].mean()
        n = len(of_draws)
        half = t.ppf(0.975, n - 1) * of_draws.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
        low, high = np.clip([of_draws.mean() - half, of_draws.mean() + half], 0, 1)
        rows.append(
            {
                "decoder": way,
                "minutes": minutes,
                "AUC": of_draws.mean(),
                "95 % interval": f"[{low:.3f}, {high:.3f}]",
                "mean gain": gains.mean(),
                "worst person's gain": gains.min(),
            }
        )
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- data


def moved(positions_mm: np.ndarray, rng: np.random.Generator, shift_mm: float, degrees: float):
    """Positions as a person's brain has them: turned about the centre of the brain, then shifted."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("xyz", rng.normal(0, degrees, 3), degrees=True)
    centre = positions_mm.mean(axis=0)
    return turn.apply(positions_mm - centre) + centre + rng.normal(0, shift_mm, 3)


def draw_group(rng: np.random.Generator, options: argparse.Namespace):
    """Per person and film: standardised BOLD (n_voxels, n_trs); tables of windows per film; positions of voxels."""
    from neuroface.bold import Labels, read_rois, sphere_labels, voxel_positions_mm
    from neuroface.bold.annotations import merge_overlaps
    from neuroface.bold.windows import window_table
    from neuroface.decoding.new_person import standardized
    from neuroface.face_study import demo

    template = demo.load_mni152_gm_template(resolution=options.mm)
    brain = template.get_fdata() > demo.GREY_MATTER
    rois = read_rois(ROOT / "masks" / "face_rois.tsv")
    positions, labels = voxel_positions_mm(brain, template.affine), Labels("face", "noface")
    stretches = {film: demo.draw_annotation(rng, film_s) for film, film_s in FILM_S.items()}
    responses = {
        film: demo._smooth_noise(rng, len(demo.FILM_REGIONS), film_s, seconds=3.0)
        for film, film_s in FILM_S.items()
    }
    tables = {}
    for film, film_s in FILM_S.items():
        table = window_table(
            merge_overlaps(stretches[film]), None, labels, WINDOW_TRS, demo.TR_S, LAG_S
        )
        tables[film] = table[table["first_tr"] + WINDOW_TRS <= film_s].reset_index(drop=True)

    people = []
    for person in range(options.training + options.new):
        own_mm = moved(positions, rng, options.shift_mm, options.degrees)
        regions, weights = sphere_labels(own_mm, rois), demo._film_weights(own_mm)
        bold = {}
        for film in ("A", "B" if person < options.training else "C"):
            matrix, _ = demo.draw_person(
                rng, brain, regions, rois["roi"], stretches[film], FILM_S[film], options.mm,
                options.effect, 0.0,
            )  # fmt: skip
            matrix += demo.FILM_EFFECT * weights @ responses[film]
            bold[film] = standardized(matrix)
        people.append(bold)
    return people, tables, positions


def features_of(matrix: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Mean volume (n_windows, n_voxels) of each window."""
    return np.stack(
        [matrix[:, first : first + WINDOW_TRS].mean(axis=1) for first in table["first_tr"]]
    )


# ---------------------------------------------------------------- decoders


def scores_of_draw(rng: np.random.Generator, options: argparse.Namespace) -> list[dict]:
    from neuroface.decoding.new_person import (
        align_to_template,
        group_template,
        spatial_parcels,
        standardized,
    )

    people, tables, positions = draw_group(rng, options)
    labels = {film: (table["label"] == "face").to_numpy(int) for film, table in tables.items()}
    training, new = people[: options.training], people[options.training :]
    parcels = spatial_parcels(positions)
    template, rotations = group_template([person["A"] for person in training], parcels)
    plain = group_decoder(training, tables, labels)
    aligned_training = [
        {film: rotation @ matrix for film, matrix in person.items()}
        for person, rotation in zip(training, rotations)
    ]
    aligned_decoder = group_decoder(aligned_training, tables, labels)

    rows = []
    draw = int(rng.integers(2**31))
    for number, person in enumerate(new):
        known = {"draw": draw, "person": number}

        def row(way: str, minutes: int, values: np.ndarray, known=known) -> dict:
            return known | {"way": way, "minutes": minutes, "auc": area(labels["C"], values)}

        features = features_of(person["C"], tables["C"])
        rows.append(row("group", 0, features @ plain[0] + plain[1]))
        for minutes in MINUTES:
            watched = slice(0, minutes * 60)
            first = tables["A"]["first_tr"] + WINDOW_TRS <= minutes * 60
            seen = tables["A"][first], labels["A"][first.to_numpy()]
            of_a = features_of(person["A"], seen[0])
            rows.append(row("own", minutes, own_values(of_a, seen, features)))
            rows.append(row("refit", minutes, refit_values(of_a, seen, features, plain)))
            rotation, weight = align_to_template(
                standardized(person["A"][:, watched]), template[:, watched], parcels
            )
            # Nobody is turned on evidence that is too weak; the decoder is then that of the group as it is.
            decoder = plain if np.isinf(weight) else aligned_decoder
            turned = features @ rotation.T
            turned_a = of_a @ rotation.T
            rows.append(row("aligned", minutes, turned @ decoder[0]))
            rows.append(
                row("aligned, refit", minutes, refit_values(turned_a, seen, turned, decoder))
            )
    return rows


def area(y: np.ndarray, values: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(y, values))


def group_decoder(people: list[dict], tables: dict, labels: dict) -> tuple[np.ndarray, float]:
    """Weights (n_voxels,) and intercept of ridge regression on all windows of films A and B; penalty chosen over people."""
    from neuroface.decoding.division import Fold
    from neuroface.decoding.linear import solve, window_kernel

    X = np.concatenate(
        [features_of(person[film], tables[film]) for person in people for film in ("A", "B")]
    ).astype(np.float32)
    y = np.concatenate([labels[film] for _ in people for film in ("A", "B")])
    each = len(labels["A"]) + len(labels["B"])
    owner = np.repeat(np.arange(len(people)), each)
    rows = np.arange(len(y))
    first, *further = [(rows[owner % 4 != group], rows[owner % 4 == group]) for group in range(4)]
    fold = Fold(1, *first, rows[:0], "subject", further_inner=tuple(further))
    solution = solve(window_kernel(iter([X])), y, fold)
    weights = solution.coefficients @ (X - X.mean(axis=0))
    return weights, float(solution.intercept - weights @ X.mean(axis=0))


def own_values(of_a: np.ndarray, seen: tuple, features: np.ndarray) -> np.ndarray:
    """Decision values of ridge regression on the person's own windows only; NaN-free: 0 where they have one class."""
    from sklearn.linear_model import RidgeClassifierCV

    table, y = seen
    if len(np.unique(y)) < 2:
        return np.zeros(len(features))
    alphas = np.geomspace(1, 1e5, 11)
    model = RidgeClassifierCV(alphas=alphas, class_weight="balanced").fit(of_a, y)
    return model.decision_function(features)


def refit_values(of_a: np.ndarray, seen: tuple, features: np.ndarray, decoder: tuple) -> np.ndarray:
    from neuroface.decoding.new_person import decision, refit_head

    table, y = seen
    weights, intercept = decoder
    centre = of_a.mean(axis=0)
    blocks = (table["first_tr"].to_numpy() // SECONDS_PER_BLOCK).astype(int)
    kernel = (of_a - centre) @ (of_a - centre).T
    refit = refit_head(of_a @ weights + intercept, kernel, y, blocks)
    across = (features - centre) @ (of_a - centre).T
    return decision(refit, features @ weights + intercept, across)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--training", type=int, default=8)
    parser.add_argument("--new", type=int, default=4)
    parser.add_argument("--shift-mm", type=float, default=6.0)
    parser.add_argument("--degrees", type=float, default=6.0)
    parser.add_argument("--effect", type=float, default=1.0)
    parser.add_argument("--mm", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main(parse())
