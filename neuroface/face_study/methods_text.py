"""A paragraph for a methods section, generated from the settings that were used; and the paper's settings."""

from pathlib import Path

from neuroface.attribution import SECANT_STEPS
from neuroface.bold import denoise_sentences, open_image, stimuli_of, words_of_places
from neuroface.decoding import CLOSED_FORM, LEAST_CLUSTERS, LEAST_FILMS_TO_DIVIDE, learning_rates
from neuroface.face_study.settings import rois_name
from neuroface.face_study.words import WORDS, named_labels
from neuroface.pipeline import read_json, read_table

import numpy as np
import pandas as pd

# The paper's values of the settings that it states; experiments/nndb.py sets those that are not our
# defaults.
PAPER = {
    "SEED": 42, "TR_S": 1.0, "LAG_S": 4.0, "WINDOW_TRS": 10, "MIN_STRETCH_S": 10.0, "STANDARDIZE": "none",
    "BALANCE": "run", "MATCH_ON": [], "MASK_THRESHOLD": 0.99, "MASK_FILE": None, "CV_SPLITS": ["window"], "N_FOLDS": 4,
    "SELECTION": "paper", "CNN_FILTERS": [64, 32, 32], "CNN_DENSE_UNITS": 128, "TRAINING": "paper", "EPOCHS": 150,
    "BATCH_SIZE": 20, "LEARNING_RATE": "auto", "N_SEEDS": 1, "EXPLAINED_MODEL": "voxel_time_cnn", "SMOOTH_TRS": 1,
    "HELD_OUT_SPLIT": "window", "ATTRIBUTION_METHODS": ["ig"], "EXPLAIN": "best fold",
    "ATTRIBUTION_BASELINE": "zero", "SMOOTHGRAD_DRAWS": 0, "IG_RULE": "right", "IG_STEPS": 200,
}  # fmt: skip
REFERENCES = Path(__file__).with_name("references.tsv")
KEPT_OUT = {
    "window": "single windows",
    "subject": "whole people",
    "event": "moments of a film, for all its viewers",
    "run": "whole runs",
    "part": "whole parts of films (what a run shows), with all their viewers",
    "movie": "whole films, with all their viewers",
}
BASELINES = {
    "linear": "ridge regression on whole windows (Saunders et al. 1998)",
    "linear-mean": "ridge regression on windows averaged over time",
    "shuffled-cnn": "the voxel-time network with voxels in random order",
}
MODELS = {
    "voxel_time_cnn": "the voxel-time network",
    "screened_ridge": "ridge regression on the tenth of the voxels whose means over time correlated best with the label in "
    "the training windows, weighted by this correlation, or on all voxels, whichever separated the classes better on inner "
    "validation windows (Fan & Lv 2008; Zou 2006)",
    "clustered_ridge": "ridge regression on means of clusters of neighbouring voxels, which were formed on the training "
    "windows (Ward 1963; Thirion et al. 2014)",
    "linear_plus": "a linear classifier with a second-order path (ridge regression with a linear and a quadratic kernel)",
    "linear": "ridge regression on whole windows",
    "linear-mean": "ridge regression on windows averaged over time",
    "best": "in each fold the simplest model whose loss on inner validation windows was within one standard error of the "
    "lowest (Breiman et al. 1984)",
    "polynomial_network": "a polynomial network of degree 2 on the mean volume, with a trained gate for each voxel "
    "(Blondel et al. 2016; Hoff 2017)",
    "cnn3d": "a 3D convolutional network of each volume, averaged over volumes",
    "transformer": "a Transformer encoder over volumes (Vaswani et al. 2017)",
    "hybrid": "a 3D convolutional network of each volume with a Transformer encoder over volumes (Vaswani et al. 2017)",
}
CHECKS = {
    "steps": "many more steps",
    "baselines": "other baselines",
    "weights": "networks with random weights (Adebayo et al. 2018)",
    "deletion": "deletion of their top voxels",
    "labels": "a network trained on shuffled labels",
}


