"""A paragraph for a methods section, written from the settings that were used; and the publication's settings."""

from pathlib import Path

from neuroface.bold import denoise_sentences, words_of_places
from neuroface.pipeline import read_table

import pandas as pd

REFERENCES = Path(__file__).with_name("references.tsv")
# The publication's value of every setting that it states, or that the released code has.
PUBLISHED = {
    "TR_S": 1.3, "FRAMES_PER_TR": 32, "FRAME_PX": 112, "FRAME_CONTRAST": "frame",
    "PARCELS": [[420, 450], [478, 500], [910, 940], [976, 1000]], "STANDARDIZE": "none", "VOXEL_SHARE": 0.30,
    "SUBJECTS": ["mean"], "DELAY_TRS": 4, "SPLITS": ["published"], "TEST_SHARE": 0.2, "SELECTION": "paper", "EMBARGO_TRS": 0,
    "ENCODER_FILTERS": [32, 256, 128, 64], "DECODER_FILTERS": 48, "DROPOUT": 0.5, "DECODER_INPUT": "predicted",
    "ENCODER_WEIGHT": 0.5, "COSINE_WEIGHT": 0.5, "IMAGE_WEIGHTS": [0.35, 0.35, 0.30], "PERCEPTUAL": "vgg16", "EPOCHS": 11,
    "BATCH_SIZE": 16, "LEARNING_RATE": 0.0001, "EXPLAINED_SPLIT": "published", "DECODE_FROM": "predicted", "TOP_SHARE": 0.20,
}  # fmt: skip


def methods(
    root: Path, settings: dict, done: set[int], versions: dict, commit: str, backends: set[str]
):
    """The paragraph and the references that it cites; None before script 2 has chosen voxels or script 8 is done."""
    if not {1, 2} <= done and 8 not in done:
        return None
    parts = [_data(settings, root)] if {1, 2} <= done else []
    parts += [text(settings) for number, text in _OF_SCRIPT.items() if number in done]
    libraries = {"tensorflow": "TensorFlow", "jax": "JAX", "keras": "Keras", "himalaya": "himalaya", "pymoten": "pymoten",
                 "scikit-image": "scikit-image", "av": "PyAV"}  # fmt: skip
    used = (
        ["scikit-image", "av"]
        + ([*backends, "keras"] if backends else [])
        + (["himalaya", "pymoten"] if {4, 8} & done else [])
    )
    named = [
        f"{libraries[name]} {versions[name]}"
        for name in libraries
        if name in used and name in versions
    ]
    # Script 3 is the first that draws at random.
    draws = f"; all random draws followed from the seed {settings['SEED']}" if {3, 8} & done else ""
    parts.append(
        f"Analyses used NeuroFaceCNN {versions['neuroface']} (commit {commit}) with {_and(named)}{draws}."
    )
    text = " ".join(parts)
    references = pd.read_csv(REFERENCES, sep="\t")
    return text, [row.reference for row in references.itertuples() if row.cited_as in text]


def _data(s: dict, root: Path) -> str:
    people, folds = (
        read_table(root / "2-voxels" / "people.tsv"),
        read_table(root / "2-voxels" / "folds.tsv"),
    )
    films = folds["film"].nunique()
    whose = "averaged over people" if s["SUBJECTS"][0] == "mean" else f"of {s['SUBJECTS'][0]}"
    scaled = ", z-scored per voxel and run" if s["STANDARDIZE"] == "zscore" else ""
    repeated = (
        " Runs of a film that a person saw more than once were averaged."
        if s["FILM_RUNS"] == "repeats"
        else ""
    )
    contrast = (
        ", each stretched to its full range of brightness" if s["FRAME_CONTRAST"] == "frame" else ""
    )
    share = (
        f"the {s['VOXEL_SHARE']:.0%} with the largest signal-to-noise ratio (variance over time of the mean over people, "
        "by the mean over time of the variance over people) on the training volumes of each fold"
    )
    atlas = Path(s["ATLAS_FILE"].partition(" (")[0]).name
    source = (
        "Synthetic BOLD and drawn films with a known truth were analysed: "
        if s["DATASET"] == "demo"
        else ""
    )
    places = words_of_places(root / "2-voxels", "mask")
    if places == "parcels":
        columns = _and(
            [f"{first} to {last}" if first < last else first for first, last in s["PARCELS"]]
        )
        kept = f"Of the parcels in columns {columns} with a value in all people, we kept {share}."
    else:
        n_labels = sum(last - first + 1 for first, last in s["PARCELS"])
        kept = f"Of the {places} in {n_labels} parcels of the atlas {atlas}, we kept {share}."
    return (
        f"{source}{people['subject'].nunique()} people saw {films} films during fMRI (TR {s['TR_S']:g} s).{repeated} "
        f"{denoise_sentences(s)}For every TR we took {s['FRAMES_PER_TR']} frames of {s['FRAME_PX']} × "
        f"{s['FRAME_PX']} pixels{contrast}, and BOLD {s['DELAY_TRS']} volumes later, {whose}{scaled}. "
        f"{kept}"
    )


