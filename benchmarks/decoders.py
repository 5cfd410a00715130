"""Which model decodes which data: held-out accuracy of every model, and the effect of each part of the training recipe.

    python benchmarks/decoders.py                                    the demo's signal, a product,
                                                                     real annotations: hours
    python benchmarks/decoders.py --data demo --models linear linear_plus      minutes
    python benchmarks/decoders.py --data haxby --haxby data/haxby2001/2-dataset      after scripts 1
                                                                                     and 2 of that
                                                                                     experiment
    python benchmarks/decoders.py --recipes --data demo nndb-10     the voxel-time CNN with one part
                                                                    of the recipe changed
    python benchmarks/decoders.py --blocks --data demo nndb-10      what ridge regression can read
                                                                    after each block of that CNN

Data sets: ``demo``, windows of the demo's signal; ``product``, a signal that no linear model can
read (FFA and OFA move together with a face, in opposite directions without one); ``nndb-10``,
``-30``, ``-85``, NNDb's real annotations (of ``--stimuli``) with a planted linear response in that
many people; ``haxby``; ``mixed`` and ``twin`` of benchmarks/learning_curves.py. Folds hold out
whole films, or runs. All choices use inner validation windows. Results are stored in ``--out`` per
data set, model and seed; a rerun makes only what is missing.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
MODELS = (
    "screened_ridge",
    "linear",
    "linear-mean",
    "clustered_ridge",
    "linear_plus",
    "polynomial_network",
    "paper",
    "voxel_time_cnn",
    "cnn3d",
    "transformer",
    "hybrid",
)
CLOSED = (
    "linear-mean",
    "linear",
    "clustered_ridge",
    "screened_ridge",
    "linear_plus",
)  # simplest first
SMALL = {
    "cnn3d": {"filters": (8, 8, 16), "dense_units": 32},
    "transformer": {"width": 32, "heads": 4, "depth": 2, "feed_forward": 64},
    "hybrid": {"filters": (8, 8, 16), "width": 32, "heads": 4, "depth": 2, "feed_forward": 64},
}
PEOPLE = {"nndb-10": 10, "nndb-30": 30, "nndb-85": 85, "twin": 85}
DATA = ("demo", "product", "nndb-10", "nndb-30", "nndb-85")
EFFECT, NNDB_VOXEL_MM = 0.6, 10
RECIPES = {
    "as released, 150 steps": dict(steps=150, mixup=0.0, estimate=False, decay=False),
    "as released, 400 steps": dict(mixup=0.0, estimate=False, decay=False),
    "+ statistics estimated again": dict(mixup=0.0, decay=False),
    "+ warm-up and cosine": dict(mixup=0.0),
    "+ mixup (robust)": dict(),
    "robust, 150 steps": dict(steps=150),
    "robust, without statistics": dict(estimate=False),
    "robust, constant step size": dict(decay=False),
    "robust, step size 0.001": dict(rate=1e-3),
    "robust, step size 0.0002": dict(rate=2e-4),
    "robust, no dropout": dict(dropout=0.0),
    "robust, no L2": dict(l2=0.0),
    "robust, 32 windows per step": dict(batch=32),
    "robust, voxels in random order": dict(shuffled=True),
}


def settings(**changes) -> SimpleNamespace:
    """Settings of scripts 1 to 3 for these small data sets; networks as small as the demo's."""
    known = dict(
        TRAINING="robust", TRAINING_STEPS=400, EPOCHS=40, BATCH_SIZE=20, LEARNING_RATE="auto", PRECISION="float32", N_JOBS=1,
        INFERENCE_BATCH=64, MODEL_OPTIONS=SMALL, CNN_FILTERS=(8, 8, 8), CNN_DENSE_UNITS=32, WINDOW_TRS=10,
    )  # fmt: skip
    return SimpleNamespace(**known | changes)


# ---------------------------------------------------------------- data