def facts_of(root: Path) -> dict:
    """Counts that the paragraph names, from the results of scripts 1, 2, 6 and 8."""
    samples = read_table(root / "2-dataset" / "samples.tsv")
    facts = {
        "people": samples["subject"].nunique(),
        "films": samples["movie"].nunique(),
        "runs": len(samples[["subject", "movie", "run"]].drop_duplicates()),
        "parts": len(set(stimuli_of(samples))),
        "windows": samples["label"].value_counts().to_dict(),
        "voxels": int(
            np.count_nonzero(open_image(root / "1-windows" / "group_mask.nii.gz").dataobj)
        ),
    }
    facts["places"] = words_of_places(root / "1-windows")
    tests = [
        read_json(file) for file in sorted((root / "6-averages").glob("group_contrast-*_test.json"))
    ]
    if tests:
        facts["tests"] = {
            test["test"]: {n: test.get(n) for n in ("relabellings", "flips", "units")}
            for test in tests
        }
    if (timelines := root / "8-predictions" / "metrics.json").exists():
        facts["moments_unseen"] = read_json(timelines)["n_runs_unseen"] > 0
    return facts


def methods_paragraph(
    settings: dict, facts: dict, done: set[int], versions: dict, commit: str, backends: set[str]
) -> tuple[str, list[str]]:
    """The paragraph, and the references that it cites.

    Parameters
    ----------
    settings : settings as stamped. facts : result of :func:`facts_of`. done : numbers of the scripts that have
    finished, 2 among them.
    backends : backends of the networks: "tensorflow", "jax", or both.
    """
    parts = [_data(settings, facts)]
    parts += [text(settings, facts) for number, text in _OF_SCRIPT.items() if number in done]
    libraries = {"jax": "JAX", "tensorflow": "TensorFlow", "keras": "Keras", "nilearn": "nilearn"}
    names = {*backends, "nilearn"} | ({"keras"} if backends else set())
    used = [f"{words} {versions[name]}" for name, words in libraries.items() if name in names]
    parts.append(
        f"Analyses used NeuroFaceCNN {versions['neuroface']} (commit {commit}) with {_and(used)} (Abraham et al. 2014); "
        f"all random draws used the seed {settings['SEED']}."
    )
    text = " ".join(sentence for sentence in parts if sentence)
    references = pd.read_csv(REFERENCES, sep="\t")
    return text, [row.reference for row in references.itertuples() if row.cited_as in text]


