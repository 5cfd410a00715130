"""The words of the report: its title, a paragraph for a methods section, and the published settings."""

from pathlib import Path

from neuroface.bold import denoise_sentences
from neuroface.pipeline import read_json, read_table
from volume_study.names import BASELINES, MODELS, SPLITS
from volume_study.observers import alpha_text

import pandas as pd

LEAD = "Labels of single volumes of BOLD, decoded by networks."
CAUTION = (
    "Accuracy on single held-out volumes is no evidence that a label can be decoded: read the splits that hold out what "
    "belongs together. Maps show what a network uses, not what the brain needs."
)
# The emotion study's value of every setting that it states.
PUBLISHED = {
    "TR_S": 2.0, "LAG_S": 0.0, "MIN_AGREEMENT": 5, "FILM_CLOCK": "cumulated", "STANDARDIZE": "volume",
    "MIN_PER_CLASS": 70, "BALANCE": "moments", "CV_SPLITS": ["volume"], "SELECTION": "published",
    "MODELS": ["separable_cnn3d"], "EPOCHS": 50, "PATIENCE": 10, "BATCH_SIZE": 16, "LEARNING_RATE": 0.001,
    "WEIGHT_DECAY": 0.0001, "HELD_OUT_SPLIT": "volume", "MAP_METHODS": ["occlusion-zero"], "MIN_PROBABILITY": 0.75,
    "BOX_VOXELS": 2, "BOX_STRIDE": 2, "TOP_VOXELS": 500, "UMAP_NEIGHBORS": 30, "UMAP_MIN_DIST": 0.1,
}  # fmt: skip
REFERENCES = Path(__file__).with_name("references.tsv")
SCALE = {
    "voxel": "Each voxel had mean 0 and SD 1 over its run",
    "volume": "Each volume had mean 0 and SD 1 over its voxels",
    "none": "BOLD was not standardised",
}


def title(settings: dict) -> str:
    if settings.get("LABEL_SOURCE") == "events":
        return "Which condition does a volume belong to?"
    return "What do observers see in the moment that a volume responds to?"


def methods(
    root: Path, settings: dict, done: set[int], versions: dict, commit: str, backends: set[str]
):
    """The paragraph, and the references that it cites; None before script 2 has joined the volumes."""
    if not {1, 2} <= done or not (root / "2-dataset" / "samples.tsv").is_file():
        return None
    parts = [_labels(root, settings), _data(root, settings)]
    parts += [text(root, settings) for number, text in _OF_SCRIPT.items() if number in done]
    names = {"jax": "JAX", "tensorflow": "TensorFlow"}
    used = [f"{names[name]} {versions[name]}" for name in sorted(backends) if name in versions]
    used += [f"Keras {versions['keras']}"] if used else []
    software = f"NeuroFaceCNN {versions['neuroface']} (commit {commit}){' with ' + _and(used) if used else ''}"
    parts.append(
        f"Analyses used {software}; all random draws followed from the seed {settings['SEED']}."
    )
    text, references = " ".join(parts), pd.read_csv(REFERENCES, sep="\t")
    return text, [row.reference for row in references.itertuples() if row.cited_as in text]


def _labels(root: Path, s: dict) -> str:
    if s["LABEL_SOURCE"] == "events":
        return f"Volumes carried the label of the event that was on {s['LAG_S']:g} s before."
    agreement = read_json(root / "1-labels" / "agreement.json")
    alpha = agreement["krippendorff_alpha"]["named"]
    agree = (
        "their agreement is not defined"
        if alpha is None
        else f"Krippendorff's α = {alpha_text(alpha)}; Krippendorff 2004"
    )
    right = s["FILM_CLOCK"] == "segments"
    clock = "by the film second that each run showed" if right else "by lengths of runs, added up"
    return (
        f"{agreement['observers']} observers named what the film portrays ({agree}). A TR of the film kept the label that "
        f"{s['MIN_AGREEMENT']} or more of them gave ({agreement['labelled_trs']:,} of {agreement['trs']:,} TRs). Volumes "
        f"were matched to the film {clock}, {s['LAG_S']:g} s later."
    )


def _data(root: Path, s: dict) -> str:
    samples = read_table(root / "2-dataset" / "samples.tsv")
    labels = read_json(root / "2-dataset" / "labels.json")["labels"]
    source = "; synthetic, with a known truth" if s["DATASET"] == "demo" else ""
    drawn = {
        "moments": f"{s['MIN_PER_CLASS']} moments of each label were drawn, the same for all people",
        "person": "In each person, labels were drawn down to the rarest one",
        "none": "All labelled volumes were kept",
    }[s["BALANCE"]]
    return (
        f"We analysed fMRI (TR {s['TR_S']:g} s{source}) of {samples['subject'].nunique()} people. {drawn}: "
        f"{len(samples):,} volumes of {len(labels)} labels ({_and(labels)}; chance {1 / len(labels):.1%}). "
        f"{denoise_sentences(s)}{SCALE[s['STANDARDIZE']]}."
    )