def people_of_films(name: str, files: list[Path]) -> list[int]:
    """People of each film: for ``twin`` those of the paper (all but sub-1), else equally many where possible."""
    if name == "twin":
        participants = pd.read_csv(files[0].with_name("participants.tsv"), sep="\t")
        films = participants.loc[participants["participant_id"] != "sub-1", "task"]
        counts = films.value_counts()
        return [int(counts[file.name.split("_")[0].removeprefix("task-")]) for file in files]
    each, more = divmod(PEOPLE[name], len(files))
    return [each + (number < more) for number in range(len(files))]


def films_of(name: str, stimuli: Path) -> list[tuple[str, np.ndarray, int, int]]:
    """(film, stretches, seconds, people) of a synthetic data set."""
    from neuroface.bold.annotations import read_1d
    from neuroface.face_study import demo

    if name not in PEOPLE:
        seconds = 900 if name == "demo" else 1800
        draws = [
            demo.draw_annotation(np.random.default_rng([42, film]), seconds) for film in range(4)
        ]
        return [(f"film{number}", stretches, seconds, 2) for number, stretches in enumerate(draws)]
    files = sorted(stimuli.glob("task-*_face-annotation.1D"))
    if not files:
        sys.exit(
            f"error: {stimuli} has no task-*_face-annotation.1D. Name the folder of NNDb's annotations: --stimuli"
        )
    people = people_of_films(name, files)
    films = [(file.name.split("_")[0], read_1d(file), n) for file, n in zip(files, people)]
    return [
        (film, stretches, int(stretches.sum(axis=1).max()) + 30, int(n))
        for film, stretches, n in films
    ]


def write_data(name: str, folder: Path, stimuli: Path) -> None:
    """``X.npy``, ``y.npy``, ``samples.tsv`` and ``mask.npy`` of a synthetic data set."""
    from neuroface.bold import Labels, read_rois, sphere_labels, voxel_positions_mm
    from neuroface.bold.annotations import merge_overlaps
    from neuroface.bold.windows import balance, window_table
    from neuroface.face_study import demo

    voxel_mm = NNDB_VOXEL_MM if name in PEOPLE else demo.VOXEL_MM
    mixed = demo.FACE_EFFECT, demo.COUPLING_EFFECT
    effects = {"demo": mixed, "mixed": mixed, "twin": mixed, "product": (0.0, 2.0)}.get(
        name, (EFFECT, 0.0)
    )
    template = demo.load_mni152_gm_template(resolution=voxel_mm)
    brain, rois = (
        template.get_fdata() > demo.GREY_MATTER,
        read_rois(ROOT / "masks" / "face_rois.tsv"),
    )
    positions, labels = voxel_positions_mm(brain, template.affine), Labels("face", "noface")
    regions, weights = sphere_labels(positions, rois), demo._film_weights(positions)
    windows, tables = [], []
    for number, (film, stretches, film_s, people) in enumerate(films_of(name, stimuli)):
        table = window_table(merge_overlaps(stretches), None, labels, 10.0, 1.0, 4.0)
        response = demo._smooth_noise(
            np.random.default_rng([42, number]), weights.shape[1], film_s, seconds=3.0
        )
        for person in range(people):
            rng = np.random.default_rng([42, number, person + 1])
            matrix, _ = demo.draw_person(
                rng, brain, regions, rois["roi"], stretches, film_s, voxel_mm, *effects
            )
            matrix += demo.FILM_EFFECT * weights @ response
            matrix = (matrix - matrix.mean(axis=1, keepdims=True)) / matrix.std(
                axis=1, keepdims=True
            )
            mine = balance(table[table["first_tr"] + 10 <= film_s], labels, 42, f"{film}{person}")
            mine = mine.assign(subject=f"sub-{film}{person}", movie=film, run="")
            tables.append(
                mine.assign(event=film + "_" + mine["label"] + "_" + mine["onset_s"].astype(str))
            )
            windows += [matrix[:, first : first + 10].copy() for first in mine["first_tr"]]
    folder.mkdir(parents=True, exist_ok=True)
    samples = pd.concat(tables, ignore_index=True)
    np.save(folder / "mask.npy", brain)
    np.save(folder / "y.npy", (samples["label"] == "face").to_numpy(np.int8))
    samples.to_csv(folder / "samples.tsv", sep="\t", index=False)
    np.save(folder / "X.npy", np.stack(windows))