def _data(s: dict, f: dict) -> str:
    balance = {
        "run": "In each run, random windows of the larger class were removed until both classes were equal",
        "none": "All windows were kept",
    }
    if s["MATCH_ON"]:
        alike = f"alike in {_and([name.replace('_', ' ') for name in s['MATCH_ON']])} of the film"
        balance["run"] = f"In each run windows of both classes were paired to be {alike}, "
        balance["run"] += f"at most {s['MATCH_WITHIN_SD']:g} SD apart (Rosenbaum 1989)"
    scale = {
        "zscore": "Each voxel had mean 0 and SD 1 over its run.",
        "none": "BOLD was not standardised.",
    }
    source = {
        "demo": "synthetic, with a known truth",
        "nndb-v1": "Naturalistic Neuroimaging Database, version 1, Aliko et al. 2020",
        "nndb-v2": f"Naturalistic Neuroimaging Database, version 2, {s.get('NNDB_VARIANT')}, Aliko et al. 2020",
        "bids": "files with “" + s["BIDS_FILTER"] + "” in their name"
        if s.get("BIDS_FILTER")
        else "BIDS",
    }[s["DATASET"]]
    who = "1 person" if f["people"] == 1 else f"{f['people']} people"
    films = "1 film or task" if f["films"] == 1 else f"{f['films']} films or tasks"
    text = f"We analysed fMRI (TR {s['TR_S']:g} s; {source}) of {who} who saw {films}."
    if s["EXCLUDE"]:
        text += f" {_and(s['EXCLUDE'])} {'was' if len(s['EXCLUDE']) == 1 else 'were'} left out."
    if s["INCLUDE"]:
        text += f" Of the data set only {_and(s['INCLUDE'])} {'was' if len(s['INCLUDE']) == 1 else 'were'} used."
    labels = named_labels(s["LABELS"])
    first, second = (s["LABEL_EVENTS"][label] for label in labels)
    column = "" if s["EVENT_COLUMN"] == "trial_type" else f" in column {s['EVENT_COLUMN']}"
    events = (
        f" ({_and(first)}{column})" if s["DATASET"] == "bids" or first != [labels.first] else ""
    )
    others = (
        f"of {_and(second)}"
        if second
        else "without one"
        if labels.first in WORDS
        else f"without {labels.singular}"
    )
    there = labels.is_there.replace(" is ", " ", 1)
    counts = [
        f"{f['windows'][label]:,} {title.replace(' ', '-')}"
        for label, title in zip(labels, labels.titles)
    ]
    where = (
        f"of a given mask ({_path(s['MASK_FILE'])})"
        if s["MASK_FILE"]
        else f"that lie in more than {s['MASK_THRESHOLD']:.4g} of the individual brain masks"
    )
    if s["DATASET"] == "bids" and s["JOIN_GAP_S"]:
        gap_s = s["JOIN_GAP_S"]
        others += f" (trials of one type in a row, at a regular pace and at most {gap_s:g} s apart, counted as one stretch)"
    return text + (
        f"{_film_event(s)} A window of {s['WINDOW_TRS']} volumes began {s['LAG_S']:g} s after the start of every stretch of "
        f"more than {s['MIN_STRETCH_S']:g} s with {there}{events}, and of every such stretch {others}. "
        f"{balance[s['BALANCE']]}: {_and(counts)} windows of {f['voxels']:,} {f.get('places', 'voxels')} "
        f"{where}. {denoise_sentences(s)}{scale[s['STANDARDIZE']]}"
    )


def _fewer_folds(s: dict, f: dict) -> str:
    """Which groups are fewer than N_FOLDS, so that each has one fold; words in brackets."""
    groups = {"movie": "films", "subject": "people", "run": "runs", "part": "parts"}
    fewer = [
        f"{f[name]} {name}"
        for split, name in groups.items()
        if split in s["CV_SPLITS"] and f.get(name, s["N_FOLDS"]) < s["N_FOLDS"]
    ]
    return f" (one fold for each of {_and(fewer)})" if fewer else ""


def _step_sizes(s: dict) -> str:
    """Adam's step size, or which were tried; networks that have another one are named."""
    rates = {
        name: learning_rates(s["TRAINING"], s["LEARNING_RATE"], name)
        for name in s["MODELS"]
        if name not in CLOSED_FORM
    }
    texts = {
        name: f"{of[0]:g}" if len(of) == 1 else f"the best of {_and([f'{r:g}' for r in of])}"
        for name, of in rates.items()
    }
    if len(set(texts.values())) <= 1:
        return next(iter(texts.values()), "")
    return _and([f"{text} for {MODELS.get(name, name)}" for name, text in texts.items()])