def _training(s: dict) -> str:
    perceptual = {
        "vgg16": "features of VGG16 (Simonyan & Zisserman 2015)",
        "scattering": "a fixed scattering transform (Bruna & Mallat 2013)",
    }[s["PERCEPTUAL"]]
    given = {
        "predicted": "the predicted voxels",
        "measured": "the measured voxels",
        "both": "the predicted and the measured voxels",
    }[s["DECODER_INPUT"]]
    chosen = {
        "inner": f"the last {s['INNER_SHARE']:.0%} of each film's training part",
        "paper": "every fifth chunk of the training part",
    }[s["SELECTION"]]
    splits = {
        "published": f"the last {s['TEST_SHARE']:.0%} of each film and one whole film",
        "film": f"whole films, in {s['N_FOLDS']} folds",
    }
    a, b, c = s["IMAGE_WEIGHTS"]
    lags = [int(text.split()[1]) for text in s["ABLATIONS"] if text.startswith("lags ")]
    lagged = (
        f" An encoder with the same features also got the {_and(lags, 'or')} chunks before and after."
        if lags
        else ""
    )
    return (
        f"A convolutional encoder ({_and(s['ENCODER_FILTERS'])} filters) predicted the voxels from the frames of a "
        f"TR, and a decoder of transposed convolutions ({s['DECODER_FILTERS']} filters) made the middle frame from "
        f"{given} (David et al. 2025). The loss was {s['ENCODER_WEIGHT']:g} × (mean squared error × "
        f"{s['MSE_WEIGHT']:.3g} + {s['COSINE_WEIGHT']:g} × (1 − cosine)) + {1 - s['ENCODER_WEIGHT']:g} × ({a:g} × "
        f"perceptual distance + {b:g} × (1 − SSIM) + {c:g} × total variation), "
        f"with SSIM after Wang et al. 2004 and {perceptual}. "
        f"Training used Adam (Kingma & Ba 2015; step size {s['LEARNING_RATE']:g}, {s['BATCH_SIZE']} chunks per step, "
        f"at most {s['EPOCHS']} epochs); the epoch was chosen on {chosen}. "
        f"Held out were {_and([splits[name] for name in s['SPLITS']], 'or')}; "
        f"{s['EMBARGO_TRS']} chunks beside held-out ones were left free.{lagged}"
    )


def _scores(s: dict) -> str:
    return (
        "Encoding was scored by Pearson's r per voxel over films z-scored one by one, "
        "decoding by SSIM with scikit-image (van der Walt et al. 2014). "
        f"Intervals are Student's t of the jackknife over blocks of {s['BLOCK_S']:g} s (Busing et al. 1999), "
        "and over seeds where there were several; correlations in Fisher's z. "
        f"Nulls are up to {s['N_SHIFTS']:,} different circular shifts by at least {s['MIN_SHIFT_S']:g} s, "
        "all where a test set allows fewer. p of voxels are by Student's t with the standard deviation of the "
        "shifts and as many degrees of freedom as these are worth (Bayley & Hammersley 1946), "
        "corrected for the false discovery rate (Benjamini & Hochberg 1995). "
        "The noise ceiling is the square root of the share of variance that people have in common (Sahani & Linden "
        "2003). For comparison, on the chunks that the network's weights were learned from, "
        f"banded ridge regression (Dupré la Tour et al. 2022) predicted voxels from {_and(s['RIDGE_FEATURES'])} "
        f"(Nishimoto et al. 2011) at {_delays(s)}, and ridge regression predicted "
        f"{s['N_COMPONENTS']} principal components of the frames from voxels. "
        "Identification was the share of moments whose reconstruction was the best of n candidates, against circular "
        "shifts. "
        "To test whether motion was reconstructed, the pixel correlation of the frames of each shot in their own order was "
        "compared with that in reversed order, by changed signs of shots."
    )