def open_data(name: str, folder: Path):
    """Windows and folds of a data set."""
    from neuroface.decoding import Windows, write_kernel
    from neuroface.decoding.folds import FoldSettings, make_folds

    samples = pd.read_csv(
        folder / "samples.tsv", sep="\t", dtype={"run": str}, keep_default_na=False
    )
    events, people = (samples[column].to_numpy(str) for column in ("event", "subject"))
    windows = Windows(folder, folder, np.load(folder / "mask.npy"), events, people, {})
    for kernel in ("linear", "linear-mean"):
        if not windows.kernel_file(kernel).exists():
            write_kernel(windows, kernel)
    split, n_folds = ("run", 12) if name == "haxby" else ("movie", 4)
    return (
        windows,
        samples,
        make_folds(samples, split, FoldSettings(n_folds, 42, windows.X.shape[2])),
    )


# ---------------------------------------------------------------- models


def run(name: str, model: str, seed: int, recipe: dict, folder: Path, target: Path) -> None:
    """Fit a model to all folds of a data set and store its held-out and inner logits, and weights of ridge classifiers."""
    from neuroface.decoding import fit_fold, logit_network, predict_logits
    from neuroface.decoding.closed_form import window_weights
    from neuroface.decoding.fit import seed_of_member
    from neuroface.decoding.fold_files import is_linear
    from neuroface.face_study import training_settings

    windows, samples, folds = open_data(name, folder)
    changes = {"WINDOW_TRS": windows.X.shape[2]} | change_recipe(recipe)
    if model == "paper":
        changes |= {
            "TRAINING": "paper",
            "LEARNING_RATE": 2e-4,
            "EPOCHS": 150 if name == "haxby" else 40,
        }
    cfg, rows, started = settings(**changes), [], time.process_time()
    order = (
        np.random.default_rng(0).permutation(windows.X.shape[1]) if recipe.get("shuffled") else None
    )
    weights = []
    for fold in folds:
        architecture = "voxel_time_cnn" if model == "paper" else model
        fitted = fit_fold(
            architecture,
            windows,
            fold,
            training_settings(cfg),
            seed_of_member(42, fold.number, seed),
            order,
        )
        logit = predict_logits(logit_network(fitted.network), windows.X, 64, fold.test, order)
        if is_linear(architecture):
            weights.append(window_weights(fitted.network))
        for kind, which, values in (
            ("held-out", fold.test, logit),
            ("inner", fitted.inner_rows, fitted.inner_logit),
        ):
            rows.append(
                pd.DataFrame({"fold": fold.number, "kind": kind, "row": which, "logit": values})
            )
    if weights:
        np.save(weights_of(target), np.stack(weights))
    table = pd.concat(rows).assign(cpu_s=time.process_time() - started)
    table.to_csv(target, sep="\t", index=False)


def change_recipe(recipe: dict) -> dict:
    """Change parts of the recipe that are no settings; returns the settings that change."""
    from neuroface.decoding import network, recipes, training

    training.MIXUP = recipe.get("mixup", recipes.MIXUP)
    if not recipe.get("estimate", True):
        recipes.estimate_normalization = lambda *_: None
    if not recipe.get("decay", True):
        training.decaying_rate = lambda rate, *_: rate
    if "dropout" in recipe:
        network.BLOCKS, network.DENSE_DROPOUT = (
            tuple((k, p, 0.0) for k, p, _ in network.BLOCKS),
            0.0,
        )
    network.L2 = recipe.get("l2", network.L2)
    names = {"steps": "TRAINING_STEPS", "rate": "LEARNING_RATE", "batch": "BATCH_SIZE"}
    return {setting: recipe[name] for name, setting in names.items() if name in recipe}