def _training(s: dict, f: dict) -> str:
    rate = _step_sizes(s)
    kept = _and([KEPT_OUT[split] for split in s["CV_SPLITS"]], "or")
    networks = MODELS | {
        "voxel_time_cnn": f"a convolutional network over voxels × volumes (three blocks of {_and(s['CNN_FILTERS'])} "
        f"filters, a dense layer of {s['CNN_DENSE_UNITS']} units, one logistic output)"
    }
    sizes = {name: options for name, options in s["MODEL_OPTIONS"].items() if name in s["MODELS"]}
    chosen = {
        name: f" ({_and(f'{key} {value}' for key, value in options.items())})"
        for name, options in sizes.items()
    }
    trained = _and(
        [networks.get(name, f"the network “{name}”") + chosen.get(name, "") for name in s["MODELS"]]
    )
    were, they = ("was", "It was") if len(s["MODELS"]) == 1 else ("were", "They were")
    how = f"{s['EPOCHS']} epochs"
    if s["TRAINING"] == "robust":
        how = (
            f"{s['TRAINING_STEPS']} steps with warm-up and cosine decay (Loshchilov & Hutter 2017), mixup (Zhang et al. "
            "2018), statistics of batch normalisation estimated again before each evaluation (Izmailov et al. 2018)"
        )
    how += (
        f", {s['N_SEEDS']} networks per fold, whose logits were averaged"
        if s["N_SEEDS"] > 1
        else ""
    )
    closed = (
        " Models in closed form were fitted without such steps."
        if set(s["MODELS"]) & set(CLOSED_FORM)
        else ""
    )
    text = (
        f"{trained[0].upper()}{trained[1:]} {were} trained with Adam (Kingma & Ba 2015; step size {rate}, "
        f"{s['BATCH_SIZE']} windows per step, {how}, classes weighted to balance).{closed} {they} tested by "
        f"{s['N_FOLDS']}-fold cross-validation that kept out {kept}{_fewer_folds(s, f)}. "
    )
    if "event" in s["CV_SPLITS"]:
        text += f"At least {s['EMBARGO_TRS']} volumes lay between training windows and held-out moments. "
    if s["SELECTION"] == "inner":
        text += (
            "The epoch was chosen on a part of the training set that was grouped like the folds. Logits were calibrated "
            "there by a temperature (Guo et al. 2017)."
        )
    else:
        text += "Networks' epochs were chosen on the held-out folds themselves, which makes their scores too high."
    text += _intervals(s, f)
    others = [BASELINES[name] for name in s["BASELINES"] if name in BASELINES]
    rois = rois_name(s["ROI_FILE"] and _path(s["ROI_FILE"]))
    if rois is not None and rois in s["BASELINES"] and s["SPACE"] == "MNI":
        others.append(f"ridge regression on the {rois.removesuffix('-rois')} regions alone")
    if others:
        text += f" On the same folds we trained {_and(others)}."
    if s["N_PERMUTATIONS"]:
        text += f" Chance was estimated from {s['N_PERMUTATIONS']:,} relabellings of events with the linear model"
        main = s["MODELS"][0]
        with_main = f" and {s['N_PERMUTATIONS_CNN']:,} with {MODELS.get(main, main)}"
        text += with_main if s["N_PERMUTATIONS_CNN"] else ""
        text += "; p-values count the observation itself (Phipson & Smyth 2010)."
    return text


def _intervals(s: dict, f: dict) -> str:
    """Over what the 95 % intervals of script 3 are; nothing where there are too few films, runs or people."""
    over, runs_of_one = [], f["people"] == 1 and "run" in s["CV_SPLITS"]
    if "movie" in s["CV_SPLITS"] and f["films"] >= LEAST_CLUSTERS:
        over.append("films where films were held out")
    if runs_of_one and f["runs"] >= LEAST_CLUSTERS:
        over.append("the runs of the person where runs were held out")
    if set(s["CV_SPLITS"]) - {"movie"} and f["people"] >= LEAST_CLUSTERS:
        over.append("people otherwise" if over else "people")
    if not over:
        return ""
    text = f" 95 % intervals are t intervals over {_and(over)}, from a delete-one jackknife (Efron & Tibshirani 1993)"
    whole = {
        "films": "movie" in s["CV_SPLITS"],
        "runs": runs_of_one,
        "people": "subject" in s["CV_SPLITS"],
    }
    if not any(whole.values()):
        return f"{text}."
    held_out = _and([kind for kind, is_held_out in whole.items() if is_held_out], "or")
    within = ""
    if whole["films"] and f["films"] >= LEAST_FILMS_TO_DIVIDE:
        within = ", within films where films were held out,"
    return (
        f"{text}, wider where whole {held_out} were held out, because the models of the folds learnt from each other's data "
        f"(Nadeau & Bengio 2003): the variance of what the labels add to a score{within} was counted twice. For ridge "
        "regression on all voxels, on their means over time or on regions, the variance of what the labels add was counted "
        "about 1 + 3r − r² − r³ times, where r is the share of noise in the weights, from the correlation between the "
        "weights of fold models."
    )