def _saliency(s: dict) -> str:
    return (
        "Saliency of a voxel is the mean size of the gradient of SSIM over held-out moments, decoded from "
        f"{s['DECODE_FROM']} BOLD, and likewise of Integrated Gradients "
        f"(Sundararajan et al. 2017; {s['IG_STEPS']} steps from the mean of the training set); the top "
        f"{s['TOP_SHARE']:.0%} per region were compared with "
        f"{s['N_RANDOM_REGIONS']:,} random regions of the same size."
    )


def _perturbations(s: dict) -> str:
    shown = (
        f" {_and(s['LOCALIZER']).capitalize()} as pictures were shown to the trained encoder (virtual localizer)."
        if s["LOCALIZER"]
        else ""
    )
    return (
        f"BOLD of {_and(s['PERTURBED_REGIONS'])} was replaced ({_and(s['PERTURBATIONS'])}), "
        f"and the SSIM lost where a {s['THING']} was compared with that at other things, "
        "also with each kind of them alone, by exchanging the labels of stretches of film, and with "
        f"{s['N_RANDOM_SETS']:,} random sets of as many voxels. Concept activation vectors (Kim et al. 2018) were "
        f"compared with {s['N_RANDOM_CONCEPTS']:,} concepts shifted in time.{shown}"
    )


def _encoding(s: dict) -> str:
    hrf = "convolved with SPM's canonical haemodynamic response"
    chosen = "chosen for each voxel within the training films"
    delays, moved = f"at {_delays(s)}", f"{_and(sorted(s['RIDGE_DELAYS_TRS']))} volumes"
    is_chosen = len(s["RIDGE_DELAYS_TRS"]) > 1
    response = {
        "delays": delays,
        "hrf": hrf,
        "one delay": f"at one of the {_delays(s)}, {chosen}" if is_chosen else delays,
        "shifted hrf": f"{hrf}, which was moved by one of {moved}, {chosen}"
        if is_chosen
        else f"{hrf}, which was moved by {moved}",
    }[s["FEATURE_RESPONSE"]]
    people = " and for every person" if s["EACH_PERSON"] else ""
    return (
        f"Banded ridge regression (Dupré la Tour et al. 2022; {s['N_RIDGE_TRIES']} random weightings of the bands, "
        f"chosen within the training films) predicted voxels from {_and(s['FEATURES'])}, {response}, for the mean over "
        f"people{people}. Whole films were held out, or stretches of time of a single film with {s['EMBARGO_TRS']} volumes "
        "left free on both sides. Unique variance of a feature space is R² less R² without it. Its p is that of the "
        "partial correlation of its part of the prediction with BOLD, given what the other spaces predict, against "
        f"predictions shifted in time by at least {s['MIN_SHIFT_S']:g} s, the same shift in all people, corrected for the "
        "false discovery rate (Benjamini & Hochberg 1995); intervals over people are Student's t."
    )


def _delays(s: dict) -> str:
    """Volumes from a chunk to the BOLD that it predicts in ridge regression."""
    delays = [s["DELAY_TRS"] + delay for delay in s["RIDGE_DELAYS_TRS"]]
    return f"{'delays' if len(delays) > 1 else 'a delay'} of {_and(sorted(delays))} volumes"


_OF_SCRIPT = {3: _training, 4: _scores, 5: _saliency, 6: _perturbations, 8: _encoding}


def _and(items, word: str = "and") -> str:
    items = [str(item) for item in items]
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} {word} {items[-1]}"