def _decoding(root: Path, s: dict) -> str:
    cited = {"separable_cnn3d": " (Sandler et al. 2018)", "deepbrain": " (Wang et al. 2020)"}
    networks = _and([MODELS[name] + cited.get(name, "") for name in s["MODELS"]])
    held_out = _and([SPLITS[split].removesuffix(" (published)") for split in s["CV_SPLITS"]])
    free = f", with {s['EMBARGO_TRS']} volumes left free around held-out blocks"
    inner = s["SELECTION"] == "inner"
    where = (
        "an inner part of the training set"
        if inner
        else "the reported volumes, which flatters the result"
    )
    linear = {
        "ridge": "Ridge classifiers (Saunders et al. 1998)",
        "screened_ridge": "ridge classifiers on the tenth of the voxels with the largest differences between labels "
        "(chosen, as the penalty, on the inner validation volumes)",
        "logistic": BASELINES["logistic"],
    }
    others = [linear[name] for name in linear if name == "ridge" or name in s["BASELINES"]]
    return (
        f"We trained the {networks} with AdamW (Loshchilov & Hutter 2019; step size {s['LEARNING_RATE']:g} along half a "
        f"cosine over {s['EPOCHS']} epochs, weight decay {s['WEIGHT_DECAY']:g}, batch {s['BATCH_SIZE']}, early stopping "
        f"after {s['PATIENCE']} epochs). The epoch was chosen on {where}. {s['N_FOLDS']} folds held out {held_out}"
        f"{free if {'block', 'run'} & set(s['CV_SPLITS']) else ''}. {_and(others)} learned from the same "
        "volumes. Intervals are for new people and new episodes: jackknife variances over both, added, and their shared "
        "part taken off (Cameron et al. 2011), with the t of their Satterthwaite degrees of freedom. For p, held-out "
        f"episodes exchanged their labels {s['N_PERMUTATIONS']:,} times within a fold, alike for all viewers; the smallest "
        "p of the folds was multiplied with their number. What a split reveals was measured by ridge classifiers trained on "
        "exchanged labels."
    )


def _maps(root: Path, s: dict) -> str:
    steps = f"{s['IG_RULE']} rule, {s['IG_STEPS']} steps"
    methods = {
        "occlusion-zero": f"occlusion of boxes of {s['BOX_VOXELS']}³ voxels by zero (Zeiler & Fergus 2014)",
        "occlusion-mean": "occlusion by the mean training volume",
        "ig": f"Integrated Gradients of the log-odds ({steps}; Sundararajan et al. 2017)",
        "grad-cam": "Grad-CAM (Selvaraju et al. 2017)",
        "attention-rollout": "attention rollout (Abnar & Zuidema 2020)",
    }
    chosen = f"{s['VOLUMES_PER_EPISODE']} per person and episode"
    sure = ""
    if s["MIN_PROBABILITY"] > 0:
        sure = f" and classified correctly with a probability of {s['MIN_PROBABILITY']:g} or more"
    text = (
        f"Of the volumes that the {MODELS[s['EXPLAINED_MODEL']]} had not seen ({s['HELD_OUT_SPLIT']} folds){sure}, "
        f"{chosen}, maps were made for every label by {_and([methods[name] for name in s['MAP_METHODS']])}. A label's map "
        "was the mean over its episodes less the mean over all others, within each fold, then over folds and people."
    )
    summary = read_json(root / "4-maps" / "summary.json")
    if not summary["tests"]:
        return f"{text} Maps were not tested."
    exact = all(test["exact"] for test in summary["tests"].values())
    orders = "over all orders" if exact else f"over up to {s['N_PERMUTATIONS_MAPS']:,} orders"
    return (
        f"{text} They were tested by exchanging the labels of held-out episodes within a fold, {orders}, with the largest t "
        "of two groups of episodes over voxels (Westfall & Young 1993); the smallest p of the folds was multiplied with "
        "their number."
    )


def _clusters(root: Path, s: dict) -> str:
    test = read_json(root / "5-clusters" / "silhouette.json")
    tested = "not tested"
    if not test["why_not_tested"]:
        tested = f"tested by exchanging the labels of held-out episodes {s['N_LABEL_PERMUTATIONS']:,} times within a fold"
    return (
        f"The {s['TOP_VOXELS']} strongest voxels of each label's group map ({s['CLUSTERED_METHOD']}) were embedded by UMAP "
        f"(McInnes et al. 2018; {s['UMAP_NEIGHBORS']} neighbours). The separation of labels was the silhouette (Rousseeuw "
        f"1987) of the {test['voxels_per_map']} strongest voxels of every person's map, {tested}."
    )


def _similarity(root: Path, s: dict) -> str:
    tests = read_table(root / "6-similarity" / "mantel.tsv")
    draws = (
        f"{'all ' if tests['exact'].all() else ''}{tests['n_permutations'].iloc[0]:,} permutations"
    )
    return (
        "Distances between labels (1 − Pearson, and cross-validated between earlier and later episodes: Walther et al. "
        "2016) were computed with rsatoolbox (Schütt et al. 2023) in each person's brain and in each layer. Their "
        "correlation was averaged over people, beside a noise ceiling (Nili et al. 2014), and compared with that of "
        f"{s['UNTRAINED_SEEDS']} untrained networks by a t test over people, and by Mantel tests over {draws} of the labels "
        f"(Mantel 1967). p-values were corrected for {len(tests)} tests (Holm 1979)."
    )


_OF_SCRIPT = {3: _decoding, 4: _maps, 5: _clusters, 6: _similarity}


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