def aucs_after_blocks(name: str, folder: Path, seeds: int) -> dict[str, float]:
    """Held-out AUC of ridge regression on the input, and on the output of each pooling of the untrained voxel-time CNN.

    Means over ``seeds`` random initial weights. What no linear classifier can read there, the dense
    layer can hardly read.
    """
    from neuroface.decoding import window_kernel
    from neuroface.decoding.linear import solve
    from neuroface.decoding.network import build_network
    from neuroface.pipeline import keras

    from sklearn.metrics import roc_auc_score

    windows, _, folds = open_data(name, folder)
    X, y = np.array(windows.X), windows.y.astype(int)

    def auc_of(features: np.ndarray) -> float:
        kernel = window_kernel(iter([features.reshape(len(y), -1)]))
        logit = np.full(len(y), np.nan)
        for fold in folds:
            solution = solve(kernel, y, fold)
            logit[fold.test] = (kernel @ solution.coefficients + solution.intercept)[fold.test]
        return float(roc_auc_score(y, logit))

    aucs: dict[str, list[float]] = {"input": [auc_of(X)]}
    cfg = settings()
    for seed in range(1, seeds + 1):
        keras.utils.set_random_seed(seed)
        network = build_network(*X.shape[1:], cfg.CNN_FILTERS, cfg.CNN_DENSE_UNITS)
        pools = [layer for layer in network.layers if isinstance(layer, keras.layers.MaxPooling2D)]
        for number, pool in enumerate(pools, 1):
            passed = keras.Model(network.input, pool.output)
            batches = [X[start : start + 20, ..., None] for start in range(0, len(X), 20)]
            features = np.concatenate([np.asarray(passed(batch)) for batch in batches])
            aucs.setdefault(f"pooling {number}", []).append(auc_of(features))
    return {block: float(np.mean(values)) for block, values in aucs.items()}


# ---------------------------------------------------------------- tables


def scores(folder: Path, files: list[Path]) -> dict:
    """Scores with the interval over films (Haxby: runs), range over seeds, CPU seconds of one training of all folds."""
    from neuroface.decoding.metrics import scores as score
    from neuroface.decoding.uncertainty import intervals_of_split, noise_share_of

    y = np.load(folder / "y.npy").astype(int)
    samples = pd.read_csv(folder / "samples.tsv", sep="\t", dtype=str)
    tables = [
        pd.read_csv(file, sep="\t").query("kind == 'held-out'").sort_values("row") for file in files
    ]
    logits = np.stack([table["logit"].to_numpy() for table in tables])
    y, samples = y[tables[0]["row"]], samples.iloc[tables[0]["row"]]
    probability = 1 / (1 + np.exp(-logits.mean(axis=0)))
    split = "run" if folder.name == "haxby" else "movie"
    result = score(y, probability)
    weights = weights_of(files[0])
    share = noise_share_of(np.load(weights)) if weights.exists() else None
    interval = intervals_of_split(y, probability, samples, split, share)["scores"]
    seeds = [score(y, 1 / (1 + np.exp(-one)))["balanced_accuracy"] for one in logits]
    return {
        "balanced accuracy": f"{result['balanced_accuracy']:.3f}",
        "AUC [over films, Haxby: runs]": f"{result['auc']:.3f}"
        + (" [{:.3f}, {:.3f}]".format(*interval["auc"]) if "auc" in interval else ""),
        "seeds": f"{min(seeds):.3f} – {max(seeds):.3f}" if len(seeds) > 1 else "–",
        "CPU s": f"{np.mean([table['cpu_s'].iloc[0] for table in tables]):.0f}",
    }