def _attributions(s: dict, f: dict) -> str:
    baseline = {
        "zero": "zero baseline",
        "training mean": "the mean training window as baseline",
        "other class": f"{s['ATTRIBUTION_DRAWS']} training windows of the other label as baselines, Erion et al. 2021",
    }[s["ATTRIBUTION_BASELINE"]]
    steps = f"{s['IG_STEPS']} steps"
    if s["IG_STEPS"] == "auto":
        steps = f"steps doubled until the completeness gap was below {s['IG_TOLERANCE']:g}"
        steps = f"{SECANT_STEPS} secants" if s["IG_RULE"] == "secant" else steps
    rule = f"{s['IG_RULE']} rule, {steps}"
    if s["IG_RULE"] == "auto":
        rule = f"exact for linear and second-order models; {SECANT_STEPS} secants for the voxel-time network; else {steps}"
    engine = ", DeepExplain, Ancona et al. 2018" if s["IG_ENGINE"] == "deepexplain" else ""
    how = {
        "ig": f"Integrated Gradients (Sundararajan et al. 2017; {baseline}, {rule}{engine})",
        "gradient-x-input": f"gradient × input (Shrikumar et al. 2016; {baseline})",
        "grad-cam": "Grad-CAM without its rectifier (Selvaraju et al. 2017)",
        "attention-rollout": "attention rollout (Abnar & Zuidema 2020)",
    }
    if "occlusion" in s["ATTRIBUTION_METHODS"]:  # else its settings are not stamped
        region = {
            "cubes": f"cubes of {s['OCCLUSION_CUBE_MM']:g} mm",
            "rois": f"regions of {_path(s['ROI_FILE'] or '')}",
            "parcels": f"parcels of {_path(s['PARCEL_FILE'] or '')}",
        }[s["OCCLUSION_REGIONS"]]
        when = f"{s['OCCLUSION_TRS']} volumes at a time"
        how["occlusion"] = f"occlusion (Zeiler & Fergus 2014; {region}, {when}, {baseline})"
    methods = _and([how[name] for name in s["ATTRIBUTION_METHODS"]])
    if s["SMOOTHGRAD_DRAWS"]:
        noise = f"noise of {s['SMOOTHGRAD_NOISE']:g} SD (Smilkov et al. 2017)"
        methods += f", averaged over {s['SMOOTHGRAD_DRAWS']} copies with {noise},"
    if s["EXPLAIN"] == "held-out":
        by = f"the fold model that had not seen it (folds kept out {KEPT_OUT[s['HELD_OUT_SPLIT']]})"
    else:
        by = f"one model, the best of the folds that kept out {KEPT_OUT[s['HELD_OUT_SPLIT']]} on its own test fold"
    name = s["EXPLAINED_MODEL"]
    which = "" if [name] == s["MODELS"] else f", under {MODELS.get(name, f'the model “{name}”')},"
    other = named_labels(s["LABELS"]).titles[1].replace(" ", "-")
    text = f"Each window's logit{which} (its negative for {other} windows) was explained by {methods} of {by}."
    if s["ATTRIBUTION_CHECKS"]:
        checks = _and([CHECKS[name] for name in s["ATTRIBUTION_CHECKS"]])
        text += f" On {s['CHECK_WINDOWS']} windows the maps were checked against {checks}."
    return text


def _group(s: dict, f: dict) -> str:
    text = "Attributions were averaged over each person's windows, then over people."
    for kind, numbers in f.get("tests", {}).items():
        text += _map_test(kind, numbers, s, f)
    regions = []
    if s["SPACE"] == "MNI" and s["ROI_FILE"]:
        own = _path(s["ROI_FILE"]) == "masks/face_rois.tsv"
        source = "FFA, OFA and pSTS, Zaragoza-Jimenez et al. 2023" if own else _path(s["ROI_FILE"])
        regions.append(f"spheres ({source})")
    if s["ROI_MASKS"]:
        regions.append(f"masks ({_and(map(_path, s['ROI_MASKS']))})")
    if regions:
        text += (
            f" The share of absolute attribution in {_and(regions)} was compared with that in "
            f"{s['N_RANDOM_REGIONS']:,} random regions of as many voxels."
        )
    beside = {
        "haufe": "the activation pattern of the linear model (Haufe et al. 2014)",
        "glm": f"the effect of {named_labels(s['LABELS']).plural} in a general linear model with the canonical "
        "haemodynamic response"
        + (
            f" and {_and([name.replace('_', ' ') for name in s['NUISANCE']])} of the film"
            if s.get("NUISANCE")
            else ""
        ),
    }
    if s["REFERENCE_MAPS"]:
        text += f" Maps were correlated over voxels with {_and([beside[name] for name in s['REFERENCE_MAPS']])}."
    return text