def best_of(name: str, folder: Path, out: Path, models: list[str]) -> Path:
    """Held-out logits of the model that inner validation windows choose in each fold, as a file like the others."""
    from neuroface.decoding.calibration import balanced_weights, log_losses, simplest_good_model

    _, samples, folds = open_data(name, folder)
    y, parts, chosen = np.load(folder / "y.npy"), [], []
    groupings = [samples[column].to_numpy(str) for column in ("event", "subject")]
    files = {model: sorted(out.glob(f"{name}_{model}_*.tsv")) for model in models}
    tables = {
        model: pd.concat(pd.read_csv(file, sep="\t") for file in of) for model, of in files.items()
    }
    means = {
        model: table.groupby(["fold", "kind", "row"])["logit"].mean()
        for model, table in tables.items()
    }

    def simplest(names, fold):
        inner = [means[model].loc[fold, "inner"] for model in names]
        rows = sorted(set.intersection(*(set(logit.index) for logit in inner)))
        losses = [log_losses(y[rows], logit.loc[rows].to_numpy()) for logit in inner]
        return names[
            simplest_good_model(
                losses, tuple(names[rows] for names in groupings), balanced_weights(y[rows])
            )
        ]

    closed = [model for model in CLOSED if model in models]
    networks = [model for model in models if model not in (*CLOSED, "paper")]
    for fold in folds:
        chosen.append(simplest([simplest(closed, fold.number), *networks], fold.number))
        part = means[chosen[-1]].loc[fold.number, "held-out"].reset_index()
        parts.append(part.assign(fold=fold.number, kind="held-out", cpu_s=0.0))
    print(f"{name}: the best models of the folds are {', '.join(chosen)}")
    target = out / f"best_{name}.tsv"
    pd.concat(parts).to_csv(target, sep="\t", index=False)
    return target


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", default=list(DATA))
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument(
        "--recipes", action="store_true", help="change one part of the recipe at a time"
    )
    parser.add_argument(
        "--blocks", action="store_true", help="ridge regression after each block of the CNN"
    )
    parser.add_argument("--haxby", type=Path, default=ROOT / "data" / "haxby2001" / "2-dataset")
    parser.add_argument("--stimuli", type=Path, default=ROOT / "tests" / "data" / "nndb")
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "benchmark-decoders")
    parser.add_argument("--one", nargs=3, metavar=("DATA", "MODEL", "SEED"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.one:
        name, case, seed = options.one
        model, recipe = ("voxel_time_cnn", RECIPES[case]) if case in RECIPES else (case, {})
        run(
            name,
            model,
            int(seed),
            recipe,
            options.out / name,
            file_of(options.out, name, case, seed),
        )
        return
    for name in options.data:
        prepare(name, options)
        if options.blocks:
            aucs = aucs_after_blocks(name, options.out / name, options.seeds)
            print(f"{name}: " + ", ".join(f"{block} {auc:.3f}" for block, auc in aucs.items()))
            continue
        cases, rows = list(RECIPES) if options.recipes else options.models, []
        for case in cases:
            seeds = range(1, 2 if case in CLOSED else options.seeds + 1)
            for seed in seeds:
                if not file_of(options.out, name, case, seed).exists():
                    call = [
                        sys.executable,
                        __file__,
                        "--one",
                        name,
                        case,
                        str(seed),
                        "--out",
                        str(options.out),
                    ]
                    subprocess.run(call, check=True)
            rows.append(
                (
                    case,
                    scores(
                        options.out / name,
                        [file_of(options.out, name, case, seed) for seed in seeds],
                    ),
                )
            )
        if not options.recipes and {"linear", "linear-mean"} <= set(cases):
            rows.append(
                (
                    "best",
                    scores(
                        options.out / name, [best_of(name, options.out / name, options.out, cases)]
                    ),
                )
            )
        print(
            f"\n## {name}\n\n| model | {' | '.join(rows[0][1])} |\n|{'---|' * (len(rows[0][1]) + 1)}"
        )
        print(
            "\n".join(f"| {case} | {' | '.join(row.values())} |" for case, row in rows), flush=True
        )


def file_of(out: Path, name: str, case: str, seed) -> Path:
    return out / f"{name}_{case.replace(' ', '-').replace('(', '').replace(')', '')}_{seed}.tsv"


def weights_of(predictions: Path) -> Path:
    """Weights (n_folds, n_features) of ridge classifiers, beside their predictions; other models have no such file."""
    return predictions.with_suffix(".npy")


def prepare(name: str, options) -> None:
    """The data set's folder in ``--out``."""
    folder = options.out / name
    if name == "haxby" and not folder.exists():
        from neuroface.bold import read_mask

        if not (options.haxby / "X.npy").exists():
            sys.exit(
                f"error: {options.haxby} has no X.npy. Run scripts 1 and 2 with experiments/haxby2001.py first."
            )
        shutil.copytree(options.haxby, folder)
        np.save(
            folder / "mask.npy",
            read_mask(options.haxby.parent / "1-windows" / "group_mask.nii.gz")[0],
        )
    elif not (folder / "X.npy").exists():
        write_data(name, folder, options.stimuli)


if __name__ == "__main__":
    main()