def _map_test(kind: str, numbers: dict, s: dict, f: dict) -> str:
    if kind == "none":
        return " Maps for which there is no valid test were not tested."
    has_grid = f.get("places", "voxels") == "voxels"
    statistic = (
        f"a pseudo-t with variances smoothed by {s['VARIANCE_FWHM_MM']:g} mm"
        if s["VARIANCE_FWHM_MM"] and has_grid
        else "t"
    )
    corrected = (
        f"corrected family-wise over all voxels and seconds, by the largest value and by the mass of clusters formed at "
        f"p < {s['CLUSTER_FORMING_P']:g} (Nichols & Holmes 2002)"
    )
    scaled = f"in units of each person's mean absolute attribution ({statistic} across people), {corrected}"
    if kind == "relabel":
        return (
            f" They were compared, {scaled}, with the maps of {numbers['relabellings']:,} relabellings of events within "
            f"films, for each of which the models of all folds were fitted again (Ojala & Garriga 2010)."
        )
    unit = "people" if kind == "flip people" else "films, with all their viewers"
    return (
        f" They were tested against zero, {scaled}, by {numbers['flips']:,} sign flips of {numbers['units']} {unit}; these "
        f"p-values take the trained models as fixed."
    )


def _surface(s: dict, f: dict) -> str:
    if s["SPACE"] == "surface":
        return "Group maps are shown on the cortical surface that the data have."
    return "Group maps, averaged between pial and white surface, are shown on the inflated fsaverage5 (Fischl et al. 1999)."


def _timeline(s: dict, f: dict) -> str:
    smooth = f", its logit averaged over {s['SMOOTH_TRS']} volumes," if s["SMOOTH_TRS"] > 1 else ""
    text = (
        f"For a probability at every volume of a film, fold models (folds kept out {KEPT_OUT[s['HELD_OUT_SPLIT']]}) slid "
        f"over whole runs; a prediction{smooth} was assigned to the second at {s['PREDICTION_AT']:.0%} of its window."
    )
    if not f.get(
        "moments_unseen",
        s["SELECTION"] == "inner" and s["HELD_OUT_SPLIT"] not in ("window", "subject"),
    ):
        return (
            text
            + " The models had seen the moments that they predicted, so these predictions were not tested."
        )
    if s["HELD_OUT_SPLIT"] == "event":
        return text + (
            f" Moments were predicted only by models that had seen no window within {s['EMBARGO_TRS']} volumes of them, "
            "with any viewer."
        )
    return text + (
        " Chance was estimated for each film by rotating its annotation by every number of volumes; p-values of films were "
        "combined (Liu & Xie 2020)."
    )


_OF_SCRIPT = {3: _training, 4: _attributions, 6: _group, 7: _surface, 8: _timeline}


def _path(stamped: str) -> str:
    """The path of a stamped file, without the digest of its content."""
    return stamped.split(" (")[0]


def _and(items, word: str = "and") -> str:
    """a, b and c."""
    items = [str(item) for item in items]
    return f" {word} ".join(filter(None, [", ".join(items[:-1]), items[-1]]))


def _film_event(s: dict) -> str:
    """When films began, if not with their runs."""
    event = s["FILM_EVENT"]
    if event is None:
        return ""
    if isinstance(event, int | float):
        return f" Films began {event:g} s after their runs."
    name = event if isinstance(event, str) else event[0]
    return f" The event “{name}” of each run's log says when its film began."
